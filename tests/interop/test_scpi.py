"""The simulated instruments under lxi-tools and sigrok."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .foreign import BOOTSTRAP_IMSI, IMEI, PROGRAM, Bench, need, run


def lxi(address: tuple[str, int], command: str) -> str:
    return run("lxi", "scpi", "--raw", "-a", address[0], "-p", str(address[1]), command).stdout.decode()


def test_lxi_reads_the_identities(bench: Bench) -> None:
    assert re.fullmatch(r"Keysight Technologies,E36312A,\w+,[\w.-]+\n", lxi(bench.power, "*IDN?"))
    assert re.match(r"Rohde&Schwarz,CMW,", lxi(bench.network, "*IDN?"))


def test_lxi_sets_measures_and_reads_errors(bench: Bench) -> None:
    assert lxi(bench.power, "VOLT 4.25,(@2);CURR 0.5,(@2);*OPC?") == "1\n"
    assert float(lxi(bench.power, "VOLT? (@2)")) == 4.25
    assert float(lxi(bench.power, "MEAS:VOLT? (@1)")) == pytest.approx(3.8, abs=0.01)
    assert lxi(bench.power, "OUTP? (@1)") == "1\n"
    lxi(bench.power, "*CLS")
    assert lxi(bench.power, "VOLT 400,(@2)") == ""
    assert lxi(bench.power, "OUTP:NONSENSE ON") == ""
    assert lxi(bench.power, "SYST:ERR?").startswith("-222,")
    assert lxi(bench.power, "SYST:ERR?").startswith("-113,")
    assert lxi(bench.power, "SYST:ERR?") == '+0,"No error"\n'


def test_lxi_benchmark_asks_hundreds_of_times_on_one_connection(bench: Bench) -> None:
    host, port = bench.power
    done = run("lxi", "benchmark", "--raw", "-a", host, "-p", str(port), "--count", "300")
    found = re.search(rb"Result: ([\d.]+) requests/second", done.stdout)
    assert found is not None, done
    assert float(found[1]) > 100


def test_lxi_asks_the_network_emulator_who_is_attached(registered: Bench) -> None:
    assert lxi(registered.network, "SOUR:LTE:SIGN1:CELL:STAT:ALL?") == "ON,ADJ\n"
    assert lxi(registered.network, "FETCh:LTE:SIGN:PSWitched:STATe?") in ("ATT\n", "CEST\n")
    assert lxi(registered.network, "SENSe:LTE:SIGN:UESinfo:IMSI?") == f'"{BOOTSTRAP_IMSI}"\n'
    assert lxi(registered.network, "SENSe:LTE:SIGN:UESinfo:IMEI?") == f'"{IMEI}"\n'
    assert lxi(registered.network, "SENSe:LTE:SIGN2:UESinfo:IMSI?") == '""\n'


SUPPLIES = {
    "dp832": (3, r"Rigol DP832 [\d.]+ \[S/N: DP8A\d+\] with 9 channels: V1 I1 P1 V2 I2 P2 V3 I3 P3"),
    "dp832a": (3, r"Rigol DP832A [\d.]+ \[S/N: DP8B\d+\] with 9 channels: V1 I1 P1 V2 I2 P2 V3 I3 P3"),
    "dp821a": (2, r"Rigol DP821A [\d.]+ \[S/N: DP8D\d+\] with 6 channels: V1 I1 P1 V2 I2 P2"),
    "hmc8043": (3, r"HMC8043 .*with 6 channels: V1 I1 V2 I2 V3 I3"),
}
"""Our supplies that Debian's libsigrok (0.5.2) knows: the number of channels, and how it shows them."""


@pytest.fixture(scope="module", params=SUPPLIES)
def supply(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Bench]]:
    """A bench with such a supply; nothing is switched on."""
    model: str = request.param
    need("sigrok-cli", "lxi")
    with Bench(tmp_path_factory.mktemp(model), "--world", f"supply={model}") as running:
        yield model, running


def sigrok(bench: Bench, *arguments: str) -> str:
    host, port = bench.power
    return run("sigrok-cli", "-d", f"scpi-pps:conn=tcp-raw/{host}/{port}", *arguments).stdout.decode()


def got(bench: Bench, option: str, group: str = "1") -> str:
    return sigrok(bench, "-g", group, "--get", option).strip()


