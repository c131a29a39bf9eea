"""What operators are told of their downloads (ES2+.handleDownloadProgressInfo), and that it gets there."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from conftest import World
from smdpp_device import EID, Device, Refused

from bench.rsp.asn1.schema import NUMBERS
from fixtures.pki import Pki
from fixtures.service import Observer
from fixtures.smdpp.delivery import MAX_ATTEMPTS, Delivery, client_context
from fixtures.smdpp.operators import Operator, Operators
from fixtures.smdpp.orders import DEFAULT_ATTEMPTS
from fixtures.smdpp.store import Order

ICCID = "8900101000000000027"
OK = "Executed-Success"


def ordered(world: World, **more: Any) -> Order:
    world.order_by("downloadOrder", iccid=ICCID)
    world.order_by("confirmOrder", iccid=ICCID, matchingId="A", releaseFlag=True, **more)
    return world.of(ICCID)


# --- what is told ---------------------------------------------------------------------------------------------------


def test_a_download(world: World, device: Device) -> None:
    ordered(world)
    device.download("A")
    result = device.pir(ICCID)
    device.notify(result)
    device.notify(result)  # the same again is no news
    device.notify(device.event(1, ICCID))
    assert world.told() == [(1, OK, ""), (3, OK, ""), (4, OK, "")]
    first, _, last = (message.members() for message in world.es9.progress.of())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.pop("timestamp"))
    header = first.pop("header")
    assert header["functionRequesterIdentifier"] == "2.999.10"
    assert header["functionCallIdentifier"] != last["header"]["functionCallIdentifier"]
    assert first == {
        "eid": EID,
        "iccid": ICCID + "F",
        "profileType": "operational",
        "notificationPointId": 1,
        "notificationPointStatus": {"status": OK},
    }
    assert base64.b64decode(last["resultData"], validate=True) == result


def test_an_installation_that_failed(world: World, device: Device) -> None:
    ordered(world)
    device.download("A")
    device.notify(device.pir(ICCID, error=(5, 8)))
    assert world.told()[-1] == (4, "Failed", "8.2.10/4.2")
    message = world.es9.progress.of()[-1].members()
    assert "scp03tSecurityError" in message["notificationPointStatus"]["statusCodeData"]["message"]
    assert world.of(ICCID).state == "error"
    device.initiate()
    with pytest.raises(Refused) as caught:
        device.authenticate("A")
    assert caught.value.code == ("8.2.6", "3.8")  # a permanent error ends the order


def test_a_permanent_error_by_the_other_reading(reads: Callable[..., World]) -> None:
    world = reads(failed_installation="may-retry")
    device = world.device()
    ordered(world)
    device.download("A")
    device.notify(device.pir(ICCID, error=(5, 8)))
    device.download("A")
    device.notify(device.pir(ICCID))
    assert world.of(ICCID).state == "installed"


@pytest.mark.parametrize(("number", "name"), NUMBERS["RSPDefinitions"]["ErrorReason"].items())
def test_every_error_of_an_installation(world: World, device: Device, number: int, name: str) -> None:
    ordered(world)
    device.download("A")
    device.notify(device.pir(ICCID, error=(5, number)))
    order = world.of(ICCID)
    assert (order.state, order.error, bool(order.retry)) == (
        "error",
        f"{name} at loadProfileElements",
        number in (10, 11),
    )


@pytest.mark.parametrize("reason", [10, 11])
def test_a_temporary_error_leaves_the_order(world: World, device: Device, reason: int) -> None:
    ordered(world)
    device.download("A")
    device.notify(device.pir(ICCID, error=(5, reason)))
    device.download("A")
    device.notify(device.pir(ICCID))
    assert [point for point, _, _ in world.told()] == [1, 3, 4, 1, 3, 4]
    assert world.of(ICCID).state == "installed"


@pytest.mark.parametrize(
    ("reason", "codes"),
    [(0, "8.8.5/3.8"), (3, "8.2.8/1.2"), (4, "8.2.9/3.11"), (5, "8.2.10/4.2"), (127, "8/4.2"), (99, "8/4.2")],
)
@pytest.mark.parametrize("delivered", [False, True])
def test_a_session_that_the_device_cancels(
    world: World, device: Device, reason: int, codes: str, delivered: bool
) -> None:
    ordered(world)
    device.initiate()
    device.authenticate("A")
    if delivered:
        device.get_bpp()
    device.cancel(reason)
    assert world.told()[-1] == (4 if delivered else 3, "Failed", codes)
    assert world.of(ICCID).state == "error"


@pytest.mark.parametrize("reason", [1, 2])
def test_postponed_and_timeout_are_no_news(world: World, device: Device, reason: int) -> None:
    ordered(world)
    device.initiate()
    device.authenticate("A")
    device.cancel(reason)
    assert world.told() == [(1, OK, "")]
    device.download("A")


def test_the_point_of_a_cancelled_session_by_the_other_reading(reads: Callable[..., World]) -> None:
    for delivered, point in ((False, 1), (True, 3)):
        world = reads(cancel_point="reached")
        device = world.device()
        ordered(world)
        device.initiate()
        device.authenticate("A")
        if delivered:
            device.get_bpp()
        device.cancel(0)
        assert world.told()[-1][0] == point


def test_too_many_downloads(world: World, device: Device) -> None:
    order = ordered(world)
    for _ in range(DEFAULT_ATTEMPTS):
        device.download("A")
    last = device.transaction
    for _ in range(2):
        device.initiate()
        with pytest.raises(Refused) as caught:
            device.authenticate("A")
        assert caught.value.code == ("8.8.5", "6.4")
    assert world.told()[-1] == (1, "Failed", "8.8.5/6.4")
    assert [codes for _, _, codes in world.told()].count("8.8.5/6.4") == 1
    assert (world.order(order).state, world.order(order).error) == ("error", "download retries")
    device.transaction = last
    device.notify(device.pir(ICCID))  # the last package may have been installed all the same
    assert world.order(order).state == "installed"


def test_too_many_wrong_confirmation_codes(world: World, device: Device) -> None:
    order = ordered(world, confirmationCode="right")
    for code in (("8.2.7", "3.8"), ("8.2.7", "3.8"), ("8.2.7", "6.4")):
        device.initiate()
        device.authenticate("A")
        with pytest.raises(Refused) as caught:
            device.get_bpp("wrong")
        assert caught.value.code == code
    assert world.told()[-1] == (2, "Failed", "8.2.7/6.4")
    assert world.order(order).state == "error"
    device.initiate()
    with pytest.raises(Refused) as caught:
        device.authenticate("A")
    assert caught.value.code == ("8.2.7", "6.4")


def test_a_card_that_is_not_eligible(world: World, device: Device) -> None:
    ordered(world)
    device.free = 10
    device.initiate()
    with pytest.raises(Refused):
        device.authenticate("A")
    assert world.told() == [(1, "Failed", "8.1/4.8")]


@pytest.mark.parametrize(("reading", "points"), [("none", []), ("5-101-102", [101, 102, 5]), ("6-7-8", [6, 7, 8])])
def test_events_by_every_reading(reads: Callable[..., World], reading: str, points: list[int]) -> None:
    world = reads(event_points=reading)
    device = world.device()
    ordered(world)
    device.download("A")
    device.notify(device.pir(ICCID))
    for event in (1, 2, 3):
        device.notify(device.event(event, ICCID))
    assert [point for point, _, _ in world.told()][3:] == points


def test_nobody_is_told_of_what_is_not_theirs(world: World, device: Device) -> None:
    world.order_by("downloadOrder", "other", iccid=ICCID)  # names no place
    matching_id = world.order_by("confirmOrder", "other", iccid=ICCID, releaseFlag=True)["matchingId"]
    device.download(matching_id)
    device.download(world.place("bootstrap").matching_id)
    assert world.told() == []
    ordered_here = ("8.2.6", "3.8")
    device.initiate()
    with pytest.raises(Refused) as caught:
        device.authenticate("NOBODYS")
    assert caught.value.code == ordered_here
    assert world.told() == []


def test_a_notification_that_is_not_believed_is_not_told(
    world: World, device: Device, flip: Callable[[bytes], bytes]
) -> None:
    ordered(world)
    device.download("A")
    device.change = lambda name, data: flip(data) if name == "euiccSignPIR" else data
    device.notify(device.pir(ICCID))
    assert [point for point, _, _ in world.told()] == [1, 3]


# --- and that it gets there -----------------------------------------------------------------------------------------


class Backend:
    """An operator's backend on mutual TLS; it answers what ``answers`` says, then 204."""

    def __init__(self, pki: Pki) -> None:
        self.pki = pki
        self.answers: list[web.Response] = []
        self.received: list[dict[str, Any]] = []
        self.peers: list[bytes] = []
        self.got = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        assert request.path == "/gsma/rsp2/es2plus/handleDownloadProgressInfo"
        assert request.headers["X-Admin-Protocol"] == "gsma/rsp/v2.5.0"
        assert request.content_type == "application/json"
        assert request.transport is not None
        self.peers.append(request.transport.get_extra_info("ssl_object").getpeercert(binary_form=True))
        self.received.append(json.loads(await request.read()))
        self.got.set()
        return self.answers.pop(0) if self.answers else web.Response(status=204)

    async def listen(self, runner: web.ServerRunner, port: int = 0) -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.pki.operator().tls_files())
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.pki.ci_files)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context)
        await site.start()
        return int(runner.addresses[0][1])


