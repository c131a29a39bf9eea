"""The trace of a run: pcapng lanes written block by block, repaired, read and decoded.

No instrument and no run folder logic belongs here.
"""

from typing import TYPE_CHECKING

from bench.trace.errors import TraceError
from bench.trace.lane import Direction, Lane, NullLane

if TYPE_CHECKING:
    from bench.trace.decode import one_liner
    from bench.trace.reader import Packet, RepairReport, TraceReader, follow, read, repair
    from bench.trace.writer import TraceLane, TraceWriter

__all__ = [
    "Direction",
    "Lane",
    "NullLane",
    "Packet",
    "RepairReport",
    "TraceError",
    "TraceLane",
    "TraceReader",
    "TraceWriter",
    "follow",
    "one_liner",
    "read",
    "repair",
]

_LAZY = {
    "Packet": "reader",
    "RepairReport": "reader",
    "TraceReader": "reader",
    "follow": "reader",
    "read": "reader",
    "repair": "reader",
    "TraceLane": "writer",
    "TraceWriter": "writer",
    "one_liner": "decode",
}


def __getattr__(name: str) -> object:
    """Import writer, reader and decoder only when they are asked for: drivers need the lane alone."""
    if name in _LAZY:
        from importlib import import_module

        value: object = getattr(import_module(f"bench.trace.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
