"""The main job by the device's own IPA: who told what, what is inconclusive without a source, what fails how.

The stations share one device: each run finds what the one before it left on its card.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recipe_bench import Bench, Summary

from fixtures.sim.world import station_eid

pytestmark = pytest.mark.timeout(120)

FLASHER = Path(__file__).with_name("flasher.py")
RECIPE = "device-ipa-bootstrap-to-operational"
POWER = (
    'power = { driver = "keysight-e36300", resource = "$world.power.resource", voltage = 3.8, current_limit = 2.0, '
    "voltage_max = 4.3 }"
)
WORLD = 'ipa = "device"\nclock = "unix:$world.clock"\nexpendable = true\n' + POWER + "\n"
TOML = f"""
# Supply and eIM only: nobody sees it boot or register.
[stations.blind]
{WORLD}
world = {{ service = "sim", ipa = "device", station = "sim-device" }}
dut = {{ eid = "{station_eid("sim-device")}" }}

# A console and no emulator; the device polls at power-up only.
[stations.console-only]
{WORLD}
world = {{ service = "sim", ipa = "device", station = "sim-device", polls = "power", console = "usb" }}
[stations.console-only.dut]
poll_trigger = "power"
firmware = "1.4.2"
[stations.console-only.dut.console.app]
port = "$world.console.port"
patterns.booted = 'Booting MCUboot'
patterns.firmware = 'app: meter-demo (?P<version>[^ ,]+)'
patterns.registered = 'net: registered (?P<plmn>\\d{{5,6}})'
patterns.identity = 'sim: ready, ICCID (?P<iccid>\\d+)'
patterns.switched = 'ipa: profile switched'
patterns.eid = 'ipa: EID (?P<eid>\\d{{32}})'

# What flashes it is a program of its own, which tells the world; the image holds its version.
[stations.flashed]
{WORLD}
world = {{ service = "sim", ipa = "device", station = "sim-device" }}
[stations.flashed.dut]
flash = {{ command = ["{sys.executable}", "{FLASHER}", "$world.control", "{{image}}"], timeout = 20 }}
[stations.flashed.dut.console.app]
port = "$world.console.port"
patterns = {{ booted = 'app: meter-demo', firmware = '^firmware (?P<version>[^ ]+)' }}
commands = {{ version = "version" }}
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("device"), TOML)
    first = made.run(RECIPE, "sim-device")  # associates the card with the eIM of this home
    assert first.verdict == "pass", (first.errors, list(first.steps))
    yield made


def observations(run: Summary) -> list[tuple[str, str]]:
    events = [json.loads(line) for line in run.journal.splitlines()]
    return [(e["data"]["name"], e["data"]["source"]) for e in events if e["type"] == "observation"]


def manifest(run: Summary) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(run.found["folder"]) / "run.json").read_text())
    return found


def test_console_emulator_and_eim_each_tell_their_part(bench: Bench) -> None:
    run = bench.run(RECIPE, "sim-device", world=("poll_interval=30",))
    assert run.verdict == "pass", (run.errors, list(run.steps))
    told = dict(observations(run))
    assert told == {
        "booted": "console", "registered": "emulator", "polled": "eim", "switched": "emulator", "identity": "emulator",
    }  # fmt: skip
    # It began on the profile that the run before had enabled, and led back by the device's own polls.
    assert set(run.steps) >= {"start-state/switch-back", "start-state/delete", "download", "switch", "known-everywhere"}
    kept = manifest(run)
    assert kept["bearer"] == "device" and set(kept["instruments"]) >= {"power", "network", "console:app"}
    assert kept["identities"]["firmware"] == "1.4.2" if "identities" in kept else '"1.4.2"' in run.journal
    trace = (Path(run.found["folder"]) / "trace.pcapng").read_bytes()
    assert b"console:app" in trace and b"Booting MCUboot" in trace and b"profile switched" in trace


