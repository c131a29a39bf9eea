"""A small world in a thread of its own: a clock and an echo port, to test both ends of the clock socket."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from pathlib import Path

from fixtures.sim.clock import WorldClock
from fixtures.sim.kernel import Kernel, Priority
from fixtures.sim.ledger import PortLedger


class EchoPort(asyncio.Protocol):
    """Answers each line ``<id> <delay ns>`` with ``<id>`` after the delay of station time."""

    def __init__(self, kernel: Kernel, ledger: PortLedger) -> None:
        self.kernel = kernel
        self.ledger = ledger
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.ledger.received(len(data))
        *lines, self.received = (self.received + data).split(b"\n")
        for line in lines:
            name, delay = line.split()
            self.kernel.at(self.kernel.now_ns + int(delay), Priority.AT, lambda name=name: self.answer(name))

    def answer(self, name: bytes) -> None:
        self.transport.write(name + b"\n")  # type: ignore[attr-defined]
        self.ledger.wrote(len(name) + 1)


class ClockWorld:
    def __init__(self, mode: str = "instant") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="clk"))
        self.clock_path = str(self.folder / "clock")
        self.port_path = str(self.folder / "port")
        self.kernel = Kernel()
        self.clock = WorldClock(self.kernel, mode)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._loop: asyncio.AbstractEventLoop

    def __enter__(self) -> ClockWorld:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(5)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        ledger = self.clock.port(self.port_path)
        server = await self._loop.create_unix_server(lambda: EchoPort(self.kernel, ledger), self.port_path)
        await self.clock.start(Path(self.clock_path), self.folder / "now")
        self._ready.set()
        await self._end.wait()
        server.close()
        await self.clock.close()
