"""Dips of the supply by depth and width: where does the device ride through, reboot or hang?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from bench.engine.recipe import FROM_RAT, Choices, Range, Station, Unit, recipe
from bench.errors import BenchError, DeviceFailure, InstrumentError, Refused
from bench.station.power import check_waveform, dip
from recipes.start import powered

_LEAD = 0.1
"""Seconds at the full voltage before and after a dip, part of the waveform."""
_COULD = "an N6705C, NGM, NGU or NGL makes dips of 1 ms, an HMP or E36312A of 10 ms"

Outcome = Literal["survived", "rebooted", "hung"]


@recipe(title="Brown-out sweep", needs=("power", "modem"), effects=())
async def brown_out_sweep(
    station: Station,
    shallowest: Annotated[float, Unit("V"), Range(0.05, 20)] = 0.4,
    deepest: Annotated[float, Unit("V"), Range(0.05, 20)] = 1.6,
    depths: Annotated[int, Range(1, 40)] = 4,
    shortest: Annotated[float, Unit("s"), Range(0.000_1, 10)] = 0.01,
    longest: Annotated[float, Unit("s"), Range(0.000_1, 10)] = 1.0,
    widths: Annotated[int, Range(1, 20)] = 3,
    answer_within: Annotated[float, Unit("s"), Range(0.1, 10)] = 1.0,
    boot_within: Annotated[float, Unit("s"), Range(1, 900)] = 60.0,
    register_within: Annotated[float, Unit("s"), Range(1, 3600)] = FROM_RAT,
    register: Annotated[str, Choices("each", "end", "never")] = "end",
) -> None:
    """Dip the supply by ``depths`` depths (even steps) and ``widths`` widths (even ratios), and look at the device.

    It survives a dip when it answers AT within ``answer_within`` (no modem boots that fast), it has rebooted when it
    answers within ``boot_within``, else it hangs: it is then power-cycled, and the run fails at the end. The table is
    the result ``brown_out_sweep``. The device must register after all dips (``register``: after each, at the end,
    never). Refused before anything is switched where the supply cannot make the dips.
    """
    power = station.config.power
    if power is None:
        raise Refused(f"station {station.name} has no supply", hint="add power = { ... } to the station in bench.toml")
    levels = _even(shallowest, deepest, depths)
    times = _ratios(shortest, longest, widths, station)
    _check(station, power.voltage, power.voltage_max, levels, times)
    async with station.step("start") as step:
        step.measure("boot_time", await powered(station, boot_within), unit="s")
    rows: list[dict[str, object]] = []
    for depth in levels:
        for width in times:
            async with station.step(f"dip-{power.voltage - depth:.2f}V-{width * 1000:g}ms") as step:
                outcome, boot = await _dip(station, power.voltage, depth, width, answer_within, boot_within)
                level = round(power.voltage - depth, 4)
                rows.append(
                    {"level": level, "depth": round(depth, 4), "width": width, "outcome": outcome, "boot": boot}
                )
                step.measure("outcome", outcome)
                if boot is not None:
                    step.measure("boot_time", boot, unit="s")
                if register == "each":
                    await station.wait_registered(timeout=register_within)
                elif outcome != "survived":
                    await station.modem.wait_sim_ready(timeout=boot_within)
    station.result("brown_out_sweep", {"voltage": power.voltage, "dips": rows})
    await _judge(station, rows, register_within if register != "never" else None)


def _even(low: float, high: float, count: int) -> list[float]:
    low, high = min(low, high), max(low, high)
    return [low] if count == 1 else [low + (high - low) * step / (count - 1) for step in range(count)]


def _ratios(low: float, high: float, count: int, station: Station) -> list[float]:
    """Return widths with even ratios, each a multiple of what the supply can do."""
    low, high = min(low, high), max(low, high)
    ratio = (high / low) ** (1 / (count - 1)) if count > 1 else 1.0
    ability = station.power.abilities.waveform
    step = ability.resolution if ability is not None else 0.001
    found = [low, *(round(low * ratio**n / step) * step for n in range(1, count))]
    return [round(width, 9) for width in dict.fromkeys(found)]


def _check(station: Station, voltage: float, highest: float, depths: Sequence[float], widths: Sequence[float]) -> None:
    """Refuse what the supply cannot do before anything is switched. Raises Refused."""
    for depth in depths:
        for width in widths:
            check_waveform(
                dip(voltage, depth, width, before=_LEAD, after=_LEAD),
                1,
                station.power.abilities.waveform,
                voltage_max=highest,
                where=f"supply of station {station.name}",
                could=_COULD,
            )


async def _dip(
    station: Station, voltage: float, depth: float, width: float, answer_within: float, boot_within: float
) -> tuple[Outcome, float | None]:
    """Make one dip and return what the device did, with the seconds its boot took."""
    await station.power.waveform(dip(voltage, depth, width, before=_LEAD, after=_LEAD))
    if (cause := await station.power.trip()) is not None:
        raise InstrumentError(
            f"the supply's {cause} protection tripped during the dip",
            where=f"{voltage - depth:.2f} V for {width * 1000:g} ms",
            hint="the inrush after a dip is high: raise the current limit or the protection's delay",
        )
    begin = station.clock.now()
    try:
        await station.modem.command("AT", timeout=answer_within)
        return "survived", None
    except BenchError:
        pass  # it is busy booting, or it hangs
    try:
        await station.modem.wait_ready(timeout=boot_within)
        return "rebooted", round(station.clock.now() - begin, 3)
    except BenchError as error:
        station.note(f"no answer {boot_within:g} s after the dip: {error}; power-cycled")
    await station.power.cycle()
    await station.modem.wait_ready(timeout=boot_within)
    return "hung", None


async def _judge(station: Station, rows: Sequence[dict[str, object]], register_within: float | None) -> None:
    """Measure the limits, and fail for a device that hung."""
    hung = [row for row in rows if row["outcome"] == "hung"]
    async with station.step("after") as step:
        for outcome in ("survived", "rebooted", "hung"):
            step.measure(outcome, sum(row["outcome"] == outcome for row in rows))
        lost = [row["level"] for row in rows if row["outcome"] != "survived" and isinstance(row["level"], float)]
        if lost:
            step.measure("highest_level_lost", max(lost), unit="V")
        if register_within is not None:
            registration = await station.wait_registered(timeout=register_within)
            step.measure("time_to_register", registration.elapsed, unit="s", upper=register_within)
    if hung:
        shown = ", ".join(f"{row['level']} V for {row['width']} s" for row in hung[:5])
        raise DeviceFailure(
            f"the device hung after {len(hung)} of {len(rows)} dips and needed its power taken away: {shown}",
            where="brown-out sweep",
            hint="its reset circuit does not see these dips: a supervisor with a higher threshold, or more capacitance",
        )
