"""The driver ``pcsc`` over the real pcscd and vpcd, with scripted cards."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import pytest
from pcsc_bench import (
    ATR,
    DISPLAY_TEXT,
    ISD_R,
    MORE_TIME,
    REFRESH,
    KeptLane,
    ScriptedCard,
    options,
    reader,
    readers,
    run,
    until,
)
from pcsc_installed import need_pcsc

from bench.apdu.channel import carries_refresh, is_local
from bench.apdu.errors import CardGone, NoSuchApplication
from bench.errors import BenchError, ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.clock import RealClock
from bench.trace.lane import Direction
from fixtures.sim.pcsc_vpcd import frame
from instruments.reader import pcsc_link
from instruments.reader.owner import Owner
from instruments.reader.pcsc import PcscReader
from instruments.reader.pcsc_link import DaemonGone

GET_EID = bytes.fromhex("80E2910006BF3E035C015A")


@pytest.fixture(autouse=True)
def _installed() -> None:
    need_pcsc()


def test_a_channel_from_reset_to_close_and_what_is_recorded() -> None:
    async def test() -> None:
        card, lane = ScriptedCard(), KeptLane()
        card.hidden = True
        async with readers(card) as made, reader(made, lane) as opened:
            assert opened.name == made.slots[0].name == "esim-bench test A 00 00"
            assert opened.atr == ATR
            channel = await opened.card().open_channel(ISD_R)
            assert channel.select_response == bytes.fromhex("6F048402A000")
            assert await channel.transmit(GET_EID) == b"\x90\x00"
            await channel.close()
            assert card.commands == [
                bytes.fromhex("80AA000005A903830107"),  # before the first SELECT: this card hides ISD-R until then
                bytes.fromhex("0070000001"),
                bytes.fromhex("01A4040010") + ISD_R,
                bytes.fromhex("01C0000006"),
                bytes.fromhex("81E2910006BF3E035C015A"),
                bytes.fromhex("00708001"),
            ]
            assert lane.sent == card.commands
            assert [packet[0] for packet in lane.packets] == [Direction.SENT, Direction.RECEIVED] * 6
            assert lane.packets[-3] == (Direction.RECEIVED, b"\x90\x00")

    run(test)


def test_a_command_is_recorded_before_the_card_has_it() -> None:
    async def test() -> None:
        card, lane = ScriptedCard(), KeptLane()
        seen: list[bool] = []
        async with readers(card) as made, reader(made, lane) as opened:
            card.on_command = lambda command: seen.append(lane.sent[-1] == command)
            channel = await opened.card().open_channel(ISD_R)
            await channel.transmit(GET_EID)
            await channel.close()
        assert len(seen) == 6
        assert all(seen)

    run(test)


@pytest.mark.parametrize("size", [255, 256, 257, 700])
def test_lc_255_and_long_answers_come_as_61xx(size: int) -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            command = bytes((0x80, 0xCB, size >> 8, size & 0xFF, 255)) + bytes(255)
            answer = await channel.transmit(command)
            got = b""
            while answer[-2] == 0x61:
                got += answer[:-2]
                answer = await channel.transmit(bytes((0x80, 0xC0, 0, 0, answer[-1])))
            got += answer[:-2]
            assert got == bytes(n & 0xFF for n in range(size))
            assert command[1:] in [sent[1:] for sent in card.commands]

    run(test)


def test_readers_are_found_by_name_by_part_and_by_being_the_only_one() -> None:
    async def test() -> None:
        async with readers(ScriptedCard(), ScriptedCard(), None) as made:
            exact = await PcscReader.open(options(made.slots[1].name))
            part = await PcscReader.open(options("test B 00 00"))
            assert (exact.name, part.name) == ("esim-bench test A 00 01", "esim-bench test B 00 00")
            assert part.atr == b""
            await exact.close()
            await part.close()
            with pytest.raises(ConfigurationError, match=r"'test A' names 2 readers: .* 00 00, .* 00 01"):
                await PcscReader.open(options("test A"))
            with pytest.raises(InstrumentError, match=r"no reader 'ACR39U'.*there are: esim-bench test A 00 00, "):
                await PcscReader.open(options("ACR39U"))
            with pytest.raises(ConfigurationError, match="'' names 4 readers"):
                await PcscReader.open(options(""))
            with pytest.raises(ConfigurationError, match=r"has no option 'fetsch'.*did you mean 'fetch'"):
                await PcscReader.open(options("test", fetsch=True))

    run(test)


def test_another_daemon_in_the_same_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcsc_link, "_used", "/run/mine")
    pcsc_link.use_daemon("/run/mine")
    with pytest.raises(ConfigurationError, match="uses the PC/SC daemon at /run/mine already, not /run/other"):
        pcsc_link.use_daemon("/run/other")


def test_the_card_is_held_alone_and_given_back() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as first, reader(made) as second:
            channel = await first.card().open_channel(ISD_R)
            with pytest.raises(Refused, match="another program uses the card"):
                await second.card().open_channel(ISD_R)
            assert await channel.transmit(GET_EID) == b"\x90\x00"
            await channel.close()
            other = await second.card().open_channel(ISD_R)
            await other.close()

    run(test)


def test_channels_left_open_by_another_program_are_got_rid_of() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            await channel.close()
            card.channels |= {1, 2, 3}
            channel = await opened.card().open_channel(ISD_R)
            assert card.channels == {1}
            assert card.commands[-4:-2] == [bytes.fromhex("80AA000005A903830107"), bytes.fromhex("0070000001")]
            await channel.close()

    run(test)


def test_an_application_that_is_not_there() -> None:
    async def test() -> None:
        card = ScriptedCard()
        card.hidden = True
        async with readers(card) as made, reader(made) as opened:
            card._answer = lambda command: b"\x6a\x82" if command[1] == 0xA4 else ScriptedCard._answer(card, command)  # type: ignore[method-assign]
            with pytest.raises(NoSuchApplication, match="6A82"):
                await opened.card().open_channel(ISD_R)
            assert card.channels == set()

    run(test)


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_card_that_is_taken_out_and_put_back() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            card.on_command = lambda command: made.slots[0].remove() if command[1] == 0xE2 else None
            with pytest.raises(CardGone, match=r"gave no answer, not even a status word"):
                await channel.transmit(GET_EID)
            with pytest.raises(CardGone, match="closed"):
                await channel.transmit(GET_EID)
            await channel.close()
            await opened.wait_card(present=False, timeout=3.0)
            assert opened.atr == b""
            with pytest.raises(CardGone, match=r"no card in the reader|removed"):
                await opened.card().open_channel(ISD_R)
            with pytest.raises(CardGone, match=r"no card is in the reader after 0\.3 s"):
                await opened.wait_card(timeout=0.3)
            card.on_command = lambda command: None
            made.slots[0].insert(card)
            assert 0 <= await opened.wait_card(timeout=3.0) < 3.0
            assert opened.atr == ATR
            channel = await opened.card().open_channel(ISD_R)
            assert await channel.transmit(GET_EID) == b"\x90\x00"
            await channel.close()

    run(test)


def test_a_card_exchanged_faster_than_the_daemon_looks() -> None:
    async def test() -> None:
        one, two = ScriptedCard(), ScriptedCard()
        async with readers(one) as made, reader(made) as opened:
            await (await opened.card().open_channel(ISD_R)).close()
            made.slots[0].remove()
            made.slots[0].insert(two)
            channel = await opened.card().open_channel(ISD_R)
            assert await channel.transmit(GET_EID) == b"\x90\x00"
            await channel.close()
            assert two.commands[-2][1:] == GET_EID[1:]
            assert all(command[1:] != GET_EID[1:] for command in one.commands)

    run(test)


def test_kill_9_of_pcscd_in_the_middle_and_the_next_channel() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            os.kill(made.daemon.pid, signal.SIGKILL)
            with pytest.raises(DaemonGone, match=r"the PC/SC daemon \(pcscd\) is gone"):
                await channel.transmit(GET_EID)
            with pytest.raises(CardGone, match="closed"):
                await channel.transmit(GET_EID)
            await channel.close()
            again = await opened.card().open_channel(ISD_R)  # the daemon is started again on the same socket
            assert await again.transmit(GET_EID) == b"\x90\x00"
            await again.close()
            assert made.daemon.restarts == 1
            assert [command[1:] for command in card.commands].count(GET_EID[1:]) == 1

    run(test)


def test_kill_9_of_pcscd_while_nothing_is_open() -> None:
    async def test() -> None:
        async with readers(ScriptedCard()) as made, reader(made) as opened:
            await (await opened.card().open_channel(ISD_R)).close()
            os.kill(made.daemon.pid, signal.SIGKILL)
            await opened.wait_card(timeout=5.0)
            await (await opened.card().open_channel(ISD_R)).close()

    run(test)


def test_a_card_that_answers_no_more_is_given_up_at_its_deadline() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            made.slots[0].muted = True
            loop = asyncio.get_running_loop()
            start = loop.time()
            with pytest.raises(InstrumentTimeout, match=r"80e2910006 did not end within 0\.2 s and was given up"):
                await channel.transmit(GET_EID, timeout=0.2)
            assert loop.time() - start < 1.0
            with pytest.raises(CardGone, match="closed"):
                await channel.transmit(GET_EID)
            await channel.close()  # of a connection that was given up: nothing to wait for
            # Taking the card out ends the hanging exchange; put back, it is met with a new context.
            made.slots[0].remove()
            made.slots[0].insert(card)
            await opened.wait_card(timeout=3.0)
            again = await opened.card().open_channel(ISD_R)
            assert await again.transmit(GET_EID) == b"\x90\x00"
            await again.close()

    run(test)


def test_a_card_whose_answer_came_too_late_is_free_again() -> None:
    """The context that was given up held it: every later channel was refused, as if another program had the card."""

    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            made.slots[0].muted = True
            with pytest.raises(InstrumentTimeout):
                await channel.transmit(GET_EID, timeout=0.2)
            made.slots[0].muted = False
            (line,) = made.slots[0]._lines
            line._send(frame(b"\x90\x00"))
            again = await opened.card().open_channel(ISD_R)
            assert await again.transmit(GET_EID) == b"\x90\x00"
            await again.close()

    run(test)


@pytest.mark.parametrize("answer", ["1702", "0B1702", "90", "0000", "FFFF"])
def test_bytes_without_a_status_word_are_no_answer(answer: str) -> None:
    """vpcd hands on what came of an answer before its connection broke."""

    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            made.slots[0].muted = True
            count = made.slots[0].count
            task = asyncio.ensure_future(channel.transmit(GET_EID))
            await until(lambda: made.slots[0].count > count)
            (line,) = made.slots[0]._lines
            line._send(frame(bytes.fromhex(answer)))
            with pytest.raises(CardGone, match=r"no status word|not even a status word"):
                await task
            made.slots[0].muted = False

    run(test)


def test_closing_does_not_wait_for_an_exchange_that_hangs() -> None:
    async def test() -> None:
        async with readers(ScriptedCard()) as made:
            opened = await PcscReader.open(options(made.slots[0].name))
            channel = await opened.card().open_channel(ISD_R)
            made.slots[0].muted, count = True, made.slots[0].count
            task = asyncio.ensure_future(channel.transmit(GET_EID))
            await until(lambda: made.slots[0].count > count)  # the command is with the card
            task.cancel()
            loop = asyncio.get_running_loop()
            start = loop.time()
            with pytest.raises(InstrumentTimeout, match="what ran before closing did not end within 2 s"):
                await opened.close()
            assert loop.time() - start < 4.0

    run(test)


def test_a_cancelled_exchange_is_not_mixed_up_with_the_next() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            reached = asyncio.Event()
            card.on_command = lambda command: reached.set() if command[1] == 0xE2 else None
            task = asyncio.ensure_future(channel.transmit(GET_EID))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(CardGone):
                await channel.transmit(GET_EID)
            await channel.close()
            powers = len(card.powers)
            again = await opened.card().open_channel(ISD_R)
            assert card.powers[powers:] == ["off", "on"]  # whatever the lost exchange left behind is gone
            assert await again.transmit(bytes.fromhex("80CA000000")) == b"\x90\x00"
            await again.close()

    run(test)


@pytest.mark.parametrize("size", [0, 1, 256, 700])
def test_a_whole_answer_is_one_conversation_of_the_owner_thread(size: int) -> None:
    async def test() -> None:
        card, lane = ScriptedCard(), KeptLane()
        async with readers(card) as made, reader(made, lane) as opened:
            channel = await opened.card().open_channel(ISD_R)
            threads: set[int] = set()
            steps: list[bytes] = []

            def following(response: bytes) -> bytes | None:
                threads.add(threading.get_ident())
                steps.append(response)
                return bytes((0x80, 0xC0, 0, 0, response[-1])) if response[-2] == 0x61 else None

            before = len(lane.packets)
            command = bytes((0x80, 0xCB, size >> 8, size & 0xFF, 255)) + bytes(255)
            last = await channel.converse(command, following) if size else await channel.transmit(GET_EID)
            assert b"".join(step[:-2] for step in steps) == bytes(n & 0xFF for n in range(size))
            assert not steps or (last == steps[-1] and threads.isdisjoint({threading.get_ident()}))
            recorded = lane.packets[before:]
            assert [packet[0] for packet in recorded] == [Direction.SENT, Direction.RECEIVED] * (len(recorded) // 2)
            assert [data for kind, data in recorded if kind is Direction.RECEIVED][: len(steps)] == steps
            assert await channel.transmit(GET_EID) == b"\x90\x00"
            await channel.close()

    run(test)


def test_a_cancelled_conversation_ends_after_the_apdu_under_way() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            reached, cancelled = asyncio.Event(), threading.Event()
            card.on_command = lambda command: reached.set() if command[1] == 0xCB else None

            def following(response: bytes) -> bytes | None:
                assert cancelled.wait(10.0)  # in the owner thread: it goes on when the task is gone
                return GET_EID

            task = asyncio.ensure_future(channel.converse(bytes.fromhex("80CB000000"), following))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            cancelled.set()
            with pytest.raises(CardGone):
                await channel.converse(GET_EID, lambda response: None)
            await channel.close()
            powers = len(card.powers)
            again = await opened.card().open_channel(ISD_R)
            assert card.powers[powers:] == ["off", "on"]
            commands = [command[1] for command in card.commands]
            assert commands.count(0xE2) <= 1, "what was said to follow when it was cancelled, and nothing after it"
            await again.close()

    run(test)


def test_the_deadline_is_for_each_apdu_of_a_conversation() -> None:
    async def test() -> None:
        given_up: list[bool] = []
        owner = Owner("test", RealClock(), lambda: given_up.append(True))
        done = threading.Event()
        moments = iter(range(3))

        def alive() -> float:
            if next(moments, None) is None:
                done.set()
            return time.monotonic()

        assert await owner.run(lambda: done.wait(10.0), timeout=0.02, what="a step", alive=alive)
        assert not given_up
        stuck, began = threading.Event(), time.monotonic()
        with pytest.raises(InstrumentTimeout, match="another did not end within 0"):
            await owner.run(lambda: stuck.wait(10.0), timeout=0.02, what="another", alive=lambda: began)
        assert given_up == [True]
        stuck.set()
        owner.end()

    run(test)


def test_no_apdu_is_refused_before_it_reaches_vpcd() -> None:
    async def test() -> None:
        async with readers(ScriptedCard()) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            for bad in (b"", b"\x00", b"\x00\xa4\x04"):
                with pytest.raises(ConfigurationError, match="no command APDU"):
                    await channel.transmit(bad)
            with pytest.raises(ConfigurationError, match="5 to 16 bytes"):
                await opened.card().open_channel(b"\xa0")
            await channel.close()

    run(test)


def test_a_hanging_reader_is_told_from_a_missing_daemon() -> None:
    async def test() -> None:
        async with readers(ScriptedCard()) as made:
            opened = await PcscReader.open(options(made.slots[0].name))
            made.daemon.close()
            with pytest.raises(BenchError, match=r"the PC/SC daemon \(pcscd\) is gone"):
                await opened.card().open_channel(ISD_R)
            await opened.close()

    run(test)


# --- the terminal's side ----------------------------------------------------------------------------------------------


def test_refresh_is_fetched_and_carried_out_when_the_channel_is_closed() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            card.proactive.append(REFRESH)
            powers = len(card.powers)
            assert await channel.transmit(GET_EID) == bytes.fromhex("910B")  # the caller sees it
            assert card.commands[-1] == bytes.fromhex("801200000B")
            await channel.transmit(bytes.fromhex("80CA000000"))
            assert card.commands[-1][1] == 0xCA  # fetched once, and no TERMINAL RESPONSE before the reset
            assert card.powers[powers:] == []
            await channel.close()
            await until(lambda: card.powers[powers:] == ["off"])
            again = await opened.card().open_channel(ISD_R)
            assert card.powers[powers:] == ["off", "on"]
            await again.close()
            assert card.powers[powers:] == ["off", "on"]

    run(test)


def test_a_refresh_that_cannot_be_fetched_ends_in_a_cold_reset_too() -> None:
    async def test() -> None:
        card = ScriptedCard()
        card.refuse_fetch = True
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            card.proactive.append(REFRESH)
            powers = len(card.powers)
            await channel.transmit(GET_EID)
            await channel.close()
            await until(lambda: card.powers[powers:] == ["off"])

    run(test)


def test_other_proactive_commands_are_answered_one_after_the_other() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            channel = await opened.card().open_channel(ISD_R)
            card.proactive += [MORE_TIME, DISPLAY_TEXT]
            count = len(card.commands)
            await channel.transmit(GET_EID)
            assert card.commands[count + 1 :] == [
                bytes.fromhex("801200000B"),
                bytes.fromhex("801400000C810301020082028281830100"),
                bytes.fromhex("801200000B"),
                bytes.fromhex("801400000C810301218082028281830130"),  # beyond this terminal
            ]
            powers = len(card.powers)
            await channel.close()
            assert card.powers[powers:] == []

    run(test)


def test_with_the_toolkit_the_driver_is_the_terminal_after_every_start() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made, toolkit=True) as opened:
            access = opened.card()
            channel = await access.open_channel(ISD_R)
            assert carries_refresh(access) and is_local(access)
            start = [bytes.fromhex("80AA000005A903830107"), bytes.fromhex("8010000003010088")]
            assert card.commands[:2] == start
            await channel.close()
            count = len(card.commands)
            await access.reset()
            assert card.commands[count:] == []  # it is given back, and whoever takes it says what he is
            await (await access.open_channel(ISD_R)).close()
            assert card.commands[count : count + 2] == start
        async with readers(card) as made, reader(made) as opened:
            assert not carries_refresh(opened.card())

    run(test)


def test_the_terminals_part_can_be_switched_off() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made, fetch=False) as opened:
            channel = await opened.card().open_channel(ISD_R)
            card.proactive.append(REFRESH)
            assert await channel.transmit(GET_EID) == bytes.fromhex("910B")
            assert card.commands[-1][1] == 0xE2
            await channel.close()

    run(test)


def test_reset_is_a_cold_one_and_ends_the_channels() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            access = opened.card()
            channel = await access.open_channel(ISD_R)
            powers = len(card.powers)
            await access.reset()
            assert card.powers[powers:] == ["off", "on"]
            with pytest.raises(CardGone):
                await channel.transmit(GET_EID)
            count = len(card.commands)
            await channel.close()
            assert len(card.commands) == count  # it died with the reset
            await (await access.open_channel(ISD_R)).close()

    run(test)


def test_two_channels_at_a_time() -> None:
    async def test() -> None:
        card = ScriptedCard()
        async with readers(card) as made, reader(made) as opened:
            access = opened.card()
            one, two = await access.open_channel(ISD_R), await access.open_channel(ISD_R)
            await asyncio.gather(one.transmit(GET_EID), two.transmit(GET_EID))
            assert {command[0] for command in card.commands if command[1] == 0xE2} == {0x81, 0x82}
            await one.close()
            assert await two.transmit(GET_EID) == b"\x90\x00"
            await two.close()
            assert card.channels == set()

    run(test)
