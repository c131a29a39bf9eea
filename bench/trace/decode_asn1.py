"""RSP messages to named fields by the ASN.1 text of SGP.22 and SGP.32, as far as the bytes follow it.

The codec (bench.rsp.codec) takes a message whole or refuses it. Here what is there is shown: a field that the type does
not have, one that is cut short, a message that another dialect writes differently. Wire forms seen in the field
(bench.rsp.forms) are read for what they mean. No asn1tools, and nothing raises on any bytes.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from bench.rsp import forms, names
from bench.rsp.asn1.schema import BITS, NUMBERS, SCHEMA
from bench.rsp.errors import RspError
from bench.rsp.tlv import Tlv
from bench.trace import decode_values as values
from bench.trace.tree import MAX_DEPTH, Budget, Field, Node, generic, generic_node, nodes, printable, rest_field, shown

SGP32: Final = "SGP32Definitions"
SGP22: Final = "RSPDefinitions"
_ORDER: Final = (SGP32, SGP22, "PKIXCarried")
_CLASSES: Final = {"UNIVERSAL": 0x00, "APPLICATION": 0x40, "CONTEXT_SPECIFIC": 0x80, "PRIVATE": 0xC0}
_UNIVERSAL: Final = {
    "BOOLEAN": 0x01,
    "INTEGER": 0x02,
    "BIT STRING": 0x03,
    "OCTET STRING": 0x04,
    "NULL": 0x05,
    "OBJECT IDENTIFIER": 0x06,
    "UTF8String": 0x0C,
    "SEQUENCE": 0x10,
    "SEQUENCE OF": 0x10,
}
_CERTIFICATES: Final = frozenset({"Certificate", "CertificateList"})
_Descriptor = dict[str, Any]


def _key(tag: int) -> int:
    """Return a tag without its constructed bit: what two forms of one tag have in common."""
    octets = (tag.bit_length() + 7) // 8 or 1
    return tag & ~(0x20 << 8 * (octets - 1))


def _tag_of(tag: _Descriptor) -> int:
    number, kind = tag["number"], _CLASSES[tag.get("class", "CONTEXT_SPECIFIC")]
    if number < 31:
        return int(kind | number)
    return int(
        (kind | 0x1F) << 8 | number if number < 128 else (kind | 0x1F) << 16 | (0x80 | number >> 7) << 8 | number & 127
    )


def _home(name: str, module: str) -> tuple[str, _Descriptor] | None:
    for candidate in (module, *_ORDER):
        found = SCHEMA[candidate]["types"].get(name)
        if found is not None:
            return candidate, found
    return None


_tags_memo: dict[int, frozenset[int] | None] = {}
_bare_memo: dict[int, _Descriptor] = {}


@functools.cache
def _reference(name: str) -> _Descriptor:
    return {"type": name}


def _bare(descriptor: _Descriptor) -> _Descriptor:
    """Return a descriptor of the schema without its tag; always the same object, since tags are kept by identity."""
    found = _bare_memo.get(id(descriptor))
    if found is None:
        found = _bare_memo[id(descriptor)] = {key: value for key, value in descriptor.items() if key != "tag"}
    return found


def _tags(descriptor: _Descriptor, module: str) -> frozenset[int] | None:
    """Return the tags (as ``_key``) that a value of this type may begin with; None for any."""
    memo = id(descriptor)
    if memo in _tags_memo:
        return _tags_memo[memo]
    kind = descriptor["type"]
    found: frozenset[int] | None
    if "tag" in descriptor:
        found = frozenset((_tag_of(descriptor["tag"]),))
    elif kind == "CHOICE":
        every = [_tags(member, module) for member in descriptor["members"]]
        found = frozenset().union(*(tags for tags in every if tags is not None))
    elif kind == "ANY":
        found = None
    elif kind in _UNIVERSAL:
        found = frozenset((_UNIVERSAL[kind],))
    else:
        home = _home(kind, module)
        found = _tags(home[1], home[0]) if home else None
    _tags_memo[memo] = found
    return found


@functools.lru_cache(maxsize=256)
def _repairs(name: str) -> tuple[Any, ...]:
    return forms.hooked(name, forms.ALL)


def _repaired(name: str, node: Node) -> Node:
    """Return the node in the standard's form when it is in one of the forms seen in the field."""
    repairs = _repairs(name)
    if not repairs or node.missing:
        return node
    for repair in repairs:
        header = len(node.raw) - len(node.value)
        try:
            changed = repair(Tlv(node.tag, header, 0, node.raw, node.value))
        except RspError:
            continue
        if changed is not None:
            found, rest = nodes(changed)
            if len(found) == 1 and not rest:
                node = found[0]
    return node


