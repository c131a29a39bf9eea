"""The operator's listener of the eIM as a fuzzing target: any HTTP without a token, any call with each role."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fixtures.eim.store import Store

HOME_TOKEN = "home-token-of-the-fuzzer-0123456789"
EID = "89049032123451234512345678901235"
WITHIN = 10.0
"""Seconds in which any request is answered or its connection closed."""


A_MOMENT = 0.005
"""Seconds for an answer to bytes that may be no whole request."""


class Changed(Exception):
    """Somebody who may not has changed something, or the answer is none."""


class Listener:
    """The operator's side of one eIM on loopback, and its loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.home = Path(tempfile.mkdtemp(prefix="fuzz-operator-"))
        self.port, self.store, self.tokens = self.loop.run_until_complete(self._open())
        atexit.register(shutil.rmtree, self.home, ignore_errors=True)

    async def _open(self) -> tuple[int, Store, list[str]]:
        from aiohttp import web

        from fixtures.eim.context import Context, Options
        from fixtures.eim.es9plus import Es9Plus, Routes
        from fixtures.eim.esipa import Esipa
        from fixtures.eim.rest import Operator
        from fixtures.eim.roles import Role, Tokens
        from fixtures.eim.store import Store
        from fixtures.pki import Pki
        from fixtures.service import Observer

        pki, store = Pki.open(self.home), Store.open(self.home / "eim.sqlite")
        options = Options(approval=frozenset({"delete"}), keep_orders=20, keep_audit=2000)
        context = Context(store=store, eim_id="eim.fuzz", fqdn="eim.fuzz", key=pki.eim.key, options=options)
        store.db.execute("PRAGMA synchronous = OFF")
        store.add_euicc(EID)
        tokens = Tokens(store, HOME_TOKEN)
        made = [tokens.add(role.word, role, by="fuzz") for role in Role]
        routes = Routes()
        es9 = Es9Plus(trusted=[pki.ci_files], routes=routes, observer=Observer(None))
        application = Operator(context, Esipa(context, es9), routes).application(HOME_TOKEN, rate=1e9)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return int(runner.addresses[0][1]), store, made

    def changes(self) -> int:
        """Return how many rows were changed so far."""
        return self.store.db.total_changes

    def exchange(self, request: bytes, *, whole: bool) -> bytes:
        """Send bytes and return what comes back: ``whole`` until the server closes, else the first of it, if any."""

        async def send() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(request)
                if whole:
                    async with asyncio.timeout(WITHIN):
                        return await reader.read()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(A_MOMENT):
                        return await reader.read(65536)
                return b""
            finally:
                writer.close()

        try:
            return self.loop.run_until_complete(send())
        except ConnectionError:
            return b""


@functools.cache
def _listener() -> Listener:
    return Listener()


def fuzz_operator(data: bytes) -> None:
    """First byte: raw HTTP (0 to 63), or whose token; then the call, then its body. Only who may changes anything."""
    from fixtures.eim.calls import CALLS

    if len(data) < 2:
        return
    listener = _listener()
    before = listener.changes()
    if data[0] < 64:
        listener.exchange(data[1:], whole=False)
        if listener.changes() != before:
            raise Changed("bytes without a token have changed something")
        return
    who, call, body = data[0] % 4, CALLS[data[1] % len(CALLS)], data[2:]
    path = call.path.replace("{eid}", EID).replace("{id}", "1").replace("{name}", "x")
    if call.query and body[:1] == b"?":
        query, _, body = body.partition(b"\n")
        path += "".join(chr(byte) if 33 <= byte < 127 and byte != 35 else f"%{byte:02X}" for byte in query)
        path = path.replace("wait=", "w=")
    token = (HOME_TOKEN[:-1], *listener.tokens)[who]
    head = f"{call.method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
    answer = listener.exchange(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body, whole=True)
    status = int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
    if status == 0 or status >= 500:
        raise Changed(f"{call.name}: {answer[:200]!r}")
    needed = call.body_role if call.body_role is not None and body else call.role
    if who == 0 and (status not in (401, 429) or listener.changes() != before):
        raise Changed(f"{call.name} without a good token: {status}")
    if 0 < who < needed and status != 403:
        raise Changed(f"{call.name} by {who}: {status}")
    if call.method == "GET" and call.name != "export" and who >= needed and listener.changes() != before:
        raise Changed(f"{call.name} has changed something")


def seeds() -> list[bytes]:
    """Return inputs to start from: each call with a good body, and a few lines of HTTP."""
    from fixtures.eim.calls import CALLS

    bodies: dict[str, Any] = {
        "create_order": {"eid": EID, "kind": "package", "psmos": [{"enable": {"iccid": "8900101000000000027"}}]},
        "create_orders": {"orders": [{"eid": EID, "kind": "data", "tags": ["euiccInfo2"]}]},
        "put_euicc": {"counter": 3, "association_token": None},
        "new_association": {"token": True},
        "put_route": {"target": "127.0.0.1:1"},
        "add_token": {"name": "x", "role": "view", "expires_in": 5},
        "reject_order": {"why": "x"},
        "import_": {"type": "euicc", "eid": EID, "certificates": [], "features": 1},
    }
    found = [bytes((0,)) + b"GET /status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n"]
    found.append(
        bytes((0,)) + b"POST /orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    )
    for at, call in enumerate(CALLS):
        body = json.dumps(bodies[call.name]).encode() if call.name in bodies else b""
        for who in range(4):
            found.append(bytes((64 + who, at)) + body)
        if call.query:
            query = "?" + "&".join(f"{name}=1" for name in call.query) + "\n"
            found.append(bytes((67, at)) + query.encode())
    return found
