"""An eIM of SGP.32 v1.0 by option: what leaves the IPA and what it reads are the older forms (fact sheet G, App. 4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.ipa.memory import Memory

from .bench import poll
from .fakes import EID, EIM_ID, NOTHING, FakeCard, FakeEim, Tls, notification, package, package_result, script, tlv

OLD: dict[str, object] = {"dialect": {EIM_ID: "1.0"}}


def test_results_go_out_without_eid_and_alone(home: Path, server_tls: Tls) -> None:
    result = package_result(5, 12, tlv("85", b"\x00"))
    card = FakeCard(answers={"BF51": [result]}, notifications={4: notification(4)})
    eim = FakeEim(script([package(5)]))
    done = poll(card, eim, server_tls, home, **OLD)
    assert eim.of("BF50") == [tlv("BF50", result)]
    assert eim.of("BF3D") == [tlv("BF3D", tlv("A0", notification(4)))]
    assert done.notifications == 1
    assert card.calls("BF30") == [bytes.fromhex("bf3003800104"), bytes.fromhex("bf300380010c")]


def test_rplmn_has_the_tag_of_the_later_cause(home: Path, server_tls: Tls) -> None:
    Memory(home / "ipa", EID).change_state(1)
    eim = FakeEim(script([]))
    poll(FakeCard(), eim, server_tls, home, rplmn="26201", **OLD)
    asked = bytes.fromhex("5a10" + EID + "8000" + "810362f210")
    assert eim.of("BF4F")[0] == tlv("BF4F", asked)


def test_data_requests_and_answers_have_the_older_tags(home: Path, server_tls: Tls) -> None:
    # tagList of v1.0: 80 defaultSmdpAddress, BF2B notifications, 83 rootSmdsAddress
    request = tlv("BF52", tlv("5C", bytes.fromhex("80bf2b83")))
    card = FakeCard(notifications={4: notification(4)})
    eim = FakeEim(script([request], BF3D=500))
    poll(card, eim, server_tls, home, **OLD)
    # notificationAndEprList (A3), which v1.0 has; BF2B stands last, as the fields are numbered there
    both = tlv("A3", tlv("A0", notification(4)), tlv("A1"))
    fields = tlv("80", b"default.test") + tlv("83", b"root.test") + tlv("BF2B", both)
    (sent,) = eim.of("BF50")
    assert sent.hex() == tlv("BF50", tlv("BF52", tlv("A0", fields))).hex()


def test_errors_of_packages_stand_alone(home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([tlv("BF77", b"\x05\x00")]))
    poll(FakeCard(), eim, server_tls, home, **OLD)
    assert eim.of("BF50") == [bytes.fromhex("bf5003020102")]


@pytest.mark.parametrize("dialect", [{}, {"*": "1.2"}, {"other.example": "1.0"}])
def test_other_eims_get_todays_forms(dialect: dict[str, str], home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([tlv("BF77", b"\x05\x00")]))
    poll(FakeCard(), eim, server_tls, home, dialect=dialect)
    assert eim.of("BF50") == [bytes.fromhex("bf50175a10" + EID + "a003020102")]


def test_an_answer_that_is_no_tlv(home: Path, server_tls: Tls) -> None:
    from fixtures.ipa.errors import EsipaError

    with pytest.raises(EsipaError, match=r"v1\.0"):
        poll(FakeCard(), FakeEim(lambda message, index: b"<html>"), server_tls, home, **OLD)


def test_polling_ends_as_ever(home: Path, server_tls: Tls) -> None:
    assert poll(FakeCard(), FakeEim(lambda message, index: NOTHING), server_tls, home, **OLD).packages == 0
