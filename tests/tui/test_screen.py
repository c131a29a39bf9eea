"""The first screen with a stand-in for the client: what is shown, what the keys do."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Button, DataTable, Static

from bench.trace.lane import Direction
from bench.trace.writer import TraceWriter
from bench.tui.app import BenchApp
from bench.tui.control import Follower, StationRow
from bench.tui.keys import KEYS
from bench.tui.screens.bench import BenchScreen
from bench.tui.screens.dialogs import Confirm
from bench.tui.widgets.line_log import LIMIT, LineLog


class Stand:
    """Two stations; a run is a folder of events that the test writes."""

    ascii = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[tuple[str, object]] = []
        self.rows = [StationRow("sim", "SIM"), StationRow("meter", "REAL", held_by="ada on lab3 (run 17)")]
        self.events: list[Mapping[str, Any]] = []
        self.more = threading.Condition()

    def stations(self) -> tuple[list[StationRow], str]:
        return list(self.rows), ""

    def start(self, recipe: str, station: str) -> tuple[Path | None, str]:
        self.calls.append(("start", station))
        return self.folder, ""

    def follow(self, folder: Path) -> Follower:
        return Follower(folder, self._source)

    def _source(self, stop: threading.Event) -> Iterator[Mapping[str, Any]]:
        at = 0
        while not stop.is_set():
            with self.more:
                self.more.wait(timeout=0.05)
            while at < len(self.events):
                yield self.events[at]
                at += 1

    def tell(self, kind: str, step: str = "", t: float = 0.0, **data: Any) -> None:
        with self.more:
            self.events.append({"type": kind, "step": step, "t": t, "data": json.loads(json.dumps(data))})
            self.more.notify_all()

    def stop(self, folder: Path) -> str:
        self.calls.append(("stop", folder))
        return ""

    def safe(self, station: str | None) -> str:
        self.calls.append(("safe", station))
        return "safe"


async def until(pilot: Pilot[int], condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        await pilot.pause(0.02)


def text_of(app: BenchApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).content)


def lines_of(app: BenchApp, selector: str) -> list[str]:
    return [text for text, _ in app.screen.query_one(selector, LineLog)._lines]


def play(
    tmp_path: Path, script: Callable[[BenchApp, Pilot[int], Stand], Any], size: tuple[int, int] = (120, 36)
) -> None:
    async def scene() -> None:
        folder = tmp_path / "run"
        folder.mkdir()
        stand = Stand(folder)
        app = BenchApp(stand)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: isinstance(app.screen, BenchScreen), "first screen")
            await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 2, "stations")
            await script(app, pilot, stand)

    asyncio.run(scene())


def test_a_run_is_started_followed_and_shown(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await pilot.press("r")
        await until(pilot, lambda: ("start", "sim") in stand.calls, "the run starts")
        stand.tell("run-start", t=0.0, run_id="r1", recipe="bootstrap-to-operational", station="sim", simulated=True)
        stand.tell("step-start", "power-cycle", 0.0)
        stand.tell("step-end", "power-cycle", 2.5, verdict="pass", elapsed=2.5)
        stand.tell("step-start", "download", 2.5)
        with TraceWriter.open(stand.folder / "trace.pcapng", run_id="r1") as trace:
            trace.lane("at:modem").record(Direction.SENT, b"AT+CEREG?\r")
            trace.lane("at:modem").record(Direction.RECEIVED, b'+CEREG: 1,"002F"\r\n')
            await until(pilot, lambda: len(lines_of(app, "#lanes")) == 2, "two packets")
            await until(pilot, lambda: any("download" in line for line in lines_of(app, "#steps")), "the second step")
            assert "✔ power-cycle" in lines_of(app, "#steps")[0]
            assert "running" in lines_of(app, "#steps")[1]
            await pilot.press("space")
            trace.lane("at:modem").record(Direction.SENT, b"AT\r")
            await until(
                pilot,
                lambda: "PAUSED" in text_of(app, "#lanes-title") and "1 newer" in text_of(app, "#lanes-title"),
                "held back while paused",
            )
            assert len(lines_of(app, "#lanes")) == 2
            await pilot.press("f")
            await until(pilot, lambda: len(lines_of(app, "#lanes")) == 3, "released")
        stand.tell("step-end", "download", 9.0, verdict="fail", elapsed=6.5, message="8.2.6/3.8 refused")
        stand.tell("run-end", t=9.5, device="fail", bench="pass", exit_code=1)
        await until(pilot, lambda: "✖ fail" in text_of(app, "#run-title"), "the verdict")
        assert any("8.2.6/3.8 refused" in line for line in lines_of(app, "#notes"))
        assert "SIM" in text_of(app, "#run-title")

    play(tmp_path, script)


def test_a_held_station_is_not_started_and_its_owner_named(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await pilot.press("down", "r")
        await until(pilot, lambda: "ada on lab3" in text_of(app, "#status"), "the owner is named")
        assert stand.calls == []

    play(tmp_path, script)


def test_stopping_asks_first_with_the_focus_on_cancel(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await pilot.press("r")
        stand.tell("run-start", run_id="r1", recipe="job", station="sim")
        await until(pilot, lambda: "job" in text_of(app, "#run-title"), "the run is shown")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, BenchScreen), "back")
        assert ("stop", stand.folder) not in stand.calls
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question again")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: ("stop", stand.folder) in stand.calls, "stopped")

    play(tmp_path, script)


def test_f12_needs_no_question_and_twice_means_the_host(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await pilot.press("r")
        stand.tell("run-start", run_id="r1", recipe="job", station="sim")
        await until(pilot, lambda: "job" in text_of(app, "#run-title"), "the run is shown")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "a dialog is open")
        await pilot.press("f12")
        await until(pilot, lambda: ("safe", "sim") in stand.calls, "safe from a dialog")
        await pilot.press("f12")
        await until(pilot, lambda: ("safe", None) in stand.calls, "safe for the host")

    play(tmp_path, script)


def test_it_works_at_80x24(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        assert not app.screen.query_one("#right").display
        assert app.screen.query_one("#steps").region.width > 70

    play(tmp_path, script, size=(80, 24))


def test_one_meaning_a_key() -> None:
    assert len({key.key for key in KEYS}) == len(KEYS)
    assert len({key.action for key in KEYS}) == len(KEYS)
    assert not {"ctrl+b", "ctrl+a", "ctrl+i", "ctrl+m", "ctrl+h"} & {key.key for key in KEYS}


def test_the_log_keeps_a_bounded_number_of_lines() -> None:
    from rich.style import Style
    from textual.app import App, ComposeResult

    class Host(App[None]):
        def compose(self) -> ComposeResult:
            yield LineLog(id="log")

    async def scene() -> None:
        app = Host()
        async with app.run_test(size=(40, 10)) as pilot:
            log = app.query_one(LineLog)
            log.extend((str(i), Style()) for i in range(LIMIT + 5))
            await pilot.pause()
            assert log.count == LIMIT + 5
            assert len(log._lines) <= LIMIT
            assert log.render_line(log.size.height - 1).text.strip() == str(LIMIT + 4)

    asyncio.run(scene())
