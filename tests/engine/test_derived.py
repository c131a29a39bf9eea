"""What is derived at the end of a run: quickly here, else by a process; never at the cost of the run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from waiting import wait_for

from bench.engine import derived
from bench.run import folder as places
from bench.run.journal import Journal


def folder_of(runs: Path) -> Path:
    folder = places.create(runs, "sim")
    places.write_manifest(folder, {"run": folder.name, "recipe": "r", "station": "sim", "simulated": True})
    journal = Journal.open(folder / places.JOURNAL, background=False)
    journal.write("run-start", {"schema": 1})
    journal.write("run-end", {"device": "pass", "bench": "pass", "exit_code": 0})
    journal.close()
    return folder


def test_a_short_record_has_its_report_at_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    derived.result(folder)
    derived.report(folder)
    assert (folder / places.RESULT).exists()
    assert folder.name in (folder / "report.html").read_text()


def test_a_long_record_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path)
    monkeypatch.setattr(derived, "_AT_ONCE", 10)
    began = time.monotonic()
    derived.report(folder)
    took = time.monotonic() - began
    assert folder.name in wait_for(folder / "report.html")
    assert took < 0.2  # starting the process, not waiting for it


@pytest.mark.parametrize("least", [10, 10_000_000])
def test_the_result_of_a_long_journal_comes_with_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    """The supervisor takes a runner that derives for seconds for one that hangs."""
    folder = folder_of(tmp_path)
    monkeypatch.setattr(derived, "_RESULT_AT_ONCE", least)
    derived.result(folder)
    assert (folder / places.RESULT).exists() == (least > 10)
    monkeypatch.setattr("sys.argv", ["-c", str(folder)])
    monkeypatch.setattr("os.nice", lambda more: more)
    derived.main()
    assert (folder / places.RESULT).exists() and (folder / places.JUNIT).exists()
    assert folder.name in (folder / "report.html").read_text()


def test_nothing_that_goes_wrong_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    derived.result(tmp_path / "nowhere")
    derived.report(tmp_path / "nowhere")
    derived.report(tmp_path / "nowhere", apart=True)
    folder = folder_of(tmp_path)
    monkeypatch.setattr("bench.report.html.gather", lambda folder: 1 / 0)
    derived.report(folder)
    assert not (folder / "report.html").exists()


def test_who_collects_results_has_them_when_the_command_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long record too, for which the run itself did not wait."""
    from click.testing import CliRunner

    from bench import client
    from bench.cli.main import bench

    class Ended:
        folder = folder_of(tmp_path)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(client, "start", lambda *given: Ended())
    assert CliRunner().invoke(bench, ["run", "euicc-info"]).exit_code == 0
    assert (Ended.folder / places.RESULT).exists() and (Ended.folder / places.JUNIT).exists()
