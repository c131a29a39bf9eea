"""The ES10 client over scripted channels: every rule for status words, and every function by literal bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from bench.apdu import es10_codec as codec
from bench.apdu.errors import CardAnswerError, CardGone, CardNeedsReset, Es10Error, StatusWordError
from bench.apdu.es10 import Es10
from bench.apdu.es10_codec import CancelReason
from bench.apdu.store_data import chain
from bench.errors import DeviceFailure, InstrumentTimeout

from .scripted import ScriptedChannel

T = TypeVar("T")
EID = "89049032123451234512345678901235"
PACKAGE = bytes.fromhex(
    "bf5139302f80087465737465696d315a1089010000000000000000000000000001810101a00ea30c5a0a891010123456789012f1"
    "5f37053003020101"
)
SIGNATURE = "5f3740" + "11" * 64
ENABLED = "bf5162a060301b800465696d31810101820801020304050607088301073003830100" + SIGNATURE


def store(request: str) -> str:
    """One STORE DATA block that carries ``request``."""
    return f"80e29100{len(request) // 2:02x}{request}"


def call(script: list[tuple[str, str]], use: Callable[[Es10], Awaitable[T]], *, segment: int = 255) -> T:
    channel = ScriptedChannel(script)
    es10 = Es10(channel, segment=segment)

    async def run() -> T:
        return await use(es10)

    result = asyncio.run(run())
    assert channel.done, "the script was not used up"
    assert es10.apdus == len(script)
    return result


def test_eid() -> None:
    assert call([(store("bf3e035c015a"), "bf3e125a10" + EID + "9000")], lambda es10: es10.eid()) == EID


def test_answer_collected_with_get_response() -> None:
    script = [
        (store("bf3e035c015a"), "6115"),
        ("00c0000015", "bf3e125a10" + EID + "9000"),
    ]
    assert call(script, lambda es10: es10.eid()) == EID


def test_answer_collected_by_the_modem_longer_than_256() -> None:
    info2 = "bf2282012c" + "84820128" + "00" * 296
    assert call([(store("bf2200"), info2 + "9000")], lambda es10: es10.euicc_info2()).hex() == info2


def test_request_in_segments_of_a_weak_modem() -> None:
    request = bytes.fromhex("bf3881c8") + bytes(200)
    blocks = [bytes(command).hex() for command in chain(request, segment=120)]
    assert len(blocks) == 2
    script = [(blocks[0], "9000"), (blocks[1], "bf3803a101009000")]

    async def use(es10: Es10) -> None:
        with pytest.raises(CardAnswerError):
            await es10.authenticate_server(request)  # A1 holds no TLV

    call(script, use, segment=120)


def test_segments_with_a_good_answer() -> None:
    request = bytes.fromhex("bf3881c8") + bytes(200)
    blocks = [bytes(command).hex() for command in chain(request, segment=120)]
    script = [(blocks[0], "9000"), (blocks[1], "bf3809a10780020102020106" + "9000")]
    answer = call(script, lambda es10: es10.authenticate_server(request), segment=120)
    assert answer.error == 6
    assert answer.error_name == "euiccChallengeMismatch"
    assert answer.raw.hex() == "bf3809a10780020102020106"


def test_91xx_is_success_and_noted() -> None:
    channel = ScriptedChannel([(store(PACKAGE.hex()), ENABLED + "910b")])
    es10 = Es10(channel)
    assert asyncio.run(es10.load_euicc_package(PACKAGE)).hex() == ENABLED
    assert es10.switched
    assert es10.proactive == 11


@pytest.mark.parametrize("word", ["6a80", "6a88", "6881", "6d00", "6e00", "6f00", "6700", "9300"])
def test_other_words_are_errors_that_name_function_and_word(word: str) -> None:
    async def use(es10: Es10) -> None:
        with pytest.raises(StatusWordError) as caught:
            await es10.eid()
        assert caught.value.status_word == int(word, 16)
        assert "GetEID" in str(caught.value)
        assert word.upper() in str(caught.value)
        assert not isinstance(caught.value, CardNeedsReset)

    call([(store("bf3e035c015a"), word)], use)


def test_an_error_in_the_middle_of_a_chain_ends_it() -> None:
    request = bytes.fromhex("bf38820200") + bytes(512)
    blocks = [bytes(command).hex() for command in chain(request)]
    assert len(blocks) == 3

    async def use(es10: Es10) -> None:
        with pytest.raises(StatusWordError):
            await es10.authenticate_server(request)

    call([(blocks[0], "9000"), (blocks[1], "6a84")], use)


def test_6985_to_a_function_without_conditions_needs_a_reset() -> None:
    async def use(es10: Es10) -> None:
        with pytest.raises(CardNeedsReset) as caught:
            await es10.eim_configurations()
        assert "reset the card" in str(caught.value)

    call([(store("bf5500"), "6985")], use)


def test_6985_to_a_download_function_is_the_state_of_the_session() -> None:
    async def use(es10: Es10) -> None:
        with pytest.raises(StatusWordError) as caught:
            await es10.prepare_download(bytes.fromhex("bf2100"))
        assert not isinstance(caught.value, CardNeedsReset)

    call([(store("bf2100"), "6985")], use)


def test_6985_to_everything_after_an_enable_needs_a_reset() -> None:
    async def use(es10: Es10) -> None:
        await es10.load_euicc_package(PACKAGE)
        with pytest.raises(CardNeedsReset, match="since the enabled profile changed"):
            await es10.prepare_download(bytes.fromhex("bf2100"))
        with pytest.raises(CardNeedsReset):
            await es10.package_results()

    call([(store(PACKAGE.hex()), ENABLED + "9000"), (store("bf2100"), "6985"), (store("bf2b04a0028200"), "6985")], use)


def test_the_answer_of_another_function() -> None:
    async def use(es10: Es10) -> None:
        with pytest.raises(CardAnswerError, match="BF3E was due"):
            await es10.eid()

    call([(store("bf3e035c015a"), "bf2d02a0009000")], use)


@pytest.mark.parametrize("answer", ["", "bf3e", "bf3e00", "bf3e035a0101", "bf3e125a10" + "ff" * 16])
def test_answers_that_are_none(answer: str) -> None:
    async def use(es10: Es10) -> None:
        with pytest.raises(CardAnswerError):
            await es10.eid()

    call([(store("bf3e035c015a"), answer + "9000")], use)


def test_a_card_that_is_gone_is_passed_on() -> None:
    class Gone(ScriptedChannel):
        async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
            raise CardGone("no power", where="card")

    with pytest.raises(CardGone):
        asyncio.run(Es10(Gone([])).eid())


# --- deadlines ------------------------------------------------------------------------------------------------------


class Ticking:
    """A clock that the channel moves."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time


