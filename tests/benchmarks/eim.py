"""Time the eIM under many devices: empty polls, package round trips, and memory with 100 000 eUICCs queued. JSON.

- ``polls``: GetEimPackage without a package, one process, TLS, kept connections, EIDs drawn from all that are served;
- ``packages``: poll, package, signed result, acknowledgement: order, package and result durable before each answer;
- ``workers``: both on plain HTTP with as many processes as cores on one port and store (an Erlang eIM did 12 000 to
  14 000 empty polls/s so);
- ``memory``: resident bytes of one process with 100 000 eUICCs and an open order each, after every one has polled.

Rates are per second of wall time with the load made in this process on the same cores; ``cpu_us`` is what one request
cost the servers in CPU time, which other load on the machine changes less.

    python tests/benchmarks/eim.py [--seconds 5] [--connections 32] [--only polls ...] [--eids 100000]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import selectors
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from by_hand import number, split, tlv  # noqa: E402

BUDGET = {"polls": 4000.0, "packages": 1000.0, "workers_polls": 12000.0, "memory_mb": 300.0}
DEVICES = 64
"""eUICCs with keys, which execute packages."""
NOTHING = bytes.fromhex("bf4f03020101")


def eid_of(at: int) -> str:
    """Return the EID of a device: check digits as SGP.02 makes them."""
    body = f"8904903212345{at:017d}"
    return body + f"{98 - int(body + '00') % 97:02d}"


# --- the servers ----------------------------------------------------------------------------------------------------


@dataclass
class Servers:
    """eIM processes on one home and port."""

    processes: list[subprocess.Popen[bytes]]
    port: int
    ca: str | None

    def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        ticks = 0
        for process in self.processes:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return the resident megabytes (10^6) of all."""
        return sum(
            int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
            for process in self.processes
        )


@contextlib.contextmanager
def serving(home: Path, *, count: int = 1, plain: bool = False) -> Iterator[Servers]:
    """Run eIM processes."""
    processes: list[subprocess.Popen[bytes]] = []
    port, ca = 0, None
    try:
        for _ in range(count):
            command = [sys.executable, "-m", "fixtures.eim", "serve", "--home", str(home), "--with-parent"]
            command += ["--port", str(port), "--share-port", *(["--plain-http"] if plain else [])]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
            processes.append(process)
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            port, ca = int(told["https"].rsplit(":", 1)[1]), None if plain else told["ca"]
        time.sleep(0.3)  # warming up
        yield Servers(processes, port, ca)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


# --- the load -------------------------------------------------------------------------------------------------------


