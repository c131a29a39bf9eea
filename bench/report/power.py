"""Energy, charge and currents of a run, and what each phase cost in energy and bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.report.course import phases, span
from bench.report.facts import Facts, Step
from bench.report.text import e, table_of
from bench.report.traffic import LaneFacts, PhaseTraffic
from bench.report.values import scaled, seconds, size, table, text
from bench.run.sample_statistics import Statistics
from bench.run.samples import Samples

_MOST: Final = 400
"""Phases that are shown; of more, those that took most."""


def power(facts: Facts) -> str:
    """Return energy, charge and currents of the run; '' without samples."""
    return "".join(_supply(samples, facts) for samples in facts.power if samples.times)


def _supply(samples: Samples, facts: Facts) -> str:
    whole = facts.whole[samples.name]
    numbers = [
        (f"{whole.energy:.4g} J", f"energy, {whole.energy_mwh:.4g} mWh"),
        (scaled(whole.amps_max, "A"), _when(whole, facts)),
        (scaled(whole.amps_mean, "A"), "mean current"),
        (f"{whole.charge / 3.6:.4g} mAh", "charge"),
        (_range(whole), "voltage"),
    ]
    shown = "".join(f"<div><dd>{e(value)}</dd><dt>{e(what)}</dt></div>" for value, what in numbers)
    every = f"sampled every {seconds(samples.interval)}" if samples.interval else "sampled"
    off = f", output off for {seconds(whole.off)}" if whole.off else ""
    gaps = f", {whole.gaps} measurement{'s' if whole.gaps > 1 else ''} failed" if whole.gaps else ""
    rough = f" What the current does between two samples, up to {seconds(whole.longest)} apart, is not seen."
    note = (
        f"{whole.samples} samples, {every}, over {seconds(whole.covered)} of {seconds(facts.duration)}{off}{gaps}."
        f"{rough if whole.longest else ''}"
    )
    return f'<h3>{supply_name(samples)}</h3><dl class="numbers">{shown}</dl><p class="soft">{note}</p>'


def supply_name(samples: Samples) -> str:
    """Return the name of a supply with its identity and channel."""
    identity = text(table(samples.header.get("supply")).get("identity"), 100)
    channel = samples.header.get("channel")
    of = f", channel {e(channel, 20)}" if channel is not None else ""
    return e(samples.name, 60) + (f" ({e(identity)})" if identity else "") + of


def _when(figures: Statistics, facts: Facts) -> str:
    if figures.amps_max_at is None:
        return "highest sample"
    at = figures.amps_max_at - facts.origin
    return f"highest sample, at +{seconds(at)}" if 0 <= at <= facts.duration else "highest sample"


def _range(figures: Statistics) -> str:
    if figures.volts_min is None or figures.volts_max is None:
        return "–"
    return f"{figures.volts_min:.3f} to {figures.volts_max:.3f} V"


# --- by phase -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Cost:
    """What one phase cost."""

    name: str
    took: float | None
    figures: list[Statistics]
    """One a supply."""
    traffic: PhaseTraffic | None


def costs(facts: Facts) -> list[Cost]:
    """Return what each phase cost, in order; the last one is what no phase is charged with, where there is any."""
    steps = phases(facts)
    traffic = _traffic_of(steps, facts)
    found = []
    for step, of in zip(steps, traffic, strict=True):
        start, end = span(step, facts)
        figures = [samples.statistics(start + facts.origin, end + facts.origin) for samples in facts.power]
        found.append(Cost(step.name, end - start, figures, of))
    if facts.trace.outside.lanes:
        found.append(Cost("outside of all steps", None, [], facts.trace.outside))
    return found


def _traffic_of(steps: list[Step], facts: Facts) -> list[PhaseTraffic | None]:
    """Find the traffic of each phase: the n-th of a path in the trace is the n-th of that path in the journal."""
    seen: dict[str, list[PhaseTraffic]] = {}
    for phase in facts.trace.phases:
        seen.setdefault(text(phase.path, 500), []).append(phase)
    counts: dict[str, int] = {}
    found: list[PhaseTraffic | None] = []
    for step in steps:
        at = counts.get(step.path, 0)
        counts[step.path] = at + 1
        of = seen.get(step.path, [])
        found.append(of[at] if at < len(of) else None)
    return found


_Column = tuple[str, Callable[[Cost], str]]
"""Its words, and the HTML of a cell."""


def _columns(facts: Facts, found: list[Cost]) -> list[_Column]:
    """Return the columns that say something of this run."""
    columns: list[_Column] = [("Took", lambda cost: seconds(cost.took))]
    for index, samples in enumerate(facts.power):
        of = f" {text(samples.name, 30)}" if len(facts.power) > 1 else ""

        def figures(cost: Cost, index: int = index) -> Statistics | None:
            return cost.figures[index] if len(cost.figures) > index else None

        def energy(cost: Cost, of: Callable[[Cost], Statistics | None] = figures) -> str:
            found = of(cost)
            if found is None:
                return ""
            return scaled(found.energy, "J") if found.covered else "" if found.samples else "<small>no sample</small>"

        def charge(cost: Cost, of: Callable[[Cost], Statistics | None] = figures) -> str:
            found = of(cost)
            return scaled(found.charge / 3600, "Ah") if found is not None and found.covered else ""

        def mean(cost: Cost, of: Callable[[Cost], Statistics | None] = figures) -> str:
            found = of(cost)
            return scaled(found.amps_mean, "A") if found is not None and found.covered else ""

        def peak(cost: Cost, of: Callable[[Cost], Statistics | None] = figures) -> str:
            found = of(cost)
            return scaled(found.amps_max, "A") if found is not None and found.amps_max is not None else ""

        columns += [
            (f"Energy{of}", energy), (f"Charge{of}", charge), (f"Mean current{of}", mean),
            (f"Highest sample{of}", peak),
        ]  # fmt: skip
    for kind, head in (("ip", "IP"), ("esipa", "ESipa"), ("es9plus", "ES9+"), ("apdu", "Card")):
        if any(cost.traffic is not None and cost.traffic.of(kind).octets for cost in found):
            columns.append((head, lambda cost, kind=kind: _octets(cost.traffic, kind)))  # type: ignore[misc]
    return columns


def _octets(traffic: PhaseTraffic | None, kind: str) -> str:
    if traffic is None:
        return ""
    lane: LaneFacts = traffic.of(kind)
    if not lane.sent and not lane.received:
        return ""
    if kind == "apdu":
        return f"{lane.sent} APDUs<br><small>{size(lane.octets)}</small>"
    return f"{size(lane.octets)}<br><small>↑ {size(lane.bytes_sent)} ↓ {size(lane.bytes_received)}</small>"


def by_phase(facts: Facts) -> str:
    """Return energy and bytes of each phase as a table; '' when neither was recorded."""
    found = costs(facts)
    columns = _columns(facts, found)
    if not found or len(columns) < 2:
        return ""
    left = ""
    if len(found) > _MOST:
        longest = sorted(found, key=lambda cost: cost.took or 0.0, reverse=True)[:_MOST]
        kept = {id(cost) for cost in longest}
        left = f'<p class="soft">The {_MOST} longest of {len(found)} phases.</p>'
        found = [cost for cost in found if id(cost) in kept]
    rows = []
    for cost in found:
        filled = [(head, of(cost)) for head, of in columns]
        if not any(shown for _, shown in filled):
            continue
        cells = "".join(
            f'<td class="n" data-h="{e(head)}">{shown}</td>' if shown else "<td></td>" for head, shown in filled
        )
        rows.append(f'<tr><th scope="row">{e(cost.name, 100)}</th>{cells}</tr>')
    heads = [("Phase", ""), *((head, "n") for head, _ in columns)]
    return f"{table_of('Energy and bytes of each phase', heads, rows, kind='stack phases')}{left}{_note(facts)}"


def _note(facts: Facts) -> str:
    kinds = {name.partition(":")[0] for name in facts.trace.lanes}
    told = []
    if "ip" in kinds:
        told.append("IP: whole packets between IPA and eIM, with all headers")
    if "esipa" in kinds:
        told.append("ESipa: bodies of the messages, without HTTP or CoAP, TLS and IP")
    if "es9plus" in kinds:
        told.append("ES9+: bodies; where an eIM is between, they go from it to the SM-DP+ and not over the radio")
    return f'<p class="soft">{". ".join(told)}. ↑ is what the bench or its IPA sent.</p>' if told else ""
