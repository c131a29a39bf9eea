"""bench.toml: found, read and checked (DESIGN.md section 6).

``load`` finds and reads the file, adds the built-in simulated stations and checks everything that can be checked
without touching an instrument. All complaints of a file come in one ConfigurationError, each with ``file:line``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.errors import ConfigurationError
from bench.station import dut as device
from bench.station.checks import BUILT_IN, check_driver, checked
from bench.station.dut import DutConfig
from bench.station.external import checked_server
from bench.station.home import default_home
from bench.station.model import (
    AttenuatorConfig,
    BenchConfig,
    BenchTable,
    CardConfig,
    DataConfig,
    EimConfig,
    InstrumentConfig,
    IpaConfig,
    ModemConfig,
    NetworkConfig,
    PowerConfig,
    RadioConfig,
    SmdppConfig,
    StationConfig,
    SwitchConfig,
    WorldConfig,
)
from bench.station.tables import Document, build, did_you_mean

__all__ = [
    "AttenuatorConfig",
    "BenchConfig",
    "BenchTable",
    "CardConfig",
    "DataConfig",
    "DutConfig",
    "EimConfig",
    "InstrumentConfig",
    "ModemConfig",
    "NetworkConfig",
    "PowerConfig",
    "RadioConfig",
    "SmdppConfig",
    "StationConfig",
    "SwitchConfig",
    "WorldConfig",
    "default_home",
    "find",
    "load",
]


def find(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Path | None:
    """Return the bench.toml to use: ``path``, $BENCH_CONFIG, ./bench.toml and upwards, the user's folder, else None.

    A file that was named but is not there raises ConfigurationError.
    """
    environment = os.environ if environment is None else environment
    named = path or (Path(environment["BENCH_CONFIG"]) if environment.get("BENCH_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            by = "--config" if path else "$BENCH_CONFIG"
            raise ConfigurationError("there is no such file", where=str(named), hint=f"it was named by {by}")
        return named
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "bench.toml").is_file():
            return folder / "bench.toml"
    user = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "esim-bench" / "bench.toml"
    return user if user.is_file() else None


def load(path: Path | None = None, *, environment: Mapping[str, str] | None = None) -> BenchConfig:
    """Find, read and check bench.toml; with none found, return the built-in simulated stations.

    Raises ConfigurationError that names file and line of everything that is wrong. Touches no instrument.
    """
    environment = os.environ if environment is None else environment
    source = find(path, environment)
    built_in = Document(files("bench.station").joinpath(BUILT_IN).read_text(), BUILT_IN)
    stations = _stations(built_in, {})
    built_in.check()
    if source is None:
        home = default_home(environment)
        return BenchConfig(None, home, home / "runs", stations)
    document = Document.read(source)
    return _read(document, source, stations, environment)


_ROOMS = ("bench", "instruments", "stations", "eim", "smdpp", "ipa")


def _read(
    document: Document, source: Path, built_in: Mapping[str, StationConfig], environment: Mapping[str, str]
) -> BenchConfig:
    table = document.table
    for key in table:
        if key not in _ROOMS:
            document.complain((key,), f"unknown table [{key}]", did_you_mean(key, _ROOMS))
    bench = build(BenchTable, table.get("bench", {}), ("bench",), document) or BenchTable()
    instruments: dict[str, InstrumentConfig] = {}
    for name, values in _named(document, "instruments").items():
        found = build(InstrumentConfig, values, ("instruments", name), document, name=name)
        if found is not None:
            check_driver(found.driver, ("instruments", name), document)
            instruments[name] = found
    stations = {**built_in, **_sharing(_stations(document, instruments))}
    eim = build(EimConfig, table.get("eim", {}), ("eim",), document) or EimConfig()
    smdpp = build(SmdppConfig, table.get("smdpp", {}), ("smdpp",), document) or SmdppConfig()
    base = source.absolute().parent
    eim, smdpp = checked_server(eim, "eim", document, base), checked_server(smdpp, "smdpp", document, base)
    ipa = build(IpaConfig, table.get("ipa", {}), ("ipa",), document) or IpaConfig()
    document.check()
    home = default_home(environment)
    if bench.home and not environment.get("BENCH_HOME"):
        home = base / Path(bench.home).expanduser()
    runs = base / Path(bench.runs).expanduser() if bench.runs else home / "runs"
    return BenchConfig(source, home, runs, stations, instruments, eim, smdpp, ipa)


def _named(document: Document, room: str) -> dict[str, Any]:
    """Return the sub-tables of ``[room.NAME]``."""
    table = document.table.get(room, {})
    if not isinstance(table, dict):
        document.complain((room,), f"'{room}' must be a table", f"write [{room}.NAME]")
        return {}
    return table


def _stations(document: Document, instruments: Mapping[str, InstrumentConfig]) -> dict[str, StationConfig]:
    stations: dict[str, StationConfig] = {}
    for name, table in _named(document, "stations").items():
        path = ("stations", name)
        world: WorldConfig | None = None
        values = dict(table) if isinstance(table, dict) else table
        if isinstance(values, dict) and "world" in values:
            world = _world(name, values.pop("world"), (*path, "world"), document)
        radio = _recorders(values.pop("radio"), (*path, "radio"), document) if _has(values, "radio") else {}
        dut = device.read(values.pop("dut"), (*path, "dut"), document) if _has(values, "dut") else None
        station = build(StationConfig, values, path, document, name=name, world=world, dut=dut, radio=radio)
        if station is not None:
            stations[name] = checked(station, instruments, document)
    return stations


def _has(values: object, key: str) -> bool:
    return isinstance(values, dict) and key in values


def _recorders(table: object, path: tuple[str, ...], document: Document) -> dict[str, RadioConfig]:
    """Read ``radio.NAME = { driver = ..., port = ... }``."""
    if not isinstance(table, dict):
        document.complain(path, "'radio' must be a table of tables", 'write radio.diag = { driver = "qualcomm-diag" }')
        return {}
    found = {}
    for name, values in table.items():
        built = build(RadioConfig, values, (*path, name), document, name=name)
        if built is not None:
            check_driver(built.driver, (*path, name), document)
            found[name] = built
    return found


def _sharing(stations: dict[str, StationConfig]) -> dict[str, StationConfig]:
    """Return the stations, each knowing whether others use its supply too."""
    users = Counter(station.power.instrument for station in stations.values() if station.power is not None)
    return {
        name: replace(station, power=replace(station.power, shared=users[station.power.instrument] > 1))
        if station.power is not None and station.power.instrument and station.power.shared is None
        else station
        for name, station in stations.items()
    }


def _world(name: str, table: object, path: tuple[str, ...], document: Document) -> WorldConfig | None:
    """Read ``world = { service = "sim", ... }``: what is not ``service`` belongs to the service.

    It is told the name of the station, under which it keeps the card and announces itself.
    """
    if not isinstance(table, dict) or not isinstance(table.get("service"), str):
        document.complain(path, "'world' must be a table with a service", 'write world = { service = "sim" }')
        return None
    options = {"station": name, **{key: value for key, value in table.items() if key != "service"}}
    return WorldConfig(table["service"], options, document.where(path))
