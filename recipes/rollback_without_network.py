"""A switch to a profile whose network is not there: the IPA rolls back, and the device is reachable again."""

from __future__ import annotations

from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import DeviceFailure
from bench.station.interfaces import EimOrder
from recipes import device_turns, start
from recipes.device_profiles import BY_DEVICE, by_device
from recipes.job import Job
from recipes.parameters import DeviceDeadlines, Profiles
from recipes.words import not_verified, reason, results_of


@recipe(
    title="Rollback without network",
    needs=("power", "modem", "card", "data", "eim", "smdpp", "ipa", "network", "eim:results"),
    effects=("switches-profile", "consumes-profile"),
    by_device=(*BY_DEVICE, "network"),
)
async def rollback_without_network(
    station: Station,
    operational_cell: Annotated[int, Range(1, 16)] = 2,
    patience: Annotated[float, Unit("s"), Range(5, 3600)] = 60.0,
    profiles: Profiles = Profiles(),
    deadlines: DeviceDeadlines = DeviceDeadlines(),
) -> None:
    """Enable the operational profile while its network (``operational_cell`` of the emulator) is off; require rollback.

    Decisive: within ``patience`` the device must not register on the new profile. Then the IPA rolls back
    (ES10b.ProfileRollback), the device registers with the profile it left, and the eIM has the eUICC's signed result of
    the rollback for the order, instead of one of the enable. SGP.32 sections 3.3.2 and 3.4.1.
    """
    if by_device(station):
        await device_turns.rollback_without_network(station, operational_cell, patience, profiles, deadlines)
        return
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job, installed=True, network=True)
    home, away = begin.bootstrap.iccid, begin.target.iccid
    try:
        async with station.step("network-off") as step:
            await station.network.set_cell(False, cell=operational_cell)
            step.note(f"cell {operational_cell} is off")
        order = await job.switch(away, job.operational)
        await job.verify_identity(away)
        await _no_network(job, patience)
        async with station.step("rollback") as step:
            before = station.clock.now()
            if not await (await job.ipa()).rollback():
                raise DeviceFailure(
                    "the card refused to roll back",
                    where="ES10b.ProfileRollback",
                    hint="the enable had the rollback flag, and nothing since then ends the authorisation",
                )
            await job.refresh(job.bootstrap)
            await job.register(job.bootstrap, step_name="register-back")
            step.measure("time_to_service", station.clock.now() - before, unit="s")
        await job.verify_identity(home, step_name="identity-back")
        await job.open_data(job.bootstrap, step_name="data-back")
        poll = await job.poll("deliver-rollback", measured=True)
        await _eim_knows(job, order)
        if not poll.rolled_back:
            raise DeviceFailure(
                "the IPA delivered no result of a rollback",
                where="ESipa.ProvideEimPackageResult",
                hint="the result of the rollback waits on the card: 'bench euicc info' lists it under package_results",
            )
    finally:
        await station.network.set_cell(True, cell=operational_cell)


async def _no_network(job: Job, patience: float) -> None:
    """Require that the device does not register on the new profile: otherwise the run has shown nothing."""
    async with job.station.step("no-network") as step:
        try:
            found = await job.station.wait_registered(timeout=patience)
        except DeviceFailure as nothing:
            step.note(f"not registered within {patience:g} s: {nothing.what}")
            return
        raise DeviceFailure(
            f"the device registered on {found.plmn or 'a network'} with the new profile: no rollback was needed",
            where=f"{job.operational.name} profile, {found.source}",
            hint="operational_cell must be the cell that serves this profile, and no other network may take it",
        )


async def _eim_knows(job: Job, order: EimOrder) -> None:
    """Require that the eIM holds the verified result of the rollback, and that only."""
    async with job.station.step("eim-knows") as step:
        shown = await job.station.eim.show(order.order_id)
        names = [str(result.get("name")) for result in results_of(shown)] or [str(shown.result.get("command", ""))]
        if shown.state == "done" or names != ["rollback"] or not shown.error.get("rolled_back"):
            raise DeviceFailure(
                f"the eIM has the order as {shown.state} with result {', '.join(names) or 'none'}, not as rolled back",
                where=f"eIM order {order.order_id}",
                hint=reason(shown.error),
            )
        if not shown.verified:
            raise not_verified(shown, "the rollback's result")
        step.note(reason(shown.error))
