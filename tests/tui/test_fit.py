"""Pages fit and say all of it, whatever comes first: packets, layout or the terminal's new size."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pytest
from stand import Stand, play, shown, until
from textual.pilot import Pilot

from bench.client import session
from bench.errors import BenchError
from bench.tui.app import BenchApp
from bench.tui.feed import RunFeed
from bench.tui.screens.run import RunPage
from bench.tui.widgets.lane_strip import LaneStrip
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.packet_view import PacketView
from bench.tui.widgets.step_list import StepList


def test_lanes_have_their_title_when_their_packets_are_there_before_the_page(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        def known(folder: Path) -> RunFeed:
            feed = Stand.follow(stand, folder)
            deadline = time.monotonic() + 60
            while len(feed.index) < 83:  # its thread reads the trace: nothing comes after it is shown
                assert time.monotonic() < deadline
                time.sleep(0.001)
            return feed

        stand.follow = known  # type: ignore[method-assign]
        page = app.show("station")
        await until(
            pilot, lambda: bool(page.query("#live")) and page.query_one("#live", PacketView).count() == 82, "it"
        )
        live = page.query_one("#live", PacketView)
        assert live.border_title == "Lanes without supply: 82 packets" and live.border_subtitle == "FOLLOW"
        await pilot.press("space")
        assert live.border_subtitle == "PAUSED"
        await pilot.press("f", "k")
        assert live.vertical_scrollbar.position == live.scroll_y > 0

    play(tmp_path, script)


def test_steps_and_lanes_fit_the_terminal_they_come_to_be_in(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = app.show("run")
        assert isinstance(page, RunPage)
        await until(pilot, lambda: page.feed is not None and page.feed.ended and len(page.feed.index) == 83, "the run")
        steps, strip = page.query_one("#steps", StepList), page.query_one("#strip", LaneStrip)

        def fits() -> bool:
            return [len(line) for line in steps.texts()] == [steps.scrollable_content_region.width] * 2

        await until(pilot, fits, "steps fill their pane")
        await until(pilot, lambda: strip.size.height == 4, "a head and a row for each of three lanes")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: steps.scrollable_content_region.width > 70 and fits(), "after resizing")

    play(tmp_path, script)


@pytest.mark.parametrize("answer", [b"[]\n", b"7\n", b"not JSON\n", b""])
def test_a_socket_that_is_no_session_is_told_with_its_remedy(tmp_path: Path, answer: bytes) -> None:
    at = str(tmp_path / "socket")
    (tmp_path / "run.json").write_text(json.dumps({"schema": 1, "parameters": {"at": at}}))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(at)
        server.listen(1)
        server.settimeout(30)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        other = threading.Thread(target=serve)
        other.start()
        with pytest.raises(BenchError) as told:
            session.tell(tmp_path, {"op": "reading"}, within=30)
        other.join(30)
    assert told.value.hint and told.value.where == tmp_path.name


def test_a_line_that_is_too_long_goes_on_below_at_any_width(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = app.show("run")
        await until(pilot, lambda: "the card refused the package" in app.status, "the reason")
        log = page.query_one("#findings", LineLog)
        await until(pilot, lambda: log.count() > len(log.texts()), "folded in its pane")
        assert log.texts()[0] == "✖ download: the card refused the package"
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: log.count() == len(log.texts()), "whole where there is room")
        app.show("stations")
        await until(pilot, lambda: "✖ fail" in shown(app).splitlines()[4], "the result is seen in a narrow terminal")

    play(tmp_path, script)
