"""Speaking to supervisors: stop, safe, answer, status. A run is named by its folder."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.client.asking import ask
from bench.errors import BenchError, ConfigurationError
from bench.run import folder as places
from bench.run import liveness, unsafe

if TYPE_CHECKING:
    from bench.station.config import BenchConfig

_ANSWER_WITHIN: Final = 2.0
_SAFE_ANSWER_WITHIN: Final = 0.5
"""Seconds a supervisor is given to take a request to make safe, before it is killed."""
_SAFE_WITHIN: Final = 20.0


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What the supervisor of a live run says."""

    run_id: str
    pid: int
    """Of the supervisor."""
    runner: int
    """Process id of the runner."""
    phase: str
    """``starting``, ``running``, ``teardown``, ``safe`` or ``ending``."""
    heartbeat_age: float
    """Seconds since the runner's last heartbeat."""
    question: Mapping[str, Any] = field(default_factory=dict)
    """The open question (``id``, ``text``, ``choices``), empty when there is none."""


@dataclass(frozen=True, slots=True)
class SafeReport:
    """What became of one station."""

    station: str
    safe: bool
    """Everything verified by reading back."""
    by: str
    """``supervisor`` or ``client``: who switched."""
    results: Sequence[Mapping[str, Any]] = ()
    """One mapping an action: ``name``, ``verified``, ``reading``, ``message``."""
    message: str = ""
    """What else there is to say: who was interrupted, why it is NOT DEAD."""
    soak: str = ""
    """The soak that was ended for it."""


def status(folder: Path) -> RunStatus | None:
    """Return the state of a live run, None when its supervisor is gone. Raises BenchError when it does not answer."""
    found = _request(folder, {"op": "status"})
    if found is None:
        return None
    return RunStatus(
        run_id=str(found["run"]),
        pid=int(found["pid"]),
        runner=int(found["runner"]),
        phase=str(found["phase"]),
        heartbeat_age=float(found["heartbeat_age"]),
        question=found.get("question") or {},
    )


def stop(folder: Path, *, reason: str = "", at_once: bool = False) -> bool:
    """Ask for teardown and safe (``at_once``: safe without teardown). Returns False when the run has ended already.

    Returns when the supervisor has taken it; follow the run to see its end. Raises BenchError when it does not answer.
    """
    request = {"op": "stop", "by": _me(), "reason": reason, "at_once": at_once}
    return _request(folder, request) is not None


def answer(folder: Path, question: int, choice: str) -> bool:
    """Answer a question of ``station.ask``. Returns False when it is no longer open, or this is no choice of it."""
    found = _request(folder, {"op": "answer", "id": question, "choice": choice, "by": _me()})
    return found is not None and bool(found.get("ok"))


def safe(
    stations: Sequence[str] | None = None, *, config: Path | None = None, home: Path | None = None
) -> list[SafeReport]:
    """Make stations safe now; None: every station that is held, or marked unsafe by a crash.

    A held station: its supervisor is asked; after 0.5 s without an answer supervisor and runner are killed and the
    plan in the run folder is carried out from here, recorded there with who did it. A free real station: the plan of
    its configuration is carried out. A soak that works on one of them is ended at once, as it would switch on again
    for its next cycle; ``bench soak --resume`` goes on with it. Never raises for what an instrument does: the report
    says it. Raises ConfigurationError for an unknown station.
    """
    from bench.station import config as configuration

    found = configuration.load(config)
    if home is not None:
        found = replace(found, home=home, runs=home / "runs")
    names = list(found.stations) if stations is None else [found.station(name).name for name in stations]
    by_station: dict[str, list[Path]] = {}
    for folder in unsafe.marked(found.runs):
        by_station.setdefault(_station_of(folder), []).append(folder)
    if stations is None:  # also what a bench.toml that is no longer there had named
        names = list(dict.fromkeys([*names, *by_station]))
    soaks = _end_soaks(found.runs, set(names))
    live = {_station_of(folder): folder for folder in _live(found.runs)}
    reports: list[SafeReport] = []
    for name in names:
        dead = [folder for folder in by_station.get(name, ()) if folder != live.get(name)]
        if name in live:
            reports.append(_safe_live(live[name], name))
        if dead:
            reports += [_safe_dead(folder, name) for folder in dead]
        if name not in live and not dead and stations is not None:
            reports.append(_safe_free(found, name))
    if soaks:
        reports = _after_soaks(soaks, reports, found.runs)
    return reports


