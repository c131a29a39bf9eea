"""The bundled eIM with the virtual eUICC, the bundled SM-DP+ and the IPA: real cryptography, TLS and processes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from bench.apdu.errors import CardGone, CardNeedsReset
from bench.station.interfaces import EimOrder
from fixtures.pki import Pki
from fixtures.sim.euicc import EuiccOptions

from .system import BOOTSTRAP, EID, OPERATIONAL, System, system


async def provision(lab: System) -> tuple[str, str]:
    """Download and enable the operational profile; return the orders' numbers."""
    order = await lab.server.order("operational")
    download = await lab.client.order_download(EID, order.activation_code)
    first = await lab.ipa.poll()
    assert first.downloads and first.downloads[0]["installed"], (first, await lab.client.show(download.order_id))
    enable = await lab.client.order_enable(EID, OPERATIONAL, rollback=True)
    second = await lab.ipa.poll()
    assert second.profile_changed, (second, await lab.client.show(enable.order_id))
    await lab.card.reset()
    await lab.ipa.poll()
    return download.order_id, enable.order_id


def test_the_whole_job(base: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with system(base, tmp_path / "home") as lab:
            started = time.perf_counter()
            order = await lab.server.order("operational")
            download = await lab.client.order_download(EID, order.activation_code)
            poll = await lab.ipa.poll()
            shown = await lab.client.show(download.order_id)
            assert (shown.state, shown.verified) == ("done", True), shown
            assert shown.result["iccid"] == OPERATIONAL
            assert shown.result["profile_name"]
            assert poll.notifications >= 1
            # What the IPA delivered is at the SM-DP+ when its poll has ended.
            notes = await lab.client.notifications(EID, wait=10.0)
            assert [(item["event"], item["forwarded"]) for item in notes] == [("install", True)]
            state = await lab.server.state(order.matching_id)
            assert state.state == "installed"
            assert [item["event"] for item in state.notifications] == ["install"]

            enable = await lab.client.order_enable(EID, OPERATIONAL, rollback=True)
            poll = await lab.ipa.poll()
            assert poll.profile_changed
            assert (await lab.client.show(enable.order_id)).state == "sent"
            await lab.card.reset()
            await lab.ipa.poll()
            shown = await lab.client.show(enable.order_id)
            assert (shown.state, shown.verified) == ("done", True), shown
            assert shown.result["name"] == "ok"
            notes = await lab.client.notifications(EID, wait=10.0)
            assert all(item["verified"] and item["forwarded"] for item in notes), notes
            events = [item["event"] for item in (await lab.server.state(order.matching_id)).notifications]
            assert events == ["install", "enable"]
            assert {item["event"] for item in notes} >= {"install", "enable"}

            assert await lab.client.notifications_queued(EID, wait=10.0) == []
            listed = await lab.client.order_list(EID)
            assert [item.order_id for item in await lab.client.open_orders(EID)] == [listed.order_id]
            every = [download.order_id, enable.order_id, listed.order_id]
            assert [item.order_id for item in await lab.client.latest_orders(EID)] == every
            assert [item.order_id for item in await lab.client.latest_orders(EID, 2)] == every[1:]
            await lab.ipa.poll()
            assert await lab.client.open_orders(EID) == []
            shown = await lab.client.show(listed.order_id)
            assert shown.state == "done"
            profiles: Any = shown.result["profiles"]
            assert {item["iccid"]: item["enabled"] for item in profiles} == {
                BOOTSTRAP: False,
                OPERATIONAL: True,
            }
            print(f"the whole job: {time.perf_counter() - started:.3f} s")

            # And back again: switch to the bootstrap profile, delete the operational one.
            back = await lab.client.order_enable(EID, BOOTSTRAP, rollback=False)
            assert (await lab.ipa.poll()).profile_changed
            await lab.card.reset()
            await lab.ipa.poll()
            gone = await lab.client.order_delete(EID, OPERATIONAL)
            await lab.ipa.poll()
            for order_id in (back.order_id, gone.order_id):
                assert (await lab.client.show(order_id)).state == "done"
            euicc = await lab.client.euicc(EID)
            assert euicc["counter"] == euicc["confirmed_counter"] == 4
            assert lab.card.euicc.state().notifications == ()

    asyncio.run(run())


def test_several_rounds_on_the_same_stores(base: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with system(base, tmp_path / "home") as lab:
            for _ in range(3):
                for order_id in await provision(lab):
                    assert (await lab.client.show(order_id)).state == "done"
                await lab.client.order_enable(EID, BOOTSTRAP, rollback=False)
                await lab.ipa.poll()
                await lab.card.reset()
                await lab.client.order_delete(EID, OPERATIONAL)
                await lab.ipa.poll()
            assert all(order.state == "done" for order in await lab.client.orders(EID))

    asyncio.run(run())


def test_another_signing_key_ends_the_order(base: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with system(base, tmp_path / "home") as lab:
            Pki.open(lab.home).renew("eim")
            await lab.restart_eim()
            order = await lab.client.order_list(EID)
            poll = await lab.ipa.poll()
            assert any(result["form"] == "error-unsigned" for result in poll.results)
            shown = await lab.client.show(order.order_id)
            assert shown.state == "failed"
            assert shown.error["unsigned"] is True
            assert not shown.verified
            assert (await lab.ipa.poll()).packages == 0

    asyncio.run(run())


def test_the_smdpp_refuses_the_matching_id(base: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with system(base, tmp_path / "home") as lab:
            order = await lab.client.order_download(EID, "LPA:1$smdpp.bench.example$NOT-THERE")
            poll = await lab.ipa.poll()
            assert poll.downloads[0]["installed"] is False
            shown = await lab.client.show(order.order_id)
            assert shown.state == "failed"
            assert (shown.error["subject_code"], shown.error["reason_code"]) == ("8.2.6", "3.8")
            assert shown.error["message"]
            assert shown.error["esipa_error"] == "matchingIdRefused"

    asyncio.run(run())


def test_the_switch_is_rolled_back(base: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with system(base, tmp_path / "home") as lab:
            order = await lab.server.order("operational")
            await lab.client.order_download(EID, order.activation_code)
            await lab.ipa.poll()
            enable = await lab.client.order_enable(EID, OPERATIONAL, rollback=True)
            assert (await lab.ipa.poll()).profile_changed
            await lab.card.reset()
            assert await lab.ipa.rollback()
            await lab.card.reset()
            await lab.ipa.poll()
            shown = await lab.client.show(enable.order_id)
            assert (shown.state, shown.verified) == ("failed", True)
            assert shown.error["rolled_back"] is True
            assert shown.result["command"] == "rollback"
            again = await lab.client.order_enable(EID, OPERATIONAL, rollback=False)
            assert (await lab.ipa.poll()).profile_changed
            await lab.card.reset()
            await lab.ipa.poll()
            assert (await lab.client.show(again.order_id)).state == "done"

    asyncio.run(run())


def test_a_lost_eim_store_repairs_its_counter(base: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with system(base, tmp_path / "home") as lab:
            for _ in range(3):
                await lab.client.order_list(EID)
                await lab.ipa.poll()
            await lab.eim.kill()
            for path in (lab.home / "eim").glob("eim.sqlite*"):
                path.unlink()
            await lab.restart_eim()
            await lab.client.register(EID)
            order = await lab.client.order_list(EID)
            await lab.ipa.poll()
            shown = await lab.client.show(order.order_id)
            assert shown.state == "done", shown
            assert (await lab.client.euicc(EID))["counter"] == 1 + 0x10000 + 1

    asyncio.run(run())


def test_killed_between_any_two_messages(base: Path, tmp_path: Path) -> None:
    """kill -9 of the eIM between polls: the orders go on where they were."""

    async def run() -> None:
        async with system(base, tmp_path / "home") as lab:
            order = await lab.server.order("operational")
            download = await lab.client.order_download(EID, order.activation_code)
            await lab.restart_eim()
            assert (await lab.ipa.poll()).downloads[0]["installed"]
            await lab.restart_eim()
            assert (await lab.client.show(download.order_id)).state == "done"
            enable = await lab.client.order_enable(EID, OPERATIONAL, rollback=True)
            await lab.restart_eim()
            assert (await lab.ipa.poll()).profile_changed
            await lab.restart_eim()
            await lab.card.reset()
            await lab.ipa.poll()
            assert (await lab.client.show(enable.order_id)).state == "done"

    asyncio.run(run())


def test_power_cuts_during_the_switch(base: Path, tmp_path: Path) -> None:
    """Power goes at every APDU of a poll with a package: afterwards the order ends as what the card really did."""

    async def run() -> None:
        async with system(base, tmp_path / "home", euicc=EuiccOptions(fsync=False)) as lab:
            await lab.client.order_list(EID)
            await lab.ipa.poll()
            start = lab.card.apdus
            order = await lab.client.order_list(EID)
            await lab.ipa.poll()
            assert (await lab.client.show(order.order_id)).state == "done"
            length = lab.card.apdus - start
            for index in range(length):
                for side in ("before", "after"):
                    order = await lab.client.order_list(EID)
                    lab.card.cut = (lab.card.apdus + index, side)
                    try:
                        await lab.ipa.poll()
                    except CardGone:
                        lab.card.euicc.power_on()
                    await lab.ipa.poll()
                    shown = await lab.client.show(order.order_id)
                    assert shown.state == "done", (index, side, shown)

    asyncio.run(run())


def test_power_cuts_during_download_and_switch(base: Path, tmp_path: Path) -> None:
    """Power goes somewhere in a download or switch; the same stores go on, and nothing is done twice or lost.

    Every seventh APDU, before or after it by turns: a campaign takes them all.
    """

    async def job(lab: System) -> None:
        for _ in range(2):
            order = await lab.server.order("operational", rebinding="allow")
            download = await lab.client.order_download(EID, order.activation_code)
            shown = await until_final(lab, download.order_id)
            if shown.error.get("error_reason") != "installFailedDueToInterruption":
                break
        enable = await lab.client.order_enable(EID, OPERATIONAL, rollback=True)
        await until_done(lab, enable.order_id)
        shown = await lab.client.show(download.order_id)
        assert (shown.state, shown.verified) == ("done", True), shown
        await lab.client.notifications(EID, wait=10.0)
        state = await lab.server.state(order.matching_id)
        assert state.state == "installed"
        assert [item["event"] for item in state.notifications] == ["install", "enable"]

    async def until_final(lab: System, order_id: str) -> EimOrder:
        for _ in range(6):
            try:
                await lab.ipa.poll()
            except (CardGone, CardNeedsReset):
                pass
            await lab.card.reset()
            if (await lab.client.show(order_id)).final and not lab.card.euicc.state().notifications:
                break
        return await lab.client.show(order_id)

    async def until_done(lab: System, order_id: str) -> None:
        shown = await until_final(lab, order_id)
        assert shown.state == "done", shown

    async def back(lab: System) -> None:
        back = await lab.client.order_enable(EID, BOOTSTRAP, rollback=False)
        await until_done(lab, back.order_id)
        gone = await lab.client.order_delete(EID, OPERATIONAL)
        await until_done(lab, gone.order_id)

    async def run() -> None:
        async with system(base, tmp_path / "home", euicc=EuiccOptions(fsync=False)) as lab:
            start = lab.card.apdus
            await job(lab)
            length = lab.card.apdus - start
            await back(lab)
            for index in range(0, length, 7):
                lab.card.cut = (lab.card.apdus + index, "before" if index % 2 else "after")
                await job(lab)
                await back(lab)
            print(f"{length} APDUs in a job")

    asyncio.run(run())


def test_packages_of_ecos_at_the_virtual_euicc(base: Path, tmp_path: Path) -> None:
    """The whole life of an association, with the card's own answers and a new signing key."""

    async def run() -> None:
        async with system(base, tmp_path / "home") as lab:

            async def done(*ecos: dict[str, Any], state: str = "done") -> EimOrder:
                order = await lab.client.order_package(EID, ecos=ecos)
                await lab.ipa.poll()
                shown = await lab.client.show(order.order_id)
                assert (shown.state, shown.verified) == (state, True), shown
                return shown

            added = await done({"addEim": {"eimId": "eim.two", "associationToken": True}}, {"listEim": {}})
            results: Any = added.result["results"]
            first, listed = results
            assert first["associationToken"] > 0
            assert [eim["eimId"] for eim in listed["eims"]] == ["eim.bench.example", "eim.two"]
            await done({"addEim": {"eimId": "eim.two"}}, state="failed")
            await done({"updateEim": {"newKey": True}})
            await lab.restart_eim()  # the new key is not only in memory
            signed = await done({"listEim": {}})
            again = await lab.client.order_replay(signed.order_id)
            await lab.ipa.poll()
            assert (await lab.client.show(again.order_id)).error["name"] == "replayError"
            await done({"deleteEim": {"eimId": "eim.two"}})
            last = await done({"deleteEim": {"eimId": "eim.bench.example"}})
            assert last.result["name"] == "lastEimDeleted"
            assert list(await lab.ipa.eims()) == []
            # A new association with a token: the eIM learns it when the card refuses the first package.
            await lab.ipa.add_initial_eim(await lab.client.initial_configuration(EID, token=True))
            order = await lab.client.order_list(EID)
            await lab.ipa.poll()
            shown = await lab.client.show(order.order_id)
            assert (shown.state, shown.verified) == ("done", True), shown
            assert (await lab.client.euicc(EID))["association_token"] > 0
            old = await lab.client.order_replay(added.order_id)
            await lab.ipa.poll()
            assert (await lab.client.show(old.order_id)).error["unsigned"] is True

    asyncio.run(run())
