"""Indirect download (SGP.32 section 3.2.3.2) against a scripted card and eIM: every byte relayed, every way to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.apdu.errors import CardGone
from bench.errors import InstrumentTimeout
from fixtures.ipa.errors import EimSilent

from .bench import poll
from .fakes import EID, Answer, FakeCard, FakeEim, Tls, installation_result, script, tlv

TX = bytes.fromhex("0102030405060708")
ORDER = bytes.fromhex("aabbccdd")
TRIGGER = tlv("BF54", tlv("82", ORDER))
# Lengths longer than DER needs stand for everything a re-encoding relay would change.
SIGNED1 = bytes.fromhex("30810a" + "8008" + TX.hex())
CERTIFICATE = bytes.fromhex("3081020500")
SIGNATURE1 = tlv("5F37", b"\x61" * 64)
SIGNATURE2 = tlv("5F37", b"\x62" * 64)
KEY_ID = tlv("04", b"\x70" * 20)
AUTHENTICATED = tlv("BF39", tlv("A0", tlv("80", TX), SIGNED1, SIGNATURE1, KEY_ID, CERTIFICATE, tlv("0C", b"MATCH-1")))
SIGNED2 = bytes.fromhex("30810d" + "8008" + TX.hex() + "010100")
CLIENT = tlv("BF3B", tlv("A0", tlv("80", TX), tlv("BF25"), SIGNED2, SIGNATURE2, CERTIFICATE))
SERVER_ANSWER = tlv("BF38", tlv("A0", tlv("30", b"\x80\x81\x01\x09"), tlv("5F37", b"\x63" * 64)))
PREPARED = tlv("BF21", tlv("A0", tlv("30", b"\x80\x81\x01\x08"), tlv("5F37", b"\x64" * 64)))
BF23 = tlv("BF23", tlv("80", TX))
SEGMENTS = [tlv("86", bytes((number,)) * 300) for number in (1, 2)]
METADATA = [tlv("88", b"\x05" * 40)]
BPP = tlv("BF36", BF23, tlv("A0", tlv("87", b"\x06" * 16)), tlv("A1", *METADATA), tlv("A3", *SEGMENTS))
BOUND = tlv("BF3A", tlv("A0", tlv("80", TX), BPP))
DEVICE_INFO = "800494104502" + "a10585030d0000" + "82089410450223" + "7315f8"
PIR = installation_result(21, TX)


def card_for_download(result: bytes = PIR) -> FakeCard:
    card = FakeCard(answers={"BF38": [SERVER_ANSWER], "BF21": [PREPARED]})

    def segment(request: bytes) -> bytes:
        if request != SEGMENTS[1]:
            return b""
        card.notifications[21] = result
        return result

    card.answers["86"] = segment
    return card


def eim_for_download(**answers: Answer) -> FakeEim:
    return FakeEim(script([TRIGGER], **{"BF39": AUTHENTICATED, "BF3B": CLIENT, "BF3A": BOUND, **answers}))


def test_a_whole_download(home: Path, server_tls: Tls) -> None:
    card, eim = card_for_download(), eim_for_download()
    result = poll(card, eim, server_tls, home)
    info1 = tlv("BF20", tlv("82", b"\x02\x02\x02"), tlv("A9"), tlv("AA"))
    assert eim.messages[1:-1] == [
        tlv("BF39", tlv("81", b"\xcc" * 16), info1, tlv("82", ORDER)),
        tlv("BF3B", tlv("80", TX), SERVER_ANSWER),
        tlv("BF3A", tlv("80", TX), PREPARED),
        tlv("BF3D", tlv("A0", PIR)),
    ]
    context = tlv("A0", tlv("80", b"MATCH-1"), tlv("A1", bytes.fromhex(DEVICE_INFO)))
    assert card.calls("bf38") == [tlv("BF38", SIGNED1, SIGNATURE1, KEY_ID, CERTIFICATE, context)]
    assert card.calls("bf21") == [tlv("BF21", SIGNED2, SIGNATURE2, CERTIFICATE)]
    # units of SGP.22 section 2.5.5, one STORE DATA chain each: headers carry the whole lengths
    bpp_header = BPP[: BPP.index(BF23)]
    first = card.requests.index(bpp_header + BF23)
    assert card.requests[first : first + 7] == [
        bpp_header + BF23,
        tlv("A0", tlv("87", b"\x06" * 16)),
        bytes.fromhex("a12a"),
        METADATA[0],
        bytes.fromhex("a3820260"),
        SEGMENTS[0],
        SEGMENTS[1],
    ]
    assert card.notifications == {}
    assert result.packages == 1
    assert result.notifications == 1
    assert result.downloads == ({"installed": True, "iccid": "89010100000000000027", "error": "", "seq": 21},)
    assert not result.profile_changed
    assert card.calls("bf41") == []


def test_context_made_by_the_eim_is_used_as_it_is(home: Path, server_tls: Tls) -> None:
    context = tlv("A0", tlv("80", b"X"), bytes.fromhex("a1810680" + "0411223344"))
    answer = tlv("BF39", tlv("A0", SIGNED1, SIGNATURE1, KEY_ID, CERTIFICATE, tlv("A2", context)))
    card = card_for_download()
    assert poll(card, eim_for_download(BF39=answer), server_tls, home).downloads[0]["installed"]
    assert card.calls("bf38") == [tlv("BF38", SIGNED1, SIGNATURE1, KEY_ID, CERTIFICATE, context)]


def test_confirmation_code_hash_of_the_eim(home: Path, server_tls: Tls) -> None:
    hash_cc = tlv("04", b"\x44" * 32)
    client = tlv("BF3B", tlv("A0", SIGNED2, SIGNATURE2, CERTIFICATE, hash_cc))
    card = card_for_download()
    assert poll(card, eim_for_download(BF3B=client), server_tls, home).downloads[0]["installed"]
    assert card.calls("bf21") == [tlv("BF21", SIGNED2, SIGNATURE2, hash_cc, CERTIFICATE)]


@pytest.mark.parametrize(
    ("data", "address", "matching"),
    [
        (tlv("80", b"1$dp.test$AB"), b"dp.test", b"AB"),
        (tlv("80", b"LPA:1$dp.test$AB"), b"dp.test", b"AB"),
        (tlv("81"), b"default.test", None),
    ],
)
def test_download_data_in_the_trigger(
    data: bytes, address: bytes, matching: bytes | None, home: Path, server_tls: Tls
) -> None:
    without = tlv("BF39", tlv("A0", SIGNED1, SIGNATURE1, KEY_ID, CERTIFICATE))
    card = card_for_download()
    eim = FakeEim(script([tlv("BF54", tlv("A0", data))], BF39=without, BF3B=CLIENT, BF3A=BOUND))
    assert poll(card, eim, server_tls, home, trigger_with_data="indirect").downloads[0]["installed"]
    assert tlv("83", address) in eim.of("BF39")[0]
    (authenticate,) = card.calls("bf38")
    context = tlv("A0", tlv("80", matching) if matching else b"", tlv("A1", bytes.fromhex(DEVICE_INFO)))
    assert authenticate.endswith(context)


def failure(message: bytes = b"") -> bytes:
    """HandleNotification with ProfileDownloadTriggerResult, profileDownloadError undefinedError."""
    error = tlv("30", tlv("80", b"\x7f"), tlv("04", message) if message else b"")
    return tlv("BF3D", tlv("BF50", tlv("5A", bytes.fromhex(EID)), tlv("BF54", tlv("82", ORDER), error)))


SMDS = "smds is not supported"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (tlv("80", b"nonsense"), "no activation code"),
        (tlv("A2", b""), "smds is not supported"),
        (tlv("A2", tlv("80", b"ds.test")), "smds is not supported"),
    ],
)
def test_triggers_this_ipa_cannot_serve(data: bytes, text: str, home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([tlv("BF54", tlv("A0", data), tlv("82", ORDER))]))
    result = poll(FakeCard(), eim, server_tls, home)
    assert text in str(result.downloads[0]["error"])
    (message,) = eim.of("BF3D")
    assert message.startswith(failure()[:2])
    assert tlv("82", ORDER) + b"\x30" in message


# --- refusals of the servers ----------------------------------------------------------------------------------------


def cancelled_with(reason: int) -> bytes:
    return tlv("BF41", tlv("80", TX), tlv("81", bytes((reason,))))


def cancel_message(reason: int) -> bytes:
    """ESipa CancelSession: A1 in place of the tag of the card's BF41."""
    signed = tlv("30", cancelled_with(reason)[3:])
    return tlv("BF41", tlv("80", TX), tlv("A1", tlv("A0", signed, tlv("5F37", b"\x55" * 64))))


