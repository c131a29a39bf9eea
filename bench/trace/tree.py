"""What a decoder returns: named fields in a tree; and the tolerant walk over TLVs that all of them stand on.

Nothing here raises on any bytes. What is cut short or makes no sense stays visible as a field of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

MAX_DEPTH: Final = 24
"""Levels of nesting that are followed; what lies deeper is shown as bytes."""
MAX_NODES: Final = 20_000
"""TLVs of one message that are looked at."""
_SHOWN: Final = 64
"""Bytes of a value in a line for people; ``Field.raw`` has all."""


@dataclass(slots=True)
class Field:
    """One named field of a decoded message."""

    name: str
    """As in the ASN.1 text or the standard's table; the tag in hexadecimal where there is none."""
    text: str = ""
    """The value for people: ``ok(0)``, ``8901...``; empty for a field that only has fields below it."""
    raw: bytes | None = None
    """The value's bytes as on the wire (of a TLV: its content); None where a field stands for no bytes of its own."""
    children: list[Field] = field(default_factory=list)
    kind: str = ""
    """Type by name where it has one: ``Iccid``, ``TransactionId``, ``INTEGER``, ``Certificate``."""

    def find(self, *names: str) -> Field | None:
        """Return the first field below with this path of names, None when there is none."""
        here = self
        for name in names:
            for child in here.children:
                if child.name == name:
                    here = child
                    break
            else:
                return None
        return here

    def every(self, name: str) -> Iterator[Field]:
        """Yield all fields of this name, this one and below, in order."""
        if self.name == name:
            yield self
        for child in self.children:
            yield from child.every(name)

    def leaves(self, prefix: str = "") -> Iterator[tuple[str, Field]]:
        """Yield path and field of everything below that has no fields of its own; same names are numbered from 2."""
        seen: dict[str, int] = {}
        for child in self.children:
            count = seen[child.name] = seen.get(child.name, 0) + 1
            path = f"{prefix}{child.name}" + (f"[{count}]" if count > 1 else "")
            if child.children:
                yield from child.leaves(f"{path}/")
            else:
                yield path, child

    def lines(self, indent: int = 0) -> Iterator[str]:
        """Yield the tree as lines for people, two spaces a level."""
        value = f": {self.text}" if self.text else ""
        yield f"{'  ' * indent}{self.name}{value}"
        for child in self.children:
            yield from child.lines(indent + 1)

    def value(self) -> Any:
        """Return the tree as JSON values: text of a leaf, else an object; a name that comes again makes a list."""
        if not self.children:
            return self.text if self.text or self.raw is None else self.raw.hex()
        found: dict[str, Any] = {}
        repeated: set[str] = set()
        for child in self.children:
            value = child.value()
            if child.name not in found:
                found[child.name] = value
            elif child.name in repeated:
                found[child.name].append(value)
            else:
                repeated.add(child.name)
                found[child.name] = [found[child.name], value]
        return {"": self.text, **found} if self.text else found


@dataclass(slots=True)
class Node:
    """One TLV as far as its bytes are there."""

    tag: int
    """As printed in the standards: ``0x5F37``."""
    value: bytes
    raw: bytes
    missing: int = 0
    """Bytes that its length promises and that are not there."""

    @property
    def constructed(self) -> bool:
        """Whether its content is made of TLVs."""
        return bool(self.raw[0] & 0x20)


class Budget:
    """How many TLVs of one message may still be looked at."""

    __slots__ = ("left",)

    def __init__(self, nodes: int = MAX_NODES) -> None:
        self.left = nodes

    def take(self, count: int) -> bool:
        """Take ``count`` from what is left; False when there is not enough."""
        self.left -= count
        return self.left >= 0


def nodes(data: bytes) -> tuple[list[Node], bytes]:
    """Return the sibling TLVs of ``data`` and the bytes at the end that are none.

    A last TLV whose content is cut short is returned with what is there.
    """
    found: list[Node] = []
    at, end = 0, len(data)
    while at < end and len(found) < MAX_NODES:
        start = at
        tag = data[at]
        at += 1
        if tag & 0x1F == 0x1F:
            while at < end and tag <= 0xFFFFFF:
                octet = data[at]
                tag = tag << 8 | octet
                at += 1
                if octet < 0x80:
                    break
            else:
                return found, data[start:]
        if at >= end:
            return found, data[start:]
        length = data[at]
        at += 1
        if length >= 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 4 or at + octets > end:
                return found, data[start:]
            length = int.from_bytes(data[at : at + octets], "big")
            at += octets
        stop = min(at + length, end)
        found.append(Node(tag, data[at:stop], data[start:stop], at + length - stop))
        at = stop
    return found, data[at:]


def whole(data: bytes) -> list[Node] | None:
    """Return the TLVs of ``data`` when it is made of nothing else, down to the last level; otherwise None."""
    found, rest = nodes(data)
    if rest or not found or any(node.missing for node in found):
        return None
    for node in found:
        if node.constructed and node.value and whole_depth(node.value, MAX_DEPTH) is False:
            return None
    return found


def whole_depth(data: bytes, depth: int) -> bool:
    """Return whether constructed content is TLVs all the way down."""
    found, rest = nodes(data)
    if rest or depth == 0 or any(node.missing for node in found):
        return False
    return all(not node.constructed or whole_depth(node.value, depth - 1) for node in found)


def shown(data: bytes) -> str:
    """Return bytes for people: hexadecimal, cut after 64."""
    if len(data) <= _SHOWN:
        return data.hex()
    return f"{data[:_SHOWN].hex()}… ({len(data)} bytes)"


def printable(data: bytes) -> str | None:
    """Return the text that bytes are, None when they are no readable text."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text and text.isprintable() else None


def rest_field(rest: bytes) -> Field:
    """Return what is left over behind the last TLV as a field."""
    return Field("(no TLV)", shown(rest), rest)


def generic(data: bytes, *, budget: Budget | None = None, depth: int = 0) -> list[Field]:
    """Return any TLVs as fields named by their tags; what is no TLV is one field of bytes."""
    budget = budget or Budget()
    found, rest = nodes(data)
    fields = [generic_node(node, budget, depth) for node in found] if budget.take(len(found)) else []
    if not fields and data:
        return [Field("(bytes)", shown(data), data)]
    return [*fields, rest_field(rest)] if rest else fields


def generic_node(node: Node, budget: Budget, depth: int) -> Field:
    """Return one TLV as a field named by its tag."""
    name = f"{node.tag:X}"
    cut = f" (cut short, {node.missing} bytes are missing)" if node.missing else ""
    if node.constructed and depth < MAX_DEPTH:
        return Field(
            name, cut.strip(), node.value, generic(node.value, budget=budget, depth=depth + 1) if node.value else []
        )
    text = printable(node.value) if node.tag in (0x0C, 0x13, 0x16) else None
    return Field(name, (text if text is not None else shown(node.value)) + cut, node.value)
