from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.apdu.channel import Following
from bench.apdu.errors import StatusWordError
from bench.apdu.exchange import collect, drive, expect, transceive
from bench.apdu.iso7816 import ApduError, Command, Response
from bench.apdu.store_data import Assembler, chain, reassemble

from .scripted import ScriptedChannel

READ = Command(0x00, 0xB0, 0x00, 0x00, le=256)


def run(script: list[tuple[str, str]], command: Command = READ, **options: int) -> Response:
    channel = ScriptedChannel(script)
    response = asyncio.run(transceive(channel, command, **options))
    assert channel.done
    return response


def test_plain_answer() -> None:
    assert run([("00B0000000", "CAFE9000")]) == Response(b"\xca\xfe", 0x9000)


def test_61xx_is_collected_until_the_end() -> None:
    response = run([("00B0000000", "6103"), ("00C0000003", "0102036102"), ("00C0000002", "04059000")])
    assert response == Response(bytes(range(1, 6)), 0x9000)


def test_6100_means_256_bytes() -> None:
    data = bytes(256)
    assert run([("00B0000000", "6100"), ("00C0000000", data.hex() + "9000")]).data == data


def test_61xx_after_data_keeps_the_data() -> None:
    assert run([("00B0000000", "AA6101"), ("00C0000001", "BB9000")]).data == b"\xaa\xbb"


def test_6cxx_repeats_with_the_le_asked_for() -> None:
    assert run([("00B0000000", "6C02"), ("00B0000002", "CAFE9000")]).data == b"\xca\xfe"


def test_6cxx_to_get_response() -> None:
    script = [("00B0000000", "6110"), ("00C0000010", "6C02"), ("00C0000002", "CAFE9000")]
    assert run(script).data == b"\xca\xfe"


def test_9fxx_is_the_2g_form() -> None:
    command = Command(0xA0, 0xA4, data=b"\x3f\x00")
    assert run([("A0A40000023F00", "9F01"), ("00C0000001", "AA9000")], command).data == b"\xaa"


def test_91xx_is_kept_as_the_final_word() -> None:
    response = run([("00B0000000", "6101"), ("00C0000001", "AA910B")])
    assert response.ok
    assert response.proactive == 11


def test_a_card_that_refuses_its_own_le() -> None:
    with pytest.raises(StatusWordError) as caught:
        run([("00B0000000", "6C02"), ("00B0000002", "6C02")])
    assert caught.value.status_word == 0x6C02


def test_a_card_that_announces_and_never_gives() -> None:
    with pytest.raises(StatusWordError, match="gives none"):
        run([("00B0000000", "6110"), ("00C0000010", "6110")])


def test_an_answer_without_end_is_cut() -> None:
    more = "00" * 16 + "6110"
    with pytest.raises(StatusWordError, match="more than 40 bytes"):
        run([("00B0000000", more), ("00C0000010", more), ("00C0000010", more)], limit=40)


def test_errors_are_returned_and_judged_by_expect() -> None:
    response = run([("00B0000000", "6A82")])
    assert response.status_word == 0x6A82
    with pytest.raises(StatusWordError) as caught:
        expect(response, READ, hint="look elsewhere")
    assert caught.value.status_word == 0x6A82
    assert "6A82 file or application not found" in str(caught.value)
    assert "look elsewhere" in str(caught.value)
    assert expect(response, READ, allowed=(0x6A82,)) is response


@given(st.lists(st.binary(max_size=300), max_size=12))
def test_any_answers_end_or_ask_for_more(answers: list[bytes]) -> None:
    collector = collect(READ, limit=2000)
    next(collector)
    total = 0
    for raw in answers:
        try:
            response = Response.parse(raw)
        except ApduError:
            continue
        total += len(response.data)
        try:
            command = collector.send(response)
        except StopIteration as end:
            assert len(end.value.data) == total <= 2000
            assert end.value.sw1 not in (0x61, 0x6C, 0x9F)
            return
        except StatusWordError:
            return
        assert command.ins in (0xB0, 0xC0)
        assert command.le is not None


# --- STORE DATA -----------------------------------------------------------------------------------------------------


def test_one_block() -> None:
    assert [bytes(command).hex() for command in chain(bytes.fromhex("BF3E035C015A"))] == ["80e2910006bf3e035c015a"]


def test_blocks_of_255() -> None:
    data = bytes(range(256)) * 2 + b"\x01"
    commands = [bytes(command).hex() for command in chain(data)]
    assert [command[:10] for command in commands] == ["80e21100ff", "80e21101ff", "80e2910203"]
    assert commands[2] == "80e2910203feff01"
    assert "".join(command[10:] for command in commands) == data.hex()


