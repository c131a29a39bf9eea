"""The recipes of the soak plans at a SIM switch, which the plans' own runs on ``sim`` do not have."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest
from recipe_bench import Bench

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(shutil.which("pcscd") is None, reason="pcscd is not installed: .ci/setup test"),
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One home: each recipe finds what the one before it left, the card in the reader for one."""
    yield Bench(tmp_path_factory.mktemp("switch"))


@pytest.mark.parametrize(
    ("recipe", "sets"),
    [("power-cut", ("phase=download", "apdu=12")), ("long-idle", ("idle=60",)), ("baseline-restore", ())],
)
def test_the_card_is_where_it_is_needed(recipe: str, sets: tuple[str, ...], bench: Bench) -> None:
    run = bench.run(recipe, "sim-pcsc", sets=sets)
    assert run.verdict == "pass", (run.errors, list(run.steps))
    if recipe == "power-cut":
        interrupted = run.steps["interrupted"]["measurements"]
        assert interrupted["cut"] == 1 and interrupted["apdus"] >= 12, interrupted
        return
    moved = [event["data"]["at"] for event in map(json.loads, run.journal.splitlines()) if event["type"] == "card"]
    assert "modem" in moved and moved[-1] == "reader", "it polls once more, after the card was in the modem"