def test_refusal_before_there_is_a_session(home: Path, server_tls: Tls) -> None:
    card, eim = card_for_download(), eim_for_download(BF39=bytes.fromhex("bf3903810101"))
    result = poll(card, eim, server_tls, home)
    assert card.calls("bf38") == card.calls("bf41") == []
    assert eim.of("BF41") == eim.of("BF3D") == []
    report = result.downloads[0]
    assert (report["installed"], report["function"], report["code"]) == (False, "ESipa.InitiateAuthentication", 1)
    assert "invalidDpAddress" in str(report["error"])


@pytest.mark.parametrize(
    ("answers", "reason", "name", "subject", "reason_code"),
    [
        ({"BF3B": "bf3b03820106"}, 127, "matchingIdRefused", "8.2.6", "3.8"),
        ({"BF3B": "bf3b03820132"}, 3, "pprNotAllowed", "", ""),
        ({"BF3A": "bf3a03810103"}, 127, "confirmationCodeRefused", "8.2.7", "3.8"),
        ({"BF3A": "bf3a03810132"}, 4, "metadataMismatch", "", ""),
    ],
)
def test_refusals_cancel_the_session_with_their_reason(
    answers: dict[str, str], reason: int, name: str, subject: str, reason_code: str, home: Path, server_tls: Tls
) -> None:
    card = card_for_download()
    eim = eim_for_download(**{tag: bytes.fromhex(answer) for tag, answer in answers.items()})
    result = poll(card, eim, server_tls, home)
    assert card.calls("bf41") == [cancelled_with(reason)]
    assert eim.of("BF41") == [cancel_message(reason)]
    assert eim.of("BF3D") == [], "the eIM refused it itself and needs no telling"
    report = result.downloads[0]
    assert name in str(report["error"])
    assert (report["subject_code"], report["reason_code"]) == (subject, reason_code)
    assert card.calls("86") == []


