"""The pages with real runs on the simulated bench: the main job from the keyboard, F12, sessions, another's run."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from places import press_with_an_output_on
from stand import play_real as play
from stand import shown, until
from textual.pilot import Pilot

from bench import client
from bench.run.reader import read
from bench.tui.app import BenchApp
from bench.tui.control import ClientControl, Wish
from bench.tui.feed import wall_ns
from bench.tui.screens.dialogs import Confirm, KeyCheck
from bench.tui.screens.run import RunPage
from bench.tui.widgets.line_log import LineLog

pytestmark = pytest.mark.usefixtures("home")


def events(folder: Path, kind: str) -> list[dict[str, object]]:
    return [dict(event) for event in read(folder / "journal.jsonl") if event["type"] == kind]


def test_the_main_job_started_watched_and_judged_in_under_ten_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a new user: in a terminal where F12 was never seen; then a run that fails, explained without leaving."""
    monkeypatch.setattr(BenchApp, "clock_for", lambda self, station: "instant")
    pressed: list[str] = []

    async def script(app: BenchApp, pilot: Pilot[int]) -> None:
        async def press(*names: str) -> None:
            pressed.extend(names)
            await pilot.press(*names)

        await until(pilot, lambda: isinstance(app.screen, KeyCheck), "the check of the key")
        await press("f12")
        await until(pilot, lambda: app.screen is app.current(), "it arrived")
        assert "r runs bootstrap-to-operational" in shown(app) or "SAFE" in app.status
        await press("r")
        page = app.page("run")
        await until(pilot, lambda: app.current() is page and page.feed is not None, "the run is shown", 60)  # type: ignore[attr-defined]
        await until(pilot, lambda: "device pass, bench pass" in app.status, "judged", 90)
        await until(pilot, lambda: "SIM  bootstrap-to-operational  sim  ✔ pass" in shown(app), "and its line says so")
        text = shown(app)
        assert "✔ download" in text or "✔ known-everywhere" in text
        assert page.feed is not None and len(page.feed.index) > 500  # type: ignore[attr-defined]
        recorded = client.runs(app.overview.runs_folder)
        assert [info.state for info in recorded] == ["pass"]
        await press("2")
        assert pressed == ["f12", "r", "2"] and len(pressed) < 10
        station = app.page("station")
        await until(pilot, lambda: bool(station.query("#facts")), "the page Station")
        await until(
            pilot, lambda: "eid" in "\n".join(station.query_one("#facts", LineLog).texts()), "who answered, by name"
        )
        await explained(app, pilot)

    async def explained(app: BenchApp, pilot: Pilot[int]) -> None:
        wish = Wish("power-cycle-and-register", "sim", ("register_within=1",), clock="instant")
        await until(pilot, lambda: app.overview.station("sim").owner is None, "it is free")  # type: ignore[union-attr]
        app.begin(wish)
        page = app.page("run")
        assert isinstance(page, RunPage)
        await until(pilot, lambda: "(w shows where)" in app.status, f"it has failed: {app.status}", 90)
        assert page.feed is not None and page.feed.view.state == "fail"
        reason = page.feed.view.errors[0]
        assert "register" in reason and reason in app.status
        await pilot.press("w")
        await until(pilot, lambda: page.decoded_packet >= 0, "the exchange")
        await until(pilot, lambda: "At the selected moment" in shown(app), "volts and amperes there")
        text = shown(app)
        assert "decoded" in text and "at the mark" in text and "✖ register" in text

    play(script, check_key=True)


