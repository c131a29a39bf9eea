"""Whether a run lives: its supervisor holds a lock on ``run.lock``, which the kernel frees when it is gone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.run.events import boot_id

LOCK: Final = "run.lock"
_EXEC: Final = 0.1
"""Seconds that a started process may take to its exec."""


def start_time(pid: int) -> int:
    """Return the start time of a process in clock ticks since boot (/proc/PID/stat field 22), 0 when it has ended.

    With the process id it names a process beyond doubt: ids are used again. One that waits to be reaped has ended.
    """
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fields = os.read(fd, 4096).rpartition(b")")[2].split()
        return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError, ValueError):
        return 0
    finally:
        os.close(fd)


def same_process(who: Mapping[str, Any]) -> bool:
    """Return whether the process that ``pid`` and ``start`` name still runs."""
    pid, started = who.get("pid"), who.get("start")
    return isinstance(pid, int) and isinstance(started, int) and started > 0 and start_time(pid) == started


def hold(folder: Path, **more: Any) -> int:
    """Take the lock of a run folder for this process and write who it is; returns the descriptor to keep open."""
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(fd, fcntl.LOCK_EX)  # only readers' looks of an instant are in the way
    text = {"pid": os.getpid(), "start": start_time(os.getpid()), "boot": boot_id(), "host": socket.gethostname()}
    data = json.dumps({**text, **more}).encode() + b"\n"
    os.pwrite(fd, data, 0)
    os.ftruncate(fd, len(data))
    return fd


def owner(folder: Path) -> Mapping[str, Any]:
    """Return what the supervisor wrote about itself: ``pid``, ``start``, ``boot``, ``host``; empty when unreadable."""
    with contextlib.suppress(OSError, ValueError):
        value = json.loads((folder / LOCK).read_bytes())
        if isinstance(value, dict):
            return value
    return {}


def alive(folder: Path) -> bool:
    """Return whether the supervisor of this run is there.

    A lock whose owner has ended is looked at again for up to 0.1 s: a process that the supervisor had just started
    keeps a copy of the descriptor until the kernel has carried out its exec.
    """
    until = time.monotonic() + _EXEC
    while True:
        locked = _locked(folder)
        if locked is False:
            return False
        who = owner(folder)
        here = who.get("boot") == boot_id()
        if locked is None:  # a file system without locks: the process itself is looked for
            return here and same_process(who)
        # From another container the owner cannot be seen: there the lock alone decides.
        if not here or same_process(who) or time.monotonic() > until:
            return True
        time.sleep(0.002)


def _locked(folder: Path) -> bool | None:
    """Return whether somebody holds the lock, None where the file system has no locks."""
    try:
        fd = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(fd)
    return False
