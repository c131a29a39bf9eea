"""What is dear to make for a run of a scenario is made once."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from bench.client.playing import RunPlayer
from bench.station import locks


def test_a_later_run_adds_what_an_earlier_one_did_not_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe without servers makes profile packages alone: the next one's PKI is kept all the same."""
    monkeypatch.setenv("BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BENCH_CONFIG", raising=False)
    player = RunPlayer()
    for number, name in enumerate(("profiles", "pki", "pki")):
        with contextlib.ExitStack() as stack:
            home = player._home(stack)
            assert {item.name for item in home.iterdir() if item.is_dir()} == set(("profiles", "pki")[:number])
            (home / name).mkdir(exist_ok=True)
            (home / name / "made").write_text(str(number))
            player._save(home)
    with contextlib.ExitStack() as stack:
        home = player._home(stack)
        assert (home / "profiles" / "made").read_text() == "0"
        assert (home / "pki" / "made").read_text() == "1"
    assert [item.name for item in home.parent.iterdir()] == ["home"]


def test_what_a_killed_player_has_left_goes_once_its_run_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BENCH_CONFIG", raising=False)
    program = """
import contextlib, os, sys
from bench.client.playing import RunPlayer
with contextlib.ExitStack() as stack:
    print(RunPlayer()._home(stack), flush=True)
    sys.stdin.read()
    os._exit(9)  # as by SIGKILL: nothing is cleaned up
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        home = Path(other.stdout.readline().strip())

        def there_after_another() -> bool:
            with contextlib.ExitStack() as stack:
                RunPlayer()._home(stack)
            return home.is_dir()

        assert home.is_dir()
        assert there_after_another(), "its player lives"
        other.communicate(timeout=60)
    run = locks.acquire(f"station sim of {home}", locks.Owner.me())
    assert there_after_another(), "its run goes on without it"
    run.release()
    assert not there_after_another()
