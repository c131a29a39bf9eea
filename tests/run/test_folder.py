"""Run folder, list of runs, derived files."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError, ConfigurationError
from bench.run import folder as places
from bench.run import index, liveness, unsafe
from bench.run.events import normalise
from bench.run.journal import Journal
from bench.run.summary import derive, junit, summarise
from bench.run.verdict import EXIT_CODES, Verdict, parse, worst


def make_run(runs: Path, station: str = "sim", *, end: str = "pass", **manifest: Any) -> Path:
    folder = places.create(runs, station)
    places.write_manifest(
        folder, {"run": folder.name, "recipe": "r", "station": station, "started": "2026", **manifest}
    )
    journal = Journal.open(folder / places.JOURNAL, background=False)
    journal.write("run-start", {"schema": 1})
    if end:
        journal.write("run-end", {"device": end, "bench": "pass", "exit_code": 0})
    journal.close()
    return folder


def test_verdicts_are_ordered_and_give_the_exit_codes() -> None:
    order = ["pass", "inconclusive", "fail", "aborted", "error", "bench-error"]
    assert [str(verdict) for verdict in sorted(Verdict, key=lambda v: v.rank)] == order
    assert [EXIT_CODES[Verdict(name)] for name in order] == [0, 5, 1, 130, 4, 3]
    assert worst([Verdict.FAIL, Verdict.BENCH_ERROR, Verdict.PASS]) is Verdict.BENCH_ERROR
    assert worst([]) is Verdict.PASS
    assert parse("of tomorrow") is None


def test_run_ids_sort_by_time_and_are_unique(tmp_path: Path) -> None:
    folders = [places.create(tmp_path, "a station/with odd: name") for _ in range(50)]
    assert len({folder.name for folder in folders}) == 50
    stamps = [folder.name[:19] for folder in folders]
    assert stamps == sorted(stamps)
    assert all("/" not in folder.name and " " not in folder.name for folder in folders)


def test_atomic_write_replaces_or_leaves_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    places.write_json(path, {"a": 1})

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        places.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_unreadable_manifest_is_empty(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[1")
    assert places.read_json(tmp_path / "run.json") == {}
    with pytest.raises(BenchError, match="no run folder"):
        places.manifest(tmp_path)


def test_long_socket_paths_are_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    short = places.socket_path(deep, "control")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short))
        assert (deep / "control").is_socket()
        places.remove_socket(deep, "control")
    assert not short.exists()
    assert list(deep.iterdir()) == []
    assert places.socket_path(Path("/tmp"), "control") == Path("/tmp/control")


def test_list_of_runs_is_newest_first_and_knows_states(tmp_path: Path) -> None:
    old = make_run(tmp_path, end="fail", simulated=True)
    dead = make_run(tmp_path, end="")
    live = make_run(tmp_path, "meter", end="")
    fd = liveness.hold(live)
    (tmp_path / "no run").mkdir()
    (tmp_path / ".unsafe").mkdir()
    try:
        found = index.runs(tmp_path)
    finally:
        os.close(fd)
    assert [(run.folder, run.state) for run in found] == [(live, "running"), (dead, "broken"), (old, "fail")]
    assert found[2].simulated
    assert [run.folder for run in index.runs(tmp_path, station="meter")] == [live]
    assert [run.folder for run in index.runs(tmp_path, limit=1)] == [live]
    assert index.runs(tmp_path / "nowhere") == []


def test_end_of_run_json_counts_before_the_journal(tmp_path: Path) -> None:
    folder = make_run(tmp_path, end="", end_=None)
    manifest = places.manifest(folder)
    end = {"device": "pass", "bench": "bench-error", "exit_code": 3, "wall": "w"}
    places.write_manifest(folder, {**manifest, "end": end})
    run = index.info(folder)
    assert run is not None
    assert (run.state, run.exit_code, run.ended) == ("bench-error", 3, "w")


def test_finding_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no run yet"):
        index.find(tmp_path, "last")
    first, second = make_run(tmp_path, "alpha"), make_run(tmp_path, "beta")
    assert index.find(tmp_path, "last") == second
    assert index.find(tmp_path, "alpha") == first
    assert index.find(tmp_path, first.name) == first
    assert index.find(tmp_path, str(first)) == first
    with pytest.raises(ConfigurationError, match="fits 2 runs"):
        index.find(tmp_path, first.name[:8])
    with pytest.raises(ConfigurationError, match="no run is named"):
        index.find(tmp_path, "gamma")
    with pytest.raises(ConfigurationError, match="no run folder"):
        index.find(tmp_path, "/nonexistent/x")


def test_marks_of_unsafe_stations(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    unsafe.mark(folder)
    assert unsafe.stale(tmp_path) == [folder]
    fd = liveness.hold(folder)
    assert unsafe.stale(tmp_path) == []
    assert unsafe.marked(tmp_path) == [folder]
    os.close(fd)
    unsafe.unmark(folder)
    unsafe.unmark(folder)
    assert unsafe.marked(tmp_path) == []
    (tmp_path / ".unsafe" / "gone").touch()
    assert unsafe.marked(tmp_path) == []
    assert not (tmp_path / ".unsafe" / "gone").exists()


def test_a_started_process_that_still_holds_the_lock_of_an_ended_run_is_waited_for(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    code = (
        "import os, sys, time; from pathlib import Path; from bench.run import liveness\n"
        "liveness.hold(Path(sys.argv[1]))\n"
        "if os.fork() == 0:\n"
        "    os.close(1); time.sleep(0.03); os._exit(0)\n"  # as one between vfork and the end of its exec
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, timeout=20, stdout=subprocess.PIPE)
    assert not liveness.alive(folder)


def test_a_lock_whose_owner_cannot_be_seen_is_believed(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    fd = liveness.hold(folder)
    try:
        gone = {**liveness.owner(folder), "start": 1}
        os.pwrite(fd, json.dumps(gone).encode() + b"\n", 0)
        assert liveness.alive(folder)
    finally:
        os.close(fd)


def test_summary_nests_measurements_and_ends_what_never_ended() -> None:
    second = 1_000_000_000
    measured = {"name": "v", "value": 1.5, "unit": "V"}
    ended = {"verdict": "fail", "elapsed": 9.0, "message": "m"}
    raw: list[dict[str, Any]] = [
        {"type": "step-start", "step": "a", "mono_ns": second},
        {"type": "step-start", "step": "a/b", "mono_ns": second * 3 // 2},
        {"type": "measurement", "step": "a/b", "data": measured, "mono_ns": second * 8 // 5},
        {"type": "step-end", "step": "a/b", "data": ended, "mono_ns": second * 2},
        {"type": "step-start", "step": "a/b", "mono_ns": second * 2},
        {"type": "observation-loss", "data": {"lane": "esipa", "count": 3}},
        {"type": "error", "data": {"what": "broke"}},
    ]
    events = [event for item in raw if (event := normalise(item)) is not None]
    result = summarise({"run": "r", "recipe": "x", "station": "s"}, events)
    assert [(step["path"], step["verdict"]) for step in result["steps"]] == [
        ("a", "aborted"), ("a/b", "fail"), ("a/b", "aborted"),
    ]  # fmt: skip
    assert result["steps"][1]["measurements"] == [{"name": "v", "value": 1.5, "unit": "V"}]
    assert result["steps"][1]["real"] == 0.5
    assert result["observations_lost"] == {"esipa": 3}
    assert (result["verdict"], result["summary"]) == ("bench-error", "the record breaks off")


def test_derived_files_can_be_made_again(tmp_path: Path) -> None:
    folder = make_run(tmp_path, end="fail")
    derive(folder)
    first = (folder / "result.json").read_bytes(), (folder / "junit.xml").read_bytes()
    (folder / "result.json").unlink()
    derive(folder)
    assert ((folder / "result.json").read_bytes(), (folder / "junit.xml").read_bytes()) == first
    assert json.loads(first[0])["verdict"] == "fail"


@given(st.text(), st.text(), st.sampled_from([str(verdict) for verdict in Verdict]))
def test_junit_is_xml_whatever_was_said(name: str, message: str, verdict: str) -> None:
    events = [
        normalise({"type": "step-start", "step": name}),
        normalise({"type": "measurement", "step": name, "data": {"name": message, "value": message}}),
        normalise({"type": "step-end", "step": name, "data": {"verdict": verdict, "message": message, "elapsed": 1}}),
        normalise({"type": "error", "data": {"what": message}}),
    ]
    result = summarise({"recipe": name, "station": message}, [event for event in events if event is not None])
    text = junit(result)
    root = xml.etree.ElementTree.fromstring(text.encode("utf-8", "replace"))
    cases = root.findall(".//testcase")
    assert len(cases) == int(root[0].get("tests", "")) == 2
    bad = len(root.findall(".//failure")), len(root.findall(".//error"))
    assert bad == (int(root[0].get("failures", "")), int(root[0].get("errors", "")))
    assert sum(bad) == (2 if verdict != "pass" else 1)
