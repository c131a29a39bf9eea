"""bench doctor names planted faults, each with its remedy: one parametrised test, faults as a lab makes them.

The host is a tree of plain files (sysfs, procfs, device nodes) or this one; instruments are real servers and ptys.
"""

from __future__ import annotations

import datetime
import functools
import os
import pwd
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doctor_lab import FakeHost, Lab, attenuator, overnight, path, station, supply, tls_server
from port_double import numato, port

from bench.client import doctor
from bench.client.doctor_check import Check
from bench.run import unsafe
from bench.station import reservations
from bench.station.host import Host
from bench.station.opened import station_key
from fixtures.pki import Pki

FAULTS: list[Any] = []


def fault(name: str, words: str, remedy: str, **given: str) -> Callable[[Any], Any]:
    """Register a planted fault: the finding's name, words of its text, words of its remedy; more to the planter."""

    def register(plant: Any) -> Any:
        told = "-".join((plant.__name__, *given.values()))
        FAULTS.append(pytest.param(functools.partial(plant, **given), name, words, remedy, id=told))
        return plant

    return register


MODEM = '[stations.lab]\nmodem = { driver = "at-modem", port = "usb:1-1.4:if02", port_needs_power = false }\n'


@fault("lab modem port", "is for group", "sudo usermod -aG")
def no_group(lab: Lab) -> list[Check]:
    lab.fake.modem()
    lab.on_fake()
    node = lab.fake.root / "dev/ttyUSB0"
    node.chmod(0o660)
    if os.getuid() == 0:  # an ordinary user's file is for a group of that user, of which the fake host's is not either
        os.chown(node, -1, 20)  # dialout
    lab.toml = MODEM
    return station(lab)


@fault("lab power", f"is for {pwd.getpwuid(os.getuid()).pw_name} only", 'ATTR{idVendor}=="2a8d"')
def usb_supply_without_udev_rule(lab: Lab) -> list[Check]:
    lab.fake.usb("1-2", "2a8d", "1002", "E36312A", "MY1")
    (lab.fake.root / "dev/bus/usb/001/012").chmod(0o600)
    lab.on_fake()
    lab.toml = "[stations.lab]\n" + lab.power("USB0::0x2A8D::0x1002::MY1::INSTR")
    return station(lab)


@fault("lab modem port", "held by ModemManager", "sudo systemctl mask --now ModemManager", program="ModemManager")
@fault("lab modem port", "held by minicom (process 502", "kill 502", program="minicom")
def a_program_holds_the_port(lab: Lab, program: str) -> list[Check]:
    lab.fake.modem()
    lab.fake.process(502, program, "/dev/ttyUSB0")
    lab.on_fake()
    lab.toml = MODEM
    return station(lab)


@fault("lab modem port", "there is no port usb:1-1.4:if02", "there are: usb:1-1.3:if02 (Maker EG25-G (2c7c:0125))")
def plugged_into_another_socket(lab: Lab) -> list[Check]:
    lab.fake.modem("1-1.3")
    lab.on_fake()
    lab.toml = MODEM
    return station(lab)


@fault("lab modem", "nothing answers AT", "power-cycle the device")
def a_port_that_is_mute(lab: Lab) -> list[Check]:
    lab.toml = MODEM.replace("usb:1-1.4:if02", lab.stack.enter_context(port(lambda line: b"")))
    return station(lab)


@fault("lab modem", "the modem's IMEI is 490154203237526, 490154203237518 is pinned", "two modems exchanged")
def another_modem(lab: Lab) -> list[Check]:
    says = {b"AT+CGSN": b"\r\n490154203237526\r\n\r\nOK\r\n"}
    lab.toml = MODEM.replace("usb:1-1.4:if02", lab.stack.enter_context(port(lambda line: says.get(line, b"OK\r\n"))))
    lab.toml = lab.toml.replace("port_needs_power", 'imei = "490154203237518", port_needs_power')
    return station(lab)


@fault("lab power", "serial number 'MY2' answers, 'MY1' is pinned", "correct 'resource' or 'serial'")
def another_supply(lab: Lab) -> list[Check]:
    resource = lab.stack.enter_context(supply(serial="MY2"))
    lab.toml = "[stations.lab]\n" + lab.power(resource, ', serial = "MY1"')
    return station(lab)


@fault("lab power", "connection refused", "is it on, and is the address right?")
def a_supply_that_is_off(lab: Lab) -> list[Check]:
    with supply() as resource:
        pass
    lab.toml = "[stations.lab]\n" + lab.power(resource)
    return station(lab)


