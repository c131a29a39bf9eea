"""RSP keys on NIST P-256 and brainpoolP256r1: which key signs what, and which certificates are taken."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bench.rsp import certs, codec, ecdsa, packages, tlv
from bench.rsp.interpretation import Interpretation
from bench.rsp.tlv import build
from fixtures.pki import Credential, Pki
from fixtures.sim.euicc import EuiccOptions

from . import parties
from .parties import EID, OPER_ICCID, Bench, Eim, Smdpp, Terminal, install, pir, results

P256, BRAINPOOL = "P-256", "brainpoolP256r1"
BOTH = (P256, BRAINPOOL)


def ski(pki: Pki, curve: str) -> bytes:
    return certs.subject_key_id(pki.on(curve).ci_certificate)


@pytest.fixture
def both(bench: Bench) -> Terminal:
    return bench.with_options(curves=BOTH)


@pytest.mark.parametrize("curves", [(P256,), (BRAINPOOL,), BOTH, BOTH[::-1]])
def test_what_the_card_says_it_has(bench: Bench, pki: Pki, curves: tuple[str, ...]) -> None:
    terminal = bench.with_options(curves=curves)
    wanted = [ski(pki, curve) for curve in curves]
    for name, request in (("EUICCInfo1", "bf2000"), ("EUICCInfo2", "bf2200")):
        value = codec.decode(name, terminal.es10(bytes.fromhex(request)))
        assert value["euiccCiPKIdListForVerification"] == wanted
        assert value["euiccCiPKIdListForSigning"] == wanted
    for curve in (None, *BOTH):
        key_id = build(0x80, ski(pki, curve)) if curve else b""
        kind, value = codec.decode("GetCertsResponse", terminal.es10(build(0xBF56, key_id)))
        if curve is not None and curve not in curves:
            assert (kind, value) == ("getCertsError", 1)
            continue
        chosen = pki.on(curve or curves[0])
        assert value == {"eumCertificate": chosen.eum.certificate, "euiccCertificate": chosen.euicc(EID).certificate}
        assert certs.public_key(value["euiccCertificate"]).curve.name == chosen.ci.key.curve.name


@pytest.mark.parametrize("curve", BOTH)
def test_download_notifications_and_cancellation_under_the_chosen_ci(both: Terminal, pki: Pki, curve: str) -> None:
    there = pki.on(curve)
    smdpp = Smdpp(there)
    answer = parties.prepared(both, smdpp)  # verifies chain and signature under this CI
    point = tlv.first(answer).find(0xA0, 0x30, 0x5F49)
    assert point is not None
    assert ecdsa.public_key_from_point(there.ci.key.curve, point.value)  # the one-time key is on the curve of DPpb
    result = parties.load(both, smdpp.bind(answer, parties.operational()))
    assert pir(result)[0] == "ok"
    value = codec.decode("ProfileInstallationResult", result)
    data = tlv.first(result).children()[0].raw
    public = there.euicc(EID).key.public_key()
    assert ecdsa.verify(public, value["euiccSignPIR"], data)
    listed = tlv.first(both.es10(bytes.fromhex("bf2b00"))).children()[0]
    (other,) = listed.find_all(0x30)
    metadata, signature, certificate, eum = other.children()
    assert (certificate.raw, eum.raw) == (there.euicc(EID).certificate, there.eum.certificate)
    assert ecdsa.verify(public, signature.value, metadata.raw)
    second = Smdpp(there)
    second.authenticated(parties.authenticate(both, second))
    raw = both.es10(build(0xBF41, build(0x80, second.transaction_id), build(0x81, b"\x05")))
    cancelled = tlv.first(raw).find(0xA0)
    assert cancelled is not None
    signed, signature = cancelled.children()
    assert ecdsa.verify(public, signature.value, signed.raw)


@pytest.mark.parametrize("curve", BOTH)
def test_results_are_signed_under_the_ci_that_the_eim_names(both: Terminal, pki: Pki, curve: str) -> None:
    eim = Eim(pki.eim)
    entry = tlv.first(eim.configuration())
    parts = [part.raw for part in entry.children() if part.tag not in (0x88, 0x89)]
    named = build(0x30, *parts, build(0x88, ski(pki, curve)))
    assert both.es10(build(0xBF57, build(0xA0, named))).hex() == "bf5704a0020500"
    keys = {name: pki.on(name).euicc(EID).key.public_key() for name in BOTH}
    for package in (eim.package(packages.get_rat()), eim.package(packages.get_rat(), counter=0)):
        parsed = packages.parse_result(both.es10(package))
        assert {name for name, key in keys.items() if packages.verify_result(parsed, key, None)} == {curve}


@pytest.mark.parametrize("curves", [BOTH, BOTH[::-1]])
def test_the_preferred_ci_signs_for_an_eim_that_names_none(bench: Bench, pki: Pki, curves: tuple[str, ...]) -> None:
    terminal = bench.with_options(curves=curves)
    eim = Eim(pki.eim)
    eim.associate(terminal)
    parsed = packages.parse_result(terminal.es10(eim.package(packages.get_rat())))
    assert packages.verify_result(parsed, pki.on(curves[0]).euicc(EID).key.public_key(), None)


def code(terminal: Terminal, smdpp: Smdpp, *, ci: bytes | None = None) -> int:
    """The error code of AuthenticateServer, or of PrepareDownload after it, negative; 0 when both go well."""
    challenge = tlv.first(terminal.es10(bytes.fromhex("bf2e00"))).children()[0].value
    answer = terminal.es10(smdpp.initiate(challenge, **({"ci": ci} if ci else {})))
    kind, value = codec.decode("AuthenticateServerResponse", answer)
    if kind != "authenticateResponseOk":
        return int(value["authenticateErrorCode"])
    smdpp.signature1 = tlv.first(answer).children()[0].children()[1].raw
    kind, value = codec.decode("PrepareDownloadResponse", terminal.es10(smdpp.prepare()))
    return 0 if kind == "downloadResponseOk" else -int(value["downloadErrorCode"])


def issued(pki: Pki, name: str, curve: ec.EllipticCurve) -> Credential:
    """A credential of the SM-DP+ under this CI, with a key on another curve."""
    from fixtures.pki import issue

    key = ec.generate_private_key(curve)
    profile = issue.PROFILES[name]
    return Credential(issue.certificate(profile, key.public_key(), pki.ci.key, pki.ci.certificate), key)


def test_servers_under_other_cis_and_on_other_curves(bench: Bench, pki: Pki) -> None:
    one = bench.with_options("one", curves=(P256,))
    two = bench.with_options("two", curves=BOTH)
    brainpool = pki.on(BRAINPOOL)
    assert code(one, Smdpp(brainpool)) == 7  # the CI for the card's signature
    assert code(one, Smdpp(brainpool), ci=ski(pki, P256)) == 1  # no CI for the server's chain
    # the eUICC may sign under another CI than the server's: both are known
    assert code(two, Smdpp(brainpool), ci=ski(pki, P256)) == 0
    assert code(two, Smdpp(pki), ci=ski(pki, BRAINPOOL)) == 0
    # a chain that is known, with a key on a curve that the card does not do
    for curve, expected in ((ec.BrainpoolP256R1(), 3), (ec.SECP256K1(), 3)):
        assert code(one, Smdpp(pki, auth=issued(pki, "dp_auth", curve))) == expected
        assert code(one, Smdpp(pki, pb=issued(pki, "dp_pb", curve))) == -expected
    assert code(two, Smdpp(pki, auth=issued(pki, "dp_auth", ec.BrainpoolP256R1()))) == 0


def test_bound_packages_of_both_curves_on_one_card(both: Terminal, pki: Pki) -> None:
    for number, curve in enumerate(BOTH):
        assert pir(install(both, pki.on(curve), parties.numbered(number)))[0] == "ok"
    eim = Eim(pki.eim)
    eim.associate(both)
    both.es10(eim.package(packages.enable(parties.iccid_of(parties.numbered(1)))))
    both.reset()
    # its own notifications are signed under the CI of its download, whoever is preferred
    raw = both.es10(bytes.fromhex("bf2b06a00481020640"))
    (entry,) = tlv.first(raw).children()[0].children()
    assert entry.children()[2].raw == pki.on(BRAINPOOL).euicc(EID).certificate


def test_a_card_on_brainpool_alone(bench: Bench, pki: Pki) -> None:
    terminal = bench.with_options(curves=(BRAINPOOL,))
    there = pki.on(BRAINPOOL)
    assert pir(install(terminal, there))[0] == "ok"
    eim = Eim(there.eim)
    eim.associate(terminal)
    raw = terminal.es10(eim.package(packages.enable(OPER_ICCID)))
    assert results(raw) == ["830100"]
    assert packages.verify_result(packages.parse_result(raw), there.euicc(EID).key.public_key(), None)


def test_der_signatures_of_another_reading(bench: Bench, pki: Pki) -> None:
    bench.options = EuiccOptions(interpretation=Interpretation(signature_format="der"))
    terminal = bench.terminal()
    eim = Eim(pki.eim)
    eim.associate(terminal)
    parsed = packages.parse_result(terminal.es10(eim.package(packages.get_rat())))
    raw = ecdsa.from_der(parsed.signature)
    assert raw is not None
    public = pki.euicc(EID).key.public_key()
    assert ecdsa.verify(public, raw, packages.signing_input(parsed.signed_raw, None))
