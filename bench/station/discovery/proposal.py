"""A bench.toml made of what was found: our own reader accepts it, and its comments say what a person must check.

Which channel feeds which device, and what that device survives, nobody can find out by looking: those lines are
marked CHECK. Nothing is guessed twice: an instrument without a driver stays a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.station.discovery.finding import Found, FoundPort, Suggested, World
from bench.station.discovery.ports import natural
from bench.station.model import PowerConfig, StationConfig

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Rail:
    """Volts and amperes for supplies of real stations: a module fed like a Li-ion cell, until a person says better."""

    voltage: float = 3.8
    voltage_max: float = 4.2
    current_limit: float = 1.5


def bench_toml(
    found: Found,
    *,
    rail: Rail | None = None,
    built_in: Mapping[str, StationConfig] | None = None,
    default_home: str = "",
) -> str:
    """Return the text of a bench.toml for what was found.

    ``rail``: of real devices; ``built_in``: the stations of this bench, from which a simulated world of the same name
    takes its rail. ``default_home``: the home that needs no line; that of the worlds is written where it is another.
    """
    rail = rail or Rail()
    lines = [
        "# Proposed by: bench discover. Nothing was switched. Read every line marked CHECK before the first run.",
        "",
    ]
    homes = dict.fromkeys(str(world.announcement["home"]) for world in found.worlds if world.announcement.get("home"))
    if homes and next(iter(homes)) != default_home:
        lines += ["[bench]", f"home = {_text(next(iter(homes)))}  # cards and certificates of the simulation", ""]
    names = _Names()
    instruments = list(_instruments(found.instruments, names))
    for _, text in instruments:
        lines += text
    stations = [*_real(found, [item for item, _ in instruments if item], names, rail)]
    stations += [_simulated(world, names, built_in or {}) for world in found.worlds]
    for station in stations:
        lines += [*station, ""]
    if not stations:
        lines += [
            "# No modem answered AT and no reader holds a card: switch the device on, then discover again,",
            "# or write a station by hand ([stations.NAME], README: bench.toml). 'sim' works without any hardware.",
        ]
    lines += _left_over(found)
    return "\n".join(lines).rstrip() + "\n"


class _Names:
    """Names of stations and instruments, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, wanted: str) -> str:
        base = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-") or "part"
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name)
        return name


