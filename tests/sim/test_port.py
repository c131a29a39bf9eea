"""The simulated serial port towards clients that set what they please and leave."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from fixtures.sim.clock import WorldClock
from fixtures.sim.pty import PtyPort

TIOCGEXCL = 0x80045440
"""Linux: read the exclusive mode; Python's termios does not name it."""


class Ledger:
    def wrote(self, count: int) -> None: ...
    def received(self, count: int) -> None: ...


class Clock:
    def port(self, name: str, *, pending: Callable[[], int]) -> Ledger:
        return Ledger()

    def rename(self, ledger: Ledger, name: str) -> None: ...


def exclusive(fd: int) -> bool:
    return bool(struct.unpack("i", fcntl.ioctl(fd, TIOCGEXCL, b"\0\0\0\0"))[0])


@contextmanager
def client(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the port open until the block ends."""
    code = (
        "import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); print(); sys.stdout.flush(); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        yield process
        process.stdin.close()
        process.wait(timeout=10)


async def settle() -> None:
    """Let the loop see what the kernel has told already."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_exclusive_use_and_line_modes_end_with_the_last_client(tmp_path: Path) -> None:
    async def scene() -> None:
        heard = asyncio.Event()
        data: list[bytes] = []

        def received(chunk: bytes) -> None:
            data.append(chunk)
            heard.set()

        def log(*args: Any, **more: Any) -> None: ...

        port = PtyPort(tmp_path / "modem", cast(WorldClock, Clock()), received, log)
        port.open()
        try:
            with client(port.link) as other:
                fd = os.open(port.link, os.O_RDWR | os.O_NOCTTY)
                fcntl.ioctl(fd, termios.TIOCEXCL)
                modes = termios.tcgetattr(fd)
                modes[3] |= termios.ECHO | termios.ICANON
                termios.tcsetattr(fd, termios.TCSANOW, modes)
                os.close(fd)
                await settle()
                assert exclusive(port._slave), "a client is left: nothing is forgotten"
                assert other.stdin is not None
            await settle()
            assert not exclusive(port._slave)
            third = os.open(port.link, os.O_RDWR | os.O_NOCTTY)
            assert not termios.tcgetattr(third)[3] & (termios.ECHO | termios.ICANON)
            os.write(third, b"AT\r")
            async with asyncio.timeout(5):
                await heard.wait()
            assert data == [b"AT\r"]
            os.close(third)
        finally:
            port.close()

    asyncio.run(scene())


def test_it_comes_back_under_another_name_where_it_is_to(tmp_path: Path) -> None:
    async def main() -> None:
        port = PtyPort(tmp_path / "modem", cast(WorldClock, Clock()), lambda data: None, lambda *_, **__: None)
        port.open()
        for _ in range(3):
            before = port.link.readlink()
            port.close()
            port.elsewhere = True
            port.open()
            assert port.link.readlink() != before
            assert not port.elsewhere
        port.close()

    asyncio.run(main())
