"""Recipes with ESipa over CoAPS: IPA in the bench, card in a reader, IPA in the device, and the comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from recipe_bench import Bench

from bench.trace import reader

pytestmark = pytest.mark.timeout(180)
COAPS = '[ipa]\noptions = { transport = "coaps" }\n'


def ways(bench: Bench, station: str) -> set[tuple[int, bool]]:
    """Ports of the eIM that the device's link was opened to, and whether by UDP."""
    entries = map(json.loads, (bench.home / "sim" / station / "world.jsonl").read_text().splitlines())
    opened = [entry for entry in entries if entry.get("what") == "link-open" and entry["host"].startswith("eim.")]
    return {(entry["port"], bool(entry.get("udp"))) for entry in opened}


def test_the_way_from_bootstrap_to_operational(tmp_path: Path) -> None:
    bench = Bench(tmp_path, COAPS)
    run = bench.run("bootstrap-to-operational", "sim")
    assert run.verdict == "pass", run.errors
    assert (5684, True) in ways(bench, "sim")  # and by TCP what the recipe itself fetches


def test_the_devices_own_ipa(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    run = bench.run("device-ipa-bootstrap-to-operational", "sim-device", world=("ipa_option=transport=coaps",))
    assert run.verdict == "pass", run.errors
    assert ways(bench, "sim-device") == {(5684, True)}


def test_the_devices_own_ipa_takes_several_options(tmp_path: Path) -> None:
    """``--world ipa_option=`` given again adds one; the trace says what each message came by."""
    bench = Bench(tmp_path)
    options = ("ipa_option=transport=coaps", "ipa_option=binding=json")
    run = bench.run("device-ipa-bootstrap-to-operational", "sim-device", world=options)
    assert run.verdict == "pass", run.errors
    assert ways(bench, "sim-device") == {(5684, True)}
    packets = [packet for packet in reader.read(Path(run.found["folder"]) / "trace.pcapng") if packet.lane == "esipa"]
    told = {(packet.data[:1], packet.comment.partition(" ")[0], packet.comment[-13:]) for packet in packets}
    assert told >= {(b"{", "GetEimPackage", ", JSON, CoAPS"), (b"{", "GetBoundProfilePackage", ", JSON, CoAPS")}
    assert {item[2] for item in told} == {", JSON, CoAPS"}


def test_the_transports_compared(tmp_path: Path) -> None:
    """What a live association saves, and that a resumed session spares the certificates."""
    bench = Bench(tmp_path)
    run = bench.run("esipa-transport-compare", "sim", sets=("live_limit=250",), world=("rat=lte", "fixed=true"))
    assert run.verdict == "pass", run.errors
    rows: dict[tuple[str, str], Mapping[str, Any]] = {
        (row["transport"], row["poll"]): row for row in run.found["results"]["transports"]
    }
    cost = {key: row["sent"] + row["received"] for key, row in rows.items()}
    assert len(rows) == 10
    empty = {name: cost[name, "empty-poll"] for name, _ in rows}
    assert empty["coaps-live"] < 200 < empty["https-live"] < empty["coaps-resumed"] < empty["coaps-fresh"]
    assert empty["coaps-fresh"] < empty["https-fresh"]
    assert rows["coaps-live", "empty-poll"]["round_trips"] == rows["https-live", "empty-poll"]["round_trips"] == 1
    assert all(row["seconds"] > 0 and row["mWh"] > 0 for row in rows.values())