def delivering(world: World, use: Callable[[Backend, Delivery], Awaitable[None]], **options: Any) -> Backend:
    """Run a delivery against a backend until ``use`` returns."""

    async def run() -> Backend:
        backend = Backend(world.pki)
        runner = web.ServerRunner(web.Server(backend.handle))  # type: ignore[arg-type]
        port = await backend.listen(runner)
        operators = Operators({"operator": Operator("operator", "2.999.30", progress=f"https://127.0.0.1:{port}")})
        context = client_context(*world.pki.dp_tls.tls_files(), options.pop("trusted", world.pki.ci_files))
        delivery = Delivery(world.es9.progress, operators, Observer.connect(None), context, first_pause=0.01, **options)
        task = asyncio.create_task(delivery.run())
        try:
            async with asyncio.timeout(20):
                await use(backend, delivery)
        finally:
            task.cancel()
            await asyncio.wait({task})
            await runner.cleanup()
        return backend

    return asyncio.run(run())


def states(world: World) -> list[tuple[str, int]]:
    return [(message.state, message.attempts) for message in world.es9.progress.of()]


def test_it_is_delivered_in_order_over_mutual_tls(world: World, device: Device) -> None:
    ordered(world)
    device.download("A")

    async def use(_: Backend, delivery: Delivery) -> None:
        await delivery.idle.wait()
        device.notify(device.pir(ICCID))  # while it waits: it is woken
        await delivery.idle.wait()

    backend = delivering(world, use)
    assert [message["notificationPointId"] for message in backend.received] == [1, 3, 4]
    assert backend.received == [message.members() for message in world.es9.progress.of()]
    assert set(backend.peers) == {world.pki.dp_tls.certificate}
    assert states(world) == [("delivered", 1)] * 3


