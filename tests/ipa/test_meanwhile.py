"""A card with its own way removes what the eIM has acknowledged while the next GetEimPackage is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.apdu.errors import CardGone
from fixtures.ipa.errors import EimUnreachable

from .bench import poll, set_up
from .fakes import NOTHING, FakeCard, FakeEim, Tls, notification, package_result, tlv

ACKNOWLEDGED = tlv("BF50", tlv("BF53", tlv("80", b"\x11"), tlv("80", b"\x07")))


@dataclass
class LocalCard(FakeCard):
    local: bool = True


def waiting_card() -> LocalCard:
    return LocalCard(results={17: package_result(5, 17, tlv("83", b"\x00"))}, notifications={7: notification(7)})


def eim(card: FakeCard, asked: Callable[[], bytes | None], *, gated: bool = True) -> FakeEim:
    """Take what the card has; from then on it answers nothing until it is asked for a package (``asked``)."""

    def answer(message: bytes, _: int) -> bytes | None:
        if message.startswith(b"\xbf\x50"):
            if gated and card.hang is None:
                card.hang = asyncio.Event()
            return ACKNOWLEDGED
        assert message.startswith(b"\xbf\x4f"), message.hex()
        return asked()

    return FakeEim(answer)


def go_on(card: FakeCard) -> None:
    assert card.hang is not None
    card.hang.set()


def test_both_at_once(home: Path, server_tls: Tls) -> None:
    card = waiting_card()

    def asked() -> bytes:
        assert card.results and card.notifications, "nothing is removed yet"
        go_on(card)
        return NOTHING

    result = poll(card, eim(card, asked), server_tls, home)
    assert (card.results, card.notifications, result.notifications) == ({}, {}, 1)


def test_a_card_behind_a_modem_removes_first(home: Path, server_tls: Tls) -> None:
    card = FakeCard(results={17: package_result(5, 17, tlv("83", b"\x00"))}, notifications={7: notification(7)})

    def asked() -> bytes:
        assert not card.results and not card.notifications
        return NOTHING

    poll(card, eim(card, asked, gated=False), server_tls, home)


def test_what_is_handed_out_meanwhile_waits_for_the_card(home: Path, server_tls: Tls) -> None:
    """A package is executed only when everything acknowledged is off the card, however fast the eIM is."""
    card = waiting_card()
    again: list[bytes] = []

    async def run() -> None:
        async with set_up(card, server, server_tls, home) as ipa:
            polling = asyncio.create_task(ipa.poll(timeout=30.0))
            await answered.wait()
            for _ in range(50):  # the answer has every chance to overtake the card
                await asyncio.sleep(0.001)
            go_on(card)
            await polling

    answered = asyncio.Event()

    def asked() -> bytes:
        answered.set()
        again.append(b"")
        return NOTHING if len(again) > 1 else tlv("BF4F", tlv("BF52", tlv("5C", bytes.fromhex("BF20"))))

    server = eim(card, asked)
    asyncio.run(run())
    data = card.requests.index(bytes.fromhex("BF2000"))
    removals = [at for at, request in enumerate(card.requests) if request[:2].hex() == "bf30"]
    assert max(removals[:2]) < data
    assert (card.results, card.notifications) == ({}, {})


@pytest.mark.parametrize("moment", ["before", "after"])
def test_power_cut_meanwhile_loses_nothing(moment: str, home: Path, server_tls: Tls) -> None:
    card = waiting_card()

    def asked() -> bytes:
        if card.hang is not None and not card.hang.is_set():
            card.cut = (card.apdus - 1, moment)  # the APDU that hangs: the first removal
            go_on(card)
        return NOTHING

    server = eim(card, asked)
    with pytest.raises(CardGone):
        poll(card, server, server_tls, home)
    assert len(card.results) + len(card.notifications) == (2 if moment == "before" else 1)
    card.hang = None
    poll(card, server, server_tls, home)
    assert (card.results, card.notifications) == ({}, {})
    assert [message[:2].hex() for message in server.messages] == ["bf50", "bf4f", "bf4f"]  # delivered once


def test_an_eim_that_goes_away_meanwhile_leaves_the_card_tidy(home: Path, server_tls: Tls) -> None:
    card = waiting_card()

    def asked() -> None:
        go_on(card)

    with pytest.raises(EimUnreachable):
        poll(card, eim(card, asked), server_tls, home, retries=0)
    assert (card.results, card.notifications) == ({}, {})
    assert card.opened == card.closed


def test_a_card_that_goes_away_counts_for_more_than_an_eim_that_does(home: Path, server_tls: Tls) -> None:
    card = waiting_card()

    def asked() -> None:
        card.cut = (card.apdus - 1, "before")
        go_on(card)

    with pytest.raises(CardGone) as caught:
        poll(card, eim(card, asked), server_tls, home, retries=0)
    assert isinstance(caught.value.__cause__, EimUnreachable)


def test_cancelled_meanwhile_nothing_goes_on(home: Path, server_tls: Tls) -> None:
    card = waiting_card()
    answered = asyncio.Event()

    def asked() -> bytes:
        answered.set()
        return NOTHING

    async def run() -> None:
        async with set_up(card, eim(card, asked), server_tls, home) as ipa:
            polling = asyncio.create_task(ipa.poll(timeout=30.0))
            await answered.wait()
            polling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await polling
            sent = card.apdus
            go_on(card)
            await asyncio.sleep(0)
            assert card.apdus == sent and len(card.results) == 1
            assert card.opened == card.closed
            card.hang = None
            await ipa.poll(timeout=30.0)
            assert (card.results, card.notifications) == ({}, {})

    asyncio.run(run())