def stale(runs: Path) -> list[Path]:
    """Return run folders whose supervisor died before the station was safe: those stations count as unsafe."""
    return unsafe.stale(runs)


def make_stale_safe(runs: Path, stations: Sequence[str]) -> list[SafeReport]:
    """Carry out the plans that dead supervisors left for these stations. Never raises for what an instrument does."""
    return [_safe_dead(folder, _station_of(folder)) for folder in unsafe.stale(runs) if _station_of(folder) in stations]


def _end_soaks(runs: Path, names: set[str]) -> dict[Path, tuple[str, ...]]:
    """Tell every soak that works on one of these stations to be safe at once; return them with their stations."""
    from bench.client import soak, soak_watch

    found = {folder: on for folder, on in soak_watch.working(runs).items() if names & set(on)}
    for folder in found:
        with contextlib.suppress(OSError):
            soak.stop(folder, "at-once")
    return found


def _after_soaks(soaks: Mapping[Path, Sequence[str]], reports: list[SafeReport], runs: Path) -> list[SafeReport]:
    """Wait until the soaks have ended, make safe what they had begun in that moment, and say so in the reports."""
    from bench.client import soak_watch

    until = time.monotonic() + _SAFE_WITHIN
    while not all(map(soak_watch.has_ended, soaks)) and time.monotonic() < until:
        select.select([], [], [], 0.02)
    late = {_station_of(folder): folder for folder in _live(runs)}
    of_station = {name: folder for folder, on in soaks.items() for name in on}
    told = []
    for before in reports:
        report = _safe_live(late[before.station], before.station) if before.station in late else before
        soak = of_station.get(report.station)
        if soak is None:
            told.append(report)
        elif soak_watch.has_ended(soak):
            message = f"soak {soak.name} was ended (bench soak --resume {soak.name}). {report.message}"
            told.append(replace(report, message=message.strip(), soak=soak.name))
        else:
            message = f"NOT DEAD: soak {soak.name} does not end and will switch it on again. {report.message}"
            told.append(replace(report, safe=False, message=message.strip()))
    return told


# --- one station -----------------------------------------------------------------------------------------------------


def _live(runs: Path) -> list[Path]:
    """Return the run folders whose supervisor lives: newest first, looked for among the last ones only."""
    from bench.run.index import folders

    found = []
    for number, folder in enumerate(folders(runs)):
        if number >= 200:
            break
        if liveness.alive(folder):
            found.append(folder)
    return found


def _station_of(folder: Path) -> str:
    return str(places.read_json(folder / places.MANIFEST).get("station", ""))


def _safe_live(folder: Path, name: str) -> SafeReport:
    """Ask the supervisor; kill it and the runner when it does not answer."""
    told = f"run {folder.name} was interrupted"
    try:
        taken = _request(folder, {"op": "safe", "by": _me(), "reason": "bench safe"}, within=_SAFE_ANSWER_WITHIN)
    except BenchError:
        _kill_owner(folder)
        report = _safe_dead(folder, name)
        return replace(
            report, message=f"{told}: its supervisor did not answer and was killed. {report.message}".strip()
        )
    if taken is None:  # it ended in this moment
        return SafeReport(name, True, "supervisor", message=f"run {folder.name} had just ended")
    until = time.monotonic() + _SAFE_WITHIN
    while liveness.alive(folder) and time.monotonic() < until:
        select.select([], [], [], 0.02)
    results = _recorded(folder)
    verified = folder not in unsafe.marked(folder.parent)
    return SafeReport(name, verified, "supervisor", results, told)


def _recorded(folder: Path) -> list[Mapping[str, Any]]:
    from bench.run.events import SAFE
    from bench.run.reader import only

    last: dict[str, Mapping[str, Any]] = {}
    for event in only(folder / places.JOURNAL, SAFE):
        last[str(event["data"].get("name"))] = event["data"]
    return list(last.values())


