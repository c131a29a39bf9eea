"""The emergency profile (eCall): its functions, and what is refused while it is enabled."""

from __future__ import annotations

import pytest

from bench.rsp import packages, tlv
from bench.rsp.interpretation import Interpretation
from fixtures.pki import Pki
from fixtures.profiles import metadata

from . import parties
from .parties import BOOT_ICCID, EIM_ID, OPER_ICCID, Bench, Eim, Terminal, install, pir, results
from .test_es10c import POLL

ENABLE, DISABLE = "bf5b0380010", "bf5c0380010"
NOW, WITH_REFRESH = "0", "1"
NAME = "8011" + EIM_ID.encode().hex()


@pytest.fixture
def emergency(bench: Bench) -> str:
    return bench.preload("emergency", parties.numbered(9))


@pytest.fixture
def ready(bench: Bench, emergency: str, pki: Pki) -> tuple[Terminal, Eim]:
    terminal = bench.terminal()
    assert pir(install(terminal, pki))[0] == "ok"
    eim = Eim(pki.eim)
    eim.associate(terminal)
    return terminal, eim


def test_there_and_back_without_notifications(ready: tuple[Terminal, Eim], emergency: str) -> None:
    terminal, _ = ready
    before = terminal.card.state().sequence
    terminal.unchanged(DISABLE + NOW, "bf5c03800102")
    assert terminal.es10(bytes.fromhex(ENABLE + NOW)).hex() == "bf5b03800100"
    assert terminal.iccid() == emergency
    terminal.unchanged(ENABLE + NOW, "bf5b03800102")
    assert b"\x9f\x7b\x01\xff" in terminal.es10(bytes.fromhex("bf2d055c039f7b5a"))
    # it outlives power
    terminal.card.power_off()
    terminal.card.power_on()
    terminal.open_isd_r()
    assert terminal.iccid() == emergency
    assert terminal.es10(bytes.fromhex(DISABLE + NOW)).hex() == "bf5c03800100"
    assert terminal.iccid() == BOOT_ICCID
    assert terminal.card.state().sequence == before


@pytest.mark.parametrize("mode", ["fetch", "locked"])
def test_with_refresh(bench: Bench, emergency: str, mode: str) -> None:
    terminal = bench.with_options(refresh=mode)
    assert terminal.es10(bytes.fromhex(ENABLE + WITH_REFRESH)).hex() == "bf5b03800100"
    assert terminal.iccid() == BOOT_ICCID
    if mode == "fetch":
        terminal.unchanged(DISABLE + WITH_REFRESH, "bf5c03800102")
        terminal.unchanged(ENABLE + WITH_REFRESH, "bf5b03800105")
    terminal.reset()
    assert terminal.iccid() == emergency
    terminal.es10(bytes.fromhex(DISABLE + WITH_REFRESH))
    if mode == "fetch":
        terminal.unchanged(DISABLE + WITH_REFRESH, "bf5c03800105")
    terminal.reset()
    assert terminal.iccid() == BOOT_ICCID


def test_busy_with_a_proactive_session(ready: tuple[Terminal, Eim]) -> None:
    terminal, _ = ready
    terminal.card.request(POLL)
    terminal.unchanged(ENABLE + WITH_REFRESH, "bf5b03800105")
    assert terminal.es10(bytes.fromhex(ENABLE + NOW)).hex() == "bf5b03800100"


def test_what_is_refused_meanwhile(ready: tuple[Terminal, Eim], pki: Pki) -> None:
    terminal, eim = ready
    terminal.es10(bytes.fromhex(ENABLE + NOW))
    # eUICC packages: signed, after the EID and before the counter
    for package in (eim.package(packages.list_profile_info()), eim.package(packages.get_rat(), counter=0)):
        before = terminal.dump()
        parsed = packages.parse_result(terminal.es10(package))
        assert (parsed.form, parsed.error_code) == ("error-signed", 104)
        assert packages.verify_result(parsed, pki.euicc(parties.EID).key.public_key(), None)
        assert terminal.dump() == before
    other = packages.parse_result(
        terminal.es10(eim.package(packages.get_rat(), eid="89049032000000000000000000000000"))
    )
    assert other.error_code == 3
    terminal.unchanged("bf640482020780", "bf6403800168")
    terminal.unchanged("bf640482020204", "bf6403800168")
    terminal.unchanged("bf340482020780", "bf340380017f")  # SGP.22 has no code for it
    terminal.unchanged("bf5e038001ff", "bf5e03800106")
    assert terminal.es10(bytes.fromhex(DISABLE + NOW)).hex() == "bf5c03800100"
    eim.counter = 0
    assert results(terminal.es10(eim.package(packages.list_profile_info([0x5A]))))


