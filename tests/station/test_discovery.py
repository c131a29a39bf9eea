"""Discovery: ports by topology from a made-up sysfs, who answers AT on a pty, *IDN?, and the proposed bench.toml."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_host import FakeHost
from hypothesis import given
from hypothesis import strategies as st
from port_double import listener, numato, port

from bench.errors import ConfigurationError
from bench.station import config
from bench.station.discovery import at, pcsc, proposal, scpi, worlds
from bench.station.discovery.finding import Found, FoundPort, Suggested, World, suggested
from bench.station.discovery.ports import SerialPort, UsbDevice, natural, resolve, serial_ports, usb_devices
from bench.station.host import Host
from bench.station.interfaces import Identity


@pytest.fixture
def fake(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path / "root")


# --- ports ------------------------------------------------------------------------------------------------------------


def test_ports_are_named_by_place_and_serial(fake: FakeHost) -> None:
    fake.modem("1-1.10", "AAA", first=0)
    fake.modem("1-1.9", "BBB", first=2)
    fake.node("dev/ttyS0")
    for name, kind in (("ttyS0", "0"), ("ttyS1", "4")):
        folder = fake.root / f"sys/devices/platform/{name}"
        fake.write(f"sys/devices/platform/{name}/type", kind)
        (folder / "device").symlink_to(folder)
        (fake.root / "sys/class/tty" / name).symlink_to(folder)
    (fake.root / "dev/serial/by-id").mkdir(parents=True)
    (fake.root / "dev/serial/by-id/usb-Maker_EG25-G_BBB-if02-port0").symlink_to("../../ttyUSB2")
    found = serial_ports(fake.host)
    assert [(port.address, port.device) for port in found] == [
        ("/dev/ttyS1", "/dev/ttyS1"),
        ("usb:1-1.9:if02", "/dev/ttyUSB2"),
        ("usb:1-1.9:if03", "/dev/ttyUSB3"),
        ("usb:1-1.10:if02", "/dev/ttyUSB0"),
        ("usb:1-1.10:if03", "/dev/ttyUSB1"),
    ]
    assert found[1].usb is not None and found[1].usb.serial == "BBB"
    assert found[1].by_id == "/dev/serial/by-id/usb-Maker_EG25-G_BBB-if02-port0"
    assert found[1].title == "Maker EG25-G (2c7c:0125)"
    assert resolve("usb:1-1.9", fake.host) == resolve("usb:1-1.9:if02", fake.host) == found[1]
    assert resolve("usb:1-1.8:if02", fake.host) is None
    assert resolve("/dev/serial/by-id/usb-Maker_EG25-G_BBB-if02-port0", fake.host) == found[1]
    assert resolve("/dev/ttyUSB9", fake.host) is None
    assert [device.place for device in usb_devices(fake.host)] == ["1-1.9", "1-1.10"]


def test_places_sort_by_number() -> None:
    assert sorted(["1-1.10", "1-2", "1-1.9", "2-1"], key=natural) == ["1-1.9", "1-1.10", "1-2", "2-1"]


def test_who_may_and_who_holds(fake: FakeHost) -> None:
    node = fake.node("dev/ttyUSB0", 0o660)
    group = node.stat().st_gid
    allowed = Host(root=fake.root, uid=4711, groups=frozenset({group}), user="lab")
    if group != 0:
        assert allowed.access("/dev/ttyUSB0").allowed
    refused = fake.host.access("/dev/ttyUSB0")
    assert not refused.allowed and refused.remedy
    assert fake.host.access("/dev/none").text == "/dev/none: no such file or directory"
    fake.process(77, "minicom", "/dev/null", "/dev/ttyUSB0")
    fake.process(78, "ModemManager", "/dev/ttyUSB1")
    assert [holder.name for holder in fake.host.holders("/dev/ttyUSB0")] == ["minicom"]
    assert at.ask("/dev/ttyUSB0", fake.host).state == "held"
    told = at.ask("/dev/ttyUSB1", fake.host)
    assert told.state == "held" and "mask --now ModemManager" in told.hint
    assert fake.host.running("ModemManager") is not None and fake.host.running("pcscd") is None


# --- AT ---------------------------------------------------------------------------------------------------------------


REAL = {
    # Quectel EG25-G with echo on and URCs in between (reference/instruments_modems.md section 2.8).
    b"AT": b"AT\r\r\nOK\r\n",
    b"AT+CGMI": b"AT+CGMI\r\r\n+CEREG: 1\r\n\r\nQuectel\r\n\r\nOK\r\n",
    b"AT+CGMM": b"AT+CGMM\r\r\nEG25\r\n\r\nOK\r\n",
    b"AT+CGMR": b"AT+CGMR\r\r\nEG25GGBR07A08M2G\r\n\r\nOK\r\n",
    b"AT+CGSN": b"AT+CGSN\r\r\n490154203237518\r\n\r\nOK\r\n",
}
NORDIC = {
    b"AT": b"OK\r\n",
    b"AT+CGMI": b"Nordic Semiconductor ASA\r\nOK\r\n",
    b"AT+CGMM": b"nRF9160-SICA\r\nOK\r\n",
    b"AT+CGMR": b"mfw_nrf9160_1.3.5\r\nOK\r\n",
    b"AT+CGSN": b'+CGSN: "352656100367872"\r\nOK\r\n',
}


@pytest.mark.parametrize(
    ("says", "model", "imei"), [(REAL, "EG25", "490154203237518"), (NORDIC, "nRF9160-SICA", "352656100367872")]
)
def test_a_modem_is_recognised(says: dict[bytes, bytes], model: str, imei: str) -> None:
    with port(lambda line: says.get(line, b"\r\nERROR\r\n")) as device:
        told = at.ask(device, _own_host(device), answer=0.5)
    assert (told.state, told.model, told.serial) == ("modem", model, imei)


def _own_host(device: str) -> Host:
    class Alone(Host):
        def holders(self, device: str) -> list:  # type: ignore[type-arg]
            return []  # this test's own process has the other end

    return Alone()


def test_a_relay_board_a_console_and_silence() -> None:
    with port(numato) as device:
        told = at.ask(device, _own_host(device), answer=0.3)
    assert (told.state, told.firmware, told.serial) == ("relay", "00000008", "AB12CD34")
    with port(lambda line: b"login: ") as device:
        assert at.ask(device, _own_host(device), answer=0.1).state == "other"
    with port(lambda line: b"") as device:
        assert at.ask(device, _own_host(device), answer=0.05).state == "silent"


def test_a_port_that_is_locked_gets_not_a_byte() -> None:
    heard: list[bytes] = []
    with port(lambda line: heard.append(line) or b"OK\r\n") as device:  # type: ignore[func-returns-value]
        fd = os.open(device, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            assert at.ask(device, _own_host(device), answer=0.1).state == "held"
        finally:
            os.close(fd)
    assert heard == []


def test_the_far_end_of_a_pty_is_no_user_of_it() -> None:
    master, slave = os.openpty()
    try:
        found = Host().holders(os.ttyname(slave))
        assert not [holder for holder in found if holder.pid == os.getpid()]
    finally:
        os.close(master)
        os.close(slave)


@given(st.binary(max_size=300), st.sampled_from(["AT+CGMI", "AT+CGSN", "ver"]))
def test_whatever_a_port_says_is_one_short_printable_line(heard: bytes, command: str) -> None:
    text = at.information(heard, command)
    assert len(text) <= 64 and "\n" not in text and "\r" not in text


# --- SCPI -------------------------------------------------------------------------------------------------------------


def test_hosts() -> None:
    assert scpi.hosts_of(["192.0.2.1", "psu.lab:5555", "[::1]:5025"]) == [
        ("192.0.2.1", None),
        ("psu.lab", 5555),
        ("::1", 5025),
    ]
    assert scpi.hosts_of([], ["192.0.2.0/30"]) == [("192.0.2.1", None), ("192.0.2.2", None)]
    for bad in (["a:b"], [":5025"], ["h:0"], ["h:70000"]):
        with pytest.raises(ConfigurationError):
            scpi.hosts_of(bad)
    for network in ("10.0.0.0/8", "x", "192.0.2.0/99"):
        with pytest.raises(ConfigurationError):
            scpi.hosts_of([], [network])


@contextmanager
def tcp(answer: bytes | None) -> Iterator[int]:
    """A server that answers one line to whatever comes; None closes at once."""

    def serve(connection: socket.socket) -> None:
        if answer is not None:
            connection.recv(100)
            connection.sendall(answer)

    with listener(serve) as number:
        yield number


@pytest.mark.parametrize(
    ("answer", "model", "driver"),
    [
        (b"Keysight Technologies,E36312A,MY59001234,2.1.0\n", "E36312A", "keysight-e36300"),
        (b"RIGOL TECHNOLOGIES,DP832,DP8A1234,00.01.16\n", "DP832", None),
        (b"Rohde&Schwarz,CMW,1201.0002k50/101234,3.7.20\n", "CMW", "rs-cmw500"),
        (b"Fluke,8845A,1,1\n", "8845A", ""),
    ],
)
def test_instruments_and_their_drivers(answer: bytes, model: str, driver: str | None) -> None:
    with tcp(answer) as number:
        (found,) = asyncio.run(scpi.look([("127.0.0.1", number)]))
    assert found.resource == f"TCPIP::127.0.0.1::{number}::SOCKET"
    assert found.identity.model == model
    chosen = suggested(found).driver
    assert chosen == driver if driver is not None else "rigol" in chosen


def test_what_is_no_instrument() -> None:
    with tcp(None) as number:
        (found,) = asyncio.run(scpi.look([("127.0.0.1", number)]))
        assert "only session" in found.hint and found.identity == Identity()
    with tcp(b"HTTP/1.1 400 Bad Request\r\n") as number:
        (found,) = asyncio.run(scpi.look([("127.0.0.1", number)]))
        assert found.identity == Identity() and suggested(found).driver == ""
    assert asyncio.run(scpi.look([("127.0.0.1", number)])) == []  # nobody listens any more


def test_usb_instruments_and_the_udev_rule(fake: FakeHost) -> None:
    fake.usb("1-2", "2a8d", "1002", "E36312A", "MY1")
    folder = fake.interface("1-2", 0)
    (folder / "bInterfaceClass").write_text("fe\n")
    (folder / "bInterfaceSubClass").write_text("03\n")
    node = fake.root / "dev/bus/usb/001/012"
    assert stat.S_IMODE(node.stat().st_mode) == 0o666
    (found,) = scpi.usb_instruments(fake.host, usb_devices(fake.host))
    assert (found.resource, found.text) == ("USB0::0x2A8D::0x1002::MY1::INSTR", "")
    node.chmod(0o600)
    (found,) = scpi.usb_instruments(fake.host, usb_devices(fake.host))
    assert 'ATTR{idVendor}=="2a8d", ATTR{idProduct}=="1002", MODE="0660"' in found.hint


# --- the proposal -----------------------------------------------------------------------------------------------------


def modem(place: str, imei: str, interface: int = 2) -> FoundPort:
    usb = UsbDevice(place, "2c7c", "0125", "Quectel", "EG25-G", "S" + place)
    answer = at.PortAnswer("modem", "answers AT", "", "Quectel", "EG25", "R07", imei)
    return FoundPort(SerialPort(f"/dev/ttyUSB{interface}", f"usb:{place}:if{interface:02d}", usb, interface), answer)


def accepted(text: str, folder: Path) -> config.BenchConfig:
    path = folder / "proposed.toml"
    path.write_text(text)
    return config.load(path, environment={"BENCH_HOME": str(folder)})


def test_a_lab_is_proposed(tmp_path: Path) -> None:
    supply = Suggested(
        scpi.FoundInstrument("TCPIP::192.0.2.10::5025::SOCKET", Identity("Keysight", "E36312A", "MY1", "2.1")),
        "power", "keysight-e36300", 3, True,
    )  # fmt: skip
    emulator = Suggested(
        scpi.FoundInstrument("TCPIP::192.0.2.11::5025::SOCKET", Identity("Rohde&Schwarz", "CMW", "12", "3")),
        "network", "rs-cmw500", 1, True,
    )  # fmt: skip
    unknown = Suggested(
        scpi.FoundInstrument("TCPIP::192.0.2.12::5025::SOCKET", Identity("Fluke", "8845A\n[x]", "1", "1"))
    )
    reader = pcsc.FoundReader('Reader "A" 00 00', "R1", "", "3B00", "89049032123451234512345678901235")
    silent = FoundPort(SerialPort("/dev/ttyUSB9", "usb:1-3:if00"), at.PortAnswer("silent", "nothing\nanswers", "hint"))
    found = Found(
        (modem("1-1", "490154203237518"), modem("1-1", "490154203237518", 3), modem("1-2", "490154203237526"), silent),
        (reader,),
        (supply, emulator, unknown),
        problems=(("pcscd does not run", "sudo"),),
        interfaces={"1-1": "wwan0"},
    )
    text = proposal.bench_toml(found)
    bench = accepted(text, tmp_path)
    first, second = bench.station("eg25"), bench.station("eg25-2")
    assert first.power is not None and second.power is not None and first.modem is not None and second.modem is not None
    assert (first.power.channel, second.power.channel, first.power.serial) == (1, 2, "MY1")
    assert first.power.shared is True
    assert (first.modem.port, first.modem.imei) == ("usb:1-1:if02", "490154203237518")
    assert second.modem.imei == "490154203237526"
    assert first.data is not None and first.data.path == "modem"
    card = bench.station("reader").card
    assert card is not None and card.reader == 'Reader "A" 00 00' and card.eid.endswith("235")
    for words in ("CHECK channel and voltages", "usb:1-1:if03", "8845A [x]", "nothing answers", "pcscd does not run"):
        assert words in text
    assert not first.expendable


def test_one_of_each_is_a_switched_card(tmp_path: Path) -> None:
    relay = FoundPort(SerialPort("/dev/ttyACM0", "usb:1-4:if00"), at.PortAnswer("relay", serial="AB"))
    reader = pcsc.FoundReader("Reader 00 00", atr="3B00", eid="89049032123451234512345678901235")
    text = proposal.bench_toml(Found((modem("1-1", "490154203237518"), relay), (reader,)))
    station = accepted(text, tmp_path).station("eg25")
    assert station.card is not None and station.card.at == "switch"
    assert station.switch is not None and station.switch.port == "usb:1-4:if00"


def test_nothing_found_is_a_file_that_is_accepted(tmp_path: Path) -> None:
    assert "sim" in accepted(proposal.bench_toml(Found()), tmp_path).stations


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20))
def test_no_name_breaks_the_file(tmp_path_factory: pytest.TempPathFactory, model: str, name: str, serial: str) -> None:
    item = modem("1-1", "490154203237518")
    assert item.answer is not None
    answer = at.PortAnswer("modem", "", "", name, model, serial, "490154203237518")
    instrument = scpi.FoundInstrument(f"TCPIP::{name}::1::SOCKET", Identity(name, model, serial, name), name, model)
    found = Found(
        (FoundPort(item.port, answer),),
        (pcsc.FoundReader(name, serial, atr="3B00", text=model),),
        (Suggested(instrument, "power", "scpi-supply", 1, False), Suggested(instrument)),
        problems=((name, model),),
    )
    import tomllib

    table = tomllib.loads(proposal.bench_toml(found))
    assert table["instruments"]["psu1"]["driver"] == "scpi-supply"


# --- simulated benches ------------------------------------------------------------------------------------------------


def test_worlds_are_found_while_they_live(tmp_path: Path) -> None:
    told = {"stations": {"sim": {}}, "pid": os.getpid(), "control": "/x"}
    with worlds.announced(tmp_path, "sim", told) as path:
        (found,) = worlds.running(tmp_path)
        assert found["home"] == str(tmp_path) and path.is_file()
    assert worlds.running(tmp_path) == [] and not path.exists()
    path.write_text('{"stations": {}, "pid": 4194305}')  # beyond every process id: one that was killed
    assert worlds.running(tmp_path) == []
    path.write_text("{")
    assert worlds.running(tmp_path) == []
    with pytest.raises(ConfigurationError, match="announcement"):
        worlds.read(path)


def test_a_world_that_says_little_is_still_a_station(tmp_path: Path) -> None:
    world = World("sim", {"stations": {}, "control": "/c"}, {"power": {"resource": "TCPIP::127.0.0.1::1::SOCKET"}})
    text = proposal.bench_toml(Found(worlds=(world,)))
    assert "does not say who it is" in text
    assert accepted(text, tmp_path).station("sim-up").simulated
