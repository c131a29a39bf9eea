"""Files made by the programs that people use: picocom, tshark; and our own exports through them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.reproduce.deriving import derive
from bench.reproduce.imported import Imported
from bench.reproduce.importing import read_files
from bench.reproduce.kit import write
from bench.trace.export import gsmtap
from tests.reproduce.test_import import APDU, ATTACH_REJECT, pcap
from tests.sim.process import WorldProcess, needs


@needs("picocom", "picocom")
def test_a_log_of_picocom_at_the_simulated_modem(tmp_path: Path) -> None:
    log = tmp_path / "picocom.log"
    asked = b"ATE1\rAT+CGMM\rAT+CGMR\rAT+CEREG?\rAT+NONSENSE\r"
    with WorldProcess(tmp_path / "home", "--profile", "unit", "--clock", "scaled:20") as world:
        world.registered()
        subprocess.run(
            ["picocom", "-qrib", "115200", "-x", "1500", "--logfile", str(log), world.parts["modem"]["port"]],
            input=asked, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
    (source,) = read_files([log]).sources
    assert source.kind == "AT log"
    functions = {call.function: call for call in Imported([source]).calls}
    assert functions["AT+CGMM"].ok
    assert functions["AT+CEREG?"].ok
    assert functions["AT+NONSENSE"].ok is False
    assert source.facts["modem"]
    assert source.facts["modem_firmware"]
    assert len(source.ignored) <= 2  # picocom's own lines, if any


@needs("tshark", "tshark")
@pytest.mark.parametrize("form", ["pcap", "nsecpcap", "pcapng"])
def test_a_capture_that_tshark_wrote(tmp_path: Path, form: str) -> None:
    given, made = tmp_path / "given.pcap", tmp_path / f"made.{form}"
    given.write_bytes(pcap(gsmtap(18, 0, ATTACH_REJECT), gsmtap(4, 0, APDU), b"\x45nothing"))
    subprocess.run(
        ["tshark", "-r", str(given), "-w", str(made), "-F", form], check=True, capture_output=True, timeout=60
    )
    (source,) = read_files([made]).sources
    assert source.recognised == {"NAS messages": 1, "APDUs": 1}
    assert [item.text for item in source.happenings] == ["cause 11"]
    assert [number for number, _ in source.ignored] == [3]
    assert [item.do for item in derive(Imported([source])).conditions] == ["reject"]


def test_what_the_capture_kit_records_is_read_completely(tmp_path: Path) -> None:
    write(tmp_path)
    with WorldProcess(tmp_path / "home", "--profile", "unit", "--clock", "scaled:20") as world:
        world.registered()
        done = subprocess.run(
            [sys.executable, "capture.py", world.parts["modem"]["port"], "8"],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    sources = {
        source.name.rpartition("/")[2]: source for source in read_files([tmp_path / done.stdout.strip()]).sources
    }
    log = sources["at.log"]
    assert not log.ignored
    assert log.facts["modem"]
    assert log.facts["modem_firmware"]
    assert any(call.function == "AT+CEREG?" and call.ok for call in Imported(list(sources.values())).calls)
