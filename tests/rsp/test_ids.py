from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.rsp import ids
from bench.rsp.errors import DecodeError, EncodeError


def test_eid_is_plain_bcd() -> None:
    eid = "89049032123451234512345678901235"
    assert ids.eid_bytes(eid) == bytes.fromhex(eid)
    assert ids.eid_digits(bytes.fromhex(eid)) == eid
    assert ids.eid_bytes(bytes.fromhex(eid)) == bytes.fromhex(eid)


def test_eid_check_digits() -> None:
    # SGP.26's example and the one of a maker's sample.
    assert ids.check_eid("89049032123451234512345678901235")
    assert ids.check_eid("89044045930000000000002153893210")
    assert not ids.check_eid("89049032123451234512345678901236")
    assert not ids.check_eid("8904903212345123451234567890123")
    assert ids.eid_with_check_digits("890490321234512345123456789012") == "89049032123451234512345678901235"


@settings(deadline=None, database=None)
@given(st.text("0123456789", min_size=30, max_size=30))
def test_made_eids_are_valid_and_a_changed_digit_is_seen(first30: str) -> None:
    eid = ids.eid_with_check_digits(first30)
    assert ids.check_eid(eid)
    changed = f"{eid[:7]}{(int(eid[7]) + 1) % 10}{eid[8:]}"
    assert not ids.check_eid(changed)


def test_iccid_has_swapped_nibbles_and_filler() -> None:
    assert ids.iccid_bytes("8900101000000000019").hex() == "980001010000000010f9"
    assert ids.iccid_digits(bytes.fromhex("980001010000000010f9")) == "8900101000000000019"
    assert ids.iccid_bytes("89001010000000000194").hex() == "98000101000000001049"
    assert ids.iccid_bytes("8900101000000000019F") == ids.iccid_bytes("8900101000000000019")
    assert ids.iccid_digits(bytes.fromhex("a80001010000000000f1")) == "8A00101000000000001"


def test_luhn() -> None:
    assert ids.luhn_digit("7992739871") == "3"
    assert ids.check_iccid("8900101000000000019")
    assert ids.check_iccid("8900101000000000027")
    assert not ids.check_iccid("8900101000000000018")
    assert not ids.check_iccid("8900")


def test_plmn_coding_of_ts_24_008() -> None:
    assert ids.plmn_bytes("00101").hex() == "00f110"
    assert ids.plmn_bytes("26201").hex() == "62f210"
    assert ids.plmn_bytes("310410").hex() == "130014"
    assert ids.plmn_digits(bytes.fromhex("62f210")) == "26201"
    assert ids.plmn_digits(bytes.fromhex("130014")) == "310410"
    with pytest.raises(DecodeError):
        ids.plmn_digits(b"\xff\xff\xff")


def test_imsi_file_of_ts_31_102() -> None:
    # 15 digits: parity 9 in the first nibble; 14 digits: parity 1 and a filler at the end.
    assert ids.imsi_file("001010000000001").hex() == "080910100000000010"
    assert ids.imsi_file("00101000000001").hex() == "0801101000000000f1"
    assert ids.imsi_digits(bytes.fromhex("080910100000000010")) == "001010000000001"
    with pytest.raises(DecodeError):
        ids.imsi_digits(b"\xff" * 9)


def test_imei() -> None:
    assert ids.imei_bytes("490154203237518").hex() == "94104502237315f8"
    assert ids.imei_digits(bytes.fromhex("94104502237315f8")) == "490154203237518"


@settings(deadline=None, database=None)
@given(st.text("0123456789", min_size=1, max_size=20))
def test_iccid_round_trip(text: str) -> None:
    assert ids.iccid_digits(ids.iccid_bytes(text)) == text


@settings(deadline=None, database=None)
@given(st.text("0123456789", min_size=6, max_size=15))
def test_imsi_round_trip(text: str) -> None:
    assert ids.imsi_digits(ids.imsi_file(text)) == text


@settings(deadline=None, database=None)
@given(st.text("0123456789", min_size=5, max_size=6))
def test_plmn_round_trip(text: str) -> None:
    assert ids.plmn_digits(ids.plmn_bytes(text)) == text


@settings(deadline=None, database=None)
@given(st.binary(max_size=20))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (ids.eid_digits, ids.iccid_digits, ids.imsi_digits, ids.plmn_digits, ids.imei_digits):
        try:
            read(data)
        except DecodeError:
            continue


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (ids.eid_bytes, "8904"),
        (ids.eid_bytes, "8904903212345123451234567890123a"),
        (ids.eid_bytes, b"\x89"),
        (ids.iccid_bytes, ""),
        (ids.iccid_bytes, "8" * 21),
        (ids.iccid_bytes, "89 1"),
        (ids.iccid_bytes, b"\x98"),
        (ids.imsi_file, "00101"),
        (ids.plmn_bytes, "001"),
        (ids.imei_bytes, "49"),
        (ids.eid_with_check_digits, "89"),
    ],
)
def test_wrong_digits_are_refused(make: object, value: object) -> None:
    with pytest.raises(EncodeError):
        make(value)  # type: ignore[operator]
