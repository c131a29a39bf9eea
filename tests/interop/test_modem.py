"""The simulated modem's serial port under gammu, socat and plain shell redirection."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .foreign import BOOTSTRAP_ICCID, BOOTSTRAP_IMSI, EID, IMEI, Bench, Stream, end, environment, need, run

ISD_R = "A0000005591010FFFFFFFF8900000100"


@contextlib.contextmanager
def socat(port: str) -> Iterator[Stream]:
    """Type on the port through socat; echo, verbose answers and +CME ERROR numbers are switched on."""
    need("socat")
    process = subprocess.Popen(
        ["socat", "-", f"{port},raw,echo=0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env=environment(),
        process_group=0,
    )
    try:
        assert process.stdin is not None and process.stdout is not None
        stream = Stream(process.stdout.fileno(), process.stdin.fileno())
        stream.write(b"ATE1Q0V1;+CMEE=1;+CEREG=0;+CSQ\r")
        stream.until(rb"\+CSQ: \d+,99\r\n\r\nOK\r\n")
        yield stream
    finally:
        end(process)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.stdout.close()


def ask(stream: Stream, command: str, deadline: float = 10.0) -> list[str]:
    """Return the lines of an answer, the final one last."""
    stream.write(command.encode() + b"\r")
    stream.until(re.escape(command.encode()) + rb"\r")
    answer = stream.until(rb"(?s).*?\r\n(OK|ERROR|\+CME ERROR: [^\r]*)\r\n", deadline).group().decode()
    return [line for line in answer.split("\r\n") if line]


# --- gammu ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def gammu(registered: Bench, tmp_path: Path) -> Path:
    settings = tmp_path / "gammurc"
    settings.write_text(f"[gammu]\ndevice={registered.modem}\nconnection=at115200\n")
    return settings


def fields(output: bytes) -> dict[str, str]:
    """Return ``Name : value`` lines."""
    pairs = (line.partition(":") for line in output.decode().splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs if value}


def test_gammu_identifies_the_modem(gammu: Path) -> None:
    found = fields(run("gammu", "-c", gammu, "identify", deadline=30.0).stdout)
    assert found["Manufacturer"] == "Quectel"
    assert "EG25" in found["Model"]
    assert found["Firmware"].startswith("EG25")
    assert found["IMEI"] == IMEI
    assert found["SIM IMSI"] == BOOTSTRAP_IMSI


def test_gammu_reads_the_registration(gammu: Path) -> None:
    found = fields(run("gammu", "-c", gammu, "networkinfo", deadline=30.0).stdout)
    assert found["Network state"] == "home network"
    assert found["Network"].startswith("001 01 ")
    assert found["Packet network state"] == "home network"
    assert found["GPRS"] == "attached"
    assert found["Name in phone"] == '"Test PLMN 1-1"'


# --- socat ----------------------------------------------------------------------------------------------------------


def test_typed_a_character_at_a_time_and_echoed(registered: Bench) -> None:
    with socat(registered.modem) as port:
        for character in b"ATI\r":
            port.write(bytes([character]))
            assert port.until(rb"(?s).").group() == bytes([character])
        assert (
            port.until(rb"(?s).*?OK\r\n").group() == b"\r\nQuectel\r\nEG25\r\nRevision: EG25GGBR07A08M2G\r\n\r\nOK\r\n"
        )


def test_several_lines_at_once_are_answered_in_order(registered: Bench) -> None:
    with socat(registered.modem) as port:
        assert ask(port, "ATE0") == ["OK"]
        port.write(b"AT+CGSN\r\nAT+CIMI\r\nAT+NONSENSE\r\nAT+CPIN?\r\n")
        expected = (
            f"\r\n{IMEI}\r\n\r\nOK\r\n\r\n{BOOTSTRAP_IMSI}\r\n\r\nOK\r\n\r\nERROR\r\n\r\n+CPIN: READY\r\n\r\nOK\r\n"
        )
        port.until(b"^" + re.escape(expected.encode()) + b"$")
        port.write(b"ATE1\r")
        port.until(rb"OK\r\n")


def test_escape_and_backspace_are_no_part_of_a_line(registered: Bench) -> None:
    with socat(registered.modem) as port:
        port.write(b"\x1b\rA\x1bT\r")
        assert port.until(rb"(?s).*?OK\r\n").group() == b"\rAT\r\r\nOK\r\n"
        port.write(b"AT+CGXX\x08\x7fSN\r")
        port.until(IMEI.encode() + rb"\r\n\r\nOK\r\n")


def test_what_is_no_command_line_gets_no_answer(registered: Bench) -> None:
    with socat(registered.modem) as port:
        port.write(b"\r\n\r\nhello\r\x00\xff\rAT\r")
        port.until(rb"AT\r\r\nOK\r\n$")
        assert b"OK" not in port.received and b"ERROR" not in port.received


def test_a_line_longer_than_any_buffer_ends_with_one_error(registered: Bench) -> None:
    with socat(registered.modem) as port:
        port.write(b"AT+CSIM=" + b"F" * 30_000 + b"\r")
        port.until(rb"F\r\r\n(ERROR|\+CME ERROR: \d+)\r\n", 20.0)
        assert ask(port, "AT") == ["OK"]


def test_numbers_and_words_of_errors(registered: Bench) -> None:
    with socat(registered.modem) as port:
        assert ask(port, 'AT+CGLA=9,10,"81CAFF2000"') == ["+CME ERROR: 50"]
        assert ask(port, "AT+CMEE=2") == ["OK"]
        assert ask(port, 'AT+CGLA=9,10,"81CAFF2000"') == ["+CME ERROR: incorrect parameters"]
        assert ask(port, "AT+CMEE=0") == ["OK"]
        assert ask(port, 'AT+CGLA=9,10,"81CAFF2000"') == ["ERROR"]
        port.write(b"ATV0\r")
        port.until(rb"ATV0\r0\r")
        port.write(b"AT+CIMI\r")
        port.until(rb"AT\+CIMI\r" + BOOTSTRAP_IMSI.encode() + rb"\r\n0\r")
        port.write(b"ATV1\r")
        port.until(rb"OK\r\n")


def test_files_of_the_enabled_profile_by_crsm(registered: Bench) -> None:
    """EF_ICCID, EF_IMSI and EF_SPN in the coding of TS 102 221 and TS 31.102, decoded by hand."""
    with socat(registered.modem) as port:
        assert ask(port, "AT+CRSM=176,12258,0,0,10") == ['+CRSM: 144,0,"980001010000000010F9"', "OK"]
        assert ask(port, "AT+CRSM=176,28423,0,0,9") == ['+CRSM: 144,0,"080910100000000010"', "OK"]
        spn = ask(port, "AT+CRSM=176,28486,0,0,17")[0]
        assert bytes.fromhex(spn.split('"')[1])[1:].rstrip(b"\xff") == b"BOOT"
        assert ask(port, "AT+CRSM=176,12345,0,0,10")[0].startswith("+CRSM: 106,130")
        assert ask(port, "AT+QCCID") == [f"+QCCID: {BOOTSTRAP_ICCID}F", "OK"]


def test_isd_r_on_a_logical_channel(registered: Bench) -> None:
    """GetEID as lpac sends it: lower case, class byte 81 whatever the channel; then the channel is closed."""
    with socat(registered.modem) as port:
        assert ask(port, "AT+CCHO=?") == ask(port, "AT+CCHC=?") == ask(port, "AT+CGLA=?") == ["OK"]
        session = ask(port, f'AT+CCHO="{ISD_R.lower()}"')[0].removeprefix("+CCHO: ")
        assert session.isdecimal()
        answer = ask(port, f'AT+CGLA={session},22,"81e2910006bf3e035c015a"')[0]
        assert answer == '+CGLA: 4,"6115"'
        answer = ask(port, f'AT+CGLA={session},10,"81c0000015"')[0]
        assert answer == f'+CGLA: 46,"BF3E125A10{EID}9000"'
        assert ask(port, f"AT+CCHC={session}") == ["OK"]
        assert ask(port, f'AT+CGLA={session},10,"81c0000015"')[0].startswith("+CME ERROR: ")
        assert ask(port, 'AT+CCHO="A0000000000000000001"')[0] in ("+CME ERROR: 22", "+CME ERROR: 13")


# --- a shell --------------------------------------------------------------------------------------------------------


def test_a_shell_with_redirections_alone(registered: Bench) -> None:
    """``printf`` and ``grep`` as typed at 2 a.m., with nothing set by stty."""
    script = 'exec 3<>"$1"; printf "ATE1V1;+CGSN\\r\\n" >&3; timeout 5 grep -a -m1 -E "^[0-9]{15}" <&3'
    assert run("sh", "-c", script, "sh", registered.modem).stdout.strip() == IMEI.encode()


def test_the_port_is_opened_and_closed_many_times(registered: Bench) -> None:
    """No opening loses the answer of the next, and none leaves the port unusable."""
    script = 'exec 3<>"$1"; printf "AT+CIMI\\r" >&3; timeout 5 grep -a -m1 -E "^[0-9]{15}" <&3'
    for _ in range(10):
        assert run("sh", "-c", script, "sh", registered.modem).stdout.strip() == BOOTSTRAP_IMSI.encode()
