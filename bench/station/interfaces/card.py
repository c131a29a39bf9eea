"""Where the eUICC is: a reader, a SIM switch."""

from __future__ import annotations

from typing import Literal, Protocol

from bench.apdu.channel import CardAccess
from bench.station.interfaces.instrument import Instrument

CardPlace = Literal["reader", "modem"]
"""Where a SIM switch puts the card."""


class Reader(Instrument, Protocol):
    """An eUICC reader (PC/SC part 5)."""

    name: str
    """The reader's name as PC/SC lists it."""
    atr: bytes
    """Answer to reset of the card in it, empty without a card."""

    async def wait_card(self, *, present: bool = True, timeout: float) -> float:
        """Wait until a card is in the reader (or gone from it); return the seconds it took.

        ``timeout`` in seconds of station time. Raises CardGone when it is over, InstrumentError without the reader.
        """

    def card(self) -> CardAccess:
        """Return the way to the card in this reader, held exclusively while a channel is open."""


class SimSwitch(Instrument, Protocol):
    """A SIM multiplexer: one card, wired to the reader or to the modem, never to both (break before make)."""

    async def select(self, place: CardPlace) -> None:
        """Wire the card to ``place`` and verify by reading back. Raises InstrumentError, Refused without a person."""

    async def selected(self) -> CardPlace:
        """Return where the card is wired now, as the switch says."""
