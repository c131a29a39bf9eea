"""An LPA behind the modem switches the profile (AT+CCHO, AT+CGLA, then AT+CSIM): gammu then sees the other identity.

The card is a consumer eUICC with a second profile; blocks, class bytes and lower-case digits are those of an open LPA.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.profiles import Parameters, build

from .foreign import BOOTSTRAP_IMSI, Bench, Stream, need, run, terminal
from .test_modem import fields

ISD_R = "a0000005591010ffffffff8900000100"
BOOT, OTHER = "980001010000000010f9", "980001010000000020f7"
OTHER_IMSI = "001010000000002"


class LpaBench(Bench):
    """A modem with a consumer eUICC on which two profiles are."""

    def __init__(self, folder: Path) -> None:
        package = folder / "second.der"
        keys = bytes(range(16)), bytes(range(16, 32))
        package.write_bytes(build(Parameters("8900101000000000027", OTHER_IMSI, *keys, "OTHER", "apn")))
        options = ("--world", "card_mode=consumer", "--world", f"card_preload={package}", "--clock", "scaled:8")
        super().__init__(folder, *options)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LpaBench]:
    need("gammu")
    with LpaBench(tmp_path_factory.mktemp("lpa")) as running:
        running.switch_on()
        running.wait_registered()
        yield running


def say(port: Stream, command: str, pattern: bytes = rb"\r\nOK\r\n") -> bytes:
    """Type one command and return what stands before OK."""
    port.write(command.encode() + b"\r")
    found = port.until(rb"(?s)(.*?)(?:" + pattern + rb"|\r\n(?:ERROR|\+CME ERROR[^\r]*)\r\n)", 20.0)
    assert b"ERROR" not in found.group(), (command, found.group())
    return found.group()


def imsi(lab: LpaBench, folder: Path) -> str:
    """What gammu reads once the card has been read again after its reset."""
    with terminal(lab.modem) as port:
        port.write(b"ATE0\r")
        port.until(rb"OK\r\n", 20.0)
        limit = time.monotonic() + 20.0
        while time.monotonic() < limit:
            port.write(b"AT+CPIN?\r")
            if b"READY" in port.until(rb"(?s)\r\n(OK|ERROR|\+CME ERROR[^\r]*)\r\n|READY\r\n\r\nOK\r\n", 10.0).group():
                break
        say(port, "ATE1")
    settings = folder / "gammurc"
    settings.write_text(f"[gammu]\ndevice={lab.modem}\nconnection=at115200\n")
    return fields(run("gammu", "-c", settings, "identify", deadline=40.0).stdout)["SIM IMSI"]


def test_an_lpa_over_cgla_enables_another_profile(lab: LpaBench, tmp_path: Path) -> None:
    assert imsi(lab, tmp_path) == BOOTSTRAP_IMSI
    with terminal(lab.modem) as port:
        say(port, "ATE0V1")
        for probe in ("AT+CCHO=?", "AT+CCHC=?", "AT+CGLA=?"):
            say(port, probe)
        assert b"+CCHO: 1" in say(port, f'AT+CCHO="{ISD_R}"')
        told = say(port, f'AT+CGLA=1,50,"81e2910014bf3111a00c5a0a{OTHER}8101ff"')
        if b"6106" in told:  # a modem that leaves GET RESPONSE to its client
            told = say(port, 'AT+CGLA=1,10,"81c0000006"')
        assert b"bf3103800100" in told.lower(), told
        port.write(b"AT+CCHC=1\r")  # the card may be in its reset already: whatever is said ends with a final word
        port.until(rb"(?s)\r\n(OK|ERROR|\+CME ERROR[^\r]*)\r\n", 20.0)
    assert imsi(lab, tmp_path) == OTHER_IMSI


def test_an_lpa_over_csim_goes_back(lab: LpaBench, tmp_path: Path) -> None:
    with terminal(lab.modem) as port:
        say(port, "ATE0V1")

        def csim(command: str) -> str:
            told = say(port, f'AT+CSIM={len(command)},"{command}"')
            return told.split(b'"')[1].decode().lower()

        channel = int(csim("0070000001")[:2], 16)
        assert csim(f"0{channel}a4040010{ISD_R}")[:2] in ("61", "6f")
        told = csim(f"8{channel}e2910014bf3111a00c5a0a{BOOT}8101ff")
        if told == "6106":
            told = csim(f"8{channel}c0000006")
        assert told.startswith("bf3103800100"), told
    assert imsi(lab, tmp_path) == BOOTSTRAP_IMSI
