"""Several eIMs: every eCO with every code, in the order of the codes, and counters and tokens of their own."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bench.rsp import codec, ecdsa, packages, tlv
from bench.rsp.interpretation import Interpretation
from bench.rsp.tlv import build
from fixtures.pki import Pki

from . import parties
from .parties import EIM_ID, OPER_ICCID, Bench, Eim, Terminal, results


@pytest.fixture
def ready(terminal: Terminal, pki: Pki) -> tuple[Terminal, Eim]:
    eim = Eim(pki.eim)
    eim.associate(terminal)
    return terminal, eim


def entry(pki: Pki, name: bytes | None = b"second.example", **changes: bytes | None) -> bytes:
    """EimConfigurationData with members changed or left out (None); tags as t83, t84, ..."""
    key = build(0xA0, tlv.first(pki.dp_auth.spki).value)
    members: dict[int, bytes | None] = {0x80: name, 0x83: b"\x05", 0xA5: key}
    members |= {int(tag[1:], 16): value for tag, value in changes.items()}
    ordered = sorted(members.items(), key=lambda item: item[0] & 0x1F)
    return build(0x30, *(build(tag, value) for tag, value in ordered if value is not None))


def order(ready: tuple[Terminal, Eim], eco: bytes) -> str:
    terminal, eim = ready
    (answer,) = results(terminal.es10(eim.package(ecos=[eco])))
    return answer


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, "a803020100"),
        ({"t84": b"\xff"}, "a803840101"),
        ({"name": EIM_ID.encode()}, "a803020102"),
        ({"t88": bytes(20)}, "a803020103"),
        ({"t84": b"\x07"}, "a803020105"),
        ({"t84": b"\x00"}, "a803020105"),
        ({"t83": b"\x00\x80\x00\x00"}, "a803020106"),
        ({"t83": b"\xff"}, "a803020106"),
        ({"name": None}, "a803020107"),
        ({"name": b""}, "a803020107"),
        ({"name": b"\xff"}, "a803020107"),
        ({"t83": None}, "a803020107"),
        ({"tA5": None}, "a803020107"),
        ({"tA5": bytes.fromhex("a000")}, "a803020107"),
        # the lower code wins
        ({"name": EIM_ID.encode(), "t88": bytes(20)}, "a803020102"),
        ({"t88": bytes(20), "t84": b"\x07"}, "a803020103"),
        ({"t84": b"\x07", "t83": b"\xff"}, "a803020105"),
        ({"t83": b"\xff", "tA5": None}, "a803020106"),
    ],
)
def test_add_eim(ready: tuple[Terminal, Eim], pki: Pki, changes: dict[str, bytes | None], answer: str) -> None:
    terminal, _ = ready
    assert order(ready, packages.add_eim(entry(pki, **changes))) == answer
    good = answer in ("a803020100", "a803840101")
    assert len(terminal.card.state().eims) == (2 if good else 1)
    assert f'"tokens":{1 if answer == "a803840101" else 0}' in terminal.dump()


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"name": b"nobody", "t88": bytes(20)}, "8a0101"),
        ({"t88": bytes(20), "t83": b"\xff"}, "8a0103"),
        ({"t83": b"\xff", "t84": b"\x01"}, "8a0106"),
        ({"t83": b"\x00\x80\x00\x00"}, "8a0106"),
        ({"t84": b"\xff", "t83": b"\x09"}, "8a0107"),
        ({"t83": None, "tA5": None}, "8a0107"),
        ({"t83": b"\x04", "tA5": None}, "8a0107"),
        ({"tA5": bytes.fromhex("a000")}, "8a0107"),
        ({"name": b"\xff"}, "8a0107"),
        ({"t83": b"\x04"}, "8a0100"),
        ({"t83": b"\x05", "tA5": None}, "8a0100"),
        ({"t83": b"\x06", "tA5": None}, "8a0100"),
        ({"t83": None, "tA5": None, "t81": b"x", "t82": b"\x03", "t87": b"\x04\xf0", "t89": b""}, "8a0100"),
    ],
)
def test_update_eim(ready: tuple[Terminal, Eim], pki: Pki, changes: dict[str, bytes | None], answer: str) -> None:
    terminal, _ = ready
    order(ready, packages.add_eim(entry(pki)))
    before = terminal.es10(bytes.fromhex("bf5500"))
    kept = terminal.card.state().eims[1].counter
    assert order(ready, packages.update_eim(entry(pki, **changes))) == answer
    if answer != "8a0100":
        assert terminal.es10(bytes.fromhex("bf5500")) == before
        assert terminal.card.state().eims[1].counter == kept


def test_delete_eim(ready: tuple[Terminal, Eim]) -> None:
    assert order(ready, build(0xA9, build(0x80, b"\xff"))) == "890107"
    assert order(ready, build(0xA9)) == "890107"
    assert order(ready, packages.delete_eim("")) == "890107"
    assert order(ready, packages.delete_eim("nobody")) == "890101"
    assert order(ready, packages.delete_eim(EIM_ID)) == "890102"


def test_configuration_with_every_member(terminal: Terminal, pki: Pki) -> None:
    oid = {
        "eimId": "2.999.20",
        "eimFqdn": "eim.example",
        "eimIdType": 1,
        "counterValue": 0,
        "associationToken": -1,
        "eimPublicKeyData": ("eimCertificate", pki.eim.certificate),
        "trustedPublicKeyDataTls": ("trustedCertificateTls", pki.eim_tls.certificate),
        "eimSupportedProtocol": (b"\xf0", 4),
        "euiccCiPKId": next(iter(terminal.card._core.credentials)),
        "indirectProfileDownload": None,
    }
    proprietary = {
        "eimId": "lab",
        "eimIdType": 3,
        "counterValue": 0,
        "eimPublicKeyData": ("eimPublicKey", pki.eim.spki),
        "trustedPublicKeyDataTls": ("trustedEimPkTls", pki.eim_tls.spki),
    }
    request = codec.encode("AddInitialEimRequest", {"eimConfigurationDataList": [oid, proprietary]})
    assert terminal.es10(request).hex() == "bf5707a0058401010500"
    listed = codec.decode("GetEimConfigurationDataResponse", terminal.es10(bytes.fromhex("bf5500")), accept=())
    first, second = listed["eimConfigurationDataList"]
    assert first == {**{key: value for key, value in oid.items() if key != "counterValue"}, "associationToken": 1}
    assert second == {key: value for key, value in proprietary.items() if key != "counterValue"}
    eim = Eim(pki.eim, "2.999.20", 1)
    (answer,) = results(terminal.es10(eim.package(ecos=[packages.list_eim()])))
    kind, named = codec.decode("EuiccResultData", bytes.fromhex(answer))
    assert kind == "listEimResult"
    assert named[1] == [{"eimId": "2.999.20", "eimIdType": 1}, {"eimId": "lab", "eimIdType": 3}]


def test_each_eim_has_its_counter_key_and_token(ready: tuple[Terminal, Eim], pki: Pki) -> None:
    terminal, eim = ready
    other = Eim(pki.issue("eim"), "second.example")
    assert order(ready, packages.add_eim(other.configuration(counter=100, token=True))) == "a803840101"
    other.token = 1
    parsed = packages.parse_result(terminal.es10(other.package(packages.get_rat(), counter=100)))
    assert parsed.error_code == 4
    assert packages.verify_result(parsed, pki.euicc(parties.EID).key.public_key(), 1)
    assert results(terminal.es10(other.package(packages.get_rat(), counter=101)))
    assert results(terminal.es10(eim.package(packages.get_rat())))
    assert [view.counter for view in terminal.card.state().eims] == [2, 101]
    # neither may sign for the other
    forged = Eim(eim.credential, "second.example", 1)
    assert (
        packages.parse_result(terminal.es10(forged.package(packages.get_rat(), counter=200))).form == "error-unsigned"
    )
    # a package of before the deletion is void after the eIM is associated again: its token is another
    old = other.package(packages.delete(OPER_ICCID), counter=102)
    eim.counter = 2
    deleted = terminal.es10(
        eim.package(ecos=[packages.delete_eim("second.example"), packages.add_eim(other.configuration(token=True))])
    )
    assert results(deleted) == ["890100", "a803840102"]
    assert packages.parse_result(terminal.es10(old)).form == "error-unsigned"


def test_the_list_ends_at_the_first_failure(ready: tuple[Terminal, Eim], pki: Pki) -> None:
    terminal, eim = ready
    ecos = [packages.add_eim(entry(pki)), packages.delete_eim("nobody"), packages.delete_eim(EIM_ID)]
    assert results(terminal.es10(eim.package(ecos=ecos))) == ["a803020100", "890101"]
    assert len(terminal.card.state().eims) == 2
    assert results(terminal.es10(eim.package(ecos=[b"\xac\x00", packages.list_eim()]))) == ["020102"]
    assert results(terminal.es10(eim.package(ecos=[]))) == ["020102"]


def test_configure_immediate_enabling_belongs_to_the_eim(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    terminal.unchanged("bf59028000", "bf5903800102")
    assert results(terminal.es10(eim.package(bytes.fromhex("a70480008100")))) == ["870107"]  # an OID of no octets
    assert results(terminal.es10(eim.package(packages.configure_immediate_enable(flag=True)))) == ["870100"]


@pytest.mark.parametrize("curve", ["secp256r1", "brainpoolP256r1"])
def test_eim_keys_on_both_curves(terminal: Terminal, pki: Pki, curve: str) -> None:
    credential = pki.on(curve).eim
    assert credential.key.curve.name == curve
    for certificate in (False, True):
        eim = Eim(credential, f"eim{certificate}")
        terminal.es10(bytes.fromhex("bf640482020204"))
        assert eim.associate(terminal, certificate=certificate).hex() == "bf5704a0020500"
        assert results(terminal.es10(eim.package(packages.get_rat())))


def test_keys_on_other_curves_are_refused(terminal: Terminal, pki: Pki) -> None:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    spki = build(0xA0, tlv.first(ecdsa.spki(key)).value)
    terminal.unchanged(build(0xBF57, build(0xA0, entry(pki, tA5=spki))), "bf5703810107")


def test_other_readings(bench: Bench, pki: Pki) -> None:
    reading = Interpretation(add_eim_needs_counter=False, lower_counter="always", counter_maximum=9)
    terminal = bench.with_options(interpretation=reading)
    assert terminal.es10(build(0xBF57, build(0xA0, entry(pki, EIM_ID.encode(), t83=None)))).hex() == "bf5704a0020500"
    eim = Eim(pki.dp_auth)
    assert terminal.card.state().eims[0].counter == 0
    assert packages.parse_result(terminal.es10(eim.package(packages.get_rat(), counter=10))).error_code == 6
    lower = entry(pki, EIM_ID.encode(), t83=b"\x01", tA5=None)
    # counterValue of the package is stored after the eCOs (3.3.1): what updateEim sets for oneself is overwritten
    assert results(terminal.es10(eim.package(ecos=[packages.update_eim(lower)], counter=5))) == ["8a0100"]
    assert terminal.card.state().eims[0].counter == 5
    terminal = bench.with_options("never", interpretation=Interpretation(lower_counter="never"))
    terminal.es10(build(0xBF57, build(0xA0, entry(pki, EIM_ID.encode()))))
    with_key = packages.update_eim(entry(pki, EIM_ID.encode(), t83=b"\x01"))
    assert results(terminal.es10(eim.package(ecos=[with_key], counter=6))) == ["8a0107"]
