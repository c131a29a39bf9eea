"""The card in a PC/SC reader: driver ``pcsc``.

The calls run in an owner thread with a deadline each. A hanging call is abandoned with its thread and its context; a
daemon that was restarted, a card that was removed or reset by somebody else ends the channels with CardGone, and the
next channel begins with a new context. What was sent before such an end may or may not have been carried out: nothing
is ever sent again from here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from bench.apdu.channel import CardAccess, Following, LogicalChannel
from bench.apdu.errors import CardGone
from bench.errors import ConfigurationError, InstrumentError, Refused
from bench.station.drivers import TICK, DriverOptions
from bench.station.interfaces import Identity
from bench.station.tables import did_you_mean
from instruments.reader.owner import Owner
from instruments.reader.pcsc_link import SLICE_MS, DaemonGone, PcscLink, library, use_daemon
from instruments.reader.pcsc_terminal import Terminal

if TYPE_CHECKING:
    from bench.station.interfaces import Reader

    def _fits(reader: PcscReader) -> Reader:
        return reader

    def _card_fits(card: PcscCard) -> CardAccess:
        return card


T = TypeVar("T")
_STORE_DATA: Final = 0xE2
_ORDINARY, _LOADING = 10.0, 240.0
"""Seconds for one APDU; a card may install for minutes after a STORE DATA."""
_OPEN: Final = 20.0
"""Seconds for taking the card and opening a channel: several APDUs, and the start of a card."""
_RESET: Final = 20.0
_CLOSE: Final = 2.0
_FINDS: Final = 1.2
"""Seconds in which a daemon that polls every 0.4 s sees a card that was put in."""
_LOOK: Final = 5.0
"""Seconds for what no card takes part in."""


class PcscChannel:
    """A logical channel on the card in a reader."""

    def __init__(self, card: PcscCard, terminal: Terminal, number: int, generation: int, fci: bytes) -> None:
        self.select_response = fci
        self.number = number
        self._card = card
        self._terminal = terminal
        self._generation = generation
        self._open = True

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        """Exchange one command APDU; the channel bits are set here. 61xx and 6Cxx are returned as they came.

        ``timeout`` in real seconds; by default 240 for STORE DATA, else 10. Raises InstrumentTimeout, CardGone,
        ConfigurationError for what is no APDU.
        """
        return await self.converse(command, _nothing, timeout=timeout)

    async def converse(self, command: bytes, following: Following, *, timeout: float | None = None) -> bytes:
        """Exchange ``command`` and what follows it in the owner thread (bench.apdu.channel.ConversingChannel)."""
        terminal, command = self._terminal, _checked(command)
        if not self._open or terminal is not self._card.terminal:
            raise CardGone("the logical channel is closed", where=self._card.name, hint="open it again")
        if timeout is None:
            timeout = _LOADING if command[1] == _STORE_DATA else _ORDINARY
        number, generation = self.number, self._generation
        stopped = False
        began = 0.0

        def exchange() -> bytes:
            nonlocal began
            apdu = command
            while True:
                began = time.monotonic()
                answer = terminal.transmit(number, generation, apdu)
                after = None if stopped else following(answer)
                if after is None:
                    return answer
                apdu = _checked(after)

        try:
            return await self._card.owner.run(
                exchange, timeout=timeout, what=command[:5].hex(), alive=lambda: began or time.monotonic()
            )
        except BaseException as error:
            stopped = True
            if not isinstance(error, InstrumentError | ConfigurationError):
                # Its answer will come when nobody knows the question any more.
                self._open = False
                self._card.unfinished = True
            raise

    async def close(self) -> None:
        """Close the channel. Closing one that died with a reset or with the card is no error."""
        if not self._open:
            return
        self._open = False
        terminal, number, generation = self._terminal, self.number, self._generation
        if terminal is self._card.terminal and generation == terminal.generation:
            await self._card.owner.run(
                lambda: terminal.close(number, generation), timeout=_CLOSE, what="closing a channel"
            )


class PcscCard:
    """The way to the card in a reader (bench.apdu.channel.CardAccess)."""

    def __init__(self, options: DriverOptions, name: str) -> None:
        self.name = name
        self.owner = Owner(f"pcsc {name}", options.clock, self._abandoned)
        self.unfinished = False
        """An exchange was given up in its middle: the next channel begins with a reset."""
        self._lane = options.apdu_lane
        self._fetch = bool(options.extra.get("fetch", True))
        self._toolkit = bool(options.extra.get("toolkit", False))
        self.carries_refresh = self._fetch and self._toolkit
        """REFRESH is fetched and carried out here; else whoever switches a profile resets the card (CarrierTraits)."""
        self.local = True
        self._origin = options.origin
        self._terminals = 0
        self.terminal = self._new_terminal()

    def _new_terminal(self) -> Terminal:
        return Terminal(PcscLink(self.name, where=self._origin), self._lane, fetch=self._fetch, toolkit=self._toolkit)

    @property
    def generation(self) -> int:
        """Changes whenever another card may be there (bench.apdu.channel.generation_of)."""
        return self._terminals << 32 | self.terminal.connections

    def _abandoned(self) -> Callable[[], None]:
        """Go on with a new context; the thread that was left behind gives the card back when its call ends."""
        left = self.terminal.link
        self._terminals += 1
        self.terminal = self._new_terminal()
        self.unfinished = False
        return left.forget if isinstance(left, PcscLink) else left.disconnect

    async def open_channel(self, aid: bytes) -> LogicalChannel:
        """Take the card for this process alone, open a logical channel and select ``aid``.

        Raises CardGone, NoSuchApplication, Refused when another program uses the card, InstrumentTimeout.
        """
        if not 5 <= len(aid) <= 16:
            raise ConfigurationError(f"an AID has 5 to 16 bytes, this one {len(aid)}")
        terminal, unfinished = self.terminal, self.unfinished

        def open_() -> tuple[int, int, bytes]:
            if unfinished:
                terminal.refresh = True
                terminal.give_back()
            return _patiently(terminal, lambda: terminal.open(aid))

        number, generation, fci = await self.owner.run(open_, timeout=_OPEN, what="opening a channel")
        self.unfinished = False
        return PcscChannel(self, terminal, number, generation, fci)

    async def reset(self) -> None:
        """Cold reset; open channels are gone. Raises CardGone, InstrumentTimeout, Refused."""
        terminal = self.terminal

        def reset() -> None:
            terminal.channels.clear()
            _patiently(terminal, terminal.restart)
            terminal.give_back()

        await self.owner.run(reset, timeout=_RESET, what="a cold reset")
        self.unfinished = False


def _nothing(_: bytes) -> None:
    """Nothing follows."""


def _checked(command: bytes) -> bytes:
    if len(command) < 4:
        raise ConfigurationError(f"{command.hex()} is no command APDU")
    return bytes(command)


def _patiently(terminal: Terminal, work: Callable[[], T]) -> T:
    """Do ``work`` that begins with a card not in use, again while reader and daemon find their way to it.

    A context of a daemon that was restarted fails once; a card that was just put in, or exchanged, is seen when the
    daemon polls next; another program that uses the card may be about to end. Nothing of ours was under way, so that
    nothing is done twice.
    """
    until = time.monotonic() + _FINDS
    while True:
        fresh = not terminal.channels
        try:
            return work()
        except (CardGone, Refused):
            if not fresh or time.monotonic() >= until:
                raise
        if isinstance(terminal.link, PcscLink):
            with contextlib.suppress(CardGone):
                terminal.link.present(terminal.link.present()[1], wait_ms=SLICE_MS)


class PcscReader:
    """An eUICC reader behind PC/SC (interfaces.Reader)."""

    def __init__(self, options: DriverOptions, name: str, identity: Identity) -> None:
        self.name = name
        self.identity = identity
        self.atr = b""
        self._clock = options.clock
        self._card = PcscCard(options, name)
        self._link = PcscLink(name, where=options.origin)
        """Of its own: presence is seen while the card is in use."""
        self._looking = Owner(f"pcsc {name} presence", options.clock, self._new_link)

    def _new_link(self) -> Callable[[], None]:
        left, self._link = self._link, PcscLink(self.name)
        return left.forget

    @classmethod
    async def open(cls, options: DriverOptions) -> PcscReader:
        """Find the reader and look whether there is a card; the card is not touched.

        ``options.resource`` is the reader's name, a part of it, or its serial number; '' for the only reader.
        Options: ``pcsclite_csock`` (socket of the daemon), ``fetch`` (false: proactive commands are left alone),
        ``toolkit`` (true: TERMINAL PROFILE is sent, so that the card issues REFRESH).
        Raises ConfigurationError when there is no such reader or when it is not the only one, InstrumentError.
        """
        extra = options.known_extra("pcsclite_csock", "fetch", "toolkit")
        use_daemon(str(extra.get("pcsclite_csock", "")), where=options.origin)
        link = PcscLink(options.resource, where=options.origin)
        finding = Owner("pcsc readers", options.clock, lambda: None)
        try:
            name, identity = await finding.run(
                lambda: _find(link, options.resource, options.origin), timeout=_LOOK, what="listing the readers"
            )
        finally:
            finding.end()
        reader = cls(options, name, identity)
        try:
            await reader._look(0, 0)
        except BaseException:
            await reader.close()
            raise
        return reader

    @staticmethod
    def warm() -> None:
        """Import what ``open`` needs (drivers.WarmDriver)."""
        library()

    async def close(self) -> None:
        """Give the card back and end the context."""
        card, terminal, link = self._card, self._card.terminal, self._link

        def end_card() -> None:
            terminal.lost()
            if isinstance(terminal.link, PcscLink):
                terminal.link.forget()

        try:
            await self._looking.run(link.forget, timeout=_CLOSE, what="closing")
            await card.owner.run(end_card, timeout=_CLOSE, what="closing")
        finally:
            card.owner.end()
            self._looking.end()

    def card(self) -> CardAccess:
        """Return the way to the card, held exclusively while a channel is open."""
        return self._card

    async def _look(self, known: int, wait_ms: int) -> tuple[bool, int]:
        link = self._link
        try:
            present, state, self.atr = await self._looking.run(
                lambda: link.present(known, wait_ms=wait_ms), timeout=_LOOK, what="looking for a card"
            )
        except DaemonGone:
            self.atr = b""
            # The context is forgotten: a daemon that was restarted answers a new one.
            present, state, self.atr = await self._looking.run(link.present, timeout=_LOOK, what="looking for a card")
        return present, state

    async def wait_card(self, *, present: bool = True, timeout: float) -> float:
        """Wait until a card is in the reader (or gone from it); return the seconds of station time it took.

        PC/SC polls readers such as vpcd every 0.4 s. Raises CardGone when ``timeout`` s are over.
        """
        clock, state = self._clock, 0
        start = clock.now()
        while True:
            before = clock.now()
            here, state = await self._look(state, 0 if not state else SLICE_MS)
            if here is present:
                return clock.now() - start
            if clock.now() - start + TICK >= timeout:
                break
            # A clock that stood still meanwhile goes on by what was waited, for what else has to happen.
            missing = SLICE_MS / 1000 - (clock.now() - before)
            if missing > TICK:
                await clock.sleep(missing)
        what = "no card is in the reader" if present else "the card is still in the reader"
        raise CardGone(f"{what} after {timeout:g} s", where=self.name, hint="which way is the card wired?")


def _find(link: PcscLink, wanted: str, origin: str) -> tuple[str, Identity]:
    """Return the full name of the reader that ``wanted`` names, and who it is."""
    names = link.readers()
    listed = ", ".join(names) or "none"
    if not names:
        raise InstrumentError("PC/SC lists no reader", where=origin or "pcsc", hint="is it plugged in?")
    if wanted in names:
        found = [wanted]
    else:
        found = [name for name in names if wanted in name]
        found = found or [name for name in names if link.attribute(name, "VENDOR_IFD_SERIAL_NO") == wanted]
    if not found:
        raise InstrumentError(
            f"there is no reader '{wanted}'",
            where=origin or "pcsc",
            hint=f"{did_you_mean(wanted, names)}; there are: {listed}",
        )
    if len(found) > 1:
        raise ConfigurationError(
            f"'{wanted}' names {len(found)} readers: {', '.join(found)}",
            where=origin or "pcsc",
            hint="give the whole name, or its serial number",
        )
    name = found[0]
    vendor, serial = (link.attribute(name, key) for key in ("VENDOR_NAME", "VENDOR_IFD_SERIAL_NO"))
    link.forget()
    return name, Identity(vendor, name, serial)
