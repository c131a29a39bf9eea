"""The bench of one station that the tests of this room run on."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import client

from .double import RECIPES, SupplyServer, supply, write_bench


class Bench:
    """A bench of one station."""

    def __init__(self, folder: Path, server: SupplyServer) -> None:
        self.folder = folder
        self.server = server
        self.config = write_bench(folder, server.port)
        self.handles: list[client.RunHandle] = []

    def start(self, recipe: str, *parameters: str, **options: Any) -> client.RunHandle:
        given = client.StartOptions(config=self.config, home=self.folder, **options)
        handle = client.start(f"{RECIPES}:{recipe}", "lab", parameters, given)
        self.handles.append(handle)
        return handle

    def run(self, recipe: str, *parameters: str, **options: Any) -> tuple[int | None, list[Mapping[str, Any]], Path]:
        handle = self.start(recipe, *parameters, **options)
        events = list(client.follow(handle.folder))
        return handle.wait(10), events, handle.folder

    def until(self, folder: Path, kind: str, text: str = "") -> Mapping[str, Any]:
        deadline = time.monotonic() + 15
        for event in client.follow(folder):
            if event["type"] == kind and text in json.dumps(event["data"]):
                return event
            assert time.monotonic() < deadline
        raise AssertionError(f"the run ended without {kind} {text}")

    def runner(self, folder: Path) -> int:
        status = client.status(folder)
        assert status is not None
        return status.runner


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # the runner imports the double by its name
    with supply() as server:
        made = Bench(tmp_path, server)
        try:
            yield made
        finally:
            for handle in made.handles:
                if handle.wait(0) is None:
                    os.kill(handle.pid, signal.SIGKILL)
                    handle.wait(5)


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from sim.process import WorldProcess  # type: ignore[import-not-found]

    from .world_lab import Lab

    """A station of ``(model, driver, watchdog in s[, sample in s])``, given by indirect parameters."""
    supply, driver, watchdog, *sample = request.param
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    arguments = ("--supply", supply, "--clock", "real", "--card", "none")
    with WorldProcess(tmp_path / "world", *arguments) as world:
        made = Lab(tmp_path, world, driver, watchdog, *sample)
        try:
            yield made
        finally:
            for handle in made.bench.handles:
                if handle.wait(0) is None:
                    os.kill(handle.pid, signal.SIGKILL)
                    handle.wait(5)
