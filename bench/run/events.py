"""Journal events: one JSON object a line, and what each type carries.

``seq`` counts from 1 without gaps, whoever writes. ``boot`` and ``mono_ns`` (host's monotonic clock) order events
across processes of one boot and give true intervals; ``wall`` is UTC, ISO 8601 with microseconds; ``t`` is station
time in seconds, null before the station's clock is known. ``step`` is the path of the step, names joined with ``/``.

=================  =====================================================================================================
type               data
=================  =====================================================================================================
run-start          schema, run, recipe, title, station, simulated, parameters, seed, by
station            instruments, bearer, clock: what was opened
identity           name, value, source
service-start      name, pid, announcement
service-stop       name, exit_code
service-external   name, adapter, announcement: the lab's own eIM or SM-DP+
lane-missing       lane, why: what this set-up cannot record
step-start         title, timeout
step-end           verdict, elapsed (station time), message
measurement        name, value, unit, lower, upper, verdict, source
call               call, answer or raised or opaque, used: what a recipe was told, so that it can be led back (soaks)
verdict            device or bench, reason: written when it is decided
card               at (reader or modem), before: a SIM switch has wired the card there
observation        name, source, values, text, elapsed: what the device was seen to do, and by whom
reprogramming      what, elapsed (station time), complete: an emulator was re-programmed, not charged to the device
note               text
result             name, value: what a command asked for, such as the description of a card
log                text, level, source (print, logging, warnings)
trip-cleared       instrument, cause: the bench has cleared a protection's trip, the output is off
foreign-change     instrument, what: somebody else has changed what the run had programmed
hold               what, until: something is kept as it is for a person
ask, answer        id, text, choices, timeout; id, choice, by
observation-loss   lane or service, count
control            op (stop, safe, signal ...), by, reason
safe               name, verified, reading, message, by (runner, supervisor, client)
error              what, where, hint, and stack when there is one
run-end            device, bench, exit_code, summary, elapsed, by
=================  =====================================================================================================
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

SCHEMA: Final = 1
"""Of journal and run.json, written into both."""

Event = Mapping[str, Any]

RUN_START: Final = "run-start"
STATION: Final = "station"
IDENTITY: Final = "identity"
SERVICE_START: Final = "service-start"
SERVICE_STOP: Final = "service-stop"
SERVICE_EXTERNAL: Final = "service-external"
LANE_MISSING: Final = "lane-missing"
STEP_START: Final = "step-start"
STEP_END: Final = "step-end"
MEASUREMENT: Final = "measurement"
CALL: Final = "call"
VERDICT: Final = "verdict"
CARD: Final = "card"
OBSERVATION: Final = "observation"
REPROGRAMMING: Final = "reprogramming"
NOTE: Final = "note"
RESULT: Final = "result"
LOG: Final = "log"
TRIP_CLEARED: Final = "trip-cleared"
FOREIGN_CHANGE: Final = "foreign-change"
HOLD: Final = "hold"
ASK: Final = "ask"
ANSWER: Final = "answer"
OBSERVATION_LOSS: Final = "observation-loss"
CONTROL: Final = "control"
SAFE: Final = "safe"
ERROR: Final = "error"
RUN_END: Final = "run-end"

TORN: Final = "torn"
"""Made by the reader, never written: the last line was cut off in the writing (``offset``, ``length``)."""
UNREADABLE: Final = "unreadable"
"""Made by the reader: a whole line that is no event (``offset``, ``length``)."""
BROKEN: Final = "broken"
"""Made by the follower: the supervisor is gone and there is no run-end (``what``, ``hint``)."""

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
UPGRADES: Final[dict[int, Upgrade]] = {}
"""From schema n to n + 1: what a change of the schema adds here, so that every earlier journal stays readable."""


def boot_id() -> str:
    """Return the id of this boot of the host: monotonic times of different boots cannot be compared."""
    try:
        fd = os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 64).decode("ascii", "replace").strip()
    finally:
        os.close(fd)


def wall_text(ns: int) -> str:
    """Return wall time in ns since 1970 as ISO 8601 UTC with microseconds."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06d}Z"


def normalise(raw: Any, *, schema: int = SCHEMA, upgrades: Mapping[int, Upgrade] = UPGRADES) -> dict[str, Any] | None:
    """Return an event with every key of the present schema and of the right type, None for what is no event.

    Unknown keys and types are kept: a later version may have written them.
    """
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        return None
    event = dict(raw)
    while schema < SCHEMA:
        upgrade = upgrades.get(schema)
        if upgrade is not None:
            event = upgrade(event)
        schema += 1
    for key, kind, default in (("seq", int, 0), ("mono_ns", int, 0), ("boot", str, ""), ("wall", str, "")):
        if not isinstance(event.get(key), kind) or isinstance(event[key], bool):
            event[key] = default
    event["t"] = _seconds(event.get("t"))
    if not isinstance(event.get("step"), str):
        event["step"] = ""
    if not isinstance(event.get("data"), dict):
        event["data"] = {} if event.get("data") is None else {"value": event["data"]}
    return event


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond every clock
        return None
