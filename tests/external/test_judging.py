"""Card and eIM of the lab agree, contradict each other, or do not tell: what becomes of a step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from bench.errors import DeviceFailure
from bench.station.interfaces import CardProfile, EimOrder, PollResult
from recipes.judging import judge, on_card

HOME, AWAY = "8900101000000000019", "8999970000000000017"
EID = "89049032123451234512345678901235"


@dataclass
class Told:
    """What a step and its station were told."""

    notes: list[str] = field(default_factory=list)
    inconclusive: list[str] = field(default_factory=list)
    judge_without: tuple[str, ...] = ()

    @property
    def eim(self) -> Told:
        return self

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    found = Told()

    class Step:
        def inconclusive(self, text: str) -> None:
            found.inconclusive.append(text)

    monkeypatch.setattr("recipes.judging.current", Step)
    return found


def card(enabled: str, *others: str) -> list[CardProfile]:
    return [CardProfile(enabled, True), *(CardProfile(iccid, False) for iccid in others)]


def order(kind: str, state: str = "done", verified: bool | None = None, **ordered: object) -> EimOrder:
    return EimOrder("7", EID, kind, state, error={"what": "no answer"}, verified=verified, ordered=ordered)


def poll(**values: Any) -> PollResult:
    return PollResult(1, **values)


SIGNED = poll(results=({"form": "signed", "results": (("listProfileInfo", [{"iccid": HOME}]),)},))
REFUSED = poll(results=({"form": "signed", "results": (("setFallbackAttribute", 3),)},))


@pytest.mark.parametrize(
    ("ordered", "polls", "profiles", "expected"),
    [
        (order("enable", iccid=AWAY), [], card(AWAY, HOME), True),
        (order("enable", iccid=AWAY), [], card(HOME, AWAY), False),
        (order("enable", iccid=AWAY), [], card(HOME), False),
        (order("disable", iccid=AWAY), [], card(HOME, AWAY), True),
        (order("disable", iccid=AWAY), [], card(AWAY), False),
        (order("delete", iccid=AWAY), [], card(HOME), True),
        (order("delete", iccid=AWAY), [], card(HOME, AWAY), False),
        (order("download"), [poll(downloads=({"installed": True, "iccid": AWAY},))], card(HOME, AWAY), True),
        (order("download"), [poll(downloads=({"installed": False, "iccid": AWAY},))], card(HOME), False),
        (order("download"), [poll(downloads=({"installed": True, "iccid": AWAY},))], card(HOME), False),
        (order("list"), [SIGNED], card(HOME), True),
        (order("list"), [poll(results=({"form": "error-signed", "code": 3},))], card(HOME), False),
        (order("list"), [poll()], card(HOME), None),
        (order("list"), [], card(HOME), None),
        (order("package"), [REFUSED], card(HOME), False),
        (order("package", command="setFallbackAttribute", iccid=HOME), [REFUSED], card(HOME), False),
    ],
)
def test_what_the_card_shows(
    ordered: EimOrder, polls: list[PollResult], profiles: list[CardProfile], expected: bool | None
) -> None:
    assert on_card(ordered, polls, profiles) is expected


def outcome(told: Told, made: EimOrder, profiles: list[CardProfile], *polls: PollResult) -> str:
    try:
        judge(cast("Any", told), made, "the switch", polls, profiles)
    except DeviceFailure as error:
        return f"fail: {error.what}"
    return f"inconclusive: {told.inconclusive[0]}" if told.inconclusive else "pass"


YES, NO = card(AWAY, HOME), card(HOME, AWAY)
ENABLE = order("enable", iccid=AWAY)


@pytest.mark.parametrize(
    ("state", "verified", "profiles", "expected"),
    [
        ("done", None, YES, "pass"),
        ("done", True, YES, "pass"),
        ("done", False, YES, "fail: the eIM could not verify"),
        ("done", None, NO, "fail: the lab's own eIM says that the switch is done, and the card has not done it"),
        ("done", True, NO, "fail: the lab's own eIM says that the switch is done"),
        ("failed", None, YES, "inconclusive: eIM order 7: the switch: the card has done it, and the"),
        ("cancelled", None, YES, "inconclusive: "),
        ("failed", None, NO, "fail: the switch failed: order failed: no answer"),
        ("pending", None, NO, "fail: the switch failed: order pending"),
        ("sent", None, YES, "inconclusive: "),
        ("unknown", None, YES, "inconclusive: eIM order 7: the switch: the card has done it; whether"),
        ("unknown", None, NO, "fail: the switch failed: order unknown"),
    ],
)  # fmt: skip
def test_card_against_eim(
    told: Told, state: str, verified: bool | None, profiles: list[CardProfile], expected: str
) -> None:
    assert outcome(told, replace(ENABLE, state=state, verified=verified), profiles).startswith(expected)


def test_the_lab_may_waive_what_its_eim_never_tells_and_nothing_else(told: Told) -> None:
    told.judge_without = ("state",)
    assert outcome(told, replace(ENABLE, state="unknown"), YES) == "pass"
    assert "judge_without" in told.notes[0]
    assert outcome(told, replace(ENABLE, state="failed"), YES).startswith("inconclusive")


def test_what_only_the_eim_knows_is_not_passed(told: Told) -> None:
    assert outcome(told, order("list"), NO, poll()).startswith("inconclusive: the switch: the lab's own eIM says")
    assert outcome(told, order("list", "failed"), NO, poll()).startswith("fail: ")
