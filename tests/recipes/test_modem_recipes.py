"""Recipes about the modem itself: each passes on the simulated station, and fails with the right words."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from recipe_bench import Bench

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield Bench(tmp_path_factory.mktemp("modem"))


def hang(until: str, at: float = 60.0) -> tuple[str, ...]:
    """World options of a modem that hangs until a layer of the ladder acts."""
    return (f"faults={json.dumps([{'at': at, 'do': 'modem-hang', 'until': until}])}",)


@pytest.mark.parametrize(
    ("until", "layer", "tried"),
    [
        ("second-port", "second-port", {"at": "failed", "second_port": "recovered"}),
        ("cfun", "cfun", {"at": "failed", "second_port": "failed", "cfun": "recovered"}),
        ("supply", "supply", {"cfun": "failed", "usb": "not-available", "reset_line": "not-available"}),
    ],
)
def test_each_watchdog_layer_acts(until: str, layer: str, tried: dict[str, str], bench: Bench) -> None:
    run = bench.run("modem-lockup-watchdog", "sim", sets=("hangs_within=600", f"mildest={layer}"), world=hang(until))
    assert run.verdict == "pass", run.errors
    measured = run.steps["recover"]["measurements"]
    assert measured["layer"] == layer
    for name, outcome in tried.items():
        assert measured[f"{name}_outcome"] == outcome
    assert measured["time_to_recover"] > 0
    assert "serves-again" in run.steps
    assert f"layer {layer}: recovered after" in run.journal


def test_a_lock_up_that_no_allowed_layer_ends(bench: Bench) -> None:
    run = bench.run("modem-lockup-watchdog", "sim", sets=("hangs_within=600", "last=cfun"), world=hang("supply"))
    assert (run.verdict, run.found["device"]) == ("fail", "fail"), run.errors
    assert "the modem does not come back: at: AT unanswered 3 times; second-port: " in run.errors
    assert "serves-again" not in run.steps


def test_a_modem_that_does_not_hang_proves_nothing(bench: Bench) -> None:
    run = bench.run("modem-lockup-watchdog", "sim", sets=("hangs_within=20",))
    assert run.verdict == "inconclusive", run.errors
    assert "the modem did not hang within 20 s" in run.errors


def test_fplmn_recovery(bench: Bench) -> None:
    run = bench.run("fplmn-recovery", "sim")
    assert run.verdict == "pass", run.errors
    assert run.steps["clear"]["measurements"] == {"entries_before": 1, "entries_after": 0}
    assert run.steps["left-alone"]["measurements"]["quiet_time"] >= 60.0
    assert run.steps["as-before"]["verdict"] == "pass"
    again = bench.run("power-cycle-and-register", "sim")
    assert again.verdict == "pass", again.errors


def test_fplmn_of_the_home_network_forbids_nothing(bench: Bench) -> None:
    """TS 23.122 section 3.1: the home network is tried whatever the file says; the recipe says why it fails."""
    run = bench.run("fplmn-recovery", "sim", sets=("visited_plmn=00101",))
    assert (run.verdict, run.found["device"]) == ("fail", "fail"), run.errors
    assert "is the network it is registered on before anything was done" in run.errors


def test_fplmn_recovery_on_a_network_that_refuses_the_device(bench: Bench) -> None:
    fault = [{"at": 60, "do": "reject", "cell": 1, "cause": 12, "integrity": True}]
    run = bench.run("fplmn-recovery", "sim", sets=("register_within=60",), world=(f"faults={json.dumps(fault)}",))
    assert (run.verdict, run.found["device"]) == ("fail", "fail"), run.errors
    assert "not registered on 26201 within 60 s" in run.errors and "EMM cause 12" in run.errors
