"""The test cases of cellular_model 10.5 that this model covers, with their exact times."""

from __future__ import annotations

import itertools

import pytest

from fixtures.sim.device import DeviceOptions
from fixtures.sim.milenage import Subscriber
from fixtures.sim.network import Cell, Reject
from fixtures.sim.rail import RailConstants

from .fake_card import FakeProfile
from .radio_world import V1, V2, H, Radio


def test_t01_home_accepts() -> None:
    radio = Radio(H).begin().until(10)
    assert radio.stats == [(0.0, 2), (2.0, 1)]
    assert radio.attempts() == [(1.0, H)]


def test_t02_cold_search() -> None:
    radio = Radio(H, warm=False).begin().until(30)
    assert radio.stats == [(0.0, 2), (21.0, 1)]


def test_t03_only_a_visited_network() -> None:
    radio = Radio(V1).begin().until(5)
    assert radio.stats == [(0.0, 2), (2.0, 5)]
    assert radio.m.lists.rplmn == V1
    assert radio.card.profile.files[0x6FE3][12:15].hex() == "62f210"


def test_t04_registered_plmn_first_then_home() -> None:
    profile = FakeProfile()
    profile.files[0x6FE3] = bytearray(b"\xff" * 12 + bytes.fromhex("62f2100001") + b"\x01")
    radio = Radio(H, V1, profile=profile).begin().until(10)
    assert radio.stats == [(0.0, 2), (2.0, 5)]
    radio.until(4000)  # EF_HPPLMN 0A: one hour
    assert radio.stats[-1] == (3606.0, 1)  # 2 + 3600 s, 3 s of search, 1 s of attach
    assert radio.attempts() == [(1.0, V1), (3605.0, H)]


def test_t05_user_list_before_operator_list() -> None:
    profile = FakeProfile()
    profile.set_list(0x6F60, (V2, 0x4000))
    profile.set_list(0x6F61, (V1, 0x4000))
    assert Radio(V1, V2, profile=profile).begin().until(5).attempts() == [(1.0, V2)]


@pytest.mark.parametrize(("bits", "first"), [(0x5000, V1), (0x6000, V2), (0x0080, V1), (0x4000, V2)])
def test_access_technology_of_the_lists(bits: int, first: str) -> None:
    profile = FakeProfile()
    profile.set_list(0x6F60, (V2, bits))
    assert Radio(V1, V2, profile=profile).begin().until(5).attempts() == [(1.0, first)]


def test_t06_a_forbidden_plmn_is_not_asked() -> None:
    profile = FakeProfile()
    profile.files[0x6F7B][0:3] = bytes.fromhex("62f210")
    radio = Radio(V1, V2, profile=profile).begin().until(5)
    assert radio.attempts() == [(1.0, V2)]
    assert radio.m.stat == 5


def test_t07_manual_selection_frees_the_slot() -> None:
    profile = FakeProfile()
    profile.files[0x6F7B][0:3] = bytes.fromhex("62f210")
    radio = Radio(V1, profile=profile).begin().until(5)
    assert radio.attempts() == []
    assert "OK" in radio.command('AT+COPS=1,2,"26201"', 5)
    assert radio.m.state == "REGISTERED"
    assert profile.fplmn()[0] == "FFFFFF"


def test_t08_plmn_not_allowed_goes_to_the_next_and_into_the_file() -> None:
    radio = Radio(V1, V2)
    radio.reject(1, 11, integrity=True)
    radio.begin().until(10)
    assert radio.attempts() == [(1.0, V1), (3.0, V2)]
    assert [time for time, _ in radio.nas("attach_reject")] == [2.0]
    assert radio.stats == [(0.0, 2), (4.0, 5)]
    assert radio.card.profile.fplmn() == ["62F210", "FFFFFF", "FFFFFF", "FFFFFF"]


