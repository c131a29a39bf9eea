"""The poll loop against a scripted card and eIM: what goes over the wire, byte by byte, and what is kept."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bench.apdu.errors import CardGone, CardNeedsReset, Es10Error
from bench.errors import DeviceFailure, InstrumentError, InstrumentTimeout
from bench.station.interfaces import EuiccAdministration, IpaService, PollResult
from fixtures.ipa.errors import EimSilent, EsipaError
from fixtures.ipa.ipa import Ipa

from . import fakes
from .bench import poll, set_up, with_ipa
from .fakes import (
    EID,
    FakeCard,
    FakeEim,
    Tls,
    metadata,
    notification,
    package,
    package_result,
    script,
    tlv,
)

ERROR_UNSIGNED = tlv("BF51", tlv("A2", tlv("80", b"eim.test"), tlv("8F", b"\x7f")))
GET_PACKAGE = bytes.fromhex("bf4f125a10" + EID)


def result_envelope(result: bytes) -> bytes:
    return tlv("BF50", tlv("5A", bytes.fromhex(EID)), result)


def test_an_ipa_is_an_ipa_service(home: Path, server_tls: Tls) -> None:
    async def use(ipa: IpaService) -> str:
        return await ipa.eid()

    assert with_ipa(FakeCard(), FakeEim(script([])), server_tls, home, use) == EID


def test_an_ipa_administers_the_card(home: Path, server_tls: Tls) -> None:
    async def use(ipa: Ipa) -> str:
        administration: EuiccAdministration = ipa
        return (await administration.eim_configurations())[0].eim_id

    assert with_ipa(FakeCard(), FakeEim(script([])), server_tls, home, use) == "eim.test"


def test_a_v1_0_eim_that_never_acknowledges_has_the_result(home: Path, server_tls: Tls) -> None:
    """One eIM answers every result ``BF50 00``: kept on the card it would be sent again for ever."""
    result = package_result(5, 17, tlv("85", b"\x00"))
    card = FakeCard(results={17: result})
    eim = FakeEim(script([], BF50=bytes.fromhex("bf5000")))
    poll(card, eim, server_tls, home, dialect={"eim.test": "1.0"})
    assert eim.of("BF50") == [tlv("BF50", result)]
    assert card.results == {}


def test_an_empty_answer_of_a_v1_2_eim_acknowledges_nothing(home: Path, server_tls: Tls) -> None:
    card = FakeCard(results={17: package_result(5, 17, tlv("85", b"\x00"))})
    poll(card, FakeEim(script([], BF50=bytes.fromhex("bf50023000"))), server_tls, home)
    assert list(card.results) == [17]


def test_an_eim_that_fails_over_an_old_result_is_still_asked_for_packages(home: Path, server_tls: Tls) -> None:
    card = FakeCard(results={17: package_result(5, 17, tlv("85", b"\x00"))})
    eim = FakeEim(script([], BF50=500))
    poll(card, eim, server_tls, home, retries=0)
    assert [message[:2].hex() for message in eim.messages] == ["bf50", "bf4f"]
    assert list(card.results) == [17]


def test_nothing_to_do(home: Path, server_tls: Tls) -> None:
    card, eim = FakeCard(), FakeEim(script([]))
    result = poll(card, eim, server_tls, home)
    assert eim.messages == [GET_PACKAGE]
    assert eim.paths == ["/gsma/rsp2/asn1"]
    header = eim.headers[0]
    assert header["User-Agent"] == "gsma-rsp-ipad"
    assert header["X-Admin-Protocol"] == "gsma/rsp/v2.1.0"
    assert header["Content-Type"] == "application/x-gsma-rsp-asn1"
    assert header["Host"] == "eim.test"
    assert result == PollResult(
        packages=0, apdus=card.apdus, bytes_sent=len(GET_PACKAGE), bytes_received=len(fakes.NOTHING), round_trips=3
    )


def test_a_package_is_relayed_and_its_result_delivered_and_removed(home: Path, server_tls: Tls) -> None:
    request = package(5)
    result = package_result(5, 17, tlv("BF2D", tlv("A0")))
    card = FakeCard(results={}, answers={})

    def load(raw: bytes) -> bytes:
        card.results[17] = result
        return result

    card.answers["BF51"] = load
    eim = FakeEim(script([request]))
    done = poll(card, eim, server_tls, home)
    assert card.calls("bf51") == [request]
    assert eim.of("BF50") == [result_envelope(result)]
    assert card.calls("bf30") == [bytes.fromhex("bf3003800111")]
    assert card.results == {}
    assert done.packages == 1
    assert not done.profile_changed
    assert done.results[0]["form"] == "signed"
    assert done.results[0]["results"] == (("listProfileInfo", []),)
    assert done.results[0]["stored"] is False
    assert len(set(eim.peers)) == 1, "one connection for the loop"


@pytest.mark.parametrize("psmo", [tlv("83", b"\x00"), tlv("84", b"\x00")], ids=["enable", "disable"])
def test_a_profile_change_ends_the_poll_and_the_next_one_delivers(psmo: bytes, home: Path, server_tls: Tls) -> None:
    result = package_result(5, 17, psmo)
    card = FakeCard()

    def load(raw: bytes) -> bytes:
        card.results[17] = result
        return result

    card.answers["BF51"] = load
    eim = FakeEim(script([package(5), package(6)]))

    async def use(ipa: Ipa) -> None:
        first = await ipa.poll()
        assert first.profile_changed
        assert first.packages == 1
        assert card.opened == card.closed == 1
        assert eim.of("BF50") == []
        assert card.results == {17: result}
        card.answers["BF51"] = [package_result(6, 18, tlv("85", b"\x00"))]
        second = await ipa.poll()
        assert eim.of("BF50")[0] == result_envelope(result)
        assert second.results[0]["stored"] is True
        assert second.results[0]["results"] in ((("enable", 0),), (("disable", 0),))
        assert not second.profile_changed
        assert card.results == {}

    with_ipa(card, eim, server_tls, home, use)


def test_an_unsigned_error_is_delivered_once_and_not_kept(home: Path, server_tls: Tls) -> None:
    card = FakeCard(answers={"BF51": [ERROR_UNSIGNED]})
    eim = FakeEim(script([package(5)]))
    result = poll(card, eim, server_tls, home)
    assert eim.of("BF50") == [result_envelope(ERROR_UNSIGNED)]
    assert result.results[0]["form"] == "error-unsigned"
    assert result.results[0]["code"] == 127
    eim.answer = script([])
    again = poll(card, eim, server_tls, home)
    assert len(eim.of("BF50")) == 1
    assert again.results == ()


def test_an_unsigned_error_survives_an_eim_that_is_down(home: Path, server_tls: Tls) -> None:
    card = FakeCard(answers={"BF51": [ERROR_UNSIGNED]})
    with pytest.raises(EimSilent):
        poll(card, FakeEim(script([package(5)], BF50=None)), server_tls, home, retries=1)
    eim = FakeEim(script([]))
    result = poll(card, eim, server_tls, home)
    assert eim.messages == [result_envelope(ERROR_UNSIGNED), GET_PACKAGE]
    assert result.results[0]["form"] == "error-unsigned"
    assert result.results[0]["stored"] is True
    assert poll(card, FakeEim(script([])), server_tls, home).results == ()


def test_a_package_the_card_does_not_parse_is_reported(home: Path, server_tls: Tls) -> None:
    card = FakeCard(words={"BF51": 0x6A80})
    eim = FakeEim(script([package(5, transaction=b"\x01\x02")]))
    result = poll(card, eim, server_tls, home)
    assert eim.of("BF50") == [result_envelope(bytes.fromhex("a00780020102020101"))]
    assert result.results[0]["form"] == "refused"
    assert result.results[0]["code"] == 0x6A80


def test_an_unknown_package_is_answered_as_such(home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([tlv("BF59", b"")]))
    result = poll(FakeCard(), eim, server_tls, home)
    assert eim.of("BF50") == [bytes.fromhex("bf50175a10" + EID + "a003020102")]
    assert result.packages == 1


def test_a_limit_of_packages(home: Path, server_tls: Tls) -> None:
    card = FakeCard(answers={"BF51": lambda raw: ERROR_UNSIGNED}, notifications={4: notification(4)})
    eim = FakeEim(script([package(5), package(6), package(7)]))
    result = with_ipa(card, eim, server_tls, home, lambda ipa: ipa.poll(packages=2))
    assert result.packages == 2
    assert len(eim.of("BF4F")) == 2
    assert result.notifications == 1
    assert with_ipa(card, eim, server_tls, home, lambda ipa: ipa.poll(packages=0)).packages == 0
    assert len(eim.of("BF4F")) == 2


# --- notifications --------------------------------------------------------------------------------------------------


def test_notifications_go_one_by_one_byte_for_byte_and_first(home: Path, server_tls: Tls) -> None:
    card = FakeCard(notifications={9: notification(9), 4: notification(4)})
    kept = dict(card.notifications)
    eim = FakeEim(script([]))
    result = poll(card, eim, server_tls, home)
    assert eim.messages == [
        tlv("BF3D", tlv("A0", kept[4])),
        tlv("BF3D", tlv("A0", kept[9])),
        GET_PACKAGE,
    ]
    assert card.notifications == {}
    assert result.notifications == 2


def test_a_refused_notification_stays_and_the_next_one_goes(home: Path, server_tls: Tls) -> None:
    card = FakeCard(notifications={4: notification(4), 9: notification(9)})
    refused = card.notifications[4]

    def answer(message: bytes, index: int) -> bytes | int:
        if refused in message:
            return 400
        return 204 if message.startswith(b"\xbf\x3d") else fakes.NOTHING

    eim = FakeEim(answer)
    result = poll(card, eim, server_tls, home)
    assert result.notifications == 1
    assert list(card.notifications) == [4]
    assert sum(refused in message for message in eim.messages) == 1, "tried once a loop"


def test_an_acknowledged_number_is_removed_first_and_not_delivered_again(home: Path, server_tls: Tls) -> None:
    memory = home / "ipa" / f"{EID}.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(json.dumps({"schema": 1, "acknowledged": [4], "outbox": [], "state_change": None}))
    card = FakeCard(notifications={4: notification(4)})
    eim = FakeEim(script([]))
    result = poll(card, eim, server_tls, home)
    assert card.notifications == {}
    assert eim.messages == [GET_PACKAGE]
    assert result.notifications == 0
    assert json.loads(memory.read_text())["acknowledged"] == []


def test_results_of_another_eim_are_left_alone(home: Path, server_tls: Tls) -> None:
    card = FakeCard(results={17: package_result(5, 17, tlv("85", b"\x00"), eim="other")})
    eim = FakeEim(script([]))
    poll(card, eim, server_tls, home)
    assert eim.messages == [GET_PACKAGE]
    assert list(card.results) == [17]


def test_a_result_that_is_not_acknowledged_stays_on_the_card(home: Path, server_tls: Tls) -> None:
    card = FakeCard(results={17: package_result(5, 17, tlv("85", b"\x00"))})
    eim = FakeEim(script([], BF50=bytes.fromhex("bf50023000")))
    poll(card, eim, server_tls, home)
    assert list(card.results) == [17]
    assert len(eim.of("BF50")) == 1


@pytest.mark.parametrize("answer", ["bf5003020102", "bf5000", "bf50023000"])
def test_other_answers_to_a_result(answer: str, home: Path, server_tls: Tls) -> None:
    card = FakeCard(answers={"BF51": [package_result(5, 17, tlv("85", b"\x00"))]})
    eim = FakeEim(script([package(5)], BF50=bytes.fromhex(answer)))
    assert poll(card, eim, server_tls, home).packages == 1
    assert card.calls("bf30") == []


# --- state changes and rollback -------------------------------------------------------------------------------------


def test_a_state_change_is_told_once(home: Path, server_tls: Tls) -> None:
    memory = home / "ipa" / f"{EID}.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(json.dumps({"schema": 1, "acknowledged": [], "outbox": [], "state_change": 5}))
    eim = FakeEim(script([package(5)]))
    poll(FakeCard(answers={"BF51": [ERROR_UNSIGNED]}), eim, server_tls, home, rplmn="26203")
    assert [message.hex() for message in eim.of("BF4F")] == [
        "bf4f1c5a10" + EID + "8000" + "810105" + "820362f230",
        "bf4f125a10" + EID,
    ]


def test_rollback_and_its_result_by_the_next_poll(home: Path, server_tls: Tls) -> None:
    enabled, rolled_back = package_result(5, 17, tlv("83", b"\x00")), package_result(5, 18, tlv("8C", b"\x00"))
    card = FakeCard(results={17: enabled})

    def rollback(raw: bytes) -> bytes:
        card.results = {18: rolled_back}
        return tlv("BF58", tlv("02", b"\x00"), rolled_back)

    card.answers["BF58"] = rollback
    eim = FakeEim(script([]))

    async def use(ipa: Ipa) -> None:
        assert await ipa.rollback() is True
        assert card.calls("bf58") == [bytes.fromhex("bf58038001ff")]
        result = await ipa.poll()
        assert result.rolled_back
        assert eim.of("BF50") == [result_envelope(rolled_back)]
        assert card.results == {}
        assert not (await ipa.poll()).rolled_back

    with_ipa(card, eim, server_tls, home, use)


def test_rollback_of_a_card_that_keeps_no_copy(home: Path, server_tls: Tls) -> None:
    rolled_back = package_result(5, 18, tlv("8C", b"\x00"))
    card = FakeCard(answers={"BF58": [tlv("BF58", tlv("02", b"\x00"), rolled_back)]})
    eim = FakeEim(script([]))

    async def use(ipa: Ipa) -> None:
        assert await ipa.rollback() is True
        assert (await ipa.poll()).rolled_back
        assert eim.of("BF50") == [result_envelope(rolled_back)]

    with_ipa(card, eim, server_tls, home, use)


def test_rollback_refused(home: Path, server_tls: Tls) -> None:
    card = FakeCard(answers={"BF58": [bytes.fromhex("bf5803020101"), bytes.fromhex("bf5803020105")]})

    async def use(ipa: Ipa) -> None:
        assert await ipa.rollback() is False
        with pytest.raises(Es10Error, match="ProfileRollback: catBusy"):
            await ipa.rollback()

    with_ipa(card, FakeEim(script([])), server_tls, home, use)
    assert card.opened == card.closed == 2


# --- data requests --------------------------------------------------------------------------------------------------


def ask(tags: str, *more: bytes) -> bytes:
    return tlv("BF52", tlv("5C", bytes.fromhex(tags)), *more)


def test_data_request(home: Path, server_tls: Tls) -> None:
    certificates = tlv("A0", tlv("A5", b"\x30\x00\x30\x00\x03\x01\x00"), tlv("A6", b"\x30\x00\x30\x00\x03\x01\x00"))
    info2 = tlv("BF22", tlv("81", b"\x02\x03\x01"))
    card = FakeCard(
        notifications={4: notification(4)},
        results={17: package_result(5, 17, tlv("85", b"\x00"))},
        answers={"BF56": [tlv("BF56", certificates)], "BF22": [info2]},
    )
    pending, stored = card.notifications[4], card.results[17]
    request = ask("a8a9a6a58384bf22bf20a281a0", tlv("83", b"\x01\x02"))
    # neither notification nor result is acknowledged when the loop begins: they stay, and the eIM asks for them
    eim = FakeEim(script([request], BF3D=400, BF50=bytes.fromhex("bf50023000")))
    poll(card, eim, server_tls, home)
    assert eim.of("BF50")[1] == result_envelope(
        tlv(
            "BF52",
            tlv(
                "A0",
                tlv("A0", pending),
                tlv("81", b"default.test"),
                tlv("A2", stored),
                tlv("BF20", tlv("82", b"\x02\x02\x02"), tlv("A9"), tlv("AA")),
                info2,
                tlv("83", b"root.test"),
                tlv("A5", b"\x30\x00\x30\x00\x03\x01\x00"),
                tlv("A6", b"\x30\x00\x30\x00\x03\x01\x00"),
                tlv("87", b"\x01\x02"),
                bytes.fromhex("a808" + "800203f8" + "81020780"),
                bytes.fromhex("a917" + "800494104502" + "a10585030d0000" + "82089410450223" + "7315f8"),
            ),
        )
    )


def test_notifications_in_a_data_answer_are_removed_when_acknowledged(home: Path, server_tls: Tls) -> None:
    card = FakeCard(notifications={4: notification(4)})
    acknowledged = bytes.fromhex("bf5006bf5303800104")
    poll(card, FakeEim(script([ask("a0")], BF3D=400, BF50=acknowledged)), server_tls, home)
    assert card.notifications == {}


def test_association_token_of_the_configuration(home: Path, server_tls: Tls) -> None:
    card = FakeCard()
    eim = FakeEim(script([ask("84")]))

    async def run() -> None:
        async with set_up(card, eim, server_tls, home) as ipa:
            card.eims = [fakes.eim_configuration(pin=fakes.pin("A1", server_tls.ca), token=300)]
            await ipa.poll()

    asyncio.run(run())
    assert eim.of("BF50") == [result_envelope(bytes.fromhex("bf5206a0048402012c"))]


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (ask("5a"), "bf5205a103020101"),
        (ask("bf20bf2d", tlv("83", b"\x07")), "bf5208a106800107020101"),
        (ask("bf"), "bf5205a103020101"),
        (ask(""), "bf5205a103020101"),
        (tlv("BF52"), "bf5205a103020101"),
    ],
    ids=["EID", "profile list", "cut-off tag", "no tags", "no list"],
)
def test_tag_lists_that_are_wrong(request_bytes: bytes, answer: str, home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([request_bytes]))
    poll(FakeCard(), eim, server_tls, home)
    assert eim.of("BF50") == [result_envelope(bytes.fromhex(answer))]


def test_certificates_of_a_ci_the_card_does_not_know(home: Path, server_tls: Tls) -> None:
    card = FakeCard(answers={"BF56": [bytes.fromhex("bf5603810101")]})
    eim = FakeEim(script([ask("a5a6", tlv("04", b"\xaa"))]))
    poll(card, eim, server_tls, home)
    assert card.calls("bf56") == [bytes.fromhex("bf56038001aa")]
    assert eim.of("BF50") == [result_envelope(bytes.fromhex("bf5205a103020105"))]


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_card_that_needs_a_reset(home: Path, server_tls: Tls) -> None:
    card = FakeCard(always=0x6985)
    with pytest.raises(CardNeedsReset, match="reset the card"):
        poll(card, FakeEim(script([])), server_tls, home)
    assert card.opened == card.closed == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("bf4f03020102", "eidNotFound"),
        ("bf4f03020103", "invalidEid"),
        ("bf4f0302017f", "undefinedError"),
        ("bf5000", "BF50 where BF4F is due"),
        ("bf4f", "no TLV"),
        ("", "no TLV"),
        ("bf4f0405000500", "2 packages"),
    ],
)
def test_wrong_answers_of_the_eim(answer: str, text: str, home: Path, server_tls: Tls) -> None:
    card = FakeCard()
    with pytest.raises(EsipaError, match=text):
        poll(card, FakeEim(lambda message, index: bytes.fromhex(answer)), server_tls, home)
    assert card.opened == card.closed == 1


def test_an_eim_that_hands_out_the_same_package_for_ever(home: Path, server_tls: Tls) -> None:
    card = FakeCard(answers={"BF51": lambda raw: ERROR_UNSIGNED})
    same = tlv("BF4F", package(5))
    eim = FakeEim(lambda message, index: same if message.startswith(b"\xbf\x4f") else bytes.fromhex("bf50023000"))
    with pytest.raises(InstrumentError, match="same package 4 times"):
        poll(card, eim, server_tls, home)
    assert len(card.calls("bf51")) == 3


def test_an_eim_that_always_has_another_package(home: Path, server_tls: Tls) -> None:
    card = FakeCard(answers={"BF51": lambda raw: ERROR_UNSIGNED})

    def answer(message: bytes, index: int) -> bytes:
        if message.startswith(b"\xbf\x4f"):
            return tlv("BF4F", package(5 + index))
        return bytes.fromhex("bf50023000")

    with pytest.raises(InstrumentError, match="10 polls in a row"):
        poll(card, FakeEim(answer), server_tls, home, max_polls=10)


def test_a_budget_of_apdus(home: Path, server_tls: Tls) -> None:
    card = FakeCard(notifications={seq: notification(seq) for seq in range(1, 100)})
    with pytest.raises(DeviceFailure, match="20 APDUs in one poll"):
        poll(card, FakeEim(script([])), server_tls, home, max_apdus=20)
    assert card.apdus == 20


def test_a_card_that_answers_the_same_for_ever(home: Path, server_tls: Tls) -> None:
    card = FakeCard()
    seen = metadata(1)
    card.answers["BF28"] = lambda raw: tlv("BF28", tlv("A0", *([seen] * 5000)))
    with pytest.raises(DeviceFailure):
        poll(card, FakeEim(script([])), server_tls, home, max_apdus=300)


def test_no_eim_on_the_card(home: Path, server_tls: Tls) -> None:
    card = FakeCard(eims=[])
    with pytest.raises(DeviceFailure, match="no eIM is associated"):
        poll(card, FakeEim(script([])), server_tls, home, pinned=False)


def test_another_eim_than_the_one_asked_for(home: Path, server_tls: Tls) -> None:
    with pytest.raises(DeviceFailure, match=r"eim\.other is not associated.*eim\.test"):
        poll(FakeCard(), FakeEim(script([])), server_tls, home, eim="eim.other")


def test_a_poll_that_takes_too_long_says_at_what(home: Path, server_tls: Tls) -> None:
    card = FakeCard()
    eim = FakeEim(script([]), delay=20.0)
    with pytest.raises(InstrumentTimeout, match="asking for an eIM package") as caught:
        with_ipa(card, eim, server_tls, home, lambda ipa: ipa.poll(timeout=0.3))
    assert "within 0.3 s" in str(caught.value)
    assert card.opened == card.closed == 1


def test_a_cancelled_poll_closes_its_channel(home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        card = FakeCard()
        async with set_up(card, FakeEim(script([])), server_tls, home) as ipa:
            card.hang, card.reached = asyncio.Event(), asyncio.Event()
            task = asyncio.create_task(ipa.poll())
            await card.reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert card.opened == card.closed == 1
            card.hang = None
            assert (await ipa.poll()).packages == 0

    asyncio.run(run())


@pytest.mark.parametrize("error", [CardGone("reset"), InstrumentTimeout("AT+CCHC"), InstrumentError("CME ERROR: 3")])
def test_a_channel_that_does_not_close_hides_nothing(error: Exception, home: Path, server_tls: Tls) -> None:
    card = FakeCard(close_error=error, answers={"BF51": [package_result(5, 17, tlv("83", b"\x00"))]})
    assert poll(card, FakeEim(script([package(5)])), server_tls, home).profile_changed
    with pytest.raises(DeviceFailure, match="no eIM"):
        poll(FakeCard(close_error=error, eims=[]), FakeEim(script([])), server_tls, home, pinned=False)


def test_two_calls_wait_for_each_other(home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        card = FakeCard()
        async with set_up(card, FakeEim(script([])), server_tls, home) as ipa:
            results = await asyncio.gather(ipa.poll(), ipa.poll(), ipa.eid())
            assert results[2] == EID
            assert card.opened == card.closed == 3

    asyncio.run(run())


# --- the rest of the service ----------------------------------------------------------------------------------------


def test_profiles_eims_and_first_eim(home: Path, server_tls: Tls) -> None:
    profile = tlv(
        "E3",
        tlv("5A", bytes.fromhex("98101000000000000091")),
        tlv("4F", bytes.fromhex("a0000005591010ffffffff8900001000")),
        bytes.fromhex("9f700101"),
        tlv("91", b"OPER"),
        tlv("92", b"B"),
    )
    card = FakeCard(
        answers={
            "BF2D": [tlv("BF2D", tlv("A0", profile))],
            "BF57": [bytes.fromhex("bf5704a0020500"), bytes.fromhex("bf5703810102")],
        }
    )

    async def use(ipa: Ipa) -> None:
        (found,) = await ipa.profiles()
        assert (found.iccid, found.enabled, found.name, found.provider) == (
            "8901010000000000001" + "9",
            True,
            "B",
            "OPER",
        )
        assert found.aid.hex() == "a0000005591010ffffffff8900001000"
        assert await ipa.eims() == ["eim.test"]
        await ipa.add_initial_eim(bytes.fromhex("300680046569 6d31"))
        assert card.calls("bf57") == [bytes.fromhex("bf570aa0083006800465696d31")]
        with pytest.raises(DeviceFailure, match="associatedEimAlreadyExists"):
            await ipa.add_initial_eim(b"\x30\x00")

    with_ipa(card, FakeEim(script([])), server_tls, home, use)
    assert card.opened == card.closed == 4
