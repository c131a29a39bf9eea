"""Bytes of a console as lines and matches: bounded whatever comes. No I/O."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from bench.station.dut_parts import ConsoleMatch, agrees

LONGEST: Final = 4096
"""Bytes after which a line without an end is cut and taken as one."""
LINES: Final = 500
MATCHES: Final = 1000
_ENDS = re.compile(rb"\r*\n|\r+")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def shown(line: bytes) -> str:
    """Return a line as text: without colours and control characters, bytes that are no UTF-8 replaced."""
    return _CONTROL.sub("", _ESCAPES.sub("", line.decode("utf-8", "replace"))).rstrip("\r\n")


class LineReader:
    """Cuts a stream into lines; what has no end yet stays, at most ``LONGEST`` bytes of it."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield each line that is complete now, with its end; a CR at the very end waits for its LF."""
        buffer = self.rest + data
        start = 0
        for found in _ENDS.finditer(buffer):
            if found.end() == len(buffer) and not found.group().endswith(b"\n") and len(buffer) - start < LONGEST:
                break
            line = buffer[start : found.end()]
            while len(line) > LONGEST:  # it came at once: cut as if it had come in pieces
                yield line[:LONGEST]
                line = line[LONGEST:]
            yield line
            start = found.end()
        buffer = buffer[start:]
        while len(buffer) >= LONGEST:
            yield buffer[:LONGEST]
            buffer = buffer[LONGEST:]
        self.rest = buffer

    def flush(self) -> bytes:
        """Return what has no end and forget it: the port is gone."""
        rest, self.rest = self.rest, b""
        return rest


class Matcher:
    """Named patterns over lines. Also looks at a line that is not complete: a prompt never is."""

    def __init__(self, patterns: Mapping[str, re.Pattern[str]]) -> None:
        self.patterns = dict(patterns)
        self.lines: deque[str] = deque(maxlen=LINES)
        self.matches: deque[ConsoleMatch] = deque(maxlen=MATCHES)
        self.count = 0
        self._partial: set[str] = set()
        """Patterns that the line without an end fits already."""

    def line(self, raw: bytes, now: float) -> list[ConsoleMatch]:
        """Take a complete line, or what is left of one that never ended; return the new matches.

        What was torn off with the port, or cut for its length, is matched as ``partial`` does: ``registered 31041`` may
        have been going to be 310410.
        """
        text = shown(raw)
        found = self._look(text, now, final=raw.endswith((b"\n", b"\r")))
        self._partial.clear()
        if text.strip():
            self.lines.append(text.rstrip())
        return found

    def partial(self, raw: bytes, now: float) -> list[ConsoleMatch]:
        """Look at a line that has not ended. Patterns with groups wait for the end: their text may go on."""
        return self._look(shown(raw), now, final=False) if raw else []

    def _look(self, text: str, now: float, *, final: bool) -> list[ConsoleMatch]:
        found = []
        for name, pattern in self.patterns.items():
            if name in self._partial or (not final and pattern.groups):
                continue
            match = pattern.search(text)
            if match is None:
                continue
            if not final:
                self._partial.add(name)
            values = {key: value for key, value in match.groupdict().items() if value is not None}
            self.count += 1
            found.append(ConsoleMatch(name, text, now, values, self.count))
        self.matches.extend(found)
        return found

    def first(self, name: str, since: float, values: Mapping[str, str], *, after: int = 0) -> ConsoleMatch | None:
        """Return the first match since ``since``, of a number above ``after``, whose groups have these values."""
        news = (match for match in self.matches if match.at >= since and match.number > after)
        return next((match for match in news if fits(match, name, values)), None)

    def latest(self, name: str) -> ConsoleMatch | None:
        """Return the last match of a pattern."""
        return next((match for match in reversed(self.matches) if match.name == name), None)


def fits(match: ConsoleMatch, name: str, values: Mapping[str, str]) -> bool:
    """Whether a match is of the pattern and tells nothing else than ``values`` for the groups it has."""
    told = match.values
    return match.name == name and all(agrees(told[key], value) for key, value in values.items() if key in told)
