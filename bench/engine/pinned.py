"""The card of a run whose EID is pinned: nothing is sent to an application of another card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.apdu.channel import CardAccess, LogicalChannel, carries_refresh, is_local

if TYPE_CHECKING:
    from bench.station.config import StationConfig


class PinnedCard:
    """Reads the EID at the first channel opened, also when the device had no power while the station was opened.

    What cannot be undone is allowed by naming one card; a recipe that forgets to compare must not reach another.
    """

    def __init__(self, card: CardAccess, config: StationConfig) -> None:
        self._card = card
        self._config = config
        self._known = False
        self.carries_refresh = carries_refresh(card)
        self.local = is_local(card)

    async def open_channel(self, aid: bytes) -> LogicalChannel:
        """Open a channel (``CardAccess.open_channel``). Raises WrongInstrument when the card is another one."""
        await self._check()
        return await self._card.open_channel(aid)

    async def reset(self) -> None:
        """Reset the card."""
        await self._card.reset()

    async def _check(self) -> None:
        if self._known:
            return
        from bench.station.opening import check_eid

        await check_eid(self._card, self._config)
        self._known = True
