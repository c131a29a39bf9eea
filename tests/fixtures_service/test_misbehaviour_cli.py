"""bench eim misbehave and bench smdpp misbehave: what they read, and a server that was told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ConfigurationError
from fixtures.service.misbehaviour_cli import entry

BENCH = [sys.executable, "-m", "bench.cli.main"]


def bench(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BENCH, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=home,
        env={**os.environ, "BENCH_HOME": str(home)},
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drop", {"name": "drop"}),
        ("drop,count=0,function=getEimPackage", {"name": "drop", "count": 0, "function": "getEimPackage"}),
        ("delay,seconds=1.5", {"name": "delay", "seconds": 1.5}),
        ("wrong-counter,counter=4711", {"name": "wrong-counter", "counter": "4711"}),
        ('{"name": "cut", "octets": 5}', {"name": "cut", "octets": 5}),
    ],
)
def test_entries(text: str, expected: dict[str, Any]) -> None:
    assert entry(text, "eim") == expected


@pytest.mark.parametrize(
    "text", ["", "dorp", "drop,count", "drop,count=x", "{", "wrong-challenge", "delay,seconds=soon"]
)
def test_what_is_no_entry_is_told(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        entry(text, "eim")
    assert caught.value.hint


@pytest.mark.parametrize("side", ["eim", "smdpp"])
def test_commands(side: str, tmp_path: Path) -> None:
    found = bench(tmp_path, side, "misbehave", "--list")
    assert found.returncode == 0 and "\ndrop (" in found.stdout
    found = bench(tmp_path, side, "misbehave", "drop")
    assert found.returncode == 2 and "no server runs here" in found.stderr
    served = subprocess.Popen(
        [*BENCH, side, "serve", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "BENCH_HOME": str(tmp_path)},
    )
    try:
        assert served.stdout is not None
        assert json.loads(served.stdout.readline())["https"]
        shown = json.loads(bench(tmp_path, side, "misbehave", "drop,count=2", "--json").stdout)
        assert [item["name"] for item in shown["misbehaviours"]] == ["drop"]
        shown = json.loads(bench(tmp_path, side, "misbehave", "--more", "delay,seconds=2", "--json").stdout)
        assert [item["name"] for item in shown["misbehaviours"]] == ["drop", "delay"]
        assert "came about 0 times" in bench(tmp_path, side, "misbehave").stdout
        wrong = bench(tmp_path, side, "misbehave", "dorp")
        assert wrong.returncode == 2 and "did you mean drop?" in wrong.stderr
        assert bench(tmp_path, side, "misbehave", "--stop").stdout.startswith("It behaves.")
    finally:
        served.terminate()
        served.wait(10)
