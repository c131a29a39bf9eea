from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.rsp import certs, tlv
from bench.rsp.certs import ChainError, Role
from bench.rsp.errors import DecodeError
from fixtures.pki import Credential, Pki, valid_eid

EID = "89049032123451234512345678901235"
ROLES = {
    "ci": Role.CI,
    "eum": Role.EUM,
    "dp_auth": Role.DP_AUTH,
    "dp_pb": Role.DP_PB,
    "dp_tls": Role.DP_TLS,
    "eim": Role.EIM,
    "eim_tls": Role.EIM_TLS,
}


def check(pki: Pki, credential: Credential, role: Role, **changes: Any) -> bytes:
    return certs.check_chain(credential.certificate, credential.issuers, [pki.ci.certificate], role, **changes)


def reason(pki: Pki, credential: Credential, role: Role, **changes: Any) -> str:
    with pytest.raises(ChainError) as caught:
        check(pki, credential, role, **changes)
    assert caught.value.what
    return caught.value.reason


@pytest.mark.parametrize("name", ROLES)
def test_each_role_passes_as_itself_and_ends_at_the_ci(pki: Pki, name: str) -> None:
    assert check(pki, getattr(pki, name), ROLES[name]) == pki.ci.certificate


def test_an_euicc_passes_through_its_eum(pki: Pki) -> None:
    assert check(pki, pki.euicc(EID), Role.EUICC) == pki.ci.certificate


@pytest.mark.parametrize("name", ["dp_auth", "dp_pb", "dp_tls", "eum"])
def test_no_role_passes_as_another(pki: Pki, name: str) -> None:
    for role in (Role.DP_AUTH, Role.DP_PB, Role.DP_TLS, Role.EUM, Role.EUICC):
        if role is not ROLES[name]:
            assert reason(pki, getattr(pki, name), role) == "role"


def test_identifiers(pki: Pki) -> None:
    assert certs.registered_id(pki.dp_auth.certificate) == "2.999.10"
    assert certs.registered_id(pki.dp_pb.certificate) == "2.999.10"
    assert certs.registered_id(pki.eim.certificate) is None
    assert certs.eid_of(pki.euicc(EID).certificate) == EID
    assert certs.eid_of(pki.dp_auth.certificate) is None
    assert certs.authority_key_id(pki.eum.certificate) == certs.subject_key_id(pki.ci.certificate)
    assert len(certs.subject_key_id(pki.ci.certificate)) == 20


def test_validity(pki: Pki) -> None:
    late = datetime.datetime(2060, 1, 1, tzinfo=datetime.UTC)
    early = datetime.datetime(2019, 1, 1, tzinfo=datetime.UTC)
    assert reason(pki, pki.dp_auth, Role.DP_AUTH, now=late) == "expired"
    assert reason(pki, pki.dp_auth, Role.DP_AUTH, now=early) == "not-yet-valid"
    # The eUICC's own certificate still holds then, its manufacturer's does not.
    assert reason(pki, pki.euicc(EID), Role.EUICC, now=late) == "expired"
    gone = pki.issue("dp_auth", not_after=datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC))
    assert reason(pki, gone, Role.DP_AUTH) == "expired"


