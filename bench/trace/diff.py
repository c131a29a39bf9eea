"""Two traces of the same thing, function by function: where they part first, and what of it means something.

What the transport and chance make different is taken out first: channels, blocks and GET RESPONSE by the exchanges, the
order of lanes by comparing each with its counterpart, polling by leaving it out; random values, counters and identities
by binding each value of one run to its counterpart in the other and holding every later place to it.

Levels, gravest first: result (status word, result code, verdict), structure (a call or field that only one has), value
(of a stable field), binding (a value is not what it was bound to); below them timing, then state and identity, which
come first only where nothing graver differs. Among the grave ones the first in time is the first divergence: what
follows is mostly its consequence.
"""

from __future__ import annotations

import bisect
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.trace.calls import Exchange
from bench.trace.diff_align import Pair, align, calls
from bench.trace.diff_rules import BOUND, BY_LENGTH, Item, items
from bench.trace.reader import Packet
from bench.trace.volatile import FieldClass

LEVELS: Final = ("result", "structure", "value", "binding", "timing", "state", "identity")
GRAVE: Final = frozenset(LEVELS[:4])
SLOW_FACTOR: Final = 3.0
"""An exchange is slow when it takes so many times as long as its counterpart,"""
SLOW_FLOOR: Final = 0.5
"""and at least so many seconds more."""


@dataclass(slots=True)
class Detail:
    """One difference in a pair of exchanges."""

    level: str
    path: str
    """Of the field: ``answer/euiccResult/enableResult``; empty for the exchange itself."""
    a: str
    b: str
    text: str
    """For people, with the names of both sides."""


@dataclass(slots=True)
class Divergence:
    """A pair of exchanges that differ, or one that has no counterpart."""

    level: str
    lane: str
    function: str
    a: Exchange | None
    b: Exchange | None
    details: list[Detail]
    """Gravest first."""
    when: int
    """In the time of run B, ns since 1970: where it is to be looked for."""

    @property
    def text(self) -> str:
        """The gravest of its details for people."""
        return self.details[0].text


@dataclass(slots=True)
class Timing:
    """Durations of one function in both runs, in seconds."""

    function: str
    count: int
    a_p50: float
    a_p95: float
    b_p50: float
    b_p95: float


@dataclass(slots=True)
class Diff:
    """What two traces differ in."""

    divergences: list[Divergence] = field(default_factory=list)
    """Grave ones first, in time; then timing, then state and identity, each in time."""
    volatile: Counter[str] = field(default_factory=Counter)
    """Differences that mean nothing, by the class of the field; and calls left out, as ``polling``."""
    timings: list[Timing] = field(default_factory=list)
    compared: int = 0
    """Pairs of exchanges."""
    fields: int = 0
    """Fields compared."""

    @property
    def first(self) -> Divergence | None:
        """Where the runs part first, None when they do not."""
        return self.divergences[0] if self.divergences else None

    @property
    def same(self) -> bool:
        """Whether nothing grave differs."""
        return not any(item.level in GRAVE for item in self.divergences)


class _Binder:
    """Values of run A bound to those of run B."""

    def __init__(self, exact: bool) -> None:
        self._exact = exact
        self._forward: dict[tuple[str, bytes], tuple[bytes, str]] = {}
        self._backward: dict[tuple[str, bytes], tuple[bytes, str]] = {}
        self._last: dict[str, tuple[int, int]] = {}

    def bind(self, a: Item, b: Item, where: str) -> Detail | None:
        """Bind two values, or hold them to what they are bound to; return what is wrong."""
        to_b = self._forward.get((a.group, a.raw))
        to_a = self._backward.get((b.group, b.raw))
        if to_b is None and to_a is None:
            self._forward[a.group, a.raw] = b.raw, where
            self._backward[b.group, b.raw] = a.raw, where
            return self._first_sight(a, b)
        if to_b is not None and to_b[0] == b.raw and to_a is not None:
            return None
        name = a.path.rpartition("/")[2]
        parts = []
        if to_b is not None:
            parts.append(f"A repeats the value of {to_b[1]}, B does not")
        if to_a is not None:
            parts.append(f"B repeats the value of {to_a[1]}, A does not")
        return Detail("binding", a.path, a.text, b.text, f"{name}: {'; '.join(parts)} (A {a.text}, B {b.text})")

    def _first_sight(self, a: Item, b: Item) -> Detail | None:
        name = a.path.rpartition("/")[2]
        if a.kind is FieldClass.IDENTITY and a.raw != b.raw:
            level = "value" if self._exact else "identity"
            return Detail(level, a.path, a.text, b.text, f"{name} is {a.text} in A and {b.text} in B")
        if a.kind in (FieldClass.RANDOM, FieldClass.EPHEMERAL) and len(a.raw) != len(b.raw):
            return Detail("structure", a.path, a.text, b.text, f"{name}: {len(a.raw)} bytes in A, {len(b.raw)} in B")
        if a.kind is FieldClass.EPHEMERAL and a.raw[:1] != b.raw[:1]:
            return Detail("value", a.path, a.text, b.text, f"{name}: another form of point in B")
        if a.kind is FieldClass.COUNTER and len(a.raw) <= 8 and len(b.raw) <= 8:
            now = int.from_bytes(a.raw, "big", signed=True), int.from_bytes(b.raw, "big", signed=True)
            before = self._last.get(a.group)
            self._last[a.group] = now
            if before is not None and (now[0] > before[0]) != (now[1] > before[1]):
                return Detail(
                    "binding",
                    a.path,
                    a.text,
                    b.text,
                    f"{name}: goes from {before[0]} to {now[0]} in A and from {before[1]} to {now[1]} in B",
                )
        return None


