"""A consumer eUICC (SGP.22 v2.5): what it has, what it has not, and the functions of its LPA with every code."""

from __future__ import annotations

import pytest

from bench.rsp import codec, ids, packages, tlv
from bench.rsp.interpretation import Interpretation
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.profiles import ProfileClass, metadata
from fixtures.sim.euicc import EuiccOptions

from . import parties
from .parties import BOOT_ICCID, OPER_ICCID, Bench, Eim, Terminal, install, pir

BOOT_AID = bytes.fromhex("A0000005591010FFFFFFFF8900001000")
OPER_AID = bytes.fromhex("A0000005591010FFFFFFFF8900001100")
POLL = bytes.fromhex("d00d8103010300820281820402010a")
"""POLL INTERVAL, so that a proactive session is open."""


@pytest.fixture
def consumer(bench: Bench, pki: Pki) -> Terminal:
    terminal = bench.with_options(mode="consumer")
    assert pir(install(terminal, pki))[0] == "ok"
    return terminal


def order(tag: int, identifier: str | bytes, refresh: bool = False) -> bytes:
    choice = build(0x4F, identifier) if isinstance(identifier, bytes) else build(0x5A, ids.iccid_bytes(identifier))
    return build(tag, build(0xA0, choice), build(0x81, b"\xff" if refresh else b"\x00"))


def delete(identifier: str | bytes) -> bytes:
    choice = build(0x4F, identifier) if isinstance(identifier, bytes) else build(0x5A, ids.iccid_bytes(identifier))
    return build(0xBF33, choice)


def code(terminal: Terminal, request: bytes) -> int:
    answer = terminal.es10(request)
    assert answer[:2] == request[:2]
    assert answer[2:5] == b"\x03\x80\x01"
    return answer[5]


def test_literal_requests_of_an_lpa(consumer: Terminal) -> None:
    # as lpac writes them: profile by ICCID or by AID, refreshFlag 81
    enable = "bf3111a00c5a0a980001010000000020f7810100"
    assert order(0xBF31, OPER_ICCID).hex() == enable
    assert consumer.es10(bytes.fromhex(enable)).hex() == "bf3103800100"
    assert consumer.iccid() == OPER_ICCID
    disable = "bf3217a0124f10a0000005591010ffffffff8900001100810100"
    assert consumer.es10(bytes.fromhex(disable)).hex() == "bf3203800100"
    assert consumer.es10(bytes.fromhex("bf330c5a0a980001010000000020f7")).hex() == "bf3303800100"
    assert [profile.iccid for profile in consumer.card.state().profiles] == [BOOT_ICCID]


def test_info_of_a_consumer_euicc(consumer: Terminal) -> None:
    info2 = consumer.es10(bytes.fromhex("bf2200"))
    tags = [part.tag for part in tlv.first(info2).children()]
    assert tags == [0x81, 0x82, 0x83, 0x84, 0x85, 0x87, 0x88, 0xA9, 0xAA, 0x8B, 0x04, 0x0C]  # neither 90 nor B4
    assert codec.encode(
        "EUICCInfo2", codec.decode("EUICCInfo2", info2, module="RSPDefinitions"), module="RSPDefinitions"
    )
    fci = consumer.ok(b"\x01\xa4\x04\x00\x10" + parties.ISD_R)
    assert fci.hex() == "6f1f8410a0000005591010ffffffff8900000100a5049f6501ffe0058203020500"


@pytest.mark.parametrize(
    "request_hex",
    [
        *("bf5100", "bf5500", "bf5600", "bf5700", "bf58038001ff", "bf5900", "bf5a038001ff", "bf5b038001ff"),
        *("bf5c038001ff", "bf5d038001ff", "bf5e038001ff", "bf5f00", "bf640482020204", "bf65028000"),
    ],
)
def test_it_has_no_function_of_an_iot_euicc(consumer: Terminal, request_hex: str) -> None:
    consumer.refused(request_hex, 0x6A88)


def test_it_keeps_no_package_results(consumer: Terminal) -> None:
    assert consumer.es10(bytes.fromhex("bf2b04a0028200")).hex() == "bf2b0381017f"


