"""The commands as they are typed, on the simulated bench: import, reproduce, minimise, and the test that is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = [sys.executable, "-m", "bench.cli.main"]
SCENARIO = """
title = "No attach"
recipe = "power-cycle-and-register"
seed = 5
[parameters]
register_within = 30.0
[[condition]]
name = "rejects"
do = "reject"
cause = 17
at = { step = "register" }
[[condition]]
name = "far-away"
do = "cell-power"
cell = 2
rsrp = -120.0
[signature]
verdict = "fail"
step = "register"
message = "cause 17"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("case")


def call(folder: Path, *command: str, code: int) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "BENCH_CONFIG"}
    done = subprocess.run(
        command, cwd=folder, env={**kept, "BENCH_HOME": str(folder / "home")}, capture_output=True, text=True,
        timeout=110, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def bench(folder: Path, *arguments: str, code: int = 0) -> str:
    return call(folder, *BENCH, *arguments, code=code)


def test_import_writes_a_scenario_that_reproduce_understands(folder: Path) -> None:
    (folder / "at.log").write_text('AT+CGLA=1,16,"80E2910003BF3E00"\n+CME ERROR: 13\n+CPIN: NOT INSERTED\nrubbish\n')
    told = json.loads(bench(folder, "import", "at.log", "--owner", "mk", "--out", "case.toml", "--json"))
    assert [item["do"] for item in told["conditions"]] == ["card-remove"]
    assert told["sources"][0]["ignored"] == [{"line": 4, "text": "rubbish"}]
    assert told["signature"]["call"][0]["function"].startswith("AT+CGLA")
    (folder / "nothing.log").write_text("rubbish\n")
    bench(folder, "import", "nothing.log", code=1)
    text = (folder / "case.toml").read_text()
    assert 'owner = "mk"' in text
    assert "delete_after = " in text


def test_a_wrong_scenario_is_exit_code_2_and_nothing_is_played(folder: Path) -> None:
    (folder / "wrong.toml").write_text(SCENARIO.replace("cause = 17\nat", "cuase = 17\nat"))
    bench(folder, "reproduce", "wrong.toml", code=2)
    bench(folder, "reproduce", "no-such-scenario", code=2)
    assert not (folder / "home" / "runs").exists()


def test_the_shipped_ones_are_listed(folder: Path) -> None:
    listed = json.loads(bench(folder, "reproduce", "--list", "--json"))["scenarios"]
    assert {"fplmn-filled", "refresh-missed"} <= {item["name"] for item in listed}


@pytest.mark.timeout(400)
def test_reproduced_minimised_and_kept_as_a_test(folder: Path) -> None:
    """The test that is left fails while the failure is there, and passes once its cause is gone."""
    (folder / "case.toml").write_text(SCENARIO)
    found = json.loads(bench(folder, "reproduce", "case.toml", "-n", "1", "--json"))
    assert (found["hits"], found["runs"]) == (1, 1)
    # The scenario tells nothing of the device; the run's modem has told who it is.
    table = {row["what"]: row for row in found["table"]}
    assert table["modem"]["station"] == "Quectel EG25"
    assert table["modem"]["likeness"] == table["modem_firmware"]["likeness"] == "unknown"
    assert found["table_verdict"].startswith(
        "nothing is known of the device in the field (here: modem Quectel EG25, modem firmware EG25G"
    )
    small = json.loads(bench(folder, "minimise", "case.toml", "--no-sizes", "--out", "left", "--json"))
    assert small["decisive"] == ["rejects"]
    assert small["sure"]
    assert small["rate"]["hits"] == small["rate"]["runs"]
    left = folder / "left"
    test = left / "test_no_attach.py"
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(left), str(test))
    assert "it is back in 2 of 2 runs" in call(folder, *pytest_, code=1)
    scenario = left / "no_attach.toml"
    scenario.write_text(scenario.read_text().replace("cause = 17", "cause = 17\ncell = 2"))  # not the cell it is in
    call(folder, *pytest_, code=0)
