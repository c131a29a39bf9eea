"""The run folder: names of its files, a new one, atomic writing, the manifest ``run.json``."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.run.events import SCHEMA

MANIFEST: Final = "run.json"
JOURNAL: Final = "journal.jsonl"
TRACE: Final = "trace.pcapng"
PLAN: Final = "safe-plan.json"
"""The safe sequence as the supervisor was given it; ``safe-done.json`` beside it when it was carried out."""
PLAN_DONE: Final = "safe-done.json"
RESULT: Final = "result.json"
JUNIT: Final = "junit.xml"
CONTROL: Final = "control"
"""Socket of the supervisor, or a link to it."""
SOURCE: Final = "recipe.py"
RUNNER_LOG: Final = "runner.log"
SUPERVISOR_LOG: Final = "supervisor.log"
STACK: Final = "runner.stack"
"""Where the runner writes its Python stack when it is asked by SIGUSR1, for the message that says where it hung."""

_SOCKET_PATH: Final = 100
"""Longest path of an AF_UNIX socket that is used as it is (the kernel takes 107 bytes)."""


def new_id(station: str) -> str:
    """Return a run id that sorts by time and is unique: UTC to the millisecond, the station, four random letters."""
    ns = time.time_ns()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(ns // 1_000_000_000))
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", station)[:24] or "station"
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    tail = "".join(letters[byte % len(letters)] for byte in os.urandom(4))
    return f"{stamp}-{ns // 1_000_000 % 1000:03d}-{name}-{tail}"


def create(runs: Path, station: str) -> Path:
    """Make a new run folder below ``runs``. Raises BenchError."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        while True:
            folder = runs / new_id(station)
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                sync_folder(runs)
                return folder
    except OSError as error:
        raise BenchError(
            f"no run folder can be made: {error.strerror}", where=str(runs), hint="--runs names another place"
        ) from error


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file so that it is whole at every moment, and on the disk on return. Raises OSError."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Hand the names in a folder to the disk: a file that is durable under no name is lost. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a JSON file atomically. Raises OSError."""
    text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
    write_atomic(path, text.encode("utf-8", "backslashreplace") + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file, an empty one when there is none or it cannot be read."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def manifest(folder: Path) -> dict[str, Any]:
    """Return ``run.json``. Raises BenchError when this is no run folder."""
    value = read_json(folder / MANIFEST)
    if not value and not (folder / JOURNAL).exists():
        raise BenchError("this is no run folder", where=str(folder), hint="bench runs lists them")
    return value


def write_manifest(folder: Path, value: Mapping[str, Any]) -> None:
    """Replace ``run.json``. Raises OSError."""
    write_json(folder / MANIFEST, {"schema": SCHEMA, **value})


def socket_path(folder: Path, name: str) -> Path:
    """Return where to bind the socket ``name`` of a run folder; a short place linked from the folder if need be.

    AF_UNIX paths are limited to 107 bytes. Raises OSError.
    """
    direct = folder / name
    if len(os.fsencode(direct)) <= _SOCKET_PATH:
        direct.unlink(missing_ok=True)
        return direct
    base = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"
    if len(os.fsencode(base)) > 40 or not os.access(base, os.W_OK):
        base = "/tmp"
    place = Path(base) / f"esim-bench-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o700)
    found = place.lstat()
    if found.st_uid != os.getuid() or not place.is_dir() or place.is_symlink():
        raise PermissionError(1, f"{place} belongs to somebody else")
    short = place / f"{os.urandom(4).hex()}-{name}"
    direct.unlink(missing_ok=True)
    direct.symlink_to(short)
    return short


def remove_socket(folder: Path, name: str) -> None:
    """Remove a socket and the link to it; what is gone is no error."""
    direct = folder / name
    with contextlib.suppress(OSError):
        if direct.is_symlink():
            direct.readlink().unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        direct.unlink(missing_ok=True)
