"""Power cuts at every APDU and in every commit of every function that changes the card."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fixtures.pki import Pki
from fixtures.sim.euicc import CardStateError, VirtualEuicc, packages
from fixtures.sim.euicc import state as state_module
from fixtures.sim.euicc.psmos import Run
from fixtures.sim.euicc.state import State, Store

from .cut_scenarios import PLAIN, SWITCHING
from .cuts import Broken, Harness, Scenario

CASES = [(scenario, mode) for scenario in SWITCHING for mode in ("fetch", "locked")]
CASES += [(scenario, "fetch") for scenario in PLAIN]
LONG = 12
"""A download has many APDUs, most of which change nothing: the campaign cuts at each of them."""


@pytest.mark.parametrize(("scenario", "mode"), CASES, ids=[f"{case.name}-{mode}" for case, mode in CASES])
def test_cuts(tmp_path: Path, pki: Pki, scenario: Scenario, mode: str) -> None:
    harness = Harness(tmp_path, pki, scenario, mode)
    outcomes = set()
    assert harness.apdus > 2
    assert harness.points >= 4 * len(scenario.steps)
    step = 1 + harness.apdus // LONG
    for number in range(0, harness.apdus, step):
        outcomes.add(harness.cut_at_apdu(number))
    for number in range(0, harness.points, 1 + harness.points // LONG):
        outcomes.add(harness.cut_in_commit(number))
    # Cuts before the first commit and after the last one have left both ends.
    assert "stage 0" in outcomes
    assert len(harness.stages) == len(scenario.steps) + 1


def in_place(self: Store, state: State) -> None:
    """Write over the kept state, as a careless card would."""
    descriptor = state_module.os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    state_module.os.write(descriptor, state.dump().encode())
    state_module.os.close(descriptor)


def test_a_card_that_writes_over_its_state_is_found(tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = next(scenario for scenario in PLAIN if scenario.name == "AddInitialEim")
    harness = Harness(tmp_path, pki, scenario, "fetch")
    monkeypatch.setattr(Store, "write", in_place)
    with pytest.raises(CardStateError):
        harness.cut_in_commit(1)


def test_a_card_that_commits_twice_in_a_function_is_found(
    tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result of a package is kept before its effect: a cut between them is no whole state."""
    scenario = next(scenario for scenario in PLAIN if scenario.name == "psmo.delete")
    harness = Harness(tmp_path, pki, scenario, "fetch")
    settle = packages._settle
    failures = 0

    def hasty(run: Run, *arguments: Any) -> None:
        stores[0].write(run.core.state)
        settle(run, *arguments)

    original = VirtualEuicc.power_on
    stores: list[Store] = []

    def power_on(self: VirtualEuicc) -> bytes:
        stores[:] = [self._store]
        return original(self)

    monkeypatch.setattr(packages, "_settle", hasty)
    monkeypatch.setattr(VirtualEuicc, "power_on", power_on)
    for number in range(harness.points + 4):
        try:
            harness.cut_in_commit(number)
        except Broken:
            failures += 1
    assert failures
