"""Power cut at every APDU, before or after the card executed it: the next polls finish, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from bench.apdu.errors import CardGone
from bench.station.interfaces import PollResult

from .bench import set_up
from .fakes import (
    NOTHING,
    Answer,
    FakeCard,
    FakeEim,
    Tls,
    installation_result,
    notification,
    package,
    package_result,
    result_number,
    tlv,
)
from .test_download import AUTHENTICATED, BOUND, CLIENT, PREPARED, SEGMENTS, SERVER_ANSWER, TRIGGER, TX

PIR = installation_result(21, TX)


class Scene:
    """A card and an eIM with a download, a deletion and an enable to do; both keep what they did, as real ones do."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.delivered: Counter[bytes] = Counter()
        self.orders = ["download", "delete", "enable"]
        self.counter = {"delete": 5, "enable": 6}
        self.card = FakeCard(notifications={4: notification(4)})
        self.card.answers = {
            "BF38": lambda request: SERVER_ANSWER,
            "BF21": lambda request: PREPARED,
            "86": self.segment,
            "BF51": self.load,
        }
        self.eim = FakeEim(self.answer)

    def segment(self, request: bytes) -> bytes:
        if request != SEGMENTS[1]:
            return b""
        self.done["download"] += 1
        self.card.notifications[21] = PIR
        return PIR

    def load(self, request: bytes) -> bytes:
        counter = request[request.index(b"\x81\x01") + 2]
        name = {5: "delete", 6: "enable"}[counter]
        seq = 30 + counter
        self.done[name] += 1
        code = {"delete": tlv("85", b"\x00"), "enable": tlv("83", b"\x00")}[name]
        result = package_result(counter, seq, code)
        self.card.results[seq] = result
        return result

    def answer(self, message: bytes, _index: int) -> Answer:
        tag = message[:2].hex().upper()
        if tag == "BF4F":
            if not self.orders:
                return NOTHING
            if self.orders[0] == "download":
                return tlv("BF4F", TRIGGER)
            counter = self.counter[self.orders[0]]
            return tlv("BF4F", package(counter))
        if tag == "BF50":
            seq = result_number(message)
            assert seq is not None
            self.delivered[message] += 1
            name = {35: "delete", 36: "enable"}[seq]
            if name in self.orders:
                self.orders.remove(name)
            return tlv("BF50", tlv("BF53", tlv("80", bytes((seq,)))))
        if tag == "BF3D":
            self.delivered[message] += 1
            if PIR in message and "download" in self.orders:
                self.orders.remove("download")
            return 204
        return {"BF39": AUTHENTICATED, "BF3B": CLIENT, "BF3A": BOUND}[tag]

    async def provision(self, tls: Tls, home: Path) -> int:
        """Poll until the eIM has nothing more, through cuts; return how many polls it took."""
        polls = 0
        async with set_up(self.card, self.eim, tls, home) as ipa:
            while True:
                polls += 1
                assert polls < 8
                try:
                    result: PollResult = await ipa.poll()
                except CardGone:
                    continue
                if result.packages == 0 and not self.orders:
                    return polls


def test_provisioning_without_a_cut(home: Path, server_tls: Tls) -> None:
    scene = Scene()
    assert asyncio.run(scene.provision(server_tls, home)) == 2
    check(scene)
    assert len(scene.delivered) == 4
    assert set(scene.delivered.values()) == {1}
    assert scene.card.cut is None


def check(scene: Scene) -> None:
    assert scene.orders == []
    assert scene.card.results == {}
    assert scene.card.notifications == {}
    assert set(scene.done) == {"download", "delete", "enable"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cut_at_every_apdu(when: str, tmp_path: Path, server_tls: Tls) -> None:
    whole = Scene()
    asyncio.run(whole.provision(server_tls, tmp_path / "whole"))
    assert whole.card.apdus > 50
    for index in range(whole.card.apdus):
        scene = Scene()
        scene.card.cut = (index, when)
        asyncio.run(scene.provision(server_tls, tmp_path / f"{when}-{index}"))
        assert scene.card.cut is None, f"APDU {index} was never reached"
        check(scene)
        # what was acknowledged is not delivered again, and what the card executed is not executed again
        assert set(scene.delivered.values()) == {1}, f"APDU {index}: delivered twice"
        assert set(scene.done.values()) == {1}, f"APDU {index}: executed twice"
        assert scene.card.opened == scene.card.closed


def test_two_cuts_in_a_row(tmp_path: Path, server_tls: Tls) -> None:
    for index in range(0, 60, 3):
        scene = Scene()

        async def run(scene: Scene = scene, index: int = index) -> None:
            scene.card.cut = (index, "after")
            async with set_up(scene.card, scene.eim, server_tls, tmp_path / str(index)) as ipa:
                with pytest.raises(CardGone):
                    for _ in range(3):
                        await ipa.poll()
                scene.card.cut = (scene.card.apdus + index % 7, "before")
                with pytest.raises(CardGone):
                    for _ in range(3):
                        await ipa.poll()
            await scene.provision(server_tls, tmp_path / str(index))

        asyncio.run(run())
        check(scene)
        assert set(scene.delivered.values()) == {1}
