"""Result codes by force: what a right card never answers by itself, in the form of the standard, with nothing done."""

from __future__ import annotations

import pytest

from bench.rsp import bsp, packages, tlv
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.sim.euicc import EuiccOptions
from fixtures.sim.euicc.options import FORCED

from . import parties
from .parties import EIM_ID, OPER_ICCID, Bench, Eim, Smdpp, install, pir, results

ICCID = "5a0a980001010000000010f9"
NAME = "8011" + EIM_ID.encode().hex()

ANSWERS = {
    "CancelSession": ("bf4106800101810105", "bf410381017f"),
    "LoadCRL": ("bf3502a000", "bf350381017f"),
    "GetCerts": ("bf5600", "bf560381017f"),
    "GetConnectivityParameters": ("bf5f00", "bf5f0381017f"),
    "ListNotification": ("bf2800", "bf280381017f"),
    "RetrieveNotificationsList": ("bf2b00", "bf2b0381017f"),
    "RemoveNotificationFromList": ("bf3003800101", "bf300380017f"),
    "GetProfilesInfo": ("bf2d00", "bf2d0381017f"),
    "SetNickname": ("bf2911" + ICCID + "90036c6162", "bf290380017f"),
    "SetDefaultDpAddress": ("bf650480026162", "bf650380017f"),
    "eUICCMemoryReset": ("bf640482020780", "bf640380017f"),
    "AddInitialEim": ("bf5702a000", "bf570381017f"),
    "ConfigureImmediateProfileEnabling": ("bf59028000", "bf590380017f"),
    "ImmediateEnable": ("bf5a038001ff", "bf5a0380017f"),
    "IpaeActivation": ("bf420480020780", "bf4203800100"),
    "ProfileRollback": ("bf58038001ff", "bf580302017f"),
    "ExecuteFallbackMechanism": ("bf5d038001ff", "bf5d0380017f"),
    "ReturnFromFallback": ("bf5e038001ff", "bf5e0380017f"),
    "EnableEmergencyProfile": ("bf5b038001ff", "bf5b0380017f"),
    "DisableEmergencyProfile": ("bf5c038001ff", "bf5c0380017f"),
}
CONSUMER = {
    "EnableProfile": ("bf3111a00c" + ICCID + "810100", "bf310380017f"),
    "DisableProfile": ("bf3211a00c" + ICCID + "810100", "bf320380017f"),
    "DeleteProfile": ("bf330c" + ICCID, "bf330380017f"),
    "eUICCMemoryReset": ("bf340482020780", "bf340380017f"),
    "SetDefaultDpAddress": ("bf3f0480026162", "bf3f0380017f"),
}
PSMOS = {
    "enable": (packages.enable(OPER_ICCID), "83017f"),
    "disable": (packages.disable(OPER_ICCID), "84017f"),
    "delete": (packages.delete(OPER_ICCID), "85017f"),
    "listProfileInfo": (packages.list_profile_info(), "bf2d0381017f"),
    "configureImmediateEnable": (packages.configure_immediate_enable(flag=True), "87017f"),
    "setFallbackAttribute": (packages.set_fallback_attribute(OPER_ICCID), "8d017f"),
    "unsetFallbackAttribute": (packages.unset_fallback_attribute(), "8e017f"),
    "setDefaultDpAddress": (packages.set_default_dp_address("a.example"), "bf650380017f"),
}


def test_every_name_is_tested() -> None:
    here = {*ANSWERS, *CONSUMER, *(f"psmo.{name}" for name in PSMOS), "AuthenticateServer", "PrepareDownload"}
    here |= {f"eco.{name}" for name in ("addEim", "deleteEim", "updateEim", "listEim")}
    here |= {"LoadEuiccPackage", "LoadEuiccPackage.unsigned", "processingTerminated", "rollback"}
    here |= {"eUICCMemoryReset.resetEimResult", "eUICCMemoryReset.resetImmediateEnableConfigResult"}
    here |= {f"LoadBoundProfilePackage.{name}" for name in COMMANDS}
    assert here == FORCED


@pytest.mark.parametrize("name", ANSWERS)
def test_functions(bench: Bench, name: str) -> None:
    request, answer = ANSWERS[name]
    bench.with_options(force={name: int(answer[-2:], 16)}).unchanged(request, answer)


@pytest.mark.parametrize("name", CONSUMER)
def test_functions_of_a_consumer_euicc(bench: Bench, name: str) -> None:
    request, answer = CONSUMER[name]
    bench.with_options(mode="consumer", force={name: 127}).unchanged(request, answer)


def test_codes_of_functions_that_the_card_has_no_reason_for(bench: Bench) -> None:
    for name, code in (("ReturnFromFallback", 7), ("ProfileRollback", 7)):
        request, answer = ANSWERS[name]
        bench.with_options(name, force={name: code}).unchanged(request, answer[:-2] + f"{code:02x}")


def test_session_functions(bench: Bench, pki: Pki) -> None:
    terminal = bench.with_options(force={"AuthenticateServer": 127})
    smdpp = Smdpp(pki)
    error = "8010" + smdpp.transaction_id.hex() + "02017f"
    challenge = terminal.es10(bytes.fromhex("bf2e00"))[5:]
    terminal.unchanged(smdpp.initiate(challenge), "bf3817a115" + error)
    terminal = bench.with_options("second", force={"PrepareDownload": 127})
    answer = parties.authenticate(terminal, smdpp)
    terminal.unchanged(smdpp.authenticated(answer), "bf2117a115" + error)


COMMANDS = {
    "initialiseSecureChannel": 0,
    "configureISDP": 1,
    "storeMetadata": 2,
    "storeMetadata2": 3,
    "replaceSessionKeys": 4,
    "loadProfileElements": 5,
}