def test_an_unknown_issuer(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Pki.open(tmp_path_factory.mktemp("other"))
    # The same name as ours, another key: told apart by the key identifier.
    assert reason(pki, other.dp_auth, Role.DP_AUTH) == "key-identifier"
    renamed = other.issue("ci", subject={"CN": "Another CI"})
    with pytest.raises(ChainError) as caught:
        certs.check_chain(pki.dp_auth.certificate, [], [renamed.certificate], Role.DP_AUTH)
    assert caught.value.reason == "unknown-issuer"
    with pytest.raises(ChainError) as caught:
        certs.check_chain(pki.euicc(EID).certificate, [], [pki.ci.certificate], Role.EUICC)
    assert caught.value.reason == "unknown-issuer"


def test_a_changed_byte_of_the_signature_is_seen(pki: Pki) -> None:
    damaged = bytearray(pki.dp_auth.certificate)
    damaged[-1] ^= 1
    credential = Credential(bytes(damaged), pki.dp_auth.key)
    assert reason(pki, credential, Role.DP_AUTH) == "signature"


def test_the_eum_limits_the_eids_and_the_organisation(pki: Pki) -> None:
    foreign = pki.issue("euicc", eid="89044045930000000000002153893210")
    assert reason(pki, foreign, Role.EUICC) == "name-constraint"
    organisation = pki.issue("euicc", eid=EID, subject={"O": "Another EUM", "serialNumber": EID, "CN": "Test eUICC"})
    assert reason(pki, organisation, Role.EUICC) == "name-constraint"
    nobody = pki.issue("euicc", eid=EID, subject={"O": "RSP Test EUM", "serialNumber": "89049032", "CN": "Test eUICC"})
    assert reason(pki, nobody, Role.EUICC) == "name-constraint"


def test_an_eum_that_limits_nothing_is_refused(pki: Pki) -> None:
    eum = pki.issue("eum", permitted=None)
    assert reason(pki, _below(pki, eum), Role.EUICC) == "name-constraint"


def test_an_euicc_must_come_from_an_eum(pki: Pki) -> None:
    from fixtures.pki import issue

    key = pki.euicc(EID).key
    direct = issue.certificate(issue.euicc(EID), key.public_key(), pki.ci.key, pki.ci.certificate)
    assert reason(pki, Credential(direct, key), Role.EUICC) == "role"


def test_certification_authorities(pki: Pki) -> None:
    # Signed with a key that may not sign certificates.
    from fixtures.pki import issue

    key = pki.dp_auth.key
    forged = issue.certificate(issue.PROFILES["dp_auth"], key.public_key(), pki.dp_pb.key, pki.dp_pb.certificate)
    assert reason(pki, Credential(forged, key, (pki.dp_pb.certificate,)), Role.DP_AUTH) == "ca"
    # An EUM below an EUM: the upper one allows none below it.
    lower = issue.certificate(
        issue.PROFILES["eum"], (lower_key := pki.dp_pb.key).public_key(), pki.eum.key, pki.eum.certificate
    )
    euicc = issue.certificate(issue.euicc(EID), key.public_key(), lower_key, lower)
    assert reason(pki, Credential(euicc, key, (lower, pki.eum.certificate)), Role.EUICC) == "path-length"


def test_a_ci_that_may_not_sign_is_refused(pki: Pki) -> None:
    leaf = pki.dp_auth.certificate
    with pytest.raises(ChainError) as caught:
        certs.check_chain(pki.euicc(EID).certificate, [pki.eum.certificate], [leaf], Role.EUICC)
    assert caught.value.reason == "unknown-issuer"


def test_a_self_signed_eim_is_its_own_anchor(pki: Pki) -> None:
    from fixtures.pki import issue

    own = issue.certificate(issue.PROFILES["eim"], pki.eim.key.public_key(), pki.eim.key, None)
    assert certs.check_chain(own, [], [own], Role.EIM) == own
    assert reason(pki, Credential(own, pki.eim.key), Role.EIM) == "unknown-issuer"


def test_a_tls_certificate_must_be_for_a_server(pki: Pki) -> None:
    plain = pki.issue("dp_tls", role=Role.DP_TLS, tls=False)
    assert check(pki, plain, Role.DP_TLS) == pki.ci.certificate  # the extension is optional
    assert reason(pki, pki.eum, Role.EIM_TLS) == "key-usage"


def test_unknown_critical_extensions_are_refused(pki: Pki) -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.999.77"), b"\x05\x00")
    assert reason(pki, changed(pki, pki.eim, {odd.oid: (odd, True)}), Role.EIM) == "critical-extension"
    assert check(pki, changed(pki, pki.eim, {odd.oid: (odd, False)}), Role.EIM) == pki.ci.certificate


def test_a_name_constraint_must_be_critical(pki: Pki) -> None:
    constraint = certs.load(pki.eum.certificate).extensions.get_extension_for_class(x509.NameConstraints).value
    eum = changed(pki, pki.eum, {constraint.oid: (constraint, False)})
    assert reason(pki, _below(pki, eum), Role.EUICC) == "name-constraint"


def test_the_eins_of_sgp_26_variants_limit_the_eids_too(pki: Pki) -> None:
    def eum(*eins: str) -> Credential:
        listed = tlv.build(0x30, *(tlv.build(0x13, ein.encode()) for ein in eins))
        policy = x509.PolicyInformation(x509.ObjectIdentifier("2.23.146.1.2.1.0.0.0"), None)
        changes: Changes = {
            x509.NameConstraints.oid: None,
            x509.CertificatePolicies.oid: (x509.CertificatePolicies([policy]), True),
            certs.PERMITTED_EINS: (x509.UnrecognizedExtension(certs.PERMITTED_EINS, listed), True),
        }
        return changed(pki, pki.eum, changes)

    assert check(pki, _below(pki, eum("89044045", "89049032")), Role.EUICC) == pki.ci.certificate
    assert reason(pki, _below(pki, eum("89044045")), Role.EUICC) == "name-constraint"
    assert reason(pki, _below(pki, eum()), Role.EUICC) == "name-constraint"


def test_an_issuers_key_must_be_for_certificates(pki: Pki) -> None:
    usage = certs.load(pki.dp_auth.certificate).extensions.get_extension_for_class(x509.KeyUsage).value
    eum = changed(pki, pki.eum, {usage.oid: (usage, True)})
    assert reason(pki, _below(pki, eum), Role.EUICC) == "key-usage"
    assert reason(pki, _below(pki, changed(pki, pki.eum, {usage.oid: None})), Role.EUICC) == "key-usage"


def test_a_leafs_key_must_be_for_signatures(pki: Pki) -> None:
    usage = certs.load(pki.eum.certificate).extensions.get_extension_for_class(x509.KeyUsage).value
    assert reason(pki, changed(pki, pki.dp_auth, {usage.oid: (usage, True)}), Role.DP_AUTH) == "key-usage"
    assert reason(pki, changed(pki, pki.dp_auth, {usage.oid: None}), Role.DP_AUTH) == "key-usage"


def test_a_client_certificate_is_no_servers(pki: Pki) -> None:
    client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    assert reason(pki, changed(pki, pki.dp_tls, {client.oid: (client, True)}), Role.DP_TLS) == "key-usage"


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"\x30\x03\x02\x01\x00", bytes(200)])
def test_what_is_no_certificate_is_refused(pki: Pki, der: bytes) -> None:
    assert reason(pki, Credential(der, pki.eim.key), Role.EIM) == "unreadable"
    for read in (certs.load, certs.subject_key_id, certs.registered_id, certs.eid_of, certs.public_key):
        with pytest.raises(DecodeError):
            read(der)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@settings(deadline=None, database=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_damaged_certificate_is_refused_with_a_reason(pki: Pki, position: float, value: int) -> None:
    good = pki.euicc(valid_eid(3))
    damaged = bytearray(good.certificate)
    index = int(position * len(damaged))
    if damaged[index] == value:
        return
    damaged[index] = value
    with pytest.raises(ChainError):
        certs.check_chain(bytes(damaged), good.issuers, [pki.ci.certificate], Role.EUICC)


Changes = dict[x509.ObjectIdentifier, tuple[x509.ExtensionType, bool] | None]


def changed(pki: Pki, credential: Credential, changes: Changes) -> Credential:
    """Return the credential with other extensions (None: without), issued by the CI again."""
    model = certs.load(credential.certificate)
    builder = x509.CertificateBuilder(
        model.issuer, model.subject, model.public_key(), 7, model.not_valid_before_utc, model.not_valid_after_utc
    )
    extensions: Changes = {extension.oid: (extension.value, extension.critical) for extension in model.extensions}
    for extension in (extensions | changes).values():
        if extension is not None:
            builder = builder.add_extension(*extension)
    der = builder.sign(pki.ci.key, hashes.SHA256()).public_bytes(Encoding.DER)
    return Credential(der, credential.key, credential.issuers)


def _below(pki: Pki, eum: Credential) -> Credential:
    from fixtures.pki import issue

    key = pki.euicc(EID).key
    der = issue.certificate(issue.euicc(EID), key.public_key(), eum.key, eum.certificate)
    return Credential(der, key, (eum.certificate,))
