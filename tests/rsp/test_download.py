from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.rsp import bsp, codec, download, ecdsa, tlv
from bench.rsp.download import ActivationCode
from bench.rsp.errors import DecodeError, EncodeError

from .vectors import ICCID, TRANSACTION

KEY = ecdsa.generate()
SERVER_POINT = ecdsa.point(ecdsa.generate().public_key())
CARD_POINT = ecdsa.point(ecdsa.generate().public_key())
KEYS = bsp.SessionKeys(b"\x01" * 16, b"\x02" * 16, b"\x03" * 16)
PROFILE_KEYS = bsp.SessionKeys(b"\x04" * 16, b"\x05" * 16, b"\x06" * 16)
METADATA = codec.encode("StoreMetadataRequest", {"iccid": ICCID, "serviceProviderName": "A", "profileName": "C"})
INITIALISE = download.initialise_secure_channel(
    transaction_id=TRANSACTION, host_id=b"host", smdp_otpk=SERVER_POINT, euicc_otpk=CARD_POINT, key=KEY
)


def bound(profile: bytes, **changes: object) -> bytes:
    fields: dict[str, object] = {"initialise": INITIALISE, "metadata": METADATA, "profile": profile, "keys": KEYS}
    return download.bind(**(fields | changes))  # type: ignore[arg-type]


def test_hash_cc_vector() -> None:
    expected = "6a78fabcd3839c4fcf8f2740f720131c40d2f2cc4aa1c2fdcad644d5624b827f"
    assert download.hash_cc("1234", TRANSACTION).hex() == expected


def test_signed_parts() -> None:
    assert (
        download.server_signed1(
            transaction_id=b"\x01", euicc_challenge=b"\x02" * 16, server_address="a", server_challenge=b"\x03" * 16
        ).hex()
        == "302a" + "800101" + "8110" + "02" * 16 + "830161" + "8410" + "03" * 16
    )
    assert download.smdp_signed2(transaction_id=b"\x01").hex() == "3006800101010100"
    assert download.smdp_signed2(transaction_id=b"\x01", cc_required=True, bpp_euicc_otpk=b"\x04").hex() == (
        "300a8001010101ff5f490104"
    )


def test_a_signature_covers_the_other_sides_as_data_object() -> None:
    do = download.signature_do(b"\xaa" * 64)
    assert do[:3] == bytes.fromhex("5f3740")
    assert download.smdp_signature2_input(b"\x30\x00", do) == b"\x30\x00" + do
    assert download.euicc_signature2_input(b"\x30\x00", do) == b"\x30\x00" + do
    with pytest.raises(EncodeError, match="5F37"):
        download.smdp_signature2_input(b"\x30\x00", b"\xaa" * 64)


def test_smdp_sign_covers_the_fields_without_their_outer_tag() -> None:
    node = tlv.first(INITIALISE)
    signature = node.find(0x5F37)
    assert signature is not None
    data = download.smdp_sign_input(INITIALISE, CARD_POINT)
    expected = (
        "820101" + "8008" + TRANSACTION.hex() + "a60c" + "800188" + "810110" + "8404" + b"host".hex()
        + "5f4941" + SERVER_POINT.hex() + "5f4941" + CARD_POINT.hex()
    )  # fmt: skip
    assert data.hex() == expected
    assert data == download.smdp_sign_input(node, CARD_POINT)
    assert ecdsa.verify(KEY.public_key(), signature.value, data)
    assert not ecdsa.verify(KEY.public_key(), signature.value, download.smdp_sign_input(INITIALISE, SERVER_POINT))
    decoded = codec.decode("InitialiseSecureChannelRequest", INITIALISE)
    assert decoded["remoteOpId"] == 1
    assert decoded["controlRefTemplate"] == {"keyType": b"\x88", "keyLen": b"\x10", "hostId": b"host"}
    with pytest.raises(DecodeError, match="lacks"):
        download.smdp_sign_input(bytes.fromhex("bf2303820101"), CARD_POINT)


