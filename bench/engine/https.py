"""One HTTPS exchange over the device's data path: TLS in memory above any byte stream (RFC 8446, RFC 9112)."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from bench.errors import ConfigurationError, DeviceFailure, InstrumentError, InstrumentTimeout
from bench.station.clock import Clock
from bench.station.interfaces import ByteStream, DataPath, HttpAnswer
from bench.trace import keylog

_LIMIT = 16 << 20
"""Longest answer in bytes."""
_HEAD_LIMIT = 65536
_SERVER = "look at the server's log, and whether the device is still registered"
_TLS = "do both ends know a TLS version (1.2 or 1.3) and a cipher suite in common? the server's log tells its side"


async def get(
    path: DataPath, clock: Clock, url: str, *, timeout: float, dns: Sequence[str] = (), trust: Sequence[str] = ()
) -> HttpAnswer:
    """Fetch ``url`` with GET. See ``Station.https_get``; ``trust``: PEM files in place of the system's.

    ``timeout`` in seconds of station time. Raises ConfigurationError, InstrumentTimeout, InstrumentError, and
    DeviceFailure where TLS fails.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        port = parts.port or 443
    except ValueError:
        port = 0
    if parts.scheme != "https" or not host or not port:
        raise ConfigurationError(f"'{url}' is no HTTPS address", where="https_get", hint="https://name/path")
    where = f"{url} over {path.bearer}"
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    request = (
        f"GET {target} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n"
        "Accept: */*\r\nUser-Agent: esim-bench\r\nConnection: close\r\n\r\n"
    )
    try:
        raw = request.encode("ascii")
    except UnicodeEncodeError:
        raise ConfigurationError(f"'{url}' is not ASCII", where="https_get", hint="escape it") from None
    try:
        # The host's own traffic is none of the device's: simulated time must not run, or jump, while it is on its way.
        async with clock.limit(timeout) if path.bearer == "host" else clock.timeout(timeout):
            # A proxy resolves at its end, the host by itself; a socket of the device's interface needs the address.
            asked = bool(dns) and not path.proxy and path.bearer != "host"
            to = (await path.resolve(host, server=dns[0], timeout=timeout))[0] if asked else host
            stream = await path.connect(to, port, timeout=timeout)
            connection = _Tls(stream, host, trust, where)
            try:
                await connection.send(raw)
                status, headers, body = await _answer(connection, where)
            finally:
                await stream.close()
    except TimeoutError:
        raise InstrumentTimeout(f"no answer within {timeout:g} s", where=where, hint=_SERVER) from None
    return HttpAnswer(status, headers, body, connection.sent, connection.received)


class _Tls:
    """A TLS client over a byte stream."""

    def __init__(self, stream: ByteStream, host: str, trust: Sequence[str], where: str) -> None:
        self.sent = 0
        self.received = 0
        self._stream = stream
        self._where = where
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        keylog.watch(context)
        for file in trust:
            context.load_verify_locations(cafile=file)
        if not trust:
            context.load_default_certs()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)

    async def send(self, data: bytes) -> None:
        await self._until(self._tls.do_handshake)
        self._tls.write(data)
        await self._flush()

    async def read(self) -> bytes:
        """Return what has come, b'' at the end. A connection cut off without close_notify ends here too.

        Raises DeviceFailure, InstrumentError.
        """
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                if not await self._feed():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLEOFError:
                return b""
            except ssl.SSLError as error:
                raise DeviceFailure(f"TLS failed: {error.reason or error}", where=self._where, hint=_TLS) from error

    async def _until(self, action: object) -> None:
        assert callable(action)
        while True:
            try:
                action()
                await self._flush()
                return
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._feed():
                    raise InstrumentError(
                        "the connection was closed during the TLS handshake", where=self._where, hint=_TLS
                    ) from None
            except ssl.SSLCertVerificationError as error:
                raise DeviceFailure(
                    f"the server's certificate does not fit: {error.verify_message}",
                    where=self._where,
                    hint="is this the server it should be, and is its CA trusted?",
                ) from error
            except ssl.SSLError as error:
                raise DeviceFailure(f"TLS failed: {error.reason or error}", where=self._where, hint=_TLS) from error

    async def _flush(self) -> None:
        data = self._out.read()
        if data:
            self.sent += len(data)
            await self._stream.write(data)

    async def _feed(self) -> bool:
        data = await self._stream.read()
        self.received += len(data)
        if not data:
            self._in.write_eof()
            return False
        self._in.write(data)
        return True


async def _answer(connection: _Tls, where: str) -> tuple[int, dict[str, str], bytes]:
    data = bytearray()
    while b"\r\n\r\n" not in data:
        chunk = await connection.read()
        if not chunk or len(data) > _HEAD_LIMIT:
            raise InstrumentError(
                "the server gave no HTTP answer", where=where, hint="is this the port of an HTTPS server?"
            )
        data += chunk
    head, _, rest = bytes(data).partition(b"\r\n\r\n")
    status, headers = parse_head(head, where)
    body = bytearray(rest)
    length = headers.get("content-length", "")
    chunked = headers.get("transfer-encoding", "").lower().endswith("chunked")
    wanted = int(length) if length.isascii() and length.isdecimal() and not chunked else None
    while wanted is None or len(body) < wanted:
        if len(body) > _LIMIT:
            raise InstrumentError(
                f"the answer is longer than {_LIMIT} bytes", where=where, hint="fetch something smaller"
            )
        if chunked and body.endswith(b"0\r\n\r\n") and _complete(bytes(body)):
            break
        chunk = await connection.read()
        if not chunk:
            break
        body += chunk
    if wanted is not None and len(body) < wanted:
        raise InstrumentError(f"the connection ended after {len(body)} of {wanted} bytes", where=where, hint=_SERVER)
    return status, headers, dechunk(bytes(body), where) if chunked else bytes(body if wanted is None else body[:wanted])


def parse_head(head: bytes, where: str) -> tuple[int, dict[str, str]]:
    """Return status and headers (names in lower case) of an HTTP/1.1 answer. Raises InstrumentError."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    code = words[1] if len(words) > 1 else ""
    if not words[0].startswith("HTTP/1.") or len(code) != 3 or not (code.isascii() and code.isdecimal()):
        raise InstrumentError(
            f"the server does not speak HTTP: {lines[0][:80]!r}",
            where=where,
            hint="is this the port of an HTTPS server?",
        )
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return int(code), headers


def _complete(body: bytes) -> bool:
    try:
        dechunk(body, "")
    except InstrumentError:
        return False
    return True


def dechunk(body: bytes, where: str) -> bytes:
    """Return the content of a chunked body (RFC 9112 section 7.1). Raises InstrumentError when it breaks off."""
    content = bytearray()
    position = 0
    while True:
        end = body.find(b"\r\n", position)
        size = body[position:end].split(b";")[0].strip() if end >= 0 else b""
        if not size or len(size) > 8 or any(character not in b"0123456789abcdefABCDEF" for character in size):
            raise InstrumentError("the chunked answer breaks off", where=where, hint=_SERVER)
        length = int(size, 16)
        if length == 0:
            return bytes(content)
        start = end + 2
        if body[start + length : start + length + 2] != b"\r\n":
            raise InstrumentError("the chunked answer breaks off", where=where, hint=_SERVER)
        content += body[start : start + length]
        position = start + length + 2
