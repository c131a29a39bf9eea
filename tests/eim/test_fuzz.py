"""Any bytes get an answer, never an exception, and never a package or acknowledgement they did not earn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.rsp import tlv as bench_tlv
from bench.rsp.errors import DecodeError
from fixtures.eim import messages
from fixtures.eim.notifications import read_installation, read_metadata
from fixtures.pki import Pki

from .parties import EID, Lab, lab, provide, tlv
from .test_download import CHALLENGE, INFO1, TXID, cancel

TAGS = ["BF39", "BF3A", "BF3B", "BF3D", "BF41", "BF4F", "BF50", "BF4E", "30", "BF51", "A0"]
INNER = ["80", "81", "82", "83", "84", "A0", "A1", "A2", "30", "02", "04", "5A", "5F37", "BF51", "BF52", "BF54", "BF37"]
INNER += ["BF27", "BF2F", "BF38", "BF21", "BF20", "BF2D", "0C", "06", "A5", "A6", "A8", "87", "E3", "01", "05"]

leaf = st.binary(max_size=20)
tree = st.recursive(
    leaf,
    lambda children: st.lists(st.tuples(st.sampled_from(INNER), children), max_size=5).map(
        lambda items: b"".join(tlv(tag, content) for tag, content in items)
    ),
    max_leaves=20,
)
message = st.tuples(st.sampled_from(TAGS), tree).map(lambda item: tlv(*item))
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@asynccontextmanager
async def open_lab(pki: Pki, folder: Path) -> AsyncIterator[Lab]:
    async with lab(pki, folder, known="0560", max_hand_outs=1000) as made:
        yield made


def each(pki: Pki, folder: Path, check: Callable[[Lab, bytes], Any], strategy: st.SearchStrategy[bytes]) -> None:
    """Run one eIM and send it every example."""
    loop = asyncio.new_event_loop()
    context = open_lab(pki, folder)
    try:
        made = loop.run_until_complete(context.__aenter__())

        @FUZZ
        @given(strategy)
        def test(body: bytes) -> None:
            loop.run_until_complete(check(made, body))

        test()
        loop.run_until_complete(context.__aexit__(None, None, None))
    finally:
        loop.close()


async def answered(lab: Lab, body: bytes) -> None:
    answer = await lab.answer(body)
    assert answer.status in (200, 204, 400, 404)
    assert bool(answer.body) == (answer.status == 200)
    if answer.status == 200:
        assert answer.body[:2] == body[:2]


@pytest.mark.parametrize("kind", ["bytes", "messages"])
def test_any_bytes(kind: str, pki: Pki, tmp_path: Path) -> None:
    each(pki, tmp_path, answered, st.binary(max_size=200) if kind == "bytes" else message)


def test_any_result_leaves_the_order_undone(pki: Pki, tmp_path: Path) -> None:
    async def check(lab: Lab, content: bytes) -> None:
        order, _ = await lab.package()
        answer = await lab.answer(provide(content))
        assert answer.status == 200
        shown = lab.show(order)
        assert shown["state"] in ("failed", "sent"), shown
        assert not shown["verified"]
        lab.esipa.orders.cancel(int(order))

    each(
        pki,
        tmp_path,
        check,
        st.tuples(st.sampled_from(["BF51", "BF52", "BF54", "30", "A0"]), tree).map(lambda i: tlv(*i)),
    )


def test_changed_bytes_of_good_messages(pki: Pki, tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()

    async def good(lab: Lab) -> list[bytes]:
        _, package = await lab.package()
        result = lab.card.result(package, "830100")
        notification = lab.card.notification("0640")
        return [
            provide(result),
            provide(tlv("30", result, tlv("A0", notification))),
            provide(lab.card.data(tlv("BF52", tlv("83", b"\x01" * 8)))),
            tlv("BF3D", tlv("A0", notification)),
            tlv("BF3D", tlv("A0", lab.card.installation(TXID))),
            tlv("BF39", tlv("81", CHALLENGE), INFO1, tlv("82", package.transaction_id)),
            cancel(),
        ]

    async def setup() -> tuple[Any, Lab, list[bytes]]:
        context = open_lab(pki, tmp_path)
        made = await context.__aenter__()
        return context, made, await good(made)

    context, made, originals = loop.run_until_complete(setup())

    @FUZZ
    @given(
        st.sampled_from(originals),
        st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=4),
        st.integers(0, 50),
    )
    def test(body: bytes, changes: list[tuple[int, int]], cut: int) -> None:
        changed = bytearray(body)
        for position, value in changes:
            changed[position % len(changed)] = value
        loop.run_until_complete(answered(made, bytes(changed[: len(changed) - cut])))

    test()
    loop.run_until_complete(context.__aexit__(None, None, None))
    loop.close()


@FUZZ
@given(message)
def test_readers_raise_only_decode_errors(body: bytes) -> None:
    try:
        node = bench_tlv.first(body)
    except DecodeError:
        return
    readers: list[Callable[[Any], Any]] = [
        messages.read_package_query,
        messages.read_provided,
        messages.read_euicc_data,
        messages.read_initiate_authentication,
        messages.read_cancellation,
        read_metadata,
        read_installation,
        lambda found: messages.read_relayed(found, 0xBF38),
    ]
    for reader in readers:
        try:
            reader(node)
        except DecodeError:
            pass


def test_long_and_deep_messages(pki: Pki, tmp_path: Path) -> None:
    async def use() -> None:
        async with open_lab(pki, tmp_path) as made:
            deep = b""
            for _ in range(200):
                deep = tlv("A0", deep)
            assert (await made.answer(tlv("BF50", deep))).body == bytes.fromhex("bf500302017f")
            assert (
                await made.answer(tlv("BF4F", tlv("5A", bytes.fromhex(EID)), tlv("04", bytes(2 << 20))))
            ).status == 200
            assert (await made.answer(b"\xbf" * 100)).status == 400
            assert (await made.answer(b"")).status == 400

    asyncio.run(use())
