"""The Textual application: a client of runs. Leaving it, or losing the terminal, changes nothing for a run."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Final

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from bench.client.overview import Overview
from bench.tui import keys, settings
from bench.tui.control import ClientControl, Control, Wish
from bench.tui.keys import KEYS
from bench.tui.starting import Starting
from bench.tui.themes import BENCH_GREY, THEMES, Look, theme_of
from bench.tui.tour import Tour
from bench.tui.widgets.line_view import use_cursors

MAIN_JOB: Final = "bootstrap-to-operational"
DOUBLE_PRESS: Final = 2.0
"""Seconds within which a second F12 means the whole host."""
LEAVE_WITHIN: Final = 2.0
"""Seconds after SIGTERM or SIGHUP in which the terminal is given back."""
_SWITCH: Final = 0.001
"""Seconds that a thread which reads a trace may go on while a key waits to be answered (Python's own: 5 ms)."""
_SAFE_IS_NEWS: Final = 10.0
"""Seconds for which the status line goes on saying what was made safe."""
_TERMINAL_EVERY: Final = 0.5
"""Seconds between two looks whether the terminal is there: Textual reads from one that is gone without end."""
_GLOBAL: Final = ("safe", "help", "quit", "hand_over", "theme")


class BenchApp(App[int]):
    """The bench."""

    TITLE = "esim-bench"
    CSS_PATH = "bench.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "quit", show=False, priority=True),
        *(
            Binding(key.key, key.action, key.short or key.help, show=False, priority=key.priority, id=key.action)
            for key in KEYS
            if (key.action in _GLOBAL and key.action != "safe") or key.action.startswith("page(")
        ),
        *(
            Binding(name, f"safe('{name}')", key.short, show=False, priority=True)
            for key in KEYS
            if key.action == "safe"
            for name in key.keys
        ),
    ]

    def __init__(
        self,
        control: Control,
        *,
        kept: settings.Settings | None = None,
        ascii_only: bool = False,
        readonly: bool = False,
        first_page: str = keys.STATIONS,
        check_key: bool = False,
        tour: bool = False,
    ) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-normal")]
        self.control = control
        self.settings = kept or settings.Settings(None)
        self.readonly = readonly
        self.look = Look(ascii_only, self._first_theme())
        self.fps = min(30, max(1, int(self.settings.get("fps", 10))))
        self.overview = Overview()
        self.station = ""
        """Selected on every page."""
        self.status = ""
        self.started: dict[Path, str] = {}
        """Runs begun from this screen, and their stations."""
        self.starting: list[Starting] = []
        """Begun by a key of this screen, and not yet a run that could be made safe."""
        self.safe_told: str = ""
        self._safe_at = -60.0
        self._first_page = first_page
        self._check_key = check_key
        self.tour = Tour() if tour else None
        self._pages: dict[str, Screen[None]] = {}
        self._safe_pressed = -DOUBLE_PRESS
        self._reading = False

    def _first_theme(self) -> Any:
        return BENCH_GREY if "NO_COLOR" in os.environ else theme_of(str(self.settings.get("theme", "bench-cvd")))

    # --- start ----------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Set the theme, take the signals Textual leaves to the system, show the first page."""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.look.theme.name
        use_cursors(self.theme)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Without this the terminal is left in the alternate screen and nothing is cleaned up.
            loop.add_signal_handler(number, self._leave, 128 + number)
        first = self.page(self._first_page)
        self.push_screen(first)
        # What reads the bench is imported by the thread that reads it: the first page would wait for that.
        first.call_after_refresh(self._begin_reading)
        if not self.is_headless:
            self.set_interval(_TERMINAL_EVERY, self._watch_terminal)

    def _begin_reading(self) -> None:
        self.refresh_overview()
        self.set_interval(1.0, self.refresh_overview)

    def _watch_terminal(self) -> None:
        """Leave when the terminal is gone: only the process whose controlling terminal it is gets SIGHUP for it."""
        if not terminal_there():
            self._leave(128 + signal.SIGHUP)

    def _leave(self, code: int) -> None:
        """Leave for a signal; surely: a terminal that is gone must not keep the process, which owns nothing."""
        last = threading.Timer(LEAVE_WITHIN, os._exit, (code,))
        last.daemon = True
        last.start()
        self.exit(code)

    def page(self, name: str) -> Screen[None]:
        """Return a page, made at its first use and kept."""
        found = self._pages.get(name)
        if found is None:
            from bench.tui.screens import make

            found = self._pages[name] = make(name)
            # Textual takes apart a screen that is switched away from unless it is installed: it would stay dead.
            self.install_screen(found, name)
        return found

    def current(self) -> Any:
        """Return the page that is shown, below any dialog."""
        from bench.tui.screens.page import Page

        for screen in reversed(self.screen_stack):
            if isinstance(screen, Page):
                return screen
        return None

    def show(self, name: str) -> Any:
        """Go to a page; dialogs close."""
        from bench.tui.screens.page import Page

        while len(self.screen_stack) > 1 and not isinstance(self.screen, Page):
            self.pop_screen()
        page = self.page(name)
        if self.screen is not page:
            self.switch_screen(page)
        return page

    # --- state of the bench -----------------------------------------------------------------------------------------

    def refresh_overview(self) -> None:
        """Read the bench again in a thread, unless that is being done."""
        if not self._reading:
            self._reading = True
            self._read_overview()

    @work(thread=True, group="overview", exit_on_error=False)
    def _read_overview(self) -> None:
        try:
            found = self.control.overview()
        finally:
            self._reading = False
        self.call_from_thread(self._overview_came, found)

    def _overview_came(self, found: Overview) -> None:
        first = not self.overview.stations
        if not found.stations and self.overview.stations:
            found = Overview(self.overview.stations, self.overview.runs, found.trouble, self.overview.home)
        self.overview = found
        if not self.station and found.stations:
            held = next((station.name for station in found.stations if station.mine), "")
            self.station = str(self.settings.get("station", "")) if first else ""
            if held or found.station(self.station) is None:
                self.station = held or found.stations[0].name
        ended = {info.folder for info in found.runs if info.state != "running"}
        self.started = {folder: station for folder, station in self.started.items() if folder not in ended}
        page = self.current()
        if self.tour is not None:
            self.tour.look(self)
        if page is not None:
            page.overview_came()
        if first:
            self._offer_help()
            self._prepare()

    @work(thread=True, group="prepare", exit_on_error=False)
    def _prepare(self) -> None:
        from bench.tui.screens import prepare

        self.control.prepare()
        prepare()

    def _offer_help(self) -> None:
        if self._check_key and settings.terminal() not in self.settings.get("safe_key", []):
            from bench.tui.screens.dialogs import KeyCheck

            if not self.overview.mine and len(self.screen_stack) <= 2:
                self.push_screen(KeyCheck())
            else:
                self.say("F12 has never been seen to arrive in this terminal; Ctrl+G and the SAFE field work as well")

    def choose_station(self, name: str) -> None:
        """Select a station for every page."""
        if name and name != self.station:
            self.station = name
            self.settings.set("station", name)

    def say(self, text: str) -> None:
        """Write the status line."""
        self.status = self.look.text(text)
        page = self.current()
        if page is not None:
            page.show_status()

    # --- actions ------------------------------------------------------------------------------------------------------

    def allows(self, action: str) -> bool:
        """Whether an action may be done here; says why not."""
        if self.readonly and any(key.changes and key.action == action for key in KEYS):
            self.say("this screen only looks (--readonly); F12 works all the same")
            return False
        return True

    def action_page(self, name: str) -> None:
        """Go to a page."""
        if self.page(name) is not self.current():
            self.status = self.safe_lately
        self.show(name)

    def action_help(self) -> None:
        """Show the key table."""
        from bench.tui.screens.dialogs import KeyHelp

        page = self.current()
        if page is not None and not isinstance(self.screen, KeyHelp):
            self.push_screen(KeyHelp(page.PAGE))

    def action_hand_over(self) -> None:
        """Show what the next person has to know."""
        from bench.tui.screens.hand_over import HandOver

        self.push_screen(HandOver())

    def action_theme(self) -> None:
        """Use the next theme."""
        names = [theme.name for theme in THEMES]
        after = THEMES[(names.index(self.look.theme.name) + 1) % len(THEMES)]
        self.look = Look(self.look.ascii, after)
        self.theme = after.name
        use_cursors(after.name)
        self.settings.set("theme", after.name)
        page = self.current()
        if page is not None:
            page.overview_came()
            page.redraw()
        self.say(f"theme {after.name}")

    async def action_quit(self) -> None:
        """Leave; say nothing to any run."""
        self.exit(0)

    def action_safe(self, key: str = "") -> None:
        """Make safe at once, without a question: what this user holds; twice within 2 s the whole host.

        ``key``: the one that was pressed; empty for a click.
        """
        now = time.monotonic()
        everything = now - self._safe_pressed < DOUBLE_PRESS
        self._safe_pressed = -DOUBLE_PRESS if everything else now
        seen = list(self.settings.get("safe_key", []))
        if key == "f12" and settings.terminal() not in seen:
            self.settings.set("safe_key", [*seen, settings.terminal()])
        from bench.tui.screens.dialogs import KeyCheck

        if isinstance(self.screen, KeyCheck):
            self.screen.arrived()
        starting = tuple(self.starting)
        for each in starting:
            each.withdraw()
        if everything:
            self.say("SAFE: every station of this host (bench safe --all) ...")
            self._make_safe(None, starting)
            return
        begins = f" and what begins on {', '.join(each.station for each in starting)}" if starting else ""
        self.say(f"SAFE: what you hold{begins} ... (F12 again within 2 s: every station of this host)")
        self._make_safe(sorted(set(self.started.values())), starting)

    @work(thread=True, group="safe", exit_on_error=False)
    def _make_safe(self, stations: list[str] | None, starting: tuple[Starting, ...]) -> None:
        with ThreadPoolExecutor(max(1, len(starting))) as pool:  # what is on does not wait for what begins
            begun = [pool.submit(self._end_start, each) for each in starting]
            if stations is not None:
                # Asked again: a run that began a moment ago, or in another terminal, is held as well.
                found = {*stations, *self.control.held()} - {each.station for each in starting}
                stations = sorted(found)
            told = [self.control.safe(stations)] if stations is None or stations else []
            told += [future.result() for future in begun]
        if not told:
            text = "SAFE: you hold nothing; F12 again within 2 s makes every station of this host safe"
        else:
            which = "whole host" if stations is None else "what you hold"
            text = f"SAFE ({which}): " + "; ".join(part.removeprefix("SAFE: ") for part in told)
        self.call_from_thread(self._safe_done, text)

    def _end_start(self, starting: Starting) -> str:
        """Make safe what was begun, as soon as it can be told; return what came of it."""
        began = starting.began()
        if began:
            return self.control.safe([starting.station])
        if began is None:
            return f"{starting.station} NOT KNOWN: what begins there does not answer; F12 twice"
        return f"{starting.station}: withdrawn before anything was switched"

    @property
    def safe_lately(self) -> str:
        """What the last making safe has done, while that is news: other news stand behind it."""
        return self.safe_told if time.monotonic() - self._safe_at < _SAFE_IS_NEWS else ""

    def _safe_done(self, told: str) -> None:
        self.safe_told = told
        self._safe_at = time.monotonic()
        self.say(told)
        self.refresh_overview()

    def begin(self, wish: Wish) -> None:
        """Start a run and show it."""
        state = self.overview.station(wish.station)
        if state is not None and state.owner is not None:
            self.say(f"{wish.station} is held by {state.held_by}: {state.live.run_id if state.live else state.owner}")
            return
        self.say(wish.command())
        self._begin(wish, self.starts(wish.station))

    def starts(self, station: str) -> Starting:
        """Note that something begins on a station, in the moment of its key: F12 ends that as well."""
        starting = Starting(station)
        self.starting.append(starting)
        return starting

    def has_started(self, starting: Starting, folder: Path | None, trouble: str = "", *, is_run: bool = True) -> None:
        """Note what became of a start (called in its thread): its folder, or None and why not."""
        starting.settle(folder is not None)
        self.call_from_thread(self._has_started, starting, folder if is_run else None, trouble if not folder else "")

    def _has_started(self, starting: Starting, run: Path | None, trouble: str) -> None:
        self.starting.remove(starting)
        if run is not None:
            self.started[run] = starting.station
        elif trouble and not starting.withdrawn():
            self.say(trouble)

    @work(thread=True, group="start", exit_on_error=False)
    def _begin(self, wish: Wish, starting: Starting) -> None:
        folder, trouble = None, "the run could not be started"
        try:
            folder, trouble = self.control.start(wish, starting.withdrawn)
        finally:
            self.has_started(starting, folder, trouble)
        if folder is not None:
            self.call_from_thread(self._begun, folder, wish, starting)

    def _begun(self, folder: Path, wish: Wish, starting: Starting) -> None:
        self.choose_station(wish.station)
        self.show_run(folder)
        if not starting.withdrawn():
            self.say(wish.command())
        self.refresh_overview()

    def show_run(self, folder: Path) -> None:
        """Show a run, live or ended, on the page Run."""
        self.show(keys.RUN).show_run(folder)

    def clock_for(self, station: str) -> str:
        """Return the clock of runs that a person watches: simulated time ten times as fast as real time."""
        state = self.overview.station(station)
        return "scaled:10" if state is not None and state.simulated else ""

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offer everything that a key does here, by its name."""
        page = self.current()
        name = page.PAGE if page is not None else keys.STATIONS
        for key in keys.keys_of(name):
            if key.action in ("command_palette", "back", "open"):
                continue
            yield SystemCommand(f"{key.short or key.help} ({key.label})", key.help, self._runner(key.action))
        for theme in THEMES:
            yield SystemCommand(f"theme {theme.name}", "Use this theme", self._runner("theme"))

    def _runner(self, action: str) -> Any:
        async def act() -> None:
            page = self.current()
            target = self if action in _GLOBAL or action.startswith("page(") else page
            await self.run_action(action, default_namespace=target)

        return act


def terminal_there() -> bool:
    """Return whether somebody is at the other end of the standard input: a terminal, or the browser's server."""
    if sys.__stdin__ is None or sys.__stdin__.closed:
        return False
    poll = select.poll()
    poll.register(sys.__stdin__, 0)  # what tells of the end is reported unasked
    return not poll.poll(0)


def run_app(config: str | None, *, readonly: bool = False, first_page: str = keys.STATIONS, tour: bool = False) -> int:
    """Run the screens until they are left; return the exit code."""
    from bench.station.home import default_home

    if sys.stdout is not None and sys.stdout.isatty():
        # Textual believes these before the terminal, and never sees it resized: a shell, make or readline left them.
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)
    sys.setswitchinterval(_SWITCH)
    kept = settings.Settings(default_home() / "tui.json")
    ascii_only = bool(kept.get("ascii", settings.wants_ascii()))
    app = BenchApp(
        ClientControl(config),
        kept=kept,
        ascii_only=ascii_only,
        readonly=readonly,
        first_page=first_page,
        check_key=not tour,
        tour=tour,
    )
    return app.run() or 0


if __name__ == "__main__":  # what the browser's server starts: no terminal, so not by the command
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--config")
    parser.add_argument("--readonly", action="store_true")
    given = parser.parse_args()
    sys.exit(run_app(given.config, readonly=given.readonly))
