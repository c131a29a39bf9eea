"""Clocks of lanes: what they state can be read back, and what they cannot tell apart has no order."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.trace import blocks, clocks
from bench.trace.clocks import ClockFit, Clocks, LaneClock, Order
from bench.trace.lane import Direction
from bench.trace.reader import TraceReader
from bench.trace.writer import TraceWriter

SECOND = 1_000_000_000
WALL = 1_780_000_000 * SECOND


def test_a_clock_stated_in_an_interface_is_read_back_from_the_file(tmp_path):
    stated = LaneClock("modem, QXDM time", offset=-1.25, drift=3.5, uncertainty=0.031)
    path = tmp_path / "trace.pcapng"
    with TraceWriter.open(path, run_id="r") as writer:
        writer.lane("diag:modem", description=f"scat 2.1.2; {stated.describe()}").record(Direction.RECEIVED, b"E")
        writer.lane("at:modem").record(Direction.SENT, b"AT\r")
    reader = TraceReader(path)
    reader.poll()
    found = Clocks({item.name: item.description for item in reader.section.interfaces})
    assert found.of("diag:modem") == stated
    assert found.of("at:modem") == clocks.DEFAULTS["at"]
    assert found.of("of another program") == clocks.UNKNOWN_CLOCK
    assert blocks.LINKTYPE_EXPORTED_PDU == 252


def test_the_order_of_two_events_within_their_uncertainty_is_unknown():
    known = Clocks()
    known.described("diag:m", LaneClock("modem", uncertainty=0.03).describe())
    known.described("scpi:p", LaneClock("host", uncertainty=0.04).describe())
    assert known.uncertainty("diag:m", "scpi:p") == pytest.approx(0.05)
    at = WALL
    assert known.order("diag:m", at, "scpi:p", at + 49_000_000) is Order.UNKNOWN
    assert known.order("diag:m", at, "scpi:p", at + 51_000_000) is Order.BEFORE
    assert known.order("diag:m", at, "scpi:p", at - 51_000_000) is Order.AFTER
    # Within one lane the packets came one after the other.
    assert known.order("scpi:p", at, "scpi:p", at + 1) is Order.BEFORE
    assert known.uncertainty("scpi:p", "scpi:p") == 0.0


def test_an_offset_is_applied_before_times_are_compared():
    known = Clocks()
    known.described("diag:m", LaneClock("modem", offset=2.0, uncertainty=0.001).describe())
    known.described("steps", LaneClock("host", uncertainty=0.001).describe())
    assert known.order("diag:m", WALL, "steps", WALL + SECOND) is Order.AFTER
    assert (
        LaneClock("x", offset=1.0, drift=1000.0, since_ns=WALL).host_ns(WALL + SECOND) == WALL + 2 * SECOND + 1_000_000
    )


def test_what_a_lane_states_later_replaces_what_it_stated_first():
    known = Clocks({"diag:m": LaneClock("modem, not yet compared", uncertainty=1e6).describe()})
    assert known.order("diag:m", WALL, "steps", WALL + SECOND) is Order.UNKNOWN
    better = LaneClock("modem", offset=-0.5, drift=1.0, uncertainty=0.02, since_ns=WALL)
    assert known.packet(json.dumps(better.update("diag:m")).encode())
    assert known.of("diag:m") == better
    assert known.order("diag:m", WALL, "steps", WALL + SECOND) is Order.BEFORE
    assert not known.packet(b'{"step":"x"}')


def test_unordered_marks_neighbours_of_a_time_line():
    known = Clocks()
    line = [("at:m", WALL), ("scpi:p", WALL + 1_000_000), ("scpi:p", WALL + 2_000_000), ("at:m", WALL + 5 * SECOND)]
    assert known.unordered(line) == [False, True, False, False]


@pytest.mark.parametrize("ppm", [0.0, 20.0, -35.0])
def test_a_fit_finds_offset_and_drift_from_events_that_are_seen_late(ppm):
    noise = random.Random(7)
    fit = ClockFit("modem")
    true_offset = 12.345
    for second in range(600):
        device = WALL + second * SECOND
        host = device + round((true_offset + second * ppm / 1e6) * SECOND)
        fit.add(device, host + round(noise.expovariate(1 / 0.01) * SECOND))
    found = fit.clock()
    assert found.drift == pytest.approx(ppm, abs=2.0)
    late = WALL + 500 * SECOND
    truth = late + round((true_offset + 500 * ppm / 1e6) * SECOND)
    assert abs(found.host_ns(late) - truth) / SECOND <= found.uncertainty
    assert 0.005 <= found.uncertainty < 0.06


def test_a_clock_that_is_set_begins_again():
    fit = ClockFit("modem")
    for second in range(20):  # as modems begin, before the network has told them the time: 1980
        assert not fit.add(second * SECOND, WALL + second * SECOND)
    assert fit.add(WALL + 21 * SECOND, WALL + 21 * SECOND + 3_000_000)
    assert fit.clock().offset == pytest.approx(0.003)


def test_without_a_pair_nothing_is_claimed():
    found = ClockFit("modem").clock()
    assert found.uncertainty > 1e5
    assert Clocks({"d": found.describe()}).order("d", WALL, "steps", WALL + 3600 * SECOND) is Order.UNKNOWN


@given(st.text(max_size=200))
def test_any_description_is_read(text):
    clocks.parse(text)
    clocks.parse(f"clock: {text}; offset +1.0 s; drift +0.0 ppm; uncertainty 0.1 s")


@given(st.binary(max_size=200))
def test_any_packet_is_read(data):
    clocks.read_update(data)
    clocks.read_update(b'{"schema":"trace.clock/1",' + data)


@given(
    st.dictionaries(
        st.sampled_from(["schema", "lane", "source", "offset_s", "drift_ppm", "uncertainty_s", "since_ns"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("trace.clock/1")),
    )
)
def test_any_object_is_read(raw):
    found = clocks.read_update(json.dumps(raw | {"schema": "trace.clock/1"}).encode())
    assert found is None or found[1].uncertainty >= 0
