"""Measurements against their limits: of each name the least, the median, the highest, and how near it came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from bench.report.facts import Facts
from bench.report.steps import word
from bench.report.text import e, table_of
from bench.report.values import number, quantity, text
from bench.run import events as kinds
from bench.run.verdict import parse, worst

_MOST: Final = 300


@dataclass(slots=True)
class Limited:
    """All measurements of one name with the same limits."""

    name: str
    unit: str
    lower: float | None
    upper: float | None
    values: list[tuple[float, str]] = field(default_factory=list)
    """Each value with the step it was measured in."""
    missing: int = 0
    """That could not be measured."""
    verdicts: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)


def limited(facts: Facts) -> list[Limited]:
    """Return what was measured against limits, in the order of first measurement."""
    found: dict[tuple[Any, ...], Limited] = {}
    for event in facts.of(kinds.MEASUREMENT):
        data = event["data"]
        lower, upper = number(data.get("lower")), number(data.get("upper"))
        if lower is None and upper is None:
            continue
        name, unit = text(data.get("name"), 200), text(data.get("unit"), 40)
        made = found.setdefault((name, unit, lower, upper), Limited(name, unit, lower, upper))
        value = number(data.get("value"))
        if value is None:
            made.missing += 1
        else:
            made.values.append((value, text(event["step"], 200)))
        made.verdicts.append(text(data.get("verdict"), 40))
        source = text(data.get("source"), 60)
        if source and source not in made.sources:
            made.sources.append(source)
        if event["step"] not in made.steps and len(made.steps) < 4:
            made.steps.append(text(event["step"], 200))
    return list(found.values())


def limits(facts: Facts) -> str:
    """Return the table; '' when nothing had a limit."""
    found = limited(facts)
    rows = [_row(made) for made in found[:_MOST]]
    heads = [
        ("Measured", ""), ("Limit", ""), ("Verdict", ""), ("Value", "n"), ("Of the limit", "margin"), ("From", ""),
    ]  # fmt: skip
    more = f'<p class="soft">and {len(found) - _MOST} more, in the journal</p>' if len(found) > _MOST else ""
    return table_of("Measurements against limits", heads, rows, kind="stack limits") + more if rows else ""


def _row(made: Limited) -> str:
    bounds = [
        f"{sign} {quantity(bound, made.unit)}"
        for sign, bound in (("≥", made.lower), ("≤", made.upper))
        if bound is not None
    ]
    verdicts = [verdict for each in made.verdicts if (verdict := parse(each)) is not None]
    state = worst(verdicts).value if len(verdicts) == len(made.verdicts) else made.verdicts[0]
    failed = sum(each != "pass" for each in made.verdicts)
    count = f" <small>{failed} of {len(made.verdicts)}</small>" if failed and len(made.verdicts) > 1 else ""
    steps = ", ".join(step.replace("/", " / ") for step in made.steps)
    source = f" <small>{e(', '.join(made.sources))}</small>" if made.sources else ""
    return (
        f'<tr><th scope="row">{e(made.name, 200)}</th><td data-h="limit">{e(" and ".join(bounds))}</td>'
        f'<td>{word(state)}{count}</td><td class="n" data-h="value">{_values(made)}</td>'
        f'<td class="margin">{_margin(made)}</td><td class="soft" data-h="in">{e(steps, 300)}{source}</td></tr>'
    )


def _values(made: Limited) -> str:
    missing = f"{made.missing} not measured" if made.missing else ""
    if not made.values:
        return missing or "not measured"
    values = sorted(value for value, _ in made.values)
    if len(values) == 1:
        shown = e(quantity(values[0], made.unit))
    else:
        middle = values[len(values) // 2]
        spread = f"{quantity(values[0])} … {quantity(middle)} … {quantity(values[-1], made.unit)}"
        shown = f"{e(spread)} <small>({len(values)})</small>"
    return f"{shown}, {missing}" if missing else shown


def _margin(made: Limited) -> str:
    """Return the value nearest to a limit, or furthest beyond it, as part of the limit."""
    if not made.values:
        return ""
    shares = [value / made.upper for value, _ in made.values if made.upper]
    if made.lower is not None and made.upper is not None and made.upper > made.lower:
        wide = made.upper - made.lower
        shares = [abs(2 * (value - made.lower) / wide - 1) for value, _ in made.values]
    elif not made.upper or made.upper < 0:
        return ""
    if not shares or min(shares) < 0:
        return ""
    share = max(shares)
    width = min(100.0, 100 * share)
    kind = "v-fail" if share > 1 else "v-pass"
    return (
        f'<svg class="track {kind}" height="10" role="img" aria-label="{100 * share:.0f} percent of the limit">'
        f'<rect width="{max(width, 0.6):.1f}%" height="10" rx="3"/></svg><small>{100 * share:.0f} %</small>'
    )
