"""GSMA's test profiles (TS.48): from the SM-DP+ over the modem's AT port onto the card, enabled by an eIM, registered.

The packages are not part of the project: these tests are skipped where they are missing.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ConfigurationError
from bench.rsp import ids, tlv
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.profiles import Package, Parameters, aka, find
from fixtures.profiles import build as build_package
from fixtures.sim.at import Interpreter
from fixtures.sim.kernel import Kernel, Streams
from fixtures.sim.network import Network
from fixtures.sim.subscribers import make_cells
from fixtures.sim.world import World, WorldOptions
from fixtures.sim.worldlog import WorldLog
from fixtures.smdpp.catalogue import Catalogue
from fixtures.smdpp.es9 import Es9
from fixtures.smdpp.orders import Orders
from fixtures.smdpp.store import Store

from . import parties

ADDRESS = "smdpp.bench.example"
PACKAGES = (
    "TS48V1-A-UNIQUE.der",
    "TS48V2-SAIP2-1-BERTLV-UNIQUE.der",
    "TS48V5-SAIP2-3-NOBERTLV-UNIQUE.der",
)
EVENTS = 200_000


def ts48(name: str) -> bytes:
    """A package by file name; the test is skipped where the folder is missing."""
    root = Path(os.environ.get("BENCH_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    path = root / "ts48" / name
    if not path.exists():
        pytest.skip(f"TS.48 samples are not there: set BENCH_SHARED_DATA to the folder that holds ts48/{name}")
    return path.read_bytes()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Phone:
    """A simulated world that runs as events are asked for, and its AT port. It is what a Terminal takes as a card."""

    def __init__(self, home: Path, *subscribers: Path) -> None:
        options = WorldOptions(home, profile="unit", pace=0, subscriber=list(subscribers))
        self.world = World(options)
        self.output = b""
        self.at = Interpreter(self.world.kernel, self.world.device, self._write, self.world.log)
        for cell in self.world.network.cells:
            self.world.network.switch(cell, True, "test", at_once=True)
        self.world.channel.rail.configure(voltage=3.8, limit=5.0, on=True)

    def _write(self, data: bytes) -> None:
        self.output += data

    def run(self, done: Any) -> None:
        for _ in range(EVENTS):
            if done():
                return
            assert self.world.kernel.run_next()
        raise AssertionError("it does not come to an end")

    def registered(self, imsi: str) -> bool:
        state = self.world.state()["modem"]
        return bool(state["state"] == "REGISTERED" and state["imsi"] == imsi)

    def command(self, line: str) -> list[str]:
        self.output = b""
        self.at.feed(line.encode() + b"\r")
        self.run(lambda: b"\r\nOK\r\n" in self.output or b"ERROR" in self.output)
        return [part for part in self.output.decode().split("\r\n") if part and part != line and part != line + "\r"]

    def transmit(self, command: bytes) -> bytes:
        for line in self.command(f'AT+CSIM={2 * len(command)},"{command.hex()}"'):
            if line.startswith("+CSIM:"):
                return bytes.fromhex(line.split('"')[1])
        raise AssertionError(self.output)


@dataclass
class Lab:
    """An SM-DP+ with a catalogue, an eIM, and a phone that knows how to reach neither: the test carries the bytes."""

    home: Path
    phone: Phone
    es9: Es9
    orders: Orders
    eim: parties.Eim
    terminal: parties.Terminal = field(init=False)

    def __post_init__(self) -> None:
        self.terminal = parties.Terminal(self.phone)  # type: ignore[arg-type]

    def call(self, function: str, **body: str) -> dict[str, Any]:
        answer = self.es9.functions[function](body)
        assert isinstance(answer, dict)
        return answer

    def download(self, profile: str) -> bytes:
        """A whole download from an order; the ProfileInstallationResult."""
        terminal = self.terminal
        order = self.orders.place(profile)
        info1 = terminal.es10(bytes.fromhex("bf2000"))
        challenge = tlv.first(terminal.es10(bytes.fromhex("bf2e00"))).children()[0].value
        first = self.call("initiateAuthentication", euiccChallenge=b64(challenge), euiccInfo1=b64(info1),
                          smdpAddress=ADDRESS)  # fmt: skip
        device = build(0xA1, build(0x80, bytes.fromhex("35290611")), build(0xA1))
        context = build(0xA0, build(0x80, order.matching_id.encode()), device)
        parts = (first[name] for name in ("serverSigned1", "serverSignature1", "euiccCiPKIdToBeUsed",
                                          "serverCertificate"))  # fmt: skip
        answer = terminal.es10(build(0xBF38, *(base64.b64decode(part) for part in parts), context))
        transaction = first["transactionId"]
        second = self.call("authenticateClient", transactionId=transaction, authenticateServerResponse=b64(answer))
        parts = (second[name] for name in ("smdpSigned2", "smdpSignature2", "smdpCertificate"))
        answer = terminal.es10(build(0xBF21, *(base64.b64decode(part) for part in parts)))
        third = self.call("getBoundProfilePackage", transactionId=transaction, prepareDownloadResponse=b64(answer))
        result = parties.load(terminal, base64.b64decode(third["boundProfilePackage"]))
        self.es9.functions["handleNotification"]({"pendingNotification": b64(result)})
        assert self.orders.store.order(order.id).state == "installed"
        return result


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("home")
    Pki.open(made)
    return made


def open_lab(home: Path, package: bytes, name: str) -> Iterator[Lab]:
    folder = home / "smdpp" / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.der"
    path.write_bytes(package)
    shutil.rmtree(home / "sim", ignore_errors=True)
    phone = Phone(home, path)
    pki = Pki.open(home)
    store = Store.open(home / "smdpp" / f"{name}.sqlite")
    orders = Orders(store, Catalogue(home), ADDRESS)
    es9 = Es9(pki=pki, store=store, orders=orders, address=ADDRESS, session_timeout=600.0, clock=lambda: 0.0)
    yield Lab(home, phone, es9, orders, parties.Eim(pki.eim))
    store.close()
    phone.world.slot.power_off()
    phone.world._lock.close()


def switched(lab: Lab, package: bytes, name: str) -> None:
    """Register with the bootstrap profile, download, enable by an eUICC package, and register with the new one."""
    phone, terminal = lab.phone, lab.terminal
    subscription = find(package)
    phone.run(lambda: phone.registered("001010000000001"))
    phone.command("ATE0")
    terminal.open_isd_r()
    kind, sima = parties.pir(lab.download(name))
    assert (kind, sima) == ("ok", bytes.fromhex("3007a0053003800100"))
    lab.eim.associate(terminal)
    enable = build(0xA3, build(0x5A, ids.iccid_bytes(subscription.iccid)))
    assert parties.results(terminal.es10(lab.eim.package(enable)))[0] == "830100"
    # The card holds a REFRESH (91xx); the modem fetches it, resets the card and registers with what it reads then.
    phone.run(lambda: phone.registered(subscription.imsi))


@pytest.mark.parametrize("name", PACKAGES)
def test_download_enable_register(home: Path, name: str) -> None:
    package = ts48(name)
    stem = name.removesuffix(".der").lower()
    labs = open_lab(home, package, stem)
    lab = next(labs)
    try:
        switched(lab, package, stem)
        phone, iccid = lab.phone, Package.parse(package).iccid
        assert phone.command("AT+CIMI") == ["001010123456063", "OK"]
        assert phone.command("AT+QCCID") == [f"+QCCID: {iccid:F<20}", "OK"]
        assert phone.command("AT+CEREG?")[0].split(",")[1] == "1"
        assert phone.command("AT+CPIN?") == ["+CPIN: READY", "OK"]
        iccid_file, plmn = ids.iccid_bytes(iccid).hex().upper(), "00F110"
        read = {
            "176,12258,0,0,10": iccid_file,
            "176,28423,0,0,9": "080910101032540636",  # IMSI
            "176,28589,0,0,4": "80000002",  # AD: type approval
            "176,28542,0,0,11": "FFFFFFFF42F618FFFEFF01",  # LOCI as the package has it
            "176,28539,0,0,12": "FF" * 12,  # FPLMN
            "176,28486,0,0,17": "01" + b"GSMA\x11TEST".hex().upper() + "FF" * 7,  # SPN
            "178,28480,1,4,0": None,  # MSISDN
        }
        for arguments, content in read.items():
            answer = phone.command(f"AT+CRSM={arguments}")[0]
            assert answer.startswith("+CRSM: 144,0,"), (arguments, answer)
            if content is not None:
                assert answer.split('"')[1] == content, arguments
        # The modem has stored where it is registered.
        location = phone.command("AT+CRSM=176,28643,0,0,18")[0].split('"')[1]
        assert location[24:30] == plmn and location.endswith("00")
        assert [cell.last_imsi for cell in phone.world.network.cells if cell.plmn == "00101"] == ["001010123456063"]
        known = [imsi for cell in phone.world.network.cells for imsi in cell.hss]
        assert known.count("001010123456063") == 1
        # The key of the package is in no record of the world.
        record = (home / "sim" / "sim" / "world.jsonl").read_text().lower()
        assert find(package).k.hex() not in record
        assert "001010123456063" in record
    finally:
        next(labs, None)


TUAK_K, TOPC = bytes(range(32)), bytes(range(32, 64))


@pytest.mark.parametrize("algorithm", [aka.Algorithm.XOR, aka.Algorithm.MILENAGE, aka.Algorithm.TUAK])
def test_every_algorithm_registers_in_a_cell_of_its_own_plmn(home: Path, algorithm: aka.Algorithm) -> None:
    """A package of ours for a PLMN that the bench does not have: card and network have their keys from it alone."""
    tuak = algorithm is aka.Algorithm.TUAK
    imsi = f"31041000000000{algorithm.value}"
    package = build_package(
        Parameters(
            f"8949{algorithm.value}00000000000000{algorithm.value}",
            imsi,
            TUAK_K if tuak else TUAK_K[:16],
            TOPC if tuak else TOPC[:16],
            "ELSEWHERE",
            "iot.example",
            mnc_length=3,
            algorithm=algorithm,
        )
    )
    labs = open_lab(home, package, f"elsewhere-{algorithm.name.lower()}")
    lab = next(labs)
    try:
        switched(lab, package, f"elsewhere-{algorithm.name.lower()}")
        assert lab.phone.command("AT+CIMI") == [imsi, "OK"]
        assert lab.phone.command("AT+CEREG?")[0].split(",")[1] == "1"
        assert [cell.last_imsi for cell in lab.phone.world.network.cells if cell.plmn == "310410"] == [imsi]
        assert lab.phone.command("AT+CRSM=176,28542,0,0,11")[0].startswith("+CRSM: 144,0,")
    finally:
        next(labs, None)


def test_a_modem_reads_and_writes_what_modems_do(home: Path) -> None:
    """Path and short identifier, records, BER-TLV objects and the identity, through +CRSM and +CSIM."""
    package = ts48("TS48V2-SAIP2-1-BERTLV-UNIQUE.der")
    labs = open_lab(home, package, "ts48-walk")
    lab = next(labs)
    phone = lab.phone
    try:
        switched(lab, package, "ts48-walk")
        # FCP by GET RESPONSE, absent files, EF.DIR to its end, PLMN lists
        assert phone.command("AT+CRSM=192,28423,0,0,0")[0].startswith('+CRSM: 144,0,"6217820241218302')
        assert phone.command("AT+CRSM=176,28478,0,0,8")[0].startswith("+CRSM: 144,0,")  # GID1
        assert phone.command("AT+CRSM=176,28672,0,0,1")[0] == '+CRSM: 106,130,""'
        records = [phone.command(f"AT+CRSM=178,12032,{number},4,33")[0] for number in range(1, 6)]
        assert [record.split(",")[1] for record in records] == ["0"] * 4 + ["131"]
        assert "A0000000871002FF49FF0589" in records[0]
        assert phone.command("AT+CRSM=176,28512,0,0,170")[0].split('"')[1] == "FFFFFF0000" * 34  # PLMNwAcT
        assert phone.command("AT+CRSM=242,0,0,0,0")[0].startswith('+CRSM: 144,0,"62')
        # EF.URSP is a BER-TLV file: empty, an object, its length
        file, path = 20235, "7FFF5FC0"
        assert phone.command(f'AT+CRSM=203,{file},0,128,0,"5C","{path}"')[0] == '+CRSM: 144,0,"5C00"'
        assert phone.command(f'AT+CRSM=219,{file},0,128,0,"80020102","{path}"')[0] == '+CRSM: 105,130,""'  # ADM1
        assert phone.command('AT+CSIM=26,"0020000A083535353535353535"')[0] == '+CSIM: 4,"9000"'
        assert phone.command(f'AT+CRSM=219,{file},0,128,0,"80020102","{path}"')[0] == '+CRSM: 144,0,""'
        assert phone.command(f'AT+CRSM=203,{file},0,128,0,"80","{path}"')[0] == '+CRSM: 144,0,"80020102"'
        # FPLMN by the host, kept over CFUN, and read by the modem
        assert phone.command('AT+CRSM=214,28539,0,0,12,"62F220FFFFFFFFFFFFFFFFFF"')[0] == '+CRSM: 144,0,""'
        phone.command("AT+CFUN=0")
        phone.command("AT+CFUN=1")
        phone.run(lambda: phone.registered("001010123456063"))
        assert phone.world.state()["modem"]["fplmn"][:1] == ["26202"]
        assert phone.command("AT+CRSM=176,28539,0,0,12")[0].split('"')[1] == "62F220" + "FF" * 9
    finally:
        next(labs, None)


LAB = """
[profile]
iccid = "8949440000001142702"
imsi = "001010000000042"
k = "465b5ce8b199b49faa5f0a2ee238a6bc"
opc = "cd63cb71954a9f4e48a5994e37a02baf"
spn = "LAB"
apn = "lab.example"
provider = "Lab operator"
class = "provisioning"
fallback_allowed = true
[[files]]
path = "7FFF/6F7E"
content = "ffffffff00f110fffeff01"
"""


def test_a_described_profile_and_metadata_of_a_given_one_come_over_the_sm_dp_plus(home: Path) -> None:
    """The lab's own: NAME.toml alone is built, NAME.toml beside NAME.der is the metadata, and what no card takes."""
    labs = open_lab(home, build_package(Parameters("8949100000000000001", "001010000000077", bytes(16), bytes(16),
                                                   "OWN", None)), "own")  # fmt: skip
    lab = next(labs)
    folder = home / "smdpp" / "profiles"
    try:
        (folder / "lab.toml").write_text(LAB)
        (folder / "own.toml").write_text('[profile]\nprovider = "Given"\nname = "Own"\nppr = ["PPR2"]\n')
        whole = (folder / "own.der").read_bytes()
        # UST says services multos: the card has no such runtime
        (folder / "multos.der").write_bytes(whole.replace(bytes.fromhex("a50481008400"), bytes.fromhex("a50481008c00")))
        lab.phone.run(lambda: lab.phone.registered("001010000000001"))
        lab.phone.command("ATE0")
        lab.terminal.open_isd_r()
        for name in ("lab", "own"):
            kind, sima = parties.pir(lab.download(name))
            assert (kind, sima) == ("ok", bytes.fromhex("3007a0053003800100")), name
        listed = {
            info.find(0x91).value: {part.tag: part.value for part in info.children()}  # type: ignore[union-attr]
            for info in tlv.first(lab.terminal.es10(build(0xBF2D, build(0x5C, bytes.fromhex("5a919295999f67")))))
            .children()[0]
            .children()
        }
        assert listed[b"Lab operator"][0x95] == b"\x01"
        assert listed[b"Lab operator"][0x9F67] == b"\xff"
        assert (listed[b"Given"][0x92], listed[b"Given"][0x99].hex()) == (b"Own", "0520")
        (folder / "own.toml").unlink()
        with pytest.raises(AssertionError):  # the order says so too: it is not installed
            lab.download("multos")
        assert [order.state for order in lab.orders.store.orders()].count("error") == 1
    finally:
        next(labs, None)


