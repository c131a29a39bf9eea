"""What real instruments do to every power driver: the right error or a recovery in time, and never a wrong value."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from supply_bench import CASES, DROP, LIMITS, Bench, Case, with_supply

from bench.errors import InstrumentError, InstrumentTimeout
from bench.station.drivers import DriverOptions, load_driver
from instruments.power.wire import SupplyWire
from instruments.scpi.link import ConnectionLost
from instruments.scpi.parse import AnswerError

FAMILIES = [case for case in CASES if case.model not in ("e36311a", "ngl202", "ngu401", "spd1168x")]
"""One model a grammar."""
SHORT = {"timeout": 0.06}
SETTLED = 0.02


@pytest.fixture(params=FAMILIES, ids=str)
def case(request):
    return request.param


@pytest.fixture
def bench(case, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    with Bench(case.model, channel=case.channel) as made:
        yield made


async def on(bench: Bench, supply: object, amperes: float = 0.111) -> None:
    await supply.set_output(True)  # type: ignore[attr-defined]
    bench.load(amperes)
    await asyncio.sleep(SETTLED)


def measures(line: str) -> bool:
    return "MEAS" in line.upper() or line.upper().startswith(("V1O", "V2O", "I1O", "I2O"))


def once(*parts, when=measures):
    """A fault for the first matching line: ``parts`` are sent in place of the answer."""
    left = [1]

    def fault(line: str, payload: bytes | None):
        if not when(line) or payload is None or not left[0]:
            return None
        left[0] -= 1
        return [part(payload) if callable(part) else part for part in parts]

    return fault


def test_closed_in_the_middle_of_an_answer_is_asked_again(bench, case):
    async def body(supply):
        await on(bench, supply)
        bench.fault = once(lambda payload: payload[:2], DROP)
        return await supply.measure()

    reading = with_supply(bench, case, body)
    assert reading.voltage == pytest.approx(3.8, abs=0.02) and reading.current == pytest.approx(0.111, abs=0.002)
    assert bench.connections == 2


def test_a_late_answer_is_never_the_next_one(bench, case):
    async def body(supply):
        await on(bench, supply, 0.111)
        bench.fault = once(0.12, lambda payload: payload)
        with pytest.raises(InstrumentTimeout):
            await supply.measure()
        bench.load(0.222)
        await asyncio.sleep(SETTLED)
        first = await supply.measure()
        await asyncio.sleep(0.11)
        return first, await supply.measure()

    first, second = with_supply(bench, case, body, extra=SHORT)
    assert first.current == second.current == pytest.approx(0.222, abs=0.002)


GARBAGE = (
    b"\x00\xff\xfe garbage\n", b"+9.91000000E+37\n", b"9.9E37\n", b"\n", b"nan\n", b"inf\n", b"3.8;3.8\n", b"3,8\n"
)  # fmt: skip


def test_what_is_no_measurement_is_an_error_that_names_the_question(bench, case):
    async def body(supply):
        await on(bench, supply)
        for garbage in GARBAGE:
            bench.fault = once(garbage)
            with pytest.raises(AnswerError) as caught:
                await supply.measure()
            assert "psu1: " in str(caught.value) and "?" in str(caught.value), garbage
        bench.fault = None
        return await supply.measure()

    reading = with_supply(bench, case, body)
    assert reading.voltage == pytest.approx(3.8, abs=0.02)


def test_garbage_about_the_output_is_neither_on_nor_off(bench, case):
    async def body(supply):
        await on(bench, supply)
        query = supply.dialect.get_output[0].format(n=case.channel)
        bench.fault = once(b"PERHAPS\n", when=lambda line: line == query)
        with pytest.raises(AnswerError):
            await supply.output()

    with_supply(bench, case, body)


def test_refused_and_back_again(bench, case):
    async def body(supply):
        await on(bench, supply)
        bench.listen(False)
        start = time.monotonic()
        for _ in range(2):
            with pytest.raises(ConnectionLost, match=r"refused|cannot connect"):
                await supply.measure()
        took = time.monotonic() - start
        bench.listen(True)
        return took, await supply.measure()

    took, reading = with_supply(bench, case, body)
    assert took < 1.0
    assert reading.current == pytest.approx(0.111, abs=0.002)


def test_nobody_there_at_opening(bench, case):
    bench.listen(False)
    with pytest.raises(InstrumentError, match="cannot connect"):
        with_supply(bench, case, lambda supply: supply.output())


def test_a_reboot_is_seen_as_what_it_is(bench, case):
    async def body(supply):
        await on(bench, supply)
        bench.load(0.0)
        bench.do(bench.supply.reboot)
        bench.drop()
        off = await supply.output()
        await asyncio.sleep(0.1)
        dead = await supply.measure()
        await supply.set_output(True)
        await asyncio.sleep(SETTLED)
        return off, dead, await supply.measure()

    off, dead, reading = with_supply(bench, case, body)
    assert off is False and dead.voltage < 0.3
    assert reading.voltage == pytest.approx(3.8, abs=0.02)  # its set-points were gone, the station's are there again
    assert bench.channel.rail.limit == LIMITS.current_limit


def test_another_instrument_after_a_reconnection_is_refused(bench, case):
    async def body(supply):
        await on(bench, supply)
        bench.supply.identity = ",".join([*bench.supply.identity.split(",")[:2], "OTHER", "9"])
        bench.drop()
        with pytest.raises(InstrumentError, match="another instrument answers"):
            await supply.measure()

    with_supply(bench, case, body)


def test_a_second_client_on_a_supply_that_takes_one(bench, case):
    """It is turned away with words; the first one goes on and notices nothing."""
    sessions = bench.supply.sessions
    if sessions != 1:
        return

    async def body(supply):
        await on(bench, supply)
        second = DriverOptions(
            name="psu2", driver=case.driver, resource=bench.resource, channel=case.channel, limits=LIMITS
        )
        with pytest.raises(InstrumentError) as caught:
            await load_driver(case.driver).open(second)
        return str(caught.value), await supply.measure()

    message, reading = with_supply(bench, case, body)
    assert "psu2" in message
    assert reading.current == pytest.approx(0.111, abs=0.002)


def test_a_command_that_may_have_been_carried_out_is_not_repeated(bench, case):
    async def body(supply):
        await on(bench, supply)
        wanted = supply.dialect.set_voltage.format(n=case.channel, v=3.5)
        lost = []

        def fault(line: str, payload: bytes | None):
            if line == wanted:
                lost.append(line)
                return [DROP]
            return None

        bench.fault = fault
        with pytest.raises(InstrumentError):
            await supply.set_voltage(3.5)
        bench.fault = None
        await supply.set_voltage(3.6)
        return lost

    lost = with_supply(bench, case, body)
    assert len(lost) == 1 and bench.channel.programmed_volts == 3.6


def test_two_processes_on_two_channels_never_cross(monkeypatch, tmp_path):
    """INST:NSEL is one for all clients: each exchange holds the lock of the instrument's identity."""
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    cases = [Case("rs-ngm", "ngm202", 1), Case("rs-ngm", "ngm202", 2)]
    with Bench("ngm202") as bench:

        async def drive(case: Case, volts: list[float]) -> list[float]:
            supply: SupplyWire = await load_driver(case.driver).open(bench.options(case))  # type: ignore[assignment]
            try:
                found = []
                for level in volts:
                    await supply.set_voltage(level)  # type: ignore[attr-defined]
                    found.append(bench.supply.channels[case.channel - 1].programmed_volts)
                return found
            finally:
                await supply.close()

        async def run():
            return await asyncio.gather(
                drive(cases[0], [round(1.0 + n / 100, 2) for n in range(60)]),
                drive(cases[1], [round(3.0 + n / 100, 2) for n in range(60)]),
            )

        first, second = asyncio.run(run())
        assert first == [round(1.0 + n / 100, 2) for n in range(60)]
        assert second == [round(3.0 + n / 100, 2) for n in range(60)]
        # the lock is what keeps a selection and what belongs to it together
        pairs = [line for line in bench.lines if "NSEL" in line or line.startswith("VOLT")]
        for at, line in enumerate(pairs):
            if line.startswith("VOLT "):
                assert pairs[at - 1] == ("INST:NSEL 1" if float(line[5:]) < 2 else "INST:NSEL 2")


