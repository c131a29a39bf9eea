"""Direct downloads and emulated eUICCs against the bundled eIM and SM-DP+ as processes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from by_hand import tlv

from bench.errors import ConfigurationError

from .fakes import EID
from .test_bundled import BOOTSTRAP, OPERATIONAL, lab

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("binding", ["asn1", "json"])
def test_a_direct_download(binding: str, home: Path) -> None:
    async def run() -> None:
        async with lab(home, ipa_options={"binding": binding}) as bench:
            placed = await bench.smdpp.order("operational", eid=EID)
            order = await bench.eim.order_download(EID, placed.activation_code, direct=True)
            result = await bench.ipa.poll()
            assert result.downloads[0]["installed"] and result.downloads[0]["direct"]
            assert result.smdpp_received > 4000 > result.bytes_received
            shown = await bench.done(order)
            assert shown.result["iccid"] == OPERATIONAL
            messages = await bench.eim.messages(order.order_id)
            triggers = [bytes.fromhex(str(item["data"])) for item in messages if "Trigger" in str(item["what"])]
            code = placed.activation_code.removeprefix("LPA:").encode()
            # BF54{A0{80 activationCode}, 82 eimTransactionId}: literal but for the number that the eIM draws.
            assert len(triggers) == 1 and len(triggers[0]) == len(
                tlv("BF54", tlv("A0", tlv("80", code)), tlv("82", bytes(8)))
            )
            assert triggers[0].startswith(b"\xbf\x54") and tlv("A0", tlv("80", code)) in triggers[0]
            # The eIM keeps the result and does not forward what was never its session (SGP.32 section 5.7.4).
            (kept,) = await bench.eim.notifications(EID, wait=5.0)
            assert (kept["event"], kept["state"], kept["verified"]) == ("install", "kept", True)
            state = await bench.smdpp.state(placed.matching_id)
            assert state.state == "installed" and [item["event"] for item in state.notifications] == ["install"]
            assert bench.card.euicc.state().notifications == ()

    asyncio.run(run())


def test_a_direct_download_from_the_default_smdp(home: Path) -> None:
    async def run() -> None:
        async with lab(home) as bench:
            placed = await bench.smdpp.order("operational", eid=EID)
            assert await bench.ipa.set_default_smdp(placed.smdp_address) == "ok"
            order = await bench.eim.order_download(EID, "", direct=True)
            assert (await bench.ipa.poll()).downloads[0]["installed"]
            await bench.done(order)
            sent = [
                str(item["data"]) for item in await bench.eim.messages(order.order_id) if "Trigger" in str(item["what"])
            ]
            assert sent[0].startswith("bf540ea0028100" + "8208")

    asyncio.run(run())


def test_a_direct_download_that_the_smdp_refuses_ends_the_order(home: Path) -> None:
    async def run() -> None:
        async with lab(home) as bench:
            order = await bench.eim.order_download(EID, "LPA:1$smdpp.bench.example$NO-SUCH-ID", direct=True)
            (report,) = await bench.finish()
            assert (report["subject_code"], report["reason_code"]) == ("8.2.6", "3.8")
            shown = await bench.eim.show(order.order_id)
            assert shown.state == "failed"
            assert "the matchingId is refused" in str(shown.error["what"])

    asyncio.run(run())


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"activation_code": "LPA:1$a$B", "direct": True, "confirmation_code": "1"}, "has no confirmation code"),
        ({"activation_code": "LPA:1$a$B", "direct": 1}, "direct is true or false"),
        ({"smds_address": "ds.test", "direct": True}, "activation code or default SM-DP"),
        ({"direct": True}, "activation_code is missing"),
    ],
)
def test_direct_orders_that_cannot_be(parameters: dict[str, object], words: str, home: Path) -> None:
    async def run() -> None:
        async with lab(home) as bench:
            with pytest.raises(ConfigurationError, match=words):
                await bench.eim.order(EID, "download", parameters)
            accepted = await bench.eim.order_download(EID, "LPA:1$a$B$$1", direct=True)
            assert not accepted.final

    asyncio.run(run())


def test_an_emulated_card(home: Path) -> None:
    """What nobody has signed is done and not verified; what the eUICC has signed is verified as ever."""

    async def run() -> None:
        async with lab(home, mode="consumer") as bench:
            await bench.eim.set_euicc(EID, emulated=True)
            listed = await bench.eim.order_list(EID)
            download, matching_id = await bench.order_download()
            enable = await bench.eim.order_enable(EID, OPERATIONAL, rollback=True)
            assert all(report["installed"] for report in await bench.finish())
            assert bench.enabled == OPERATIONAL
            for order, verified in ((listed, False), (download, True), (enable, False)):
                shown = await bench.eim.show(order.order_id)
                assert (shown.state, shown.verified) == ("done", verified), shown
                assert bool(shown.result.get("emulated")) is not verified
            await bench.eim.notifications(EID, wait=10.0)
            told = (await bench.smdpp.state(matching_id)).notifications
            assert [item["event"] for item in told] == ["install", "enable"]
            rolled = await bench.eim.order_enable(EID, BOOTSTRAP, rollback=True)
            assert (await bench.ipa.poll()).profile_changed
            await bench.card.reset()
            assert await bench.ipa.rollback()
            await bench.card.reset()
            assert (await bench.ipa.poll()).rolled_back
            shown = await bench.eim.show(rolled.order_id)
            assert (shown.state, shown.verified) == ("failed", False)
            assert shown.error["rolled_back"] is True and bench.enabled == OPERATIONAL

    asyncio.run(run())


def test_a_direct_download_to_an_emulated_card(home: Path) -> None:
    """The eIM can verify its result when it knows the certificate; before, it says so instead of asking for ever."""

    async def run() -> None:
        async with lab(home, mode="consumer") as bench:
            await bench.eim.set_euicc(EID, emulated=True)
            placed = await bench.smdpp.order("operational", eid=EID)
            early = await bench.eim.order_download(EID, placed.activation_code, direct=True)
            await bench.ipa.poll()
            shown = await bench.eim.show(early.order_id)
            assert shown.state == "failed" and "certificate could not be learned" in str(shown.error["what"])
            relayed, _ = await bench.order_download()
            await bench.finish()
            await bench.done(relayed)
            delete = await bench.eim.order_delete(EID, OPERATIONAL)
            await bench.finish()
            assert (await bench.eim.show(delete.order_id)).state == "done"
            placed = await bench.smdpp.order("operational", eid=EID)
            order = await bench.eim.order_download(EID, placed.activation_code, direct=True)
            assert (await bench.ipa.poll()).downloads[0]["direct"]
            await bench.done(order)  # verified: the installation result is the eUICC's own
            assert (await bench.smdpp.state(placed.matching_id)).state == "installed"

    asyncio.run(run())


def test_an_eim_that_was_not_told_believes_no_emulated_result(home: Path) -> None:
    async def run() -> None:
        async with lab(home, mode="consumer") as bench:
            download, _ = await bench.order_download()  # by which the eIM learns the eUICC's certificate
            await bench.finish()
            await bench.done(download)
            order = await bench.eim.order_list(EID)
            await bench.finish()
            shown = await bench.eim.show(order.order_id)
            assert (shown.state, shown.verified) == ("failed", False)
            assert "signature over the result is wrong" in str(shown.error["what"])

    asyncio.run(run())
