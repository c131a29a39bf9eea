"""Radio measurements beside a recipe: asked for at their interval, forbidden by a step, never waited for."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bench.engine.radio import Radio, WatchedModem
from bench.engine.record import Record
from bench.engine.steps import Step
from bench.errors import InstrumentTimeout, Refused
from bench.run.journal import Journal
from bench.station.interfaces import Measurement, MeasurementListener, PowerSaving
from bench.station.interfaces import measurement as records
from bench.trace.lane import Direction

from .sampler_bed import Clock


class Lane:
    name = "radio"

    def __init__(self) -> None:
        self.packets: list[tuple[bytes, str | None, int | None]] = []

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
        dissector: str | None = None,
    ) -> None:
        self.packets.append((data, comment, time_ns))

    def objects(self, schema: str) -> list[dict[str, Any]]:
        return [found for data, _, _ in self.packets if (found := json.loads(data))["schema"] == schema]


class Probe:
    """A modem that is measured as a test says."""

    def __init__(self) -> None:
        self.measurable = True
        self.asked: list[bool] = []
        self.behaviour: Callable[[], Awaitable[Measurement | None]] | None = None
        self.listener: MeasurementListener | None = None
        self.setting = PowerSaving(False)

    async def measure_radio(self, *, background: bool = False) -> Measurement | None:
        self.asked.append(background)
        if self.behaviour is not None:
            return await self.behaviour()
        return Measurement("at:+QENG", time.time_ns(), time.monotonic_ns(), rsrp=-80.0 - len(self.asked), reg=1)

    def on_radio_event(self, listener: MeasurementListener | None) -> None:
        self.listener = listener

    def lost_power(self) -> None:
        self.measurable = False

    async def set_power_saving(self, setting: PowerSaving) -> PowerSaving:
        self.setting = setting
        return setting

    async def set_extended_drx(self, rat: str, cycle: float | None) -> None:
        pass


class Bed:
    def __init__(self, interval: float = 10.0) -> None:
        self.clock, self.lane, self.probe = Clock(), Lane(), Probe()
        self.warnings: list[str] = []
        self.radio = Radio(self.clock, self.lane, self.probe, interval=interval, warn=self.warnings.append)


def test_the_modem_is_asked_at_its_interval_and_each_record_is_on_the_lane() -> None:
    bed = Bed()

    async def run() -> None:
        async with bed.radio.running():
            await bed.clock.sleep(35.0)

    asyncio.run(run())
    assert bed.probe.asked == [True] * 4
    found = bed.lane.objects("radio.meas/1")
    assert [item["seq"] for item in found] == [1, 2, 3, 4]
    assert [item["rsrp_dbm"] for item in found] == [-81.0, -82.0, -83.0, -84.0]
    data, comment, time_ns = bed.lane.packets[-1]
    assert bed.radio.latest is not None and bed.radio.latest.rsrp == -84.0
    assert comment == "+QENG: RSRP -84 dBm; registered, home"
    assert json.loads(data)["t_ns"] == time_ns
    assert bed.warnings == []


def test_a_step_forbids_asking_and_the_lane_says_why(tmp_path: Path) -> None:
    bed = Bed()

    async def run() -> int:
        record = Record(Journal.open(tmp_path / "journal.jsonl"))
        record.set_clock(bed.clock)
        async with bed.radio.running():
            await bed.clock.sleep(15.0)
            before = len(bed.probe.asked)
            quiet = bed.radio.polling_off("step sleep")
            async with Step(record, "sleep", timeout=None, decisive=True, quiet=quiet):
                assert not bed.radio.polling
                await bed.clock.sleep(100.0)
                assert len(bed.probe.asked) == before
            assert bed.radio.polling
            await bed.clock.sleep(15.0)
            return len(bed.probe.asked) - before

    assert asyncio.run(run()) >= 1
    told = bed.lane.objects("radio.polling/1")
    assert [(item["polling"], item["why"]) for item in told] == [(False, "step sleep"), (True, "")]


def test_a_step_that_fails_gives_asking_back(tmp_path: Path) -> None:
    bed = Bed()

    async def run() -> None:
        record = Record(Journal.open(tmp_path / "journal.jsonl"))
        record.set_clock(bed.clock)
        with pytest.raises(ZeroDivisionError):
            async with Step(record, "x", timeout=None, decisive=True, quiet=bed.radio.polling_off("step x")):
                raise ZeroDivisionError
        assert bed.radio.polling

    asyncio.run(run())


def test_psm_and_edrx_end_the_asking_that_would_undo_them() -> None:
    bed = Bed()
    modem = WatchedModem(bed.probe, bed.radio)

    async def run() -> None:
        async with bed.radio.running():
            await bed.clock.sleep(1.0)
            await modem.set_power_saving(PowerSaving(True, 3600.0, 10.0))
            before = len(bed.probe.asked)
            await bed.clock.sleep(60.0)
            assert len(bed.probe.asked) == before
            await modem.set_extended_drx("LTE-M", 81.92)
            await modem.set_power_saving(PowerSaving(False))
            await bed.clock.sleep(60.0)
            assert len(bed.probe.asked) == before, "eDRX is still asked for"
            await modem.set_extended_drx("LTE-M", None)
            await bed.clock.sleep(60.0)
            assert len(bed.probe.asked) > before

    asyncio.run(run())
    assert "PSM" in bed.lane.objects("radio.polling/1")[0]["why"]


def test_a_modem_that_is_not_ready_or_has_no_power_is_left_alone() -> None:
    bed = Bed()

    async def run() -> None:
        async with bed.radio.running():
            await bed.clock.sleep(1.0)
            bed.probe.lost_power()
            before = len(bed.probe.asked)
            await bed.clock.sleep(100.0)
            assert len(bed.probe.asked) == before
            bed.probe.measurable = True
            await bed.clock.sleep(12.0)
            assert len(bed.probe.asked) > before

    asyncio.run(run())


def test_what_was_given_up_leaves_no_record_and_is_tried_again_soon() -> None:
    bed = Bed()

    async def given_up() -> Measurement | None:
        return None

    bed.probe.behaviour = given_up

    async def run() -> None:
        async with bed.radio.running():
            await bed.clock.sleep(5.0)

    asyncio.run(run())
    assert bed.radio.given_up >= 4
    assert bed.lane.packets == [] and bed.radio.latest is None


def test_a_modem_that_fails_is_asked_more_and_more_rarely_and_the_recipe_goes_on() -> None:
    bed = Bed(interval=1.0)

    async def failing() -> Measurement | None:
        raise InstrumentTimeout("no answer", where="double")

    bed.probe.behaviour = failing

    async def run() -> None:
        async with bed.radio.running():
            await bed.clock.sleep(64.0)

    asyncio.run(run())
    assert 3 <= len(bed.probe.asked) <= 9
    assert bed.warnings == [], "a modem that is away is no news: its own steps say so"


def test_what_the_modem_tells_is_taken_while_asking_is_forbidden() -> None:
    bed = Bed()
    assert bed.probe.listener is not None
    with bed.radio.polling_off("sleep current"):
        bed.probe.listener(
            Measurement("urc:+CEREG", 1, 1, reg=3, cause_type=0, cause=11, cause_name="PLMN not allowed")
        )
    (found,) = bed.lane.objects("radio.meas/1")
    assert (found["reg"], found["cause"], found["cause_name"]) == (3, 11, "PLMN not allowed")
    assert "registration denied; cause 11 PLMN not allowed" in [comment or "" for _, comment, _ in bed.lane.packets][1]
    assert bed.radio.latest is None, "it has no level"


def test_a_recipe_may_measure_whatever_is_forbidden() -> None:
    bed = Bed(interval=0.0)

    async def run() -> Measurement:
        with bed.radio.polling_off("mine"):
            return await bed.radio.measure()

    found = asyncio.run(run())
    assert bed.probe.asked == [False]
    assert found.rsrp == -81.0 and bed.radio.latest == found
    assert records.read(bed.lane.packets[0][0]) == found


def test_what_is_not_there_is_refused_in_words() -> None:
    async def run() -> None:
        radio = Radio(Clock(), Lane(), None, interval=10.0, warn=lambda text: None)
        with pytest.raises(Refused, match="no modem that measures"):
            await radio.measure()
        with pytest.raises(Refused, match="no radio recorder 'diag'"):
            await radio.ready("diag")

    asyncio.run(run())
