"""``station.dut`` and ``station.observe``: lines, battery, flash, and who is asked in which order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from bench.engine.record import Record
from bench.engine.station import Station
from bench.errors import ConfigurationError, DeviceFailure, InstrumentError, InstrumentTimeout, Refused
from bench.run.journal import Journal
from bench.run.reader import read
from bench.run.verdict import Verdict
from bench.station import config
from bench.station.dut_parts import ConsoleMatch
from bench.station.interfaces import PowerCycle

TOML = """
[instruments.relay1]
driver = "numato-lines"
port = "/dev/ttyACM0"
[stations.lab]
power = {{ driver = "keysight-e36300", resource = "TCPIP::192.0.2.1::5025::SOCKET", {limits} }}
[stations.lab.dut]
{dut}
[stations.lab.dut.console.app]
port = "/dev/ttyUSB0"
"""

LIMITS = "voltage = 3.8, voltage_max = 4.3, current_limit = 2.0"


class Lab:
    """Supply, relays, console, emulator and eIM in one, writing down what they are asked."""

    name = "app"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.patterns: dict[str, str] = {}
        self.commands: set[str] = set()
        self.version = ["1.0", "1.1"]
        self.broken: set[str] = set()
        self.imsis = ["", "001010000000001"]
        self.counted = [3, 3, 4]

    async def set_line(self, line: str, on: bool) -> None:
        self.asked.append(f"line {line} {'on' if on else 'off'}")

    async def cycle(self, *, hold: float) -> PowerCycle:
        self.asked.append(f"cycle {hold:g}")
        return PowerCycle(0.1, hold)

    def knows(self, pattern: str) -> bool:
        return pattern in self.patterns

    def accepts(self, command: str) -> bool:
        return command in self.commands

    async def command(self, name: str, **values: str) -> None:
        self.asked.append(f"command {name}")

    def mark(self) -> int:
        return 0

    async def wait(self, pattern: str, *, timeout: float, **options: Any) -> Any:
        if "console" in self.broken:
            raise InstrumentError("the console is not there", where="console:app")
        if pattern == "firmware":
            return ConsoleMatch(pattern, "firmware", 0.0, {"version": self.version.pop(0)})
        if self.patterns[pattern] == "silent":
            raise DeviceFailure(f"the device did not say '{pattern}'")
        return ConsoleMatch(pattern, self.patterns[pattern], 0.0)

    async def cells(self) -> list[int]:
        return [1]

    async def attached_imsi(self, *, cell: int = 1) -> str:
        if "emulator" in self.broken:
            raise InstrumentError("no answer", where="cmw")
        return self.imsis.pop(0) if len(self.imsis) > 1 else self.imsis[0]

    async def polls(self, eid: str) -> int:
        return self.counted.pop(0) if len(self.counted) > 1 else self.counted[0]


Body = Callable[[Station], Coroutine[Any, Any, Any]]


def run(folder: Path, lab: Lab, body: Body, dut: str = "", parts: tuple[str, ...] = ("power",)) -> Any:
    path = folder / "bench.toml"
    path.write_text(TOML.format(dut=dut, limits=LIMITS))
    journal = Journal.open(folder / "journal.jsonl")
    station = Station(
        config.load(path, environment={}).station("lab"), Record(journal), home=folder, seed=0, asker=None
    )
    for part in parts:
        station.provide(part, lab)
    station.provide_dut({"app": lab} if lab.patterns or lab.commands else {}, {"relay1": lab})  # type: ignore[dict-item]

    async def guarded() -> Any:
        async with asyncio.timeout(20):
            return await body(station)

    try:
        return asyncio.run(guarded())
    finally:
        journal.close()


# --- lines and power --------------------------------------------------------------------------------------------------


def test_a_reset_into_the_loader_holds_boot_over_the_pulse(tmp_path: Path) -> None:
    lab = Lab()
    run(tmp_path, lab, lambda station: station.dut.reset(boot=True), 'reset = "relay1:3"\nboot = "!relay1:4"')
    assert lab.asked == ["line 4 off", "line 3 on", "line 3 off", "line 4 on"]


def test_a_pulse_that_is_cancelled_lets_go(tmp_path: Path) -> None:
    lab = Lab()

    async def body(station: Station) -> None:
        pressing = asyncio.create_task(station.dut.pulse("power_key", 60.0))
        await asyncio.sleep(0.01)
        pressing.cancel()
        await asyncio.gather(pressing, return_exceptions=True)

    run(tmp_path, lab, body, 'power_key = "relay1:1"')
    assert lab.asked == ["line 1 on", "line 1 off"]


def test_the_battery_is_away_while_the_supply_is_off_also_when_it_fails(tmp_path: Path) -> None:
    lab = Lab()
    run(tmp_path, lab, lambda station: station.dut.power_cycle(hold=3), 'battery = "relay1:0"')
    assert lab.asked == ["line 0 off", "cycle 3", "line 0 on"]

    async def failing(*, hold: float) -> PowerCycle:
        raise InstrumentError("the supply hangs")

    lab.asked.clear()
    lab.cycle = failing  # type: ignore[method-assign]
    with pytest.raises(InstrumentError, match="hangs"):
        run(tmp_path, lab, lambda station: station.dut.power_cycle(), 'battery = "relay1:0"')
    assert lab.asked == ["line 0 off", "line 0 on"]


def test_what_is_not_wired_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="reset line of station lab is not wired"):
        run(tmp_path, Lab(), lambda station: station.dut.reset())
    with pytest.raises(Refused, match="battery that nothing disconnects"):
        run(tmp_path, Lab(), lambda station: station.dut.power_cycle(), "battery = true")


# --- flash ------------------------------------------------------------------------------------------------------------


def flash_toml(code: str, timeout: float = 10) -> str:
    return f"flash = {{ command = ['{sys.executable}', '-c', '''{code}''', '{{image}}'], timeout = {timeout} }}"


def test_flash_tells_image_and_versions(tmp_path: Path) -> None:
    lab = Lab()
    lab.patterns, lab.commands = {"firmware": "", "booted": "Booting"}, {"version"}
    image = tmp_path / "fw.bin"
    image.write_bytes(b"abc")
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).with_suffix('.done').write_text(sys.argv[1])"
    found = run(tmp_path, lab, lambda station: station.dut.flash(image), flash_toml(code))
    assert (found.before, found.after) == ("1.0", "1.1")
    assert found.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (tmp_path / "fw.done").read_text() == str(image)
    result = next(event for event in read(tmp_path / "journal.jsonl") if event["type"] == "result")
    assert result["data"]["value"] == {"image": "fw.bin", "sha256": found.sha256, "before": "1.0", "after": "1.1"}


@pytest.mark.parametrize(
    ("code", "timeout", "error", "words"),
    [
        ("import sys; print('no target found'); sys.exit(3)", 10, InstrumentError, "exit code 3:\nno target found"),
        ("import time; time.sleep(60)", 1, InstrumentTimeout, "did not end within 1 s"),
    ],
)
def test_flash_that_fails(tmp_path: Path, code: str, timeout: float, error: type[Exception], words: str) -> None:
    (tmp_path / "fw.bin").write_bytes(b"abc")
    with pytest.raises(error, match=words):
        run(tmp_path, Lab(), lambda station: station.dut.flash(tmp_path / "fw.bin"), flash_toml(code, timeout))


def test_flash_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the image cannot be read"):
        run(tmp_path, Lab(), lambda station: station.dut.flash(tmp_path / "no.bin"), flash_toml("pass"))
    with pytest.raises(ConfigurationError, match="cannot flash its device"):
        run(tmp_path, Lab(), lambda station: station.dut.flash(tmp_path / "no.bin"))


# --- observations -----------------------------------------------------------------------------------------------------


def observing(name: str, **options: Any) -> Body:
    async def body(station: Station) -> Any:
        async with station.step("look") as step:
            found = await station.observe(name, timeout=5, **options)
        return found, step.verdict, step._message

    return body


def test_the_first_source_that_the_station_has_decides(tmp_path: Path) -> None:
    lab = Lab()
    lab.patterns = {"registered": "net: registered"}
    found, verdict, _ = run(tmp_path, lab, observing("registered"), parts=("network",))
    assert (found.source, found.values["imsi"], verdict) == ("emulator", "001010000000001", Verdict.PASS)
    found, _, _ = run(
        tmp_path, lab, observing("registered"), 'sources = { registered = ["console", "emulator"] }', ("network",)
    )
    assert (found.source, found.text) == ("console", "net: registered")


def test_a_source_that_breaks_gives_way_to_the_next_and_a_device_that_fails_does_not(tmp_path: Path) -> None:
    lab = Lab()
    lab.patterns, lab.broken = {"registered": "net: registered"}, {"emulator"}
    found, _, _ = run(tmp_path, lab, observing("registered"), parts=("network",))
    assert found.source == "console"
    notes = [event["data"]["text"] for event in read(tmp_path / "journal.jsonl") if event["type"] == "note"]
    assert notes == ["emulator cannot tell of 'registered': cmw: no answer"]
    lab.broken |= {"console"}
    with pytest.raises(InstrumentError, match="console is not there"):
        run(tmp_path, lab, observing("registered"), parts=("network",))
    lab.broken, lab.patterns = set(), {"registered": "silent"}
    with pytest.raises(DeviceFailure, match="did not say"):
        run(tmp_path, lab, observing("registered"), 'sources = { registered = ["console", "emulator"] }', ("network",))


def test_without_a_source_the_step_is_inconclusive(tmp_path: Path) -> None:
    found, verdict, message = run(tmp_path, Lab(), observing("registered"))
    assert found is None and verdict is Verdict.INCONCLUSIVE
    assert message == (
        "nobody can tell whether the device has registered: station lab has none of "
        "a modem, a network emulator, a console with a pattern 'registered'"
    )


def test_the_eim_counts_polls_and_one_that_does_not_is_no_source(tmp_path: Path) -> None:
    lab = Lab()
    found, _, _ = run(tmp_path, lab, observing("polled", eid="8904", polls=3), parts=("eim",))
    assert (found.source, found.values) == ("eim", {"polls": "4"})

    class Silent:
        eim_id = "lab"

    async def body(station: Station) -> Any:
        station.provide("eim", Silent())
        return await observing("polled", eid="8904")(station)

    assert run(tmp_path, lab, body)[0] is None


def test_an_imsi_of_the_wrong_network_is_not_the_one(tmp_path: Path) -> None:
    lab = Lab()
    lab.imsis = ["001010000000001", "999700000000002"]
    found, _, _ = run(tmp_path, lab, observing("identity", values={"imsi": "99970*"}), parts=("network",))
    assert found.values["imsi"] == "999700000000002"
