"""Playing a scenario again and again: how often does the failure come back, and where does a run leave the field's?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from bench.reproduce.course import Call, Course, Parting, parting
from bench.reproduce.errors import ReproduceError
from bench.reproduce.scenario import Scenario
from bench.reproduce.signature import Match
from bench.reproduce.statistics import Rate, needed, rate

SEED: Final = 1
BENCH_FAULTS: Final = 5
"""So many runs in a row that say nothing of the device end a reproduction."""


class Player(Protocol):
    """Carries out one run of a scenario."""

    def play(self, scenario: Scenario, seed: int) -> Course:
        """Run it to its end and return what it showed. Raises BenchError when it could not be started."""


@dataclass(frozen=True, slots=True)
class Played:
    """One run."""

    seed: int
    course: Course
    match: Match

    @property
    def hit(self) -> bool:
        """Whether it showed the signature."""
        return self.match.shown


@dataclass(slots=True)
class Reproduction:
    """Runs of one scenario, and what they say."""

    scenario: Scenario
    played: list[Played] = field(default_factory=list)
    unusable: list[Course] = field(default_factory=list)
    """Runs in which the bench failed: they count for nothing."""
    parting: Parting | None = None
    """Where the first run that does not show the failure leaves the course of the field."""

    @property
    def hits(self) -> int:
        """Runs that showed the signature."""
        return sum(item.hit for item in self.played)

    @property
    def rate(self) -> Rate:
        """Of the runs that say something."""
        return rate(self.hits, len(self.played))

    @property
    def otherwise(self) -> Counter[str]:
        """How the others ended."""
        return Counter(_ending(item.course) for item in self.played if not item.hit)

    @property
    def missing(self) -> Counter[str]:
        """What of the signature was not seen, how often."""
        return Counter(text for item in self.played for text in item.match.missing)

    @property
    def absent(self) -> Counter[str]:
        """Conditions that did not come about, in how many of the runs."""
        return Counter(name for item in self.played for name in item.course.absent)

    def lines(self) -> list[str]:
        """For people."""
        found = self.rate
        lines = [f"the failure came back in {found.text}"]
        if self.played and not self.hits:
            rates = ", ".join(f"{p:.0%}: {needed(p)}" for p in (0.3, 0.1, 0.05, 0.01) if needed(p) > len(self.played))
            lines.append(
                f"to say that it is rarer than this, so many runs without it are needed: {rates or 'enough ran'}"
            )
        lines += [f"  {count} times: {text}" for text, count in self.otherwise.most_common(5)]
        lines += [f"  not seen, {count} times: {text}" for text, count in self.missing.most_common(5)]
        lines += [
            f"  condition {name} did not come about in {count} of {len(self.played)}: its moment was not reached"
            for name, count in self.absent.most_common()
        ]
        if self.unusable:
            lines.append(f"  {len(self.unusable)} runs say nothing, the bench failed: {self.unusable[-1].message}")
        if self.parting is not None:
            where = f" in {self.parting.step}" if self.parting.step else ""
            lines.append(f"the course leaves that of the field{where}: {self.parting.text}")
        return lines

    def data(self) -> dict[str, Any]:
        """For programs."""
        found = self.rate
        return {
            "hits": found.hits,
            "runs": found.n,
            "unusable": len(self.unusable),
            "rate_low": found.low,
            "rate_high": found.high,
            "confidence": found.confidence,
            "otherwise": dict(self.otherwise),
            "missing": dict(self.missing),
            "absent": dict(self.absent),
            "parting": None if self.parting is None else {"step": self.parting.step, "text": self.parting.text},
            "folders": [item.course.folder for item in self.played],
        }


def _ending(course: Course) -> str:
    if course.verdict == "pass":
        return "it passes"
    return f"{course.verdict} in {course.failed_step or 'no step'}: {course.message[:200] or 'nothing said'}"


def seeds(scenario: Scenario, n: int) -> list[int]:
    """Return the seeds of n runs: the scenario's, and the next ones."""
    first = SEED if scenario.seed is None else scenario.seed
    return [(first + number) % (1 << 32) for number in range(n)]


def reproduce(
    scenario: Scenario,
    player: Player,
    n: int,
    *,
    field_calls: Sequence[Call] = (),
    told: Callable[[int, Played | None, Course], None] | None = None,
) -> Reproduction:
    """Play a scenario until ``n`` runs say something. ``field_calls``: what the field's log shows, to compare with.

    Raises BenchError when a run cannot be started, ReproduceError when BENCH_FAULTS runs in a row say nothing.
    """
    found = Reproduction(scenario)
    in_a_row = 0
    for seed in seeds(scenario, n):
        while True:
            played = play_once(scenario, player, seed)
            if isinstance(played, Course):
                found.unusable.append(played)
                in_a_row += 1
                if told is not None:
                    told(len(found.played), None, played)
                if in_a_row >= BENCH_FAULTS:
                    raise ReproduceError(
                        f"{in_a_row} runs in a row say nothing of the device: {played.message}",
                        where=played.folder,
                        hint="the bench itself fails: bench doctor; an overloaded host?",
                    )
                continue
            in_a_row = 0
            found.played.append(played)
            if told is not None:
                told(len(found.played), played, played.course)
            if field_calls and found.parting is None and (not played.hit or len(found.played) == n):
                found.parting = parting(field_calls, played.course.calls)
            break
    return found


def play_once(scenario: Scenario, player: Player, seed: int) -> Played | Course:
    """Play one run; a Course alone when it says nothing of the device."""
    course = player.play(scenario, seed)
    if not course.usable:
        return course
    return Played(seed, course, scenario.signature.match(course))
