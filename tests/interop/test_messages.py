"""Short messages that the network emulator sends, as programs that others wrote read them out of the modem."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from .foreign import IMEI, Bench, run, terminal

TEXT = "meter 7: 12.5 kWh @ $5_x"
"""``@``, ``$`` and ``_`` have other codes in the GSM 7 bit alphabet than in ASCII."""


@pytest.fixture
def messaged(registered: Bench) -> Bench:
    registered.send_message(TEXT)
    return registered


def gammu(bench: Bench, folder: Path, *command: str) -> str:
    settings = folder / "gammurc"
    settings.write_text(f"[gammu]\ndevice={bench.modem}\nconnection=at115200\n")
    return run("gammu", "-c", settings, *command, deadline=30.0).stdout.decode()


def gnokii(bench: Bench, folder: Path, *command: str) -> str:
    settings = folder / "gnokiirc"
    port = os.path.realpath(bench.modem)  # it takes 31 characters of a path at most
    settings.write_text(
        f"[global]\nport = {port}\nmodel = AT\nconnection = serial\nserial_baudrate = 115200\nuse_locking = no\n"
    )
    variables = {"XDG_CACHE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return run("gnokii", "--config", settings, *command, deadline=30.0, variables=variables).stdout.decode()


def test_gammu_reads_the_message_and_where_it_came_from(messaged: Bench, tmp_path: Path) -> None:
    found = gammu(messaged, tmp_path, "getallsms")
    assert TEXT in found.splitlines()
    assert re.search(r'Remote number +: "\+10000"', found)
    assert re.search(r'SMSC number +: "\+10001"', found)
    assert re.search(r"Sent +: Thu Jan  1 00:00:00 2026", found)
    assert "1 SMS parts in 1 SMS sequences" in found


def test_gammu_deletes_the_message(messaged: Bench, tmp_path: Path) -> None:
    gammu(messaged, tmp_path, "deleteallsms", "3")  # inbox of the modem's own storage
    with terminal(messaged.modem) as port:
        port.write(b"AT+CPMS?\r")
        port.until(rb'\+CPMS: "\w+",\d+,\d+,"ME",0,23,"ME",0,23\r\n')


def test_gnokii_identifies_the_modem(registered: Bench, tmp_path: Path) -> None:
    found = gnokii(registered, tmp_path, "--identify")
    assert re.search(rf"IMEI +: {IMEI}", found)
    assert re.search(r"Manufacturer +: Quectel", found)
    assert re.search(r"Model +: EG25", found)
    assert re.search(r"Network code : 001 01", gnokii(registered, tmp_path, "--getnetworkinfo"))


def test_gnokii_reads_the_message(messaged: Bench, tmp_path: Path) -> None:
    assert re.search(r"1 Internal memory +ME +1\n", gnokii(messaged, tmp_path, "--showsmsfolderstatus"))
    found = gnokii(messaged, tmp_path, "--getsms", "ME", "0")
    assert TEXT in found.splitlines()
    assert "Sender: +10000 Msg Center: +10001" in found


def test_comgt_waits_for_the_registration(registered: Bench) -> None:
    run("socat", "-t0.5", "-", f"{registered.modem},raw,echo=0", data=b"ATZ\r")  # its script knows +CREG: 0 only
    found = run("comgt", "-d", registered.modem, deadline=30.0).stdout.decode()
    assert "SIM ready" in found
    assert 'Registered on Home network: "Test PLMN 1-1",7' in found
    assert re.search(r"Signal Quality: \d+,99", found)
