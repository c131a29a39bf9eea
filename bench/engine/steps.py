"""Steps: what a recipe is seen to do, with their measurements, limits and times."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import NoReturn, Protocol, runtime_checkable

from bench.engine.record import Record
from bench.engine.verdicts import Cause, StepTimeout
from bench.errors import DeviceFailure
from bench.run import events as kinds
from bench.run.verdict import Verdict, worst
from bench.station.clock import Extensible
from bench.trace.lane import Direction

Value = float | int | str | bool | None


@runtime_checkable
class QuietRadio(Protocol):
    """What asks the modem beside the recipe, and can be told not to."""

    def polling_off(self, why: str) -> AbstractContextManager[None]:
        """``with radio.polling_off("why"):`` the modem is not asked meanwhile."""


class Step:
    """One step: ``async with station.step("register", timeout=120.0) as step``.

    Its verdict is the worst of its measurements, of the device's failures within it and of what left it. A failure
    counts for the device at once, also when the recipe goes on after it; ``decisive=False`` for an attempt that may
    fail.
    """

    def __init__(
        self,
        record: Record,
        name: str,
        *,
        timeout: float | None,
        decisive: bool,
        quiet: AbstractContextManager[None] | None = None,
    ) -> None:
        if not name or "/" in name or any(ord(character) < 32 for character in name):
            raise ValueError(f"{name!r} is no name of a step: text without '/'")
        self.name = name
        self.path = name
        self.timeout = timeout
        """Seconds of station time."""
        self.verdict = Verdict.PASS
        self.started = 0.0
        """Station time in seconds."""
        self._record = record
        self._decisive = decisive
        self._parent: Step | None = None
        self._message = ""
        self._limit: AbstractAsyncContextManager[None] | None = None
        self._token: Token[Step | None] | None = None
        self._ended = False
        self._quiet = quiet
        self._before: Mapping[str, object] | None = None
        """Its end, where it has finished before the interruption of a recipe that is being led back."""
        self._spent = 0.0
        """Seconds of station time that it took before the interruption."""
        self.uncharged = 0.0
        """Seconds of station time within the step that are the bench's own: an emulator was re-programmed."""

    async def __aenter__(self) -> Step:
        record = self._record
        self._parent = current()
        if self._parent is not None:
            self.path = f"{self._parent.path}/{self.name}"
            self._decisive = self._decisive and self._parent._decisive
        self.started = record.clock.now()
        if record.retrace is not None:
            self._before = record.retrace.finished(self.path)
            if self._before is not None:
                self._token = _current.set(self)
                return self
            self._spent = record.retrace.past.elapsed.pop(self.path, 0.0)
        data = {"title": self.name} if self.timeout is None else {"title": self.name, "timeout": self.timeout}
        record.event(kinds.STEP_START, data, step=self.path)
        record.on_lane(Direction.SENT, {"step": self.path, **data}, f"step {self.path} starts")
        if record.step_begins is not None:
            await record.step_begins(self.path)
        self._token = _current.set(self)
        if self._quiet is not None:
            self._quiet.__enter__()
        if self.timeout is not None:
            self._limit = record.clock.limit(self.timeout)
            await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        expired: StepTimeout | None = None
        if self._limit is not None:
            try:
                await self._limit.__aexit__(kind, error, trace)
            except TimeoutError:
                # The limit turned its own cancellation into a timeout; one that came from within leaves as it is.
                if not isinstance(error, asyncio.CancelledError):
                    self._end(error)
                    raise
                expired = StepTimeout(
                    f"step '{self.path}' did not end within {self.timeout:g} s",
                    where=_where(error),
                    hint="bench show tells what it waited for last, trace.pcapng in the run folder every exchange",
                )
        if expired is not None:
            self._end(expired)
            raise expired from error
        self._end(error)

    def _end_again(self) -> None:
        """Leave a step that finished before the interruption: nothing of it is written or judged a second time."""
        record, before = self._record, self._before
        assert record.retrace is not None
        assert before is not None
        if self._token is not None:
            _current.reset(self._token)
        self._ended = True
        self.verdict = Verdict(str(before["verdict"]))
        self._message = str(before.get("message", ""))
        if self._parent is not None and self._decisive and self.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            self._parent._take(Cause(self.verdict, self._message))
        if self._decisive and self.verdict is Verdict.INCONCLUSIVE:  # a failure has its own event, this has none
            record.take(Cause(self.verdict, self._message), step=self.path)
        record.steps_passed += self.verdict is Verdict.PASS
        record.retrace.leave(self.path)

    def _end(self, error: BaseException | None) -> None:
        if self._before is not None:
            self._end_again()
            return
        if self._quiet is not None:
            self._quiet.__exit__(None, None, None)
        if self._token is not None:
            _current.reset(self._token)
        self._ended = True
        record = self._record
        if error is not None:
            cause = record.cause_of(error)
            self._take(cause)
            if cause.verdict is Verdict.FAIL and self._decisive:
                record.take(cause, step=self.path)
        if self._parent is not None and self._decisive and self.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            self._parent._take(Cause(self.verdict, self._message))
        if self.verdict is Verdict.PASS:
            record.steps_passed += 1
            if record.retrace is not None:
                record.retrace.passed_since += 1
        elapsed = max(0.0, record.clock.now() - self.started - self.uncharged + self._spent)
        data = {"verdict": self.verdict.value, "elapsed": round(elapsed, 9), "message": self._message}
        if self.uncharged:
            data["uncharged"] = round(self.uncharged, 9)
        comment = f"step {self.path}: {self.verdict} after {elapsed:.3f} s" + (
            f": {self._message}" if self._message else ""
        )
        record.step_ends()
        record.on_lane(Direction.RECEIVED, {"step": self.path, **data}, comment)
        record.event(kinds.STEP_END, data, step=self.path, sync=True)

    def _take(self, cause: Cause) -> None:
        before = self.verdict
        self.verdict = worst([before, cause.verdict])
        if self.verdict is not before or not self._message:
            self._message = cause.message

    # --- for the recipe -------------------------------------------------------------------------------------------

    def measure(
        self,
        name: str,
        value: Value,
        *,
        unit: str = "",
        lower: float | None = None,
        upper: float | None = None,
        source: str = "",
    ) -> Verdict:
        """Record a measurement and return its verdict; the recipe goes on whatever it is.

        ``lower`` and ``upper`` are limits in ``unit``, both allowed values: outside the device fails. A value that is
        None or not a number could not be measured: inconclusive where there is a limit. ``source`` says where it
        comes from when that is not the station's instrument (``at``, ``emulator``, ``console``, ``eim``).
        """
        verdict, message = _judge(name, value, unit, lower, upper)
        if self._record.retrace is not None:
            before = self._record.retrace.measured(self.path, name)
            if before is not None:
                return self._measured_before(Verdict(before), message)
        data: dict[str, object] = {"name": name, "value": value, "unit": unit, "verdict": verdict.value}
        if lower is not None:
            data["lower"] = lower
        if upper is not None:
            data["upper"] = upper
        if source:
            data["source"] = source
        self._record.event(kinds.MEASUREMENT, data, step=self.path)
        told = {"step": self.path, "measure": name, **{key: data[key] for key in data if key != "name"}}
        self._record.on_lane(Direction.SENT, told, f"{self.path}: {name} {value} {unit}".rstrip())
        if verdict is not Verdict.PASS:
            cause = Cause(verdict, message)
            self._take(cause)
            if self._decisive:
                self._record.take(cause, step=self.path)
        return verdict

    def _measured_before(self, verdict: Verdict, message: str) -> Verdict:
        if verdict is not Verdict.PASS:
            self._take(Cause(verdict, message))
        if verdict is Verdict.INCONCLUSIVE and self._decisive:
            self._record.take(Cause(verdict, message), step=self.path)
        return verdict

    def note(self, text: str) -> None:
        """Write a line for people into the journal."""
        if self._before is None:
            self._record.event(kinds.NOTE, {"text": str(text)}, step=self.path)

    def fail(self, what: str, *, where: str = "", hint: str = "") -> NoReturn:
        """Say that the device failed and leave the step. Raises DeviceFailure."""
        raise DeviceFailure(what, where=where, hint=hint)

    def inconclusive(self, reason: str) -> None:
        """Say that what had to be seen could not be seen: without another failure the run is inconclusive."""
        cause = Cause(Verdict.INCONCLUSIVE, reason)
        self._take(cause)
        if self._decisive and self._before is None:
            self._record.take(cause, step=self.path)

    def put_off(self, seconds: float) -> None:
        """Have the timeouts of this step and those around it end ``seconds`` of station time later (or earlier)."""
        step: Step | None = self
        while step is not None:
            if isinstance(step._limit, Extensible):
                step._limit.extend(seconds)
            step = step._parent

    def uncharge(self, seconds: float) -> None:
        """Take seconds of station time out of the elapsed time of this step and of those around it."""
        step: Step | None = self
        while step is not None:
            step.uncharged += seconds
            step = step._parent

    def remaining(self) -> float | None:
        """Return the seconds of station time until the nearest timeout of this step and those around it."""
        left: float | None = None
        step: Step | None = self
        while step is not None:
            if step.timeout is not None:
                own = step.started + step.timeout + step.uncharged - self._record.clock.now()
                left = own if left is None else min(left, own)
            step = step._parent
        return left


