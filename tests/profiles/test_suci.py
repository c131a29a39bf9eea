"""SUCI: the published vectors of TS 33.501 annex C.4, the file that says how, and what cannot be read."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from hypothesis import given
from hypothesis import strategies as st

from bench.rsp import ids
from bench.rsp.errors import DecodeError
from fixtures.profiles.suci import PROFILE_A, PROFILE_B, CalcInfo, conceal, ecies, msin

# TS 33.501 annex C.4.3 (profile A) and C.4.4 (profile B): IMSI 274-012-001002086
PUBLIC_A = bytes.fromhex("5a8d38864820197c3394b92613b20b91633cbd897119273bf8e4a6f4eec0a650")
EPHEMERAL_A = bytes.fromhex("c80949f13ebe61af4ebdbd293ea4f942696b9e815d7e8f0096bbf6ed7de62256")
OUTPUT_A = "b2e92f836055a255837debf850b528997ce0201cb82adfe4be1f587d07d8457dcb02352410cddd9e730ef3fa87"
PUBLIC_B = bytes.fromhex("0272da71976234ce833a6907425867b82e074d44ef907dfb4b3e21c1c2256ebcd1")
EPHEMERAL_B = int("99798858a1dc6a2c68637149a4b1dbfd1fdff5addd62a2142f06699ed7602529", 16)
OUTPUT_B = "039aab8376597021e855679a9778ea0b67396e68c66df32c0f41e9acca2da9b9d146a33fc2716ac7dae96aa30a4d"
IMSI = ids.imsi_file("274012001002086")

# EF.SUCI_Calc_Info of TS 31.121 section 4.9.4: profile B first, then A, then the null scheme; keys 27 and 30
FILE = bytes.fromhex(f"a006020101020000a14b80011b8121{PUBLIC_B.hex()}80011e8120{PUBLIC_A.hex()}")


def test_published_vectors() -> None:
    plain = msin("001002086")
    assert plain.hex() == "00012080f6"
    key = x25519.X25519PrivateKey.from_private_bytes(EPHEMERAL_A)
    assert ecies(PROFILE_A, PUBLIC_A, plain, key).hex() == OUTPUT_A
    own = ec.derive_private_key(EPHEMERAL_B, ec.SECP256R1())
    assert ecies(PROFILE_B, PUBLIC_B, plain, own).hex() == OUTPUT_B


def test_the_file_decides() -> None:
    info = CalcInfo.parse(FILE + b"\xff" * 20)
    assert info.schemes == ((2, 1), (1, 2), (0, 0))
    assert info.keys == ((27, PUBLIC_B), (30, PUBLIC_A))
    own = ec.derive_private_key(EPHEMERAL_B, ec.SECP256R1())
    made = conceal(IMSI, mnc_length=3, routing_indicator=b"\x21\x43", calculation=info, ephemeral=own)
    assert made.hex() == "01" + "722410" + "2143" + "02" + "1b" + OUTPUT_B
    first = x25519.X25519PrivateKey.from_private_bytes(EPHEMERAL_A)
    only_a = CalcInfo(((1, 2),), info.keys)
    made = conceal(IMSI, mnc_length=3, routing_indicator=b"", calculation=only_a, ephemeral=first)
    assert made.hex() == "01" + "722410" + "f0ff" + "01" + "1e" + OUTPUT_A


@pytest.mark.parametrize("info", [CalcInfo(), CalcInfo(((0, 0), (1, 1)), ((1, PUBLIC_A),)), CalcInfo(((1, 3),))])
def test_the_null_scheme_shows_the_imsi(info: CalcInfo) -> None:
    made = conceal(IMSI, mnc_length=3, routing_indicator=b"\xf0\xff", calculation=info)
    assert made.hex() == "01" + "722410" + "f0ff" + "00" + "00" + "00012080f6"


def test_each_suci_is_another() -> None:
    info = CalcInfo.parse(FILE)
    assert len({conceal(IMSI, mnc_length=3, routing_indicator=b"", calculation=info) for _ in range(4)}) == 4


def test_no_key() -> None:
    with pytest.raises(DecodeError, match="profile A"):
        ecies(PROFILE_A, bytes(31), b"", None)
    with pytest.raises(DecodeError, match="profile B"):
        ecies(PROFILE_B, bytes(33), b"", None)


@given(st.binary(max_size=60))
def test_any_file_is_read_or_refused(data: bytes) -> None:
    try:
        CalcInfo.parse(data)
    except DecodeError:
        pass
