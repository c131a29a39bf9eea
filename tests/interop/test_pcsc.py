"""Foreign PC/SC programs on the simulated readers: pcsc_scan, opensc-tool, pyscard's own classes. The SIM switch
between reader and modem, as both sides see it. Eight cards on eight readers at once."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pcsc_installed
import pytest

from bench.rsp import tlv

from .foreign import Bench, Stream, end, environment, need, run, terminal

ATR = "3B 9F 96 80 3F C7 82 80 31 E0 73 FE 21 17 67 42 45 4E 43 48 30 31 3D"
ISD_R = "A0000005591010FFFFFFFF8900000100"
READERS = 8


def need_pcsc(*programs: str) -> None:
    """Skip where PC/SC, or one of these programs, is not installed."""
    pcsc_installed.need_pcsc()
    for program in programs:
        need(program)


class PcscBench(Bench):
    """``bench sim up --station sim-pcsc`` with eight cards."""

    station_name = "sim-pcsc"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "--station", "sim-pcsc", "--readers", str(READERS), "--clock", "scaled:10")
        self.readers: list[dict[str, str]] = self.station["readers"]
        self.csock = self.readers[0]["pcsclite_csock"]
        self.switch: str = self.station["switch"]["port"]

    def foreign(self, *argv: str, ok: tuple[int, ...] = (0,), deadline: float = 20.0) -> str:
        """Run a PC/SC program against the private daemon."""
        done = run(*argv, ok=ok, deadline=deadline, variables={"PCSCLITE_CSOCK_NAME": self.csock})
        return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")

    def relay(self, command: str) -> str:
        """Type one command at the relay board and return what it says."""
        with terminal(self.switch) as port:
            port.write(command.encode() + b"\r")
            return port.until(re.escape(command.encode()) + rb"\n\r([^>]*)>").group(1).decode().strip()

    def cards(self) -> Mapping[str, Any]:
        card: Mapping[str, Any] = self.state()["card"]
        return card

    def wait(self, what: str, deadline: float = 5.0) -> None:
        """Wait until pcsc_scan says something of the first reader."""
        process = subprocess.Popen(
            ["pcsc_scan", "-n"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(PCSCLITE_CSOCK_NAME=self.csock),
            process_group=0,
        )
        assert process.stdout is not None
        try:
            pattern = (
                re.escape(self.readers[0]["name"].encode()) + rb"\s+Event number: \d+\s+Card state: " + what.encode()
            )
            Stream(process.stdout.fileno(), -1).until(pattern, deadline)
        finally:
            end(process)
            process.stdout.close()


@pytest.fixture(scope="module")
def pcsc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PcscBench]:
    need_pcsc()
    with PcscBench(tmp_path_factory.mktemp("pcsc")) as running:
        yield running
    assert not Path(running.csock).exists()


def test_pcsc_scan_shows_the_atr_of_every_card(pcsc: PcscBench) -> None:
    need_pcsc("pcsc_scan")
    listed = pcsc.foreign("pcsc_scan", "-r")
    assert re.findall(r"\d+: (.*\S)", listed) == [reader["name"] for reader in pcsc.readers]
    said = pcsc.foreign("timeout", "--preserve-status", "--signal=INT", "2", "pcsc_scan", "-n", ok=(0, 130))
    assert said.count("Card inserted") == READERS
    assert said.count(ATR) == READERS


def test_opensc_tool_lists_readers_and_sends_apdus(pcsc: PcscBench) -> None:
    need_pcsc("opensc-tool")
    listed = pcsc.foreign("opensc-tool", "--list-readers")
    for reader in pcsc.readers:
        assert re.search(rf"(?m)^\d+\s+Yes\s.*{re.escape(reader['name'])}$", listed)
    name = pcsc.readers[0]["name"]
    assert pcsc.foreign("opensc-tool", "--reader", name, "--atr").strip() == ATR.replace(" ", ":").lower()
    said = pcsc.foreign(
        "opensc-tool", "--reader", name, "--card-driver", "default",
        "--send-apdu", "80AA000005A903830107",
        "--send-apdu", f"00A4040010{ISD_R}00",
        "--send-apdu", "80E2910006BF3E035C015A00",
    )  # fmt: skip
    assert said.count("SW1=0x90, SW2=0x00") == 3
    found = bytes.fromhex(
        "".join(re.findall(r"(?m)^((?:[0-9A-F]{2} )+)", said.rpartition("Sending")[2])).replace(" ", "")
    )
    (answer,) = tlv.parse(found)
    assert answer.tag == 0xBF3E
    assert answer.value == bytes.fromhex("5A10" + pcsc.readers[0]["eid"])


RAW = """
import json, sys
from smartcard.System import readers
from smartcard.CardConnection import CardConnection

connection = next(r for r in readers() if r.name == sys.argv[1]).createConnection()
connection.connect(CardConnection.T0_protocol)
found = []
for text in sys.argv[2:]:
    data, sw1, sw2 = connection.transmit(list(bytes.fromhex(text)))
    answer = [[len(data), f"{sw1:02X}{sw2:02X}"]]
    while sw1 == 0x61:
        more, sw1, sw2 = connection.transmit([0x00, 0xC0, 0x00, 0x00, sw2])
        answer.append([len(more), f"{sw1:02X}{sw2:02X}"])
        data += more
    found.append([answer, bytes(data).hex()])
