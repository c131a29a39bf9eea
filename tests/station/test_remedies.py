"""Every error that a person at the bench may meet says what to do about it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import errors

ROOT = Path(__file__).parents[2]
ROOMS = ("station", "client", "cli", "engine")
TOLD_BY_ANOTHER = {"DnsError"}
"""Always wrapped into one that has where and remedy (``bench.station.data``)."""


def files(room: str) -> list[Path]:
    return sorted((ROOT / "bench" / room).rglob("*.py"))


def kinds() -> set[str]:
    """Names of the bench's own errors: those of bench.errors, and what these rooms derive from them."""
    names = {name for name, item in vars(errors).items() if inspect.isclass(item) and issubclass(item, Exception)}
    while True:
        classes = (node for room in ROOMS for path in files(room) for node in ast.walk(ast.parse(path.read_text())))
        derived = {
            node.name
            for node in classes
            if isinstance(node, ast.ClassDef)
            and any(isinstance(base, ast.Name) and base.id in names for base in node.bases)
        }
        if derived <= names:
            return names - TOLD_BY_ANOTHER
        names |= derived


def without_remedy(source: str, names: set[str]) -> Iterator[int]:
    """Lines on which one of these errors is made without a hint."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            given = {word.arg for word in node.keywords}
            if node.args and None not in given and "hint" not in given:
                yield node.lineno


@pytest.fixture(scope="module")
def names() -> set[str]:
    return kinds()


@pytest.mark.parametrize("room", ROOMS)
def test_every_error_of_a_room_has_its_remedy(room: str, names: set[str]) -> None:
    assert names >= {"InstrumentTimeout", "RecipeError", "StepTimeout", "WrongInstrument"}
    assert files(room)
    found = [f"{path}:{line}" for path in files(room) for line in without_remedy(path.read_text(), names)]
    assert not found, "errors that do not say what to do"


def test_the_look_itself() -> None:
    source = "A('x')\nA('x', hint='y')\nA('x', **more)\nB('x')\nA()"
    assert list(without_remedy(source, {"A"})) == [1]
