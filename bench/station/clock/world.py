"""The clock of a simulated world, over its local socket."""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from bench.errors import InstrumentError
from bench.station.clock.blocking import Select, hook_select
from bench.station.clock.deadlines import Deadlines, Entry
from bench.station.clock.protocols import PortCounter

NANOSECONDS: Final = 1_000_000_000
_BACKSTOP: Final = 30.0
"""Real seconds after which a scope ends at the earliest although station time stands still: something hangs."""


class _Counter:
    """Byte counts of one port as this process sees them."""

    __slots__ = ("_clock", "path", "rx", "tx")

    def __init__(self, clock: SocketClock, path: str) -> None:
        self._clock = clock
        self.path = path
        self.rx = 0
        self.tx = 0

    def sent(self, count: int) -> None:
        self.tx += count
        self._clock._counted.add(self.path)

    def received(self, count: int) -> None:
        self.rx += count
        self._clock._counted.add(self.path)


class _Scope:
    """One ``timeout``, ``limit`` or ``aside``: a deadline in station time, active, passive or beside the run."""

    __slots__ = ("_active", "_clock", "_inner", "_seconds", "aside", "deadline")

    def __init__(self, clock: SocketClock, seconds: float | None, active: bool, *, aside: bool = False) -> None:
        self._clock = clock
        self._seconds = seconds
        self._active = active
        self.aside = aside
        self.deadline: int | None = None

    async def __aenter__(self) -> None:
        clock, seconds = self._clock, self._seconds
        clock._check()
        if not clock._instant:
            real = None if seconds is None else max(seconds, 0.0) / clock._factor
        else:
            real = None if seconds is None or self.aside else max(seconds, _BACKSTOP)
        self._inner = asyncio.timeout(real)
        await self._inner.__aenter__()
        clock._enter(self, seconds, self._active)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clock._leave(self, self._active)
        try:
            await self._inner.__aexit__(kind, error, trace)
        except TimeoutError as expired:
            self._clock._check(expired)
            raise

    def extend(self, seconds: float) -> None:
        """End ``seconds`` of station time later (Extensible)."""
        self._clock._put_off(self, seconds)
        when = self._inner.when()
        if when is not None and not self._inner.expired():
            self._inner.reschedule(when + seconds / self._clock._factor)

    def expire(self) -> None:
        if not self._inner.expired():  # the real backstop may have come first
            self._inner.reschedule(asyncio.get_running_loop().time())


