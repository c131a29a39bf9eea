"""Messages between supervisor and runner: JSON objects on an AF_UNIX SOCK_SEQPACKET pair, one a packet.

Runner to supervisor: ``beat`` (phase, activity, deadline), ``ack`` (of a stop), ``plan`` (the safe sequence, before
anything is switched), ``service`` (name, pid), ``service-gone`` (pid), ``ask``, ``done`` (safe). Supervisor to runner:
``order`` (folder), ``planned``, ``stop`` (op, by, reason), ``answer`` (id, choice, by). Locks go over a second pair
(``bench.station.locks``), because their descriptors travel beside the message.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any, Final

BEAT: Final = 0.5
"""Seconds between two heartbeats of the runner's event loop while the recipe runs."""
BEAT_ENDING: Final = 0.1
"""The same during teardown and safe, where the supervisor looks whether they get on."""
LOST: Final = 5.0
"""Seconds without a heartbeat after which the runner counts as frozen."""
ACK: Final = 0.5
"""Seconds the runner is given to answer a stop."""
IDLE: Final = 1.0
"""Seconds that teardown and safe of a stopped run may show no activity."""
_LONGEST: Final = 1 << 18

STARTING, RUNNING, TEARDOWN, SAFE, ENDING = "starting", "running", "teardown", "safe", "ending"


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a link."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(connection: socket.socket, kind: str, **data: Any) -> bool:
    """Send one message without waiting; False when the other side is gone or does not read."""
    try:
        connection.send(json.dumps({"type": kind, **data}, default=str).encode(), socket.MSG_DONTWAIT)
    except OSError:
        return False
    return True


def receive(connection: socket.socket) -> Mapping[str, Any] | None:
    """Return one message, None when the other side has closed. Raises BlockingIOError when there is none yet."""
    try:
        data = connection.recv(_LONGEST)
    except BlockingIOError:
        raise
    except OSError:
        return None
    if not data:
        return None
    try:
        message = json.loads(data)
    except ValueError:
        return {"type": "unreadable"}
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else {"type": "unreadable"}
