"""A small sample of tests/campaigns/server_kills.py: each server killed a few times while a device is provisioned."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "campaigns"))

import server_kills


def test_no_order_is_lost_or_doubled_and_the_device_ends_provisioned(tmp_path: Path) -> None:
    figures = asyncio.run(server_kills.campaign(tmp_path, 6, seed=5))
    assert figures["kills"] == 6
    assert (figures["failures"], figures["history"]) == ([], []), figures
