"""A modem that hangs: which layer of the watchdog brings it back, in which time, and does it serve afterwards?"""

from __future__ import annotations

from typing import Annotated, get_args

from bench.engine.recipe import FROM_RAT, Choices, Range, Station, Unit, recipe
from bench.errors import BenchError, DeviceFailure
from bench.station.interfaces import Recovery, RecoveryLayer, RecoveryStep
from recipes.parameters import Boot, Rat, Register
from recipes.start import powered

Layer = Annotated[str, Choices(*get_args(RecoveryLayer))]


@recipe(title="Modem lock-up watchdog", needs=("power", "modem"), effects=())
async def modem_lockup_watchdog(
    station: Station,
    mildest: Layer = "at",
    last: Layer = "supply",
    look: Annotated[float, Unit("s"), Range(0.1, 60)] = 1.0,
    hangs_within: Annotated[float, Unit("s"), Range(0, 86_400)] = 0.0,
    recover_within: Annotated[float, Unit("s"), Range(1, 900)] = 300.0,
    plmn: str = "",
    rat: Rat = "",
    boot_within: Boot = 60.0,
    register_within: Register = FROM_RAT,
) -> None:
    """Watch the modem, and when it does not answer climb the ladder: AT, second port, CFUN, USB, RESET_N, supply.

    The modem is looked at every ``look`` s for ``hangs_within`` s, or until it hangs; 0: the ladder is climbed at once,
    whatever it does. Each layer is measured, with what came of it. The run fails when no layer up to ``last`` brings
    the modem back ``recover_within``, and when it comes back without its card or its registration. ``mildest`` is the
    first layer that may succeed: for a modem that was made to hang in a known way.
    """
    async with station.step("ready"):
        await powered(station, boot_within)
        before = await station.wait_registered(plmn=plmn or None, rat=rat or None, timeout=register_within)
    hung = await _watch(station, look, hangs_within) if hangs_within else True
    if not hung:
        async with station.step("no-lock-up") as step:
            step.inconclusive(f"the modem did not hang within {hangs_within:g} s: no layer had to act")
        return
    found = await _recover(station, last, recover_within)
    async with station.step("serves-again") as step:
        layers = list(get_args(RecoveryLayer))
        if layers.index(found.layer) < layers.index(mildest):
            raise DeviceFailure(
                f"layer {found.layer} brought the modem back; nothing before {mildest} should have",
                where="recovery ladder",
                hint="the modem did not hang as it was meant to",
            )
        await station.modem.wait_sim_ready(timeout=boot_within)
        after = await station.wait_registered(plmn=before.plmn or None, timeout=register_within)
        step.measure("time_to_register", after.elapsed, unit="s", upper=register_within)
        step.note(f"{after.rat} {after.plmn} again, after {found.layer}")


async def _watch(station: Station, look: float, within: float) -> bool:
    """Look at the modem until it does not answer; return whether that came about."""
    async with station.step("watch") as step:
        begin = station.clock.now()
        looks = 0
        while station.clock.now() - begin < within:
            looks += 1
            try:
                await station.modem.command("AT", timeout=look)
            except BenchError as error:
                step.measure("time_to_lock_up", station.clock.now() - begin, unit="s")
                step.note(f"look {looks}: {error.what}")
                return True
            await station.clock.sleep(look)
        step.measure("looks", looks)
    return False


async def _recover(station: Station, last: str, within: float) -> Recovery:
    async with station.step("recover") as step:

        def report(layer: RecoveryStep) -> None:
            name = layer.layer.replace("-", "_")
            step.measure(f"{name}_outcome", layer.outcome)
            if layer.outcome != "not-available":
                step.measure(f"{name}_time", layer.elapsed, unit="s")
            step.note(f"layer {layer.layer}: {layer.outcome} after {layer.elapsed:.1f} s: {layer.detail}")

        layers: dict[str, RecoveryLayer] = {layer: layer for layer in get_args(RecoveryLayer)}
        line = station.dut.reset if station.has("dut") and station.dut.has("reset") else None
        found = await station.modem.recover(power=station.power, reset_line=line, report=report, last=layers[last])
        step.measure("layer", found.layer)
        step.measure("time_to_recover", found.elapsed, unit="s", upper=within)
    return found
