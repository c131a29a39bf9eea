"""Fuzzing of every listener of the running eIM and SM-DP+: no crash, no hang, no change by what was rejected.

Command line (JSON on standard output), resumable: figures and findings of all runs with one ``--state`` are merged.

    python tests/campaigns/fuzz_listeners.py --seconds 1800 --state figures.json [--listener esipa ...] [--nice 19]

The servers are processes with TLS; requests are mutated in their bodies, paths, headers and framing, and sent on kept
connections, on new ones, or as bytes that are no HTTP and no TLS at all. After each: the process lives, an answer came
within ``--hang`` seconds, it is no 500, and what the databases hold has not changed unless the answer said that it was
taken. ``seconds`` are CPU time of fuzzer and servers. Exit code 1 when there is any finding.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import re
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent)]

EID = "89049032123451234512345678901235"
ASN1, JSON = "application/x-gsma-rsp-asn1", "application/json"
KEPT_TABLES = {
    "eim": ("euiccs", "orders", "sessions", "notifications"),
    "smdpp": ("orders", "transactions", "notifications"),
}
"""What a rejected input must not change. Evidence of it (messages, audit log, rejected notifications) may be kept."""
HERTZ = os.sysconf("SC_CLK_TCK")
REQUEST_LIMIT = 200_000
GONE = ("ConnectionResetError", "ConnectionAbortedError", "BrokenPipeError")
"""In a log: a peer that went away, which is what half of the broken requests do. No fault of the server."""
NO_PACKAGE = bytes.fromhex("bf4f03020101")


# --- servers ----------------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """A server process and what it announced."""

    name: str
    process: asyncio.subprocess.Process
    told: dict[str, Any]
    database: Path

    def alive(self) -> bool:
        return self.process.returncode is None

    def cpu(self) -> float:
        """Return seconds of CPU time so far, 0 when it is gone."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / HERTZ

    def state(self) -> str:
        """Return a digest of what the server keeps."""
        digest = hashlib.sha256()
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            for table in KEPT_TABLES[self.name]:
                where = "WHERE rejected = ''" if (self.name, table) == ("smdpp", "notifications") else ""
                # Attempts to forward what was taken earlier go on by themselves.
                columns = "id, digest, eid, order_id" if (self.name, table) == ("eim", "notifications") else "*"
                for row in database.execute(f"SELECT {columns} FROM {table} {where}"):
                    digest.update(repr(row).encode())
        return digest.hexdigest()


