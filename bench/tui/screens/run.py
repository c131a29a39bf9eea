"""Run: steps, every lane on one time line, the selected exchange decoded, volts and amperes at the same moment."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any, Final

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from bench.client.view import StepView
from bench.tui.feed import RunFeed, wall_ns
from bench.tui.keys import RUN
from bench.tui.samples import SampleTail
from bench.tui.screens.dialogs import Question
from bench.tui.screens.page import Page, bindings
from bench.tui.screens.run_lanes import LANES, RunLanes, wanted
from bench.tui.screens.stopping import Stopping
from bench.tui.widgets.lane_strip import LaneStrip
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.packet_view import PacketView
from bench.tui.widgets.plot import Plot
from bench.tui.widgets.step_list import StepList

PARTS: Final = ("steps", "lanes", "decode", "plots")
WINDOW: Final = 120.0
"""Seconds of station time that the curves show of a longer run."""
_STEPS_EVERY: Final = 0.25
"""Seconds between two drawings of steps, findings and title: their words change with every event."""
_PLOTS_EVERY: Final = 0.5
_LANES_EVERY: Final = 0.19
"""Seconds between two drawings of the lanes, every second drain: nobody reads lines that move up faster."""


class RunPage(RunLanes, Stopping, Page):
    """One run, live or ended."""

    PAGE = RUN
    BINDINGS = bindings(RUN)
    AUTO_FOCUS = "#lanes"

    def __init__(self) -> None:
        super().__init__()
        self.feed: RunFeed | None = None
        self.part = "steps"
        self.lanes = 0
        self.as_hex = False
        self.mark: int | None = None
        self.decoded_packet = -1
        self.found = ""
        self._tails: dict[str, SampleTail] = {}
        self._asked: set[int] = set()
        self._next_plots = 0.0
        self._explained = False
        self._next_steps = 0.0
        self._next_lanes = 0.0
        self._steps_behind = False

    def body(self) -> ComposeResult:
        """Build the page."""
        yield Static(id="run-title", markup=False)
        with Horizontal(id="run"):
            with Vertical(id="left", classes="part-steps"):
                yield StepList(id="steps", classes="pane")
                yield LineLog(id="findings", classes="pane", fold=True)
            with Vertical(id="middle", classes="part-lanes"):
                yield PacketView(id="lanes", classes="pane")
            with Vertical(id="right"):
                yield LineLog(id="decode", classes="pane part-decode", cursor=True, fold=True)
                with Vertical(id="plots", classes="pane part-plots"):
                    yield Plot("supply", "V", id="volts", colour="ok")
                    yield Plot("current", "A", id="amps", colour="warning")
                    yield LaneStrip(id="strip")

    def on_mount(self) -> None:
        """Start the tick."""
        self.query_one("#decode", LineLog).following = False
        self._show_part()
        self.set_interval(1 / self.bench.fps, self._tick)
        if self.feed is not None:
            self._begin()

    def on_unmount(self) -> None:
        """Leave nothing of ours running."""
        if self.feed is not None:
            self.feed.close()

    # --- which run ----------------------------------------------------------------------------------------------------

    def show_run(self, folder: Path) -> None:
        """Follow a run folder from its beginning, live or ended."""
        if self.feed is not None:
            if self.feed.folder == folder and not self.feed.trouble:
                return
            self.feed.close()
        self.feed = self.bench.control.follow(folder)
        self._tails.clear()
        self._asked.clear()
        self.mark, self.decoded_packet, self._explained = None, -1, False
        self.lanes = 0
        if self.is_mounted:
            self._begin()

    def _begin(self) -> None:
        assert self.feed is not None
        lanes = self.query_one("#lanes", PacketView)
        lanes.following = True
        lanes.show(self.feed.index, wanted(LANES[0][1]))
        self._lanes_title()
        for name in ("#findings", "#decode"):
            self.query_one(name, LineLog).clear()
        self._next_steps, self._steps_behind = 0.0, True
        if not self.bench.status.startswith("bench run"):
            self.bench.say(f"bench show {self.feed.folder.name}")
        self._tick()

    def filled(self) -> None:
        """Without a run, show the live or latest one of the station."""
        if self.feed is None and self.station is not None and self.station.last is not None:
            self.show_run(self.station.last.folder)
        self._draw_title()

    def station_changed(self) -> None:
        """Show the latest run of the selected station."""
        if self.station is not None and self.station.last is not None:
            self.show_run(self.station.last.folder)

    def run_to_stop(self) -> Path | None:
        """The shown run, while it lives."""
        return self.feed.folder if self.feed is not None and not self.feed.ended else None

    def note_on(self) -> str:
        """Notes here are on the run."""
        return self.feed.folder.name if self.feed is not None else ""

    # --- drawing ------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        if self.feed is None or not self.shown:
            return
        feed = self.feed
        came = feed.take()
        now = time.monotonic()
        with self.app.batch_update():
            self._steps_behind |= came
            steps = now >= self._next_steps and (self._steps_behind or not feed.ended)
            if steps:
                self._next_steps, self._steps_behind = now + _STEPS_EVERY, False
                self._draw_steps()
                self._draw_findings()
                self._draw_title()
            if now >= self._next_lanes:
                self._next_lanes = now + _LANES_EVERY
                if self.query_one("#lanes", PacketView).came() or came:
                    self._lanes_title()
            if now >= self._next_plots and not steps:  # a key waits for a whole tick: not both in one
                self._next_plots = now + _PLOTS_EVERY
                self._draw_plots()
        if came:
            self._ask()
            if feed.ended and not self._explained:
                self._explained = True
                self._say_end()

    def _draw_title(self) -> None:
        feed, look = self.feed, self.bench.look
        if feed is None:
            self.set_text("#run-title", " no run is shown: 1 Stations starts one, 6 History opens one")
            return
        view = feed.view
        simulated = view.simulated if view.simulated is not None else bool(feed.manifest.get("simulated"))
        state = "broken" if feed.broken else view.state
        kind = "SIM" if simulated else "REAL"
        recipe = view.recipe or feed.manifest.get("recipe", "")
        text = f" {kind}  {recipe}  {view.station or feed.manifest.get('station', '')}  {look.said(state)}"
        if feed.ended and not feed.broken:
            text += f"  device {view.device or '-'}, bench {view.bench or '-'}"
        text += f"  {view.elapsed:.1f} s{self._typically(recipe, bool(simulated))}  {feed.folder.name}"
        self.set_text("#run-title", look.text(text))

    def _typically(self, recipe: str, simulated: bool) -> str:
        """Return how long such runs take by the wall clock, by those that passed."""
        feed = self.feed
        if feed is None or feed.ended:
            return ""
        spans = [
            (wall_ns(run.ended) - wall_ns(run.started)) / 1e9
            for run in self.overview.runs[:400]
            if run.recipe == recipe and run.state == "pass" and run.simulated == simulated and run.ended
        ]
        if len(spans) < 3 or not feed.moments:
            return ""
        left = statistics.median(spans) - (time.time() - feed.moments[0][0] / 1e9)
        return f"  ETA {max(0.0, left):.0f} s (median of {len(spans)})"

    def _draw_steps(self) -> None:
        assert self.feed is not None
        view = self.feed.view
        steps = self.query_one("#steps", StepList)
        steps.show(view)
        done = sum(step.state != "running" for step in view.steps)
        self.set_title(steps, f"Steps {done} done", "" if view.steps else "none yet")

    def _draw_findings(self) -> None:
        assert self.feed is not None
        view, look = self.feed.view, self.bench.look
        log = self.query_one("#findings", LineLog)
        lines = []
        for line in view.lines[-500:]:
            bad = line[:1] in ("✖", "!")
            sign = look.glyph("fail") if line[:1] == "✖" else look.glyph("warning") if bad else " "
            lines.append((look.text(f"{sign} {line[1:].strip()}"), look.style("fail" if bad else "")))
        for step in view.steps[-3:]:
            for made in step.measurements[-3:]:
                lines.append((look.text(_measured(step, made)), look.style(str(made.get("verdict") or "pending"))))
        log.show(lines)
        self.set_title(log, f"Findings ({len(view.errors)} bad)", "w goes there" if view.errors else "")

    def _draw_plots(self) -> None:
        feed = self.feed
        assert feed is not None
        for path in sorted(feed.folder.glob("power-*.f32")):
            if path.name not in self._tails:
                self._tails[path.name] = SampleTail(path)
        tail = next(iter(self._tails.values()), None)
        volts, amps = self.query_one("#volts", Plot), self.query_one("#amps", Plot)
        mark = feed.station_time(self.mark) if self.mark is not None else None
        if tail is not None:
            tail.grow()
        if tail is not None and tail.times:
            first, last = tail.times[0], tail.times[-1]
            if mark is not None and last - first > WINDOW:
                window = (max(first, mark - WINDOW / 2), min(last, mark + WINDOW / 2))
            else:
                window = (max(first, last - WINDOW) if not feed.ended else first, last)
            volts.show(tail.times, tail.volts, window, mark)
            amps.show(tail.times, tail.amps, window, mark)
            what = f"{tail.name}: {window[1] - window[0]:.0f} s of station time"
        else:
            what = "no supply was read"
        self.set_title(self.query_one("#plots"), "At the selected moment" if mark is not None else "Now", what)
        self.query_one("#strip", LaneStrip).show(feed.index, self.mark)

    def _say_end(self) -> None:
        feed, look = self.feed, self.bench.look
        assert feed is not None
        view = feed.view
        if feed.broken:
            told = f"{look.said('broken')}: {feed.broken}"
        elif view.state == "pass":
            told = f"{look.said('pass')}: device {view.device}, bench {view.bench}. bench report {feed.folder.name}"
        else:
            reason = view.errors[0] if view.errors else "no reason was recorded"
            told = f"{look.said(view.state)}: {reason}   (w shows where)"
        safe = self.bench.safe_lately
        self.bench.say(f"{safe}; {told}" if safe else told)

    def _ask(self) -> None:
        """Show a question of the run to the person, once."""
        feed = self.feed
        assert feed is not None
        for number, data in feed.questions.items():
            if number in self._asked or self.bench.readonly or feed.folder not in self.bench.started:
                continue
            self._asked.add(number)
            choices = [str(choice) for choice in data.get("choices", ())]

            def answered(choice: str | None, number: int = number) -> None:
                if choice is None:
                    self._asked.discard(number)
                else:
                    self._answer(feed.folder, number, choice)

            self.app.push_screen(Question(feed.folder.name, str(data.get("text", "")), choices), answered)
            return

    @work(thread=True, group="answer", exit_on_error=False)
    def _answer(self, folder: Path, number: int, choice: str) -> None:
        trouble = self.bench.control.answer(folder, number, choice)
        self.app.call_from_thread(self.bench.say, trouble or f"answered: {choice}")

    def _show_part(self) -> None:
        for part in PARTS:
            self.set_class(part == self.part, f"-part-{part}")

    def _narrow(self) -> bool:
        return self.has_class("-narrow") or self.has_class("-tiny")

    def _station_by(self, step: int) -> None:
        """In a narrow terminal, the next part of the page; else the next station."""
        if not self._narrow():
            super()._station_by(step)
            return
        self.part = PARTS[(PARTS.index(self.part) + step) % len(PARTS)]
        self._show_part()
        focus = {"steps": "#steps", "lanes": "#lanes", "decode": "#decode"}.get(self.part)
        if focus:
            self.query_one(focus).focus()
        self.bench.say(f"part {PARTS.index(self.part) + 1} of {len(PARTS)}: {self.part}   [ and ] change it")

    def went_back(self) -> None:
        """From a selected packet to following; from there to the stations."""
        lanes = self.query_one("#lanes", PacketView)
        if self.feed is not None and not self.feed.ended and not lanes.following:
            self.action_follow()
        else:
            super().went_back()


def _measured(step: StepView, made: Any) -> str:
    limits = ""
    if made.get("lower") is not None or made.get("upper") is not None:
        limits = f" ({made.get('lower') if made.get('lower') is not None else ''}..{made.get('upper') or ''})"
    value = made.get("value")
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"  {step.name} {made.get('name')} {shown} {made.get('unit') or ''}{limits}"
