"""What a buyer checks of a modem before it goes into a product: one run, one table, every figure read back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Annotated

from bench.engine.recipe import FROM_RAT, Range, Station, Unit, recipe
from bench.engine.steps import Step
from bench.errors import ConfigurationError, DeviceFailure, Refused
from bench.rsp import ids
from recipes.brown_out_sweep import brown_out_sweep
from recipes.fplmn_recovery import fplmn_recovery
from recipes.modem_lockup_watchdog import modem_lockup_watchdog
from recipes.parameters import Boot, Hold, Register
from recipes.start import powered

_LOOK = 5.0
"""Seconds between two looks at a modem that may not register."""
_SCAN = 180.0
"""Seconds for one +COPS, which may look through every band (27.007 section 7.3)."""
_NETWORK_FAILURE = 17
"""EMM cause of a temporary fault: five attempts, then T3402 (24.301 section 5.5.1.2.6)."""


@dataclass(slots=True)
class Row:
    """One line of the table."""

    check: str
    verdict: str = "inconclusive"
    """``pass``, ``fail``, ``inconclusive`` (this modem or station has no means for it) or ``skipped`` (by choice)."""
    value: str = ""
    """What was found, or why it was not."""
    limit: str = ""
    """What was demanded."""
    source: str = ""
    """Who told it: commands, files, instruments."""
    seconds: float = 0.0
    """Station time that the check took."""
    figures: dict[str, float | str] = field(default_factory=dict)


Body = Callable[[Step, Row], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Check:
    """One check: how it is made, what it demands, who tells it."""

    name: str
    body: Body
    limit: str
    source: str


@recipe(title="Modem qualification", needs=("power", "modem", "network", "card"), effects=())
async def modem_qualification(
    station: Station,
    skip: str = "",
    firmware: str = "",
    bands: str = "",
    cell: Annotated[int, Range(1, 16)] = 1,
    visited_plmn: str = "26201",
    quiet: Annotated[float, Unit("s"), Range(5, 3600)] = 60.0,
    sustained: Annotated[float, Unit("s"), Range(10, 86_400)] = 300.0,
    attach_again_within: Annotated[float, Unit("s"), Range(10, 86_400)] = 1800.0,
    hangs_within: Annotated[float, Unit("s"), Range(0, 86_400)] = 0.0,
    recover_within: Annotated[float, Unit("s"), Range(1, 900)] = 300.0,
    deepest: Annotated[float, Unit("V"), Range(0.05, 20)] = 1.6,
    longest: Annotated[float, Unit("s"), Range(0.000_1, 10)] = 0.1,
    hold: Hold = 2.0,
    boot_within: Boot = 60.0,
    register_within: Register = FROM_RAT,
) -> None:
    """Check a modem as a buyer does; the table is the result ``modem_qualification``, a row a check.

    firmware (identity, IMEI; begins with ``firmware`` where given), euicc (the card's EID through the modem), bands
    (those of ``bands`` such as ``3,8,20`` are allowed, the serving one can be locked and given back), plmn-selection
    (manual and back to automatic), fplmn (a forbidden network is left alone and clearing EF.FPLMN brings it back),
    attach-failure (rejected with cause 17 for ``sustained`` s, then back by itself within ``attach_again_within``;
    T3402 is 720 s), lock-up (the recovery ladder, when the modem hangs within ``hangs_within`` s; skipped without),
    restart (by command and by power), brown-out (dips to ``deepest`` below the station's voltage, up to ``longest`` s).
    A check that fails does not end the run; what modem or station have no means for is inconclusive. ``skip`` names
    checks to leave out.
    """
    job = _Qualification(station, cell, hold, boot_within, register_within)
    checks = (
        _Check(
            "firmware", job.firmware(firmware),
            f"begins with {firmware}" if firmware else "identified, IMEI valid", "AT+CGMI, +CGMM, +CGMR, +CGSN",
        ),
        _Check("euicc", job.euicc, "EID through the modem", "ES10c.GetEID on the modem's logical channel"),
        _Check(
            "bands", job.bands(bands),
            f"{bands} allowed, lock holds" if bands else "lock on the serving band holds",
            "the modem's band settings and serving cell",
        ),
        _Check(
            "plmn-selection", job.plmn_selection, "manual on the home network, back to automatic", "AT+COPS, +CEREG"
        ),
        _Check(
            "fplmn", job.fplmn(visited_plmn, quiet), f"{visited_plmn} left alone for {quiet:g} s, then cleared",
            "EF.FPLMN by +CRSM, +CEREG",
        ),
        _Check(
            "attach-failure", job.attach_failure(sustained, attach_again_within),
            f"registers by itself {attach_again_within:g} s after {sustained:g} s of rejects",
            "the emulator's rejects, +CEREG",
        ),
        _Check(
            "lock-up", job.lock_up(hangs_within, recover_within), f"serves again within {recover_within:g} s",
            "the recovery ladder, AT, +CEREG",
        ),
        _Check(
            "restart", job.restart, f"answers within {boot_within:g} s, by command and by power",
            "AT after reset command and supply",
        ),
        _Check(
            "brown-out", job.brown_out(deepest, longest), f"no hang down to {deepest:g} V below, {longest:g} s",
            "AT after the supply's dips",
        ),
    )  # fmt: skip
    skipped = chosen(skip, tuple(check.name for check in checks))
    rows: list[Row] = []
    for check in checks:
        name = check.name
        row = Row(name, limit=check.limit, source=check.source)
        rows.append(row)
        if name in skipped:
            row.verdict, row.value = "skipped", "left out by skip"
        elif name == "lock-up" and not hangs_within:
            row.verdict, row.value = "skipped", "nobody can order a lock-up: hangs_within waits for one"
        else:
            await job.check(row, check.body)
        modem = station.modem.identity
        about = {"modem": f"{modem.manufacturer} {modem.model}", "firmware": modem.firmware}
        station.result("modem_qualification", {**about, "rows": [asdict(one) for one in rows]})
    async with station.step("table") as step:
        for row in rows:
            step.note(f"{row.check:<15} {row.verdict:<13} {row.value or row.limit}")
        for verdict in ("pass", "fail", "inconclusive", "skipped"):
            step.measure(verdict, sum(row.verdict == verdict for row in rows))
    failed = [row for row in rows if row.verdict == "fail"]
    if failed:
        raise DeviceFailure(
            f"the modem does not qualify: {'; '.join(f'{row.check}: {row.value}' for row in failed)}",
            where=f"{len(failed)} of {sum(row.verdict != 'skipped' for row in rows)} checks",
            hint="each failed check has its step above; 'skip' leaves a check out",
        )


def chosen(text: str, known: tuple[str, ...]) -> frozenset[str]:
    """Return the names of a list such as ``fplmn, brown-out``. Raises ConfigurationError for an unknown one."""
    names = frozenset(part.strip() for part in text.split(",") if part.strip())
    if unknown := names - set(known):
        raise ConfigurationError(
            f"no check is called {', '.join(sorted(unknown))}", hint=f"there are {', '.join(known)}"
        )
    return names


def band_numbers(text: str) -> tuple[int, ...]:
    """Return the bands of a list such as ``3, 8, 20``. Raises ConfigurationError."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if any(not part.isdecimal() or not 1 <= int(part) <= 256 for part in parts):
        raise ConfigurationError(f"'{text}' is no list of bands", hint="numbers separated by commas: 3,8,20")
    return tuple(int(part) for part in parts)


class _Qualification:
    """The checks of one run; each begins with a modem that is on and registered, on the cells there were."""

    def __init__(self, station: Station, cell: int, hold: float, boot_within: float, register_within: float) -> None:
        self.station = station
        self.cell = cell
        self.hold = hold
        self.boot_within = boot_within
        self.register_within = register_within

    async def check(self, row: Row, body: Body) -> None:
        """Make one check: a failure is the row's, and the next check is made all the same."""
        clock = self.station.clock
        begin = clock.now()
        try:
            async with self.station.step(row.check) as step:
                await self._ready()
                begin = clock.now()
                try:
                    await body(step, row)
                except Refused as error:
                    row.value = error.what
                    step.inconclusive(f"{row.check} cannot be checked here: {error.what}")
                else:
                    row.verdict = "pass"
        except DeviceFailure as error:
            row.verdict, row.value = "fail", error.what
        row.seconds = round(clock.now() - begin, 3)
        if row.verdict == "fail":
            await self._afresh()

    async def _ready(self) -> None:
        """Have the modem on, its card there, and the device registered."""
        await powered(self.station, self.boot_within)
        await self.station.wait_registered(timeout=self.register_within)

    async def _afresh(self) -> None:
        """After a failure: nothing of it may be left for the next check, unless the modem does not even boot."""
        try:
            async with self.station.step("afresh", decisive=False):
                await self.station.power.cycle(hold=self.hold)
                await self.station.modem.wait_ready(timeout=self.boot_within)
        except DeviceFailure as error:
            self.station.note(f"not even a power cycle brings the modem back: {error.what}")

    # --- identity and card ----------------------------------------------------------------------------------------

    def firmware(self, wanted: str) -> Body:
        """Who it is: AT+CGMI, +CGMM, +CGMR, +CGSN."""

        async def body(step: Step, row: Row) -> None:
            found, imei = self.station.modem.identity, self.station.modem.imei
            row.value = f"{found.manufacturer} {found.model}, {found.firmware or 'no firmware version'}, IMEI {imei}"
            if not (len(imei) == 15 and imei.isdecimal() and ids.luhn_digit(imei[:14]) == imei[14]):
                step.fail(
                    f"'{imei}' is no IMEI (23.003 section 6.2.1)",
                    where="AT+CGSN",
                    hint="was the modem never given one? its maker's tool writes it once",
                )
            if not found.firmware or not found.firmware.startswith(wanted):
                step.fail(
                    f"the firmware is {found.firmware or 'not told'}, not {wanted or 'known'}",
                    where="AT+CGMR",
                    hint="flash the firmware wanted, or correct the parameter 'firmware'",
                )

        return body

    async def euicc(self, step: Step, row: Row) -> None:
        """The eUICC through the modem's logical channels, told by the card's own EID."""
        eid = await self.station.modem.eid()
        row.value = f"EID {eid} in slot {await self.station.modem.slot()}"
        if not ids.check_eid(eid):
            step.fail(
                f"{eid} is no EID: its check digits are wrong (SGP.29)",
                where="ES10c.GetEID",
                hint="is the card a test card with an EID of its own making?",
            )
        if self.station.config.eid and eid != self.station.config.eid:
            step.fail(
                f"the EID is {eid}, not {self.station.config.eid}",
                where="ES10c.GetEID",
                hint="put the right card in, or correct 'eid' in bench.toml",
            )

    # --- bands and networks ---------------------------------------------------------------------------------------

    def bands(self, text: str) -> Body:
        """The bands that are allowed, and a lock on the serving one."""
        wanted = band_numbers(text)

        async def body(step: Step, row: Row) -> None:
            modem = self.station.modem
            before = await modem.bands()
            serving = await modem.serving_cell()
            row.value = "; ".join(f"{rat}: {','.join(map(str, own))}" for rat, own in before.items())
            allowed = {band for own in before.values() for band in own}
            if missing := sorted(set(wanted) - allowed):
                step.fail(
                    f"band {', '.join(map(str, missing))} is not allowed",
                    where=row.value,
                    hint="is it a variant for another region, or was the band switched off by AT?",
                )
            rat = next((name for name, own in before.items() if serving and serving.band in own), "")
            if serving is None or serving.band is None or not rat:
                raise Refused(
                    "the modem does not tell its serving band",
                    hint="is it registered on LTE, and does its firmware have the maker's cell command?",
                )
            try:
                await modem.set_bands({rat: (serving.band,)})
                again = await self.station.wait_registered(timeout=self.register_within)
                step.measure("time_to_register_locked", again.elapsed, unit="s")
            finally:
                await modem.set_bands({rat: before[rat]})
            after = await modem.bands()
            if sorted(after[rat]) != sorted(before[rat]):
                step.fail(
                    f"the bands of {rat} are {after[rat]} after the lock, before {before[rat]}",
                    where="bands",
                    hint="set them again by the maker's command before the modem is used: the lock may still be on",
                )
            row.figures["locked"] = serving.band

        return body

    async def plmn_selection(self, step: Step, row: Row) -> None:
        """Manual selection of the network it is on, deregistration before it, automatic after it (27.007 7.3)."""
        modem = self.station.modem
        home = (await self.station.wait_registered(timeout=self.register_within)).plmn
        try:
            await modem.command("AT+COPS=2", timeout=_SCAN)
            if (seen := await modem.registration()).registered:
                step.fail(
                    f"registered on {seen.plmn} after it was told to deregister",
                    where="AT+COPS=2",
                    hint="it must deregister (27.007 section 7.3): does the firmware force automatic selection?",
                )
            begin = self.station.clock.now()
            await modem.command(f'AT+COPS=1,2,"{home}"', timeout=_SCAN)
            await self.station.wait_registered(plmn=home, timeout=self.register_within)
            manual = round(self.station.clock.now() - begin, 3)
            row.figures["manual"] = manual
        finally:
            await modem.command("AT+COPS=0", timeout=_SCAN)
        back = await self.station.wait_registered(timeout=self.register_within)
        row.value = f"{home} by hand in {manual:.1f} s, {back.plmn} automatically"
        step.measure("time_to_register_manual", manual, unit="s", upper=self.register_within)

    def fplmn(self, visited: str, quiet: float) -> Body:
        """``fplmn-recovery`` as a part."""

        async def body(step: Step, row: Row) -> None:
            await fplmn_recovery(
                self.station, cell=self.cell, visited_plmn=visited, quiet=quiet, boot_within=self.boot_within,
                register_within=self.register_within,
            )  # fmt: skip
            row.value = f"{visited} left alone while it was in EF.FPLMN, used after it was cleared"

        return body

    def attach_failure(self, sustained: float, within: float) -> Body:
        """Every attach is rejected for a long time; then the network is well again, and nobody touches the device."""

        async def body(step: Step, row: Row) -> None:
            network, clock = self.station.network, self.station.clock
            others = [number for number in await network.cells() if number != self.cell]
            off = [number for number in others if await network.cell_on(cell=number)]
            try:
                await network.reject("attach", _NETWORK_FAILURE, cell=self.cell)
                for number in off:
                    await network.set_cell(False, cell=number)
                await self.station.power.cycle(hold=self.hold)
                await self.station.modem.wait_ready(timeout=self.boot_within)
                begin = clock.now()
                while clock.now() - begin < sustained:
                    if (seen := await self.station.modem.registration()).registered:
                        step.fail(
                            f"registered on {seen.plmn} although every attach is rejected",
                            where="+CEREG",
                            hint="did the emulator send the rejects, and is another network on the air?",
                        )
                    await clock.sleep(_LOOK)
                await network.reject("attach", None, cell=self.cell)
                again = await self.station.wait_registered(timeout=within)
            finally:
                await network.reject("attach", None, cell=self.cell)
                for number in off:
                    await network.set_cell(True, cell=number)
            step.measure("time_to_attach_again", again.elapsed, unit="s", upper=within)
            row.figures["attach_again"] = round(again.elapsed, 3)
            row.value = f"back by itself {again.elapsed:.0f} s after {sustained:g} s of EMM cause {_NETWORK_FAILURE}"

        return body

    # --- lock-up, restart, brown-out ------------------------------------------------------------------------------

    def lock_up(self, hangs_within: float, within: float) -> Body:
        """``modem-lockup-watchdog`` as a part."""

        async def body(step: Step, row: Row) -> None:
            await modem_lockup_watchdog(
                self.station, hangs_within=hangs_within, recover_within=within, boot_within=self.boot_within,
                register_within=self.register_within,
            )  # fmt: skip
            row.value = "hung, was brought back by the ladder, and registered"

        return body

    async def restart(self, step: Step, row: Row) -> None:
        """By its own command, and by taking its power."""
        modem, clock = self.station.modem, self.station.clock
        figures: dict[str, float | str] = {}
        begin = clock.now()
        try:
            await modem.reset(timeout=self.boot_within)
            figures["by_command"] = round(clock.now() - begin, 3)
        except Refused as error:
            step.note(f"no restart by command: {error.what}")
        cycle = await self.station.power.cycle(
            hold=self.hold, booted=lambda: modem.wait_ready(timeout=self.boot_within)
        )
        figures["by_power"] = round(cycle.boot_time or 0.0, 3)
        for name, seconds in figures.items():
            step.measure(name, seconds, unit="s", upper=self.boot_within)
        row.figures.update(figures)
        row.value = ", ".join(f"{name.replace('_', ' ')} {seconds} s" for name, seconds in figures.items())
        await modem.wait_sim_ready(timeout=self.boot_within)
        again = await self.station.wait_registered(timeout=self.register_within)
        step.measure("time_to_register", again.elapsed, unit="s", upper=self.register_within)

    def brown_out(self, deepest: float, longest: float) -> Body:
        """``brown-out-sweep`` as a part: three depths, two widths."""

        async def body(step: Step, row: Row) -> None:
            await brown_out_sweep(
                self.station, shallowest=deepest / 4, deepest=deepest, depths=3, shortest=longest / 10,
                longest=longest, widths=2, boot_within=self.boot_within, register_within=self.register_within,
            )  # fmt: skip
            row.value = "rides through or reboots, and never hangs"

        return body
