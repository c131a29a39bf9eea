"""The interpretation log: complete, readable, and every option of it in use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import ConfigurationError
from bench.rsp import forms, interpretation, interpretation_table
from bench.rsp.forms import Form
from bench.rsp.interpretation import DEFAULT, Interpretation
from bench.rsp.interpretation_table import POINTS

ROOT = Path(__file__).parents[2]


def sources() -> str:
    """The text of all code but the log's own."""
    folders = ("bench", "fixtures", "instruments", "recipes")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return "\n".join(path.read_text() for path in paths if "interpretation" not in path.name)


def test_every_option_is_used_by_a_party() -> None:
    text = sources()
    unused = [name for name in POINTS if not re.search(rf"(reading|interpretation|DEFAULT|options)\.{name}\b", text)]
    assert not unused, f"options that nobody looks at: {', '.join(unused)}"


def test_every_option_has_a_test() -> None:
    ours = Path(__file__).name
    text = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path.name != ours)
    untested = [name for name in POINTS if not re.search(rf"\b{name}\b", text)]
    assert not untested, f"options that no test sets: {', '.join(untested)}"


def test_every_form_has_its_reason_and_source() -> None:
    assert set(interpretation_table.FORMS) == set(Form)
    assert all(reason and source for reason, source in interpretation_table.FORMS.values())


def test_every_point_is_told_whole() -> None:
    for name, point in POINTS.items():
        assert point.question.endswith("?"), name
        assert point.parties, name
        assert point.reason, name
        assert point.source, name
        assert point.accepted, name
        shown = interpretation_table.shown(getattr(DEFAULT, name))
        assert "" in point.values or shown in point.values, f"{name}: what does {shown} mean?"


def test_the_decisions_are_the_defaults() -> None:
    assert Interpretation.read({}) == DEFAULT == Interpretation()
    assert DEFAULT.changed == {}
    assert DEFAULT.emit == frozenset()
    assert DEFAULT.accept == forms.ALL


def test_options_are_read_from_tables() -> None:
    made = Interpretation.read(
        {
            "emit": ["BARE_PACKAGE_RESULT"],
            "accept": [],
            "signature_format": "der",
            "counter_maximum": 100,
            "rollback_after": 5,
            "enable_refreshes": False,
            "terminal_capability": "A903830107",
            "notification_answer": 200,
        }
    )
    assert made.emit == {Form.BARE_PACKAGE_RESULT}
    assert made.accept == frozenset()
    assert made.rollback_after == 5.0
    assert made.terminal_capability == bytes.fromhex("A903830107")
    assert made.changed.keys() == {
        *("emit", "accept", "signature_format", "counter_maximum", "rollback_after", "enable_refreshes"),
        "notification_answer",
    }
    assert Interpretation.read({"emit": "BARE_PACKAGE_RESULT"}).emit == {Form.BARE_PACKAGE_RESULT}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"signature_fromat": "der"}, "did you mean 'signature_format'"),
        ({"zzz": 1}, "no option 'zzz'"),
        ({"signature_format": "DER"}, "allowed: 'raw', 'der'"),
        ({"emit": ["NO_FORM"]}, "NESTED_PUBLIC_KEY"),
        ({"enable_refreshes": 1}, "true, false"),
        ({"counter_maximum": "many"}, "a number"),
        ({"counter_maximum": -1}, "a number"),
        ({"terminal_capability": "zz"}, "hexadecimal"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_hint(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        Interpretation.read(table)


@pytest.mark.parametrize("name", POINTS)
def test_every_value_that_is_told_of_is_taken(name: str) -> None:
    default = getattr(DEFAULT, name)
    for text in POINTS[name].values:
        if text:
            flags: dict[str, object] = {"True": True, "False": False}
            value = flags[text] if text in flags else int(text) if isinstance(default, int) else text
            made = Interpretation.read({name: value})
            assert interpretation_table.shown(getattr(made, name)) == text


def test_the_log_as_text_and_as_json() -> None:
    command = [sys.executable, "-m", "bench.rsp.interpretation"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    for name in (*POINTS, *Form.__members__, *interpretation_table.OPEN):
        assert name in text, name
    assert max(map(len, text.splitlines())) <= 118
    told = json.loads(
        subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    )
    assert [row["name"] for row in told["options"]] == list(POINTS)
    assert set(told["forms"]) == set(Form.__members__)


def test_readings_do_not_import_the_heavy() -> None:
    """Options are read by light entry points."""
    code = "import sys, bench.rsp.interpretation; print('asn1tools' in sys.modules, 'cryptography' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["False", "False"]
    assert tuple(POINTS) == interpretation.NAMES
