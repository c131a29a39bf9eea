"""The files of one trace: ``trace.pcapng``, then ``trace.0002.pcapng`` and so on where it grew beyond a part's size.

Each part is a whole pcapng file with its own section and interfaces; mergecap makes one of them. The first keeps its
name, so that who follows a run by it goes on following.
"""

from __future__ import annotations

import re
from pathlib import Path

_NUMBERED = re.compile(r"^(?P<stem>.*)\.(?P<number>\d{4,})(?P<suffix>\.[^.]+)$")


def part(path: Path, number: int) -> Path:
    """Return where part ``number`` (1, 2, ...) of the trace whose first part is ``path`` is."""
    return path if number == 1 else path.with_name(f"{path.stem}.{number:04d}{path.suffix}")


def parts(path: Path) -> list[Path]:
    """Return the parts of a trace that are there, ``path`` first, whether it is there or not."""
    found = [path]
    while (following := part(path, len(found) + 1)).exists():
        found.append(following)
    return found


def last_part(path: Path) -> Path:
    """Return the part that is written last."""
    return parts(path)[-1]


def next_part(path: Path) -> Path:
    """Return the part behind ``path``, which may be the first or a later one."""
    found = _NUMBERED.match(path.name)
    if found is None:
        return part(path, 2)
    first = path.with_name(f"{found['stem']}{found['suffix']}")
    return part(first, int(found["number"]) + 1)
