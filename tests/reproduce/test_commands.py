"""The commands as they are typed, on the simulated bench: import, reproduce, minimise, and the test that is left."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner

from bench.cli.main import bench as bench_command
from bench.client.playing import RunPlayer
from bench.reproduce.course import Course
from bench.reproduce.scenario import Scenario
from bench.station.checks import BUILT_IN

LAB = "[stations.lab]"
DEADLINE = 300.0
"""Seconds of one command; six runs take 10 s, and many times that beside other work."""
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


def call(folder: Path, *command: str, code: int, said: str = "out") -> str:
    kept = {name: value for name, value in os.environ.items() if name != "BENCH_CONFIG"}
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as complained:
        # Files, not pipes: after a deadline nobody waits for what the command has started
        done = subprocess.run(
            command, cwd=folder, env={**kept, "BENCH_HOME": str(folder / "home")}, stdout=printed, stderr=complained,
            timeout=DEADLINE, check=False,
        )  # fmt: skip
        printed.seek(0), complained.seek(0)
        out, errors = printed.read(), complained.read()
    assert "Traceback" not in errors, errors
    assert done.returncode == code, out + errors
    return errors if said == "errors" else out


def bench(folder: Path, *arguments: str, code: int = 0, said: str = "out") -> str:
    return call(folder, *BENCH, *arguments, code=code, said=said)


def test_import_writes_a_scenario_that_reproduce_understands(folder: Path) -> None:
    (folder / "at.log").write_text('AT+CGLA=1,16,"80E2910003BF3E00"\n+CME ERROR: 13\n+CPIN: NOT INSERTED\nrubbish\n')
    told = json.loads(bench(folder, "import", "at.log", "--owner", "mk", "--out", "case.toml", "--json"))
    assert [item["do"] for item in told["conditions"]] == ["card-remove"]
    assert told["sources"][0]["ignored"] == [{"line": 4, "text": "rubbish"}]
    assert told["signature"]["call"][0]["function"].startswith("AT+CGLA")
    (folder / "nothing.log").write_text("rubbish\n")
    told_why = bench(folder, "import", "nothing.log", "--out", "nothing.toml", code=1, said="errors")
    assert "nothing was understood: there is no scenario" in told_why
    assert not (folder / "nothing.toml").exists()
    text = (folder / "case.toml").read_text()
    assert 'owner = "mk"' in text
    assert "delete_after = " in text


def test_a_wrong_scenario_is_exit_code_2_and_nothing_is_played(folder: Path) -> None:
    (folder / "wrong.toml").write_text(SCENARIO.replace("cause = 17\nat", "cuase = 17\nat"))
    bench(folder, "reproduce", "wrong.toml", code=2)
    bench(folder, "reproduce", "no-such-scenario", code=2)
    (folder / "wrong.toml").write_text(SCENARIO.replace("cell = 2", "cell = 9"))  # only the simulated world knows
    assert "condition far-away: there is no cell 9" in bench(folder, "reproduce", "wrong.toml", code=2, said="errors")
    assert not (folder / "home" / "runs").exists()


def test_a_world_that_would_not_start_is_told_before_anything_does(folder: Path) -> None:
    told = bench(folder, "sim", "up", "--world", "refresh=never", code=2, said="errors")
    assert "--refresh: invalid choice: 'never'" in told
    assert not (folder / "home" / "sim").exists()


def test_the_shipped_ones_are_listed(folder: Path) -> None:
    listed = json.loads(bench(folder, "reproduce", "--list", "--json"))["scenarios"]
    assert {"fplmn-filled", "refresh-missed"} <= {item["name"] for item in listed}


class Table:
    """Stands for the runs of a station: they fail as long as the condition ``rejects`` is there."""

    def __init__(self, config: Path | None = None, *, station: str = "", keep: bool = True) -> None:
        self._station = station

    def station_of(self, scenario: Scenario) -> str:
        return self._station or scenario.station

    def play(self, scenario: Scenario, seed: int) -> Course:
        identities = {"modem": "Quectel/EG25/490154203237518", "modem firmware": "EG25GGBR07A08M2G"}
        if any(item.name == "rejects" for item in scenario.conditions):
            message = "not registered within 30 s: last EMM cause 17"
            return Course("fail", failed_step="register", message=message, identities=identities)
        return Course("pass", identities=identities)


@pytest.fixture
def invoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Commands in this process, on stations of which every run is told by Table; case.toml is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BENCH_CONFIG", raising=False)
    monkeypatch.setattr("bench.client.playing.RunPlayer", Table)
    (tmp_path / "case.toml").write_text(SCENARIO)

    def call_(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(bench_command, arguments, catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done.output

    return call_


def test_the_table_tells_who_the_station_is_once_a_run_has_told(invoked: Callable[..., str]) -> None:
    """The scenario tells nothing of the device in the field, the first run's modem has told who it is."""
    found = json.loads(invoked("reproduce", "case.toml", "-n", "3", "--json"))
    assert (found["hits"], found["runs"]) == (3, 3)
    table = {row["what"]: row for row in found["table"]}
    assert table["modem"]["station"] == "Quectel EG25"
    assert table["modem"]["likeness"] == table["modem_firmware"]["likeness"] == "unknown"
    here = "(here: modem Quectel EG25, modem firmware EG25GGBR07A08M2G)"
    assert found["table_verdict"].startswith(f"nothing is known of the device in the field {here}")
    told = invoked("reproduce", "case.toml", "-n", "3")
    assert "the failure came back in 3 of 3" in told
    assert re.search(r"^  modem +\? +Quectel EG25 +unknown$", told, re.M)
    Path("known.toml").write_text(SCENARIO + '[device]\nmodem = "EG25"\nmodem_firmware = "EG25GGBR07A07M2G"\n')
    found = json.loads(invoked("reproduce", "known.toml", "-n", "1", "--json"))
    assert [row["likeness"] for row in found["table"]] == ["same", "different"]
    assert found["table_verdict"] == "modem firmware differ"


