"""What a run writes while it goes on: journal events, packets on the ``steps`` lane, verdicts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from bench.engine.verdicts import Cause, Verdicts, classify
from bench.run import events as kinds
from bench.run.journal import Journal
from bench.run.verdict import Verdict
from bench.station.clock import Clock, RealClock
from bench.trace.lane import Direction, Lane

if TYPE_CHECKING:
    from bench.engine.retrace import Retrace

_TOLD_BEFORE: Final = frozenset(
    {kinds.NOTE, kinds.IDENTITY, kinds.RESULT, kinds.OBSERVATION, kinds.REPROGRAMMING, kinds.CARD, kinds.ASK}
    | {kinds.ANSWER}
)
"""Written by a recipe itself: not once more while it is led back to where it was interrupted."""


class Record:
    """Journal, ``steps`` lane and verdicts of one run, with what steps need to know in common."""

    def __init__(self, journal: Journal, *, steps_lane: Lane | None = None) -> None:
        self.journal = journal
        self.clock: Clock = RealClock()
        self.recipe_files: Collection[str] = ()
        self.verdicts = Verdicts(self.decided)
        self.interruption: Cause | None = None
        """Why the recipe is being cancelled."""
        self.identities: dict[str, str] = {}
        """Who everything turned out to be, for run.json."""
        self.steps_passed = 0
        self.touched = 0
        """Grows with everything recorded: whether a teardown gets on."""
        self.step_ends: Callable[[], None] = lambda: None
        """Called before the end of a step is recorded."""
        self.heard: Callable[[str, Mapping[str, Any], str], None] | None = None
        """Told type, data and step of every event, for what keeps an account beside the journal (a soak's cycles)."""
        self.step_begins: Callable[[str], Awaitable[None]] | None = None
        """Told of every step before anything is done in it: a simulated world has conditions relative to steps."""
        self.retrace: Retrace | None = None
        """What leads the recipe back to where it was interrupted, and records what it is told (a soak's cycles)."""
        self._lane = steps_lane
        self._step = ""

    def set_clock(self, clock: Clock) -> None:
        """Use the station's clock for durations and for ``t`` from now on."""
        self.clock = clock
        self.journal.clock = clock.now

    def set_lane(self, lane: Lane) -> None:
        """Record step events on this lane too."""
        self._lane = lane

    def event(self, kind: str, data: Mapping[str, Any], *, step: str = "", sync: bool = False) -> None:
        """Append one event to the journal."""
        if self.retrace is not None and self.retrace.muted and kind in _TOLD_BEFORE:
            return
        self.touched += 1
        self.journal.write(kind, data, step=step, sync=sync)
        if self.heard is not None:
            self.heard(kind, data, step)

    def identify(self, name: str, value: str, source: str, *, step: str = "") -> None:
        """Record who something turned out to be."""
        self.identities[name] = value
        self.event(kinds.IDENTITY, {"name": name, "value": value, "source": source}, step=step)

    def on_lane(self, direction: Direction, data: Mapping[str, Any], comment: str) -> None:
        """Put a step event on the time line of the trace."""
        if self._lane is not None:
            text = json.dumps(data, ensure_ascii=False, default=str, separators=(",", ":"))
            self._lane.record(direction, text.encode("utf-8", "backslashreplace"), comment=comment)

    def cause_of(self, error: BaseException) -> Cause:
        """Return the cause of an exception; a cancellation has the cause for which the recipe was interrupted."""
        if isinstance(error, asyncio.CancelledError) and self.interruption is not None:
            return self.interruption
        return classify(error, self.recipe_files)

    def error(self, cause: Cause, *, step: str = "") -> None:
        """Write what went wrong for a person."""
        data = {"what": cause.what, "where": cause.where, "hint": cause.hint}
        if cause.stack:
            data["stack"] = cause.stack
        self.event(kinds.ERROR, data, step=step)

    def take(self, cause: Cause, *, step: str = "") -> None:
        """Let a cause decide the verdicts."""
        self._step = step
        if cause.verdict is Verdict.FAIL:
            self.verdicts.device_failed(cause.message)
        elif cause.verdict is Verdict.INCONCLUSIVE:
            self.verdicts.not_seen(cause.message)
        else:
            self.verdicts.bench_failed(cause.verdict, cause.message, exit_code=cause.exit_code)
        self._step = ""

    def decided(self, who: str, verdict: Verdict, reason: str) -> None:
        """Write a verdict that has just been decided."""
        data: dict[str, Any] = {who: verdict.value, "reason": reason}
        if who == "bench" and self.verdicts.exit_code is not None:
            data["exit_code"] = self.verdicts.exit_code  # for who ends the record when this process cannot
        self.event(kinds.VERDICT, data, step=self._step, sync=True)
