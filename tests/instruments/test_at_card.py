"""The card through AT+CCHO, AT+CGLA and AT+CCHC: what modems answer, and what they do to the ones that trust them."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from instrument_doubles import MemoryLane, PtyModem

from bench.apdu.errors import CardGone, NoSuchApplication
from bench.errors import InstrumentTimeout
from bench.station.drivers import DriverOptions
from instruments.modem.errors import ModemHung
from instruments.modem.modem import AtModem

AID = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
CCHO = f'AT+CCHO="{AID.hex().upper()}"'
GET_EID = bytes.fromhex("80E2910006BF3E035C015A")


@pytest.fixture
def double(tmp_path):
    with PtyModem(tmp_path) as found:
        for number in (1, 2, 3):
            found.script[f"AT+CCHC={number}"] = ["ERROR"]
        found.script[CCHO] = ["+CCHO: 1", "OK"]
        found.script["AT+CGLA=*"] = ['+CGLA: 4,"9000"', "OK"]
        yield found


def with_card(double, body, lane=None):
    async def run():
        modem = await AtModem.open(
            DriverOptions(name="modem", port=str(double.link), apdu_lane=lane or MemoryLane("apdu:card"))
        )
        with contextlib.ExitStack() as stack:
            stack.callback(modem.port.close)
            return await body(modem.card(), modem)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "session"),
    [
        (["+CCHO: 1", "OK"], "1"),
        (["+CCHO: 00000000038aa32f", "OK"], "00000000038aa32f"),
        (['+CCHO: "2"', "OK"], "2"),
        (["1", "OK"], "1"),
        (b"\r\n+CEREG: 2\r\n\r\n1\r\n\r\nOK\r\n", "1"),
    ],
)
def test_the_session_id_is_opaque(double, answer, session):
    double.script[CCHO] = answer

    async def body(card, modem):
        channel = await card.open_channel(AID)
        assert await channel.transmit(GET_EID) == b"\x90\0"
        await channel.close()

    with_card(double, body)
    assert f'AT+CGLA={session},22,"{GET_EID.hex().upper()}"' in double.commands
    assert double.commands[-1] == f"AT+CCHC={session}"


@pytest.mark.parametrize(
    "answer", ['+CGLA: 8,"61159000"', "+CGLA: 8,61159000", '+CGLA:8,"61159000" ', '+CGLA: 4,"61159000"']
)
def test_answers_with_and_without_quotes(double, answer):
    double.script["AT+CGLA=*"] = [answer, "OK"]

    async def body(card, modem):
        return await (await card.open_channel(AID)).transmit(GET_EID)

    assert with_card(double, body) == bytes.fromhex("61159000")


def test_stale_channels_are_closed_first_once_after_every_start(double):
    async def body(card, modem):
        await card.open_channel(AID)
        await card.open_channel(AID)
        first = list(double.commands)
        await asyncio.to_thread(double.unplug)
        double.plug()
        await modem.wait_ready(timeout=5.0)
        await card.open_channel(AID)
        return first

    first = with_card(double, body)
    assert first == ["AT+CCHC=1", "AT+CCHC=2", "AT+CCHC=3", CCHO, CCHO]
    assert double.commands.count("AT+CCHC=1") == 2


def test_the_class_byte_goes_out_without_channel_bits(double):
    async def body(card, modem):
        channel = await card.open_channel(AID)
        await channel.transmit(bytes.fromhex("81CAFF2000"))

    with_card(double, body)
    assert 'AT+CGLA=1,10,"80CAFF2000"' in double.commands


def test_a_busy_modem_is_asked_again(double):
    answers = [["+CME ERROR: 14"], ["ERROR"], ["+CME ERROR: 100"], ["+CCHO: 2", "OK"]]
    double.script[CCHO] = lambda: answers.pop(0)

    async def body(card, modem):
        await card.open_channel(AID)

    with_card(double, body)
    assert answers == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (["+CME ERROR: 22"], NoSuchApplication),
        (["+CME ERROR: 10"], CardGone),
        (["OK"], NoSuchApplication),
        (["+CCHO: ", "OK"], NoSuchApplication),
    ],
)
def test_refusals_end_at_once(double, answer, error):
    double.script[CCHO] = answer

    async def body(card, modem):
        with pytest.raises(error):
            await card.open_channel(AID)

    with_card(double, body)
    assert double.commands.count(CCHO) == 1


def test_a_card_that_is_no_euicc_is_refused_after_ten_tries(double):
    double.script[CCHO] = ["+CME ERROR: 13"]

    async def body(card, modem):
        with pytest.raises(NoSuchApplication, match="SIM failure"):
            await card.open_channel(AID)

    with_card(double, body)
    assert double.commands.count(CCHO) == 10


@pytest.mark.parametrize(
    "answer",
    [["ERROR"], ["+CME ERROR: 13"], ["OK"], ['+CGLA: 4,"90"', "OK"], ['+CGLA: 4,"90X0"', "OK"], ["+CGLA: x", "OK"]],
)
def test_an_apdu_that_fails_is_never_sent_again(double, answer):
    double.script["AT+CGLA=*"] = answer

    async def body(card, modem):
        channel = await card.open_channel(AID)
        with pytest.raises(CardGone, match="CGLA"):
            await channel.transmit(GET_EID)

    with_card(double, body)
    assert sum(command.startswith("AT+CGLA") for command in double.commands) == 1


def test_a_mute_card_is_a_timeout_and_its_channel_is_done(double):
    async def body(card, modem):
        channel = await card.open_channel(AID)
        double.hung = True
        with pytest.raises(InstrumentTimeout, match=r"within 0\.2 s"):
            await channel.transmit(GET_EID, timeout=0.2)
        double.hung = False
        with pytest.raises(CardGone):
            await channel.transmit(GET_EID)
        await channel.close()

    with_card(double, body)


def test_a_cancelled_exchange_never_holds_up_the_teardown(double):
    async def body(card, modem):
        other = await card.open_channel(AID)
        double.script[CCHO] = ["+CCHO: 2", "OK"]
        channel = await card.open_channel(AID)
        double.hung = True
        task = asyncio.ensure_future(channel.transmit(GET_EID))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        start = time.monotonic()
        await channel.close()
        with pytest.raises(ModemHung, match="of a cancelled step is still running"):
            await modem.command("AT", timeout=0.2)
        assert time.monotonic() - start < 1.0
        double.hung = False
        double.say('+CGLA: 4,"9000"', "OK")  # its late answer
        before = len(double.commands)
        await card.open_channel(AID)
        assert double.commands[before:] == ["AT+CCHC=2", "AT+CCHC=3", CCHO]  # 1 is in use
        assert await other.transmit(GET_EID) == b"\x90\0"

    with_card(double, body)


def test_a_port_that_vanishes_is_a_card_that_is_gone(double):
    async def body(card, modem):
        channel = await card.open_channel(AID)
        double.hung = True
        task = asyncio.ensure_future(channel.transmit(GET_EID))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(double.unplug)
        with pytest.raises(CardGone, match="gone"):
            await task
        await channel.close()
        with pytest.raises(CardGone):
            await card.open_channel(AID)

    with_card(double, body)


def test_channels_do_not_survive_a_reset(double):
    async def body(card, modem):
        channel = await card.open_channel(AID)
        await card.reset()
        with pytest.raises(CardGone, match="was reset"):
            await channel.transmit(GET_EID)
        before = len(double.commands)
        await channel.close()
        assert len(double.commands) == before

    with_card(double, body)
    assert double.commands.index("AT+CFUN=0") < double.commands.index("AT+CFUN=1")


def test_apdus_are_on_their_own_lane(double):
    lane = MemoryLane("apdu:card")

    async def body(card, modem):
        channel = await card.open_channel(AID)
        await channel.transmit(GET_EID)

    with_card(double, body, lane)
    assert [(int(direction), data) for direction, data, _ in lane.packets] == [(0, GET_EID), (1, b"\x90\0")]


def test_the_deadline_of_a_loading_command_is_long():
    from instruments.reader import at_card

    assert at_card._LOADING == 240.0
    assert at_card._ORDINARY == 10.0
