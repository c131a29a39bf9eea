"""ES2+ that misbehaves on demand, over mutual TLS: what the operator sees, what became of the order, and what retries.

Each row is one misbehaviour at one function: the answer or error that an operator's backend gets, the state of the
order after it, and that the same call again, as a backend retries (SGP.22 section 6.5.1.3), ends with the order as if
nothing had been wrong and nothing done twice. The rows' budget: two calls and two seconds.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from conftest import World

from fixtures.service import Observer, listen
from fixtures.service.misbehaviour import ES2, KINDS, TLS_ES2, Misbehaviours
from fixtures.service.misbehaviour_wire import Handshakes
from fixtures.service.repeats import LIMIT
from fixtures.smdpp import http_es2
from fixtures.smdpp.misbehaviour_es2 import MisbehavingEs2

OPERATIONAL = "8900101000000000027"
PADDED = OPERATIONAL + "F"
FIRST, CONFIRM, RELEASE, CANCEL = ES2
BEFORE = {FIRST: "", CONFIRM: "allocated", RELEASE: "confirmed", CANCEL: "allocated"}
AFTER = {FIRST: "allocated", CONFIRM: "confirmed", RELEASE: "released", CANCEL: "available"}
BODY: dict[str, dict[str, Any]] = {
    FIRST: {"iccid": OPERATIONAL},
    CONFIRM: {"iccid": OPERATIONAL, "matchingId": "ACME-1", "releaseFlag": False},
    RELEASE: {"iccid": OPERATIONAL},
    CANCEL: {"iccid": OPERATIONAL, "finalProfileStatusIndicator": "Available"},
}
WAY: dict[str, tuple[str, ...]] = {FIRST: (), CONFIRM: (FIRST,), RELEASE: (FIRST, CONFIRM), CANCEL: (FIRST,)}
EXECUTED, REFUSED = "executed", "not executed"

# misbehaviour, functions, what the operator sees (a status, words of the body, or an exception), whether it is executed
ROWS: list[tuple[dict[str, Any], tuple[str, ...], object, str]] = [
    ({"name": "delay", "seconds": 0.1}, ES2, '"Executed-Success"', EXECUTED),
    ({"name": "drop"}, ES2, aiohttp.ServerDisconnectedError, EXECUTED),
    ({"name": "drop", "when": "before"}, ES2, aiohttp.ServerDisconnectedError, REFUSED),
    ({"name": "http-status", "status": 503}, ES2, 503, REFUSED),
    ({"name": "http-status", "status": 404}, (FIRST,), 404, REFUSED),
    ({"name": "cut", "octets": 5}, ES2, aiohttp.ClientPayloadError, EXECUTED),
    ({"name": "truncated", "octets": 3}, ES2, json.JSONDecodeError, EXECUTED),
    ({"name": "oversized", "octets": 1 << 16}, ES2, '"padding": "AAAA', EXECUTED),
    ({"name": "garbage"}, ES2, ValueError, EXECUTED),
    ({"name": "empty"}, ES2, json.JSONDecodeError, EXECUTED),
    ({"name": "content-type"}, ES2, '"Executed-Success"', EXECUTED),
    ({"name": "status"}, ES2, '"subjectCode": "8.1"', REFUSED),
    ({"name": "status", "subject": "8.2.5", "reason": "3.7"}, (FIRST,), '"reasonCode": "3.7"', REFUSED),
    ({"name": "status", "subject": "9.9", "reason": "9.9"}, ES2, '"subjectCode": "9.9"', REFUSED),
    ({"name": "order-answer"}, (FIRST,), '"iccid": "89001010000000000', EXECUTED),
    ({"name": "order-answer", "form": "spelling"}, (FIRST,), f'"iccid": "{OPERATIONAL}"', EXECUTED),
    ({"name": "order-answer", "form": "matching-id"}, (CONFIRM,), '"matchingId": "ACME-1-OTHER"', EXECUTED),
    ({"name": "order-answer", "form": "address"}, (CONFIRM,), '"smdpAddress": "other.example"', EXECUTED),
    ({"name": "order-answer", "form": "no-header"}, (FIRST, CONFIRM), '{"iccid"|{"matchingId"', EXECUTED),
    ({"name": "order-answer", "form": "no-status"}, ES2, '"header": {}', EXECUTED),
    ({"name": "order-answer", "form": "members"}, (FIRST, CONFIRM), '"Executed-Success"}}}', EXECUTED),
]
CASES = [
    pytest.param(entry, function, seen, done, id="-".join((*map(str, entry.values()), function)))
    for entry, functions, seen, done in ROWS
    for function in functions
]


class Backend:
    """An operator's backend: its certificate, and calls that it repeats with their identifier."""

    def __init__(self, world: World, table: Misbehaviours, port: int, client: aiohttp.ClientSession) -> None:
        self.world, self.table, self.client = world, table, client
        self._url = f"https://127.0.0.1:{port}/gsma/rsp2/es2plus/"

    async def post(self, function: str, call: str) -> tuple[int, bytes]:
        header = {"functionRequesterIdentifier": "2.999.31", "functionCallIdentifier": call}
        body = json.dumps({"header": header, **BODY[function]}).encode()
        async with self.client.post(self._url + function, data=body) as response:
            return response.status, await response.read()

    async def prepare(self, function: str) -> None:
        """Lead the order to where the function is due."""
        for number, earlier in enumerate(
            {CONFIRM: (FIRST,), RELEASE: (FIRST, CONFIRM), CANCEL: (FIRST,)}.get(function, ())
        ):
            assert b"Executed-Success" in (await self.post(earlier, f"before-{number}"))[1]

    @property
    def state(self) -> str:
        found = self.world.store.db.execute("SELECT state FROM orders").fetchall()
        assert len(found) <= 1, "an order was doubled"
        return str(found[0][0]) if found else ""


