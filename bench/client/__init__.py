"""Start, follow and control runs: what the command line and the TUI share. It owns no hardware.

A run belongs to its supervisor, not to who started it: everything here works on the run folder and the supervisor's
control socket. ``start`` and ``wait`` concern processes, ``follow``, ``runs`` and ``find`` only read files, ``stop``,
``safe`` and ``answer`` speak to supervisors.
"""

from bench.client.control import RunStatus, SafeReport, answer, safe, stale, status, stop
from bench.client.launch import RunHandle, StartOptions, start
from bench.client.reading import RunInfo, find, follow, journal, runs
from bench.client.recipes import ParameterInfo, RecipeInfo, recipe, recipes

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
