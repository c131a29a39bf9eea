"""The relay between ESipa and ES9+: bytes kept, addresses and OIDs checked, refusals kept with their codes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from fixtures.pki import Pki

from .parties import EID, SMDPP, FakeSmdpp, Lab, down, lab, parts, provide, refusal, success, tlv
from .test_wire import NO_PACKAGE

TXID = bytes.fromhex("0A0B0C0D0E0F00112233445566778899")
CHALLENGE = b"\xcc" * 16
INFO1 = tlv("BF20", tlv("82", b"\x02\x02\x02"), tlv("A9"), tlv("AA"))
METADATA = tlv("BF25", bytes.fromhex("5a0a980001010000000020f7"), tlv("91", b"Bench"), tlv("92", b"OPER"))
SIGNED2 = tlv("30", tlv("80", TXID), b"\x01\x01\x00")
# Broken inside and with lengths longer than DER needs: whatever the SM-DP+ sends goes to the eUICC as it came.
PACKAGE = bytes.fromhex("bf36820010") + bytes.fromhex("bf2381020000a0038701ffa100a30500")
SIGNATURE = tlv("5F37", b"\x77" * 64)


def signed1(address: str = SMDPP, challenge: bytes = CHALLENGE) -> bytes:
    """serverSigned1 with a length octet more than DER needs, so that a relay that encodes again is caught."""
    content = tlv("80", TXID) + tlv("81", challenge) + tlv("83", address.encode()) + tlv("84", b"\xdd" * 16)
    return b"\x30\x81" + bytes((len(content),)) + content


def smdpp(pki: Pki, **functions: Any) -> FakeSmdpp:
    answers: dict[str, Any] = {
        "initiateAuthentication": lambda _: success(
            transactionId=TXID.hex().upper(),
            serverSigned1=signed1(),
            serverSignature1=SIGNATURE,
            euiccCiPKIdToBeUsed=tlv("04", b"\x55" * 20),
            serverCertificate=pki.dp_auth.certificate,
        ),
        "authenticateClient": lambda _: success(
            transactionId=TXID.hex().upper(),
            profileMetadata=METADATA,
            smdpSigned2=SIGNED2,
            smdpSignature2=SIGNATURE,
            smdpCertificate=pki.dp_pb.certificate,
        ),
        "getBoundProfilePackage": lambda _: success(transactionId=TXID.hex().upper(), boundProfilePackage=PACKAGE),
        "cancelSession": lambda _: success(),
        "handleNotification": lambda _: 204,
    }
    return FakeSmdpp({**answers, **functions})


def run(pki: Pki, folder: Path, server: FakeSmdpp, use: Any, *, known: str = "0560", **options: Any) -> None:
    async def inside() -> None:
        async with server.serve(pki), lab(pki, folder, routes=server.route, known=known, **options) as made:
            await use(made)

    asyncio.run(inside())


async def start(lab: Lab, code: str = f"LPA:1${SMDPP}$M-1", **parameters: Any) -> tuple[str, bytes]:
    """Order and fetch the trigger; return the order's number and InitiateAuthentication."""
    order = lab.order("download", activation_code=code, **parameters)
    trigger = down(await lab.poll(), "BF4F", "BF54")
    return order, tlv("BF39", tlv("81", CHALLENGE), INFO1, tlv("82", parts(trigger)["82"]))


def authenticate_response(lab: Lab) -> bytes:
    """The card's BF38; a length octet more than DER needs."""
    signed = tlv("30", tlv("80", TXID), tlv("83", SMDPP.encode()))
    inner = signed + SIGNATURE + lab.card.credential.certificate + lab.card.eum.certificate
    content = tlv("A0", inner)
    return bytes.fromhex("BF3883") + len(content).to_bytes(3, "big") + content


def authenticate_client(lab: Lab, response: bytes | None = None) -> bytes:
    return tlv("BF3B", tlv("80", TXID), response or authenticate_response(lab))


def cancel(reason: int = 0) -> bytes:
    signed = tlv("30", tlv("80", TXID), bytes.fromhex("810388370a"), tlv("82", bytes((reason,))))
    return tlv("BF41", tlv("80", TXID), tlv("A1", tlv("A0", signed, SIGNATURE)))


