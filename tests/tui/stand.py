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
from bench.client.soak_watch import SoakInfo
from bench.errors import BenchError
from bench.run.index import RunInfo
from bench.station.locks import Owner
from bench.trace.lane import Direction
from bench.trace.writer import TraceWriter
from bench.tui.app import BenchApp
from bench.tui.control import ClientControl, Wish
from bench.tui.feed import RunFeed

Script = Callable[[BenchApp, Pilot[int], "Stand"], Awaitable[None]]
START = 1_795_322_000_000_000_000
"""Of the packets, in ns since 1970."""
OPENAPI = {"components": {"schemas": {"OrderRequest": {"oneOf": [
    {"title": "enable", "required": ["eid", "kind", "iccid"], "properties": {
        "eid": {}, "kind": {}, "expires_in": {"description": "seconds"}, "rollback": {"type": "boolean"},
        "iccid": {"description": "digits in reading order"}}},
    {"title": "delete", "required": ["iccid"], "properties": {"iccid": {}, "confirmation_code": {}}},
    {"title": "package", "properties": {"psmos": {"type": "array"}, "ecos": {"type": "array"}}},
]}}}}  # fmt: skip
"""What an eIM says can be ordered of it, in part."""


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


class StandSoaks:
    """A soak that runs, one that failed and one whose owner is gone."""

    def __init__(self, folder: Path, calls: list[tuple[Any, ...]]) -> None:
        self.calls = calls
        more: dict[str, Any] = {"stations": ("sim",), "simulated": True, "runs": folder, "active": 4210.0}
        started = "2026-11-21T21:00:00+00:00"

        def info(name: str, title: str, state: str, cycles: int, failures: int, told: str, **also: Any) -> SoakInfo:
            return SoakInfo(name, folder / name, title, started, state, cycles, failures, told, **{**more, **also})

        self.found = [
            info("soak-3", "overnight provisioning", "running", 120, 2, "", planned=1000, counted=118, trials=118,
                 events=2, seconds_per_cycle=0.5, run="run-1"),
            info("soak-2", "switch ping-pong", "fail", 40, 9, "9 failures in a row", planned=40, counted=38,
                 trials=30, events=1, bench_errors=2, run="run-1"),
            info("soak-1", "poor signal", "broken", 7, 0, "", counted=7, trials=7, stations=("meter",)),
        ]  # fmt: skip

    def read(self, runs: Path) -> Sequence[SoakInfo]:
        return self.found

    def findings(self, folder: Path) -> Mapping[str, Any]:
        cluster = {"signature": "download: 6985", "failures": 9, "events": 1, "runs": ["run-1"],
                   "conditions": [{"text": "hold = 5"}]}  # fmt: skip
        rate = {"by": "station", "value": "sim", "cycles": 38, "failures": 9, "events": 1}
        rate |= {"lower": 0.001, "upper": 0.172}
        times = {"recipe": "profile-switch", "phase": "cycle", "p50": 4.2, "p95": 6.1, "drifts": True, "trend": 0.8}
        stations = {"sim": {"ended": "9 failures in a row"}}
        found = {"clusters": [cluster], "rates": [rate], "times": [times], "stations": stations}
        return found if folder.name == "soak-2" else {"clusters": [], "rates": [], "times": [], "stations": {}}

    def plans(self) -> Mapping[str, str]:
        return {"overnight-provisioning": "Every night.", "switch-ping-pong": "Between two profiles and back."}

    def dry_run(self, plan: str, station: str) -> list[str]:
        self.calls.append(("dry-run", plan, station))
        if plan == "switch-ping-pong":
            raise BenchError("no such profile", where="plan.toml:3", hint="name another")
        return [f"station {station}: about 1000 cycles in 1.2 h of station time"]

    def start(self, plan: str, station: str) -> Path:
        self.calls.append(("soak", plan, station))
        return Path("soak-4")

    def resume(self, folder: Path) -> Path:
        self.calls.append(("resume", folder.name))
        return folder

    def end(self, folder: Path, level: str) -> bool:
        self.calls.append(("end", folder.name, level))
        return True


class Stand:
    """Three stations: one with a failed run, one that somebody else holds, one that nobody reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[tuple[Any, ...]] = []
        self.soaks = StandSoaks(folder, self.calls)
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

    def prepare(self) -> None:
        pass

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

    def held(self) -> list[str]:
        return self.state.mine

    def start(self, wish: Wish, withdrawn: Callable[[], bool]) -> tuple[Path | None, str]:
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

    def begin_session(self, station: str, withdrawn: Callable[[], bool], *, clock: str = "") -> tuple[Path | None, str]:
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
        if words[0] == "openapi":
            return OPENAPI
        if words[0] == "order":
            return {**order, "order_id": "3", "state": "pending", "final": False}
        if words[0] == "cancel":
            return {**order, "order_id": words[1], "state": "cancelled"}
        if words[0] == "euiccs":
            return [{"eid": eid, "counter": 4, "confirmed_counter": 3}]
        waits = {**order, "order_id": "1", "kind": "listProfileInfo", "state": "pending", "final": False}
        listed = [{**each, "created": 1795322328.0} for each in (waits, order)]
        return listed if words[0] == "list" else {**order, "package": "bf5100"}


async def until(pilot: Pilot[int], condition: Callable[[], bool], what: str, within: float = 20.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{what}; the status is: {getattr(pilot.app, 'status', '')}"
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


def play_real(
    script: Callable[[BenchApp, Pilot[int]], Awaitable[None]], size: tuple[int, int] = (120, 36), **options: Any
) -> None:
    """Run a script against the pages on the bench itself."""

    async def scene() -> None:
        app = BenchApp(ClientControl(), **options)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: bool(app.overview.stations), "the stations")
            await script(app, pilot)

    asyncio.run(scene())


def shown(app: BenchApp) -> str:
    """Return the screen as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)
