"""The writer, checked by its own reader."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from bench.trace import Direction, TraceError, TraceWriter, read, repair
from bench.trace.writer import MAX_PDU


def test_packets_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcapng"
    with TraceWriter.open(path, run_id="r1") as writer:
        writer.lane("apdu:card").record(
            Direction.SENT, b"\x80\xe2\x91\x00\x03\xbf\x20\x00", time_ns=1_700_000_000_123_456_789
        )
        writer.lane("at:modem").record(Direction.RECEIVED, b"OK\r\n", time_ns=1_700_000_000_123_456_790, comment="fine")
    first, second = read(path)
    assert (first.lane, first.time_ns, first.direction) == ("apdu:card", 1_700_000_000_123_456_789, Direction.SENT)
    assert first.data == b"\x80\xe2\x91\x00\x03\xbf\x20\x00"
    assert first.comment == "STORE DATA: GetEuiccInfo1"
    assert (second.lane, second.direction, second.data, second.comment) == (
        "at:modem",
        Direction.RECEIVED,
        b"OK\r\n",
        "fine",
    )


def test_other_kinds_of_bytes_are_taken(tmp_path: Path) -> None:
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        for data in (bytearray(b"AT\r"), memoryview(b"AT\r")):
            writer.lane("at:m").record(Direction.SENT, data)  # type: ignore[arg-type]
    assert [packet.data for packet in read(tmp_path / "t")] == [b"AT\r"] * 2


def test_time_is_now_in_nanoseconds(tmp_path: Path) -> None:
    before = time.time_ns()
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        writer.lane("at:m").record(Direction.SENT, b"AT\r")
    (packet,) = read(tmp_path / "t")
    assert before <= packet.time_ns <= time.time_ns()


def test_a_lane_without_packets_leaves_no_interface(tmp_path: Path) -> None:
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        writer.lane("radio")
        size = (tmp_path / "t").stat().st_size
        lane = writer.lane("at:m")
        assert (tmp_path / "t").stat().st_size == size
        lane.record(Direction.SENT, b"AT\r")
        assert (tmp_path / "t").stat().st_size > size
        assert writer.lane("at:m") is lane


def test_every_packet_is_in_the_file_before_record_returns(tmp_path: Path) -> None:
    writer = TraceWriter.open(tmp_path / "t", run_id="r")
    lane = writer.lane("at:m")
    for count in range(1, 6):
        lane.record(Direction.SENT, b"AT%d\r" % count)
        assert [packet.data for packet in read(tmp_path / "t")][-1] == b"AT%d\r" % count
    writer.close()


def test_resuming_a_torn_trace_keeps_all_whole_packets(tmp_path: Path) -> None:
    path = tmp_path / "t"
    with TraceWriter.open(path, run_id="r") as writer:
        for count in range(3):
            writer.lane("at:m").record(Direction.SENT, b"%d" % count)
    with path.open("ab") as stream:
        stream.write(path.read_bytes()[-30:-7])  # half a record
    with TraceWriter.open(path, run_id="r") as writer:
        assert writer.repaired is not None
        assert writer.repaired.dropped == 23
        writer.lane("scpi:psu").record(Direction.SENT, b"*IDN?\n")
        writer.lane("at:m").record(Direction.SENT, b"again")
    assert [(packet.lane, packet.data) for packet in read(path)] == [
        ("at:m", b"0"),
        ("at:m", b"1"),
        ("at:m", b"2"),
        ("scpi:psu", b"*IDN?\n"),
        ("at:m", b"again"),
    ]


def test_a_file_that_is_no_trace_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("bring the board back on Monday\n" * 10)
    before = path.read_bytes()
    with pytest.raises(TraceError, match="not a pcapng trace"):
        TraceWriter.open(path, run_id="r")
    assert path.read_bytes() == before


def test_an_unwritable_place_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot open the trace") as caught:
        TraceWriter.open(tmp_path / "missing" / "t", run_id="r")
    assert caught.value.hint


def test_threads_record_at_once_without_tearing(tmp_path: Path) -> None:
    writer = TraceWriter.open(tmp_path / "t", run_id="r")

    def work(name: str) -> None:
        for count in range(500):
            writer.lane(f"at:{name}").record(Direction.SENT, f"{name} {count}".encode())

    threads = [threading.Thread(target=work, args=(f"m{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    writer.close()
    packets = list(read(tmp_path / "t"))
    assert len(packets) == 2000
    for number in range(4):
        mine = [packet.data.decode() for packet in packets if packet.lane == f"at:m{number}"]
        assert mine == [f"m{number} {count}" for count in range(500)]


def test_a_full_disk_loses_packets_but_tears_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t"
    writer = TraceWriter.open(path, run_id="r")
    lane = writer.lane("at:m")
    lane.record(Direction.SENT, b"before")
    real = os.write

    def short(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[:13])

    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bench.trace.writer.os.write", short)
    lane.record(Direction.SENT, b"lost half way")
    monkeypatch.setattr("bench.trace.writer.os.write", refuse)
    lane.record(Direction.SENT, b"lost")
    writer.lane("at:new").record(Direction.SENT, b"lost with its interface")
    monkeypatch.setattr("bench.trace.writer.os.write", real)
    with pytest.raises(TraceError, match="3 packets lost"):
        writer.sync()
    lane.record(Direction.SENT, b"after")
    writer.lane("at:new").record(Direction.SENT, b"new")
    writer.close()
    assert [packet.data for packet in read(path)] == [b"before", b"after", b"new"]
    assert repair(path).dropped == 0


def test_data_over_the_limit_of_wireshark_is_cut_into_parts(tmp_path: Path) -> None:
    data = os.urandom(MAX_PDU * 2 + 5)
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        writer.lane("es9plus").record(Direction.RECEIVED, data)
    packets = list(read(tmp_path / "t"))
    assert b"".join(packet.data for packet in packets) == data
    assert [packet.comment.split("]")[0] for packet in packets] == ["[part 1/3", "[part 2/3", "[part 3/3"]


def test_after_close_a_late_packet_is_counted_and_not_written(tmp_path: Path) -> None:
    writer = TraceWriter.open(tmp_path / "t", run_id="r")
    lane = writer.lane("at:m")
    lane.record(Direction.SENT, b"one")
    writer.close()
    writer.close()
    lane.record(Direction.SENT, b"two")
    assert writer.lost == 1
    assert [packet.data for packet in read(tmp_path / "t")] == [b"one"]


KI = b"0123456789ABCDEF0123456789ABCDEF"


@pytest.mark.parametrize(
    ("lane", "direction", "data", "secret"),
    [
        ("at:m", Direction.SENT, b'AT+CPIN="4711"\r', b"4711"),
        ("at:m", Direction.SENT, b'AT+CLCK="SC",0,"4711"\r', b"4711"),
        ("at:m", Direction.SENT, b'AT+CGAUTH=1,2,"user","hidden"\r', b"hidden"),
        ("at:m", Direction.SENT, b'AT+CSIM=26,"00200001083437313100000000"\r', b"34373131"),
        ("apdu:card", Direction.SENT, bytes.fromhex("00200001083437313100000000"), b"4711"),
        ("scpi:net", Direction.SENT, b"SUBS:SKEY " + KI + b"\n", KI),
        ("scpi:net", Direction.SENT, b"CONF:SUBS1:AUTH:MIL:OPC #H0123\n", b"#H0123"),
        ("scpi:net", Direction.SENT, b"SUBS:ADD '001010000000001'," + KI + b",MIL\n", KI),
    ],
)
def test_keys_and_pins_are_not_recorded(
    tmp_path: Path, lane: str, direction: Direction, data: bytes, secret: bytes
) -> None:
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        writer.lane(lane).record(direction, data)
    assert secret not in (tmp_path / "t").read_bytes()
    (packet,) = read(tmp_path / "t")
    assert len(packet.data) == len(data)
    with TraceWriter.open(tmp_path / "open", run_id="r", secrets=True) as writer:
        writer.lane(lane).record(direction, data)
    (packet,) = read(tmp_path / "open")
    assert packet.data == data


def test_the_answer_to_a_question_for_a_key_is_hidden(tmp_path: Path) -> None:
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        lane = writer.lane("scpi:net")
        lane.record(Direction.SENT, b"SUBS:SKEY?\n")
        lane.record(Direction.RECEIVED, b"#H42\n")
        lane.record(Direction.SENT, b"*OPC?\n")
        lane.record(Direction.RECEIVED, b"1\n")
    assert [packet.data for packet in read(tmp_path / "t")] == [b"SUBS:SKEY?\n", b"****\n", b"*OPC?\n", b"1\n"]


def test_session_keys_of_an_authentication_are_hidden(tmp_path: Path) -> None:
    res, ck, ik, kc = b"R" * 8, b"C" * 16, b"I" * 16, b"K" * 8
    answer = b"\xdb\x08" + res + b"\x10" + ck + b"\x10" + ik + b"\x08" + kc + b"\x90\x00"
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        writer.lane("apdu:card").record(Direction.RECEIVED, answer)
        writer.lane("at:m").record(Direction.RECEIVED, b'+CSIM: 104,"' + answer.hex().encode() + b'"\r\n')
    whole = (tmp_path / "t").read_bytes()
    for secret in (ck, ik, kc, ck.hex().encode(), ik.hex().encode()):
        assert secret not in whole
    assert res in whole


@pytest.mark.parametrize(
    "line",
    [
        b"AT+CPIN?\r",
        b"AT+CLCK=?\r",
        b"*OPC?\n",
        b"*OPC\n",
        b"VOLT 3.8\n",
        b'AT+CCHO="A0000005591010FFFFFFFF8900000100"\r',
        b"KEYB:LOCK\n",
    ],
)
def test_ordinary_lines_stay_as_they_are(tmp_path: Path, line: bytes) -> None:
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        writer.lane("at:m" if line.startswith(b"AT") else "scpi:psu").record(Direction.SENT, line)
    (packet,) = read(tmp_path / "t")
    assert packet.data == line
