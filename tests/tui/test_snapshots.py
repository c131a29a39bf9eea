"""Each page and each dialog as a picture, at 120x36 and 80x24, from a bench that stands still.

``BENCH_SNAPSHOTS=write`` makes them again; then look at each (``rsvg-convert``) before it is committed.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from places import PLACES, go
from stand import Stand, play, until
from textual.pilot import Pilot
from textual.widgets import Input

from bench.tui import keys
from bench.tui.app import BenchApp
from bench.tui.screens.run import RunPage
from bench.tui.screens.soak import SoakPage
from bench.tui.widgets.row_list import RowList

FOLDER = Path(__file__).parent / "snapshots"
SIZES = ((120, 36), (80, 24))


async def settled(app: BenchApp, pilot: Pilot[int], name: str) -> None:
    """Wait until a place shows all that it will show."""
    for field in app.screen.query(Input):
        field.cursor_blink = False
    page = app.screen
    if isinstance(page, RunPage):
        await until(pilot, lambda: page.feed is not None and page.feed.ended and len(page.feed.index) == 83, "the run")
        await pilot.press("w")
        await until(pilot, lambda: page.decoded_packet >= 0, "decoded")
    if name == keys.EIM:
        await until(
            pilot, lambda: bool(page.query("#euiccs")) and page.query_one("#euiccs", RowList).count(), "the eIM"
        )
    if isinstance(page, SoakPage):
        await until(pilot, lambda: bool(page.query("#soaks")) and len(page.soaks) == 3, "the soaks")
        await pilot.press("down")
        await until(pilot, lambda: page.query_one("#clusters", RowList).count() == 1, "findings")
    if name == keys.RECIPES:
        await until(pilot, lambda: bool(page.query("#p-hold")), "the form")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_page_and_dialog_looks_as_it_did(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    real = time.strftime
    still = time.gmtime(1_795_322_040)
    monkeypatch.setattr("bench.tui.widgets.top.time.strftime", lambda how, *when: real(how, *(when or (still,))))
    monkeypatch.setattr("bench.tui.screens.stations.ago", lambda run: "1 min")
    monkeypatch.setattr("bench.tui.screens.stations.today", lambda: still)
    monkeypatch.setattr("bench.tui.screens.dialogs.terminal", lambda: "xterm-256color")
    write = os.environ.get("BENCH_SNAPSHOTS") == "write"
    differ: list[str] = []

    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        beginning = app.status
        for place in PLACES:
            path = FOLDER / f"{place}-{size[0]}x{size[1]}.svg"
            wanted = path.read_text() if path.exists() else ""
            app.say(beginning)
            await go(app, pilot, place)
            await settled(app, pilot, place)
            svg, deadline = "nothing yet", time.monotonic() + (1 if write else 20)
            while svg != wanted and time.monotonic() < deadline:
                await pilot.pause()
                found = re.sub(r"terminal-\d+", "terminal", app.export_screenshot(title="esim-bench"))
                svg = found.replace(str(tmp_path), "FOLDER")
            if write:
                path.write_text(svg)
            elif svg != wanted:
                differ.append(path.name)

    play(tmp_path, script, size=size)
    assert not differ, f"BENCH_SNAPSHOTS=write makes them again: {differ}"
