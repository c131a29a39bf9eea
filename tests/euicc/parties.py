"""The other parties of the card, small and by the book: a terminal, an SM-DP+ and an eIM."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from bench.rsp import bsp, certs, download, ecdsa, ids, packages, tlv
from bench.rsp.tlv import build
from fixtures.pki import Credential, Pki
from fixtures.profiles import Package, Parameters, metadata
from fixtures.profiles import build as build_package
from fixtures.sim.euicc import EuiccOptions, Preloaded, VirtualEuicc

EID = "89049032123451234512345678901235"
ISD_R = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
USIM = bytes.fromhex("A0000000871002")
TERMINAL_PROFILE = "8010000008FFFFFFFF7F1100DF"
"""A terminal that fetches proactive commands."""
K = bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc")
OPC = bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf")
BOOT_ICCID = "8900101000000000019"
OPER_ICCID = "8900101000000000027"
EIM_ID = "eim.bench.example"
ADDRESS = "smdpp.bench.example"


@cache
def bootstrap() -> bytes:
    return build_package(
        Parameters(BOOT_ICCID, "001010000000001", K, OPC, "BOOT", "bootstrap.iot", profile_type="bootstrap")
    )


@cache
def operational() -> bytes:
    return build_package(Parameters(OPER_ICCID, "999700000000002", K, OPC, "OPER", "internet"))


def numbered(number: int, **changes: object) -> bytes:
    """An operational package of its own ICCID and IMSI."""
    digits = f"890010100000000{100 + number}"
    values: dict[str, object] = {"iccid": digits + ids.luhn_digit(digits), "imsi": f"00101000000{1000 + number}"}
    values |= {"k": K, "opc": OPC, "spn": f"S{number}", "apn": "internet", "profile_type": f"P{number}"}
    return build_package(Parameters(**(values | changes)))  # type: ignore[arg-type]


def iccid_of(package: bytes) -> str:
    return Package.parse(package).iccid


class Refused(Exception):
    """A command ended with this status word."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status:04X}")
        self.status = status


@dataclass
class Terminal:
    """A T=0 terminal: GET RESPONSE, 6Cxx, STORE DATA chains. ``cut_after``: the power goes after so many APDUs."""

    card: VirtualEuicc
    channel: int = 0
    log: list[tuple[bytes, bytes]] = field(default_factory=list)
    cut_after: int | None = None

    def raw(self, command: bytes | str) -> bytes:
        command = bytes.fromhex(command) if isinstance(command, str) else command
        if self.cut_after is not None and len(self.log) >= self.cut_after:
            self.card.power_off()
            raise PowerCut
        answer = self.card.transmit(command)
        self.log.append((command, answer))
        return answer

    def apdu(self, command: bytes | str) -> tuple[bytes, int]:
        """Data and status word after GET RESPONSE and 6Cxx."""
        command = bytes.fromhex(command) if isinstance(command, str) else command
        answer = self.raw(command)
        if answer[-2] == 0x6C:
            answer = self.raw(command[:4] + answer[-1:])
        data = answer[:-2]
        while answer[-2] == 0x61:
            answer = self.raw(bytes((command[0] & 0x4F, 0xC0, 0, 0, answer[-1])))
            data += answer[:-2]
        return data, int.from_bytes(answer[-2:], "big")

    def ok(self, command: bytes | str) -> bytes:
        data, status = self.apdu(command)
        if status != 0x9000 and status >> 8 != 0x91:
            raise Refused(status)
        return data

    def dump(self) -> str:
        """Everything that the card keeps."""
        return self.card._core.state.dump()

    def reset(self) -> None:
        """Reset the card and select its ISD-R again."""
        self.card.reset()
        self.open_isd_r()

    def unchanged(self, request: bytes | str, expected: str) -> None:
        """Send a request that must be answered so and change nothing."""
        before = self.dump()
        answer = self.es10(bytes.fromhex(request) if isinstance(request, str) else request).hex()
        assert answer == expected, answer
        assert self.dump() == before

    def refused(self, request: bytes | str, status: int) -> None:
        """Send a request that must be answered with this status word and change nothing."""
        before = self.dump()
        with pytest.raises(Refused, match=f"{status:04X}"):
            self.es10(bytes.fromhex(request) if isinstance(request, str) else request)
        assert self.dump() == before

    def open_isd_r(self) -> None:
        self.ok(TERMINAL_PROFILE)
        self.channel = self.ok("0070000001")[0]
        self.ok(bytes((self._cla(False), 0xA4, 4, 0, 16)) + ISD_R)

    def _cla(self, proprietary: bool) -> int:
        base = 0x80 if proprietary else 0
        return base | self.channel if self.channel < 4 else base | 0x40 | (self.channel - 4)

    def es10(self, data: bytes, block: int = 255) -> bytes:
        pieces = [data[i : i + block] for i in range(0, len(data), block)]
        answer = b""
        for number, piece in enumerate(pieces):
            p1 = 0x91 if number == len(pieces) - 1 else 0x11
            answer = self.ok(bytes((self._cla(True), 0xE2, p1, number, len(piece))) + piece)
        return answer

    def select_usim(self) -> None:
        self.ok(b"\x00\xa4\x04\x04" + bytes((len(USIM),)) + USIM)

    def file(self, *fids: int) -> bytes:
        """The content of a transparent file on the basic channel, by FIDs from the MF (7FFF: the ADF)."""
        path = b"".join(fid.to_bytes(2, "big") for fid in fids)
        self.ok(b"\x00\xa4\x08\x0c" + bytes((len(path),)) + path)
        return self.ok("00b0000000")

    def iccid(self) -> str:
        return ids.iccid_digits(self.file(0x2FE2))

    def imsi(self) -> str:
        self.select_usim()
        return ids.imsi_digits(self.file(0x7FFF, 0x6F07))


