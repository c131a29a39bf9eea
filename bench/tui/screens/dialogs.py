"""Small dialogs: a question with the focus on Cancel, a line to type, the key table, the check of F12.

F12 works in all of them: it is a priority binding of the application.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeVar

from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Button, Input, Static

from bench.tui.keys import keys_of
from bench.tui.keys_move import MOVES
from bench.tui.settings import terminal
from bench.tui.themes import Look
from bench.tui.widgets.line_log import LineLog

Answer = TypeVar("Answer")
SAFE_LINE: Final = "F12 makes safe what you hold, here too; twice within 2 s: the whole host."


class Dialog(ModalScreen[Answer]):
    """Closes with Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "cancel", show=False)]

    def on_screen_resume(self) -> None:
        """Frames of letters where the terminal has no others."""
        self.set_class(self.look.ascii, "-ascii")

    def action_cancel(self) -> None:
        """Close without doing anything."""
        self.dismiss(None)

    @property
    def look(self) -> Look:
        """How things are drawn here."""
        found: Look = self.app.look  # type: ignore[attr-defined]
        return found


@dataclass(frozen=True, slots=True)
class Interlock:
    """One condition of a dangerous action: whether it holds, what it is, and what was seen."""

    holds: bool
    what: str
    seen: str = ""
    final: bool = False
    """Cannot be overridden: the station's voltage limit, what somebody else holds."""


class Confirm(Dialog[bool]):
    """A question before something dangerous: target, value, owner, interlocks; Cancel has the focus."""

    def __init__(
        self, title: str, facts: Sequence[str], verb: str, *, interlocks: Sequence[Interlock] = (), typed: str = ""
    ) -> None:
        """``typed``: the name that must be typed first; it is asked too when an interlock is to be overridden."""
        super().__init__()
        self.heading = title
        self.facts = facts
        self.verb = verb
        self.interlocks = interlocks
        self.refused = any(not lock.holds and lock.final for lock in interlocks)
        self.typed = typed

    def compose(self) -> ComposeResult:
        """Build the dialog; Cancel comes first."""
        with Vertical(id="dialog"):
            yield Static(self.heading, classes="heading", markup=False)
            yield Static("\n".join(self.look.text(fact) for fact in self.facts), markup=False)
            if self.interlocks:
                lines = []
                for lock in self.interlocks:
                    state = "ok" if lock.holds else "fail"
                    word = "" if lock.holds else "  cannot be overridden" if lock.final else "  NOT MET"
                    lines.append(f"{self.look.glyph(state)} {lock.what}{'  ' + lock.seen if lock.seen else ''}{word}")
                yield Static("interlocks\n" + "\n".join(lines), classes="locks", markup=False)
            if self.typed and not self.refused:
                yield Static(f"type {self.typed} to go on:", markup=False)
                yield Input(id="typed", compact=True)
            with Horizontal():
                yield Button("Cancel", id="cancel")
                yield Button(self.verb, id="yes", variant="error", disabled=self.refused or bool(self.typed))
            yield Static(SAFE_LINE, classes="faint", markup=False)

    def on_mount(self) -> None:
        """Focus the harmless button."""
        self.query_one("#cancel", Button).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Free the button when the name is right."""
        self.query_one("#yes", Button).disabled = self.refused or event.value != self.typed

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id == "yes")


class Ask(Dialog[str]):
    """One line to type."""

    def __init__(
        self,
        title: str,
        explanation: str = "",
        value: str = "",
        placeholder: str = "",
        *,
        known: Sequence[str] = (),
    ) -> None:
        """``known``: lines that complete what is typed, by the right arrow."""
        super().__init__()
        self.known = tuple(known)
        self.heading = title
        self.explanation = explanation
        self.value = value
        self.placeholder = placeholder

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with Vertical(id="dialog"):
            yield Static(self.heading, classes="heading", markup=False)
            if self.explanation:
                yield Static(self.look.text(self.explanation), markup=False)
            completed = SuggestFromList(self.known, case_sensitive=False) if self.known else None
            yield Input(self.value, placeholder=self.placeholder, suggester=completed, id="line", compact=True)
            yield Static("enter: take it   escape: leave it as it was", classes="faint", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take it."""
        self.dismiss(event.value.strip())


