"""What the soaks of these tests do on a supply: on for a moment or until they may go on, off."""

from __future__ import annotations

import contextlib
from pathlib import Path

from bench.engine.recipe import Station, recipe
from bench.errors import DeviceFailure, InstrumentError

LINGERED = "lingered to its end"
EID = "89049032123451234512345678901235"


@recipe(title="A moment of power", needs=("power",))
async def moment(station: Station, hold: float = 0.1, gate: str = "") -> None:
    """Hold the output on; with ``gate``, a folder, until there is a file ``open`` or a ``token`` in it to take."""
    async with station.step("on"):
        await station.power.set_output(True)
        station.note("on")
        await station.clock.sleep(hold)
        while gate and not (Path(gate) / "open").exists() and not _token(Path(gate)):
            await station.clock.sleep(0.02)
    async with station.step("off") as step:
        await station.power.set_output(False)
        step.measure("draw", station.random.random())


def _token(gate: Path, name: str = "token") -> bool:
    try:
        (gate / name).unlink()
    except FileNotFoundError:
        return False
    return True


@recipe(title="Slow to tear down", needs=("power",), teardown_within=90.0)
async def lingering(station: Station, hold: float = 0.1, gate: str = "") -> None:
    """As ``moment``, but its teardown goes on for a minute."""
    try:
        await moment(station, hold=hold, gate=gate)
    finally:
        for _ in range(600):
            station.note("lingering")
            await station.clock.sleep(0.1)
        station.note(LINGERED)


@recipe(title="Steps around a wait", needs=("power",))
async def stepwise(station: Station, hold: float = 0.1, gate: str = "") -> None:
    """Draw, switch on, measure, wait at the gate, switch off: what is drawn and read must survive an interruption.

    With a file ``gone`` in the gate's folder the supply is not there any more.
    """
    async with station.step("draw") as step:
        step.measure("draw", station.random.random())
    async with station.step("on") as step:
        cycle = await station.power.cycle(hold=hold)
        step.measure("time_to_dead", cycle.time_to_dead)
        began = station.clock.now()
    with contextlib.suppress(DeviceFailure):
        async with station.step("attempt", decisive=False) as step:
            step.measure("volts", (await station.power.measure()).voltage, lower=1.0)
            step.fail("an attempt that may fail")
    async with station.step("around"):
        await station.clock.sleep(hold)
        async with station.step("wait"):
            station.note("at the gate")
            await station.power.measure()
            while not (Path(gate) / "open").exists() and not _token(Path(gate)):
                if _token(Path(gate), "gone"):
                    raise InstrumentError("the supply is gone", where="rail")
                await station.clock.sleep(0.02)
        async with station.step("read") as step:
            step.measure("on", int(await station.power.output()), lower=1)
            step.measure("since", station.clock.now() - began, lower=0.0)
    async with station.step("off") as step:
        await station.power.set_output(False)
        step.measure("draw", station.random.random())


@recipe(title="Two orders", needs=("power", "eim"))
async def ordering(station: Station, hold: float = 0.1, gate: str = "") -> None:
    """Place two orders of a kind at the eIM, wait at the gate, and count what the eIM has of them."""
    async with station.step("before"):
        await station.eim.register(EID)
        before = len(await station.eim.orders(EID))
    async with station.step("ordered"):
        await station.power.set_output(True)
        for _ in range(2):
            await station.eim.order_list(EID)
        station.note("at the gate")
        while not (Path(gate) / "open").exists():
            await station.clock.sleep(0.02)
    async with station.step("counted") as step:
        await station.power.set_output(False)
        step.measure("orders", len(await station.eim.orders(EID)) - before, lower=2, upper=2)


@recipe(title="Five steps", needs=("power",))
async def five_steps(station: Station) -> None:
    """Switch on, measure three times, switch off, each in a step."""
    async with station.step("on"):
        await station.power.set_output(True)
    for name in ("first", "second", "third"):
        async with station.step(name) as step:
            step.measure("volts", (await station.power.measure()).voltage, lower=1.0)
    async with station.step("off"):
        await station.power.set_output(False)


@recipe(title="Off", needs=("power",))
async def is_off(station: Station) -> None:
    """The baseline: the output is off."""
    async with station.step("output"):
        if await station.power.output():
            raise DeviceFailure("the output is on", where="rail")


@recipe(title="Switch off", needs=("power",))
async def switch_off(station: Station) -> None:
    """Bring the baseline back."""
    async with station.step("output"):
        await station.power.set_output(False)
