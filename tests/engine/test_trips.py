"""A protection's trip that the bench clears is in the journal with its cause, whichever part of the run clears it."""

from __future__ import annotations

import pytest

from bench.client.view import RunView

from .double import events_of
from .world_lab import Lab

SAMPLED = ("e36312a", "keysight-e36300", 0, 0.2)
NOT_SAMPLED = ("e36312a", "keysight-e36300", 0, 0.0)


@pytest.mark.parametrize("lab", [SAMPLED, NOT_SAMPLED], indirect=True, ids=["sampled", "sample=0"])
@pytest.mark.parametrize(("recipe", "step"), [("trips", "trip"), ("trips_at_the_end", "")])
def test_what_was_cleared_is_an_event_with_its_cause(lab: Lab, recipe: str, step: str) -> None:
    code, events, folder = lab.bench.run(recipe)
    assert code in (0, 5), events
    (cleared,) = [event for event in events if event["type"] == "trip-cleared"]
    assert cleared["data"] == {"instrument": "power channel 1", "cause": "over-voltage"}
    assert cleared["step"] == step
    told = "the over-voltage protection of power channel 1 had tripped and was cleared, the output is off"
    assert [data["level"] for data in events_of(events, "log") if data["text"] == told] == ["warning"]
    assert told in (folder / "report.html").read_text()
    view = RunView()
    for event in events:
        view.apply(event)
    assert "! power channel 1: its over-voltage protection had tripped and was cleared, the output is off" in view.lines
    assert lab.world.state()["power"]["on"] is False


@pytest.mark.parametrize("lab", [SAMPLED, NOT_SAMPLED], indirect=True, ids=["sampled", "sample=0"])
def test_a_second_trip_is_never_cleared(lab: Lab) -> None:
    code, events, _ = lab.bench.run("trips_again")
    assert code != 0
    assert len(events_of(events, "trip-cleared")) == 1
    (error,) = events_of(events, "error")
    assert "over-voltage protection has tripped again" in error["what"]
    assert "look for the fault in the device" in error["hint"]
    with lab.world.scpi() as supply:
        assert supply.ask("VOLT:PROT:TRIP? (@1)") == "1"


@pytest.mark.parametrize("lab", [("n6705c", "keysight-n6705c", 2, 0.0)], indirect=True)
def test_what_an_earlier_runs_watchdog_left_is_told_by_the_next(lab: Lab) -> None:
    lab.kill_both()
    lab.world.wait("off by itself", lambda state: not state["power"]["on"], 4.0)
    # The next command makes safe first, which takes the watchdog back; its trip is what the run after it finds.
    code, events, _ = lab.bench.run("quick", "volts=0")
    assert code == 0, events
    assert events_of(events, "trip-cleared") == [{"instrument": "power channel 1", "cause": "watchdog"}]
