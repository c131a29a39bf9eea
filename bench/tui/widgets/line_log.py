"""A log that draws only the visible lines: tens of thousands of lines a second at a few per cent of a core."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Iterable

from rich.style import Style

from bench.tui.widgets.line_view import Line, LineView

LIMIT = 100_000
"""Lines kept for display; the file keeps all of them."""
TRIM = 10_000
"""Lines dropped at once when the limit is passed, so that trimming is rare."""


class LineLog(LineView):
    """Lines of plain text with a style each; follows the newest line unless held."""

    def __init__(
        self, *, id: str | None = None, classes: str | None = None, cursor: bool = False, fold: bool = False
    ) -> None:
        """``fold``: lines of ``show`` that are too long go on below, instead of being cut."""
        super().__init__(id=id, classes=classes, cursor=cursor)
        self._lines: list[tuple[str, Style]] = []
        self._whole: list[tuple[str, Style]] = []
        """The lines before they were folded."""
        self._fold = fold
        self.following = True
        self.dropped = 0

    @property
    def total(self) -> int:
        """Lines shown so far, those dropped from display included."""
        return self.dropped + len(self._lines)

    def count(self) -> int:
        """Return how many lines are kept."""
        return len(self._lines)

    def line(self, index: int) -> Line:
        """Return one line."""
        return (self._lines[index],)

    def texts(self) -> list[str]:
        """Return all lines that are kept as plain text."""
        return [text for text, _ in (self._whole if self._fold else self._lines)]

    def clear(self) -> None:
        """Forget all lines."""
        self._lines.clear()
        self._whole.clear()
        self.dropped = 0
        self.changed()

    def show(self, lines: Iterable[tuple[str, Style]]) -> None:
        """Show these lines instead of those that are there; draws only when they differ."""
        new = list(lines)
        if self._fold:
            self._whole, width = new, self.scrollable_content_region.width
            new = [(part, style) for text, style in new for part in folded(text, width)]
        if new != self._lines:
            self._lines = new
            self.changed()

    def on_resize(self) -> None:
        """Fold again."""
        super().on_resize()
        if self._fold:
            self.show(self._whole)

    def extend(self, lines: Iterable[tuple[str, Style]]) -> None:
        """Append lines; one refresh for all of them."""
        before = len(self._lines)
        self._lines.extend(lines)
        if len(self._lines) == before:
            return
        if len(self._lines) > LIMIT:
            excess = len(self._lines) - LIMIT + TRIM
            del self._lines[:excess]
            self.dropped += excess
        self.changed()


@functools.lru_cache(2048)
def folded(text: str, width: int) -> tuple[str, ...]:
    """Return a line as lines of at most ``width`` letters, the later ones set in."""
    if len(text) <= width or width < 16:
        return (text,)
    indent = " " * min(width // 3, len(text) - len(text.lstrip()) + 2)
    return tuple(textwrap.wrap(text, width, subsequent_indent=indent))
