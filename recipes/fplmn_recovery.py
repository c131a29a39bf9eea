"""A network in EF.FPLMN: the device does not try it; emptying the file brings it back without a new card or profile."""

from __future__ import annotations

from typing import Annotated

from bench.engine.recipe import FROM_RAT, Range, Station, Unit, recipe
from bench.errors import DeviceFailure
from bench.rsp import ids
from recipes.parameters import Boot, Register
from recipes.start import powered

EF_FPLMN = 0x6F7B
_ENTRIES = 4
_UPDATE_BINARY = 214
_LOOK = 1.0


@recipe(title="FPLMN recovery", needs=("power", "modem", "network"), effects=())
async def fplmn_recovery(
    station: Station,
    cell: Annotated[int, Range(1, 16)] = 1,
    visited_plmn: str = "26201",
    quiet: Annotated[float, Unit("s"), Range(5, 3600)] = 60.0,
    boot_within: Boot = 60.0,
    register_within: Register = FROM_RAT,
) -> None:
    """Put a network into EF.FPLMN, prove that the device leaves it alone, empty the file, require registration.

    The cell gets ``visited_plmn``, which must not be the profile's home network (a home network is tried whatever the
    file says, TS 23.122 section 3.1) and must serve this subscriber. For ``quiet`` s the device must not register.
    Then EF.FPLMN is emptied by +CRSM with the radio off and read again by the modem, and the device must register on
    that network ``register_within``. The file and the cell are as before at the end. TS 31.102 section 4.2.16.
    """
    async with station.step("ready"):
        await powered(station, boot_within)
        before = await station.wait_registered(timeout=register_within)
        if before.plmn == visited_plmn:
            raise DeviceFailure(
                f"{visited_plmn} is the network it is registered on before anything was done",
                where="+COPS",
                hint="visited_plmn must be another network than the profile's home",
            )
        kept = await station.modem.forbidden_plmns()
    others = [number for number in await station.network.cells() if number != cell]
    on = [number for number in others if await station.network.cell_on(cell=number)]
    try:
        await _forbid(station, visited_plmn)
        async with station.step("visited-network") as step:
            for number in on:
                await station.network.set_cell(False, cell=number)
            await station.network.set_cell(False, cell=cell)
            await station.network.set_plmn(visited_plmn, cell=cell)
            await station.network.set_cell(True, cell=cell)
            step.note(f"cell {cell} is {visited_plmn} now, the only network there is")
        await _left_alone(station, visited_plmn, quiet)
        async with station.step("clear") as step:
            emptied = await station.modem.clear_forbidden_plmns(timeout=boot_within)
            step.measure("entries_before", len(emptied))
            left = await station.modem.forbidden_plmns()
            step.measure("entries_after", len(left), upper=0)
        async with station.step("register") as step:
            found = await station.wait_registered(plmn=visited_plmn, timeout=register_within)
            step.measure("time_to_register", found.elapsed, unit="s", upper=register_within)
    finally:
        await _restore(station, cell, before.plmn, on, kept)


async def _forbid(station: Station, plmn: str) -> None:
    """Have the network in EF.FPLMN, and the modem know it."""
    async with station.step("forbid") as step:
        await station.modem.clear_forbidden_plmns()
        await _write(station, [plmn])
        await station.modem.reset_card(timeout=60.0)
        listed = await station.modem.forbidden_plmns()
        if listed != (plmn,):
            raise DeviceFailure(
                f"EF.FPLMN holds {', '.join(listed) or 'nothing'}, not {plmn}",
                where="+CRSM",
                hint="did the modem write its own list over it at the reset of the card?",
            )
        step.note(f"EF.FPLMN holds {plmn}")


async def _write(station: Station, plmns: list[str]) -> None:
    content = b"".join(ids.plmn_bytes(plmn) for plmn in plmns[:_ENTRIES]).ljust(3 * _ENTRIES, b"\xff")
    lines = await station.modem.command(
        f'AT+CRSM={_UPDATE_BINARY},{EF_FPLMN},0,0,{len(content)},"{content.hex().upper()}"'
    )
    if not any("144,0" in line.replace(" ", "") for line in lines):
        raise DeviceFailure(
            f"the card does not take EF.FPLMN: {'; '.join(lines)}",
            where="+CRSM",
            hint="UPDATE BINARY needs the CHV1 right: is the PIN verified, and does the modem allow +CRSM=214?",
        )


async def _left_alone(station: Station, plmn: str, quiet: float) -> None:
    """Require that the device does not register on the forbidden network."""
    async with station.step("left-alone") as step:
        begin = station.clock.now()
        while (elapsed := station.clock.now() - begin) < quiet:
            seen = await station.modem.registration()
            if seen.registered and seen.plmn == plmn:
                raise DeviceFailure(
                    f"the device registered on {plmn} after {elapsed:.1f} s although EF.FPLMN forbids it",
                    where=f"+CEREG stat {seen.status}",
                    hint="is it the profile's home network? that one is always tried",
                )
            await station.clock.sleep(_LOOK)
        step.measure("quiet_time", station.clock.now() - begin, unit="s", lower=quiet)


async def _restore(station: Station, cell: int, plmn: str, on: list[int], kept: tuple[str, ...]) -> None:
    """Leave file and cells as they were found."""
    async with station.step("as-before", decisive=False):
        await station.network.set_cell(False, cell=cell)
        await station.network.set_plmn(plmn, cell=cell)
        for number in (cell, *on):
            await station.network.set_cell(True, cell=number)
        await station.modem.clear_forbidden_plmns()
        if kept:
            await _write(station, list(kept))
            await station.modem.reset_card(timeout=60.0)
