"""tc netem: the commands, what is refused with words, and that the limits are taken away whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from instrument_doubles import MemoryLane
from network_bench import run

from bench.errors import ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions
from bench.station.interfaces import SafeAction
from bench.station.network import LinkLimits
from instruments.network import netem
from instruments.network.netem_driver import TcNetem

FAKE = """#!/usr/bin/env python3
import json, os, pathlib, sys, time
state = pathlib.Path({state!r})
arguments = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(" ".join(arguments) + "\\n")
mode = pathlib.Path({mode!r}).read_text() if os.path.exists({mode!r}) else ""
if mode == "slow":
    time.sleep(0.6)
if mode == "binary":
    sys.stdout.buffer.write(bytes((255, 254, 0)))
elif arguments == ["-V"]:
    print("tc utility, iproute2-6.1.0")
elif arguments[:3] == ["-json", "qdisc", "show"]:
    print(state.read_text() if state.exists() else "[]")
elif mode == "hang":
    time.sleep(60)
elif mode == "permission":
    sys.exit("RTNETLINK answers: Operation not permitted")
elif mode == "device":
    sys.exit('Cannot find device "nope0"')
elif mode == "deaf":
    pass
elif arguments[1] == "replace":
    options = json.loads(state.read_text())[0].get("options", {{}}) if state.exists() else {{}}
    options = {{"rate": options["rate"]}} if "rate" in options else {{}}  # as sch_netem's netem_change
    words = arguments[arguments.index("netem") + 1 :]
    for name, value in zip(words, words[1:]):
        if name == "delay":
            after = words[words.index("delay") + 2 :][:1]
            jitter = float(after[0][:-2]) / 1e6 if after and after[0].endswith("us") else 0
            options["delay"] = {{"delay": float(value[:-2]) / 1e6, "jitter": jitter, "correlation": 0}}
        elif name == "loss":
            options["loss-random"] = {{"loss": float(value[:-1]) / 100, "correlation": 0}}
        elif name == "rate":
            options["rate"] = {{"rate": int(value[:-3]) // 8, "packetoverhead": 0}}
    if mode == "partial":
        options.pop("loss-random", None)
    state.write_text(json.dumps([{{"kind": "netem", "handle": "bec1:", "root": True, "options": options}}]))
elif arguments[1] == "del":
    state.unlink(missing_ok=True)
"""


class Tc:
    """A tc that keeps its qdiscs in a file."""

    def __init__(self, folder: Path) -> None:
        self.program, self.state, self._log, self._mode = (folder / name for name in ("tc", "state", "log", "mode"))
        text = FAKE.format(state=str(self.state), log=str(self._log), mode=str(self._mode))
        self.program.write_text(text)
        self.program.chmod(0o700)

    def mode(self, mode: str) -> None:
        self._mode.write_text(mode)

    @property
    def lines(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    def options(self, **changes: object) -> DriverOptions:
        given = {"name": "ip", "driver": "tc-netem", "resource": "eth7", "extra": {"tc": str(self.program)}}
        return DriverOptions(**{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture
def tc(tmp_path):
    return Tc(tmp_path)


@pytest.mark.parametrize(
    ("limits", "arguments"),
    [
        (LinkLimits(delay=0.1, jitter=0.02), "delay 100000us 20000us"),
        (LinkLimits(loss=0.015), "loss 1.5000%"),
        (LinkLimits(rate=62.5), "rate 62500bit"),
        (LinkLimits(250.0, 0.4, 0.0, 0.04), "delay 400000us loss 4.0000% rate 250000bit"),
    ],
)
def test_limits_as_tc_takes_them(tc, limits, arguments):
    async def body():
        driver = await TcNetem.open(tc.options())
        assert driver.identity.model == "tc-netem" and driver.identity.serial == "eth7"
        await driver.limit(limits)
        assert tc.state.exists()
        await driver.limit(None)
        assert not tc.state.exists()
        await driver.close()

    run(body)
    changes = [line for line in tc.lines if " replace " in line or " del " in line]
    assert changes[0] == f"qdisc replace dev eth7 root handle bec1: netem {arguments}"
    assert set(changes[1:]) == {"qdisc del dev eth7 root handle bec1:"}


def test_a_rate_does_not_outlive_the_limits_it_belonged_to(tc):
    """The kernel keeps the rate of a netem that is replaced by one without."""

    async def body():
        driver = await TcNetem.open(tc.options())
        await driver.limit(LinkLimits(rate=62.5))
        await driver.limit(LinkLimits(delay=0.1))
        options = json.loads(tc.state.read_text())[0]["options"]
        await driver.close()
        return options

    assert set(run(body)) == {"delay"}


def test_a_tc_that_takes_nothing_away_is_told(tc):
    async def body():
        driver = await TcNetem.open(tc.options())
        await driver.limit(LinkLimits(delay=0.1))
        tc.mode("deaf")
        with pytest.raises(InstrumentError, match="eth7 is still limited after netem was taken away"):
            await driver.limit(None)
        tc.mode("")
        await driver.close()

    run(body)
    assert not tc.state.exists()


def test_closing_takes_the_limits_away(tc):
    async def body():
        driver = await TcNetem.open(tc.options())
        await driver.limit(LinkLimits(delay=0.1))
        await driver.close()

    run(body)
    assert not tc.state.exists()


def test_limits_go_with_the_process_that_set_them(tc):
    """kill -9 of the runner: the shell at the other end of its pipe takes the qdisc away."""
    program = f"""
import asyncio
from bench.station.drivers import DriverOptions
from bench.station.network import LinkLimits
from instruments.network.netem_driver import TcNetem
async def main():
    options = DriverOptions(name="ip", resource="eth7", extra={{"tc": {str(tc.program)!r}}})
    driver = await TcNetem.open(options)
    await driver.limit(LinkLimits(delay=0.1))
    print("set", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=Path.cwd())
    try:
        assert process.stdout is not None and process.stdout.readline() == b"set\n"
        assert tc.state.exists()
        os.kill(process.pid, signal.SIGKILL)
        process.wait(5)

        async def gone():
            while tc.state.exists():  # noqa: ASYNC110 - a file that another process removes
                await asyncio.sleep(0.02)

        run(gone, seconds=5.0)
    finally:
        process.kill()
        process.wait(5)
        process.stdout.close()


@pytest.mark.parametrize(
    ("mode", "kind", "words"),
    [
        ("permission", Refused, "may not change traffic control"),
        ("device", InstrumentError, "the interface is not there"),
        ("deaf", InstrumentError, "has qdisc none 0: after netem was set"),
        ("partial", InstrumentError, r"has netem bec1: delay 0\.1 s jitter 0 s loss 0 no rate after netem was set"),
    ],
)
def test_why_tc_did_not(tc, mode, kind, words):
    async def body():
        driver = await TcNetem.open(tc.options())
        tc.mode(mode)
        with pytest.raises(kind, match=words) as caught:
            await driver.limit(LinkLimits(delay=0.1, loss=0.02))
        assert mode != "permission" or "setcap cap_net_admin" in caught.value.hint
        await driver.close()

    run(body)


def test_a_tc_that_hangs_is_ended(tc, monkeypatch):
    async def body():
        driver = await TcNetem.open(tc.options())
        tc.mode("hang")
        monkeypatch.setattr(netem, "WITHIN", 0.5)
        with pytest.raises(InstrumentTimeout, match=r"did not end within 0\.5 s"):
            await driver.limit(LinkLimits(delay=0.1))
        monkeypatch.undo()
        tc.mode("")
        await driver.close()

    run(body)


def test_a_qdisc_of_somebody_else_is_not_touched(tc):
    tc.state.write_text(json.dumps([{"kind": "htb", "handle": "1:", "root": True}]))
    with pytest.raises(Refused, match=r"eth7 has a qdisc htb 1: that the bench did not set"):
        asyncio.run(TcNetem.open(tc.options()))
    assert not any(" del " in line or " replace " in line for line in tc.lines)


def test_what_a_dead_run_left_is_taken_away_at_opening(tc):
    tc.state.write_text(json.dumps([{"kind": "netem", "handle": "bec1:", "root": True}]))

    async def body():
        await (await TcNetem.open(tc.options())).close()

    run(body)
    assert not tc.state.exists()


def test_safe_takes_the_limits_away_and_reads_it_back(tc):
    tc.state.write_text(json.dumps([{"kind": "netem", "handle": "bec1:", "root": True}]))
    action = SafeAction("network.off", "tc-netem", {"resource": "eth7", "tc": str(tc.program)})
    assert TcNetem.make_safe(action, deadline=20.0).verified
    assert not tc.state.exists()
    tc.state.write_text(json.dumps([{"kind": "netem", "handle": "bec1:", "root": True}]))
    tc.mode("permission")
    assert not TcNetem.make_safe(action, deadline=20.0).verified


@pytest.mark.parametrize("name", ["", "eth0; rm", "a" * 16, "../x"])
def test_what_is_no_interface(tc, name):
    with pytest.raises(ConfigurationError, match="no network interface"):
        asyncio.run(TcNetem.open(tc.options(resource=name)))
    assert tc.lines == []


def test_the_radio_is_refused_and_limits_are_checked(tc):
    async def body():
        lane = MemoryLane()
        driver = await TcNetem.open(tc.options(lane=lane))
        before = len(lane.packets)
        for call in (driver.set_cell(True), driver.set_plmn("00101"), driver.attached(), driver.set_power(-80)):
            with pytest.raises(Refused, match="cannot") as caught:
                await call
            assert caught.value.hint == "tc shapes packets only: the radio is another instrument's"
        with pytest.raises(Refused, match="no radio"):
            await driver.set_rat("LTE")
        for limits in (LinkLimits(rate=0.0), LinkLimits(delay=-1), LinkLimits(loss=1.5), LinkLimits(jitter=1.0)):
            with pytest.raises(ConfigurationError):
                await driver.limit(limits)
        assert len(lane.packets) == before
        await driver.close()

    run(body)


def test_safe_takes_any_bytes_of_tc(tc):
    """It raised UnicodeDecodeError, and no result."""
    tc.state.write_text(json.dumps([{"kind": "netem", "handle": "bec1:", "root": True}]))
    tc.mode("binary")
    action = SafeAction("network.off", "tc-netem", {"resource": "eth7", "tc": str(tc.program)})
    result = TcNetem.make_safe(action, deadline=20.0)
    assert not result.verified and "LIMITS NOT TAKEN AWAY" in result.message


def test_a_qdisc_that_came_meanwhile_is_not_replaced(tc):
    async def body():
        driver = await TcNetem.open(tc.options())
        tc.state.write_text(json.dumps([{"kind": "htb", "handle": "1:", "root": True}]))
        with pytest.raises(Refused, match=r"eth7 has a qdisc htb 1: that the bench did not set"):
            await driver.limit(LinkLimits(delay=0.1))
        await driver.close()

    run(body)
    assert "htb" in tc.state.read_text()


def test_safe_ends_at_its_deadline_though_tc_does_not(tc):
    """Each of its three calls of tc had the whole deadline to itself."""
    tc.state.write_text(json.dumps([{"kind": "netem", "handle": "bec1:", "root": True}]))
    tc.mode("slow")
    action = SafeAction("network.off", "tc-netem", {"resource": "eth7", "tc": str(tc.program)})
    started = time.monotonic()
    result = TcNetem.make_safe(action, deadline=0.8)
    assert time.monotonic() - started < 1.4
    assert not result.verified and "LIMITS NOT TAKEN AWAY" in result.message


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}', '[{"root": true}]', "null x", "[" * 3000])
def test_answers_of_tc_that_are_none(text):
    with pytest.raises(InstrumentError, match="no list of qdiscs"):
        netem.root_qdisc(text)


def _namespaces() -> bool:
    """Whether a network namespace of one's own with netem can be had here."""
    if shutil.which("unshare") is None or shutil.which("tc", path="/usr/sbin:/sbin:/usr/bin") is None:
        return False
    check = "ip link set lo up && tc qdisc replace dev lo root netem delay 1ms && tc qdisc del dev lo root"
    done = subprocess.run(["unshare", "-rn", "sh", "-c", check], capture_output=True, timeout=10, check=False)
    return done.returncode == 0


@pytest.mark.skipif(not _namespaces(), reason="no network namespace with netem: unshare -rn, tc and sch_netem")
def test_the_kernel_delays_and_stops_delaying():
    """The real tc on the loopback interface of a network namespace of its own."""
    program = """
import asyncio, socket, subprocess, time
from bench.station.drivers import DriverOptions
from bench.station.network import LinkLimits
from instruments.network.netem_driver import TcNetem
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
a, b = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
b.bind(("127.0.0.1", 0)); b.settimeout(3)
def one_way():
    start = time.monotonic(); a.sendto(b"x", b.getsockname()); b.recv(10); return time.monotonic() - start
async def main():
    driver = await TcNetem.open(DriverOptions(name="ip", resource="lo"))
    await driver.limit(LinkLimits(delay=0.15)); slow = one_way()
    await driver.close(); fast = one_way()
    assert 0.14 < slow < 0.6 and fast < 0.1, (slow, fast)
asyncio.run(main())
"""
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
