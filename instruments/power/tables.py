"""The families, as tables (reference: the programming guides named at each; literal pairs are in the tests).

Levels of abilities are those of the family's smallest model where models differ and the bench need not know better.
"""

from __future__ import annotations

from dataclasses import replace

from bench.station.power import FastLogAbility, PowerAbilities, Span, WaveformAbility
from instruments.power.dialects import Level, SupplyDialect, TripQuery, Watchdog
from instruments.scpi.session import Manners

GENERIC = SupplyDialect(
    title="SCPI supply with INSTrument:NSELect",
    model=r"",
    select="INST:NSEL {n}",
    set_voltage="VOLT {v:.6g}",
    get_voltage="VOLT?",
    set_current="CURR {v:.6g}",
    get_current="CURR?",
    output_on=("OUTP ON",),
    output_off=("OUTP OFF",),
    get_output=("OUTP?",),
    measure_voltage="MEAS:VOLT?",
    measure_current="MEAS:CURR?",
)
"""What a supply of no family speaks, and what those that select a channel differ from."""

# --- Keysight: channel lists (E36300 Programming Guide; N6705C Operating and Service Guide, chapter 7) ---------------

_E36300 = PowerAbilities(
    sessions=2,
    waveform=WaveformAbility(resolution=0.01, longest=3600.0, points=100, repeats=256),
    over_voltage=Span(0.0, 28.3),
    over_current=Span(0.002, 10.3),
    over_current_at_limit=True,
    over_current_delay=Span(0.0, 3600.0),
)
_N6705 = PowerAbilities(
    watchdog=Span(1, 3600),
    power_on_state=True,
    sessions=6,
    fast_log=FastLogAbility((102.4e-6, 60.0), 10_000_000, any_interval=True),
    waveform=WaveformAbility(resolution=1e-6, longest=262.144, points=512, repeats=256),
    over_voltage=Span(0.0, 66.0),
    over_current=Span(0.0, 20.0),
    over_current_at_limit=True,
    over_current_delay=Span(0.0, 0.255),
)

KEYSIGHT_E36300 = SupplyDialect(
    title="Keysight E36300 series",
    model=r"(keysight|agilent).*,E363\d\dA?",
    set_voltage="VOLT {v:.6g},(@{n})",
    get_voltage="VOLT? (@{n})",
    set_current="CURR {v:.6g},(@{n})",
    get_current="CURR? (@{n})",
    output_on=("OUTP ON,(@{n})",),
    output_off=("OUTP OFF,(@{n})",),
    get_output=("OUTP? (@{n})",),
    measure_voltage="MEAS:VOLT? (@{n})",
    measure_current="MEAS:CURR? (@{n})",
    channels=3,
    abilities=_E36300,
    by_model=((r"E36311A", replace(_E36300, waveform=None)),),
    over_voltage=Level(set="VOLT:PROT {v:.6g},(@{n})", get="VOLT:PROT? (@{n})"),
    over_current=Level(
        on="CURR:PROT:STAT ON,(@{n})",
        off="CURR:PROT:STAT OFF,(@{n})",
        state="CURR:PROT:STAT? (@{n})",
        set_delay="CURR:PROT:DEL {v:.6g},(@{n})",
        get_delay="CURR:PROT:DEL? (@{n})",
    ),
    trips=(
        TripQuery("VOLT:PROT:TRIP? (@{n})", "over-voltage"),
        TripQuery("CURR:PROT:TRIP? (@{n})", "over-current"),
    ),
    clear_trip=("OUTP:PROT:CLE (@{n})",),
)

KEYSIGHT_N6700 = replace(
    KEYSIGHT_E36300,
    title="Keysight N6705C or N6700 series",
    model=r"(keysight|agilent).*,N670[0-5][A-C]",
    channels=4,
    abilities=_N6705,
    # The N6700 family without the analyser's front panel has neither the external data log nor its memory.
    by_model=((r"N670[0-2][A-C]", replace(_N6705, fast_log=None)),),
    trips=(
        TripQuery(
            "STAT:QUES:COND? (@{n})",
            bits=((1, "over-voltage"), (2, "over-current"), (16, "over-temperature"), (2048, "watchdog")),
        ),
    ),
    trip_keeps_output=True,
    watchdog=Watchdog(
        set_delay="OUTP:PROT:WDOG:DEL {v:.0f}",
        get_delay="OUTP:PROT:WDOG:DEL?",
        on="OUTP:PROT:WDOG ON",
        off="OUTP:PROT:WDOG OFF",
        state="OUTP:PROT:WDOG?",
    ),
    power_on_off="OUTP:PON:STAT RST",
    get_power_on="OUTP:PON:STAT?",
    power_on_is_off="RST",
)