def test_fallback_and_immediate_enable_are_refused_meanwhile(bench: Bench, emergency: str, pki: Pki) -> None:
    fallback = bench.preload("fallback", parties.numbered(3))
    terminal = bench.terminal()
    eim = Eim(pki.eim)
    eim.associate(terminal)
    assert results(terminal.es10(eim.package(packages.set_fallback_attribute(emergency)))) == ["8d0102"]
    assert results(terminal.es10(eim.package(packages.set_fallback_attribute(fallback)))) == ["8d0100"]
    terminal.es10(eim.package(packages.configure_immediate_enable(flag=True)))
    assert terminal.es10(bytes.fromhex(ENABLE + NOW)).hex() == "bf5b03800100"
    terminal.unchanged("bf5d038001ff", "bf5d03800168")
    assert pir(install(terminal, pki))[0] == "ok"
    terminal.unchanged("bf5a038001ff", "bf5a03800101")
    terminal.es10(bytes.fromhex(DISABLE + NOW))
    assert terminal.es10(bytes.fromhex("bf5a03800100")).hex() == "bf5a03800100"
    assert terminal.iccid() == OPER_ICCID


def test_packages_do_not_enable_it_and_may_delete_it(ready: tuple[Terminal, Eim], emergency: str) -> None:
    terminal, eim = ready
    assert results(terminal.es10(eim.package(packages.enable(emergency)))) == ["830103"]
    assert results(terminal.es10(eim.package(packages.delete(emergency)))) == ["850100"]
    terminal.unchanged(ENABLE + NOW, "bf5b03800108")
    terminal.unchanged(DISABLE + NOW, "bf5c03800108")


def test_rollback_ends_with_refresh_only(ready: tuple[Terminal, Eim]) -> None:
    terminal, eim = ready
    terminal.es10(eim.package(packages.enable(OPER_ICCID, True)))
    terminal.reset()
    terminal.es10(bytes.fromhex(ENABLE + NOW))
    terminal.unchanged("bf5803800100", "bf5803020101")  # not over the emergency profile
    terminal.es10(bytes.fromhex(DISABLE + NOW))
    assert terminal.card.state().rollback_armed
    terminal.es10(bytes.fromhex(ENABLE + WITH_REFRESH))
    terminal.reset()
    terminal.es10(bytes.fromhex(DISABLE + NOW))
    assert terminal.iccid() == OPER_ICCID
    terminal.unchanged("bf5803800100", "bf5803020101")


def test_download_of_the_emergency_profile(bench: Bench, pki: Pki) -> None:
    terminal = bench.terminal()
    about = metadata(parties.operational(), emergency=True)
    assert pir(install(terminal, pki, about=about))[0] == "ok"
    assert terminal.es10(bytes.fromhex(ENABLE + NOW)).hex() == "bf5b03800100"
    terminal.es10(bytes.fromhex(DISABLE + NOW))
    second = parties.numbered(4)
    assert pir(install(terminal, pki, second, about=metadata(second, emergency=True))) == ("error", (2, 127))


def test_a_card_without_ecall(bench: Bench, emergency: str, pki: Pki) -> None:
    terminal = bench.with_options(ecall=False)
    terminal.unchanged(ENABLE + NOW, "bf5b03800108")
    info2 = tlv.first(terminal.es10(bytes.fromhex("bf2200")))
    assert info2.find(0xB4, 0x81) is None
    about = metadata(parties.operational(), emergency=True)
    assert pir(install(terminal, pki, about=about)) == ("error", (2, 127))


def test_other_readings(bench: Bench, emergency: str, pki: Pki) -> None:
    reading = Interpretation(emergency_notifications=True, ecall_check="before-signature")
    terminal = bench.with_options(interpretation=reading)
    terminal.es10(bytes.fromhex(ENABLE + NOW))
    assert [n.event for n in terminal.card.state().notifications] == ["disable", "enable"]
    forged = Eim(pki.issue("eim"))
    Eim(pki.eim).associate(terminal)
    assert packages.parse_result(terminal.es10(forged.package(packages.get_rat()))).error_code == 104
