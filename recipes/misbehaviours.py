"""Tables of misbehaviours with the expected reaction: what a row says, what is seen, and the judgement of the two.

A row is judged from the card (profiles, eIMs, what waits for delivery), from the servers (the order, its words, the
requests that came) and from what the IPA told. ``judge`` is a function of values, so that each row is tested with
everything that must not happen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.errors import BenchError, DeviceFailure
from bench.station.interfaces import CardProfile, EimOrder, PollResult
from recipes.words import listing

REQUESTS = 16
"""Requests of one function in one row, retries included."""

Work = Literal["enable", "list", "download"]


@dataclass(frozen=True, slots=True)
class Budget:
    """What one poll may cost at most; beyond it an exchange goes on without end, whatever it is.

    ``octets``: of ESipa bodies, both ways, where the poll came to an end that tells them. ``seconds``: station time.
    """

    apdus: int
    octets: int
    seconds: float


BUDGETS: Mapping[Work, Budget] = {
    "enable": Budget(60, 8_000, 60.0),
    "list": Budget(60, 8_000, 60.0),
    "download": Budget(120, 16_000, 120.0),
}
"""About twice of what the dearest row of each kind costs over any way (requests in blocks, CoAP's retransmissions)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One misbehaviour and what must follow.

    ``work``: the order that meets it: ``enable`` would switch the profile if it were carried out, ``list`` and
    ``download`` are carried out in the end where ``ends`` is ``done``.
    """

    name: str
    told: tuple[Mapping[str, object], ...]
    work: Work
    ends: Literal["failed", "done"]
    """The order, once the server behaves again."""
    words: tuple[str, ...] = ()
    """Each found (regular expression) in what order, IPA and SM-DP+ say of it."""
    poll: str = ""
    """Regular expression for the error with which the first poll ends; empty: it ends well."""
    at_once: bool = True
    """The order is final after the first poll; else one poll more is due, with the server behaving."""
    waits: bool = False
    """Something waits on the card after the first poll, and is delivered with the second."""
    server: str = ""
    """State of the SM-DP+'s order in the end; empty: not looked at."""
    requests: int = REQUESTS
    """At most so many of one function."""
    costs: Budget | None = None
    """Where it is another one than that of its work."""

    @property
    def budget(self) -> Budget:
        """What its first poll may cost."""
        return self.costs or BUDGETS[self.work]


@dataclass(frozen=True, slots=True)
class Card:
    """What the card holds: profiles, eIMs, what waits for delivery (events), and how much memory is left."""

    profiles: tuple[CardProfile, ...]
    eims: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    memory: int = 0
    """Free non-volatile memory in bytes, 0 where nobody tells."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a row has led to. ``first`` and ``second``: the polls, None where one ended with an error."""

    before: Card
    after: Card
    """After the first poll."""
    end: Card
    came_about: Sequence[int]
    """How often, of each misbehaviour told."""
    order: EimOrder
    """After the first poll."""
    final: EimOrder
    """After the second."""
    error: BenchError | None = None
    first: PollResult | None = None
    second: PollResult | None = None
    requests: Mapping[str, int] = field(default_factory=dict)
    apdus: int = 0
    octets: int = 0
    seconds: float = 0.0
    server: str = ""
    target: str = ""
    """ICCID of the profile that the row is about."""

    @property
    def text(self) -> str:
        """Everything that order, IPA and SM-DP+ said, in one text."""
        parts = [str(value) for order in (self.order, self.final) for value in (order.error, order.result)]
        for poll in (self.first, self.second):
            if poll is not None:
                parts += [str(item) for item in (*poll.downloads, *poll.results)]
        return " | ".join(parts)


def judge(row: Row, seen: Seen) -> list[str]:
    """Return what is not as it must be, in words; nothing when the reaction was the expected one."""
    problems = []
    if not any(seen.came_about):
        problems.append("the misbehaviour did not come about: nothing was tested")
    problems += _card(row, seen)
    problems += _poll(row, seen)
    problems += _order(row, seen)
    problems += [f"nobody said {word!r}" for word in row.words if not re.search(word, seen.text)]
    if row.server and seen.server != row.server:
        problems.append(f"the SM-DP+'s order is {seen.server or 'unknown'}, not {row.server}")
    problems += [
        f"{name} came {count} times, at most {row.requests} are due: an exchange without end"
        for name, count in sorted(seen.requests.items())
        if count > row.requests
    ]
    spent = (("APDUs", seen.apdus, row.budget.apdus), ("bytes", seen.octets, row.budget.octets),
             ("seconds", seen.seconds, row.budget.seconds))  # fmt: skip
    problems += [
        f"{value:g} {unit}, at most {most:g} are due: an exchange without end"
        for unit, value, most in spent
        if value > most
    ]
    return problems


def _card(row: Row, seen: Seen) -> list[str]:
    problems = []
    installs = row.work == "download" and row.ends == "done"

    def others(card: Card) -> list[CardProfile]:
        return [item for item in card.profiles if not (installs and item.iccid == seen.target)]

    for when, card in (("after it", seen.after), ("in the end", seen.end)):
        if others(card) != others(seen.before):
            problems.append(
                f"the card changed: {listing(card.profiles)} {when}, before {listing(seen.before.profiles)}"
            )
        if card.eims != seen.before.eims:
            problems.append(f"the card's eIMs changed: {', '.join(card.eims) or 'none'} {when}")
    if not installs and seen.end.memory != seen.before.memory:
        problems.append(f"the card has {seen.end.memory} bytes left in the end, before {seen.before.memory}")
    new = [item for item in seen.end.profiles if item.iccid == seen.target]
    if installs and [item.enabled for item in new] != [False]:
        problems.append(f"{seen.target} is not on the card once and disabled in the end: {listing(seen.end.profiles)}")
    waits = seen.after.waiting != seen.before.waiting
    if waits != row.waits:
        what = ", ".join(seen.after.waiting) or "nothing"
        problems.append(f"{what} waits on the card after it, {'something' if row.waits else 'nothing'} is due")
    if seen.end.waiting != seen.before.waiting:
        problems.append(f"{', '.join(seen.end.waiting) or 'nothing'} waits on the card in the end")
    return problems


def _poll(row: Row, seen: Seen) -> list[str]:
    if seen.error is None:
        return [f"the poll ended well; it is to end with {row.poll!r}"] if row.poll else []
    if not row.poll:
        return [f"the poll ended with: {seen.error}"]
    if not re.search(row.poll, str(seen.error)):
        return [f"the poll ended with: {seen.error}; it is to end with {row.poll!r}"]
    if isinstance(seen.error, DeviceFailure):
        return [f"the device is blamed for what a server did: {seen.error}"]
    return []


def _order(row: Row, seen: Seen) -> list[str]:
    problems = []
    if seen.order.final != row.at_once:
        due = "ended" if row.at_once else "open, to be retried"
        problems.append(f"the order is {seen.order.state} after the first poll, it is to be {due}")
    if seen.final.state != row.ends:
        problems.append(f"the order is {seen.final.state} in the end, not {row.ends}")
    if row.ends == "done" and not seen.final.verified:
        problems.append("the order is done and its result not verified")
    if row.ends == "failed" and not seen.final.error.get("what"):
        problems.append("the order failed without a word")
    if seen.second is None:
        problems.append("the second poll failed although the server behaved")
    elif row.at_once and seen.second.packages:
        problems.append(f"{seen.second.packages} packages were handed out after the order had ended")
    return problems
