"""Plans: what is refused and where, and the schedule as a pure function."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ConfigurationError
from bench.soak.plan import deadline, energy, installed, load, loads, seconds, size
from bench.soak.schedule import Schedule, combinations, length, round_of

GOOD = """
title = "two"
cycles = 40
order = "shuffled"
[[recipes]]
recipe = "power-cycle-and-register"
repetitions = 2
sweep = { hold = [1.0, 2.0], band = ["B8"] }
[[recipes]]
recipe = "full-cycle"
ranges = { hold = { from = 1, to = 9, step = 2 }, level = { from = -110.0, to = -90.0 } }
"""


def test_a_plan_is_read() -> None:
    plan = loads(GOOD)
    assert [part.label for part in plan.recipes] == ["power-cycle-and-register", "full-cycle"]
    assert plan.baseline is not None
    assert length(plan) == 40
    assert combinations(plan.recipes[0]) == [{"hold": 1.0, "band": "B8"}, {"hold": 2.0, "band": "B8"}]
    assert len(round_of(plan)) == 5


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("cycles = 1\n", 1, "'recipes' is missing"),
        ("cycles = 1\nrecipes = []\n", 2, "no recipe"),
        ("[[recipes]]\nrecipe = 'a'\n", 1, "nothing ends it"),
        ("cycles = 0\n[[recipes]]\nrecipe = 'a'\n", 1, "allowed is 1"),
        ("cycels = 1\n[[recipes]]\nrecipe = 'a'\n", 1, "did you mean 'cycles'"),
        ("cycles = 1\norder = 'random'\n[[recipes]]\nrecipe = 'a'\n", 2, "cannot be 'random'"),
        ("cycles = 1\n[[recipes]]\nrecipe = 'a'\nsweep = { hold = 3 }\n", 4, "list of values"),
        ("cycles = 1\n[[recipes]]\nrecipe = 'a'\nuses = { donwloads = 1 }\n", 4, "did you mean 'downloads'"),
        ("cycles = 1\n[[recipes]]\nrecipe = 'a'\nranges = { x = { from = 2, to = 1 } }\n", 4, "not be above"),
        ("cycles = 1\n[[recipes]]\nrecipe = 'a'\nparameters = {x=1}\nsweep = {x=[1]}\n", 5, "stands in parameters"),
        ("duration = 'long'\n[[recipes]]\nrecipe = 'a'\n", 1, "12h"),
        ("deadline = 'dawn'\n[[recipes]]\nrecipe = 'a'\n", 1, "06:30"),
        ("cycles = 1\n[[recipes]]\nrecipe = 'a'\n[stop]\ntarget_failure_rate = 0.1\n", 4, "needs"),
        ("cycles = 1\n[stop]\ntarget_failure_rate=0.2\nlimit_failure_rate=0.1\n[[recipes]]\nrecipe='a'\n", 4, "above"),
        ("cycles = 1\n[eid]\nsmi = '89'\n[[recipes]]\nrecipe = 'a'\n", 3, "did you mean 'sim'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, word: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loads(text, "night.toml")
    assert word in str(caught.value)
    assert f"night.toml:{line}" in str(caught.value)
    assert caught.value.exit_code == 2


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["recipes", "cycles", "order", "duration", "stations", "stop", "eid", "baseline", "budgets", "deadline"]
        ),
        _VALUE,
    ),
    st.dictionaries(st.sampled_from(["recipe", "sweep", "ranges", "uses", "weight", "faults"]), _VALUE),
)
def test_every_table_is_a_plan_or_a_complaint(table: dict[str, object], part: dict[str, object]) -> None:
    from bench.soak.plan import parse
    from bench.station.tables import Document

    document = Document("", "plan")
    document.table = {"recipes": [part], **table}
    try:
        plan = parse(document)
    except ConfigurationError as error:
        assert error.where.startswith("plan:")
    else:
        Schedule(plan, 1, "sim").item(0)


@given(st.text(max_size=60))
def test_every_text_is_a_plan_or_a_complaint(text: str) -> None:
    try:
        loads(text)
    except ConfigurationError as error:
        assert error.where


@given(st.integers(0, 2**40), st.integers(0, 39), st.sampled_from(["fixed", "shuffled", "weighted"]))
def test_the_schedule_is_a_function_of_seed_and_number(seed: int, index: int, order: str) -> None:
    plan = loads(GOOD.replace("shuffled", order))
    whole = list(Schedule(plan, seed, "sim"))
    assert len(whole) == 40
    assert Schedule(plan, seed, "sim").item(index) == whole[index]
    for item in whole:
        if item.part == 1:
            assert item.parameters["hold"] in (1, 3, 5, 7, 9)
            assert -110 <= item.parameters["level"] <= -90


@given(st.integers(0, 2**40))
def test_every_round_holds_every_combination(seed: int) -> None:
    items = list(Schedule(loads(GOOD), seed, "sim"))
    for turn in range(8):
        found = Counter((item.part, item.parameters.get("hold")) for item in items[5 * turn : 5 * turn + 5])
        assert found[0, 1.0] == found[0, 2.0] == 2
        assert sum(count for (part, _), count in found.items() if part == 1) == 1


def test_stations_and_seeds_differ_and_a_known_value_stays() -> None:
    plan = loads(GOOD)
    first = [item.seed for item in Schedule(plan, 1, "a")]
    assert first != [item.seed for item in Schedule(plan, 1, "b")]
    assert first != [item.seed for item in Schedule(plan, 2, "a")]
    assert len(set(first)) == 40
    with pytest.raises(IndexError):
        Schedule(plan, 1, "a").item(40)


def test_weights_are_followed() -> None:
    plan = loads("cycles=4000\norder='weighted'\n[[recipes]]\nrecipe='a'\nweight=3\n[[recipes]]\nrecipe='b'\n")
    found = Counter(item.recipe for item in Schedule(plan, 5, "sim"))
    assert 2850 < found["a"] < 3150


def test_a_recipe_file_is_looked_for_beside_the_plan_also_from_its_copy(tmp_path: Path) -> None:
    text = "cycles = 1\n[[recipes]]\nrecipe = 'own.py:job'\n[[recipes]]\nrecipe = '/abs/x.py'\n"
    (tmp_path / "night.toml").write_text(text)
    folder = tmp_path / "soak"
    folder.mkdir()
    (folder / "plan.toml").write_text(text)
    (folder / "soak.json").write_text(json.dumps({"plan": str(tmp_path / "night.toml")}))
    for file in (tmp_path / "night.toml", folder / "plan.toml"):
        assert [part.recipe for part in load(file).recipes] == [f"{tmp_path}/own.py:job", "/abs/x.py"]


@pytest.mark.parametrize("file", sorted(installed().values()), ids=lambda path: path.stem)
def test_the_plans_shipped_can_be_run(file: Path) -> None:
    from bench.client.soak import prepare

    plan, _, told, _ = prepare(str(file), seed=1)
    assert told[0].cycles
    assert file.read_text().startswith("# ")
    if file.stem != "switch-ping-pong":  # how many it does depends on the time of day
        assert not told[0].warnings
    assert plan.baseline is not None


@pytest.mark.parametrize(
    ("fault", "world", "line", "word"),
    [
        ('{ do = "nat-forgot" }', "", 2, "no fault 'nat-forgot'"),
        ('{ do = "nat-forget" }', 'refresh = "never"', 1, "--refresh: invalid choice: 'never'"),
    ],
)
def test_a_world_that_would_not_start_is_refused_before_the_night(
    fault: str, world: str, line: int, word: str, tmp_path: Path
) -> None:
    from bench.client.soak import prepare

    file = tmp_path / "night.toml"
    job = f'cycles = 1\n[[recipes]]\nrecipe = "power-cycle-and-register"\nfaults = [{fault}]\n'
    file.write_text(f"{job}[world]\n{world}\n")
    with pytest.raises(ConfigurationError) as refused:
        prepare(str(file), seed=1)
    assert word in refused.value.what
    assert f"{file}:{line}, station sim" in str(refused.value.where)


def test_texts() -> None:
    assert (seconds("12h"), seconds("90"), seconds("")) == (43200, 90, None)
    assert size("20GB") == 20e9
    assert energy("2Wh") == 7200
    now = datetime.datetime(2026, 3, 1, 22, 0).astimezone()
    assert deadline("06:30", now) == datetime.datetime(2026, 3, 2, 6, 30).astimezone()
    assert deadline("22:30", now) == datetime.datetime(2026, 3, 1, 22, 30).astimezone()
