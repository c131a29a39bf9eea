"""From what was imported to a scenario: conditions with the line they come from, and the signature of the failure.

Our own run folders tell their conditions. Of everybody else's logs they are inferred: each is a suspicion
(``sure = false``) with its evidence, which reproduction and minimising confirm or drop.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.reproduce.conditions import KINDS, START, Condition, Moment
from bench.reproduce.course import Call, Course
from bench.reproduce.imported import Happening, Imported, Source
from bench.reproduce.importing import plain
from bench.reproduce.scenario import Case, Scenario
from bench.reproduce.signature import Expected, Signature

_NO_CASE: Final = Case()
RECIPE: Final = "bootstrap-to-operational"
_NATURE: Final = frozenset((
    "modem", "rat", "network", "network_cells", "supply", "card_at", "readers", "ipa", "ipa_option", "firmware", "polls",  # noqa: E501
    "poll_interval", "console", "clock", "profile", "constants", "fixed", "station", "seed", "observe", "card_protocol",
    "card_preload", "imei", "eid", "pace", "subscriber",
))  # fmt: skip
"""Options that say what the world is; every other one is a condition."""
_WEAK: Final = -110.0
"""dBm of RSRP from which on a signal is suspected."""
_LOW: Final = 3.3
"""Volts of a supply from which on it is suspected."""
_NO_COURSE: Final = ("sim", "nas", "registration", "rsrq", "amperes")


def derive(imported: Imported, *, title: str = "", case: Case = _NO_CASE) -> Scenario:
    """Return the scenario of a case. Never raises: what nothing is known of is left at its default."""
    files = tuple(source.name for source in imported.sources)
    case = Case(case.owner, case.notes, case.delete_after, files)
    own = next((source for source in imported.sources if source.course is not None and source.order), None)
    if own is not None and own.course is not None and own.order is not None:
        return _of_run(own, own.course, own.order, title, case, imported.facts)
    calls = imported.calls
    failing = _failing(calls)
    return Scenario(
        title=title or f"Imported from {', '.join(files)}"[:120],
        recipe=RECIPE,
        signature=Signature("any" if failing else "fail", "", "", failing),
        conditions=tuple(suspicions(imported, calls)),
        device=imported.facts,
        case=case,
        summary="Conditions are suspicions from the logs: bench reproduce, then bench minimise.",
    )


def _of_run(
    source: Source, course: Course, order: Mapping[str, Any], title: str, case: Case, facts: Mapping[str, str]
) -> Scenario:
    world = order.get("world")
    options = dict(world) if isinstance(world, Mapping) else {}
    faults = options.pop("faults", [])
    conditions: list[Condition] = []
    for name, value in options.items():
        if name not in _NATURE and value is not None:
            conditions.append(Condition(f"world {name}", "world", {"set": {name: plain(value)}}, START, source.name))
    for number, fault in enumerate(faults if isinstance(faults, list) else (), 1):
        made = from_fault(fault, number, source.name) if isinstance(fault, Mapping) else None
        if made is not None:
            conditions.append(made)
        else:
            source.ignore(number, f"a condition that is not known: {str(fault)[:150]}")
    given, parameters = order.get("sources"), order.get("parameters")
    chosen = {
        name: plain(value)
        for name, value in (parameters.items() if isinstance(parameters, Mapping) else ())
        if isinstance(given, Mapping) and given.get(name) not in ("default", None) and value is not None
        and not str(given.get(name)).startswith("from")
    }  # fmt: skip
    seed = order.get("seed")
    return Scenario(
        title=title or f"Run {source.name}"[:120],
        recipe=str(order.get("recipe") or RECIPE),
        signature=signature_of(course),
        conditions=tuple(conditions),
        station=str(order.get("station") or "sim"),
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 1 << 32 else None,
        parameters=chosen,
        world={name: plain(value) for name, value in options.items() if name in _NATURE and value is not None},
        device={name: value for name, value in facts.items() if value},
        case=case,
        summary=f"{course.verdict} in {course.failed_step or 'no step'}: {course.message}"[:400],
    )


def from_fault(fault: Mapping[str, Any], number: int, source: str) -> Condition | None:
    """Return an entry of a simulated world's time line as a condition; None for one that this bench does not know."""
    do = str(fault.get("do"))
    if do not in KINDS:
        return None
    keys = (*KINDS[do].required, *KINDS[do].optional)
    figures = {name: plain(value) for name, value in fault.items() if name in keys and value is not None}
    at, after, apdu = fault.get("at", "now"), 0.0, 0
    more: dict[str, Any] = {}
    if at == "apdu":
        apdu = fault.get("n", 1)
        more = {name: str(fault[name]) for name in ("of", "phase", "ins") if name in fault and name not in keys}
    elif at == "log":
        like = fault.get("like")
        if fault.get("what") == "urc" and isinstance(like, Mapping) and set(like) == {"line"}:
            more["urc"] = str(like["line"])
        else:
            more |= {"log": str(fault.get("what", "")), "match": plain(dict(fault.get("match") or {})) or None}
        more["count"] = fault["n"] if isinstance(fault.get("n"), int) else 1
        after = fault.get("later", 0.0 if "delay" in keys else fault.get("delay", 0.0))
    elif at != "now":
        after = at
    pair: list[Any] = [tuple(item) if isinstance(item, list) else item for item in (after, apdu)]
    moment = Moment(step=str(fault.get("step", "")), apdu=pair[1], after=pair[0], **more)
    label = f"{do}-{number}"
    return Condition(label, do, figures, moment, source)


