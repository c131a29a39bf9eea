"""HTML of untrusted text, and of tables: the one way by which what a record says gets into a page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from bench.report.values import LONGEST, text


def e(value: object, limit: int = LONGEST) -> str:
    """Return a value as text that HTML takes as text, in elements and in quoted attributes; controls are visible."""
    return escape(text(value, limit))


def table_of(caption: str, heads: Iterable[tuple[str, str]], rows: Iterable[str], *, kind: str = "") -> str:
    """Return a table of ready rows; ``heads``: the words and the class of every column.

    ``caption`` is for who hears the page. ``kind``: class of the table; ``stack`` puts cells below one another on a
    telephone, each after its ``data-h``.
    """
    cells = "".join(
        f'<th scope="col"{f" class={chr(34)}{of}{chr(34)}" if of else ""}>{escape(words)}</th>'
        if words
        else "<td></td>"
        for words, of in heads
    )
    return (
        f'<table class="{kind}" aria-label="{escape(caption)}"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def definitions(pairs: Iterable[tuple[str, str]], *, wide: bool = False) -> str:
    """Return names with what they are, '' when there are none; the names are escaped here, the others are HTML."""
    items = "".join(f"<div><dt>{e(name, 200)}</dt><dd>{value}</dd></div>" for name, value in pairs)
    return f'<dl class="facts{" wide" if wide else ""}">{items}</dl>' if items else ""
