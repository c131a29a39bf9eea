"""REFRESH as modems carry it out, the pace of the card's line, and a SIM that is pulled (cellular_model 9.1)."""

from __future__ import annotations

import pytest

from fixtures.sim.card import CardGoneError, CardSlot
from fixtures.sim.constants import FILE, load
from fixtures.sim.device import DeviceOptions
from fixtures.sim.kernel import Kernel, Priority, Process
from fixtures.sim.milenage import Subscriber

from .fake_card import FakeCard, FakeProfile
from .radio_world import H, Radio


def switched(refresh: str) -> Radio:
    """A device registered with one profile whose card switches to another at 10 s."""
    radio = Radio(H, options=DeviceOptions(refresh=refresh)).begin().until(10)  # type: ignore[arg-type]
    other = FakeProfile(imsi="001010000000002", iccid="8900101000000000027")
    radio.network.cell(1).hss[other.imsi] = Subscriber(other.imsi, other.k, other.opc)
    radio.card.switch(other)
    radio.kernel.start(radio.device.terminal.status(), Priority.SIM)
    return radio


@pytest.mark.parametrize("refresh", ["full", "abrupt", "uicc-off", "reenumerates"])
def test_the_new_profile_registers(refresh: str) -> None:
    radio = switched(refresh)
    ports: list[tuple[str, float]] = []
    radio.at.on_gone = lambda: ports.append(("gone", radio.now()))
    radio.at.on_back = lambda: ports.append(("back", radio.now()))
    radio.until(60)
    cell = radio.network.cell(1)
    assert radio.m.stat == 1
    assert radio.m.usim is not None and radio.m.usim.imsi == "001010000000002"
    assert radio.device.boots == 1
    ready = [time for time, entry in radio.what("sim") if entry["state"] == "ready" and time > 10]
    assert ready == [pytest.approx(11.7 if refresh == "uicc-off" else 10.7)]
    # without DETACH the network keeps the old subscription's context until its own timer ends
    assert ("001010000000001" in cell.ues) is (refresh == "abrupt")
    assert bool(radio.nas("detach_request")) is (refresh != "abrupt")
    assert ports == ([("gone", 10.0), ("back", 15.0)] if refresh == "reenumerates" else [])
    if refresh == "abrupt":
        radio.until(60 + 3240 + 240)
        assert set(cell.ues) == {"001010000000002"}


def test_ignored_leaves_the_old_profile() -> None:
    radio = switched("ignored").until(200)
    assert radio.m.usim is not None and radio.m.usim.imsi == "001010000000001"
    assert [entry["honoured"] for _, entry in radio.what("refresh")] == [False]


def test_the_card_takes_the_time_of_its_line() -> None:
    """T=0 at 20 200 bytes a second (512/32 at 4 MHz) and 6 ms a command, as the figures say."""
    figures = load(FILE).devices["eg25"]
    kernel = Kernel()
    slot = CardSlot(kernel, FakeCard(), command_time=figures.card_command, rate=figures.card_rate)
    slot.power_on()
    times: list[float] = []

    def work() -> Process[None]:
        for length in (5, 260):
            begin = kernel.now
            answer = yield from slot.exchange(bytes([0x00, 0xB0, 0, 0]) + bytes(length - 4))
            times.append(kernel.now - begin - (length + len(answer)) / figures.card_rate)

    kernel.start(work(), Priority.SIM)
    while kernel.run_next():
        pass
    assert times == pytest.approx([0.006, 0.006], abs=1e-6)


@pytest.mark.parametrize(("fetched", "status_at"), [(0.05, 0.06), (None, 1.0)])
def test_the_modem_does_not_come_between_a_host_and_the_answer_that_it_fetches(
    fetched: float | None, status_at: float
) -> None:
    """Its STATUS would learn of a REFRESH whose reset takes the answer away; a host that fetches nothing is no bar."""

    class Card(FakeCard):
        def _answer(self, c: bytes) -> bytes:
            return {0xE2: b"\x61\x02", 0xC0: b"ok\x90\x00"}.get(c[1]) or super()._answer(c)

    kernel, card = Kernel(), Card()
    slot = CardSlot(kernel, card, command_time=0.0, rate=0.0)
    slot.power_on()
    began: dict[int, float] = {}

    def carried_out(_host: bool) -> None:
        began[card.commands[-1][1]] = kernel.now

    slot.after = carried_out

    def host() -> Process[None]:
        yield from slot.exchange(bytes.fromhex("80E29100"), host=True)
        if fetched is not None:
            yield fetched
            assert (yield from slot.exchange(bytes.fromhex("00C0000002"), host=True)) == b"ok\x90\x00"

    def modem() -> Process[None]:
        yield 0.01
        yield from slot.exchange(bytes.fromhex("80F2000C00"))

    kernel.start(host(), Priority.SIM)
    kernel.start(modem(), Priority.SIM)
    while kernel.run_next():
        pass
    assert list(began) == ([0xE2, 0xC0, 0xF2] if fetched is not None else [0xE2, 0xF2])
    assert began[0xF2] == pytest.approx(status_at, abs=0.025)


def test_a_sim_that_is_pulled_takes_the_service_away() -> None:
    radio = Radio(H).begin().until(10)
    outcome: list[str] = []

    def work() -> Process[None]:
        try:
            yield from radio.slot.exchange(bytes.fromhex("80F2000C00"))
            outcome.append("answered")
        except CardGoneError:
            outcome.append("gone")

    radio.slot.muted = True
    radio.kernel.start(work(), Priority.SIM)
    radio.until(11)
    radio.slot.power_off()
    radio.slot.card = None
    radio.m.switch_off("SIM removed", "uicc")
    radio.m.set_usim(None)
    radio.until(30)
    assert outcome == ["gone"]
    assert radio.m.stat == 0
    assert radio.device.sessions.bearers == {}
    assert len(radio.nas("detach_request")) == 1
    assert len(radio.attempts()) == 1
