"""Timers of a device that stays where it is: cases 57 and 59 of cellular_model 10.5, with exact times."""

from __future__ import annotations

import itertools

import pytest

from .fake_card import FakeProfile
from .radio_world import H, Radio


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
