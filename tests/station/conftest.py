"""Locks of tests stay in their own folder; the instrument doubles of the next room are used here too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "instruments"))


@pytest.fixture(autouse=True)
def lock_folder(tmp_path, monkeypatch):
    folder = tmp_path / "locks"
    monkeypatch.setenv("BENCH_LOCKS", str(folder))
    return folder