_RANK: Final = {level: at for at, level in enumerate(LEVELS)}
_TIER: Final = {level: 0 if level in GRAVE else 1 if level == "timing" else 2 for level in LEVELS}


def _outcome(made: Exchange) -> str:
    return made.result or "no answer"


class _Comparison:
    def __init__(self, exact: bool) -> None:
        self.found = Diff()
        self._binder = _Binder(exact)
        self._durations: dict[str, list[tuple[float, float]]] = {}
        self._told: set[tuple[str, bytes]] = set()

    def pair(self, a: Exchange, b: Exchange) -> Divergence | None:
        """Compare two counterparts."""
        self.found.compared += 1
        self._durations.setdefault(b.function, []).append((a.seconds, b.seconds))
        details = self._result(a, b)
        details += self._fields(a, b)
        slow = b.seconds - a.seconds
        if slow > SLOW_FLOOR and b.seconds > SLOW_FACTOR * a.seconds and b.kind != "step":
            details.append(
                Detail(
                    "timing",
                    "",
                    f"{a.seconds:.3f} s",
                    f"{b.seconds:.3f} s",
                    f"took {a.seconds:.3f} s in A, {b.seconds:.3f} s in B",
                )
            )
        if not details:
            return None
        details.sort(key=lambda detail: _RANK[detail.level])
        first = details[0]
        early = first.level != "result" and first.path.startswith("request/")
        return Divergence(first.level, b.lane, b.function, a, b, details, b.start_ns if early else b.end_ns)

    @staticmethod
    def _result(a: Exchange, b: Exchange) -> list[Detail]:
        words = [_status(made) for made in (a, b)]
        if words[0] != words[1]:
            text = f"ends with {_outcome(a)} in A and {_outcome(b)} in B"
            return [Detail("result", "", _outcome(a), _outcome(b), text)]
        differs = a.ok is not b.ok and None not in (a.ok, b.ok)
        failed = a.ok is False and b.ok is False and _stripped(a.result) != _stripped(b.result)
        if differs or failed or (a.kind == "step" and a.result != b.result):
            text = f"{_outcome(a)} in A, {_outcome(b)} in B"
            return [Detail("result", "", _outcome(a), _outcome(b), text)]
        return []

    def _fields(self, a: Exchange, b: Exchange) -> list[Detail]:
        if a.kind == "step":
            return []
        of_a, of_b = ({item.path: item for item in items(made)} for made in (a, b))
        details: list[Detail] = []
        for path, one in of_a.items():
            other = of_b.get(path)
            if other is None:
                continue
            self.found.fields += 1
            found = self._field(one, other, f"{b.function}/{path}")
            if found is not None:
                details.append(found)
        lost = [path for path in of_a if path not in of_b]
        new = [path for path in of_b if path not in of_a]
        if lost or new:
            parts = [f"{_some(lost)} only in A"] if lost else []
            parts += [f"{_some(new)} only in B"] if new else []
            first = (lost or new)[0]
            details.append(
                Detail(
                    "structure",
                    first if all(path.startswith("request/") for path in (*lost, *new)) else f"answer/{first}",
                    of_a[lost[0]].text if lost else "absent",
                    of_b[new[0]].text if new else "absent",
                    "; ".join(parts),
                )
            )
        return details

    def _field(self, a: Item, b: Item, where: str) -> Detail | None:
        kind = a.kind
        if kind is not b.kind:
            kind = FieldClass.STABLE
        same = a.raw == b.raw
        name = a.path.rpartition("/")[2]
        if kind in BOUND:
            detail = self._binder.bind(a, b, where)
            if not same and detail is None:
                self.found.volatile[kind.value] += 1
            if detail is not None and detail.level == "identity":
                if (a.group, a.raw) in self._told:
                    return None
                self._told.add((a.group, a.raw))
            return detail
        if same:
            return None
        if kind in BY_LENGTH:
            if len(a.raw) == len(b.raw):
                self.found.volatile[kind.value] += 1
                return None
            if (
                kind is FieldClass.SIGNATURE and name == "signature"
            ):  # DER in a certificate: one or two bytes either way
                self.found.volatile[kind.value] += 1
                return None
            return Detail("value", a.path, a.text, b.text, f"{name}: {a.text} in A, {b.text} in B, of another length")
        if kind is FieldClass.TIME:
            self.found.volatile[kind.value] += 1
            return None
        if kind is FieldClass.STATE:
            return Detail("state", a.path, a.text, b.text, f"{name} is {a.text} in A and {b.text} in B")
        return Detail("value", a.path, a.text, b.text, f"{name} is {a.text} in A and {b.text} in B")

    def timings(self) -> list[Timing]:
        """Return durations by function, those that differ most first."""
        made = []
        for function, pairs in self._durations.items():
            of_a, of_b = sorted(pair[0] for pair in pairs), sorted(pair[1] for pair in pairs)
            at = min(len(pairs) - 1, int(0.95 * len(pairs)))
            made.append(
                Timing(function, len(pairs), statistics.median(of_a), of_a[at], statistics.median(of_b), of_b[at])
            )
        return sorted(made, key=lambda item: -abs(item.b_p50 - item.a_p50))


