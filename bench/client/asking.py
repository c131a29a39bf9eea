"""One question to a process of a run over its socket: a line of JSON there, a line of JSON back."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any

_CHUNK = 65536


def ask(path: str, request: Mapping[str, Any], *, within: float) -> dict[str, Any]:
    """Return the answer of whoever listens at ``path``, an AF_UNIX socket, within ``within`` seconds altogether.

    Raises TimeoutError, OSError when nobody listens, ValueError for an answer that is no object, or only part of one.
    """
    deadline = time.monotonic() + within
    received = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(within)
        connection.connect(path)
        connection.sendall(json.dumps(request).encode() + b"\n")
        while b"\n" not in received:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer within {within:g} s")
            connection.settimeout(left)
            chunk = connection.recv(_CHUNK)
            if not chunk:
                break
            received += chunk
    found = json.loads(received)
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")
    return found
