"""Every page and dialog with a bench that stands still: what is shown, what the keys do, F12 from everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from places import DIALOGS, PLACES, go
from stand import Stand, play, shown, until
from textual.pilot import Pilot
from textual.widgets import Button, Input

from bench.client.overview import Watch
from bench.tui import keys
from bench.tui.app import BenchApp
from bench.tui.screens import make
from bench.tui.screens.dialogs import Confirm, Dialog, KeyCheck, Lines
from bench.tui.screens.instruments import InstrumentsPage, destroys
from bench.tui.screens.run import RunPage
from bench.tui.settings import Settings, terminal
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.packet_view import PacketView
from bench.tui.widgets.row_list import RowList


async def run_page(app: BenchApp, pilot: Pilot[int]) -> RunPage:
    """Go to the page Run and wait for its run."""
    page = app.show("run")
    assert isinstance(page, RunPage)
    await until(pilot, lambda: page.feed is not None and page.feed.ended, "the run is read")
    assert page.feed is not None
    await until(pilot, lambda: page.feed is not None and len(page.feed.index) == 83, "its packets")
    return page


def test_the_top_row_counts_every_output_and_names_those_that_are_not_read(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await pilot.pause()
        top = shown(app).splitlines()[0]
        assert "REAL+SIM" in top and "held 1/3" in top and "1 run " in top
        assert "outputs ON: 2: meter, shelf?" in top
        assert "SAFE F12" in top

    play(tmp_path, script)


def test_a_station_of_somebody_else_is_not_started_and_its_owner_named(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await pilot.press("down", "r")
        await until(pilot, lambda: "ada@lab3" in app.status, "the owner is named")
        assert not stand.calls

    play(tmp_path, script)


def test_a_failed_run_is_explained_reason_exchange_and_plot(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = await run_page(app, pilot)
        await until(pilot, lambda: "the card refused the package" in app.status, "the reason in the status line")
        await pilot.press("w")
        await until(pilot, lambda: page.decoded_packet >= 0, "an exchange is decoded")
        decoded = page.query_one("#decode", LineLog).texts()
        assert decoded[0] == "GetProfilesInfo" and any("6985" in line for line in decoded)
        lanes = page.query_one("#lanes", PacketView)
        assert "6985" in "".join(text for text, _ in lanes.line(lanes.cursor))
        await until(pilot, lambda: "At the selected moment" in str(page.query_one("#plots").border_title), "the plot")
        await pilot.press("h")
        await until(pilot, lambda: "69 85" in "\n".join(page.query_one("#decode", LineLog).texts()), "its bytes")

    play(tmp_path, script)


def test_lanes_are_chosen_searched_held_and_followed(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = await run_page(app, pilot)
        lanes = page.query_one("#lanes", PacketView)
        await until(pilot, lambda: lanes.count() == 82, "all but SCPI")
        await pilot.press("l")
        assert lanes.count() == 83
        await pilot.press("l")
        assert lanes.count() == 2
        await pilot.press("slash", *"profiles", "enter")
        await until(pilot, lambda: "packet 81" in app.status, "found")
        await pilot.press("n")
        await until(pilot, lambda: "packet 81 (round the end)" in app.status, "no other")
        await pilot.press("slash", "ctrl+u", *"nothing such", "enter")
        await until(pilot, lambda: "is nowhere" in app.status, "nowhere")
        await pilot.press("space")
        assert lanes.held == 83
        await pilot.press("f")
        assert lanes.held is None and lanes.following

    play(tmp_path, script)


def test_the_form_is_checked_and_is_the_same_as_a_command_line(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = app.show("recipes")
        await until(pilot, lambda: bool(page.query("#p-hold")), "the form")
        await until(pilot, lambda: page.query_one("#p-clock", Input).value == "scaled:10", "the clock")
        await pilot.press("enter", "0")
        await until(pilot, lambda: "refused" in "\n".join(page.query_one("#about", LineLog).texts()), "refused")
        await pilot.press("ctrl+r")
        assert not stand.calls
        await pilot.press("backspace", "3")
        await until(pilot, lambda: "can run" in "\n".join(page.query_one("#about", LineLog).texts()), "it can run")
        command = "bench run bootstrap-to-operational --station sim -s hold=3 --clock scaled:10"
        assert page.copied() == command
        await pilot.press("ctrl+s", *"mine", "enter")
        assert app.settings.get("presets", {})["bootstrap-to-operational"]["mine"]["hold"] == "3"
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "nothing was touched" in shown(app), "the dry run")
        await pilot.press("escape", "ctrl+r")
        await until(pilot, lambda: any(call[0] == "start" for call in stand.calls), "it starts")
        assert stand.calls[-1][1].command() == command

    play(tmp_path, script)


def test_stopping_asks_with_the_focus_on_cancel(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await pilot.press("down", "x")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        assert "run-9" in shown(app) and "ada@lab3" in shown(app) and "cannot be overridden" in shown(app)
        assert app.screen.query_one("#yes", Button).disabled, "another owner's hold is not overridden"
        await pilot.press("enter")
        assert ("stop", tmp_path / "run-9") not in stand.calls

    play(tmp_path, script)


def test_what_is_typed_frees_the_worst_actions(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = app.show("eim")
        await until(pilot, lambda: bool(page.query("#euiccs")), "the page")
        await until(pilot, lambda: page.query_one("#euiccs", RowList).count() == 1, "the eUICC")
        assert "! 3/4" in shown(app), "the eUICC has not confirmed the newest counter"
        await pilot.press("i", *"7", "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        yes = app.screen.query_one("#yes", Button)
        assert yes.disabled
        await pilot.press("shift+tab")
        app.screen.query_one("#typed", Input).focus()
        await pilot.press(*"901235")
        assert not yes.disabled
        yes.press()
        wanted = ("eim", ("euicc", "89049032123451234512345678901235", "--counter", "7"))
        await until(pilot, lambda: wanted in stand.calls, "repaired")

    play(tmp_path, script)


def test_every_dialog_is_among_those_that_f12_is_tried_in() -> None:
    for name in keys.PAGES:
        make(name)
    known, left = {type(made()) for made in DIALOGS.values()}, [Dialog]
    found = set()
    while left:
        left += (subclasses := left.pop().__subclasses__())
        found |= {each for each in subclasses if each.__module__.startswith("bench.")}
    assert found - {Lines} == known - {Lines}, "Lines is what help and hand-over are"


@pytest.mark.parametrize("key", ["f12", "ctrl+g"])
def test_once_and_twice_from_every_page_and_dialog(tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.tui.app.DOUBLE_PRESS", 60.0)  # a busy machine may take 2 s between the two

    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        app.started[tmp_path / "run-2"] = "sim"
        for place in PLACES:
            await go(app, pilot, place)
            stand.calls.clear()
            app.status = ""
            await pilot.press(key)
            await until(pilot, lambda: ("safe", ["sim"]) in stand.calls, f"{place}: what this screen began")
            assert ("safe", None) not in stand.calls
            await pilot.press(key)
            await until(pilot, lambda: ("safe", None) in stand.calls, f"{place}: the whole host")
            await until(pilot, lambda: app.status.startswith("SAFE (whole host)"), f"{place}: the status line says it")

    play(tmp_path, script)


def test_the_safe_field_is_clicked_and_types_in_a_field_are_not_keys(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        app.started[tmp_path / "run-2"] = "sim"
        page = app.show("recipes")
        await until(pilot, lambda: bool(page.query("#p-profile")), "the form")
        page.query_one("#p-profile", Input).focus()
        await pilot.press("q", "1", "r", "0")
        assert page.query_one("#p-profile", Input).value == "q1r0" and app.current() is page
        at = shown(app).splitlines()[0].index("SAFE F12")
        await pilot.click(offset=(at, 0))
        await until(pilot, lambda: ("safe", ["sim"]) in stand.calls, "clicked")

    play(tmp_path, script)


def test_whether_f12_arrives_is_asked_once_a_terminal(tmp_path: Path) -> None:
    kept = Settings(tmp_path / "tui.json")

    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await until(pilot, lambda: isinstance(app.screen, KeyCheck), "the check")
        await pilot.press("f12")
        await until(pilot, lambda: not isinstance(app.screen, KeyCheck), "it has arrived")
        assert terminal() in Settings(tmp_path / "tui.json").get("safe_key", [])

    play(tmp_path / "runs", script, kept=kept, check_key=True)


def test_history_filters_and_compares(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = app.show("history")
        await until(pilot, lambda: bool(page.query("#runs")), "the page")
        table = page.query_one("#runs", RowList)
        await until(pilot, lambda: table.count() == 3, "the runs")
        await pilot.press("slash", *"sim fail", "enter")
        await until(pilot, lambda: table.count() == 1 and table.selected == "run-1", "filtered")
        await pilot.press("a", "slash", "ctrl+u", *"sim", "enter")
        page.marked = tmp_path / "run-1"
        await pilot.press("d")
        await until(pilot, lambda: "run-1" in app.status, "compared")

    play(tmp_path, script)


def test_notes_and_the_hand_over_page(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await pilot.press("m", *"loose cable", "enter")
        await until(pilot, lambda: "note on sim" in app.status, "written")
        await pilot.press("H")
        await until(pilot, lambda: "loose cable" in shown(app), "shown")
        assert "meter psu1  3.800 V 0.412 A" in shown(app)

    play(tmp_path, script)


@pytest.mark.parametrize("name", keys.PAGES)
def test_ascii_pages_have_no_other_letter_of_ours(tmp_path: Path, name: str) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        app.show(name)
        await pilot.pause(0.1)
        scroll_bars = set("▁▂▃▄▅▆▇█▉▊▋▌▍▎▏▔▐\u00a0")
        assert not {letter for letter in shown(app) if not letter.isascii()} - scroll_bars

    play(tmp_path, script, ascii_only=True)


def test_a_narrow_terminal_shows_one_part_at_a_time(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = await run_page(app, pilot)
        await pilot.pause()
        assert page.query_one("#steps").region.width > 70 and not page.query_one("#decode").region.area
        await pilot.press("right_square_bracket")
        await pilot.pause()
        assert page.query_one("#lanes").region.width > 70
        assert app.station == "sim"

    play(tmp_path, script, size=(80, 24))


def test_the_end_of_a_run_does_not_hide_what_was_made_safe(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        app.started[tmp_path / "run-2"] = "sim"
        await pilot.press("f12")
        await until(pilot, lambda: "SAFE (what you hold): done" in app.status, "safe")
        app.show_run(tmp_path / "run-1")
        await until(pilot, lambda: "the card refused the package" in app.status, "the end of the run")
        assert app.status.startswith("SAFE (what you hold): done; ")

    play(tmp_path, script)


def test_lines_of_a_session_begin_with_the_stations_own_snippets(tmp_path: Path) -> None:
    table = 'snippets = { at = ["AT+QNWINFO"], console = ["modem reset"] }'
    (tmp_path / "bench.toml").write_text(f"[stations.lab]\n{table}\n")
    own = Watch(tmp_path / "bench.toml").read().station("lab")
    assert own is not None

    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        first, *others = stand.state.stations
        mine = replace(first, snippets=own.snippets)
        stand.state = replace(stand.state, stations=(mine, *others))
        page = app.show("instruments")
        assert isinstance(page, InstrumentsPage)
        await until(pilot, lambda: "AT+QNWINFO  ATI" in shown(app), "at hand")
        assert page.snippets("console")[0] == "modem reset" and page.snippets("scpi")[0] == "*IDN?"
        page.folder = lambda: tmp_path  # type: ignore[method-assign]
        await pilot.press("c", *"console m")
        line = app.screen.query_one("#line", Input)
        await until(pilot, lambda: line._suggestion == "console modem reset", "completed")
        await pilot.press("right", "enter")
        await until(pilot, lambda: ("tell", {"op": "console", "line": "modem reset"}) in stand.calls, "told")

    play(tmp_path, script)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("81E2910010BF330D5A0A9810", "DeleteProfile"),
        ("80e2 9100 06 bf34 0482020204", "eUICCMemoryReset"),
        ("80E2910006BF640482020204", "eUICCMemoryReset"),
        ("80E400000E", "DELETE"),
        ("00FE0000", "TERMINATE CARD USAGE"),
        ("80E2910006BF3E035C015A", ""),
        ("80CA9F7F00", ""),
        ("80E2", ""),
        ("no hexadecimal", ""),
    ],
)
def test_what_an_apdu_does_that_a_card_cannot_undo(line: str, what: str) -> None:
    assert destroys(line).startswith(what) and bool(destroys(line)) == bool(what)


def test_an_apdu_that_deletes_needs_the_stations_name_unless_it_is_expendable(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = app.show("instruments")
        assert isinstance(page, InstrumentsPage)
        page.folder = lambda: tmp_path  # type: ignore[method-assign]
        told = ("tell", {"op": "apdu", "line": "80E400000E"})
        await until(pilot, lambda: page.is_mounted and app.screen is page, "the page")
        await pilot.press("c", *"apdu 80E400000E", "enter")
        await until(pilot, lambda: told in stand.calls, "an expendable station does what it is told")
        stand.calls.clear()
        first, *others = stand.state.stations
        stand.state = replace(stand.state, stations=(replace(first, expendable=False), *others))
        await until(pilot, lambda: page.station is not None and not page.station.expendable, "it is somebody's card")
        await pilot.press("c", *"apdu 80E400000E", "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "it is asked for")
        assert "DELETE" in shown(app) and app.screen.query_one("#yes", Button).disabled
        app.screen.query_one("#typed", Input).focus()
        await pilot.press(*"sim")
        assert told not in stand.calls
        app.screen.query_one("#yes", Button).press()
        await until(pilot, lambda: told in stand.calls, "its name was typed")

    play(tmp_path, script)
