"""Recorded commands sent to a card again, and its answers compared with the recorded ones (mode A).

A plan says of every recorded command whether it reads, changes something, or cannot be repeated, before anything is
sent. What changes something is left out unless it is asked for. Answers are compared by paths of tags: status word,
then structure, then values; fields that differ every time (bench.trace.volatile) are counted, not shown as a fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.rsp import names, tlv
from bench.rsp.errors import DecodeError
from bench.trace.card_commands import GET_RESPONSE, MANAGE_CHANNEL, SELECT, STORE_DATA, CardCommand
from bench.trace.decode import INSTRUCTIONS, apdu_command, status_word
from bench.trace.decode_rsp import es10
from bench.trace.volatile import FieldClass, in_list, right_length, volatile

READ: Final = "read"
DESTRUCTIVE: Final = "destructive"
UNREPEATABLE: Final = "unrepeatable"
TERMINAL: Final = "terminal"

_READING_FUNCTIONS: Final = frozenset(
    (0xBF20, 0xBF22, 0xBF28, 0xBF2B, 0xBF2D, 0xBF2E, 0xBF3C, 0xBF3E, 0xBF43, 0xBF55, 0xBF56, 0xBF5F)
)
_SIGNED_FUNCTIONS: Final = frozenset((0xBF38, 0xBF21, 0xBF36, 0xBF23, 0x86, 0x87, 0x88, 0xA0, 0xA1, 0xA2, 0xA3, 0xBF41))
"""A download: the signatures are over challenges of that session."""
_READING_INSTRUCTIONS: Final = frozenset((SELECT, 0xB0, 0xB2, 0xF2, 0xCA, 0xCB, 0x84, 0x78, 0xA2))
_GET_CHALLENGE: Final = 0x84
_TERMINAL_INSTRUCTIONS: Final = frozenset((0x10, 0x12, 0x14, 0xC2, 0xAA))
"""TERMINAL PROFILE, FETCH, TERMINAL RESPONSE, ENVELOPE, TERMINAL CAPABILITY: the reader's driver has its own."""

STATUS: Final = "status word"
STRUCTURE: Final = "structure"
VALUE: Final = "value"
CHANGED_STATE: Final = "state"
VOLATILE: Final = "volatile"
LEVELS: Final = (STATUS, STRUCTURE, VALUE, CHANGED_STATE, VOLATILE)
"""In the order of their weight. The state of the card may be another one: that is told, and is no fault."""


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded command of the plan."""

    exchange: CardCommand
    kind: str
    name: str
    reason: str = ""
    """Why it is not sent, empty when it is."""

    @property
    def sent(self) -> bool:
        """Whether the plan sends it."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between the recorded and the new answer."""

    level: str
    path: str
    """Tags from the outermost: ``/BF2E/80``; a number counts siblings of one tag: ``/BF2D/A0/E3[1]/5A``."""
    recorded: str
    found: str
    why: str = ""
    """Of a volatile one: what makes it differ."""


@dataclass(slots=True)
class Compared:
    """A command that was sent again."""

    step: Step
    differences: list[Difference] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing differs but volatile fields and the card's state."""
        return all(difference.level in (VOLATILE, CHANGED_STATE) for difference in self.differences)


# --- the plan --------------------------------------------------------------------------------------------------------


def plan(recorded: Iterable[CardCommand], *, allow_destructive: bool = False) -> list[Step]:
    """Return what to do with every recorded command, in order. Channels and GET RESPONSE are the carrier's own."""
    steps = []
    for exchange in recorded:
        if exchange.ins in (MANAGE_CHANNEL, GET_RESPONSE):
            continue
        kind, name = classify(exchange)
        reason = {
            READ: "",
            DESTRUCTIVE: "" if allow_destructive else "changes the card: --allow-destructive sends it",
            UNREPEATABLE: "" if allow_destructive else "signed for that session: no card takes it again",
            TERMINAL: "the driver of the reader speaks for the terminal",
        }[kind]
        if not exchange.status_word:
            reason = "the recording has no answer to it"
        steps.append(Step(exchange, kind, name, reason))
    return steps


