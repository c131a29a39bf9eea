"""Any bytes: the card answers with a status word, never raises, and stays a card."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.rsp import packages
from bench.rsp.tlv import build
from fixtures.pki import Pki

from .parties import OPER_ICCID, Bench, Eim, Smdpp, Terminal

INSTRUCTIONS = (
    *(0xA4, 0xB0, 0xB2, 0xD6, 0xDC, 0xA2, 0x20, 0x24, 0x26, 0x28, 0x2C, 0x70, 0xC0, 0x84, 0x88),
    *(0xE2, 0xF2, 0x10, 0x12, 0x14, 0xAA, 0xC2, 0xCA, 0x32, 0x04, 0x44, 0x78, 0xCB, 0xDB),
)

TAGS = (
    *(0xBF20, 0xBF21, 0xBF22, 0xBF28, 0xBF29, 0xBF2B, 0xBF2D, 0xBF2E, 0xBF30, 0xBF34, 0xBF36, 0xBF38, 0xBF3C),
    *(0xBF3E, 0xBF3F, 0xBF41, 0xBF42, 0xBF43, 0xBF51, 0xBF55, 0xBF56, 0xBF57, 0xBF58, 0xBF59, 0xBF5A, 0xBF5B),
    *(0xBF31, 0xBF32, 0xBF33, 0xBF35),
    *(0xBF5C, 0xBF5D, 0xBF5E, 0xBF5F, 0xBF64, 0xBF65, 0xA0, 0xA1, 0xA3, 0x86, 0x88),
)
INNER = (0x80, 0x81, 0x82, 0x83, 0x84, 0x5A, 0x5C, 0xA0, 0xA1, 0xA5, 0x30, 0x04, 0x02, 0x5F37, 0x4F, 0x90, 0xBF23, 0x0C)

COMMANDS = st.one_of(
    st.binary(max_size=40),
    st.tuples(
        st.sampled_from((0x00, 0x01, 0x80, 0x81, 0x40, 0xC0)),
        st.sampled_from(INSTRUCTIONS),
        st.integers(0, 255),
        st.integers(0, 255),
        st.one_of(
            st.just(b""),
            st.binary(min_size=1, max_size=1),
            st.binary(max_size=40).map(_lc := lambda d: bytes((len(d),)) + d),
        ),
    ).map(lambda t: bytes(t[:4]) + t[4]),
)

VALUES = st.recursive(
    st.binary(max_size=20),
    lambda inner: st.lists(st.tuples(st.sampled_from(INNER), inner), max_size=5).map(
        lambda members: b"".join(build(tag, value) for tag, value in members)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def one(pki: Pki) -> Terminal:
    return Bench(Path(tempfile.mkdtemp(dir=pki.folder.parent)), pki).terminal()


def well(terminal: Terminal) -> None:
    view = terminal.card.state()
    assert terminal.card.faults == 0
    assert len(view.profiles) <= 1
    assert sum(profile.enabled for profile in view.profiles) <= 1


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(COMMANDS, min_size=1, max_size=12))
def test_any_commands(one: Terminal, commands: list[bytes]) -> None:
    one.card.reset()
    for command in commands:
        answer = one.card.transmit(command)
        assert 2 <= len(answer) <= 258
        assert answer[-2] >> 4 in (6, 9), answer.hex()
    well(one)


@settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.sampled_from(TAGS), VALUES)
def test_any_es10_request(one: Terminal, tag: int, value: bytes) -> None:
    one.card.reset()
    one.open_isd_r()
    data = build(tag, value)
    for number, start in enumerate(range(0, len(data), 255)):
        piece = data[start : start + 255]
        last = start + 255 >= len(data)
        answer = one.card.transmit(
            bytes((0x80 | one.channel, 0xE2, 0x91 if last else 0x11, number, len(piece))) + piece
        )
        assert answer[-2] >> 4 in (6, 9)
    well(one)


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
def test_corrupted_real_requests(one: Terminal, pki: Pki, data: st.DataObject) -> None:
    """One to three bytes of a real request changed: refused or answered, and nothing of it is done."""
    one.card.reset()
    one.open_isd_r()
    smdpp = Smdpp(pki)
    kind = data.draw(st.sampled_from(("authenticate", "package", "eim")))
    if kind == "authenticate":
        challenge = one.es10(bytes.fromhex("bf2e00"))[5:]
        request = smdpp.initiate(challenge)
    elif kind == "package":
        request = Eim(pki.eim).package(packages.enable(OPER_ICCID))
    else:
        request = build(0xBF57, build(0xA0, build(0x30, build(0x80, b""), Eim(pki.eim).configuration())))
    changed = bytearray(request)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    for number, start in enumerate(range(0, len(changed), 255)):
        piece = bytes(changed[start : start + 255])
        last = start + 255 >= len(changed)
        answer = one.card.transmit(
            bytes((0x80 | one.channel, 0xE2, 0x91 if last else 0x11, number, len(piece))) + piece
        )
        assert answer[-2] >> 4 in (6, 9)
    assert one.card.faults == 0
    assert [profile.enabled for profile in one.card.state().profiles] in ([True], [], [False])


def test_card_of_the_fuzz_still_works(one: Terminal) -> None:
    one.card.reset()
    one.open_isd_r()
    assert one.es10(bytes.fromhex("bf3e035c015a"))
