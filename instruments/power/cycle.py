"""A power cycle, the same for every supply that can switch and tell when its rail is dead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from bench.errors import BenchError
from bench.station.clock import Clock
from bench.station.interfaces import PowerCycle


class Switched(Protocol):
    """What is switched off, and waited for."""

    async def set_output(self, on: bool) -> None:
        """Switch, and verify it."""

    async def wait_dead(self, *, timeout: float) -> float:
        """Wait until the device is without power; raise InstrumentTimeout after ``timeout`` s of station time."""


async def power_cycle(
    supply: Switched,
    clock: Clock,
    *,
    switch_on: Callable[[], Awaitable[float | None]],
    hold: float,
    timeout: float,
    shutdown: Callable[[], Awaitable[object]] | None,
    booted: Callable[[], Awaitable[object]] | None,
) -> PowerCycle:
    """Off, wait until the rail is dead (at most ``timeout`` s), hold ``hold`` s, on (interfaces.PowerSupply.cycle).

    ``switch_on`` returns the inrush peak in amperes, None where it is not recorded. A ``shutdown`` that fails with a
    BenchError makes it a hard cycle. When the rail does not die the output stays off and the error is raised.
    """
    graceful = shutdown is not None
    if shutdown is not None:
        try:
            await shutdown()
        except BenchError:
            graceful = False
    start = clock.now()
    await supply.set_output(False)
    await supply.wait_dead(timeout=timeout)
    dead = clock.now()
    await clock.sleep(hold)
    begin = clock.now()
    peak = await switch_on()
    boot: float | None = None
    if booted is not None:
        await booted()
        boot = clock.now() - begin
    return PowerCycle(dead - start, begin - start, peak, boot, graceful)
