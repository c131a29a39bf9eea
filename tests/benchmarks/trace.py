"""The trace: packets a second written, what recording costs an APDU, a million packets shown. JSON on stdout.

    python tests/benchmarks/trace.py [--packets N] [--shown N] [--folder DIR] [--scapy PYTHON]

``write``: comment given by the caller, median and best of ten slices, each beside as many bare ``os.write`` of as many
bytes (``raw``). ``decode``: the writer makes the one-liner of an APDU it has seen (polling) or not (``decode-cold``).
``apdu``: round trips with and without a trace, by turns with one card: through pcscd and vpcd to a card of another
process (that counts for the budget), and of the AT driver's card channel on a pty, whose peer answers at once and is no
modem.
``show``: a million packets read and printed in a process of its own, with the most memory that it had. ``--scapy``: an
interpreter that has scapy; its PcapNgWriter writes the same packets in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

sys.path.append(str(Path(__file__).parent))

from drivers import GET_EID, child, modem

from bench.apdu.channel import LogicalChannel
from bench.station.drivers import DriverOptions
from bench.trace import Direction, NullLane, TraceWriter, read
from bench.trace.lane import Lane
from instruments.modem.modem import AtModem

WRITE: Final = 200_000
"""Packets a second."""
SLOWER: Final = 1.10
"""An APDU round trip with recording, as a multiple of one without."""
MEMORY: Final = 100.0
"""MB for a million packets shown."""
COMMAND: Final = bytes.fromhex("81E2910003BF2000")
COMMENT: Final = "ch1 STORE DATA: GetEuiccInfo1"
SLICES: Final = 10
BATCH: Final = 20
"""Round trips between two looks at the clock; of many such batches the quickest tenth counts: a shared host is slow in
its own way, and not for what is measured."""
_SCAPY: Final = """
import json, sys, time
from scapy.utils import PcapNgWriter
from scapy.packet import Raw
count = int(sys.argv[2])
packet = Raw(bytes.fromhex(sys.argv[3]))
packet.comment = sys.argv[4]
writer = PcapNgWriter(sys.argv[1])
rates = []
for _ in range(5):
    begun = time.perf_counter()
    for _ in range(count // 5):
        packet.time = time.time()
        writer.write(packet)
    rates.append((count // 5) / (time.perf_counter() - begun))
writer.close()
print(json.dumps(sorted(rates)))
"""
_SHOW: Final = """
import sys
from bench.trace import read
for packet in read(sys.argv[1]):
    print(packet.part, packet.number, packet.time_ns, packet.lane, packet.comment)
"""


def timed(count: int, once: Callable[[], object]) -> float:
    """Return calls a second."""
    begun = time.perf_counter()
    for _ in range(count):
        once()
    return count / (time.perf_counter() - begun)


def written(folder: Path, packets: int) -> dict[str, Any]:
    """Return the rates of writing."""
    each = packets // SLICES
    rates: list[float] = []
    raws: list[float] = []
    with TraceWriter.open(folder / "w.pcapng", run_id="benchmark") as writer:
        lane: Lane = writer.lane("apdu:card")
        lane.record(Direction.SENT, COMMAND, comment=COMMENT)
        size = (folder / "w.pcapng").stat().st_size
        lane.record(Direction.SENT, COMMAND, comment=COMMENT)
        block = bytes((folder / "w.pcapng").stat().st_size - size)
        descriptor = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for _ in range(SLICES):
            raws.append(timed(each, lambda: os.write(descriptor, block)))
            rates.append(timed(each, lambda: lane.record(Direction.SENT, COMMAND, comment=COMMENT)))
        os.close(descriptor)
        seen = [timed(each, lambda: lane.record(Direction.SENT, COMMAND)) for _ in range(SLICES)]
        fresh = iter([COMMAND + number.to_bytes(4, "big") for number in range(4 * each)])
        cold = [timed(each, lambda: lane.record(Direction.SENT, next(fresh))) for _ in range(4)]
    begun = time.perf_counter()
    found = sum(1 for _ in read(folder / "w.pcapng"))
    return {
        "write": figures(rates),
        "raw": figures(raws),
        "decode": figures(seen),
        "decode_cold": figures(cold),
        "read": round(found / (time.perf_counter() - begun)),
        "bytes": len(block),
        "ratio_to_raw": round(statistics.median(raw / rate for raw, rate in zip(raws, rates, strict=True)), 2),
    }


def figures(rates: list[float]) -> dict[str, int]:
    """Return median and best."""
    return {"median": round(statistics.median(rates)), "best": round(max(rates))}


async def opened(terminal: str, apdu: Lane, at: Lane) -> tuple[AtModem, LogicalChannel]:
    """Return a modem and a channel of its card."""
    device = await AtModem.open(DriverOptions(name="modem", port=terminal, lane=at, apdu_lane=apdu))
    return device, await device.card().open_channel(bytes.fromhex("A0000005591010FFFFFFFF8900000100"))


class Gate:
    """A lane that records, or does not."""

    def __init__(self, lane: Lane) -> None:
        self.name = lane.name
        self.lane = lane
        self.record = lane.record

    def open(self, recording: bool) -> None:
        """Record from now on, or no more."""
        self.record = self.lane.record if recording else NullLane().record


async def compared(channel: LogicalChannel, gates: list[Gate], pairs: int) -> dict[str, float]:
    """Return microseconds of an APDU round trip without and with a trace: of the quickest tenth, and the median.

    One card on one way for both: two of them differ by more than recording costs.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs):
        for recording in (0, 1) if number % 2 else (1, 0):
            for gate in gates:
                gate.open(bool(recording))
            begun = time.perf_counter()
            for _ in range(BATCH):
                await channel.transmit(GET_EID)
            times[recording].append((time.perf_counter() - begun) / BATCH)
    quick = [statistics.quantiles(each, n=10)[0] for each in times]
    median = [statistics.median(each) for each in times]
    return {
        "without_us": round(quick[0] * 1e6, 1),
        "with_us": round(quick[1] * 1e6, 1),
        "ratio": round(quick[1] / quick[0], 3),
        "recording_us": round((quick[1] - quick[0]) * 1e6, 1),
        "median_without_us": round(median[0] * 1e6, 1),
        "median_with_us": round(median[1] * 1e6, 1),
        "median_ratio": round(median[1] / median[0], 3),
    }


def by_modem(folder: Path, pairs: int) -> dict[str, float]:
    """Measure with a peer on a pty."""
    master, slave = os.openpty()
    tty.setraw(slave)
    peer = child(lambda: modem(master))

    async def measure() -> dict[str, float]:
        with TraceWriter.open(folder / "at.pcapng", run_id="benchmark") as writer:
            gates = [Gate(writer.lane("apdu:card")), Gate(writer.lane("at:modem"))]
            device, channel = await opened(os.ttyname(slave), *gates)
            found = await compared(channel, gates, pairs)
            await device.close()
            return found

    try:
        return asyncio.run(measure())
    finally:
        os.kill(peer, signal.SIGKILL)
        os.waitpid(peer, 0)


def by_reader(folder: Path, pairs: int) -> dict[str, float]:
    """Measure with a card of a process of its own in a reader of a private pcscd."""
    from pcsc import ISD_R, cards

    from instruments.reader.pcsc import PcscReader

    csock = folder / "pcscd"
    receive, send = os.pipe()
    peer = child(lambda: cards(csock, send))

    async def measure(resource: str) -> dict[str, float]:
        with TraceWriter.open(folder / "pcsc.pcapng", run_id="benchmark") as writer:
            gate = Gate(writer.lane("apdu:card"))
            extra = {"pcsclite_csock": str(csock)}
            options = DriverOptions(name="reader", resource=resource, apdu_lane=gate, extra=extra)
            reader = await PcscReader.open(options)
            channel = await reader.card().open_channel(ISD_R)
            found = await compared(channel, [gate], pairs)
            await channel.close()
            await reader.close()
            return found

    try:
        return asyncio.run(measure(json.loads(os.read(receive, 65536))[0]))
    finally:
        os.kill(peer, signal.SIGTERM)
        os.waitpid(peer, 0)


def shown(folder: Path, packets: int) -> dict[str, Any]:
    """Return seconds and memory of showing a long trace in a process of its own."""
    path = folder / "long.pcapng"
    with TraceWriter.open(path, run_id="benchmark") as writer:
        lanes = [writer.lane(name) for name in ("apdu:card", "at:modem", "steps", "scpi:psu1")]
        for number in range(packets):
            lanes[number % 4].record(Direction(number % 2), b"%09d" % number, comment="a line of a packet")
    how = _show_command(path)
    begun = time.perf_counter()
    with (folder / "shown").open("wb") as stream:
        done = subprocess.Popen(how, stdout=stream)
        _, status, used = os.wait4(done.pid, 0)
        done.returncode = os.waitstatus_to_exitcode(status)
    with (folder / "shown").open("rb") as lines:
        count = sum(1 for _ in lines)
    return {
        "command": " ".join(how[-3:-1]) if "trace" in how else "read and print",
        "packets": packets,
        "lines": count,
        "seconds": round(time.perf_counter() - begun, 2),
        "exit_code": done.returncode,
        "memory_mb": round(used.ru_maxrss / 1024, 1),
        "megabytes_of_trace": round(path.stat().st_size / 1e6, 1),
    }


def _show_command(path: Path) -> list[str]:
    from bench.cli.trace import COMMANDS

    if "show" in COMMANDS:
        return [sys.executable, "-m", "bench.cli.main", "trace", "show", str(path)]
    return [sys.executable, "-c", _SHOW, str(path)]


def scapy(python: str, folder: Path, packets: int) -> dict[str, Any]:
    """Return the rate of scapy's writer with as many bytes and the same comment."""
    done = subprocess.run(
        [python, "-c", _SCAPY, str(folder / "scapy.pcapng"), str(packets), COMMAND.hex(), COMMENT],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if done.returncode:
        return {"error": done.stderr.strip()[-200:]}
    return figures(json.loads(done.stdout))


def main() -> int:
    """Measure and print one JSON object; exit code 1 when a budget is missed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--packets", type=int, default=200_000)
    options.add_argument("--shown", type=int, default=1_000_000)
    options.add_argument("--pairs", type=int, default=600)
    options.add_argument("--folder", type=Path, default=None)
    options.add_argument("--scapy", metavar="PYTHON", default="", help="interpreter that has scapy")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        # They fork: before there are threads.
        at = by_modem(folder, given.pairs)
        reader = by_reader(folder, given.pairs) if shutil.which("pcscd") else {}
        found: dict[str, Any] = written(folder, given.packets)
        if given.scapy:
            found["scapy"] = scapy(given.scapy, folder, max(1000, given.packets // 10))
            if "best" in found["scapy"]:
                found["times_scapy"] = round(found["write"]["median"] / found["scapy"]["median"], 1)
        found["apdu"] = {"pcsc": reader or "pcscd is not installed", "at": at}
        found["show"] = shown(folder, given.shown) if given.shown else {}
    ok = {
        "write": found["write"]["best"] >= WRITE,
        "apdu": (reader or at)["ratio"] <= SLOWER,
        "show": not found["show"] or (found["show"]["memory_mb"] < MEMORY and found["show"]["exit_code"] == 0),
    }
    budget = {"write": WRITE, "apdu_ratio": SLOWER, "show_mb": MEMORY}
    memory = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    print(json.dumps({"benchmark": "trace", "budget": budget, **found, "memory_mb": memory, "ok": ok}))
    return 0 if all(ok.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
