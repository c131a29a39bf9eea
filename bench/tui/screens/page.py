"""What every page has: the top, a status line, the keys, and what is the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from bench.tui.keys import keys_of
from bench.tui.partial import PartialCompositor
from bench.tui.widgets.key_line import KeyLine
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.line_view import LineView
from bench.tui.widgets.row_list import RowList
from bench.tui.widgets.top import Top

if TYPE_CHECKING:
    from bench.client.overview import Overview, StationState
    from bench.tui.app import BenchApp

_OF_THE_APP = ("safe", "help", "quit", "command_palette", "hand_over", "theme")


def bindings(page: str) -> list[BindingType]:
    """Return the bindings of a page, from the key table."""
    return [
        Binding(key.key, key.action, key.short or key.help, show=False, priority=key.priority)
        for key in keys_of(page)
        if key.action not in _OF_THE_APP and not key.action.startswith("page(") and key.action != "open"
    ]


class Page(Screen[None]):
    """One of the eight pages."""

    PAGE: ClassVar[str] = ""
    AUTO_FOCUS = "LineView"

    def __init__(self) -> None:
        super().__init__()
        self._compositor = PartialCompositor()

    def compose(self) -> ComposeResult:
        """Put the page between top and status line."""
        self.set_class(self.bench.look.ascii, "-ascii")
        yield Top(self.PAGE)
        if self.bench.tour is not None:
            yield Static(id="tour", markup=False)
        yield from self.body()
        yield Static(id="status", markup=False)
        yield KeyLine(keys_of(self.PAGE))

    def body(self) -> ComposeResult:
        """Build what the page is about."""
        raise NotImplementedError

    # --- what the application tells ---------------------------------------------------------------------------------

    @property
    def bench(self) -> BenchApp:
        """The application."""
        return cast("BenchApp", self.app)

    @property
    def overview(self) -> Overview:
        """The bench as it was a moment ago."""
        return self.bench.overview

    @property
    def station(self) -> StationState | None:
        """The selected station."""
        return self.overview.station(self.bench.station)

    @property
    def shown(self) -> bool:
        """Whether this page is what is seen, a dialog above it or not."""
        return self.is_mounted and self.bench.current() is self

    def on_screen_resume(self) -> None:
        """Show what has changed meanwhile."""
        if self.is_mounted:
            self.overview_came()
            self.show_status()

    def overview_came(self) -> None:
        """Show the bench as it is now."""
        if not self.is_mounted:
            return
        self.query_one(Top).came()
        if self.bench.tour is not None:
            self.set_text("#tour", self.bench.look.text(self.bench.tour.text()))
        self.filled()

    def filled(self) -> None:
        """Fill the page from the overview."""

    def redraw(self) -> None:
        """Draw everything again, in other colours."""
        self.query_one(Top).refresh()

    def show_status(self) -> None:
        """Write the status line."""
        if self.is_mounted:
            self.set_text("#status", f" {self.bench.status or self.overview.trouble}")

    def set_text(self, selector: str, text: str) -> None:
        """Update a line of text, whose place stays as it is, only when it changed: each update draws again."""
        line = self.query_one(selector, Static)
        if str(line.content) != text:
            line.update(text, layout=False)

    def set_title(self, widget: Widget, title: str, subtitle: str = "") -> None:
        """Set what the border says, only when it changed."""
        look = self.bench.look
        title, subtitle = look.text(title), look.text(subtitle)
        if self._plain(widget.border_title) != title:
            widget.border_title = _escaped(title)
        if self._plain(widget.border_subtitle) != subtitle:
            widget.border_subtitle = _escaped(subtitle)

    @staticmethod
    def _plain(title: object) -> str:
        return str(title or "").replace("\\[", "[")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Refuse what changes something when the screen only looks."""
        return self.bench.allows(action) and super().check_action(action, parameters)

    # --- actions that every page has ----------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Leave a field, give back a zoomed pane, else go to the stations."""
        if self.maximized is not None:
            self.minimize()
        elif isinstance(self.focused, Input):
            self.query(LineView).first().focus()
        else:
            self.went_back()

    def went_back(self) -> None:
        """Go where one came from."""
        self.bench.show("stations")

    def action_zoom(self) -> None:
        """Give the focused pane the whole page, and back."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)

    def _station_by(self, step: int) -> None:
        names = [station.name for station in self.overview.stations]
        if names:
            at = names.index(self.bench.station) if self.bench.station in names else 0
            self.bench.choose_station(names[(at + step) % len(names)])
            self.station_changed()
            self.overview_came()

    def station_changed(self) -> None:
        """Another station was selected."""

    def action_station_before(self) -> None:
        """Select the station before."""
        self._station_by(-1)

    def action_station_after(self) -> None:
        """Select the next station."""
        self._station_by(1)

    def copied(self) -> str:
        """Return what ``y`` copies: the selected line of the focused list."""
        view = self.focused if isinstance(self.focused, LineView) else self.query(LineView).first()
        if not view.count():
            return ""
        return "".join(text for text, _ in view.line(min(view.cursor, view.count() - 1))).strip()

    def action_copy(self) -> None:
        """Copy to the clipboard of the terminal (OSC 52)."""
        text = self.copied()
        if text:
            self.app.copy_to_clipboard(text)
        self.bench.say(f"copied: {text}" if text else "nothing to copy here")

    def exported(self) -> tuple[str, str]:
        """Return name and text of what ``e`` writes."""
        view = self.focused if isinstance(self.focused, RowList | LineLog) else None
        view = view or next((each for each in self.query(LineView) if isinstance(each, RowList | LineLog)), None)
        lines = view.texts() if view is not None else []
        return f"{self.PAGE}.txt", "\n".join(lines) + "\n"

    def action_export(self) -> None:
        """Write what the list shows into the folder the screen was started in."""
        name, text = self.exported()
        path = Path.cwd() / f"bench-{name}"
        try:
            path.write_text(text, "utf-8")
        except OSError as error:
            self.bench.say(f"cannot be written: {path}: {error.strerror}")
            return
        self.bench.say(f"written: {path} ({text.count(chr(10))} lines)")

    def note_on(self) -> str:
        """Return what a note is written on."""
        return self.bench.station

    def action_mark_note(self) -> None:
        """Write a note."""
        from bench.tui.screens.dialogs import Ask

        on = self.note_on()
        if not on:
            self.bench.say("nothing is selected that a note could be written on")
            return

        def written(text: str | None) -> None:
            if text:
                from bench.client.overview import write_note
                from bench.station.locks import Owner

                try:
                    write_note(self.overview.home, on, text, by=Owner.me().user)
                    self.bench.say(f"note on {on}: {text}")
                except OSError as error:
                    self.bench.say(f"the note cannot be written: {error}")

        self.app.push_screen(Ask(f"Note on {on}", "H shows all notes; they stay until somebody removes them."), written)

    def action_filter(self) -> None:
        """Filter the list of the page."""
        self.bench.say("this page has nothing to filter")

    def on_line_view_opened(self, event: LineView.Opened) -> None:
        """Enter on a line."""
        event.stop()
        self.opened(event.view)

    def opened(self, view: Any) -> None:
        """Open the selected line of a list."""

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """The cursor of a list has moved."""
        event.stop()
        self.moved(event.view)

    def moved(self, view: Any) -> None:
        """Show what belongs to the selected line."""


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
