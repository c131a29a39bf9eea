"""How orders end: every answer of card and IPA, one rule each."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from fixtures.pki import Pki, valid_eid
from fixtures.service import HttpRefusal

from .parties import EID, ICCID, Lab, Package, down, lab, parts, provide, tlv
from .test_wire import NO_PACKAGE

EMPTY = bytes.fromhex("bf50023000")
TOKEN = "840100"


def run(pki: Pki, folder: Path, use: Any, *, known: str = "0560", **options: Any) -> None:
    async def inside() -> None:
        async with lab(pki, folder, known=known, **options) as made:
            await use(made)

    asyncio.run(inside())


@pytest.mark.parametrize(
    ("kind", "result", "state", "name"),
    [
        ("enable", "830100", "done", "ok"),
        ("enable", "830101", "failed", "iccidOrAidNotFound"),
        ("enable", "830102", "failed", "profileNotInDisabledState"),
        ("enable", "830105", "failed", "catBusy"),
        ("enable", "830114", "failed", "rollbackNotAvailable"),
        ("enable", "020101", "failed", "resultSizeOverflow"),
        ("enable", "83010102017f", "failed", "undefinedError"),
        ("enable", "840100", "failed", "ok"),  # the answer to something else
        ("disable", "840102", "failed", "profileNotInEnabledState"),
        ("delete", "850100", "done", "ok"),
        ("delete", "850115", "failed", "returnFallbackProfile"),
        ("list", "bf2d03810b", "failed", ""),
        ("list", "bf2d0381010b", "failed", "profileChangeOngoing"),
        ("list", "bf2d02a000", "done", ""),
    ],
)
def test_result_codes(kind: str, result: str, state: str, name: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, package = await lab.package(kind)
        await lab.send(provide(lab.card.result(package, result)))
        shown = lab.show(order)
        assert shown["state"] == state
        if name:
            assert name in (shown["error"] or shown["result"])["name"]
        assert await lab.poll() == NO_PACKAGE

    run(pki, tmp_path, use)


def test_profiles_of_a_list(pki: Pki, tmp_path: Path) -> None:
    entry = tlv(
        "E3", bytes.fromhex("5a0a98000101000000001 0f9".replace(" ", "")), bytes.fromhex("9f700101"), tlv("92", b"BOOT")
    )

    async def use(lab: Lab) -> None:
        order, package = await lab.package("list")
        await lab.send(provide(lab.card.result(package, tlv("BF2D", tlv("A0", entry)).hex())))
        (profile,) = lab.show(order)["result"]["profiles"]
        assert (profile["iccid"], profile["enabled"], profile["name"]) == ("8900101000000000019", True, "BOOT")

    run(pki, tmp_path, use)


def test_counters_go_up_by_one_and_survive(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        counters = []
        for _ in range(3):
            _, package = await lab.package("list")
            again = Package.of(await lab.poll())
            assert again.raw == package.raw, "handed out again, the same bytes"
            counters.append(package.counter)
            await lab.send(provide(lab.card.result(package, "bf2d02a000")))
        assert counters == [1, 2, 3]

    run(pki, tmp_path, use)

    async def later(lab: Lab) -> None:
        lab.card.seq = 3
        _, package = await lab.package("list")
        assert package.counter == 4

    run(pki, tmp_path, later, known="")


def test_orders_go_out_one_at_a_time_in_order(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        first = lab.order("disable", iccid=ICCID)
        second = lab.order("delete", iccid=ICCID)
        package = Package.of(await lab.poll())
        assert package.psmo[:1] == b"\xa4"
        await lab.send(provide(lab.card.result(package, "840100")))
        package = Package.of(await lab.poll())
        assert package.psmo[:1] == b"\xa5"
        assert [lab.show(order)["state"] for order in (first, second)] == ["done", "sent"]

    run(pki, tmp_path, use)


def test_a_package_without_result_is_not_handed_out_for_ever(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, _ = await lab.package()
        after = lab.order("list")
        for _ in range(3):
            package = Package.of(await lab.poll())
            assert package.psmo[:1] == b"\xa3"
        assert Package.of(await lab.poll()).psmo[:2] == b"\xbf\x2d"
        shown = lab.show(order)
        assert shown["state"] == "failed"
        assert shown["error"]["what"] == "no result after 4 polls"
        assert lab.show(after)["state"] == "sent"

    run(pki, tmp_path, use, max_hand_outs=4)


def test_a_question_without_answer_is_not_asked_for_ever(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order = lab.order("list")
        for _ in range(3):
            assert "BF52" in parts(down(await lab.poll(), "BF4F"))
        assert await lab.poll() == NO_PACKAGE
        assert lab.show(order)["error"]["what"] == "no answer to IpaEuiccDataRequest after 3 polls"

    run(pki, tmp_path, use, known="", max_hand_outs=3)


def test_unsigned_error_ends_the_order(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        for transaction in (True, False):
            order, package = await lab.package()
            assert await lab.send(provide(lab.card.unsigned(package, transaction=transaction))) == EMPTY
            shown = lab.show(order)
            assert shown["state"] == "failed" and shown["error"]["unsigned"] is True and not shown["verified"]
            assert await lab.poll() == NO_PACKAGE

    run(pki, tmp_path, use)


@pytest.mark.parametrize(
    "result",
    ["bf5100", "bf5103a20100", "bf5104a0023000", "bf510530033001ff", "bf2d00", "bf51"],
    ids=["empty", "no eimId", "no signature", "no fields", "another tag", "cut off"],
)
def test_undecodable_result_ends_the_order(result: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, _ = await lab.package()
        body = provide(bytes.fromhex(result)) if result != "bf51" else provide(bytes.fromhex("bf5100"))[:-1] + b"\x09"
        await lab.send(body)
        shown = lab.show(order)
        assert shown["state"] == "failed", shown
        assert "decoded" in shown["error"]["what"]
        assert await lab.poll() == NO_PACKAGE

    run(pki, tmp_path, use)


@pytest.mark.parametrize(
    ("code", "name"), [(1, "invalidPackageFormat"), (2, "unknownPackage"), (127, "undefinedError")]
)
def test_package_error_of_the_ipa_ends_the_order(code: int, name: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        for with_id in (True, False):
            order, package = await lab.package()
            transaction = tlv("80", package.transaction_id) if with_id else b""
            assert await lab.send(provide(tlv("A0", transaction, tlv("02", bytes((code,)))))) == EMPTY
            shown = lab.show(order)
            assert (shown["state"], shown["error"]["package_error"]) == ("failed", name)

    run(pki, tmp_path, use)


@pytest.mark.parametrize("code", [3, 15, 104, 127])
def test_signed_error_ends_the_order(code: int, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        assert await lab.send(provide(lab.card.error(package, code))) == EMPTY
        shown = lab.show(order)
        assert (shown["state"], shown["verified"], shown["error"]["code"]) == ("failed", True, code)
        assert shown["error"]["name"] in ("invalidEid", "sizeOverflow", "ecallActive", "undefinedError")

    run(pki, tmp_path, use)


def test_replay_error_repairs_the_counter_and_retries_once(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        await lab.send(provide(lab.card.error(package, 4)))
        shown = lab.show(order)
        assert (shown["state"], shown["retries"]) == ("pending", 1)
        again = Package.of(await lab.poll())
        assert again.counter == package.counter + 0x10000 + 1
        assert again.transaction_id != package.transaction_id
        assert again.psmo == package.psmo
        await lab.send(provide(lab.card.error(again, 4)))
        shown = lab.show(order)
        assert (shown["state"], shown["error"]["name"]) == ("failed", "replayError")

    run(pki, tmp_path, use)


def test_replay_error_after_a_lost_result_asks_for_it(pki: Pki, tmp_path: Path) -> None:
    """Handed out twice: the first time it was executed. The result is fetched, the command not executed again."""

    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        executed = lab.card.result(package, "830100")
        assert Package.of(await lab.poll()).raw == package.raw
        await lab.send(provide(lab.card.error(package, 4)))
        request = down(await lab.poll(), "BF4F")
        assert down(request, "BF52", "5C").hex() == "a2"
        found = tlv("BF52", tlv("A0", tlv("A2", executed), tlv("87", down(request, "BF52", "83"))))
        assert await lab.send(provide(found)) == bytes.fromhex("bf5006bf5303800101")
        assert lab.show(order)["state"] == "done"
        assert await lab.poll() == NO_PACKAGE

    run(pki, tmp_path, use)


def test_replay_error_after_a_lost_result_that_is_gone(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        await lab.poll()
        await lab.send(provide(lab.card.error(package, 4)))
        await lab.send(provide(lab.card.error(package, 4)))  # delivered twice
        request = down(await lab.poll(), "BF4F")
        await lab.send(provide(tlv("BF52", tlv("A0", tlv("A2"), tlv("87", down(request, "BF52", "83"))))))
        again = Package.of(await lab.poll())
        assert again.counter > package.counter
        await lab.send(provide(lab.card.result(again, "830100")))
        assert lab.show(order)["state"] == "done"

    run(pki, tmp_path, use)


def test_counter_out_of_range(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        _, package = await lab.package()
        await lab.send(provide(lab.card.result(package, "830100")))
        lab.context.store.update_euicc(EID, counter=70_000)
        order, package = await lab.package("disable")
        assert package.counter == 70_001
        await lab.send(provide(lab.card.error(package, 6)))
        again = Package.of(await lab.poll())
        assert again.counter == 2, "one more than the last one that was confirmed"
        await lab.send(provide(lab.card.result(again, "840100")))
        assert lab.show(order)["state"] == "done"
        order, package = await lab.package()
        await lab.send(provide(lab.card.error(package, 6)))
        assert lab.show(order)["error"]["name"] == "counterValueOutOfRange"

    run(pki, tmp_path, use)


def test_counters_beyond_the_maximum_are_not_sent(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        lab.context.store.update_euicc(EID, counter=0x7FFFFE)
        _, package = await lab.package()
        assert package.counter == 0x7FFFFF
        await lab.send(provide(lab.card.result(package, "830100")))
        order = lab.order("list")
        assert await lab.poll() == NO_PACKAGE
        assert "8388608" in lab.show(order)["error"]["what"]

    run(pki, tmp_path, use)


@pytest.mark.parametrize(
    "forged",
    [
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"token": "840105"},
        {"counter": 99},
        {"seq": 0},
    ],
    ids=["key", "token", "counter", "seq"],
)
def test_results_that_are_not_believed(forged: dict[str, Any], pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        await lab.send(provide(lab.card.result(package, "830100", **forged)))
        shown = lab.show(order)
        assert (shown["state"], shown["verified"]) == ("failed", False), shown
        assert shown["error"]["what"]

    run(pki, tmp_path, use)


def test_any_changed_byte_of_a_result_is_noticed(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        _, package = await lab.package()
        result = lab.card.result(package, "830100")
        await lab.send(provide(result))
        length = len(result)
        for position in range(length):
            order, package = await lab.package()
            changed = bytearray(lab.card.result(package, "830100"))
            changed[position] ^= 0x01
            await lab.send(provide(bytes(changed)))
            # What makes it another package's leaves the order alone; the rest ends it; nothing makes it done.
            assert lab.show(order)["state"] in ("failed", "sent"), position
            lab.esipa.orders.cancel(int(order))

    run(pki, tmp_path, use)


def test_results_out_of_order_are_discarded(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        _, package = await lab.package()
        await lab.send(provide(lab.card.result(package, "830100", seq=9)))
        order, package = await lab.package("disable")
        answer = await lab.send(provide(lab.card.result(package, "840100", seq=9)))
        assert answer == bytes.fromhex("bf5006bf5303800109"), "acknowledged: left on the card it would come for ever"
        assert "not greater than 9" in lab.show(order)["error"]["what"]

    run(pki, tmp_path, use)


def test_a_result_delivered_twice_is_acknowledged_twice(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        result = provide(lab.card.result(package, "830100"))
        assert await lab.send(result) == await lab.send(result) == bytes.fromhex("bf5006bf5303800101")
        shown = lab.show(order)
        assert shown["state"] == "done" and "late" not in shown["result"]

    run(pki, tmp_path, use)


@pytest.mark.parametrize("delivered", [False, True])
def test_rollback_ends_the_order(delivered: bool, pki: Pki, tmp_path: Path) -> None:
    """Also one that was done: the IPA rolled back because the acknowledgement was lost."""

    async def use(lab: Lab) -> None:
        order, package = await lab.package("enable", rollback=True)
        result = lab.card.result(package, "830100")
        if delivered:
            await lab.send(provide(result))
            assert lab.show(order)["state"] == "done"
        await lab.send(provide(lab.card.result(package, "8c0100")))
        shown = lab.show(order)
        assert (shown["state"], shown["verified"]) == ("failed", True)
        assert shown["error"]["rolled_back"] is True
        assert shown["result"]["command"] == "rollback"

    run(pki, tmp_path, use)


def test_result_of_a_cancelled_order_is_kept_as_late(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        lab.esipa.orders.cancel(int(order))
        await lab.send(provide(lab.card.result(package, "830100")))
        shown = lab.show(order)
        assert shown["state"] == "cancelled"
        assert shown["result"]["late"]["state"] == "done" and shown["result"]["late"]["verified"] is True
        assert lab.context.store.euicc(EID).last_seq == 1  # type: ignore[union-attr]

    run(pki, tmp_path, use)


def test_result_of_another_euicc(pki: Pki, tmp_path: Path) -> None:
    """The transaction id alone does not make it this eUICC's."""

    async def use(lab: Lab) -> None:
        other = valid_eid(7)
        lab.context.store.add_euicc(other)
        order, package = await lab.package()
        await lab.send(provide(lab.card.result(package, "830100"), eid=other))
        assert lab.show(order)["state"] == "sent"

    run(pki, tmp_path, use)