class _Sleep:
    """A sleeping task."""

    __slots__ = ("deadline", "future")
    aside = False

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.deadline: int | None = None
        self.future = future

    def expire(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def fail(self, error: InstrumentError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class SocketClock:
    """The clock of a simulated world, by its local socket (one party of it: this process).

    In instant mode the process counts as waiting when at least one ``timeout`` or ``sleep`` is in force, no ``busy`` is
    held and its event loop has nothing ready: that is announced, with the earliest deadline (of passive limits too) and
    the bytes counted on every port, at the moment the loop is about to block. Whatever then wakes the loop, but for the
    clock itself, is announced before it is handled. A scope also ends after its own length, at least 30 s, of real
    time: a world or a peer that hangs does not hang the run.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, hello: dict[str, Any], rest: bytes
    ) -> None:
        self.mode = str(hello["mode"])
        self._instant = self.mode == "instant"
        self._factor = float(hello.get("factor") or 1.0)
        self._base_ns = int(hello["now_ns"])
        self._base_mono = int(hello.get("mono_ns") or time.monotonic_ns())
        self._loop = loop
        self._sock = sock
        self._received = rest
        self._backlog = b""
        self._ports: dict[str, _Counter] = {}
        self._counted: set[str] = set()
        self._active = 0
        self._busy = 0
        self._id = 0
        self._deadlines = Deadlines()
        self._offers_aside = bool(hello.get("aside"))
        """The world wakes for deadlines beside the run; otherwise they are met when it wakes for another."""
        self._gone = ""
        self._map: mmap.mmap | None = None
        self._unhook: Callable[[], None] | None = None
        if self._instant:
            fd = os.open(hello["shm"], os.O_RDONLY)
            try:
                self._map = mmap.mmap(fd, 8, mmap.MAP_SHARED, mmap.PROT_READ)
            finally:
                os.close(fd)
            self._unhook = hook_select(loop, self._select)
        loop.add_reader(sock.fileno(), self._readable)

    @classmethod
    async def connect(cls, path: str | Path, *, party: str = "runner", timeout: float = 5.0) -> SocketClock:
        """Register as ``party`` at the clock socket ``path``. Raises InstrumentError; ``timeout`` in real seconds."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(timeout):
                await loop.sock_connect(sock, str(path))
                await loop.sock_sendall(sock, json.dumps({"op": "hello", "party": party}).encode() + b"\n")
                data = b""
                while b"\n" not in data:
                    chunk = await loop.sock_recv(sock, 4096)
                    if not chunk:
                        raise ConnectionError("closed by the world")
                    data += chunk
            line, _, rest = data.partition(b"\n")
            return cls(loop, sock, json.loads(line), rest)
        except (OSError, TimeoutError, ValueError, KeyError) as error:
            sock.close()
            raise InstrumentError(
                f"no clock of a simulated world: {error or type(error).__name__}",
                where=str(path),
                hint="is the world (bench sim up) still running?",
            ) from error
        except BaseException:
            sock.close()
            raise

    def now(self) -> float:
        """Return station time in seconds."""
        return self._now_ns() / NANOSECONDS

    def _now_ns(self) -> int:
        if self._map is not None:
            return int(struct.unpack_from("<q", self._map)[0])
        return self._base_ns + int((time.monotonic_ns() - self._base_mono) * self._factor)

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of station time. Raises InstrumentError when the world ends meanwhile."""
        self._check()
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        if not self._instant:
            await asyncio.sleep(seconds / self._factor)
            return
        entry = _Sleep(self._loop.create_future())
        self._enter(entry, seconds, True)
        try:
            await entry.future
        finally:
            self._leave(entry, True)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[None]:
        """Wait actively: see ``Clock.timeout``."""
        return _Scope(self, seconds, True)

    def limit(self, seconds: float | None) -> AbstractAsyncContextManager[None]:
        """Limit passively: see ``Clock.limit``."""
        return _Scope(self, seconds, False)

    def aside(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Look in when time comes by: see ``Clock.aside``."""
        return _Scope(self, seconds, False, aside=True)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Hold station time (instant mode) while real work goes on."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    def port(self, path: str) -> PortCounter:
        """Return the byte counter of a port; the same one for the same path."""
        counter = self._ports.get(path)
        if counter is None:
            counter = self._ports[path] = _Counter(self, path)
            self._counted.add(path)
        return counter

    async def close(self) -> None:
        """Leave the world: it no longer waits for this process."""
        self._end("the clock was closed")

    # -- scopes

    def _check(self, cause: BaseException | None = None) -> None:
        if self._gone:
            raise _gone(self._gone) from cause

    def _enter(self, entry: Entry, seconds: float | None, active: bool) -> None:
        self._active += active
        timed = seconds is not None and self._instant  # otherwise asyncio's own timer ends it
        self._deadlines.enter(entry, self._now_ns() + round((seconds or 0) * NANOSECONDS) if timed else None)

    def _put_off(self, entry: Entry, seconds: float) -> None:
        self._deadlines.put_off(entry, round(seconds * NANOSECONDS))

    def _leave(self, entry: Entry, active: bool) -> None:
        self._active -= active
        self._deadlines.leave(entry)

    def _fire(self) -> None:
        """End every scope whose deadline has come."""
        self._deadlines.fire(self._now_ns())

    # -- the loop is about to block

    def _select(self, select: Select, timeout: float | None) -> list[Any]:
        if not self._active or self._busy or self._gone or (timeout is not None and timeout <= 0):
            return select(timeout)
        events = select(0)
        if events:
            return events
        until = self._deadlines.earliest()
        if until is not None and until <= self._now_ns():
            self._loop.call_soon(self._fire)
            return events
        self._id += 1
        counted, self._counted = self._counted, set()
        rx = {path: self._ports[path].rx for path in counted}
        tx = {path: self._ports[path].tx for path in counted}
        message = f'{{"op":"wait","id":{self._id},"until_ns":{"null" if until is None else until}'
        aside = self._deadlines.earliest_aside() if self._offers_aside else None
        if aside is not None:
            message += f',"aside_ns":{aside}'
        self._send(f'{message},"rx":{json.dumps(rx)},"tx":{json.dumps(tx)}}}\n' if counted else message + "}\n")
        events = select(timeout)
        mine = self._sock.fileno()
        if not events or any(key.fd != mine for key, _ in events):
            self._id += 1
            self._send(f'{{"op":"run","id":{self._id}}}\n')
        return events

    def _send(self, message: str) -> None:
        data = self._backlog + message.encode()
        try:
            self._backlog = data[self._sock.send(data) :]
        except BlockingIOError:
            self._backlog = data
        except OSError as error:
            self._loop.call_soon(self._end, f"the simulated world is gone: {error}")
            return
        if self._backlog:
            self._loop.add_writer(self._sock.fileno(), self._flush)

    def _flush(self) -> None:
        self._loop.remove_writer(self._sock.fileno())
        self._send("")

    def _readable(self) -> None:
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(f"the simulated world is gone: {error}")
            return
        if not data:
            self._end("the simulated world is gone")
            return
        *lines, self._received = (self._received + data).split(b"\n")
        if lines:
            self._fire()  # the only message is "wake": what has expired is told by the time itself

    def _end(self, why: str) -> None:
        if self._gone:
            return
        self._gone = why
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        if self._unhook is not None:
            self._unhook()
        self._sock.close()
        for entry in tuple(self._deadlines.live):
            if isinstance(entry, _Sleep):
                entry.fail(_gone(why))
            else:
                entry.expire()


def _gone(why: str) -> InstrumentError:
    return InstrumentError(why, where="station clock", hint="the simulated world ended; see its last log")
