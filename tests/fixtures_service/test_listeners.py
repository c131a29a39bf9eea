"""Every listener: a client learns why its handshake failed, and one that goes away is no fault to write down."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from bench import buffers
from fixtures.pki import Pki
from fixtures.service import json_object, listen, tls_context
from fixtures.smdpp import http_es2


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.open(tmp_path_factory.mktemp("home"))


async def _read(request: web.Request) -> web.Response:
    return web.json_response(await json_object(request))


def _client(**wrong: Callable[[ssl.SSLContext], None]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for change in wrong.values():
        change(context)
    return context


def _old(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # the server's key is not of that kind


@pytest.mark.parametrize("listener", ["application", "low-level", "es2plus"])
def test_a_failed_handshake_is_told_by_an_alert(listener: str, pki: Pki) -> None:
    async def use() -> None:
        chain, key = pki.dp_tls.tls_files()
        context = tls_context(chain, key)
        if listener == "es2plus":
            context = http_es2.context(chain, key, pki.ci_files)
        server: web.Application | web.Server = web.Application()
        if listener == "low-level":
            server = web.Server(lambda _: _read)  # type: ignore[arg-type,return-value]
        async with asyncio.timeout(20), AsyncExitStack() as stack:
            port = await listen(server, stack, host="127.0.0.1", tls=context)
            with pytest.raises(ssl.SSLError, match=r"(?i)alert.handshake.failure"):
                await asyncio.open_connection("127.0.0.1", port, ssl=_client(old=_old))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x07")  # a ClientHello of one wrong byte
            assert (await reader.readexactly(7))[:2] == b"\x15\x03", "an alert"
            writer.write(b"x")  # whatever comes next ends it
            assert await reader.read() == b""
            writer.close()
            if listener == "es2plus":  # TLS 1.3 finishes before it looks at the client's certificate
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_client())
                with pytest.raises(ssl.SSLError, match=r"(?i)alert.certificate.required"):
                    await reader.read()
                writer.close()

    asyncio.run(use())


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST, as a program that is killed does."""
    made = writer.get_extra_info("socket")
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


REQUEST = b"POST /gsma/rsp2/es2plus/downloadOrder HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
PROTOCOL = b"X-Admin-Protocol: gsma/rsp/v2.1.0\r\n"
CUTS = {
    "no request": b"",
    "half a header": REQUEST[:40],
    "no body": REQUEST + PROTOCOL + b"Content-Length: 10\r\n\r\n",
    "half a body": REQUEST + PROTOCOL + b'Content-Length: 10\r\n\r\n{"a"',
    "half a chunk": REQUEST + PROTOCOL + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "no HTTP": b"\x00\xff\r\n\r\n",
    "the answer unread": REQUEST + PROTOCOL + b"Content-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("listener", ["application", "es2plus"])
def test_a_peer_that_goes_away_is_not_written_down(
    listener: str, pki: Pki, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    raised: list[object] = []

    async def use() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        chain, key = pki.dp_tls.tls_files()
        context, client = tls_context(chain, key), _client()
        application = web.Application()
        application.router.add_post("/gsma/rsp2/es2plus/{function}", _read)
        if listener == "es2plus":
            context = http_es2.context(chain, key, pki.ci_files)
            client.load_cert_chain(*pki.operator().tls_files())
        async with asyncio.timeout(30), AsyncExitStack() as stack:
            port = await listen(application, stack, host="127.0.0.1", tls=context)
            for sent in CUTS.values():
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
                writer.write(sent)
                await writer.drain()
                _reset(writer)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            _reset(writer)
            # One more request: what the ones before it left is done by then.
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
            writer.write(CUTS["the answer unread"].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert json.loads((await reader.read()).partition(b"\r\n\r\n")[2]) == {}
            writer.close()

    asyncio.run(use())
    assert caplog.records == [] and raised == [], [record.getMessage() for record in caplog.records]


def test_a_tls_connection_takes_little_memory(pki: Pki) -> None:
    """asyncio's own buffer is 256 kB for each end."""

    async def use() -> int:
        server = await asyncio.start_server(
            lambda _r, _w: None, "127.0.0.1", 0, ssl=tls_context(*pki.dp_tls.tls_files())
        )
        port, client, ends = server.sockets[0].getsockname()[1], _client(), 10
        async with asyncio.timeout(20), AsyncExitStack() as stack:
            stack.callback(server.close)
            await asyncio.open_connection("127.0.0.1", port, ssl=client)  # what is made once
            tracemalloc.start()
            stack.callback(tracemalloc.stop)
            for _ in range(ends // 2):
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
                stack.callback(writer.close)
            return tracemalloc.get_traced_memory()[0] // ends

    buffers.limit()
    assert asyncio.run(use()) < 2 * buffers.STREAM
