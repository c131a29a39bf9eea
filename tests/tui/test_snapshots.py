"""Each page as a picture, at 120x36 and 80x24, from a bench that stands still.

``BENCH_SNAPSHOTS=write`` makes them again; then look at each (``rsvg-convert``) before it is committed.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from stand import Stand, play, until
from textual.pilot import Pilot

from bench.tui import keys
from bench.tui.app import BenchApp
from bench.tui.screens.run import RunPage
from bench.tui.screens.soak import SoakPage
from bench.tui.widgets.row_list import RowList

FOLDER = Path(__file__).parent / "snapshots"
SIZES = ((120, 36), (80, 24))


async def settled(app: BenchApp, pilot: Pilot[int], name: str) -> None:
    page = app.show(name)
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
@pytest.mark.parametrize("name", keys.PAGES)
def test_a_page_looks_as_it_did(
    tmp_path: Path, name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    real = time.strftime
    still = time.gmtime(1_795_322_040)
    monkeypatch.setattr("bench.tui.widgets.top.time.strftime", lambda how, *when: real(how, *(when or (still,))))
    monkeypatch.setattr("bench.tui.screens.stations.ago", lambda run: "1 min")
    path = FOLDER / f"{name}-{size[0]}x{size[1]}.svg"
    write = os.environ.get("BENCH_SNAPSHOTS") == "write"
    wanted = "" if write else path.read_text()
    found: list[str] = []

    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await settled(app, pilot, name)
        deadline = time.monotonic() + (3 if write else 20)
        while time.monotonic() < deadline:
            svg = re.sub(r"terminal-\d+", "terminal", app.export_screenshot(title="esim-bench"))
            found.append(svg.replace(str(tmp_path), "FOLDER"))
            if found[-1] == wanted:
                return
            await pilot.pause(0.1)

    play(tmp_path, script, size=size)
    if write:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found[-1])
    else:
        assert found[-1] == wanted, f"{path.name} differs; BENCH_SNAPSHOTS=write makes it again"
