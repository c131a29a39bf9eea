"""Runs in real processes: front (this one), supervisor, runner, and a supply that tells when it was switched."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import xml.etree.ElementTree
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from bench import client
from bench.engine.session import Session
from bench.errors import BenchError, ConfigurationError, StationHeld
from bench.run import liveness, unsafe

from .conftest import Bench
from .double import RECIPES, events_of, write_bench


def test_passing_run_leaves_complete_folder(bench: Bench) -> None:
    code, events, folder = bench.run("quick")
    assert code == 0
    assert events[-1]["type"] == "run-end"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events_of(events, "run-end")[0] | {} == {
        "device": "pass", "bench": "pass", "exit_code": 0, "summary": "", "verdict": "pass", "by": "runner",
    }  # fmt: skip
    assert [data["verdict"] for data in events_of(events, "step-end")] == ["pass"]
    assert events_of(events, "measurement")[0]["value"] == 3.8
    assert events_of(events, "safe") == [
        {"name": "power.off", "verified": True, "reading": 0.01, "message": "0.010 V", "by": "runner"}
    ]
    assert any(data["text"] == "hello from the recipe" for data in events_of(events, "log"))
    assert bench.server.on is False
    assert [on for _, on in bench.server.switched] == [True, False]
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["end"]["exit_code"] == 0
    assert manifest["instruments"]["power"]["identity"].startswith("Double/Supply/D1")
    assert manifest["source"]["sha256"]
    assert (folder / "recipe.py").read_text() == RECIPES.read_text()
    assert manifest["parameters"] == {"volts": 3.0}
    assert manifest["seed"] == manifest["order"]["seed"]
    assert manifest["host"]["name"]
    assert json.loads((folder / "result.json").read_text())["verdict"] == "pass"
    suite = xml.etree.ElementTree.parse(folder / "junit.xml").getroot()[0]
    assert suite.get("failures") == suite.get("errors") == "0"
    assert unsafe.marked(folder.parent) == []
    assert not liveness.alive(folder)
    assert not (folder / "control").exists()


def test_limit_fails_the_device_and_still_makes_safe(bench: Bench) -> None:
    code, events, _ = bench.run("quick", "volts=4500mV")
    assert code == 1
    assert events_of(events, "step-end")[0]["verdict"] == "fail"
    assert "voltage is 3.8 V, below 4.5 V" in events_of(events, "run-end")[0]["summary"]
    assert not bench.server.on


@pytest.mark.parametrize(
    ("recipe", "code", "device", "verdict"),
    [
        ("fails_then_breaks", 3, "fail", "bench-error"),
        ("wrong", 4, "inconclusive", "error"),
        ("nothing", 5, "inconclusive", "pass"),
    ],
)
def test_verdicts(bench: Bench, recipe: str, code: int, device: str, verdict: str) -> None:
    found, events, _ = bench.run(recipe)
    end = events_of(events, "run-end")[0]
    assert (found, end["device"], end["bench"]) == (code, device, verdict)
    assert not bench.server.on


def test_error_in_recipe_names_file_and_line(bench: Bench) -> None:
    _, events, _ = bench.run("wrong")
    error = events_of(events, "error")[0]
    line = next(n for n, text in enumerate(RECIPES.read_text().splitlines(), 1) if 'KeyError("nothing")' in text)
    assert error["where"] == f"{RECIPES}:{line}"
    assert "KeyError" in error["what"]


def test_held_station_is_refused_with_the_owner(bench: Bench) -> None:
    first = bench.start("long")
    bench.until(first.folder, "note", "on")
    with pytest.raises(StationHeld, match=rf"process {first.pid}, run {first.run_id}"):
        bench.start("quick")
    assert client.stop(first.folder, reason="enough")
    assert first.wait(10) == 130
    events = client.journal(first.folder)
    control = events_of(events, "control")[0]
    assert control["op"] == "stop"
    assert control["reason"] == "enough"
    assert bench.run("quick")[0] == 0


def test_validation_errors_come_before_anything_is_touched(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'volts'"):
        bench.start("quick", "vlots=3")
    with pytest.raises(ConfigurationError, match="not within 0 to 10 V"):
        bench.start("quick", "volts=12V")
    with pytest.raises(ConfigurationError, match="unattended"):
        bench.start("asks")
    assert bench.server.connections == 0
    assert not (bench.folder / "runs").exists()


def test_effects_need_an_expendable_station_or_the_eid(bench: Bench) -> None:
    write_bench(bench.folder, bench.server.port, expendable=False)
    with pytest.raises(ConfigurationError, match="cannot be undone: consumes-profile"):
        bench.start("consumes")
    assert bench.run("consumes", eid="89049032123451234512345678901235")[0] == 0


def test_instrument_that_refuses_is_a_bench_error(bench: Bench) -> None:
    write_bench(bench.folder, 1)
    code, events, _ = bench.run("quick")
    assert code == 3
    assert "no supply" in events_of(events, "error")[0]["what"]
    assert "bench.toml:" in events_of(events, "error")[0]["where"]
    assert events_of(events, "safe") == []


def test_wrong_serial_switches_nothing(bench: Bench) -> None:
    text = bench.config.read_text().replace("voltage = 3.8", 'serial = "OTHER"\nvoltage = 3.8')
    bench.config.write_text(text)
    code, events, _ = bench.run("quick")
    assert code == 3
    assert "not 'OTHER'" in events_of(events, "error")[0]["what"]
    assert bench.server.switched == []


def test_teardown_runs_after_a_failure_before_safe(bench: Bench) -> None:
    code, events, _ = bench.run("with_teardown")
    assert code == 1
    kinds = [event["type"] for event in events]
    note = next(n for n, event in enumerate(events) if "teardown sees output True" in str(event["data"]))
    assert kinds.index("step-end") < note < kinds.index("safe")


def test_hanging_teardown_is_cut_off(bench: Bench) -> None:
    began = time.monotonic()
    code, events, _ = bench.run("bad_teardown")
    assert code == 4
    assert any("teardown did not end within 1 s" in data["what"] for data in events_of(events, "error"))
    assert time.monotonic() - began < 8
    assert not bench.server.on


def test_question_is_answered_from_outside(bench: Bench) -> None:
    handle = bench.start("asks", attended=True)
    question = bench.until(handle.folder, "ask")["data"]
    assert question["choices"] == ["yes", "no"]
    assert client.answer(handle.folder, question["id"], "maybe") is False
    assert client.answer(handle.folder, question["id"], "yes") is True
    assert handle.wait(10) == 0
    assert events_of(client.journal(handle.folder), "measurement")[0]["value"] == "yes"


def test_who_reads_a_question_in_the_journal_can_answer_it_at_once() -> None:
    """The supervisor must know of it by then: it refuses answers to what nobody has asked."""
    told: list[str] = []

    class Asking:
        _questions = itertools.count(1)
        _open_question = None
        record = SimpleNamespace(event=lambda kind, *_, **__: told.append(f"journal {kind}"))
        leash = SimpleNamespace(tell=lambda kind, **data: told.append(f"{kind} {data.get('text', 'over')}"))

    async def answer_it() -> str:
        session = cast(Session, Asking())
        asked = asyncio.create_task(Session._ask(session, "on?", ["yes", "no"], 10.0))
        await asyncio.sleep(0)
        Session._answered(session, {"id": 1, "choice": "yes", "by": "anna"})
        return await asked

    assert asyncio.run(answer_it()) == "yes"
    assert told == ["ask on?", "journal ask", "ask over", "journal answer"]


def test_children_of_the_recipe_do_not_survive(bench: Bench) -> None:
    _, events, _ = bench.run("leaves_child")
    pid = int(events_of(events, "note")[0]["text"])
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()


def test_runner_cannot_be_started(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    with pytest.raises(BenchError, match="before it began"):
        bench.start("quick")


def test_exceptions_nobody_awaits_are_recorded(bench: Bench) -> None:
    code, events, _ = bench.run("forgets")
    assert code == 0
    assert any("LookupError: forgotten" in str(data["text"]) for data in events_of(events, "log"))


def test_a_crash_in_c_leaves_its_stack_in_the_record(bench: Bench) -> None:
    code, events, _ = bench.run("crashes")
    assert code == 3
    error = events_of(events, "error")[0]
    assert "killed by SIGABRT" in error["what"]
    assert "sample_recipes.py" in error["stack"]
    assert not bench.server.on


def test_instruments_the_recipe_does_not_need_are_not_opened(bench: Bench) -> None:
    with bench.config.open("a") as file:
        file.write('[stations.lab.modem]\ndriver = "engine.double:Supply"\nport = "/dev/nonexistent"\n')
    assert bench.run("quick")[0] == 0
