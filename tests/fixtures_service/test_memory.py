"""What a process that serves all night keeps and takes: buffers of connections, pages of its store."""

from __future__ import annotations

import asyncio
import ctypes
import socket
from asyncio import selector_events, sslproto
from pathlib import Path

import pytest

from bench import buffers
from fixtures.service import open_database


class Reads(asyncio.Protocol, asyncio.DatagramProtocol):
    """Keeps how many bytes came at once, until ``total`` are there."""

    def __init__(self, total: int) -> None:
        self.sizes: list[int] = []
        self.left = total
        self.done = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.sizes.append(len(data))
        self.left -= len(data)
        if self.left <= 0:
            self.done.set()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.data_received(data)


def test_streams_are_read_in_small_parts_and_no_datagram_is_cut() -> None:
    async def use() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        stream, datagrams = Reads(4 * buffers.STREAM), Reads(65_507)
        async with asyncio.timeout(20):
            transport, _ = await loop.create_connection(lambda: stream, sock=ours)
            sending = loop.run_in_executor(None, theirs.sendall, bytes(stream.left))
            await stream.done.wait()
            await sending
            receiver, _ = await loop.create_datagram_endpoint(lambda: datagrams, local_addr=("127.0.0.1", 0))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(bytes(datagrams.left), receiver.get_extra_info("sockname"))
            await datagrams.done.wait()
        transport.close()
        receiver.close()
        theirs.close()
        assert max(stream.sizes) <= buffers.STREAM
        assert datagrams.sizes == [65_507]

    buffers.limit()
    asyncio.run(use())


def test_a_python_without_a_transport_reads_the_others_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(selector_events, "_SelectorSocketTransport")
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", 256 * 1024)
    buffers.limit()
    assert getattr(sslproto.SSLProtocol, "max_size") == buffers.STREAM  # noqa: B009 - typeshed does not know it


def test_a_store_keeps_little_of_what_was_written(tmp_path: Path) -> None:
    """A store that has grown all night must not be in its process's memory."""
    import sqlite3  # noqa: F401 - only what is loaded is in the maps

    maps = Path("/proc/self/maps").read_text().splitlines()
    library = next((line.split()[-1] for line in maps if "libsqlite3" in line), None)
    if library is None:
        pytest.skip("SQLite is part of the interpreter: what it takes cannot be asked")
    used = ctypes.CDLL(library).sqlite3_memory_used
    used.restype = ctypes.c_int64
    before = used()
    store = open_database(tmp_path / "a.sqlite", "CREATE TABLE a (b)", version=1, what="test")
    store.execute("BEGIN")
    store.executemany("INSERT INTO a VALUES (?)", [(bytes(4000),) for _ in range(2000)])
    store.execute("COMMIT")
    assert len(store.execute("SELECT b FROM a").fetchall()) == 2000
    assert used() - before < 3_000_000  # of 8 MB
    store.close()
