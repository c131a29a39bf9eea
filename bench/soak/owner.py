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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from bench.errors import BenchError, ConfigurationError
from bench.run import events as kinds
from bench.run import liveness
from bench.run import samples as power_samples
from bench.run.verdict import Verdict
from bench.soak import book as books
from bench.soak import codes as pools
from bench.soak import plan as plans
from bench.soak import quota, rules, samples
from bench.soak.alerts import Alerts
from bench.soak.cycles import CYCLE_END
from bench.soak.plan import Plan
from bench.soak.schedule import Schedule, derived

FINISH: Final = 1
"""Finish the cycles in progress."""
TEARDOWN: Final = 2
"""Stop the runs: teardown, then safe."""
AT_ONCE: Final = 3
"""Safe at once."""
_LOOK: Final = 0.5
_LONGEST_WAIT: Final = 60.0


class Handle(Protocol):
    """A run that was started."""

    folder: Path

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code when it has ended."""


class Runs(Protocol):
    """Starting, following and stopping runs."""

    def start(self, station: str, segment: Mapping[str, Any], *, seed: int, label: str) -> Handle:
        """Start the run of a segment. Raises BenchError."""

    def follow(self, folder: Path) -> Iterator[Mapping[str, Any]]:
        """Yield the events of a run until its end."""

    def stop(self, folder: Path, *, reason: str, at_once: bool) -> None:
        """Ask a run for teardown, or for safe at once. Never raises."""

    def find(self, station: str, label: str) -> Path | None:
        """Return the run with this label."""

    def make_safe(self, station: str) -> None:
        """Switch off what a run has left on whose runner and supervisor are dead. Never raises."""


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

    def stop(self, level: int, by: str) -> None:
        """Take a request to end: FINISH, TEARDOWN or AT_ONCE. May be called by a signal handler's thread."""
        self.started.wait()
        with self.lock:
            if level <= self.level:
                return
            self.level = level
        self.write("control", {"level": level, "by": by})
        self.finish(f"stopped by {by}")
        if level >= TEARDOWN:
            self._end_runs(f"stopped by {by}", at_once=level >= AT_ONCE)
        self.wake.set()

    def _end_runs(self, why: str, *, at_once: bool) -> None:
        """Have the runs that go on tear down, or be safe at once."""
        for worker in self._workers.values():
            if worker.folder is not None:
                self.runs.stop(worker.folder, reason=f"soak {why}", at_once=at_once)

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
        why = self.book.state.stopped or "every cycle of the plan was done"
        self.write("soak-end", {"why": why, "verdict": verdict, "told": found.why})
        self.book.close()
        text = f"soak {self.plan.name}: {verdict}: {found.why}; {why}"
        self.alerts.send("end", text, text, {"soak": self.folder.name, "verdict": verdict})
        self.alerts.finish()
        return verdict


