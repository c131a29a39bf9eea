"""What bench.toml says, as typed values (DESIGN.md section 6). Volts, amperes and seconds in floats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from bench.errors import ConfigurationError
from bench.station.dut import DutConfig
from bench.station.placeholders import filled, placeholders
from bench.station.tables import Bounds, did_you_mean

Volts = Annotated[float, Bounds(0.0, 1000.0, "V")]
Amperes = Annotated[float, Bounds(0.0, 1000.0, "A")]
Channel = Annotated[int, Bounds(1, 99)]
PortNumber = Annotated[int, Bounds(0, 65535)]
Options = Mapping[str, object]


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
    ``sample``: seconds between two samples of volts and amperes while a recipe runs and the output is on; 0 for none.
    ``watchdog``: seconds without a sign of life after which a supply that can do so switches off by itself (longer than
    the 7 s in which supervisor and runner look after each other); 0 for never.
    ``shared``: reached through the one process that holds the instrument's connection (``bench.station.broker``);
    default: true where several stations name the same instrument, false: each connects by itself.
    """

    voltage: Volts
    voltage_max: Volts
    current_limit: Amperes
    dead_voltage: Annotated[float, Bounds(0.001, 60.0, "V")] = 0.3
    sample: Annotated[float, Bounds(0.0, 3600.0, "s")] = 1.0
    watchdog: Annotated[float, Bounds(0.0, 86400.0, "s")] = 20.0
    channel: Channel = 1
    instrument: str = ""
    driver: str = ""
    resource: str = ""
    serial: str = ""
    shared: bool | None = None
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ModemConfig:
    """``modem``: an AT port, by path, by id or by USB topology (``usb:1-1.4:if02``).

    ``port_needs_power``: the port comes and goes with the device's power (USB). Without it a port that is missing is
    refused when the station is opened. Default: true for ``usb:``, ``/dev/serial/by-...`` and simulated ports.
    ``poll``: seconds between two radio measurements while a recipe runs (lane ``radio``), 0 for none: a step can forbid
    them, and a recipe that asks for PSM or eDRX does.
    """

    port: str = ""
    instrument: str = ""
    driver: str = ""
    imei: str = ""
    baudrate: Annotated[int, Bounds(300, 4_000_000, "Bd")] = 115_200
    port_needs_power: bool | None = None
    poll: Annotated[float, Bounds(0.0, 3600.0, "s")] = 10.0
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
class AttenuatorConfig:
    """``attenuator``: a step attenuator between emulator and device, and its channel."""

    instrument: str = ""
    driver: str = ""
    resource: str = ""
    serial: str = ""
    channel: Channel = 1
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class CardConfig:
    """``card``: where the eUICC is and which one it must be.

    At ``reader`` and ``switch``: ``reader`` is the PC/SC name of the reader or a part of it, or a serial number; empty
    for the only one there is. ``pcsclite_csock`` is the socket of a PC/SC daemon of one's own, empty for the host's.
    """

    at: Literal["modem", "reader", "switch"] = "modem"
    slot: Annotated[int, Bounds(1, 8)] = 1
    via: Literal["auto", "ccho", "csim"] = "auto"
    """At the modem: AT+CCHO and AT+CGLA, AT+CSIM, or whichever works."""
    eid: str = ""
    reader: str = ""
    driver: str = "pcsc"
    pcsclite_csock: str = ""
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class RadioConfig:
    """``radio.NAME``: a program that records the radio or the card's contacts beside a run.

    ``driver``: ``qualcomm-diag`` (``port`` is the modem's DIAG port, by USB interface), ``nordic-trace``,
    ``simtrace2``.
    """

    name: str
    driver: str
    port: str = ""
    serial: str = ""
    baudrate: Annotated[int, Bounds(300, 4_000_000, "Bd")] = 115_200
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class SwitchConfig:
    """``switch``: what wires one card to the reader or to the modem (a relay board on a serial port)."""

    port: str = ""
    instrument: str = ""
    driver: str = ""
    serial: str = ""
    baudrate: Annotated[int, Bounds(300, 4_000_000, "Bd")] = 115_200
    options: Options = field(default_factory=dict)
    origin: str = ""


PATHS = "'host', 'interface:wwan0', 'modem' (the interface of the station's modem) or 'proxy:http://127.0.0.1:3128'"


