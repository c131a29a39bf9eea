"""Small dialogs: a question with the focus on Cancel, and the key table."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from bench.tui.keys import KEYS


class _Dialog(ModalScreen[bool]):
    """F12 works from every dialog: bindings of the screen below do not reach a modal one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", show=False),
        Binding("f12", "safe", "SAFE", show=False, priority=True),
    ]

    def action_cancel(self) -> None:
        """Close without doing anything."""
        self.dismiss(False)

    async def action_safe(self) -> None:
        """Hand F12 to the screen below."""
        below = self.app.screen_stack[-2]
        await below.run_action("safe")


class Confirm(_Dialog):
    """A yes-or-no question before something that cannot be taken back."""

    def __init__(self, title: str, question: str, verb: str) -> None:
        super().__init__()
        self.heading = title
        self.question = question
        self.verb = verb

    def compose(self) -> ComposeResult:
        """Build the dialog; Cancel comes first and has the focus."""
        with Vertical(id="dialog"):
            yield Static(self.heading, classes="heading", markup=False)
            yield Static(self.question, markup=False)
            with Horizontal():
                yield Button("Cancel", id="cancel")
                yield Button(self.verb, id="yes", variant="error")

    def on_mount(self) -> None:
        """Focus the harmless button."""
        self.query_one("#cancel", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id == "yes")


class KeyHelp(_Dialog):
    """The key table."""

    def compose(self) -> ComposeResult:
        """Build the list."""
        with Vertical(id="dialog"):
            yield Static("Keys", classes="heading", markup=False)
            yield Static("\n".join(f"{key.label:>6}  {key.help}" for key in KEYS), markup=False)
            yield Button("Close", id="cancel")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Close."""
        self.dismiss(False)
