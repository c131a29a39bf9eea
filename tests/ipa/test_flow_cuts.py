"""Power cut at every APDU of the flows that switch a profile beside packages: consistent each time, told once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sweeps import Sweep

from bench.apdu.errors import CardGone
from bench.rsp import packages

from .fakes import Tls
from .lab import BOOTSTRAP, OPERATIONAL, Lab
from .relay import RelayEim

Play = Callable[[Lab], Awaitable[None]]


async def quiet(lab: Lab) -> None:
    """Poll and reset until there is nothing to do and nothing to deliver."""
    for _ in range(8):
        try:
            result = await lab.ipa.poll()
        except CardGone:
            await lab.card.reset()
            continue
        if result.profile_changed:
            await lab.card.reset()
            continue
        if not lab.relay.orders and not lab.card.euicc.state().notifications:
            return
    raise AssertionError("the bench does not come to rest")


async def through(lab: Lab, act: Callable[[], Awaitable[object]]) -> None:
    """Do something; a cut is followed by power again."""
    with suppress(CardGone):
        await act()
    await lab.card.reset()


async def prepare_switched(lab: Lab) -> None:
    await lab.on_operational(rollback=True)


async def roll_back(lab: Lab) -> None:
    await through(lab, lab.ipa.rollback)
    await quiet(lab)


def rolled_back(lab: Lab) -> None:
    """Whatever the moment of the cut: what the eIM heard last is what the card is."""
    (done,) = lab.relay.done
    assert done.results in ([("rollback", 0)], [("enable", 0)])
    assert lab.enabled == (BOOTSTRAP if done.results == [("rollback", 0)] else OPERATIONAL)


async def prepare_fallback(lab: Lab) -> None:
    lab.order(packages.set_fallback_attribute(BOOTSTRAP))
    await lab.ipa.poll()
    await lab.on_operational(rollback=False)
    await quiet(lab)
    lab.eim.messages.clear()


async def fall_back_and_return(lab: Lab) -> None:
    await through(lab, lab.ipa.execute_fallback)
    await quiet(lab)
    lab.notes = {"causes": lab.causes(), "enabled": lab.enabled}
    await through(lab, lab.ipa.return_from_fallback)
    await quiet(lab)


def fell_back(lab: Lab) -> None:
    """Each switch that took place was told once, and nothing else was."""
    there = lab.notes["enabled"] == BOOTSTRAP
    assert lab.notes["causes"] == ([1] if there else [])
    back = there and lab.enabled == OPERATIONAL
    assert lab.causes() == [1] * (there + back)


async def prepare_immediate(lab: Lab) -> None:
    lab.order(packages.configure_immediate_enable(flag=True))
    await lab.ipa.poll()
    lab.order_download()
    lab.eim.messages.clear()


def immediately_enabled(lab: Lab) -> None:
    """The profile is there; it is enabled unless the cut came before the card was asked to; the eIM was told."""
    assert [profile.iccid for profile in lab.card.euicc.state().profiles] == [BOOTSTRAP, OPERATIONAL]
    assert lab.causes() == ([5] if lab.enabled == OPERATIONAL else [])
    assert lab.relay.orders == []


async def prepare_notifications(lab: Lab) -> None:
    """Disable and enable notifications and the result of a package wait on the card."""
    await lab.on_operational(rollback=False)


def delivered(lab: Lab) -> None:
    assert [done.results for done in lab.relay.done] == [[("enable", 0)]]
    assert lab.enabled == OPERATIONAL


FLOWS: dict[str, tuple[Callable[[Lab], Awaitable[None]], Play, Callable[[Lab], None]]] = {
    "rollback": (prepare_switched, roll_back, rolled_back),
    "fallback": (prepare_fallback, fall_back_and_return, fell_back),
    "immediate-enable": (prepare_immediate, quiet, immediately_enabled),
    "notifications": (prepare_notifications, quiet, delivered),
    "notifications-one-by-one": (prepare_notifications, quiet, delivered),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("flow", FLOWS)
def test_a_cut_at_every_apdu(flow: str, when: str, base: Path, quick_path: Path, server_tls: Tls, sweep: Sweep) -> None:
    prepare, play, check = FLOWS[flow]

    async def once(home: Path, cut: int | None) -> int:
        bench = Lab.make(home, home, server_tls)
        bench.relay.go_on(kept[0])
        async with bench as lab:
            if flow == "notifications-one-by-one":
                lab.use(notifications_with_result=False)
            start = lab.card.apdus
            if cut is not None:
                lab.card.cut = (start + cut, when)
            await play(lab)
            assert lab.card.cut is None, f"APDU {cut} was never reached"
            assert lab.card.euicc.faults == 0
            check(lab)
            assert lab.card.euicc.state().notifications == ()
            assert set(lab.relay.delivered.values()) <= {1}, "delivered twice"
            if flow.startswith("notifications") and cut is None:
                assert lab.relay.together == (2 if flow == "notifications" else 0)
            return lab.card.apdus - start

    async def ready(home: Path) -> None:
        async with Lab.make(base, home, server_tls) as lab:
            await prepare(lab)
            kept.append(lab.relay)

    kept: list[RelayEim] = []

    asyncio.run(ready(quick_path / "ready"))

    def copy(name: str) -> Path:
        return Path(shutil.copytree(quick_path / "ready", quick_path / name))

    whole = asyncio.run(once(copy("whole"), None))
    for cut in sweep(whole, first=2 * (when == "after")):
        try:
            asyncio.run(once(copy(f"cut-{cut}"), cut))
        except AssertionError as error:
            raise AssertionError(f"{flow}, cut {when} APDU {cut}: {error}") from error
        shutil.rmtree(quick_path / f"cut-{cut}")
