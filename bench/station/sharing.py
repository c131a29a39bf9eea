"""Reaching an instrument that several stations share: through the one process that holds its connection (``broker``).

A channel is owned for a run (its lock), the connection for a transaction (the broker's turn).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import sys
import time
from dataclasses import dataclass
from typing import Final

from bench.errors import BenchError, InstrumentError
from bench.station import locks

_SOCKET: Final = re.compile(r"TCPIP\d*::(?P<host>[^:\s]+|\[[0-9a-f:]+\])::(?P<port>\d{1,5})::SOCKET", re.IGNORECASE)
STARTS: Final = 5.0
"""Seconds a broker may take to listen; it takes about 0.1."""
_AGAIN: Final = 0.02


@dataclass(slots=True)
class Way:
    """A resource that leads through the broker, kept open: while there is a client the broker stays."""

    resource: str
    connection: socket.socket | None = None

    def close(self) -> None:
        """Let go of the broker."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


def address_of(resource: str) -> tuple[str, int] | None:
    """Return host and port of a resource that can be shared so (a raw socket), None for any other."""
    found = _SOCKET.fullmatch(resource.strip())
    if found is None or not 0 < int(found["port"]) < 65536:
        return None
    return found["host"].strip("[]"), int(found["port"])


def _what(host: str, port: int) -> str:
    return f"broker of {host}:{port}"


def running(resource: str) -> tuple[int, int] | None:
    """Return port and process id of the broker that holds the connection to a resource, None when none does."""
    address = address_of(resource)
    if address is None:
        return None
    try:
        fd = os.open(locks._path(_what(*address)), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except OSError:
        try:
            told = json.loads(os.pread(fd, 4096, 0))
            return int(told["port"]), int(told["pid"])
        except (ValueError, KeyError, TypeError, OSError):
            return None  # it has just begun
    finally:
        os.close(fd)


def through(resource: str) -> str:
    """Return the resource by which an instrument is reached now: its broker's while there is one, else its own."""
    found = running(resource)
    return resource if found is None else _local(found[0])


def _local(port: int) -> str:
    return f"TCPIP::127.0.0.1::{port}::SOCKET"


async def share(resource: str) -> Way:
    """Return the way to an instrument through its broker, which is started when there is none.

    A resource that is no raw socket (USB, GPIB) is returned as it is. Raises InstrumentError when no broker comes.
    """
    import asyncio  # here: the safe process, which uses ``through`` and ``end``, does without

    address = address_of(resource)
    if address is None:
        return Way(resource)
    until = time.monotonic() + STARTS
    while True:
        found = running(resource)
        if found is not None:
            connection = _connect(found[0])
            if connection is not None:
                return Way(_local(found[0]), connection)
        if time.monotonic() > until:
            raise InstrumentError(
                "the process that shares the instrument between stations does not start",
                where=resource,
                hint=f"see the locks in {locks.folder()}",
            )
        if found is None:
            await _start(*address)
        await asyncio.sleep(_AGAIN)


def _connect(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=1.0)
    except OSError:
        return None  # it ended in this moment


async def _start(host: str, port: int) -> None:
    import asyncio

    try:
        path = locks._path(_what(host, port))
        os.close(locks._open(path))
    except OSError as error:
        raise BenchError(
            f"the lock of a shared instrument cannot be used: {error.strerror}",
            hint=f"every user must be able to write {locks.folder()}",
        ) from error
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.station.broker",
        host,
        str(port),
        str(path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(STARTS):
            await process.stdout.readline()
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def end(resource: str) -> bool:
    """Kill the broker of a resource, for the safe sequence when nothing comes through it. Returns whether it could."""
    found = running(resource)
    if found is None:
        return False
    try:
        os.kill(found[1], signal.SIGKILL)
    except OSError:
        return False
    until = time.monotonic() + 0.5
    while running(resource) is not None and time.monotonic() < until:
        time.sleep(0.005)
    return True
