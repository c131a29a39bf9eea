"""The steps of recipes for a device whose own firmware polls: nothing is asked of its modem or its card.

What the device does is observed by whoever can tell (``station.observe``); what became of an order is the eUICC's
signed result at the eIM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.engine.observe import Observation
from bench.engine.recipe import Station
from bench.errors import BenchError, DeviceFailure, InstrumentError
from bench.station.dut_parts import Console, CountsPolls
from bench.station.interfaces import EimOrder, is_external, offers
from recipes.words import require_success, results_of

_LOOK = 2.0
"""Seconds of station time between two questions to the eIM about an order."""
_EID_AGAIN = 5.0
"""Seconds of station time between two questions for the EID."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A profile as the eUICC listed it in a signed result."""

    iccid: str
    enabled: bool
    name: str = ""


class DeviceJob:
    """One run. ``eid``: of the card in the device; ``booted``: station time of the last power-up."""

    def __init__(self, station: Station, *, boot_within: float, register_within: float, poll_within: float) -> None:
        self.station = station
        self.boot_within = boot_within
        self.register_within = register_within
        self.poll_within = poll_within
        self.eid = ""
        self.booted = 0.0
        self._powered = False

    # --- power and network ----------------------------------------------------------------------------------------

    async def _network_anew(self) -> None:
        """Have the emulator forget whom it saw: a device without power has not said good-bye to it."""
        for cell in await self.station.network.cells():
            if await self.station.network.cell_on(cell=cell):
                await self.station.network.set_cell(False, cell=cell)
            await self.station.network.set_cell(True, cell=cell)

    async def power_cycle(self, hold: float, *, name: str = "power-cycle") -> None:
        """Take every supply from the device until its rail is dead, restore it, and see it boot."""
        async with self.station.step(name) as step:
            restart = self._network_anew if self.station.has("network") else None
            cycle = await self.station.dut.power_cycle(hold=hold, while_off=restart)
            self.booted = self.station.clock.now()
            self._powered = True
            step.measure("time_to_dead", cycle.time_to_dead, unit="s")

    async def boot(self, *, name: str = "boot") -> None:
        """Wait until the device has booted, and learn which firmware it runs."""
        async with self.station.step(name) as step:
            seen = await self.observe("booted", timeout=self.boot_within, since=self.booted)
            if seen is not None:
                step.measure("boot_time", seen.elapsed, unit="s", upper=self.boot_within, source=seen.source)
            firmware = await self.station.dut.firmware(since=self.booted)
            step.note(f"firmware {firmware}" if firmware else "the device does not tell its firmware's version")

    async def registered(self, name: str, plmn: str) -> Observation | None:
        """Wait until the device is registered; on ``plmn`` where its source can tell."""
        async with self.station.step(name) as step:
            values = {"plmn": plmn} if plmn else None
            seen = await self.observe("registered", timeout=self.register_within, since=self.booted, values=values)
            if seen is not None:
                since_power = self.station.clock.now() - self.booted
                step.measure("time_to_register", since_power, unit="s", source=seen.source)
        return seen

    async def observe(
        self,
        name: str,
        *,
        timeout: float,
        since: float | None = None,
        values: Mapping[str, str] | None = None,
        polls: int | None = None,
        order: str = "",
    ) -> Observation | None:
        """Observe, and say in the journal who told what."""
        seen = await self.station.observe(
            name, timeout=timeout, since=since, values=values, eid=self.eid, polls=polls, order=order
        )
        if seen is not None:
            self.station.note(f"{name} ({seen.source}): {seen.text}")
        return seen

    # --- who it is ------------------------------------------------------------------------------------------------

    async def identify(self) -> None:
        """Learn the EID: from the device's console, else as bench.toml or the command line names it."""
        pinned = self.station.config.eid
        told = await self._told_eid()
        if told and pinned and told != pinned:
            from bench.station.drivers import WrongInstrument

            raise WrongInstrument(
                f"the card in the device has EID {told}, not {pinned}",
                where=self.station.config.origin,
                hint="put the right device there, or correct 'eid'",
            )
        self.eid = told or pinned
        if not self.eid:
            raise BenchError(
                "nobody tells the EID of the card in the device",
                where=self.station.config.origin,
                hint="give it: dut = { eid = '...' } or --eid, or a console with a pattern 'eid'",
            )
        self.station.identify("eid", self.eid, source="console" if told else "bench.toml")
        await self.station.eim.register(self.eid)

    async def _told_eid(self) -> str:
        console = next((item for item in self.station.consoles.values() if item.knows("eid")), None)
        if console is None:
            return ""
        if not console.accepts("eid"):
            return await self._said_eid(console, self.boot_within, self.booted, 0)
        until = self.station.clock.now() + self.boot_within
        while self.station.clock.now() < until:  # right after its boot a device has not read its card yet
            mark = console.mark()
            await console.command("eid")
            told = await self._said_eid(console, _EID_AGAIN, 0.0, mark)
            if told:
                return told
        return ""

    async def _said_eid(self, console: Console, within: float, since: float, after: int) -> str:
        try:
            found = await console.wait("eid", timeout=within, since=since, after=after)
        except DeviceFailure:
            return ""
        return found.values.get("eid", "")

    async def associate(self) -> None:
        """Give the device this eIM's configuration by its factory command, where it has one and has no eIM yet.

        Without such a command the device must have come with it: that it polls this eIM will show it.
        """
        station = self.station
        console = station.dut.console_for("add_eim")
        if console is None or not offers(station.eim, "configuration"):
            station.note(f"the device must be associated with eIM {station.eim.eim_id} already")
            return
        mark = console.mark()
        configuration = await station.eim.initial_configuration(self.eid)  # with the counter of this card
        await console.command("add_eim", configuration=configuration.hex())
        if console.knows("eim"):
            found = await console.wait("eim", timeout=self.boot_within, after=mark)
            if found.values.get("error", "").startswith("associatedEimAlreadyExists"):
                station.note("the card has an eIM already, and takes no other one so (SGP.32 section 5.9.4)")
            else:
                station.note(f"{console.name}: {found.line}")

    # --- polling --------------------------------------------------------------------------------------------------

    async def polls(self) -> int | None:
        """Return how often the eIM was polled by this device, None for an eIM that does not tell."""
        eim = self.station.eim
        return await eim.polls(self.eid) if isinstance(eim, CountsPolls) else None

    async def trigger(self) -> None:
        """Have the device poll as bench.toml says it can be made to; by its timer it needs nothing."""
        dut = self.station.dut
        if dut.config.poll_trigger == "console":
            await dut.command("poll")
        elif dut.config.poll_trigger == "power" and not self._powered:
            await self.power_cycle(2.0, name="poll-by-power")
        self._powered = False

    async def poll(self, name: str) -> Observation | None:
        """Wait until the device has polled its eIM."""
        async with self.station.step(name) as step:
            before, since = await self.polls(), self.station.clock.now()
            await self.trigger()
            seen = await self.observe("polled", timeout=self.poll_within, since=since, polls=before)
            if seen is not None:
                step.measure("time_to_poll", seen.elapsed, unit="s", source=seen.source)
        return seen

    # --- orders ---------------------------------------------------------------------------------------------------

    async def final(self, order: EimOrder, what: str, *, within: float) -> EimOrder:
        """Wait until an order is final, whatever became of it. ``within`` in station seconds."""
        eim, clock = self.station.eim, self.station.clock
        until = clock.now() + within
        while not (shown := await eim.show(order.order_id)).final:
            if clock.now() >= until:
                raise DeviceFailure(
                    f"{what} is still {shown.state} after {within:g} s",
                    where=f"eIM order {order.order_id}",
                    hint="the device did not poll" if shown.state == "pending" else "the device did not finish it",
                )
            await clock.sleep(_LOOK)
        return shown

    async def ended(self, order: EimOrder, what: str, *, within: float) -> EimOrder:
        """Wait for the end of an order; require the eUICC's verified, good result. ``within`` in station seconds.

        The word of an eIM of the lab is a note: the recipe goes on to observe the device, and where nobody can tell
        what it did, that step is inconclusive.
        """
        shown = await self.final(order, what, within=within)
        if is_external(self.station.eim) and shown.state == "done" and shown.verified is None:
            self.station.note(f"{what} is done, says the lab's own eIM; what the device is seen to do next decides")
        else:
            require_success(shown, None, what)
        return shown

    async def carry_out(self, name: str, order: EimOrder, what: str, *, within: float | None = None) -> EimOrder:
        """Have the device poll for an order that switches nothing, and require its result."""
        async with self.station.step(name) as step:
            before = self.station.clock.now()
            await self.trigger()
            shown = await self.ended(order, what, within=(within or 0.0) + self.poll_within)
            step.measure("duration", self.station.clock.now() - before, unit="s", source="eim")
        return shown

    async def profiles(self, name: str) -> list[Listed]:
        """Return the profiles on the card, from the eUICC's signed listProfileInfo."""
        shown = await self.carry_out(name, await self.station.eim.order_list(self.eid), "the profile list")
        if is_external(self.station.eim) and "profiles" not in shown.result:
            raise InstrumentError(
                "the lab's own eIM does not tell which profiles are on the card, and nobody else can",
                where=f"eIM order {shown.order_id}",
                hint="add profiles and profile_iccid to the answer of [operations.show] of its template",
            )
        return listed(shown)


def listed(order: EimOrder) -> list[Listed]:
    """Return the profiles of a listProfileInfo order."""
    found: object = order.result.get("profiles")
    if found is None:
        found = next((result.get("profiles") for result in results_of(order) if result.get("profiles")), ())
    assert isinstance(found, Sequence)
    profiles = []
    for item in found:
        profiles.append(Listed(str(item.get("iccid", "")), bool(item.get("enabled")), str(item.get("name", ""))))
    return profiles
