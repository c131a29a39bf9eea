"""Simulated benches that run by themselves (``bench sim up``): found by what they leave in their home, or by a file.

``announce`` writes it when everything listens; a process that was killed leaves it behind, so ``running`` looks
whether it lives.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.errors import ConfigurationError

FILE: Final = "up.json"


def place(home: Path, station: str) -> Path:
    """Return where a simulated station that runs by itself is announced."""
    return home / "sim" / station / FILE


@contextmanager
def announced(home: Path, station: str, announcement: Mapping[str, Any]) -> Iterator[Path]:
    """Keep the announcement of a running world at its place while the block runs. Raises OSError."""
    path = place(home, station)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {**announcement, "home": str(home.absolute()), "up": os.getpid()}
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(told), encoding="utf-8")
    scratch.replace(path)
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            if json.loads(path.read_text("utf-8")).get("up") == os.getpid():  # not of one that was started after it
                path.unlink()


def running(home: Path) -> list[Mapping[str, Any]]:
    """Return the announcements of the worlds of a home that are up."""
    found = []
    for path in sorted((home / "sim").glob(f"*/{FILE}")):
        with contextlib.suppress(ConfigurationError):
            told = read(path)
            if _alive(told.get("pid")):
                found.append(told)
    return found


def read(path: Path) -> Mapping[str, Any]:
    """Return an announcement from a file. Raises ConfigurationError."""
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the announcement cannot be read: {error}", where=str(path), hint="bench sim up --json > FILE"
        ) from error
    if not isinstance(told, dict) or not isinstance(told.get("stations"), dict):
        raise ConfigurationError(
            "this is no announcement of a simulated bench", where=str(path), hint="bench sim up --json > FILE"
        )
    return told


def _alive(pid: object) -> bool:
    """Whether the world's own process lives."""
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
