"""Making safe for others: what a simulated world means that ends in the middle of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from bench.engine import takeover
from bench.run import liveness

ACTIONS = [{"name": "psu off"}, {"name": "emulator off"}]


@pytest.fixture
def world() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def safe(world: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, *, ends_at: int) -> tuple[bool, list[Any]]:
    """Make safe while nothing answers; the world ends in that look (1, 2; 0: not at all)."""
    looks: list[Sequence[Mapping[str, Any]]] = []

    class Silent:
        def carry_out(self, actions: Sequence[Mapping[str, Any]], *, deadline: float) -> list[dict[str, Any]]:
            looks.append(actions)
            if len(looks) == ends_at:
                world.kill()
                world.wait(timeout=10)
            return [{"name": action["name"], "verified": False, "reading": None, "message": "?"} for action in actions]

    monkeypatch.setattr(takeover, "SafeProcess", Silent)
    told: list[Any] = []
    who = {"pid": world.pid, "start": liveness.start_time(world.pid)}
    return takeover.make_safe({"actions": ACTIONS, "world": who}, told.append), told


@pytest.mark.parametrize("look", [1, 2])
def test_a_world_that_ends_while_it_is_asked_is_off(
    world: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    everything, told = safe(world, monkeypatch, ends_at=look)
    assert everything and [result["name"] for result in told] == ["psu off", "emulator off"]
    assert all(result["verified"] and result["message"] == takeover.WORLD_GONE for result in told)


def test_a_world_that_lives_and_does_not_answer_is_not_dead(
    world: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything, told = safe(world, monkeypatch, ends_at=0)
    assert not everything and [result["message"] for result in told] == ["?", "?"]
