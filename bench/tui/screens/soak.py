"""Soak: every soak with its figures, what it has found, a plan started, resumed and ended; repeated runs below them.

A client like every page: soaks belong to their owner process, and all of it is read from their books.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.style import Style
from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal

from bench.errors import BenchError
from bench.report.statistics import Interval, clopper_pearson
from bench.tui.feed import wall_ns
from bench.tui.keys import HISTORY, SOAK
from bench.tui.screens.dialogs import Choose, Confirm, Interlock
from bench.tui.screens.page import Page, bindings
from bench.tui.screens.stations import local, span
from bench.tui.series import Series, series
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.row_list import Cell, Column, Row, RowList

if TYPE_CHECKING:
    from bench.client.soak_watch import SoakInfo
    from bench.tui.starting import Starting

COLUMNS: Final = (
    Column("soak, or recipe run again and again", 20, 1),
    Column("station", 10, optional=86),
    Column("kind", 4),
    Column("state", 14),
    Column("cycles", 9, right=True),
    Column("passed, 95 %", 23),
    Column("left/took", 9, right=True, optional=100),
)
FINDINGS: Final = (
    Column("finding", 24, 2),
    Column("failed", 6, right=True),
    Column("events", 6, right=True, optional=44),
    Column("in common", 14, 1, optional=50),
)
ENDS: Final = (
    ("finish", "after this cycle: finish those in progress      (Ctrl-C at bench soak)"),
    ("teardown", "now: teardown of the cycle, then safe           (Ctrl-C twice)"),
    ("at-once", "at once: safe, the cycle is lost                (Ctrl-C three times)"),
)
_EVERY: Final = 2.0
"""Seconds between two looks at the books."""
_FINDINGS_EVERY: Final = 20.0
"""Seconds between two readings of what a soak that goes on has found: it takes a second for a long one."""


class SoakPage(Page):
    """Soaks and series above; the chosen one and its findings below."""

    PAGE = SOAK
    BINDINGS = bindings(SOAK)
    AUTO_FOCUS = "#soaks"

    def __init__(self) -> None:
        super().__init__()
        self.soaks: Sequence[SoakInfo] = ()
        self.found: list[Series] = []
        self.findings: dict[Path, Mapping[str, Any]] = {}
        """What was read of soaks, by their folders."""
        self.trouble = ""
        self._wanted = ""
        """The soak to select as soon as it is listed."""
        self._known: object = None
        self._read_at = -_EVERY
        self._reading = False
        self._looked: dict[Path, tuple[float, int]] = {}
        """When findings were asked for, and of how many cycles."""

    def body(self) -> ComposeResult:
        """Build the page."""
        yield RowList(COLUMNS, id="soaks", classes="pane")
        with Horizontal(id="soak-below"):
            yield LineLog(id="detail", classes="pane")
            yield RowList(FINDINGS, id="clusters", classes="pane")

    def on_mount(self) -> None:
        """Nothing is followed here."""
        self.query_one("#detail", LineLog).following = False

    # --- what is known ------------------------------------------------------------------------------------------------

    def filled(self) -> None:
        """Show what is known, and look again in a thread."""
        known = [(run.run_id, run.state) for run in self.overview.runs]
        if known != self._known:
            self._known = known
            self.found = series(self.overview.runs)
        self._draw()
        if not self._reading and time.monotonic() - self._read_at >= _EVERY:
            self._reading = True
            self._read(self.overview.runs_folder)

    @work(thread=True, group="soaks", exit_on_error=False)
    def _read(self, runs: Path) -> None:
        found, trouble = self.soaks, ""
        try:
            found = self.bench.control.soaks.read(runs)
        except (BenchError, OSError) as error:
            trouble = str(error)
        finally:
            self._reading = False
            self._read_at = time.monotonic()
        self.app.call_from_thread(self._came, found, trouble)

    def _came(self, found: Sequence[SoakInfo], trouble: str) -> None:
        if not self.soaks and found:
            self._wanted = self._wanted or found[0].soak
        self.soaks, self.trouble = found, trouble
        if self.is_mounted:
            self._draw()
            if self._wanted and self.query_one("#soaks", RowList).select(self._wanted):
                self._wanted = ""

    @property
    def soak(self) -> SoakInfo | None:
        """The selected soak, None while a series or nothing is selected."""
        key = self.query_one("#soaks", RowList).selected
        return next((soak for soak in self.soaks if soak.soak == key), None)

    @property
    def chosen(self) -> Series | None:
        """The selected series."""
        key = self.query_one("#soaks", RowList).selected
        return next((each for each in self.found if each.key == key), None)

    def _look(self, soak: SoakInfo) -> None:
        """Have the findings read when they are not those of now."""
        at, cycles = self._looked.get(soak.folder, (-_FINDINGS_EVERY, -1))
        if cycles == soak.cycles or time.monotonic() - at < (_FINDINGS_EVERY if cycles >= 0 else 0.0):
            return
        self._looked[soak.folder] = time.monotonic(), soak.cycles
        self._find(soak.folder)

    @work(thread=True, exclusive=True, group="findings", exit_on_error=False)
    def _find(self, folder: Path) -> None:
        found: Mapping[str, Any]
        try:
            found = self.bench.control.soaks.findings(folder)
        except (BenchError, OSError) as error:
            found = {"trouble": str(error)}
        self.app.call_from_thread(self._found, folder, found)

    def _found(self, folder: Path, found: Mapping[str, Any]) -> None:
        self.findings[folder] = found
        if self.is_mounted:
            self._below()

    # --- drawing ------------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        table = self.query_one("#soaks", RowList)
        rows = [Row(soak.soak, self._soak_cells(soak)) for soak in self.soaks]
        table.show([*rows, *(Row(each.key, self._series_cells(each)) for each in self.found)])
        running = sum(soak.state == "running" for soak in self.soaks)
        title = f"Soaks ({len(self.soaks)}, {running} running) and repeated runs ({len(self.found)})"
        self.set_title(table, title, self.trouble or "simulated and real ones apart")
        self._below()

    def _soak_cells(self, soak: SoakInfo) -> list[Cell]:
        look = self.bench.look
        state = "running" if soak.state == "running" else soak.state
        word = "ending" if soak.stopping else state
        done = str(soak.cycles) if soak.planned is None else f"{soak.cycles}/{soak.planned}"
        took = left(soak) if soak.state == "running" else span(soak.active)
        return [
            look.text(soak.title or soak.soak),
            ",".join(soak.stations),
            "SIM" if soak.simulated else "REAL",
            (look.said(state, word), look.style(state)),
            done,
            self._share(soak.trials - soak.events, soak.trials, passed_of(soak)),
            took or look.glyph("none"),
        ]

    def _series_cells(self, each: Series) -> list[Cell]:
        look = self.bench.look
        median = each.median()
        state = each.runs[-1].state
        return [
            look.text(each.recipe),
            each.station,
            "SIM" if each.simulated else "REAL",
            (look.said(state), look.style(state)),
            str(len(each.runs)),
            self._share(each.count("pass"), each.judged, each.interval()),
            f"{median:.1f} s" if median is not None else look.glyph("none"),
        ]

    def _share(self, passed: int, total: int, interval: Interval | None) -> Cell:
        look = self.bench.look
        if interval is None:
            return ("none judged", look.style("none"))
        state = "pass" if passed == total else "fail"
        return (f"{look.glyph(state)} {passed}/{total} {per_cent(interval)}", look.style(state))

    def _below(self) -> None:
        log, table = self.query_one("#detail", LineLog), self.query_one("#clusters", RowList)
        look = self.bench.look
        soak, each = self.soak, self.chosen
        if soak is not None:
            self._look(soak)
            found = self.findings.get(soak.folder, {})
            lines = self._soak_lines(soak, found)
            self.set_title(log, soak.soak, f"bench soak --report {soak.soak}")
            clusters = found.get("clusters") or ()
            table.show(Row(str(at), _cluster_cells(cluster)) for at, cluster in enumerate(clusters))
            subtitle = "enter opens its first run" if clusters else "none so far" if found else "reading ..."
            self.set_title(table, f"Findings ({len(clusters)})", subtitle)
        elif each is not None:
            lines = self._series_lines(each)
            self.set_title(log, f"{each.recipe} on {each.station}", "enter opens the latest, 6 has all")
            bad = [run for run in reversed(each.runs) if run.state not in ("pass", "running")]
            table.show(Row(run.run_id, [look.text(f"{look.glyph(run.state)} {run.run_id}"), run.state]) for run in bad)
            self.set_title(table, f"Runs that did not pass ({len(bad)})", "enter opens one")
        else:
            lines = [("no soak and no run yet: p starts a plan, 3 Recipes a run", look.style("pending"))]
            self.set_title(log, "Soak")
            table.show(())
            self.set_title(table, "Findings")
        log.show((look.text(text), style) for text, style in lines)

    def _soak_lines(self, soak: SoakInfo, found: Mapping[str, Any]) -> list[tuple[str, Style]]:
        look = self.bench.look
        plain, head = look.style(""), look.style("heading")
        kind = "simulated" if soak.simulated else "real"
        told = f"{', '.join(soak.stations)}  {soak.told or soak.stopping}".rstrip()
        lines = [(f"{look.said(soak.state)}  {kind}  {told}", look.style(soak.state))]
        planned = f" of {soak.planned}" if soak.planned is not None else ""
        lines.append((f"{soak.cycles}{planned} cycles in {span(soak.active)}, since {local(soak.started)}", plain))
        interval = passed_of(soak)
        if interval is not None:
            events = f"{soak.events} event{'' if soak.events == 1 else 's'}"
            lines.append((f"{soak.failures} of {soak.counted} cycles failed in {events}", plain))
            text = f"{soak.trials - soak.events} of {soak.trials} independent trials pass"
            lines.append((f"{text}: {per_cent(interval)}", plain))
        if soak.state == "running" and left(soak):
            until = f", at the latest {local(soak.until)}" if soak.until else ""
            lines.append((f"about {left(soak)} to go{until}", plain))
        if soak.bench_errors:
            lines.append((f"{soak.bench_errors} errors of the bench, left out of the rates", look.style("bench-error")))
        if soak.state == "broken":
            lines.append(("its owner is gone: u resumes it, nothing finished is lost", look.style("broken")))
        if found.get("trouble"):
            lines.append((str(found["trouble"]), look.style("fail")))
        for name, station in (found.get("stations") or {}).items():
            if station.get("ended"):
                lines.append((f"{name}: {station['ended']}", look.style("warning")))
        rates = found.get("rates") or ()
        if rates:
            lines.append(("failure rates by", head))
        for rate in rates:
            bounds = per_cent(Interval(rate["lower"], rate["upper"]))
            state = "fail" if rate["failures"] else ""
            name = f"{rate['by']} {rate['value']}"
            events = f"{rate['events']} event{'' if rate['events'] == 1 else 's'}"
            told = f"{rate['failures']}/{rate['cycles']}, {events}  {bounds}"
            lines.append((f"{name:<22} {told}", look.style(state)))
        times = [item for item in found.get("times") or () if item["phase"] == "cycle"]
        if times:
            lines.append(("station time of passed cycles", head))
        for item in times:
            lines.append((f"{item['recipe']:<32} p50 {item['p50']:.1f} s, p95 {item['p95']:.1f} s", plain))
            if item["drifts"]:
                lines.append((f"  and changed by {item['trend']:+.3g} s from first to last", look.style("warning")))
        return lines

    def _series_lines(self, each: Series) -> list[tuple[str, Style]]:
        look, interval = self.bench.look, each.interval()
        plain = look.style("")
        lines = [(f"{len(each.runs)} runs, {'simulated' if each.simulated else 'real'}", look.style("heading"))]
        if interval is not None:
            bounds = f"95 % interval {interval.lower:.1%} to {interval.upper:.1%}"
            lines.append((f"passed {each.count('pass')} of {each.judged} that judged the device; {bounds}", plain))
        for state in ("pass", "inconclusive", "fail", "aborted", "error", "bench-error", "broken", "running"):
            count = each.count(state)
            if count:
                bar = look.glyph("bar") * max(1, round(24 * count / len(each.runs)))
                lines.append((f"{look.said(state):<15} {count:>5}  {bar}", look.style(state)))
        lines.append(("latest, newest right", look.style("heading")))
        lines.append(("".join(look.glyph(run.state) for run in each.runs[-50:]), plain))
        return lines

    # --- keys ---------------------------------------------------------------------------------------------------------

    def moved(self, view: Any) -> None:
        """Show what belongs to the selected line."""
        if view.id == "soaks":
            self._below()

    def opened(self, view: Any) -> None:
        """Open the run: the latest of a soak or series, the first of a finding."""
        soak, each = self.soak, self.chosen
        if view.id == "clusters" and soak is not None:
            clusters = self.findings.get(soak.folder, {}).get("clusters") or ()
            runs = clusters[int(view.selected)]["runs"] if view.selected.isdecimal() else ()
            self._open(soak.runs / runs[0] if runs else None)
        elif view.id == "clusters" and each is not None:
            self._open(next((run.folder for run in each.runs if run.run_id == view.selected), None))
        elif soak is not None:
            self._open(soak.runs / soak.run if soak.run else None)
        elif each is not None:
            self._open(each.runs[-1].folder)

    def _open(self, folder: Path | None) -> None:
        if folder is None or not folder.exists():
            self.bench.say("it has no run yet" if folder is None else f"the run is no longer kept: {folder.name}")
        else:
            self.bench.show_run(folder)

    def note_on(self) -> str:
        """Notes here are on the soak, else on the station."""
        soak = self.soak
        return soak.soak if soak is not None else super().note_on()

    def action_filter(self) -> None:
        """History has the filter."""
        self.bench.show(HISTORY).action_filter()

    def action_start_plan(self) -> None:
        """Choose a plan, see what it will use, then start it."""
        if self.station is None:
            self.bench.say("no station is selected")
            return
        self._plans()

    @work(thread=True, exclusive=True, group="plan", exit_on_error=False)
    def _plans(self) -> None:
        found = self.bench.control.soaks.plans()
        self.app.call_from_thread(self._choose_plan, found)

    def _choose_plan(self, found: Mapping[str, str]) -> None:
        station = self.bench.station
        if not found:
            self.bench.say("no plan is installed; bench soak FILE.toml takes one of your own")
            return

        def chosen(plan: str | None) -> None:
            if plan:
                self.bench.say(f"bench soak {plan} --station {station} --dry-run ...")
                self._dry_run(plan, station)

        choices = [(name, f"{name:<24} {told}") for name, told in found.items()]
        self.app.push_screen(Choose(f"Plan for station {station}", choices), chosen)

    @work(thread=True, exclusive=True, group="plan", exit_on_error=False)
    def _dry_run(self, plan: str, station: str) -> None:
        try:
            told = self.bench.control.soaks.dry_run(plan, station)
        except (BenchError, OSError) as error:
            self.app.call_from_thread(self.bench.say, str(error))
            return
        self.app.call_from_thread(self._ask_start, plan, station, told)

    def _ask_start(self, plan: str, station: str, told: Sequence[str]) -> None:
        state = self.overview.station(station)
        free = state is None or state.owner is None
        kind = state.kind if state is not None else "?"
        locks = [Interlock(free, "the station is free", state.held_by if state is not None else "", final=True)]

        def answered(yes: bool | None) -> None:
            if yes:
                self.bench.say(f"bench soak {plan} --station {station} --detach")
                soaks = self.bench.control.soaks
                self._begin(lambda: soaks.start(plan, station), [self.bench.starts(station)])

        facts = [f"plan    {plan}", f"station {station} ({kind})", "", *told]
        facts.append("It goes on without this screen; x here ends it.")
        self.app.push_screen(Confirm("Start the soak?", facts, "Start", interlocks=locks), answered)

    @work(thread=True, group="begin", exit_on_error=False)
    def _begin(self, begin: Callable[[], Path], starting: Sequence[Starting], verb: str = "has begun") -> None:
        folder, trouble = None, f"no soak {verb}"
        try:
            if not any(each.withdrawn() for each in starting):
                folder = begin()
        except (BenchError, OSError) as error:
            trouble = str(error)
        finally:
            for each in starting:
                self.bench.has_started(each, folder, trouble, is_run=False)
        if folder is not None:
            withdrawn = any(each.withdrawn() for each in starting)
            told = "" if withdrawn else f"soak {folder.name} {verb}: bench soak --follow {folder.name}"
            self.app.call_from_thread(self._begun, folder, told)

    def _begun(self, folder: Path, told: str) -> None:
        self._wanted = folder.name
        if told:
            self.bench.say(told)
        self._again()

    def _again(self) -> None:
        self._read_at = -_EVERY
        self.bench.refresh_overview()

    def action_resume(self) -> None:
        """Go on with the selected soak, asked first."""
        soak = self.soak
        if soak is None:
            self.bench.say("no soak is selected")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.bench.say(f"bench soak --resume {soak.soak} --detach")
                self._begin(
                    lambda: self.bench.control.soaks.resume(soak.folder),
                    [self.bench.starts(station) for station in soak.stations],
                    "goes on",
                )

        facts = [*self._facts(soak), "", "It goes on where it ended, with the same plan and seed."]
        ended = Interlock(soak.state != "running", "nobody works on it", soak.state, final=True)
        self.app.push_screen(Confirm("Go on with the soak?", facts, "Go on", interlocks=[ended]), answered)

    def action_stop_run(self) -> None:
        """Choose one of three ends, then answer the question about it."""
        soak = self.soak
        if soak is None or soak.state != "running":
            self.bench.say("no soak is selected" if soak is None else f"{soak.soak} has ended already")
            return

        def chosen(level: str | None) -> None:
            if level:
                self._ask_end(soak, level)

        self.app.push_screen(Choose("End the soak: how?", ENDS, self._facts(soak)), chosen)

    def _ask_end(self, soak: SoakInfo, level: str) -> None:
        held = [state.held_by for name in soak.stations if (state := self.overview.station(name)) and not state.mine]
        others = [who for who in held if who]
        locks = [Interlock(not others, "its stations are yours", ", ".join(others), final=True)]
        facts = [*self._facts(soak), "", dict(ENDS)[level].split("  ")[0]]

        def answered(yes: bool | None) -> None:
            if yes:
                self._tell(soak, level)

        self.app.push_screen(Confirm("End the soak?", facts, "End it", interlocks=locks), answered)

    @staticmethod
    def _facts(soak: SoakInfo) -> list[str]:
        return [f"soak    {soak.soak}", f"plan    {soak.title}", f"station {', '.join(soak.stations)}"]

    @work(thread=True, exclusive=True, group="end", exit_on_error=False)
    def _tell(self, soak: SoakInfo, what: str) -> None:
        control = self.bench.control.soaks
        try:
            done = control.end(soak.folder, what)
            told = f"{soak.soak}: {dict(ENDS)[what].split('  ')[0]}" if done else f"{soak.soak} has ended already"
        except (BenchError, OSError) as error:
            told = str(error)
        self.app.call_from_thread(self.bench.say, told)
        self.app.call_from_thread(self._again)


def passed_of(soak: SoakInfo) -> Interval | None:
    """Return the share that passes with 95 % confidence: exact over events, as the morning report has it."""
    if not soak.counted:
        return None
    failed = clopper_pearson(soak.events, soak.trials)
    return Interval(1 - failed.upper, 1 - failed.lower)


def per_cent(interval: Interval) -> str:
    """Return an interval of a share."""
    return f"{100 * interval.lower:.1f}..{100 * interval.upper:.1f} %"


def left(soak: SoakInfo) -> str:
    """Return how long a soak will take by its cycles so far, at most until its deadline; empty when not known."""
    spans = []
    if soak.planned is not None and soak.seconds_per_cycle is not None:
        cycles = max(0, soak.planned - soak.cycles)
        spans.append(cycles * soak.seconds_per_cycle / max(1, len(soak.stations)))
    if soak.until:
        spans.append(max(0.0, wall_ns(soak.until) / 1e9 - time.time()))
    return span(min(spans)) if spans else ""


def _cluster_cells(cluster: Mapping[str, Any]) -> list[Cell]:
    common = "; ".join(str(item["text"]) for item in cluster["conditions"])
    return [str(cluster["signature"]), str(cluster["failures"]), str(cluster["events"]), common]
