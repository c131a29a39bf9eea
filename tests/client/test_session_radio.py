"""Lines for network emulator, attenuator and SIM switch: what each means, and the same in a recipe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.client import session
from bench.client.session_radio import HELP, parse
from bench.errors import ConfigurationError


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("cell on", "await station.network.set_cell(True)"),
        ("cell off 2", "await station.network.set_cell(False, cell=2)"),
        ("rsrp -115.5", "await station.network.set_power(-115.5)"),
        ("plmn 00101", "await station.network.set_plmn('00101')"),
        ("rat NB-IoT 1", "await station.network.set_rat('NB-IoT', cell=1)"),
        ("reject attach 11", "await station.network.reject('attach', 11)"),
        ("reject tau none 2", "await station.network.reject('tau', None, cell=2)"),
        ("attenuation 20", "await station.attenuator.set_attenuation(20.0)"),
        ("card reader", "await station.switch.select('reader')"),
    ],
)
def test_a_line_is_a_call_and_the_same_statement_of_a_recipe(line: str, source: str) -> None:
    call = parse(line)
    assert call is not None and call.source == source
    assert call.radiates == (line == "cell on")
    done = [{"request": {"op": "network", "line": line}, "answer": {"lines": ["OK"]}, "t": 1.0}]
    assert f"    {source}\n" in session.as_recipe("by-hand", done)


def test_what_was_refused_is_no_statement() -> None:
    done = [
        {"request": {"op": "network", "line": "cell maybe"}, "answer": {"error": "no"}, "t": 1.0},
        {"request": {"op": "network", "line": "status"}, "answer": {"lines": []}, "t": 1.0},
        {"request": {"op": "at", "line": "ATI"}, "answer": {"lines": []}, "t": 1.0},
    ]
    assert "network" not in session.as_recipe("by-hand", done)


@pytest.mark.parametrize("line", ["", "cell", "cell on 1 2", "rsrp low", "reject attach", "card shelf", "status now"])
def test_a_line_that_means_nothing_is_refused_with_those_that_do(line: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        parse(line)
    assert told.value.hint == HELP


@given(
    st.text(max_size=30)
    | st.lists(st.sampled_from(["cell", "on", "reject", "tau", "1", "none", "-9e999"])).map(" ".join)
)
def test_no_text_upsets_it(line: str) -> None:
    try:
        parse(line)
    except ConfigurationError as error:
        assert error.hint == HELP
