"""Runs of recipes from the command line, all on one bench home: each finds what the one before it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

BENCH = [sys.executable, "-m", "bench.cli.main"]
DEADLINE = 90.0

RECIPES = (
    "rollback-without-network",
    "profile-inventory",
    "immediate-enable",
    "eim-configuration",
    "fallback-to-bootstrap",
    "memory-full",
    "bootstrap-to-operational",
    "interrupted-download",
    "profile-switch",
    "notification-delivery",
)
"""The recipes of this folder in an order in which each has to clean up after another."""


@dataclass(frozen=True)
class Bench:
    """A bench home with its bench.toml, in a folder of its own. ``world``: options of every simulated world."""

    folder: Path
    toml: str = ""
    world: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def attempt(
        self, *arguments: str, deadline: float = DEADLINE, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line in the bench's folder, whatever it comes to. Raises subprocess.TimeoutExpired."""
        kept = {name: value for name, value in os.environ.items() if name not in ("BENCH_CONFIG", "NO_COLOR")}
        done = subprocess.run(
            [*BENCH, *arguments],
            cwd=self.folder,
            env={**kept, "BENCH_HOME": str(self.home), **environment},
            capture_output=True,
            text=True,
            timeout=deadline,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done

    def call(self, *arguments: str, **environment: str) -> str:
        """Run the command line in the bench's folder; return what it printed."""
        return self.attempt(*arguments, **environment).stdout

    def run(
        self,
        recipe: str,
        station: str,
        *,
        sets: tuple[str, ...] = (),
        world: tuple[str, ...] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Summary:
        """Run a recipe and return its summary."""
        self.write()
        arguments = self.arguments(recipe, station, sets, world)
        return Summary(json.loads(self.call(*arguments, **environment).splitlines()[-1]))

    def write(self) -> Path:
        """Write the bench.toml; return its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "bench.toml"
        path.write_text(self.toml)
        return path

    def arguments(self, recipe: str, station: str, sets: tuple[str, ...], world: tuple[str, ...]) -> list[str]:
        """Return the command line of a run."""
        arguments = ["run", recipe, "--station", station, "--json", "--seed", "7"]
        for value in sets:
            arguments += ["--set", value]
        for value in (*self.world, *world):
            arguments += ["--world", value]
        return arguments


@dataclass(frozen=True)
class Summary:
    """What ``bench run --json`` prints at the end."""

    found: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        return str(self.found["verdict"])

    @property
    def errors(self) -> str:
        return "\n".join(self.found["errors"])

    @property
    def steps(self) -> dict[str, Mapping[str, Any]]:
        """The steps by their path."""
        return {step["step"]: step for step in self.found["steps"]}

    @property
    def journal(self) -> str:
        return (Path(self.found["folder"]) / "journal.jsonl").read_text()