def test_it_is_sent_again_until_it_is_taken_and_keeps_its_order(world: World, device: Device) -> None:
    ordered(world)
    device.download("A")

    async def use(backend: Backend, delivery: Delivery) -> None:
        backend.answers += [web.Response(status=503), web.Response(status=302, headers={"Location": "/x"})]
        await delivery.idle.wait()

    backend = delivering(world, use)
    assert [message["notificationPointId"] for message in backend.received] == [1, 1, 1, 3]
    calls = [message["header"]["functionCallIdentifier"] for message in backend.received]
    assert len(set(calls[:3])) == 1  # the operator can tell that it is the same
    assert states(world) == [("delivered", 3), ("delivered", 1)]


def test_what_was_not_delivered_survives_a_restart(world: World, device: Device) -> None:
    ordered(world)
    device.download("A")
    world.restart()

    async def use(backend: Backend, delivery: Delivery) -> None:
        await delivery.idle.wait()

    assert len(delivering(world, use).received) == 2


def refusal(status: str) -> web.Response:
    data = {"subjectCode": "8.2.1", "reasonCode": "3.9"}
    return web.json_response({"header": {"functionExecutionStatus": {"status": status, "statusCodeData": data}}})


def test_what_an_operator_refuses_is_given_up(world: World, device: Device) -> None:
    ordered(world)
    device.download("A")

    async def use(backend: Backend, delivery: Delivery) -> None:
        backend.answers += [refusal("Failed"), refusal("Executed-Success")]
        await delivery.idle.wait()

    delivering(world, use)
    assert states(world) == [("given-up", 1), ("delivered", 1)]
    assert "8.2.1/3.9" in world.es9.progress.of()[0].error