class Worker(threading.Thread):
    """One station of a soak."""

    def __init__(self, owner: Owner, station: str) -> None:
        super().__init__(name=f"soak-{station}", daemon=True)
        self.owner = owner
        self.station = station
        self.folder: Path | None = None
        """Of the run that goes on."""
        self.schedule = Schedule(owner.plan, owner.seed, station)

    @property
    def state(self) -> books.StationState:
        """How far it is."""
        return self.owner.book.state.station(self.station)

    def run(self) -> None:
        """Do one segment after another."""
        try:
            self.owner.runs.make_safe(self.station)
            self._take_over()
            while not self._over():
                self._segment()
        except Exception as error:
            self.owner.write("quarantine", {"station": self.station, "why": f"{type(error).__name__}: {error}"})
            raise
        finally:
            self.owner.wake.set()

    def _over(self) -> bool:
        state, length = self.state, self.schedule.length
        if self.owner.stopping or state.quarantined or state.ended:
            return True
        return (length is not None and state.next >= length) or bool(self.owner.check_budget(self.station))

    def _take_over(self) -> None:
        """Take over the segment that an owner before has left, whether its run lives or not."""
        segment = self.state.segment
        if segment is None:
            return
        runs = Path(str(self.owner.book.about["runs"]))
        name = str(segment.get("run", ""))
        folder = runs / name if name else self.owner.runs.find(self.station, str(segment.get("label", "")))
        if folder is None or not folder.is_dir():
            self._ended(segment, None, begun=None, starts=0)
            return
        if liveness.alive(folder):
            self._follow(folder)
        self._reconcile(segment, folder)

    # --- a segment ------------------------------------------------------------------------------------------------

    def _segment(self) -> None:
        owner, state = self.owner, self.state
        first, count = state.next, self._count(state.next)
        wait = self._attach_pause()
        if wait:
            owner.wake.wait(min(wait, _LONGEST_WAIT))
            return
        # Of this segment alone: by its label a run is found whose folder the book did not get to know.
        label = f"soak {owner.folder.name} {self.station} {first}.{state.attempt} {owner.book.journal.seq}"
        with owner.lock:
            codes = owner.pool.take(owner.book.state.codes, self._codes_needed(first, count))
            segment = {
                "soak": owner.folder.name,
                "station": self.station,
                "first": first,
                "count": count,
                "attempt": state.attempt,
                "left": state.left,
                "seed": owner.seed,
                "codes": codes,
                "label": label,
                "faults": list(owner.plan.recipes[self.schedule.item(first).part].faults),
            }
            owner.write("segment-start", segment)
        try:
            handle = owner.runs.start(self.station, segment, seed=derived(owner.seed, self.station, first), label=label)
        except BenchError as error:
            self._refused(segment, error)
            return
        self.folder = handle.folder
        owner.write("segment-run", {"station": self.station, "run": handle.folder.name})
        if owner.level >= TEARDOWN:  # asked for while it began
            owner.runs.stop(handle.folder, reason="soak stopped", at_once=owner.level >= AT_ONCE)
        self._follow(handle.folder)
        handle.wait()
        self._reconcile(segment, handle.folder)
        self.folder = None

    def _count(self, first: int) -> int:
        """Return how many cycles the next run has: those with one fault time line, never past the end."""
        plan, most = self.owner.plan, self.owner.plan.segment
        if self.schedule.length is not None:
            most = min(most, self.schedule.length - first)
        if plan.budgets.attaches_per_hour is not None:
            most = 1
        faults = plan.recipes[self.schedule.item(first).part].faults
        if faults:
            return 1
        count = 1
        if all(not part.faults for part in plan.recipes):
            return most
        while count < most and not plan.recipes[self.schedule.item(first + count).part].faults:
            count += 1
        return count

    def _codes_needed(self, first: int, count: int) -> int:
        codes = self.owner.plan.codes
        if codes is None:
            return 0
        return sum(
            pools.takes(self.schedule.item(index).recipe, codes.parameter) for index in range(first, first + count)
        )

    def _attach_pause(self) -> float:
        """Return how many seconds to wait before the station may attach again."""
        most = self.owner.plan.budgets.attaches_per_hour
        if most is None:
            return 0.0
        used, active = self.state.used.get("attaches", 0.0), self.owner.active
        return max(0.0, (used - most) / most * 3600.0 - active) if used > most else 0.0

    def _follow(self, folder: Path) -> None:
        self.folder = folder
        for event in self.owner.runs.follow(folder):
            if event["type"] == CYCLE_END:
                self.owner.cycle(self.station, event["data"], folder.name)
            elif event["type"] in (kinds.TRIP_CLEARED, kinds.FOREIGN_CHANGE):
                text = f"station {self.station}: {event['type']}: {dict(event['data'])}"
                self.owner.alerts.send("trip", f"soak {self.owner.plan.name}: {text}", text, {"station": self.station})

    def _reconcile(self, segment: Mapping[str, Any], folder: Path) -> None:
        """Take from a run that has ended everything that the book does not have yet; nothing of it may stay on."""
        self.owner.runs.make_safe(self.station)
        ends, begun, starts = books.cycles_in(folder)
        for end in ends:
            self.owner.cycle(self.station, end, folder.name)
        if begun is not None:
            steps = books.steps_finished(folder, int(begun.get("cycle", -1)))
            told = {"station": self.station, "cycle": begun.get("cycle"), "run": folder.name, "steps": steps}
            self.owner.write("interrupted", told)
        self._ended(segment, folder, begun=begun, starts=starts)
        counted = bool(ends) and begun is None and ends[-1].get("verdict") in ("error", "bench-error")
        if self.owner.level < TEARDOWN and not counted and _bench_failed(folder):
            self.owner.write("bench-error", {"station": self.station, "run": folder.name})
        self._quarantine()

    def _ended(self, segment: Mapping[str, Any], folder: Path | None, *, begun: Any, starts: int) -> None:
        codes = list(segment.get("codes", ()))
        used = pools.used_in(folder, self.owner.plan) if folder is not None and codes else set()
        energy = 0.0
        if folder is not None:
            with contextlib.suppress(BenchError, OSError, ValueError):
                energy = _energy(folder)
        told = {
            "station": self.station,
            "run": folder.name if folder is not None else "",
            "cycles": starts,
            "codes_returned": [code for code in codes if code not in used],
            "energy": energy,
        }
        self.owner.write("segment-end", told)
        self.owner.segment_ended()

    def _refused(self, segment: Mapping[str, Any], error: BenchError) -> None:
        """Take a run that did not begin: a wrong configuration ends the station, anything else is tried again."""
        self._ended(segment, None, begun=None, starts=0)
        self.owner.write("bench-error", {"station": self.station, "error": str(error)})
        if isinstance(error, ConfigurationError):
            self.owner.write("quarantine", {"station": self.station, "why": str(error)})
            return
        self._quarantine()

    def _quarantine(self) -> None:
        """After too many bench errors in a row leave the station alone; after fewer wait a little."""
        count = self.state.bench_errors
        if not count or self.state.quarantined:
            return
        if count >= self.owner.plan.stop.bench_errors:
            why = f"{count} bench errors in a row"
            self.owner.write("quarantine", {"station": self.station, "why": why})
            subject = f"soak {self.owner.plan.name}: station {self.station} is quarantined: {why}"
            self.owner.alerts.send("quarantine", subject, subject, {"station": self.station})
            return
        self.owner.pause(min(2.0**count, _LONGEST_WAIT))


def _bench_failed(folder: Path) -> bool:
    from bench.run.index import info

    found = info(folder)
    return found is None or found.state in ("broken", "error", "bench-error")


def _energy(folder: Path) -> float:
    total = 0.0
    for item in power_samples.summary(folder).values():
        joules = item.get("energy_J")
        total += float(joules) if isinstance(joules, int | float) else 0.0
    return total
