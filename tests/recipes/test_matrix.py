"""Some cells of each column of the recipe matrix (tests/campaigns/recipe_matrix.py), and that it cannot be deceived."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from bench.engine.recipe import installed, load

sys.path[:0] = [str(Path(__file__).parents[1] / "campaigns")]

import matrix_cells as cells  # noqa: E402 - programs beside each other, no package
import recipe_matrix as matrix  # noqa: E402

pytestmark = pytest.mark.timeout(240)
pcscd = pytest.mark.skipif(shutil.which("pcscd") is None, reason="pcscd is not installed: .ci/setup test")


@pytest.mark.parametrize(
    ("recipe", "station", "way"),
    [
        ("profile-switch", "sim", "json"),
        pytest.param("profile-inventory", "sim-pcsc", "coaps", marks=pcscd),
        ("direct-download", "sim-device", "json"),
        ("rollback-without-network", "sim-device", "coaps"),
    ],
)
def test_a_cell_that_passes(recipe: str, station: str, way: str, tmp_path: Path) -> None:
    line = matrix.run(matrix.Cell(recipe, station, way), tmp_path)
    assert line["outcome"] == "pass", line
    options = cells.WAYS[way]
    assert set(line["esipa"]) == {f"{options.get('transport', 'https')} {options.get('binding', 'asn1')}"}


@pytest.mark.parametrize(
    ("recipe", "station", "lacks"),
    [
        ("modem-lockup-watchdog", "sim-device", "modem"),
        ("data-and-energy-budget", "sim-pcsc", "radio"),
        ("device-flash", "sim", "flash"),
        ("device-ipa-bootstrap-to-operational", "sim", "device-ipa"),
    ],
)
def test_a_cell_that_is_refused_for_what_the_station_lacks(
    recipe: str, station: str, lacks: str, tmp_path: Path
) -> None:
    line = matrix.run(matrix.Cell(recipe, station, "coaps"), tmp_path)
    assert (line["outcome"], line["exit_code"]) == ("refused", 2), line
    assert lacks in line["lacks"] and "which station" in line["words"]


def test_a_way_that_was_not_taken_is_seen(tmp_path: Path) -> None:
    """What ran over HTTPS or in the other binding is no evidence for CoAPS, and silence is none for anything."""
    toml = tmp_path / "bench.toml"
    toml.write_text("")
    wrong = cells.Evidence(Counter({"https asn1": 4})).wrong("profile-switch", "sim-pcsc", "coaps", toml)
    assert "not coaps asn1" in wrong
    mixed = Counter({"coaps asn1": 4, "coaps json": 1})
    assert "not coaps asn1" in cells.Evidence(mixed).wrong("profile-switch", "sim-pcsc", "coaps", toml)
    garbled = cells.Evidence(Counter({"coaps asn1": 4, "coaps garbled": 1, "https garbled": 1}))
    assert "https garbled" in garbled.wrong("negative-eim", "sim-pcsc", "coaps", toml)
    assert "no ESipa message" in cells.Evidence().wrong("profile-switch", "sim-pcsc", "json", toml)
    said = cells.Evidence(Counter({"coaps asn1": 4}), Counter({"tcp 443": 2}))
    assert "the device's link" in said.wrong("profile-switch", "sim", "coaps", toml)
    said.links["udp 5684"] = 1
    assert said.wrong("profile-switch", "sim", "coaps", toml) == ""
    assert cells.Evidence().wrong("fplmn-recovery", "sim", "coaps", toml) == "", "it does not speak ESipa"
    compared = cells.Evidence(Counter({"https json": 4, "coaps json": 4}))
    assert compared.wrong(cells.OWN, "sim", "json", toml) == ""
    assert "it compared" in compared.wrong(cells.OWN, "sim", "coaps", toml)
    assert (cells.kind_of("GetEimPackage request, CoAPS", b"\xbf"), cells.kind_of("", b"{")) == (
        "coaps asn1",
        "https json",
    )


def test_a_refusal_that_says_something_else_is_none() -> None:
    good = "recipe x needs modem, which station sim-device does not have add modem = {...} to the station"
    assert cells.refusal("x", ("modem",), 2, good) == ""
    assert "exit code 3" in cells.refusal("x", ("modem",), 3, good)
    assert "does not say" in cells.refusal("x", ("modem",), 2, "there is no recipe 'x'")
    assert "does not say" in cells.refusal("x", ("modem", "card"), 2, good)


def test_every_recipe_is_in_it() -> None:
    assert set(cells.GIVEN) <= set(installed())
    by_device = {name for name in installed() if load(name).by_device or "device-ipa" in load(name).needs}
    assert {"profile-switch", "rollback-without-network", "fallback-to-bootstrap", "direct-download"} <= by_device
    assert len(by_device) >= 10
