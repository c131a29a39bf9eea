from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.rsp import codec, tlv
from bench.rsp.asn1 import generate
from bench.rsp.asn1.schema import SCHEMA
from bench.rsp.errors import DecodeError, EncodeError

from .vectors import EID, ICCID, vectors

TYPES = [(module, name) for module in SCHEMA for name in SCHEMA[module]["types"] if name != "ExpirationDate"]
quick = settings(deadline=2000, max_examples=300, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(("name", "value", "data"), vectors(), ids=lambda item: item if isinstance(item, str) else "")
def test_literal_vectors_both_ways(name: str, value: Any, data: bytes) -> None:
    assert codec.encode(name, value).hex() == data.hex()
    assert codec.decode(name, data) == value
    assert codec.decode(name, data, accept=()) == value


def test_the_compiled_schema_is_what_the_text_says() -> None:
    assert generate.TARGET.read_text(encoding="utf-8") == generate.generate(), "run python -m bench.rsp.asn1.generate"


def test_a_retagged_choice_is_refused_by_the_generator(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "M.asn").write_text(
        "M DEFINITIONS IMPLICIT TAGS ::= BEGIN T ::= [65] CHOICE { a [0] NULL } S ::= SEQUENCE { t [1] T } END"
    )
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    monkeypatch.setattr(generate, "SOURCES", ("M.asn",))
    with pytest.raises(ValueError, match=r"M\.S\.t: T is a tagged CHOICE"):
        generate.generate()


def test_module_decides_between_types_of_one_name() -> None:
    assert codec.encode("EuiccMemoryResetRequest", {"resetOptions": codec.bits(0)}).hex() == "bf640482020780"
    assert (
        codec.encode("EuiccMemoryResetRequest", {"resetOptions": codec.bits(0)}, module=codec.SGP22).hex()
        == "bf340482020780"
    )
    # A type only SGP.22 has is found from the default module.
    assert codec.encode("GetEuiccChallengeResponse", {"euiccChallenge": bytes(16)}).hex() == "bf2e128010" + "00" * 16


def test_object_identifiers_of_arc_2() -> None:
    data = codec.encode("DpProprietaryData", {"dpOid": "2.999.10"})
    assert data.hex() == "3005800388370a"
    assert codec.decode("DpProprietaryData", data) == {"dpOid": "2.999.10"}
    for oid in ("1.2.840.10045.3.1.7", "0.39", "2.0", "2.5.29.32", "1.39.0"):
        assert codec.decode("DpProprietaryData", codec.encode("DpProprietaryData", {"dpOid": oid})) == {"dpOid": oid}


def test_named_bits_lose_trailing_zeros_and_others_keep_them() -> None:
    assert codec.encode("PprIds", (b"\x40", 4)).hex() == "03020640"
    assert codec.encode("PprIds", (b"\x00", 8)).hex() == "030100"
    assert codec.encode("CatSupportedClasses", (b"\x40", 4)).hex() == "03020440"
    assert codec.positions(codec.decode("PprIds", bytes.fromhex("03020440"))) == {1}
    assert codec.bits(5) == (b"\x04", 6)
    assert codec.positions((b"\x04", 6)) == {5}
    assert codec.bits() == (b"", 0)


def test_integers_are_plain_ints() -> None:
    assert codec.decode("EnableProfileResult", b"\x02\x01\x02") == 2
    assert codec.decode("EnableProfileResult", b"\x02\x01\x63") == 99
    assert codec.decode("StateChangeCause", b"\x02\x02\x00\xff") == 255


def test_unknown_fields_are_skipped_wherever_they_stand() -> None:
    known = {"eidValue": EID, "stateChangeCause": 5}
    for foreign in ("9f7f0100", "bf7f0305000c", "04020102"):
        unknown = bytes.fromhex(foreign) if foreign != "bf7f0305000c" else bytes.fromhex("bf7f020500")
        parts = [tlv.build(0x5A, EID), b"\x81\x01\x05"]
        for position in range(3):
            body = [*parts[:position], unknown, *parts[position:]]
            assert codec.decode("GetEimPackageRequest", tlv.build(0xBF4F, *body)) == known


def test_fields_in_another_order_are_found() -> None:
    shuffled = tlv.build(0xE3, bytes.fromhex("9f700101"), bytes.fromhex("910142"), tlv.build(0x5A, ICCID))
    decoded = codec.decode("ProfileInfo", shuffled)
    assert decoded["iccid"] == ICCID
    assert decoded["profileState"] == 1
    assert decoded["serviceProviderName"] == "B"


def test_two_fields_with_one_tag_keep_their_order() -> None:
    first, second = (
        tlv.build(0x30, b"\x30\x00\x30\x00\x03\x01\x00"),
        tlv.build(0x30, b"\x30\x02\x05\x00\x30\x00\x03\x01\x00"),
    )
    value = {
        "tbsOtherNotification": {
            "seqNumber": 1,
            "profileManagementOperation": codec.bits(1),
            "notificationAddress": "a.example",
        },
        "euiccNotificationSignature": bytes(64),
        "euiccCertificate": first,
        "eumCertificate": second,
    }
    assert codec.decode("OtherSignedNotification", codec.encode("OtherSignedNotification", value)) == value


def test_an_unknown_alternative_names_its_tag() -> None:
    with pytest.raises(DecodeError, match=r"(?i)bf7a") as caught:
        codec.decode("GetEimPackageResponse", bytes.fromhex("bf4f05bf7a020500"))
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, BenchError)
    assert caught.value.where == "GetEimPackageResponse"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "one TLV is expected, there are 0"),
        ("bf", "cut off"),
        ("bf4f", "length of BF4F at offset 0 is missing"),
        ("bf4f030201010500", "one TLV is expected, there are 2"),
        ("bf4f80", "indefinite"),
        ("bf4f0402010100", "the length of 0 at offset 6 is missing"),
        ("bf4f850101010101", "longer than 4 bytes"),
        ("bf4f050202", "says 5 bytes, but 2 are left"),
        ("bf4f03030101", "03"),
        ("bf4f020200", "no octets"),
    ],
)
def test_broken_bytes_are_named(data: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        codec.decode("GetEimPackageResponse", bytes.fromhex(data))


def test_text_must_be_utf8() -> None:
    with pytest.raises(DecodeError, match="UTF-8"):
        codec.decode("EimIdInfo", bytes.fromhex("30038001ff"))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("GetEimPackageRequest", {"eidValu": EID}, "did you mean 'eidValue'"),
        ("GetEimPackageRequest", {}, "field 'eidValue' is missing"),
        ("GetEimPackageRequest", {"eidValue": "89"}, "eidValue: expected bytes, got str"),
        ("GetEimPackageRequest", {"eidValue": EID, "stateChangeCause": True}, "expected an integer, got bool"),
        ("GetEimPackageRequest", {"eidValue": EID, "stateChangeCause": "local"}, "expected an integer, got str"),
        ("GetEimPackageRequest", [EID], "expected a mapping"),
        ("Psmo", ("enabel", {"iccid": ICCID}), "did you mean 'enable'"),
        ("Psmo", {"enable": {}}, "expected a pair"),
        ("PprIds", (b"", 3), "3 bits do not fit 0 bytes"),
        ("PprIds", b"\x80", "expected a pair"),
        ("ProfileRollbackRequest", {"refreshFlag": 1}, "expected a bool"),
        ("DpProprietaryData", {"dpOid": "smdpp"}, "expected a dotted object identifier"),
        ("GetCertsResponse", ("certs", {"eumCertificate": b"", "euiccCertificate": b""}), "tag 30"),
        ("GetCertsResponse", ("certs", {"eumCertificate": b"\x30\x01", "euiccCertificate": b""}), "at least 1"),
        ("NoSuchType", 1, "no type 'NoSuchType'"),
    ],
)
def test_values_that_do_not_fit_are_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(EncodeError, match=message):
        codec.encode(name, value)


