"""Volts and amperes sampled while a recipe runs: a task beside it that never has the recipe, the station's time or the
safe sequence wait for it.

It waits beside the run (``Clock.aside``), so that station time neither runs nor stands still for it; it measures only
while the output is on, bounded in real time; and the recipe's own use of the supply comes first: a measurement under
way is waited for an instant, then cancelled. What cannot be measured is a gap in the samples, and a supply that keeps
failing is asked more and more rarely.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bench.engine.power_lane import PowerLane
from bench.errors import BenchError
from bench.run.samples import SampleWriter
from bench.station.clock import Clock
from bench.station.drivers import TICK
from bench.station.interfaces import Identity, PowerCycle, PowerSupply, Reading, SafeAction
from bench.station.model import PowerConfig
from bench.station.power import PowerRecord, Protection, TripCause, WavePoint

_MEASURE_WITHIN: Final = 1.0
"""Real seconds for one sample: a driver holds station time while it waits for its instrument."""
_YIELD_WITHIN: Final = 0.05
"""Real seconds that the recipe, or the end of the run, waits for a sample under way."""
WATCHED: Final = 2.0
"""Seconds of station time between two such looks where no samples are taken."""
_READ_BACK: Final = 5
"""Samples between two looks whether the supply is still programmed as it was; a jump of the rail has one at once."""
_JUMP: Final = 0.2
"""Volts."""
_RAREST: Final = 64
"""Intervals between two tries of a supply that keeps failing."""


class Sampler:
    """Samples one supply channel; ``supply`` is what the recipe is given in its place."""

    def __init__(
        self,
        supply: PowerSupply,
        clock: Clock,
        *,
        interval: float,
        writer: Callable[[float], SampleWriter] | None,
        warn: Callable[[str], None],
        foreign: Callable[[str], None] | None = None,
        lane: PowerLane | None = None,
    ) -> None:
        """``interval`` in seconds of station time; ``writer`` makes the file, given the station time of time 0.

        ``lane`` has the readings on the time line of the trace, many in one packet.

        Without a ``writer`` nothing is measured: every ``interval`` it is only looked for what somebody else changed.
        ``warn`` is told, once, what kept samples from being taken or written; ``foreign``, once, what somebody else has
        changed on the channel.
        """
        self.samples = 0
        self.gaps = 0
        self.supply = SampledSupply(supply, self)
        self._supply = supply
        self._clock = clock
        self._interval = interval
        self._make_writer = writer
        self._warn = warn
        self._writer: SampleWriter | None = None
        self._on: bool | None = None
        """Whether the output is on, None when it must be asked."""
        self._foreign = foreign
        self._lane = lane
        self.switched_off: Callable[[], None] = lambda: None
        """Called when the output is switched off, or nobody knows whether it is on."""
        self._rail: float | None = None
        """Volts of the last sample."""
        self._failing = 0
        self._due = -math.inf
        self._held = 0
        self._closed = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[Reading | None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sample while the block runs; nothing that goes wrong with it reaches the block."""
        self._task = asyncio.create_task(self._run(), name="power samples")
        try:
            yield
        finally:
            try:
                await self._let_finish()
            finally:
                self.stop()

    def stop(self) -> None:
        """Take no more samples from now on; a measurement under way is cancelled."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        if self._writer is not None:
            self._writer.close()
        if self._lane is not None:
            self._lane.flush()

    # --- the task -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                if self._held == 0 and self._on is not False:
                    await self._sample()
                await self._wait()
        except BenchError:
            return  # the station's clock is gone: so is what could be measured
        except Exception as error:
            self._warn(f"no more power samples: {type(error).__name__}: {error}")

    async def _wait(self) -> None:
        """Wait until the next sample is due or something changes; while the output is off, only for that."""
        wake = self._wake
        wake.clear()
        if self._held or self._on is False:
            await wake.wait()
            return
        left = self._due - self._clock.now()
        if left < TICK:
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with self._clock.aside(left):
                await wake.wait()

    async def _sample(self) -> None:
        now = self._clock.now()
        if self._due - now >= TICK:
            return
        pause = self._interval * min(_RAREST, 1 << min(self._failing, 10))
        self._due = self._due + pause if now - self._due < pause else now + pause
        measuring = self._measuring = asyncio.create_task(self._reading(), name="power sample")
        measuring.add_done_callback(_seen)
        try:
            await asyncio.wait({measuring})
        finally:
            measuring.cancel()  # no effect on one that has ended
            self._measuring = None
        if measuring.cancelled():
            return  # the recipe came first
        error = measuring.exception()
        if error is None:
            self._failing = 0
            reading = measuring.result()
            if reading is not None:
                self.took(reading)
        elif self._on is not False:
            self._failed(error)

    async def _reading(self) -> Reading | None:
        async with asyncio.timeout(_MEASURE_WITHIN):
            if self._on is None:
                self._on = await self._supply.output()
            if not self._on:
                return Reading(0.0, 0.0)
            if self._make_writer is None:
                await self._read_back()
                return None
            reading = await self._supply.measure()
            jumped = self._rail is not None and abs(reading.voltage - self._rail) > _JUMP
            self._rail = reading.voltage
            if jumped or self.samples % _READ_BACK == 0:
                await self._read_back()
            return reading

    async def _read_back(self) -> None:
        """Have the supply say whether somebody else has programmed or switched it, where its driver can tell."""
        ask = getattr(self._supply, "foreign_change", None)
        if self._foreign is None or ask is None:
            return
        if what := await ask():
            told, self._foreign = self._foreign, None
            told(what)

    def _failed(self, error: BaseException) -> None:
        self._failing += 1
        self.gaps += 1
        self._write(lambda writer: writer.gap(self._clock.now()))
        if self.gaps == 1:
            what = f"no answer within {_MEASURE_WITHIN:g} s" if isinstance(error, TimeoutError) else str(error)
            what = what or type(error).__name__
            self._warn(
                f"a power sample failed: {what}; it is a gap, sampling goes on"
                if self._make_writer is not None
                else f"the supply could not be read back: {what}; it is tried again"
            )

    # --- what the recipe does with the supply -----------------------------------------------------------------------

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep the supply to the caller: no sample begins, one under way ends or is cancelled."""
        self._held += 1
        try:
            await self._let_finish()
            yield
        finally:
            self._held -= 1
            self._wake.set()

    async def _let_finish(self) -> None:
        measuring = self._measuring
        if measuring is None or measuring.done():
            return
        await asyncio.wait({measuring}, timeout=_YIELD_WITHIN)
        if not measuring.done():
            measuring.cancel()
            await asyncio.wait({measuring}, timeout=_YIELD_WITHIN)

    def took(self, reading: Reading) -> None:
        """Keep a reading, the recipe's own too, if the output is known to be on."""
        if self._on is not True or self._closed:
            return
        self.samples += 1
        if self._lane is not None:
            self._lane.took(self._clock.now(), reading)
        self._write(lambda writer: writer.append(self._clock.now(), reading.voltage, reading.current))

    def switched(self, on: bool | None, at: float) -> None:
        """Note that the output was switched at station time ``at``; None: it is not known how it is now."""
        if on is not True and self._on is not False and self._writer is not None:
            self._write(lambda writer: writer.off(at) if on is False else writer.gap(at))
        self._rail = None
        if self._lane is not None and on is not self._on:
            self._lane.switched(at, on)
        if on is not True:
            self.switched_off()
        if on is not self._on:
            self._due = -math.inf  # a fresh output is looked at at once
        self._on = on

    def now(self) -> float:
        """Return station time in seconds."""
        return self._clock.now()

    # --- the file ---------------------------------------------------------------------------------------------------

    def _write(self, row: Callable[[SampleWriter], bool]) -> None:
        writer = self._writer
        if self._closed or self._make_writer is None:
            return
        try:
            if writer is None:
                writer = self._writer = self._make_writer(self._clock.now())
            elif writer.failure is not None:
                return
            row(writer)
        except BenchError as error:
            failure: str = str(error)
        else:
            if writer.failure is None:
                return
            failure = f"the power samples cannot be written: {writer.failure.strerror}"
        self._warn(failure)
        self._held += 1  # for good: there is nowhere to put them


