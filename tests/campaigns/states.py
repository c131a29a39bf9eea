"""What campaigns keep of what they have found, so that the same command goes on after a kill."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


def commit() -> str:
    """Return the commit of this tree, with ``+`` when files differ from it."""
    here = Path(__file__).parent
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=False
    )
    changed = subprocess.run(
        ["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() + ("+" if changed.stdout.strip() else "")


class Lines:
    """Results by their key, printed as they come and kept in a file where one is named; any thread may add one.

    A line that a kill cut off is no result. Raises OSError for a file that cannot be read or written.
    """

    def __init__(self, path: Path | None, key: Callable[[dict[str, Any]], object]) -> None:
        self._path, self._key = path, key
        self._lock = threading.Lock()
        self.known: dict[object, dict[str, Any]] = {}
        if path is not None and path.exists():
            text = path.read_text()
            whole = text[: text.rfind("\n") + 1]
            if whole != text:
                path.write_text(whole)
            for line in map(json.loads, whole.splitlines()):
                self.known[key(line)] = line

    def add(self, line: dict[str, Any]) -> dict[str, Any]:
        """Keep and print a result; return it."""
        with self._lock:
            self.known[self._key(line)] = line
            text = json.dumps(line)
            print(text, flush=True)
            if self._path is not None:
                with self._path.open("a") as file:
                    file.write(text + "\n")
        return line

    def again(self, key: object) -> dict[str, Any] | None:
        """Print and return what is known of a key, None where nothing is."""
        line = self.known.get(key)
        if line is not None:
            with self._lock:
                print(json.dumps(line), flush=True)
        return line
