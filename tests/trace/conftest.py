from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

Tshark = Callable[..., list[list[str]]]


@pytest.fixture
def tshark() -> Tshark:
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed (apt-get install tshark): traces are not checked by a foreign reader")

    def run(path: Path, *fields: str, ok: tuple[int, ...] = (0,), options: Sequence[str] = ()) -> list[list[str]]:
        command = [program, "-r", str(path), *options, "-T", "fields", "-E", "separator=\x1f", "-E", "aggregator=;"]
        for field in fields:
            command += ["-e", field]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in ok, done.stderr
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    return run
