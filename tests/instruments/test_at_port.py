"""The AT port on a pty: framing, events in between, errors, hangs, ports that vanish and come back."""

from __future__ import annotations

import asyncio
import time

import pytest
from at_bench import opened, with_modem
from instrument_doubles import MemoryLane, PtyModem

from bench.errors import ConfigurationError, Refused
from bench.station.drivers import DriverOptions
from instruments.modem.errors import ModemError, ModemHung, PortGone
from instruments.modem.modem import AtModem
from instruments.promptness import Promptness


@pytest.fixture(autouse=True, params=["loop", "look"])
def promptness(request, monkeypatch):
    """Wait for answers by the event loop, and by looking for them at once."""
    monkeypatch.setattr(Promptness, "worth_a_look", request.param == "look")


@pytest.fixture
def double(tmp_path):
    with PtyModem(tmp_path) as found:
        yield found


# --- framing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        (b"\r\n+CSQ: 15,99\r\n\r\nOK\r\n", ["+CSQ: 15,99"]),
        (b"+CSQ: 15,99\r\nOK\r\n", ["+CSQ: 15,99"]),
        (b"\r\r\n+CSQ: 15,99 \r\r\n\r\r\nOK \r\r\n", ["+CSQ: 15,99"]),
        (b"\0\0\r\n+CSQ: 15,99\r\n\r\nOK\r\n\r\n", ["+CSQ: 15,99"]),
        (b"\r\n+CSQ: 15,99\r\n\r\n+CEREG: 2\r\n\r\nOK\r\n", ["+CSQ: 15,99"]),
        (b"\r\n+CEREG: 2\r\n\r\n+CSQ: 15,99\r\n\r\nOK\r\n", ["+CSQ: 15,99"]),
        (b"\r\nRDY\r\n\r\n+QIND: SMS DONE\r\n\r\n+CSQ: 15,99\r\n\r\nOK\r\n", ["+CSQ: 15,99"]),
        (b"\r\nOK\r\n", []),
    ],
)
def test_answers_in_every_framing(double, answer, lines, echo):
    double.script["AT+CSQ"] = answer
    double.echo = echo

    async def body(modem):
        return await modem.command("AT+CSQ")

    assert with_modem(double, body) == lines


def test_an_answer_that_comes_byte_by_byte(double):
    def slowly():
        for byte in b"\r\n+CSQ: 15,99\r\n\r\nOK\r\n":
            double._write(bytes((byte,)))
            time.sleep(0.002)

    double.script["AT+CSQ"] = slowly
    assert with_modem(double, lambda modem: modem.command("AT+CSQ")) == ["+CSQ: 15,99"]


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ("+CME ERROR: 14", 14, "SIM busy"),
        ("+CME ERROR: SIM busy", 14, "SIM busy"),
        ("+CME ERROR: sim BUSY", 14, "sim BUSY"),
        ("+CME ERROR: 515", 515, "515"),
        ("+CMS ERROR: 310", 310, "SIM not inserted"),
        ("ERROR", None, "answered ERROR"),
        ("COMMAND NOT SUPPORT", None, "COMMAND NOT SUPPORT"),
        ("ABORTED", None, "ABORTED"),
    ],
)
def test_every_error_ends_a_command_with_its_name(double, answer, code, words):
    double.script["AT+COPS=0"] = [answer]

    async def body(modem):
        with pytest.raises(ModemError, match=words) as caught:
            await modem.command("AT+COPS=0")
        return caught.value

    error = with_modem(double, body)
    assert error.code == code
    assert "AT+COPS=0" in str(error)


def test_events_reach_the_listeners_and_not_the_answers(double):
    seen = []
    double.script["AT+CGMM"] = b"\r\n+CGEV: NW DETACH\r\n\r\nEG25\r\n\r\n+CEREG: 0\r\n\r\nOK\r\n"

    async def body(modem):
        rung = asyncio.Event()
        modem.port.listeners += [seen.append, lambda line: rung.set() if line == "RING" else None]
        lines = await modem.command("AT+CGMM")
        double.say("RING")
        await asyncio.wait_for(rung.wait(), 2.0)
        return lines

    assert with_modem(double, body) == ["EG25"]
    assert seen == ["+CGEV: NW DETACH", "+CEREG: 0", "RING"]


