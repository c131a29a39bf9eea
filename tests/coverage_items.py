"""What a card can be asked and can answer, item by item, derived from the ASN.1 of SGP.22 and SGP.32.

An item is a function, an alternative of a CHOICE or a named number or bit in its command or response. Nothing is listed
by hand, so that nothing can be forgotten: what needs no test is left out here, each with the reason.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.rsp import codec
from bench.rsp.asn1.runtime import OPAQUE
from bench.rsp.asn1.schema import BITS, NUMBERS, SCHEMA

SGP32, SGP22 = "SGP32Definitions", "RSPDefinitions"

OTHER_INTERFACES = {
    "RSPDefinitions": {
        "StoreMetadataRequest": "part of a Bound Profile Package (unit A1)",
        "UpdateMetadataRequest": "ES6: by the operator, over the profile's own channel",
        "InitialiseSecureChannelRequest": "part of a Bound Profile Package (first unit)",
        "ConfigureISDPRequest": "part of a Bound Profile Package (unit A0)",
        "ReplaceSessionKeysRequest": "part of a Bound Profile Package (unit A2)",
        "RemoteProfileProvisioningRequest": "ES9+",
        "InitiateAuthenticationRequest": "ES9+",
        "AuthenticateClientRequest": "ES9+",
        "GetBoundProfilePackageRequest": "ES9+",
        "LpaeActivationRequest": "tag and coding of IpaeActivation, which is counted",
    },
    "SGP32Definitions": {
        "StoreMetadataRequest": "part of a Bound Profile Package (unit A1)",
        "UpdateMetadataRequest": "ES6: by the operator, over the profile's own channel",
        "AuthenticateClientRequest": "ES9+",
        "IpaEuiccDataRequest": "ESipa: answered by the IPA",
        "ProfileDownloadTriggerRequest": "ESipa: answered by the IPA",
        "GetEimPackageRequest": "ESipa",
        "TransferEimPackageRequest": "ESipa",
    },
}
"""Messages with a name of a request that no card is sent as a function."""

RESPONSES = {
    "GetEuiccInfo1Request": "EUICCInfo1",
    "GetEuiccInfo2Request": "EUICCInfo2",
    "EuiccPackageRequest": "EuiccPackageResult",
}
"""Responses that are not named like their request."""

NOT_LOOKED_INTO = {
    "EUICCInfo2": "what a card is, not what it answers: one value a card",
    "EuiccSigned1": "the card's copy of EUICCInfo2 and of what the server sent",
    "ServerSigned1": "no alternatives",
    "DeviceInfo": "what a device is, sent on by the card",
    "StoreMetadataRequest": "metadata of a package: read back by GetProfilesInfo, which is counted",
    "ProfileInfo [PSMO]": "the same fields as in GetProfilesInfo, which are counted",
}

LEFT_OUT = {
    "AuthenticateServerResponse.compactAuthenticateResponseOk": "made by the IPA for ESipa (fact sheet C.7)",
    "PrepareDownloadResponse.compactDownloadResponseOk": "made by the IPA for ESipa (fact sheet C.7)",
    "CancelSessionResponseChoice.compactCancelSessionResponseOk": "made by the IPA for ESipa (fact sheet C.7)",
    "PendingNotification.compactProfileInstallationResult": "made by the IPA for ESipa (fact sheet C.7)",
    "PendingNotification.compactOtherSignedNotification": "made by the IPA for ESipa (fact sheet C.7)",
    "EimSupportedProtocol:eimProprietary": "nothing of it is standardised",
}
"""Items, and all below them, that need no test."""


@dataclass(frozen=True, slots=True)
class Function:
    """An ES10 function: outer tag as on the wire, types of command and response."""

    name: str
    tag: int
    request: tuple[str, str]
    response: tuple[str, str]

    @property
    def mark(self) -> str:
        """Set after items of a type that the two standards define differently."""
        return " [SGP.22]" if self.request[0] == SGP22 and self.request[1] in SCHEMA[SGP32]["types"] else ""


@functools.cache
def functions() -> dict[int, Function]:
    """Return the functions of ES10 by tag. A tag that both standards use means SGP.32's, which is the wider one."""
    found: dict[int, Function] = {}
    for module in (SGP32, SGP22):
        for name, descriptor in SCHEMA[module]["types"].items():
            if not name.endswith("Request") or "tag" not in descriptor or name in OTHER_INTERFACES[module]:
                continue
            tag = descriptor["tag"]["number"]
            outer = 0xBF00 | tag if tag >= 31 else 0xA0 | tag
            response = RESPONSES.get(name, f"{name.removesuffix('Request')}Response")
            home = next(where for where in (module, SGP22, SGP32) if response in SCHEMA[where]["types"])
            if home == SGP22 and response in SCHEMA[SGP32]["types"] and name not in SCHEMA[SGP32]["types"]:
                home = SGP32
            found.setdefault(outer, Function(name.removesuffix("Request"), outer, (module, name), (home, response)))
    package = (SGP22, "BoundProfilePackage")
    found[0xBF36] = Function("LoadBoundProfilePackage", 0xBF36, package, (SGP32, "ProfileInstallationResult"))
    return found


def number_item(path: str, code: int, name: str) -> str:
    """Return the item of a named number."""
    return f"{path}={code} {name}"


def presence(path: str, member: dict[str, Any], there: bool) -> str:
    """Return the item of an optional field that is there, or that is not."""
    return f"{path}.{member['name']}{' given' if there else ' left out'}"


