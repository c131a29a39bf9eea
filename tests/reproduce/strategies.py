"""Scenarios of any shape, and a player without a bench: what fails is a function of the conditions."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from bench.reproduce.conditions import Condition, Moment
from bench.reproduce.course import Call, Course
from bench.reproduce.scenario import Scenario
from bench.reproduce.signature import Expected, Signature

texts = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
words = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    lambda text: text.strip()
)
figures = st.floats(0, 1e4, allow_nan=False).map(lambda value: round(value, 3))
moments = st.one_of(
    st.just(Moment()),
    st.builds(Moment, step=texts, after=figures),
    st.builds(Moment, step=texts, apdu=st.integers(1, 500)),
    st.builds(Moment, step=texts, apdu=st.tuples(st.integers(1, 5), st.integers(5, 50))),
    st.builds(Moment, urc=words, count=st.integers(1, 9), after=figures),
    st.builds(Moment, log=words, match=st.just({"cause": 17}), after=st.tuples(st.just(0.5), st.just(2.0))),
)


@st.composite
def conditions(draw: st.DrawFn, name: str) -> Condition:
    do = draw(
        st.sampled_from(["brown-out", "cell-off", "reject", "port-gone", "smdpp-misbehave", "link-block", "world"])
    )
    given: dict[str, object] = {
        "brown-out": {"volts": draw(figures), "seconds": draw(figures)},
        "cell-off": {"cell": draw(st.integers(1, 4)), "seconds": draw(figures)},
        "reject": {"cause": draw(st.integers(0, 111)), "integrity": draw(st.booleans())},
        "port-gone": {"seconds": draw(figures)},
        "smdpp-misbehave": {"name": draw(words), "count": draw(st.integers(0, 5)), "parameters": {"form": draw(texts)}},
        "link-block": {"name": draw(words)},
        "world": {"set": {"refresh": draw(texts)}},
    }[do]
    at = Moment() if do == "world" else draw(moments)
    return Condition(name, do, given, at, draw(texts), draw(st.booleans()), draw(texts))


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    count = draw(st.integers(0, 5))
    return Scenario(
        title=draw(words),
        recipe=draw(words),
        signature=Signature(
            draw(st.sampled_from(["fail", "any", "inconclusive"])),
            draw(texts),
            "",
            tuple(
                draw(
                    st.lists(st.builds(Expected, function=words, result=words, at_least=st.integers(0, 3)), max_size=2)
                )
            ),
            draw(st.booleans()),
        ),
        conditions=tuple(draw(conditions(f"c{number}")) for number in range(count)),
        summary=draw(texts),
        seed=draw(st.one_of(st.none(), st.integers(0, (1 << 32) - 1))),
        parameters=draw(
            st.dictionaries(words, st.one_of(texts, st.integers(-5, 5), figures, st.booleans()), max_size=3)
        ),
        source="scenario",
    )


FAILED = Course("fail", failed_step="switch", message="it fails", calls=(Call("apdu:card", "Enable", "6985", False),))
PASSED = Course("pass")
NOTHING = Course("inconclusive", bench="bench-error", message="the runner was killed")
SIGNATURE = Signature("fail", "switch")


@dataclass
class Fake:
    """Plays by a rule over the names of the conditions; ``chance``: how often what fails does so."""

    fails: Callable[[frozenset[str]], bool]
    chance: float = 1.0
    seed: int = 0
    lost: int = 0
    """So many runs say nothing first."""
    runs: int = 0
    asked: list[frozenset[str]] = field(default_factory=list)

    def play(self, scenario: Scenario, seed: int) -> Course:
        self.runs += 1
        if self.lost:
            self.lost -= 1
            return NOTHING
        names = frozenset(item.name for item in scenario.conditions)
        self.asked.append(names)
        draw = random.Random(f"{self.seed} {self.runs}").random()
        return FAILED if self.fails(names) and draw < self.chance else PASSED


def twenty(count: int = 20) -> Scenario:
    """A scenario of so many conditions, c0 to c19."""
    return Scenario(
        "twenty", "power-cycle-and-register", SIGNATURE,
        tuple(Condition(f"c{number}", "cell-off", {"seconds": 8.0}) for number in range(count)), seed=1,
    )  # fmt: skip
