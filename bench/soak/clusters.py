"""Failures gathered by signature; what those of one cluster have in common, and the nearest run that passed. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.soak.index import Cycle

_SURE: Final = 0.01
"""Chance that a condition told is none, over all that were looked at."""
_COVERS: Final = 0.9
"""Share of a cluster that a condition must hold for."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the runs of a cluster have in common and those that passed have not."""

    name: str
    text: str
    """Such as ``hold = 5`` or ``rsrp <= -108``."""
    share: float
    """Of the cluster."""
    passed: float
    """Of the cycles that passed."""
    chance: float
    """Probability that it is chance, corrected for all conditions looked at."""


@dataclass
class Cluster:
    """Failures of one signature."""

    signature: str
    context: str
    cycles: list[Cycle] = field(default_factory=list)
    events: int = 0
    """Runs of them that follow each other count once."""
    conditions: list[Condition] = field(default_factory=list)
    nearest: Cycle | None = None
    """The passed cycle most like the first one."""


def clusters(cycles: Sequence[Cycle]) -> list[Cluster]:
    """Return the failures by signature, the most frequent first. ``cycles``: all, in their order."""
    found: dict[str, Cluster] = {}
    last: dict[str, str] = {}
    for cycle in cycles:
        if not cycle.counts:
            continue
        place = f"{cycle.soak}/{cycle.station}"
        if cycle.failed:
            signature = cycle.signature or "?"
            cluster = found.setdefault(signature, Cluster(signature, str(cycle.data.get("context", ""))))
            cluster.cycles.append(cycle)
            cluster.events += last.get(place) != signature
        last[place] = (cycle.signature or "?") if cycle.failed else ""
    passed = [cycle for cycle in cycles if cycle.counts and not cycle.failed]
    traits = [attributes(cycle) for cycle in passed]
    for cluster in found.values():
        cluster.conditions = conditions([attributes(cycle) for cycle in cluster.cycles], traits)
        cluster.nearest = nearest(cluster.cycles[0], passed)
    return sorted(found.values(), key=lambda item: -len(item.cycles))


def attributes(cycle: Cycle) -> dict[str, Any]:
    """Return what may be a condition: parameters, place, card, firmware, identities, the radio where known."""
    data = cycle.data
    found: dict[str, Any] = {name: value for name, value in data.get("parameters", {}).items() if _plain(value)}
    found.update({"station": cycle.station, "recipe": cycle.label})
    found.update({str(key): str(value) for key, value in data.get("identities", {}).items()})
    for name, value in data.get("figures", {}).items():
        if name.rpartition(":")[2] in ("rsrp", "rsrq", "fplmn_entries", "temperature", "volts"):
            found.setdefault(name.rpartition(":")[2], value)
    found.update({f"{key}": value for key, value in data.get("notes", {}).items() if len(str(value)) < 40})
    return found


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool) and not (isinstance(value, float) and not math.isfinite(value))


def conditions(failed: Sequence[Mapping[str, Any]], passed: Sequence[Mapping[str, Any]]) -> list[Condition]:
    """Return what holds for the failed and seldom for the passed, the surest first.

    A value that nearly all share, or for numbers a bound that nearly all keep. Each is told only where chance would
    give it in less than one of a hundred cases, all that were looked at taken together.
    """
    if not failed or not passed:
        return []
    names = sorted({name for item in failed for name in item})
    found: list[Condition] = []
    for name in names:
        values = [item[name] for item in failed if name in item]
        others = [item[name] for item in passed if name in item]
        for text, holds in _candidates(name, values, others):
            inside = sum(holds(value) for value in values)
            outside = sum(holds(value) for value in others)
            share = inside / len(failed)
            # Half a cycle more, so that what no passed cycle shows is not taken for impossible.
            base = (outside + 0.5) / (len(passed) + 1)
            chance = min(1.0, _tail(inside, len(failed), base) * 3 * len(names))
            if share >= _COVERS and chance <= _SURE:
                found.append(Condition(name, text, share, outside / len(passed), chance))
    best: dict[str, Condition] = {}
    for item in sorted(found, key=lambda item: (item.chance, item.passed)):
        best.setdefault(item.name, item)
    return list(best.values())


def _candidates(name: str, values: Sequence[Any], others: Sequence[Any]) -> Iterable[tuple[str, Any]]:
    if not values:
        return
    counts: dict[Any, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    common = max(counts, key=lambda value: counts[value])
    yield f"{name} = {common}", lambda value: value == common
    numbers = [value for value in (*values, *others) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values) + len(others) or len(set(numbers)) < 3:
        return
    ordered = sorted(values)
    spare = int(len(ordered) * (1 - _COVERS))
    high, low = ordered[len(ordered) - 1 - spare], ordered[spare]
    yield f"{name} <= {high:g}", lambda value: value <= high
    yield f"{name} >= {low:g}", lambda value: value >= low


def _tail(count: int, total: int, rate: float) -> float:
    """Return the chance of ``count`` or more of ``total`` at ``rate``."""
    from bench.report.statistics import incomplete_beta

    return 1.0 if count == 0 else incomplete_beta(count, total - count + 1, rate)


def nearest(cycle: Cycle, passed: Sequence[Cycle]) -> Cycle | None:
    """Return the passed cycle with the fewest differing attributes, of equals the nearest in the sequence."""
    mine = attributes(cycle)

    def distance(other: Cycle) -> tuple[int, int]:
        theirs = attributes(other)
        differing = sum(mine.get(name) != theirs.get(name) for name in {*mine, *theirs})
        return differing, abs(other.cycle - cycle.cycle)

    near = sorted(passed, key=lambda other: (other.station != cycle.station, abs(other.cycle - cycle.cycle)))[:500]
    return min(near, key=distance, default=None)