def signature_of(course: Course) -> Signature:
    """Return what a run's failure looks like: verdict, step, its words without figures, and the call that failed."""
    calls = [call for call in course.calls if course.failed_step and course.failed_step in call.step.split(",")]
    return Signature(course.verdict if course.verdict in ("fail", "pass", "inconclusive") else "any",
                     course.failed_step, words(course.message), _failing(calls)[-1:])  # fmt: skip


def words(message: str) -> str:
    """Return a message as a regular expression in which paths, figures and identities stand for any of their kind."""
    first = message.partition(" | ")[0][:160]
    parts = []
    for word in first.split():
        if any(character.isdigit() for character in word) or "/" in word or "@" in word:
            parts.append(r"\S+")
        else:
            parts.append(re.escape(word))
    while parts and parts[-1] == r"\S+":
        parts.pop()
    if len(first) == 160 and parts:
        parts.pop()
    return r"\s+".join(parts)


def _failing(calls: Sequence[Call]) -> tuple[Expected, ...]:
    """Return up to three calls that went wrong and say most, in the order in which they came first."""
    found: dict[tuple[str, str, str], int] = {}
    for number, call in enumerate(calls):
        if call.ok is False and call.result and call.result != "no answer" and not _usual(call):
            found.setdefault((call.lane.partition(":")[0], call.function, result_pattern(call.result)), number)
    ranked = sorted(found, key=lambda key: (_RANK.get(key[0], 9), found[key]))[:3]
    ranked.sort(key=lambda key: found[key])
    return tuple(Expected(function=function, lane=f"{lane}*", result=result) for lane, function, result in ranked)


_RANK: Final = {"apdu": 0, "sniff": 0, "esipa": 1, "es9plus": 1, "at": 2}


def _usual(call: Call) -> bool:
    """Whether a call fails in every good run: a channel that is closed, a command that a family does not know."""
    return bool(re.search(r"incorrect parameters|not supported|unknown|ERROR\Z", call.result)) or call.function in (
        "AT+CCHC=", "AT", "ATE0", "+CEREG", "+CREG", "+CGREG",
    )  # fmt: skip


def result_pattern(result: str) -> str:
    """Return a result with its identities left open."""
    return re.sub(r"[0-9A-Fa-f]{9,}", "*", result)[:120]


# --- suspicions -----------------------------------------------------------------------------------------------------


