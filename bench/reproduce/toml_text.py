"""Writing TOML that people read: one table after the other, inline tables within (tomllib only reads)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


def value_text(value: Any) -> str:
    """Return one value as TOML; None has no form there and raises TypeError."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value) if not isinstance(value, float) or "e" not in repr(value) else f"{value!r}"
        case str():
            return '"' + "".join(_character(item) for item in value) + '"'
        case datetime.date():
            return value.isoformat()
        case Mapping():
            if not value:
                return "{}"
            return (
                "{ " + ", ".join(f"{key_text(str(name))} = {value_text(item)}" for name, item in value.items()) + " }"
            )
        case list() | tuple():
            return "[" + ", ".join(value_text(item) for item in value) + "]"
        case _:
            raise TypeError(f"{value!r} has no form in TOML")


def _character(item: str) -> str:
    if item in _ESCAPES:
        return _ESCAPES[item]
    code = ord(item)
    if 0xD800 <= code < 0xE000:
        return "\\uFFFD"
    return f"\\u{code:04X}" if code < 32 or code == 127 else item


def key_text(name: str) -> str:
    """Return a key, quoted where it must be."""
    return name if _BARE.match(name) else value_text(name)


def table_text(
    table: Mapping[str, Any],
    *,
    lists: Mapping[str, Sequence[Mapping[str, Any]]],
    last: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return a document: plain values, tables, arrays of tables, and the tables that stand at the end."""
    lines = [f"{key_text(name)} = {value_text(item)}" for name, item in table.items() if not isinstance(item, Mapping)]
    for name, inner in table.items():
        if isinstance(inner, Mapping):
            lines += ["", f"[{key_text(name)}]", *_lines(inner)]
    for name, items in lists.items():
        for item in items:
            lines += ["", f"[[{key_text(name)}]]", *_lines(item)]
    for name, inner in last.items():
        if not inner:
            continue
        plain = {key: item for key, item in inner.items() if not _tables(item)}
        lines += ["", f"[{key_text(name)}]", *_lines(plain)]
        for key, items in inner.items():
            if _tables(items):
                for item in items:
                    lines += ["", f"[[{key_text(name)}.{key_text(key)}]]", *_lines(item)]
    return "\n".join(lines) + "\n"


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{key_text(name)} = {value_text(item)}" for name, item in table.items()]
