"""pycrate as a second ASN.1 implementation over our module text, and hypothesis strategies for any of its types.

pycrate handles tagged CHOICE, object identifiers and named bits by itself: what it makes of a value is evidence that
our corrections of asn1tools are right. It is slow and takes values in its own shapes, hence only here.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import operator
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

from bench.rsp import tlv
from bench.rsp.asn1.runtime import OPAQUE
from bench.rsp.asn1.schema import SCHEMA

ASN1 = Path(__file__).parents[2] / "bench" / "rsp" / "asn1"


PROBE = """
Probe DEFINITIONS IMPLICIT TAGS ::=
BEGIN
Response ::= [65] CHOICE { ok [0] NULL, error [1] INTEGER }
Request ::= [65] SEQUENCE { transactionId [0] OCTET STRING, response [1] Response }
END
"""


@functools.cache
def compiled_by_pycrate() -> ModuleType:
    """Return our module text as pycrate compiles it: once a process, since pycrate keeps what it compiled."""
    from pycrate_asn1c.asnproc import compile_text, generate_modules
    from pycrate_asn1c.generator import PycrateGenerator

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "pycrate_rsp.py"
        with contextlib.redirect_stdout(io.StringIO()):
            compile_text([*(path.read_text() for path in sorted(ASN1.glob("*.asn"))), PROBE])
            generate_modules(PycrateGenerator, str(target))
        spec = importlib.util.spec_from_file_location("pycrate_rsp", target)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def pycrate_type(compiled: ModuleType, module: str, name: str) -> Any:
    """Return pycrate's object of a type."""
    return getattr(getattr(compiled, module), name.replace("-", "_"))


def resolve(module: str, descriptor: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Follow references of a descriptor to the type it is made of."""
    while True:
        name = descriptor["type"]
        if name in OPAQUE:
            return module, {"type": name}
        if name in SCHEMA[module]["types"]:
            descriptor = SCHEMA[module]["types"][name]
            continue
        for source, names in SCHEMA[module]["imports"].items():
            if name in names:
                module, descriptor = source, SCHEMA[source]["types"][name]
                break
        else:
            return module, descriptor


_SIZES = {"Octet1": 1, "Octet4": 4, "Octet8": 8, "Octet16": 16, "Octet32": 32}
_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_SMALL = st.binary(max_size=12)


def values(module: str, descriptor: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Return a strategy of values, in our shapes, of a type of the schema."""
    size = _SIZES.get(descriptor["type"]) or (16 if descriptor["type"] == "OctetTo16" else None)
    if size is not None:
        return st.binary(min_size=size, max_size=size)
    module, descriptor = resolve(module, descriptor)
    kind = descriptor["type"]
    if kind in OPAQUE:
        return _opaque(kind)
    if kind == "SEQUENCE":
        required: dict[str, st.SearchStrategy[Any]] = {}
        optional: dict[str, st.SearchStrategy[Any]] = {}
        for member in descriptor["members"]:
            strategy = values(module, member, depth + 1)
            if "default" in member:
                strategy = strategy.filter(functools.partial(operator.ne, member["default"]))
            target = optional if member.get("optional") or "default" in member else required
            target[member["name"]] = strategy
        return st.fixed_dictionaries(required, optional=optional)
    if kind == "CHOICE":
        alternatives = [
            st.tuples(st.just(member["name"]), values(module, member, depth + 1)) for member in descriptor["members"]
        ]
        return st.one_of(*alternatives)
    if kind == "SEQUENCE OF":
        return st.lists(values(module, descriptor["element"], depth + 1), max_size=3 if depth < 4 else 1)
    return _leaf(kind, "named-bits" in descriptor)


def _leaf(kind: str, named: bool) -> st.SearchStrategy[Any]:
    if kind == "BIT STRING":
        octets = st.binary(max_size=4)
        return octets.map(_canonical_bits) if named else octets.map(lambda data: (data, 8 * len(data)))
    return {
        "INTEGER": st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-200, 200)),
        "OCTET STRING": _SMALL,
        "UTF8String": _TEXT,
        "BOOLEAN": st.booleans(),
        "NULL": st.none(),
        "OBJECT IDENTIFIER": _oid(),
        "ANY": _SMALL.map(lambda data: tlv.build(0x04, data)),
        "UTCTime": st.nothing(),
        "GeneralizedTime": st.nothing(),
    }[kind]


def _oid() -> st.SearchStrategy[str]:
    arcs = st.lists(st.integers(0, 2**28), max_size=4)
    first = st.one_of(st.tuples(st.integers(0, 1), st.integers(0, 39)), st.tuples(st.just(2), st.integers(0, 5000)))
    return st.tuples(first, arcs).map(lambda pair: ".".join(map(str, (*pair[0], *pair[1]))))


def _opaque(kind: str) -> st.SearchStrategy[bytes]:
    bits = _SMALL.map(lambda data: tlv.build(0x03, b"\x00", data))
    inner = _SMALL.map(lambda data: tlv.build(0x30, tlv.build(0x04, data)))
    parts = (inner, bits) if kind == "SubjectPublicKeyInfo" else (inner, inner, bits)
    return st.tuples(*parts).map(lambda items: tlv.build(0x30, *items))


