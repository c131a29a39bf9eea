"""Simulated supplies on a TCP port of their own, in a thread and in real time, with faults on the way back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.station.drivers import DriverOptions, PowerLimits, load_driver
from fixtures.sim.kernel import Kernel
from fixtures.sim.rail import RailConstants
from fixtures.sim.supply import Channel, Supply
from fixtures.sim.supply_models import MODELS

T = TypeVar("T")
LIMITS = PowerLimits(voltage=3.8, current_limit=0.5, voltage_max=4.3, dead_voltage=0.3)
RAIL = RailConstants(capacitance=20e-6, lead_resistance=0.1, bleeder=800.0)
DROP = object()
"""What a fault returns to close the connection (after what it gave before)."""


@dataclass(frozen=True)
class Case:
    """A driver with a model that it is for."""

    driver: str
    model: str
    channel: int = 1

    def __str__(self) -> str:
        return f"{self.driver}-{self.model}"


CASES = [
    Case("keysight-e36300", "e36312a", 2),
    Case("keysight-e36300", "e36311a"),
    Case("keysight-n6705c", "n6705c", 4),
    Case("rs-ngm", "ngm202", 2),
    Case("rs-ngl", "ngl202", 2),
    Case("rs-ngu", "ngu401"),
    Case("rs-hmp", "hmp4040", 3),
    Case("rs-hmc804x", "hmc8043", 2),
    Case("rigol-dp800", "dp832", 2),
    Case("siglent-spd", "spd3303x", 2),
    Case("siglent-spd", "spd1168x"),
    Case("aim-tti", "mx180tp", 2),
    Case("scpi-supply", "hmc8042", 2),
]
VARIANTS = [
    Case("keysight-e36300", "e36313a", 3),
    Case("rs-ngm", "ngm201"),
    Case("rs-ngl", "ngl201"),
    Case("rs-ngu", "ngu201"),
    Case("rs-hmp", "hameg-hmp4040", 2),
    Case("rs-hmp", "hmp2030", 1),
    Case("rigol-dp800", "dp832a", 3),
    Case("rigol-dp800", "dp821a", 1),
    Case("aim-tti", "ql355tp", 1),
]


class Bench:
    """One simulated supply: ``fault(line, payload)`` returns what is sent instead, a list of bytes, delays and DROP."""

    def __init__(self, model: str, *, channel: int = 1) -> None:
        self.kernel = Kernel()
        self.supply: Supply = MODELS[model](self.kernel, lambda what, **more: None, RAIL)
        self.channel: Channel = self.supply.channels[channel - 1]
        self.lines: list[str] = []
        self.connections = 0
        self.open: set[asyncio.Transport] = set()
        self.fault: Callable[[str, bytes | None], list[Any] | None] | None = None
        self._ready = threading.Event()
        self._start = time.monotonic_ns()
        self.kernel.source = lambda: time.monotonic_ns() - self._start
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    def __enter__(self) -> Bench:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(5)

    @property
    def resource(self) -> str:
        return f"TCPIP::127.0.0.1::{self.port}::SOCKET"

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self._server = await self._loop.create_server(lambda: _Line(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._tick()
        self._ready.set()
        await self._end.wait()
        self._server.close()
        for transport in tuple(self.open):
            transport.abort()

    def _tick(self) -> None:
        """Let simulated time follow the host's."""
        self.kernel.run_until(time.monotonic_ns() - self._start)
        self._loop.call_later(0.002, self._tick)

    def do(self, work: Callable[[], T]) -> T:
        """Do something in the supply's thread."""
        done: asyncio.Future[T] = asyncio.run_coroutine_threadsafe(_wrapped(work), self._loop)  # type: ignore[assignment]
        return done.result(5)  # type: ignore[call-arg]

    def drop(self) -> None:
        self.do(lambda: [transport.abort() for transport in tuple(self.open)])

    def listen(self, on: bool) -> None:
        """Refuse connections from now on, or take them again."""

        async def change() -> None:
            if on:
                self._server = await self._loop.create_server(lambda: _Line(self), "127.0.0.1", self.port)
            else:
                self._server.close()
                for transport in tuple(self.open):
                    transport.abort()

        asyncio.run_coroutine_threadsafe(change(), self._loop).result(5)

    def load(self, amperes: float) -> None:
        """Let the device draw."""
        self.do(lambda: self.channel.rail.draw(amperes))

    def options(self, case: Case, **changes: Any) -> DriverOptions:
        given: dict[str, Any] = {
            "name": "psu1", "driver": case.driver, "resource": self.resource, "channel": case.channel, "limits": LIMITS,
        }  # fmt: skip
        return DriverOptions(**{**given, **changes})

    def switching(self) -> list[str]:
        """Return what was sent that is no question."""
        parts = [part for line in self.lines for part in line.split("\n")]
        return [line for line in parts if "?" not in line and "INST:NSEL" not in line]


async def _wrapped(work: Callable[[], T]) -> T:
    return work()


class _Line(asyncio.Protocol):
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        bench = self.bench
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        most = bench.supply.sessions
        if most is not None and len(bench.open) >= most:
            transport.abort()
            return
        bench.connections += 1
        self.name = f"client#{bench.connections}"
        bench.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.bench.open.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        bench = self.bench
        *lines, self.received = (self.received + data).split(b"\n")
        for raw in lines:
            text = raw.decode("ascii").strip()
            bench.lines.append(text)
            answer = bench.supply.execute(text, self.name)
            payload = None if answer is None else answer.encode("latin-1") + bench.supply.line_end
            sent: list[Any] | None = None
            if bench.fault is not None:
                sent = bench.fault(text, payload)
            self.send([payload] if sent is None and payload is not None else sent or [])

    def send(self, parts: list[Any]) -> None:
        for index, part in enumerate(parts):
            if part is DROP:
                self.transport.close()
                return
            if isinstance(part, float):
                rest = parts[index + 1 :]
                self.bench._loop.call_later(part, lambda rest=rest: self.send(rest))
                return
            if not self.transport.is_closing():
                self.transport.write(part)


def with_supply(bench: Bench, case: Case, body: Callable[[Any], Awaitable[T]], **changes: Any) -> T:
    """Open the driver, run ``body``, close it."""

    async def run() -> T:
        supply: Any = await load_driver(case.driver).open(bench.options(case, **changes))
        try:
            async with asyncio.timeout(20):
                return await body(supply)
        finally:
            await supply.close()

    return asyncio.run(run())
