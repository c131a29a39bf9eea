"""Two identical modems and two identical readers, exchanged between runs and during one: bench-error, nothing switched.

Two simulated worlds stand side by side; bench.toml names the ports by links, as a USB port keeps its name whatever is
plugged into it, and exchanging the links is exchanging the plugs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "instruments"))
from pcsc_installed import need_pcsc

from bench import client
from bench.errors import ConfigurationError
from bench.run import liveness

RECIPES = '''
import asyncio
from pathlib import Path
from bench.apdu.es10 import Es10
from bench.engine.recipe import recipe
from bench.engine.station import Station

@recipe(title="Asks", needs=("modem",))
async def asks(station: Station, until: str) -> None:
    """Use the modem again and again, until a file is there and a while longer."""
    async with station.step("asks"):
        await station.modem.wait_ready(timeout=30)
        print("ready")
        while not Path(until).exists():
            await asyncio.sleep(0.05)
        for _ in range(400):
            try:
                await station.modem.command('AT+CGDCONT=1,"IP","switched"')
            except Exception as error:
                if "IMEI" in str(error):
                    raise
            await asyncio.sleep(0.02)

@recipe(title="Reads", needs=("reader", "card"))
async def reads(station: Station, until: str) -> None:
    """Open the card, wait for a file, open it again."""
    async def profiles() -> None:
        es10 = await Es10.open(station.card)
        try:
            await es10.profiles()
        finally:
            await es10.close()
    async with station.step("reads"):
        await profiles()
        print("ready")
        while not Path(until).exists():
            await asyncio.sleep(0.02)
        await profiles()
        for _ in range(200):
            await profiles()
            await asyncio.sleep(0.02)
'''


class World:
    """One simulated world of its own home."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.home = folder
        command = [sys.executable, "-m", "fixtures.sim", "up", "--home", str(folder), "--clock", "scaled:20", "--json"]
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        told: Mapping[str, Any] = json.loads(self.process.stdout.readline())
        self.told = next(iter(told["stations"].values()))
        self.log = Path(told["log"])
        self.control = str(told["control"])

    def power_on(self) -> None:
        host, port = self.told["power"]["resource"].split("::")[1:3]
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"VOLT 3.8,(@1)\nCURR 2,(@1)\nOUTP ON,(@1)\n*OPC?\n")
            assert connection.makefile().readline().strip() == "1"

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Exchange:
    """Two worlds, links to their ports, and the runs on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.worlds: list[World] = []
        self.handles: list[client.RunHandle] = []
        self.toml = folder / "bench.toml"
        self.go = folder / "go"
        self.recipes = folder / "exchange_recipes.py"
        self.recipes.write_text(RECIPES)

    def up(self, *options: str) -> World:
        self.worlds.append(World(self.folder / f"world{len(self.worlds)}", *options))
        return self.worlds[-1]

    def plug(self, name: str, target: str) -> Path:
        """Have a link lead to a port, at once."""
        link = self.folder / name
        fresh = link.with_suffix(".new")
        fresh.symlink_to(target)
        fresh.replace(link)
        return link

    def start(self, recipe: str) -> client.RunHandle:
        options = client.StartOptions(config=self.toml, home=self.folder, attended=False)
        handle = client.start(f"{self.recipes}:{recipe}", "lab", [f"until={self.go}"], options)
        self.handles.append(handle)
        return handle

    def until_ready(self, handle: client.RunHandle) -> None:
        for event in client.follow(handle.folder):
            if event["type"] == "log" and event["data"]["text"] == "ready":
                return
        raise AssertionError("the run ended too early")

    def close(self) -> None:
        for handle in self.handles:
            if handle.wait(0) is None and liveness.alive(handle.folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(handle.pid, signal.SIGKILL)
        for world in self.worlds:
            world.close()


@pytest.fixture
def exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    found = Exchange(tmp_path)
    try:
        yield found
    finally:
        found.close()


def events_of(handle: client.RunHandle) -> list[Mapping[str, Any]]:
    return list(client.follow(handle.folder))


def refused(handle: client.RunHandle, words: str) -> None:
    events = events_of(handle)
    assert handle.wait(20) == 3
    assert events[-1]["data"]["bench"] == "bench-error"
    assert words in " ".join(str(event["data"]) for event in events if event["type"] == "error"), events


def sent(handle: client.RunHandle, what: bytes) -> bool:
    """Whether a text is anywhere in the trace of a run."""
    return what in (handle.folder / "trace.pcapng").read_bytes()


MODEMS = """
[stations.lab]
power = {{ driver = "keysight-e36300", resource = "{supply}", voltage = 3.8, current_limit = 2.0, voltage_max = 4.3 }}
modem = {{ driver = "at-modem", port = "{port}", imei = "{imei}", port_needs_power = true }}
expendable = true
"""


@pytest.fixture
def modems(exchange: Exchange) -> tuple[World, World]:
    first = exchange.up("--imei", "490154203237518")
    second = exchange.up("--imei", "490154203237526")
    for world in (first, second):
        world.power_on()
    link = exchange.plug("modem", first.told["modem"]["port"])
    supply = first.told["power"]["resource"]
    exchange.toml.write_text(MODEMS.format(port=link, imei="490154203237518", supply=supply))
    return first, second


def switched(world: World) -> list[Any]:
    """Return every switching of the world's supply but the first, which is this test's own."""
    entries = [json.loads(line) for line in world.log.read_text().splitlines()]
    return [entry for entry in entries if entry["what"] == "output"][1:]


def test_modems_exchanged_between_runs(exchange: Exchange, modems: tuple[World, World]) -> None:
    exchange.go.touch()
    exchange.plug("modem", modems[1].told["modem"]["port"])
    handle = exchange.start("asks")
    refused(handle, "the modem's IMEI is 490154203237526, not 490154203237518")
    assert not sent(handle, b"AT+CGDCONT") and not sent(handle, b"AT+CFUN") and not sent(handle, b"AT+CEREG")
    # The supply was asked whether the device has power, and neither programmed nor switched.
    assert sent(handle, b"OUTP? (@1)") and not sent(handle, b"OUTP O") and not sent(handle, b"VOLT 3")
    assert switched(modems[0]) == switched(modems[1]) == []


def test_modems_exchanged_during_a_run(exchange: Exchange, modems: tuple[World, World]) -> None:
    handle = exchange.start("asks")
    exchange.until_ready(handle)
    exchange.plug("modem", modems[1].told["modem"]["port"])
    modems[0].close()  # unplugged
    exchange.go.touch()
    refused(handle, "the modem's IMEI is 490154203237526, not 490154203237518")
    said = [line for line in modems[1].log.read_text().splitlines() if "switched" in line]
    assert said == [] and switched(modems[1]) == []


READERS = """
[stations.lab]
card = {{ at = "reader", reader = "{name}", pcsclite_csock = "{csock}", eid = "{eid}" }}
expendable = true
"""


@pytest.fixture
def readers(exchange: Exchange) -> tuple[World, World]:
    need_pcsc()
    options = ("--station", "twin", "--card-at", "reader")
    first, second = exchange.up(*options), exchange.up(*options, "--eid", "89049032000000000004073285523286")
    one, other = (world.told["reader"] for world in (first, second))
    assert one["name"] == other["name"] and one["eid"] != other["eid"]
    link = exchange.plug("pcscd", one["pcsclite_csock"])
    exchange.toml.write_text(READERS.format(name=one["name"], csock=link, eid=one["eid"]))
    return first, second


def test_readers_exchanged_between_runs(exchange: Exchange, readers: tuple[World, World]) -> None:
    exchange.plug("pcscd", readers[1].told["reader"]["pcsclite_csock"])
    handle = exchange.start("reads")
    refused(handle, f"the card's EID is {readers[1].told['reader']['eid']}, not {readers[0].told['reader']['eid']}")
    assert not sent(handle, bytes.fromhex("BF2D"))  # ES10c.GetProfilesInfo


def test_readers_exchanged_during_a_run(exchange: Exchange, readers: tuple[World, World]) -> None:
    handle = exchange.start("reads")
    exchange.until_ready(handle)
    exchange.plug("pcscd", readers[1].told["reader"]["pcsclite_csock"])
    readers[0].close()
    exchange.go.touch()
    refused(handle, f"the card's EID is {readers[1].told['reader']['eid']}, not {readers[0].told['reader']['eid']}")


@pytest.mark.parametrize(
    ("ci", "installed", "outcome"),
    [("", True, pytest.skip.Exception), ("1", False, pytest.skip.Exception), ("1", True, pytest.fail.Exception)],
)
def test_a_broken_pcsc_is_no_skip_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, installed: bool, outcome: type[BaseException]
) -> None:
    def missing() -> None:
        raise ConfigurationError("vsmartcard-vpcd is not installed", hint="apt-get install vsmartcard-vpcd")

    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("fixtures.sim.pcsc_daemon.programs", missing)
    monkeypatch.setattr("pcsc_installed.shutil.which", lambda name: "/usr/sbin/pcscd" if installed else None)
    with pytest.raises(outcome, match="vsmartcard-vpcd is not installed"):
        need_pcsc()
