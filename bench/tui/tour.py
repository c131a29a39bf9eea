"""The guided tour of ``bench demo``: a line below the pages that says what to press, and notices when it was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bench.tui import keys

if TYPE_CHECKING:
    from bench.tui.app import BenchApp


def _live(app: BenchApp) -> bool:
    return any(run.state == "running" for run in app.overview.runs)


def _on(page: str) -> Callable[[BenchApp], bool]:
    def here(app: BenchApp) -> bool:
        current = app.current()
        return current is not None and page == current.PAGE

    return here


def _selected(app: BenchApp) -> bool:
    page = app.current()
    return page is not None and page.PAGE == keys.RUN and page.mark is not None


def _ended(app: BenchApp) -> bool:
    page = app.current()
    return page is not None and page.PAGE == keys.RUN and page.feed is not None and page.feed.ended


STEPS: Final[tuple[tuple[str, Callable[[BenchApp], bool]], ...]] = (
    ("r runs the main job: bootstrap to operational through the eIM, on simulated hardware", _live),
    ("steps left, every lane in the middle: arrow up stops following and decodes a packet at the right", _selected),
    ("f follows again; wait for the verdict, it comes in about ten seconds", _ended),
    ("6 is the history: enter opens a run, a and d compare two", _on(keys.HISTORY)),
    ("3 has every recipe: tab goes to its form, ^o checks it, the command line stands beside it", _on(keys.RECIPES)),
    ("7 switches outputs by hand: s begins a session, o and 0 switch, c types an AT line", _on(keys.INSTRUMENTS)),
    ("F12 makes safe what you hold, from every page and dialog; press it now", lambda app: bool(app.safe_told)),
)


class Tour:
    """Where the guest is."""

    def __init__(self) -> None:
        self.at = 0

    def look(self, app: BenchApp) -> None:
        """Go on when what was asked for is done."""
        if self.at < len(STEPS) and STEPS[self.at][1](app):
            self.at += 1

    def text(self) -> str:
        """Return the line."""
        if self.at >= len(STEPS):
            return " TOUR done: ? has all keys, q leaves; the runs stay in the demo's own home"
        return f" TOUR {self.at + 1}/{len(STEPS)}  {STEPS[self.at][0]}"