def test_t09_a_full_file_loses_its_first_entry() -> None:
    plmns = ["26201", "26202", "26203", "26207", "310410"]
    radio = Radio(*plmns)
    for number in range(1, 6):
        radio.reject(number, 11, integrity=True)
    radio.begin().until(20)
    assert [plmn for _, plmn in radio.attempts()] == plmns
    assert radio.card.profile.fplmn() == ["62F220", "62F230", "62F270", "130014"]
    assert radio.stats[-1] == (10.0, 3)


def test_t10_the_file_survives_a_power_cut() -> None:
    radio = Radio(V1, V2)
    radio.reject(1, 11, integrity=True)
    radio.begin().until(10)
    radio.log.lines.clear()
    radio.power_cycle()
    radio.until(200)
    assert [plmn for _, plmn in radio.attempts()] == [V2]


@pytest.mark.parametrize(("way", "kept"), [("cfun0", False), ("vbat", True)])
def test_t11_t12_an_unprotected_entry_goes_at_switch_off_only(way: str, kept: bool) -> None:
    radio = Radio(V1, V2)
    radio.reject(1, 11)
    radio.begin().until(10)
    assert radio.m.stat == 5
    assert radio.card.profile.fplmn()[0] == "62F210"
    if way == "cfun0":
        radio.device.set_functionality(0)
    else:
        radio.rail.configure(on=False)
    radio.until(20)
    assert (radio.card.profile.fplmn()[0] == "62F210") is kept


def test_t13_an_unprotected_reject_ends_with_t3247() -> None:
    radio = Radio(V1)
    radio.reject(1, 11)
    radio.begin().until(2710)
    assert (2.0, 3) in radio.stats
    assert [time for time, _ in radio.attempts()] == [1.0, 2703.0]


def test_t14_home_that_forbids_itself_is_not_stored() -> None:
    radio = Radio(H)
    radio.reject(1, 11, integrity=True)
    radio.begin().until(7200)
    assert radio.attempts() == [(1.0, H)]
    assert radio.stats[-1] == (2.0, 3)
    assert radio.card.profile.fplmn() == ["FFFFFF"] * 4
    radio.log.lines.clear()
    radio.power_cycle()
    radio.until(7300)
    assert [plmn for _, plmn in radio.attempts()] == [H]


@pytest.mark.parametrize("cause", [3, 6, 8])
def test_t15_a_final_cause_needs_a_power_cycle(cause: int) -> None:
    radio = Radio(H)
    radio.reject(1, cause, integrity=True)
    radio.begin().until(3600)
    assert radio.attempts() == [(1.0, H)]
    assert radio.stats[:2] == [(0.0, 2), (2.0, 3)]
    radio.device.set_functionality(4)
    radio.device.set_functionality(1)
    assert radio.m.stat == 3
    radio.until(3700)
    assert len(radio.attempts()) == 1
    radio.network.cell(1).reject_attach = None
    radio.power_cycle()
    radio.until(3800)
    assert len(radio.attempts()) == 2
    assert radio.m.stat == 1


def test_t16_an_unprotected_final_cause_waits_for_t3247() -> None:
    radio = Radio(H)
    radio.reject(1, 8)
    radio.begin().until(2702)
    assert radio.m.lists.fta_roam == {} or (H, 1) in radio.m.lists.fta_roam
    assert radio.attempts() == [(1.0, H)]
    radio.until(2704.5)
    assert radio.attempts() == [(1.0, H), (2703.0, H)]


def test_t17_another_profile_needs_no_power_cycle() -> None:
    radio = Radio(H)
    radio.reject(1, 3, integrity=True)
    radio.begin().until(10)
    assert radio.m.state == "DENIED"
    other = FakeProfile(imsi="001010000000002", iccid="8900101000000000027")
    radio.network.cell(1).reject_attach = None
    radio.network.cell(1).hss[other.imsi] = Subscriber(other.imsi, other.k, other.opc)
    radio.card.switch(other)
    radio.until(50)
    assert radio.m.stat == 1
    assert radio.command("AT+CIMI").split()[1] == other.imsi


