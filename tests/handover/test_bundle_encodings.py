"""Every identifier in every encoding: found, replaced by one pseudonym everywhere, seen by the check before that."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.handover import apply
from bench.handover.book import Book
from bench.handover.check import Check
from bench.handover.collect import Found
from bench.handover.collect_trace import collect
from bench.handover.image import load
from bench.handover.pseudonyms import (
    ADDRESS,
    CELL,
    CODE,
    EID,
    HOST,
    ICCID,
    IMEI,
    IMSI,
    KEY,
    MSISDN,
    NAME,
    TMSI,
    Identifier,
    make,
    valid,
)
from bench.handover.replace import Replacer
from bench.rsp.ids import check_eid, check_iccid, luhn_digit

from .planted import Card, packets, write


def identifiers(card: Card) -> set[Identifier]:
    return {
        Identifier(EID, card.eid),
        Identifier(ICCID, card.iccid),
        Identifier(IMSI, card.imsi),
        Identifier(IMEI, card.imei),
        Identifier(MSISDN, card.msisdn),
        Identifier(TMSI, card.tmsi),
        Identifier(CODE, card.code),
        Identifier(CELL, card.cell),
        Identifier(HOST, card.smdp),
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2**32), st.binary(min_size=32, max_size=32))
def test_each_planted_place_holds_the_pseudonym_and_nothing_is_left(seed: int, cuts: int, key: bytes) -> None:
    card = Card.draw(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.pcapng")
        plan = write(path, card, cuts)
        before = packets(path)
        for form, value, read in plan.expected:
            assert read(before).lower() == value.lower(), form  # the test reads what it planted
        image = load(path)
        found = Found()
        collect(found, [image])
        assert identifiers(card) <= found.identifiers
        given_ = Book("v", key).give(found.identifiers)
        check = Check(given_)
        assert {left.value for left in check.file(path.name, path.read_bytes())} >= {
            each.value for each in identifiers(card)
        }
        apply.trace([image], Replacer(given_))
        path.write_bytes(image.buffer)
        table = {each.value: pseudonym for each, pseudonym in given_.items()}
        after = packets(path)
        for form, value, read in plan.expected:
            assert read(after).lower() == table[value].lower(), form
        assert [str(left) for left in check.file(path.name, path.read_bytes())] == []
        assert [(p.lane, p.time_ns, p.direction, len(p.data)) for p in after] == [
            (p.lane, p.time_ns, p.direction, len(p.data)) for p in before
        ]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.binary(min_size=32, max_size=32))
def test_pseudonyms_keep_form_length_and_check_digits(seed: int, key: bytes) -> None:
    card = Card.draw(seed)
    for each in identifiers(card):
        assert valid(each), each
        found = make(key, each)
        assert found != each.value and len(found) == len(each.value)
        assert valid(Identifier(each.kind, found)), (each, found)
        assert make(key, each) == found
        if each.kind not in (CELL, HOST):  # of few digits: chance
            assert make(key[::-1] + b"x", each) != found
    assert check_eid(make(key, Identifier(EID, card.eid)))
    assert check_iccid(make(key, Identifier(ICCID, card.iccid)))
    imei = make(key, Identifier(IMEI, card.imei))
    assert luhn_digit(imei[:-1]) == imei[-1] and imei[:8] == card.imei[:8]
    assert make(key, Identifier(IMSI, card.imsi))[:5] == card.imsi[:5]
    assert make(key, Identifier(HOST, "smdp.operator.net")).endswith(".net")


ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@settings(max_examples=200, deadline=None)
@given(ADDRESSES, st.binary(min_size=32, max_size=32))
def test_addresses_keep_their_length_in_every_form(address: str, key: bytes) -> None:
    import ipaddress

    each = Identifier(ADDRESS, address)
    if not valid(each):
        return
    one = ipaddress.ip_address(address)
    try:
        two = ipaddress.ip_address(make(key, each))
    except ValueError:  # nothing in it can change: a network's own address
        return
    assert len(str(two)) == len(address)
    assert len(".".join(map(str, two.packed))) == len(".".join(map(str, one.packed)))


def test_addresses_of_one_subnet_stay_in_one_subnet() -> None:
    given_ = Book("v", b"k" * 32).give(Identifier(ADDRESS, f"10.64.1.{host}") for host in range(2, 90))
    assert len({pseudonym.rpartition(".")[0] for pseudonym in given_.values()}) == 1
    assert len(set(given_.values())) == 88
    assert all(pseudonym.startswith("10.") for pseudonym in given_.values())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 2**32))
def test_any_bytes_keep_their_length(data: bytes, seed: int) -> None:
    card = Card.draw(seed)
    replacer = Replacer(Book("v", b"k" * 32).give(identifiers(card)))
    where = random.Random(seed).randrange(len(data) + 1)
    mixed = data[:where] + card.eid.encode() + data[where:]
    assert len(replacer.replace(mixed)) == len(mixed)
    assert len(replacer.bits(mixed)) == len(mixed)
    assert card.eid.encode() not in replacer.replace(mixed)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(8, 31))
def test_what_a_comment_cuts_short_is_replaced_as_far_as_it_goes(seed: int, length: int) -> None:
    card = Card.draw(seed)
    given_ = Book("v", b"k" * 32).give([Identifier(EID, card.eid)])
    text = f"{'x' * 280} EID {card.eid[:length]}…".encode()
    after = Replacer(given_).comment(text)
    assert after == f"{'x' * 280} EID {given_[Identifier(EID, card.eid)][:length]}…".encode()


def test_names_and_keys_in_json_utf16_and_dns() -> None:
    wanted = [
        Identifier(NAME, "Müller & Söhne"),
        Identifier(HOST, "eim.operator.net"),
        Identifier(KEY, "00112233445566778899aabbccddeeff"),
        Identifier(NAME, "Kim"),
    ]
    given_ = Book("v", b"k" * 32).give(wanted)
    name, host, key, short = (given_[each] for each in wanted)
    replacer = Replacer(given_)
    text = '{"a": "Müller & Söhne", "b": "M\\u00fcller & S\\u00f6hne", "c": "KIM Kimono Kim"}'.encode()
    escaped = name.replace("é", "\\u00e9")
    assert replacer.replace(text) == f'{{"a": "{name}", "b": "{escaped}", "c": "KIM Kimono {short}"}}'.encode()
    dns = b"\x03eim\x08operator\x03net\x00\x00\x01"
    labels = host.split(".")
    assert replacer.replace(dns) == b"".join(bytes((len(e),)) + e.encode() for e in labels) + b"\x00\x00\x01"
    assert replacer.replace("eim.operator.net".encode("utf-16-le")) == host.encode("utf-16-le")
    assert replacer.replace(b"Ki=00112233445566778899AABBCCDDEEFF") == b"Ki=" + key.upper().encode()
    assert replacer.replace(bytes.fromhex("a0" + wanted[2].value)) == bytes.fromhex("a0" + key)


@pytest.mark.parametrize("value", ["10.64.1.3", "2001:db8::1:2"])
def test_an_address_is_not_replaced_within_a_longer_number(value: str) -> None:
    given_ = Book("v", b"k" * 32).give([Identifier(ADDRESS, value)])
    other = given_[Identifier(ADDRESS, value)]
    replacer = Replacer(given_)
    assert replacer.replace(f'"{value}" 1{value} {value}5'.encode()) == f'"{other}" 1{value} {value}5'.encode()
    assert replacer.replace(f"{value}.255.255.255.0".encode()).endswith(b".255.255.255.0")
