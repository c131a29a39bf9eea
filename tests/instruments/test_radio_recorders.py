"""Recorders of the radio: GSMTAP, DIAG frames, the relay, and programs that stand in for nrfutil and simtrace2-sniff.

The stand-ins write what the real programs write (their sources, and public logs); no real one can run here.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys
import time
import tty
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instrument_doubles import MemoryLane

from bench.errors import ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.clock import RealClock
from bench.station.drivers import DriverOptions
from bench.trace.reader import TraceReader
from bench.trace.writer import TraceWriter
from fixtures.sim import diag as sim_diag
from instruments.radio import diag, gsmtap, simtrace, texts
from instruments.radio.nordic import NordicTrace
from instruments.radio.pcap import PcapTail
from instruments.radio.program import Program
from instruments.radio.qualcomm import QualcommDiag
from instruments.radio.relay import DiagRelay

ATTACH = bytes.fromhex("07417108091010103254769802e0e000040201d011")
GSMTAP_NAS = bytes.fromhex("0204120050009e070000000000000000") + ATTACH
"""Of traces.md section 1.1, as tshark 4.0.17 dissects it."""


async def until(condition, within=10.0):
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


# --- GSMTAP


def test_the_literal_of_the_reference_is_read_and_told():
    frame = gsmtap.parse(GSMTAP_NAS)
    assert (frame.layer, frame.payload, frame.channel_number) == ("LTE NAS", ATTACH, 4096)
    assert texts.frame(frame) == "LTE NAS Attach request"
    packet = gsmtap.in_ip(GSMTAP_NAS)
    assert packet[28:] == GSMTAP_NAS and gsmtap.out_of_ip(packet) == GSMTAP_NAS
    words = struct.unpack("!10H", packet[:20])
    total = sum(words)
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF, "the checksum of the header"


def test_version_3_is_taken_apart_for_the_dissector_that_reads_it():
    metadata = struct.pack("!HHQL", 0, 12, 1_780_000_000, 5) + struct.pack("!HHL", 2, 4, 636_666) + b"\xff\xfe"
    data = struct.pack("!BBHHH", 3, 0, (8 + len(metadata) + 3) // 4, 0x0503, 7) + metadata + b"\x1d\x00"
    frame = gsmtap.parse(data)
    assert (frame.layer, frame.channel, frame.dissector) == ("NR RRC", "UL-CCCH", "nr-rrc.ul.ccch")
    assert (frame.payload, frame.channel_number) == (b"\x1d\x00", 636_666)


@given(st.binary(max_size=200))
def test_any_datagram_is_read_or_refused(data):
    for raw in (data, b"\x02\x04" + data, b"\x03\x00\x00\x02" + data):
        try:
            assert texts.frame(gsmtap.parse(raw))
        except gsmtap.NoGsmtap:
            pass
        gsmtap.out_of_ip(raw)
    texts.nas_eps(data)
    texts.nas_5gs(data)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("07440b", "Attach reject (cause 11 PLMN not allowed)"),
        ("07441378000402 01d11b".replace(" ", ""), "Attach reject (cause 19 ESM failure)"),
        ("0201d11b", "PDN connectivity reject (cause 27 missing or unknown APN)"),
        ("17aabbccdd000744", "Attach reject, integrity protected"),
        ("27aabbccdd00ffff", "ciphered, 2 bytes"),
        ("c7a30102", "Service request"),
    ],
)
def test_nas_messages_with_the_names_of_their_causes(message, told):
    assert texts.nas_eps(bytes.fromhex(message)) == told


# --- DIAG


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.integers(1, 7))
def test_frames_of_the_simulated_port_are_cut_and_unescaped(packets, step):
    stream = b"".join(sim_diag.frame(packet) for packet in packets)
    splitter = diag.Splitter()
    found = [frame for at in range(0, len(stream), step) for frame in splitter.feed(stream[at : at + step])]
    assert [diag.unescape(frame)[:-2] for frame in found] == packets
    assert [sim_diag.unframe(frame) for frame in found] == packets


@given(st.binary(max_size=300))
def test_any_stream_is_cut(data):
    requests, times = diag.Requests(), diag.Times()
    for frame in diag.Splitter().feed(data + b"\x7e"):
        requests.take(frame)
        found = diag.log_of(diag.unescape(frame), 1)
        if found is not None:
            times.add(found)
    times.find(data)
    requests.repeat()


def test_the_check_sequence_is_that_of_hdlc():
    assert sim_diag.crc(b"123456789") == 0x906E  # CRC-16/X-25
    assert sim_diag.unframe(b"\x00\x78\xf0"[:-1]) is None
    assert sim_diag.frame(b"\x00").hex() == "0078f07e", "the version request, as scat sends it"


def test_a_log_packet_carries_the_modems_time():
    unix = 1_780_000_000.123456
    (frame,) = diag.Splitter().feed(sim_diag.frame(sim_diag.log_packet(0xB0ED, sim_diag.nas_log(ATTACH), unix)))
    found = diag.log_of(diag.unescape(frame), 7)
    assert found is not None and found.code == 0xB0ED
    assert abs(found.device_ns / 1e9 - unix) < 1e-6
    assert found.body.endswith(ATTACH)


def test_a_message_is_found_in_the_log_it_was_made_of_in_order():
    times = diag.Times()
    for number in range(4):
        times.add(diag.LogFrame(0xB0C0, number, 100 + number, b"head" + b"same"))
    assert [times.find(b"same").host_ns for _ in range(1)] == [100]
    times.add(diag.LogFrame(0xB0ED, 9, 109, b"h" + ATTACH))
    assert times.find(ATTACH).host_ns == 109
    assert times.find(b"not there") is None


def test_the_simulated_port_sends_only_what_is_asked_for():
    sent = bytearray()
    port = sim_diag.DiagPort(sent.extend, lambda: True, chipset="SIMDIAG", build="BG95M3LAR02A04")

    def answers():
        found = [sim_diag.unframe(frame) for frame in bytes(sent).split(b"\x7e") if frame]
        sent.clear()
        return found

    port.log(0xB0ED, b"x", 0.0)
    assert answers() == [], "no mask, no log"
    port.feed(sim_diag.frame(struct.pack("<LL", 0x73, 1)))
    (ranges,) = answers()
    assert struct.unpack_from("<L", ranges, 12 + 4 * 11)[0] == 0x9FF
    mask = bytearray(64)
    mask[0xED // 8] |= 1 << 0xED % 8
    port.feed(sim_diag.frame(struct.pack("<LLLL", 0x73, 3, 11, 512) + bytes(mask)))
    assert answers()[0][:12] == struct.pack("<LLL", 0x73, 3, 0)
    port.log(0xB0ED, b"x", 1_780_000_000.0)
    port.log(0xB0EC, b"y", 1_780_000_000.0)
    (log,) = answers()
    assert log[:2] == b"\x10\x00" and log.endswith(b"x")
    port.feed(sim_diag.frame(b"\x4b\x12\x00\x00"))
    assert answers() == [b"\x13\x4b\x12\x00\x00"], "what it does not know is refused as firmware does"
    port.feed(b"\x7e\x01\x02\x7e" + sim_diag.frame(struct.pack("<LL", 0x73, 0)))
    port.log(0xB0ED, b"x", 0.0)
    assert len(answers()) == 1, "a damaged frame is dropped; everything is switched off"


class Port:
    """A DIAG port on a pty that comes and goes."""

    def __init__(self, link):
        self.link = link
        self.received = bytearray()
        self.master = self.slave = -1

    def plug(self):
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.link.symlink_to(os.ttyname(self.slave))
        asyncio.get_running_loop().add_reader(self.master, self._readable)

    def _readable(self):
        self.received += os.read(self.master, 65536)

    def unplug(self):
        asyncio.get_running_loop().remove_reader(self.master)
        self.link.unlink()
        os.close(self.master)
        os.close(self.slave)


def test_the_relay_keeps_the_raw_stream_and_asks_again_when_the_port_is_back(tmp_path):
    port = Port(tmp_path / "diag")
    told = []
    mask = sim_diag.frame(struct.pack("<LLLL", 0x73, 3, 11, 8) + b"\xff")
    log = sim_diag.frame(sim_diag.log_packet(0xB0ED, sim_diag.nas_log(ATTACH), time.time() - 3.0))

    async def run():
        relay = DiagRelay(
            str(port.link), baudrate=115_200, clock=RealClock(), raw=tmp_path / "raw.qmdl", tell=told.append
        )
        host, number = (await relay.open()).split(":")
        reader, writer = await asyncio.open_connection(host, int(number))
        try:
            writer.write(mask)  # the modem has no power yet: the tool gets its acknowledgement, the modem the request
            answer = await asyncio.wait_for(reader.readuntil(b"\x7e"), 5)
            assert sim_diag.unframe(answer[:-1])[:12] == struct.pack("<LLL", 0x73, 3, 0)
            port.plug()
            await until(lambda: bytes(port.received) == mask)
            os.write(port.master, log[:9])
            os.write(port.master, log[9:])
            assert await asyncio.wait_for(reader.readexactly(len(log)), 5) == log
            origin = relay.times.find(ATTACH)
            assert origin is not None and 2.9 < (origin.host_ns - origin.device_ns) / 1e9 < 10
            assert relay.fit.clock().offset == pytest.approx(3.0, abs=0.5)
            port.unplug()
            await until(lambda: not relay.is_open)
            port.received.clear()
            port.plug()
            await until(lambda: bytes(port.received) == mask)
            other = socket.create_connection((host, int(number)), 5)
            other.settimeout(5)
            assert await asyncio.to_thread(other.recv, 1) == b"", "one tool at a time"
            other.close()
        finally:
            writer.close()
            await relay.close()
            port.unplug()

    asyncio.run(run())
    assert (tmp_path / "raw.qmdl").read_bytes() == log
    assert any("asked again" in line for line in told)


# --- programs


def script(folder, text):
    path = folder / "program"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return str(path)


def test_a_program_that_ends_or_never_gets_ready_is_told_in_words(tmp_path):
    import re

    async def ends():
        program = Program(
            [script(tmp_path, "print('no such port'); raise SystemExit(3)")],
            ready=re.compile("x"),
            on_line=lambda x: None,
        )
        await program.start()
        with pytest.raises(InstrumentError, match="exit code 3; it said: no such port"):
            await program.wait_ready(within=10)
        await program.stop()

    async def silent():
        program = Program(
            [script(tmp_path, "import time; time.sleep(60)")], ready=re.compile("x"), on_line=lambda x: None
        )
        await program.start()
        with pytest.raises(InstrumentTimeout, match=r"was not ready within 0\.3 s"):
            await program.wait_ready(within=0.3)
        await program.stop()
        assert not program.running

    asyncio.run(ends())
    asyncio.run(silent())


def options(folder, lane="sniff:card", **more):
    return DriverOptions(
        name="card", driver="d", lane=MemoryLane(lane), apdu_lane=MemoryLane("radio:card"), folder=folder, **more
    )


SNIFFER = """
import signal, socket, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
address = sys.argv[sys.argv.index("-i") + 1]
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def send(kind, text):
    out.sendto(bytes((2, 4, 4, 0)) + bytes(8) + bytes((kind, 0, 0, 0)) + bytes.fromhex(text), (address, 4729))
