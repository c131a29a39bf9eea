"""Profile download: what each side signs, and how a Bound Profile Package is made and cut (SGP.22 sections 2.5, 3.1).

``raw`` arguments are TLVs exactly as sent or received, with their tags; a ``do`` is a signature with its tag 5F37.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from bench.rsp import bsp, codec, ecdsa, tlv
from bench.rsp.errors import DecodeError, EncodeError
from bench.rsp.tlv import Tlv, build

SIGNATURE = 0x5F37
OTPK = 0x5F49
SIMA_RESPONSE_OK = bytes.fromhex("3007a0053003800100")
"""simaResponse of a successful installation (TCA profile package: EUICCResponse with PEStatus ok)."""
INSTALL_BOUND_PROFILE_PACKAGE = 1


def signature_do(signature: bytes) -> bytes:
    """Return the data object of a signature."""
    return build(SIGNATURE, signature)


# --- what is signed (SGP.22 sections 5.6 and 5.7) -------------------------------------------------------------------


def server_signed1(
    *, transaction_id: bytes, euicc_challenge: bytes, server_address: str, server_challenge: bytes
) -> bytes:
    """Return serverSigned1 (30); serverSignature1 is over these bytes with SK.DPauth."""
    return codec.encode(
        "ServerSigned1",
        {
            "transactionId": transaction_id,
            "euiccChallenge": euicc_challenge,
            "serverAddress": server_address,
            "serverChallenge": server_challenge,
        },
    )


def smdp_signed2(*, transaction_id: bytes, cc_required: bool = False, bpp_euicc_otpk: bytes | None = None) -> bytes:
    """Return smdpSigned2 (30); ``bpp_euicc_otpk``: the one-time key of an earlier binding that is still there."""
    value: dict[str, object] = {"transactionId": transaction_id, "ccRequiredFlag": cc_required}
    if bpp_euicc_otpk is not None:
        value["bppEuiccOtpk"] = bpp_euicc_otpk
    return codec.encode("SmdpSigned2", value)


def smdp_signature2_input(smdp_signed2_raw: bytes, euicc_signature1_do: bytes) -> bytes:
    """Return what SK.DPpb signs: smdpSigned2 and euiccSignature1 as a data object (5F37)."""
    return smdp_signed2_raw + _signature(euicc_signature1_do)


def euicc_signature2_input(euicc_signed2_raw: bytes, smdp_signature2_do: bytes) -> bytes:
    """Return what SK.EUICC signs: euiccSigned2 and smdpSignature2 as a data object (5F37)."""
    return euicc_signed2_raw + _signature(smdp_signature2_do)


def smdp_sign_input(initialise_secure_channel: bytes | Tlv, euicc_otpk: bytes) -> bytes:
    """Return what SK.DPpb signs in InitialiseSecureChannel (BF23): its fields before smdpSign, and the eUICC's key.

    ``euicc_otpk``: 65 bytes. Raises DecodeError when a field is missing.
    """
    node = initialise_secure_channel
    node = node if isinstance(node, Tlv) else tlv.first(node)
    parts = [node.find(tag) for tag in (0x82, 0x80, 0xA6, OTPK)]
    if node.tag != 0xBF23 or None in parts:
        raise DecodeError("InitialiseSecureChannel (BF23) lacks one of 82, 80, A6, 5F49")
    return b"".join(part.raw for part in parts if part is not None) + build(OTPK, euicc_otpk)


def hash_cc(code: str, transaction_id: bytes) -> bytes:
    """Return hashCc of a confirmation code (SGP.22 section 5.7.5): SHA-256(SHA-256(code) | transactionId)."""
    return hashlib.sha256(hashlib.sha256(code.encode()).digest() + transaction_id).digest()


def _signature(do: bytes) -> bytes:
    if not do.startswith(b"\x5f\x37"):
        raise EncodeError("a signature is expected as data object with tag 5F37")
    return do


# --- Bound Profile Package (SGP.22 section 2.5) ---------------------------------------------------------------------


def initialise_secure_channel(
    *,
    transaction_id: bytes,
    host_id: bytes,
    smdp_otpk: bytes,
    euicc_otpk: bytes,
    key: ec.EllipticCurvePrivateKey,
) -> bytes:
    """Return InitialiseSecureChannel (BF23), signed with SK.DPpb; points are 65 bytes."""
    fields = b"".join(
        (
            build(0x82, bytes((INSTALL_BOUND_PROFILE_PACKAGE,))),
            build(0x80, transaction_id),
            build(
                0xA6,
                build(0x80, bytes((bsp.KEY_TYPE_AES,))),
                build(0x81, bytes((bsp.KEY_LENGTH,))),
                build(0x84, host_id),
            ),
            build(OTPK, smdp_otpk),
        )
    )
    return build(0xBF23, fields, build(SIGNATURE, ecdsa.sign(key, fields + build(OTPK, euicc_otpk))))


def bind(
    *,
    initialise: bytes,
    metadata: bytes,
    profile: bytes,
    keys: bsp.SessionKeys,
    configure_isdp: bytes = b"\xbf\x24\x00",
    profile_keys: bsp.SessionKeys | None = None,
) -> bytes:
    """Return a Bound Profile Package (BF36).

    ``initialise``: BF23; ``metadata``: StoreMetadata (BF25), the same bytes as in AuthenticateClient; ``profile``: the
    profile elements; ``profile_keys``: profile protection keys, sent by ReplaceSessionKeys, else the session keys.
    """
    protector = bsp.Protector(keys)
    parts = [
        build(0xA0, *protector.encrypt(0x87, configure_isdp)),
        build(0xA1, *protector.mac_only(0x88, metadata)),
    ]
    if profile_keys is not None:
        replace = build(
            0xBF26,
            build(0x80, profile_keys.mcv),
            build(0x81, profile_keys.s_enc),
            build(0x82, profile_keys.s_mac),
        )
        parts.append(build(0xA2, *protector.encrypt(0x87, replace)))
        protector.replace(profile_keys)
    parts.append(build(0xA3, *protector.encrypt(0x86, profile)))
    return build(0xBF36, initialise, *parts)


def segment_bpp(bpp: bytes) -> list[bytes]:
    """Return what goes to the eUICC in one STORE DATA chain each (SGP.22 section 2.5.5).

    BF36 header with BF23; A0; A1 header; each 88; A2 if there; A3 header; each 86. Raises DecodeError.
    """
    outer = tlv.first(bpp)
    children = outer.children() if outer.tag == 0xBF36 else []
    order = [child.tag for child in children]
    if order not in ([0xBF23, 0xA0, 0xA1, 0xA3], [0xBF23, 0xA0, 0xA1, 0xA2, 0xA3]):
        shown = " ".join(f"{tag:X}" for tag in order) or f"tag {outer.tag:X}"
        raise DecodeError(f"no Bound Profile Package: BF36 with BF23 A0 A1 [A2] A3 is expected, there is {shown}")
    units = [outer.raw[: outer.header] + children[0].raw]
    for child in children[1:]:
        if child.tag in (0xA0, 0xA2):
            units.append(child.raw)
        else:
            units.append(child.raw[: child.header])
            units.extend(_segments(child, 0x88 if child.tag == 0xA1 else 0x86))
    return units


def _segments(parent: Tlv, tag: int) -> Sequence[bytes]:
    segments = parent.children()
    wrong = [segment for segment in segments if segment.tag != tag]
    if wrong:
        raise DecodeError(f"{parent.tag:X} of the Bound Profile Package holds {wrong[0].tag:X} where {tag:X} belongs")
    return [segment.raw for segment in segments]


# --- activation code (SGP.22 section 4.1) ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ActivationCode:
    """``LPA:1$address$matchingId[$OID[$1]]``."""

    address: str
    matching_id: str
    smdp_oid: str | None = None
    confirmation_code_required: bool = False

    @classmethod
    def parse(cls, text: str) -> ActivationCode:
        """Return the parts of an activation code, with or without the prefix ``LPA:``. Raises DecodeError."""
        body = text.strip()
        if body[:4].upper() == "LPA:":
            body = body[4:]
        parts = body.split("$")
        clear = all(part.isprintable() and " " not in part for part in parts)
        if parts[0] != "1" or not 3 <= len(parts) <= 5 or not parts[1] or not clear:
            raise DecodeError(f"{text!r} is no activation code", hint="LPA:1$<SM-DP+ address>$<matchingId>")
        oid = parts[3] if len(parts) > 3 and parts[3] else None
        return cls(parts[1], parts[2], oid, len(parts) > 4 and parts[4] == "1")

    def __str__(self) -> str:
        text = f"LPA:1${self.address}${self.matching_id}"
        if self.smdp_oid or self.confirmation_code_required:
            text += f"${self.smdp_oid or ''}"
        return text + ("$1" if self.confirmation_code_required else "")
