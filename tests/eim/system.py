"""eIM and SM-DP+ as processes, a virtual eUICC and the IPA, put together for one test."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtual_card import VirtualCard

from bench.station.clock import RealClock
from fixtures.eim.client import EimClient
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import Ipa, create
from fixtures.pki import Pki
from fixtures.profiles import ensure_default_packages
from fixtures.sim.euicc import EuiccOptions, VirtualEuicc
from fixtures.smdpp.client import SmdppClient
from fixtures.smdpp.service import SERVICE

EID = "89049032123451234512345678901235"
BOOTSTRAP, OPERATIONAL = "8900101000000000019", "8900101000000000027"
FQDN = "eim.bench.example"
SMDPP = "smdpp.bench.example"


@dataclass
class Process:
    """A service process and what it announced."""

    process: asyncio.subprocess.Process
    announcement: dict[str, Any]

    @classmethod
    async def start(cls, module: str, home: Path, *options: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            "serve",
            "--home",
            str(home),
            "--with-parent",
            *options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(20):
            line = await process.stdout.readline()
        assert line, f"{module} announced nothing"
        return cls(process, json.loads(line))

    @property
    def port(self) -> int:
        return int(self.announcement["https"].rsplit(":", 1)[1])

    async def kill(self) -> None:
        if self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.terminate()
        async with asyncio.timeout(10):
            return await self.process.wait()


def prepare(home: Path) -> None:
    """Make PKI and profile packages once; copy the folder for each test."""
    Pki.open(home).euicc(EID)
    ensure_default_packages(home)


@dataclass
class System:
    home: Path
    card: VirtualCard
    eim: Process
    smdpp: Process
    client: EimClient
    server: SmdppClient
    ipa: Ipa

    async def associate(self) -> None:
        await self.client.register(EID)
        if not await self.ipa.eims():
            await self.ipa.add_initial_eim(await self.client.initial_configuration())

    async def restart_eim(self) -> None:
        """Kill the eIM and start another on the same store and port."""
        await self.eim.kill()
        self.eim = await Process.start(
            "fixtures.eim",
            self.home,
            "--port",
            str(self.eim.port),
            "--route",
            f"{SMDPP}=127.0.0.1:{self.smdpp.port}",
        )
        await self.client.close()
        self.client = EimClient.from_announcement(self.eim.announcement)


@asynccontextmanager
async def system(
    base: Path, home: Path, *eim_options: str, euicc: EuiccOptions | None = None, associate: bool = True
) -> AsyncIterator[System]:
    shutil.copytree(base, home)
    packages = ensure_default_packages(home)
    card = VirtualEuicc.open(
        home / "card", pki=Pki.open(home), eid=EID, bootstrap=packages.bootstrap, options=euicc or EuiccOptions()
    )
    card.power_on()
    access = VirtualCard(card)
    async with AsyncExitStack() as stack:
        smdpp = await Process.start("fixtures.smdpp", home)
        stack.push_async_callback(smdpp.stop)
        eim = await Process.start("fixtures.eim", home, "--route", f"{SMDPP}=127.0.0.1:{smdpp.port}", *eim_options)
        client = EimClient.from_announcement(eim.announcement)
        server = SERVICE.client(smdpp.announcement, home)
        stack.push_async_callback(server.close)
        ipa = create(
            access,
            HostDataPath(),
            RealClock(),
            options={"route": {FQDN: f"127.0.0.1:{eim.port}"}, "retry_delay": 0.001},
            home=home,
        )
        made = System(home, access, eim, smdpp, client, server, ipa)

        async def end() -> None:
            await made.client.close()
            assert await made.eim.stop() in (0, -signal.SIGKILL)

        stack.push_async_callback(end)
        if associate:
            await made.associate()
        yield made
