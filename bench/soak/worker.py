"""One station of a soak: one segment after another, each a run that is started, followed and taken into the book.

Its thread belongs to an owner (``bench.soak.owner``), which decides when all of it is over. Runs are started through
``Runs``, which bench.client provides.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from bench.errors import BenchError, ConfigurationError
from bench.run import events as kinds
from bench.run import liveness
from bench.run import samples as power_samples
from bench.run.follow import NeverBegan
from bench.soak import book as books
from bench.soak import codes as pools
from bench.soak.cycles import CYCLE_END
from bench.soak.schedule import Schedule, derived

if TYPE_CHECKING:
    from bench.soak.owner import Owner

FINISH: Final = 1
"""Finish the cycles in progress."""
TEARDOWN: Final = 2
"""Stop the runs: teardown, then safe."""
AT_ONCE: Final = 3
"""Safe at once."""
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
        """Yield the events of a run until its end. Raises NeverBegan for one without any."""

    def stop(self, folder: Path, *, reason: str, at_once: bool) -> None:
        """Ask a run for teardown, or for safe at once. Never raises."""

    def find(self, station: str, label: str) -> Path | None:
        """Return the run with this label."""

    def make_safe(self, station: str) -> None:
        """Switch off what a run has left on whose runner and supervisor are dead. Never raises."""


class Worker(threading.Thread):
    """One station of a soak."""

    def __init__(self, owner: Owner, station: str) -> None:
        super().__init__(name=f"soak-{station}", daemon=True)
        self.owner = owner
        self.station = station
        self.folder: Path | None = None
        """Of the run that goes on."""
        self.schedule = Schedule(owner.plan, owner.seed, station)
        self._told_to_end = False
        """Whether this soak has asked its run to end."""
        self._began = time.monotonic_ns()

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
        self.folder, self._told_to_end = handle.folder, False
        owner.write("segment-run", {"station": self.station, "run": handle.folder.name})
        if owner.level >= TEARDOWN:  # asked for while it began
            self.end_run("soak stopped", at_once=owner.level >= AT_ONCE)
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

    def end_run(self, reason: str, *, at_once: bool) -> None:
        """Have the run that goes on tear down, or be safe at once."""
        if self.folder is not None:
            self._told_to_end = True
            self.owner.runs.stop(self.folder, reason=reason, at_once=at_once)

    def _follow(self, folder: Path) -> None:
        self.folder = folder
        # One that was killed before its first event has no journal to follow; what there is of it is taken behind.
        with contextlib.suppress(NeverBegan):
            for event in self.owner.runs.follow(folder):
                self._take(event, folder)

    def _take(self, event: Mapping[str, Any], folder: Path) -> None:
        if event["type"] == CYCLE_END:
            self.owner.cycle(self.station, event["data"], folder.name)
        elif event["type"] == kinds.CONTROL:
            self._ended_by_another(event, folder)
        elif event["type"] in (kinds.TRIP_CLEARED, kinds.FOREIGN_CHANGE):
            text = f"station {self.station}: {event['type']}: {dict(event['data'])}"
            self.owner.alerts.send("trip", f"soak {self.owner.plan.name}: {text}", text, {"station": self.station})

    def _ended_by_another(self, control: Mapping[str, Any], folder: Path) -> None:
        """End the soak when a person or a signal ends its run: the next cycle would switch on again what they hold.

        What was asked for before this owner began was asked of another, and somebody has resumed the soak since.
        """
        if self._told_to_end or control["boot"] != kinds.boot_id() or control["mono_ns"] < self._began:
            return
        op, by, reason = (str(control["data"].get(name, "")) for name in ("op", "by", "reason"))
        who = f"{by or 'somebody'}: " if by != "signal" else ""
        told = f"{who}{op} of run {folder.name}" + (f" ({reason})" if reason else "")
        self.owner.stop(AT_ONCE if op == "safe" else TEARDOWN, told, ending=self)

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