def test_t18_tracking_area_not_allowed_stays_on_the_plmn() -> None:
    radio = Radio(H, Cell(2, H, tac=2, rat="LTE-M"), V1)
    radio.reject(1, 12, integrity=True)
    radio.begin().until(60)
    assert radio.attempts() == [(1.0, H), (3.0, H)]
    assert radio.m.cell is not None
    assert radio.m.cell.tac == 2


def test_t18_and_no_other_plmn() -> None:
    radio = Radio(H, V1)
    radio.reject(1, 12, integrity=True)
    radio.begin().until(600)
    assert radio.attempts() == [(1.0, H)]
    assert radio.stats[-1] == (2.0, 3)


def test_t19_roaming_not_allowed_here_until_the_list_is_cleared() -> None:
    radio = Radio(H, V1)
    radio.reject(1, 13, integrity=True)
    radio.begin().until(60000)
    assert radio.attempts() == [(1.0, H), (3.0, V1)]
    assert (H, 1) in radio.m.lists.fta_roam
    radio.until(64802.5)
    assert radio.m.lists.fta_roam == {}
    radio.until(68500)  # the next search for the HPLMN
    assert radio.attempts()[2][1] == H


def test_t20_no_suitable_cells_then_another_plmn() -> None:
    radio = Radio(H, V1)
    radio.reject(1, 15, integrity=True)
    assert radio.begin().until(10).attempts() == [(1.0, H), (3.0, V1)]


def test_t20_same_plmn_first() -> None:
    radio = Radio(V1, V2, Cell(3, V1, tac=3, rat="LTE-M", rsrp=-112))
    radio.reject(1, 15, integrity=True)
    assert radio.begin().until(10).attempts() == [(1.0, V1), (3.0, V1)]


def test_t21_eps_not_allowed_is_forgotten_at_restart() -> None:
    radio = Radio(V1, V2)
    radio.reject(1, 14, integrity=True)
    radio.begin().until(10)
    assert radio.attempts() == [(1.0, V1), (3.0, V2)]
    assert radio.card.profile.fplmn() == ["FFFFFF"] * 4
    radio.network.cell(1).reject_attach = None
    radio.network.cell(2).transmitting = False
    radio.power_cycle()
    radio.until(200)
    assert radio.attempts()[-1][1] == V1


T22 = [1.0, 12.0, 23.0, 34.0, 45.0, 766.0]


@pytest.mark.parametrize(("cause", "more"), [(17, {}), (22, {}), (19, {"esm": 33}), (2, {})])
def test_t22_t27_retry_cadence(cause: int, more: dict[str, int]) -> None:
    radio = Radio(H)
    radio.reject(1, cause, **more)
    radio.begin().until(767)
    assert [time for time, _ in radio.attempts()] == T22
    assert {stat for _, stat in radio.stats} == {2}


def test_t23_silence() -> None:
    radio = Radio(H)
    radio.network.cell(1).silent = True
    radio.begin().until(840)
    assert [time for time, _ in radio.attempts()] == [1.0, 26.0, 51.0, 76.0, 101.0, 836.0]


def test_t24_silence_of_nb_iot() -> None:
    radio = Radio(H, rat="NB-IoT")
    radio.network.cell(1).silent = True
    radio.begin().until(2040)
    assert [time for time, _ in radio.attempts()] == [1.0, 266.0, 531.0, 796.0, 1061.0, 2036.0]


def test_t25_t26_congestion_with_t3346() -> None:
    for integrity, again in ((True, 62.0), (False, 1352.0)):
        radio = Radio(H)
        radio.reject(1, 22, integrity=integrity, t3346=60.0)
        radio.begin().until(1400 if not integrity else 62.5)
        assert [time for time, _ in radio.attempts()][:2] == [1.0, again]
        assert radio.m.count == 0


