"""The card through AT+CSIM: literal lines, what modems do with GET RESPONSE, left-over channels, and the choice."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instrument_doubles import MemoryLane, PtyModem

from bench.apdu.errors import CardGone, NoSuchApplication
from bench.apdu.es10 import ISD_R_AID, Es10
from bench.errors import InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions
from instruments.modem import parse
from instruments.modem.modem import AtModem
from instruments.reader.modem_card import ModemCard

AID = ISD_R_AID.hex().upper()
OPEN = 'AT+CSIM=10,"0070000001"'
GET_EID = bytes.fromhex("80E2910006BF3E035C015A")
EID = "BF3E125A1089049032123451234512345678901235"


class Uicc:
    """What a modem's AT+CSIM leads to: four channels, ISD-R, and answers in the modem's fashion."""

    def __init__(self, *, fetches: bool = False, quoted: bool = True, le: bool = True) -> None:
        self.fetches = fetches
        """The modem does GET RESPONSE by itself."""
        self.quoted = quoted
        self.le = le
        self.open: set[int] = set()
        self.pending = b""
        self.apdus: list[str] = []

    def line(self, line: str) -> list[str]:
        length, _, text = line.removeprefix("AT+CSIM=").partition(",")
        text = text.strip('"')
        assert int(length) == len(text), line
        self.apdus.append(text)
        answer = self.transmit(bytes.fromhex(text))
        if self.fetches and answer[-2] == 0x61:
            answer = self.pending + b"\x90\0"
        shown = answer.hex().upper()
        return [f'+CSIM: {len(shown)},"{shown}"' if self.quoted else f"+CSIM:{len(shown)},{shown}", "OK"]

    def transmit(self, apdu: bytes) -> bytes:
        if apdu[:4] == b"\0\x70\0\0":
            free = [number for number in (1, 2, 3) if number not in self.open]
            if not free:
                return b"\x6a\x81"
            self.open.add(free[0])
            return bytes((free[0],)) + b"\x90\0"
        if apdu[:3] == b"\0\x70\x80":
            self.open.discard(apdu[3])
            return b"\x90\0"
        channel = apdu[0] & 3
        if channel not in self.open:
            return b"\x68\x81"
        if apdu[1] == 0xA4:
            if apdu[5:21] != ISD_R_AID:
                return b"\x6a\x82"
            if not self.le and len(apdu) > 21:
                return b"\x67\0"
            self.pending = bytes.fromhex("6F128410") + ISD_R_AID
        elif apdu[1] == 0xE2:
            self.pending = bytes.fromhex(EID)
        elif apdu[1] == 0xC0:
            return self.pending + b"\x90\0"
        else:
            return b"\x6d\0"
        return bytes((0x61, len(self.pending)))


@pytest.fixture
def double(tmp_path):
    with PtyModem(tmp_path) as found:
        yield found


def with_card(double, body, via="csim"):
    async def run():
        lane = MemoryLane("at:modem")
        options = DriverOptions(name="modem", port=str(double.link), card_via=via, lane=lane, apdu_lane=MemoryLane())
        modem = await AtModem.open(options)
        with contextlib.ExitStack() as stack:
            stack.callback(modem.port.close)
            return await body(modem.card(), lane)

    return asyncio.run(run())


async def eid(card, lane=None):
    es10 = await Es10.open(card)
    try:
        return await es10.eid()
    finally:
        await es10.close()


def test_the_literal_lines_of_a_session(double):
    uicc = Uicc()
    double.script["AT+CSIM=*"] = uicc.line
    assert with_card(double, eid) == "89049032123451234512345678901235"
    assert [line for line in double.commands if "CSIM" in line] == [
        OPEN,
        f'AT+CSIM=44,"01A4040010{AID}00"',
        'AT+CSIM=10,"01C0000014"',
        'AT+CSIM=22,"81E2910006BF3E035C015A"',
        'AT+CSIM=10,"01C0000015"',
        'AT+CSIM=8,"00708001"',
    ]
    assert uicc.open == set()


@pytest.mark.parametrize("fetches", [False, True])
@pytest.mark.parametrize("quoted", [False, True])
def test_modems_that_fetch_and_modems_that_quote(double, fetches, quoted):
    double.script["AT+CSIM=*"] = Uicc(fetches=fetches, quoted=quoted).line

    async def body(card, lane):
        channel = await card.open_channel(ISD_R_AID)
        assert channel.select_response == bytes.fromhex("6F128410") + ISD_R_AID
        await channel.close()
        return await eid(card)

    assert with_card(double, body) == "89049032123451234512345678901235"


def test_a_card_that_wants_select_without_le(double):
    double.script["AT+CSIM=*"] = Uicc(le=False).line
    assert with_card(double, eid) == "89049032123451234512345678901235"


def test_left_over_channels_are_closed_only_when_none_is_left(double):
    uicc = Uicc()
    uicc.open = {1}  # the modem's own: it stays
    double.script["AT+CSIM=*"] = uicc.line
    with_card(double, eid)
    assert uicc.open == {1}
    uicc.open = {1, 2, 3}
    double.commands.clear()
    with_card(double, eid)
    assert [f'AT+CSIM=8,"0070800{number}"' in double.commands for number in (3, 2, 1)] == [True] * 3


def test_two_channels_have_two_class_bytes(double):
    uicc = Uicc()
    double.script["AT+CSIM=*"] = uicc.line

    async def body(card, lane):
        first, second = await card.open_channel(ISD_R_AID), await card.open_channel(ISD_R_AID)
        await first.transmit(GET_EID)
        await second.transmit(GET_EID)
        await first.close()
        with pytest.raises(CardGone, match="closed"):
            await first.transmit(GET_EID)

    with_card(double, body)
    assert [apdu[:4] for apdu in uicc.apdus if apdu[2:4] == "E2"] == ["81E2", "82E2"]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (["+CME ERROR: 3"], Refused, "forbids AT\\+CSIM"),
        (["+CME ERROR: 4"], Refused, "forbids AT\\+CSIM"),
        (["+CME ERROR: 10"], CardGone, "no card"),
        (["ERROR"], CardGone, "AT\\+CSIM"),
        (['+CSIM: 4,"6A82"', "OK"], NoSuchApplication, "no logical channel"),
        (['+CSIM: 6,"9000"', "OK"], CardGone, "announces 6 characters"),
        (['+CSIM: 4,"90ZZ"', "OK"], CardGone, "cannot be read"),
        (["OK"], CardGone, "cannot be read"),
    ],
)
def test_what_a_modem_may_refuse(double, answer, error, words):
    double.script["AT+CSIM=*"] = answer
    with pytest.raises(error, match=words):
        with_card(double, eid)


def test_a_busy_modem_is_asked_again(double):
    uicc = Uicc()
    busy = [["+CME ERROR: 14"], ["+CME ERROR: 14"]]
    double.script["AT+CSIM=*"] = lambda line: busy.pop() if busy else uicc.line(line)
    assert with_card(double, eid) == "89049032123451234512345678901235"


def test_an_exchange_without_an_end_closes_its_channel_before_the_next(double):
    uicc = Uicc()
    double.script["AT+CSIM=*"] = lambda line: None if line.endswith('5A"') and "E2" in line else uicc.line(line)

    async def body(card, lane):
        channel = await card.open_channel(ISD_R_AID)
        with pytest.raises(InstrumentTimeout, match=r"did not answer within 0\.1 s"):
            await channel.transmit(GET_EID, timeout=0.1)
        double.commands.clear()
        again = await card.open_channel(ISD_R_AID)
        await again.close()

    with_card(double, body)
    assert next(line for line in double.commands if "CSIM" in line) == 'AT+CSIM=8,"00708001"'


# --- the choice -------------------------------------------------------------------------------------------------------


def test_ccho_is_chosen_where_it_works(double):
    double.script |= {f'AT+CCHO="{AID}"': ["+CCHO: 1", "OK"], "AT+CGLA=*": ['+CGLA: 4,"9000"', "OK"]}

    async def body(card, lane):
        assert isinstance(card, ModemCard)
        await card.open_channel(ISD_R_AID)
        return card.via, card.why

    assert with_card(double, body, "auto") == ("ccho", "AT+CCHO opens channels")
    assert not [line for line in double.commands if "CSIM" in line]


@pytest.mark.parametrize("refusal", ["ERROR", "+CME ERROR: 3", "+CME ERROR: 4", "+CME ERROR: 22"])
def test_csim_takes_over_where_ccho_opens_nothing(double, refusal):
    double.script |= {f'AT+CCHO="{AID}"': [refusal], "AT+CSIM=*": Uicc().line}

    async def body(card, lane):
        found = await eid(card)
        return found, card.via, card.why, [comment for _, _, comment in lane.packets if comment]

    found, via, why, comments = with_card(double, body, "auto")
    assert (found, via) == ("89049032123451234512345678901235", "csim")
    assert "AT+CCHO opens nothing" in why and comments == [f"the card is reached by AT+CSIM: {why}"]


def test_a_card_without_isd_r_is_one_whatever_is_tried(double):
    class Plain(Uicc):
        def transmit(self, apdu):
            return b"\x6a\x82" if apdu[1] == 0xA4 else super().transmit(apdu)

    double.script |= {f'AT+CCHO="{AID}"': ["+CME ERROR: 22"], "AT+CSIM=*": Plain().line}

    async def body(card, lane):
        with pytest.raises(NoSuchApplication) as failed:
            await card.open_channel(ISD_R_AID)
        return card.via, failed.value.__notes__

    via, notes = with_card(double, body, "auto")
    assert via == "ccho" and "6a82" in notes[0]


def test_after_two_breakdowns_of_cgla_csim_carries_the_next_channel(double):
    double.script |= {f'AT+CCHO="{AID}"': ["+CCHO: 1", "OK"], "AT+CGLA=*": ["ERROR"], "AT+CSIM=*": Uicc().line}

    async def body(card, lane):
        for _ in range(2):
            with pytest.raises(CardGone):
                await eid(card)
        return await eid(card), card.why

    found, why = with_card(double, body, "auto")
    assert found == "89049032123451234512345678901235"
    assert why == "AT+CGLA ended 2 exchanges with a bare ERROR"


def test_a_status_word_is_no_breakdown(double):
    double.script |= {f'AT+CCHO="{AID}"': ["+CCHO: 1", "OK"], "AT+CGLA=*": ["+CME ERROR: 13"]}

    async def body(card, lane):
        for _ in range(3):
            with pytest.raises(CardGone):
                await eid(card)
        return card.via

    assert with_card(double, body, "auto") == "ccho"


@given(st.lists(st.text(max_size=40), max_size=4))
def test_no_answer_of_csim_breaks_the_parser(lines):
    try:
        found = parse.apdu(lines, "+CSIM")
    except parse.AnswerUnreadable:
        return
    assert found
