"""What ``bench doctor`` looks at. Nothing here switches anything; only ``card`` opens a station, as a run."""

from __future__ import annotations

import asyncio
import datetime
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bench.client.doctor_check import Check, Look, State
from bench.errors import BenchError
from bench.station.config import BenchConfig, StationConfig

CHECKS: Final = "bench.checks"
"""Entry-point group: functions from the bench's home to findings, of packages that keep something there."""
LITTLE_SPACE: Final = 1 << 30
"""Bytes on the disk of the runs below which a warning is given: a soak over night writes more."""


def folders(config: BenchConfig) -> Iterator[Check]:
    """Check that home and runs can be written and have room."""
    for name, folder in (("home", config.home), ("runs", config.runs)):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            yield Check(name, "fail", f"{there} cannot be written", "set BENCH_HOME, or [bench] home in bench.toml")
            continue
        free = shutil.disk_usage(there).free
        if free < LITTLE_SPACE:
            yield Check(name, "warn", f"{folder}: {free // 1_000_000} MB are free", "free space before a long run")
        else:
            yield Check(name, "ok", f"{folder}, {free // 1_000_000_000} GB free")


def drivers(station: StationConfig) -> Iterator[Check]:
    """Import every driver that the station names, and the services behind it."""
    from bench.station.drivers import WarmDriver, load_driver, load_service
    from bench.station.parts import parts

    for part in parts(station):
        name, config = f"{station.name} {part.name}", part.config
        try:
            driver = load_driver(config.driver, where=config.origin)
            if isinstance(driver, WarmDriver):
                driver.warm()  # what it imports only when it is opened
        except BenchError as error:
            yield Check(name, "fail", str(error), error.hint)
        except Exception as error:  # a driver of somebody else must not end the doctor
            yield Check(name, "fail", f"driver {config.driver} cannot be loaded: {type(error).__name__}: {error}")
        else:
            yield Check(name, "ok", f"driver {config.driver}")
    if station.world is not None:
        try:
            load_service(station.world.service, where=station.world.origin)
        except BenchError as error:
            yield Check(f"{station.name} world", "fail", str(error), error.hint)


def held(config: BenchConfig, station: StationConfig) -> Iterator[Check]:
    """Say who holds the station, and whether a dead run left it switched on."""
    from bench.client.control import stale
    from bench.run.folder import manifest
    from bench.station import locks, reservations
    from bench.station.opened import station_key

    name = f"{station.name} lock"
    owner = locks.holder(station_key(station, config.home))
    if owner is not None:
        yield Check(name, "warn", f"held by {owner}", "wait, or: bench stop RUN")
    else:
        yield Check(name, "ok", "free")
    kept = reservations.get(station_key(station, config.home))
    if kept is not None:
        mine = kept.owner == reservations.owner()
        hint = f"bench stations release {station.name}" if mine else f"ask {kept.owner}, or use another station"
        yield Check(f"{station.name} reserved", "ok" if mine else "fail", f"reserved for {kept}", hint)
    for folder in stale(config.runs):
        try:
            left = manifest(folder).get("station") == station.name
        except BenchError:
            left = False
        if left:
            text = f"run {folder.name} died and may have left it switched on"
            yield Check(f"{station.name} safe", "fail", text, f"bench safe {station.name}")


def packages(home: Path, *, now: datetime.datetime | None = None) -> Iterator[Check]:
    """Ask the packages that keep something in the home: the PKI.

    ``now``: as it will be at another moment; what cannot look there (no parameter ``now``) is left out.
    """
    import importlib
    import inspect

    from bench.station.entrypoints import entry_points_of

    for name, target in sorted(entry_points_of(CHECKS).items()):
        module, _, attribute = target.partition(":")
        try:
            function = getattr(importlib.import_module(module), attribute)
            if now is None:
                found = [_check(item) for item in function(home)]
            elif "now" in inspect.signature(function).parameters:
                found = [_check(item) for item in function(home, now=now)]
            else:
                found = []
        except BenchError as error:
            found = [Check(name, "fail", str(error), error.hint)]
        except Exception as error:  # a package of somebody else must not end the doctor
            found = [Check(name, "fail", f"the check itself failed: {type(error).__name__}: {error}")]
        yield from found


def _check(item: Mapping[str, Any]) -> Check:
    state = item.get("state")
    known: State = state if state in ("ok", "warn", "fail", "unknown") else "unknown"
    return Check(str(item.get("name", "")), known, str(item.get("text", "")), str(item.get("hint", "")))


def services(config: BenchConfig, *, with_eim: Look | None = None) -> list[Check]:
    """Start eIM and SM-DP+ as a run would, and end them again; ``with_eim`` while the eIM runs.

    The lab's own are looked at, and left as they are.
    """
    return asyncio.run(_services(config, with_eim))


async def _services(config: BenchConfig, with_eim: Look | None) -> list[Check]:
    from bench.client.doctor_external import external

    eim, smdpp = config.eim, config.smdpp
    eim_options = {"host": eim.listen, "port": eim.port, "fqdn": eim.advertise, **eim.options}
    smdpp_options = {"host": smdpp.listen, "port": smdpp.port, "address": smdpp.advertise, **smdpp.options}
    found = await asyncio.gather(
        external("eim", eim, with_eim)
        if eim.external
        else _service(config.home, "eim", eim_options, eim.origin, with_eim),
        external("smdpp", smdpp) if smdpp.external else _service(config.home, "smdpp", smdpp_options, smdpp.origin),
    )
    return [item for items in found for item in items]


async def _service(
    home: Path, name: str, options: Mapping[str, object], origin: str, look: Look | None = None
) -> list[Check]:
    from bench.station import services as station_services

    log = home / "doctor" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    lifeline, kept = os.pipe()
    try:
        service = await station_services.start(
            name, home=home, options=options, log=log, lifeline=lifeline, where=origin
        )
    except BenchError as error:
        return [Check(f"service {name}", "fail", str(error), error.hint)]
    finally:
        os.close(lifeline)
        os.close(kept)
    try:
        if service.client is not None:
            await service.client.close()
        ok = Check(f"service {name}", "ok", f"starts and listens at {service.announcement.get('https', '-')}")
        return [ok, *(await look(service.announcement) if look is not None else ())]
    finally:
        await service.stop()
