"""A sample of tests/campaigns/trace_kills.py, as a program of its own: it forks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).parents[1] / "campaigns" / "trace_kills.py"


def test_kill_minus_nine_loses_no_packet_of_a_finished_exchange() -> None:
    done = subprocess.run(
        [sys.executable, str(CAMPAIGN), "--count", "3", "--tshark-every", "3"],
        capture_output=True, text=True, timeout=115, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["failures"] == []
    assert done.returncode == 0, found
