"""What a reject, silence or a failed authentication does: cases 15 to 38 of cellular_model 10.5, with exact times."""

from __future__ import annotations

import pytest

from fixtures.sim.milenage import Subscriber
from fixtures.sim.network import Cell, Reject

from .fake_card import FakeProfile
from .radio_world import V1, V2, H, Radio


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
