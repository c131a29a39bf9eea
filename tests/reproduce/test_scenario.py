"""The scenario file: what is written is read again, and what is wrong is said with its place and remedy."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.reproduce.conditions import KINDS
from bench.reproduce.errors import ScenarioError
from bench.reproduce.scenario import Scenario, find_scenario, parse_scenario, read_scenario
from bench.reproduce.toml_text import value_text
from fixtures.sim import fault_schema
from fixtures.sim.service import SERVICE
from tests.reproduce.strategies import scenarios

SHIPPED = sorted((Path(__file__).parents[2] / "recipes" / "scenarios").glob("*.toml"))
LEAST = 'title = "t"\nrecipe = "r"\n'


@given(scenarios())
def test_what_is_written_is_read_again(scenario: Scenario) -> None:
    again = parse_scenario(scenario.text())
    assert again == scenario


@given(st.recursive(
    st.one_of(st.text(st.characters(blacklist_categories=("Cs",))), st.integers(-(2**63), 2**63 - 1), st.booleans(),
              st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=12,
))  # fmt: skip
def test_every_value_is_toml(value: object) -> None:
    assert tomllib.loads(f"value = {value_text(value)}")["value"] == value


@given(st.text())
def test_any_text_is_a_scenario_or_an_error_that_says_why(text: str) -> None:
    try:
        parse_scenario(text)
    except ScenarioError as error:
        assert error.what and error.where and error.hint


_JSONISH = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(
        ["do", "at", "step", "apdu", "urc", "name", "seconds", "set", "call", "function", "verdict", "sure", "volts"]
    ), inner, max_size=5)),
    max_leaves=15,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(
    ["title", "recipe", "condition", "signature", "case", "device", "world", "parameters", "seed", "decisive", "schema"]
), _JSONISH))  # fmt: skip
def test_any_table_is_a_scenario_or_an_error(table: dict[str, object]) -> None:
    from bench.reproduce.scenario import from_table

    try:
        from_table({"title": "t", "recipe": "r", **table})
    except ScenarioError as error:
        assert error.what and error.hint


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("title = 1", "'title' is missing", ""),
        (LEAST + "titel = 2", "no 'titel'", "did you mean title?"),
        (LEAST + '[[condition]]\ndo = "cell-of"', "no condition 'cell-of'", "did you mean cell-off?"),
        (LEAST + '[[condition]]\ndo = "cell-off"\nsecond = 1', "has no 'second'", "did you mean seconds?"),
        (LEAST + '[[condition]]\ndo = "brown-out"\nvolts = 2', "needs 'seconds'", ""),
        (LEAST + '[[condition]]\ndo = "eim-misbehave"', "needs 'name'", ""),
        (LEAST + '[[condition]]\ndo = "cell-off"\nat = "soon"', "is no moment", "step"),
        (LEAST + '[[condition]]\ndo = "cell-off"\nat = { apdu = 3, urc = "x" }', "names apdu and urc", "one of"),
        (LEAST + '[[condition]]\ndo = "cell-off"\nat = { apdu = [9, 3] }', "neither", ""),
        (LEAST + '[[condition]]\ndo = "world"\nset = { a = 1 }\nat = { step = "x" }', "holds from the start", ""),
        (
            LEAST + '[[condition]]\ndo = "cell-off"\nname = "a"\n[[condition]]\ndo = "cell-on"\nname = "a"',
            "two cond",
            "",
        ),
        (LEAST + 'decisive = ["x"]', "decisive: there is no condition 'x'", ""),
        (LEAST + "[world]\nfaults = []", "conditions stand as", ""),
        (LEAST + '[signature]\nmessage = "("', "no regular expression", ""),
        (LEAST + "[case]\ndelete_after = 5", "is no date", ""),
        ("title = ", "no TOML", ""),
    ],
)
def test_what_is_wrong_is_said(text: str, what: str, hint: str) -> None:
    with pytest.raises(ScenarioError) as error:
        parse_scenario(text, "case.toml")
    assert what in error.value.what
    assert "case.toml" in error.value.where
    assert hint in error.value.hint
    assert error.value.exit_code == 2


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios_are_understood_by_bench_and_world(path: Path) -> None:
    scenario = read_scenario(path)
    assert scenario.decisive
    assert scenario.expected
    SERVICE.check(scenario.world_options())
    assert parse_scenario(scenario.text()).text() == scenario.text()


def test_thirteen_are_shipped() -> None:
    assert len(SHIPPED) >= 13


def test_the_kinds_are_those_of_the_world() -> None:
    events = {name: kind for name, kind in KINDS.items() if name not in ("world", "parameter")}
    assert set(events) == set(fault_schema.ACTIONS)
    for name, kind in events.items():
        keys = fault_schema.ACTIONS[name].keys
        assert {*kind.required, *kind.optional} == set(keys), name
        assert set(kind.required) == {key for key, value in keys.items() if value.required}, name
        assert set(kind.sizes or {}) <= set(keys), name


def test_a_condition_becomes_an_entry_that_the_world_takes() -> None:
    scenario = parse_scenario(
        LEAST
        + '[[condition]]\ndo = "brown-out"\nvolts = 2.5\nseconds = 1.0\nat = { step = "download", apdu = 37 }\n'
        + '[[condition]]\ndo = "cell-off"\nat = { urc = "+CEREG: 5*", after = 2.0 }\n'
        + '[[condition]]\ndo = "modem-hang"\nat = { step = "register", after = [1.0, 4.0] }\n'
    )
    faults = scenario.world_options()["faults"]
    assert faults == [
        {"do": "brown-out", "volts": 2.5, "seconds": 1.0, "at": "apdu", "n": 37, "step": "download"},
        {"do": "cell-off", "at": "log", "what": "urc", "like": {"line": "+CEREG: 5*"}, "n": 1, "later": 2.0},
        {"do": "modem-hang", "at": [1.0, 4.0], "step": "register"},
    ]
    for fault in faults:
        fault_schema.check(fault)


def test_a_scenario_is_found_by_path_and_by_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(LEAST)
    assert find_scenario(str(file), []) == file
    assert find_scenario("mine", [tmp_path]) == file
    with pytest.raises(ScenarioError, match="no scenario 'mime'") as error:
        find_scenario("mime", [tmp_path])
    assert error.value.hint == "did you mean mine?"
