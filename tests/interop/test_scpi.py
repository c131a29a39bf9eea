"""The simulated instruments under lxi-tools and sigrok."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .foreign import BOOTSTRAP_IMSI, IMEI, Bench, run


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


@pytest.fixture(scope="module")
def rigol(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench whose supply is a DP832, which Debian's libsigrok knows; nothing is switched on."""
    running = Bench(tmp_path_factory.mktemp("rigol"), "--world", "supply=dp832")
    try:
        yield running
    except BaseException:
        running.kill()
        raise
    assert running.stop() == 0


def sigrok(bench: Bench, *arguments: str) -> str:
    host, port = bench.power
    return run("sigrok-cli", "-d", f"scpi-pps:conn=tcp-raw/{host}/{port}", *arguments).stdout.decode()


def test_sigrok_finds_the_supply(rigol: Bench) -> None:
    found = sigrok(rigol, "--scan")
    assert re.search(r"Rigol DP832 [\d.]+ \[S/N: DP8A\d+\] with 9 channels: V1 I1 P1 V2 I2 P2 V3 I3 P3", found)


def test_sigrok_switches_and_samples_the_device(rigol: Bench) -> None:
    sigrok(rigol, "-g", "1", "--config", "voltage_target=3.800:current_limit=2.0:enabled=yes", "--set")
    power = rigol.state()["power"]
    assert (power["on"], power["set_volts"], power["limit"]) == (True, 3.8, 2.0)
    samples = sigrok(rigol, "-g", "1", "--samples", "4").splitlines()
    volts = [float(line.split()[1]) for line in samples if line.startswith("V1:")]
    amperes = [line for line in samples if line.startswith("I1:")]
    assert volts == pytest.approx([3.8] * 4, abs=0.02)
    assert len(amperes) == 4
    assert any(not re.fullmatch(r"I1: 0\.0+ mA DC", line) for line in amperes), "a booting modem takes current"
    assert sigrok(rigol, "-g", "1", "--get", "enabled").split() == ["true"]
    assert float(sigrok(rigol, "-g", "1", "--get", "voltage_target")) == pytest.approx(3.8)
    assert float(sigrok(rigol, "-g", "1", "--get", "current_limit")) == pytest.approx(2.0)
    assert sigrok(rigol, "-g", "1", "--get", "regulation").strip() == "'CV'"
    sigrok(rigol, "-g", "1", "--config", "enabled=no", "--set")
    assert rigol.state()["power"]["on"] is False


def test_sigrok_left_no_error_in_the_supply(rigol: Bench) -> None:
    """Every command that libsigrok sends is one that the instrument has."""
    lxi(rigol.power, "*CLS")
    sigrok(rigol, "-g", "2", "--config", "voltage_target=5.0:current_limit=0.1", "--set")
    sigrok(rigol, "--samples", "1")
    sigrok(rigol, "-g", "2", "--get", "enabled")
    assert lxi(rigol.power, "SYST:ERR?") == '0,"No error"\n'


@pytest.fixture(scope="module")
def hameg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench with an HMC8043, the other grammar of which Debian's libsigrok knows: a selected channel."""
    running = Bench(tmp_path_factory.mktemp("hmc"), "--world", "supply=hmc8043")
    try:
        yield running
    except BaseException:
        running.kill()
        raise
    assert running.stop() == 0


def test_sigrok_drives_a_supply_with_a_selected_channel(hameg: Bench) -> None:
    found = sigrok(hameg, "--scan")
    assert re.search(r"HMC8043 .*with 6 channels: V1 I1 V2 I2 V3 I3", found), found
    lxi(hameg.power, "*CLS")
    sigrok(hameg, "-g", "1", "--config", "voltage_target=3.800:current_limit=2.0:enabled=yes", "--set")
    power = hameg.state()["power"]
    assert (power["on"], power["set_volts"], power["limit"]) == (True, 3.8, 2.0)
    volts = [float(line.split()[1]) for line in sigrok(hameg, "--samples", "3").splitlines() if line.startswith("V1:")]
    assert volts == pytest.approx([3.8] * 3, abs=0.02)
    assert sigrok(hameg, "-g", "1", "--get", "enabled").split() == ["true"]
    sigrok(hameg, "-g", "1", "--config", "enabled=no", "--set")
    assert hameg.state()["power"]["on"] is False
    assert lxi(hameg.power, "SYST:ERR?") == '0,"No error"\n'


def test_sigrok_asks_for_more_than_the_channel_gives(rigol: Bench) -> None:
    before = rigol.state()["power"]["set_volts"]
    lxi(rigol.power, "*CLS")
    sigrok(rigol, "-g", "3", "--config", "voltage_target=9.0", "--set")
    assert lxi(rigol.power, "SYST:ERR?").startswith("-222,")
    assert rigol.state()["power"]["set_volts"] == before
