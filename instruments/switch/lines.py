"""Outputs that act on the device (reset, boot, power key, battery): relays of a Numato board, DTR and RTS of a port.

Drivers ``numato-lines`` (lines are the relays 0 to 31) and ``serial-lines`` (lines ``dtr`` and ``rts`` of a USB-serial
adapter, as most development boards wire reset and boot). A line that is asserted pulls its pin to the active level.
"""

from __future__ import annotations

import contextlib
import termios
from typing import TYPE_CHECKING, Any

from bench.errors import ConfigurationError, InstrumentError, Refused
from bench.station.drivers import DriverOptions
from bench.station.interfaces import Identity
from bench.trace.lane import Direction
from instruments.modem import usb
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


class SerialLines:
    """DTR and RTS of a serial port (``bench.station.dut_parts.OutputLines``): what was set is all that can be told."""

    quiet = False
    """The kernel may move both when the port is opened."""

    def __init__(self, options: DriverOptions, port: Any) -> None:
        self.identity = Identity(model="DTR and RTS", serial=options.port)
        self._options = options
        self._port = port
        self._where = f"{options.name} {options.port}"
        self._on = {"dtr": False, "rts": False}

    @classmethod
    async def open(cls, options: DriverOptions) -> SerialLines:
        """Open the port with both lines released. Raises ConfigurationError, InstrumentError, Refused."""
        import serial

        options.known_extra()
        if not usb.valid(options.port):
            raise ConfigurationError(
                f"'{options.port}' is no serial port", where=options.origin, hint="a path, or usb:"
            )
        path = usb.device_file(options.port)
        if path is None:
            raise InstrumentError(f"the port {options.port} is not there", where=options.origin)
        port = serial.Serial()
        port.port, port.exclusive, port.dtr, port.rts = path, True, False, False  # before it is opened: no pulse
        try:
            port.open()
        except (serial.SerialException, OSError, termios.error) as error:
            if "lock" in str(error).lower():
                raise Refused("the port is in use", where=options.origin, hint="end the other program") from error
            raise InstrumentError(f"the port cannot be opened: {error}", where=options.origin) from error
        return cls(options, port)

    async def close(self) -> None:
        """Close the port; the operating system releases both lines."""
        with contextlib.suppress(Exception):
            self._port.close()

    async def set_line(self, line: str, on: bool) -> None:
        """Assert or release a line. Raises ConfigurationError for another name, InstrumentError without such lines."""
        if line not in self._on:
            raise ConfigurationError(f"'{line}' is no line of a serial port", where=self._where, hint="dtr or rts")
        self._options.lane.record(Direction.SENT, f"{line}={int(on)}".encode())
        try:
            setattr(self._port, line, on)
        except (OSError, termios.error) as error:
            raise InstrumentError(f"{line.upper()} cannot be set: {error}", where=self._where) from error
        self._on[line] = on

    async def line_on(self, line: str) -> bool:
        """Return what the line was set to."""
        if line not in self._on:
            raise ConfigurationError(f"'{line}' is no line of a serial port", where=self._where, hint="dtr or rts")
        return self._on[line]
