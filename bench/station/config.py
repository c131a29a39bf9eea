"""bench.toml: stations, instruments and services as typed values (DESIGN.md section 6).

``load`` finds and reads the file, adds the built-in simulated stations and checks everything that can be checked
without touching an instrument. All complaints of a file come in one ConfigurationError, each with ``file:line``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from bench.errors import ConfigurationError
from bench.station.tables import Bounds, Document, build, did_you_mean

Volts = Annotated[float, Bounds(0.0, 1000.0, "V")]
Amperes = Annotated[float, Bounds(0.0, 1000.0, "A")]
Channel = Annotated[int, Bounds(1, 99)]
PortNumber = Annotated[int, Bounds(0, 65535)]
Options = Mapping[str, object]

BUILT_IN = "builtin.toml"
_WORLD = re.compile(r"\$world((?:\.[A-Za-z0-9_-]+)+)")
_SAFE_NEEDS = {"power.off": "power", "network.off": "network"}


@dataclass(frozen=True, slots=True)
class InstrumentConfig:
    """``[instruments.NAME]``: an instrument that may serve several stations."""

    name: str
    driver: str
    resource: str = ""
    port: str = ""
    serial: str = ""
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class PowerConfig:
    """``power``: one channel of a supply. Volts and amperes.

    ``voltage_max`` is the limit of the station: nothing above it is ever sent. Below ``dead_voltage`` the rail is dead.
    """

    voltage: Volts
    voltage_max: Volts
    current_limit: Amperes
    dead_voltage: Annotated[float, Bounds(0.001, 60.0, "V")] = 0.3
    channel: Channel = 1
    instrument: str = ""
    driver: str = ""
    resource: str = ""
    serial: str = ""
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ModemConfig:
    """``modem``: an AT port, by path, by id or by USB topology (``usb:1-1.4:if02``).

    ``port_needs_power``: the port comes and goes with the device's power (USB). Without it a port that is missing is
    refused when the station is opened. Default: true for ``usb:``, ``/dev/serial/by-...`` and simulated ports.
    """

    port: str = ""
    instrument: str = ""
    driver: str = ""
    imei: str = ""
    baudrate: Annotated[int, Bounds(300, 4_000_000, "Bd")] = 115_200
    port_needs_power: bool | None = None
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """``network``: a network emulator and the cells of it that the station may use."""

    instrument: str = ""
    driver: str = ""
    resource: str = ""
    serial: str = ""
    cells: tuple[int, ...] = (1,)
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class CardConfig:
    """``card``: where the eUICC is and which one it must be."""

    at: Literal["modem", "reader", "switch"] = "modem"
    slot: Annotated[int, Bounds(1, 8)] = 1
    eid: str = ""
    reader: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class DataConfig:
    """``data``: the device's data path: ``host``, ``interface:NAME`` or ``proxy:http://HOST:PORT``."""

    path: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class DutConfig:
    """``dut``: what is known of the device under test."""

    sample: str = ""
    console: Options = field(default_factory=dict)
    reset: str = ""
    battery: bool = False
    poll_trigger: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """``world``: the simulated world behind the station: the service that starts it and that service's options."""

    service: str
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class StationConfig:
    """``[stations.NAME]``. What is None is not there."""

    name: str
    ipa: Literal["bench", "device", "euicc"] = "bench"
    power: PowerConfig | None = None
    modem: ModemConfig | None = None
    network: NetworkConfig | None = None
    card: CardConfig | None = None
    data: DataConfig | None = None
    dut: DutConfig | None = None
    world: WorldConfig | None = None
    clock: str = "real"
    """``real``, or ``unix:/path`` of the clock socket of a simulated world."""
    safe: tuple[str, ...] = ()
    expendable: bool = False
    simulated: bool = False
    """Some part is simulated: results of such a station are never mixed with real ones."""
    origin: str = ""

    @property
    def eid(self) -> str:
        """The pinned EID, empty when none is pinned."""
        return self.card.eid if self.card else ""

    def with_world(self, **options: object) -> StationConfig:
        """Return the station with options of its world added or changed. Raises ConfigurationError without a world."""
        if self.world is None:
            raise ConfigurationError(
                f"station {self.name} has no simulated world to set {', '.join(options)} of",
                where=self.origin,
                hint="choose a simulated station such as 'sim'",
            )
        return replace(self, world=replace(self.world, options={**self.world.options, **options}))

    def resolve(self, announcement: Mapping[str, Any]) -> StationConfig:
        """Return the station with every ``$world.A.B`` replaced by what the world announced.

        The announcement is that of DESIGN.md section 8; names are looked up in ``stations[NAME]`` first, then at the
        top. Raises ConfigurationError for a name that was not announced.
        """
        stations = announcement.get("stations")
        own = stations.get(self.name) if isinstance(stations, Mapping) else None
        if own is None and isinstance(stations, Mapping) and len(stations) == 1:
            own = next(iter(stations.values()))
        sources = [source for source in (own, announcement) if isinstance(source, Mapping)]
        resolved: StationConfig = _filled(self, sources, self.origin)
        return resolved

    def unresolved(self) -> bool:
        """Whether a ``$world`` placeholder is left: the world must be started and ``resolve`` called first."""
        return bool(_placeholders(self))


