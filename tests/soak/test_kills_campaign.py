"""A sample of the campaign that kills a soak's processes; the whole of it is tests/campaigns/soak_kills.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).parents[1] / "campaigns" / "soak_kills.py"


def test_full_cycles_are_led_back_after_kills_and_a_loss_of_power(tmp_path: Path) -> None:
    options = ["--count", "2", "--seed", "3", "--only", "runner", "power", "--longest", "2", "--home", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(CAMPAIGN), *options],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=False,
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    # How soon an output is off is measured where the host is idle: here other tests take their share.
    wrong = [told for told in found["wrong"] if "went off after" not in told]
    assert wrong == [], found
    assert found["kills"] == 2