def test_a_prompt_without_payload_is_escaped_and_with_one_is_answered(double):
    double.script["AT+CMGS=5"] = b"\r\n> "
    double.script["<ESC>"] = ["OK"]
    double.script["hello<SUB>"] = ["+CMGS: 7", "OK"]

    async def body(modem):
        first = await modem.command("AT+CMGS=5", timeout=2.0)
        return first, await modem.port.command("AT+CMGS=5", timeout=2.0, payload=b"hello")

    assert with_modem(double, body) == ([], ["+CMGS: 7"])


def test_commands_never_overlap(double):
    double.delay = 0.01
    double.script["AT+X=*"] = lambda line: [f"+X: {line.partition('=')[2]}", "OK"]

    async def body(modem):
        answers = await asyncio.gather(*(modem.command(f"AT+X={n}") for n in range(20)))
        assert answers == [[f"+X: {n}"] for n in range(20)]

    with_modem(double, body)


@pytest.mark.parametrize("line", ["AT\r", "AT\nAT+CFUN=0", "", "AT+X=é", "AT\x1a"])
def test_what_is_no_command_is_not_sent(double, line):
    async def body(modem):
        with pytest.raises(ConfigurationError):
            await modem.command(line)

    with_modem(double, body)
    assert double.commands == []


def test_a_pin_is_in_no_message(double):
    double.script["AT+CPIN=*"] = ["+CME ERROR: 16"]

    async def body(modem):
        with pytest.raises(ModemError) as caught:
            await modem.command('AT+CPIN="1234"')
        return str(caught.value)

    message = with_modem(double, body)
    assert "1234" not in message
    assert "incorrect password" in message


# --- hangs ------------------------------------------------------------------------------------------------------------


def test_a_modem_that_does_not_answer_is_an_error_within_the_deadline(double):
    async def body(modem):
        double.hung = True
        start = time.monotonic()
        with pytest.raises(ModemHung, match=r"did not answer within 0\.2 s"):
            await modem.command("AT+CSQ", timeout=0.2)
        assert time.monotonic() - start < 1.0
        with pytest.raises(ModemHung, match="does not answer AT"):
            await modem.command("AT+CSQ", timeout=0.2)

    with_modem(double, body)


def test_a_late_answer_is_not_taken_for_the_next_one(double):
    async def body(modem):
        double.script["AT+CSQ"] = lambda: time.sleep(0.5) or ["+CSQ: 1,99", "OK"]
        with pytest.raises(ModemHung):
            await modem.command("AT+CSQ", timeout=0.2)
        double.script["AT+CSQ"] = ["+CSQ: 2,99", "OK"]
        return await modem.command("AT+CSQ")

    assert with_modem(double, body) == ["+CSQ: 2,99"]


def test_a_late_answer_to_a_ping_does_not_end_the_next_command(double):
    pings = []

    def at():
        pings.append(None)
        if len(pings) == 1:
            time.sleep(0.3)  # the modem is still starting: this OK comes after the next ping was sent
        return ["OK"]

    double.script["AT"] = at
    double.script["AT+CSQ"] = ["+CSQ: 2,99", "OK"]

    async def body(modem):
        assert not await modem.port.ping(timeout=0.1)
        assert await modem.port.ping(timeout=2.0)
        return await modem.command("AT+CSQ")

    assert with_modem(double, body) == ["+CSQ: 2,99"]


def test_a_look_that_takes_what_the_loop_was_told_of_is_no_end_of_the_port(double):
    """The loop hears of bytes, a task that runs before its turn reads them; read() of an open tty then gives none."""
    double.script["AT+CSQ"] = ["+CSQ: 2,99", "OK"]

    async def body(modem):
        modem.port._readable()
        assert modem.port.is_open
        return await modem.command("AT+CSQ")

    assert with_modem(double, body) == ["+CSQ: 2,99"]