print("Using USB device 1d50:60e3 Addr=12")
print("Entering main loop")
print("Card state change: reset de-asserted")
send(1, "3b9f96801fc78031a073be21136743200718000001a5")
print("PPS: ff 10 96 79 ", flush=True)
send(0, "00a40004023f006156")
send(0, "00c000000562038202789000")
send(0, "0020000108313233 34ffffffff9000".replace(" ", ""))
send(0, "81e2910003bf20006135")
send(0, "00b0000002")
time.sleep(60)
"""


def test_simtrace_frames_become_commands_and_responses_and_its_words_become_notes(tmp_path):
    tool = script(tmp_path, SNIFFER)

    async def run():
        given = options(tmp_path, extra={"tool": tool, "address": "127.0.0.91"})
        recorder = await simtrace.Simtrace2.open(given)
        try:
            await recorder.wait_ready()
            await until(lambda: recorder.frames == 6)
            await until(lambda: any("PPS" in (comment or "") for _, _, comment in given.apdu_lane.packets))
        finally:
            await recorder.close()
        return given.lane.packets, given.apdu_lane.packets

    frames, notes = asyncio.run(run())
    told = [comment for _, _, comment in frames]
    assert told[0].startswith("ATR 3B9F96")
    assert told[1:3] == ["SELECT MF", "6156 86 bytes to fetch"]
    assert [data.hex() for _, data, _ in frames[3:5]] == ["00c0000005", "62038202789000"]
    assert frames[5][1].hex() == "0020000108" + "ff" * 8, "no PIN on the time line"
    assert "GetEuiccInfo1" in told[7]
    assert frames[-1][1].hex() == "00b0000002", "a card that answered nothing"
    assert any("reset de-asserted" in (comment or "") for _, _, comment in notes)


@given(st.binary(max_size=300))
def test_any_sniffed_exchange_is_split(data):
    command, response = simtrace.split(data)
    assert command + response == data


def test_what_is_not_installed_is_refused_with_what_to_do(tmp_path):
    async def run():
        with pytest.raises(Refused, match="is not installed"):
            await simtrace.Simtrace2.open(options(tmp_path, extra={"tool": "/nowhere/simtrace2-sniff"}))
        with pytest.raises(Refused, match="nrfutil is not installed"):
            await NordicTrace.open(options(tmp_path, port="/dev/null", extra={"tool": "/nowhere/nrfutil"}))
        with pytest.raises(Refused, match="scat is not installed"):
            await QualcommDiag.open(options(tmp_path, port="/dev/null", extra={"tool": "/nowhere/scat"}))
        with pytest.raises(ConfigurationError, match="no serial port"):
            await QualcommDiag.open(options(tmp_path, port=""))
        with pytest.raises(ConfigurationError, match="no option 'colour'"):
            await QualcommDiag.open(options(tmp_path, port="/dev/null", extra={"colour": "red"}))

    asyncio.run(run())


NRFUTIL = """
import signal, sys, time
sys.path.insert(0, {root!r})
from bench.trace.lane import Direction
from bench.trace.writer import TraceWriter
assert sys.argv[1:4] == ["trace", "lte", "--input-serialport"], sys.argv
stopped = []
signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
with TraceWriter.open(sys.argv[sys.argv.index("--output-pcapng") + 1], run_id="nrf") as writer:
    print("Saving traces, press Ctrl-C to stop", flush=True)
    writer.lane("nas", dissector="nas-eps").record(Direction.RECEIVED, bytes.fromhex("07440b"), comment="")
    while not stopped:
        time.sleep(0.01)
    writer.lane("rrc", dissector="lte_rrc.dl_dcch").record(Direction.RECEIVED, b"\\x28\\x02", comment="")