def classify(exchange: CardCommand) -> tuple[str, str]:
    """Return kind and name of a command."""
    if exchange.ins == STORE_DATA:
        name = names.function(exchange.tag) or es10(exchange.data, answer=False) or f"STORE DATA {exchange.tag:X}"
        if exchange.tag in _READING_FUNCTIONS:
            return READ, name
        return UNREPEATABLE if exchange.tag in _SIGNED_FUNCTIONS else DESTRUCTIVE, name
    name = apdu_command(exchange.blocks[0] if exchange.blocks else b"")
    if exchange.ins in _READING_INSTRUCTIONS and exchange.ins in INSTRUCTIONS:
        return READ, name
    return TERMINAL if exchange.ins in _TERMINAL_INSTRUCTIONS else DESTRUCTIVE, name


@dataclass(frozen=True, slots=True)
class Group:
    """Steps that go to one application, in order: each APDU is one command, of a step all but the last have no data."""

    aid: bytes
    steps: tuple[Step, ...]

    @property
    def apdus(self) -> list[bytes]:
        """What is sent, class byte as on the basic channel; without the SELECT of the application itself."""
        return [block for step in self.steps for block in step.exchange.blocks]


def groups(steps: Sequence[Step]) -> Iterator[Group]:
    """Yield what is to be sent, application by application, as the recording had them selected.

    SELECT by AID on a logical channel opens a group; on the basic channel, where the terminal's files are, it is a
    command like others.
    """
    current: list[Step] = []
    aid = b""
    for step in steps:
        if not step.sent:
            continue
        exchange = step.exchange
        opens = exchange.ins == SELECT and exchange.p1 == 0x04 and exchange.channel != 0
        if opens or exchange.aid != aid:
            if current:
                yield Group(aid, tuple(current))
            current = []
            aid = exchange.data if opens else exchange.aid
        if not opens:
            current.append(step)
    if current:
        yield Group(aid, tuple(current))


# --- comparing -------------------------------------------------------------------------------------------------------


def compare(step: Step, data: bytes, word: int) -> Compared:
    """Compare a new answer with the recorded one. Never raises on any bytes."""
    exchange = step.exchange
    if word != exchange.status_word:
        return Compared(step, [Difference(STATUS, "", status_word(exchange.status_word), status_word(word))])
    one, two = paths(exchange.answer), paths(data)
    found = []
    for path in dict.fromkeys((*one, *two)):
        tags = _tags(path)
        a, b = one.get(path), two.get(path)
        if a == b:
            continue
        kind = volatile(tags) or (FieldClass.RANDOM if exchange.ins == _GET_CHALLENGE else None)
        why = kind.value if kind is not None else ""
        if in_list(tags) and (a is None or b is None):
            level, why = CHANGED_STATE, "the list has other entries"
        elif a is None or b is None:
            level = STRUCTURE
        else:
            level = VOLATILE if why and right_length(tags, b) else VALUE
            level = CHANGED_STATE if level == VOLATILE and kind is FieldClass.STATE else level
        found.append(Difference(level, path, "-" if a is None else _shown(a), "-" if b is None else _shown(b), why))
    found.sort(key=lambda difference: LEVELS.index(difference.level))
    return Compared(step, found)


def paths(data: bytes) -> dict[str, bytes]:
    """Return the primitive values of TLVs by their paths; what is no TLV has the path ``/``. Never raises."""
    found: dict[str, bytes] = {}
    try:
        parsed = tlv.parse(data)
        _walk(parsed, "", found)
    except (DecodeError, RecursionError):
        return {"/": data}
    return found


def _walk(siblings: Sequence[tlv.Tlv], path: str, found: dict[str, bytes]) -> None:
    seen: dict[int, int] = {}
    for each in siblings:
        count = seen.get(each.tag, 0)
        seen[each.tag] = count + 1
        here = f"{path}/{each.tag:X}" + (f"[{count}]" if count else "")
        children = each.children() if each.constructed else []
        if children:
            _walk(children, here, found)
        else:
            found[here] = each.value


def _tags(path: str) -> tuple[int, ...]:
    return tuple(int(part.partition("[")[0], 16) for part in path.split("/") if part)


def _shown(value: bytes) -> str:
    text = value.hex()
    return text if len(text) <= 64 else f"{text[:60]}… ({len(value)} bytes)"


def answers(group: Group, received: Sequence[Mapping[str, str]]) -> Iterator[Compared]:
    """Compare what came back for a group: one answer (``data`` and ``sw``, hexadecimal) for each of its APDUs."""
    at = 0
    for step in group.steps:
        count = len(step.exchange.blocks)
        mine = received[at : at + count]
        at += count
        if len(mine) < count:
            return
        refused = next((item for item in mine[:-1] if item["sw"] != "9000"), mine[-1])
        yield compare(step, bytes.fromhex(refused["data"]), int(refused["sw"], 16))
