"""Texts of a template with ``{name}`` in them, and their values put in.

A text that is nothing but ``{name}`` becomes the value with its type (true, a number, a list); within a longer text it
is written out. ``{{`` and ``}}`` stand for the brackets themselves. Values cannot change the structure: they are put
into finished JSON, and percent-encoded into paths.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import quote

from bench.errors import ConfigurationError
from bench.station.tables import Document, did_you_mean
from bench.station.toml_lines import Key

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([A-Za-z][A-Za-z0-9_]*)\}|[{}]")
_DEPTH: Final = 20
Part = Any
"""A text, number, list or table of a template, with names in its texts."""


def read_part(part: Any, known: Collection[str], path: Key, document: Document) -> Part:
    """Return a part whose names are all ``known``; complaints go to ``document``."""
    _check(part, known, path, document, 0)
    return part


def _check(part: Any, known: Collection[str], path: Key, document: Document, depth: int) -> None:
    if depth > _DEPTH:
        document.complain(path, "this is nested too deeply")
    elif isinstance(part, str):
        for found in _PIECE.finditer(part):
            if found[0] in ("{", "}"):
                document.complain(path, f"a single '{found[0]}' in a text", "'{{' and '}}' stand for the brackets")
            elif found[1] and found[1] not in known:
                document.complain(path, f"{{{found[1]}}} is not known here", did_you_mean(found[1], known))
    elif isinstance(part, Mapping):
        for key, value in part.items():
            _check(value, known, (*path, key), document, depth + 1)
    elif isinstance(part, list):
        for number, value in enumerate(part):
            _check(value, known, (*path, number), document, depth + 1)
    elif not isinstance(part, bool | int | float):
        document.complain(path, "a date or time cannot be sent", "write it as a text")


def names_in(part: Any) -> set[str]:
    """Return the names that a part uses."""
    if isinstance(part, str):
        return {found[1] for found in _PIECE.finditer(part) if found[1]}
    if isinstance(part, Mapping):
        return set().union(*(names_in(value) for value in part.values()))
    if isinstance(part, list):
        return set().union(*(names_in(value) for value in part))
    return set()


def fill(part: Any, values: Mapping[str, Any]) -> Any:
    """Return a part with its values put in. A member of a table that is nothing but a name without value is left out.

    Raises KeyError for a name without value elsewhere.
    """
    if isinstance(part, str):
        whole = _PIECE.fullmatch(part)
        if whole is not None and whole[1]:
            return values[whole[1]]
        return _PIECE.sub(lambda found: _written(found, values), part)
    if isinstance(part, Mapping):
        return {key: fill(value, values) for key, value in part.items() if not _absent(value, values)}
    if isinstance(part, list):
        return [fill(value, values) for value in part]
    return part


def fill_path(part: str, values: Mapping[str, Any], where: str) -> str:
    """Return a path, its values percent-encoded. Raises ConfigurationError for an empty one."""

    def written(found: re.Match[str]) -> str:
        text = _written(found, values)
        if found[1] is None:
            return text
        if text in ("", ".", ".."):
            raise ConfigurationError(f"{{{found[1]}}} is '{text}', which is no part of a path", where=where)
        return quote(text, safe="")

    return _PIECE.sub(written, part)


def _absent(value: Any, values: Mapping[str, Any]) -> bool:
    whole = _PIECE.fullmatch(value) if isinstance(value, str) else None
    return whole is not None and whole[1] is not None and values.get(whole[1]) is None


def _written(found: re.Match[str], values: Mapping[str, Any]) -> str:
    if found[1] is None:
        return found[0][0]
    value = values[found[1]]
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
