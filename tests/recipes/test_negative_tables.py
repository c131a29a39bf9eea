"""Each row of the tables of misbehaviours fails when the reaction it expects does not come, and says what did not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.errors import ConfigurationError, DeviceFailure, InstrumentError
from bench.station.interfaces import CardProfile, EimOrder, PollResult
from fixtures.eim import misbehaviour as eim
from fixtures.service.misbehaviour import KINDS, read
from recipes import negative_eim, negative_smdp
from recipes.misbehaviours import Card, Row, Seen, judge
from recipes.negative import chosen

ROWS = [(side, row) for side, table in (("eim", negative_eim.TABLE), ("smdpp", negative_smdp.TABLE)) for row in table]
BOOTSTRAP, TARGET = "8900101000000000019", "8900101000000000027"
ENABLED, DISABLED = CardProfile(BOOTSTRAP, True, "bootstrap"), CardProfile(TARGET, False, "operational")


def as_due(row: Row) -> Seen:
    """Return what a row is to lead to."""
    download, done = row.work == "download", row.ends == "done"
    before = Card((ENABLED,) if download else (ENABLED, DISABLED), ("eim.example",))
    end = Card((ENABLED, DISABLED), before.eims) if download and done else before
    after = end if row.at_once else before
    said = {"what": " ".join(word.split("|")[0] for word in row.words) or "it failed"}
    final = EimOrder("7", "", row.work, row.ends, {} if not done else said, {} if done else said, verified=done)
    return Seen(
        before=before,
        after=replace(after, waiting=("package-result",)) if row.waits else after,
        end=end,
        came_about=[1] * len(row.told),
        order=final if row.at_once else EimOrder("7", "", row.work, "sent"),
        final=final,
        error=InstrumentError(row.poll.split("|")[0]) if row.poll else None,
        first=None if row.poll else PollResult(1),
        second=PollResult(0 if row.at_once else 1),
        requests={"getEimPackage": 3},
        apdus=40,
        server=row.server,
        target=TARGET,
    )


Change = Callable[[Row, Seen], Seen]
BROKEN: dict[str, tuple[Change, str]] = {
    "nothing came about": (lambda row, seen: replace(seen, came_about=[0]), "did not come about"),
    "the profile was switched": (
        lambda row, seen: replace(
            seen, after=replace(seen.after, profiles=(CardProfile(BOOTSTRAP, False), CardProfile(TARGET, True)))
        ),
        "the card changed",
    ),
    "a profile is gone": (
        lambda row, seen: replace(seen, end=replace(seen.end, profiles=(DISABLED,))),
        "the card changed",
    ),
    "an eIM is gone": (lambda row, seen: replace(seen, after=replace(seen.after, eims=())), "eIMs changed"),
    "something is never delivered": (
        lambda row, seen: replace(seen, end=replace(seen.end, waiting=("enable",))),
        "waits on the card in the end",
    ),
    "something else waits": (
        lambda row, seen: replace(seen, after=replace(seen.after, waiting=() if row.waits else ("enable",))),
        "waits on the card after it",
    ),
    "the order ended otherwise": (
        lambda row, seen: replace(
            seen, final=replace(seen.final, state="cancelled", verified=True, error={"what": seen.text})
        ),
        "the order is cancelled in the end",
    ),
    "the order stays open": (
        lambda row, seen: replace(seen, final=replace(seen.final, state="sent")),
        "the order is sent in the end",
    ),
    "it is not retried, or not ended": (
        lambda row, seen: replace(
            seen, order=replace(seen.order, state="sent" if row.at_once else "failed", error=seen.final.error)
        ),
        "after the first poll",
    ),
    "the poll ended otherwise": (
        lambda row, seen: replace(seen, error=InstrumentError("something else"), first=None),
        "the poll ended with: something else",
    ),
    "a function without end": (lambda row, seen: replace(seen, requests={"getEimPackage": 17}), "without end"),
    "APDUs without end": (lambda row, seen: replace(seen, apdus=row.budget.apdus + 1), "APDUs, at most"),
    "bytes without end": (lambda row, seen: replace(seen, octets=row.budget.octets + 1), "bytes, at most"),
    "time without end": (lambda row, seen: replace(seen, seconds=row.budget.seconds + 0.1), "seconds, at most"),
    "the server does not recover": (lambda row, seen: replace(seen, second=None), "although the server behaved"),
}


@pytest.mark.parametrize(("side", "row"), ROWS, ids=[f"{side}-{row.name}" for side, row in ROWS])
def test_each_row_needs_each_part_of_its_reaction(side: str, row: Row) -> None:
    good = as_due(row)
    assert judge(row, good) == []
    broken: dict[str, tuple[Change, str]] = dict(BROKEN)
    if row.words:
        silent: Change = lambda row, seen: replace(  # noqa: E731
            seen, order=replace(seen.order, error={"what": "?"}, result={}), final=replace(
                seen.final, error={"what": "?"}, result={}))  # fmt: skip
        broken["nobody says why"] = (silent, "nobody said")
    if row.poll:
        blamed = f"{row.poll.split('|')[0]} of the card"
        broken["the device is blamed"] = (lambda row, seen: replace(seen, error=DeviceFailure(blamed)), "is blamed")
        broken["the poll ends well"] = (lambda row, seen: replace(seen, error=None), "the poll ended well")
    if row.server:
        broken["the SM-DP+'s order"] = (
            lambda row, seen: replace(seen, server="available"),
            "SM-DP+'s order is available",
        )
    if row.ends == "done":
        unverified: Change = lambda row, seen: replace(seen, final=replace(seen.final, verified=False))  # noqa: E731
        broken["unverified"] = (unverified, "not verified")
    else:
        wordless: Change = lambda row, seen: replace(seen, final=replace(seen.final, error={}))  # noqa: E731
        broken["failed without a word"] = (wordless, "without a word")
    if row.at_once:
        handed_out: Change = lambda row, seen: replace(seen, second=PollResult(1))  # noqa: E731
        broken["it goes round"] = (handed_out, "after the order had ended")
    if not (row.work == "download" and row.ends == "done"):
        full: Change = lambda row, seen: replace(seen, end=replace(seen.end, memory=-1))  # noqa: E731
        broken["memory is lost"] = (full, "bytes left in the end")
    if row.work == "download":
        there = row.ends == "done"
        bare: Change = lambda row, seen: replace(  # noqa: E731
            seen, end=replace(seen.end, profiles=(ENABLED,) if there else (ENABLED, DISABLED)))  # fmt: skip
        broken["the profile in the end"] = (bare, "is not on the card once" if there else "the card changed")
    for name, (change, words) in broken.items():
        problems = judge(row, change(row, good))
        assert any(words in problem for problem in problems), (name, problems)


def test_each_row_can_be_told() -> None:
    for side, row in ROWS:
        for number, told in enumerate(row.told, 1):
            armed = read(told, side, number)  # type: ignore[arg-type]
            if side == "eim":
                eim.check(armed)
    for table in (negative_eim.TABLE, negative_smdp.TABLE):
        names = [row.name for row in table]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("side", ["eim", "smdpp"])
def test_every_misbehaviour_is_in_a_table(side: str) -> None:
    told = {str(item["name"]) for of, row in ROWS for item in row.told if of == side}
    known = {name for name, kind in KINDS.items() if side in kind.sides}
    rest = known - told
    assert rest == ({"cut", "encoding"} - told if side == "eim" else {"content-type", "order-answer"})


def test_rows_are_chosen_by_name() -> None:
    table = negative_eim.TABLE
    assert chosen(table, "") == list(table)
    assert [row.name for row in chosen(table, "late, wrong-eid")] == ["late", "wrong-eid"]
    with pytest.raises(ConfigurationError, match="no row 'lat'"):
        chosen(table, "lat")
