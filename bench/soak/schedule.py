"""The schedule of a soak: which cycle does what. Pure functions of plan, seed, station and number.

Every station has a sequence of its own, numbered from 0. Nothing is drawn from a state, so a soak that is resumed goes
on with exactly what would have come.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bench.soak.plan import Part, Plan


@dataclass(frozen=True, slots=True)
class Item:
    """One cycle."""

    index: int
    """From 0, in the sequence of its station."""
    part: int
    """Number of its entry in ``Plan.recipes``."""
    recipe: str
    label: str
    parameters: Mapping[str, Any]
    seed: int
    """Of everything random within the cycle."""


def derived(seed: int, *words: object) -> int:
    """Return a seed of 48 bits that depends on all words: the same on every host and in every version."""
    text = "/".join([str(seed), *(str(word) for word in words)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def combinations(part: Part) -> list[dict[str, Any]]:
    """Return every combination of the swept parameters, those that stand first turning slowest."""
    names = list(part.sweep)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*part.sweep.values())]


def round_of(plan: Plan) -> list[tuple[int, dict[str, Any]]]:
    """Return one round as written: number of the entry and the values of its sweep, with repetitions."""
    found: list[tuple[int, dict[str, Any]]] = []
    for number, part in enumerate(plan.recipes):
        for combination in combinations(part):
            found.extend([(number, combination)] * part.repetitions)
    return found


def length(plan: Plan) -> int | None:
    """Return how many cycles each station has at most, None where only time ends it."""
    limits = [plan.cycles] if plan.cycles is not None else []
    if plan.rounds is not None:
        limits.append(plan.rounds * len(round_of(plan)))
    return min(limits, default=None)


class Schedule:
    """The sequence of one station."""

    def __init__(self, plan: Plan, seed: int, station: str) -> None:
        self.plan = plan
        self.seed = seed
        self.station = station
        self.length = length(plan)
        self._round = round_of(plan)
        self._weights = [part.weight for part in plan.recipes]
        self._combinations = [combinations(part) for part in plan.recipes]
        self._order = lru_cache(maxsize=4)(self._order_of)

    def item(self, index: int) -> Item:
        """Return cycle number ``index``. Raises IndexError beyond the end."""
        if index < 0 or (self.length is not None and index >= self.length):
            raise IndexError(f"cycle {index} of {self.length}")
        seed = derived(self.seed, self.station, index)
        draw = random.Random(seed)
        if self.plan.order == "weighted":
            number = draw.choices(range(len(self._weights)), self._weights)[0]
            swept = draw.choice(self._combinations[number])
        else:
            turn, place = divmod(index, len(self._round))
            number, swept = self._round[self._order(turn)[place]]
        part = self.plan.recipes[number]
        drawn = {name: _drawn(draw, given) for name, given in part.ranges.items()}
        parameters = {**part.parameters, **swept, **drawn}
        return Item(index, number, part.recipe, part.label, parameters, draw.getrandbits(48))

    def _order_of(self, turn: int) -> list[int]:
        places = list(range(len(self._round)))
        if self.plan.order == "shuffled":
            random.Random(derived(self.seed, self.station, "round", turn)).shuffle(places)
        return places

    def __iter__(self) -> Iterator[Item]:
        index = 0
        while self.length is None or index < self.length:
            yield self.item(index)
            index += 1


def _drawn(draw: random.Random, given: Mapping[str, Any]) -> float | int:
    low, high, step = given["from"], given["to"], given.get("step")
    if step is not None:
        value = low + draw.randint(0, int((high - low) / step + 1e-9)) * step
        return value if isinstance(value, int) else round(value, 12)
    if isinstance(low, int) and isinstance(high, int):
        return draw.randint(low, high)
    return round(draw.uniform(low, high), 9)
