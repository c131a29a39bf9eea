"""TLS pinning, the CONNECT proxy of the device's link, kept connections, and what is tried again."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.errors import ConfigurationError, DeviceFailure, InstrumentError
from bench.station.clock import RealClock
from fixtures.ipa import tls as ipa_tls
from fixtures.ipa.errors import DataPathDown, EimNotTrusted, EimSilent, EimUnreachable, EsipaError
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import Ipa, create

from . import fakes
from .bench import poll, set_up, with_ipa
from .fakes import (
    FQDN,
    Answer,
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


def poll_pinned(pinned: bytes, eim: FakeEim, server: Tls, home: Path, **options: object) -> None:
    async def run() -> None:
        card = FakeCard()
        async with set_up(card, eim, server, home, pinned=False, **options) as ipa:
            card.eims = [eim_configuration(pin=pinned)]
            await ipa.poll()

    asyncio.run(run())


@pytest.mark.parametrize(
    "choose",
    [
        lambda tls: pin("A0", tls.leaf_spki),
        lambda tls: pin("A0", tls.ca_spki),
        lambda tls: pin("A1", tls.leaf),
        lambda tls: pin("A1", tls.ca),
        lambda tls: fakes.tlv("A0", tls.leaf_spki),
        lambda tls: fakes.tlv("A1", tls.ca),
        lambda tls: tls.leaf_spki,
    ],
    ids=["key", "CA key", "certificate", "CA certificate", "key explicit", "CA explicit", "bare key"],
)
def test_pins_that_fit_and_the_same_of_another(choose: object, home: Path, server_tls: Tls, other_tls: Tls) -> None:
    assert callable(choose)
    eim = FakeEim(script([]))
    poll_pinned(choose(server_tls), eim, server_tls, home)
    assert len(eim.messages) == 1
    with pytest.raises(EimNotTrusted, match="trustedPublicKeyDataTls"):
        poll_pinned(choose(other_tls), eim, server_tls, home)
    assert len(eim.messages) == 1, "nothing is sent to a server that is not trusted"


@pytest.mark.parametrize("choice", ["A0", "A1"])
def test_a_certificate_of_the_right_ca_for_another_name(choice: str, home: Path, tmp_path: Path) -> None:
    server = make_tls(tmp_path / "tls", "other.test")
    pinned = pin("A0", server.ca_spki) if choice == "A0" else pin("A1", server.ca)
    eim = FakeEim(script([]))
    with pytest.raises(EimNotTrusted):
        poll_pinned(pinned, eim, server, home)
    assert eim.messages == []


@pytest.mark.parametrize("choice", ["A0", "A1"])
def test_an_expired_certificate_of_the_right_ca(choice: str, home: Path, tmp_path: Path) -> None:
    server = make_tls(tmp_path / "tls", expired=True)
    pinned = pin("A0", server.ca_spki) if choice == "A0" else pin("A1", server.ca)
    with pytest.raises(EimNotTrusted):
        poll_pinned(pinned, FakeEim(script([])), server, home)


def test_the_pinned_key_itself_has_no_name_and_no_end(home: Path, tmp_path: Path) -> None:
    server = make_tls(tmp_path / "tls", "other.test", expired=True)
    poll_pinned(pin("A0", server.leaf_spki), FakeEim(script([])), server, home)


def test_without_a_pin_the_trusted_cas_decide(home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([]))
    with pytest.raises(EimNotTrusted):
        poll_pinned(b"", eim, server_tls, home)
    poll_pinned(b"", eim, server_tls, home, ca=str(server_tls.ca_file))
    assert len(eim.messages) == 1


def test_a_ca_file_that_is_not_there(home: Path, server_tls: Tls) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        poll_pinned(b"", FakeEim(script([])), server_tls, home, ca="/nowhere.pem")


def test_wildcard_names_match_one_label(tmp_path: Path) -> None:
    server = make_tls(tmp_path / "tls", "*.bench.test")
    assert ipa_tls.check_key(server.leaf, server.ca_spki, "eim.bench.test") == ""
    assert "not bench.test" in ipa_tls.check_key(server.leaf, server.ca_spki, "bench.test")
    assert "not a.b.bench.test" in ipa_tls.check_key(server.leaf, server.ca_spki, "a.b.bench.test")
    later = datetime.now(UTC) + timedelta(days=365)
    assert "valid from" in ipa_tls.check_key(server.leaf, server.ca_spki, "eim.bench.test", now=later)
    assert "cannot be read" in ipa_tls.check_key(b"\x30\x00", server.ca_spki, "eim.bench.test")
    assert "cannot be read" in ipa_tls.check_key(server.leaf, b"\x30\x00", "eim.bench.test")


def test_tls_1_2_at_least(server_tls: Tls, home: Path) -> None:
    context = ipa_tls.context(None, fqdn=FQDN, ca=str(server_tls.ca_file))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname


# --- the device's link ----------------------------------------------------------------------------------------------


@dataclasses.dataclass
class LinkPath(HostDataPath):
    """A data path through a CONNECT proxy."""

    proxy: str | None = None

    def __post_init__(self) -> None:
        super().__init__()


def poll_through(link: FakeLink, card: FakeCard, eim: FakeEim, server: Tls, home: Path, **options: object) -> None:
    async def run() -> None:
        card.eims = [eim_configuration(pin=pin("A1", server.ca))]
        async with eim.serve(server.context), link.serve() as url:
            link.routes = {f"{FQDN}:443": eim.port}
            settings = {"retry_delay": 0.001, **options}
            ipa = create(card, LinkPath(url), RealClock(), options=settings, home=home)
            await ipa.poll()

    asyncio.run(run())


def test_the_poll_goes_through_the_device_s_link_on_one_connection(home: Path, server_tls: Tls) -> None:
    link = FakeLink({})
    card = FakeCard(notifications={seq: notification(seq) for seq in range(1, 6)})
    eim = FakeEim(script([]))
    poll_through(link, card, eim, server_tls, home)
    assert link.connects == [f"{FQDN}:443"]
    assert len(eim.messages) == 6


def test_a_link_that_is_down_is_the_device_s_failure(home: Path, server_tls: Tls) -> None:
    link = FakeLink({}, refuse="502 no PDP context")
    with pytest.raises(DataPathDown, match="502 no PDP context") as caught:
        poll_through(link, FakeCard(), FakeEim(script([])), server_tls, home, retries=2)
    assert isinstance(caught.value, EimUnreachable)
    assert isinstance(caught.value, DeviceFailure)
    assert caught.value.exit_code == 1
    assert len(link.connects) == 3


def test_pinning_holds_through_the_link(home: Path, server_tls: Tls, other_tls: Tls) -> None:
    eim = FakeEim(script([]))
    other = dataclasses.replace(server_tls, ca=other_tls.ca)
    with pytest.raises(EimNotTrusted):
        poll_through(FakeLink({}), FakeCard(), eim, other, home)
    assert eim.messages == []


def test_a_link_that_does_not_exist(home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        ipa = create(card, LinkPath("http://127.0.0.1:1"), RealClock(), options={"retries": 0}, home=home)
        with pytest.raises(EimSilent, match="data link is not there"):
            await ipa.poll()
        assert card.opened == card.closed == 1

    asyncio.run(run())


# --- what is tried again --------------------------------------------------------------------------------------------


def flaky(failures: int, failure: Answer) -> FakeEim:
    """An eIM whose first answers are ``failure``."""
    usual = script([])
    return FakeEim(lambda message, index: failure if index < failures else usual(message, index))


@pytest.mark.parametrize("failure", [None, 500, 502, 503, 504])
def test_repeatable_messages_are_sent_again(failure: Answer, home: Path, server_tls: Tls) -> None:
    eim = flaky(3, failure)
    poll(FakeCard(), eim, server_tls, home)
    assert len(eim.messages) == 4
    assert len(set(eim.messages)) == 1


@pytest.mark.parametrize(("failure", "error"), [(None, EimSilent), (503, EsipaError)])
def test_attempts_end(failure: Answer, error: type[Exception], home: Path, server_tls: Tls) -> None:
    eim = flaky(99, failure)
    with pytest.raises(error):
        poll(FakeCard(), eim, server_tls, home)
    assert len(eim.messages) == 4


def test_attempts_of_one_poll_have_a_budget(home: Path, server_tls: Tls) -> None:
    card = FakeCard(notifications={seq: notification(seq) for seq in range(1, 6)})
    usual = script([])
    eim = FakeEim(lambda message, index: 503 if index % 2 == 0 else usual(message, index))
    # each of the first four messages needs a second attempt; the fifth gets none and stays on the card
    result = poll(card, eim, server_tls, home, retry_budget=4)
    assert result.notifications == 4
    assert list(card.notifications) == [5]
    assert len(eim.messages) == 10


@pytest.mark.parametrize("status", [400, 401, 404, 415, 501])
def test_statuses_that_trying_again_does_not_mend(status: int, home: Path, server_tls: Tls) -> None:
    eim = flaky(99, status)
    with pytest.raises(EsipaError, match=str(status)) as caught:
        poll(FakeCard(), eim, server_tls, home)
    assert caught.value.status == status
    assert len(eim.messages) == 1


def test_an_eim_that_refuses_the_connection(home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        options = {"route": "127.0.0.1:1", "retries": 1, "retry_delay": 0.001}
        ipa = create(card, HostDataPath(), RealClock(), options=options, home=home)
        with pytest.raises(EimSilent, match="no connection") as caught:
            await ipa.poll()
        assert isinstance(caught.value, InstrumentError)
        assert caught.value.before_sending
        assert caught.value.exit_code == 3

    asyncio.run(run())


def test_an_eim_that_does_not_speak_tls(home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"SSH-2.0-hello\r\n")
            writer.close()

        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        options = {"route": f"127.0.0.1:{port}", "retries": 0}
        with pytest.raises(EimSilent):
            await create(card, HostDataPath(), RealClock(), options=options, home=home).poll()
        server.close()

    asyncio.run(run())


def test_an_eim_that_does_not_answer_in_time(home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([]), delay=20.0)
    started = time.monotonic()
    with pytest.raises(EimSilent, match=r"no answer within 0\.1 s"):
        poll(FakeCard(), eim, server_tls, home, request_timeout=0.1, retries=1)
    assert time.monotonic() - started < 5.0
    assert len(eim.messages) == 2


def test_an_answer_without_end(home: Path, server_tls: Tls) -> None:
    with pytest.raises(EsipaError, match="longer than 1000 bytes"):
        poll(FakeCard(), FakeEim(lambda message, index: bytes(2000)), server_tls, home, max_answer=1000)


def test_a_connection_the_eim_closed_between_two_polls(home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([]))

    async def use(ipa: object) -> None:
        await ipa.poll()  # type: ignore[attr-defined]
        await ipa.poll()  # type: ignore[attr-defined]

    with_ipa(FakeCard(), eim, server_tls, home, use)
    assert len(set(eim.peers)) == 2


def test_header_option(home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([]))
    poll(FakeCard(), eim, server_tls, home, admin_protocol="gsma/rsp/v1.3.0", path="/elsewhere")
    assert eim.headers[0]["X-Admin-Protocol"] == "gsma/rsp/v1.3.0"
    assert eim.paths == ["/elsewhere"]


# --- options and the host's data path -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"segmnt": 120}, "did you mean 'segment'"),
        ({"segment": 0}, "1 to 255"),
        ({"segment": "255"}, "a value like 255"),
        ({"segment": True}, "a value like 255"),
        ({"imei": "12"}, "15 digits"),
        ({"route": {"eim.test": "nowhere"}}, "host:port"),
        ({"route": 5}, "a value like"),
        ({"request_timeout": -1}, "a value like 60.0"),
        ({"refresh": "yes"}, "allowed: auto, card, reset"),
        ({"immediate_enable": "yes"}, "a value like True"),
        ({"dialect": "1.1"}, "allowed: 1.0, 1.2"),
        ({"try_again": 0}, "a value like 5.0"),
        ({"rplmn": "2620"}, "5 or 6 digits"),
        ({"capabilities": {"85": "0d00"}}, "three bytes"),
        ({"capabilities": {"eutran": "0d0000"}}, "three bytes"),
    ],
)
def test_options_are_checked(options: dict[str, object], text: str, home: Path) -> None:
    with pytest.raises(ConfigurationError, match=text):
        create(FakeCard(), HostDataPath(), RealClock(), options=options, home=home)


def test_the_host_s_data_path() -> None:
    async def run() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(100))
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        path = HostDataPath()
        assert "127.0.0.1" in await path.resolve("localhost", server="", timeout=5.0)
        stream = await path.connect("127.0.0.1", port, timeout=5.0)
        await stream.write(b"hello")
        assert await stream.read() == b"hello"
        assert await stream.read() == b""
        await stream.close()
        assert await path.counters() == (5, 5)
        server.close()
        with pytest.raises(InstrumentError):
            await path.connect("127.0.0.1", 1, timeout=5.0)

    asyncio.run(run())


def test_a_connection_is_kept_for_the_next_poll(home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([]))

    async def use(ipa: Ipa) -> None:
        for _ in range(3):
            await ipa.poll()
        assert len(set(eim.peers)) == 1
        await ipa.close()
        await ipa.poll()
        assert len(set(eim.peers)) == 2
        await ipa.close()

    with_ipa(FakeCard(), eim, server_tls, home, use, keep_connection=60.0)


def test_a_connection_is_not_kept_after_a_failure_nor_longer_than_said(home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([]))

    async def use(ipa: Ipa) -> None:
        await ipa.poll()
        eim.answer = lambda message, index: 500
        with pytest.raises(EsipaError):
            await ipa.poll()
        eim.answer = script([])
        await ipa.poll()
        assert len(set(eim.peers)) == 2
        await ipa.close()

    with_ipa(FakeCard(), eim, server_tls, home, use, keep_connection=60.0, retries=0)
    second = FakeEim(script([]))

    async def twice(ipa: Ipa) -> None:
        await ipa.poll()
        await ipa.poll()
        assert len(set(second.peers)) == 2
        await ipa.close()

    with_ipa(FakeCard(), second, server_tls, home, twice, keep_connection=1e-9)


def test_a_kept_connection_that_the_eim_closed_costs_one_more(home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([]))

    async def use(ipa: Ipa) -> None:
        await ipa.poll()
        usual, broken = eim.answer, [True]

        def once_broken(message: bytes, index: int) -> Answer:
            return None if broken and broken.pop() else usual(message, index)

        eim.answer = once_broken
        assert (await ipa.poll()).packages == 0
        assert len(set(eim.peers)) == 2
        await ipa.close()

    with_ipa(FakeCard(), eim, server_tls, home, use, keep_connection=60.0)


@pytest.mark.parametrize("keeps", [True, False])
def test_the_poll_after_a_switch_uses_the_connection_of_the_one_before(
    home: Path, server_tls: Tls, keeps: bool
) -> None:
    switched = package_result(5, 17, tlv("83", b"\x00"))
    card = FakeCard()

    def load(raw: bytes) -> bytes:
        card.results[17] = switched
        return switched

    card.answers["BF51"] = load
    eim = FakeEim(script([package(5)]))

    async def use(ipa: Ipa) -> None:
        assert (await ipa.poll()).profile_changed
        await ipa.poll()
        assert len(set(eim.peers)) == (1 if keeps else 2)
        await ipa.poll()  # nothing was switched: that connection was closed
        assert len(set(eim.peers)) == (2 if keeps else 3)
        await ipa.close()

    with_ipa(card, eim, server_tls, home, use, **({} if keeps else {"keep_after_switch": 0}))


class Bound(HostDataPath):
    """A device's link of which the test says what binding to it does."""

    bearer = "interface:wwan0"

    def __init__(self, *, there: bool) -> None:
        super().__init__()
        self.name_servers: tuple[str, ...] = ()
        self.asked: list[tuple[str, str]] = []
        self.bound = 0
        self._there = there

    def bind(self, sock: socket.socket) -> socket.socket:
        if not self._there:
            raise InstrumentError("cannot use interface wwan0: No such device", where=self.bearer)
        self.bound += 1
        return sock

    async def resolve(self, name: str, *, server: str, timeout: float) -> tuple[str, ...]:
        self.asked.append((name, server))
        return ("127.0.0.1",)


