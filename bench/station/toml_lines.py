"""Where each key of a TOML file stands: tomllib gives values without lines, a person needs ``file:line``.

Works on text that tomllib has accepted, so nothing is checked twice.
"""

from __future__ import annotations

import bisect
import tomllib

Key = tuple[str | int, ...]

_BARE_END = frozenset(",]}#\r\n")


def positions(text: str) -> dict[Key, int]:
    """Return the line (from 1) of every table, key and array item of a valid TOML document, by its path.

    Array items, also those of arrays of tables, are numbered from 0. Never raises on text that tomllib accepts.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.starts = [0]
        for index, character in enumerate(self.text):
            if character == "\n":
                self.starts.append(index + 1)
        self.lines: dict[Key, int] = {(): 1}
        self.arrays: dict[Key, int] = {}

    def mark(self, path: Key, at: int) -> None:
        line = bisect.bisect_right(self.starts, at)
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip(self, *, newlines: bool = True) -> None:
        """Skip blanks and comments."""
        while True:
            character = self.peek()
            if character == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif character and (character in " \t" or (newlines and character in "\r\n")):
                self.at += 1
            else:
                return

    def document(self) -> None:
        table: Key = ()
        while True:
            self.skip()
            if self.at >= len(self.text):
                return
            start = self.at
            if self.text.startswith("[[", self.at):
                self.at += 2
                table = self.header()
                number = self.arrays.get(table, -1) + 1
                self.arrays[table] = number
                table = (*table, number)
                self.lines[table] = bisect.bisect_right(self.starts, start)
                self.mark(table, start)
                self.at += 2
            elif self.peek() == "[":
                self.at += 1
                table = self.header()
                # The header itself is the better line than a dotted use of it before.
                self.lines[table] = bisect.bisect_right(self.starts, start)
                self.mark(table, start)
                self.at += 1
            else:
                self.pair(table)

    def header(self) -> Key:
        """Read a header; a part that names an array of tables means its last item."""
        path: Key = ()
        parts = self.key()
        for number, part in enumerate(parts, 1):
            path = (*path, part)
            if number < len(parts) and path in self.arrays:
                path = (*path, self.arrays[path])
        return path

    def key(self) -> list[str]:
        parts = []
        while True:
            self.skip(newlines=False)
            if self.peek() in ('"', "'"):
                start = self.at
                self.string()
                parts.append(str(tomllib.loads(f"k = {self.text[start : self.at]}")["k"]))
            else:
                start = self.at
                while self.peek() and (self.peek().isalnum() or self.peek() in "_-"):
                    self.at += 1
                parts.append(self.text[start : self.at])
                if start == self.at:
                    self.at += 1  # not reached for valid text; never loops
            self.skip(newlines=False)
            if self.peek() != ".":
                return parts
            self.at += 1

    def pair(self, table: Key) -> None:
        start = self.at
        path = (*table, *self.key())
        self.mark(path, start)
        if self.peek() == "=":
            self.at += 1
        self.skip(newlines=False)
        self.value(path)

    def value(self, path: Key) -> None:
        character = self.peek()
        if character in ('"', "'"):
            self.string()
        elif character == "[":
            self.at += 1
            number = 0
            while True:
                self.skip()
                if self.peek() in ("]", ""):
                    self.at += 1
                    return
                self.mark((*path, number), self.at)
                self.value((*path, number))
                number += 1
                self.skip()
                if self.peek() == ",":
                    self.at += 1
        elif character == "{":
            self.at += 1
            while True:
                self.skip()
                if self.peek() in ("}", ""):
                    self.at += 1
                    return
                self.pair(path)
                self.skip()
                if self.peek() == ",":
                    self.at += 1
        else:
            start = self.at
            while self.peek() and self.peek() not in _BARE_END:
                self.at += 1
            if start == self.at:
                self.at += 1

    def string(self) -> None:
        quote = self.peek()
        if self.text.startswith(quote * 3, self.at):
            self.at += 3
            while not self.text.startswith(quote * 3, self.at):
                self.at += 2 if quote == '"' and self.peek() == "\\" else 1
                if self.at >= len(self.text):
                    return
            self.at += 3
            while self.peek() == quote:  # up to two quotes may precede the closing three
                self.at += 1
            return
        self.at += 1
        while self.peek() and self.peek() != quote:
            self.at += 2 if quote == '"' and self.peek() == "\\" else 1
        self.at += 1
