"""Invariants of the model under random events (cellular_model 10.6)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.sim.kernel import NS, ns
from fixtures.sim.network import Reject

from .radio_world import V1, V2, H, Radio

CAUSES = [2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 22, 25, 31, 35, 40, 42, 95, 111]

events = st.one_of(
    st.tuples(st.just("reject"), st.integers(1, 3), st.sampled_from(CAUSES), st.booleans()),
    st.tuples(st.just("accept"), st.integers(1, 3)),
    st.tuples(st.just("silent"), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("cell"), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("cfun"), st.sampled_from([0, 1, 4])),
    st.tuples(st.just("cops"), st.sampled_from(["AT+COPS=0", 'AT+COPS=1,2,"26201"', "AT+COPS=2"])),
    st.tuples(st.just("supply"), st.sampled_from([0.0, 2.9, 3.4, 3.8])),
    st.tuples(st.just("cut"), st.floats(0.0, 5.0)),
    st.tuples(
        st.just("tau"),
    ),
    st.tuples(
        st.just("restart"),
    ),
)


class Watch:
    """Checks every log line and every change as it comes."""

    def __init__(self, radio: Radio) -> None:
        self.radio = radio
        self.charge = 0.0
        self._load, self._since = radio.rail.load, radio.kernel.now_ns
        self._accepted = radio.m.state == "REGISTERED"
        write = radio.log.__class__.__call__

        class Checked(radio.log.__class__):  # type: ignore[misc, name-defined]
            def __call__(_, what: str, **fields: object) -> None:
                self.check(what, fields)
                write(radio.log, what, **fields)

        checked = Checked.__new__(Checked)
        for owner in (radio.device, radio.m, radio.device.sessions, radio.at):
            for name in ("log", "_log"):
                if hasattr(owner, name):
                    setattr(owner, name, checked)
        draw = radio.rail.draw

        def drawn(current: float) -> None:
            self.account()
            draw(current)
            self._load = radio.rail.load

        radio.rail.draw = drawn  # type: ignore[method-assign]

    def account(self) -> None:
        now = self.radio.kernel.now_ns
        self.charge += self._load * (now - self._since) / NS
        self._since = now

    def check(self, what: str, fields: dict[str, object]) -> None:
        m = self.radio.m
        if what == "nas" and fields["message"] == "attach_request":
            assert m.usim_valid
            assert self.radio.device.power == "ON"
            if m.manual is None:
                assert fields["plmn"] not in m.lists.fplmn or m.lists.is_home(str(fields["plmn"]))
        if what == "nas" and fields["message"] == "attach_accept":
            self._accepted = True
        if what == "emm" and fields["state"] != "REGISTERED":
            self._accepted = False

    def run(self, seconds: float) -> None:
        """Run event by event, looking at everything between two moments."""
        radio = self.radio
        end = radio.kernel.now_ns + ns(seconds)
        while (time := radio.kernel.next_time()) is not None and time <= end:
            radio.kernel.run_next()
            self.always()
        radio.kernel.run_until(end)

    def always(self) -> None:
        m = self.radio.m
        assert 0 <= m.count <= 5
        assert len(m.lists.fplmn) == 4
        stored = [plmn for plmn in m.lists.fplmn if plmn]
        assert len(stored) == len(set(stored))
        assert m.stat not in (1, 5) or self._accepted
        if self.radio.device.power != "ON":
            assert not self.radio.device.sessions.bearers or self.radio.device.power == "HUNG"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(events, st.floats(0.0, 100.0)), max_size=25))
def test_invariants(script: list[tuple[tuple[object, ...], float]]) -> None:
    radio = Radio(H, V1, V2)
    watch = Watch(radio)
    radio.begin()
    for event, seconds in script:
        match event:
            case ("reject", int(number), int(cause), bool(integrity)):
                radio.network.cell(number).reject_attach = Reject(cause, integrity, t3346=30.0)
            case ("accept", int(number)):
                radio.network.cell(number).reject_attach = None
            case ("silent", int(number), bool(silent)):
                radio.network.cell(number).silent = silent
            case ("cell", int(number), bool(on)):
                radio.network.switch(radio.network.cell(number), on, at_once=True)
            case ("cfun", int(value)):
                radio.command(f"AT+CFUN={value}")
            case ("cops", str(command)):
                radio.command(command)
            case ("supply", float(volts)):
                radio.rail.configure(voltage=volts)
            case ("cut", float(length)):
                radio.device.interrupt(length)
            case ("tau",):
                radio.m.update_location("test")
            case ("restart",):
                radio.command("AT+CFUN=1,1")
        watch.always()
        watch.run(seconds)
    radio.rail.configure(voltage=3.8)
    watch.run(5)
    for cell in radio.network.cells:
        cell.reject_attach, cell.silent = None, False
        radio.network.switch(cell, True, at_once=True)
    # whatever happened, a power cycle with automatic selection brings service back: no state is a trap
    radio.rail.configure(on=False)
    watch.run(10)
    radio.card.profile.files[0x6F7B][:] = b"\xff" * 12
    radio.rail.configure(on=True)
    watch.run(10)
    radio.command("AT+CFUN=1;+COPS=0", 5)
    watch.run(120)
    assert radio.m.stat in (1, 5)


def test_the_current_integral_is_the_sum_over_states() -> None:
    radio = Radio(H, V1)
    watch = Watch(radio)
    radio.rail.configure()
    energy = radio.rail.energy
    radio.begin().until(2000)
    watch.account()
    radio.rail.configure()
    drop = radio.rail.constants.lead_resistance
    assert radio.rail.energy - energy == pytest.approx(watch.charge * 3.8, rel=0.01 + drop * 0.1)
