"""Disk quota: traces and samples of runs that passed go first, failures never, journals and results always stay."""

from __future__ import annotations

import contextlib
from pathlib import Path

from bench.run import folder as places
from bench.run.reader import only
from bench.soak import plan as plans
from bench.soak.book import BOOK

_HEAVY = (f"{places.TRACE}*", "trace-*.pcapng*", "power-*.f32", "report.html", "*.log")


def runs_of(soak: Path) -> list[tuple[str, bool]]:
    """Return the ended runs of a soak in their order, and whether each had nothing but passes."""
    clean: dict[str, bool] = {}
    ended: list[str] = []
    for event in only(soak / BOOK, "cycle", "interrupted", "bench-error", "segment-end"):
        data = event["data"]
        run = str(data.get("run", ""))
        if event["type"] == "cycle":
            good = data.get("verdict") == "pass" and bool(data.get("baseline", True))
            clean[run] = clean.get(run, True) and good
        elif event["type"] in ("interrupted", "bench-error") and run:
            clean[run] = False
        elif event["type"] == "segment-end" and run:
            ended.append(run)
    return [(run, clean.get(run, False)) for run in ended]


def keep(soak: Path, runs: Path, policy: plans.Keep) -> int:
    """Apply the keep policy where the quota is exceeded; return the bytes freed.

    Of the runs that passed, ``passes`` spread over the soak keep everything; of the others heavy files go, the oldest
    first, until the quota is met.
    """
    quota = plans.size(policy.quota)
    if quota is None:
        return 0
    known = runs_of(soak)
    sizes = {run: _size(runs / run) for run, _ in known}
    over = sum(sizes.values()) - quota
    passed = [run for run, good in known if good]
    kept = set(passed[:: max(1, -(-len(passed) // policy.passes))]) if policy.passes else set()
    freed = 0
    for run in passed:
        if over - freed <= 0:
            break
        if run not in kept:
            freed += _lighten(runs / run)
    return freed


def _size(run: Path) -> int:
    total = 0
    with contextlib.suppress(OSError):
        for file in run.iterdir():
            with contextlib.suppress(OSError):
                total += file.lstat().st_size
    return total


def _lighten(run: Path) -> int:
    freed = 0
    for pattern in _HEAVY:
        for file in run.glob(pattern):
            with contextlib.suppress(OSError):
                size = file.lstat().st_size
                file.unlink()
                freed += size
    return freed
