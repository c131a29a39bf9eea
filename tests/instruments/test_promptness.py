"""Looking for an answer at once: when it pays, what it may cost, and that others get their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from at_bench import with_modem
from hypothesis import given
from hypothesis import strategies as st
from instrument_doubles import MemoryLane, PtyModem, ScpiDouble

from instruments.modem.errors import ModemHung
from instruments.modem.modem import AtModem
from instruments.promptness import Promptness
from instruments.scpi.session import ScpiSession

PROMPT, SLOW = 0.0001, 0.005


def after(*seconds: float) -> Promptness:
    made = Promptness()
    for one in seconds:
        made.answered(one)
    return made


def test_a_look_is_worth_it_after_some_prompt_answers_in_a_row() -> None:
    assert not after(*[PROMPT] * 3).worth_a_look
    assert after(*[PROMPT] * 4).worth_a_look
    assert not after(*[PROMPT, SLOW] * 100).worth_a_look
    assert not after(*[PROMPT] * 1000, *[SLOW] * 5).worth_a_look


def until_worth(promptness: Promptness) -> int:
    count = 0
    while not promptness.worth_a_look:
        promptness.answered(PROMPT)
        count += 1
    return count


def test_looks_in_vain_become_rare_and_one_that_finds_makes_up_for_them() -> None:
    promptness = Promptness()
    prices = []
    for _ in range(9):
        prices.append(until_worth(promptness))
        promptness.in_vain()
    assert prices == [4, 36, 68, 132, 260, 516, 1028, 2052, 4100]
    assert until_worth(promptness) == 4100
    promptness.found()
    promptness.in_vain()
    assert until_worth(promptness) == 36


@given(st.lists(st.sampled_from(["prompt", "slow", "vain"]), max_size=400))
def test_no_peer_costs_more_than_its_share(events: list[str]) -> None:
    promptness, looks, prompt = Promptness(), 0, 0
    for event in events:
        if event == "vain" and promptness.worth_a_look:
            looks += 1
            promptness.in_vain()
        elif event != "vain":
            prompt += event == "prompt"
            promptness.answered(PROMPT if event == "prompt" else SLOW)
    assert looks <= 1 + prompt // 36


async def others_have_turns(exchange: Callable[[], Awaitable[object]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Promptness, "worth_a_look", True)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(80):
        await exchange()
    task.cancel()
    assert turns >= 80 // 8


def test_others_have_their_turn_between_scpi_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(resource: str) -> None:
        session = await ScpiSession.open(resource)
        await others_have_turns(lambda: session.query("OUTP? (@1)"), monkeypatch)
        await session.close()

    with ScpiDouble() as double:
        asyncio.run(run(double.resource))


def test_who_is_cancelled_in_the_others_turn_has_the_answer_on_the_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    async def cancelled(_: float) -> None:
        raise asyncio.CancelledError

    async def run(resource: str) -> None:
        lane = MemoryLane()
        session = await ScpiSession.open(resource, lane=lane)
        monkeypatch.setattr(Promptness, "worth_a_look", True)
        monkeypatch.setattr(Promptness, "found", lambda self: True)
        monkeypatch.setattr("instruments.scpi.session.LOOK_MS", 5000)  # however busy the machine is
        with monkeypatch.context() as patched:
            patched.setattr("instruments.scpi.session.asyncio.sleep", cancelled)
            with pytest.raises(asyncio.CancelledError):
                await session.query("OUTP? (@1)")
        assert (lane.sent()[-1], lane.received()[-1]) == (b"OUTP? (@1)\n", b"0\n")
        assert await session.query("OUTP? (@1)") == "0"
        await session.close()

    with ScpiDouble() as double:
        asyncio.run(run(double.resource))


def test_others_have_their_turn_between_at_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def use(modem: AtModem) -> None:
        await others_have_turns(lambda: modem.command("AT"), monkeypatch)

    with PtyModem(tmp_path) as double:
        with_modem(double, use)


def test_events_without_end_do_not_prolong_the_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A modem that always has something to say and never answers: its command still ends at its deadline."""
    asked = 0

    class Flooded:
        def poll(self, milliseconds: int) -> bool:
            nonlocal asked
            asked += 1
            assert asked < 1_000_000, "the look does not end"
            return True

    async def use(modem: AtModem) -> None:
        monkeypatch.setattr(Promptness, "worth_a_look", True)
        port = modem.port
        monkeypatch.setattr(port, "_poll", Flooded())
        monkeypatch.setattr(port, "_readable", lambda: None)
        with pytest.raises(ModemHung):
            await port.command("AT+CSQ", timeout=0.1)

    with PtyModem(tmp_path) as double:
        double.script["AT+CSQ"] = lambda: None
        with_modem(double, use)
