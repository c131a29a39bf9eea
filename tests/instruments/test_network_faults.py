"""What real emulators and attenuators do to a driver: right error or recovery within the deadline, no wrong value."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instrument_doubles import MemoryLane, ScpiDouble, listener_that_is_closed
from network_bench import IMSI, TARGETS, emulated, run

from bench.errors import BenchError, ConfigurationError, InstrumentError, InstrumentTimeout
from bench.station.drivers import DriverOptions, load_driver
from bench.station.network import NetworkSubscriber
from fixtures.sim.emulator_attenuator import AttenuatorServer, Rcdat
from fixtures.sim.kernel import Kernel, Streams
from fixtures.sim.network import Cell, Network
from fixtures.sim.worldlog import WorldLog
from instruments.attenuator import rcdat
from instruments.attenuator.rcdat import MiniCircuitsRcdat
from instruments.network import mt8821c, remote_api, uxm
from instruments.network.amarisoft import AmarisoftCallbox, cells_in, devices_in
from instruments.network.cmw500 import cell_state
from instruments.scpi.link import ConnectionLost
from instruments.scpi.parse import AnswerError

KINDS = tuple(TARGETS)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Deadlines of a test: the drivers' own are of seconds."""
    monkeypatch.setattr(remote_api, "ANSWER", 0.4)
    monkeypatch.setattr(rcdat, "ANSWER", 0.4)
    monkeypatch.setattr(rcdat, "BUSY", 0.6)


def quick(network):
    """Shorten the answer deadline of a SCPI driver."""
    if hasattr(network, "_session"):
        network._session.timeout = network._session._identify = 0.4
    return network


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_listens(kind):
    with listener_that_is_closed() as port:
        scheme = f"ws://127.0.0.1:{port}" if kind == "amarisoft" else f"TCPIP::127.0.0.1::{port}::SOCKET"
        started = time.monotonic()
        with pytest.raises(InstrumentError, match=r"(?i)cannot connect.*refused|refused"):
            asyncio.run(load_driver(TARGETS[kind]).open(DriverOptions(name="emu", resource=scheme)))
        assert time.monotonic() - started < 2.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_dropped_connection_is_made_again(kind, tmp_path):
    async def body():
        async with emulated(kind, tmp_path) as emulator:
            network = quick(await emulator.open())
            await network.set_cell(True)
            for _ in range(3):
                emulator.server.drop()
                await asyncio.sleep(0.02)
                assert await network.cell_on() is True
            emulator.server.drop()
            # A command whose connection breaks is not repeated: the error says so, and the next one is carried out.
            with contextlib.suppress(ConnectionLost):
                await network.set_cell(False)
            await network.set_cell(False)
            assert await network.cell_on() is False
            await network.close()

    run(body)


@pytest.mark.parametrize("kind", KINDS)
def test_silence_ends_at_the_deadline_and_a_late_answer_belongs_to_nobody(kind, tmp_path):
    async def body():
        async with emulated(kind, tmp_path) as emulator:
            network = quick(await emulator.open())
            await network.set_cell(True)
            emulator.attach()
            emulator.server.silent = True
            started = time.monotonic()
            with pytest.raises(InstrumentError):
                await network.attached_imsi()
            assert time.monotonic() - started < 5.0
            emulator.server.silent = False
            assert await network.attached_imsi() == IMSI
            assert await network.cell_on() is True
            await network.close()

    run(body)


@pytest.mark.parametrize("kind", KINDS)
def test_two_clients_and_one_reboot(kind, tmp_path):
    """Emulators take several clients; a reboot (all connections gone, then back) is survived by the next question."""

    async def body():
        async with emulated(kind, tmp_path) as emulator:
            first, second = quick(await emulator.open()), quick(await emulator.open())
            await first.set_cell(True)
            assert await second.cell_on() is True
            port = emulator.server.port if kind != "amarisoft" else emulator.server.ports["enb"]
            emulator.server.close()
            await asyncio.sleep(0.05)
            with pytest.raises(InstrumentError):
                await first.cell_on()
            if kind == "amarisoft":
                emulator.server.ports = {"enb": 0, "mme": 0}
            await emulator.server.start(port)
            assert await first.cell_on() is True
            assert await second.cell_on() is True
            await first.close()
            await second.close()

    run(body)


