"""A sample of the fault campaign of tests/campaigns/instrument_faults.py: every driver, and no wrong value."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "campaigns"))

import fault_table
import faulty_wire
import network_bench
import subject_modems
from exchanges import Outcome, Pauses
from instrument_faults import DRIVERS, NO_WIRE, campaign, impatient
from pcsc_installed import need_pcsc
from subject import ERRORS
from subject_boards import RelaySubject
from subject_emulators import CallboxSubject, EmulatorSubject
from subject_programs import HubSubject, TrafficSubject
from subject_supplies import SupplySubject
from supply_bench import CASES

from bench.errors import InstrumentTimeout
from bench.station.drivers import DriverOptions, known_drivers, load_driver
from instruments.network import netem, remote_api
from instruments.reader.pcsc_link import PcscLink
from instruments.scpi.link import VisaLink
from instruments.scpi.parse import AnswerError
from instruments.switch import relay_protocol
from instruments.usb import port as usb_port

pytestmark = pytest.mark.timeout(60)

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"
MODEMS = tuple(subject_modems.IDENTITIES)
KINDS = {
    "supplies": (tuple(driver for driver in DRIVERS if driver in {case.driver for case in CASES}), 20),
    "emulators": (("rs-cmw500", "anritsu-mt8821c", "keysight-uxm", "amarisoft", "mini-circuits-rcdat"), 40),
    "boards": (("numato-lines", "numato-relay", "console"), 40),
    "modems": (MODEMS, 24),
    "programs": (("usb-uhubctl", "usb-ykush", "tc-netem"), 40),
}
"""Drivers of each kind of wire that run side by side here, and exchanges of each."""
ALONE = ("keysight-n6700", "serial-lines", "pcsc")
"""The same class as another one; and those which need a process of their own, or pcscd."""


@pytest.mark.parametrize("kind", KINDS)
def test_randomised_exchanges_with_faults_give_no_wrong_value(kind):
    drivers, count = KINDS[kind]
    found = asyncio.run(campaign(drivers, count, 0.5, 1))
    assert all(figures["ok"] for figures in found.values()), [figures["told"] for figures in found.values()]
    assert all(figures["exchanges"] >= count and figures["returned"] for figures in found.values())
    assert sum(figures["faults_in_all"] for figures in found.values()) > len(drivers) * count / 8
    happened = {fault for figures in found.values() for fault in figures["faults"]}
    assert kind != "supplies" or happened == set(faulty_wire.QUEUED)  # enough drivers for every fault to have come


def test_the_reader_gives_no_wrong_value():
    need_pcsc()
    found = asyncio.run(campaign(["pcsc"], 60, 0.5, 1, at_once=6))["pcsc"]
    assert found["ok"] and found["returned"] and found["faults_in_all"] > 10, found["told"]


def lines_campaign(*before: str) -> dict[str, object]:
    """Run the campaign of DTR and RTS in a process of its own: it is asked by the kernel for good."""
    program = f"""
import asyncio, json, sys
sys.path.insert(0, {str(CAMPAIGNS)!r})
import instrument_faults, modem_lines
try:
    modem_lines.installed()
