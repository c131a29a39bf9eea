"""Supplies that make waveforms, and supplies that record: what is common to all families of each kind.

How a family spells them is in its own module; a family that does neither is a plain ``ScpiSupply``, which refuses.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
from abc import ABC, abstractmethod
from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from bench.errors import BenchError, Refused
from bench.station.power import PowerRecord, WavePoint, check_waveform
from instruments.power.supply import ScpiSupply
from instruments.power.tables import could_make
from instruments.scpi.parse import AnswerError

_STOP_WITHIN = 3.0
"""Real seconds for ending a waveform or a log that was given up."""


def floats(data: bytes, order: Literal["big", "little"]) -> array[float]:
    """Return the float32 values of a data block. Raises AnswerError for a block of another length, NaN and infinity."""
    if len(data) % 4:
        raise AnswerError(f"a data block of {len(data)} bytes holds no float32 values")
    values = array("f", data)
    if sys.byteorder != order:
        values.byteswap()
    if not all(map(math.isfinite, values)) or any(abs(value) >= 9.9e36 for value in values):
        raise AnswerError("the log holds values that are no measurement")
    return values


class WaveformSupply(ScpiSupply, ABC):
    """A supply that puts out voltage over time."""

    async def waveform(self, points: Sequence[WavePoint], *, repeat: int = 1) -> None:
        """Run the points one after the other, ``repeat`` times; return when they have run, the voltage restored.

        Raises Refused before anything is sent: a point beyond ``voltage_max``, a resolution, length or number that the
        supply cannot do (and which ones could), or the output is off.
        """
        points = tuple(points)
        finest = min((point.seconds for point in points), default=None)
        check_waveform(
            points,
            repeat,
            self.abilities.waveform,
            voltage_max=self.limits.voltage_max,
            where=self.where,
            could=could_make(finest),
        )
        if not await self.output():
            raise Refused("a waveform needs the output on", where=self.where, hint="set_output(True) first")
        total = repeat * sum(point.seconds for point in points)
        self._waving = True
        try:
            await self._start_waveform(points, repeat)
            await self._clock.sleep(total)
        except BaseException:
            # Whatever ended it: the supply must not go on with voltages that nobody waits for.
            with contextlib.suppress(BenchError, TimeoutError):
                async with asyncio.timeout(_STOP_WITHIN):
                    await self._stop_waveform()
            self._waving = False
            raise
        await self._stop_waveform()
        self._waving = False

    @abstractmethod
    async def _start_waveform(self, points: Sequence[WavePoint], repeat: int) -> None:
        """Program the points and start them ``repeat`` times; return when they run."""

    @abstractmethod
    async def _stop_waveform(self) -> None:
        """End the waveform; the output goes on with the programmed voltage."""


class RecordingSupply(ScpiSupply, ABC):
    """A supply that records volts and amperes over time. A model of the family may lack it (``abilities.fast_log``)."""

    async def fast_log(
        self, duration: float, interval: float, *, during: Callable[[], Awaitable[object]] | None = None
    ) -> PowerRecord:
        """Record volts and amperes in the supply, for ``duration`` s from the end of ``during``.

        A sample every ``interval`` s, or the next shorter one that the supply has; ``PowerRecord.interval`` says which.
        ``during`` is awaited while the record runs. Raises Refused, InstrumentError.
        """
        able = self.abilities.fast_log
        if able is None:
            raise self._no_log()
        if not 0 < interval < math.inf or interval < able.intervals[0] * (1 - 1e-9):
            raise Refused(
                f"a sample every {interval:g} s is finer than the {able.intervals[0]:g} s of this supply",
                where=self.where,
                hint="nothing was sent",
            )
        taken = able.interval_for(interval)
        if not 0 < duration / taken <= able.longest:
            raise Refused(
                f"{duration:g} s in samples of {taken:g} s are more than {able.longest} samples",
                where=self.where,
                hint="a longer interval, or a shorter record; nothing was sent",
            )
        try:
            start = self._clock.now()
            await self._start_log(taken)
            if during is not None:
                await during()
            await self._clock.sleep(duration)
            # The supply goes on recording while it is being asked: what was there now is what is fetched.
            wanted = min(math.floor((self._clock.now() - start) / taken), able.longest)
            values = await self._fetch_log(wanted)
        except BaseException:
            with contextlib.suppress(BenchError, TimeoutError):
                async with asyncio.timeout(_STOP_WITHIN):
                    await self._stop_log()
            raise
        await self._stop_log()
        return PowerRecord(taken, values[0::2], values[1::2])

    @abstractmethod
    async def _start_log(self, interval: float) -> None:
        """Begin to record a sample every ``interval`` s, one of those that ``abilities.fast_log`` offers."""

    @abstractmethod
    async def _fetch_log(self, wanted: int) -> array[float]:
        """Return about ``wanted`` samples of what was recorded: V, A, V, A ..."""

    @abstractmethod
    async def _stop_log(self) -> None:
        """End the record, whether or not it has run."""
