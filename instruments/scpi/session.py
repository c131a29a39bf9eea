"""A SCPI session for asyncio: one daemon thread owns the connection, one exchange at a time, the urgent ones first.

Transport time is real: while an exchange is under way station time is held (``clock.busy``). Every line is on the lane.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.errors import InstrumentError, InstrumentTimeout
from bench.station.clock import Clock, RealClock
from bench.station.interfaces import Identity
from bench.trace.lane import Direction, Lane, NullLane
from instruments.promptness import LOOK_MS, Promptness
from instruments.scpi import parse
from instruments.scpi.link import ConnectionLost, VisaLink
from instruments.scpi.parse import AnswerError, ScpiError

T = TypeVar("T")

IDENTIFY = 2.0
ANSWER = 3.0
_RECOVER = 1.0
_QUEUE_DEPTH = 32
_SHOWN = 4096
"""Bytes of a data block that the lane keeps: a fast log has megabytes, and the samples have a file of their own."""


class _Turns:
    """Who may use the connection: first come, first served, but the urgent before all others."""

    def __init__(self) -> None:
        self.taken = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._normal: deque[asyncio.Future[None]] = deque()

    async def take(self, *, urgent: bool) -> None:
        if not self.taken:
            self.taken = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._normal).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()  # it was given while this task was being cancelled
            raise

    def give(self) -> None:
        for line in (self._urgent, self._normal):
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self.taken = False


@dataclass(frozen=True, slots=True)
class Manners:
    """How a family's line protocol differs from IEEE 488.2.

    ``sync``: the query that answers when a command is done; empty where there is none. ``errors``: the query that pops
    the error queue. ``pause``: real seconds without a byte after each command, which some firmware needs.
    """

    sync: str = "*OPC?"
    errors: str = "SYST:ERR?"
    pause: float = 0.0


class ScpiSession:
    """Ask and command one SCPI instrument. Open with ``ScpiSession.open``."""

    def __init__(
        self, resource: str, *, name: str, lane: Lane, clock: Clock, timeout: float, manners: Manners | None = None
    ) -> None:
        self.resource = resource
        self.name = name
        self.timeout = timeout
        self.manners = manners or Manners()
        self.guard: Callable[[bool], AbstractAsyncContextManager[None]] | None = None
        """What an exchange is done under, given whether it is urgent: a lock that other processes take too."""
        self.identity = Identity()
        self._identify = IDENTIFY
        self._lane = lane
        self._clock = clock
        self._link = VisaLink(resource)
        self._loop = asyncio.get_running_loop()
        self._turns = _Turns()
        self._promptness = Promptness()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._working = False
        self._left_behind = False
        self._closed = False
        self._thread = threading.Thread(target=self._own, name=f"scpi {name}", daemon=True)
        self._thread.start()

    @classmethod
    async def open(
        cls,
        resource: str,
        *,
        name: str = "",
        lane: Lane | None = None,
        clock: Clock | None = None,
        timeout: float = ANSWER,
        identify: float = IDENTIFY,
        manners: Manners | None = None,
    ) -> ScpiSession:
        """Connect and ask *IDN? at once: only an answer shows that something is there.

        ``timeout`` and ``identify`` in real seconds for one answer. Raises InstrumentError when nothing answers.
        """
        session = cls(
            resource,
            name=name or resource,
            lane=lane or NullLane(),
            clock=clock or RealClock(),
            timeout=timeout,
            manners=manners,
        )
        session._identify = identify
        try:
            async with session._turn():
                try:
                    await session._step(session._link.open)
                except ConnectionLost as error:
                    error.what = f"{session.name}: {error.what}"
                    raise
                try:
                    session.identity = parse.identity(await session._ask("*IDN?", identify))
                except (InstrumentTimeout, ConnectionLost) as error:
                    raise InstrumentError(
                        f"{session.name} does not answer *IDN?: {error.what}",
                        where=resource,
                        hint="is it on, is the address right, and does no other program hold its only connection?",
                    ) from error
                await session._drain_queue()  # what others left there must not be taken for ours
        except BaseException:
            session._end()
            raise
        return session

    async def close(self) -> None:
        """Close the connection and end the thread; an exchange under way is abandoned."""
        if self._closed:
            return
        self._link.abandon()
        async with self._turn(urgent=True):
            await self._step(self._link.close)
        self._end()

    def _end(self) -> None:
        self._closed = True
        self._link.abandon()
        self._jobs.put(None)

    # --- exchanges ------------------------------------------------------------------------------------------------

    async def query(self, command: str, *, timeout: float | None = None, urgent: bool = False) -> str:
        """Send a query and return its answer, stripped.

        A connection found closed is opened again before sending; one that breaks before the answer is opened again
        and the query repeated once. Raises InstrumentTimeout with what the error queue says, or InstrumentError.
        """
        return await self.value(command, str, timeout=timeout, urgent=urgent)

    async def value(
        self, command: str, read: Callable[[str], T], *, timeout: float | None = None, urgent: bool = False
    ) -> T:
        """Send a query and return what ``read`` makes of its answer, such as ``parse.number``.

        What ``read`` does not understand (AnswerError) closes the connection: garbage may have come before the right
        answer, and that would then be taken for the answer to the next question. Raises as ``query`` does.
        """
        seconds = self.timeout if timeout is None else timeout

        async def ask() -> T:
            return await self._understood(command, await self._ask(command, seconds), read)

        async with self._turn(urgent=urgent):
            await self._ready()
            try:
                return await ask()
            except ConnectionLost:
                await self._ready()
                return await ask()
            except InstrumentTimeout as error:
                raise await self._explained(error) from None

    async def write(self, command: str, *, urgent: bool = False, shown: str | None = None, sync: bool = True) -> None:
        """Send a command, wait until it is done (``*OPC?``) and check the error queue.

        ``sync=False`` does not wait: after a trigger ``*OPC?`` answers only when a whole list has run. ``shown`` is
        what lane and messages show instead of a command that holds a secret. Never repeated: when the connection breaks
        it is not known whether the command was carried out, and the error says so.
        """
        async with self._turn(urgent=urgent):
            await self._ready()
            self._sent(shown or command)
            try:
                await self._step(lambda: self._command(command))
            except ConnectionLost as error:
                if shown is None:
                    raise
                # The link's error names the command: neither it nor what follows it may show the secret.
                raise ConnectionLost(error.what, where=f"{self.resource}: {parse.shown(shown)}") from None
            try:
                if self.manners.sync and sync:
                    answer = await self._ask(self.manners.sync, self.timeout)
                    if self.manners.sync == "*OPC?":
                        await self._understood(shown or command, answer, parse.done)
            except ConnectionLost as error:
                raise ConnectionLost(
                    f"{error.what}; it is not known whether it was carried out",
                    where=f"{self.resource}: {parse.shown(shown or command)}",
                ) from error
            except InstrumentTimeout as error:
                raise await self._explained(error) from None
            await self._check_queue(shown or command)

    async def query_block(self, command: str, *, timeout: float | None = None) -> bytes:
        """Send a query and return the contents of the data block it answers with (IEEE 488.2 section 8.7.9).

        Never repeated: what was fetched is gone from the instrument. Raises InstrumentTimeout with what the error queue
        says, AnswerError, InstrumentError.
        """
        seconds = self.timeout if timeout is None else timeout
        link = self._link

        def exchange() -> bytes:
            link.write(command)
            return link.read_block(command, seconds)

        async with self._turn():
            await self._ready()
            self._drop_stale()
            self._sent(command)
            try:
                data = await self._step(exchange)
            except InstrumentTimeout as error:
                raise await self._explained(error) from None
            self._lane.record(Direction.RECEIVED, data[:_SHOWN], comment=f"data block of {len(data)} bytes")
            return data

    def _command(self, command: str) -> None:
        self._link.write(command)
        if self.manners.pause:
            time.sleep(self.manners.pause)  # in the owner thread: the bytes that come next are what must wait

    # --- inside a turn --------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _turn(self, *, urgent: bool = False) -> AsyncIterator[None]:
        if self._closed:
            raise InstrumentError(f"{self.name} is closed", where=self.resource, hint="open the driver again")
        if urgent and self._turns.taken:
            self._link.abandon()
        with self._clock.busy():
            await self._turns.take(urgent=urgent)
            self._link.prepare()
            try:
                if self.guard is None:
                    yield
                else:
                    async with self.guard(urgent):
                        yield
            finally:
                if self._working:
                    # The task was cancelled while the thread is still at it: the thread's end gives the turn away.
                    self._left_behind = True
                    self._link.abandon()
                else:
                    self._turns.give()

    async def _step(self, job: Callable[[], T]) -> T:
        """Have the owner thread do one thing."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._working = True
        self._jobs.put((job, done))
        return await done

    def _own(self) -> None:
        """The owner thread: nothing else touches the connection."""
        while (item := self._jobs.get()) is not None:
            job, done = item
            result: Any = None
            failure: BaseException | None = None
            try:
                result = job()
            except BaseException as error:
                failure = error
            try:
                self._loop.call_soon_threadsafe(self._finished, done, result, failure)
            except RuntimeError:  # the loop is closed: nobody waits any more
                break
        self._link.close()

    def _finished(self, done: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
        self._working = False
        if not done.done():
            if failure is None:
                done.set_result(result)
            else:
                done.set_exception(failure)
        if self._left_behind:
            self._left_behind = False
            # Its answer, if any, is still to come: only a new connection is sure not to receive it.
            self._jobs.put((self._link.clear, self._loop.create_future()))
            self._turns.give()

    def _sent(self, line: str, when: int | None = None) -> None:
        self._lane.record(Direction.SENT, line.encode("ascii", "replace") + b"\n", time_ns=when)

    async def _ask(self, command: str, seconds: float) -> str:
        self._drop_stale()
        link, began = self._link, time.perf_counter()

        def exchange() -> tuple[bytes, int]:
            link.write(command)
            return link.read(command, seconds), time.time_ns()

        turn_due = False
        if self._promptness.worth_a_look:
            raw, when, turn_due = await self._looked(command, seconds)
        else:
            self._sent(command)
            raw, when = await self._step(exchange)
        self._promptness.answered(time.perf_counter() - began)
        self._lane.record(Direction.RECEIVED, raw + b"\n", time_ns=when)
        if turn_due:  # after the record: who is cancelled here has had the answer all the same
            await asyncio.sleep(0)
        return raw.decode("latin-1").strip()

    async def _looked(self, command: str, seconds: float) -> tuple[bytes, int, bool]:
        """Exchange without the owner thread, which rests while this task has its turn: the answer is there at once.

        Return answer, time in ns, and whether the event loop is due a turn.
        """
        link, sent = self._link, time.time_ns()
        try:
            link.write(command)
        finally:
            self._sent(command, sent)
        raw, when = link.look(command, LOOK_MS), time.time_ns()
        if raw is not None:
            return raw, when, self._promptness.found()
        self._promptness.in_vain()
        return *await self._step(lambda: (link.read(command, seconds), time.time_ns())), False

    async def _understood(self, command: str, answer: str, read: Callable[[str], T]) -> T:
        """Return what ``read`` makes of an answer; when it is none, nobody knows what comes next on this connection."""
        try:
            return read(answer)
        except AnswerError as error:
            await self._step(self._link.clear)
            error.where = error.where or f"{self.name}: {parse.shown(command)}"
            raise

    async def _ready(self) -> None:
        """Have a connection that is alive and silent; a reopened one must be to the same instrument.

        Looking does not block and the owner thread rests while this task has its turn: no need to go there.
        """
        if not self._link.alive():
            await self._step(self._link.close)
            await self._reopen()
            try:
                await self._drain_queue()  # what is there is about what was said on the lost connection, or by others
            except InstrumentError:
                await self._step(self._link.clear)  # its answer may come yet, and what it names is not ours
                raise

    def _drop_stale(self) -> None:
        if stale := self._link.stale():
            self._lane.record(Direction.RECEIVED, stale, comment="late, belongs to no question")

    async def _reopen(self) -> None:
        await self._step(self._link.open)
        try:
            found = parse.identity(await self._ask("*IDN?", self._identify))
        except InstrumentError:
            await self._step(self._link.close)  # nobody knows who is there
            raise
        if found != self.identity:
            await self._step(self._link.close)
            raise InstrumentError(
                f"another instrument answers after the connection was lost: {found.key()} instead of "
                f"{self.identity.key()}",
                where=self.resource,
                hint="was the instrument exchanged, or has its address gone to another one?",
            )

    async def _explained(self, error: InstrumentTimeout) -> InstrumentError:
        """After a timeout: a clean connection, and the reason that the error queue may hold for the silence."""
        try:
            await self._step(self._link.clear)
            if not self._link.is_open:
                await self._reopen()
            errors = await self._drain_queue()
        except (InstrumentError, OSError) as lost:
            await self._step(self._link.clear)  # an answer that comes yet must not meet the next question
            what = lost.what if isinstance(lost, InstrumentError) else str(lost)
            return InstrumentTimeout(f"{error.what}, and then: {what}", where=error.where, hint=error.hint)
        if errors:
            code, text = errors[0]
            return ScpiError(code, text, where=error.where, hint="the instrument refused it and so gave no answer")
        return error

    async def _drain_queue(self) -> list[tuple[int, str]]:
        errors: list[tuple[int, str]] = []
        if not self.manners.errors:
            return errors
        for _ in range(_QUEUE_DEPTH):
            answer = await self._ask(self.manners.errors, _RECOVER)
            code, text = await self._understood(self.manners.errors, answer, parse.error)
            if code == 0:
                break
            errors.append((code, text))
        return errors

    async def _check_queue(self, command: str) -> None:
        try:
            errors = await self._drain_queue()
        except InstrumentTimeout as error:
            raise await self._explained(error) from None
        if errors:
            code, text = errors[0]
            raise ScpiError(code, text, where=f"{self.name}: {parse.shown(command)}")