@pytest.mark.parametrize("kind", ["other eid", "other ci", "garbage"])
def test_certificates_are_checked_before_they_are_believed(kind: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order = lab.order("list")
        request = down(await lab.poll(), "BF4F")
        if kind == "other eid":
            lab.card.credential = pki.euicc(valid_eid(8))
        elif kind == "other ci":
            stranger = Pki.open(tmp_path / "stranger")
            lab.card.credential, lab.card.eum = stranger.euicc(EID), stranger.eum
        answer = lab.card.data(request)
        if kind == "garbage":
            fields = [tlv(tag, bytes.fromhex("3003020101300302010103020001")) for tag in ("A5", "A6")]
            answer = tlv("BF52", tlv("A0", *fields, tlv("87", down(request, "BF52", "83"))))
        assert await lab.send(provide(answer)) == EMPTY
        shown = lab.show(order)
        assert shown["state"] == "failed"
        assert "certificate could not be learned" in shown["error"]["what"]
        assert lab.context.store.euicc(EID).euicc_certificate is None  # type: ignore[union-attr]

    run(pki, tmp_path, use, known="")


def test_ipa_that_refuses_the_question(pki: Pki, tmp_path: Path) -> None:
    """A package that needs verification ends; a download goes on, and the IPA is given the activation code."""

    async def use(lab: Lab) -> None:
        order = lab.order("list")
        request = down(await lab.poll(), "BF4F")
        error = tlv("A1", tlv("80", down(request, "BF52", "83")), tlv("02", b"\x01"))
        await lab.send(provide(tlv("BF52", error)))
        assert "incorrectTagList" in lab.show(order)["error"]["what"]
        download = lab.order("download", activation_code="1$smdpp.test$M")
        assert "BF52" in parts(down(await lab.poll(), "BF4F"))
        await lab.send(provide(tlv("A0", tlv("02", b"\x02"))))
        assert "A0" in parts(down(await lab.poll(), "BF4F", "BF54"))
        assert lab.show(download)["state"] == "sent"

    run(pki, tmp_path, use, known="")


def test_expired_orders_do_not_go_out(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        over, _ = lab.esipa.orders.create(EID, "list", {}, expires=time.time() - 1)
        later, _ = lab.esipa.orders.create(EID, "list", {}, expires=time.time() + 60)
        assert Package.of(await lab.poll()).counter == 1
        assert lab.show(str(over.id))["state"] == "expired"
        assert lab.show(str(later.id))["state"] == "sent"
        over, _ = lab.esipa.orders.create(EID, "list", {}, expires=time.time() - 1)
        lab.esipa.orders.expire()
        assert lab.show(str(over.id))["state"] == "expired", "without a poll, when it is looked at"

    run(pki, tmp_path, use)


def test_idempotency(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        first, new = lab.esipa.orders.create(EID, "delete", {"iccid": ICCID}, idempotency_key="k")
        again, newer = lab.esipa.orders.create(EID, "delete", {"iccid": ICCID + "F"}, idempotency_key="k")
        assert (first.id, new, newer) == (again.id, True, False)
        with pytest.raises(HttpRefusal, match="another order"):
            lab.esipa.orders.create(EID, "disable", {"iccid": ICCID}, idempotency_key="k")

    run(pki, tmp_path, use)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("explode", {}),
        ("enable", {}),
        ("enable", {"iccid": "12x"}),
        ("enable", {"iccid": 12}),
        ("enable", {"iccid": ICCID, "rollback": "yes"}),
        ("list", {"iccid": ICCID}),
        ("download", {}),
        ("download", {"activation_code": "smdpp.test"}),
        ("download", {"activation_code": "LPA:1$smdpp.test$M$$1"}),
    ],
)
def test_orders_that_make_no_sense(kind: str, parameters: dict[str, Any], pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        with pytest.raises(HttpRefusal) as refused:
            lab.order(kind, **parameters)
        assert refused.value.status == 400
        assert lab.context.store.orders(EID, newest=1)[-1:] == [] or lab.context.store.head(EID) is None

    run(pki, tmp_path, use)


def test_exact_bytes_are_kept(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        result = lab.card.result(package, "830100")
        await lab.send(provide(result))
        kept = [(way, what, data) for _, way, what, data in lab.context.store.messages(int(order))]
        assert kept == [("sent", "EuiccPackageRequest", package.raw), ("received", "EuiccPackageResult", result)]

    run(pki, tmp_path, use)


def test_old_orders_are_forgotten(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        first = lab.order("list")
        for _ in range(300):
            lab.esipa.orders.cancel(int(lab.order("list")))
        orders = lab.context.store.orders(EID, newest=1000)
        assert len(orders) < 10 + 32 + 2
        assert orders[0].id == int(first), "an open order is not forgotten"
        package = Package.of(await lab.poll())
        await lab.send(provide(lab.card.result(package, "bf2d02a000")))
        assert lab.show(first)["state"] == "done"
        for _ in range(100):
            lab.esipa.orders.cancel(int(lab.order("list")))
        assert lab.context.store.messages(int(first)) == []
        # What comes for a forgotten order is still taken off the card.
        answer = await lab.send(provide(lab.card.result(package, "bf2d02a000")))
        assert answer == bytes.fromhex("bf5006bf5303800102")

    run(pki, tmp_path, use, keep_orders=10)
