"""What operators order and how it is kept: kinds, queues, approval, attempts, expiry, audit log, older stores."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ConfigurationError
from fixtures.eim import approval, commands, parameters, retries
from fixtures.pki import Pki

from .operator_side import Side, side
from .parties import EID, ICCID, OTHER_EID, Package, down, provide, refusal, success, tlv
from .test_packages import RAW_ICCID, command_list
from .test_wire import NO_PACKAGE

DESTRUCTIVE = approval.DESTRUCTIVE


def run(pki: Pki, folder: Path, use: Callable[[Side], Awaitable[None]], **options: Any) -> None:
    async def go() -> None:
        async with side(pki, folder, **options) as made:
            await use(made)

    asyncio.run(go())


def made_of(kind: str) -> dict[str, Any]:
    """Parameters of a command's own kind."""
    values: dict[str, Any] = {
        "iccid": ICCID, "flag": True, "address": "dp.x", "eimId": "eim.two", "newKey": True, "data": "DF0100"
    }  # fmt: skip
    found = commands.parameters_of(kind)
    assert found is not None
    needed = [*found[2], *{"addEim": ["eimId"], "updateEim": ["newKey"]}.get(kind, [])]
    return {name: values[name] for name in needed}


# --- kinds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", parameters.SINGLE_COMMANDS)
def test_every_psmo_and_eco_is_ordered_by_its_name(kind: str, pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        order = await made.order(kind, EID, **made_of(kind))
        assert (order["kind"], [next(iter(item)) for item in order["parameters"]["commands"]]) == ("package", [kind])
        tag, inside = command_list(await made.lab.poll())
        listed = "eco" if kind.lower().endswith("eim") else "psmo"
        assert tag == {"psmo": "A0", "eco": "A1"}[listed]
        expected = {
            "listProfileInfo": "bf2d00",
            "getRAT": "a600",
            "configureImmediateEnable": "a7028000",
            "setFallbackAttribute": f"a80c{RAW_ICCID}",
            "unsetFallbackAttribute": "a900",
            "setDefaultDpAddress": "bf6506800464702e78",
            "deleteEim": "a909" + "800765696d2e74776f",
            "listEim": "ab00",
        }
        if kind in expected:
            assert inside.hex() == expected[kind]

    run(pki, tmp_path, use, known="0560")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"default_smdp": True}, "a0028100"),
        ({"smds_address": "ds.x"}, "a008a206800464732e78"),
        ({"activation_code": "LPA:1$dp.x$M"}, "a00a8008" + b"1$dp.x$M".hex()),
    ],
)
def test_triggers_on_the_wire(given: dict[str, Any], expected: str, pki: Pki, tmp_path: Path) -> None:
    """ProfileDownloadTriggerRequest: by activation code, from the default SM-DP+, by an SM-DS (SGP.32 2.11.1.3)."""

    async def use(made: Side) -> None:
        order = await made.order("download", EID, **given)
        raw = down(await made.lab.poll(), "BF4F")
        shown = (await made.call("GET", f"/orders/{order['order_id']}"))[1]
        transaction = "8208" + shown["eim_transaction_id"]
        assert raw.hex() == tlv("BF54", bytes.fromhex(expected + transaction)).hex()

    run(pki, tmp_path, use, known="0780")  # an IPA that wants the code itself