@dataclass(frozen=True, slots=True)
class DataConfig:
    """``data``: the device's data path: ``host``, ``interface:NAME``, ``proxy:http://HOST:PORT``, or ``modem``: the
    network interface of the modem's USB device (``modem:http://HOST:PORT``: a simulated modem's link)."""

    path: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """``world``: the simulated world behind the station: the service that starts it and that service's options."""

    service: str
    options: Options = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class SnippetsConfig:
    """``snippets``: lines that people type again and again in manual sessions on the station, by their kind."""

    at: tuple[str, ...] = ()
    apdu: tuple[str, ...] = ()
    scpi: tuple[str, ...] = ()
    console: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class StationConfig:
    """``[stations.NAME]``. What is None is not there."""

    name: str
    ipa: Literal["bench", "device", "euicc"] = "bench"
    power: PowerConfig | None = None
    modem: ModemConfig | None = None
    network: NetworkConfig | None = None
    attenuator: AttenuatorConfig | None = None
    card: CardConfig | None = None
    switch: SwitchConfig | None = None
    data: DataConfig | None = None
    dut: DutConfig | None = None
    radio: Mapping[str, RadioConfig] = field(default_factory=dict)
    """Recorders, by their names."""
    world: WorldConfig | None = None
    clock: str = "real"
    """``real``, or ``unix:/path`` of the clock socket of a simulated world."""
    world_control: str = ""
    """``unix:/path`` of the control socket of a simulated world that runs by itself (``bench sim up``): it is told
    where the bench's own eIM and SM-DP+ are."""
    safe: tuple[str, ...] = ()
    expendable: bool = False
    snippets: SnippetsConfig = field(default_factory=SnippetsConfig)
    simulated: bool = False
    """Some part is simulated: results of such a station are never mixed with real ones."""
    origin: str = ""

    @property
    def eid(self) -> str:
        """The pinned EID, empty when none is pinned."""
        pinned = self.card.eid if self.card else ""
        return pinned or (self.dut.eid if self.dut else "")

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
        resolved: StationConfig = filled(self, sources, self.origin)
        return resolved

    def unresolved(self) -> bool:
        """Whether a ``$world`` placeholder is left: the world must be started and ``resolve`` called first."""
        return bool(placeholders(self))


@dataclass(frozen=True, slots=True)
class BenchTable:
    """``[bench]``: where things are kept."""

    home: str = ""
    runs: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What ``[eim]`` and ``[smdpp]`` have in common: the bundled server, or the lab's own (``kind = "external"``).

    ``listen`` and ``port`` are of the bundled one. The lab's own is ordered from through ``adapter``: ``rest`` (with
    ``template``, a TOML file beside bench.toml that says how: recipes/external_eim.toml and external_smdpp.toml explain
    it), ``ask`` (a person places the orders), or another of ``bench.services`` (``external-NAME``). ``reach``:
    ``host:port`` of its side for devices where no DNS leads from ``advertise`` to it; ``ca``: PEM file of the CAs of
    that side, where they are not the system's.
    """

    kind: Literal["bundled", "external"] = "bundled"
    listen: str = "127.0.0.1"
    port: PortNumber = 0
    advertise: str = ""
    adapter: str = ""
    template: str = ""
    reach: str = ""
    ca: str = ""
    options: Options = field(default_factory=dict)
    origin: str = ""

    @property
    def external(self) -> bool:
        """Whether it is the lab's own."""
        return self.kind == "external"


@dataclass(frozen=True, slots=True)
class EimConfig(ServerConfig):
    """``[eim]``. ``advertise`` is the name in its certificate and in its configuration on the card.

    ``eim_id`` and ``reach_coaps`` (``host:port`` of CoAPS) are of the lab's own: the eimId in that configuration, by
    default ``advertise``.
    """

    advertise: str = "eim.bench.example"
    eim_id: str = ""
    reach_coaps: str = ""


@dataclass(frozen=True, slots=True)
class SmdppConfig(ServerConfig):
    """``[smdpp]``. ``advertise`` is its address in activation codes and in its certificate."""

    advertise: str = "smdpp.bench.example"


@dataclass(frozen=True, slots=True)
class IpaConfig:
    """``[ipa]``: options of the IPA in the bench, such as ``options = { transport = "coaps" }``."""

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
    ipa: IpaConfig = field(default_factory=IpaConfig)

    def station(self, name: str) -> StationConfig:
        """Return a station by name. Raises ConfigurationError with a did-you-mean."""
        if name in self.stations:
            return self.stations[name]
        raise ConfigurationError(
            f"there is no station '{name}'",
            where=str(self.source or "built-in stations"),
            hint=did_you_mean(name, self.stations),
        )
