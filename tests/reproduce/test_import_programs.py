"""Files made by the programs that people use: minicom, picocom, tshark, scat, journald; and our own exports."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from bench.reproduce.deriving import derive
from bench.reproduce.imported import Imported, Source
from bench.reproduce.importing import read_bytes, read_files
from bench.reproduce.kit import write
from bench.trace.export import gsmtap
from fixtures.sim.diag import frame
from instruments.radio.program import find
from instruments.radio.qualcomm import places
from tests.reproduce.test_import import APDU, ATTACH_REJECT, pcap
from tests.sim.process import WorldProcess, at, needs

SCAT = find("scat", places=places())
QCSUPER = find("qcsuper", places=places())
JOURNAL_REMOTE = "/lib/systemd/systemd-journal-remote"
DEADLINE = 60.0
ASKED = ("AT+CGMM", "AT+CGMR", "AT+CEREG?", "AT+NONSENSE")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorldProcess]:
    """A modem that is registered; each test leaves it so."""
    with WorldProcess(tmp_path_factory.mktemp("home"), "--profile", "unit", "--clock", "scaled:20") as found:
        found.registered()
        yield found


def understood(log: Path) -> Source:
    """Hold what was read of a terminal's log against what was typed."""
    (source,) = read_files([log]).sources
    assert source.kind == "AT log"
    functions = {call.function: call for call in Imported([source]).calls}
    assert functions["AT+CGMM"].ok
    assert functions["AT+CEREG?"].ok
    assert functions["AT+NONSENSE"].ok is False
    assert source.facts == {"modem": "EG25", "modem_firmware": "EG25GGBR07A08M2G"}
    return source


@needs("picocom", "picocom")
def test_a_log_of_picocom_at_the_simulated_modem(world: WorldProcess, tmp_path: Path) -> None:
    log = tmp_path / "picocom.log"
    subprocess.run(
        ["picocom", "-qrib", "115200", "-x", "1000", "--logfile", str(log), world.parts["modem"]["port"]],
        input="\r".join(("ATE1", *ASKED, "")).encode(), capture_output=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert len(understood(log).ignored) <= 2  # picocom's own lines, if any


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, *argv: str, home: Path) -> None:
        self._master, slave = pty.openpty()
        variables = {"PATH": os.environ["PATH"], "TERM": "vt100", "LANG": "C", "HOME": str(home)}
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=variables, start_new_session=True
        )
        os.close(slave)
        self._shown = b""

    def until(self, *words: bytes) -> None:
        """Wait until the screen has shown one of the words; forget what was shown."""
        end = time.monotonic() + DEADLINE
        while not any(word in self._shown for word in words):
            assert time.monotonic() < end, (words, self._shown)
            self._read()
        self._shown = b""

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def _read(self) -> None:
        if select.select([self._master], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):  # the program has gone
                self._shown += os.read(self._master, 65536)

    def ended(self) -> None:
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            assert time.monotonic() < end
            self._read()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@needs("minicom", "minicom")
def test_a_capture_of_minicom_at_the_simulated_modem(world: WorldProcess, tmp_path: Path) -> None:
    log = tmp_path / "minicom.cap"
    port = world.parts["modem"]["port"]
    with contextlib.closing(Terminal("minicom", "-o", "-D", port, "-C", str(log), home=tmp_path)) as terminal:
        terminal.until(b"Welcome to minicom")
        for command in ASKED:
            terminal.type(command.encode() + b"\r")
            terminal.until(b"OK\r", b"ERROR\r")
        terminal.type(b"\x01x")
        terminal.until(b"eave Minicom")
        terminal.type(b"\r")
        terminal.ended()
    assert not understood(log).ignored


@needs("tshark", "tshark")
@pytest.mark.parametrize("form", ["pcap", "nsecpcap", "pcapng"])
def test_a_capture_that_tshark_wrote(tmp_path: Path, form: str) -> None:
    given, made = tmp_path / "given.pcap", tmp_path / f"made.{form}"
    given.write_bytes(pcap(gsmtap(18, 0, ATTACH_REJECT), gsmtap(4, 0, APDU), b"\x45nothing"))
    subprocess.run(
        ["tshark", "-r", str(given), "-w", str(made), "-F", form], check=True, capture_output=True, timeout=DEADLINE
    )
    (source,) = read_files([made]).sources
    assert source.recognised == {"NAS messages": 1, "APDUs": 1}
    assert [item.text for item in source.happenings] == ["cause 11"]
    assert [number for number, _ in source.ignored] == [3]
    assert [item.do for item in derive(Imported([source])).conditions] == ["reject"]


