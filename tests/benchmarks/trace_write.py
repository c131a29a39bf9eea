"""Packets per second into a trace, as JSON on stdout.

    python tests/benchmarks/trace_write.py [--packets N] [--folder DIR]

``write``: comment given by the caller. ``decode``: the writer makes the one-liner of an APDU it has seen before
(polling) or not (``decode-cold``). ``ratio`` compares with the same count of bare ``os.write`` calls of as many bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from bench.trace import Direction, TraceWriter, read
from bench.trace.lane import Lane

BUDGET = 200_000


def main() -> int:
    """Measure and print one JSON object; exit code 1 when the budget is missed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--packets", type=int, default=200_000)
    options.add_argument("--folder", type=Path, default=None)
    arguments = options.parse_args()
    count: int = arguments.packets
    command = bytes.fromhex("81E2910003BF2000")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        figures: dict[str, float] = {}
        with TraceWriter.open(folder / "w", run_id="benchmark") as writer:
            lane: Lane = writer.lane("apdu:card")
            begun = time.perf_counter()
            for _ in range(count):
                lane.record(Direction.SENT, command, comment="ch1 STORE DATA: GetEuiccInfo1")
            figures["write"] = count / (time.perf_counter() - begun)
            begun = time.perf_counter()
            for _ in range(count):
                lane.record(Direction.SENT, command)
            figures["decode"] = count / (time.perf_counter() - begun)
            cold = min(count, 50_000)
            fresh = [command + number.to_bytes(4, "big") for number in range(cold)]
            begun = time.perf_counter()
            for data in fresh:
                lane.record(Direction.SENT, data)
            figures["decode-cold"] = cold / (time.perf_counter() - begun)
        size = (folder / "w").stat().st_size // (2 * count + cold)
        block = bytes(size)
        descriptor = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        begun = time.perf_counter()
        for _ in range(count):
            os.write(descriptor, block)
        raw = count / (time.perf_counter() - begun)
        os.close(descriptor)
        begun = time.perf_counter()
        packets = sum(1 for _ in read(folder / "w"))
        figures["read"] = packets / (time.perf_counter() - begun)
        assert packets == 2 * count + cold
    print(
        json.dumps(
            {
                "benchmark": "trace-write",
                "unit": "packets/s",
                "budget": BUDGET,
                "figures": {key: round(value) for key, value in figures.items()},
                "raw_os_write": round(raw),
                "ratio": round(raw / figures["write"], 2),
                "pass": figures["write"] >= BUDGET,
            }
        )
    )
    return 0 if figures["write"] >= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
