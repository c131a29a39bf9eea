"""Run the command line as a person or a script would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
BENCH = [sys.executable, "-m", "bench.cli.main"]
JOB = "bootstrap-to-operational"
DEADLINE = 90.0


@dataclass
class Answer:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line as JSON."""
        return json.loads(self.out.splitlines()[-1])


class Cli:
    """The command line with a bench home of its own."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = home
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ("BENCH_CONFIG", "NO_COLOR")},
            "BENCH_HOME": str(home),
        }

    def __call__(self, *arguments: str) -> Answer:
        done = subprocess.run(
            [*BENCH, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    def job(self, *arguments: str) -> dict[str, Any]:
        """Run the main job on the simulated station; return the object of --json."""
        answer = self("run", JOB, "--json", "--seed", "7", *arguments)
        found: dict[str, Any] = answer.json
        assert found["exit_code"] == answer.code
        return found

    @contextmanager
    def sim(self, *arguments: str) -> Iterator[Mapping[str, Any]]:
        """Have ``bench sim up`` in the background; gives what it announced."""
        process = subprocess.Popen(
            [*BENCH, "sim", "up", "--json", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0
            process.stdout.close()  # type: ignore[union-attr]
