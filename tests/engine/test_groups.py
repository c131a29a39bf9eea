"""Groups of parameters: a frozen dataclass in a recipe's signature is its fields, for everybody but the recipe."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.engine.parameters import FROM_RAT
from bench.engine.recipe import Choices, Range, Recipe, Station, Unit, load, recipe
from bench.errors import ConfigurationError

STATION = cast(Station, object())


@dataclass(frozen=True)
class Way:
    profile: str = "operational"
    rat: Annotated[str, Choices("", "LTE", "NB-IoT")] = ""


@dataclass(frozen=True, slots=True)
class Deadlines:
    boot_within: Annotated[float, Unit("s"), Range(1, 300)] = 60.0
    register_within: Annotated[float, Unit("s"), Range(1, 3600)] = FROM_RAT

    def __post_init__(self) -> None:
        if self.register_within < self.boot_within:
            raise ValueError("it cannot register before it has booted")


@dataclass(frozen=True)
class Longer(Deadlines):
    switch_within: Annotated[float, Unit("s"), Range(1, 3600)] = 120.0


CALLS: list[dict[str, Any]] = []


@recipe(title="One by one")
async def flat(
    station: Station,
    times: Annotated[int, Range(1, 9)] = 1,
    profile: str = "operational",
    rat: Annotated[str, Choices("", "LTE", "NB-IoT")] = "",
    boot_within: Annotated[float, Unit("s"), Range(1, 300)] = 60.0,
    register_within: Annotated[float, Unit("s"), Range(1, 3600)] = FROM_RAT,
    switch_within: Annotated[float, Unit("s"), Range(1, 3600)] = 300.0,
    last: bool = False,
) -> None:
    CALLS.append({"times": times, "last": last})


@recipe(title="In groups")
async def grouped(
    station: Station,
    times: Annotated[int, Range(1, 9)] = 1,
    way: Way = Way(),
    deadlines: Longer = Longer(switch_within=300.0),
    last: bool = False,
) -> None:
    CALLS.append({"times": times, "way": way, "deadlines": deadlines, "last": last})


def called(made: Any) -> dict[str, Any]:
    asyncio.run(made)
    return CALLS.pop()


def test_a_group_is_its_fields_with_the_recipes_own_defaults() -> None:
    assert grouped.parameters == flat.parameters
    assert [item.describe() for item in grouped.parameters] == [item.describe() for item in flat.parameters]
    bound, before = grouped.bind(["rat=LTE", "boot_within=1min"]), flat.bind(["rat=LTE", "boot_within=1min"])
    assert bound == before
    assert bound.values["register_within"] == 180.0 and bound.sources["register_within"] == "from RAT (LTE)"
    assert called(grouped(STATION, **bound.values)) == {
        "times": 1, "last": False, "way": Way(rat="LTE"), "deadlines": Longer(60.0, 180.0, 300.0),
    }  # fmt: skip


def test_as_a_part_of_another_recipe_a_group_is_given_whole_or_in_part() -> None:
    assert called(grouped(STATION))["deadlines"].switch_within == 300.0
    assert called(grouped(STATION, 3, Way("other"), last=True)) == {
        "times": 3, "last": True, "way": Way("other"), "deadlines": called(grouped(STATION))["deadlines"],
    }  # fmt: skip
    part: dict[str, Any] = {"profile": "other", "deadlines": Longer(1, 2, 3)}
    assert called(grouped(STATION, **part))["way"] == Way("other")
    assert called(grouped(STATION, **part))["deadlines"] == Longer(1, 2, 3)
    wrong: dict[str, Any] = {"deadlines": Longer(1, 2, 3), "boot_within": 5.0}
    with pytest.raises(TypeError, match="boot_within and the group 'deadlines' they belong to are both given"):
        asyncio.run(grouped(STATION, **wrong))


def test_what_does_not_fit_together_is_refused_before_the_run() -> None:
    with pytest.raises(ConfigurationError) as caught:
        grouped.bind(["boot_within=200", "register_within=100"])
    assert "it cannot register before it has booted (boot_within, register_within" in str(caught.value)
    assert "bench recipes grouped" in caught.value.hint


VALUES = {
    bool: st.booleans(),
    int: st.integers(-(10**9), 10**9),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=12),
}
MISSING = object()
declarations = st.lists(
    st.tuples(
        st.sampled_from(list(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), st.just(MISSING) | VALUES[kind])),
        st.integers(0, 3),
    ),
    max_size=8,
)


def signature_of(arguments: list[inspect.Parameter]) -> Recipe[...]:
    """Make a recipe with these arguments, all of them by name."""

    async def made(station: Station, **given: Any) -> None:
        CALLS.append(given)

    found: Recipe[...] = recipe(title="Made")(made)
    first = inspect.Parameter("station", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Station)
    made.__signature__ = inspect.Signature([first, *arguments])  # type: ignore[attr-defined]
    made.__annotations__ = {argument.name: argument.annotation for argument in [first, *arguments]}
    return found


def argument(name: str, kind: type[Any], default: object = MISSING) -> inspect.Parameter:
    given = inspect.Parameter.empty if default is MISSING else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=given)


@given(declarations, st.data())
def test_any_signature_in_groups_is_as_the_one_without(
    declared: list[tuple[tuple[type[Any], Any], int]], data: st.DataObject
) -> None:
    """Neighbours with the same number (0: none) are made a group; some groups have a default of their own."""
    plain, arguments, groups = [], [], {}
    at = 0
    while at < len(declared):
        (kind, default), number = declared[at]
        members = [(f"p{at}", kind, default)]
        while number and at + len(members) < len(declared) and declared[at + len(members)][1] == number:
            (kind, default), _ = declared[at + len(members)]
            members.append((f"p{at + len(members)}", kind, default))
        if number:
            fields: list[Any] = [
                (name, kind) if default is MISSING else (name, kind, field(default=default))
                for name, kind, default in members
            ]
            made_of = dataclasses.make_dataclass(f"Group{at}", fields, frozen=True, kw_only=True)
            own: Any = MISSING
            if data.draw(st.booleans()):
                members = [(name, kind, data.draw(VALUES[kind])) for name, kind, _ in members]
                own = made_of(**{name: default for name, _, default in members})
            arguments.append(argument(f"group{at}", made_of, own))
            groups[f"group{at}"] = (made_of, [name for name, _, _ in members])
        else:
            arguments.append(argument(*members[0]))
        plain += [argument(*member) for member in members]
        at += len(members)
    without, within = signature_of(plain), signature_of(arguments)
    assert within.parameters == without.parameters
    given = {item.name: data.draw(VALUES[item.kind]) for item in without.parameters if item.required}
    bound = within.bind(given)
    assert bound == without.bind(given)
    found = called(within(STATION, **bound.values))
    flat: dict[str, Any] = {}
    for name, value in found.items():
        if name in groups:
            made_of, names = groups[name]
            assert type(value) is made_of
            flat |= {own: getattr(value, own) for own in names}
        else:
            flat[name] = value
    assert flat == bound.values


@dataclass(frozen=True)
class Clashes:
    times: int = 1


@dataclass
class Thawed:
    times: int = 1


@dataclass(frozen=True)
class Odd:
    table: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OutOfRange:
    hold: Annotated[float, Range(0, 1)] = 2.0


@dataclass(frozen=True)
class Hidden:
    secret: dataclasses.InitVar[int]
    times: int = 1


@dataclass(frozen=True)
class Outer:
    inner: Way = Way()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            [argument("times", int, 2), argument("group", Clashes, Clashes())],
            "parameter 'times' is declared twice: by an argument and by group 'group' (Clashes)",
        ),
        (
            [argument("one", Way), argument("two", Way)],
            "parameter 'profile' is declared twice: by group 'one' (Way) and by group 'two' (Way)",
        ),
        ([argument("profile", Clashes), argument("way", Way)], "parameter 'profile' is declared twice: by group 'way'"),
        ([argument("thawed", Thawed)], "parameter 'thawed': Thawed is not frozen"),
        ([argument("odd", Odd)], "parameter 'odd': 'table' of Odd: dict"),
        ([argument("hold", OutOfRange)], "'hold' of OutOfRange: its default is not allowed: 2 is not within 0 to 1"),
        ([argument("hidden", Hidden)], "Hidden takes other arguments than its fields"),
        ([argument("outer", Outer)], "'inner' of Outer: Way is not bool, int, float or str"),
        ([argument("way", Way, Clashes())], "its default Clashes(times=1) is no Way"),
    ],
)
def test_declarations_that_are_wrong_say_where(arguments: list[inspect.Parameter], complaint: str) -> None:
    made = signature_of(arguments)
    with pytest.raises(ConfigurationError) as caught:
        _ = made.parameters
    assert complaint in caught.value.what
    assert caught.value.where == made.where and ":" in made.where and caught.value.hint


USER = '''
from dataclasses import dataclass
from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe


@dataclass(frozen=True)
class Dips:
    """A group of a user's own."""

    depth: Annotated[float, Unit("V"), Range(0, 5)] = 0.5
    count: int = 3


@recipe(title="Mine")
async def mine(station: Station, label: str, dips: Dips = Dips(count=5)) -> None:
    async with station.step("seen") as step:
        step.measure("depth", dips.depth, unit="V")
        step.measure("count", dips.count)
'''


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_a_group_in_a_users_file(tmp_path: Path, future: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(future + USER)
    found = load(str(path))
    assert [item.describe() for item in found.parameters] == [
        "text, must be given", "number, in V, 0 to 5, default 0.5 V", "whole number, default 5",
    ]  # fmt: skip
    assert found.bind(["label=x", "depth=300mV"]).values == {"label": "x", "depth": 0.3, "count": 5}
    with pytest.raises(ConfigurationError, match=r"there is no parameter 'dips'.*did you mean|it has label, depth"):
        found.bind({"label": "x", "dips": "1"})


def test_the_command_line_explains_the_fields(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(USER)
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli.main", "recipes", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-4:] == [
        "parameter",
        "label      text, must be given",
        "depth      number, in V, 0 to 5, default 0.5 V",
        "count      whole number, default 5",
    ]
