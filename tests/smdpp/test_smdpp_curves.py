"""Both curves of RSP: which certificates the SM-DP+ shows to which eUICC, and the download on each."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from conftest import World
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_der_x509_certificate
from smdpp_device import ADDRESS, Device, Refused, parts, unb64, value_of

from bench.errors import BenchError, ConfigurationError
from fixtures.pki import BRAINPOOL, CURVES, P256, Pki
from fixtures.smdpp.catalogue import Catalogue
from fixtures.smdpp.es9 import Es9
from fixtures.smdpp.identities import Identities
from fixtures.smdpp.orders import Orders
from fixtures.smdpp.status import Code

ICCID = "8900101000000000027"
OTHER_CI = bytes.fromhex("81370f5125d0b1d408d4c3b232e6d25e795bebfb")  # GSMA RSP2 Root CI1


def key_id(pki: Pki, curve: str) -> bytes:
    return pki.on(curve).ci.key_id


def curve_of(certificate: str) -> str:
    key = load_der_x509_certificate(unb64(certificate)).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key.curve.name


@pytest.mark.parametrize("curve", CURVES)
def test_a_download_on_each_curve(world: World, curve: str) -> None:
    device = Device(world.pki.on(curve), world.call)
    order = world.place()
    _, metadata, profile = device.download(order.matching_id)
    assert profile == (world.home / "profiles" / "operational.der").read_bytes()
    assert device.curve.name == {"P-256": "secp256r1"}.get(curve, curve)
    device.notify(device.pir(ICCID))
    device.notify(device.event(1, ICCID))
    after = world.order(order)
    assert (after.state, after.profile_state) == ("installed", "enabled")
    assert value_of(metadata, 0xBF25, 0x5A).hex() == "980001010000000020f7"


@pytest.mark.parametrize("first", CURVES)
@pytest.mark.parametrize("prefer", ["", *CURVES])
def test_the_euiccs_order_of_preference_unless_there_is_one_here(world: World, first: str, prefer: str) -> None:
    second = next(curve for curve in CURVES if curve != first)
    keys = [OTHER_CI, key_id(world.pki, first), key_id(world.pki, second)]
    world.es9 = server(world, prefer=prefer)
    device = Device(world.pki.on(prefer or first), world.call)  # it asserts that its CI is the one to be used
    answer = device.initiate(info1=device.info1(verification=keys, signing=keys))
    expected = {"P-256": "secp256r1"}.get(prefer or first, prefer or first)
    assert curve_of(answer["serverCertificate"]) == expected
    device.load(_get(world, device))


def _get(world: World, device: Device) -> bytes:
    device.authenticate(world.place().matching_id)
    return device.get_bpp()


def server(world: World, **options: object) -> Es9:
    return Es9(
        pki=world.pki,
        store=world.store,
        orders=Orders(world.store, Catalogue(world.home), ADDRESS),
        address=ADDRESS,
        session_timeout=600.0,
        clock=world.clock,
        **options,  # type: ignore[arg-type]
    )


def test_verification_and_signing_are_chosen_apart(world: World) -> None:
    """An eUICC may verify under one CI and sign under another (SGP.22 section 4.3: two lists)."""
    pki = world.pki
    device = Device(pki.on(BRAINPOOL), world.call)
    info1 = device.info1(verification=[key_id(pki, P256)], signing=[key_id(pki, BRAINPOOL)])
    device.ci = pki.ci.certificate  # the server's certificate is under this one
    answer = device.initiate(info1=info1)
    assert curve_of(answer["serverCertificate"]) == "secp256r1"
    device.authenticate(world.place().matching_id)  # with its certificate under the Brainpool CI
    device.load(device.get_bpp())
    assert device.curve.name == "secp256r1"


def test_refusals_name_the_identifiers(world: World) -> None:
    pki = world.pki
    for curve in CURVES:
        device = Device(pki.on(curve), world.call)
        own = device.ci_key_id
        for info1, code in (
            (device.info1(verification=[OTHER_CI], signing=[own]), Code.NO_CERTIFICATE),
            (device.info1(verification=[own], signing=[OTHER_CI]), Code.CI_UNSUPPORTED),
            (device.info1(svn=b"\x01\x01\x00"), Code.SVN_UNSUPPORTED),
        ):
            with pytest.raises(Refused) as caught:
                device.initiate(info1=info1)
            assert caught.value.code == (code.subject, code.reason)
            if code is not Code.SVN_UNSUPPORTED:
                assert OTHER_CI.hex() in caught.value.message
    assert [(code.subject, code.reason) for code in (Code.CI_UNSUPPORTED, Code.SVN_UNSUPPORTED, Code.UNKNOWN_CI)] == [
        ("8.8.2", "3.1"),
        ("8.8.3", "3.1"),
        ("8.11.1", "3.9"),
    ]


def test_an_euicc_of_the_other_curve_than_chosen_is_refused(world: World) -> None:
    """The eUICC answers with its chain under another CI than euiccCiPKIdToBeUsed."""
    pki = world.pki
    keys = [key_id(pki, P256), key_id(pki, BRAINPOOL)]
    device = Device(pki, world.call)
    device.initiate(info1=device.info1(verification=keys, signing=keys))
    other = pki.on(BRAINPOOL).euicc(device.eid)
    device.own, device.eum = other, other.issuers[0]
    with pytest.raises(Refused) as caught:
        device.authenticate(world.place().matching_id)
    assert caught.value.code == ("8.11.1", "3.9")


@pytest.mark.parametrize("curve", CURVES)
def test_a_server_of_one_curve_only(world: World, curve: str) -> None:
    world.es9 = server(world, curves=(curve,))
    other = next(name for name in CURVES if name != curve)
    Device(world.pki.on(curve), world.call).download(world.place().matching_id)
    with pytest.raises(Refused) as caught:
        Device(world.pki.on(other), world.call).initiate()
    assert caught.value.code == ("8.8.4", "3.7")


def test_a_one_time_key_of_the_other_curve_is_refused(world: World) -> None:
    device = Device(world.pki.on(BRAINPOOL), world.call)
    device.initiate()
    device.authenticate(world.place().matching_id)
    device.one_time_key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(Refused) as caught:
        device.get_bpp(keep_key=True)
    assert caught.value.code == ("8.1", "6.1")


def test_a_retry_on_the_other_curve_is_not_offered_the_old_one_time_key(world: World) -> None:
    pki = world.pki
    order = world.place(rebinding="allow")
    device = Device(pki, world.call)
    device.download(order.matching_id)
    device.initiate()
    device.authenticate(order.matching_id)
    assert device.offered_otpk == device.otpk
    again = Device(pki.on(BRAINPOOL), world.call)
    again.initiate()
    again.authenticate(order.matching_id)
    assert again.offered_otpk is None
    again.load(again.get_bpp())
    assert [tag for tag, _, _ in parts(value_of(again.bpp, 0xBF36))] == [0xBF23, 0xA0, 0xA1, 0xA3]


def test_certificates_without_their_keys_are_no_identity(tmp_path: Path) -> None:
    pki = Pki.open(tmp_path)
    (pki.on(BRAINPOOL).folder / "dp_auth.key.pem").unlink()
    identities = Identities(Pki.open(tmp_path))
    assert len(identities.trusted) == 2  # its eUICCs are believed all the same
    own, ci = identities.choose([pki.on(BRAINPOOL).ci.key_id, pki.ci.key_id], [pki.on(BRAINPOOL).ci.key_id])
    assert own.curve == "secp256r1"
    assert ci == pki.on(BRAINPOOL).ci.certificate
    with pytest.raises(ConfigurationError, match="dp_auth on brainpoolP256r1 is not there"):
        Identities(Pki.open(tmp_path), curves=(BRAINPOOL,))
    with pytest.raises(BenchError, match="no curve of RSP"):
        Identities(pki, prefer="P-521")


def test_a_pair_with_two_oids_is_refused(tmp_path: Path) -> None:
    class Mixed(Pki):
        @property
        def dp_pb(self):  # type: ignore[no-untyped-def]
            return dataclasses.replace(self.issue("dp_pb", oid="2.999.12"))

    Pki.open(tmp_path)
    with pytest.raises(ConfigurationError, match="same OID"):
        Identities(Mixed(tmp_path / "pki"), curves=(P256,))
