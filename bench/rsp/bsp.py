"""BSP, the protection of a Bound Profile Package (SGP.22 section 2.6.4, formerly SCP03t).

Keys come from an ECKA between the one-time keys of SM-DP+ and eUICC. Each segment is encrypted (AES-128-CBC with a
counter as ICV) and authenticated, or only authenticated (AES-CMAC over the chain of MACs). A segment, with its tag,
length and MAC, has at most 1020 bytes. The counter advances for every segment, whether encrypted or not.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from bench.rsp import ecdsa, ids, tlv
from bench.rsp.errors import DecodeError, RspError

KEY_TYPE_AES = 0x88
KEY_LENGTH = 16
BLOCK = 16
MAC_LENGTH = 8
SEGMENT_LIMIT = 1020
# Tag (1), length octets (3) and MAC (8) of the largest segment; an encrypted one is padded to blocks.
MAC_ONLY_LIMIT = SEGMENT_LIMIT - 4 - MAC_LENGTH
PLAINTEXT_LIMIT = MAC_ONLY_LIMIT // BLOCK * BLOCK - 1


class SecurityError(RspError):
    """A segment's MAC or padding is wrong: ErrorReason scp03tSecurityError (8) of SGP.22."""


class StructureError(RspError, ValueError):
    """A segment is no TLV of a length that can hold a MAC: ErrorReason scp03tStructureError (7) of SGP.22."""


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """Keys of one BSP session, 16 bytes each: initial MAC chaining value, S-ENC, S-MAC. Never shown by repr."""

    mcv: bytes = field(repr=False)
    s_enc: bytes = field(repr=False)
    s_mac: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not len(self.mcv) == len(self.s_enc) == len(self.s_mac) == KEY_LENGTH:
            raise StructureError("BSP keys have 16 bytes each")

    @classmethod
    def from_shared_secret(
        cls, shared_secret: bytes, *, key_type: int, key_len: int, host_id: bytes, eid: str | bytes
    ) -> SessionKeys:
        """Derive the keys from the ECKA result (X9.63 KDF with SHA-256, SharedInfo as in SGP.22 section 2.6.4.1)."""
        if key_type != KEY_TYPE_AES or key_len != KEY_LENGTH:
            raise StructureError(f"key type {key_type:#04x} with length {key_len} is not AES-128 (88, 16)")
        eid = ids.eid_bytes(eid)
        shared_info = bytes((key_type, key_len, len(host_id))) + host_id + bytes((len(eid),)) + eid
        derived = X963KDF(hashes.SHA256(), 3 * KEY_LENGTH, shared_info).derive(shared_secret)
        return cls(derived[:16], derived[16:32], derived[32:])


def key_agreement(
    private_key: ec.EllipticCurvePrivateKey,
    peer_point: bytes,
    key_type: int,
    key_len: int,
    host_id: bytes,
    eid: str | bytes,
) -> SessionKeys:
    """Return the session keys of one's own one-time key and the peer's point (65 bytes, on the same curve).

    Raises DecodeError for a point that is not on the curve.
    """
    peer = ecdsa.public_key_from_point(private_key.curve, peer_point)
    shared = private_key.exchange(ec.ECDH(), peer)
    return SessionKeys.from_shared_secret(shared, key_type=key_type, key_len=key_len, host_id=host_id, eid=eid)


class _Session:
    """Counter, MAC chaining value and ciphers of one direction."""

    def __init__(self, keys: SessionKeys) -> None:
        self.replace(keys)

    def replace(self, keys: SessionKeys) -> None:
        """Go on with other keys (ReplaceSessionKeys, SGP.22 section 5.5.4): counter and chain start anew."""
        self._enc = algorithms.AES128(keys.s_enc)
        self._mac = algorithms.AES128(keys.s_mac)
        # ECB has no state between blocks, so that one context makes every ICV.
        self._icv = Cipher(self._enc, modes.ECB()).encryptor()
        self._mcv = keys.mcv
        self._counter = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(segments={self._counter})"

    def _cipher(self) -> Cipher[modes.CBC]:
        return Cipher(self._enc, modes.CBC(self._icv.update(self._counter.to_bytes(BLOCK, "big"))))

    def _cmac(self, header_and_data: bytes) -> bytes:
        mac = CMAC(self._mac)
        mac.update(self._mcv + header_and_data)
        return mac.finalize()


