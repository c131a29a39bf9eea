"""A small sample of the campaign against the simulated bench's own listeners, and that it sees what it is there for."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "campaigns"))

import fuzz_world
from fuzz_world import Campaign, Listener

pytestmark = pytest.mark.timeout(240)


def test_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--seconds", "0.1", "--longest", "10", "--hang", "100", "--state", str(tmp_path / "figures.json")]
    code = fuzz_world.main(arguments)
    figures = json.loads(capsys.readouterr().out)
    assert (code, figures["findings"]) == (0, [])
    assert set(figures["listeners"]) >= {"power", "network", "control", "clock", "proxy"}
    assert all(found["executions"] >= 20 for found in figures["listeners"].values())


@pytest.mark.parametrize("fault", ["deaf", "changes", "gone"])
def test_what_it_is_there_to_see(fault: str) -> None:
    """A listener that stops to answer, a setting that follows from nonsense, a server that ends."""
    volts = [3.8]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line.strip() not in fuzz_world.QUERIES and line.strip() not in fuzz_world.SETTINGS:
                volts[0] += fault == "changes"
            if fault != "deaf":
                writer.write(b"%g\n" % volts[0])
        writer.close()

    async def use() -> list[dict[str, Any]]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        power = Listener("power", address, fuzz_world.QUERIES, ping=b"" if fault == "changes" else b"*IDN?")
        process: Any = SimpleNamespace(returncode=None)
        campaign = Campaign(random.Random(1), 0.5, process, [power])
        async with server:
            if fault == "deaf":
                with pytest.raises(TimeoutError):
                    await campaign.look()
                return campaign.findings
            await campaign.look()
            process.returncode = 1 if fault == "gone" else None
            for _ in range(30):
                await campaign.one(power)
            await campaign.look()
        return campaign.findings

    found = asyncio.run(use())
    assert {item["kind"] for item in found} == {{"deaf": "hang", "changes": "state", "gone": "crash"}[fault]}