def unbase64(request: dict[str, Any], key: str) -> bytes:
    return base64.b64decode(request[key], validate=True)


def test_a_download_byte_for_byte(pki: Pki, tmp_path: Path) -> None:
    server = smdpp(pki)

    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        answer = await lab.send(initiate)
        done = down(answer, "BF39", "A0")
        assert list(parts(done)) == ["80", "30", "5F37", "04", "30'", "0C"]
        assert parts(done)["80"] == TXID
        assert done[len(tlv("80", TXID)) :].startswith(signed1()), "as it came, to the length octets"
        assert parts(done)["0C"] == b"M-1"
        assert tlv("30", parts(done)["30'"]) == pki.dp_auth.certificate
        assert lab.show(order)["state"] == "running"
        assert server.requests[0] == (
            "initiateAuthentication",
            {
                "euiccChallenge": base64.b64encode(CHALLENGE).decode(),
                "euiccInfo1": base64.b64encode(INFO1).decode(),
                "smdpAddress": SMDPP,
            },
        )
        assert server.headers[0]["User-Agent"] == "gsma-rsp-lpad"
        assert server.headers[0]["X-Admin-Protocol"].startswith("gsma/rsp/v")
        assert server.headers[0]["Host"].startswith(SMDPP)

        answer = await lab.send(authenticate_client(lab))
        assert answer == tlv("BF3B", tlv("A0", tlv("80", TXID), METADATA, SIGNED2, SIGNATURE, pki.dp_pb.certificate))
        assert server.requests[1][1]["transactionId"] == TXID.hex().upper()
        assert unbase64(server.requests[1][1], "authenticateServerResponse") == authenticate_response(lab)

        prepared = tlv("BF21", tlv("A0", tlv("30", tlv("80", TXID)), SIGNATURE))
        answer = await lab.send(tlv("BF3A", tlv("80", TXID), prepared))
        assert answer == tlv("BF3A", tlv("A0", tlv("80", TXID), PACKAGE))
        assert unbase64(server.requests[2][1], "prepareDownloadResponse") == prepared

        pir = lab.card.installation(TXID)
        assert (await lab.answer(tlv("BF3D", tlv("A0", pir)))).status == 204
        shown = lab.show(order)
        assert (shown["state"], shown["verified"]) == ("done", True)
        assert shown["result"]["iccid"] == "8900101000000000027"
        assert shown["result"]["profile_name"] == "OPER"
        (note,) = lab.context.store.notifications(EID)
        assert note.state == "forwarded" and note.raw == pir
        assert unbase64(server.requests[3][1], "pendingNotification") == pir
        assert await lab.poll() == NO_PACKAGE

    run(pki, tmp_path, server, use, forwarding=True, forward_wait=5.0)