def _canonical_bits(octets: bytes) -> tuple[bytes, int]:
    stripped = octets.rstrip(b"\x00")
    if not stripped:
        return b"", 0
    return stripped, 8 * len(stripped) - ((stripped[-1] & -stripped[-1]).bit_length() - 1)


_OPAQUE_FIELDS = {
    "Certificate": ("tbsCertificate", "signatureAlgorithm", "signature"),
    "CertificateList": ("tbsCertList", "signatureAlgorithm", "signature"),
    "SubjectPublicKeyInfo": ("algorithm", "subjectPublicKey"),
}


def to_pycrate(module: str, descriptor: dict[str, Any], value: Any) -> Any:
    """Return ``value`` of ours as pycrate takes it."""
    module, descriptor = resolve(module, descriptor)
    kind = descriptor["type"]
    if kind in OPAQUE:
        children = tlv.first(value).children()
        parts: list[Any] = [_pycrate_any(child.raw) for child in children[:-1]]
        parts.append(_pycrate_bits((children[-1].value[1:], None)))
        return dict(zip(_OPAQUE_FIELDS[kind], parts, strict=True))
    if kind == "SEQUENCE":
        members = {member["name"]: member for member in descriptor["members"]}
        return {name: to_pycrate(module, members[name], item) for name, item in value.items()}
    if kind == "CHOICE":
        member = next(member for member in descriptor["members"] if member["name"] == value[0])
        return value[0], to_pycrate(module, member, value[1])
    if kind == "SEQUENCE OF":
        return [to_pycrate(module, descriptor["element"], item) for item in value]
    if kind == "BIT STRING":
        return _pycrate_bits(value)
    if kind == "OBJECT IDENTIFIER":
        return tuple(int(arc) for arc in value.split("."))
    if kind == "ANY":
        return _pycrate_any(value)
    return 0 if kind == "NULL" else value


def _pycrate_any(raw: bytes) -> tuple[str, bytes]:
    """Return a TLV with a tag of one octet as pycrate's value of ANY: class, constructed, number; content."""
    node = tlv.first(raw)
    return f"_unk_{node.tag >> 6}{node.tag >> 5 & 1}{node.tag & 31}", node.value


def _our_any(value: tuple[str, bytes]) -> bytes:
    digits = value[0].removeprefix("_unk_")
    return tlv.build(int(digits[0]) << 6 | int(digits[1]) << 5 | int(digits[2:]), bytes(value[1]))


def _pycrate_bits(value: tuple[bytes, int | None]) -> tuple[int, int]:
    octets, count = value
    count = 8 * len(octets) if count is None else count
    return int.from_bytes(octets, "big") >> (8 * len(octets) - count), count


def from_pycrate(module: str, descriptor: dict[str, Any], value: Any) -> Any:
    """Return pycrate's ``value`` in our shapes."""
    module, descriptor = resolve(module, descriptor)
    kind = descriptor["type"]
    if kind in OPAQUE:
        names = _OPAQUE_FIELDS[kind]
        bits, count = value[names[-1]]
        octets = (bits << -count % 8).to_bytes((count + 7) // 8, "big")
        parts = [_our_any(value[name]) for name in names[:-1]]
        return tlv.build(0x30, *parts, tlv.build(0x03, bytes((-count % 8,)), octets))
    if kind == "SEQUENCE":
        members = {member["name"]: member for member in descriptor["members"]}
        return {name: from_pycrate(module, members[name], item) for name, item in value.items()}
    if kind == "CHOICE":
        member = next(member for member in descriptor["members"] if member["name"] == value[0])
        return value[0], from_pycrate(module, member, value[1])
    if kind == "SEQUENCE OF":
        return [from_pycrate(module, descriptor["element"], item) for item in value]
    if kind == "BIT STRING":
        bits, count = value
        return (bits << -count % 8).to_bytes((count + 7) // 8, "big"), count
    if kind == "OBJECT IDENTIFIER":
        return ".".join(map(str, value))
    if kind == "ANY":
        return _our_any(value)
    return None if kind == "NULL" else value


def without_defaults(module: str, descriptor: dict[str, Any], value: Any) -> Any:
    """Return a decoded value of ours without the fields that decoding filled in from a DEFAULT."""
    module, descriptor = resolve(module, descriptor)
    kind = descriptor["type"]
    if kind == "SEQUENCE":
        members = {member["name"]: member for member in descriptor["members"]}
        return {
            name: without_defaults(module, members[name], item)
            for name, item in value.items()
            if members[name].get("default", value) != item
        }
    if kind == "CHOICE":
        member = next(member for member in descriptor["members"] if member["name"] == value[0])
        return value[0], without_defaults(module, member, value[1])
    if kind == "SEQUENCE OF":
        return [without_defaults(module, descriptor["element"], item) for item in value]
    return value
