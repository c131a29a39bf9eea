"""A one-line footer made from the key table. Textual's Footer leaks a widget a binding at every refresh."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.strip import Strip
from textual.widget import Widget

from bench.tui.keys import Key

_NAME = Style(bold=True)
_LAST = ("safe", "help", "command_palette", "quit")


class KeyLine(Widget):
    """The keys that work here, as many as fit; SAFE, help and palette always do. A click is the key."""

    DEFAULT_CSS = "KeyLine { dock: bottom; height: 1; background: $panel; color: $text; }"

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__()
        self._keys = [key for key in keys if key.short]
        self._places: list[tuple[int, int, Key]] = []

    def render_line(self, y: int) -> Strip:
        """Return the line."""
        width = self.size.width
        look = getattr(self.app, "look", None)
        written = look.text if look is not None else str
        readonly = bool(getattr(self.app, "readonly", False))
        keys = [key for key in self._keys if not (readonly and key.changes)]
        tail = [key for key in keys if key.action in _LAST]
        room = width - sum(self._length(key) for key in tail)
        shown = []
        for key in keys:
            if key in tail:
                continue
            room -= self._length(key)
            if room < 0:
                break
            shown.append(key)
        base = self.rich_style
        segments, at = [Segment(" ", base)], 1
        self._places = []
        for key in (*shown, *tail):
            name = written(key.label)
            segments += [Segment(name, base + _NAME), Segment(f" {key.short}  ", base)]
            length = len(name) + len(key.short) + 3
            self._places.append((at, at + length, key))
            at += length
        return Strip(segments).adjust_cell_length(width, base)

    @staticmethod
    def _length(key: Key) -> int:
        return len(key.label) + len(key.short) + 3

    async def on_click(self, event: Click) -> None:
        """Do what the key under the mouse does."""
        for start, end, key in self._places:
            if start <= event.x < end:
                await self.screen.run_action(key.action if key.action not in _LAST[2:] else f"app.{key.action}")
                return
