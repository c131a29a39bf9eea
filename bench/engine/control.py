"""The control socket of a run: requests as JSON lines, one answer a request. Used by the supervisor's own loop."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

_LONGEST: Final = 65536
_MAX_CLIENTS: Final = 64

Answering = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class ControlSocket:
    """Listens at ``path`` and answers with ``answering``; only the owner of the run may connect."""

    def __init__(
        self,
        path: Path,
        watch: Callable[[int, Callable[[], None]], None],
        forget: Callable[[int], None],
        answering: Answering,
    ) -> None:
        self._watch = watch
        self._forget = forget
        self._answering = answering
        self._clients: dict[int, tuple[socket.socket, bytes]] = {}
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.setblocking(False)
        self._listening.bind(str(path))
        path.chmod(0o600)
        self._listening.listen(16)
        watch(self._listening.fileno(), self._connected)

    def close(self) -> None:
        """Stop listening and close every connection."""
        self._forget(self._listening.fileno())
        self._listening.close()
        for fd in list(self._clients):
            self._drop(fd)

    def _connected(self) -> None:
        with contextlib.suppress(OSError):
            client, _ = self._listening.accept()
            if len(self._clients) >= _MAX_CLIENTS:
                client.close()
                return
            client.setblocking(False)
            fd = client.fileno()
            self._clients[fd] = (client, b"")
            self._watch(fd, lambda: self._readable(fd))

    def _readable(self, fd: int) -> None:
        client, received = self._clients[fd]
        try:
            data = client.recv(_LONGEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        received += data
        if not data or len(received) > _LONGEST:
            self._drop(fd)
            return
        while b"\n" in received:
            line, _, received = received.partition(b"\n")
            with contextlib.suppress(OSError):
                client.send(json.dumps(self._answer(line)).encode() + b"\n", socket.MSG_DONTWAIT)
        self._clients[fd] = (client, received)

    def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise TypeError("an object is due")
            return self._answering(request)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return {"error": f"this is no request: {error!r}"}

    def _drop(self, fd: int) -> None:
        self._forget(fd)
        client, _ = self._clients.pop(fd)
        client.close()