class Protector(_Session):
    """The sending side, the SM-DP+."""

    def encrypt(self, tag: int, plaintext: bytes) -> list[bytes]:
        """Return segments with ``tag`` (0x87 or 0x86) that hold ``plaintext`` encrypted; at least one."""
        return [self._encrypt_one(tag, piece) for piece in _pieces(plaintext, PLAINTEXT_LIMIT)]

    def mac_only(self, tag: int, data: bytes) -> list[bytes]:
        """Return segments with ``tag`` (0x88) that hold ``data`` in clear with a MAC; at least one."""
        segments = []
        for piece in _pieces(data, MAC_ONLY_LIMIT):
            self._counter += 1
            segments.append(self._close(tag, piece))
        return segments

    def _encrypt_one(self, tag: int, plaintext: bytes) -> bytes:
        self._counter += 1
        padded = plaintext + b"\x80" + bytes(-(len(plaintext) + 1) % BLOCK)
        encryptor = self._cipher().encryptor()
        return self._close(tag, encryptor.update(padded) + encryptor.finalize())

    def _close(self, tag: int, data: bytes) -> bytes:
        body = tlv.tag_bytes(tag) + tlv.length_bytes(len(data) + MAC_LENGTH) + data
        self._mcv = self._cmac(body)
        return body + self._mcv[:MAC_LENGTH]


class Unprotector(_Session):
    """The receiving side, the eUICC. After an error the session is dead: the standard ends the download."""

    def __init__(self, keys: SessionKeys, *, limit: int = SEGMENT_LIMIT) -> None:
        """``limit``: bytes of the longest segment that is taken."""
        super().__init__(keys)
        self._limit = limit

    def decrypt(self, segment: bytes) -> bytes:
        """Return the plaintext of an encrypted segment. Raises SecurityError or StructureError."""
        data = self._open(segment)
        if not data or len(data) % BLOCK:
            raise StructureError(f"{len(data)} bytes of encrypted data are no whole blocks")
        decryptor = self._cipher().decryptor()
        padded = decryptor.update(data) + decryptor.finalize()
        stripped = padded.rstrip(b"\x00")
        if not stripped.endswith(b"\x80") or len(padded) - len(stripped) >= BLOCK:
            raise SecurityError("the padding of the segment is wrong")
        return stripped[:-1]

    def verify(self, segment: bytes) -> bytes:
        """Return the data of a segment that has only a MAC. Raises SecurityError or StructureError."""
        return self._open(segment)

    def _open(self, segment: bytes) -> bytes:
        if len(segment) > self._limit:
            raise StructureError(f"the segment has {len(segment)} bytes, the limit is {self._limit}")
        try:
            tag, header, length = tlv.header(segment)
        except DecodeError as error:
            raise StructureError(error.what) from error
        if header + length != len(segment) or length < MAC_LENGTH:
            raise StructureError(
                f"the segment {tag:X} has {len(segment) - header} bytes of content, its length says {length}"
            )
        self._counter += 1
        mac = self._cmac(segment[:-MAC_LENGTH])
        if not hmac.compare_digest(mac[:MAC_LENGTH], segment[-MAC_LENGTH:]):
            raise SecurityError(f"the MAC of segment {self._counter} ({tag:X}) is wrong")
        self._mcv = mac
        return segment[header:-MAC_LENGTH]


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[offset : offset + size] for offset in range(0, len(data), size)] or [b""]
