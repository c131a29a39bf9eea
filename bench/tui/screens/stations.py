"""Stations: what there is, who holds it, its output, its last run; the main job at one key."""

from __future__ import annotations

import time
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal

from bench.client.overview import StationState
from bench.run.index import RunInfo
from bench.tui.app import MAIN_JOB
from bench.tui.control import Wish
from bench.tui.feed import wall_ns
from bench.tui.keys import STATIONS
from bench.tui.screens.page import Page, bindings
from bench.tui.screens.stopping import Stopping
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.row_list import Cell, Column, Row, RowList

COLUMNS = (
    Column("station", 10, 1),
    Column("kind", 4),
    Column("output", 13),
    Column("held by", 8, 2),
    Column("run / last run", 14, 4),
    Column("result", 15),
    Column("ago", 7, right=True, optional=100),
)


class StationsPage(Stopping, Page):
    """All stations; the selected one and what happened lately below."""

    PAGE = STATIONS
    BINDINGS = bindings(STATIONS)
    AUTO_FOCUS = "#stations"

    def body(self) -> ComposeResult:
        """Build the page."""
        yield RowList(COLUMNS, id="stations", classes="pane")
        with Horizontal(id="below"):
            yield LineLog(id="now", classes="pane", fold=True)
            yield LineLog(id="activity", classes="pane wide-only")

    def filled(self) -> None:
        """Show the stations."""
        stations = self.overview.stations
        table = self.query_one("#stations", RowList)
        table.show(Row(station.name, self._cells(station)) for station in stations)
        if table.selected != self.bench.station:
            table.select(self.bench.station)
        self.set_title(table, f"Stations ({len(stations)})")
        self._now()
        self._activity()
        if not self.bench.status and stations:
            self.bench.say(f"r runs {MAIN_JOB} on {self.bench.station}; 3 has every recipe; ? all keys")

    def _cells(self, station: StationState) -> list[Cell]:
        look = self.bench.look
        run = station.live or station.last
        if station.unsafe:
            result: Cell = (look.said("fail", "UNSAFE"), look.style("fail"))
        elif run is not None:
            result = (look.said(run.state), look.style(run.state))
        else:
            result = (look.said("none", "no run yet"), look.style("none"))
        held = station.held_by or (f"kept: {station.reserved}" if station.reserved else look.said("none", "free"))
        return [
            station.name,
            station.kind,
            output_cell(station, look),
            held,
            f"{run.recipe}" if run is not None else "",
            result,
            ago(run) if run is not None else "",
        ]

    def _now(self) -> None:
        station, look = self.station, self.bench.look
        log = self.query_one("#now", LineLog)
        log.following = False
        if station is None:
            return
        self.set_title(log, f"{station.name} now", "enter opens it")
        plain = look.style("")
        lines = [(f"{station.kind}  {', '.join(station.has)}", plain)]
        if station.owner is not None:
            lines.append((f"held by {station.owner}", look.style("running")))
        if station.reserved:
            lines.append((f"reserved for {station.reserved}", look.style("warning")))
        for output in station.outputs:
            lines.append((f"output {output_line(output, look)}", look.style(output.state)))
        if station.unsafe:
            lines.append(("a run died and left it on: F12 twice, or bench safe", look.style("fail")))
        if station.last is not None:
            run = station.last
            lines.append((f"last run {run.run_id}", plain))
            text = f"{look.said(run.state)}  device {run.device or '-'}, bench {run.bench or '-'}  {run.recipe}"
            lines.append((text, look.style(run.state)))
        lines.append((f"same as: bench run {MAIN_JOB} --station {station.name}", look.style("pending")))
        log.show((look.text(text), style) for text, style in lines)

    def _activity(self) -> None:
        look = self.bench.look
        log = self.query_one("#activity", LineLog)
        log.following = False
        self.set_title(log, "Latest runs")
        lines = []
        for run in self.overview.runs[:30]:
            text = f"{lately(run.started)} {run.station:<10} {look.said(run.state):<14} {run.recipe}"
            lines.append((look.text(text), look.style(run.state)))
        log.show(lines or [("no run yet", look.style("pending"))])

    # --- keys ---------------------------------------------------------------------------------------------------------

    def moved(self, view: Any) -> None:
        """Another station is selected."""
        if view.id == "stations":
            self.bench.choose_station(view.selected)
            self._now()

    def opened(self, view: Any) -> None:
        """Open the live run of the station, or the station."""
        if view.id != "stations" or self.station is None:
            return
        if self.station.live is not None:
            self.bench.show_run(self.station.live.folder)
        else:
            self.bench.show("station")

    def action_run_job(self) -> None:
        """Start the main job on the selected station."""
        name = self.bench.station
        self.bench.begin(Wish(MAIN_JOB, name, clock=self.bench.clock_for(name)))


def output_cell(station: StationState, look: Any) -> Cell:
    """Return the outputs of a station in a word."""
    if not station.outputs:
        return (look.said("none", "no supply"), look.style("none"))
    worst = sorted(station.outputs, key=lambda output: ("unknown", "on", "off").index(output.state))[0]
    volts = f" {worst.volts:.2f} V" if worst.state == "on" and worst.volts is not None else ""
    word = {"on": f"ON{volts}", "off": "OFF", "unknown": "not read"}[worst.state]
    return (look.said(worst.state, word), look.style(worst.state))


def output_line(output: Any, look: Any) -> str:
    """Return an output as a line."""
    name = f"{output.supply} " if output.supply else ""
    if output.state == "unknown":
        age = f"last read {output.age:.0f} s ago" if output.age is not None else "nobody reads it"
        return f"{name}{look.said('unknown', 'not known')}: {age}"
    if output.state == "off":
        return f"{name}{look.said('off', 'OFF')}"
    return f"{name}{look.said('on', 'ON')}  {output.volts:.3f} V  {output.amps:.3f} A"


def ago(run: RunInfo) -> str:
    """Return how long ago a run began."""
    began = wall_ns(run.started)
    if not began:
        return ""
    return span(max(0.0, time.time() - began / 1e9))


def span(seconds: float) -> str:
    """Return a length of time in at most five cells, coarser when longer: it must not flicker."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return "now" if seconds < 10 else f"{seconds // 10 * 10:.0f} s"


def local(wall: str) -> str:
    """Return ISO 8601 UTC as local day and time."""
    ns = wall_ns(wall)
    return time.strftime("%m-%d %H:%M:%S", time.localtime(ns // 1_000_000_000)) if ns else wall[:14]


def lately(wall: str) -> str:
    """Return ISO 8601 UTC as local time when it was today, else as local day."""
    moment = time.localtime(wall_ns(wall) // 1_000_000_000)
    return time.strftime("%H:%M" if moment[:3] == today()[:3] else "%m-%d", moment)


def today() -> time.struct_time:
    """Return the local day."""
    return time.localtime()
