"""The command line in a test's process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result


class Bench:
    """The command line in this process, on a home of its own; runs are processes as always."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.toml = folder / "bench.toml"

    def configure(self, text: str) -> None:
        self.toml.write_text(text)

    def call(self, *arguments: str) -> Result:
        from bench.cli.main import bench

        given = ["--config", str(self.toml)] if self.toml.exists() else []
        environment = {"BENCH_HOME": str(self.home), "BENCH_CONFIG": ""}
        return CliRunner().invoke(bench, [*given, *arguments], env=environment)

    def json(self, *arguments: str) -> dict[str, Any]:
        result = self.call(*arguments, "--json")
        assert result.output.strip(), (result.exception, result.stderr)
        found: dict[str, Any] = json.loads(result.output.strip().splitlines()[-1])
        found["code"] = result.exit_code
        return found
