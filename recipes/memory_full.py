"""Downloads until the card has no memory left: the right error, a device that works on, and all memory back."""

from __future__ import annotations

from typing import Annotated

from bench.engine.recipe import Range, Station, recipe
from bench.errors import BenchError, DeviceFailure
from bench.station.interfaces import EimOrder
from recipes import start
from recipes.job import Job
from recipes.parameters import Deadlines, Profiles
from recipes.words import listing, not_verified, order_failed

_INSUFFICIENT_MEMORY = 10
"""ErrorReason installFailedDueToInsufficientMemoryForProfile (SGP.22 section 2.5.6)."""
_DELETES = 8
"""Profiles removed by one package."""


@recipe(
    title="Memory full",
    needs=("power", "modem", "card", "data", "eim", "smdpp", "ipa", "smdpp:packages"),
    effects=("switches-profile", "deletes-profile", "consumes-profile"),
)
async def memory_full(
    station: Station,
    fill_with: str = "filler-*",
    most: Annotated[int, Range(1, 200)] = 40,
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Download profiles until the installation result says that the memory is not sufficient; then clean up.

    ``fill_with`` names packages of the SM-DP+: ``filler-*`` stands for filler-1, filler-2 and so on, up to ``most``.
    Decisive: one of them is refused with installFailedDueToInsufficientMemoryForProfile (read from the signed
    ProfileInstallationResult). The refused one is not on the card, the device registers and exchanges data as before,
    and when the others are deleted by signed packages the memory is as free as at the start. SGP.22 section 2.5.6.
    """
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job)
    await _remove(job, await _left_over(job, begin.bootstrap.iccid), "remove-left-over")
    free = await _free(job)
    installed: list[str] = []
    try:
        await _fill(job, fill_with, most, installed)
        await job.register(job.bootstrap)
        await job.verify_identity(begin.bootstrap.iccid)
        await job.open_data(job.bootstrap)
        await job.exchange_data()
        await job.carry_out("signed-list", await station.eim.order_list(job.eid), "listProfileInfo")
    except BenchError as failure:
        # A full card is in the way of every other recipe; the first failure stays the verdict.
        try:
            await _remove(job, installed, "clean-up")
        except BenchError as error:
            station.note(f"{len(installed)} profiles stay on the card, the next run removes them: {error}")
        raise failure from None
    await _remove(job, installed, "clean-up")
    async with station.step("memory-back") as step:
        now = await _free(job)
        step.measure("free", now, unit="B", lower=free)


async def _free(job: Job) -> int:
    return (await (await job.ipa()).memory()).free_non_volatile


async def _fill(job: Job, pattern: str, most: int, installed: list[str]) -> None:
    """Download until one is refused for its size; note what was installed in ``installed`` as it happens."""
    station = job.station
    async with station.step("fill") as step:
        step.measure("free_before", await _free(job), unit="B")
        for number in range(1, most + 1):
            target = await station.smdpp.order(pattern.replace("*", str(number)), eid=job.eid)
            order = await station.eim.order_download(job.eid, target.activation_code)
            poll = await job.poll(f"download-{number}")
            shown = await station.eim.show(order.order_id)
            if shown.state == "done":
                installed.append(target.iccid)
                continue
            if shown.error.get("error_reason_code") != _INSUFFICIENT_MEMORY:
                raise order_failed(shown, poll, f"download {number}")
            step.measure("profiles", len(installed))
            step.measure("free_left", await _free(job), unit="B")
            await _refused(job, shown, target.iccid)
            return
        raise DeviceFailure(
            f"the card took {len(installed)} profiles and never reported insufficient memory: "
            f"{await _free(job)} bytes are left",
            where=f"card {job.eid}",
            hint="give larger packages (fill_with) or a larger number of them (most)",
        )


async def _refused(job: Job, order: EimOrder, iccid: str) -> None:
    """Require that the refusal was signed, and that nothing of the refused profile is on the card."""
    if not order.verified:
        raise not_verified(order, "the installation result")
    profiles = await job.profiles()
    if any(profile.iccid == iccid for profile in profiles):
        raise DeviceFailure(
            f"{iccid} was refused for its size, and the card lists it",
            where=listing(profiles),
            hint="the eUICC must remove what it could not install: 'bench euicc profiles' shows its list",
        )


async def _left_over(job: Job, bootstrap: str) -> list[str]:
    """Return what this eIM has downloaded and is still on the card."""
    downloaded = start.downloaded_by(await job.station.eim.orders(job.eid))
    return [item.iccid for item in await job.profiles() if item.iccid in downloaded and item.iccid != bootstrap]


async def _remove(job: Job, iccids: list[str], step_name: str) -> None:
    for at in range(0, len(iccids), _DELETES):
        await start.delete(job, *iccids[at : at + _DELETES], step_name=step_name)
