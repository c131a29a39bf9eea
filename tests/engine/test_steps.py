"""Steps, measurements, verdicts: what becomes of what a recipe does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.engine.record import Record
from bench.engine.station import Station
from bench.engine.verdicts import Aborted, Cause, RecipeError, StepTimeout, Verdicts, classify
from bench.errors import BenchError, ConfigurationError, DeviceFailure, InstrumentError, InstrumentTimeout, Refused
from bench.run.journal import Journal
from bench.run.reader import read
from bench.run.verdict import Verdict
from bench.station.clock import RealClock
from bench.station.config import StationConfig
from bench.trace.lane import Direction

Body = Callable[[Station], Awaitable[None]]


class Lane:
    name = "steps"

    def __init__(self) -> None:
        self.packets: list[tuple[Direction, str]] = []

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
        dissector: str | None = None,
    ) -> None:
        self.packets.append((direction, comment or ""))


class Ran:
    def __init__(self, path: Path) -> None:
        self.journal = Journal.open(path, background=False)
        self.lane = Lane()
        self.record = Record(self.journal, steps_lane=self.lane)
        self.record.recipe_files = {__file__}
        self.station = Station(StationConfig("s", origin="bench.toml:1"), self.record, home=path, seed=1, asker=None)

    def run(self, body: Body) -> None:
        async def job() -> None:
            try:
                await body(self.station)
            except BaseException as error:
                self.record.take(self.record.cause_of(error))
                if isinstance(error, asyncio.CancelledError):
                    return
                raise
            self.record.verdicts.recipe_ended(observed=self.record.steps_passed > 0)

        asyncio.run(job())

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [{**event["data"], "step": event["step"]} for event in read(self.journal.path) if event["type"] == kind]

    @property
    def verdicts(self) -> Verdicts:
        return self.record.verdicts


@pytest.fixture
def ran(tmp_path: Path) -> Ran:
    return Ran(tmp_path / "j")


def test_nested_steps_have_paths_and_durations(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async with station.step("outer"):
            async with station.step("inner", timeout=5):
                station.note("within")
                await asyncio.sleep(0.01)

    ran.run(body)
    assert [data["step"] for data in ran.events("step-start")] == ["outer", "outer/inner"]
    ends = ran.events("step-end")
    assert [(data["step"], data["verdict"]) for data in ends] == [("outer/inner", "pass"), ("outer", "pass")]
    assert 0.009 < ends[0]["elapsed"] <= ends[1]["elapsed"] < 1
    assert ran.events("note") == [{"text": "within", "step": "outer/inner"}]
    assert ran.verdicts.final_device is Verdict.PASS
    assert ran.verdicts.code == 0
    assert [direction for direction, _ in ran.lane.packets] == [0, 0, 1, 1]
    assert ran.lane.packets[1][1] == "step outer/inner starts"


def test_parallel_steps_know_their_own_parents(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async def part(name: str) -> None:
            async with station.step(name):
                await asyncio.sleep(0)
                async with station.step("deep"):
                    await asyncio.sleep(0)

        async with station.step("both"):
            await station.gather(part("a"), part("b"))

    ran.run(body)
    assert {data["step"] for data in ran.events("step-end")} == {
        "both", "both/a", "both/b", "both/a/deep", "both/b/deep",
    }  # fmt: skip


def test_limits(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async with station.step("m") as step:
            assert step.measure("free", "text") is Verdict.PASS
            assert step.measure("in", 2, lower=2, upper=2.0, unit="V") is Verdict.PASS
            assert station.measure("high", 3.0, upper=2.5, unit="V", source="at") is Verdict.FAIL
            assert step.measure("low", 1, lower=1.5) is Verdict.FAIL

    ran.run(body)
    data = ran.events("measurement")
    assert data[2] == {
        "name": "high", "value": 3.0, "unit": "V", "verdict": "fail", "upper": 2.5, "source": "at", "step": "m",
    }  # fmt: skip
    assert ran.events("step-end")[0]["verdict"] == "fail"
    assert ran.events("verdict") == [{"device": "fail", "reason": "high is 3 V, above 2.5 V", "step": "m"}]
    assert ran.verdicts.code == 1


@pytest.mark.parametrize("value", [None, float("nan")])
def test_what_cannot_be_measured_is_inconclusive(ran: Ran, value: float | None) -> None:
    async def body(station: Station) -> None:
        async with station.step("m") as step:
            assert step.measure("current", value, upper=1.0) is Verdict.INCONCLUSIVE
        async with station.step("n"):
            pass

    ran.run(body)
    assert ran.verdicts.final_device is Verdict.INCONCLUSIVE
    assert ran.verdicts.code == 5
    assert ran.verdicts.reason == "current could not be measured"


@given(st.floats() | st.integers(), st.none() | st.floats(allow_nan=False), st.none() | st.floats(allow_nan=False))
def test_limits_hold_for_any_number(value: float, lower: float | None, upper: float | None) -> None:
    from bench.engine.steps import _judge

    verdict, message = _judge("x", value, "V", lower, upper)
    if lower is None and upper is None:
        assert verdict is Verdict.PASS
    elif math.isnan(value):
        assert verdict is Verdict.INCONCLUSIVE
    else:
        within = (lower is None or value >= lower) and (upper is None or value <= upper)
        assert verdict is (Verdict.PASS if within else Verdict.FAIL)
    assert bool(message) == (verdict is not Verdict.PASS)


def test_timeout_of_a_step_is_the_devices_fault_and_says_where(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async with station.step("slow", timeout=0.02):
            await asyncio.sleep(10)

    with pytest.raises(StepTimeout) as caught:
        ran.run(body)
    assert isinstance(caught.value, DeviceFailure)
    assert isinstance(caught.value, TimeoutError)
    assert ran.verdicts.code == 1
    assert "did not end within 0.02 s" in ran.verdicts.reason
    assert f"{__file__}:" in ran.verdicts.reason


def test_inner_timeout_of_an_outer_step(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async with station.step("outer", timeout=0.02):
            async with station.step("inner"):
                await asyncio.sleep(10)

    with pytest.raises(StepTimeout):
        ran.run(body)
    ends = ran.events("step-end")
    assert [(data["step"], data["verdict"]) for data in ends] == [("outer/inner", "aborted"), ("outer", "fail")]


def test_first_device_failure_stays_although_the_bench_breaks(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async with station.step("a"):
            try:
                async with station.step("b") as step:
                    step.fail("first", where="AT port")
            except DeviceFailure:
                pass
            async with station.step("c") as step:
                step.measure("v", 1, upper=0)
        raise InstrumentError("psu gone", where="psu1")

    with pytest.raises(InstrumentError):
        ran.run(body)
    assert (ran.verdicts.final_device, ran.verdicts.bench) == (Verdict.FAIL, Verdict.BENCH_ERROR)
    assert ran.verdicts.reason == "AT port: first"
    assert ran.verdicts.code == 3
    assert [data["verdict"] for data in ran.events("step-end") if data["step"] == "a"] == ["fail"]


def test_after_the_bench_broke_nothing_is_held_against_the_device() -> None:
    verdicts = Verdicts()
    verdicts.bench_failed(Verdict.BENCH_ERROR, "psu gone")
    verdicts.device_failed("no answer")
    verdicts.recipe_ended(observed=True)
    assert verdicts.final_device is Verdict.INCONCLUSIVE
    assert verdicts.reason == "psu gone"
    verdicts.bench_failed(Verdict.ABORTED, "later")
    assert verdicts.bench is Verdict.BENCH_ERROR


def test_an_attempt_may_fail(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async with station.step("attempts"):
            for _ in range(2):
                try:
                    async with station.step("attempt", decisive=False) as step:
                        step.measure("v", 1, upper=0)
                        async with station.step("deep"):
                            raise DeviceFailure("not yet")
                except DeviceFailure:
                    continue

    ran.run(body)
    assert ran.verdicts.final_device is Verdict.PASS
    assert [data["verdict"] for data in ran.events("step-end")] == ["fail"] * 4 + ["pass"]


def test_interruption_names_its_cause_in_every_open_step(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async with station.step("a"):
            async with station.step("b"):
                ran.record.interruption = Cause(Verdict.BENCH_ERROR, "service eim ended")
                raise asyncio.CancelledError

    ran.run(body)
    assert {data["verdict"] for data in ran.events("step-end")} == {"bench-error"}
    assert ran.verdicts.bench is Verdict.BENCH_ERROR


def test_recipe_without_a_step_saw_nothing(ran: Ran) -> None:
    async def body(station: Station) -> None:
        station.note("hello")

    ran.run(body)
    assert ran.verdicts.final_device is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", ["", "a/b", "a\nb"])
def test_names_of_steps(ran: Ran, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a step"):
        ran.station.step(name)


def test_wrong_use_is_an_error_of_the_recipe(ran: Ran) -> None:
    with pytest.raises(RecipeError, match="outside of every step"):
        ran.station.measure("x", 1)
    with pytest.raises(RecipeError, match="without a person"):
        asyncio.run(ran.station.ask("?", ("a",)))
    with pytest.raises(Refused, match="station s has no modem") as caught:
        _ = ran.station.modem
    assert caught.value.where == "bench.toml:1"


def own_assertion() -> None:
    registered = "99970"
    assert registered == "00101"


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [
        (DeviceFailure("x"), Verdict.FAIL, None),
        (TimeoutError(), Verdict.FAIL, None),
        (TimeoutError(110, "Connection timed out"), Verdict.ERROR, None),
        (InstrumentTimeout("x"), Verdict.BENCH_ERROR, None),
        (Refused("x"), Verdict.BENCH_ERROR, None),
        (BenchError("x"), Verdict.BENCH_ERROR, None),
        (ConfigurationError("x"), Verdict.BENCH_ERROR, 2),
        (Aborted("x"), Verdict.ABORTED, None),
        (RecipeError("x"), Verdict.ERROR, None),
        (asyncio.CancelledError(), Verdict.ABORTED, None),
        (KeyError("x"), Verdict.ERROR, None),
        (ExceptionGroup("g", [ExceptionGroup("h", [InstrumentError("x")]), KeyError()]), Verdict.BENCH_ERROR, None),
        (BaseExceptionGroup("g", [asyncio.CancelledError(), DeviceFailure("x")]), Verdict.FAIL, None),
    ],
)
def test_classification(error: BaseException, verdict: Verdict, code: int | None) -> None:
    cause = classify(error)
    assert (cause.verdict, cause.exit_code) == (verdict, code)


def test_an_assertion_of_the_recipe_is_the_devices_and_of_others_an_error() -> None:
    try:
        own_assertion()
    except AssertionError as error:
        cause = classify(error, {__file__})
        assert cause.verdict is Verdict.FAIL
        assert "00101" in cause.what
        assert classify(error, {"/other.py"}).verdict is Verdict.ERROR


def test_remaining_time_of_the_nearest_limit(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async with station.step("outer", timeout=10) as outer:
            async with station.step("inner", timeout=100) as inner:
                left = inner.remaining()
                assert left is not None
                assert 9 < left <= 10
            assert outer.remaining() is not None

    ran.run(body)


class Emulator:
    def __init__(self, after: int) -> None:
        self.left = after

    async def cells(self) -> list[int]:
        return [1, 2]

    async def attached_imsi(self, *, cell: int = 1) -> str:
        self.left -= cell == 2
        return "999700000000002" if cell == 2 and self.left < 0 else ""


def test_registration_seen_by_the_emulator_names_its_source(ran: Ran) -> None:
    class Fast(RealClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(0)

    async def body(station: Station) -> None:
        ran.record.set_clock(Fast())
        station.provide("network", Emulator(3))
        async with station.step("register", timeout=5):
            found = await station.wait_registered(plmn="99970")
        assert (found.registered, found.source, found.plmn) == (True, "emulator", "99970")
        station.provide("network", Emulator(10**9))
        with pytest.raises(DeviceFailure, match="did not attach within"):
            await station.wait_registered(timeout=0.02)

    ran.run(body)
