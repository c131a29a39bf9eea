"""What a plan will use and how long it takes, said before it starts."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.engine.recipe import load
from bench.soak import plan as plans
from bench.soak.plan import USES, Part, Plan
from bench.soak.rules import sequential_test
from bench.soak.schedule import Schedule

_BY_EFFECT: Final[Mapping[str, Mapping[str, float]]] = {
    "consumes-profile": {"downloads": 1},
    "switches-profile": {"enables": 2, "attaches": 2},
    "cuts-power-during-write": {"power_cuts": 1},
}
"""What a recipe with an effect uses where its plan does not say."""
_UNKNOWN: Final = 60.0
"""Seconds a cycle is taken for where nothing is known."""
_LOOKED_AT: Final = 2000


@dataclass
class Estimate:
    """Of one station."""

    station: str
    cycles: int | None
    """None where only time ends it and nothing is known of how long a cycle takes."""
    seconds: float | None
    by_label: dict[str, int] = field(default_factory=dict)
    uses: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def uses_of(part: Part) -> dict[str, float]:
    """Return what one cycle of an entry uses at most: as its plan says, else by the effects of its recipe."""
    found: dict[str, float] = {}
    recipe = load(part.recipe)
    for effect in recipe.effects:
        found.update(_BY_EFFECT.get(effect, {}))
    needs = () if recipe.needs is None else recipe.needs
    if "power" in needs:
        found.setdefault("power_cuts", 1)
    if "modem" in needs:
        found.setdefault("attaches", 1)
    return {**found, **{name: float(value) for name, value in part.uses.items()}}


def estimate(
    plan: Plan,
    seed: int,
    station: str,
    *,
    now: datetime.datetime,
    known: Mapping[str, float] | None = None,
    codes: int = 0,
) -> Estimate:
    """Return what a station will do. ``known``: measured seconds of a cycle by label; ``codes``: in the pool."""
    schedule = Schedule(plan, seed, station)
    per_label = {
        part.label: (known or {}).get(part.label) or plans.seconds(part.expect) or _UNKNOWN for part in plan.recipes
    }
    pause = plans.seconds(plan.pause) or 0.0
    limit = _limit(plan, now)
    found = Estimate(station, 0, 0.0)
    uses = {part.label: uses_of(part) for part in plan.recipes}
    count, total = 0, 0.0
    for item in schedule:
        if limit is not None and total >= limit:
            break
        if count >= _LOOKED_AT:  # the rest is taken to be as these
            whole = schedule.length
            scale = whole / count if whole is not None else 1.0
            if limit is not None:
                scale = min(scale, limit / total) if whole is not None else limit / total
            return _scaled(found, count, total, scale, plan, codes)
        count += 1
        total += per_label[item.label] + pause
        found.by_label[item.label] = found.by_label.get(item.label, 0) + 1
        for name, value in uses[item.label].items():
            found.uses[name] = found.uses.get(name, 0.0) + value
    return _scaled(found, count, total, 1.0, plan, codes)


def _limit(plan: Plan, now: datetime.datetime) -> float | None:
    until = plans.deadline(plan.deadline, now)
    limits = [plans.seconds(plan.duration), (until - now).total_seconds() if until is not None else None]
    return min((item for item in limits if item is not None), default=None)


def _scaled(found: Estimate, count: int, total: float, scale: float, plan: Plan, codes: int) -> Estimate:
    found.cycles = round(count * scale)
    found.seconds = total * scale
    found.by_label = {name: round(value * scale) for name, value in found.by_label.items()}
    found.uses = {name: round(value * scale, 1) for name, value in found.uses.items()}
    found.warnings = _warnings(found, plan, codes)
    return found


def _warnings(found: Estimate, plan: Plan, codes: int) -> list[str]:
    told: list[str] = []
    cycles = found.cycles or 0
    for name in USES:
        most = getattr(plan.budgets, name)
        most = plans.size(most) if isinstance(most, str) else most
        if most is not None and found.uses.get(name, 0) > most:
            share = most / found.uses[name]
            told.append(f"its budget of {most:g} {name.replace('_', ' ')} ends after about {cycles * share:.0f} cycles")
    if plan.codes is not None:
        needed = sum(
            found.by_label.get(part.label, 0)
            for part in plan.recipes
            if any(item.name == plan.codes.parameter for item in load(part.recipe).parameters)
        )
        if needed > codes:
            told.append(f"{needed} activation codes are needed, the pool has {codes}")
    test = sequential_test(plan)
    if test is not None and cycles < test.fewest():
        told.append(f"{cycles} cycles cannot prove the target rate: {test.fewest()} without a failure are the fewest")
    if cycles < plan.stop.observations:
        told.append(f"a pass needs {plan.stop.observations} cycles, the plan has {cycles}")
    return told


def summary(estimates: Sequence[Estimate]) -> list[str]:
    """Return it in lines for a person."""
    lines: list[str] = []
    for item in estimates:
        hours = (item.seconds or 0.0) / 3600
        parts = ", ".join(f"{count} {label}" for label, count in item.by_label.items())
        lines.append(f"station {item.station}: about {item.cycles} cycles in {hours:.1f} h of station time ({parts})")
        used = ", ".join(f"{count:g} {name.replace('_', ' ')}" for name, count in sorted(item.uses.items()))
        if used:
            lines.append(f"  uses at most {used}")
        lines += [f"  warning: {text}" for text in item.warnings]
    return lines
