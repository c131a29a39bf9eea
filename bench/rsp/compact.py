"""Compact forms of ESipa (IpaCapabilities minimizeEsipaBytes, SGP.32 section 5.14): bytes to bytes, no I/O.

The IPA leaves out what the eIM has seen before, the eIM puts it back: what goes on to the SM-DP+ is byte for byte what
the eUICC signed. Each ``shrink_...`` returns the compact form only when the ``rebuild_...`` beside it makes exactly
those bytes of it again, and otherwise the message as it came. Each ``rebuild_...`` returns a full form as it is, and
checks the eUICC's signature over what it has put together.

Both sides hold the same two things: what is ``Known`` of the eUICC, and the download ``Session``. ``raw`` arguments and
results are TLVs with their tags: BF38, BF21, BF41, BF37 or 30.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from bench.rsp import certs, ecdsa, tlv
from bench.rsp.download import OTPK, SIGNATURE, SIMA_RESPONSE_OK
from bench.rsp.errors import DecodeError
from bench.rsp.tlv import Tlv, build

FULL, COMPACT = 0xA0, 0xA2
INFO2, EXTENDED_CARD_RESOURCE = 0xBF22, 0x84
INSTALLATION_RESULT, METADATA = 0xBF37, 0xBF2F
COMPACT_INSTALLATION_RESULT, COMPACT_NOTIFICATION = 0xA0, 0xA1
_INSTALLED: Final = bytes.fromhex("0780")
"""NotificationEvent with the bit notificationInstall."""
_AID: Final = bytes.fromhex("A0000005591010FFFFFFFF8900"), bytes(1)
"""An ISD-P's AID (SGP.02 annex H): before and after the two octets that tell ISD-Ps apart, its 14th and 15th."""
_REASONS: Final = (127, 0, 1, 2, 3, 4, 5)
"""CancelSessionReason, the one first that is meant when none is given and no signature says otherwise."""
OTHER_REASON: Final = 127


class NotRebuilt(DecodeError):
    """A compact form cannot be put together: something is not known, or it is not what the eUICC signed."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an eUICC on both sides."""

    info2: bytes | None = None
    """EUICCInfo2 (BF22); its extCardResource (84) may have changed since."""
    certificates: tuple[tuple[bytes, bytes], ...] = ()
    """DER of the eUICC's and its EUM's certificate, one pair for each CI."""


@dataclass(frozen=True, slots=True)
class Session:
    """What both sides know of a download session, from what went through them."""

    server_signed1: bytes
    """30 as the SM-DP+ sent it."""
    server_certificate: bytes = field(default=b"", repr=False)
    """CERT.DPauth, whose subjectAltName has the SM-DP+'s OID."""
    ci_key_id: bytes | None = None
    """euiccCiPKIdentifierToBeUsed."""
    ctx_params1: bytes | None = None
    """A0 that the eIM made, None when the IPA makes it."""
    smdp_signed2: bytes | None = None
    smdp_signature2: bytes | None = None
    """5F37."""
    iccid: bytes | None = None
    """Of the profile (10 bytes), from the metadata."""

    @property
    def transaction_id(self) -> bytes:
        """The SM-DP+'s transactionId."""
        return _need(tlv.first(self.server_signed1), 0x80).value

    def prepared(self, smdp_signed2: bytes, smdp_signature2: bytes, metadata: bytes | None) -> Session:
        """Return the session with what AuthenticateClient brought; ``metadata``: BF25."""
        iccid = None
        if metadata:
            with suppress(DecodeError):
                found = tlv.first(metadata).find(0x5A)
                iccid = found.value if found is not None else None
        return replace(self, smdp_signed2=smdp_signed2, smdp_signature2=smdp_signature2, iccid=iccid)


def is_compact(raw: bytes | Tlv) -> bool:
    """Return whether an answer of the eUICC (BF38, BF21, BF41) or a pending notification is in its compact form.

    Raises DecodeError for bytes that are no TLV.
    """
    node = raw if isinstance(raw, Tlv) else tlv.first(raw)
    if node.tag in (COMPACT_INSTALLATION_RESULT, COMPACT_NOTIFICATION):
        return True
    return node.tag in (0xBF38, 0xBF21, 0xBF41) and node.find(COMPACT) is not None


# --- AuthenticateServer ---------------------------------------------------------------------------------------------


