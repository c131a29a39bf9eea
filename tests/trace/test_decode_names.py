"""Every function and every result of the standards has its name in the one-liners of the trace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from coverage_items import functions

from bench.rsp import codec, names
from bench.rsp.asn1.schema import BITS, NUMBERS, SCHEMA
from bench.trace.decode import one_liner
from bench.trace.decode_rsp import es10, esipa

MODULES = (codec.SGP32, codec.SGP22)


def single_codes() -> Iterator[tuple[str, str, str, bytes]]:
    """Yield module, type, name of a code and the bytes of every answer that is one code alone."""
    for module in MODULES:
        for name, descriptor in SCHEMA[module]["types"].items():
            home = SCHEMA[module]["types"].get(descriptor["type"], descriptor)
            split = descriptor["type"] if home is not descriptor else name
            if "Response" not in name or "tag" not in descriptor or descriptor["tag"]["number"] < 31:
                continue
            members = home.get("members", ())
            needed = [member for member in members if not member.get("optional")]
            for member in members if home["type"] == "CHOICE" else needed if len(needed) == 1 else ():
                for path in (f"{split}.{member['name']}", member["type"]):
                    for code, told in NUMBERS[module].get(path, {}).items():
                        choice = home["type"] == "CHOICE"
                        value = (member["name"], code) if choice else {member["name"]: code}
                        yield module, name, told, codec.encode(name, value, module=module)


ALL = list(single_codes())


def test_there_are_many() -> None:
    assert len(ALL) > 150


@pytest.mark.parametrize(("module", "name", "told", "data"), ALL, ids=[f"{one[1]}-{one[2]}" for one in ALL])
def test_a_result_is_told_by_name(module: str, name: str, told: str, data: bytes) -> None:
    over_the_air = name.endswith(("Esipa", "Es9", "Es11")) or data[1] in (0x39, 0x3A, 0x3B, 0x40, 0x4E, 0x4F, 0x50)
    line = esipa(data, answer=True) if over_the_air else es10(data, answer=True)
    if told == "deprecated" or (module == codec.SGP22 and over_the_air):
        return  # ES9+ in ASN.1: SGP.32's names of the same numbers
    assert told in line, line
    if not over_the_air:
        assert one_liner("apdu:sim", 1, data + b"\x90\x00").endswith("9000 ok")


def test_every_function_has_a_name() -> None:
    for tag in functions():
        assert names.function(tag), f"{tag:X}"
    for module in MODULES:
        for name, descriptor in SCHEMA[module]["types"].items():
            number = descriptor.get("tag", {"number": 0, "class": "other"})
            if "class" not in number and number["number"] >= 31:
                assert names.function(0xBF00 | number["number"]), name


def test_every_named_number_and_bit_is_found() -> None:
    for module in MODULES:
        for path, table in NUMBERS[module].items():
            for code, told in table.items():
                assert names.result(path, code) in (told, NUMBERS[codec.SGP32].get(path, {}).get(code))
        for path, bits in BITS[module].items():
            for position, told in bits.items():
                assert names.bit(path, position) in (told, BITS[codec.SGP32].get(path, {}).get(position))


@pytest.mark.parametrize(
    ("data", "answer", "line"),
    [
        ("bf4f155a1089044045930000000000002153893210810105", False, "89044045930000000000002153893210 immediateEnable"),
        ("bf5005a003020102", False, "ProvideEimPackageResult request: error unknownPackage(2)"),
        ("bf5003020102", False, "ProvideEimPackageResult request: error unknownPackage(2)"),
        (
            "bf5007bf5404300280 68".replace(" ", "").replace("04300280", "05300380 01".replace(" ", "")),
            False,
            "request",
        ),
        ("bf5008bf5405300380" + "0168", False, "download: error ecallActive(104)"),
        ("bf5008bf5205a103020105", False, "IpaEuiccData error euiccCiPKIdNotFound(5)"),
        ("bf5006bf5203810105", False, "IpaEuiccData error euiccCiPKIdNotFound(5)"),
        ("bf3d09a107bf5204a2020000", False, "HandleNotification request: IpaEuiccData"),
        ("bf5003020103", True, "ProvideEimPackageResult answer: invalidEid(3)"),
        ("bf4e020500", True, "TransferEimPackage answer: received"),
        ("bf4e03020102", True, "TransferEimPackage answer: error unknownPackage(2)"),
        ("bf4e06bf5303800107", False, "TransferEimPackage request: acknowledged 7"),
        ("bf4103810102", True, "CancelSession answer: error euiccSignatureInvalid(2)"),
        ("bf4102a000", True, "CancelSession answer: ok"),
        ("bf3b0abf3807a205a000" + "5f3700", False, "AuthenticateClient request: ok, compact"),
        ("bf3a07bf2104a2023000", False, "GetBoundProfilePackage request: ok, compact"),
        ("bf4109a107a2053003800105", False, "CancelSession request: loadBppExecutionError(5)"),
        ("bf3d0ba009a007a005a203a00100", False, "HandleNotification request: PIR installed, compact"),
        ("bf3d10a00ea00ca00aa208a106800105810109", False, "AlreadyExistsOnEuicc(9) at loadProfileElements(5), compact"),
        (
            "bf3d10a00ea10cbf2f09800107810206400c00",
            False,
            "HandleNotification request: notification enable  #7, compact",
        ),
    ],
)
def test_esipa_in_both_dialects(data: str, answer: bool, line: str) -> None:
    assert line in esipa(bytes.fromhex(data), answer=answer)
