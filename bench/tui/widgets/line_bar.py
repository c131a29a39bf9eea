"""The bar beside lines. Textual's is drawn anew, through Rich, with every line that comes."""

from __future__ import annotations

from typing import Any, Self

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.scrollbar import ScrollBar
from textual.strip import Strip


class LineBar(ScrollBar):
    """A vertical bar in whole cells; only cells that change are drawn."""

    _cells: tuple[int, int] = (0, 0)
    """First cell of the thumb and the one behind its last, as it was drawn."""
    _coloured: object = None
    _strips: tuple[Strip, Strip, Strip] = (Strip([]),) * 3
    """Above the thumb, the thumb, below it."""

    def thumb(self) -> tuple[int, int]:
        """Return the first cell of the thumb and the one behind its last; (0, 0) when there is all to see."""
        size, window, all_lines = self.size.height, self.window_size, self.window_virtual_size
        if not size or not window or window >= all_lines:
            return 0, 0
        length = max(1, round(size * window / all_lines))
        start = round((size - length) * min(1.0, self.position / (all_lines - window)))
        # The ends of the bar are for the ends of the lines alone.
        if self.position > 0 and size > length + 1:
            start = max(1, start)
        return start, start + length

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Draw the cells that are no longer what was drawn; all of them where something else is asked for."""
        if layout or recompose or regions or not self.is_mounted or self._colours_key() != self._coloured:
            return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        was, now = set(range(*self._cells)), set(range(*self.thumb()))
        self._cells = self.thumb()
        for y in was ^ now:
            super().refresh(Region(0, y, self.size.width, 1))
        return self

    def _colours_key(self) -> tuple[Any, ...]:
        return self.grabbed is not None, self.mouse_over, self.app.theme, self.size

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the cells."""
        if (key := self._colours_key()) != self._coloured:
            self._coloured = key
            self._strips = self._made()
        self._cells = self.thumb()
        return super().render_lines(crop)

    def _made(self) -> tuple[Strip, Strip, Strip]:
        assert self.parent is not None
        styles = self.parent.styles
        if self.grabbed is not None:
            background, colour = styles.scrollbar_background_active, styles.scrollbar_color_active
        elif self.mouse_over:
            background, colour = styles.scrollbar_background_hover, styles.scrollbar_color_hover
        else:
            background, colour = styles.scrollbar_background, styles.scrollbar_color
        if background.a < 1:
            background = self.parent.background_colors[0] + background
        colour = background + colour
        width = self.size.width

        def strip(of: Any, does: str) -> Strip:
            return Strip([Segment(" " * width, Style(bgcolor=of.rich_color, meta={"@mouse.down": does}))], width)

        return strip(background, "scroll_up"), strip(colour, "grab"), strip(background, "scroll_down")

    def render_line(self, y: int) -> Strip:
        """Return one cell."""
        start, end = self._cells
        return self._strips[0 if y < start else 1 if y < end else 2]
