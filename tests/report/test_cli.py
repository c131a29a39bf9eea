"""``bench report`` as a person and a script use it."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli.main import bench
from bench.engine.spawn import python
from bench.run import folder as places

from .folders import check_page, run_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    monkeypatch.delenv("BENCH_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(bench, ["report", *arguments], catch_exceptions=False)


def test_it_makes_everything_derived_again_and_says_where(home: Path) -> None:
    run_folder(home / "runs", failing=False)
    folder = run_folder(home / "runs")
    result = run()
    assert result.exit_code == 0
    assert result.stdout.strip() == str(folder / "report.html")  # of the last one
    check_page((folder / "report.html").read_text())
    power = json.loads((folder / places.RESULT).read_text())["power"]["psu1"]
    assert power["energy_J"] == pytest.approx(50.5)
    assert power["amps"]["max"] == 0.5
    xml.etree.ElementTree.parse(folder / places.JUNIT)


def test_a_folder_from_elsewhere_needs_no_configuration(home: Path) -> None:
    folder = run_folder(home / "copied")
    (home / "bench.toml").write_text("this is not TOML")
    result = run(str(folder), "--html", "there.html")
    assert result.exit_code == 0
    assert result.stdout.strip() == "there.html"
    check_page((home / "there.html").read_text())
    assert not (folder / "report.html").exists()
    assert not (folder / places.RESULT).exists()


def test_json_and_junit_are_printed_and_nothing_is_written(home: Path) -> None:
    folder = run_folder(home / "runs")
    before = sorted(folder.iterdir())
    found = json.loads(run("last", "--json").stdout)
    assert (found["device"], found["bench"], found["exit_code"]) == ("fail", "pass", 1)
    suite = xml.etree.ElementTree.fromstring(run("last", "--junit").stdout)
    assert [case.get("name") for case in suite.iter("testcase")] == [
        "start-state",
        "register",
        "register/attach",
        "run",
    ]
    assert sorted(folder.iterdir()) == before
    assert run("last", "--json", "--junit").exit_code == 2
    assert json.loads(run("last", "--json", "--html", "x.html").stdout)["device"] == "fail"
    check_page((home / "x.html").read_text())


def test_a_live_run_gets_a_report_but_no_result(home: Path) -> None:
    import os

    from bench.run import liveness

    folder = run_folder(home / "runs", end=False)
    fd = liveness.hold(folder)
    try:
        assert run().exit_code == 0
    finally:
        os.close(fd)
    assert "still going on" in (folder / "report.html").read_text()
    assert not (folder / places.RESULT).exists()


def test_errors_say_what_to_do(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli.main", "report", "nothing"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "nothing" in done.stderr
    folder = run_folder(home / "runs")
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli.main", "report", "last", "--html", "no/where.html"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode not in (0, 1)
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert folder.is_dir()


def test_a_bare_interpreter_makes_a_report(home: Path) -> None:
    """What the engine starts for a long run: no site-packages, so nothing but the standard library may be needed."""
    folder = run_folder(home / "runs")
    command = [*python("from bench.engine.derived import main; main()", bare=True), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    check_page((folder / "report.html").read_text())
