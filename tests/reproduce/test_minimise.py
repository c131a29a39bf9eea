"""Delta debugging: exactly the decisive conditions, in how many runs, and what is said when it is not certain."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.reproduce import regression
from bench.reproduce.conditions import START, Moment
from bench.reproduce.errors import ReproduceError
from bench.reproduce.minimise import ddmin, minimise
from bench.reproduce.play import reproduce
from bench.reproduce.scenario import Scenario, read_scenario
from tests.reproduce.strategies import SIGNATURE, Fake, twenty

NAMES = [f"c{number}" for number in range(20)]


def exactly(*names: str) -> Fake:
    return Fake(lambda chosen: chosen >= set(names))


@given(st.sets(st.sampled_from(NAMES), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_what_is_decisive_is_found_within_the_runs(decisive: set[str]) -> None:
    player = exactly(*decisive)
    found = minimise(twenty(), player, most=200, sizes=False)
    assert set(found.names) == decisive
    assert not found.unsure
    assert found.runs == player.runs <= 200


def test_two_of_twenty_need_far_less_than_two_hundred_runs() -> None:
    worst = 0
    for a in range(20):
        for b in range(a + 1, 20):
            found = minimise(twenty(), exactly(f"c{a}", f"c{b}"), sizes=False)
            assert found.names == (f"c{a}", f"c{b}")
            worst = max(worst, found.runs)
    assert worst <= 100


def test_a_failure_that_comes_three_times_of_ten_is_minimised() -> None:
    right = within = 0
    for seed in range(10):
        player = Fake(lambda chosen: chosen >= {"c3", "c11"}, chance=0.3, seed=seed)
        found = minimise(twenty(12), player, most=2000, sizes=False)
        right += set(found.names) == {"c3", "c11"} and not found.unsure
        assert set(found.names) == {"c3", "c11"} or found.unsure
        assert found.runs < 900
        within += found.smallest.low < 0.3 < found.smallest.high
    assert right >= 9
    assert within >= 8  # of 95 % intervals


def test_what_does_not_come_back_is_said_with_its_bound() -> None:
    found = minimise(twenty(), Fake(lambda chosen: False))
    assert not found.whole.hits
    assert found.unsure
    assert "did not come back" in found.sentence
    assert "at most" in found.sentence


def test_a_failure_without_any_condition_is_told() -> None:
    found = minimise(twenty(), Fake(lambda chosen: True))
    assert found.names == ()
    assert "without any of the conditions" in found.sentence


def test_two_causes_are_both_named() -> None:
    player = Fake(lambda chosen: chosen >= {"c2"} or chosen >= {"c9", "c17"})
    found = minimise(twenty(), player, sizes=False)
    assert {found.names, *found.others} == {("c2",), ("c9", "c17")}
    assert "independently" in found.sentence


def test_spent_runs_are_said_and_what_is_named_still_fails() -> None:
    player = exactly("c4", "c15")
    found = minimise(twenty(), player, most=14, sizes=False)
    assert found.runs == player.runs == 14
    assert found.unsure
    assert set(found.names) >= {"c4", "c15"}


def test_runs_that_say_nothing_are_repeated_and_in_the_end_given_up() -> None:
    player = Fake(lambda chosen: chosen >= {"c1"}, lost=2)
    assert minimise(twenty(4), player, sizes=False).names == ("c1",)
    with pytest.raises(ReproduceError, match="say nothing"):
        minimise(twenty(4), Fake(lambda chosen: True, lost=99))


def test_sizes_are_halved_as_long_as_it_fails() -> None:
    class Sized(Fake):
        def play(self, scenario: Scenario, seed: int):  # type: ignore[no-untyped-def]
            sizes = {item.name: item.figures["seconds"] for item in scenario.conditions}
            self.fails = lambda chosen: sizes.get("c1", 0) >= 1.5
            return super().play(scenario, seed)

    found = minimise(twenty(3), Sized(lambda chosen: True))
    assert found.scenario.conditions[0].figures["seconds"] == 2.0
    assert found.smaller == ["c1: seconds 8 to 2"]


@pytest.mark.parametrize(
    ("needs", "left", "said"),
    [
        (lambda at: True, START, ["c0: at the start, APDU 8 of step switch does not matter"]),
        (
            lambda at: at.step == "switch",
            Moment("switch"),
            ["c0: at step switch, APDU 8 of step switch does not matter"],
        ),
        (lambda at: at.apdu == 8, Moment("switch", apdu=8), []),
    ],
)
def test_moments_are_made_simpler_as_long_as_it_fails(
    needs: Callable[[Moment], bool], left: Moment, said: list[str]
) -> None:
    class Timed(Fake):
        def play(self, scenario: Scenario, seed: int):  # type: ignore[no-untyped-def]
            moments = [item.at for item in scenario.conditions if item.name == "c0"]
            self.fails = lambda chosen: bool(moments) and needs(moments[0])
            return super().play(scenario, seed)

    given_ = twenty(3)
    first = replace(given_.conditions[0], do="nat-forget", figures={}, at=Moment("switch", apdu=8))
    found = minimise(given_.with_conditions([first, *given_.conditions[1:]]), Timed(lambda chosen: True))
    assert [(item.name, item.at) for item in found.scenario.conditions] == [("c0", left)]
    assert found.smaller == said
    assert not found.unsure


@given(st.sets(st.integers(0, 15), min_size=1, max_size=5), st.integers(0, 99))
@settings(deadline=None)
def test_ddmin_agrees_with_picire(decisive: set[int], seed: int) -> None:
    picire = pytest.importorskip("picire", reason="picire is not installed: no oracle for delta debugging")
    items = list(range(16))
    wanted = set(decisive)
    alternative = set(random.Random(seed).sample(items, 3))

    def fails(chosen: tuple[int, ...]) -> bool:
        return wanted <= set(chosen) or alternative <= set(chosen)

    def oracle(config: list[int], _: object) -> object:
        return picire.Outcome.FAIL if fails(tuple(config)) else picire.Outcome.PASS

    ours = ddmin([str(item) for item in items], lambda chosen: fails(tuple(int(item) for item in chosen)))
    theirs = picire.DD(oracle, cache=picire.ConfigCache())(items)
    for result in ({int(item) for item in ours}, set(theirs)):
        assert fails(tuple(result))
        assert all(not fails(tuple(result - {item})) for item in result)
    if not alternative & wanted and wanted < alternative:
        assert {int(item) for item in ours} == set(theirs)


def test_reproduce_counts_and_says_what_was_not_seen() -> None:
    player = Fake(lambda chosen: True, chance=0.5, seed=3, lost=1)
    found = reproduce(twenty(2), player, 20)
    assert len(found.played) == 20
    assert len(found.unusable) == 1
    assert 0 < found.hits < 20
    assert [item.seed for item in found.played] == list(range(1, 21))
    text = "\n".join(found.lines())
    assert f"{found.hits} of 20" in text
    assert "it passes" in text
    none = reproduce(twenty(2), Fake(lambda chosen: False), 5)
    assert "at most 45.1%" in "\n".join(none.lines())
    assert "5%: 59" in "\n".join(none.lines())
    with pytest.raises(ReproduceError):
        reproduce(twenty(2), Fake(lambda chosen: False, lost=9), 2)


def test_what_is_left_is_a_scenario_a_recipe_and_a_test(tmp_path: Path) -> None:
    found = minimise(twenty(), exactly("c4", "c15"), sizes=False)
    files = regression.write(found, tmp_path, 'A "quoted" case: 42\\')
    assert [file.name for file in files] == [
        "a_quoted_case_42.toml", "test_a_quoted_case_42.py", "a_quoted_case_42_recipe.py"
    ]  # fmt: skip
    again = read_scenario(files[0])
    assert [item.name for item in again.conditions] == ["c4", "c15"]
    assert again.decisive == ("c4", "c15")
    assert again.signature == SIGNATURE
    for file in files[1:]:
        compile(file.read_text(), str(file), "exec")
    from bench.engine.recipe import load

    made = load(f"{files[2]}:a_quoted_case_42")
    assert made.needs == load("power-cycle-and-register").needs


@given(st.text(max_size=80))
def test_every_title_gives_a_name(text: str) -> None:
    assert regression.identifier(text).isidentifier()
