"""IPA and virtual eUICC against the bundled eIM and SM-DP+ as processes: all of provisioning over real sockets."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sweeps import Sweep
from virtual_card import VirtualCard

from bench.apdu.errors import CardGone, CardNeedsReset
from bench.station.clock import RealClock
from bench.station.interfaces import EimOrder
from fixtures.eim.client import EimClient
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import Ipa, create
from fixtures.pki import Pki
from fixtures.profiles import ensure_default_packages
from fixtures.sim.euicc import EuiccOptions, VirtualEuicc
from fixtures.smdpp.service import SERVICE as SMDPP

from .fakes import EID

BOOTSTRAP, OPERATIONAL = "8900101000000000019", "8900101000000000027"


@asynccontextmanager
async def service(module: str, home: Path, *arguments: str) -> AsyncIterator[dict[str, Any]]:
    """Start a service, yield its announcement, and end it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        "serve",
        "--home",
        str(home),
        "--json",
        "--with-parent",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(30.0):
            line = await process.stdout.readline()
        yield json.loads(line)
    finally:
        process.stdin.close()
        async with asyncio.timeout(10.0):
            await process.wait()


@dataclass
class Lab:
    """One bench with everything bundled."""

    home: Path
    card: VirtualCard
    eim: EimClient
    smdpp: Any
    ipa: Ipa

    @property
    def enabled(self) -> str:
        view = self.card.euicc.state().enabled
        return view.iccid if view else ""

    async def order_download(self, **more: Any) -> tuple[EimOrder, str]:
        placed = await self.smdpp.order("operational", **more)
        return await self.eim.order_download(EID, placed.activation_code), placed.matching_id

    async def finish(self) -> list[dict[str, Any]]:
        """Poll and reset as a recipe does until no order is open and the card has nothing to deliver."""
        downloads: list[dict[str, Any]] = []
        for _ in range(12):
            try:
                result = await self.ipa.poll()
            except (CardGone, CardNeedsReset):
                await self.card.reset()
                continue
            downloads += [dict(report) for report in result.downloads]
            if result.profile_changed:
                await self.card.reset()
                continue
            open_orders = [order for order in await self.eim.orders(EID) if not order.final]
            if not open_orders and not self.card.euicc.state().notifications:
                return downloads
        raise AssertionError("the bench does not come to rest")

    async def done(self, order: EimOrder) -> EimOrder:
        shown = await self.eim.show(order.order_id)
        assert shown.state == "done", shown
        assert shown.verified
        return shown

    async def back_to_bootstrap(self) -> None:
        """As the recipe's start state: signed switch back and delete."""
        enable = await self.eim.order_enable(EID, BOOTSTRAP, rollback=False)
        await self.finish()
        await self.done(enable)
        delete = await self.eim.order_delete(EID, OPERATIONAL)
        await self.finish()
        await self.done(delete)
        assert [profile.iccid for profile in self.card.euicc.state().profiles] == [BOOTSTRAP]


@asynccontextmanager
async def lab(
    home: Path, *eim_arguments: str, ipa_options: dict[str, object] | None = None, **options: Any
) -> AsyncIterator[Lab]:
    pki = Pki.open(home)
    bootstrap = ensure_default_packages(home).bootstrap
    euicc = VirtualEuicc.open(home / "card", pki=pki, eid=EID, bootstrap=bootstrap, options=EuiccOptions(**options))
    euicc.power_on()
    card = VirtualCard(euicc)
    async with AsyncExitStack() as stack:
        smdpp_told = await stack.enter_async_context(service("fixtures.smdpp", home))
        smdpp = SMDPP.client(smdpp_told, home)
        stack.push_async_callback(smdpp.close)
        route = f"{smdpp_told['address']}={smdpp_told['https'].removeprefix('https://')}"
        eim_told = await stack.enter_async_context(service("fixtures.eim", home, "--route", route, *eim_arguments))
        eim = await stack.enter_async_context(EimClient.from_announcement(eim_told))
        servers = {eim_told["fqdn"]: eim_told["https"], smdpp_told["address"]: smdpp_told["https"]}
        routes = {name: url.removeprefix("https://") for name, url in servers.items()}
        target: dict[str, object] = {"route": routes, **(ipa_options or {})}
        ipa = create(card, HostDataPath(), RealClock(), options=target, home=home)
        await eim.register(EID)
        if options.get("mode") == "consumer":
            await ipa.associate_emulated(await eim.initial_configuration(EID, token=True))
        elif not await ipa.eims():
            await ipa.add_initial_eim(await eim.initial_configuration())
        yield Lab(home, card, eim, smdpp, ipa)


def test_bootstrap_to_operational_and_back(home: Path) -> None:
    async def run() -> None:
        async with lab(home) as bench:
            assert await bench.ipa.eims() == [bench.eim.eim_id]
            for _ in range(2):  # a second time on the same card and stores
                download, matching_id = await bench.order_download()
                enable = await bench.eim.order_enable(EID, OPERATIONAL, rollback=True)
                first = await bench.ipa.poll()
                assert first.downloads[0]["installed"], first.downloads
                assert first.profile_changed
                await bench.card.reset()
                second = await bench.ipa.poll()
                assert second.notifications == 2
                await bench.done(download)
                await bench.done(enable)
                assert bench.enabled == OPERATIONAL
                assert bench.card.euicc.state().notifications == ()
                await bench.eim.notifications(EID, wait=10.0)
                state = await bench.smdpp.state(matching_id)
                assert state.state == "installed"
                assert [item["event"] for item in state.notifications][:2] == ["install", "enable"]
                await bench.back_to_bootstrap()

    asyncio.run(run())


