"""The card through AT+CSIM (27.007 section 8.17): channels and class bytes are ours, the modem carries bytes only.

For modems whose AT+CCHO and AT+CGLA are missing, forbidden or break in the middle of a long command. The modem goes on
using the card by itself meanwhile, so nothing here touches the basic channel but MANAGE CHANNEL, and channels that are
not ours are closed only when the card has none left: the modem may have its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from bench.apdu.channel import LogicalChannel
from bench.apdu.errors import CardGone, NoSuchApplication
from bench.apdu.iso7816 import ApduError, class_on_channel, manage_channel_close, manage_channel_open, select_aid
from bench.errors import ConfigurationError, InstrumentTimeout, Refused
from bench.station.clock import Clock
from bench.trace.lane import Direction, Lane
from instruments.modem import parse
from instruments.modem.errors import NOT_INSERTED, SIM_BUSY, ModemError, ModemHung, PortGone

if TYPE_CHECKING:
    from bench.apdu.channel import CardAccess
    from instruments.modem.modem import AtModem

    def _fits(card: CsimCard) -> CardAccess:
        return card


_ORDINARY: Final = 10.0
_LOADING: Final = 240.0
_STORE_DATA: Final = 0xE2
_LEFT_OVER: Final = (3, 2, 1)
_TRIES, _AGAIN = 10, 0.25
_RESET: Final = 60.0
NOT_ALLOWED, NOT_SUPPORTED = 3, 4
_NO_CHANNEL: Final = frozenset(("6a81", "6881"))
"""Function not supported (no channel left), logical channel not supported."""
_FOUND: Final = frozenset((0x90, 0x91, 0x62, 0x63))


class CsimChannel:
    """A logical channel of our own."""

    def __init__(self, card: CsimCard, number: int, generation: int, select_response: bytes) -> None:
        self.select_response = select_response
        self._card = card
        self._number = number
        self._generation = generation
        self._open = True

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        """Exchange one command APDU on this channel. 61xx and 6Cxx are returned as they came.

        A modem that sends GET RESPONSE by itself returns the data at once; both are right. ``timeout`` in seconds of
        station time; by default 240 for STORE DATA, else 10. Raises InstrumentTimeout, CardGone.
        """
        if not self._open or self._generation != self._card.generation:
            raise CardGone("the logical channel is closed: the modem or the card was reset", where="AT+CSIM")
        if len(command) < 4:
            raise ConfigurationError(f"{command.hex()} is no command APDU")
        try:
            cla = class_on_channel(command[0], self._number)
        except ApduError:
            cla = command[0]
        if timeout is None:
            timeout = _LOADING if command[1] == _STORE_DATA else _ORDINARY
        try:
            return await self._card.exchange(bytes((cla,)) + command[1:], timeout)
        except (asyncio.CancelledError, InstrumentTimeout):
            self._open = False  # its answer may come later: nothing more is sent on it
            self._card.abandoned.add(self._number)
            raise

    async def close(self) -> None:
        """Close the channel. Closing one that died with a reset, or without the port, is no error."""
        if not self._open:
            return
        self._open = False
        if self._generation == self._card.generation:
            with contextlib.suppress(CardGone, InstrumentTimeout, Refused):
                await self._card.exchange(bytes(manage_channel_close(self._number)), _ORDINARY)
        self._card.live.discard((self._generation, self._number))


class CsimCard:
    """The card behind a modem's AT+CSIM (bench.apdu.channel.CardAccess)."""

    def __init__(self, modem: AtModem, *, lane: Lane, clock: Clock) -> None:
        self.live: set[tuple[int, int]] = set()
        """Generation and number of our open channels."""
        self.abandoned: set[int] = set()
        """Channels whose last exchange was given up: closed before the next is opened."""
        self._modem = modem
        self._lane = lane
        self._clock = clock
        self._resets = 0

    @property
    def generation(self) -> int:
        """Changes whenever channels opened before are gone."""
        return self._modem.port.generation * 65536 + self._modem.resets * 256 + self._resets

    async def exchange(self, apdu: bytes, timeout: float) -> bytes:
        """Send one APDU as it is. Raises CardGone, InstrumentTimeout, Refused where the modem forbids it."""
        text = apdu.hex().upper()
        self._lane.record(Direction.SENT, apdu)
        try:
            lines = await self._modem.command(f'AT+CSIM={len(text)},"{text}"', timeout=timeout)
            answer = parse.apdu(lines, "+CSIM")
        except ModemHung as error:
            raise InstrumentTimeout(
                f"the card did not answer within {timeout:g} s", where=f"AT+CSIM {text[:10]}"
            ) from error
        except PortGone as error:
            raise CardGone(f"the way to the card is gone: {error.what}", where=error.where, hint=error.hint) from error
        except ModemError as error:
            if error.code in (NOT_ALLOWED, NOT_SUPPORTED):
                raise Refused(
                    f"the modem forbids AT+CSIM: {error.what}",
                    where=error.where,
                    hint="reach the card by AT+CCHO (via = 'ccho') or in a reader",
                ) from error
            # The card may or may not have executed it: never sent again from here.
            raise CardGone(f"AT+CSIM: {error.what}", where=text[:10], hint="open the channel again") from error
        except parse.AnswerUnreadable as error:
            raise CardGone(f"AT+CSIM: {error.what}", where=text[:10], hint="open the channel again") from error
        self._lane.record(Direction.RECEIVED, answer)
        return answer

    async def open_channel(self, aid: bytes) -> LogicalChannel:
        """MANAGE CHANNEL and SELECT. Raises NoSuchApplication, CardGone, Refused, InstrumentTimeout."""
        if not 5 <= len(aid) <= 16:
            raise ConfigurationError(f"an AID has 5 to 16 bytes, this one {len(aid)}")
        generation = self.generation
        self.live = {live for live in self.live if live[0] == generation}
        for number in sorted(self.abandoned):
            await self.exchange(bytes(manage_channel_close(number)), _ORDINARY)
        self.abandoned.clear()
        number = await self._manage_channel()
        self._modem.mark_refresh()
        answer = await self._select(number, aid)
        channel = CsimChannel(self, number, generation, answer[:-2])
        self.live.add((generation, number))
        if answer[-2] not in _FOUND:
            await channel.close()
            raise NoSuchApplication(
                f"the application cannot be selected: {answer[-2:].hex()}",
                where=f"SELECT {aid.hex().upper()}",
                hint="is it an eUICC?",
            )
        return channel

    async def _manage_channel(self) -> int:
        """Open a channel; the card's left-over ones are closed when it has none left."""
        answer = await self._patiently(bytes(manage_channel_open()))
        if answer[-2:].hex() in _NO_CHANNEL:
            for number in _LEFT_OVER:
                if (self.generation, number) not in self.live:
                    await self.exchange(bytes(manage_channel_close(number)), _ORDINARY)
            answer = await self._patiently(bytes(manage_channel_open()))
        if answer[-2] == 0x61:
            answer = await self.exchange(bytes((0x00, 0xC0, 0x00, 0x00, answer[-1])), _ORDINARY)
        if len(answer) != 3 or answer[-2:] != b"\x90\x00" or not 1 <= answer[0] <= 19:
            raise NoSuchApplication(f"the card opens no logical channel: {answer.hex()}", where="MANAGE CHANNEL")
        return answer[0]

    async def _patiently(self, apdu: bytes) -> bytes:
        """Exchange the first APDU: right after its start a modem is busy with the card itself."""
        for _ in range(_TRIES - 1):
            try:
                return await self.exchange(apdu, _ORDINARY)
            except CardGone as error:
                code = getattr(error.__cause__, "code", None)
                if code == NOT_INSERTED:
                    raise CardGone("the modem has no card", where="AT+CSIM", hint="is it in its holder?") from error
                if code != SIM_BUSY:
                    raise
            await self._clock.sleep(_AGAIN)
        return await self.exchange(apdu, _ORDINARY)

    async def _select(self, number: int, aid: bytes) -> bytes:
        """SELECT, its response fetched; without Le where the card refuses the command with one (T=0)."""
        cla = class_on_channel(0, number)
        answer = await self.exchange(bytes((cla,)) + bytes(select_aid(aid))[1:], _ORDINARY)
        if answer == b"\x67\x00":
            answer = await self.exchange(bytes((cla,)) + bytes(select_aid(aid, le=None))[1:], _ORDINARY)
        if len(answer) == 2 and answer[0] == 0x61:
            answer = await self.exchange(bytes((cla, 0xC0, 0x00, 0x00, answer[1])), _ORDINARY)
        return answer

    async def reset(self) -> None:
        """Have the modem reset the card and wait until it answers again; open channels are gone. Raises CardGone."""
        self._resets += 1
        self.live.clear()
        self.abandoned.clear()
        try:
            await self._modem.reset_card(timeout=_RESET)
        except (PortGone, ModemHung, ModemError) as error:
            raise CardGone(f"the card did not come back after a reset: {error.what}", where=error.where) from error
