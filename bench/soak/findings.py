"""What a soak has found, as one JSON object: rates, times, figures and clusters, from book and index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.report.statistics import Occurrences, clopper_pearson, times
from bench.run import folder as places
from bench.run.reader import last, only
from bench.soak import book as books
from bench.soak import plan as plans
from bench.soak import rules
from bench.soak.clusters import Cluster, clusters
from bench.soak.cycles import PLAN_FILE
from bench.soak.index import Cycle, Index

_BINS: Final = 10.0
"""dB of RSRP in one line of the table of registration times."""
_MOST: Final = 40


def findings(folder: Path) -> dict[str, Any]:
    """Return everything for the morning report of a soak folder. Raises BenchError.

    Times are station time in seconds, rates fractions of ``events`` in ``trials``, both of which count a
    run of equal failures once.
    """
    about = places.read_json(folder / books.SOAK)
    plan = plans.load(folder / PLAN_FILE)
    state = books.state_of(folder)
    with Index(Path(str(about["runs"]))) as index:
        index.update()
        cycles = index.cycles(f"soak={folder.name}")
    outcome = rules.outcome(plan, state)
    end = last(folder / books.BOOK, "soak-end")
    ended = end["data"] if end is not None and state.ended else {}
    seen = state.occurrences
    return {
        "soak": folder.name,
        "title": str(about.get("title", "")),
        "simulated": bool(about.get("simulated", False)),
        "started": str(about.get("started", "")),
        "ended": end["wall"] if end is not None and state.ended else "",
        "seed": about.get("seed"),
        "verdict": str(ended.get("verdict") or outcome.verdict),
        "why": outcome.why,
        "stopped": state.stopped or state.ended,
        "active": round(state.active, 1),
        "cycles": sum(item.finished for item in state.stations.values()),
        "counted": seen.cycles,
        "failures": seen.failures,
        "trials": seen.trials,
        "failure_events": seen.events,
        "longest_run_of_failures": seen.longest,
        "rate": outcome.rate,
        "interval": [outcome.interval.lower, outcome.interval.upper],
        "decision": outcome.decision.value if outcome.decision is not None else None,
        "off_baseline": sum(item.off_baseline for item in state.stations.values()),
        "bench_errors": sum(item.bench_errors_total for item in state.stations.values()),
        "interrupted": sum(item.interrupted for item in state.stations.values()),
        "set_aside": [_aside(cycle, item) for cycle in cycles for item in cycle.data.get("set_aside", ())],
        "resumes": state.resumes,
        "energy_J": round(state.energy, 3),
        "stations": {name: _station(item) for name, item in state.stations.items()},
        "rates": _rates(cycles),
        "times": _times(cycles),
        "figures": _figures(cycles),
        "registration": _registration(cycles),
        "rollbacks": sum(cycle.data.get("rollbacks", 0) for cycle in cycles),
        "fallbacks": sum(cycle.data.get("fallbacks", 0) for cycle in cycles),
        "clusters": [_cluster(item) for item in clusters(cycles)],
        "troubles": [_trouble(event) for event in only(folder / books.BOOK, *_TROUBLES)][-200:],
    }


_TROUBLES: Final = ("bench-error", "quarantine", "interrupted", "station-end", "stop", "resume", "control", "alert")


def _trouble(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event["data"]
    told = data.get("why") or data.get("error") or data.get("by") or data.get("run") or ""
    return {"wall": event["wall"], "type": event["type"], "station": data.get("station", ""), "told": str(told)}


def _aside(cycle: Cycle, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a failure right after an interruption: its cycle was begun again, and counts by what it did then."""
    return {"cycle": _name(cycle), "then": cycle.verdict, **item}


def _station(item: books.StationState) -> dict[str, Any]:
    return {
        "cycles": item.finished,
        "verdicts": item.verdicts,
        "off_baseline": item.off_baseline,
        "bench_errors": item.bench_errors_total,
        "interrupted": item.interrupted,
        "set_aside": item.set_aside,
        "used": item.used,
        "sample": item.sample,
        "ended": (item.quarantined and f"quarantined: {item.quarantined}") or item.ended,
    }