@pytest.mark.parametrize(
    "request_hex",
    [
        "bf3111a00c5a0a980001010000000020f7810100",
        "bf3211a00c5a0a980001010000000010f9810100",
        "bf330c5a0a980001010000000020f7",
    ],
)
def test_an_iot_euicc_refuses_unsigned_switching(terminal: Terminal, pki: Pki, request_hex: str) -> None:
    install(terminal, pki)
    terminal.refused(request_hex, 0x6A88)


def test_an_iot_euicc_of_another_reading_takes_it(bench: Bench, pki: Pki) -> None:
    terminal = bench.with_options(interpretation=Interpretation(es10c_switching="allowed"))
    install(terminal, pki)
    eim = Eim(pki.eim)
    eim.associate(terminal)
    terminal.es10(eim.package(packages.enable(OPER_ICCID, True)))
    terminal.reset()
    assert terminal.card.state().rollback_armed
    assert code(terminal, order(0xBF31, BOOT_ICCID)) == 0
    assert terminal.iccid() == BOOT_ICCID
    assert not terminal.card.state().rollback_armed


def test_enable_codes_in_order(consumer: Terminal, bench: Bench, pki: Pki) -> None:
    consumer.unchanged(order(0xBF31, "8900101000000000035"), "bf3103800101")
    consumer.unchanged(order(0xBF31, BOOT_ICCID), "bf3103800102")
    consumer.unchanged(order(0xBF31, BOOT_AID), "bf3103800102")
    assert consumer.card.request(POLL)
    assert not consumer.card.request(POLL)
    consumer.unchanged(order(0xBF31, OPER_AID, refresh=True), "bf3103800105")
    assert code(consumer, order(0xBF31, OPER_AID)) == 0  # without REFRESH the session is no obstacle
    assert consumer.iccid() == OPER_ICCID


def test_disable_and_delete_codes_in_order(consumer: Terminal) -> None:
    consumer.unchanged(order(0xBF32, "8900101000000000035"), "bf3203800101")
    consumer.unchanged(order(0xBF32, OPER_AID), "bf3203800102")
    consumer.card.request(POLL)
    consumer.unchanged(order(0xBF32, BOOT_ICCID, refresh=True), "bf3203800105")
    consumer.unchanged(delete("8900101000000000035"), "bf3303800101")
    consumer.unchanged(delete(BOOT_AID), "bf3303800102")
    assert code(consumer, delete(OPER_AID)) == 0
    assert [n.event for n in consumer.card.state().notifications] == ["install", "install", "delete"]


@pytest.mark.parametrize("mode", ["fetch", "locked"])
def test_switch_with_refresh(bench: Bench, pki: Pki, mode: str) -> None:
    terminal = bench.with_options(mode="consumer", refresh=mode)
    install(terminal, pki)
    assert code(terminal, order(0xBF31, OPER_ICCID, refresh=True)) == 0
    assert terminal.iccid() == BOOT_ICCID
    if mode == "fetch":
        terminal.unchanged(delete(OPER_ICCID), "bf3303800102")
        assert terminal.es10(
            bytes.fromhex("bf2d035c019f70"[:-4] + "5a")
        )  # the list is there: SGP.22 has no code for it
        terminal.ok("801200000b")
        terminal.ok("801400000c810301010402028281830100")
    else:
        terminal.refused("bf2d00", 0x6985)
        terminal.card.reset()
    assert terminal.iccid() == OPER_ICCID
    assert [n.event for n in terminal.card.state().notifications][-2:] == ["disable", "enable"]


def test_policy_rules_bind_the_lpa(bench: Bench, pki: Pki) -> None:
    terminal = bench.with_options(mode="consumer")
    about = metadata(parties.operational(), policy_rules=0x60)
    assert pir(install(terminal, pki, about=about))[0] == "ok"
    terminal.unchanged(delete(OPER_ICCID), "bf3303800103")
    assert code(terminal, order(0xBF31, OPER_ICCID)) == 0
    terminal.unchanged(order(0xBF32, OPER_ICCID), "bf3203800103")
    terminal.unchanged(order(0xBF31, BOOT_ICCID), "bf3103800103")


