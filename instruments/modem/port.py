"""One AT port: pyserial opens it, asyncio watches its descriptor, one command runs at a time.

- the input is flushed by opening: what the modem said before is lost, so nothing ever waits only for ``RDY``;
- a port that vanishes (EOF, EIO, termios.error) is closed at once, so that the same name can come back;
- a command without an answer ends at its deadline on the station's clock; its late answer is waited for, and thrown
  away, before the next command is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.errors import ConfigurationError, InstrumentError, Refused
from bench.station.clock import Clock
from bench.trace.lane import Direction, Lane
from instruments.modem.errors import ModemError, ModemHung, PortGone, PortWanted, error_of
from instruments.modem.lines import Expectation, Kind, classify, deadline, expect
from instruments.promptness import LOOK_MS, Promptness

_LINE = re.compile(rb"[\r\n]*[^\r\n]+(?:\r+\n?|\n)")
_PRINTABLE = re.compile(r"[ -~]+")
_SECRET = re.compile(r"(AT[+%^$#*](?:CPIN2?|CPWD|CLCK|CPINR|CGAUTH|QICSGP|UAUTHREQ)=).*", re.IGNORECASE)
_MAX_PARTIAL = 65536
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL
_ESCAPE, _SUBSTITUTE = b"\x1b", b"\x1a"
_MARKS = ("+CMEE", "+CFUN", "+CREG")
"""Whose read commands mark where the late answers end: another one each time, for a mark can come late too."""
_QUIET = 0.1

EventListener = Callable[[str], None]


class _Exchange:
    """A command that is running."""

    __slots__ = (
        "command",
        "expected",
        "first",
        "forgiven",
        "future",
        "information",
        "marker",
        "payload",
        "prompted",
        "sent",
    )

    def __init__(self, command: str, payload: bytes | None) -> None:
        self.command = command
        self.expected: Expectation = expect(command)
        self.information: list[str] = []
        self.future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.payload = payload
        self.prompted = False
        self.marker = ""
        """Name of the line without which an end is not this command's, but that of an earlier one."""
        self.forgiven = False
        self.sent = 0
        """Monotonic ns of the sending."""
        self.first: tuple[int, int] | None = None
        """Wall and monotonic ns of the first byte that came since."""


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """When the last answer began: wall and monotonic ns of its first byte, and ms between request and that."""

    wall_ns: int
    mono_ns: int
    age_ms: int


