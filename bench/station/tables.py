"""From TOML tables to dataclasses: types, bounds and keys are checked, and every complaint names file and line.

The declaration is the dataclass itself; ``Annotated[float, Bounds(0, 60, "V")]`` bounds a number, a ``Literal`` lists
the words allowed, ``X | None`` marks what may be left out.
"""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from bench.errors import ConfigurationError
from bench.station.toml_lines import Key, positions


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers allowed, both ends included, and their unit."""

    lower: float
    upper: float
    unit: str = ""

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.lower:g} to {self.upper:g}{unit}"


@dataclass(frozen=True, slots=True)
class _Problem:
    where: str
    what: str
    hint: str


class Document:
    """One TOML file with the lines of its keys, and the complaints collected while it is read."""

    def __init__(self, text: str, name: str) -> None:
        """Parse ``text``; ``name`` is what messages call the file. Raises ConfigurationError for broken TOML."""
        self.name = name
        try:
            self.table: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            message, line = _syntax(str(error), text)
            raise ConfigurationError(message, where=f"{name}:{line}", hint="this is not valid TOML") from error
        self.lines = positions(text)
        self.problems: list[_Problem] = []

    @classmethod
    def read(cls, path: Path) -> Document:
        """Read a file. Raises ConfigurationError when it cannot be read or is not TOML."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigurationError(
                f"cannot read it: {reason}", where=str(path), hint="it must be readable for this user, in UTF-8"
            ) from error
        return cls(text, str(path))

    def where(self, path: Key) -> str:
        """Return ``file:line`` of the key, or of the nearest table around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines.get(path, 1)}"

    def complain(self, path: Key, what: str, hint: str = "") -> None:
        """Note that something is wrong at ``path``."""
        self.problems.append(_Problem(self.where(path), what, hint))

    def check(self) -> None:
        """Raise ConfigurationError with every complaint so far, in the order of the file."""
        if not self.problems:
            return
        ordered = sorted(self.problems, key=lambda problem: int(problem.where.rpartition(":")[2]))
        first, rest = ordered[0], ordered[1:]
        more = "".join(f"\n{p.where}: {p.what}" + (f" ({p.hint})" if p.hint else "") for p in rest)
        what = first.what if not rest else f"{first.what}" + (f" ({first.hint})" if first.hint else "") + more
        raise ConfigurationError(what, where=first.where, hint=first.hint if not rest else "")


def _syntax(message: str, text: str) -> tuple[str, int]:
    """Split '... (at line 3, column 7)' of tomllib."""
    body, _, place = message.rpartition(" (at ")
    if place.startswith("line "):
        return body, int(place.split()[1].rstrip(",)"))
    return body or message, max(1, len(text.splitlines()))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word, or all of them when none is close."""
    words = sorted(known)
    near = difflib.get_close_matches(name, words, n=1, cutoff=0.55)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(words)}" if words else ""


def build(cls: type[Any], table: object, path: Key, document: Document, **given: object) -> Any:
    """Return ``cls`` filled from ``table``, or None when it cannot be made; complaints go to ``document``.

    A field called ``origin`` receives ``file:line``. ``given`` are fields that do not come from the file.
    """
    if not isinstance(table, dict):
        document.complain(path, f"'{path[-1] if path else ''}' must be a table, not {_kind(table)}", "write { ... }")
        return None
    hints = typing.get_type_hints(cls, include_extras=True)
    own = {field.name: field for field in fields(cls) if field.name not in given and field.name != "origin"}
    values: dict[str, object] = dict(given)
    if "origin" in hints:
        values["origin"] = document.where(path)
    good = True
    for key in table:
        if key not in own:
            document.complain((*path, key), f"unknown key '{key}' in {_title(path)}", did_you_mean(key, own))
            good = False
    for name, field in own.items():
        if name in table:
            before = len(document.problems)
            values[name] = _convert(hints[name], table[name], (*path, name), document)
            good = good and len(document.problems) == before
        elif field.default is MISSING and field.default_factory is MISSING:
            document.complain(path, f"'{name}' is missing in {_title(path)}", f"add {name} = {_example(hints[name])}")
            good = False
    return cls(**values) if good else None


def _title(path: Key) -> str:
    parts = [str(part) for part in path]
    return f"[{'.'.join(parts)}]" if parts else "the file"


def _convert(hint: Any, value: object, path: Key, document: Document) -> object:
    bounds: Bounds | None = None
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        bounds = next((extra for extra in extras if isinstance(extra, Bounds)), None)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = next(arg for arg in typing.get_args(hint) if arg is not types.NoneType)
        return _convert(inner, value, path, document)
    if origin is typing.Literal:
        return _word(typing.get_args(hint), value, path, document)
    if origin is tuple:
        return _items(typing.get_args(hint)[0], value, path, document)
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        if isinstance(value, dict):
            return dict(value)
        document.complain(path, f"'{path[-1]}' must be a table, not {_kind(value)}", "write { ... }")
        return {}
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, path, document)
    return _scalar(hint, value, path, document, bounds)


def _scalar(hint: Any, value: object, path: Key, document: Document, bounds: Bounds | None) -> object:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        document.complain(path, f"'{path[-1]}' must be {_name(hint)}, not {_kind(value)} ({value!r})")
        return value
    # NaN is outside of every range, and nan < x is false.
    if bounds is not None and isinstance(value, int | float) and not bounds.lower <= value <= bounds.upper:
        document.complain(path, f"'{path[-1]}' is {value:g}, allowed is {bounds}")
    return value


def _word(words: tuple[Any, ...], value: object, path: Key, document: Document) -> object:
    if value not in words:
        shown = f"'{value}'" if isinstance(value, str) else f"{_kind(value)} ({value!r})"
        document.complain(path, f"'{path[-1]}' cannot be {shown}", did_you_mean(str(value), map(str, words)))
    return value


def _items(hint: Any, value: object, path: Key, document: Document) -> tuple[object, ...]:
    if not isinstance(value, list):
        document.complain(path, f"'{path[-1]}' must be a list, not {_kind(value)}", "write [ ... ]")
        return ()
    return tuple(_convert(hint, item, (*path, number), document) for number, item in enumerate(value))


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, dict) else "a date or time")


def _name(hint: Any) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}.get(hint, str(hint))


def _example(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    return {bool: "true", int: "1", float: "1.0", str: '"..."'}.get(hint, "...")
