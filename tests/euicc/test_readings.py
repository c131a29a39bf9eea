"""Other readings of the standard as options, catBusy, and a switch that is not over: what each function then says."""

from __future__ import annotations

import pytest

from bench.rsp import ecdsa, packages, tlv
from bench.rsp.interpretation import Interpretation
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.profiles import metadata
from fixtures.sim.euicc import EuiccOptions

from . import parties
from .parties import BOOT_ICCID, EID, OPER_ICCID, Bench, Eim, Smdpp, Terminal, install, pir, results
from .test_es10c import POLL


@pytest.fixture
def ready(bench: Bench, pki: Pki) -> tuple[Terminal, Eim]:
    return made(bench, pki)


def made(bench: Bench, pki: Pki, name: str = "card", **reading: object) -> tuple[Terminal, Eim]:
    """A card of this reading with both profiles and an eIM; the operational one may be the fallback profile."""
    terminal = bench.with_options(name, interpretation=Interpretation(**reading))  # type: ignore[arg-type]
    assert pir(install(terminal, pki, about=metadata(parties.operational(), fallback_allowed=True)))[0] == "ok"
    eim = Eim(pki.eim)
    eim.associate(terminal)
    return terminal, eim


# --- catBusy ---------------------------------------------------------------------------------------------------------