def writer_for(
    folder: Path, config: PowerConfig, identity: Identity, *, simulated: bool
) -> Callable[[float], SampleWriter]:
    """Return what makes the file of a station's supply in a run folder, given the station time of its time 0."""

    def make(start: float) -> SampleWriter:
        return SampleWriter.create(
            folder,
            config.instrument or "supply",
            start=start,
            wall_ns=time.time_ns(),
            interval=config.sample,
            supply={"driver": config.driver, "identity": identity.key(), "firmware": identity.firmware},
            channel=config.channel,
            more={"simulated": simulated},
        )

    return make


def _seen(task: asyncio.Task[Reading | None]) -> None:
    """Take note of how a measurement ended, also when nobody waits for it any more."""
    if not task.cancelled():
        task.exception()


class SampledSupply:
    """A supply that is being sampled: the same supply, kept to its user while it is used."""

    def __init__(self, supply: PowerSupply, sampler: Sampler) -> None:
        self._supply = supply
        self._sampler = sampler
        self.identity = supply.identity

    async def _alone(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async with self._sampler.held():
            return await work()

    async def set_output(self, on: bool) -> None:
        """Switch the output and verify by reading back."""
        async with self._sampler.held():
            before = self._sampler.now()
            try:
                await self._supply.set_output(on)
            except BaseException:
                self._sampler.switched(None, before)
                raise
            self._sampler.switched(on, before)

    async def cycle(
        self,
        *,
        hold: float = 2.0,
        timeout: float = 30.0,
        shutdown: Callable[[], Awaitable[object]] | None = None,
        booted: Callable[[], Awaitable[object]] | None = None,
    ) -> PowerCycle:
        """Output off, wait until the rail is dead, hold, output on (interfaces.PowerSupply.cycle)."""
        more: dict[str, Any] = {} if shutdown is None else {"shutdown": shutdown}
        if booted is not None:
            more["booted"] = booted
        async with self._sampler.held():
            self._sampler.switched(False, self._sampler.now())
            try:
                cycle = await self._supply.cycle(hold=hold, timeout=timeout, **more)
            except BaseException:
                self._sampler.switched(None, self._sampler.now())
                raise
            self._sampler.switched(True, self._sampler.now())
            return cycle

    async def measure(self) -> Reading:
        """Measure the channel now; the reading is a sample too."""
        async with self._sampler.held():
            reading = await self._supply.measure()
            self._sampler.took(reading)
            return reading

    async def output(self) -> bool:
        """Return whether the output is on, as the supply says now."""
        async with self._sampler.held():
            on = await self._supply.output()
            self._sampler.switched(on, self._sampler.now())
            return on

    async def set_voltage(self, voltage: float) -> None:
        """Program the voltage; beyond the station's limit raises Refused before anything is sent."""
        await self._alone(lambda: self._supply.set_voltage(voltage))

    async def set_current_limit(self, current: float) -> None:
        """Program the current limit in amperes."""
        await self._alone(lambda: self._supply.set_current_limit(current))

    async def protection(self) -> Protection:
        """Return the protections as programmed."""
        async with self._sampler.held():
            return await self._supply.protection()

    async def set_protection(self, protection: Protection) -> None:
        """Program the protections and read them back."""
        await self._alone(lambda: self._supply.set_protection(protection))

    async def trip(self) -> TripCause | None:
        """Return why a protection has switched the output off."""
        async with self._sampler.held():
            return await self._supply.trip()

    async def clear_trip(self) -> TripCause | None:
        """Clear a trip, at most once a run; the driver tells the record."""
        async with self._sampler.held():
            before = self._sampler.now()
            cause = await self._supply.clear_trip()
            if cause is not None:
                self._sampler.switched(False, before)
            return cause

    async def fast_log(
        self, duration: float, interval: float, *, during: Callable[[], Awaitable[object]] | None = None
    ) -> PowerRecord:
        """Record volts and amperes in the supply."""
        async with self._sampler.held():
            self._sampler.switched(None, self._sampler.now())  # ``during`` may switch
            return await self._supply.fast_log(duration, interval, during=during)

    async def waveform(self, points: Sequence[WavePoint], *, repeat: int = 1) -> None:
        """Run a waveform; the samples go on beside it."""
        await self._supply.waveform(points, repeat=repeat)

    async def wait_dead(self, *, timeout: float) -> float:
        """Wait until the rail is below the station's ``dead_voltage``; return the seconds it took."""
        return float(await self._alone(lambda: self._supply.wait_dead(timeout=timeout)))

    def safe_action(self) -> SafeAction:
        """Return what makes this channel safe."""
        return self._supply.safe_action()

    async def close(self) -> None:
        """Release the connection; never switches anything."""
        await self._alone(self._supply.close)

    def __getattr__(self, name: str) -> Any:
        """Return what this driver offers beyond the interface, as it is."""
        return getattr(self._supply, name)
