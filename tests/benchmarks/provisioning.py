"""Time provisioning between card, IPA, eIM and SM-DP+: the two servers are processes of their own, TLS on every leg.

Prints JSON, in milliseconds, for each flow: from the first APDU of its first poll to the last one of its closing poll.

- ``download``: indirect download, its installation result delivered and removed, closing poll;
- ``enable``: signed package with an enable, the card reset, on the new profile result and notifications delivered and
  removed, closing poll;
- ``delete``: signed package that switches nothing, its notification, closing poll;
- ``empty``: a poll that finds nothing;
- ``..._live``: the same on the TLS connection of the poll before; without it every poll makes one of its own;
- ``download_process``, ``empty_process``: the wall time of a whole process that does it, from exec to exit.

The card is in this process (``--card here``), or in a reader behind a private pcscd (``--card reader``). Nothing of it
goes on at the same time, so that a machine that wakes an idle CPU slowly (a virtual one, say) measures little else:
``--cpu N`` keeps all processes on one. ``wake_us`` says what it costs: a byte to another process and back.

    python tests/benchmarks/provisioning.py [--runs 20] [--card here|reader] [--cpu N] [--home FOLDER] [--profile FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.apdu.channel import CardAccess, Following, LogicalChannel, carries_refresh, converse, is_local  # noqa: E402
from bench.apdu.iso7816 import Command, Response, manage_channel_close, manage_channel_open, select_aid  # noqa: E402
from bench.station.clock import RealClock  # noqa: E402
from bench.station.interfaces import PollResult  # noqa: E402
from fixtures.ipa.hostpath import HostDataPath  # noqa: E402
from fixtures.ipa.ipa import Ipa, create  # noqa: E402

EID = "89049032123451234512345678901235"
BOOTSTRAP, OPERATIONAL = "8900101000000000019", "8900101000000000027"
BUDGET = {"download": 60.0, "enable_live": 15.0, "empty_live": 4.0}


# --- the card -------------------------------------------------------------------------------------------------------


class Timed:
    """A way to the card that notes when its first APDU went out and its last answer came, and counts them."""

    def __init__(self, card: CardAccess) -> None:
        self.card = card
        self.carries_refresh = carries_refresh(card)
        self.local = is_local(card)
        self.first: float | None = None
        self.last = 0.0
        self.apdus = 0

    def start(self) -> None:
        """Forget what was."""
        self.first, self.apdus = None, 0

    @property
    def elapsed(self) -> float:
        """Milliseconds from the first APDU to the last answer."""
        return (self.last - (self.first or self.last)) * 1e3

    async def open_channel(self, aid: bytes) -> LogicalChannel:
        """Open; this is where the first APDU goes out."""
        if self.first is None:
            self.first = time.perf_counter()
        channel = await self.card.open_channel(aid)
        self.last = time.perf_counter()
        return _TimedChannel(self, channel)

    async def reset(self) -> None:
        """Reset the card."""
        await self.card.reset()


class _TimedChannel:
    def __init__(self, timed: Timed, channel: LogicalChannel) -> None:
        self._timed = timed
        self._channel = channel
        self.select_response = channel.select_response

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        answer = await self._channel.transmit(command, timeout=timeout)
        self._timed.apdus += 1
        self._timed.last = time.perf_counter()
        return answer

    async def converse(self, command: bytes, following: Following, *, timeout: float | None = None) -> bytes:
        def timed(response: bytes) -> bytes | None:
            self._timed.apdus += 1
            return following(response)

        answer = await converse(self._channel, command, timed, timeout=timeout)
        self._timed.last = time.perf_counter()
        return answer

    async def close(self) -> None:
        await self._channel.close()
        self._timed.last = time.perf_counter()


class CardHere:
    """The virtual eUICC in this process."""

    def __init__(self, home: Path) -> None:
        from fixtures.pki import Pki
        from fixtures.profiles import ensure_default_packages
        from fixtures.sim.euicc import EuiccOptions, VirtualEuicc

        bootstrap = ensure_default_packages(home).bootstrap
        pki = Pki.open(home)
        self.euicc = VirtualEuicc.open(home / "card", pki=pki, eid=EID, bootstrap=bootstrap, options=EuiccOptions())
        self.euicc.power_on()

    def raw(self, command: Command) -> Response:
        return Response.parse(self.euicc.transmit(bytes(command)))

    async def open_channel(self, aid: bytes) -> LogicalChannel:
        number = self.raw(manage_channel_open()).data[0]
        selected = self.raw(select_aid(aid, le=None).on_channel(number))
        if selected.sw1 == 0x61:
            selected = self.raw(Command(0x00, 0xC0, le=selected.sw2 or 256).on_channel(number))
        return _ChannelHere(self, number, selected.data)

    async def reset(self) -> None:
        self.euicc.power_off()
        self.euicc.power_on()


class _ChannelHere:
    def __init__(self, card: CardHere, number: int, select_response: bytes) -> None:
        self._card = card
        self._number = number
        self.select_response = select_response

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        return self._card.euicc.transmit(bytes(Command.parse(command).on_channel(self._number)))

    async def close(self) -> None:
        self._card.raw(manage_channel_close(self._number))


# --- the servers ----------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def service(module: str, home: Path, *arguments: str) -> AsyncIterator[dict[str, Any]]:
    """Start a service, yield its announcement, and end it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, "serve", "--home", str(home), "--json", "--with-parent", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(30.0):
            yield json.loads(await process.stdout.readline())
    finally:
        process.stdin.close()
        async with asyncio.timeout(10.0):
            await process.wait()


