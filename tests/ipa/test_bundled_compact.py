"""Compact forms, in either binding, between IPA and bundled eIM; the SM-DP+ checks each signature of the originals."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from by_hand import split

from fixtures.ipa.esipa import EsipaConnection

from .fakes import EID
from .test_bundled import BOOTSTRAP, OPERATIONAL, Lab, lab

ANNOUNCED = "a808800202fc8102"
"""IpaCapabilities with every feature of this IPA and minimizeEsipaBytes."""


class Wire:
    """Messages of the IPA and the answers to them, as the ASN.1 binding has them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.exchanges: list[tuple[bytes, bytes]] = []
        self.sent: list[bytes] = []
        """With those that were answered by an HTTP error."""
        original = EsipaConnection.request

        async def request(esipa: EsipaConnection, message: bytes) -> bytes:
            self.sent.append(message)
            answer = await original(esipa, message)
            self.exchanges.append((message, answer))
            return answer

        monkeypatch.setattr(EsipaConnection, "request", request)

    def of(self, tag: str) -> list[tuple[bytes, bytes]]:
        return [pair for pair in self.exchanges if pair[0].startswith(bytes.fromhex(tag))]

    def clear(self) -> None:
        self.exchanges.clear()
        self.sent.clear()


def tags(data: bytes, *path: str) -> list[str]:
    """Return the tags at a path of tags."""
    for step in path:
        data = next(content for tag, content, _ in split(data) if tag.hex().upper() == step)
    return [tag.hex().upper() for tag, _, _ in split(data)]


async def provision(bench: Lab) -> None:
    download, matching_id = await bench.order_download()
    enable = await bench.eim.order_enable(EID, OPERATIONAL, rollback=False)
    await bench.finish()
    await bench.done(download)
    await bench.done(enable)
    assert bench.enabled == OPERATIONAL
    await bench.eim.notifications(EID, wait=10.0)
    state = await bench.smdpp.state(matching_id)
    assert state.state == "installed"
    assert [item["event"] for item in state.notifications][:2] == ["install", "enable"]