class AtPort:
    """Commands and events of one AT port. All methods belong to the event loop's thread."""

    def __init__(
        self,
        path: Callable[[], str | None],
        *,
        name: str,
        baudrate: int,
        lane: Lane,
        clock: Clock,
        counted_as: str = "",
    ) -> None:
        """``path`` returns the device file, or None while it is not there; it is asked at every opening.

        ``counted_as``: the path under which the station's clock counts its bytes, the device file by default.
        """
        self.name = name
        self._counted_as = counted_as
        self.generation = 0
        """Counts openings: what belonged to an earlier one (logical channels, say) is gone."""
        self.listeners: list[EventListener] = []
        """Called with every event (URC); must not raise and not block."""
        self.on_lost: Callable[[], None] = lambda: None
        self.silent = False
        """The last command was not answered."""
        self.times = AnswerTimes(0, 0, 0)
        """Of the last command that was answered."""
        self._foreground = 0
        """Commands that run or wait, but for those in the background."""
        self._path = path
        self._baudrate = baudrate
        self._lane = lane
        self._clock = clock
        self._serial: Any = None
        self._fd = -1
        self._poll = select.poll()
        self._promptness = Promptness()
        self._counter: Any = None
        self._counter_path = ""
        self._buffer = b""
        self._turn = asyncio.Lock()
        self._running: _Exchange | None = None
        self._until = 0.0
        self._dirty = False
        self._lost = ""

    # --- opening and losing ---------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the port is open, as far as is known."""
        return self._fd >= 0

    def open(self) -> None:
        """Open the port exclusively; nothing when it is open. Raises PortGone, or Refused when it is in use."""
        if self.is_open:
            return
        path = self._path()
        if path is None:
            raise PortGone("the port is not there", where=self.name, hint="has the device power and booted?")
        import serial

        try:
            self._serial = serial.Serial(path, self._baudrate, timeout=0, write_timeout=0, exclusive=True)
        except (serial.SerialException, OSError, termios.error, ValueError) as error:
            self._serial = None
            raise _cannot_open(path, error, self.name) from error
        self._fd = self._serial.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._promptness = Promptness()
        self._counter_path = self._counted_as or path
        self._counter = self._clock.port(self._counter_path)
        self._buffer = b""
        self._running = None
        self._dirty = False
        self._lost = ""
        self.generation += 1
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def close(self) -> None:
        """Close the port; a command that is running fails with PortGone."""
        self._let_go("the port was closed")

    def _let_go(self, why: str) -> None:
        if self._fd < 0:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        self._fd = -1
        self._lost = why
        port, self._serial = self._serial, None
        with contextlib.suppress(Exception):  # closing a vanished port raises whatever its driver likes
            port.close()
        running, self._running = self._running, None
        if running is not None and not running.future.done():
            running.future.set_exception(self._gone())

    def _gone(self) -> PortGone:
        return PortGone(
            f"the port went away: {self._lost}" if self._lost else "the port is not open",
            where=self.name,
            hint="lost power, reset, or re-enumerated",
        )

    # --- reading --------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, termios.error) as error:
            self._vanished(getattr(error, "strerror", None) or str(error))
            return
        if not data:
            # pyserial opens with VMIN 0: no bytes is no end, when a look has read what the event loop was told of.
            if any(event & _GONE for _, event in self._poll.poll(0)):
                self._vanished("end of file")
            return
        self._counter.received(len(data))
        running = self._running
        if running is not None and running.first is None:
            running.first = time.time_ns(), time.monotonic_ns()
        buffer = self._buffer + data if self._buffer else data
        end = 0
        for found in _LINE.finditer(buffer):
            end = found.end()
            raw = found.group(0)
            self._lane.record(Direction.RECEIVED, raw)
            text = raw.strip(b"\r\n\0 \t").decode("latin-1")
            if text:
                self._line(text)
            if self._fd < 0:  # a listener closed the port
                return
        rest = buffer[end:]
        if len(rest) > _MAX_PARTIAL:
            self._lane.record(Direction.RECEIVED, rest, comment="garbage without a line end")
            rest = b""
        elif rest.strip(b"\r\n") in (b">", b"> ") and self._running is not None:
            self._lane.record(Direction.RECEIVED, rest)
            rest = b""
            self._prompt(self._running)
        self._buffer = rest

    def _vanished(self, why: str) -> None:
        self._let_go(why)
        self.on_lost()

    def _line(self, text: str) -> None:
        running = self._running
        if running is None:
            self._event(text)
            return
        kind = classify(text, running.command, running.expected)
        if kind is Kind.INFORMATION:
            running.information.append(text)
        elif kind is Kind.EVENT:
            self._event(text)
        elif kind is not Kind.ECHO:
            if running.marker and not any(line.startswith(running.marker) for line in running.information):
                running.information.clear()
                running.forgiven = True
                return
            self._running = None
            if not running.future.done():
                running.future.set_result("" if kind is Kind.OK else text)

    def _event(self, text: str) -> None:
        for listener in tuple(self.listeners):
            listener(text)

    def _prompt(self, running: _Exchange) -> None:
        """Answer ``>``: with the payload, or with ESC when there is none, so that the modem does not wait for ever."""
        if running.payload is None or running.prompted:
            self._put(_ESCAPE)
        else:
            running.prompted = True
            self._put(running.payload + _SUBSTITUTE)

    # --- writing --------------------------------------------------------------------------------------------------

    def _put(self, data: bytes) -> None:
        """Write; what does not fit now follows when the port can take it.

        Recorded while the modem is at it, with the time of before.
        """
        when = time.time_ns()
        try:
            count = os.write(self._fd, data)
        except (BlockingIOError, InterruptedError):
            count = 0
        except (OSError, termios.error) as error:
            self._lane.record(Direction.SENT, data, time_ns=when, comment="not sent: the port is gone")
            self._vanished(getattr(error, "strerror", None) or str(error))
            raise self._gone() from error
        self._counter.sent(count)
        self._lane.record(Direction.SENT, data, time_ns=when)
        if count < len(data):
            self._put_rest(data[count:])

    def _put_rest(self, rest: bytes) -> None:
        loop = asyncio.get_running_loop()

        def writable() -> None:
            nonlocal rest
            try:
                count = os.write(self._fd, rest)
            except (BlockingIOError, InterruptedError):
                return
            except (OSError, termios.error) as error:
                self._vanished(getattr(error, "strerror", None) or str(error))
                return
            self._counter.sent(count)
            rest = rest[count:]
            if not rest:
                loop.remove_writer(self._fd)

        loop.add_writer(self._fd, writable)

    # --- commands -------------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> bool:
        """Whether the port is in use or waited for, or has an unanswered command behind it: nothing for a poll."""
        return self._foreground > 0 or self._turn.locked() or self._running is not None or self._dirty

    async def background(self, line: str, *, timeout: float) -> list[str]:
        """Send one command line if nobody else wants the port: a poll never waits, and nobody waits for its like.

        Raises PortWanted when the port is wanted, else as ``command`` does.
        """
        if self.wanted:
            raise PortWanted("the port is in use", where=self.name)
        return await self._command(line, timeout, None)

    async def command(self, line: str, *, timeout: float | None = None, payload: bytes | None = None) -> list[str]:
        """Send one command line, return its information lines; comes before every command in the background.

        ``timeout`` in seconds of station time, by default what the command is known to need. ``payload`` answers the
        prompt ``>`` (a message or socket data, ended with Ctrl-Z).

        Raises ModemError for ERROR, +CME ERROR and +CMS ERROR, ModemHung when nothing ends the command in time,
        PortGone when the port is not open or vanishes, ConfigurationError for a line that cannot be sent.
        """
        if not _PRINTABLE.fullmatch(line):
            raise ConfigurationError("an AT command is one line of printable ASCII", where=repr(line)[:60])
        self._foreground += 1
        try:
            return await self._command(line, deadline(line) if timeout is None else timeout, payload)
        finally:
            self._foreground -= 1

    async def _command(self, line: str, seconds: float, payload: bytes | None) -> list[str]:
        async with self._turn:
            if self._fd < 0:
                raise self._gone()
            if self._running is not None:
                await self._left_over(seconds)
            if self._dirty:
                await self._resynchronise()
            return await self._exchange(line, seconds, payload)

    async def _exchange(
        self, line: str, seconds: float, payload: bytes | None = None, *, running: _Exchange | None = None
    ) -> list[str]:
        running = running or _Exchange(line, payload)
        self._running = running
        running.sent = time.monotonic_ns()
        try:
            self._put(line.encode("ascii") + b"\r")
        except PortGone:
            self._running = None
            if running.future.done():
                running.future.exception()  # the same failure, seen
            raise
        self._until = self._clock.now() + seconds
        try:
            answer = await self._answer(running, seconds)
        except TimeoutError:
            if self._running is running:
                self._running = None
                self._dirty = True
            self.silent = True
            hung = ModemHung(f"the modem did not answer within {seconds:g} s", where=f"{self.name}: {_shown(line)}")
            hung.information = tuple(running.information)
            raise hung from None
        self.silent = False
        if running.first is not None:
            wall, mono = running.first
            self.times = AnswerTimes(wall, mono, max(0, mono - running.sent) // 1_000_000)
        if answer:
            raise error_of(answer, f"{self.name}: {_shown(line)}")
        return running.information

    async def _answer(self, running: _Exchange, seconds: float) -> str:
        """Wait for the end of a command that was just sent. Raises TimeoutError, PortGone."""
        began = time.perf_counter()
        if self._promptness.worth_a_look:
            until = began + LOOK_MS / 1000  # events must not prolong the look
            while self._fd >= 0 and not running.future.done():
                if time.perf_counter() >= until or not self._poll.poll(LOOK_MS):
                    self._promptness.in_vain()
                    break
                self._readable()
            if running.future.done():
                self._promptness.answered(time.perf_counter() - began)
                if self._promptness.found():
                    await asyncio.sleep(0)
                return running.future.result()
        async with self._clock.timeout(seconds):
            answer = await running.future
        self._promptness.answered(time.perf_counter() - began)
        return answer

    async def _left_over(self, seconds: float) -> None:
        """Wait for the end of a command whose caller was cancelled: most firmwares abort it on any character.

        Raises ModemHung when it still runs after ``seconds``, although its own deadline is not over.
        """
        running = self._running
        assert running is not None
        running.future = asyncio.get_running_loop().create_future()
        left = max(0.0, self._until - self._clock.now())
        try:
            async with self._clock.timeout(min(left, seconds)):
                await running.future
        except TimeoutError:
            if self._running is not running:
                return
            if left > seconds:
                raise ModemHung(
                    f"{_shown(running.command)[:20]} of a cancelled step is still running after {seconds:g} s",
                    where=self.name,
                ) from None
            self._running = None
            self._dirty = True

    async def _resynchronise(self) -> None:
        """After a command without an answer: read something else until that, and nothing else, is answered.

        A modem answers in order: with the mark's own line everything before it has been said, and thrown away. One
        that refuses the mark has at least ended a command since, and is silent.
        """
        for attempt, mark in enumerate(_MARKS):
            running = _Exchange(f"AT{mark}?", None)
            running.marker = mark
            with contextlib.suppress(ModemHung):
                try:
                    await self._exchange(running.command, deadline("AT"), running=running)
                except ModemError:
                    pass  # the mark's line came, then an error: an answer all the same
                await self._clock.sleep(_QUIET)
                self._dirty = False
                return
            if self._fd < 0:
                raise self._gone()
            if running.forgiven and attempt:  # once may be an earlier command's end, and the mark late itself
                self._dirty = False
                return
            if attempt == len(_MARKS) - 1:
                raise ModemHung(
                    f"the modem does not answer AT commands, asked {len(_MARKS)} times in {len(_MARKS)} s",
                    where=self.name,
                    hint="locked up: reset it, or power-cycle the device",
                )

    async def ping(self, line: str = "AT", *, timeout: float = 1.0) -> bool:
        """Send AT and say whether it answered; verbose (``OK``) or numeric (``0``, ATV0). Raises PortGone."""
        async with self._turn:
            if self._fd < 0:
                raise self._gone()
            if self._running is not None:
                await self._left_over(timeout)
            try:
                await self._exchange(line, timeout)
            except ModemHung as hung:
                if "0" not in hung.information:
                    return False
            except ModemError:
                pass  # a refusal is an answer too
            # Pings that went unanswered may be answered yet: the next command looks for the end of them (_dirty).
            return True

    async def blind(self, line: str, *, timeout: float) -> None:
        """Send a line whatever runs and whatever was not answered: for a modem that hangs.

        Raises ModemError, ModemHung when it is not answered in time, PortGone.
        """
        async with self._turn:
            if self._fd < 0:
                raise self._gone()
            self._running = None
            self._dirty = True
            await self._exchange(line, timeout)


def _shown(line: str) -> str:
    """Return a command without what it keeps secret."""
    found = _SECRET.fullmatch(line)
    return f"{found.group(1)}****" if found else line


def _cannot_open(path: str, error: BaseException, name: str) -> InstrumentError:
    number = getattr(error, "errno", None)
    text = str(error)
    if number in (11, 16) or "exclusively lock" in text:
        return Refused(
            f"{path} is in use by another program",
            where=name,
            hint="stop it; ModemManager must leave this port alone (ID_MM_PORT_IGNORE)",
        )
    if number == 13:
        return InstrumentError(f"no permission for {path}", where=name, hint="add this user to the group that owns it")
    return PortGone(f"{path} cannot be opened: {text}", where=name, hint="has the device power and booted?")