def test_random_faults_give_the_right_value_or_an_error(bench, case):
    """A load that changes with every question: an answer of yesterday would be seen."""
    chance = random.Random(str(case))
    kinds = ["good"] * 5 + ["drop", "cut", "late", "garbage", "nan", "empty", "slow"]
    seen = {"right": 0, "error": 0}

    async def body(supply):
        await on(bench, supply, 0.05)
        for number in range(40):
            amperes = 0.05 + number / 1000
            bench.load(amperes)
            kind = chance.choice(kinds)
            bench.fault = once(*{
                "good": (lambda payload: payload,),
                "drop": (DROP,),
                "cut": (lambda payload: payload[: chance.randrange(len(payload) - 1)], DROP),
                "late": (0.08, lambda payload: payload),
                "garbage": (b"#?!\n",),
                "nan": (b"9.91E37\n",),
                "empty": (b"\n",),
                "slow": (lambda payload: payload[:1], 0.004, lambda payload: payload[1:]),
            }[kind])  # fmt: skip
            try:
                reading = await supply.measure()
            except InstrumentError:
                seen["error"] += 1
                continue
            assert reading.voltage == pytest.approx(3.8, abs=0.02), kind
            assert reading.current == pytest.approx(amperes, abs=0.0021), kind
            seen["right"] += 1

    with_supply(bench, case, body, extra={"timeout": 0.05})
    assert seen["right"] > 15 and seen["error"] > 2
