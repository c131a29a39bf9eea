"""The device's packets as the link tells them: real bytes, and as many as were billed."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from bench.station.data import ProxyPath
from bench.station.datagrams import open_datagrams
from bench.trace import ip

from .process import WorldProcess
from .test_datagrams import ECHO, data_path


class Listener:
    """Reads observations to their end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "observe"
        self.lines: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.bind(str(self.path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        connection, _ = self._socket.accept()
        connection.settimeout(60)
        with connection, connection.makefile("rb") as stream:
            self.lines += [json.loads(line) for line in stream]

    def packets(self) -> list[tuple[int, ip.Parsed, bytes]]:
        """Return direction, packet and its bytes of everything told."""
        self._thread.join(60)
        self._socket.close()
        assert self.lines[-1] == {"dropped": 0}
        found = []
        for line in self.lines[:-1]:
            assert line["lane"] == "ip:link"
            data = bytes.fromhex(line["data"])
            parsed = ip.parse(data)
            assert parsed is not None
            found.append((line["dir"], parsed, data))
        return found


async def exchange(path: ProxyPath, size: int) -> None:
    stream = await path.connect(ECHO, 7, timeout=10)
    async with path.clock.timeout(20):
        await stream.write(b"y" * size)
        got = 0
        while got < size:
            got += len(await stream.read())
    await stream.close()


def test_what_the_trace_has_is_what_was_billed(tmp_path: Path) -> None:
    counters: list[tuple[int, int]] = []

    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, path):
            counters.append(await path.counters())
            await exchange(path, 5000)
            datagrams = await open_datagrams(path, ECHO, 7, timeout=10)
            async with clock.timeout(5):
                datagrams.send(b"hello")
                assert await datagrams.receive() == b"hello"
            datagrams.close()
            await clock.sleep(2)
            counters.append(await path.counters())

    listener = Listener(tmp_path)
    with WorldProcess(tmp_path, "--profile", "unit", "--observe", str(listener.path)) as world:
        asyncio.run(main(world))
    packets = listener.packets()
    ends = [data for _, found, data in packets if found.flags & ip.FIN]
    billed = [after - before for before, after in zip(*counters, strict=True)]
    for direction in (0, 1):
        mine = [data for way, _, data in packets if way == direction]
        closing = [data for way, found, data in packets if way == direction and found.flags & ip.FIN]
        assert sum(map(len, mine)) == billed[direction] + 40 * len(closing) + 40 * (len(ends) - len(closing))
        stream = b"".join(found.payload for way, found, _ in packets if way == direction and found.protocol == ip.TCP)
        assert stream == b"y" * 5000
        datagrams = [found.payload for way, found, _ in packets if way == direction and found.protocol == ip.UDP]
        assert datagrams == [b"hello"]
    assert max(len(data) for _, _, data in packets) <= 1358
    assert [found.flags for _, found, _ in packets][:3] == [ip.SYN, ip.SYN | ip.ACK, ip.ACK]
    assert "to echo.bench.example:7" in listener.lines[0]["comment"]


def test_a_world_that_runs_already_tells_who_asks_later(tmp_path: Path) -> None:
    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, path):
            await exchange(path, 10)  # told to nobody
            with clock.busy():
                assert world.ask("observe", path=str(listener.path))["ok"]
            await exchange(path, 20)
            await clock.sleep(2)

    listener = Listener(tmp_path)
    with WorldProcess(tmp_path, "--profile", "unit") as world:
        asyncio.run(main(world))
        with pytest.raises(AssertionError):
            assert world.ask("observe", path=str(tmp_path / "nobody"))["ok"]
    listener._thread.join(60)
    payload = b""
    for line in listener.lines:
        if "data" in line and line["dir"] == 0:
            parsed = ip.parse(bytes.fromhex(line["data"]))
            assert parsed is not None
            payload += parsed.payload
    assert payload == b"y" * 20
    listener._socket.close()
