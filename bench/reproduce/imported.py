"""What import has understood of files: sources with what was recognised and ignored, happenings, packets, facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.reproduce.course import Call, Course
from bench.trace.lane import Direction
from bench.trace.reader import Packet

MOST_LISTED: Final = 2_000
"""Ignored lines of one source that are listed one by one; of the others the number is told."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that a source tells. ``time``: seconds since 1970 by the source's clock, None where it tells none."""

    time: float | None
    line: int
    """Line of the text, or number of the packet, from 1."""
    what: str
    """``urc``, ``restart``, ``port-gone``, ``reject``, ``card-error``, ``tls``, ``rsrp``, ``volts``, ..."""
    text: str
    value: float | None = None

    @property
    def key(self) -> str:
        """What stands for the same happening in another source; empty where nothing does."""
        return f"{self.what} {self.text}" if self.what in ("registration", "restart", "reject", "port-gone") else ""


@dataclass(slots=True)
class Source:
    """One file, or one member of an archive."""

    name: str
    kind: str = "unknown"
    recognised: Counter[str] = field(default_factory=Counter)
    """What was understood: ``AT lines``, ``APDUs``, ``journal events``."""
    ignored: list[tuple[int, str]] = field(default_factory=list)
    """Line or packet, and what it says or why it is not understood."""
    ignored_more: int = 0
    """Ignored beyond those listed."""
    notes: list[str] = field(default_factory=list)
    """Cut off, not UTF-8, without times."""
    happenings: list[Happening] = field(default_factory=list)
    carried: list[tuple[int, float, bytes]] = field(default_factory=list)
    """NAS inside RRC, by packet and time: read where the capture has no NAS of its own."""
    packets: list[Packet] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    course: Course | None = None
    """Of a run folder."""
    order: Mapping[str, Any] | None = None
    """Of a run folder: recipe, parameters, world as it was ordered."""
    offset: float = 0.0
    """Seconds to add to its times to have those of the first source with times,"""
    drift: float = 0.0
    """and how that grows, in ppm, from ``begin`` on."""
    begin: float = 0.0
    aligned: str = ""
    """How that is known."""

    @property
    def understood(self) -> bool:
        """Whether anything was."""
        return bool(sum(self.recognised.values()))

    def ignore(self, line: int, text: str) -> None:
        """List what is not understood."""
        if len(self.ignored) < MOST_LISTED:
            self.ignored.append((line, text[:200]))
        else:
            self.ignored_more += 1

    def common(self, time: float) -> float:
        """Return one of its times in the common clock."""
        return time + self.offset + (time - self.begin) * self.drift / 1e6

    def add(self, lane: str, time: float | None, line: int, direction: Direction, data: bytes) -> None:
        """Take one message of a lane; without a time of its own it stands after the one before."""
        now = round(time * 1e9) if time is not None else (self.packets[-1].time_ns + 1 if self.packets else 0)
        self.packets.append(Packet(lane, max(0, now), direction, data, "", "", line))

    def data(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "kind": self.kind,
            "recognised": dict(self.recognised),
            "ignored": [{"line": line, "text": text} for line, text in self.ignored],
            "ignored_more": self.ignored_more,
            "notes": self.notes,
            "offset_s": self.offset,
            "drift_ppm": self.drift,
            "clock": self.aligned,
        }


@dataclass(slots=True)
class Imported:
    """Everything of one case."""

    sources: list[Source]

    @property
    def calls(self) -> list[Call]:
        """Functions as they were called, of all sources, in the common clock."""
        from bench.reproduce.course import call_of
        from bench.trace.calls import exchanges

        found: list[tuple[float, Call]] = []
        for source in self.sources:
            if source.course is not None:
                found += [(call.t, call) for call in source.course.calls]
                continue
            for made in exchanges(source.packets, relayed=True):
                if not made.relayed or made.ok is False:
                    found.append((source.common(made.start_ns / 1e9), call_of(made)))
        return [call for _, call in sorted(found, key=lambda item: item[0])]

    @property
    def happenings(self) -> list[tuple[Source, Happening]]:
        """In the order of the common clock; those without a time keep their place in their source."""
        found: list[tuple[float, int, Source, Happening]] = []
        for source in self.sources:
            last = 0.0
            for number, item in enumerate(source.happenings):
                last = source.common(item.time) if item.time is not None else last
                found.append((last, number, source, item))
        found.sort(key=lambda item: (item[0], item[1]))
        return [(source, item) for _, _, source, item in found]

    @property
    def facts(self) -> dict[str, str]:
        """What failed, as far as the files tell."""
        made: dict[str, str] = {}
        for source in self.sources:
            made |= {name: value for name, value in source.facts.items() if name not in made}
        return made

    def ending(self) -> Sequence[str]:
        """Return a line for each source: what was understood, what not, and by which clock."""
        lines = []
        for source in self.sources:
            known = ", ".join(f"{count} {name}" for name, count in source.recognised.items()) or "nothing"
            left = len(source.ignored) + source.ignored_more
            lines.append(f"{source.name}: {source.kind}; understood: {known}; ignored: {left}; clock: {source.aligned}")
        return lines