def test_t28_the_back_off_outlives_flight_mode_but_not_the_profile() -> None:
    radio = Radio(H)
    radio.reject(1, 22, integrity=True, t3346=600.0)
    radio.begin().until(100)
    radio.network.cell(1).reject_attach = None
    radio.device.set_functionality(4)
    radio.device.set_functionality(1)
    radio.until(601.9)
    assert [time for time, _ in radio.attempts()] == [1.0]
    radio.until(605)
    assert [time for time, _ in radio.attempts()] == [1.0, 602.0]

    radio = Radio(H)
    radio.reject(1, 22, integrity=True, t3346=600.0)
    radio.begin().until(100)
    radio.network.cell(1).reject_attach = None
    other = FakeProfile(imsi="001010000000002", iccid="8900101000000000027")
    radio.network.cell(1).hss[other.imsi] = Subscriber(other.imsi, other.k, other.opc)
    radio.card.next_profile = other
    radio.device.start_sim("switch", refresh=True)
    radio.until(110)
    assert [time for time, _ in radio.attempts()] == [1.0, 101.7]


def test_t29_a_wrong_apn_is_cured_by_the_right_one() -> None:
    radio = Radio(H)
    radio.subscriber.apns = ("internet",)
    radio.command('AT+CGDCONT=1,"IP","wrong"')
    radio.begin().until(30)
    assert [entry["esm"] for _, entry in radio.nas("attach_reject")] == [27, 27, 27]
    radio.command('AT+CGDCONT=1,"IP","internet"')
    radio.until(40)
    assert [time for time, _ in radio.attempts()] == [1.0, 12.0, 23.0, 34.0]
    assert radio.stats[-1] == (35.0, 1)


def test_t30_severe_failure_keeps_the_plmn_away() -> None:
    radio = Radio(H, V1)
    radio.reject(1, 42, integrity=True)
    radio.begin().until(7100)
    assert radio.attempts() == [(1.0, H), (3.0, V1)]


@pytest.mark.parametrize("cause", [95, 96, 97, 99, 111])
def test_t31_protocol_errors_go_straight_to_t3402(cause: int) -> None:
    radio = Radio(H)
    radio.reject(1, cause, integrity=True)
    radio.begin().until(730)
    assert [time for time, _ in radio.attempts()] == [1.0, 722.0]


def test_t32_cause_25_without_protection_is_discarded() -> None:
    radio = Radio(H)
    radio.reject(1, 25)
    radio.begin().until(30)
    assert [time for time, _ in radio.attempts()] == [1.0, 26.0]  # guard timer 15 s, then T3411


def test_t33_identity_lost_in_tau_attaches_at_once() -> None:
    radio = Radio(H).begin().until(10)
    radio.network.cell(1).reject_tau = Reject(9)
    radio.m.update_location("test")
    radio.until(20)
    assert [time for time, _ in radio.attempts()] == [1.0, 10.5]
    assert radio.nas("attach_request")[-1][1]["id"] == radio.card.profile.imsi
    assert radio.stats[-2:] == [(10.5, 2), (11.5, 1)]


def test_t34_a_low_sqn_is_resynchronised_once() -> None:
    profile = FakeProfile(sqn=1 << 20)
    radio = Radio(H, profile=profile).begin().until(10)
    assert [(entry["cause"], entry["auts"]) for _, entry in radio.nas("auth_fail")] == [(21, 14)]
    assert radio.stats == [(0.0, 2), (2.4, 1)]
    assert len(radio.nas("auth_req")) == 2


def test_t35_a_wrong_key_bars_the_cell() -> None:
    radio = Radio(H)
    radio.subscriber.k = bytes(16)
    radio.begin().until(300)
    assert [entry["cause"] for _, entry in radio.nas("auth_fail")] == [20, 20, 20]
    assert len(radio.attempts()) == 1
    assert radio.m.stat == 2
    assert radio.card.profile.fplmn() == ["FFFFFF"] * 4
    radio.subscriber.k = radio.card.profile.k
    radio.until(700)
    assert radio.m.stat == 1