class PowerCut(Exception):
    """The test has cut the power."""


@dataclass
class Bench:
    """A card with its terminal, and the PKI."""

    home: Path
    pki: Pki
    options: EuiccOptions = field(default_factory=EuiccOptions)
    eid: str = EID
    preloaded: list[Preloaded] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.boot = self.home / "bootstrap.der"
        if not self.boot.exists():
            self.boot.write_bytes(bootstrap())

    def card(self, name: str = "card") -> VirtualEuicc:
        return VirtualEuicc.open(
            self.home / name,
            pki=self.pki,
            eid=self.eid,
            bootstrap=self.boot,
            preloaded=self.preloaded,
            options=self.options,
        )

    def preload(self, kind: str, package: bytes) -> str:
        """Have new cards delivered with this package; returns its ICCID."""
        path = self.home / f"{kind}-{len(self.preloaded)}.der"
        path.write_bytes(package)
        self.preloaded.append(Preloaded(path, kind))
        return Package.parse(package).iccid

    def with_options(self, name: str = "card", **options: object) -> Terminal:
        """A terminal at a card with these options."""
        self.options = EuiccOptions(**options)  # type: ignore[arg-type]
        return self.terminal(name)

    def terminal(self, name: str = "card") -> Terminal:
        card = self.card(name)
        card.power_on()
        terminal = Terminal(card)
        terminal.open_isd_r()
        return terminal


class Smdpp:
    """An SM-DP+ for one download."""

    def __init__(self, pki: Pki, *, auth: Credential | None = None, pb: Credential | None = None) -> None:
        self.pki = pki
        self.auth = auth or pki.dp_auth
        self.pb = pb or pki.dp_pb
        self.transaction_id = secrets.token_bytes(16)
        self.signature1 = b""
        self.euicc_key = b""

    def initiate(
        self, challenge: bytes, /, *, matching_id: str = "M", address: str = ADDRESS, **change: bytes
    ) -> bytes:
        """AuthenticateServer for the card, as the IPA builds it of the server's answer."""
        signed = build(
            0x30,
            build(0x80, self.transaction_id),
            build(0x81, change.get("challenge", challenge)),
            build(0x83, address.encode()),
            build(0x84, bytes(range(16))),
        )
        signature = change.get("signature", ecdsa.sign(self.auth.key, signed))
        device = build(0xA1, build(0x80, bytes.fromhex("35290611")), build(0xA1))
        return build(
            0xBF38,
            signed,
            build(0x5F37, signature),
            build(0x04, change.get("ci", certs.subject_key_id(self.pki.ci.certificate))),
            self.auth.certificate,
            build(0xA0, build(0x80, matching_id.encode()), device),
        )

    def authenticated(self, answer: bytes) -> bytes:
        """Verify AuthenticateServerResponse; PrepareDownload."""
        ok = tlv.first(answer).children()[0]
        assert ok.tag == 0xA0, answer.hex()
        signed1, signature, certificate, eum = ok.children()
        assert certs.check_chain(certificate.raw, [eum.raw], [self.pki.ci.certificate], certs.Role.EUICC)
        self.euicc_public = certs.public_key(certificate.raw)
        assert ecdsa.verify(self.euicc_public, signature.value, signed1.raw)
        self.signature1 = signature.raw
        return self.prepare()

    def prepare(self, transaction_id: bytes | None = None, signature: bytes | None = None) -> bytes:
        signed2 = build(0x30, build(0x80, transaction_id or self.transaction_id), build(0x01, b"\x00"))
        made = ecdsa.sign(self.pb.key, signed2 + self.signature1)
        self.signature2 = build(0x5F37, signature or made)
        return build(0xBF21, signed2, self.signature2, self.pb.certificate)

    def bind(
        self,
        answer: bytes,
        package: bytes,
        *,
        about: bytes | None = None,
        keys: bsp.SessionKeys | None = None,
        eid: str = EID,
    ) -> bytes:
        """Verify PrepareDownloadResponse; the Bound Profile Package."""
        ok = tlv.first(answer).children()[0]
        assert ok.tag == 0xA0, answer.hex()
        signed2, signature = ok.children()
        assert ecdsa.verify(self.euicc_public, signature.value, signed2.raw + self.signature2)
        point = signed2.find(0x5F49)
        assert point is not None
        one_time = ecdsa.generate(self.pb.key.curve.name)
        host = b"bench"
        initialise = download.initialise_secure_channel(
            transaction_id=self.transaction_id,
            host_id=host,
            smdp_otpk=ecdsa.point(one_time.public_key()),
            euicc_otpk=point.value,
            key=self.pb.key,
        )
        session = bsp.key_agreement(one_time, point.value, 0x88, 16, host, eid)
        return download.bind(
            initialise=initialise,
            metadata=about if about is not None else metadata(package),
            profile=package,
            keys=session,
            profile_keys=keys,
        )


