"""A host made of plain files: sysfs, procfs and device nodes below a folder, as the kernel lays them out."""

from __future__ import annotations

from pathlib import Path

from bench.station.host import Host


class FakeHost:
    """Builds the tree; ``host`` looks at it as an ordinary user of no group."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host = Host(root=root, uid=4711, groups=frozenset({4711}), user="lab")
        for folder in ("sys/class/tty", "sys/class/net", "sys/bus/usb/devices", "proc", "dev", "run"):
            (root / folder).mkdir(parents=True, exist_ok=True)

    def write(self, path: str, text: str) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
        return file

    def usb(self, place: str, vid: str, pid: str, product: str, serial: str = "", *, power: str = "on") -> str:
        """Plug a device in; return its folder below /sys/devices."""
        folder = f"sys/devices/pci0/usb1/{place}"
        number = place.replace("-", "").replace(".", "")
        values = {"idVendor": vid, "idProduct": pid, "product": product, "manufacturer": "Maker", "serial": serial}
        values |= {"busnum": "1", "devnum": str(int(number) % 127), "power/control": power}
        for name, value in values.items():
            if value:
                self.write(f"{folder}/{name}", value)
        link = self.root / "sys/bus/usb/devices" / place
        link.symlink_to(self.root / folder)
        self.node(f"dev/bus/usb/001/{int(number) % 127:03d}")
        return folder

    def interface(self, place: str, number: int, kind: str = "", name: str = "") -> Path:
        """Add an interface of a device, with a tty (``kind="tty"``) or a network interface (``kind="net"``)."""
        folder = self.root / f"sys/devices/pci0/usb1/{place}/{place}:1.{number}"
        folder.mkdir(parents=True)
        (self.root / "sys/bus/usb/devices" / f"{place}:1.{number}").symlink_to(folder)
        if kind:
            entry = folder / kind / name
            entry.mkdir(parents=True)
            (entry / "device").symlink_to(folder)
            (self.root / "sys/class" / kind / name).symlink_to(entry)
            if kind == "tty":
                self.node(f"dev/{name}")
        return folder

    def node(self, path: str, mode: int = 0o666) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        file.chmod(mode)
        return file

    def process(self, pid: int, name: str, *opened: str) -> None:
        """Have a process run that has device nodes open."""
        self.write(f"proc/{pid}/comm", name)
        (self.root / f"proc/{pid}/fd").mkdir()
        for number, path in enumerate(opened):
            (self.root / f"proc/{pid}/fd/{number}").symlink_to(path)

    def modem(self, place: str = "1-1.4", serial: str = "0123456789", *, first: int = 0) -> None:
        """Plug in a modem of two ports and a network interface."""
        self.usb(place, "2c7c", "0125", "EG25-G", serial)
        self.interface(place, 2, "tty", f"ttyUSB{first}")
        self.interface(place, 3, "tty", f"ttyUSB{first + 1}")