# --- failures of the card -------------------------------------------------------------------------------------------


def test_a_server_the_card_does_not_accept(home: Path, server_tls: Tls) -> None:
    refused = tlv("BF38", tlv("A1", tlv("80", TX), tlv("02", b"\x02")))
    card, eim = card_for_download(), eim_for_download(BF3B=bytes.fromhex("bf3b0382017f"))
    card.answers["BF38"] = [refused]
    card.answers["BF41"] = [bytes.fromhex("bf4103810105")]
    result = poll(card, eim, server_tls, home)
    assert result.downloads[0]["error"] == "AuthenticateServer: invalidSignature 2"
    assert eim.of("BF3B") == [tlv("BF3B", tlv("80", TX), refused)], "the eIM learns the card's own code"
    assert card.calls("bf41") == [cancelled_with(127)]
    assert eim.of("BF41") == [bytes.fromhex("bf410f8008" + TX.hex() + "a103810105")]
    assert card.calls("bf21") == []
    assert eim.of("BF3D") == []


def test_a_preparation_the_card_refuses(home: Path, server_tls: Tls) -> None:
    refused = tlv("BF21", tlv("A1", tlv("80", TX), tlv("02", b"\x05")))
    card, eim = card_for_download(), eim_for_download(BF3A=bytes.fromhex("bf3a0381017f"))
    card.answers["BF21"] = [refused]
    result = poll(card, eim, server_tls, home)
    assert result.downloads[0]["error"] == "PrepareDownload: invalidTransactionId 5"
    assert eim.of("BF3A") == [tlv("BF3A", tlv("80", TX), refused)]
    assert card.calls("bf41") == [cancelled_with(127)]
    assert eim.of("BF41") == [cancel_message(127)]
    assert card.calls("bf36") == []


def test_an_eim_that_goes_on_although_the_card_refused(home: Path, server_tls: Tls) -> None:
    card, eim = card_for_download(), eim_for_download()
    card.answers["BF21"] = [tlv("BF21", tlv("A1", tlv("80", TX), tlv("02", b"\x05")))]
    assert not poll(card, eim, server_tls, home).downloads[0]["installed"]
    assert card.calls("bf36") == []
    assert eim.of("BF41") == [cancel_message(127)]


