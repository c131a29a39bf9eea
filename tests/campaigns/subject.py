"""A driver in a campaign: its simulated instrument, the wire between them, and what may be asked and raised."""

from __future__ import annotations

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Final

import faulty_wire  # type: ignore[import-not-found]
from exchanges import Exchange, Outcome, Pauses, Raised, plan  # type: ignore[import-not-found]

from bench.errors import InstrumentError, InstrumentTimeout
from instruments.scpi.link import ConnectionLost
from instruments.scpi.parse import AnswerError, ScpiError

PATIENCE: Final = 0.4
"""Seconds for one answer: the drivers' own deadlines would make a campaign of hours."""
QUEUE: Final = 1.0
"""Seconds for the error queue after a silence (instruments.scpi.session)."""
DEADLINE: Final = 4 * PATIENCE + QUEUE + 2.0
"""Seconds for one exchange: asked, opened again, asked again, explained by the queue; 2 s for this host."""

ERRORS: Final[dict[str, Raised]] = {
    "closed": (ConnectionLost,),
    "closed-mid-answer": (ConnectionLost,),
    "late": (InstrumentTimeout,),
    "silent": (InstrumentTimeout,),
    "half-and-silent": (InstrumentTimeout,),
    "half-and-late": (InstrumentTimeout,),
    "garbage": (AnswerError, ScpiError),
    "garbage-before-answer": (AnswerError, ScpiError),
    "surplus": (),
    "fragmented": (),
    "refused-in-queue": (ScpiError, InstrumentTimeout),
    "reboot": (InstrumentError,),
    "second-client": (InstrumentError,),
    "exchanged": (InstrumentError,),
}
"""What may be raised after a fault; nothing may be where the tuple is empty, nor without a fault."""
NO_LINES: Final = (
    b"\xff\xfe\x80\x00\n", b"volts\n", b"9.91E37\n", b"nan\n", b"#90000\n", b"1,2\n", b'-410,"Query INTERRUPTED"\n',
    b"++1\n", b"MEAS:VOLT?\n", b"\x00\x00\x00\n", b"0x\n", b"3.8.1\n", b"{\n", b"1 2 3\n",
)  # fmt: skip


class Subject(ABC):
    """One driver, its simulated instrument and the wire between them."""

    errors: ClassVar[dict[str, Raised]] = ERRORS
    faults: tuple[str, ...] = faulty_wire.FAULTS
    left_errors: Raised = (AnswerError, ConnectionLost)
    """What may be raised, once, for garbage that lies in the stream since an earlier exchange."""
    lingers: ClassVar[tuple[str, ...]] = ()
    """Faults whose garbage a later exchange may meet: of wires without an answer to each question."""
    deadline: float = DEADLINE
    """Seconds for one exchange."""
    reach: int = 3
    """Answers of one exchange that a fault may meet."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.name = name
        self.chance = chance
        self.number = 0
        self.left = 0
        """Garbage that no exchange has met yet, at most."""
        self.wire: Any = None
        self.driver: Any = None

    def allowed(self, happened: str, raised: BaseException) -> Raised:
        """Return what may be raised after a fault, or none."""
        allowed = self.errors.get(happened, ())
        if not isinstance(raised, allowed) and self.left:
            self.left -= 1
            return self.left_errors
        return allowed

    @abstractmethod
    def opened(self, folder: Path) -> contextlib.AbstractAsyncContextManager[None]:
        """Have instrument, wire and driver for as long as it lasts."""

    @abstractmethod
    def change(self) -> None:
        """Make something else true."""

    @abstractmethod
    def exchanges(self) -> list[Exchange]:
        """Return what can be asked."""


async def run(subject: Subject, exchanges: int, share: float, folder: Path, pauses: Pauses) -> Outcome:
    """Make the exchanges of one driver, a fault in ``share`` of them."""
    out, chance = Outcome(), subject.chance
    async with subject.opened(folder):
        last = "nothing"
        kinds, faults = subject.exchanges(), plan(chance, subject.faults, subject.reach)
        for number in range(exchanges):
            wire = subject.wire
            fault, count = "", 0
            if chance.random() < share and not wire.away:
                fault, count = next(faults)
            kind = chance.choice(kinds)
            if wire.away and chance.random() < 0.7:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(5.0):
                        await wire.here.wait()
            subject.number = number
            subject.change()
            if fault:
                wire.arm(fault, count)
            name = kind.__name__.strip("_")
            paused = out.paused
            happened = await out.make(
                f"{subject.name} {number}: {name} with {fault or 'nothing'} after {last}", kind, away=wire.away,
                deadline=subject.deadline, fault=fault, disarm=wire.disarm, allowed=subject.allowed, pauses=pauses,
            )  # fmt: skip
            last = happened or last
            subject.left += happened in subject.lingers or out.paused > paused
    return out
