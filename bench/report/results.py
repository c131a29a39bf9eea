"""What a run was asked to find out (events ``result``) as tables: for the page, and for a terminal.

A result is any JSON. A list of objects is a table with a row each; an object is a table for every such list in it, and
a list of facts for the rest. Columns are the objects' keys as the recipe wrote them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.report.facts import Facts
from bench.report.steps import word
from bench.report.text import e
from bench.report.values import number, quantity, table, text
from bench.run import events as kinds

_ROWS: Final = 500
"""Rows of one table that are shown; the journal has all."""
_ROOM: Final = 300_000
"""Characters of the rows of one table on the page, and ``_TABLES`` tables: a report can be sent by mail."""
_TABLES: Final = 8
_COLUMNS: Final = 30
_CELL: Final = 500
"""Characters of one cell."""
_NARROWEST: Final = 8
"""Characters of a column on a terminal that is too narrow."""
_GAP: Final = "  "
VERDICT: Final = "verdict"
"""The column whose values are verdicts."""


@dataclass(slots=True)
class ResultTable:
    """One table of a result; ``rows`` hold a text a column, verdicts as they are."""

    title: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    """What is said once, before the rows."""
    columns: list[str] = field(default_factory=list)
    numeric: list[bool] = field(default_factory=list)
    """Columns that hold numbers and nothing else."""
    rows: list[list[str]] = field(default_factory=list)
    left_out: int = 0
    """Rows beyond those that are shown."""


def tables(name: str, value: object) -> list[ResultTable]:
    """Return the tables of one result. Never raises, whatever the value is."""
    title = text(name, 100).replace("_", " ") or "result"
    if _is_rows(value):
        return [_of_rows(title, value)]
    if not isinstance(value, Mapping):
        return [ResultTable(title, [(title, cell(value))])]
    items = list(table(value).items())
    lists = [(key, item) for key, item in items if _is_rows(item)]
    facts = [(key.replace("_", " "), cell(item)) for key, item in items if not _is_rows(item)]
    found = [_of_rows(title if len(lists) == 1 else f"{title}: {key.replace('_', ' ')}", item) for key, item in lists]
    if not found:
        return [ResultTable(title, facts)]
    found[0].facts = facts
    return found


def last_of(events: Iterable[Mapping[str, Any]]) -> dict[str, object]:
    """Return the last value of every result by its name, in the order of the first ones: recipes write them anew."""
    found: dict[str, object] = {}
    for event in events:
        if event["type"] == kinds.RESULT:
            found[text(event["data"].get("name"), 100)] = event["data"].get("value")
    return found


def cell(value: object) -> str:
    """Return a value of a result as one text: lists with commas, objects as ``key value``."""
    if value is None or (isinstance(value, Sequence) and not value):
        return ""
    if isinstance(value, Mapping):
        return text(", ".join(f"{key} {cell(item)}".strip() for key, item in table(value).items()), _CELL)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return text(", ".join(cell(item) for item in value), _CELL)
    return text(quantity(value), _CELL)


def _is_rows(value: object) -> bool:
    rows = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return rows and bool(value) and all(isinstance(item, Mapping) for item in value)  # type: ignore[attr-defined]


def _of_rows(title: str, value: Any) -> ResultTable:
    rows = [table(item) for item in value[:_ROWS]]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    keys = [key for key in keys if any(cell(row.get(key)) for row in rows)][:_COLUMNS]  # what no row has says nothing
    made = ResultTable(title, columns=keys, left_out=len(value) - len(rows))
    made.numeric = [all(number(row.get(key)) is not None or row.get(key) is None for row in rows) for key in keys]
    made.rows = [[cell(row.get(key)) for key in keys] for row in rows] if keys else []
    return made


# --- for the page -------------------------------------------------------------------------------------------------


def section(facts: Facts, *, judged: bool) -> str:
    """Return the results of a run as HTML, those whose rows have verdicts or those without; '' when there are none."""
    found = [made for name, value in last_of(facts.events).items() for made in tables(name, value)]
    shown = [made for made in found if (VERDICT in made.columns) == judged]
    left = len(shown) - _TABLES
    more = f'<p class="soft">and {left} tables more, in the journal</p>' if left > 0 else ""
    return "".join(_html(made) for made in shown[:_TABLES]) + more


def _html(made: ResultTable) -> str:
    pairs = "".join(f"<div><dt>{e(name, 100)}</dt><dd>{e(value)}</dd></div>" for name, value in made.facts if value)
    said = f'<dl class="facts">{pairs}</dl>' if pairs else ""
    heading = f"<h3>{e(made.title, 200)}</h3>"
    if not made.rows:
        return heading + (said or '<p class="soft">Nothing.</p>')
    classes = [' class="n"' if numeric else "" for numeric in made.numeric]
    heads = "".join(
        f'<th scope="col"{of}>{e(_head(key), 100)}</th>' for key, of in zip(made.columns, classes, strict=True)
    )
    rows: list[str] = []
    room, left_out = _ROOM, made.left_out
    for row in made.rows:
        if room < 0:
            left_out += 1
            continue
        cells = [
            f'<td data-h="{e(_head(key), 100)}"{of}>{word(shown) if key == VERDICT else e(shown)}</td>'
            if shown
            else f"<td{of}></td>"
            for key, of, shown in zip(made.columns, classes, row, strict=True)
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
        room -= len(rows[-1])
    more = f'<p class="soft">and {left_out} more, in the journal</p>' if left_out else ""
    return (
        f'{heading}{said}<table class="stack result" aria-label="{e(made.title, 200)}"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{more}"
    )


def _head(key: str) -> str:
    return key.replace("_", " ")


# --- for a terminal -----------------------------------------------------------------------------------------------


def lines(made: ResultTable, width: int = 120, mark: Mapping[str, str] | None = None) -> list[str]:
    """Return a table as lines of at most ``width`` columns where that can be; cells are wrapped.

    ``mark``: a glyph a verdict, put before its word.
    """
    found = [_printable(made.title)]
    found += [_printable(f"  {name}: {value}") for name, value in made.facts if value]
    if not made.rows:
        return found
    grid = [[_printable(_head(key)) for key in made.columns]]
    for row in made.rows:
        marked = [
            f"{(mark or {}).get(shown, '')} {shown}".strip() if key == VERDICT else shown
            for key, shown in zip(made.columns, row, strict=True)
        ]
        grid.append([_printable(shown) for shown in marked])
    widths = _widths(grid, width - 2)
    for row in grid:
        wrapped = [
            textwrap.wrap(shown, size, break_on_hyphens=False) or [""] for shown, size in zip(row, widths, strict=True)
        ]
        for at in range(max(map(len, wrapped))):
            cells = []
            for parts, size, numeric in zip(wrapped, widths, made.numeric, strict=True):
                part = parts[at] if at < len(parts) else ""
                cells.append(part.rjust(size) if numeric else part.ljust(size))
            found.append(f"  {_GAP.join(cells)}".rstrip())
    if made.left_out:
        found.append(f"  and {made.left_out} more, in the journal")
    return found


def _printable(shown: str) -> str:
    """Return text on one line that cannot steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in shown)


def _widths(grid: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return a width a column: as wide as it is, the widest made narrower until all fit."""
    widths = [max(1, *(len(row[at]) for row in grid)) for at in range(len(grid[0]))]
    spare = width - len(_GAP) * (len(widths) - 1)
    while sum(widths) > spare and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths
