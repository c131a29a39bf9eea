"""Judges a soak whose processes were killed: what its run folders hold against the schedule and untroubled cycles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.engine.retrace import Past
from bench.run.reader import read
from bench.soak import book
from bench.soak.cycles import CYCLE_END, CYCLE_START
from bench.soak.schedule import Schedule

FIRST = ("baseline-before", "baseline-after-restore", "baseline-after-again")
"""Steps that only the first cycle of a run has, or one that does not end at its baseline."""
BASELINE = (*FIRST, "baseline-after")
ONCE = ("eim.order_", "smdpp.order", "power.cycle")
"""Calls that must not be made twice outside of the step that was in progress."""


@dataclass
class Stretch:
    """What one run did of one cycle."""

    run: str
    start: Mapping[str, Any]
    events: list[Mapping[str, Any]] = field(default_factory=list)
    end: Mapping[str, Any] | None = None


def stretches(runs: Path) -> dict[int, list[Stretch]]:
    """Return what was done of every cycle, in its order."""
    found: dict[int, list[Stretch]] = {}
    for run in sorted(runs.glob("2*")):
        now: Stretch | None = None
        for event in read(run / "journal.jsonl"):
            if event["type"] == CYCLE_START:
                now = Stretch(run.name, event["data"])
                found.setdefault(int(event["data"]["cycle"]), []).append(now)
            elif event["type"] == CYCLE_END and now is not None:
                now.end, now = event["data"], None
            elif now is not None:
                now.events.append(event)
    return found


def steps_of(events: list[Mapping[str, Any]], cycle: int) -> list[str]:
    """Return the paths of the finished steps, without the cycle's number."""
    ends = [event for event in events if event["type"] == "step-end"]
    return [str(event["step"]).replace(f"-{cycle}", "", 1) for event in ends]


def once_of(events: list[Mapping[str, Any]], cycle: int) -> Counter[tuple[str, str]]:
    """Return how often the calls that must not be made twice were made, by step."""
    return Counter(
        (str(event["step"]).replace(f"-{cycle}", "", 1), str(event["data"]["call"]))
        for event in events
        if event["type"] == "call" and str(event["data"]["call"]).startswith(ONCE)
    )


def orders_unknown(done: Mapping[int, list[Stretch]]) -> tuple[list[int], int]:
    """Return the eIM's orders that no journal has, and how many stretches were begun anew: each may have left one.

    The campaign's eIM has nobody else's orders, and counts them from 1.
    """
    known: set[int] = set()
    left = 0
    for parts in done.values():
        left += sum(before.end is None and not part.start.get("led") for before, part in pairwise(parts))
        for part in parts:
            for event in part.events:
                if event["type"] == "call" and str(event["data"]["call"]).startswith("eim.order_"):
                    fields = (event["data"].get("answer") or {}).get("fields", {})
                    known.add(int(fields.get("order_id", 0)))
    return sorted(set(range(1, max(known, default=0) + 1)) - known), left