# --- Rohde & Schwarz: a selected channel (NGL200/NGM200, NGU, HMP and HMC804x manuals) -------------------------------

_NGX = PowerAbilities(
    sessions=2,
    fast_log=FastLogAbility((2e-6, 4e-6, 2e-5, 1e-4, 1e-3, 1e-2), 5_000_000),
    waveform=WaveformAbility(resolution=1e-3, longest=600.0, points=4096, repeats=65535, ramps=True),
    over_voltage=Span(0.0, 21.0),
    over_current=Span(0.001, 10.0),
    over_current_at_limit=True,
    over_current_delay=Span(0.01, 10.0),
)
_HMC = PowerAbilities(
    sessions=1,
    over_voltage=Span(0.0, 33.0),
    over_current=Span(0.001, 10.0),
    over_current_at_limit=True,
    over_current_delay=Span(0.01, 10.0),
)


def _switch(header: str, on: str, off: str) -> dict[str, str]:
    """Return the commands that switch a protection, and the question whether it is on."""
    return {"on": f"{header} {on}", "off": f"{header} {off}", "state": f"{header}?"}


_OVP = Level(set="VOLT:PROT:LEV {v:.6g}", get="VOLT:PROT:LEV?")
_FUSE_DELAY = {"set_delay": "FUSE:DEL {v:.3f}", "get_delay": "FUSE:DEL?"}
_ROHDE = replace(
    GENERIC,
    over_voltage=_OVP,
    trips=(TripQuery("VOLT:PROT:TRIP?", "over-voltage"), TripQuery("FUSE:TRIP?", "over-current")),
    clear_trip=("VOLT:PROT:CLE",),
)

RS_NGX = replace(
    _ROHDE,
    title="Rohde & Schwarz NGM, NGL or NGU",
    model=r"rohde.*,NG[MLU]\d{3}",
    output_on=("OUTP 1", "OUTP:GEN 1"),
    output_off=("OUTP 0",),
    channels=2,
    channel_counts=((r"NGU", 1), (r"NG[ML]201", 1)),
    abilities=_NGX,
    by_model=((r"NGL", replace(_NGX, fast_log=None)),),
    over_voltage=replace(_OVP, **_switch("VOLT:PROT", "1", "0")),
    over_current=Level(**_switch("FUSE", "1", "0"), **_FUSE_DELAY),
    clear_trip=("VOLT:PROT:CLE", "FUSE:TRIP:CLE"),
)

RS_HMP = replace(
    _ROHDE,
    title="Rohde & Schwarz (Hameg) HMP",
    model=r"(rohde|hameg).*,HMP\d{4}",
    output_on=("OUTP:SEL 1", "OUTP:GEN 1"),
    output_off=("OUTP:SEL 0",),
    get_output=("OUTP:SEL?", "OUTP:GEN?"),
    channels=4,
    channel_counts=((r"HMP2020", 2), (r"HMP[24]030", 3)),
    abilities=replace(
        _HMC,
        over_current_delay=None,
        waveform=WaveformAbility(resolution=0.01, longest=60.0, points=128, repeats=255),
    ),
    over_current=Level(**_switch("FUSE", "ON", "OFF")),
)

RS_HMC = replace(
    _ROHDE,
    title="Rohde & Schwarz HMC804x",
    model=r"rohde.*,HMC804\d",
    output_on=("OUTP ON", "OUTP:MAST ON"),
    get_output=("OUTP?", "OUTP:MAST?"),
    channels=3,
    channel_counts=((r"HMC8041", 1), (r"HMC8042", 2)),
    abilities=_HMC,
    over_voltage=replace(_OVP, **_switch("VOLT:PROT:STAT", "ON", "OFF")),
    over_current=Level(**_switch("FUSE:STAT", "ON", "OFF"), **_FUSE_DELAY),
)

# --- Rigol DP800: a selected channel for the settings, a named one for the rest --------------------------------------


def _rigol(name: str) -> Level:
    """Return a protection of the DP800: OVP or OCP."""
    return Level(
        set=f":OUTP:{name}:VAL CH{{n}},{{v:.6g}}",
        get=f":OUTP:{name}:VAL? CH{{n}}",
        on=f":OUTP:{name} CH{{n}},ON",
        off=f":OUTP:{name} CH{{n}},OFF",
        state=f":OUTP:{name}? CH{{n}}",
    )


