"""JSON pointers, what is filled in, and templates: every error of a template is named with file and line."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import ConfigurationError
from bench.station.tables import Document
from instruments.external import filling, pointer, rules, template

RECIPES = Path(__file__).parents[2] / "recipes"
NAMES = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)

# --- pointers ------------------------------------------------------------------------------------------------------

RFC_6901 = {
    "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", RFC_6901), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3),
        ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8),
    ],
)  # fmt: skip
def test_examples_of_rfc_6901_section_5(text: str, value: object) -> None:
    assert pointer.find(RFC_6901, pointer.parse(text)) == value


def paths(document: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = [(path, document)]
    items: Any = document.items() if isinstance(document, dict) else ()
    items = enumerate(document) if isinstance(document, list) else items
    for key, value in items:
        found += paths(value, (*path, str(key)))
    return found


@given(JSON)
def test_everything_in_a_document_is_found_by_its_pointer(document: Any) -> None:
    for path, value in paths(document):
        text = pointer.text_of(path)
        if len(text) > 400:
            continue
        assert pointer.parse(text) == path
        assert pointer.find(document, path) is value


@given(JSON, st.text(max_size=20))
def test_any_text_is_a_pointer_that_finds_or_does_not_or_none(document: Any, text: str) -> None:
    try:
        tokens = pointer.parse(text)
    except ValueError:
        return
    assert pointer.text_of(tokens) == text
    try:
        found = pointer.find(document, tokens)
    except pointer.NotThere as error:
        assert str(error)
        return
    assert any(path == tokens and value is found for path, value in paths(document))


@pytest.mark.parametrize("text", ["/00", "/-1", "/-", "/1e0", "/²"])
def test_lists_have_their_items_only(text: str) -> None:
    with pytest.raises(pointer.NotThere):
        pointer.find(["a"], pointer.parse(text))


# --- filling in ----------------------------------------------------------------------------------------------------


@given(st.text(max_size=30), st.text(min_size=1, max_size=30))
def test_a_value_changes_no_structure(eid: str, iccid: str) -> None:
    """Whatever a value holds: the body has the same members, the path the same parts."""
    body = {"job": {"type": "X", "at": "{eid}", "note": "for {eid}, {iccid}", "{eid}": ["{iccid}", 1]}}
    found = json.loads(json.dumps(filling.fill(body, {"eid": eid, "iccid": iccid})))
    assert found == {"job": {"type": "X", "at": eid, "note": f"for {eid}, {iccid}", "{eid}": [iccid, 1]}}
    try:
        path = filling.fill_path("/a/{iccid}/b", {"iccid": iccid}, "here")
    except ConfigurationError:
        assert iccid in (".", "..")
        return
    assert path.count("/") == 3
    assert "?" not in path
    assert "#" not in path
    assert urllib.parse.unquote(path.split("/")[2]) == iccid


def test_types_absent_members_and_brackets() -> None:
    values = {"rollback": True, "iccid": None, "psmos": [{"enable": {}}], "eid": "89"}
    part = {"a": "{rollback}", "b": "{iccid}", "c": "{psmos}", "d": "{{{eid}}}", "e": "is {rollback}", "f": ["{iccid}"]}
    assert filling.fill(part, values) == {
        "a": True, "c": [{"enable": {}}], "d": "{89}", "e": "is true", "f": [None],
    }  # fmt: skip


# --- templates -----------------------------------------------------------------------------------------------------


def read(text: str, role: Any = "eim") -> template.Template:
    return template.read(Document(text, "t.toml"), role, Path("/lab"))


GOOD = """
[server]
url = "https://eim.lab.example/v1/"
token_env = "T"
[operations.download]
method = "POST"
path = "/d/{eid}"
body = { code = "{activation_code}" }
answer = { order_id = "/id" }
[operations.enable]
method = "POST"
path = "/e/{eid}"
body = { iccid = "{iccid}", rollback = "{rollback}" }
answer = { order_id = "/id" }
[operations.delete]
method = "POST"
path = "/x/{eid}/{iccid}"
answer = { order_id = "/id" }
[operations.show]
method = "GET"
path = "/o/{order_id}"
answer = { state = "/state" }
[states]
OK = "done"
"""


def test_examples_to_copy_are_whole_and_name_every_key() -> None:
    for role in ("eim", "smdpp"):
        text = (RECIPES / f"external_{role}.toml").read_text()
        found = read(text, role)
        assert set(rules.REQUIRED[role]) <= set(found.operations)
        for name in rules.RULES[role]:
            assert name in text, name
    both = "".join((RECIPES / f"external_{role}.toml").read_text() for role in ("eim", "smdpp"))
    for key in template.Server.__dataclass_fields__:
        assert key == "origin" or key in both, key
    for word in (*rules.EIM_STATES, *rules.SMDPP_STATES, *rules.EVENTS):
        assert word in both, word


def test_a_good_template() -> None:
    found = read(GOOD)
    assert found.server.url == "https://eim.lab.example/v1"
    assert found.operations["show"].repeat == "safe"
    assert found.operations["enable"].repeat == "never"
    assert found.state("OK", "here") == "done"
    with pytest.raises(ConfigurationError, match="which the template does not know") as caught:
        found.state("PAUSED", "here")
    assert "[states]" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('token_env = "T"', 'token = "s3cret-value"', 4, "secrets do not belong into a template"),
        ('token_env = "T"', 'token_env = "T"\ntoken_file = "f"', 4, "exclude each other"),
        ("https://eim.lab.example/v1/", "http://eim.lab.example/", 3, "in clear"),
        ("https://eim", "https://me:s3cret-value@eim", 3, "a password in it"),
        ("https://eim.lab.example/v1/", "ftp://x", 3, "no address"),
        ('token_env = "T"', 'pin = "sha256:00"', 4, "is no pin"),
        ('token_env = "T"', 'client_key = "k.pem"', 2, "belong together"),
        ('token_env = "T"', 'token_form = "Bearer"', 4, "no place"),
        ('path = "/d/{eid}"', 'path = "/d/{iccid}"', 7, "{iccid} is not known here"),
        ('path = "/d/{eid}"', 'path = "d"', 7, "is no path"),
        ('path = "/d/{eid}"', 'path = "/d/{eid"', 7, "a single '{'"),
        ('path = "/d/{eid}"', 'path = "/d/{eid}"\nrepeat = "key"', 8, "has no {key}"),
        ('path = "/d/{eid}"', 'path = "/d"\nheaders = { "X-Api-Key" = "s3cret-value" }', 8, "secrets do not belong"),
        ('answer = { order_id = "/id" }', 'answer = { order_id = "id" }', 9, "is no JSON pointer"),
        ('answer = { order_id = "/id" }', 'answer = { number = "/id" }', 9, "nothing is done with 'number'"),
        ('answer = { order_id = "/id" }', "", 5, "where its answer has order_id is missing"),
        ("[operations.delete]", "[operations.remove]", 15, "there is no operation 'remove'"),
        ('OK = "done"', 'OK = "finished"', 24, "is not one of the bench's words"),
        ('method = "POST"', 'method = "FETCH"', 6, "cannot be 'FETCH'"),
        ("[server]", "[sever]", 2, "unknown table [sever]"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(GOOD.replace(old, new, 1))
    told = str(caught.value)
    assert words in told
    assert f"t.toml:{line}: " in told
    assert "s3cret-value" not in told


_TOML_VALUES = st.recursive(
    st.booleans()
    | st.integers(-5, 999)
    | st.text(max_size=12)
    | st.sampled_from(["{eid}", "{x}", "/a", "GET", "done"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["eim", "smdpp"]),
    st.lists(
        st.tuples(
            st.lists(
                st.sampled_from(
                    ["server", "operations", "download", "show", "order", "state", "states", "events", "values", "body",
                     "answer", "items", "headers", "query", "path", "method", "accept", "url", "pin", "judge_without",
                     "profiles", "token", "timeout"]
                ),
                min_size=1,
                max_size=3,
            ),
            _TOML_VALUES,
        ),
        max_size=8,
    ),
)  # fmt: skip
def test_any_table_is_a_template_or_a_complaint(role: str, changes: list[tuple[list[str], Any]]) -> None:
    """A good template with anything at all in its place: read, or refused with words; nothing else is raised."""
    document = Document(GOOD if role == "eim" else (RECIPES / "external_smdpp.toml").read_text(), "t.toml")
    for path, value in changes:
        table: Any = document.table
        for key in path[:-1]:
            table = table.setdefault(key, {}) if isinstance(table, dict) else {}
        if isinstance(table, dict):
            table[path[-1]] = value
    try:
        found = template.read(document, role, Path("/lab"))  # type: ignore[arg-type]
    except ConfigurationError as error:
        assert "t.toml:" in str(error)
        return
    for operation in found.operations.values():
        values = dict.fromkeys(rules.RULES[role][operation.name].values, "1")
        filled = {**values, **found.values}
        filling.fill_path(operation.path, filled, "here")
        json.dumps(filling.fill(operation.body, filled))
