"""Messages of SGP.22 and SGP.32 to bytes and back.

``encode`` makes DER. ``decode`` reads the BER that cards and servers send, after a walk that has bounded every length
and the depth. Values: dict for SEQUENCE, list for SEQUENCE OF, ``(alternative, value)`` for CHOICE, bytes for OCTET
STRING, ``(bytes, number of bits)`` for BIT STRING, str for UTF8String and OBJECT IDENTIFIER (dotted), bool, None for
NULL, and always int for INTEGER (names are in bench.rsp.names). Certificate, CertificateList and SubjectPublicKeyInfo
are the bytes of the whole TLV with tag 30, also where the message gives it another tag.

Types are named as in the standards. Where a type exists in SGP.22 and SGP.32, the module decides; a type that the
SGP.32 module does not have is looked up in the SGP.22 module.

Signatures are never checked over a decoded and re-encoded value: take slices with bench.rsp.tlv.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from bench.rsp import forms, tlv
from bench.rsp.errors import DecodeError, EncodeError
from bench.rsp.forms import Form

SGP32 = "SGP32Definitions"
SGP22 = "RSPDefinitions"

_modules: dict[tuple[str, str], str] = {}


def encode(type_name: str, value: Any, *, module: str = SGP32) -> bytes:
    """Return the DER of ``value`` as ``type_name``. Raises EncodeError, which names the field."""
    compiled = _type(type_name, module, forms.ALL, EncodeError)
    try:
        return bytes(compiled.encode(value))
    except Exception as error:  # asn1tools raises what the value's Python type happens to cause
        what, where = _text(error, type_name)
        raise EncodeError(what, where=where) from error


def decode(type_name: str, data: bytes, *, module: str = SGP32, accept: Iterable[Form] = forms.ALL) -> Any:
    """Return the value of ``data``, which must be exactly one ``type_name``.

    ``accept``: forms beside the standard's that are taken for what they mean (see bench.rsp.forms); () is strict.
    Raises DecodeError, a ValueError, which names the tag or field.
    """
    accepted = accept if isinstance(accept, frozenset) else frozenset(accept)
    compiled = _type(type_name, module, accepted, DecodeError)
    try:
        count = tlv.check(data)
    except DecodeError as error:
        raise DecodeError(error.what, where=type_name) from error
    if count != 1:
        raise DecodeError(f"one TLV is expected, there are {count}", where=type_name)
    try:
        return compiled.decode(data)
    except Exception as error:  # likewise
        what, where = _text(error, type_name)
        raise DecodeError(what, where=where) from error


def understood(type_name: str, data: bytes, *, module: str = SGP32, accept: Iterable[Form]) -> bool:
    """Return whether a party that takes only the forms ``accept`` beside the standard's reads ``data`` as meant.

    False when it is in another form of bench.rsp.forms: such a party refuses it, or reads something else.
    """
    try:
        return bool(decode(type_name, data, module=module, accept=accept) == decode(type_name, data, module=module))
    except DecodeError:
        return False


def bits(*positions: int) -> tuple[bytes, int]:
    """Return the BIT STRING value in which the bits at ``positions`` (0 is the first) are set."""
    count = max(positions, default=-1) + 1
    number = sum(1 << (count - 1 - position) for position in set(positions))
    padding = -count % 8
    return (number << padding).to_bytes((count + padding) // 8, "big"), count


def positions(value: tuple[bytes, int]) -> frozenset[int]:
    """Return the positions of the bits that are set in a BIT STRING value."""
    octets, count = value
    return frozenset(n for n in range(min(count, 8 * len(octets))) if octets[n // 8] & (0x80 >> n % 8))


def _type(name: str, module: str, accept: frozenset[Form], error: type[EncodeError] | type[DecodeError]) -> Any:
    from bench.rsp.asn1 import runtime
    from bench.rsp.asn1.schema import SCHEMA

    home = _modules.get((module, name))
    if home is None:
        for candidate in (module, SGP22, "PKIXCarried"):
            if name in SCHEMA.get(candidate, {"types": ()})["types"]:
                home = _modules[module, name] = candidate
                break
        else:
            raise error(f"no type {name!r} in {module}", hint="types are named as in SGP.22 and SGP.32")
    return runtime.compiled(home, name, accept)


def _text(error: Exception, type_name: str) -> tuple[str, str]:
    """Return what happened and where (type and field) from an exception below."""
    if isinstance(error, DecodeError | EncodeError):
        return error.what, type_name
    if not type(error).__module__.startswith("asn1tools"):
        return f"{type(error).__name__}: {error}", type_name
    # A tagged CHOICE is two objects of one name, so that names come twice.
    path = ".".join(name for name, _ in itertools.groupby(getattr(error, "location_str", "").split(".")))
    offset: int | None = getattr(error, "offset", None)
    what: str = getattr(error, "message", str(error))
    if path != type_name and not path.startswith(f"{type_name}."):
        path = f"{type_name}.{path}".rstrip(".")
    return f"{what} (offset {offset})" if offset is not None else what, path
