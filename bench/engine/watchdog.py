"""The supply's own watchdog in use: armed before a recipe may switch anything, fed while supervisor and runner live.

The runner feeds it, not the supervisor. A supply often serves one client, and the runner holds that connection; the
supervisor has no driver on purpose. What the watchdog is for is the death of both: the runner's end stops the feeding,
and the supervisor's end does too, for the runner looks at its leash before every meal. Either death alone is dealt with
faster by the survivor (2 s, or 5 s for a frozen runner), which is why the watchdog is given longer than that.

Station time is what counts: the simulated supply starves in it. Waiting for the next meal is passive, so that a
simulated world neither runs because of it nor past it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from bench.errors import BenchError
from bench.station.clock import Clock
from bench.station.interfaces import PowerSupply

_MEALS: Final = 3
"""Feedings in the watchdog's time: one may be late."""
_FEED_WITHIN: Final = 5.0
"""Real seconds for one feeding; the driver holds station time meanwhile."""
_DISARM_WITHIN: Final = 2.0


class SupplyWatchdog:
    """Arms, feeds and takes back the watchdog of one supply."""

    def __init__(
        self, supply: PowerSupply, clock: Clock, *, alive: Callable[[], bool], warn: Callable[[str], None]
    ) -> None:
        """``alive``: whether the supervisor lives; ``warn`` is told what goes wrong with feeding."""
        self.seconds = 0.0
        """For which it is armed."""
        self._supply = supply
        self._clock = clock
        self._alive = alive
        self._warn = warn
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def arm(self, seconds: float) -> float:
        """Arm it for ``seconds`` and begin to feed; return the seconds the supply took on. Raises InstrumentError."""
        self.seconds = await self._supply.arm_watchdog(seconds)
        self._task = asyncio.create_task(self._feed(), name="supply watchdog")
        return self.seconds

    async def disarm(self) -> None:
        """Take it back once the station is safe; a supply that does not answer any more is warned of."""
        self.stop()
        try:
            async with asyncio.timeout(_DISARM_WITHIN):
                await self._supply.disarm_watchdog()
        except (BenchError, TimeoutError) as error:
            self._warn(f"the supply's watchdog could not be taken back: {error or type(error).__name__}")

    def stop(self) -> None:
        """Feed no more."""
        self._over.set()
        if self._task is not None:
            self._task.cancel()

    async def _feed(self) -> None:
        warned = False
        while True:
            with contextlib.suppress(TimeoutError):
                async with self._clock.limit(self.seconds / _MEALS):
                    await self._over.wait()
            if self._over.is_set() or not self._alive():
                return
            try:
                async with asyncio.timeout(_FEED_WITHIN):
                    await self._supply.feed_watchdog()
                warned = False
            except (BenchError, TimeoutError) as error:
                if not warned:
                    self._warn(f"the supply's watchdog was not fed: {error or 'no answer'}; it is armed again")
                warned = True
                await self._again()

    async def _again(self) -> None:
        """Arm it again where somebody took it back (another run's end on the same supply, a hand at its front)."""
        with contextlib.suppress(BenchError, TimeoutError):
            async with asyncio.timeout(_FEED_WITHIN):
                if await self._supply.trip() is None:
                    await self._supply.arm_watchdog(self.seconds)


async def prepare(
    supply: Any, clock: Clock, seconds: float, *, alive: Callable[[], bool], warn: Callable[[str], None]
) -> tuple[SupplyWatchdog | None, str]:
    """Arm a supply's watchdog where it has one and ``seconds`` is not 0; set its power-on state to off.

    Return the watchdog, and in words what happens to the output when the host dies. Raises InstrumentError.
    """
    abilities = getattr(supply, "abilities", None)
    if abilities is None:
        return None, "host death leaves the output on"
    if abilities.power_on_state:
        await supply.set_power_on_off()
    if abilities.watchdog is None or seconds <= 0:
        return None, abilities.host_death(0 if seconds <= 0 else None)
    watchdog = SupplyWatchdog(supply, clock, alive=alive, warn=warn)
    armed = await watchdog.arm(min(max(seconds, abilities.watchdog.low), abilities.watchdog.high))
    return watchdog, abilities.host_death(armed)
