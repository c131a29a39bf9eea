"""The first thing the supervisor does with an order: hold the station, make the run folder. Nothing is touched yet."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.run import folder as places
from bench.run import liveness
from bench.run.events import wall_text
from bench.station import locks

_KEPT = ("recipe", "station", "simulated", "label", "seed", "parameters")


@dataclass(slots=True)
class Prepared:
    """A run that may begin."""

    folder: Path
    order: Mapping[str, Any]
    lock: locks.Lock
    """Of the station."""
    life: int
    """Descriptor that keeps the run alive for followers."""


def prepare(order: Mapping[str, Any]) -> Prepared:
    """Take the station's lock for this process and make the run folder with its first run.json.

    Raises StationHeld, BenchError.
    """
    lock = locks.acquire(order["station_lock"], locks.Owner.me())
    try:
        folder = places.create(Path(order["runs"]), order["station"])
        lock.write_owner(locks.Owner.me(run=folder.name))
        life = liveness.hold(folder, run=folder.name)
        order = {**order, "run": folder.name}
        manifest = {
            "run": folder.name,
            "started": wall_text(time.time_ns()),
            "supervisor": os.getpid(),
            **{key: order[key] for key in _KEPT},
            "order": order,
        }
        places.write_manifest(folder, manifest)
    except OSError as error:
        lock.release()
        where = str(error.filename or order["runs"])
        raise BenchError(
            f"the run folder cannot be used: {error.strerror}",
            where=where,
            hint="free space, or set [bench] runs in bench.toml to a folder of this user",
        ) from error
    except BaseException:
        lock.release()
        raise
    return Prepared(folder, order, lock, life)
