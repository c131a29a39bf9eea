"""One connection for several stations: turns are transactions, nobody reads another's answer or error."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.station import config, locks, safe, sharing
from bench.station.broker import asks
from bench.station.interfaces import SafeAction
from instruments.scpi.link import ConnectionLost
from instruments.scpi.parse import ScpiError
from instruments.scpi.session import ScpiSession


class OneClient:
    """A supply that serves one client; a second one is closed at once. One error queue, as the real ones have."""

    def __init__(self) -> None:
        self.opened = 0
        self.refused = 0
        self.lines: list[str] = []
        self.volts = {1: 0.0, 2: 0.0}
        self.on = {1: False, 2: False}
        self.errors: list[str] = []
        self.mute = threading.Event()
        self.asked_in_vain = threading.Event()
        self._client: socket.socket | None = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.resource = f"TCPIP::127.0.0.1::{self.port}::SOCKET"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            if self._client is not None:
                self.refused += 1
                connection.close()
                continue
            self.opened += 1
            self._client = connection
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection.makefile("rwb") as stream:
            for raw in stream:
                for answer in filter(None, map(self.answer, [raw.decode().strip()])):
                    if self.mute.is_set():
                        self.asked_in_vain.set()
                    else:
                        stream.write(answer.encode() + b"\n")
                        stream.flush()
        self._client = None
        connection.close()

    def answer(self, line: str) -> str | None:
        self.lines.append(line)
        channel = 2 if "@2" in line else 1
        if line == "*IDN?":
            return "Keysight Technologies,E36312A,MY1,1.0"
        if line == "*OPC?":
            return "1"
        if line == "SYST:ERR?":
            return self.errors.pop(0) if self.errors else '+0,"No error"'
        if line.startswith("BAD"):
            self.errors.append(f'-113,"Undefined header {line}"')
        elif line.startswith("VOLT "):
            self.volts[channel] = float(line.split()[1].partition(",")[0])
        elif line.startswith("OUTP O"):
            self.on[channel] = line.startswith("OUTP ON")
        elif line.startswith("OUTP?"):
            return str(int(self.on[channel]))
        elif line.startswith("MEAS:VOLT?"):
            return f"{self.volts[channel] if self.on[channel] else 0.0}"
        elif line.startswith("VOLT?"):
            return f"{self.volts[channel]}"
        elif line == "BLOCK?":
            return "#15a\nb\nc"
        return None

    def drop(self) -> None:
        client = self._client
        if client is not None:
            client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()
        self.drop()


@pytest.fixture
def supply() -> Iterator[OneClient]:
    server = OneClient()
    try:
        yield server
    finally:
        server.close()
        found = sharing.running(server.resource)
        if found is not None:
            os.kill(found[1], signal.SIGKILL)


def test_what_is_a_query() -> None:
    assert asks(b"MEAS:VOLT? (@1)\n") and asks(b"INST:NSEL 2;:VOLT?")
    assert not asks(b"VOLT 3.8,(@1)\n") and not asks(b'DISP:TEXT "ready?"')


def test_two_sessions_on_the_only_connection_never_mix_answers(supply: OneClient) -> None:
    async def one(channel: int, resource: str, seed: int) -> int:
        session = await ScpiSession.open(resource, name=f"psu channel {channel}")
        draw = random.Random(seed)
        try:
            for _ in range(40):
                volts = round(draw.uniform(1, 5), 3)
                await session.write(f"VOLT {volts},(@{channel})")
                assert float(await session.query(f"VOLT? (@{channel})")) == volts
        finally:
            await session.close()
        return channel

    async def both() -> None:
        ways = await asyncio.gather(sharing.share(supply.resource), sharing.share(supply.resource))
        assert ways[0].resource == ways[1].resource != supply.resource
        assert sorted(await asyncio.gather(*(one(i + 1, way.resource, i) for i, way in enumerate(ways)))) == [1, 2]
        for way in ways:
            way.close()

    asyncio.run(both())
    assert supply.opened == 1 and supply.refused == 0


def test_an_error_belongs_to_whoever_made_it(supply: OneClient) -> None:
    async def bad(session: ScpiSession) -> int:
        seen = 0
        for number in range(20):
            with pytest.raises(ScpiError, match=f"BAD{number}"):
                await session.write(f"BAD{number}")
            seen += 1
        return seen

    async def good(session: ScpiSession) -> int:
        for number in range(20):
            await session.write(f"VOLT {number},(@2)")
        return 20

    async def both() -> None:
        way = await sharing.share(supply.resource)
        sessions = [await ScpiSession.open(way.resource) for _ in range(2)]
        assert sum(await asyncio.gather(bad(sessions[0]), good(sessions[1]))) == 40
        for session in sessions:
            await session.close()
        way.close()

    asyncio.run(both())


def test_what_a_client_left_unanswered_is_not_given_to_the_next(supply: OneClient) -> None:
    async def run() -> None:
        way = await sharing.share(supply.resource)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(way.resource.split("::")[2]))
        supply.mute.set()
        writer.write(b"VOLT? (@1)\n")
        await writer.drain()
        assert await asyncio.to_thread(supply.asked_in_vain.wait, 5)
        writer.transport.abort()
        supply.mute.clear()
        session = await ScpiSession.open(way.resource)
        assert session.identity.serial == "MY1"
        assert await session.query("OUTP? (@1)") == "0"
        await session.close()
        way.close()
        assert reader is not None

    asyncio.run(run())
    assert supply.opened == 2


def test_blocks_pass_whole(supply: OneClient) -> None:
    async def run() -> bytes:
        way = await sharing.share(supply.resource)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(way.resource.split("::")[2]))
        writer.write(b"BLOCK?\n*OPC?\n")
        answer = await reader.readexactly(11)
        writer.close()
        way.close()
        return answer

    assert asyncio.run(run()) == b"#15a\nb\nc\n1\n"


def test_an_instrument_that_closes_is_told_to_everybody_and_opened_again(supply: OneClient) -> None:
    async def run() -> None:
        way = await sharing.share(supply.resource)
        sessions = [await ScpiSession.open(way.resource) for _ in range(2)]
        await sessions[0].write("VOLT 3,(@1)")
        supply.drop()
        for session in sessions:  # each asks again who it is, then goes on
            assert await session.query("VOLT? (@1)") == "3.0"
            await session.close()
        assert supply.lines.count("*IDN?") >= 4
        way.close()

    asyncio.run(run())


def test_an_instrument_that_is_not_there_is_no_broker_that_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    resource = f"TCPIP::127.0.0.1::{port}::SOCKET"

    async def run() -> None:
        way = await sharing.share(resource)
        with pytest.raises((ConnectionLost, Exception)) as caught:
            await ScpiSession.open(way.resource)
        assert "IDN" in str(caught.value)
        way.close()

    asyncio.run(run())
    sharing.end(resource)


def test_the_broker_ends_with_its_last_client(supply: OneClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> int:
        way = await sharing.share(supply.resource)
        found = sharing.running(supply.resource)
        assert found is not None and sharing.through(supply.resource) == way.resource
        way.close()
        return found[1]

    pid = asyncio.run(run())
    until = time.monotonic() + 8
    while sharing.running(supply.resource) is not None and time.monotonic() < until:
        time.sleep(0.02)
    assert sharing.running(supply.resource) is None and sharing.through(supply.resource) == supply.resource
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()


def test_safe_goes_through_the_broker_and_past_one_that_hangs(supply: OneClient) -> None:
    options = {"name": "psu", "resource": supply.resource, "serial": "MY1"}
    action = SafeAction("power.off", "keysight-e36300", options, 2, 0.3)

    async def hold() -> tuple[sharing.Way, ScpiSession]:
        way = await sharing.share(supply.resource)
        session = await ScpiSession.open(way.resource)
        await session.write("VOLT 3.8,(@2)")
        await session.write("OUTP ON,(@2)")
        return way, session

    async def live() -> None:
        way, session = await hold()
        results = await asyncio.to_thread(safe.execute, [action], deadline=3.0)
        assert results[0].verified, results
        assert supply.on[2] is False and supply.refused == 0
        found = sharing.running(supply.resource)
        assert found is not None
        supply.on[2] = True
        os.kill(found[1], signal.SIGSTOP)
        try:
            started = time.monotonic()
            results = await asyncio.to_thread(safe.execute, [action], deadline=3.0)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(found[1], signal.SIGCONT)
        assert results[0].verified and supply.on[2] is False, results
        assert time.monotonic() - started < 3.5
        assert sharing.running(supply.resource) is None
        with contextlib.suppress(Exception):
            await session.close()
        way.close()

    asyncio.run(live())


TWO = """
[instruments.psu1]
driver = "keysight-e36300"
resource = "TCPIP::127.0.0.1::1::SOCKET"
[stations.a]
power = { instrument = "psu1", channel = 1, voltage = 3.8, current_limit = 1.0, voltage_max = 4.3 }
[stations.b]
power = { instrument = "psu1", channel = 2, voltage = 3.8, current_limit = 1.0, voltage_max = 4.3%s }
"""


def test_stations_know_that_they_share(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(TWO % "")
    found = config.load(path, environment={})
    assert [found.station(name).power.shared for name in ("a", "b")] == [True, True]  # type: ignore[union-attr]
    path.write_text(TWO % ", shared = false")
    assert config.load(path, environment={}).station("b").power.shared is False  # type: ignore[union-attr]
    assert sharing.address_of("USB0::0x2A8D::1::INSTR") is None
    assert locks.folder() == tmp_path / "locks"