connection.disconnect()
print(json.dumps(found))
"""


def test_lc_255_and_answers_of_256_bytes_and_more(pcsc: PcscBench) -> None:
    """With pyscard's own classes, as card tools use them: no answer is longer than 256 bytes and a status word."""
    # GetProfilesInfo with a tag list so long that it takes a block of 255 bytes and one of one byte.
    block = "80E21100FF" + "BF2D81FC" + "5C81F9" + "5A" * 248
    said = json.loads(
        pcsc.foreign(
            sys.executable, "-c", RAW, pcsc.readers[1]["name"],
            f"00A4040010{ISD_R}",
            block,
            "80E2910101" + "5A",
            "80E2910003BF5600",  # GetCerts: two certificates, more than 256 bytes
        )
    )  # fmt: skip
    assert len(bytes.fromhex(block)) == 5 + 255
    select, first, last, certificates = said
    assert select[0][-1][1] == "9000"
    assert first[0] == [[0, "9000"]]  # the card waits for the rest of the chain
    assert last[0][-1][1] == "9000" and last[1].startswith("bf2d")
    lengths = [length for length, _ in certificates[0]]
    words = [word for _, word in certificates[0]]
    assert words[0] == "6100" and lengths[0] == 0
    assert max(lengths) == 256 and words[-1] == "9000"
    (answer,) = tlv.parse(bytes.fromhex(certificates[1]))
    assert answer.tag == 0xBF56
    assert len(certificates[1]) // 2 > 512


def test_the_card_is_in_the_reader_or_in_the_modem_never_in_both(pcsc: PcscBench) -> None:
    need_pcsc("pcsc_scan")
    pcsc.switch_on()
    assert (pcsc.relay("relay read 0"), pcsc.relay("relay read 1")) == ("on", "off")
    assert pcsc.cards()["readers"][0]["card"] and not pcsc.cards()["modem"]
    with terminal(pcsc.modem) as port:
        deadline = time.monotonic() + 30
        while True:  # the modem boots
            port.write(b"ATE0V1;+CMEE=1;+CPIN?\r")
            with contextlib.suppress(TimeoutError):
                port.until(rb"\+CME ERROR: 10\r\n", 1.0)
                break
            assert time.monotonic() < deadline
        pcsc.relay("relay off 0")
        assert not pcsc.cards()["readers"][0]["card"] and not pcsc.cards()["modem"]
        pcsc.wait("Card removed")
        pcsc.relay("relay on 1")
        assert pcsc.cards()["modem"]
        port.until(rb"\+CPIN: READY\r\n", 20.0)
        port.write(b'AT+CCHO="' + ISD_R.encode() + b'"\r')
        port.until(rb"\+CCHO: \d")
        pcsc.relay("relay on 0")  # both: a card between two masters answers neither
        assert not pcsc.cards()["readers"][0]["card"] and not pcsc.cards()["modem"]
        port.until(rb"\+CPIN: NOT INSERTED\r\n")
        pcsc.relay("relay off 1")
        assert pcsc.cards()["readers"][0]["card"] and not pcsc.cards()["modem"]
        pcsc.wait("Card inserted")
        port.write(b"AT+CPIN?\r")
        port.until(rb"\+CME ERROR: 10\r\n")


def test_pcscd_killed_comes_back_on_the_same_socket(pcsc: PcscBench) -> None:
    need_pcsc("opensc-tool")
    name = pcsc.readers[2]["name"]
    (daemon,) = [int(found) for found in pcsc.foreign("pgrep", "-f", str(_configuration(pcsc))).split()]
    os.kill(daemon, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while pcsc.foreign("opensc-tool", "--reader", name, "--atr", ok=(0, 1)).strip() != ATR.replace(" ", ":").lower():
        assert time.monotonic() < deadline


def _configuration(bench: PcscBench) -> Path:
    """The folder of the daemon that serves this bench, from the log of its world."""
    for line in reversed(Path(bench.announcement["log"]).read_text().splitlines()):
        entry = json.loads(line)
        if entry["what"] == "pcscd":
            arguments = Path(f"/proc/{entry['pid']}/cmdline").read_bytes().split(b"\0")
            return Path(os.fsdecode(arguments[arguments.index(b"--config") + 1]))
    raise AssertionError("no pcscd in the world's log")


def test_the_daemon_is_not_root_and_leaves_the_systems_pid_file_alone(pcsc: PcscBench) -> None:
    daemon = pcsc.foreign("pgrep", "-f", str(_configuration(pcsc))).split()[0]
    status = Path(f"/proc/{daemon}/status").read_text()
    assert re.search(r"(?m)^Uid:\t(\d+)\t\1\t\1\t\1$", status)
    assert not re.search(r"(?m)^Uid:\t0\t", status)
    pid_file = Path("/run/pcscd/pcscd.pid")
    assert not pid_file.exists() or pid_file.read_text().strip() != daemon


def test_eight_cards_on_eight_readers_provision_at_once(pcsc: PcscBench, tmp_path: Path) -> None:
    announcement = tmp_path / "announcement.json"
    announcement.write_text(json.dumps(pcsc.announcement))
    program = Path(__file__).with_name("pcsc_provision.py")
    # -P: next to it lies a module called http.
    done = run(sys.executable, "-P", program, announcement, pcsc.home, deadline=70.0)
    cards = json.loads(done.stdout)
    assert [card["eid"] for card in cards] == [reader["eid"] for reader in pcsc.readers]
    assert len({card["eid"] for card in cards}) == READERS
    print(json.dumps(cards, indent=1))
    for card in cards:
        assert card["changed"]
        assert card["enabled"] == [card["wanted"]]
        assert card["delivered"] >= 2
        assert card["orders"] == ["done", "done"]
        assert card["smdpp"] == "installed"
