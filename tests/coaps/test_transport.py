"""DTLS under CoAP: handshakes that lose datagrams, sessions that are taken up again, and what a server may be asked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiocoap.numbers import codes

from fixtures.coaps import records
from fixtures.coaps.blockwise import Reply
from fixtures.coaps.contexts import Cookies
from fixtures.coaps.errors import CoapError, DtlsError
from fixtures.coaps.server import Limits
from fixtures.pki import Pki

from .parties import SHORT_TIMEOUT, client, echo, post, serving, trusting, udp, until, way

HEADERS = 28
"""IPv4 and UDP."""


def play(work: Callable[[], Coroutine[Any, Any, None]], within: float = 20.0) -> None:
    async def limited() -> None:
        async with asyncio.timeout(within):
            await work()

    asyncio.run(limited())


def test_sixty_kilobytes_both_ways(pki: Pki, body: bytes) -> None:
    async def work() -> None:
        async with serving(pki) as (server, port), client(port, trusting(pki)) as made:
            assert await post(made, body) == body
            code, got = await made.exchange(code=codes.GET, path=("a",), longest=1 << 20)
            assert code == codes.CONTENT and got.endswith(b"end") and len(got) > 59_000
            assert await post(made, body[:40_000], block=3) == body[:40_000]  # 128 bytes
            with pytest.raises(CoapError, match="longer than 5000 bytes"):
                await made.exchange(code=codes.GET, path=("a",), longest=5000)
            assert server.site.budget.used > 0  # of the answer that was not fetched to its end
        assert server.site.budget.used == 0

    play(work)


def test_any_datagram_of_the_handshake_may_be_lost(pki: Pki) -> None:
    """A whole handshake is ClientHello twice and the key exchange up, the cookie, four messages and the end down."""

    async def work() -> None:
        async with serving(pki) as (_, port):

            async def without(side: str, number: int) -> None:
                async with way(port, **{side: lambda count, data: int(count != number)}) as between:
                    async with client(between.port, trusting(pki)) as made:
                        assert await post(made) == b"ping"
                    assert len(between.seen_up if side == "up" else between.seen_down) >= number
                    assert max(map(len, between.seen_down)) <= 1200

            await asyncio.gather(*(without(side, number) for side in ("up", "down") for number in range(1, 7)))

    play(work)


@pytest.mark.parametrize("resumed", [False, True], ids=["fresh", "resumed"])
def test_everything_may_come_twice(resumed: bool, pki: Pki) -> None:
    async def work() -> None:
        trust = trusting(pki)
        async with serving(pki) as (server, port):
            if resumed:
                async with client(port, trust) as made:
                    await post(made)
            twice = {"up": lambda number, data: 2, "down": lambda number, data: 2}
            async with way(port, **twice) as between, client(between.port, trust) as made:
                assert made.resumed is resumed
                assert await post(made) == b"ping"
            assert server.counts.requests == 1 + resumed  # DTLS drops replays

    play(work)


def test_one_record_a_datagram_and_messages_in_pieces_at_a_small_mtu(pki: Pki) -> None:
    async def work() -> None:
        async with serving(pki, mtu=256) as (_, port), way(port) as between:
            async with client(between.port, trusting(pki)) as made:
                assert await post(made) == b"ping"
            assert max(map(len, between.seen_down)) <= 256
            for datagram in between.seen_down:
                assert records.split(datagram) == [datagram]

    play(work)


def test_requests_and_answers_that_are_lost_are_repeated_and_carried_out_once(pki: Pki) -> None:
    """The first answer is lost: the request comes again after 2 to 3 s and gets the same answer without a new call."""

    async def work() -> None:
        calls = []

        async def counting(request: Any, body: bytes) -> Any:
            calls.append(body)
            return await echo(request, body)

        lost: list[bytes] = []

        def lossy(number: int, data: bytes) -> int:
            if data[0] == records.APPLICATION_DATA and not lost:
                lost.append(data)
                return 0
            return 1

        async with serving(pki, counting) as (_, port), way(port, down=lossy) as between:
            async with client(between.port, trusting(pki)) as made:
                assert await post(made, b"once") == b"once"
        assert calls == [b"once"] and lost

    play(work)


def test_a_session_is_taken_up_by_its_number(pki: Pki) -> None:
    async def work() -> None:
        trust = trusting(pki)
        async with serving(pki) as (server, port):
            sizes = []
            for resumed in (False, True, True):
                async with way(port) as between:
                    async with client(between.port, trust) as made:
                        assert made.resumed is resumed
                        assert made.certificate == pki.eim_tls.certificate  # known from the first time
                        await post(made)
                    # one poll's worth: handshake, request, answer, and goodbye
                    sizes.append(sum(len(data) + HEADERS for data in (*between.seen_up, *between.seen_down)))
            assert (server.counts.handshakes, server.counts.resumed, server.counts.without_cookie) == (3, 2, 2)
            assert sizes[1] < 0.55 * sizes[0]
            await until(lambda: not server.associations)

    play(work)


def test_a_server_that_has_forgotten_the_session_shakes_hands_anew(pki: Pki) -> None:
    async def work() -> None:
        trust = trusting(pki)
        for _ in range(2):
            async with serving(pki) as (server, port), client(port, trust) as made:
                assert not made.resumed
                assert await post(made) == b"ping"
                assert server.counts.resumed == 0

    play(work)


def test_a_client_after_a_power_cut_comes_from_the_same_port(pki: Pki) -> None:
    async def work() -> None:
        trust = trusting(pki)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            local = sock.getsockname()[1]
        async with serving(pki) as (server, port):
            async with client(port, trust, local=local) as first:
                await post(first)
                await first.close(notify=False)  # its power is gone, the server does not know
                await asyncio.sleep(0)  # the socket is closed in the loop's next turn
                assert len(server.associations) == 1
                async with client(port, trust, local=local, resume=False) as second:
                    assert await post(second) == b"ping"
                    assert len(server.associations) == 1 and not server.handshakes
            assert server.counts.handshakes == 2

    play(work)


def test_a_client_hello_from_an_associations_port_ends_nothing(pki: Pki) -> None:
    """Whoever can write a source address could end every association otherwise (RFC 6347 section 4.2.8)."""

    async def work() -> None:
        async with serving(pki) as (server, port), way(port) as between:
            async with client(between.port, trusting(pki)) as made:
                await post(made)
                hello = between.seen_up[0]
                forged = hello[:30] + bytes(b ^ 0x55 for b in hello[30:40]) + hello[40:]
                for sock in between.sockets.values():
                    sock.sendto(forged)
                assert await post(made) == b"ping"
            assert server.counts.verify_requests == 2 and server.counts.handshakes == 1

    play(work)


def test_ten_thousand_hellos_without_a_cookie_leave_nothing(pki: Pki) -> None:
    async def work() -> None:
        async with serving(pki) as (server, port), client(port, trusting(pki)) as made:
            await post(made)
            async with way(port) as between:  # a real hello, to be varied
                async with client(between.port, trusting(pki)):
                    pass
                hello = between.seen_up[0]
            before = server.counts.verify_requests
            held = len(server.associations)
            for number in range(10_000):
                random = number.to_bytes(4, "big")
                server.datagram_received(hello[:30] + random + hello[34:], ("127.0.0.1", 1 + number % 60_000))
                if number % 500 == 0:
                    await asyncio.sleep(0)  # as the loop has its turn between datagrams
            assert server.counts.verify_requests == before + 10_000
            assert not server.handshakes and len(server.associations) == held
            assert await post(made) == b"ping"

    play(work, within=60)


def test_a_session_spares_the_cookie_and_a_guess_does_not(pki: Pki) -> None:
    """Guessed session numbers get a cookie and leave nothing; a replayed one no more than half of the handshakes."""

    async def work() -> None:
        trust = trusting(pki)
        async with serving(pki, limits=Limits(handshakes=10)) as (server, port):
            for _ in range(2):
                async with way(port) as between, client(between.port, trust) as made:
                    await post(made)
            hello = between.seen_up[0]
            assert server.counts.without_cookie == 1 and server.counts.verify_requests == 1
            assert records.client_hello(hello).session  # type: ignore[union-attr]
            for number in range(300):
                guess = hello[:60] + number.to_bytes(4, "big") + hello[64:]
                server.datagram_received(guess, ("127.0.0.1", 1 + number))
            assert server.counts.verify_requests == 301 and not server.handshakes
            for number in range(300):
                server.datagram_received(hello, ("127.0.0.1", 1 + number))
            assert len(server.handshakes) == 5 and server.counts.without_cookie == 6
            async with client(port, trusting(pki)) as made:  # behind its cookie there is room
                assert await post(made) == b"ping"

    play(work)


def test_cookies_belong_to_an_address_and_a_time() -> None:
    now = 1000.0
    cookies = Cookies(lambda: now)
    given = cookies.make(("192.0.2.1", 7))
    assert cookies.fits(given, ("192.0.2.1", 7))
    assert not cookies.fits(given, ("192.0.2.1", 8)) and not cookies.fits(given, ("192.0.2.2", 7))
    assert not cookies.fits(b"", ("192.0.2.1", 7)) and not Cookies(lambda: now).fits(given, ("192.0.2.1", 7))
    now += 60
    assert cookies.fits(given, ("192.0.2.1", 7))
    now += 60
    assert not cookies.fits(given, ("192.0.2.1", 7))


def test_another_ca_is_refused_and_the_server_is_told(pki: Pki, other_pki: Pki) -> None:
    async def work() -> None:
        async with serving(pki) as (server, port):
            with pytest.raises(DtlsError, match=r"issuer|self-signed") as caught:
                async with client(port, trusting(other_pki)):
                    pass
            assert caught.value.certificate and not caught.value.alert
            await until(lambda: server.counts.failed)
            assert "unknown ca" in server.counts.last_failure
            assert not server.handshakes and not server.associations

    play(work)


def test_nobody_answers(pki: Pki) -> None:
    async def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    async with client(silent.getsockname()[1], trusting(pki)):
                        pass

    play(work)


def test_limits(pki: Pki) -> None:
    async def work() -> None:
        limits = Limits(associations=2, handshakes=1, handshake_time=0.3, body=2000, bodies=4000)
        trust = trusting(pki)
        async with serving(pki, limits=limits) as (server, port):
            async with client(port, trust) as oldest, client(port, trust) as idle:
                await post(idle)
                await post(oldest)  # the other one is the longest idle now
                async with client(port, trust) as third:
                    assert await post(third) == b"ping"
                    assert await post(oldest) == b"ping"
                    assert len(server.associations) == 2
                    with pytest.raises(DtlsError):  # it was told so
                        await post(idle)
                code, _ = await oldest.exchange(code=codes.POST, path=("a",), body=bytes(3000), longest=5000)
                assert code == codes.REQUEST_ENTITY_TOO_LARGE
            # one handshake that stops half way is in nobody's way for long
            stuck = asyncio.ensure_future(_half_a_handshake(port, trust))
            await until(lambda: server.handshakes)
            async with client(port, trust) as made:
                assert await post(made) == b"ping"
            await stuck
            assert server.site.budget.used == 0

    play(work)


async def _half_a_handshake(port: int, trust: Any) -> None:
    async with way(port, up=lambda number, data: int(number <= 2)) as between:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                async with client(between.port, trust, resume=False):
                    pass


def test_a_silent_client_is_forgotten(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixtures.coaps.server._SWEEP", 0.05)

    async def work() -> None:
        async with serving(pki, limits=Limits(idle=0.5)) as (server, port), client(port, trusting(pki)) as made:
            await post(made)
            await until(lambda: not made.up)
            assert not server.associations
            with pytest.raises(DtlsError, match="goodbye"):
                await post(made)

    play(work)


def test_records_after_a_nat_has_forgotten_are_ignored(pki: Pki) -> None:
    """DTLS 1.2 knows its peers by address: the client finds out by silence, and takes the session up again."""

    async def work() -> None:
        trust = trusting(pki)
        async with serving(pki) as (server, port), way(port) as between:
            async with client(between.port, trust) as made:
                await post(made)
                between.rebind()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await post(made)
                assert server.counts.ignored >= 1
            async with client(between.port, trust) as made:
                assert made.resumed and await post(made) == b"ping"

    play(work)


def test_a_server_that_closes_says_goodbye(pki: Pki) -> None:
    async def work() -> None:
        async with serving(pki) as (server, port), client(port, trusting(pki)) as made:
            await post(made)
            await server.close()
            await until(lambda: not made.up)
            with pytest.raises(DtlsError, match="goodbye"):
                await post(made)

    play(work)


@pytest.mark.parametrize("lost", [0, 1])
def test_an_alert_that_is_lost_is_sent_again_when_the_client_goes_on(pki: Pki, lost: int) -> None:
    """RFC 6347 section 4.2.7; without it a client hears nothing until its own deadline."""
    ended = []

    async def cut(request: Any, body: bytes) -> Reply:
        ended.append(body)
        return Reply(codes.CHANGED, b"", cut=0)

    def down(number: int, data: bytes) -> int:
        if data[0] == records.ALERT:
            alerts.append(data)
            return int(len(alerts) > lost)
        return 1

    alerts: list[bytes] = []

    async def work() -> None:
        async with (
            serving(pki, cut) as (server, port),
            way(port, down=down) as between,
            client(between.port, trusting(pki)) as made,
        ):
            with pytest.raises(DtlsError, match="the server said goodbye"):
                await post(made)
            assert len(ended) == 1  # it was not carried out again
            assert server.counts.farewells == lost
            assert len(set(alerts)) == 1
            assert not any(len(alert) > len(between.seen_up[-1]) for alert in alerts)
            ignored = server.counts.ignored
            next(iter(between.sockets.values())).sendto(alerts[0])  # an alert is not answered
            await until(lambda: server.counts.ignored > ignored)
            assert server.counts.farewells == lost

    play(work)


def test_an_answer_that_takes_its_time_is_acknowledged_first(pki: Pki) -> None:
    """After 0.1 s the server says that it has the request; the answer follows as a message of its own."""

    async def work() -> None:
        async def slow(request: Any, body: bytes) -> Any:
            await asyncio.sleep(0.3)
            return await echo(request, body)

        async with serving(pki, slow) as (_, port), way(port) as between:
            async with client(between.port, trusting(pki)) as made:
                up, down = len(between.seen_up), len(between.seen_down)
                assert await post(made) == b"ping"
                for _ in range(50):  # our acknowledgement of the answer is on its way
                    await asyncio.sleep(0)
                assert len(between.seen_down) - down == 2
            assert len(between.seen_up) - up >= 2

    play(work)


def test_junk_from_anywhere_is_ignored(pki: Pki) -> None:
    async def work() -> None:
        async with serving(pki) as (server, port), client(port, trusting(pki)) as made:
            await post(made)
            stream = await udp(port)
            for junk in (b"", b"\x40\x01\x00\x01", bytes(13), b"\x16\xfe\xfd" + bytes(10), b"\x17\xfe\xfd" + bytes(40)):
                stream.send(junk or b"\x00")
            local = next(iter(server.associations))
            for kind in (20, 21, 22, 23):  # a forger who knows the client's port
                forged = bytes((kind, 0xFE, 0xFD)) + b"\x00\x01" + bytes(5) + b"\x77\x00\x20" + bytes(32)
                server.datagram_received(forged, local)
                server.datagram_received(forged[:3] + bytes(2) + forged[5:], local)
            assert await post(made) == b"ping"
            stream.close()
            assert not server.handshakes

    play(work)


def test_the_first_timeout_is_not_openssls(pki: Pki) -> None:
    """A flight that is answered within ours is not sent again, though OpenSSL would after a second."""

    async def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            silent.setblocking(False)
            for first_timeout, expected in ((30.0, 1), (SHORT_TIMEOUT, 2)):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(2.0):
                        async with client(silent.getsockname()[1], trusting(pki), first_timeout=first_timeout):
                            pass
                got = []
                while True:
                    try:
                        got.append(silent.recv(2000))
                    except BlockingIOError:
                        break
                assert len(got) == expected

    play(work)