def shrink_authentication(raw: bytes, session: Session, known: Known) -> bytes:
    """Return CompactAuthenticateResponseOk for the eUICC's BF38: without certificates and euiccInfo2 that are known."""

    def shrink(node: Tlv) -> bytes:
        signed, signature, *chain = _need(node, FULL).children()
        if (signed.tag, signature.tag, [item.tag for item in chain]) != (0x30, SIGNATURE, [0x30, 0x30]):
            raise DecodeError("no AuthenticateResponseOk")
        euicc, eum = chain
        leave_out = (euicc.raw, eum.raw) in known.certificates
        certificates = b"" if leave_out else tlv.retag(euicc.raw, 0xA1) + tlv.retag(eum.raw, 0xA2)
        data = signed.raw
        with suppress(DecodeError):
            context = _need(signed, 0xA0).raw
            made = build(
                0xA0,
                _need(signed, INFO2, EXTENDED_CARD_RESOURCE).raw,
                b"" if context == session.ctx_params1 else build(0xA2, context),
            )
            if _signed1(tlv.first(made), session, known) == signed.raw:
                data = made
        return build(node.tag, build(COMPACT, data, signature.raw, certificates))

    return _smaller(raw, shrink, lambda made: rebuild_authentication(made, session, known, verify=False))


def rebuild_authentication(raw: bytes, session: Session, known: Known, *, verify: bool = True) -> bytes:
    """Return the BF38 that the eUICC made. Raises NotRebuilt, DecodeError."""
    node = tlv.first(raw)
    compact = node.find(COMPACT)
    if node.tag != 0xBF38 or compact is None:
        return raw
    data, signature = compact.find(0x30) or _need(compact, 0xA0), _need(compact, SIGNATURE)
    signed = data.raw if data.tag == 0x30 else _signed1(data, session, known)
    given = [_certificate(item) for item in compact.children()[1:] if item.tag in (0xA1, 0xA2)]
    pairs = [(given[0], given[1])] if len(given) == 2 else list(known.certificates)
    euicc, eum = _signer(pairs, signature.value, signed, session.ci_key_id, verify=verify)
    return build(node.tag, build(FULL, signed, signature.raw, euicc, eum))


def _signed1(compact: Tlv, session: Session, known: Known) -> bytes:
    if known.info2 is None:
        raise NotRebuilt("the eUICC's euiccInfo2 is not known")
    server = tlv.first(session.server_signed1)
    resource = _need(compact, EXTENDED_CARD_RESOURCE)
    context = compact.find(0xA2)
    params = context.value if context is not None else session.ctx_params1
    if params is None:
        raise NotRebuilt("ctxParams1 is left out, and the eIM made none")
    info2 = build(
        INFO2,
        *(
            resource.raw if field.tag == EXTENDED_CARD_RESOURCE else field.raw
            for field in tlv.first(known.info2).children()
        ),
    )
    return build(0x30, *(_need(server, tag).raw for tag in (0x80, 0x83, 0x84)), info2, params)


# --- PrepareDownload ------------------------------------------------------------------------------------------------


def shrink_preparation(raw: bytes, session: Session) -> bytes:
    """Return CompactPrepareDownloadResponseOk for the eUICC's BF21: no transactionId, no key that the SM-DP+ has."""

    def shrink(node: Tlv) -> bytes:
        signed, signature = _need(node, FULL).children()
        key = _need(signed, OTPK)
        same = (held := _held_key(session)) is not None and key.value == held.value
        code = signed.find(0x04)
        data = build(0x30, b"" if same else key.raw, code.raw if code is not None else b"")
        return build(node.tag, build(COMPACT, data, signature.raw))

    return _smaller(raw, shrink, lambda made: rebuild_preparation(made, session, Known()))


def rebuild_preparation(raw: bytes, session: Session, known: Known) -> bytes:
    """Return the BF21 that the eUICC made. Raises NotRebuilt, DecodeError."""
    node = tlv.first(raw)
    compact = node.find(COMPACT)
    if node.tag != 0xBF21 or compact is None:
        return raw
    data, signature = _need(compact, 0x30), _need(compact, SIGNATURE)
    key, code = data.find(OTPK) or _held_key(session), data.find(0x04)
    if key is None:
        raise NotRebuilt("euiccOtpk is left out, and the SM-DP+ has none of this eUICC")
    transaction = _need(tlv.first(session.server_signed1), 0x80)
    signed = build(0x30, transaction.raw, key.raw, code.raw if code is not None else b"")
    if session.smdp_signature2 is not None:
        _signer(known.certificates, signature.value, signed + session.smdp_signature2, session.ci_key_id, needed=False)
    return build(node.tag, build(FULL, signed, signature.raw))