def test_with_a_console_alone_and_polls_at_power_up(bench: Bench) -> None:
    run = bench.run(RECIPE, "console-only")
    assert run.verdict == "pass", (run.errors, list(run.steps))
    assert set(observations(run)) == {
        ("booted", "console"), ("registered", "console"), ("identity", "console"), ("polled", "eim"),
        ("switched", "console"),
    }  # fmt: skip
    assert any(name.endswith("poll-by-power") for name in run.steps)


def test_without_a_source_it_is_inconclusive_and_says_what_is_missing(bench: Bench) -> None:
    run = bench.run(RECIPE, "blind")
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("inconclusive", "inconclusive", "pass")
    assert "nobody can tell whether the device has booted: station blind has none of a modem, a console" in run.journal
    # What the eUICC has signed is known all the same.
    assert run.steps["download"]["verdict"] == run.steps["switch"]["verdict"] == "pass"
    assert dict(observations(run)) == {"polled": "eim", "switched": "eim"}


def test_a_device_that_never_polls_is_told(bench: Bench) -> None:
    run = bench.run(RECIPE, "sim-device", sets=("poll_within=100",), world=("polls=never",))
    assert (run.verdict, run.found["device"]) == ("fail", "fail")
    assert "the device did not poll its eIM within 100 s" in run.errors


def test_a_device_that_does_not_boot_is_told_with_what_it_said(bench: Bench) -> None:
    run = bench.run(RECIPE, "sim-device", world=("no_autostart=true",))
    assert (run.verdict, run.found["device"]) == ("fail", "fail")
    assert "the device did not say 'booted' within 60 s: it said nothing at all" in run.errors


def test_another_firmware_than_the_one_pinned_is_told(bench: Bench) -> None:
    run = bench.run(RECIPE, "console-only", world=("firmware=1.4.1",))
    assert (run.verdict, run.found["device"]) == ("fail", "fail")
    assert "the device runs firmware 1.4.1, not 1.4.2" in run.errors


def test_a_network_that_rejects_the_new_profile_has_the_device_roll_back(tmp_path: Path) -> None:
    reject = json.dumps([{"at": 0, "do": "reject", "cell": 2, "cause": 11}])
    run = Bench(tmp_path).run(RECIPE, "sim-device", world=(f"faults={reject}", "poll_interval=30"))
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("fail", "fail", "pass"), run.errors
    assert "the switch failed: order failed: rolled back" in run.errors
    assert run.steps["download"]["verdict"] == "pass"


def test_the_same_seed_gives_the_same_times(bench: Bench, tmp_path: Path) -> None:
    """The device's IPA takes station time only: its polls, APDUs and the air, never the host's pace."""
    times = []
    for name in ("one", "two"):
        run = Bench(tmp_path / name).run(RECIPE, "sim-device")
        assert run.verdict == "pass", run.errors
        times.append({step: round(found["elapsed"], 1) for step, found in run.steps.items()})
    assert times[0] == times[1]


def test_flashing_tells_image_and_both_versions(bench: Bench) -> None:
    image = bench.folder / "meter.bin"
    image.write_text("1.5.0")
    run = bench.run("device-flash", "flashed", sets=(f"image={image}", "version=1.5.0"))
    assert run.verdict == "pass", (run.errors, list(run.steps))
    events = [json.loads(line) for line in run.journal.splitlines()]
    result = next(event for event in events if event["type"] == "result")["data"]["value"]
    assert (result["before"], result["after"], result["image"]) == ("1.4.2", "1.5.0", "meter.bin")
    assert result["sha256"] == hashlib.sha256(b"1.5.0").hexdigest()
    wrong = bench.run("device-flash", "flashed", sets=(f"image={image}", "version=1.6.0"))
    assert (wrong.verdict, wrong.found["device"]) == ("fail", "fail")
    assert "runs firmware 1.5.0 after the flash, not 1.6.0" in wrong.errors
    image.write_text("broken")
    broken = bench.run("device-flash", "flashed", sets=(f"image={image}",))
    assert (broken.verdict, broken.found["device"]) == ("bench-error", "inconclusive")
    assert "the flash program ended with exit code 4:\nverification failed" in broken.errors
