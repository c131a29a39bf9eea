"""The real scat on the simulated modem's DIAG port: NAS and RRC on the time line, judged by tshark."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sim.process import WorldProcess  # type: ignore[import-not-found]

from bench.station.clock import RealClock
from bench.station.drivers import DriverOptions
from bench.trace import clocks
from bench.trace.reader import Packet, TraceReader
from bench.trace.writer import TraceWriter
from instruments.radio.program import find
from instruments.radio.qualcomm import QualcommDiag, places

from .foreign import need, run

SCAT = find("scat", places=places())
pytestmark = pytest.mark.skipif(SCAT is None, reason="scat is not installed (.ci/setup test): no foreign DIAG decoder")
IMSI = "001010000000001"


@contextlib.asynccontextmanager
async def recording(folder: Path, world: Any) -> AsyncIterator[QualcommDiag]:
    with TraceWriter.open(folder / "trace.pcapng", run_id="r") as writer:
        recorder = await QualcommDiag.open(
            DriverOptions(
                name="diag",
                driver="qualcomm-diag",
                port=world.parts["modem"]["diag_port"],
                lane=writer.lane("diag:diag"),
                apdu_lane=writer.lane("radio:diag"),
                clock=RealClock(),
                folder=folder,
            )
        )
        try:
            yield recorder
        finally:
            await recorder.close()


async def until(condition: Callable[[], bool], within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def frames(folder: Path) -> list[Packet]:
    return [packet for packet in TraceReader(folder / "trace.pcapng").poll() if packet.lane == "diag:diag"]


def attach(folder: Path, *arguments: str, body: Callable[[Any, QualcommDiag], Awaitable[None]]) -> None:
    flags = ("--clock", "scaled:10", "--profile", "unit", "--pace", "0", *arguments)
    with WorldProcess(folder / "home", *flags) as world:

        async def session() -> None:
            async with asyncio.timeout(100), recording(folder, world) as recorder:
                await recorder.wait_ready()
                await asyncio.to_thread(world.power_on)
                await body(world, recorder)

        asyncio.run(session())


def test_scat_makes_nas_and_rrc_that_agree_with_the_world(tmp_path: Path) -> None:
    need("tshark")
    state: dict[str, Any] = {}

    async def body(world: Any, recorder: QualcommDiag) -> None:
        state.update(await asyncio.to_thread(world.wait, "registered", lambda found: found["registered"], 60.0))
        await until(lambda: any("Attach complete" in packet.comment for packet in frames(tmp_path)))

    before = time.time_ns()
    attach(tmp_path, body=body)
    trace = tmp_path / "trace.pcapng"

    def fields(shown: str, *names: str) -> list[list[str]]:
        flags = [flag for name in names for flag in ("-e", name)]
        lines = run("tshark", "-r", trace, "-Y", shown, "-T", "fields", *flags).stdout.decode().splitlines()
        return [line.split("\t") for line in lines]

    assert fields("_ws.malformed", "frame.number") == []
    # The device as the world has it
    assert state["imsi"] == IMSI
    told = fields("nas_eps.nas_msg_emm_type == 0x41 || nas_eps.nas_msg_emm_type == 0x56", "e212.imsi")
    assert any(IMSI in row[0].split(",") for row in told)
    messages = {row[0] for row in fields("gsmtap.type == 18", "nas_eps.nas_msg_emm_type")}
    assert {"0x41", "0x42", "0x43", "0x52", "0x53"} <= messages
    # The cell as the world has it: PLMN, tracking area, identity and band of SIB1, EARFCN of every RRC frame
    (sib, *_) = fields(
        "lte-rrc.systemInformationBlockType1_element", "lte-rrc.trackingAreaCode", "lte-rrc.cellIdentity",
        "lte-rrc.freqBandIndicator",
    )  # fmt: skip
    assert (sib[0], sib[2]) == ("0001", "3") and sib[1].startswith("0010101")
    assert {row[0] for row in fields("gsmtap.type == 13", "gsmtap.arfcn")} == {"1575"}
    said = fields('json.value.string contains "RSRP"', "frame.comment")
    assert any("Measured RSRP: -85.00" in row[0] and "PCI:   1" in row[0] for row in said)
    # Both times
    found = frames(tmp_path)
    assert all(before < packet.time_ns < time.time_ns() for packet in found)
    assert all("[modem 20" in packet.comment for packet in found)
    known = clocks.Clocks({item.name: item.description for item in _interfaces(trace)})
    stated = [packet for packet in TraceReader(trace).poll() if known.packet(packet.data)]
    assert stated and 0 < known.of("diag:diag").uncertainty < 5.0
    assert known.order("diag:diag", found[0].time_ns, "at:modem", found[0].time_ns + 1000) is clocks.Order.UNKNOWN
    # The raw log is one that scat reads again, by itself
    replay = run(
        SCAT or "", "-t", "qc", "-d", tmp_path / "radio-diag.qmdl", "-H", "127.0.0.78", "-F", tmp_path / "again.pcap"
    )
    assert b"Measured RSRP: -85.00" in replay.stdout
    again = run("tshark", "-r", tmp_path / "again.pcap", "-Y", "nas_eps.nas_msg_emm_type == 0x41").stdout
    assert again


def _interfaces(trace: Path) -> list[Any]:
    reader = TraceReader(trace)
    reader.poll()
    return reader.section.interfaces


def test_a_refused_attach_has_its_cause_by_name_and_survives_a_power_cycle(tmp_path: Path) -> None:
    async def body(world: Any, recorder: QualcommDiag) -> None:
        def rejected() -> int:
            return sum("Attach reject (cause 15 No suitable cells" in packet.comment for packet in frames(tmp_path))

        await until(lambda: rejected() > 0, 60.0)
        # The port goes with the power; the tool's log masks are asked for again when it is back.
        await asyncio.to_thread(world.ask, "fault", at="now", do="power-cut", seconds=1.0)
        count = rejected()
        await until(lambda: rejected() > count, 60.0)

    reject = '[{"at": "now", "do": "reject", "cell": 1, "cause": 15}]'
    attach(tmp_path, "--faults", reject, body=body)


def test_scat_ends_with_a_bench_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from instruments.radio.qualcomm import QualcommDiag\n"
        "from bench.station.drivers import DriverOptions\n"
        "async def main():\n"
        f"    found = await QualcommDiag.open(DriverOptions(name='d', port='{tmp_path}/none'))\n"
        "    print(found.program.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.send_signal(signal.SIGKILL)
        owner.wait(5)
        end = time.monotonic() + 10
        while time.monotonic() < end and _alive(pid):
            time.sleep(0.02)
        assert not _alive(pid), "it would hold the port and burn a core"
    finally:
        owner.kill()
        owner.wait(5)
        owner.stdout.close()


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}")  # noqa: PTH110