@dataclass
class Lab:
    """Everything of one measurement."""

    home: Path
    card: Timed
    eim: Any
    smdpp: Any
    route: Mapping[str, str]
    figures: dict[str, list[float]] = field(default_factory=dict)
    apdus: dict[str, int] = field(default_factory=dict)

    def ipa(self, **options: object) -> Ipa:
        """Return an IPA for the card."""
        return create(
            self.card, HostDataPath(), RealClock(), options={"route": dict(self.route), **options}, home=self.home
        )

    async def time(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a flow and note its time between first and last APDU."""
        self.card.start()
        await run()
        self.figures.setdefault(name, []).append(self.card.elapsed)
        self.apdus[name] = self.card.apdus


@contextlib.asynccontextmanager
async def lab(home: Path, where: str) -> AsyncIterator[Lab]:
    """Start the servers, make the card and associate the eIM with it."""
    from fixtures.eim.client import EimClient
    from fixtures.smdpp.service import SERVICE as SMDPP

    async with contextlib.AsyncExitStack() as stack:
        if where == "reader":
            from provisioning_reader import card_in_reader

            card = await stack.enter_async_context(card_in_reader(home, EID))
        else:
            card = CardHere(home)
        dp = await stack.enter_async_context(service("fixtures.smdpp", home))
        smdpp = SMDPP.client(dp, home)
        stack.push_async_callback(smdpp.close)
        to_dp = f"{dp['address']}={dp['https'].removeprefix('https://')}"
        told = await stack.enter_async_context(service("fixtures.eim", home, "--route", to_dp))
        eim = await stack.enter_async_context(EimClient.from_announcement(told))
        made = Lab(home, Timed(card), eim, smdpp, {told["fqdn"]: told["https"].removeprefix("https://")})
        await eim.register(EID)
        ipa = made.ipa()
        if not await ipa.eims():
            await ipa.add_initial_eim(await eim.initial_configuration())
        yield made


# --- the flows ------------------------------------------------------------------------------------------------------


async def _package(lab: Lab, ipa: Ipa) -> PollResult:
    """One package to its end: where it switches the profile, the card is reset and the result delivered."""
    result = await ipa.poll()
    if result.profile_changed:
        if not lab.card.local:  # else the IPA has done it
            await lab.card.reset()
        result = await ipa.poll()
    return result


async def cycle(lab: Lab) -> None:
    """Take the card from bootstrap to operational and back, and poll for nothing."""
    ipa = lab.ipa()

    async def download() -> None:
        result = await ipa.poll()
        assert result.downloads[0]["installed"], result.downloads
        assert result.notifications == 1

    async def switch() -> None:
        result = await _package(lab, ipa)
        assert result.results[0]["results"] == (("enable", 0),), result.results
        assert result.notifications == 2, result

    async def delete() -> None:
        assert (await _package(lab, ipa)).results[0]["results"] == (("delete", 0),)

    async def empty() -> None:
        assert (await ipa.poll()).packages == 0

    placed = await lab.smdpp.order("operational")
    await lab.eim.order_download(EID, placed.activation_code)
    await lab.time("download", download)
    await lab.eim.order_enable(EID, OPERATIONAL, rollback=True)
    await lab.time("enable", switch)
    await lab.eim.order_enable(EID, BOOTSTRAP, rollback=True)
    await lab.time("enable", switch)
    await lab.eim.order_delete(EID, OPERATIONAL)
    await lab.time("delete", delete)
    await lab.time("empty", empty)

    ipa = lab.ipa(keep_connection=60.0)
    await empty()
    for _ in range(3):
        await lab.time("empty_live", empty)
    placed = await lab.smdpp.order("operational")
    await lab.eim.order_download(EID, placed.activation_code)
    await lab.time("download_live", download)
    await lab.eim.order_enable(EID, OPERATIONAL, rollback=True)
    await lab.time("enable_live", switch)
    await lab.eim.order_enable(EID, BOOTSTRAP, rollback=True)
    await lab.time("enable_live", switch)
    await lab.eim.order_delete(EID, OPERATIONAL)
    await delete()
    await ipa.close()


async def processes(lab: Lab, runs: int) -> None:
    """Time whole processes that poll once."""
    for _ in range(runs):
        lab.figures.setdefault("empty_process", []).append(await _process(lab))
        placed = await lab.smdpp.order("operational")
        await lab.eim.order_download(EID, placed.activation_code)
        lab.figures.setdefault("download_process", []).append(await _process(lab))
        await lab.eim.order_delete(EID, OPERATIONAL)
        await _process(lab)


async def _process(lab: Lab) -> float:
    command = [sys.executable, __file__, "--once", json.dumps(dict(lab.route)), "--home", str(lab.home)]
    began = time.perf_counter()
    done = await asyncio.to_thread(
        subprocess.run, command, check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL
    )
    elapsed = (time.perf_counter() - began) * 1e3
    assert json.loads(done.stdout)["ok"]
    return elapsed


def once(home: Path, route: Mapping[str, str]) -> None:
    """Be such a process: the card here, one poll."""
    card = CardHere(home)
    ipa = create(card, HostDataPath(), RealClock(), options={"route": dict(route)}, home=home)
    result = asyncio.run(ipa.poll())
    print(json.dumps({"ok": all(report["installed"] for report in result.downloads)}))


def wake_us() -> float:
    """Microseconds that a byte takes to another process and back, the other one waiting: the median of many."""
    there, back = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(there[1])
        while byte := os.read(there[0], 1):
            os.write(back[1], byte)
        os._exit(0)
    taken = []
    for _ in range(3000):
        began = time.perf_counter()
        os.write(there[1], b"x")
        os.read(back[0], 1)
        taken.append(time.perf_counter() - began)
    for descriptor in (*there, *back):
        os.close(descriptor)
    os.waitpid(child, 0)
    return round(statistics.median(taken) * 1e6, 1)


async def measure(home: Path, runs: int, where: str, profile: str) -> dict[str, Any]:
    """Return the figures of every flow."""
    async with lab(home, where) as made:
        await cycle(made)  # the eIM learns certificates and capabilities; everything is imported
        made.figures.clear()
        profiler = cProfile.Profile() if profile else None
        if profiler is not None:
            profiler.enable()
        for _ in range(runs):
            await cycle(made)
        if profiler is not None:
            profiler.disable()
            profiler.dump_stats(profile)
        if where == "here":
            await processes(made, 3)
        return {
            name: {
                "median": round(statistics.median(values), 2),
                "p95": round(sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)], 2),
                "min": round(min(values), 2),
                "samples": len(values),
                **({"apdus": made.apdus[name]} if name in made.apdus else {}),
                **({"budget": BUDGET[name]} if name in BUDGET else {}),
            }
            for name, values in made.figures.items()
        }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--card", choices=("here", "reader"), default="here")
    parser.add_argument("--cpu", type=int, help="keep all processes on this CPU")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--profile", default="", help="write cProfile statistics of this process to a file")
    parser.add_argument("--once", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        once(options.home, json.loads(options.once))
        return 0
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})  # what is started inherits it
    wake = wake_us()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder) / "home"
        figures = asyncio.run(measure(home, options.runs, options.card, options.profile))
    told = {
        "benchmark": "provisioning",
        "unit": "ms",
        "card": options.card,
        "cpu": options.cpu,
        "wake_us": wake,
        "runs": options.runs,
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        **figures,
    }
    print(json.dumps(told, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