def test_after_a_test_profile_comes_the_profile_before_it(bench: Bench, pki: Pki) -> None:
    test_iccid = bench.preload("test", parties.numbered(1))
    other = bench.preload("operational", parties.numbered(2))
    terminal = bench.with_options(mode="consumer")
    about = metadata(parties.operational(), policy_rules=0x40)
    # PPR1 is for the first operational profile only
    assert pir(install(terminal, pki, about=about)) == ("error", (2, 15))
    assert pir(install(terminal, pki))[0] == "ok"
    assert code(terminal, order(0xBF31, OPER_ICCID)) == 0
    assert code(terminal, order(0xBF31, test_iccid)) == 0
    terminal.unchanged(order(0xBF31, other), "bf3103800104")
    assert code(terminal, order(0xBF31, OPER_ICCID)) == 0
    assert code(terminal, order(0xBF31, other)) == 0


def test_a_test_profile_may_replace_one_that_must_not_be_disabled(bench: Bench, pki: Pki) -> None:
    test_iccid = bench.preload("test", parties.numbered(1))
    terminal = bench.with_options(mode="consumer")
    assert pir(install(terminal, pki, about=metadata(parties.operational(), policy_rules=0x40)))[0] == "ok"
    assert code(terminal, order(0xBF31, OPER_ICCID)) == 0
    assert code(terminal, order(0xBF31, test_iccid)) == 0
    assert terminal.card.state().enabled.profile_class == ProfileClass.TEST  # type: ignore[union-attr]
    assert code(terminal, order(0xBF32, test_iccid)) == 0


def test_memory_reset_of_sgp22(bench: Bench, pki: Pki) -> None:
    field_loaded = parties.numbered(1)
    bench.preload("test", parties.numbered(2))
    terminal = bench.with_options(mode="consumer", default_dp_address="first.example")
    terminal.unchanged("bf340482020780", "bf3403800101")
    install(terminal, pki)
    install(terminal, pki, field_loaded, about=metadata(field_loaded, profile_class=ProfileClass.TEST))
    terminal.es10(bytes.fromhex("bf3f058003") + b"a.b")
    # options of SGP.32 are none here: 10 deletePreLoadedTestProfiles, 08 deleteProvisioningProfiles
    terminal.unchanged("bf340482020318", "bf3403800101")
    assert code(terminal, bytes.fromhex("bf340482020520")) == 0
    assert b"first.example" in terminal.es10(bytes.fromhex("bf3c00"))
    assert code(terminal, bytes.fromhex("bf340482020640")) == 0
    assert len(terminal.card.state().profiles) == 3  # the test profile it was delivered with stays
    assert code(terminal, order(0xBF31, OPER_ICCID)) == 0
    terminal.card.request(POLL)
    terminal.unchanged("bf340482020780", "bf3403800105")
    terminal.reset()
    assert code(terminal, bytes.fromhex("bf340482020780")) == 0
    terminal.reset()
    assert len(terminal.card.state().profiles) == 2


def test_requests_that_are_none(consumer: Terminal) -> None:
    for request in ("bf3100", "bf3103810100", "bf3105a003950102", "bf310ea00c5a0a980001010000000020f7", "bf3300"):
        consumer.refused(request, 0x6A80)
    consumer.refused("bf330395010a", 0x6A80)
    consumer.refused("bf3111a00c5a0a980001010000000020f78200", 0x6A80)


def test_lpa_default_address(consumer: Terminal) -> None:
    assert consumer.es10(bytes.fromhex("bf3f058003") + b"a.b").hex() == "bf3f03800100"
    assert consumer.es10(bytes.fromhex("bf3c00")).hex().startswith("bf3c168003612e62")
    assert consumer.es10(bytes.fromhex("bf3f028000")).hex() == "bf3f03800100"
    assert consumer.es10(bytes.fromhex("bf3c00")).hex().startswith("bf3c11810f")


def test_options_that_do_not_exist_are_named() -> None:
    with pytest.raises(Exception, match=r"did you mean 'psmo\.enable'"):
        EuiccOptions(force={"psmo.enabel": 1})
    with pytest.raises(Exception, match="no curve"):
        EuiccOptions(curves=("P-384",))
    with pytest.raises(Exception, match="no result code"):
        EuiccOptions(force={"psmo.enable": 300})
    with pytest.raises(Exception, match="at least one curve"):
        EuiccOptions(curves=())
