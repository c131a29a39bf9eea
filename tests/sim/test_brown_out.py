"""Thin leads, dips, unclean ends, a hung modem: cases 49 to 56 of cellular_model 10.5, with exact times."""

from __future__ import annotations

import itertools

import pytest

from fixtures.sim.rail import RailConstants

from .radio_world import H, Radio


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