def test_exactly_full_blocks_have_no_empty_one_behind() -> None:
    assert [bytes(command)[:5].hex() for command in chain(bytes(510))] == ["80e21100ff", "80e29101ff"]


def test_blocks_of_120_for_weak_modems() -> None:
    commands = chain(bytes(250), segment=120)
    assert [bytes(command)[:5].hex() for command in commands] == ["80e2110078", "80e2110178", "80e291020a"]


def test_256_blocks_and_no_more() -> None:
    assert chain(bytes(256 * 255))[-1].p2 == 0xFF
    with pytest.raises(ApduError, match="257 blocks"):
        chain(bytes(256 * 255 + 1))


@pytest.mark.parametrize(("data", "segment"), [(b"", 255), (b"\x00", 0), (b"\x00", 256)])
def test_what_cannot_be_chained(data: bytes, segment: int) -> None:
    with pytest.raises(ApduError):
        chain(data, segment=segment)


@given(st.lists(st.binary(min_size=1, max_size=2000), max_size=4), st.integers(8, 255))
def test_chains_come_back_whole(requests: list[bytes], segment: int) -> None:
    commands = [command for request in requests for command in chain(request, segment=segment)]
    again = (Command.parse(bytes(command)) for command in commands)
    assert list(reassemble(again)) == requests


@pytest.mark.parametrize("p2", [0, 2, 255])
def test_a_block_out_of_order_forgets_the_chain(p2: int) -> None:
    assembler = Assembler()
    first, second, *_ = chain(bytes(600))
    assert assembler.add(first) is None
    wrong = Command(second.cla, second.ins, second.p1, p2, second.data)
    if p2 == 0:  # a new chain
        assert assembler.add(wrong) is None
        assert assembler.busy
        return
    with pytest.raises(ApduError):
        assembler.add(wrong)
    assert not assembler.busy
    with pytest.raises(ApduError):
        assembler.add(second)


def test_a_request_beyond_the_limit() -> None:
    assembler = Assembler(limit=300)
    first, second, *_ = chain(bytes(600))
    assembler.add(first)
    with pytest.raises(ApduError, match="300 bytes"):
        assembler.add(second)


class ConversingChannel(ScriptedChannel):
    """Goes on with an exchange in another thread, as a reader's driver does."""

    conversations = 0

    async def converse(self, command: bytes, following: Following, *, timeout: float | None = None) -> bytes:
        self.conversations += 1
        after: bytes | None = command
        while after is not None:
            response = await self.transmit(after, timeout=timeout)
            after = await asyncio.to_thread(following, response)
        return response


def test_a_channel_that_can_converse_is_given_the_whole_exchange() -> None:
    channel = ConversingChannel([("00B0000000", "6102"), ("00C0000002", "CAFE6101"), ("00C0000001", "009000")])
    assert asyncio.run(transceive(channel, READ, timeout=3.0)) == Response(b"\xca\xfe\x00", 0x9000)
    assert (channel.conversations, channel.timeouts, channel.done) == (1, [3.0] * 3, True)


def test_what_the_rules_raise_in_another_thread_is_raised_to_the_caller() -> None:
    channel = ConversingChannel([("00B0000000", "6105"), ("00C0000005", "6105")])
    with pytest.raises(StatusWordError, match="announces data"):
        asyncio.run(transceive(channel, READ))
    assert channel.done
    short = ConversingChannel([("00B0000000", "90")])
    with pytest.raises(ApduError):
        asyncio.run(transceive(short, READ))


@pytest.mark.parametrize("kind", [ScriptedChannel, ConversingChannel])
def test_what_before_raises_ends_the_exchange_before_the_next_command(kind: type[ScriptedChannel]) -> None:
    channel = kind([("00B0000000", "6105"), ("00C0000005", "009000")])

    def before() -> None:
        raise TimeoutError("the time is over")

    with pytest.raises(TimeoutError, match="is over"):
        asyncio.run(drive(channel, collect(READ), before=before))
    assert channel.sent == [bytes.fromhex("00B0000000")]


@given(st.lists(st.integers(1, 255), max_size=6))
def test_conversing_and_not_conversing_are_the_same_exchange(sizes: list[int]) -> None:
    script, word = [], "9000"
    for size in reversed(sizes):
        script.insert(0, (f"00C00000{size:02X}", bytes(size).hex() + word))
        word = f"61{size:02X}"
    script.insert(0, ("00B0000000", word))
    plain, conversing = ScriptedChannel(script), ConversingChannel(script)
    answers = [asyncio.run(transceive(channel, READ)) for channel in (plain, conversing)]
    assert answers[0] == answers[1] == Response(bytes(sum(sizes)), 0x9000)
    assert plain.sent == conversing.sent