def test_a_session_that_cannot_be_cancelled_is_reported_otherwise(home: Path, server_tls: Tls) -> None:
    card, eim = card_for_download(), eim_for_download()
    card.words |= {"88": 0x6A80, "BF41": 0x6985}
    result = poll(card, eim, server_tls, home)
    assert not result.downloads[0]["installed"]
    assert eim.of("BF41") == []
    (message,) = eim.of("BF3D")
    assert tlv("82", ORDER) + b"\x30" in message
    assert b"6A80 incorrect data" in message


def test_an_apdu_refused_while_loading(home: Path, server_tls: Tls) -> None:
    card, eim = card_for_download(), eim_for_download()
    card.words["88"] = 0x6985
    result = poll(card, eim, server_tls, home)
    assert "6985" in str(result.downloads[0]["error"])
    assert card.calls("bf41") == [cancelled_with(5)]
    assert eim.of("BF41") == [cancel_message(5)]


def test_a_load_that_gives_no_result(home: Path, server_tls: Tls) -> None:
    card, eim = card_for_download(), eim_for_download()
    card.answers["86"] = lambda request: b""
    result = poll(card, eim, server_tls, home)
    assert "no installation result" in str(result.downloads[0]["error"])
    assert card.calls("bf41") == [cancelled_with(5)]


def test_a_package_that_cannot_be_cut(home: Path, server_tls: Tls) -> None:
    broken = tlv("BF3A", tlv("A0", tlv("80", TX), tlv("BF36", BF23, tlv("A3", SEGMENTS[0]))))
    card = card_for_download()
    result = poll(card, eim_for_download(BF3A=broken), server_tls, home)
    assert "no Bound Profile Package" in str(result.downloads[0]["error"])
    assert card.calls("bf41") == [cancelled_with(5)]
    assert card.calls("bf36") == []


def test_an_installation_that_fails_is_delivered_like_one_that_succeeds(home: Path, server_tls: Tls) -> None:
    pir = installation_result(21, TX, failed=True)
    card, eim = card_for_download(pir), eim_for_download()
    result = poll(card, eim, server_tls, home)
    assert eim.of("BF3D") == [tlv("BF3D", tlv("A0", pir))]
    assert card.calls("bf41") == [], "the card ended its session itself"
    assert result.downloads[0]["installed"] is False
    assert result.downloads[0]["error"] == "loadProfileElements: scp03tSecurityError"
    assert card.notifications == {}


def test_an_early_installation_result_ends_the_load(home: Path, server_tls: Tls) -> None:
    pir = installation_result(21, TX, failed=True)
    card, eim = card_for_download(pir), eim_for_download()
    card.answers["88"] = [pir]
    result = poll(card, eim, server_tls, home)
    assert card.calls("86") == []
    assert result.downloads[0]["installed"] is False


def test_a_card_that_is_stuck_while_loading(home: Path, server_tls: Tls) -> None:
    card, eim = card_for_download(), eim_for_download()

    def stuck(request: bytes) -> bytes:
        raise InstrumentTimeout("no answer", where="card")

    card.answers["88"] = stuck
    with pytest.raises(InstrumentTimeout):
        poll(card, eim, server_tls, home)
    assert card.calls("bf41") == [cancelled_with(5)]
    assert card.opened == card.closed == 1


def test_a_card_that_loses_power_while_loading_is_not_asked_to_cancel(home: Path, server_tls: Tls) -> None:
    card, eim = card_for_download(), eim_for_download()

    def gone(request: bytes) -> bytes:
        raise CardGone("no power", where="card")

    card.answers["88"] = gone
    with pytest.raises(CardGone):
        poll(card, eim, server_tls, home)
    assert card.calls("bf41") == []
    assert eim.of("BF41") == []