def suspicions(imported: Imported, calls: Sequence[Call]) -> list[Condition]:
    """Return what the logs of others make one suspect, each once, with its evidence."""
    found: dict[str, Condition] = {}
    weak: list[tuple[Source, Happening]] = []
    low: list[tuple[Source, Happening]] = []
    for source, item in imported.happenings:
        if item.what == "rsrp" and item.value is not None and item.value <= _WEAK:
            weak.append((source, item))
        elif item.what == "volts" and item.value is not None and 0.5 < item.value < _LOW:
            low.append((source, item))
        elif item.what not in _NO_COURSE:
            made = _suspicion(source, item, _moment(imported, calls, source, item))
            if made is not None:
                found.setdefault(f"{made.do} {made.figures}", made)
    for series, do, key in ((weak, "cell-power", "rsrp"), (low, "brown-out", "volts")):
        if series:
            source, item = min(series, key=lambda pair: pair[1].value or 0.0)
            figures: dict[str, Any] = {key: item.value}
            figures["seconds"] = _span(series)
            at = _moment(imported, calls, source, series[0][1])
            found[do] = _made(do, figures, source, item, at)
    return [
        Condition(f"{item.do}-{number}", item.do, item.figures, item.at, item.source, False, item.note)
        for number, item in enumerate(found.values(), 1)
    ]


def _span(series: Sequence[tuple[Source, Happening]]) -> float:
    times = [item.time for _, item in series if item.time is not None]
    return round(max(max(times) - min(times), 0.1), 3) if times else 1.0


def _suspicion(source: Source, item: Happening, at: Moment) -> Condition | None:
    match item.what:
        case "reject" if item.value is not None:
            return _made("reject", {"cause": int(item.value)}, source, item, at)
        case "card-error":
            return _made("card-remove", {}, source, item, at)
        case "status":
            return _made("card-status", {"sw": item.text}, source, item, at)
        case "under-voltage":
            return _made("brown-out", {"volts": 2.6, "seconds": 0.5}, source, item, at)
        case "port-gone":
            return _made("port-gone", {"seconds": 10.0}, source, item, at)
        case "watchdog":
            return _made("modem-hang", {"until": "supply"}, source, item, at)
        case "tls":
            return _made("smdpp-misbehave", {"name": "expired-certificate", "count": 0}, source, item, START)
        case "dtls":
            return _made("nat-forget", {}, source, item, at)
        case "counter":
            figures = {"name": "wrong-counter", "count": 0, "parameters": {"counter": "replay"}}
            return _made("eim-misbehave", figures, source, item, at)
        case "unreachable":
            return _made("link-block", {}, source, item, at)
        case "restart" if at.step:
            return _made("power-cut", {"seconds": 1.0}, source, item, at)
        case _:
            return None


def _made(do: str, figures: Mapping[str, Any], source: Source, item: Happening, at: Moment) -> Condition:
    return Condition(do, do, figures, at, f"{source.name}:{item.line}", False, item.text[:120])


def _moment(imported: Imported, calls: Sequence[Call], source: Source, item: Happening) -> Moment:
    """Return the step of the main job in which something happened, by the functions around it on the card."""
    ours = [packet for packet in source.packets if packet.number <= item.line]
    if ours:
        from bench.trace.calls import exchanges

        done = [made.function for made in exchanges(ours, relayed=True)]
    elif item.time is not None:
        begin = min((call.t for call in calls), default=0.0)
        done = [call.function for call in calls if begin + call.t <= source.common(item.time)]
    else:
        return START
    if any(name.startswith("LoadEuiccPackage") for name in done):
        return Moment(step="switch*")
    if any(name.startswith(("LoadBoundProfilePackage", "AuthenticateServer", "PrepareDownload")) for name in done):
        return Moment(step="download*")
    return START


def delete_after(days: int, today: datetime.date) -> datetime.date:
    """Return the day from which on a case must be gone."""
    return today + datetime.timedelta(days=days)
