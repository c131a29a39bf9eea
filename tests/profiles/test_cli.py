"""``bench profile``: what it builds installs, what it shows has no key, and what it cannot read it says."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.errors import BenchError, ConfigurationError
from fixtures.profiles import find
from fixtures.profiles.cli import profile

from . import samples

LAB = """
[profile]
iccid = "8949440000001142702"
imsi = "001010000000042"
k = "465b5ce8b199b49faa5f0a2ee238a6bc"
opc = "cd63cb71954a9f4e48a5994e37a02baf"
spn = "LAB"
"""


def run(*arguments: str, fails: bool = False) -> str:
    done = CliRunner().invoke(profile, arguments, catch_exceptions=False)
    assert (done.exit_code != 0) is fails, done.output
    return done.output


def test_build_and_show(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(LAB)
    built: dict[str, Any] = json.loads(run("build", str(tmp_path / "lab.toml"), "--json"))
    package = tmp_path / "lab.der"
    assert built["file"] == str(package)
    assert stat.S_IMODE(package.stat().st_mode) == 0o600
    assert find(package.read_bytes()).imsi == built["imsi"] == "001010000000042"
    shown = run("show", str(package), "--files")
    assert "7FD0/6F46" in shown
    assert "014C4142" in shown
    assert json.loads(run("show", str(tmp_path / "lab.toml"), "--json"))["status"] == "ok"
    # no key, PIN or PUK in any form
    for text in (shown, run("show", str(package), "--files", "--json")):
        for secret in (samples.K, samples.OPC, b"0000\xff\xff\xff\xff", b"11111111", b"55555555"):
            assert secret.hex() not in text.lower()
    with pytest.raises(ConfigurationError, match="there already"):
        run("build", str(tmp_path / "lab.toml"))
    run("build", str(tmp_path / "lab.toml"), "--force")


def test_what_the_card_would_refuse(tmp_path: Path) -> None:
    path = tmp_path / "bad.der"
    path.write_bytes(samples.operational()[:-9])  # without its end
    shown = run("show", str(path), fails=True)
    assert "invalid-request-format" in shown
    path.write_bytes(b"nothing")
    with pytest.raises(BenchError, match="no profile package"):
        run("show", str(path))


def test_nothing_in_a_package_steers_the_terminal(tmp_path: Path) -> None:
    package = samples.operational().replace(b"operational", b"\x1b[2J\x07oper..")
    path = tmp_path / "evil.der"
    path.write_bytes(package)
    assert "\x1b" not in run("show", str(path))


def test_it_is_a_command_of_bench(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text("[profile]\nimis = 1")
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli.main", "profile", "build", str(tmp_path / "lab.toml")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "BENCH_HOME": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "did you mean imsi" in done.stderr
    assert "Traceback" not in done.stderr