GARBAGE = [b"", b"\xff\xfe\x00", b"ON", b"1,2,3", b"MAYBE", b"-9.91E37", b"<html>", b"0" * 5000]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "amarisoft"])
def test_garbage_is_never_a_value(kind):
    """1 200 exchanges with answers cut, swapped or replaced: what comes back is right or an error."""
    who = {
        "cmw500": "Rohde&Schwarz,CMW,1201.0002k50/100001,3.7",
        "mt8821c": "ANRITSU,MT8821C,6261234567,30",
        "uxm": "Keysight Technologies,E7515B,MY1,C",
    }[kind]
    true = {"cmw500": "ON,ADJ", "mt8821c": "ON", "uxm": "CONN"}[kind]
    chance = random.Random(7)
    with ScpiDouble() as double:

        def answer(line):
            if line in ("*IDN?", "*OPC?", "*ESR?", "SYST:ERR?"):
                return {"*IDN?": who, "*OPC?": "1", "*ESR?": "0", "SYST:ERR?": '0,"No error"'}[line]
            return true if chance.random() < 0.7 else chance.choice(GARBAGE[1:]) + b"\n"

        double.answer = answer

        async def body():
            network = await load_driver(TARGETS[kind]).open(DriverOptions(name="emu", resource=double.resource))
            right = 0
            for _ in range(1200):
                # A cell state that is well formed and says "off" is no garbage: it is not among what is sent.
                with contextlib.suppress(AnswerError):
                    assert await network.cell_on() is True
                    right += 1
            await network.close()
            return right

        assert 400 < run(body) < 1200


def test_garbage_of_a_callbox_closes_the_connection(tmp_path):
    async def body():
        async with emulated("amarisoft", tmp_path) as emulator:
            network = await emulator.open()
            emulator.server.garbage = True
            with pytest.raises(AnswerError, match="no JSON object"):
                await network.cell_on()
            emulator.server.garbage = False
            assert await network.cell_on() is False
            await network.close()

    run(body)


def test_a_connection_that_breaks_after_a_secret_does_not_show_it():
    key = bytes(range(16))
    with ScpiDouble() as double:

        def answer(line):
            if "SKEY" in line:
                raise ScpiDouble.Drop
            return {"*IDN?": "Rohde&Schwarz,CMW,1,1", "*OPC?": "1", "SYST:ERR?": '0,"No error"'}.get(line)

        double.answer = answer

        async def body():
            lane = MemoryLane()
            driver = load_driver(TARGETS["cmw500"])
            network = await driver.open(DriverOptions(name="emu", resource=double.resource, lane=lane))
            with pytest.raises(BenchError) as caught:
                await network.set_subscriber(NetworkSubscriber(IMSI, key, key))
            await network.close()
            return caught.value, lane

        error, lane = run(body)
        assert key.hex().upper() not in str(error).upper() + repr(error.__context__) + repr(error.__cause__)
        assert "not known whether" in str(error) or "broke" in str(error)
        assert not any(key.hex().upper().encode() in data.upper() for data in lane.sent())


def test_a_command_that_cannot_even_be_sent_does_not_show_its_secret(monkeypatch):
    """The link's own error names the command."""
    key = bytes(range(16))
    with ScpiDouble() as double:
        who = {"*IDN?": "Rohde&Schwarz,CMW,1,1", "*OPC?": "1", "SYST:ERR?": '0,"No error"'}
        double.answer = who.get

        async def body():
            network = await load_driver(TARGETS["cmw500"]).open(DriverOptions(name="emu", resource=double.resource))
            real = network._session._link.write

            def write(line):
                if "SKEY" in line:
                    raise ConnectionLost("the connection broke: broken pipe", where=f"{double.resource}: {line}")
                real(line)

            monkeypatch.setattr(network._session._link, "write", write)
            with pytest.raises(ConnectionLost, match=r"SKEY \*\*\*\*: the connection broke") as caught:
                await network.set_subscriber(NetworkSubscriber(IMSI, key, key))
            await network.close()
            return caught.value

        error = run(body)
        assert key.hex().upper() not in f"{error} {error.where} {error.__cause__}".upper()


# --- attenuator -------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def attenuator():
    network = Network(Kernel(), Streams(0), WorldLog(Kernel(), None))
    network.cells.append(Cell(1, "00101"))
    server = AttenuatorServer(Rcdat(network, network.log), network.log)
    await server.start()
    try:
        yield server, network.cells[0]
    finally:
        server.close()


def address(server, way):
    return server.announcement()["telnet" if way == "telnet" else "resource"]