@asynccontextmanager
async def serving(name: str, home: Path) -> AsyncIterator[Server]:
    """Run one server on a home."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", f"fixtures.{name}", "serve", "--home", str(home), "--with-parent"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=(home / f"{name}.log").open("ab"),
        cwd=TESTS.parent,
        limit=1 << 20,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            told = json.loads(await process.stdout.readline())
        yield Server(name, process, told, home / name / f"{name}.sqlite")
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


# --- listeners --------------------------------------------------------------------------------------------------------


@dataclass
class Request:
    """One HTTP request before and after its mutation."""

    path: str
    body: bytes
    headers: dict[str, str]
    method: str = "POST"


@dataclass
class Listener:
    """One port, the requests that are mutated for it, and which answers say that something was taken."""

    name: str
    server: Server
    port: int
    tls: ssl.SSLContext | None
    seeds: list[Request]
    taken: Callable[[int, bytes], bool]
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    figures: dict[str, int] = field(default_factory=dict)

    async def connect(self) -> None:
        name = "localhost" if self.tls is not None else None
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.tls, server_hostname=name, limit=1 << 24
        )

    def close(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None

    def count(self, what: str) -> None:
        self.figures[what] = self.figures.get(what, 0) + 1


def tlv(tag: str, *contents: bytes) -> bytes:
    """Return a DER TLV."""
    body = b"".join(contents)
    count = len(body)
    size = (count.bit_length() + 7) // 8
    length = bytes((count,)) if count < 128 else bytes((0x80 | size,)) + count.to_bytes(size, "big")
    return bytes.fromhex(tag) + length + body


def b64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


def esipa_bodies() -> list[bytes]:
    """Return ESipa messages of every function, none of which an eIM without orders takes."""
    eid = tlv("5a", bytes.fromhex(EID))
    result = tlv(
        "30", tlv("80", b"eim.bench.example"), tlv("81", b"\x01"), tlv("83", b"\x01"), tlv("30", b"\x83\x01\x00")
    )
    pir = tlv("bf37", tlv("bf27", tlv("80", bytes(16)), tlv("bf2f", tlv("80", b"\x01"), tlv("81", b"\x07\x80"),
              tlv("0c", b"x"))), tlv("5f37", bytes(64)))  # fmt: skip
    return [
        tlv("bf4f", eid),
        tlv("bf4f", eid, tlv("80"), tlv("81", b"\x03"), tlv("82", bytes.fromhex("00f110"))),
        tlv("bf50", eid, tlv("bf51", tlv("a0", result, tlv("5f37", bytes(64))))),
        tlv("bf50", eid, tlv("a0", tlv("80", bytes(8)), tlv("02", b"\x01"))),
        tlv("bf50", eid, tlv("bf52", tlv("a0", tlv("84", b"\x01"), tlv("87", bytes(8))))),
        tlv("bf50", eid, tlv("bf54", tlv("82", bytes(8)), tlv("30", tlv("80", b"\x7f")))),
        tlv("bf39", tlv("81", bytes(16)), tlv("bf20", tlv("82", b"\x02\x05\x00")), tlv("82", bytes(8))),
        tlv("bf3b", tlv("80", bytes(16)), tlv("bf38", tlv("a1", tlv("80", bytes(16)), tlv("02", b"\x02")))),
        tlv("bf3a", tlv("80", bytes(16)), tlv("bf21", tlv("a1", tlv("80", bytes(16)), tlv("02", b"\x02")))),
        tlv("bf41", tlv("80", bytes(16)), tlv("a1", tlv("81", b"\x05"))),
        tlv("bf3d", tlv("a0", pir)),
    ]


def listeners(eim: Server, smdpp: Server, home: Path) -> list[Listener]:
    """Return every listener with its seeds."""
    from fixtures.pki import Pki

    pki = Pki.open(home)
    client = ssl.create_default_context(cafile=pki.ci_files)
    protocol = {"X-Admin-Protocol": "gsma/rsp/v2.2.2"}

    def port(server: Server, name: str) -> int:
        return int(str(server.told[name]).rpartition(":")[2])

    def posts(paths: dict[str, Any], kind: str, **headers: str) -> list[Request]:
        return [
            Request(path, json.dumps(body).encode() if not isinstance(body, bytes) else body,
                    {**protocol, "Content-Type": kind, **headers})
            for path, body in paths.items()
        ]  # fmt: skip

    es9 = "/gsma/rsp2/es9plus/"
    refused = b64(b"\xa0\x03\x02\x01\x01")
    info1, none = b64(tlv("bf20", b"\x82\x03\x02\x05\x00")), "00" * 16
    bodies = {
        "initiateAuthentication": {
            "euiccChallenge": b64(bytes(16)),
            "euiccInfo1": info1,
            "smdpAddress": "smdpp.bench.example",
        },
        "authenticateClient": {"transactionId": none, "authenticateServerResponse": b64(tlv("bf38", b"\xa1\x00"))},
        "getBoundProfilePackage": {"transactionId": none, "prepareDownloadResponse": b64(tlv("bf21", b"\xa1\x00"))},
        "cancelSession": {"transactionId": none, "cancelSessionResponse": b64(tlv("bf41", b"\x81\x01\x05"))},
        "handleNotification": {"pendingNotification": b64(esipa_bodies()[-1][5:])},
    }
    es2 = {
        "downloadOrder": {"header": {"functionRequesterIdentifier": "2.999.30", "functionCallIdentifier": "1"},
                          "iccid": "8900000000000000000"},
        "confirmOrder": {"header": {"functionRequesterIdentifier": "2.999.30", "functionCallIdentifier": "1"},
                         "iccid": "8900000000000000000", "releaseFlag": True},
        "cancelOrder": {"header": {"functionRequesterIdentifier": "2.999.30", "functionCallIdentifier": "1"},
                        "iccid": "8900000000000000000", "finalProfileStatusIndicator": "Available"},
        "releaseProfile": {"header": {"functionRequesterIdentifier": "2.999.30", "functionCallIdentifier": "1"},
                           "iccid": "8900000000000000000"},
    }  # fmt: skip
    tokens = {server.name: Path(server.told["token_file"]).read_text().strip() for server in (eim, smdpp)}

    def operator(server: Server, paths: list[tuple[str, str, Any]]) -> list[Request]:
        made = []
        for method, path, body in paths:
            for token in (tokens[server.name], "wrong"):
                headers = {"Authorization": f"Bearer {token}", "Content-Type": JSON}
                made.append(Request(path, json.dumps(body).encode() if body is not None else b"", headers, method))
        return made

    def esipa_taken(status: int, body: bytes) -> bool:
        if body == NO_PACKAGE or body.replace(b" ", b"").find(b'"eimPackageError":1') >= 0:
            return True  # a poll that finds nothing is no rejected one
        return status in (200, 204) and body[3:4] != b"\x81" and b"rror" not in body[:200]

    def success(status: int, body: bytes) -> bool:
        return status == 204 or (status == 200 and b"Executed-Success" in body) or body[:2] == b"\xa2\x82"

    found = [
        Listener("esipa", eim, port(eim, "https"), client,
                 [Request("/gsma/rsp2/asn1", body, {**protocol, "Content-Type": ASN1}) for body in esipa_bodies()],
                 esipa_taken),
        Listener("esipa-json", eim, port(eim, "https"), client, posts({
            "/gsma/rsp2/esipa/getEimPackage": {"eidValue": EID, "stateChangeCause": 3},
            "/gsma/rsp2/esipa/provideEimPackageResult": {"eidValue": EID, "eimPackageResult": refused},
            "/gsma/rsp2/esipa/handleNotification": {"pendingNotification": b64(esipa_bodies()[-1][5:])},
            "/gsma/rsp2/esipa/initiateAuthentication": {"euiccChallenge": b64(bytes(16)), "eimTransactionId": "00" * 8},
            "/gsma/rsp2/esipa/authenticateClient": {"transactionId": "00" * 16,
                                                    "authenticateServerResponse": b64(b"\xbf\x38\x00")},
        }, JSON), esipa_taken),
        Listener("eim-operator", eim, port(eim, "operator"), None, operator(eim, [
            ("GET", "/status", None), ("GET", "/orders?newest=5", None), ("GET", f"/euiccs/{EID}", None),
            ("POST", "/orders", {"eid": EID, "kind": "enabl", "iccid": "89001"}), ("PUT", f"/euiccs/{EID[:-1]}4", {}),
            ("GET", "/orders/1?wait=0", None), ("POST", "/orders/1/cancel", None), ("GET", "/openapi.json", None),
            ("POST", "/misbehaviour", {"name": "nothing"}), ("DELETE", "/routes/none", None),
        ]), lambda status, body: status < 300),
        Listener("es9plus", smdpp, port(smdpp, "https"), client,
                 posts({es9 + name: body for name, body in bodies.items()}, JSON), success),
        Listener("es9plus-asn1", smdpp, port(smdpp, "https"), client, [
            Request("/gsma/rsp2/asn1", tlv("a2", body), {**protocol, "Content-Type": ASN1})
            for body in (esipa_bodies()[6], esipa_bodies()[7], esipa_bodies()[8], esipa_bodies()[9], esipa_bodies()[10])
        ], success),
        Listener("smdpp-operator", smdpp, port(smdpp, "admin"), None, operator(smdpp, [
            ("GET", "/orders", None), ("GET", "/packages", None), ("GET", "/notifications?rejected=1", None),
            ("POST", "/orders", {"profile": "none", "eid": EID}), ("POST", "/orders/X/cancel", None),
            ("PUT", "/misbehaviour", {"misbehaviours": [{"name": "x"}]}),
        ]), lambda status, body: status < 300),
    ]  # fmt: skip
    if "es2plus" in smdpp.told:
        mutual = ssl.create_default_context(cafile=pki.ci_files)
        mutual.load_cert_chain(*pki.operator("fuzz", oid="2.999.30").tls_files())
        requests = posts({f"/gsma/rsp2/es2plus/{name}": body for name, body in es2.items()}, JSON)
        found.append(Listener("es2plus", smdpp, port(smdpp, "es2plus"), mutual, requests, success))
    if "coaps" in eim.told:
        found.append(Listener("coaps", eim, port(eim, "coaps"), None, [], lambda status, body: False))
    return found


# --- mutation ---------------------------------------------------------------------------------------------------------

_TEXTS = ("", "null", "{}", "[]", '"', "\\", "-1", "1e999", "\x00", "é", "A" * 5000, "../../..", "%00", "٣" * 8)


def mutated_bytes(data: bytes, chance: random.Random) -> bytes:
    """Return bytes that differ from ``data`` in a few places."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(8):
            case 0 if made:
                made[at % len(made)] ^= 1 << chance.randrange(8)
            case 1:
                made[at:at] = chance.randbytes(chance.choice((1, 2, 8, 300)))
            case 2:
                del made[at : at + chance.choice((1, 2, 16))]
            case 3:
                del made[at:]
            case 4:
                made[at:at] = made[at : at + chance.randrange(1, 64)] * chance.choice((1, 2, 50))
            case 5 if made:
                made[at % len(made)] = chance.choice((0, 0x7F, 0x80, 0x81, 0x84, 0xFF, 0x30, 0xA0, 0xBF))
            case 6:
                made[at:at] = chance.choice(_TEXTS).encode()
            case _:
                made[at:at] = b"\xbf\x51\x84\xff\xff\xff\xff"[: chance.randrange(8)]
    return bytes(made[:REQUEST_LIMIT])


