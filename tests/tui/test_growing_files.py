"""Readers of files that are being written: whatever is there, and wherever it is cut, they say what is whole."""

from __future__ import annotations

import datetime
import gc
import json
import math
import struct
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.client.growing import PIECE, Growing
from bench.client.packets import Chosen, TraceIndex
from bench.trace import Direction, TraceWriter, read
from bench.tui.feed import RunFeed
from bench.tui.samples import SampleTail

LANES = ("at:modem", "apdu:card", "scpi:psu")


def traced(folder: Path, count: int) -> bytes:
    path = folder / "whole.pcapng"
    with TraceWriter.open(path, run_id="r") as trace:
        for number in range(count):
            lane = trace.lane(LANES[number * 7 % 3])
            lane.record(
                Direction.SENT, bytes([number % 256]) * (number % 9), time_ns=10**18 + number, comment=f"{number}"
            )
    return path.read_bytes()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1200), st.lists(st.floats(0, 1), max_size=5))
def test_a_trace_that_grows_by_any_pieces_has_the_packets_of_the_whole(count: int, cuts: list[float]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = traced(folder, count)
        whole = list(read(folder / "whole.pcapng"))
        path = folder / "grown.pcapng"
        path.touch()
        index = TraceIndex(path)
        shown = Chosen(index, lambda lane: lane != "scpi:psu")
        at = 0
        for end in [*sorted(round(cut * len(data)) for cut in cuts), len(data)]:
            with path.open("ab") as file:
                file.write(data[at:end])
            at = end
            while index.grow(700):
                pass
            known = len(index)
            for number in {0, known // 2, known - 1} & set(range(known)):
                assert index.at(number).data == whole[number].data and index.lane(number) == whole[number].lane
            shown.grow(known)
            assert list(shown) == [number for number in range(known) if whole[number].lane != "scpi:psu"]
        assert len(index) == len(whole) == count and not index.trouble
        assert [packet.comment for _, packet in index.span(0, count)] == [packet.comment for packet in whole]
        assert list(index.times) == [packet.time_ns for packet in whole]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.binary(max_size=200), st.floats(0, 1))
def test_any_bytes_after_a_trace_are_told_and_cost_nothing_of_it(count: int, rubbish: bytes, cut: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = traced(folder, count)
        path = folder / "trace.pcapng"
        path.write_bytes(data + rubbish)
        index = TraceIndex(path)
        while index.grow(50):
            pass
        assert len(index) >= count and index.at(count - 1).comment == f"{count - 1}"
        path.write_bytes(data[: round(cut * len(data))])  # shorter than it was
        for number in range(len(index)):
            try:
                assert index.at(number).number >= 0
            except IndexError:
                continue


row = st.tuples(*[st.floats(width=32) for _ in range(3)])


@settings(max_examples=100, deadline=None)
@given(st.lists(row, max_size=200), st.lists(st.integers(0, 2400), max_size=6), st.binary(max_size=30))
def test_samples_come_whole_however_they_are_cut(rows: list[tuple[float, ...]], cuts: list[int], header: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "power-psu.f32"
        path.with_suffix(".json").write_bytes(header or json.dumps({"name": "psu", "start": {"t": 5.0}}).encode())
        data = b"".join(struct.pack("<3f", *values) for values in rows)
        path.touch()
        tail = SampleTail(path)
        at = came = 0
        for end in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
            with path.open("ab") as file:
                file.write(data[at:end])
            at = end
            came += tail.grow()
            assert came == len(tail.times) == len(tail.volts) == len(tail.amps) == end // 12
        assert struct.pack(f"<{came}f", *tail.volts) == b"".join(data[k * 12 + 4 : k * 12 + 8] for k in range(came))
        assert all(later >= sooner for sooner, later in zip(tail.times, list(tail.times)[1:], strict=False))
        assert all(math.isfinite(moment) for moment in tail.times)


def test_a_night_of_steps_and_moments_stays_small(tmp_path: Path) -> None:
    feed = RunFeed(tmp_path, lambda stop: iter(()))
    began = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
    made = 0

    def night(hours: range) -> int:
        """Take the events of these hours, a step with 20 measurements each 10 s; return what is kept, in bytes."""
        nonlocal made
        for second in range(hours.start * 3600, hours.stop * 3600, 10):
            for kind in ("step-start", *["measurement"] * 20, "step-end"):
                wall = (began + datetime.timedelta(seconds=second + 9 * (kind == "step-end"))).isoformat()
                data = {"name": f"rail {made}", "value": 3.8, "unit": "V"} if kind == "measurement" else {}
                event = {"type": kind, "step": f"cycle-{second}", "t": float(second), "wall": wall, "data": data}
                feed._events.append(event)
                made += 1
            feed.take()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    try:
        tracemalloc.start()
        first = night(range(1))
        grown = night(range(1, 3)) - first
    finally:
        tracemalloc.stop()
        feed.close()
    assert grown / 2 * 8 < 5e6, "eight hours of it"
    assert feed.view.steps[-1].measurements[-1]["name"] == f"rail {made - 2}"
    assert len(feed.moments) > 3 * 360 and feed.moments[-1][1] == 3 * 3600.0 - 10


def test_growing_numbers_are_those_of_a_list_and_stay_where_they_are() -> None:
    numbers: Growing[int] = Growing("q")
    expected: list[int] = []
    for number in range(2 * PIECE + 3):
        numbers.append(number * 3)
        expected.append(number * 3)
        assert len(numbers) == number + 1 and numbers[-1] == numbers[number] == expected[-1]
    assert list(numbers) == expected and numbers[PIECE - 2 : -PIECE : 5] == expected[PIECE - 2 : -PIECE : 5]
    for beyond in (len(expected), -len(expected) - 1):
        with pytest.raises(IndexError, match=str(beyond)):
            numbers[beyond]
    with pytest.raises(OverflowError):
        numbers.append(1 << 63)
    assert len(numbers) == len(expected)


def test_a_record_longer_than_what_is_read_at_a_time_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcapng"
    sizes = [3, 70_000, 0, 200_000, 5]
    with TraceWriter.open(path, run_id="r") as trace:
        for number, size in enumerate(sizes):
            trace.lane("ip:wan").record(Direction.SENT, bytes(size), time_ns=10**18 + number)
    assert [len(packet.data) for packet in read(path)] == sizes
    index = TraceIndex(path)
    while index.grow(2):
        pass
    assert [len(index.at(number).data) for number in range(len(index))] == sizes and not index.trouble


def test_samples_of_a_night_that_is_over_are_all_read(tmp_path: Path) -> None:
    path = tmp_path / "power-psu.f32"
    path.with_suffix(".json").write_text(json.dumps({"name": "psu", "start": {"t": 0.0}}))
    path.write_bytes(struct.pack("<3f", 0.5, 3.8, 0.1) * 20_000)
    tail = SampleTail(path)
    assert tail.grow() == len(tail.times) == 20_000 and tail.times[-1] == 10_000.0, "all pieces of it at one look"
    assert tail.grow() == 0
