"""What may differ between two runs of the same thing, field by field (SGP.22 and SGP.32 ASN.1 names).

A field's class says how its values are compared: not at all, by length, by what they are bound to elsewhere in the same
run, or literally. Whatever has no rule is stable. What SGP.22 and SGP.32 say of their fields is in
``bench.trace.volatile``; here is what a diff needs beyond that: types, files, AT commands, certificates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.trace.calls import Exchange
from bench.trace.tree import Field
from bench.trace.volatile import BY_NAME, FieldClass

BOUND: Final = frozenset(
    (FieldClass.RANDOM, FieldClass.SESSION, FieldClass.EPHEMERAL, FieldClass.COUNTER, FieldClass.IDENTITY)
)
BY_LENGTH: Final = frozenset((FieldClass.SIGNATURE, FieldClass.HASH, FieldClass.ENCRYPTED))

_BY_NAME: Final = {
    **BY_NAME,
    # Of the binding, of files and of lines: what no card answers.
    "functionCallIdentifier": FieldClass.TIME,
    "timestamp": FieldClass.TIME,
    "eimPublicKeyData": FieldClass.IDENTITY,
    "subjectPublicKeyInfo": FieldClass.IDENTITY,
    "sessionid": FieldClass.TIME,
    "PDP_addr": FieldClass.IDENTITY,
    "elapsed": FieldClass.TIME,
    "message": FieldClass.TIME,
    "hostId": FieldClass.SESSION,
}
_BY_KIND: Final = {
    "Iccid": FieldClass.IDENTITY,
    "TransactionId": FieldClass.SESSION,
    "CertificateSerial": FieldClass.IDENTITY,
    "CertificateKey": FieldClass.IDENTITY,
    "CertificateTime": FieldClass.TIME,
    "CertificateSignature": FieldClass.SIGNATURE,
    "CardResource": FieldClass.STATE,
    "Random": FieldClass.RANDOM,
}
_SIGNED: Final = re.compile(r"(?:[a-z0-9]+Signature[12]?|euiccSign[A-Z]+|smdpSign|5F37)$")
_ENCRYPTED: Final = ("firstSequenceOf87", "secondSequenceOf87", "sequenceOf86", "sequenceOf88")
_COUNTER_NAMES: Final = {"seqNumber": "sequence", "SequenceNumber": "sequence"}
_FILES: Final = {
    "EF.ICCID": FieldClass.IDENTITY,
    "EF.IMSI": FieldClass.IDENTITY,
    "EF.LOCI": FieldClass.TIME,
    "EF.PSLOCI": FieldClass.TIME,
    "EF.EPSLOCI": FieldClass.TIME,
    "EF.5GS3GPPLOCI": FieldClass.TIME,
    "EF.EPSNSC": FieldClass.TIME,
    "EF.FPLMN": FieldClass.STATE,
}
_AT: Final = {
    "AT+CGSN": FieldClass.IDENTITY,
    "AT+CIMI": FieldClass.IDENTITY,
    "AT+ICCID": FieldClass.IDENTITY,
    "AT+QCCID": FieldClass.IDENTITY,
    "AT+CCLK?": FieldClass.TIME,
    "AT+CGPADDR=": FieldClass.TIME,
    "AT+CGCONTRDP=": FieldClass.TIME,
}


@dataclass(frozen=True, slots=True)
class Item:
    """One field as it is compared."""

    path: str
    """Names from ``request`` or ``answer`` down, with ``/``; same names are numbered from 2."""
    text: str
    raw: bytes
    kind: FieldClass
    group: str = ""
    """Of a bound field: values of one group are looked for in each other's places."""


def classify(name: str, field: Field, path: str, made: Exchange) -> FieldClass:
    """Return the class of a leaf. ``name``: of it, without number; ``path``: down from ``request`` or ``answer``."""
    if any(part in path for part in _ENCRYPTED):
        return FieldClass.ENCRYPTED
    if field.kind in _BY_KIND:
        return _BY_KIND[field.kind]
    if name in _BY_NAME:
        return FieldClass.STABLE if name == "associationToken" and field.text == "-1" else _BY_NAME[name]
    if _SIGNED.search(name):
        return FieldClass.SIGNATURE
    if "/eimPublicKeyData/" in path or "/trustedPublicKeyDataTls/" in path:
        return FieldClass.IDENTITY
    if name == "contents":
        return _FILES.get(made.file.rpartition("/")[2], FieldClass.STABLE)
    if field.kind == "INTEGER" and "EimAcknowledgements" in path:
        return FieldClass.COUNTER
    if made.kind == "at":
        return _AT.get(made.function, FieldClass.STABLE)
    if field.kind == "Name" and "serialNumber=" in field.text:  # an eUICC certificate's subject has the EID
        return FieldClass.IDENTITY
    return FieldClass.STABLE


def items(made: Exchange) -> list[Item]:
    """Return the fields of an exchange as they are compared; segments of a package count as one field each kind."""
    request, answer = made.fields()
    found = list(_items("request", request, made))
    if answer is not None:
        found += _items("answer", answer, made)
    return found


def _items(side: str, tree: Field, made: Exchange) -> Iterator[Item]:
    segments: dict[str, tuple[int, int]] = {}
    if not tree.children and tree.raw and made.kind not in ("at", "scpi", "urc"):
        tree = Field(tree.name, "", tree.raw, [Field("value", tree.text, tree.raw, kind=tree.kind)])
    for path, field in tree.leaves(f"{side}/"):
        name = path.rpartition("/")[2].partition("[")[0]
        if name == "status" and field.kind == "StatusWord":
            continue
        raw = field.raw if field.raw is not None else field.text.encode("utf-8", "replace")
        kind = classify(name, field, path, made)
        if kind is FieldClass.ENCRYPTED:
            where = next(part for part in _ENCRYPTED if part in path)
            count, size = segments.get(where, (0, 0))
            segments[where] = count + 1, size + len(raw)
            continue
        group = _COUNTER_NAMES.get(name, name) if kind is FieldClass.COUNTER else kind.value
        if kind is FieldClass.COUNTER and field.kind == "INTEGER" and "EimAcknowledgements" in path:
            group = "sequence"
        if kind is FieldClass.IDENTITY:
            raw = _identity(name, raw)
        yield Item(path, field.text, raw, kind, group)
    for where, (count, size) in segments.items():
        yield Item(f"{side}/{where}", f"{count} segments, {size} bytes", bytes(size), FieldClass.ENCRYPTED)


def _identity(_name: str, raw: bytes) -> bytes:
    return raw
