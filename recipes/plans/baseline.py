"""The baseline of a soak: the state that every cycle starts from, checked and restored apart from what is tested."""

from __future__ import annotations

from typing import Annotated

from bench.engine.recipe import Range, Station, recipe
from bench.errors import DeviceFailure, Refused
from recipes import start
from recipes.job import Job
from recipes.parameters import Deadlines, Profiles
from recipes.plans.full_cycle import EFFECTS, NEEDS
from recipes.servers import open_orders
from recipes.words import listing

_FPLMN = 0x6F7B


@recipe(title="Baseline check", needs=NEEDS)
async def baseline_check(
    station: Station,
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
    fplmn_most: Annotated[int, Range(0, 1000)] = 0,
    installed: bool = False,
) -> None:
    """Require the baseline: bootstrap profile enabled, nothing pending on card or eIM, FPLMN, modem, attach state.

    Switches nothing but the supply on. ``fplmn_most``: so many networks may stand in EF.FPLMN. ``installed``: the
    operational profile is on the card, disabled, instead of absent. Everything that is not as it must be is named.
    """
    job = Job(station, profiles, deadlines)
    wrong: list[str] = []
    async with station.step("power"):
        if not await station.power.output():
            await station.power.set_output(True)
        await station.modem.wait_ready(timeout=job.boot_within)
        await station.card_to("modem")
        await station.modem.wait_sim_ready(timeout=job.boot_within)
    async with station.step("modem") as step:
        answer = " ".join(await station.modem.command("AT+CFUN?"))
        if "+CFUN: 1" not in answer:
            wrong.append(f"the modem is not in full functionality ({answer})")
        entries = await _fplmn(station)
        if entries is not None:
            step.measure("fplmn_entries", entries)
            if entries > fplmn_most:
                wrong.append(f"EF.FPLMN holds {entries} networks")
    async with station.step("card") as step:
        await start.identify(job)
        found = await job.profiles()
        enabled = [item.iccid for item in found if item.enabled]
        if len(enabled) != 1 or len(found) - 1 != int(installed):
            wrong.append(f"profiles: {listing(found)}")
        elif profiles.bootstrap_iccid and enabled != [profiles.bootstrap_iccid]:
            wrong.append(f"{enabled[0]} is enabled, not {profiles.bootstrap_iccid}")
        left = await (await job.ipa()).notifications()
        step.measure("notifications", len(left))
        if left:
            wrong.append(f"{len(left)} notifications wait on the card")
    async with station.step("eim") as step:
        orders = await open_orders(station, job.eid)
        step.measure("open_orders", len(orders))
        if orders:
            wrong.append(f"orders open at the eIM: {', '.join(f'{order.kind} {order.state}' for order in orders)}")
    async with station.step("attach") as step:
        if job.by_radio and not wrong:  # with another profile enabled this would wait in vain for minutes
            seen = await station.modem.wait_registered(
                plmn=profiles.bootstrap_plmn or None,
                rat=profiles.bootstrap_rat or None,
                timeout=job.bootstrap.register_within,
            )
            step.measure("registered_after", seen.elapsed, unit="s")
    if wrong:
        raise DeviceFailure(
            "not at the baseline: " + "; ".join(wrong), where=f"card {job.eid}", hint="baseline-restore brings it there"
        )


@recipe(title="Baseline restore", needs=NEEDS, effects=EFFECTS)
async def baseline_restore(
    station: Station,
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
    installed: bool = False,
) -> None:
    """Bring card, eIM and modem to the baseline, whatever the last cycle left.

    Cells on, modem at full functionality, EF.FPLMN emptied, pending results and notifications delivered, open orders
    cancelled, back on the bootstrap profile by a signed switch, the operational profile removed or ``installed``.
    """
    job = Job(station, profiles, deadlines)
    async with station.step("network"):
        if station.has("network"):
            await start.cells_on(job)
    async with station.step("modem") as step:
        if not await station.power.output():
            await station.power.set_output(True)
        await station.modem.wait_ready(timeout=job.boot_within)
        await station.card_to("modem")
        await station.modem.command("AT+CFUN=1", timeout=job.boot_within)
        await station.modem.wait_sim_ready(timeout=job.boot_within)
        if await _fplmn(station):
            cleared = await station.modem.clear_forbidden_plmns(timeout=job.boot_within)
            step.note(f"EF.FPLMN emptied of {', '.join(cleared)}")
    await start.reach(job, installed=installed)
    await job.connect(job.bootstrap, suffix="baseline")
    await job.poll("deliver-baseline")


async def _fplmn(station: Station) -> int | None:
    """Return how many networks stand in EF.FPLMN, None where the modem cannot tell."""
    try:
        return len(await station.modem.forbidden_plmns())
    except Refused:
        return None
