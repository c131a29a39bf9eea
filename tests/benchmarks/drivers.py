"""Round trips a second of the drivers, recording on: ``python tests/benchmarks/drivers.py [seconds]``.

The peers are processes of their own on a pty and on a TCP socket. ``reference`` is the same exchange in the same run
with nothing but read and write, ``ratio`` the driver's part of it. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import statistics
import sys
import tempfile
import time
import tty
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.station.drivers import DriverOptions
from bench.trace.writer import TraceWriter
from instruments.modem.modem import AtModem
from instruments.scpi.session import ScpiSession

BUDGETS = {"at": 7000.0, "scpi": 5000.0, "apdu": 5000.0}
GET_EID = bytes.fromhex("80E2910006BF3E035C015A")


def child(body: Callable[[], None]) -> int:
    """Fork a peer."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            body()
        finally:
            os._exit(0)
    return pid


def modem(master: int) -> None:
    """Answer every command line at once."""
    answers = {b"AT+CGLA": b'\r\n+CGLA: 46,"BF3E125A10890490321234512345123456789012359000"\r\n\r\nOK\r\n'}
    answers[b"AT+CCHO"] = b"\r\n+CCHO: 1\r\n\r\nOK\r\n"
    buffer = b""
    while True:
        select.select([master], [], [])
        buffer += os.read(master, 65536)
        while b"\r" in buffer:
            line, _, buffer = buffer.partition(b"\r")
            os.write(master, answers.get(line.partition(b"=")[0], b"\r\n+CSQ: 15,99\r\n\r\nOK\r\n"))


def supply(server: socket.socket) -> None:
    """Answer every query line at once, one connection after the other."""
    answers = {b"*IDN?": b"Double,Supply,1,1\n", b"SYST:ERR?": b'+0,"No error"\n'}
    while True:
        client, _ = server.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := client.recv(65536):
            for line in data.splitlines():
                client.sendall(answers.get(line, b"+3.80000000E+00\n"))


async def rate(once: Callable[[], Awaitable[object]], seconds: float) -> float:
    """Return calls a second: the median of five slices."""
    rates = []
    for _ in range(5):
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < seconds / 5:
            for _ in range(50):
                await once()
            count += 50
        rates.append(count / (time.perf_counter() - start))
    return statistics.median(rates)


def raw_rate(write: Callable[[], object], read: Callable[[], bytes], end: bytes, seconds: float) -> float:
    """Return bare exchanges a second."""
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds / 2:
        write()
        answer = b""
        while not answer.endswith(end):
            answer += read()
        count += 1
    return count / (time.perf_counter() - start)


def wait_read(fd: int) -> bytes:
    select.select([fd], [], [])
    return os.read(fd, 65536)


async def measure(folder: Path, slave: str, resource: str, seconds: float) -> dict[str, float]:
    """Measure the drivers with a real trace."""
    rates = {}
    with TraceWriter.open(folder / "trace.pcapng", run_id="benchmark") as trace:
        device = await AtModem.open(
            DriverOptions(name="modem", port=slave, lane=trace.lane("at:modem"), apdu_lane=trace.lane("apdu:card"))
        )
        rates["at"] = await rate(lambda: device.command("AT+CSQ"), seconds)
        channel = await device.card().open_channel(bytes.fromhex("A0000005591010FFFFFFFF8900000100"))
        rates["apdu"] = await rate(lambda: channel.transmit(GET_EID), seconds)
        await device.close()
        session = await ScpiSession.open(resource, name="psu", lane=trace.lane("scpi:psu"))
        rates["scpi"] = await rate(lambda: session.query("MEAS:VOLT? (@1)"), seconds)
        await session.close()
    return rates


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    master, slave = os.openpty()
    tty.setraw(slave)
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    peers = [child(lambda: modem(master)), child(lambda: supply(server))]
    try:
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        references = {
            "at": raw_rate(lambda: os.write(slave, b"AT+CSQ\r"), lambda: wait_read(slave), b"OK\r\n", seconds),
            "scpi": raw_rate(lambda: client.send(b"MEAS?\n"), lambda: client.recv(4096), b"\n", seconds),
        }
        client.close()
        references["apdu"] = references["at"]
        with tempfile.TemporaryDirectory() as folder:
            resource = f"TCPIP::127.0.0.1::{port}::SOCKET"
            rates = asyncio.run(measure(Path(folder), os.ttyname(slave), resource, seconds))
    finally:
        for pid in peers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    results = {
        name: {
            "per_second": round(found),
            "reference": round(references[name]),
            "ratio": round(found / references[name], 3),
            "budget": BUDGETS[name],
            "ok": found >= BUDGETS[name],
        }
        for name, found in rates.items()
    }
    print(json.dumps({"benchmark": "drivers", "unit": "round trips/s", "recording": True, **results}))


if __name__ == "__main__":
    main()