def _text(value: str) -> str:
    """Return a TOML basic string."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    """Return text that may stand behind ``#``: one line, nothing that ends or hides it."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _inline(values: Mapping[str, object]) -> str:
    return "{ " + ", ".join(f"{key} = {_value(value)}" for key, value in values.items()) + " }"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return _inline(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return _text(str(value))


# --- instruments ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Listed:
    name: str
    item: Suggested
    used: int = 0
    """Channels given to stations so far."""


def _instruments(found: Sequence[Suggested], names: _Names) -> Iterator[tuple[_Listed | None, list[str]]]:
    for item in found:
        identity = item.instrument.identity
        title = _comment(f"{identity.manufacturer} {identity.model}, firmware {identity.firmware or '?'}")
        if not item.driver or item.kind not in ("power", "network"):
            if identity.model:
                what = "no driver for it is installed" if not item.driver else f"driver {item.driver}"
                yield None, [f"# {_comment(item.instrument.resource)}: {title}: {what}", ""]
            continue
        name = names.take("psu1" if item.kind == "power" else "net1")
        lines = [f"[instruments.{name}]  # {title}", f"driver = {_text(item.driver)}"]
        if not item.sure:
            lines[-1] += "  # CHECK: the generic one, no better is known"
        lines.append(f"resource = {_text(item.instrument.resource)}")
        if identity.serial.strip(" 0"):
            lines.append(f"serial = {_text(identity.serial)}  # pinned: another instrument there is refused")
        else:
            lines.append('# serial = "..."  # it tells none: nothing can be pinned')
        yield _Listed(name, item), [*lines, ""]


# --- real stations ----------------------------------------------------------------------------------------------------


def _real(found: Found, instruments: Sequence[_Listed], names: _Names, rail: Rail) -> Iterator[list[str]]:
    modems = list(_devices(found.ports))
    cards = [reader for reader in found.readers if reader.atr]
    relays = [item for item in found.ports if item.answer is not None and item.answer.state == "relay"]
    one_of_each = len(modems) == len(cards) == len(relays) == 1
    for ports in modems:
        first = ports[0]
        assert first.answer is not None
        model = first.answer.model or "modem"
        name = names.take(model)
        lines = [f"[stations.{name}]  # {_comment(first.port.title)}, {_comment(first.answer.firmware)}"]
        lines.append('ipa = "bench"')
        lines += _rail(instruments, rail)
        lines.append(f"modem = {_inline(_modem(first))}")
        others = ", ".join(item.port.address for item in ports[1:])
        if others:
            lines.append(f"# it answers AT at {others} too")
        lines += _network(instruments)
        if one_of_each:
            reader, relay = cards[0], relays[0]
            lines.append(f'card = {_inline(_reader(reader) | {"at": "switch"})}  # CHECK: or at = "reader", "modem"')
            switch = {"driver": "numato-relay", "port": relay.port.address, "options": {"reader": 0, "modem": 1}}
            lines.append(f"switch = {_inline(switch)}  # CHECK: which relay connects which side")
        else:
            lines.append('card = { at = "modem" }  # add eid = "..." (bench euicc info): another card is then refused')
        wwan = found.interfaces.get(first.port.usb.place if first.port.usb else "", "")
        path = "modem" if wwan else "host"
        note = f"{wwan} now" if wwan else "the host's network, not the radio: recipes that need the radio are refused"
        lines += [f"data = {{ path = {_text(path)} }}  # {_comment(note)}", "expendable = false"]
        yield lines
    if one_of_each:
        return
    for reader in cards:
        lines = [f"[stations.{names.take('reader')}]  # {_comment(reader.name)}", 'ipa = "bench"']
        if reader.text:
            lines.append(f"# no EID: {_comment(reader.text)}")
        lines.append(f"card = {_inline({'at': 'reader'} | _reader(reader))}")
        yield [*lines, 'data = { path = "host" }', "expendable = false"]


def _devices(ports: Sequence[FoundPort]) -> Iterator[list[FoundPort]]:
    """Return the ports that answer AT, by device, the lowest interface first."""
    by_device: dict[str, list[FoundPort]] = {}
    for item in ports:
        if item.is_modem:
            by_device.setdefault(item.port.usb.place if item.port.usb else item.port.address, []).append(item)
    for place in sorted(by_device, key=natural):
        yield sorted(by_device[place], key=lambda item: item.port.interface or 0)


def _modem(item: FoundPort, imei: str = "") -> dict[str, object]:
    found: dict[str, object] = {"driver": "at-modem", "port": item.port.address}
    serial = (item.answer.serial if item.answer is not None and item.is_modem else "") or imei
    return found | ({"imei": serial} if serial else {})


def _reader(reader: Any) -> dict[str, object]:
    found: dict[str, object] = {"reader": reader.name}
    if reader.eid:
        found["eid"] = reader.eid
    if reader.pcsclite_csock:
        found["pcsclite_csock"] = reader.pcsclite_csock
    return found


def _rail(instruments: Sequence[_Listed], rail: Rail) -> list[str]:
    for listed in instruments:
        if listed.item.kind == "power" and listed.used < listed.item.channels:
            listed.used += 1
            values = {
                "instrument": listed.name,
                "channel": listed.used,
                "voltage": rail.voltage,
                "current_limit": rail.current_limit,
                "voltage_max": rail.voltage_max,
                "dead_voltage": 0.3,
            }
            return [
                "# CHECK channel and voltages: what the device survives is voltage_max, and nothing above is ever sent",
                f"power = {_inline(values)}",
            ]
    return ["# no supply was found: give its address (bench discover --host 192.0.2.10), or power it by hand"]


def _network(instruments: Sequence[_Listed]) -> list[str]:
    for listed in instruments:
        if listed.item.kind == "network":
            return [
                f"network = {_inline({'instrument': listed.name, 'cells': [1]})}  # CHECK: which cell it is cabled to"
            ]
    return []


# --- simulated stations -----------------------------------------------------------------------------------------------


def _simulated(world: World, names: _Names, built_in: Mapping[str, StationConfig]) -> list[str]:
    told, addresses = world.announcement, world.addresses
    # Not the name of a built-in station: those start a world of their own.
    name = names.take(f"{world.station}-up")
    model = built_in.get(world.station) or built_in.get("sim")
    lines = [f"[stations.{name}]  # the simulated bench that is up now, reached by its addresses: they change with it"]
    lines += [f"ipa = {_text(model.ipa if model else 'bench')}", "simulated = true"]
    if told.get("clock"):
        lines.append(f"clock = {_text('unix:' + str(told['clock']))}")
    if told.get("control"):
        lines.append(f"world_control = {_text('unix:' + str(told['control']))}  # is told where eIM and SM-DP+ are")
    for kind in ("power", "network"):
        resource = str((addresses.get(kind) or {}).get("resource", ""))
        item = next((item for item in world.instruments if item.instrument.resource == resource), None)
        if item is None or item.kind != kind or not item.driver:
            if resource:
                lines.append(f"# {kind} at {resource} does not say who it is")
            continue
        values: dict[str, object] = {"driver": item.driver, "resource": resource}
        serial = item.instrument.identity.serial
        values |= {"serial": serial} if serial.strip(" 0") else {}
        if kind == "power":
            values |= _rail_of(model.power if model else None)
        else:
            values["cells"] = list(model.network.cells) if model and model.network else [1]
        lines.append(f"{kind} = {_inline(values)}")
    lines += _simulated_modem(world)
    lines += _simulated_card(world)
    proxy = str((addresses.get("data") or {}).get("proxy") or "")
    lines.append(f"data = {{ path = {_text('proxy:' + proxy if proxy else 'host')} }}")
    lines.append("expendable = true")
    return lines


def _rail_of(power: PowerConfig | None) -> dict[str, object]:
    rail = power or PowerConfig(voltage=3.8, voltage_max=4.3, current_limit=2.0)
    return {
        "channel": rail.channel,
        "voltage": rail.voltage,
        "current_limit": rail.current_limit,
        "voltage_max": rail.voltage_max,
        "dead_voltage": rail.dead_voltage,
    }


def _simulated_modem(world: World) -> list[str]:
    modem = world.addresses.get("modem")
    if not modem:
        return []
    path = str(modem["port"])
    item = next((item for item in world.ports if item.port.address == path), None)
    if item is None:
        return []
    values = _modem(item, str(modem.get("imei", ""))) | {"port_needs_power": True}
    note = "" if item.is_modem else "  # it has no power now: IMEI as the simulation announces it"
    return [f"modem = {_inline(values)}{note}"]


def _simulated_card(world: World) -> list[str]:
    addresses = world.addresses
    reader = next(iter(world.readers), None)
    announced = addresses.get("reader") or {}
    if not announced:
        eid = str(world.announcement.get("eid") or "")
        if not addresses.get("modem"):
            return []
        return [f"card = {_inline({'at': 'modem'} | ({'eid': eid} if eid else {}))}"]
    values: dict[str, object] = {"reader": str(announced["name"]), "pcsclite_csock": str(announced["pcsclite_csock"])}
    eid = (reader.eid if reader else "") or str(announced.get("eid", ""))
    values |= {"eid": eid} if eid else {}
    switch = addresses.get("switch")
    if not switch:
        return [f"card = {_inline({'at': 'reader'} | values)}"]
    board = {"driver": "numato-relay", "port": str(switch["port"]), "options": {"reader": 0, "modem": 1}}
    return [f"card = {_inline({'at': 'switch'} | values)}", f"switch = {_inline(board)}"]


def _left_over(found: Found) -> list[str]:
    """Return as comments what no station uses, so that the person sees everything in one place."""
    lines = []
    for item in found.ports:
        if item.answer is not None and item.answer.state not in ("modem",):
            told = f"{item.port.address} ({item.port.title}): {item.answer.text}"
            lines.append(f"# {_comment(told)}" + (f": {_comment(item.answer.hint)}" if item.answer.hint else ""))
    for text, hint in found.problems:
        if not any(_comment(text) in line for line in lines):
            lines.append(f"# {_comment(text)}" + (f": {_comment(hint)}" if hint else ""))
    return ["", "# Not used above:", *lines] if lines else []