class Question(Dialog[str]):
    """A question of a run to the person (``station.ask``)."""

    def __init__(self, run: str, text: str, choices: Sequence[str]) -> None:
        super().__init__()
        self.run = run
        self.text = text
        self.choices = tuple(choices)

    def compose(self) -> ComposeResult:
        """Build the dialog; a choice a button."""
        with Vertical(id="dialog"):
            yield Static(f"Run {self.run} asks", classes="heading", markup=False)
            yield Static(self.look.text(self.text), markup=False)
            with Horizontal():
                for at, choice in enumerate(self.choices):
                    yield Button(self.look.text(choice), id=f"choice-{at}")
            yield Static(f"escape: answer later. {SAFE_LINE}", classes="faint", markup=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(self.choices[int(str(event.button.id).removeprefix("choice-"))])


class Choose(Dialog[str]):
    """One of several, on a line each; the first is chosen until another is."""

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], facts: Sequence[str] = ()) -> None:
        """``choices``: what is answered, and what stands in its line."""
        super().__init__()
        self.heading = title
        self.choices = tuple(choices)
        self.facts = tuple(facts)

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with Vertical(id="dialog"):
            yield Static(self.heading, classes="heading", markup=False)
            if self.facts:
                yield Static("\n".join(self.look.text(fact) for fact in self.facts), markup=False)
            yield LineLog(id="choices", cursor=True)
            yield Static(f"enter: take it   escape: leave it. {SAFE_LINE}", classes="faint", markup=False)

    def on_mount(self) -> None:
        """Fill it."""
        log = self.query_one("#choices", LineLog)
        log.following = False
        log.styles.height = min(14, max(1, len(self.choices)))
        log.show((self.look.text(text), Style()) for _, text in self.choices)
        log.focus()

    def on_line_view_opened(self, event: LineLog.Opened) -> None:
        """Take it."""
        event.stop()
        self.dismiss(self.choices[event.view.cursor][0])


class Lines(Dialog[None]):
    """A text to read, scrolled by the keys of every list."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,q,f1", "cancel", "close", show=False)]

    def __init__(self, title: str, lines: Sequence[tuple[str, Style]]) -> None:
        super().__init__()
        self.heading = title
        self.lines = lines

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with Vertical(id="dialog", classes="tall"):
            yield Static(self.heading, classes="heading", markup=False)
            yield LineLog(id="lines", fold=True)
            yield Static("escape closes", classes="faint", markup=False)

    def on_mount(self) -> None:
        """Fill it."""
        log = self.query_one("#lines", LineLog)
        log.following = False
        log.show((self.look.text(text), style) for text, style in self.lines)
        log.focus()


class KeyHelp(Lines):
    """The key table of a page, from the table that the bindings are made of."""

    def __init__(self, page: str) -> None:
        plain, bold = Style(), Style(bold=True, underline=True)
        here = [key for key in keys_of(page) if key.where]
        everywhere = [key for key in keys_of(page) if not key.where]
        lines = [(f"on {'eIM' if page == 'eim' else page.capitalize()}", bold)]
        lines += [(f"{key.label:>7}  {key.help}", plain) for key in here]
        lines += [("", plain), ("on every page", bold)]
        lines += [(f"{key.label:>7}  {key.help}", plain) for key in everywhere]
        lines += [("         Ctrl+G is F12, and so is the SAFE field at the top", plain)]
        lines += [("", plain), ("in lists", bold)]
        lines += [(f"{move.shown:>7}  {move.help}", plain) for move in MOVES]
        lines += [("    tab  Next pane or field; shift+tab the one before", plain)]
        super().__init__("Keys", lines)


class KeyCheck(Dialog[None]):
    """At the first start in a terminal: does F12 arrive at all? Nothing is held then, so that trying costs nothing."""

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with Vertical(id="dialog"):
            yield Static("Does F12 arrive here?", classes="heading", markup=False)
            yield Static(
                "Press F12 now. It is the key that makes safe what you hold; some terminals keep it for themselves.\n"
                "You hold nothing at the moment.",
                markup=False,
            )
            yield Static(f"terminal: {terminal()}", id="seen", markup=False)
            yield Static(
                "escape: not now. Ctrl+G and the SAFE field at the top do the same as F12.",
                classes="faint",
                markup=False,
            )

    def arrived(self) -> None:
        """It has arrived, and has done what it always does."""
        self.dismiss(None)
