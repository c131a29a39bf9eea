"""SGP.32 v1.0 and v1.2 of every message that differs, both written down (the fact sheet's section G by its rows)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.rsp import codec, dialect, names, tlv
from bench.rsp.dialect import Kind, NotInDialect
from bench.rsp.errors import DecodeError

from .notation import octets
from .vectors import EID, vectors

E = "5A:89044045930000000000002153893210"
EPR = "30{80:65 81:01 83:03 30{83:00}} 5F37:BB"
PIR = "BF37{BF27{80:01 BF2F{80:01 81:0780 0C:61} 06:8837 A2{A1{80:00 81:01}}} 5F37:BB}"
OTHER = "30{BF2F{80:01 81:0780 0C:61} 5F37:BB 30{30{} 30{} 03:00} 30{30{} 30{} 03:00}}"

# (row of section G, kind, v1.2, v1.0): the same message, converted both ways without loss.
BOTH: list[tuple[int, Kind, str, str]] = [
    (1, "ipa", f"BF50{{{E} BF51{{A0{{{EPR}}}}}}}", f"BF50{{BF51{{A0{{{EPR}}}}}}}"),
    (1, "ipa", f"BF50{{{E} A0{{02:02}}}}", "BF50{02:02}"),
    (2, "eim", "BF50{30{}}", "BF50{}"),
    (2, "eim", "BF50{BF53{80:07}}", "BF50{BF53{80:07}}"),
    (3, "ipa", f"BF3D{{BF50{{{E} BF54{{{PIR}}}}}}}", f"BF3D{{A1{{BF54{{{PIR}}}}}}}"),
    (3, "ipa", f"BF3D{{A0{{{PIR}}}}}", f"BF3D{{A0{{{PIR}}}}}"),
    (4, "ipa", f"BF4F{{{E} 80: 82:62F210}}", f"BF4F{{{E} 80: 81:62F210}}"),
    (4, "ipa", f"BF4F{{{E}}}", f"BF4F{{{E}}}"),
    (4, "eim", "BF4F{02:01}", "BF4F{02:01}"),
    (
        5,
        "ipa",
        f"BF50{{{E} BF52{{A0{{A0{{{PIR}}} 81:61 A2{{BF51{{A0{{{EPR}}}}}}} 83:62 84:05 A8{{80:0780}}}}}}}}",
        f"BF50{{BF52{{A0{{80:61 83:62 84:05 A8{{80:0780}} BF2B{{A3{{A0{{{PIR}}} A1{{BF51{{A0{{{EPR}}}}}}}}}}}}}}}}}",
    ),
    (
        5,
        "ipa",
        f"BF50{{{E} BF52{{A0{{A0{{{OTHER}}} 81:61}}}}}}",
        f"BF50{{BF52{{A0{{80:61 BF2B{{A0{{{OTHER}}}}}}}}}}}",
    ),
    (
        5,
        "ipa",
        f"BF50{{{E} BF52{{A0{{A2{{BF51{{A0{{{EPR}}}}}}}}}}}}}",
        f"BF50{{BF52{{A0{{BF2B{{A2{{BF51{{A0{{{EPR}}}}}}}}}}}}}}}",
    ),
    (5, "ipa", f"BF50{{{E} BF52{{A1{{02:05}}}}}}", "BF50{BF52{81:05}}"),
    (6, "eim", "BF4F{BF52{5C:BF20A081}}".replace("A081", "A0A281"), "BF4F{BF52{5C:BF20BF2B80}}"),
    (6, "eim", "BF4F{BF52{5C:A2}}", "BF4F{BF52{5C:BF2B A1{82:}}}"),
    (6, "eim", "BF4F{BF52{5C:A0 04:AABB A1{81:0780}}}", "BF4F{BF52{5C:BF2B 04:AABB A1{81:0780}}}"),
    (6, "eim", "BF4E{BF52{5C:BF22A5A6A8}}", "BF4E{BF52{5C:BF22A5A6A8}}"),
    (
        7,
        "ipa",
        f"BF50{{{E} 30{{BF51{{A0{{{EPR}}}}} A0{{{PIR}}}}}}}",
        f"BF50{{30{{BF51{{A0{{{EPR}}}}} BF2B{{A0{{{PIR}}}}}}}}}",
    ),
    (
        7,
        "ipa",
        f"BF4E{{30{{BF51{{A0{{{EPR}}}}} A0{{{PIR}}}}}}}",
        f"BF4E{{30{{BF51{{A0{{{EPR}}}}} BF2B{{A0{{{PIR}}}}}}}}}",
    ),
    (10, "command", "BF64{82:06C0}", "BF34{82:06C0}"),
    (10, "command", "BF64{82:0104}".replace("0104", "0204"), "BF34{82:0410}"),
    (10, "command", "BF64{82:01A6}", "BF34{82:03B8}"),
    (10, "response", "BF64{80:00 81:00 82:01}", "BF34{02:00 81:00 82:01}"),
    (11, "command", "BF5A{80:FF}", "BF5A{}"),
    (11, "response", "BF5A{80:00}", "BF5A{80:00}"),
    (12, "response", "BF57{81:02}", "BF57{81:02}"),
    (14, "ipa", f"BF50{{{E} BF54{{30{{80:7F 04:6F00}}}}}}", "BF50{BF54{30{80:6F00}}}"),
    (14, "ipa", f"BF50{{{E} BF54{{82:01 30{{80:7F}}}}}}", "BF50{BF54{82:01 30{}}}"),
    (16, "response", "BF51{A2{80:65 84:01}}", "BF51{A2{80:65 84:01}}"),
    (17, "ipa", "BF39{81:00 83:61 BF20{}}", "BF39{81:00 83:61 BF20{}}"),
    (18, "command", "BF55{}", "BF55{}"),
]

# (row, kind, v1.2, v1.0): what v1.0 has no room for is left out or becomes undefinedError.
DOWN: list[tuple[int, Kind, str, str]] = [
    (2, "eim", "BF50{02:02}", "BF50{}"),
    (4, "ipa", f"BF4F{{{E} 80: 81:05}}", f"BF4F{{{E} 80:}}"),
    (4, "eim", "BF4F{02:02}", "BF4F{02:7F}"),
    (4, "eim", "BF4F{02:04}", "BF4F{02:7F}"),
    (5, "ipa", f"BF50{{{E} BF52{{A1{{80:01 02:68}}}}}}", "BF50{BF52{81:7F}}"),
    (5, "ipa", f"BF50{{{E} BF52{{A0{{87:01 A8{{80:0780 A2{{}}}}}}}}}}", "BF50{BF52{A0{A8{80:0780}}}}"),
    (6, "eim", "BF4F{BF52{5C:A2 A2{80:07} 83:01}}", "BF4F{BF52{5C:BF2B A1{80:07}}}"),
    (6, "eim", "BF4F{BF52{5C:A0A2 A1{80:07} A2{80:09}}}", "BF4F{BF52{5C:BF2B A1{80:07}}}"),
    (1, "ipa", "BF4E{BF60{A0{80:01}}}", "BF4E{05:}"),
    (1, "ipa", "BF4E{BF61{A0{80:01} 81:02}}", "BF4E{02:02}"),
    (7, "ipa", f"BF50{{{E} BF51{{A2{{80:65 82:01 84:01 8F:7F}}}}}}", "BF50{BF51{A2{80:65 84:01}}}"),
    (
        3,
        "ipa",
        "BF3D{A0{A1{5A:89 BF2F{80:01 81:0780 0C:61} 5F37:BB 04:AA}}}",
        "BF3D{A0{A1{BF2F{80:01 81:0780 0C:61} 5F37:BB}}}",
    ),
    (10, "response", "BF64{80:68}", "BF34{02:7F}"),
    (11, "command", "BF5A{80:00}", "BF5A{}"),
    (11, "response", "BF5A{80:05}", "BF5A{80:7F}"),
    (12, "response", "BF57{81:07}", "BF57{81:7F}"),
    (16, "response", "BF51{A2{80:65 82:01 84:01 8F:0F}}", "BF51{A2{80:65 84:01}}"),
    (17, "ipa", "BF39{81:00 BF20{} 82:01}", "BF39{81:00 BF20{}}"),
    (17, "eim", "BF39{81:34}", "BF39{81:7F}"),
    (18, "command", "BF55{A0{80:65}}", "BF55{}"),
    (18, "response", "BF55{A0{30{80:65 89: AA{}}}}", "BF55{A0{30{80:65}}}"),
    (19, "command", "BF65{80:61}", "BF3F{80:61}"),
    (19, "response", "BF65{80:00}", "BF3F{80:00}"),
]

# (row, kind, v1.0, v1.2): what only v1.0 has, or has in another order.
UP: list[tuple[int, Kind, str, str]] = [
    (6, "eim", "BF4F{BF52{5C:80BF2B88}}", "BF4F{BF52{5C:81A0A2A8}}"),
    (6, "eim", "BF4F{BF52{5C:BF2B A1{80:07}}}", "BF4F{BF52{5C:A0A2 A1{80:07} A2{80:07}}}"),
    (8, "response", f"BF2B{{A3{{A0{{{PIR}}} A1{{BF51{{A0{{{EPR}}}}}}}}}}}", f"BF2B{{A0{{{PIR}}}}}"),
    (8, "response", f"BF2B{{A2{{BF51{{A0{{{EPR}}}}}}}}}", f"BF2B{{A2{{BF51{{A0{{{EPR}}}}}}}}}"),
    (7, "ipa", f"BF50{{30{{BF51{{A0{{{EPR}}}}} BF2B{{81:7F}}}}}}", f"BF50{{{E} 30{{BF51{{A0{{{EPR}}}}} A0{{}}}}}}"),
]

# Functions, options and PSMOs that v1.0 does not have (rows 10 and 19).
ABSENT: list[tuple[int, Kind, str]] = [
    (10, "command", "BF64{82:0410}"),
    (10, "command", "BF64{82:0308}"),
    (19, "command", "BF5B{80:FF}"),
    (19, "command", "BF5C{80:FF}"),
    (19, "command", "BF5D{80:FF}"),
    (19, "command", "BF5E{80:FF}"),
    (19, "command", "BF5F{}"),
    (19, "eim", f"BF4F{{BF51{{30{{80:65 {E} 81:01 A0{{A8{{5A:98}}}}}} 5F37:BB}}}}"),
    (19, "eim", f"BF4F{{BF51{{30{{80:65 {E} 81:01 A0{{A9{{}}}}}} 5F37:BB}}}}"),
    (19, "command", f"BF51{{30{{80:65 {E} 81:01 A0{{BF65{{80:61}}}}}} 5F37:BB}}"),
]


@pytest.mark.parametrize(("row", "kind", "new", "old"), BOTH)
def test_both_ways(row: int, kind: Kind, new: str, old: str) -> None:
    assert dialect.convert(octets(new), kind=kind, to="1.0").hex() == octets(old).hex()
    eid = EID if E in new else None
    assert dialect.convert(octets(old), kind=kind, to="1.2", eid=eid).hex() == octets(new).hex()


@pytest.mark.parametrize(("row", "kind", "new", "old"), DOWN)
def test_what_v1_0_has_no_room_for(row: int, kind: Kind, new: str, old: str) -> None:
    assert dialect.convert(octets(new), kind=kind, to="1.0").hex() == octets(old).hex()


@pytest.mark.parametrize(("row", "kind", "old", "new"), UP)
def test_what_only_v1_0_has(row: int, kind: Kind, old: str, new: str) -> None:
    assert dialect.convert(octets(old), kind=kind, to="1.2", eid=EID).hex() == octets(new).hex()


@pytest.mark.parametrize(("row", "kind", "new"), ABSENT)
def test_what_v1_0_cannot_say(row: int, kind: Kind, new: str) -> None:
    with pytest.raises(NotInDialect, match=r"v1\.0 has no"):
        dialect.convert(octets(new), kind=kind, to="1.0")


def test_an_emergency_of_a_trigger_is_lost_in_v1_0() -> None:
    new = octets(f"BF50{{{E} BF54{{82:01 30{{80:68}}}}}}")
    assert dialect.convert(new, kind="ipa", to="1.0") == octets("BF50{BF54{82:01 30{}}}")


SIGNED = [
    (9, "30{80:65 81:01 83:03 30{AB{A0{30{80:65 82:02}}}}}", "30{80:65 81:01 83:03 30{AB{A0{30{80:65 84:02}}}}}"),
    (15, "30{80:65 81:01 83:03 30{83:03}}", "30{80:65 81:01 83:03 30{83:7F}}"),
    (15, "30{80:65 81:01 83:03 30{83:00 85:15}}", "30{80:65 81:01 83:03 30{83:00 85:7F}}"),
    (15, "30{80:65 81:01 83:03 30{84:05}}", "30{80:65 81:01 83:03 30{84:7F}}"),
    (15, "30{80:65 81:01 83:03 30{83:02 84:01}}", "30{80:65 81:01 83:03 30{83:02 84:01}}"),
    (12, "30{80:65 81:01 83:03 30{A8{02:02}}}", "30{80:65 81:01 83:03 30{A8{02:7F}}}"),
    (12, "30{80:65 81:01 83:03 30{A8{84:02}}}", "30{80:65 81:01 83:03 30{A8{84:02}}}"),
    (15, "30{80:65 81:01 02:68}", "30{80:65 81:01 02:7F}"),
]


@pytest.mark.parametrize(("row", "new", "old"), SIGNED)
def test_what_a_card_of_v1_0_signs(row: int, new: str, old: str) -> None:
    assert dialect.result_data_to_v1_0(octets(new)).hex() == octets(old).hex()


@pytest.mark.parametrize("result", ["8D:00", "8E:00", "BF65{80:00}"])
def test_results_that_v1_0_does_not_have(result: str) -> None:
    with pytest.raises(NotInDialect):
        dialect.result_data_to_v1_0(octets(f"30{{80:65 81:01 83:03 30{{{result}}}}}"))


def test_a_list_of_eims_of_v1_0_is_read() -> None:
    old = octets("BF51{A0{30{80:65 81:01 83:03 30{AB{A0{30{80:65 84:02}}}}} 5F37:BB}}")
    value = codec.decode("EuiccPackageResult", dialect.result_to_v1_2(old))
    data = value[1]["euiccPackageResultDataSigned"]
    assert data["euiccResult"] == [("listEimResult", ("eimIdList", [{"eimId": "e", "eimIdType": 2}]))]


def test_signature_input_of_results() -> None:
    """Row 13."""
    signed = octets("30{80:65}")
    assert dialect.signing_input(signed, 5).hex() == "3003800165840105"
    assert dialect.signing_input(signed, None).hex() == "3003800165840100"
    assert dialect.signing_input(signed, 5, eim_signature=b"\xaa\xbb").hex() == "30038001655f3702aabb"


def test_codes_that_mean_something_else() -> None:
    """Row 12, and the others of appendix 4."""
    path = "AddInitialEimResponse.addInitialEimError"
    assert dialect.code_name(path, 2, "1.0") == "unsignedEimConfigDisallowed"
    assert dialect.code_name(path, 2, "1.2") == names.result(path, 2) == "associatedEimAlreadyExists"
    assert dialect.code_name("ListEimResult.listEimError", 7, "1.0") == "commandError"
    path = "GetBoundProfilePackageResponseEsipa.getBoundProfilePackageErrorEsipa"
    assert dialect.code_name(path, 6, "1.0") == "downloadOrderExpired"
    assert dialect.code_name(path, 1, "1.0") == "euiccSignatureInvalid"


def test_binding() -> None:
    """Row 20."""
    assert dialect.BINDINGS["1.0"].admin_protocol == "gsma/rsp/v2.1.0"
    assert not dialect.BINDINGS["1.0"].json
    assert dialect.BINDINGS["1.2"].user_agent == "gsma-rsp-ipad"


def test_every_row_has_a_case() -> None:
    tables = [*BOTH, *DOWN, *UP, *ABSENT, *SIGNED]
    assert {row[0] for row in tables} | {13, 20} == set(range(1, 21))


@pytest.mark.parametrize(
    ("message", "version"),
    [
        (f"BF50{{{E} BF51{{A0{{{EPR}}}}}}}", "1.2"),
        (f"BF50{{BF51{{A0{{{EPR}}}}}}}", None),
        ("BF50{A0{02:02}}", "1.2"),
        ("BF50{02:02}", "1.0"),
        ("BF50{BF52{81:05}}", "1.0"),
        ("BF50{BF52{A0{80:61}}}", "1.0"),
        (f"BF50{{30{{BF51{{A0{{{EPR}}}}} BF2B{{A0{{}}}}}}}}", "1.0"),
        (f"BF3D{{A1{{BF51{{A0{{{EPR}}}}}}}}}", "1.0"),
        (f"BF3D{{BF50{{BF51{{A0{{{EPR}}}}}}}}}", "1.2"),
        (f"BF3D{{A0{{{PIR}}}}}", None),
        (f"BF4F{{{E} 81:62F210}}", "1.0"),
        (f"BF4F{{{E} 81:05}}", "1.2"),
        (f"BF4F{{{E} 82:62F210}}", "1.2"),
        (f"BF4F{{{E}}}", None),
    ],
)
def test_which_dialect_a_message_gives_away(message: str, version: str | None) -> None:
    assert dialect.spoken(octets(message)) == version


def test_signed_packages_keep_their_bytes() -> None:
    """A length octet more than DER needs is kept: the signature covers it."""
    request = bytes.fromhex("bf5181") + b"\x1e" + octets(f"30{{80:65 {E} 81:01 A1{{AB{{}}}}}}")[:] + b""
    inner = octets(f"30{{80:65 {E} 81:01 A1{{AB{{}}}}}}") + octets("5F37:BB")
    request = bytes.fromhex("bf5181") + bytes((len(inner),)) + inner
    message = tlv.build(0xBF4F, request)
    assert request in dialect.convert(message, kind="eim", to="1.0")
    assert request in dialect.convert(message, kind="eim", to="1.2")
    assert dialect.convert(request, kind="command", to="1.0") == request


KINDS: list[Kind] = ["ipa", "eim", "command", "response"]


@settings(max_examples=300, database=None)
@given(st.sampled_from(vectors()), st.sampled_from(KINDS), st.booleans(), st.data())
def test_damaged_messages_convert_or_are_refused(
    vector: tuple[str, object, bytes], kind: Kind, new: bool, data: st.DataObject
) -> None:
    damaged = bytearray(vector[2])
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    for read in (
        lambda raw: dialect.convert(raw, kind=kind, to="1.2" if new else "1.0", eid=EID),
        dialect.spoken,
        dialect.result_to_v1_2,
        dialect.result_data_to_v1_0,
    ):
        try:
            read(bytes(damaged))
        except (DecodeError, NotInDialect):
            continue
