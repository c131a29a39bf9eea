"""Stop rules: whether a soak goes on after a cycle, and what it has shown in the end. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.report.statistics import Decision, Interval, Sprt, clopper_pearson
from bench.soak.book import State
from bench.soak.plan import Budgets, Plan, seconds, size


def sequential_test(plan: Plan) -> Sprt | None:
    """Return the sequential test of a plan, None when it has none."""
    stop = plan.stop
    if stop.target_failure_rate is None or stop.limit_failure_rate is None:
        return None
    return Sprt(stop.target_failure_rate, stop.limit_failure_rate, stop.alpha, stop.beta)


def stop_for(plan: Plan, state: State, station: str) -> str:
    """Return why the soak stops after a cycle of ``station``, '' when it goes on."""
    seen = state.occurrences
    most = plan.stop.consecutive_failures
    if most is not None and seen.consecutive(station) >= most:
        return f"{seen.consecutive(station)} failures in a row on station {station}"
    test = sequential_test(plan)
    if test is not None and seen.cycles >= plan.stop.observations:
        decision = test.decide(seen.events, seen.trials)
        if decision is Decision.PROVEN:
            return f"the failure rate is proven to be at most {test.target:.3g}: {_seen(state)}"
        if decision is Decision.REFUTED:
            return f"a failure rate of {test.target:.3g} is refuted: {_seen(state)}"
    return ""


def _seen(state: State) -> str:
    seen = state.occurrences
    return f"{seen.events} failure events ({seen.failures} failed cycles) in {seen.cycles} cycles"


def budget_ended(budgets: Budgets, used: Mapping[str, float], life: Mapping[str, float]) -> str:
    """Return which budget of a sample has ended, '' while none has. ``life``: all it ever used, this soak included."""
    allowed = {
        "downloads": budgets.downloads,
        "enables": budgets.enables,
        "power_cuts": budgets.power_cuts,
        "bytes": size(budgets.bytes),
        "sms": budgets.sms,
        "attaches": budgets.attaches,
    }
    for name, most in allowed.items():
        if most is not None and used.get(name, 0) >= most:
            return f"its budget of {most:g} {name.replace('_', ' ')} is used up ({used.get(name, 0):g})"
    for name, most in budgets.life.items():
        if life.get(name, 0) >= most:
            return f"the sample's life-time budget of {most:g} {name.replace('_', ' ')} is used up ({life[name]:g})"
    return ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a soak has shown."""

    verdict: str
    """pass, fail, inconclusive or bench-error."""
    why: str
    rate: float | None
    """Failed cycles of those that count."""
    interval: Interval
    """Of the rate of failure events in independent trials, exact."""
    decision: Decision | None


def outcome(plan: Plan, state: State) -> Outcome:
    """Return the verdict over all cycles.

    Passed only with enough observations, no refuted target, and without a target no failure at all.
    """
    seen = state.occurrences
    rate = seen.failures / seen.cycles if seen.cycles else None
    interval = clopper_pearson(seen.events, seen.trials)
    test = sequential_test(plan)
    decision = test.decide(seen.events, seen.trials) if test is not None else None
    broken = [name for name, item in state.stations.items() if item.quarantined]

    def made(verdict: str, why: str) -> Outcome:
        return Outcome(verdict, why, rate, interval, decision)

    most = plan.stop.consecutive_failures
    if decision is Decision.REFUTED or (most is not None and seen.longest >= most):
        return made("fail", _seen(state))
    if test is None and seen.failures:
        return made("fail", _seen(state))
    if seen.cycles < plan.stop.observations:
        why = f"{seen.cycles} cycles were observed, a pass needs {plan.stop.observations}"
        return made("bench-error" if broken else "inconclusive", why)
    if test is not None and decision is Decision.OPEN:
        return made("inconclusive", f"not enough cycles to decide: {_seen(state)}")
    if broken:
        return made("bench-error", f"quarantined: {', '.join(broken)}; {_seen(state)}")
    return made("pass", _seen(state))


def first_cycle_limit(plan: Plan) -> float:
    """Return within which real seconds the first cycle must have ended."""
    return seconds(plan.stop.first_cycle_within) or float("inf")
