"""Starting, following and controlling soaks; the process of their owner (``bench.soak.owner``)."""

from __future__ import annotations

import contextlib
import datetime
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.client import control, launch, reading
from bench.client.soak_watch import SoakInfo, SoakWatch
from bench.engine.spawn import python, spawn
from bench.errors import BenchError, ConfigurationError
from bench.run import folder as places
from bench.run import liveness
from bench.run.reader import Reader
from bench.soak import book as books
from bench.soak import plan as plans
from bench.soak.estimate import Estimate, estimate

if TYPE_CHECKING:
    from bench.station.config import BenchConfig, StationConfig

_OWNER: Final = "from bench.client.soak import main; main()"
_BEGIN_WITHIN: Final = 30.0
_INTERVAL: Final = 0.1
LEVELS: Final = {"finish": 1, "teardown": 2, "at-once": 3}
"""What a soak can be asked for: finish the cycles in progress, teardown and safe, safe at once."""
_SIGNALS: Final = {"finish": signal.SIGINT, "teardown": signal.SIGTERM, "at-once": signal.SIGUSR1}


class _Runs:
    """Runs of segments, started by this process."""

    def __init__(self, folder: Path, plan: plans.Plan) -> None:
        self._about = places.read_json(folder / books.SOAK)
        self._folder = folder
        self._plan = plan

    def start(self, station: str, segment: Mapping[str, Any], *, seed: int, label: str) -> launch.RunHandle:
        import json

        config = str(self._about.get("config") or "")
        options = launch.StartOptions(
            config=Path(config) if config else None,
            runs=Path(str(self._about["runs"])),
            home=None,
            seed=seed,
            clock=self._plan.clock or None,
            eid=str(self._plan.eid.get(station, "")),
            label=label,
            world=_world(self._plan, segment.get("faults") or ()),
        )
        recipe = f"{self._folder / books.RECIPE}:cycles"
        handle = launch.start(recipe, station, {"segment": json.dumps(dict(segment))}, options)
        handle.detach()
        return handle

    def follow(self, folder: Path) -> Iterator[Mapping[str, Any]]:
        return reading.follow(folder)

    def stop(self, folder: Path, *, reason: str, at_once: bool) -> None:
        with contextlib.suppress(BenchError):
            control.stop(folder, reason=reason, at_once=at_once)

    def make_safe(self, station: str) -> None:
        with contextlib.suppress(BenchError, OSError):
            control.make_stale_safe(Path(str(self._about["runs"])), [station])

    def find(self, station: str, label: str) -> Path | None:
        runs = Path(str(self._about["runs"]))
        return next((run.folder for run in reading.runs(runs, limit=200, station=station) if run.label == label), None)


