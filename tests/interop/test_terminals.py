"""Terminals and dialers on the simulated modem's port: what a person types, and what such programs send by habit."""

from __future__ import annotations

import contextlib
import os
import pty
from collections.abc import Iterator

import pytest

from .foreign import Bench, Stream, need, run
from .test_modem import ask, socat

HABITS = [
    "ATZ S7=45 S0=0 L1 V1 X4 &c1 E1 Q0",  # minicom
    "ATQ0 V1 E1 S0=0 &C1 &D2 +FCLASS=0",  # wvdial
    "AT&F &D2 &C1",  # pppd's chat scripts
    "+++ATH",
    "at+cfun?",
    "At+CmEe=1",
    'AT +CGDCONT = 1,"IP","bootstrap.iot"',
]


@pytest.fixture
def tidy(registered: Bench) -> Iterator[Bench]:
    """The bench, and after the test a modem with the maker's values stored again."""
    yield registered
    with socat(registered.modem) as port:
        assert ask(port, "AT&F&W") == ["OK"]


@contextlib.contextmanager
def picocom(port: str) -> Iterator[Stream]:
    """Sit at picocom, on a terminal of its own."""
    need("picocom")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("picocom", ["picocom", "-b", "115200", port])
    try:
        screen = Stream(terminal, terminal)
        screen.until(rb"Terminal ready\r\n")  # what is typed before it is thrown away
        yield screen
    finally:
        os.kill(pid, 15)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.mark.parametrize("line", HABITS)
def test_what_programs_send_by_habit(tidy: Bench, line: str) -> None:
    with socat(tidy.modem) as port:
        assert ask(port, line)[-1] == "OK"


def test_a_slash_repeats_at_once(tidy: Bench) -> None:
    with socat(tidy.modem) as port:
        assert ask(port, "AT+CGMM") == ["EG25", "OK"]
        for typed in (b"a/", b"A/"):
            port.write(typed)
            port.until(b"^" + typed + rb"\r\nEG25\r\n\r\nOK\r\n$")


def test_s_parameters_are_kept_and_end_lines(tidy: Bench) -> None:
    with socat(tidy.modem) as port:
        assert ask(port, "ATS0=2;S7=30;S10=20") == ["OK"]
        assert ask(port, "ATS0?S7?S10?") == ["002", "030", "020", "OK"]
        assert ask(port, "ATS3?S4?S5?") == ["013", "010", "008", "OK"]
        assert ask(port, "ATS1?") == ["ERROR"]
        port.write(b"ATS3=33\r")
        port.until(rb"!\nOK!\n$")
        port.write(b"AT+CGMM!")
        port.until(rb"^AT\+CGMM!!\nEG25!\n!\nOK!\n$")
        port.write(b"ATS3=13!")
        port.until(rb"OK\r\n$")


def test_profiles_are_stored_recalled_and_shown(tidy: Bench) -> None:
    with socat(tidy.modem) as port:
        shown = ask(port, "AT&V")
        assert {"E: 1", "Q: 0", "V: 1", "X: 4", "S0: 0", "S3: 13", "S4: 10", "S5: 8"} <= set(shown)
        assert ask(port, "ATS0=3&W") == ["OK"]
        assert ask(port, "ATS0=1") == ["OK"]
        assert ask(port, "ATZ") == ["OK"]
        assert "S0: 3" in ask(port, "AT&V")
        assert ask(port, "AT&F") == ["OK"]
        assert "S0: 0" in ask(port, "AT&V")


def test_a_dialer_hears_that_there_is_no_carrier(tidy: Bench) -> None:
    with socat(tidy.modem) as port:
        port.write(b"ATDT*99#\r")
        port.until(rb"^ATDT\*99#\r\r\nNO CARRIER\r\n$")
        port.write(b"ATV0\rATD*99***1#\r")
        port.until(rb"0\r3\r$")


def test_at_without_line_feed_with_one_and_with_one_alone(tidy: Bench) -> None:
    with socat(tidy.modem) as port:
        for line, answered in ((b"AT\r", True), (b"AT\r\n", True), (b"AT\n", False), (b"\r", True)):
            port.write(line)
            if answered:
                port.until(rb"OK\r\n\n?$")


def test_picocom(tidy: Bench) -> None:
    with picocom(tidy.modem) as screen:
        screen.write(b"ATZ\r")
        screen.until(rb"OK\r\n")
        for character in b"at+cgmm\r":
            screen.write(bytes([character]))
        screen.until(rb"at\+cgmm\r\r\nEG25\r\n\r\nOK\r\n")
        screen.write(b"a/")
        screen.until(rb"a/\r\nEG25\r\n\r\nOK\r\n")
        screen.write(b"\x01\x18")  # C-a C-x: leave


def test_picocom_with_an_initial_string(tidy: Bench) -> None:
    found = run("picocom", "-q", "-b", "115200", "--initstring", "AT+CGMR\r", "-x", "1000", tidy.modem).stdout
    assert b"EG25GGBR07A08M2G\r\n\r\nOK\r\n" in found


def test_every_command_is_listed(tidy: Bench) -> None:
    with socat(tidy.modem) as port:
        listed = ask(port, "AT+CLAC")
        assert {"AT+CFUN", "AT+COPS", "AT+CMGL", "AT&V"} <= set(listed)
        assert ask(port, "AT+CPAS") == ["+CPAS: 0", "OK"]
        assert ask(port, "AT+CNUM") == ["OK"]
