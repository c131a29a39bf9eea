"""The few conditions that matter: delta debugging over conditions, sizes and moments.

Failures that come only sometimes are minimised too.

ddmin (Zeller and Hildebrandt 2002: subsets, then complements). Whether a set of conditions fails is a question with a
sequential test behind it: as many runs as it takes and no more. picire has the same algorithm, but two outcomes only,
and its package imports pkg_resources, which setuptools no longer has; it is the oracle in the tests.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bench.reproduce.conditions import START, Condition, Moment
from bench.reproduce.course import Course
from bench.reproduce.errors import ReproduceError
from bench.reproduce.play import BENCH_FAULTS, SEED, Played, Player, play_once
from bench.reproduce.scenario import Scenario
from bench.reproduce.statistics import Rate, Sequential, rate

_FIRST: Final = 4
"""Runs of the whole scenario; when they agree, the failure is taken for one that always comes."""
_MOST_FIRST: Final = 30
_SURE_HITS: Final = 6
_SHARE: Final = 0.7
"""Of the estimated rate: what fails less often than this counts as passing."""
_HALVINGS: Final = 4


class BudgetSpent(Exception):
    """No more runs are allowed."""


@dataclass(slots=True)
class Minimised:
    """What came of it."""

    scenario: Scenario
    """The smallest that fails."""
    whole: Rate
    """Of the scenario as it was given."""
    smallest: Rate
    others: list[tuple[str, ...]] = field(default_factory=list)
    """Further sets of conditions, each of which fails without the first."""
    unsure: list[str] = field(default_factory=list)
    """Why the answer may be wrong; empty: it is sure."""
    runs: int = 0
    configurations: int = 0
    smaller: list[str] = field(default_factory=list)
    """Sizes that were made smaller and moments that were made simpler, in words."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the conditions that matter."""
        return tuple(item.name for item in self.scenario.conditions)

    @property
    def sentence(self) -> str:
        """What matters, in plain words."""
        if self.whole.n and not self.whole.hits:
            return f"The failure did not come back: {self.whole.text}."
        conditions = " and ".join(f"{item.name} ({item.text})" for item in self.scenario.conditions)
        what = f"It fails with {conditions} alone" if conditions else "It fails without any of the conditions"
        seen = f"{what}, in {self.smallest.text}"
        if self.others:
            seen += "; independently of that also with " + ", or with ".join(" and ".join(item) for item in self.others)
        doubt = f" Unsure: {'; '.join(self.unsure)}." if self.unsure else ""
        return f"{seen}.{doubt}"

    def data(self) -> dict[str, Any]:
        """For programs."""
        return {
            "decisive": list(self.names),
            "others": [list(item) for item in self.others],
            "sure": not self.unsure,
            "unsure": self.unsure,
            "sentence": self.sentence,
            "runs": self.runs,
            "configurations": self.configurations,
            "rate": {"hits": self.whole.hits, "runs": self.whole.n, "low": self.whole.low, "high": self.whole.high},
            "smallest_rate": {
                "hits": self.smallest.hits, "runs": self.smallest.n, "low": self.smallest.low, "high": self.smallest.high,  # noqa: E501
            },
            "smaller": self.smaller,
        }  # fmt: skip


Told = Callable[[str], None]


