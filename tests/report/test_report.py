"""The report of whole, torn, odd and hostile run folders."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.report.facts import gather
from bench.report.html import REPORT, render, write
from bench.report.lanes import scan
from bench.run import folder as places
from bench.run.journal import Journal
from bench.trace.lane import Direction
from bench.trace.writer import TraceWriter

from .folders import Page, check_page, run_folder
from .test_pieces import hostile

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**400), 10**400) | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "title", "simulated", "t", "what", "unit", "actions"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


def page_of(folder: Path) -> Page:
    return check_page(render(gather(folder)))


def test_a_failed_run_tells_what_where_hint_and_the_lanes_before(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    page = page_of(folder)
    text = page.text
    assert "✘ fail not registered within 20 s: searching" in text
    assert "modem /dev/ttyUSB2 , in step register / attach after 20.0 s" in text
    assert "is the antenna on?" in text
    assert "AT+CEREG? +CEREG: 5,2 (searching) | OK" in text
    assert "×30" in text  # polling is counted, not repeated, and does not hide the card
    assert text.count("AT+CEREG?") == 1
    assert "ch1 GetEID 89049032123451234512345678901235 - 9000 ok fields → GetEID" in text
    assert "Traceback <most recent>" in text
    assert text.count("not registered within 20 s") < 7  # the error is not told twice beside its step


def test_verdicts_limits_sources_and_times(tmp_path: Path) -> None:
    text = page_of(run_folder(tmp_path)).text
    assert "Device ✘ fail" in text
    assert "Bench ✔ pass" in text
    assert "time_to_register 20.5 s ≤ 20 s ✘ fail" in text
    assert "rsrp -84 dBm from at" in text
    assert "31.0 s of station time" in text
    assert "20.0 s of 20.0 s" in text  # took, of its timeout
    assert "eid is 89049032123451234512345678901235 from card" in text


def test_simulated_or_real_is_said_of_the_run_and_of_every_instrument(tmp_path: Path) -> None:
    assert page_of(run_folder(tmp_path)).text.count("SIMULATED") == 3
    real = {"driver": "x", "simulated": False}
    text = page_of(run_folder(tmp_path, simulated=False, instruments={"power": real, "modem": real})).text
    assert "REAL HARDWARE" in text
    assert text.count("REAL") == 3
    assert "SIMULATED" not in text
    text = page_of(run_folder(tmp_path, instruments={"power": real, "modem": {"simulated": True}})).text
    assert "PARTLY SIMULATED" in text


def test_power_is_told_for_the_run_and_its_steps(tmp_path: Path) -> None:
    text = page_of(run_folder(tmp_path)).text
    # 4 V: 0.25 A for 9 s, from there up to 0.5 A within 1 s, 0.5 A for 20 s.
    assert "50.5 J energy, 14.03 mWh" in text
    assert "500 mA highest sample, at +10.0 s" in text
    assert "Phase Took Energy Charge Mean current Highest sample ESipa Card" in text
    assert "start-state 10.0 s 10.5 J 729.2 µAh 262.5 mA 500 mA 27 B ↑ 21 B ↓ 6 B 5 APDUs 95 B" in text
    assert "register 20.0 s 40 J 2.778 mAh 500 mA 500 mA" in text
    assert "K/E/1" in text


def test_safe_says_how_it_was_verified(tmp_path: Path) -> None:
    text = page_of(run_folder(tmp_path)).text
    assert "power.off ✔ verified rail at 0.288 V, dead below 0.3 V runner" in text
    assert "network.off ✔ verified cells on: none runner" in text
    text = page_of(run_folder(tmp_path, end=False)).text
    assert "power.off ✘ NOT VERIFIED nothing in the record: take it as still on" in text
    assert "the record breaks off" in text


def test_functions_are_counted_with_their_answers(tmp_path: Path) -> None:
    facts = gather(run_folder(tmp_path))
    found = {(each.interface, each.name): each for each in facts.trace.functions}
    assert found["ES10", "GetEID"].count == found["ES10", "GetEID"].answered == 2
    assert found["ES10", "GetEID"].failed == 0
    assert found["ES10", "GetEuiccInfo1"].failed == 1
    assert found["ESipa", "GetEimPackage"].count == 1
    assert "89049032123451234512345678901235" in found["ES10", "GetEID"].last
    assert facts.trace.lanes["at:modem"].sent == 30
    assert facts.trace.lanes["at:modem"].received == 60
    assert "✘ 1 failed" in page_of(facts.folder).text


def test_the_command_repeats_the_run(tmp_path: Path) -> None:
    text = page_of(run_folder(tmp_path)).text
    assert "bench run bootstrap-to-operational --station sim --seed 1458459442 -s apn=internet --world" in text
    assert "-s hold" not in text


def test_it_can_be_made_again_and_elsewhere(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    path = write(folder)
    assert path == folder / REPORT
    first = path.read_text()
    assert write(folder) == path
    assert path.read_text() == first
    assert 'href="./trace.pcapng"' in first
    elsewhere = write(folder, tmp_path / "there.html")
    assert 'href="./' not in elsewhere.read_text()  # beside it there is nothing
    moved = tmp_path / "copied from another machine"
    shutil.copytree(folder, moved)
    check_page(write(moved).read_text())
    with pytest.raises(BenchError, match="cannot be written"):
        write(folder, tmp_path / "no folder" / "x.html")
    with pytest.raises(BenchError, match="no run folder"):
        write(tmp_path)


def test_a_live_run_is_told_as_such(tmp_path: Path) -> None:
    from bench.run import liveness

    folder = run_folder(tmp_path, end=False)
    fd = liveness.hold(folder)
    try:
        text = page_of(folder).text
    finally:
        os.close(fd)
    assert "still going on" in text
    assert "Device ▶ running" in text
    assert "NOT VERIFIED" not in text


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    evil = "</style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\x00\x1b[31m\ud800"
    folder = run_folder(tmp_path, recipe=evil, label=evil, station=evil, bearer=evil, parameters={evil: evil})
    journal = Journal.open(folder / places.JOURNAL, background=False)
    for kind in ("note", "log", "error", "measurement", "safe", "control", "identity", "ask", "answer", "future-thing"):
        data = dict.fromkeys(("text", "what", "where", "hint", "stack", "name", "value", "unit", "op", "source"), evil)
        journal.write(kind, data, step=evil)
        journal.write(kind, data)
    journal.write("step-start", {"title": evil}, step=evil)
    journal.write("step-end", {"verdict": evil, "message": evil, "elapsed": evil}, step=evil)
    journal.close()
    check_page(write(folder).read_text(encoding="utf-8"))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile, hostile, st.sampled_from(["console:a", "at:modem", "esipa", "es9plus", "apdu:card", "steps", "radio"]))
def test_no_markup_gets_through_from_anywhere(
    tmp_path_factory: pytest.TempPathFactory, one: str, two: str, lane: str
) -> None:
    folder = run_folder(
        tmp_path_factory.mktemp("evil"), recipe=one, label=two, parameters={one: two}, identities={one: two},
        instruments={one: {"identity": two, "driver": one, "at": two, "simulated": True}}, versions={one: two},
    )  # fmt: skip
    journal = Journal.open(folder / places.JOURNAL, background=False)
    keys = ("text", "what", "where", "hint", "name", "value", "unit", "source", "lane", "why", "message", "device")
    for kind in ("note", "error", "measurement", "observation", "result", "safe", "verdict", "lane-missing", "ask"):
        journal.write(kind, {**dict.fromkeys(keys, one), "values": {one: two}, "upper": 1, "lower": 0}, step=two)
    journal.write("step-start", {"title": one}, step=f"{one}/{two}")
    journal.write("step-end", {"verdict": "fail", "message": two}, step=f"{one}/{two}")
    journal.close()
    trace = TraceWriter.open(folder / places.TRACE, run_id="r")
    for direction in (Direction.SENT, Direction.RECEIVED):
        trace.lane(lane).record(direction, one.encode("utf-8", "replace"), comment=two)
        trace.lane(f"{lane.partition(':')[0]}:{two}"[:200]).record(direction, two.encode("utf-8", "replace"))
    trace.close()
    page_of(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(tmp_path_factory.mktemp("runs"))


quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(st.data())
def test_cut_anywhere_there_is_a_report(
    made: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut") / made.name
    shutil.copytree(made, folder)
    for name in (places.JOURNAL, places.TRACE, places.MANIFEST, "power-psu1.f32", "power-psu1.json", places.PLAN):
        path = folder / name
        how = data.draw(st.sampled_from(["whole", "cut", "gone", "empty"]), label=name)
        if how == "cut":
            size = data.draw(st.integers(0, path.stat().st_size))
            path.write_bytes(path.read_bytes()[:size])
        elif how == "gone":
            path.unlink()
        elif how == "empty":
            path.write_bytes(b"")
    if not (folder / places.JOURNAL).exists() and not places.read_json(folder / places.MANIFEST):
        return  # nothing is left that makes it a run folder
    page_of(folder)


@quick
@given(st.data())
def test_bytes_changed_anywhere_there_is_a_report(
    made: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("changed") / made.name
    shutil.copytree(made, folder)
    for name in (places.JOURNAL, places.TRACE, "power-psu1.f32"):
        content = bytearray((folder / name).read_bytes())
        for _ in range(data.draw(st.integers(0, 5))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at : at + 1] = data.draw(st.binary(max_size=12))
        (folder / name).write_bytes(bytes(content))
    page_of(folder)


TYPES = [
    "run-start",
    "step-start",
    "step-end",
    "measurement",
    "error",
    "safe",
    "verdict",
    "identity",
    "log",
    "observation-loss",
    "run-end",
    "service-start",
    "ask",
    "control",
    "station",
    "result",
    "x",
]
KEYS = [
    "verdict",
    "elapsed",
    "message",
    "name",
    "value",
    "unit",
    "lower",
    "upper",
    "source",
    "what",
    "device",
    "bench",
    "reading",
    "verified",
    "count",
    "lane",
    "clock",
    "timeout",
    "exit_code",
]
odd_events = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={
        **dict.fromkeys(("seq", "t", "mono_ns", "wall"), json_values),
        "step": st.sampled_from(["", "a", "a/b", "a/b/c"]) | json_values,
        "data": st.dictionaries(st.sampled_from(KEYS), json_values),
    },
)
MANIFEST_KEYS = ["recipe", "parameters", "order", "instruments", "versions", "host", "clock", "seed", "end"]


@quick
@given(st.dictionaries(st.sampled_from(MANIFEST_KEYS), json_values), st.lists(odd_events, max_size=12), json_values)
def test_any_json_makes_a_report(
    tmp_path_factory: pytest.TempPathFactory, manifest: dict[str, Any], events: list[Any], plan: Any
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    (folder / places.MANIFEST).write_text(json.dumps({"schema": 1, **manifest}))
    (folder / places.JOURNAL).write_text("".join(json.dumps(event) + "\n" for event in events))
    (folder / places.PLAN).write_text(json.dumps({"actions": plan}))
    (folder / "power-x.f32").write_bytes(struct.pack("<6f", 1, 4, 0.5, 1, 4, 0.5))
    page_of(folder)


def test_what_is_torn_is_told(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    for name in (places.JOURNAL, places.TRACE, "power-psu1.f32"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-5])
    lines = (folder / places.JOURNAL).read_text().splitlines()
    lines[3] = "not JSON"
    (folder / places.JOURNAL).write_text("\n".join(lines))
    text = page_of(folder).text
    assert "the journal's last line is torn" in text
    assert "1 lines of the journal are no events" in text
    assert "leave out 1: lines were lost" in text
    assert "the trace: its last record is torn" in text
    assert "the samples of psu1: the last row is torn" in text
    assert "the record breaks off" in text


def test_a_report_is_quick(tmp_path: Path) -> None:
    """A run of an hour of polling: the budget is some 10 µs a packet, so that a run's end does not wait for it."""
    import time

    folder = run_folder(tmp_path)
    write(folder)
    began = time.perf_counter()
    write(folder)
    assert time.perf_counter() - began < 0.5


