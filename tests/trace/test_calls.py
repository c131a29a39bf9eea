"""APDUs, lines and bodies put together to exchanges, from literal packets."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from bench.trace.calls import Exchange, Exchanges, exchanges
from bench.trace.lane import Direction
from bench.trace.reader import Packet

BEGIN = 1_790_000_000_000_000_000
ISD_R = "A0000005591010FFFFFFFF8900000100"


def packets(*told: tuple[str, str, str | bytes]) -> list[Packet]:
    """``(lane, ">" sent or "<" received, hexadecimal or bytes)``, a millisecond apart."""
    return [
        Packet(
            lane,
            BEGIN + at * 1_000_000,
            Direction(way == "<"),
            data if isinstance(data, bytes) else bytes.fromhex(data),
            "",
            "",
            at + 1,
        )
        for at, (lane, way, data) in enumerate(told)
    ]


def card(*told: str) -> list[Exchange]:
    """Commands and responses of one card in turn."""
    return list(exchanges(packets(*(("apdu:card", "><"[at % 2], data) for at, data in enumerate(told)))))


def one(*told: str) -> Exchange:
    (made,) = card(*told)
    return made


# --- card -------------------------------------------------------------------------------------------------------------


def test_get_response_belongs_to_its_command() -> None:
    made = one("81E2910003BF2E00", "6115", "01C0000015", "BF2E128010" + "11" * 16 + "9000")
    assert (made.function, made.channel, made.packets, made.status) == ("GetEuiccChallenge", 1, 4, 0x9000)
    assert made.answer == bytes.fromhex("BF2E128010" + "11" * 16)
    assert made.ok
    assert made.seconds == 0.003


def test_an_answer_in_several_pieces() -> None:
    made = one("80E2910003BF2000", "6102", "00C0000002", "BF20" + "6103", "00C0000003", "01" * 3 + "9000")
    assert made.answer == bytes.fromhex("BF20010101")


def test_a_wrong_length_is_repeated() -> None:
    made = one("00B0000000", "6C0A", "00B000000A", "98" * 10 + "9000")
    assert (made.packets, made.status, made.answer) == (4, 0x9000, b"\x98" * 10)


def test_blocks_are_one_function() -> None:
    made = one(
        "80E2110003BF3806", "9000", "80E2110103010203", "9000", "80E2910203040506", "6103", "00C0000003", "BF38009000"
    )
    assert made.function == "AuthenticateServer"
    assert made.request == bytes.fromhex("BF3806010203040506")
    assert (made.blocks, made.packets) == (3, 8)


def test_a_proactive_command_waits_behind_91xx() -> None:
    made = card(
        "80E2910003BF3100", "6106", "00C0000006", "BF3103800100910B", "801200000B", "D009810301010482028182" + "9000",
        "801400000C810301010482028281830100", "9000",
    )  # fmt: skip
    assert [item.function for item in made] == [
        "EnableProfile",
        "FETCH REFRESH UICC reset",
        "TERMINAL RESPONSE REFRESH",
    ]
    assert made[0].status == 0x910B
    assert made[0].ok
    assert "performed successfully" in made[2].result


def test_segments_of_a_package_are_one_function() -> None:
    pir = "BF3706BF2703A20100"
    made = card(
        "80E2910006BF363CBF2300", "9000",
        "80E2910004A0028700", "9000",
        "80E2910002A104", "9000",
        "80E2910003880101", "9000",
        "80E2910002A306", "9000",
        "80E21100038603AA", "9000", "80E2910102BBCC", "9000",
        "80E29100028600", "6109", "00C0000009", pir + "9000",
        "80E2910003BF2E00", "9000",
    )  # fmt: skip
    assert [item.function for item in made] == ["LoadBoundProfilePackage", "GetEuiccChallenge"]
    load = made[0]
    assert load.request == bytes.fromhex(
        "BF363CBF2300" + "A0028700" + "A104" + "880101" + "A306" + "8603AABBCC" + "8600"
    )
    assert load.answer == bytes.fromhex(pir)
    assert load.blocks == 8
    assert not load.note


def test_a_package_that_broke_off_says_so() -> None:
    made = card("80E2910006BF363CBF2300", "9000", "80E2910004A0028700", "9000", "00A4040010" + ISD_R, "9000")
    assert made[0].note == "the package was not loaded to its end"
    made = card("80E2910006BF363CBF2300", "9000", "80E2910004A0028700", "6A80")
    assert (made[0].function, made[0].ok, made[0].status) == ("LoadBoundProfilePackage", False, 0x6A80)


def test_channels_do_not_mix() -> None:
    made = card(
        "81E2910003BF2000", "6102", "0070000001", "029000", "01C0000002", "BF209000", "02A4040010" + ISD_R, "9000"
    )
    assert [(item.function, item.channel) for item in made] == [
        ("MANAGE CHANNEL open", 0),
        ("GetEuiccInfo1", 1),
        ("SELECT ISD-R", 2),
    ]


def test_files_are_named_by_what_is_selected() -> None:
    made = card(
        "00A40804022FE2", "9000", "00B000000A", "98101000000000000072" + "9000",
        "00A4040407A0000000871002", "9000", "00A40004026F07", "9000", "00B0000009", "080910100000000010" + "9000",
        "00B08B000B", "FF" * 11 + "9000", "00A40804047FFF6F7B", "9000", "00D600000362F210", "9000",
        "00B2010C08", "6A83",
    )  # fmt: skip
    assert [item.function for item in made] == [
        "SELECT EF.ICCID",
        "READ BINARY EF.ICCID",
        "SELECT USIM",
        "SELECT EF.IMSI",
        "READ BINARY EF.IMSI",
        "READ BINARY EF.LOCI",
        "SELECT current ADF/EF.FPLMN",
        "UPDATE BINARY EF.FPLMN",
        "READ RECORD EF.ECC",
    ]
    _, answer = made[1].fields()
    assert answer is not None
    contents = answer.find("contents")
    assert contents is not None
    assert contents.text == "89010100000000000027"
    request, _ = made[7].fields()
    written = request.find("contents")
    assert written is not None
    assert written.text == "26201"
    assert made[8].ok is False


def test_a_mute_card_and_a_restart() -> None:
    made = list(
        exchanges(
            packets(
                ("apdu:card", ">", "80E2910003BF2E00"),
                ("apdu:card", "<", "3B9F96803FC7828031E073FE211763000000830F90003E"),
                ("apdu:card", ">", "00A4040010" + ISD_R),
                ("apdu:card", ">", "0070000001"),
            )
        )
    )
    assert [item.result for item in made][-2:] == ["no answer", "no answer"]


def test_a_refusal_inside_an_answer_is_no_success() -> None:
    assert one("80E2910003BF3100", "BF31038001029000").ok is False
    assert one("80E2910003BF3100", "BF31038001009000").ok is True
    assert one("80E2910003BF3800", "BF380BA1098004010203040201079000").ok is False
    assert one("80E2910003BF2E00", "6985").ok is False


# --- lines ------------------------------------------------------------------------------------------------------------


def at(*told: tuple[str, bytes]) -> list[Exchange]:
    return list(exchanges(packets(*(("at:modem", way, data) for way, data in told))))


def test_an_answer_with_its_lines() -> None:
    made = at((">", b"AT+COPS?\r"), ("<", b"AT+COPS?\r"), ("<", b'\r\n+COPS: 0,2,"26201",7\r\n'), ("<", b"\r\nOK\r\n"))
    assert [(item.function, item.lines, item.result, item.ok) for item in made] == [
        ("AT+COPS?", ['+COPS: 0,2,"26201",7'], "OK", True)
    ]


def test_an_unsolicited_code_between_command_and_answer() -> None:
    made = at(
        (">", b"AT+CGMR\r"),
        ("<", b"\r\n+CEREG: 3,,,,0,15\r\n"),
        ("<", b"\r\nEG25GGBR07A08M2G\r\n\r\nOK\r\n"),
        ("<", b"\r\nRDY\r\n"),
    )
    assert [(item.kind, item.function) for item in made] == [("urc", "+CEREG"), ("at", "AT+CGMR"), ("urc", "RDY")]
    assert "EMM 15 no suitable cells in tracking area" in made[0].result
    assert made[0].ok is False
    assert made[1].lines == ["EG25GGBR07A08M2G"]


def test_a_refused_command_and_one_without_answer() -> None:
    made = at(
        (">", b"AT+CCHC=1\r"), ("<", b"\r\n+CME ERROR: 50\r\n"), (">", b"AT\r"), (">", b"AT\r"), ("<", b"\r\nOK\r\n")
    )
    assert [(item.result, item.ok) for item in made] == [
        ("+CME ERROR: 50 incorrect parameters", False),
        ("no answer", False),
        ("OK", True),
    ]


RELAYED = (
    ("at:modem", ">", b'AT+CGLA=1,22,"80E2910006BF3E035C015A"\r'),
    ("at:modem", "<", b'\r\n+CGLA: 4,"6115"\r\n'),
    ("at:modem", "<", b"\r\nOK\r\n"),
    ("at:modem", ">", b'AT+CGLA=1,10,"00C0000015"\r'),
    ("at:modem", "<", b'\r\n+CGLA: 46,"BF3E125A10890490321234512345123456789012359000"\r\n'),
    ("at:modem", "<", b"\r\nOK\r\n"),
)


def test_a_card_behind_a_modem_where_nothing_else_has_its_apdus() -> None:
    made = [item for item in exchanges(packets(*RELAYED)) if not item.relayed]
    assert [(item.lane, item.function, item.packets) for item in made] == [("at:modem", "GetEID", 4)]
    also = packets(("apdu:card", ">", "0070000001"), ("apdu:card", "<", "019000"), *RELAYED)
    assert [item.function for item in exchanges(also) if not item.relayed] == ["MANAGE CHANNEL open"]


def test_questions_to_an_instrument() -> None:
    made = list(
        exchanges(
            packets(
                ("scpi:power", ">", b"VOLT 3.8,(@1)\n"),
                ("scpi:power", ">", b"MEAS:VOLT? (@1)\n"),
                ("scpi:power", "<", b"+3.80E+00\n"),
                ("scpi:power", ">", b"SYST:ERR?\n"),
                ("scpi:power", "<", b'-222,"Data out of range"\n'),
            )
        )
    )
    assert [(item.function, item.result, item.ok) for item in made] == [
        ("VOLT", "", None),
        ("MEAS:VOLT?", "+3.80E+00", True),
        ("SYST:ERR?", "-222 Data out of range", False),
    ]


# --- bodies and steps -------------------------------------------------------------------------------------------------


def test_requests_that_are_told_by_both_sides_are_paired_inside_out() -> None:
    body = json.dumps({"pendingNotification": "vzcA"}).encode()
    made = list(
        exchanges(packets(("es9plus", ">", body), ("es9plus", ">", body), ("es9plus", "<", b""), ("es9plus", "<", b"")))
    )
    assert [(item.first, item.last) for item in made] == [(2, 3), (1, 4)]


def test_answers_find_the_request_of_their_function() -> None:
    made = list(
        exchanges(
            packets(
                ("esipa", ">", "BF4F125A10" + "89" * 16),
                ("esipa", ">", "BF50145A10" + "89" * 16 + "3000"),
                ("esipa", "<", "BF50023000"),
                ("esipa", "<", "BF4F03020101"),
            )
        )
    )
    assert [(item.function, item.first, item.last) for item in made] == [
        ("ProvideEimPackageResult", 2, 3),
        ("GetEimPackage", 1, 4),
    ]


def test_steps_say_where_an_exchange_belongs() -> None:
    def step(path: str, **more: object) -> bytes:
        return json.dumps({"step": path, **more}).encode()

    tracked = Exchanges()
    found: list[Exchange] = []
    for packet in packets(
        ("steps", ">", step("download")),
        ("steps", ">", step("download/poll")),
        ("apdu:card", ">", "0070000001"),
        ("apdu:card", "<", "019000"),
        ("steps", "<", step("download/poll", verdict="fail")),
        ("steps", "<", step("download", verdict="fail")),
    ):
        tracked.function(packet)
        found += tracked.take()
    found += tracked.close()
    assert [(item.function, item.step, item.ok) for item in found] == [
        ("MANAGE CHANNEL open", "download/poll", True),
        ("download/poll", "download/poll", False),
        ("download", "download", False),
    ]
    assert tracked.steps == ""


# --- any bytes --------------------------------------------------------------------------------------------------------

LANES = (
    "apdu:card",
    "at:modem",
    "scpi:power",
    "esipa",
    "es9plus",
    "es2plus",
    "steps",
    "console:app",
    "ip:eim",
    "sniff:card",
)
_APDUS = st.sampled_from(
    [
        bytes.fromhex(text)
        for text in (
            "80E2910003BF2E00",
            "80E2110003BF3605",
            "80E291000186",
            "00C0000010",
            "6110",
            "6C10",
            "9000",
            "910B",
            "00A40004026F07",
            "00B0000000",
            "0070000001",
            "019000",
            "801200000B",
        )
    ]
)
_LINES = st.sampled_from(
    (
        b"AT+CEREG?\r",
        b"\r\n+CEREG: 5,3,,,,0,15\r\n",
        b"OK\r\n",
        b'AT+CGLA=1,4,"6115"\r',
        b'+CGLA: 4,"9000"\r\n',
        b"RDY\r\n",
    )
)
_ANY = st.lists(
    st.tuples(st.sampled_from(LANES), st.sampled_from("><"), st.one_of(st.binary(max_size=40), _APDUS, _LINES)),
    max_size=30,
)


@given(_ANY)
def test_every_packet_is_in_an_exchange_and_none_is_lost(told: list[tuple[str, str, bytes]]) -> None:
    made = list(exchanges(packets(*told), relayed=False))
    at_lines = sum(1 for lane, _, _ in told if lane == "at:modem")
    counted = sum(item.packets for item in made if item.lane != "at:modem")
    assert counted == len(told) - at_lines
    for item in made:
        assert item.first <= item.last
        assert item.end_ns >= item.start_ns
        request, answer = item.fields()
        json.dumps([request.value(), answer.value() if answer is not None else None])


@given(_ANY)
def test_a_trace_without_directions_is_read_too(told: list[tuple[str, str, bytes]]) -> None:
    plain = [Packet(packet.lane, packet.time_ns, None, packet.data, "", "", packet.number) for packet in packets(*told)]
    for item in exchanges(plain):
        item.fields()


def test_the_bytes_of_an_answer_count_although_its_final_result_ends_it() -> None:
    answer = b"\r\n+CEREG: 0,1\r\n\r\nOK\r\n"
    packets = [
        Packet("at:m", 1, Direction.SENT, b"AT+CEREG?\r", "", "", 1),
        Packet("at:m", 2, Direction.RECEIVED, answer, "", "", 2),
    ]
    (made,) = exchanges(packets)
    assert (made.sent, made.received, made.result) == (10, len(answer), "OK")
