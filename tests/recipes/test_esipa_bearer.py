"""With the device's radio as the bearer and no cell, no byte of ESipa leaves by another way: counted at the eIM."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from counting_eim import counted, install
from recipe_bench import Bench

pytestmark = pytest.mark.timeout(120)

RECIPE = str(Path(__file__).with_name("cell_off.py"))
BY_HOST = """
[stations.by-host]
world = { service = "sim", station = "sim" }
clock = "unix:$world.clock"
power = { driver = "keysight-e36300", resource = "$world.power.resource", voltage = 3.8, current_limit = 2.0, voltage_max = 4.3 }
modem = { driver = "at-modem", port = "$world.modem.port" }
network = { driver = "rs-cmw500", resource = "$world.network.resource", cells = [1, 2] }
card = { at = "modem" }
data = { path = "host" }
expendable = true
"""  # noqa: E501
"""The same device, but its IPA's traffic goes over the host: the way that must not be taken unasked."""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Runs of it have the eIM behind the counting relay."""
    monkeypatch.setenv("PYTHONPATH", install(tmp_path / "site"))
    return Bench(tmp_path / "bench", BY_HOST)


def polls(bench: Bench, station: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return what was measured of the poll with the cells on, and of the one with them off."""
    run = bench.run(RECIPE, station)
    assert run.verdict == "pass", run.errors
    return run.steps["cells-on"]["measurements"], run.steps["cells-off"]["measurements"]


def test_with_the_cell_off_no_byte_reaches_the_eim(bench: Bench) -> None:
    on, off = polls(bench, "sim")
    # TLS with an ECDSA certificate and one ESipa function: some kilobytes, and on the link their headers too.
    assert on["reached"] and 1000 < on["at_eim"] < on["on_link"]
    assert off == {"reached": False, "at_eim": 0, "on_link": 0}


def test_the_count_sees_the_other_way(bench: Bench) -> None:
    """On a station whose data path is the host the same poll goes through, and its bytes are counted."""
    for found in polls(bench, "by-host"):
        assert found["reached"] and found["at_eim"] > 1000


@pytest.mark.parametrize(
    ("recipe", "station", "words"),
    [
        ("bootstrap-to-operational", "sim", "not registered on 00101 within 60 s"),
        (
            "device-ipa-bootstrap-to-operational",
            "sim-device",
            "the device did not attach within 60 s: no device was attached",
        ),
    ],
)
def test_a_device_that_no_cell_lets_in_never_reaches_the_eim(
    bench: Bench, recipe: str, station: str, words: str
) -> None:
    """IPA in the bench and IPA in the device: from the first byte to the last of a whole run, nothing."""
    rejects = json.dumps([{"at": 0, "do": "reject", "cell": cell, "cause": 11, "integrity": True} for cell in (1, 2)])
    run = bench.run(recipe, station, sets=("register_within=60",), world=(f"faults={rejects}",))
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("fail", "fail", "pass"), run.errors
    assert words in run.errors, run.errors
    assert counted(bench.home) == 0
