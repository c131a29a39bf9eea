"""The host's monotonic clock, which every real station has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from types import TracebackType

from bench.station.clock.protocols import PortCounter


class _RealScope:
    """A deadline in real time."""

    __slots__ = ("_timeout",)

    def __init__(self, seconds: float | None) -> None:
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._timeout.__aexit__(kind, error, trace)

    def extend(self, seconds: float) -> None:
        when = self._timeout.when()
        if when is not None and not self._timeout.expired():
            self._timeout.reschedule(when + seconds)


class NoCounter:
    """The counter of a clock that need not know what is in flight (protocols.PortCounter)."""

    def sent(self, count: int) -> None:
        """Count nothing."""

    def received(self, count: int) -> None:
        """Count nothing."""


class RealClock:
    """The monotonic clock of the host."""

    mode = "real"

    def now(self) -> float:
        """Return the host's monotonic time in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[None]:
        """End what is awaited inside after ``seconds`` with TimeoutError."""
        return _RealScope(seconds)

    limit = timeout
    aside = timeout

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Do nothing: real time runs anyway."""
        yield

    def port(self, path: str) -> PortCounter:
        """Return a counter that counts nothing."""
        return NoCounter()
