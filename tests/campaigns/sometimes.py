"""A failure that comes three times of ten: minimised to exactly its decisive conditions, in five of five attempts.

    python -m tests.campaigns.sometimes [--state FILE] [--attempts 5] [--first 1] [--job register|main]

Each run that was played stands in the state file as a line of JSON, under its scenario and seed. After a kill the same
command goes on: it asks the same questions, answers them from the file and plays what is missing. Two commands with
different attempts may run at the same time, each with a state file and a BENCH_HOME of its own.

``register``: the network begins to reject at a moment that lies within the registration three times of ten; in every
second attempt the modem locks up at such a moment after a reject (two decisive conditions). ``main``: the whole job of
the bench, and a card that refuses from one of the next 30 APDUs on in a step that has fewer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from bench.client.playing import RunPlayer
from bench.reproduce.conditions import Condition, Moment
from bench.reproduce.course import Call, Course
from bench.reproduce.errors import ReproduceError
from bench.reproduce.minimise import minimise
from bench.reproduce.play import Player
from bench.reproduce.scenario import Scenario
from bench.reproduce.signature import Signature
from tests.campaigns import blind_pool

MOST = 1500
PATIENCE = 20
"""So often an attempt begins again a minute after the bench itself failed too often."""
NOISE = (
    Condition("weaker", "cell-power", {"rsrp": -92.0, "seconds": 5.0}, Moment(step="register")),
    Condition("weaker-2", "cell-power", {"cell": 2, "rsrp": -95.0}, Moment(step="register")),
    Condition("dip", "brown-out", {"volts": 3.6, "seconds": 0.05}, Moment(step="register")),
    Condition("leads", "world", {"set": {"lead_resistance": 0.15}}),
    Condition("bigger-capacitor", "world", {"set": {"capacitance": 0.00047}}),
    Condition("slow-link", "link-delay", {"delay": 0.1, "seconds": 20.0}, Moment(step="register")),
)
"""None of them ends a registration."""


class Remembered:
    """Plays what the state file does not have. Of a run stays what the signature looks at."""

    def __init__(self, player: Player, file: Path) -> None:
        self._player = player
        self._known: dict[str, Course] = {}
        text = file.read_bytes() if file.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]  # a line that a kill cut off was not played
        if whole != text:
            with file.open("rb+") as cut:
                cut.truncate(len(whole))
        for line in whole.splitlines():
            entry = json.loads(line)
            calls = tuple(Call(**call) for call in entry["course"].pop("calls"))
            self._known[entry["key"]] = Course(**entry["course"], calls=calls)
        self._file = file.open("ab", buffering=0)
        self.played = self.remembered = 0

    def play(self, scenario: Scenario, seed: int) -> Course:
        """Return the course of a run, from the file where it is there. Raises BenchError as the player does."""
        key = hashlib.sha256(f"{seed}\n{scenario.text()}".encode()).hexdigest()[:32]
        if key in self._known:
            self.remembered += 1
            return self._known[key]
        course = self._player.play(scenario, seed)
        self.played += 1
        if course.usable:  # the others are played again
            self._known[key] = course
            wanted = scenario.signature.calls
            kept: dict[str, Any] = {
                "verdict": course.verdict, "bench": course.bench, "failed_step": course.failed_step,
                "message": course.message,
                "calls": [
                    {name: getattr(call, name) for name in Call.__slots__}
                    for call in course.calls if any(item.fits(call) for item in wanted)
                ],
            }  # fmt: skip
            os.write(self._file.fileno(), json.dumps({"key": key, "seed": seed, "course": kept}).encode() + b"\n")
        return course


def registration(number: int) -> tuple[Scenario, set[str]]:
    """Return one attempt on the registration, and the names of its decisive conditions."""
    draw = random.Random(number)
    conditions = draw.sample(NOISE, 4)
    if number % 2:  # the modem registers some eight seconds after the step begins
        causes = [Condition("rejects", "reject", {"cause": 17}, Moment(step="register", after=(0.0, 27.0)))]
        signature = Signature("fail", "register", "cause 17")
    else:  # rejected soon, until the step's minute is over: the lock-up mostly comes later
        after = Moment(log="nas", match={"cause": 17}, after=(0.0, 145.0))
        causes = [
            Condition("rejects", "reject", {"cause": 17}, Moment(step="register")),
            Condition("lock-up", "modem-hang", {"until": "supply"}, after),
        ]
        signature = Signature("fail", "register", "d(oes|id) not answer")
    for cause in causes:
        conditions.insert(draw.randrange(len(conditions) + 1), cause)
    made = Scenario(
        f"Fails three times of ten, {number}", "power-cycle-and-register", signature, tuple(conditions),
        seed=1000 * number, parameters={"register_within": 60.0},
    )  # fmt: skip
    return made, {item.name for item in causes}


def attempt(number: int, job: str, player: Remembered) -> bool:
    """Minimise once; print what was named and with what figures."""
    scenario, decisive = registration(number) if job == "register" else (blind_pool.sometimes(number), {"refused"})
    begin = time.monotonic()
    for patience in range(PATIENCE, -1, -1):
        try:
            found = minimise(scenario, player, most=MOST, sizes=False, told=lambda text: print(f"  {text}", flush=True))
            break
        except ReproduceError as error:  # the host is overloaded: what was played is in the file
            if not patience:
                raise
            print(f"  {error}", flush=True)
            time.sleep(60)
    good = set(found.names) == decisive and not found.unsure and not found.others
    print(json.dumps({
        "attempt": number, "good": good, "decisive": sorted(decisive), "named": sorted(found.names),
        "runs": found.runs, "played": player.played, "remembered": player.remembered,
        "seconds": round(time.monotonic() - begin, 1), "rate": found.whole.text, "smallest": found.smallest.text,
        "unsure": found.unsure, "others": found.others,
    }), flush=True)  # fmt: skip
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, default=Path("sometimes.jsonl"))
    parser.add_argument("--attempts", type=int, default=5)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--job", choices=["register", "main"], default="register")
    arguments = parser.parse_args()
    player = Remembered(RunPlayer(keep=False), arguments.state)
    numbers = range(arguments.first, arguments.first + arguments.attempts)
    right = [attempt(number, arguments.job, player) for number in numbers]
    print(json.dumps({"right": sum(right), "of": len(right)}), flush=True)
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
