"""The wire form of every family, held against literal commands and answers of manuals and other people's programs.

``said`` is what an instrument of that family sends, as the sources print it; every line the driver sends must be one of
them, and ``commands`` must come in this order. Sources by family, pages in the reference:

- Keysight: pymeasure keysightE36312A; libsigrok scpi-pps profiles; N6705C Operating and Service Guide p. 158 (N6700C:
  watchdog), 257 and 297 (list); a user's N6705C helper (elog, FETC:ELOG? 10000).
- R&S: NGM/NGL example RsInstrument_NGL-NGM_ARB; NGU user manual p. 182 (FLOG); pymeasure hmp; libsigrok HMC804x.
- Rigol: DP800 programming guide p. 53, libsigrok rigol-dp800. Siglent: SPD3303X-E p. 35. Aim-TTi: MX180T p. 35 and 36.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field

import pytest
from instrument_doubles import ScpiDouble

from bench.errors import InstrumentError, Refused
from bench.station.drivers import DriverOptions, PowerLimits, load_driver
from bench.station.power import Protection, WavePoint

LIMITS = PowerLimits(voltage=3.8, current_limit=1.5, voltage_max=4.3, dead_voltage=0.3)


@dataclass
class Family:
    """A family by what it says: ``off`` while the output is off, ``on`` in addition or instead while it is on."""

    driver: str
    channel: int
    identity: str
    off: dict[str, str]
    on: dict[str, str]
    switch_on: list[str]
    switch_off: list[str]
    current: float
    end: str = "\n"
    protection: tuple[Protection, dict[str, str], list[str]] | None = None
    quiet: tuple[str, ...] = field(default=("*OPC?", "SYST:ERR?"))


OK = {"*OPC?": "1", "SYST:ERR?": '0,"No error"'}
FAMILIES = [
    Family(
        "keysight-e36300", 1, "Keysight Technologies,E36312A,MY12345678,2.1.0-1.0.4-1.12",
        {**OK, "SYST:ERR?": '+0,"No error"', "VOLT? (@1)": "+3.80000000E+00", "CURR? (@1)": "+1.50000000E+00",
         "OUTP? (@1)": "0", "MEAS:VOLT? (@1)": "+1.23400000E-03", "MEAS:CURR? (@1)": "+0.00000000E+00"},
        {"OUTP? (@1)": "1", "MEAS:VOLT? (@1)": "+3.79987000E+00", "MEAS:CURR? (@1)": "+1.23456789E-01"},
        ["OUTP ON,(@1)"], ["OUTP OFF,(@1)"], 0.123456789,
        protection=(Protection(4.2, 1.5, 0.05),
                    {"VOLT:PROT? (@1)": "+4.20000000E+00", "CURR:PROT:STAT? (@1)": "1",
                     "CURR:PROT:DEL? (@1)": "+5.00000000E-02"},
                    ["VOLT:PROT 4.2,(@1)", "CURR:PROT:DEL 0.05,(@1)", "CURR:PROT:STAT ON,(@1)"]),
    ),
    Family(
        "keysight-n6705c", 3, "Keysight Technologies,N6705C,MY12345678,E.02.04",
        {**OK, "SYST:ERR?": '+0,"No error"', "VOLT? (@3)": "+3.80000000E+00", "CURR? (@3)": "+1.50000000E+00",
         "OUTP? (@3)": "0", "MEAS:VOLT? (@3)": "2.11E-03", "MEAS:CURR? (@3)": "0", "STAT:QUES:COND? (@3)": "0"},
        {"OUTP? (@3)": "1", "MEAS:VOLT? (@3)": "3.80012E+00", "MEAS:CURR? (@3)": "2.5E-02"},
        ["OUTP ON,(@3)"], ["OUTP OFF,(@3)"], 0.025,
    ),
    Family(
        "rs-ngm", 2, "Rohde&Schwarz,NGM202,3638.4472k03/101234,03.068 00CBB20D8C",
        {**OK, "VOLT?": "3.80000", "CURR?": "1.50000", "OUTP?": "0", "MEAS:VOLT?": "1.1E-03", "MEAS:CURR?": "0.0"},
        {"OUTP?": "1", "MEAS:VOLT?": "3.79998E+00", "MEAS:CURR?": "4.2E-05"},
        ["OUTP 1", "OUTP:GEN 1"], ["OUTP 0"], 4.2e-5,
        protection=(Protection(4.2, 1.5, 0.1),
                    {"VOLT:PROT?": "1", "VOLT:PROT:LEV?": "4.200", "FUSE?": "1", "FUSE:DEL?": "0.10"},
                    ["VOLT:PROT:LEV 4.2", "VOLT:PROT 1", "FUSE:DEL 0.100", "FUSE 1"]),
    ),
    Family(
        "rs-hmp", 2, "HAMEG,HMP4040,103781,HW50020001/SW2.30",
        {**OK, "VOLT?": "3.800", "CURR?": "1.5000", "OUTP:SEL?": "0", "OUTP:GEN?": "1", "MEAS:VOLT?": "0.000",
         "MEAS:CURR?": "0.0000"},
        {"OUTP:SEL?": "1", "MEAS:VOLT?": "3.800", "MEAS:CURR?": "0.1230"},
        ["OUTP:SEL 1", "OUTP:GEN 1"], ["OUTP:SEL 0"], 0.123,
    ),
    Family(
        "rs-hmc804x", 3, "Rohde&Schwarz,HMC8043,020103219,HW50020001/SW01.401",
        {**OK, "VOLT?": "3.800", "CURR?": "1.5000", "OUTP?": "0", "OUTP:MAST?": "1", "MEAS:VOLT?": "0.000",
         "MEAS:CURR?": "0.0000"},
        {"OUTP?": "1", "MEAS:VOLT?": "3.800", "MEAS:CURR?": "0.1230"},
        ["OUTP ON", "OUTP:MAST ON"], ["OUTP OFF"], 0.123,
        protection=(Protection(4.2, 1.5, 0.05),
                    {"VOLT:PROT:STAT?": "1", "VOLT:PROT:LEV?": "4.200", "FUSE:STAT?": "1", "FUSE:DEL?": "0.05"},
                    ["VOLT:PROT:LEV 4.2", "VOLT:PROT:STAT ON", "FUSE:DEL 0.050", "FUSE:STAT ON"]),
    ),
    Family(
        "rigol-dp800", 1, "RIGOL TECHNOLOGIES,DP832,DP8A163251234,00.01.16",
        {**OK, ":SOUR:VOLT?": "3.800", ":SOUR:CURR?": "1.5000", ":OUTP? CH1": "OFF", ":MEAS:VOLT? CH1": "0.0000",
         ":MEAS:CURR? CH1": "0.0000"},
        {":OUTP? CH1": "ON", ":MEAS:VOLT? CH1": "3.8000", ":MEAS:CURR? CH1": "0.1230"},
        [":OUTP CH1,ON"], [":OUTP CH1,OFF"], 0.123,
        protection=(Protection(4.2, 1.6),
                    {":OUTP:OVP? CH1": "ON", ":OUTP:OVP:VAL? CH1": "4.200", ":OUTP:OCP? CH1": "ON",
                     ":OUTP:OCP:VAL? CH1": "1.6000"},
                    [":OUTP:OVP:VAL CH1,4.2", ":OUTP:OVP CH1,ON", ":OUTP:OCP:VAL CH1,1.6", ":OUTP:OCP CH1,ON"]),
    ),
    Family(
        "siglent-spd", 2, "Siglent Technologies,SPD3303X,SPD3XIDD4R5542,1.01.01.02.05,V3.0",
        {"SYST:ERR?": "0  No Error", "CH2:VOLT?": "3.800", "CH2:CURR?": "1.500", "SYST:STAT?": "0x0014",
         "MEAS:VOLT? CH2": "0.000", "MEAS:CURR? CH2": "0.000"},
        {"SYST:STAT?": "0x0224", "MEAS:VOLT? CH2": "3.800", "MEAS:CURR? CH2": "0.123"},
        ["OUTP CH2,ON"], ["OUTP CH2,OFF"], 0.123,
    ),
    Family(
        "siglent-spd", 1, "Siglent Technologies,SPD1168X,SPD13DCC4R0058,2.01.01.12,V1.0",
        {"SYST:ERR?": "0  No Error", "CH1:VOLT?": "3.800", "CH1:CURR?": "1.500", "SYST:STAT?": "0x0",
         "MEAS:VOLT? CH1": "0.000", "MEAS:CURR? CH1": "0.000"},
        {"SYST:STAT?": "0x10", "MEAS:VOLT? CH1": "3.800", "MEAS:CURR? CH1": "0.123"},
        ["OUTP CH1,ON"], ["OUTP CH1,OFF"], 0.123,
    ),
    Family(
        "aim-tti", 1, "THURLBY THANDAR, MX180TP, 410122, 1.03-1.02-1.00",
        {"*OPC?": "1", "EER?": "0", "V1?": "V1 3.800", "I1?": "I1 1.500", "OP1?": "0", "V1O?": "0.000V",
         "I1O?": "0.000A"},
        {"OP1?": "1", "V1O?": "3.800V", "I1O?": "0.123A"},
        ["OP1 1"], ["OP1 0"], 0.123, end="\r\n",
        protection=(Protection(4.2, 1.6), {"OVP1?": "VP1 4.20", "OCP1?": "CP1 1.60"},
                    ["OVP1 4.2", "OVP1 ON", "OCP1 1.6", "OCP1 ON"]),
    ),
]  # fmt: skip


class Recorded:
    """An instrument that knows these answers and no others."""

    def __init__(self, double: ScpiDouble, family: Family) -> None:
        self.double, self.family = double, family
        self.known = dict(family.off)
        self.commands: list[str] = []
        self.strange: list[str] = []
        self.blocks: list[bytes] = []
        double.answer = self

    def __call__(self, line: str) -> bytes | None:
        family = self.family
        if line == "*IDN?":
            return (family.identity + family.end).encode()
        if line in self.known:
            return (self.known[line] + family.end).encode()
        if "?" in line:
            if self.blocks and ("FETC" in line or "FLOG:DATA?" in line):
                self.commands.append(line)
                return self.blocks.pop(0)
            self.strange.append(line)
            return None
        if "INST:NSEL" not in line:
            self.commands.append(line)
        if line in family.switch_on:
            self.known.update(family.on)
        elif line in family.switch_off:
            self.known.update({name: family.off[name] for name in family.on})
        return None


def play(family: Family, body, **extra):
    """Run ``body(supply, recorded)`` against the recording; return it."""
    with ScpiDouble() as double:
        recorded = Recorded(double, family)

        async def run():
            options = DriverOptions(
                name="psu1", driver=family.driver, resource=double.resource, channel=family.channel, limits=LIMITS,
                extra={"timeout": 0.5, **extra},
            )  # fmt: skip
            supply = await load_driver(family.driver).open(options)
            try:
                async with asyncio.timeout(10):
                    await body(supply, recorded)
            finally:
                await supply.close()

        asyncio.run(run())
        recorded.lines = double.lines
        return recorded


def name(family: Family) -> str:
    return f"{family.driver}-{family.identity.split(',')[1].strip()}"


@pytest.fixture(params=FAMILIES, ids=name)
def family(request, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    return request.param


def test_on_measure_off(family):
    async def body(supply, recorded):
        await supply.set_output(True)
        assert await supply.output()
        reading = await supply.measure()
        assert reading.voltage == pytest.approx(3.8, abs=0.001) and reading.current == family.current
        await supply.set_output(False)
        assert not await supply.output()

    recorded = play(family, body)
    assert recorded.strange == []
    assert recorded.commands == [*family.switch_on, *family.switch_off]


def test_settings_are_sent_and_read_back(family):
    async def body(supply, recorded):
        await supply.set_voltage(3.8)
        await supply.set_current_limit(1.5)

    recorded = play(family, body)
    n = family.channel
    wanted = {
        "keysight-e36300": [f"VOLT 3.8,(@{n})", f"CURR 1.5,(@{n})"],
        "keysight-n6705c": [f"VOLT 3.8,(@{n})", f"CURR 1.5,(@{n})"],
        "rigol-dp800": [":SOUR:VOLT 3.8", ":SOUR:CURR 1.5"],
        "siglent-spd": [f"CH{n}:VOLT 3.8", f"CH{n}:CURR 1.5"],
        "aim-tti": [f"V{n} 3.8", f"I{n} 1.5"],
    }.get(family.driver, ["VOLT 3.8", "CURR 1.5"])
    assert recorded.commands == wanted and recorded.strange == []
    for at, line in enumerate(recorded.lines):  # the selection is in front of everything that needs it
        if line in ("VOLT?", "CURR?", "VOLT 3.8", "CURR 1.5", ":SOUR:VOLT?"):
            assert recorded.lines[at - 1].lstrip(":") == f"INST:NSEL {n}"


def test_protections(family):
    if family.protection is None:
        return
    wanted, answers, commands = family.protection

    async def body(supply, recorded):
        recorded.known.update(answers)
        await supply.set_protection(wanted)
        assert await supply.protection() == wanted

    recorded = play(family, body)
    assert recorded.commands == commands and recorded.strange == []


def one(driver: str) -> Family:
    return next(family for family in FAMILIES if family.driver == driver)


@pytest.mark.parametrize(
    ("driver", "answers", "cause"),
    [
        ("keysight-e36300", {"VOLT:PROT:TRIP? (@1)": "1"}, "over-voltage"),
        ("keysight-e36300", {"VOLT:PROT:TRIP? (@1)": "0", "CURR:PROT:TRIP? (@1)": "1"}, "over-current"),
        ("keysight-n6705c", {"STAT:QUES:COND? (@3)": "2048"}, "watchdog"),
        ("keysight-n6705c", {"STAT:QUES:COND? (@3)": "+16"}, "over-temperature"),
        ("rs-ngm", {"VOLT:PROT:TRIP?": "0", "FUSE:TRIP?": "1"}, "over-current"),
        ("rigol-dp800", {":OUTP:OVP:QUES? CH1": "YES"}, "over-voltage"),
        ("rigol-dp800", {":OUTP:OVP:QUES? CH1": "NO", ":OUTP:OCP:QUES? CH1": "NO"}, None),
        ("aim-tti", {"LSR1?": "9"}, "over-current"),
        ("aim-tti", {"LSR1?": "1"}, None),
        ("siglent-spd", {}, None),
    ],
)
def test_trips(driver, answers, cause, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))

    async def body(supply, recorded):
        recorded.known.update(answers)
        assert await supply.trip() == cause

    assert play(one(driver), body).strange == []


WAVE = [WavePoint(3.8, 0.2), WavePoint(2.4, 0.05), WavePoint(3.8, 0.1)]


@pytest.mark.parametrize(
    ("driver", "commands"),
    [
        ("keysight-n6705c", [
            "LIST:VOLT 3.8,2.4,3.8,(@3)", "LIST:DWEL 0.2,0.05,0.1,(@3)", "LIST:COUN 1,(@3)", "LIST:STEP AUTO,(@3)",
            "LIST:TERM:LAST OFF,(@3)", "VOLT:MODE LIST,(@3)", "TRIG:TRAN:SOUR BUS,(@3)", "INIT:TRAN (@3)", "*TRG",
            "ABOR:TRAN (@3)", "VOLT:MODE FIX,(@3)", "VOLT 3.8,(@3)"]),
        ("rs-ngm", [
            "ARB:CLE", "ARB:DATA 3.8,1.5,0.2,0,2.4,1.5,0.05,0,3.8,1.5,0.1,0", "ARB:REP 1", "ARB:BEH:END HOLD",
            "ARB:TRAN 2", "ARB 1", "ARB 0", "VOLT 3.8"]),
        ("rs-hmp", [
            "ARB:CLEAR 2", "ARB:DATA 3.8,1.5,0.2,2.4,1.5,0.05,3.8,1.5,0.1", "ARB:REP 1", "ARB:TRAN 2", "ARB:START 2",
            "ARB:STOP 2", "VOLT 3.8"]),
    ],
)  # fmt: skip
def test_brown_outs(driver, commands, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))

    async def body(supply, recorded):
        recorded.known.update(recorded.family.on)
        await supply.waveform(WAVE)

    recorded = play(one(driver), body)
    assert recorded.commands == commands and recorded.strange == []
    triggered = recorded.lines.index("*TRG") if "*TRG" in commands else recorded.lines.index(commands[-3])
    # an instrument answers *OPC? only when the list has run
    assert recorded.lines[triggered + 1] != "*OPC?"


def block(order: str, *values: float) -> bytes:
    data = struct.pack(f"{order}{len(values)}f", *values)
    return b"#%d%d" % (len(str(len(data))), len(data)) + data + b"\n"


def test_the_external_data_log_of_an_n6705c():
    async def body(supply, recorded):
        # 0x0a is a byte of the data, not its end
        recorded.blocks = [block(">", 3.8, 0.1, 3.75, 2.3509887e-38)]
        record = await supply.fast_log(0.01, 0.001)
        assert record.interval == 0.001
        assert list(record.voltage) == pytest.approx([3.8, 3.75])
        assert list(record.current) == pytest.approx([0.1, 0.0], abs=1e-6)

    recorded = play(one("keysight-n6705c"), body)
    assert recorded.commands == [
        "ABOR:ELOG (@3)", "FORM REAL", "FORM:BORD NORM", "SENS:ELOG:FUNC:VOLT ON,(@3)", "SENS:ELOG:FUNC:CURR ON,(@3)",
        "SENS:ELOG:PER 0.001,(@3)", "TRIG:TRAN:SOUR BUS,(@3)", "INIT:ELOG (@3)", "TRIG:ELOG (@3)",
        "FETC:ELOG? 10000,(@3)", "ABOR:ELOG (@3)",
    ]  # fmt: skip


def test_the_fast_log_of_an_ngm(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))

    async def body(supply, recorded):
        recorded.known["STAT:OPER:INST:ISUM2?"] = "4096"
        recorded.blocks = [block("<", *[3.8, 0.1] * 10_000)]
        record = await supply.fast_log(0.01, 0.001)
        assert (record.interval, record.voltage[0], len(record.current)) == (0.001, pytest.approx(3.8), 10_000)

    recorded = play(one("rs-ngm"), body)
    assert recorded.commands == ["FLOG 0", "FLOG:SRAT S001k", "FLOG:TARG SCPI", "FLOG 1", "FLOG:DATA?", "FLOG 0"]


def test_the_watchdog_of_an_n6705c():
    async def body(supply, recorded):
        recorded.known.update({"OUTP:PROT:WDOG?": "1", "OUTP:PROT:WDOG:DEL?": "600"})
        assert await supply.arm_watchdog(599.2) == 600
        await supply.feed_watchdog()
        recorded.known["OUTP:PROT:WDOG?"] = "0"
        with pytest.raises(InstrumentError, match="no longer armed"):
            await supply.feed_watchdog()

    recorded = play(one("keysight-n6705c"), body)
    assert recorded.commands == ["OUTP:PROT:WDOG:DEL 600", "OUTP:PROT:WDOG ON"]


def test_a_master_that_would_switch_on_other_channels_is_not_touched(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))

    async def body(supply, recorded):
        recorded.known.update({"OUTP:GEN?": "0", "OUTP:SEL?": "1"})
        with pytest.raises(Refused, match="channel 1 of psu1 is selected and would come on"):
            await supply.set_output(True)

    recorded = play(one("rs-hmp"), body)
    assert recorded.commands == []


@pytest.mark.parametrize("answer", ["I1 3.800", "V2 3.800", "3.800", "V1 OFF", "V1"])
def test_an_answer_of_a_tti_to_another_question_is_no_value(answer):
    async def body(supply, recorded):
        recorded.known["V1?"] = answer
        with pytest.raises(InstrumentError, match="psu1: V1"):
            await supply.set_output(True)

    recorded = play(one("aim-tti"), body)
    assert recorded.commands == []