def test_es2plus_is_counted_as_operators_and_server_write_it(tmp_path: Path) -> None:
    """Functions of both directions: what operators order, and what they are told (lane of fixtures.smdpp)."""
    trace = TraceWriter.open(tmp_path / places.TRACE, run_id="r")
    lane = trace.lane("es2plus")
    for comment in ("downloadOrder request", "handleDownloadProgressInfo request to mno"):
        lane.record(Direction.RECEIVED, b"{}", comment=comment)
    lane.record(Direction.SENT, b"{}", comment="downloadOrder response: Failed 8.2.5/3.7")
    lane.record(Direction.SENT, b"", comment="handleDownloadProgressInfo response: HTTP 204")
    trace.close()
    found = {(each.interface, each.name): each for each in scan(tmp_path).functions}
    assert set(found) == {("ES2+", "downloadOrder"), ("ES2+", "handleDownloadProgressInfo")}
    assert all(each.count == each.answered == 1 for each in found.values())
    assert found["ES2+", "downloadOrder"].last == "Failed 8.2.5/3.7"
    assert found["ES2+", "handleDownloadProgressInfo"].last == "HTTP 204"


def test_lanes_that_the_set_up_cannot_record_are_named(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, end=False)
    assert "Lanes not recorded" not in page_of(folder).text
    with contextlib.closing(Journal.open(folder / places.JOURNAL)) as journal:
        journal.write("lane-missing", {"lane": "esipa", "why": "the lab's own eIM <eim.lab> ends the TLS"})
        journal.write("lane-missing", {"lane": ["odd"], "why": None})
        journal.write("service-external", {"name": "eim", "adapter": "rest", "announcement": {"fqdn": "eim.lab"}})
    facts = gather(folder)
    assert facts.result["lanes_not_recorded"]["esipa"] == "the lab's own eIM <eim.lab> ends the TLS"
    text = page_of(folder).text
    assert "Lanes not recorded: esipa – the lab's own eIM <eim.lab> ends the TLS" in text
    assert "eim: the lab's own, eim.lab, by adapter rest" in text
    (folder / places.TRACE).unlink()
    assert "Lanes not recorded: esipa" in page_of(folder).text
