"""Stations of one bench home at work at once: the benchmark of ten, with three."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(120)

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "stations.py"


def test_stations_of_a_new_home_run_the_main_job_at_once(tmp_path: Path) -> None:
    """Each has a world, a card and a profile; eIM, SM-DP+, CI and their stores are made by all of them together."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--fresh", "--stations", "3", "--home", str(tmp_path / "bench")],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    told = json.loads(done.stdout)
    assert (told["passes"], told["eids"], told["failed"]) == (3, 3, []), done.stdout
