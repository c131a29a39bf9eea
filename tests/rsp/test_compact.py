"""Compact forms of ESipa: literal full forms to literal compact ones and back, byte for byte what the eUICC signed."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.rsp import certs, codec, compact, ecdsa, tlv
from bench.rsp.compact import Known, NotRebuilt, Session
from bench.rsp.errors import DecodeError
from fixtures.pki import BRAINPOOL, Pki

from . import oracle
from .messages import C16, C32, INFO2, T
from .notation import octets

EID = "89049032123451234512345678901235"
LATER_INFO2 = INFO2.replace("84:810100", "84:8201FF")
CONTEXT = "A0{80:4D A1{80:35290611 A1{} 82:5329061111111118}}"
SIGNED1 = f"30{{80:{T} 83:736D6470702E74657374 84:{C16} {LATER_INFO2} {CONTEXT}}}"
SERVER_SIGNED1 = f"30{{80:{T} 81:{C32[:32]} 83:736D6470702E74657374 84:{C16}}}"
POINT, OTHER_POINT = "5F49:" + "04" * 65, "5F49:" + "05" * 65
S = "5F37:" + "11" * 64
OID = "88370A01"
"""2.999.10.1, as the certificates of SM-DP+ servers in SGP.26 have it."""


@pytest.fixture(scope="module")
def certificates(pki: Pki) -> tuple[bytes, bytes]:
    return pki.euicc(EID).certificate, pki.eum.certificate


@pytest.fixture(scope="module")
def session(pki: Pki) -> Session:
    return Session(octets(SERVER_SIGNED1), pki.dp_auth.certificate)


def signature(pki: Pki, data: bytes) -> bytes:
    return tlv.build(0x5F37, ecdsa.sign(pki.euicc(EID).key, data))


def parts(full: bytes) -> list[bytes]:
    """What counts of a form: what is signed, the signature, the certificates."""
    node = tlv.first(full)
    inner = node.find(0xA0) if node.tag in (0xBF38, 0xBF21, 0xBF41) else node
    return [child.raw for child in (inner or node).children()]


def pycrate_reads(compiled: ModuleType, name: str, data: bytes) -> None:
    foreign = oracle.pycrate_type(compiled, codec.SGP32, name)
    foreign.from_der(data)
    assert foreign.to_der() == data


# --- AuthenticateServer ---------------------------------------------------------------------------------------------


def authenticated(pki: Pki, certificates: tuple[bytes, bytes]) -> bytes:
    signed = octets(SIGNED1)
    return tlv.build(0xBF38, tlv.build(0xA0, signed, signature(pki, signed), *certificates))


def test_authentication_without_what_is_known(
    pki: Pki, session: Session, certificates: tuple[bytes, bytes], compiled: ModuleType
) -> None:
    full = authenticated(pki, certificates)
    known = Known(octets(INFO2), (certificates,))
    made = compact.shrink_authentication(full, session, known)
    inside = octets(f"A0{{84:8201FF A2{{{CONTEXT}}}}}") + parts(full)[1]
    assert made == tlv.build(0xBF38, tlv.build(0xA2, inside))
    pycrate_reads(compiled, "AuthenticateServerResponse", made)
    assert compact.rebuild_authentication(made, session, known) == full
    assert compact.is_compact(made)
    assert not compact.is_compact(full)


def test_authentication_with_what_is_not_known(pki: Pki, session: Session, certificates: tuple[bytes, bytes]) -> None:
    full = authenticated(pki, certificates)
    signed, sign, euicc, eum = parts(full)
    assert compact.shrink_authentication(full, session, Known()) == full
    implicit = b"\xa1" + euicc[1:] + b"\xa2" + eum[1:]
    for known, expected in (
        (Known(None, (certificates,)), signed + sign),
        (Known(octets(INFO2)), octets(f"A0{{84:8201FF A2{{{CONTEXT}}}}}") + sign + implicit),
        (Known(octets(INFO2.replace("83:010203", "83:010204")), (certificates,)), signed + sign),
    ):
        made = compact.shrink_authentication(full, session, known)
        assert made == tlv.build(0xBF38, tlv.build(0xA2, expected))
        assert compact.rebuild_authentication(made, session, known) == full


def test_ctx_params1_that_the_eim_made_is_left_out(
    pki: Pki, session: Session, certificates: tuple[bytes, bytes]
) -> None:
    full = authenticated(pki, certificates)
    known = Known(octets(INFO2), (certificates,))
    made_by_eim = Session(session.server_signed1, ctx_params1=octets(CONTEXT))
    made = compact.shrink_authentication(full, made_by_eim, known)
    assert made == tlv.build(0xBF38, tlv.build(0xA2, octets("A0{84:8201FF}"), parts(full)[1]))
    assert compact.rebuild_authentication(made, made_by_eim, known) == full
    with pytest.raises(NotRebuilt, match="ctxParams1"):
        compact.rebuild_authentication(made, session, known)


def test_certificates_that_come_nested(pki: Pki, session: Session, certificates: tuple[bytes, bytes]) -> None:
    full = authenticated(pki, certificates)
    signed, sign, euicc, eum = parts(full)
    made = tlv.build(0xBF38, tlv.build(0xA2, signed, sign, tlv.build(0xA1, euicc), tlv.build(0xA2, eum)))
    assert compact.rebuild_authentication(made, session, Known()) == full


def test_the_certificates_of_the_ci_that_was_asked_for(
    pki: Pki, session: Session, certificates: tuple[bytes, bytes]
) -> None:
    """One key under two CIs: the SM-DP+ must see the chain that it asked for."""
    full = authenticated(pki, certificates)
    other = (certificates[0], pki.on(BRAINPOOL).eum.certificate)
    made = compact.shrink_authentication(full, session, Known(octets(INFO2), (certificates,)))
    for pair in (other, certificates):
        wanted = Session(session.server_signed1, ci_key_id=certs.authority_key_id(pair[1]))
        for known in ((other, certificates), (certificates, other)):
            rebuilt = compact.rebuild_authentication(made, wanted, Known(octets(INFO2), known))
            assert tuple(parts(rebuilt)[2:]) == pair


@pytest.mark.parametrize(
    ("info2", "pairs", "said"),
    [
        (None, True, "euiccInfo2 is not known"),
        (INFO2, False, "certificates are left out and not known"),
        (INFO2.replace("83:010203", "83:010204"), True, "not what the eUICC signed"),
    ],
)
def test_what_cannot_be_put_together_is_not_guessed(
    pki: Pki, session: Session, certificates: tuple[bytes, bytes], info2: str | None, pairs: bool, said: str
) -> None:
    full = authenticated(pki, certificates)
    made = compact.shrink_authentication(full, session, Known(octets(INFO2), (certificates,)))
    known = Known(octets(info2) if info2 else None, (certificates,) if pairs else ())
    with pytest.raises(NotRebuilt, match=said):
        compact.rebuild_authentication(made, session, known)


def test_what_a_card_signed_in_its_own_way_goes_in_full(
    pki: Pki, session: Session, certificates: tuple[bytes, bytes]
) -> None:
    """A length that DER would write shorter, inside what is signed: nobody could rebuild it."""
    signed = octets(SIGNED1)
    odd = b"\x30\x83\x00" + len(tlv.first(signed).value).to_bytes(2, "big") + tlv.first(signed).value
    full = tlv.build(0xBF38, tlv.build(0xA0, odd, signature(pki, odd), *certificates))
    known = Known(octets(INFO2), (certificates,))
    made = compact.shrink_authentication(full, session, known)
    assert made == tlv.build(0xBF38, tlv.build(0xA2, odd, parts(full)[1]))
    assert parts(compact.rebuild_authentication(made, session, known)) == parts(full)


def test_an_error_of_the_card_stays_as_it_is(session: Session) -> None:
    for text in (f"BF38{{A1{{80:{T} 02:06}}}}", f"BF21{{A1{{80:{T} 02:05}}}}", "BF41{81:05}"):
        raw = octets(text)
        assert compact.shrink_authentication(raw, session, Known()) == raw
        assert compact.shrink_preparation(raw, session) == raw
        assert compact.shrink_cancellation(raw, session) == raw
        assert compact.rebuild_authentication(raw, session, Known()) == raw
        assert compact.rebuild_preparation(raw, session, Known()) == raw
        assert compact.rebuild_cancellation(raw, session, Known()) == raw


# --- PrepareDownload ------------------------------------------------------------------------------------------------

SMDP_SIGNED2 = f"30{{80:{T} 01:FF {POINT}}}"


@pytest.mark.parametrize(
    ("full", "smaller"),
    [
        (f"30{{80:{T} {POINT} 04:{C32}}}", f"30{{04:{C32}}}"),
        (f"30{{80:{T} {POINT}}}", "30{}"),
        (f"30{{80:{T} {OTHER_POINT}}}", f"30{{{OTHER_POINT}}}"),
    ],
)
def test_preparation(session: Session, full: str, smaller: str, compiled: ModuleType) -> None:
    prepared = session.prepared(octets(SMDP_SIGNED2), octets(S), None)
    raw, expected = octets(f"BF21{{A0{{{full} {S}}}}}"), octets(f"BF21{{A2{{{smaller} {S}}}}}")
    assert compact.shrink_preparation(raw, prepared) == expected
    pycrate_reads(compiled, "PrepareDownloadResponse", expected)
    assert compact.rebuild_preparation(expected, prepared, Known()) == raw


def test_preparation_with_nothing_known_of_the_session(session: Session) -> None:
    raw = octets(f"BF21{{A0{{30{{80:{T} {POINT}}} {S}}}}}")
    made = compact.shrink_preparation(raw, session)
    assert made == octets(f"BF21{{A2{{30{{{POINT}}} {S}}}}}")
    with pytest.raises(NotRebuilt, match="euiccOtpk"):
        compact.rebuild_preparation(octets(f"BF21{{A2{{30{{}} {S}}}}}"), session, Known())


def test_preparation_is_checked_where_the_certificate_is_known(
    pki: Pki, session: Session, certificates: tuple[bytes, bytes]
) -> None:
    prepared = session.prepared(octets(SMDP_SIGNED2), octets(S), None)
    signed = octets(f"30{{80:{T} {POINT}}}")
    good = signature(pki, signed + octets(S))
    known = Known(None, (certificates,))
    made = tlv.build(0xBF21, tlv.build(0xA2, b"\x30\x00", good))
    assert parts(compact.rebuild_preparation(made, prepared, known)) == [signed, good]
    with pytest.raises(NotRebuilt, match="not what the eUICC signed"):
        compact.rebuild_preparation(tlv.build(0xBF21, tlv.build(0xA2, b"\x30\x00", octets(S))), prepared, known)


# --- CancelSession --------------------------------------------------------------------------------------------------


def cancelled(reason: str, oid: bytes) -> bytes:
    return tlv.build(0x30, octets(f"80:{T}"), tlv.build(0x81, oid), octets(f"82:{reason}"))


def oid_of(pki: Pki) -> bytes:
    dotted = certs.registered_id(pki.dp_auth.certificate)
    assert dotted is not None
    encoded = codec.encode("ProfileInstallationResultData", {**_RESULT, "smdpOid": dotted}, module=codec.SGP22)
    found = tlv.first(encoded).find(0x06)
    assert found is not None
    return found.value


_RESULT = {
    "transactionId": b"\x01",
    "notificationMetadata": {
        "seqNumber": 1,
        "profileManagementOperation": codec.bits(0),
        "notificationAddress": "a",
    },
    "finalResult": ("successResult", {"aid": bytes(16), "simaResponse": b""}),
}


@pytest.mark.parametrize("reason", ["00", "05", "7F"])
def test_cancellation(pki: Pki, session: Session, reason: str, compiled: ModuleType) -> None:
    raw = tlv.build(0xBF41, tlv.build(0xA0, cancelled(reason, oid_of(pki)), octets(S)))
    made = compact.shrink_cancellation(raw, session)
    assert made == octets(f"BF41{{A2{{30{{80:{reason}}} {S}}}}}")
    pycrate_reads(compiled, "CancelSessionResponse", made)
    assert compact.rebuild_cancellation(made, session, Known()) == raw


def test_a_reason_that_is_left_out_is_the_one_that_was_signed(
    pki: Pki, session: Session, certificates: tuple[bytes, bytes]
) -> None:
    known = Known(None, (certificates,))
    for reason in ("00", "03", "7F"):
        signed = cancelled(reason, oid_of(pki))
        made = tlv.build(0xBF41, tlv.build(0xA2, b"\x30\x00", signature(pki, signed)))
        assert parts(compact.rebuild_cancellation(made, session, known))[0] == signed
    with pytest.raises(NotRebuilt):
        compact.rebuild_cancellation(octets(f"BF41{{A2{{30{{}} {S}}}}}"), session, known)
    undefined = compact.rebuild_cancellation(octets(f"BF41{{A2{{30{{}} {S}}}}}"), session, Known())
    assert parts(undefined)[0] == cancelled("7F", oid_of(pki))


def test_an_sm_dp_without_an_oid(session: Session) -> None:
    with pytest.raises(NotRebuilt, match="OID"):
        compact.rebuild_cancellation(octets(f"BF41{{A2{{30{{}} {S}}}}}"), Session(session.server_signed1), Known())


# --- notifications --------------------------------------------------------------------------------------------------

ICCID = "5A:891010123456789012F1"
SIMA_OK = "04:3007A0053003800100"


def installation(pki: Pki, final: str, *, iccid: str = ICCID, aid: str = "") -> bytes:
    about = f"BF2F{{80:0107 81:0780 0C:736D6470702E74657374 {iccid}}}"
    data = tlv.build(0xBF27, octets(f"80:{T} {about}"), tlv.build(0x06, oid_of(pki)), octets(f"A2{{{final}}}"))
    return tlv.build(0xBF37, data, octets(S))


INSTALLED = "4F:A0000005591010FFFFFFFF8900001200"


@pytest.mark.parametrize(
    ("final", "iccid", "smaller"),
    [
        (f"A0{{{INSTALLED} {SIMA_OK}}}", ICCID, "A2{A0{4F:0012}}"),
        (f"A0{{{INSTALLED} 04:AABB}}", ICCID, "A2{A0{4F:0012 04:AABB}}"),
        (f"A0{{{INSTALLED} {SIMA_OK}}}", "", "01:00 A2{A0{4F:0012}}"),
        ("A1{80:05 81:0C 82:AA}", ICCID, "A2{A1{80:05 81:0C 82:AA}}"),
    ],
)
def test_installation_results(
    pki: Pki, session: Session, final: str, iccid: str, smaller: str, compiled: ModuleType
) -> None:
    prepared = session.prepared(octets(SMDP_SIGNED2), octets(S), octets(f"BF25{{{ICCID} 91: 92:}}"))
    raw = installation(pki, final, iccid=iccid)
    expected = octets(f"A0{{A0{{80:{T} 02:0107 {smaller}}} {S}}}")
    assert compact.shrink_installation(raw, prepared) == expected
    pycrate_reads(compiled, "PendingNotification", expected)
    assert compact.rebuild_installation(expected, prepared, Known()) == raw
    assert compact.is_compact(expected)


@pytest.mark.parametrize(
    "final",
    [
        f"A0{{4F:A0000005591010FFFFFFFF8900001201 {SIMA_OK}}}",  # the last octet of an ISD-P's AID is 00
        f"A0{{4F:A0000005591010FFFFFFFF890000 {SIMA_OK}}}",
    ],
)
def test_installation_results_that_could_not_be_rebuilt_stay(pki: Pki, session: Session, final: str) -> None:
    prepared = session.prepared(octets(SMDP_SIGNED2), octets(S), octets(f"BF25{{{ICCID} 91: 92:}}"))
    raw = installation(pki, final)
    assert compact.shrink_installation(raw, prepared) == raw
    other = session.prepared(octets(SMDP_SIGNED2), octets(S), octets("BF25{5A:98101012345678901234 91: 92:}"))
    good = installation(pki, f"A0{{{INSTALLED} {SIMA_OK}}}")
    assert compact.shrink_installation(good, other) == good
    assert compact.shrink_installation(good, session) == good


def test_an_installation_result_is_checked(pki: Pki, session: Session, certificates: tuple[bytes, bytes]) -> None:
    prepared = session.prepared(octets(SMDP_SIGNED2), octets(S), octets(f"BF25{{{ICCID} 91: 92:}}"))
    raw = installation(pki, f"A0{{{INSTALLED} {SIMA_OK}}}")
    made = compact.shrink_installation(raw, prepared)
    known = Known(None, (certificates,))
    with pytest.raises(NotRebuilt, match="not what the eUICC signed"):
        compact.rebuild_installation(made, prepared, known)
    data = parts(raw)[0]
    good = tlv.build(0xBF37, data, signature(pki, data))
    assert compact.rebuild_installation(compact.shrink_installation(good, prepared), prepared, known) == good
    with pytest.raises(NotRebuilt, match="ICCID"):
        compact.rebuild_installation(made, session, known)


@pytest.mark.parametrize("eid", [None, bytes.fromhex(EID)])
def test_other_notifications(
    pki: Pki, certificates: tuple[bytes, bytes], eid: bytes | None, compiled: ModuleType
) -> None:
    about = octets(f"BF2F{{80:07 81:0640 0C:61 {ICCID}}}")
    sign = signature(pki, about)
    raw = tlv.build(0x30, about, sign, *certificates)
    known = Known(None, (certificates,))
    made = compact.shrink_notification(raw, known, eid=eid)
    assert made == tlv.build(0xA1, tlv.build(0x5A, eid) if eid else b"", about, sign)
    pycrate_reads(compiled, "PendingNotification", made)
    assert compact.rebuild_notification(made, known) == raw
    assert compact.shrink_notification(raw, Known()) == raw
    with pytest.raises(NotRebuilt):
        compact.rebuild_notification(made, Known())
    wrong = tlv.build(0xA1, octets(f"BF2F{{80:08 81:0640 0C:61 {ICCID}}}"), sign)
    with pytest.raises(NotRebuilt):
        compact.rebuild_notification(wrong, known)


def test_an_euicc_of_two_cis_says_which(pki: Pki, certificates: tuple[bytes, bytes]) -> None:
    about = octets(f"BF2F{{80:07 81:0640 0C:61 {ICCID}}}")
    raw = tlv.build(0x30, about, signature(pki, about), *certificates)
    known = Known(None, ((pki.dp_auth.certificate, pki.dp_auth.certificate), certificates))
    made = compact.shrink_notification(raw, known)
    ci = certs.authority_key_id(certificates[1])
    assert ci is not None
    assert tlv.first(made).children()[-1].raw == tlv.build(0x04, ci)
    assert compact.rebuild_notification(made, known) == raw


# --- anything -------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([0xBF38, 0xBF21, 0xBF41, 0xBF37, 0x30, 0xA0, 0xA1]), st.binary(max_size=60), st.booleans())
def test_any_bytes_are_left_or_refused(tag: int, content: bytes, inside: bool) -> None:
    raw = tlv.build(tag, tlv.build(0xA2, content) if inside else content)
    session = Session(octets(SERVER_SIGNED1))
    for shrink in (
        lambda: compact.shrink_authentication(raw, session, Known()),
        lambda: compact.shrink_preparation(raw, session),
        lambda: compact.shrink_cancellation(raw, session),
        lambda: compact.shrink_installation(raw, session),
        lambda: compact.shrink_notification(raw, Known()),
    ):
        assert shrink() == raw
    for rebuild in (
        lambda: compact.rebuild_authentication(raw, session, Known()),
        lambda: compact.rebuild_preparation(raw, session, Known()),
        lambda: compact.rebuild_cancellation(raw, session, Known()),
        lambda: compact.rebuild_installation(raw, session, Known()),
        lambda: compact.rebuild_notification(raw, Known()),
    ):
        try:
            rebuild()
        except DecodeError:
            pass
