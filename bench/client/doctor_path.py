"""What ``bench doctor`` looks at between bearer and eIM: interface, routes, MTU, DNS, port, certificate."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from bench.client.doctor_check import Check
from bench.errors import BenchError, DeviceFailure
from bench.station.clock import RealClock
from bench.station.config import StationConfig
from bench.station.host import Host
from bench.station.modem_path import interface_of

SMALLEST_MTU: Final = 1280
"""Bytes: IPv6 needs them (RFC 8200 section 5), and a DTLS flight with certificates is cut into pieces below."""
WITHIN: Final = 5.0
_LOOPBACK: Final = ("localhost", "127.", "::1")

Resolver = Callable[[str], Awaitable[Sequence[str]]]


async def path(
    config: StationConfig, eim: Mapping[str, Any], host: Host, *, resolver: Resolver | None = None
) -> AsyncIterator[Check]:
    """Look at the way from a station's data path to a running eIM (its announcement: ``https``, ``fqdn``, ``ca``)."""
    name = f"{config.name} path"
    data = config.data
    if data is None or config.unresolved():
        return
    kind, _, interface = data.path.partition(":")
    if data.path == "modem" and config.modem is not None:
        kind, interface = "interface", interface_of(config.modem.port, host)
        if not interface:
            yield Check(
                f"{name} interface",
                "fail",
                f"the modem at {config.modem.port} has no network interface",
                "switch it on; USB mode ECM, RNDIS, MBIM or QMI? Else name the way: data.path = 'interface:ppp0'",
            )
            return
    fqdn, url = str(eim.get("fqdn", "")), str(eim.get("https", ""))
    own = config.ipa != "bench"
    if kind == "interface":
        bad = False
        for item in _interface(interface, name, host):
            bad = bad or item.state == "fail"
            yield item
        if bad:
            return
    if (kind == "interface" or own) and re.match(r"https://\[?(localhost|127\.|::1)", url):
        yield Check(
            f"{name} eIM",
            "fail",
            f"the eIM listens at {url} only: no device reaches it",
            '[eim] listen = "0.0.0.0" (or an address of the lab\'s network), and a name in its DNS for it',
        )
        return
    if kind == "interface" or own:
        item = await _name(fqdn, f"{name} DNS", resolver or _resolve)
        yield item
        if item.state == "fail":
            return
    if not (own and kind == "host"):
        yield await _server(config, eim, name)


def _interface(interface: str, name: str, host: Host) -> list[Check]:
    folder = f"/sys/class/net/{interface}"
    if not host.path(folder).exists():
        there = ", ".join(sorted(entry.name for entry in host.path("/sys/class/net").glob("*"))) or "none"
        hint = f"bring the modem's data connection up, or correct data.path; there are: {there}"
        return [Check(f"{name} interface", "fail", f"there is no network interface {interface}", hint)]
    state = host.text(f"{folder}/operstate", "unknown")
    if state == "down":
        return [Check(f"{name} interface", "fail", f"{interface} is down", f"sudo ip link set {interface} up")]
    found = [Check(f"{name} interface", "ok", f"{interface} is {state}")]
    mtu = host.text(f"{folder}/mtu")
    if mtu.isdecimal() and int(mtu) < SMALLEST_MTU:
        hint = f"sudo ip link set {interface} mtu 1430 (what the network grants: AT+CGCONTRDP), and the APN's MTU"
        found.append(Check(f"{name} MTU", "fail", f"the MTU of {interface} is {mtu}, below {SMALLEST_MTU}", hint))
    elif mtu:
        found.append(Check(f"{name} MTU", "ok", f"{mtu} bytes"))
    if interface != "lo" and not routed(interface, host):
        hint = (
            f"sudo ip route add default dev {interface} metric 4000 (a high metric: the host's own traffic stays away)"
        )
        found.append(Check(f"{name} routes", "fail", f"no route leads out by {interface}", hint))
    return found


def routed(interface: str, host: Host) -> bool:
    """Whether any IPv4 or IPv6 route uses an interface (/proc/net/route, /proc/net/ipv6_route)."""
    v4 = [line.split() for line in host.text("/proc/net/route").splitlines()[1:]]
    v6 = [line.split() for line in host.text("/proc/net/ipv6_route").splitlines()]
    return any(parts[:1] == [interface] for parts in v4) or any(
        parts[-1:] == [interface] and not parts[0].startswith("fe80") for parts in v6
    )


async def _resolve(name: str) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(name, 443, type=socket.SOCK_STREAM)
    return [str(item[4][0]) for item in found]


async def _name(fqdn: str, name: str, resolver: Resolver) -> Check:
    hint = f"add an A record for {fqdn} to the DNS that the device's APN hands out (and to this host's)"
    try:
        async with asyncio.timeout(WITHIN):
            addresses = list(dict.fromkeys(await resolver(fqdn)))
    except TimeoutError:
        return Check(name, "fail", f"DNS does not answer for {fqdn} within {WITHIN:g} s", hint)
    except OSError as error:
        return Check(name, "fail", f"DNS does not know {fqdn}: {error.strerror or error}", hint)
    if addresses and all(ipaddress.ip_address(item.partition("%")[0]).is_loopback for item in addresses):
        return Check(name, "fail", f"{fqdn} is {addresses[0]}: this host only", hint)
    return Check(name, "ok", f"{fqdn} is {', '.join(addresses)}")


async def _server(config: StationConfig, eim: Mapping[str, Any], name: str) -> Check:
    """Connect over the data path and check port and certificate, as a device would."""
    from bench.engine.https import get
    from bench.station import routes
    from bench.station.data import HostPath, open_path

    data, clock = config.data, RealClock()
    assert data is not None
    fqdn, url = str(eim.get("fqdn", "")), str(eim.get("https", ""))
    target = routes.target(url)
    opened = open_path(data.path, clock, where=data.origin, port=config.modem.port if config.modem is not None else "")
    if isinstance(opened, HostPath):
        opened.routes = {fqdn: target}
    port = target.rpartition(":")[2] if not isinstance(opened, HostPath) and not opened.proxy else "443"
    try:
        await get(
            opened, clock, f"https://{fqdn}:{port}/", timeout=WITHIN, trust=[str(eim["ca"])] if "ca" in eim else []
        )
    except DeviceFailure as error:
        hint = f"the certificate must name {fqdn}: [eim] advertise, or bench pki import a set for it"
        return Check(f"{name} certificate", "fail", f"{fqdn} ({target}): {error.what}", hint)
    except BenchError as error:
        if opened.proxy:  # the device's link as such: it is there only while the device is on and registered
            text = f"the device's link does not lead to {fqdn} now: {error.what}"
            return Check(name, "unknown", text, "look again while the device is registered")
        hint = "does the eIM run, and does a firewall between bearer and eIM let its port through?"
        return Check(f"{name} port", "fail", f"{fqdn} ({target}): {error.what}", hint)
    return Check(f"{name} certificate", "ok", f"{fqdn} ({target}) answers over {opened.bearer}, its certificate fits")
