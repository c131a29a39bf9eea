"""Supply and network emulator: SCPI grammar, status, electrical behaviour."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.sim.emulator import Cmw500
from fixtures.sim.kernel import Kernel, Streams, ns
from fixtures.sim.milenage import Subscriber
from fixtures.sim.network import Cell, Network
from fixtures.sim.rail import Rail, RailConstants
from fixtures.sim.scpi import ScpiError, Tree, channels, number, parse_unit, split_parameters
from fixtures.sim.supply import Supply
from fixtures.sim.supply_keysight import KeysightE36312A
from fixtures.sim.supply_models import MODELS
from fixtures.sim.supply_rigol import RigolDp832
from fixtures.sim.worldlog import WorldLog


class Bench:
    def __init__(self, model: str = "e36312a", **constants: float) -> None:
        self.kernel = Kernel()
        self.log = WorldLog(self.kernel, None)
        self.supply: Supply = MODELS[model](self.kernel, self.log, RailConstants(**constants))
        self.rail = self.supply.channels[0].rail

    def do(self, line: str) -> str | None:
        return self.supply.execute(line, "test#1")

    def ask(self, line: str) -> str:
        answer = self.do(line)
        assert answer is not None, self.supply.errors
        return answer

    def error(self) -> int:
        return int(self.ask("SYST:ERR?").split(",")[0])

    def run(self, seconds: float) -> None:
        self.kernel.run_until(self.kernel.now_ns + ns(seconds))


# -- grammar


@pytest.mark.parametrize(
    "line",
    ["VOLT 3.8,(@1)", "volt 3.8 , (@1)", "VOLTage 3.8,(@1)", "SOUR:VOLT:LEV:IMM:AMPL 3.8,(@1)", ":VOLT 3800mV,(@1)",
     "SOURce:VOLTage:AMPLitude 3.8E0,(@1)", "VOLT +3.8,(@1)", "VOLT 0.0038 KV,(@1)"],
)  # fmt: skip
def test_spellings_of_one_command(line: str) -> None:
    bench = Bench()
    assert bench.do(line) is None
    assert bench.error() == 0
    assert float(bench.ask("VOLT? (@1)")) == pytest.approx(3.8)


@pytest.mark.parametrize(
    ("line", "code"),
    [("VOLTAG 3", -113), ("VOLT", -109), ("VOLT 3,(@1),2", -108), ("VOLT x", -104), ("VOLT 99", -222),
     ("VOLT 3,(@9)", -222), ("VOLT 3,@1", -224), ("MEAS:VOLT?(@1)", -103), ("VOLT 3 Hz", -131), ("OUTP maybe", -224),
     ("MEAS:VOLT", -113), ("!", -101), ("VOLT2 3", -114), ("DISP:TEXT 'open", -151), ("INST CH7", -222)],
)  # fmt: skip
def test_errors_are_queued_and_answer_nothing(line: str, code: int) -> None:
    bench = Bench()
    assert bench.do(line) is None
    assert bench.error() == code
    assert bench.error() == 0


def test_compound_messages_and_the_path_rule() -> None:
    bench = Bench()
    assert bench.ask("VOLT 3,(@1);CURR 0.5,(@1);:VOLT? (@1);CURR? (@1);*OPC?") == "+3.00000000E+00;+5.00000000E-01;1"
    assert bench.ask("MEAS:VOLT? (@2);CURR? (@2)") == "+0.00000000E+00;+0.00000000E+00"
    assert bench.do("MEAS:VOLT? (@1);OUTP? (@1)") is not None  # OUTP is looked up below MEAS
    assert bench.error() == -113
    assert bench.ask("OUTP? (@1:3)") == "0,0,0"


def test_status_and_error_queue() -> None:
    bench = Bench()
    assert bench.ask("*ESR?") == "128"
    assert bench.ask("*ESR?") == "0"
    bench.do("*ESE 32;*SRE 32")
    bench.do("NONSENSE")
    assert bench.ask("*STB?") == "100"  # error queue 4, event status 32, summary 64
    assert bench.ask("*ESR?") == "32"
    bench.do("*CLS;*OPC")
    assert bench.ask("*ESR?") == "1"
    assert bench.error() == 0
    for _ in range(30):
        bench.do("VOLT 99")
    assert bench.ask("SYST:ERR:COUN?") == "20"
    codes = [bench.error() for _ in range(21)]
    assert codes == [-222] * 19 + [-350, 0]
    assert bench.ask("SYST:VERS?") == "1999.0"


@settings(max_examples=120)
@given(st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=127), max_size=80))
def test_any_line_is_survived(line: str) -> None:
    for model in MODELS:
        bench = Bench(model)
        answer = bench.do(line)
        assert answer is None or isinstance(answer, str)
        if answer is None and line.strip(" ;\t\r\n\x0b\x0c\x1c\x1d\x1e\x1f"):
            assert bench.supply.errors or not line.isprintable() or not answer


@given(st.text(max_size=40))
def test_parameter_readers_raise_scpi_errors_only(text: str) -> None:
    for reader in (
        lambda: number(text, unit="V", low=0, high=10),
        lambda: channels(text, 3),
        lambda: split_parameters(text),
        lambda: parse_unit(text, ()),
    ):
        try:
            reader()
        except ScpiError:
            pass


def test_tree_takes_short_and_long_forms_only() -> None:
    tree = Tree()
    tree.add("SENSe:LTE:SIGN#:UESinfo[:STATe]", query=lambda command: str(command.suffix()))
    for header in ("SENS:LTE:SIGN2:UES", "SENSE:LTE:SIGN2:UESINFO:STATE", "SENS:LTE:SIGN2:UESINFO"):
        node, suffixes = tree.find(header.split(":"))
        assert node.query is not None
        assert suffixes == (2,)
    for header in ("SENSE:LTE:SIGN2:UESI", "SEN:LTE:SIGN:UES", "SENS:LTE"):
        with pytest.raises(ScpiError):
            node, _ = tree.find(header.split(":"))
            if node.query is None:
                raise ScpiError(-113)


# -- supply


def test_rise_and_decay() -> None:
    bench = Bench()
    bench.do("VOLT 3.8,(@1);CURR 2,(@1);:OUTP ON,(@1)")
    assert float(bench.ask("MEAS:VOLT? (@1)")) == 0.0
    assert float(bench.ask("MEAS:CURR? (@1)")) == pytest.approx(0.22)  # C dV/dt at 1 V/ms
    bench.run(0.0019)
    assert float(bench.ask("MEAS:VOLT? (@1)")) == pytest.approx(1.9)
    bench.run(0.1)
    bench.rail.draw(0.1)
    assert float(bench.ask("MEAS:VOLT? (@1)")) == pytest.approx(3.8)
    assert bench.rail.module_voltage() == pytest.approx(3.79)
    assert float(bench.ask("MEAS:CURR? (@1)")) == pytest.approx(0.1)
    bench.do("OUTP OFF,(@1)")
    bench.run(0.002)
    # 100 mA out of 220 uF: 0.45 V/ms, beside the bleeder
    assert float(bench.ask("MEAS:VOLT? (@1)")) == pytest.approx(3.8 - 0.002 * 0.1 / 220e-6, abs=0.02)
    assert float(bench.ask("MEAS:CURR? (@1)")) == 0.0
    bench.rail.draw(0.0)
    bench.run(5.0)
    assert float(bench.ask("MEAS:VOLT? (@1)")) < 0.01


def test_constant_current() -> None:
    bench = Bench()
    bench.do("VOLT 3.8,(@1);CURR 0.2,(@1);:OUTP ON,(@1)")
    bench.run(0.1)
    assert bench.ask("STAT:QUES:INST:ISUM1:COND?") == "2"
    bench.rail.draw(0.3)
    assert bench.ask("STAT:QUES:INST:ISUM1:COND?") == "1"
    assert float(bench.ask("MEAS:CURR? (@1)")) == pytest.approx(0.2)
    bench.run(0.005)
    assert float(bench.ask("MEAS:VOLT? (@1)")) == pytest.approx(3.8 - 0.005 * 0.1 / 220e-6, abs=1e-6)


def test_over_voltage_protection_latches() -> None:
    bench = Bench()
    bench.do("VOLT:PROT 4.5,(@1);:VOLT 3.8,(@1);:OUTP ON,(@1)")
    bench.run(0.1)
    bench.do("VOLT 5,(@1)")
    bench.run(0.1)
    assert bench.ask("VOLT:PROT:TRIP? (@1)") == "1"
    assert bench.ask("OUTP? (@1)") == "0"
    bench.do("OUTP ON,(@1)")
    assert bench.error() == -221
    bench.do("VOLT 3.8,(@1);:OUTP:PROT:CLE (@1);:OUTP ON,(@1)")
    bench.run(0.1)
    assert bench.ask("OUTP? (@1)") == "1"
    assert bench.error() == 0


def test_over_current_protection_after_its_delay() -> None:
    bench = Bench()
    bench.do("CURR 0.2,(@1);CURR:PROT:STAT ON,(@1);:VOLT 3.8,(@1);:OUTP ON,(@1)")
    bench.run(0.1)
    bench.rail.draw(0.3)
    bench.run(0.049)
    assert bench.ask("OUTP? (@1)") == "1"
    bench.run(0.002)
    assert bench.ask("OUTP? (@1)") == "0"
    assert bench.ask("CURR:PROT:TRIP? (@1)") == "1"


def test_reset_switches_everything_off() -> None:
    bench = Bench()
    bench.do("VOLT 3,(@1);:OUTP ON,(@1,2)")
    bench.do("*RST")
    assert bench.ask("OUTP? (@1:3)") == "0,0,0"
    assert float(bench.ask("VOLT? (@1)")) == 0.0
    offs = [entry for entry in bench.log.lines if entry["what"] == "output" and not entry["on"]]
    assert {entry["by"] for entry in offs} == {"test#1"}


def test_rigol_grammar() -> None:
    bench = Bench("dp832")
    assert isinstance(bench.supply, RigolDp832)
    assert bench.ask("*IDN?").startswith("RIGOL TECHNOLOGIES,DP832,")
    bench.do(":APPL CH1,3.8,1.5")
    assert bench.ask(":APPL? CH1") == "CH1,3.800,1.5000"
    bench.do(":OUTP CH1,ON")
    bench.run(0.1)
    assert bench.ask(":OUTP? CH1") == "ON"
    assert bench.ask(":MEAS:VOLT? CH1") == "3.8000"
    assert bench.ask(":OUTP:MODE? CH1") == "CV"
    bench.do(":INST:NSEL 2;:SOUR:VOLT 2.5;:OUTP ON")
    bench.run(0.1)
    assert bench.ask(":MEAS:ALL?").startswith("2.5000,")
    assert bench.ask(":OUTP:OVP:QUES? CH1") == "NO"
    assert bench.ask(":OUTP:OVP? CH1") == "ON"
    assert bench.ask("SYST:BEEP:STAT?") == "ON"
    assert bench.ask(":SYST:OTP?") == "ON"
    assert bench.ask("SYST:ERR?") == '0,"No error"'


def test_keysight_answers_are_nr3() -> None:
    assert isinstance(Bench().supply, KeysightE36312A)
    assert Bench().ask("SYST:ERR?") == '+0,"No error"'
    assert Bench().ask("VOLT? MAX,(@1)") == "+6.18000000E+00"


# -- rail


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["on", "off", "volts", "limit", "load"]), st.floats(0, 5), st.floats(0, 0.1)),
                max_size=20))  # fmt: skip
def test_the_rail_stays_physical(steps: list[tuple[str, float, float]]) -> None:
    kernel = Kernel()
    rail = Rail(kernel)
    rail.levels = [1.0, 3.0, 3.3]
    crossings: list[float] = []
    rail.changed = lambda: crossings.append(rail.module_voltage())
    highest = 0.0
    for kind, value, seconds in steps:
        if kind in ("on", "off"):
            rail.configure(on=kind == "on")
        elif kind == "volts":
            rail.configure(voltage=value)
        elif kind == "limit":
            rail.configure(limit=value / 2 + 0.001)
        else:
            rail.draw(value / 5)
        highest = max(highest, rail.set_voltage)
        for part in range(4):
            kernel.run_until(kernel.now_ns + ns(seconds / 4))
            assert 0.0 <= rail.voltage() <= highest + 1e-9, part
            assert 0.0 <= rail.current() <= rail.limit
        if kind == "off":
            assert rail.current() == 0.0


# -- network emulator


@pytest.fixture
def emulator() -> Cmw500:
    kernel = Kernel()
    log = WorldLog(kernel, None)
    network = Network(kernel, Streams(0), log)
    for number_, plmn in enumerate(("00101", "99970"), 1):
        cell = Cell(number_, plmn)
        cell.hss["001010000000001"] = Subscriber("001010000000001", bytes(16), bytes(16))
        network.cells.append(cell)
    return Cmw500(network, lambda cell: "ON", log)


def test_a_cell_starts_after_its_time(emulator: Cmw500) -> None:
    do = lambda line: emulator.execute(line, "t")  # noqa: E731
    assert do("SOURce:LTE:SIGN1:CELL:STATe:ALL?") == "OFF,ADJ"
    do("SOUR:LTE:SIGN1:CELL:STAT ON")
    assert do("SOURce:LTE:SIGN1:CELL:STATe:ALL?") == "ON,PEND"
    kernel = emulator.network.kernel
    kernel.run_until(ns(4.9))
    assert do("SOURce:LTE:SIGN:CELL:STATe:ALL?") == "ON,PEND"
    kernel.run_until(ns(5.1))
    assert do("SOURce:LTE:SIGN:CELL:STATe:ALL?") == "ON,ADJ"
    assert do("SOURce:LTE:SIGN2:CELL:STATe:ALL?") == "OFF,ADJ"
    do("CONFigure:LTE:SIGN1:CELL:MCC 262")
    assert emulator.errors.popleft()[0] == -221
    do("SOUR:LTE:SIGN1:CELL:STAT OFF")
    assert do("SOURce:LTE:SIGN1:CELL:STATe:ALL?") == "OFF,ADJ"


def test_cell_settings(emulator: Cmw500) -> None:
    do = lambda line: emulator.execute(line, "t")  # noqa: E731
    for line in (
        "CONFigure:LTE:SIGN2:CELL:MCC 310", "CONFigure:LTE:SIGN2:CELL:MNC:DIGits THRee",
        "CONFigure:LTE:SIGN2:CELL:MNC 410", "CONFigure:LTE:SIGN2:CELL:TAC 7", "CONFigure:LTE:SIGN2:PCC:BAND OB20",
        "CONFigure:LTE:SIGN2:RFSettings:PCC:CHANnel:DL 6300", "CONFigure:LTE:SIGN2:CELL:BANDwidth:PCC:DL B100",
        "CONFigure:LTE:SIGN2:DL:PCC:RSEPre:LEVel -97.5", 'CONFigure:LTE:SIGN2:CELL:UEIDentity:IMSI "310410123456789"',
        "CONFigure:LTE:SIGN2:CELL:SECurity:SKEY #H465B5CE8B199B49FAA5F0A2EE238A6BC",
        "CONFigure:LTE:SIGN2:CELL:SECurity:OPC CD63CB71954A9F4E48A5994E37A02BAF",
        "CONFigure:LTE:SIGN2:CELL:RCAuse:ATTach PLMN11", "CONFigure:LTE:SIGN2:PCC:EMTC:ENABle ON",
    ):  # fmt: skip
        do(line)
        assert not emulator.errors, (line, emulator.errors)
    cell = emulator.network.cell(2)
    assert (cell.plmn, cell.tac, cell.band, cell.earfcn, cell.rsrp, cell.rat) == ("310410", 7, 20, 6300, -97.5, "LTE-M")
    subscriber = cell.hss["310410123456789"]
    assert subscriber.k.hex() == "465b5ce8b199b49faa5f0a2ee238a6bc"
    assert subscriber.opc.hex() == "cd63cb71954a9f4e48a5994e37a02baf"
    assert "465b" not in repr(subscriber).lower()
    assert cell.reject_attach is not None
    assert cell.reject_attach.cause == 11
    assert do("CONF:LTE:SIGN2:CELL:RCA:ATT?") == "PLMN11"
    assert do("CONFigure:LTE:SIGN2:CELL:SECurity:SKEY?") is None  # write only
    assert emulator.errors.popleft()[0] == -113
    assert do("CONF:LTE:SIGN9:CELL:MCC?") is None
    assert emulator.errors.popleft()[0] == -114


@settings(max_examples=200)
@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_the_emulator_survives_any_line(text: str) -> None:
    kernel = Kernel()
    log = WorldLog(kernel, None)
    network = Network(kernel, Streams(0), log)
    network.cells.append(Cell(1, "00101"))
    machine = Cmw500(network, lambda cell: "ON", log)
    for line in (text, f"CONF:LTE:SIGN1:CELL:MCC {text}", f"CONF:LTE:SIGN{text}:CELL:TAC 3"):
        machine.execute(line, "t")
