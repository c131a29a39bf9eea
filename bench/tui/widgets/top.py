"""The two lines at the top of every page: what is true of the bench now, and the pages."""

from __future__ import annotations

import time

from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.strip import Strip
from textual.widget import Widget

from bench.client.overview import Output, Overview
from bench.tui import keys

_BOLD = Style(bold=True)
_REVERSE = Style(bold=True, reverse=True)


class Top(Widget):
    """Row 0: SIM or REAL, what is held, what is unsafe, every output that is on, SAFE. Row 1: the pages."""

    DEFAULT_CSS = "Top { dock: top; height: 2; background: $panel; color: $text; }"

    def __init__(self, page: str) -> None:
        super().__init__()
        self._page = page
        self._safe = (0, 0)
        self._tabs: list[tuple[int, int, str]] = []
        self._drawn = ""

    def came(self) -> None:
        """Draw again when something changed."""
        drawn = repr(self._parts(self.size.width))
        if drawn != self._drawn:
            self._drawn = drawn
            self.refresh()

    def _parts(self, width: int) -> list[tuple[str, str]]:
        overview: Overview = self.app.overview  # type: ignore[attr-defined]
        look = self.app.look  # type: ignore[attr-defined]
        kinds = sorted({station.kind for station in overview.stations})
        held = [station for station in overview.stations if station.owner is not None]
        unsafe = [station.name for station in overview.stations if station.unsafe]
        live = [run for run in overview.runs if run.state == "running"]
        wide = width >= 100
        readonly = " READ-ONLY" if self.app.readonly else ""  # type: ignore[attr-defined]
        parts = [(f" esim-bench  {'+'.join(kinds) or '...'}{' bench' if wide else ''}{readonly} ", "bold")]
        parts.append((f"  held {len(held)}/{len(overview.stations)} ", ""))
        if wide:
            parts.append((f"  {len(live)} {'run' if len(live) == 1 else 'runs'} ", ""))
        if unsafe:
            parts.append((f"  {look.glyph('warning')} UNSAFE {', '.join(unsafe)} ", "fail"))
        parts.append(
            (f"  {outputs_text(overview.outputs, look, 40 if wide else 16)} ", "on" if overview.outputs else "")
        )
        return parts

    def render_line(self, y: int) -> Strip:
        """Return one of the two lines."""
        return self._tab_line() if y else self._truth()

    def _truth(self) -> Strip:
        width, base = self.size.width, self.rich_style
        look = self.app.look  # type: ignore[attr-defined]
        segments, used = [], 0
        tail = f" SAFE F12  {time.strftime('%H:%M:%S') if width >= 100 else time.strftime('%H:%M')} "
        for part, style in self._parts(width):
            text = look.text(part)[: max(0, width - used - len(tail))]
            state = _BOLD if style == "bold" else look.style(style) + (_BOLD if style else Style())
            segments.append(Segment(text, base + state))
            used += len(text)
        segments.append(Segment(" " * max(0, width - used - len(tail)), base))
        at = width - len(tail)
        self._safe = at, at + 10
        segments += [Segment(" SAFE F12 ", base + look.style("fail") + _REVERSE), Segment(tail[10:], base)]
        return Strip(segments).adjust_cell_length(width, base)

    def _tab_line(self) -> Strip:
        width, base = self.size.width, self.rich_style
        look = self.app.look  # type: ignore[attr-defined]
        wide = width >= 100
        segments, at = [Segment(" " if wide else "", base)], 1 if wide else 0
        self._tabs = []
        for number, name in enumerate(keys.PAGES, 1):
            title = f"{number} {'eIM' if name == keys.EIM else name.capitalize()}"
            here = name == self._page
            text = f"[{title}]" if here else f" {title} " if wide else f" {title}"
            segments.append(Segment(text, base + (look.style("heading") if here else Style())))
            self._tabs.append((at, at + len(text), name))
            at += len(text)
        station = self.app.station  # type: ignore[attr-defined]
        tail = f"[ {station} ] " if station else ""
        if at + len(tail) < width:
            segments += [Segment(" " * (width - at - len(tail)), base), Segment(tail, base + _BOLD)]
        return Strip(segments).adjust_cell_length(width, base)

    def on_click(self, event: Click) -> None:
        """SAFE, or a page."""
        if event.y == 0:
            if self._safe[0] <= event.x < self._safe[1]:
                self.app.action_safe()  # type: ignore[attr-defined]
            return
        for start, end, name in self._tabs:
            if start <= event.x < end:
                self.app.action_page(name)  # type: ignore[attr-defined]


def outputs_text(outputs: list[Output], look: object, room: int) -> str:
    """Return how many outputs are on, and which, as many as there is room for; ``?`` for those not read for 5 s."""
    if not outputs:
        return "outputs ON: none"
    names = [f"{output.station}{'?' if output.state == 'unknown' else ''}" for output in outputs]
    shown = ""
    for at, name in enumerate(names):
        more = f" {name}" if not shown else f", {name}"
        if len(shown) + len(more) > room:
            shown += f" +{len(names) - at}"
            break
        shown += more
    return f"outputs ON: {len(outputs)}{shown and ':'}{shown}"
