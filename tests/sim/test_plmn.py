"""Which PLMN is tried, and which is forbidden: cases 1 to 14 of cellular_model 10.5, with exact times."""

from __future__ import annotations

import pytest

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
