"""Recipes: a form from what the recipe declares, checked while it is filled in; presets, effects, the command line."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.style import Style
from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Static

from bench.tui.control import Wish
from bench.tui.feed import wall_ns
from bench.tui.keys import RECIPES
from bench.tui.screens.dialogs import Ask, Confirm, Interlock
from bench.tui.screens.page import Page, bindings
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.row_list import Column, Row, RowList

if TYPE_CHECKING:
    from bench.client.recipes import ParameterInfo, RecipeInfo

RUN_FIELDS = ("eid", "clock", "label")
_HELP = {
    "eid": "EID of the card: allows what cannot be undone on it, and pins it for the run.",
    "clock": "Simulated stations: instant, real or scaled:FACTOR; empty: what the world says.",
    "label": "Free text kept with the run.",
}


class Field(Horizontal):
    """One parameter: name, value, unit."""

    def __init__(self, name: str, unit: str, default: str, value: str) -> None:
        super().__init__(classes="field")
        self.parameter = name
        self.unit = unit
        self.default = default
        self.value = value

    def compose(self) -> ComposeResult:
        """Build the line."""
        yield Static(self.parameter, classes="name", markup=False)
        yield Input(self.value, placeholder=self.default, id=f"p-{self.parameter}", compact=True)
        yield Static(self.unit, classes="unit", markup=False)


class RecipesPage(Page):
    """List, form, what it would do."""

    PAGE = RECIPES
    BINDINGS = bindings(RECIPES)
    AUTO_FOCUS = "#recipes"

    def __init__(self) -> None:
        super().__init__()
        self.found: Sequence[RecipeInfo] = ()
        self.wanted = ""
        self.recipe: RecipeInfo | None = None
        self.values: dict[str, dict[str, str]] = {}
        """What was typed, by recipe."""
        self._trouble = ""
        self._preset = 0
        self._help = ""

    def body(self) -> ComposeResult:
        """Build the page."""
        with Horizontal(id="recipes-body"):
            yield RowList((Column("", 1), Column("recipe", 20, 1)), id="recipes", classes="pane")
            with VerticalScroll(id="form", classes="pane", can_focus=False):
                yield Vertical(id="fields")
            with Vertical(id="about-column", classes="wide-only"):
                yield LineLog(id="about", classes="pane")

    def on_mount(self) -> None:
        """Load the recipes in a thread: they are modules of other packages."""
        self.query_one("#about", LineLog).following = False
        self._load()

    @work(thread=True, exclusive=True, group="recipes", exit_on_error=False)
    def _load(self) -> None:
        found = self.bench.control.recipes()
        self.app.call_from_thread(self._loaded, found)

    def _loaded(self, found: Sequence[RecipeInfo]) -> None:
        self.found = found
        self._list()
        if self.recipe is None and found:
            main = next((item for item in found if item.name == "bootstrap-to-operational"), found[0])
            self.query_one("#recipes", RowList).select(main.name)
            self._choose(main.name)

    def _list(self) -> None:
        table, look = self.query_one("#recipes", RowList), self.bench.look
        rows = []
        for item in self.found:
            if self.wanted and self.wanted.casefold() not in f"{item.name} {item.title}".casefold():
                continue
            sign = look.glyph("warning") if item.effects else " "
            rows.append(Row(item.name, [(sign, look.style("warning")), item.name]))
        table.show(rows)
        extra = f"  filter: {self.wanted}" if self.wanted else ""
        self.set_title(table, f"Recipes ({len(rows)}){extra}", f"{look.glyph('warning')} cannot be undone")

    # --- the form -----------------------------------------------------------------------------------------------------

    def moved(self, view: Any) -> None:
        """Another recipe."""
        if view.id == "recipes" and view.selected:
            self._choose(view.selected)

    def _choose(self, name: str) -> None:
        chosen = next((item for item in self.found if item.name == name), None)
        if chosen is None or chosen is self.recipe:
            return
        self.recipe = chosen
        self._preset = 0
        self._build()

    @work(exclusive=True, group="form", exit_on_error=False)
    async def _build(self) -> None:
        recipe = self.recipe
        if recipe is None:
            return
        fields = self.query_one("#fields", Vertical)
        await fields.remove_children()
        # Fields begin with their values: one that is set later would undo what was typed meanwhile.
        kept = {"clock": self.bench.clock_for(self.bench.station)}
        kept |= {name: text for name, text in self.values.get(recipe.name, {}).items() if text}
        made = [Field(each.name, each.unit, _default(each), kept.get(each.name, "")) for each in recipe.parameters]
        made += [Field(name, "", "", kept.get(name, "")) for name in RUN_FIELDS]
        await fields.mount_all(made)
        self.query_one("#form").scroll_home(animate=False)
        self._check()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Keep what is typed, and check it."""
        if self.recipe is None or not (event.input.id or "").startswith("p-"):
            return
        self.values.setdefault(self.recipe.name, {})[(event.input.id or "")[2:]] = event.value
        self._check()

    def on_descendant_focus(self, event: Any) -> None:
        """Explain the field."""
        name = getattr(event.widget, "id", "") or ""
        if name.startswith("p-") and self.recipe is not None:
            item = next((each for each in self.recipe.parameters if each.name == name[2:]), None)
            self._help = f"{name[2:]}: {item.describe() if item else _HELP.get(name[2:], '')}"
            self._about()

    def wish(self) -> Wish | None:
        """Return the run as the form says."""
        if self.recipe is None:
            return None
        values = {name: text.strip() for name, text in self.values.get(self.recipe.name, {}).items() if text.strip()}
        given = [f"{item.name}={values[item.name]}" for item in self.recipe.parameters if item.name in values]
        return Wish(
            self.recipe.name,
            self.bench.station,
            tuple(given),
            eid=values.get("eid", ""),
            clock=values.get("clock", ""),
            label=values.get("label", ""),
        )

    def station_changed(self) -> None:
        """The clock's default is the station's; check again."""
        if self.recipe is not None and self.query("#p-clock"):
            box = self.query_one("#p-clock", Input)
            if box.value in ("", "scaled:10"):
                box.value = self.bench.clock_for(self.bench.station)
        self._check()

    def filled(self) -> None:
        """The station may have been taken meanwhile."""
        self._about()

    def _check(self) -> None:
        wish = self.wish()
        if wish is not None:
            self._checked_in_thread(wish)

    @work(thread=True, exclusive=True, group="check", exit_on_error=False)
    def _checked_in_thread(self, wish: Wish) -> None:
        trouble = self.bench.control.check(wish)
        self.app.call_from_thread(self._checked, wish, trouble)

    def _checked(self, wish: Wish, trouble: str) -> None:
        if self.wish() == wish:
            self._trouble = trouble
            self._about()

    def _about(self) -> None:
        recipe, wish, look = self.recipe, self.wish(), self.bench.look
        if recipe is None or wish is None:
            return
        station = self.station
        self.set_title(self.query_one("#form"), f"{recipe.name} on {self.bench.station}", "[ ] station   ^l preset")
        plain, head, faint = Style(), look.style("heading"), look.style("pending")
        lines: list[tuple[str, Style]] = []
        width = max(20, self.query_one("#about", LineLog).scrollable_content_region.width)

        def add(text: str, style: Style = plain) -> None:
            lines.extend((look.text(part), style) for part in _wrapped(text, width))

        add(recipe.title, head)
        add(recipe.summary)
        add("")
        if self._help:
            add(self._help, look.style("running"))
            add("")
        if self._trouble:
            add(f"{look.said('fail', 'refused')}: {self._trouble}", look.style("fail"))
        elif station is not None and station.owner is not None:
            add(f"{look.said('warning', 'wait')}: {station.name} is held by {station.held_by}", look.style("warning"))
        else:
            add(f"{look.said('ok', 'can run')}: ^r starts it", look.style("ok"))
        add("")
        add(f"needs: {', '.join(recipe.needs) or 'nothing'}", faint)
        if recipe.effects:
            allowed = "expendable" if station is not None and station.expendable else "the EID must be given"
            add(
                f"{look.glyph('warning')} cannot be undone: {', '.join(recipe.effects)} ({allowed})",
                look.style("warning"),
            )
        add(self._typically(recipe.name), faint)
        add("")
        add("the same on the command line (y copies it):", faint)
        add(wish.command())
        self.query_one("#about", LineLog).show(lines)
        narrow = self.has_class("-narrow") or self.has_class("-tiny")
        if self._trouble or (narrow and self._help):
            self.bench.say(self._trouble or self._help)
        elif self.bench.status and (self.bench.status.startswith("where:") or not self.bench.status):
            self.bench.say("")

    def _typically(self, name: str) -> str:
        kind = self.station.simulated if self.station is not None else True
        spans = [
            (wall_ns(run.ended) - wall_ns(run.started)) / 1e9
            for run in self.overview.runs[:1000]
            if run.recipe == name and run.simulated == kind and run.state == "pass" and run.ended
        ]
        tried = sum(run.recipe == name and run.simulated == kind for run in self.overview.runs[:1000])
        if not spans:
            return f"never passed yet here ({tried} tried, {'SIM' if kind else 'REAL'})"
        word = "SIM" if kind else "REAL"
        return f"{len(spans)} of {tried} passed ({word}), median {statistics.median(spans):.0f} s by the wall clock"

    # --- keys ---------------------------------------------------------------------------------------------------------

    def opened(self, view: Any) -> None:
        """Enter on a recipe: to its form."""
        if view.id == "recipes" and self.query("#fields Input"):
            self.query("#fields Input").first().focus()

    def on_input_submitted(self) -> None:
        """Enter in a field: the next one."""
        self.focus_next("Input")

    def action_dry_run(self) -> None:
        """Check everything without touching anything."""
        wish = self.wish()
        if wish is not None:
            self._dry_run(wish)

    @work(thread=True, exclusive=True, group="dry-run", exit_on_error=False)
    def _dry_run(self, wish: Wish) -> None:
        trouble = self.bench.control.check(wish)
        steps = [] if trouble else self.bench.control.expected(wish)
        self.app.call_from_thread(self._dry_run_done, wish, trouble, steps)

    def _dry_run_done(self, wish: Wish, trouble: str, steps: list[str]) -> None:
        from bench.tui.screens.dialogs import Lines

        look = self.bench.look
        self._trouble = trouble
        self._about()
        if trouble:
            self.bench.say(f"{look.said('fail', 'refused')}: {trouble}")
            return
        plain = Style()
        lines = [
            (f"{look.said('ok', 'can run')}: nothing was touched", look.style("ok")),
            (wish.command(), plain),
            ("", plain),
        ]
        if steps:
            lines.append(("steps of the last run of it that passed, with their times:", look.style("heading")))
            lines += [(step, plain) for step in steps]
        else:
            lines.append(("it has not passed here yet: its steps are not known beforehand", look.style("pending")))
        self.app.push_screen(Lines(f"Dry run of {wish.recipe} on {wish.station}", lines))

    def action_start(self) -> None:
        """Start it; what cannot be undone is asked first, with the station's name typed."""
        wish, recipe = self.wish(), self.recipe
        if wish is None or recipe is None:
            return
        if self._trouble:
            self.bench.say(f"{self.bench.look.said('fail', 'refused')}: {self._trouble}")
            return
        if not recipe.effects or (self.station is not None and self.station.expendable):
            self.bench.begin(wish)
            return
        state = self.station
        facts = [
            f"recipe  {recipe.name}",
            f"station {wish.station}   owner {state.held_by or 'nobody' if state else '?'}",
        ]
        facts += [f"EID     {wish.eid}", f"effects {', '.join(recipe.effects)}: cannot be undone"]
        locks = (
            Interlock(
                state is None or state.owner is None, "nobody holds the station", state.held_by if state else "", True
            ),
            Interlock(bool(wish.eid), "the EID was given", wish.eid),
        )

        def answered(yes: bool | None) -> None:
            if yes:
                self.bench.begin(wish)

        question = Confirm("Run what cannot be undone?", facts, "Run", interlocks=locks, typed=wish.station)
        self.app.push_screen(question, answered)

    def action_save_preset(self) -> None:
        """Keep the values under a name."""
        recipe = self.recipe
        if recipe is None:
            return

        def named(name: str | None) -> None:
            if name:
                kept = dict(self.bench.settings.get("presets", {}))
                kept[recipe.name] = {**kept.get(recipe.name, {}), name: dict(self.values.get(recipe.name, {}))}
                self.bench.settings.set("presets", json.loads(json.dumps(kept)))
                self.bench.say(f"preset {name} of {recipe.name} is kept; ^l fills the form from it")

        self.app.push_screen(Ask("Name of the preset", "The values of the form, for next time."), named)

    def action_load_preset(self) -> None:
        """Fill the form from the next preset."""
        recipe = self.recipe
        if recipe is None:
            return
        kept = dict(self.bench.settings.get("presets", {})).get(recipe.name, {})
        names = ["defaults", *sorted(kept)]
        self._preset = (self._preset + 1) % len(names)
        name = names[self._preset]
        self.values[recipe.name] = dict(kept.get(name, {}))
        self._build()
        self.bench.say(f"preset {name} ({self._preset + 1} of {len(names)})" if kept else "no preset yet: ^s keeps one")

    def action_filter(self) -> None:
        """Filter the recipes."""

        def given(text: str | None) -> None:
            if text is not None:
                self.wanted = text
                self._list()

        self.app.push_screen(Ask("Filter the recipes", "A part of name or title; empty shows all.", self.wanted), given)

    def copied(self) -> str:
        """The command line."""
        wish = self.wish()
        return wish.command() if wish is not None else ""


def _default(item: ParameterInfo) -> str:
    if item.default == "...":
        return "must be given"
    if isinstance(item.default, bool):
        return "yes" if item.default else "no"
    if isinstance(item.default, tuple | list):
        return ",".join(str(each) for each in item.default)
    return "" if item.default is None else str(item.default)


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]
