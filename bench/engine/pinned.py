"""The card of a run whose EID is pinned: nothing is sent to an application of another card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.apdu.channel import CardAccess, LogicalChannel, carries_refresh, generation_of, is_local

if TYPE_CHECKING:
    from bench.station.config import StationConfig

_NEVER = object()


class PinnedCard:
    """Reads the EID at the first channel opened, also when the device had no power while the station was opened.

    What cannot be undone is allowed by naming one card; a recipe that forgets to compare must not reach another. It is
    read again whenever another card may have come: a reader or modem that was unplugged, a card that was taken out.
    """

    def __init__(self, card: CardAccess, config: StationConfig) -> None:
        self._card = card
        self._config = config
        self._known: object = _NEVER
        """Generation of the card whose EID was right."""
        self.carries_refresh = carries_refresh(card)
        self.local = is_local(card)

    async def open_channel(self, aid: bytes) -> LogicalChannel:
        """Open a channel (``CardAccess.open_channel``). Raises WrongInstrument when the card is another one."""
        if self._known is _NEVER:
            await self._check()
        channel = await self._card.open_channel(aid)
        if self._known == generation_of(self._card):
            return channel
        # The card was taken anew for it: nothing has been sent on the channel yet.
        try:
            await self._check()
        except BaseException:
            await channel.close()
            raise
        return channel

    async def reset(self) -> None:
        """Reset the card."""
        await self._card.reset()

    async def _check(self) -> None:
        if self._known == generation_of(self._card):
            return
        from bench.station.pins import check_eid

        await check_eid(self._card, self._config)
        self._known = generation_of(self._card)