@needs("tshark", "tshark")
@pytest.mark.skipif(os.geteuid() != 0, reason="capturing on loopback needs root")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_what_tshark_captures_of_gsmtap_on_loopback(tmp_path: Path, family: socket.AddressFamily) -> None:
    made = tmp_path / "live.pcapng"
    address = ("127.0.0.79" if family == socket.AF_INET else "::1", 4729)
    with socket.socket(family, socket.SOCK_DGRAM) as sink, socket.socket(family, socket.SOCK_DGRAM) as tap:
        try:
            sink.bind(address)
            tap.bind((address[0], 0))
        except OSError as error:
            pytest.skip(f"no {address[0]} with port 4729 here: {error}")
        wanted = f"udp and port {tap.getsockname()[1]}"  # of this test alone, whoever else speaks GSMTAP on the host
        with subprocess.Popen(
            ["tshark", "-q", "-i", "lo", "-f", wanted, "-w", str(made)], stderr=subprocess.PIPE
        ) as tshark:
            assert tshark.stderr is not None
            os.set_blocking(tshark.stderr.fileno(), False)
            said, end = b"", time.monotonic() + DEADLINE
            try:
                while b"Capture started" not in said:
                    assert time.monotonic() < end, said
                    if tshark.poll() is not None or b"ermission" in said:
                        pytest.skip(f"tshark may not capture here: {said.decode()}")
                    select.select([tshark.stderr], [], [], 0.1)
                    said += tshark.stderr.read() or b""
                reject, command, last = (
                    gsmtap(*item)[28:]  # without the IP and UDP headers, which are the host's here
                    for item in ((18, 0, ATTACH_REJECT), (4, 0, APDU), (18, 0, bytes.fromhex("074303000008")))
                )
                for payload in (reject, command, b"\x45nothing", last):
                    tap.sendto(payload, address)
                while last not in made.read_bytes():  # written in the order of arrival
                    assert time.monotonic() < end
                    select.select([], [], [], 0.05)
            finally:
                tshark.terminate()
    (source,) = read_files([made]).sources
    assert source.recognised == {"NAS messages": 2, "APDUs": 1}
    assert [item.text for item in source.happenings] == ["cause 11", "ATTACH COMPLETE"]
    assert [number for number, _ in source.ignored] == [3]
    assert abs((source.happenings[0].time or 0.0) - time.time()) < 3600


@pytest.mark.skipif(SCAT is None, reason="scat is not installed (.ci/setup test): no foreign DIAG decoder")
def test_what_scat_writes_and_says_of_the_simulated_modems_diag_port(world: WorldProcess, tmp_path: Path) -> None:
    raw, made, said = tmp_path / "modem.qmdl", tmp_path / "scat.pcap", tmp_path / "scat.txt"
    with serial.Serial(world.parts["modem"]["diag_port"], timeout=0.1) as diag, world.serial() as port:
        # LOG_CONFIG, set mask: every log code of LTE (equipment 0x0B)
        diag.write(frame(struct.pack("<B3xLLL", 0x73, 3, 0x0B, 0x1FF) + b"\xff" * 64))
        dump, end = b"", time.monotonic() + DEADLINE
        while b"\x7e" not in dump:
            assert time.monotonic() < end
            dump += diag.read(4096)
        world.ask("fault", do="reject", cause=17)
        assert at(port, "AT+CFUN=0")[-1] == at(port, "AT+CFUN=1")[-1] == "OK"
        while b"\x07\x44\x11" not in dump:
            assert time.monotonic() < end
            dump += diag.read(65536)
        world.ask("fault", do="reject", cause=None)
        world.wait("registered", lambda state: state["registered"], DEADLINE)
        while b"\x07\x43" not in dump:  # the device's ATTACH COMPLETE
            assert time.monotonic() < end
            dump += diag.read(65536)
    raw.write_bytes(dump)
    done = subprocess.run(
        [SCAT or "", "-t", "qc", "-d", str(raw), "-H", "127.0.0.78", "-F", str(made)],
        capture_output=True, timeout=DEADLINE, check=True,
    )  # fmt: skip
    said.write_bytes(done.stdout)
    (capture,) = read_files([made]).sources
    assert set(capture.recognised) == {"NAS messages", "RRC messages"}
    assert not capture.ignored
    texts = [item.text for item in capture.happenings]
    assert texts.index("cause 17") < texts.index("ATTACH COMPLETE")
    assert ("reject", {"cause": 17}) in [(item.do, item.figures) for item in derive(Imported([capture])).conditions]
    (text,) = read_files([said]).sources
    assert {item.value for item in text.happenings if item.what == "rsrp"} == {-85.0}
    assert any("MCC: 1, MNC: 01" in item.text for item in text.happenings)
    assert all("Log Config" in line or "read_dump" in line for _, line in text.ignored)


