"""Outputs that act on the device (reset, boot, power key, battery): relays of a Numato board, DTR and RTS of a port.

Drivers ``numato-lines`` (lines are the relays 0 to 31) and ``serial-lines`` (lines ``dtr`` and ``rts`` of a USB-serial
adapter, as most development boards wire reset and boot). A line that is asserted pulls its pin to the active level.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import struct
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bench.errors import ConfigurationError, InstrumentError, Refused
from bench.station.drivers import DriverOptions
from bench.station.interfaces import Identity
from bench.trace.lane import Direction
from instruments.modem import usb
from instruments.reader.owner import Owner
from instruments.switch import relay_protocol as protocol
from instruments.switch.numato import RelayPort

if TYPE_CHECKING:
    from bench.station.dut_parts import OutputLines

    def _fits(relays: NumatoLines, port: SerialLines) -> tuple[OutputLines, OutputLines]:
        return relays, port


class NumatoLines:
    """The relays of a board as single outputs (``bench.station.dut_parts.OutputLines``)."""

    quiet = True
    """Opening moves no relay (drivers.QuietDriver)."""

    def __init__(self, port: RelayPort) -> None:
        self.identity = Identity()
        self._port = port

    @classmethod
    async def open(cls, options: DriverOptions) -> NumatoLines:
        """Open the port and read who the board is; nothing is switched. Raises ConfigurationError, InstrumentError."""
        options.known_extra()
        if not usb.valid(options.port):
            raise ConfigurationError(
                f"'{options.port}' is no serial port", where=options.origin, hint="a path, or usb:1-1.4:if00"
            )
        port = RelayPort(options)
        port.open()
        lines = cls(port)
        try:
            version = protocol.answer("ver", await port.command("ver"), where=port.where)
            serial = protocol.answer("id get", await port.command("id get"), where=port.where)
        except BaseException:
            port.close()
            raise
        lines.identity = Identity("Numato Lab", "relay board", serial, version)
        return lines

    @staticmethod
    def warm() -> None:
        """Import what ``open`` needs (drivers.WarmDriver)."""
        import serial  # noqa: F401

    async def close(self) -> None:
        """Close the port; the relays stay as they are."""
        self._port.close()

    def _name(self, line: str) -> str:
        if not line.isdecimal() or int(line) > protocol.MAX_RELAY:
            raise ConfigurationError(f"'{line}' is no relay", where=self._port.where, hint=f"0 to {protocol.MAX_RELAY}")
        return protocol.relay_name(int(line))

    async def set_line(self, line: str, on: bool) -> None:
        """Switch a relay and read it back. Raises InstrumentError when it did not move."""
        name = self._name(line)
        command = f"relay {'on' if on else 'off'} {name}"
        protocol.answer(command, await self._port.command(command), where=self._port.where)
        if await self.line_on(line) is not on:
            raise InstrumentError(
                f"relay {name} did not switch {'on' if on else 'off'}",
                where=self._port.where,
                hint="does the board have this relay, and its relays a supply?",
            )

    async def line_on(self, line: str) -> bool:
        """Return whether a relay is on. Raises InstrumentError."""
        command = f"relay read {self._name(line)}"
        return protocol.state(command, await self._port.command(command), where=self._port.where)


_LINES: Final = {"dtr": termios.TIOCM_DTR, "rts": termios.TIOCM_RTS}
_NONE: Final = struct.pack("I", 0)
_WITHIN: Final = 2.0
"""Real seconds for one change of a line: a control transfer to the adapter, which a hanging one does not answer."""


class SerialLines:
    """DTR and RTS of a serial port (``bench.station.dut_parts.OutputLines``), read back from the port's driver.

    A port that vanished is opened again under whatever name it has then, with both lines released. The calls run in an
    owner thread: an adapter that hangs holds up nothing else.
    """

    quiet = False
    """The kernel may move both when the port is opened."""

    def __init__(self, options: DriverOptions) -> None:
        self.identity = Identity(model="DTR and RTS", serial=options.port)
        self._options = options
        self._port: Any = None
        self._where = f"{options.name} {options.port}"
        self._owner = Owner(
            f"lines {options.name}", options.clock, self._abandoned, hint="plug the serial adapter out and in again"
        )

    @classmethod
    async def open(cls, options: DriverOptions) -> SerialLines:
        """Open the port with both lines released. Raises ConfigurationError, InstrumentError, Refused."""
        options.known_extra()
        if not usb.valid(options.port):
            raise ConfigurationError(
                f"'{options.port}' is no serial port", where=options.origin, hint="a path, or usb:"
            )
        lines = cls(options)
        try:
            await lines._owner.run(lines._opened, timeout=_WITHIN, what="opening the port")
        except BaseException:
            await lines.close()
            raise
        return lines

    async def close(self) -> None:
        """Close the port; the operating system releases both lines."""
        self._owner.end()
        self._let_go()

    def _abandoned(self) -> None:
        """Leave the port, which the kernel closes when the call that hangs in it ends."""
        self._let_go()

    def _let_go(self) -> None:
        port, self._port = self._port, None
        with contextlib.suppress(Exception):  # a vanished port raises what it likes
            port.close()

    def _opened(self) -> Any:
        """Return the open port, opened when it is not. Blocks."""
        import serial

        if self._port is not None:
            return self._port
        path = usb.device_file(self._options.port)
        if path is None:
            raise InstrumentError("the port is not there", where=self._where, hint="is the serial adapter plugged in?")
        port = serial.Serial()
        port.port, port.exclusive, port.dtr, port.rts = path, True, False, False  # before it is opened: no pulse
        try:
            port.open()
        except (serial.SerialException, OSError, termios.error) as error:
            if "lock" in str(error).lower():
                raise Refused("the port is in use", where=self._where, hint="end the other program") from error
            raise InstrumentError(
                f"the port cannot be opened: {error}", where=self._where, hint="is the serial adapter plugged in?"
            ) from error
        self._port = port
        return port

    async def _do(self, line: str, what: str, work: Callable[[Any], bool]) -> bool:
        """Do something with a line of the open port in the owner thread; return whether the line is on after it."""
        if line not in _LINES:
            raise ConfigurationError(f"'{line}' is no line of a serial port", where=self._where, hint="dtr or rts")

        def job() -> bool:
            port = self._opened()
            try:
                return work(port)
            except (OSError, termios.error) as error:
                number = getattr(error, "errno", None) or error.args[0]
                if number in (errno.ENOTTY, errno.EINVAL):
                    raise InstrumentError(
                        f"{line.upper()} cannot be {what}: {error}",
                        where=self._where,
                        hint="this port has no such lines",
                    ) from error
                if self._port is port:  # a call that was given up ends when another port is open
                    self._let_go()
                raise InstrumentError(
                    f"{line.upper()} cannot be {what}: {error}", where=self._where, hint="was the adapter unplugged?"
                ) from error

        return await self._owner.run(job, timeout=_WITHIN, what=f"{line.upper()}: being {what}")

    async def set_line(self, line: str, on: bool) -> None:
        """Assert or release a line and read it back.

        Raises ConfigurationError for another name; InstrumentError without such lines, when the port is gone or the
        line did not follow; InstrumentTimeout.
        """
        if line in _LINES:
            self._options.lane.record(Direction.SENT, f"{line}={int(on)}".encode())

        def change(port: Any) -> bool:
            setattr(port, line, on)
            return _is_on(port, line)

        if await self._do(line, "set", change) is not on:
            raise InstrumentError(
                f"{line.upper()} is {'released' if on else 'asserted'} after it was {'asserted' if on else 'released'}",
                where=self._where,
                hint="does another program hold this port?",
            )

    async def line_on(self, line: str) -> bool:
        """Return whether the port's driver asserts the line now. Raises as ``set_line`` does."""
        return await self._do(line, "read", lambda port: _is_on(port, line))


def _is_on(port: Any, line: str) -> bool:
    (bits,) = struct.unpack("I", fcntl.ioctl(port.fd, termios.TIOCMGET, _NONE))
    return bool(bits & _LINES[line])
