"""Text and certificates from outside: read as meant, or refused with an error of the bench."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.rsp import certs, dialect, names, packages, tlv
from bench.rsp.asn1.schema import NUMBERS
from bench.rsp.download import ActivationCode
from bench.rsp.errors import RspError
from bench.rsp.interpretation import Interpretation
from bench.rsp.interpretation_table import POINTS

from .vectors import vectors

many = settings(max_examples=300, database=None)
WORDS = st.text(string.ascii_letters + string.digits + "-.", min_size=1, max_size=20)
OIDS = st.lists(st.integers(0, 999), min_size=1, max_size=6).map(lambda arcs: ".".join(map(str, (2, *arcs))))


@many
@given(WORDS, WORDS, OIDS | st.none(), st.booleans(), st.sampled_from(["", "LPA:", "lpa:"]))
def test_an_activation_code_says_its_parts(
    address: str, matching_id: str, oid: str | None, confirmation: bool, prefix: str
) -> None:
    text = f"{prefix}1${address}${matching_id}"
    if oid is not None or confirmation:
        text += f"${oid or ''}"
    if confirmation:
        text += "$1"
    code = ActivationCode.parse(text)
    assert (code.address, code.matching_id) == (address, matching_id)
    assert ActivationCode.parse(str(code)) == code


@many
@given(st.text(max_size=60) | st.from_regex(r"(LPA:)?1(\$[^$]{0,8}){0,6}", fullmatch=True))
def test_any_text_is_an_activation_code_or_refused(text: str) -> None:
    try:
        code = ActivationCode.parse(text)
    except RspError as error:
        assert error.what
        return
    assert ActivationCode.parse(str(code)) == code


KINDS = sorted({*NUMBERS["SGP32Definitions"], *NUMBERS["RSPDefinitions"]})


@many
@given(st.sampled_from(KINDS) | st.text(max_size=30), st.integers(-1, 2**32), st.integers(0, 0xFFFFFF))
def test_every_code_and_tag_has_some_name(kind: str, code: int, tag: int) -> None:
    assert names.result(kind, code)
    assert names.bit(kind, code)
    names.function(tag)
    names.codes(tag)
    dialect.code_name(kind, code, "1.0")


@many
@given(st.data())
def test_any_bytes_are_a_certificate_or_refused(data: Any) -> None:
    raw = data.draw(st.binary(max_size=80) | st.binary(max_size=60).map(lambda inner: tlv.build(0x30, inner)))
    readers = (certs.load, certs.public_key, certs.subject_key_id, certs.eid_of, certs.roles, certs.permitted_eins)
    for read in (*readers, certs.check_root, certs.subject_text, certs.registered_id, certs.authority_key_id):
        try:
            read(raw)
        except RspError:
            continue


@many
@given(st.sampled_from(vectors()), st.integers(0, 2000), st.integers(0, 255))
def test_damaged_packages_are_read_or_refused(vector: tuple[str, object, bytes], position: int, value: int) -> None:
    damaged = bytearray(vector[2])
    damaged[position % len(damaged)] = value
    for read in (packages.parse_request, packages.parse_result):
        try:
            parsed = read(bytes(damaged))
        except RspError:
            continue
        assert parsed.signed_raw in bytes(damaged)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.lists(st.text(max_size=4))


@many
@given(st.dictionaries(st.sampled_from(sorted(POINTS)) | st.text(max_size=12), VALUES, max_size=3))
def test_any_table_is_a_reading_or_refused(table: dict[str, object]) -> None:
    try:
        made = Interpretation.read(table)
    except BenchError as error:
        assert error.where
        assert error.hint
        return
    assert made.changed.keys() <= table.keys()