"""


def test_nordic_packets_keep_their_dissectors_and_the_last_ones_come_at_the_end(tmp_path):
    tool = script(tmp_path, NRFUTIL.format(root=str(Path(__file__).parents[2])))

    async def run():
        with TraceWriter.open(tmp_path / "trace.pcapng", run_id="r") as writer:
            given = DriverOptions(
                name="trace",
                driver="nordic-trace",
                port="/dev/null",
                lane=writer.lane("diag:trace"),
                apdu_lane=writer.lane("radio:trace"),
                folder=tmp_path,
                extra={"tool": tool},
            )
            recorder = await NordicTrace.open(given)
            try:
                await recorder.wait_ready()
                await until(lambda: recorder.frames == 1)
            finally:
                await recorder.close()

    asyncio.run(run())
    found = {packet.dissector: packet for packet in TraceReader(tmp_path / "trace.pcapng").poll()}
    assert found["nas-eps"].data.hex() == "07440b"
    assert found["nas-eps"].comment.startswith("LTE NAS Attach reject (cause 11 PLMN not allowed) [read ")
    assert found["lte_rrc.dl_dcch"].data == b"\x28\x02"
    stated = [json.loads(packet.data) for packet in found.values() if packet.dissector == "json"]
    assert stated, "its clock"


def test_a_growing_pcap_is_read_packet_by_packet(tmp_path):
    path = tmp_path / "x.pcap"
    tail = PcapTail(path)
    assert list(tail.poll()) == []
    packet = gsmtap.in_ip(GSMTAP_NAS)
    whole = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 228)
    whole += struct.pack("<IIII", 1, 2, len(packet), len(packet)) + packet
    found = []
    for count in range(0, len(whole) + 1, 7):
        path.write_bytes(whole[:count])
        found += tail.poll()
    path.write_bytes(whole)
    found += tail.poll()
    assert found == [packet]
    ethernet = struct.pack(">IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    ethernet += struct.pack(">IIII", 1, 2, len(packet) + 14, len(packet) + 14) + bytes(14) + packet
    (tmp_path / "y.pcap").write_bytes(ethernet)
    assert list(PcapTail(tmp_path / "y.pcap").poll()) == [packet]


@given(st.binary(max_size=120))
def test_any_file_is_read(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.pcap"
    for raw in (data, struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 228) + data):
        path.write_bytes(raw)
        list(PcapTail(path).poll())