@dataclass(frozen=True, slots=True)
class BenchTable:
    """``[bench]``: where things are kept."""

    home: str = ""
    runs: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class EimConfig:
    """``[eim]``: the bundled eIM. ``advertise`` is the name in its certificate and in its configuration on the card."""

    kind: Literal["bundled"] = "bundled"
    listen: str = "127.0.0.1"
    port: PortNumber = 0
    advertise: str = "eim.bench.example"
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class SmdppConfig:
    """``[smdpp]``: the bundled SM-DP+. ``advertise`` is its address in activation codes and in its certificate."""

    kind: Literal["bundled"] = "bundled"
    listen: str = "127.0.0.1"
    port: PortNumber = 0
    advertise: str = "smdpp.bench.example"
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """Everything bench.toml says, with the built-in stations."""

    source: Path | None
    home: Path
    runs: Path
    stations: Mapping[str, StationConfig]
    instruments: Mapping[str, InstrumentConfig] = field(default_factory=dict)
    eim: EimConfig = field(default_factory=EimConfig)
    smdpp: SmdppConfig = field(default_factory=SmdppConfig)

    def station(self, name: str) -> StationConfig:
        """Return a station by name. Raises ConfigurationError with a did-you-mean."""
        if name in self.stations:
            return self.stations[name]
        raise ConfigurationError(
            f"there is no station '{name}'",
            where=str(self.source or "built-in stations"),
            hint=did_you_mean(name, self.stations),
        )


# --- finding and reading ----------------------------------------------------------------------------------------------


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


def default_home(environment: Mapping[str, str] | None = None) -> Path:
    """Return $BENCH_HOME, else $XDG_DATA_HOME/esim-bench, else ~/.local/share/esim-bench."""
    environment = os.environ if environment is None else environment
    if environment.get("BENCH_HOME"):
        return Path(environment["BENCH_HOME"]).expanduser().absolute()
    data = environment.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "esim-bench"


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


_ROOMS = ("bench", "instruments", "stations", "eim", "smdpp")


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
            _check_driver(found.driver, ("instruments", name), document)
            instruments[name] = found
    stations = {**built_in, **_stations(document, instruments)}
    eim = build(EimConfig, table.get("eim", {}), ("eim",), document) or EimConfig()
    smdpp = build(SmdppConfig, table.get("smdpp", {}), ("smdpp",), document) or SmdppConfig()
    document.check()
    base = source.absolute().parent
    home = default_home(environment)
    if bench.home and not environment.get("BENCH_HOME"):
        home = base / Path(bench.home).expanduser()
    runs = base / Path(bench.runs).expanduser() if bench.runs else home / "runs"
    return BenchConfig(source, home, runs, stations, instruments, eim, smdpp)


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
        station = build(StationConfig, values, path, document, name=name, world=world)
        if station is not None:
            stations[name] = _checked(station, instruments, document)
    return stations


