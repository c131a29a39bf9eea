"""Which exchange of one run is the counterpart of which of the other: calls by lane, without transport and polling."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.trace import decode_at, decode_scpi
from bench.trace.calls import Exchange, exchanges
from bench.trace.reader import Packet

LANES: Final = ("apdu", "esipa", "es9plus", "es2plus", "at", "scpi", "steps")
"""Kinds of lanes that are compared; console, radio, power, switches and raw IP differ in every run."""
_TRANSPORT: Final = frozenset(
    ("MANAGE CHANNEL open", "MANAGE CHANNEL close", "TERMINAL CAPABILITY", "TERMINAL PROFILE", "GET RESPONSE", "STATUS")
)
_WINDOW: Final = 400
"""Calls that are looked ahead for the place where both runs go on alike."""
_POLLS: Final = frozenset(
    (
        "AT",
        "AT+CSQ",
        "AT+CESQ",
        "AT+CPIN?",
        "AT+CSCON?",
        "AT+CGATT?",
        "AT+COPS?",
        "AT+CEREG?",
        "AT+CREG?",
        "AT+CGREG?",
        "AT+C5GREG?",
        "AT+CEER",
        "AT+CFUN?",
        "AT+QENG=",
        "AT+QNWINFO",
        "AT+QCSQ",
        "AT+CCLK?",
        "AT%XMONITOR",
        "AT+UCGED?",
        "AT#RFSTS",
        "AT#MONI",
        "AT+CCHC=",
        "ATQV",
    )
)
_QUIET_URCS: Final = frozenset(("+CSCON", "+QIND", "+QUSIM", "+CTZV", "+CTZE", "+CESQ", "%CESQ", "+CFUN", "+CPIN"))
_REGISTRATIONS: Final = frozenset(("+CEREG", "+CREG", "+CGREG", "+C5GREG"))
_UNSETTLED: Final = ("not registered(0)", "searching(2)", "unknown(4)")


@dataclass(slots=True)
class Call:
    """An exchange and what it is known by."""

    key: str
    made: Exchange


@dataclass(slots=True)
class Pair:
    """Counterparts; one side is None where there is none."""

    a: Exchange | None
    b: Exchange | None


def calls(packets: Iterable[Packet], lanes: Sequence[str]) -> tuple[dict[str, list[Call]], int]:
    """Return the calls of a trace by lane, and how many were left out as transport, polling or repetition."""
    wanted = frozenset(lanes or LANES)
    found: dict[str, list[Call]] = {}
    dropped = 0
    states: dict[str, str] = {}
    for made in exchanges(packets):
        if made.lane not in wanted and made.lane.partition(":")[0] not in wanted:
            continue
        key = _key(made, states)
        if key is None:
            dropped += 1
            continue
        found.setdefault(made.lane, []).append(Call(key, made))
    for line in found.values():
        line.sort(key=lambda call: call.made.first)
    return found, dropped


def _key(made: Exchange, states: dict[str, str]) -> str | None:
    """Return what a call is known by; None for one that is left out."""
    if made.kind == "card":
        return _card_key(made)
    if made.kind == "at":
        return _at_key(made)
    if made.kind == "urc":
        return _urc_key(made, states)
    if made.kind == "scpi":
        return _scpi_key(made, states)
    return made.function


def _card_key(made: Exchange) -> str | None:
    if made.function in _TRANSPORT:
        # A refusal tells something; silence is how a card without power looks to whoever tries it.
        return None if made.ok or made.result == "no answer" else made.function
    if made.function.startswith("FETCH") and "REFRESH" not in made.function:
        return None
    if made.function.startswith("TERMINAL RESPONSE") and made.ok:
        return None
    return made.function


def _at_key(made: Exchange) -> str | None:
    if made.relayed:
        return None
    polls = made.function in _POLLS or made.function.startswith(("ATQ", "ATV", "ATE"))
    if polls:
        # What a poll is answered differs with the moment; an error does not come and go like that.
        return None
    name, form, arguments = decode_at.head(decode_at.text_of(made.request))
    if form == "=" and name not in ("+CCHO",):
        return f"AT{name}={arguments}"
    return made.function


def _urc_key(made: Exchange, states: dict[str, str]) -> str | None:
    if made.function in _QUIET_URCS:
        return None
    if made.function not in _REGISTRATIONS:
        return made.function
    _, answer = made.fields()
    state = answer.find("stat") if answer is not None else None
    cause = answer.find("reject_cause") if answer is not None else None
    told = f"{state.text if state else ''} {cause.text if cause else ''}".strip()
    if told.endswith(_UNSETTLED) or states.get(made.lane + made.function) == told:
        return None
    states[made.lane + made.function] = told
    return made.function


def _scpi_key(made: Exchange, states: dict[str, str]) -> str | None:
    line = decode_scpi.text_of(made.request)
    if made.ok is False and made.result != "no answer":
        return made.function
    if decode_scpi.asks(line) or not line:
        return None
    if states.get(f"{made.lane} {made.function}") == line:
        return None
    states[f"{made.lane} {made.function}"] = line
    return made.function


def align(a: Sequence[Call], b: Sequence[Call]) -> list[Pair]:
    """Return counterparts in order: at a difference, the nearest place where both go on alike."""
    pairs: list[Pair] = []
    at, bt = 0, 0
    while at < len(a) or bt < len(b):
        if at < len(a) and bt < len(b) and a[at].key == b[bt].key:
            pairs.append(Pair(a[at].made, b[bt].made))
            at, bt = at + 1, bt + 1
            continue
        skip_a, skip_b = _resume(a, at, b, bt)
        pairs += [Pair(call.made, None) for call in a[at : at + skip_a]]
        pairs += [Pair(None, call.made) for call in b[bt : bt + skip_b]]
        at, bt = at + skip_a, bt + skip_b
    return pairs


def _resume(a: Sequence[Call], at: int, b: Sequence[Call], bt: int) -> tuple[int, int]:
    """Return how many calls of each are skipped before both go on alike, for two calls where there are two."""
    left, right = min(len(a) - at, _WINDOW), min(len(b) - bt, _WINDOW)
    places: dict[str, list[int]] = {}
    for offset in range(right):
        places.setdefault(b[bt + offset].key, []).append(offset)
    best: tuple[int, int, int] | None = None
    for offset in range(left):
        if best is not None and offset >= best[0]:
            break
        for other in places.get(a[at + offset].key, ()):
            total = offset + other
            if best is not None and total >= best[0]:
                break
            if _run(a, at + offset, b, bt + other):
                best = total, offset, other
                break
    if best is None:
        return left, right
    return best[1], best[2]


def _run(a: Sequence[Call], at: int, b: Sequence[Call], bt: int) -> bool:
    """Whether both go on alike from here for two calls, or to the end of one of them."""
    if at + 1 >= len(a) or bt + 1 >= len(b):
        return True
    return a[at + 1].key == b[bt + 1].key
