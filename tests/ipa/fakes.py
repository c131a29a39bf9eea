"""A small card, eIM and CONNECT proxy for the IPA's tests: they know nothing of the IPA's own code.

The card answers ES10 from tables of the test; it stores eUICC package results and notifications and forgets them when
told to. Power can be cut before or after any APDU. The eIM is a real TLS server on loopback that runs a function of the
test.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from by_hand import number, tlv
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from bench.apdu.errors import CardGone
from bench.apdu.iso7816 import Command
from bench.apdu.store_data import Assembler

EID = "89049032123451234512345678901235"
EIM_ID = "eim.test"
FQDN = "eim.test"


def metadata(seq: int, event: str = "0780", address: str = "smdpp.test") -> bytes:
    return tlv(
        "BF2F",
        tlv("80", number(seq)),
        tlv("81", bytes.fromhex(event)),
        tlv("0C", address.encode()),
        tlv("5A", bytes.fromhex("98101000000000000072")),
    )


def notification(seq: int, event: str = "0640") -> bytes:
    """OtherSignedNotification with a length octet more than DER needs, so that a re-encoding relay is caught."""
    meta = metadata(seq, event)
    return tlv(
        "30", meta, tlv("5F37", b"\x11" * 64), bytes.fromhex("30810205"[:6]) + b"\x05\x00", tlv("30", b"\x05\x00")
    )


def installation_result(seq: int, transaction: bytes, *, failed: bool = False) -> bytes:
    final = (
        tlv("A1", tlv("80", b"\x05"), tlv("81", b"\x08"))
        if failed
        else tlv("A0", tlv("4F", bytes.fromhex("A0000005591010FFFFFFFF8900001100")), tlv("04", b"\x30\x00"))
    )
    data = tlv("BF27", tlv("80", transaction), metadata(seq), tlv("06", b"\x88\x37\x0a"), tlv("A2", final))
    return tlv("BF37", data, tlv("5F37", b"\x22" * 64))


def package(counter: int, commands: bytes = b"\xbf\x2d\x00", *, transaction: bytes = b"") -> bytes:
    """EuiccPackageRequest of EIM_ID (its signature is the card's business)."""
    signed = tlv(
        "30",
        tlv("80", EIM_ID.encode()),
        tlv("5A", bytes.fromhex(EID)),
        tlv("81", number(counter)),
        tlv("82", transaction) if transaction else b"",
        tlv("A0", commands),
    )
    return tlv("BF51", signed, tlv("5F37", b"\x33" * 64))


def package_result(counter: int, seq: int, results: bytes, *, eim: str = EIM_ID) -> bytes:
    data = tlv("30", tlv("80", eim.encode()), tlv("81", number(counter)), tlv("83", number(seq)), tlv("30", results))
    return tlv("BF51", tlv("A0", data, tlv("5F37", b"\x44" * 64)))


def eim_configuration(*, pin: bytes = b"", token: int | None = None) -> bytes:
    return tlv(
        "30",
        tlv("80", EIM_ID.encode()),
        tlv("81", FQDN.encode()),
        tlv("82", b"\x02"),
        tlv("84", number(token)) if token is not None else b"",
        tlv("A6", pin) if pin else b"",
        tlv("87", b"\x07\x80"),
    )


@dataclass
class FakeCard:
    """``answers``: outer tag in hex to the answers to give, one after the other, or a function of the request."""

    eims: list[bytes] = field(default_factory=lambda: [eim_configuration()])
    answers: dict[str, list[bytes] | Callable[[bytes], bytes]] = field(default_factory=dict)
    results: dict[int, bytes] = field(default_factory=dict)
    notifications: dict[int, bytes] = field(default_factory=dict)
    profiles: dict[str, bool] = field(default_factory=dict)
    """ICCID as on the wire, in hex, to whether it is enabled."""
    words: dict[str, int] = field(default_factory=dict)
    """Outer tag in hex to the status word that is answered instead."""
    always: int | None = None
    """Status word for everything."""
    cut: tuple[int, str] | None = None
    """(APDU index, "before" or "after"): power is cut there, once."""
    requests: list[bytes] = field(default_factory=list)
    apdus: int = 0
    opened: int = 0
    closed: int = 0
    hang: asyncio.Event | None = None
    """The card does not answer until this is set; ``reached`` is set when it was asked."""
    reached: asyncio.Event | None = None
    close_error: Exception | None = None

    async def open_channel(self, aid: bytes) -> FakeChannel:
        assert aid.hex() == "a0000005591010ffffffff8900000100"
        self.opened += 1
        return FakeChannel(self)

    async def reset(self) -> None:
        self.always = None

    def calls(self, tag: str) -> list[bytes]:
        return [request for request in self.requests if request.hex().startswith(tag.lower())]

    def process(self, request: bytes) -> bytes | int:
        self.requests.append(request)
        if self.always is not None:
            return self.always
        tag = request[:2].hex().upper() if request[0] & 0x1F == 0x1F else request[:1].hex().upper()
        if tag in self.words:
            return self.words[tag]
        answer = self.answers.get(tag)
        if callable(answer):
            return answer(request)
        if answer:
            return answer.pop(0)
        return self._own(tag, request)

    def _own(self, tag: str, request: bytes) -> bytes | int:
        if tag == "BF3E":
            return tlv("BF3E", tlv("5A", bytes.fromhex(EID)))
        if tag == "BF55":
            return tlv("BF55", tlv("A0", *self.eims))
        if tag == "BF2D":
            listed = [
                tlv("E3", tlv("5A", bytes.fromhex(iccid)), tlv("9F70", bytes((enabled,))))
                for iccid, enabled in self.profiles.items()
            ]
            return tlv("BF2D", tlv("A0", *listed))
        if tag == "BF28":
            metas = [self._metadata(seq, raw) for seq, raw in self.notifications.items()]
            return tlv("BF28", tlv("A0", *metas))
        if tag == "BF2B":
            if request == bytes.fromhex("BF2B04A0028200"):
                return tlv("BF2B", tlv("A2", *self.results.values()))
            if request == bytes.fromhex("BF2B00"):
                return tlv("BF2B", tlv("A0", *self.notifications.values()))
            assert request[3:5] == b"\xa0" + bytes((len(request) - 5,)), "the search must stand in A0"
            seq = int.from_bytes(request[7:], "big")
            return tlv("BF2B", tlv("A0", *([self.notifications[seq]] if seq in self.notifications else [])))
        if tag == "BF30":
            seq = int.from_bytes(request[5:], "big")
            there = self.results.pop(seq, None) or self.notifications.pop(seq, None)
            return tlv("BF30", tlv("80", b"\x00" if there else b"\x01"))
        if tag == "BF20":
            return tlv("BF20", tlv("82", b"\x02\x02\x02"), tlv("A9"), tlv("AA"))
        if tag == "BF2E":
            return tlv("BF2E", tlv("80", b"\xcc" * 16))
        if tag == "BF41":
            signed = tlv("30", request[3:], b"")
            return tlv("BF41", tlv("A0", signed, tlv("5F37", b"\x55" * 64)))
        if tag == "BF3C":
            return tlv("BF3C", tlv("80", b"default.test"), tlv("81", b"root.test"))
        if tag in ("BF36", "A0", "A1", "A2", "A3", "86", "87", "88"):
            return b""
        return 0x6A88

    @staticmethod
    def _metadata(seq: int, raw: bytes) -> bytes:
        at = raw.index(b"\xbf\x2f")
        return raw[at : at + 3 + raw[at + 2]]


class FakeChannel:
    """A logical channel to the card."""

    def __init__(self, card: FakeCard) -> None:
        self.select_response = b""
        self._card = card
        self._assembler = Assembler()
        self._pending = b""

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        card = self._card
        index = card.apdus
        card.apdus += 1
        if card.hang is not None:
            if card.reached is not None:
                card.reached.set()
            await card.hang.wait()
        if card.cut == (index, "before"):
            card.cut = None
            raise CardGone("power was cut before the APDU", where=f"APDU {index}")
        response = self._answer(Command.parse(command))
        if card.cut == (index, "after"):
            card.cut = None
            raise CardGone("power was cut after the APDU", where=f"APDU {index}")
        return response

    def _answer(self, command: Command) -> bytes:
        assert command.cla & 0x0F == 0, "the channel bits are the carrier's"
        if command.ins == 0xC0:
            assert command.le is not None
            part, self._pending = self._pending[: command.le], self._pending[command.le :]
            return part + self._word()
        whole = self._assembler.add(command)
        if whole is None:
            return b"\x90\x00"
        answer = self._card.process(whole)
        if isinstance(answer, int):
            return answer.to_bytes(2, "big")
        self._pending = answer
        return self._word()

    def _word(self) -> bytes:
        return b"\x61" + bytes((min(len(self._pending), 256) & 0xFF,)) if self._pending else b"\x90\x00"

    async def close(self) -> None:
        self._card.closed += 1
        if self._card.close_error is not None:
            raise self._card.close_error


# --- certificates ---------------------------------------------------------------------------------------------------


@dataclass
class Tls:
    """A CA and a server certificate below it, as DER, and a context for the server."""

    ca: bytes
    leaf: bytes
    ca_spki: bytes
    leaf_spki: bytes
    context: ssl.SSLContext
    ca_file: Path


def make_tls(folder: Path, name: str = FQDN, *, expired: bool = False) -> Tls:
    """Return a CA and a server certificate for ``name``; with ``expired`` the server's is past its time."""

    def certificate(subject: str, issuer: str, own: Any, signer: Any, ca: bool, start: datetime) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
        )
        if ca:
            usage = dict.fromkeys(
                [
                    "digital_signature",
                    "content_commitment",
                    "key_encipherment",
                    "data_encipherment",
                    "key_agreement",
                    "encipher_only",
                    "decipher_only",
                ],
                False,
            )
            builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return builder.sign(signer, SHA256())

    now = datetime.now(UTC)
    ca_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("Test CA", "Test CA", ca_key, ca_key, True, now - timedelta(days=1))
    start = now - timedelta(days=60 if expired else 1)
    leaf = certificate(name, "Test CA", leaf_key, ca_key, False, start)
    folder.mkdir(parents=True, exist_ok=True)
    chain, key, ca_file = folder / "chain.pem", folder / "key.pem", folder / "ca.pem"
    chain.write_bytes(leaf.public_bytes(Encoding.PEM))
    key.write_bytes(leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    ca_file.write_bytes(ca.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)

    def spki(private: Any) -> bytes:
        encoded: bytes = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return encoded

    return Tls(
        ca.public_bytes(Encoding.DER),
        leaf.public_bytes(Encoding.DER),
        spki(ca_key),
        spki(leaf_key),
        context,
        ca_file,
    )


def pin(choice: str, der: bytes) -> bytes:
    """trustedPublicKeyDataTls content: A0 or A1 in place of the SEQUENCE's tag (implicit)."""
    header = 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)
    return tlv(choice, der[header:])


