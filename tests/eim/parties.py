"""Card, IPA and SM-DP+ of the eIM's tests, by hand: nothing of bench.rsp, lest two halves agree on a fault."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from by_hand import number, split, tlv
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from fixtures.eim.changes import Changes
from fixtures.eim.context import Context, Options
from fixtures.eim.es9plus import Es9Plus, Routes
from fixtures.eim.esipa import Answer, Esipa, Peer
from fixtures.eim.orders import public
from fixtures.eim.store import Store
from fixtures.pki import Credential, Pki
from fixtures.service import Observer

EID = "89049032123451234512345678901235"
OTHER_EID = "89044045930000000000002153893210"
EIM_ID = "eim.bench.example"
SMDPP = "smdpp.test"
ICCID = "8900101000000000027"


def parts(data: bytes) -> dict[str, bytes]:
    """Return tag (hex) to content of the TLVs that ``data`` is made of; a repeated tag has ``'`` after it."""
    found: dict[str, bytes] = {}
    for tag, content, _ in split(data):
        name = tag.hex().upper()
        while name in found:
            name += "'"
        found[name] = content
    return found


def down(data: bytes, *path: str) -> bytes:
    for tag in path:
        data = parts(data)[tag]
    return data


def sign(key: ec.EllipticCurvePrivateKey, data: bytes, *, der: bool = False) -> bytes:
    made = key.sign(data, ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(made)
    return made if der else r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> None:
    whole = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    key.verify(whole, data, ec.ECDSA(hashes.SHA256()))


def get_package(eid: str = EID) -> bytes:
    return tlv("BF4F", tlv("5A", bytes.fromhex(eid)))


def provide(result: bytes, eid: str | None = EID) -> bytes:
    return tlv("BF50", tlv("5A", bytes.fromhex(eid)) if eid else b"", result)


def metadata(seq: int, event: str, address: str = SMDPP) -> bytes:
    return tlv(
        "BF2F",
        tlv("80", number(seq)),
        tlv("81", bytes.fromhex(event)),
        tlv("0C", address.encode()),
        tlv("5A", bytes.fromhex("980001010000000020f7")),
    )


@dataclass
class Package:
    """An EuiccPackageRequest taken apart by hand."""

    raw: bytes
    eim_id: str
    counter: int
    transaction_id: bytes
    psmo: bytes

    @classmethod
    def of(cls, answer: bytes) -> Package:
        raw = down(answer, "BF4F")
        signed = down(raw, "BF51", "30")
        fields = parts(signed)
        return cls(
            raw,
            fields["80"].decode(),
            int.from_bytes(fields["81"], "big"),
            fields["82"],
            fields["A0"],
        )


@dataclass
class Card:
    """Signs what an eUICC signs. Sequence numbers go up by one."""

    credential: Credential
    eum: Credential
    seq: int = 0

    def signed(self, data: bytes, *, token: str = "840100", key: Any = None, der: bool = False) -> bytes:
        return tlv("5F37", sign(key or self.credential.key, data + bytes.fromhex(token), der=der))

    def result(
        self,
        package: Package,
        results: str,
        *,
        seq: int | None = None,
        counter: int | None = None,
        transaction_id: bytes | None = None,
        eim_id: str | None = None,
        bare: bool = False,
        **signing: Any,
    ) -> bytes:
        self.seq = seq if seq is not None else self.seq + 1
        data = tlv(
            "30",
            tlv("80", (eim_id or package.eim_id).encode()),
            tlv("81", number(package.counter if counter is None else counter)),
            tlv("82", package.transaction_id if transaction_id is None else transaction_id),
            tlv("83", number(self.seq)),
            tlv("30", bytes.fromhex(results)),
        )
        pair = data + self.signed(data, **signing)
        return tlv("BF51", pair) if bare else tlv("BF51", tlv("A0", pair))

    def error(self, package: Package, code: int, **signing: Any) -> bytes:
        data = tlv(
            "30",
            tlv("80", package.eim_id.encode()),
            tlv("81", number(package.counter)),
            tlv("82", package.transaction_id),
            tlv("02", number(code)),
        )
        return tlv("BF51", tlv("A1", data, self.signed(data, **signing)))

    def unsigned(self, package: Package, *, transaction: bool = True) -> bytes:
        txid = tlv("82", package.transaction_id) if transaction else b""
        return tlv("BF51", tlv("A2", tlv("80", package.eim_id.encode()), txid))

    def certificates(self, *, nested: bool = False) -> bytes:
        """A5 and A6 of IpaEuiccData, with the certificates' content (implicit) or nested."""
        made = b""
        for tag, der in (("A5", self.eum.certificate), ("A6", self.credential.certificate)):
            made += tlv(tag, der if nested else parts(der)["30"])
        return made

    def data(self, request: bytes, *fields: bytes, capabilities: str = "0560", nested: bool = False) -> bytes:
        """BF52 for an IpaEuiccDataRequest, in declaration order; ``capabilities``: BIT STRING content."""
        transaction = tlv("87", down(request, "BF52", "83"))
        known = tlv("A8", tlv("80", bytes.fromhex(capabilities)))
        return tlv("BF52", tlv("A0", *fields, self.certificates(nested=nested), transaction, known))

    def notification(self, event: str, *, seq: int | None = None, key: Any = None, address: str = SMDPP) -> bytes:
        """OtherSignedNotification; ``event``: BIT STRING content (0640 enable, 0520 disable, 0410 delete)."""
        self.seq = seq if seq is not None else self.seq + 1
        meta = metadata(self.seq, event, address)
        signature = tlv("5F37", sign(key or self.credential.key, meta))
        return tlv("30", meta, signature, self.credential.certificate, self.eum.certificate)

    def installation(self, transaction: bytes, *, failed: str = "", seq: int | None = None, key: Any = None) -> bytes:
        """ProfileInstallationResult; ``failed``: content of errorResult, hex."""
        self.seq = seq if seq is not None else self.seq + 1
        aid = bytes.fromhex("A0000005591010FFFFFFFF8900001100")
        final = (
            tlv("A1", bytes.fromhex(failed))
            if failed
            else tlv("A0", tlv("4F", aid), tlv("04", bytes.fromhex("3007a0053003800100")))
        )
        data = tlv(
            "BF27",
            tlv("80", transaction),
            metadata(self.seq, "0780"),
            tlv("06", bytes.fromhex("88370a")),
            tlv("A2", final),
        )
        return tlv("BF37", data, tlv("5F37", sign(key or self.credential.key, data)))


@dataclass
class Lab:
    """An eIM in this process, without HTTP, and a peer that talks to it."""

    esipa: Esipa
    context: Context
    card: Card
    es9: Es9Plus
    peer: Peer = field(default_factory=Peer)

    async def send(self, message: bytes) -> bytes:
        answer = await self.answer(message)
        assert answer.status == 200, answer
        return answer.body

    async def answer(self, message: bytes) -> Answer:
        return await self.esipa.handle(message, self.peer)

    async def poll(self, eid: str = EID) -> bytes:
        return await self.send(get_package(eid))

    def order(self, kind: str, /, eid: str = EID, **parameters: Any) -> str:
        order, _ = self.esipa.orders.create(eid, kind, parameters)
        return str(order.id)

    def show(self, order_id: str) -> dict[str, Any]:
        return public(self.context.store.order(int(order_id)))

    async def known(self, capabilities: str = "0560") -> None:
        """Let the eIM learn the eUICC's certificate as it does: by a request before the first package."""
        order = self.order("list")
        asked = await self.poll()
        assert "BF52" in parts(down(asked, "BF4F"))
        answer = await self.send(provide(self.card.data(down(asked, "BF4F"), capabilities=capabilities)))
        assert answer == bytes.fromhex("bf50023000")
        self.esipa.orders.cancel(int(order))

    async def package(self, kind: str = "enable", /, **parameters: Any) -> tuple[str, Package]:
        """Order, poll, and return the order's number and the package."""
        if kind != "list":
            parameters.setdefault("iccid", ICCID)
        order = self.order(kind, **parameters)
        return order, Package.of(await self.poll())


@asynccontextmanager
async def lab(
    pki: Pki,
    folder: Path,
    *,
    routes: Mapping[str, tuple[str, int]] | None = None,
    trusted: list[Path] | None = None,
    forwarding: bool = False,
    known: str = "",
    **options: Any,
) -> AsyncIterator[Lab]:
    import asyncio

    store = Store.open(folder / "eim.sqlite")
    context = Context(
        store=store,
        eim_id=EIM_ID,
        fqdn=EIM_ID,
        key=pki.eim.key,
        trusted=[pki.ci.certificate],
        options=Options(**{"forward_wait": 0.0, **options}),
        changes=Changes(),
    )
    es9 = Es9Plus(trusted=trusted or [pki.ci_files], routes=Routes(routes), observer=Observer(None), deadline=5.0)
    esipa = Esipa(context, es9)
    task = asyncio.create_task(esipa.forwarder.run()) if forwarding else None
    store.add_euicc(EID)
    made = Lab(esipa, context, Card(pki.euicc(EID), pki.eum), es9)
    try:
        if known:
            await made.known(known)
        yield made
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await es9.close()
        store.close()


# --- SM-DP+ ---------------------------------------------------------------------------------------------------------

Scripted = Callable[[dict[str, Any]], Any]


def refusal(subject: str, reason: str, message: str = "no") -> dict[str, Any]:
    data = {"subjectCode": subject, "reasonCode": reason, "message": message}
    return {"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": data}}}


