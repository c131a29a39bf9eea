"""Another profile, another state of the network: cases 43 to 48 and 58 of cellular_model 10.5, with exact times."""

from __future__ import annotations

from fixtures.sim.device import DeviceOptions
from fixtures.sim.milenage import Subscriber
from fixtures.sim.network import Cell

from .fake_card import FakeProfile
from .radio_world import V1, H, Radio


def test_t43_refresh_honoured_with_the_old_apn() -> None:
    radio = Radio(H)
    radio.subscriber.apns = ("a",)
    radio.command('AT+CGDCONT=1,"IP","a"')
    radio.begin().until(10)
    other = FakeProfile(imsi="001010000000002", iccid="8900101000000000027")
    radio.network.cell(1).hss[other.imsi] = Subscriber(other.imsi, other.k, other.opc, ("b",))
    radio.output = b""
    radio.card.switch(other)
    radio.kernel.start(radio.device.terminal.status(), 1)  # type: ignore[arg-type]
    radio.until(20)
    ready = [time for time, entry in radio.what("urc") if entry["line"] == "+CPIN: READY"]
    assert ready == [10.7]
    assert b"+QUSIM: 1" in radio.output
    assert radio.nas("attach_request")[-1][1]["id"] == other.imsi
    assert radio.m.esm_cause == 27
    radio.command('AT+CGDCONT=1,"IP","b"')
    radio.until(60)
    assert radio.m.stat == 1


def test_t44_refresh_ignored_until_cfun() -> None:
    radio = Radio(H, options=DeviceOptions(refresh="ignored")).begin().until(10)
    old = radio.card.profile.imsi
    other = FakeProfile(imsi="001010000000002", iccid="8900101000000000027")
    radio.network.cell(1).hss[other.imsi] = Subscriber(other.imsi, other.k, other.opc)
    radio.card.switch(other)
    radio.until(60)
    assert radio.command("AT+CIMI").split()[1] == old
    radio.command("AT+CFUN=0", 2)
    radio.command("AT+CFUN=1", 5)
    assert radio.command("AT+CIMI").split()[1] == other.imsi
    assert radio.m.stat == 1


def test_t45_an_old_guti_is_asked_for_its_identity() -> None:
    profile = FakeProfile()
    guti = "00f110000100000000ff"
    profile.files[0x6FE3] = bytearray(b"\x0b\xf6" + bytes.fromhex(guti) + bytes.fromhex("00f1100001") + b"\x00")
    radio = Radio(H, profile=profile).begin().until(10)
    assert radio.nas("attach_request")[0][1]["id"] == guti
    assert len(radio.nas("identity_request")) == 1
    assert radio.stats == [(0.0, 2), (2.2, 1)]


def test_t46_the_only_network_is_forbidden() -> None:
    profile = FakeProfile()
    profile.files[0x6F7B][0:3] = bytes.fromhex("62f210")
    radio = Radio(V1, profile=profile).begin().until(600)
    assert radio.attempts() == []
    assert radio.m.stat == 2
    radio.command('AT+CRSM=214,28539,0,0,12,"FFFFFFFFFFFFFFFFFFFFFFFF"', 1)
    radio.command("AT+CFUN=0", 1)
    radio.command("AT+CFUN=1", 30)
    assert radio.m.stat == 5


def test_t47_rollback_after_a_final_cause() -> None:
    radio = Radio(H).begin().until(10)
    bad = FakeProfile(imsi="001010000000002", iccid="8900101000000000027")
    first = radio.card.profile
    radio.card.switch(bad)
    radio.until(50)
    assert radio.m.cause == 8  # unknown in the HSS
    radio.card.switch(first)
    radio.until(100)
    assert radio.m.stat == 1
    assert radio.device.boots == 1


def test_t48_the_old_context_stays_after_a_power_cut() -> None:
    radio = Radio(H, V1).begin().until(10)
    imsi = radio.card.profile.imsi
    radio.rail.configure(on=False)
    radio.until(30)
    assert imsi in radio.network.cell(1).ues
    radio.network.cell(1).transmitting = False
    radio.power_cycle()
    radio.until(100)
    assert imsi in radio.network.cell(1).ues
    assert imsi in radio.network.cell(2).ues


def test_t58_manual_selection_defeats_a_profile_switch() -> None:
    radio = Radio(V1).begin().until(5)
    radio.command('AT+COPS=1,2,"26201"', 5)
    radio.network.cell(1).transmitting = False
    radio.network.cells.append(Cell(2, H, rat="LTE-M", on=True, transmitting=True))
    other = FakeProfile(imsi="001010000000002", iccid="8900101000000000027")
    radio.network.cell(2).hss[other.imsi] = Subscriber(other.imsi, other.k, other.opc)
    radio.card.switch(other)
    radio.until(600)
    assert radio.m.stat != 1
    radio.command("AT+COPS=0", 60)
    assert radio.m.stat == 1