def _status(made: Exchange) -> int | None:
    """Return the status word without what only the transport means: 91xx and 61xx are successes."""
    if made.kind != "card" or made.status is None:
        return None if made.kind != "card" else -1 if made.result == "no answer" else None
    return 0x9000 if made.status >> 8 in (0x91, 0x61, 0x9F) else made.status


def _stripped(text: str) -> str:
    return "".join(character for character in text if not character.isdigit())


def _some(paths: Sequence[str]) -> str:
    names = [path.partition("/")[2] or path for path in paths[:3]]
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(names) + more


class _Clock:
    """Time of run A in the time of run B, by the pairs that both have."""

    def __init__(self, pairs: Iterable[tuple[Exchange, Exchange]]) -> None:
        anchors = sorted((a.end_ns, b.end_ns) for a, b in pairs)
        self._of_a = [anchor[0] for anchor in anchors]
        latest, self._of_b = 0, []
        for _, moment in anchors:
            latest = max(latest, moment)
            self._of_b.append(latest)

    def __call__(self, moment: int, fallback: int) -> int:
        at = bisect.bisect_right(self._of_a, moment) - 1
        if at < 0:
            return fallback
        return self._of_b[at] + moment - self._of_a[at]


def _alone(pair: Pair, clock: _Clock) -> Divergence:
    made = pair.a or pair.b
    assert made is not None
    which = "A" if pair.a is not None else "B"
    when = made.start_ns if pair.b is not None else clock(made.start_ns, made.start_ns)
    text = f"only in {which}: {made.function}" + (f" ({made.result})" if made.result else "")
    detail = Detail(
        "structure",
        "",
        _outcome(made) if which == "A" else "absent",
        _outcome(made) if which == "B" else "absent",
        text,
    )
    return Divergence("structure", made.lane, made.function, pair.a, pair.b, [detail], when)


def compare(a: Iterable[Packet], b: Iterable[Packet], *, lanes: Sequence[str] = (), exact: bool = False) -> Diff:
    """Return where trace B parts from trace A.

    ``lanes``: names or kinds (``apdu``, ``at:modem``) to compare, the default those of diff_align.LANES. ``exact``:
    identities (EID, ICCID, keys) are compared literally instead of bound. The first divergence is ``Diff.first``.
    """
    left, dropped_a = calls(a, lanes)
    right, dropped_b = calls(b, lanes)
    comparison = _Comparison(exact)
    found = comparison.found
    found.volatile["polling"] = 0
    pairs: list[Pair] = []
    for lane in dict.fromkeys((*left, *right)):
        pairs += align(left.get(lane, []), right.get(lane, []))
    both = [(pair.a, pair.b) for pair in pairs if pair.a is not None and pair.b is not None]
    divergences = [
        _alone(pair, clock) for clock in (_Clock(both),) for pair in pairs if pair.a is None or pair.b is None
    ]
    # In the order in which B saw them: a value is bound where it was first seen.
    for one, other in sorted(both, key=lambda pair: (pair[1].end_ns, pair[1].last)):
        divergence = comparison.pair(one, other)
        if divergence is not None:
            divergences.append(divergence)
    divergences.sort(key=lambda item: (_TIER[item.level], item.when, _RANK[item.level]))
    found.divergences = divergences
    found.volatile["polling"] = dropped_a + dropped_b
    found.volatile += Counter()  # without zeros
    found.timings = comparison.timings()
    return found
