"""What another process writes when it gets to it."""

from __future__ import annotations

import time
from pathlib import Path


def wait_for(path: Path, *, within: float = 15.0) -> str:
    """Return the text of a file that is moved into place by another process, at the latest after ``within`` seconds."""
    deadline = time.monotonic() + within
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} has not come within {within:g} s"
        time.sleep(0.01)
    return path.read_text()
