"""Following a live run by its files alone: what is written, and whether the supervisor is still there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.run import folder as places
from bench.run.events import BROKEN, RUN_END, normalise
from bench.run.liveness import alive
from bench.run.reader import Reader

INTERVAL: Final = 0.02
"""Seconds between two looks at the file."""
_LOOK_FOR_LIFE: Final = 0.5
"""Seconds of silence after which it is asked whether the supervisor lives."""
_RELEASE: Final = 5.0
"""Seconds the supervisor is given to end after run-end, so that the station is free when the run is seen to end."""
_CHUNK: Final = 1 << 16


class NeverBegan(BenchError):
    """The folder holds no journal and nobody writes one."""


def follow(
    folder: Path, *, stop: threading.Event | None = None, interval: float = INTERVAL
) -> Iterator[dict[str, Any]]:
    """Yield the events of a run from the first on and then as they come.

    Ends with ``run-end`` (yielded once the supervisor has released everything), with ``broken`` when the supervisor is
    gone without one, or when ``stop`` is set. A finished run is read to its end at once. Raises NeverBegan, and
    BenchError when the journal cannot be read.
    """
    stop = stop or threading.Event()
    path = folder / places.JOURNAL
    fd = _open(path, folder, stop, interval)
    if fd < 0:
        return
    try:
        reader = Reader()
        dead, next_look = False, 0.0
        while not stop.is_set():
            if not dead and time.monotonic() >= next_look:
                # Before the read: what the supervisor wrote before its death is not missed.
                dead = not alive(folder)
                next_look = time.monotonic() + _LOOK_FOR_LIFE
            data = _read(fd, reader)
            if not data:
                if dead:
                    yield _broken(reader)
                    return
                stop.wait(interval)
                continue
            for event in reader.feed(data):
                if event["type"] == RUN_END:
                    _wait_released(folder, stop, interval)
                    yield event
                    return
                yield event
    finally:
        os.close(fd)


def _open(path: Path, folder: Path, stop: threading.Event, interval: float) -> int:
    """Open the journal, waiting for it as long as the supervisor lives; -1 when told to stop."""
    while True:
        was_alive = alive(folder)
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if not was_alive:
                raise NeverBegan(
                    "this is no run folder, or its run never began", where=str(folder), hint="bench runs lists them"
                ) from None
        except OSError as error:
            raise BenchError(f"the journal cannot be read: {error.strerror}", where=str(path)) from error
        if stop.wait(interval):
            return -1


def _read(fd: int, reader: Reader) -> bytes:
    position = reader.offset + reader.pending
    data = os.pread(fd, _CHUNK, position)
    if not data and reader.pending and os.fstat(fd).st_size < position:
        reader.drop_pending()  # the supervisor cut off what the dead runner left half written
        data = os.pread(fd, _CHUNK, reader.offset)
    return data


def _wait_released(folder: Path, stop: threading.Event, interval: float) -> None:
    until = time.monotonic() + _RELEASE
    while alive(folder) and time.monotonic() < until:
        if stop.wait(min(interval, 0.005)):
            return


def _broken(reader: Reader) -> dict[str, Any]:
    what = "the record breaks off: supervisor and runner are gone"
    if reader.pending:
        what += f"; the last line is torn ({reader.pending} bytes)"
    hint = "the station counts as unsafe until it was made safe: bench safe"
    event = normalise({"type": BROKEN, "data": {"what": what, "hint": hint, "torn": reader.pending}})
    assert event is not None
    return event
