"""The world as a process, by its real transports."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.rsp.ids import check_eid, luhn_digit
from bench.station.clock import SocketClock
from fixtures.sim.pcsc import further_eids
from fixtures.sim.world import station_eid, station_imei

from .process import AtClient, WorldProcess, at, needs

ISD_R = "A0000005591010FFFFFFFF8900000100"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def fast(home: Path) -> Iterator[WorldProcess]:
    with WorldProcess(home, "--clock", "scaled:100") as world:
        yield world


def test_announcement_and_end(home: Path) -> None:
    begin = time.perf_counter()
    with WorldProcess(home) as world:
        elapsed = time.perf_counter() - begin
        link = Path(world.parts["modem"]["port"])
        assert link.is_symlink()
        sockets = Path(world.announcement["clock"]).parent
        assert {"clock", "control", "proxy", "log"} <= world.announcement.keys()
        assert world.parts["data"]["proxy"] == world.announcement["proxy"]
        with pytest.raises(AssertionError, match="another simulated world"), WorldProcess(home):
            pass
        assert world.stop(signal.SIGTERM) == 0
        assert world.errors == ""
        assert not link.is_symlink()
        assert not sockets.exists()
    assert elapsed < 3.0  # 0.4 s on a quiet machine; the home is made here too


def test_quit_by_control_and_parent(home: Path) -> None:
    with WorldProcess(home) as world:
        assert world.ask("quit", id=7) == {"ok": True, "id": 7}
        assert world.process.wait(10) == 0


def test_everything_is_loopback(fast: WorldProcess) -> None:
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ports = {int(fast.parts[name]["resource"].split("::")[2]) for name in ("power", "network")}
    ports.add(int(fast.announcement["proxy"].rsplit(":", 1)[1]))
    listening = {
        int(row.split()[1].split(":")[1], 16): row.split()[1].split(":")[0] for row in rows if row.split()[3] == "0A"
    }
    assert {listening[port] for port in ports} == {"0100007F"}


def test_bootstrap_registration(fast: WorldProcess) -> None:
    state = fast.registered()
    assert (state["imsi"], state["plmn"]) == ("001010000000001", "00101")
    assert state["bearers"]["1"]["apn"] == "bootstrap.iot"
    with fast.serial() as port:
        assert at(port, "ATE0")[-1] == "OK"
        assert at(port, "AT+CGSN") == ["490154203237518", "OK"]
        assert at(port, "AT+CIMI") == ["001010000000001", "OK"]
        assert at(port, "AT+CREG?")[0].startswith("+CREG: 0,1")
        assert at(port, "AT+COPS=3,2;+COPS?") == ['+COPS: 0,2,"00101",7', "OK"]
        assert at(port, "AT+CRSM=176,12258,0,0,10") == ['+CRSM: 144,0,"980001010000000010F9"', "OK"]
        assert at(port, "AT+CGPADDR=1")[0].startswith('+CGPADDR: 1,"10.64.')
    with fast.scpi("network") as emulator:
        assert emulator.ask("FETCh:LTE:SIGN1:PSWitched:STATe?") in ("ATT", "CEST")
        assert emulator.ask("SENSe:LTE:SIGN1:UESinfo:IMSI?") == '"001010000000001"'
        assert emulator.ask("SENSe:LTE:SIGN1:UESinfo:IMEI?") == '"490154203237518"'
        assert emulator.ask("FETC:LTE:SIGN2:PSW:STAT?") == "ON"


def test_no_power_no_answer(fast: WorldProcess) -> None:
    fast.registered()
    with fast.serial() as port:
        assert at(port, "AT")[-1] == "OK"
        with fast.scpi() as supply:
            supply.write("OUTP OFF,(@1)")
            assert supply.ask("OUTP? (@1)") == "0"
            end = time.monotonic() + 5
            while float(supply.ask("MEAS:VOLT? (@1)")) > 0.3:
                assert time.monotonic() < end
            port.reset_input_buffer()
            port.timeout = 0.3
            port.write(b"AT\r")
            assert port.read(10) == b""
        state = fast.state()
        assert (state["device"]["power"], state["registered"]) == ("OFF", False)
    switches = [entry for entry in fast.log if entry["what"] == "output"]
    assert [entry["on"] for entry in switches] == [True, False]
    assert all(entry["by"].startswith("power#") for entry in switches)
    assert switches[0]["by"] != switches[1]["by"]


def test_isd_r_by_logical_channel(fast: WorldProcess) -> None:
    fast.registered()
    with fast.serial() as port:
        at(port, "ATE0")
        assert at(port, f'AT+CCHO="{ISD_R}"') == ["+CCHO: 1", "OK"]
        lines = at(port, 'AT+CGLA=1,22,"81e2910006bf3e035c015a"')
        assert lines[0].startswith("+CGLA: 4,") and '"61' in lines[0]
        length = int(lines[0].split('"')[1][2:], 16)
        lines = at(port, f'AT+CGLA=1,10,"01C00000{length:02X}"')
        assert "BF3E125A1089049032123451234512345678901235" in lines[0]
        assert lines[0].endswith('9000"')
        assert at(port, "AT+CCHC=1") == ["OK"]
        assert at(port, "AT+CMEE=1;+CCHC=1") == ["+CME ERROR: 50"]
        assert at(port, 'AT+CCHO="A000000559FFFFFFFF"') == ["+CME ERROR: 22"]
        for _ in range(25):  # a refused CCHO must not cost a channel
            at(port, 'AT+CCHO="A000000559FFFFFFFF"')
        assert at(port, f'AT+CCHO="{ISD_R}"') == ["+CCHO: 1", "OK"]


def run_scenario(home: Path, seed: int, *arguments: str) -> tuple[list[dict[str, Any]], float, dict[str, Any]]:
    """Power, registration, some AT commands and a power cycle in instant time; the log without ``connect``."""

    async def main(world: WorldProcess) -> float:
        clock = await SocketClock.connect(world.announcement["clock"])
        modem = AtClient(clock, world.parts["modem"]["port"])
        begin = clock.now()
        with world.scpi() as supply:
            with clock.busy():
                supply.ask("VOLT 3.8,(@1);CURR 2,(@1);:OUTP ON,(@1);*OPC?")
            await clock.sleep(30)
            for _ in range(100):
                text = await modem.ask("AT+CEREG?")
                if ",1" in text:
                    break
                await clock.sleep(1)
            else:
                raise AssertionError(text)
            fast = time.perf_counter()
            for _ in range(200):
                await modem.ask("AT")
            print("AT round trips/s", 200 / (time.perf_counter() - fast))
            await modem.ask("AT+CMEE=1;+CEREG=2")
            for _ in range(20):
                await modem.ask("AT+CSQ")
            with clock.busy():
                supply.ask("OUTP OFF,(@1);*OPC?")
            await clock.sleep(5)
            with clock.busy():
                supply.ask("OUTP ON,(@1);*OPC?")
            await clock.sleep(60)
            await modem.ask("AT+CIMI")
        elapsed = clock.now() - begin
        modem.close()
        await clock.close()
        return elapsed

    with WorldProcess(home, "--clock", "instant", "--seed", str(seed), *arguments) as world:
        elapsed = asyncio.run(main(world))
        state = world.state()
        lines = world.log
    start = next(index for index, entry in enumerate(lines) if entry["what"] == "set-voltage")
    zero = lines[start]["t_ns"]
    kept = [
        {**entry, "t_ns": entry["t_ns"] - zero}
        for entry in lines[start:]
        if entry["what"] not in ("connect", "disconnect", "end", "port") and entry["t_ns"] <= zero + 97 * 10**9
    ]
    return kept, elapsed, state


def test_same_seed_same_log(home: Path) -> None:
    run_scenario(home, 1)  # the card now holds a GUTI, as it will in the runs that are compared
    begin = time.perf_counter()
    first, elapsed, state = run_scenario(home, 5)
    real = time.perf_counter() - begin
    again, _, _ = run_scenario(home, 5)
    other, _, _ = run_scenario(home, 6)
    assert elapsed > 95
    assert real < 10
    assert state["stalls"] <= 3
    assert len(first) > 30
    assert first == again
    assert first != other


def test_power_cut_at_an_apdu(home: Path) -> None:
    with WorldProcess(home, "--clock", "scaled:100") as world:
        world.registered()
        assert world.ask("fault", at="apdu", n=3, do="power-cut", seconds=2)["ok"]
        before = world.state()["apdus"]["host"]
        with world.serial() as port:
            at(port, "ATE0")
            port.timeout = 1
            port.write(f'AT+CCHO="{ISD_R}"\r'.encode())
            got = port.read(200)
            port.write(b'AT+CGLA=1,22,"81e2910006bf3e035c015a"\r')
            got += port.read(200)
            assert b"+CGLA" not in got.replace(b"AT+CGLA", b"")
        world.wait("restart", lambda state: state["device"]["boots"] == 2)
        state = world.wait("registered again", lambda state: state["registered"])
        assert state["faults"]["done"] == 1
        log = world.log
        cut = next(entry for entry in log if entry["what"] == "interrupted")
        restored = next(entry for entry in log if entry["what"] == "restored")
        assert restored["t_ns"] - cut["t_ns"] == 2 * 10**9
        assert state["apdus"]["host"] - before in (3, 4)


def test_faults_of_modem_card_and_scpi(home: Path) -> None:
    faults = [{"at": 1e6, "do": "cell-off"}]
    with WorldProcess(home, "--clock", "scaled:100", "--faults", json.dumps(faults)) as world:
        world.registered()
        assert world.state()["faults"]["armed"] == 1
        with world.serial() as port:
            at(port, "ATE0")
            assert world.ask("fault", do="card-mute")["ok"]
            port.timeout = 0.5
            port.write(b'AT+CSIM=10,"0020000100"\r')
            assert b"CSIM" not in port.read(100)
        assert world.ask("fault", do="modem-hang")["ok"]
        with world.serial() as port:
            port.timeout = 0.3
            port.write(b"AT\r")
            assert port.read(10) == b""
        assert world.ask("fault", do="modem-reset")["ok"]
        world.wait("back", lambda state: state["registered"])
        with world.scpi() as supply:
            assert world.ask("fault", do="scpi-silent", instrument="power", seconds=1e9)["ok"]
            supply.write("*IDN?")
            supply._socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                supply._socket.recv(10)
            assert world.ask("fault", do="scpi-answer", instrument="power")["ok"]
        assert world.ask("fault", do="cell-off", cell=1)["ok"]
        world.wait("lost", lambda state: not state["registered"])
        refused = world.ask("fault", do="nonsense")
        assert not refused["ok"]
        assert "power-cut" in refused["error"]["hint"]
        assert not world.ask("fault", at="apdu", do="power-cut")["ok"]
        assert not world.ask("nothing")["ok"]


def test_stuck_output_is_not_hidden(fast: WorldProcess) -> None:
    fast.registered()
    fast.ask("fault", do="output-stuck")
    with fast.scpi() as supply:
        supply.write("OUTP OFF,(@1)")
        assert supply.ask("OUTP? (@1)") == "1"
        assert float(supply.ask("MEAS:VOLT? (@1)")) > 3.7


def test_reenumeration(home: Path) -> None:
    with WorldProcess(home, "--clock", "scaled:10", "--reenumerate", "--profile", "unit") as world:
        world.registered()
        link = Path(world.parts["modem"]["port"])
        port = world.serial()
        at(port, "AT+CFUN=1,1")
        end = time.monotonic() + 5
        with pytest.raises(Exception):  # noqa: B017 - pyserial raises three kinds when a device goes
            while time.monotonic() < end:
                port.write(b"AT\r")
                port.read(1)
        assert not link.is_symlink()
        port.close()
        end = time.monotonic() + 5
        while not link.is_symlink():
            assert time.monotonic() < end
            time.sleep(0.01)
        world.wait("registered", lambda state: state["registered"])
        ports = [entry for entry in world.log if entry["what"] == "port"]
        gone = next(entry["t_ns"] for entry in ports if not entry["open"]) / 1e9
        back = next(entry["t_ns"] for entry in ports if entry["open"] and entry["t_ns"] > gone * 1e9) / 1e9
        assert back - gone == pytest.approx(5.0, abs=0.2)
        with world.serial() as port:
            assert at(port, "AT")[-1] == "OK"


@needs("lxi", "lxi-tools")
def test_lxi(fast: WorldProcess) -> None:
    port = fast.parts["power"]["resource"].split("::")[2]
    base = ["lxi", "scpi", "--address", "127.0.0.1", "--port", port, "--raw"]
    found = subprocess.run([*base, "*IDN?"], capture_output=True, text=True, timeout=20, check=True)
    assert "E36312A" in found.stdout
    subprocess.run([*base, "VOLT 3.3,(@2)"], capture_output=True, timeout=20, check=True)
    found = subprocess.run([*base, "VOLT? (@2)"], capture_output=True, text=True, timeout=20, check=True)
    assert float(found.stdout) == 3.3


@needs("sigrok-cli", "sigrok-cli")
def test_sigrok(home: Path) -> None:
    with WorldProcess(home, "--clock", "scaled:10", "--supply", "dp832") as world:
        port = world.parts["power"]["resource"].split("::")[2]
        base = ["sigrok-cli", "-d", f"scpi-pps:conn=tcp-raw/127.0.0.1/{port}"]
        found = subprocess.run([*base, "--scan"], capture_output=True, text=True, timeout=60, check=True)
        assert "DP832" in found.stdout
        config = "voltage_target=3.800:current_limit=2.0:enabled=yes"
        subprocess.run([*base, "-g", "1", "--config", config, "--set"], capture_output=True, timeout=60, check=True)
        state = world.wait("on", lambda state: state["power"]["volts"] > 3.7)
        assert state["power"]["limit"] == 2.0
        shown = subprocess.run([*base, "--samples", "1"], capture_output=True, text=True, timeout=60, check=True)
        assert "V1: 3.8" in shown.stdout


@needs("gammu", "gammu")
def test_gammu(fast: WorldProcess, tmp_path: Path) -> None:
    fast.registered()
    config = tmp_path / "gammurc"
    config.write_text(f"[gammu]\ndevice={fast.parts['modem']['port']}\nconnection=at115200\n")
    found = subprocess.run(
        ["gammu", "-c", str(config), "identify"], capture_output=True, text=True, timeout=60, check=False
    )
    assert "490154203237518" in found.stdout, found.stdout + found.stderr
    assert "001010000000001" in found.stdout
    found = subprocess.run(
        ["gammu", "-c", str(config), "networkinfo"], capture_output=True, text=True, timeout=60, check=False
    )
    assert "home network" in found.stdout, found.stdout + found.stderr


def test_each_station_has_a_card_and_a_device_of_its_own() -> None:
    names = ["sim", "sim-pcsc", "meter-1", "meter-2"]
    eids, imeis = [station_eid(name) for name in names], [station_imei(name) for name in names]
    assert len(set(eids)) == len(set(imeis)) == len(names)
    assert all(check_eid(eid) for eid in eids)
    assert all(len(imei) == 15 and luhn_digit(imei[:-1]) == imei[-1] for imei in imeis)
    assert eids[0] == "89049032123451234512345678901235"
    assert not set(further_eids(eids[2], 16)) & {eids[0], eids[1], eids[3]}