def test_certificates_are_opaque_and_keep_their_bytes() -> None:
    # A length octet more than DER needs: silicon does that, and a signature covers it.
    certificate = bytes.fromhex("30810730003000030100")
    value = ("certs", {"eumCertificate": certificate, "euiccCertificate": certificate})
    data = codec.encode("GetCertsResponse", value)
    assert data.hex() == "bf5616a014a5810730003000030100a6810730003000030100"
    assert codec.decode("GetCertsResponse", data) == value
    spki = bytes.fromhex("30073000030300aabb")
    eim = codec.encode("EimConfigurationData", {"eimId": "e", "eimPublicKeyData": ("eimPublicKey", spki)})
    assert eim.hex() == "300e800165a509a0073000030300aabb"


HANGING = [
    "3003040100",
    "a003040100",
    "bf5303040100",
    "a019800102810103830a8900101000000000019fa500a603040100",
    "bf2d06a004e302ff00",
    "3080",
    "30800000",
    "24802480248024800000",
    "30" * 200,
    "3084ffffffff00",
]


@pytest.mark.parametrize("data", HANGING, ids=lambda text: text[:12])
def test_no_type_hangs_on_junk(data: str) -> None:
    started = time.monotonic()
    for module, name in TYPES:
        try:
            codec.decode(name, bytes.fromhex(data), module=module)
        except DecodeError:
            continue
    assert time.monotonic() - started < 5


def test_depth_and_size_are_bounded() -> None:
    nested = b""
    for _ in range(64):
        nested = tlv.build(0x30, nested)
    with pytest.raises(DecodeError, match="nested deeper than 32"):
        codec.decode("VendorSpecificExtension", nested)
    with pytest.raises(DecodeError, match="more than the limit"):
        codec.decode("VersionType", tlv.build(0x04, bytes(1 << 20)))


@quick
@given(st.sampled_from(TYPES), st.binary(max_size=200))
def test_any_bytes_decode_or_raise_decode_error(kind: tuple[str, str], data: bytes) -> None:
    try:
        codec.decode(kind[1], data, module=kind[0])
    except DecodeError:
        return


@quick
@given(st.sampled_from(vectors()), st.data())
def test_damaged_messages_decode_or_raise_decode_error(vector: tuple[str, Any, bytes], data: st.DataObject) -> None:
    name, _, raw = vector
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        value = codec.decode(name, bytes(damaged))
    except DecodeError:
        return
    # What was understood can be said again, except for what only BER allows.
    codec.encode(name, value)


def test_types_are_compiled_once_by_many_threads() -> None:
    results: list[bytes] = []

    def work() -> None:
        for name, value, data in vectors():
            assert codec.encode(name, value) == data
        results.append(b"")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == 8