def test_whose_case_it_is_and_that_it_should_be_gone(invoked: Callable[..., str]) -> None:
    case = '[case]\nowner = "mk"\nnotes = "meter 7"\ndelete_after = {}\n'
    for day, overdue in (("2026-01-31", True), ("2999-01-31", False)):
        Path("old.toml").write_text(SCENARIO + case.format(day))
        told = invoked("reproduce", "old.toml", "-n", "1")
        assert f"case: of mk; to be deleted after {day}; meter 7" in told
        assert ("old.toml: the case was to be deleted after" in told) is overdue
        assert ("the case was to be deleted after" in invoked("minimise", "old.toml")) is overdue


def test_a_log_without_a_failure_says_so(invoked: Callable[..., str]) -> None:
    Path("well.log").write_text("AT+CGMM\nEG25\n\nOK\n")
    assert "no sign of a failure: say in [signature] what it looks like" in invoked("import", "well.log")


def test_what_does_not_come_back_and_what_should_not(invoked: Callable[..., str]) -> None:
    told = invoked("reproduce", "case.toml", "-n", "3", "--without", "rejects", code=1)
    assert "the failure came back in 0 of 3: at most 63.2%" in told
    assert "3 times: it passes" in told
    invoked("reproduce", "case.toml", "-n", "3", "--without", "rejects", "--expect", "gone")
    invoked("reproduce", "case.toml", "-n", "3", "--expect", "gone", code=1)
    invoked("reproduce", "case.toml", "--without", "nobody", code=2)
    invoked("reproduce", "case.toml", "--without-decisive", code=2)


def test_what_is_left_is_named_and_whether_it_is_sure(invoked: Callable[..., str]) -> None:
    small = json.loads(invoked("minimise", "case.toml", "--out", "left", "--json"))
    assert small["decisive"] == ["rejects"]
    assert small["sure"]
    assert small["smallest_rate"]["hits"] == small["smallest_rate"]["runs"] == 4
    told = invoked("minimise", "case.toml")
    assert "It fails with rejects (a cell rejects (cause 17) at the start) alone, in 4 of 4" in told
    assert "simpler: rejects: at the start, step register does not matter" in told
    told = invoked("minimise", "case.toml", "--no-sizes")
    assert "It fails with rejects (a cell rejects (cause 17) at step register) alone, in 4 of 4" in told
    Path("gone.toml").write_text(SCENARIO.replace('name = "rejects"', 'name = "another"'))
    assert "The failure did not come back: 0 of " in invoked("minimise", "gone.toml", code=1)


class OnceEach(RunPlayer):
    """Plays each set of conditions once, whatever the seed; asked again it remembers."""

    known: ClassVar[dict[tuple[str, ...], Course]] = {}

    def play(self, scenario: Scenario, seed: int) -> Course:
        names = tuple(item.name for item in scenario.conditions)
        course = self.known.get(names) or super().play(scenario, seed)
        if course.usable:  # one that the host spoiled is played again
            self.known[names] = course
        return course


@pytest.mark.timeout(1000)
def test_minimised_and_kept_as_a_test(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test that is left fails while the failure is there, and passes once its cause is gone; every run is real."""
    (folder / "case.toml").write_text(SCENARIO)
    monkeypatch.setenv("BENCH_HOME", str(folder / "home"))
    monkeypatch.delenv("BENCH_CONFIG", raising=False)
    monkeypatch.setattr("bench.client.playing.RunPlayer", OnceEach)
    arguments = ("minimise", str(folder / "case.toml"), "--no-sizes", "--out", str(folder / "left"), "--json")
    done = CliRunner().invoke(bench_command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    small = json.loads(done.output)
    assert small["decisive"] == ["rejects"]
    assert small["sure"] and not small["others"]
    assert set(OnceEach.known) == {("rejects", "far-away"), (), ("rejects",), ("far-away",)}
    assert not any(course.absent for course in OnceEach.known.values()), "all of them came about"
    left = folder / "left"
    test = left / "test_no_attach.py"
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(left), str(test))
    # The station that the plugin was told of is the one it is played on, by the bench.toml that it was told of
    (folder / "lab.toml").write_text((files("bench.station") / BUILT_IN).read_text().replace("[stations.sim]", LAB))
    told = ("--bench-config", str(folder / "lab.toml"), "--bench-station", "lab", "--bench-seed", "9")
    said = call(folder, *pytest_, *told, code=1)
    assert "it is back in 2 of 2 runs" in said
    assert re.search(r"/20\d{6}-\d{6}-\d{3}-lab-\w{4}'", said)
    scenario = left / "no_attach.toml"
    scenario.write_text(scenario.read_text().replace("cause = 17", "cause = 17\ncell = 2"))  # not the cell it is in
    call(folder, *pytest_, code=0)
