"""A SIM switch made of two relays of a USB relay board (Numato Lab's ASCII protocol): driver ``numato-relay``.

Options ``reader`` and ``modem`` are the relays that connect the card to each side. With ``modem`` alone one changeover
relay does both: on is the modem, off is the reader. With two, both are opened and read back before one is closed, so
that reader and modem never meet (break before make).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import termios
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bench.errors import ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions
from bench.station.interfaces import CardPlace, Identity
from bench.trace.lane import Direction
from instruments.modem import usb
from instruments.switch import relay_protocol as protocol

if TYPE_CHECKING:
    from bench.station.interfaces import SimSwitch

    def _fits(switch: NumatoSwitch) -> SimSwitch:
        return switch


_ANSWER: Final = 1.0
"""Real seconds for an answer; the boards need a few milliseconds."""
_CATCH_UP: Final = ("ver", "id get")
"""What is asked to know that every earlier answer has come: the board answers in order. In turns: one may be late."""
_SETTLE: Final = 0.05
"""Seconds of station time for the contacts to come to rest, between breaking and making and after making."""


class RelayPort:
    """The board's serial port: one command at a time, echo and prompt awaited. Transport time is real."""

    def __init__(self, options: DriverOptions) -> None:
        self.where = f"{options.name} {options.port}"
        self._options = options
        self._serial: Any = None
        self._received = b""
        self._unsure = False
        """An answer to an earlier command may still come."""
        self._catch_up = itertools.cycle(_CATCH_UP)
        self._arrived = asyncio.Event()
        self._turn = asyncio.Lock()

    def open(self) -> None:
        """Open the port exclusively. Raises InstrumentError, Refused when another program holds it."""
        import serial

        path = usb.device_file(self._options.port)
        if path is None:
            raise InstrumentError("the relay board's port is not there", where=self.where, hint="is it plugged in?")
        try:
            self._serial = serial.Serial(path, self._options.baudrate, timeout=0, write_timeout=0, exclusive=True)
        except (serial.SerialException, OSError, termios.error, ValueError) as error:
            if "lock" in str(error).lower() or getattr(error, "errno", None) in (11, 16):
                raise Refused("the relay board is in use", where=self.where, hint="end the other program") from error
            raise InstrumentError(f"the relay board's port cannot be opened: {error}", where=self.where) from error
        asyncio.get_running_loop().add_reader(self._serial.fileno(), self._readable)

    def close(self) -> None:
        """Close the port; the relays stay as they are."""
        port, self._serial = self._serial, None
        if port is not None:
            asyncio.get_running_loop().remove_reader(port.fileno())
            with contextlib.suppress(Exception):  # a vanished port raises what it likes
                port.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._serial.fileno(), 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._received += data
        else:
            self.close()
        self._arrived.set()

    async def command(self, command: str) -> bytes:
        """Send a command and return all that came up to the prompt: its echo and what was answered.

        After a command whose answer did not come, or was none, an answer may still be on its way, and would be taken
        for that to the next command of the same name: the board is asked who it is first, and whatever comes
        before that belongs to nobody. Raises InstrumentTimeout, InstrumentError.
        """
        with self._options.clock.busy():
            async with self._turn:
                if self._serial is None:
                    self.open()
                unsure, self._unsure = self._unsure, True
                if unsure:
                    asked = next(self._catch_up)
                    await self._exchange(asked, partial(protocol.caught_up, asked), longest=None)
                await self._exchange(command, protocol.complete, longest=protocol.MAX_ANSWER)
                protocol.answer(command, self._received, where=self.where)
                self._unsure = False
                return self._received

    async def _exchange(self, command: str, whole: Callable[[bytes], bool], *, longest: int | None) -> None:
        self._received = b""
        raw = protocol.line(command)
        self._options.lane.record(Direction.SENT, raw, comment=command)
        try:
            self._serial.write(raw)
            async with asyncio.timeout(_ANSWER):
                await self._whole(command, whole, longest)
        except TimeoutError:
            heard = f" (it said {self._received[:40]!r})" if self._received else ""
            raise InstrumentTimeout(
                f"the relay board does not answer '{command}' within {_ANSWER:g} s{heard}",
                where=self.where,
                hint="has it power, and does no other program use its port?",
            ) from None
        except OSError as error:  # pyserial's SerialException is one
            self.close()
            raise InstrumentError(
                f"the relay board went away: {error}", where=self.where, hint="was it unplugged?"
            ) from error
        self._options.lane.record(Direction.RECEIVED, self._received, comment=_shown(self._received))

    async def _whole(self, command: str, whole: Callable[[bytes], bool], longest: int | None) -> None:
        while not whole(self._received):
            self._arrived.clear()
            if longest is not None and len(self._received) > longest:
                raise InstrumentError(
                    f"the relay board answers '{command}' without end", where=self.where, hint="is it a relay board?"
                )
            if self._serial is None:
                raise InstrumentError("the relay board went away", where=self.where, hint="was it unplugged?")
            await self._arrived.wait()


