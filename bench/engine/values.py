"""What instruments and services answer, as JSON and back: plain values, and the dataclasses of their interfaces.

A value that cannot be brought back (a channel, a stream) is ``NotPlain``. Classes are looked up in the packages of the
bench and of those that the value came from, never by anything a journal says alone: only dataclasses, enumerations and
errors of the bench are made.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
from collections.abc import Mapping
from typing import Any, Final

from bench.errors import BenchError

_CLASS: Final = "!"
_LONGEST: Final = 65536
"""Bytes or characters of one value; longer ones are no answers but recordings."""


class NotPlain(Exception):
    """The value is no answer that JSON can hold."""


def encode(value: object) -> Any:
    """Return a value as JSON holds it. Raises NotPlain."""
    if value is None or isinstance(value, bool) or type(value) in (int, float):
        return value
    if isinstance(value, enum.Enum):
        return {_CLASS: _name(type(value)), "member": value.name}
    if isinstance(value, str):
        return _short(str(value))
    if isinstance(value, bytes | bytearray):
        return {_CLASS: "bytes", "hex": bytes(_short(value)).hex()}
    if isinstance(value, tuple | list | set | frozenset):
        items = [encode(item) for item in value]
        kind = type(value).__name__
        if kind not in ("list", "tuple", "set", "frozenset"):
            raise NotPlain(kind)
        return items if kind == "list" else {_CLASS: kind, "items": items}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = {item.name: encode(getattr(value, item.name)) for item in dataclasses.fields(value) if item.init}
        return {_CLASS: _name(type(value)), "fields": kept}
    if isinstance(value, Mapping):
        return {_CLASS: "dict", "items": [[encode(key), encode(item)] for key, item in value.items()]}
    raise NotPlain(type(value).__name__)


def decode(value: Any) -> Any:
    """Return what ``encode`` was given. Raises NotPlain when its class is not there any more, or is another."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    name = str(value.get(_CLASS))
    if name == "bytes":
        return bytes.fromhex(value["hex"])
    if name == "dict":
        return {decode(key): decode(item) for key, item in value["items"]}
    plain = {"tuple": tuple, "set": set, "frozenset": frozenset}.get(name)
    if plain is not None:
        return plain(decode(item) for item in value["items"])
    found = _found(name)
    try:
        if issubclass(found, enum.Enum):
            return found[value["member"]]
        if dataclasses.is_dataclass(found):
            return found(**{key: decode(item) for key, item in value["fields"].items()})
    except (KeyError, TypeError, ValueError) as error:
        raise NotPlain(f"{name}: {error}") from error
    raise NotPlain(name)


def encode_error(error: BaseException) -> Any:
    """Return an error that a call ended with. Raises NotPlain for one that is neither the bench's nor a timeout."""
    if isinstance(error, BenchError):
        told = {key: getattr(error, key) for key in ("what", "where", "hint")}
        return {_CLASS: _name(type(error)), **told}
    if type(error) is TimeoutError:
        return {_CLASS: "TimeoutError", "what": str(error)}
    raise NotPlain(type(error).__name__)


def decode_error(value: Mapping[str, Any]) -> BaseException:
    """Return the error that ``encode_error`` was given. Raises NotPlain."""
    if value[_CLASS] == "TimeoutError":
        return TimeoutError(value["what"])
    found = _found(str(value[_CLASS]))
    if not issubclass(found, BenchError):
        raise NotPlain(str(value[_CLASS]))
    try:
        return found(value["what"], where=value["where"], hint=value["hint"])
    except TypeError as error:  # one with more to tell than these three
        raise NotPlain(str(value[_CLASS])) from error


def _short(value: Any) -> Any:
    if len(value) > _LONGEST:
        raise NotPlain(f"{len(value)} long")
    return value


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _found(name: str) -> type:
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise NotPlain(name) from error
    if not isinstance(found, type):
        raise NotPlain(name)
    return found
