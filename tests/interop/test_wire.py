"""A whole provisioning with no codec of ours: what is on each interface, judged by pycrate and openssl.

The card is reached by AT commands, ES9+ and ESipa by curl; every signature on the way is checked by openssl.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rsp import oracle

from .foreign import EID, Bench, terminal
from .http import es9plus, esipa, operator
from .wire import Card, OpenSsl, inside, make, split, upper, whole

OPERATIONAL_ICCID = "8900101000000000027"
SWAPPED_ICCID = bytes.fromhex("980001010000000020F7")
NO_TOKEN = bytes.fromhex("840100")
"""What is signed behind a package or a result where no association token is configured (reference B.1)."""


@pytest.fixture
def card(registered: Bench) -> Iterator[Card]:
    with terminal(registered.modem) as port:
        port.write(b"ATE1Q0V1\r")
        port.until(rb"\r\nOK\r\n")
        opened = Card(port)
        try:
            yield opened
        finally:
            opened.close()


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    return OpenSsl(tmp_path)


class Decoder:
    """Types of the two modules as pycrate decodes them; what it encodes again must be the same bytes."""

    def __init__(self, compiled: ModuleType) -> None:
        self._compiled = compiled

    def __call__(self, name: str, data: bytes, module: str = "SGP32Definitions") -> Any:
        foreign = oracle.pycrate_type(self._compiled, module, name)
        foreign.from_ber(data)
        assert foreign.to_der().hex() == data.hex(), f"{name} is no DER"
        return foreign.get_val()


@pytest.fixture
def decode(pycrate: ModuleType) -> Decoder:
    return Decoder(pycrate)


def json_of(bench: Bench, function: str, **members: str) -> dict[str, Any]:
    """Call ES9+; anything but success fails."""
    answer = es9plus(bench, function, members)
    assert answer.status == 200, answer
    body: dict[str, Any] = json.loads(answer.body)
    assert body["header"]["functionExecutionStatus"]["status"] == "Executed-Success", body
    return body


def binary(body: dict[str, Any], name: str) -> bytes:
    return base64.b64decode(body[name], validate=True)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def certificate_of_the_card(card: Card) -> bytes:
    """Return CERT.EUICC: A6 of GetCerts is the certificate with another tag (implicit)."""
    return make("30", inside(card.store(bytes.fromhex("BF5600")), "bf56", "a0", "a6"))


def test_what_the_card_says_of_itself(card: Card, decode: Decoder, openssl: OpenSsl, registered: Bench) -> None:
    info1 = card.store(bytes.fromhex("BF2000"))
    info2 = card.store(bytes.fromhex("BF2200"))
    assert decode("EUICCInfo1", info1, "RSPDefinitions")["svn"] == b"\x02\x05\x00"
    decoded = decode("EUICCInfo2", info2)
    assert "iotSpecificInfo" in decoded and decoded["svn"] == b"\x02\x05\x00"
    assert (
        decoded["euiccCiPKIdListForSigning"]
        == decode("EUICCInfo1", info1, "RSPDefinitions")["euiccCiPKIdListForSigning"]
    )
    for answer in (info1, info2):
        assert openssl.structure(answer).count("\n") > 5
    assert inside(card.store(bytes.fromhex("BF3E035C015A")), "bf3e", "5a").hex() == EID
    profiles = inside(card.store(bytes.fromhex("BF2D00")), "bf2d", "a0")
    assert [inside(value, "9f70") for tag, value, _ in split(profiles) if tag == "e3"].count(b"\x01") == 1
    certificates = inside(card.store(bytes.fromhex("BF5600")), "bf56", "a0")
    eum, euicc = (make("30", value) for _, value, _ in split(certificates)[:2])
    assert openssl.under(registered.ca, eum)
    tbs, _, signature = split(inside(euicc, "30"))
    assert openssl.signed(openssl.public_key(eum), raw_signature(signature[1][1:]), tbs[2])


def raw_signature(encoded: bytes) -> bytes:
    """Return r and s of a signature in DER."""
    numbers = [value.lstrip(b"\0") for tag, value, _ in split(inside(encoded, "30"))]
    return b"".join(number.rjust(32, b"\0") for number in numbers)


def test_a_download_with_every_signature_checked(
    card: Card, decode: Decoder, openssl: OpenSsl, registered: Bench
) -> None:
    """ES9+ and ES10b of SGP.22 sections 3.1.2 and 3.1.3, as an LPA does them."""
    order = operator(registered, "smdpp", "POST", "/orders", {"profile": "operational", "eid": EID})
    challenge = inside(card.store(bytes.fromhex("BF2E00")), "bf2e", "80")
    info1 = card.store(bytes.fromhex("BF2000"))

    begun = json_of(
        registered,
        "initiateAuthentication",
        euiccChallenge=text(challenge),
        euiccInfo1=text(info1),
        smdpAddress="smdpp.bench.example",
    )
    transaction = bytes.fromhex(begun["transactionId"])
    signed1, server = binary(begun, "serverSigned1"), binary(begun, "serverCertificate")
    decoded = decode("ServerSigned1", signed1, "RSPDefinitions")
    assert (decoded["transactionId"], decoded["euiccChallenge"]) == (transaction, challenge)
    assert decoded["serverAddress"] == "smdpp.bench.example"
    assert openssl.under(registered.ca, server)
    signature1 = binary(begun, "serverSignature1")
    assert openssl.signed(openssl.public_key(server), inside(signature1, "5f37"), signed1)

    tac = bytes.fromhex("49015420")
    context = make("a0", make("80", order["matching_id"].encode()), make("a1", make("80", tac), make("a1")))
    authenticated = card.store(make("bf38", signed1, signature1, binary(begun, "euiccCiPKIdToBeUsed"), server, context))
    kind, response = decode("AuthenticateServerResponse", authenticated)
    assert kind == "authenticateResponseOk"
    assert response["euiccSigned1"]["serverChallenge"] == decoded["serverChallenge"]
    euicc_signed1 = whole(authenticated, "bf38", "a0", "30")
    euicc_signature1 = whole(authenticated, "bf38", "a0", "5f37")
    euicc_certificate = [raw for tag, _, raw in split(inside(authenticated, "bf38", "a0")) if tag == "30"][1]
    assert euicc_certificate == certificate_of_the_card(card)
    card_key = openssl.public_key(euicc_certificate).read_bytes()
    key = (registered.folder / "euicc-key.pem").resolve()
    key.write_bytes(card_key)
    assert openssl.signed(key, inside(euicc_signature1, "5f37"), euicc_signed1)

    offered = json_of(
        registered,
        "authenticateClient",
        transactionId=begun["transactionId"],
        authenticateServerResponse=text(authenticated),
    )
    signed2, signature2 = binary(offered, "smdpSigned2"), binary(offered, "smdpSignature2")
    assert decode("SmdpSigned2", signed2, "RSPDefinitions")["transactionId"] == transaction
    metadata = decode("StoreMetadataRequest", binary(offered, "profileMetadata"), "RSPDefinitions")
    assert (metadata["iccid"], metadata["serviceProviderName"]) == (SWAPPED_ICCID, "OPER")
    binding = binary(offered, "smdpCertificate")
    assert openssl.under(registered.ca, binding)
    assert openssl.signed(openssl.public_key(binding), inside(signature2, "5f37"), signed2 + euicc_signature1)

    prepared = card.store(make("bf21", signed2, signature2, binding))
    assert decode("PrepareDownloadResponse", prepared, "RSPDefinitions")[0] == "downloadResponseOk"
    euicc_signed2 = whole(prepared, "bf21", "a0", "30")
    euicc_signature2 = inside(prepared, "bf21", "a0", "5f37")
    assert openssl.signed(key, euicc_signature2, euicc_signed2 + signature2)

    bound = json_of(
        registered,
        "getBoundProfilePackage",
        transactionId=upper(transaction),
        prepareDownloadResponse=text(prepared),
    )
    package = binary(bound, "boundProfilePackage")
    assert set(decode("BoundProfilePackage", package, "RSPDefinitions")) >= {"initialiseSecureChannelRequest"}
    channel = whole(package, "bf36", "bf23")
    members = {tag: raw for tag, _, raw in split(inside(channel, "bf23"))}
    covered = b"".join(members[tag] for tag in ("82", "80", "a6", "5f49")) + whole(euicc_signed2, "30", "5f49")
    assert openssl.signed(openssl.public_key(binding), inside(channel, "bf23", "5f37"), covered)

    result = load(card, package)
    assert decode("ProfileInstallationResult", result, "RSPDefinitions")["profileInstallationResultData"]
    data = whole(result, "bf37", "bf27")
    assert inside(data, "bf27", "a2")[0] == 0xA0, f"installed, and not {result.hex()}"
    assert openssl.signed(key, inside(result, "bf37", "5f37"), data)
    assert es9plus(registered, "handleNotification", {"pendingNotification": text(result)}).status == 204
    state = operator(registered, "smdpp", "GET", f"/orders/{order['matching_id']}")
    assert (state["state"], state["iccid"]) == ("installed", OPERATIONAL_ICCID)
    profiles = inside(card.store(bytes.fromhex("BF2D00")), "bf2d", "a0")
    states = {inside(value, "5a"): inside(value, "9f70") for tag, value, _ in split(profiles) if tag == "e3"}
    assert states[SWAPPED_ICCID] == b"\x00"
    sequence = inside(data, "bf27", "bf2f", "80")
    assert card.store(make("bf30", make("80", sequence))) == bytes.fromhex("bf3003800100")


def load(card: Card, package: bytes) -> bytes:
    """LoadBoundProfilePackage in the units of SGP.22 section 2.5.5; return the answer, which ends it."""
    content = split(inside(package, "bf36"))
    header = package[: len(package) - len(inside(package, "bf36"))]
    for tag, value, raw in content:
        if tag == "bf23":
            units = [header + raw]
        elif tag in ("a0", "a2"):
            units = [raw]
        else:
            units = [raw[: len(raw) - len(value)], *(segment for _, _, segment in split(value))]
        for unit in units:
            if answer := card.store(unit):
                return answer
    raise AssertionError("the card did not end the loading with a result")


def test_a_signed_package_of_the_eim_and_its_signed_result(
    card: Card, decode: Decoder, openssl: OpenSsl, registered: Bench
) -> None:
    """ESipa and ESep: AddInitialEim, an order, the poll, LoadEuiccPackage, the result (SGP.32 sections 3.3.1, 5.14)."""
    initial = bytes.fromhex(operator(registered, "eim", "GET", "/initial-configuration")["eim_configuration_data"])
    assert decode("EimConfigurationData", initial)["eimId"] == "eim.bench.example"
    answer = card.store(make("bf57", make("a0", initial)))
    assert decode("AddInitialEimResponse", answer)[0] == "addInitialEimOk"
    operator(registered, "eim", "PUT", f"/euiccs/{EID}")
    order = operator(registered, "eim", "POST", "/orders", {"eid": EID, "kind": "list"})

    asked = esipa(registered, make("bf4f", make("5a", bytes.fromhex(EID)))).body
    kind, (alternative, request) = decode("EsipaMessageFromEimToIpa", asked)
    assert (kind, alternative) == ("getEimPackageResponse", "ipaEuiccDataRequest"), "the eIM does not know the card yet"
    told = esipa(registered, make("bf50", make("5a", bytes.fromhex(EID)), euicc_data(card, request))).body
    assert decode("EsipaMessageFromEimToIpa", told)[0] == "provideEimPackageResultResponse"
    known = operator(registered, "eim", "GET", f"/euiccs/{EID}")
    assert known["euicc_certificate"] == certificate_of_the_card(card).hex()

    polled = esipa(registered, make("bf4f", make("5a", bytes.fromhex(EID)))).body
    kind, (alternative, request) = decode("EsipaMessageFromEimToIpa", polled)
    assert (kind, alternative) == ("getEimPackageResponse", "euiccPackageRequest")
    signed = request["euiccPackageSigned"]
    assert (signed["eimId"], signed["eidValue"].hex()) == ("eim.bench.example", EID)
    assert signed["euiccPackage"][0] == "psmoList" and signed["euiccPackage"][1][0][0] == "listProfileInfo"
    package = whole(polled, "bf4f", "bf51")
    eim = openssl.public_key(der(registered.home / "pki" / "eim.crt.pem"))
    assert openssl.signed(eim, inside(package, "bf51", "5f37"), whole(package, "bf51", "30") + NO_TOKEN)

    result = card.store(package)
    kind, ok = decode("EuiccPackageResult", result)
    assert kind == "euiccPackageResultSigned"
    data = ok["euiccPackageResultDataSigned"]
    assert (data["eimId"], data["counterValue"]) == ("eim.bench.example", signed["counterValue"])
    assert data["euiccResult"][0][0] == "listProfileInfoResult"
    key = openssl.public_key(certificate_of_the_card(card))
    assert openssl.signed(key, inside(result, "bf51", "a0", "5f37"), whole(result, "bf51", "a0", "30") + NO_TOKEN)

    acknowledged = esipa(registered, make("bf50", make("5a", bytes.fromhex(EID)), result)).body
    sequence = inside(result, "bf51", "a0", "30", "83")
    assert acknowledged == make("bf50", make("bf53", make("80", sequence)))
    ended = operator(registered, "eim", "GET", f"/orders/{order['order_id']}?wait=5")
    assert (ended["state"], ended["verified"]) == ("done", True)
    assert card.store(make("bf30", make("80", sequence))) == bytes.fromhex("bf3003800100")
    assert esipa(registered, make("bf4f", make("5a", bytes.fromhex(EID)))).body.hex() == "bf4f03020101"
    # The same package once more is a replay (errorCode 4), and the error is signed.
    replayed = card.store(package)
    assert decode("EuiccPackageResult", replayed)[0] == "euiccPackageErrorSigned"
    assert inside(replayed, "bf51", "a1", "30", "02") == b"\x04"
    assert openssl.signed(key, inside(replayed, "bf51", "a1", "5f37"), whole(replayed, "bf51", "a1", "30") + NO_TOKEN)


def euicc_data(card: Card, request: dict[str, Any]) -> bytes:
    """Return the IpaEuiccDataResponse to a request (SGP.32 section 2.11.2.2); there is no association token (84)."""
    tags = request["tagList"].hex()
    certificates = {tag: raw for tag, _, raw in split(inside(card.store(bytes.fromhex("BF5600")), "bf56", "a0"))}
    known = {
        "bf20": lambda: card.store(bytes.fromhex("BF2000")),
        "bf22": lambda: card.store(bytes.fromhex("BF2200")),
        "a5": lambda: certificates["a5"],
        "a6": lambda: certificates["a6"],
        "84": lambda: b"",
        "a8": lambda: make("a8", bytes.fromhex("800205e081020780")),
    }
    parts = []
    while tags:
        tag = next(tag for tag in known if tags.startswith(tag))
        parts.append(known[tag]())
        tags = tags.removeprefix(tag)
    return make("bf52", make("a0", *parts, make("87", request["eimTransactionId"])))


def der(pem: Path) -> bytes:
    """Return the DER of a PEM file."""
    lines = pem.read_text().split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]
    return base64.b64decode("".join(lines.split()))
