from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.apdu import status
from bench.apdu.iso7816 import (
    ApduError,
    Command,
    Response,
    channel_of,
    class_on_channel,
    get_response,
    manage_channel_close,
    manage_channel_open,
    select_aid,
)

CASES = [
    # case 1, 2, 3, 4 in the short form; 2, 3, 4 in the extended form (ISO 7816-3 section 12.1.3)
    ("80E29100", Command(0x80, 0xE2, 0x91, 0x00)),
    ("00C0000010", Command(0x00, 0xC0, le=16)),
    ("00C0000000", Command(0x00, 0xC0, le=256)),
    ("80E2910006BF3E035C015A", Command(0x80, 0xE2, 0x91, 0x00, bytes.fromhex("BF3E035C015A"))),
    ("00A40004023F0000", Command(0x00, 0xA4, 0x00, 0x04, b"\x3f\x00", 256)),
    ("00B00000000100", Command(0x00, 0xB0, le=256, extended=True)),
    ("00B00000000000", Command(0x00, 0xB0, le=65536, extended=True)),
    ("80E29100000002ABCD", Command(0x80, 0xE2, 0x91, 0x00, b"\xab\xcd", extended=True)),
    ("80E29100000002ABCD0100", Command(0x80, 0xE2, 0x91, 0x00, b"\xab\xcd", 256, extended=True)),
]


@pytest.mark.parametrize(("wire", "command"), CASES)
def test_command_cases_both_ways(wire: str, command: Command) -> None:
    assert bytes(command).hex().upper() == wire
    assert Command.parse(bytes.fromhex(wire)) == command


@pytest.mark.parametrize(
    "wire", ["", "80E291", "80E2910003AABB", "80E2910002AABBCCDD", "80E29100000003AABB", "80E2910000000000"]
)
def test_broken_commands_are_refused(wire: str) -> None:
    with pytest.raises(ApduError):
        Command.parse(bytes.fromhex(wire))


@pytest.mark.parametrize("arguments", [{"data": bytes(256)}, {"le": 257}, {"le": 0}, {"p1": 256}])
def test_commands_that_cannot_be_written(arguments: dict[str, object]) -> None:
    with pytest.raises(ApduError):
        Command(0x80, 0xE2, **arguments)  # type: ignore[arg-type]


@given(
    st.builds(
        Command,
        cla=st.integers(0, 0xFE),
        ins=st.integers(0, 255),
        p1=st.integers(0, 255),
        p2=st.integers(0, 255),
        data=st.binary(max_size=255),
        le=st.none() | st.integers(1, 256),
    )
)
def test_any_short_command_reads_back(command: Command) -> None:
    assert Command.parse(bytes(command)) == command


@given(st.binary(max_size=600))
def test_any_bytes_are_a_command_or_an_apdu_error(raw: bytes) -> None:
    try:
        command = Command.parse(raw)
    except ApduError:
        return
    assert bytes(command) == raw


@given(st.binary(max_size=5000))
def test_any_bytes_are_a_response_or_an_apdu_error(raw: bytes) -> None:
    if len(raw) < 2:
        with pytest.raises(ApduError):
            Response.parse(raw)
        return
    response = Response.parse(raw)
    assert bytes(response) == raw
    assert response.ok == (raw[-2:] == b"\x90\x00" or raw[-2] in (0x91, 0x92))
    assert str(response)


def test_proactive_command_pending_is_success() -> None:
    assert Response.parse(b"\x91\x0b").ok
    assert Response.parse(b"\x91\x0b").proactive == 11
    assert Response.parse(b"\x91\x00").proactive == 256
    assert Response.parse(b"\x90\x00").proactive is None
    assert not Response.parse(b"\x69\x85").ok
    assert not Response.parse(b"\x61\x10").ok


@pytest.mark.parametrize(
    ("basic", "channel", "coded"),
    [
        (0x00, 0, 0x00),
        (0x00, 1, 0x01),
        (0x80, 3, 0x83),
        (0x80, 4, 0xC0),
        (0x00, 4, 0x40),
        (0x80, 19, 0xCF),
        (0x00, 19, 0x4F),
        (0x0C, 2, 0x0E),
        (0x0C, 5, 0x61),
        (0x84, 6, 0xE2),
        (0x10, 1, 0x11),
        (0xA0, 2, 0xA2),
    ],
)
def test_channel_in_the_class_byte(basic: int, channel: int, coded: int) -> None:
    assert class_on_channel(basic, channel) == coded
    assert channel_of(coded) == channel


def test_class_byte_moves_between_all_channels() -> None:
    for first in range(20):
        for second in range(20):
            moved = class_on_channel(class_on_channel(0x80, first), second)
            assert moved == class_on_channel(0x80, second)
            assert channel_of(moved) == second


@pytest.mark.parametrize(("cla", "channel"), [(0x80, 20), (0x80, -1), (0xFF, 1), (0xA0, 4)])
def test_channels_that_a_class_cannot_name(cla: int, channel: int) -> None:
    with pytest.raises(ApduError):
        class_on_channel(cla, channel)


def test_channel_commands() -> None:
    assert bytes(manage_channel_open()).hex() == "0070000001"
    assert bytes(manage_channel_close(3)).hex() == "00708003"
    assert bytes(get_response(0)).hex() == "00c0000000"
    isd_r = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
    assert bytes(select_aid(isd_r).on_channel(1)).hex() == "01a4040010" + isd_r.hex() + "00"
    assert bytes(select_aid(isd_r, le=None).on_channel(1)).hex() == "01a4040010" + isd_r.hex()
    with pytest.raises(ApduError):
        manage_channel_close(0)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0x9000, "9000 normal ending"),
        (0x6985, "6985 conditions of use not satisfied"),
        (0x6100, "6100 256 more bytes with GET RESPONSE"),
        (0x6C1A, "6C1A wrong Le, 26 bytes are there"),
        (0x63C2, "63C2 verification failed, 2 tries left"),
        (0x9110, "9110 normal ending, proactive command of 16 bytes pending"),
        (0x6A99, "6A99 wrong parameters"),
        (0x1234, "1234 unknown status word"),
    ],
)
def test_status_words_have_names(word: int, text: str) -> None:
    assert status.describe(word) == text