def success(**members: Any) -> dict[str, Any]:
    header = {"functionExecutionStatus": {"status": "Executed-Success"}}
    coded = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in members.items()
    }
    return {"header": header, **coded}


@dataclass
class FakeSmdpp:
    """A TLS server that answers ES9+ functions from a table: JSON, an HTTP status, raw bytes, or None: not at all."""

    functions: dict[str, Scripted] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def serve(self, pki: Pki) -> AsyncIterator[None]:
        credential = pki.issue("dp_tls", dns=(SMDPP,))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        chain, key = save(credential, pki.folder)
        context.load_cert_chain(chain, key)

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            assert request.path.startswith("/gsma/rsp2/es9plus/")
            name = request.path.rpartition("/")[2]
            body = json.loads(await request.read())
            self.requests.append((name, body))
            self.headers.append(dict(request.headers))
            found = self.functions.get(name)
            answer = found(body) if found is not None else 404
            if answer is None and request.transport is not None:
                request.transport.abort()
                raise ConnectionResetError
            if isinstance(answer, int):
                return web.Response(status=answer)
            if isinstance(answer, bytes):
                return web.Response(body=answer)
            return web.json_response(answer)

        async with AsyncExitStack() as stack:
            runner = web.ServerRunner(web.Server(handler))
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context)
            await site.start()
            self.port = runner.addresses[0][1]
            yield

    @property
    def route(self) -> dict[str, tuple[str, int]]:
        return {SMDPP: ("127.0.0.1", self.port)}


def save(credential: Credential, folder: Path) -> tuple[Path, Path]:
    """Write an unsaved credential as PEM files."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    chain, key = folder / "fake-smdpp.crt.pem", folder / "fake-smdpp.key.pem"
    der = base64.encodebytes(credential.certificate).decode()
    chain.write_text(f"-----BEGIN CERTIFICATE-----\n{der}-----END CERTIFICATE-----\n")
    key.write_bytes(credential.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, key
