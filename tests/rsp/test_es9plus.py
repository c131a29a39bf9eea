"""The JSON binding of ES9+: literal bodies, and whatever else a server may send."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.rsp import es9plus
from bench.rsp.errors import DecodeError

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
# SGP.22 section 6.5.2.2: the members of an answer and of its header
REFUSED = (
    b'{"header":{"functionExecutionStatus":{"status":"Failed","statusCodeData":{"subjectCode":"8.2.6",'
    b'"reasonCode":"3.8","message":"Refused"}}}}'
)
# ServerSigned1: 80 transactionId, 81 euiccChallenge, 83 serverAddress, 84 serverChallenge
SIGNED1 = bytes.fromhex("3033 8004 01020304 8110" + "11" * 16 + "8307" + b"dp.test".hex() + "8410" + "22" * 16)


def test_literal_answers() -> None:
    assert es9plus.refusal(es9plus.answer(REFUSED)) == es9plus.Refusal("8.2.6", "3.8", "Refused")
    assert str(es9plus.Refusal("8.2.6", "3.8", "Refused")) == "8.2.6/3.8 Refused"
    done = es9plus.answer(b'{"header":{"functionExecutionStatus":{"status":"Executed-Success"}},"transactionId":"0A"}')
    assert es9plus.refusal(done) is None
    warned = es9plus.answer(b'{"header":{"functionExecutionStatus":{"status":"Executed-WithWarning"}}}')
    assert es9plus.refusal(warned) is None
    assert es9plus.answer(b"") == es9plus.answer(b" \n") == {}
    assert (es9plus.session_id(SIGNED1), es9plus.server_address(SIGNED1)) == (bytes.fromhex("01020304"), "dp.test")
    assert es9plus.transaction(b"\x0a\xff") == "0AFF"


def test_slices_are_kept_to_the_byte() -> None:
    loose = bytes.fromhex("3081020500")  # a length octet more than DER needs
    assert es9plus.slice_of({"k": base64.b64encode(loose).decode()}, "k", 0x30) == loose
    signature = bytes(range(64))
    bare = {"k": base64.b64encode(signature).decode()}
    assert es9plus.slice_of(bare, "k", 0x5F37, bare=True) == b"\x5f\x37\x40" + signature
    with pytest.raises(DecodeError, match="not one TLV 5F37"):
        es9plus.slice_of(bare, "k", 0x5F37)
    for value in (None, 7, "", "!", "MAA", base64.b64encode(loose + b"\x00").decode()):
        with pytest.raises(DecodeError):
            es9plus.slice_of({"k": value}, "k", 0x30)


@pytest.mark.parametrize(("flag", "required"), [("0101ff", True), ("010100", False), ("", False)])
def test_the_flag_for_a_confirmation_code(flag: str, required: bool) -> None:
    body = "800101" + flag
    signed2 = bytes.fromhex(f"30{len(body) // 2:02x}{body}")
    assert es9plus.confirmation_code_required(signed2) is required
    assert es9plus.confirmation_code_required(signed2[:-1]) is False


@pytest.mark.parametrize("text", ["dp.test", "dp.test:8443", "1.2.3.4", "a"])
def test_addresses(text: str) -> None:
    assert es9plus.is_address(text)


@pytest.mark.parametrize(
    "text", ["", "dp test", "dp.test/", "dp.test:", "user@dp.test", "dp.test:1234567", "\u00e4.test", "a\n"]
)
def test_what_is_no_address(text: str) -> None:
    assert not es9plus.is_address(text)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for reader in (es9plus.answer, es9plus.session_id, es9plus.server_address):
        try:
            reader(data)
        except DecodeError:
            pass
    es9plus.confirmation_code_required(data)
    es9plus.excerpt(data)


@given(VALUES, VALUES, st.sampled_from(["header", "functionExecutionStatus", "status", "k"]))
def test_any_json(value: Any, other: Any, key: str) -> None:
    for found in (
        {key: value},
        {"header": {key: value}},
        {"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": other}}},
    ):
        es9plus.refusal(found)
        try:
            es9plus.slice_of(found, key, 0x30, bare=True)
        except DecodeError:
            pass
    assert es9plus.answer(json.dumps({key: value}).encode()) == {key: value}