def _rates(cycles: Sequence[Cycle]) -> list[dict[str, Any]]:
    """Return the failure rate by recipe, station, card, firmware and each parameter that was varied."""
    kept = [cycle for cycle in cycles if cycle.counts]
    names = sorted({name for cycle in kept for name in cycle.data.get("parameters", {})})
    ways: list[tuple[str, Callable[[Cycle], Any]]] = [
        ("recipe", lambda cycle: cycle.label),
        ("station", lambda cycle: cycle.station),
        ("card", lambda cycle: cycle.sample),
        ("firmware", lambda cycle: cycle.firmware),
    ]
    ways += [(name, lambda cycle, name=name: cycle.data.get("parameters", {}).get(name)) for name in names]  # type: ignore[misc]
    found = []
    for way, value_of in ways:
        groups: dict[str, list[Cycle]] = {}
        for cycle in kept:
            value = value_of(cycle)
            if value not in (None, ""):
                groups.setdefault(str(value), []).append(cycle)
        if len(groups) > _MOST or (len(groups) < 2 and way not in ("recipe", "station")):
            continue
        found += [{"by": way, "value": value, **_rate(group)} for value, group in sorted(groups.items())]
    return found


def _rate(cycles: Iterable[Cycle]) -> dict[str, Any]:
    seen = Occurrences()
    for cycle in cycles:
        seen.add((cycle.soak, cycle.station), (cycle.signature or "?") if cycle.failed else "")
    interval = clopper_pearson(seen.events, seen.trials)
    return {
        "cycles": seen.cycles,
        "failures": seen.failures,
        "events": seen.events,
        "trials": seen.trials,
        "lower": interval.lower,
        "upper": interval.upper,
    }


def _times(cycles: Sequence[Cycle]) -> list[dict[str, Any]]:
    """Return p50, p95, maximum and trend of the whole cycle and of each phase, of passed cycles by recipe."""
    found = []
    for label in sorted({cycle.label for cycle in cycles}):
        kept = [cycle for cycle in cycles if cycle.label == label and cycle.verdict == "pass"]
        series: dict[str, list[float]] = {"cycle": [cycle.elapsed for cycle in kept]}
        for cycle in kept:
            for phase, value in cycle.data.get("phases", {}).items():
                series.setdefault(phase, []).append(float(value))
        for phase, values in list(series.items())[:_MOST]:
            summary = times(values)
            if summary is not None:
                found.append({"recipe": label, "phase": phase, **_summary(summary)})
    return found


def _summary(summary: Any) -> dict[str, Any]:
    return {
        "count": summary.count,
        "p50": summary.p50,
        "p95": summary.p95,
        "max": summary.maximum,
        "trend": summary.trend,
        "drifts": summary.drifts,
    }


def _figures(cycles: Sequence[Cycle]) -> list[dict[str, Any]]:
    """Return bytes a cycle, poll latency, growth of EF.FPLMN and whatever else was measured."""
    series: dict[str, list[float]] = {}
    for cycle in cycles:
        if not cycle.counts:
            continue
        used = cycle.data.get("used", {})
        series.setdefault("bytes of a cycle", []).append(float(used.get("bytes", 0)))
        for name, value in cycle.data.get("figures", {}).items():
            series.setdefault(name, []).append(float(value))
    found = []
    for name, values in sorted(series.items())[: 2 * _MOST]:
        summary = times(values)
        if summary is not None:
            found.append({"name": name, **_summary(summary)})
    return found


def _registration(cycles: Sequence[Cycle]) -> list[dict[str, Any]]:
    """Return the time to register against RSRP, in bins."""
    bins: dict[float, list[float]] = {}
    for cycle in cycles:
        figures = cycle.data.get("figures", {})
        for name, value in figures.items():
            step, _, what = name.rpartition(":")
            rsrp = figures.get(f"{step}:rsrp")
            if what == "time_to_register" and rsrp is not None:
                bins.setdefault(rsrp // _BINS * _BINS, []).append(float(value))
    found = []
    for low, values in sorted(bins.items()):
        summary = times(values)
        if summary is not None:
            found.append({"rsrp_from": low, "rsrp_to": low + _BINS, **_summary(summary)})
    return found


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "signature": cluster.signature,
        "context": cluster.context,
        "failures": len(cluster.cycles),
        "events": cluster.events,
        "first": _name(cluster.cycles[0]),
        "last": _name(cluster.cycles[-1]),
        "runs": list(dict.fromkeys(cycle.run for cycle in cluster.cycles))[:10],
        "reason": str(cluster.cycles[0].data.get("reason", "")),
        "conditions": [
            {"text": item.text, "share": item.share, "passed": item.passed, "chance": item.chance}
            for item in cluster.conditions
        ],
        "nearest": _name(cluster.nearest) if cluster.nearest is not None else None,
        "nearest_run": cluster.nearest.run if cluster.nearest is not None else None,
    }


def _name(cycle: Cycle) -> str:
    return f"{cycle.station} #{cycle.cycle} in {cycle.run}"
