"""What the screens remember between two starts: theme, rate, presets, filters, and whether F12 arrived here."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from bench.run.folder import write_atomic


class Settings:
    """A JSON file in the bench's home; one that cannot be read or written costs the memory, never the screen."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._values: dict[str, Any] = {}
        if path is not None:
            with contextlib.suppress(OSError, ValueError):
                found = json.loads(path.read_bytes())
                if isinstance(found, dict):
                    self._values = found

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value; the default when it is not there or of another type."""
        found = self._values.get(name, default)
        return found if default is None or isinstance(found, type(default)) else default

    def set(self, name: str, value: Any) -> None:
        """Keep a value."""
        if self._values.get(name) == value:
            return
        self._values[name] = value
        if self.path is not None:
            with contextlib.suppress(OSError, TypeError):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self.path, json.dumps(self._values, indent=1).encode() + b"\n")


def terminal() -> str:
    """Return what names this terminal: a key that arrives in one may be swallowed by another."""
    names = ("TERM_PROGRAM", "TERM", "TMUX", "STY", "SSH_CONNECTION")
    parts = [os.environ.get(name, "") for name in names[:2]]
    parts += [name.lower() for name in names[2:] if os.environ.get(name)]
    return " ".join(part for part in parts if part) or "unknown"


def wants_ascii() -> bool:
    """Whether this terminal's language has no UTF-8."""
    language = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or ""
    return "utf" not in language.lower()
