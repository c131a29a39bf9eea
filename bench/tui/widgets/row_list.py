"""A table: columns by width, a key a row, a cursor that stays on its row when rows come and go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.style import Style

from bench.tui.widgets.line_view import Line, LineView

Cell = str | tuple[str, Style]
_PLAIN = Style()
_HEAD = Style(bold=True, underline=True)


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``grow`` > 0 takes a share of the width that is left."""

    title: str
    width: int
    grow: int = 0
    right: bool = False
    optional: int = 0
    """Left out when the table is narrower than so many cells."""


@dataclass(slots=True)
class Row:
    """One row."""

    key: str
    cells: Sequence[Cell]
    line: Line = field(default=(), compare=False)


class RowList(LineView):
    """Rows with a cursor."""

    HEAD = 1

    def __init__(self, columns: Sequence[Column], *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.columns = tuple(columns)
        self.rows: list[Row] = []
        self._drawn_width = -1
        self._shown: list[tuple[int, Column, int]] = []

    def count(self) -> int:
        """Return how many rows there are."""
        return len(self.rows)

    @property
    def selected(self) -> str:
        """Key of the row under the cursor, empty when there is none."""
        return self.rows[self.cursor].key if self.cursor < len(self.rows) else ""

    def show(self, rows: Iterable[Row]) -> None:
        """Show these rows; the cursor stays on the row of the same key."""
        new = list(rows)
        if new == self.rows:
            return
        key, had = self.selected, bool(self.rows)
        self.rows = new
        if had and self.selected != key:
            at = next((index for index, row in enumerate(new) if row.key == key), None)
            if at is not None:
                self.cursor = at
        self.changed()
        if self.selected != key:
            self.post_message(self.Moved(self))

    def select(self, key: str) -> bool:
        """Put the cursor on a row; False when there is none of this key."""
        for index, row in enumerate(self.rows):
            if row.key == key:
                self.move_to(index)
                return True
        return False

    def texts(self) -> list[str]:
        """Return heading and rows as plain text."""
        self._fit()
        lines = [self.head(0), *(self.line(index) for index in range(len(self.rows)))]
        return ["".join(text for text, _ in line).rstrip() for line in lines]

    def head(self, y: int) -> Line:
        """Return the titles."""
        self._fit()
        return [("  ", _PLAIN)] + [
            piece
            for _, column, width in self._shown
            for piece in ((_fitted(column.title, width, column.right), _HEAD), (" ", _PLAIN))
        ]

    def line(self, index: int) -> Line:
        """Return one row."""
        self._fit()
        row = self.rows[index]
        if not row.line:
            here = [("  ", _PLAIN)]
            for at, column, width in self._shown:
                cell = row.cells[at] if at < len(row.cells) else ""
                text, style = cell if isinstance(cell, tuple) else (cell, _PLAIN)
                here += [(_fitted(text, width, column.right), style), (" ", _PLAIN)]
            row.line = here
        if self.has_cursor and index == self.cursor:
            return [(f"{self._sign()} ", _PLAIN), *row.line[1:]]
        return row.line

    def _sign(self) -> str:
        look = getattr(self.app, "look", None)
        return look.glyph("cursor") if look is not None else ">"

    def _fit(self) -> None:
        width = self.scrollable_content_region.width
        if width == self._drawn_width:
            return
        self._drawn_width = width
        columns = [(at, column) for at, column in enumerate(self.columns) if width >= column.optional]
        left = width - 3 - sum(column.width + 1 for _, column in columns)
        shares = sum(column.grow for _, column in columns)
        self._shown = [
            (at, column, column.width + (max(0, left) * column.grow // shares if shares else 0))
            for at, column in columns
        ]
        for row in self.rows:
            row.line = ()


def _fitted(text: str, width: int, right: bool) -> str:
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + ("~" if text.isascii() else "…") if width > 1 else text[:width]
    return " " * (width - length) + text if right else text + " " * (width - length)
