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

from .parties import EID, ICCID, SMDPP, FakeSmdpp, Lab, down, get_package, lab, metadata, parts, provide, sign, tlv
from .test_download import CHALLENGE, INFO1, METADATA, PACKAGE, SIGNATURE, SIGNED2, TXID, signed1, smdpp, success

POINT = tlv("5F49", b"\x04" * 65)
MINIMIZE = "0264"
"""ipaFeatures: indirect, eimDownloadDataHandling, minimizeEsipaBytes."""
INFO2 = tlv("BF22", tlv("81", b"\x02\x03\x01"), tlv("84", b"\x81\x01\x00"), tlv("90", b"\x00"))
RESOURCE = tlv("84", b"\x82\x02\x01\xff")
CONTEXT = tlv("A0", tlv("80", b"M-1"))
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


# --- compact forms --------------------------------------------------------------------------------------------------


def euicc_signed1(info2: bytes = INFO2) -> bytes:
    return tlv("30", tlv("80", TXID), tlv("83", SMDPP.encode()), tlv("84", b"\xdd" * 16), info2, CONTEXT)


def signature(lab: Lab, data: bytes) -> bytes:
    return tlv("5F37", sign(lab.card.credential.key, data))


async def begin(lab: Lab, bindings: Bindings, *, info1: bytes = INFO1) -> tuple[str, bytes]:
    order = lab.order("download", activation_code=f"1${SMDPP}$M-1")
    trigger = down((await asn1(lab, bindings, get_package())).body, "BF4F", "BF54")
    answer = await asn1(lab, bindings, tlv("BF39", tlv("81", CHALLENGE), info1, tlv("82", parts(trigger)["82"])))
    return order, answer.body


async def first_session(lab: Lab, bindings: Bindings) -> None:
    """A session in which the eIM learns euiccInfo1, euiccInfo2 and certificates."""
    order, answer = await begin(lab, bindings)
    assert "80" not in parts(down(answer, "BF39", "A0")), "the eIM says that it takes compact forms"
    signed = euicc_signed1()
    chain = lab.card.credential.certificate + lab.card.eum.certificate
    full = tlv("BF38", tlv("A0", signed, signature(lab, signed), chain))
    answer = (await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), full))).body
    assert "80" not in parts(down(answer, "BF3B", "A0"))
    lab.esipa.orders.cancel(int(order))


def with_key(pki: Pki) -> FakeSmdpp:
    """The SM-DP+ has the eUICC's one-time key of an earlier binding."""
    signed2 = tlv("30", tlv("80", TXID), b"\x01\x01\x00", POINT)
    return smdpp(
        pki,
        authenticateClient=lambda _: success(
            transactionId=TXID.hex().upper(),
            profileMetadata=METADATA,
            smdpSigned2=signed2,
            smdpSignature2=SIGNATURE,
            smdpCertificate=pki.dp_pb.certificate,
        ),
    )