def test_sigrok_finds_the_supply(supply: tuple[str, Bench]) -> None:
    model, bench = supply
    found = sigrok(bench, "--scan")
    assert re.search(SUPPLIES[model][1], found), found
    shown = sigrok(bench, "--show", "-g", "1")
    assert all(f"    {name}: channels V{name}" in shown for name in range(1, SUPPLIES[model][0] + 1))


def test_sigrok_switches_and_samples_the_device(supply: tuple[str, Bench]) -> None:
    model, bench = supply
    lxi(bench.power, "*CLS")
    target = "3.800" if model != "dp821a" else "3.80"
    current = "2.0" if model != "dp821a" else "1.0"  # its first channel is of 60 V and 1 A
    sigrok(bench, "-g", "1", "--config", f"voltage_target={target}:current_limit={current}:enabled=yes", "--set")
    power = bench.state()["power"]
    assert (power["on"], power["set_volts"], power["limit"]) == (True, 3.8, float(current))
    samples = sigrok(bench, "-g", "1", "--samples", "4").splitlines()
    volts = [float(line.split()[1]) for line in samples if line.startswith("V1:")]
    amperes = [line for line in samples if line.startswith("I1:")]
    assert volts == pytest.approx([3.8] * 4, abs=0.02)
    assert len(amperes) == 4
    assert any(not re.fullmatch(r"I1: 0(\.0+)? mA DC", line) for line in amperes), "a booting modem takes current"
    assert got(bench, "enabled") == "true"
    assert float(got(bench, "voltage")) == pytest.approx(3.8, abs=0.02)
    assert float(got(bench, "voltage_target")) == pytest.approx(3.8)
    assert float(got(bench, "current_limit")) == pytest.approx(float(current))
    if model != "hmc8043":  # libsigrok asks this one for neither
        assert got(bench, "regulation") == "'CV'"
        assert got(bench, "ocp_enabled") == "false"
    sigrok(bench, "-g", "1", "--config", "enabled=no", "--set")
    assert bench.state()["power"]["on"] is False
    assert lxi(bench.power, "SYST:ERR?") == '0,"No error"\n'


def test_sigrok_sees_the_protection_trip(supply: tuple[str, Bench]) -> None:
    _, bench = supply
    lxi(bench.power, "*CLS")
    sigrok(bench, "-g", "2", "--config", "voltage_target=5.0:current_limit=0.1", "--set")
    for option, value, seen in (
        ("ovp_threshold", "6.5", "6.5"),
        ("ovp_enabled", "yes", "true"),
        ("enabled", "yes", "true"),
    ):
        sigrok(bench, "-g", "2", "--config", f"{option}={value}", "--set")
        assert got(bench, option, "2") == seen
    assert re.search(r"^V2: 5\.0+ V DC$", sigrok(bench, "--samples", "1"), re.MULTILINE)
    assert got(bench, "ovp_active", "2") == "false"
    sigrok(bench, "-g", "2", "--config", "ovp_threshold=4.5", "--set")
    assert (got(bench, "ovp_active", "2"), got(bench, "enabled", "2")) == ("true", "false")
    assert lxi(bench.power, "SYST:ERR?") == '0,"No error"\n'


def test_sigrok_asks_for_more_than_the_channel_gives(supply: tuple[str, Bench]) -> None:
    model, bench = supply
    group = str(SUPPLIES[model][0])
    before = got(bench, "voltage_target", group)
    lxi(bench.power, "*CLS")
    sigrok(bench, "-g", group, "--config", "voltage_target=70.0", "--set")
    assert lxi(bench.power, "SYST:ERR?").startswith("-222,")
    assert got(bench, "voltage_target", group) == before


def test_pyvisa_shell_talks_to_the_supply(bench: Bench) -> None:
    host, port = bench.power
    shell = Path(PROGRAM).with_name("pyvisa-shell")  # of PyVISA, which the bench itself needs
    typed = f"open TCPIP::{host}::{port}::SOCKET\ntermchar LF\nquery *IDN?\nquery MEAS:VOLT? (@1)\nexit\n"
    told = run(shell, "-b", "@py", data=typed.encode()).stdout.decode()
    assert re.search(r"Response: Keysight Technologies,E36312A,", told)
    assert float(re.findall(r"Response: ([+-][\d.E+-]+)", told)[-1]) == pytest.approx(3.8, abs=0.01)
