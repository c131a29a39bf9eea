"""eIM and SM-DP+ misbehave by the world's fault time line: at a moment, or at a line of its log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recipe_bench import Bench

pytestmark = pytest.mark.timeout(120)


def line(**fault: object) -> tuple[str]:
    return (f"faults={json.dumps([fault])}",)


def test_of_the_eim(tmp_path: Path) -> None:
    """Told before it runs: the first package that it makes is signed in DER, and the run says what the card said."""
    told = line(do="eim-misbehave", name="package-signature", parameters={"form": "der"})
    run = Bench(tmp_path).run("profile-inventory", "sim", world=told)
    assert run.verdict == "fail" and "refused the package with an unsigned error" in run.errors, run.errors
    log = (tmp_path / "home" / "sim" / "sim" / "world.jsonl").read_text()
    assert '"misbehaviour-waits"' in log and '"misbehaviour"' in log and '"misbehaviour-failed"' not in log
    again = Bench(tmp_path).run("profile-inventory", "sim")
    assert again.verdict == "pass", again.errors


def test_of_the_smdpp_and_for_how_long(tmp_path: Path) -> None:
    """For five seconds of station time, which are over before the download: nothing is seen of it."""
    told = line(do="smdpp-misbehave", at=0, name="status", count=0, seconds=5)
    run = Bench(tmp_path / "a").run("bootstrap-to-operational", "sim", world=told)
    assert run.verdict == "pass", run.errors
    told = line(do="smdpp-misbehave", name="status", function="authenticateClient")
    run = Bench(tmp_path / "b").run("bootstrap-to-operational", "sim", world=told)
    assert run.verdict == "fail" and "SM-DP+ subject 8.1 reason 4.8" in run.errors, run.errors


def test_what_is_no_misbehaviour_is_told(tmp_path: Path) -> None:
    """Before anything starts: a run without it would pass for a wrong reason."""
    bench = Bench(tmp_path)
    bench.write()
    told = line(do="eim-misbehave", name="dorp")
    done = bench.attempt(*bench.arguments("profile-inventory", "sim", (), told))
    assert done.returncode == 2
    assert "fault 1: no misbehaviour 'dorp'" in done.stderr and "did you mean drop?" in done.stderr
    assert not list(bench.home.rglob("run.json"))