@fault("lab power rail", "12.000 V, 10 mA: above voltage_max 4.3 V", "check 'channel' and 'voltage_max'")
def a_rail_above_the_limit(lab: Lab) -> list[Check]:
    lab.toml = "[stations.lab]\n" + lab.power(lab.stack.enter_context(supply(volts=12.0, on=True)))
    return station(lab)


@fault(
    "lab power rail", "is off, 1.900 V, 10 mA: not below dead_voltage 0.3 V", "does USB, a battery or a console line"
)
def a_rail_that_is_fed_back(lab: Lab) -> list[Check]:
    lab.toml = "[stations.lab]\n" + lab.power(lab.stack.enter_context(supply(volts=1.9)))
    return station(lab)


ATTENUATOR = '[stations.lab]\nattenuator = {{ driver = "mini-circuits-rcdat", resource = "{}"{} }}\n'


@fault("lab attenuator", "serial number '11501150004' answers, '9' is pinned", "correct 'resource' or 'serial'")
def another_attenuator(lab: Lab) -> list[Check]:
    lab.toml = ATTENUATOR.format(lab.stack.enter_context(attenuator()), ', serial = "9"')
    return station(lab)


@fault("lab attenuator", "'+++' is no attenuation", "is there an attenuator at this address?")
def an_attenuator_that_talks_nonsense(lab: Lab) -> list[Check]:
    lab.toml = ATTENUATOR.format(lab.stack.enter_context(attenuator(reads="+++")), "")
    return station(lab)


@fault("lab attenuator", "cannot connect: connection refused", "is it on, and is the address right?")
def an_attenuator_that_is_off(lab: Lab) -> list[Check]:
    with attenuator() as resource:
        pass
    lab.toml = ATTENUATOR.format(resource, "")
    return station(lab)


CONSOLE = '[stations.lab]\ndut = { console = { app = "usb:1-1.4:if02" } }\n'


@fault("lab console:app port", "held by minicom (process 502", "kill 502")
def a_terminal_holds_the_console(lab: Lab) -> list[Check]:
    lab.fake.modem()
    lab.fake.process(502, "minicom", "/dev/ttyUSB0")
    lab.on_fake()
    lab.toml = CONSOLE
    return station(lab)


@fault("lab console:app port", "there is no port usb:1-1.9", "there are: usb:1-1.4:if02")
def a_console_that_is_not_plugged_in_while_the_device_is_on(lab: Lab) -> list[Check]:
    lab.fake.modem()
    lab.on_fake()
    lab.toml = CONSOLE.replace("1-1.4:if02", "1-1.9") + lab.power(lab.stack.enter_context(supply(volts=3.8, on=True)))
    return station(lab)


@fault("lab console:app", "there is no driver 'consol'", "console")
@fault("lab attenuator", "cannot be loaded", "nowhere:Such")
def a_driver_that_is_not_there(lab: Lab) -> list[Check]:
    lab.toml = ATTENUATOR.format("telnet://192.0.2.9", "").replace("mini-circuits-rcdat", "nowhere:Such")
    lab.toml += 'dut = { console = { app = { port = "/dev/ttyS9", driver = "console" } } }\n'
    found = lab.load().station("lab")
    assert found.dut is not None
    app = replace(found.dut.console["app"], driver="consol")
    return list(doctor.drivers(replace(found, dut=replace(found.dut, console={"app": app}))))


LINES = (
    '[stations.lab]\ndut = {{ reset = "relay1:{}", '
    'lines = {{ relay1 = {{ driver = "numato-lines", port = "{}", serial = "{}" }} }} }}\n'
)


@fault("lab lines:relay1", "serial number 'AB12CD34' answers, 'X' is pinned", "correct 'port' or 'serial'")
def another_relay_board(lab: Lab) -> list[Check]:
    lab.toml = LINES.format(3, lab.stack.enter_context(port(numato)), "X")
    return station(lab)


@fault("lab lines:relay1", "'99' is no relay", "0 to 31")
def a_line_that_the_board_does_not_have(lab: Lab) -> list[Check]:
    lab.toml = LINES.format(99, lab.stack.enter_context(port(numato)), "")
    return station(lab)


@fault("lab flash", "is not there: no-such-flasher", "dut.flash.command")
def no_flash_program(lab: Lab) -> list[Check]:
    lab.toml = '[stations.lab]\ndut = { flash = { command = ["no-such-flasher", "{image}"] } }\n'
    return station(lab)


