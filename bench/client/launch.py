"""Starting a run: check everything that can be checked, start the supervisor, wait until the run folder exists."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from bench.engine.spawn import python, spawn
from bench.errors import BenchError, ConfigurationError, StationHeld

if TYPE_CHECKING:
    from bench.engine.order import Order
    from bench.station.config import StationConfig

_SUPERVISOR: Final = "from bench.engine.supervisor import main; main()"
_ANSWER_WITHIN: Final = 30.0
"""Seconds the supervisor may take to hold the station and make the run folder."""
_ERRORS: Final = {"StationHeld": StationHeld, "ConfigurationError": ConfigurationError}


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How a run is started; parameters of the recipe are not among these."""

    config: Path | None = None
    """bench.toml; None: found as DESIGN.md section 6 says."""
    home: Path | None = None
    """Bench home; None: $BENCH_HOME or what bench.toml says."""
    runs: Path | None = None
    """Folder of the run folders; None: what bench.toml says, else ``<home>/runs``."""
    seed: int | None = None
    """Seed of everything random in recipe and simulated world; None: drawn and recorded."""
    clock: str | None = None
    """``real``, ``instant`` or ``scaled:<factor>`` for a simulated station; None: what its world table says."""
    eid: str = ""
    """EID given by the person: allows what cannot be undone on this card, and is pinned for the run."""
    attended: bool = False
    """Somebody is there to answer ``station.ask``."""
    on_hangup: Literal["detach", "stop"] = "detach"
    """What becomes of the run when the starting process dies without ``RunHandle.detach``."""
    label: str = ""
    """Free text kept in run.json."""
    world: Mapping[str, object] = field(default_factory=dict)
    """Further options of the simulated world, such as a fault time line."""
    with_secrets: bool = False
    """The trace has the secrets of TLS and DTLS sessions, so that Wireshark decrypts what went over the data link."""
    passive: bool = False
    """Nothing is switched, neither by the recipe nor at the end; for ``listen`` alone."""
    trace_part: int = 0
    """Bytes after which the trace goes on in another file; 0: ``bench.trace.writer.PART_SIZE``."""
    withdrawn: Callable[[], bool] | None = None
    """Asked last before the station is taken: True when the person has called it off meanwhile (BenchError)."""


class RunHandle:
    """A run that this process started."""

    def __init__(self, folder: Path, pid: int, front: socket.socket) -> None:
        self.folder = folder
        self.run_id = folder.name
        self.pid = pid
        """Of the supervisor."""
        self._front = front
        self._pidfd = os.pidfd_open(pid)
        self._code: int | None = None
        self._lock = threading.Lock()

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the run's exit code when the supervisor has ended, None after ``timeout`` seconds.

        0 pass, 1 fail, 2 configuration, 3 bench-error, 4 error in the recipe, 5 inconclusive, 130 aborted; 3 also
        when the supervisor died without a result.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while self._code is None:
            if self._pidfd < 0:
                break
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            left = None if until is None else max(0.0, until - time.monotonic()) * 1000
            if not poll.poll(left):
                return None
            self._reap()
        return self._code

    def _reap(self) -> None:
        with self._lock:
            if self._code is not None:
                return
            try:
                _, status = os.waitpid(self.pid, 0)
                code = os.waitstatus_to_exitcode(status)
            except ChildProcessError:  # another thread of this program collects children
                code = _recorded_code(self.folder)
            self._code = code if code >= 0 else 3
            os.close(self._pidfd)
            self._pidfd = -1
            self._front.close()

    def interrupt(self) -> None:
        """Relay Ctrl-C: the first asks for teardown and safe, a second for safe at once."""
        if self._code is None and self._pidfd >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGINT)

    def detach(self) -> None:
        """Let the run go on without this process, whatever ``on_hangup`` says."""
        with contextlib.suppress(OSError):
            self._front.sendall(b'{"op": "detach"}\n')


def start(
    recipe: str,
    station: str,
    parameters: Mapping[str, object] | Sequence[str] = (),
    options: StartOptions | None = None,
) -> RunHandle:
    """Start ``recipe`` (name, ``file.py`` or ``file.py:function``) on a station of bench.toml.

    ``parameters``: ``["hold=2s", ...]`` or a mapping of names to values or texts. Returns when the run folder exists
    and the supervisor holds the station. Before that nothing is touched, and these are raised:

    - ConfigurationError (exit code 2): recipe, parameter, station or bench.toml is wrong; the station lacks what the
      recipe needs; the recipe has effects that cannot be undone and neither is the station expendable nor was the EID
      given; it asks questions and nobody is there;
    - StationHeld (exit code 3) with the owner's name;
    - BenchError: the supervisor could not be started; a run that died left the station on, and it cannot be made safe.
    """
    front, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        # First of all, so that two interpreters start while this one checks.
        descriptors = {0: null, 1: null, 2: _stderr(null), 3: theirs.fileno()}
        try:
            pid = spawn(python(_SUPERVISOR, bare=True), descriptors=descriptors, new_session=True)
        except OSError as error:
            raise BenchError(
                f"the supervisor cannot be started: {error.strerror}",
                where=sys.executable,
                hint="too many processes (ulimit -u), or no memory?",
            ) from error
        theirs.close()
        try:
            options = options or StartOptions()
            order, needs = _order(recipe, station, parameters, options)
            _refuse_reserved(order)
            if not order.passive:
                _make_stale_safe(order)
            if options.withdrawn is not None and options.withdrawn():
                raise BenchError("it was called off before it began", where=station, hint="nothing was switched")
            answer = _hand_over(front, {**order.data(), "needs": needs})
        except BaseException:
            front.close()
            _abandon(pid)
            raise
        return RunHandle(Path(answer["folder"]), pid, front)
    finally:
        os.close(null)
        theirs.close()


