"""Field against station: what is the same, what differs, and which side does not tell."""

from __future__ import annotations

import pytest

from bench.reproduce.scenario import Scenario
from bench.reproduce.signature import Signature
from bench.reproduce.station_table import Row, compare, modem_facts, station_facts, verdict

IDENTITIES = {"modem": "Quectel/BG95-M3/490154203237518", "modem firmware": "BG95M3LAR02A04", "eid": "8904"}


def table(**device: str) -> list[Row]:
    scenario = Scenario("A case", "power-cycle-and-register", Signature(), device=device)
    return compare(scenario, station_facts({"rat": "lte-m"}, IDENTITIES))


def test_a_modem_is_its_maker_and_model_and_never_its_imei() -> None:
    assert modem_facts(IDENTITIES) == {"modem": "Quectel BG95-M3", "modem_firmware": "BG95M3LAR02A04"}
    assert modem_facts({"modem": "?/BG95-M3/?"}) == {"modem": "BG95-M3"}
    assert modem_facts({}) == modem_facts({"modem": None}) == {}


def test_what_a_run_told_goes_before_what_the_world_was_asked_for() -> None:
    assert station_facts({"modem": "bg95"}, IDENTITIES)["modem"] == "Quectel BG95-M3"
    assert station_facts({"modem": "bg95"}, {})["modem"] == "bg95"


def test_same_different_and_unknown() -> None:
    rows = {row.what: row for row in table(modem="BG95-M3", modem_firmware="BG95M3LAR02A03", card_os="X 2.1")}
    assert {name: row.likeness for name, row in rows.items()} == {
        "modem": "same",
        "modem_firmware": "different",
        "card_os": "unknown",
        "rat": "unknown",
    }
    assert verdict(rows.values()) == "modem firmware differ; rat unknown in the field; card os unknown here"


@pytest.mark.parametrize(("field", "likeness"), [
    ("BG95-M3", "same"), ("Quectel BG95-M3", "same"), ("QUECTEL/bg95 m3", "same"), ("BG95-M1", "different"),
    ("Quectel", "different"), ("---", "different"),
])  # fmt: skip
def test_a_model_is_the_same_with_and_without_its_maker(field: str, likeness: str) -> None:
    assert Row("modem", field, "Quectel BG95-M3").likeness == likeness


def test_everything_known_and_nothing_known() -> None:
    same = table(modem="BG95-M3", modem_firmware="BG95M3LAR02A04", rat="LTE-M")
    assert verdict(same) == "everything that is known is the same"
    assert verdict([]).startswith("nothing is known of the device in the field: ")
    assert verdict(table()).startswith("nothing is known of the device in the field (here: modem Quectel BG95-M3, ")
