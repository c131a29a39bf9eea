"""Leading a recipe back to the step in which it was interrupted: finished steps are not carried out again.

While it goes on, every answer that an instrument, a service or the clock gives to the recipe is an event ``call`` in
the journal. To resume, the recipe begins anew with the same parameters and seed: what was answered before the step in
progress is answered from the journal, nothing is switched, and its finished steps are not written again. At the first
call that has no answer the instruments are brought to where they were (``Restoring``) and the recipe goes on for real.

Kept is everything up to the last beginning of a step, and behind the end of a step also the calls between steps. A
step that an error of the bench or an abort has ended was in progress. A recipe that does not ask the same questions
again, or was given something that no journal holds (an open channel), cannot be led back: ``Diverged``.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from bench.engine.restoring import Restoring
from bench.engine.steps import current
from bench.engine.values import NotPlain, decode, decode_error, encode, encode_error
from bench.errors import BenchError
from bench.run import events as kinds
from bench.station.order_key import same_order

if TYPE_CHECKING:
    from bench.engine.record import Record
    from bench.engine.station import Station
    from bench.station.clock import Clock

_WAIT: Final = 10.0
"""Real seconds that a call without an answer waits for those beside it to use up theirs."""
_KEPT: Final = ("eim.order_", "smdpp.order", "station.ask")
"""Calls whose effect a service or a person keeps: made once, also in the step in progress, whatever else it repeats."""
_AHEAD: Final = "ahead"
_PLAIN: Final = (str, int, float, bool, type(None))
_inside: ContextVar[bool] = ContextVar("bench call", default=False)


class Diverged(BenchError):
    """The recipe cannot be led back to where it was."""


class Past:
    """What the journals of an interrupted stretch keep: answers, finished steps, measurements, verdicts."""

    def __init__(self, runs: Iterable[Iterable[Mapping[str, Any]]] = ()) -> None:
        self.answers: dict[tuple[str, str], deque[Mapping[str, Any]]] = defaultdict(deque)
        self.ended: dict[str, deque[Mapping[str, Any]]] = defaultdict(deque)
        """Finished steps by path: the data of their end."""
        self.measured: dict[tuple[str, str], deque[str]] = defaultdict(deque)
        self.kept: list[Mapping[str, Any]] = []
        self.elapsed: dict[str, float] = {}
        """Station time that the steps around the one in progress have taken."""
        self.in_progress = ""
        """Path of the step that was interrupted, '' between steps."""
        self.now: float | None = None
        """Of the recipe's clock when it was interrupted."""
        self.used: Mapping[str, Any] = {}
        """The last count of what was used, also by the step in progress."""
        self.steps = 0
        for events in runs:
            self._add(list(events))
        answered = sum(_AHEAD not in data for answers in self.answers.values() for data in answers)
        self.left = answered + sum(map(len, self.ended.values()))
        """What the recipe has not asked for yet."""

    def _add(self, events: list[Mapping[str, Any]]) -> None:
        """Add what one run has: it went on where the one before it was interrupted."""
        for event in events:
            if event["type"] == kinds.CALL and event["data"].get("used"):
                self.used = event["data"]["used"]
        cut = _interruption(events)
        kept = events[:cut]
        boundary = next((at for at in reversed(range(cut)) if _is_boundary(kept[at])), -1)
        self.in_progress = ""
        if boundary >= 0 and kept[boundary]["type"] == kinds.STEP_START:
            self.in_progress = str(kept[boundary]["step"])
            self._keep([event for event in kept[boundary:] if _within(event, self.in_progress)])
            kept = [event for at, event in enumerate(kept) if at < boundary or not _within(event, self.in_progress)]
        begun: dict[str, float] = {}
        last = told_at = 0.0
        self.now = None
        for event in kept:
            kind, data, step, t = event["type"], event["data"], str(event.get("step", "")), event.get("t")
            last = float(t) if t is not None else last
            if kind == kinds.STEP_START:
                begun[step] = last
            elif kind == kinds.STEP_END:
                begun.pop(step, None)
                self.ended[step].append(data)
                self.elapsed.pop(step, None)
                self.steps += 1
            elif kind == kinds.CALL:
                self.answers[step, str(data["call"])].append(data)
                if data["call"] == "clock.now":
                    self.now, told_at = float(data["answer"]), last
            elif kind == kinds.MEASUREMENT:
                self.measured[step, str(data["name"])].append(str(data["verdict"]))
        if self.now is not None:
            self.now += last - told_at
        for step, t in begun.items():
            if step != self.in_progress:
                self.elapsed[step] = self.elapsed.get(step, 0.0) + last - t
        self.kept += kept

    def _keep(self, repeated: list[Mapping[str, Any]]) -> None:
        """Keep the orders that the step in progress has made: it comes to them in its own time.

        One that raised, as when its server was gone, is made again.
        """
        for event in repeated:
            data = event["data"]
            if event["type"] == kinds.CALL and str(data["call"]).startswith(_KEPT) and "raised" not in data:
                self.answers[str(event["step"]), str(data["call"])].append({**data, _AHEAD: True})