def test_a_session_by_hand_and_f12_switches_it_off(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = ClientControl.begin_session
    # A person has the device boot in its own time; the test has less of it.
    monkeypatch.setattr(
        ClientControl,
        "begin_session",
        lambda self, station, withdrawn, clock="": begin(self, station, withdrawn, clock="scaled:10"),
    )

    async def script(app: BenchApp, pilot: Pilot[int]) -> None:
        await pilot.press("7", "s")
        page = app.page("instruments")
        await until(pilot, lambda: "is ready, output off" in shown(app), "the session", 60)
        await until(pilot, lambda: page.folder() is not None, "it is found")  # type: ignore[attr-defined]
        folder: Path = page.folder()  # type: ignore[attr-defined]
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "on asks")
        assert "interlocks" in shown(app) and "held by your session" in shown(app)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: bool(app.overview.outputs), "an output is counted", 30)
        await until(pilot, lambda: "outputs ON: 1: sim" in shown(app).splitlines()[0], "on every page", 30)
        await pilot.press("c", *"at ATI", "enter")
        await until(pilot, lambda: "Quectel" in shown(app), "the modem answers", 60)
        await pilot.press("c", *"scpi OUTP OFF", "enter")
        await until(pilot, lambda: "is no question" in shown(app), "no way past the limits", 30)
        await pilot.press("c", *"network cell on", "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "what transmits is asked for")
        await pilot.press("enter", "c", *"rsrp -101", "enter")
        await until(pilot, lambda: "> network rsrp -101" in shown(app), "the network emulator")
        await pilot.press("c", *"status", "enter")
        await until(pilot, lambda: "< attenuation" in shown(app) and "< cell 1 o" in shown(app), "what it says", 30)
        await pilot.press("f12")
        await until(pilot, lambda: "SAFE (what you hold): sim off, verified" in app.status, "the status line", 30)
        off = next(event for event in events(folder, "safe") if "power" in str(event["data"]))
        assert off["data"]["verified"]  # type: ignore[index]
        await until(pilot, lambda: not app.overview.outputs, "none is on")
        recipe = app.control.save_session(folder, "by-hand", None).read_text()
        assert "await station.modem.command('ATI')" in recipe and "set_output(True)" in recipe
        assert "await station.network.set_power(-101.0)" in recipe and "set_cell" not in recipe
        assert client.recipe(str(Path.cwd() / "by_hand.py")).needs == ("modem", "network", "power")

    play(script)


@pytest.mark.parametrize("made", [False, True], ids=["before-its-folder", "before-it-is-known"])
def test_f12_ends_a_run_that_this_screen_is_starting(made: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the key of the start, when there is no run yet; and when there is one that this screen does not know."""
    begin, there, pressed = ClientControl.start, threading.Event(), threading.Event()

    def start(self: ClientControl, wish: Wish, withdrawn: Callable[[], bool]) -> tuple[Path | None, str]:
        found = begin(self, wish, withdrawn) if made else None
        there.set()
        assert pressed.wait(60)
        return found or begin(self, wish, withdrawn)

    monkeypatch.setattr(ClientControl, "start", start)

    async def script(app: BenchApp, pilot: Pilot[int]) -> None:
        await pilot.press("r")
        await until(pilot, there.is_set, "it begins", 60)
        app.action_safe("f12")
        assert "SAFE: what you hold and what begins on sim ..." in app.status and not app.started
        pressed.set()
        done = "sim off, verified" if made else "sim: withdrawn before anything was switched"
        # What the page Run says of the end may stand behind it.
        await until(pilot, lambda: app.status.startswith(f"SAFE (what you hold): {done}"), done, 60)
        await until(pilot, lambda: not app.starting, "noted")
        runs = client.runs(app.overview.runs_folder)
        assert [run.state for run in runs] == ["aborted"] * made
        assert [events(run.folder, "control")[0]["data"]["op"] for run in runs] == ["safe"] * made  # type: ignore[index]

    play(script)


def test_f12_in_a_page_and_in_dialogs_with_an_output_on() -> None:
    """A sample: tests/campaigns/f12_matrix.py presses it in every page and dialog, and holds each to 1 s."""
    places = ("instruments", "order", "confirm-typed")

    async def script(app: BenchApp, pilot: Pilot[int]) -> None:
        for found in await press_with_an_output_on(app, pilot, places):
            assert found["verified"] and found["seconds"] < 2.0, found  # in the middle of other tests
        ended = client.runs(app.overview.runs_folder)
        assert [info.state for info in ended] == ["aborted"] * len(places)

    play(script)


def test_another_users_run_is_untouched_by_one_press_and_safe_by_two(tmp_path: Path) -> None:
    handle = client.start("record", "sim", {}, client.StartOptions(clock="real"))
    handle.detach()
    deadline = time.monotonic() + 60
    while not list(handle.folder.glob("power-*.f32")):
        assert time.monotonic() < deadline, "it records"
        time.sleep(0.02)
    for path in (tmp_path / "locks").iterdir():
        try:
            text = json.loads(path.read_bytes())
        except ValueError:
            continue
        text["user"] = "ada"
        path.write_bytes(json.dumps(text).encode() + b"\n")

    async def script(app: BenchApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "ada@" in shown(app), "her hold is shown")
        await pilot.press("f12")
        await until(pilot, lambda: "you hold nothing" in app.status, "one press")
        assert not events(handle.folder, "control")
        await pilot.press("f12")
        pressed = time.time()
        await pilot.press("f12")
        await until(pilot, lambda: "SAFE (whole host): sim off, verified" in app.status, "two presses", 30)
        off = next(event for event in events(handle.folder, "safe") if "power" in str(event["data"]))
        assert wall_ns(str(off["wall"])) / 1e9 - pressed < 1.0, "in real time, read back from the supply"

    play(script)
    told = events(handle.folder, "control")[0]["data"]
    assert told["op"] == "safe"  # type: ignore[index]
    assert told["by"] == f"root@{os.uname().nodename}" or "@" in told["by"]  # type: ignore[index]
    assert handle.wait(20) == 130
