"""What must fit together in bench.toml beyond types and bounds: complaints with file and line, nothing touched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from bench.station.dut import DutConfig, with_instruments
from bench.station.model import (
    PATHS,
    AttenuatorConfig,
    DataConfig,
    InstrumentConfig,
    ModemConfig,
    NetworkConfig,
    PowerConfig,
    StationConfig,
    SwitchConfig,
)
from bench.station.placeholders import placeholders
from bench.station.tables import Document, did_you_mean

BUILT_IN = "builtin.toml"
_SAFE_NEEDS = {"battery.off": "dut", "power.off": "power", "network.off": "network"}


def checked(station: StationConfig, instruments: Mapping[str, InstrumentConfig], document: Document) -> StationConfig:
    """Return the station with the values of its instruments merged in; complaints go to ``document``."""
    path = ("stations", station.name)
    changes: dict[str, Any] = {"simulated": station.simulated or station.world is not None}
    for kind in ("power", "modem", "network", "attenuator", "switch"):
        part = getattr(station, kind)
        if part is not None:
            changes[kind] = _merged(part, instruments, (*path, kind), document)
    if station.world is None:
        for placeholder in placeholders(station):
            document.complain(path, f"'{placeholder}' needs a simulated world", 'add world = { service = "sim" }')
    if station.power is not None:
        _check_power(station.power, (*path, "power"), document)
    if station.modem is not None:
        modem: ModemConfig = changes["modem"]
        if modem.imei and not re.fullmatch(r"\d{14,16}", modem.imei):
            document.complain((*path, "modem", "imei"), f"'{modem.imei}' is no IMEI", "14 to 16 digits")
        if modem.port_needs_power is None:
            changes["modem"] = replace(modem, port_needs_power=comes_with_power(modem.port))
    if station.card is not None:
        _check_card(station, (*path, "card"), document)
    if station.dut is not None:
        dut = changes["dut"] = with_instruments(station.dut, instruments, (*path, "dut"), document)
        _check_dut(dut, (*path, "dut"), document)
    if station.ipa == "device" and station.card is not None:
        document.complain(
            (*path, "ipa"),
            "the device's own IPA uses the card, and the station has it too",
            'take card = { ... } out: its EID is dut = { eid = "..." }',
        )
    if station.data is not None:
        _check_data(station.data, station.modem, (*path, "data", "path"), document)
    if station.clock != "real" and not station.clock.startswith("unix:"):
        document.complain((*path, "clock"), f"'{station.clock}' is no clock", "'real' or 'unix:/path/to/socket'")
    if station.world_control and not station.world_control.startswith("unix:"):
        document.complain(
            (*path, "world_control"), f"'{station.world_control}' is no control socket", "'unix:/path/to/socket'"
        )
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
    if card.at == "switch":
        for kind in ("switch", "modem"):
            if getattr(station, kind) is None:
                document.complain(
                    (*path, "at"), f"the card is at the switch, but the station has no {kind}", f"add {kind} = {{...}}"
                )
    if card.at != "modem":
        check_driver(card.driver, (*path, "driver"), document)
    else:
        for key in ("reader", "pcsclite_csock"):
            if getattr(card, key):
                document.complain((*path, key), f"'{key}' is of no use: the card is at the modem", 'at = "reader"')
    if card.slot != 1:
        document.complain((*path, "slot"), f"slot {card.slot} is not available yet", "use slot = 1")
    if card.eid:
        from bench.rsp.ids import check_eid

        if not re.fullmatch(r"\d{32}", card.eid) or not check_eid(card.eid):
            document.complain(
                (*path, "eid"), f"'{card.eid}' is no EID", "32 digits whose check digits fit (SGP.02 section 2.2.2)"
            )


def _check_dut(dut: DutConfig, path: tuple[str, ...], document: Document) -> None:
    for kind, named in (("console", dut.console), ("lines", dut.lines)):
        for name, part in named.items():
            if part.driver and not part.driver.startswith("$"):
                check_driver(part.driver, (*path, kind, name, "driver"), document)


def _check_data(data: DataConfig, modem: ModemConfig | None, path: tuple[str, ...], document: Document) -> None:
    kind, _, rest = data.path.partition(":")
    good = (
        data.path == "host"
        or (kind == "interface" and re.fullmatch(r"[^/\s]{1,15}", rest) is not None)
        or (data.path == "modem" and modem is not None)
        or (kind in ("proxy", "modem") and rest.startswith(("http://", "$world")))
    )
    if not good:
        document.complain(
            path,
            f"'{data.path}' is no data path",
            "the station has no modem" if data.path == "modem" else PATHS,
        )


def _check_safe(station: StationConfig, path: tuple[str, ...], document: Document) -> tuple[str, ...]:
    """Return the safe sequence: what is declared, else RF off before the supply's output."""
    if "safe" not in document.table.get("stations", {}).get(station.name, {}):
        # A battery that stays connected would keep the rail up after the supply is off.
        there = {"network.off": station.network, "battery.off": _battery(station), "power.off": station.power}
        return tuple(name for name, part in there.items() if part)
    for number, name in enumerate(station.safe):
        need = _SAFE_NEEDS.get(name)
        if need is None:
            document.complain((*path, number), f"unknown safe action '{name}'", did_you_mean(name, _SAFE_NEEDS))
        elif (_battery(station) if name == "battery.off" else getattr(station, need)) is None:
            need = "the line of a battery relay (dut.battery)" if name == "battery.off" else need
            document.complain((*path, number), f"'{name}' needs {need}, which the station does not have")
    return station.safe


def _battery(station: StationConfig) -> object | None:
    return station.dut.line("battery") if station.dut is not None else None


def comes_with_power(port: str) -> bool:
    """Whether a port is one that comes and goes with the device's power: USB, and what is simulated so."""
    return port.startswith(("usb:", "/dev/serial/by-", "$world"))


Part = TypeVar("Part", PowerConfig, ModemConfig, NetworkConfig, AttenuatorConfig, SwitchConfig)


def _merged(part: Part, instruments: Mapping[str, InstrumentConfig], path: tuple[str, ...], document: Document) -> Part:
    """Return the part with driver, address and pin taken from ``[instruments.NAME]`` when it names one."""
    kind = str(path[-1])
    address = "port" if isinstance(part, ModemConfig | SwitchConfig) else "resource"
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
    needed = ("driver",) if part.driver == "ask" else ("driver", address)  # a person has no port
    for key in needed:
        if not getattr(part, key):
            document.complain(path, f"'{key}' is missing in {kind}", "or name an 'instrument'")
    if part.driver:
        check_driver(part.driver, (*path, "driver"), document)
    return part


def check_driver(name: str, path: tuple[str, ...], document: Document) -> None:
    """Complain about a driver that is not installed."""
    from bench.station.drivers import known_drivers

    if document.name == BUILT_IN:  # the drivers it names come from packages that need not be installed
        return
    known = known_drivers()
    if ":" not in name and name not in known:
        document.complain(
            path, f"there is no driver '{name}'", did_you_mean(name, known) or "no driver package is installed"
        )