def _held_key(session: Session) -> Tlv | None:
    return tlv.first(session.smdp_signed2).find(OTPK) if session.smdp_signed2 is not None else None


# --- CancelSession --------------------------------------------------------------------------------------------------


def shrink_cancellation(raw: bytes, session: Session) -> bytes:
    """Return CompactCancelSessionResponseOk for the eUICC's BF41: the reason alone."""

    def shrink(node: Tlv) -> bytes:
        signed, signature = _need(node, FULL).children()
        return build(node.tag, build(COMPACT, build(0x30, build(0x80, _need(signed, 0x82).value)), signature.raw))

    return _smaller(raw, shrink, lambda made: rebuild_cancellation(made, session, Known()))


def rebuild_cancellation(raw: bytes, session: Session, known: Known) -> bytes:
    """Return the BF41 that the eUICC made. Raises NotRebuilt, DecodeError.

    A reason that is left out is the one whose signature is right; undefinedReason when no certificate is known.
    """
    node = tlv.first(raw)
    compact = node.find(COMPACT)
    if node.tag != 0xBF41 or compact is None:
        return raw
    data, signature = _need(compact, 0x30), _need(compact, SIGNATURE)
    given = data.find(0x80)
    oid = _oid(session)
    transaction = _need(tlv.first(session.server_signed1), 0x80)
    values = [given.value] if given is not None else [bytes((reason,)) for reason in _REASONS]
    problem: NotRebuilt | None = None
    for value in values:
        signed = build(0x30, transaction.raw, build(0x81, oid), build(0x82, value))
        try:
            _signer(known.certificates, signature.value, signed, session.ci_key_id, needed=False)
        except NotRebuilt as error:
            problem = error
            continue
        return build(node.tag, build(FULL, signed, signature.raw))
    assert problem is not None
    raise problem


# --- notifications --------------------------------------------------------------------------------------------------


def shrink_installation(raw: bytes, session: Session) -> bytes:
    """Return CompactProfileInstallationResult for the eUICC's BF37: no metadata, no OID, two octets of the AID."""

    def shrink(node: Tlv) -> bytes:
        data, signature = _need(node, 0xBF27), _need(node, SIGNATURE)
        about = _need(data, METADATA)
        iccid = b"" if about.find(0x5A) is not None else build(0x01, b"\x00")
        final = _need(data, 0xA2)
        done, failed = final.find(0xA0), final.find(0xA1)
        if done is not None:
            sima = done.find(0x04)
            text = b"" if sima is not None and sima.value == SIMA_RESPONSE_OK else sima.raw if sima is not None else b""
            ended = build(0xA0, build(0x4F, _need(done, 0x4F).value[13:15]), text)
        elif failed is not None:
            ended = failed.raw
        else:
            raise DecodeError("no finalResult")
        parts = (_need(data, 0x80).raw, build(0x02, _need(about, 0x80).value), iccid, build(0xA2, ended))
        return build(COMPACT_INSTALLATION_RESULT, build(0xA0, *parts), signature.raw)

    return _smaller(raw, shrink, lambda made: rebuild_installation(made, session, Known()))


def rebuild_installation(raw: bytes, session: Session, known: Known) -> bytes:
    """Return the BF37 that the eUICC made. Raises NotRebuilt, DecodeError."""
    node = tlv.first(raw)
    if node.tag != COMPACT_INSTALLATION_RESULT:
        return raw
    data, signature = _need(node, 0xA0), _need(node, SIGNATURE)
    present = data.find(0x01)
    iccid = b""
    if present is None or any(present.value):
        if session.iccid is None:
            raise NotRebuilt("the profile's ICCID is not known")
        iccid = build(0x5A, session.iccid)
    address = _need(tlv.first(session.server_signed1), 0x83).value
    about = build(METADATA, build(0x80, _need(data, 0x02).value), build(0x81, _INSTALLED), build(0x0C, address), iccid)
    final = _need(data, 0xA2)
    done, failed = final.find(0xA0), final.find(0xA1)
    if done is not None:
        octets = _need(done, 0x4F).value
        if len(octets) != 2:
            raise NotRebuilt(f"compactAid has {len(octets)} octets, 2 are due")
        sima = done.find(0x04)
        ended = build(
            0xA0,
            build(0x4F, _AID[0], octets, _AID[1]),
            sima.raw if sima is not None else build(0x04, SIMA_RESPONSE_OK),
        )
    elif failed is not None:
        ended = failed.raw
    else:
        raise DecodeError("no compactFinalResult", where="CompactProfileInstallationResult")
    signed = build(0xBF27, _need(data, 0x80).raw, about, build(0x06, _oid(session)), build(0xA2, ended))
    _signer(known.certificates, signature.value, signed, session.ci_key_id, needed=False)
    return build(INSTALLATION_RESULT, signed, signature.raw)


