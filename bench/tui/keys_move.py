"""Keys that move the cursor in every list, log and tree: a part of the key table for who needs no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Move:
    """Keys of one movement."""

    key: str
    action: str
    help: str
    shown: str


MOVES: Final[tuple[Move, ...]] = (
    Move("down,j", "line_down", "One line down", "↓ j"),
    Move("up,k", "line_up", "One line up", "↑ k"),
    Move("pagedown", "page_down", "One page down", "PgDn"),
    Move("pageup", "page_up", "One page up", "PgUp"),
    Move("ctrl+d", "half_down", "Half a page down", "^d"),
    Move("ctrl+u", "half_up", "Half a page up", "^u"),
    Move("home,g", "first", "To the first line", "g"),
    Move("end,G", "last", "To the last line", "G"),
)
