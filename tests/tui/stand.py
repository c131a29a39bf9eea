"""A stand-in for the client, with a bench that does not change, and what tests of pages have in common."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from bench.client.overview import Output, Overview, StationState
from bench.client.recipes import ParameterInfo, RecipeInfo
from bench.run.index import RunInfo
from bench.station.locks import Owner
from bench.trace.lane import Direction
from bench.trace.writer import TraceWriter
from bench.tui.app import BenchApp
from bench.tui.control import Wish
from bench.tui.feed import RunFeed

Script = Callable[[BenchApp, Pilot[int], "Stand"], Awaitable[None]]
START = 1_795_322_000_000_000_000
"""Of the packets, in ns since 1970."""


def run_info(folder: Path, name: str, state: str, station: str = "sim", **more: Any) -> RunInfo:
    """Return a line of the list of runs."""
    ended = "" if state == "running" else "2026-11-22T04:33:29.500000Z"
    values: dict[str, Any] = {"device": state, "bench": "pass", "exit_code": 0, "simulated": True} | more
    started = "2026-11-22T04:33:20.000000Z"
    return RunInfo(name, folder / name, "bootstrap-to-operational", station, started, ended, state, **values)


def write_run(folder: Path) -> None:
    """Write a run that failed at its download: journal, trace and samples."""
    folder.mkdir(parents=True)
    events: list[tuple[str, str, float, dict[str, Any]]] = [
        ("run-start", "", 0.0, {"run": folder.name, "recipe": "bootstrap-to-operational", "station": "sim"}),
        ("identity", "", 0.0, {"name": "eid", "value": "89049032123451234512345678901235"}),
        ("step-start", "power-cycle", 0.0, {}),
        ("step-end", "power-cycle", 2.5, {"verdict": "pass", "elapsed": 2.5}),
        ("step-start", "download", 2.5, {}),
        ("step-end", "download", 9.0, {"verdict": "fail", "elapsed": 6.5, "message": "the card refused the package"}),
        ("safe", "", 9.2, {"name": "power.off", "verified": True, "reading": 0.01}),
        ("run-end", "", 9.5, {"device": "fail", "bench": "pass", "exit_code": 1}),
    ]
    lines = []
    for seq, (kind, step, t, data) in enumerate(events, 1):
        ns = START + round(t * 1e9)
        wall = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9)) + f".{ns % 10**9 // 1000:06d}Z"
        event = {"seq": seq, "boot": "b", "mono_ns": ns, "wall": wall, "t": t, "type": kind, "step": step}
        lines.append(json.dumps({**event, "data": data}))
    (folder / "journal.jsonl").write_text("\n".join(lines) + "\n")
    manifest = {"schema": 1, "run": folder.name, "recipe": "bootstrap-to-operational", "station": "sim"}
    (folder / "run.json").write_text(json.dumps({**manifest, "simulated": True, "started": "2026-11-22T04:33:20Z"}))
    with TraceWriter.open(folder / "trace.pcapng", run_id=folder.name) as trace:

        def put(lane: str, seconds: float, direction: Direction, data: bytes, comment: str) -> None:
            trace.lane(lane).record(direction, data, time_ns=START + round(seconds * 1e9), comment=comment)

        for number in range(40):
            put("at:modem", 0.1 * number, Direction.SENT, b"AT+CEREG?\r", "AT+CEREG?")
            put(
                "at:modem",
                0.1 * number + 0.01,
                Direction.RECEIVED,
                b"\r\n+CEREG: 0,2\r\n\r\nOK\r\n",
                "+CEREG: 0,2 | OK",
            )
        put("apdu:card", 8.5, Direction.SENT, bytes.fromhex("81E2910003BF2D00"), "ch1 STORE DATA: GetProfilesInfo")
        put("apdu:card", 8.6, Direction.RECEIVED, bytes.fromhex("6985"), "6985 conditions of use not satisfied")
        put("scpi:power", 9.1, Direction.SENT, b"OUTP OFF\n", "OUTP OFF")
    import struct

    (folder / "power-psu.json").write_text(json.dumps({"schema": 1, "name": "psu", "start": {"t": 0.0}}))
    rows = b"".join(struct.pack("<3f", 0.1, 3.8, 0.1 + 0.3 * (number % 7 == 0)) for number in range(90))
    (folder / "power-psu.f32").write_bytes(rows + struct.pack("<3f", 0.1, float("nan"), 0.0))


class Stand:
    """Three stations: one with a failed run, one that somebody else holds, one that nobody reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[tuple[Any, ...]] = []
        if not (folder / "run-1").exists():
            write_run(folder / "run-1")
        failed = run_info(folder, "run-1", "fail")
        passed = run_info(folder, "run-0", "pass", exit_code=0)
        theirs = run_info(folder, "run-9", "running", "meter", simulated=False, device="", bench="", exit_code=None)
        other = Owner("ada", "lab3", 4711, "run-9", "2026-11-22T04:33:20Z")
        stations = (
            StationState("sim", True, ("power", "modem", "card"), last=failed, expendable=True,
                         outputs=(Output("sim", "", "off"),)),
            StationState("meter", False, ("power", "modem"), owner=other, live=theirs, last=theirs,
                         outputs=(Output("meter", "psu1", "on", 3.8, 0.412, 0.4, "run-9"),)),
            StationState("shelf", False, ("power",), outputs=(Output("shelf", "", "unknown"),)),
        )  # fmt: skip
        self.state = Overview(stations, (theirs, failed, passed), "", folder, folder)

    def overview(self) -> Overview:
        return self.state

    def recipes(self) -> Sequence[RecipeInfo]:
        hold = ParameterInfo("hold", "float", "s", 2.0, 0.5, 900.0, (), "0.5 to 900 s, default 2 s")
        parameters = (hold, ParameterInfo("profile", "str", "", "operational", None, None, (), "package or file"))
        job = RecipeInfo("bootstrap-to-operational", "Bootstrap to operational", "Prove the main job.", "", "m:f",
                         ("power", "modem"), (), ("switches-profile",), parameters)  # fmt: skip
        info = RecipeInfo("euicc-info", "eUICC information", "Read the card.", "", "m:g", ("card",), (), (), ())
        return [job, info]

    def check(self, wish: Wish) -> str:
        bad = [text for text in wish.parameters if text == "hold=0"]
        return "hold: 0 is outside of 0.5 to 900 s" if bad else ""

    def expected(self, wish: Wish) -> list[str]:
        return ["power-cycle       2.5 s"]

    def start(self, wish: Wish) -> tuple[Path | None, str]:
        self.calls.append(("start", wish))
        return self.folder / "run-1", ""

    def follow(self, folder: Path) -> RunFeed:
        from bench.client.reading import follow
        from bench.run.folder import read_json

        def source(stop: threading.Event) -> Iterator[Mapping[str, Any]]:
            if (folder / "journal.jsonl").exists():
                yield from follow(folder, stop=stop)

        feed = RunFeed(folder, source)
        feed.manifest = read_json(folder / "run.json")
        return feed

    def stop(self, folder: Path, *, at_once: bool = False) -> str:
        self.calls.append(("stop", folder))
        return ""

    def answer(self, folder: Path, question: int, choice: str) -> str:
        self.calls.append(("answer", question, choice))
        return ""

    def safe(self, stations: Sequence[str] | None) -> str:
        self.calls.append(("safe", stations))
        return "SAFE: done"

    def begin_session(self, station: str, *, clock: str = "") -> tuple[Path | None, str]:
        return None, "not here"

    def tell(self, folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append(("tell", dict(request)))
        return {"ok": True, "lines": ["OK"]}

    def save_session(self, folder: Path, name: str, last: float | None) -> Path:
        return folder / name

    def eim(self, *words: str) -> Any:
        self.calls.append(("eim", words))
        eid = "89049032123451234512345678901235"
        order = {"order_id": "2", "eid": eid, "kind": "enable", "state": "done", "final": True, "counter": 1}
        if words[0] == "euiccs":
            return [{"eid": eid, "counter": 4, "confirmed_counter": 3}]
        return [{**order, "created": 1795322328.0}] if words[0] == "list" else {**order, "package": "bf5100"}


async def until(pilot: Pilot[int], condition: Callable[[], bool], what: str, within: float = 20.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, what
        await pilot.pause(0.02)


def play(folder: Path, script: Script, *, size: tuple[int, int] = (120, 36), **options: Any) -> None:
    """Run a script against the pages on a stand."""

    async def scene() -> None:
        stand = Stand(folder)
        app = BenchApp(stand, **options)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: bool(app.overview.stations), "the stations")
            await script(app, pilot, stand)

    asyncio.run(scene())


def shown(app: BenchApp) -> str:
    """Return the screen as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)
