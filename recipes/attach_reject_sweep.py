"""Every EMM cause that the emulator can reject an attach with: what the device does, and what brings it back."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import ConfigurationError, DeviceFailure
from bench.station.interfaces import Registration
from bench.station.network import EMM_CAUSES
from recipes.parameters import Boot, Hold

_LOOK_AGAIN = 1.0
"""Seconds between two looks at the registration."""
_LADDER = (
    ("CFUN=4", ("AT+CFUN=4", "AT+CFUN=1")),
    ("CFUN=0", ("AT+CFUN=0", "AT+CFUN=1")),
)
"""What is tried, mildest first, before the power is cut (27.007 section 8.2)."""


@dataclass(slots=True)
class Row:
    """What the device did with one cause. Seconds of station time; None: not seen."""

    cause: int
    name: str
    seen: str
    """``rejected``, ``searching`` (no reject was reported) or ``registered`` (it was accepted all the same)."""
    stat: int | None = None
    reported: int | None = None
    """The cause that the modem reports, where it reports one."""
    time_to_reject: float | None = None
    forbidden: tuple[str, ...] = ()
    """EF_FPLMN after the reject."""
    recovered_by: str = ""
    """``itself``, ``CFUN=4``, ``CFUN=0``, ``power cycle``, empty: nothing brought it back."""
    time_to_recover: float | None = None
    """From the end of the rejects, or from the rung that helped."""


@recipe(title="Attach reject sweep", needs=("power", "modem", "network"), effects=())
async def attach_reject_sweep(
    station: Station,
    cell: Annotated[int, Range(1, 16)] = 1,
    causes: str = "",
    watch: Annotated[float, Unit("s"), Range(5, 3600)] = 60.0,
    recover_within: Annotated[float, Unit("s"), Range(5, 7200)] = 120.0,
    hold: Hold = 2.0,
    boot_within: Boot = 60.0,
) -> None:
    """Reject every attach with one EMM cause after the other (TS 24.301 section 9.9.3.9), then let the device back in.

    ``causes``: EMM causes separated by commas, empty for all that the emulator has. For each the device is
    power-cycled with the reject armed and watched for ``watch`` seconds; then the rejects end, and it has
    ``recover_within`` to come back by itself, after AT+CFUN=4 and 0, and after a power cycle. The table is the result
    ``causes``. Decisive: no cause may be ignored (the device registers in spite of it), and each must be recovered
    from by a power cycle at the latest. All other cells are off meanwhile.
    """
    wanted = chosen(causes, station.network.abilities.attach_causes)
    rows: list[Row] = []
    others: list[int] = []
    try:
        async with station.step("prepare") as step:
            await station.network.reject("attach", None, cell=cell)  # refused here where the emulator cannot reject
            for other in await station.network.cells():
                if other != cell and await station.network.cell_on(cell=other):
                    await station.network.set_cell(False, cell=other)
                    others.append(other)
            if not await station.network.cell_on(cell=cell):
                await station.network.set_cell(True, cell=cell)
            await station.card_to("modem")
            await _cycle(station, hold, boot_within)
            found = await station.modem.wait_registered(timeout=recover_within)
            step.note(f"registered on {found.plmn} in {found.elapsed:.1f} s; other cells off: {others or 'none'}")
        for cause in wanted:
            rows.append(await _one(station, cell, cause, watch, recover_within, hold, boot_within))
            station.result("causes", [asdict(row) for row in rows])
    finally:
        await station.network.reject("attach", None, cell=cell)
        for other in others:
            await station.network.set_cell(True, cell=other)
    ignored = [row.cause for row in rows if row.seen == "registered"]
    lost = [row.cause for row in rows if not row.recovered_by]
    if ignored:
        raise DeviceFailure(
            f"the device registered in spite of EMM cause {', '.join(map(str, ignored))}",
            where=f"cell {cell}",
            hint="did the emulator send the reject? lane scpi:network shows what it was told",
        )
    if lost:
        raise DeviceFailure(
            f"the device did not come back from EMM cause {', '.join(map(str, lost))}, not even after a power cycle",
            where=f"cell {cell}, {recover_within:g} s each",
            hint="is the cell on and the subscriber known? result 'causes' has what was tried",
        )


def chosen(text: str, available: frozenset[int]) -> list[int]:
    """Return the causes of a list such as ``3, 8, 11``; all of ``available`` for none. Raises ConfigurationError."""
    if not text.strip():
        return sorted(available)
    parts = [part.strip() for part in text.split(",")]
    if any(not re.fullmatch(r"[0-9]{1,3}", part) for part in parts):
        raise ConfigurationError(f"'{text}' is no list of EMM causes", hint="numbers separated by commas: 3,8,11")
    return list(dict.fromkeys(int(part) for part in parts))


async def _cycle(station: Station, hold: float, boot_within: float) -> None:
    await station.power.cycle(hold=hold)
    await station.modem.wait_ready(timeout=boot_within)
    await station.modem.wait_sim_ready(timeout=boot_within)


async def _one(
    station: Station, cell: int, cause: int, watch: float, recover_within: float, hold: float, boot_within: float
) -> Row:
    row = Row(cause, EMM_CAUSES.get(cause, "?"), "searching")
    # What a cause does is recorded; what it must not do decides at the end, when every cause has been tried.
    async with station.step(f"cause-{cause}") as step:
        await station.network.reject("attach", cause, cell=cell)
        await _cycle(station, hold, boot_within)
        await _watch(station, row, watch)
        row.forbidden = await station.modem.forbidden_plmns()
        await station.network.reject("attach", None, cell=cell)
        if row.seen != "registered":
            await _recover(station, row, recover_within, hold, boot_within)
        else:
            row.recovered_by, row.time_to_recover = "itself", 0.0
        for name in ("time_to_reject", "time_to_recover"):
            value = getattr(row, name)
            if value is not None:
                step.measure(name, value, unit="s")
        step.measure("recovered_by", row.recovered_by or "nothing")
        step.note(
            f"#{cause} {row.name}: {row.seen}, stat {row.stat}, reports {row.reported}, back by {row.recovered_by}"
        )
    return row


def _rejected(seen: Registration) -> bool:
    return not seen.registered and (seen.status == 3 or seen.reject_cause is not None)


async def _watch(station: Station, row: Row, seconds: float) -> None:
    """Look what the device does until ``seconds`` are over, or it has registered."""
    started = station.clock.now()
    while True:
        seen = await station.modem.registration()
        row.stat = seen.status
        if seen.registered:
            row.seen = "registered"
            return
        if _rejected(seen) and row.seen != "rejected":
            row.seen, row.time_to_reject = "rejected", station.clock.now() - started
        if seen.reject_cause is not None:
            row.reported = seen.reject_cause
        if station.clock.now() - started >= seconds:
            return
        await station.clock.sleep(_LOOK_AGAIN)


async def _recover(station: Station, row: Row, within: float, hold: float, boot_within: float) -> None:
    if await _back(station, row, "itself", within):
        return
    for name, commands in _LADDER:
        for command in commands:
            await station.modem.command(command, timeout=15.0)
        await station.modem.wait_sim_ready(timeout=boot_within)
        if await _back(station, row, name, within):
            return
    await _cycle(station, hold, boot_within)
    await _back(station, row, "power cycle", within)


async def _back(station: Station, row: Row, by: str, within: float) -> bool:
    try:
        found = await station.modem.wait_registered(timeout=within)
    except DeviceFailure:
        return False
    row.recovered_by, row.time_to_recover = by, found.elapsed
    return True
