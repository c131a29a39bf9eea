"""What a run showed, at the level of decoded functions: steps with verdicts, calls with results, and nothing of bytes.

The course of a run is what a signature is held against, and what two runs of one failure are compared by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.run import folder as places
from bench.run import summary

if TYPE_CHECKING:
    from bench.trace.calls import Exchange
    from bench.trace.reader import Packet

LANES: Final = ("apdu", "sniff", "at", "esipa", "es9plus", "es2plus", "steps", "console", "log")
"""Kinds of lanes whose calls are looked at; what supply, link and emulator were asked says nothing of the device."""
NO_ANSWER: Final = "no answer"
"""Result of a call that nothing answered (``bench.trace.calls``)."""
_OWN_TROUBLE: Final = re.compile(r"runner was killed|announced nothing|ended by itself|did not begin|supervisor|disk")
_POLLED: Final = (
    "AT",
    "AT+CEREG?",
    "AT+CSQ",
    "AT+QCSQ",
    "AT+QNWINFO",
    "AT+CESQ",
    "AT+CGPADDR=",
    "AT+QENG=",
    "AT+COPS?",
)


@dataclass(frozen=True, slots=True)
class Call:
    """One function as it was called and answered. ``t``: seconds from the first packet."""

    lane: str
    function: str
    result: str
    ok: bool | None
    step: str = ""
    text: str = ""
    """Result and answer in words."""
    t: float = 0.0


@dataclass(frozen=True, slots=True)
class Course:
    """One run. ``usable``: the bench itself was well, so that it says something of the device."""

    verdict: str
    """Of the device: pass, fail, inconclusive."""
    bench: str = "pass"
    failed_step: str = ""
    """Path of the first step that did not pass, the innermost of it."""
    message: str = ""
    """What the run said of its failure."""
    calls: tuple[Call, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()
    """Path and verdict of each, in order of their start."""
    folder: str = ""
    identities: dict[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    """Conditions that did not come about: the run ended before their moment."""

    @property
    def usable(self) -> bool:
        """Whether the run says something of the device.

        A modem or card that does not answer ends a run as a bench-error too, in a step of the recipe: that is what the
        device did. What says nothing: services that did not start, a runner that was killed, a person who stopped it.
        """
        if self.verdict == "fail" or self.bench == "pass":
            return True
        return self.bench == "bench-error" and bool(self.failed_step) and not _OWN_TROUBLE.search(self.message)


def calls_of(packets: Iterable[Packet]) -> list[Call]:
    """Return the calls in the order of their start. Never raises on any bytes of a packet."""
    from bench.trace.calls import exchanges

    found = exchanges(packet for packet in packets if packet.lane.partition(":")[0] in LANES)
    # A relayed APDU has a call of its own, unless the modem refused it: then the command is all there is.
    told = (item for item in found if item.kind != "step" and (not item.relayed or item.ok is False))
    made = sorted(told, key=lambda item: item.first)
    if not made:
        return []
    begin = min(item.start_ns for item in made)
    return [call_of(item, begin) for item in made]


def call_of(made: Exchange, begin_ns: int = 0) -> Call:
    """Return one exchange as a call.

    A function of the card is one of lane ``apdu`` also where an AT log has it, inside +CGLA or +CSIM: that is where a
    run of the bench has it, which the call is compared with.
    """
    lane, _, name = made.lane.partition(":")
    if made.kind == "card" and lane == "at":
        lane = "apdu"
    request = made.request.decode("latin-1").strip() if made.kind in ("at", "urc") else ""
    text = " | ".join(part for part in (request, made.result, *made.lines, made.note) if part)
    where = f"{lane}:{name}" if name else lane
    return Call(where, made.function, made.result, made.ok, made.step, text, (made.start_ns - begin_ns) / 1e9)


def course_of(folder: Path) -> Course:
    """Read a run folder. Raises BenchError for one that is none."""
    from bench.trace.reader import read

    found = summary.result(folder)
    calls: list[Call] = []
    trace = folder / places.TRACE
    if trace.exists():
        calls = calls_of(read(trace))
    return made_course(found, calls, str(folder))


def made_course(found: dict[str, Any], calls: Sequence[Call], folder: str) -> Course:
    """Return the course of a run's summary and calls."""
    steps = [(str(step["path"]), str(step["verdict"])) for step in found["steps"]]
    failed = [path for path, verdict in steps if verdict not in ("pass", "skipped", "inconclusive")]
    first = ""
    if failed:  # the innermost of the first: a step fails with the one within it
        first = max((path for path in failed if path == failed[0] or path.startswith(f"{failed[0]}/")), key=len)
    messages = [str(step["message"]) for step in found["steps"] if step["path"] == first and step["message"]]
    message = " | ".join([*dict.fromkeys([*messages, *(str(error.get("what", "")) for error in found["errors"])])])
    return Course(
        verdict=str(found["device"]),
        bench=str(found["bench"]),
        failed_step=first,
        message=message or (str(found["summary"]) if found["verdict"] != "pass" else ""),
        calls=tuple(calls),
        steps=tuple(steps),
        folder=folder,
        identities=dict(found["identities"]),
    )


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two courses part first."""

    step: str
    text: str
    at: int
    """Number of the field's call."""


