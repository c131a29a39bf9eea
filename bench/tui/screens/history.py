"""History: every run that is kept; filter, open, and two of them compared exchange by exchange."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.style import Style
from textual import work
from textual.app import ComposeResult

from bench.run.index import RunInfo
from bench.tui.feed import wall_ns
from bench.tui.keys import HISTORY
from bench.tui.screens.dialogs import Ask
from bench.tui.screens.page import Page, bindings
from bench.tui.screens.stations import local
from bench.tui.themes import Look
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.row_list import Cell, Column, Row, RowList

COLUMNS = (
    Column("", 1),
    Column("started", 14),
    Column("station", 10),
    Column("kind", 4, optional=100),
    Column("recipe", 18, 2),
    Column("result", 15),
    Column("device", 12, optional=100),
    Column("took", 8, right=True),
    Column("label", 6, 1, optional=100),
)


class HistoryPage(Page):
    """Runs, newest first."""

    PAGE = HISTORY
    BINDINGS = bindings(HISTORY)
    AUTO_FOCUS = "#runs"

    def __init__(self) -> None:
        super().__init__()
        self.wanted = ""
        self.marked: Path | None = None

    def body(self) -> ComposeResult:
        """Build the page."""
        yield RowList(COLUMNS, id="runs", classes="pane")
        yield LineLog(id="diff", classes="pane", cursor=True)

    def on_mount(self) -> None:
        """Say what to do."""
        log = self.query_one("#diff", LineLog)
        log.following = False
        faint = self.bench.look.style("pending")
        log.show([("a marks a run as A, how it should be; d compares it with the selected one, B", faint)])
        self.set_title(log, "Compare")

    def filled(self) -> None:
        """Show the runs."""
        table = self.query_one("#runs", RowList)
        shown = [run for run in self.overview.runs if fits(run, self.wanted)]
        table.show(Row(run.run_id, self._cells(run)) for run in shown)
        count = f"{len(shown)} of {len(self.overview.runs)}" if self.wanted else str(len(shown))
        self.set_title(table, f"Runs ({count})", f"filter: {self.wanted}" if self.wanted else "/ filters")

    def _cells(self, run: RunInfo) -> list[Cell]:
        look = self.bench.look
        took = (wall_ns(run.ended) - wall_ns(run.started)) / 1e9 if run.ended else 0.0
        return [
            "A" if self.marked == run.folder else "",
            local(run.started),
            run.station,
            "SIM" if run.simulated else "REAL",
            run.recipe,
            (look.said(run.state), look.style(run.state)),
            run.device or look.glyph("none"),
            f"{took:.1f} s" if took > 0 else look.glyph("none"),
            run.label,
        ]

    def _selected(self) -> RunInfo | None:
        key = self.query_one("#runs", RowList).selected
        return next((run for run in self.overview.runs if run.run_id == key), None)

    def moved(self, view: Any) -> None:
        """Say which run it is."""
        run = self._selected()
        if view.id == "runs" and run is not None:
            self.bench.say(f"bench show {run.run_id}")

    def opened(self, view: Any) -> None:
        """Open the run."""
        run = self._selected()
        if view.id == "runs" and run is not None:
            self.bench.show_run(run.folder)

    def note_on(self) -> str:
        """Notes here are on the run."""
        run = self._selected()
        return run.run_id if run is not None else ""

    def action_filter(self) -> None:
        """Filter."""

        def given(text: str | None) -> None:
            if text is not None:
                self.wanted = text
                self.filled()

        hint = "Words that station, recipe, result, label or id must have; sim or real; since:2h, since:7d"
        self.app.push_screen(Ask("Filter the runs", hint, self.wanted, "eco fail st1 since:7d"), given)

    def action_mark_run(self) -> None:
        """Mark a run as A, or take the mark away."""
        run = self._selected()
        if run is None:
            return
        self.marked = None if self.marked == run.folder else run.folder
        self.filled()
        self.bench.say(f"A is {run.run_id}; d compares it with the selected run" if self.marked else "no run is marked")

    def action_diff(self) -> None:
        """Compare A with the selected run; without A, with the last run of its kind that passed."""
        run = self._selected()
        if run is None:
            self.bench.say("no run is selected")
            return
        a = self.marked
        if a is None or a == run.folder:
            before = (
                other.folder
                for other in self.overview.runs
                if other.folder != run.folder
                and (other.recipe, other.simulated, other.state) == (run.recipe, run.simulated, "pass")
            )
            a = next(before, None)
        if a is None:
            self.bench.say("a marks the run to compare with; none of this recipe has passed")
            return
        self.bench.say(f"bench trace diff {a.name} {run.run_id}")
        self._compare(a, run.folder)

    @work(thread=True, exclusive=True, group="diff", exit_on_error=False)
    def _compare(self, a: Path, b: Path) -> None:
        try:
            lines = compared(a, b, self.bench.look)
        except (OSError, ValueError) as error:
            lines = [(f"cannot be compared: {error}", self.bench.look.style("fail"))]
        self.app.call_from_thread(self._compared, a, b, lines)

    def _compared(self, a: Path, b: Path, lines: list[tuple[str, Style]]) -> None:
        log = self.query_one("#diff", LineLog)
        log.cursor = 0
        log.show(lines)
        log.focus()
        self.set_title(log, f"A {a.name}   B {b.name}")


def fits(run: RunInfo, wanted: str) -> bool:
    """Whether a run has all the words of a filter; ``since:2h`` bounds its age."""
    import time

    words = f"{run.run_id} {run.station} {run.recipe} {run.state} {run.label} {'sim' if run.simulated else 'real'}"
    everything = words.casefold()
    for word in wanted.casefold().split():
        if word.startswith("since:"):
            unit = {"m": 60, "h": 3600, "d": 86400}.get(word[-1:], 0)
            try:
                oldest = time.time() - float(word[6:-1]) * unit
            except ValueError:
                continue
            if unit and wall_ns(run.started) / 1e9 < oldest:
                return False
        elif word not in everything:
            return False
    return True


def compared(a: Path, b: Path, look: Look) -> list[tuple[str, Style]]:
    """Return what two runs differ in: steps side by side, then exchanges, the first divergence first."""
    from bench.client.reading import journal
    from bench.client.view import RunView
    from bench.errors import BenchError
    from bench.trace.diff import compare
    from bench.trace.reader import read

    plain, head = Style(), look.style("heading")
    lines: list[tuple[str, Style]] = []
    views = []
    try:
        for folder in (a, b):
            view = RunView()
            for event in journal(folder):
                view.apply(event)
            views.append(view)
        found = compare(read(a / "trace.pcapng"), read(b / "trace.pcapng"))
    except BenchError as error:
        return [(look.text(f"cannot be compared: {error}"), look.style("fail"))]
    first, second = views
    if first.simulated != second.simulated:
        lines.append((f"{look.glyph('warning')} one is simulated, the other is not", look.style("warning")))
    same = "no divergence" if found.first is None else "nothing grave differs" if found.same else "they differ"
    verdict = f"A {look.said(first.state)}   B {look.said(second.state)}   {same}"
    lines.append((f"{verdict}: {found.compared} exchanges, {found.fields} fields compared", head))
    for number, item in enumerate(found.divergences[:40]):
        word = "FIRST DIVERGENCE" if number == 0 else "then"
        style = look.style("fail" if not found.same and number == 0 else "warning")
        lines.append((look.text(f"{word}: {item.level}  {item.lane}  {item.function}: {item.text}"), style))
        for name, made in (("A", item.a), ("B", item.b)):
            if made is not None:
                where = f"packet {made.first}, step {made.step}" if made.step else f"packet {made.first}"
                lines.append((look.text(f"   {name}: {made.result or 'no answer'}   ({where})"), plain))
    if len(found.divergences) > 40:
        lines.append((f"and {len(found.divergences) - 40} more: bench trace diff --all", plain))
    lines += [("", plain), ("steps, A and B", head)]
    b_steps = {step.path: step for step in second.steps}
    seen = set()
    for step in first.steps:
        seen.add(step.path)
        other = b_steps.get(step.path)
        left = f"{look.glyph(step.state)} {step.elapsed or 0:8.1f} s"
        right = (
            f"{look.glyph(other.state)} {other.elapsed or 0:8.1f} s"
            if other is not None
            else f"{look.glyph('none'):>12}"
        )
        differs = other is None or other.state != step.state
        lines.append((look.text(f"{left}   {right}   {step.path}"), look.style("warning") if differs else plain))
    for step in second.steps:
        if step.path not in seen:
            text = f"{look.glyph('none'):>12}   {look.glyph(step.state)} {step.elapsed or 0:8.1f} s   {step.path}"
            lines.append((look.text(text), look.style("warning")))
    return lines
