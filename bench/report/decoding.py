"""What one packet says, for those who look at packets; exchanges are decoded by ``bench.trace.calls``.

The one-liner that the writer put into the trace stands, so that report and Wireshark say the same; a packet without
one, of another program or of an older trace, is decoded now.
"""

from __future__ import annotations

from bench.trace.decode import one_liner
from bench.trace.lane import Direction
from bench.trace.reader import Packet


def told(packet: Packet) -> str:
    """Return a packet as one line. Never raises on any bytes."""
    comment = packet.comment.replace("\n", " | ")
    if comment:
        return comment
    direction = 1 if packet.direction is Direction.RECEIVED else 0
    return one_liner(packet.lane, direction, packet.data) or f"{len(packet.data)} bytes"