def left_out(item: str) -> str:
    """Return why an item needs no test, empty when it does."""
    return next((why for prefix, why in LEFT_OUT.items() if item == prefix or item.startswith(f"{prefix}.")), "")


def _below(path: str, descriptor: dict[str, Any], mark: str) -> str:
    """Return the mark of what is in a result of a PSMO: types that are answers of ES10 functions too are told apart."""
    own = any(function.response[1] == descriptor["type"] for function in functions().values())
    return " [PSMO]" if own and path.startswith("EuiccResultData.") else mark


@functools.cache
def required() -> dict[str, str]:
    """Return every item with the function that it was first found in, in the order of the tags."""
    items: dict[str, str] = {}
    for tag, function in sorted(functions().items()):
        for item in (f"{tag:04X} {function.name}", *_all_of(function)):
            if not left_out(item):
                items.setdefault(item, function.name)
    for unit in ("A0", "A1", "A2", "A3", "86", "87", "88"):
        items[f"BoundProfilePackage unit {unit}"] = "LoadBoundProfilePackage"
    for template in ("ISDRProprietaryApplicationTemplate", "ISDRProprietaryApplicationTemplateIoT"):
        items[f"SELECT ISD-R: {template}"] = "SELECT"
    return items


def _all_of(function: Function) -> Iterator[str]:
    if function.tag != 0xBF36:
        yield from _possible(*_start(*function.request), set(), bits=True, mark=function.mark)
    yield from _possible(*_start(*function.response), set(), bits=False, mark=function.mark)


def _start(module: str, name: str) -> tuple[str, dict[str, Any], str]:
    return module, {"type": name}, name


def _resolve(module: str, descriptor: dict[str, Any], path: str) -> tuple[str, dict[str, Any], str]:
    """Follow references; the path of a named type is its name."""
    while True:
        name = descriptor["type"]
        if name in OPAQUE:
            return module, {"type": name}, path
        if name in SCHEMA[module]["types"]:
            descriptor, path = SCHEMA[module]["types"][name], name
            continue
        for source, names in SCHEMA[module]["imports"].items():
            if name in names:
                module, descriptor, path = source, SCHEMA[source]["types"][name], name
                break
        else:
            return module, descriptor, path


def _possible(
    module: str, descriptor: dict[str, Any], path: str, seen: set[str], *, bits: bool, mark: str
) -> Iterator[str]:
    mark = _below(path, descriptor, mark)
    module, descriptor, path = _resolve(module, descriptor, path)
    if path + mark in seen or NOT_LOOKED_INTO.keys() & {path, path + mark}:
        return
    kind = descriptor["type"]
    if kind in ("SEQUENCE", "CHOICE"):
        seen.add(path + mark)
        for member in descriptor["members"]:
            below = f"{path}.{member['name']}"
            if left_out(below):
                continue
            if kind == "CHOICE":
                yield below + mark
            yield from _possible(module, member, below, seen, bits=bits, mark=mark)
    elif kind == "SEQUENCE OF":
        yield from _possible(module, descriptor["element"], f"{path}.[]", seen, bits=bits, mark=mark)
    elif kind == "INTEGER":
        for code, name in NUMBERS[module].get(path, {}).items():
            yield number_item(path, code, name) + mark
    elif kind == "BIT STRING" and bits:
        for name in BITS[module].get(path, {}).values():
            yield f"{path}:{name}" + mark


def observed(function: Function, command: bytes, response: bytes) -> list[str]:
    """Return the items of one exchange of a function. What does not decode is an item that says so."""
    items = [f"{function.tag:04X} {function.name}"]
    if function.tag != 0xBF36:
        module, name = function.request
        try:
            value = codec.decode(name, command, module=module)
            items += _present(*_start(module, name), value, bits=True, mark=function.mark)
        except ValueError:
            pass  # a test of what the card answers to it
    module, name = function.response
    try:
        value = codec.decode(name, response, module=module)
    except ValueError:
        return [*items, f"undecodable {name}"]
    return [*items, *_present(*_start(module, name), value, bits=False, mark=function.mark)]


def _present(
    module: str, descriptor: dict[str, Any], path: str, value: Any, *, bits: bool, mark: str, everything: bool = False
) -> Iterator[str]:
    """``everything``: below types that are not looked into as well, and without marks."""
    mark = "" if everything else _below(path, descriptor, mark)
    module, descriptor, path = _resolve(module, descriptor, path)
    if not everything and NOT_LOOKED_INTO.keys() & {path, path + mark}:
        return
    below = functools.partial(_present, bits=bits, mark=mark, everything=everything)
    kind = descriptor["type"]
    if kind == "CHOICE":
        name, inner = value
        member = next(member for member in descriptor["members"] if member["name"] == name)
        yield f"{path}.{name}" + mark
        yield from below(module, member, f"{path}.{name}", inner)
    elif kind == "SEQUENCE":
        for member in descriptor["members"]:
            there = member["name"] in value
            if everything and member.get("optional"):
                yield presence(path, member, there)
            if there:
                yield from below(module, member, f"{path}.{member['name']}", value[member["name"]])
    elif kind == "SEQUENCE OF":
        for inner in value:
            yield from below(module, descriptor["element"], f"{path}.[]", inner)
    elif kind == "INTEGER":
        names = NUMBERS[module].get(path)
        if names and value in names:
            yield number_item(path, value, names[value]) + mark
        elif names and not bits:  # a command may be wrong: that is a test of the card
            yield f"{path}={value} (no name){mark}"
    elif kind == "BIT STRING" and bits:
        names = BITS[module].get(path, {})
        for position in codec.positions(value):
            if position in names:
                yield f"{path}:{names[position]}" + mark