def authenticate(terminal: Terminal, smdpp: Smdpp) -> bytes:
    challenge = tlv.first(terminal.es10(bytes.fromhex("bf2e00"))).children()[0].value
    return terminal.es10(smdpp.initiate(challenge))


def prepared(terminal: Terminal, smdpp: Smdpp) -> bytes:
    return terminal.es10(smdpp.authenticated(authenticate(terminal, smdpp)))


def load(terminal: Terminal, bpp: bytes) -> bytes:
    """Load a Bound Profile Package; the ProfileInstallationResult."""
    return load_units(terminal, download.segment_bpp(bpp))


def load_units(terminal: Terminal, units: list[bytes]) -> bytes:
    for unit in units:
        answer = terminal.es10(unit)
        if answer:
            return answer
    return b""


def install(terminal: Terminal, pki: Pki, package: bytes | None = None, **options: object) -> bytes:
    """A whole download; the ProfileInstallationResult."""
    smdpp = Smdpp(pki)
    answer = prepared(terminal, smdpp)
    return load(terminal, smdpp.bind(answer, package or operational(), **options))  # type: ignore[arg-type]


def pir(raw: bytes) -> tuple[str, tuple[int, ...] | bytes]:
    """("ok", simaResponse) or ("error", (command, reason))."""
    final = tlv.first(raw).find(0xBF27, 0xA2)
    assert final is not None, raw.hex()
    choice = final.children()[0]
    if choice.tag == 0xA0:
        sima = choice.find(0x04)
        assert sima is not None
        return "ok", sima.value
    command, reason = choice.find(0x80), choice.find(0x81)
    assert command is not None
    assert reason is not None
    return "error", (command.value[0], reason.value[0])


class Eim:
    """An eIM with a counter of its own."""

    def __init__(self, credential: Credential, eim_id: str = EIM_ID, token: int | None = None) -> None:
        self.credential = credential
        self.eim_id = eim_id
        self.token = token
        self.counter = 0

    def configuration(self, *, counter: int = 0, token: bool = False, certificate: bool = False) -> bytes:
        """EimConfigurationData."""
        key = (
            build(0xA1, tlv.first(self.credential.certificate).value)
            if certificate
            else build(0xA0, tlv.first(self.credential.spki).value)
        )
        return build(
            0x30,
            build(0x80, self.eim_id.encode()),
            build(0x81, self.eim_id.encode()),
            build(0x82, b"\x02"),
            build(0x83, bytes((counter,))),
            build(0x84, b"\xff") if token else b"",
            build(0xA5, key),
            build(0x87, bytes.fromhex("0780")),
            build(0x89),
        )

    def associate(self, terminal: Terminal, **options: bool) -> bytes:
        answer = terminal.es10(build(0xBF57, build(0xA0, self.configuration(**options))))  # type: ignore[arg-type]
        inner = tlv.first(answer).find(0xA0)
        if inner is not None and inner.children()[0].tag == 0x84:
            self.token = int.from_bytes(inner.children()[0].value, "big")
        return answer

    def package(
        self,
        *psmos: bytes,
        ecos: list[bytes] | None = None,
        counter: int | None = None,
        eid: str = EID,
        transaction_id: bytes | None = b"\x01\x02",
    ) -> bytes:
        self.counter = self.counter + 1 if counter is None else counter
        return packages.build_request(
            eim_id=self.eim_id,
            eid=eid,
            counter=self.counter,
            transaction_id=transaction_id,
            psmos=list(psmos) if ecos is None else None,
            ecos=ecos,
            key=self.credential.key,
            association_token=self.token,
        )


def results(raw: bytes) -> list[str]:
    """The results of a signed eUICC Package Result as hexadecimal TLVs."""
    outer = tlv.first(raw)
    listing = outer.find(0xA0, 0x30, 0x30)
    assert listing is not None, raw.hex()
    return [part.raw.hex() for part in listing.children()]
