"""Soak: runs of the same recipe on the same station taken together. Simulated and real ones are never mixed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from textual.app import ComposeResult

from bench.run.index import RunInfo
from bench.tui.feed import wall_ns
from bench.tui.keys import HISTORY, SOAK
from bench.tui.screens.page import Page, bindings
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.row_list import Cell, Column, Row, RowList

COLUMNS = (
    Column("recipe", 18, 1),
    Column("station", 10),
    Column("kind", 4),
    Column("runs", 6, right=True),
    Column("passed", 22),
    Column("median", 8, right=True, optional=100),
    Column("latest, newest right", 30, optional=110),
)
_JUDGED = ("pass", "fail")


@dataclass(slots=True)
class Series:
    """Runs of one recipe on one station, oldest first."""

    recipe: str
    station: str
    simulated: bool
    runs: list[RunInfo] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Names it."""
        return f"{self.recipe}/{self.station}/{self.simulated}"

    def count(self, *states: str) -> int:
        """Return how many have one of these results."""
        return sum(run.state in states for run in self.runs)

    def interval(self) -> tuple[float, float] | None:
        """Return the share that passed with 95 % confidence (Wilson), among those that judge the device at all."""
        n = self.count(*_JUDGED)
        if not n:
            return None
        z, p = 1.959964, self.count("pass") / n
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def median(self) -> float | None:
        """Return the median duration by the wall clock of those that passed, in seconds."""
        spans = [
            (wall_ns(run.ended) - wall_ns(run.started)) / 1e9 for run in self.runs if run.state == "pass" and run.ended
        ]
        return statistics.median(spans) if spans else None


def series(runs: Iterable[RunInfo]) -> list[Series]:
    """Return the runs (newest first) by recipe, station and kind; the series with the latest run first."""
    found: dict[tuple[str, str, bool], Series] = {}
    for run in runs:
        key = run.recipe, run.station, run.simulated
        found.setdefault(key, Series(*key)).runs.insert(0, run)
    return list(found.values())


class SoakPage(Page):
    """Series of runs."""

    PAGE = SOAK
    BINDINGS = bindings(SOAK)
    AUTO_FOCUS = "#series"

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Series] = []
        self._known: object = None

    def body(self) -> ComposeResult:
        """Build the page."""
        yield RowList(COLUMNS, id="series", classes="pane")
        yield LineLog(id="detail", classes="pane")

    def filled(self) -> None:
        """Show the series."""
        known = [(run.run_id, run.state) for run in self.overview.runs]
        if known != self._known:
            self._known = known
            self.found = series(self.overview.runs)
        table = self.query_one("#series", RowList)
        table.show(Row(each.key, self._cells(each)) for each in self.found)
        self.set_title(table, f"Repeated runs ({len(self.found)} series)", "simulated and real ones apart")
        self._detail()

    def _cells(self, each: Series) -> list[Cell]:
        look = self.bench.look
        bounds, median = each.interval(), each.median()
        n = each.count(*_JUDGED)
        share = f"{each.count('pass')}/{n}  {bounds[0]:.0%}..{bounds[1]:.0%}" if bounds else "none judged"
        worst = "fail" if each.count("fail") else "pass" if each.count("pass") else "pending"
        return [
            each.recipe,
            each.station,
            "SIM" if each.simulated else "REAL",
            str(len(each.runs)),
            (look.said(worst, share), look.style(worst)),
            f"{median:.1f} s" if median is not None else look.glyph("none"),
            "".join(look.glyph(run.state) for run in each.runs[-30:]),
        ]

    def _detail(self) -> None:
        look, log = self.bench.look, self.query_one("#detail", LineLog)
        log.following = False
        key = self.query_one("#series", RowList).selected
        each = next((one for one in self.found if one.key == key), None)
        if each is None:
            log.show([("no run yet: 3 Recipes starts one", look.style("pending"))])
            return
        self.set_title(log, f"{each.recipe} on {each.station}", "enter opens the latest, 6 History has all")
        n, bounds = each.count(*_JUDGED), each.interval()
        plain = look.style("")
        lines = [(f"{len(each.runs)} runs, {'simulated' if each.simulated else 'real'}", look.style("heading"))]
        if bounds:
            interval = f"95 % interval {bounds[0]:.1%} to {bounds[1]:.1%}"
            text = f"passed {each.count('pass')} of {n} that judged the device; {interval}"
            lines.append((text, plain))
        for state in ("pass", "inconclusive", "fail", "aborted", "error", "bench-error", "broken", "running"):
            count = each.count(state)
            if count:
                bar = look.glyph("bar") * max(1, round(30 * count / len(each.runs)))
                lines.append((f"{look.said(state):<15} {count:>5}  {bar}", look.style(state)))
        lines.append(("latest, newest right", look.style("heading")))
        lines.append(("".join(look.glyph(run.state) for run in each.runs[-100:]), plain))
        log.show((look.text(text), style) for text, style in lines)

    def moved(self, view: Any) -> None:
        """Show the series."""
        if view.id == "series":
            self._detail()

    def opened(self, view: Any) -> None:
        """Open the latest run of the series."""
        key = self.query_one("#series", RowList).selected
        each = next((one for one in self.found if one.key == key), None)
        if view.id == "series" and each is not None:
            self.bench.show_run(each.runs[-1].folder)

    def action_filter(self) -> None:
        """History has the filter."""
        self.bench.show(HISTORY).action_filter()