def test_nothing_is_sent_while_the_command_of_a_cancelled_task_runs(double):
    seen_before = []

    def slow():
        time.sleep(0.3)
        seen_before.extend(double.commands)
        return ["OK"]

    double.script["AT+COPS=2"] = slow
    double.script["AT+CSQ"] = ["+CSQ: 2,99", "OK"]

    async def body(modem):
        task = asyncio.ensure_future(modem.command("AT+COPS=2"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await modem.command("AT+CSQ")

    assert with_modem(double, body) == ["+CSQ: 2,99"]
    assert seen_before == ["AT+COPS=2"]


# --- ports ------------------------------------------------------------------------------------------------------------


def test_a_port_that_vanishes_ends_the_command_and_is_found_again(double):
    async def body(modem):
        await modem.wait_ready(timeout=5.0)
        double.hung = True
        task = asyncio.ensure_future(modem.command("AT+COPS=0"))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(double.unplug)
        with pytest.raises(PortGone, match="went away"):
            await task
        assert not modem.port.is_open
        with pytest.raises(PortGone, match="not there"):
            await modem.command("AT")
        double.hung = False
        asyncio.get_running_loop().call_later(0.2, double.plug)
        assert 0.1 < await modem.wait_ready(timeout=5.0) < 2.0
        return await modem.command("AT+CPIN?")

    assert with_modem(double, body) == ["+CPIN: READY"]


def test_a_port_that_never_comes_is_named(double):
    async def body(modem):
        await asyncio.to_thread(double.unplug)
        with pytest.raises(PortGone, match=r"is not there \(waited 0\.3 s\)"):
            await modem.wait_ready(timeout=0.3)

    with_modem(double, body)


def test_a_mute_modem_is_not_ready(double):
    async def body(modem):
        double.hung = True
        with pytest.raises(ModemHung, match=r"does not answer AT \(waited 0\.5 s\)"):
            await modem.wait_ready(timeout=0.5)

    with_modem(double, body)


def test_a_port_in_use_is_refused(double):
    async def body(modem):
        async with opened(double):
            pass

    with pytest.raises(Refused, match="in use"):
        with_modem(double, body)


def test_what_the_modem_said_before_the_port_was_open_is_not_waited_for(double):
    double.say("RDY", "APP RDY")
    double.script["ATE0"] = lambda: ["OK"]
    assert with_modem(double, lambda modem: modem.wait_ready(timeout=2.0)) < 1.0


@pytest.mark.parametrize("port", ["ttyUSB0", "usb:xx", "COM3", ""])
def test_a_port_that_is_none_is_a_configuration_error(port):
    with pytest.raises(ConfigurationError, match="no serial port"):
        asyncio.run(AtModem.open(DriverOptions(name="modem", port=port)))


def test_an_unknown_option_is_refused_with_a_hint():
    with pytest.raises(ConfigurationError, match="vendor"):
        asyncio.run(AtModem.open(DriverOptions(name="modem", port="/dev/null", extra={"vendr": "x"})))


# --- what is noted ---


def test_bytes_are_counted_for_the_clock(double):
    counted = {}

    class Counter:
        def __init__(self):
            self.tx = self.rx = 0

        def sent(self, count):
            self.tx += count

        def received(self, count):
            self.rx += count

    from bench.station.clock import RealClock

    class Clock(RealClock):
        def port(self, path):
            return counted.setdefault(path, Counter())

    with_modem(double, lambda modem: modem.wait_ready(timeout=2.0), clock=Clock())
    assert list(counted) == [str(double.link)]
    counter = counted[str(double.link)]
    assert (counter.tx, counter.rx) == (double.read, double.written)


def test_every_line_is_on_the_lane_before_the_next_command(double):
    lane = MemoryLane("at:modem")
    double.script["AT+CSQ"] = ["+CSQ: 15,99", "OK"]

    async def body(modem):
        await modem.command("AT+CSQ")
        await modem.command("AT")

    with_modem(double, body, lane=lane)
    assert [(int(direction), data.strip()) for direction, data, _ in lane.packets] == [
        (0, b"AT+CSQ"),
        (1, b"+CSQ: 15,99"),
        (1, b"OK"),
        (0, b"AT"),
        (1, b"OK"),
    ]
    assert b"".join(lane.received()) == b"\r\n+CSQ: 15,99\r\n\r\nOK\r\n\r\nOK\r\n"


def test_a_deadline_that_the_clock_cannot_reach_exactly_is_reached(double):
    """A clock of whole nanoseconds: what is left of 0.3 s is 1e-17 s at last, and no wait makes it less."""
    from bench.station.clock import RealClock

    class Coarse(RealClock):
        time = 0.1

        def now(self):
            return Coarse.time

        async def sleep(self, seconds):
            await asyncio.sleep(0)
            Coarse.time += round(seconds, 9)

    async def body(modem):
        await asyncio.to_thread(double.unplug)
        with pytest.raises(PortGone):
            await modem.wait_ready(timeout=0.7 + 1e-10)

    async def bounded(modem):
        async with asyncio.timeout(5):
            await body(modem)

    with_modem(double, bounded, clock=Coarse())
