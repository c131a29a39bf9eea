"""Everything that is found on a host, together: ``look`` asks ports, readers and hosts at the same time."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.station.discovery import at, pcsc, scpi
from bench.station.discovery.ports import SerialPort, serial_ports, usb_devices
from bench.station.entrypoints import entry_points_of
from bench.station.host import Host
from bench.station.interfaces import Identity

GROUP: Final = "bench.discovery"
"""Entry-point group: functions from an Identity to ``{"kind", "driver", "channels", "sure"}`` or None."""
_PROBLEMS: Final = ("held", "refused", "gone")


@dataclass(frozen=True, slots=True)
class FoundPort:
    """A serial port and what it answered; ``answer`` is None where it was not asked."""

    port: SerialPort
    answer: at.PortAnswer | None = None

    @property
    def is_modem(self) -> bool:
        """Whether AT is answered."""
        return self.answer is not None and self.answer.state == "modem"


@dataclass(frozen=True, slots=True)
class Suggested:
    """An instrument with the driver that fits it; ``driver`` is empty where none is installed."""

    instrument: scpi.FoundInstrument
    kind: str = ""
    driver: str = ""
    channels: int = 1
    sure: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """A simulated bench that is up: one station of it, its addresses asked like any other's."""

    station: str
    announcement: Mapping[str, Any]
    """Of the whole world (DESIGN.md section 8)."""
    addresses: Mapping[str, Any]
    """Of this station."""
    ports: tuple[FoundPort, ...] = ()
    instruments: tuple[Suggested, ...] = ()
    readers: tuple[pcsc.FoundReader, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What there is on this host and at the hosts that were named."""

    ports: tuple[FoundPort, ...] = ()
    readers: tuple[pcsc.FoundReader, ...] = ()
    instruments: tuple[Suggested, ...] = ()
    worlds: tuple[World, ...] = ()
    problems: tuple[tuple[str, str], ...] = field(default=())
    """What could not be looked at: text and what to do."""
    interfaces: Mapping[str, str] = field(default_factory=dict)
    """Network interface of a USB device, by place: a modem's data path."""

    def data(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "ports": [_port_data(item) for item in self.ports],
            "readers": [asdict(item) for item in self.readers],
            "instruments": [_instrument_data(item) for item in self.instruments],
            "worlds": [
                {
                    "station": world.station,
                    "ports": [_port_data(item) for item in world.ports],
                    "instruments": [_instrument_data(item) for item in world.instruments],
                    "readers": [asdict(item) for item in world.readers],
                }
                for world in self.worlds
            ],
            "problems": [{"text": text, "hint": hint} for text, hint in self.problems],
        }


def _port_data(item: FoundPort) -> dict[str, Any]:
    answer = item.answer
    return {**asdict(item.port), "answer": None if answer is None else asdict(answer)}


def _instrument_data(item: Suggested) -> dict[str, Any]:
    identity = asdict(item.instrument.identity)
    told = {"resource": item.instrument.resource, "text": item.instrument.text, "hint": item.instrument.hint}
    return {**told, **identity, "kind": item.kind, "driver": item.driver, "channels": item.channels}


async def look(
    host: Host,
    *,
    hosts: Sequence[tuple[str, int | None]] = (),
    ports: Sequence[str] = (),
    announcements: Sequence[Mapping[str, Any]] = (),
    ask_ports: bool = True,
    cards: bool = True,
) -> Found:
    """Look at everything. ``ports``: further serial ports by path; ``announcements``: of simulated benches that are up.

    ``ask_ports``: AT is sent to every port that nobody holds; ``cards``: cards are powered and asked for their EID.
    """
    devices = usb_devices(host)
    known = serial_ports(host)
    further = [SerialPort(host.real(path), path) for path in ports if path not in {port.device for port in known}]
    worlds = [
        World(name, told, addresses)
        for told in announcements
        for name, addresses in told["stations"].items()
        if isinstance(addresses, Mapping)
    ]
    asked, readers, answered, lived = await asyncio.gather(
        _ask(host, [*known, *further], ask=ask_ports),
        pcsc.look(cards=cards, host=host),
        scpi.look(hosts),
        _worlds(host, worlds, ask=ask_ports, cards=cards),
    )
    instruments = [*answered, *scpi.usb_instruments(host, devices)]
    problems = [(item.text, item.hint) for item in instruments if item.text]
    problems += [(told.text, told.hint) for item in asked if (told := item.answer) and told.state in _PROBLEMS]
    if readers.problem and not any(world.readers for world in lived):
        problems.append((readers.problem, readers.hint))
    return Found(
        tuple(asked),
        readers.readers,
        tuple(suggested(item) for item in instruments),
        tuple(lived),
        tuple(dict.fromkeys(problems)),
        _interfaces(host),
    )


async def _ask(host: Host, ports: Sequence[SerialPort], *, ask: bool) -> list[FoundPort]:
    if not ask:
        return [FoundPort(port) for port in ports]
    # A thread each: a port may take seconds to say nothing, and a lab has many.
    answers = await asyncio.gather(*(asyncio.to_thread(at.ask, port.device, host) for port in ports))
    return [FoundPort(port, answer) for port, answer in zip(ports, answers, strict=True)]


async def _worlds(host: Host, worlds: Sequence[World], *, ask: bool, cards: bool) -> list[World]:
    return list(await asyncio.gather(*(_world(host, world, ask=ask, cards=cards) for world in worlds)))


async def _world(host: Host, world: World, *, ask: bool, cards: bool) -> World:
    """Ask what a simulated bench announced, as if a person had given its addresses."""
    addresses = world.addresses
    paths = [str(part["port"]) for kind in ("modem", "switch", "console") if (part := addresses.get(kind))]
    resources = [str(part["resource"]) for kind in ("power", "network") if (part := addresses.get(kind))]
    sockets = [(parts[1], int(parts[2])) for text in resources if len(parts := text.split("::")) == 4]
    reader = addresses.get("reader") or {}
    csock = str(reader.get("pcsclite_csock", ""))
    ports, instruments = await asyncio.gather(
        _ask(host, [SerialPort(host.real(path), path) for path in paths], ask=ask), scpi.look(sockets)
    )
    readers = (await pcsc.look(csock, cards=cards, host=host)).readers if csock else ()
    return replace(
        world, ports=tuple(ports), instruments=tuple(suggested(item) for item in instruments), readers=readers
    )


def suggested(found: scpi.FoundInstrument) -> Suggested:
    """Ask the packages of drivers which of theirs fits."""
    if found.identity == Identity():
        return Suggested(found)
    for target in entry_points_of(GROUP).values():
        module, _, attribute = target.partition(":")
        try:
            told = getattr(importlib.import_module(module), attribute)(found.identity)
        except (BenchError, ImportError, AttributeError):
            continue
        if told is not None:
            make = partial(Suggested, found, str(told["kind"]), str(told["driver"]))
            return make(int(told["channels"]), bool(told["sure"]))
    return Suggested(found)


def _interfaces(host: Host) -> dict[str, str]:
    """Return the network interfaces that belong to USB devices: place to name."""
    found: dict[str, str] = {}
    for entry in sorted(host.path("/sys/class/net").glob("*")):
        try:
            folder: Path = (entry / "device").resolve(strict=True)
        except OSError:
            continue
        for part in (folder, *folder.parents):
            place, colon, _ = part.name.partition(":")
            if colon and place[:1].isdigit():
                found.setdefault(place, entry.name)
                break
    return found
