"""What holds each message of ESipa, ES9+ and ES2+: literal bytes that a test has, and pycrate's reading of them.

A test that has compared literal bytes says so by ``held``; for pycrate with the value that pycrate made of them, so
that an item counts only where both understand the bytes alike. Items of ES10 are held in tests/rsp as well (every field
and alternative, test_messages.py), their numbers at the card alone.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coverage_items

from bench.rsp import esipa_json
from bench.rsp.asn1.schema import SCHEMA

LITERAL, PYCRATE = "literal", "pycrate"
NOTE: list[Callable[[str], None]] = []
"""Of the plugin (tests/coverage_table.py), while it is there."""

SGP32, SGP22 = coverage_items.SGP32, coverage_items.SGP22
_STANDARDS = {SGP32: "SGP.32", SGP22: "SGP.22"}
_ES9_MESSAGES = {
    "initiateAuthentication": "initiateAuthentication",
    "authenticateClient": "authenticateClient",
    "getBoundProfilePackage": "getBoundProfilePackage",
    "cancelSession": "cancelSession",
    "handleNotification": "handleNotification",
}
_EVENTS = {"install": "notificationInstall", "enable": "notificationEnable", "disable": "notificationDisable",
           "delete": "notificationDelete"}  # fmt: skip


def held(how: str, module: str, name: str, data: Any) -> None:
    """Say that a test holds a message. ``data``: its literal bytes, or what pycrate made of them."""
    found = of_bytes(module, name, data) if how == LITERAL else of_value(module, name, data)
    for item in found:
        note(how, item)


def note(how: str, item: str) -> None:
    """Say that a test holds one item."""
    for one in NOTE:
        one(f"{how}: {item}")


@functools.lru_cache(maxsize=4096)
def of_bytes(module: str, name: str, data: bytes) -> tuple[str, ...]:
    """Return the items of a message, found by its tags."""
    import coverage_esipa

    nodes = coverage_esipa._siblings(data)
    if len(nodes) != 1:
        return ()
    found = coverage_esipa._present(module, {"type": name}, name, nodes[0], everything=True)
    return tuple(dict.fromkeys(f"{_STANDARDS[module]} {item}" for item in found))


def of_value(module: str, name: str, value: Any) -> tuple[str, ...]:
    """Return the items of a message, found in the value that a program has made of it."""
    found = coverage_items._present(*coverage_items._start(module, name), value, bits=True, mark="", everything=True)
    return tuple(dict.fromkeys(f"{_STANDARDS[module]} {item}" for item in found))


# --- which message an item of the table is about --------------------------------------------------------------------


def messages_of(item: str) -> dict[str, tuple[str, ...]]:
    """Return what must hold an item: the items of messages, by how; empty where there is no message, or not of ours."""
    interface, _, rest = item.partition(" ")
    if interface == "ESipa,":
        return _esipa(rest.partition(": ")[2])
    if interface == "CoAP,":
        party, _, what = rest.partition(": ")
        return {LITERAL: (f"CoAP {what}",)} if party == "eIM" else {}
    if interface in ("ES9+", "ES2+"):
        return _es9(rest) if interface == "ES9+" else _es2(rest)
    return {}


def _both(*items: str) -> dict[str, tuple[str, ...]]:
    return {LITERAL: items, PYCRATE: items}


def _esipa(what: str) -> dict[str, tuple[str, ...]]:
    function = re.fullmatch(r"(\w+) in (ASN\.1|JSON)(?: over \w+)?", what)
    if function is not None and function[2] == "JSON":
        return _both(f"JSON {function[1]}")
    if function is not None:
        tag = esipa_json.FUNCTIONS[function[1]]
        return _both(*(f"SGP.32 {name}" for name in _with_tag(tag)))
    root = re.split(r"[.=:]", what)[0]
    return _both(f"SGP.32 {what}") if root in SCHEMA[SGP32]["types"] or root in SCHEMA[SGP22]["types"] else {}


def _with_tag(tag: int) -> Iterator[str]:
    import coverage_esipa

    from bench.rsp import tlv

    number = tlv.tag_bytes(tag)[-1]
    for name in coverage_esipa.MESSAGES:
        for member in SCHEMA[SGP32]["types"][name]["members"]:
            if (2, number) in coverage_esipa._tags(SGP32, member):
                yield f"{name}.{member['name']}"


def _es9(what: str) -> dict[str, tuple[str, ...]]:
    import coverage_smdpp

    function, _, rest = what.partition(" ")
    function, colon, code = function.partition(":")
    if rest == "in ASN.1":
        names = [f"SGP.22 RemoteProfileProvisioningRequest.{_member(function, 'Request')}"]
        if function != "handleNotification":
            names.append(f"SGP.22 RemoteProfileProvisioningResponse.{_member(function, 'Response')}")
        return _both(*names)
    if rest.startswith("in ASN.1: "):
        number, _, name = rest.removeprefix("in ASN.1: ").partition(" ")
        return _both(f"SGP.22 {coverage_items.number_item(coverage_smdpp.ASN1_ERRORS[function], int(number), name)}")
    if rest.startswith("reason "):
        number, name = rest.split(" ")[1:]
        return _both(f"SGP.22 {coverage_items.number_item('CancelSessionReason', int(number), name)}")
    if rest.startswith("error "):
        number, name = rest.split(" ")[1:]
        return _both(f"SGP.22 {coverage_items.number_item('ErrorReason', int(number), name)}")
    if function == "handleNotification" and rest in _EVENTS:
        return _both(f"SGP.22 NotificationEvent:{_EVENTS[rest]}")
    del colon, code
    if rest == "Executed-Success":
        return _both(f"JSON ES9+ {function}")
    return {LITERAL: (f"JSON {rest}",)} if re.fullmatch(r"[\d.]+/[\d.]+", rest) else {}


def _member(function: str, end: str) -> str:
    """Return the alternative of RemoteProfileProvisioningRequest or -Response that carries a function."""
    members = [member["name"] for member in SCHEMA[SGP22]["types"][f"RemoteProfileProvisioning{end}"]["members"]]
    choice = SCHEMA[SGP22]["types"].get(f"RemoteProfileProvisioning{end}Choice", {}).get("members", ())
    members += [member["name"] for member in choice]
    return next(name for name in members if name.startswith(function))


def _es2(what: str) -> dict[str, tuple[str, ...]]:
    function, _, rest = what.partition(" ")
    function = function.rstrip(":")
    if re.fullmatch(r"[\d.]+/[\d.]+", rest):
        return {LITERAL: (f"JSON {rest}",)}
    return {LITERAL: (f"JSON ES2+ {function}",)}


# --- the literals, for the report -----------------------------------------------------------------------------------


@functools.cache
def literals() -> dict[str, str]:
    """Return the shortest literal of every item of a message, as text."""
    from rsp.messages import messages
    from rsp.vectors import vectors

    found: dict[str, str] = {}

    def take(item: str, text: str) -> None:
        if item not in found or len(text) < len(found[item]):
            found[item] = text

    named = {name: module for module in (SGP22, SGP32) for name in SCHEMA[module]["types"]}
    for module, name, data in [*messages(), *((named[name], name, data) for name, _, data in vectors())]:
        for item in of_bytes(module, name, data):
            take(item, data.hex())
    folder = Path(__file__).parent
    for path, interface in (("rsp/esipa_json_vectors.json", ""), ("smdpp/es9plus_vectors.json", "ES9+ ")):
        for vector in json.loads((folder / path).read_text()):
            name = vector.get("function") or function_of(vector["message"])
            take(f"JSON {interface}{name}", json.dumps(vector["json"], separators=(",", ":")))
    return found


def function_of(message: str) -> str:
    """Return the function of ESipa that a message (hex) is of."""
    tag = int(message[:4], 16)
    return next(name for name, known in esipa_json.FUNCTIONS.items() if known == tag)
