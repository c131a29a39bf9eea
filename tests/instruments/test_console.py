"""The console driver on a pty: lines, patterns, prompts, garbage, ports that vanish."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import tty
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instrument_doubles import MemoryLane

from bench.errors import ConfigurationError, DeviceFailure, InstrumentError, Refused
from bench.station.drivers import DriverOptions
from instruments.console.console import SerialConsole
from instruments.console.text import LONGEST, LineReader, Matcher, shown

PATTERNS = {"booted": "Booting", "registered": r"registered (?P<plmn>\d{5,6})", "prompt": r"\$ $"}


class Port:
    """The device's end of a serial line."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.master = self.slave = -1
        self.plug()

    def plug(self, *, other_than: str = "") -> None:
        """Plug in, under another name than ``other_than`` whoever opens and closes terminals meanwhile."""
        with contextlib.ExitStack() as held:
            self.master, self.slave = os.openpty()
            while os.ttyname(self.slave) == other_than:
                for fd in (self.master, self.slave):
                    held.callback(os.close, fd)
                self.master = self.slave = -1
                self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self.slave))

    def unplug(self) -> None:
        self.link.unlink()
        for fd in (self.master, self.slave):
            os.close(fd)
        self.master = self.slave = -1

    def say(self, data: bytes) -> None:
        os.write(self.master, data)

    def typed(self, length: int) -> bytes:
        """What was typed, once ``length`` bytes of it are there: a pty hands it over in its own time."""
        data = b""
        while len(data) < length and select.select([self.master], [], [], 5)[0]:
            data += os.read(self.master, 4096)
        return data

    def close(self) -> None:
        if self.master >= 0:
            self.unplug()


@pytest.fixture
def port(tmp_path):
    made = Port(tmp_path / "console")
    yield made
    made.close()


async def until(true):
    while not true():  # noqa: ASYNC110 - what the console does by itself tells nobody
        await asyncio.sleep(0.01)


def with_console(port, body, **extra):
    async def run():
        lane = MemoryLane("console:app")
        options = DriverOptions(
            name="app", port=str(port.link), lane=lane, origin="bench.toml:7",
            extra={"patterns": PATTERNS, "commands": {"poll": "ipa poll", "add_eim": "add {configuration}"}, **extra},
        )  # fmt: skip
        console = await SerialConsole.open(options)
        try:
            async with asyncio.timeout(20):
                return await body(console, lane)
        finally:
            await console.close()

    return asyncio.run(run())


def test_lines_are_recorded_and_patterns_found(port):
    async def body(console, lane):
        port.say(b"\r\n*** Booting ***\r\n\x1b[32mnet: registered 00101, LTE\x1b[0m\r\n")
        found = await console.wait("registered", timeout=5, since=0.0)
        assert (found.values, found.line) == ({"plmn": "00101"}, "net: registered 00101, LTE")
        assert console.seen("booted").line == "*** Booting ***"
        assert console.last("prompt") is None
        assert b"".join(lane.received()) == b"\r\n*** Booting ***\r\n\x1b[32mnet: registered 00101, LTE\x1b[0m\r\n"

    with_console(port, body)


def test_only_what_is_said_from_now_on_counts_by_default(port):
    async def body(console, lane):
        port.say(b"Booting\r\n")
        await console.wait("booted", timeout=5, since=0.0)
        with pytest.raises(DeviceFailure, match=r"did not say 'booted' within 0\.05 s: its last line was 'Booting'"):
            await console.wait("booted", timeout=0.05)
        port.say(b"Booting again\r\n")
        assert (await console.wait("booted", timeout=5)).line == "Booting again"

    with_console(port, body)


def test_values_have_to_agree(port):
    async def body(console, lane):
        port.say(b"registered 00101\r\nregistered 99970\r\n")
        assert (await console.wait("registered", timeout=5, since=0.0, values={"plmn": "999*"})).values[
            "plmn"
        ] == "99970"
        assert console.seen("registered", values={"imsi": "1"}) is not None  # it does not tell the IMSI
        with pytest.raises(DeviceFailure, match="with plmn 26201"):
            await console.wait("registered", timeout=0.05, since=0.0, values={"plmn": "26201"})

    with_console(port, body)


def test_a_prompt_needs_no_line_end_and_is_found_once(port):
    async def body(console, lane):
        port.say(b"device:~$ ")
        await console.wait("prompt", timeout=5, since=0.0)
        port.say(b"\r\nregistered 001")
        port.say(b"01\r\n")
        assert (await console.wait("registered", timeout=5, since=0.0)).values["plmn"] == "00101"
        assert [match.name for match in console._matcher.matches] == ["prompt", "registered"]

    with_console(port, body)


def test_typing(port):
    async def body(console, lane):
        await console.command("add_eim", configuration="30ab")
        await console.send("version")
        wanted = b"add 30ab\rversion\r"
        assert await asyncio.to_thread(port.typed, len(wanted)) == wanted
        assert lane.sent() == [b"add 30ab\r", b"version\r"]
        with pytest.raises(ConfigurationError, match="no command 'reboot'"):
            await console.command("reboot")
        with pytest.raises(ConfigurationError, match="no pattern 'boted'") as wrong:
            await console.wait("boted", timeout=1)
        assert "booted" in wrong.value.hint

    with_console(port, body)


