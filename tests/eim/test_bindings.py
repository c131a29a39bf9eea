"""The eIM in both bindings, and compact forms put back together: messages by hand, the SM-DP+ sees the originals."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from by_hand import number

from fixtures.eim.bindings import Bindings, Reply
from fixtures.pki import Pki
from fixtures.service import Observer

from .parties import EID, ICCID, SMDPP, FakeSmdpp, Lab, down, get_package, lab, parts, provide, tlv
from .test_download import CHALLENGE, INFO1, METADATA, PACKAGE, SIGNATURE, SIGNED2, TXID, signed1, smdpp

POINT = tlv("5F49", b"\x04" * 65)
DONE = {"functionExecutionStatus": {"status": "Executed-Success"}}

Use = Callable[[Lab, Bindings, FakeSmdpp], Awaitable[None]]


def run(pki: Pki, folder: Path, use: Use, *, known: str = "0560", server: FakeSmdpp | None = None) -> None:
    made = server or smdpp(pki)

    async def inside() -> None:
        async with made.serve(pki), lab(pki, folder, routes=made.route, known=known) as opened:
            await use(opened, Bindings(opened.esipa, Observer(None)), made)

    asyncio.run(inside())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def asn1(lab: Lab, bindings: Bindings, message: bytes) -> Reply:
    return await bindings.answer("/gsma/rsp2/asn1", "application/x-gsma-rsp-asn1", message, lab.peer)


async def post(lab: Lab, bindings: Bindings, function: str, **body: Any) -> dict[str, Any]:
    path = f"/gsma/rsp2/esipa/{function}"
    reply = await bindings.answer(path, "application/json", json.dumps(body).encode(), lab.peer)
    assert reply.status in (200, 204), reply
    if reply.status == 204:
        return {}
    assert reply.content_type == "application/json;charset=UTF-8"
    found = json.loads(reply.body)
    assert isinstance(found, dict)
    return found


async def begin(lab: Lab, bindings: Bindings, *, info1: bytes = INFO1) -> tuple[str, bytes]:
    order = lab.order("download", activation_code=f"1${SMDPP}$M-1")
    trigger = down((await asn1(lab, bindings, get_package())).body, "BF4F", "BF54")
    answer = await asn1(lab, bindings, tlv("BF39", tlv("81", CHALLENGE), info1, tlv("82", parts(trigger)["82"])))
    return order, answer.body


class Told(Observer):
    """Keeps what is told."""

    def __init__(self) -> None:
        super().__init__(None)
        self.packets: list[tuple[int, bytes, str | None]] = []

    @property
    def active(self) -> bool:
        return True

    def record(self, lane: str, direction: int, data: bytes, *, comment: str | None = None, **more: Any) -> None:  # type: ignore[override]
        self.packets.append((direction, data, comment))


def test_an_answer_without_a_message_is_recorded_as_well(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, _: Bindings, server: FakeSmdpp) -> None:
        told = Told()
        bindings = Bindings(lab.esipa, told)
        nothing = tlv("BF3D", tlv("BF50", tlv("5A", bytes.fromhex(EID)), tlv("A0", b"\x02\x01\x7f")))
        assert (await asn1(lab, bindings, nothing)).status == 204
        assert (await asn1(lab, bindings, bytes.fromhex("BF3D00"))).status == 400
        refused = await bindings.answer("/gsma/rsp2/esipa/handleNotification", "application/json", b"{", lab.peer)
        assert refused.status == 400
        (asked, done, _, why, _, broken) = told.packets
        assert asked == (0, nothing, None)
        assert done == (1, b"", "HandleNotification answer: 204 no content")
        assert why[:2] == (1, b"") and (why[2] or "").startswith("HandleNotification answer: 400 HandleNotification: ")
        assert broken[:2] == (1, b"") and (broken[2] or "").startswith("HandleNotification answer: 400 no ESipa")
        assert (broken[2] or "").endswith(", JSON")

    run(pki, tmp_path, use)


# --- both bindings --------------------------------------------------------------------------------------------------


def card_answers(lab: Lab) -> dict[str, bytes]:
    """What the eUICC says in a session; lengths longer than DER needs are to arrive so."""
    chain = lab.card.credential.certificate + lab.card.eum.certificate
    signed = tlv("30", tlv("80", TXID), tlv("83", SMDPP.encode()))
    content = tlv("A0", signed + SIGNATURE + chain)
    cancelled = tlv("30", tlv("80", TXID), bytes.fromhex("810388370a"), tlv("82", b"\x05"))
    return {
        "BF38": bytes.fromhex("BF3883") + len(content).to_bytes(3, "big") + content,
        "BF41": tlv("BF41", tlv("A0", cancelled, SIGNATURE)),
    }


def test_a_download_in_json(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        order = lab.order("download", activation_code=f"1${SMDPP}$M-1")
        poll = await post(lab, bindings, "getEimPackage", eidValue=EID)
        assert set(poll) == {"header", "profileDownloadTriggerRequest"}
        trigger = base64.b64decode(poll["profileDownloadTriggerRequest"])
        eim_transaction = parts(down(trigger, "BF54"))["82"].hex().upper()
        begun = await post(
            lab,
            bindings,
            "initiateAuthentication",
            euiccChallenge=b64(CHALLENGE),
            euiccInfo1=b64(INFO1),
            eimTransactionId=eim_transaction,
        )
        assert begun == {
            "header": DONE,
            "transactionId": TXID.hex().upper(),
            "serverSigned1": b64(signed1()),
            "serverSignature1": b64(SIGNATURE),
            "euiccCiPKIdentifierToBeUsed": b64(tlv("04", b"\x55" * 20)),
            "serverCertificate": b64(pki.dp_auth.certificate),
            "matchingId": "M-1",
        }
        card = card_answers(lab)
        named = {"transactionId": TXID.hex().upper()}
        client = await post(lab, bindings, "authenticateClient", **named, authenticateServerResponse=b64(card["BF38"]))
        assert client == {
            "header": DONE,
            **named,
            "profileMetadata": b64(METADATA),
            "smdpSigned2": b64(SIGNED2),
            "smdpSignature2": b64(SIGNATURE),
            "smdpCertificate": b64(pki.dp_pb.certificate),
        }
        prepared = tlv("BF21", tlv("A0", tlv("30", tlv("80", TXID), POINT), SIGNATURE))
        bound = await post(lab, bindings, "getBoundProfilePackage", **named, prepareDownloadResponse=b64(prepared))
        assert bound == {"header": DONE, **named, "boundProfilePackage": b64(PACKAGE)}
        result = lab.card.installation(TXID)
        assert await post(lab, bindings, "handleNotification", pendingNotification=b64(result)) == {}
        assert lab.show(order)["state"] == "done"
        assert [name for name, _ in server.requests] == [
            "initiateAuthentication",
            "authenticateClient",
            "getBoundProfilePackage",
        ]
        assert server.requests[1][1]["authenticateServerResponse"] == b64(card["BF38"])
        assert server.requests[2][1]["prepareDownloadResponse"] == b64(prepared)

    run(pki, tmp_path, use)  # the package is broken inside, and goes on as it is


@pytest.mark.parametrize("binding", ["asn1", "json"])
def test_a_package_and_its_result(binding: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _server: FakeSmdpp) -> None:
        from .parties import Package

        order = lab.order("enable", iccid=ICCID)
        if binding == "json":
            found = await post(lab, bindings, "getEimPackage", eidValue=EID)
            raw = base64.b64decode(found["euiccPackageRequest"])
        else:
            raw = down((await asn1(lab, bindings, get_package())).body, "BF4F")
        result = lab.card.result(Package.of(tlv("BF4F", raw)), "830100")
        if binding == "json":
            taken = await post(lab, bindings, "provideEimPackageResult", eidValue=EID, eimPackageResult=b64(result))
            assert base64.b64decode(taken["eimAcknowledgements"]) == tlv("BF53", tlv("80", number(lab.card.seq)))
            none = await post(lab, bindings, "getEimPackage", eidValue=EID)
            assert none == {"header": DONE, "eimPackageError": 1}
        else:
            reply = await asn1(lab, bindings, provide(result))
            assert reply.body == tlv("BF50", tlv("BF53", tlv("80", number(lab.card.seq))))
        assert lab.show(order)["verified"]

    run(pki, tmp_path, use)


def test_a_result_that_is_no_json_ends_its_order(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _server: FakeSmdpp) -> None:
        order = lab.order("enable", iccid=ICCID)
        await post(lab, bindings, "getEimPackage", eidValue=EID)
        lab.peer.eid = None  # another connection
        answer = await post(lab, bindings, "provideEimPackageResult", eidValue=EID, eimPackageResult="!!")
        assert answer["provideEimPackageResultError"] == 127
        assert lab.show(order)["state"] == "failed"
        assert "cannot be decoded" in lab.show(order)["error"]["what"]

    run(pki, tmp_path, use)


def test_the_same_bad_json_over_and_over_is_refused(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _server: FakeSmdpp) -> None:
        order = lab.order("enable", iccid=ICCID)
        await post(lab, bindings, "getEimPackage", eidValue=EID)
        path, body = "/gsma/rsp2/esipa/getEimPackage", b'{"stateChangeCause": "x"}'
        limit = lab.esipa.guard.repeats.limit
        replies = [await bindings.answer(path, "application/json", body, lab.peer) for _ in range(limit + 1)]
        assert {reply.status for reply in replies[:limit]} == {200}
        assert json.loads(replies[0].body)["eimPackageError"] == 127
        assert replies[-1].status == 429
        assert lab.show(order)["error"]["loop"] is True

    run(pki, tmp_path, use)


def test_a_session_in_asn1_through_the_same_function(pki: Pki, tmp_path: Path) -> None:
    """Each function by its path, as HTTPS and CoAPS call it; without a media type as well."""

    async def use(lab: Lab, bindings: Bindings, _server: FakeSmdpp) -> None:
        lab.order("download", activation_code=f"1${SMDPP}$M-1")
        trigger = down((await asn1(lab, bindings, get_package())).body, "BF4F", "BF54")
        card = card_answers(lab)
        for message, tag in (
            (tlv("BF39", tlv("81", CHALLENGE), INFO1, tlv("82", parts(trigger)["82"])), "bf39"),
            (tlv("BF3B", tlv("80", TXID), card["BF38"]), "bf3b"),
            (tlv("BF3A", tlv("80", TXID), tlv("BF21", tlv("A1", tlv("80", TXID), tlv("02", b"\x05")))), "bf3a"),
            (tlv("BF41", tlv("80", TXID), tlv("A1", down(card["BF41"], "BF41"))), "bf41"),
        ):
            reply = await bindings.answer("/gsma/rsp2/asn1", "", message, lab.peer)
            assert (reply.status, reply.body[:2].hex()) == (200, tag)
            assert reply.content_type == "application/x-gsma-rsp-asn1"
        reply = await asn1(lab, bindings, tlv("BF3D", tlv("A0", lab.card.notification("0640"))))
        assert (reply.status, reply.body) == (204, b"")

    run(pki, tmp_path, use)


def test_a_cancelled_session_in_json(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        order = lab.order("download", activation_code=f"1${SMDPP}$M-1")
        await post(lab, bindings, "getEimPackage", eidValue=EID)
        await post(lab, bindings, "initiateAuthentication", euiccChallenge=b64(CHALLENGE), euiccInfo1=b64(INFO1))
        card = card_answers(lab)["BF41"]
        answer = await post(
            lab, bindings, "cancelSession", transactionId=TXID.hex().upper(), cancelSessionResponse=b64(card)
        )
        assert answer == {"header": DONE}
        assert server.requests[-1] == (
            "cancelSession",
            {"transactionId": TXID.hex().upper(), "cancelSessionResponse": b64(card)},
        )
        assert lab.show(order)["error"]["cancel_reason"] == "loadBppExecutionError"

    run(pki, tmp_path, use)


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", [0, 1, 2, 3, 4, 5, 6, 127])
def test_every_cause_of_a_state_change(cause: int, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _server: FakeSmdpp) -> None:
        names = ["otherEim", "fallback", "emergencyProfile", "local", "reset", "immediateEnableProfile", "deviceChange"]
        told = tlv("BF4F", tlv("5A", bytes.fromhex(EID)), tlv("80"), tlv("81", bytes((cause,))))
        assert (await asn1(lab, bindings, told)).body.hex() == "bf4f03020101"
        owner = lab.context.store.euicc(EID)
        assert owner is not None
        expected = names[cause] if cause < 7 else "undefined"
        assert json.loads(owner.state_change)["cause"] == expected
        await post(lab, bindings, "getEimPackage", eidValue=EID, notifyStateChange=True, stateChangeCause=cause)
        owner = lab.context.store.euicc(EID)
        assert owner is not None and json.loads(owner.state_change)["cause"] == expected

    run(pki, tmp_path, use)


@pytest.mark.parametrize("code", [1, 5, 104, 127])
def test_every_error_of_ipa_euicc_data(code: int, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _server: FakeSmdpp) -> None:
        order = lab.order("enable", iccid=ICCID)
        asked = (await asn1(lab, bindings, get_package())).body
        transaction = tlv("80", down(asked, "BF4F", "BF52", "83"))
        error = tlv("BF52", tlv("A1", transaction, tlv("02", bytes((code,)))))
        assert (await asn1(lab, bindings, provide(error))).body.hex() == "bf50023000"
        assert lab.show(order)["state"] == "failed"

    run(pki, tmp_path, use, known="")


@pytest.mark.parametrize("code", [5, 127])
def test_a_card_that_cannot_cancel(code: int, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        await begin(lab, bindings)
        answer = await asn1(lab, bindings, tlv("BF41", tlv("80", TXID), tlv("A1", tlv("81", bytes((code,))))))
        assert answer.body.hex() == "bf4102a000"
        assert server.requests[-1][1]["cancelSessionResponse"] == b64(tlv("BF41", tlv("81", bytes((code,)))))

    run(pki, tmp_path, use)


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (get_package("89044045930000000000002153893210"), "bf4f03020102"),
        (tlv("BF4F", tlv("5A", b"\xff" * 16)), "bf4f03020103"),
        (tlv("BF4F"), "bf4f03020104"),
        (bytes.fromhex("bf4f0181"), "bf4f0302017f"),
        (tlv("BF4F", tlv("5A", bytes.fromhex(EID)), tlv("81")), "bf4f0302017f"),
        (provide(tlv("A0", tlv("02", b"\x02")), "89044045930000000000002153893210"), "bf5003020102"),
        (tlv("BF50", tlv("5A", b"\xff" * 16), tlv("A0", tlv("02", b"\x02"))), "bf5003020103"),
        (tlv("BF50", tlv("A0", tlv("02", b"\x02"))), "bf5003020104"),
        (tlv("BF50", tlv("5A", bytes.fromhex(EID))), "bf500302017f"),
    ],
)
def test_error_numbers(message: bytes, answer: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _server: FakeSmdpp) -> None:
        assert (await asn1(lab, bindings, message)).body.hex() == answer

    run(pki, tmp_path, use, known="")
