"""Compile the ASN.1 text of this folder into ``schema.py``: ``python -m bench.rsp.asn1.generate``.

Parsing ASN.1 takes a quarter of a second, which no command line can spend. What the parser found is therefore written
as plain Python data that a reviewer can read, and loads in a millisecond from its byte code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SOURCES = ("PKIXCarried.asn", "RSPDefinitions.asn", "SGP32Definitions.asn")
TARGET = FOLDER / "schema.py"

HEADER = '''"""Generated from the ASN.1 text of this folder by ``python -m bench.rsp.asn1.generate``: do not edit."""

# ruff: noqa
# fmt: off
from __future__ import annotations

from typing import Any

'''


def generate() -> str:
    """Return the text of ``schema.py``. Raises asn1tools.ParseError, ValueError for what asn1tools would miscode."""
    import asn1tools

    parsed = asn1tools.parse_files([str(FOLDER / name) for name in SOURCES])
    _refuse_retagged_choices(parsed)
    modules = asn1tools.pre_process_dict(parsed)
    numbers: dict[str, dict[str, dict[int, str]]] = {}
    bits: dict[str, dict[str, dict[int, str]]] = {}
    for module_name, module in modules.items():
        numbers[module_name], bits[module_name] = {}, {}
        for type_name, descriptor in module["types"].items():
            _strip(descriptor, type_name, numbers[module_name], bits[module_name])
    schema = {
        name: {
            "imports": {source: sorted(names) for source, names in module["imports"].items()},
            "types": module["types"],
            "values": {},
            "object-classes": {},
        }
        for name, module in modules.items()
    }
    text = HEADER
    for variable, comment, value in (
        ("SCHEMA: dict[str, dict[str, Any]]", "Module -> imports and types, as asn1tools compiles them.", schema),
        (
            "NUMBERS: dict[str, dict[str, dict[int, str]]]",
            "Module -> path of a type or field -> names of values.",
            numbers,
        ),
        ("BITS: dict[str, dict[str, dict[int, str]]]", "Module -> path of a type or field -> names of bits.", bits),
    ):
        text += f"# {comment}\n{variable} = {_format(value, 0)}\n\n"
    return text.rstrip("\n") + "\n"


def _format(value: Any, indent: int) -> str:
    """Return ``value`` as source text: on one line where it fits, else one item a line."""
    line = repr(value)
    if len(line) + indent <= 110 or not isinstance(value, dict | list) or not value:
        return line
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        items = [f"{pad}{key!r}: {_format(item, indent + 1)}," for key, item in value.items()]
        return "{\n" + "\n".join(items) + "\n" + " " * indent + "}"
    items = [f"{pad}{_format(item, indent + 1)}," for item in value]
    return "[\n" + "\n".join(items) + "\n" + " " * indent + "]"


def _strip(
    node: dict[str, Any], path: str, numbers: dict[str, dict[int, str]], bits: dict[str, dict[int, str]]
) -> None:
    """Move names of numbers and bits into tables, and drop what BER does not need: integers stay plain integers."""
    if node.get("named-numbers"):
        numbers[path] = {
            number: name for name, number in sorted(node["named-numbers"].items(), key=lambda item: item[1])
        }
    if node.get("named-bits"):
        bits[path] = {int(number): name for name, number in node["named-bits"]}
        node["named-bits"] = True
    for key in ("named-numbers", "size", "restricted-to"):
        node.pop(key, None)
    members = [member for member in node.get("members", []) if isinstance(member, dict)]
    if "members" in node:
        node["members"] = members
    for member in members:
        _strip(member, f"{path}.{member['name']}", numbers, bits)
    if "element" in node:
        _strip(node["element"], f"{path}.[]", numbers, bits)


def _refuse_retagged_choices(modules: dict[str, Any]) -> None:
    """Refuse ``[m] T`` where ``T ::= [n] CHOICE``: asn1tools writes both tags, X.680 31.2.7 keeps the outer one."""

    def resolve(module: str, name: str) -> dict[str, Any] | None:
        types = modules[module]["types"]
        if name in types:
            return dict(types[name])
        for source, names in modules[module]["imports"].items():
            if name in names:
                return resolve(source, name)
        return None

    def walk(module: str, node: dict[str, Any], path: str) -> None:
        target = resolve(module, node["type"])
        if "tag" in node and target is not None and target["type"] == "CHOICE" and "tag" in target:
            raise ValueError(
                f"{path}: {node['type']} is a tagged CHOICE and must not be tagged again; refer to its TChoice"
            )
        for member in node.get("members", []):
            if isinstance(member, dict):
                walk(module, member, f"{path}.{member['name']}")
        if "element" in node:
            walk(module, node["element"], f"{path}.[]")

    for module_name, module in modules.items():
        for type_name, descriptor in module["types"].items():
            walk(module_name, descriptor, f"{module_name}.{type_name}")


def main() -> None:
    """Write ``schema.py``."""
    TARGET.write_text(generate(), encoding="utf-8")
    print(TARGET)


if __name__ == "__main__":
    main()
