"""A serial console of the device (driver ``console``): pyserial opens it, asyncio watches it, nothing it says is lost.

A port that is not there, or goes away with the device's power, is opened again when it is back: looked for every
quarter of a second, and at once while somebody waits for a pattern. Options: ``patterns`` and ``commands`` (bench.toml,
``dut.console.NAME``), ``end`` (what ends a typed line, CR by default) and ``required``: a port that is missing when the
station is opened is an error; without it the port may come with the device's power.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import termios
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bench.errors import ConfigurationError, DeviceFailure, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions
from bench.station.dut_parts import ConsoleMatch
from bench.station.interfaces import Identity
from bench.station.tables import did_you_mean
from bench.trace.lane import Direction
from instruments.console.text import LineReader, Matcher
from instruments.modem import usb

if TYPE_CHECKING:
    from bench.station.dut_parts import Console

    def _fits(console: SerialConsole) -> Console:
        return console


_LOOK: Final = 0.25
"""Real seconds between two looks for a port that is not there."""
_LOOK_ACTIVE: Final = 0.1
"""Seconds of station time between two looks while a pattern is waited for."""
_WRITE: Final = 5.0
"""Real seconds within which the port must take a typed line."""


class SerialConsole:
    """A console (``bench.station.dut_parts.Console``). All methods belong to the event loop's thread."""

    def __init__(self, options: DriverOptions, patterns: Mapping[str, re.Pattern[str]]) -> None:
        self.identity = Identity(model="serial console", serial=options.port)
        self.name = options.name
        self.openings = 0
        """How often the port was opened."""
        self._options = options
        self._clock = options.clock
        self._where = f"console:{options.name} {options.port}"
        self._commands: Mapping[str, str] = {}
        self._end = "\r"
        self._matcher = Matcher(patterns)
        self._reader = LineReader()
        self._serial: Any = None
        self._fd = -1
        self._counter: Any = None
        self._arrived = asyncio.Event()
        self._lost = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._why = "it was never there"

    @classmethod
    async def open(cls, options: DriverOptions) -> SerialConsole:
        """Open the port, or wait for it in the background; nothing is typed.

        Raises ConfigurationError for options, Refused when another program holds the port, InstrumentError.
        """
        extra = options.known_extra("patterns", "commands", "end", "required")
        if not usb.valid(options.port):
            raise ConfigurationError(
                f"'{options.port}' is no serial port", where=options.origin, hint="a path, or usb:1-1.2"
            )
        console = cls(options, _patterns(extra.get("patterns", {}), options.origin))
        commands = extra.get("commands", {})
        console._commands = {str(key): str(value) for key, value in _mapping(commands, options.origin).items()}
        console._end = str(extra.get("end", "\r"))
        if not console._try_open() and extra.get("required"):
            raise InstrumentError(f"the console's port {options.port} is not there", where=options.origin)
        console._watch = asyncio.create_task(console._look(), name=f"console {options.name}")
        return console

    @staticmethod
    def warm() -> None:
        """Import what ``open`` needs (drivers.WarmDriver)."""
        import serial  # noqa: F401

    async def close(self) -> None:
        """Close the port; what has no line end yet is recorded."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        self._let_go("it was closed")

    # --- the port -------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the port is open, as far as is known."""
        return self._fd >= 0

    def _try_open(self) -> bool:
        """Open the port if it is there. Raises Refused when it is in use, InstrumentError without permission."""
        if self._fd >= 0:
            return True
        path = usb.device_file(self._options.port)
        if path is None:
            return False
        import serial

        try:
            self._serial = serial.Serial(path, self._options.baudrate, timeout=0, write_timeout=0, exclusive=True)
        except (serial.SerialException, OSError, termios.error, ValueError) as error:
            self._why = str(error)
            number = getattr(error, "errno", None)
            if number in (11, 16) or "lock" in str(error).lower():
                raise Refused("the console is in use", where=self._where, hint="end the other terminal") from error
            if number == 13:
                raise InstrumentError(
                    f"no permission for {path}", where=self._where, hint="add this user to the group that owns it"
                ) from error
            return False  # it went away between look and open
        self._fd = self._serial.fileno()
        self._counter = self._clock.port(self._options.port)
        self.openings += 1
        asyncio.get_running_loop().add_reader(self._fd, self._readable)
        return True

    def _let_go(self, why: str) -> None:
        if self._fd < 0:
            return
        asyncio.get_running_loop().remove_reader(self._fd)
        self._fd = -1
        self._why = why
        port, self._serial = self._serial, None
        with contextlib.suppress(Exception):  # closing a vanished port raises whatever its driver likes
            port.close()
        rest = self._reader.flush()
        if rest:
            self._line(rest)
        self._arrived.set()
        self._lost.set()

    async def _look(self) -> None:
        """Open the port again whenever it is gone and comes back; somebody else using it is told once."""
        told = ""
        while True:
            if self._fd >= 0:
                self._lost.clear()
                await self._lost.wait()
            await asyncio.sleep(_LOOK)
            try:
                self._try_open()
                told = ""
            except InstrumentError as error:
                if str(error) != told:
                    told = str(error)
                    self._options.lane.record(Direction.RECEIVED, b"", comment=told)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, termios.error) as error:
            self._let_go(f"it went away: {getattr(error, 'strerror', None) or error}")
            return
        if not data:
            self._let_go("it went away: end of file")
            return
        self._counter.received(len(data))
        for line in self._reader.feed(data):
            self._line(line)
        if self._matcher.partial(self._reader.rest, self._clock.now()):
            self._arrived.set()

    def _line(self, line: bytes) -> None:
        self._options.lane.record(Direction.RECEIVED, line)
        if self._matcher.line(line, self._clock.now()):
            self._arrived.set()

    # --- patterns -------------------------------------------------------------------------------------------------

    def knows(self, pattern: str) -> bool:
        """Whether there is a pattern of this name."""
        return pattern in self._matcher.patterns

    def accepts(self, command: str) -> bool:
        """Whether there is a command of this name."""
        return command in self._commands

    def seen(self, pattern: str, *, since: float = 0.0, values: Mapping[str, str] | None = None) -> ConsoleMatch | None:
        """Return the first match since ``since`` whose groups have these values."""
        return self._matcher.first(pattern, since, values or {})

    def last(self, pattern: str) -> ConsoleMatch | None:
        """Return the latest match."""
        return self._matcher.latest(pattern)

    def mark(self) -> int:
        """Return the number of the latest match."""
        return self._matcher.count

    def tail(self, count: int = 5) -> Sequence[str]:
        """Return the last lines."""
        return list(self._matcher.lines)[-count:]

    async def wait(
        self,
        pattern: str,
        *,
        timeout: float,
        since: float | None = None,
        after: int | None = None,
        values: Mapping[str, str] | None = None,
    ) -> ConsoleMatch:
        """Wait for a pattern, seen since ``since`` or after a ``mark``; from now on, when both are None.

        ``timeout`` in seconds of station time, ``since`` in station time.

        Raises DeviceFailure with the last line when the device does not say it, InstrumentError when the port was not
        there at the end, ConfigurationError for an unknown pattern.
        """
        if pattern not in self._matcher.patterns:
            raise ConfigurationError(
                f"console {self.name} has no pattern '{pattern}'",
                where=self._options.origin or self._where,
                hint=did_you_mean(pattern, self._matcher.patterns),
            )
        if since is None and after is None:
            after = self._matcher.count
        try:
            async with self._clock.timeout(timeout):
                while True:
                    self._arrived.clear()
                    found = self._matcher.first(pattern, since or 0.0, values or {}, after=after or 0)
                    if found is not None:
                        return found
                    if self._fd < 0 and not self._try_open():
                        await self._clock.sleep(_LOOK_ACTIVE)
                    else:
                        await self._arrived.wait()
        except TimeoutError:
            if self._fd < 0:
                raise InstrumentTimeout(
                    f"the console is not there: {self._why}", where=self._where, hint="is it plugged in?"
                ) from None
            raise DeviceFailure(self._missing(pattern, timeout, values), where=self._where) from None

    def _missing(self, pattern: str, timeout: float, values: Mapping[str, str] | None) -> str:
        wanted = f" with {', '.join(f'{key} {value}' for key, value in values.items())}" if values else ""
        last = self.tail(1)
        said = f"its last line was {last[0][:120]!r}" if last else "it said nothing at all"
        return f"the device did not say '{pattern}'{wanted} within {timeout:g} s: {said}"

    # --- typing ---------------------------------------------------------------------------------------------------

    async def send(self, text: str) -> None:
        """Type a line and its end. Raises InstrumentError when the port is not there or takes nothing."""
        async with self._turn:
            if self._fd < 0 and not self._try_open():
                raise InstrumentError(f"the console is not there: {self._why}", where=self._where)
            data = (text + self._end).encode()
            self._options.lane.record(Direction.SENT, data)
            with self._clock.busy():
                try:
                    async with asyncio.timeout(_WRITE):
                        await self._put(data)
                except TimeoutError:
                    raise InstrumentTimeout(
                        f"the console took nothing for {_WRITE:g} s", where=self._where, hint="is flow control on?"
                    ) from None

    async def _put(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        while data:
            if self._fd < 0:
                raise InstrumentError(f"the console is not there: {self._why}", where=self._where)
            fd = self._fd
            try:
                count = os.write(fd, data)
            except (BlockingIOError, InterruptedError):
                ready = asyncio.Event()
                loop.add_writer(fd, ready.set)
                try:
                    await ready.wait()
                finally:
                    loop.remove_writer(fd)
                continue
            except (OSError, termios.error) as error:
                self._let_go(f"it went away: {getattr(error, 'strerror', None) or error}")
                raise InstrumentError(f"the console is not there: {self._why}", where=self._where) from error
            self._counter.sent(count)
            data = data[count:]

    async def command(self, name: str, **values: str) -> None:
        """Type the line of a command of bench.toml. Raises ConfigurationError, InstrumentError."""
        line = self._commands.get(name)
        if line is None:
            raise ConfigurationError(
                f"console {self.name} has no command '{name}'",
                where=self._options.origin or self._where,
                hint=f'commands = {{ {name} = "..." }}',
            )
        for key, value in values.items():
            line = line.replace(f"{{{key}}}", value)
        await self.send(line)


def _mapping(value: object, origin: str) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{value!r} is no table of names", where=origin)
    return value


def _patterns(value: object, origin: str) -> dict[str, re.Pattern[str]]:
    found = {}
    for name, text in _mapping(value, origin).items():
        try:
            found[str(name)] = re.compile(str(text))
        except re.error as error:
            raise ConfigurationError(f"pattern '{name}' is no regular expression: {error}", where=origin) from error
    return found
