"""Where the bench keeps what is its own: known without reading bench.toml and all that can stand in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def default_home(environment: Mapping[str, str] | None = None) -> Path:
    """Return $BENCH_HOME, else $XDG_DATA_HOME/esim-bench, else ~/.local/share/esim-bench."""
    environment = os.environ if environment is None else environment
    if environment.get("BENCH_HOME"):
        return Path(environment["BENCH_HOME"]).expanduser().absolute()
    data = environment.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "esim-bench"
