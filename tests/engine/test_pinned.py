"""A pinned card: another one is not spoken to beyond its EID."""

from __future__ import annotations

import asyncio

import pytest

from bench.apdu.channel import LogicalChannel
from bench.engine.pinned import PinnedCard
from bench.station.config import CardConfig, StationConfig
from bench.station.drivers import WrongInstrument

EID = "89049032123451234512345678901235"


class Channel:
    select_response = b""

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        """Answer ES10c.GetEID (SGP.22 section 5.7.20) and nothing else."""
        assert command[1] == 0xE2
        return bytes.fromhex("BF3E125A10" + EID) + b"\x90\x00"

    async def close(self) -> None:
        pass


class Card:
    def __init__(self) -> None:
        self.opened: list[bytes] = []

    async def open_channel(self, aid: bytes) -> LogicalChannel:
        self.opened.append(aid)
        return Channel()

    async def reset(self) -> None:
        pass


def test_the_right_card_is_read_once() -> None:
    card = Card()
    pinned = PinnedCard(card, StationConfig("s", card=CardConfig(eid=EID)))
    for _ in range(3):
        asyncio.run(pinned.open_channel(b"\xa0\x01"))
    assert len(card.opened) == 4
    assert card.opened.count(b"\xa0\x01") == 3


def test_another_card_is_refused_every_time() -> None:
    card = Card()
    pinned = PinnedCard(card, StationConfig("s", card=CardConfig(eid=EID[:-1] + "6")))
    for _ in range(2):
        with pytest.raises(WrongInstrument, match=f"the card's EID is {EID}, not"):
            asyncio.run(pinned.open_channel(b"\xa0\x01"))
    assert b"\xa0\x01" not in card.opened


class Exchanged(Card):
    """A reader whose card is another one from some moment on."""

    generation = 1

    def __init__(self) -> None:
        super().__init__()
        self.eid = EID

    async def open_channel(self, aid: bytes) -> LogicalChannel:
        self.opened.append(aid)
        return ExchangedChannel(self.eid)


class ExchangedChannel(Channel):
    def __init__(self, eid: str) -> None:
        self.eid = eid

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        return bytes.fromhex("BF3E125A10" + self.eid) + b"\x90\x00"


def test_a_card_that_may_have_been_exchanged_is_looked_at_again() -> None:
    card = Exchanged()
    pinned = PinnedCard(card, StationConfig("s", card=CardConfig(eid=EID)))
    asyncio.run(pinned.open_channel(b"\xa0\x01"))
    reads = len(card.opened)
    asyncio.run(pinned.open_channel(b"\xa0\x01"))
    assert len(card.opened) == reads + 1
    card.generation = 2  # unplugged and back: the same card
    asyncio.run(pinned.open_channel(b"\xa0\x01"))
    assert len(card.opened) == reads + 3
    card.generation, card.eid = 3, EID[:-1] + "6"
    with pytest.raises(WrongInstrument, match=f"the card's EID is {EID[:-1]}6, not {EID}") as caught:
        asyncio.run(pinned.open_channel(b"\xa0\x01"))
    assert "nothing was switched" not in caught.value.hint  # in the middle of a run the bench cannot know that