def test_a_subscriber_with_other_keys_and_what_is_no_package_are_refused(tmp_path: Path) -> None:
    parameters = Parameters("8949100000000000001", "001010000000001", bytes(16), bytes(16), "X", None)
    (tmp_path / "same-imsi.der").write_bytes(build_package(parameters))
    (tmp_path / "nothing.der").write_bytes(b"nothing")
    for name, text in (
        ("same-imsi.der", "other keys"),
        ("nothing.der", "no subscriber"),
        ("none.der", "cannot be read"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            make_cells(
                Network(Kernel(), Streams(1), WorldLog(Kernel(), None)),
                tmp_path,
                [tmp_path / name],
                rat="LTE",
                sequences={},
                stepped=lambda: None,
            )


def test_pin_and_puk_at_the_modem(home: Path) -> None:
    """The PIN of the package, through the AT port: asked for after a restart, blocked, unblocked, off again."""
    shutil.rmtree(home / "sim", ignore_errors=True)
    phone = Phone(home)

    def restart(state: str) -> None:
        phone.command("AT+CFUN=0")
        phone.command("AT+CFUN=1")
        phone.run(lambda: phone.world.device.sim == state)

    try:
        phone.run(lambda: phone.registered("001010000000001"))
        phone.command("ATE0;+CMEE=1")
        assert phone.command('AT+CLCK="SC",2') == ["+CLCK: 0", "OK"]
        assert phone.command('AT+CLCK="SC",1,"1111"') == ["+CME ERROR: 16"]
        assert phone.command('AT+CLCK="SC",1,"0000"') == ["OK"]
        assert phone.command('AT+CLCK="SC",2') == ["+CLCK: 1", "OK"]
        assert phone.command('AT+CPIN="0000"') == ["+CME ERROR: 3"]  # nothing is asked for now
        restart("locked")
        assert phone.command("AT+CPIN?") == ["+CPIN: SIM PIN", "OK"]
        assert phone.command("AT+CIMI") == ["+CME ERROR: 11"]
        assert phone.world.state()["modem"]["state"] != "REGISTERED"
        for wrong, error in (("12", 16), ("1234", 16), ("1234", 16), ("1234", 12)):
            assert phone.command(f'AT+CPIN="{wrong}"') == [f"+CME ERROR: {error}"]
        assert phone.command("AT+CPIN?") == ["+CPIN: SIM PUK", "OK"]
        restart("locked")
        assert phone.command("AT+CPIN?") == ["+CPIN: SIM PUK", "OK"]
        assert phone.command('AT+CPIN="0000"') == ["+CME ERROR: 12"]
        assert phone.command('AT+CPIN="22222222","4321"') == ["+CME ERROR: 16"]
        assert phone.command('AT+CPIN="11111111","4321"') == ["OK"]
        phone.run(lambda: phone.registered("001010000000001"))
        assert phone.command("AT+CPIN?") == ["+CPIN: READY", "OK"]
        assert phone.command('AT+CPWD="SC","4321","0000"') == ["OK"]
        assert phone.command('AT+CPWD="P2","9999","8888"') == ["OK"]
        restart("locked")
        assert phone.command('AT+CLCK="SC",0,"0000"') == ["OK"]
        phone.run(lambda: phone.registered("001010000000001"))
        restart("ready")
        assert phone.command("AT+CPIN?") == ["+CPIN: READY", "OK"]
    finally:
        phone.world.slot.power_off()
        phone.world._lock.close()


def test_vectors_without_the_separation_bit_are_for_no_eps_device(home: Path) -> None:
    shutil.rmtree(home / "sim", ignore_errors=True)
    phone = Phone(home)
    try:
        cell = phone.world.network.cell(1)
        phone.world.change_cell({"cell": 1, "amf": "0000"})
        assert cell.amf == bytes(2)
        seen = []
        phone.world.device.mobility.log = lambda what, **data: seen.append((what, data))
        phone.run(lambda: ("nas", {"message": "auth_fail", "cause": 26}) in seen)
        assert not phone.registered("001010000000001")
    finally:
        phone.world.slot.power_off()
        phone.world._lock.close()