class _Reader:
    """Reads one message."""

    def __init__(self) -> None:
        self.budget = Budget()

    def read(
        self, name: str, descriptor: _Descriptor, module: str, path: str, node: Node, depth: int, *, consumed: bool
    ) -> Field:
        """Read one value whose tag fits.

        ``path``: of the type or field in the tables of names. ``consumed``: the tag on the wire is that of a reference
        to this type, so that an untagged CHOICE has its alternative inside.
        """
        if depth > MAX_DEPTH:
            return Field(name, shown(node.value), node.value)
        tag, kind = descriptor.get("tag"), descriptor["type"]
        if tag is not None:
            if tag["kind"] == "EXPLICIT":
                if not node.constructed:
                    return generic_node(node, self.budget, depth)
                inner, rest = nodes(node.value)
                bare = _bare(descriptor)
                if not inner or not self._fits(bare, module, inner[0]):
                    return self._unknown(name, node, depth)
                made = self.read(name, bare, module, path, inner[0], depth + 1, consumed=False)
                return self._with(made, inner[1:], rest, node, depth)
            consumed = True
        if kind not in _UNIVERSAL and kind not in ("CHOICE", "ANY"):
            home = _home(kind, module)
            if home is None:
                return generic_node(node, self.budget, depth)
            if kind in _CERTIFICATES:
                fields = values.certificate(node.value)
                return Field(name, "" if fields else shown(node.value), node.value, fields, kind=kind)
            made = self.read(name, home[1], home[0], kind, _repaired(kind, node), depth + 1, consumed=consumed)
            made.kind = kind
            return made
        if kind == "CHOICE":
            return self._choice(name, descriptor, module, path, node, depth, consumed)
        if kind == "ANY":
            return Field(name, "", node.raw, [generic_node(node, self.budget, depth + 1)])
        if kind in ("SEQUENCE", "SEQUENCE OF"):
            return self._list(name, descriptor, module, path, node, depth)
        return _leaf(name, kind, path, node)

    def _fits(self, descriptor: _Descriptor, module: str, node: Node) -> bool:
        tags = _tags(descriptor, module)
        return tags is None or _key(node.tag) in tags

    def _unknown(self, name: str, node: Node, depth: int) -> Field:
        return Field(name, "" if node.constructed else shown(node.value), node.value, self._below(node, depth))

    def _below(self, node: Node, depth: int) -> list[Field]:
        if not node.constructed or not node.value:
            return []
        return generic(node.value, budget=self.budget, depth=depth + 1)

    def _with(self, made: Field, more: list[Node], rest: bytes, outer: Node, depth: int) -> Field:
        """Add what stands behind the one value that should be there."""
        if more or rest or outer.missing:
            if not made.children and made.text:
                made = Field(made.name, "", outer.value, [made], made.kind)
            made.children += [generic_node(node, self.budget, depth + 1) for node in more[:64]]
            made.children += [rest_field(rest)] if rest else []
            made.children += [_missing(outer)] if outer.missing else []
        return made

    def _choice(
        self, name: str, descriptor: _Descriptor, module: str, path: str, node: Node, depth: int, consumed: bool
    ) -> Field:
        """Return the alternative as the one field below."""
        inner, more, rest = node, [], b""
        if consumed:
            found, rest = nodes(node.value)
            if not found:
                return self._unknown(name, node, depth)
            inner, more = found[0], found[1:]
        for member in descriptor["members"]:
            if self._fits(member, module, inner):
                sub = f"{path}.{member['name']}"
                made = self.read(member["name"], member, module, sub, inner, depth + 1, consumed=False)
                whole = Field(name, "", node.value, [made])
                return self._with(whole, more, rest, node, depth) if consumed else whole
        return self._unknown(name, node, depth)

    def _list(self, name: str, descriptor: _Descriptor, module: str, path: str, node: Node, depth: int) -> Field:
        found, rest = nodes(node.value)
        whole = Field(name, "", node.value)
        if not self.budget.take(len(found)):
            whole.text = shown(node.value)
            return whole
        if descriptor["type"] == "SEQUENCE OF":
            element = descriptor["element"]
            label = element["type"] if element["type"] not in (*_UNIVERSAL, "CHOICE", "ANY") else "item"
            for child in found:
                if self._fits(element, module, child):
                    made = self.read(label, element, module, f"{path}.[]", child, depth + 1, consumed=False)
                    # An alternative says more than the name of the CHOICE that it is of.
                    alone = len(made.children) == 1 and _is_choice(element, module)
                    whole.children.append(made.children[0] if alone else made)
                else:
                    whole.children.append(generic_node(child, self.budget, depth + 1))
        else:
            members: list[_Descriptor] = descriptor["members"]
            taken: set[int] = set()
            following = 0
            for child in found:
                # The next member in order first (two members may share a tag: 30 ... 30), then any that is still open.
                for index in (*range(following, len(members)), *range(following)):
                    if index not in taken and self._fits(members[index], module, child):
                        member = members[index]
                        taken.add(index)
                        following = index + 1
                        sub = f"{path}.{member['name']}"
                        whole.children.append(
                            self.read(member["name"], member, module, sub, child, depth + 1, consumed=False)
                        )
                        break
                else:
                    whole.children.append(generic_node(child, self.budget, depth + 1))
        if rest:
            whole.children.append(rest_field(rest))
        if node.missing:
            whole.children.append(_missing(node))
        return whole


