"""Recipes about the modem itself: each passes on the simulated station, and fails with the right words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_bench import Bench

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield Bench(tmp_path_factory.mktemp("modem"))


def faults(*entries: dict[str, object]) -> tuple[str, ...]:
    """World options of a fault time line."""
    return (f"faults={json.dumps(entries)}",)


def hang(until: str, at: float = 60.0) -> tuple[str, ...]:
    """World options of a modem that hangs until a layer of the ladder acts."""
    return faults({"at": at, "do": "modem-hang", "until": until})


def test_power_cycle_and_register(bench: Bench) -> None:
    run = bench.run("power-cycle-and-register", "sim")
    assert run.verdict == "pass", run.errors
    assert list(run.steps) == ["power-cycle", "modem-ready", "register"]
    assert run.steps["power-cycle"]["measurements"]["time_to_dead"] == 0.0  # the last run has left the output off
    assert run.steps["modem-ready"]["measurements"]["boot_time"] > 1
    assert 0 < run.steps["register"]["measurements"]["time_to_register"] < 60


@pytest.mark.skipif(shutil.which("pcscd") is None, reason="pcscd is not installed: .ci/setup test")
@pytest.mark.parametrize("recipe", ["power-cycle-and-register", "attach-reject-sweep"])
def test_the_card_is_put_into_the_modem_first(recipe: str, tmp_path: Path) -> None:
    """A SIM switch may have left it in the reader."""
    bench = Bench(tmp_path)
    assert bench.run("euicc-info", "sim-pcsc").verdict == "pass"
    run = bench.run(recipe, "sim-pcsc", sets=("causes=11",) if recipe.startswith("attach") else ())
    assert run.verdict == "pass", run.errors
    moved = [event["data"] for event in map(json.loads, run.journal.splitlines()) if event["type"] == "card"]
    assert [item["at"] for item in moved] == ["modem"]


REJECT_ALL: list[dict[str, object]] = [
    {"at": 0, "do": "reject", "cell": cell, "cause": 8, "integrity": True} for cell in (1, 2)
]
NO_REGISTRATION = (
    "not registered within 60 s: not registered, not searching; last EMM cause 8 (EPS services and non-EPS services "
    "not allowed) (the USIM counts as invalid until power-off: waiting does not help)"
)
BACK_FED = (
    "power channel 1: the rail is still at 3.285 V after 30.0 s, not below 0.3 V "
    "(does USB, a battery or a console line feed the device back?)"
)


@pytest.mark.parametrize(
    ("sets", "world", "verdict", "last", "words"),
    [
        (("register_within=60",), faults(*REJECT_ALL), "fail", "register", NO_REGISTRATION),
        (("register_within=30",), ("cells=off",), "fail", "register", "not registered within 30 s: searching"),
        ((), ("no_autostart=true",), "fail", "modem-ready", "the modem does not answer AT (waited 60 s)"),
        ((), faults({"at": 0, "do": "back-feed", "volts": 3.3, "ohms": 10}), "bench-error", "power-cycle", BACK_FED),
    ],
    ids=["rejected", "no-cell", "does-not-boot", "fed-back"],
)
def test_power_cycle_and_register_fails_where_it_went_wrong(
    bench: Bench, sets: tuple[str, ...], world: tuple[str, ...], verdict: str, last: str, words: str
) -> None:
    """The device is blamed for what it did; a rail that never dies is the bench's, and nothing was seen of it."""
    run = bench.run("power-cycle-and-register", "sim", sets=sets, world=world)
    blamed = ("fail", "pass") if verdict == "fail" else ("inconclusive", "bench-error")
    assert (run.verdict, run.found["device"], run.found["bench"]) == (verdict, *blamed), run.errors
    assert words in run.errors, run.errors
    assert list(run.steps)[-1] == last


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
    fault = {"at": 60, "do": "reject", "cell": 1, "cause": 12, "integrity": True}
    run = bench.run("fplmn-recovery", "sim", sets=("register_within=60",), world=faults(fault))
    assert (run.verdict, run.found["device"]) == ("fail", "fail"), run.errors
    assert "not registered on 26201 within 60 s" in run.errors and "EMM cause 12" in run.errors