@fault("lab reader pcscd", "pcscd does not run", "sudo systemctl enable --now pcscd.socket")
def no_pcscd(lab: Lab) -> list[Check]:
    lab.on_fake()
    lab.toml = '[stations.lab]\ncard = { at = "reader" }\n'
    return station(lab)


@fault("lab reader pcscd", "nobody listens at", "start it again")
def a_private_pcscd_that_died(lab: Lab) -> list[Check]:
    comm = lab.folder / "comm"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(comm))
    lab.toml = f'[stations.lab]\ncard = {{ at = "reader", pcsclite_csock = "{comm}" }}\n'
    return station(lab)


RADIO = '[stations.lab]\ndata = { path = "interface:wwan0" }\n'
EIM = {"https": "https://192.0.2.7:8443", "fqdn": "eim.lab.example"}


def wwan(lab: Lab, *, mtu: str = "1430", route: str = "wwan0") -> None:
    for name, text in (("mtu", mtu), ("operstate", "up")):
        lab.fake.write(f"sys/class/net/wwan0/{name}", text)
    lab.fake.write("proc/net/route", f"Iface\tDestination\n{route}\t00000000")
    lab.on_fake()
    lab.toml = RADIO


@fault("lab path interface", "there is no network interface wwan0", "bring the modem's data connection up")
def no_bearer(lab: Lab) -> list[Check]:
    lab.on_fake()
    lab.toml = RADIO
    return path(lab, EIM)


@fault("lab path MTU", "the MTU of wwan0 is 576, below 1280", "sudo ip link set wwan0 mtu")
def a_small_mtu(lab: Lab) -> list[Check]:
    wwan(lab, mtu="576")
    return path(lab, EIM)


@fault("lab path routes", "no route leads out by wwan0", "sudo ip route add default dev wwan0")
def no_route(lab: Lab) -> list[Check]:
    wwan(lab, route="eth0")
    return path(lab, EIM)


@fault("lab path DNS", "DNS does not know eim.lab.example", "add an A record for eim.lab.example")
def no_name(lab: Lab) -> list[Check]:
    async def unknown(name: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    wwan(lab)
    return path(lab, EIM, resolver=unknown)


@fault("lab path eIM", "listens at https://127.0.0.1:8443 only: no device reaches it", '[eim] listen = "0.0.0.0"')
def an_eim_for_this_host_only(lab: Lab) -> list[Check]:
    wwan(lab)
    return path(lab, {**EIM, "https": "https://127.0.0.1:8443"})


HOST = '[stations.lab]\ndata = { path = "host" }\n'


@fault("lab path port", "no connection", "does the eIM run")
def an_eim_that_is_not_there(lab: Lab) -> list[Check]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    lab.toml = HOST
    return path(lab, {**EIM, "https": f"https://127.0.0.1:{number}"})


@fault("lab path certificate", "eim.lab.example", "certificate")
def a_certificate_for_another_name(lab: Lab) -> list[Check]:
    number, ca = lab.stack.enter_context(tls_server(lab.folder / "home"))
    lab.toml = HOST
    return path(lab, {"https": f"https://127.0.0.1:{number}", "fqdn": "eim.lab.example", "ca": ca})


@fault("lab reserved", "reserved for ben until", "ask ben")
def somebody_elses_station(lab: Lab) -> list[Check]:
    lab.toml = HOST
    bench = lab.load()
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    reservations.reserve(station_key(bench.station("lab"), bench.home), "lab", until=end, by="ben")
    return list(doctor.held(bench, bench.station("lab")))


@fault("disk", "1.0 GB are free", "set [bench] runs to another disk")
def a_full_disk(lab: Lab) -> list[Check]:
    return overnight(lab, free=1_000_000_000)


@fault("sleep", "nothing keeps this host from going to sleep", "systemd-inhibit --what=sleep")
def a_laptop(lab: Lab) -> list[Check]:
    lab.fake.write("sys/power/state", "freeze mem disk")
    lab.on_fake()
    return overnight(lab)


ASLEEP = ("may put 1-1.4 (2c7c:0125 EG25-G) to sleep", "/sys/bus/usb/devices/1-1.4/power/control")


@fault("USB autosuspend", *ASLEEP, part="modem")
@fault("USB autosuspend", *ASLEEP, part="console")
def autosuspend(lab: Lab, part: str) -> list[Check]:
    lab.fake.modem()
    lab.fake.write("sys/devices/pci0/usb1/1-1.4/power/control", "auto")
    lab.on_fake()
    lab.toml = MODEM if part == "modem" else CONSOLE
    return overnight(lab)


@fault("clock", "not synchronised", "sudo timedatectl set-ntp true")
def no_time(lab: Lab) -> list[Check]:
    lab.on_fake()
    return overnight(lab)


@fault("certificates: pki P-256 DPpb", "at the end of the run: expired", "bench pki")
def a_certificate_that_ends_tonight(lab: Lab) -> list[Check]:
    from fixtures.pki import store

    pki = Pki.open(lab.folder / "home")
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=6)
    store.save(pki.folder, "dp_pb", pki.issue("dp_pb", not_after=soon))
    return overnight(lab)


