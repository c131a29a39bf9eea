"""The SIM switch of two relays: protocol, driver over the simulated board on a pty, and what goes wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ConfigurationError, InstrumentError, InstrumentTimeout
from bench.station.drivers import DriverOptions
from fixtures.sim.relays import RelayBoard
from instruments.switch import relay_protocol as protocol
from instruments.switch.numato import NumatoSwitch

# --- protocol ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "received", "said"),
    [
        # As boards were seen to answer: echo, LF CR or CR LF around the answer, the prompt, one of before still there.
        ("relay read 0", b"relay read 0 \n\n\ron\n\r>", "on"),
        ("relay read 1", b"relay read 1\n\roff\n\r>", "off"),
        ("relay read 1", b">relay read 1\r\noff\r\n>", "off"),
        ("ver", b"ver\n\r00000008\n\r>", "00000008"),
        ("relay on 0", b"relay on 0\n\r>", ""),
        ("relay on 0", b"relay on 0\r\n\r\n>\r\n", ""),
    ],
)
def test_answers_as_boards_give_them(command: str, received: bytes, said: str) -> None:
    assert protocol.complete(received)
    assert protocol.answer(command, received) == said


@pytest.mark.parametrize(
    ("received", "why"),
    [
        (b">", "echoes nothing"),
        (b"\n\r>", "echoes nothing"),
        (b"AT+CPIN?\r\nERROR\r\n>", "echoes 'AT"),
        (b"relay read 0\n\ron\n\roff\n\r>", "answers 2 lines"),
    ],
)
def test_answers_that_are_none(received: bytes, why: str) -> None:
    with pytest.raises(InstrumentError, match=why.replace("+", r"\+")):
        protocol.answer("relay read 0", received)


@given(st.binary(max_size=80))
def test_any_bytes_are_an_answer_or_an_instrument_error(received: bytes) -> None:
    protocol.complete(received)
    with contextlib.suppress(InstrumentError):
        assert isinstance(protocol.state("relay read 0", received), bool)


@given(st.text(alphabet="onf 0123V", max_size=12), st.lists(st.sampled_from("\r\n"), min_size=1, max_size=4))
def test_one_line_of_answer_is_given_back_whatever_breaks_surround_it(text: str, breaks: list[str]) -> None:
    around = "".join(breaks)
    received = f"relay read 0{around}{text}{around}>".encode()
    assert protocol.answer("relay read 0", received) == text.strip()


def test_relays_have_one_character_names() -> None:
    assert [protocol.relay_name(number) for number in (0, 9, 10, 31)] == ["0", "9", "A", "V"]
    for number in (-1, 32):
        with pytest.raises(ValueError, match="0 to 31"):
            protocol.relay_name(number)


# --- the simulated board ----------------------------------------------------------------------------------------------


def said(board_input: bytes, *, on: frozenset[int] = frozenset()) -> tuple[bytes, RelayBoard]:
    output: list[bytes] = []
    board = RelayBoard(output.append, lambda relays: None, lambda what, **fields: None, on=on)
    board.feed(board_input)
    return b"".join(output), board


def test_the_board_speaks_the_protocol_literally() -> None:
    assert said(b"relay read 0\r", on=frozenset({0}))[0] == b"relay read 0\n\ron\n\r>"
    assert said(b"relay read 1\r")[0] == b"relay read 1\n\roff\n\r>"
    assert said(b"relay readall\r", on=frozenset({0, 2}))[0] == b"relay readall\n\r05\n\r>"
    output, board = said(b"relay writeall 0a\rrelay off 3\r")
    assert board.on == {1}
    assert output == b"relay writeall 0a\n\r>relay off 3\n\r>"
    assert said(b"relay read 7\rnonsense\r")[0] == b"relay read 7\n\r>nonsense\n\r>"


@given(st.binary(max_size=120))
def test_no_bytes_upset_the_board(data: bytes) -> None:
    output, board = said(data)
    assert board.on <= {0, 1, 2, 3}
    assert output.count(b">") >= data.count(b"\r")


# --- the driver -------------------------------------------------------------------------------------------------------


class Bench:
    """A board on a pty."""

    def __init__(self, on: frozenset[int]) -> None:
        self.history: list[frozenset[int]] = []
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        self.board = RelayBoard(self._write, self.history.append, lambda what, **fields: None, on=on)
        asyncio.get_running_loop().add_reader(self.master, lambda: self.board.feed(os.read(self.master, 4096)))

    def _write(self, data: bytes) -> None:
        os.write(self.master, data)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self.slave)

    def options(self, **extra: Any) -> DriverOptions:
        return DriverOptions(
            name="switch",
            driver="numato-relay",
            port=self.port,
            extra={"settle": 0, **extra},
            origin="bench.toml:9",
        )


@contextlib.asynccontextmanager
async def bench(*on: int) -> AsyncIterator[Bench]:
    made = Bench(frozenset(on))
    try:
        async with asyncio.timeout(10.0):
            yield made
    finally:
        made.close()


def test_break_before_make_both_ways() -> None:
    async def test() -> None:
        async with bench(0) as made:
            switch = await NumatoSwitch.open(made.options(reader=0, modem=1))
            assert switch.identity.serial == "SIMRELAY"
            assert await switch.selected() == "reader"
            assert made.history == []  # opening switches nothing
            await switch.select("modem")
            assert await switch.selected() == "modem"
            await switch.select("modem")
            await switch.select("reader")
            assert made.history == [frozenset(), {1}, frozenset(), {0}]
            await switch.close()
            assert made.board.on == {0}

    asyncio.run(test())


def test_one_changeover_relay() -> None:
    async def test() -> None:
        async with bench() as made:
            switch = await NumatoSwitch.open(made.options(modem=3))
            assert await switch.selected() == "reader"
            await switch.select("modem")
            assert made.board.on == {3}
            await switch.select("reader")
            assert made.board.on == frozenset()
            await switch.close()

    asyncio.run(test())


def test_neither_and_both_are_told() -> None:
    async def test() -> None:
        async with bench() as made:
            switch = await NumatoSwitch.open(made.options(reader=0, modem=1))
            with pytest.raises(InstrumentError, match="connects the card to nothing"):
                await switch.selected()
            made.board.on = frozenset({0, 1})
            with pytest.raises(InstrumentError, match="reader and modem at once"):
                await switch.selected()
            await switch.select("reader")
            assert made.board.on == {0}
            await switch.close()

    asyncio.run(test())


def test_a_relay_that_sticks_is_found_before_the_other_side_is_made() -> None:
    async def test() -> None:
        async with bench(0) as made:
            switch = await NumatoSwitch.open(made.options(reader=0, modem=1))
            made.board.stuck = frozenset({0})
            with pytest.raises(InstrumentError, match="relay 0 did not switch off"):
                await switch.select("modem")
            assert made.board.on == {0}
            await switch.close()

    asyncio.run(test())


def test_a_silent_board_and_one_that_is_gone() -> None:
    async def test() -> None:
        async with bench(0) as made:
            switch = await NumatoSwitch.open(made.options(reader=0, modem=1))
            made.board.silent = True
            with pytest.raises(InstrumentTimeout, match="does not answer 'relay read 0' within 1 s"):
                await switch.selected()
            made.board.silent = False
            assert await switch.selected() == "reader"
            await switch.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ({}, "needs the relay that connects the modem"),
        ({"reader": 1, "modem": 1}, "another one for the reader"),
        ({"modem": 32}, "'modem' is 32, a relay from 0 to 31"),
        ({"modem": True}, "'modem' is True"),
        ({"modem": 1, "settle": -1}, "'settle' is -1"),
        ({"modem": 1, "raeder": 0}, "no option 'raeder'.*did you mean 'reader'"),
    ],
)
def test_wrong_options(extra: dict[str, object], why: str) -> None:
    async def test() -> None:
        async with bench() as made:
            options = made.options(**extra)
            with pytest.raises(ConfigurationError, match=why):
                await NumatoSwitch.open(options)

    asyncio.run(test())


def test_a_port_that_is_not_there() -> None:
    async def test() -> None:
        options = DriverOptions(name="switch", port="/dev/does-not-exist", extra={"modem": 1})
        with pytest.raises(InstrumentError, match="port is not there"):
            await NumatoSwitch.open(options)
        with pytest.raises(ConfigurationError, match="'COM3' is no serial port"):
            await NumatoSwitch.open(DriverOptions(name="switch", port="COM3", extra={"modem": 1}))

    asyncio.run(test())
