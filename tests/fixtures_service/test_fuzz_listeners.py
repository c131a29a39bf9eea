"""A small sample of the campaign against every listener, and that the campaign sees what it is there to see."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "campaigns"))

import fuzz_listeners
from fuzz_listeners import Campaign, Listener, Request

pytestmark = pytest.mark.timeout(120)


def test_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs with one file of figures: the second goes on where the first ended."""
    state = tmp_path / "figures.json"
    for run in (1, 2):
        code = fuzz_listeners.main(["--seconds", "1", "--longest", "12", "--hang", "30", "--state", str(state)])
        figures = json.loads(capsys.readouterr().out)
        assert (code, figures["findings"]) == (0, []), figures["findings"]
        assert figures["runs"] == run
    assert set(figures["listeners"]) == {
        *("esipa", "esipa-json", "eim-operator", "coaps"),
        *("es9plus", "es9plus-asn1", "es2plus", "smdpp-operator"),
    }
    for name, found in figures["listeners"].items():
        assert found["executions"] >= 10, (name, found)
        if name != "coaps":
            assert found.get("2xx", 0) + found.get("4xx", 0) >= 10, (name, found)


class Stub:
    """A server that a test plays."""

    name = "eim"

    def __init__(self) -> None:
        self.dead = False
        self.changes = 0
        self.changing = False
        self.process: Any = type("Process", (), {"returncode": -11})

    def alive(self) -> bool:
        return not self.dead

    def state(self) -> str:
        self.changes += self.changing
        return str(self.changes)


def planted(answer: bytes, *, rounds: int = 30, **fault: bool) -> list[dict[str, Any]]:
    """Return what the campaign finds at a server that gives one answer and has a fault."""
    stub = Stub()
    campaign = Campaign(random.Random(7), 0.3)

    async def play() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await reader.read(1 << 20):
                    writer.write(answer)
                    await writer.drain()
            except OSError:
                pass
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        seed = Request("/x", b'{"a": "b"}', {"Content-Type": "application/json"})
        listener = Listener("esipa", stub, port, None, [seed], lambda status, body: False)  # type: ignore[arg-type]
        campaign.states = {"eim": stub.state()}
        stub.changing, stub.dead = fault.get("changing", False), fault.get("dead", False)
        try:
            for _ in range(rounds):
                await campaign.one(listener)
        except SystemExit:
            pass
        listener.close()
        server.close()

    asyncio.run(play())
    return campaign.findings


def test_planted_faults_are_found() -> None:
    fine = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert planted(fine) == []
    broken = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops"
    assert {item["kind"] for item in planted(broken)} == {"crash"}
    assert {item["kind"] for item in planted(fine, changing=True)} == {"state"}
    assert {item["kind"] for item in planted(b"", rounds=4)} == {"hang"}
    assert "ended with -11" in planted(fine, dead=True)[0]["place"]


def test_figures_are_merged() -> None:
    finding = {"kind": "crash", "place": "x", "input": ""}
    one = {"cpu_seconds": 1.0, "listeners": {"a": {"executions": 2}}, "findings": [finding]}
    two = {"cpu_seconds": 2.0, "listeners": {"a": {"executions": 3, "4xx": 1}}, "findings": [finding]}
    total = fuzz_listeners.merged(fuzz_listeners.merged({}, one), two)
    assert (total["runs"], total["cpu_seconds"], total["crashes"], total["executions"]) == (2, 3.0, 1, 5)
    assert total["listeners"] == {"a": {"executions": 5, "4xx": 1}}