_current: ContextVar[Step | None] = ContextVar("bench step", default=None)


def current() -> Step | None:
    """Return the innermost open step of this task, None outside every step."""
    step = _current.get()
    while step is not None and step._ended:  # a task that outlives the step it was started in
        step = step._parent
    return step


def _judge(name: str, value: Value, unit: str, lower: float | None, upper: float | None) -> tuple[Verdict, str]:
    if lower is None and upper is None:
        return Verdict.PASS, ""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if number is None or math.isnan(number):
        if value is None or isinstance(value, float):
            return Verdict.INCONCLUSIVE, f"{name} could not be measured"
        raise TypeError(f"{name} = {value!r} has limits but is no number")
    shown = f" {unit}" if unit else ""
    if lower is not None and number < lower:
        return Verdict.FAIL, f"{name} is {number:.6g}{shown}, below {lower:g}{shown}"
    if upper is not None and number > upper:
        return Verdict.FAIL, f"{name} is {number:.6g}{shown}, above {upper:g}{shown}"
    return Verdict.PASS, ""


def _where(error: BaseException | None) -> str:
    """Return file and line of what was waiting when the time was up."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    named = [frame for frame in frames if "/asyncio/" not in frame.filename]
    return f"{named[-1].filename}:{named[-1].lineno}" if named else ""
