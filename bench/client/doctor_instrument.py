"""Opening an instrument for a look, as ``bench doctor`` does: every way in which it fails is a finding."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Final

from bench.client.doctor_check import Check
from bench.errors import BenchError
from bench.station.discovery.ports import usb_devices
from bench.station.drivers import DriverOptions, load_driver
from bench.station.host import Host

WITHIN: Final = 10.0
"""Real seconds for one instrument: a driver of somebody else must not keep the doctor."""


@dataclass(slots=True)
class Look:
    """What one look at a station knows. ``cards``: a card in a reader may be powered."""

    host: Host
    cards: bool = False
    on: bool | None = None
    """Whether the device has power, None while that is not known."""


async def open_instrument(options: DriverOptions, name: str, host: Host) -> tuple[Any, list[Check]]:
    """Open an instrument with its driver, whoever it is; None and the finding when that fails."""
    refused = _usb_access(options.resource, host)
    if refused is not None:
        return None, [Check(name, "fail", *refused)]
    place = options.resource or options.port
    try:
        async with asyncio.timeout(WITHIN):
            return await load_driver(options.driver, where=options.origin).open(replace(options, serial="")), []
    except BenchError as error:
        hint = error.hint or f"is it on, and is '{place}' its address? bench discover --host HOST asks there"
        return None, [Check(name, "fail", error.what, hint)]
    except TimeoutError:
        return None, [Check(name, "fail", f"{place} did not answer within {WITHIN:g} s", "switch it off and on")]
    except Exception as error:  # a driver of somebody else must not end the doctor
        text = f"driver {options.driver}: {type(error).__name__}: {error}"
        return None, [Check(name, "fail", text, "that is a fault of the driver: tell whoever made it")]


async def close(opened: Any) -> None:
    """Close it again within its time, whatever it says to that."""
    try:
        async with asyncio.timeout(WITHIN):
            await opened.close()
    except (BenchError, TimeoutError, OSError):
        pass


def wrong_serial(wanted: str, found: str, name: str, key: str) -> Check | None:
    """Return the finding when another serial number answers than is pinned. ``key``: what to correct in bench.toml."""
    if not wanted or wanted.strip() == found.strip():
        return None
    text = f"serial number '{found}' answers, '{wanted}' is pinned"
    return Check(name, "fail", text, f"two instruments exchanged? correct '{key}' or 'serial'")


def _usb_access(resource: str, host: Host) -> tuple[str, str] | None:
    """Return text and remedy where a USB instrument (``USB0::0x2A8D::...``) is not there or not allowed."""
    parts = resource.split("::")
    if not parts[0].upper().startswith("USB") or len(parts) < 3:
        return None
    vid, pid = (part.lower().removeprefix("0x") for part in parts[1:3])
    serial = parts[3] if len(parts) > 3 else ""
    for device in usb_devices(host):
        if (device.vid.lower(), device.pid.lower()) == (vid, pid) and serial in ("", device.serial, "INSTR"):
            access = host.access(device.node, udev=device.udev)
            return None if access.allowed else (access.text, access.remedy)
    return (
        f"no USB device {vid}:{pid} {serial} is plugged in",
        "plug it in, or correct 'resource': bench discover lists them",
    )