def test_ipa_that_handles_the_download_data(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        _, initiate = await start(lab)
        content = parts(initiate)["BF39"]
        with_address = tlv("BF39", content[:18], tlv("83", SMDPP.upper().encode()), content[18:])
        done = down(await lab.send(with_address), "BF39", "A0")
        assert "0C" not in parts(done), "it has the matchingId from the activation code"
        order, initiate = await start(lab, f"LPA:1${SMDPP}$M-2")
        lab.esipa.orders.cancel(int(order))

    run(pki, tmp_path, smdpp(pki), use, known="0640")


def test_smdp_address_mismatches(pki: Pki, tmp_path: Path) -> None:
    server = smdpp(pki)

    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        content = parts(initiate)["BF39"]
        other = tlv("BF39", content[:18], tlv("83", b"other.test"), content[18:])
        assert await lab.send(other) == bytes.fromhex("bf3903810132")
        assert lab.show(order)["error"]["esipa_error"] == "smdpAddressMismatch"
        assert server.requests == []

        valid = server.functions["initiateAuthentication"]({})
        valid["serverSigned1"] = base64.b64encode(signed1("evil.test")).decode()
        server.functions["initiateAuthentication"] = lambda _: valid
        order, initiate = await start(lab)
        assert await lab.send(initiate) == bytes.fromhex("bf3903810132")
        assert "evil.test" in lab.show(order)["error"]["what"]

    run(pki, tmp_path, server, use)


def test_smdp_oid(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, initiate = await start(lab, f"LPA:1${SMDPP}$M$2.999.11")
        assert await lab.send(initiate) == bytes.fromhex("bf3903810133")
        assert lab.show(order)["error"]["esipa_error"] == "smdpOidMismatch"
        order, initiate = await start(lab, f"LPA:1${SMDPP}$M$2.999.10")
        assert "A0" in parts(down(await lab.send(initiate), "BF39"))

    run(pki, tmp_path, smdpp(pki), use)


def test_transactions_that_are_unknown(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        unknown = tlv("BF39", tlv("81", CHALLENGE), INFO1, tlv("82", b"\x01" * 8))
        assert await lab.send(unknown) == bytes.fromhex("bf3903810134")
        assert await lab.send(authenticate_client(lab)) == bytes.fromhex("bf3b0382010a")
        prepared = tlv("BF21", tlv("A0", tlv("30", tlv("80", TXID)), SIGNATURE))
        assert await lab.send(tlv("BF3A", tlv("80", TXID), prepared)) == bytes.fromhex("bf3a0381015f")
        assert await lab.send(cancel()) == bytes.fromhex("bf4103810101")
        # Without eimTransactionId: the order of the EID that polled on this connection.
        order, initiate = await start(lab)
        nameless = tlv("BF39", tlv("81", CHALLENGE), INFO1)
        assert "A0" in parts(down(await lab.send(nameless), "BF39"))
        # A cancelled order's session is over, but the SM-DP+ is told when the IPA cancels.
        lab.esipa.orders.cancel(int(order))
        assert await lab.send(authenticate_client(lab)) == bytes.fromhex("bf3b0382010a")
        assert await lab.send(initiate) == bytes.fromhex("bf3903810134")
        assert await lab.send(cancel()) == bytes.fromhex("bf4102a000")
        assert lab.show(order)["state"] == "cancelled"

    run(pki, tmp_path, smdpp(pki), use)


REFUSALS = [
    ("initiateAuthentication", "8.8.1", "3.8", "bf3903810101"),
    ("initiateAuthentication", "8.8.3", "3.1", "bf3903810102"),
    ("initiateAuthentication", "8.8.2", "3.1", "bf3903810103"),
    ("initiateAuthentication", "1.1", "2.1", "bf390381017f"),
    ("authenticateClient", "8.1.2", "6.1", "bf3b03820101"),
    ("authenticateClient", "8.1.2", "6.3", "bf3b03820102"),
    ("authenticateClient", "8.1.3", "6.1", "bf3b03820103"),
    ("authenticateClient", "8.1.3", "6.3", "bf3b03820104"),
    ("authenticateClient", "8.1", "6.1", "bf3b03820105"),
    ("authenticateClient", "8.2.6", "3.8", "bf3b03820106"),
    ("authenticateClient", "8.1.1", "3.8", "bf3b03820107"),
    ("authenticateClient", "8.2.5", "4.3", "bf3b03820108"),
    ("authenticateClient", "8.11.1", "3.9", "bf3b03820109"),
    ("authenticateClient", "8.10.1", "3.9", "bf3b0382010a"),
    ("authenticateClient", "8.1", "4.8", "bf3b0382010b"),
    ("authenticateClient", "8.8.5", "4.10", "bf3b03820112"),
    ("authenticateClient", "8.2", "1.2", "bf3b0382017f"),
    ("getBoundProfilePackage", "8.1", "6.1", "bf3a03810101"),
    ("getBoundProfilePackage", "8.2.7", "2.2", "bf3a03810102"),
    ("getBoundProfilePackage", "8.2.7", "3.8", "bf3a03810103"),
    ("getBoundProfilePackage", "8.2.7", "6.4", "bf3a03810104"),
    ("getBoundProfilePackage", "8.2", "3.7", "bf3a03810105"),
    ("getBoundProfilePackage", "8.10.1", "3.9", "bf3a0381015f"),
]


async def all_steps(lab: Lab, initiate: bytes) -> list[bytes]:
    """Send the three messages of a download; return the answers up to the first error."""
    prepared = tlv("BF21", tlv("A0", tlv("30", tlv("80", TXID)), SIGNATURE))
    answers = []
    for message in (initiate, authenticate_client(lab), tlv("BF3A", tlv("80", TXID), prepared)):
        answers.append(await lab.send(message))
        if len(answers[-1]) == 6:
            break
    return answers


@pytest.mark.parametrize(("function", "subject", "reason", "answer"), REFUSALS)
def test_refusals(function: str, subject: str, reason: str, answer: str, pki: Pki, tmp_path: Path) -> None:
    server = smdpp(pki, **{function: lambda _: refusal(subject, reason, "because")})

    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        assert (await all_steps(lab, initiate))[-1].hex() == answer
        shown = lab.show(order)
        assert shown["state"] == "failed"
        error = shown["error"]
        assert (error["subject_code"], error["reason_code"], error["message"]) == (subject, reason, "because")
        assert await lab.poll() == NO_PACKAGE
        # The IPA cancels after a refusal behind AuthenticateServer: what was first is kept.
        if function != "initiateAuthentication":
            assert await lab.send(cancel(127)) == bytes.fromhex("bf4102a000")
            assert lab.show(order)["error"] == error

    run(pki, tmp_path, server, use)


BROKEN = {
    "HTTP 500": lambda _: 500,
    "HTTP 404": lambda _: 404,
    "no JSON": lambda _: b"<html>",
    "a list": lambda _: b"[]",
    "deep": lambda _: b"[" * 100_000,
    "empty": lambda _: b"",
    "nothing in it": lambda _: success(),
    "no base64": lambda _: success(serverSigned1="%%%", smdpSigned2="%%%", boundProfilePackage="%%%"),
    "no string": lambda _: success(serverSigned1=7, smdpSigned2=[], boundProfilePackage={}),
    "no TLV": lambda _: success(serverSigned1=b"\x30", smdpSigned2=b"\x30\x85", boundProfilePackage=b"\xbf"),
    "trailing": lambda _: success(
        serverSigned1=b"\x30\x00\x00", smdpSigned2=b"\x30\x00\x00", boundProfilePackage=PACKAGE + b"\x00"
    ),
    "header is a list": lambda _: {"header": [1]},
    "status is a number": lambda _: {"header": {"functionExecutionStatus": {"status": 4}}},
    "bare failure": lambda _: {"header": {"functionExecutionStatus": {"status": "Failed"}}},
}


@pytest.mark.parametrize("function", ["initiateAuthentication", "authenticateClient", "getBoundProfilePackage"])
@pytest.mark.parametrize("answer", BROKEN)
def test_answers_that_make_no_sense(function: str, answer: str, pki: Pki, tmp_path: Path) -> None:
    server = smdpp(pki, **{function: BROKEN[answer]})

    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        assert (await all_steps(lab, initiate))[-1][-1] == 127
        shown = lab.show(order)
        assert shown["state"] == "failed"
        assert function in shown["error"]["where"]
        assert "subject_code" not in shown["error"]

    run(pki, tmp_path, server, use)


def test_bare_signatures_get_their_tag(pki: Pki, tmp_path: Path) -> None:
    server = smdpp(pki)
    valid = server.functions["initiateAuthentication"]({})
    valid["serverSignature1"] = base64.b64encode(b"\x77" * 64).decode()
    valid["euiccCiPKIdToBeUsed"] = base64.b64encode(b"\x55" * 20).decode()
    server.functions["initiateAuthentication"] = lambda _: valid

    async def use(lab: Lab) -> None:
        _, initiate = await start(lab)
        done = parts(down(await lab.send(initiate), "BF39", "A0"))
        assert (done["5F37"], done["04"]) == (b"\x77" * 64, b"\x55" * 20)

    run(pki, tmp_path, server, use)


def test_smdpp_that_cannot_be_reached(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        lab.es9.routes.targets[SMDPP] = ("127.0.0.1", 1)
        order, initiate = await start(lab)
        assert await lab.send(initiate) == bytes.fromhex("bf390381017f")
        assert "cannot be reached" in lab.show(order)["error"]["what"]

    run(pki, tmp_path, smdpp(pki), use)


def test_smdpp_with_a_certificate_of_another_ci(pki: Pki, tmp_path: Path) -> None:
    stranger = Pki.open(tmp_path / "stranger")

    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        assert await lab.send(initiate) == bytes.fromhex("bf390381017f")
        assert "not trusted" in lab.show(order)["error"]["what"]

    async def inside() -> None:
        server = smdpp(pki)
        async with server.serve(stranger), lab(pki, tmp_path, routes=server.route, known="0560") as made:
            await use(made)
            assert server.requests == []

    asyncio.run(inside())


def test_smdpp_that_is_silent(pki: Pki, tmp_path: Path) -> None:
    async def inside() -> None:
        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        silent = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        async with silent, lab(pki, tmp_path, routes={SMDPP: ("127.0.0.1", port)}, known="0560") as made:
            made.es9._deadline = 0.2
            order, initiate = await start(made)
            assert await made.send(initiate) == bytes.fromhex("bf390381017f")
            assert "within 0.2 s" in made.show(order)["error"]["what"]

    asyncio.run(inside())


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (0, "endUserRejection"),
        (1, "postponed"),
        (3, "pprNotAllowed"),
        (4, "metadataMismatch"),
        (127, "undefinedReason"),
    ],
)
def test_cancellation_by_the_ipa(reason: int, name: str, pki: Pki, tmp_path: Path) -> None:
    server = smdpp(pki)

    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        await lab.send(initiate)
        assert await lab.send(cancel(reason)) == bytes.fromhex("bf4102a000")
        shown = lab.show(order)
        assert (shown["state"], shown["error"]["cancel_reason"]) == ("failed", name)
        function, request = server.requests[-1]
        assert function == "cancelSession"
        # A1 stands for the tag of the card's BF41.
        sent = unbase64(request, "cancelSessionResponse")
        assert sent[:2].hex() == "bf41" and parts(sent)["BF41"] == down(cancel(reason), "BF41", "A1")

    run(pki, tmp_path, server, use)


@pytest.mark.parametrize(
    ("subject", "reason", "answer"), [("8.10.1", "3.9", "01"), ("8.1", "6.1", "02"), ("9", "9", "7f")]
)
def test_refused_cancellations(subject: str, reason: str, answer: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        await lab.send(initiate)
        assert (await lab.send(cancel())).hex() == f"bf41038101{answer}"
        assert lab.show(order)["state"] == "failed"

    run(pki, tmp_path, smdpp(pki, cancelSession=lambda _: refusal(subject, reason)), use)


def test_error_of_the_card_is_named(pki: Pki, tmp_path: Path) -> None:
    server = smdpp(pki, authenticateClient=lambda _: refusal("8.1", "4.2"))

    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        await lab.send(initiate)
        error = tlv("BF38", tlv("A1", tlv("80", TXID), tlv("02", b"\x06")))
        assert await lab.send(authenticate_client(lab, error)) == bytes.fromhex("bf3b0382017f")
        shown = lab.show(order)["error"]
        assert shown["euicc_error"] == "euiccChallengeMismatch"
        assert (shown["subject_code"], shown["reason_code"]) == ("8.1", "4.2")

    run(pki, tmp_path, server, use)


def test_another_euicc_than_ordered(pki: Pki, tmp_path: Path) -> None:
    server = smdpp(pki)

    async def use(lab: Lab) -> None:
        from fixtures.pki import valid_eid

        order, initiate = await start(lab)
        await lab.send(initiate)
        lab.card.credential = pki.euicc(valid_eid(9))
        assert await lab.send(authenticate_client(lab)) == bytes.fromhex("bf3b03820107")
        assert lab.show(order)["error"]["esipa_error"] == "eidMismatch"
        assert [name for name, _ in server.requests] == ["initiateAuthentication"]

    run(pki, tmp_path, server, use)


def test_certificate_is_learned_on_the_way(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        lab.context.store.update_euicc(EID, features=6)
        order, initiate = await start(lab)
        await lab.send(initiate)
        await lab.send(authenticate_client(lab))
        euicc = lab.context.store.euicc(EID)
        assert euicc is not None and euicc.euicc_certificate == pki.euicc(EID).certificate
        assert euicc.certificate_source == "AuthenticateServer"
        await lab.answer(tlv("BF3D", tlv("A0", lab.card.installation(TXID))))
        assert lab.show(order)["state"] == "done"

    run(pki, tmp_path, smdpp(pki), use, known="")


@pytest.mark.parametrize("flag", ["00", "ff"])
def test_confirmation_code(flag: str, pki: Pki, tmp_path: Path) -> None:
    server = smdpp(pki)
    valid = server.functions["authenticateClient"]({})
    signed2 = tlv("30", tlv("80", TXID), bytes.fromhex("0101" + flag))
    valid["smdpSigned2"] = base64.b64encode(signed2).decode()
    server.functions["authenticateClient"] = lambda _: valid

    async def use(lab: Lab) -> None:
        order, initiate = await start(lab, f"1${SMDPP}$M$$1", confirmation_code="1234")
        await lab.send(initiate)
        done = parts(down(await lab.send(authenticate_client(lab)), "BF3B", "A0"))
        expected = hashlib.sha256(hashlib.sha256(b"1234").digest() + TXID).digest()
        assert done.get("04") == (expected if flag == "ff" else None)
        assert lab.show(order)["parameters"]["confirmation_code"] == "***"

    run(pki, tmp_path, server, use)


INSTALL_ERRORS = [
    ("800100810102", "initialiseSecureChannel", "invalidSignature"),
    ("800101810108", "configureISDP", "scp03tSecurityError"),
    ("800102810107", "storeMetadata", "scp03tStructureError"),
    ("800105810109", "loadProfileElements", "installFailedDueToIccidAlreadyExistsOnEuicc"),
    ("80010581017f82020500", "loadProfileElements", "installFailedDueToUnknownError"),
]


@pytest.mark.parametrize(("content", "command", "reason"), INSTALL_ERRORS)
@pytest.mark.parametrize("cancelled", [False, True])
def test_installation_errors_are_named(
    content: str, command: str, reason: str, cancelled: bool, pki: Pki, tmp_path: Path
) -> None:
    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        await all_steps(lab, initiate)
        if cancelled:
            await lab.send(cancel(5))
        await lab.answer(tlv("BF3D", tlv("A0", lab.card.installation(TXID, failed=content))))
        shown = lab.show(order)
        assert shown["state"] == "failed"
        error = shown["error"]
        assert (error["bpp_command"].lower(), error["error_reason"].lower()) == (command.lower(), reason.lower())
        assert command.lower() in error["what"].lower()

    run(pki, tmp_path, smdpp(pki), use)


def test_installation_result_with_a_wrong_signature(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        await all_steps(lab, initiate)
        await lab.answer(tlv("BF3D", tlv("A0", lab.card.installation(TXID, key=pki.eim.key))))
        shown = lab.show(order)
        assert (shown["state"], shown["verified"]) == ("failed", False)
        assert "not verified" in shown["error"]["what"]

    run(pki, tmp_path, smdpp(pki), use)


def test_interrupted_download_is_triggered_again(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        await lab.send(initiate)
        assert lab.show(order)["state"] == "running"
        trigger = down(await lab.poll(), "BF4F", "BF54")
        assert parts(initiate)["BF39"].endswith(tlv("82", parts(trigger)["82"]))
        assert "A0" in parts(down(await lab.send(initiate), "BF39"))
        # The result of the first session, which the card kept over the power cut, ends the order as well.
        await lab.answer(tlv("BF3D", tlv("A0", lab.card.installation(TXID))))
        assert lab.show(order)["state"] == "done"

    run(pki, tmp_path, smdpp(pki), use)


def test_direct_download(pki: Pki, tmp_path: Path) -> None:
    """The IPA ran it: its result comes in BF54 and is not forwarded by the eIM."""
    server = smdpp(pki)

    async def use(lab: Lab) -> None:
        order = lab.order("download", activation_code=f"1${SMDPP}$M")
        transaction = parts(down(await lab.poll(), "BF4F", "BF54"))["82"]
        result = tlv("BF54", tlv("82", transaction), lab.card.installation(b"\x09" * 8))
        assert (await lab.answer(tlv("BF3D", provide(result)))).status == 204
        shown = lab.show(order)
        assert (shown["state"], shown["verified"]) == ("done", True)
        (note,) = lab.context.store.notifications(EID)
        assert note.state == "kept"
        assert server.requests == []

    run(pki, tmp_path, server, use, forwarding=True, known="0780")


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ("3003800168", {"reason": "ecallActive"}),
        ("300380017f", {"reason": "undefinedError"}),
        ("300f80017f040a6e6f2070726f66696c65", {"message": "no profile"}),
        ("300980017f0404bf3806a1", {"reason": "undefinedError"}),
        ("301180017f040cbf3809a10780020102020106", {"euicc_error": "euiccChallengeMismatch"}),
    ],
)
@pytest.mark.parametrize("way", ["BF3D", "BF50"])
def test_reported_failures(way: str, failure: str, expected: dict[str, str], pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order = lab.order("download", activation_code=f"1${SMDPP}$M")
        transaction = parts(down(await lab.poll(), "BF4F", "BF54"))["82"]
        body = provide(tlv("BF54", tlv("82", transaction), bytes.fromhex(failure)))
        answer = await lab.answer(tlv("BF3D", body) if way == "BF3D" else body)
        assert answer.status in (200, 204)
        shown = lab.show(order)
        assert shown["state"] == "failed"
        assert expected.items() <= shown["error"].items()
        assert await lab.poll() == NO_PACKAGE

    run(pki, tmp_path, smdpp(pki), use)


def lost_once(answer: Any) -> Any:
    """A function whose first answer is lost on the way: the connection breaks."""
    calls: list[object] = []

    def function(body: dict[str, Any]) -> Any:
        calls.append(body)
        return None if len(calls) == 1 else answer(body)

    return function


@pytest.mark.parametrize("function", ["authenticateClient", "getBoundProfilePackage"])
def test_a_lost_answer_is_asked_for_again_with_the_same_bytes(function: str, pki: Pki, tmp_path: Path) -> None:
    server = smdpp(pki)
    server.functions[function] = lost_once(server.functions[function])

    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        await lab.send(initiate)
        assert down(await lab.send(authenticate_client(lab)), "BF3B", "A0")
        prepared = tlv("BF21", tlv("A0", SIGNED2, SIGNATURE))
        assert down(await lab.send(tlv("BF3A", tlv("80", TXID), prepared)), "BF3A", "A0").endswith(PACKAGE)
        bodies = [body for name, body in server.requests if name == function]
        assert len(bodies) == 2 and bodies[0] == bodies[1]
        assert lab.show(order)["state"] == "running"

    run(pki, tmp_path, server, use)


@pytest.mark.parametrize("function", ["authenticateClient", "getBoundProfilePackage"])
def test_a_server_that_does_not_repeat_a_lost_answer_is_named(function: str, pki: Pki, tmp_path: Path) -> None:
    """Its refusal is for the repetition; what went wrong was the connection, and the order says so."""
    server = smdpp(pki)
    server.functions[function] = lost_once(lambda _: refusal("8.10.1", "3.9", "unknown transaction"))

    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        await lab.send(initiate)
        answer = await lab.send(authenticate_client(lab))
        if function == "getBoundProfilePackage":
            answer = await lab.send(tlv("BF3A", tlv("80", TXID), tlv("BF21", tlv("A0", SIGNED2, SIGNATURE))))
        assert answer.hex() in ("bf3b0382010a", "bf3a0381015f"), "invalidTransactionId"
        shown = lab.show(order)
        assert (shown["state"], shown["error"]["subject_code"], shown["error"]["reason_code"]) == (
            "failed",
            "8.10.1",
            "3.9",
        )
        assert "the SM-DP+'s answer was lost, and it does not give it again: 8.10.1/3.9" in shown["error"]["what"]
        assert [name for name, _ in server.requests].count(function) == 2

    run(pki, tmp_path, server, use)


def test_a_refusal_that_was_not_repeated_is_a_refusal(pki: Pki, tmp_path: Path) -> None:
    server = smdpp(pki, authenticateClient=lambda _: refusal("8.10.1", "3.9", "unknown transaction"))

    async def use(lab: Lab) -> None:
        order, initiate = await start(lab)
        await lab.send(initiate)
        await lab.send(authenticate_client(lab))
        assert "the SM-DP+ refused: 8.10.1/3.9" in lab.show(order)["error"]["what"]

    run(pki, tmp_path, server, use)
