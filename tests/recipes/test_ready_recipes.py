"""Every recipe passes on both simulated stations, and fails with words when what it is about is not the case.

The runs of one worker share a bench home: a card, an eIM and an SM-DP+ that keep what each run has left, that of failed
runs as well.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_bench import RECIPES, Bench

pytestmark = pytest.mark.timeout(120)

BRAINPOOL = '[eim]\noptions = { curve = "brainpoolP256r1" }\n'
ONLY_BRAINPOOL = ("card_curves=brainpoolP256r1",)
pcscd = pytest.mark.skipif(shutil.which("pcscd") is None, reason="pcscd is not installed: .ci/setup test")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The card in the modem, every key on P-256."""
    yield Bench(tmp_path_factory.mktemp("p256"))


@pytest.fixture(scope="module")
def brainpool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Every RSP key on brainpoolP256r1: the card has no others."""
    yield Bench(tmp_path_factory.mktemp("brainpool"), BRAINPOOL, ONLY_BRAINPOOL)


STEPS = {
    "profile-switch": {"round/there/identity", "round/back/identity", "round/back/register-bootstrap"},
    "rollback-without-network": {"no-network", "register-back", "identity-back", "eim-knows"},
    "fallback-to-bootstrap": {"lose-network", "fallback/identity", "return/identity", "unset-fallback"},
    "immediate-enable": {"download", "register-operational", "identity", "known-everywhere", "configure-off"},
    "eim-configuration": {"list-two", "replay", "replay-with-former-key", "delete-last", "add-initial", "signed-again"},
    "interrupted-download": {"interrupted", "nothing-half-installed", "first-order-ends"},
    "memory-full": {"fill", "https", "memory-back"},
    "notification-delivery": {"kept", "eim-out-of-reach", "kept-over-power-cycle", "in-order", "at-the-server"},
    "profile-inventory": {"card-agrees", "eim-agrees", "server-agrees", "identity"},
    "bootstrap-to-operational": {"register-operational", "identity", "https", "known-everywhere"},
}
"""Steps that a run must have made: without them it has not shown what it is for."""


def last_parts(steps: set[str]) -> set[str]:
    """Step paths and their ends, so that a step is found whatever it is part of."""
    return steps | {step.partition("/")[2] for step in steps} | {step.rpartition("/")[2] for step in steps}


def passes(bench: Bench, recipe: str, station: str) -> None:
    run = bench.run(recipe, station)
    assert run.verdict == "pass", (run.errors, list(run.steps))
    assert last_parts(set(run.steps)) >= STEPS[recipe], list(run.steps)
    if recipe == "interrupted-download":
        # It was in the middle: some of its APDUs were sent, not all, and the poll ended by the cut.
        cut = [steps["measurements"]["apdus"] for name, steps in run.steps.items() if name.endswith("/interrupted")][-1]
        assert 1 <= cut < run.steps["undisturbed"]["measurements"]["apdus"]
        assert "the poll ended with: " in run.journal


@pytest.mark.parametrize("recipe", RECIPES)
def test_passes_with_the_card_in_the_modem(recipe: str, bench: Bench) -> None:
    passes(bench, recipe, "sim")


@pcscd
@pytest.mark.parametrize("recipe", RECIPES[::-2])  # all of them: tests/campaigns/recipe_matrix.py --curve brainpool
def test_passes_with_the_card_at_a_switch_and_brainpool(recipe: str, brainpool: Bench) -> None:
    passes(brainpool, recipe, "sim-pcsc")


def fault(**what: object) -> tuple[str]:
    return (f"faults={json.dumps([what])}",)


CELL_BACK = {"do": "cell-on", "cell": 2}


@pytest.mark.parametrize(
    ("recipe", "sets", "world", "words"),
    [
        (
            "profile-switch",
            ("register_within=60",),
            fault(at=0, do="reject", cell=2, cause=11),
            "not registered on 99970 within 60 s",
        ),
        (
            "rollback-without-network",
            ("patience=150",),
            fault(at=80, **CELL_BACK),
            "registered on 99970 with the new profile: no rollback was needed",
        ),
        (
            "fallback-to-bootstrap",
            ("operational_cell=1", "lost_within=20"),
            (),
            "connectivity was not lost, and no fallback was needed",
        ),
        ("immediate-enable", (), ("card_force=ImmediateEnable=1",), "was installed but not enabled at once"),
        ("eim-configuration", (), ("card_force=eco.updateEim=7",), "updateEim failed: order failed"),
        ("interrupted-download", ("share=1.5", "attempts=1"), (), "complete before the cut: nothing was interrupted"),
        ("memory-full", ("most=1",), (), "took 1 profiles and never reported insufficient memory"),
        (
            "notification-delivery",
            ("patience=150",),
            fault(at=80, **CELL_BACK),
            "the eIM in reach: nothing had to be kept",
        ),
        ("profile-inventory", (), ("card_force=psmo.listProfileInfo=127",), "listProfileInfo: undefinedError"),
    ],
)
def test_fails_with_words_without_its_condition(
    recipe: str, sets: tuple[str, ...], world: tuple[str, ...], words: str, bench: Bench
) -> None:
    run = bench.run(recipe, "sim", sets=sets, world=world)
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("fail", "fail", "pass"), run.errors
    assert words in run.errors, run.errors
    assert last_parts(set(run.steps)) >= {"start-state"}


def test_a_link_that_goes_down_in_a_download(bench: Bench) -> None:
    run = bench.run("interrupted-download", "sim", sets=("cut=link", "share=0.2"))
    assert run.verdict == "pass", run.errors
    assert "link cut after" in run.journal and "the poll ended with: ESipa" in run.journal


def test_a_small_card_fills_sooner(tmp_path: Path) -> None:
    """The memory that the card reports is the one it has; a second run finds it as free as the first."""
    small = Bench(tmp_path / "small", world=("card_memory=110000",))
    for _ in range(2):
        run = small.run("memory-full", "sim")
        assert run.verdict == "pass", run.errors
        measured = run.steps["fill"]["measurements"]
        assert measured["profiles"] == 2
        assert measured["free_left"] < 36_000 < measured["free_before"] < 110_000


FOREIGN_CI = """
from bench.engine.recipe import Station, recipe
from bench.station.interfaces import ServerTrust
from recipes.profile_inventory import profile_inventory


@recipe(title="Foreign CI", needs=profile_inventory.needs, effects=profile_inventory.effects)
async def foreign_ci(station: Station) -> None:
    station.smdpp.trust = ServerTrust(authenticates_under=("ab" * 20,), believes=("ab" * 20,))
    await profile_inventory(station, register_within=60.0)
"""


def test_card_and_servers_without_a_common_ci_are_told_before_any_order(bench: Bench) -> None:
    (bench.folder / "foreign_ci.py").write_text(FOREIGN_CI)
    run = bench.run("foreign_ci.py", "sim")
    assert (run.verdict, run.found["device"]) == ("bench-error", "inconclusive"), run.errors
    assert "no CI in common" in run.errors and "ab" * 20 in run.errors
    assert list(run.steps) == ["start-state"]
