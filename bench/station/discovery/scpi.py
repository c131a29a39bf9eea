"""Who answers ``*IDN?`` at given hosts: raw SCPI sockets, many at a time, each bounded; USB instruments by sysfs.

No network is scanned unasked: ``hosts_of`` makes a list of hosts only of what was given.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.errors import ConfigurationError
from bench.station.discovery.ports import UsbDevice
from bench.station.host import Host
from bench.station.interfaces import Identity

PORTS: Final = (5025, 5555, 9221)
"""Raw sockets: 5025 Keysight, Rohde & Schwarz, Siglent; 5555 Rigol; 9221 Aim-TTi."""
CONNECT: Final = 0.5
"""Seconds to connect within a laboratory's network."""
ANSWER: Final = 2.0
"""Seconds for the answer to *IDN?."""
_AT_ONCE: Final = 64
_LARGEST: Final = 1024
"""Hosts of one network that are asked: a /22."""
_LONGEST: Final = 512
_TMC: Final = "fe"
_TMC_SUBCLASS: Final = "03"


@dataclass(frozen=True, slots=True)
class FoundInstrument:
    """An instrument that answered, or that sysfs names."""

    resource: str
    """VISA resource."""
    identity: Identity
    text: str = ""
    hint: str = ""


def hosts_of(given: Iterable[str], networks: Iterable[str] = ()) -> list[tuple[str, int | None]]:
    """Return what is to be asked: ``HOST``, ``HOST:PORT``, ``[v6]:PORT`` and every host of the networks (CIDR).

    Raises ConfigurationError for what is neither, and for a network of more than 1024 hosts.
    """
    found: list[tuple[str, int | None]] = []
    for text in given:
        host, port = text.strip(), None
        if host.startswith("["):
            host, _, rest = host[1:].partition("]")
            port = rest.removeprefix(":") or None
        elif host.count(":") == 1:
            host, _, port = host.partition(":")
        if not host or (port is not None and not (port.isdecimal() and 0 < int(port) < 65536)):
            raise ConfigurationError(f"'{text}' is no host", where="--host", hint="192.0.2.10 or 192.0.2.10:5025")
        found.append((host, int(port) if port else None))
    for text in networks:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError as error:
            raise ConfigurationError(f"'{text}' is no network: {error}", where="--scan", hint="192.0.2.0/24") from error
        if network.num_addresses > _LARGEST:
            raise ConfigurationError(
                f"{text} has {network.num_addresses} addresses", where="--scan", hint="at most a /22; or give --host"
            )
        found += [(str(host), None) for host in network.hosts()]
    return list(dict.fromkeys(found))


async def look(hosts: Sequence[tuple[str, int | None]], *, ports: Sequence[int] = PORTS) -> list[FoundInstrument]:
    """Ask every host at its port, or at the well-known ones; return who answered, in the order given.

    Who refuses the connection is not in the list; who takes it and says nothing is, with no identity.
    """
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(host: str, port: int) -> FoundInstrument | None:
        async with turns:
            return await identify(host, port)

    jobs = [one(host, number) for host, port in hosts for number in ([port] if port else ports)]
    return [found for found in await asyncio.gather(*jobs) if found is not None]


async def identify(host: str, port: int) -> FoundInstrument | None:
    """Ask one socket ``*IDN?``; None where nobody listens. Never raises for what an instrument does."""
    resource = f"TCPIP::{f'[{host}]' if ':' in host else host}::{port}::SOCKET"
    try:
        async with asyncio.timeout(CONNECT):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return None
    try:
        async with asyncio.timeout(ANSWER):
            writer.write(b"*IDN?\n")
            line = await reader.readline()
    except TimeoutError:
        return FoundInstrument(resource, Identity(), "takes a connection, does not answer *IDN?", "is it SCPI at all?")
    except (OSError, ValueError):
        line = b""
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if not line:
        return FoundInstrument(
            resource, Identity(), "closes the connection at once", "another program may hold its only session"
        )
    parts = [part.strip().strip('"') for part in line[:_LONGEST].decode("latin-1").strip().split(",", 3)]
    if len(parts) < 3 or not all(part.isprintable() for part in parts):
        return FoundInstrument(resource, Identity(), "answers something that is no *IDN?", "is it SCPI at all?")
    return FoundInstrument(resource, Identity(*parts))


def usb_instruments(host: Host, devices: Iterable[UsbDevice]) -> list[FoundInstrument]:
    """Return USB test and measurement devices (USBTMC) as sysfs names them; they are not opened."""
    found = []
    for device in devices:
        for interface in sorted(host.path("/sys/bus/usb/devices").glob(f"{device.place}:*")):
            if (_read(interface / "bInterfaceClass"), _read(interface / "bInterfaceSubClass")) != (_TMC, _TMC_SUBCLASS):
                continue
            resource = f"USB0::0x{device.vid.upper()}::0x{device.pid.upper()}::{device.serial}::INSTR"
            access = host.access(device.node, udev=device.udev) if device.node else None
            refused = access is not None and not access.allowed
            found.append(
                FoundInstrument(
                    resource,
                    Identity(device.manufacturer, device.product, device.serial),
                    access.text if access and refused else "",
                    access.remedy if access and refused else "",
                )
            )
            break
    return found


def _read(path: object) -> str:
    from pathlib import Path

    try:
        return Path(str(path)).read_text().strip()
    except OSError:
        return ""
