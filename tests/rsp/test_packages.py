from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.rsp import codec, ecdsa, forms, names, packages, tlv
from bench.rsp.errors import DecodeError, EncodeError
from bench.rsp.forms import Form

from .vectors import EID, ICCID, TRANSACTION, vectors

KEY = ecdsa.generate()
PUBLIC = KEY.public_key()
SIGNED = next(data for name, _, data in vectors() if name == "EuiccPackageSigned")


def request(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "eim_id": "eim1",
        "eid": EID,
        "counter": 1,
        "transaction_id": TRANSACTION,
        "psmos": [packages.enable(ICCID, rollback=True)],
        "key": KEY,
        "association_token": None,
    }
    fields.update(changes)
    return packages.build_request(**fields)  # type: ignore[arg-type]


def result(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "eim_id": "eim1",
        "counter": 1,
        "transaction_id": TRANSACTION,
        "seq": 7,
        "results": [packages.result("enable", 0)],
        "key": KEY,
        "association_token": None,
    }
    fields.update(changes)
    return packages.build_result(**fields)  # type: ignore[arg-type]


def test_signing_input_vectors() -> None:
    without = packages.signing_input(SIGNED, None)
    assert without == SIGNED + bytes.fromhex("840100")
    assert hashlib.sha256(without).hexdigest() == "a01f6512f00fea660a823a3826982c1665c725aa66499fdb394d9a6d5866cf61"
    assert packages.signing_input(SIGNED, 5) == SIGNED + bytes.fromhex("840105")
    assert packages.signing_input(SIGNED, 0x80) == SIGNED + bytes.fromhex("84020080")


def test_request_is_the_literal_message_but_for_the_signature() -> None:
    raw = request()
    literal = next(data for name, _, data in vectors() if name == "EuiccPackageRequest")
    assert raw[:-64] == literal[:-64]
    parsed = packages.parse_request(raw)
    assert parsed.signed_raw == SIGNED
    assert (parsed.eim_id, parsed.eid, parsed.counter, parsed.kind) == ("eim1", EID.hex(), 1, "psmo")
    assert parsed.transaction_id == TRANSACTION
    assert packages.command(parsed.commands[0].raw, parsed.kind) == ("enable", {"iccid": ICCID, "rollbackFlag": None})


def test_known_answer_of_another_project() -> None:
    raw = bytes.fromhex(
        "bf5139302f80087465737465696d315a1089010000000000000000000000000001810101a00ea30c5a0a891010123456789012f1"
        "5f37053003020101"
    )
    parsed = packages.parse_request(raw)
    assert (parsed.eim_id, parsed.eid, parsed.counter) == ("testeim1", "89010000000000000000000000000001", 1)
    assert parsed.transaction_id is None
    made = request(eim_id="testeim1", eid=parsed.eid, transaction_id=None, psmos=[packages.enable(ICCID)])
    assert packages.parse_request(made).signed_raw == parsed.signed_raw


@pytest.mark.parametrize("token", [None, 0, 1, 127, 128, 2**31])
def test_a_signature_holds_for_its_association_alone(token: int | None) -> None:
    parsed = packages.parse_request(request(association_token=token))
    assert packages.verify_request(parsed, PUBLIC, token)
    assert not packages.verify_request(parsed, PUBLIC, (token or 0) + 1)
    assert not packages.verify_request(parsed, ecdsa.generate().public_key(), token)
    # No token and token 0 sign the same bytes.
    assert packages.verify_request(parsed, PUBLIC, None) == (not token)


