"""The table of misbehaviours: what is read, when it applies, how often; and the loop detector beside it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ConfigurationError
from fixtures.pki import Pki
from fixtures.service import bearer, listen, tls_context
from fixtures.service.misbehaviour import FUNCTIONS, KINDS, TLS, TLS_ES2, Misbehaviours, document, read
from fixtures.service.misbehaviour_options import entries
from fixtures.service.misbehaviour_wire import Handshakes, Wire, changed, instead, response, routes
from fixtures.service.repeats import EXCHANGES, PEERS, Repeats

EID, OTHER = "89049032123451234512345678901235", "89044045930000000000002153893210"


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "dorp"}, "did you mean drop?"),
        ({}, "no misbehaviour ''"),
        ({"name": "wrong-challenge"}, "at this server"),
        ({"name": "drop", "fnction": "x"}, "did you mean function?"),
        ({"name": "drop", "function": "getEimPackge"}, "did you mean getEimPackage?"),
        ({"name": "wrong-eid", "function": "handleNotification"}, "does not apply"),
        ({"name": "error", "function": "handleNotification"}, "does not apply"),
        ({"name": "drop", "eid": "8904"}, "is no EID"),
        ({"name": "expired-certificate", "eid": EID}, "a handshake names no EID"),
        ({"name": "drop", "count": -1}, "is no count"),
        ({"name": "drop", "count": True}, "is no count"),
        ({"name": "drop", "after": 1.5}, "is no count"),
        ({"name": "drop", "when": "never"}, "is none of before, after"),
        ({"name": "delay"}, "is missing"),
        ({"name": "delay", "seconds": "1"}, "is no number"),
        ({"name": "delay", "seconds": 1e9}, "is not in 0 to 3600"),
        ({"name": "http-status", "status": 200}, "is not in 400 to 599"),
        ({"name": "truncated", "octets": 1.5}, "is no whole number"),
        ({"name": "package-signature", "form": 7}, "is no text"),
        ([], "is an object"),
    ],
)
def test_what_is_wrong_is_told(entry: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(entry, "eim", 3)
    assert words in str(caught.value) and "misbehaviour 3" in caught.value.where


@given(
    st.dictionaries(
        st.sampled_from(["name", "function", "eid", "count", "after", "form", "octets", "seconds", "x"]),
        st.one_of(st.none(), st.text(max_size=8), st.integers(), st.floats(), st.sampled_from(sorted(KINDS)), st.lists(
            st.integers(), max_size=2)),
    ),
    st.sampled_from(["eim", "smdpp"]),
)  # fmt: skip
def test_any_entry_is_armed_or_refused(entry: dict[str, Any], side: Any) -> None:
    try:
        armed = read(entry, side)
    except ConfigurationError as error:
        assert error.hint
        return
    assert armed.name in KINDS and side in armed.kind.sides
    assert armed.function in ("", *armed.kind.applies(side))


def test_nothing_is_armed_when_one_entry_is_wrong() -> None:
    table = Misbehaviours("eim")
    table.tell([{"name": "drop"}])
    with pytest.raises(ConfigurationError):
        table.tell([{"name": "garbage"}, {"name": "nonsense"}])
    assert [item["name"] for item in table.public()["misbehaviours"]] == ["drop"]


def test_the_table_says_what_it_has() -> None:
    for side in ("eim", "smdpp"):
        text = document(side)  # type: ignore[arg-type]
        for name, kind in KINDS.items():
            assert (f"\n{name} (" in f"\n{text}") == (side in kind.sides)
            if side in kind.sides:
                assert set(kind.applies(side)) <= {*FUNCTIONS[side], TLS, TLS_ES2}  # type: ignore[arg-type,index]
    assert set(document().splitlines()) >= {line for line in document("eim").splitlines() if line.startswith("    ")}


def test_options() -> None:
    assert entries("drop") == [{"name": "drop"}]
    assert entries('{"name": "drop"}') == [{"name": "drop"}]
    assert entries('[{"name": "drop"}, {"name": "garbage"}]') == [{"name": "drop"}, {"name": "garbage"}]


# --- when it applies --------------------------------------------------------------------------------------------------


def names(table: Misbehaviours, function: str = "getEimPackage", eid: str = EID, **more: Any) -> list[str]:
    exchange = table.exchange(function, eid, **more)
    if exchange is None:
        return []
    for armed in exchange.chosen:
        exchange.did(armed)
    return exchange.names


def test_how_often() -> None:
    table = Misbehaviours("eim")
    table.tell([{"name": "drop", "count": 2, "after": 1}])
    assert [names(table) for _ in range(5)] == [[], ["drop"], ["drop"], [], []]
    assert not table.active
    table.tell([{"name": "drop", "count": 0}])
    assert all(names(table) == ["drop"] for _ in range(5)) and table.active


def test_for_one_eid_and_function() -> None:
    table = Misbehaviours("eim")
    table.tell([{"name": "drop", "eid": EID, "function": "handleNotification", "count": 0}])
    assert names(table) == [] and names(table, "handleNotification", OTHER) == []
    assert names(table, "handleNotification", "") == []
    assert names(table, "handleNotification") == ["drop"]


def test_what_did_not_come_about_stays_armed() -> None:
    table = Misbehaviours("eim")
    table.tell([{"name": "drop"}])
    assert table.exchange("getEimPackage", EID) is not None
    assert table.active and names(table) == ["drop"] and not table.active


def test_packages_are_told_from_answers() -> None:
    table = Misbehaviours("eim")
    table.tell([{"name": "wrong-eid"}, {"name": "drop"}])
    assert names(table, package=True) == ["wrong-eid"]
    assert names(table) == ["drop"]
    assert table.public()["requests"] == {"getEimPackage": 1}


def test_what_happened_is_told_and_forgotten_with_the_next_telling() -> None:
    table = Misbehaviours("eim")
    table.tell([{"name": "drop"}])
    names(table)
    shown = table.public()
    assert shown["misbehaviours"] == [
        {"name": "drop", "count": 1, "after": 0, "when": "after", "done": 1, "over": True}
    ]
    assert [(item["name"], item["function"], item["eid"]) for item in shown["occurred"]] == [
        ("drop", "getEimPackage", EID)
    ]
    table.tell([{"name": "garbage"}], more=True)
    assert [item["name"] for item in table.public()["misbehaviours"]] == ["drop", "garbage"]
    table.clear()
    assert table.public() == {"misbehaviours": [], "occurred": [], "requests": {}}


# --- on the wire ------------------------------------------------------------------------------------------------------

BODY = bytes(range(200))


@asynccontextmanager
async def served(pki: Pki, table: Misbehaviours) -> AsyncIterator[tuple[str, ssl.SSLContext, str]]:
    """A TLS server that answers BODY, as the table says, and its operator's side."""
    handshakes = Handshakes(table, pki, "eim_tls", "localhost")
    table.checks.append(handshakes.prepare)

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        exchange = table.exchange("getEimPackage")
        early = instead(exchange)
        if early is not None:
            return response(early, {})
        answer = Wire(200, BODY)
        if exchange is not None:
            answer = await changed(exchange, answer, before=b"before", pad=lambda body, octets: body + bytes(octets))
        return response(answer, {"Content-Type": "application/x-test"})

    application = web.Application(middlewares=[bearer("secret-secret-secret")])
    application.add_routes(routes(table))
    async with AsyncExitStack() as stack:
        context = tls_context(*pki.eim_tls.tls_files())
        port = await listen(web.Server(handler), stack, host="127.0.0.1", tls=context, handshakes=handshakes)
        operator = await listen(application, stack, host="127.0.0.1")
        client = ssl.create_default_context(cafile=pki.ci_files)
        yield f"https://localhost:{port}/", client, f"http://127.0.0.1:{operator}/misbehaviour"