def _kill_owner(folder: Path) -> None:
    """Kill supervisor and runner of a run that does not answer, surely those and no others."""
    owner = liveness.owner(folder)
    if not liveness.same_process(owner):
        return
    pid = int(owner["pid"])
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(pid)
        try:
            runner = _child(pid)
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            for victim in runner:
                with contextlib.suppress(OSError):
                    os.killpg(victim, signal.SIGKILL)
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll(2000)
        finally:
            os.close(pidfd)


def _child(pid: int) -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(word) for word in words if os.getpgid(int(word)) == int(word)]
    return []


def _safe_dead(folder: Path, name: str) -> SafeReport:
    """Carry out the plan that a dead supervisor left, and finish its record."""
    from bench.engine.aftermath import Aftermath
    from bench.engine.takeover import WORLD_GONE, make_safe

    plan = places.read_json(folder / places.PLAN)
    world = plan.get("world")
    results: list[Mapping[str, Any]] = []
    aftermath = Aftermath(folder, places.read_json(folder / places.MANIFEST).get("order", {}), by=f"client {_me()}")
    if isinstance(world, dict) and not liveness.same_process(world):
        everything, message = True, WORLD_GONE
    elif not plan:
        everything, message = True, "nothing had been switched"
    else:

        def told(result: Mapping[str, Any]) -> None:
            results.append(result)
            aftermath.safe(result)

        everything = make_safe(plan, told)
        message = "" if everything else "NOT DEAD: not everything could be verified"
    control = {"op": "safe", "by": _me(), "reason": "supervisor and runner were gone"}
    aftermath.finish(
        what="supervisor and runner were gone",
        hint="killed, out of memory, or the host went down",
        stack="",
        controls=[control],
        stopped=False,
        everything_safe=everything,
    )
    if everything:
        unsafe.unmark(folder)
    return SafeReport(name, everything, "client", results, message)


def _safe_free(config: BenchConfig, name: str) -> SafeReport:
    """Carry out the plan of a station nobody holds here."""
    from bench.engine.takeover import make_safe
    from bench.station import locks
    from bench.station.opened import station_key
    from bench.station.safe import _action_data, plan

    station = config.station(name)
    holder = locks.holder(station_key(station, config.home))
    if holder is not None:
        message = f"held by {holder}, whose runs are in another folder: ask them, or give their --config"
        return SafeReport(name, False, "client", (), message)
    if station.unresolved():
        return SafeReport(name, True, "client", (), "its simulated world does not run: nothing is on")
    results: list[Mapping[str, Any]] = []
    everything = make_safe({"actions": [_action_data(action) for action in plan(station)]}, results.append)
    return SafeReport(name, everything, "client", results, "" if everything else "NOT DEAD")


# --- the socket -------------------------------------------------------------------------------------------------------


def _me() -> str:
    from bench.station.locks import Owner

    owner = Owner.me()
    return f"{owner.user}@{owner.host}"


def _request(folder: Path, request: Mapping[str, Any], *, within: float = _ANSWER_WITHIN) -> Mapping[str, Any] | None:
    """Send one request; None when the supervisor is gone. Raises BenchError when it does not answer or refuses."""
    if not (folder / places.JOURNAL).exists() and not (folder / places.MANIFEST).exists():
        raise ConfigurationError("this is no run folder", where=str(folder), hint="bench runs lists them")
    path = folder / places.CONTROL
    with contextlib.suppress(OSError):
        path = path.readlink() if path.is_symlink() else path
    if not liveness.alive(folder):
        return None
    try:
        found = ask(str(path), request, within=within)
    except (OSError, ValueError) as error:
        if not liveness.alive(folder):
            return None
        why = "it does not answer" if isinstance(error, TimeoutError | ValueError) else str(error)
        raise BenchError(
            f"the supervisor of {folder.name} cannot be asked: {why}", where=str(path), hint="bench safe kills it"
        ) from error
    if "error" in found:
        raise BenchError(
            str(found["error"]),
            where=f"supervisor of {folder.name}",
            hint=f"bench show {folder.name} tells how far the run is",
        )
    return found
