"""Kill, freeze and interrupt runs at random moments; ask the simulated supply when its output went off.

    python tests/campaigns/kills.py [--count 30] [--hangs 5] [--freezes 3] [--seed 1] [--only KIND ...]

Starts ``bench sim up`` and runs recipes on its instruments as on real ones: the world outlives every run, and its
supply is asked by raw SCPI on a connection of this program. Prints one JSON object; exit code 1 when anything failed.

Kinds: sigterm, sighup, ctrl-c (on a pty), kill-runner: at random moments; blocks-, visa-, apdu- with each of the first
three: while the recipe blocks the loop, a VISA read waits, an APDU hangs; freeze: SIGSTOP of the runner; front-hup,
front-kill: the run goes on, can be followed, and is then stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench import client
from bench.run import liveness
from bench.run.reader import read
from bench.trace.reader import repair_and_scan

RECIPES = Path(__file__).with_name("kill_recipes.py")
BENCH = [sys.executable, "-m", "bench.cli.main"]
LIMIT = 2.0
FREEZE_LIMIT = 6.0
RANDOM = ("sigterm", "sighup", "ctrl-c", "kill-runner")
HANGS = {
    f"{hang}-{how}": recipe
    for hang, recipe in {"blocks": "blocks", "visa": "visa_waits", "apdu": "apdu_hangs"}.items()
    for how in ("sigterm", "sighup", "ctrl-c")
}
FRONTS = ("front-hup", "front-kill")


class Failed(Exception):
    """The bench did not do what it must."""


class SupplyWatch:
    """Asks the simulated supply every few milliseconds whether its output is on, by raw SCPI."""

    def __init__(self, resource: str) -> None:
        host, port = resource.split("::")[1:3]
        self._socket = socket.create_connection((host, int(port)), timeout=5)
        self._stream = self._socket.makefile("rwb")
        self.on = False
        self.changed = time.monotonic()
        """When the present state was first seen."""
        self.paused = False
        """Nothing is asked: every question feeds the watchdog of a supply."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopping.wait(0.004):
            if self.paused:
                continue
            self._stream.write(b"OUTP? (@1)\n")
            self._stream.flush()
            on = self._stream.readline().strip() == b"1"
            if on != self.on:
                self.changed, self.on = time.monotonic(), on

    def until(self, on: bool, deadline: float) -> None:
        """Wait for a state. Raises Failed."""
        while self.on is not on:
            if time.monotonic() > deadline:
                raise Failed(f"the output is still {'off' if on else 'on'}")
            time.sleep(0.002)

    def close(self) -> None:
        """Stop asking."""
        self._stopping.set()
        self._thread.join()
        self._socket.close()