class Slow(ScriptedChannel):
    def __init__(self, script: list[tuple[str, str]], clock: Ticking, seconds: float) -> None:
        super().__init__(script)
        self._clock = clock
        self._seconds = seconds

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        self._clock.time += self._seconds
        return await super().transmit(command, timeout=timeout)


def test_ordinary_functions_have_10_seconds_an_apdu_and_loading_240_altogether() -> None:
    clock = Ticking()
    units = [bytes.fromhex("860100"), bytes.fromhex("860101")]
    script = [
        (store("bf2000"), "bf20009000"),
        (store("860100"), "9000"),
        (store("860101"), "bf37009000"),
    ]
    channel = Slow(script, clock, 100.0)
    es10 = Es10(channel, clock=clock)

    async def use() -> None:
        await es10.euicc_info1()
        assert (await es10.load_bpp(units)).hex() == "bf3700"

    asyncio.run(use())
    assert channel.timeouts == [10.0, 240.0, 140.0]


def test_a_card_that_never_ends_loading_is_an_instrument_timeout() -> None:
    clock = Ticking()
    units = [bytes.fromhex("8601") + bytes((number,)) for number in range(10)]
    channel = Slow([(store(unit.hex()), "9000") for unit in units], clock, 100.0)

    async def use() -> None:
        with pytest.raises(InstrumentTimeout, match="LoadBoundProfilePackage"):
            await Es10(channel, clock=clock).load_bpp(units)

    asyncio.run(use())
    assert len(channel.sent) == 3


