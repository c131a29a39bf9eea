"""The card of the benchmark in a reader: virtual eUICC, vpcd and a private pcscd behind a process of their own.

python tests/benchmarks/provisioning_reader.py HOME EID SOCKET     (started by provisioning.py)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.apdu.channel import CardAccess  # noqa: E402


@contextlib.asynccontextmanager
async def card_in_reader(home: Path, eid: str) -> AsyncIterator[CardAccess]:
    """Start the process, open the reader with the bench's driver and yield the way to the card."""
    from bench.station.drivers import DriverOptions
    from instruments.reader.pcsc import PcscReader

    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, str(home), eid, str(Path(folder) / "pcscd.comm")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            async with asyncio.timeout(30.0):
                told = json.loads(await process.stdout.readline())
            extra = {"pcsclite_csock": told["pcsclite_csock"]}
            options = DriverOptions(name="reader", driver="pcsc", resource=told["name"], extra=extra)
            reader = await PcscReader.open(options)
            try:
                await reader.wait_card(timeout=10.0)
                yield reader.card()
            finally:
                await reader.close()
        finally:
            process.stdin.close()
            async with asyncio.timeout(10.0):
                await process.wait()


async def serve(home: Path, eid: str, socket: Path) -> None:
    """Put the card into the reader and hold it until standard input ends."""
    from fixtures.pki import Pki
    from fixtures.profiles import ensure_default_packages
    from fixtures.sim.euicc import EuiccOptions, VirtualEuicc
    from fixtures.sim.pcsc import Readers

    bootstrap = ensure_default_packages(home).bootstrap
    euicc = VirtualEuicc.open(home / "card", pki=Pki.open(home), eid=eid, bootstrap=bootstrap, options=EuiccOptions())
    readers = Readers(1, socket, "benchmark", lambda *_, **__: None)
    try:
        readers.slots[0].insert(euicc)
        await readers.start()
        print(json.dumps(readers.announcement([eid])[0]), flush=True)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
        await ended.wait()
    finally:
        readers.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
