from __future__ import annotations

import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.rsp import bsp, ecdsa
from bench.rsp.errors import DecodeError

HOST_ID = bytes.fromhex("01020304")
EID = "89044045930000000000002153893210"
KEYS = bsp.SessionKeys.from_shared_secret(bytes(range(32)), key_type=0x88, key_len=16, host_id=HOST_ID, eid=EID)

# Segments made by another implementation from the same shared secret: tag, plaintext, encrypted, segment.
VECTORS = [
    (0x87, bytes.fromhex("bf2400"), True, "8718d344e2fc22fd8c7317d0fdc985c1476314031e8762fd8b64"),
    (
        0x88,
        bytes.fromhex("bf25115a0a891010123456789012f1910142920143"),
        False,
        "881dbf25115a0a891010123456789012f1910142920143d49f326ebe0c4591",
    ),
    (0x86, b"\x11" * 20, True, "862888afba4db2297e0db9fddf1de97bd82f32ea9b3ef0abe4568a19e9c67c6095f3864ecf38651c8938"),
]


def test_key_derivation_vector() -> None:
    assert KEYS.mcv.hex() == "5953f5220ad506623630512ce48cfb9f"
    assert KEYS.s_enc.hex() == "ad8eb9b4bad470d367e0663d516cec5a"
    assert KEYS.s_mac.hex() == "80157c1f2e0b0f2849313ac8e93ff862"


