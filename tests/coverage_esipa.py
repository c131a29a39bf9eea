"""What can be said on ESipa, item by item, from the ASN.1 of SGP.32; and what of it each test made our parties say.

An item is a function, an alternative of a CHOICE or a named number in a message between IPA and eIM, once for the eIM
and once for the IPA: the messages that a party writes and those that it reads. A function counts in each binding by
itself. Used by tests/coverage_table.py; what needs no test is left out here, each with the reason.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import coverage_coap
import coverage_items
from coverage_coap import TRANSPORT

from bench.rsp import codec, esipa_json, tlv
from bench.rsp.asn1.runtime import OPAQUE
from bench.rsp.asn1.schema import BITS, NUMBERS, SCHEMA
from bench.rsp.errors import DecodeError

SGP32 = coverage_items.SGP32
PARTIES = ("eIM", "IPA")
MESSAGES = {"EsipaMessageFromIpaToEim": "from the IPA", "EsipaMessageFromEimToIpa": "from the eIM"}
BINDINGS = ("ASN.1", "JSON")
TRANSPORTS = ("HTTPS", "CoAPS")

NOT_LOOKED_INTO = {
    "EuiccPackageRequest": "a command of ES10b, counted at the card",
    "EuiccPackageResult": "the card's, counted there",
    "EUICCInfo1": "the card's, counted there",
    "EUICCInfo2": "the card's, counted there",
    "EuiccSigned1": "the card's, counted there",
    "AuthenticateResponseOk": "the card's, counted there",
    "AuthenticateResponseError": "the card's, counted there",
    "PrepareDownloadResponseOk": "the card's, counted there",
    "PrepareDownloadResponseError": "the card's, counted there",
    "CancelSessionResponseOk": "the card's, counted there",
    "CancelSessionResponse.cancelSessionResponseError": "the card's, counted there",
    "CancelSessionReason": "the card's, counted there",
    "ProfileInstallationResult": "the card's, counted there",
    "OtherSignedNotification": "the card's, counted there",
    "NotificationMetadata": "the card's, counted there",
    "ErrorResult": "the card's, counted there",
    "ServerSigned1": "the SM-DP+'s, no alternatives",
    "SmdpSigned2": "the SM-DP+'s, no alternatives",
    "BoundProfilePackage": "the SM-DP+'s, counted at the card",
    "StoreMetadataRequest": "the SM-DP+'s, read back from the card",
    "CtxParams1": "one alternative",
    "DeviceInfo": "what a device is",
    "IpaCapabilities": "what an IPA is",
}

LEFT_OUT = {
    "EsipaMessageFromIpaToEim.transferEimPackageResponse": "injection mode: forms in tests/rsp, no party of ours",
    "EsipaMessageFromEimToIpa.transferEimPackageRequest": "injection mode: forms in tests/rsp, no party of ours",
    "AuthenticateClientResponseEsipa.authenticateClientOkDSEsipa": "of an SM-DS, which no party of ours asks: forms and"
    " ES11 in tests/rsp",
}
"""Items, and all below them, that need no test."""

NEVER_SAID = {
    "eIM: AuthenticateClientResponseEsipa.authenticateClientErrorEsipa=50 ": "it leaves the rules to the IPA",
    "eIM: AuthenticateClientResponseEsipa.authenticateClientErrorEsipa=56 ": "of an SM-DS",
    "eIM: GetBoundProfilePackageResponseEsipa.getBoundProfilePackageErrorEsipa=6 ": "of v1.0",
    "eIM: GetBoundProfilePackageResponseEsipa.getBoundProfilePackageErrorEsipa=50 ": "it leaves that to the IPA",
    "eIM: IpaEuiccDataRequest.searchCriteria": "it asks for everything or for none",
    "eIM: ProfileDownloadData.contactSmds.smdsAddress left out": "an order of its operator names the SM-DS",
    "eIM: InitiateAuthenticationOkEsipa.ctxParams1 given": "it leaves them to the IPA",
    "eIM: AuthenticateClientOkDPEsipa.profileMetaData left out": "the SM-DP+ always gives them",
    "eIM: IpaEuiccDataRequest.eimTransactionId left out": "only as v1.0 has it (tests/eim/test_dialect.py)",
    "eIM: ProfileDownloadTriggerRequest.eimTransactionId left out": "each order has its number",
    "IPA: EimPackageResultErrorCode=127 ": "it has no third reason",
    "IPA: CompactEuiccSigned1.ctxParams1 left out": "it makes its own; an eIM's are in tests/rsp/test_compact.py",
    "IPA: CompactAuthenticateResponseOk.euiccCertificate given": "told before; whole in tests/rsp/test_compact.py",
    "IPA: CompactAuthenticateResponseOk.eumCertificate given": "told before; whole in tests/rsp/test_compact.py",
    "IPA: CompactEuiccSigned2.euiccOtpk left out": "of an earlier binding, in tests/rsp/test_compact.py",
    "IPA: CompactEuiccCancelSessionSigned.reason left out": "it has a reason; none in tests/rsp/test_compact.py",
    "IPA: CompactSuccessResult.simaResponse given": "the virtual card's is the one that is left out",
    "IPA: CompactOtherSignedNotification.euiccCiPKIdentifierToBeUsed given": "of a card with two CIs",
    "IPA: ProvideEimPackageResult.eidValue left out": "it always tells its EID",
}
"""Beginnings of items that a party has no reason to write; the other one reads them."""


@functools.cache
def required() -> dict[str, str]:
    """Return every item with what it belongs to, in the order of the ASN.1."""
    items: dict[str, str] = {}
    for party in PARTIES:
        for name, told in MESSAGES.items():
            for item in _possible(SGP32, {"type": name}, name, set()):
                if not f"{party}: {item}".startswith(tuple(NEVER_SAID)):
                    items[f"ESipa, {party}: {item}"] = told
        for way in (f"{binding} over {transport}" for transport in TRANSPORTS for binding in BINDINGS):
            for function, tag in esipa_json.FUNCTIONS.items():
                if tag != esipa_json.TRANSFER_EIM_PACKAGE:
                    items[f"ESipa, {party}: {function} in {way}"] = way
        items[f"ESipa, {party}: HandleNotification answered without a body"] = MESSAGES["EsipaMessageFromEimToIpa"]
    return items


def _possible(module: str, descriptor: dict[str, Any], path: str, seen: set[str]) -> Iterator[str]:
    module, descriptor, path = coverage_items._resolve(module, descriptor, path)
    if path in seen or path in NOT_LOOKED_INTO:
        return
    kind = descriptor["type"]
    if kind in ("SEQUENCE", "CHOICE"):
        seen.add(path)
        for member in descriptor["members"]:
            below = f"{path}.{member['name']}"
            if below in LEFT_OUT or below in NOT_LOOKED_INTO:
                continue
            if kind == "CHOICE":
                yield below
            elif member.get("optional"):
                yield coverage_items.presence(path, member, True)
                yield coverage_items.presence(path, member, False)
            yield from _possible(module, member, below, seen)
    elif kind == "SEQUENCE OF":
        yield from _possible(module, descriptor["element"], f"{path}.[]", seen)
    elif kind == "INTEGER":
        for code, name in NUMBERS[module].get(path, {}).items():
            yield coverage_items.number_item(path, code, name)


_UNIVERSAL = {
    "BOOLEAN": 1, "INTEGER": 2, "BIT STRING": 3, "OCTET STRING": 4, "NULL": 5, "OBJECT IDENTIFIER": 6, "UTF8String": 12,
    "SEQUENCE": 16, "SEQUENCE OF": 16, "Certificate": 16, "SubjectPublicKeyInfo": 16, "CertificateList": 16,
}  # fmt: skip
_CLASSES = {"UNIVERSAL": 0, "APPLICATION": 1}


@functools.lru_cache(maxsize=1024)
def observed(name: str, message: bytes) -> tuple[str, ...]:
    """Return the items of a message, found by its tags alone: what is below NOT_LOOKED_INTO may be anything."""
    nodes = _siblings(message)
    return tuple(_present(SGP32, {"type": name}, name, nodes[0])) if len(nodes) == 1 else ()


def _siblings(data: bytes) -> list[tlv.Tlv]:
    try:
        return list(tlv._siblings(data, 0))
    except DecodeError:
        return []


def _step(module: str, descriptor: dict[str, Any]) -> tuple[str, dict[str, Any], str] | None:
    """Return what a reference to a type leads to, and its name; None for no reference."""
    name = descriptor["type"]
    if name in OPAQUE:
        return None
    if name in SCHEMA[module]["types"]:
        return module, SCHEMA[module]["types"][name], name
    for source, names in SCHEMA[module]["imports"].items():
        if name in names:
            return source, SCHEMA[source]["types"][name], name
    return None


def _tags(module: str, descriptor: dict[str, Any]) -> set[tuple[int, int]]:
    """Return class and number of the tags that a type may have on the wire."""
    while "tag" not in descriptor:
        found = _step(module, descriptor)
        if found is None:
            if descriptor["type"] == "CHOICE":
                return set().union(*(_tags(module, member) for member in descriptor["members"]))
            return {(0, _UNIVERSAL.get(descriptor["type"], -1))}
        module, descriptor, _ = found
    tag = descriptor["tag"]
    return {(_CLASSES.get(tag.get("class", ""), 2), tag["number"])}


def _of(node: tlv.Tlv) -> tuple[int, int]:
    octets = tlv.tag_bytes(node.tag)
    number = 0
    for octet in octets[1:]:
        number = number << 7 | octet & 0x7F
    return octets[0] >> 6, number if len(octets) > 1 else octets[0] & 0x1F


def _present(
    module: str, descriptor: dict[str, Any], path: str, node: tlv.Tlv, *, everything: bool = False
) -> Iterator[str]:
    """``everything``: below types that are not looked into as well."""
    around = False
    while True:
        around = around or descriptor.get("tag", {}).get("kind") == "EXPLICIT"
        found = _step(module, descriptor)
        if found is None:
            break
        module, descriptor, path = found
    kind = descriptor["type"]
    if path in NOT_LOOKED_INTO and not everything:
        return
    below = functools.partial(_present, everything=everything)
    children = _siblings(node.value)
    if kind == "CHOICE":
        chosen = children[0] if around and children else node
        for member in descriptor["members"]:
            if _of(chosen) in _tags(module, member):
                yield f"{path}.{member['name']}"
                yield from below(module, member, f"{path}.{member['name']}", chosen)
    elif kind == "SEQUENCE":
        for member in descriptor["members"]:
            child = next((child for child in children if _of(child) in _tags(module, member)), None)
            if member.get("optional"):
                yield coverage_items.presence(path, member, child is not None)
            if child is not None:
                yield from below(module, member, f"{path}.{member['name']}", child)
    elif kind == "SEQUENCE OF":
        for child in children:
            yield from below(module, descriptor["element"], f"{path}.[]", child)
    elif kind == "INTEGER":
        value = int.from_bytes(node.value, "big", signed=True)
        names = NUMBERS[module].get(path, {})
        if value in names:
            yield coverage_items.number_item(path, value, names[value])
    elif kind == "BIT STRING":
        names = BITS[module].get(path, {})
        for position in codec.positions((node.value[1:], 8 * len(node.value) - 8 - sum(node.value[:1]))):
            if position in names:
                yield f"{path}:{names[position]}"


def exchange(party: str, message: bytes, answer: bytes | None) -> Iterator[str]:
    """Yield the items of one exchange at a party; ``answer``: None when there was none, empty for 204."""
    found = observed("EsipaMessageFromIpaToEim", message)
    if answer:
        found += observed("EsipaMessageFromEimToIpa", answer)
    elif answer is not None and message[:2] == b"\xbf\x3d":
        found += ("HandleNotification answered without a body",)
    for item in found:
        yield f"ESipa, {party}: {item}"


def _watch_eim(note: Callable[[str], None]) -> Callable[[], None]:
    from fixtures.eim.esipa import Answer, Esipa, Peer

    original = Esipa._handle

    async def handle(esipa: Esipa, body: bytes, peer: Peer) -> Answer:
        answer = await original(esipa, body, peer)
        for item in exchange("eIM", bytes(body), None if answer.text else answer.body):
            note(item)
        return answer

    setattr(Esipa, "_handle", handle)  # noqa: B010
    return lambda: setattr(Esipa, "_handle", original)


def _watch_bindings(note: Callable[[str], None]) -> Callable[[], None]:
    from fixtures.eim.bindings import PATH, Bindings, Reply
    from fixtures.eim.esipa import Peer

    original = Bindings.answer

    async def answer(bindings: Bindings, path: str, content_type: str, body: bytes, peer: Peer) -> Reply:
        reply = await original(bindings, path, content_type, body, peer)
        if reply.status in (200, 204) and TRANSPORT.get():
            tag = int.from_bytes(body[:2], "big") if path == PATH else esipa_json.function(path)
            _note_function(note, "eIM", "ASN.1" if path == PATH else "JSON", tag)
        return reply

    setattr(Bindings, "answer", answer)  # noqa: B010
    return lambda: setattr(Bindings, "answer", original)


def _watch_https(_: Callable[[str], None]) -> Callable[[], None]:
    """A message that reaches the eIM by its HTTP server is one over HTTPS."""
    from fixtures.eim import http

    original = http.server

    def server(*given: Any, **more: Any) -> Any:
        made = original(*given, **more)
        handler = made.request_handler

        async def handle(request: Any) -> Any:
            TRANSPORT.set("HTTPS")
            return await handler(request)

        made.request_handler = handle
        return made

    setattr(http, "server", server)  # noqa: B010
    return lambda: setattr(http, "server", original)


def _watch_ipa(note: Callable[[str], None]) -> Callable[[], None]:
    from fixtures.ipa.esipa import EsipaConnection

    original = EsipaConnection.request

    async def request(esipa: EsipaConnection, message: bytes) -> bytes:
        TRANSPORT.set("HTTPS" if esipa.url(0xBF4F).startswith("https") else "CoAPS")
        answer = await original(esipa, message)
        for item in exchange("IPA", bytes(message), answer):
            note(item)
        binding = "JSON" if esipa._options.binding == "json" else "ASN.1"
        _note_function(note, "IPA", binding, int.from_bytes(message[:2], "big"))
        return answer

    setattr(EsipaConnection, "request", request)  # noqa: B010
    return lambda: setattr(EsipaConnection, "request", original)


WATCHED: dict[str, tuple[str, Callable[[Callable[[str], None]], Callable[[], None]]]] = {
    "fixtures.eim.esipa": ("Esipa", _watch_eim),
    "fixtures.eim.bindings": ("Bindings", _watch_bindings),
    "fixtures.eim.http": ("server", _watch_https),
    "fixtures.eim.coap": ("handler", coverage_coap.watch_eim),
    "fixtures.ipa.coap": ("CoapConnection", coverage_coap.watch_ipa),
    "fixtures.ipa.esipa": ("EsipaConnection", _watch_ipa),
}
"""Module -> what in it is looked at, and what wraps it."""


def _note_function(note: Callable[[str], None], party: str, binding: str, tag: int | None) -> None:
    for name, known in esipa_json.FUNCTIONS.items():
        if known == tag:
            note(f"ESipa, {party}: {name} in {binding} over {TRANSPORT.get()}")


def unknown() -> list[str]:
    """Return the names in the tables above that the ASN.1 does not have."""
    types = {name for module in SCHEMA.values() for name in module["types"]}
    return [
        name
        for name in (*NOT_LOOKED_INTO, *LEFT_OUT, *(item[5:] for item in NEVER_SAID))
        if re.split("[.=]", name)[0] not in types
    ]


class Watch:
    """Wraps the parties, each once some test module has imported it."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._undo: dict[str, Callable[[], None]] = {}

    def attach(self) -> None:
        """Wrap what is there now and not wrapped yet."""
        for module, (name, wrap) in WATCHED.items():
            if module not in self._undo and hasattr(sys.modules.get(module), name):
                self._undo[module] = wrap(self._note)

    def undo(self) -> None:
        """Take the wrapping away."""
        for undo in self._undo.values():
            undo()
        self._undo.clear()