def _is_choice(descriptor: _Descriptor, module: str) -> bool:
    kind = descriptor["type"]
    if "tag" in descriptor:
        return False
    if kind == "CHOICE":
        return True
    home = None if kind in _UNIVERSAL or kind == "ANY" else _home(kind, module)
    return home is not None and "tag" not in home[1] and home[1]["type"] == "CHOICE"


def _missing(node: Node) -> Field:
    return Field("(cut short)", f"{node.missing} bytes are missing")


def _names(table: dict[str, dict[str, dict[int, str]]], path: str) -> dict[int, str]:
    for module in (SGP32, SGP22):
        if path in table[module]:
            return table[module][path]
    return {}


def _leaf(name: str, kind: str, path: str, node: Node) -> Field:
    value = node.value
    made = Field(name, "", value, kind=kind)
    if node.missing:
        made.text = f"{shown(value)} (cut short, {node.missing} bytes are missing)"
    elif kind == "INTEGER":
        number = values.integer(value)
        if number is None:
            made.text = shown(value)
        else:
            known = _names(NUMBERS, path).get(number)
            made.text = f"{known}({number})" if known else str(number)
    elif kind == "BOOLEAN":
        made.text = shown(value) if len(value) != 1 else "true" if value[0] else "false"
    elif kind == "NULL":
        made.text = "present" if not value else shown(value)
    elif kind == "OBJECT IDENTIFIER":
        made.text = values.oid(value)
    elif kind == "UTF8String":
        made.text = printable(value) or (shown(value) if value else '""')
    elif kind == "BIT STRING":
        positions = values.bit_positions(value)
        known_bits = _names(BITS, path)
        if positions is None or (not known_bits and len(value) > 9):
            made.text = shown(value)
        else:
            made.text = ", ".join(known_bits.get(at, str(at)) for at in positions) or "none"
    else:
        render = values.BY_FIELD.get(name) or values.BY_TYPE.get(path)
        made.text = render(value) if render is not None else shown(value)
        if name in values.NESTED:
            made.children = values.NESTED[name](value)
            made.text = "" if made.children else made.text
    return made


def read(type_name: str, data: bytes, *, module: str = SGP32, name: str = "") -> Field:
    """Return ``data`` as one value of a type of the standards, its fields named; other bytes by their tags.

    ``name``: of the field returned, the type's when empty. Never raises on any bytes; a type that there is not raises
    KeyError.
    """
    home = _home(type_name, module)
    if home is None:
        raise KeyError(type_name)
    found, rest = nodes(data)
    reader = _Reader()
    label = name or type_name
    if not found or not reader._fits(_reference(type_name), module, found[0]):
        return Field(label, "" if data else "empty", data, generic(data))
    made = reader.read(label, _reference(type_name), module, type_name, found[0], 0, consumed=False)
    if found[1:] or rest:
        made.children += [generic_node(node, reader.budget, 1) for node in found[1:64]]
        made.children += [rest_field(rest)] if rest else []
    return made


def outer_types(module: str) -> dict[int, list[str]]:
    """Return the outer tags of a module's types and the names of the types that have them."""
    found: dict[int, list[str]] = {}
    for name, descriptor in SCHEMA[module]["types"].items():
        if "tag" in descriptor:
            tag = _tag_of(descriptor["tag"])
            found.setdefault(tag if tag < 0x100 else tag | 0x20 << 8 * (((tag.bit_length() + 7) // 8) - 1), []).append(
                name
            )
    return found


__all__ = ["SGP22", "SGP32", "names", "outer_types", "read"]
