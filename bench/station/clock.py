"""Station time: one clock for everything that waits for the device.

For real stations it is the monotonic clock. A simulated world offers its own on a local socket: real, scaled, or
discrete-event ("instant"), where the world jumps to its next event, or to the earliest announced deadline, only when
every registered party waits and no bytes are in flight (DESIGN.md section 8). Code that waits for the device uses
``timeout`` and ``sleep`` here and never asyncio's; transport, TLS and CoAP timers stay real.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Protocol


class PortCounter(Protocol):
    """Counts the bytes of one port, so that the world knows when none are in flight."""

    def sent(self, count: int) -> None:
        """Note ``count`` bytes written to the port."""

    def received(self, count: int) -> None:
        """Note ``count`` bytes read from the port."""


class Clock(Protocol):
    """Seconds of station time. One clock a process; all methods belong to the event loop's thread."""

    mode: str
    """``real``, ``scaled:<factor>`` or ``instant``."""

    def now(self) -> float:
        """Seconds since an arbitrary start, never going back."""

    async def sleep(self, seconds: float) -> None:
        """Wait, letting time run."""

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[None]:
        """``async with clock.timeout(5.0):`` an active wait: what is awaited inside waits for the device.

        Time may run (or jump) inside it. Raises TimeoutError when the scope ends ``seconds`` later. Scopes nest.
        """

    def limit(self, seconds: float | None) -> AbstractAsyncContextManager[None]:
        """As ``timeout`` but passive: it enforces a deadline (of a step, say) without letting time jump by itself."""

    def busy(self) -> AbstractContextManager[None]:
        """``with clock.busy():`` real work inside a ``timeout`` (a VISA thread, a server call): time must not jump."""

    def port(self, path: str) -> PortCounter:
        """Return the counter of a port by the path or address under which it is opened."""


class _NoCounter:
    def sent(self, count: int) -> None:
        pass

    def received(self, count: int) -> None:
        pass


class RealClock:
    """The monotonic clock of the host."""

    mode = "real"

    def now(self) -> float:
        """Return the host's monotonic time in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        """End what is awaited inside after ``seconds`` with TimeoutError."""
        async with asyncio.timeout(seconds):
            yield

    limit = timeout

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Do nothing: real time runs anyway."""
        yield

    def port(self, path: str) -> PortCounter:
        """Return a counter that counts nothing."""
        return _NoCounter()
