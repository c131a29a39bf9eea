"""Observations of services: JSON lines on a local socket, put on the time line of the trace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.trace.lane import Direction, Lane

LANES: Final = ("esipa", "es9plus", "es2plus")
"""Lanes a service may write to, beside ``ip:NAME``; what it sends for others is counted as lost."""
_IP_LANE: Final = re.compile(r"ip:[A-Za-z0-9_.-]{1,32}")
_SECRET: Final = re.compile(r"[A-Z0-9_]{1,64} [0-9A-Fa-f]{64} [0-9A-Fa-f]{32,256}")
"""A line of a TLS key log."""
LIMIT: Final = 16 << 20
"""Longest line in bytes: a bound profile package in hexadecimal stays far below."""


def parse(line: bytes) -> dict[str, Any]:
    """Return an observation with ``lane``, ``direction``, ``data``, ``time_ns`` and ``comment``.

    Or ``secret``, a line of a TLS key log, or ``dropped``. Raises ValueError for anything else.
    """
    try:
        raw = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(raw, dict):
        raise ValueError("no object")
    dropped = raw.get("dropped")
    if isinstance(dropped, int) and not isinstance(dropped, bool) and dropped >= 0:
        return {"dropped": dropped}
    secret = raw.get("secret")
    if isinstance(secret, str) and _SECRET.fullmatch(secret):
        return {"secret": secret.encode("ascii")}
    lane, data, moment, comment = raw.get("lane"), raw.get("data"), raw.get("t_ns"), raw.get("comment")
    if not isinstance(lane, str) or not isinstance(data, str) or not (lane in LANES or _IP_LANE.fullmatch(lane)):
        raise ValueError("no lane or no data")
    if not isinstance(moment, int) or isinstance(moment, bool) or not 0 <= moment < 1 << 63:
        raise ValueError("no time")
    return {
        "lane": lane,
        "direction": Direction.RECEIVED if raw.get("dir") == 1 else Direction.SENT,
        "data": bytes.fromhex(data),
        "time_ns": moment,
        "comment": comment if isinstance(comment, str) else None,
    }


class ObservationServer:
    """Takes the observations of every service that connects."""

    def __init__(
        self,
        lanes: Callable[[str], Lane],
        lost: Callable[[str, int], None],
        secret: Callable[[bytes], None] = lambda _line: None,
    ) -> None:
        """``secret`` takes the secrets of the services' TLS sessions, where they were told to give them."""
        self.received = 0
        self._lanes = lanes
        self._lost = lost
        self._secret = secret
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self, path: Path) -> None:
        """Listen at ``path``. Raises OSError."""
        self._server = await asyncio.start_unix_server(self._connected, str(path), limit=LIMIT)
        path.chmod(0o600)  # noqa: ASYNC240 - a socket, nothing that could block

    async def close(self, *, within: float = 1.0) -> None:
        """Read to the end of what services that have ended left, at most ``within`` real seconds, then close."""
        if self._server is not None:
            self._server.close()
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=within)
            for task in late:
                task.cancel()
            if late:
                self._lost("a service that did not close its connection", 0)
                await asyncio.wait(late, timeout=within)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        unreadable = 0
        try:
            while True:
                try:
                    line = await reader.readline()
                except (ValueError, OSError):  # longer than the limit, or reset
                    unreadable += 1
                    break
                if not line:
                    break
                if line.endswith(b"\n") and self._take(line):
                    continue
                unreadable += 1
        finally:
            self._connections.discard(task)
            if unreadable:
                self._lost("unreadable", unreadable)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _take(self, line: bytes) -> bool:
        try:
            found = parse(line)
        except ValueError:
            return False
        if "dropped" in found:
            if found["dropped"]:
                self._lost("dropped by the service", found["dropped"])
            return True
        if "secret" in found:
            self._secret(found["secret"])
            return True
        self.received += 1
        self._lanes(found["lane"]).record(
            found["direction"], found["data"], time_ns=found["time_ns"], comment=found["comment"]
        )
        return True