def main() -> None:
    """Be the owner of the soak whose folder is the first argument."""
    from bench.soak.owner import Owner

    folder = Path(sys.argv[1])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asked: list[tuple[int, str]] = []
    owner: Owner | None = None
    counts = {"SIGINT": 0, "SIGTERM": 1, "SIGUSR1": 2}
    """Of each signal, the level that it has asked for so far: a second one asks for more."""

    def taken(number: int, frame: object) -> None:
        name = signal.Signals(number).name
        counts[name] = min(3, counts[name] + 1)
        asked.append((counts[name], name))
        if owner is not None:
            owner.wake.set()

    for number in _SIGNALS.values():
        signal.signal(number, taken)
    log = os.open(folder / books.OWNER_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    lock = liveness.hold(folder)
    found = Owner(folder, _Runs(folder, books.plan_of(folder)))
    owner = found

    def relay() -> None:
        """Carry out what signals asked for, outside of their handlers, which must take no lock."""
        while True:
            while asked:
                found.stop(*asked.pop(0))
            time.sleep(0.05)

    threading.Thread(target=relay, name="signals", daemon=True).start()
    threading.Thread(target=_watch_front, args=(found,), name="front", daemon=True).start()
    verdict = found.run()
    with contextlib.suppress(Exception):
        _report(folder)
    os.close(lock)
    os._exit({"pass": 0, "fail": 1, "inconclusive": 5, "aborted": 130}.get(verdict, 3))


def _watch_front(owner: Any) -> None:
    """Notice that the terminal is gone: descriptor 3 is held open by who follows the soak."""
    with contextlib.suppress(OSError):
        word = os.read(3, 1)
        if word != b"d" and owner.plan.on_hangup == "stop":
            owner.stop(LEVELS["teardown"], "the end of its terminal")


def _report(folder: Path) -> None:
    from bench.soak import morning

    morning.write(folder)


class SoakHandle:
    """A soak that this process started or resumed."""

    def __init__(self, folder: Path, pid: int, front: int) -> None:
        self.folder = folder
        self.pid = pid
        """Of its owner."""
        self._front = front

    def interrupt(self) -> None:
        """Relay Ctrl-C: the first finishes the cycle, the second tears down, the third is safe at once."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGINT)

    def tear_down(self) -> None:
        """Have the soak torn down and made safe at once: what Slurm's SIGTERM means."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGTERM)

    def detach(self) -> None:
        """Let the soak go on without this process, whatever ``on_hangup`` says."""
        with contextlib.suppress(OSError):
            os.write(self._front, b"d")

    def wait(self) -> int:
        """Wait for the owner's end and return the exit code of the soak; 3 when it died."""
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            return 3
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 3


def prepare(
    text: str, *, config: Path | None = None, stations: tuple[str, ...] = (), seed: int | None = None
) -> tuple[plans.Plan, Path, list[Estimate], int]:
    """Check a plan against stations and recipes; return it, its file, what it will use, and its seed.

    Raises ConfigurationError for whatever a run of it would be refused for. Nothing is touched.
    """
    from bench.engine.checks import check
    from bench.engine.recipe import load as load_recipe
    from bench.soak.codes import Pool
    from bench.soak.cycles import recipes_of
    from bench.soak.schedule import Schedule
    from bench.station import config as configuration

    file = plans.find(text).absolute()
    plan = plans.load(file)
    if stations:
        plan = replace(plan, stations=stations)
    found = configuration.load(config)
    drawn = int.from_bytes(os.urandom(6), "big") if seed is None and plan.seed is None else 0
    used_seed = seed if seed is not None else plan.seed if plan.seed is not None else drawn
    for name in recipes_of(plan):
        recipe = load_recipe(name)
        for station in plan.stations:
            table = found.station(station)
            eid = str(plan.eid.get(station, ""))
            check(recipe, table, eid=eid, attended=False, clock=plan.clock or None, config=found)
    kinds = {found.station(station).simulated for station in plan.stations}
    if len(kinds) > 1:
        raise ConfigurationError(
            "simulated and real stations in one soak",
            where=plan.origin or str(file),
            hint="their results are never mixed in one figure: make a soak of each",
        )
    for station in plan.stations:
        _check_worlds(plan, found.station(station), str(file))
    _bind_all(plan, used_seed, Schedule)
    pool = Pool.of(plan, file.parent) if plan.codes is None else _pool(plan, file)
    now = datetime.datetime.now().astimezone()
    told = [estimate(plan, used_seed, station, now=now, codes=len(pool.codes)) for station in plan.stations]
    return plan, file, told, used_seed


def _world(plan: plans.Plan, faults: Sequence[Any]) -> dict[str, Any]:
    """Return the options of the simulated world for cycles with such a fault time line."""
    return {**plan.world, **({"faults": list(faults)} if faults else {})}


def _check_worlds(plan: plans.Plan, table: StationConfig, file: str) -> None:
    """Raise ConfigurationError for options and fault time lines that the station's world would not start with."""
    parts = [(part.faults, part.origin) for part in plan.recipes if part.faults]
    for faults, origin in [((), plan.origin or file), *parts]:
        options = _world(plan, faults)
        if not options:
            continue
        try:
            launch.check_world(table, options)
        except ConfigurationError as error:
            where = f"{origin}, station {table.name}"
            raise ConfigurationError(error.what, where=where, hint=error.hint) from error


def _pool(plan: plans.Plan, file: Path) -> Any:
    from tempfile import TemporaryDirectory

    from bench.soak.codes import Pool

    with TemporaryDirectory() as folder:
        places.write_json(Path(folder) / books.SOAK, {"plan": str(file)})
        return Pool.of(plan, Path(folder))


def _bind_all(plan: plans.Plan, seed: int, schedule: Any) -> None:
    """Have every combination's parameters read by its recipe, so that nothing is refused at three in the morning."""
    from bench.engine.recipe import load as load_recipe

    first = schedule(plan, seed, plan.stations[0])
    seen: set[tuple[int, str]] = set()
    for item in first:
        key = (item.part, str({name: item.parameters[name] for name in plan.recipes[item.part].sweep}))
        if key not in seen:
            seen.add(key)
            try:
                load_recipe(item.recipe).bind(dict(item.parameters))
            except ConfigurationError as error:
                origin = plan.recipes[item.part].origin
                raise ConfigurationError(error.what, where=f"{origin}: {error.where}", hint=error.hint) from error
        if item.index >= 5000:
            break


def start(
    text: str, *, config: Path | None = None, stations: tuple[str, ...] = (), seed: int | None = None
) -> SoakHandle:
    """Start a soak by its plan (a file or an installed name). Raises ConfigurationError, BenchError."""
    from bench.station import config as configuration

    plan, file, _, used_seed = prepare(text, config=config, stations=stations, seed=seed)
    return _own(create(plan, file, used_seed, configuration.load(config), plan.stations))


def create(plan: plans.Plan, file: Path, used_seed: int, found: BenchConfig, stations: Sequence[str]) -> Path:
    """Make the folder of a soak of a plan that was prepared, on these of its stations. Nothing is started."""
    until = plans.deadline(plan.deadline, datetime.datetime.now().astimezone())
    return books.create(
        found.runs.absolute(),
        file,
        plan,
        used_seed,
        config=str(found.source.absolute()) if found.source else "",
        stations=list(stations),
        simulated=any(found.station(station).simulated for station in stations),
        until=until.astimezone(datetime.UTC).isoformat() if until is not None else "",
    )


def resume(folder: Path, *, within: float = 0.0) -> SoakHandle:
    """Go on with a soak whose owner is gone, or that was stopped. Raises BenchError when it is being worked on.

    ``within``: real seconds in which an owner that is about to end may do so.
    """
    until = time.monotonic() + within
    while liveness.alive(folder) and time.monotonic() < until:
        time.sleep(_INTERVAL)
    if liveness.alive(folder):
        who = liveness.owner(folder)
        raise BenchError(
            f"soak {folder.name} is running",
            where=f"process {who.get('pid')}",
            hint=f"bench soak --follow {folder.name} shows it",
        )
    books.plan_of(folder)
    _require_writable(folder / books.BOOK)
    return _own(folder)


def _require_writable(book: Path) -> None:
    """Refuse a soak whose book takes nothing, before anything is switched on. Raises BenchError."""
    try:
        os.close(os.open(book, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise BenchError(
            f"the soak's journal cannot be written: {error.strerror}",
            where=str(book),
            hint="make it writable for this user (chmod u+w, mount -o remount,rw): what was finished is in it",
        ) from error


def _own(folder: Path) -> SoakHandle:
    """Start the owner process of a soak and wait until it holds it."""
    reading_end, front = os.pipe2(os.O_CLOEXEC)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    from bench.client.slurm import escape

    command = [*escape(), *python(_OWNER), str(folder)]
    try:
        pid = spawn(command, descriptors={0: null, 1: null, 2: null, 3: reading_end}, new_session=True)
    except OSError as error:
        os.close(front)
        hint = "bench doctor tells what this host lacks; its limits may be reached (ulimit -a)"
        what = f"the soak's process cannot be started: {error.strerror}"
        raise BenchError(what, where=sys.executable, hint=hint) from error
    finally:
        os.close(null)
        os.close(reading_end)
    until = time.monotonic() + _BEGIN_WITHIN
    pidfd = os.pidfd_open(pid)
    try:
        while time.monotonic() < until:
            if liveness.owner(folder).get("pid") == pid and liveness.alive(folder):
                return SoakHandle(folder, pid, front)
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if poll.poll(20):
                break
    finally:
        os.close(pidfd)
    raise BenchError("the soak's process ended before it began", where=str(folder / books.OWNER_LOG), hint="see there")


def stop(folder: Path, level: str = "finish") -> bool:
    """Ask a soak to end (``LEVELS``). Returns False when its owner is gone already."""
    if not liveness.alive(folder):
        return False
    pid = liveness.owner(folder).get("pid")
    if not isinstance(pid, int):
        return False
    with contextlib.suppress(OSError):
        os.kill(
            pid, _SIGNALS[level]
        )  # before the request, by which the last cycle would end it as one that was finished
    books.request_stop(folder, "asked by a person")
    return True


def follow(folder: Path, *, from_now: bool = False, stop: threading.Event | None = None) -> Iterator[Mapping[str, Any]]:
    """Yield the records of a soak's book as they are written, until its end; ``broken`` when its owner is gone."""
    reader, position = Reader(), 0
    path = folder / books.BOOK
    if from_now:
        with contextlib.suppress(OSError):
            position = path.stat().st_size
    while stop is None or not stop.is_set():
        running = liveness.alive(folder)
        data = b""
        with contextlib.suppress(FileNotFoundError):
            with path.open("rb") as file:
                file.seek(position)
                data = file.read()
        position += len(data)
        ended = False
        for event in reader.feed(data):
            yield event
            ended = event["type"] == "soak-end"
        if ended and not running:
            return
        if not running:
            if not data:
                if not ended and not _has_end(folder):
                    yield {"type": "broken", "data": {"what": "its owner is gone", "hint": "bench soak --resume"}}
                return
            continue
        time.sleep(_INTERVAL)


def _has_end(folder: Path) -> bool:
    return bool(books.state_of(folder).ended)


def soaks(runs: Path) -> list[SoakInfo]:
    """Return the soaks beside a runs folder, newest first."""
    return SoakWatch().read(runs)


def headlines() -> dict[str, str]:
    """Return the installed plans, each with the first line of its file, which says what it is for."""
    return {name: _headline(file) for name, file in plans.installed().items()}


def _headline(file: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        first = file.read_text(encoding="utf-8").splitlines()[:1]
        return first[0].lstrip("# ") if first else ""
    return ""
