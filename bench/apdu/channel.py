"""How the bench reaches a card, whatever carries the APDU (a modem's AT+CCHO/CGLA, AT+CSIM or a PC/SC reader)."""

from __future__ import annotations

from typing import Protocol


class LogicalChannel(Protocol):
    """An open logical channel with one selected application (ETSI TS 102 221 section 11.1.17)."""

    select_response: bytes
    """FCI or FCP returned by SELECT, without status word; empty where the carrier hides it (AT+CCHO)."""

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        """Exchange one command APDU (short form, class byte without channel bits) for the response with SW1 SW2.

        The carrier sets the channel bits. 61xx and 6Cxx are returned as they came. ``timeout`` in seconds of the
        station's clock. Raises InstrumentTimeout, CardGone.
        """

    async def close(self) -> None:
        """Close the channel. Closing one that died with a reset is no error."""


class CardAccess(Protocol):
    """A way to the card."""

    async def open_channel(self, aid: bytes) -> LogicalChannel:
        """Open a logical channel and select ``aid``. Raises CardGone or NoSuchApplication."""

    async def reset(self) -> None:
        """Reset the card in the way this carrier can (cold reset, AT+CFUN, ...) and wait until it answers again."""


class CarrierTraits(Protocol):
    """What a way to the card may say of itself beside ``CardAccess``."""

    carries_refresh: bool
    """Somebody behind this carrier fetches and carries out REFRESH: a modem, or a reader's driver."""
    local: bool
    """Nothing but the bench uses the card: a reset of it disturbs nobody. False where a modem holds it."""


def carries_refresh(card: CardAccess) -> bool:
    """Return whether the carrier carries out a REFRESH of the card; True for one that does not say.

    Where it is False, functions that switch the profile are called with refreshFlag FALSE, and the card is reset after
    a switch (SGP.22 section 5.7.16).
    """
    return bool(getattr(card, "carries_refresh", True))


def is_local(card: CardAccess) -> bool:
    """Return whether the card may be reset without asking anybody; False for a carrier that does not say.

    There a card that waits for its reset after a switch (6985 to everything, or no REFRESH at all) is given it at once.
    """
    return bool(getattr(card, "local", False))


def generation_of(card: CardAccess) -> object:
    """Return what changes whenever another card may have come: a removal, a reset, a port that went away.

    None where the way to the card does not tell (attribute ``generation``, optional).
    """
    return getattr(card, "generation", None)