def _abandon(pid: int) -> None:
    """End a supervisor whose run was refused, or not wanted any more (Ctrl-C while it began)."""
    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        # Without an order it ends by itself; a run that has begun is stopped, the second time without teardown.
        for number, seconds in ((None, 0.5), (signal.SIGTERM, 10.0), (signal.SIGTERM, 10.0)):
            if number is not None:
                signal.pidfd_send_signal(pidfd, number)
            if poll.poll(seconds * 1000):
                os.waitpid(pid, 0)
                return
    except (ChildProcessError, ProcessLookupError):
        return
    finally:
        os.close(pidfd)


def _stderr(null: int) -> int:
    """Return where the supervisor may complain before it has its log."""
    try:
        os.fstat(2)
    except OSError:
        return null
    return 2


def _order(
    reference: str, station: str, parameters: Mapping[str, object] | Sequence[str], options: StartOptions
) -> tuple[Order, list[str]]:
    """Check everything and return the order, with what the recipe needs."""
    from bench.engine.checks import check
    from bench.engine.order import Order
    from bench.engine.recipe import load
    from bench.station import config as configuration

    config = configuration.load(options.config)
    table = config.station(station)
    found = load(reference)
    bound = found.bind(parameters)
    check(found, table, eid=options.eid, attended=options.attended, clock=options.clock, config=config)
    if options.world:
        check_world(table, options.world)
    home = (options.home or config.home).absolute()
    if options.home is not None and options.runs is None:
        runs = home / "runs"
    else:
        runs = (options.runs or config.runs).absolute()
    path, separator, function = reference.rpartition(":")
    file = path if path.endswith(".py") else reference if reference.endswith(".py") else ""
    named = reference if not file else f"{Path(file).absolute()}{separator + function if path else ''}"
    order = Order(
        recipe=named,
        title=found.title,
        source_file=str(found.source_file),
        station=station,
        station_lock=_lock_name(table, home),
        home=str(home),
        runs=str(runs),
        config=str(config.source.absolute()) if config.source else "",
        parameters=dict(bound.values),
        sources=dict(bound.sources),
        seed=int.from_bytes(os.urandom(4), "big") if options.seed is None else options.seed,
        clock=options.clock,
        eid=options.eid,
        attended=options.attended,
        on_hangup=options.on_hangup,
        label=options.label,
        world=dict(options.world),
        with_secrets=options.with_secrets,
        passive=options.passive,
        trace_part=options.trace_part,
        simulated=table.simulated,
        by=_me(),
        command=tuple(sys.argv),
    )
    return order, list(found.needs_on(table))


def check_world(table: StationConfig, options: Mapping[str, object]) -> None:
    """Raise ConfigurationError when the station has no simulated world, or one that does not start with ``options``."""
    from bench.station import services

    world = table.with_world(**options).world
    if world is not None:
        services.check(world.service, world.options, where=world.origin)


def _lock_name(table: Any, home: Path) -> str:
    from bench.station.opened import station_key

    return station_key(table, home)


def _me() -> str:
    from bench.station.locks import Owner

    owner = Owner.me()
    return f"{owner.user}@{owner.host}"


def _refuse_reserved(order: Order) -> None:
    """Raise StationHeld, with owner and note, when the station is kept for somebody else."""
    from bench.station import reservations

    reservations.require(order.station_lock, order.station)


def _make_stale_safe(order: Order) -> None:
    """Make the station safe when a run on it died with its supervisor. Raises BenchError when that fails."""
    from bench.client.control import make_stale_safe

    for report in make_stale_safe(Path(order.runs), [order.station]):
        if not report.safe:
            told = "; ".join(f"{r.get('name')}: {r.get('message') or 'not verified'}" for r in report.results)
            raise BenchError(
                f"station {order.station} was left switched on by a run that died, and cannot be made safe",
                where=told or report.message,
                hint="switch it off by hand, then: bench safe " + order.station,
            )


def _hand_over(front: socket.socket, order: Mapping[str, Any]) -> Mapping[str, Any]:
    """Send the order and return the supervisor's answer. Raises its refusal."""
    front.settimeout(_ANSWER_WITHIN)
    received = b""
    try:
        front.sendall(json.dumps({"op": "order", "order": order}, default=str).encode() + b"\n")
        while b"\n" not in received:
            chunk = front.recv(65536)
            if not chunk:
                break
            received += chunk
    except TimeoutError:
        raise BenchError(
            f"the supervisor did not begin within {_ANSWER_WITHIN:g} s", hint="is the host overloaded?"
        ) from None
    except OSError:
        pass
    front.settimeout(None)
    try:
        answer = json.loads(received.partition(b"\n")[0])
    except ValueError:
        raise BenchError(
            "the supervisor ended before it began", where=sys.executable, hint="what it said is above"
        ) from None
    error = answer.get("error")
    if error:
        raise _ERRORS.get(error["kind"], BenchError)(error["what"], where=error["where"], hint=error["hint"])
    found: Mapping[str, Any] = answer
    return found


def _recorded_code(folder: Path) -> int:
    from bench.run.index import info

    run = info(folder)
    return 3 if run is None or run.exit_code is None else run.exit_code
