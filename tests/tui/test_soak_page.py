"""Page Soak: figures that are the report's, findings, a plan started, resumed and ended; with a real soak too."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from stand import Stand, play, play_real, shown, until
from textual.pilot import Pilot
from textual.widgets import Button

from bench import client
from bench.client import soak as soaks
from bench.client.soak_watch import SoakWatch
from bench.report.statistics import clopper_pearson
from bench.run import liveness
from bench.soak import book as books
from bench.tui.app import BenchApp
from bench.tui.screens.dialogs import Choose, Confirm
from bench.tui.screens.soak import SoakPage
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.row_list import RowList


async def soak_page(app: BenchApp, pilot: Pilot[int]) -> SoakPage:
    page = app.show("soak")
    assert isinstance(page, SoakPage)
    await until(pilot, lambda: bool(page.query("#soaks")) and len(page.soaks) == 3, "the soaks")
    return page


def test_soaks_with_their_figures_and_what_they_found(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = await soak_page(app, pilot)
        table = page.query_one("#soaks", RowList)
        first, second, third, *others = table.texts()[1:]
        exact = clopper_pearson(2, 118)
        assert (
            "running" in first
            and "120/1000" in first
            and f"116/118 {100 * (1 - exact.upper):.1f}..{100 * (1 - exact.lower):.1f} %" in first
        )
        assert "29/30" in second and "✖ fail" in second
        assert "! broken" in third
        assert any("bootstrap-to" in line for line in others), "repeated runs below them"
        await pilot.press("down")
        clusters = page.query_one("#clusters", RowList)
        await until(pilot, lambda: clusters.count() == 1, "its findings")
        assert "download: 6985" in clusters.texts()[1] and "hold = 5" in clusters.texts()[1]
        detail = "\n".join(page.query_one("#detail", LineLog).texts())
        assert "9 of 38 cycles failed in 1 event" in detail
        assert "29 of 30 independent trials pass: 82.8..99.9 %" in detail
        assert "station sim" in detail and "changed by +0.8 s" in detail
        assert "sim: 9 failures in a row" in detail and "2 errors of the bench" in detail
        clusters.focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.current() is app.page("run"), "the first run of the finding")
        run = app.page("run")
        assert run.feed.folder == tmp_path / "run-1"  # type: ignore[attr-defined]

    play(tmp_path, script)


def test_a_plan_is_chosen_checked_and_asked_for(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await soak_page(app, pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, Choose), "the plans")
        await pilot.press("down", "enter")
        await until(pilot, lambda: "no such profile" in app.status, "refused beforehand, and why")
        assert ("soak", "switch-ping-pong", "sim") not in stand.calls
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, Choose), "the plans")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        assert "about 1000 cycles" in shown(app) and "station sim (SIM)" in shown(app)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: ("soak", "overnight-provisioning", "sim") in stand.calls, "it starts")
        await until(pilot, lambda: "bench soak --follow soak-4" in app.status, "said, with its command")

    play(tmp_path, script)


@pytest.mark.parametrize(("downs", "level"), [(0, "finish"), (1, "teardown"), (2, "at-once")])
def test_a_soak_is_ended_in_one_of_three_ways(tmp_path: Path, downs: int, level: str) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        stand.state = stand.state.__class__(stand.state.stations[:1], stand.state.runs, "", tmp_path, tmp_path)
        await soak_page(app, pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Choose), "how")
        await pilot.press(*["down"] * downs, "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        assert isinstance(app.focused, Button) and app.focused.id == "cancel" and "soak-3" in shown(app)
        await pilot.press("enter")
        assert not stand.calls
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Choose), "how")
        await pilot.press(*["down"] * downs, "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: ("end", "soak-3", level) in stand.calls, "it is told")

    play(tmp_path, script)


def test_resuming_asks_and_one_that_runs_or_is_somebody_elses_is_refused(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = await soak_page(app, pilot)
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        assert app.screen.query_one("#yes", Button).disabled, "it runs"
        await pilot.press("escape", "down", "down", "u")
        await until(pilot, lambda: isinstance(app.screen, Confirm) and "soak-1" in shown(app), "the question")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: ("resume", "soak-1") in stand.calls, "it goes on")
        stand.soaks.found[2] = stand.soaks.found[0].__class__(
            "soak-1", tmp_path / "soak-1", "", "", "running", 7, 0, "", stations=("meter",)
        )
        await until(pilot, lambda: page.soaks[2].state == "running", "read again")
        await pilot.press("x", "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        assert app.screen.query_one("#yes", Button).disabled and "ada@lab3" in shown(app)

    play(tmp_path, script)


def test_only_what_came_is_read_of_a_book_that_grows_and_a_cut_one_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "soaks" / "20261122-010203-004-soak-abcd"
    folder.mkdir(parents=True)
    (folder / books.SOAK).write_text(json.dumps({"title": "t", "stations": ["sim"], "simulated": True}))
    book = folder / books.BOOK

    def cycle(number: int, device: str) -> str:
        data = {"station": "sim", "cycle": number, "verdict": device, "device": device, "real": 2.0, "run": "r"}
        data["signature"] = "s" if device == "fail" else ""
        return json.dumps({"seq": number, "type": "cycle", "data": data, "wall": "", "t": 0.0, "mono_ns": 0}) + "\n"

    watch = SoakWatch()
    book.write_text(cycle(0, "pass") + cycle(1, "fail")[:-9])
    (info,) = watch.read(tmp_path / "runs")
    assert (info.cycles, info.failures, info.state) == (1, 0, "broken")
    book.write_text(cycle(0, "pass") + cycle(1, "fail") + '{"type": "cycle", "data": {}}\n[]\n')
    (info,) = watch.read(tmp_path / "runs")
    assert (info.cycles, info.failures, info.events, info.seconds_per_cycle, info.run) == (2, 1, 1, 2.0, "r")
    book.write_text(cycle(0, "fail"))
    assert [info.failures for info in watch.read(tmp_path / "runs")] == [1]
    lock = liveness.hold(folder)
    assert [info.state for info in watch.read(tmp_path / "runs")] == ["running"]
    os.close(lock)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert watch.read(tmp_path / "runs") == []


def test_a_real_soak_started_from_its_page_seen_and_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = home.parent / "short.toml"
    plan.write_text(
        'title = "short"\ncycles = 500\n[[recipes]]\nrecipe = "euicc-info"\nexpect = "5s"\nbaseline = false\n'
    )
    monkeypatch.setattr(soaks, "headlines", lambda: {str(plan): "for this test"})

    async def script(app: BenchApp, pilot: Pilot[int]) -> None:
        page = app.show("soak")
        await until(pilot, lambda: bool(page.query("#soaks")), "the page")
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, Choose), "the plans", 60)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question", 60)
        assert "about 500 cycles" in shown(app)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: any(soak.cycles for soak in page.soaks), "a cycle is counted", 120)
        folder = page.soaks[0].folder
        assert "1/1 " in shown(app) or "2/2 " in shown(app) or page.soaks[0].counted
        pressed = time.monotonic()
        await pilot.press("f12")  # of one run alone the next cycle would switch it on again
        await until(pilot, lambda: f"sim off, verified, soak {folder.name} ended" in app.status, "it is said", 60)
        begun = len(client.runs(app.overview.runs_folder))
        await until(pilot, lambda: not liveness.alive(folder), "it ends", 60)
        assert time.monotonic() - pressed < 30
        await until(pilot, lambda: page.soaks[0].state != "running", "and is shown so", 60)
        assert page.soaks[0].state == "aborted", page.soaks[0]
        assert len(client.runs(app.overview.runs_folder)) == begun, "nothing has begun since"

    play_real(script)
