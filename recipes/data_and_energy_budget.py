"""What the way from the bootstrap to the operational profile costs: bytes over the air and charge, phase by phase."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import DeviceFailure
from recipes import start
from recipes.job import Job
from recipes.parameters import Deadlines, Hold, Profiles
from recipes.probes import Meter


@recipe(
    title="Data and energy budget",
    needs=("power", "modem", "card", "data", "radio", "eim", "smdpp", "ipa"),
    effects=("switches-profile", "consumes-profile", "deletes-profile"),
)
async def data_and_energy_budget(
    station: Station,
    sample: Annotated[float, Unit("s"), Range(0.001, 10)] = 0.1,
    idle: Annotated[float, Unit("s"), Range(1, 86400)] = 60.0,
    rest: Annotated[float, Unit("s"), Range(0, 3600)] = 20.0,
    hold: Hold = 2.0,
    byte_limit: Annotated[int, Unit("B"), Range(1, 1_000_000_000)] = 1_000_000,
    charge_limit: Annotated[float, Unit("mAh"), Range(0.001, 10_000)] = 100.0,
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Measure bytes, mAh and mWh of boot and registration, empty poll, download, switch, result delivery and idling.

    Bytes are those of the data path (IP bytes where the link or the interface counts them), charge is what the supply
    measures every ``sample`` seconds. ``rest``: seconds before idling is measured, for the network to release the
    connection. The limits hold for all phases but idling together; the table is the run's result ``budget``.
    """
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job)
    budget = _Budget(station, sample)
    await job.power_cycle(hold)
    async with budget.phase("boot-and-register"):
        await job.modem_ready()
        await job.register(job.bootstrap)
        await job.open_data(job.bootstrap)
    async with budget.phase("empty-poll"):
        await job.poll("poll")
    async with budget.phase("download"):
        await job.download(await station.eim.order_download(job.eid, begin.target.activation_code), begin.target.iccid)
    async with budget.phase("switch"):
        order = await job.switch(begin.target.iccid, job.operational)
        await job.register(job.operational)
        await job.open_data(job.operational)
    async with budget.phase("deliver-result"):
        poll = await job.poll("poll")
        await job.require_done(order, "the switch", poll)
    async with station.step("rest", polling=False):
        await station.clock.sleep(rest)
    async with budget.phase("idle"):
        await station.clock.sleep(idle)
    await job.verify_identity(begin.target.iccid)
    async with station.step("total") as step:
        work = [row for row in budget.rows if row["phase"] != "idle"]
        step.measure("bytes", sum(int(row["sent"]) + int(row["received"]) for row in work), unit="B", upper=byte_limit)
        step.measure("charge", sum(float(row["mAh"]) for row in work), unit="mAh", upper=charge_limit)
        step.measure("energy", sum(float(row["mWh"]) for row in work), unit="mWh")
    station.result("budget", budget.rows)


class _Budget:
    """The table of phases."""

    def __init__(self, station: Station, sample: float) -> None:
        self.rows: list[dict[str, float | str]] = []
        self._station = station
        self._meter = Meter(station, sample)

    @asynccontextmanager
    async def phase(self, name: str) -> AsyncIterator[None]:
        """Measure one phase as a step. Raises DeviceFailure when the supply has seen no current at all."""
        station = self._station
        async with station.step(name, polling=False) as step:  # what the bench asks would be charged to the device
            sent, received = await station.data.counters()
            async with self._meter.measuring() as drawn:
                yield
            up, down = await station.data.counters()
            if drawn.charge <= 0:
                raise DeviceFailure(
                    "the supply measured no current while the device worked",
                    where=f"{drawn.samples} samples in {drawn.duration:g} s",
                    hint="is the device fed by another source (USB, battery)?",
                )
            step.measure("sent", up - sent, unit="B")
            step.measure("received", down - received, unit="B")
            step.measure("charge", drawn.milliampere_hours, unit="mAh")
            step.measure("energy", drawn.energy / 3.6, unit="mWh")
            step.measure("mean_current", drawn.mean_current, unit="A")
            step.measure("peak_current", drawn.peak, unit="A")
            self.rows.append(
                {
                    "phase": name,
                    "seconds": round(drawn.duration, 3),
                    "sent": up - sent,
                    "received": down - received,
                    "mAh": round(drawn.milliampere_hours, 6),
                    "mWh": round(drawn.energy / 3.6, 6),
                }
            )