# --- eIM ------------------------------------------------------------------------------------------------------------

Answer = bytes | int | None
"""Body with 200, a status, or None to break the connection off."""


@dataclass
class FakeEim:
    """``answer(message, index)`` decides; everything that came is kept."""

    answer: Callable[[bytes, int], Answer]
    messages: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    peers: list[Any] = field(default_factory=list)
    port: int = 0
    delay: float = 0.0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        index = len(self.messages)
        self.messages.append(body)
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        assert request.transport is not None
        self.peers.append(request.transport.get_extra_info("peername"))
        if self.delay:
            await asyncio.sleep(self.delay)
        answer = self.answer(body, index)
        if answer is None:
            request.transport.abort()
            return web.Response()
        if isinstance(answer, int):
            return web.Response(status=answer)
        return web.Response(body=answer, content_type="application/x-gsma-rsp-asn1")

    def of(self, tag: str) -> list[bytes]:
        return [message for message in self.messages if message.hex().upper().startswith(tag)]

    @asynccontextmanager
    async def serve(self, context: ssl.SSLContext) -> AsyncIterator[FakeEim]:
        app = web.Application(client_max_size=1 << 22)
        app.router.add_post("/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context)
        await site.start()
        assert runner.addresses
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


NOTHING = bytes.fromhex("bf4f03020101")


def script(packages: Sequence[bytes], **answers: Answer) -> Callable[[bytes, int], Answer]:
    """Hand out ``packages`` one a GetEimPackage, then say there is none; results are acknowledged by their number.

    ``answers``: function tag (``BF3D``) to what is answered instead.
    """
    left = list(packages)

    def answer(message: bytes, _index: int) -> Answer:
        tag = message[:2].hex().upper()
        if tag in answers:
            return answers[tag]
        if tag == "BF4F":
            return tlv("BF4F", left.pop(0)) if left else NOTHING
        if tag == "BF50":
            seq = result_number(message)
            return tlv("BF50", tlv("BF53", tlv("80", number(seq)))) if seq is not None else bytes.fromhex("bf50023000")
        if tag == "BF3D":
            return 204
        if tag == "BF41":
            return bytes.fromhex("bf4102a000")
        return 500

    return answer


def result_number(message: bytes) -> int | None:
    """The seqNumber (83) of a signed result inside a message, found without a decoder."""
    at = message.find(tlv("80", EIM_ID.encode()))
    tail = message[at + 2 + len(EIM_ID) :]
    if at < 0 or not tail.startswith(b"\x81"):
        return None
    tail = tail[2 + tail[1] :]
    if tail[:1] == b"\x82":
        tail = tail[2 + tail[1] :]
    return int.from_bytes(tail[2 : 2 + tail[1]], "big") if tail[:1] == b"\x83" else None


# --- the device's link ----------------------------------------------------------------------------------------------


@dataclass
class FakeLink:
    """An HTTP CONNECT proxy: the device's data path. ``refuse``: status instead of a connection."""

    routes: dict[str, int]
    refuse: str = ""
    connects: list[str] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ")[1].decode()
            self.connects.append(target)
            if self.refuse:
                writer.write(f"HTTP/1.1 {self.refuse}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
                return
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.routes[target])
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(self._copy(reader, up_writer), self._copy(up_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.handle, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
