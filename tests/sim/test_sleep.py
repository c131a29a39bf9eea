"""Downlink to a sleeping device, NAT, implicit detach and 5GS: T39 to T42, T54, T55, T60 of cellular_model 10.5."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable

import pytest

from fixtures.sim.at_sleep import edrx_seconds
from fixtures.sim.constants import FILE, NatConstants, load, transmit_power
from fixtures.sim.device import DeviceOptions
from fixtures.sim.kernel import Kernel, Priority, Streams, ns
from fixtures.sim.milenage import Subscriber
from fixtures.sim.nat import Nat
from fixtures.sim.network import Cell
from fixtures.sim.worldlog import WorldLog

from .fake_card import FakeProfile
from .radio_world import V1, V2, H, Radio


def at_time(radio: Radio, seconds: float, action: Callable[[], object]) -> None:
    radio.kernel.at(ns(radio.t0 + seconds), Priority.DATA, lambda: (action(), None)[1])


def idle_entries(radio: Radio) -> list[float]:
    return [time for time, entry in radio.what("radio") if entry["state"] == "IDLE"]


def test_t39_downlink_before_and_after_psm() -> None:
    radio = Radio(H)
    radio.command('AT+CPSMS=1,,,"00000110","00000101"')  # T3412 = 3600 s, T3324 = 10 s
    radio.begin().until(14)
    release = idle_entries(radio)[0]
    assert release == 13.0
    delivered: list[float] = []

    def deliver() -> None:
        delivered.append(radio.now())

    at_time(radio, release + 5, lambda: radio.device.sessions.paging.downlink(deliver))
    radio.until(release + 8)
    assert len(delivered) == 1
    assert release + 5 < delivered[0] <= release + 5 + 1.28  # the next paging occasion
    radio.until(60)
    second = idle_entries(radio)[-1]
    assert radio.device.sessions.radio == "PSM"
    assert [t for t, entry in radio.what("radio") if entry["state"] == "PSM"] == pytest.approx([second + 10.0])
    at_time(radio, 61, lambda: radio.device.sessions.paging.downlink(deliver))
    radio.until(3700)
    assert len(delivered) == 1
    assert [entry["why"] for _, entry in radio.what("downlink-lost")] == ["psm"]
    assert [time for time, _ in radio.nas("tau_request")] == pytest.approx([second + 3600.0])


def test_t39_high_latency_communication_keeps_it_for_the_tau() -> None:
    radio = Radio(H)
    radio.command('AT+CPSMS=1,,,"00000110","00000000"')
    radio.begin().until(60)
    radio.device.sessions.paging.high_latency = True
    delivered: list[float] = []
    radio.device.sessions.paging.downlink(lambda: delivered.append(radio.now()))
    radio.until(4000)
    assert delivered == [13.0 + 3600.0]


@pytest.mark.parametrize(("buffered", "share", "mean", "tolerance"), [(30.0, 1.0, 10.24, 0.6), (10.0, 0.488, 5.0, 0.5)])
def test_t40_edrx(buffered: float, share: float, mean: float, tolerance: float) -> None:
    radio = Radio(H)
    radio.command('AT+CEDRXS=1,4,"0010"')
    radio.begin().until(60)
    sessions = radio.device.sessions
    assert sessions.edrx.cycle == 20.48
    sessions.paging.sgw_buffer = buffered
    streams = Streams(3)
    delays: list[float] = []
    for number in range(1000):
        moment = 100.0 + number * 100.0 + streams.uniform("t40", 0.0, 50.0)
        at_time(
            radio,
            moment,
            lambda moment=moment: sessions.paging.downlink(lambda: delays.append(radio.now() - moment)),
        )
    radio.until(101_000)
    assert len(delays) == pytest.approx(1000 * share, abs=50 if share < 1 else 0)
    assert statistics.mean(delays) == pytest.approx(mean, abs=tolerance)
    assert 0 <= min(delays) < 0.5
    assert max(delays) <= min(buffered, 20.48)


def test_t41_t42_nat() -> None:
    kernel = Kernel()
    log = WorldLog(kernel, None)
    nat = Nat(kernel, Streams(1, fixed=True), NatConstants(), log)
    assert nat.timeouts["udp"] == 30.0
    first = nat.uplink("socket", "udp")
    kernel.set_now(ns(29.9))
    assert nat.owner(first) == "socket"  # T41: it keeps nothing open
    kernel.set_now(ns(30.1))
    assert nat.owner(first) is None
    second = nat.uplink("socket", "udp")  # T42
    assert second != first
    assert nat.owner(second) == "socket"
    assert nat.owner(first) is None
    assert [line["what"] for line in log.lines] == ["nat-drop", "nat-expired", "nat-drop"]
    kernel.set_now(ns(60.0))
    assert nat.uplink("socket", "udp") == second
    nat.forget("socket")
    assert nat.owner(second) is None


def test_nat_timeouts_are_an_operators_draw() -> None:
    drawn = [Nat(Kernel(), Streams(seed), NatConstants(), lambda *_, **__: None).timeouts["udp"] for seed in range(400)]
    assert set(drawn) == {30.0, 60.0, 120.0, 180.0, 300.0}
    assert drawn.count(30.0) / 400 == pytest.approx(0.35, abs=0.07)


def test_t54_round_trip_in_coverage_enhancement_2() -> None:
    rtt = load(FILE).rat("NB-IoT", -115).rtt
    streams = Streams(7)
    draws = sorted(rtt(streams, "rtt") for _ in range(1000))
    assert draws[500] == pytest.approx(0.75, rel=0.10)
    assert draws[900] == pytest.approx(1.6, rel=0.15)
    assert draws[-1] <= 10
    again = Streams(7)
    assert sorted(rtt(again, "rtt") for _ in range(1000)) == draws


def test_t55_reenumeration() -> None:
    radio = Radio(H, options=DeviceOptions(reenumerate=True)).begin().until(30)
    moments: list[tuple[str, float]] = []
    radio.at.on_gone = lambda: moments.append(("gone", radio.now()))
    radio.at.on_back = lambda: moments.append(("back", radio.now()))
    radio.command("AT+CFUN=1,1")
    radio.until(60)
    assert moments == [("gone", 33.0), ("back", 38.0)]
    assert radio.output.count(b"APP RDY") == 1
    assert radio.m.stat == 1


@pytest.mark.parametrize("cause", [11, 12, 13, 15, 22, 3])
def test_t60_the_5gmm_twin(cause: int) -> None:
    cells = (H, V1) if cause in (12, 13, 15) else (V1, V2)
    five = Radio(*cells, model="redcap", rat="NR")
    four = Radio(*cells, rat="LTE-M")
    for radio in (five, four):
        radio.command("AT+CEREG=5" if radio is four else "AT+C5GREG=3")
        radio.reject(1, cause, integrity=True, t3346=60.0 if cause == 22 else None)
        radio.begin().until(120)
    requests = [(time, entry["plmn"]) for time, entry in five.nas("registration_request")]
    assert requests == four.attempts()
    assert five.nas("attach_request") == []
    assert five.stats == four.stats
    assert five.m.lists.fplmn == four.m.lists.fplmn
    assert five.m.lists.fta_reg == four.m.lists.fta_reg
    assert five.m.lists.fta_roam == four.m.lists.fta_roam
    assert five.m.usim_valid is four.m.usim_valid is (cause != 3)
    assert b"+C5GREG: 2" in five.output
    assert b"+CEREG" not in five.output
    assert "+CEREG: 0,0" in five.command("AT+CEREG?")


def test_t60_timers() -> None:
    radio = Radio(H, model="redcap", rat="NR")
    radio.reject(1, 14)  # no cause of 5GMM: retried
    radio.begin().until(770)
    assert [time for time, _ in radio.nas("registration_request")] == [1.0, 12.0, 23.0, 34.0, 45.0, 766.0]
    waits = {entry["timer"] for _, entry in radio.what("emm") if "timer" in entry}
    assert waits == {"T3511", "T3502"}
    radio.network.cell(1).reject_attach = None
    radio.until(1600)
    assert radio.m.stat == 1
    assert '+C5GREG: 3,1,"0001"' in radio.command("AT+C5GREG=3;+C5GREG?")
    assert '"00101",11' in radio.command("AT+COPS=3,2;+COPS?")


@pytest.mark.parametrize(("way", "moment", "gone"), [("power", 30, 13), ("coverage", 30, 13), ("power", 5, 5)])
def test_implicit_detach_after_t3412_and_four_minutes(way: str, moment: float, gone: float) -> None:
    """The timer runs from the release of the connection, which a device that was connected loses when it goes."""
    radio = Radio(H).begin().until(moment)
    imsi = radio.card.profile.imsi
    cell = radio.network.cell(1)
    if way == "power":
        radio.rail.configure(on=False)
    else:
        cell.rsrp = -150.0
        radio.network.notify()
    radio.until(gone + 3240 + 239)
    assert imsi in cell.ues
    radio.until(gone + 3240 + 242)
    assert imsi not in cell.ues
    assert len(radio.nas("implicit_detach")) == 1


def test_a_device_detached_while_it_slept_attaches_again() -> None:
    radio = Radio(H)
    radio.command('AT+CPSMS=1,,,"00000110","00000000"')
    radio.begin().until(60)
    radio.network._implicit_detach(H, radio.card.profile.imsi)
    radio.until(4000)
    assert [entry["cause"] for _, entry in radio.nas("tau_reject")] == [10]
    assert len(radio.attempts()) == 2
    assert radio.m.stat == 1


def test_the_periodic_tau_keeps_the_registration() -> None:
    radio = Radio(H).begin().until(12 * 3600)
    assert radio.nas("implicit_detach") == []
    assert len(radio.nas("tau_accept")) == 13
    assert len(radio.attempts()) == 1


@pytest.mark.parametrize("way", ["at", "power-key"])
def test_the_at_port_in_psm(way: str) -> None:
    radio = Radio(H, options=DeviceOptions(psm_wake=way))  # type: ignore[arg-type]
    radio.command('AT+CPSMS=1,,,"00000110","00000000"')
    radio.begin().until(60)
    assert radio.device.sessions.radio == "PSM"
    assert radio.rail.load == 10e-6
    assert radio.command("AT", 0.2) == ""
    if way == "power-key":
        assert radio.command("AT", 5) == ""
        radio.device.power_key()
    radio.until(radio.now() + 0.6)
    assert "OK" in radio.command("AT")
    assert len(radio.nas("tau_request")) == 1
    radio.until(radio.now() + 60)
    assert radio.device.sessions.radio == "PSM"
    assert radio.device.boots == 1


def test_the_periodic_timer_wakes_the_at_port_too() -> None:
    radio = Radio(H, options=DeviceOptions(psm_wake="power-key"))
    radio.command('AT+CPSMS=1,,,"00000110","00000101"')
    radio.begin().until(13 + 3600 + 1)
    assert "OK" in radio.command("AT")  # T3324 runs
    radio.until(13 + 3600 + 60)
    assert radio.command("AT", 1) == ""


def test_sleep_settings_go_to_the_network() -> None:
    radio = Radio(H).begin().until(60)
    assert "OK" in radio.command('AT+CEDRXS=1,4,"0101"')
    radio.until(61)
    assert len(radio.nas("tau_request")) == 1
    assert '+CEDRXRDP: 4,"0101","0101"' in radio.command("AT+CEDRXRDP")
    assert '+CEDRXS: 4,"0101"' in radio.command("AT+CEDRXS?")
    radio.until(90)
    assert radio.rail.load == pytest.approx(10e-6 + (1.2e-3 - 10e-6) * 20.48 / 81.92)
    assert "ERROR" in radio.command('AT+CEDRXS=1,4,"012"')


def test_vectors_of_edrx() -> None:
    assert edrx_seconds("1011", "LTE-M")[0] == 655.36
    assert edrx_seconds("1111", "NB-IoT")[0] == 10485.76
    assert edrx_seconds("0000", "NB-IoT")[0] == 20.48


def test_rate_and_transmit_power_follow_the_received_power() -> None:
    constants = load(FILE)
    for rat, floor in (("NB-IoT", -125), ("LTE-M", -120), ("LTE", -118)):
        rates = [constants.rates(rat, rsrp) for rsrp in range(-80, floor - 1, -1)]
        for now, later in itertools.pairwise(rates):
            assert later[0] <= now[0] and later[1] <= now[1]
    assert constants.rates("LTE", -80) == (6000, 3000)
    assert constants.rates("LTE", -118) == pytest.approx((300, 150))
    assert constants.rates("NB-IoT", -125) == pytest.approx((1, 0.5))
    assert [transmit_power(rsrp) for rsrp in (-120, -100, -90, -60)] == [23, 23, 13, -10]


def test_energy_by_state_is_what_the_supply_measures() -> None:
    """An hour with an exchange every ten minutes, no sleep: connected, transmitting and idle add up at the supply."""
    profile = FakeProfile()
    radio = Radio(Cell(1, H, rat="LTE-M"), profile=profile).begin().until(60)
    assert isinstance(radio.subscriber, Subscriber)
    radio.rail.configure()
    energy, begin = radio.rail.energy, radio.now()
    for number in range(6):
        at_time(radio, begin + 1 + number * 600, radio.device.sessions.active)
    radio.until(begin + 3600)
    radio.rail.configure()
    charge = (radio.rail.energy - energy) / 3.8
    expected = 6 * (0.210 * 1 + 0.070 * 10) + (3600 - 66) * 1.5e-3
    assert charge == pytest.approx(expected, rel=0.02)
