"""A recipe of the tests: one poll with the cells on, one with them off, and what each has had at eIM and link."""

from __future__ import annotations

from counting_eim import counted

from bench.engine.recipe import Station, recipe
from bench.errors import EimUnreachable
from recipes import start
from recipes.job import Job, Phase

BOOTSTRAP = Phase("bootstrap", "00101", "", "bootstrap.iot", 120.0)


@recipe(title="Poll without a cell", needs=("power", "modem", "network", "card", "data", "eim", "ipa"))
async def poll_without_a_cell(station: Station) -> None:
    """Poll with the cells on, take every cell away, wait for the loss, poll again."""
    job = Job(station)
    async with station.step("ready"):
        await start.cells_on(job)
        await job.power_on()
        await start.identify(job)
        await start.associate(job)
        await job.register(BOOTSTRAP)
        await job.open_data(BOOTSTRAP)
    await _poll(job, "cells-on")
    async with station.step("lose", timeout=120.0):
        for cell in await station.network.cells():
            await station.network.set_cell(False, cell=cell)
        while (await station.modem.registration()).registered:
            await station.clock.sleep(1.0)
    await _poll(job, "cells-off")


async def _poll(job: Job, name: str) -> None:
    """Poll; measure the bytes at the eIM's socket and on the device's link, and whether the eIM was reached."""
    station = job.station
    async with station.step(name) as step:
        at_eim, on_link = counted(station.home), sum(await station.data.counters())
        try:
            await station.ipa.poll(timeout=300.0)
            reached = True
        except EimUnreachable as error:
            step.note(str(error))
            reached = False
        step.measure("reached", reached)
        step.measure("at_eim", counted(station.home) - at_eim, unit="B")
        step.measure("on_link", sum(await station.data.counters()) - on_link, unit="B")
