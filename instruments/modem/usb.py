"""Which device file a configured port means now: a path, or a place in the USB tree (``usb:1-1.4:if02``).

ttyUSB numbers change whenever a device comes back; its place in the tree and its by-id link do not.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from bench.errors import InstrumentError
from bench.station.clock import Clock

_USB = re.compile(r"usb:(?P<place>\d+-[\d.]+)(?::if(?P<interface>\d{1,2}))?")
SYS = Path("/sys/class/tty")
DEV = Path("/dev")
_OFF = 2.0
"""Seconds for which a device stays de-authorised."""


def valid(port: str) -> bool:
    """Whether the text is a path or a well-formed ``usb:`` address."""
    return port.startswith("/") or _USB.fullmatch(port) is not None


def device_file(port: str, *, classes: Path | None = None) -> str | None:
    """Return the device file of a port, None while it is not there.

    ``usb:PLACE:ifNN`` is the tty of interface NN of the device at that place; without an interface the first tty.
    """
    if port.startswith("/"):
        return port if Path(port).exists() else None
    found = _USB.fullmatch(port)
    if found is None:
        return None
    place, interface = found["place"], found["interface"]
    candidates = []
    for entry in sorted((classes or SYS).glob("tty*")):
        for part in _parts(entry):
            # The folder of an interface is named PLACE:CONFIGURATION.INTERFACE.
            owner, _, rest = part.partition(":")
            if owner != place or not rest:
                continue
            number = rest.rpartition(".")[2]
            if interface is None or (number.isdigit() and int(number) == int(interface)):
                candidates.append((int(number) if number.isdigit() else 99, entry.name))
    return str(DEV / min(candidates)[1]) if candidates else None


def _parts(entry: Path) -> tuple[str, ...]:
    try:
        return (entry / "device").resolve(strict=True).parts
    except OSError:
        return ()


def device_folder(port: str, *, classes: Path | None = None) -> Path | None:
    """Return the sysfs folder of the USB device that has a port, None when it has none or is not there.

    A device whose ttys are gone is still found at its place, where any of its interfaces, or another device on its
    bus, shows where the bus is.
    """
    root = (classes or SYS).parent.parent / "bus" / "usb" / "devices"
    found = _USB.fullmatch(port)
    if found is not None:
        device = root / found["place"]
        return device.resolve() if device.exists() else None
    try:
        name = Path(port).resolve(strict=True).name
    except OSError:
        return None
    for part in _parts((classes or SYS) / name):
        owner, _, rest = part.partition(":")
        if rest and re.fullmatch(r"\d+-[\d.]+", owner) and (root / owner).exists():
            return (root / owner).resolve()
    return None


def may_authorise(device: Path) -> bool:
    """Whether this process may take a USB device from its drivers and give it back."""
    return os.access(device / "authorized", os.W_OK)


async def reauthorise(device: Path, clock: Clock) -> None:
    """Take a USB device from its drivers and give it back, as if it had been unplugged (its power stays on).

    The device itself is addressed, never a port of the root hub. Raises InstrumentError.
    """
    switch = device / "authorized"
    try:
        switch.write_text("0")
        try:
            await clock.sleep(_OFF)
        finally:
            # Cancelled or not: a device left de-authorised looks broken until the host restarts.
            switch.write_text("1")
    except OSError as error:
        with contextlib.suppress(OSError):
            switch.write_text("1")
        raise InstrumentError(
            f"USB device {device.name} cannot be de-authorised: {error}", where=str(switch)
        ) from error
