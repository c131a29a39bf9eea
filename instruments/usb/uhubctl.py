"""Ports of ordinary hubs that can switch, by the program uhubctl (GPL, a sub-process).

``resource`` is the hub's location (``1-1.4``), ``channel`` the port. Linux powers a port again when it enumerates, so
``off`` is repeated (``-r 100``); a USB 3 hub is two logical hubs, which uhubctl switches together.
"""

from __future__ import annotations

import re

from bench.errors import ConfigurationError, InstrumentError
from bench.station.drivers import DriverOptions
from bench.station.interfaces import Identity
from bench.trace.lane import Lane
from instruments.usb.port import Place, UsbPort, run

_HUB = re.compile(r"^\s*Current status for hub (?P<hub>\S+) \[(?P<what>[^\]]*)\]", re.MULTILINE)
_PORT = re.compile(
    r"^\s*(?:New status.*\n\s*)?Port (?P<port>\d+): (?P<bits>[0-9a-fA-F]{4})\b(?P<words>.*)$", re.MULTILINE
)
_POWER_2, _POWER_3 = 0x0100, 0x0200


def port_state(text: str, port: int) -> bool:
    """Return the last state of a port in uhubctl's output. Raises InstrumentError when it is not in it.

    ``Port 2: 0503 power highspeed enable connect [1bc7:0036 ...]``: wPortStatus of the hub, bit 8 (USB 2 section
    11.24.2.7.1) or bit 9 (USB 3 section 10.16.2.6.1) is power.
    """
    states = [found for found in _PORT.finditer(text) if int(found["port"]) == port]
    if not states:
        raise InstrumentError(
            f"uhubctl tells nothing of port {port}",
            where=f"uhubctl -p {port}",
            hint="does the hub have that port, and per-port power switching?",
        )
    last = states[-1]
    words = last["words"].split()
    bits = int(last["bits"], 16)
    if "power" in words:
        return True
    if "off" in words or bits == 0:
        return False
    return bool(bits & (_POWER_2 | _POWER_3))


class UhubctlPort(UsbPort):
    """One port of a hub that uhubctl can switch."""

    title = "hub port (uhubctl)"
    program = "uhubctl"

    @classmethod
    def identify(cls, options: DriverOptions) -> Identity:
        """Return the hub at that location. Raises InstrumentError, ConfigurationError."""
        place = Place.of(options.resource, options.channel, options.extra, cls.program)
        if not re.fullmatch(r"\d+(-\d+(\.\d+)*)?", place.address):
            raise ConfigurationError(
                f"'{options.resource}' is no location of a hub", where=options.origin, hint="as uhubctl lists it: 1-1.4"
            )
        text = run([place.program, "-l", place.address, "-p", str(place.port)], lane=options.lane)
        found = _HUB.search(text)
        if found is None:
            raise InstrumentError(
                f"uhubctl finds no hub at {place.address}",
                where=options.origin,
                hint="'uhubctl' alone lists the hubs that can switch their ports",
            )
        port_state(text, place.port)
        vendor, _, rest = found["what"].partition(" ")
        return Identity("USB hub", vendor, f"{place.address}.{place.port}", rest.split(",")[0].strip())

    @classmethod
    def switch(cls, place: Place, on: bool, *, within: float, lane: Lane | None = None) -> None:
        """Switch the port."""
        action = ["-a", "on"] if on else ["-a", "off", "-r", "100"]
        run([place.program, "-l", place.address, "-p", str(place.port), *action], within=within, lane=lane)

    @classmethod
    def state(cls, place: Place, *, within: float, lane: Lane | None = None) -> bool:
        """Return whether the port is powered, as the hub says."""
        text = run([place.program, "-l", place.address, "-p", str(place.port)], within=within, lane=lane)
        return port_state(text, place.port)
