"""What a driver or a service needs to put bytes on the time line: a lane.

A lane is one pcapng interface (DESIGN.md section 4). Drivers are given a lane and never know who writes it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol


class Direction(IntEnum):
    """Seen from the bench, as the P2P direction of Wireshark's exported PDU."""

    SENT = 0
    RECEIVED = 1


class Lane(Protocol):
    """One interface of the trace."""

    name: str
    """Such as ``at:modem``, ``apdu:card``, ``scpi:psu1``, ``esipa``, ``es9plus``, ``steps``."""

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
        dissector: str | None = None,
    ) -> None:
        """Write one packet before the next command is sent.

        ``time_ns``: wall clock in ns since 1970, now when None. ``comment``: decoded one-liner; when None the writer
        makes it from a table by tag. ``dissector``: Wireshark's name of what is inside, where the packet is another
        thing than the lane's others (``nas-eps_plain``). Never raises on any bytes.
        """


class NullLane:
    """A lane that keeps nothing, for drivers used without a run."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
        dissector: str | None = None,
    ) -> None:
        """Drop the packet."""