def ddmin(items: Sequence[str], fails: Callable[[tuple[str, ...]], bool]) -> tuple[str, ...]:
    """Return a subset that fails and of which no single item can be left out (1-minimal).

    ``fails(items)`` is taken for true, and that of nothing for false; each subset is asked once.
    """
    known: dict[tuple[str, ...], bool] = {}

    def asked(chosen: tuple[str, ...]) -> bool:
        if chosen not in known:
            known[chosen] = fails(chosen)
        return known[chosen]

    now, parts = tuple(items), 2
    while len(now) > 1:
        parts = min(parts, len(now))
        edges = [len(now) * number // parts for number in range(parts + 1)]
        pieces = [now[low:high] for low, high in itertools.pairwise(edges)]
        subset = next((piece for piece in pieces if asked(piece)), None)
        if subset is not None:
            now, parts = subset, 2
            continue
        rest = None
        if parts > 2:  # with two, the complements are the subsets
            complements = (now[:low] + now[high:] for low, high in itertools.pairwise(edges))
            rest = next((piece for piece in complements if asked(piece)), None)
        if rest is not None:
            now, parts = rest, max(parts - 1, 2)
        elif parts < len(now):
            parts *= 2
        else:
            break
    return now


class Minimiser:
    """Minimises one scenario. ``most``: runs at most, over everything."""

    def __init__(
        self, scenario: Scenario, player: Player, *, most: int = 200, sizes: bool = True, told: Told = lambda text: None
    ) -> None:
        self._scenario = scenario
        self._player = player
        self._most = most
        self._sizes = sizes
        self._told = told
        self._seed = SEED if scenario.seed is None else scenario.seed
        self._always = True
        self._p1 = 0.95
        self.runs = 0
        self.configurations = 0
        self.unsure: list[str] = []

    def run(self) -> Minimised:
        """Do it. Raises BenchError when runs cannot be started; spent runs are told as ``unsure``."""
        whole = self._whole()
        found = Minimised(self._scenario, whole, whole)
        if not whole.hits:
            found.unsure = [f"nothing was seen to minimise: {whole.text}"]
            return self._counted(found)
        names = tuple(item.name for item in self._scenario.conditions)
        chosen = names
        try:
            if self._fails(()):
                found.scenario = self._scenario.only(())
                found.smallest = self._measured(found.scenario)
                return self._counted(found)
            chosen = self._confirmed(self._ddmin(names))
            self._told(f"smallest set: {', '.join(chosen)}")
            found.scenario = self._scenario.only(chosen)
            found.others = self._others(names, chosen)
            found.smallest = self._measured(found.scenario)
            if self._sizes:
                unsure = [*self.unsure]
                found.scenario, found.smaller = self._smaller(found.scenario)
                found.scenario, simpler = self._simpler(found.scenario)
                found.smaller += simpler
                self.unsure = unsure  # an open question about a size or a moment leaves it as it was
        except BudgetSpent:
            self.unsure.append(f"{self._most} runs are spent: more may be left out (--runs)")
            found.scenario = self._scenario.only(self._smallest_failing or chosen)
        found.scenario = replace(found.scenario, decisive=tuple(item.name for item in found.scenario.conditions))
        return self._counted(found)

    def _counted(self, found: Minimised) -> Minimised:
        found.runs, found.configurations = self.runs, self.configurations
        found.unsure = [*found.unsure, *dict.fromkeys(self.unsure)]
        return found

    # --- questions ------------------------------------------------------------------------------------------------

    _smallest_failing: tuple[str, ...] = ()

    def _one(self, scenario: Scenario, number: int) -> bool:
        nothing: Course | None = None
        for _ in range(BENCH_FAULTS):
            if self.runs >= self._most:
                raise BudgetSpent
            self.runs += 1
            played = play_once(scenario, self._player, (self._seed + number) % (1 << 32))
            if isinstance(played, Played):
                return played.hit
            nothing = played
        assert nothing is not None
        raise ReproduceError(
            f"{BENCH_FAULTS} runs in a row say nothing of the device: {nothing.message}",
            where=nothing.folder,
            hint="the bench itself fails: bench doctor; an overloaded host?",
        )

    def _whole(self) -> Rate:
        """Play the whole scenario until it is known whether it always fails, or how often."""
        hits = n = 0
        try:
            while n < _FIRST or (hits < n and hits < _SURE_HITS and n < _MOST_FIRST):
                hits += self._one(self._scenario, n)
                n += 1
        except BudgetSpent:
            self.unsure.append("the runs were spent on the whole scenario")
        found = rate(hits, n)
        self._always = hits == n
        self._p1 = 0.95 if self._always else max(_SHARE * hits / n, found.low) if hits else 0.5
        self._told(f"the whole scenario: {found.text}")
        return found

    def _fails(self, names: tuple[str, ...]) -> bool:
        return self._asks(self._scenario.only(names), ", ".join(names) or "no condition")

    def _ddmin(self, names: tuple[str, ...]) -> tuple[str, ...]:
        def fails(chosen: tuple[str, ...]) -> bool:
            found = self._fails(chosen)
            if found and (not self._smallest_failing or len(chosen) < len(self._smallest_failing)):
                self._smallest_failing = chosen
            return found

        return ddmin(names, fails)

    def _asks(self, scenario: Scenario, text: str, *, surer: bool = False) -> bool:
        """Ask whether a scenario fails; a failure that always comes needs one run, one that does not needs more."""
        self.configurations += 1
        test = Sequential(self._p1, beta=0.001 if surer else 0.05, most=max(60, 4 * _MOST_FIRST))
        if self._always and not surer:
            test = Sequential(0.9999, p0=0.001)
        while not test.over:
            test.add(self._one(scenario, test.n))
        decision = test.decision
        self._told(f"{text}: {'fails' if decision == 'fails' else 'passes'} ({test.hits} of {test.n})")
        if decision == "open":
            self.unsure.append(f"{text} failed {test.hits} of {test.n} times, which is neither")
        return decision == "fails"

    def _confirmed(self, chosen: tuple[str, ...]) -> tuple[str, ...]:
        """Leave out each condition once more, with more runs behind the answer, and drop what is not needed after all.

        The search may take a failure that comes sometimes for a pass; what it kept because of that goes here.
        """
        if self._always:
            return chosen
        for name in chosen:
            rest = tuple(item for item in chosen if item != name)
            if rest and self._asks(self._scenario.only(rest), f"without {name}", surer=True):
                self._smallest_failing = rest
                return self._confirmed(rest)
        return chosen

    def _others(self, names: tuple[str, ...], chosen: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Return further sets that fail without the first one."""
        found: list[tuple[str, ...]] = []
        left = tuple(name for name in names if name not in chosen)
        while left and len(found) < 3 and self._fails(left):
            another = ddmin(left, self._fails)
            found.append(another)
            left = tuple(name for name in left if name not in another)
        return found

    def _measured(self, scenario: Scenario) -> Rate:
        n = _FIRST if self._always else min(_MOST_FIRST, max(10, round(4 / self._p1)))
        return rate(sum(self._one(scenario, number) for number in range(n)), n)

    # --- sizes ----------------------------------------------------------------------------------------------------

    def _smaller(self, scenario: Scenario) -> tuple[Scenario, list[str]]:
        """Halve sizes as long as it fails; return the scenario and what became of them."""
        said: list[str] = []
        for index, item in enumerate(scenario.conditions):
            for name, nothing in (item.kind.sizes or {}).items():
                value = item.figures.get(name)
                if isinstance(value, bool) or not isinstance(value, int | float) or value <= nothing:
                    continue
                scenario, now = self._halved(scenario, index, name, value)
                if now != value:
                    said.append(f"{item.name}: {name} {value:g} to {now:g}")
        return scenario, said

    def _halved(self, scenario: Scenario, index: int, name: str, value: float) -> tuple[Scenario, float]:
        for _ in range(_HALVINGS):
            half = value // 2 if isinstance(value, int) else value / 2
            if half <= 0 or half == value:
                break
            attempt = _with(scenario, index, name, half)
            try:
                if not self._asks(attempt, f"{scenario.conditions[index].name} with {name} {half:g}"):
                    break
            except BudgetSpent:
                break
            scenario, value = attempt, half
        return scenario, value

    # --- moments --------------------------------------------------------------------------------------------------

    def _simpler(self, scenario: Scenario) -> tuple[Scenario, list[str]]:
        """Let conditions begin at the start, or with their step, where it fails so too; return what became of them."""
        said: list[str] = []
        for index, item in enumerate(scenario.conditions):
            for at in dict.fromkeys((START, Moment(step=item.at.step))):
                if at == item.at:
                    break
                attempt = _put(scenario, index, replace(item, at=at))
                try:
                    fails = self._asks(attempt, f"{item.name} at {at.text}")
                except BudgetSpent:
                    return scenario, said
                if fails:
                    said.append(f"{item.name}: at {at.text}, {item.at.text} does not matter")
                    scenario = attempt
                    break
        return scenario, said


def _put(scenario: Scenario, index: int, condition: Condition) -> Scenario:
    conditions = list(scenario.conditions)
    conditions[index] = condition
    return scenario.with_conditions(conditions)


def _with(scenario: Scenario, index: int, name: str, value: float) -> Scenario:
    item = scenario.conditions[index]
    return _put(scenario, index, replace(item, figures={**item.figures, name: value}))


def minimise(
    scenario: Scenario, player: Player, *, most: int = 200, sizes: bool = True, told: Told = lambda text: None
) -> Minimised:
    """Return the smallest scenario that fails as this one does."""
    return Minimiser(scenario, player, most=most, sizes=sizes, told=told).run()