def test_compact_forms_become_the_originals_again(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        await first_session(lab, bindings)
        order, answer = await begin(lab, bindings, info1=b"")
        assert "80" not in parts(down(answer, "BF39", "A0"))
        assert server.requests[-1][1]["euiccInfo1"] == b64(INFO1)

        signed = euicc_signed1(tlv("BF22", tlv("81", b"\x02\x03\x01"), RESOURCE, tlv("90", b"\x00")))
        sign1 = signature(lab, signed)
        compact = tlv("BF38", tlv("A2", tlv("A0", RESOURCE, tlv("A2", CONTEXT)), sign1))
        await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), compact))
        chain = lab.card.credential.certificate + lab.card.eum.certificate
        assert server.requests[-1] == (
            "authenticateClient",
            {
                "transactionId": TXID.hex().upper(),
                "authenticateServerResponse": b64(tlv("BF38", tlv("A0", signed, sign1, chain))),
            },
        )

        signed2 = tlv("30", tlv("80", TXID), POINT)
        sign2 = signature(lab, signed2 + SIGNATURE)
        compact = tlv("BF21", tlv("A2", tlv("30"), sign2))
        answer = (await asn1(lab, bindings, tlv("BF3A", tlv("80", TXID), compact))).body
        assert server.requests[-1][1]["prepareDownloadResponse"] == b64(tlv("BF21", tlv("A0", signed2, sign2)))
        assert answer == tlv("BF3A", tlv("A0", PACKAGE)), "no transactionId"

        original = lab.card.installation(TXID)
        data = down(original, "BF37")
        about = down(data, "BF27", "BF2F")
        # The SM-DP+'s OID comes from its certificate.
        oid = bytes.fromhex(OID_OF_DP)
        content = tlv("80", TXID) + tlv("BF2F", about) + tlv("06", oid) + tlv("A2", down(data, "BF27", "A2"))
        signed_data = tlv("BF27", content)
        made = tlv("BF37", signed_data, signature(lab, signed_data))
        small = tlv("80", TXID) + tlv("02", number(lab.card.seq)) + tlv("A2", tlv("A0", tlv("4F", b"\x00\x11")))
        await asn1(lab, bindings, tlv("BF3D", tlv("A0", tlv("A0", tlv("A0", small), signature(lab, signed_data)))))
        (kept,) = lab.context.store.notifications(EID)
        assert down(kept.raw, "BF37", "BF27") == content
        assert down(kept.raw, "BF37", "5F37") != b""
        assert kept.raw[: len(made) - 64] == made[:-64], "but for the signature, which is another each time"
        assert kept.verified
        assert lab.show(order)["state"] == "done"

    run(pki, tmp_path, use, known=MINIMIZE, server=with_key(pki))


OID_OF_DP = "88370a"


@pytest.fixture(scope="module", autouse=True)
def _the_oid_of_the_dp(pki: Pki) -> None:
    """The literal above is what the certificate says."""
    from cryptography import x509

    names = x509.load_der_x509_certificate(pki.dp_auth.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.RegisteredID)[0].dotted_string == "2.999.10"


def test_a_failed_installation_in_its_compact_form(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _server: FakeSmdpp) -> None:
        await first_session(lab, bindings)
        order, _ = await begin(lab, bindings)
        chain = lab.card.credential.certificate + lab.card.eum.certificate
        signed = euicc_signed1()
        # euiccSigned1 and the certificates whole, in the compact form
        whole = (
            tlv("A1", parts(lab.card.credential.certificate)["30"]),
            tlv("A2", parts(lab.card.eum.certificate)["30"]),
        )
        compact = tlv("BF38", tlv("A2", signed, signature(lab, signed), *whole))
        answer = await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), compact))
        assert "A0" in parts(down(answer.body, "BF3B"))
        assert chain in base64.b64decode(_server.requests[-1][1]["authenticateServerResponse"])
        final = tlv("A1", tlv("80", b"\x05"), tlv("81", b"\x0c"))
        about = metadata(9, "0780")
        data = tlv("BF27", tlv("80", TXID), about, tlv("06", bytes.fromhex(OID_OF_DP)), tlv("A2", final))
        small = tlv("A0", tlv("80", TXID), tlv("02", b"\x09"), tlv("A2", final))
        await asn1(lab, bindings, tlv("BF3D", tlv("A0", tlv("A0", small, signature(lab, data)))))
        assert lab.show(order)["error"]["error_reason"] == "installFailedDueToPEProcessingError"
        (kept,) = lab.context.store.notifications(EID)
        assert (kept.verified, kept.seq) == (1, 9)
        assert lab.show(order)["state"] == "failed"

    run(pki, tmp_path, use, known=MINIMIZE)