@pytest.mark.parametrize("binding", ["asn1", "json"])
def test_the_second_download_leaves_out_what_the_first_has_told(
    binding: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(monkeypatch)

    async def run() -> None:
        async with lab(home, ipa_options={"compact": True, "binding": binding}) as bench:
            await provision(bench)
            assert any(ANNOUNCED in message.hex() for message, _ in wire.of("BF50"))
            ((begin, began),) = wire.of("BF39")
            assert "BF20" in tags(begin, "BF39")
            assert tags(began, "BF39", "A0")[0] == "30", "the eIM says that it takes compact forms"
            ((authenticate, _),) = wire.of("BF3B")
            assert tags(authenticate, "BF3B", "BF38") == ["A2"], "the certificates went with BF52"
            assert tags(authenticate, "BF3B", "BF38", "A2") == ["30", "5F37"], "euiccInfo2 is new"
            full = len(authenticate)
            await bench.back_to_bootstrap()
            wire.clear()

            await provision(bench)
            ((begin, began),) = wire.of("BF39")
            assert "BF20" not in tags(begin, "BF39")
            assert tags(began, "BF39", "A0")[0] == "30"
            ((authenticate, authenticated),) = wire.of("BF3B")
            assert tags(authenticate, "BF3B", "BF38", "A2") == ["A0", "5F37"]
            assert tags(authenticate, "BF3B", "BF38", "A2", "A0") == ["84", "A2"]
            assert len(authenticate) < full - 150
            assert "80" not in tags(authenticated, "BF3B", "A0")
            ((prepared, bound),) = wire.of("BF3A")
            assert tags(prepared, "BF3A", "BF21") == ["A2"]
            assert tags(prepared, "BF3A", "BF21", "A2", "30") == ["5F49"]
            assert tags(bound, "BF3A", "A0") == ["BF36"]
            session = [message for tag in ("BF39", "BF3B", "BF3A", "BF3D") for message, _ in wire.of(tag)[:1]]
            assert sum(map(len, session)) < 500, "1 950 bytes in full"
            installed = wire.of("BF3D")[0][0]
            assert tags(installed, "BF3D", "A0") == ["A0"]
            assert tags(installed, "BF3D", "A0", "A0") == ["A0", "5F37"]
            listed = [message for message, _ in wire.of("BF50") if tags(message, "BF50") == ["5A", "30"]]
            assert set(tags(listed[0], "BF50", "30", "A0")) == {"A1"}
            assert all(set(tags(message, "BF50", "30", "A0", "A1")) == {"BF2F", "5F37"} for message in listed)

    asyncio.run(run())


@pytest.mark.parametrize(("ipa_options", "arguments"), [({}, ()), ({"compact": True}, ("--no-compact",))])
def test_one_side_alone_announces_nothing(
    ipa_options: dict[str, Any], arguments: tuple[str, ...], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(monkeypatch)

    async def run() -> None:
        async with lab(home, *arguments, ipa_options=ipa_options) as bench:
            for _ in range(2):
                await provision(bench)
                await bench.back_to_bootstrap()
            assert any(ANNOUNCED in message.hex() for message, _ in wire.of("BF50")) == bool(ipa_options)
            assert all(tags(message, "BF3B", "BF38") == ["A0"] for message, _ in wire.of("BF3B"))
            assert all(tags(message, "BF3A", "BF21") == ["A0"] for message, _ in wire.of("BF3A"))
            assert all("BF20" in tags(message, "BF39") for message, _ in wire.of("BF39"))
            assert all(tags(answer, "BF39", "A0")[0] == "80" for _, answer in wire.of("BF39"))
            assert {tag for message, _ in wire.of("BF3D") for tag in tags(message, "BF3D", "A0")} <= {"BF37", "30"}

    asyncio.run(run())


def test_an_eim_that_does_not_announce_may_be_told_all_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """compact_after = capability: as soon as the eIM has asked for the capabilities. Ours reads them at any time."""
    wire = Wire(monkeypatch)

    async def run() -> None:
        options: dict[str, object] = {"compact": True, "compact_after": "capability"}
        async with lab(home, "--no-compact", ipa_options=options) as bench:
            await provision(bench)
            assert tags(wire.of("BF39")[0][1], "BF39", "A0")[0] == "80"
            ((authenticate, _),) = wire.of("BF3B")
            assert tags(authenticate, "BF3B", "BF38") == ["A2"]
            assert tags(wire.of("BF3D")[0][0], "BF3D", "A0") == ["A0"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("lost", "refusals"),
    [
        pytest.param("UPDATE euicc_info SET info1 = NULL", ["bf390381017f"], id="euiccInfo1"),
        pytest.param("UPDATE euicc_info SET info2 = NULL", ["bf3b03820105"], id="euiccInfo2"),
        pytest.param("UPDATE euicc_info SET info2 = x'bf2203840100'", ["bf3b03820105"], id="another-euiccInfo2"),
        pytest.param("DELETE FROM certificates", ["bf3b03820105"], id="certificates"),
    ],
)
def test_an_eim_that_has_lost_what_it_was_told_is_told_again(
    lost: str, refusals: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(monkeypatch)

    async def run() -> None:
        async with lab(home, ipa_options={"compact": True}) as bench:
            await provision(bench)
            await bench.back_to_bootstrap()
            with contextlib.closing(sqlite3.connect(home / "eim" / "eim.sqlite", isolation_level=None)) as store:
                store.execute(lost)
            wire.clear()
            await provision(bench)
            refused = [answer.hex() for _, answer in wire.exchanges if answer[3:4] in (b"\x81", b"\x82")]
            assert refused == refusals
            last = wire.of("BF3B")[-1][0]
            assert tags(last, "BF3B", "BF38") == ["A0"]

            await bench.back_to_bootstrap()
            wire.clear()
            await provision(bench)
            assert tags(wire.of("BF3B")[0][0], "BF3B", "BF38", "A2") == ["A0", "5F37"], "compact again"

    asyncio.run(run())


def test_a_notification_that_the_eim_cannot_rebuild_goes_out_whole(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch)

    async def run() -> None:
        async with lab(home, ipa_options={"compact": True, "notifications_with_result": False}) as bench:
            await provision(bench)
            with contextlib.closing(sqlite3.connect(home / "eim" / "eim.sqlite", isolation_level=None)) as store:
                store.execute("DELETE FROM certificates")
            wire.clear()
            await bench.eim.order_enable(EID, BOOTSTRAP, rollback=False)
            await bench.finish()
            assert bench.card.euicc.state().notifications == ()
            assert {tag for message, _ in wire.of("BF3D") for tag in tags(message, "BF3D", "A0")} == {"30"}
            tried = [tags(message, "BF3D", "A0") for message in wire.sent if message.startswith(b"\xbf\x3d")]
            assert tried[:2] == [["A1"], ["30"]]
            assert ["A1"] not in tried[1:], "the eIM counts as one that has been told nothing"

    asyncio.run(run())


def test_a_cancelled_session_is_told_by_its_reason_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch)

    async def run() -> None:
        async with lab(home, ipa_options={"compact": True, "consent": "no"}) as bench:
            order, matching_id = await bench.order_download()
            await bench.finish()
            ((cancel, answer),) = wire.of("BF41")
            assert tags(cancel, "BF41", "A1") == ["A2"]
            assert tags(cancel, "BF41", "A1", "A2", "30") == ["80"]
            assert answer.hex() == "bf4102a000", "the SM-DP+ has checked the eUICC's signature"
            shown = await bench.eim.show(order.order_id)
            assert shown.error["cancel_reason"] == "endUserRejection"
            assert (await bench.smdpp.state(matching_id)).state != "installed"

    asyncio.run(run())


def test_a_failed_installation_is_told_in_its_compact_form(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch)
    forced = {"LoadBoundProfilePackage.loadProfileElements": 10}

    async def run() -> None:
        async with lab(home, ipa_options={"compact": True}, force=forced) as bench:
            order, _ = await bench.order_download()
            await bench.finish()
            (told,) = [message for message, _ in wire.of("BF3D") if tags(message, "BF3D", "A0") == ["A0"]]
            assert tags(told, "BF3D", "A0", "A0", "A0", "A2") == ["A1"]
            shown = await bench.eim.show(order.order_id)
            assert shown.error["error_reason"] == "installFailedDueToInsufficientMemoryForProfile"

    asyncio.run(run())
