"""Fuzzing of the simulated bench's own listeners: instruments, data link, control and clock socket of its world.

Command line (JSON on standard output), resumable: figures and findings of all runs with one ``--state`` are merged.

    python tests/campaigns/fuzz_world.py --seconds 300 --state world.json [--nice 19]

One world as ``bench sim up`` starts it; lines and requests are mutated, sent on kept connections and new ones, whole or
cut, and connections are dropped unread. Now and then the world must answer every instrument and its control socket, and
the supply's and the emulator's settings must be as they were: nothing that sets them was sent. ``seconds`` are CPU time
of fuzzer and world. Exit code 1 when there is any finding.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(TESTS.parent)]

from fuzz_listeners import HERTZ, mutated_bytes  # noqa: E402 - a campaign beside this one

SETTINGS = (b"VOLT?", b"CURR?", b"OUTP?")
"""Of the supply: what a query or nonsense must leave as it is."""
QUERIES = [b"*IDN?", b"MEAS:VOLT?", b"SYST:ERR?", b"VOLT?", b"OUTP? (@1)", b"STAT:QUES:COND?", b"*OPC?", b":MEAS:CURR?"]


@dataclass
class Listener:
    """One port or socket, and what it is sent."""

    name: str
    where: str | tuple[str, int]
    seeds: list[bytes]
    end: bytes = b"\n"
    ping: bytes = b""
    """A request that must be answered whenever it is asked."""
    figures: dict[str, int] = field(default_factory=dict)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.where, str):
            return await asyncio.open_unix_connection(self.where)
        return await asyncio.open_connection(*self.where)

    def count(self, what: str) -> None:
        self.figures[what] = self.figures.get(what, 0) + 1

    async def answer(self, request: bytes) -> bytes:
        """Return the first bytes of the answer to one request on a connection of its own."""
        reader, writer = await self.connect()
        try:
            writer.write(request + self.end)
            return await reader.read(65536)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def world(home: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """Run ``bench sim up`` on a home of its own; yield its process and what it announced."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.cli.main", "sim", "up", "--station", "sim", "--json"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=(home / "world.log").open("ab"),
        env={**os.environ, "BENCH_HOME": str(home)},
        cwd=TESTS.parent,
        limit=1 << 20,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(240):
            told = json.loads(await process.stdout.readline())
        yield process, told
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(30):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