@pytest.mark.parametrize("reason", [b"\x05", b""])
def test_a_cancellation_in_its_compact_form(reason: bytes, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        await first_session(lab, bindings)
        await begin(lab, bindings)
        signed = tlv("30", tlv("80", TXID), tlv("81", bytes.fromhex(OID_OF_DP)), tlv("82", reason or b"\x7f"))
        made = signature(lab, signed)
        inside = tlv("A2", tlv("30", tlv("80", reason) if reason else b""), made)
        answer = await asn1(lab, bindings, tlv("BF41", tlv("80", TXID), tlv("A1", inside)))
        assert answer.body.hex() == "bf4102a000"
        assert server.requests[-1][1]["cancelSessionResponse"] == b64(tlv("BF41", tlv("A0", signed, made)))

    run(pki, tmp_path, use, known=MINIMIZE)


@pytest.mark.parametrize("way", ["BF3D", "BF3D without EID", "BF50"])
def test_other_notifications_in_their_compact_form(way: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _server: FakeSmdpp) -> None:
        from .parties import Package

        about = metadata(7, "0640")
        made = signature(lab, about)
        owner = tlv("5A", bytes.fromhex(EID)) if way == "BF3D" else b""
        compact = tlv("A1", owner, about, made)
        if way == "BF50":
            order = lab.order("enable", iccid=ICCID)
            package = Package.of((await asn1(lab, bindings, get_package())).body)
            both = tlv("30", lab.card.result(package, "830100", seq=8), tlv("A0", compact))
            answer = await asn1(lab, bindings, provide(both))
            assert answer.body == tlv("BF50", tlv("BF53", tlv("80", b"\x07"), tlv("80", b"\x08")))
            assert lab.show(order)["state"] == "done"
        else:
            assert (await asn1(lab, bindings, tlv("BF3D", tlv("A0", compact)))).status == 204
        (kept,) = lab.context.store.notifications(EID)
        chain = lab.card.credential.certificate + lab.card.eum.certificate
        assert kept.raw == tlv("30", about, made, chain)
        assert kept.verified

    run(pki, tmp_path, use)


def test_a_compact_form_that_cannot_be_rebuilt_goes_nowhere(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        order, _ = await begin(lab, bindings)
        compact = tlv("BF38", tlv("A2", tlv("A0", RESOURCE, tlv("A2", CONTEXT)), SIGNATURE))
        assert (await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), compact))).body.hex() == "bf3b03820105"
        preparation = tlv("BF21", tlv("A2", tlv("30"), SIGNATURE))
        assert (await asn1(lab, bindings, tlv("BF3A", tlv("80", TXID), preparation))).body.hex() == "bf3a03810101"
        assert [name for name, _ in server.requests] == ["initiateAuthentication"]
        assert not lab.show(order)["final"], "the IPA sends it in full now"
        signed = euicc_signed1()
        chain = lab.card.credential.certificate + lab.card.eum.certificate
        full = tlv("BF38", tlv("A0", signed, signature(lab, signed), chain))
        assert "A0" in parts(down((await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), full))).body, "BF3B"))
        cancellation = tlv("BF41", tlv("80", TXID), tlv("A1", tlv("A2", tlv("30", tlv("80", b"\x00")), SIGNATURE)))
        assert (await asn1(lab, bindings, cancellation)).body.hex() == "bf4103810102"
        note = tlv("BF3D", tlv("A0", tlv("A1", metadata(3, "0640"), SIGNATURE)))
        assert (await asn1(lab, bindings, note)).status == 400
        result = tlv("A0", tlv("A0", tlv("80", b"\x99"), tlv("02", b"\x01"), tlv("A2", tlv("A1"))), SIGNATURE)
        assert (await asn1(lab, bindings, tlv("BF3D", tlv("A0", result)))).status == 400
        assert lab.context.store.notifications(EID) == []

    run(pki, tmp_path, use, known=MINIMIZE)


def test_an_ipa_that_leaves_out_what_it_never_told(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        order, answer = await begin(lab, bindings, info1=b"")
        assert answer.hex() == "bf390381017f"
        assert server.requests == []
        assert not lab.show(order)["final"], "the IPA tells it when it tries again"

    run(pki, tmp_path, use, known=MINIMIZE)


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
