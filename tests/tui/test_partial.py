"""A repaint of what has changed puts on the terminal what a repaint of everything would."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import DIALOGS
from stand import Stand, play, until
from textual._compositor import ChopsUpdate
from textual.pilot import Pilot

from bench.tui import keys
from bench.tui.app import BenchApp
from bench.tui.partial import PartialCompositor
from bench.tui.screens.run import RunPage
from bench.tui.widgets.line_bar import LineBar
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.packet_view import PacketView


def wrong(compositor: PartialCompositor, update: ChopsUpdate) -> list[str]:
    """Return what of an update is missing, or another than a whole repaint has there."""
    whole = compositor.render_strips()
    found = []
    for y, since, until_ in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=True):
            if x >= until_ or end <= since:
                continue
            wanted = whole[y].crop(x, end)
            if strip is None or list(strip) != list(wanted):
                found.append(f"{y},{x}..{end}: {strip.text if strip else None!r} for {wanted.text!r}")
    return found


def test_what_is_repainted_is_what_a_whole_repaint_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = PartialCompositor.render_partial_update
    updates, bad = 0, []

    def checked(self: PartialCompositor) -> ChopsUpdate | None:
        nonlocal updates
        update = real(self)
        if update is not None:
            updates += 1
            if updates % 3 == 0:  # a whole repaint and comparing it costs twenty of these
                bad.extend(wrong(self, update))
        return update

    monkeypatch.setattr(PartialCompositor, "render_partial_update", checked)

    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = app.show("run")
        assert isinstance(page, RunPage)
        await until(pilot, lambda: page.feed is not None and page.feed.ended and len(page.feed.index) == 83, "the run")
        for names in (
            ("w",),
            ("g",),
            ("down", "down", "pagedown"),
            ("G", "t"),
            ("h", "l", "tab", "up"),
            ("space", "f"),
        ):
            await pilot.press(*names)
            await pilot.pause(0.05)
        app.push_screen(DIALOGS["ask"]())
        await pilot.press("x", "escape")
        for name in (keys.SOAK, keys.RECIPES):
            app.show(name)
            await pilot.press("down", "up", "T")
            await pilot.pause(0.05)
        await pilot.resize_terminal(80, 24)
        app.show("run")
        await pilot.press("right_square_bracket", "G", "k", "left_square_bracket")
        await pilot.pause(0.3)

    play(tmp_path, script)
    assert updates > 20 and not bad, bad[:5]


def test_the_bar_shows_where_one_is_and_its_ends_are_for_the_ends(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = app.show("run")
        assert isinstance(page, RunPage)
        await until(pilot, lambda: page.feed is not None and page.feed.ended and len(page.feed.index) == 83, "the run")
        lanes = page.query_one("#lanes", PacketView)
        await until(pilot, lambda: lanes.count() == 82 and lanes.show_vertical_scrollbar, "its packets")
        bar = lanes.vertical_scrollbar
        assert isinstance(bar, LineBar)
        height = bar.size.height
        await pilot.press("g")
        await until(pilot, lambda: bar.thumb()[0] == 0, "the first line")
        await pilot.press("pagedown", "pagedown")
        await until(pilot, lambda: bar.thumb()[0] > 0, "no longer the first")
        await pilot.press("G")
        await until(pilot, lambda: bar.thumb()[1] == height, "the last line")
        assert page.query_one("#findings", LineLog).vertical_scrollbar.thumb() == (0, 0), "all is seen"

    play(tmp_path, script)
