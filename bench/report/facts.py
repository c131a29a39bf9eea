"""Everything a report tells of a run, gathered from its folder: tolerant of whatever a crash left there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.report import lanes
from bench.report.times import Event, RunTime, mono_seconds, run_time
from bench.report.values import number, table, text, wall_ns
from bench.run import events as kinds
from bench.run import folder as places
from bench.run import samples as power
from bench.run.liveness import alive
from bench.run.reader import read
from bench.run.sample_statistics import Statistics
from bench.run.samples import Samples
from bench.run.summary import summarise

_AFTER_THE_JOURNAL: Final = 7 * 86_400.0
"""Seconds: what is later than this after the last event is of no run."""
_MOST_STEPS: Final = 100_000
_BEYOND_STEPS: Final = frozenset((kinds.RUN_START, kinds.STEP_START, kinds.STEP_END, kinds.RUN_END))


@dataclass(slots=True)
class Step:
    """One step and what was recorded within it."""

    path: str
    number: int
    """Which end of a step of this path it was, from 0; -1 while it has none."""
    start: float | None
    """Seconds since the beginning of the run, in the run's time."""
    end: float | None = None
    verdict: str = ""
    """Empty when it never ended."""
    elapsed: float | None = None
    """Station time in seconds."""
    real: float | None = None
    timeout: float | None = None
    message: str = ""
    events: list[Event] = field(default_factory=list)
    """Measurements, notes, errors and whatever else belongs to it, in their order."""
    ended_ns: int | None = None
    """Wall time of its end."""

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def depth(self) -> int:
        """0 for a step of the recipe itself."""
        return self.path.count("/")


@dataclass
class Facts:
    """A run as its folder tells it."""

    folder: Path
    manifest: Mapping[str, Any]
    result: Mapping[str, Any]
    live: bool
    """Its supervisor is there: the report is of the run so far."""
    ended: bool
    steps: list[Step] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    time: RunTime = field(default_factory=RunTime)
    complaints: list[str] = field(default_factory=list)
    """What is torn, missing or unreadable."""
    trace: lanes.TraceFacts = field(default_factory=lanes.TraceFacts)
    power: list[Samples] = field(default_factory=list)
    plan: list[str] = field(default_factory=list)
    """Names of the safe sequence, empty when nothing was switched."""
    files: list[tuple[str, int]] = field(default_factory=list)

    def of(self, *types: str) -> list[Event]:
        """Return the events of some types, in order."""
        return [event for event in self.events if event["type"] in types]

    @property
    def duration(self) -> float:
        """Of the run in its time, seconds."""
        return self.time.duration

    @property
    def simulated_time(self) -> bool:
        """Whether the run's time is not the host's: a simulated world gives it."""
        return self.time.simulated

    @property
    def origin(self) -> float:
        """Run time 0 as the record's station time."""
        return self.time.origin

    @property
    def running(self) -> bool:
        """Whether the run still goes on."""
        return self.live and not self.ended

    @cached_property
    def failing(self) -> list[Step]:
        """Innermost steps that did not pass, in the order of their ends."""
        bad = [step for step in self.steps if step.verdict not in ("pass", "")]
        around = {step.path[:at] for step in bad for at, character in enumerate(step.path) if character == "/"}
        return sorted((step for step in bad if step.path not in around), key=lambda step: step.ended_ns or 0)

    @property
    def broken(self) -> bool:
        """Whether the record has no end although nobody writes it any more."""
        return not self.ended and not self.live

    @property
    def innermost(self) -> Step | None:
        """The step that was under way last, None when every step has ended."""
        return next((step for step in reversed(self.steps) if not step.verdict), None)

    @cached_property
    def errors(self) -> list[Event]:
        """Errors of the record."""
        return self.of(kinds.ERROR)

    @cached_property
    def whole(self) -> dict[str, Statistics]:
        """The figures of every supply over the whole run, by its name: of a long one they take a second to add up."""
        return {samples.name: samples.statistics() for samples in self.power}

    def error_of(self, step: Step) -> Event | None:
        """Return the error event that says more of what a step failed with."""
        return next((event for event in self.errors if _same(step, event)), None)

    @cached_property
    def loose_errors(self) -> list[Event]:
        """Errors that are not what a failing step says already."""
        messages = list(dict.fromkeys(step.message for step in self.failing))
        told = "\n".join(messages)
        return [event for event in self.errors if not (what := text(event["data"].get("what"))) or what not in told]


def _same(step: Step, error: Event) -> bool:
    what = text(error["data"].get("what"))
    return bool(what) and what in step.message


