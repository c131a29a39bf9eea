"""A station lent to another program of this user: the run holds it and makes it safe, the program tells what to do.

Requests are JSON lines on the socket ``remote`` of the run folder (mode 0600), one answer each::

    {"op": "call", "part": "modem", "name": "signal", "arguments": [], "options": {}}    {"value": ...} | {"error": ...}
    {"op": "get", "part": "modem", "name": "imei"}    {"op": "has", "part": "network"}    {"op": "begin", "name": ..}
    {"op": "end", "outcome": "passed", "message": ""}   {"op": "measure", "options": {"name": .., "value": ..}}

Values are JSON; dataclasses become objects, bytes ``{"$bytes": hex}``. The run ends when the program disconnects.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.engine.recipe import Station, recipe
from bench.engine.station import parts_known
from bench.engine.steps import Step
from bench.errors import BenchError, DeviceFailure

if TYPE_CHECKING:
    from bench.station.config import StationConfig

SOCKET: Final = "remote"
INSTRUMENTS: Final = ("power", "modem", "network", "card", "console", "data")
PARTS: Final = (*INSTRUMENTS, "reader", "switch", "eim", "smdpp", "ipa", "dut", "station")
_LONGEST: Final = 1 << 20
_STATION: Final = ("wait_registered", "card_to", "note", "identify", "result")
"""Methods of the station itself that are lent."""


def _all(station: StationConfig) -> list[str]:
    known = parts_known(station)
    return [need for need in (*INSTRUMENTS, "eim", "smdpp", "ipa") if known.get(need)]


def _instruments(station: StationConfig) -> list[str]:
    known = parts_known(station)
    return [need for need in INSTRUMENTS if known.get(need)]


@recipe(title="Station lent", needs=_all, until_stopped=True)
async def remote(station: Station, socket: str) -> None:
    """Serve the station on the UNIX ``socket`` until the program that asked for it is gone."""
    await _Lent(station, Path(socket)).serve()


@recipe(title="Instruments lent", needs=_instruments, until_stopped=True)
async def remote_instruments(station: Station, socket: str) -> None:
    """As ``remote``, without eIM, SM-DP+ and IPA."""
    await _Lent(station, Path(socket)).serve()


class _Lent:
    def __init__(self, station: Station, path: Path) -> None:
        self._station = station
        self._path = path
        self._step: Step | None = None
        self._over = asyncio.Event()
        self._requests: asyncio.Queue[tuple[Mapping[str, Any], asyncio.StreamWriter] | None] = asyncio.Queue()

    async def serve(self) -> None:
        """Answer until the connection ends or the run is stopped."""
        server = await asyncio.start_unix_server(self._connected, str(self._path), limit=_LONGEST)
        self._path.chmod(0o600)
        stopping = asyncio.create_task(self._station.stopping.wait())
        try:
            while True:
                coming = asyncio.create_task(self._requests.get())
                await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
                found = coming.result() if coming.done() else None
                coming.cancel()
                if found is None:
                    break
                request, writer = found
                writer.write(json.dumps(await self._answer(request), default=_json).encode() + b"\n")
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
        finally:
            stopping.cancel()
            server.close()
            self._path.unlink(missing_ok=True)
            if self._step is not None:
                await self._end("failed", "the test did not come to its end")

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                request = json.loads(line)
                await self._requests.put((request if isinstance(request, dict) else {}, writer))
        except (ValueError, ConnectionError):
            pass
        await self._requests.put(None)

    async def _answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return {"value": await self._carried_out(request)}
        except BenchError as error:
            kind = next(c.__name__ for c in type(error).__mro__ if c.__module__ == "bench.errors")
            return {"error": {"kind": kind, "what": error.what, "where": error.where, "hint": error.hint}}
        except (TypeError, ValueError, AttributeError, KeyError, TimeoutError) as error:
            return {"error": {"kind": type(error).__name__, "what": str(error), "where": str(request.get("name", ""))}}

    async def _carried_out(self, request: Mapping[str, Any]) -> Any:
        op, station = request.get("op"), self._station
        if op == "has":
            return station.has(str(request.get("part")))
        if op == "begin":
            if self._step is not None:
                await self._end("passed", "")
            self._step = station.step(str(request["name"]).replace("/", "_")[:200] or "test")
            await self._step.__aenter__()
            return None
        if op == "end":
            await self._end(str(request.get("outcome")), str(request.get("message", "")))
            return None
        if op == "measure":
            return str(station.measure(**dict(request.get("options", {}))))
        return await self._used(request)

    async def _used(self, request: Mapping[str, Any]) -> Any:
        part, name = str(request.get("part")), str(request.get("name"))
        if part not in PARTS or name.startswith("_") or (part == "station" and name not in _STATION):
            raise BenchError(f"{part}.{name} is not lent", where="remote", hint=f"parts: {', '.join(PARTS)}")
        owner = self._station if part == "station" else getattr(self._station, part)
        found = getattr(owner, name)
        if request.get("op") != "call":
            return found
        made = found(*map(_read, request.get("arguments", ())), **{k: _read(v) for k, v in request["options"].items()})
        return await made if inspect.isawaitable(made) else made

    async def _end(self, outcome: str, message: str) -> None:
        step, self._step = self._step, None
        if step is None:
            return
        error: DeviceFailure | None = None
        if outcome == "failed":
            what = message.splitlines()[-1] if message else outcome
            error = DeviceFailure(what, hint="the program that the station is lent to shows the whole of it")
        await step.__aexit__(type(error) if error else None, error, None)


def _json(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return {"$bytes": bytes(value).hex()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def _read(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"$bytes"}:
        return bytes.fromhex(value["$bytes"])
    return value
