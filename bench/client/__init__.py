"""Start, follow and control runs: what the command line and the TUI share. It owns no hardware.

A run belongs to its supervisor, not to who started it: everything here works on the run folder and the supervisor's
control socket. ``start`` and ``wait`` concern processes, ``follow``, ``runs`` and ``find`` only read files, ``stop``,
``safe`` and ``answer`` speak to supervisors.

What is named here is imported at its first use: the screens show their first page before they need any of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from bench.client.recipes import ParameterInfo, RecipeInfo, recipe, recipes  # a module and a function of one name

if TYPE_CHECKING:
    from bench.client.control import RunStatus, SafeReport, answer, safe, stale, status, stop
    from bench.client.launch import RunHandle, StartOptions, start
    from bench.client.reading import RunInfo, find, follow, journal, runs

__all__ = [
    "ParameterInfo",
    "RecipeInfo",
    "RunHandle",
    "RunInfo",
    "RunStatus",
    "SafeReport",
    "StartOptions",
    "answer",
    "find",
    "follow",
    "journal",
    "recipe",
    "recipes",
    "runs",
    "safe",
    "stale",
    "start",
    "status",
    "stop",
]

_PLACES: Final = {
    "control": ("RunStatus", "SafeReport", "answer", "safe", "stale", "status", "stop"),
    "launch": ("RunHandle", "StartOptions", "start"),
    "reading": ("RunInfo", "find", "follow", "journal", "runs"),
}
"""Module: what it gives."""


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
