"""eUICC Packages: order of the checks, forms of the results, effects on profiles, REFRESH and rollback."""

from __future__ import annotations

import pytest

from bench.rsp import ecdsa, packages, tlv
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.profiles import metadata
from fixtures.sim.euicc import EuiccOptions

from . import parties
from .parties import BOOT_ICCID, EIM_ID, OPER_ICCID, Bench, Eim, Refused, Terminal, install, pir, results

REFRESH = "d009810301010482028182"


@pytest.fixture
def ready(terminal: Terminal, pki: Pki) -> tuple[Terminal, Eim]:
    """A card with both profiles and an eIM."""
    assert pir(install(terminal, pki))[0] == "ok"
    eim = Eim(pki.eim)
    eim.associate(terminal)
    return terminal, eim


def form(raw: bytes) -> str:
    return packages.parse_result(raw).form


def test_result_form_and_signature(ready: tuple[Terminal, Eim], pki: Pki) -> None:
    terminal, eim = ready
    raw = terminal.es10(eim.package(packages.list_profile_info([0x5A, 0x9F70])))
    outer = tlv.first(raw)
    (signed,) = outer.children()
    assert (outer.tag, signed.tag) == (0xBF51, 0xA0)
    data, signature = signed.children()
    assert [part.tag for part in data.children()] == [0x80, 0x81, 0x82, 0x83, 0x30]
    assert len(signature.value) == 64
    public = pki.euicc(parties.EID).key.public_key()
    assert ecdsa.verify(public, signature.value, data.raw + bytes.fromhex("840100"))
    assert not ecdsa.verify(public, signature.value, data.raw)
    parsed = packages.parse_result(raw)
    assert (parsed.eim_id, parsed.counter, parsed.transaction_id, parsed.seq) == (EIM_ID, 1, b"\x01\x02", 3)
    assert packages.verify_result(parsed, public, None)
    # it is kept until it is removed
    assert raw in terminal.es10(bytes.fromhex("bf2b04a0028200"))
    terminal.es10(bytes.fromhex("bf3003800103"))
    assert terminal.es10(bytes.fromhex("bf2b04a0028200")).hex() == "bf2b02a200"


