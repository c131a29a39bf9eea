"""Recipes with ESipa in JSON and with compact forms: a card in a SIM switch, and the device's own IPA."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipe_bench import Bench

from bench.trace import reader

pytestmark = pytest.mark.timeout(180)
JSON = '[ipa]\noptions = { binding = "json", compact = true }\n'


def bodies(folder: str) -> list[bytes]:
    """Bodies of the ESipa messages in a run's trace, both ways."""
    packets = reader.read(Path(folder) / "trace.pcapng")
    return [packet.data for packet in packets if packet.lane.partition(":")[0] == "esipa" and packet.data]


@pytest.mark.parametrize("recipe", ["bootstrap-to-operational", "rollback-without-network"])
def test_a_card_in_a_switch(recipe: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path, JSON)
    run = bench.run(recipe, "sim-pcsc")
    assert run.verdict == "pass", run.errors
    found = bodies(run.found["folder"])
    assert found and all(body[:1] == b"{" for body in found)


def test_the_devices_own_ipa(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    run = bench.run("device-ipa-bootstrap-to-operational", "sim-device", world=("ipa_option=binding=json",))
    assert run.verdict == "pass", run.errors
    found = bodies(run.found["folder"])
    assert found and all(body[:1] == b"{" for body in found)
