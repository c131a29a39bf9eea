"""A supply as real as it must be: a TCP server that notes when it was switched, and a driver for it.

One line a command: ``on``, ``off``, ``state``, ``volts``, ``hang`` (never answered). The rail decays at once.
"""

from __future__ import annotations

import asyncio
import socket
import socketserver
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import InstrumentError
from bench.station.drivers import DriverOptions, SafeResult
from bench.station.interfaces import Identity, PowerCycle, Reading, SafeAction
from bench.trace.lane import Direction


@dataclass
class SupplyServer:
    """The instrument."""

    port: int = 0
    on: bool = False
    switched: list[tuple[float, bool]] = field(default_factory=list)
    """(monotonic time, output) at every switching."""
    stuck: bool = False
    """The output does not switch off any more."""
    mute: bool = False
    """Nothing is answered."""
    connections: int = 0

    def answer(self, command: str) -> str | None:
        if self.mute or command == "hang":
            return None
        if command in ("on", "off"):
            if not (self.stuck and command == "off"):
                self.on = command == "on"
                self.switched.append((time.monotonic(), self.on))
            return "ok"
        if command == "state":
            return str(int(self.on))
        if command == "volts":
            return "3.8" if self.on else "0.01"
        return "Double,Supply,D1,1.0" if command == "who" else "?"

    def off_at(self) -> float | None:
        """Return when the output went off for good, None while it is on."""
        return None if self.on or not self.switched else self.switched[-1][0]


@contextmanager
def supply() -> Iterator[SupplyServer]:
    server = SupplyServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            server.connections += 1
            for line in self.rfile:
                reply = server.answer(line.decode().strip())
                if reply is not None:
                    self.wfile.write(reply.encode() + b"\n")

    class Tcp(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # killed clients reset their connections

    with Tcp(("127.0.0.1", 0), Handler) as tcp:
        server.port = tcp.server_address[1]
        thread = threading.Thread(target=tcp.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            tcp.shutdown()
            thread.join()


class Supply:
    """The driver; its class is what bench.toml names."""

    def __init__(self, options: DriverOptions, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.options = options
        self.identity = Identity()
        self._reader = reader
        self._writer = writer
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, options: DriverOptions) -> Supply:
        host, _, port = options.resource.rpartition(":")
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
        except OSError as error:
            raise InstrumentError(f"no supply: {error.strerror or error}", where=options.resource) from error
        self = cls(options, reader, writer)
        maker, model, serial, firmware = (await self.ask("who")).split(",")
        self.identity = Identity(maker, model, f"{serial}-{port}", firmware)
        return self

    async def ask(self, command: str) -> str:
        async with self._lock:
            self.options.lane.record(Direction.SENT, command.encode())
            self._writer.write(command.encode() + b"\n")
            line = await self._reader.readline()
            if not line:
                raise InstrumentError("the supply closed the connection", where=self.options.resource)
            self.options.lane.record(Direction.RECEIVED, line)
            return line.decode().strip()

    async def set_output(self, on: bool) -> None:
        await self.ask("on" if on else "off")

    async def output(self) -> bool:
        return await self.ask("state") == "1"

    async def measure(self) -> Reading:
        return Reading(float(await self.ask("volts")), 0.0)

    async def wait_dead(self, *, timeout: float) -> float:
        async with self.options.clock.timeout(timeout):
            while (await self.measure()).voltage > 0.3:
                await self.options.clock.sleep(0.05)
        return 0.0

    async def cycle(self, *, hold: float = 2.0, timeout: float = 30.0) -> PowerCycle:
        await self.set_output(False)
        await self.options.clock.sleep(hold)
        await self.set_output(True)
        return PowerCycle(0.0, hold)

    async def close(self) -> None:
        self._writer.close()

    @classmethod
    def make_safe(cls, action: SafeAction, *, deadline: float) -> SafeResult:
        host, _, port = str(action.options["resource"]).rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=deadline) as connection:
                connection.settimeout(deadline)
                stream = connection.makefile("rwb")
                answers = []
                for command in ("off", "state", "volts"):
                    stream.write(command.encode() + b"\n")
                    stream.flush()
                    answers.append(stream.readline().decode().strip())
        except OSError as error:
            return SafeResult(action.name, False, None, str(error))
        volts = float(answers[2] or "nan")
        return SafeResult(action.name, answers[1] == "0" and volts < 0.3, volts, f"{volts} V")


TABLE = """
[stations.lab]
safe = ["power.off"]
expendable = {expendable}
[stations.lab.power]
driver = "engine.double:Supply"
resource = "127.0.0.1:{port}"
voltage = 3.8
voltage_max = 4.3
current_limit = 1.0
"""


def write_bench(folder: Path, port: int, *, expendable: bool = True, more: str = "") -> Path:
    path = folder / "bench.toml"
    path.write_text(TABLE.format(port=port, expendable=str(expendable).lower()) + more)
    return path


RECIPES = Path(__file__).with_name("sample_recipes.py")


def events_of(events: list[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [event["data"] for event in events if event["type"] == kind]