def test_t36_a_wrong_res_is_rejected_softly() -> None:
    radio = Radio(H)
    vector = radio.subscriber.vector

    def wrong(rand: bytes, amf: bytes) -> object:
        made = vector(rand, amf)
        made.xres = bytes(8)
        return made

    radio.subscriber.vector = wrong  # type: ignore[assignment,method-assign]
    radio.begin().until(2702)
    assert len(radio.nas("auth_reject")) == 1
    assert len(radio.attempts()) == 1
    radio.until(2704)
    assert len(radio.attempts()) == 2


def test_t37_dual_stack_where_only_ipv4_is_allowed() -> None:
    radio = Radio(H)
    radio.command('AT+CGDCONT=1,"IPV4V6","internet"')
    radio.begin().until(60)
    assert radio.nas("attach_accept")[0][1]["esm"] == 50
    assert len(radio.attempts()) == 1
    assert radio.device.sessions.bearers[1].address.startswith("10.64.")


def test_t38_a_refused_apn_backs_off_alone() -> None:
    radio = Radio(H)
    radio.subscriber.apns = ("internet", "meter")
    radio.begin().until(10)
    radio.command('AT+CMEE=1;+CGDCONT=2,"IP","wrong";+CGDCONT=3,"IP","meter"')
    assert "+CME ERROR: 127" in radio.command("AT+CGACT=1,2", 1)
    requests = len(radio.nas("pdn_reject"))
    assert "+CME ERROR: 133" in radio.command("AT+CGACT=1,2", 1)
    assert len(radio.nas("pdn_reject")) == requests == 1  # no request in the back-off
    assert "OK" in radio.command("AT+CGACT=1,3", 1)
    radio.until(800)
    assert "+CME ERROR: 127" in radio.command("AT+CGACT=1,2", 1)


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


@pytest.mark.parametrize(
    ("resistance", "load", "seconds", "browned", "warned"),
    [(0.5, 1.6, 2.308e-3, True, True), (0.1, 1.6, 2.308e-3, False, False), (0.5, 2.0, 0.577e-3, False, True)],
)
def test_t49_a_burst_through_thin_leads(
    resistance: float, load: float, seconds: float, browned: bool, warned: bool
) -> None:
    radio = Radio(H, rail=RailConstants(lead_resistance=resistance)).begin().until(30)
    radio.rail.configure(voltage=3.7)
    radio.until(31)
    radio.log.lines.clear()
    radio.rail.draw(load)
    if not browned:
        assert radio.rail.module_voltage() == pytest.approx(3.7 - resistance * load)
    radio.until(31 + seconds)
    radio.device.update_current()
    radio.until(31.1)
    assert (radio.device.power != "ON") is browned
    warnings = radio.what("under-voltage")
    assert bool(warnings) is warned or browned


def test_t50_a_weak_supply_boots_for_ever() -> None:
    radio = Radio(H, start=False, rail=RailConstants(lead_resistance=0.0))
    radio.rail.configure(voltage=3.8, limit=0.18, on=True)
    radio.kernel.run_until(110 * 10**9)
    brown = [time for time, entry in radio.what("power") if entry["state"] == "BROWNOUT"]
    tries = [time for time, entry in radio.what("emm") if entry["state"] == "TRY"]
    assert len(brown) >= 4
    assert brown[0] - tries[0] == pytest.approx(0.0079, abs=2e-4)
    periods = [b - a for a, b in itertools.pairwise(brown)]
    assert periods == pytest.approx([25.81] * len(periods), abs=0.03)
    assert radio.output.count(b"APP RDY") == len(brown) + (radio.device.power == "ON")
    assert radio.m.stat != 1

    strong = Radio(H, start=False, rail=RailConstants(lead_resistance=0.0))
    strong.rail.configure(voltage=3.8, limit=0.3, on=True)
    strong.kernel.run_until(110 * 10**9)
    assert strong.m.stat == 1
    assert strong.device.boots == 1