def _world(name: str, table: object, path: tuple[str, ...], document: Document) -> WorldConfig | None:
    """Read ``world = { service = "sim", ... }``: what is not ``service`` belongs to the service.

    It is told the name of the station, under which it keeps the card and announces itself.
    """
    if not isinstance(table, dict) or not isinstance(table.get("service"), str):
        document.complain(path, "'world' must be a table with a service", 'write world = { service = "sim" }')
        return None
    options = {"station": name, **{key: value for key, value in table.items() if key != "service"}}
    return WorldConfig(table["service"], options, document.where(path))


# --- checks that concern more than one key ---------------------------------------------------------------------------


def _checked(station: StationConfig, instruments: Mapping[str, InstrumentConfig], document: Document) -> StationConfig:
    path = ("stations", station.name)
    changes: dict[str, Any] = {"simulated": station.simulated or station.world is not None}
    for kind in ("power", "modem", "network"):
        part = getattr(station, kind)
        if part is not None:
            changes[kind] = _merged(part, instruments, (*path, kind), document)
    if station.world is None:
        for placeholder in _placeholders(station):
            document.complain(path, f"'{placeholder}' needs a simulated world", 'add world = { service = "sim" }')
    if station.power is not None:
        _check_power(station.power, (*path, "power"), document)
    if station.modem is not None:
        modem: ModemConfig = changes["modem"]
        if modem.imei and not re.fullmatch(r"\d{14,16}", modem.imei):
            document.complain((*path, "modem", "imei"), f"'{modem.imei}' is no IMEI", "14 to 16 digits")
        if modem.port_needs_power is None:
            changes["modem"] = replace(modem, port_needs_power=_comes_with_power(modem.port))
    if station.card is not None:
        _check_card(station, (*path, "card"), document)
    if station.data is not None:
        _check_data(station.data, (*path, "data", "path"), document)
    if station.clock != "real" and not station.clock.startswith("unix:"):
        document.complain((*path, "clock"), f"'{station.clock}' is no clock", "'real' or 'unix:/path/to/socket'")
    changes["safe"] = _check_safe(station, (*path, "safe"), document)
    return replace(station, **changes)


def _check_power(power: PowerConfig, path: tuple[str, ...], document: Document) -> None:
    if power.voltage > power.voltage_max:
        document.complain(
            (*path, "voltage"),
            f"voltage {power.voltage:g} V is above voltage_max {power.voltage_max:g} V",
            "voltage_max is the most the device survives: lower voltage, or correct voltage_max",
        )
    if power.dead_voltage >= power.voltage:
        document.complain(
            (*path, "dead_voltage"),
            f"dead_voltage {power.dead_voltage:g} V is not below voltage {power.voltage:g} V",
            "a rail that is on would count as dead",
        )
    if power.current_limit <= 0:
        document.complain((*path, "current_limit"), "current_limit must be above 0 A")


def _check_card(station: StationConfig, path: tuple[str, ...], document: Document) -> None:
    card = station.card
    assert card is not None
    if card.at == "modem" and station.modem is None:
        document.complain((*path, "at"), "the card is at the modem, but the station has no modem", "add modem = {...}")
    if card.at != "modem":
        document.complain((*path, "at"), f"'{card.at}' is not available yet", 'use at = "modem"')
    if card.eid:
        from bench.rsp.ids import check_eid

        if not re.fullmatch(r"\d{32}", card.eid) or not check_eid(card.eid):
            document.complain(
                (*path, "eid"), f"'{card.eid}' is no EID", "32 digits whose check digits fit (SGP.02 section 2.2.2)"
            )


def _check_data(data: DataConfig, path: tuple[str, ...], document: Document) -> None:
    kind, _, rest = data.path.partition(":")
    good = (
        data.path == "host"
        or (kind == "interface" and re.fullmatch(r"[^/\s]{1,15}", rest) is not None)
        or (kind == "proxy" and (rest.startswith(("http://", "$world"))))
    )
    if not good:
        document.complain(
            path,
            f"'{data.path}' is no data path",
            "'host', 'interface:wwan0' or 'proxy:http://127.0.0.1:3128'",
        )


