"""Answers to the questions of a run (``station.ask``) that a person types at the terminal where it is followed."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_LOOK: Final = 0.2
"""Seconds between two looks whether the question is still open."""
_TAKEN_WITHIN: Final = 2.0
"""Seconds in which the supervisor knows of a question that the journal has."""
_LONGEST: Final = 4096


def chosen(text: str, choices: Sequence[str]) -> str | None:
    """Return the choice that was typed: its word, its number from 1 on, or a beginning that only one has; else None."""
    typed = text.strip().casefold()
    if not typed:
        return None
    exact = [choice for choice in choices if choice.casefold() == typed]
    if exact:
        return exact[0]
    if typed.isascii() and typed.isdecimal() and len(typed) < 4 and 1 <= int(typed) <= len(choices):
        return choices[int(typed) - 1]
    near = [choice for choice in choices if choice.casefold().startswith(typed)]
    return near[0] if len(near) == 1 else None


class Answers:
    """Reads standard input while a question is open, and only then: the rest of the time it belongs to the shell."""

    def __init__(self, folder: Path, say: Callable[[str], None], *, show: bool = False, fd: int = 0) -> None:
        """``say`` prints a line; ``show``: questions too, where nobody else does."""
        self._folder = folder
        self._say = say
        self._show = show
        self._fd = fd
        self._lock = threading.Lock()
        self._open: tuple[int, tuple[str, ...]] | None = None
        self._reader: threading.Thread | None = None

    def event(self, event: Mapping[str, Any]) -> None:
        """Take a journal event: a question opens, its answer or the end of the run closes it."""
        kind, data = event.get("type"), event.get("data") or {}
        if kind == "ask" and isinstance(data.get("id"), int):
            with self._lock:
                choices = tuple(str(choice) for choice in data.get("choices", ()))
                self._open = (data["id"], choices)
            if self._show:
                self._say(f"? {data.get('text', '')}  [{' / '.join(choices)}]")
            if self._reader is None or not self._reader.is_alive():
                self._reader = threading.Thread(target=self._read, daemon=True, name="answers")
                self._reader.start()
        elif kind in ("answer", "run-end", "broken"):
            self.close()

    def close(self) -> None:
        """No question is open any more."""
        with self._lock:
            self._open = None

    def _read(self) -> None:
        rest = b""
        while True:
            with self._lock:
                question = self._open
                if question is None:
                    self._reader = None
                    return
            try:
                if not select.select([self._fd], [], [], _LOOK)[0]:
                    continue
                data = os.read(self._fd, _LONGEST)
            except (OSError, ValueError):
                return
            if not data:  # nobody is there any more; the question stays open for others
                return
            *lines, rest = (rest + data)[-_LONGEST:].split(b"\n")
            for line in lines:
                self._answer(line.decode(errors="replace"), *question)

    def _answer(self, text: str, number: int, choices: Sequence[str]) -> None:
        from bench.client.control import answer
        from bench.errors import BenchError

        choice = chosen(text, choices)
        if choice is None:
            if text.strip():
                self._say(f"? answer with one of: {', '.join(choices)}")
            return
        until = time.monotonic() + _TAKEN_WITHIN
        try:
            while not answer(self._folder, number, choice):
                # The journal has the question a moment before the supervisor has it.
                if not self._is_open(number) or time.monotonic() >= until:
                    self._say("? the question is not open any more")
                    return
                time.sleep(_LOOK / 4)
        except BenchError as error:
            self._say(f"? {error}")
            return
        with self._lock:
            if self._open is not None and self._open[0] == number:
                self._open = None

    def _is_open(self, number: int) -> bool:
        with self._lock:
            return self._open is not None and self._open[0] == number
