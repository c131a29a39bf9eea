"""A recorded card behind the real pcscd and vpcd satisfies ``bench euicc info``, and foreign programs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from .foreign import PROGRAM, Bench, Stream, end, environment, run
from .test_pcsc import need_pcsc

ISD_R = "A0000005591010FFFFFFFF8900000100"


class Lab:
    """A bench home, and commands in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"

    def bench(self, *arguments: str, ok: int = 0, deadline: float = 60.0) -> Any:
        """Run a command with --json; return its object."""
        process = subprocess.Popen(
            [PROGRAM, *arguments, "--json"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(BENCH_HOME=str(self.home), BENCH_LOCKS=os.environ.get("BENCH_LOCKS", str(self.folder))),
            process_group=0,
        )
        try:
            out, err = process.communicate(timeout=deadline)
        finally:
            end(process)
        assert process.returncode == ok, err.decode()
        assert b"Traceback" not in out + err
        return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    need_pcsc()
    return Lab(tmp_path_factory.mktemp("tape"))


@pytest.fixture(scope="module")
def recording(lab: Lab) -> dict[str, Any]:
    """``bench euicc info`` on the virtual eUICC through the reader: what it says, and its run folder."""
    found: dict[str, Any] = lab.bench("euicc", "info", "--station", "sim-pcsc")
    return found


@pytest.fixture(scope="module")
def redacted(lab: Lab, recording: dict[str, Any]) -> Path:
    """The trace as somebody else has it: the card's EID is another one there."""
    lab.bench("bundle", recording["run"], "--for", "vendor", "-o", str(lab.folder / "b.zip"))
    with zipfile.ZipFile(lab.folder / "b.zip") as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("trace.pcapng"))
        archive.extract(name, lab.folder / "vendor")
    return lab.folder / "vendor" / name


def test_the_recorded_card_satisfies_euicc_info_through_a_real_reader(lab: Lab, recording: dict[str, Any]) -> None:
    found = lab.bench("euicc", "info", "--station", "sim-pcsc", "--world", f"card_tape={recording['folder']}")
    assert found["run"] != recording["run"]
    assert found["result"] == recording["result"]
    assert found["result"]["info2"]["firmware"] and found["result"]["profiles"]


def test_it_is_the_recording_that_answers(lab: Lab, recording: dict[str, Any], redacted: Path) -> None:
    """Where the recording names another EID, so does the card; every answer is well-formed there too."""
    found = lab.bench("euicc", "info", "--station", "sim-pcsc", "--world", f"card_tape={redacted}")["result"]
    ours = recording["result"]
    assert found["eid"] != ours["eid"] and found["eid"][:8] == ours["eid"][:8]
    assert [item["iccid"] for item in found["profiles"]] != [item["iccid"] for item in ours["profiles"]]
    assert (found["info1"], found["memory"], found["rules"]) == (ours["info1"], ours["memory"], ours["rules"])
    table = json.loads(Path(recording["folder"], "bundle-vendor.json").read_text())["entries"]
    assert {"kind": "EID", "value": ours["eid"], "pseudonym": found["eid"]} in table


def test_replayed_to_the_virtual_euicc_only_volatile_fields_differ(lab: Lab, recording: dict[str, Any]) -> None:
    found = lab.bench("trace", "replay", recording["run"], "--send", "--station", "sim-pcsc")
    assert found["replayed"] >= 9 and found["different"] == 0
    assert found["identical"] >= found["replayed"] - 2
    assert {item["level"] for item in found["differences"]} <= {"volatile", "state"}


def test_replayed_to_another_card_it_says_what_differs(lab: Lab, redacted: Path) -> None:
    found = lab.bench("trace", "replay", str(redacted), "--send", "--station", "sim-pcsc", ok=1)
    (eid,) = (item for item in found["differences"] if item["path"] == "/BF3E/5A")
    assert eid["level"] == "value" and eid["recorded"] != eid["found"]


class Tape(Bench):
    """``bench sim up`` with the recorded card fixed in a reader."""

    def __init__(self, folder: Path, trace: str) -> None:
        super().__init__(folder, "--station", "sim-pcsc", "--world", f"card_tape={trace}", "--world", "card_at=reader")
        self.csock = self.station["reader"]["pcsclite_csock"]

    def apdus(self, *commands: str) -> list[str]:
        """Send APDUs with opensc-tool; return data and status words."""
        sent = [word for command in commands for word in ("-s", command)]
        done = run("opensc-tool", *sent, deadline=30.0, variables={"PCSCLITE_CSOCK_NAME": self.csock})
        text = done.stdout.decode(errors="replace")
        return re.findall(r"SW1=0x(\w\w), SW2=0x(\w\w)", text) and [
            "".join(re.findall(r"(?<![0-9A-F])[0-9A-F]{2}(?= )", part.partition("\n")[2])) + word
            for part, word in (
                (block, f"{a}{b}")
                for block, (a, b) in zip(
                    text.split("Received (")[1:], re.findall(r"SW1=0x(\w\w), SW2=0x(\w\w)", text), strict=True
                )
            )
        ]


def test_as_card_plays_the_recording_until_a_signal(lab: Lab, recording: dict[str, Any], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [PROGRAM, "trace", "replay", recording["folder"], "--as-card", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(BENCH_HOME=str(tmp_path / "home"), BENCH_LOCKS=str(tmp_path)),
        process_group=0,
    )
    try:
        assert process.stdout is not None
        line = Stream(process.stdout.fileno(), -1).until(rb"[^\n]*\n", 60.0).group()
        (station,) = json.loads(line)["stations"].values()
        variables = {"PCSCLITE_CSOCK_NAME": station["reader"]["pcsclite_csock"]}
        need_pcsc("opensc-tool")
        assert b"9f:96:80:3f:c7" in run("opensc-tool", "-a", deadline=30.0, variables=variables).stdout
        process.send_signal(signal.SIGINT)
        assert process.wait(20.0) == 0
    finally:
        end(process)
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def test_a_foreign_program_reads_the_recorded_card(lab: Lab, recording: dict[str, Any], tmp_path: Path) -> None:
    need_pcsc("opensc-tool")
    with Tape(tmp_path, recording["folder"]) as tape:
        told = tape.apdus("0070000001", f"01A4040010{ISD_R}", "81E2910006BF3E035C015A", "01C0000015")
    assert told[0].endswith("9000")
    assert told[-1].startswith("BF3E125A10" + recording["result"]["eid"]), told