# --- loading --------------------------------------------------------------------------------------------------------


def test_each_unit_is_a_chain_of_its_own_and_the_first_answer_ends_the_load() -> None:
    units = [bytes(300), bytes.fromhex("860100"), bytes.fromhex("860101")]
    script = [
        ("80e21100ff" + "00" * 255, "9000"),
        ("80e291012d" + "00" * 45, "9000"),
        ("80e2910003860100", "6103"),
        ("00c0000003", "bf37009000"),
    ]
    assert call(script, lambda es10: es10.load_bpp(units)).hex() == "bf3700"


def test_a_load_without_result() -> None:
    async def use(es10: Es10) -> None:
        with pytest.raises(CardAnswerError, match="no installation result"):
            await es10.load_bpp([b"\x86\x00"])

    call([("80e29100028600", "9000")], use)


def test_a_refused_apdu_in_a_load() -> None:
    async def use(es10: Es10) -> None:
        with pytest.raises(StatusWordError, match="LoadBoundProfilePackage"):
            await es10.load_bpp([b"\x86\x00", b"\x86\x00"])

    call([("80e29100028600", "6985")], use)


# --- the functions --------------------------------------------------------------------------------------------------


def test_challenge() -> None:
    script = [(store("bf2e00"), "bf2e128010" + "ab" * 16 + "9000")]
    assert call(script, lambda es10: es10.challenge()).hex() == "ab" * 16


@pytest.mark.parametrize("answer", ["bf2e00", "bf2e03800100"])
def test_a_challenge_of_another_length(answer: str) -> None:
    async def use(es10: Es10) -> None:
        with pytest.raises(CardAnswerError):
            await es10.challenge()

    call([(store("bf2e00"), answer + "9000")], use)


def test_cancel_session_keeps_the_bytes() -> None:
    done = "bf410da00b3009" + "800101" + "810188" + "820105"
    script = [(store("bf4106800101810105"), done + "9000"), (store("bf4106800101810105"), "bf41038101059000")]

    async def use(es10: Es10) -> None:
        first = await es10.cancel_session(b"\x01", CancelReason.LOAD_BPP_EXECUTION_ERROR)
        second = await es10.cancel_session(b"\x01", CancelReason.LOAD_BPP_EXECUTION_ERROR)
        assert (first.raw.hex(), first.error) == (done, None)
        assert (second.raw.hex(), second.error) == ("bf4103810105", 5)

    call(script, use)


def test_notifications_are_asked_one_by_one() -> None:
    meta = "bf2f10" + "800109" + "81020640" + "0c07" + "64702e74657374"
    other = "3019" + meta + "5f3701113000"
    script = [
        (
            store("bf2800"),
            "bf2829a027" + meta + "bf2f11" + "8002012c" + "81020780" + "0c07" + "64702e74657374" + "9000",
        ),
        (store("bf2b05a003800109"), "bf2b1da01b" + other + "9000"),
        (store("bf3003800109"), "bf30038001009000"),
        (store("bf3003800109"), "bf30038001019000"),
    ]

    async def use(es10: Es10) -> None:
        listed = await es10.list_notifications()
        assert [(item.seq, item.event) for item in listed] == [(9, "enable"), (300, "install")]
        (pending,) = await es10.retrieve_notifications(seq=9)
        assert pending.raw.hex() == other
        assert await es10.remove_notification(9) is True
        assert await es10.remove_notification(9) is False

    call(script, use)


def test_removal_that_fails() -> None:
    async def use(es10: Es10) -> None:
        with pytest.raises(Es10Error) as caught:
            await es10.remove_notification(9)
        assert (caught.value.code, caught.value.result) == (127, "undefinedError")

    call([(store("bf3003800109"), "bf300380017f9000")], use)


