"""A lock for one exchange with an instrument that several processes use, each for a channel of its own.

Supplies that select a channel before every command (``INST:NSEL 2``) keep one selection for all their clients: without
this, one station's voltage lands on another station's channel. The lock is named by the instrument's identity.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from bench.errors import BenchError, InstrumentTimeout
from bench.station import locks
from bench.station.interfaces import Identity

WITHIN = 5.0
"""Seconds that an exchange waits for others: longer than any one of them takes."""
URGENT_WITHIN = 0.3
"""Seconds that switching off waits; then it goes on without the lock."""
_AGAIN = 0.002


class Transactions:
    """The lock of one instrument in this process; opened at first use."""

    def __init__(self, identity: Identity, resource: str) -> None:
        key = identity.key() if identity.serial.strip(" 0") else f"{identity.key()} at {resource}"
        self.what = f"exchange with {key}"
        self._fd = -1

    def close(self) -> None:
        """Give the file back."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _take(self) -> bool:
        if self._fd < 0:
            try:
                self._fd = locks._open(locks._path(self.what))
            except OSError as error:
                raise BenchError(
                    f"the lock of {self.what} cannot be used: {error.strerror}", hint="see bench doctor"
                ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise BenchError(
                    f"the lock of {self.what} cannot be taken: {error}", hint="see bench doctor"
                ) from error
            return False
        return True

    def _give(self) -> None:
        with contextlib.suppress(OSError):
            if self._fd >= 0:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    @asynccontextmanager
    async def held(self, urgent: bool = False) -> AsyncIterator[None]:
        """Hold the lock for one exchange; an urgent one does not wait long and goes on without it.

        Raises InstrumentTimeout when another process keeps it beyond every deadline of an exchange.
        """
        until = time.monotonic() + (URGENT_WITHIN if urgent else WITHIN)
        while not (taken := self._take()):
            if time.monotonic() > until:
                if urgent:
                    break
                raise InstrumentTimeout(
                    f"another process keeps the {self.what}", hint="does a bench process hang? (bench doctor)"
                )
            await asyncio.sleep(_AGAIN)
        try:
            yield
        finally:
            if taken:
                self._give()

    @contextmanager
    def held_blocking(self, within: float) -> Iterator[None]:
        """Hold the lock for an exchange of the safe sequence; after ``within`` s go on without it: safe comes first."""
        until = time.monotonic() + within
        taken = False
        with contextlib.suppress(BenchError):
            while not (taken := self._take()) and time.monotonic() < until:
                time.sleep(_AGAIN)
        try:
            yield
        finally:
            if taken:
                self._give()