@dataclass
class Device:
    """One connection that always has one request under way."""

    turn: Callable[[bytes | None], bytes]
    """From the answer before (None: the first time) to the next message."""
    sock: Any = None
    received: bytes = b""
    sent: int = 0
    latencies: list[float] = field(default_factory=list)
    began: float = 0.0

    def send(self, answer: bytes | None) -> None:
        """Send the next message."""
        body = self.turn(answer)
        head = (
            "POST /gsma/rsp2/asn1 HTTP/1.1\r\nHost: eim.bench.example\r\nContent-Type: application/x-gsma-rsp-asn1\r\n"
            f"X-Admin-Protocol: gsma/rsp/v2.1.0\r\nUser-Agent: gsma-rsp-ipad\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.began = time.perf_counter()
        self.sock.sendall(head.encode() + body)

    def take(self) -> bytes | None:
        """Return the body of an answer that is there whole."""
        try:
            self.received += self.sock.recv(65536)
        except (ssl.SSLWantReadError, BlockingIOError):
            return None
        head, mark, body = self.received.partition(b"\r\n\r\n")
        if not mark:
            return None
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(body) < length:
            return None
        self.received = body[length:]
        self.latencies.append(time.perf_counter() - self.began)
        return body


def load(
    servers: Servers, turns: list[Callable[[bytes | None], bytes]], seconds: float, *, most: float = float("inf")
) -> dict[str, float]:
    """Keep every connection busy for ``seconds`` or ``most`` requests.

    Returns requests, requests a second, latencies in ms, CPU time in us for a request.
    """
    context = ssl.create_default_context(cafile=servers.ca) if servers.ca else None
    selector = selectors.DefaultSelector()
    devices = []
    for turn in turns:
        sock: Any = socket.create_connection(("127.0.0.1", servers.port), timeout=30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname="localhost")
        device = Device(turn, sock)
        devices.append(device)
        selector.register(sock, selectors.EVENT_READ, device)
    for device in devices:
        device.send(None)
    for device in devices:
        device.sock.setblocking(False)
    cpu, started = servers.cpu(), time.perf_counter()
    end, done = started + seconds, 0
    while (now := time.perf_counter()) < end and done < most:
        for key, _ in selector.select(timeout=end - now):
            answer = key.data.take()
            if answer is not None:
                done += 1
                key.data.send(answer)
    elapsed, used = time.perf_counter() - started, servers.cpu() - cpu
    for device in devices:
        device.sock.close()
    every = sorted(latency for device in devices for latency in device.latencies)
    return {
        "requests": done,
        "per_second": round(done / elapsed, 1),
        "cpu_us": round(used / done * 1e6, 1),
        "cpu_share": round(used / elapsed, 2),
        "p50_ms": round(every[len(every) // 2] * 1e3, 2),
        "p99_ms": round(every[len(every) * 99 // 100] * 1e3, 2),
    }


def poll_of(eid: str) -> bytes:
    """Return a GetEimPackage."""
    return tlv("BF4F", tlv("5A", bytes.fromhex(eid)))


def empty_polls(eids: list[str], seed: int) -> Callable[[bytes | None], bytes]:
    """Return a device's turns: one poll after the other, each of another eUICC."""
    randomness = random.Random(seed)
    messages = [poll_of(eid) for eid in randomness.sample(eids, min(len(eids), 5000))]

    def turn(answer: bytes | None) -> bytes:
        assert answer in (None, NOTHING), answer.hex() if answer else ""
        return randomness.choice(messages)

    return turn


class Executor:
    """One eUICC that executes packages: poll, sign a result, poll again."""

    def __init__(self, eid: str, key: Any) -> None:
        self._eid, self._key, self._seq = eid, key, 0
        self.packages = 0

    def turn(self, answer: bytes | None) -> bytes:
        """Return the message after an answer."""
        if answer is None or answer[:2] == b"\xbf\x50":
            return poll_of(self._eid)
        assert answer != NOTHING, "more orders must be queued"
        (_, package, _) = split(answer)[0]
        (_, request, _) = split(package)[0]
        fields = {tag: content for tag, content, _ in split(split(request)[0][1])}
        self._seq += 1
        self.packages += 1
        data = tlv(
            "30",
            tlv("80", fields[b"\x80"]),
            tlv("81", fields[b"\x81"]),
            tlv("82", fields[b"\x82"]),
            tlv("83", number(self._seq)),
            tlv("30", bytes.fromhex("830100")),
        )
        result = tlv("BF51", tlv("A0", data, tlv("5F37", self._sign(data + bytes.fromhex("840100")))))
        return tlv("BF50", tlv("5A", bytes.fromhex(self._eid)), result)

    def _sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


# --- the store ------------------------------------------------------------------------------------------------------


def fill(home: Path, eids: list[str], *, orders: int, certificates: bool = False) -> list[Executor]:
    """Serve eUICCs with ``orders`` open enable orders each; with ``certificates`` they can execute them."""
    from fixtures.eim.store import Store
    from fixtures.pki import Pki

    store, pki, made = Store.open(home / "eim" / "eim.sqlite"), Pki.open(home), []
    with store.write():
        for eid in eids:
            store.add_euicc(eid)
            if certificates:
                credential = pki.euicc(eid)
                store.add_certificates(eid, credential.certificate, pki.eum.certificate, b"", "benchmark")
                store.update_euicc(
                    eid, euicc_certificate=credential.certificate, eum_certificate=pki.eum.certificate, features=0
                )
                made.append(Executor(eid, credential.key))
            for _ in range(orders):
                store.add_order(eid, "enable", {"iccid": "8900101000000000027", "rollback": False})
    store.close()
    return made


# --- what is measured -----------------------------------------------------------------------------------------------


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures."""
    found: dict[str, Any] = {"cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 1), "budget": BUDGET}
    cores = len(os.sched_getaffinity(0))
    wanted = set(options.only or ("polls", "packages", "workers", "memory"))
    many = [eid_of(at) for at in range(options.eids)]
    for part in ("polls", "packages", "workers", "memory"):
        if part not in wanted:
            continue
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            home = Path(folder)
            if part == "memory":
                fill(home, many, orders=1)
                with serving(home) as servers:
                    before = servers.memory()
                    counts = [many[at :: options.connections] for at in range(options.connections)]
                    turns = [_each(eids) for eids in counts]
                    rates = load(servers, turns, 600.0, most=1.01 * len(many))
                    found[part] = {"megabytes_at_start": round(before, 1), "megabytes": round(servers.memory(), 1)}
                    found[part] |= {"polls": rates["requests"], "polls_per_second": rates["per_second"]}
                continue
            busy = [eid_of(1_000_000 + at) for at in range(DEVICES)]
            fill(home, many, orders=0)
            plenty = int(options.seconds * 40) + 40
            executors = fill(home, busy, orders=plenty, certificates=True)
            with serving(home, count=cores if part == "workers" else 1, plain=part == "workers") as servers:
                polls = [empty_polls(many, at) for at in range(options.connections)]
                if part != "packages":
                    found[part] = load(servers, polls, options.seconds)
                if part != "polls":
                    rates = load(servers, [executor.turn for executor in executors], options.seconds)
                    rates["per_second"] = round(sum(e.packages for e in executors) / options.seconds, 1)
                    rates["cpu_us"] = round(2 * rates["cpu_us"], 1)
                    found["workers_packages" if part == "workers" else part] = rates
    found["load_after"] = round(os.getloadavg()[0], 1)
    return found


def _each(eids: list[str]) -> Callable[[bytes | None], bytes]:
    """Return a device's turns: each eUICC polls once, then they begin again."""
    at = -1

    def turn(_: bytes | None) -> bytes:
        nonlocal at
        at += 1
        return poll_of(eids[at % len(eids)])

    return turn


def main() -> int:
    """Parse the command line and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--eids", type=int, default=100_000)
    parser.add_argument("--only", nargs="*", choices=("polls", "packages", "workers", "memory"))
    parser.add_argument("--folder", help="where the stores are put (default: the temporary folder)")
    print(json.dumps(measure(parser.parse_args()), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
