"""What is dear to make for a run of a scenario is made once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from bench.client.playing import RunPlayer


def test_a_later_run_adds_what_an_earlier_one_did_not_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe without servers makes profile packages alone: the next one's PKI is kept all the same."""
    monkeypatch.setenv("BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BENCH_CONFIG", raising=False)
    player = RunPlayer()
    for number, name in enumerate(("profiles", "pki", "pki")):
        with contextlib.ExitStack() as stack:
            home = player._home(stack)
            assert {item.name for item in home.iterdir()} == {"profiles", "pki"} & set(("profiles", "pki")[:number])
            (home / name).mkdir(exist_ok=True)
            (home / name / "made").write_text(str(number))
            player._save(home)
    with contextlib.ExitStack() as stack:
        home = player._home(stack)
        assert (home / "profiles" / "made").read_text() == "0"
        assert (home / "pki" / "made").read_text() == "1"
    assert [item.name for item in home.parent.iterdir()] == ["home"]