def parting(field_calls: Sequence[Call], run_calls: Sequence[Call]) -> Parting | None:
    """Return where a run's course leaves that of the field, None where it does not.

    Compared are function and result of what matters: polling and repetitions are left out, so that another pace is no
    divergence.
    """
    import difflib

    ours, theirs = _essential(field_calls), _essential(run_calls)
    keys = [[(_kind(call), call.function, _word(call)) for _, call in side] for side in (ours, theirs)]
    matcher = difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False)
    for kind, a0, a1, b0, b1 in matcher.get_opcodes():
        if kind == "equal":
            continue
        there = [call for _, call in ours[a0:a1]]
        here = [call for _, call in theirs[b0:b1]]
        if not there and all(call.ok is not False for call in here) and kind == "insert":
            continue  # the bench looks more closely than the field's log does
        number = ours[a0][0] if a0 < len(ours) else len(field_calls)
        if there:
            told_there = f"has {_told(there[0])}"
        else:  # what went well here is no divergence
            here = [call for call in here if call.ok is False]
            told_there = f"goes on with {_told(ours[a0][1])}" if a0 < len(ours) else "has nothing more"
        told_here = _told(here[0]) if here else "nothing of it"
        step = here[0].step if here else there[0].step if there else ""
        return Parting(step, f"the field {told_there}; here it is {told_here}", number)
    return None


def _essential(calls: Sequence[Call]) -> list[tuple[int, Call]]:
    kept: list[tuple[int, Call]] = []
    following: dict[tuple[str, str], Call] = {}
    waited: set[int] = set()
    for number in range(len(calls) - 1, -1, -1):  # asked again until it is answered, as of a modem that starts
        call = calls[number]
        after = following.get((call.lane, call.function))
        if call.ok is False and call.result in ("", NO_ANSWER) and after is not None and after.ok is not False:
            waited.add(number)
        else:
            following[call.lane, call.function] = call
    for number, call in enumerate(calls):
        if number in waited or (call.function in _POLLED and call.ok is not False):
            continue
        if kept and (kept[-1][1].function, kept[-1][1].result) == (call.function, call.result):
            continue
        kept.append((number, call))
    return kept


def _kind(call: Call) -> str:
    return call.lane.partition(":")[0]


def _word(call: Call) -> str:
    """Return what of a result is the same for two runs of one thing: no identities, no counts."""
    if call.ok is not False:
        return "ok"
    return " ".join(word for word in call.result.split() if not word.strip("(),.").isdigit() or len(word) < 5)[:80]


def _told(call: Call) -> str:
    return f"{call.function} with {call.result or NO_ANSWER}" + (f" in {call.step}" if call.step else "")
