"""A one-line footer made from the key table. Textual's Footer leaks a widget a binding at every refresh."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from bench.tui.keys import Key


class KeyLine(Static):
    """The keys that work here."""

    DEFAULT_CSS = "KeyLine { dock: bottom; height: 1; background: $panel; color: $text; }"

    def __init__(self, keys: Sequence[Key]) -> None:
        parts: list[Content] = []
        for key in keys:
            parts.append(Content.styled(f" {key.label} ", "bold reverse"))
            parts.append(Content(f" {key.short}  "))
        super().__init__(Content("").join(parts), markup=False)
