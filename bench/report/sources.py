"""Profiles before and after, and every result with who says it: card, modem, eIM, SM-DP+, network, supply."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bench.report.card import Listing, Profile
from bench.report.facts import Facts
from bench.report.text import e, table_of
from bench.report.values import clock_time, quantity, seconds, table, text
from bench.run import events as kinds

_MOST: Final = 120


def profiles(facts: Facts) -> str:
    """Return the profiles of the card before and after the run; '' when nobody listed them."""
    before, after = facts.trace.card.before, facts.trace.card.after
    if before is None or after is None:
        return ""
    rows = []
    old = {profile.iccid: profile for profile in before.profiles}
    new = {profile.iccid: profile for profile in after.profiles}
    for iccid in dict.fromkeys([*old, *new]):
        known = new.get(iccid) or old[iccid]
        rows.append(
            f'<tr><th scope="row" class="mono">{e(iccid, 40) or "no ICCID"}</th>'
            f'<td data-h="name">{e(known.name, 100)}</td>'
            f'<td data-h="provider">{e(", ".join(each for each in (known.provider, known.kind) if each), 150)}</td>'
            f'<td data-h="before">{_state(old.get(iccid))}</td><td data-h="after">{_state(new.get(iccid))}</td></tr>'
        )
    heads = [("ICCID", ""), ("Name", ""), ("Provider", ""), ("Before", ""), ("After", "")]
    return (
        f"{table_of('Profiles on the card before and after', heads, rows, kind='stack')}"
        f'<p class="soft">Before: {_when(before, facts)}. After: {_when(after, facts)}{_since(after)}.</p>'
    )


def _state(profile: Profile | None) -> str:
    if profile is None:
        return "○ not on the card"
    if profile.enabled is None:
        return "? not told"
    return "<b>● enabled</b>" if profile.enabled else "■ disabled"


def _when(listing: Listing, facts: Facts) -> str:
    at = facts.time.of_wall(listing.time_ns)
    when = f"at +{seconds(max(0.0, at))}" if at is not None else f"at {clock_time(listing.time_ns)} UTC"
    return f'the card\'s own list {when} (<span class="mono">{e(listing.lane, 60)}</span>)'


def _since(listing: Listing) -> str:
    told = f", then its results: {e(', '.join(listing.since))}" if listing.since else ""
    if listing.uncertain:
        told += f'; <b class="v-inconclusive">? after {e(listing.uncertain)} it was not listed again</b>'
    return told


def sources(facts: Facts) -> str:
    """Return who says what, and on which lane the bench saw it; '' when nobody said anything."""
    rows = [*_from_trace(facts), *_from_journal(facts)]
    heads = [("What", ""), ("Value", ""), ("Who says so", ""), ("Seen by the bench on", ""), ("When", "n")]
    note = (
        "Each result stands for who says it: what card, modem, eIM and SM-DP+ agree on is worth more than one of them "
        "alone. Values are the last ones said."
    )
    more = f'<p class="soft">and {len(rows) - _MOST} more, in the trace</p>' if len(rows) > _MOST else ""
    made = table_of("Results and their sources", heads, rows[:_MOST], kind="stack")
    return f'{made}{more}<p class="soft">{note}</p>' if rows else ""


def _from_trace(facts: Facts) -> Iterable[str]:
    for claim in facts.trace.claims:
        at = facts.time.of_wall(claim.last_ns)
        times = f" <small>×{claim.count}</small>" if claim.count > 1 else ""
        before = "".join(f"<small>{e(value, 150)} →</small> " for value in claim.earlier)
        yield _row(claim.what, before + e(claim.value, 300) + times, claim.source, f"lane {claim.lane}", at)


def _from_journal(facts: Facts) -> Iterable[str]:
    seen: dict[tuple[str, str], str] = {}
    instruments = set(table(facts.manifest.get("instruments")))
    for event in facts.of(kinds.IDENTITY, kinds.OBSERVATION, kinds.MEASUREMENT):
        data = event["data"]
        source = text(data.get("source"), 100)
        if not source or (event["type"] == kinds.IDENTITY and text(data.get("name"), 60) in instruments):
            continue
        value = (
            _told(data)
            if event["type"] == kinds.OBSERVATION
            else quantity(data.get("value"), text(data.get("unit"), 40))
        )
        name = text(data.get("name"), 100)
        by = f"journal, step {text(event['step'], 100)}" if event["step"] else "journal"
        seen[name, source] = _row(name, e(value, 300), source, by, event["at"])
    yield from seen.values()
    for samples in facts.power:
        if samples.times:
            whole = facts.whole[samples.name]
            yield _row("energy", f"{whole.energy:.4g} J", "supply", f"power samples of {samples.name}", None)


def _told(data: dict[str, object]) -> str:
    values = ", ".join(f"{key} {text(value, 60)}" for key, value in table(data.get("values")).items())
    return text(data.get("text"), 200) or values


def _row(what: str, value: str, source: str, by: str, at: float | None) -> str:
    when = f"+{seconds(max(0.0, at))}" if at is not None else ""
    return (
        f'<tr><th scope="row">{e(what, 200)}</th><td>{value}</td><td data-h="says">{e(source, 100)}</td>'
        f'<td class="soft" data-h="on">{e(by, 150)}</td><td class="n" data-h="at">{when}</td></tr>'
    )