def shrink_notification(raw: bytes, known: Known, *, eid: bytes | None = None) -> bytes:
    """Return CompactOtherSignedNotification for the eUICC's 30: without its certificates, when they are known.

    ``eid``: put into it, for a message that does not tell of which eUICC it is.
    """

    def shrink(node: Tlv) -> bytes:
        about, signature, euicc, eum = node.children()
        if (euicc.raw, eum.raw) not in known.certificates:
            return raw
        ci = certs.authority_key_id(eum.raw) if len(known.certificates) > 1 else None
        return build(
            COMPACT_NOTIFICATION,
            build(0x5A, eid) if eid is not None else b"",
            about.raw,
            signature.raw,
            build(0x04, ci) if ci is not None else b"",
        )

    return _smaller(raw, shrink, lambda made: rebuild_notification(made, known, verify=False))


def rebuild_notification(raw: bytes, known: Known, *, verify: bool = True) -> bytes:
    """Return the OtherSignedNotification (30) that the eUICC made. Raises NotRebuilt, DecodeError."""
    node = tlv.first(raw)
    if node.tag != COMPACT_NOTIFICATION:
        return raw
    about, signature, ci = _need(node, METADATA), _need(node, SIGNATURE), node.find(0x04)
    euicc, eum = _signer(
        known.certificates, signature.value, about.raw, ci.value if ci is not None else None, verify=verify
    )
    return build(0x30, about.raw, signature.raw, euicc, eum)


# --- common ---------------------------------------------------------------------------------------------------------


def _smaller(raw: bytes, shrink: Callable[[Tlv], bytes], rebuild: Callable[[bytes], bytes]) -> bytes:
    """Return what ``shrink`` makes of a TLV, or the TLV: when it is of another form, no smaller, or not to be rebuilt.

    Only what is signed, the signature and the certificates count: lengths around them may be written otherwise.
    """
    try:
        made = shrink(tlv.first(raw))
        return made if len(made) < len(raw) and _leaves(rebuild(made)) == _leaves(raw) else raw
    except (DecodeError, ValueError):
        return raw


def _leaves(raw: bytes) -> list[bytes]:
    """Return the TLVs of a message below those around them: signed data, signatures, certificates."""
    node = tlv.first(raw)
    inner = node.find(FULL) if node.tag in (0xBF38, 0xBF21, 0xBF41) else node
    return [child.raw for child in (inner or node).children()]


def _signer(
    pairs: Iterable[tuple[bytes, bytes]],
    signature: bytes,
    signed: bytes,
    ci: bytes | None,
    *,
    needed: bool = True,
    verify: bool = True,
) -> tuple[bytes, bytes]:
    """Return the certificates whose key made the signature, those of the CI ``ci`` first. Raises NotRebuilt.

    ``needed`` False: nothing is checked (and nothing returned) while none is known; ``verify`` False: one alone is not
    checked.
    """
    candidates = sorted(pairs, key=lambda pair: ci is None or certs.authority_key_id(pair[1]) != ci)
    if not candidates:
        if needed:
            raise NotRebuilt("the eUICC's certificates are left out and not known")
        return b"", b""
    if not verify and len(candidates) == 1:
        return candidates[0]
    for pair in candidates:
        if ecdsa.verify(certs.public_key(pair[0]), signature, signed, accept_der=True):
            return pair
    raise NotRebuilt("what is put together of the compact form is not what the eUICC signed")


def _oid(session: Session) -> bytes:
    """Return the octets of the SM-DP+'s OID."""
    dotted = certs.registered_id(session.server_certificate) if session.server_certificate else None
    if dotted is None:
        raise NotRebuilt("the SM-DP+'s certificate has no OID")
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    octets = bytearray()
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        octets += bytes(reversed(groups))
    return bytes(octets)


def _certificate(node: Tlv) -> bytes:
    """Return a Certificate with tag 30: implicit as in the standard, or nested."""
    children = node.children()
    return children[0].raw if len(children) == 1 and children[0].tag == 0x30 else tlv.retag(node.raw, 0x30)


def _need(node: Tlv, *tags: int) -> Tlv:
    found = node.find(*tags)
    if found is None:
        raise DecodeError(f"{'/'.join(f'{tag:X}' for tag in tags)} is missing in {node.tag:X}")
    return found
