"""Recorded commands to a card again, and a recording as a card."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cli.main import bench
from bench.trace import Direction, TraceError, TraceWriter, fields, read
from bench.trace.card_commands import CardCommand, card_commands
from bench.trace.replay import (
    CHANGED_STATE,
    DESTRUCTIVE,
    READ,
    STATUS,
    STRUCTURE,
    TERMINAL,
    UNREPEATABLE,
    VALUE,
    VOLATILE,
    Step,
    compare,
    groups,
    paths,
    plan,
)
from bench.trace.tape import Tape
from bench.trace.volatile import BY_NAME, FieldClass, right_length, volatile


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("card_recorded", Path(__file__).with_name("card_recorded.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


recorded = _load()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recorded")


@pytest.fixture(scope="module")
def trace(folder: Path) -> Path:
    path: Path = recorded.record(folder / "trace.pcapng", recorded.card(folder))
    return path


def test_exchanges_are_whole_whatever_the_blocks(folder: Path, trace: Path, tmp_path: Path) -> None:
    request = "bf2d115c0f5a4f9f7090919295999f7b9f269f67"
    one = list(card_commands(read(recorded.record(tmp_path / "1", recorded.card(folder), [request], segment=255))))
    two = list(card_commands(read(recorded.record(tmp_path / "2", recorded.card(folder), [request], segment=7))))
    first, second = (next(e for e in found if e.tag == 0xBF2D) for found in (one, two))
    assert (first.data, first.answer, first.status_word) == (second.data, second.answer, second.status_word)
    assert first.data.hex() == request and first.status_word == 0x9000 and first.aid.hex() == recorded.ISD_R
    assert (len(first.blocks), len(second.blocks)) == (1, 3)
    files = [e for e in one if e.ins == 0xB0]
    assert [e.answer.hex() for e in files] == ["980001010000000010f9", "080910100000000010"]
    assert files[0].context == bytes.fromhex("2fe2")  # selected below the MF
    assert files[1].context.endswith(bytes.fromhex("6f07")) and files[1].context.startswith(bytes.fromhex("a000000087"))


def test_exchanges_of_a_modem(tmp_path: Path) -> None:
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        lane = writer.lane("at:modem")
        for sent, received in (
            (f'AT+CCHO="{recorded.ISD_R}"', "+CCHO: 1"),
            ('AT+CGLA=1,22,"80E2910006BF3E035C015A"', '+CGLA: 4,"6115"'),
            ('AT+CGLA=1,10,"00C0000015"', f'+CGLA: 46,"BF3E125A10{recorded.EID}9000"'),
        ):
            lane.record(Direction.SENT, f"{sent}\r".encode())
            lane.record(Direction.RECEIVED, f"{sent}\r".encode())  # the echo
            lane.record(Direction.RECEIVED, f"\r\n{received}\r\n\r\nOK\r\n".encode())
    select, eid = card_commands(read(tmp_path / "t"))
    assert select.data.hex() == recorded.ISD_R
    assert eid.answer.hex() == f"bf3e125a10{recorded.EID}" and eid.status_word == 0x9000


def test_the_plan_sends_what_reads_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    changing = ["bf3111a00c5a0a980001010000000010f98101ff", "bf34048202078 0".replace(" ", ""), "bf3003800105"]
    signed = ["bf380680010a8001", "bf41058001018101"]
    path = recorded.record(tmp_path / "t", recorded.card(tmp_path / "other"), [*recorded.READING, *changing, *signed])
    steps = plan(card_commands(read(path)))
    kinds = {step.name: step.kind for step in steps}
    assert kinds["EnableProfile"] == kinds["eUICCMemoryReset"] == kinds["RemoveNotificationFromList"] == DESTRUCTIVE
    assert kinds["AuthenticateServer"] == kinds["CancelSession"] == UNREPEATABLE
    assert {step.kind for step in steps if step.sent} == {READ}
    names = [step.name for step in steps if step.sent and step.exchange.ins == 0xE2]
    assert len(names) == len(recorded.READING)
    assert all(step.sent for step in plan(card_commands(read(path)), allow_destructive=True) if step.kind != TERMINAL)


def test_every_instruction_that_is_not_known_to_read_is_left_out() -> None:
    for instruction in range(256):
        exchange = CardCommand(1, 0, "", 0, 0x80, instruction, 0, 0, b"\x01", status_word=0x9000, blocks=[b"\0" * 6])
        sent = [step for step in plan([exchange]) if step.sent]
        assert bool(sent) == (instruction in (0xA4, 0xB0, 0xB2, 0xF2, 0xCA, 0xCB, 0x84, 0x78, 0xA2)), hex(instruction)


def replayed(trace: Path, card: object) -> list[tuple[Step, list[str]]]:
    """Send a plan to a card and compare: each step with the levels of its differences."""
    found = []
    for group in groups(plan(card_commands(read(trace)))):
        reader = recorded.Reader(card.transmit)  # type: ignore[attr-defined]
        channel = reader.open(group.aid.hex()) if group.aid else 0
        for step in group.steps:
            for block in step.exchange.blocks:
                data, word = reader.say(bytes((block[0] | channel,)) + block[1:])
            found.append((step, [difference.level for difference in compare(step, data, word).differences]))
    return found


def test_replayed_to_the_same_card_only_volatile_fields_differ(folder: Path, trace: Path) -> None:
    found = replayed(trace, recorded.card(folder))
    assert len(found) >= len(recorded.READING) + 4
    assert {level for _, levels in found for level in levels} == {VOLATILE}
    (challenge,) = [step.name for step, levels in found if levels]
    assert challenge == "GetEuiccChallenge"


def test_replayed_to_another_card_the_identity_differs(folder: Path, trace: Path, tmp_path: Path) -> None:
    found = replayed(trace, recorded.card(tmp_path / "b", "89049032123451234512345678901332", pki=folder))
    differing = {step.name for step, levels in found if set(levels) - {VOLATILE}}
    assert "GetEID" in differing and "GetCerts" in differing
    assert "GetEuiccInfo1" not in differing


def step_of(answer: str, word: int = 0x9000) -> Step:
    exchange = CardCommand(
        1, 0, "", 1, 0x80, 0xE2, 0x91, 0, bytes.fromhex("bf2d00"), bytes.fromhex(answer), word, blocks=[b"\0" * 5]
    )
    return Step(exchange, READ, "x")


@pytest.mark.parametrize(
    ("recording", "answer", "word", "level"),
    [
        ("bf2e128010" + "11" * 16, "bf2e128010" + "22" * 16, 0x9000, VOLATILE),
        ("bf2e128010" + "11" * 16, "bf2e11800f" + "22" * 15, 0x9000, VALUE),  # a challenge of the wrong length
        ("bf3e125a10" + "89" * 16, "bf3e125a10" + "98" * 16, 0x9000, VALUE),
        ("bf3e125a10" + "89" * 16, "", 0x6A82, STATUS),
        ("bf3e125a10" + "89" * 16, "bf3e00", 0x9000, STRUCTURE),
        ("bf3e125a10" + "89" * 16, "deadbeef", 0x9000, STRUCTURE),
        ("bf2d09a007e3059f70020101", "bf2d09a007e3059f70020102", 0x9000, CHANGED_STATE),
        ("bf2d02a000", "bf2d09a007e3059f70020101", 0x9000, CHANGED_STATE),
        ("bf2006820302050 0".replace(" ", ""), "bf20058203020600", 0x9000, STRUCTURE),
    ],
)
def test_levels_of_difference(recording: str, answer: str, word: int, level: str) -> None:
    found = compare(step_of(recording), bytes.fromhex(answer), word)
    assert found.differences[0].level == level
    assert found.same == (level in (VOLATILE, CHANGED_STATE))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 0xFFFF))
def test_comparing_takes_any_bytes(one: bytes, two: bytes, word: int) -> None:
    compare(step_of(one.hex()), two, word)
    assert compare(step_of(one.hex()), one, 0x9000).differences == []
    assert b"".join(paths(one).values()) in one or len(paths(one)) != 1


# --- the recorded card -----------------------------------------------------------------------------------------------


def test_the_tape_answers_like_the_card(folder: Path, trace: Path) -> None:
    card, tape = recorded.card(folder), Tape.read(read(trace))
    tape.power_on()
    told = []
    for transmit in (card.transmit, tape.transmit):
        reader = recorded.Reader(transmit, segment=5)  # another block size than the recording one
        channel = reader.open()
        told.append([reader.store(channel, bytes.fromhex(r)) for r in recorded.READING if r != "bf2e00"])
        told[-1] += [
            reader.say(bytes.fromhex(apdu))
            for apdu in ("00a40004022fe2", "00b0000000", "00b0000005", "00a4040410a0000000871002ffffffff8907090000",
                         "00a40004026f07", "00b0000009")
        ]  # fmt: skip
    assert told[0] == told[1]


def test_another_channel_and_what_is_not_on_the_tape(trace: Path) -> None:
    missed: list[bytes] = []
    tape = Tape.read(read(trace), missed=missed.append)
    assert tape.transmit(b"\0\xa4\0\x04") == b""  # no power
    assert tape.power_on()[:1] == b"\x3b"
    reader = recorded.Reader(tape.transmit)
    first, second = reader.open(), reader.open()
    assert (first, second) == (1, 2)
    eid = bytes.fromhex("bf3e035c015a")
    assert reader.store(first, eid) == reader.store(second, eid)
    assert reader.store(first, bytes.fromhex("bf3e035c015b"))[0] == reader.store(first, eid)[0]  # by its tag
    assert reader.store(first, bytes.fromhex("bf5d00")) == (b"", 0x6A88)
    assert reader.say(bytes.fromhex("00a4040405a000000001")) == (b"", 0x6A82)
    assert [command[1] for command in missed] == [0xE2, 0xA4]
    assert reader.raw(b"\x03\xb0\0\0\0") == b"\x68\x81"
    tape.power_on()
    assert recorded.Reader(tape.transmit).open() == 1


def test_repeated_answers_come_in_their_order(tmp_path: Path) -> None:
    path = recorded.record(tmp_path / "t", recorded.card(tmp_path / "c"), ["bf2e00", "bf2e00", "bf2e00"])
    wanted = [e.answer for e in card_commands(read(path)) if e.tag == 0xBF2E]
    tape = Tape.read(read(path))
    for _ in range(2):  # from the beginning after each reset
        tape.power_on()
        reader = recorded.Reader(tape.transmit)
        channel = reader.open()
        told = [reader.store(channel, bytes.fromhex("bf2e00"))[0] for _ in range(4)]
        assert told == [*wanted, wanted[-1]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=12))
def test_the_tape_takes_any_bytes(commands: list[bytes]) -> None:
    exchange = CardCommand(1, 0, "", 1, 0x80, 0xE2, 0x91, 0, b"\xbf\x3e\0", b"\x01\x02", 0x9000)
    tape = Tape([exchange])
    tape.power_on()
    for command in commands:
        assert len(tape.transmit(command)) >= 2


def test_a_trace_without_a_card_is_no_tape(tmp_path: Path) -> None:
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        writer.lane("at:m").record(Direction.SENT, b"AT\r")
    with pytest.raises(TraceError, match="no APDU"):
        Tape.read(read(tmp_path / "t"))


def test_the_list_comes_first_and_nothing_is_sent(trace: Path) -> None:
    done = CliRunner().invoke(bench, ["trace", "replay", str(trace)], catch_exceptions=False)
    assert done.exit_code == 0 and "GetEuiccInfo2" in done.stdout
    told = json.loads(CliRunner().invoke(bench, ["trace", "replay", str(trace), "--json"]).stdout)
    assert all(command["sent"] for command in told["commands"])
    assert CliRunner().invoke(bench, ["trace", "replay", str(trace), "--send", "--as-card"]).exit_code == 2


def test_names_and_tag_paths_say_the_same_of_a_field() -> None:
    """One table for diff and replay: what a decoder calls by a name in FACTS stands at a path of the same class."""
    answer = bytes.fromhex("BF2E12 8010 000102030405060708090A0B0C0D0E0F".replace(" ", ""))
    tree = fields.es10(answer, answer=True)
    assert [leaf.name for _, leaf in tree.leaves()] == ["euiccChallenge"]
    assert volatile((0xBF2E, 0x80)) is BY_NAME["euiccChallenge"] is FieldClass.RANDOM
    assert right_length((0xBF2E, 0x80), bytes(16)) and not right_length((0xBF2E, 0x80), bytes(15))
    assert volatile((0xBF38, 0xA0, 0x5F37)) is FieldClass.SIGNATURE  # in any place
    assert volatile((0xBF28, 0xA0, 0xBF2F, 0x80)) is FieldClass.COUNTER  # the nearer rule goes before the list's
    assert volatile((0xBF28, 0xA0, 0xBF2F, 0x0C)) is FieldClass.STATE
    assert volatile((0xBF3E, 0x5A)) is None  # the EID of a card never changes
