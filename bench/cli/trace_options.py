"""What the trace commands share: which trace is meant, which part of it, and how moments are written."""

from __future__ import annotations

import datetime
import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from bench.trace.reader import Packet

_Function = TypeVar("_Function", bound=Callable[..., Any])
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?$")


def trace_path(obj: Mapping[str, Any], text: str) -> Path:
    """Return the trace that ``text`` names: a pcapng file, a run folder, ``last``, an id or a part of one.

    Raises ConfigurationError with what would have fitted.
    """
    from bench.run.folder import TRACE

    path = Path(text)
    if path.is_file():
        return path
    if (path / TRACE).is_file():
        return path / TRACE
    from bench import client
    from bench.station import config

    return client.find(config.load(Path(obj["config"]) if obj.get("config") else None).runs, text) / TRACE


def selection_options(function: _Function) -> _Function:
    """Add --lane, --step, --function, --from and --to."""
    for option in reversed(
        (
            click.option("--lane", "lanes", multiple=True, help="Only this lane (at:modem, apdu, esipa*); repeatable."),
            click.option("--step", "steps", multiple=True, help="Only while this step is open, or one below it."),
            click.option(
                "--function", "-F", "functions", multiple=True, help="Only this function (LoadEuicc*, AT+CEREG?)."
            ),
            click.option("--from", "since", default="", help="From this moment: seconds from the start, or HH:MM:SS."),
            click.option("--to", "until", default="", help="Up to this moment."),
        )
    ):
        function = option(function)
    return function


def _fits(text: str, patterns: tuple[str, ...]) -> bool:
    """Whether ``text`` is one of the patterns, in any case; * and ? only where the pattern has a star."""
    lowered = text.lower()
    return any(
        fnmatch.fnmatchcase(lowered, pattern.lower()) if "*" in pattern else lowered == pattern.lower()
        for pattern in patterns
    )


@dataclass(slots=True)
class Selection:
    """Which packets or exchanges of a trace are wanted."""

    lanes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    start_ns: int | None = None
    """Of the first packet of the trace; set by ``begin``."""
    _first: int = 0
    _last: int = 1 << 63

    def begin(self, time_ns: int) -> None:
        """Tell when the trace begins: from there seconds are counted. Raises click.UsageError for no moment."""
        self.start_ns = time_ns
        if self.since:
            self._first = moment(self.since, time_ns)
        if self.until:
            self._last = moment(self.until, time_ns)

    def lane(self, name: str) -> bool:
        """Whether a lane is wanted, by its name or its kind."""
        return not self.lanes or _fits(name, self.lanes) or _fits(name.partition(":")[0], self.lanes)

    def step(self, open_steps: str) -> bool:
        """Whether what happens in these steps (paths joined with a comma) is wanted."""
        if not self.steps:
            return True
        return any(_step_fits(path, wanted) for path in open_steps.split(",") if path for wanted in self.steps)

    def function(self, name: str) -> bool:
        """Whether a function is wanted."""
        return not self.functions or _fits(name, self.functions)

    def time(self, time_ns: int) -> bool:
        """Whether a moment is wanted."""
        return self._first <= time_ns <= self._last

    def over(self, time_ns: int) -> bool:
        """Whether nothing that comes at or after this moment can be wanted (lanes of one trace differ by seconds)."""
        return time_ns > self._last + 60_000_000_000


def _step_fits(path: str, wanted: str) -> bool:
    """Whether a step is the wanted one or below it; the wanted one may be named by the last parts of its path."""
    parts, asked = path.lower().split("/"), wanted.lower().strip("/").split("/")
    for at in range(len(parts) - len(asked) + 1):
        if all(_fits(part, (want,)) for part, want in zip(parts[at : at + len(asked)], asked, strict=True)):
            return True
    return False


def moment(text: str, start_ns: int) -> int:
    """Return a moment in ns since 1970: seconds from the start of the trace, HH:MM[:SS] of its day, or ISO 8601.

    Raises click.UsageError.
    """
    try:
        return start_ns + round(float(text.removeprefix("+")) * 1e9)
    except (ValueError, OverflowError):
        pass
    clock = _CLOCK.match(text)
    try:
        begin = datetime.datetime.fromtimestamp(start_ns / 1e9)
        if clock is not None:
            seconds = float(clock[3] or 0)
            found = begin.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
            found += datetime.timedelta(seconds=seconds)
            if found < begin.replace(microsecond=0):  # the trace goes over midnight
                found += datetime.timedelta(days=1)
        else:
            found = datetime.datetime.fromisoformat(text)
        return round(found.timestamp() * 1e9)
    except (ValueError, OverflowError, OSError) as error:
        raise click.UsageError(
            f"'{text}' is no moment: give seconds from the start (12.5), a time (14:03:20) or ISO 8601"
        ) from error


def clock(time_ns: int) -> str:
    """Return the local time of day with microseconds."""
    whole = datetime.datetime.fromtimestamp(time_ns // 1_000_000_000)
    return f"{whole:%H:%M:%S}.{time_ns // 1000 % 1_000_000:06d}"


def shown_text(text: str) -> str:
    """Return text from a device for a terminal: what could move its cursor is written out."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def packets_of(path: Path, follow: bool) -> Iterator[Packet]:
    """Yield the packets of a trace; ``follow``: and those to come, until its run has ended. Raises TraceError."""
    from bench.trace import reader

    if not follow:
        yield from reader.read(path)
        return
    from bench.run.liveness import alive

    yield from reader.follow(path, ended=lambda: not alive(path.parent))