def receive(units: list[bytes]) -> tuple[bytes, bytes, bytes]:
    """Take the units as an eUICC does; return ConfigureISDP, metadata and profile."""
    unprotector = bsp.Unprotector(KEYS)
    assert units[0][:2] == b"\xbf\x36"
    assert units[0].endswith(INITIALISE)
    isdp = unprotector.decrypt(tlv.first(units[1]).children()[0].raw)
    rest = units[2:]
    assert rest[0][0] == 0xA1
    metadata = profile = b""
    rest = rest[1:]
    while rest[0][0] == 0x88:
        metadata += unprotector.verify(rest.pop(0))
    if rest[0][0] == 0xA2:
        replace = b"".join(unprotector.decrypt(item.raw) for item in tlv.first(rest.pop(0)).children())
        keys = codec.decode("ReplaceSessionKeysRequest", replace)
        unprotector.replace(bsp.SessionKeys(keys["initialMacChainingValue"], keys["ppkEnc"], keys["ppkCmac"]))
    assert rest.pop(0)[0] == 0xA3
    for segment in rest:
        profile += unprotector.decrypt(segment)
    return isdp, metadata, profile


@pytest.mark.parametrize("profile_keys", [None, PROFILE_KEYS])
@pytest.mark.parametrize("length", [1, 1007, 1008, 12_120, 60_000, 200_000])
def test_a_package_is_bound_cut_and_read_again(length: int, profile_keys: bsp.SessionKeys | None) -> None:
    profile = bytes(index * 7 & 0xFF for index in range(length))
    bpp = bound(profile, profile_keys=profile_keys)
    units = download.segment_bpp(bpp)
    assert b"".join(units) == bpp
    assert receive(units) == (b"\xbf\x24\x00", METADATA, profile)
    decoded = codec.decode("BoundProfilePackage", bpp)
    assert ("secondSequenceOf87" in decoded) == (profile_keys is not None)
    assert codec.encode("BoundProfilePackage", decoded) == bpp


def test_units_are_those_of_section_2_5_5() -> None:
    units = download.segment_bpp(bound(bytes(3000), metadata=bytes(1500), profile_keys=PROFILE_KEYS))
    assert [unit[0] for unit in units] == [0xBF, 0xA0, 0xA1, 0x88, 0x88, 0xA2, 0xA3, 0x86, 0x86, 0x86]
    # Headers of A1 and A3 stand alone with the lengths of what follows in later commands.
    assert units[2] == b"\xa1" + tlv.length_bytes(len(units[3]) + len(units[4]))
    assert units[6] == b"\xa3" + tlv.length_bytes(sum(map(len, units[7:])))
    assert all(len(unit) <= 1020 for unit in units)


@pytest.mark.parametrize(
    "bpp",
    [
        "",
        "3000",
        "bf3600",
        "bf3603bf2300",
        "bf3609bf2300a100a000a300",
        "bf360bbf2300a000a1028700a300",
        "bf360bbf2300a000a100a3028800",
    ],
)
def test_what_is_no_bound_profile_package_is_refused(bpp: str) -> None:
    with pytest.raises(DecodeError):
        download.segment_bpp(bytes.fromhex(bpp))


BPP = bound(bytes(50))


@settings(deadline=2000, database=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=60), st.data())
def test_any_bytes_are_cut_or_refused(junk: bytes, data: st.DataObject) -> None:
    damaged = bytearray(BPP)
    damaged[data.draw(st.integers(0, len(BPP) - 1))] = data.draw(st.integers(0, 255))
    for raw in (junk, tlv.build(0xBF36, junk), bytes(damaged)):
        try:
            assert b"".join(download.segment_bpp(raw)) == raw
        except DecodeError:
            continue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LPA:1$smdpp.bench.example$AB-12", ActivationCode("smdpp.bench.example", "AB-12")),
        ("1$smdpp.bench.example$AB-12", ActivationCode("smdpp.bench.example", "AB-12")),
        ("lpa:1$a.example$", ActivationCode("a.example", "")),
        ("LPA:1$a.example$X$2.999.10", ActivationCode("a.example", "X", "2.999.10")),
        ("LPA:1$a.example$X$$1", ActivationCode("a.example", "X", None, True)),
        ("LPA:1$a.example$X$2.999.10$1", ActivationCode("a.example", "X", "2.999.10", True)),
    ],
)
def test_activation_codes(text: str, expected: ActivationCode) -> None:
    assert ActivationCode.parse(text) == expected
    assert ActivationCode.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "LPA:2$a$b", "LPA:1$a", "LPA:1$$b", "1$a$b$c$d$e", "https://a"])
def test_what_is_no_activation_code_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="no activation code"):
        ActivationCode.parse(text)