@contextmanager
def simulated_bench(home: Path, clock: str, *options: str) -> Iterator[Mapping[str, Any]]:
    """Start ``bench sim up`` and yield what it announces."""
    environment = {**os.environ, "BENCH_HOME": str(home), "TMPDIR": str(home)}
    process = subprocess.Popen(
        [*BENCH, "sim", "up", "--clock", clock, *options, "--json"], stdout=subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(20)


def write_bench(home: Path, announced: Mapping[str, Any], driver: str = "keysight-e36300", more: str = "") -> Path:
    """Write the bench.toml of a station whose instruments are those of the running world; ``more`` of its supply."""
    station = announced["stations"]["sim"]
    path = home / "bench.toml"
    path.write_text(
        f"""[stations.kills]
clock = "unix:{announced["clock"]}"
simulated = true
expendable = true
safe = ["network.off", "power.off"]
network = {{ driver = "rs-cmw500", resource = "{station["network"]["resource"]}" }}
card = {{ at = "modem" }}
modem = {{ driver = "at-modem", port = "{station["modem"]["port"]}", port_needs_power = true }}
data = {{ path = "host" }}

[stations.kills.power]
driver = "{driver}"
resource = "{station["power"]["resource"]}"
voltage = 3.8
voltage_max = 4.3
current_limit = 2.0
{more}
""",
        encoding="utf-8",
    )
    return path


class Campaign:
    """All cases on one simulated bench."""

    def __init__(self, home: Path, announced: Mapping[str, Any], seed: int) -> None:
        self.home = home
        self.config = write_bench(home, announced)
        self.control = str(announced["control"])
        self.watch = SupplyWatch(announced["stations"]["sim"]["power"]["resource"])
        self.random = random.Random(seed)

    # --- cases ----------------------------------------------------------------------------------------------------

    def case(self, kind: str) -> dict[str, Any]:
        """Run one case and return what was measured. Raises Failed."""
        if kind in FRONTS:
            return self._front(kind)
        if kind.endswith("ctrl-c"):
            try:
                return self._ctrl_c(kind)
            finally:
                self._undo_faults()
        handle = self._start(HANGS.get(kind, "busy"))
        try:
            return self._strike(kind, handle)
        finally:
            with suppress(OSError):
                if handle.wait(0) is None:
                    os.kill(handle.pid, signal.SIGKILL)
                    handle.wait(10)
            self._undo_faults()

    def _strike(self, kind: str, handle: client.RunHandle) -> dict[str, Any]:
        limit = FREEZE_LIMIT if kind == "freeze" else LIMIT
        self._moment(kind, handle.folder)
        was_on = self.watch.on
        struck = time.monotonic()
        if kind in ("kill-runner", "freeze"):
            status = client.status(handle.folder)
            if status is None:
                raise Failed("the run has no supervisor")
            struck = time.monotonic()
            os.kill(status.runner, signal.SIGKILL if kind == "kill-runner" else signal.SIGSTOP)
        else:
            os.kill(handle.pid, signal.SIGHUP if kind.endswith("sighup") else signal.SIGTERM)
        code = handle.wait(30)
        off = self._off(struck, limit)
        allowed = (3,) if kind in ("kill-runner", "freeze") else _allowed(kind)
        return {"off": off, "was_on": was_on, **self._record(handle.folder, code, allowed, kind)}

    def _moment(self, kind: str, folder: Path) -> None:
        """Wait for the moment to strike: random, or random while the recipe hangs."""
        if kind in HANGS:
            self._noted(folder)
            self.watch.until(True, time.monotonic() + 10)
            time.sleep(self.random.uniform(0.05, 0.3))  # a random moment is the case
        else:
            time.sleep(self.random.uniform(0.0, 2.0))

    def _ctrl_c(self, kind: str) -> dict[str, Any]:
        known = set(self._folders())
        leader, follower = pty.openpty()
        process = self._front_process(follower, HANGS.get(kind, "busy"))
        os.close(follower)
        drained = threading.Thread(target=_drain, args=(leader,), daemon=True)
        drained.start()
        try:
            folder = self._new_folder(known, process)
            self._moment(kind, folder)
            was_on = self.watch.on
            struck = time.monotonic()
            os.write(leader, b"\x03")
            code = process.wait(30)
            off = self._off(struck, LIMIT)
            return {"off": off, "was_on": was_on, **self._record(folder, code, _allowed(kind), kind)}
        finally:
            process.kill()
            process.wait(10)
            os.close(leader)

    def _front(self, kind: str) -> dict[str, Any]:
        known = set(self._folders())
        process = self._front_process(None)
        try:
            folder = self._new_folder(known, process)
            self.watch.until(True, time.monotonic() + 20)
            process.send_signal(signal.SIGHUP if kind == "front-hup" else signal.SIGKILL)
            process.wait(10)
            before = len(read(folder / "journal.jsonl"))
            shown = subprocess.Popen(
                [*BENCH, "--config", str(self.config), "show", folder.name, "--events"],
                stdout=subprocess.PIPE, env=self._environment(),
            )  # fmt: skip
            deadline = time.monotonic() + 5
            while len(read(folder / "journal.jsonl")) <= before + 10:
                if time.monotonic() > deadline:
                    raise Failed("the run stands still without its front")
                time.sleep(0.05)
            if not self.watch.on or client.status(folder) is None:
                raise Failed("the run ended with its front")
            struck = time.monotonic()
            client.stop(folder, reason="campaign")
            output = shown.communicate(timeout=30)[0]
            if b'"run-end"' not in output:
                raise Failed("bench show did not follow the run to its end")
            off = self._off(struck, LIMIT)
            return {"off": off, "was_on": True, **self._record(folder, None, (130,), kind)}
        finally:
            process.kill()
            process.wait(10)
            for folder in set(self._folders()) - known:
                if liveness.alive(folder):
                    client.stop(folder, at_once=True)

    # --- parts ----------------------------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "BENCH_HOME": str(self.home)}

    def _front_process(self, terminal: int | None, recipe: str = "busy") -> subprocess.Popen[bytes]:
        command = [*BENCH, "--config", str(self.config), "run", f"{RECIPES}:{recipe}", "--station", "kills"]
        for name, value in self._parameters(recipe).items():
            command += ["-s", f"{name}={value}"]
        if terminal is None:
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, env=self._environment())

        def take_terminal() -> None:
            import fcntl
            import termios

            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        return subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509 - an ioctl only
            env=self._environment(),
        )  # fmt: skip

    def _start(self, recipe: str) -> client.RunHandle:
        options = client.StartOptions(config=self.config, home=self.home)
        return client.start(f"{RECIPES}:{recipe}", "kills", self._parameters(recipe), options)

    def _parameters(self, recipe: str) -> dict[str, str]:
        return {} if recipe in ("busy", "blocks") else {"control": self.control}

    def _folders(self) -> list[Path]:
        return list((self.home / "runs").glob("2*")) if (self.home / "runs").is_dir() else []

    def _new_folder(self, known: set[Path], process: subprocess.Popen[bytes]) -> Path:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            for folder in set(self._folders()) - known:
                if (folder / "run.json").exists():
                    return folder
            time.sleep(0.005)
        raise Failed(f"bench run made no run folder (exit code {process.poll()})")

    def _noted(self, folder: Path) -> None:
        stop = threading.Event()
        timer = threading.Timer(30, stop.set)
        timer.start()
        try:
            for event in client.follow(folder, stop=stop):
                if event["type"] == "note" and event["data"].get("text") == "hanging":
                    return
                if event["type"] == "run-end":
                    raise Failed(f"the recipe ended before it hung: {event['data']}")
        finally:
            timer.cancel()
        raise Failed("the recipe did not come to its hanging point")

    def _off(self, struck: float, limit: float) -> float:
        """Return the seconds from the strike to the output off, 0 when it was off; Failed beyond the limit."""
        self.watch.until(False, time.monotonic() + 5)
        seconds = max(0.0, self.watch.changed - struck)
        if seconds > limit:
            raise Failed(f"the output went off after {seconds:.2f} s, allowed are {limit:g} s")
        return seconds

    def _record(self, folder: Path, code: int | None, allowed: tuple[int, ...], kind: str) -> dict[str, Any]:
        """Check the record. Raises Failed."""
        deadline = time.monotonic() + 30
        while liveness.alive(folder):
            if time.monotonic() > deadline:
                raise Failed("the supervisor does not end")
            time.sleep(0.005)
        events = read(folder / "journal.jsonl")
        end = events[-1]
        if end["type"] != "run-end":
            raise Failed(f"the record ends with {end['type']}")
        if [event["seq"] for event in events] != list(range(1, len(events) + 1)):
            raise Failed("the record has gaps")
        found = end["data"]["exit_code"]
        if found not in allowed or (code is not None and code != found):
            raise Failed(f"exit code {code}, in the record {found}, allowed {allowed}: {end['data']}")
        unverified = [event["data"] for event in events if event["type"] == "safe" and not event["data"]["verified"]]
        if unverified and not kind.startswith("visa-"):
            raise Failed(f"not verified: {unverified}")
        torn = 0
        if (folder / "trace.pcapng").exists():
            report, _ = repair_and_scan(folder / "trace.pcapng")
            torn = report.dropped
        if torn and kind != "kill-runner":
            raise Failed(f"the trace is torn by {torn} bytes")
        return {"exit_code": found, "by": end["data"]["by"], "events": len(events), "run": folder.name}

    def _undo_faults(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(self.control)
            stream = connection.makefile("rwb")
            for request in (
                {"op": "disarm"},
                {"op": "fault", "at": "now", "do": "scpi-answer", "instrument": "network"},
            ):
                stream.write(json.dumps(request).encode() + b"\n")
                stream.flush()
                stream.readline()


def _allowed(kind: str) -> tuple[int, ...]:
    """Return the exit codes of an interrupted run; a supply or emulator that stays silent is NOT DEAD: 3."""
    return (130, 3) if kind.startswith("visa-") else (130,)


def _drain(fd: int) -> None:
    with suppress(OSError):
        while select.select([fd], [], [])[0] and os.read(fd, 65536):
            pass


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of one kind."""
    good = [result for result in results if "failed" not in result]
    times = sorted(result["off"] for result in good if result["was_on"])
    return {
        "count": len(results),
        "passed": len(good),
        "struck_while_on": len(times),
        "off_after_s": {"median": round(times[len(times) // 2], 3), "max": round(times[-1], 3)} if times else None,
        "ended_by": {by: sum(result["by"] == by for result in good) for by in {result["by"] for result in good}},
        "failures": [result for result in results if "failed" in result],
    }


def main() -> int:
    """Run the campaign and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=30, help="of each kind at random moments (default: %(default)s)")
    parser.add_argument("--hangs", type=int, default=5, help="of each kind of hanging (default: %(default)s)")
    parser.add_argument("--freezes", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--fronts", type=int, default=3, help="of each death of the front (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clock", default="scaled:20", help="of the world (default: %(default)s)")
    parser.add_argument("--only", nargs="*", metavar="KIND", help="only these kinds")
    given = parser.parse_args()
    counts = dict.fromkeys(RANDOM, given.count)
    counts |= dict.fromkeys(HANGS, given.hangs) | {"freeze": given.freezes} | dict.fromkeys(FRONTS, given.fronts)
    if given.only:
        counts = {kind: count for kind, count in counts.items() if kind in given.only}
    kinds: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-kills-") as folder:
        home = Path(folder)
        os.environ["BENCH_LOCKS"] = str(home / "locks")
        with simulated_bench(home, given.clock) as announced:
            campaign = Campaign(home, announced, given.seed)
            for kind, count in counts.items():
                results: list[dict[str, Any]] = []
                for number in range(count):
                    try:
                        results.append(campaign.case(kind))
                    except (Failed, OSError, subprocess.TimeoutExpired) as error:
                        results.append({"failed": str(error), "case": number})
                    print(f"{kind} {number + 1}/{count}: {results[-1]}", file=sys.stderr, flush=True)
                kinds[kind] = summary(results)
            campaign.watch.close()
    ok = all(kind["passed"] == kind["count"] for kind in kinds.values())
    print(json.dumps({"campaign": "kills", "seed": given.seed, "clock": given.clock, "ok": ok, "kinds": kinds}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
