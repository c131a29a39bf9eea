"""Stations kept for somebody: ``bench stations reserve``. Owner, until when, a note; whoever else begins a run is told.

A reservation is a file beside the locks, one a station, shared by all users of the host; it is courtesy, not defence:
``bench safe`` and looking are always allowed. The owner is $BENCH_OWNER where several people use one account, else the
user. It ends by itself.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from bench.errors import BenchError, ConfigurationError, StationHeld
from bench.station import locks

_LIMIT: Final = 16384
_WITHIN: Final = 2.0
"""Real seconds for which another program's change of the same reservation is waited for; it takes none to speak of."""
_AGAIN: Final = 0.01
_DURATION: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>m|min|h|d)")
_SECONDS: Final = {"m": 60, "min": 60, "h": 3600, "d": 86400}
LONGEST: Final = datetime.timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Who keeps a station."""

    station: str
    owner: str
    until: str
    """UTC, ISO 8601 to the second."""
    note: str = ""
    since: str = ""

    @property
    def end(self) -> datetime.datetime:
        """Return the moment at which it ends. Raises ValueError for a file that somebody wrote by hand."""
        end = datetime.datetime.fromisoformat(self.until)
        return end if end.tzinfo is not None else end.replace(tzinfo=datetime.UTC)

    def __str__(self) -> str:
        local = self.end.astimezone().strftime("%Y-%m-%d %H:%M")
        return f"{self.owner} until {local}" + (f": {self.note}" if self.note else "")


def owner(environment: Mapping[str, str] | None = None) -> str:
    """Return who the person at this terminal is: $BENCH_OWNER, else the user."""
    environment = os.environ if environment is None else environment
    return environment.get("BENCH_OWNER", "").strip() or locks.Owner.me().user


def until(text: str, *, now: datetime.datetime | None = None) -> datetime.datetime:
    """Read ``4h``, ``30min``, ``2d``, ``18:00`` (local time, the next one) or an ISO 8601 time.

    Raises ConfigurationError for what is none of them, is over already, or is more than 31 days away.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    given = text.strip()
    duration = _DURATION.fullmatch(given)
    try:
        if duration is not None:
            end = now + datetime.timedelta(seconds=float(duration["number"]) * _SECONDS[duration["unit"]])
        elif re.fullmatch(r"\d{1,2}:\d{2}", given):
            hour, minute = map(int, given.split(":"))
            end = now.astimezone().replace(hour=hour, minute=minute, second=0, microsecond=0)
            end += datetime.timedelta(days=1) if end <= now else datetime.timedelta(0)
        else:
            end = datetime.datetime.fromisoformat(given).astimezone()
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"'{text}' is no time", where="--until", hint="4h, 30min, 2d, 18:00 or 2026-12-01T18:00"
        ) from None
    if end <= now:
        raise ConfigurationError(
            f"{end:%Y-%m-%d %H:%M} is over already",
            where="--until",
            hint="give a time that is still to come, such as 4h",
        )
    if end - now > LONGEST:
        raise ConfigurationError(
            f"{text} is more than {LONGEST.days} days", where="--until", hint="reserve it again then"
        )
    return end.astimezone(datetime.UTC)


def _what(station_key: str) -> str:
    return f"reservation of {station_key}"


def get(station_key: str, *, now: datetime.datetime | None = None) -> Reservation | None:
    """Return the reservation of a station (named as its lock) that is in force. Never raises."""
    try:
        fd = os.open(locks._path(_what(station_key)), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, BenchError):
        return None
    try:
        return _read(fd, now)
    finally:
        os.close(fd)


def _read(fd: int, now: datetime.datetime | None) -> Reservation | None:
    try:
        told = json.loads(os.pread(fd, _LIMIT, 0))
        found = Reservation(*(str(told[name]) for name in ("station", "owner", "until", "note", "since")))
        return found if found.end > (now or datetime.datetime.now(datetime.UTC)) else None
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def reserve(
    station_key: str, station: str, *, until: datetime.datetime, note: str = "", by: str | None = None
) -> Reservation:
    """Keep a station for ``by`` (default: ``owner()``) until a moment; one's own reservation is changed.

    Raises StationHeld when it is somebody else's.
    """
    me = by or owner()
    since = datetime.datetime.now(datetime.UTC)
    made = Reservation(
        station,
        me,
        until.isoformat(timespec="seconds"),
        " ".join(note.split())[:500],
        since.isoformat(timespec="seconds"),
    )
    with _held(station_key) as fd:
        _refuse(_read(fd, None), me, station)
        text = json.dumps(asdict(made), ensure_ascii=False).encode()
        os.pwrite(fd, text, 0)
        os.ftruncate(fd, len(text))
    return made


def release(station_key: str, station: str, *, by: str | None = None, force: bool = False) -> Reservation | None:
    """End a reservation; returns it, None when there was none. Raises StationHeld when it is somebody else's.

    ``force``: also somebody else's.
    """
    with _held(station_key) as fd:
        found = _read(fd, None)
        if not force:
            _refuse(found, by or owner(), station)
        os.ftruncate(fd, 0)
    return found


def require(station_key: str, station: str, *, by: str | None = None) -> None:
    """Raise StationHeld, with owner and note, when the station is kept for somebody else."""
    _refuse(get(station_key), by or owner(), station)


def _refuse(found: Reservation | None, me: str, station: str) -> None:
    if found is not None and found.owner != me:
        raise StationHeld(
            f"station {station} is reserved for {found}",
            where=f"you are {me}",
            hint=f"ask {found.owner}, use another station, or set BENCH_OWNER if that is you",
        )


@contextlib.contextmanager
def _held(station_key: str) -> Iterator[int]:
    """Open the file of a reservation for changing it alone, within ``_WITHIN`` real seconds. Raises BenchError."""
    path = locks._path(_what(station_key))
    try:
        fd = locks._open(path)
    except OSError as error:
        raise BenchError(
            f"the reservation cannot be written: {error.strerror}",
            where=str(path),
            hint=f"every user must be able to write {locks.folder()}: remove the file, or see its permissions",
        ) from error
    try:
        _lock(fd, str(path))
        yield fd
    finally:
        os.close(fd)


def _lock(fd: int, where: str) -> None:
    end = time.monotonic() + _WITHIN
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise BenchError(
                    f"another program keeps the file of a reservation for more than {_WITHIN:g} s",
                    where=where,
                    hint=f"a bench command that was stopped in the middle? sudo fuser -v {where} names it",
                ) from None
            time.sleep(_AGAIN)
        except OSError as error:
            raise BenchError(
                f"the reservation cannot be written: {error.strerror}",
                where=where,
                hint="does its file system know flock (NFS may not)? set BENCH_LOCKS to a local folder",
            ) from error
        else:
            return
