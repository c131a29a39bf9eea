"""LoadCRL: lists are verified, put in their place, and what they name is refused."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.rsp import certs, codec, tlv
from bench.rsp.tlv import build
from fixtures.pki import Credential, Pki

from . import parties
from .parties import Bench, Smdpp, Terminal, install, pir

NOW = datetime.datetime(2026, 1, 1)


def revocation_list(
    ci: Credential,
    number: int | None = 1,
    *revoked: bytes,
    base: int | None = None,
    part: tuple[int, int] | None = None,
    signer: Credential | None = None,
) -> bytes:
    """A CertificateList of the CI that revokes these certificates."""
    issuer = x509.load_der_x509_certificate(ci.certificate)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
    builder = builder.last_update(NOW).next_update(NOW + datetime.timedelta(days=3650))
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ci.key.public_key()), False)
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), False)
    if base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(base), True)
    for oid, value in zip(("2.23.146.1.2.0.2", "2.23.146.1.2.0.3"), part or (), strict=False):
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), build(0x02, bytes((value,))))
        builder = builder.add_extension(extension, True)
    for certificate in revoked:
        serial = x509.load_der_x509_certificate(certificate).serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign((signer or ci).key, hashes.SHA256()).public_bytes(Encoding.DER)


def request(crl: bytes, *, nested: bool = False) -> bytes:
    """LoadCRL: A0 replaces the 30 of the list."""
    return build(0xBF35, build(0xA0, crl if nested else tlv.first(crl).value))


def test_request_is_the_codecs(terminal: Terminal, pki: Pki) -> None:
    crl = revocation_list(pki.ci)
    encoded = codec.encode("LoadCRLRequest", {"crl": crl}, module="RSPDefinitions")
    assert encoded == request(crl)
    answer = terminal.es10(encoded)
    assert answer.hex() == "bf3502a000"
    assert codec.decode("LoadCRLResponse", answer, module="RSPDefinitions") == ("loadCRLResponseOk", {})


@pytest.mark.parametrize("revoked", ["dp_auth", "dp_pb"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_revoked_server_is_refused_from_then_on(bench: Bench, pki: Pki, revoked: str, nested: bool) -> None:
    terminal = bench.terminal()
    credential: Credential = getattr(pki, revoked)
    assert (
        terminal.es10(request(revocation_list(pki.ci, 1, credential.certificate), nested=nested)).hex() == "bf3502a000"
    )
    smdpp = Smdpp(pki)
    for _ in range(2):
        answer = parties.authenticate(terminal, smdpp)
        if revoked == "dp_auth":
            assert codec.decode("AuthenticateServerResponse", answer)[1]["authenticateErrorCode"] == 1
        else:
            answer = terminal.es10(smdpp.authenticated(answer))
            assert codec.decode("PrepareDownloadResponse", answer)[1]["downloadErrorCode"] == 1
        # it is kept
        terminal = bench.terminal()
    # another server of the same CI is not touched, and a later list may take the name off again
    other = Smdpp(pki, auth=pki.issue("dp_auth"), pb=pki.issue("dp_pb"))
    assert terminal.es10(other.authenticated(parties.authenticate(terminal, other)))[:3] != b""
    terminal.es10(request(revocation_list(pki.ci, 2)))
    assert pir(install(terminal, pki))[0] == "ok"


def test_codes(bench: Bench, pki: Pki) -> None:
    terminal = bench.terminal()
    good = revocation_list(pki.ci, 5, pki.dp_auth.certificate)
    # format
    terminal.unchanged("bf3500", "bf3503810102")
    terminal.unchanged("bf3504a0020500", "bf3503810102")
    terminal.unchanged(request(revocation_list(pki.ci, None)), "bf3503810102")
    terminal.unchanged(request(revocation_list(pki.ci, 1, part=(2, 3))), "bf3503810102")
    # verification key: another CI's
    terminal.unchanged(request(revocation_list(pki.issue("ci"))), "bf3503810104")
    # signature: right name, wrong key; a changed byte
    terminal.unchanged(request(revocation_list(pki.ci, signer=pki.eum)), "bf3503810101")
    changed = bytearray(good)
    changed[-1] ^= 1
    terminal.unchanged(request(bytes(changed)), "bf3503810101")
    # a delta without its base, then with it; older ones afterwards
    delta = revocation_list(pki.ci, 6, pki.dp_pb.certificate, base=5)
    terminal.unchanged(request(delta), "bf3503810106")
    assert terminal.es10(request(good)).hex() == "bf3502a000"
    terminal.unchanged(request(good), "bf3502a000")  # again: nothing new
    assert terminal.es10(request(delta)).hex() == "bf3502a000"
    terminal.unchanged(request(revocation_list(pki.ci, 4)), "bf3503810105")
    terminal.unchanged(request(revocation_list(pki.ci, 5, base=5)), "bf3503810105")
    # a newer whole list replaces list and delta
    assert terminal.es10(request(revocation_list(pki.ci, 7))).hex() == "bf3502a000"
    assert pir(install(terminal, pki))[0] == "ok"


def test_a_list_in_parts(terminal: Terminal, pki: Pki) -> None:
    first = revocation_list(pki.ci, 3, pki.dp_pb.certificate, part=(3, 1))
    assert terminal.es10(request(first)).hex() == "bf350aa008a006020102020103"
    last = terminal.es10(request(revocation_list(pki.ci, 3, part=(3, 3))))
    assert last.hex() == "bf3507a005a003020102"
    value = codec.decode("LoadCRLResponse", last, module="RSPDefinitions")
    assert value == ("loadCRLResponseOk", {"missingParts": [2]})
    assert terminal.es10(request(revocation_list(pki.ci, 2))).hex() == "bf3502a000"  # 3 is not whole yet
    assert terminal.es10(request(revocation_list(pki.ci, 3, part=(3, 2)))).hex() == "bf3502a000"
    terminal.unchanged(request(revocation_list(pki.ci, 2)), "bf3503810105")


def test_memory(bench: Bench, pki: Pki) -> None:
    size = bench.terminal().card.state().free_memory
    crl = revocation_list(pki.ci)
    used = 512 * 1024 - size
    terminal = bench.with_options("small", memory=used + len(crl) - 1)
    terminal.unchanged(request(crl), "bf3503810103")
    terminal = bench.with_options("enough", memory=used + len(crl))
    assert terminal.es10(request(crl)).hex() == "bf3502a000"
    assert terminal.card.state().free_memory == 0


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_changed_lists_change_nothing(one: Terminal, pki: Pki, data: st.DataObject) -> None:
    crl = bytearray(revocation_list(pki.ci, 9, pki.dp_auth.certificate))
    for place in data.draw(st.sets(st.integers(0, 999), min_size=1, max_size=3)):
        crl[place * len(crl) // 1000] ^= data.draw(st.integers(1, 127))
    before = one.dump()
    whole = build(0xBF35, build(0xA0, bytes(crl)))
    for number, start in enumerate(range(0, len(whole), 255)):
        piece = whole[start : start + 255]
        last = start + 255 >= len(whole)
        command = bytes((0x81, 0xE2, 0x91 if last else 0x11, number, len(piece))) + piece
        answer = one.card.transmit(command)
        assert answer[-2] >> 4 in (6, 9)
    assert one.card.faults == 0
    assert one.dump() == before


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Terminal:
    return Bench(Path(tmp_path_factory.mktemp("crl")), pki).terminal()


def test_list_of_the_other_curve(bench: Bench, pki: Pki) -> None:
    other = pki.on("brainpoolP256r1")
    terminal = bench.terminal()
    terminal.unchanged(request(revocation_list(other.ci)), "bf3503810104")
    terminal = bench.with_options("both", curves=("P-256", "brainpoolP256r1"))
    assert terminal.es10(request(revocation_list(other.ci, 1, other.dp_auth.certificate))).hex() == "bf3502a000"
    assert certs.subject_key_id(other.ci.certificate).hex() in terminal.dump()
    answer = parties.authenticate(terminal, Smdpp(other))
    assert codec.decode("AuthenticateServerResponse", answer)[1]["authenticateErrorCode"] == 1
    assert pir(install(terminal, pki))[0] == "ok"