def test_commands_are_the_literal_ones() -> None:
    made = {
        packages.disable(ICCID): "a40c5a0a891010123456789012f1",
        packages.delete(ICCID): "a50c5a0a891010123456789012f1",
        packages.get_rat(): "a600",
        packages.list_profile_info(): "bf2d00",
        packages.list_profile_info([0x5A, 0x9F70]): "bf2d055c035a9f70",
        packages.configure_immediate_enable(flag=True): "a7028000",
        packages.set_fallback_attribute(ICCID): "a80c5a0a891010123456789012f1",
        packages.unset_fallback_attribute(): "a900",
        packages.set_default_dp_address("dp.test"): "bf6509800764702e74657374",
        packages.delete_eim("e2"): "a90480026532",
        packages.list_eim(): "ab00",
        packages.enable("8900101000000000027"): "a30c5a0a980001010000000020f7",
    }
    for raw, expected in made.items():
        assert raw.hex() == expected
    configuration = {
        "eimId": "e2",
        "eimFqdn": "e2.test",
        "eimIdType": 2,
        "counterValue": 0,
        "associationToken": -1,
        "eimSupportedProtocol": codec.bits(0),
    }
    literal = "a81a80026532810765322e746573748201028301008401ff87020780"
    assert packages.add_eim(configuration).hex() == literal
    assert packages.add_eim(codec.encode("EimConfigurationData", configuration)).hex() == literal
    assert packages.update_eim(configuration).hex() == "aa" + literal[2:]


def test_ecos_are_told_from_psmos() -> None:
    parsed = packages.parse_request(request(psmos=None, ecos=[packages.delete_eim("e2"), packages.list_eim()]))
    assert parsed.kind == "eco"
    assert [packages.command(item.raw, "eco")[0] for item in parsed.commands] == ["deleteEim", "listEim"]
    with pytest.raises(EncodeError, match="either"):
        request(ecos=[])
    with pytest.raises(EncodeError, match="either"):
        request(psmos=None)


@pytest.mark.parametrize("token", [None, 3])
def test_result_both_ways(token: int | None) -> None:
    raw = result(association_token=token, results=[packages.result("enable", 2), packages.result("delete", 21)])
    parsed = packages.parse_result(raw)
    assert parsed.form == "signed"
    assert (parsed.eim_id, parsed.counter, parsed.transaction_id, parsed.seq) == ("eim1", 1, TRANSACTION, 7)
    assert parsed.results == [("enable", 2), ("delete", 21)]
    assert [names.result(*item) for item in parsed.results] == ["profileNotInDisabledState", "returnFallbackProfile"]
    assert packages.verify_result(parsed, PUBLIC, token)
    assert not packages.verify_result(parsed, PUBLIC, 4)
    assert not packages.verify_result(replace(parsed, signed_raw=parsed.signed_raw + b"\x00"), PUBLIC, token)
    literal = next(data for name, _, data in vectors() if name == "EuiccPackageResult")
    assert result()[:-64] == literal[:-64]


def test_signature_over_the_data_alone_is_taken_only_when_asked() -> None:
    parsed = packages.parse_result(result())
    bare = replace(parsed, signature=ecdsa.sign(KEY, parsed.signed_raw))
    assert not packages.verify_result(bare, PUBLIC, None)
    assert packages.verify_result(bare, PUBLIC, None, accept_no_token=True)
    assert not packages.verify_result(bare, PUBLIC, 3, accept_no_token=True)


def test_bare_results_of_the_field_are_read_and_verified() -> None:
    bare = forms.deviate(result(), Form.BARE_PACKAGE_RESULT)
    assert bare[3] == 0x30
    parsed = packages.parse_result(bare)
    assert parsed == packages.parse_result(bare)
    assert parsed.results == [("enable", 0)]
    assert packages.verify_result(parsed, PUBLIC, None)
    error = packages.build_error_signed(
        eim_id="eim1", counter=1, transaction_id=None, error_code=4, key=KEY, association_token=None
    )
    parsed = packages.parse_result(forms.deviate(error, Form.BARE_PACKAGE_RESULT))
    assert (parsed.form, parsed.error_code) == ("error-signed", 4)


