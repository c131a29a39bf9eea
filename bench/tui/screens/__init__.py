"""The pages and dialogs, one file each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from textual.screen import Screen

_PAGES: Final = {
    "stations": "StationsPage",
    "station": "StationPage",
    "recipes": "RecipesPage",
    "run": "RunPage",
    "soak": "SoakPage",
    "history": "HistoryPage",
    "instruments": "InstrumentsPage",
    "eim": "EimPage",
}


def make(name: str) -> Screen[None]:
    """Make a page; its module is imported only then, so that the first one is there at once."""
    made: Screen[None] = getattr(import_module(f"bench.tui.screens.{name}"), _PAGES[name])()
    return made


def prepare() -> None:
    """Import the page that a run is shown on."""
    import_module("bench.tui.screens.run")
