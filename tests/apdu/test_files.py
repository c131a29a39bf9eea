from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.apdu import files
from bench.apdu.errors import CardAnswerError, StatusWordError
from bench.apdu.iso7816 import ApduError

from .scripted import ScriptedChannel

FCP_ICCID = "621482024121" + "83022fe2" + "8a0105" + "8b032f0604" + "8002000a"


def test_commands() -> None:
    assert bytes(files.select_file(files.MF)).hex() == "00a40004023f0000"
    assert bytes(files.select_path(files.ADF_USIM, files.EF_IMSI)).hex() == "00a40804047fff6f0700"
    assert bytes(files.read_binary(0x123, 10)).hex() == "00b001230a"
    assert bytes(files.update_binary(0, b"\x01")).hex() == "00d600000101"
    assert bytes(files.read_record(1, 256)).hex() == "00b2010400"
    assert bytes(files.update_record(2, b"\xff")).hex() == "00dc020401ff"
    assert bytes(files.terminal_capability()).hex() == "80aa000005a903830107"
    assert bytes(files.fetch(11)).hex() == "801200000b"
    assert bytes(files.terminal_response(b"\x81")).hex() == "801400000181"
    assert bytes(files.status()).hex() == "80f2000000"
    with pytest.raises(ApduError):
        files.read_binary(0x8000, 1)


def test_fcp_of_a_transparent_file() -> None:
    found = files.file_parameters(bytes.fromhex(FCP_ICCID))
    assert (found.structure, found.size, found.file_id) == ("transparent", 10, 0x2FE2)


def test_fcp_of_records_and_directories() -> None:
    found = files.file_parameters(bytes.fromhex("620f" + "82054221002002" + "83022f00" + "80020040"))
    assert (found.structure, found.record_length, found.record_count) == ("linear-fixed", 32, 2)
    directory = files.file_parameters(bytes.fromhex("620e" + "82027821" + "83023f00" + "8404a0000000"))
    assert (directory.structure, directory.aid.hex()) == ("directory", "a0000000")
    assert files.file_parameters(bytes.fromhex("620482023921")).structure == "ber-tlv"
    assert files.file_parameters(bytes.fromhex("620482024621")).structure == "cyclic"


@given(st.binary(max_size=60))
def test_any_bytes_are_parameters_or_refused(raw: bytes) -> None:
    try:
        files.file_parameters(raw)
    except CardAnswerError:
        pass


def test_a_file_is_read_to_its_end() -> None:
    content = bytes(range(256)) + bytes(44)
    fcp = "6208" + "82024121" + "8002012c"
    channel = ScriptedChannel(
        [
            ("00a40004022fe200", "610a"),
            ("00c000000a", fcp + "9000"),
            ("00b0000000", content[:256].hex() + "9000"),
            ("00b001002c", content[256:].hex() + "9000"),
        ]
    )
    assert asyncio.run(files.read_transparent(channel, files.EF_ICCID)) == content


def test_a_file_that_ends_early() -> None:
    channel = ScriptedChannel([("00a40004022fe200", "620882024121800200149000"), ("00b0000014", "aabb6282")])
    assert asyncio.run(files.read_transparent(channel, files.EF_ICCID)) == b"\xaa\xbb"


def test_a_file_that_is_not_there() -> None:
    channel = ScriptedChannel([("00a40804047fff6f0700", "6a82")])
    with pytest.raises(StatusWordError) as caught:
        asyncio.run(files.read_transparent(channel, files.ADF_USIM, files.EF_IMSI))
    assert caught.value.status_word == 0x6A82


def test_records() -> None:
    channel = ScriptedChannel(
        [
            ("00a40004022f0000", "6207820542210002029000"),
            ("00b2010402", "01029000"),
            ("00b2020402", "03049000"),
        ]
    )
    assert asyncio.run(files.read_records(channel, files.EF_DIR)) == [b"\x01\x02", b"\x03\x04"]
    with pytest.raises(CardAnswerError, match="transparent"):
        script = [("00a40004022f0000", "620882024121800200149000")]
        asyncio.run(files.read_records(ScriptedChannel(script), files.EF_DIR))
