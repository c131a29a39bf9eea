"""A USB tree as sysfs shows it, made of folders and links: modems whose ttys come and go under other names."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class UsbTree:
    """``/sys/class/tty``, ``/sys/bus/usb/devices`` and ``/dev`` below one folder."""

    def __init__(self, folder: Path) -> None:
        self.sys = folder / "sys"
        self.dev = folder / "dev"
        self.classes = self.sys / "class" / "tty"
        self.bus = self.sys / "bus" / "usb" / "devices"
        for made in (self.dev, self.classes, self.bus):
            made.mkdir(parents=True, exist_ok=True)

    def device(self, place: str) -> Path:
        """Plug a device in; return its folder, with the file ``authorized``."""
        found = self.sys / "devices" / "pci0" / "usb1" / place
        if not found.exists():
            found.mkdir(parents=True)
            (found / "authorized").write_text("1")
            (self.bus / place).symlink_to(found)
        return found

    def tty(self, place: str, interface: int, name: str, target: str) -> None:
        """Have an interface of a device appear as ``name``; ``target`` is what the device file is."""
        node = self.device(place) / f"{place}:1.{interface}" / name
        node.mkdir(parents=True)
        entry = self.sys / "entries" / name
        entry.mkdir(parents=True)
        (entry / "device").symlink_to(node)
        (self.classes / name).symlink_to(entry)
        (self.dev / name).symlink_to(target)

    def gone(self, name: str) -> None:
        """Take a tty away."""
        for link in (self.classes / name, self.dev / name):
            if os.path.lexists(link):
                link.unlink()
        shutil.rmtree(self.sys / "entries" / name, ignore_errors=True)
