"""What campaigns of exchanges have in common: one fault armed at a time, one exchange made and judged."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BenchError, InstrumentError

Exchange = Callable[[], Awaitable[str]]
"""Asks the driver for one thing; returns what is wrong with what it said, or nothing."""
Raised = tuple[type[BaseException], ...]


def plan(chance: random.Random, faults: Sequence[str], reach: int) -> Iterator[tuple[str, int]]:
    """Yield faults with the answer that each happens at: every one at the first answer, in any order; then anything.

    ``reach``: answers of an exchange that may be met.
    """
    for fault in chance.sample(faults, len(faults)):
        yield fault, 0
    while True:
        yield chance.choice(faults), chance.randrange(reach)


class Armed:
    """One fault that happens at the n-th answer from now."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._fault, self._count, self._fired = "", 0, False

    def arm(self, fault: str, count: int) -> None:
        """Have ``fault`` happen at the ``count``-th answer from now, counted from 0."""
        self._fault, self._count, self._fired = fault, count, False

    def disarm(self) -> bool:
        """Take back a fault that was not reached; return whether it had happened."""
        self._fault = ""
        return self._fired

    def due(self) -> str:
        """Count one answer; return the fault that happens to it, empty for none."""
        if not self._fault:
            return ""
        self._count -= 1
        if self._count >= 0:
            return ""
        fault, self._fault, self._fired = self._fault, "", True
        return fault

    def part(self, answer: bytes) -> bytes:
        """Return the beginning of an answer, torn off anywhere."""
        return answer[: self._chance.randrange(1, max(len(answer), 2))]

    async def pieces(self, answer: bytes, late: float) -> AsyncIterator[bytes]:
        """Yield an answer byte by byte; what is left after a good part of the client's patience, in one piece."""
        until = time.monotonic() + late / 3
        for at in range(min(len(answer), 60)):
            if time.monotonic() > until:
                yield answer[at:]
                return
            yield answer[at : at + 1]
            await asyncio.sleep(0.0005)
        yield answer[60:]


_BEAT, _MISSED, _WAITED = 0.02, 0.15, 0.1
_SCHEDULED = Path("/proc/self/schedstat")


class Pauses:
    """When this process did not run although it could: stopped, or without a core. Nothing is judged by its time then.

    A thread of its own looks at the clock, so that a driver which blocks the event loop is no pause; and the kernel
    tells for how long the event loop's thread was ready and did not get a core (proc_pid_schedstat(5)).
    """

    def __init__(self) -> None:
        self.last = 0.0
        """The end of the last pause, monotonic seconds."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._end.wait(_BEAT):
            now = time.monotonic()
            if now - before > _BEAT + _MISSED:
                self.last = now
            before = now

    @staticmethod
    def waited() -> float:
        """Return the seconds that this process's first thread has waited for a core so far; 0 where nobody tells."""
        try:
            return int(_SCHEDULED.read_text().split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0

    def since(self, began: float, waited: float) -> bool:
        """Whether there was a pause since ``began`` (monotonic), when ``waited`` was what it had waited."""
        return self.last >= began - _MISSED or self.waited() - waited > _WAITED

    @contextlib.contextmanager
    def watched(self) -> Iterator[Pauses]:
        """Watch for as long as it lasts."""
        self._thread.start()
        try:
            yield self
        finally:
            self._end.set()
            self._thread.join()


@dataclass
class Outcome:
    """What came of one driver."""

    exchanges: int = 0
    returned: int = 0
    raised: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    recovered: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Wrong values: the one thing that must never be."""
    unexpected: list[str] = field(default_factory=list)
    """Wrong errors, and errors without a fault."""
    late: list[str] = field(default_factory=list)
    """What was over its deadline."""
    paused: int = 0
    """Exchanges during which this host did not run the campaign: only their values were judged."""
    longest: float = 0.0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            **{name: getattr(self, name) + getattr(other, name) for name in vars(self) if name != "longest"},
            longest=max(self.longest, other.longest),
        )

    @property
    def ok(self) -> bool:
        """Whether everything held that is demanded."""
        return not (self.wrong or self.unexpected or self.late)

    def report(self) -> dict[str, Any]:
        """Return the figures."""
        return {
            "exchanges": self.exchanges,
            "returned": self.returned,
            "wrong_values": len(self.wrong),
            "over_deadline": len(self.late),
            "unexpected": len(self.unexpected),
            "paused": self.paused,
            "errors": dict(sorted(self.raised.items())),
            "faults": dict(sorted(self.faults.items())),
            "faults_in_all": sum(self.faults.values()),
            "recovered_within_the_exchange": dict(sorted(self.recovered.items())),
            "longest": round(self.longest, 3),
            "told": [*self.wrong[:10], *self.late[:10], *self.unexpected[:10]],
            "ok": self.ok,
        }

    async def make(
        self,
        what: str,
        kind: Exchange,
        *,
        away: bool,
        deadline: float,
        fault: str,
        disarm: Callable[[], bool],
        allowed: Callable[[str, BaseException], Raised],
        pauses: Pauses,
    ) -> str:
        """Make one exchange and judge it; return the fault that happened, empty for none.

        ``away``: the instrument was not there at its beginning. ``allowed`` tells what may be raised after a fault that
        happened, or after none.
        """
        self.exchanges += 1
        began, waited = time.monotonic(), pauses.waited()
        raised: BaseException | None = None
        try:
            if wrong := await kind():
                self.wrong.append(f"{what}: {wrong}")
            self.returned += 1
        except Exception as error:
            raised = error
        elapsed = time.monotonic() - began
        happened = fault if disarm() and fault else ""
        paused = pauses.since(began, waited)
        self.paused += paused
        self.longest = max(self.longest, 0.0 if paused else elapsed)
        if elapsed > deadline and not paused:
            self.late.append(f"{what}: took {elapsed:.2f} s")
        if happened:
            self.faults[happened] += 1
        if raised is None:
            self.recovered.update([happened] if happened else [])
            return happened
        self.raised[type(raised).__name__] += 1
        if paused and isinstance(raised, BenchError):
            return happened
        right = (*allowed(happened, raised), *((InstrumentError,) if away else ()))
        if happened and ("*IDN?" in str(raised) or "another instrument answers" in str(raised)):
            right = (InstrumentError,)  # it met the *IDN? of a connection that was opened again
        if not isinstance(raised, BenchError) or not isinstance(raised, right):
            self.unexpected.append(f"{what}: {type(raised).__name__}: {raised}")
        elif not str(raised) or not raised.where:
            self.unexpected.append(f"{what}: {type(raised).__name__} does not say what and where: {raised}")
        return happened