def test_default_tags_of_list_profile_info(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    raw = terminal.es10(eim.package(packages.list_profile_info()))
    (listing,) = (part for part in [tlv.first(bytes.fromhex(results(raw)[0]))])
    first = listing.children()[0].children()[0]
    assert [part.tag for part in first.children()] == [0x5A, 0x4F, 0x9F70, 0x91, 0x92, 0x95]


def test_association_token_is_part_of_both_signatures(terminal: Terminal, pki: Pki) -> None:
    eim = Eim(pki.eim)
    eim.associate(terminal, token=True)
    assert eim.token == 1
    raw = terminal.es10(eim.package(packages.list_profile_info([0x5A])))
    parsed = packages.parse_result(raw)
    public = pki.euicc(parties.EID).key.public_key()
    assert packages.verify_result(parsed, public, 1)
    assert not packages.verify_result(parsed, public, None)
    eim.token = None
    refused = terminal.es10(eim.package(packages.list_profile_info([0x5A])))
    assert refused.hex() == "bf511ca21a8011" + EIM_ID.encode().hex() + "82020102" + "840101"


def test_unsigned_errors(terminal: Terminal, pki: Pki) -> None:
    eim = Eim(pki.eim)
    eim.associate(terminal)
    name = "8011" + EIM_ID.encode().hex()
    stranger = Eim(pki.eim, "other.example")
    raw = terminal.es10(stranger.package(packages.list_profile_info()))
    assert raw.hex() == "bf5115a213800d" + b"other.example".hex() + "82020102"
    assert form(raw) == "error-unsigned"
    forged = Eim(pki.issue("eim"))
    raw = terminal.es10(forged.package(packages.list_profile_info()))
    assert raw.hex() == "bf5119a217" + name + "82020102"
    # one byte of the signed part changed on the way
    good = eim.package(packages.list_profile_info(), transaction_id=None)
    changed = good.replace(b"\x81\x01\x01", b"\x81\x01\x02")
    assert terminal.es10(changed).hex() == "bf5115a213" + name
    # DER form of the signature, as one eIM sends it
    der = tlv.first(good).children()
    as_der = build(0xBF51, der[0].raw, build(0x5F37, ecdsa.to_der(der[1].value)))
    assert terminal.es10(as_der).hex() == "bf5115a213" + name
    # damaged, but the eIM can be read
    damaged = build(0xBF51, build(0x30, bytes.fromhex(name), build(0x81, b"\x01")))
    assert terminal.es10(damaged).hex() == "bf5115a213" + name
    assert terminal.card.state().eims[0].counter == 0
    # and the package itself is still good
    assert form(terminal.es10(good)) == "signed"


def test_signed_errors_in_order(terminal: Terminal, pki: Pki) -> None:
    eim = Eim(pki.eim)
    eim.associate(terminal)
    wrong_eid = "89049032000000000000000000000000"
    head = "8011" + EIM_ID.encode().hex()

    def code(raw: bytes) -> tuple[int, str]:
        parsed = packages.parse_result(raw)
        assert parsed.form == "error-signed"
        assert packages.verify_result(parsed, pki.euicc(parties.EID).key.public_key(), None)
        data = tlv.first(raw).find(0xA1, 0x30)
        assert data is not None
        assert data.value.hex().startswith(head)
        assert parsed.error_code is not None
        return parsed.error_code, data.value.hex()[len(head) :]

    # EID before counter
    assert code(terminal.es10(eim.package(packages.get_rat(), eid=wrong_eid, counter=0))) == (3, "81010082020102020103")
    assert code(terminal.es10(eim.package(packages.get_rat(), counter=0)))[0] == 4
    assert code(terminal.es10(eim.package(packages.get_rat(), counter=0x800000)))[0] == 6
    assert form(terminal.es10(eim.package(packages.get_rat(), counter=5))) == "signed"  # gaps are allowed
    assert code(terminal.es10(eim.package(packages.get_rat(), counter=5)))[0] == 4
    assert code(terminal.es10(eim.package(packages.get_rat(), counter=4)))[0] == 4
    assert form(terminal.es10(eim.package(packages.get_rat(), counter=0x7FFFFF))) == "signed"
    # errors have no sequence number and are not kept
    assert [n.kind for n in terminal.card.state().notifications] == ["epr", "epr"]


def test_enable_with_fetched_refresh(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    raw = terminal.es10(eim.package(packages.enable(OPER_ICCID)))
    assert results(raw) == ["830100"]
    assert terminal.log[-1][1][-2:].hex() == "910b"
    assert terminal.iccid() == BOOT_ICCID  # not before REFRESH
    assert terminal.log[-1][1][-2:].hex() == "910b"  # the card says it again
    # meanwhile nothing else may be switched, and what is enabled is still what was
    assert results(terminal.es10(eim.package(packages.disable(BOOT_ICCID)))) == ["840105"]
    assert results(terminal.es10(eim.package(packages.enable(BOOT_ICCID)))) == ["830102"]
    assert results(terminal.es10(eim.package(packages.delete(OPER_ICCID)))) == ["850102"]
    assert terminal.raw(bytes.fromhex("8012000000")).hex() == "6c0b"
    assert terminal.ok("801200000b").hex() == REFRESH
    assert terminal.log[-1][1][-2:].hex() == "9000"
    assert terminal.iccid() == BOOT_ICCID
    terminal.ok("801400000c810301010402028281830100")
    assert (terminal.iccid(), terminal.imsi()) == (OPER_ICCID, "999700000000002")
    assert terminal.raw(bytes.fromhex("801200000b")).hex() == "6f00"
    terminal.card.reset()
    assert (terminal.iccid(), terminal.imsi()) == (OPER_ICCID, "999700000000002")


def test_terminal_that_cannot_refresh_resets(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    terminal.es10(eim.package(packages.enable(OPER_ICCID)))
    terminal.ok("801200000b")
    terminal.ok("801400000d81030101040202828183022001")
    assert terminal.iccid() == BOOT_ICCID
    terminal.card.reset()
    assert terminal.iccid() == OPER_ICCID


def test_enable_locks_the_isd_r_until_reset(bench: Bench, pki: Pki) -> None:
    bench.options = EuiccOptions(refresh="locked")
    terminal = bench.terminal()
    install(terminal, pki)
    eim = Eim(pki.eim)
    eim.associate(terminal)
    assert results(terminal.es10(eim.package(packages.enable(OPER_ICCID)))) == ["830100"]
    assert terminal.log[-1][1][-2:].hex() == "9000"
    for request in ("bf2b00", "bf2d00", "bf3e035c015a"):
        with pytest.raises(Refused, match="6985"):
            terminal.es10(bytes.fromhex(request))
    assert terminal.card.state().locked
    assert terminal.iccid() == BOOT_ICCID
    terminal.card.reset()
    terminal.open_isd_r()
    assert terminal.iccid() == OPER_ICCID
    assert terminal.es10(bytes.fromhex("bf2b04a0028200")) != bytes.fromhex("bf2b02a200")  # the result is delivered now


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ([packages.enable("8900101000000000035")], ["830101"]),
        ([packages.enable(BOOT_ICCID)], ["830102"]),
        ([packages.disable(OPER_ICCID)], ["840102"]),
        ([packages.disable("8900101000000000035")], ["840101"]),
        ([packages.delete(BOOT_ICCID)], ["850102"]),
        ([packages.delete("8900101000000000035")], ["850101"]),
        ([packages.disable(BOOT_ICCID)], ["840100"]),
        ([packages.delete(OPER_ICCID)], ["850100"]),
        ([packages.delete(OPER_ICCID), packages.enable(OPER_ICCID)], ["850100", "830101"]),
        ([packages.disable(BOOT_ICCID), packages.enable(OPER_ICCID, True)], ["840100", "830100"]),
        ([packages.enable(OPER_ICCID), packages.delete(BOOT_ICCID)], ["830100", "850100"]),
        ([packages.enable(OPER_ICCID, True), packages.delete(BOOT_ICCID)], ["830100", "850114"]),
        ([packages.enable(OPER_ICCID), packages.delete(OPER_ICCID)], ["830100", "850102"]),
        ([packages.enable(OPER_ICCID), packages.enable(BOOT_ICCID)], ["830100", "020102"]),
        ([packages.enable(OPER_ICCID), packages.disable(OPER_ICCID)], ["830100", "020102"]),
        ([packages.enable(OPER_ICCID), packages.list_profile_info()], ["830100", "bf2d0381010b"]),
        # after a failure nothing more is executed
        ([packages.delete(BOOT_ICCID), packages.delete(OPER_ICCID)], ["850102"]),
        ([b"\xbf\x66\x00"], ["020102"]),
        ([b"\xa3\x00"], ["020102"]),
        ([packages.set_default_dp_address("a.example")], ["bf6503800100"]),
        ([packages.configure_immediate_enable(flag=True)], ["870100"]),
        ([packages.set_fallback_attribute(OPER_ICCID)], ["8d0102"]),
        ([packages.set_fallback_attribute("8900101000000000035")], ["8d0101"]),
        ([packages.unset_fallback_attribute()], ["8e0102"]),
        ([packages.get_rat()], ["a61630" + "1480020560a10b30098003eeeeee81008200820100"]),
    ],
)
def test_psmo_results(ready: tuple[Terminal, Eim], commands: list[bytes], expected: list[str]) -> None:
    terminal, eim = ready
    raw = terminal.es10(eim.package(*commands))
    assert results(raw) == expected
    packages.parse_result(raw)
    assert terminal.card.state().eims[0].counter == 1
    assert terminal.card.faults == 0
    terminal.card.reset()
    view = terminal.card.state()
    assert sum(profile.enabled for profile in view.profiles) <= 1


def test_disable_leaves_a_card_without_profile_and_delete_after_enable(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    terminal.es10(eim.package(packages.enable(OPER_ICCID), packages.delete(BOOT_ICCID)))
    assert len(terminal.card.state().profiles) == 2  # until REFRESH or reset
    terminal.card.reset()
    terminal.open_isd_r()
    view = terminal.card.state()
    assert [(profile.iccid, profile.enabled) for profile in view.profiles] == [(OPER_ICCID, True)]
    assert [n.event for n in view.notifications][-3:] == ["disable", "enable", "delete"]
    terminal.es10(eim.package(packages.disable(OPER_ICCID)))
    terminal.card.reset()
    assert terminal.card.state().enabled is None
    with pytest.raises(Refused, match="6A82"):
        terminal.iccid()


def test_policy_rules(terminal: Terminal, pki: Pki) -> None:
    about = metadata(parties.operational(), policy_rules=0x60)
    assert pir(install(terminal, pki, about=about))[0] == "ok"
    eim = Eim(pki.eim)
    eim.associate(terminal)
    assert results(terminal.es10(eim.package(packages.delete(OPER_ICCID)))) == ["850103"]
    terminal.es10(eim.package(packages.enable(OPER_ICCID)))
    terminal.card.reset()
    terminal.open_isd_r()
    assert results(terminal.es10(eim.package(packages.disable(OPER_ICCID)))) == ["840103"]
    assert results(terminal.es10(eim.package(packages.enable(BOOT_ICCID)))) == ["830103"]


def test_rollback(ready: tuple[Terminal, Eim], pki: Pki) -> None:
    terminal, eim = ready
    assert terminal.es10(bytes.fromhex("bf58038001ff")).hex() == "bf5803020101"
    terminal.es10(eim.package(packages.enable(OPER_ICCID, True)))
    assert terminal.es10(bytes.fromhex("bf58038001ff")).hex() == "bf5803020105"  # the first switch is not over
    terminal.card.reset()
    terminal.open_isd_r()
    assert terminal.iccid() == OPER_ICCID
    raw = terminal.es10(bytes.fromhex("bf58038001ff"))
    assert terminal.log[-1][1][-2:].hex() == "910b"
    code, result = tlv.first(raw).children()
    assert code.raw.hex() == "020100"
    assert results(result.raw) == ["8c0100"]
    parsed = packages.parse_result(result.raw)
    assert (parsed.counter, parsed.transaction_id) == (1, b"\x01\x02")
    assert packages.verify_result(parsed, pki.euicc(parties.EID).key.public_key(), None)
    # the result of the package that was undone is gone, the rollback's is kept
    assert terminal.es10(bytes.fromhex("bf2b04a0028200")) == build(0xBF2B, build(0xA2, result.raw))
    terminal.card.reset()
    terminal.open_isd_r()
    assert terminal.iccid() == BOOT_ICCID
    assert terminal.es10(bytes.fromhex("bf58038001ff")).hex() == "bf5803020101"  # once only


def test_rollback_without_refresh_is_effective_at_once(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    terminal.es10(eim.package(packages.enable(OPER_ICCID, True)))
    terminal.card.reset()
    terminal.open_isd_r()
    terminal.es10(bytes.fromhex("bf5803800100"))
    assert terminal.iccid() == BOOT_ICCID


def test_another_package_ends_the_authorisation(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    terminal.es10(eim.package(packages.enable(OPER_ICCID, True)))
    terminal.card.reset()
    terminal.open_isd_r()
    assert terminal.card.state().rollback_armed
    # a refused one does not
    terminal.es10(eim.package(packages.get_rat(), counter=1))
    assert terminal.card.state().rollback_armed
    eim.counter = 1
    terminal.es10(eim.package(packages.get_rat()))
    assert not terminal.card.state().rollback_armed
    assert terminal.es10(bytes.fromhex("bf58038001ff")).hex() == "bf5803020101"


def test_rollback_needs_a_profile_to_go_back_to(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    terminal.es10(eim.package(packages.disable(BOOT_ICCID)))
    terminal.card.reset()
    terminal.open_isd_r()
    assert results(terminal.es10(eim.package(packages.enable(OPER_ICCID, True)))) == ["830114"]


def test_immediate_enable_and_fallback(terminal: Terminal, pki: Pki) -> None:
    eim = Eim(pki.eim)
    eim.associate(terminal)
    terminal.es10(eim.package(packages.configure_immediate_enable(flag=True, smdp_oid="2.999.10")))
    assert terminal.es10(bytes.fromhex("bf5a038001ff")).hex() == "bf5a03800104"
    install(terminal, pki, about=metadata(parties.operational(), fallback_allowed=True))
    assert terminal.es10(bytes.fromhex("bf5a038001ff")).hex() == "bf5a03800100"
    terminal.card.reset()
    terminal.open_isd_r()
    assert terminal.iccid() == OPER_ICCID
    assert results(terminal.es10(eim.package(packages.set_fallback_attribute(OPER_ICCID)))) == ["8d0100"]
    assert b"\x9f\x26\x01\xff" in terminal.es10(eim.package(packages.list_profile_info()))
    assert terminal.es10(bytes.fromhex("bf5d038001ff")).hex() == "bf5d03800102"
    terminal.es10(eim.package(packages.enable(BOOT_ICCID)))
    terminal.card.reset()
    terminal.open_isd_r()
    assert terminal.es10(bytes.fromhex("bf5d03800100")).hex() == "bf5d03800100"
    assert terminal.iccid() == OPER_ICCID
    assert results(terminal.es10(eim.package(packages.delete(BOOT_ICCID)))) == ["850115"]
    assert terminal.es10(bytes.fromhex("bf5e03800100")).hex() == "bf5e03800100"
    assert terminal.iccid() == BOOT_ICCID
    assert terminal.es10(bytes.fromhex("bf5e03800100")).hex() == "bf5e03800106"


def test_ecos(terminal: Terminal, pki: Pki) -> None:
    eim = Eim(pki.eim)
    eim.associate(terminal)
    other = Eim(pki.issue("eim"), "second.example")
    raw = terminal.es10(
        eim.package(
            ecos=[packages.add_eim(other.configuration(token=True)), packages.list_eim()],
        )
    )
    first = "30168011" + EIM_ID.encode().hex() + "820102"
    second = "3013800e" + b"second.example".hex() + "820102"
    assert results(raw) == ["a803840101", "ab2fa02d" + first + second]
    other.token = 1
    assert results(terminal.es10(other.package(packages.get_rat())))
    assert results(terminal.es10(eim.package(ecos=[packages.add_eim(other.configuration())]))) == ["a803020102"]
    assert results(terminal.es10(eim.package(ecos=[packages.delete_eim("nobody")]))) == ["890101"]
    update = build(0x30, build(0x80, b"second.example"), build(0x81, b"new.example"))
    assert results(terminal.es10(eim.package(ecos=[packages.update_eim(update)]))) == ["8a0100"]
    assert b"new.example" in terminal.es10(bytes.fromhex("bf5500"))
    lower = build(0x30, build(0x80, b"second.example"), build(0x83, b"\x00"))
    assert results(terminal.es10(eim.package(ecos=[packages.update_eim(lower)]))) == ["8a0107"]
    key = build(0xA5, build(0xA0, tlv.first(pki.dp_tls.spki).value))
    lower_with_key = build(0x30, build(0x80, b"second.example"), build(0x83, b"\x00"), key)
    assert results(terminal.es10(eim.package(ecos=[packages.update_eim(lower_with_key)]))) == ["8a0100"]
    # the old key is void now
    assert form(terminal.es10(other.package(packages.get_rat()))) == "error-unsigned"
    # deleting oneself: the result is still signed, the last one says so
    assert results(terminal.es10(eim.package(ecos=[packages.delete_eim("second.example")]))) == ["890100"]
    raw = terminal.es10(eim.package(ecos=[packages.delete_eim(EIM_ID)]))
    assert results(raw) == ["890102"]
    assert packages.verify_result(packages.parse_result(raw), pki.euicc(parties.EID).key.public_key(), None)
    assert form(terminal.es10(eim.package(packages.get_rat()))) == "error-unsigned"
    again = Eim(pki.eim).associate(terminal, token=True)
    assert again.hex() == "bf5705a003840102"  # tokens are never used twice
