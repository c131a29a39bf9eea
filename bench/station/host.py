"""The host as discovery and doctor see it: device nodes, who may use them, who holds them.

Everything is read below ``root``, so that a tree of plain files can stand for another host.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MODEM_MANAGER = "ModemManager"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a device open, or that serves a socket."""

    pid: int
    name: str
    user: str = ""

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid}{', ' + self.user if self.user else ''})"


@dataclass(frozen=True, slots=True)
class Access:
    """Whether this user may read and write a device node, and what to do when not."""

    allowed: bool
    text: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """A host: its root folder and who asks. ``uid`` 0 may use everything."""

    root: Path = Path("/")
    uid: int = field(default_factory=os.getuid)
    groups: frozenset[int] = field(default_factory=lambda: frozenset((os.getgid(), *os.getgroups())))
    user: str = field(default_factory=lambda: _user_name(os.getuid()))

    def path(self, path: str | Path) -> Path:
        """Return where an absolute path of that host is."""
        return self.root / str(path).lstrip("/")

    def text(self, path: str | Path, default: str = "") -> str:
        """Return the stripped text of a small file (sysfs, procfs), ``default`` where it cannot be read."""
        try:
            return self.path(path).read_text("utf-8", errors="replace").strip()
        except OSError:
            return default

    def real(self, path: str) -> str:
        """Return what an absolute path of that host leads to, links followed, as a path of that host."""
        found = os.path.realpath(self.path(path))
        if str(self.root) == "/":
            return found
        base = os.path.realpath(self.root)
        return found.removeprefix(base) if found.startswith(base) else found

    # --- who may --------------------------------------------------------------------------------------------------

    def access(self, device: str, *, udev: str = "") -> Access:
        """Look whether this user may read and write ``device``.

        ``udev``: the match of a udev rule for it (``SUBSYSTEM=="usb", ATTR{idVendor}=="2a8d"``), for the remedy where
        no group has access.
        """
        real = self.real(device)
        try:
            found = self.path(real).stat()
        except OSError as error:
            return Access(False, f"{device}: {(error.strerror or str(error)).lower()}")
        mode = stat.S_IMODE(found.st_mode)
        both = stat.S_IROTH | stat.S_IWOTH
        if self.uid in (0, found.st_uid) or mode & both == both:
            return Access(True)
        group = _group_name(found.st_gid)
        for_group = mode & (both << 3) == both << 3
        if for_group and found.st_gid in self.groups:
            return Access(True)
        if for_group and found.st_gid != 0:
            return Access(
                False,
                f"{real} is for group {group}, and {self.user} is not in it",
                f"sudo usermod -aG {group} {self.user}, then log out and in again",
            )
        match = udev or f'KERNEL=="{Path(real).name}"'
        return Access(
            False,
            f"{real} is for {_user_name(found.st_uid)} only (mode {mode:04o})",
            f"""echo '{match}, MODE="0660", GROUP="plugdev"' | sudo tee /etc/udev/rules.d/70-bench.rules """
            "&& sudo udevadm control --reload && sudo udevadm trigger",
        )

    # --- who holds ------------------------------------------------------------------------------------------------

    def processes(self) -> Iterator[tuple[int, str]]:
        """Return every process: id and name."""
        proc = self.path("/proc")
        with contextlib.suppress(OSError):
            for entry in sorted(proc.iterdir(), key=lambda entry: entry.name):
                if entry.name.isdecimal():
                    yield int(entry.name), self.text(f"/proc/{entry.name}/comm", "?")

    def holders(self, device: str) -> list[Holder]:
        """Return who has a device node open, this process excepted. Needs no privilege for the user's own processes.

        The descriptors of other users cannot be read: what they hold is not seen here.
        """
        real = self.real(device)
        found = []
        for pid, name in self.processes():
            if pid == os.getpid() and str(self.root) == "/":
                continue
            folder = self.path(f"/proc/{pid}/fd")
            try:
                descriptors = list(folder.iterdir())
            except OSError:
                continue  # gone, or another user's
            links = {}
            for descriptor in descriptors:
                with contextlib.suppress(OSError):
                    links[descriptor.name] = str(descriptor.readlink())
            if real in links.values() and not self._serves(pid, links, real):
                found.append(Holder(pid, name, self._owner(pid)))
        return found

    def _serves(self, pid: int, links: Mapping[str, str], real: str) -> bool:
        """Whether a process is the other end of a pseudo-terminal: it has its master open, so it is no user of it."""
        number = real.removeprefix("/dev/pts/")
        return number != real and any(
            f"tty-index:\t{number}" in self.text(f"/proc/{pid}/fdinfo/{fd}").splitlines()
            for fd, target in links.items()
            if target.endswith("ptmx")
        )

    def _owner(self, pid: int) -> str:
        try:
            return _user_name(self.path(f"/proc/{pid}").stat().st_uid)
        except OSError:
            return ""

    def running(self, name: str) -> Holder | None:
        """Return a process of that name (its first 15 characters, as the kernel keeps them)."""
        return next(
            (Holder(pid, found, self._owner(pid)) for pid, found in self.processes() if found == name[:15]), None
        )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