def judged(folder: Path, runs: Path) -> dict[str, Any]:
    """Return figures, and in ``wrong`` what was lost, repeated or out of order."""
    plan, about = book.plan_of(folder), book.places.read_json(folder / book.SOAK)
    schedule = Schedule(plan, int(about["seed"]), plan.stations[0])
    done = stretches(runs)
    wrong: list[str] = []
    untroubled = {
        tuple(step for step in steps_of(parts[0].events, cycle) if not step.startswith(BASELINE)): once_of(
            parts[0].events, cycle
        )
        for cycle, parts in done.items()
        if len(parts) == 1 and parts[0].end is not None and parts[0].end["verdict"] == "pass"
    }
    figures = Counter[str]()
    verdicts: Counter[str] = Counter()
    why: Counter[str] = Counter()
    ended: list[int] = []
    for cycle, parts in sorted(done.items()):
        ends = [part for part in parts if part.end is not None]
        ended += [cycle] * len(ends)
        if any(part.start["seed"] != schedule.item(cycle).seed for part in parts):
            wrong.append(f"cycle {cycle} has another seed")
        figures["interrupted"] += len(parts) > 1 or not ends
        if not ends:
            continue
        last = ends[-1]
        assert last.end is not None
        verdicts[str(last.end["verdict"])] += 1
        why.update(_anew(parts))
        chain = parts[len(parts) - 1 - len(last.start.get("led", ())) :]
        if [part.run for part in chain[:-1]] != list(last.start.get("led", ())):
            wrong.append(f"cycle {cycle} was led through {last.start['led']}, not {[part.run for part in chain[:-1]]}")
        figures["led_back"] += len(chain) > 1
        figures["begun_again"] += len(parts) > 1 and len(chain) == 1
        wrong += _chain(cycle, chain, untroubled)
        figures["steps"] += len(steps_of([event for part in chain for event in part.events], cycle))
    unknown, left = orders_unknown(done)
    if len(unknown) > left:
        wrong.append(f"orders {unknown} of the eIM are in no journal; {left} stretches were begun anew")
    state = book.state_of(folder).stations[plan.stations[0]]
    given_up = state.next - state.finished
    missing = sorted(set(range(state.next)) - set(ended))
    if len(missing) > given_up:
        wrong.append(f"cycles {missing} are nowhere")
    if len(ended) != len(set(ended)):
        wrong.append(f"cycles ended twice: {[cycle for cycle, n in Counter(ended).items() if n > 1]}")
    if state.finished != len(ended):
        wrong.append(f"the book has {state.finished} cycles, the runs {len(ended)}")
    names = ("interrupted", "led_back", "begun_again", "steps")
    return {
        "cycles": len(ended),
        **{name: figures[name] for name in names},
        "given_up": given_up,
        "orders_unknown": len(unknown),
        "verdicts": dict(verdicts),
        "why_begun_again": dict(why),
        "wrong": wrong,
    }


def _anew(parts: list[Stretch]) -> list[str]:
    """Return why stretches of a cycle began anew although there was one before."""
    found = []
    for before, part in pairwise(parts):
        if part.start.get("led"):
            continue
        notes = [str(e["data"].get("text", "")) for e in before.events if e["type"] == "note"]
        told = next((text.partition("begun again: ")[2] for text in reversed(notes) if "begun again" in text), "")
        found.append(told[:100] or "no step had finished")
    return found


def _chain(cycle: int, chain: list[Stretch], untroubled: dict[tuple[str, ...], Counter[tuple[str, str]]]) -> list[str]:
    """Compare a cycle that was led back with those without trouble."""
    if len(chain) == 1 or not untroubled or chain[-1].end is None or chain[-1].end["verdict"] != "pass":
        return []
    kept: list[Mapping[str, Any]] = []
    in_progress = Counter[str]()
    for part in chain[:-1]:
        past = Past([part.events])
        kept += past.kept
        in_progress[past.in_progress.replace(f"-{cycle}", "", 1)] += 1
    told = steps_of([*kept, *chain[-1].events], cycle)
    steps = [step for step in told if not step.startswith(BASELINE)]
    beside = Counter(step for step in told if step.startswith(BASELINE) and not step.startswith(FIRST[1:]))
    if beside and max(beside.values()) > 1:
        return [f"cycle {cycle}: its baseline was checked twice: {beside}"]
    if tuple(steps) not in untroubled:
        nearest = max(untroubled, key=lambda item: len(set(item) & set(steps)))
        lost, more = Counter(nearest) - Counter(steps), Counter(steps) - Counter(nearest)
        return [f"cycle {cycle}: steps lost {sorted(lost)}, more {sorted(more)}, else out of order"]
    calls = sum((once_of(part.events, cycle) for part in chain), Counter[tuple[str, str]]())
    allowed = untroubled[tuple(steps)]
    return [
        f"cycle {cycle}: {call} in {step} was made {count} times, {allowed[step, call]} without trouble"
        for (step, call), count in calls.items()
        if count > allowed[step, call] * (1 + in_progress[step])
    ]
