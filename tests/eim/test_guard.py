"""An IPA that repeats itself without progress is refused, and its order ends; one that idles or retries is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.pki import Pki

from .parties import EID, SMDPP, Lab, Package, down, lab, parts, provide, success, tlv
from .test_download import CHALLENGE, INFO1, smdpp

NO_PACKAGE = bytes.fromhex("bf4f03020101")
LIMIT = 20


def run(pki: Pki, folder: Path, use: Callable[[Lab], Awaitable[None]], **options: Any) -> None:
    async def play() -> None:
        async with lab(pki, folder, **{"known": "0560", **options}) as made:
            await use(made)

    asyncio.run(play())


def test_the_same_result_for_ever_ends_the_next_order(pki: Pki, tmp_path: Path) -> None:
    """A card that forgets nothing, or an IPA that does not see the acknowledgement."""

    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        result = provide(lab.card.result(package, "830100"))
        good = await lab.send(result)
        assert lab.show(order)["state"] == "done"
        for _ in range(LIMIT - 1):
            assert await lab.send(result) == good, "a retry is acknowledged as before"
        other, _ = await lab.package("list")
        for _ in range(LIMIT):  # a new package was progress: counted from there
            assert await lab.send(result) == good
        answer = await lab.answer(result)
        assert (answer.status, answer.body) == (429, b"")
        assert "repeated ProvideEimPackageResult 20 times within 60 s and nothing changed" in answer.text
        shown = lab.show(other)
        assert shown["state"] == "failed" and shown["error"]["loop"] and shown["error"]["what"] == answer.text
        assert await lab.poll() == NO_PACKAGE
        assert lab.show(order)["state"] == "done", "what was done stays done"

    run(pki, tmp_path, use)


@pytest.mark.parametrize("what", ["notification", "refusal", "garbage"])
def test_whatever_is_repeated(what: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        await lab.poll()
        message = {
            "notification": tlv("BF3D", tlv("A0", lab.card.notification("0640"))),
            "refusal": provide(tlv("A0", tlv("02", b"\x01"))),
            "garbage": b"\xbf\x50\x03\x02\x01",
        }[what]
        statuses = [(await lab.answer(message)).status for _ in range(LIMIT + 3)]
        assert set(statuses[:LIMIT]) <= {200, 204, 400} and statuses[LIMIT:] == [429] * 3
        assert len(lab.context.store.notifications(EID)) == (1 if what == "notification" else 0)

    run(pki, tmp_path, use)


def test_idle_polls_are_never_refused(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        for _ in range(10 * LIMIT):
            assert await lab.poll() == NO_PACKAGE

    run(pki, tmp_path, use)


def test_another_device_is_not_refused_with_it(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        await lab.poll()
        message = provide(tlv("A0", tlv("02", b"\x01")))
        for _ in range(LIMIT + 1):
            last = await lab.answer(message)
        assert last.status == 429
        lab.peer.eid = None
        lab.peer.name = "192.0.2.1"
        assert (await lab.answer(message)).status == 200

    run(pki, tmp_path, use)


def test_the_window_ends(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        now = 0.0
        lab.esipa.guard.repeats._clock = lambda: now
        await lab.poll()
        message = provide(tlv("A0", tlv("02", b"\x01")))
        for _ in range(LIMIT + 1):
            last = await lab.answer(message)
        assert last.status == 429
        now = 61.0
        assert (await lab.answer(message)).status == 200

    run(pki, tmp_path, use)


def test_a_package_that_is_never_answered_ends_by_its_budget(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, first = await lab.package()
        for _ in range(2):
            assert Package.of(await lab.poll()).raw == first.raw
        assert await lab.poll() == NO_PACKAGE
        assert lab.show(order)["state"] == "failed" and "no result after 3 polls" in lab.show(order)["error"]["what"]

    run(pki, tmp_path, use, max_hand_outs=3)


def test_sessions_of_one_order_are_counted(pki: Pki, tmp_path: Path) -> None:
    """An IPA that begins a download again and again and never comes to its end."""
    server = smdpp(pki)
    number = 0

    def initiate(body: dict[str, Any]) -> Any:
        nonlocal number
        number += 1
        found = known(body)
        session = number.to_bytes(16, "big")
        return {**found, "serverSigned1": success(x=signed(session))["x"], "transactionId": session.hex()}

    def signed(session: bytes) -> bytes:
        return tlv("30", tlv("80", session), tlv("81", CHALLENGE), tlv("83", SMDPP.encode()), tlv("84", bytes(16)))

    known = server.functions["initiateAuthentication"]
    server.functions["initiateAuthentication"] = initiate

    async def play() -> None:
        async with server.serve(pki), lab(pki, tmp_path, routes=server.route, known="0560", max_sessions=4) as made:
            order = made.order("download", activation_code=f"1${SMDPP}$M")
            transaction = parts(down(await made.poll(), "BF4F", "BF54"))["82"]
            for attempt in range(4):
                challenge = bytes((attempt,)) * 16
                message = tlv("BF39", tlv("81", challenge), INFO1, tlv("82", transaction))
                assert "A0" in parts(down(await made.send(message), "BF39")), attempt
            message = tlv("BF39", tlv("81", bytes(16)), INFO1, tlv("82", transaction))
            assert await made.send(message) == bytes.fromhex("bf390381017f")
            shown = made.show(order)
            assert shown["state"] == "failed" and shown["error"]["loop"]
            assert "began 4 download sessions" in shown["error"]["what"]
            assert len(server.requests) == 4, "the SM-DP+ does not hear of the fifth"
            assert await made.poll() == NO_PACKAGE

    asyncio.run(play())
