"""Lines drawn one by one as they become visible: what every list, log and tree of the screens is made of.

Textual's RichLog and DataTable cost a hundred times as much a line and hold on to what they showed. Here a subclass
says how many lines there are and what line *n* is; nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from bench.tui.keys_move import MOVES
from bench.tui.widgets.line_bar import LineBar

Line = Sequence[tuple[str, Style]]
"""Pieces of text with a style each."""


class LineView(ScrollView, can_focus=True):
    """A list of lines with a cursor; follows the newest line when told so."""

    DEFAULT_CSS = """
    LineView { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(move.key, move.action, move.help, show=False) for move in MOVES),
        Binding("enter", "open_line", "open", show=False),
    ]
    HEAD: ClassVar[int] = 0
    """Lines at the top that do not scroll."""

    class Moved(Message):
        """The cursor is on another line."""

        def __init__(self, view: LineView) -> None:
            super().__init__()
            self.view = view

        @property
        def control(self) -> LineView:
            """Whose it is."""
            return self.view

    class Opened(Moved):
        """Enter or a second click on a line."""

    def __init__(self, *, id: str | None = None, classes: str | None = None, cursor: bool = True) -> None:
        super().__init__(id=id, classes=classes)
        self.following = False
        self.cursor = 0
        self.has_cursor = cursor
        self._known = 0
        self._base = Style()
        self._drawn: dict[int, tuple[Hashable, bool]] = {}
        """What the visible lines were made of as they were drawn, and whether the cursor was on them."""
        self._strips: dict[tuple[Hashable, bool], Strip] = {}
        """Lines as they were drawn, border and all: one that only moves up is not made again."""
        self._around: object = None
        """What every line of ``_strips`` was drawn with."""
        self._edges: tuple[list[Segment], list[Segment]] | None = None
        """Border and padding left and right of a line."""

    # --- what a subclass tells ---------------------------------------------------------------------------------------

    def count(self) -> int:
        """Return how many lines there are."""
        return 0

    def line(self, index: int) -> Line:
        """Return one line; called for visible lines alone."""
        return ()

    def head(self, y: int) -> Line:
        """Return one of the ``HEAD`` lines at the top."""
        return ()

    def made_of(self, index: int) -> Hashable:
        """Return what a line is made of: as long as that is equal, it looks the same."""
        return tuple(self.line(index))

    def forget(self) -> None:
        """Forget how lines were drawn: what ``made_of`` names now stands for something else."""
        self._strips.clear()
        self._drawn.clear()

    # --- cursor ------------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Draw again: lines have come, gone or changed."""
        count = self.count()
        same = count == self._known
        if not same:
            self._known = count
            # Set as an ordinary attribute it lays the whole page out again, which costs more than all the lines.
            self.set_reactive(LineView.virtual_size, Size(0, count + self.HEAD))
            self._scroll_update(self.virtual_size)
        if self.following or self.cursor >= count:
            self.cursor = max(0, count - 1)
            self._show_cursor()
        if same:
            self.refresh_changed()
        else:
            self.refresh(self.size.region)

    def refresh_changed(self) -> None:
        """Draw again the visible lines that are no longer what was drawn: each costs composing it anew."""
        width, top, count = self.size.width, self.scroll_offset.y, self.count()
        for y in range(self.HEAD, self.size.height):
            index = y - self.HEAD + top
            now = (self.made_of(index), self._on_cursor(index)) if 0 <= index < count else _NOTHING
            if now != self._drawn.get(y):
                self.refresh(Region(0, y, width, 1))

    def _on_cursor(self, index: int) -> bool:
        return self.has_cursor and index == self.cursor

    def move_to(self, index: int, *, centre: bool = False) -> None:
        """Put the cursor on a line and show it."""
        count = self.count()
        index = min(max(0, index), max(0, count - 1))
        moved = index != self.cursor
        self.cursor = index
        self._show_cursor(centre=centre)
        self.refresh_changed()
        if moved:
            self.post_message(self.Moved(self))

    def _show_cursor(self, *, centre: bool = False) -> None:
        height = max(1, self.scrollable_content_region.height - self.HEAD)
        top = self.scroll_offset.y
        if centre:
            top = self.cursor - height // 2
        elif self.cursor < top:
            top = self.cursor
        elif self.cursor >= top + height:
            top = self.cursor - height + 1
        top = max(0, min(top, self.count() - height))
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def _step(self, by: int) -> None:
        if not self.has_cursor:
            self.following = False
            self.scroll_to(y=self.scroll_offset.y + by, animate=False, force=True, immediate=True)
            return
        self.following = False
        self.move_to(self.cursor + by)

    def action_line_down(self) -> None:
        """One line down."""
        self._step(1)

    def action_line_up(self) -> None:
        """One line up."""
        self._step(-1)

    def action_half_down(self) -> None:
        """Half a page down."""
        self._step(max(1, self.size.height // 2))

    def action_half_up(self) -> None:
        """Half a page up."""
        self._step(-max(1, self.size.height // 2))

    def action_page_down(self) -> None:
        """A page down."""
        self._step(max(1, self.size.height - self.HEAD - 1))

    def action_page_up(self) -> None:
        """A page up."""
        self._step(-max(1, self.size.height - self.HEAD - 1))

    def action_first(self) -> None:
        """To the first line."""
        self._step(-self.count())

    def action_last(self) -> None:
        """To the last line."""
        self._step(self.count())

    def action_open_line(self) -> None:
        """Open the line under the cursor."""
        if self.count():
            self.post_message(self.Opened(self))

    def on_click(self, event: Click) -> None:
        """Put the cursor where it was clicked; a click on the cursor opens."""
        offset = event.get_content_offset(self)
        if offset is None or not self.has_cursor or offset.y < self.HEAD:
            return
        index = offset.y - self.HEAD + self.scroll_offset.y
        if not 0 <= index < self.count():
            return
        again = index == self.cursor and event.chain > 1
        self.following = False
        self.move_to(index)
        if again:
            self.post_message(self.Opened(self))

    def on_mouse_scroll_up(self) -> None:
        """Whoever scrolls back wants to read: stop following."""
        self.following = False

    def on_resize(self) -> None:
        """Keep the cursor visible."""
        self._show_cursor()

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """The bar begins where the lines are: Textual moves only a bar that is already shown."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    @property
    def vertical_scrollbar(self) -> LineBar:
        """The bar; made when it is first asked for."""
        if self._vertical_scrollbar is None:
            made = self._vertical_scrollbar = LineBar(name="vertical", thickness=self.scrollbar_size_vertical)
            made.display = False
            self.app._start_widget(self, made)
        assert isinstance(self._vertical_scrollbar, LineBar)
        return self._vertical_scrollbar

    # --- drawing -----------------------------------------------------------------------------------------------------

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the visible lines; those that were drawn before, here or elsewhere, are not made again."""
        self._base = self.rich_style
        styles, width = self.styles, self.region.width
        around = (
            self._base, self.background_colors, styles.border, width, self.scrollable_content_region.width,
            self.has_focus, _CURSOR, getattr(self.app, "look", None),
        )  # fmt: skip
        if around != self._around:
            self._around = around
            self._strips.clear()
            self._edges = None
        elif len(self._strips) > _SCREENS * self.size.height:
            seen = set(self._drawn.values())  # a strip keeps all that was ever cut from it
            self._strips = {made: strip for made, strip in self._strips.items() if made in seen}
        first = styles.gutter.top + self.HEAD
        last, top, count = first + self.scrollable_content_region.height - self.HEAD, self.scroll_offset.y, self.count()
        found: dict[int, Strip] = {}
        for y in crop.line_range:
            if first <= y < last:
                index = y - first + top
                made = (self.made_of(index), self._on_cursor(index)) if index < count else _NOTHING
                self._drawn[y - styles.gutter.top] = made
                if (strip := self._strips.get(made)) is not None:
                    found[y] = strip
        missing = [y for y in crop.line_range if y not in found]
        if missing and self.opacity == 1.0 == styles.text_opacity and not styles.tint.a:
            for y in [y for y in missing if first <= y < last]:
                found[y] = self._strips[self._drawn[y - styles.gutter.top]] = self._framed(y - styles.gutter.top)
            missing = [y for y in missing if y not in found]
        while missing:
            run = 1
            while run < len(missing) and missing[run] == missing[0] + run:
                run += 1
            for y, strip in enumerate(super().render_lines(Region(0, missing[0], width, run)), missing[0]):
                found[y] = strip
                if first <= y < last:
                    self._strips[self._drawn[y - styles.gutter.top]] = strip
            del missing[:run]
        strips = [found[y] for y in crop.line_range]
        if crop.column_span == (0, width):
            return strips
        return [strip.crop(*crop.column_span) for strip in strips]

    def _framed(self, y: int) -> Strip:
        """Return one visible line between its edges, which Textual works out anew for each line of each frame."""
        gutter, width = self.styles.gutter, self.region.width
        if self._edges is None:
            begin, end = gutter.left, gutter.left + self.scrollable_content_region.width
            (whole,) = super().render_lines(Region(0, y + gutter.top, width, 1))
            self._edges = list(whole.crop(0, begin)), list(whole.crop(end, width))
        strip, background = self.render_line(y), self.background_colors[1]
        for each in self.get_line_filters():
            strip = strip.apply_filter(each, background)
        left, right = self._edges
        return Strip([*left, *strip, *right], width)

    def render_line(self, y: int) -> Strip:
        """Return one visible line."""
        width = self.scrollable_content_region.width
        base = self._base
        if y < self.HEAD:
            return _strip(self.head(y), base, width)
        index = y - self.HEAD + self.scroll_offset.y
        if not 0 <= index < self.count():
            return Strip.blank(width, base)
        if self._on_cursor(index):
            base += _CURSOR_FOCUSED if self.has_focus else _CURSOR
        return _strip(self.line(index), base, width)


_NOTHING: tuple[Hashable, bool] = (), False
_SCREENS = 2
"""So many times the visible lines are kept as they were drawn."""
_CURSOR = Style(bgcolor="#262C32")
_CURSOR_FOCUSED = Style(bgcolor="#1C3B52", bold=True)
_CURSORS_LIGHT = Style(bgcolor="#D0D8DE"), Style(bgcolor="#B4D2E7", bold=True)
_CURSORS_GREY = Style(bgcolor="#303030"), Style(bgcolor="#4C4C4C", bold=True)
_CURSORS_DARK = _CURSOR, _CURSOR_FOCUSED


def cursors(theme: str) -> tuple[Style, Style]:
    """Return the cursor line of a theme, and that of the list which has the focus."""
    return {"bench-light": _CURSORS_LIGHT, "bench-grey": _CURSORS_GREY}.get(theme, _CURSORS_DARK)


def use_cursors(theme: str) -> None:
    """Choose the colours of the cursor line for a theme."""
    global _CURSOR, _CURSOR_FOCUSED
    _CURSOR, _CURSOR_FOCUSED = cursors(theme)


def _strip(line: Iterable[tuple[str, Style]], base: Style, width: int) -> Strip:
    segments, length = [], 0
    for text, style in line:
        segments.append(Segment(text, base + style))
        # Rich looks every letter up; letters of ASCII are a cell each.
        length += len(text) if text.isascii() and text.isprintable() else cell_len(text)
    if length < width:
        segments.append(Segment(" " * (width - length), base))
        length = width
    strip = Strip(segments, length)
    return strip if length == width else strip.adjust_cell_length(width, base)