def test_package_results() -> None:
    script = [(store("bf2b04a0028200"), "bf2b67a265" + ENABLED + "9000")]
    (raw,) = call(script, lambda es10: es10.package_results())
    assert raw.hex() == ENABLED


def test_add_initial_eim() -> None:
    configuration = "3019800465696d31810865696d2e746573748201028301008401ff"
    request = store("bf571da01b" + configuration)
    tokens = call(
        [(request, "bf5707a0058401010500" + "9000")], lambda es10: es10.add_initial_eim([bytes.fromhex(configuration)])
    )
    assert tokens == (1, None)


def test_add_initial_eim_refused_is_a_device_failure_with_its_name() -> None:
    async def use(es10: Es10) -> None:
        with pytest.raises(DeviceFailure, match=r"AddInitialEim: associatedEimAlreadyExists \(2\)"):
            await es10.add_initial_eim([b"\x30\x00"])

    call([(store("bf5704a0023000"), "bf57038101029000")], use)


def test_rollback() -> None:
    script = [
        (store("bf58038001ff"), "bf58030201019000"),
        (store("bf58038001ff"), "bf580b020100bf5105a2038001659110"),
    ]

    async def use(es10: Es10) -> None:
        refused = await es10.profile_rollback(refresh=True)
        assert (refused.code, refused.name, refused.package_result) == (1, "rollbackNotAllowed", b"")
        assert not es10.switched
        done = await es10.profile_rollback(refresh=True)
        assert (done.code, done.package_result.hex()) == (0, "bf5105a203800165")
        assert es10.switched
        assert es10.proactive == 16

    call(script, use)


def test_configured_addresses() -> None:
    script = [(store("bf3c00"), "bf3c09" + "800161" + "810462622e63" + "9000"), (store("bf3c00"), "bf3c038101629000")]

    async def use(es10: Es10) -> None:
        assert await es10.configured_addresses() == ("a", "bb.c")
        assert await es10.configured_addresses() == ("", "b")

    call(script, use)


def test_functions_with_one_number() -> None:
    script = [
        (store("bf5a038001ff"), "bf5a03800101" + "9000"),
        (store("bf5d03800100"), "bf5d03800100" + "9000"),
        (store("bf6509800764702e74657374"), "bf6503800100" + "9000"),
        (store("bf640482020204"), "bf6406800101810100" + "9000"),
    ]

    async def use(es10: Es10) -> None:
        with pytest.raises(Es10Error, match="immediateEnableNotAvailable"):
            await es10.immediate_enable(refresh=True)
        assert not es10.switched
        await es10.execute_fallback(refresh=False)
        assert es10.switched
        await es10.set_default_dp_address("dp.test")
        assert (await es10.memory_reset(0x04)).results == {"resetResult": "nothingToDelete", "resetEimResult": "ok"}

    call(script, use)


def test_every_function_is_counted_by_name_and_shown_to_the_watcher() -> None:
    seen: list[tuple[int, str, str]] = []
    channel = ScriptedChannel(
        [(store("bf2000"), "6103"), ("00c0000003", "bf20009000"), (store("bf2000"), "bf20009000")]
    )
    es10 = Es10(channel, on_exchange=lambda tag, request, answer: seen.append((tag, request.hex(), answer.hex())))

    async def use() -> None:
        await es10.euicc_info1()
        await es10.euicc_info1()
        await es10.close()

    asyncio.run(use())
    assert es10.calls == {"GetEuiccInfo1": 2}
    assert es10.apdus == 3
    assert seen == [(0xBF20, "bf2000", "bf2000")] * 2
    assert channel.closed == 1


