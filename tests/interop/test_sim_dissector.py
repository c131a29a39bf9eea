"""What the card says, under tshark's dissectors of SIM commands and card toolkit (GSMTAP, type SIM)."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from fixtures.pki import Pki
from fixtures.profiles import Parameters, build
from fixtures.sim.euicc import EuiccOptions, VirtualEuicc

from .foreign import EID, need, run

GSMTAP = struct.pack(">BBBBHbbIBBBB", 2, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
"""Version 2, 16 bytes of header, type 4 (SIM)."""


def capture(exchanges: list[tuple[bytes, bytes]]) -> bytes:
    """A pcap file (raw IPv4) with one GSMTAP datagram for each command and its response."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for number, (command, response) in enumerate(exchanges):
        payload = GSMTAP + command + response
        datagram = struct.pack(">HHHH", 4729, 4729, 8 + len(payload), 0) + payload
        head = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(datagram), number, 0, 64, 17, 0, 0x7F000001, 0x7F000001)
        packet = head + datagram
        out += struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet
    return out


@pytest.fixture
def card(tmp_path: Path) -> VirtualEuicc:
    need("tshark")
    package = tmp_path / "bootstrap.der"
    keys = bytes(range(16)), bytes(range(16, 32))
    package.write_bytes(
        build(Parameters("8900101000000000019", "001010000000001", *keys, "BOOT", "apn", profile_type="boot"))
    )
    opened = VirtualEuicc.open(
        tmp_path / "card",
        pki=Pki.open(tmp_path / "home"),
        eid=EID,
        bootstrap=package,
        options=EuiccOptions(mode="consumer"),
    )
    opened.power_on()
    return opened


def dissect(card: VirtualEuicc, path: Path, *commands: str) -> list[str]:
    """Send commands, one or GET RESPONSE after it, and return tshark's summary of each."""
    exchanges = []
    for command in commands:
        raw = bytes.fromhex(command)
        exchanges.append((raw, card.transmit(raw)))
    path.write_bytes(capture(exchanges))
    fields = ("-T", "fields", "-E", "separator=|", "-e", "_ws.col.Info", "-e", "_ws.malformed")
    return run("tshark", "-r", path, *fields).stdout.decode().splitlines()


def test_a_modem_that_starts(card: VirtualEuicc, tmp_path: Path) -> None:
    told = dissect(
        card,
        tmp_path / "start.pcap",
        "00a40004023f00",
        "00a40004022fe2",
        "00b000000a",
        "8010000008ffffffff7f1100df",
        "00a4040410a0000000871002ffffffff8907090000",
        "00a40004026f07",
        "00b0000009",
        "80f2000000",
        "0020000100",
        "0070000001",
    )
    words = [line.split("|")[0] for line in told]
    assert [line.split("|")[1:] for line in told] == [[""]] * len(told), told
    for said, expected in zip(
        words,
        ["SELECT File MF", "SELECT File EF.ICCID", "READ BINARY Offset=0", "TERMINAL PROFILE", "SELECT", "EF.IMSI",
         "READ BINARY Offset=0", "STATUS", "VERIFY", "MANAGE CHANNEL"],
        strict=True,
    ):  # fmt: skip
        assert expected in said, (expected, said)


def test_refresh_under_the_toolkit_dissector(card: VirtualEuicc, tmp_path: Path) -> None:
    told = dissect(
        card,
        tmp_path / "refresh.pcap",
        "8010000008ffffffff7f1100df",
        "0070000001",
        "01a4040010a0000005591010ffffffff8900000100",
        "81e2910014bf3211a00c5a0a980001010000000010f98101ff",
        "81c0000006",
        "801200000b",
    )
    assert all(line.endswith("|") for line in told), told
    assert "FETCH" in told[-1]
    tree = run("tshark", "-r", tmp_path / "refresh.pcap", "-O", "etsi_cat,gsm_sim", "-Y", "frame.number == 6")
    text = tree.stdout.decode()
    assert "REFRESH" in text and "Malformed" not in text
    assert "UICC Reset" in text or "UICC reset" in text, text