@pytest.mark.parametrize("way", ["http", "telnet"])
def test_an_attenuator_changes_what_the_device_receives(way):
    async def body():
        async with attenuator() as (server, cell):
            made = await MiniCircuitsRcdat.open(DriverOptions(name="att", resource=address(server, way)))
            assert (made.identity.serial, made.highest, made.step) == (Rcdat.serial, 90.0, 0.25)
            await made.set_attenuation(30.25)
            assert (cell.rsrp, cell.level) == (-115.25, -85.0)
            assert await made.attenuation() == 30.25
            await made.set_attenuation(0)
            assert cell.rsrp == -85.0
            for wrong in (-1.0, 90.25, 10.1, float("nan")):
                with pytest.raises(InstrumentError):
                    await made.set_attenuation(wrong)
            with pytest.raises(InstrumentError, match="channel 2"):
                await made.attenuation(channel=2)
            assert cell.rsrp == -85.0

    run(body)


def test_one_telnet_client_at_a_time():
    async def body():
        async with attenuator() as (server, _):
            url = address(server, "telnet")
            made = await MiniCircuitsRcdat.open(DriverOptions(name="att", resource=url))
            _, other = await asyncio.open_connection("127.0.0.1", server.ports["telnet"])
            other.write(b"MN?\r\n")
            await asyncio.sleep(0.05)
            with pytest.raises(InstrumentError, match="does another program hold it"):
                await made.attenuation()
            waiting = asyncio.create_task(made.attenuation())  # comes through when the other one goes
            await asyncio.sleep(0.15)
            other.close()
            assert await waiting == 0.0

    run(body)


@pytest.mark.parametrize("way", ["http", "telnet"])
def test_an_attenuator_that_is_silent_gone_or_cut_off(way):
    async def body():
        async with attenuator() as (server, _):
            made = await MiniCircuitsRcdat.open(DriverOptions(name="att", resource=address(server, way)))
            server.silent = True
            started = time.monotonic()
            with pytest.raises(InstrumentTimeout):
                await made.attenuation()
            assert time.monotonic() - started < 2.0
            server.silent = False
            server.drop()
            assert await made.attenuation() == 0.0
            server.close()
            await asyncio.sleep(0.02)
            with pytest.raises(InstrumentError, match="cannot connect"):
                await made.attenuation()

    run(body)


@pytest.mark.parametrize(
    "torn", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n10.", b"HTTP/1.1 200 OK\r\n", b"HTT", b"H", b""]
)
def test_a_torn_http_answer_is_no_value(torn):
    with pytest.raises((ConnectionResetError, AnswerError)):
        rcdat.http_body(torn, where="att")


def test_an_answer_that_does_not_tell_its_length_is_asked_for_twice():
    async def body():
        answers = iter([b"MN=RCDAT-6000-90", b"MN=RCDAT-6000-90", b"SN=1", b"SN=1", b"10.7", b"10.75"])

        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + next(answers))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        made = await MiniCircuitsRcdat.open(DriverOptions(name="att", resource=url))
        with pytest.raises(AnswerError, match=r"'10\.7', then '10\.75'"):
            await made.attenuation()
        server.close()

    run(body)


@pytest.mark.parametrize("resource", ["", "TCPIP::1.2.3.4::23::SOCKET", "http://", "ftp://host"])
def test_what_is_no_address_of_an_attenuator(resource):
    with pytest.raises(ConfigurationError, match="no address"):
        asyncio.run(MiniCircuitsRcdat.open(DriverOptions(name="att", resource=resource, origin="bench.toml:3")))


@pytest.mark.parametrize("resource", ["", "http://host:9001", "ws://", "127.0.0.1:9001"])
def test_what_is_no_address_of_a_callbox(resource):
    with pytest.raises(ConfigurationError, match="'resource' is"):
        asyncio.run(AmarisoftCallbox.open(DriverOptions(name="emu", resource=resource)))


# --- parsers of outside bytes -----------------------------------------------------------------------------------------


@given(st.text(max_size=80))
def test_parsers_take_any_text(text):
    parsers = (cell_state, mt8821c.call_state, mt8821c.standard_event, uxm.cell_status, rcdat.attenuations)
    for parse in (*parsers, remote_api.parse_message, lambda t: rcdat.value_of(t, "MN")):
        with contextlib.suppress(AnswerError):
            parse(text)


@given(st.binary(max_size=200))
def test_http_takes_any_bytes(raw):
    with contextlib.suppress(AnswerError, ConnectionResetError):
        rcdat.http_body(raw, where="")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cells", "1", "gain", "ue_list", "imsi", "bearers", "ip"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["cells", "nb_cells", "ue_list"]), JSON, max_size=3))
def test_messages_of_a_callbox_of_any_shape(message):
    for parse in (cells_in, devices_in):
        with contextlib.suppress(AnswerError):
            parse(message, where="")