FUNCTIONS: dict[str, tuple[str, Callable[[Es10], Awaitable[object]]]] = {
    "bf5b038001ff": ("bf5b03800108", lambda es10: es10.enable_emergency_profile(refresh=True)),
    "bf5c03800100": ("bf5c03800102", lambda es10: es10.disable_emergency_profile(refresh=False)),
    "bf5e038001ff": ("bf5e03800106", lambda es10: es10.return_from_fallback(refresh=True)),
    "bf420480020780": ("bf4203800101", lambda es10: es10.activate_ipae()),
    "bf350aa0083003020101030100": ("bf3503810103", lambda es10: es10.load_crl(bytes.fromhex("30083003020101030100"))),
    "bf3111a00c5a0a98101032547698103214" + "8101ff": (
        "bf3103800104",
        lambda es10: es10.enable_profile("89010123456789012341", refresh=True),
    ),
    "bf320ba0064f04a0000001810100": (
        "bf3203800105",
        lambda es10: es10.disable_profile(bytes.fromhex("a0000001"), refresh=False),
    ),
    "bf33064f04a0000001": ("bf3303800103", lambda es10: es10.delete_profile(bytes.fromhex("a0000001"))),
    "bf290f5a0a98101032547698103214900161": (
        "bf2903800101",
        lambda es10: es10.set_nickname("89010123456789012341", "a"),
    ),
    "bf3f03800161": ("bf3f0380017f", lambda es10: es10.set_default_dp_address("a", consumer=True)),
    "bf59078000810388370a": (
        "bf5903800102",
        lambda es10: es10.configure_immediate_enable(flag=True, smdp_oid=bytes.fromhex("88370a")),
    ),
    "bf5600": ("bf5603810101", lambda es10: es10.certificates()),
    "bf2d00": ("bf2d0381010b", lambda es10: es10.profiles()),
}
NAMES = {
    "bf5b": "ecallNotAvailable",
    "bf5c": "profileNotInEnabledState",
    "bf5e": "fallbackNotAvailable",
    "bf42": "notSupported",
    "bf35": "notEnoughMemorySpace",
    "bf31": "wrongProfileReenabling",
    "bf32": "catBusy",
    "bf33": "disallowedByPolicy",
    "bf29": "iccidNotFound",
    "bf3f": "undefinedError",
    "bf59": "associatedEimAlreadyExists",
    "bf56": "invalidCiPKId",
    "bf2d": "profileChangeOngoing",
}


@pytest.mark.parametrize("request_", FUNCTIONS)
def test_refusals_have_the_standards_names(request_: str) -> None:
    answer, function = FUNCTIONS[request_]

    async def use(es10: Es10) -> None:
        with pytest.raises(Es10Error) as refused:
            await function(es10)
        assert refused.value.result == NAMES[request_[:4]]
        assert not es10.switched

    call([(store(request_), answer + "9000")], use)


def test_looks_with_names() -> None:
    script = [
        (store("bf5f00"), "bf5f038101019000"),
        (store("bf5f00"), "bf5f0aa00881064704" + "03696f74" + "9000"),
        (store("bf4300"), "bf4302a0009000"),
        (store("bf3504a0020500"), "bf3507a005a0030201039000"),
    ]

    async def use(es10: Es10) -> None:
        assert await es10.connectivity() is None
        found = await es10.connectivity()
        assert found is not None
        assert found.apn == "iot"
        assert await es10.rules() == ()
        assert (await es10.load_crl(bytes.fromhex("30020500"))).missing_parts == (3,)

    call(script, use)


@pytest.mark.parametrize("word", ["6e00", "6d00"])
def test_a_card_that_wants_get_response_with_class_80(word: str) -> None:
    eid = "bf3e125a10" + EID
    script = [
        (store("bf3e035c015a"), "6115"),
        ("00c0000015", word),
        ("80c0000015", eid + "9000"),
        (store("bf3e035c015a"), "6115"),
        ("80c0000015", eid + "9000"),
    ]

    async def use(es10: Es10) -> None:
        assert await es10.eid() == EID
        assert await es10.eid() == EID  # remembered for the channel

    call(script, use)


def test_a_card_that_refuses_get_response_with_both_classes() -> None:
    script = [(store("bf2000"), "6103"), ("00c0000003", "6e00"), ("80c0000003", "6e00")]

    async def use(es10: Es10) -> None:
        with pytest.raises(StatusWordError) as refused:
            await es10.euicc_info1()
        assert refused.value.status_word == 0x6E00

    call(script, use)


