"""The owner of a soak: starts one run after another on each station, keeps the book, decides when it is over.

It holds no hardware and can be killed at any time: runs go on to their end by themselves, and the next owner reads what
they found. Runs are started through ``Runs``, which bench.client provides.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.run.verdict import Verdict
from bench.soak import book as books
from bench.soak import codes as pools
from bench.soak import plan as plans
from bench.soak import quota, rules, samples
from bench.soak.alerts import Alerts
from bench.soak.plan import Plan
from bench.soak.worker import AT_ONCE, TEARDOWN, Runs, Worker

_LOOK: Final = 0.5


class Owner:
    """One soak, from here to its end."""

    def __init__(self, folder: Path, runs: Runs) -> None:
        self.folder = folder
        self.book = books.Book(folder)
        self.plan: Plan = self.book.plan
        self.seed = int(self.book.about["seed"])
        self.runs = runs
        self.level = 0
        self.lock = threading.RLock()
        self.wake = threading.Event()
        self.started = threading.Event()
        """Set once the book has its beginning: what is asked for before waits for it."""
        self.alerts = Alerts(self.plan.tell, lambda data: self.write("alert", data))
        self.pool = pools.Pool.of(self.plan, folder)
        self._workers: dict[str, Worker] = {}
        self._before = self.book.state.active
        self._began = time.monotonic()
        self._until = self._deadline()

    # --- life -----------------------------------------------------------------------------------------------------

    def run(self) -> str:
        """Work until everything is done or stopped; return the verdict."""
        resumed = bool(self.book.state.stations) or bool(self.book.state.ended)
        with self.lock:
            books.clear_stop(self.folder)
            self.write("resume" if resumed else "soak-start", {"pid": os.getpid(), "seed": self.seed})
        self._workers = {name: Worker(self, name) for name in self.plan.stations}
        self.started.set()
        for worker in self._workers.values():
            worker.start()
        while any(worker.is_alive() for worker in self._workers.values()):
            self.wake.wait(_LOOK)
            self.wake.clear()
            self._look()
        return self._end()

    def stop(self, level: int, by: str, *, ending: Worker | None = None) -> None:
        """Take a request to end: FINISH, TEARDOWN or AT_ONCE. May be called by any thread.

        ``ending``: the station whose run ends already; a second request would take its teardown from it.
        """
        self.started.wait()
        with self.lock:
            if level <= self.level:
                return
            self.level = level
        self.write("control", {"level": level, "by": by})
        self.finish(f"stopped by {by}")
        if level >= TEARDOWN:
            self._end_runs(f"stopped by {by}", at_once=level >= AT_ONCE, ending=ending)
        self.wake.set()

    def _end_runs(self, why: str, *, at_once: bool, ending: Worker | None = None) -> None:
        """Have the runs that go on tear down, or be safe at once."""
        for worker in self._workers.values():
            if worker is not ending:
                worker.end_run(f"soak {why}", at_once=at_once)

    def finish(self, why: str) -> None:
        """Let no further cycle begin."""
        with self.lock:
            if self.book.state.stopped:
                return
            self.write("stop", {"why": why})
            try:
                books.request_stop(self.folder, why)
            except OSError:  # the runs cannot be told to finish their cycles: nothing can be kept of these either
                self._end_runs(why, at_once=False)
        self.alerts.send("stop", f"soak {self.plan.name}: {why}", why, {"soak": self.folder.name})

    def write(self, kind: str, data: Mapping[str, Any]) -> None:
        """Append to the book; a book that cannot be written ends the soak, safely."""
        with self.lock:
            if self.book.write(kind, {**data, "active": round(self.active, 3)}) or kind in ("stop", "control"):
                return
            failure = self.book.journal.failure
        self.finish(f"the soak's journal cannot be written: {failure.strerror if failure else 'closed'}")

    @property
    def active(self) -> float:
        """Seconds that the soak was worked on."""
        return self._before + time.monotonic() - self._began

    @property
    def stopping(self) -> bool:
        """Whether no further cycle begins."""
        return bool(self.book.state.stopped)

    def pause(self, seconds: float) -> None:
        """Leave a station alone for a while; over at once when no further cycle begins."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.stopping:
            time.sleep(0.1)

    # --- looking after it -----------------------------------------------------------------------------------------

    def _deadline(self) -> float | None:
        """Return the monotonic time of the plan's deadline: fixed at the start, so a step of the clock moves nothing.

        A resumed soak keeps its first deadline, which soak.json has as wall time.
        """
        told = str(self.book.about.get("until") or "")
        if not told:
            return None
        left = datetime.datetime.fromisoformat(told) - datetime.datetime.now(datetime.UTC)
        return time.monotonic() + left.total_seconds()

    def _look(self) -> None:
        if self.stopping:
            return
        duration = plans.seconds(self.plan.duration)
        if duration is not None and self.active >= duration:
            self.finish(f"its duration of {self.plan.duration} is over")
        elif self._until is not None and time.monotonic() >= self._until:
            self.finish(f"its deadline is reached ({self.book.about.get('until')})")
        state = self.book.state
        none_yet = not any(item.finished for item in state.stations.values())
        if none_yet and time.monotonic() - self._began > rules.first_cycle_limit(self.plan):
            self.finish(f"no cycle has ended within {self.plan.stop.first_cycle_within}")
        free = self._free()
        least = plans.size(self.plan.stop.disk_free)
        if least is not None and free is not None and free < least:
            self.finish(f"the disk has {free / 1e6:.0f} MB left, less than {self.plan.stop.disk_free}")
        most = plans.energy(self.plan.stop.energy)
        if most is not None and state.energy >= most:
            self.finish(f"{state.energy:.0f} J are used, of {self.plan.stop.energy}")

    def _free(self) -> float | None:
        try:
            return shutil.disk_usage(self.folder).free
        except OSError:
            return None

    def cycle(self, station: str, end: Mapping[str, Any], run: str) -> None:
        """Take a finished cycle."""
        with self.lock:
            state = self.book.state.station(station)
            if int(end.get("cycle", -1)) < state.next:
                return
            self.write("cycle", books.outline(end, run))
            why = "" if self.stopping else rules.stop_for(self.plan, self.book.state, station)
        if why:
            self.finish(why)
        self.check_budget(station)

    def check_budget(self, station: str) -> str:
        """Stop a station whose sample has used what it may; return why, '' while it may go on."""
        state = self.book.state.station(station)
        life: dict[str, float] = {}
        if self.plan.budgets.life and state.sample:
            life = samples.life(self.folder, state.sample, others_only=True)
            for name, count in state.used.items():
                life[name] = life.get(name, 0.0) + count
        why = rules.budget_ended(self.plan.budgets, state.used, life)
        if why and not state.ended:
            self.write("station-end", {"station": station, "why": why})
            with contextlib.suppress(OSError):
                books.request_stop(self.folder, why, station)
            self.alerts.send("budget", f"soak {self.plan.name}: station {station}: {why}", why, {"station": station})
        return why

    def segment_ended(self) -> None:
        """Keep what follows from a run that ended: life-time totals, the disk quota."""
        used: dict[str, dict[str, float]] = {}
        for item in self.book.state.stations.values():
            if item.sample:
                mine = used.setdefault(item.sample, {})
                for name, count in item.used.items():
                    mine[name] = mine.get(name, 0.0) + count
        with contextlib.suppress(OSError):
            samples.write(self.folder, used)
            quota.keep(self.folder, Path(str(self.book.about["runs"])), self.plan.keep)

    def _end(self) -> str:
        found = rules.outcome(self.plan, self.book.state)
        verdict = "aborted" if self.level >= TEARDOWN and found.verdict == "pass" else found.verdict
        if self.book.journal.failure is not None:  # not all of it is in the book: a resume takes it from the runs
            verdict = Verdict.BENCH_ERROR.value
        left = any(item.quarantined or item.ended for item in self.book.state.stations.values())
        done = "no station is left that could go on" if left else "every cycle of the plan was done"
        why = self.book.state.stopped or done
        self.write("soak-end", {"why": why, "verdict": verdict, "told": found.why})
        self.book.close()
        text = f"soak {self.plan.name}: {verdict}: {found.why}; {why}"
        self.alerts.send("end", text, text, {"soak": self.folder.name, "verdict": verdict})
        self.alerts.finish()
        return verdict