def _interruption(events: list[Mapping[str, Any]]) -> int:
    """Return where an interruption shows: the runner was not killed but has ended the recipe.

    A step that ended with an error of the bench and that the recipe went on after counts as finished, unless the run
    itself ended with such an error: then it was the first to meet what broke the bench.
    """
    end = next((at for at, event in enumerate(events) if _ends_run(event)), len(events))
    wrong = ("aborted",) if end == len(events) else ("aborted", "error", "bench-error")
    steps = (at for at, event in enumerate(events[:end]) if event["type"] == kinds.STEP_END)
    return next((at for at in steps if events[at]["data"].get("verdict") in wrong), end)


def _ends_run(event: Mapping[str, Any]) -> bool:
    kind = event["type"]
    return kind in (kinds.CONTROL, kinds.RUN_END) or (kind == kinds.VERDICT and "bench" in event["data"])


def _is_boundary(event: Mapping[str, Any]) -> bool:
    return event["type"] in (kinds.STEP_START, kinds.STEP_END)


def _within(event: Mapping[str, Any], step: str) -> bool:
    return str(event.get("step", "")) == step


class Retrace:
    """The recorder of calls for one stretch of a recipe, and what answers them while it is led back."""

    def __init__(
        self,
        station: Station,
        past: Past | None = None,
        *,
        used: Callable[[], Mapping[str, Any]] = lambda: {},
        name: str = "",
    ) -> None:
        """``name``: of what is recorded or led back, the same however often; orders have their keys by it."""
        self.past = past or Past()
        self.restoring = Restoring(station)
        self.led = self.past.left > 0
        """Whether there was anything to be led through."""
        self.passed_since = 0
        """Steps that have passed after the one in progress was repeated."""
        self._record: Record = station.record
        self._station = station
        self._used = used
        self._name = name
        self._orders: Counter[tuple[str, str]] = Counter()
        """How many of a kind a step has made so far, led back or live."""
        self._told: Mapping[str, Any] = {}
        self._offset = 0.0
        self._reached = asyncio.Event()
        self._restored = not self.led
        self._lock = asyncio.Lock()
        self.clock: Clock = ToldClock(self, station.record)
        """Station time as the recipe sees it."""
        if not self.past.left:
            self._reached.set()

    @property
    def muted(self) -> bool:
        """Whether what the recipe does now has been written before."""
        return self.past.left > 0

    @property
    def disturbed(self) -> bool:
        """Whether the interruption may be to blame for a failure: no step after the repeated one has passed yet."""
        return self.led and self.passed_since < 2

    def told(self, name: str, real: Callable[[], Any], kind: type | None) -> Any:
        """Return a part of the station by which the recipe is told what it was told before."""
        return Told(self, name, real, kind)

    # --- steps ----------------------------------------------------------------------------------------------------

    def finished(self, path: str) -> Mapping[str, Any] | None:
        """Return the end of a step that finished before the interruption, None for one that is carried out."""
        ends = self.past.ended.get(path)
        return ends[0] if ends else None

    def leave(self, path: str) -> None:
        """Note that the recipe has come to the end of a finished step."""
        self.past.ended[path].popleft()
        self._consumed()

    def measured(self, path: str, name: str) -> str | None:
        """Return the verdict of a measurement that was made before."""
        made = self.past.measured.get((path, name))
        return made.popleft() if made else None

    # --- calls ----------------------------------------------------------------------------------------------------

    async def call(self, name: str, live: Callable[[], Awaitable[Any]], arguments: Any = None) -> Any:
        """Return what the journal has as the answer, else what ``live`` gives, recorded. Raises as ``live`` did."""
        if _inside.get():
            return await live()
        part, _, method = name.partition(".")
        order = self._order(name, arguments)
        answer = self._answer(name)
        if answer is not None:
            value = self._given(answer, name)
            self.restoring.took(part, method, arguments, value)
            return value
        await self._go_live(name)
        token = _inside.set(True)
        try:
            with order:
                value = await live()
        except (BenchError, TimeoutError) as error:
            with contextlib.suppress(NotPlain):
                self._write(name, {"raised": encode_error(error)})
            raise
        finally:
            _inside.reset(token)
        self.restoring.took(part, method, arguments, value)
        self._write_answer(name, value)
        return value

    def value(self, name: str, live: Callable[[], Any]) -> Any:
        """As ``call``, for what is read without waiting."""
        if _inside.get():
            return live()
        answer = self._answer(name)
        if answer is not None:
            return self._given(answer, name)
        value = live()
        if isinstance(value, _PLAIN):
            self._write_answer(name, value)
        return value

    def now(self) -> float:
        """Return the station time, going on where it was interrupted."""
        now = self.value("clock.now", lambda: self._record.clock.now() + self._offset)
        assert isinstance(now, float)
        return now

    def _order(self, name: str, arguments: Any) -> AbstractContextManager[None]:
        """Return what gives an order its key: a server that took it before an interruption is not to make it twice."""
        if not self._name or not name.startswith(_KEPT):
            return contextlib.nullcontext()
        self._orders[_path(), name] += 1
        return same_order(f"{self._name} {_path()} {name} {self._orders[_path(), name]} {arguments!r}")

    async def _go_live(self, name: str) -> None:
        """Have the instruments where they were, once everything that was answered before has been asked for."""
        if self._restored:
            return
        try:
            async with asyncio.timeout(_WAIT):  # real time: all that is waited for are answers from memory
                await self._reached.wait()
        except TimeoutError:
            what = f"the recipe asks for {name}, which it did not before: {self.past.left} answers are left"
            raise Diverged(what, where=_path(), hint="the cycle is begun again") from None
        async with self._lock:
            if self._restored:
                return
            token = _inside.set(True)
            try:
                await self.restoring.restore()
            finally:
                _inside.reset(token)
            self._restored = True
            if self.past.now is not None:
                self._offset = self.past.now - self._record.clock.now()

    def _answer(self, name: str) -> Mapping[str, Any] | None:
        answers = self.past.answers.get((_path(), name))
        if not answers:
            return None
        answer = answers.popleft()
        if _AHEAD not in answer:
            self._consumed()
        return answer

    def _consumed(self) -> None:
        self.past.left -= 1
        if self.past.left <= 0:
            self._reached.set()

    def _given(self, answer: Mapping[str, Any], name: str) -> Any:
        try:
            if "raised" in answer:
                raise decode_error(answer["raised"])
            if "answer" in answer:
                return decode(answer["answer"])
        except NotPlain as error:
            what = f"{name} answered what is not known any more: {error}"
            raise Diverged(what, where=_path(), hint="the cycle is begun again") from error
        raise Diverged(f"{name} gave what no journal can hold", where=_path(), hint="the cycle is begun again")

    def _write_answer(self, name: str, value: object) -> None:
        try:
            self._write(name, {"answer": encode(value)})
        except NotPlain as error:
            self._write(name, {"opaque": str(error)})

    def _write(self, name: str, data: Mapping[str, Any]) -> None:
        used = dict(self._used())
        more = {} if used == self._told else {"used": used}
        self._told = used
        self._record.event(kinds.CALL, {"call": name, **data, **more}, step=_path())