def test_a_busy_toolkit_has_its_hint() -> None:
    async def use(es10: Es10) -> None:
        with pytest.raises(StatusWordError, match="proactive session"):
            await es10.euicc_info1()

    call([(store("bf2000"), "9300")], use)


def test_a_card_of_v1_0() -> None:
    """EnableUsingDD has an empty request; memory reset is BF34 with other bits and its result in 02 (Appendix 4)."""
    channel = ScriptedChannel(
        [
            (store("bf5a00"), "bf5a038001009000"),
            (store("bf340482020410"), "bf34060201008101009000"),
        ]
    )
    es10 = Es10(channel, old=True)

    async def use() -> None:
        await es10.immediate_enable(refresh=True)
        assert es10.switched
        found = await es10.memory_reset(0x04)
        assert found.results == {"resetResult": "ok", "resetEimResult": "ok"}

    asyncio.run(use())
    assert channel.done


# --- sent ahead of the calls ------------------------------------------------------------------------------------------

AHEAD_EID = ("80E2910006BF3E035C015A", "BF3E125A10890490321234512345123456789012359000")
AHEAD_NONE = ("80E2910003BF2B00", "BF2B02A0009000")


class ConversingScript(ScriptedChannel):
    """A channel that can go on by itself, and counts for how many conversations it was asked."""

    conversations = 0

    async def converse(self, command, following, *, timeout=None):
        self.conversations += 1
        while True:
            response = await self.transmit(command, timeout=timeout)
            after = following(response)
            if after is None:
                return response
            command = after


def test_calls_find_what_was_sent_ahead_of_them_in_one_conversation():
    channel = ConversingScript([AHEAD_EID, ("80E2910003BF2B00", "6104"), ("00C0000004", "BF2B02A0009000")])
    es10 = Es10(channel)

    async def body():
        await es10.ahead(codec.GET_EID, codec.retrieve_notifications())
        await es10.ahead()  # nothing: what is here stays
        sent = len(channel.sent)
        return sent, await es10.eid(), await es10.retrieve_notifications()

    assert asyncio.run(body()) == (3, "89049032123451234512345678901235", ())
    assert channel.done and channel.conversations == 1
    assert es10.apdus == 3
    assert dict(es10.calls) == {"GetEID": 1, "RetrieveNotificationsList": 1}


def test_what_was_sent_ahead_is_forgotten_when_something_else_comes_first():
    """It may not be true any more."""
    channel = ConversingScript([AHEAD_EID, AHEAD_NONE, ("80E2910006BF3003800105", "BF30038001009000"), AHEAD_NONE])
    es10 = Es10(channel)

    async def body():
        await es10.ahead(codec.GET_EID, codec.retrieve_notifications())
        await es10.eid()
        assert await es10.remove_notification(5)
        return await es10.retrieve_notifications()

    assert asyncio.run(body()) == ()
    assert channel.done


def test_what_was_sent_ahead_ends_with_a_refusal_which_its_call_raises():
    channel = ConversingScript([AHEAD_EID, ("80E2910003BF2B00", "6A88")])
    es10 = Es10(channel)

    async def body():
        await es10.ahead(codec.GET_EID, codec.retrieve_notifications(), codec.remove_notification(5))
        await es10.eid()
        with pytest.raises(StatusWordError):
            await es10.retrieve_notifications()

    asyncio.run(body())
    assert channel.done


def test_a_single_request_and_one_of_several_blocks_are_not_sent_ahead():
    channel = ConversingScript([AHEAD_EID])
    es10 = Es10(channel)

    async def body():
        await es10.ahead(codec.GET_EID)
        await es10.ahead(codec.GET_EID, b"\xbf\x38\x82\x02\x00" + bytes(512), codec.GET_EID)
        return await es10.eid()

    assert asyncio.run(body()).startswith("8904")
    assert len(channel.sent) == 1
