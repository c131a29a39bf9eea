"""Packets to exchanges: what was asked and what came back, whatever the transport made of it.

On a card lane channels, STORE DATA chaining, GET RESPONSE, 6Cxx, 91xx and the segments of a Bound Profile Package
become one exchange a function (bench.trace.calls_card); on an AT lane a command with its lines and its final result,
and each unsolicited code (bench.trace.calls_line); on a SCPI lane a question with its answer; on ESipa, ES9+ and ES2+
a request with its answer; on the others each packet is one. State is kept by lane, so that a trace of any length is
decoded in bounded memory. Nothing raises on any bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from bench.trace.decode_rsp import es9plus as es9plus_line
from bench.trace.decode_rsp import esipa as esipa_line
from bench.trace.lane import Direction

if TYPE_CHECKING:
    from bench.trace.reader import Packet
    from bench.trace.tree import Field

RSP_LANES: Final = ("esipa", "es9plus", "es2plus")
_WAITING: Final = 64
"""Requests of one lane that may wait for their answers at the same time; the oldest is given up for a new one."""


@dataclass(slots=True)
class Exchange:
    """One function as it was called and answered."""

    lane: str
    kind: str
    """``card``, ``at``, ``urc``, ``scpi``, ``esipa``, ``es9plus``, ``es2plus``, ``step`` or ``packet``."""
    function: str
    """What was called: ``GetEuiccInfo1``, ``SELECT ISD-R``, ``READ BINARY EF.IMSI``, ``AT+CEREG?``, ``MEAS:VOLT?``."""
    start_ns: int
    """Wall clock of its first packet in ns since 1970."""
    end_ns: int
    """Of its last packet."""
    first: int
    """Number of its first packet."""
    last: int
    request: bytes = b""
    """What was sent, put together: the data of a chain, a whole Bound Profile Package, a body, a line."""
    answer: bytes | None = None
    """What came back, put together and without status word; None when no answer was seen."""
    header: bytes = b""
    """CLA INS P1 P2 of a card command as first sent."""
    status: int | None = None
    """Status word of a card; 6Cxx and 61xx that were followed are not seen here."""
    result: str = ""
    """In a word or two: ``9000 ok``, ``error euiccChallengeMismatch(6)``, ``OK``, ``no answer``."""
    ok: bool | None = None
    """Whether it went well; None when nothing tells."""
    packets: int = 1
    blocks: int = 1
    """STORE DATA blocks, or questions of one line."""
    sent: int = 0
    """Bytes on the wire towards the device or server, transport commands included."""
    received: int = 0
    channel: int = 0
    """Logical channel of a card."""
    file: str = ""
    """File or application that a card command worked on."""
    lines: list[str] = field(default_factory=list)
    """Lines of an AT answer without the final result."""
    step: str = ""
    """Steps that were open when it began, joined with a comma."""
    relayed: bool = False
    """An AT command that only carried an APDU, which has an exchange of its own."""
    note: str = ""
    """What the decoder has to say: a chain that broke off, an answer that came late."""

    @property
    def seconds(self) -> float:
        """Duration in seconds from the first packet to the last."""
        return (self.end_ns - self.start_ns) / 1e9

    def fields(self) -> tuple[Field, Field | None]:
        """Return request and answer as trees of named fields; no answer is None."""
        from bench.trace.calls_fields import fields_of

        return fields_of(self)


Emit = Callable[[Exchange], None]


class Tracker(Protocol):
    """Follows one lane."""

    def packet(self, packet: Packet) -> str:
        """Take one packet; return the function that it belongs to, empty when none is known."""

    def close(self) -> None:
        """Emit what is still open: the trace ends here."""


def _open_exchange(packet: Packet, kind: str, function: str) -> Exchange:
    return Exchange(packet.lane, kind, function, packet.time_ns, packet.time_ns, packet.number, packet.number)


class _Messages:
    """ESipa, ES9+ and ES2+: requests and their answers, several at the same time."""

    def __init__(self, kind: str, emit: Emit) -> None:
        self._kind = kind
        self._emit = emit
        self._waiting: list[Exchange] = []

    def packet(self, packet: Packet) -> str:
        answer = packet.direction == Direction.RECEIVED
        name = message_function(self._kind, packet.data, packet.comment, answer=answer)
        if not answer:
            made = _open_exchange(packet, self._kind, name or "request")
            made.request, made.sent = packet.data, len(packet.data)
            self._waiting.append(made)
            if len(self._waiting) > _WAITING:
                self._give_up(self._waiting.pop(0))
            return made.function
        # By name where the answer tells it; one that has none (204, a refusal) belongs to the request before it.
        fitting = [item for item in self._waiting if item.function == name] if name else self._waiting[-1:]
        if not fitting and name:
            fitting = [item for item in self._waiting if item.function == "request"]
        if not fitting:
            made = _open_exchange(packet, self._kind, name or "answer")
            made.note = "its request is not in the trace"
        else:
            # Two parties record one request: the inner one is answered first. Requests of others wait in their order.
            made = [item for item in fitting if item.request == fitting[0].request][-1]
            self._waiting = [item for item in self._waiting if item is not made]
            made.packets += 1
        made.answer, made.received = packet.data, len(packet.data)
        made.end_ns, made.last = packet.time_ns, packet.number
        made.result, made.ok = _outcome(self._kind, packet.data, packet.comment)
        self._emit(made)
        return made.function

    def _give_up(self, made: Exchange) -> None:
        # HandleNotification is answered by 204 without a body, which servers do not record.
        made.result, made.ok = (
            ("no answer seen", None) if made.function == "HandleNotification" else ("no answer", False)
        )
        self._emit(made)

    def close(self) -> None:
        for made in self._waiting:
            self._give_up(made)
        self._waiting.clear()


def message_function(kind: str, data: bytes, comment: str, *, answer: bool) -> str:
    """Return the function of a body of ESipa, ES9+ or ES2+; empty when neither body nor comment tells it.

    ``comment``: the one-liner in the trace, in which servers name the function of bodies that do not (HTTP paths).
    """
    told = (esipa_line if kind == "esipa" else es9plus_line)(data, answer=answer)
    for text in (told, comment):
        word, _, rest = text.partition(" ")
        named = word[:1].isalpha() and not word.startswith(("JSON", "request", "answer"))
        if named and rest.startswith(("request", "answer", "response")):
            return word[0].upper() + word[1:]
    return ""


def _outcome(kind: str, data: bytes, comment: str) -> tuple[str, bool | None]:
    told = (esipa_line if kind == "esipa" else es9plus_line)(data, answer=True)
    text = told.partition(": ")[2] if kind == "esipa" and data[:1] != b"{" else told.partition("answer ")[2]
    text = text or (told if not data else "")
    bad = text.startswith(("error", "Failed", "Expired", "no JSON")) or "error " in text[:40]
    if not data and comment:
        text, bad = comment, "error" in comment or "refus" in comment
    return text, not bad


class _Packets:
    """Lanes whose packets stand alone."""

    def __init__(self, kind: str, emit: Emit) -> None:
        self._kind = kind
        self._emit = emit

    def packet(self, packet: Packet) -> str:
        made = _open_exchange(packet, self._kind, packet.lane.partition(":")[0])
        if packet.direction == Direction.RECEIVED:
            made.answer, made.received = packet.data, len(packet.data)
        else:
            made.request, made.sent = packet.data, len(packet.data)
        made.result = packet.comment.partition("\n")[0]
        self._emit(made)
        return made.function

    def close(self) -> None:
        pass


class _Steps:
    """The lane ``steps``: each step from its start to its verdict; and what steps are open, for everyone else."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.open: dict[str, Exchange] = {}
        self.text = ""
        """The innermost of them, joined with a comma."""

    def _retell(self) -> None:
        self.text = ",".join(path for path in self.open if not any(other.startswith(f"{path}/") for other in self.open))

    def packet(self, packet: Packet) -> str:
        event = _object(packet.data)
        path = event.get("step")
        if not isinstance(path, str):
            made = _open_exchange(packet, "packet", "steps")
            made.request, made.result = packet.data, packet.comment.partition("\n")[0]
            self._emit(made)
            return "steps"
        if packet.direction != Direction.RECEIVED:
            made = _open_exchange(packet, "step", path)
            made.request = packet.data
            self.open[path] = made
            made.step = path
            self._retell()
            return path
        made = self.open.pop(path) if path in self.open else _open_exchange(packet, "step", path)
        self._retell()
        made.answer, made.end_ns, made.last = packet.data, packet.time_ns, packet.number
        made.packets += 1
        verdict = event.get("verdict")
        made.result = verdict if isinstance(verdict, str) else "ended"
        made.ok = made.result in ("pass", "ended", "skipped")
        self._emit(made)
        return path

    def close(self) -> None:
        for made in self.open.values():
            made.result, made.ok = "not ended", False
            self._emit(made)
        self.open.clear()


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class Exchanges:
    """Turns packets into exchanges, one packet at a time.

    ``relayed``: whether APDUs inside +CGLA and +CSIM make exchanges of their own; by default only as long as the trace
    has no card lane, since the bench records both.
    """

    def __init__(self, *, relayed: bool | None = None) -> None:
        self._relayed = relayed
        self._lanes: dict[str, Tracker] = {}
        self._ready: list[Exchange] = []
        self._steps = _Steps(self._ready.append)
        self._lanes["steps"] = self._steps
        self._card_lane = False

    @property
    def steps(self) -> str:
        """Paths of the innermost steps that are open now, joined with a comma."""
        return self._steps.text

    def function(self, packet: Packet) -> str:
        """Take one packet; return the function that it belongs to. What it completed is in ``take``."""
        lane = self._lanes.get(packet.lane)
        if lane is None:
            lane = self._lanes[packet.lane] = self._tracker(packet.lane)
        before = len(self._ready)
        step = self._steps.text
        function = lane.packet(packet)
        for made in self._ready[before:]:
            made.step = made.step or step
        return function

    def take(self) -> list[Exchange]:
        """Return and forget what has been completed since the last call."""
        if not self._ready:
            return []
        found = self._ready[:]
        self._ready.clear()  # the list itself is what the lanes append to
        return found

    def close(self) -> list[Exchange]:
        """Return what is still open, answered or not: the trace ends here."""
        step = self._steps.text
        for lane in self._lanes.values():
            lane.close()
        for made in self._ready:
            made.step = made.step or step
        return sorted(self.take(), key=lambda made: made.first)

    def _tracker(self, name: str) -> Tracker:
        kind = name.partition(":")[0]
        if kind in ("apdu", "sniff"):
            from bench.trace.calls_card import CardLane

            self._card_lane = True
            return CardLane(name, self._ready.append)
        if kind == "at":
            from bench.trace.calls_line import AtLane

            return AtLane(name, self._ready.append, self._unpacks)
        if kind == "scpi":
            from bench.trace.calls_line import ScpiLane

            return ScpiLane(self._ready.append)
        if kind in RSP_LANES:
            return _Messages(kind, self._ready.append)
        return _Packets("packet", self._ready.append)

    def _unpacks(self) -> bool:
        return self._relayed if self._relayed is not None else not self._card_lane


def exchanges(packets: Iterable[Packet], *, relayed: bool | None = None) -> Iterator[Exchange]:
    """Yield the exchanges of a trace in the order in which they end. ``relayed`` as for Exchanges."""
    made = Exchanges(relayed=relayed)
    for packet in packets:
        made.function(packet)
        yield from made.take()
    yield from made.close()
