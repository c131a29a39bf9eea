"""The families, as tables (reference: the programming guides named at each; literal pairs are in the tests).

Levels of abilities are those of the family's smallest model where models differ and the bench need not know better.
"""

from __future__ import annotations

from dataclasses import replace

from bench.station.power import FastLogAbility, PowerAbilities, Span, WaveformAbility
from instruments.power.dialects import Level, SupplyDialect, TripQuery, Watchdog
from instruments.scpi.session import Manners

# --- Keysight: channel lists (E36300 Programming Guide; N6705C Operating and Service Guide, chapter 7) ---------------

_KEYSIGHT_LIST = WaveformAbility(resolution=0.01, longest=3600.0, points=100, repeats=256)
_E36300 = PowerAbilities(
    sessions=2,
    waveform=_KEYSIGHT_LIST,
    over_voltage=Span(0.0, 28.3),
    over_current=Span(0.002, 10.3),
    over_current_at_limit=True,
    over_current_delay=Span(0.0, 3600.0),
)
_KEYSIGHT_OCP = Level(
    on="CURR:PROT:STAT ON,(@{n})",
    off="CURR:PROT:STAT OFF,(@{n})",
    state="CURR:PROT:STAT? (@{n})",
    set_delay="CURR:PROT:DEL {v:.6g},(@{n})",
    get_delay="CURR:PROT:DEL? (@{n})",
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
    over_current=_KEYSIGHT_OCP,
    trips=(
        TripQuery("VOLT:PROT:TRIP? (@{n})", "over-voltage"),
        TripQuery("CURR:PROT:TRIP? (@{n})", "over-current"),
    ),
    clear_trip=("OUTP:PROT:CLE (@{n})",),
)

