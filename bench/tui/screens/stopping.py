"""Stopping a run, asked first: the same on every page that shows one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual import work

from bench.tui.screens.dialogs import Confirm, Interlock

if TYPE_CHECKING:
    from bench.tui.screens.page import Page

    Base = Page
else:
    Base = object


class Stopping(Base):
    """What pages with a live run add."""

    def run_to_stop(self) -> Path | None:
        """Return the live run that ``x`` means here."""
        station = self.station
        return station.live.folder if station is not None and station.live is not None else None

    def action_stop_run(self) -> None:
        """Ask, then stop."""
        folder = self.run_to_stop()
        if folder is None:
            self.bench.say("no live run is shown here")
            return
        info = next((run for run in self.overview.runs if run.folder == folder), None)
        state = self.overview.station(info.station) if info is not None else None
        mine = state is None or state.mine or folder in self.bench.started
        facts = [
            f"run     {folder.name}",
            f"recipe  {info.recipe if info else '?'}",
            f"station {info.station if info else '?'}   owner {state.held_by if state and state.owner else 'you'}",
            "",
            "Its teardown runs, then the station is made safe.",
        ]
        locks = (
            () if mine else (Interlock(False, "the run is yours", f"it is {state.held_by if state else '?'}'s", True),)
        )

        def answered(yes: bool | None) -> None:
            if yes:
                self.bench.say(f"bench stop {folder.name}")
                self._stop(folder)

        self.app.push_screen(Confirm("Stop the run?", facts, "Stop it", interlocks=locks), answered)

    @work(thread=True, exclusive=True, group="stop", exit_on_error=False)
    def _stop(self, folder: Path) -> None:
        trouble = self.bench.control.stop(folder)
        if trouble:
            self.app.call_from_thread(self.bench.say, trouble)