def test_data_of_the_ipa(pki: Pki, tmp_path: Path) -> None:
    """IpaEuiccDataRequest as an order: the tags asked for, the answer for people, an error of the IPA."""

    async def use(made: Side) -> None:
        order = await made.order("data", EID, tags=["defaultSmdpAddress", "euiccInfo1", "deviceInfo"])
        path = f"/orders/{order['order_id']}"
        asked = down(await made.lab.poll(), "BF4F")
        assert asked.startswith(bytes.fromhex("bf52")) and down(asked, "BF52", "5C").hex() == "81bf20a9"
        transaction = tlv("87", down(asked, "BF52", "83"))
        answer = tlv("BF52", tlv("A0", tlv("81", b"dp.x"), transaction))
        assert await made.lab.send(provide(answer)) == bytes.fromhex("bf50023000")
        shown = (await made.call("GET", path))[1]
        assert (shown["state"], shown["verified"]) == ("done", False)
        assert shown["result"]["data"]["defaultSmdpAddress"] == "dp.x"
        assert shown["result"]["raw"] == answer.hex()
        again = (await made.call("POST", f"{path}/repeat"))[1]
        asked = down(await made.lab.poll(), "BF4F")
        error = tlv("BF52", tlv("A1", tlv("80", down(asked, "BF52", "83")), tlv("02", b"\x01")))
        await made.lab.send(provide(error))
        shown = (await made.call("GET", f"/orders/{again['order_id']}"))[1]
        assert (shown["state"], shown["error"]["name"]) == ("failed", "incorrectTagList")
        assert await made.lab.poll() == NO_PACKAGE

    run(pki, tmp_path, use, known="0560")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"kind": "dance"}, "no order kind"),
        ({"kind": "raw", "data": "00"}, "no order kind"),
        ({"kind": "download"}, "activation_code is missing"),
        ({"kind": "download", "default_smdp": True, "smds_address": "x"}, "exclude each other"),
        ({"kind": "download", "default_smdp": 1}, "true or false"),
        ({"kind": "download", "smds_address": "a b"}, "no host name"),
        ({"kind": "data", "tags": []}, "list"),
        ({"kind": "data", "tags": ["5A"]}, "can be asked for"),
        ({"kind": "getRAT", "iccid": ICCID}, "no parameter"),
        ({"kind": "enable"}, "needs iccid"),
        ({"kind": "list", "attempts": 0}, "attempts"),
        ({"kind": "list", "attempts": True}, "attempts"),
        ({"kind": "list", "retry_after": -1}, "retry_after"),
        ({"kind": "list", "retry_after": float("inf")}, "retry_after"),
        ({"kind": "list", "expires_in": 0}, "expires_in"),
        ({"kind": "list", "idempotency_key": ""}, "idempotency key"),
    ],
)
def test_orders_that_are_none(body: dict[str, Any], what: str, pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        before = made.state()
        status, answer = await made.call("POST", "/orders", {"eid": EID, **body})
        assert status == 400 and what in answer["error"]["what"], answer
        assert made.state() == before

    run(pki, tmp_path, use)


def test_many_at_once_or_none(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        await made.call("PUT", f"/euiccs/{OTHER_EID}")
        good = [{"eid": eid, "kind": "list"} for eid in (EID, OTHER_EID)] * 300
        before = made.state()
        status, answer = await made.call("POST", "/orders/batch", {"orders": [*good, {"eid": EID, "kind": "dance"}]})
        assert (status, answer["error"]["where"]) == (400, "orders[600].kind")
        assert made.state() == before, "all or none"
        status, answer = await made.call("POST", "/orders/batch", {"orders": good})
        assert status == 201 and len(answer["orders"]) == 600
        assert made.lab.context.store.count("orders") == 600
        for bad in ({"orders": []}, {"orders": "x"}, {"orders": [1]}, {"orders": good * 2}, {"other": []}, {}):
            assert (await made.call("POST", "/orders/batch", bad))[0] == 400

    run(pki, tmp_path, use)


def test_orders_are_found(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        numbers = [(await made.order(kind, EID, **values))["order_id"] for kind, values in (
            ("list", {}), ("enable", {"iccid": ICCID}), ("list", {}), ("delete", {"iccid": ICCID}),
        )]  # fmt: skip
        await made.call("POST", f"/orders/{numbers[0]}/cancel")

        async def found(query: str) -> list[str]:
            return [item["order_id"] for item in (await made.call("GET", f"/orders?{query}"))[1]]

        assert await found("state=open") == numbers[1:]
        assert await found("state=held") == [numbers[3]]
        assert await found("kind=list") == [numbers[0], numbers[2]]
        assert await found(f"before={numbers[2]}") == numbers[:2]
        assert await found("newest=1") == [numbers[3]]
        assert await found(f"eid={OTHER_EID}") == []
        for bad in ("state=lost", "before=x", "newest=0", "newest=100001"):
            assert (await made.call("GET", f"/orders?{bad}"))[0] == 400
        status = (await made.call("GET", "/status"))[1]
        assert (status["open_orders"], status["held_orders"]) == (3, 1)

    run(pki, tmp_path, use, approval=frozenset({"delete"}))


# --- approval -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values", "held"),
    [
        ("delete", {"iccid": ICCID}, True),
        ("disable", {"iccid": ICCID}, True),
        ("enable", {"iccid": ICCID}, False),
        ("list", {}, False),
        ("download", {"activation_code": "LPA:1$dp.x$M"}, False),
        ("deleteEim", {"eimId": "eim.two"}, True),
        ("updateEim", {"newKey": True}, True),
        ("addEim", {"eimId": "eim.two"}, False),
        ("package", {"psmos": [{"listProfileInfo": {}}, {"delete": {"iccid": ICCID}}]}, True),
        ("package", {"psmos": [{"raw": {"data": "a50c" + RAW_ICCID}}]}, True),
        ("package", {"psmos": [{"disable": {"iccid": ICCID}}, {"enable": {"iccid": ICCID}}]}, False),
    ],
)
def test_what_is_destructive_waits(kind: str, values: dict[str, Any], held: bool, pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        order = await made.order(kind, EID, **values)
        assert (order["state"] == "held") is held
        assert (await made.lab.poll() == NO_PACKAGE) is held

    run(pki, tmp_path, use, known="0560", approval=DESTRUCTIVE)


def test_somebody_else_approves(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        operate, administer, second = (made.tokens[name] for name in ("operate", "administer", "second"))
        order = await made.order("delete", EID, token=administer, iccid=ICCID)
        later = await made.order("list", EID, token=operate)
        path = f"/orders/{order['order_id']}"
        assert (await made.call("POST", f"{path}/approve", token=operate))[0] == 403
        status, answer = await made.call("POST", f"{path}/approve", token=administer)
        assert status == 403 and "somebody else" in answer["error"]["what"]
        # What is not approved holds nobody up.
        assert "BF2D" in command_list(await made.lab.poll())[1].hex().upper()
        await made.call("POST", f"/orders/{later['order_id']}/cancel")
        status, answer = await made.call("POST", f"{path}/approve", token=second)
        assert (status, answer["state"], answer["approved_by"]) == (200, "pending", "second")
        assert (await made.call("POST", f"{path}/approve", token=second))[0] == 409
        package = Package.of(await made.lab.poll())
        assert package.psmo == bytes.fromhex(f"a50c{RAW_ICCID}")
        audit = (await made.call("GET", f"/audit?order={order['order_id']}"))[1]
        assert [(item["who"], item["what"]) for item in audit] == [
            ("administer", "order"), ("second", "approve"), ("eim", "key used")
        ]  # fmt: skip
        # A replay of what was destructive is destructive.
        await made.lab.send(provide(made.lab.card.result(package, "850100")))
        again = await made.order("replay", EID, order_id=order["order_id"])
        assert again["state"] == "held"
        status, answer = await made.call(
            "POST", f"/orders/{again['order_id']}/reject", {"why": "once is enough"}, token=second
        )
        assert answer["state"] == "cancelled" and answer["error"]["what"] == "rejected by second: once is enough"

    run(pki, tmp_path, use, known="0560", approval=DESTRUCTIVE)


def test_an_approval_does_not_come_too_late(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        order = await made.order("delete", EID, iccid=ICCID, expires_in=1000)
        made.lab.context.store.update_order(int(order["order_id"]), expires=time.time() - 1)
        status, _ = await made.call("POST", f"/orders/{order['order_id']}/approve", token=made.tokens["second"])
        assert status == 409
        shown = (await made.call("GET", f"/orders/{order['order_id']}"))[1]
        assert (shown["state"], shown["error"]["what"]) == (
            "expired",
            "the order's time is over before it was approved",
        )

    run(pki, tmp_path, use, approval=DESTRUCTIVE)


def test_the_option() -> None:
    assert approval.read("none") == approval.read("") == frozenset()
    assert approval.read("destructive") == DESTRUCTIVE
    assert approval.read("delete, download") == {"delete", "download"}
    with pytest.raises(ConfigurationError, match="dance"):
        approval.read("delete,dance")


# --- attempts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        ({"what": "x", "function": "InitiateAuthentication"}, True),
        ({"function": "AuthenticateClient", "subject_code": "8.10.1", "reason_code": "3.9"}, True),
        ({"function": "AuthenticateClient", "subject_code": "8.2.6", "reason_code": "3.8"}, False),
        ({"function": "AuthenticateClient", "euicc_error": "ciPKUnknown"}, False),
        ({"code": 5, "name": "catBusy"}, True),
        ({"code": 1, "name": "iccidOrAidNotFound"}, False),
        ({"cancel_reason": "postponed"}, True),
        ({"cancel_reason": "endUserRejection"}, False),
        ({"error_reason": "installFailedDueToInterruption"}, True),
        ({"error_reason": "installFailedDueToInsufficientMemoryForProfile"}, False),
        ({"what": "the eUICC's signature over the result is wrong"}, False),
        ({}, False),
    ],
)
def test_what_may_pass_by_itself(error: dict[str, Any], passes: bool) -> None:
    assert retries.transient(error) is passes


def test_pauses_double() -> None:
    assert [retries.pause(5.0, attempt) for attempt in (2, 3, 4)] == [5.0, 10.0, 20.0]
    assert retries.pause(5.0, 90) == retries.MAX_PAUSE
    assert retries.pause(0.0, 9) == 0.0


def test_a_busy_card_is_asked_again_and_no_more_often_than_ordered(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        order = await made.order("enable", EID, iccid=ICCID, attempts=3, retry_after=0)
        after = await made.order("list", EID)
        counters = []
        for _ in range(3):
            package = Package.of(await made.lab.poll())
            assert package.psmo.hex().startswith("a3"), "an order that is tried again keeps its place"
            counters.append(package.counter)
            result = made.lab.card.result(package, "830105")
            await made.lab.send(provide(result))
            await made.lab.send(provide(result))  # the IPA delivers twice: that is no second failure
        assert counters == [1, 2, 3]
        shown = (await made.call("GET", f"/orders/{order['order_id']}"))[1]
        assert (shown["state"], shown["attempt"], shown["error"]["name"]) == ("failed", 3, "catBusy")
        assert [item["attempt"] for item in shown["result"]["attempts"]] == [1, 2]
        assert "BF2D" in command_list(await made.lab.poll())[1].hex().upper()
        audit = (await made.call("GET", f"/audit?order={order['order_id']}"))[1]
        assert [item["what"] for item in audit] == [
            "order", "key used", "order tried again", "key used", "order tried again", "key used", "order ended"
        ]  # fmt: skip
        assert (await made.call("GET", f"/orders/{after['order_id']}"))[1]["state"] == "sent"

    run(pki, tmp_path, use, known="0560")


def test_the_next_attempt_waits_and_holds_its_place(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        order = await made.order("enable", EID, iccid=ICCID, attempts=2, retry_after=3600)
        await made.order("list", EID)
        await made.lab.send(provide(made.lab.card.result(Package.of(await made.lab.poll()), "830105")))
        assert await made.lab.poll() == NO_PACKAGE
        shown = (await made.call("GET", f"/orders/{order['order_id']}"))[1]
        assert shown["state"] == "pending" and shown["error"]["retried"] is True
        assert 3500 < shown["not_before"] - time.time() <= 3600
        made.lab.context.store.update_order(int(order["order_id"]), not_before=time.time() - 1)
        assert Package.of(await made.lab.poll()).psmo.hex().startswith("a3")

    run(pki, tmp_path, use, known="0560")


def test_an_order_that_waits_expires(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        order = await made.order("enable", EID, iccid=ICCID, attempts=2, retry_after=3600, expires_in=3000)
        await made.lab.send(provide(made.lab.card.result(Package.of(await made.lab.poll()), "830105")))
        made.lab.context.store.update_order(int(order["order_id"]), expires=time.time() - 1)
        assert await made.lab.poll() == NO_PACKAGE
        shown = (await made.call("GET", f"/orders/{order['order_id']}"))[1]
        assert (shown["state"], shown["error"]["before"]["name"]) == ("expired", "catBusy")

    run(pki, tmp_path, use, known="0560")


def test_a_download_is_tried_again_when_the_smdpp_is_back(pki: Pki, tmp_path: Path) -> None:
    """The SM-DP+ is away, then refuses for good; a cancellation of the first session ends nothing."""
    from .parties import SMDPP, FakeSmdpp
    from .test_download import CHALLENGE, INFO1

    async def use() -> None:
        server = FakeSmdpp({"initiateAuthentication": lambda _: 503, "cancelSession": lambda _: success()})
        async with server.serve(pki):
            async with side(pki, tmp_path, known="0560", routes=server.route) as made:
                code = f"LPA:1${SMDPP}$M"
                order = await made.order("download", EID, activation_code=code, attempts=3, retry_after=0)

                async def attempt() -> dict[str, Any]:
                    transaction = down(await made.lab.poll(), "BF4F", "BF54", "82")
                    await made.lab.send(tlv("BF39", tlv("81", CHALLENGE), INFO1, tlv("82", transaction)))
                    return (await made.call("GET", f"/orders/{order['order_id']}"))[1]

                first = await attempt()
                assert (first["state"], first["attempt"]) == ("pending", 2), first
                server.functions["initiateAuthentication"] = lambda _: refusal("8.10.1", "3.9")
                second = await attempt()
                assert (second["state"], second["attempt"]) == ("pending", 3)
                assert second["eim_transaction_id"] == "", "results of the attempt before do not match any more"
                server.functions["initiateAuthentication"] = lambda _: refusal("8.8.1", "3.8")
                third = await attempt()
                assert (third["state"], third["error"]["esipa_error"]) == ("failed", "invalidDpAddress")

    asyncio.run(use())


def test_repeat_is_for_final_orders(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        order = await made.order("updateEim", EID, newKey=True)
        path = f"/orders/{order['order_id']}"
        assert (await made.call("POST", f"{path}/repeat"))[0] == 409
        await made.lab.poll()  # now a key was made for it
        await made.call("POST", f"{path}/cancel")
        status, again = await made.call("POST", f"{path}/repeat")
        assert status == 201 and again["parameters"]["commands"] == [{"updateEim": {"newKey": True}}]
        assert again["order_id"] != order["order_id"]

    run(pki, tmp_path, use, known="0560")


def test_an_idempotency_key_outlives_the_keys_that_were_made(pki: Pki, tmp_path: Path) -> None:
    """The order's parameters hold the fresh key's name afterwards: the same request still is the same order."""

    async def use(made: Side) -> None:
        body = {"eid": EID, "kind": "updateEim", "newKey": True, "idempotency_key": "once"}
        first = (await made.call("POST", "/orders", body))[1]
        await made.lab.poll()
        status, again = await made.call("POST", "/orders", body)
        assert (status, again["order_id"]) == (200, first["order_id"])

    run(pki, tmp_path, use, known="0560")
