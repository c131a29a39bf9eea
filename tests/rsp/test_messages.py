"""Every message form of both standards: literal bytes, our codec and pycrate agree byte for byte, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from coverage_messages import LITERAL, PYCRATE, held

from bench.rsp import codec
from bench.rsp.asn1.schema import SCHEMA

from . import oracle
from .messages import messages

MODULES = (codec.SGP32, codec.SGP22)
ELSEWHERE = {"ExpirationDate": "extension of a CRL, which no message of the bench carries decoded"}
ALL = messages()


@pytest.mark.parametrize(("module", "name", "data"), ALL, ids=[f"{item[1]}-{n}" for n, item in enumerate(ALL)])
def test_our_codec_reads_and_writes_the_literal_bytes(module: str, name: str, data: bytes) -> None:
    value = codec.decode(name, data, module=module, accept=())
    assert codec.encode(name, value, module=module).hex() == data.hex()
    assert codec.decode(name, data, module=module) == value
    held(LITERAL, module, name, data)


def test_pycrate_reads_and_writes_the_literal_bytes(compiled: ModuleType) -> None:
    for module, name, data in ALL:
        descriptor = {"type": name}
        foreign = oracle.pycrate_type(compiled, module, name)
        foreign.from_ber(data)
        theirs = oracle.without_defaults(module, descriptor, oracle.from_pycrate(module, descriptor, foreign.get_val()))
        ours = codec.decode(name, data, module=module, accept=())
        assert oracle.without_defaults(module, descriptor, ours) == theirs, (name, data.hex())
        foreign.set_val(oracle.to_pycrate(module, descriptor, theirs))
        assert foreign.to_der().hex() == data.hex(), name
        held(PYCRATE, module, name, theirs)


def present(module: str, descriptor: dict[str, Any], path: str, value: Any) -> Iterator[str]:
    """Yield every type, field and alternative of a decoded value."""
    for module, descriptor, path in chain(module, descriptor, path):  # noqa: B007, B020, PLR1704
        yield path
    kind = descriptor["type"]
    if kind == "CHOICE":
        member = next(member for member in descriptor["members"] if member["name"] == value[0])
        yield f"{path}.{value[0]}"
        yield from present(module, member, f"{path}.{value[0]}", value[1])
    elif kind == "SEQUENCE":
        for member in descriptor["members"]:
            if member["name"] in value:
                yield f"{path}.{member['name']}"
                yield from present(module, member, f"{path}.{member['name']}", value[member["name"]])
    elif kind == "SEQUENCE OF":
        for item in value:
            yield from present(module, descriptor["element"], f"{path}.[]", item)


def chain(module: str, descriptor: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the types that a reference goes through, down to the one that has no name."""
    while True:
        name = descriptor["type"]
        if name in oracle.OPAQUE:
            yield module, {"type": name}, path
            return
        home = module if name in SCHEMA[module]["types"] else None
        home = home or next((source for source, names in SCHEMA[module]["imports"].items() if name in names), None)
        if home is None:
            yield module, descriptor, path
            return
        module, descriptor, path = home, SCHEMA[home]["types"][name], f"{home}.{name}"
        yield module, descriptor, path


def possible() -> Iterator[str]:
    """Yield every type, field and alternative of the schema."""

    def below(descriptor: dict[str, Any], path: str) -> Iterator[str]:
        yield path
        for member in descriptor.get("members", ()):
            yield from below(member, f"{path}.{member['name']}")
        if "element" in descriptor and "members" in descriptor["element"]:
            for member in descriptor["element"]["members"]:
                yield from below(member, f"{path}.[].{member['name']}")

    for module in MODULES:
        for name, descriptor in SCHEMA[module]["types"].items():
            if name not in ELSEWHERE:
                yield from below(descriptor, f"{module}.{name}")


def test_no_type_field_or_alternative_is_without_literal_bytes() -> None:
    seen: set[str] = set()
    for module, name, data in ALL:
        seen.update(present(module, {"type": name}, "", codec.decode(name, data, module=module)))
    missing = [item for item in possible() if item not in seen]
    assert not missing, f"{len(missing)} without a vector: " + ", ".join(missing)
