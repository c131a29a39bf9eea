"""The supervisor: holds the locks, watches the runner, makes safe when the runner cannot. No driver, no recipe code.

Started by the front in a session of its own, with a stream to the front at descriptor 3. It starts the runner at once,
so that interpreters start side by side, and the run when the front's order comes. Whatever happens to the runner, the
station is made safe with fresh connections, what the runner started is ended, and the record is finished.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from bench.engine import link
from bench.engine.control import ControlSocket
from bench.engine.spawn import python, spawn
from bench.engine.watch import Watch

FRONT: Final = 3
"""Descriptor of the stream to the front."""
RUNNER: Final = "from bench.engine.runner import main; main()"
_MAX_ORDER: Final = 4 << 20
_ORDER_WITHIN: Final = 60.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """One run from the order to the exit code."""

    def __init__(self, front: socket.socket) -> None:
        self.front: socket.socket | None = front
        self.order: Mapping[str, Any] = {}
        self.folder = Path()
        self.exit_code = 3
        self.plan: Mapping[str, Any] | None = None
        """The safe sequence; None as long as nothing can have been switched."""
        self.safe_done = False
        self.runner_done: Mapping[str, Any] | None = None
        self.services: dict[int, str] = {}
        self.locks: list[Any] = []
        self.question: Mapping[str, Any] = {}
        self.watch = Watch(time.monotonic())
        self.stops: list[dict[str, str]] = []
        self.untold: list[dict[str, str]] = []
        """Control events the runner has not acknowledged: they are written by this process if it never does."""
        self._signals: list[int] = []
        self._handlers: dict[int, Callable[[], None]] = {}
        self._poll = select.poll()
        self._control: ControlSocket | None = None
        self._asked: list[tuple[str, str, str, bool]] = []
        self._life = -1
        self._from_front = b""

    # --- start ----------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run to the end and return the exit code."""
        self._install_signals()
        self._start_runner()
        self._subreaper()
        self._import_ahead()
        assert self.front is not None
        self._watch(self.front.fileno(), self._front_readable)
        self._loop()
        return self.exit_code

    def _install_signals(self) -> None:
        self._wake, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._watch(self._wake, lambda: _drain(self._wake))

        def note(number: int, frame: FrameType | None) -> None:
            self._signals.append(number)

        for number in _SIGNALS:
            signal.signal(number, note)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def _start_runner(self) -> None:
        self.runner, runner_end = link.pair()
        self.lock_link, locks_end = link.pair()
        life_read, self._life_write = os.pipe2(os.O_CLOEXEC)
        descriptors = {
            0: os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC),
            1: 2,
            2: 2,
            3: runner_end.fileno(),
            4: locks_end.fileno(),
            5: life_read,
            6: self._life_write,
        }
        self.pid = spawn(python(RUNNER), descriptors=descriptors, new_group=True)
        self.pidfd = os.pidfd_open(self.pid)
        os.close(descriptors[0])
        os.close(life_read)
        runner_end.close()
        locks_end.close()
        self.runner.setblocking(False)
        self.lock_link.setblocking(False)
        self.watch = Watch(time.monotonic())
        self._watch(self.runner.fileno(), self._runner_readable)
        self._watch(self.lock_link.fileno(), self._locks_readable)
        self._watch(self.pidfd, self._runner_ended)

    def _subreaper(self) -> None:
        """Inherit what a killed runner leaves: the simulated world must live until its supply is off."""
        import ctypes

        pr_set_child_subreaper = 36
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0)

    def _import_ahead(self) -> None:
        """Import what the order will need while the front still checks and the runner still starts."""
        import bench.engine.preparation
        import bench.run.unsafe  # noqa: F401

    def _front_readable(self) -> None:
        assert self.front is not None
        try:
            data = self.front.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._front_gone()
            return
        self._from_front += data
        while b"\n" in self._from_front:
            line, _, self._from_front = self._from_front.partition(b"\n")
            message = json.loads(line)
            if message.get("op") == "order" and not self.order:
                self._begin(message["order"])
            elif message.get("op") == "detach":
                self.order = {**self.order, "on_hangup": "detach"}
        if len(self._from_front) > _MAX_ORDER:
            self._front_gone()

    def _front_gone(self) -> None:
        assert self.front is not None
        self._forget(self.front.fileno())
        self.front.close()
        self.front = None
        if not self.order:
            self._give_up()
        if self.order.get("on_hangup") == "stop":
            self.stop("hangup", by="front", reason="the starting process is gone (--on-hangup=stop)")

    def _begin(self, order: Mapping[str, Any]) -> None:
        """Take the station, make the run folder, tell front and runner. Any refusal ends this process."""
        from bench.engine.preparation import prepare
        from bench.errors import BenchError
        from bench.run import folder as places

        try:
            prepared = prepare(order)
            self.folder, self.order, self._life = prepared.folder, prepared.order, prepared.life
            self.locks.append(prepared.lock)
            self._control = ControlSocket(
                places.socket_path(self.folder, places.CONTROL), self._watch, self._forget, self._request
            )
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            log = os.open(self.folder / places.SUPERVISOR_LOG, flags, 0o644)
        except BenchError as error:
            self._refuse(type(error).__name__, error.what, error.where, error.hint)
        except OSError as error:
            self._refuse("BenchError", f"the run folder cannot be used: {error.strerror}", str(order["runs"]), "")
        link.send(self.runner, "order", folder=str(self.folder), supervisor=os.getpid())
        self._tell_front({"folder": str(self.folder), "pid": os.getpid()})
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(null)
        os.close(log)

    def _refuse(self, kind: str, what: str, where: str, hint: str) -> NoReturn:
        self._tell_front({"error": {"kind": kind, "what": what, "where": where, "hint": hint}})
        self._give_up()

    def _tell_front(self, message: Mapping[str, Any]) -> None:
        if self.front is not None:
            with contextlib.suppress(OSError):
                self.front.sendall(json.dumps(message).encode() + b"\n")

    def _give_up(self) -> NoReturn:
        """End before the run began: the runner has nothing yet."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        os._exit(2)

    # --- the loop -------------------------------------------------------------------------------------------------

    def _watch(self, fd: int, handler: Callable[[], None]) -> None:
        self._handlers[fd] = handler
        self._poll.register(fd, select.POLLIN)

    def _forget(self, fd: int) -> None:
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def _loop(self) -> None:
        started = time.monotonic()
        while True:
            while self._signals:
                self._signalled(signal.Signals(self._signals.pop(0)))
            while self._asked:
                op, by, reason, at_once = self._asked.pop(0)
                self.stop(op, by=by, reason=reason, at_once=at_once)
            if self.order:
                due = self._due()
                if due is None:
                    return
            else:
                due = started + _ORDER_WITHIN
                if time.monotonic() > due:
                    self._give_up()
            for fd, _ in self._poll.poll(max(0.0, due - time.monotonic()) * 1000 + 1):
                handler = self._handlers.get(fd)
                if handler is not None and not self._ended:
                    handler()

    def _due(self) -> float | None:
        """Take over when something is overdue; return when to look again, None when the run has ended."""
        if self._ended:
            return None
        overdue = self.watch.next_overdue()
        if time.monotonic() < overdue.due:
            return overdue.due
        self._take_over(f"the runner was killed: {overdue.what}", overdue.hint)
        return None

    def _signalled(self, number: signal.Signals) -> None:
        if not self.order:
            self._give_up()
        self.stop(f"signal {number.name}", by="signal", reason="")

    def stop(self, op: str, *, by: str, reason: str, at_once: bool = False) -> None:
        """Ask the runner for teardown and safe; the second time, or ``at_once``, kill it and make safe."""
        if self._ended:
            return
        control = {"op": op, "by": by, "reason": reason}
        first = self.watch.stop(time.monotonic())
        self.stops.append(control)
        self.untold.append(control)
        if not first or at_once:
            self._take_over("the runner was killed: safe at once was asked for", "")
            return
        link.send(self.runner, "stop", **control)

    # --- the runner -----------------------------------------------------------------------------------------------

    def _runner_readable(self) -> None:
        while True:
            try:
                message = link.receive(self.runner)
            except BlockingIOError:
                return
            if message is None:
                self._forget(self.runner.fileno())
                return
            self._take(message)

    def _take(self, message: Mapping[str, Any]) -> None:
        now = time.monotonic()
        kind = message["type"]
        if kind == "beat":
            self.watch.take_beat(message, now)
        elif kind == "ack":
            self.watch.take_ack(now)
            self.untold.clear()
        elif kind == "plan":
            self._plan(message)
        elif kind == "service":
            self.services[int(message["pid"])] = str(message["name"])
        elif kind == "service-gone":
            self.services.pop(int(message["pid"]), None)
        elif kind == "ask":
            self.question = {key: message[key] for key in ("id", "text", "choices")} if message.get("text") else {}
        elif kind == "done":
            self.runner_done = message

    def _plan(self, message: Mapping[str, Any]) -> None:
        """Keep the safe sequence, also for who comes after a crash of this process, before anything is switched."""
        from bench.run import folder as places
        from bench.run import unsafe

        plan = {"actions": message["actions"], "station": self.order["station"], "world": message.get("world")}
        places.write_json(self.folder / places.PLAN, plan)
        unsafe.mark(self.folder)
        self.plan = plan
        link.send(self.runner, "planned")

    def _locks_readable(self) -> None:
        from bench.station.locks import receive_locks

        try:
            received = receive_locks(self.lock_link)
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            print(f"locks of the runner: {error}", file=sys.stderr, flush=True)
            received = []
        if not received:
            self._forget(self.lock_link.fileno())
        self.locks.extend(received)

    def _runner_ended(self) -> None:
        from bench.engine import takeover

        self._forget(self.pidfd)
        how = takeover.reap(self.pid)
        if not self.order:
            # It could not even be started: its own message is on the front's standard error.
            hint = "what it said is above; is the installation whole (.ci/setup)?"
            self._refuse("BenchError", f"the runner could not be started ({how})", sys.executable, hint)
        self._drain_runner()
        done = self.runner_done
        if done is None:
            self._take_over(f"the runner ended by itself: {how}", "its last words are in runner.log", dead=True)
        elif done.get("ended"):
            self._finished_by_runner(done)
        else:  # it could not verify that the station is safe, and left the rest to us
            self._take_over("", "", dead=True)

    def _drain_runner(self) -> None:
        if self.runner.fileno() in self._handlers:
            self._runner_readable()
        while self.lock_link.fileno() in self._handlers:
            before = len(self.locks)
            self._locks_readable()
            if len(self.locks) == before:
                break

    # --- ends -----------------------------------------------------------------------------------------------------

    _ended = False

    def _finished_by_runner(self, done: Mapping[str, Any]) -> None:
        """The runner made safe, verified it and finished the record: nothing is left but what it may have forgotten."""
        from bench.engine import takeover

        self.exit_code = int(done.get("exit_code", 3))
        self._end(safe=True)
        takeover.end_all(self.services, grace=0.5)

    def _take_over(self, what: str, hint: str, *, dead: bool = False) -> None:
        """Make safe in the runner's place, end its services and finish the record."""
        from bench.engine import takeover
        from bench.engine.aftermath import Aftermath
        from bench.run import folder as places

        self._ended = True
        if self.runner_done is not None and self.runner_done.get("ended"):  # it only did not exit
            takeover.kill(self.pid, self.pidfd, None)
            self._finished_by_runner(self.runner_done)
            return
        first = takeover.SafeProcess() if self.plan is not None else None
        stack = ""
        if not dead:
            stack = takeover.kill(self.pid, self.pidfd, self.folder / places.STACK)
            self._drain_runner()  # the last it told: locks, services; never a plan that it had acted on
            takeover.reap(self.pid)
        aftermath = Aftermath(self.folder, self.order)
        everything = True
        if self.plan is not None and first is not None:
            everything = takeover.make_safe(self.plan, aftermath.safe, first)
        killed = takeover.end_all(self.services)
        self.exit_code = aftermath.finish(
            what=what,
            hint=hint,
            stack=stack,
            controls=self.untold,
            stopped=bool(self.stops),
            crashed=bool(what),
            everything_safe=everything,
            killed=[self.services.get(pid, str(pid)) for pid in killed],
        )
        self._end(safe=everything)

    def _end(self, *, safe: bool) -> None:
        """Release everything; the run is over for everybody else when this process is gone."""
        from bench.run import folder as places
        from bench.run import unsafe

        self._ended = True
        if safe:
            unsafe.unmark(self.folder)
        if self._control is not None:
            self._control.close()
        places.remove_socket(self.folder, places.CONTROL)

    def _request(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a request of the control socket: ``status``, ``stop``, ``safe``, ``answer``."""
        op, by, reason = request.get("op"), str(request.get("by", "")), str(request.get("reason", ""))
        if op == "status":
            return {
                "run": self.folder.name,
                "pid": os.getpid(),
                "runner": self.pid,
                "phase": self.watch.phase,
                "heartbeat_age": round(time.monotonic() - self.watch.beat, 3),
                "question": self.question,
            }
        if op in ("stop", "safe"):
            at_once = op == "safe" or bool(request.get("at_once"))
            self._asked.append((str(op), by, reason, at_once))  # after the answer: making safe takes its time
            return {"ok": True}
        if op == "answer":
            still_open = self.question.get("id") == request["id"]
            still_open = still_open and request["choice"] in self.question.get("choices", ())
            if still_open:
                link.send(self.runner, "answer", id=request["id"], choice=request["choice"], by=by)
                self.question = {}
            return {"ok": still_open}
        return {"error": f"there is no request {op!r}"}


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(fd, 512):
            pass


def main() -> NoReturn:
    """Run the process; ends without the interpreter's clean-up, which nothing here needs."""
    front = socket.socket(fileno=FRONT)
    os.set_inheritable(FRONT, False)
    front.setblocking(False)
    code = 3
    try:
        code = Supervisor(front).run()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
