"""Profile downloads at falling RSRP: success rate, time and bytes at each step."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field
from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import ConfigurationError, DeviceFailure, EimUnreachable
from recipes import start
from recipes.job import Job
from recipes.parameters import BootstrapProfile, Deadlines, DownloadDeadlines, Profiles
from recipes.servers import cancel_open_orders


@dataclass(slots=True)
class Row:
    """What happened at one RSRP (dBm). Times in seconds of station time, of the downloads that succeeded."""

    rsrp: float
    measured: float | None = None
    """RSRP as the modem measured it."""
    attempts: int = 0
    succeeded: int = 0
    times: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    """Bytes on the device's data path, both ways, of every attempt."""
    reasons: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Share of the attempts that succeeded."""
        return self.succeeded / self.attempts if self.attempts else math.nan


@recipe(
    title="Poor signal download",
    needs=("power", "modem", "card", "data", "eim", "smdpp", "ipa", "network", "radio"),
    effects=("consumes-profile",),
)
async def poor_signal_download(
    station: Station,
    steps: str = "-85, -95, -105, -110, -115, -120",
    attempts: Annotated[int, Range(1, 100)] = 2,
    must_work_to: Annotated[float, Unit("dBm"), Range(-150, 0)] = -110.0,
    cell: Annotated[int, Range(1, 16)] = 1,
    begin: BootstrapProfile = BootstrapProfile(),
    deadlines: DownloadDeadlines = DownloadDeadlines(),
) -> None:
    """Download ``profile`` ``attempts`` times at each RSRP of ``steps`` (dBm); delete it in between with a good signal.

    The RSRP is set by the step attenuator where the station has one (relative to what the modem measures with 0 dB),
    else by the emulator's power. Decisive: at ``must_work_to`` and above every download succeeds. Below, success rate,
    time and bytes are recorded. The table is the result ``steps``.
    """
    levels = levels_of(steps)
    # An earlier run may have left another profile enabled: wherever it registers, it leads back.
    job = Job(station, Profiles(**asdict(begin), operational_plmn=""), Deadlines(**asdict(deadlines)))
    radio = Radio(station, cell)
    rows: list[Row] = []
    try:
        await radio.good()
        target = (await start.reach(job, network=True)).target
        await radio.calibrate()
        for level in levels:
            row = Row(level)
            rows.append(row)
            async with station.step(f"rsrp{level:g}") as step:
                for number in range(1, attempts + 1):
                    await _attempt(job, radio, row, number)
                    await _clean_up(job, radio, target.iccid, number)
                lower = 1.0 if level >= must_work_to else None
                step.measure("success_rate", row.rate, lower=lower)
                if row.times:
                    step.measure("download_time", sum(row.times) / len(row.times), unit="s")
                step.measure("bytes", sum(row.bytes) / len(row.bytes), unit="B")
                if row.measured is not None:
                    step.measure("rsrp", row.measured, unit="dBm")
                for reason in row.reasons:
                    step.note(reason)
            station.result("steps", [{**asdict(item), "success_rate": item.rate} for item in rows])
    finally:
        await radio.good()


def levels_of(text: str) -> list[float]:
    """Return the RSRP steps of a list such as ``-85, -95``, in dBm. Raises ConfigurationError."""
    parts = [part.strip() for part in text.split(",")]
    if any(not re.fullmatch(r"-[0-9]{1,3}(\.[0-9]{1,2})?", part) for part in parts):
        raise ConfigurationError(f"'{text}' is no list of RSRP steps", hint="dBm separated by commas: -85, -95, -105")
    return list(dict.fromkeys(float(part) for part in parts))


class Radio:
    """The signal at the device, set by attenuator or emulator."""

    def __init__(self, station: Station, cell: int) -> None:
        self._station = station
        self._cell = cell
        self._best: float | None = None

    @property
    def _attenuated(self) -> bool:
        return self._station.has("attenuator")

    async def good(self) -> None:
        """Have the best signal there is."""
        if self._attenuated:
            await self._station.attenuator.set_attenuation(0.0)
        elif self._best is not None:
            await self._station.network.set_power(self._best, cell=self._cell)

    async def calibrate(self) -> None:
        """Measure the RSRP with a good signal: with an attenuator every step is counted from it."""
        async with self._station.step("calibrate") as step:
            measured = (await self._station.modem.signal()).get("rsrp")
            if measured is None:
                raise DeviceFailure("the modem measures no RSRP", where="+CESQ", hint="is it registered on LTE?")
            self._best = measured
            step.measure("rsrp", measured, unit="dBm")

    async def set(self, rsrp: float) -> None:
        """Have so many dBm at the device, as near as the attenuator's steps allow."""
        if not self._attenuated:
            await self._station.network.set_power(rsrp, cell=self._cell)
            return
        assert self._best is not None
        attenuator = self._station.attenuator
        wanted = round((self._best - rsrp) / attenuator.step) * attenuator.step
        if wanted < 0:
            wanted = 0.0  # the signal cannot be made better than it is; the measured RSRP says what it was
        await attenuator.set_attenuation(wanted)


async def _attempt(job: Job, radio: Radio, row: Row, number: int) -> None:
    station = job.station
    row.attempts += 1
    before = sum(await station.data.counters())
    # An order of the SM-DP+ serves one download: what was installed, or broken off in the middle, is used up.
    target = await station.smdpp.order(job.package)
    order = await station.eim.order_download(job.eid, target.activation_code)
    await radio.set(row.rsrp)
    started = station.clock.now()
    try:
        async with station.step(f"attempt-{number}", decisive=False):
            await job.connect(job.bootstrap, suffix="poor")
            row.measured = (await station.modem.signal()).get("rsrp") or row.measured
            started = station.clock.now()
            await job.download(order, target.iccid)
        row.succeeded += 1
        row.times.append(station.clock.now() - started)
    except (DeviceFailure, EimUnreachable) as error:
        row.reasons.append(f"attempt {number}: {error.what}")
    row.bytes.append(sum(await station.data.counters()) - before)


async def _clean_up(job: Job, radio: Radio, iccid: str, number: int) -> None:
    """With a good signal: deliver what is pending, cancel what is open, and take the profile off the card."""
    async with job.station.step(f"clean-up-{number}"):
        await radio.good()
        await job.connect(job.bootstrap, suffix="good")
        await job.poll("deliver")
        await cancel_open_orders(job.station, job.eid)
        if any(profile.iccid == iccid for profile in await job.profiles()):
            await start.delete(job, iccid)
