"""What the kernel still has of a client's bytes, and what of it holds station time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.sim import link as links
from fixtures.sim.clock import Hold, WorldClock
from fixtures.sim.link import LinkRelay
from fixtures.sim.queues import Queued, SocketQueues, request_for
from fixtures.sim.tunnel import Tunnel
from tests.sim.kernel_queues import needs_tcp_diag
from tests.sim.radio_world import Radio
from tests.sim.test_link_request import H, Wire

WITHIN = 10.0


async def until(fits: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not fits():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.001)


async def accepted(family: int = socket.AF_INET) -> tuple[asyncio.Transport, socket.socket, asyncio.Server]:
    """Return this process's end of a connection, its client's socket, and the server."""
    made: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    class Side(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            made.set_result(transport)

    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    server = await asyncio.get_running_loop().create_server(Side, host, 0, family=family)
    client = socket.create_connection(server.sockets[0].getsockname()[:2], timeout=WITHIN)
    return await made, client, server


@needs_tcp_diag
def test_what_a_client_has_not_read_and_what_it_has_sent() -> None:
    async def main() -> None:
        queues = SocketQueues()
        ours, client, server = await accepted()
        request = request_for(ours)
        assert queues.ask(request) == Queued(0, 0)
        ours.write(b"x" * 39)
        await until(lambda: queues.ask(request) == Queued(39, 0))
        assert client.recv(30) == b"x" * 30
        assert queues.ask(request) == Queued(9, 0)
        ours.pause_reading()
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                client.send(bytes(1 << 16))
        found = queues.ask(request)
        assert found is not None and found.unsent > 0
        ours.resume_reading()
        await until(lambda: (queues.ask(request) or Queued(1, 1)).unsent == 0)
        client.close()
        ours.abort()
        await until(lambda: not any(queues.ask(request) or ()))
        server.close()
        queues.close()
        assert queues.ask(request) is None

    asyncio.run(main())


def test_other_families_and_a_kernel_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "socket")
        made: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        class Side(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                made.set_result(request_for(transport))

        server = await asyncio.get_running_loop().create_unix_server(Side, path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            assert await made == b""
        server.close()
        queues = SocketQueues()
        assert queues.ask(b"") is None
        queues.close()

    asyncio.run(main())

    def refused(*given: object) -> socket.socket:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr("fixtures.sim.queues.socket.socket", refused)
    assert SocketQueues().ask(b"anything") is None


class Kernel:
    """Tells what it is told to."""

    def __init__(self) -> None:
        self.told = Queued(0, 0)

    def ask(self, request: bytes) -> Queued:
        return self.told

    def close(self) -> None: ...


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> tuple[LinkRelay, Kernel, list[float], Tunnel]:
    radio = Radio(H).begin().until(60)
    made, kernel, now = LinkRelay(radio.kernel, WorldClock(radio.kernel), radio.device, radio.log), Kernel(), [100.0]
    made._queues = kernel  # type: ignore[assignment]
    monkeypatch.setattr("fixtures.sim.link.time.monotonic", lambda: now[0])
    tunnel = Tunnel(made)
    tunnel.connection_made(Wire())
    return made, kernel, now, tunnel


def test_a_party_that_said_so_before_it_was_given_anything_has_not_reacted(
    relay: tuple[LinkRelay, Kernel, list[float], Tunnel],
) -> None:
    link, kernel, now, tunnel = relay
    link.delivered(tunnel)
    kernel.told = Queued(39, 0)
    link.party_spoke()  # it waits, as it said over the other socket before
    link.look()
    assert link.hold()[0] is Hold.ALL
    now[0] += 2 * links.REACTION  # it does not get the processor
    assert link.hold()[0] is Hold.ALL
    kernel.told = Queued(0, 0)
    link.party_spoke()
    link.look()
    assert link.hold() == (Hold.FREE, None)


def test_a_client_that_never_reads_or_never_speaks_does_not_stop_time(
    relay: tuple[LinkRelay, Kernel, list[float], Tunnel],
) -> None:
    link, kernel, now, tunnel = relay
    link.delivered(tunnel)
    kernel.told = Queued(39, 0)
    link.look()
    now[0] += links.ON_THE_WAY
    assert link.hold() == (Hold.FREE, None)
    link.delivered(tunnel)
    kernel.told = Queued(0, 0)
    link.look()
    assert link.hold()[0] is Hold.ALL  # it has read it, and is no party
    now[0] += links.REACTION
    assert link.hold() == (Hold.FREE, None)


def test_what_is_on_its_way_from_a_client_holds_time_but_not_for_ever(
    relay: tuple[LinkRelay, Kernel, list[float], Tunnel], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, kernel, now, tunnel = relay
    asked: list[Tunnel] = []

    def acknowledge(self: Tunnel) -> None:
        asked.append(self)

    monkeypatch.setattr(Tunnel, "acknowledge", acknowledge)
    kernel.told = Queued(0, 37)
    link.look()
    assert asked == [tunnel]
    assert link.hold() == (Hold.ALL, links.AGAIN)
    now[0] += links.ON_THE_WAY / 2
    link.look()
    assert link.hold()[0] is Hold.ALL
    kernel.told = Queued(0, 50)  # more came: it is alive
    link.look()
    now[0] += links.ON_THE_WAY - 0.001
    link.look()
    assert link.hold()[0] is Hold.ALL
    now[0] += 0.002
    link.look()
    assert link.hold() == (Hold.FREE, None)