def test_segment_vectors_both_ways() -> None:
    """The third needs the counter to have advanced for the second, which is not encrypted."""
    protector, unprotector = bsp.Protector(KEYS), bsp.Unprotector(KEYS)
    for tag, plaintext, encrypted, expected in VECTORS:
        made = protector.encrypt(tag, plaintext) if encrypted else protector.mac_only(tag, plaintext)
        assert [segment.hex() for segment in made] == [expected]
        segment = bytes.fromhex(expected)
        assert (unprotector.decrypt(segment) if encrypted else unprotector.verify(segment)) == plaintext


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 1006, 1007, 1008, 1009, 2014, 2015, 2016, 60000])
def test_segments_keep_the_limit_and_hold_everything(length: int) -> None:
    data = bytes(itertools.islice(itertools.cycle(range(251)), length))
    protector, unprotector = bsp.Protector(KEYS), bsp.Unprotector(KEYS)
    segments = protector.encrypt(0x86, data)
    assert all(len(segment) <= 1020 for segment in segments)
    assert len(segments) == max(1, -(-length // 1007))
    assert b"".join(map(unprotector.decrypt, segments)) == data
    plain = protector.mac_only(0x88, data)
    assert all(len(segment) <= 1020 for segment in plain)
    assert len(plain) == max(1, -(-length // 1008))
    assert b"".join(map(unprotector.verify, plain)) == data


def test_key_agreement_gives_both_sides_the_same_keys() -> None:
    for curve in ("secp256r1", "brainpoolP256r1"):
        server, card = ecdsa.generate(curve), ecdsa.generate(curve)
        ours = bsp.key_agreement(server, ecdsa.point(card.public_key()), 0x88, 16, HOST_ID, EID)
        theirs = bsp.key_agreement(card, ecdsa.point(server.public_key()), 0x88, 16, HOST_ID, bytes.fromhex(EID))
        assert ours == theirs


def test_a_point_that_is_not_on_the_curve_is_refused() -> None:
    key = ecdsa.generate()
    foreign = ecdsa.point(ecdsa.generate("brainpoolP256r1").public_key())
    for point in (foreign, foreign[:64], b"\x04" + bytes(64), b""):
        with pytest.raises(DecodeError):
            bsp.key_agreement(key, point, 0x88, 16, HOST_ID, EID)


def test_other_key_types_are_refused() -> None:
    for key_type, key_len in ((0x80, 16), (0x88, 32)):
        with pytest.raises(bsp.StructureError):
            bsp.SessionKeys.from_shared_secret(bytes(32), key_type=key_type, key_len=key_len, host_id=b"", eid=EID)


def test_replaced_keys_start_anew() -> None:
    other = bsp.SessionKeys(b"\x01" * 16, b"\x02" * 16, b"\x03" * 16)
    protector, unprotector = bsp.Protector(KEYS), bsp.Unprotector(KEYS)
    unprotector.decrypt(protector.encrypt(0x87, b"before")[0])
    protector.replace(other)
    unprotector.replace(other)
    segment = protector.encrypt(0x86, b"after")[0]
    assert segment == bsp.Protector(other).encrypt(0x86, b"after")[0]
    assert unprotector.decrypt(segment) == b"after"


def test_no_key_is_shown() -> None:
    text = f"{KEYS!r} {bsp.Protector(KEYS)!r} {bsp.Unprotector(KEYS)!r} {KEYS}"
    for secret in (KEYS.mcv, KEYS.s_enc, KEYS.s_mac):
        assert secret.hex() not in text
        assert repr(secret) not in text


def test_lost_repeated_and_reordered_segments_are_seen() -> None:
    segments = bsp.Protector(KEYS).encrypt(0x86, bytes(3000))
    for order in ([1], [0, 0], [0, 2]):
        unprotector = bsp.Unprotector(KEYS)
        for index in order[:-1]:
            unprotector.decrypt(segments[index])
        with pytest.raises(bsp.SecurityError):
            unprotector.decrypt(segments[order[-1]])


@pytest.mark.parametrize(
    "segment",
    ["", "86", "8680", "860401020304", "8608" + "00" * 7, "8608" + "00" * 9, "8684ffffffff", "86820400" + "00" * 1024],
)
def test_what_is_no_segment_is_a_structure_error(segment: str) -> None:
    with pytest.raises(bsp.StructureError):
        bsp.Unprotector(KEYS).verify(bytes.fromhex(segment))


def test_encrypted_data_of_no_whole_block_is_a_structure_error() -> None:
    segment = bsp.Protector(KEYS).mac_only(0x86, b"fifteen bytes..")[0]
    with pytest.raises(bsp.StructureError, match="whole blocks"):
        bsp.Unprotector(KEYS).decrypt(segment)


@pytest.mark.parametrize("block", [bytes(16), b"\xff" * 16, b"\x80" + bytes(14) + b"\x01", b"\x80" + bytes(31)])
def test_wrong_padding_is_a_security_error(block: bytes) -> None:
    """The MAC is right here: only a peer that pads otherwise makes such a segment."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    ecb = Cipher(algorithms.AES128(KEYS.s_enc), modes.ECB()).encryptor()
    encryptor = Cipher(algorithms.AES128(KEYS.s_enc), modes.CBC(ecb.update((1).to_bytes(16, "big")))).encryptor()
    segment = bsp.Protector(KEYS).mac_only(0x86, encryptor.update(block))[0]
    with pytest.raises(bsp.SecurityError, match="padding"):
        bsp.Unprotector(KEYS).decrypt(segment)


@settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=2500), st.data())
def test_a_changed_bit_is_seen(data: bytes, draw: st.DataObject) -> None:
    segments = bsp.Protector(KEYS).encrypt(0x86, data)
    which = draw.draw(st.integers(0, len(segments) - 1))
    position = draw.draw(st.integers(0, 8 * len(segments[which]) - 1))
    damaged = bytearray(segments[which])
    damaged[position // 8] ^= 0x80 >> position % 8
    unprotector = bsp.Unprotector(KEYS)
    for segment in segments[:which]:
        unprotector.decrypt(segment)
    with pytest.raises((bsp.SecurityError, bsp.StructureError)):
        unprotector.decrypt(bytes(damaged))


@settings(deadline=None, database=None)
@given(st.binary(max_size=1100))
def test_any_bytes_are_refused_with_the_two_errors_of_the_standard(data: bytes) -> None:
    for read in (bsp.Unprotector(KEYS).decrypt, bsp.Unprotector(KEYS).verify):
        with pytest.raises((bsp.SecurityError, bsp.StructureError)):
            read(data)


def test_curve_objects_are_taken_too() -> None:
    key = ecdsa.generate()
    assert ecdsa.public_key_from_point(ec.SECP256R1(), ecdsa.point(key.public_key())) == key.public_key()


def test_segments_as_one_test_smdpp_cuts_them() -> None:
    """1008 bytes of plaintext, then padding: 1036 bytes, 16 above the limit of SGP.22 section 2.5.4."""
    plaintext = bytes(range(256)) * 3 + bytes(240)
    protector = bsp.Protector(KEYS)
    segment = protector._encrypt_one(0x86, plaintext)
    assert (len(plaintext), len(segment), segment[:4].hex()) == (1008, 1036, "86820408")
    with pytest.raises(bsp.StructureError, match="1036 bytes, the limit is 1020"):
        bsp.Unprotector(KEYS).decrypt(segment)
    assert bsp.Unprotector(KEYS, limit=1036).decrypt(segment) == plaintext
