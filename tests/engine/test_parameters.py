"""Parameters: declared once, read from text, refused in plain words."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.engine.parameters import FROM_RAT, Choices, Parameter, Range, Unit, bind, declared, pairs
from bench.engine.units import DIMENSIONS, convert
from bench.errors import ConfigurationError


def one(annotation: Any, default: Any = ..., name: str = "x") -> Parameter:
    return declared(name, annotation, None if default is ... else default, required=default is ...)


SECONDS = one(Annotated[float, Unit("s"), Range(0.5, 900)])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2.0), ("2.5", 2.5), (" 2 s ", 2.0), ("2.5s", 2.5), ("1500ms", 1.5), ("1 min", 60.0), (".5", 0.5),
        ("1e2", 100.0), ("+3", 3.0), ("500000us", 0.5), ("500000 µs", 0.5), ("0.25h", 900.0), ("5E-1", 0.5),
    ],
)  # fmt: skip
def test_numbers_with_units(text: str, value: float) -> None:
    assert SECONDS.parse(text) == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0.4", "0.4 s is not within 0.5 to 900 s"),
        ("2 kg", "is in 'kg'; allowed: ns, us, µs, ms, s, min, h, d"),
        ("2,5", "with a point, not a comma"),
        ("two", "'two' is no number; write one, such as 2.5 s"),
        ("", "is no number"),
        ("nan", "is no number"),
        ("inf", "is no number"),
        ("1e999", "no finite number"),
        ("1_000", "is no number"),
        ("٣", "is no number"),
        ("0x10", "no number"),
        ("--1", "is no number"),
        ("1 2", "is no number"),
    ],
)
def test_refused_numbers_say_why(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint.replace("(", r"\(")):
        SECONDS.parse(text)


def test_other_types() -> None:
    assert one(bool).parse("Yes") is True
    assert one(bool).parse("off") is False
    assert one(int).parse("0x1F") == 31
    assert one(int).parse("-4") == -4
    assert one(int).parse(3.0) == 3
    assert one(Annotated[int, Unit("s")]).parse("2min") == 120
    assert one(str).parse("a = b") == "a = b"
    assert one(str).parse('""') == ""
    assert one(Literal["a", "b"]).parse("a") == "a"
    assert one(float | None).parse("none") is None
    assert one(Optional[int]).parse("3") == 3  # noqa: UP045
    assert one(tuple[float, ...]).parse("1, 2.5") == (1.0, 2.5)
    assert one(tuple[str, ...]).parse("") == ()
    assert one(tuple[int, ...]).parse([1, 2]) == (1, 2)
    assert one(Annotated[tuple[float, ...], Unit("V")]).parse("3300mV,4") == (3.3, 4.0)


@pytest.mark.parametrize(
    ("annotation", "given", "complaint"),
    [
        (bool, "maybe", "neither yes nor no"),
        (bool, 1, "neither yes nor no"),
        (int, "2.5", "not a whole number"),
        (int, True, "is no number"),
        (int, float("inf"), "no finite number"),
        (str, 5, "is no text"),
        (str, "a\nb", "control characters"),
        (Literal["LTE", "GSM"], "LTI", "did you mean LTE"),
        (Annotated[str, Choices("x")], "", "not among x"),
        (float, None, "is no number"),
        (tuple[int, ...], 5, "is no list"),
    ],
)
def test_other_refusals(annotation: Any, given: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        one(annotation).parse(given)


@pytest.mark.parametrize(
    ("annotation", "default", "complaint"),
    [
        (dict, ..., "dict is not bool, int, float or str"),
        (int | str, ..., "several"),
        (tuple[int, int], ..., "tuple"),
        (Annotated[str, Unit("s")], ..., "only a number"),
        (Annotated[float, Range(0, 1)], 2.0, "default is not allowed: 2 is not within"),
        (Literal["a", 1], ..., "one type"),
        (str, FROM_RAT, "FROM_RAT is a number"),
    ],
)
def test_declarations_that_are_wrong(annotation: Any, default: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        one(annotation, default)


@given(st.text(), st.sampled_from([bool, int, float, str, float | None, tuple[int, ...], Literal["a"]]))
def test_any_text_is_a_value_or_a_value_error(text: str, annotation: Any) -> None:
    parameter = one(annotation)
    try:
        value = parameter.parse(text)
    except ValueError as error:
        assert str(error)
        return
    assert parameter.parse(value) == value
    assert parameter.parse(parameter.text(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["", "s", "V"]))
def test_numbers_survive_their_text(value: float, unit: str) -> None:
    parameter = one(Annotated[float, Unit(unit)] if unit else float)
    assert parameter.parse(parameter.text(value)) == value


@given(st.integers(-(10**12), 10**12), st.sampled_from(DIMENSIONS), st.data())
def test_conversion_there_and_back(value: int, table: dict[str, Any], data: st.DataObject) -> None:
    written, wanted = data.draw(st.sampled_from(sorted(table))), data.draw(st.sampled_from(sorted(table)))
    there = convert(value, written, wanted)
    assert there is not None
    back = convert(there, wanted, written)
    assert back is not None
    assert math.isclose(back, value, rel_tol=1e-12, abs_tol=1e-12)
    assert convert(value, written, "parsec") is None


RECIPE = (
    one(Annotated[float, Unit("s"), Range(0.5, 900)], 2.0, "hold"),
    one(Annotated[str, Choices("", "LTE", "NB-IoT")], "", "first_rat"),
    one(Annotated[float, Unit("s"), Range(1, 3600)], FROM_RAT, "register_within"),
    one(str, ..., "profile"),
)


def test_binding_fills_defaults_and_names_sources() -> None:
    bound = bind(RECIPE, ["profile=a=b", "hold=1min"])
    assert bound.values == {"hold": 60.0, "first_rat": "", "register_within": 720.0, "profile": "a=b"}
    assert bound.sources["hold"] == "given"
    assert bound.sources["register_within"] == "from RAT (NB-IoT)"
    assert list(bound.values) == ["hold", "first_rat", "register_within", "profile"]


@pytest.mark.parametrize("written", ["from RAT", "from-rat", "FROM_RAT"])
def test_from_rat_follows_the_rats_given(written: str) -> None:
    bound = bind(RECIPE, {"profile": "p", "first_rat": "LTE", "register_within": written})
    assert bound.values["register_within"] == 180.0
    assert bind(RECIPE, ["profile=p", "register_within=5"]).values["register_within"] == 5.0


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        bind(RECIPE, ["hodl=3", "hold=0", "first_rat=5G"], where="recipe x")
    text = str(caught.value)
    for part in ("did you mean 'hold'", "hold: 0 s is not within", "first_rat: '5G'", "profile must be given"):
        assert part in text
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("texts", [["x"], ["=3"], ["a=1", "a=2"]])
def test_pairs_that_are_none(texts: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        pairs(texts)


@given(st.lists(st.text(), max_size=4))
def test_any_command_line_binds_or_is_refused(texts: list[str]) -> None:
    try:
        bound = bind(RECIPE, texts)
    except ConfigurationError:
        return
    assert set(bound.values) == {parameter.name for parameter in RECIPE}


def test_descriptions_for_people() -> None:
    assert RECIPE[0].describe() == "number, in s, 0.5 to 900, default 2.0 s"
    assert RECIPE[2].describe() == "number, in s, 1 to 3600, default from RAT"
    assert RECIPE[3].describe() == "text, must be given"
    assert RECIPE[1].describe() == 'text, one of (empty), LTE, NB-IoT, default ""'
