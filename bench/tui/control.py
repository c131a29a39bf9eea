"""What the screens need of the bench: a small seam over ``bench.client``, so that tests can stand in for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench.client.overview import Overview, Watch
from bench.errors import BenchError
from bench.tui.control_soaks import ClientSoaks, Soaks
from bench.tui.feed import RunFeed

if TYPE_CHECKING:
    from bench.client.recipes import RecipeInfo


@dataclass(frozen=True, slots=True)
class Wish:
    """A run that a person wants: what ``bench run`` would be told."""

    recipe: str
    station: str
    parameters: Sequence[str] = ()
    """NAME=VALUE as on the command line."""
    eid: str = ""
    clock: str = ""
    label: str = ""
    world: Mapping[str, object] = field(default_factory=dict)

    def command(self) -> str:
        """Return the same as a command line."""
        import json
        import shlex

        words = ["bench", "run", self.recipe, "--station", self.station]
        for text in self.parameters:
            words += ["-s", text]
        for name, value in self.world.items():
            words += ["--world", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        for option, value in (("--eid", self.eid), ("--clock", self.clock), ("--label", self.label)):
            if value:
                words += [option, value]
        return " ".join(shlex.quote(word) for word in words)


class Control(Protocol):
    """What the screens ask of the bench. Every method but ``follow`` may block: screens call them in threads."""

    @property
    def soaks(self) -> Soaks:
        """What is asked of soaks."""

    def overview(self) -> Overview:
        """Return the bench as it is now."""

    def prepare(self) -> None:
        """Import what the first run will need, so that its key is answered at once."""

    def recipes(self) -> Sequence[RecipeInfo]:
        """Return every installed recipe; one that cannot be loaded has the reason as its summary."""

    def check(self, wish: Wish) -> str:
        """Check what can be checked without touching anything; return why it would be refused, empty when not."""

    def expected(self, wish: Wish) -> list[str]:
        """Return the steps of the last run of this recipe on this kind of station that passed, with their times."""

    def held(self) -> list[str]:
        """Return the stations that this user holds now: by a run, or by a soak between two of its runs."""

    def start(self, wish: Wish, withdrawn: Callable[[], bool]) -> tuple[Path | None, str]:
        """Start a run that goes on whatever becomes of the screen; its folder, or None and why not.

        ``withdrawn``: asked last before the station is touched, whether the person wants it no more.
        """

    def follow(self, folder: Path) -> RunFeed:
        """Follow a run folder."""

    def stop(self, folder: Path, *, at_once: bool = False) -> str:
        """Stop a live run; return trouble, empty when it was told."""

    def answer(self, folder: Path, question: int, choice: str) -> str:
        """Answer a question of a run; return trouble."""

    def safe(self, stations: Sequence[str] | None) -> str:
        """Make stations (every one of the host when None) safe; return one line about what was done."""

    def begin_session(self, station: str, withdrawn: Callable[[], bool], *, clock: str = "") -> tuple[Path | None, str]:
        """Start a manual session; its run folder, or None and why not. ``withdrawn``: as for ``start``."""

    def tell(self, folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have a session do one thing (``bench.client.session.tell``). Raises BenchError."""

    def save_session(self, folder: Path, name: str, last: float | None) -> Path:
        """Write what was done in a session (its last seconds) as a recipe. Raises BenchError, OSError."""

    def eim(self, *words: str) -> Any:
        """Return what ``bench eim WORDS`` prints as JSON. Raises BenchError."""


