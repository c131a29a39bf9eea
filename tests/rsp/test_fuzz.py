"""A small deterministic sample of the fuzzing campaign (tests/campaigns/fuzz.py), without atheris."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator

import pytest
from campaigns import fuzz_targets

MUTATIONS = 250
LONGEST = 2.0
"""Seconds that one input may take; all are done in milliseconds."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def mutated(seed: bytes, chance: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        what = chance.randrange(5)
        if what == 0:
            data[at:at] = chance.randbytes(chance.randint(1, 4))
        elif what == 1:
            del data[at : at + chance.randint(1, 8)]
        elif what == 2:
            data[at:at] = data[at : at + chance.randint(1, 32)]
        elif at < len(data):
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return bytes(data)


@pytest.mark.parametrize("name", fuzz_targets.TARGETS)
def test_a_sample_of_each_target(name: str) -> None:
    target, seeds, chance = fuzz_targets.TARGETS[name], fuzz_targets.seeds(name), random.Random(name)
    for data in (*seeds, *(mutated(chance.choice(seeds), chance) for _ in range(MUTATIONS))):
        started = time.process_time()
        target(data)
        assert time.process_time() - started < LONGEST, data.hex()


def test_findings_are_found() -> None:
    """The checks see what they are for: a state that changes, an internal error, an answer that is none."""
    bench = fuzz_targets.bench()
    bench.restart()
    before = bench.state()
    bench.card._core.state.sequence += 1
    with pytest.raises(fuzz_targets.StateChanged):
        fuzz_targets._check(bench, before, "")
    bench.restart()
    bench.card.faults = 1
    with pytest.raises(fuzz_targets.Finding, match="6F00"):
        fuzz_targets._check(bench, bench.state(), "")
    assert bench.card.faults == 0


@pytest.mark.parametrize(
    ("answer", "status", "refused"),
    [
        ("bf5105a203800165", 0x9000, True),
        ("bf5102a100", 0x9000, True),
        ("bf5102a000", 0x9000, False),
        ("bf5181a1a0819e" + "04819b" + "00" * 155, 0x9000, False),
        ("bf31038001 00".replace(" ", ""), 0x9000, False),
        ("bf3103800102", 0x9000, True),
        ("bf5703810102", 0x9000, True),
        ("bf5803020101", 0x9000, True),
        ("bf5803020100", 0x910B, False),
        ("bf6403800101", 0x9000, True),
        ("", 0x6A80, True),
        ("", 0x9000, False),
        ("", 0x910B, False),
    ],
)
def test_what_counts_as_refused(answer: str, status: int, refused: bool) -> None:
    assert fuzz_targets.rejected(bytes.fromhex(answer), status) is refused
