"""Which device file a configured port means now: a path, or a place in the USB tree (``usb:1-1.4:if02``).

ttyUSB numbers change whenever a device comes back; its place in the tree and its by-id link do not.
"""

from __future__ import annotations

import re
from pathlib import Path

_USB = re.compile(r"usb:(?P<place>\d+-[\d.]+)(?::if(?P<interface>\d{1,2}))?")
_SYS = Path("/sys/class/tty")


def valid(port: str) -> bool:
    """Whether the text is a path or a well-formed ``usb:`` address."""
    return port.startswith("/") or _USB.fullmatch(port) is not None


def device_file(port: str, *, classes: Path = _SYS) -> str | None:
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
    for entry in sorted(classes.glob("tty*")):
        try:
            parts = (entry / "device").resolve(strict=True).parts
        except OSError:
            continue
        for part in parts:
            # The folder of an interface is named PLACE:CONFIGURATION.INTERFACE.
            owner, _, rest = part.partition(":")
            if owner != place or not rest:
                continue
            number = rest.rpartition(".")[2]
            if interface is None or (number.isdigit() and int(number) == int(interface)):
                candidates.append((int(number) if number.isdigit() else 99, entry.name))
    return f"/dev/{min(candidates)[1]}" if candidates else None
