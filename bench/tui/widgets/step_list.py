"""The steps of a run as a list: state, name, time. Lines are made as they become visible, however many there are."""

from __future__ import annotations

from bench.client.view import RunView
from bench.tui.themes import Look
from bench.tui.widgets.line_view import Line, LineView


class StepList(LineView):
    """Steps, the newest last; its cursor stays on the newest until it is moved."""

    def __init__(self, *, id: str | None = None, classes: str | None = None, cursor: bool = True) -> None:
        super().__init__(id=id, classes=classes, cursor=cursor)
        self.view: RunView | None = None
        self.following = True

    def show(self, view: RunView | None) -> None:
        """Show the steps of a run as they are now."""
        if view is not self.view:
            self.view, self.following = view, True
        elif self.following or not self.has_focus:
            self.following = self.cursor >= self._known - 1
        self.changed()

    def count(self) -> int:
        """Return how many steps there are."""
        return len(self.view.steps) if self.view is not None else 0

    def line(self, index: int) -> Line:
        """Return one step."""
        assert self.view is not None
        look: Look = self.app.look  # type: ignore[attr-defined]
        step = self.view.steps[index]
        state = step.state
        taken = step.elapsed if step.elapsed is not None else max(0.0, self.view.now - step.started)
        word = "" if state == "pass" else f" {state}"
        tail = f"{word} {taken:.1f} s"
        name = f"{look.glyph(state)} {'  ' * step.depth}{step.name}"
        room = max(20, self.scrollable_content_region.width) - len(tail)
        name = name if len(name) <= room else name[: room - 1] + "~"
        return ((look.text(f"{name:<{room}}{tail}"), look.style(state)),)

    def texts(self) -> list[str]:
        """Return all of them as plain text."""
        return ["".join(text for text, _ in self.line(index)) for index in range(self.count())]
