"""A simulated station opened as any other: the world as a process of its own, its clock, the lanes in memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from instrument_doubles import MemoryLane  # type: ignore[import-not-found] # no installed package

from bench.station import opening, services


@contextlib.asynccontextmanager
async def opened(built_in: Any, home: Path) -> AsyncIterator[tuple[Any, Any, dict[str, MemoryLane]]]:
    """Start the world of a built-in station and open it; yield the station, its clock and its lanes by name."""
    service = await services.start("sim", home=home, options=built_in.world.options, log=home / "sim.log")
    lanes: dict[str, MemoryLane] = {}
    try:
        found = built_in.resolve(service.announcement)
        clock: Any = await opening.connect_clock(found)
        station = await opening.open_station(
            found, lanes=lambda name: lanes.setdefault(name, MemoryLane(name)), clock=clock, home=home
        )
        try:
            yield station, clock, lanes
        finally:
            assert await station.close() == []
            if clock.mode != "real":
                await clock.close()
    finally:
        await service.stop()