def poll_over(data: Bound, eim: FakeEim, server: Tls, home: Path, route: dict[str, str], **options: object) -> None:
    async def run() -> None:
        card = FakeCard()
        card.eims = [eim_configuration(pin=pin("A1", server.ca))]
        async with eim.serve(server.context):
            settings = {"route": {name: f"{host}:{eim.port}" for name, host in route.items()}, "retries": 0, **options}
            await create(card, data, RealClock(), options=settings, home=home).poll(timeout=30.0)

    asyncio.run(run())


def test_every_socket_is_bound_to_the_devices_link(home: Path, server_tls: Tls) -> None:
    eim, data = FakeEim(script([])), Bound(there=True)
    poll_over(data, eim, server_tls, home, {FQDN: "127.0.0.1"})
    assert data.bound == len(set(eim.peers)) == 1


def test_without_the_devices_link_nothing_takes_the_hosts_way(home: Path, server_tls: Tls) -> None:
    eim, data = FakeEim(script([])), Bound(there=False)
    with pytest.raises(EimSilent, match="cannot use interface wwan0"):
        poll_over(data, eim, server_tls, home, {FQDN: "127.0.0.1"})
    assert not eim.peers


def test_names_are_asked_at_the_server_of_the_pdp_context(home: Path, server_tls: Tls) -> None:
    eim, data = FakeEim(script([])), Bound(there=True)
    data.name_servers = ("10.64.0.53", "10.64.0.54")
    with pytest.raises(EimSilent):  # port 443 of this host: nobody is there, and nobody else was asked
        poll_over(data, eim, server_tls, home, {})
    assert data.asked == [(FQDN, "10.64.0.53")]