# --- failures of the way to the eIM ---------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["BF3B", "BF3A"])
def test_an_eim_lost_in_the_session(function: str, home: Path, server_tls: Tls) -> None:
    """AuthenticateClient and GetBoundProfilePackage are not repeated; the card's session ends, the order stays."""
    card, eim = card_for_download(), eim_for_download(**{function: None})
    with pytest.raises(EimSilent):
        poll(card, eim, server_tls, home)
    assert len(eim.of(function)) == 1
    assert card.calls("bf41") == [cancelled_with(2)]
    assert eim.of("BF41") == []
    again = eim_for_download()
    card.answers |= {"BF38": [SERVER_ANSWER], "BF21": [PREPARED]}
    assert poll(card, again, server_tls, home).downloads[0]["installed"]
    assert again.of("BF41") == []


def test_an_eim_lost_before_the_installation_result(home: Path, server_tls: Tls) -> None:
    card, eim = card_for_download(), eim_for_download(BF3D=None)
    with pytest.raises(EimSilent):
        poll(card, eim, server_tls, home, retries=1)
    assert eim.of("BF3D") == [tlv("BF3D", tlv("A0", PIR))] * 2
    assert list(card.notifications) == [21]
    again = FakeEim(script([]))
    result = poll(card, again, server_tls, home)
    assert again.messages[0] == tlv("BF3D", tlv("A0", PIR))
    assert result.notifications == 1
    assert card.notifications == {}


@pytest.mark.parametrize("function", ["BF3B", "BF3A"])
@pytest.mark.parametrize("answer", [500, 400, b"", b"\xbf\x3c\x00"])
def test_an_eim_that_answers_nonsense_in_the_session(
    function: str, answer: Answer, home: Path, server_tls: Tls
) -> None:
    card, eim = card_for_download(), eim_for_download(**{function: answer})
    result = poll(card, eim, server_tls, home)
    assert result.downloads[0]["installed"] is False
    assert card.calls("bf41") == [cancelled_with(127)]
    assert eim.of("BF41") == [cancel_message(127)]
    assert len(eim.of(function)) == 1


def test_immediate_enable(home: Path, server_tls: Tls) -> None:
    card, eim = card_for_download(), eim_for_download()
    card.answers["BF5A"] = [bytes.fromhex("bf5a03800100")]
    result = poll(card, eim, server_tls, home, immediate_enable=True)
    assert result.profile_changed
    assert card.calls("bf5a") == [bytes.fromhex("bf5a038001ff")]
    again = FakeEim(script([]))
    poll(card, again, server_tls, home)
    assert again.of("BF4F")[0].hex() == "bf4f175a10" + EID + "8000" + "810105"


def test_immediate_enable_that_is_not_configured(home: Path, server_tls: Tls) -> None:
    card, eim = card_for_download(), eim_for_download()
    card.answers["BF5A"] = [bytes.fromhex("bf5a03800101")]
    assert not poll(card, eim, server_tls, home, immediate_enable=True).profile_changed


OTHER = bytes.fromhex("ffffffffffffffff")
ANSWERS = {
    "BF39": (AUTHENTICATED, tlv("80", TX), "bf38"),
    "BF3B": (CLIENT, tlv("80", TX), "bf21"),
    "BF3A": (BOUND, tlv("80", TX), "86"),
}


@pytest.mark.parametrize("function", ANSWERS)
def test_an_answer_for_another_session_is_refused(function: str, home: Path, server_tls: Tls) -> None:
    """What comes after it is never asked of the card, the session is cancelled, and the eIM learns why."""
    answer, named, next_command = ANSWERS[function]
    at = answer.index(named)
    wrong = answer[:at] + tlv("80", OTHER) + answer[at + len(named) :]
    card, eim = card_for_download(), eim_for_download(**{function: wrong})
    result = poll(card, eim, server_tls, home)
    assert not result.downloads[0]["installed"]
    said = f"the eIM answered for the transaction {OTHER.hex().upper()}, the session is {TX.hex().upper()}"
    assert said in str(result.downloads[0]["error"])
    assert card.calls(next_command) == [] and card.notifications == {}
    assert len(card.calls("bf41")) == (function != "BF39")
    assert eim.of("BF41") or said.encode()[:100] in eim.of("BF3D")[0]


def test_an_answer_for_another_session_by_the_other_reading(home: Path, server_tls: Tls) -> None:
    wrong = CLIENT.replace(tlv("80", TX), tlv("80", OTHER), 1)
    card = card_for_download()
    result = poll(card, eim_for_download(BF3B=wrong), server_tls, home, other_session="taken")
    assert result.downloads[0]["installed"]
