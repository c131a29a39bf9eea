"""Runs on the station ``sim-pcsc``: through the real pcscd, with a SIM switch between reader and modem."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from bench import client
from bench.client import session

from .foreign import PROGRAM, end, environment
from .test_pcsc import need_pcsc

JOB = "bootstrap-to-operational"


class Lab:
    """A bench home for runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"

    def run(
        self, *arguments: str, recipe: str = JOB, station: str = "sim-pcsc", deadline: float = 60.0
    ) -> tuple[dict[str, Any], Path]:
        """Run a recipe, return the object of --json and the run folder."""
        process = subprocess.Popen(
            [PROGRAM, "run", recipe, "--json", "--station", station, *arguments],
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
        assert b"Traceback" not in out + err, err.decode()
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        assert found["exit_code"] == process.returncode
        (folder,) = (self.home / "runs").glob(f"*{found['run'][-4:]}")
        return found, folder


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    need_pcsc()
    return Lab(tmp_path_factory.mktemp("pcsc-runs"))


def test_the_main_job_with_the_card_in_the_switch(lab: Lab) -> None:
    found, folder = lab.run()
    assert found["exit_code"] == 0, found
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["bearer"] == "host"
    assert {"reader", "switch", "modem"} <= manifest["instruments"].keys()
    assert manifest["instruments"]["reader"]["driver"] == "pcsc"
    moves = [event["data"]["at"] for event in events(folder) if event["type"] == "card"]
    assert moves[0] == "modem" or moves[1] == "modem"
    assert all(before != after for before, after in itertools.pairwise(moves))


def test_kill_9_of_pcscd_in_the_middle_is_a_bench_error_and_the_next_run_passes(lab: Lab) -> None:
    kill = {"at": "apdu", "of": "reader", "ins": "E2", "n": 30, "do": "pcscd-kill"}
    found, folder = lab.run("--world", f"faults={json.dumps([kill])}")
    assert found["exit_code"] == 3
    (error,) = [event["data"] for event in events(folder) if event["type"] == "error"]
    assert "the PC/SC daemon (pcscd) is gone" in error["what"]
    assert "esim-bench sim-pcsc A 00 00" in error["where"]
    safe = [event["data"] for event in events(folder) if event["type"] == "safe"]
    assert safe and all(action["verified"] for action in safe)
    again, folder = lab.run()
    assert again["exit_code"] == 0, [event["data"] for event in events(folder) if event["type"] == "error"]


def test_the_card_pulled_out_of_the_reader_in_the_middle(lab: Lab) -> None:
    pull = {"at": "apdu", "of": "reader", "ins": "E2", "n": 25, "do": "card-remove"}
    found, folder = lab.run("--world", f"faults={json.dumps([pull])}")
    assert found["exit_code"] == 3
    (error,) = [event["data"] for event in events(folder) if event["type"] == "error"]
    assert "no answer" in error["what"] or "no card" in error["what"]


def test_a_switch_that_sticks_is_named_before_the_device_is_blamed(lab: Lab) -> None:
    stick = {"at": "now", "do": "relays-stuck", "relays": [0]}
    found, folder = lab.run("--world", f"faults={json.dumps([stick])}")
    assert found["exit_code"] == 3
    (error,) = [event["data"] for event in events(folder) if event["type"] == "error"]
    assert "relay 0 did not switch off" in error["what"]


def test_another_eid_is_told_before_anything_is_switched(lab: Lab) -> None:
    found, folder = lab.run("--eid", "89049032000000000000000000000357")
    assert found["exit_code"] == 3
    told = events(folder)
    (error,) = [event["data"] for event in told if event["type"] == "error"]
    assert "the card's EID is" in error["what"]
    assert not [event for event in told if event["type"] == "card"]


DESK = """
[stations.desk]
world = { service = "sim", card_at = "reader", card_refresh = "REFRESH" }
clock = "unix:$world.clock"
card = { at = "reader", reader = "A 00 00", pcsclite_csock = "$world.reader.pcsclite_csock", options = { TOOLKIT } }
data = { path = "host" }
expendable = true
"""


@pytest.mark.parametrize("refresh", ["fetch", "locked"])
@pytest.mark.parametrize("toolkit", ["toolkit = true", ""])
def test_a_station_that_is_nothing_but_a_reader(tmp_path: Path, refresh: str, toolkit: str) -> None:
    """Whoever resets the card after the switch - driver or IPA - it delivers its result with the next poll."""
    need_pcsc()
    lab = Lab(tmp_path)
    (tmp_path / "bench.toml").write_text(DESK.replace("REFRESH", refresh).replace("TOOLKIT", toolkit))
    recipe = Path(__file__).with_name("reader_recipe.py")
    found, folder = lab.run(recipe=f"{recipe}:provision_in_reader", station="desk")
    assert found["exit_code"] == 0, [event["data"] for event in events(folder) if event["type"] == "error"]
    notes = [event["data"]["text"] for event in events(folder) if event["type"] == "note"]
    assert any("esim-bench desk A 00 00: ATR 3b9f96803fc7" in note for note in notes)


def test_a_session_by_hand_on_a_station_that_is_nothing_but_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_pcsc()
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path))
    (tmp_path / "bench.toml").write_text(DESK.replace("REFRESH", "fetch").replace("TOOLKIT", "toolkit = true"))
    home = tmp_path / "home"
    handle = session.begin("desk", client.StartOptions(config=tmp_path / "bench.toml", home=home, clock="real"))
    try:
        deadline = time.monotonic() + 60
        journal = handle.folder / "journal.jsonl"
        while not journal.exists() or '"socket"' not in journal.read_text():
            assert time.monotonic() < deadline and handle.wait(0.02) is None, "it begins"
        assert session.tell(handle.folder, {"op": "reading"}) == {"ok": True}, "there is no supply to read"
        (answer,) = session.tell(handle.folder, {"op": "apdu", "line": "80E2910003BF2E00"})["lines"]
        assert answer.startswith("BF2E12") and answer.endswith("9000"), "GetEuiccChallenge, SGP.22 section 5.7.7"
    finally:
        client.stop(handle.folder)
        assert handle.wait(30) is not None
