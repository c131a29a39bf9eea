"""A sample of the fault campaign of tests/campaigns/instrument_faults.py: every driver, and no wrong value."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import tempfile
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "campaigns"))

import faulty_wire
import instrument_faults
from supply_bench import CASES

from bench.errors import InstrumentTimeout
from bench.station.drivers import DriverOptions, known_drivers, load_driver
from instruments.network import remote_api
from instruments.scpi.link import VisaLink
from instruments.scpi.parse import AnswerError
from instruments.switch import relay_protocol

pytestmark = pytest.mark.timeout(60)

SAMPLE = {"scpi-supplies": 195, "scpi-emulators": 90, "amarisoft": 50, "rcdat": 60, "relays": 50, "console": 60}
OTHER_WIRES = {
    "usb-uhubctl": "a program: test_supply_usb.py",
    "usb-ykush": "a program: test_supply_usb.py",
    "tc-netem": "a program: test_network_netem.py",
}
"""Drivers of these kinds that have no connection to break, and where their faults are tested."""


@pytest.mark.parametrize("family", sorted(SAMPLE))
def test_randomised_exchanges_with_faults_give_no_wrong_value(family):
    found = asyncio.run(instrument_faults.campaign(family, SAMPLE[family], 0.5, 1, at_once=4))
    told = [line for driver in found["drivers"].values() for line in driver["told"]]
    assert (found["wrong_values"], found["unexpected"]) == (0, 0), told
    assert found["ok"] and found["exchanges"] >= SAMPLE[family] and found["faults"] > SAMPLE[family] / 8
    assert all(driver["returned"] for driver in found["drivers"].values())
    if family == "scpi-supplies":  # enough drivers for every fault to have come, the error queue's among them
        happened = {fault for driver in found["drivers"].values() for fault in driver["faults"]}
        assert happened == set(instrument_faults.SupplySubject.faults)


def test_every_driver_of_a_supply_an_emulator_and_an_attenuator_is_in_it():
    kinds = ("instruments.power.", "instruments.network.", "instruments.attenuator.", "instruments.usb.")
    ours = {name for name, target in known_drivers().items() if target.startswith(kinds)}
    subjects = [subject for make in instrument_faults.FAMILIES.values() for subject in make(random.Random(1))]
    emulators = {"cmw500": "rs-cmw500", "mt8821c": "anritsu-mt8821c", "uxm": "keysight-uxm", "amarisoft": "amarisoft"}
    covered = {case.driver for case in CASES}
    covered |= {emulators[subject.name] for subject in subjects if subject.name in emulators}
    covered |= {"mini-circuits-rcdat" for subject in subjects if subject.name.startswith("mini-circuits-rcdat")}
    assert {load_driver(name) for name in ours - set(OTHER_WIRES)} == {load_driver(name) for name in covered}


def test_a_session_that_keeps_late_answers_is_found_out(monkeypatch):
    """The campaign itself: without its two guards a SCPI session takes late answers for those to later questions."""
    monkeypatch.setattr(VisaLink, "clear", lambda self: None)
    monkeypatch.setattr(VisaLink, "stale", lambda self: b"")
    monkeypatch.setattr(instrument_faults.EmulatorSubject, "faults", ("late", "garbage-before-answer"))
    found = asyncio.run(instrument_faults.campaign("scpi-emulators", 18, 0.7, 1, at_once=3))
    assert not found["ok"] and found["wrong_values"] + found["unexpected"] > 2


def test_a_driver_that_mixes_answers_up_is_found_out():
    """The campaign itself: an answer to a question of an earlier exchange is a wrong value."""

    async def body():
        subject = instrument_faults.SupplySubject(CASES[0], random.Random(1))
        with tempfile.TemporaryDirectory() as folder:
            async with subject.opened(Path(folder)):
                before = await subject.driver.measure()
                real, subject.driver = subject.driver, type("Mixed", (), {"measure": AsyncMock(return_value=before)})()
                said = await subject._measure()
                subject.driver = real
                return said

    assert "is no answer to" in asyncio.run(body())


@given(st.lists(st.binary(max_size=300), max_size=4), st.integers(1, 40))
def test_frames_are_found_wherever_the_stream_is_cut(payloads, size):
    stream = b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + b"".join(map(faulty_wire.frame, payloads))
    found, buffer = [], b""
    for at in range(0, len(stream), size):
        buffer += stream[at : at + size]
        while True:
            answer, buffer = faulty_wire.frames(buffer, False)
            if not answer:
                break
            found.append(answer)
    assert b"".join(found) == stream and buffer == b""
    assert found[1:] == list(map(faulty_wire.frame, payloads))


# --- what the campaign found ------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def callbox(monkeypatch):
    """A callbox behind a wire."""
    monkeypatch.setattr(remote_api, "ANSWER", 0.2)
    subject = instrument_faults.CallboxSubject("amarisoft", random.Random(1))
    with tempfile.TemporaryDirectory() as folder:
        async with subject.opened(Path(folder)):
            subject.change()
            yield subject


def test_a_callbox_that_went_without_a_word_is_connected_to_anew(monkeypatch):
    """Half a frame and then nothing: every later request waited on the dead connection, for ever."""

    async def body():
        async with callbox(monkeypatch) as subject:
            subject.wire.arm("half-and-silent", 0)
            with pytest.raises(remote_api.InstrumentTimeout):
                await subject.driver.cell_on()
            assert await subject.driver.cell_on() is subject.cell.on

    asyncio.run(body())


def test_a_late_answer_of_a_relay_board_is_not_that_to_the_same_question_asked_again():
    """It had the right echo: a relay that had moved meanwhile was told to be where it was before."""

    async def body():
        subject = instrument_faults.RelaySubject("numato-lines", random.Random(1))
        with tempfile.TemporaryDirectory() as name, instrument_faults.impatient(Path(name)):
            async with subject.opened(Path(name)):
                subject.board.on = frozenset()
                subject.wire.arm("late", 0)
                with pytest.raises(InstrumentTimeout) as caught:
                    await subject.driver.line_on("1")
                assert caught.value.where and caught.value.hint
                subject.board.on = frozenset({1})
                for _ in range(4):  # the late answer may be later than the next deadline, too
                    with contextlib.suppress(InstrumentTimeout):
                        assert await subject.driver.line_on("1") is True
                        break
                assert await subject.driver.line_on("1") is True

    asyncio.run(body())


@given(st.binary(max_size=60))
def test_a_board_has_caught_up_when_its_last_answer_is_the_right_one(before):
    assert relay_protocol.caught_up("ver", before + b"ver\n\r00000009\n\r>")
    assert relay_protocol.caught_up("ver", b"relay read 0\n\ron\n\r>ver\n\r00000009\n\r>\r\n")
    assert not relay_protocol.caught_up("ver", b"ver\n\r00000009\n\r>relay read 0\n\ron\n\r>")
    assert not relay_protocol.caught_up("ver", b"ver\n\r0000")


def test_a_process_that_is_another_one_is_asked_nothing_further(monkeypatch):
    """Its greeting was refused, and the connection kept: the next question went to the other process."""

    async def body():
        async with callbox(monkeypatch) as subject:
            subject.wire._away = "exchanged"
            subject.wire.drop()
            for _ in range(3):
                with pytest.raises(remote_api.InstrumentError, match="another process answers"):
                    await subject.driver.cell_on()
            subject.wire._away = ""
            subject.wire.drop()
            assert await subject.driver.cell_on() is subject.cell.on

    asyncio.run(body())


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n10.75HTTP/1.1 200 OK\r\n\r\n99",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n10.75 1 2 3",
    ],
)
def test_an_attenuators_answer_ends_where_it_said(raw):
    from instruments.attenuator.rcdat import http_body

    assert http_body(raw, where="") == ("10.75", True)


@pytest.mark.parametrize("answer", ["volts", "10.7 3.0", "999.00", "-3.0", "{"])
def test_what_is_no_attenuation_names_the_question(answer):
    async def body():
        told = iter(["MN=RCDAT-6000-90", "SN=1", answer])

        async def serve(reader, writer):
            await reader.readline()
            writer.write(next(told).encode() + b"\r\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"telnet://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        made = await load_driver("mini-circuits-rcdat").open(DriverOptions(name="att", resource=url))
        with pytest.raises(AnswerError) as caught:
            await made.attenuation()
        server.close()
        return caught.value

    error = asyncio.run(body())
    assert error.where == "att: ATT?" and error.hint