KEYSIGHT_N6700 = SupplyDialect(
    title="Keysight N6705C or N6700 series",
    model=r"(keysight|agilent).*,N670[0-5][A-C]",
    set_voltage="VOLT {v:.6g},(@{n})",
    get_voltage="VOLT? (@{n})",
    set_current="CURR {v:.6g},(@{n})",
    get_current="CURR? (@{n})",
    output_on=("OUTP ON,(@{n})",),
    output_off=("OUTP OFF,(@{n})",),
    get_output=("OUTP? (@{n})",),
    measure_voltage="MEAS:VOLT? (@{n})",
    measure_current="MEAS:CURR? (@{n})",
    channels=4,
    abilities=PowerAbilities(
        watchdog=Span(1, 3600),
        power_on_state=True,
        sessions=6,
        fast_log=FastLogAbility((102.4e-6, 60.0), 10_000_000, any_interval=True),
        waveform=WaveformAbility(resolution=1e-6, longest=262.144, points=512, repeats=256),
        over_voltage=Span(0.0, 66.0),
        over_current=Span(0.0, 20.0),
        over_current_at_limit=True,
        over_current_delay=Span(0.0, 0.255),
    ),
    # The N6700 family without the analyser's front panel has neither the external data log nor its memory.
    by_model=(
        (
            r"N670[0-2][A-C]",
            PowerAbilities(
                watchdog=Span(1, 3600),
                power_on_state=True,
                sessions=6,
                waveform=WaveformAbility(resolution=1e-6, longest=262.144, points=512, repeats=256),
                over_voltage=Span(0.0, 66.0),
                over_current=Span(0.0, 20.0),
                over_current_at_limit=True,
                over_current_delay=Span(0.0, 0.255),
            ),
        ),
    ),
    over_voltage=Level(set="VOLT:PROT {v:.6g},(@{n})", get="VOLT:PROT? (@{n})"),
    over_current=_KEYSIGHT_OCP,
    trips=(
        TripQuery(
            "STAT:QUES:COND? (@{n})",
            bits=((1, "over-voltage"), (2, "over-current"), (16, "over-temperature"), (2048, "watchdog")),
        ),
    ),
    clear_trip=("OUTP:PROT:CLE (@{n})",),
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

_FLOG = FastLogAbility((2e-6, 4e-6, 2e-5, 1e-4, 1e-3, 1e-2), 5_000_000)
_NGX = PowerAbilities(
    sessions=2,
    fast_log=_FLOG,
    waveform=WaveformAbility(resolution=1e-3, longest=600.0, points=4096, repeats=65535, ramps=True),
    over_voltage=Span(0.0, 21.0),
    over_current=Span(0.001, 10.0),
    over_current_at_limit=True,
    over_current_delay=Span(0.01, 10.0),
)
_FUSE = Level(on="FUSE 1", off="FUSE 0", state="FUSE?", set_delay="FUSE:DEL {v:.3f}", get_delay="FUSE:DEL?")
_SELECTED_TRIPS = (TripQuery("VOLT:PROT:TRIP?", "over-voltage"), TripQuery("FUSE:TRIP?", "over-current"))

RS_NGX = SupplyDialect(
    title="Rohde & Schwarz NGM, NGL or NGU",
    model=r"rohde.*,NG[MLU]\d{3}",
    set_voltage="VOLT {v:.6g}",
    get_voltage="VOLT?",
    set_current="CURR {v:.6g}",
    get_current="CURR?",
    output_on=("OUTP 1", "OUTP:GEN 1"),
    output_off=("OUTP 0",),
    get_output=("OUTP?",),
    measure_voltage="MEAS:VOLT?",
    measure_current="MEAS:CURR?",
    channels=2,
    channel_counts=((r"NGU", 1), (r"NG[ML]201", 1)),
    select="INST:NSEL {n}",
    abilities=_NGX,
    by_model=((r"NGL", replace(_NGX, fast_log=None)),),
    over_voltage=Level(
        set="VOLT:PROT:LEV {v:.6g}",
        get="VOLT:PROT:LEV?",
        on="VOLT:PROT 1",
        off="VOLT:PROT 0",
        state="VOLT:PROT?",
    ),
    over_current=_FUSE,
    trips=_SELECTED_TRIPS,
    clear_trip=("VOLT:PROT:CLE", "FUSE:TRIP:CLE"),
)

RS_HMP = SupplyDialect(
    title="Rohde & Schwarz (Hameg) HMP",
    model=r"(rohde|hameg).*,HMP\d{4}",
    set_voltage="VOLT {v:.6g}",
    get_voltage="VOLT?",
    set_current="CURR {v:.6g}",
    get_current="CURR?",
    output_on=("OUTP:SEL 1", "OUTP:GEN 1"),
    output_off=("OUTP:SEL 0",),
    get_output=("OUTP:SEL?", "OUTP:GEN?"),
    measure_voltage="MEAS:VOLT?",
    measure_current="MEAS:CURR?",
    channels=4,
    channel_counts=((r"HMP2020", 2), (r"HMP[24]030", 3)),
    select="INST:NSEL {n}",
    abilities=PowerAbilities(
        sessions=1,
        waveform=WaveformAbility(resolution=0.01, longest=60.0, points=128, repeats=255),
        over_voltage=Span(0.0, 33.0),
        over_current=Span(0.001, 10.0),
        over_current_at_limit=True,
    ),
    over_voltage=Level(set="VOLT:PROT:LEV {v:.6g}", get="VOLT:PROT:LEV?"),
    over_current=Level(on="FUSE ON", off="FUSE OFF", state="FUSE?"),
    trips=_SELECTED_TRIPS,
    clear_trip=("VOLT:PROT:CLE",),
)

RS_HMC = SupplyDialect(
    title="Rohde & Schwarz HMC804x",
    model=r"rohde.*,HMC804\d",
    set_voltage="VOLT {v:.6g}",
    get_voltage="VOLT?",
    set_current="CURR {v:.6g}",
    get_current="CURR?",
    output_on=("OUTP ON", "OUTP:MAST ON"),
    output_off=("OUTP OFF",),
    get_output=("OUTP?", "OUTP:MAST?"),
    measure_voltage="MEAS:VOLT?",
    measure_current="MEAS:CURR?",
    channels=3,
    channel_counts=((r"HMC8041", 1), (r"HMC8042", 2)),
    select="INST:NSEL {n}",
    abilities=PowerAbilities(
        sessions=1,
        over_voltage=Span(0.0, 33.0),
        over_current=Span(0.001, 10.0),
        over_current_at_limit=True,
        over_current_delay=Span(0.01, 10.0),
    ),
    over_voltage=Level(
        set="VOLT:PROT:LEV {v:.6g}",
        get="VOLT:PROT:LEV?",
        on="VOLT:PROT:STAT ON",
        off="VOLT:PROT:STAT OFF",
        state="VOLT:PROT:STAT?",
    ),
    over_current=Level(
        on="FUSE:STAT ON",
        off="FUSE:STAT OFF",
        state="FUSE:STAT?",
        set_delay="FUSE:DEL {v:.3f}",
        get_delay="FUSE:DEL?",
    ),
    trips=_SELECTED_TRIPS,
    clear_trip=("VOLT:PROT:CLE",),
)

# --- Rigol, Siglent, Aim-TTi ------------------------------------------------------------------------------------------

RIGOL_DP800 = SupplyDialect(
    title="Rigol DP800 series",
    model=r"rigol.*,DP8\d\d",
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
    select=":INST:NSEL {n}",
    abilities=PowerAbilities(
        sessions=1,
        # The timer (:TIME:PAR) takes whole seconds: too slow for brown-outs, so it is not offered.
        over_voltage=Span(0.001, 33.0),
        over_current=Span(0.001, 3.3),
    ),
    over_voltage=Level(
        set=":OUTP:OVP:VAL CH{n},{v:.6g}",
        get=":OUTP:OVP:VAL? CH{n}",
        on=":OUTP:OVP CH{n},ON",
        off=":OUTP:OVP CH{n},OFF",
        state=":OUTP:OVP? CH{n}",
    ),
    over_current=Level(
        set=":OUTP:OCP:VAL CH{n},{v:.6g}",
        get=":OUTP:OCP:VAL? CH{n}",
        on=":OUTP:OCP CH{n},ON",
        off=":OUTP:OCP CH{n},OFF",
        state=":OUTP:OCP? CH{n}",
    ),
    trips=(
        TripQuery(":OUTP:OVP:QUES? CH{n}", "over-voltage"),
        TripQuery(":OUTP:OCP:QUES? CH{n}", "over-current"),
    ),
    clear_trip=(":OUTP:OVP:CLE CH{n}", ":OUTP:OCP:CLE CH{n}"),
)

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
    over_voltage=Level(
        set="OVP{n} {v:.6g}", get="OVP{n}?", on="OVP{n} ON", off="OVP{n} OFF", answer="VP{n} ", off_word="OFF"
    ),
    over_current=Level(
        set="OCP{n} {v:.6g}", get="OCP{n}?", on="OCP{n} ON", off="OCP{n} OFF", answer="CP{n} ", off_word="OFF"
    ),
    trips=(TripQuery("LSR{n}?", bits=((4, "over-voltage"), (8, "over-current"), (64, "other")), clears=True),),
    clear_trip=("TRIPRST",),
)

GENERIC = SupplyDialect(
    title="SCPI supply with INSTrument:NSELect",
    model=r"",
    set_voltage="VOLT {v:.6g}",
    get_voltage="VOLT?",
    set_current="CURR {v:.6g}",
    get_current="CURR?",
    output_on=("OUTP ON",),
    output_off=("OUTP OFF",),
    get_output=("OUTP?",),
    measure_voltage="MEAS:VOLT?",
    measure_current="MEAS:CURR?",
    select="INST:NSEL {n}",
)


def could_make(resolution: float | None = None) -> str:
    """Return, for a hint, which families make waveforms of a resolution in seconds (any when None)."""
    found = []
    for dialect in (KEYSIGHT_N6700, RS_NGX, RS_HMP, KEYSIGHT_E36300):
        wave = dialect.abilities.waveform
        if wave is not None and (resolution is None or wave.resolution <= resolution * (1 + 1e-9)):
            found.append(f"{dialect.title} ({wave.resolution * 1000:g} ms)")
    return "could: " + ", ".join(found) if found else "no supply the bench knows could"
