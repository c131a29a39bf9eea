"""The brown-out sweep: its table, its refusal, and a device that hangs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_bench import Bench, Summary

SMALL = ("depths=2", "widths=2")
ANALYSER = """
[stations.analyser]
world = { service = "sim", supply = "n6705c" }
clock = "unix:$world.clock"
expendable = true
[stations.analyser.power]
driver = "keysight-n6705c"
resource = "$world.power.resource"
voltage = 3.8
current_limit = 2.0
voltage_max = 4.3
[stations.analyser.modem]
driver = "at-modem"
port = "$world.modem.port"
"""
"""A supply with a watchdog, a fast log and lists to 1 us: armed, fed and recorded in every run."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield Bench(tmp_path_factory.mktemp("brown-out"))


def outcomes(run: Summary) -> dict[str, str]:
    return {
        str(step["step"]): step["measurements"]["outcome"]
        for step in run.found["steps"]
        if str(step["step"]).startswith("dip-") and "outcome" in step["measurements"]
    }


def test_shallow_dips_are_survived_and_deep_ones_reboot_the_device(bench: Bench) -> None:
    run = bench.run("brown-out-sweep", "sim", sets=SMALL)
    assert run.verdict == "pass", run.errors
    # The simulated module resets below 3.0 V that last 2 ms (fixtures/sim/device.py).
    assert outcomes(run) == {
        "dip-3.40V-10ms": "survived",
        "dip-3.40V-1000ms": "survived",
        "dip-2.20V-10ms": "rebooted",
        "dip-2.20V-1000ms": "rebooted",
    }
    after = next(step["measurements"] for step in run.found["steps"] if step["step"] == "after")
    assert (after["survived"], after["rebooted"], after["hung"], after["highest_level_lost"]) == (2, 2, 0, 2.2)


@pytest.mark.parametrize(
    ("world", "sets", "words"),
    [
        ((), ("shortest=2ms",), "2 ms is finer than the 10 ms that this supply can do"),
        (("supply=e36311a",), (), "this supply has no list or waveform"),
        ((), ("deepest=5V",), "point 2: -1.2 V is outside of 0 to 4.3 V"),
    ],
)
def test_what_the_supply_cannot_do_is_refused_before_anything_is_switched(
    bench: Bench, world: tuple[str, ...], sets: tuple[str, ...], words: str
) -> None:
    run = bench.run("brown-out-sweep", "sim", sets=(*SMALL, *sets), world=world)
    assert run.verdict == "bench-error"
    assert words in run.errors
    assert run.found["steps"] == []


def test_a_device_that_hangs_after_a_dip_fails_with_the_dip_it_was(bench: Bench) -> None:
    fault = [{"at": "log", "what": "waveform-end", "n": 2, "do": "modem-hang"}]
    run = bench.run("brown-out-sweep", "sim", sets=(*SMALL, "boot_within=20s"), world=(f"faults={json.dumps(fault)}",))
    assert run.verdict == "fail", run.errors
    assert outcomes(run)["dip-3.40V-1000ms"] == "hung"
    assert "hung after 1 of 4 dips" in run.errors and "3.4 V for 1.0 s" in run.errors


def test_a_supply_with_finer_lists_makes_finer_dips_and_measures_the_inrush(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ANALYSER)
    run = bench.run("brown-out-sweep", "analyser", sets=(*SMALL, "shortest=1ms", "longest=20ms"))
    assert run.verdict == "pass", run.errors
    # 1 ms is shorter than the 2 ms that the module's detector takes
    assert outcomes(run)["dip-2.20V-1ms"] == "survived"
    assert outcomes(run)["dip-2.20V-20ms"] == "rebooted"
    run = bench.run("power-cycle-and-register", "analyser", sets=("kind=graceful",))
    assert run.verdict == "pass", run.errors
    measured = next(step["measurements"] for step in run.found["steps"] if step["step"] == "power-cycle")
    # 220 uF at 1 V/ms are 0.22 A, and the module draws its own current on top
    assert 0.2 < measured["inrush_peak"] < 1.0
