"""Yepkit YKUSH, YKUSH 3 and YKUSH XS, which really switch VBUS, by the program ykushcmd (a sub-process).

``resource`` is the board's serial number, with ``ykush3:`` or ``ykushxs:`` in front for those; ``channel`` the port.
"""

from __future__ import annotations

import re

from bench.errors import InstrumentError
from bench.station.drivers import DriverOptions
from bench.station.interfaces import Identity
from bench.trace.lane import Lane
from instruments.usb.port import Place, UsbPort, run

_STATE = re.compile(r"port\s*(?P<port>\d)?\D*?\b(?P<state>ON|OFF|UP|DOWN)\b", re.IGNORECASE)


def port_state(text: str, port: int) -> bool:
    """Return a port's state as ykushcmd tells it: ``Downstream port 1 is ON``. Raises InstrumentError."""
    for found in _STATE.finditer(text):
        if found["port"] is None or int(found["port"]) == port:
            return found["state"].upper() in ("ON", "UP")
    raise InstrumentError(
        f"ykushcmd tells nothing of port {port}: {text.strip()[:100] or 'no output'}",
        where=f"ykushcmd -g {port}",
        hint="has this board that port, and this user access to it? (udev rule)",
    )


def _command(place: Place, *action: str) -> list[str]:
    board, _, serial = place.address.rpartition(":")
    command = [place.program]
    if board:
        command.append(board)
    return [*command, "-s", serial, *action]


class YkushPort(UsbPort):
    """One downstream port of a YKUSH."""

    title = "YKUSH port"
    program = "ykushcmd"

    @classmethod
    def identify(cls, options: DriverOptions) -> Identity:
        """Return the board. Raises InstrumentError when none has that serial number."""
        place = Place.of(options.resource, options.channel, options.extra, cls.program)
        board, _, serial = place.address.rpartition(":")
        text = run([place.program, *([board] if board else []), "-l"], lane=options.lane)
        if not re.search(rf"\b{re.escape(serial)}\b", text):
            raise InstrumentError(
                f"no {board or 'ykush'} with serial number {serial}",
                where=options.origin,
                hint=f"attached: {' '.join(re.findall(r'Y[A-Z0-9]{4,}', text)) or 'none'}",
            )
        return Identity("Yepkit", (board or "ykush").upper(), serial, "")

    @classmethod
    def switch(cls, place: Place, on: bool, *, within: float, lane: Lane | None = None) -> None:
        """Switch the port."""
        run(_command(place, "-u" if on else "-d", str(place.port)), within=within, lane=lane)

    @classmethod
    def state(cls, place: Place, *, within: float, lane: Lane | None = None) -> bool:
        """Return whether the port is on."""
        return port_state(run(_command(place, "-g", str(place.port)), within=within, lane=lane), place.port)
