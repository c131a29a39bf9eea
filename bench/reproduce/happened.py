"""Whether the conditions of a scenario came about in a run, by the log of its simulated world (``world.jsonl``)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.reproduce.conditions import Condition


def log_lines(path: Path) -> list[dict[str, Any]]:
    """Return what a world has written of faults and misbehaviour; nothing where there is no log, no torn line."""
    found = []
    for file in (path.with_name(f"{path.name}.1"), path):  # the world begins another file at 64 MB
        try:
            lines = file.read_bytes().splitlines()
        except OSError:
            continue
        for line in lines:
            if b'"what":"fault"' in line or b'"what":"misbehaviour-' in line:
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue
    return found


def absent(conditions: Sequence[Condition], lines: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the time line's conditions that did not come about: their moment was not reached."""
    came = Counter(_key(line) for line in lines if line.get("what") == "fault")
    missing = []
    for item in conditions:
        if not item.event:
            continue
        fault = item.fault()
        key = _key({("at_line" if name == "what" else name): value for name, value in fault.items()})
        if came[key] < 1:
            missing.append(item.name)
        came[key] -= 1
    return tuple(missing)


def _key(entry: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in entry.items() if name not in ("what", "t_ns", "step")}
    return json.dumps(kept, sort_keys=True, default=str)


def refused(lines: Iterable[Mapping[str, Any]]) -> tuple[str, str, str] | None:
    """Return the server (``eim``, ``smdpp``) that did not take a misbehaviour, its reason and what to do.

    None when all were taken; a server that could not be reached has not refused.
    """
    for line in lines:
        if line.get("what") == "misbehaviour-failed" and "status" in line:
            return str(line.get("server")), *_reason(str(line.get("why")))
    return None


def _reason(text: str) -> tuple[str, str]:
    """Return the words and the remedy in the answer of an operator's side, or its text as it is."""
    try:
        told = json.loads(text)["error"]
        return str(told["what"]), str(told["hint"])
    except (ValueError, TypeError, KeyError):
        return text, ""
