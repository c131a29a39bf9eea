"""Kill -9 a process that records, at random moments; ask its peers what it had finished, and look into the trace.

    python tests/campaigns/trace_kills.py [--count 500] [--seed 1] [--tshark-every 25]

Each round forks a process with the bench's own drivers on a pty and on a TCP socket: a supply is asked and a card is
told numbered things, side by side, and packets come on an ``ip:`` lane, with and without session secrets, in parts of
a few kB. This process is the peer of both. When a peer has command n, exchange n - 1 was finished: its command and its
answer must be in the trace, once and in order. Then the trace is repaired, read by tshark, gone on with, and read
again; and once more when its last part was cut anywhere, as a power cut does.
Prints one JSON object; exit code 1 when a packet of a finished exchange was lost, or a trace could not be gone on with.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tty
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.station.drivers import DriverOptions
from bench.trace import Direction, TraceReader, TraceWriter, ip, read, repair, writer
from bench.trace.parts import parts
from instruments.modem.modem import AtModem
from instruments.scpi.session import ScpiSession

PART = 6000
"""Bytes of a part: each round goes through several."""
LONGEST = 0.06
"""Seconds after the first numbered command within which the process is killed."""
AID = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
HELLO = bytes.fromhex("160301002a010000260303")
_ASKED = re.compile(rb"DIAG:NUMB\? (\d+)")
_TOLD = re.compile(rb'AT\+CGLA=\d+,18,"80E2910004([0-9A-F]{8})"')


# --- the process that is killed ---------------------------------------------------------------------------------------


async def _supply(trace: TraceWriter, port: int) -> None:
    session = await ScpiSession.open(f"TCPIP::127.0.0.1::{port}::SOCKET", name="psu", lane=trace.lane("scpi:psu"))
    datagrams = ip.UdpFlow(ip.Endpoint("10.0.0.1", 5000), ip.Endpoint("10.0.0.2", 7))
    number = 0
    while True:
        number += 1
        trace.lane("ip:link").record(Direction.SENT, datagrams.datagram(Direction.SENT, b"%d" % number))
        _session(trace, number)
        assert await session.query(f"DIAG:NUMB? {number}") == str(number)


def _session(trace: TraceWriter, number: int) -> None:
    """A TLS session whose secrets come, as long as secrets are recorded."""
    secret_random = number.to_bytes(32, "big")
    flow = ip.TcpFlow(ip.Endpoint("10.0.0.1", 10_000 + number % 50_000), ip.Endpoint("10.0.0.2", 443))
    lane = trace.lane("ip:link")
    for direction, packet in (
        *flow.open(),
        *flow.opened(),
        *flow.data(Direction.SENT, HELLO + secret_random + b"\0\0"),
    ):
        lane.record(direction, packet)
    trace.session_secret(b"CLIENT_RANDOM %s %s" % (secret_random.hex().encode(), b"ab" * 48))


async def _card(trace: TraceWriter, port: str) -> None:
    modem = await AtModem.open(
        DriverOptions(name="modem", port=port, lane=trace.lane("at:modem"), apdu_lane=trace.lane("apdu:card"))
    )
    channel = await modem.card().open_channel(AID)
    number = 0
    while True:
        number += 1
        await channel.transmit(bytes.fromhex("80E2910004") + number.to_bytes(4, "big"))


def _record(path: Path, port: int, terminal: str, secrets: bool) -> None:
    async def both() -> None:
        trace = TraceWriter.open(path, run_id="killed", session_keys=secrets, part_size=PART)
        await asyncio.gather(_supply(trace, port), _card(trace, terminal))

    writer._SMALLEST_PART = PART
    asyncio.run(both())


# --- its peers --------------------------------------------------------------------------------------------------------


@dataclass
class Peers:
    """A supply and a modem; ``asked`` and ``told`` are the numbers of the last commands that they were sent."""

    server: socket.socket
    master: int
    asked: int = 0
    told: int = 0
    _connection: socket.socket | None = None
    _lines: dict[int, bytes] = field(default_factory=dict)

    def serve(self, until: float) -> None:
        """Answer until a moment of the monotonic clock."""
        while (left := until - time.monotonic()) > 0:
            self.turn(left)

    def turn(self, seconds: float) -> bool:
        """Answer what is there; return whether anything was."""
        sources: list[Any] = [self.server, self.master, *([self._connection] if self._connection else [])]
        ready, _, _ = select.select(sources, [], [], seconds)
        for source in ready:
            if source is self.server:
                self._connection = self.server.accept()[0]
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            elif source is self.master:
                self._modem()
            else:
                self._supply()
        return bool(ready)

    def _supply(self) -> None:
        assert self._connection is not None
        data = b""
        with contextlib.suppress(ConnectionError):
            data = self._connection.recv(65536)
        if not data:
            self._connection.close()
            self._connection = None
            return
        *lines, self._lines[0] = (self._lines.get(0, b"") + data).split(b"\n")
        for line in lines:
            found = _ASKED.match(line)
            if found is not None:
                self.asked = int(found[1])
            answer = found[1] if found else b'+0,"No error"' if line.startswith(b"SYST:ERR") else b"Double,Supply,1,1"
            with contextlib.suppress(ConnectionError):
                self._connection.sendall(answer + b"\n")

    def _modem(self) -> None:
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return
        *lines, self._lines[1] = (self._lines.get(1, b"") + data).split(b"\r")
        for line in lines:
            found = _TOLD.search(line)
            if found is not None:
                self.told = int(found[1], 16)
                answer = b'\r\n+CGLA: 12,"%s9000"\r\n\r\nOK\r\n' % found[1]
            elif b"+CCHO" in line:
                answer = b"\r\n+CCHO: 1\r\n\r\nOK\r\n"
            else:
                answer = b"\r\nOK\r\n"
            os.write(self.master, answer)

    def close(self) -> None:
        """Close everything."""
        for each in (self.server, self._connection):
            if each is not None:
                each.close()
        os.close(self.master)


def strike(path: Path, moment: float, secrets: bool) -> Peers:
    """Have a process record, kill it ``moment`` seconds after its first commands; return what its peers had."""
    server = socket.create_server(("127.0.0.1", 0))
    master, slave = os.openpty()
    tty.setraw(slave)
    peers = Peers(server, master)
    port, terminal = server.getsockname()[1], os.ttyname(slave)
    pid = os.fork()
    if pid == 0:
        server.close()
        os.close(master)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        try:
            _record(path, port, terminal, secrets)
        finally:
            os._exit(1)
    try:
        limit = time.monotonic() + 30
        while not (peers.asked and peers.told) and time.monotonic() < limit:
            peers.turn(0.1)
        if not (peers.asked and peers.told):
            raise AssertionError("the process does not begin")
        peers.serve(time.monotonic() + moment)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    while peers.turn(0):  # what it had sent before it died
        if peers._connection is None:
            break
    os.close(slave)
    peers.close()
    return peers


# --- what is left -----------------------------------------------------------------------------------------------------


def numbers(path: Path) -> dict[tuple[str, int], list[int]]:
    """Return the numbers on each lane, in order, by direction."""
    found: dict[tuple[str, int], list[int]] = {}
    for packet in read(path):
        number: int | None = None
        if packet.lane == "scpi:psu":
            text = packet.data.strip()
            asked = _ASKED.match(text)
            number = int(asked[1]) if asked else int(text) if text.isdigit() else None
        elif packet.lane == "apdu:card" and packet.data.startswith(bytes.fromhex("80E2910004")):
            number = int.from_bytes(packet.data[5:9], "big")
        elif packet.lane == "apdu:card" and len(packet.data) == 6 and packet.data.endswith(b"\x90\x00"):
            number = int.from_bytes(packet.data[:4], "big")
        elif packet.lane == "ip:link" and (parsed := ip.parse(packet.data)) is not None and parsed.protocol == ip.UDP:
            number = int(parsed.payload)
        if number is not None:
            found.setdefault((packet.lane, int(packet.direction or 0)), []).append(number)
    return found


def check(path: Path, peers: Peers, cut: float, *, foreign: bool) -> dict[str, Any]:
    """Return what was found wrong and what was cut off.

    ``cut``: which part of the last file is cut off in the end, 0 to 1. ``foreign``: have tshark look too.
    """
    wrong: list[str] = []
    before = numbers(path)  # torn as it is
    finished = {"scpi:psu": peers.asked - 1, "apdu:card": peers.told - 1}
    for lane, count in finished.items():
        for direction in (0, 1):
            seen = before.get((lane, direction), [])
            if seen[:count] != list(range(1, count + 1)) or seen != list(range(1, len(seen) + 1)):
                wrong.append(f"{lane} {direction}: {count} finished, in the trace {seen[-3:]} of {len(seen)}")
    shown = before.get(("ip:link", 0), [])
    if shown[: peers.asked] != list(range(1, peers.asked + 1)):
        wrong.append(f"ip:link: {peers.asked} packets before commands, in the trace {len(shown)}")
    torn = 0
    files = parts(path)
    for each in files:
        report = repair(each)
        torn += report.dropped
        if report.saved is not None or (each != files[-1] and report.dropped):
            wrong.append(f"damage in {each.name}: {report}")
    if numbers(path) != before:
        wrong.append("repair changed what was there")
    if foreign:
        wrong += [told for each in files if (told := _tshark(each))]
    with TraceWriter.open(path, run_id="resumed", part_size=PART) as trace:
        for number in range(3):
            trace.lane("scpi:psu").record(Direction.SENT, b"DIAG:NUMB? %d" % (1_000_000 + number))
            trace.lane("at:modem").record(Direction.SENT, b"AT\r")
    after = numbers(path)
    if after.get(("scpi:psu", 0)) != [*before.get(("scpi:psu", 0), []), 1_000_000, 1_000_001, 1_000_002]:
        wrong.append("what was recorded after the repair is not behind what was before")
    if foreign and (told := _tshark(parts(path)[-1])):
        wrong.append(f"after going on: {told}")
    wrong += _cut(path, cut)
    return {"wrong": wrong, "torn": torn, "finished": sum(finished.values()), "parts": len(files)}


def _cut(path: Path, cut: float) -> list[str]:
    """Cut the last part somewhere; what is whole must still be there, and more must come behind it."""
    last = parts(path)[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[: int(len(whole) * cut)])
    before = [packet.data for packet in read(path)]
    with TraceWriter.open(path, run_id="resumed", part_size=PART) as trace:
        trace.lane("scpi:psu").record(Direction.SENT, b"DIAG:NUMB? 7")
    after = [packet.data for packet in read(path)]
    return [] if after == [*before, b"DIAG:NUMB? 7"] else [f"cut at {int(len(whole) * cut)} of {len(whole)} bytes"]


def _tshark(path: Path) -> str:
    """Return what is wrong with a repaired part in the eyes of tshark, '' for nothing."""
    if not path.stat().st_size:
        return ""
    program = shutil.which("tshark")
    if program is None:
        return ""
    done = subprocess.run(
        [program, "-r", str(path), "-T", "fields", "-e", "frame.number", "-e", "_ws.malformed"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    mine = len(TraceReader(path, alone=True).poll())
    lines = done.stdout.splitlines()
    if done.returncode:
        return f"tshark on {path.name}: exit code {done.returncode}: {done.stderr[-200:]}"
    if any("alformed" in line for line in lines) or len(lines) != mine:
        return f"tshark on {path.name}: {len(lines)} packets for {mine}, or malformed ones"
    return ""


def campaign(folder: Path, count: int, seed: int, tshark_every: int) -> dict[str, Any]:
    """Run so many rounds; return the figures."""
    chance = random.Random(seed)
    failures: list[dict[str, Any]] = []
    figures: Counter[str] = Counter()
    for number in range(count):
        path = folder / f"{number}" / "trace.pcapng"
        path.parent.mkdir()
        moment, secrets = chance.uniform(0, LONGEST), number % 2 == 1
        peers = strike(path, moment, secrets)
        found = check(path, peers, chance.random(), foreign=tshark_every > 0 and number % tshark_every == 0)
        figures["finished_exchanges"] += found["finished"]
        figures["torn"] += found["torn"] > 0
        figures["torn_bytes"] += found["torn"]
        figures["parts"] += found["parts"]
        figures["tshark"] += tshark_every > 0 and number % tshark_every == 0
        if found["wrong"]:
            failures.append({"round": number, "moment": round(moment, 4), "secrets": secrets, "wrong": found["wrong"]})
        shutil.rmtree(path.parent)
    return {"kills": count, **figures, "failures": failures}


def main() -> int:
    """Run the campaign and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tshark-every", type=int, default=25, help="rounds from one look by tshark to the next")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trace-kills-") as folder:
        found = campaign(Path(folder), given.count, given.seed, given.tshark_every)
    ok = not found["failures"] and found["finished_exchanges"] > 10 * given.count
    print(json.dumps({"campaign": "trace-kills", "seed": given.seed, "ok": ok, **found}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
