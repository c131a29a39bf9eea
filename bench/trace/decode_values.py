"""Values of RSP messages for people: ICCID, EID, IMEI, versions, certificates, card resources. Raises on no bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bench.trace.tree import Field, nodes, shown


def swapped(value: bytes) -> str:
    """Return the digits of nibble-swapped BCD without the padding F: ICCID, IMSI parts, IMEI."""
    return "".join(f"{octet & 15:X}{octet >> 4:X}" for octet in value).rstrip("F")


def plmn(value: bytes) -> str:
    """Return a PLMN of 3 bytes (3GPP TS 24.008 section 10.5.1.13) as its 5 or 6 digits, ``-`` for an empty entry."""
    if len(value) != 3:
        return value.hex()
    if value == b"\xff\xff\xff":
        return "-"
    mcc = f"{value[0] & 15:X}{value[0] >> 4:X}{value[1] & 15:X}"
    third = value[1] >> 4
    return f"{mcc}{value[2] & 15:X}{value[2] >> 4:X}" + (f"{third:X}" if third != 15 else "")


def version(value: bytes) -> str:
    """Return a VersionType (three bytes) as ``1.2.0``."""
    return ".".join(map(str, value)) if len(value) == 3 else value.hex()


def oid(value: bytes) -> str:
    """Return an object identifier as dotted text, its bytes when they are none."""
    if not value or value[-1] & 0x80 or len(value) > 64:
        return shown(value)
    arcs, number = [], 0
    for octet in value:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(number)
            number = 0
    root = min(arcs[0] // 40, 2)
    return ".".join(map(str, (root, arcs[0] - 40 * root, *arcs[1:])))


def integer(value: bytes) -> int | None:
    """Return an INTEGER, None when its bytes are none or more than 16."""
    return int.from_bytes(value, "big", signed=True) if 1 <= len(value) <= 16 else None


def bit_positions(value: bytes) -> list[int] | None:
    """Return the positions of the set bits of a BIT STRING, None when it is none."""
    if not value or value[0] > 7 or len(value) > 65:
        return None
    count = 8 * (len(value) - 1) - value[0]
    return [at for at in range(count) if value[1 + at // 8] & 0x80 >> at % 8]


_AIDS: Final = {
    "a0000005591010ffffffff8900000100": "ISD-R",
    "a0000005591010ffffffff8900000200": "ECASD",
    "a0000005591010ffffffff8900000d00": "ISD-P executable load file",
    "a0000005591010ffffffff8900000e00": "ISD-P executable module",
    "a000000151000000": "ISD",
    "a0000000871002": "USIM",
    "a0000000871004": "ISIM",
    "a0000000090001": "GSM",
    "a0000003431002": "CSIM",
    "a00000006203": "Java Card",
}


def aid(value: bytes) -> str:
    """Return the name of an application identifier, its bytes in hexadecimal where it has none.

    An ISD-P is named by its number, bytes 14 and 15 (SGP.02 annex H).
    """
    text = value.hex()
    if text in _AIDS:
        return _AIDS[text]
    if text.startswith("a0000005591010ffffffff8900") and len(value) == 16:
        return f"ISD-P {text[26:30].upper()}"
    known = next((name for prefix, name in _AIDS.items() if len(prefix) <= 14 and text.startswith(prefix)), None)
    return known or text.upper()


_ATTRIBUTES: Final = {"550403": "CN", "55040a": "O", "55040b": "OU", "550406": "C", "550405": "serialNumber"}


def distinguished_name(value: bytes) -> str:
    """Return a Name (its content) as ``CN=..., O=...`` in the order it has."""
    told = []
    for relative in nodes(value)[0]:
        for pair in nodes(relative.value)[0]:
            parts = nodes(pair.value)[0]
            if len(parts) == 2:
                kind = _ATTRIBUTES.get(parts[0].value.hex()) or oid(parts[0].value)
                told.append(f"{kind}={parts[1].value[:80].decode('utf-8', 'replace')}")
    return ", ".join(told[:8])


def certificate(content: bytes) -> list[Field]:
    """Return what a person asks of an X.509 certificate; ``content``: what is inside its SEQUENCE.

    A certificate in SGP.32 is an IMPLICIT field whose tag replaces the 30; one nested once more is understood too.
    """
    parts = nodes(content)[0]
    if len(parts) == 1 and parts[0].tag == 0x30:
        parts = nodes(parts[0].value)[0]
    if not parts:
        return []
    inner = nodes(parts[0].value)[0]
    if inner and inner[0].tag == 0xA0:
        inner = inner[1:]
    if len(inner) < 6:
        return []
    serial, _, issuer, validity, subject, key = inner[:6]
    times = [item.value.decode("ascii", "replace") for item in nodes(validity.value)[0]]
    fields = [
        Field("subject", distinguished_name(subject.value), subject.value, kind="Name"),
        Field("issuer", distinguished_name(issuer.value), issuer.value, kind="Name"),
        Field("serialNumber", shown(serial.value), serial.value, kind="CertificateSerial"),
    ]
    if len(times) == 2:
        fields += [
            Field("notBefore", times[0], times[0].encode(), kind="CertificateTime"),
            Field("notAfter", times[1], times[1].encode(), kind="CertificateTime"),
        ]
    fields.append(Field("subjectPublicKeyInfo", shown(key.raw), key.raw, kind="CertificateKey"))
    if len(parts) > 2:
        fields.append(Field("signature", shown(parts[-1].value), parts[-1].value, kind="CertificateSignature"))
    return fields


_RESOURCES: Final = {0x81: "numberOfInstalledApplications", 0x82: "freeNonVolatileMemory", 0x83: "freeVolatileMemory"}


def card_resource(value: bytes) -> list[Field]:
    """Return the extended card resource information (ETSI TS 102 226 section 8.2.1.7.2); sizes in bytes."""
    return [
        Field(
            _RESOURCES.get(node.tag, f"{node.tag:X}"),
            str(int.from_bytes(node.value[:8], "big")),
            node.value,
            kind="CardResource",
        )
        for node in nodes(value)[0]
    ]


def tag_list(value: bytes) -> str:
    """Return a tagList (5C) as its tags."""
    tags, at = [], 0
    while at < len(value):
        end = at + 1
        if value[at] & 0x1F == 0x1F:
            while end < len(value) and value[end] & 0x80:
                end += 1
            end += 1
        tags.append(value[at:end].hex().upper())
        at = end
    return " ".join(tags)


_CONNECTIVITY: Final = {0x35: "bearerDescription", 0x47: "networkAccessName", 0x0D: "text"}


def labels(value: bytes) -> str:
    """Return a label-coded name (APN, 3GPP TS 23.003 section 9.1) as text."""
    told, at = [], 0
    while at < len(value):
        size = value[at]
        told.append(value[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += 1 + size
    return ".".join(told)


def connectivity(value: bytes) -> list[Field]:
    """Return httpParams of GetConnectivityParameters: COMPREHENSION-TLVs (SGP.32 5.9.24), without login data."""
    fields = []
    for node in nodes(value)[0]:
        tag = node.tag & 0x7F
        name = _CONNECTIVITY.get(tag, f"{node.tag:X}")
        text = labels(node.value) if tag == 0x47 else "****" if tag == 0x0D else shown(node.value)
        fields.append(Field(name, text, b"" if tag == 0x0D else node.value))
    return fields


def _digits(value: bytes) -> str:
    return value.hex()


def _sequence(value: bytes) -> str:
    return str(int.from_bytes(value, "big")) if len(value) <= 8 else shown(value)


BY_FIELD: Final[dict[str, Callable[[bytes], str]]] = {
    "eidValue": _digits,
    "isdpAid": aid,
    "aid": aid,
    "imei": swapped,
    "tac": swapped,
    "rPLMN": plmn,
    "mccMnc": plmn,
    "tagList": tag_list,
}
"""Field name of the ASN.1 text to a function of its bytes."""
BY_TYPE: Final[dict[str, Callable[[bytes], str]]] = {"Iccid": swapped, "VersionType": version}
"""Type name likewise."""
NESTED: Final[dict[str, Callable[[bytes], list[Field]]]] = {
    "extCardResource": card_resource,
    "httpParams": connectivity,
}
"""Field name to what is inside its OCTET STRING."""
