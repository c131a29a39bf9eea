"""Each state is told by its glyph and its word; a colour helps, on paper without colour nothing is lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from rich.color import Color
from rich.color_triplet import ColorTriplet
from stand import Stand, play, run_info, shown, until
from textual.pilot import Pilot

from bench.client.overview import Output, Overview
from bench.tui.app import BenchApp
from bench.tui.themes import THEMES, Look
from bench.tui.widgets.line_view import cursors

ENDS = ("pass", "inconclusive", "fail", "aborted", "error", "bench-error", "broken")
OUTPUTS = {"on": "ON 3.80 V", "off": "OFF", "unknown": "not read"}


def luminance(colour: Color | str) -> float:
    """Relative luminance, WCAG 2.2."""
    triplet = (Color.parse(colour) if isinstance(colour, str) else colour).triplet
    assert isinstance(triplet, ColorTriplet)
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in triplet.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Color | str, other: Color | str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_a_state_is_readable_in_every_theme_also_without_hue(theme: object) -> None:
    look = Look(False, theme)  # type: ignore[arg-type]
    for state in look.states():
        colour = look.style(state).color
        assert colour is not None
        assert contrast(colour, look.theme.background or "") >= 4.5, f"{state}: text, WCAG 1.4.3"
        for cursor in cursors(look.theme.name):
            assert cursor.bgcolor is not None
            assert contrast(colour, cursor.bgcolor) >= 3.0, f"{state} under the cursor"
    rest, focused = (luminance(style.bgcolor) for style in cursors(look.theme.name) if style.bgcolor)
    assert rest != focused and cursors(look.theme.name)[1].bold, "which list has the keys"


@pytest.mark.parametrize("ascii_only", [False, True], ids=["utf-8", "ascii"])
def test_no_two_states_are_said_alike_and_each_has_its_own_glyph_for_good_and_bad(ascii_only: bool) -> None:
    look = Look(ascii_only)
    said = [look.said(state) for state in (*ENDS, "running", "pending", *OUTPUTS)]
    assert len(set(said)) == len(said) and all(text.split(" ", 1)[0] for text in said)
    good, bad = look.glyph("pass"), {look.glyph(state) for state in ENDS[1:]}
    assert good not in bad and look.glyph("on") != look.glyph("off") != look.glyph("unknown")


def test_every_state_of_run_and_output_is_shown_in_words_on_the_pages(tmp_path: Path) -> None:
    async def script(app: BenchApp, pilot: Pilot[int], stand: Stand) -> None:
        first, *others = stand.state.stations
        for state in (*ENDS, "running"):
            run = run_info(tmp_path, "run-1", state, exit_code=0)
            output = list(OUTPUTS)[len(state) % 3]
            outputs = (Output("sim", "", output, 3.8, 0.1, 0.1, ""),)  # type: ignore[arg-type]
            one = dataclasses.replace(first, last=run, outputs=outputs)
            stand.state = Overview((one, *others), (run,), "", tmp_path, tmp_path)
            app._overview_came(stand.state)
            wanted = app.look.said(state)
            for page in ("stations", "station", "history"):
                app.show(page)
                await until(pilot, lambda text=wanted: text in shown(app), f"{page}: {wanted}")  # type: ignore[misc]
            app.show("stations")
            word = app.look.said(output, OUTPUTS[output])
            await until(pilot, lambda text=word: text in shown(app), f"stations: {word}")  # type: ignore[misc]
        assert {len(state) % 3 for state in (*ENDS, "running")} == {0, 1, 2}, "each output was seen"

    play(tmp_path, script)
