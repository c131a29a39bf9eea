"""Our ASN.1 text against tag tables computed by another program from other text (tests/rsp/data/tag_tables.txt).

Tag, presence, names of numbers and of bits of every field. The tables were made by X.680 automatic tagging from the
SGP32 module of a protocol analyser and the SGP.22 v2.5 module of an eIM.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.rsp.asn1.schema import BITS, NUMBERS, SCHEMA

from . import oracle

TABLES = Path(__file__).parent / "data" / "tag_tables.txt"
CLASSES = {"APPLICATION": 0x40, "PRIVATE": 0xC0}
UNIVERSAL = {
    "BOOLEAN": "01",
    "INTEGER": "02",
    "BIT STRING": "03",
    "OCTET STRING": "04",
    "NULL": "05",
    "OBJECT IDENTIFIER": "06",
    "UTF8String": "0C",
    "SEQUENCE": "30",
    "SEQUENCE OF": "30",
}
NOT_IN_TABLES = {
    *("Octet1", "Octet4", "Octet8", "Octet16", "Octet32", "OctetTo16"),  # sizes have names in the tables too
    "UICCCapability",  # imported; its bits are in the text above the tables
    "CancelSessionResponseChoice",  # our split of a tagged CHOICE (bench.rsp.asn1)
}


class Row(NamedTuple):
    indent: int
    tag: str
    name: str
    optional: bool
    type: str


def rows() -> Iterator[tuple[str, list[Row]]]:
    """Yield module and rows (the type itself first) of every type in the tables."""
    module, found = "", []
    for line in TABLES.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            if found:
                yield module, found
            module, found = line[3:], []
            continue
        top = re.fullmatch(r"(\S+)  tag=(\S+)  (.*)", line)
        if top:
            if found:
                yield module, found
            found = [Row(0, top[2], top[1], False, top[3])]
            continue
        field = re.fullmatch(r"( +)(\S+) (\S+) (\?)?(?: ?default=\S+)? ?: (.*)", line)
        assert field, line
        found.append(Row(len(field[1]), field[2], field[3], bool(field[4]), field[5]))
    yield module, found


def tag(module: str, node: dict[str, Any]) -> str:
    """Return the tag of a field of our schema as the tables write it."""
    if "tag" in node:
        own = node["tag"]
        kind = oracle.resolve(module, node)[1]["type"]
        made_of_tlvs = own["kind"] == "EXPLICIT" or kind in ("SEQUENCE", "SEQUENCE OF", "CHOICE", *oracle.OPAQUE)
        first = CLASSES.get(own.get("class"), 0x80) | (0x20 if made_of_tlvs else 0)
        return f"{first | own['number']:02X}" if own["number"] < 31 else f"{first | 31:02X}{own['number']:02X}"
    name = node["type"]
    if name in oracle.OPAQUE:
        return "30"
    for home in (module, *(source for source, names in SCHEMA[module]["imports"].items() if name in names)):
        if name in SCHEMA[home]["types"]:
            return tag(home, SCHEMA[home]["types"][name])
    if name == "CHOICE":
        return f"CHOICE({'|'.join(tag(module, member) for member in node['members'])})"
    return UNIVERSAL.get(name, name)


def names_of(text: str, kind: str) -> dict[int, str]:
    found = re.search(rf"{kind}\{{([^}}]*)\}}", text)
    pattern = r"([\w-]+)=(-?\d+)" if kind == "INTEGER" else r"([\w-]+)\((\d+)\)"
    return {int(number): name for name, number in re.findall(pattern, found[1])} if found else {}


def test_every_row_is_as_in_our_schema() -> None:
    wrong: list[str] = []
    for module, table in rows():
        name = table[0].name
        here: list[tuple[int, str, dict[str, Any], str]] = [(-1, module, {"type": name}, "")]
        for row in table:
            while here[-1][0] >= row.indent:
                here.pop()
            _, home, parent, path = here[-1]
            where = f"{module} {name}.{row.name}"
            if row.indent == 0:
                node, path = SCHEMA[module]["types"][name], name
                optional = False
            else:
                home, parent = oracle.resolve(home, parent)
                if parent["type"] == "SEQUENCE OF":
                    home, parent = oracle.resolve(home, parent["element"])
                node = next((item for item in parent.get("members", ()) if item["name"] == row.name), {})
                path, optional = f"{path}.{row.name}", bool(node.get("optional") or "default" in node)
            if not node:
                wrong.append(f"{where}: not in our schema")
                continue
            ours = tag(home, node)
            if ours != row.tag and not (row.tag == "CHOICE" and ours.startswith("CHOICE(")) and node["type"] != "Time":
                wrong.append(f"{where}: tag {ours}, not {row.tag}")
            if optional != row.optional:
                wrong.append(f"{where}: optional is {optional}")
            for kind, tables in (("INTEGER", NUMBERS), ("bits", BITS)):
                told = names_of(row.type, kind)
                split = path.replace("CancelSessionResponse.", "CancelSessionResponseChoice.")
                if tables[home].get(split, {}) != told:
                    wrong.append(f"{where}: names {tables[home].get(split)}, not {told}")
            here.append((row.indent, home, node, path))
    assert not wrong, "\n".join(wrong)


def test_every_type_of_ours_is_in_the_tables() -> None:
    told = {(module, table[0].name) for module, table in rows()}
    assert len(told) > 250
    for module in ("SGP32Definitions", "RSPDefinitions"):
        ours = {(module, name) for name in SCHEMA[module]["types"] if name not in NOT_IN_TABLES}
        assert ours <= told