def mutated_json(body: bytes, chance: random.Random) -> bytes:
    """Return JSON with other values, members and types."""
    value = json.loads(body)
    if not isinstance(value, dict) or not value:
        return mutated_bytes(body, chance)
    for _ in range(chance.choice((1, 1, 2))):
        key = chance.choice(list(value) or ["x"])
        choice = chance.randrange(5)
        if choice == 0:
            value.pop(key, None)
        elif choice == 1:
            value[key] = chance.choice((None, True, 0, -1, 1e308, [], {}, [[]] * 50, "A" * 3000, {"a": {"b": {}}}))
        elif choice == 2:
            value[chance.choice(("eid", "header", "x", ""))] = chance.choice((1, "x", None))
        elif isinstance(value.get(key), str):
            value[key] = mutated_bytes(value[key].encode(), chance).decode("utf-8", "replace")
    return json.dumps(value).encode()


def mutated(seed: Request, chance: random.Random) -> tuple[Request, bool]:
    """Return a mutated request, and whether its framing is whole, so that an answer is due."""
    path, body, headers, method = seed.path, seed.body, dict(seed.headers), seed.method
    kind = chance.randrange(10)
    if kind < 3 and body.startswith(b"{"):
        body = mutated_json(body, chance)
    elif kind < 7:
        body = mutated_bytes(body, chance)
    elif kind == 7:
        path = path + chance.choice(("/", "?x=1", "%00", "/../asn1", "é".encode().hex(), "?wait=nan", "?newest=-1"))
    elif kind == 8:
        name = chance.choice((*headers, "Expect", "Accept", "Transfer-Encoding-X", "Content-Encoding"))
        text = mutated_bytes(headers.get(name, "x").encode(), chance).decode("latin-1")
        headers[name] = "".join(letter for letter in text if " " <= letter <= "~")[:2000]
    else:
        method = chance.choice(("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "POST"))
    return Request(path, body, headers, method), chance.randrange(20) > 0


def framed(request: Request) -> bytes:
    """Return the bytes of an HTTP/1.1 request."""
    lines = [f"{request.method} {request.path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(request.body)}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if name.lower() != "expect"]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + request.body


async def answer_of(reader: asyncio.StreamReader, method: str) -> tuple[int, bytes, bool]:
    """Return status, body, and whether the connection may be kept."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ")[1])
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
    }
    if status == 100:
        return await answer_of(reader, method)
    body = b""
    if method != "HEAD" and status not in (204, 304):
        if "chunked" in fields.get("transfer-encoding", ""):
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
        else:
            body = await reader.readexactly(int(fields.get("content-length", "0")))
    return status, body, fields.get("connection", "").lower() != "close"


# --- the campaign -----------------------------------------------------------------------------------------------------


@dataclass
class Campaign:
    """Findings and figures of one run."""

    chance: random.Random
    hang: float
    findings: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    unsure: dict[str, int] = field(default_factory=dict)
    """By server: so many inputs more may see a change by one whose answer did not come in time."""

    def find(self, listener: Listener, kind: str, what: str, sent: bytes) -> None:
        place = f"{listener.name}: {kind}: {what}"
        if all(known["place"] != place for known in self.findings):
            self.findings.append({"kind": kind, "place": place, "input": sent[:4000].hex()})

    async def one(self, listener: Listener) -> None:
        """Send one input and look at what came of it."""
        if listener.name == "coaps":
            return self.datagram(listener)
        seed = self.chance.choice(listener.seeds)
        request, whole = mutated(seed, self.chance)
        sent = framed(request)
        if not whole:
            return await self.broken(listener, sent)
        listener.count("executions")
        try:
            async with asyncio.timeout(self.hang):
                if listener.writer is None:
                    await listener.connect()
                assert listener.reader is not None and listener.writer is not None
                listener.writer.write(sent)
                status, body, kept = await answer_of(listener.reader, request.method)
        except TimeoutError:
            listener.close()
            self.find(listener, "hang", f"no answer to {request.method} within {self.hang:g} s", sent)
            return None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            listener.close()
            listener.count("closed")
            self.look(listener, sent, taken=False)
            return None
        if not kept:
            listener.close()
        listener.count(f"{status // 100}xx")
        if status == 500:
            self.find(listener, "crash", f"HTTP 500: {body[:120].decode('utf-8', 'replace')}", sent)
        self.look(listener, sent, taken=listener.taken(status, body))
        return None

    async def broken(self, listener: Listener, sent: bytes) -> None:
        """Send what is no whole request, or no TLS, and go away."""
        listener.count("broken")
        tls = listener.tls if self.chance.randrange(2) else None
        cut = not self.chance.randrange(2)
        data = sent[: self.chance.randrange(len(sent))] if cut else mutated_bytes(sent, self.chance)
        taken = False
        server = listener.server.name
        with contextlib.suppress(OSError, TimeoutError, ssl.SSLError, asyncio.IncompleteReadError, ValueError):
            async with asyncio.timeout(self.hang):
                name = "localhost" if tls is not None else None
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", listener.port, ssl=tls, server_hostname=name
                )
                writer.write(data)
                await writer.drain()
                if not cut and (tls is not None or listener.tls is None):
                    # It may be a good request all the same: only its answer says so, and that it was carried out.
                    self.unsure[server] = 50
                    with contextlib.suppress(TimeoutError, asyncio.LimitOverrunError):
                        async with asyncio.timeout(1.0):
                            status, body, _ = await answer_of(reader, "POST")
                            taken = listener.taken(status, body)
                            self.unsure[server] = 0
                writer.transport.abort()
        self.look(listener, sent, taken=taken)

    def datagram(self, listener: Listener) -> None:
        """Send a datagram that is no DTLS, or nearly a ClientHello."""
        listener.count("executions")
        hello = bytes.fromhex("16fefd0000000000000000003801000030000000000000003000fefd") + bytes(32)
        hello += bytes.fromhex("00000002c02b0100")
        data = mutated_bytes(hello, self.chance)[:1400]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(data, ("127.0.0.1", listener.port))
        self.look(listener, data, taken=False)

    def look(self, listener: Listener, sent: bytes, *, taken: bool) -> None:
        """Look whether the server lives, and at times whether what it keeps has changed."""
        server = listener.server
        if not server.alive():
            self.find(listener, "crash", f"the process ended with {server.process.returncode}", sent)
            raise SystemExit(1)
        now = server.state()
        if self.unsure.get(server.name, 0):
            # One came whose answer was not waited for; a slow host may have carried it out since.
            self.unsure[server.name] -= 1
            if now != self.states.get(server.name):
                listener.count("late")
                taken = True
        if now != self.states.get(server.name) and not taken and server.name in self.states:
            self.find(listener, "state", "a rejected input changed what is kept", sent)
        if taken:
            listener.count("taken")
        self.states[server.name] = now


def dtls_answers(port: int) -> bool | None:
    """Return whether openssl makes a DTLS handshake with the port, None where there is no openssl."""
    command = ["openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}"]
    try:
        done = subprocess.run(command, input=b"", capture_output=True, timeout=20, check=False)
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired as late:
        return b"Cipher" in (late.stdout or b"")
    return b"BEGIN CERTIFICATE" in done.stdout


async def run(given: argparse.Namespace, home: Path, seed: int) -> dict[str, Any]:
    """Run the campaign on a home for its share of time; return the figures of this run."""
    from fixtures.pki import Pki

    Pki.open(home)
    campaign = Campaign(random.Random(seed), given.hang)
    async with AsyncExitStack() as stack:
        eim = await stack.enter_async_context(serving("eim", home))
        smdpp = await stack.enter_async_context(serving("smdpp", home))
        every = listeners(eim, smdpp, home)
        chosen = [item for item in every if given.listener is None or item.name in given.listener]
        own = sum(os.times()[:2])
        operator = next(item for item in every if item.name == "eim-operator")
        good = Request(f"/euiccs/{EID}", b"", dict(operator.seeds[0].headers), "PUT")
        await operator.connect()
        assert operator.reader is not None and operator.writer is not None
        operator.writer.write(framed(good))
        status, _, _ = await answer_of(operator.reader, "PUT")
        assert status in (200, 201), status
        campaign.states = {server.name: server.state() for server in (eim, smdpp)}

        def cpu() -> float:
            return sum(os.times()[:2]) - own + eim.cpu() + smdpp.cpu()

        begun = asyncio.get_running_loop().time()
        while cpu() < given.seconds and asyncio.get_running_loop().time() - begun < given.longest:
            for listener in chosen:
                for _ in range(20):
                    await campaign.one(listener)
        used = cpu()
        for listener in every:
            listener.close()
            if listener.name == "coaps" and listener in chosen and dtls_answers(listener.port) is False:
                campaign.find(listener, "hang", "no DTLS handshake afterwards", b"")
        figures = {listener.name: listener.figures for listener in chosen}
    for server in (eim, smdpp):
        log = (home / f"{server.name}.log").read_text(errors="replace")
        for error in sorted(set(re.findall(r"^[A-Za-z_.]+(?:Error|Exception)\b.*$", log, re.MULTILINE))):
            if error.startswith(GONE):
                continue
            campaign.findings.append({"kind": "crash", "place": f"{server.name}: {error[:200]}", "input": ""})
    return {"cpu_seconds": used, "listeners": figures, "findings": campaign.findings}


def merged(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of all runs together."""
    listeners_: dict[str, dict[str, int]] = {name: dict(found) for name, found in before.get("listeners", {}).items()}
    for name, found in now["listeners"].items():
        known = listeners_.setdefault(name, {})
        for what, count in found.items():
            known[what] = known.get(what, 0) + count
    findings = {item["place"]: item for item in (*before.get("findings", ()), *now["findings"])}
    return {
        "runs": before.get("runs", 0) + 1,
        "cpu_seconds": round(before.get("cpu_seconds", 0.0) + now["cpu_seconds"], 1),
        "executions": sum(found.get("executions", 0) + found.get("broken", 0) for found in listeners_.values()),
        "crashes": sum(item["kind"] == "crash" for item in findings.values()),
        "hangs": sum(item["kind"] == "hang" for item in findings.values()),
        "state_changes": sum(item["kind"] == "state" for item in findings.values()),
        "listeners": listeners_,
        "findings": list(findings.values()),
    }


def main(argv: list[str] | None = None) -> int:
    """Run the campaign; print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of CPU time, of fuzzer and servers together")
    parser.add_argument("--longest", type=float, default=1e9, help="real seconds at most")
    parser.add_argument("--state", type=Path, help="JSON file: figures of all runs, merged")
    parser.add_argument("--listener", action="append", help="only these (default: all)")
    parser.add_argument("--hang", type=float, default=10.0, help="real seconds that an answer may take")
    parser.add_argument("--seed", type=int, help="of the first run; the next ones count on (default: 1)")
    parser.add_argument("--nice", type=int, default=0)
    given = parser.parse_args(argv)
    os.nice(given.nice)
    before: dict[str, Any] = {}
    if given.state is not None and given.state.exists():
        before = json.loads(given.state.read_text())
    seed = (given.seed or 1) + before.get("runs", 0)
    with tempfile.TemporaryDirectory(prefix="fuzz-listeners-") as home:
        total = merged(before, asyncio.run(run(given, Path(home), seed)))
    if given.state is not None:
        scratch = given.state.with_suffix(".new")
        scratch.write_text(json.dumps(total, indent=1))
        scratch.replace(given.state)
    print(json.dumps(total, indent=1))
    return 1 if total["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
