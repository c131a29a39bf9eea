"""The page for who takes over: what runs, what is on, what is unsafe, what came of the last runs, and the notes."""

from __future__ import annotations

from rich.style import Style
from textual.app import ComposeResult

from bench.client.overview import Overview, notes
from bench.tui.screens.dialogs import Lines
from bench.tui.screens.stations import local
from bench.tui.themes import Look


class HandOver(Lines):
    """Made from the bench as it is now."""

    def __init__(self) -> None:
        super().__init__("Hand-over", ())

    def compose(self) -> ComposeResult:
        """Write it."""
        overview: Overview = self.app.overview  # type: ignore[attr-defined]
        self.lines = list(lines(overview, self.look))
        yield from super().compose()


def lines(overview: Overview, look: Look) -> list[tuple[str, Style]]:
    """Return the page as lines."""
    plain, head = Style(), Style(bold=True, underline=True)
    made = [("runs now", head)]
    live = [run for run in overview.runs if run.state == "running"]
    for run in live:
        made.append((f"  {look.said('running')}  {run.station}  {run.recipe}  since {local(run.started)}", plain))
    if not live:
        made.append(("  none", plain))
    made += [("", plain), ("outputs that are on, or not known", head)]
    for output in overview.outputs:
        reading = f"{output.volts:.3f} V {output.amps:.3f} A" if output.volts is not None else "not read"
        made.append(
            (f"  {look.said(output.state)}  {output.station} {output.supply}  {reading}", look.style(output.state))
        )
    if not overview.outputs:
        made.append(("  none", plain))
    unsafe = [station.name for station in overview.stations if station.unsafe]
    if unsafe:
        made += [("", plain), ("left on by a run that died: bench safe, or F12 twice", head)]
        made += [(f"  {look.glyph('warning')} {name}", look.style("fail")) for name in unsafe]
    made += [("", plain), ("last run of each station", head)]
    for station in overview.stations:
        last = station.last
        if last is not None:
            text = f"  {station.name:<12} {look.said(last.state)}  {last.recipe}  {local(last.started)}"
            made.append((text, look.style(last.state)))
        if station.reserved:
            made.append((f"  {station.name:<12} reserved for {station.reserved}", plain))
    made += [("", plain), ("notes (m writes one)", head)]
    found = notes(overview.home, limit=50)
    made += [(f"  {note['at'][:16]}Z {note['by']} on {note['on']}: {note['text']}", plain) for note in found]
    if not found:
        made.append(("  none", plain))
    return made