def test_binary_garbage_and_endless_lines_are_survived_within_bounds(port):
    async def body(console, lane):
        noise = bytes(range(256)) * 4
        for data in [noise] * 20 + [b"x" * 2000] * 5:
            await asyncio.to_thread(port.say, data)  # it blocks when the kernel's buffer is full
        port.say(b"\r\nregistered 00101\r\n")
        await console.wait("registered", timeout=5, since=0.0)
        received = b"".join(lane.received())
        assert received.count(noise[:10]) == 80 and received.count(b"x") >= 10_000
        assert max(map(len, lane.received())) <= LONGEST + 2
        assert len(console._reader.rest) < LONGEST

    with_console(port, body)


@pytest.mark.parametrize("step", [1000, 4096, 4097, 100_000])
def test_a_line_is_cut_at_the_bound_however_it_comes(step):
    stream = b"x" * 9000 + b"\r\n" + b"y" * LONGEST + b"\n" + b"end\n"
    reader = LineReader()
    lines = [line for at in range(0, len(stream), step) for line in reader.feed(stream[at : at + step])]
    assert b"".join(lines) == stream
    assert [len(line) for line in lines] == [LONGEST, LONGEST, 810, LONGEST, 1, 4]


def test_a_port_that_vanishes_and_comes_back_under_another_name(port):
    async def body(console, lane):
        port.say(b"half a li")
        await asyncio.sleep(0.05)
        before = os.readlink(port.link)  # noqa: PTH115
        await asyncio.to_thread(port.unplug)
        with pytest.raises(InstrumentError, match="went away"):
            await console.wait("registered", timeout=0.3)
        with pytest.raises(InstrumentError, match="not there"):
            await console.send("hello")
        port.plug(other_than=before)
        assert os.readlink(port.link) != before  # noqa: PTH115
        waiting = asyncio.create_task(console.wait("registered", timeout=5))
        await until(lambda: console.openings == 2)
        port.say(b"registered 00101\r\n")
        await waiting
        assert b"half a li" in lane.received()

    with_console(port, body)


def test_a_port_that_is_not_there_yet(tmp_path, port):
    port.unplug()
    with pytest.raises(InstrumentError, match="is not there"):
        with_console(port, lambda console, lane: None, required=True)

    async def body(console, lane):
        assert not console.is_open
        with pytest.raises(InstrumentError, match="never there"):
            await console.wait("booted", timeout=0.05)
        port.plug()
        waiting = asyncio.create_task(console.wait("booted", timeout=5))
        await until(lambda: console.is_open)
        port.say(b"Booting\r\n")
        await waiting

    with_console(port, body)


def test_a_console_that_another_bench_has_is_refused(port):
    async def body(console, lane):
        with pytest.raises(Refused, match="in use"):
            await SerialConsole.open(DriverOptions(name="b", port=str(port.link)))

    with_console(port, body)


def test_wrong_options_are_told_with_their_place(port):
    for extra, words in (
        ({"patterns": {"booted": "("}}, "no regular expression"),
        ({"patterns": []}, "no table"),
        ({"ende": "x"}, "no option 'ende'"),
    ):
        with pytest.raises(ConfigurationError, match=words) as wrong:
            with_console(port, lambda console, lane: None, **extra)
        assert wrong.value.where == "bench.toml:7"
    with pytest.raises(ConfigurationError, match="no serial port"):
        asyncio.run(SerialConsole.open(DriverOptions(name="a", port="COM3")))


def test_cancelling_a_wait_leaves_nothing_behind(port):
    async def body(console, lane):
        waiting = asyncio.create_task(console.wait("booted", timeout=60))
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        port.say(b"Booting\r\n")
        await console.wait("booted", timeout=5, since=0.0)

    with_console(port, body)


@given(st.lists(st.binary(max_size=200), max_size=30))
def test_no_bytes_are_lost_and_none_invented(chunks):
    reader = LineReader()
    lines = [line for chunk in chunks for line in reader.feed(chunk)]
    assert b"".join(lines) + reader.flush() == b"".join(chunks)
    assert reader.rest == b""


@given(st.binary(max_size=400), st.integers(1, 50))
def test_lines_do_not_depend_on_how_they_come(data, size):
    whole, pieces = LineReader(), LineReader()
    parts = [data[index : index + size] for index in range(0, len(data), size)]
    assert list(whole.feed(data)) == [line for part in parts for line in pieces.feed(part)]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_the_matcher_takes_whatever_a_line_is(lines):
    matcher = Matcher({"any": re.compile("x")})
    for line in lines:
        matcher.partial(line, 0.0)
        matcher.line(line, 0.0)
    assert len(matcher.matches) == sum("x" in shown(line) for line in lines)


def test_a_line_torn_off_with_the_port_tells_no_value(port):
    """'registered 31041' was going to be 310410: another PLMN, and one that the pattern takes."""

    async def body(console, lane):
        port.say(b"Boot")
        port.say(b"ing, registered 31041")
        await until(lambda: console.seen("booted"))
        port.unplug()
        await until(lambda: not console.is_open)
        assert console.seen("registered") is None
        assert console.tail(1) == ["Booting, registered 31041"]
        port.plug()
        await until(lambda: console.is_open)
        port.say(b"registered 310410\r\n")
        found = await console.wait("registered", timeout=5, since=0.0)
        assert found.values == {"plmn": "310410"}

    with_console(port, body)
