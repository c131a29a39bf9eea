"""Radio measurements while a recipe runs: asked of the modem now and then, and taken as the modem tells them.

Asking is an intervention: it wakes a modem out of PSM and eDRX, changes what its supply delivers, and takes the AT
port. So it is done only while the modem is ready and has power, never while anybody else wants the port
(``RadioProbe.measure_radio`` in the background), and not at all while a step forbids it, or once the recipe has asked
for PSM or eDRX. What the modem tells by itself is always taken. Station time never waits for it (``Clock.aside``).

Everything is a JSON packet of the lane ``radio``: measurements (``radio.meas/1``) and, so that a gap is no riddle, from
when to when and why nothing was asked (``radio.polling/1``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, Final

from bench.errors import BenchError, Refused
from bench.station.clock import Clock
from bench.station.drivers import TICK
from bench.station.interfaces import Measurement, PowerSaving, RadioProbe, RadioRecorder
from bench.trace.lane import Direction, Lane

POLLING_SCHEMA: Final = "radio.polling/1"
KEPT: Final = 512
"""Measurements kept for the recipe; the lane has all."""
_RAREST: Final = 16
"""Intervals between two tries of a modem that keeps refusing."""
_LOOK: Final = 1.0
"""Seconds of station time between two looks whether a modem that could not be asked can be."""
_END_WITHIN: Final = 0.5
"""Real seconds that the end of a recipe waits for a measurement under way."""


class Radio:
    """What a recipe knows of the radio (``station.radio``), and the task that asks for it."""

    def __init__(
        self,
        clock: Clock,
        lane: Lane,
        probe: RadioProbe | None,
        *,
        interval: float,
        warn: Callable[[str], None],
        powered: Callable[[], bool] = lambda: True,
    ) -> None:
        """``interval`` in seconds of station time, 0: never asked. ``powered``: whether the modem may have power."""
        self.asked = 0
        self.given_up = 0
        """Measurements that were not begun, or not finished, because the port was wanted."""
        self._clock = clock
        self._lane = lane
        self._probe = probe
        self._interval = interval
        self._warn = warn
        self._powered = powered
        self._kept: deque[Measurement] = deque(maxlen=KEPT)
        self._forbidden: list[str] = []
        self._asleep = ""
        self._told_polling: tuple[bool, str] = (True, "")
        self._number = 0
        self._failing = 0
        self._task: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[Measurement | None] | None = None
        self._wake = asyncio.Event()
        self._recorders: dict[str, RadioRecorder] = {}
        if probe is not None:
            probe.on_radio_event(self._told)

    # --- for the recipe -------------------------------------------------------------------------------------------

    @property
    def latest(self) -> Measurement | None:
        """The last measurement with a level, None before the first: ``latest.rsrp`` in dBm, None when not known."""
        return next((item for item in reversed(self._kept) if item.measured), None)

    @property
    def measurements(self) -> Sequence[Measurement]:
        """The last measurements and changes of registration, oldest first."""
        return tuple(self._kept)

    async def measure(self) -> Measurement:
        """Ask the modem now, whatever is forbidden, as a command of the recipe. Raises Refused without such a modem.

        Raises what a modem's command raises.
        """
        if self._probe is None:
            raise Refused("this station has no modem that measures", hint="radio.meas/1 comes from an AT port")
        found = await self._probe.measure_radio()
        assert found is not None  # only one in the background is given up
        return self._keep(found)

    @contextmanager
    def polling_off(self, why: str) -> Iterator[None]:
        """``with station.radio.polling_off("sleep current"):`` the modem is not asked by the bench meanwhile."""
        self._forbidden.append(why)
        self._tell_polling()
        try:
            yield
        finally:
            self._forbidden.remove(why)
            self._tell_polling()
            self._wake.set()

    @property
    def polling(self) -> bool:
        """Whether the modem is asked now and then."""
        return self._probe is not None and self._interval > 0 and not self._forbidden and not self._asleep

    def sleeps(self, why: str) -> None:
        """Forbid asking until it is taken back with an empty text: the modem was told to sleep (PSM, eDRX)."""
        self._asleep = why
        self._tell_polling()
        self._wake.set()

    async def ready(self, name: str) -> None:
        """Wait until a recorder of bench.toml (``radio.NAME``) records; scat needs seconds to start.

        Raises Refused for one that is not there, InstrumentTimeout and InstrumentError when it does not come.
        """
        recorder = self._recorders.get(name)
        if recorder is None:
            there = ", ".join(self._recorders) or "none"
            raise Refused(f"this station has no radio recorder '{name}'", hint=f"there is {there}: radio.{name} = ...")
        await recorder.wait_ready()

    # --- filling, by the runner -----------------------------------------------------------------------------------

    def provide(self, name: str, recorder: RadioRecorder) -> None:
        """Give a recorder that was opened."""
        self._recorders[name] = recorder

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask while the block runs; nothing that goes wrong with it reaches the block."""
        if self._probe is not None and self._interval > 0:
            self._task = asyncio.create_task(self._run(), name="radio measurements")
        try:
            yield
        finally:
            try:
                await self._let_finish()
            finally:
                self.stop()

    def stop(self) -> None:
        """Ask no more; what the modem tells is still taken."""
        if self._task is not None:
            self._task.cancel()

    # --- the task -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                pause = await self._round()
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with self._clock.aside(max(pause, TICK)):
                        await self._wake.wait()
        except BenchError:
            return  # the station's clock is gone
        except Exception as error:
            self._warn(f"no more radio measurements: {type(error).__name__}: {error}")

    async def _round(self) -> float:
        """Ask once, if that may be; return the seconds until the next round."""
        probe = self._probe
        assert probe is not None
        if not self.polling:
            return max(self._interval, _LOOK)
        if not probe.measurable or not self._powered():
            return min(self._interval, _LOOK)
        asking = self._asking = asyncio.create_task(probe.measure_radio(background=True), name="radio measurement")
        asking.add_done_callback(_seen)
        try:
            await asyncio.wait({asking})
        finally:
            self._asking = None
            if not asking.done():
                asking.cancel()
        if asking.cancelled():
            return self._interval
        error = asking.exception()
        if error is not None:
            self._failing += 1
            if self._failing == 1 and not isinstance(error, BenchError):
                self._warn(f"a radio measurement failed: {type(error).__name__}: {error}; it is tried again")
            return self._interval * min(_RAREST, 1 << min(self._failing, 8))
        self._failing = 0
        found = asking.result()
        if found is None:
            self.given_up += 1
            return min(self._interval, _LOOK)
        self.asked += 1
        self._keep(found)
        return self._interval

    async def _let_finish(self) -> None:
        asking = self._asking
        if asking is not None and not asking.done():
            await asyncio.wait({asking}, timeout=_END_WITHIN)

    def _told(self, found: Measurement) -> None:
        self._keep(found)
        if found.reg in (1, 5):
            self._wake.set()  # where it has registered is worth asking at once

    def _keep(self, found: Measurement) -> Measurement:
        self._number += 1
        found = replace(found, seq=self._number)
        self._kept.append(found)
        self._lane.record(Direction.RECEIVED, found.packet(), time_ns=found.t_ns, comment=found.text())
        return found

    def _tell_polling(self) -> None:
        if self._probe is None or self._interval <= 0:
            return
        why = self._forbidden[-1] if self._forbidden else self._asleep
        state = (self.polling, why)
        if state == self._told_polling:
            return
        self._told_polling = state
        data: dict[str, Any] = {
            "schema": POLLING_SCHEMA,
            "t_ns": time.time_ns(),
            "polling": state[0],
            "why": why,
        }
        comment = "the modem is asked again" if state[0] else f"the modem is not asked: {why}"
        self._lane.record(Direction.SENT, json.dumps(data, ensure_ascii=False).encode(), comment=comment)


