"""The bundled eIM behind a relay that counts: whatever reaches ESipa by whichever way has passed it, byte by byte.

Takes the place of the service ``eim`` in a run whose PYTHONPATH holds the distribution that ``install`` makes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

COUNT = "esipa-bytes"
"""File in the bench home: bytes both ways, digits of a fixed width."""


def install(site: Path) -> str:
    """Make a distribution whose service ``eim`` is this one; return the PYTHONPATH with which runs find it.

    It bears the project's name, so that it stands before the installed one; all else comes from the checkout.
    """
    folder = site / "esim_bench-0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: esim-bench\nVersion: 0\n")
    (folder / "entry_points.txt").write_text("[bench.services]\neim = counting_eim:SERVICE\n")
    return os.pathsep.join(
        part for part in (str(site), str(Path(__file__).parent), os.environ.get("PYTHONPATH")) if part
    )


def counted(home: Path) -> int:
    """Return how many bytes have passed so far."""
    return int((home / COUNT).read_text())


class CountingEim:
    """What the entry point names."""

    def argv(self, home: Path, options: Mapping[str, object]) -> list[str]:
        """Return the relay's command line with the eIM's own behind it."""
        from fixtures.eim.service import SERVICE as BUNDLED

        return [sys.executable, __file__, str(home / COUNT), *BUNDLED.argv(home, options)]

    def client(self, announcement: Mapping[str, Any], home: Path) -> object:
        """Return the operator's client: its side is another port, which is not counted."""
        from fixtures.eim.service import SERVICE as BUNDLED

        return BUNDLED.client(announcement, home)


SERVICE = CountingEim()


class Relay:
    """Hands on what comes to the eIM's ESipa port, and keeps the sum in a file before it does."""

    def __init__(self, file: Path, port: int) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._port = port
        self._total = 0
        self._add(0)

    def _add(self, count: int) -> None:
        self._total += count
        os.pwrite(self._file, f"{self._total:020d}".encode(), 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            onward, out = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pipe(reader, out), self._pipe(onward, writer))

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self._add(len(data))
                writer.write(data)
                await writer.drain()
        writer.close()


async def main(file: Path, command: list[str]) -> int:
    """Start the eIM, announce the relay's port in place of its own, and end with it."""
    for number in (signal.SIGTERM, signal.SIGINT):  # they are for the whole group: the eIM ends, and this with it
        asyncio.get_running_loop().add_signal_handler(number, lambda: None)
    program = sys.executable if command[0] == "python" else command[0]
    eim = await asyncio.create_subprocess_exec(program, *command[1:], stdout=asyncio.subprocess.PIPE, limit=1 << 20)
    assert eim.stdout is not None
    announced = json.loads(await eim.stdout.readline())
    url = urlsplit(announced["https"])
    relay = Relay(file, url.port or 443)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    own = server.sockets[0].getsockname()[1]
    print(json.dumps({**announced, "https": url._replace(netloc=f"{url.hostname}:{own}").geturl()}), flush=True)
    return await eim.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), sys.argv[2:])))
