"""Linux traffic control on the IP side: delay, loss and rate by ``tc qdisc ... netem`` (tc-netem(8)).

tc runs as a sub-process. The root qdisc of the interface is the bench's for as long as limits are set. It is taken
away again when the driver is closed, by the safe sequence, and when the process that set it is gone: a small shell
waits for the end of a pipe that only this process holds. A root qdisc that somebody else configured is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.errors import ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions, SafeResult
from bench.station.interfaces import Identity, SafeAction
from bench.station.network import LinkLimits
from bench.trace.lane import Direction

WITHIN = 5.0
"""Real seconds that tc is given."""
HANDLE = "bec1:"
"""Handle of the bench's own root qdisc: what has another was set by somebody else."""
DEFAULT_QDISCS = frozenset({"noqueue", "pfifo_fast", "fq_codel", "mq", "fq", "pfifo", "cake"})
"""What a kernel puts there by itself; handle 0 tells it from what a person configured."""
_PERMISSION = re.compile(r"Operation not permitted|CAP_NET_ADMIN|must be root", re.IGNORECASE)
_INTERFACE = re.compile(r"[A-Za-z0-9_.:-]{1,15}")


def netem_arguments(interface: str, limits: LinkLimits, *, tc: str = "tc") -> list[str]:
    """Return the tc command that sets the limits (tc-netem(8): times in us, loss in percent, rate in bit/s)."""
    command = [tc, "qdisc", "replace", "dev", interface, "root", "handle", HANDLE, "netem"]
    if limits.delay:
        command += ["delay", f"{round(limits.delay * 1e6)}us"]
        if limits.jitter:
            command += [f"{round(limits.jitter * 1e6)}us"]
    if limits.loss:
        command += ["loss", f"{limits.loss * 100:.4f}%"]
    if limits.rate is not None:
        command += ["rate", f"{round(limits.rate * 1000)}bit"]
    return command


def remove_arguments(interface: str, *, tc: str = "tc") -> list[str]:
    """Return the tc command that takes the bench's qdisc away."""
    return [tc, "qdisc", "del", "dev", interface, "root", "handle", HANDLE]


@dataclass(frozen=True, slots=True)
class RootQdisc:
    """The root qdisc of an interface, ``kind`` empty without one; ``limits`` are netem's."""

    kind: str = ""
    handle: str = "0:"
    limits: LinkLimits = field(default_factory=LinkLimits)

    def shows(self, limits: LinkLimits) -> bool:
        """Whether it is the bench's netem with these limits, as exactly as kernel and tc keep and print numbers."""
        return (self.kind, self.handle) == ("netem", HANDLE) and all(
            math.isclose(has, wanted, rel_tol=1e-3, abs_tol=least)
            for has, wanted, least in (
                (self.limits.delay, limits.delay, 2e-6),
                (self.limits.jitter, limits.jitter if limits.delay else 0.0, 2e-6),
                (self.limits.loss, limits.loss, 1e-6),
                (self.limits.rate or 0.0, limits.rate or 0.0, 0.008),
            )
        )

    def __str__(self) -> str:
        if self.kind != "netem":
            return f"qdisc {self.kind or 'none'} {self.handle}"
        has = self.limits
        rate = "no rate" if has.rate is None else f"rate {has.rate:g} kbit/s"
        return f"netem {self.handle} delay {has.delay:g} s jitter {has.jitter:g} s loss {has.loss:g} {rate}"


def root_qdisc(answer: str) -> RootQdisc:
    """Return the root qdisc of ``tc -json qdisc show`` (delays in s, loss as a share, rate in byte/s).

    Raises InstrumentError.
    """
    try:
        found = json.loads(answer)
        roots = [item for item in found if item.get("root")]
        if not roots:
            return RootQdisc()
        options = roots[0].get("options") or {}
        delay, rate = options.get("delay") or {}, options.get("rate") or {}
        return RootQdisc(
            str(roots[0]["kind"]),
            str(roots[0]["handle"]),
            LinkLimits(
                rate=float(rate["rate"]) * 8 / 1000 if rate else None,
                delay=float(delay.get("delay", 0.0)),
                jitter=float(delay.get("jitter", 0.0)),
                loss=float((options.get("loss-random") or {}).get("loss", 0.0)),
            )
            if str(roots[0]["kind"]) == "netem"
            else LinkLimits(),
        )
    except (ValueError, AttributeError, TypeError, KeyError, OverflowError, RecursionError):
        raise InstrumentError(
            f"tc answered no list of qdiscs: {answer[:60]!r}",
            where="tc qdisc show",
            hint="is 'tc' iproute2's, 4.10 or later? options = { tc = \"/usr/sbin/tc\" }",
        ) from None


