"""Locks on stations and instruments: flock, so that the kernel frees them when the last holder is gone.

The folder is shared by all users of the host. A lock belongs to an open file, not to a process: passed to the
supervisor (``send_locks``), it is held until the supervisor's copy is closed too, whatever becomes of the runner.
Releasing therefore only closes, it never unlocks.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.errors import BenchError, StationHeld

_FOLDER = "esim-bench"
_RETRY = 0.1  # seconds: a reader of owners may hold the lock for an instant
_MAX_FDS = 64


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock, for people: the kernel's lock is the truth, this text says whose it is."""

    user: str
    host: str
    pid: int
    """Of the supervisor."""
    run: str
    since: str
    """UTC, ISO 8601."""

    @classmethod
    def me(cls, *, run: str = "", pid: int | None = None) -> Owner:
        """Return this process (or ``pid``) as owner, from now on."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return cls(_user(), socket.gethostname(), pid or os.getpid(), run, since)

    def __str__(self) -> str:
        run = f", run {self.run}" if self.run else ""
        return f"{self.user}@{self.host}, process {self.pid}{run}, since {self.since}"


def _user() -> str:
    import pwd

    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return str(os.getuid())


class Lock:
    """A lock that is held as long as ``fd`` is open here, or in any process it was passed to."""

    def __init__(self, what: str, path: Path, fd: int) -> None:
        self.what = what
        self.path = path
        self.fd = fd

    def write_owner(self, owner: Owner) -> None:
        """Put the owner's name into the file."""
        text = json.dumps({"what": self.what, **asdict(owner)}).encode() + b"\n"
        os.pwrite(self.fd, text, 0)
        os.ftruncate(self.fd, len(text))

    def release(self) -> None:
        """Close this process's share of the lock; it stays held while another process has its copy."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def folder() -> Path:
    """Return the lock folder (sticky, writable by all), made on first use: under /run/lock, else under /tmp.

    $BENCH_LOCKS names another one, for containers and tests. Raises BenchError when no folder can be used.
    """
    named = os.environ.get("BENCH_LOCKS")
    candidates = [Path(named)] if named else [Path("/run/lock") / _FOLDER, Path("/tmp") / f"{_FOLDER}-locks"]
    # One that exists comes first: all users of the host must meet in the same folder, whatever each may create.
    candidates.sort(key=lambda path: not path.exists())
    reasons = []
    for path in candidates:
        try:
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
                path.chmod(0o1777)
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode):
                reasons.append(f"{path} is no folder")
            elif not os.access(path, os.W_OK | os.X_OK):
                reasons.append(f"{path} is not writable")
            else:
                return path
        except OSError as error:
            reasons.append(f"{path}: {error.strerror}")
    raise BenchError(
        f"there is no folder for locks: {'; '.join(reasons)}", hint="sudo install -d -m 1777 /run/lock/esim-bench"
    )


def _path(what: str) -> Path:
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", what)[:80]
    return folder() / f"{readable}-{hashlib.sha256(what.encode()).hexdigest()[:12]}.lock"


def _open(path: Path) -> int:
    """Open or create a lock file that all users can lock.

    The kernel (fs.protected_regular) refuses O_CREAT on another user's file in a sticky folder: create only when it
    is not there, and never follow a link that somebody put there.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    while True:
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)
        try:
            fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        os.fchmod(fd, 0o666)
        return fd


def acquire(what: str, owner: Owner) -> Lock:
    """Take the lock on ``what`` (``station sim``, or an instrument's identity) for ``owner``.

    Raises StationHeld with the name of who holds it, BenchError when the lock file cannot be used.
    """
    path = _path(what)
    try:
        fd = _open(path)
    except OSError as error:
        raise BenchError(
            f"the lock of {what} cannot be used: {error.strerror}", where=str(path), hint="remove the file"
        ) from error
    until = time.monotonic() + _RETRY
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
                    raise BenchError(
                        f"the lock of {what} cannot be taken: {error}",
                        where=str(path),
                        hint="does its file system know flock (NFS may not)? set BENCH_LOCKS to a local folder",
                    ) from error
            if time.monotonic() > until:
                raise StationHeld(
                    f"{what} is held by {_read(fd) or 'an unknown owner'}",
                    where=str(path),
                    hint="wait for that run, stop it (bench stop), or use another station",
                )
            time.sleep(0.01)
        lock = Lock(what, path, fd)
        lock.write_owner(owner)
        return lock
    except BaseException:
        os.close(fd)
        raise


def _read(fd: int) -> Owner | None:
    try:
        raw = json.loads(os.pread(fd, 4096, 0))
        return Owner(*(raw[name] for name in ("user", "host", "pid", "run", "since")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def holder(what: str) -> Owner | None:
    """Return who holds the lock on ``what`` now, None when nobody does.

    A holder whose text cannot be read is returned as an owner with the name ``?``.
    """
    try:
        fd = os.open(_path(what), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except OSError:
        return _read(fd) or Owner("?", "?", 0, "", "?")
    finally:
        os.close(fd)  # frees a shared lock taken for the look


# --- passing to the supervisor ----------------------------------------------------------------------------------------


def send_locks(connection: socket.socket, locks: Sequence[Lock]) -> None:
    """Pass locks over a connected AF_UNIX SOCK_SEQPACKET or SOCK_DGRAM socket: one message, names and descriptors.

    The sender keeps its own share. Raises OSError when the other side is gone.
    """
    for start in range(0, max(len(locks), 1), _MAX_FDS):
        part = locks[start : start + _MAX_FDS]
        names = json.dumps([{"what": lock.what, "path": str(lock.path)} for lock in part]).encode()
        ancillary = array.array("i", [lock.fd for lock in part])
        connection.sendmsg([names], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, ancillary)] if part else [])


def receive_locks(connection: socket.socket, *, limit: int = 65536) -> list[Lock]:
    """Receive one message of ``send_locks``; the locks are then held by this process too.

    Returns an empty list when the other side has closed. Raises ValueError for a message that is none.
    """
    data, ancillary, flags, _ = connection.recvmsg(
        limit, socket.CMSG_SPACE(_MAX_FDS * array.array("i").itemsize), socket.MSG_CMSG_CLOEXEC
    )
    fds = list(_descriptors(ancillary))
    try:
        if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
            raise ValueError("the message with locks was cut off")
        names = json.loads(data) if data else []
        if len(names) != len(fds):
            raise ValueError(f"{len(fds)} descriptors came with {len(names)} names")
        return [Lock(str(name["what"]), Path(name["path"]), fd) for name, fd in zip(names, fds, strict=True)]
    except (ValueError, KeyError, TypeError) as error:
        for fd in fds:
            os.close(fd)
        raise ValueError(f"this is no message with locks: {error}") from error


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> Iterator[int]:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds = array.array("i")
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
            yield from fds