except modem_lines.Unavailable as why:
    print(json.dumps({{"unavailable": str(why)}}))
    sys.exit()
{"".join(f"{line}{chr(10)}" for line in before)}
print(json.dumps(asyncio.run(instrument_faults.campaign(["serial-lines"], 60, 0.5, 1, at_once=4))["serial-lines"]))
"""
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=50, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    if "unavailable" in found:
        pytest.skip(f"no modem lines for a pseudo-terminal: {found['unavailable']}")
    return found


def test_dtr_and_rts_are_never_said_to_be_what_they_are_not():
    found = lines_campaign()
    assert found["ok"] and found["returned"] and found["faults_in_all"] > 10, found["told"]


def test_every_driver_is_in_the_campaign_or_has_no_wire():
    assert set(DRIVERS) | set(NO_WIRE) == set(known_drivers()) and not set(DRIVERS) & set(NO_WIRE)
    assert {driver for drivers, _ in KINDS.values() for driver in drivers} | set(ALONE) == set(DRIVERS)
    for driver in set(network_bench.TARGETS):  # its subject opens the class that the entry point names
        names = {"cmw500": "rs-cmw500", "mt8821c": "anritsu-mt8821c", "uxm": "keysight-uxm"}
        assert load_driver(names.get(driver, driver)) is load_driver(network_bench.TARGETS[driver])


@pytest.mark.parametrize("driver", [*DRIVERS, *NO_WIRE])
def test_every_named_fault_meets_every_driver_or_has_no_meaning_there(driver):
    cells = fault_table.row(driver, MODEMS)
    assert list(cells) and set(cells) == set(fault_table.FAULTS)
    faults = {"killed"}  # the reader's, of its first instrument only
    for make in DRIVERS.get(driver, ()):
        faults.update(make(random.Random(1)).faults)
    for part in (part for cell in cells.values() for part in re.split(r", (?![^\[]*\])", cell)):
        if part.startswith("["):
            continue
        file, _, function = part.partition("::")
        assert part in faults or f"def {function}(" in Path(__file__).with_name(file).read_text(), part
    assert driver in fault_table.table([driver], MODEMS)


# --- the campaign itself: a wrong value is found out ------------------------------------------------------------------


def wrong(driver: str, count: int = 60) -> int:
    found = asyncio.run(campaign([driver], count, 0.6, 1, at_once=3))[driver]
    assert not found["ok"]
    return int(found["wrong_values"])


def test_a_session_that_keeps_late_answers_is_found_out(monkeypatch):
    """Without its two guards a SCPI session takes late answers for those to later questions."""
    monkeypatch.setattr(VisaLink, "clear", lambda self: None)
    monkeypatch.setattr(VisaLink, "stale", lambda self: b"")
    monkeypatch.setattr(EmulatorSubject, "faults", ("late", "garbage-before-answer"))
    assert not asyncio.run(campaign(["rs-cmw500"], 30, 0.7, 1, at_once=3))["rs-cmw500"]["ok"]


def test_a_modem_driver_that_takes_a_late_answer_is_found_out(monkeypatch):
    async def careless(port):
        port._dirty = False

    monkeypatch.setattr("instruments.modem.port.AtPort._resynchronise", careless)
    monkeypatch.setattr(subject_modems.ModemSubject, "faults", ("late",))
    assert wrong("at-modem")


def test_a_hub_driver_that_does_not_read_back_is_found_out(monkeypatch):
    async def hopeful(port, on):
        await port._off_loop(lambda: port.switch(port._place, on, within=1.0))

    monkeypatch.setattr(usb_port.UsbPort, "set_output", hopeful)
    monkeypatch.setattr(HubSubject, "faults", ("ignored", "wrong"))
    assert wrong("usb-ykush", 45)


def test_traffic_control_that_compares_no_numbers_is_found_out(monkeypatch):
    monkeypatch.setattr(netem.RootQdisc, "shows", lambda qdisc, limits: qdisc.handle == netem.HANDLE)
    monkeypatch.setattr(TrafficSubject, "faults", ("half", "wrong"))
    assert wrong("tc-netem")


def test_lines_that_are_what_was_wished_are_found_out():
    found = lines_campaign(
        "from instruments.switch import lines",
        "lines._is_on = lambda port, line: getattr(port, line)",
    )
    assert found["wrong_values"]


def test_a_reader_that_gives_the_answer_before_is_found_out(monkeypatch):
    need_pcsc()
    transmit, answers = PcscLink.transmit, [b"\x90\x00"]

    def late(link, command):
        answers.append(transmit(link, command))
        return answers[-2] if command[1] == 0xCA and command[5] == 2 else answers[-1]

    monkeypatch.setattr(PcscLink, "transmit", late)
    assert asyncio.run(campaign(["pcsc"], 20, 0.0, 1, at_once=2))["pcsc"]["wrong_values"]


def test_a_driver_that_mixes_answers_up_is_found_out():
    """An answer to a question of an earlier exchange is a wrong value."""

    async def body():
        subject = SupplySubject(CASES[0], random.Random(1))
        with tempfile.TemporaryDirectory() as folder:
            async with subject.opened(Path(folder)):
                before = await subject.driver.measure()
                real, subject.driver = subject.driver, type("Mixed", (), {"measure": AsyncMock(return_value=before)})()
                said = await subject._measure()
                subject.driver = real
                return said

    assert "is no answer to" in asyncio.run(body())


def test_an_error_of_another_kind_and_one_after_nothing_are_found_out():
    async def body(raised, fault):
        async def kind():
            raise raised

        out = Outcome()
        with Pauses().watched() as pauses:
            await out.make(
                "it", kind, away=False, deadline=1.0, fault=fault, disarm=lambda: bool(fault), pauses=pauses,
                allowed=lambda happened, error: ERRORS.get(happened, ()),
            )  # fmt: skip
        return out.ok

    gone = InstrumentTimeout("it is silent", where="here")
    assert asyncio.run(body(gone, "silent"))
    assert not asyncio.run(body(gone, ""))
    assert not asyncio.run(body(gone, "garbage"))
    assert not asyncio.run(body(InstrumentTimeout("it is silent"), "silent"))
    assert not asyncio.run(body(ValueError("what"), "silent"))


def test_a_pause_of_this_host_is_seen_and_a_busy_loop_is_none():
    with Pauses().watched() as pauses:
        before = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-c", f"import os, signal, time; os.kill({os.getpid()}, signal.SIGSTOP); time.sleep(0.6);"
             f"os.kill({os.getpid()}, signal.SIGCONT)"]
        )  # fmt: skip
        child.wait(10)
        while pauses.last < before:
            assert time.monotonic() < before + 10
            time.sleep(0.01)


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
    subject = CallboxSubject("amarisoft", random.Random(1))
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
        subject = RelaySubject("numato-lines", random.Random(1))
        with tempfile.TemporaryDirectory() as name, impatient(Path(name)):
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
