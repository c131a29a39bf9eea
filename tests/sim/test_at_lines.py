"""Command lines as V.250 has them, and what phone programs ask of any modem: literal lines and answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.sim.at_messages import address, deliver_tpdu, pack, pdu
from fixtures.sim.at_sms import deliver

from .radio_world import H, Radio


@pytest.fixture
def radio() -> Radio:
    made = Radio(H, model="eg25", rat="LTE")
    made.command("ATE0")
    return made


def test_a_slash_repeats_without_a_carriage_return(radio: Radio) -> None:
    assert radio.command("AT+CGMM") == "\r\nEG25\r\n\r\nOK\r\n"
    radio.output = b""
    radio.at.feed(b"a/")
    assert radio.output == b"\r\nEG25\r\n\r\nOK\r\n"
    radio.at.feed(b"\rA")
    radio.at.feed(b"/")
    assert radio.output == 2 * b"\r\nEG25\r\n\r\nOK\r\n"


@pytest.mark.parametrize("before", ["+++", "\x7f", "noise ", "A", "/", "~\u00ff"])
def test_what_stands_before_the_prefix_is_nothing(radio: Radio, before: str) -> None:
    radio.output = b""
    radio.at.feed(before.encode("latin-1") + b"AT+CGMM\r")
    assert radio.output == b"\r\nEG25\r\n\r\nOK\r\n"


def test_spaces_are_nothing_but_in_strings(radio: Radio) -> None:
    assert radio.command('AT +CGDCONT = 2 , "IP","a b" ; +CGMM') == "\r\nEG25\r\n\r\nOK\r\n"
    assert '+CGDCONT: 2,"IP","a b"' in radio.command("AT+CGDCONT ?")


def test_s_parameters(radio: Radio) -> None:
    assert radio.command("ATS0?S3?S4?S5?S7?") == "\r\n000\r\n013\r\n010\r\n008\r\n000\r\n\r\nOK\r\n"
    assert radio.command("ATS0=2S7=255;S0?") == "\r\n002\r\n\r\nOK\r\n"
    for wrong in ("ATS1?", "ATS3=128", "ATS0=256", "ATS99=1"):
        assert radio.command(wrong) == "\r\nERROR\r\n"
    assert radio.command("ATS3=33") == "!\nOK!\n"
    radio.output = b""
    radio.at.feed(b"AT+CGMM!")
    assert radio.output == b"!\nEG25!\n!\nOK!\n"
    radio.at.feed(b"ATS3=13;S4=9!")
    assert radio.command("AT") == "\r\tOK\r\t"


def test_profiles(radio: Radio) -> None:
    assert radio.command("AT&V") == (
        "\r\n&C: 1\r\n&D: 1\r\n&F: 0\r\n&W: 0\r\nE: 0\r\nQ: 0\r\nV: 1\r\nX: 4\r\nZ: 0\r\n"
        "S0: 0\r\nS3: 13\r\nS4: 10\r\nS5: 8\r\nS6: 2\r\nS7: 0\r\nS8: 2\r\nS10: 15\r\n\r\nOK\r\n"
    )
    radio.command("ATS0=4X1&D2&W")
    radio.command("ATS0=0+CMEE=1")
    assert radio.command("ATZ") == "\r\nOK\r\n"
    assert radio.command("ATS0?;+CMEE?") == "\r\n004\r\n+CMEE: 0\r\n\r\nOK\r\n"
    radio.power_cycle()
    assert "\r\n&D: 2\r\n" in radio.command("AT&V")
    assert radio.command("AT&F") == "\r\nOK\r\n"
    assert "AT&V\r\r\n&C: 1\r\n&D: 1\r\n" in radio.command("AT&V")  # echo is on again


def test_calls_end_at_once(radio: Radio) -> None:
    for line in ("ATD*99#", "atdt*99***1#", "ATA", "ATO", "ATD112;"):
        assert radio.command(line) == "\r\nNO CARRIER\r\n"
    assert radio.command("ATH") == "\r\nOK\r\n"
    radio.command("ATV0")
    assert (radio.command("ATD1"), radio.command("AT+NONSENSE"), radio.command("AT")) == ("3\r", "4\r", "0\r")


def test_equipment(radio: Radio) -> None:
    assert radio.command("AT+CPAS") == "\r\n+CPAS: 0\r\n\r\nOK\r\n"
    assert radio.command("AT+CBC") == "\r\n+CBC: 0,56,3800\r\n\r\nOK\r\n"  # 3.8 V of 3.3 to 4.2 V
    assert radio.command("AT+CPBS?") == '\r\n+CPBS: "SM",0,250\r\n\r\nOK\r\n'
    assert radio.command("AT+CPBR=1,250") == "\r\nOK\r\n"
    assert radio.command('AT+CUSD=1,"*100#",15') == "\r\nOK\r\n\r\n+CUSD: 4\r\n"
    assert radio.command("AT+CUSD?") == "\r\n+CUSD: 1\r\n\r\nOK\r\n"
    assert "\r\nAT+COPS\r\n" in radio.command("AT+CLAC")


# -- short messages


def test_packing_and_addresses() -> None:
    assert pack(b"hellohello").hex() == "e8329bfd4697d9ec37"  # the example that every description of 23.038 gives
    assert pack(b"") == b""
    assert address("+46708251358").hex() == "0b916407281553f8"
    assert address("10000").hex() == "05810100f0"


def test_an_sms_deliver_octet_by_octet() -> None:
    assert deliver_tpdu("hellohello").hex() == (
        "04"  # SMS-DELIVER, no more messages
        "05910100f0"  # from +10000
        "00" "00"  # protocol identifier, 7 bit alphabet
        "62101000000000"  # 2026-01-01 00:00:00
        "0a" "e8329bfd4697d9ec37"
    )  # fmt: skip
    ucs2 = deliver_tpdu("8 €")
    assert ucs2[7] == 0x08
    assert ucs2[15:].hex() == "060038002020ac"
    assert len(deliver_tpdu("x" * 500)) == 16 + 140
    length, text = pdu("hellohello")
    assert text.startswith("04910100F1" + "0405910100F0")
    assert length == len(text) // 2 - 5


@given(st.text(st.sampled_from("abcXYZ019 @$_?"), max_size=160))
def test_packed_text_is_unpacked_again(text: str) -> None:
    tpdu = deliver_tpdu(text)
    count, value = tpdu[15], int.from_bytes(tpdu[16:], "little")
    codes = [value >> 7 * index & 0x7F for index in range(count)]
    assert "".join({0: "@", 2: "$", 0x11: "_"}.get(code, chr(code)) for code in codes) == text


def test_messages_are_listed_read_and_deleted_in_both_modes(radio: Radio) -> None:
    assert radio.command("AT+CPMS?") == '\r\n+CPMS: "ME",0,23,"ME",0,23,"ME",0,23\r\n\r\nOK\r\n'
    radio.output = b""
    deliver(radio.at, "hellohello")
    assert radio.output == b'\r\n+CMTI: "ME",0\r\n'
    length, data = pdu("hellohello")
    assert radio.command("AT+CMGL=1") == "\r\nOK\r\n"
    assert radio.command("AT+CMGL") == f"\r\n+CMGL: 0,0,,{length}\r\n{data}\r\n\r\nOK\r\n"
    assert radio.command("AT+CMGL=4") == f"\r\n+CMGL: 0,1,,{length}\r\n{data}\r\n\r\nOK\r\n"
    assert radio.command('AT+CMGL="ALL"') == "\r\n+CMS ERROR: 304\r\n"
    radio.command("AT+CMGF=1")
    head = '"+10000",,"26/01/01,00:00:00+00"'
    assert radio.command('AT+CMGL="ALL"') == f'\r\n+CMGL: 0,"REC READ",{head}\r\nhellohello\r\n\r\nOK\r\n'
    assert radio.command("AT+CMGL=4") == "\r\n+CMS ERROR: 305\r\n"
    assert radio.command("AT+CMGR=0") == f'\r\n+CMGR: "REC READ",{head}\r\nhellohello\r\n\r\nOK\r\n'
    assert radio.command("AT+CMGR=1") == "\r\n+CMS ERROR: 321\r\n"
    assert radio.command('AT+CPMS="SM"') == "\r\n+CPMS: 0,10,1,23,1,23\r\n\r\nOK\r\n"
    assert radio.command('AT+CMGL="ALL"') == "\r\nOK\r\n"
    assert radio.command('AT+CPMS="MT"') == "\r\n+CMS ERROR: 302\r\n"
    radio.command("AT+CMEE=2")
    assert radio.command("AT+CMGR=0") == "\r\n+CMS ERROR: invalid memory index\r\n"
    radio.command('AT+CPMS="ME"')
    assert radio.command("AT+CMGD=0") == "\r\nOK\r\n"
    assert radio.command("AT+CPMS?") == '\r\n+CPMS: "ME",0,23,"ME",0,23,"ME",0,23\r\n\r\nOK\r\n'


def test_a_full_storage_takes_no_more(radio: Radio) -> None:
    for number in range(24):
        deliver(radio.at, str(number))
    assert radio.command("AT+CPMS?").startswith('\r\n+CPMS: "ME",23,23,')
    assert [entry["stored"] for _, entry in radio.what("sms")] == [True] * 23 + [False]
