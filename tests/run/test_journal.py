"""Journal, reader and follower against everything a crash and a disk can leave."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.run import liveness
from bench.run.events import normalise, wall_text
from bench.run.follow import follow
from bench.run.journal import Journal
from bench.run.reader import Reader, last, only, read, since

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_events_come_back_as_written(path: Path) -> None:
    journal = Journal.open(path)
    journal.write("note", {"text": "Grüße\n\x00\ud800"}, step="a/b")
    journal.clock = lambda: 12.5
    journal.write("note", {"path": Path("/x"), "inf": float("inf"), 3: "key"}, sync=True)
    journal.close()
    first, second = read(path)
    assert (first["seq"], first["t"], first["step"], first["type"]) == (1, None, "a/b", "note")
    assert first["data"]["text"] == "Grüße\n\x00\ud800"
    assert second["seq"] == 2
    assert second["t"] == 12.5
    assert second["data"] == {"path": "/x", "inf": "inf", "3": "key"}
    assert first["boot"] == second["boot"] != ""
    assert 0 < first["mono_ns"] <= second["mono_ns"] <= time.monotonic_ns()
    assert first["wall"].endswith("Z")
    assert len(first["wall"]) == 27
    assert not journal.write("note", {})


KINDS = ("run-start", "cycle-start", "note", 'a"b')
journal_lines = st.one_of(
    st.builds(
        lambda kind, data, spaced: json.dumps(
            {"seq": 1, "type": kind, "data": data}, separators=None if spaced else (",", ":")
        ).encode(),
        st.sampled_from(KINDS),
        st.dictionaries(st.sampled_from(["type", "n", "schema"]), st.sampled_from([*KINDS, 0, 1, {"type": "note"}])),
        st.booleans(),
    ),
    st.sampled_from([b"", b"{", b'"type":"note"', b'{"type":"note"}}', b"\xff", b'{"data":{"type":"cycle-start"}}']),
)


@given(st.lists(journal_lines, max_size=20), st.sampled_from([b"", b"\n", b'\n{"type":"note', b'\n{"type":"note"}']))
def test_only_and_since_find_what_reading_everything_finds(lines: list[bytes], end: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        path.write_bytes(b"\n".join(lines) + end)
        events = read(path)
        for wanted in (("note",), ("cycle-start", 'a"b'), ("run-start", "note")):
            assert list(only(path, *wanted)) == [event for event in events if event["type"] in wanted]
        for kind in KINDS:
            begins = [at for at, event in enumerate(events) if event["type"] == kind]
            assert since(path, kind) == (events[begins[-1] :] if begins else [])


def test_what_is_asked_of_a_long_journal_is_found_without_parsing_the_rest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(path, background=False)
    for number in range(30_000):
        kind = "cycle-start" if number in (100, 25_000) else "note"
        journal.write(kind, {"n": number, "text": "x" * (700_000 if number == 27_000 else 50)})
    journal.close()
    parsed = 0
    event = Reader.event

    def counted(reader: Reader, line: bytes) -> dict[str, Any] | None:
        nonlocal parsed
        parsed += 1
        return event(reader, line)

    monkeypatch.setattr(Reader, "event", counted)
    assert [found["data"]["n"] for found in only(path, "cycle-start")] == [100, 25_000]
    assert parsed == 1 + 2, "the first line and what was asked for"
    parsed = 0
    assert [found["data"]["n"] for found in since(path, "cycle-start")] == list(range(25_000, 30_000))
    assert parsed <= 2 + 5_000
    assert since(path.with_name("none"), "note") == list(only(path.with_name("none"), "note")) == []


def test_wall_time_is_iso_8601() -> None:
    assert wall_text(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456Z"


def test_one_write_an_event(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(path, background=False)
    writes: list[bytes] = []
    real = os.write

    def counted(fd: int, data: bytes) -> int:
        writes.append(data)
        return real(fd, data)

    monkeypatch.setattr(os, "write", counted)
    journal.write("step-start", {"title": "x" * 100_000})
    assert len(writes) == 1
    assert writes[0].endswith(b"}\n")
    journal.close()


@given(st.dictionaries(st.text(), json_values, max_size=4), st.text(), st.text())
def test_any_data_makes_one_readable_line(data: dict[str, Any], kind: str, step: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        journal = Journal.open(path, background=False)
        assert journal.write(kind, data, step=step)
        journal.close()
        raw = path.read_bytes()
        assert raw.count(b"\n") == 1
        json.loads(raw, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        (event,) = read(path)
        assert event["type"] == kind
        assert event["step"] == step


@given(st.binary(max_size=300), st.data())
def test_reader_takes_any_bytes_in_any_portions(raw: bytes, data: st.DataObject) -> None:
    whole = list(Reader().feed(raw))
    reader, events = Reader(), []
    rest = raw
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        events += list(reader.feed(rest[:size]))
        rest = rest[size:]
    assert events == whole
    assert reader.offset + reader.pending == len(raw)
    assert (reader.torn() is None) == (raw == b"" or raw.endswith(b"\n"))
    for event in events:
        assert set(event) >= {"seq", "boot", "mono_ns", "wall", "t", "type", "step", "data"}


@given(json_values)
def test_normalise_gives_every_key_its_type(raw: Any) -> None:
    event = normalise({"type": "x", "seq": raw, "t": raw, "data": raw, "step": raw, "wall": raw, "more": raw})
    assert event is not None
    assert isinstance(event["seq"], int)
    assert isinstance(event["data"], dict)
    assert isinstance(event["step"], str)
    assert event["t"] is None or isinstance(event["t"], float)
    assert event["more"] is raw


@given(st.integers(0, 400))
def test_cut_anywhere_the_journal_goes_on(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        journal = Journal.open(path, background=False)
        for number in range(3):
            journal.write("note", {"n": number})
        journal.close()
        raw = path.read_bytes()
        cut = min(cut, len(raw))
        path.write_bytes(raw[:cut])
        whole = raw[:cut].rpartition(b"\n")[0].count(b"\n") + (b"\n" in raw[:cut])
        events = read(path)
        torn = [event for event in events if event["type"] == "torn"]
        assert len(events) - len(torn) == whole
        assert bool(torn) == (cut > 0 and raw[cut - 1 : cut] != b"\n")
        again = Journal.open(path, background=False)
        assert again.seq == whole
        assert again.cut == (torn[0]["data"]["length"] if torn else 0)
        again.write("note", {"n": "after"})
        again.close()
        assert [event["seq"] for event in read(path)] == list(range(1, whole + 2))


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"garbage\n", b'{"type": "x"}\n\0\0', b"\xff\xfe\n"])
def test_what_a_power_cut_leaves_is_survived(path: Path, tail: bytes) -> None:
    journal = Journal.open(path, background=False)
    journal.write("note", {"n": 1})
    journal.close()
    with path.open("ab") as file:
        file.write(tail)
    again = Journal.open(path, background=False)
    again.write("note", {"n": 2})
    again.close()
    events = [event for event in read(path) if event["type"] == "note"]
    assert [(event["seq"], event["data"]["n"]) for event in events] == [(1, 1), (2, 2)]


def test_long_last_lines_are_found(path: Path) -> None:
    journal = Journal.open(path, background=False)
    journal.write("note", {"text": "a" * 200_000})
    journal.close()
    with path.open("ab") as file:
        file.write(b"x" * 150_000)
    again = Journal.open(path, background=False)
    assert (again.seq, again.cut) == (1, 150_000)
    again.close()


def test_earlier_schemas_are_upgraded_and_unknown_types_kept() -> None:
    seen = []

    def upgrade(event: dict[str, Any]) -> dict[str, Any]:
        seen.append(event["type"])
        return {**event, "data": event.pop("payload", {})}

    event = normalise({"type": "note", "payload": {"text": "old"}}, schema=0, upgrades={0: upgrade})
    assert event is not None
    assert event["data"] == {"text": "old"}
    assert seen == ["note"]
    later = normalise({"type": "of-tomorrow", "data": {"x": 1}, "extra": 2})
    assert later is not None
    assert (later["type"], later["extra"]) == ("of-tomorrow", 2)


def test_reader_knows_the_schema_from_run_start() -> None:
    reader = Reader()
    list(reader.feed(b'{"type":"run-start","data":{"schema":0}}\n{"type":"note"}\n'))
    assert reader.schema == 0


def test_full_disk_is_told_once_and_leaves_whole_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(path, background=False)
    told: list[OSError] = []
    journal.on_failure = told.append
    assert journal.write("note", {"n": 1})
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:10]))
    assert not journal.write("note", {"n": 2})
    assert not journal.write("note", {"n": 3})
    monkeypatch.undo()
    assert journal.write("note", {"n": 4})
    journal.close()
    assert len(told) == 1
    assert [event["data"]["n"] for event in read(path)] == [1, 4]
    assert [event["seq"] for event in read(path)] == [1, 2]


def test_many_threads_write_whole_lines_in_order(path: Path) -> None:
    journal = Journal.open(path)
    threads = [
        threading.Thread(target=lambda: [journal.write("note", {"text": "x" * 500}) for _ in range(100)])
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert [event["seq"] for event in read(path)] == list(range(1, 501))


def test_events_reach_the_disk_within_a_second_by_themselves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.set())
    journal = Journal.open(path)
    journal.write("note", {})
    assert not synced.is_set()
    assert synced.wait(3.0)
    synced.clear()
    journal.write("step-end", {}, sync=True)
    assert synced.is_set()
    journal.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot be written"):
        Journal.open(tmp_path / "nowhere" / "journal.jsonl")


def test_last_finds_the_event_of_a_type(path: Path) -> None:
    journal = Journal.open(path, background=False)
    journal.write("run-end", {"n": 1})
    journal.write("note", {"text": '"run-end"'})
    journal.close()
    found = last(path, "run-end")
    assert found is not None
    assert found["data"] == {"n": 1}
    assert last(path, "verdict") is None
    assert last(path.with_name("none"), "note") is None


# --- following --------------------------------------------------------------------------------------------------------


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """A run folder whose supervisor is this process."""
    fd = liveness.hold(tmp_path)
    yield tmp_path
    os.close(fd)


def test_follow_waits_for_the_journal_and_ends_with_the_run(live: Path) -> None:
    def write() -> None:
        journal = Journal.open(live / "journal.jsonl")
        for number in range(20):
            journal.write("note", {"n": number})
            time.sleep(0.005)
        journal.write("run-end", {})
        journal.close()

    thread = threading.Thread(target=write)
    thread.start()
    stop = threading.Event()
    events = []
    for event in follow(live, stop=stop):
        events.append(event["type"])
        if len(events) == 20:
            stop.set()  # the supervisor (this process) never lets go: end before it is waited for
    thread.join()
    assert events[:20] == ["note"] * 20


def test_follow_of_a_dead_run_says_that_it_broke_off(tmp_path: Path) -> None:
    fd = liveness.hold(tmp_path)
    journal = Journal.open(tmp_path / "journal.jsonl", background=False)
    journal.write("note", {})
    journal.close()
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"seq":2,"ty')
    os.close(fd)
    first, broken = follow(tmp_path)
    assert first["type"] == "note"
    assert broken["type"] == "broken"
    assert "12 bytes" in broken["data"]["what"]


def test_follow_survives_the_cutting_of_a_torn_line(live: Path) -> None:
    path = live / "journal.jsonl"
    journal = Journal.open(path, background=False)
    journal.write("note", {"n": 1})
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"half of a li')
    stop = threading.Event()
    events = follow(live, stop=stop)
    assert next(events)["data"] == {"n": 1}

    def repair() -> None:
        again = Journal.open(path, background=False)
        again.write("note", {"n": 2})
        again.close()

    timer = threading.Timer(0.1, repair)
    timer.start()
    assert next(events)["data"] == {"n": 2}
    timer.join()
    stop.set()
    assert list(events) == []


def test_follow_of_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no run folder"):
        next(follow(tmp_path))


def test_liveness_is_the_lock_and_names_the_process(tmp_path: Path) -> None:
    assert not liveness.alive(tmp_path)
    fd = liveness.hold(tmp_path, run="r")
    assert liveness.alive(tmp_path)
    owner = liveness.owner(tmp_path)
    assert (owner["pid"], owner["run"]) == (os.getpid(), "r")
    assert owner["start"] == liveness.start_time(os.getpid()) > 0
    os.close(fd)
    assert not liveness.alive(tmp_path)
    assert liveness.start_time(2**22 + 1) == 0
