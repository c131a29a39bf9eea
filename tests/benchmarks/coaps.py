"""Time and weigh ESipa over CoAPS: handshakes, polls, bytes and memory. Prints JSON.

- ``bytes``: of IPv4 and UDP both ways for one exchange, a request of 21 bytes and a package of 146: on a live
  association, with a session resumed and with a whole handshake, each without and with its goodbye; counted datagram by
  datagram at a relay, with 28 bytes of headers each. ``https``: the same exchange over TLS 1.3 on a new and on a kept
  connection; payload counted at a relay, with 40 bytes of headers for each segment, SYN, FIN and every second
  acknowledgement computed. Budgets: live 330, resumed 1150.
- ``handshake_ms``: median, with the eIM as a process of its own.
- ``polls_per_second``: empty polls at that eIM on one association and on several at a time; beside it HTTPS in the same
  run, on as many kept connections.
- ``association_kb``: memory of the eIM for one association that is up.

    python tests/benchmarks/coaps.py [--polls 2000] [--associations 300]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import aiohttp  # noqa: E402
from aiocoap.numbers import codes  # noqa: E402
from coaps.parties import client, serving, trusting, way  # noqa: E402
from eim.system import EID, Process, prepare  # noqa: E402

from fixtures.coaps.blockwise import Reply  # noqa: E402
from fixtures.coaps.client import Client  # noqa: E402
from fixtures.eim.client import EimClient  # noqa: E402
from fixtures.pki import Pki  # noqa: E402

BUDGET = {"live": 330, "resumed": 1150}
PATH = ("gsma", "rsp2", "asn1")
POLL = bytes.fromhex("bf4f125a10") + bytes.fromhex(EID)
UDP, TCP = 28, 40
NAME = "eim.bench.example"


async def ask(made: Client) -> bytes:
    """Poll once."""
    code, answer = await made.exchange(code=codes.POST, path=PATH, body=POLL, longest=1 << 20)
    assert code == codes.CHANGED, code
    return answer


# --- bytes ------------------------------------------------------------------------------------------------------------


async def coaps_bytes(pki: Pki) -> dict[str, dict[str, int]]:
    """Weigh one exchange."""

    async def package(request: Any, body: bytes) -> Reply:
        return Reply(codes.CHANGED, bytes(146))

    found: dict[str, dict[str, int]] = {}
    async with serving(pki, package, first_timeout=3.0) as (server, port):
        trust = trusting(pki)
        for name in ("fresh", "resumed"):
            async with way(port) as between:

                def weigh(between: Any = between) -> int:
                    return sum(len(data) + UDP for data in (*between.seen_up, *between.seen_down))

                async with client(between.port, trust, first_timeout=3.0) as made:
                    assert made.resumed is (name == "resumed")
                    await ask(made)
                    open_bytes = weigh()
                    await ask(made)
                    found["live"] = {"exchange": weigh() - open_bytes}
                while server.associations:  # noqa: ASYNC110  # its goodbye is on the way
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.01)
                closing = weigh() - open_bytes - found["live"]["exchange"]
                found[name] = {"exchange": open_bytes, "with_goodbye": open_bytes + closing}
    return found


class _Counted(asyncio.Protocol):
    """One side of a TCP relay that counts payload and segments."""

    def __init__(self, tally: dict[str, int], target: int | None, other: _Counted | None = None) -> None:
        self._tally, self._target, self.other = tally, target, other
        self._early = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._target is not None:
            self._opening = asyncio.ensure_future(self._open(self._target))

    async def _open(self, target: int) -> None:
        loop = asyncio.get_running_loop()
        _, self.other = await loop.create_connection(lambda: _Counted(self._tally, None, self), "127.0.0.1", target)
        assert self.other.transport is not None
        if self._early:
            self.other.transport.write(self._early)

    def data_received(self, data: bytes) -> None:
        self._tally["payload"] += len(data)
        self._tally["segments"] += -(-len(data) // 1318)  # of a bearer with 1358 bytes
        if self.other is None or self.other.transport is None:
            self._early += data
        else:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


def tls(pki: Pki) -> ssl.SSLContext:
    """Trust in the CI, by the name of the eIM."""
    return ssl.create_default_context(cafile=str(pki.ci_files))


async def https_bytes(pki: Pki, eim: Process) -> dict[str, dict[str, int]]:
    """Weigh an empty poll over HTTPS, and add the 140 bytes that a package is longer."""
    tally = {"payload": 0, "segments": 0}
    loop = asyncio.get_running_loop()
    relay = await loop.create_server(lambda: _Counted(tally, eim.port), "127.0.0.1", 0)
    port = relay.sockets[0].getsockname()[1]
    found: dict[str, dict[str, int]] = {}
    headers = {"Content-Type": "application/x-gsma-rsp-asn1", "User-Agent": "gsma-rsp-ipad"}
    try:
        async with aiohttp.ClientSession(headers={**headers, "X-Admin-Protocol": "gsma/rsp/v2.1.0"}) as session:
            for name, ends in (("fresh", 3 + 4), ("live", 0)):
                before = dict(tally)
                url = f"https://127.0.0.1:{port}/gsma/rsp2/asn1"
                async with session.post(url, data=POLL, ssl=tls_named(pki), server_hostname=NAME) as answer:
                    assert len(await answer.read()) == 6
                await asyncio.sleep(0.05)  # session tickets
                payload, segments = tally["payload"] - before["payload"], tally["segments"] - before["segments"]
                packets = segments + (segments + 1) // 2 + ends
                found[name] = {"payload": payload + 140, "computed_exchange": payload + 140 + TCP * packets}
    finally:
        relay.close()
    return found


_CONTEXTS: dict[Path, ssl.SSLContext] = {}


def tls_named(pki: Pki) -> ssl.SSLContext:
    """The same context each time: a connection is kept with it."""
    return _CONTEXTS.setdefault(pki.ci_files, tls(pki))


# --- time and memory --------------------------------------------------------------------------------------------------


async def handshakes(pki: Pki, port: int, runs: int) -> dict[str, float]:
    """Return medians in milliseconds."""
    found: dict[str, list[float]] = {"fresh": [], "resumed": []}
    for name, resume in (("fresh", False), ("resumed", True)):
        trust = trusting(pki)
        for _ in range(runs + 1):
            begin = time.perf_counter()
            async with client(port, trust, resume=resume, first_timeout=3.0):
                found[name].append((time.perf_counter() - begin) * 1e3)
    return {name: round(statistics.median(times[1:]), 3) for name, times in found.items()}


async def polls_over_coaps(pki: Pki, port: int, polls: int, at_once: int) -> float:
    """Return empty polls per second."""
    async with AsyncExitStack() as stack:
        trust = trusting(pki)
        made = [await stack.enter_async_context(client(port, trust, first_timeout=3.0)) for _ in range(at_once)]

        async def work(one: Client) -> None:
            for _ in range(polls // at_once):
                assert len(await ask(one)) == 6

        begin = time.perf_counter()
        await asyncio.gather(*map(work, made))
        return round(polls // at_once * at_once / (time.perf_counter() - begin), 1)


async def polls_over_https(pki: Pki, port: int, polls: int, at_once: int) -> float:
    """Return empty polls per second."""
    url = f"https://127.0.0.1:{port}/gsma/rsp2/asn1"
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            for _ in range(polls // at_once):
                async with session.post(url, data=POLL, ssl=tls_named(pki), server_hostname=NAME) as answer:
                    assert len(await answer.read()) == 6

        begin = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        return round(polls // at_once * at_once / (time.perf_counter() - begin), 1)


def resident(pid: int) -> int:
    """Memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def memory(pki: Pki, eim: Process, port: int, associations: int) -> float:
    """Return kB for each association that is up."""
    async with AsyncExitStack() as stack:
        trust = trusting(pki)
        for number in range(associations + 20):
            if number == 20:
                before = resident(eim.process.pid)
            made = await stack.enter_async_context(client(port, trust, resume=False, first_timeout=3.0))
            await ask(made)
        return round((resident(eim.process.pid) - before) / associations / 1024, 1)


async def measure(polls: int, associations: int) -> dict[str, Any]:
    """Return all figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        prepare(home)
        pki = Pki.open(home)
        eim = await Process.start("fixtures.eim", home)
        operator = EimClient.from_announcement(eim.announcement)
        port = int(eim.announcement["coaps"].rsplit(":", 1)[1])
        try:
            await operator.register(EID)
            weights = await coaps_bytes(pki)
            rates = {}
            for at_once in (1, 8):
                rates[str(at_once)] = {
                    "coaps": await polls_over_coaps(pki, port, polls, at_once),
                    "https": await polls_over_https(pki, eim.port, polls, at_once),
                }
            return {
                "bytes": {**weights, "https": await https_bytes(pki, eim)},
                "handshake_ms": await handshakes(pki, port, 50),
                "polls_per_second": rates,
                "association_kb": await memory(pki, eim, port, associations),
                "budget": BUDGET,
                "met": {name: weights[name]["exchange"] <= most for name, most in BUDGET.items()},
            }
        finally:
            await operator.close()
            await eim.stop()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polls", type=int, default=2000)
    parser.add_argument("--associations", type=int, default=300)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.polls, given.associations)), indent=2))


if __name__ == "__main__":
    main()
