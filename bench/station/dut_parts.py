"""What consoles and output lines of the device under test are to a recipe (see ``bench.station.interfaces``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from bench.station.interfaces import Instrument


@dataclass(frozen=True, slots=True)
class ConsoleMatch:
    """A line of a console that a named pattern fits. ``at``: station time in seconds."""

    name: str
    line: str
    at: float
    values: Mapping[str, str] = field(default_factory=dict)
    """Its named groups."""
    number: int = 0
    """Counts the matches of a console from 1 on."""


def agrees(told: str, wanted: str) -> bool:
    """Whether a value is the one wanted; ``wanted`` may end with ``*``: whatever begins with the rest."""
    return told.startswith(wanted[:-1]) if wanted.endswith("*") else told == wanted


class Console(Instrument, Protocol):
    """A serial console of the device: its lines are recorded, and named patterns waited for."""

    name: str

    def knows(self, pattern: str) -> bool:
        """Whether there is a pattern of this name."""

    def accepts(self, command: str) -> bool:
        """Whether there is a command of this name."""

    def seen(self, pattern: str, *, since: float = 0.0, values: Mapping[str, str] | None = None) -> ConsoleMatch | None:
        """Return the first match since ``since`` (station time) whose groups have these values."""

    def last(self, pattern: str) -> ConsoleMatch | None:
        """Return the latest match."""

    def mark(self) -> int:
        """Return the number of the latest match: what comes after it is news, also within one moment."""

    def tail(self, count: int = 5) -> Sequence[str]:
        """Return the last lines."""

    async def wait(
        self,
        pattern: str,
        *,
        timeout: float,
        since: float | None = None,
        after: int | None = None,
        values: Mapping[str, str] | None = None,
    ) -> ConsoleMatch:
        """Wait for a pattern, seen since ``since`` or after a ``mark``; from now on, when both are None.

        ``since`` and ``timeout`` in seconds of station time.

        Raises DeviceFailure when the device says something else or nothing, InstrumentError when the port is not
        there, ConfigurationError for an unknown pattern.
        """

    async def send(self, text: str) -> None:
        """Type a line and its end. Raises InstrumentError."""

    async def command(self, name: str, **values: str) -> None:
        """Type the line of a command of bench.toml. Raises ConfigurationError, InstrumentError."""


class OutputLines(Instrument, Protocol):
    """Relays or GPIO outputs, each by its name on the board."""

    async def set_line(self, line: str, on: bool) -> None:
        """Switch one output, verified by reading back where the board can. Raises InstrumentError, Refused."""

    async def line_on(self, line: str) -> bool:
        """Return whether the output is on."""


class Asker(Protocol):
    """The way to the person at the bench (``Station.ask``)."""

    async def __call__(self, text: str, choices: Sequence[str], *, timeout: float | None = None) -> str:
        """Return one of ``choices``. Raises TimeoutError after ``timeout`` real seconds."""


@runtime_checkable
class AsksPerson(Protocol):
    """An instrument that is a person: it is given the way to ask before a recipe begins."""

    asker: Asker | None


@runtime_checkable
class CountsPolls(Protocol):
    """An eIM that tells how often an eUICC's IPA has polled it since it was started."""

    async def polls(self, eid: str) -> int:
        """Return the GetEimPackage requests for this EID."""
