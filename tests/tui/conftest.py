"""Neighbouring helpers are imported by their names; a bench home for real runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import client
from bench.client import soak

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A bench of its own; what still runs afterwards is ended."""
    monkeypatch.setenv("BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    monkeypatch.delenv("BENCH_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "locks").mkdir(mode=0o1777)
    yield tmp_path / "home"
    runs = tmp_path / "home" / "runs"
    for each in soak.soaks(runs):
        if soak.stop(each.folder, "at-once"):
            for _ in soak.follow(each.folder):
                pass
    for info in client.runs(runs):
        if info.state == "running":
            client.stop(info.folder, at_once=True)
            for _ in client.follow(info.folder):
                pass