RIGOL_DP800 = SupplyDialect(
    title="Rigol DP800 series",
    model=r"rigol.*,DP8\d\d",
    select=":INST:NSEL {n}",
    set_voltage=":SOUR:VOLT {v:.6g}",
    get_voltage=":SOUR:VOLT?",
    set_current=":SOUR:CURR {v:.6g}",
    get_current=":SOUR:CURR?",
    output_on=(":OUTP CH{n},ON",),
    output_off=(":OUTP CH{n},OFF",),
    get_output=(":OUTP? CH{n}",),
    measure_voltage=":MEAS:VOLT? CH{n}",
    measure_current=":MEAS:CURR? CH{n}",
    channels=3,
    channel_counts=((r"DP811", 1), (r"DP821", 2)),
    # The timer (:TIME:PAR) takes whole seconds: too slow for brown-outs, so it is not offered.
    abilities=PowerAbilities(sessions=1, over_voltage=Span(0.001, 33.0), over_current=Span(0.001, 3.3)),
    over_voltage=_rigol("OVP"),
    over_current=_rigol("OCP"),
    trips=(
        TripQuery(":OUTP:OVP:QUES? CH{n}", "over-voltage"),
        TripQuery(":OUTP:OCP:QUES? CH{n}", "over-current"),
    ),
    clear_trip=(":OUTP:OVP:CLE CH{n}", ":OUTP:OCP:CLE CH{n}"),
)

# --- Siglent: channels by name, a status word instead of OUTP? --------------------------------------------------------

SIGLENT_SPD = SupplyDialect(
    title="Siglent SPD3303X or SPD1000X",
    model=r"siglent.*,SPD(3303|1\d{3})",
    set_voltage="CH{n}:VOLT {v:.6g}",
    get_voltage="CH{n}:VOLT?",
    set_current="CH{n}:CURR {v:.6g}",
    get_current="CH{n}:CURR?",
    output_on=("OUTP CH{n},ON",),
    output_off=("OUTP CH{n},OFF",),
    get_output=("SYST:STAT?",),  # OUTP has no query
    output_bit={1: 4, 2: 5},
    measure_voltage="MEAS:VOLT? CH{n}",
    measure_current="MEAS:CURR? CH{n}",
    channels=2,  # channel 3 of an SPD3303X is fixed and tells nothing
    channel_counts=((r"SPD1", 1),),
    manners=Manners(sync="", pause=0.05),
    abilities=PowerAbilities(sessions=1),
)

# --- Aim-TTi: no SCPI, answers with their names -----------------------------------------------------------------------


def _tti(name: str) -> Level:
    """Return a protection of an Aim-TTi: OVP or OCP, answered as ``VP1 8.80`` or ``VP1 OFF``."""
    return Level(
        set=f"{name}{{n}} {{v:.6g}}",
        get=f"{name}{{n}}?",
        on=f"{name}{{n}} ON",
        off=f"{name}{{n}} OFF",
        answer=f"{name[1:]}{{n}} ",
        off_word="OFF",
    )


TTI = SupplyDialect(
    title="Aim-TTi PL, QL or MX",
    model=r"thurlby.*,\s*(PL|QL|MX)\d",
    set_voltage="V{n} {v:.6g}",
    get_voltage="V{n}?",
    answer_voltage="V{n} ",
    set_current="I{n} {v:.6g}",
    get_current="I{n}?",
    answer_current="I{n} ",
    output_on=("OP{n} 1",),
    output_off=("OP{n} 0",),
    get_output=("OP{n}?",),
    measure_voltage="V{n}O?",
    measure_current="I{n}O?",
    channels=3,
    channel_counts=((r"^(PL|QL)\d{3}P?$", 1), (r"^MX1\d\dQ", 4)),
    manners=Manners(errors="EER?"),
    abilities=PowerAbilities(sessions=2, over_voltage=Span(1.0, 40.0), over_current=Span(0.01, 10.0)),
    over_voltage=_tti("OVP"),
    over_current=_tti("OCP"),
    trips=(TripQuery("LSR{n}?", bits=((4, "over-voltage"), (8, "over-current"), (64, "other")), clears=True),),
    clear_trip=("TRIPRST",),
)


def could_make(resolution: float | None = None) -> str:
    """Return, for a hint, which families make waveforms of a resolution in seconds (any when None)."""
    found = []
    for dialect in (KEYSIGHT_N6700, RS_NGX, RS_HMP, KEYSIGHT_E36300):
        wave = dialect.abilities.waveform
        if wave is not None and (resolution is None or wave.resolution <= resolution * (1 + 1e-9)):
            found.append(f"{dialect.title} ({wave.resolution * 1000:g} ms)")
    return "could: " + ", ".join(found) if found else "no supply the bench knows could"
