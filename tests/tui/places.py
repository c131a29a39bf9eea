"""Every place a person can be in: the pages, and each dialog by its name; and F12 in them on a live output."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from stand import OPENAPI, until
from textual.pilot import Pilot

from bench import client
from bench.client import session
from bench.errors import BenchError
from bench.run.reader import read
from bench.tui import keys
from bench.tui.app import DOUBLE_PRESS, BenchApp
from bench.tui.feed import wall_ns
from bench.tui.screens.dialogs import Ask, Choose, Confirm, Dialog, Interlock, KeyCheck, KeyHelp, Question
from bench.tui.screens.eim_order import OrderForm, order_kinds
from bench.tui.screens.hand_over import HandOver

LOCKS = (
    Interlock(True, "voltage within the station's limit", "3.8 of 4.3 V"),
    Interlock(False, "the card is not in use", "a run reads it"),
)
DIALOGS: dict[str, Callable[[], Dialog[Any]]] = {
    "confirm": lambda: Confirm("Stop run-1?", ["station sim", "held by you"], "Stop", interlocks=LOCKS),
    "confirm-typed": lambda: Confirm("Delete the profile?", ["of eUICC ...901235"], "Delete", typed="901235"),
    "ask": lambda: Ask("Note on sim", "H shows all notes; they stay until somebody removes them."),
    "choose": lambda: Choose("Plan", [("a", "the first"), ("b", "the second")], ["on station sim"]),
    "order": lambda: OrderForm(order_kinds(OPENAPI)[0], "89049032123451234512345678901235"),
    "question": lambda: Question("run-1", "Is the red light on?", ["yes", "no"]),
    "help": lambda: KeyHelp("run"),
    "check": KeyCheck,
    "hand-over": HandOver,
}
PLACES = (*keys.PAGES, *DIALOGS)


async def go(app: BenchApp, pilot: Pilot[int], place: str) -> None:
    """Be in a place, and nowhere else."""
    page = app.show(place if place in keys.PAGES else keys.STATIONS)
    if place in DIALOGS:
        made = DIALOGS[place]()
        app.push_screen(made)
        await until(pilot, lambda: app.screen is made and made.is_mounted, place)
    else:
        await until(pilot, lambda: app.screen is page and page.is_mounted, place)


def switch_on() -> Path:
    """Begin a manual session on station sim, in real time, and have its supply on; return its run folder."""
    handle = session.begin("sim", client.StartOptions(clock="real"))
    handle.detach()
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = session.tell(handle.folder, {"op": "output", "on": True})
            break
        except BenchError:  # it begins
            assert time.monotonic() < deadline, "the session"
            time.sleep(0.02)
    while answer["volts"] < 3.0:
        assert time.monotonic() < deadline, "the rail"
        answer = session.tell(handle.folder, {"op": "reading"})
    return handle.folder


async def press_with_an_output_on(app: BenchApp, pilot: Pilot[int], places: Iterable[str]) -> list[dict[str, Any]]:
    """Press F12 once in each place while an output is on; return what the run's own record says came of it."""
    found = []
    again = 0.0
    for place in places:
        folder = await asyncio.to_thread(switch_on)
        await go(app, pilot, place)
        while time.monotonic() < again:  # one press, not the second of two
            await pilot.pause(0.02)
        app.status = ""
        wall = time.time()
        await pilot.press("f12")
        again = time.monotonic() + DOUBLE_PRESS
        await until(
            pilot, lambda: "SAFE (what you hold): sim off, verified" in app.status, f"{place}: {app.status}", 30
        )
        events = [event for event in read(folder / "journal.jsonl") if event["type"] == "safe"]
        off = next(event["data"] | {"wall": event["wall"]} for event in events if "power" in str(event["data"]))
        seconds = wall_ns(str(off["wall"])) / 1e9 - wall
        found.append({"place": place, "seconds": round(seconds, 3), "verified": off["verified"], "run": folder.name,
                      "reading": off.get("reading")})  # fmt: skip
    return found
