"""Station: one station with its supply, its identities, and what its live or latest run does."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from bench.client.overview import notes
from bench.tui.app import MAIN_JOB
from bench.tui.control import Wish
from bench.tui.feed import RunFeed
from bench.tui.keys import STATION
from bench.tui.samples import SampleTail
from bench.tui.screens.page import Page, bindings
from bench.tui.screens.stations import output_line
from bench.tui.screens.stopping import Stopping
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.packet_view import PacketView
from bench.tui.widgets.plot import Plot
from bench.tui.widgets.step_list import StepList

WINDOW = 60.0
"""Seconds of station time that the curves show."""


class StationPage(Stopping, Page):
    """The selected station; [ and ] go to the others."""

    PAGE = STATION
    BINDINGS = bindings(STATION)
    AUTO_FOCUS = "#live"

    def __init__(self) -> None:
        super().__init__()
        self.feed: RunFeed | None = None
        self._tail: SampleTail | None = None

    def body(self) -> ComposeResult:
        """Build the page."""
        with Horizontal(id="station-top"):
            with Vertical(id="station-power", classes="pane"):
                yield Plot("supply", "V", id="volts", colour="ok")
                yield Plot("current", "A", id="amps", colour="warning")
            yield LineLog(id="facts", classes="pane", fold=True)
        with Horizontal(id="station-below"):
            yield StepList(id="station-steps", classes="pane wide-only", cursor=False)
            yield PacketView(id="live", classes="pane")

    def on_mount(self) -> None:
        """Start the tick."""
        self.query_one("#facts", LineLog).following = False
        self.set_title(self.query_one("#live"), "Lanes", "no run yet")
        self.set_title(self.query_one("#station-steps"), "Steps", "no run yet")
        self.set_interval(max(0.2, 1 / self.bench.fps), self._tick)

    def on_unmount(self) -> None:
        """Leave nothing of ours running."""
        if self.feed is not None:
            self.feed.close()

    def filled(self) -> None:
        """Follow the latest run of the station."""
        station = self.station
        if station is None:
            return
        folder = station.last.folder if station.last is not None else None
        if folder != (self.feed.folder if self.feed is not None else None):
            if self.feed is not None:
                self.feed.close()
            self.feed = self.bench.control.follow(folder) if folder is not None else None
            self._tail = None
            live = self.query_one("#live", PacketView)
            live.following = True
            index = self.feed.index if self.feed is not None else None
            live.show(index, lambda lane: not lane.startswith(("scpi", "power")))
            self._live_title()
            for name in ("#volts", "#amps"):
                self.query_one(name, Plot).show((), (), (0.0, 1.0))
        self._facts()

    def _tick(self) -> None:
        feed = self.feed
        if feed is None or not self.shown:
            return
        with self.app.batch_update():
            if feed.take():
                self._steps()
            live = self.query_one("#live", PacketView)
            if live.came():
                self._live_title()
            if self._tail is None:
                path = next(iter(sorted(feed.folder.glob("power-*.f32"))), None)
                self._tail = SampleTail(path) if path is not None else None
            tail = self._tail
            if tail is not None and tail.grow() and len(tail.times):
                window = (max(tail.times[0], tail.times[-1] - WINDOW), tail.times[-1])
                self.query_one("#volts", Plot).show(tail.times, tail.volts, window)
                self.query_one("#amps", Plot).show(tail.times, tail.amps, window)

    def _live_title(self) -> None:
        live = self.query_one("#live", PacketView)
        state = "PAUSED" if live.held is not None else "FOLLOW" if live.following else "f follows"
        self.set_title(live, f"Lanes without supply: {live.count():,} packets", state)

    def _facts(self) -> None:
        station, look = self.station, self.bench.look
        assert station is not None
        log = self.query_one("#facts", LineLog)
        plain, head = look.style(""), look.style("heading")
        run = station.live or station.last
        lines = [(f"{station.kind}  {', '.join(station.has)}", plain)]
        free = look.said("none", "nobody")
        lines.append((f"held by {station.owner if station.owner else free}", plain))
        if station.reserved:
            lines.append((f"reserved for {station.reserved}", look.style("warning")))
        lines += [(output_line(output, look), look.style(output.state)) for output in station.outputs]
        if station.unsafe:
            lines.append(("a run died and left it on: F12 twice, or bench safe", look.style("fail")))
        if run is not None:
            lines += [("last run", head), (f"{look.said(run.state)}  {run.recipe}", look.style(run.state))]
            lines.append((run.run_id, plain))
        if self.feed is not None:
            known = dict(self.feed.manifest.get("identities") or {}) | self.feed.view.identities
            if known:
                lines.append(("who they said they are", head))
                wide = max(len(name) for name in known)
                lines += [(f"{name:<{wide}} {value}", plain) for name, value in known.items()]
        found = notes(self.overview.home, on=station.name, limit=5)
        if found:
            lines.append(("notes", head))
            lines += [(f"{note['at'][:16]}Z {note['by']}: {note['text']}", plain) for note in found]
        log.show((look.text(text), style) for text, style in lines)
        expendable = "expendable" if station.expendable else "not expendable"
        self.set_title(log, f"{station.name} ({station.kind})", expendable)
        self.set_title(self.query_one("#station-power"), f"Supply, last {WINDOW:.0f} s", "of the last run")

    def _steps(self) -> None:
        assert self.feed is not None
        view, look = self.feed.view, self.bench.look
        steps = self.query_one("#station-steps", StepList)
        steps.show(view)
        self.set_title(steps, f"Steps: {look.said('broken' if self.feed.broken else view.state)}", "4 shows the run")

    def run_to_stop(self) -> Any:
        """The live run of the station."""
        return self.feed.folder if self.feed is not None and not self.feed.ended else None

    def opened(self, view: Any) -> None:
        """Show the run."""
        if self.feed is not None:
            self.bench.show_run(self.feed.folder)

    def action_run_job(self) -> None:
        """Start the main job here."""
        name = self.bench.station
        self.bench.begin(Wish(MAIN_JOB, name, clock=self.bench.clock_for(name)))

    def action_pause(self) -> None:
        """Hold the lanes still."""
        live = self.query_one("#live", PacketView)
        live.held = len(self.feed.index) if live.held is None and self.feed is not None else None
        live.came()
        self._live_title()

    def action_follow(self) -> None:
        """Follow the newest line."""
        live = self.query_one("#live", PacketView)
        live.held, live.following = None, True
        live.came()
        live.changed()
        self._live_title()