def test_a_proactive_session_is_in_the_way(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    terminal.es10(eim.package(packages.set_fallback_attribute(OPER_ICCID)))
    assert terminal.card.request(POLL)
    assert results(terminal.es10(eim.package(packages.enable(OPER_ICCID)))) == ["830105"]
    assert results(terminal.es10(eim.package(packages.disable(BOOT_ICCID)))) == ["840105"]
    terminal.unchanged("bf5d038001ff", "bf5d03800105")
    # without REFRESH it is not
    assert terminal.es10(bytes.fromhex("bf5d03800100")).hex() == "bf5d03800100"
    terminal.unchanged("bf5e038001ff", "bf5e03800105")
    # the terminal answers, and the session is over
    assert terminal.ok("801200000f") == POLL
    terminal.ok("801400000c810303010082028281830100")
    assert terminal.es10(bytes.fromhex("bf5e038001ff")).hex() == "bf5e03800100"
    terminal.unchanged("bf5d038001ff", "bf5d03800102")  # until the REFRESH the fallback profile is the enabled one


def test_immediate_enable_and_rollback_wait_too(bench: Bench, pki: Pki) -> None:
    terminal = bench.terminal()
    terminal.es10(bytes.fromhex("bf59028000"))
    assert pir(install(terminal, pki))[0] == "ok"
    terminal.card.request(POLL)
    terminal.unchanged("bf5a038001ff", "bf5a03800105")
    assert terminal.es10(bytes.fromhex("bf5a03800100")).hex() == "bf5a03800100"
    eim = Eim(pki.eim)
    eim.associate(terminal)
    terminal.reset()
    terminal.es10(eim.package(packages.enable(BOOT_ICCID, True)))
    terminal.reset()
    terminal.card.request(POLL)
    terminal.unchanged("bf58038001ff", "bf5803020105")
    assert terminal.es10(bytes.fromhex("bf5803800100"))[3:6].hex() == "020100"
    assert terminal.iccid() == OPER_ICCID


def test_the_list_while_a_switch_is_not_over(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    terminal.es10(eim.package(packages.enable(OPER_ICCID)))
    terminal.unchanged("bf2d00", "bf2d0381010b")
    # by a package too
    for wrong in (bytes.fromhex("bf2d05a003960102"), packages.list_profile_info(b"\x9f")):
        assert results(terminal.es10(eim.package(wrong, packages.get_rat()))) == ["bf2d03810101"]
    terminal.reset()
    assert terminal.es10(bytes.fromhex("bf2d00"))[3:4] != b"\x81"


def test_fallback_codes(ready: tuple[Terminal, Eim], bench: Bench, pki: Pki) -> None:
    terminal, eim = ready
    terminal.es10(eim.package(packages.set_fallback_attribute(OPER_ICCID), packages.enable(OPER_ICCID)))
    terminal.reset()
    # it is enabled now: neither taken away nor given to another
    other = parties.numbered(1)
    assert pir(install(terminal, pki, other, about=metadata(other, fallback_allowed=True)))[0] == "ok"
    assert results(terminal.es10(eim.package(packages.unset_fallback_attribute()))) == ["8e0103"]
    wanted = packages.set_fallback_attribute(parties.iccid_of(other))
    assert results(terminal.es10(eim.package(wanted))) == ["8d0103"]
    assert results(terminal.es10(eim.package(packages.set_fallback_attribute(OPER_ICCID)))) == ["8d0100"]
    terminal.es10(eim.package(packages.disable(OPER_ICCID)))
    terminal.reset()
    terminal.unchanged("bf5d038001ff", "bf5d03800107")  # there is no enabled profile
    assert results(terminal.es10(eim.package(wanted))) == ["8d0100"]
    listed = terminal.es10(eim.package(packages.list_profile_info([0x5A, 0x9F26])))
    assert listed.count(bytes.fromhex("9f2601ff")) == 1
    assert results(terminal.es10(eim.package(packages.unset_fallback_attribute()))) == ["8e0100"]


def test_a_card_without_fallback(bench: Bench, pki: Pki) -> None:
    terminal = bench.with_options(fallback=False)
    install(terminal, pki, about=metadata(parties.operational(), fallback_allowed=True))
    eim = Eim(pki.eim)
    eim.associate(terminal)
    assert results(terminal.es10(eim.package(packages.set_fallback_attribute(OPER_ICCID)))) == ["8d0102"]
    terminal.unchanged("bf5d038001ff", "bf5d03800106")
    assert tlv.first(terminal.es10(bytes.fromhex("bf2200"))).find(0xB4, 0x82) is None


@pytest.mark.parametrize("reason", [0, 1, 2, 3, 4, 5, 127])
def test_cancel_reasons(terminal: Terminal, pki: Pki, reason: int) -> None:
    smdpp = Smdpp(pki)
    smdpp.authenticated(parties.authenticate(terminal, smdpp))
    wrong = build(0xBF41, build(0x80, smdpp.transaction_id), build(0x81, b"\x09"))
    terminal.unchanged(wrong, "bf410381017f")
    answer = terminal.es10(build(0xBF41, build(0x80, smdpp.transaction_id), build(0x81, bytes((reason,)))))
    signed = tlv.first(answer).find(0xA0, 0x30, 0x82)
    assert signed is not None
    assert signed.value == bytes((reason,))


@pytest.mark.parametrize("event", [0x80, 0x40, 0x20, 0x10])
def test_notification_filters(ready: tuple[Terminal, Eim], event: int) -> None:
    terminal, eim = ready
    terminal.es10(eim.package(packages.enable(OPER_ICCID), packages.delete(BOOT_ICCID)))
    terminal.reset()
    bits = bytes(((event & -event).bit_length() - 1, event))
    listed = tlv.first(terminal.es10(build(0xBF28, build(0x81, bits)))).children()[0].children()
    assert len(listed) == (2 if event == 0x80 else 1)
    assert all(part.find(0x81).value == bits for part in listed)  # type: ignore[union-attr]
    retrieved = tlv.first(terminal.es10(build(0xBF2B, build(0xA0, build(0x81, bits))))).children()[0].children()
    assert len(retrieved) == len(listed)


# --- readings --------------------------------------------------------------------------------------------------------


def test_after_a_failure(bench: Bench, pki: Pki) -> None:
    terminal, eim = made(bench, pki, after_failure="processing-terminated")
    commands = [packages.enable(BOOT_ICCID), packages.get_rat()]
    assert results(terminal.es10(eim.package(*commands))) == ["830102", "020102"]
    assert results(terminal.es10(eim.package(b"\xbf\x66\x00"))) == ["020102"]


def test_unsigned_error_with_a_code(bench: Bench, pki: Pki) -> None:
    terminal, _ = made(bench, pki, unsigned_error_code="undefined")
    stranger = Eim(pki.eim, "x")
    terminal.unchanged(stranger.package(packages.get_rat()), "bf510ca20a80017882020102" + "8f017f")


def test_rules_of_the_package_as_a_whole(bench: Bench, pki: Pki) -> None:
    terminal, eim = made(bench, pki, package_rules="ignored")
    answer = terminal.es10(eim.package(packages.enable(OPER_ICCID), packages.disable(OPER_ICCID)))
    assert results(answer) == ["830100", "840100"]
    terminal.reset()
    assert terminal.card.state().enabled is None


def test_list_after_a_change(bench: Bench, pki: Pki) -> None:
    terminal, eim = made(bench, pki, list_after_change="listed", listed_by_default="sgp22")
    _, listed = results(terminal.es10(eim.package(packages.enable(OPER_ICCID), packages.list_profile_info())))
    assert listed.startswith("bf2d") and "9f700101" in listed
    assert [part.tag for part in tlv.first(bytes.fromhex(listed)).children()[0].children()[0].children()] == [
        *(0x5A, 0x4F, 0x9F70, 0x91, 0x92, 0x95)
    ]


def test_error_results_that_are_kept(bench: Bench, pki: Pki) -> None:
    terminal, eim = made(bench, pki, result_of_error_kept=True)
    raw = terminal.es10(eim.package(packages.get_rat(), counter=0))
    assert packages.parse_result(raw).error_code == 4
    assert raw in terminal.es10(bytes.fromhex("bf2b04a0028200"))
    assert terminal.card.state().notifications[-1].kind == "epr"


def test_switch_without_refresh(bench: Bench, pki: Pki) -> None:
    terminal, eim = made(bench, pki, enable_refreshes=False)
    terminal.card.request(POLL)
    assert results(terminal.es10(eim.package(packages.enable(OPER_ICCID)))) == ["830100"]
    assert terminal.iccid() == OPER_ICCID


def test_refresh_qualifier(bench: Bench, pki: Pki) -> None:
    terminal, eim = made(bench, pki, refresh_qualifier=9)
    terminal.es10(eim.package(packages.enable(OPER_ICCID)))
    assert terminal.ok("801200000b").hex() == "d009810301010982028182"


def test_immediate_enable_from_any_server(bench: Bench, pki: Pki) -> None:
    for checks, answer in ((True, "bf5a03800101"), (False, "bf5a03800100")):
        reading = Interpretation(immediate_enable_checks_server=checks)
        terminal = bench.with_options(f"card{checks}", interpretation=reading)
        terminal.es10(build(0xBF59, build(0x80), build(0x82, b"other.example")))
        assert pir(install(terminal, pki))[0] == "ok"
        assert terminal.es10(bytes.fromhex("bf5a038001ff")).hex() == answer


def test_silent_fallback(bench: Bench, pki: Pki) -> None:
    terminal, eim = made(bench, pki, fallback_notifications=False)
    terminal.es10(eim.package(packages.set_fallback_attribute(OPER_ICCID)))
    before = terminal.card.state().sequence
    terminal.es10(bytes.fromhex("bf5d03800100"))
    terminal.es10(bytes.fromhex("bf5e03800100"))
    assert terminal.card.state().sequence == before
    assert terminal.iccid() == BOOT_ICCID


def test_what_the_result_signs(bench: Bench, pki: Pki) -> None:
    terminal, eim = made(bench, pki, result_signs="eim-signature")
    request = eim.package(packages.get_rat())
    parsed = packages.parse_result(terminal.es10(request))
    signature = tlv.first(request).children()[1].raw
    public = pki.euicc(EID).key.public_key()
    assert ecdsa.verify(public, parsed.signature, parsed.signed_raw + signature)
    assert not packages.verify_result(parsed, public, None)


def test_without_token_nothing_is_appended(bench: Bench, pki: Pki) -> None:
    terminal, eim = made(bench, pki, token_when_none="nothing")
    raw = terminal.es10(eim.package(packages.get_rat()))
    assert packages.parse_result(raw).form == "error-unsigned"  # this eIM appends 84 01 00
    signed, _ = tlv.first(eim.package(packages.get_rat())).children()
    request = build(0xBF51, signed.raw, build(0x5F37, ecdsa.sign(eim.credential.key, signed.raw)))
    parsed = packages.parse_result(terminal.es10(request))
    assert packages.verify_result(parsed, pki.euicc(EID).key.public_key(), None, accept_no_token=True)
    assert not packages.verify_result(parsed, pki.euicc(EID).key.public_key(), None)


def test_the_answer_to_another_command_is_no_refresh(bench: Bench, pki: Pki) -> None:
    bench.options = EuiccOptions(refresh="locked")
    terminal = bench.terminal()
    assert pir(install(terminal, pki))[0] == "ok"
    eim = Eim(pki.eim)
    eim.associate(terminal)
    terminal.es10(eim.package(packages.enable(OPER_ICCID)))
    terminal.card.request(POLL)
    terminal.ok("801200000f")
    terminal.ok("801400000c810303010082028281830100")
    assert terminal.card.state().switch_pending
    assert terminal.iccid() == BOOT_ICCID


def test_connectivity_parameters_of_the_enabled_profile(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    assert terminal.es10(bytes.fromhex("bf5f00")).hex() == "bf5f17a0158113350103470e09626f6f74737472617003696f74"
    terminal.es10(eim.package(packages.enable(OPER_ICCID)))
    terminal.reset()
    assert terminal.es10(bytes.fromhex("bf5f00")).hex() == "bf5f12a010810e350103470908" + b"internet".hex()
    terminal.es10(eim.package(packages.disable(OPER_ICCID)))
    terminal.reset()
    terminal.unchanged("bf5f00", "bf5f03810101")