def _check_safe(station: StationConfig, path: tuple[str, ...], document: Document) -> tuple[str, ...]:
    """Return the safe sequence: what is declared, else RF off before the supply's output."""
    if "safe" not in document.table.get("stations", {}).get(station.name, {}):
        wanted = (name for name, kind in (("network.off", station.network), ("power.off", station.power)) if kind)
        return tuple(wanted)
    for number, name in enumerate(station.safe):
        need = _SAFE_NEEDS.get(name)
        if need is None:
            document.complain((*path, number), f"unknown safe action '{name}'", did_you_mean(name, _SAFE_NEEDS))
        elif getattr(station, need) is None:
            document.complain((*path, number), f"'{name}' needs {need}, which the station does not have")
    return station.safe


def _comes_with_power(port: str) -> bool:
    return port.startswith(("usb:", "/dev/serial/by-", "$world"))


Part = TypeVar("Part", PowerConfig, ModemConfig, NetworkConfig)


def _merged(part: Part, instruments: Mapping[str, InstrumentConfig], path: tuple[str, ...], document: Document) -> Part:
    """Return the part with driver, address and pin taken from ``[instruments.NAME]`` when it names one."""
    kind = str(path[-1])
    address = "port" if isinstance(part, ModemConfig) else "resource"
    if part.instrument:
        own = [key for key in ("driver", address, "serial") if getattr(part, key, "")]
        for key in own:
            document.complain((*path, key), f"'{key}' and 'instrument' exclude each other", f"drop '{key}'")
        found = instruments.get(part.instrument)
        if found is None:
            document.complain(
                (*path, "instrument"),
                f"there is no [instruments.{part.instrument}]",
                did_you_mean(part.instrument, instruments) or f"add it, or give {kind} its own driver and {address}",
            )
            return part
        merged: dict[str, Any] = {
            "driver": found.driver,
            address: getattr(found, address),
            "options": {**found.options, **part.options},
        }
        if not isinstance(part, ModemConfig):
            merged["serial"] = found.serial
        if not merged[address]:
            document.complain(("instruments", found.name), f"'{address}' is missing: {kind} of {path[1]} needs it")
        return replace(part, **merged)
    for key in ("driver", address):
        if not getattr(part, key):
            document.complain(path, f"'{key}' is missing in {kind}", "or name an 'instrument'")
    if part.driver:
        _check_driver(part.driver, (*path, "driver"), document)
    return part


def _check_driver(name: str, path: tuple[str, ...], document: Document) -> None:
    from bench.station.drivers import known_drivers

    if document.name == BUILT_IN:  # the drivers it names come from packages that need not be installed
        return
    known = known_drivers()
    if ":" not in name and name not in known:
        document.complain(
            path, f"there is no driver '{name}'", did_you_mean(name, known) or "no driver package is installed"
        )


# --- placeholders -----------------------------------------------------------------------------------------------------


def _placeholders(value: object) -> list[str]:
    if isinstance(value, str):
        return [found.group(0) for found in _WORLD.finditer(value)]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _placeholders(item)]
    if isinstance(value, tuple | list):
        return [text for item in value for text in _placeholders(item)]
    if is_dataclass(value) and not isinstance(value, type):
        return [text for item in fields(value) for text in _placeholders(getattr(value, item.name))]
    return []


def _filled(value: Any, sources: list[Mapping[str, Any]], origin: str) -> Any:
    if isinstance(value, str):
        whole = _WORLD.fullmatch(value)
        if whole:
            return _look_up(whole, sources, origin)
        return _WORLD.sub(lambda found: str(_look_up(found, sources, origin)), value)
    if isinstance(value, Mapping):
        return {key: _filled(item, sources, origin) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_filled(item, sources, origin) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        place = getattr(value, "origin", "") or origin
        changed = {}
        for item in fields(value):
            old = getattr(value, item.name)
            new = _filled(old, sources, place)
            if new is not old and new != old:
                changed[item.name] = new
        return replace(value, **changed) if changed else value
    return value


def _look_up(found: re.Match[str], sources: list[Mapping[str, Any]], origin: str) -> Any:
    names = found.group(1)[1:].split(".")
    for source in sources:
        value: Any = source
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None and not isinstance(value, Mapping):
            return value
    raise ConfigurationError(
        f"the simulated world did not announce '{'.'.join(names)}'",
        where=origin,
        hint=f"it announced: {', '.join(sorted({key for source in sources for key in source})) or 'nothing'}",
    )