def gather(folder: Path) -> Facts:
    """Read a run folder. Raises BenchError when it is none; nothing else, whatever is in it."""
    manifest = places.manifest(folder)
    complaints: list[str] = []
    try:
        events = read(folder / places.JOURNAL)
    except (BenchError, ValueError, ArithmeticError) as error:
        events = []
        complaints.append(str(error))
    facts = Facts(
        folder=folder,
        manifest=manifest,
        result=_result(manifest, events, complaints),
        live=alive(folder),
        ended=any(event["type"] == kinds.RUN_END for event in events),
        events=events,
        complaints=complaints,
    )
    _complain(facts)
    mode = manifest.get("clock") or next((event["data"].get("clock") for event in facts.of(kinds.STATION)), "")
    facts.time = run_time(events, text(mode, 40))
    _steps(facts)
    loose = [wall_ns(event["wall"]) for event in facts.loose_errors]
    facts.trace = lanes.scan(folder, [moment for moment in loose if moment is not None])
    if facts.trace.complaint:
        complaints.append(f"the trace: {facts.trace.complaint}")
    facts.power = power.read_all(folder)
    for samples in facts.power:
        if samples.unread or samples.torn:
            complaints.append(
                f"the samples of {samples.name}: {samples.unread or 'the last row is torn, as after a crash'}"
            )
    if not facts.ended:
        _extend(facts)
    actions = places.read_json(folder / places.PLAN).get("actions")
    if isinstance(actions, list):
        facts.plan = [text(table(action).get("name"), 200) for action in actions]
    facts.files = _files(folder)
    return facts


def _extend(facts: Facts) -> None:
    """Have the time of a record without an end reach as far as samples and packets do, which are written more often."""
    time = facts.time
    until = time.duration
    for samples in facts.power:
        if samples.times and -1 <= samples.times[0] - time.origin <= time.duration + 60:
            until = max(until, samples.times[-1] - time.origin)
    last = time.of_wall(facts.trace.last_ns) if facts.trace.last_ns else None
    if last is not None:
        until = max(until, last)
    if until - time.duration < _AFTER_THE_JOURNAL:
        time.duration = until


def _result(manifest: Mapping[str, Any], events: Sequence[Event], complaints: list[str]) -> Mapping[str, Any]:
    try:
        return summarise(manifest, events)
    except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
        complaints.append(f"the result cannot be summed up: {error}")
        return {}


def _complain(facts: Facts) -> None:
    if not facts.manifest:
        facts.complaints.append("run.json is missing or unreadable: what it says of the run is not known")
    if not facts.events:
        facts.complaints.append("the journal is missing or empty")
    for event in facts.of(kinds.TORN):
        length = text(event["data"].get("length"), 20)
        facts.complaints.append(f"the journal's last line is torn ({length} bytes) and left out: the writer was killed")
    unreadable = len(facts.of(kinds.UNREADABLE))
    if unreadable:
        facts.complaints.append(f"{unreadable} lines of the journal are no events and left out")
    missing = _missing(facts.events)
    if missing:
        facts.complaints.append(f"the numbers of the journal's events leave out {missing}: lines were lost")
    if facts.broken:
        facts.complaints.append("the record breaks off: it has no end, and the supervisor is gone")


def _missing(events: Iterable[Event]) -> int:
    last = missing = 0
    for event in events:
        seq = event["seq"]
        if seq > last:
            missing += seq - last - 1
            last = seq
    return missing


def _steps(facts: Facts) -> None:
    under_way: dict[str, list[tuple[Step, float | None]]] = {}
    ends: dict[str, int] = {}
    for event in facts.events:
        kind, path, data = event["type"], event["step"], event["data"]
        if kind == kinds.STEP_START:
            step = Step(text(path, 500), -1, event["at"], timeout=number(data.get("timeout")))
            if len(facts.steps) < _MOST_STEPS:
                facts.steps.append(step)
            under_way.setdefault(path, []).append((step, mono_seconds(event)))
        elif kind == kinds.STEP_END and under_way.get(path):
            step, began = under_way[path].pop()
            step.number = ends.get(path, 0)
            ends[path] = step.number + 1
            step.end = event["at"]
            step.verdict = text(data.get("verdict"), 40) or "?"
            step.elapsed = number(data.get("elapsed"))
            now = mono_seconds(event)
            step.real = now - began if now is not None and began is not None else None
            step.message = text(data.get("message"))
            step.ended_ns = wall_ns(event["wall"])
        elif path and kind not in _BEYOND_STEPS and under_way.get(path):
            under_way[path][-1][0].events.append(event)
    if len(facts.steps) == _MOST_STEPS:
        facts.complaints.append(f"only the first {_MOST_STEPS} steps are looked at; the journal has all")


def _files(folder: Path) -> list[tuple[str, int]]:
    found = []
    try:
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.name[0] != ".":
                found.append((path.name, path.stat().st_size))
    except OSError:
        pass
    return found[:200]
