"""The screens on a pseudo terminal of 120x36, as a person has them: JSON on stdout, nothing is asserted.

    python tests/benchmarks/tui.py [start] [keys] [live] [switches] [night] [million]

``start``: seconds from the process to the first page on the wire, beside a bare interpreter in the same run. ``keys``:
from a key to the changed word on the wire while a run writes 5 000 events/s (4 900 packets, 100 journal events, and 100
samples beside them). ``live``: share of one core that the screens take while the main job runs. ``switches``: 1 000
changes of page, growth of memory after the first 200. ``night``: eight hours of events, growth after the first hour.
``million``: a trace of 1 000 000 packets: until all of it is counted, then from a key to a far packet on the wire. What
stands in for a run is a process that holds the lock of a run folder and writes it; the screens cannot tell.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bench import client
from bench.run.liveness import hold
from bench.run.samples import ROW
from bench.trace import Direction, TraceWriter

PARTS: Final = ("start", "keys", "live", "switches", "night", "million")
BUDGETS: Final = {"first_frame_s": 0.5, "key_p95_ms": 50.0, "live_cpu_percent": 9.0, "growth_mb": 5.0}
RATE: Final = 5000
NIGHT: Final = 8 * 3600
WITHIN: Final = 120.0
_STYLE: Final = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_TICK: Final = 0.01
BYTECODE: Final = Path(tempfile.gettempdir(), f"bench-tui-bytecode-{os.getpid()}")


class Run:
    """A run folder that this process writes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.began = time.time_ns()
        self.packets = self.events = 0
        started = self._wall(0.0)
        manifest = {"schema": 1, "run": folder.name, "recipe": "record", "station": "sim", "simulated": True}
        (folder / "run.json").write_text(json.dumps({**manifest, "started": started}))
        self.lock = hold(folder)
        self.journal = (folder / "journal.jsonl").open("ab", buffering=0)
        self.trace = TraceWriter.open(folder / "trace.pcapng", run_id=folder.name)
        header = {"schema": 1, "kind": "power-samples", "name": "psu", "start": {"t": 0.0}}
        (folder / "power-psu.json").write_text(json.dumps(header))
        self.samples = (folder / "power-psu.f32").open("ab", buffering=0)
        self.at, self.card = self.trace.lane("at:modem"), self.trace.lane("apdu:card")
        self.event(0.0, "run-start", "", run=folder.name, recipe="record", station="sim", simulated=True)

    def _wall(self, t: float) -> str:
        ns = self.began + round(t * 1e9)
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9)) + f".{ns % 10**9 // 1000:06d}Z"

    def event(self, t: float, kind: str, step: str, **data: Any) -> None:
        """Write one event of the journal."""
        self.events += 1
        mono = self.began + round(t * 1e9)
        event = {"seq": self.events, "boot": "b", "mono_ns": mono, "wall": self._wall(t), "t": t, "type": kind}
        self.journal.write(json.dumps({**event, "step": step, "data": data}).encode() + b"\n")

    def packet(self, t: float) -> None:
        """Write one packet; its line has its number."""
        sent = self.packets % 2 == 0
        lane, data = (self.card, bytes.fromhex("81E2910003BF2000")) if self.packets % 3 == 0 else (self.at, b"AT+CSQ\r")
        direction = Direction.SENT if sent else Direction.RECEIVED
        lane.record(direction, data, time_ns=self.began + round(t * 1e9), comment=f"n={self.packets:07d}")
        self.packets += 1

    def sample(self, dt: float, count: int) -> None:
        """Write samples."""
        row = struct.pack("<3f", dt, 3.8, 0.1 + 0.3 * (self.events % 7 == 0))
        assert len(row) == ROW
        self.samples.write(row * count)

    def step(self, t: float, taken: float) -> None:
        """Write a step that is begun, measured and ended: three events."""
        name = f"cycle-{self.events}"
        self.event(t, "step-start", name)
        self.event(t + taken / 2, "measurement", name, name="rail", value=3.8, unit="V", lower=3.3, upper=4.3)
        self.event(t + taken, "step-end", name, verdict="pass", elapsed=taken)


