"""The data path ``modem``: the network interface that the modem's own USB device has now.

Interfaces change their names when a modem comes back, and two modems exchange theirs; the place of a port in the USB
tree stays. The interface is therefore looked up whenever a socket is bound.
"""

from __future__ import annotations

import socket

from bench.errors import InstrumentError
from bench.station.clock import Clock
from bench.station.data import InterfacePath
from bench.station.discovery.ports import resolve
from bench.station.host import Host


def interface_of(port: str, host: Host) -> str:
    """Return the network interface of the USB device that has a serial port, '' while there is none.

    ``port`` as in bench.toml: ``usb:PLACE[:ifNN]``, a by-id link or a path.
    """
    found = resolve(port, host)
    place = found.usb.place if found is not None and found.usb is not None else ""
    if not place and port.startswith("usb:"):
        place = port.split(":")[1]  # its ttys may be gone while the network interface is there
    if not place:
        return ""
    names = sorted(entry.name for entry in host.path("/sys/bus/usb/devices").glob(f"{place}:*/net/*"))
    return names[0] if names else ""


class ModemPath(InterfacePath):
    """Sockets bound to the network interface of the station's modem."""

    bearer = "modem"

    def __init__(self, port: str, clock: Clock, *, host: Host | None = None) -> None:
        self._port = port
        self._host = host or Host()
        super().__init__("", clock)
        self.bearer = "modem"

    def bind(self, sock: socket.socket) -> socket.socket:
        """Bind a socket to the interface of now. Raises InstrumentError while the modem has none."""
        self.interface = interface_of(self._port, self._host)
        if not self.interface:
            raise InstrumentError(
                f"the modem at {self._port} has no network interface",
                where="data.path = 'modem'",
                hint="is its USB mode ECM, RNDIS, MBIM or QMI? Else name the way: 'interface:ppp0'",
            )
        return super().bind(sock)

    _bind = bind

    def _counts(self) -> tuple[int, int] | None:
        self.interface = interface_of(self._port, self._host)
        return super()._counts() if self.interface else None
