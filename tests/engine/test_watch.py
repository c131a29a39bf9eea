"""When the supervisor loses patience: rules over times, without waiting."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.engine import link
from bench.engine.watch import Watch

RUNNING = {"phase": "running", "activity": 1, "teardown_within": 3.0}


def running(now: float = 0.0) -> Watch:
    watch = Watch(now)
    watch.take_beat(RUNNING, now)
    return watch


def test_a_silent_loop_counts_as_frozen_after_five_seconds() -> None:
    watch = running(100.0)
    assert watch.next_overdue().due == 105.0
    watch.take_beat(RUNNING, 104.0)
    overdue = watch.next_overdue()
    assert overdue.due == 109.0
    assert "did not turn for 5 s" in overdue.what
    assert "time.sleep" in overdue.hint


def test_a_stop_must_be_answered_within_half_a_second() -> None:
    watch = running()
    assert watch.stop(1.0)
    assert watch.next_overdue().due == 1.5
    assert not watch.stop(1.2)
    assert watch.next_overdue().due == 1.5
    watch.take_ack(1.4)
    assert watch.next_overdue().due > 2.0


def test_teardown_may_go_on_as_long_as_something_happens() -> None:
    watch = running()
    watch.stop(1.0)
    watch.take_ack(1.0)
    now = 1.0
    while now < 4.4:
        watch.take_beat({"phase": "teardown", "activity": int(now * 10), "teardown_within": 3.0}, now)
        assert watch.next_overdue().due > now
        now += 0.1
    overdue = watch.next_overdue()
    assert overdue.due == 4.5
    assert "teardown did not end" in overdue.what


def test_teardown_without_activity_ends_after_a_second_although_the_loop_turns() -> None:
    watch = running()
    watch.stop(1.0)
    watch.take_ack(1.0)
    for tenth in range(20):
        watch.take_beat({"phase": "teardown", "activity": 5, "teardown_within": 10.0}, 1.0 + tenth / 10)
    overdue = watch.next_overdue()
    assert overdue.due == pytest.approx(2.0)
    assert "nothing happened in its teardown" in overdue.what


def test_an_undisturbed_teardown_may_be_quiet() -> None:
    watch = running()
    watch.take_beat({"phase": "teardown", "activity": 5, "teardown_within": 8.0}, 1.0)
    watch.take_beat({"phase": "teardown", "activity": 5, "teardown_within": 8.0}, 6.0)
    assert watch.next_overdue().due == 9.5


phases = st.sampled_from([link.STARTING, link.RUNNING, link.TEARDOWN, link.SAFE, link.ENDING])
steps = st.lists(
    st.tuples(st.floats(0, 3), st.sampled_from(["beat", "ack", "stop"]), phases, st.integers(0, 3)), max_size=20
)


@given(steps)
def test_patience_is_always_limited(history: list[tuple[float, str, str, int]]) -> None:
    """Whatever a runner says, silence after it is noticed within 5 s, and an unanswered stop within 0.5 s."""
    now = 0.0
    watch = Watch(now)
    for pause, kind, phase, activity in history:
        now += pause
        if kind == "beat":
            watch.take_beat({"phase": phase, "activity": activity, "teardown_within": 60.0}, now)
        elif kind == "ack":
            watch.take_ack(now)
        else:
            watch.stop(now)
    overdue = watch.next_overdue()
    assert overdue.due <= now + link.LOST
    assert overdue.what
    if watch.stopped_at is not None and not watch.acknowledged:
        assert overdue.due <= watch.stopped_at + link.ACK


def test_messages_keep_their_borders_and_survive_nonsense() -> None:
    one, two = link.pair()
    with one, two:
        assert link.send(one, "beat", phase="running")
        one.send(b"\xff")
        one.send(b"[]")
        two.setblocking(False)
        assert link.receive(two) == {"type": "beat", "phase": "running"}
        assert link.receive(two) == {"type": "unreadable"}
        assert link.receive(two) == {"type": "unreadable"}
        with pytest.raises(BlockingIOError):
            link.receive(two)
        one.shutdown(socket.SHUT_RDWR)
        assert link.receive(two) is None
        assert link.send(one, "beat") is False
