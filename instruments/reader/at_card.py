"""The card through a modem: logical channels by AT+CCHO, AT+CGLA and AT+CCHC (27.007 sections 8.43 to 8.46)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from bench.apdu.channel import LogicalChannel
from bench.apdu.errors import CardGone, NoSuchApplication
from bench.apdu.iso7816 import ApduError, class_on_channel
from bench.errors import ConfigurationError, InstrumentTimeout
from bench.station.clock import Clock
from bench.trace.lane import Direction, Lane
from instruments.modem import parse
from instruments.modem.errors import NOT_FOUND, NOT_INSERTED, ModemError, ModemHung, PortGone

if TYPE_CHECKING:
    from bench.apdu.channel import CardAccess
    from instruments.modem.modem import AtModem

    def _fits(card: AtCard) -> CardAccess:
        return card


_STALE = (1, 2, 3)
_TRIES = 10
_AGAIN = 0.25
_ORDINARY, _LOADING = 10.0, 240.0
_STORE_DATA = 0xE2
_INCORRECT = (NOT_FOUND, 50, 3, 4)
"""Asked again they say the same: not found, incorrect parameters, operation not allowed, not supported."""
_RESET = 60.0


class AtChannel:
    """A logical channel that the modem opened. The session id is opaque text."""

    select_response = b""

    def __init__(self, card: AtCard, session: str, generation: int) -> None:
        self._card = card
        self._session = session
        self._generation = generation
        self._open = True

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        """Exchange one command APDU; the modem sets the channel bits. 61xx and 6Cxx are returned as they came.

        ``timeout`` in seconds of station time; by default 240 for STORE DATA, where a card may install for minutes,
        else 10. Raises InstrumentTimeout, CardGone.
        """
        return await self._card._transmit(self, bytes(command), timeout)

    async def close(self) -> None:
        """Close the channel. Closing one that died with a reset, or without the port, is no error."""
        if not self._open:
            return
        self._open = False
        await self._card._close(self)


class AtCard:
    """The card behind a modem (bench.apdu.channel.CardAccess)."""

    def __init__(self, modem: AtModem, *, lane: Lane, clock: Clock) -> None:
        self._modem = modem
        self._lane = lane
        self._clock = clock
        self._cleaned = -1
        self._resets = 0
        self._live: set[tuple[int, str]] = set()
        """Generation and session of the channels in use: never taken for stale ones."""

    @property
    def generation(self) -> int:
        """Changes whenever another card may be there (bench.apdu.channel.generation_of)."""
        return self._generation

    @property
    def _generation(self) -> int:
        """Changes whenever channels opened before are gone."""
        return self._modem.port.generation * 65536 + self._modem.resets * 256 + self._resets

    async def open_channel(self, aid: bytes) -> LogicalChannel:
        """Open a logical channel and select ``aid``.

        Channels left by an earlier program are closed first; a modem that is busy is asked up to ten times in 2.5 s.
        Raises NoSuchApplication when the card or the modem refuses, CardGone when there is no card or no modem.
        """
        if not 5 <= len(aid) <= 16:
            raise ConfigurationError(f"an AID has 5 to 16 bytes, this one {len(aid)}")
        try:
            await self._close_stale()
            session = await self._open(aid)
        except (PortGone, ModemHung) as error:
            raise CardGone(f"the way to the card is gone: {error.what}", where=error.where, hint=error.hint) from error
        self._modem.mark_refresh()
        generation = self._generation
        self._live = {live for live in self._live if live[0] == generation} | {(generation, session)}
        return AtChannel(self, session, generation)

    async def _close_stale(self) -> None:
        """Close channels 1 to 3 after every start of the modem, and after an exchange that was given up."""
        if self._cleaned == self._generation:
            return
        for number in _STALE:
            if (self._generation, str(number)) in self._live:
                continue
            with contextlib.suppress(ModemError):
                await self._modem.command(f"AT+CCHC={number}")
        self._cleaned = self._generation

    async def _open(self, aid: bytes) -> str:
        line = f'AT+CCHO="{aid.hex().upper()}"'
        for attempt in range(_TRIES):
            try:
                return parse.session(await self._modem.command(line))
            except parse.AnswerUnreadable as error:
                raise NoSuchApplication(f"AT+CCHO: {error.what}", where=aid.hex().upper()) from error
            except ModemError as error:
                if error.code == NOT_INSERTED:
                    raise CardGone("the modem has no card", where=line, hint="is the card in its holder?") from error
                if error.code in _INCORRECT or attempt == _TRIES - 1:
                    raise NoSuchApplication(
                        f"the application cannot be selected: {error.what}",
                        where=line,
                        hint="is it an eUICC, and does the modem's own LPA leave it free?",
                    ) from error
            await self._clock.sleep(_AGAIN)
        raise AssertionError("not reached")

    async def _transmit(self, channel: AtChannel, command: bytes, timeout: float | None) -> bytes:
        if not channel._open or channel._generation != self._generation:
            raise CardGone("the logical channel is closed: the modem or the card was reset", where="AT+CGLA")
        if len(command) < 4:
            raise ConfigurationError(f"{command.hex()} is no command APDU")
        try:
            apdu = bytes((class_on_channel(command[0], 0),)) + command[1:]
        except ApduError:
            apdu = command
        if timeout is None:
            timeout = _LOADING if apdu[1] == _STORE_DATA else _ORDINARY
        text = apdu.hex().upper()
        self._lane.record(Direction.SENT, apdu)
        try:
            lines = await self._modem.command(f'AT+CGLA={channel._session},{len(text)},"{text}"', timeout=timeout)
            answer = parse.apdu(lines)
        except asyncio.CancelledError:
            self._give_up(channel)
            raise
        except ModemHung as error:
            self._give_up(channel)
            raise InstrumentTimeout(
                f"the card did not answer within {timeout:g} s", where=f"AT+CGLA {text[:10]}"
            ) from error
        except PortGone as error:
            raise CardGone(f"the way to the card is gone: {error.what}", where=error.where, hint=error.hint) from error
        except (ModemError, parse.AnswerUnreadable) as error:
            # The card may or may not have executed it: never sent again from here.
            raise CardGone(f"AT+CGLA: {error.what}", where=text[:10], hint="open the channel again") from error
        self._lane.record(Direction.RECEIVED, answer)
        return answer

    def _give_up(self, channel: AtChannel) -> None:
        """Leave a channel whose exchange has no end: to close it now would wait for that exchange."""
        channel._open = False
        self._live.discard((channel._generation, channel._session))
        self._cleaned = -1

    async def _close(self, channel: AtChannel) -> None:
        self._live.discard((channel._generation, channel._session))
        if channel._generation != self._generation:
            return
        with contextlib.suppress(ModemError, ModemHung, PortGone):
            await self._modem.command(f"AT+CCHC={channel._session}")

    async def reset(self) -> None:
        """Have the modem reset the card and wait until it answers again; open channels are gone.

        Raises CardGone when it does not come back within 60 s.
        """
        self._resets += 1
        try:
            await self._modem.reset_card(timeout=_RESET)
        except (PortGone, ModemHung, ModemError) as error:
            raise CardGone(f"the card did not come back after a reset: {error.what}", where=error.where) from error