class ClientControl:
    """The real seam: every call goes to ``bench.client``."""

    def __init__(self, config: str | Path | None = None) -> None:
        self.config = Path(config) if config else None
        self.soaks: Soaks = ClientSoaks(self.config)
        self._watch = Watch(self.config)
        self._reading = threading.Lock()

    def overview(self) -> Overview:
        """Return the bench as it is now."""
        with self._reading:
            return self._watch.read()

    def prepare(self) -> None:
        """Import what starts, follows and makes safe."""
        from importlib import import_module

        client = ("bench.client.launch", "bench.client.control", "bench.client.soak", "bench.client.soak_watch")
        for name in (*client, "bench.engine.checks", "bench.engine.recipe"):
            import_module(name)

    def recipes(self) -> Sequence[RecipeInfo]:
        """Load every installed recipe."""
        from bench import client

        found = []
        for name, source in client.recipes():
            try:
                found.append(client.recipe(name))
            except BenchError as error:
                found.append(client.RecipeInfo(name, name, f"cannot be loaded: {error}", "", source, (), (), (), ()))
        return found

    def check(self, wish: Wish) -> str:
        """Bind the parameters and check recipe against station, as ``bench run`` does before it touches anything."""
        from bench.engine.checks import check
        from bench.engine.recipe import load
        from bench.station import config as configuration

        try:
            config = configuration.load(self.config)
            table = config.station(wish.station)
            found = load(wish.recipe)
            found.bind(list(wish.parameters))
            check(found, table, eid=wish.eid, attended=True, clock=wish.clock or None, config=config)
        except BenchError as error:
            return str(error)
        return ""

    def expected(self, wish: Wish) -> list[str]:
        """Return the steps of the last run that passed, and what they took in station time."""
        from bench import client
        from bench.client.view import RunView

        overview = self.overview()
        state = overview.station(wish.station)
        for info in overview.runs:
            if (info.recipe, info.state) != (wish.recipe, "pass") or state is None or info.simulated != state.simulated:
                continue
            view = RunView()
            try:
                for event in client.journal(info.folder):
                    view.apply(event)
            except BenchError:
                continue
            return [f"{'  ' * step.depth}{step.name:<34}{step.elapsed or 0.0:8.1f} s" for step in view.steps]
        return []

    def held(self) -> list[str]:
        """Ask locks and soaks."""
        from bench.client import soak_watch

        found = self.overview()
        of_soaks = soak_watch.working(found.runs_folder, mine=True).values()
        return sorted({*found.mine, *(station for stations in of_soaks for station in stations)})

    def start(self, wish: Wish, withdrawn: Callable[[], bool]) -> tuple[Path | None, str]:
        """Start a run that goes on whatever becomes of the screen."""
        from bench import client

        try:
            options = client.StartOptions(
                config=self.config,
                clock=wish.clock or None,
                eid=wish.eid,
                label=wish.label,
                attended=True,
                world=dict(wish.world),
                withdrawn=withdrawn,
            )
            handle = client.start(wish.recipe, wish.station, list(wish.parameters), options)
            handle.detach()
            threading.Thread(target=handle.wait, name=f"reap {handle.run_id}", daemon=True).start()
        except BenchError as error:
            return None, str(error)
        return handle.folder, ""

    def follow(self, folder: Path) -> RunFeed:
        """Follow a run folder."""
        from bench import client
        from bench.run.folder import read_json

        feed = RunFeed(folder, lambda stop: client.follow(folder, stop=stop, interval=0.05))
        feed.manifest = read_json(folder / "run.json")
        return feed

    def stop(self, folder: Path, *, at_once: bool = False) -> str:
        """Stop a live run."""
        from bench import client

        try:
            return "" if client.stop(folder, reason="screen", at_once=at_once) else f"{folder.name} has ended already"
        except BenchError as error:
            return str(error)

    def answer(self, folder: Path, question: int, choice: str) -> str:
        """Answer a question."""
        from bench import client

        try:
            return "" if client.answer(folder, question, choice) else "the question is no longer open"
        except BenchError as error:
            return str(error)

    def safe(self, stations: Sequence[str] | None) -> str:
        """Make safe, all at the same time; say what was verified."""
        from bench import client

        def one(station: str | None) -> list[Any]:
            return list(client.safe(None if station is None else [station], config=self.config))

        try:
            if stations is None:
                # What is held is asked for at once; what only a crash left is found by the second look.
                held = [station.name for station in self.overview().stations if station.owner is not None]
                with ThreadPoolExecutor(max(1, len(held))) as pool:
                    reports = [report for found in pool.map(one, held) for report in found]
                seen = {report.station for report in reports}
                reports += [report for report in one(None) if report.station not in seen]
            else:
                with ThreadPoolExecutor(max(1, len(stations))) as pool:
                    reports = [report for found in pool.map(one, stations) for report in found]
        except BenchError as error:
            return str(error)
        if not reports:
            return "SAFE: nothing is held and nothing was left unsafe"
        return "SAFE: " + "; ".join(
            f"{report.station} {'off, verified' if report.safe else 'NOT DEAD: ' + report.message}"
            + (f", soak {report.soak} ended" if report.safe and report.soak else "")
            for report in reports
        )

    def begin_session(self, station: str, withdrawn: Callable[[], bool], *, clock: str = "") -> tuple[Path | None, str]:
        """Start a manual session that goes on whatever becomes of the screen, until it is stopped."""
        from bench.client import StartOptions, session

        try:
            options = StartOptions(config=self.config, clock=clock or None, label="manual", withdrawn=withdrawn)
            handle = session.begin(station, options)
            handle.detach()
            threading.Thread(target=handle.wait, name=f"reap {handle.run_id}", daemon=True).start()
        except BenchError as error:
            return None, str(error)
        return handle.folder, ""

    def tell(self, folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have a session do one thing."""
        from bench.client import session

        return session.tell(folder, request)

    def save_session(self, folder: Path, name: str, last: float | None) -> Path:
        """Write a recipe into the folder the screen was started in; one that is there is not replaced."""
        from bench.client import session

        text = session.as_recipe(name, session.lines(folder), last=last)
        path = Path.cwd() / f"{name.replace('-', '_')}.py"
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
        return path

    def eim(self, *words: str) -> Any:
        """Run the command of the package that brings the eIM: this one knows no server."""
        import json
        import subprocess
        import sys

        command = [sys.executable, "-m", "bench.cli.main"]
        command += ["--config", str(self.config)] if self.config else []
        command += ["eim", *words, *([] if words[0] == "openapi" else ["--json"])]  # that one prints nothing else
        try:
            done = subprocess.run(command, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BenchError(f"the eIM cannot be asked: {error}", where=" ".join(command[2:])) from error
        try:
            return json.loads(done.stdout)
        except ValueError:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise BenchError(said[-1] if said else "it printed no JSON", where=f"bench eim {' '.join(words)}") from None