class Netem:
    """The limits of one interface."""

    def __init__(self, interface: str, tc: str, options: DriverOptions) -> None:
        self.interface = interface
        self.version = ""
        self._tc = tc
        self._options = options
        self._guard: asyncio.subprocess.Process | None = None

    @classmethod
    async def prepare(cls, interface: str, options: DriverOptions) -> Netem:
        """Find tc and look at the interface; nothing is changed.

        Raises Refused where the qdisc is another's or the right to change it is lacking, ConfigurationError for a name
        that is none, InstrumentError where tc or the interface is not there.
        """
        if not _INTERFACE.fullmatch(interface):
            raise ConfigurationError(
                f"'{interface}' is no network interface", where=options.origin, hint="a name that 'ip link' lists: eth1"
            )
        tc = str(options.extra.get("tc") or shutil.which("tc") or shutil.which("tc", path="/usr/sbin:/sbin") or "")
        if not tc:
            raise InstrumentError(
                "there is no tc on this host", where=options.origin or options.name, hint="install iproute2"
            )
        made = cls(interface, tc, options)
        made.version = (await made._run([tc, "-V"])).strip()
        if (await made._ours()).handle == HANDLE:  # of a run whose host went down with it
            await made._run(remove_arguments(interface, tc=tc))
        return made

    async def apply(self, limits: LinkLimits | None) -> None:
        """Set the limits and read them back; None takes them away. Raises Refused without the right to."""
        if limits is None:
            await self.undo()
            return
        before = await self._ours()
        await self._watch()
        if before.handle == HANDLE and before.limits.rate is not None and limits.rate is None:
            # The kernel keeps the rate of a netem that is replaced by one without (sch_netem's netem_change).
            await self._run(remove_arguments(self.interface, tc=self._tc))
        await self._run(netem_arguments(self.interface, limits, tc=self._tc))
        root = await self._root()
        if not root.shows(limits):
            raise InstrumentError(
                f"{self.interface} has {root} after netem was set",
                where=self._options.name,
                hint="does another program configure this interface?",
            )

    async def undo(self) -> None:
        """Take the limits away, if there are any of the bench's."""
        if (await self._root()).handle == HANDLE:
            await self._run(remove_arguments(self.interface, tc=self._tc))
            if (await self._root()).handle == HANDLE:
                raise InstrumentError(
                    f"{self.interface} is still limited after netem was taken away",
                    where=self._options.name,
                    hint=f"take it away by hand: tc qdisc del dev {self.interface} root",
                )
        guard, self._guard = self._guard, None
        if guard is not None:
            await _end(guard)

    async def _watch(self) -> None:
        """Have the limits taken away when this process ends in whatever way: its end of the pipe closes then.

        A line says that they are gone already.
        """
        if self._guard is not None and self._guard.returncode is None:
            return
        script = 'read -r done || "$@" 2>/dev/null; true'
        self._guard = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", script, "sh", *remove_arguments(self.interface, tc=self._tc),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    async def _ours(self) -> RootQdisc:
        """Return the root qdisc. Raises Refused for one that somebody else configured."""
        root = await self._root()
        if root.handle not in ("0:", HANDLE) and root.kind:
            raise Refused(
                f"{self.interface} has a qdisc {root.kind} {root.handle} that the bench did not set",
                where=self._options.origin or self._options.name,
                hint=f"take it away first: tc qdisc del dev {self.interface} root",
            )
        return root

    async def _root(self) -> RootQdisc:
        return root_qdisc(await self._run([self._tc, "-json", "qdisc", "show", "dev", self.interface]))

    async def _run(self, command: Sequence[str]) -> str:
        shown = " ".join(["tc", *command[1:]])
        self._options.lane.record(Direction.SENT, shown.encode() + b"\n")
        with self._options.clock.busy():
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env={**os.environ, "LC_ALL": "C"},
                )
            except OSError as error:
                raise InstrumentError(
                    f"tc cannot be started: {error.strerror or error}", where=command[0], hint="is it a program?"
                ) from error
            try:
                async with asyncio.timeout(WITHIN):
                    out, err = await process.communicate()
            except TimeoutError:
                raise InstrumentTimeout(
                    f"tc did not end within {WITHIN:g} s", where=shown, hint="run it by hand: what does it wait for?"
                ) from None
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        text = err.decode("utf-8", "replace").strip()
        self._options.lane.record(Direction.RECEIVED, out + err)
        if process.returncode:
            raise failure(text, shown)
        return out.decode("utf-8", "replace")


async def _end(guard: asyncio.subprocess.Process) -> None:
    """Tell the guard that there is nothing left to do, and see it go."""
    assert guard.stdin is not None
    with contextlib.suppress(OSError):
        guard.stdin.write(b"done\n")
        guard.stdin.close()
    try:
        async with asyncio.timeout(WITHIN):
            await guard.wait()
    except TimeoutError:
        guard.kill()


def failure(text: str, where: str) -> InstrumentError:
    """Return the error that tc's complaint stands for: Refused where the right is lacking."""
    if _PERMISSION.search(text):
        return Refused(
            "this user may not change traffic control",
            where=where,
            hint="run as root, or give the capability: setcap cap_net_admin+ep $(command -v tc)",
        )
    if "Cannot find device" in text:
        return InstrumentError(f"the interface is not there: {text}", where=where, hint="'ip link' lists what there is")
    return InstrumentError(
        f"tc failed: {text or 'no reason given'}",
        where=where,
        hint="run the command by hand: has the kernel sch_netem?",
    )


def undo_now(interface: str, action: SafeAction, deadline: float) -> SafeResult:
    """Take the bench's qdisc away without an event loop, and read back, within ``deadline`` real seconds."""
    tc = str(action.options.get("tc") or shutil.which("tc", path="/usr/sbin:/sbin:/usr/bin") or "tc")
    show = [tc, "-json", "qdisc", "show", "dev", interface]
    until = time.monotonic() + deadline

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        left = max(until - time.monotonic(), 0.01)
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", timeout=left,
            check=False,
        )  # fmt: skip

    try:
        if root_qdisc(run(show).stdout).handle == HANDLE:
            run(remove_arguments(interface, tc=tc))
        kept = run(show)
        root = root_qdisc(kept.stdout)
    except (OSError, subprocess.TimeoutExpired, InstrumentError) as error:
        return SafeResult(action.name, False, None, f"LIMITS NOT TAKEN AWAY: {error}")
    gone = root.handle != HANDLE and kept.returncode == 0
    return SafeResult(action.name, gone, root.kind or "none", "no limits" if gone else "LIMITS NOT TAKEN AWAY")


def identity_of(shaper: Netem) -> Identity:
    """Return who limits: the host's kernel by tc."""
    return Identity("Linux", "tc-netem", shaper.interface, shaper.version)