@fault("unsafe marks", "its station may still be on", "bench safe --stale")
def a_run_that_died(lab: Lab) -> list[Check]:
    folder = lab.folder / "home" / "runs" / "20260101-000000-000-lab-aaaa"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"station": "lab"}')
    unsafe.mark(folder)
    return overnight(lab)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr("bench.station.discovery.at.ANSWER", 0.2)
    with ExitStack() as stack:
        yield Lab(tmp_path, FakeHost(tmp_path / "root"), stack)


@pytest.mark.parametrize(("plant", "name", "words", "remedy"), FAULTS)
def test_a_planted_fault_is_named_with_its_remedy(
    lab: Lab, plant: Callable[[Lab], list[Check]], name: str, words: str, remedy: str
) -> None:
    found = plant(lab)
    bad = [item for item in found if item.state in ("fail", "warn")]
    told = next((item for item in bad if item.name == name), None)
    assert told is not None, found
    assert words in told.text, told
    assert remedy in told.hint, told


def test_what_is_well_is_not_complained_of(lab: Lab) -> None:
    lab.fake.write("sys/power/state", "freeze mem disk")
    lab.fake.write("run/systemd/inhibit/1", "WHAT=sleep:idle\nWHO=bench\nWHY=soak\nMODE=block")
    lab.fake.write("run/systemd/timesync/synchronized", "")
    lab.fake.modem()
    lab.on_fake()
    lab.toml = MODEM
    assert {item.state for item in overnight(lab)} == {"ok"}
    resource = lab.stack.enter_context(supply(volts=3.8, on=True))
    says = {b"AT+CGSN": b"\r\n490154203237518\r\n\r\nOK\r\n"}
    device = lab.stack.enter_context(port(lambda line: says.get(line, b"OK\r\n")))
    lab.host = Host()
    lab.toml = MODEM.replace("usb:1-1.4:if02", device) + lab.power(resource, ', serial = "MY1"')
    assert [item for item in station(lab) if item.state == "fail"] == []
    number, ca = lab.stack.enter_context(tls_server(lab.folder / "home"))
    lab.toml = HOST
    (item,) = path(lab, {"https": f"https://127.0.0.1:{number}", "fqdn": "eim.bench.example", "ca": ca})
    assert item.state == "ok", item


def test_every_instrument_of_a_station_is_asked(lab: Lab) -> None:
    """Attenuator, console and relay board too, each with what it says of itself; nothing is switched."""
    heard: list[bytes] = []

    def board(line: bytes) -> bytes:
        heard.append(line)
        return numato(line)

    silent = lab.stack.enter_context(port(lambda line: heard.append(line) or b""))  # type: ignore[func-returns-value]
    lab.toml = (
        ATTENUATOR.format(lab.stack.enter_context(attenuator()), "")
        + f"""
    dut.reset = "relay1:3"
    dut.lines.relay1 = {{ driver = "numato-lines", port = "{lab.stack.enter_context(port(board))}" }}
    dut.console.app.port = "{silent}"
    dut.flash.command = ["true", "{{image}}"]
    """
    )
    told = {item.name: item for item in station(lab)}
    assert {item.state for item in told.values()} == {"ok"}, told
    assert "RCDAT-6000-90/11501150004 answers" in told["lab attenuator"].text
    assert told["lab attenuator"].text.endswith("channel 1 at 30.25 dB of 90 dB")
    assert silent in told["lab console:app port"].text
    assert told["lab lines:relay1"].text.endswith("AB12CD34 answers: reset (line 3) is off")
    assert told["lab flash"].text.endswith("/true")
    assert heard == [b"ver", b"id get", b"relay read 3"]


def test_a_card_that_a_person_moves_is_not_asked_for(lab: Lab) -> None:
    lab.toml = '[stations.lab]\nswitch = { driver = "ask" }\n'
    (item,) = station(lab)
    assert (item.name, item.state) == ("lab switch", "ok") and "moved by a person" in item.text


def test_there_are_fifteen_and_more() -> None:
    assert len(FAULTS) >= 15
