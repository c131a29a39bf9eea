"""The key table: one meaning a key, and everything made from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand import Stand, play, shown, until
from textual.pilot import Pilot

from bench.tui import keys
from bench.tui.app import BenchApp
from bench.tui.keys_move import MOVES
from bench.tui.screens import make
from bench.tui.widgets.line_view import LineView

SHIFTED = dict(zip("1234567890", "!@#$%^&*()", strict=True))


def every_key() -> list[tuple[str, str]]:
    found = [(name, key.action) for key in keys.KEYS for name in key.keys]
    return found + [(name, move.action) for move in MOVES for name in move.key.split(",")]


def test_one_meaning_a_key_on_all_pages_together() -> None:
    names = [name for name, _ in every_key()]
    assert sorted(names) == sorted(set(names))
    actions = [key.action for key in keys.KEYS]
    assert len(actions) == len(set(actions))


def test_keys_that_do_not_survive_tmux_are_not_used() -> None:
    assert not keys.RESERVED & {name for name, _ in every_key()}


def test_switching_an_output_is_no_shift_away_from_anything() -> None:
    names = {name for name, _ in every_key()}
    for key in keys.KEYS:
        if key.action in ("output_on", "output_off", "voltage"):
            other = SHIFTED.get(key.key, key.key.swapcase())
            assert other not in names, f"{key.key} and {other}"


@pytest.mark.parametrize("name", keys.PAGES)
def test_every_binding_of_a_page_is_in_the_table_and_has_its_action(name: str) -> None:
    page = make(name)
    known = dict(every_key()) | {"enter": "open_line"}
    own = page.__class__.BINDINGS
    for binding in own:
        for each in binding.key.split(","):  # type: ignore[union-attr]
            assert known[each] == binding.action  # type: ignore[union-attr]
    for key in keys.keys_of(name):
        action = key.action.partition("(")[0]
        targets = (page.__class__, BenchApp, LineView)
        assert any(hasattr(target, f"action_{action}") or action == "open" for target in targets), key


def test_everything_that_changes_something_is_told_so() -> None:
    changing = {key.action for key in keys.KEYS if key.changes}
    assert {"run_job", "start", "output_on", "voltage", "command", "session", "stop_run", "repair"} <= changing
    assert "safe" not in changing


def test_readonly_refuses_what_changes_and_still_makes_safe(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        assert "READ-ONLY" in shown(app)
        await pilot.press("r")
        await until(pilot, lambda: "only looks" in app.status, "it is refused")
        assert not stand.calls
        await pilot.press("f12", "f12")
        await until(pilot, lambda: ("safe", None) in stand.calls, "F12 works")

    play(tmp_path, script, readonly=True)


def test_the_help_has_every_key_of_the_page(tmp_path: Path) -> None:
    from bench.tui.widgets.line_log import LineLog

    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        for name in keys.PAGES:
            app.show(name)
            await pilot.pause()
            app.action_help()
            await until(pilot, lambda: bool(app.screen.query("#lines")), "the help")
            text = "\n".join(app.screen.query_one("#lines", LineLog).texts())
            for key in keys.keys_of(name):
                assert key.help in text and key.label in text
            await pilot.press("escape")

    play(tmp_path, script)
