"""ESipa messages against literal vectors (SGP.32 sections 5.14 and 6.3), and any bytes a peer may send."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.rsp import tlv
from bench.rsp.errors import DecodeError
from fixtures.ipa import inventory, messages, requests
from fixtures.ipa.errors import EsipaError

EID = "89044045930000000000002153893210"
TX = bytes.fromhex("0102030405060708")


@pytest.mark.parametrize(
    ("made", "wire"),
    [
        (messages.get_eim_package(EID), "bf4f125a1089044045930000000000002153893210"),
        (
            messages.get_eim_package(EID, state_change=5, rplmn="26201"),
            "bf4f1c5a10890440459300000000000021538932108000810105820362f210",
        ),
        (
            messages.provide_result(EID, bytes.fromhex("bf5105a203800165")),
            "bf501a5a1089044045930000000000002153893210bf5105a203800165",
        ),
        (
            messages.handle_result(messages.provide_result(EID, messages.trigger_error(TX, 127, None))),
            "bf3d27bf50245a1089044045930000000000002153893210bf540f82080102030405060708300380017f",
        ),
        (
            messages.provide_result(EID, inventory.error(1, TX)),
            "bf50245a1089044045930000000000002153893210bf520fa10d80080102030405060708020101",
        ),
        (
            messages.provide_result(EID, messages.package_error(2)),
            "bf50175a1089044045930000000000002153893210a003020102",
        ),
        (messages.cancel_session(TX, bytes.fromhex("bf4103810105")), "bf410f80080102030405060708a103810105"),
        (
            messages.authenticate_client(TX, bytes.fromhex("bf380fa10d8008010203040506070802017f")),
            "bf3b1c80080102030405060708bf380fa10d8008010203040506070802017f",
        ),
        (
            messages.initiate_authentication(
                b"\xcc" * 16, info1=bytes.fromhex("bf2000"), smdp_address="dp.test", transaction_id=b"\x01"
            ),
            "bf3921" + "8110" + "cc" * 16 + "830764702e74657374" + "bf2000" + "820101",
        ),
    ],
)
def test_requests(made: bytes, wire: str) -> None:
    assert made.hex() == wire


@pytest.mark.parametrize(
    ("body", "numbers", "error"),
    [
        ("bf5006bf5303800107", (7,), None),
        ("bf500abf530780010780020080", (7, 128), None),
        ("bf50023000", (), None),
        ("bf5000", (), None),
        ("bf5003020102", (), 2),
    ],
)
def test_acknowledgements(body: str, numbers: tuple[int, ...], error: int | None) -> None:
    assert messages.read_acknowledgement(bytes.fromhex(body)) == messages.Acknowledgement(numbers, error)


def test_packages() -> None:
    assert messages.read_eim_package(bytes.fromhex("bf4f03020101")) == 1
    for inner, kind in (("bf5100", "euicc-package"), ("bf5200", "data-request"), ("bf5400", "trigger")):
        found = messages.read_eim_package(bytes.fromhex("bf4f03" + inner))
        assert found == messages.EimPackage(kind, bytes.fromhex(inner))
    other = messages.read_eim_package(bytes.fromhex("bf4f03bf7700"))
    assert isinstance(other, messages.EimPackage)
    assert other.kind == "unknown"


@pytest.mark.parametrize(
    ("raw", "trigger"),
    [
        ("bf541aa00e800c312464702e7465737424414282080102030405060708", ("activation-code", "1$dp.test$AB", TX)),
        ("bf5404a0028100", ("default-smdp", "", None)),
        ("bf5404a002a200", ("smds", "", None)),
        ("bf5400", ("eim", "", None)),
        ("bf5402a000", ("eim", "", None)),
        ("bf5404a0028500", ("unknown", "", None)),
    ],
)
def test_triggers(raw: str, trigger: tuple[str, str, bytes | None]) -> None:
    assert requests.read_trigger(bytes.fromhex(raw)) == requests.Trigger(*trigger)


def test_data_requests() -> None:
    found = requests.read_data_request(bytes.fromhex("bf52135c07bf20bf22a5a6a883080102030405060708"))
    assert found.tags == (0xBF20, 0xBF22, 0xA5, 0xA6, 0xA8)
    assert found.transaction_id == TX
    searched = requests.read_data_request(
        bytes.fromhex("bf5216" + "5c02a0a2" + "0402aabb" + "a10481020780" + "a203800109" + "830107")
    )
    assert searched == requests.DataRequest((0xA0, 0xA2), b"\xaa\xbb", None, 0x80, 9, b"\x07")


@pytest.mark.parametrize(
    ("tag", "code", "name", "codes"),
    [
        (0xBF39, 51, "smdpOidMismatch", ("", "")),
        (0xBF3B, 6, "matchingIdRefused", ("8.2.6", "3.8")),
        (0xBF3B, 127, "undefinedError", ("", "")),
        (0xBF3A, 95, "invalidTransactionId", ("8.10.1", "3.9")),
        (0xBF3A, 77, "77", ("", "")),
    ],
)
def test_refusals(tag: int, code: int, name: str, codes: tuple[str, str]) -> None:
    readers = {
        0xBF39: messages.read_authentication,
        0xBF3B: messages.read_client_authentication,
        0xBF3A: messages.read_bound_profile_package,
    }
    for error_tag in (0x81, 0x82):  # the standard has 82 in AuthenticateClient and 81 elsewhere
        found = readers[tag](tlv.build(tag, tlv.build(error_tag, bytes((code,)))))
        assert isinstance(found, messages.ServerRefusal)
        assert (found.code, found.name, (found.subject_code, found.reason_code)) == (code, name, codes)


def test_cancellations() -> None:
    assert messages.read_cancellation(bytes.fromhex("bf4102a000")) is None
    assert messages.read_cancellation(bytes.fromhex("bf4103810102")) == 2


def test_names_for_people() -> None:
    assert messages.function(bytes.fromhex("bf4f00")) == "ESipa.GetEimPackage"
    assert messages.function(bytes.fromhex("bf7700")) == "ESipa.BF77"


READERS: list[tuple[int, Callable[[bytes], object]]] = [
    (0xBF4F, messages.read_eim_package),
    (0xBF50, messages.read_acknowledgement),
    (0xBF39, messages.read_authentication),
    (0xBF3B, messages.read_client_authentication),
    (0xBF3A, messages.read_bound_profile_package),
    (0xBF41, messages.read_cancellation),
    (0xBF54, requests.read_trigger),
    (0xBF52, requests.read_data_request),
]
TAGS = [0xA0, 0xA1, 0xA2, 0x30, 0xBF53, 0xBF25, 0xBF36, 0x80, 0x81, 0x82, 0x83, 0x02, 0x04, 0x0C, 0x5C, 0x5F37]


def nodes(depth: int) -> st.SearchStrategy[bytes]:
    leaf = st.builds(tlv.build, st.sampled_from(TAGS[7:]), st.binary(max_size=10))
    if depth == 0:
        return leaf
    inner = st.builds(
        lambda tag, parts: tlv.build(tag, *parts), st.sampled_from(TAGS[:7]), st.lists(nodes(depth - 1), max_size=7)
    )
    return leaf | inner


@given(st.sampled_from(READERS), st.lists(nodes(3), max_size=5))
def test_any_answer_is_read_or_refused(reader: tuple[int, Callable[[bytes], object]], parts: list[bytes]) -> None:
    tag, read = reader
    try:
        read(tlv.build(tag, *parts))
    except (EsipaError, DecodeError):
        pass


@given(st.sampled_from(READERS), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(reader: tuple[int, Callable[[bytes], object]], raw: bytes) -> None:
    try:
        reader[1](raw)
    except (EsipaError, DecodeError):
        pass


@given(st.binary(max_size=40))
def test_any_tag_list_is_read_or_refused(raw: bytes) -> None:
    try:
        tags = requests.read_tags(raw)
    except DecodeError:
        return
    assert b"".join(tlv.tag_bytes(tag) for tag in tags) == raw
