from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.rsp import ecdsa
from bench.rsp.errors import DecodeError, EncodeError

CURVES = ("secp256r1", "brainpoolP256r1")


@pytest.mark.parametrize("curve", CURVES)
def test_signature_is_64_bytes_and_verifies(curve: str) -> None:
    key = ecdsa.generate(curve)
    signature = ecdsa.sign(key, b"data")
    assert len(signature) == 64
    assert ecdsa.verify(key.public_key(), signature, b"data")
    assert not ecdsa.verify(key.public_key(), signature, b"date")
    assert not ecdsa.verify(ecdsa.generate(curve).public_key(), signature, b"data")


def test_known_signature_of_rfc_6979() -> None:
    """RFC 6979 A.2.5: P-256, SHA-256, message "sample"."""
    point = bytes.fromhex(
        "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    )
    signature = bytes.fromhex(
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    )
    key = ecdsa.public_key_from_point("secp256r1", point)
    assert ecdsa.verify(key, signature, b"sample")
    assert not ecdsa.verify(key, signature, b"test")


def test_der_is_refused_unless_asked_for() -> None:
    key = ecdsa.generate()
    der = ecdsa.to_der(ecdsa.sign(key, b"data"))
    assert not ecdsa.verify(key.public_key(), der, b"data")
    assert ecdsa.verify(key.public_key(), der, b"data", accept_der=True)
    assert ecdsa.verify(key.public_key(), ecdsa.sign(key, b"data"), b"data", accept_der=True)
    assert ecdsa.from_der(b"\x30\x00") is None
    with pytest.raises(EncodeError):
        ecdsa.to_der(b"short")


@settings(deadline=None, database=None, max_examples=50)
@given(st.binary(max_size=80))
def test_any_bytes_as_signature_are_no_error(signature: bytes) -> None:
    public = KEY.public_key()
    assert not ecdsa.verify(public, signature, b"data")
    assert not ecdsa.verify(public, signature, b"data", accept_der=True)
    assert not ecdsa.verify(public, signature.ljust(64, b"\x00")[:64], b"data")


KEY = ecdsa.generate()


@pytest.mark.parametrize("curve", CURVES)
def test_points_and_spki(curve: str) -> None:
    public = ecdsa.generate(curve).public_key()
    point = ecdsa.point(public)
    assert (len(point), point[0]) == (65, 4)
    assert ecdsa.public_key_from_point(curve, point) == public
    assert ecdsa.public_key_from_spki(ecdsa.spki(public)) == public


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"\x30" * 40, bytes(65)])
def test_what_is_no_key_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        ecdsa.public_key_from_spki(data)
    with pytest.raises(DecodeError):
        ecdsa.public_key_from_point("secp256r1", data)


def test_other_curves_are_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    for key in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)):
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with pytest.raises(DecodeError, match="curves of RSP"):
            ecdsa.public_key_from_spki(spki)
    with pytest.raises(EncodeError, match="no curve of RSP"):
        ecdsa.generate("secp384r1")


@pytest.mark.parametrize("curve", CURVES)
def test_openssl_verifies_our_signature_and_we_its(curve: str, tmp_path: Path) -> None:
    key = ecdsa.generate(curve)
    files = {name: tmp_path / name for name in ("data", "sig", "pub.pem", "key.pem", "theirs")}
    files["data"].write_bytes(b"signed by either")
    files["sig"].write_bytes(ecdsa.to_der(ecdsa.sign(key, b"signed by either")))
    files["pub.pem"].write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    files["key.pem"].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    verify: list[str | Path] = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        files["pub.pem"],
        "-signature",
        files["sig"],
        files["data"],
    ]
    assert "Verified OK" in subprocess.run(verify, capture_output=True, text=True, timeout=20, check=True).stdout
    sign: list[str | Path] = [
        "openssl",
        "dgst",
        "-sha256",
        "-sign",
        files["key.pem"],
        "-out",
        files["theirs"],
        files["data"],
    ]
    subprocess.run(sign, capture_output=True, timeout=20, check=True)
    theirs = ecdsa.from_der(files["theirs"].read_bytes())
    assert theirs is not None
    assert ecdsa.verify(key.public_key(), theirs, b"signed by either")
