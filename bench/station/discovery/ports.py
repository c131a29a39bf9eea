"""Serial ports by their place in the USB tree, from sysfs: the kernel's numbers change, places and serials do not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.station.host import Host

_INTERFACE = re.compile(r"(?P<place>\d+-[\d.]+):\d+\.(?P<number>\d+)")
_PLACE = re.compile(r"\d+-[\d.]+")
_NATURAL = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """One device in the USB tree."""

    place: str
    """Bus and chain of hub ports, such as ``1-1.4``."""
    vid: str
    pid: str
    manufacturer: str = ""
    product: str = ""
    serial: str = ""
    node: str = ""
    """``/dev/bus/usb/BBB/DDD``."""
    power_control: str = ""
    """``on`` or ``auto`` (autosuspend)."""

    @property
    def udev(self) -> str:
        """The match of a udev rule for this kind of device."""
        return f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{self.vid}", ATTR{{idProduct}}=="{self.pid}"'


@dataclass(frozen=True, slots=True)
class SerialPort:
    """One serial port and the device behind it."""

    device: str
    """``/dev/ttyUSB2``: only as long as nothing is plugged in or out."""
    address: str
    """What belongs into bench.toml: ``usb:1-1.4:if02``, or the device file where it is on no USB."""
    usb: UsbDevice | None = None
    interface: int | None = None
    driver: str = ""
    by_id: str = ""
    """``/dev/serial/by-id/...``, where udev made one."""

    @property
    def title(self) -> str:
        """Return what the device calls itself."""
        usb = self.usb
        if usb is None:
            return "serial port"
        name = " ".join(part for part in (usb.manufacturer, usb.product) if part) or "USB device"
        return f"{name} ({usb.vid}:{usb.pid})"


def usb_devices(host: Host) -> list[UsbDevice]:
    """Return the USB devices of a host, root hubs excepted."""
    found = []
    for folder in sorted(host.path("/sys/bus/usb/devices").glob("*"), key=lambda it: natural(it.name)):
        if _PLACE.fullmatch(folder.name):
            found.append(_usb(host, folder))
    return found


def _usb(host: Host, folder: Path) -> UsbDevice:
    def text(name: str) -> str:
        try:
            return (folder / name).read_text("utf-8", errors="replace").strip()
        except OSError:
            return ""

    bus, device = text("busnum"), text("devnum")
    node = f"/dev/bus/usb/{int(bus):03d}/{int(device):03d}" if bus.isdecimal() and device.isdecimal() else ""
    return UsbDevice(
        folder.name,
        text("idVendor"),
        text("idProduct"),
        text("manufacturer"),
        text("product"),
        text("serial"),
        node,
        text("power/control"),
    )


def serial_ports(host: Host) -> list[SerialPort]:
    """Return every serial port with hardware behind it, by place; pseudo-terminals and empty ttyS are none."""
    links = dict(_by_id(host))
    ports = [port for entry in host.path("/sys/class/tty").glob("tty*") if (port := _port(host, entry, links))]
    return sorted(ports, key=lambda port: natural(port.address))


def _port(host: Host, entry: Path, links: dict[str, str]) -> SerialPort | None:
    try:
        folder = (entry / "device").resolve(strict=True)
    except OSError:
        return None
    if (entry / "type").is_file() and _text(entry / "type") == "0":  # 8250: PORT_UNKNOWN, nothing is there
        return None
    device = f"/dev/{entry.name}"
    try:
        driver = (folder / "driver").resolve(strict=True).name
    except OSError:
        driver = ""
    for part in (folder, *folder.parents):
        found = _INTERFACE.fullmatch(part.name)
        if found is not None:
            usb = _usb(host, part.parent)
            number = int(found["number"])
            address = f"usb:{found['place']}:if{number:02d}"
            return SerialPort(device, address, usb, number, driver, links.get(device, ""))
    return SerialPort(device, device, None, None, driver, links.get(device, ""))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _by_id(host: Host) -> Iterator[tuple[str, str]]:
    for link in sorted(host.path("/dev/serial/by-id").glob("*")):
        yield f"/dev/{Path(link.readlink()).name}", f"/dev/serial/by-id/{link.name}"


def natural(text: str) -> list[tuple[int, str]]:
    """Return a key that sorts 1-1.10 behind 1-1.9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _NATURAL.split(text)]


def resolve(port: str, host: Host) -> SerialPort | None:
    """Return the port that a bench.toml names now (a path, a by-id link or ``usb:PLACE[:ifNN]``), None: not there.

    A path that is no port of the kernel (a pseudo-terminal) is returned as it is.
    """
    ports = serial_ports(host)
    if port.startswith("usb:"):
        exact = [found for found in ports if found.address == port]
        first = [found for found in ports if found.address.startswith(f"{port}:if")]
        return next(iter(exact + first), None)
    if not host.path(port).exists():
        return None
    real = host.real(port)
    return next((found for found in ports if found.device == real), SerialPort(real, port))
