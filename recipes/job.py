"""The steps that recipes have in common, with what they know in common: power, registration, data, polls, switches.

A step says where it needs the card (``ipa``, ``modem``): on a station with a SIM switch it is moved there, on every
other one nothing happens, so that one recipe serves both.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.engine.recipe import Station
from bench.errors import DeviceFailure, EimUnreachable
from bench.station.interfaces import (
    BoundPath,
    CardProfile,
    EimOrder,
    IpaService,
    Modem,
    PollResult,
    Registration,
    is_external,
)
from recipes.judging import judge, settled
from recipes.parameters import Deadlines, Profiles
from recipes.servers import missing_events
from recipes.serving import serve
from recipes.words import listing, order_failed, require_success


@dataclass(frozen=True, slots=True)
class Phase:
    """What the device must show while one profile is enabled. Empty RAT and PLMN accept any."""

    name: str
    plmn: str
    rat: str
    apn: str
    register_within: float


class Job:
    """The steps of one run, by the parameters of its recipe. ``eid``: of the card, known from the start state on."""

    def __init__(self, station: Station, profiles: Profiles = Profiles(), deadlines: Deadlines = Deadlines()) -> None:
        self.station = station
        self.package = profiles.profile
        """Of the SM-DP+: the profile that the run is about."""
        self.bootstrap_iccid = profiles.bootstrap_iccid
        """Of the bootstrap profile, empty where it is the card's only other one."""
        self.bootstrap = Phase(
            "bootstrap",
            profiles.bootstrap_plmn,
            profiles.bootstrap_rat,
            profiles.bootstrap_apn,
            deadlines.register_within,
        )
        self.operational = Phase(
            "operational",
            profiles.operational_plmn,
            profiles.operational_rat,
            profiles.operational_apn,
            deadlines.register_within,
        )
        self.boot_within = deadlines.boot_within
        self.download_within = deadlines.download_within
        self.switch_within = deadlines.switch_within
        self.eid = ""
        self.dns: tuple[str, ...] = ()
        self.polls: list[PollResult] = []
        self._served = ""

    # --- where the card is ----------------------------------------------------------------------------------------

    @property
    def moves(self) -> bool:
        """Whether a SIM switch moves the card between reader and modem."""
        return self.station.config.card is not None and self.station.config.card.at == "switch"

    @property
    def by_radio(self) -> bool:
        """Whether the IPA's traffic takes the device's radio."""
        return self.station.data.bearer != "host"

    async def ipa(self) -> IpaService:
        """Return the IPA, with the card where it reaches it."""
        await self.station.card_to("reader")
        return self.station.ipa

    async def modem(self) -> Modem:
        """Return the modem, with the card in it."""
        await self.station.card_to("modem")
        return self.station.modem

    async def profiles(self) -> list[CardProfile]:
        """Return the profiles as the card lists them."""
        return list(await (await self.ipa()).profiles())

    # --- power and radio ------------------------------------------------------------------------------------------

    async def power_on(self) -> None:
        """Have the device powered and its modem answering; the card in it ready, unless it is moved."""
        if not await self.station.power.output():
            await self.station.power.set_output(True)
        await self.station.modem.wait_ready(timeout=self.boot_within)
        if not self.moves:
            await self.station.modem.wait_sim_ready(timeout=self.boot_within)

    async def power_cycle(self, hold: float) -> None:
        """Remove power until the rail is dead, hold it off, restore it."""
        await self.station.card_to("modem")
        async with self.station.step("power-cycle") as step:
            cycle = await self.station.power.cycle(hold=hold)
            step.measure("time_to_dead", cycle.time_to_dead, unit="s")

    async def modem_ready(self) -> None:
        """Wait for the AT port and the card after power has come back."""
        async with self.station.step("modem-ready", timeout=self.boot_within) as step:
            boot = await self.station.modem.wait_ready(timeout=self.boot_within)
            step.measure("boot_time", boot, unit="s", upper=self.boot_within)
            await self.station.modem.wait_sim_ready(timeout=self.boot_within)
            eid = await (await self.ipa()).eid()
            if eid != self.eid:
                raise DeviceFailure(
                    f"another card answers after the power cycle: {eid}, before {self.eid}",
                    hint="was it exchanged during the run, or has the modem changed to another slot?",
                )
            step.note(f"IMEI {self.station.modem.imei}, EID {eid}")

    async def register(self, phase: Phase, *, step_name: str = "") -> Registration:
        """Wait for registration on the network of the phase."""
        async with self.station.step(step_name or f"register-{phase.name}") as step:
            modem = await self.modem()
            # The APN of the attach lives in the modem and survives the profile: left as it was, it looks like no radio.
            await modem.define_pdp(phase.apn)
            registration = await self.station.wait_registered(
                plmn=phase.plmn or None, rat=phase.rat or None, timeout=phase.register_within
            )
            step.measure("time_to_register", registration.elapsed, unit="s", upper=phase.register_within)
            step.note(f"{registration.rat} {registration.plmn}, stat {registration.status} ({registration.source})")
            for name, value in (await modem.signal()).items():
                if value is not None:
                    step.measure(name, value, unit="dBm" if name == "rsrp" else "dB")
        return registration

    async def open_data(self, phase: Phase, *, step_name: str = "") -> None:
        """Activate the PDP context of the phase."""
        async with self.station.step(step_name or f"data-{phase.name}") as step:
            context = await (await self.modem()).activate_pdp(phase.apn)
            if not context.address:
                raise DeviceFailure(
                    f"the PDP context on APN {phase.apn} has no address",
                    where="+CGPADDR",
                    hint="is the APN right for this profile, and does the network assign addresses (IPv4)?",
                )
            self.dns = context.dns
            if isinstance(self.station.data, BoundPath):
                self.station.data.name_servers = context.dns
            step.note(f"APN {phase.apn}: address {context.address}, DNS {', '.join(context.dns) or 'none'}")

    async def connect(self, phase: Phase, *, suffix: str) -> None:
        """Have what the IPA's traffic needs: registration and data, where it takes the radio."""
        await self.serve(phase)
        if self.by_radio:
            await self.register(phase, step_name=f"register-{suffix}")
            await self.open_data(phase, step_name=f"data-{suffix}")

    async def serve(self, phase: Phase) -> None:
        """Have an emulator that holds one profile at a time hold that of the phase (``recipes.serving``)."""
        if self._served != phase.name and await serve(self.station, phase.name, phase.plmn):
            self._served = phase.name

    async def verify_identity(self, iccid: str, *, step_name: str = "identity") -> str:
        """Read ICCID and IMSI back from the card through the modem's +CRSM, never from an answer of the job."""
        async with self.station.step(step_name) as step:
            modem = await self.modem()
            found = await modem.iccid()
            if found != iccid:
                raise DeviceFailure(
                    f"EF.ICCID holds {found}, expected {iccid}",
                    where="+CRSM 2FE2",
                    hint="the modem reads another profile than the one enabled: has it taken over the REFRESH?",
                )
            card_imsi = await modem.card_imsi()
            used = await modem.imsi()
            if card_imsi != used:
                raise DeviceFailure(
                    f"the modem uses IMSI {used}, the card holds {card_imsi}",
                    where="+CIMI and +CRSM 6F07",
                    hint="the modem ignored the REFRESH: reset it (AT+CFUN=1,1)",
                )
            step.note(f"ICCID {found}, IMSI {card_imsi}")
        return card_imsi

    async def exchange_data(self, *, step_name: str = "https") -> None:
        """Resolve a name at the DNS server of the PDP context and make one HTTPS exchange over the device's path."""
        async with self.station.step(step_name) as step:
            url = f"https://{self.station.eim.fqdn}/"
            if self.dns and self.by_radio:
                addresses = await self.station.data.resolve(self.station.eim.fqdn, server=self.dns[0], timeout=60.0)
                step.note(f"{self.station.eim.fqdn} is {', '.join(addresses)} at {self.dns[0]}")
            answer = await self.station.https_get(url, timeout=60.0, dns=self.dns)
            step.measure("bytes", answer.bytes_sent + answer.bytes_received, unit="B")
            if is_external(self.station.eim) and 300 <= answer.status < 500:
                step.note(f"HTTP {answer.status}: the lab's own eIM has nothing at /, and answers over the data path")
            elif not 200 <= answer.status < 300:
                raise DeviceFailure(
                    f"{url} answered HTTP {answer.status}",
                    where=self.station.data.bearer,
                    hint="the way is there, the server refuses: its log is beside the run (eim.log)",
                )

    # --- orders ---------------------------------------------------------------------------------------------------

    async def poll(self, name: str, *, measured: bool = False, packages: int | None = None) -> PollResult:
        """Let the IPA poll its eIM as a step of its own."""
        async with self.station.step(name) as step:
            ipa = await self.ipa()
            before = self.station.clock.now()
            poll = await ipa.poll(packages=packages, timeout=self.download_within)
            if measured:
                step.measure("duration", self.station.clock.now() - before, unit="s")
                step.measure("apdus", poll.apdus)
                step.measure("esipa_bytes", poll.bytes_sent + poll.bytes_received, unit="B")
            step.note(f"{poll.packages} packages, {len(poll.downloads)} downloads, {poll.notifications} notifications")
        self.polls.append(poll)
        return poll

    async def require_done(self, order: EimOrder, what: str, poll: PollResult | None = None) -> EimOrder:
        """Require that the eIM has the eUICC's verified result of an order, and that it is a success.

        With the lab's own eIM the card is asked, and the eIM's word compared with it (``recipes.judging``).
        """
        if is_external(self.station.eim):
            shown = await settled(self.station, order.order_id)
            polls = self.polls if poll is None or poll in self.polls else [*self.polls, poll]
            judge(self.station, shown, what, polls, await self.profiles())
        else:
            shown = await self.station.eim.show(order.order_id)
            require_success(shown, poll, what)
        return shown

    async def carry_out(self, name: str, order: EimOrder, what: str) -> EimOrder:
        """Poll for an order that changes no profile state, and require that it is done."""
        poll = await self.poll(name)
        return await self.require_done(order, what, poll)

    async def download(self, order: EimOrder, iccid: str, *, step_name: str = "download") -> PollResult:
        """Indirect download through the eIM: one poll loop, then the order's result and the card's own list."""
        async with self.station.step(step_name, timeout=self.download_within) as step:
            poll = await self.poll("poll", measured=True)
            await self.require_done(order, "the download", poll)
            if poll.immediate_enabled:
                raise DeviceFailure(
                    f"{iccid} was enabled at once, without an order",
                    where=f"card {self.eid}",
                    hint="immediate enabling is configured on the card",
                )
            profiles = await self.profiles()
            if not any(profile.iccid == iccid and not profile.enabled for profile in profiles):
                raise DeviceFailure(
                    f"the eIM has an installation result, but the card does not list {iccid} as disabled",
                    where=listing(profiles),
                    hint="the eUICC reported success, and its own list differs: 'bench euicc profiles' shows it",
                )
            step.note(f"{iccid} is installed: {listing(profiles)}")
        return poll

    # --- switches -------------------------------------------------------------------------------------------------

    async def switch(self, iccid: str, to: Phase, *, rollback: bool = True, step_name: str = "switch") -> EimOrder:
        """Signed enable, then REFRESH seen or the card reset. The result stays on the card until the next poll."""
        async with self.station.step(step_name, timeout=self.switch_within):
            order = await self.station.eim.order_enable(self.eid, iccid, rollback=rollback)
            poll = await self.poll("poll", measured=True)
            if not poll.profile_changed:
                raise order_failed(await self.station.eim.show(order.order_id), poll, "the switch")
            await self.refresh(to)
        return order

    async def refresh(self, to: Phase) -> None:
        """Have the modem work with the profile that the card has switched to."""
        await self.serve(to)
        async with self.station.step("refresh") as step:
            if self.moves:
                # The IPA has reset the card in the reader; the modem starts it anew when it is put in.
                await (await self.modem()).define_pdp(to.apn)
                step.note("the card was put into the modem")
                return
            await self.station.modem.define_pdp(to.apn)  # before the attach that follows the REFRESH
            seen = await self.station.modem.refresh_card(timeout=self.switch_within)
            step.note("REFRESH seen" if seen == "refresh" else "the card was reset by the modem")

    async def settled(self, iccid: str, to: Phase, order: EimOrder, what: str, *, suffix: str) -> None:
        """After a switch: registration, identity, data, and the result delivered and verified at the eIM."""
        await self.register(to, step_name=f"register-{suffix}")
        await self.verify_identity(iccid, step_name=f"identity-{suffix}")
        await self.open_data(to, step_name=f"data-{suffix}")
        poll = await self.poll(f"deliver-{suffix}")
        await self.require_done(order, what, poll)

    async def roll_back(self, back: str, to: Phase) -> None:
        """Return to the profile left, so that the device can be reached again; the first failure stays the verdict."""
        async with self.station.step("rollback", decisive=False) as step:
            try:
                if not await (await self.ipa()).rollback():
                    step.note("the card refused to roll back")
                    return
                await self.refresh(to)
                await self.connect(to, suffix="rollback")
                await self.poll("deliver-rollback")
                step.note(f"back on {back}")
            except (DeviceFailure, EimUnreachable) as error:
                step.note(f"the way back failed too: {error}")

    async def state_changes(self) -> float:
        """Return a mark behind the changes of state that the eIM was told of so far, for ``require_told``."""
        found = await self.station.eim.state_changes(self.eid)
        return float(str(found[-1].get("at", 0.0))) if found else 0.0

    async def require_told(self, mark: float, cause: str) -> None:
        """Require that the IPA has told the eIM of a change since ``mark`` (stateChangeCause of GetEimPackage)."""
        changes = await self.station.eim.state_changes(self.eid)
        causes = [str(change.get("cause")) for change in changes if float(str(change.get("at", 0.0))) > mark]
        if cause not in causes:
            raise DeviceFailure(
                f"the eIM was told of {', '.join(causes) or 'no state change'}, not of {cause}",
                where="stateChangeCause in ESipa.GetEimPackage",
                hint="the IPA tells it once, with its first poll after the change: look at lane esipa",
            )

    async def require_events(self, matching_id: str, *events: str) -> None:
        """Require that the SM-DP+ has the profile installed, and these notifications of it (in any order)."""
        failure = await missing_events(self.station, self.eid, matching_id, *events)
        if failure is not None:
            raise failure
