"""Orders of operators with the virtual eUICC, the IPA and the bundled SM-DP+: default SM-DP+, data of the IPA."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bench.station.clock import RealClock
from bench.station.interfaces import EimOrder
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import create

from .system import EID, FQDN, OPERATIONAL, SMDPP, System, system


async def done(lab: System, kind: str, **values: Any) -> EimOrder:
    """Order, let the device poll, and return the order as it ended."""
    order = await lab.client.order(EID, kind, values)
    await lab.ipa.poll()
    shown = await lab.client.show(order.order_id)
    assert shown.state == "done", shown
    return shown


@pytest.mark.parametrize("way", ["direct", "indirect"])
def test_a_download_from_the_default_smdpp(way: str, base: Path, tmp_path: Path) -> None:
    """setDefaultDpAddress, then a trigger without any address: the SM-DP+ finds the order by the EID."""

    async def run() -> None:
        async with system(base, tmp_path / "home") as lab:
            route = {FQDN: f"127.0.0.1:{lab.eim.port}", SMDPP: f"127.0.0.1:{lab.smdpp.port}"}
            options = {"route": route, "trigger_with_data": way}
            lab.ipa = create(lab.card, HostDataPath(), RealClock(), options=options, home=lab.home)
            await done(lab, "setDefaultDpAddress", address=SMDPP)
            profile = await lab.server.order("operational", eid=EID)
            shown = await done(lab, "download", default_smdp=True)
            assert shown.verified and shown.result["iccid"] == OPERATIONAL
            await lab.client.notifications(EID, wait=10.0)
            assert (await lab.server.state(profile.matching_id)).state == "installed"

    asyncio.run(run())


def test_data_that_ipa_and_card_really_tell(base: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with system(base, tmp_path / "home") as lab:
            await done(lab, "setDefaultDpAddress", address=SMDPP)
            tags = [
                "defaultSmdpAddress",
                "euiccInfo1",
                "euiccInfo2",
                "associationToken",
                "ipaCapabilities",
                "deviceInfo",
            ]
            shown = await done(lab, "data", tags=[*tags, "euiccCertificate", "eumCertificate"])
            data: Any = shown.result["data"]
            assert data["defaultSmdpAddress"] == SMDPP
            assert data["euiccInfo2"]["profileVersion"] and data["euiccInfo1"]["svn"]
            assert 1 in data["ipaCapabilities"]["ipaFeatures"], "indirectRspServerCommunication"
            assert len(data["deviceInfo"]["tac"]) == 8
            assert not shown.verified, "nobody has signed it"
            euicc = await lab.client.euicc(EID)
            assert euicc["euicc_certificate"], "certificates that come by are learned"
            await done(lab, "data")

    asyncio.run(run())


def test_an_order_that_is_held_goes_out_when_it_is_approved(base: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with system(base, tmp_path / "home", "--approval", "destructive") as lab:
            profile = await lab.server.order("operational")
            await done(lab, "download", activation_code=profile.activation_code)
            held = await lab.client.order_delete(EID, OPERATIONAL)
            assert held.state == "held" and not held.final
            await done(lab, "list")
            made = await lab.client.call("POST", "/tokens", body={"name": "carol", "role": "administer"})
            carol = type(lab.client).from_announcement(lab.eim.announcement, token=made["token"])
            async with carol:
                await carol.call("POST", f"/orders/{held.order_id}/approve")
            await lab.ipa.poll()
            shown = await lab.client.show(held.order_id)
            assert (shown.state, shown.verified) == ("done", True)
            who = [item["who"] for item in await lab.client.call("GET", "/audit", query={"order": held.order_id})]
            assert who == ["bench", "carol", "eim", "eim"]

    asyncio.run(run())