def _shown(received: bytes) -> str:
    """Return an answer in one line: echo and what came after it."""
    return " ".join(received.decode("latin-1").replace(">", " ").split())


class NumatoSwitch:
    """A SIM switch (interfaces.SimSwitch)."""

    def __init__(self, options: DriverOptions, port: RelayPort, reader: int | None, modem: int, settle: float) -> None:
        self.identity = Identity()
        self._port = port
        self._clock = options.clock
        self._reader = reader
        self._modem = modem
        self._settle = settle

    @classmethod
    async def open(cls, options: DriverOptions) -> NumatoSwitch:
        """Open the port, read who the board is and where the card is wired; nothing is switched.

        Options: ``reader``, ``modem`` (relays 0 to 31), ``settle`` (seconds). Raises ConfigurationError,
        InstrumentError.
        """
        extra = options.known_extra("reader", "modem", "settle")
        if not usb.valid(options.port):
            raise ConfigurationError(
                f"'{options.port}' is no serial port", where=options.origin, hint="a path, or usb:1-1.4:if00"
            )
        modem, reader = _relay(options, "modem"), _relay(options, "reader")
        if modem is None or modem == reader:
            raise ConfigurationError(
                "a SIM switch needs the relay that connects the modem, and another one for the reader",
                where=options.origin,
                hint="options = { reader = 0, modem = 1 }, or { modem = 0 } for one changeover relay",
            )
        settle = extra.get("settle", _SETTLE)
        if isinstance(settle, bool) or not isinstance(settle, int | float) or not 0 <= settle <= 10:
            raise ConfigurationError(f"'settle' is {settle!r}, 0 to 10 s are allowed", where=options.origin)
        port = RelayPort(options)
        port.open()
        switch = cls(options, port, reader, modem, float(settle))
        try:
            version = protocol.answer("ver", await port.command("ver"), where=port.where)
            serial = protocol.answer("id get", await port.command("id get"), where=port.where)
            switch.identity = Identity("Numato Lab", "relay board", serial, version)
            for relay in switch._relays():
                await switch._on(relay)
        except BaseException:
            port.close()
            raise
        return switch

    @staticmethod
    def warm() -> None:
        """Import what ``open`` needs (drivers.WarmDriver)."""
        import serial  # noqa: F401

    async def close(self) -> None:
        """Close the port; the relays stay as they are."""
        self._port.close()

    def _relays(self) -> list[int]:
        return [relay for relay in (self._reader, self._modem) if relay is not None]

    async def _on(self, relay: int) -> bool:
        command = f"relay read {protocol.relay_name(relay)}"
        return protocol.state(command, await self._port.command(command), where=self._port.where)

    async def _set(self, relay: int, on: bool) -> None:
        """Switch one relay and read it back. Raises InstrumentError when it did not move."""
        command = f"relay {'on' if on else 'off'} {protocol.relay_name(relay)}"
        protocol.answer(command, await self._port.command(command), where=self._port.where)
        if await self._on(relay) is not on:
            raise InstrumentError(
                f"relay {protocol.relay_name(relay)} did not switch {'on' if on else 'off'}",
                where=self._port.where,
                hint="is the board's relay supply connected?",
            )

    async def select(self, place: CardPlace) -> None:
        """Wire the card to ``place``, the other side first broken and read back. Raises InstrumentError."""
        if self._reader is None:
            await self._set(self._modem, place == "modem")
        else:
            wanted, other = (self._modem, self._reader) if place == "modem" else (self._reader, self._modem)
            await self._set(other, False)
            if not await self._on(wanted):
                await self._clock.sleep(self._settle)
                await self._set(wanted, True)
        await self._clock.sleep(self._settle)
        if (found := await self.selected()) != place:
            raise InstrumentError(f"the card is wired to the {found} instead of the {place}", where=self._port.where)

    async def selected(self) -> CardPlace:
        """Return where the card is wired. Raises InstrumentError when it is wired to neither or, worse, to both."""
        if self._reader is None:
            return "modem" if await self._on(self._modem) else "reader"
        reader, modem = await self._on(self._reader), await self._on(self._modem)
        if reader == modem:
            raise InstrumentError(
                "the SIM switch connects the card to " + ("reader and modem at once" if reader else "nothing"),
                where=self._port.where,
                hint="select one side",
            )
        return "reader" if reader else "modem"


def _relay(options: DriverOptions, name: str) -> int | None:
    value = options.extra.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= protocol.MAX_RELAY:
        raise ConfigurationError(
            f"'{name}' is {value!r}, a relay from 0 to {protocol.MAX_RELAY} is due", where=options.origin
        )
    return value
