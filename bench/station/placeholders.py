"""``$world.A.B`` in a station: what the simulated world fills in when it has started."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from bench.errors import ConfigurationError

_WORLD = re.compile(r"\$world((?:\.[A-Za-z0-9_-]+)+)")


def placeholders(value: object) -> list[str]:
    """Return every ``$world.A.B`` in a value, and in what it contains."""
    if isinstance(value, str):
        return [found.group(0) for found in _WORLD.finditer(value)]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in placeholders(item)]
    if isinstance(value, tuple | list):
        return [text for item in value for text in placeholders(item)]
    if is_dataclass(value) and not isinstance(value, type):
        return [text for item in fields(value) for text in placeholders(getattr(value, item.name))]
    return []


def filled(value: Any, sources: list[Mapping[str, Any]], origin: str) -> Any:
    """Return a value with every placeholder replaced by what the first of ``sources`` says.

    ``origin`` is ``file:line`` for the message. Raises ConfigurationError for a name that no source has.
    """
    if isinstance(value, str):
        whole = _WORLD.fullmatch(value)
        if whole:
            return _look_up(whole, sources, origin)
        return _WORLD.sub(lambda found: str(_look_up(found, sources, origin)), value)
    if isinstance(value, Mapping):
        return {key: filled(item, sources, origin) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(filled(item, sources, origin) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        place = getattr(value, "origin", "") or origin
        changed = {}
        for item in fields(value):
            old = getattr(value, item.name)
            new = filled(old, sources, place)
            if new is not old and new != old:
                changed[item.name] = new
        return replace(value, **changed) if changed else value
    return value


def _look_up(found: re.Match[str], sources: list[Mapping[str, Any]], origin: str) -> Any:
    names = found.group(1)[1:].split(".")
    for source in sources:
        value: Any = source
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None and not isinstance(value, Mapping):
            return value
    raise ConfigurationError(
        f"the simulated world did not announce '{'.'.join(names)}'",
        where=origin,
        hint=f"it announced: {', '.join(sorted({key for source in sources for key in source})) or 'nothing'}",
    )
