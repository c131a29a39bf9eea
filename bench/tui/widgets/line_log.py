"""A log that draws only the visible lines: tens of thousands of lines a second at a few per cent of a core."""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

LIMIT = 100_000
"""Lines kept for display; the file keeps all of them."""
TRIM = 10_000
"""Lines dropped at once when the limit is passed, so that trimming is rare."""


class LineLog(ScrollView, can_focus=True):
    """Lines of plain text with a style each; follows the newest line unless held."""

    DEFAULT_CSS = "LineLog { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[tuple[str, Style]] = []
        self.following = True
        self.dropped = 0

    @property
    def count(self) -> int:
        """Lines shown so far, those dropped from display included."""
        return self.dropped + len(self._lines)

    def clear(self) -> None:
        """Forget all lines."""
        self._lines.clear()
        self.dropped = 0
        self.virtual_size = Size(0, 0)
        self.refresh()

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
        self.virtual_size = Size(0, len(self._lines))
        if self.following:
            height = self.scrollable_content_region.height
            self.scroll_to(y=max(0, len(self._lines) - height), animate=False, force=True, immediate=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one visible line."""
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if not 0 <= index < len(self._lines):
            return Strip.blank(width, self.rich_style)
        text, style = self._lines[index]
        return Strip([Segment(text, self.rich_style + style)]).adjust_cell_length(width, self.rich_style)
