"""Re-programming an emulator in the middle of a run: bench time, recorded and never charged to the device."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from bench.engine.steps import current
from bench.run import events as kinds

if TYPE_CHECKING:
    from bench.engine.station import Station

LONGEST: Final = 600.0
"""Seconds of station time for which the device's timeouts stand still at most."""


@asynccontextmanager
async def reprogramming(station: Station, what: str) -> AsyncIterator[None]:
    """Take the station time that goes by inside out of every open step's timeout and elapsed time.

    An event ``reprogramming`` says what, how long (seconds of station time) and whether it was completed.
    """
    started = station.clock.now()
    complete = False
    step = current()
    if step is not None:
        step.put_off(LONGEST)  # no timeout of the device's may end in here
    try:
        yield
        complete = True
    finally:
        elapsed = max(0.0, station.clock.now() - started)
        if step is not None:
            step.put_off(elapsed - LONGEST)
            step.uncharge(elapsed)
        data = {"what": what, "elapsed": round(elapsed, 9), "complete": complete}
        station.record_event(kinds.REPROGRAMMING, data, step=step.path if step is not None else "")