def _path() -> str:
    step = current()
    return step.path if step is not None else ""


class Told:
    """A part of the station whose answers are recorded, or given from the journal. ``kind``: its interface, if known.

    What the interface says is asked of it first: while a recipe is led back the part itself may not be ready.
    """

    def __init__(self, retrace: Retrace, name: str, real: Callable[[], Any], kind: type | None) -> None:
        object.__setattr__(self, "_retrace", retrace)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_real", real)
        object.__setattr__(self, "_kind", kind)

    def __getattr__(self, attribute: str) -> Any:
        retrace, real, name = self._retrace, self._real, f"{self._name}.{attribute}"
        declared = getattr(self._kind, attribute, None)
        if inspect.iscoroutinefunction(declared):
            return _waiting(retrace, name, lambda: getattr(real(), attribute))
        if isinstance(declared, property):
            return retrace.value(name, lambda: getattr(real(), attribute))
        found = getattr(real(), attribute)
        if inspect.iscoroutinefunction(found):
            return _waiting(retrace, name, lambda: found)
        return retrace.value(name, lambda: found) if isinstance(found, _PLAIN) else found

    def __setattr__(self, attribute: str, value: Any) -> None:
        setattr(self._real(), attribute, value)


def _waiting(retrace: Retrace, name: str, method: Callable[[], Any]) -> Callable[..., Awaitable[Any]]:
    async def called(*arguments: Any, **options: Any) -> Any:
        return await retrace.call(name, lambda: method()(*arguments, **options), (arguments, options))

    return called


class ToldClock:
    """Station time as a recipe that is led back sees it: it goes on, and what was waited for is not waited for."""

    def __init__(self, retrace: Retrace, record: Record) -> None:
        self._retrace = retrace
        self._record = record

    def now(self) -> float:
        """As the clock's own."""
        return self._retrace.now()

    async def sleep(self, seconds: float) -> None:
        """As the clock's own; a wait that was over before the interruption is over at once."""
        await self._retrace.call("clock.sleep", lambda: self._record.clock.sleep(seconds))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record.clock, name)