def write(folder: Path, what: str) -> None:
    """Be the run until a signal: what the process is that this benchmark starts."""
    run = Run(folder)
    print("there", flush=True)
    if what == "keys":
        began = time.monotonic()
        for tick in range(1, 10**9):
            t = tick * _TICK
            for _ in range(round(RATE * _TICK) - 1):
                run.packet(t)
            step = f"cycle-{tick // 100}"
            kind = {1: "step-start", 99: "step-end"}.get(tick % 100, "measurement")
            run.event(t, kind, step, name="rail", value=3.8, unit="V")
            run.sample(_TICK, 1)
            time.sleep(max(0.0, began + t - time.monotonic()))
    elif what == "night":
        for line in sys.stdin:  # how many seconds of the night there shall be
            for second in range(int(line.split()[0]), int(line.split()[1])):
                for number in range(4):
                    run.packet(second + number / 4)
                run.sample(0.1, 10)
                if second % 10 == 0:
                    run.step(float(second), 8.0)
            print(run.packets, run.events, flush=True)
    else:
        for number in range(1_000_000):
            run.packet(number / 1000)
        run.event(1000.0, "run-end", "", device="pass", bench="pass", exit_code=0)
        run.trace.close()
        os.close(run.lock)
        print("written", flush=True)


class Screen:
    """``bench`` on a pseudo terminal."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "TERM_PROGRAM": "benchmark"}
        # As installed: with its bytecode, which a development machine may be told not to write.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = str(BYTECODE)
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.cli.main"],
            stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.seen = b""
        self.bytes = 0

    def until(self, wanted: bytes | Callable[[bytes], bool], what: str, within: float = WITHIN) -> float:
        """Read until something stands on the wire that came after the last wait; return the moment."""
        deadline = time.monotonic() + within
        while True:
            plain = _STYLE.sub(b"", self.seen)
            if wanted in plain if isinstance(wanted, bytes) else wanted(plain):
                self.seen = b""
                return time.monotonic()
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise SystemExit(f"not seen: {what}: {plain[-2000:]!r}")
            self.seen = (self.seen + self._read())[-100_000:]

    def _read(self) -> bytes:
        data = os.read(self.master, 1 << 16)
        self.bytes += len(data)
        return data

    def drain(self, seconds: float) -> None:
        """Read for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                self._read()
        self.seen = b""

    def key(self, key: bytes, wanted: bytes | Callable[[bytes], bool], what: str) -> float:
        """Press a key; return the ms until something stands on the wire."""
        self.seen = b""
        began = time.monotonic()
        os.write(self.master, key)
        return (self.until(wanted, what) - began) * 1000

    def cpu(self) -> float:
        """Return the CPU seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return resident memory in MB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        with contextlib.suppress(OSError):
            while self._read():
                pass
        self.process.wait(30)
        os.close(self.master)


@contextlib.contextmanager
def screen(*, ready: bool = True) -> Iterator[Screen]:
    """The screens, with the stations read."""
    made = Screen()
    try:
        if ready:
            made.until(b"sim-device", "the stations")
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def writer(what: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is the latest run of station sim."""
    folder = Path(os.environ["BENCH_HOME"]) / "runs" / time.strftime(f"%Y%m%d-%H%M%S-record-sim-{what}")
    command = [sys.executable, __file__, "--write", what, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def spread(times: list[float]) -> dict[str, float]:
    """Return median, 95th percentile and greatest of milliseconds."""
    times = sorted(times)
    p95 = times[min(len(times) - 1, round(len(times) * 0.95))]
    return {"median_ms": round(statistics.median(times), 1), "p95_ms": round(p95, 1), "max_ms": round(times[-1], 1)}


def part_start() -> dict[str, Any]:
    """From the process to the first page."""
    pages, stations, bare = [], [], []
    with screen():  # writes the bytecode
        pass
    for _ in range(9):
        with screen(ready=False) as shown:
            pages.append(shown.until(b"SAFE F12", "the first page") - shown.began)
            stations.append(shown.until(b"sim-device", "the stations") - shown.began)
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append(time.monotonic() - began)
    found = {"first_frame_s": pages, "stations_s": stations, "python_s": bare}
    return {name: round(statistics.median(times), 3) for name, times in found.items()} | {
        "worst_s": round(max(pages), 3)
    }


def part_keys() -> dict[str, Any]:
    """From a key to its word while a run writes."""
    with writer("keys"), screen() as shown:
        shown.key(b"4", b"[4 Run]", "the page Run")
        shown.until(b" packets", "its packets")
        shown.drain(3.0)
        began, cpu, sent = time.monotonic(), shown.cpu(), shown.bytes
        times = []
        words = (b"since start", b"since line before", b"clock  ")
        for number in range(100):
            times.append(shown.key(b"t", words[number % 3], "the way times are shown"))
            shown.drain(0.15)
        taken = time.monotonic() - began
        share = round((shown.cpu() - cpu) / taken * 100, 1)
        return {"events_per_s": RATE, "keys": len(times), **spread(times), "cpu_percent": share,
                "wire_kb_per_s": round((shown.bytes - sent) / taken / 1000)}  # fmt: skip


def part_live() -> dict[str, Any]:
    """Share of a core while the main job runs."""
    runs = Path(os.environ["BENCH_HOME"]) / "runs"
    shares, spans = [], []
    for _ in range(3):
        with screen() as shown:
            known = {run.folder for run in client.runs(runs)}
            shown.key(b"r", b"bench run bootstrap-to-operational", "the command line")
            began, cpu = time.monotonic(), shown.cpu()
            while not [run for run in client.runs(runs) if run.folder not in known and run.state != "running"]:
                shown.drain(0.25)
            spans.append(time.monotonic() - began)
            shares.append((shown.cpu() - cpu) / spans[-1] * 100)
    return {"cpu_percent": round(statistics.median(shares), 1), "runs_s": [round(span, 1) for span in spans]}


def part_switches() -> dict[str, Any]:
    """A thousand changes of page."""
    with screen() as shown:
        times = []
        before = 0.0
        for number in range(1200):
            if number == 200:
                before = shown.memory()
                times.clear()
            page = number % 8 + 2 if number % 8 < 7 else 1
            times.append(shown.key(b"%d" % page, b"[%d " % page, f"page {page}"))
        after = shown.memory()
        return {
            "switches": len(times),
            **spread(times),
            "rss_mb": round(after, 1),
            "growth_mb": round(after - before, 1),
        }


def part_night() -> dict[str, Any]:
    """Eight hours of events."""
    with writer("night") as run, screen() as shown:
        assert run.stdin is not None
        assert run.stdout is not None
        shown.key(b"4", b"[4 Run]", "the page Run")
        sizes = []
        events = 0
        for hour in range(NIGHT // 3600):
            run.stdin.write(f"{hour * 3600} {(hour + 1) * 3600}\n")
            run.stdin.flush()
            while not select.select([run.stdout], [], [], 0)[0]:
                shown.drain(0.1)
            packets, events = (int(word) for word in run.stdout.readline().split())
            shown.drain(8.0)
            # Paused and following again: the title is written with the count of all that came.
            shown.key(b" ", f"{packets:,} of".encode(), "all of the hour")
            shown.key(b"f", b"FOLLOW", "followed again")
            sizes.append(shown.memory())
        return {"hours": len(sizes), "packets": packets, "events": events, "rss_mb": [round(size, 1) for size in sizes],
                "growth_mb": round(sizes[-1] - sizes[0], 1)}  # fmt: skip


def part_million() -> dict[str, Any]:
    """A trace of a million packets."""
    with writer("million") as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "written\n"
        with screen() as shown:
            before, began = shown.memory(), time.monotonic()
            shown.key(b"4", b"[4 Run]", "the page Run")
            busy = [shown.key(b"t", word, "while it is counted") for word in (b"since start", b"since line before")]
            counted = shown.until(b"1,000,000 of", "all of it") - began
            shown.drain(1.0)
            far, pages = [], []
            for _ in range(20):
                far.append(shown.key(b"g", b"n=0000001", "the first packet"))
                pages += [shown.key(b"\x1b[6~", b"n=", "the next page") for _ in range(3)]
                far.append(shown.key(b"G", b"n=0999999", "the last packet"))
            return {"counted_s": round(counted, 1), "keys_meanwhile": spread(busy), "far": spread(far),
                    "page_down": spread(pages), "growth_mb": round(shown.memory() - before, 1)}  # fmt: skip


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write(Path(given.write[1]), given.write[0])
        return 0
    measure = {name: globals()[f"part_{name}"] for name in PARTS}
    found: dict[str, Any] = {"benchmark": "tui", "budgets": BUDGETS}
    for name in given.parts or PARTS:
        with tempfile.TemporaryDirectory() as home:
            os.environ |= {"BENCH_HOME": f"{home}/home", "BENCH_LOCKS": f"{home}/locks"}
            os.environ.pop("BENCH_CONFIG", None)
            Path(home, "locks").mkdir(mode=0o1777)
            Path(home, "home").mkdir()
            # F12 has been seen here, so that no dialog asks for it.
            kept = {"safe_key": ["benchmark xterm-256color"]}
            Path(home, "home", "tui.json").write_text(json.dumps(kept))
            os.chdir(home)
            try:
                found[name] = measure[name]()
            finally:
                os.chdir("/")
                shutil.rmtree(BYTECODE, ignore_errors=True)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
