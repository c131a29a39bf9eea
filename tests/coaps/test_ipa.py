"""ESipa over CoAPS at the IPA: whom it believes, how long an association lasts, what is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiocoap.numbers import codes
from ipa.fakes import (
    FQDN,
    FakeCard,
    FakeEim,
    FakeLink,
    Tls,
    eim_configuration,
    make_tls,
    notification,
    package,
    package_result,
    pin,
    script,
    tlv,
)

from bench.apdu.es10_views import KeyData
from bench.errors import ConfigurationError
from bench.station.clock import RealClock
from bench.station.data import ProxyPath
from fixtures.coaps.blockwise import Reply
from fixtures.coaps.server import Server
from fixtures.ipa import coap
from fixtures.ipa.errors import DataPathDown, EimNotTrusted, EimSilent, EsipaError
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import Ipa, create

from .parties import serving, way

_CODES = {204: codes.CHANGED, 404: codes.NOT_FOUND, 500: codes.INTERNAL_SERVER_ERROR, 503: codes.SERVICE_UNAVAILABLE}


@pytest.fixture(scope="session")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def other_tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("other"))


@asynccontextmanager
async def eim_on_udp(eim: FakeEim, tls: Tls, seen: list[Any] | None = None, **reply: Any) -> AsyncIterator[Server]:
    """Serve a fake eIM over CoAPS; ``None`` as an answer is none at all."""

    async def handle(request: Any, body: bytes) -> Reply:
        if seen is not None:
            seen.append(request)
        eim.messages.append(body)
        eim.paths.append("/" + "/".join(request.opt.uri_path))
        answer = eim.answer(body, len(eim.messages) - 1)
        if answer is None:
            await asyncio.get_running_loop().create_future()
        if isinstance(answer, int):
            return Reply(_CODES[answer])
        assert answer is not None
        return Reply(**{"code": codes.CHANGED, "payload": answer, **reply})

    folder = tls.ca_file.parent
    files = (folder / "chain.pem", folder / "key.pem")
    async with serving(None, handle, files=files) as (server, port):  # type: ignore[arg-type]
        eim.port = port
        yield server


@asynccontextmanager
async def ipa_for(card: FakeCard, port: int, home: Path, **options: object) -> AsyncIterator[Ipa]:
    settings = {"transport": "coaps", "route": {"*:5684": f"127.0.0.1:{port}"}, "retry_delay": 0.001, **options}
    made = create(card, HostDataPath(), RealClock(), options=settings, home=home)
    try:
        yield made
    finally:
        await made.close()


def polled(
    eim: FakeEim, server: Tls, home: Path, /, *, pinned: bytes | None = None, polls: int = 1,
    card: FakeCard | None = None, **options: object,
) -> Server:  # fmt: skip
    """Poll so often over CoAPS; return the server as it was left."""
    card = card or FakeCard()
    card.eims = [eim_configuration(pin=pin("A1", server.ca) if pinned is None else pinned)]

    async def run() -> Server:
        async with asyncio.timeout(20), eim_on_udp(eim, server) as serving_it:
            async with ipa_for(card, eim.port, home, **options) as ipa:
                for _ in range(polls):
                    await ipa.poll()
            return serving_it

    return asyncio.run(run())


@pytest.mark.parametrize(
    "choose",
    [
        lambda tls: pin("A0", tls.leaf_spki),
        lambda tls: pin("A0", tls.ca_spki),
        lambda tls: pin("A1", tls.leaf),
        lambda tls: pin("A1", tls.ca),
    ],
    ids=["key", "CA key", "certificate", "CA certificate"],
)
def test_pins_that_fit_and_the_same_of_another(choose: Any, home: Path, server_tls: Tls, other_tls: Tls) -> None:
    eim = FakeEim(script([]))
    polled(eim, server_tls, home, pinned=choose(server_tls))
    assert len(eim.messages) == 1
    with pytest.raises(EimNotTrusted, match="trustedPublicKeyDataTls"):
        polled(eim, server_tls, home, pinned=choose(other_tls))
    assert len(eim.messages) == 1, "nothing is sent to a server that is not trusted"


@pytest.mark.parametrize("choice", ["A0", "A1"])
def test_another_name_and_an_expired_certificate_of_the_right_ca(choice: str, home: Path, tmp_path: Path) -> None:
    for server, why in (
        (make_tls(tmp_path / "name", "other.test"), "names other.test, not eim.test"),
        (make_tls(tmp_path / "time", expired=True), "expired|valid from"),
    ):
        pinned = pin("A0", server.ca_spki) if choice == "A0" else pin("A1", server.ca)
        eim = FakeEim(script([]))
        with pytest.raises(EimNotTrusted, match=why):
            polled(eim, server, home, pinned=pinned)
        assert eim.messages == []


def test_the_pinned_key_itself_has_no_name_and_no_end(home: Path, tmp_path: Path) -> None:
    server = make_tls(tmp_path / "tls", "other.test", expired=True)
    polled(FakeEim(script([])), server, home, pinned=pin("A0", server.leaf_spki))


def test_without_a_pin_the_trusted_cas_decide(home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([]))
    with pytest.raises(EimNotTrusted):
        polled(eim, server_tls, home, pinned=b"")
    polled(eim, server_tls, home, pinned=b"", ca=str(server_tls.ca_file))
    assert len(eim.messages) == 1
    with pytest.raises(ConfigurationError, match="nowhere"):
        polled(eim, server_tls, home, pinned=b"", ca="/nowhere.pem")


def test_a_pin_that_is_no_certificate() -> None:
    with pytest.raises(EimNotTrusted, match="cannot be read"):
        coap.trust(KeyData("certificate", b"\x30\x00"), fqdn=FQDN)


def test_a_poll_loop_is_one_association_and_the_next_one_takes_its_session_up(home: Path, server_tls: Tls) -> None:
    card = FakeCard(notifications={seq: notification(seq) for seq in range(1, 6)})
    eim = FakeEim(script([]))
    server = polled(eim, server_tls, home, card=card, polls=3)
    assert len(eim.messages) == 3 + 5
    assert (server.counts.handshakes, server.counts.resumed) == (3, 2)


@pytest.mark.parametrize(
    ("options", "handshakes", "resumed"),
    [
        ({"keep_connection": 60.0}, 1, 0),
        ({"keep_connection": 60.0, "dtls_idle": 0.0}, 3, 2),  # silence of any length: taken up anew
        ({"dtls_resume": False}, 3, 0),
        ({"dtls_close": False}, 3, 2),
    ],
    ids=["live", "idle", "fresh", "without a goodbye"],
)
def test_how_long_an_association_lasts(
    options: dict[str, object], handshakes: int, resumed: int, home: Path, server_tls: Tls
) -> None:
    server = polled(FakeEim(script([])), server_tls, home, polls=3, **options)
    assert (server.counts.handshakes, server.counts.resumed) == (handshakes, resumed)


def test_a_session_is_of_one_pin(home: Path, server_tls: Tls, other_tls: Tls) -> None:
    """A card that pins another key gets no session that an earlier pin had allowed."""

    async def run() -> None:
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        eim = FakeEim(script([]))
        async with eim_on_udp(eim, server_tls), ipa_for(card, eim.port, home) as ipa:
            await ipa.poll()
            card.eims = [eim_configuration(pin=pin("A1", other_tls.ca))]
            with pytest.raises(EimNotTrusted):
                await ipa.poll()
            assert len(eim.messages) == 1

    asyncio.run(run())


def test_a_package_and_its_result(home: Path, server_tls: Tls) -> None:
    """60 kB of a package come in blocks; the result goes back on the same association."""
    long = package(1, tlv("BF2D", b"\x5c\x01\x5a") + tlv("BF65", bytes(40_000)))
    card = FakeCard(answers={"BF51": [package_result(1, 7, tlv("85", b"\x00"))]})
    eim = FakeEim(script([long]))
    server = polled(eim, server_tls, home, card=card)
    assert [message[:2].hex() for message in eim.messages] == ["bf4f", "bf50", "bf4f"]
    assert server.counts.handshakes == 1
    assert server.counts.requests == 2 + (len(long) + 4 + 1023) // 1024


@pytest.mark.parametrize("binding", ["asn1", "json"])
def test_the_paths_are_those_of_https(binding: str, home: Path, server_tls: Tls) -> None:
    eim = FakeEim(
        script([]) if binding == "asn1" else lambda message, index: b'{"header":{},"eimPackageError":1}'
    )  # fmt: skip
    polled(eim, server_tls, home, binding=binding)
    assert eim.paths == ["/gsma/rsp2/asn1" if binding == "asn1" else "/gsma/rsp2/esipa/getEimPackage"]


@pytest.mark.parametrize(("coap_uri_host", "expected"), [("omitted", None), ("sent", FQDN)])
def test_what_a_request_is_made_of(coap_uri_host: str, expected: str | None, home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        seen: list[Any] = []
        eim = FakeEim(script([]))
        async with eim_on_udp(eim, server_tls, seen):
            async with ipa_for(card, eim.port, home, coap_uri_host=coap_uri_host) as ipa:
                await ipa.poll()
        (request,) = seen
        assert request.code == codes.POST and request.opt.uri_host == expected
        assert {int(option.number) for option in request.opt.option_list()} <= {3, 11}

    asyncio.run(run())


@pytest.mark.parametrize("answer", [{"code": codes.CONTENT}, {"content_format": 42}, {"code": codes.CREATED}])
def test_other_readings_of_an_answer_are_taken(answer: dict[str, Any], home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        eim = FakeEim(script([]))
        async with eim_on_udp(eim, server_tls, **answer), ipa_for(card, eim.port, home) as ipa:
            assert (await ipa.poll()).packages == 0

    asyncio.run(run())


def test_a_body_in_small_blocks(home: Path, server_tls: Tls) -> None:
    card = FakeCard(notifications={1: notification(1)})
    eim = FakeEim(script([]))
    server = polled(eim, server_tls, home, card=card, coap_block=16)
    assert len(eim.messages) == 2 and server.counts.requests == sum(
        (len(message) + 15) // 16 for message in eim.messages
    )


# --- what is tried again ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [500, 503])
def test_a_busy_eim_is_asked_again(failure: int, home: Path, server_tls: Tls) -> None:
    usual = script([])
    eim = FakeEim(lambda message, index: failure if index < 2 else usual(message, index))
    server = polled(eim, server_tls, home)
    assert len(eim.messages) == 3 and server.counts.handshakes == 1
    with pytest.raises(EsipaError, match=r"CoAP 5\.0") as caught:
        polled(FakeEim(lambda message, index: failure), server_tls, home)
    assert caught.value.status == failure


def test_an_eim_that_knows_no_such_path(home: Path, server_tls: Tls) -> None:
    eim = FakeEim(lambda message, index: 404)
    with pytest.raises(EsipaError, match=r"CoAP 4\.04"):
        polled(eim, server_tls, home)
    assert len(eim.messages) == 1


def test_an_eim_that_does_not_answer(home: Path, server_tls: Tls) -> None:
    """It acknowledges the request and says no more: each attempt ends at the deadline, on an association of its own."""
    eim = FakeEim(lambda message, index: None)
    with pytest.raises(EimSilent, match=r"no answer within 1 s") as caught:
        polled(eim, server_tls, home, request_timeout=1.0, retries=1)
    assert len(eim.messages) == 2
    assert not caught.value.before_sending


def test_nobody_listens(home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        async with ipa_for(card, 1, home, request_timeout=0.2, retries=1) as ipa:
            with pytest.raises(EimSilent) as caught:
                await ipa.poll()
        assert caught.value.before_sending
        assert card.opened == card.closed == 1

    asyncio.run(run())


def test_an_answer_that_is_too_long(home: Path, server_tls: Tls) -> None:
    with pytest.raises(EsipaError, match="longer than 5000 bytes"):
        polled(FakeEim(lambda message, index: bytes(20_000)), server_tls, home, max_answer=5000)


def test_a_link_that_is_down_is_the_device_s_failure(home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        async with FakeLink({}, refuse="504 not registered").serve() as url:
            options = {"transport": "coaps", "retry_delay": 0.001, "retries": 1}
            ipa = create(card, ProxyPath(url, RealClock()), RealClock(), options=options, home=home)
            with pytest.raises(DataPathDown, match="504 not registered") as caught:
                await ipa.poll()
        assert caught.value.before_sending and caught.value.exit_code == 1

    asyncio.run(run())


def test_the_server_restarts_between_two_polls(home: Path, server_tls: Tls) -> None:
    """The kept association is of no use any more: the server said goodbye, and the next poll shakes hands."""

    async def run() -> None:
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        eim = FakeEim(script([]))
        async with eim_on_udp(eim, server_tls) as first:
            async with way(eim.port) as between, ipa_for(card, between.port, home, keep_connection=60.0) as ipa:
                await ipa.poll()
                await first.close()
                async with eim_on_udp(eim, server_tls) as second:
                    between.target = eim.port
                    between.rebind()
                    await ipa.poll()
                    assert (second.counts.handshakes, second.counts.resumed) == (1, 0)
        assert len(eim.messages) == 2

    asyncio.run(run())


def test_a_kept_association_whose_nat_has_forgotten(home: Path, server_tls: Tls) -> None:
    """The server ignores what comes from another port; what may be repeated is, on the session taken up anew."""

    async def run() -> None:
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        eim = FakeEim(script([]))
        async with eim_on_udp(eim, server_tls) as server, way(eim.port) as between:
            options = {"keep_connection": 60.0, "request_timeout": 2.0}
            async with ipa_for(card, between.port, home, **options) as ipa:
                await ipa.poll()
                between.rebind()
                await ipa.poll()
        assert len(eim.messages) == 2
        assert (server.counts.handshakes, server.counts.resumed) == (2, 1)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"transport": "coap"}, "https, coaps"),
        ({"coap_block": 1000}, "16, 32"),
        ({"coaps_port": 0}, "1 to 65535"),
        ({"coap_uri_host": "maybe"}, "omitted, sent"),
    ],
)
def test_options_that_are_none(options: dict[str, object], words: str, home: Path) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))) as caught:
        create(FakeCard(), HostDataPath(), RealClock(), options=options, home=home)
    assert words in caught.value.hint