def test_errors_both_ways() -> None:
    raw = packages.build_error_signed(
        eim_id="eim1", counter=1, transaction_id=None, error_code=4, key=KEY, association_token=9
    )
    literal = "bf5153a151300c800465696d318101010201045f3740"
    assert raw.hex().startswith(literal)
    parsed = packages.parse_result(raw)
    assert (parsed.form, parsed.error_code, parsed.seq) == (
        "error-signed",
        names.EuiccPackageErrorCode.REPLAY_ERROR,
        None,
    )
    assert packages.verify_result(parsed, PUBLIC, 9)
    unsigned = packages.build_error_unsigned(eim_id="eim1", association_token=1, error_code=127)
    assert unsigned.hex() == "bf510ea20c800465696d318401018f017f"
    parsed = packages.parse_result(unsigned)
    assert (parsed.form, parsed.error_code, parsed.association_token) == ("error-unsigned", 127, 1)
    assert not packages.verify_result(parsed, PUBLIC, 1)


def test_structured_results() -> None:
    listing = codec.encode("EuiccResultData", ("listProfileInfoResult", ("profileInfoListOk", [{"iccid": ICCID}])))
    raw = result(
        results=[
            listing,
            packages.result("listProfileInfo", 11),
            packages.result("addEim", 2),
            codec.encode("EuiccResultData", ("addEimResult", ("associationToken", 6))),
            packages.result("listEim", 127),
            packages.result("setDefaultDpAddress", 0),
            packages.result("processingTerminated", 3),
            bytes.fromhex("9f2a0101"),
            bytes.fromhex("a600"),
        ]
    )
    parsed = packages.parse_result(raw)
    assert parsed.results == [
        ("listProfileInfo", [{"iccid": ICCID, "fallbackAttribute": False}]),
        ("listProfileInfo", 11),
        ("addEim", 2),
        ("addEim", {"associationToken": 6}),
        ("listEim", 127),
        ("setDefaultDpAddress", 0),
        ("processingTerminated", 3),
        ("9F2A", bytes.fromhex("9f2a0101")),
        ("getRAT", []),
    ]
    with pytest.raises(EncodeError, match="no PSMO or eCO 'enabel'"):
        packages.result("enabel", 0)
    with pytest.raises(EncodeError, match="getRAT"):
        packages.result("getRAT", 0)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("3000", "BF51 is expected, not 30"),
        ("bf5100", "does not hold signed data"),
        ("bf510530005f3700", "psmoList"),
        ("bf51073002a0005f3700", "eimId"),
        ("bf5109300480008100a0005f37", "cut off|missing"),
    ],
)
def test_broken_requests_are_named(raw: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        packages.parse_request(bytes.fromhex(raw))


@pytest.mark.parametrize("raw", ["bf5100", "bf5102a000", "bf5103800100", "bf2d00"])
def test_broken_results_are_refused(raw: str) -> None:
    with pytest.raises(DecodeError):
        packages.parse_result(bytes.fromhex(raw))


def test_a_result_in_the_wrong_alternative_is_refused() -> None:
    error = packages.build_error_signed(
        eim_id="eim1", counter=1, transaction_id=None, error_code=4, key=KEY, association_token=None
    )
    inner = tlv.first(error).children()[0]
    with pytest.raises(DecodeError, match="alternative A0"):
        packages.parse_result(tlv.build(0xBF51, tlv.build(0xA0, inner.value)))


@settings(deadline=2000, database=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=120), st.data())
def test_any_bytes_are_parsed_or_refused(junk: bytes, data: st.DataObject) -> None:
    good = bytearray(data.draw(st.sampled_from([REQUEST, RESULT, RESULT_LIST])))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    for raw in (junk, tlv.build(0xBF51, junk), bytes(good)):
        for parse in (packages.parse_request, packages.parse_result):
            try:
                parse(raw)
            except DecodeError:
                continue


REQUEST = request()
RESULT = result()
RESULT_LIST = result(
    results=[codec.encode("EuiccResultData", ("listProfileInfoResult", ("profileInfoListOk", [{"iccid": ICCID}])))]
)
