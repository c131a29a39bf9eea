"""bench doctor names planted faults, each with its remedy: one parametrised test, faults as a lab makes them.

The host is a tree of plain files (sysfs, procfs, device nodes) or this one; instruments are real servers and ptys.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import socket
import sys
import threading
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "station"))
from fake_host import FakeHost

from bench.client import doctor, doctor_overnight, doctor_path, doctor_station
from bench.client.doctor import Check
from bench.run import unsafe
from bench.station import config, reservations
from bench.station.host import Host
from bench.station.opening import station_key
from fixtures.pki import Pki


@contextmanager
def supply(*, serial: str = "MY1", volts: float = 0.0, on: bool = False) -> Iterator[str]:
    """A Keysight supply as it answers; returns its resource."""
    answers = {
        "*IDN?": f"Keysight Technologies,E36312A,{serial},1.0",
        "SYST:ERR?": '+0,"No error"',
        "*OPC?": "1",
        "OUTP?": str(int(on)),
        "MEAS:VOLT?": f"{volts}",
        "MEAS:CURR?": "0.01",
    }
    server = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:
            for raw in stream:
                line = raw.decode().strip()
                answer = answers.get(line.split(" (")[0], "0" if "?" in line else None)
                if answer is not None:
                    stream.write(answer.encode() + b"\n")
                    stream.flush()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"TCPIP::127.0.0.1::{server.getsockname()[1]}::SOCKET"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


@contextmanager
def at_port(answers: dict[bytes, bytes]) -> Iterator[str]:
    """A serial port with somebody behind it, or with nobody."""
    master, slave = os.openpty()
    tty.setraw(slave)

    def serve() -> None:
        line = b""
        while True:
            try:
                byte = os.read(master, 1)
            except OSError:
                return
            line += byte
            if byte == b"\r":
                os.write(master, answers.get(line.strip(), b"OK\r\n") if answers else b"")
                line = b""

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(slave)
        os.close(master)


@dataclass
class Lab:
    """Where a fault is planted, and what is looked at."""

    folder: Path
    fake: FakeHost
    stack: ExitStack
    toml: str = ""
    host: Host = field(default_factory=Host)

    def load(self) -> config.BenchConfig:
        path = self.folder / "bench.toml"
        path.write_text(self.toml)
        return config.load(path, environment={"BENCH_HOME": str(self.folder / "home")})

    def on_fake(self, **changes: Any) -> None:
        self.host = Host(root=self.fake.root, uid=4711, groups=frozenset({4711}), user="lab", **changes)

    def power(self, resource: str, more: str = "") -> str:
        return (
            f'power = {{ driver = "keysight-e36300", resource = "{resource}", voltage = 3.8, current_limit = 1.0, '
            f"voltage_max = 4.3{more} }}\n"
        )


async def gathered(items: AsyncIterator[Check]) -> list[Check]:
    return [item async for item in items]


def station(lab: Lab) -> list[Check]:
    return asyncio.run(gathered(doctor_station.station(lab.load().station("lab"), lab.host)))


def path(lab: Lab, eim: dict[str, str], **more: Any) -> list[Check]:
    return asyncio.run(gathered(doctor_path.path(lab.load().station("lab"), eim, lab.host, **more)))


def overnight(lab: Lab, **more: Any) -> list[Check]:
    bench = lab.load()
    found = [bench.stations["lab"]] if "lab" in bench.stations else []
    return list(doctor_overnight.overnight(bench, found, lab.host, hours=12, **more))


FAULTS: list[Any] = []


def fault(name: str, words: str, remedy: str) -> Callable[[Callable[[Lab], list[Check]]], None]:
    """Register a planted fault: the finding's name, words of its text, words of its remedy."""

    def register(plant: Callable[[Lab], list[Check]]) -> None:
        FAULTS.append(pytest.param(plant, name, words, remedy, id=plant.__name__))

    return register


MODEM = '[stations.lab]\nmodem = { driver = "at-modem", port = "usb:1-1.4:if02", port_needs_power = false }\n'


@fault("lab modem port", "is for group", "sudo usermod -aG")
def no_group(lab: Lab) -> list[Check]:
    lab.fake.modem()
    lab.on_fake()
    node = lab.fake.root / "dev/ttyUSB0"
    node.chmod(0o660)
    os.chown(node, -1, 20)  # dialout
    lab.toml = MODEM
    return station(lab)


@fault("lab power", "is for root only", 'ATTR{idVendor}=="2a8d"')
def usb_supply_without_udev_rule(lab: Lab) -> list[Check]:
    lab.fake.usb("1-2", "2a8d", "1002", "E36312A", "MY1")
    (lab.fake.root / "dev/bus/usb/001/012").chmod(0o600)
    lab.on_fake()
    lab.toml = "[stations.lab]\n" + lab.power("USB0::0x2A8D::0x1002::MY1::INSTR")
    return station(lab)


@fault("lab modem port", "held by ModemManager", "sudo systemctl mask --now ModemManager")
def modem_manager_holds_the_port(lab: Lab) -> list[Check]:
    lab.fake.modem()
    lab.fake.process(501, "ModemManager", "/dev/ttyUSB0")
    lab.on_fake()
    lab.toml = MODEM
    return station(lab)


@fault("lab modem port", "held by minicom (process 502", "kill 502")
def another_program_holds_the_port(lab: Lab) -> list[Check]:
    lab.fake.modem()
    lab.fake.process(502, "minicom", "/dev/ttyUSB0")
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
    lab.toml = MODEM.replace("usb:1-1.4:if02", lab.stack.enter_context(at_port({})))
    return station(lab)


@fault("lab modem", "the modem's IMEI is 490154203237526, 490154203237518 is pinned", "two modems exchanged")
def another_modem(lab: Lab) -> list[Check]:
    says = {b"AT+CGSN": b"\r\n490154203237526\r\n\r\nOK\r\n"}
    lab.toml = MODEM.replace("usb:1-1.4:if02", lab.stack.enter_context(at_port(says)))
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


@contextmanager
def tls_server(home: Path) -> Iterator[tuple[int, str]]:
    """An eIM's TLS end with the certificate of the bench's PKI; returns port and CA."""
    import ssl

    pki = Pki.open(home)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.folder / "eim_tls.crt.pem", pki.folder / "eim_tls.key.pem")
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                raw, _ = server.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server.getsockname()[1], str(pki.folder / "ci.crt.pem")
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


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


@fault("USB autosuspend", "may put 1-1.4 (2c7c:0125 EG25-G) to sleep", "/sys/bus/usb/devices/1-1.4/power/control")
def autosuspend(lab: Lab) -> list[Check]:
    lab.fake.modem()
    lab.fake.write("sys/devices/pci0/usb1/1-1.4/power/control", "auto")
    lab.on_fake()
    lab.toml = MODEM
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
    port = lab.stack.enter_context(at_port(says))
    lab.host = Host()
    lab.toml = MODEM.replace("usb:1-1.4:if02", port) + lab.power(resource, ', serial = "MY1"')
    assert [item for item in station(lab) if item.state == "fail"] == []
    number, ca = lab.stack.enter_context(tls_server(lab.folder / "home"))
    lab.toml = HOST
    (item,) = path(lab, {"https": f"https://127.0.0.1:{number}", "fqdn": "eim.bench.example", "ca": ca})
    assert item.state == "ok", item


def test_there_are_fifteen_and_more() -> None:
    assert len(FAULTS) >= 15
