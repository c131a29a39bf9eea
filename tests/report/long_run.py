"""The folder of a night: eight hours of samples, polling and steps, with one failure and one peak to be found in it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

from bench.run import folder as places
from bench.run.events import wall_text
from bench.run.samples import SampleWriter
from bench.trace.lane import Direction
from bench.trace.writer import TraceWriter

from .folders import MANIFEST

HOURS = 8
DURATION = HOURS * 3600.0
SAMPLES = int(DURATION * 10)
STEPS = 2000
PACKETS = 200_000
PEAK = (20_000.05, 1.875)
"""When, in seconds, and how many amperes: one sample of 100 ms."""
FAILED_AT = 1500
BEGAN_NS = 1_790_000_000_000_000_000
ORIGIN = 5000.0


def make(runs: Path, packets: int = PACKETS) -> Path:
    """Make the folder as the writers would have, by their formats and in seconds instead of a night."""
    folder = places.create(runs, "sim")
    manifest = {**MANIFEST, "run": folder.name, "clock": "real", "simulated": False, "bearer": "interface:wwan0"}
    places.write_manifest(folder, manifest)
    (folder / places.JOURNAL).write_text("".join(f"{json.dumps(event)}\n" for event in _events(folder.name)))
    supply = {"identity": "Keysight Technologies/E36312A/MY1"}
    writer = SampleWriter.create(folder, "psu1", start=ORIGIN, wall_ns=BEGAN_NS, interval=0.1, supply=supply, channel=2)
    writer.extend(_samples())
    writer.close()
    _trace(folder, packets)
    return folder


def _samples() -> Iterator[tuple[float, float, float]]:
    for n in range(SAMPLES):
        t = n / 10
        amps = 0.12 + 0.1 * abs(math.sin(t / 7.3)) + (0.2 if n % 140 < 3 else 0.0)
        yield ORIGIN + t, 3.8 - 0.1 * amps, PEAK[1] if abs(t - PEAK[0]) < 0.06 else amps


def _events(run: str) -> Iterator[dict[str, object]]:
    each = DURATION / STEPS
    seq = 0

    def event(at: float, kind: str, step: str = "", **data: object) -> dict[str, object]:
        nonlocal seq
        seq += 1
        ns = BEGAN_NS + int(at * 1e9)
        return {
            "seq": seq, "boot": "b", "mono_ns": 10**12 + int(at * 1e9), "wall": wall_text(ns), "t": ORIGIN + at,
            "type": kind, "step": step, "data": data,
        }  # fmt: skip

    yield event(0.0, "run-start", schema=1, run=run, simulated=False)
    for n in range(STEPS // 4):
        begin, cycle = n * each * 4, f"cycle-{n % 5}"
        yield event(begin, "step-start", cycle, title=cycle)
        failed = n == FAILED_AT // 4
        for part, name in enumerate(("power-cycle", "register", "poll")):
            path, at = f"{cycle}/{name}", begin + part * each * 1.3
            bad = failed and name == "register"
            yield event(at, "step-start", path, title=name, timeout=120.0)
            yield event(at + each, "measurement", path, name=f"time_{name}", value=each if not bad else 121.0, unit="s",
                        upper=120.0, verdict="fail" if bad else "pass")  # fmt: skip
            yield event(
                at + each, "note", path, text="LTE 00101, stat 1 (at), 8900101000000000027 operational (enabled)"
            )
            message = "not registered within 120 s: searching" if bad else ""
            yield event(at + each, "step-end", path, verdict="fail" if bad else "pass", elapsed=each, message=message)
        end = begin + each * 3.95
        message = "not registered within 120 s: searching" if failed else ""
        yield event(end, "step-end", cycle, verdict="fail" if failed else "pass", elapsed=each * 3.95, message=message)
    yield event(DURATION, "run-end", device="fail", bench="pass", exit_code=1,
                summary="not registered within 120 s: searching", by="runner")  # fmt: skip


def _trace(folder: Path, packets: int) -> None:
    trace = TraceWriter.open(folder / places.TRACE, run_id=folder.name)
    steps, radio, at = trace.lane("steps"), trace.lane("radio.meas"), trace.lane("at:modem")
    apdu, scpi, esipa = trace.lane("apdu:card"), trace.lane("scpi:psu1"), trace.lane("esipa")
    polls = int(DURATION / 2)
    rest = (packets - polls - STEPS) // polls // 2
    per_step = DURATION / STEPS
    step, written = 0, 0
    for n in range(polls):
        now = BEGAN_NS + n * 2_000_000_000
        while step < STEPS // 4 and step * per_step * 4 <= n * 2:
            path, moment = f"cycle-{step % 5}", BEGAN_NS + int(step * per_step * 4 * 1e9)
            steps.record(Direction.SENT, json.dumps({"step": path}).encode(), time_ns=moment)
            steps.record(Direction.RECEIVED, json.dumps({"step": f"{path}/register", "verdict":
                         "fail" if step == FAILED_AT // 4 else "pass"}).encode(), time_ns=moment + 10**9)  # fmt: skip
            steps.record(
                Direction.RECEIVED, json.dumps({"step": path, "verdict": "pass"}).encode(), time_ns=moment + 2 * 10**9
            )
            step += 1
        rsrp = -95.0 + 6 * math.sin(n / 300) - (30 if n == 7777 else 0)
        radio.record(Direction.RECEIVED, json.dumps({"rsrp_dbm": rsrp, "reg": 1}).encode(), time_ns=now)
        for k in range(rest):
            moment = now + k * 100_000_000
            if k % 3 == 0:
                at.record(Direction.SENT, b"AT+CEREG?\r", time_ns=moment)
                at.record(Direction.RECEIVED, b'\r\n+CEREG: 5,1,"0001","00010101",7\r\n', time_ns=moment + 10**6)
            elif k % 3 == 1:
                scpi.record(Direction.SENT, b"MEAS:VOLT? (@2)\n", time_ns=moment)
                scpi.record(Direction.RECEIVED, b"+3.79%03dE+00\n" % (n % 1000), time_ns=moment + 10**6)
            else:
                apdu.record(Direction.SENT, bytes.fromhex("81E2910006BF3E035C015A00"), time_ns=moment)
                answer = bytes.fromhex("BF3E125A10890490321234512345123456789012359000")
                apdu.record(Direction.RECEIVED, answer, time_ns=moment + 10**6)
        if n % 50 == 0:
            esipa.record(Direction.SENT, bytes.fromhex("BF4F125A1089049032123451234512345678901235"), time_ns=now)
            esipa.record(Direction.RECEIVED, bytes.fromhex("BF4F03020101"), time_ns=now + 10**8)
    while trace.packets < packets:
        scpi.record(Direction.SENT, b"*IDN?\n", time_ns=BEGAN_NS + int(DURATION * 1e9))
        written += 1
    trace.close()
