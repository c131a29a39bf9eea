"""The reader on whole, torn, growing and foreign files."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.trace import Direction, TraceError, TraceReader, TraceWriter, blocks, follow, read, repair


def sample(path: Path, count: int = 3) -> bytes:
    with TraceWriter.open(path, run_id="r") as writer:
        for number in range(count):
            writer.lane("at:m").record(Direction.SENT, b"x" * number, time_ns=number, comment=f"packet {number}")
    return path.read_bytes()


def test_torn_at_every_offset(tmp_path: Path) -> None:
    whole = sample(tmp_path / "t", 3)
    ends = []  # byte where each packet is complete
    reader = TraceReader(tmp_path / "t")
    while reader.poll(limit=1):
        ends.append(reader.offset)
    assert ends[-1] == len(whole)
    ends = []
    at = 0
    while at < len(whole):
        found = blocks.block_at(whole, at, "<")
        assert found is not None
        at += found[1]
        if found[0] == blocks.ENHANCED_PACKET:
            ends.append(at)
    torn = tmp_path / "torn"
    for cut in range(len(whole) + 1):
        torn.write_bytes(whole[:cut])
        expected = sum(end <= cut for end in ends)
        assert [packet.number for packet in read(torn)] == list(range(1, expected + 1))
        report = repair(torn)
        assert report.packets == expected
        assert report.kept + report.dropped == cut
        assert report.saved is None
        with TraceWriter.open(torn, run_id="again") as writer:
            writer.lane("at:m").record(Direction.SENT, b"after")
        assert [packet.data for packet in read(torn)][expected:] == [b"after"]


def test_zeros_that_a_power_cut_left_are_cut_off(tmp_path: Path) -> None:
    whole = sample(tmp_path / "t")
    (tmp_path / "t").write_bytes(whole + b"\0" * 400_000)
    report = repair(tmp_path / "t")
    assert (report.dropped, report.packets, report.saved) == (400_000, 3, None)
    assert (tmp_path / "t").read_bytes() == whole


def test_damage_in_the_middle_keeps_what_is_behind_it_beside_the_trace(tmp_path: Path) -> None:
    whole = sample(tmp_path / "t")
    behind = os.urandom(400_000)
    (tmp_path / "t").write_bytes(whole + behind)
    report = repair(tmp_path / "t")
    assert report.saved is not None
    assert report.saved.read_bytes() == behind
    assert str(report.saved) in str(report)


def test_kill_minus_nine_loses_no_finished_packet(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from bench.trace import Direction, TraceWriter\n"
        "lane = TraceWriter.open(sys.argv[1], run_id='r').lane('at:m')\n"
        "number = 0\n"
        "while True:\n"
        "    lane.record(Direction.SENT, b'%d' % number)\n"
        "    sys.stdout.write(f'{number}\\n'); sys.stdout.flush()\n"
        "    number += 1\n"
    )
    for attempt in range(5):
        path = tmp_path / f"t{attempt}"
        with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(200 + 137 * attempt):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            finished = [int(line) for line in process.stdout if line.endswith("\n")]
            process.wait(timeout=10)
        numbers = [int(packet.data) for packet in read(path)]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= (finished[-1] + 1 if finished else 200)
        assert repair(path).dropped < 200


def test_follow_sees_packets_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "t"
    stop = threading.Event()
    seen: list[bytes] = []
    came = threading.Condition()

    def watch() -> None:
        for packet in follow(path, stop=stop, interval=0.005):
            with came:
                seen.append(packet.data)
                came.notify()

    thread = threading.Thread(target=watch)
    thread.start()  # before the file exists
    writer = TraceWriter.open(path, run_id="r")
    for number in range(3):
        writer.lane("at:m").record(Direction.SENT, b"%d" % number)
        with came:
            assert came.wait_for(lambda: len(seen) > number, timeout=10)  # noqa: B023
    writer.close()
    with path.open("ab") as stream:
        stream.write(b"\x06\0\0\0\x40\0\0\0torn")
    writer = TraceWriter.open(path, run_id="r")
    writer.lane("at:m").record(Direction.SENT, b"resumed")
    writer.close()
    stop.set()
    thread.join(timeout=10)
    assert seen == [b"0", b"1", b"2", b"resumed"]


def test_poll_with_a_limit_goes_on_where_it_stopped(tmp_path: Path) -> None:
    sample(tmp_path / "t", 10)
    reader = TraceReader(tmp_path / "t")
    assert [len(reader.poll(limit=4)) for _ in range(4)] == [4, 4, 2, 0]


def test_a_block_longer_than_the_chunk_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.trace.reader._CHUNK", 64)
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        writer.lane("at:m").record(Direction.SENT, b"y" * 5000)
    (packet,) = read(tmp_path / "t")
    assert packet.data == b"y" * 5000


def test_big_endian_microseconds_and_flags_of_another_program(tmp_path: Path) -> None:
    def block(kind: int, body: bytes) -> bytes:
        return struct.pack(">II", kind, 12 + len(body)) + body + struct.pack(">I", 12 + len(body))

    header = block(blocks.SECTION_HEADER, struct.pack(">IHHq", blocks.BYTE_ORDER_MAGIC, 1, 0, -1))
    interface = block(1, struct.pack(">HHI", 228, 0, 0) + struct.pack(">HH", 2, 3) + b"lo0\0" + bytes(4))
    units = 1_700_000_000_000_001
    packet = block(
        6,
        struct.pack(">IIIII", 0, units >> 32, units & 0xFFFFFFFF, 3, 3)
        + b"abc\0"
        + struct.pack(">HHI", 2, 4, 1)
        + bytes(4),
    )
    unknown = block(0x0BAD, b"\0\0\x7e\xd8")
    (tmp_path / "t").write_bytes(header + interface + unknown + packet)
    (found,) = read(tmp_path / "t")
    assert (found.lane, found.data, found.direction) == ("lo0", b"abc", Direction.RECEIVED)
    assert found.time_ns == 1_700_000_000_000_001_000


def test_what_is_no_trace_is_said(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("hello, this is not a capture")
    with pytest.raises(TraceError, match="not a pcapng trace"):
        list(read(tmp_path / "t"))
    with pytest.raises(TraceError, match="no such trace"):
        list(read(tmp_path / "missing"))
    (tmp_path / "empty").write_bytes(b"")
    assert list(read(tmp_path / "empty")) == []


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400), position=st.integers(0, 2000), flip=st.integers(1, 255))
def test_any_bytes_never_break_the_reader(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, position: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("t")
    whole = bytearray(sample(folder / "good"))
    whole[position % len(whole)] ^= flip
    for content in (data, bytes(whole), bytes(whole) + data):
        (folder / "t").write_bytes(content)
        reader = TraceReader(folder / "t")
        packets = reader.poll()
        assert len(packets) == reader.packets <= 4
        assert reader.offset <= len(content)
