"""The first screen: stations, the main job, its run followed live (steps and lanes), stop and safe."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from rich.style import Style
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import DataTable, Static

from bench.client.view import ASCII_MARKS, MARKS, RunView
from bench.tui.control import Control, Follower, StationRow
from bench.tui.keys import KEYS
from bench.tui.screens.dialogs import Confirm, KeyHelp
from bench.tui.themes import STATE_STYLE, lane_style
from bench.tui.widgets.key_line import KeyLine
from bench.tui.widgets.line_log import LineLog

MAIN_JOB = "bootstrap-to-operational"
TICK = 0.1
"""Seconds between two drawings. 10 Hz costs half of 20 Hz and looks the same."""
DOUBLE_PRESS = 2.0
"""Seconds within which a second F12 means the whole host."""


class BenchScreen(Screen[None]):
    """Stations above, the followed run below: steps left, lanes right."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key.key, key.action, key.short, show=False, priority=key.priority)
        for key in KEYS
        if key.action not in ("quit",)
    ]
    AUTO_FOCUS = "#stations"

    def __init__(self, control: Control) -> None:
        super().__init__()
        self.control = control
        self.view = RunView()
        self.follower: Follower | None = None
        self.paused = False
        self.held: deque[tuple[str, Style]] = deque(maxlen=100_000)
        self._safe_pressed = 0.0
        self._rows: dict[str, StationRow] = {}
        self._shown_lines = 0
        self._drawn_steps = ""
        self._next_stations = 0.0
        self._texts: dict[str, str] = {}

    # --- layout ---------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Build the widgets."""
        yield Static(id="top", markup=False)
        yield DataTable(id="stations", cursor_type="row", zebra_stripes=False)
        with Horizontal(id="run"):
            with Vertical(id="left"):
                yield Static(id="run-title", markup=False)
                yield LineLog(id="steps")
                yield LineLog(id="notes")
            with Vertical(id="right"):
                yield Static("lanes", id="lanes-title", markup=False)
                yield LineLog(id="lanes")
        yield Static(id="status", markup=False)
        yield KeyLine([key for key in KEYS if key.key != "enter"])

    def on_mount(self) -> None:
        """Fill the table and start the tick."""
        table = self.query_one("#stations", DataTable)
        for name, width in (("station", 14), ("kind", 6), ("held by", 40), ("last run", 36), ("verdict", 16)):
            table.add_column(name, key=name, width=width)
        self.query_one("#steps", LineLog).border_title = "steps"
        self.query_one("#notes", LineLog).border_title = "notes"
        self._load_stations()
        self.say("r runs the main job on the selected station")
        self.set_interval(TICK, self._tick)

    def say(self, text: str) -> None:
        """Write the status line."""
        self._set("#status", text)

    def _set(self, selector: str, text: str) -> None:
        """Update a line of text only when it changed: each update draws the screen again."""
        if self._texts.get(selector) != text:
            self._texts[selector] = text
            self.query_one(selector, Static).update(text)

    def _mark(self, state: str) -> str:
        marks = ASCII_MARKS if self.control.ascii else MARKS
        return marks.get(state, "?")

    # --- stations -------------------------------------------------------------------------------------------------

    @work(thread=True, exclusive=True, group="stations", exit_on_error=False)
    def _load_stations(self) -> None:
        """Read stations, locks and last runs in a thread: files may be on a slow disk."""
        rows, trouble = self.control.stations()
        self.app.call_from_thread(self._show_stations, rows, trouble)

    def _show_stations(self, rows: Iterable[StationRow], trouble: str) -> None:
        table = self.query_one("#stations", DataTable)
        found = {row.name: row for row in rows}
        for name, row in found.items():
            cells = (name, row.kind, row.held_by or "-", row.last_run or "-", self._verdict(row.last_verdict))
            if name in self._rows:
                if self._rows[name] != row:
                    for column, cell in zip(("station", "kind", "held by", "last run", "verdict"), cells, strict=True):
                        table.update_cell(name, column, cell)
            else:
                table.add_row(*cells, key=name)
        for name in self._rows.keys() - found.keys():
            table.remove_row(name)
        self._rows = found
        held = [row.name for row in found.values() if row.held_by]
        kinds = "/".join(sorted({row.kind for row in found.values()})) or "no stations"
        self._set("#top", f" esim-bench  {kinds}   stations {len(found)}   held: {', '.join(held) or 'none'}")
        if trouble:
            self.say(trouble)

    def _verdict(self, verdict: str) -> str:
        return f"{self._mark(verdict)} {verdict}" if verdict else "-"

    @property
    def selected(self) -> StationRow | None:
        """The station under the cursor."""
        table = self.query_one("#stations", DataTable)
        if not self._rows or table.cursor_row is None or table.row_count == 0:
            return None
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
        return self._rows.get(str(key))

    # --- actions --------------------------------------------------------------------------------------------------

    def action_run_job(self) -> None:
        """Start the main job on the selected station."""
        row = self.selected
        if row is None:
            self.say("no station is selected")
            return
        if row.held_by:
            self.say(f"{row.name} is held by {row.held_by}; x stops the shown run, or choose another station")
            return
        self.say(f"bench run {MAIN_JOB} --station {row.name}")
        self._start(row.name)

    @work(thread=True, exclusive=True, group="start", exit_on_error=False)
    def _start(self, station: str) -> None:
        folder, trouble = self.control.start(MAIN_JOB, station)
        if folder is None:
            self.app.call_from_thread(self.say, trouble)
        else:
            self.app.call_from_thread(self.show_run, folder)

    def on_data_table_row_selected(self) -> None:
        """Enter on the table: show the last run of the station."""
        self.action_open()

    def action_open(self) -> None:
        """Follow the last run of the selected station."""
        row = self.selected
        if row is None or row.last_folder is None:
            self.say("no run of this station yet; r starts the main job")
            return
        self.show_run(row.last_folder)

    def show_run(self, folder: Path) -> None:
        """Follow a run folder from its beginning, live or finished."""
        self.close_run()
        self.view = RunView()
        self._shown_lines = 0
        self._drawn_steps = ""
        self.held.clear()
        for name in ("#steps", "#notes", "#lanes"):
            self.query_one(name, LineLog).clear()
        self.follower = self.control.follow(folder)
        self.say(f"bench show {folder.name}")

    def close_run(self) -> None:
        """Stop following; the run itself goes on."""
        if self.follower is not None:
            self.follower.close()
            self.follower = None

    def on_unmount(self) -> None:
        """Leave nothing running of ours."""
        self.close_run()

    def action_stop_run(self) -> None:
        """Ask, then stop the shown run."""
        follower = self.follower
        if follower is None or self.view.ended:
            self.say("no live run is shown")
            return
        question = f"Stop run {follower.folder.name} on {self.view.station}? Its teardown runs, then it is made safe."

        def answered(yes: bool | None) -> None:
            if yes:
                self.say(f"bench stop {follower.folder.name}")
                self._stop(follower.folder)

        self.app.push_screen(Confirm("Stop the run", question, "Stop"), answered)

    @work(thread=True, exclusive=True, group="stop", exit_on_error=False)
    def _stop(self, folder: Path) -> None:
        trouble = self.control.stop(folder)
        if trouble:
            self.app.call_from_thread(self.say, trouble)

    def action_safe(self) -> None:
        """Make safe at once, without a question: what this screen holds; twice within 2 s the whole host."""
        now = time.monotonic()
        everything = now - self._safe_pressed < DOUBLE_PRESS
        self._safe_pressed = now
        station = self.view.station if self.follower is not None and not self.view.ended else ""
        if everything:
            self.say("SAFE: every station of this host (bench safe --all)")
            self._safe(None)
        elif station:
            self.say(f"SAFE: {station} (F12 again within 2 s: every station of this host)")
            self._safe(station)
        else:
            self.say("this screen holds nothing; F12 again within 2 s makes every station of this host safe")

    @work(thread=True, group="safe", exit_on_error=False)
    def _safe(self, station: str | None) -> None:
        self.app.call_from_thread(self.say, self.control.safe(station))

    def action_pause(self) -> None:
        """Hold the lanes still; what comes meanwhile is kept."""
        self.paused = not self.paused
        if not self.paused:
            self._release()

    def action_follow(self) -> None:
        """Follow the newest line."""
        self.paused = False
        self.query_one("#lanes", LineLog).following = True
        self._release()

    def _release(self) -> None:
        lines = list(self.held)
        self.held.clear()
        self.query_one("#lanes", LineLog).extend(lines)

    def action_help(self) -> None:
        """Show the key table."""
        self.app.push_screen(KeyHelp())

    # --- drawing --------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self._next_stations:
            self._next_stations = now + 1.0
            self._load_stations()
        if self.follower is None:
            return
        for event in self.follower.take_events():
            self.view.apply(event)
        self._draw_steps()
        self._draw_notes()
        lines = [self._lane_line(packet) for packet in self.follower.take_packets()]
        if lines:
            if self.paused:
                self.held.extend(lines)
            else:
                self.query_one("#lanes", LineLog).extend(lines)
        held = f"  PAUSED, {len(self.held)} newer" if self.paused else ""
        count = self.query_one("#lanes", LineLog).count
        self._set("#lanes-title", f" lanes  {count} packets{held}")

    def _lane_line(self, packet: Any) -> tuple[str, Style]:
        arrow = ">" if packet.direction == 0 else "<"
        clock = time.strftime("%H:%M:%S", time.localtime(packet.time_ns // 1_000_000_000))
        millis = packet.time_ns // 1_000_000 % 1000
        comment = packet.comment.replace("\n", " ")
        return f"{clock}.{millis:03d} {packet.lane:<12} {arrow} {comment}", lane_style(packet.lane)

    def _draw_steps(self) -> None:
        view = self.view
        lines: list[tuple[str, Style]] = []
        for step in view.steps:
            elapsed = step.elapsed if step.elapsed is not None else view.now - step.started
            name = "  " * step.depth + step.name
            text = f"{self._mark(step.state)} {name:<26}{elapsed:8.1f} s"
            lines.append(
                (text if step.state == "pass" else f"{text}  {step.state}", STATE_STYLE.get(step.state, Style()))
            )
        drawn = "\n".join(text for text, _ in lines)
        if drawn != self._drawn_steps:
            self._drawn_steps = drawn
            log = self.query_one("#steps", LineLog)
            log.clear()
            log.extend(lines)
        kind = "" if view.simulated is None else ("SIM " if view.simulated else "REAL ")
        title = f" {kind}{view.recipe or 'no run is shown'} {view.station}  {self._mark(view.state)} {view.state}"
        if view.ended:
            title += f"  device {view.device or '-'}, bench {view.bench or '-'}"
        self._set("#run-title", f"{title}  {view.elapsed:.1f} s" if view.recipe else title)

    def _draw_notes(self) -> None:
        fresh = self.view.lines[self._shown_lines :]
        self._shown_lines = len(self.view.lines)
        self.query_one("#notes", LineLog).extend((line, Style()) for line in fresh)
