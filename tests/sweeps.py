"""Sweeps over every place of something: all of it in a campaign, a sample in CI."""

from __future__ import annotations

from typing import Protocol

STRIDE = 4


class Sweep(Protocol):
    """Chooses of ``range(count)``: each fourth from ``first`` on and the last; all of them with ``pytest --whole``."""

    def __call__(self, count: int, first: int = 0) -> list[int]: ...


def sweep(whole: bool) -> Sweep:
    """Return what chooses."""
    stride = 1 if whole else STRIDE

    def chosen(count: int, first: int = 0) -> list[int]:
        return sorted({*range(first % stride, count, stride), *([count - 1] if count else [])})

    return chosen