class Live:
    """A program at the modem's DIAG port, while the network rejects the device and then takes it."""

    def __init__(self, *argv: str, said: Path) -> None:
        self._said = said
        with said.open("wb") as out:
            self.process = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL)

    def until(self, begun: bytes) -> None:
        """Wait until it says that it listens."""
        end = time.monotonic() + DEADLINE
        while begun not in self._said.read_bytes():
            assert self.process.poll() is None, self._said.read_text()
            assert time.monotonic() < end, self._said.read_text()
            time.sleep(0.02)

    def ended_after_a_reject(self, world: WorldProcess, seen: Callable[[], bool]) -> None:
        """Have the network reject attaches until the program has seen it, and accept the next; end it as Ctrl-C does.

        scat says that it begins some time before it has asked the modem for anything.
        """
        end = time.monotonic() + DEADLINE
        with world.serial() as port:
            while True:
                world.ask("fault", do="reject", cause=17)
                assert at(port, "AT+CFUN=0")[-1] == at(port, "AT+CFUN=1")[-1] == "OK"
                world.wait("rejected", lambda state: state["modem"]["cause"] == 17, DEADLINE)
                if seen():
                    break
                assert time.monotonic() < end, self._said.read_text()
            world.ask("fault", do="reject", cause=None)
            assert at(port, "AT+CFUN=0")[-1] == at(port, "AT+CFUN=1")[-1] == "OK"
            world.wait("registered", lambda state: state["registered"], DEADLINE)
        self.process.send_signal(signal.SIGINT)
        self.process.wait(DEADLINE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.skipif(QCSUPER is None, reason="QCSuper is not installed (.ci/setup test): nobody writes its formats")
def test_what_qcsuper_writes_of_the_simulated_modems_diag_port(world: WorldProcess, tmp_path: Path) -> None:
    """The pcap has NAS inside RRC alone, DLF and JSON have both; all three tell the same."""
    pcap_, dlf, json_, said = (tmp_path / name for name in ("q.pcap", "q.dlf", "q.json", "q.txt"))
    port = os.path.realpath(world.parts["modem"]["diag_port"])  # it takes paths below /dev
    argv = (QCSUPER or "", "--usb-modem", port, "--info", "--pcap-dump", str(pcap_), "--dlf-dump", str(dlf))
    with contextlib.closing(Live(*argv, "--json-geo-dump", str(json_), said=said)) as program:
        program.until(b"Model string")
        rounds = iter((False, True))  # the first may come before it has asked for anything; its files come at its end
        program.ended_after_a_reject(world, lambda: next(rounds))
    sources = [read_files([file]).sources[0] for file in (pcap_, dlf, json_, said)]
    assert [source.kind for source in sources] == ["pcap", "QCSuper, DLF", "QCSuper, JSON", "log"]
    assert sources[3].facts == {"modem_firmware": "EG25GGBR07A08M2G"}
    for source in sources[:3]:
        assert source.recognised["NAS messages"] > 3
        assert source.recognised["RRC messages"] > 3
        assert ("reject", {"cause": 17}) in [(item.do, item.figures) for item in derive(Imported([source])).conditions]
    texts = [[item.text for item in source.happenings] for source in sources[:3]]
    assert texts[1] == texts[2]
    assert [text for text in texts[1] if text.startswith("cause")] == [
        text for text in texts[0] if text.startswith("cause")
    ]


def hasty(program: str) -> list[str]:
    """Return a command that runs scat with shorter reads: it asks a modem some forty things, each for half a second."""
    python = Path(program).with_name("python3")
    if not python.exists():
        return [program]
    said = f"import runpy, serial, sys; sys.argv[0] = {program!r}; made = serial.Serial.__init__\n"
    said += "serial.Serial.__init__ = lambda port, *names, **given: made(port, *names, **{**given, 'timeout': 0.05})\n"
    return [str(python), "-c", f"{said}runpy.run_path({program!r}, run_name='__main__')"]


@pytest.mark.skipif(SCAT is None, reason="scat is not installed (.ci/setup test): no foreign DIAG decoder")
def test_what_scat_captures_live_at_the_simulated_modems_diag_port(world: WorldProcess, tmp_path: Path) -> None:
    made, said = tmp_path / "live.pcap", tmp_path / "live.txt"
    port = str(world.parts["modem"]["diag_port"])
    argv = (*hasty(SCAT or ""), "-t", "qc", "-s", port, "-H", "127.0.0.78", "-F", str(made))
    with contextlib.closing(Live(*argv, said=said)) as program:
        program.until(b"Starting diag")
        program.ended_after_a_reject(world, lambda: b"\x07\x44\x11" in made.read_bytes())
    (capture,) = read_files([made]).sources
    assert {"NAS messages", "RRC messages"} == set(capture.recognised)
    assert ("reject", {"cause": 17}) in [(item.do, item.figures) for item in derive(Imported([capture])).conditions]
    (text,) = read_files([said]).sources
    assert text.facts == {"modem_firmware": "EG25GGBR07A08M2G"}
    assert text.recognised["serving cells"]


def entry(number: int, message: bytes, **fields: str) -> bytes:
    """Return one entry as systemd-journal-remote takes it (systemd, Journal Export Format)."""
    boot = "0123456789abcdef0123456789abcdef"
    known = {
        "__CURSOR": f"s=0;i={number}", "__REALTIME_TIMESTAMP": str(1_770_091_507_000_000 + number * 1000),
        "__MONOTONIC_TIMESTAMP": str(1000 + number), "_BOOT_ID": boot, "_HOSTNAME": "gw", **fields,
    }  # fmt: skip
    text = "".join(f"{name}={value}\n" for name, value in known.items()).encode()
    return text + b"MESSAGE\n" + struct.pack("<Q", len(message)) + message + b"\n\n"


JOURNAL = (
    entry(1, b"usb 1-1.4: USB disconnect, device number 7", SYSLOG_IDENTIFIER="kernel")
    + entry(2, b"modem tx: AT+CGMM\nmodem rx: EG25\nmodem rx: OK", SYSLOG_IDENTIFIER="ipa", SYSLOG_PID="312")
    + entry(3, b"TLS: certificate has expired (smdpp.example) \xff", SYSLOG_IDENTIFIER="ipa")
    + entry(4, b"something else", SYSLOG_IDENTIFIER="cron")
)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal's file, written by systemd."""
    file = tmp_path_factory.mktemp("journal") / "gw.journal"
    subprocess.run(
        [JOURNAL_REMOTE, "-o", str(file), "-"], input=JOURNAL, check=True, capture_output=True, timeout=DEADLINE
    )
    return file


@pytest.mark.skipif(
    not os.access(JOURNAL_REMOTE, os.X_OK) or shutil.which("journalctl") is None,
    reason="systemd-journal-remote is not installed (apt-get install systemd-journal-remote): no journal to export",
)
@pytest.mark.parametrize("form", ["export", "json", "json-pretty", "json-seq", "short-unix", "short-full"])
def test_what_journalctl_exports(journal: Path, form: str) -> None:
    done = subprocess.run(
        ["journalctl", "--no-pager", "--utc", "--all", "--file", str(journal), "-o", form],
        check=True, capture_output=True, timeout=DEADLINE,
    )  # fmt: skip
    source = Source("journal")
    read_bytes(source, done.stdout)
    assert [(item.what, round(item.time or 0.0)) for item in source.happenings] == [
        ("port-gone", 1_770_091_507),
        ("tls", 1_770_091_507),
    ]
    assert [(call.function, call.result) for call in Imported([source]).calls] == [("AT+CGMM", "OK")]
    assert source.facts == {"modem": "EG25"}
    assert ["something else" in text for _, text in source.ignored] == [True]
    assert source.kind.startswith("journald") is not form.startswith("short")


def test_what_the_capture_kit_records_is_read_completely(world: WorldProcess, tmp_path: Path) -> None:
    write(tmp_path)
    done = subprocess.run(
        [sys.executable, "capture.py", world.parts["modem"]["port"], "3"],
        cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=True,
    )  # fmt: skip
    sources = {
        source.name.rpartition("/")[2]: source for source in read_files([tmp_path / done.stdout.strip()]).sources
    }
    log = sources["at.log"]
    assert not log.ignored
    assert log.facts["modem"]
    assert log.facts["modem_firmware"]
    assert any(call.function == "AT+CEREG?" and call.ok for call in Imported(list(sources.values())).calls)
