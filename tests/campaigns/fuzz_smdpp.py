"""The SM-DP+ behind its listeners as fuzzing targets: ES9+ in both bindings, and ES2+ as an operator."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fixtures.smdpp.es2 import Es2
    from fixtures.smdpp.es9 import Es9
    from fixtures.smdpp.store import Store

ADDRESS = "smdpp.bench.example"
ICCID = "8900101000000000027"
ES9 = ("initiateAuthentication", "authenticateClient", "getBoundProfilePackage", "handleNotification", "cancelSession")
ES2 = ("downloadOrder", "confirmOrder", "releaseProfile", "cancelOrder")


class Changed(Exception):
    """An order is not what it was, although nobody with a key has spoken."""


@functools.cache
def _server() -> tuple[Es9, Es2, Store]:
    from fixtures.pki import Pki
    from fixtures.smdpp.catalogue import Catalogue
    from fixtures.smdpp.es2 import Es2
    from fixtures.smdpp.es9 import Es9
    from fixtures.smdpp.orders import Orders
    from fixtures.smdpp.store import Store

    home = Path(tempfile.mkdtemp(prefix="fuzz-smdpp-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    store = Store.open(home / "smdpp" / "smdpp.sqlite")
    orders = Orders(store, Catalogue(home), ADDRESS)
    orders.place("operational", matching_id="FUZZ")
    es9 = Es9(pki=Pki.open(home), store=store, orders=orders, address=ADDRESS, session_timeout=600.0)
    return es9, Es2(orders), store


def _object(data: bytes) -> dict[str, Any] | None:
    from fixtures.smdpp.http import json_object

    return json_object(data)


def fuzz_es9(data: bytes) -> None:
    """The first byte chooses ASN.1 or a function in JSON; no input without a card's key may change an order."""
    from fixtures.smdpp import es9_asn1
    from fixtures.smdpp.status import REFUSALS, Refusal, failure

    if not data:
        return
    es9, _, store = _server()
    before = store.orders()
    choice, rest = data[0] % (len(ES9) + 1), data[1:]
    if choice == len(ES9):
        try:
            answer = es9_asn1.call(es9, rest)
        except es9_asn1.NotUnderstood:
            answer = b""
        if isinstance(answer, bytes) and answer[:1] not in (b"", b"\xa2"):
            raise Changed("no RemoteProfileProvisioningResponse")
    else:
        body = _object(rest)
        if body is not None:
            try:
                es9.functions[ES9[choice]](body)
            except Refusal as refusal:
                json.dumps(failure(refusal)).encode()
                if refusal.code not in REFUSALS[ES9[choice]]:
                    raise Changed(f"{refusal.code} is no status of {ES9[choice]}") from refusal
    if store.orders() != before:
        raise Changed("ES9+ has changed an order")


def fuzz_es2(data: bytes) -> None:
    """The first byte chooses the function, and whose certificate it is; the life cycle holds whatever is asked."""
    from fixtures.smdpp.operators import Operator
    from fixtures.smdpp.status import REFUSALS, Refusal, failure

    body = _object(data[1:])
    if body is None:
        return
    _, es2, store = _server()
    function = ES2[data[0] % len(ES2)]
    operator = None if data[0] >= 0xF0 else Operator("operator", "2.999.30")
    before = store.orders()
    try:
        json.dumps(es2.call(function, operator, body)).encode()
    except Refusal as refusal:
        json.dumps(failure(refusal)).encode()
        if refusal.code not in REFUSALS[function]:
            raise Changed(f"{refusal.code} is no status of {function}") from refusal
        if store.orders() != before:
            raise Changed("a call that was refused has changed an order") from refusal
    if operator is None and store.orders() != before:
        raise Changed("nobody has changed an order")
    if any(order.operator == "" for order in store.orders()[:-1]) or store.order(1).state != "released":
        raise Changed("an operator has changed the bench's own order")


def seeds(target: str) -> list[bytes]:
    """Return inputs to start from: one call of every function."""
    session = {"transactionId": "00" * 16}
    if target == "es9":
        info1 = "vyA1ggMCBQCpFgQUERERERERERERERERERERERERERGqFgQUERERERERERERERERERERERERERE="
        bodies: list[dict[str, Any]] = [
            {"euiccChallenge": "ABEiM0RVZneImaq7zN3u/w==", "euiccInfo1": info1, "smdpAddress": ADDRESS},
            {**session, "authenticateServerResponse": "vzgCoQA="},
            {**session, "prepareDownloadResponse": "vyECoQA="},
            {"pendingNotification": "MAA="},
            {**session, "cancelSessionResponse": "v0EDgQF/"},
        ]
        asn1 = ("A206BF3903810101", "A21BBF4118" + "8010" + "00" * 16 + "A10481027F00", "A204BF3D02A000")
        return [
            *(bytes((at,)) + json.dumps(body).encode() for at, body in enumerate(bodies)),
            *(bytes((len(ES9),)) + bytes.fromhex(request) for request in asn1),
        ]
    header = {"functionRequesterIdentifier": "2.999.30", "functionCallIdentifier": "1"}
    calls: list[dict[str, Any]] = [
        {"profileType": "bootstrap", "eid": "89049032123451234512345678901235"},
        {"iccid": "8900101000000000019F", "matchingId": "A", "confirmationCode": "1", "releaseFlag": True},
        {"iccid": ICCID},
        {"iccid": ICCID, "finalProfileStatusIndicator": "Available"},
    ]
    return [bytes((at,)) + json.dumps({"header": header, **call}).encode() for at, call in enumerate(calls)]
