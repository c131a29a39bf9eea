"""One contract for every power driver, each against the simulated instrument of its family."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from supply_bench import CASES, LIMITS, VARIANTS, Bench, Case, with_supply

from bench.errors import ConfigurationError, InstrumentError, Refused
from bench.station.drivers import SafeDriver, load_driver
from bench.station.interfaces import SafeAction
from bench.station.power import PowerAbilities, Protection, Span, WavePoint, dip
from fixtures.sim.supply_channel import RailLog


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return request.param


@pytest.mark.parametrize("case", VARIANTS, ids=str)
def test_further_models_of_the_families(case, bench):
    test_on_measured_off_and_no_other_channel_touched(bench, case)


@pytest.fixture
def bench(case, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    with Bench(case.model, channel=case.channel) as made:
        yield made


def abilities(bench: Bench, case: Case) -> PowerAbilities:
    async def body(supply):
        return supply.abilities

    return with_supply(bench, case, body)


def test_opening_switches_nothing_and_reads_who_it_is(bench, case):
    async def body(supply):
        return supply.identity, await supply.output(), supply.abilities, supply.safe_action()

    identity, on, able, action = with_supply(bench, case, body)
    assert bench.switching() == []
    assert not on
    assert all((identity.manufacturer, identity.model, identity.serial, identity.firmware))
    assert isinstance(able, PowerAbilities) and able.sessions >= 1
    assert action.channel == case.channel and action.dead_voltage == 0.3
    assert action.options["serial"] == identity.serial


def test_on_measured_off_and_no_other_channel_touched(bench, case):
    async def body(supply):
        await supply.set_output(True)
        bench.load(0.123)
        await asyncio.sleep(0.03)
        on, reading = await supply.output(), await supply.measure()
        bench.load(0.0)
        await supply.set_output(False)
        return on, reading, await supply.wait_dead(timeout=3.0), await supply.output()

    on, reading, took, after = with_supply(bench, case, body)
    assert on and not after and took < 2.0
    assert reading.voltage == pytest.approx(3.8, abs=0.02)
    assert reading.current == pytest.approx(0.123, abs=0.002)
    rail = bench.channel.rail
    assert (rail.set_voltage, rail.limit, rail.on) == (3.8, 0.5, False)
    for channel in bench.supply.channels:
        if channel is not bench.channel:
            assert (channel.programmed_volts, channel.programmed_on, channel.rail.on) == (0.0, False, False)
    assert bench.do(lambda: bench.supply.execute("SYST:ERR?", "t") or "0").lstrip("+").startswith("0")


def test_beyond_the_station_nothing_is_sent(bench, case):
    async def body(supply):
        before = len(bench.lines)
        for value in (4.31, -0.1, float("nan"), float("inf")):
            with pytest.raises(Refused, match=r"4\.3 V"):
                await supply.set_voltage(value)
            with pytest.raises(Refused, match=r"0\.5 A"):
                await supply.set_current_limit(value)
        with pytest.raises(Refused, match=r"point 2: 4\.4 V"):
            await supply.waveform([WavePoint(3.8, 0.1), WavePoint(4.4, 0.1)])
        assert len(bench.lines) == before

    with_supply(bench, case, body)


def test_a_cycle_is_measured_hard_and_graceful(bench, case):
    async def body(supply):
        await supply.set_output(True)
        bench.load(0.05)
        told = []

        async def asleep():
            told.append("shutdown")
            bench.load(0.0)

        async def booted():
            told.append("booted")
            await asyncio.sleep(0.02)

        graceful = await supply.cycle(hold=0.02, timeout=3.0, shutdown=asleep, booted=booted)

        async def refuses():
            raise InstrumentError("it does not answer")

        return graceful, await supply.cycle(hold=0.02, timeout=3.0, shutdown=refuses), told, await supply.output()

    graceful, hard, told, on = with_supply(bench, case, body)
    assert on and told == ["shutdown", "booted"]
    assert graceful.graceful and not hard.graceful
    assert graceful.boot_time is not None and graceful.boot_time >= 0.02 and hard.boot_time is None
    assert 0 <= graceful.time_to_dead < 2.0 and graceful.off_time >= graceful.time_to_dead + 0.02
    if abilities(bench, case).fast_log is not None:
        # 20 uF at 1 V/ms
        assert hard.inrush_peak == pytest.approx(0.02, abs=0.003)
    else:
        assert hard.inrush_peak is None


# --- abilities --------------------------------------------------------------------------------------------------------


def refused_and_silent(bench: Bench, call) -> None:
    """What is not declared is refused before anything is sent."""

    async def run(supply):
        before = len(bench.lines)
        with pytest.raises(Refused):
            await call(supply)
        assert len(bench.lines) == before

    return run


def test_protections_are_programmed_read_back_and_checked(bench, case):
    able = abilities(bench, case)
    if able.over_voltage is None and able.over_current is None:
        with_supply(bench, case, refused_and_silent(bench, lambda s: s.set_protection(Protection(4.2))))
        with_supply(bench, case, refused_and_silent(bench, lambda s: s.protection()))
        return
    level = 0.5 if able.over_current_at_limit else 0.4
    delay = 0.1 if able.over_current_delay else None
    wanted = Protection(4.2, level if able.over_current else None, delay)

    async def body(supply):
        await supply.set_output(True)
        await supply.set_protection(wanted)
        found = await supply.protection()
        before = len(bench.lines)
        for wrong in (Protection(3.7), Protection(9999.0), Protection(4.2, 999.0), Protection(4.2, float("nan"))):
            with pytest.raises(Refused):
                await supply.set_protection(wrong)
        assert len(bench.lines) == before
        return found, await supply.trip()

    found, trip = with_supply(bench, case, body)
    assert trip is None
    assert found.over_voltage == pytest.approx(4.2)
    assert (found.over_current, found.over_current_delay) == (wanted.over_current, delay)
    assert bench.channel.ovp == pytest.approx(4.2) and bench.channel.ocp_on is (able.over_current is not None)


def test_a_trip_has_a_cause_and_is_cleared_once(bench, case):
    able = abilities(bench, case)
    if able.over_current is None:
        return

    async def tripped(supply, within=3.0):
        until = time.monotonic() + within
        while (cause := await supply.trip()) is None:
            assert time.monotonic() < until
            await asyncio.sleep(0.02)
        return cause

    async def body(supply):
        await supply.set_output(True)
        level = 0.5 if able.over_current_at_limit else 0.4
        await supply.set_protection(Protection(4.2, level, 0.05 if able.over_current_delay else None))
        assert await supply.clear_trip() is None
        bench.load(0.9)
        first = await tripped(supply)
        assert await tripped(supply) == first  # also where reading empties the register
        off = await supply.output()
        bench.load(0.0)
        if case.driver not in ("rs-hmp", "rs-hmc804x"):  # there switching on again is the clearing
            with pytest.raises(InstrumentError) as caught:
                await supply.set_output(True)
            assert "over-current" in str(caught.value)
        assert await supply.clear_trip() == "over-current"
        assert not await supply.output()
        assert await supply.trip() is None
        await supply.set_output(True)
        bench.load(0.9)
        await tripped(supply)
        with pytest.raises(Refused, match="again"):
            await supply.clear_trip()
        return first, off

    told = []
    first, off = with_supply(bench, case, body, tell=lambda kind, data: told.append((kind, data["cause"])))
    assert first == "over-current" and off is False
    assert told == [("trip-cleared", "over-current")]
    assert not bench.channel.rail.on


def test_a_dip_is_run_as_long_and_as_deep_as_it_was_asked_for(bench, case):
    able = abilities(bench, case)
    if able.waveform is None:
        with_supply(
            bench, case, refused_and_silent(bench, lambda s: s.waveform(dip(3.8, 1, 0.1, before=0.1, after=0.1)))
        )
        return

    async def body(supply):
        with pytest.raises(Refused, match="output on"):
            await supply.waveform(dip(3.8, 1.4, 0.05, before=0.02, after=0.02))
        await supply.set_output(True)
        await asyncio.sleep(0.02)
        log = bench.do(lambda: RailLog(bench.channel.rail, bench.kernel))
        bench.channel.log_of_rail = log
        await supply.waveform(dip(3.8, 1.4, 0.05, before=0.02, after=0.02), repeat=2)
        await asyncio.sleep(0.01)
        seen = bench.do(lambda: log.samples(0, 600, 0.001))
        return [volts for volts, _ in seen], await supply.measure(), await supply.output()

    volts, reading, on = with_supply(bench, case, body)
    below = sum(level < 3.0 for level in volts)
    assert on and reading.voltage == pytest.approx(3.8, abs=0.02)
    assert min(volts) == pytest.approx(2.4, abs=0.01)
    assert 95 <= below <= 105  # two of 50 ms, slopes of 1 V/ms
    assert bench.channel.wave is None and bench.channel.rail.set_voltage == 3.8


def test_a_waveform_finer_than_the_supply_is_refused_and_says_who_could(bench, case):
    able = abilities(bench, case)
    finer = able.waveform.resolution / 2 if able.waveform else 0.001

    async def body(supply):
        before = len(bench.lines)
        with pytest.raises(Refused) as caught:
            await supply.waveform([WavePoint(3.8, finer)])
        if able.waveform:
            for points, repeat in (
                ([WavePoint(3.8, 1.0)] * (able.waveform.points + 1), 1),
                ([WavePoint(3.8, able.waveform.longest * 2)], 1),
                ([WavePoint(3.8, 1.0)], able.waveform.repeats + 1),
                ([WavePoint(3.8, 1.0)], 0),
                ([], 1),
                ([WavePoint(3.8, float("nan"))], 1),
            ):
                with pytest.raises(Refused):
                    await supply.waveform(points, repeat=repeat)
        assert len(bench.lines) == before
        return caught.value.hint

    hint = with_supply(bench, case, body)
    assert "could" in hint
    if finer >= 1e-6:
        assert "Keysight N6705C" in hint


def test_ramps_only_where_they_are_declared(bench, case):
    able = abilities(bench, case)
    points = [WavePoint(3.8, 0.04, ramp=True), WavePoint(3.0, 0.02)]

    async def body(supply):
        await supply.set_output(True)
        await asyncio.sleep(0.02)
        if able.waveform is None or not able.waveform.ramps:
            with pytest.raises(Refused):
                await supply.waveform(points)
            return None
        log = bench.do(lambda: RailLog(bench.channel.rail, bench.kernel))
        bench.channel.log_of_rail = log
        await supply.waveform(points)
        return [volts for volts, _ in bench.do(lambda: log.samples(0, 60, 0.001))]

    volts = with_supply(bench, case, body)
    if volts is not None:
        assert sum(3.05 < level < 3.75 for level in volts) > 25


def test_a_waveform_given_up_does_not_go_on(bench, case):
    if abilities(bench, case).waveform is None:
        return

    async def body(supply):
        await supply.set_output(True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await supply.waveform([WavePoint(2.0, 20.0)])
        await asyncio.sleep(0.03)  # the rail rises at 1 V/ms
        return await supply.measure()

    reading = with_supply(bench, case, body)
    assert bench.channel.wave is None
    assert reading.voltage == pytest.approx(3.8, abs=0.02)


def test_a_fast_log_shows_the_inrush_and_the_load(bench, case):
    able = abilities(bench, case)
    if able.fast_log is None:
        with_supply(bench, case, refused_and_silent(bench, lambda s: s.fast_log(0.1, 0.001)))
        return

    async def body(supply):
        for duration, interval in ((0.1, 1e-9), (1e9, 0.001), (0.1, float("nan"))):
            with pytest.raises(Refused):
                await supply.fast_log(duration, interval)
        return await supply.fast_log(0.1, 2e-4, during=lambda: supply.set_output(True))

    record = with_supply(bench, case, body)
    assert record.interval <= 2e-4
    assert len(record.voltage) == len(record.current) >= 0.1 / record.interval * 0.95
    assert record.voltage[-1] == pytest.approx(3.8, abs=0.01) and record.voltage[0] == 0.0
    assert record.peak() == pytest.approx(0.02, abs=0.001)
    assert bench.channel.log_of_rail is None


def test_a_starved_watchdog_switches_off_and_is_told(bench, case):
    able = abilities(bench, case)
    if able.watchdog is None:
        with_supply(bench, case, refused_and_silent(bench, lambda s: s.arm_watchdog(20)))
        assert able.host_death() == "host death leaves the output on"
        return
    assert "own watchdog" in able.host_death()

    async def body(supply):
        with pytest.raises(Refused):
            await supply.feed_watchdog()
        await supply.set_output(True)
        assert await supply.arm_watchdog(0.6) == 1.0
        for _ in range(4):
            await asyncio.sleep(0.4)
            await supply.feed_watchdog()
        on = await supply.output()
        await asyncio.sleep(1.2)
        off, cause = await supply.output(), await supply.trip()
        with pytest.raises(InstrumentError, match="watchdog"):
            await supply.set_output(True)
        await supply.arm_watchdog(30)  # clears what an earlier run left, output off
        assert not bench.channel.rail.on and not bench.channel.programmed_on
        await supply.set_output(True)
        await supply.disarm_watchdog()
        return on, off, cause

    assert with_supply(bench, case, body) == (True, False, "watchdog")
    assert not bench.supply.watchdog_on


@pytest.mark.parametrize("case", [Case("keysight-n6705c", "n6705c", 4)], ids=str)
def test_what_an_earlier_runs_watchdog_left_is_cleared_once_and_told(bench, case):
    told = []

    async def body(supply):
        bench.do(bench.supply._starved)
        await supply.arm_watchdog(30)
        bench.do(bench.supply._starved)
        sent = len(bench.lines)
        with pytest.raises(Refused, match="the watchdog protection has tripped again"):
            await supply.arm_watchdog(30)
        assert all("?" in line for line in bench.lines[sent:])
        return await supply.trip()

    assert with_supply(bench, case, body, tell=lambda kind, data: told.append((kind, data))) == "watchdog"
    assert told == [("trip-cleared", {"instrument": "psu1 channel 4", "cause": "watchdog"})]


def test_the_power_on_state_is_set_where_declared(bench, case):
    if abilities(bench, case).power_on_state:
        with_supply(bench, case, lambda s: s.set_power_on_off())
        assert bench.do(lambda: bench.supply.execute("OUTP:PON:STAT?", "t")) == "RST"
    else:
        with_supply(bench, case, refused_and_silent(bench, lambda s: s.set_power_on_off()))


# --- safe -------------------------------------------------------------------------------------------------------------


def test_safe_from_another_process_is_off_and_dead(bench, case):
    async def body(supply):
        await supply.set_output(True)
        return supply.safe_action()

    action = with_supply(bench, case, body)
    assert bench.channel.rail.on
    driver = load_driver(case.driver)
    assert isinstance(driver, SafeDriver)
    result = driver.make_safe(action, deadline=3.0)
    assert result.verified and isinstance(result.reading, float) and result.reading < LIMITS.dead_voltage
    assert not bench.channel.rail.on


def test_safe_does_not_touch_another_instrument(bench, case):
    async def body(supply):
        await supply.set_output(True)
        return supply.safe_action()

    action = with_supply(bench, case, body)
    wrong = SafeAction(
        action.name, action.driver, {**action.options, "serial": "OTHER"}, action.channel, action.dead_voltage
    )
    result = load_driver(case.driver).make_safe(wrong, deadline=0.3)
    assert not result.verified and "not touched" in result.message
    assert bench.channel.rail.on


def test_an_output_that_stays_on_is_said(bench, case):
    async def body(supply):
        await supply.set_output(True)
        bench.channel.stuck = True
        return supply.safe_action()

    action = with_supply(bench, case, body)
    result = load_driver(case.driver).make_safe(action, deadline=0.3)
    assert not result.verified and "NOT DEAD" in result.message


def test_wrong_options_are_refused_before_connecting(bench, case):
    for changes in ({"limits": None}, {"channel": 0}, {"extra": {"timeot": 1}}, {"extra": {"timeout": "1"}}):
        with pytest.raises(ConfigurationError):
            with_supply(bench, case, lambda s: s.output(), **changes)
    assert bench.connections == 0
    with pytest.raises(ConfigurationError):
        with_supply(bench, case, lambda s: s.output(), channel=100)


def test_spans_hold_their_ends():
    assert 1 in Span(1, 3600) and 3600 in Span(1, 3600) and 0.5 not in Span(1, 3600)
