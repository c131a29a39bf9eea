"""What an emulator tells and what it lacks: garbage is an error and never a value, what is not there is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instrument_doubles import ScpiDouble
from network_bench import IMSI, TARGETS, emulated, run
from test_network_contract import calls

from bench.errors import Refused
from bench.station.drivers import DriverOptions, load_driver
from bench.station.interfaces import Identity
from bench.station.network import ABILITY_WORDS, NetworkAbilities
from instruments.network import answers, cmw500, mt8821c, remote_api, uxm
from instruments.network.amarisoft import devices_in
from instruments.network.base import EmulatorDriver
from instruments.network.functions import Functions
from instruments.scpi import parse
from instruments.scpi.parse import AnswerError

READERS = (
    answers.imsi, answers.imei, answers.addresses, answers.installed, parse.word, answers.switched,
    cmw500.cell_state, cmw500.packet_state, uxm.cell_status, uxm.registered, mt8821c.registered,
)  # fmt: skip


class Bare(EmulatorDriver):
    """An emulator that can do nothing at all."""

    def functions(self):
        return Functions()

    async def _close(self):
        pass


def test_a_driver_without_its_functions_cannot_be_made():
    class Forgotten(EmulatorDriver):
        async def _close(self):
            pass

    with pytest.raises(TypeError, match="functions"):
        Forgotten(DriverOptions(name="emu"), Identity(), NetworkAbilities(frozenset()))


def test_every_ability_that_is_lacking_is_refused_with_words_and_a_hint():
    async def body():
        network = Bare(DriverOptions(name="emu", origin="bench.toml:3"), Identity("Acme", "M1"), NetworkAbilities(
            frozenset(ABILITY_WORDS)  # what it says of itself counts for nothing: its functions do
        ))  # fmt: skip
        assert network.abilities.can == frozenset()
        for ability, call in calls(network).items():
            with pytest.raises(Refused) as caught:
                await call()
            assert f"emu (Acme M1) cannot {ABILITY_WORDS[ability]}" == caught.value.what
            assert (caught.value.where, caught.value.hint) == ("bench.toml:3", "nothing was sent")
        await network.close()

    run(body)


@pytest.mark.parametrize("kind", TARGETS)
def test_what_an_emulator_can_is_what_its_driver_supplies(kind, tmp_path):
    async def body():
        async with emulated(kind, tmp_path) as emulator:
            network = await emulator.open()
            assert network.abilities.can == network.functions().abilities() != frozenset()
            await network.close()

    run(body)


@pytest.mark.parametrize(
    ("read", "answer", "value"),
    [
        (answers.imsi, '"001010123456063"', "001010123456063"),
        (answers.imsi, "", ""),
        (answers.imsi, "NAV", ""),
        (answers.imsi, "---------------", ""),
        (answers.imei, '"4901542032375101"', "4901542032375101"),
        (answers.addresses, '"10.0.0.2,2001:db8::1"', ("10.0.0.2", "2001:db8::1")),
        (answers.addresses, '"10.0.0.2","10.0.0.3"', ("10.0.0.2", "10.0.0.3")),
        (answers.addresses, '"0.0.0.0"', ()),
        (answers.addresses, '""', ()),
        (answers.installed, '"C8700200A,500"', ["C8700200A", "500"]),
        (answers.installed, "0", []),
        (parse.word, "Lte", "LTE"),
        (cmw500.packet_state, "CEST", (True, True)),
        (cmw500.packet_state, "ATT", (True, False)),
        (cmw500.packet_state, "ON", (False, False)),
        (mt8821c.registered, "7", (True, True)),
        (uxm.registered, "IDLE", (True, False)),
    ],
)
def test_answers_as_emulators_give_them(read, answer, value):
    assert read(answer) == value


@pytest.mark.parametrize(
    ("read", "answer"),
    [
        (answers.imsi, "ON,ADJ"),
        (answers.imsi, '0,"No error"'),
        (answers.imsi, "00101"),
        (answers.imsi, "٠٠١٠١٠١٢٣٤٥٦"),
        (answers.imei, "10.0.0.2"),
        (answers.addresses, "001010123456063"),
        (answers.addresses, "10.0.0"),
        (answers.installed, "\xff\xfe"),
        (parse.word, "1"),
        (answers.switched, "MAYBE"),
        (cmw500.packet_state, "MAYBE"),
        (cmw500.cell_state, "ON,1"),
    ],
)
def test_garbage_and_other_questions_answers_are_none(read, answer):
    with pytest.raises(AnswerError):
        read(answer)


@given(st.text(max_size=80))
def test_readers_take_any_text(text):
    for read in READERS:
        with contextlib.suppress(AnswerError):
            read(text)


@pytest.mark.parametrize(
    ("kind", "who", "attached", "question"),
    [
        ("cmw500", "Rohde&Schwarz,CMW,1,1", "ATT", "UESinfo:IMSI?"),
        ("mt8821c", "ANRITSU,MT8821C,1,1", "2", "CALLIMSI?"),
        ("uxm", "Keysight Technologies,E7515B,1,1", "IDLE", "UE:IMSI?"),
    ],
)
def test_garbage_instead_of_an_imsi_is_not_nobody_attached(kind, who, attached, question):
    """A late answer that came for the IMSI used to read as an empty cell: the connection is made anew instead."""
    with ScpiDouble() as double:
        told = ["garbage", f'"{IMSI}"']

        def answer(line):
            if question in line:
                return told.pop(0)
            housekeeping = {"*IDN?": who, "*OPC?": "1", "*ESR?": "0", "SYST:ERR?": '0,"No error"'}
            return housekeeping.get(line, attached)

        double.answer = answer

        async def body():
            network = await load_driver(TARGETS[kind]).open(DriverOptions(name="emu", resource=double.resource))
            with pytest.raises(AnswerError, match="'garbage' is no IMSI") as caught:
                await network.attached_imsi()
            assert question in caught.value.where
            assert double.connections == 1
            assert await network.attached_imsi() == IMSI
            assert double.connections == 2
            await network.close()

        run(body)


def test_a_gain_that_is_no_number_is_no_gain(tmp_path):
    """NaN is no JSON, and every comparison with it is false: a cell would have been off, or a gain verified."""

    async def body():
        async with emulated("amarisoft", tmp_path) as emulator:
            network = await emulator.open()
            box = emulator.server.instrument
            for gain in (float("nan"), float("inf"), 3.0, "0", None, True):
                box._gain = lambda cell, gain=gain: gain
                with pytest.raises(AnswerError, match=r"no gain|no JSON") as caught:
                    await network.cell_on()
                assert caught.value.where
            await network.close()

    run(body)


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}', "[]", "{", "nul"])
def test_what_is_no_json_object(text):
    with pytest.raises(AnswerError, match="no JSON object"):
        remote_api.parse_message(text)


def test_an_address_that_is_none_is_not_told():
    ue = {"imsi": IMSI, "bearers": [{"ip": "garbage"}]}
    with pytest.raises(AnswerError, match="no IP address"):
        devices_in({"ue_list": [ue]}, where="emu: ue_get")
