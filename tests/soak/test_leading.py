"""Leading an interrupted recipe back: what is kept of a journal, answers as JSON and back, what cannot be led back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bench.engine import retrace as retracing
from bench.engine.record import Record
from bench.engine.retrace import Diverged, Past, Retrace
from bench.engine.station import Station
from bench.engine.values import NotPlain, decode, decode_error, encode, encode_error
from bench.errors import DeviceFailure, EimUnreachable, InstrumentError
from bench.run.journal import Journal
from bench.run.reader import read
from bench.run.verdict import Verdict
from bench.station.config import StationConfig
from bench.station.interfaces import PollResult, PowerCycle, Reading, Registration
from bench.station.order_key import order_key


class Supply:
    """Answers as a supply, and knows what was done."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fails: set[str] = set()
        self.volts = 3.8

    async def set_output(self, on: bool) -> None:
        await self._do(f"output {on}")

    async def set_voltage(self, voltage: float) -> None:
        await self._do(f"voltage {voltage}")

    async def cycle(self, *, hold: float) -> PowerCycle:
        await self._do("cycle")
        return PowerCycle(0.25, hold, 3.8)

    async def measure(self) -> Reading:
        await self._do("measure")
        self.volts += 1.0
        return Reading(self.volts, 0.1)

    async def _do(self, what: str) -> None:
        self.done.append(what)
        await asyncio.sleep(0)
        if what in self.fails:
            raise DeviceFailure(f"no {what}", where="rail", hint="look")


class Modem:
    """Answers as a modem."""

    imei = "356938035643809"

    def __init__(self) -> None:
        self.done: list[str] = []

    async def wait_ready(self, *, timeout: float) -> float:
        self.done.append("ready")
        return 3.0

    async def wait_registered(self, *, plmn: str | None, rat: str | None, timeout: float) -> Registration:
        self.done.append("registered")
        return Registration(True, plmn="99970")


Job = Callable[[Station], Awaitable[None]]


