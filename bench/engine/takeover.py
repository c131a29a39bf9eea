"""What the supervisor does when the runner cannot: kill it, make safe with fresh connections, end what it left."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.engine.spawn import python, spawn
from bench.run.liveness import same_process

Results = list[dict[str, Any]]
QUICK: Final = 1.2
"""Seconds for all actions of the first pass: everything is switched within the 2 s, dead or not yet."""
THOROUGH: Final = 5.0
"""Seconds for each action that the first pass could not verify: a big capacitor takes its time."""
WORLD_GONE: Final = "the simulated world is gone, and its supply with it"
_START: Final = 1.5
"""Seconds the safe process may take beyond its actions."""


class SafeProcess:
    """``python -m bench.station.safe -``: started early, so that it has its imports done when it is given its plan."""

    def __init__(self) -> None:
        plan_read, self._plan = os.pipe2(os.O_CLOEXEC)
        self._output, output_write = os.pipe2(os.O_CLOEXEC)
        try:
            code = "sys.argv[1:] = ['-']; import bench.station.drivers, os; from bench.station.safe import main; "
            code += "code = main(); sys.stdout.flush(); os._exit(code)"
            self.pid = spawn(python(code), descriptors={0: plan_read, 1: output_write, 2: 2}, new_group=True)
        finally:
            os.close(plan_read)
            os.close(output_write)

    def carry_out(self, actions: Sequence[Mapping[str, Any]], *, deadline: float) -> Results:
        """Give it the actions; return one result an action. Kills it when it takes too long. Never raises.

        ``deadline`` in real seconds for each action.
        """
        text = json.dumps({"deadline": deadline, "actions": list(actions)}).encode()
        raw = b""
        try:
            with contextlib.suppress(OSError):
                os.write(self._plan, text)
            os.close(self._plan)
            raw = self._read(time.monotonic() + deadline * len(actions) + _START)
        finally:
            os.close(self._output)
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        try:
            report = json.loads(raw)
            found = {str(result["name"]): dict(result) for result in report["results"]}
        except (ValueError, KeyError, TypeError):
            report, found = {}, {}
        why = str(report.get("error") or "") or "the safe process gave no answer"
        missing = {"verified": False, "reading": None, "message": why}
        return [found.get(str(action["name"])) or {"name": action["name"], **missing} for action in actions]

    def cancel(self) -> None:
        """End it without a plan."""
        self.carry_out([], deadline=0.0)

    def _read(self, until: float) -> bytes:
        raw = b""
        while (left := until - time.monotonic()) > 0:
            readable, _, _ = select.select([self._output], [], [], left)
            if not readable:
                break
            chunk = os.read(self._output, 65536)
            if not chunk:
                break
            raw += chunk
        return raw


def make_safe(
    plan: Mapping[str, Any], told: Callable[[dict[str, Any]], None], first: SafeProcess | None = None
) -> bool:
    """Carry out a plan in fresh processes, quickly first, then thoroughly what was not verified.

    ``told`` is given every result of an action once it is final. Returns whether everything was verified.
    """
    actions = [dict(action) for action in plan.get("actions", [])]
    world = plan.get("world")

    def world_gone() -> bool:
        return isinstance(world, Mapping) and not same_process(world)

    if actions and world_gone():
        for action in actions:
            told(_gone_with_world(action))
        actions = []
    if not actions:
        if first is not None:
            first.cancel()
        return True
    process = first or SafeProcess()
    results = process.carry_out(actions, deadline=max(0.4, QUICK / len(actions)))
    open_actions = []
    for action, result in zip(actions, results, strict=True):
        if result.get("verified"):
            told(result)
        else:
            open_actions.append(action)
    if not open_actions:
        return True
    everything = True
    for action, result in zip(open_actions, SafeProcess().carry_out(open_actions, deadline=THOROUGH), strict=True):
        # A world dies with its supervisor, a moment later: its supply did not answer because it was going.
        final = result if result.get("verified") or not world_gone() else _gone_with_world(action)
        everything = everything and bool(final.get("verified"))
        told(final)
    return everything


def _gone_with_world(action: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": action["name"], "verified": True, "reading": None, "message": WORLD_GONE}


def kill(pid: int, pidfd: int, stack: Path | None) -> str:
    """Kill a process group at once, its stack asked for first; return the stack (empty for a frozen process).

    The runner writes its Python stack into the file ``stack`` at SIGUSR1, also while C code sleeps.
    """
    text = ""
    if stack is not None:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGUSR1)
            text = _stack(stack, pidfd)
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    gone(pidfd, 2.0)
    return text


def _stack(path: Path, pidfd: int) -> str:
    until = time.monotonic() + 0.15  # a busy host lets the runner wait for its turn
    size = -1
    while time.monotonic() < until and not gone(pidfd, 0.01):
        with contextlib.suppress(OSError):
            found = path.stat().st_size
            if found and found == size:
                break
            size = found
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")[:8000]
    return ""


def gone(pidfd: int, seconds: float) -> bool:
    """Wait up to ``seconds`` for a process to end; return whether it has."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def reap(pid: int) -> str:
    """Take a child's exit status, waiting for its end; return in words how it ended."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return "it is gone"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def children() -> list[int] | None:
    """Return the child processes of this one, those it inherited as subreaper among them; None when not known."""
    me = os.getpid()
    try:
        found = [int(word) for word in Path(f"/proc/{me}/task/{me}/children").read_text().split()]
        return [pid for pid in found if not _serves_others(pid)]
    except (OSError, ValueError):  # a kernel without CONFIG_PROC_CHILDREN
        return None


def _serves_others(pid: int) -> bool:
    """Whether a process is the broker of an instrument: this run began it, other stations' runs go on with it."""
    with contextlib.suppress(OSError):
        return b"bench.station.broker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


def end_all(known: Collection[int], *, grace: float = 1.5) -> list[int]:
    """End services and whatever else is left: SIGTERM to each group, SIGKILL after ``grace`` seconds.

    ``known``: process ids of services, where the kernel does not tell our children. Returns what had to be killed.
    """
    waiting: dict[int, int] = {}
    inherited = children()
    for pid in known if inherited is None else inherited:
        with contextlib.suppress(OSError):
            waiting[os.pidfd_open(pid)] = pid
            _signal(pid, signal.SIGTERM)
            _signal(pid, signal.SIGCONT)
    _wait(waiting, grace)
    killed = sorted(waiting.values())
    for pid in killed:
        _signal(pid, signal.SIGKILL)
    _wait(waiting, 1.0)
    for fd in waiting:
        os.close(fd)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return killed


def _wait(waiting: dict[int, int], seconds: float) -> None:
    """Wait until all processes have ended; takes those that did out of ``waiting`` (pidfd to process id)."""
    until = time.monotonic() + seconds
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLIN)
    while waiting and (left := until - time.monotonic()) > 0:
        for fd, _ in poll.poll(left * 1000):
            poll.unregister(fd)
            del waiting[fd]
            os.close(fd)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