@asynccontextmanager
async def backend(world: World) -> AsyncIterator[Backend]:
    table = Misbehaviours("smdpp")
    chain, key = world.pki.dp_tls.tls_files()
    handshakes = Handshakes(table, world.pki, "dp_tls", "smdpp.bench.example", function=TLS_ES2)
    table.checks.append(handshakes.prepare)
    application = http_es2.application(world.es2, world.operators, Observer(None), MisbehavingEs2(table))
    client = ssl.create_default_context(cafile=str(world.pki.ci_files))
    client.load_cert_chain(*world.pki.operator().tls_files())
    client.check_hostname = False
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        port = await listen(
            application,
            stack,
            host="127.0.0.1",
            tls=http_es2.context(chain, key, world.pki.ci_files),
            handshakes=handshakes,
        )
        headers = {"X-Admin-Protocol": "gsma/rsp/v2.5.0", "Content-Type": "application/json"}
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client), headers=headers)
        yield Backend(world, table, port, await stack.enter_async_context(session))


@pytest.mark.parametrize(("entry", "function", "seen", "executed"), CASES)
def test_each_misbehaviour(entry: dict[str, Any], function: str, seen: object, executed: str, world: World) -> None:
    async def use() -> None:
        async with backend(world) as operator:
            await operator.prepare(function)
            assert operator.state == BEFORE[function]
            operator.table.tell([{**entry, "function": function}])
            begun = time.monotonic()
            if isinstance(seen, type):
                with pytest.raises(seen):
                    json.loads((await operator.post(function, "call"))[1])
            else:
                status, body = await operator.post(function, "call")
                words = str(seen).split("|") if isinstance(seen, str) else [""]
                assert status == (seen if isinstance(seen, int) else 200)
                assert any(word in body.decode() for word in words), body
            assert operator.table.public()["misbehaviours"][0]["done"] == 1
            assert operator.state == (AFTER if executed is EXECUTED else BEFORE)[function]
            status, body = await operator.post(function, "call")  # as a backend that is not satisfied does
            answer = json.loads(body)
            assert (status, answer["header"]["functionExecutionStatus"]["status"]) == (200, "Executed-Success")
            if function == FIRST:
                assert answer["iccid"] == PADDED
            assert operator.state == AFTER[function]
            assert operator.table.requests[function] == 2 and time.monotonic() - begun < 2.0

    asyncio.run(use())


def test_every_kind_that_an_operator_can_meet_is_a_row() -> None:
    """What has a wrong signature, counter or certificate chain in it is not ES2+: that has neither, but TLS."""
    meets = {name for name, kind in KINDS.items() if "smdpp" in kind.sides and set(kind.applies("smdpp")) & set(ES2)}
    assert meets - {str(entry["name"]) for entry, *_ in ROWS} == {"stale-answer"}


def test_the_answer_to_an_earlier_call(world: World) -> None:
    """A replay: the identifier in the request cannot tell, the content can."""

    async def use() -> None:
        async with backend(world) as operator:
            _, old = await operator.post(FIRST, "one")
            assert b"Executed-Success" in (await operator.post(CANCEL, "two"))[1]
            operator.table.tell([{"name": "stale-answer", "function": FIRST}])
            assert (await operator.post(FIRST, "three"))[1] == old
            assert operator.table.public()["misbehaviours"][0]["done"] == 1

    asyncio.run(use())


@pytest.mark.parametrize(
    ("name", "words"),
    [("expired-certificate", "certificate has expired"), ("foreign-certificate", "self-signed|unable")],
)
def test_certificates(name: str, words: str, world: World) -> None:
    async def use() -> None:
        async with backend(world) as operator:
            operator.table.tell([{"name": name, "function": TLS_ES2}])
            with pytest.raises(aiohttp.ClientConnectorCertificateError, match=words):
                await operator.post(FIRST, "call")
            assert operator.state == "" and operator.table.public()["misbehaviours"][0]["done"] == 1
            assert b"Executed-Success" in (await operator.post(FIRST, "call"))[1]

    asyncio.run(use())


def test_a_call_that_is_repeated_for_ever_is_refused(world: World) -> None:
    """The same answer some times, as to a backend that lost it; then HTTP 429, and the order stays as it is."""

    async def use() -> None:
        async with backend(world) as operator:
            answers = [await operator.post(FIRST, "call") for _ in range(LIMIT + 3)]
            assert [status for status, _ in answers] == [200] * (LIMIT + 1) + [429] * 2
            assert b"repeated 20 times within 60 s and is executed" in answers[-1][1]
            assert operator.state == "allocated"
            assert (await operator.post(CONFIRM, "other"))[0] == 200

    asyncio.run(use())
