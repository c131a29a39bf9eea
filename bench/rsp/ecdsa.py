"""ECDSA with SHA-256 as RSP uses it (SGP.22 section 2.6.7): signatures are r and s one after the other (BSI TR-03111).

Curves: NIST P-256 and brainpoolP256r1, so every signature has 64 bytes and every point ``04 X Y`` 65 bytes.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from bench.rsp.errors import DecodeError, EncodeError

SIGNATURE_LENGTH = 64
POINT_LENGTH = 65
_ALGORITHM = ec.ECDSA(hashes.SHA256())
_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "secp256r1": ec.SECP256R1,
    "brainpoolP256r1": ec.BrainpoolP256R1,
}


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Return the signature over ``data``: 64 bytes."""
    r, s = decode_dss_signature(key.sign(data, _ALGORITHM))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify(public_key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes, *, accept_der: bool = False) -> bool:
    """Return whether ``signature`` over ``data`` is the key owner's.

    ``accept_der``: take also the DER form that one eIM in the field sends (cards refuse it).
    """
    if accept_der:
        signature = from_der(signature) or signature
    if len(signature) != SIGNATURE_LENGTH:
        return False
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    try:
        public_key.verify(der, data, _ALGORITHM)
    except InvalidSignature:
        return False
    return True


def to_der(signature: bytes) -> bytes:
    """Return the DER form (Ecdsa-Sig-Value) of a 64-byte signature: what X.509 uses and one eIM sends by mistake."""
    if len(signature) != SIGNATURE_LENGTH:
        raise EncodeError(f"a signature has 64 bytes, not {len(signature)}")
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


def from_der(signature: bytes) -> bytes | None:
    """Return the 64 bytes of a signature in DER form, None when it is not in that form."""
    try:
        r, s = decode_dss_signature(signature)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    except (ValueError, OverflowError):
        return None


def generate(curve: str = "secp256r1") -> ec.EllipticCurvePrivateKey:
    """Return a new key on ``secp256r1`` or ``brainpoolP256r1``."""
    return ec.generate_private_key(_curve(curve))


def public_key_from_spki(der: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key of a SubjectPublicKeyInfo. Raises DecodeError."""
    try:
        key = serialization.load_der_public_key(der)
    except Exception as error:  # cryptography raises several kinds for outside bytes
        raise DecodeError(f"no SubjectPublicKeyInfo: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise DecodeError("the public key is on none of the curves of RSP (P-256, brainpoolP256r1)")
    return key


def spki(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the DER SubjectPublicKeyInfo of a public key."""
    return public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def point(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the 65 bytes of the uncompressed point."""
    return public_key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def public_key_from_point(curve: str | ec.EllipticCurve, data: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key of an uncompressed point (65 bytes). Raises DecodeError when it is not on the curve."""
    if len(data) != POINT_LENGTH or data[0] != 4:
        raise DecodeError(f"{data[:4].hex()}... ({len(data)} bytes) is no uncompressed point of 65 bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_curve(curve), data)
    except ValueError as error:
        raise DecodeError(f"the point is not on {_name(curve)}") from error


def _name(curve: str | ec.EllipticCurve) -> str:
    return curve if isinstance(curve, str) else curve.name


def _curve(curve: str | ec.EllipticCurve) -> ec.EllipticCurve:
    name = _name(curve)
    if name not in _CURVES:
        raise EncodeError(f"{name!r} is no curve of RSP; there are {', '.join(_CURVES)}")
    return _CURVES[name]()
