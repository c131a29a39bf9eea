"""What is made of the record when a run has ended: ``result.json``, ``junit.xml`` and ``report.html``.

Nothing here may cost a run its verdict or hold up its exit code: everything can be made again (``bench report``).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import Final

from bench.engine.spawn import python, spawn
from bench.errors import BenchError
from bench.run import folder as places

_REPORT: Final = "bench.report.html"
"""By name: the engine makes a report when it ends, it is not built on it."""
_AT_ONCE: Final = 1 << 20
"""Bytes of journal and trace up to which the report takes some 30 ms; longer ones are left to a process."""
_RESULT_AT_ONCE: Final = 16 << 20
"""Bytes of the journal up to which the result takes less than a second; the supervisor waits no longer than 5 s."""


def result(folder: Path) -> None:
    """Write ``result.json`` and ``junit.xml``; of a long journal they come with the report."""
    if _size(folder, places.JOURNAL) <= _RESULT_AT_ONCE:
        _derive(folder)


def report(folder: Path, *, apart: bool = False) -> None:
    """Write ``report.html``: here when that is quick, else by a process that nobody waits for; ``apart``: by that."""
    if not apart and _size(folder, places.JOURNAL, places.TRACE) <= _AT_ONCE:
        with contextlib.suppress(Exception):
            importlib.import_module(_REPORT).write(folder)
        return
    code = f"from {__name__} import main; main()"
    with contextlib.suppress(OSError):
        spawn([*python(code, bare=True), str(folder)], descriptors={}, new_session=True)


def main() -> None:
    """Write what is left to be written of the run folder named on the command line: for a process of its own."""
    os.nice(10)
    folder = Path(sys.argv[1])
    if not (folder / places.JUNIT).exists():
        _derive(folder)
    importlib.import_module(_REPORT).write(folder)


def _derive(folder: Path) -> None:
    from bench.run.summary import derive

    with contextlib.suppress(BenchError, OSError, ValueError, ArithmeticError):
        derive(folder)


def _size(folder: Path, *names: str) -> int:
    size = 0
    for name in names:
        with contextlib.suppress(OSError):
            size += (folder / name).stat().st_size
    return size