class Bed:
    """Runs a job as a cycle does, again and again, each time with what the journals before have kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: list[Path] = []
        self.name = "20261123-010203-004-lab 5"
        self.supply, self.modem = Supply(), Modem()
        self.retrace: Retrace | None = None

    def run(self, job: Job, *, led: bool = True) -> Record:
        past = Past([read(path) for path in self.runs] if led else ())
        path = self.folder / f"{len(self.runs)}.jsonl"
        self.runs = [*self.runs, path] if led else [path]
        journal = Journal.open(path, background=False)
        record = Record(journal)
        record.set_clock(record.clock)
        station = Station(StationConfig("lab"), record, home=self.folder, seed=0, asker=None)
        station.provide("power", self.supply)
        station.provide("modem", self.modem)
        self.supply.done.clear()
        self.modem.done.clear()
        self.retrace = record.retrace = Retrace(station, past, name=self.name)
        try:
            asyncio.run(job(station))  # type: ignore[arg-type]
        finally:
            journal.close()
        return record

    def ended(self) -> list[str]:
        """The paths of the steps that ended well, over all runs."""
        events = [event for path in self.runs for event in read(path)]
        return [
            event["step"] for event in events
            if event["type"] == "step-end" and event["data"]["verdict"] not in ("aborted", "bench-error", "error")
        ]  # fmt: skip


class Killed(BaseException):
    """As kill -9: what comes after it is not written."""


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def job_until(place: list[str], kill: list[bool]) -> Job:
    """A job of five steps; at ``place`` the journal is cut off when ``kill`` says so."""

    def at(station: Station, here: str) -> None:
        if place and here == place[0] and kill.pop():
            record = station.record
            record.journal.close()  # events after it are refused, as if the process were gone
            raise Killed

    async def job(station: Station) -> None:
        async with station.step("cycle"):
            async with station.step("on") as step:
                await station.power.set_voltage(3.7)
                cycle = await station.power.cycle(hold=2.0)
                step.measure("dead", cycle.time_to_dead, upper=1.0)
                at(station, "on")
            boot = await station.modem.wait_ready(timeout=5.0)
            at(station, "between")
            async with station.step("outer") as outer:
                outer.measure("boot", boot)
                async with station.step("registered"):
                    found = await station.wait_registered(timeout=5.0)
                    at(station, "registered")
                assert found.plmn == "99970"
                async with station.step("volts", decisive=False) as step:
                    reading = await station.power.measure()
                    step.measure("volts", reading.voltage, upper=1.0)
                    step.note(station.modem.imei)
                    at(station, "volts")
            async with station.step("off"):
                assert reading.voltage > 4.0
                await station.power.set_output(False)
                at(station, "off")

    return job


STEPS = ["cycle/on", "cycle/outer/registered", "cycle/outer/volts", "cycle/outer", "cycle/off", "cycle"]


@pytest.mark.parametrize(
    ("place", "repeated"),
    [
        ("on", (["voltage 3.7", "cycle", "measure", "output False"], ["ready", "registered"])),
        ("between", (["voltage 3.7", "output True", "measure", "output False"], ["ready", "registered"])),
        ("registered", (["voltage 3.7", "output True", "measure", "output False"], ["ready", "registered"])),
        ("volts", (["voltage 3.7", "output True", "measure", "output False"], ["ready", "registered"])),
        ("off", (["voltage 3.7", "output True", "output False"], ["ready", "registered"])),
    ],
)
def test_only_the_step_in_progress_is_repeated(bed: Bed, place: str, repeated: tuple[list[str], list[str]]) -> None:
    job = job_until([place], [True])
    with pytest.raises(Killed):
        bed.run(job)
    record = bed.run(job_until([], []))
    assert bed.ended() == STEPS
    assert (bed.supply.done, bed.modem.done) == repeated  # restored, then what was in progress and what comes after
    assert record.steps_passed == len(STEPS) - 1
    measured = [(e["step"], e["data"]["name"]) for path in bed.runs for e in read(path) if e["type"] == "measurement"]
    done = [("cycle/on", "dead"), ("cycle/outer", "boot"), ("cycle/outer/volts", "volts")]
    assert sorted(set(measured)) == done
    twice = {(step, name) for step, name in measured if measured.count((step, name)) > 1}
    assert twice <= {(f"cycle/{place}", "dead"), (f"cycle/outer/{place}", "volts")}


def test_interrupted_three_times_it_still_goes_on_where_it_was(bed: Bed) -> None:
    for place in ("between", "registered", "registered", "off"):
        with pytest.raises(Killed):
            bed.run(job_until([place], [True]))
    bed.run(job_until([], []))
    assert bed.ended() == STEPS


def test_a_failure_that_the_recipe_lives_with_is_given_again(bed: Bed) -> None:
    seen: list[str] = []

    async def job(station: Station) -> None:
        async with station.step("cycle"):
            try:
                async with station.step("attempt", decisive=False):
                    await station.power.set_output(True)
            except DeviceFailure as error:
                seen.append(str(error))
            async with station.step("next"):
                await station.power.measure()
                if len(seen) == 1:
                    station.record.journal.close()
                    raise Killed

    bed.supply.fails.add("output True")
    with pytest.raises(Killed):
        bed.run(job)
    bed.supply.fails.clear()
    record = bed.run(job)
    assert seen == ["rail: no output True (look)"] * 2
    assert bed.supply.done == ["measure"]
    assert record.verdicts.device is None


def test_another_question_than_before_cannot_be_led_back(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retracing, "_WAIT", 0.05)
    with pytest.raises(Killed):
        bed.run(job_until(["off"], [True]))

    async def other(station: Station) -> None:
        async with station.step("cycle"):
            await station.modem.wait_registered(timeout=1.0)

    with pytest.raises(
        Diverged, match=r"asks for modem.wait_registered, which it did not before: \d+ answers are left"
    ):
        bed.run(other)
    assert (bed.supply.done, bed.modem.done) == ([], [])  # nothing was switched


def test_what_no_journal_holds_cannot_be_led_back(bed: Bed) -> None:
    async def job(station: Station) -> None:
        async with station.step("cycle"):
            async with station.step("open"):
                station.provide("thing", Opaque())
                await station._part("thing", Opaque).make()
            async with station.step("next"):
                await station.power.measure()
                if not bed.retrace or not bed.retrace.led:
                    station.record.journal.close()
                    raise Killed

    with pytest.raises(Killed):
        bed.run(job)
    with pytest.raises(Diverged, match="what no journal can hold"):
        bed.run(job)


class Opaque:
    async def make(self) -> object:
        return self


def test_a_failure_right_after_the_interruption_may_be_its_own(bed: Bed) -> None:
    with pytest.raises(Killed):
        bed.run(job_until(["registered"], [True]))
    bed.run(job_until([], []))
    assert bed.retrace is not None
    assert (bed.retrace.led, bed.retrace.disturbed, bed.retrace.passed_since) == (True, False, 4)
    whole = Bed(bed.folder / "whole")
    whole.folder.mkdir()
    whole.run(job_until([], []))
    assert whole.retrace is not None and not whole.retrace.disturbed


def test_what_ended_with_the_bench_was_in_progress(bed: Bed) -> None:
    events: list[dict[str, Any]] = [
        {"type": "step-start", "step": "a", "data": {}, "t": 1.0},
        {"type": "step-start", "step": "a/b", "data": {}, "t": 2.0},
        {"type": "call", "step": "a/b", "data": {"call": "power.measure", "answer": 1}, "t": 2.5},
        {"type": "step-end", "step": "a/b", "data": {"verdict": "pass"}, "t": 3.0},
        {"type": "step-start", "step": "a/c", "data": {}, "t": 4.0},
        {"type": "call", "step": "a/c", "data": {"call": "ipa.poll", "raised": {"!": "x"}, "used": {"n": 2}}, "t": 5.0},
        {"type": "step-end", "step": "a/c", "data": {"verdict": "bench-error"}, "t": 5.0},
        {"type": "step-start", "step": "a/rollback", "data": {}, "t": 6.0},
        {"type": "verdict", "step": "", "data": {"bench": "bench-error"}, "t": 6.5},
        {"type": "run-end", "step": "", "data": {}, "t": 7.0},
    ]
    past = Past([events])
    assert (past.in_progress, past.steps, past.left, dict(past.used)) == ("a/c", 1, 2, {"n": 2})
    assert past.elapsed == {"a": pytest.approx(2.0)}
    # The same steps in a run that was killed: the recipe has gone on after the error, which it knew.
    killed = Past([events[:8]])
    assert (killed.in_progress, killed.steps) == ("a/rollback", 2)


class Eim:
    def __init__(self) -> None:
        self.orders = 0

    async def order_enable(self) -> str:
        self.orders += 1
        return f"order {self.orders}"


def test_an_order_of_the_step_in_progress_is_not_made_a_second_time(bed: Bed) -> None:
    eim, given, kill = Eim(), [], [True, True, False]

    async def job(station: Station) -> None:
        station.provide("eim", eim)
        async with station.step("before"):
            await station.power.set_output(True)
        async with station.step("switch"):
            await station.power.measure()
            given.append(await station.eim.order_enable())  # type: ignore[call-arg]
            await station.power.measure()
            if kill.pop(0):
                station.record.journal.close()
                raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            bed.run(job)
    bed.run(job)
    assert (given, eim.orders) == (["order 1"] * 3, 1)
    assert bed.supply.done == ["output True", "measure", "measure"]


class KeyedEim:
    """Knows an order again by its key; the journal is gone when it has taken the ``kills``-th."""

    def __init__(self, kills: int) -> None:
        self.taken: dict[str, str] = {}
        self.kills = kills
        self.journal: Journal | None = None

    async def order_enable(self, eid: str, iccid: str, *, rollback: bool) -> str:
        number = self.taken.setdefault(order_key(), f"{iccid} {len(self.taken)}")
        if len(self.taken) == self.kills and self.journal is not None:
            self.journal.close()
            self.journal = None
            raise Killed
        return number


def ordering(eim: KeyedEim, given: list[str], iccids: str = "AAB") -> Job:
    async def job(station: Station) -> None:
        station.provide("eim", eim)
        eim.journal = station.record.journal if eim.kills else None
        for step in ("switch", "again"):
            async with station.step(step):
                for iccid in iccids:
                    given.append(await station.eim.order_enable("1", iccid, rollback=True))  # type: ignore[arg-type]

    return job


@pytest.mark.parametrize("kills", range(1, 7))
def test_an_order_that_was_taken_and_not_recorded_has_the_same_key_again(bed: Bed, kills: int) -> None:
    eim = KeyedEim(kills)
    with pytest.raises(Killed):
        bed.run(ordering(eim, []))
    eim.kills = 0
    given: list[str] = []
    bed.run(ordering(eim, given))
    assert given == ["A 0", "A 1", "B 2", "A 3", "A 4", "B 5"]  # each once, none taken for another
    assert list(eim.taken.values()) == given


def test_an_order_that_the_server_gave_no_answer_to_is_placed_when_it_is_back(bed: Bed) -> None:
    gone = [True]

    class Gone(KeyedEim):
        async def order_enable(self, eid: str, iccid: str, *, rollback: bool) -> str:
            number = await super().order_enable(eid, iccid, rollback=rollback)
            if gone and len(self.taken) == 2 and gone.pop():
                raise InstrumentError("the eIM cannot be reached", where="eIM")
            return number

    eim = Gone(0)
    with pytest.raises(InstrumentError):
        bed.run(ordering(eim, []))
    journal = Journal.open(bed.runs[-1], background=False)
    journal.write("verdict", {"bench": "bench-error", "reason": "eIM: the eIM cannot be reached"})
    journal.close()
    given: list[str] = []
    bed.run(ordering(eim, given))
    assert given == ["A 0", "A 1", "B 2", "A 3", "A 4", "B 5"]


def test_orders_of_another_cycle_or_of_other_content_have_other_keys(bed: Bed) -> None:
    eim = KeyedEim(0)
    bed.run(ordering(eim, []))
    bed.run(ordering(eim, [], "BBA"), led=False)  # the same cycle, asked for something else
    bed.name = "20261123-010203-004-lab 6"
    bed.run(ordering(eim, []), led=False)
    assert len(eim.taken) == 18
    assert all(UUID(key).version == 5 for key in eim.taken)
    bed.name = ""
    bed.run(ordering(eim, []), led=False)
    assert [UUID(key).version for key in list(eim.taken)[18:]] == [4] * 6
    assert order_key() != order_key()


VALUES = [
    None, True, 7, 1.5, "text", b"\x00\xff", (1, (2, "x")), [1, [2]], {1, 2}, {"a": (1,), 2: None}, Verdict.FAIL,
    PowerCycle(0.2, 2.0, 3.8), Registration(True, plmn="99970", source="emulator"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_answers_survive_json(value: object) -> None:
    import json

    found = decode(json.loads(json.dumps(encode(value))))
    assert found == value and type(found) is type(value)


def test_what_is_no_answer_is_refused() -> None:
    for value in (object(), asyncio.Lock(), "x" * 70_000, bytes(70_000), {"a": [object()]}):
        with pytest.raises(NotPlain):
            encode(value)
    for told in ({"!": "os:system"}, {"!": "no.such:Thing"}, {"!": "subprocess:Popen", "fields": {"args": "true"}}):
        with pytest.raises(NotPlain):
            decode(told)
    with pytest.raises(NotPlain):
        decode({"!": f"{PollResult.__module__}:PollResult", "fields": {"never": 1}})


def test_errors_survive_json() -> None:
    error = decode_error(encode_error(EimUnreachable("gone", where="eim", hint="start it")))
    assert type(error) is EimUnreachable and str(error) == "eim: gone (start it)"
    assert type(decode_error(encode_error(TimeoutError("late")))) is TimeoutError
    for wrong in (ValueError("x"), OSError(5, "x")):
        with pytest.raises(NotPlain):
            encode_error(wrong)
    with pytest.raises(NotPlain):
        decode_error({"!": "builtins:SystemExit", "what": "", "where": "", "hint": ""})


def test_a_modem_answers_before_it_is_told_anything(bed: Bed) -> None:
    kill = [True, False]

    async def job(station: Station) -> None:
        async with station.step("first"):
            await station.power.set_output(True)
            await station.modem.wait_ready(timeout=5.0)
            await station.wait_registered(timeout=5.0)
            await station.modem.wait_ready(timeout=5.0)  # asked again later, as a check of the baseline does
        async with station.step("second"):
            await station.power.measure()
            if kill.pop(0):
                station.record.journal.close()
                raise Killed

    with pytest.raises(Killed):
        bed.run(job)
    bed.run(job)
    assert bed.modem.done == ["ready", "registered"]
