"""A station held for a program that tells it what to do, call by call: what the pytest plugin is made of.

The station belongs to a run with a supervisor of its own: when this program is killed, the run ends and makes safe.
"""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from bench import errors
from bench.client import control, launch
from bench.errors import BenchError
from bench.run import liveness

_OPEN_WITHIN: Final = 120.0


class StationSession:
    """A station, held until ``close``. For one thread."""

    def __init__(
        self, handle: launch.RunHandle, connection: socket.socket, folder: tempfile.TemporaryDirectory[str], name: str
    ) -> None:
        self.folder = handle.folder
        """Of the run that records everything."""
        self._handle = handle
        self._connection: socket.socket | None = connection
        self._stream = connection.makefile("rb")
        self._temporary = folder
        self.station = RemoteStation(self, name)

    @classmethod
    def open(
        cls, station: str, *, config: str | None = None, servers: bool = True, eid: str = "", seed: int | None = None
    ) -> StationSession:
        """Hold a station of bench.toml and open everything it has; ``servers``: eIM, SM-DP+ and IPA too.

        Raises ConfigurationError, StationHeld, BenchError.
        """
        temporary = tempfile.TemporaryDirectory(prefix="bench-")
        path = Path(temporary.name) / "remote"
        recipe = "bench.engine.remote:remote" if servers else "bench.engine.remote:remote_instruments"
        options = launch.StartOptions(
            config=Path(config) if config else None, eid=eid, seed=seed, on_hangup="stop", label="pytest"
        )
        try:
            handle = launch.start(recipe, station, {"socket": str(path)}, options)
            return cls(handle, _connected(handle, path), temporary, station)
        except BaseException:
            temporary.cleanup()
            raise

    def request(self, op: str, **more: Any) -> Any:
        """Send one request and return its value. Raises what the station raised, by its kind."""
        if self._connection is None:
            hint = "the station is given back with the session: open another one for further calls"
            raise BenchError("the session is closed", where=str(self.folder), hint=hint)
        self._connection.sendall(json.dumps({"op": op, **more}, default=_json).encode() + b"\n")
        line = self._stream.readline()
        if not line:
            hint = f"bench show {self.folder.name} tells why"
            raise BenchError("the run of the station has ended", where=str(self.folder), hint=hint)
        answer = json.loads(line, object_hook=_object)
        error = getattr(answer, "error", None)
        if error is None:
            return answer.value
        kind = getattr(errors, error.kind, None)
        if isinstance(kind, type) and issubclass(kind, BenchError):
            raise kind(error.what, where=error.where, hint=error.hint)
        builtin = {"TimeoutError": TimeoutError, "ValueError": ValueError, "TypeError": TypeError}.get(error.kind)
        raise (builtin or AttributeError)(f"{error.where}: {error.what}" if error.where else error.what)

    def begin_step(self, name: str) -> None:
        """Begin a step of the run; one that is open ends."""
        self.request("begin", name=name)

    def end_step(self, outcome: str, message: str = "") -> None:
        """End the open step: ``passed``, ``failed`` or ``skipped``. Never raises: a test's result stays its own."""
        with contextlib.suppress(BenchError, OSError, ValueError):
            self.request("end", outcome=outcome, message=message)

    def measure(self, name: str, value: float | str, **more: Any) -> str:
        """Record a measurement with ``unit``, ``lower`` and ``upper``; return its verdict."""
        return str(self.request("measure", options={"name": name, "value": value, **more}))

    def close(self) -> int | None:
        """Give the station back, safe; return the exit code of the run."""
        if self._connection is None:
            return None
        self._stream.close()
        self._connection.close()
        self._connection = None
        code = self._handle.wait(60.0)
        self._temporary.cleanup()
        return code


class RemoteStation:
    """A station as a test sees it: parts with blocking methods."""

    def __init__(self, session: StationSession, name: str) -> None:
        self._session = session
        self.name = name

    def has(self, part: str) -> bool:
        """Whether the station has a part."""
        return bool(self._session.request("has", part=part))

    def measure(self, name: str, value: float | str, **more: Any) -> str:
        """Record a measurement (``StationSession.measure``)."""
        return self._session.measure(name, value, **more)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in ("wait_registered", "card_to", "note", "identify", "result"):
            return _method(self._session, "station", name)
        return RemotePart(self._session, name)


class RemotePart:
    """One part of a station. Methods block; values that are no methods are read with ``get``."""

    def __init__(self, session: StationSession, part: str) -> None:
        self._session = session
        self._part = part

    def get(self, name: str) -> Any:
        """Return an attribute, such as ``modem.get("imei")``."""
        return self._session.request("get", part=self._part, name=name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _method(self._session, self._part, name)


def _method(session: StationSession, part: str, name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        return session.request("call", part=part, name=name, arguments=list(arguments), options=options)

    return call


def _connected(handle: launch.RunHandle, path: Path) -> socket.socket:
    until = time.monotonic() + _OPEN_WITHIN
    while time.monotonic() < until and liveness.alive(handle.folder):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
            time.sleep(0.02)
    with contextlib.suppress(BenchError):
        control.stop(handle.folder, reason="the station was not opened in time")
    handle.wait(60.0)
    from bench.run.index import info

    found = info(handle.folder)
    raise BenchError(
        f"the station could not be opened ({found.state if found else 'no record'})",
        where=str(handle.folder),
        hint=f"bench show {handle.folder.name} tells why",
    )


def _object(found: dict[str, Any]) -> Any:
    if set(found) == {"$bytes"}:
        return bytes.fromhex(found["$bytes"])
    return SimpleNamespace(**found) if all(key.isidentifier() for key in found) else found


def _json(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return {"$bytes": bytes(value).hex()}
    raise TypeError(f"{type(value).__name__} cannot be sent to the station")
