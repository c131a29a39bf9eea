"""Power cut at every APDU of a direct download: nothing is lost, neither server gets anything twice."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from by_hand import tlv
from sweeps import Sweep

from bench.apdu.errors import CardGone
from bench.rsp import packages
from bench.rsp import tlv as walk

from .direct_lab import DirectEim, DirectLab, decoded
from .fakes import Tls
from .lab import BOOTSTRAP, OPERATIONAL
from .relay import SMDPP


async def quiet(lab: DirectLab) -> None:
    for _ in range(8):
        try:
            result = await lab.ipa.poll()
        except CardGone:
            await lab.card.reset()
            await lab.ipa.close()
            lab.use()  # the device lost its power too: only what the IPA keeps on disk is left
            continue
        if result.profile_changed:
            await lab.card.reset()
            continue
        if not lab.relay.orders and not lab.card.euicc.state().notifications:
            return
    raise AssertionError("the bench does not come to rest")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("immediate", [False, True], ids=["plain", "immediate-enable"])
def test_a_cut_at_every_apdu(
    when: str, immediate: bool, base: Path, quick_path: Path, server_tls: Tls, sweep: Sweep
) -> None:
    async def ready(home: Path) -> str:
        async with DirectLab.make(base, home, server_tls) as lab:
            if immediate:
                lab.order(packages.configure_immediate_enable(flag=True))
                await lab.ipa.poll()
            matching_id = lab.order_direct()
            kept.append(lab.eim_of_direct)
            return matching_id

    async def once(home: Path, cut: int | None) -> int:
        bench = DirectLab.make(home, home, server_tls)
        bench.relay.go_on(kept[0])
        bench.relay.orders = [("direct", tlv("80", f"1${SMDPP}${matching_id}".encode()))]
        async with bench as lab:
            lab.eim_of_direct.tries_again = True
            start = lab.card.apdus
            if cut is not None:
                lab.card.cut = (start + cut, when)
            await quiet(lab)
            assert lab.card.cut is None, f"APDU {cut} was never reached"
            assert lab.card.euicc.faults == 0
            state = lab.card.euicc.state()
            assert [profile.iccid for profile in state.profiles] == [BOOTSTRAP, OPERATIONAL]
            assert state.notifications == ()
            assert lab.order_state(matching_id) == "installed"
            sent = [decoded(body, "pendingNotification") for body in lab.of("handleNotification")]
            told = [walk.first(result).find(0xBF37) for result in lab.eim_of_direct.told]
            # Both have each result of the card once, an interrupted installation as well as the one that succeeded.
            assert [found.raw for found in told if found is not None] == sent
            assert None not in told and len(sent) == len(set(sent)) <= 2
            assert walk.first(sent[-1]).find(0xBF27, 0xA2, 0xA0) is not None
            assert set(lab.relay.delivered.values()) <= {1}, "the eIM got a notification twice"
            if immediate:
                assert lab.causes() == ([5] if lab.enabled == OPERATIONAL else [])
            else:
                assert lab.enabled == BOOTSTRAP
            return lab.card.apdus - start

    kept: list[DirectEim] = []
    matching_id = asyncio.run(ready(quick_path / "ready"))
    whole = asyncio.run(once(Path(shutil.copytree(quick_path / "ready", quick_path / "whole")), None))
    for cut in sweep(whole, first=2 * (when == "after")):
        home = Path(shutil.copytree(quick_path / "ready", quick_path / f"cut-{cut}"))
        try:
            asyncio.run(once(home, cut))
        except AssertionError as error:
            raise AssertionError(f"cut {when} APDU {cut} of {whole}: {error}") from error
        shutil.rmtree(home)
