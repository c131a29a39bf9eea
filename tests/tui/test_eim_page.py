"""Page eIM: an order by a form made of what the eIM says, asked for; cancelled; with the bundled eIM too."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand import OPENAPI, Stand, play, shown, until
from textual.pilot import Pilot
from textual.widgets import Button, Input, Static

from bench.tui.app import BenchApp
from bench.tui.control import ClientControl
from bench.tui.screens.dialogs import Choose, Confirm
from bench.tui.screens.eim import EimPage
from bench.tui.screens.eim_order import OrderForm, order_kinds
from bench.tui.widgets.row_list import RowList

EID = "89049032123451234512345678901235"
ICCID = "89490200001234567890"


async def eim_page(app: BenchApp, pilot: Pilot[int], within: float = 20.0) -> EimPage:
    page = app.show("eim")
    assert isinstance(page, EimPage)
    await until(pilot, lambda: bool(page.query("#orders")) and page.asked, "the eIM has answered", within)
    return page


async def form(app: BenchApp, pilot: Pilot[int], downs: int) -> OrderForm:
    await pilot.press("b")
    await until(pilot, lambda: isinstance(app.screen, Choose), "what", 60)
    await pilot.press(*["down"] * downs, "enter")
    await until(pilot, lambda: isinstance(app.screen, OrderForm) and bool(app.screen.query("#yes")), "the form")
    assert isinstance(app.screen, OrderForm)
    return app.screen


def test_an_order_by_a_form_is_checked_and_asked_for(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await eim_page(app, pilot)
        filled = await form(app, pilot, 0)
        assert filled.query_one("#o-eid", Input).value == EID, "of the selected eUICC"
        await pilot.press("ctrl+r")
        assert "needed: iccid" in str(filled.query_one("#wrong", Static).content)
        assert app.focused is filled.query_one("#o-iccid", Input)
        await pilot.press(*ICCID, "enter", *"true", "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        assert f"bench eim order {EID} enable iccid={ICCID} rollback=true" in app.screen.facts
        await pilot.press("tab", "enter")
        wanted = ("eim", ("order", EID, "enable", f"iccid={ICCID}", "rollback=true"))
        await until(pilot, lambda: wanted in stand.calls, "ordered")
        await until(pilot, lambda: "order 3 (enable): pending" in app.status, "what became of it")

    play(tmp_path, script)


def test_the_worst_orders_need_the_end_of_the_eid_and_an_unknown_eid_is_registered(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        await eim_page(app, pilot)
        filled = await form(app, pilot, 1)
        other = EID[:-1] + "9"
        filled.query_one("#o-eid", Input).value = other[:-1]
        filled.query_one("#o-iccid", Input).value = ICCID
        await pilot.press("ctrl+r")
        assert "32 digits" in str(filled.query_one("#wrong", Static).content)
        filled.query_one("#o-eid", Input).value = other
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, Confirm) and bool(app.screen.query("#typed")), "the question")
        yes = app.screen.query_one("#yes", Button)
        assert yes.disabled
        app.screen.query_one("#typed", Input).focus()
        await pilot.press(*other[-6:])
        assert not yes.disabled
        yes.press()
        wanted = ("eim", ("order", other, "delete", f"iccid={ICCID}", "--register"))
        await until(pilot, lambda: wanted in stand.calls, "ordered")

    play(tmp_path, script)


def test_only_an_order_that_is_not_final_is_cancelled(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        page = await eim_page(app, pilot)
        page.query_one("#orders", RowList).focus()
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        assert app.screen.query_one("#yes", Button).disabled, "it is done"
        await pilot.press("escape", "down", "X")
        await until(pilot, lambda: isinstance(app.screen, Confirm) and "listProfileInfo" in shown(app), "the question")
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        await pilot.press("tab", "enter")
        await until(pilot, lambda: ("eim", ("cancel", "1")) in stand.calls, "cancelled")
        await until(pilot, lambda: "cancelled" in app.status, "what became of it")

    play(tmp_path, script)


def test_a_package_of_several_and_what_is_secret() -> None:
    kinds = {kind.name: kind for kind in order_kinds(OPENAPI)}
    several = {"psmos": f"enable {ICCID}; listProfileInfo", "ecos": ""}
    words = ["order", EID, "package", "--psmo", f"enable {ICCID}", "--psmo", "listProfileInfo"]
    assert kinds["package"].words(EID, several) == words
    assert [field.name for field in kinds["delete"].fields] == ["iccid"], "a confirmation code is on no command line"
    enable = kinds["enable"]
    assert [field.name for field in enable.fields] == ["iccid", "rollback", "expires_in"]
    assert enable.words(EID, {"iccid": "1", "expires_in": "60"})[3:] == ["iccid=1", "--expires-in", "60"]


@given(st.recursive(st.none() | st.text(max_size=4) | st.integers(), lambda inner: st.lists(inner, max_size=3) | (
    st.dictionaries(st.sampled_from(["components", "schemas", "OrderRequest", "oneOf", "title", "properties"]), inner)
), max_leaves=12))  # fmt: skip
def test_an_eim_that_describes_itself_in_another_way_offers_no_order(openapi: object) -> None:
    assert isinstance(order_kinds(openapi), list)


@pytest.fixture
def eim(home: Path) -> Iterator[None]:
    """The bundled eIM of that home, so that no question starts one of its own."""
    command = [sys.executable, "-m", "bench.cli.main", "eim", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        try:
            assert "operator" in json.loads(serving.stdout.readline())
            yield
        finally:
            serving.terminate()
            serving.wait(30)


@pytest.mark.usefixtures("eim")
def test_an_order_of_the_bundled_eim_is_made_seen_and_cancelled() -> None:
    async def scene() -> None:
        app = BenchApp(ClientControl())
        async with app.run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: bool(app.overview.stations), "the stations")
            page = await eim_page(app, pilot, 60)
            await form(app, pilot, 0)
            kinds = [kind.name for kind in page.kinds]
            assert {"download", "enable", "delete", "getRAT", "addEim", "listEim", "package"} <= set(kinds)
            await pilot.press("escape")
            await form(app, pilot, kinds.index("getRAT"))
            await pilot.press(*EID, "ctrl+r")
            await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
            await pilot.press("tab", "enter")
            await until(pilot, lambda: "pending" in app.status, f"ordered {app.status}", 60)
            orders = page.query_one("#orders", RowList)
            await until(pilot, lambda: orders.count() == 1, "listed", 60)
            await pilot.press("X")
            await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
            await pilot.press("tab", "enter")
            await until(pilot, lambda: "cancelled" in orders.texts()[1], "cancelled", 60)

    asyncio.run(scene())
