"""An eUICC and its LPA for tests, written on raw TLVs only: it shares no message code with the SM-DP+.

Every step can be made wrong with a hook, which is what a real card or a virtual one cannot do.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from typing import Any

import by_hand
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import SubjectKeyIdentifier, load_der_x509_certificate

from fixtures.pki import Credential, Pki

EID = "89049032123451234512345678901235"
ADDRESS = "smdpp.bench.example"
Call = Callable[[str, dict[str, Any]], Any]


def t(tag: int, *values: bytes) -> bytes:
    """Return a DER TLV."""
    return by_hand.tlv(f"{tag:0{2 + 2 * (tag > 0xFF)}X}", *values)


def parts(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """Return tag, value and raw of sibling TLVs."""
    return [(int.from_bytes(tag, "big"), content, raw) for tag, content, raw in by_hand.split(data)]


def value_of(data: bytes, *path: int) -> bytes:
    for tag in path:
        data = next(value for found, value, _ in parts(data) if found == tag)
    return data


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return t(0x5F37, r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def verify(certificate: bytes, signature_do: bytes, data: bytes) -> None:
    raw = value_of(signature_do, 0x5F37)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(der, data, ec.ECDSA(hashes.SHA256()))


def _several(keys: bytes | list[bytes]) -> list[bytes]:
    return [keys] if isinstance(keys, bytes) else keys


def swapped(digits: str) -> bytes:
    digits = digits.ljust(20, "F")
    return bytes.fromhex("".join(digits[at + 1] + digits[at] for at in range(0, 20, 2)))


class Refused(Exception):
    """The SM-DP+ answered Failed."""

    def __init__(self, data: dict[str, str]) -> None:
        super().__init__(str(data))
        self.code = data["subjectCode"], data["reasonCode"]
        self.message = data.get("message", "")


class Device:
    """One eUICC with its LPA. ``call`` performs an ES9+ function and returns the JSON answer (None for 204)."""

    def __init__(self, pki: Pki, call: Call, *, eid: str = EID, credential: Credential | None = None) -> None:
        self.call_raw = call
        self.eid = eid
        self.own = credential or pki.euicc(eid)
        self.eum = self.own.issuers[0]
        self.ci = pki.ci.certificate
        extensions = load_der_x509_certificate(self.ci).extensions
        self.ci_key_id = extensions.get_extension_for_class(SubjectKeyIdentifier).value.digest
        self.sequence = 0
        self.challenge = os.urandom(16)
        self.transaction = b""
        self.dp_pb = b""
        self.free = 300_000
        self.iot = True
        """Whether its EUICCInfo2 has what SGP.32 adds; False: a consumer eUICC of SGP.22."""
        self.profile_version = b"\x02\x03\x01"
        self.forbidden: bytes | None = None
        self.change: Callable[[str, bytes], bytes] = lambda _name, data: data
        """Called with the name and the bytes of everything that is signed or sent, to make it wrong."""
        self.one_time_key: ec.EllipticCurvePrivateKey | None = None

    def call(self, function: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.call_raw(function, body)
        if answer is None:
            return {}
        status = answer["header"]["functionExecutionStatus"]
        if status["status"] != "Executed-Success":
            raise Refused(status["statusCodeData"])
        return dict(answer)

    # --- steps --------------------------------------------------------------------------------------------------------

    def info1(
        self,
        svn: bytes = b"\x02\x05\x00",
        verification: bytes | list[bytes] | None = None,
        signing: bytes | list[bytes] | None = None,
    ) -> bytes:
        return t(
            0xBF20,
            t(0x82, svn),
            t(0xA9, *(t(0x04, key) for key in _several(verification or self.ci_key_id))),
            t(0xAA, *(t(0x04, key) for key in _several(signing or self.ci_key_id))),
        )

    def info2(self) -> bytes:
        return t(
            0xBF22,
            t(0x81, self.profile_version),
            t(0x82, b"\x02\x05\x00"),
            t(0x83, b"\x01\x00\x00"),
            t(0x84, t(0x81, b"\x00"), t(0x82, self.free.to_bytes(4, "big")), t(0x83, b"\x00\x10\x00")),
            t(0x85, b"\x01\x7f\x80"),
            t(0x88, b"\x02\x80"),
            t(0xA9, t(0x04, self.ci_key_id)),
            t(0xAA, t(0x04, self.ci_key_id)),
            t(0x99, self.forbidden) if self.forbidden is not None else b"",
            t(0x04, b"\x00\x00\x01"),
            t(0x0C, b"XX-YY"),
            *((t(0x90, b"\x00"), t(0xB4, t(0xA0, t(0x04, b"\x01\x02\x00")))) if self.iot else ()),
        )

    def initiate(self, *, address: str = ADDRESS, info1: bytes | None = None) -> dict[str, Any]:
        self.challenge = os.urandom(16)
        answer = self.call(
            "initiateAuthentication",
            {"euiccChallenge": b64(self.challenge), "euiccInfo1": b64(info1 or self.info1()), "smdpAddress": address},
        )
        self.server_signed1 = unb64(answer["serverSigned1"])
        self.transaction = bytes.fromhex(answer["transactionId"])
        certificate = unb64(answer["serverCertificate"])
        verify(certificate, unb64(answer["serverSignature1"]), self.server_signed1)
        load_der_x509_certificate(certificate).verify_directly_issued_by(load_der_x509_certificate(self.ci))
        inner = value_of(self.server_signed1, 0x30)
        assert value_of(inner, 0x80) == self.transaction
        assert value_of(inner, 0x81) == self.challenge
        assert value_of(inner, 0x83).decode() == ADDRESS
        assert unb64(answer["euiccCiPKIdToBeUsed"]) == t(0x04, self.ci_key_id)
        self.server_challenge = value_of(inner, 0x84)
        return answer

    def authenticate_body(self, matching_id: str | None) -> dict[str, Any]:
        device_info = t(0xA1, t(0x80, b"\x35\x29\x06\x11"), t(0xA1, t(0x85, b"\x0e\x00\x00")))
        signed1 = self.change(
            "euiccSigned1",
            t(
                0x30,
                t(0x80, self.change("transactionId1", self.transaction)),
                t(0x83, self.change("serverAddress", ADDRESS.encode())),
                t(0x84, self.change("serverChallenge", self.server_challenge)),
                self.info2(),
                t(0xA0, t(0x80, matching_id.encode()) if matching_id is not None else b"", device_info),
            ),
        )
        self.signature1 = self.change("euiccSignature1", sign(self.own.key, signed1))
        signed1 = self.change("euiccSigned1 after signing", signed1)
        response = t(
            0xBF38,
            t(
                0xA0,
                signed1,
                self.signature1,
                self.change("euiccCertificate", self.own.certificate),
                self.change("eumCertificate", self.eum),
            ),
        )
        return {
            "transactionId": self.transaction.hex().upper(),
            "authenticateServerResponse": b64(self.change("authenticateServerResponse", response)),
        }

    def authenticate(self, matching_id: str | None) -> dict[str, Any]:
        return self.take_offer(self.call("authenticateClient", self.authenticate_body(matching_id)))

    def take_offer(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Check an answer to AuthenticateClient and go on with it."""
        self.metadata = unb64(answer["profileMetadata"])
        self.signed2 = unb64(answer["smdpSigned2"])
        self.signature2 = unb64(answer["smdpSignature2"])
        self.dp_pb = unb64(answer["smdpCertificate"])
        verify(self.dp_pb, self.signature2, self.signed2 + self.signature1)
        assert bytes.fromhex(answer["transactionId"]) == self.transaction == value_of(self.signed2, 0x30, 0x80)
        return answer

    @property
    def curve(self) -> ec.EllipticCurve:
        """Curve of CERT.DPpb, which the one-time keys are on (the card's own before it was seen)."""
        key = load_der_x509_certificate(self.dp_pb or self.ci).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return key.curve

    @property
    def code_required(self) -> bool:
        return value_of(self.signed2, 0x30, 0x01) != b"\x00"

    @property
    def offered_otpk(self) -> bytes | None:
        return next((value for tag, value, _ in parts(value_of(self.signed2, 0x30)) if tag == 0x5F49), None)

    def prepare_body(self, code: str | None = None, *, keep_key: bool = False) -> dict[str, Any]:
        if self.one_time_key is None or not keep_key:
            self.one_time_key = ec.generate_private_key(self.curve)
        self.otpk = self.one_time_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        hash_cc = b""
        if code is not None:
            hash_cc = t(0x04, hashlib.sha256(hashlib.sha256(code.encode()).digest() + self.transaction).digest())
        signed2 = self.change(
            "euiccSigned2",
            t(
                0x30,
                t(0x80, self.change("transactionId2", self.transaction)),
                t(0x5F49, self.change("euiccOtpk", self.otpk)),
                hash_cc,
            ),
        )
        signature = self.change("euiccSignature2", sign(self.own.key, signed2 + self.signature2))
        response = t(0xBF21, t(0xA0, signed2, signature))
        return {
            "transactionId": self.transaction.hex().upper(),
            "prepareDownloadResponse": b64(self.change("prepareDownloadResponse", response)),
        }

    def get_bpp(self, code: str | None = None, *, keep_key: bool = False) -> bytes:
        answer = self.call("getBoundProfilePackage", self.prepare_body(code, keep_key=keep_key))
        self.bpp = unb64(answer["boundProfilePackage"])
        return self.bpp

    def load(self, bpp: bytes) -> tuple[bytes, bytes, bytes]:
        """Check and decrypt the BPP with code of our own; return ConfigureISDP, metadata and profile elements."""
        assert self.one_time_key is not None
        outer = parts(value_of(bpp, 0xBF36))
        assert [tag for tag, _, _ in outer] == [0xBF23, 0xA0, 0xA1, 0xA3]
        initialise = parts(outer[0][1])
        assert [tag for tag, _, _ in initialise] == [0x82, 0x80, 0xA6, 0x5F49, 0x5F37]
        assert initialise[1][1] == self.transaction
        signed = b"".join(raw for _, _, raw in initialise[:4]) + t(0x5F49, self.otpk)
        verify(self.dp_pb, initialise[4][2], signed)
        reference = initialise[2][1]
        assert (value_of(reference, 0x80), value_of(reference, 0x81)) == (b"\x88", b"\x10")
        host_id = value_of(reference, 0x84)
        point = ec.EllipticCurvePublicKey.from_encoded_point(self.curve, initialise[3][1])
        shared = self.one_time_key.exchange(ec.ECDH(), point)
        info = b"\x88\x10" + bytes((len(host_id),)) + host_id + b"\x10" + bytes.fromhex(self.eid)
        keys = X963KDF(hashes.SHA256(), 48, info).derive(shared)
        chain, s_enc, s_mac, counter = keys[:16], keys[16:32], keys[32:], 0
        contents: list[bytes] = []
        for tag, group, encrypted in ((0x87, outer[1], True), (0x88, outer[2], False), (0x86, outer[3], True)):
            plain = b""
            for found, value, raw in parts(group[1]):
                assert found == tag
                assert len(raw) <= 1020
                counter += 1
                mac = CMAC(algorithms.AES(s_mac))
                mac.update(chain + raw[:-8])
                chain = mac.finalize()
                assert chain[:8] == raw[-8:]
                data = value[:-8]
                if encrypted:
                    ecb = Cipher(algorithms.AES(s_enc), modes.ECB()).encryptor()
                    icv = ecb.update(counter.to_bytes(16, "big"))
                    cbc = Cipher(algorithms.AES(s_enc), modes.CBC(icv)).decryptor()
                    data = cbc.update(data).rstrip(b"\0")
                    assert data[-1] == 0x80
                    data = data[:-1]
                plain += data
            contents.append(plain)
        return contents[0], contents[1], contents[2]

    # --- results ------------------------------------------------------------------------------------------------------

    def notification_metadata(self, event: int, iccid: str | None) -> bytes:
        self.sequence += 1
        return t(
            0xBF2F,
            t(0x80, self.sequence.to_bytes(self.sequence.bit_length() // 8 + 1, "big")),
            t(0x81, bytes((7 - event, 0x80 >> event))),
            t(0x0C, ADDRESS.encode()),
            t(0x5A, swapped(iccid)) if iccid else b"",
        )

    def pir(self, iccid: str | None, *, error: tuple[int, int] | None = None, oid: bytes | None = None) -> bytes:
        final = (
            t(0xA1, t(0x80, bytes((error[0],))), t(0x81, bytes((error[1],))))
            if error
            else t(
                0xA0,
                t(0x4F, bytes.fromhex("A0000005591010FFFFFFFF8900001000")),
                t(0x04, bytes.fromhex("3007a0053003800100")),
            )
        )
        data = t(
            0xBF27,
            t(0x80, self.transaction),
            self.notification_metadata(0, iccid),
            t(0x06, oid or bytes.fromhex("88370a")),
            t(0xA2, final),
        )
        return t(0xBF37, data, self.change("euiccSignPIR", sign(self.own.key, data)))

    def event(self, event: int, iccid: str) -> bytes:
        """``event``: 1 enable, 2 disable, 3 delete."""
        metadata = self.notification_metadata(event, iccid)
        return t(
            0x30,
            metadata,
            self.change("notificationSignature", sign(self.own.key, metadata)),
            self.own.certificate,
            self.eum,
        )

    def notify(self, notification: bytes) -> None:
        self.call("handleNotification", {"pendingNotification": b64(notification)})

    def cancel(self, reason: int, *, oid: bytes | None = None) -> None:
        signed = t(
            0x30,
            t(0x80, self.change("transactionId3", self.transaction)),
            t(0x81, oid or bytes.fromhex("88370a")),
            t(0x82, bytes((reason,))),
        )
        response = t(0xBF41, t(0xA0, signed, self.change("cancelSignature", sign(self.own.key, signed))))
        self.call(
            "cancelSession",
            {"transactionId": self.transaction.hex().upper(), "cancelSessionResponse": b64(response)},
        )

    def download(self, matching_id: str | None, code: str | None = None) -> tuple[bytes, bytes, bytes]:
        self.initiate()
        self.authenticate(matching_id)
        return self.load(self.get_bpp(code))
