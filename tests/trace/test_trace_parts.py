"""A trace that grows beyond a part: whole files, one order of packets, followed across."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bench.trace import Direction, TraceReader, TraceWriter, blocks, follow, read, repair, writer
from bench.trace.parts import last_part, next_part, part, parts
from bench.trace.rewrite import raw_blocks

SENT = Direction.SENT
SIZE = 1600
"""Bytes of a part here: three lanes and a few packets."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_SMALLEST_PART", SIZE)


def fill(path: Path, count: int, start: int = 0) -> None:
    with TraceWriter.open(path, run_id="r", comment="grows", part_size=SIZE) as trace:
        trace.lane("radio").declare()
        for number in range(start, start + count):
            trace.lane("at:m" if number % 2 else "apdu:card").record(SENT, b"%04d" % number + bytes(40))


def numbers(path: Path) -> list[int]:
    return [int(packet.data[:4]) for packet in read(path)]


def test_names() -> None:
    first = Path("/runs/r/trace.pcapng")
    assert part(first, 1) == first
    assert next_part(first).name == "trace.0002.pcapng"
    assert next_part(next_part(first)).name == "trace.0003.pcapng"
    assert next_part(part(first, 9999)).name == "trace.10000.pcapng"
    assert parts(first) == [first]


def test_every_part_is_a_whole_file_and_all_of_them_one_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcapng"
    fill(path, 60)
    files = parts(path)
    assert len(files) > 4
    assert last_part(path) == files[-1]
    for file in files:
        assert file.stat().st_size <= SIZE
        kinds = [kind for kind, _ in raw_blocks(file)]
        assert kinds[0] == blocks.SECTION_HEADER
        assert set(kinds[1:]) == {blocks.INTERFACE_DESCRIPTION, blocks.ENHANCED_PACKET}
        assert repair(file).dropped == 0
        names = [packet.lane for packet in TraceReader(file, alone=True).poll()]
        assert set(names) <= {"at:m", "apdu:card"}
    assert numbers(path) == list(range(60))
    found = list(read(path))
    assert [packet.part for packet in found] == sorted(packet.part for packet in found)
    assert all(packet.number >= 1 for packet in found)
    assert next(packet for packet in found if packet.part == 2).number == 1, "as Wireshark counts in that file"


def test_it_goes_on_in_the_last_part_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcapng"
    fill(path, 30)
    torn = last_part(path)
    before = parts(path)[0].read_bytes()
    with torn.open("ab") as stream:
        stream.write(b"\x06\0\0\0\x40\0\0\0torn")
    fill(path, 30, start=30)
    assert numbers(path) == list(range(60))
    assert parts(path)[0].read_bytes() == before


@pytest.mark.parametrize("left", [b"", b"\x0a\x0d\x0d", b"\0" * 64])
def test_a_part_that_was_just_begun_is_no_trouble(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "trace.pcapng"
    fill(path, 30)
    next_part(last_part(path)).write_bytes(left)
    assert numbers(path) == list(range(30))
    fill(path, 5, start=30)
    assert numbers(path) == list(range(35))


def test_follow_goes_from_part_to_part(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcapng"
    stop = threading.Event()
    seen: list[int] = []
    came = threading.Condition()

    def watch() -> None:
        for packet in follow(path, stop=stop, interval=0.002):
            with came:
                seen.append(int(packet.data[:4]))
                came.notify()

    thread = threading.Thread(target=watch)
    thread.start()
    with TraceWriter.open(path, run_id="r", part_size=SIZE) as trace:
        for number in range(40):
            trace.lane("at:m").record(SENT, b"%04d" % number + bytes(40))
            if number % 7 == 0:
                with came:
                    assert came.wait_for(lambda: len(seen) > number, timeout=10)  # noqa: B023
    with came:
        assert came.wait_for(lambda: len(seen) == 40, timeout=10)
    stop.set()
    thread.join(timeout=10)
    assert seen == list(range(40))


def test_a_disk_without_room_for_another_part_keeps_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *, private: bool) -> int:
        raise OSError(28, "no space left on device")

    path = tmp_path / "trace.pcapng"
    trace = TraceWriter.open(path, run_id="r", part_size=SIZE)
    monkeypatch.setattr(writer, "_opened", full)
    for number in range(30):
        trace.lane("at:m").record(SENT, b"%04d" % number + bytes(40))
    with pytest.raises(writer.TraceError, match="no space left"):
        trace.close()
    assert numbers(path) == list(range(30))


def test_zero_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcapng"
    with TraceWriter.open(path, run_id="r", part_size=0) as trace:
        for _ in range(100):
            trace.lane("at:m").record(SENT, bytes(40))
    assert parts(path) == [path]
