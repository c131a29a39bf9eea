"""What a clock is to those who wait with it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol, runtime_checkable


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
        """Wait ``seconds`` of station time, letting it run."""

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[None]:
        """``async with clock.timeout(5.0):`` an active wait: what is awaited inside waits for the device.

        Time may run (or jump) inside it. Raises TimeoutError when the scope ends ``seconds`` later. Scopes nest.
        """

    def limit(self, seconds: float | None) -> AbstractAsyncContextManager[None]:
        """As ``timeout`` but passive: it enforces a deadline (of a step, say) without letting time jump by itself."""

    def aside(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """As ``limit``, for what goes on beside the run: it is looked at after ``seconds``, perhaps a little later.

        Time neither runs nor waits because of it: a simulated world does not stop for it while anything else is on
        its way.
        """

    def busy(self) -> AbstractContextManager[None]:
        """``with clock.busy():`` real work inside a ``timeout`` (a VISA thread, a server call): time must not jump."""

    def port(self, path: str) -> PortCounter:
        """Return the counter of a port by the path or address under which it is opened."""


@runtime_checkable
class Extensible(Protocol):
    """A scope of a clock whose deadline can be put off while it is in force."""

    def extend(self, seconds: float) -> None:
        """End ``seconds`` of station time later."""
