"""Every error that a driver of this kind raises tells the person at the bench what to do about it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import instruments
from instruments.scpi.link import ConnectionLost
from instruments.scpi.parse import AnswerError, ScpiError

ROOMS = ("attenuator", "network", "power", "scpi", "usb")
ERRORS = frozenset({"InstrumentError", "InstrumentTimeout", "Refused", "ConfigurationError"})
FILES = [path for room in ROOMS for path in sorted((Path(instruments.__path__[0]) / room).glob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_error_has_a_hint(path):
    made = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    bare = [
        f"{path.name}:{call.lineno}: {ast.unparse(call)[:100]}"
        for call in made
        if isinstance(call.func, ast.Name)
        and call.func.id in ERRORS
        and not any(keyword.arg == "hint" for keyword in call.keywords)
    ]
    assert bare == []


@pytest.mark.parametrize(
    "error", [ConnectionLost("gone"), AnswerError("no number"), ScpiError(-221, "Settings conflict")]
)
def test_what_the_wire_does_has_one_remedy_unless_a_better_one_is_known(error):
    assert error.hint
    better = type(error)(-221, "x", hint="this") if isinstance(error, ScpiError) else type(error)("x", hint="this")
    assert better.hint == "this"
