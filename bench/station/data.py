"""The device's data path as sockets of the bench: the host's own, one bound to an interface, or through a proxy.

``host`` is not the radio: what it carries proves nothing about the device's link, and recipes say so. Waits run on the
station's clock, because a simulated link delays in station time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bench.errors import ConfigurationError, InstrumentError, InstrumentTimeout
from bench.station import dns
from bench.station.capsules import request
from bench.station.clock import Clock, RealClock
from bench.station.datagrams import DatagramStream, ProxyDatagrams, SocketDatagrams, connected_socket
from bench.station.interfaces import ByteStream, DataPath
from bench.station.model import PATHS
from bench.station.tap import UdpTap, stream_socket
from bench.trace.lane import Lane

_HEAD_LIMIT = 16384
_COUNTERS_WITHIN = 2.0
"""Real seconds for a proxy to tell its counters."""
_LINK = "does the server listen there, is the device registered, and does a firewall let this through?"


class _Stream:
    """A connected socket that counts what passes."""

    def __init__(self, path: _Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer

    async def read(self, limit: int = 65536) -> bytes:
        """Return what has come, b'' at the end. Raises InstrumentError when the connection broke."""
        try:
            with self._path.held():
                data = await self._reader.read(limit)
        except OSError as error:
            raise InstrumentError(f"the connection broke: {error}", where=self._path.bearer, hint=_LINK) from error
        self._path.received += len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Send all of ``data``. Raises InstrumentError when the connection broke."""
        try:
            self._writer.write(data)
            with self._path.held():
                await self._writer.drain()
        except OSError as error:
            raise InstrumentError(f"the connection broke: {error}", where=self._path.bearer, hint=_LINK) from error
        self._path.sent += len(data)

    async def close(self) -> None:
        """Close; a peer that is gone is no error."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                await self._writer.wait_closed()


class _Path(ABC):
    """What the three paths have in common: how each opens a TCP connection is its own."""

    bearer = ""
    proxy: str | None = None
    lane: Lane | None = None
    """Has every packet of sockets of this path; a proxy's are its own business."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sent = 0
        self.received = 0

    def held(self) -> contextlib.AbstractContextManager[None]:
        """Hold station time while the path is waited for; a simulated link has station time of its own."""
        return contextlib.nullcontext()

    @abstractmethod
    async def _open(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a TCP connection. Raises OSError, InstrumentError."""

    async def connect(self, host: str, port: int, *, timeout: float) -> ByteStream:
        """Open a TCP connection. ``timeout`` in seconds of station time.

        Raises InstrumentTimeout, or InstrumentError with the reason.
        """
        where = f"{host}:{port} over {self.bearer}"
        try:
            async with self.clock.timeout(timeout):
                reader, writer = await self._open(host, port)
        except TimeoutError:
            raise InstrumentTimeout(f"no connection within {timeout:g} s", where=where, hint=_LINK) from None
        except OSError as error:
            raise InstrumentError(f"no connection: {_reason(error)}", where=where, hint=_LINK) from error
        return _Stream(self, reader, writer)

    async def resolve(self, name: str, *, server: str, timeout: float) -> tuple[str, ...]:
        """Resolve the A records of ``name``, else its AAAA records, at ``server`` by DNS over TCP (RFC 7766).

        Raises InstrumentTimeout, or InstrumentError when the name does not exist or the server refuses.
        """
        with contextlib.suppress(ValueError):
            return (str(ipaddress.ip_address(name)),)
        where = f"DNS {server} over {self.bearer}"
        try:
            async with self.clock.timeout(timeout):
                stream = await self.connect(server, 53, timeout=timeout)
                try:
                    # Every question costs the device bytes and a round trip: IPv6 only where there is no IPv4.
                    addresses = await self._ask(stream, name, dns.A) or await self._ask(stream, name, dns.AAAA)
                finally:
                    await stream.close()
        except TimeoutError:
            raise InstrumentTimeout(
                f"no answer for {name} within {timeout:g} s",
                where=where,
                hint="is this the DNS server that the APN hands out, and does it take TCP on port 53?",
            ) from None
        except dns.DnsError as error:
            raise InstrumentError(
                f"{name}: {error}", where=where, hint=f"is {name} in the DNS of the device's APN?"
            ) from error
        if not addresses:
            raise InstrumentError(
                f"{name} has no address",
                where=where,
                hint=f"add an A or AAAA record for {name} to the DNS of the device's APN",
            )
        return tuple(addresses)

    async def _ask(self, stream: ByteStream, name: str, kind: int) -> Sequence[str]:
        identity = int.from_bytes(os.urandom(2), "big")
        question = dns.query(identity, name, kind)
        await stream.write(len(question).to_bytes(2, "big") + question)
        data = b""
        while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            chunk = await stream.read()
            if not chunk:
                raise dns.DnsError("the server closed the connection")
            data += chunk
        return dns.addresses(data[2 : 2 + int.from_bytes(data[:2], "big")], identity, kind)

    async def counters(self) -> tuple[int, int]:
        """Return the bytes sent and received on connections of this object."""
        return self.sent, self.received

    def _count(self, sent: int, received: int) -> None:
        self.sent += sent
        self.received += received

    async def datagrams(self, host: str, port: int, *, timeout: float) -> DatagramStream:
        """Open a UDP socket with one peer. Raises InstrumentTimeout, or InstrumentError with the reason."""
        where = f"UDP {host}:{port} over {self.bearer}"
        sock = await connected_socket(host, port, self.clock, where, self._bind, timeout)
        tap = UdpTap(self.lane, sock) if self.lane is not None else None
        return await SocketDatagrams.open(sock, where, self._count, tap)

    def _bind(self, sock: socket.socket) -> object:
        """Bind a socket to what the path is."""
        return sock


class HostPath(_Path):
    """The host's own network: not the radio. The servers of this bench are found by their names too."""

    bearer = "host"

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.routes: dict[str, str] = {}
        """Names of servers of this bench that no public DNS knows, and the ``host:port`` they listen on."""

    def held(self) -> contextlib.AbstractContextManager[None]:
        """The host's network knows nothing of station time."""
        return self.clock.busy()

    async def _open(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        route = self.routes.get(host.lower())
        if route is not None:
            host, _, routed = route.rpartition(":")
            host, port = host.strip("[]"), int(routed)
        with self.held():
            if self.lane is None:
                return await asyncio.open_connection(host, port)
            return await asyncio.open_connection(sock=await self._connected(host, port))

    async def _connected(self, host: str, port: int) -> socket.socket:
        """Return a recorded socket that is connected: to the first address of a name that takes it. Raises OSError."""
        loop = asyncio.get_running_loop()
        refused: OSError | None = None
        for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            sock = stream_socket(self.lane, family, kind, protocol)
            try:
                sock.setblocking(False)
                await loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                refused = refused or error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise refused or OSError(f"{host} has no address")

    async def resolve(self, name: str, *, server: str, timeout: float) -> tuple[str, ...]:
        """Resolve as the host does; ``server`` is the device's and not asked. ``timeout`` in real seconds.

        Raises InstrumentTimeout, InstrumentError.
        """
        route = self.routes.get(name.lower())
        if route is not None:
            return (route.rpartition(":")[0].strip("[]"),)
        where = f"the host's resolver, for {name}"
        try:
            async with asyncio.timeout(timeout):
                with self.held():
                    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise InstrumentTimeout(
                f"no answer within {timeout:g} s",
                where=where,
                hint="does this host reach its DNS servers (resolvectl status)?",
            ) from None
        except OSError as error:
            raise InstrumentError(
                f"it is not known: {_reason(error)}",
                where=where,
                hint=f"add {name} to the DNS of this host, or to /etc/hosts",
            ) from error
        return tuple(dict.fromkeys(str(address[4][0]) for address in found))


class InterfacePath(_Path):
    """Sockets bound to one network interface, such as ``wwan0``."""

    def __init__(self, interface: str, clock: Clock) -> None:
        super().__init__(clock)
        self.interface = interface
        self.bearer = f"interface:{interface}"
        self.name_servers: tuple[str, ...] = ()
        self._start = self._counts() or (0, 0)

    def bind(self, sock: socket.socket) -> socket.socket:
        """Bind a socket to the interface. Raises InstrumentError when the interface is not there or not allowed."""
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode() + b"\0")
        except OSError as error:
            hint = "is the modem's data connection up?" if error.errno == 19 else "it needs CAP_NET_RAW on old kernels"
            raise InstrumentError(
                f"cannot use interface {self.interface}: {error.strerror}", where=self.bearer, hint=hint
            ) from error
        return sock

    _bind = bind

    async def _open(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        try:
            family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        except ValueError:
            raise InstrumentError(
                f"{host} is a name, not an address",
                where=self.bearer,
                hint="resolve it on this path first: the host's resolver does not use the radio",
            ) from None
        sock = self.bind(stream_socket(self.lane, family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        try:
            await loop.sock_connect(sock, (host, port))
            return await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise

    def _counts(self) -> tuple[int, int] | None:
        statistics = Path("/sys/class/net") / self.interface / "statistics"
        try:
            sent = int((statistics / "tx_bytes").read_text())
            return sent, int((statistics / "rx_bytes").read_text())
        except (OSError, ValueError):
            return None

    async def counters(self) -> tuple[int, int]:
        """Return the bytes the interface sent and received since this path was opened, of all programs."""
        now = self._counts()
        if now is None:
            return self.sent, self.received
        return max(0, now[0] - self._start[0]), max(0, now[1] - self._start[1])


class ProxyPath(_Path):
    """Through an HTTP CONNECT proxy that leads over the device's link (RFC 9110 section 9.3.6)."""

    def __init__(self, url: str, clock: Clock, *, bearer: str = "") -> None:
        super().__init__(clock)
        parts = urlsplit(url)
        try:
            good = parts.scheme == "http" and bool(parts.hostname) and parts.port is not None
        except ValueError:
            good = False
        if not good:
            raise ConfigurationError(f"'{url}' is no proxy", where="data.path", hint="http://HOST:PORT")
        self.proxy = url
        self.bearer = bearer or f"proxy:{url}"
        self._host = str(parts.hostname)
        self._port = int(parts.port or 0)

    async def _to_proxy(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the proxy itself, which is not yet the link and takes none of its time. Raises OSError."""
        with self.clock.busy():
            return await asyncio.open_connection(self._host, self._port)

    async def _open(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self._to_proxy()
        try:
            name = host if host.isascii() else host.encode("idna").decode("ascii")
            target = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
            writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode("ascii"))
            await writer.drain()
            await self._established(reader)
        except BaseException:
            writer.close()
            raise
        return reader, writer

    async def datagrams(self, host: str, port: int, *, timeout: float) -> DatagramStream:
        """Open a UDP socket with one peer by connect-udp (RFC 9298). ``timeout`` in seconds of station time.

        Raises InstrumentTimeout, InstrumentError.
        """
        where = f"UDP {host}:{port} over {self.bearer}"
        try:
            async with self.clock.timeout(timeout):
                reader, writer = await self._to_proxy()
                try:
                    writer.write(request(f"{self._host}:{self._port}", host, port))
                    await writer.drain()
                    await self._established(reader, "101")
                except BaseException:
                    writer.close()
                    raise
        except TimeoutError:
            raise InstrumentTimeout(f"no socket within {timeout:g} s", where=where, hint=_LINK) from None
        except OSError as error:
            raise InstrumentError(f"no socket: {_reason(error)}", where=where, hint=_LINK) from error
        return ProxyDatagrams(reader, writer, where, self._count)

    async def counters(self) -> tuple[int, int]:
        """Return the IP bytes that the device sent and received over its link so far, whoever's connections they are.

        They are the link's own (``GET /counters`` at the proxy). A proxy that does not tell them leaves what went over
        connections of this object: then the IPA's bytes are missing.
        """
        found = await self._link_counters()
        return (self.sent, self.received) if found is None else found

    async def _link_counters(self) -> tuple[int, int] | None:
        writer = None
        try:
            with self.clock.busy():
                async with asyncio.timeout(_COUNTERS_WITHIN):
                    reader, writer = await asyncio.open_connection(self._host, self._port)
                    head = f"GET /counters HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nConnection: close\r\n\r\n"
                    writer.write(head.encode("ascii"))
                    status = await reader.readline()
                    while (await reader.readline()).strip():
                        pass
                    told = json.loads(await reader.read(_HEAD_LIMIT)) if status.split()[1:2] == [b"200"] else None
            return (int(told["sent"]), int(told["received"])) if isinstance(told, dict) else None
        except (OSError, TimeoutError, ValueError, KeyError, TypeError):
            return None
        finally:
            if writer is not None:
                writer.close()

    async def _established(self, reader: asyncio.StreamReader, wanted: str = "2") -> None:
        """Read the proxy's answer. Raises OSError with the reason it gives for a refusal."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise OSError("the proxy closed the connection without an answer") from error
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
            raise OSError(f"the proxy does not speak HTTP: {lines[0][:80]!r}")
        if words[1].startswith(wanted):
            return
        body = b""
        for line in lines[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == "content-length" and value.strip().isdigit():
                with contextlib.suppress(asyncio.IncompleteReadError):
                    body = await reader.readexactly(min(int(value), _HEAD_LIMIT))
        reason = body.decode(errors="replace").strip() or (words[2] if len(words) > 2 else "")
        raise OSError(f"the device's link refused it with {words[1]} {reason}".strip())


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def open_path(path: str, clock: Clock | None = None, *, where: str = "", port: str = "") -> DataPath:
    """Return the data path that bench.toml's ``data.path`` names. Raises ConfigurationError for anything else.

    An interface that is not there yet is no error: it comes with the PDP context. ``port``: the modem's, for ``modem``.
    """
    clock = clock or RealClock()
    kind, _, rest = path.partition(":")
    if path == "host":
        return HostPath(clock)
    if kind == "interface" and rest:
        return InterfacePath(rest, clock)
    if kind == "proxy" and rest:
        return ProxyPath(rest, clock)
    if kind == "modem" and rest:
        return ProxyPath(rest, clock, bearer="modem")
    if path == "modem" and port:
        from bench.station.modem_path import ModemPath

        return ModemPath(port, clock)
    raise ConfigurationError(f"'{path}' is no data path", where=where, hint=PATHS)