def _seen(task: asyncio.Task[Measurement | None]) -> None:
    """Take note of how a measurement ended, also when nobody waits for it any more."""
    if not task.cancelled():
        task.exception()


class WatchedModem:
    """A modem as the recipe has it: asking for PSM or eDRX through it ends the polling that would undo them."""

    def __init__(self, modem: Any, radio: Radio) -> None:
        self._modem = modem
        self._radio = radio
        self._reasons: dict[str, str] = {}

    def _sleep(self, key: str, why: str) -> None:
        if why:
            self._reasons[key] = why
        else:
            self._reasons.pop(key, None)
        self._radio.sleeps(next(iter(self._reasons.values()), ""))

    async def set_power_saving(self, setting: PowerSaving) -> PowerSaving:
        """Request PSM (interfaces.Modem); from then on the modem is not asked by the bench."""
        if setting.enabled:
            self._sleep("psm", "PSM is requested, and a command would wake the modem")
        found: PowerSaving = await self._modem.set_power_saving(setting)
        if not found.enabled:
            self._sleep("psm", "")
        return found

    async def set_extended_drx(self, rat: str, cycle: float | None) -> None:
        """Request eDRX (interfaces.Modem); from then on the modem is not asked by the bench."""
        if cycle is not None:
            self._sleep(f"edrx {rat}", "eDRX is requested, and a command would keep the modem awake")
        await self._modem.set_extended_drx(rat, cycle)
        if cycle is None:
            self._sleep(f"edrx {rat}", "")

    def __getattr__(self, name: str) -> Any:
        """Return everything else as the modem has it."""
        return getattr(self._modem, name)
