"""SCPI over PyVISA against real sockets: the faults the reference lists, and what parsing accepts."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instrument_doubles import MemoryLane, ScpiDouble, listener_that_is_closed

from bench.errors import BenchError, InstrumentError, InstrumentTimeout
from instruments.promptness import Promptness
from instruments.scpi import parse
from instruments.scpi.link import Abandoned, ConnectionLost
from instruments.scpi.parse import AnswerError, ScpiError
from instruments.scpi.session import ScpiSession


@pytest.fixture(autouse=True, params=["loop", "look"])
def promptness(request, monkeypatch):
    """Wait for answers by the event loop, and by looking for them at once."""
    monkeypatch.setattr(Promptness, "worth_a_look", request.param == "look")


@pytest.fixture
def double():
    with ScpiDouble() as found:
        yield found


def test_identity_is_read_at_opening_and_every_line_is_on_the_lane(double):
    lane = MemoryLane()

    async def run():
        session = await ScpiSession.open(double.resource, lane=lane)
        assert session.identity.serial == "MY12345678"
        assert await session.query("OUTP? (@1)") == "0"
        await session.write("VOLT 3.3,(@1)")
        await session.close()

    asyncio.run(run())
    assert lane.sent()[:2] == [b"*IDN?\n", b"SYST:ERR?\n"]
    assert lane.sent()[2:] == [b"OUTP? (@1)\n", b"VOLT 3.3,(@1)\n", b"*OPC?\n", b"SYST:ERR?\n"]
    assert lane.received()[2:] == [b"0\n", b"1\n", b'+0,"No error"\n']
    assert double.voltage == 3.3


def test_a_closed_port_is_refused_at_once_in_one_message():
    with listener_that_is_closed() as port:
        start = time.monotonic()
        with pytest.raises(InstrumentError, match=r"127\.0\.0\.1::.*cannot connect: connection refused"):
            asyncio.run(ScpiSession.open(f"TCPIP::127.0.0.1::{port}::SOCKET", name="psu"))
        assert time.monotonic() - start < 1.0


@pytest.mark.parametrize("resource", ["TCPIP::no.such.host.invalid::5025::SOCKET", "nonsense", "TCPIP::::5025::SOCKET"])
def test_an_address_that_is_none_is_one_instrument_error(resource):
    with pytest.raises(InstrumentError):
        asyncio.run(ScpiSession.open(resource, name="psu", identify=0.5))


def test_somebody_who_never_answers_idn_is_told_so(double):
    double.answer = lambda line: None
    with pytest.raises(InstrumentError, match=r"psu does not answer \*IDN\?") as caught:
        asyncio.run(ScpiSession.open(double.resource, name="psu", identify=0.2))
    assert "other program" in caught.value.hint


def test_an_erroneous_query_is_explained_from_the_error_queue(double):
    async def run():
        session = await ScpiSession.open(double.resource, timeout=0.2)
        with pytest.raises(ScpiError, match="-113, Undefined header") as caught:
            await session.query("MEAS:VOLTAG? (@1)")
        assert caught.value.code == -113
        assert "MEAS:VOLTAG?" in caught.value.where
        assert await session.query("OUTP? (@1)") == "0"
        await session.close()

    asyncio.run(run())


def test_a_write_with_an_error_raises_it_with_the_command(double):
    async def run():
        session = await ScpiSession.open(double.resource)
        with pytest.raises(ScpiError, match="VOLTAGE 3"):
            await session.write("VOLTAGE 3")
        await session.close()

    asyncio.run(run())


def test_errors_that_others_left_are_not_taken_for_ours(double):
    double.errors = ['-222,"Data out of range"', '-113,"Undefined header"']

    async def run():
        session = await ScpiSession.open(double.resource)
        await session.write("VOLT 3.3,(@1)")
        await session.close()

    asyncio.run(run())


def test_a_late_answer_never_reaches_the_next_query(double):
    """PyVISA-py alone delivers 'late' as the answer to the next question."""
    late = True

    def answer(line):
        nonlocal late
        if line == "READ?" and late:
            late = False
            time.sleep(0.4)
            return "late"
        return double.supply(line)

    double.answer = answer

    async def run():
        session = await ScpiSession.open(double.resource, timeout=0.2)
        with pytest.raises(InstrumentTimeout, match=r"no answer within 0\.2 s"):
            await session.query("READ?")
        await asyncio.sleep(0.5)
        assert (await session.query("*IDN?")).startswith("Keysight")
        await session.close()

    asyncio.run(run())


def test_what_came_unasked_is_recorded_and_thrown_away(double):
    lane = MemoryLane()

    async def run():
        session = await ScpiSession.open(double.resource, lane=lane)
        double.answer = lambda line: b"1\nsurplus\n" if line == "OUTP? (@1)" else double.supply(line)
        assert await session.query("OUTP? (@1)") == "1"
        await asyncio.sleep(0.05)
        assert await session.query("*OPC?") == "1"
        assert await session.query("VOLT? (@1)") == "+0.00000000E+00"
        await session.close()

    asyncio.run(run())
    assert [(data, comment) for _, data, comment in lane.packets if comment] == [
        (b"surplus\n", "late, belongs to no question")
    ]


def test_a_peer_that_closes_is_noticed_at_once_without_spinning(double):
    """PyVISA-py alone spins on the closed socket until the timeout is over and calls it slow."""

    def answer(line):
        if line == "READ?":
            raise ScpiDouble.Drop
        return double.supply(line)

    double.answer = answer

    async def run():
        session = await ScpiSession.open(double.resource, timeout=3.0)
        wall, cpu = time.monotonic(), time.process_time()
        with pytest.raises(ConnectionLost, match="closed the connection"):
            await session.query("READ?")
        assert time.monotonic() - wall < 1.0
        assert time.process_time() - cpu < 0.5
        assert double.connections == 2  # it was opened again and asked again, once
        assert await session.query("OUTP? (@1)") == "0"
        await session.close()

    asyncio.run(run())


def test_a_peer_that_closes_in_the_middle_of_an_answer_is_noticed_at_once(double):
    """The half that came must not be waited on until the timeout."""
    broken = []

    def answer(line):
        if line == "READ?" and not broken:
            broken.append(line)
            double._clients[-1].sendall(b"+3.80")
            raise ScpiDouble.Drop
        return "+3.80000000E+00" if line == "READ?" else double.supply(line)

    double.answer = answer

    async def run():
        session = await ScpiSession.open(double.resource, timeout=3.0)
        start = time.monotonic()
        assert await session.value("READ?", parse.number) == 3.8
        assert time.monotonic() - start < 1.0
        await session.close()

    asyncio.run(run())


@pytest.mark.parametrize("late", [0.0, 0.02])
def test_garbage_before_an_answer_does_not_shift_the_answers(double, late):
    """The right answer that still comes would be taken for that of the next question."""

    def answer(line):
        if line == "READ?":
            double._clients[-1].sendall(b"\xff\xfe\n")
            time.sleep(late)
            return "+1.11000000E+00"
        return "+2.22000000E+00" if line == "MEAS?" else double.supply(line)

    double.answer = answer

    async def run():
        session = await ScpiSession.open(double.resource)
        with pytest.raises(AnswerError, match=r"READ\?.*is no number") as caught:
            await session.value("READ?", parse.number)
        assert "READ?" in caught.value.where
        assert await session.value("MEAS?", parse.number) == 2.22
        await session.close()

    asyncio.run(run())


def test_garbage_instead_of_opc_is_no_command_carried_out(double):
    double.answer = lambda line: "+3.8" if line == "*OPC?" else double.supply(line)

    async def run():
        session = await ScpiSession.open(double.resource)
        with pytest.raises(AnswerError, match=r"is no answer to \*OPC\?"):
            await session.write("VOLT 2.5,(@1)")
        assert await session.query("VOLT? (@1)") == "+2.50000000E+00"
        await session.close()

    asyncio.run(run())


def test_errors_from_before_the_connection_was_lost_are_not_ours(double):
    async def run():
        session = await ScpiSession.open(double.resource)
        double.errors.append('-221,"Settings conflict"')
        double.drop_all()
        await asyncio.sleep(0.05)
        await session.write("VOLT 2.5,(@1)")
        await session.close()

    asyncio.run(run())


def test_a_connection_dropped_while_idle_is_opened_again(double):
    async def run():
        session = await ScpiSession.open(double.resource)
        double.drop_all()
        await asyncio.sleep(0.05)
        await session.write("VOLT 2.5,(@1)")
        await session.close()

    asyncio.run(run())
    assert double.voltage == 2.5
    assert double.connections == 2


def test_a_command_is_never_sent_twice(double):
    def answer(line):
        if line == "*OPC?":
            raise ScpiDouble.Drop
        return double.supply(line)

    async def run():
        session = await ScpiSession.open(double.resource)
        double.answer = answer
        with pytest.raises(ConnectionLost, match="not known whether it was carried out"):
            await session.write("VOLT 2.5,(@1)")
        await session.close()

    asyncio.run(run())
    assert double.lines.count("VOLT 2.5,(@1)") == 1


def test_another_instrument_behind_the_same_address_is_refused(double):
    async def run():
        session = await ScpiSession.open(double.resource)
        double.serial = "OTHER"
        double.drop_all()
        await asyncio.sleep(0.05)
        with pytest.raises(InstrumentError, match="another instrument answers"):
            await session.write("VOLT 2.5,(@1)")
        await session.close()

    asyncio.run(run())
    assert double.voltage == 0.0


def test_a_fragmented_answer_is_put_together(double):
    double.fragment = 0.01

    async def run():
        session = await ScpiSession.open(double.resource)
        assert await session.query("MEAS:VOLT? (@1)") == "+0.00000000E+00"
        await session.close()

    asyncio.run(run())


def test_an_instrument_that_goes_away_for_good_says_so(double):
    async def run():
        session = await ScpiSession.open(double.resource, timeout=0.2)
        double.close()
        await asyncio.sleep(0.05)
        with pytest.raises(InstrumentError, match=r"refused|closed"):
            await session.query("OUTP? (@1)")
        await session.close()

    asyncio.run(run())


def test_the_urgent_overtakes_a_read_that_waits_and_everything_queued(double):
    double.answer = lambda line: None if line == "SLOW?" else double.supply(line)

    async def run():
        session = await ScpiSession.open(double.resource, timeout=5.0)
        slow = [asyncio.ensure_future(session.query("SLOW?")) for _ in range(3)]
        await asyncio.sleep(0.1)
        start = time.monotonic()
        await session.write("OUTP OFF,(@1)", urgent=True)
        took = time.monotonic() - start
        with pytest.raises(Abandoned):
            await slow[0]
        assert double.lines.index("OUTP OFF,(@1)") < len(double.lines)
        assert double.lines.count("SLOW?") <= 2  # the second began after the urgent one at the earliest
        for task in slow[1:]:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        await session.close()
        return took

    assert asyncio.run(run()) < 0.5


def test_cancelling_a_query_frees_the_session_within_a_slice(double):
    double.answer = lambda line: None if line == "SLOW?" else double.supply(line)

    async def run():
        session = await ScpiSession.open(double.resource, timeout=10.0)
        task = asyncio.ensure_future(session.query("SLOW?"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        start = time.monotonic()
        assert await session.query("OUTP? (@1)") == "0"
        assert time.monotonic() - start < 0.5
        await session.close()

    asyncio.run(run())


def test_many_tasks_share_a_session_without_mixing_answers(double):
    double.answer = lambda line: line[5:-1] if line.startswith("ECHO ") else double.supply(line)

    async def run():
        session = await ScpiSession.open(double.resource)

        async def ask(n):
            return await session.query(f"ECHO {n}?") == str(n)

        assert all(await asyncio.gather(*(ask(n) for n in range(200))))
        await session.close()

    asyncio.run(run())


def test_a_secret_is_on_neither_lane_nor_message(double):
    lane = MemoryLane()

    async def run():
        session = await ScpiSession.open(double.resource, lane=lane)
        with pytest.raises(ScpiError) as caught:
            await session.write("SKEY #H00112233445566778899AABBCCDDEEFF", shown="SKEY ****")
        await session.close()
        return str(caught.value)

    message = asyncio.run(run())
    assert "0011" not in message
    assert not any(b"0011" in data for data in lane.sent())
    assert any(b"SKEY ****" in data for data in lane.sent())


@pytest.mark.parametrize(
    ("answer", "value"),
    [("+3.80000000E+00", 3.8), ("5.000V", 5.0), (" 0.123A\r", 0.123), ("-1e-3", -0.001), (".5", 0.5), ("7", 7.0)],
)
def test_numbers(answer, value):
    assert parse.number(answer) == value


@pytest.mark.parametrize(
    "answer", ["", "volts", "0x", "5.000mV", "3.8e", "9.91E37", "-9.9E37", "1,2", "nan", "1 2", "1.5 3V", "++1"]
)
def test_what_is_no_number(answer):
    with pytest.raises(AnswerError):
        parse.number(answer)


@pytest.mark.parametrize(
    ("answer", "entry"),
    [
        ('0,"No error"', (0, "No error")),
        ('+0,"No error"', (0, "No error")),
        ("0  No Error", (0, "No Error")),
        ('-113,"Undefined header;VOLTAG"', (-113, "Undefined header;VOLTAG")),
        ("0", (0, "")),
    ],
)
def test_error_queue_entries(answer, entry):
    assert parse.error(answer) == entry


@pytest.mark.parametrize("answer", ["", "volts", "9.91E37", "0x", "3.8.1", "1 2 3", "1,2", "+3.80000000E+00", "0,0"])
def test_an_answer_to_another_question_is_no_entry_of_the_error_queue(answer):
    with pytest.raises(AnswerError, match="no entry of an error queue"):
        parse.error(answer)


@pytest.mark.parametrize(
    ("resource", "address"),
    [
        ("TCPIP::192.0.2.10::5025::SOCKET", ("192.0.2.10", 5025)),
        ("tcpip0::psu.lab::5555::socket", ("psu.lab", 5555)),
        ("TCPIP::192.0.2.10::INSTR", None),
        ("TCPIP::192.0.2.10::99999::SOCKET", None),
        ("ASRL/dev/ttyUSB0::INSTR", None),
    ],
)
def test_socket_resources(resource, address):
    assert parse.tcp_socket(resource) == address


@given(st.text(max_size=80))
def test_parsers_raise_nothing_but_their_own_error(text):
    parse.identity(text)
    parse.text(text)
    parse.tcp_socket(text)
    for reader in (parse.number, parse.boolean, parse.error):
        try:
            reader(text)
        except BenchError:
            pass


@given(st.floats(min_value=-1e6, max_value=1e6, allow_nan=False))
def test_every_number_a_supply_may_print_is_read(value):
    assert parse.number(f"{value:+.8E}") == pytest.approx(value, rel=1e-7)