@pytest.mark.parametrize(("milliseconds", "browned"), [(1.0, False), (3.0, True)])
def test_t51_a_dip(milliseconds: float, browned: bool) -> None:
    radio = Radio(H, rail=RailConstants(slew=1e6)).begin().until(30)
    radio.rail.configure(voltage=2.9)
    radio.until(30 + milliseconds / 1000)
    radio.rail.configure(voltage=3.8)
    radio.until(30.05)
    assert (radio.device.power == "BROWNOUT") is browned
    radio.until(120)
    assert radio.m.stat == 1
    assert radio.device.boots == 1 + browned


def test_t52_an_unclean_end_costs_the_cell_history() -> None:
    radio = Radio(H).begin().until(10)
    radio.power_cycle()
    start = radio.now()
    radio.until(start + 30)
    assert radio.attempts()[-1][0] == pytest.approx(start + 20)
    assert radio.what("unclean-off")

    radio = Radio(H).begin().until(10)
    assert "OK" in radio.command("AT+QPOWD=1")
    radio.until(13)
    assert b"POWERED DOWN" in radio.output
    assert radio.device.power == "OFF_LEAK"
    radio.device.power_key()
    radio.until(60)
    assert radio.attempts()[-1][0] == pytest.approx(13 + 5.0 + 0.7 + 1.0)


def test_t53_energy_in_psm() -> None:
    radio = Radio(H).begin().until(60)
    radio.command('AT+CPSMS=1,,,"00100001","00000000"')
    radio.rail.configure()  # account what was drawn so far
    energy, begin = radio.rail.energy, radio.now()
    radio.device.sessions.active()
    radio.until(begin + 3600)
    radio.rail.configure()
    current = (radio.rail.energy - energy) / 3.8 / 3600
    expected = (10e-6 * 3589 + 70e-3 * 10 + 210e-3 * 1) / 3600
    assert current == pytest.approx(expected, rel=0.02)


def test_t56_a_hung_modem_needs_its_reset_line() -> None:
    radio = Radio(H).begin().until(30)
    load = radio.rail.load
    radio.device.hang()
    radio.until(60)
    assert radio.command("AT", 5) == ""
    assert radio.rail.load == load
    begin = radio.now()
    radio.device.hardware_reset()
    radio.until(begin + 5.0)
    assert b"APP RDY" in radio.output
    assert "OK" in radio.command("AT")


def test_t57_out_of_coverage_pauses() -> None:
    radio = Radio(H).begin().until(20)
    radio.network.switch(radio.network.cell(1), False)
    radio.until(400)
    assert [stat for _, stat in radio.stats][:4] == [2, 1, 4, 2]
    assert radio.stats[2] == (21.0, 4)
    searches = [time for time, entry in radio.what("emm") if entry["state"] == "SEARCH"]
    gaps = [round(b - a, 3) for a, b in itertools.pairwise(searches[3:])]
    assert gaps[:6] == [31.0] * 6  # 30 s of pause, 1 s of search
    radio.network.switch(radio.network.cell(1), True, at_once=True)
    on = radio.now()
    radio.until(500)
    assert radio.m.stat == 1
    assert radio.stats[-1][0] - on <= 45.0 + 3.0  # the pauses are 45 s by now


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


@pytest.mark.parametrize("configured", [True, False])
def test_t59_t3245(configured: bool) -> None:
    profile = FakeProfile()
    if configured:
        profile.files[0x6FE8] = bytearray(b"\x85\x01\x01")
    radio = Radio(H, profile=profile)
    radio.reject(1, 3, integrity=True)
    radio.begin().until(50 * 3600)
    assert len(radio.attempts()) == (2 if configured else 1)
    if configured:
        assert 24 * 3600 <= radio.attempts()[1][0] <= 48 * 3600 + 2


def test_every_tau_period_while_registered() -> None:
    radio = Radio(H).begin().until(3300)
    # T3412 runs from the release of the connection: accepted at 2, one exchange of 1 s, 10 s of inactivity
    assert [time for time, _ in radio.nas("tau_request")] == [3253.0]
    assert len(radio.nas("tau_accept")) == 1
    assert radio.m.stat == 1