def listeners(told: dict[str, Any]) -> list[Listener]:
    """Return the listeners of the world's station."""
    station = told["stations"]["sim"]

    def scpi(name: str) -> tuple[str, int]:
        _, host, port, _ = station[name]["resource"].split("::")
        return host, int(port)

    def address(url: str) -> tuple[str, int]:
        parts = urlsplit(url)
        return str(parts.hostname), int(parts.port or 0)

    control = [b'{"op": "state"}', b'{"op": "none", "id": 7}', b'{"op": "route", "name": 1}', b'{"op": "cell"}',
               b'{"op": "fault", "fault": {"do": "none"}}', b"[1, 2]", b'{"op": {"op": []}}']  # fmt: skip
    found = [
        Listener("power", scpi("power"), QUERIES, ping=b"*IDN?"),
        Listener("network", scpi("network"), QUERIES, ping=b"*IDN?"),
        Listener("control", told["control"], control, ping=b'{"op": "state"}'),
        Listener("clock", told["clock"], [b'{"op": "now"}', b'{"op": "wait", "until": 1}', b'{"op": "none"}', b"{}"]),
        Listener(
            "proxy",
            address(told["proxy"]),
            [
                b"CONNECT nobody.example:443 HTTP/1.1\r\nHost: nobody.example\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            ],
            end=b"",
        ),
    ]
    if "attenuator" in station:
        attenuator = station["attenuator"]
        requests = [b"GET /MN? HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /ATT? HTTP/1.1\r\nHost: x\r\n\r\n"]
        found.append(Listener("attenuator-http", address(attenuator["resource"]), requests, b"", requests[0]))
        if "telnet" in attenuator:
            found.append(Listener("attenuator-telnet", address(attenuator["telnet"]), [b":MN?", b":ATT?"], b"\r\n"))
    return found


@dataclass
class Campaign:
    """Findings and figures of one run."""

    chance: random.Random
    hang: float
    process: asyncio.subprocess.Process
    listeners: list[Listener]
    findings: list[dict[str, Any]] = field(default_factory=list)
    settings: list[bytes] = field(default_factory=list)

    def find(self, listener: Listener, kind: str, what: str, sent: bytes) -> None:
        place = f"{listener.name}: {kind}: {what}"
        if all(known["place"] != place for known in self.findings):
            self.findings.append({"kind": kind, "place": place, "input": sent[:2000].hex()})

    async def one(self, listener: Listener) -> None:
        """Send one connection's worth of inputs."""
        listener.count("executions")
        lines = [self.chance.choice(listener.seeds) for _ in range(self.chance.randrange(1, 4))]
        data = b"".join(
            (mutated_bytes(line, self.chance) if self.chance.randrange(4) else line) + listener.end for line in lines
        )
        if listener.name == "control" and b'"quit"' in data:
            return
        if not self.chance.randrange(3):
            data = data[: self.chance.randrange(len(data) + 1)]
        try:
            async with asyncio.timeout(self.hang):
                reader, writer = await listener.connect()
                writer.write(data)
                await writer.drain()
                if self.chance.randrange(2):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.02):
                            if await reader.read(4096):
                                listener.count("answered")
                writer.transport.abort()
        except TimeoutError:
            self.find(listener, "hang", f"no connection within {self.hang:g} s", data)
        except OSError as error:
            if self.process.returncode is None:
                listener.count(type(error).__name__)
        if self.process.returncode is not None:
            self.find(listener, "crash", f"the world ended with {self.process.returncode}", data)

    async def look(self) -> None:
        """Ask every listener what it must answer, and the supply for its settings."""
        for listener in self.listeners:
            if not listener.ping:
                continue
            try:
                async with asyncio.timeout(self.hang):
                    if not await listener.answer(listener.ping):
                        self.find(listener, "crash", "no answer afterwards", listener.ping)
            except TimeoutError:
                self.find(listener, "hang", f"no answer within {self.hang:g} s afterwards", listener.ping)
            except OSError as error:
                self.find(listener, "crash", f"afterwards: {error}", listener.ping)
        power = self.listeners[0]
        async with asyncio.timeout(self.hang):
            found = [await power.answer(query) for query in SETTINGS]
        if self.settings and found != self.settings:
            self.find(power, "state", f"settings are {found}, they were {self.settings}", b"")
        self.settings = self.settings or found


async def run(given: argparse.Namespace, home: Path, seed: int) -> dict[str, Any]:
    """Run the campaign on a home for its share of time; return the figures of this run."""
    async with world(home) as (process, told):
        pid = told.get("pid", process.pid)
        campaign = Campaign(random.Random(seed), given.hang, process, listeners(told))
        begun = asyncio.get_running_loop().time()

        def cpu() -> float:
            used = sum(os.times()[:2])
            for number in {pid, process.pid}:
                with contextlib.suppress(OSError, IndexError):
                    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
                    used += (int(fields[11]) + int(fields[12])) / HERTZ
            return used

        await campaign.look()
        started = cpu()  # a world's start is not fuzzing: on a busy machine it alone is a second
        while cpu() - started < given.seconds and asyncio.get_running_loop().time() - begun < given.longest:
            if process.returncode is not None:
                break
            for listener in campaign.listeners:
                for _ in range(20):
                    await campaign.one(listener)
            await campaign.look()
        return {
            "cpu_seconds": cpu() - started,
            "listeners": {listener.name: listener.figures for listener in campaign.listeners},
            "findings": campaign.findings,
        }


def main(argv: list[str] | None = None) -> int:
    """Run the campaign; print one JSON object."""
    from fuzz_listeners import merged

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of CPU time, of fuzzer and world together")
    parser.add_argument("--longest", type=float, default=1e9, help="real seconds at most")
    parser.add_argument("--state", type=Path, help="JSON file: figures of all runs, merged")
    parser.add_argument("--hang", type=float, default=30.0, help="real seconds that an answer may take")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next ones count on")
    parser.add_argument("--nice", type=int, default=0)
    given = parser.parse_args(argv)
    os.nice(given.nice)
    before: dict[str, Any] = {}
    if given.state is not None and given.state.exists():
        before = json.loads(given.state.read_text())
    with tempfile.TemporaryDirectory(prefix="fuzz-world-") as home:
        total = merged(before, asyncio.run(run(given, Path(home), given.seed + before.get("runs", 0))))
    if given.state is not None:
        scratch = given.state.with_suffix(".new")
        scratch.write_text(json.dumps(total, indent=1))
        scratch.replace(given.state)
    print(json.dumps(total, indent=1))
    return 1 if total["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