@pytest.mark.parametrize("name", COMMANDS)
def test_installation_results(bench: Bench, pki: Pki, name: str) -> None:
    terminal = bench.with_options(force={f"LoadBoundProfilePackage.{name}": 127})
    keys = bsp.SessionKeys(bytes(16), bytes(16), bytes(16))
    assert pir(install(terminal, pki, keys=keys)) == ("error", (COMMANDS[name], 127))
    view = terminal.card.state()
    assert len(view.profiles) == 1
    assert [n.kind for n in view.notifications] == ["pir"]


@pytest.mark.parametrize("name", PSMOS)
def test_psmos(bench: Bench, pki: Pki, name: str) -> None:
    command, answer = PSMOS[name]
    terminal = bench.with_options(force={f"psmo.{name}": 127})
    install(terminal, pki)
    eim = Eim(pki.eim)
    eim.associate(terminal)
    raw = terminal.es10(eim.package(command, packages.get_rat()))
    assert results(raw) == [answer]
    assert packages.verify_result(packages.parse_result(raw), pki.euicc(parties.EID).key.public_key(), None)
    view = terminal.card.state()
    assert not view.switch_pending
    assert len(view.profiles) == 2
    assert terminal.es10(bytes.fromhex("bf3c00")).hex() == "bf3c11810f6c70612e64732e67736d612e636f6d"


@pytest.mark.parametrize("name", ["unsetFallbackAttribute", "configureImmediateEnable"])
def test_command_errors(bench: Bench, pki: Pki, name: str) -> None:
    command, answer = PSMOS[name]
    terminal = bench.with_options(force={f"psmo.{name}": 7})
    eim = Eim(pki.eim)
    eim.associate(terminal)
    assert results(terminal.es10(eim.package(command))) == [answer[:4] + "07"]


def test_ecos(bench: Bench, pki: Pki) -> None:
    other = Eim(pki.issue("eim"), "other.example").configuration()
    commands = {
        "addEim": (packages.add_eim(other), "a80302017f"),
        "deleteEim": (packages.delete_eim(EIM_ID), "89017f"),
        "updateEim": (packages.update_eim(build(0x30, build(0x80, EIM_ID.encode()), build(0x81, b"x"))), "8a017f"),
        "listEim": (packages.list_eim(), "ab0381017f"),
    }
    for name, (command, answer) in commands.items():
        terminal = bench.with_options(name, force={f"eco.{name}": 127})
        eim = Eim(pki.eim)
        eim.associate(terminal)
        before = terminal.es10(bytes.fromhex("bf5500"))
        assert results(terminal.es10(eim.package(ecos=[command, packages.list_eim()]))) == [answer]
        assert terminal.es10(bytes.fromhex("bf5500")) == before


@pytest.mark.parametrize("code", [1, 2, 3, 127])
def test_processing_terminated(bench: Bench, pki: Pki, code: int) -> None:
    terminal = bench.with_options(force={"processingTerminated": code})
    eim = Eim(pki.eim)
    eim.associate(terminal)
    assert results(terminal.es10(eim.package(packages.delete(OPER_ICCID)))) == [f"0201{code:02x}"]
    assert results(terminal.es10(eim.package(ecos=[packages.delete_eim(EIM_ID)]))) == [f"0201{code:02x}"]
    assert len(terminal.card.state().eims) == 1


@pytest.mark.parametrize("code", [15, 104, 127])
def test_package_errors(bench: Bench, pki: Pki, code: int) -> None:
    terminal = bench.with_options(force={"LoadEuiccPackage": code})
    eim = Eim(pki.eim)
    eim.associate(terminal)
    before = terminal.dump()
    raw = terminal.es10(eim.package(packages.get_rat()))
    parsed = packages.parse_result(raw)
    assert (parsed.form, parsed.error_code) == ("error-signed", code)
    assert packages.verify_result(parsed, pki.euicc(parties.EID).key.public_key(), None)
    assert terminal.dump() == before


@pytest.mark.parametrize("code", [15, 127])
def test_unsigned_package_errors(bench: Bench, pki: Pki, code: int) -> None:
    terminal = bench.with_options(force={"LoadEuiccPackage.unsigned": code})
    eim = Eim(pki.eim)
    eim.associate(terminal)
    terminal.unchanged(eim.package(packages.get_rat()), "bf511ca21a" + NAME + "82020102" + f"8f01{code:02x}")


def test_rollback_that_fails(bench: Bench, pki: Pki) -> None:
    terminal = bench.with_options(force={"rollback": 127})
    install(terminal, pki)
    eim = Eim(pki.eim)
    eim.associate(terminal)
    terminal.es10(eim.package(packages.enable(OPER_ICCID, True)))
    terminal.reset()
    code, result = tlv.first(terminal.es10(bytes.fromhex("bf5803800100"))).children()
    assert code.raw.hex() == "020107"
    assert results(result.raw) == ["8c017f"]
    assert terminal.iccid() == OPER_ICCID


def test_memory_reset_results(bench: Bench, pki: Pki) -> None:
    for name, request, answer in (
        ("resetEimResult", "bf640482020204", "bf640680010181017f"),
        ("resetImmediateEnableConfigResult", "bf640482020102", "bf640680010182017f"),
    ):
        terminal = bench.with_options(name, force={f"eUICCMemoryReset.{name}": 127})
        Eim(pki.eim).associate(terminal)
        terminal.unchanged(request, answer)


def test_options_are_read_from_a_command_line() -> None:
    from fixtures.sim.euicc.options import forced

    assert EuiccOptions(force=forced("psmo.enable=127, eco.addEim=1")).force == {"psmo.enable": 127, "eco.addEim": 1}
    with pytest.raises(Exception, match="NAME=CODE"):
        forced("psmo.enable")
