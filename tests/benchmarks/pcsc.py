"""APDUs a second through pcscd and vpcd, recording on: ``python tests/benchmarks/pcsc.py [seconds]``.

The card is a process of its own that answers at once, behind a private pcscd. ``blocking`` is the driver's blocking
layer, ``async`` a channel of the driver on the event loop, both with a real trace; ``reference`` is pyscard's bare
SCardTransmit in the same run, ``ratio`` the driver's part of it. ``open`` is milliseconds for taking the card, opening
ISD-R and giving it back. ``eight`` is eight readers in parallel. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.station.drivers import DriverOptions
from bench.trace.writer import TraceWriter
from fixtures.sim.pcsc import Readers
from instruments.reader.pcsc import PcscReader
from instruments.reader.pcsc_link import PcscLink, use_daemon
from instruments.reader.pcsc_terminal import Terminal

BUDGETS = {"async": 5000.0, "blocking": 8000.0}
COUNT = 8
ISD_R = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
GET_EID = bytes.fromhex("80E2910006BF3E035C015A")
STORE = bytes.fromhex("80E21100FF") + bytes(255)
EID = bytes.fromhex("BF3E125A10890490321234512345123456789012359000")
ATR = bytes.fromhex("3B9F96803FC7828031E073FE21176742454E434830313D")


class Card:
    """Answers at once."""

    def power_on(self) -> bytes:
        """Return the ATR."""
        return ATR

    def power_off(self) -> None:
        """Nothing to lose."""

    def transmit(self, command: bytes) -> bytes:
        """Channel 1 for everybody, the EID for GetEID, else 9000."""
        if command[1] == 0x70:
            return b"\x01\x90\x00" if command[2] == 0 else b"\x90\x00"
        return EID if len(command) == len(GET_EID) else b"\x90\x00"


def cards(csock: Path, ready: int) -> None:
    """Serve the readers until the end of the parent."""

    async def serve() -> None:
        made = Readers(COUNT, csock, "benchmark", lambda what, **fields: None)
        for slot in made.slots:
            slot.insert(Card())
        await made.start()
        os.write(ready, json.dumps([slot.name for slot in made.slots]).encode())
        end = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
        await end.wait()
        made.close()

    asyncio.run(serve())


def rate(once: Callable[[], Any], seconds: float) -> float:
    """Return calls a second: the median of five slices."""
    rates = []
    for _ in range(5):
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < seconds / 5:
            for _ in range(50):
                once()
            count += 50
        rates.append(count / (time.perf_counter() - start))
    return statistics.median(rates)


async def async_rate(channel: Any, command: bytes, seconds: float) -> float:
    """Return exchanges a second of an open channel."""
    rates = []
    for _ in range(5):
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < seconds / 5:
            for _ in range(50):
                await channel.transmit(command)
            count += 50
        rates.append(count / (time.perf_counter() - start))
    return statistics.median(rates)


def blocking(name: str, trace: TraceWriter, seconds: float) -> tuple[float, float, float]:
    """Return the bare rate and the blocking driver's, for a short command and for one with Lc 255."""
    link = PcscLink(name)
    terminal = Terminal(link, trace.lane("apdu:blocking"))
    number, generation, _ = terminal.open(ISD_R)
    command = list(GET_EID)
    bare = rate(lambda: link._scard.SCardTransmit(link._handle, link._pci, command), seconds)
    short = rate(lambda: terminal.transmit(number, generation, GET_EID), seconds)
    long = rate(lambda: terminal.transmit(number, generation, STORE), seconds)
    terminal.close(number, generation)
    link.forget()
    return bare, short, long


async def driven(names: list[str], csock: Path, trace: TraceWriter, seconds: float) -> dict[str, float]:
    """Return what the driver reaches on the event loop."""
    readers = [
        await PcscReader.open(
            DriverOptions(
                name=f"reader{number}",
                resource=name,
                apdu_lane=trace.lane(f"apdu:{number}"),
                extra={"pcsclite_csock": str(csock)},
            )
        )
        for number, name in enumerate(names)
    ]
    found: dict[str, float] = {}
    times = []
    for _ in range(50):
        start = time.perf_counter()
        await (await readers[0].card().open_channel(ISD_R)).close()
        times.append((time.perf_counter() - start) * 1000)
    found["open"] = statistics.median(times)
    channel = await readers[0].card().open_channel(ISD_R)
    found["async"] = await async_rate(channel, GET_EID, seconds)
    found["async-255"] = await async_rate(channel, STORE, seconds)
    await channel.close()
    channels = [await reader.card().open_channel(ISD_R) for reader in readers]
    found["eight"] = sum(await asyncio.gather(*(async_rate(channel, GET_EID, seconds) for channel in channels)))
    for channel in channels:
        await channel.close()
    for reader in readers:
        await reader.close()
    return found


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        csock = folder / "pcscd"
        receive, send = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                cards(csock, send)
            finally:
                os._exit(0)
        try:
            names = json.loads(os.read(receive, 65536))
            use_daemon(str(csock))
            with TraceWriter.open(folder / "trace.pcapng", run_id="benchmark") as trace:
                bare, short, long = blocking(names[0], trace, seconds)
                found = asyncio.run(driven(names, csock, trace, seconds))
        finally:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
    results: dict[str, Any] = {
        name: {
            "per_second": round(value),
            "reference": round(bare),
            "ratio": round(value / bare, 3),
            "budget": BUDGETS[name],
            "ok": value >= BUDGETS[name],
        }
        for name, value in (("blocking", short), ("async", found["async"]))
    }
    results["blocking-255"] = {"per_second": round(long)}
    results["async-255"] = {"per_second": round(found["async-255"])}
    results["eight"] = {"per_second": round(found["eight"])}
    results["open"] = {"milliseconds": round(found["open"], 2)}
    print(json.dumps({"benchmark": "pcsc", "unit": "APDU/s", "recording": True, **results}))


if __name__ == "__main__":
    main()