def scene(tmp_path: Path, play: Callable[[Misbehaviours, str, ssl.SSLContext, str], Awaitable[None]]) -> None:
    async def run() -> None:
        table = Misbehaviours("eim")
        async with asyncio.timeout(30), served(Pki.open(tmp_path), table) as (url, context, operator):
            await play(table, url, context, operator)

    asyncio.run(run())


async def get(url: str, context: ssl.SSLContext) -> tuple[int, str, bytes]:
    async with aiohttp.ClientSession() as session, session.post(url, ssl=context) as answer:
        return answer.status, answer.headers.get("Content-Type", ""), await answer.read()


def test_every_answer_of_the_wire(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def play(table: Misbehaviours, url: str, context: ssl.SSLContext, operator: str) -> None:
        async def told(**entry: Any) -> tuple[int, str, bytes]:
            table.tell([entry])
            return await get(url, context)

        assert await get(url, context) == (200, "application/x-test", BODY)
        assert (await told(name="http-status", status=503))[0] == 503
        assert (await told(name="truncated", octets=7))[2] == BODY[:-7]
        assert (await told(name="oversized", octets=1000))[2] == BODY + bytes(1000)
        assert (await told(name="empty"))[2] == b""
        assert (await told(name="stale-answer"))[2] == b"before"
        assert (await told(name="content-type", type="text/html"))[1] == "text/html"
        garbage = (await told(name="garbage", octets=33))[2]
        assert len(garbage) == 33
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert (await told(name="delay", seconds=0.05))[2] == BODY
        assert loop.time() - begun >= 0.05
        for when in ("before", "after"):
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await told(name="drop", when=when)
        with pytest.raises(aiohttp.ClientPayloadError):
            await told(name="cut", octets=20)
        assert await get(url, context) == (200, "application/x-test", BODY)

    scene(tmp_path, play)
    assert not caplog.records, [record.getMessage() for record in caplog.records]


def test_cut_sends_what_it_says_and_no_more(tmp_path: Path) -> None:
    async def play(table: Misbehaviours, url: str, context: ssl.SSLContext, operator: str) -> None:
        table.tell([{"name": "cut", "octets": 20}])
        port = int(url.rstrip("/").rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            raw = await reader.read()
        head, _, body = raw.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(BODY)}".encode() in head and body == BODY[:20]
        writer.close()

    scene(tmp_path, play)


def test_certificates(tmp_path: Path) -> None:
    """A kept connection ends when a handshake is to go wrong: the client sees it at once."""

    async def play(table: Misbehaviours, url: str, context: ssl.SSLContext, operator: str) -> None:
        async with aiohttp.ClientSession() as session:

            async def again() -> int:
                async with session.get(url, ssl=context) as answer:
                    return answer.status

            assert await again() == 200
            for name, words in (("expired-certificate", "has expired"), ("foreign-certificate", "unable to get")):
                table.tell([{"name": name}])
                with pytest.raises(aiohttp.ClientConnectorCertificateError, match=words):
                    await again()
                assert await again() == 200, "once"
        table.tell([{"name": "expired-certificate"}])
        lax = ssl.create_default_context()
        lax.check_hostname, lax.verify_mode = False, ssl.CERT_NONE
        port = int(url.rstrip("/").rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=lax)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        from bench.rsp import certs

        kept = Pki.open(tmp_path).eim_tls.certificate
        assert certs.load(shown).public_key() == certs.load(kept).public_key(), "the key is the server's own"

    scene(tmp_path, play)


def test_operator(tmp_path: Path) -> None:
    async def play(table: Misbehaviours, url: str, context: ssl.SSLContext, operator: str) -> None:
        async with aiohttp.ClientSession() as session:

            async def call(method: str, body: Any = None, token: str = "secret-secret-secret") -> tuple[int, Any]:
                headers = {"Authorization": f"Bearer {token}"}
                async with session.request(method, operator, json=body, headers=headers) as answer:
                    return answer.status, await answer.json()

            table.tell([{"name": "drop"}])
            before = table.public()
            for method in ("GET", "PUT", "POST", "DELETE"):
                status, _ = await call(method, {"misbehaviours": []}, token="wrong")
                assert status == 401 and table.public() == before
            assert (await call("GET"))[1] == before
            status, shown = await call("PUT", {"misbehaviours": [{"name": "garbage", "octets": 5}]})
            assert status == 200 and [item["name"] for item in shown["misbehaviours"]] == ["garbage"]
            status, shown = await call("POST", {"name": "empty"})
            assert status == 201 and [item["name"] for item in shown["misbehaviours"]] == ["garbage", "empty"]
            for body in ({}, {"misbehaviours": {}}, {"misbehaviours": ["x"]}, {"misbehaviours": [{"name": "x"}]}, []):
                status, shown = await call("PUT", body)
                assert status == 400 and shown["error"]["what"]
            assert [item["name"] for item in table.public()["misbehaviours"]] == ["garbage", "empty"]
            assert (await call("DELETE"))[1]["misbehaviours"] == []

    scene(tmp_path, play)


# --- loops ------------------------------------------------------------------------------------------------------------


def test_repeats() -> None:
    now = 100.0
    repeats = Repeats(limit=3, window=10.0, clock=lambda: now)
    assert [repeats.count("a", b"x") for _ in range(3)] == [1, 2, 3]
    assert repeats.count("a", b"y") == 1 and repeats.count("b", b"x") == 1
    now = 110.5
    assert repeats.count("a", b"x") == 1, "its window was over"
    assert repeats.count("a", b"x") == 2
    repeats.progress("a")
    assert repeats.count("a", b"x") == 1
    repeats.progress("never seen")


def test_repeats_forget_the_least_recent() -> None:
    repeats = Repeats(clock=lambda: 0.0)
    repeats.count("first", b"x")
    for number in range(PEERS):
        repeats.count(str(number), b"x")
    assert repeats.count("first", b"x") == 1
    for number in range(EXCHANGES):
        repeats.count("first", str(number).encode())
    assert repeats.count("first", b"x") == 1


def test_repeats_keep_no_peer_whose_windows_are_over() -> None:
    """A soak sends an SM-DP+ new requests for days, each of them a peer of its own."""
    now = 0.0
    repeats = Repeats(limit=3, window=10.0, clock=lambda: now)
    for number in range(500):
        now = float(number)
        assert repeats.count(str(number), b"x") == 1
        assert repeats.count("stuck", b"y") == number % 11 + 1, "who goes on is kept as long as it counts"
    assert len(repeats._peers) <= 14


def test_who_goes_away_fills_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def play(table: Misbehaviours, url: str, context: ssl.SSLContext, operator: str) -> None:
        port = int(operator.rpartition("/")[0].rpartition(":")[2])
        head = b"PUT /misbehaviour HTTP/1.1\r\nAuthorization: Bearer secret-secret-secret\r\nContent-Length: 99\r\n\r\n"
        for sent in (head + b"{", b"\x16\x03\x01\x00\x05hello\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):  # it is being read by now
                    await reader.read(1)
            writer.transport.abort()
        async with aiohttp.ClientSession() as session, session.get(operator) as answer:
            assert answer.status == 401

    scene(tmp_path, play)
    assert [record.getMessage() for record in caplog.records] == []
