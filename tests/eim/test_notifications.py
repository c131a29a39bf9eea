"""Notifications: kept before they are answered, verified, forwarded in order, tried again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fixtures.eim import notifications
from fixtures.eim.notifications import MAX_REFUSALS
from fixtures.eim.store import Store
from fixtures.pki import Pki, valid_eid

from .parties import EID, SMDPP, FakeSmdpp, Lab, lab, provide, refusal, tlv
from .test_download import unbase64

BACKOFF = 30.0
"""What a test waits for at most."""


def run(pki: Pki, folder: Path, server: FakeSmdpp, use: Any, **options: Any) -> None:
    async def inside() -> None:
        async with server.serve(pki):
            settings: dict[str, Any] = {"known": "0560", "forwarding": True, "forward_wait": 5.0, **options}
            async with lab(pki, folder, routes=server.route, **settings) as made:
                await use(made)

    asyncio.run(inside())


def accepting() -> FakeSmdpp:
    return FakeSmdpp({"handleNotification": lambda _: 204})


def handle(notification: bytes) -> bytes:
    return tlv("BF3D", tlv("A0", notification))


async def until(lab: Lab, met: Callable[[], bool]) -> None:
    assert await lab.context.changes.until(met, BACKOFF)


def tried(lab: Lab, times: int) -> bool:
    return lab.context.store.notifications(EID)[0].attempts >= times


def test_forwarded_as_it_came_before_the_answer(pki: Pki, tmp_path: Path) -> None:
    server = accepting()

    async def use(lab: Lab) -> None:
        sent = [lab.card.notification(event) for event in ("0640", "0520", "0410")]
        for notification in sent:
            assert (await lab.answer(handle(notification))).status == 204
        assert [unbase64(request, "pendingNotification") for _, request in server.requests] == sent
        notes = lab.context.store.notifications(EID)
        assert [(note.event, note.state, bool(note.verified), note.iccid) for note in notes] == [
            (event, "forwarded", True, "8900101000000000027") for event in ("enable", "disable", "delete")
        ]

    run(pki, tmp_path, server, use)


def test_those_that_wait_are_told_apart_without_reading_the_others(pki: Pki, tmp_path: Path) -> None:
    """A soak asks in each cycle, when thousands were forwarded: the index of the few that wait answers."""

    async def use(lab: Lab) -> None:
        store = lab.context.store
        for event in ("0640", "0520"):
            assert (await lab.answer(handle(lab.card.notification(event)))).status == 204
        assert store.any_queued() and store.any_queued(EID) and not store.any_queued("9" * 32)
        first, second = store.notifications(EID, state="queued")
        assert store.notifications(EID, state="forwarded") == []
        assert store.notifications(EID, state="queued", newest=1) == [second]
        lab.esipa.forwarder.now()
        await until(lab, lambda: not store.any_queued(EID))
        assert not store.any_queued()
        assert store.notifications(EID, state="queued") == []
        assert [note.id for note in store.notifications(state="forwarded")] == [first.id, second.id]
        asked: list[str] = []
        store._db.set_trace_callback(asked.append)
        store.any_queued(EID)
        store.notifications(EID, state="queued")
        store._db.set_trace_callback(None)
        plans = [str(store._db.execute(f"EXPLAIN QUERY PLAN {text}").fetchall()) for text in asked]
        assert len(plans) == 2 and all("notifications_waiting" in plan for plan in plans), plans

    run(pki, tmp_path, accepting(), use, forward_wait=0.0)


@pytest.mark.parametrize("asked", [True, False])
def test_what_is_stored_is_acknowledged_and_forwarded_afterwards(pki: Pki, tmp_path: Path, asked: bool) -> None:
    server = accepting()

    async def use(lab: Lab) -> None:
        sent = lab.card.notification("0640")
        assert (await lab.answer(handle(sent))).status == 204
        assert lab.context.store.notifications(EID)[0].state == "queued"
        assert not server.requests
        if asked:
            lab.esipa.forwarder.now()
        await until(lab, lambda: lab.context.store.notifications(EID)[0].state == "forwarded")
        assert [unbase64(request, "pendingNotification") for _, request in server.requests] == [sent]

    run(pki, tmp_path, server, use, forward_wait=0.0)


@pytest.mark.parametrize(("quiet", "latest"), [(0.0, 3600.0), (3600.0, 0.0)])
def test_forwarding_begins_when_no_ipa_talks_and_at_the_latest_time(
    quiet: float, latest: float, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "QUIET", quiet)
    monkeypatch.setattr(notifications, "LATEST", latest)

    async def use(lab: Lab) -> None:
        assert (await lab.answer(handle(lab.card.notification("0640")))).status == 204
        await until(lab, lambda: lab.context.store.notifications(EID)[0].state == "forwarded")

    run(pki, tmp_path, accepting(), use, forward_wait=0.0)


def test_messages_of_ipas_put_forwarding_off(pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message begins the silence anew. The test fires the timer itself, so that nothing depends on speed."""
    server = accepting()
    asked: list[float] = []

    async def use(lab: Lab) -> None:
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def noted(delay: float, callback: Callable[..., object], *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            if "_when_quiet" in getattr(callback, "__name__", ""):
                asked.append(delay)
                fired.append(callback)
                return call_later(3600.0, lambda: None)
            return call_later(delay, callback, *args, **kwargs)

        fired: list[Callable[..., object]] = []
        monkeypatch.setattr(loop, "call_later", noted)
        monkeypatch.setattr(notifications, "QUIET", 600.0)
        monkeypatch.setattr(notifications, "LATEST", 3600.0)
        for event in ("0640", "0520"):
            assert (await lab.answer(handle(lab.card.notification(event)))).status == 204
        assert len(fired) == 1  # one timer for all that wait
        fired.pop()()
        assert 599.0 < asked[-1] <= 600.0  # somebody was heard since: later
        monkeypatch.setattr(notifications, "QUIET", 0.0)
        fired.pop()()
        await until(lab, lambda: all(row.state == "forwarded" for row in lab.context.store.notifications(EID)))
        assert len(server.requests) == 2

    run(pki, tmp_path, server, use, forward_wait=0.0)


def test_the_same_notification_twice(pki: Pki, tmp_path: Path) -> None:
    server = accepting()

    async def use(lab: Lab) -> None:
        notification = lab.card.notification("0640")
        for _ in range(2):
            assert (await lab.answer(handle(notification))).status == 204
        assert len(lab.context.store.notifications(EID)) == len(server.requests) == 1

    run(pki, tmp_path, server, use)


def test_notifications_in_an_answer_to_a_question(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        notification = lab.card.notification("0640")
        for wrapped in (tlv("BF52", tlv("A0", tlv("A0", notification))), tlv("BF52", tlv("A0", notification))):
            assert await lab.send(provide(wrapped)) == bytes.fromhex("bf5006bf5303800101")
        assert [note.seq for note in lab.context.store.notifications(EID)] == [1]

    run(pki, tmp_path, accepting(), use)


@pytest.mark.parametrize("wrong", ["signature", "ci"])
def test_notifications_that_do_not_verify_are_marked(wrong: str, pki: Pki, tmp_path: Path) -> None:
    stranger = Pki.open(tmp_path / "stranger")

    async def use(lab: Lab) -> None:
        if wrong == "ci":
            lab.card.credential, lab.card.eum = stranger.euicc(EID), stranger.eum
        notification = lab.card.notification("0640", key=pki.eim.key if wrong == "signature" else None)
        assert (await lab.answer(handle(notification))).status == 204
        (note,) = lab.context.store.notifications(EID)
        assert not note.verified and note.problem
        assert note.state == "forwarded", "what to make of it is for the SM-DP+"

    run(pki, tmp_path, accepting(), use)


def test_certificate_is_learned_from_a_notification(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        await lab.answer(handle(lab.card.notification("0640")))
        euicc = lab.context.store.euicc(EID)
        assert euicc is not None and euicc.certificate_source == "notification"

    run(pki, tmp_path, accepting(), use, known="")


def test_notification_of_an_euicc_that_is_not_served(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        lab.card.credential = pki.euicc(valid_eid(3))
        assert (await lab.answer(handle(lab.card.notification("0640")))).status == 404
        lab.peer.eid = None
        assert (await lab.answer(handle(lab.card.installation(b"\x01" * 16)))).status == 404
        assert lab.context.store.notifications() == []

    run(pki, tmp_path, accepting(), use)


def test_installation_result_of_an_unknown_session(pki: Pki, tmp_path: Path) -> None:
    """Of a lost store, say: the connection's last poll tells whose it is, and the SM-DP+ gets it."""

    async def use(lab: Lab) -> None:
        assert (await lab.answer(handle(lab.card.installation(b"\x01" * 16)))).status == 204
        (note,) = lab.context.store.notifications(EID)
        assert (note.event, note.state, bool(note.verified)) == ("install", "forwarded", True)

    run(pki, tmp_path, accepting(), use)


@pytest.mark.parametrize(
    "body",
    [
        "bf3d00",
        "bf3d02a000",
        "bf3d04a0023000",
        "bf3d06a004bf370100",
        "bf3d04a002a000",
        "bf3d04a0020500",
        "bf3d023000",
        "bf3d",
    ],
)
def test_notifications_that_cannot_be_read(body: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        assert (await lab.answer(bytes.fromhex(body))).status == 400

    run(pki, tmp_path, accepting(), use)


def test_answered_while_the_smdpp_is_away_and_delivered_later(pki: Pki, tmp_path: Path) -> None:
    async def inside() -> None:
        server = accepting()
        async with server.serve(pki):
            pass  # only to get a port that nobody listens on
        async with lab(pki, tmp_path, routes=server.route, known="0560", forwarding=True, forward_wait=5.0) as made:
            started = time.monotonic()
            assert (await made.answer(handle(made.card.notification("0640")))).status == 204
            assert time.monotonic() - started < 4.0, "one attempt, then the IPA is answered"
            (note,) = made.context.store.notifications(EID)
            assert (note.state, note.attempts) == ("queued", 1)
            assert "cannot be reached" in note.last_error
            async with server.serve(pki):
                # The next one for the same server takes the first along, in order.
                await made.answer(handle(made.card.notification("0520")))
                await until(
                    made, lambda: all(note.state == "forwarded" for note in made.context.store.notifications(EID))
                )
                assert len(server.requests) == 2

    asyncio.run(inside())


def test_queue_survives_a_restart(pki: Pki, tmp_path: Path) -> None:
    async def inside() -> None:
        server = accepting()
        async with server.serve(pki):
            pass
        async with lab(pki, tmp_path, routes=server.route, known="0560") as made:
            await made.answer(handle(made.card.notification("0640")))
        async with server.serve(pki), lab(pki, tmp_path, routes=server.route, forwarding=True) as made:
            await until(made, lambda: made.context.store.notifications(EID)[0].state == "forwarded")

    asyncio.run(inside())


def test_refusing_smdpp_is_not_asked_for_ever(pki: Pki, tmp_path: Path) -> None:
    server = FakeSmdpp({"handleNotification": lambda _: refusal("8.10.1", "3.9")})

    async def use(lab: Lab) -> None:
        await lab.answer(handle(lab.card.notification("0640")))
        for attempts in range(1, MAX_REFUSALS + 1):
            lab.esipa.forwarder.wake()
            await until(lab, partial(tried, lab, attempts))
        assert lab.context.store.notifications(EID)[0].state == "refused"
        lab.esipa.forwarder.wake()
        assert len(server.requests) == MAX_REFUSALS
        assert "8.10.1/3.9" in lab.context.store.notifications(EID)[0].last_error

    run(pki, tmp_path, server, use)


@pytest.mark.parametrize("address", ["", "a b", "host/path?x=", "user@host", "http://host", "h:1:2", "\u00e9.test"])
def test_addresses_that_are_none(address: str, pki: Pki, tmp_path: Path) -> None:
    """The address is the card's word: it must not lead anywhere but to a host."""
    server = accepting()

    async def use(lab: Lab) -> None:
        assert (await lab.answer(handle(lab.card.notification("0640", address=address)))).status == 204
        assert server.requests == []

    run(pki, tmp_path, server, use)


def test_one_dead_server_does_not_hold_up_another(pki: Pki, tmp_path: Path) -> None:
    server = accepting()

    async def use(lab: Lab) -> None:
        lab.es9.routes.targets["dead.test"] = ("127.0.0.1", 1)
        await lab.answer(handle(lab.card.notification("0640", address="dead.test")))
        await lab.answer(handle(lab.card.notification("0520", address=SMDPP)))
        assert [note.state for note in lab.context.store.notifications(EID)] == ["queued", "forwarded"]

    run(pki, tmp_path, server, use)


def test_two_processes_claim_a_notification_once(pki: Pki, tmp_path: Path) -> None:
    async def inside() -> None:
        async with lab(pki, tmp_path, known="0560") as made:
            await made.answer(handle(made.card.notification("0640")))
            other = Store.open(tmp_path / "eim.sqlite")
            (note,) = other.queued()
            assert made.context.store.claim(note.id, time.time() + 60)
            assert not other.claim(note.id, time.time() + 60)
            other.close()

    asyncio.run(inside())
