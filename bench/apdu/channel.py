"""How the bench reaches a card, whatever carries the APDU (a modem's AT+CCHO/CGLA, AT+CSIM or a PC/SC reader)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Following = Callable[[bytes], "bytes | None"]
"""From a response with SW1 SW2 to the command APDU that follows it, None after the last. It raises nothing."""


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


class ConversingChannel(LogicalChannel, Protocol):
    """A channel that can go on with an exchange by itself: no turn of the event loop for every GET RESPONSE."""

    async def converse(self, command: bytes, following: Following, *, timeout: float | None = None) -> bytes:
        """Exchange ``command`` and what ``following`` says after each response; return the last response.

        ``timeout`` is for each APDU, as that of ``transmit``, which this raises as well. ``following`` may be called in
        another thread, never in two at once; a cancelled conversation ends after the APDU that is under way.
        """


async def converse(
    channel: LogicalChannel, command: bytes, following: Following, *, timeout: float | None = None
) -> bytes:
    """Exchange ``command`` and what follows it over any channel; as ``ConversingChannel.converse``."""
    own = getattr(channel, "converse", None)
    if own is not None:
        last: bytes = await own(command, following, timeout=timeout)
        return last
    while True:
        response = await channel.transmit(command, timeout=timeout)
        after = following(response)
        if after is None:
            return response
        command = after


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
