"""Which AT commands carry the APDUs of a modem's card: AT+CCHO and AT+CGLA, or AT+CSIM; chosen once, with the reason.

``ccho`` is tried first: the modem knows then that a channel is in use. AT+CSIM takes over where AT+CCHO opens nothing
that AT+CSIM does open, and after AT+CGLA has broken down twice without saying why (firmware that cannot carry a bound
profile package does so; its AT+CSIM can).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from bench.apdu.channel import CardAccess, LogicalChannel
from bench.apdu.errors import CardGone, NoSuchApplication
from bench.errors import ConfigurationError, InstrumentError
from bench.station.clock import Clock
from bench.trace.lane import Direction, Lane
from instruments.modem.errors import ModemError
from instruments.reader.at_card import AtCard
from instruments.reader.csim_card import CsimCard

if TYPE_CHECKING:
    from instruments.modem.modem import AtModem

    def _fits(card: ModemCard) -> CardAccess:
        return card


Via = Literal["auto", "ccho", "csim"]
_BREAKDOWNS: Final = 2
"""Exchanges that AT+CGLA may end with a bare ERROR."""


def modem_card(modem: AtModem, *, via: str, lane: Lane, clock: Clock, where: str = "") -> CardAccess:
    """Return the way to a modem's card. ``via``: ``auto``, ``ccho`` or ``csim``. Raises ConfigurationError."""
    if via == "ccho":
        return AtCard(modem, lane=lane, clock=clock)
    if via == "csim":
        return CsimCard(modem, lane=lane, clock=clock)
    if via != "auto":
        raise ConfigurationError(f"'{via}' is no way to a modem's card", where=where, hint="auto, ccho or csim")
    told = modem.options.lane
    return ModemCard(AtCard(modem, lane=lane, clock=clock), CsimCard(modem, lane=lane, clock=clock), told)


class ModemCard:
    """The card behind a modem (bench.apdu.channel.CardAccess), by whichever commands work.

    ``lane``: of the AT port; a choice of AT+CSIM is a comment on it, with the reason.
    """

    def __init__(self, ccho: AtCard, csim: CsimCard, lane: Lane) -> None:
        self.via: Literal["ccho", "csim"] = "ccho"
        self.why = "AT+CCHO is tried first"
        self._ccho = ccho
        self._csim = csim
        self._lane = lane
        self._proved = False
        self._broken = 0

    @property
    def generation(self) -> int:
        """Changes whenever another card may be there (bench.apdu.channel.generation_of)."""
        return (self._csim if self.via == "csim" else self._ccho).generation

    def _choose(self, via: Literal["ccho", "csim"], why: str) -> None:
        self.via, self.why, self._proved = via, why, True
        if via == "ccho":
            return
        self._lane.record(Direction.SENT, b"", comment=f"the card is reached by AT+{via.upper()}: {why}")

    async def open_channel(self, aid: bytes) -> LogicalChannel:
        """Open a logical channel. Raises NoSuchApplication, CardGone, InstrumentTimeout."""
        if self.via == "csim":
            return await self._csim.open_channel(aid)
        try:
            channel = await self._ccho.open_channel(aid)
        except NoSuchApplication as refusal:
            if self._proved:
                raise
            return await self._by_csim(aid, refusal)
        if not self._proved:
            self._choose("ccho", "AT+CCHO opens channels")
        return _Watched(self, channel)

    async def _by_csim(self, aid: bytes, refusal: NoSuchApplication) -> LogicalChannel:
        """Try what AT+CCHO has refused: the card's own status word tells whether it was the modem or the card."""
        try:
            channel = await self._csim.open_channel(aid)
        except (NoSuchApplication, InstrumentError) as error:
            refusal.add_note(f"AT+CSIM: {error}")
            raise refusal from error
        self._choose("csim", f"AT+CCHO opens nothing ({refusal.what}), AT+CSIM does")
        return channel

    def broke(self, error: CardGone) -> None:
        """AT+CGLA ended an exchange: without a reason for the second time, AT+CSIM carries the next channel."""
        cause = error.__cause__
        if not isinstance(cause, ModemError) or cause.code is not None:
            return
        self._broken += 1
        if self._broken >= _BREAKDOWNS and self.via == "ccho":
            self._choose("csim", f"AT+CGLA ended {self._broken} exchanges with a bare ERROR")

    async def reset(self) -> None:
        """Have the modem reset the card; open channels are gone. Raises CardGone."""
        await (self._csim if self.via == "csim" else self._ccho).reset()


class _Watched:
    """A channel of AT+CGLA whose breakdowns are counted."""

    def __init__(self, card: ModemCard, channel: LogicalChannel) -> None:
        self.select_response = channel.select_response
        self._card = card
        self._channel = channel

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        """Exchange one command APDU (``LogicalChannel.transmit``)."""
        try:
            return await self._channel.transmit(command, timeout=timeout)
        except CardGone as error:
            self._card.broke(error)
            raise

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