def test_rollback_reaches_the_eim(home: Path) -> None:
    async def run() -> None:
        async with lab(home) as bench:
            await bench.order_download()
            enable = await bench.eim.order_enable(EID, OPERATIONAL, rollback=True)
            assert (await bench.ipa.poll()).profile_changed
            await bench.card.reset()
            assert await bench.ipa.rollback()
            await bench.card.reset()
            assert bench.enabled == BOOTSTRAP
            assert (await bench.ipa.poll()).rolled_back
            shown = await bench.eim.show(enable.order_id)
            assert shown.state == "failed"
            assert shown.error["rolled_back"] is True

    asyncio.run(run())


def test_a_list_of_profiles_and_a_refused_delete(home: Path) -> None:
    async def run() -> None:
        async with lab(home) as bench:
            listing = await bench.eim.order_list(EID)
            delete = await bench.eim.order_delete(EID, BOOTSTRAP)
            await bench.finish()
            profiles: Any = (await bench.done(listing)).result["profiles"]
            assert [profile["iccid"] for profile in profiles] == [BOOTSTRAP]
            assert (await bench.eim.show(delete.order_id)).error["name"] == "profileNotInDisabledState"

    asyncio.run(run())


def test_a_matching_id_that_the_smdpp_refuses(home: Path) -> None:
    async def run() -> None:
        async with lab(home) as bench:
            order = await bench.eim.order_download(EID, "LPA:1$smdpp.bench.example$NO-SUCH-ID")
            (report,) = await bench.finish()
            assert (report["subject_code"], report["reason_code"]) == ("8.2.6", "3.8")
            shown = await bench.eim.show(order.order_id)
            assert shown.state == "failed"
            assert (shown.error["subject_code"], shown.error["reason_code"]) == ("8.2.6", "3.8")

    asyncio.run(run())


def test_an_eim_that_signs_with_another_key(home: Path) -> None:
    async def run() -> None:
        async with lab(home) as bench:
            pass
        Pki.open(home).renew("eim")
        async with lab(home) as bench:
            enable = await bench.eim.order_enable(EID, BOOTSTRAP, rollback=False)
            result = await bench.ipa.poll()
            assert [entry["form"] for entry in result.results] == ["error-unsigned"]
            shown = await bench.eim.show(enable.order_id)
            assert shown.state == "failed"
            assert shown.error["unsigned"] is True
            assert (await bench.ipa.poll()).results == ()

    asyncio.run(run())


@pytest.mark.parametrize("when", ["before", "after"])
def test_power_cut_at_every_apdu_on_the_same_stores(when: str, quick_path: Path, sweep: Sweep) -> None:
    """Card, eIM and SM-DP+ go on from where each cut left them; nothing is reset between the rounds."""

    async def attempt(bench: Lab, cut: int | None) -> tuple[EimOrder, EimOrder, str, int]:
        # A cut between PrepareDownload and the first segment makes the SM-DP+ bind the package anew.
        download, matching_id = await bench.order_download(rebinding="allow")
        enable = await bench.eim.order_enable(EID, OPERATIONAL, rollback=True)
        start = bench.card.apdus
        if cut is not None:
            bench.card.cut = (start + cut, when)
        await bench.finish()
        assert bench.card.cut is None, f"APDU {cut} was never reached"
        return download, enable, matching_id, bench.card.apdus - start

    async def provision(bench: Lab, cut: int | None) -> int:
        download, enable, matching_id, count = await attempt(bench, cut)
        ended = await bench.eim.show(download.order_id)
        if ended.state == "failed":
            # A load that was cut is a signed result of the card, which ends the order: order again, as a recipe does.
            assert cut is not None
            assert ended.error["error_reason"] == "installFailedDueToInterruption"
            assert ended.verified
            interrupted.append(cut)
            download, enable, matching_id, _ = await attempt(bench, None)
        await bench.done(download)
        await bench.done(enable)
        assert bench.enabled == OPERATIONAL
        await bench.eim.notifications(EID, wait=10.0)
        assert (await bench.smdpp.state(matching_id)).state == "installed"
        await bench.back_to_bootstrap()
        return count

    interrupted: list[int] = []

    async def run() -> None:
        async with lab(quick_path / "home") as bench:
            await provision(bench, None)  # also learns certificates and capabilities
            count = await provision(bench, None)
            cuts = sweep(count, first=2 * (when == "after"))
            for cut in cuts:
                try:
                    await provision(bench, cut)
                except AssertionError as error:
                    raise AssertionError(f"cut {when} APDU {cut}: {error}") from error
            # only the segments of the package are a load: they follow each other
            assert interrupted == [cut for cut in cuts if interrupted[0] <= cut <= interrupted[-1]]
            assert bench.card.euicc.faults == 0

    asyncio.run(run())