def test_the_budget_of_attempts(world: World, device: Device) -> None:
    ordered(world)
    device.initiate()
    device.authenticate("A")

    async def use(backend: Backend, delivery: Delivery) -> None:
        backend.answers += [web.Response(status=500) for _ in range(3)]
        await delivery.idle.wait()

    backend = delivering(world, use, attempts=3)
    assert len(backend.received) == 3
    assert states(world) == [("given-up", 3)]
    assert world.es9.progress.of()[0].error == "HTTP 500"
    assert MAX_ATTEMPTS == 20


def test_an_operator_that_is_not_trusted_is_told_nothing(
    world: World, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ordered(world)
    device.initiate()
    device.authenticate("A")
    foreign = Pki.open(tmp_path_factory.mktemp("foreign")).ci_files

    async def use(backend: Backend, delivery: Delivery) -> None:
        await delivery.idle.wait()

    backend = delivering(world, use, attempts=2, trusted=foreign)
    assert backend.received == []
    assert states(world) == [("given-up", 2)]
    assert "certificate" in world.es9.progress.of()[0].error.lower()


# --- operators.toml -------------------------------------------------------------------------------------------------


def test_the_list_of_operators(tmp_path: Path, smdpp_pki: Pki) -> None:
    assert [operator.name for operator in Operators.load(tmp_path)] == ["operator"]
    own = smdpp_pki.operator().certificate
    assert Operators.load(tmp_path).of(own) is not None
    for other in (smdpp_pki.eim_tls, smdpp_pki.dp_tls, smdpp_pki.operator("acme", oid="2.999.31")):
        assert Operators.load(tmp_path).of(other.certificate) is None
    import hashlib

    digest = hashlib.sha256(own).hexdigest().upper()
    colons = ":".join(digest[at : at + 2] for at in range(0, 64, 2))
    (tmp_path / "operators.toml").write_text(
        f"""
        [operators.acme]
        certificate = "2.999.31"
        requester = "ACME"
        profile_types = ["fleet"]
        progress = "https://127.0.0.1:8443"
        [operators.pinned]
        certificate = "{colons}"
        """
    )
    listed = Operators.load(tmp_path, progress="https://127.0.0.1:9443")
    acme = listed.of(smdpp_pki.operator("acme", oid="2.999.31").certificate)
    assert acme == Operator("acme", "2.999.31", "ACME", ("fleet",), "https://127.0.0.1:8443")
    pinned = listed.of(own)
    assert pinned is not None
    assert (pinned.name, pinned.progress, pinned.may_order("any")) == ("pinned", "https://127.0.0.1:9443", True)
    assert listed.of(None) is None
    assert listed.of(b"\x30\x00") is None
    assert listed.get("") is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[operator.a]", "operator is unknown"),
        ("operators = 1", "no table"),
        ("[operators.'a b']", "plain name"),
        ("[operators.a]\ncertificat = '2.999.1'", "did you mean certificate"),
        ("[operators.a]", "neither an OID nor"),
        ("[operators.a]\ncertificate = '2.999.1'\nprofile_types = 'x'", "list of texts"),
        ("[operators.a]\ncertificate = '2.999.1'\nrequester = 1", "no text"),
        ("[operators.a]\ncertificate = '2.999.1'\nprogress = 'http://127.0.0.1'", "no address"),
        ("[operators.a]\ncertificate = '2.999.1'\nprogress = 'https://[::1'", "no address"),
        ("[[", "cannot be read"),
    ],
)
def test_a_wrong_list_of_operators(tmp_path: Path, text: str, told: str) -> None:
    from bench.errors import ConfigurationError

    (tmp_path / "operators.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        Operators.load(tmp_path)
    assert told in f"{caught.value.what} {caught.value.hint}"
    assert "operators.toml" in caught.value.where
