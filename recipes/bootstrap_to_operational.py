"""The main job: from the bootstrap profile to an operational profile through the eIM, read back at every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from bench.engine.recipe import FROM_RAT, Choices, Range, Station, Unit, recipe
from bench.errors import DeviceFailure, EimUnreachable
from bench.station.drivers import WrongInstrument
from bench.station.interfaces import CardProfile, EimOrder, PollResult, Registration

Rat = Annotated[str, Choices("", "LTE", "LTE-M", "NB-IoT", "GSM")]


@dataclass(frozen=True, slots=True)
class Phase:
    """What the device must show while one profile is enabled."""

    name: str
    plmn: str
    rat: str
    apn: str
    register_within: float


@recipe(
    title="Bootstrap to operational",
    needs=("power", "modem", "card", "data", "eim", "smdpp", "ipa"),
    effects=("switches-profile", "deletes-profile", "consumes-profile"),
)
async def bootstrap_to_operational(
    station: Station,
    profile: str = "operational",
    bootstrap_iccid: str = "",
    bootstrap_plmn: str = "00101",
    bootstrap_rat: Rat = "",
    bootstrap_apn: str = "bootstrap.iot",
    operational_plmn: str = "99970",
    operational_rat: Rat = "",
    operational_apn: str = "internet",
    hold: Annotated[float, Unit("s"), Range(0.5, 900)] = 2.0,
    boot_within: Annotated[float, Unit("s"), Range(1, 300)] = 60.0,
    register_within: Annotated[float, Unit("s"), Range(1, 3600)] = FROM_RAT,
    download_within: Annotated[float, Unit("s"), Range(1, 7200)] = 900.0,
    switch_within: Annotated[float, Unit("s"), Range(1, 3600)] = 120.0,
) -> None:
    """Take the device from its bootstrap profile to an operational profile and prove it at every layer.

    The start state is reached by the protocol whatever the last run left: what is pending on the card is delivered,
    a signed switch leads back to the bootstrap profile and a signed delete removes the profile to be downloaded.
    Success is read back: ICCID and IMSI from the card through the modem, a PDP context and an HTTPS exchange on the
    new profile, the eUICC's signed result at the eIM, its notifications at the SM-DP+.
    ``bootstrap_iccid`` names the bootstrap profile where the card holds more than one other profile; empty RAT and
    PLMN accept any. SGP.32 sections 3.2.3.2 and 3.4.1.
    """
    bootstrap = Phase("bootstrap", bootstrap_plmn, bootstrap_rat, bootstrap_apn, register_within)
    operational = Phase("operational", operational_plmn, operational_rat, operational_apn, register_within)
    job = _Job(station, bootstrap, operational, boot_within, switch_within, download_within)

    order = await station.smdpp.order(profile)
    station.note(f"SM-DP+ {order.smdp_address} has {order.iccid} ready as {order.matching_id}")
    start = await job.reach_start_state(order.iccid, bootstrap_iccid)

    async with station.step("power-cycle") as step:
        cycle = await station.power.cycle(hold=hold)
        step.measure("time_to_dead", cycle.time_to_dead, unit="s")
    await job.modem_ready()
    await job.register(bootstrap)
    await job.open_data(bootstrap)

    async with station.step("order") as step:
        download = await station.eim.order_download(job.eid, order.activation_code)
        step.note(f"eIM order {download.order_id}")
    await job.download(download, order.iccid)
    enable = await job.switch(order.iccid)
    try:
        await job.register(operational)
        await job.verify_identity(order.iccid)
        await job.open_data(operational)
        await job.exchange_data()
        report = await job.deliver_result()
    except (DeviceFailure, EimUnreachable):
        # The rollback is armed until the eIM's next package: without it the device would stay out of reach.
        await job.roll_back(start.iccid)
        raise
    await job.known_everywhere(download, enable, order.matching_id, report)


class _Job:
    """The steps, with what they know in common."""

    def __init__(
        self,
        station: Station,
        bootstrap: Phase,
        operational: Phase,
        boot_within: float,
        switch_within: float,
        download_within: float,
    ) -> None:
        self.station = station
        self.bootstrap = bootstrap
        self.operational = operational
        self.boot_within = boot_within
        self.switch_within = switch_within
        self.download_within = download_within
        self.eid = ""
        self.dns: tuple[str, ...] = ()
        self.polls: list[PollResult] = []

    # --- start state ----------------------------------------------------------------------------------------------

    async def reach_start_state(self, target: str, bootstrap_iccid: str) -> CardProfile:
        """Bring card and eIM to the bootstrap profile without ``target``; return the bootstrap profile."""
        station = self.station
        async with station.step("start-state") as step:
            await self._power_on()
            self.eid = await station.ipa.eid()
            pinned = station.config.eid
            if pinned and pinned != self.eid:
                raise WrongInstrument(
                    f"the card's EID is {self.eid}, not {pinned}",
                    where=station.config.card.origin if station.config.card else f"station {station.name}",
                    hint="put the right card in, or correct 'eid' in bench.toml",
                )
            station.identify("eid", self.eid, source="card")
            await station.eim.register(self.eid)
            await self._associate_eim()
            await self._cancel_open_orders()
            profiles = await station.ipa.profiles()
            start = _bootstrap_of(profiles, target, bootstrap_iccid)
            enabled = next((profile for profile in profiles if profile.enabled), None)
            target_on_card = any(profile.iccid == target for profile in profiles)
            step.note(_listing(profiles))
            await self._settle(enabled, start)
            if target_on_card:
                await self._delete(target)
            step.measure("polls", len(self.polls))
        return start

    async def _power_on(self) -> None:
        if not await self.station.power.output():
            await self.station.power.set_output(True)
        await self.station.modem.wait_ready(timeout=self.boot_within)
        await self.station.modem.wait_sim_ready(timeout=self.boot_within)

    async def _associate_eim(self) -> None:
        """Associate the eIM with a card that has none; any other eIM is the lab's to decide about."""
        eims = await self.station.ipa.eims()
        if not eims:
            await self.station.ipa.add_initial_eim(await self.station.eim.initial_configuration())
            self.station.note(f"associated eIM {self.station.eim.eim_id} (AddInitialEim)")
        elif self.station.eim.eim_id not in eims:
            raise DeviceFailure(
                f"the card is associated with {', '.join(eims)}, not with {self.station.eim.eim_id}",
                where=f"card {self.eid}",
                hint="use the eIM the card knows, or let that eIM add this one by a signed addEim",
            )

    async def _cancel_open_orders(self) -> None:
        for order in await self.station.eim.orders(self.eid):
            if not order.final:
                await self.station.eim.cancel(order.order_id)
                self.station.note(f"cancelled eIM order {order.order_id} ({order.kind}) left by an earlier run")

    async def _settle(self, enabled: CardProfile | None, start: CardProfile) -> None:
        """Register with what is enabled, deliver what is pending, switch back when it is not the bootstrap."""
        on_bootstrap = enabled is not None and enabled.iccid == start.iccid
        phase = self.bootstrap if on_bootstrap else self.operational
        await self.register(phase, step_name="register-left-over")
        await self.open_data(phase, step_name="data-left-over")
        # A result or notification of the last run is delivered first: the eIM discards results out of order.
        await self._poll("deliver-pending")
        if on_bootstrap:
            return
        order = await self.station.eim.order_enable(self.eid, start.iccid, rollback=False)
        poll = await self._poll("switch-back")
        if not poll.profile_changed:
            raise self._order_failed(await self.station.eim.show(order.order_id), poll, "the switch back")
        await self.station.modem.define_pdp(self.bootstrap.apn)
        await self.station.modem.refresh_card(timeout=self.switch_within)
        await self.register(self.bootstrap, step_name="register-back")
        await self.open_data(self.bootstrap, step_name="data-back")
        await self._poll("deliver-switch-back")
        await self._require_done(order, "the switch back")

    async def _delete(self, iccid: str) -> None:
        order = await self.station.eim.order_delete(self.eid, iccid)
        poll = await self._poll("delete")
        await self._require_done(order, "the delete", poll)

    # --- the job --------------------------------------------------------------------------------------------------

    async def modem_ready(self) -> None:
        """Wait for the AT port and the card after power has come back."""
        async with self.station.step("modem-ready", timeout=self.boot_within) as step:
            boot = await self.station.modem.wait_ready(timeout=self.boot_within)
            step.measure("boot_time", boot, unit="s", upper=self.boot_within)
            await self.station.modem.wait_sim_ready(timeout=self.boot_within)
            eid = await self.station.ipa.eid()
            if eid != self.eid:
                raise DeviceFailure(f"another card answers after the power cycle: {eid}, before {self.eid}")
            step.note(f"IMEI {self.station.modem.imei}, EID {eid}")

    async def register(self, phase: Phase, *, step_name: str = "") -> Registration:
        """Wait for registration on the network of the phase."""
        async with self.station.step(step_name or f"register-{phase.name}") as step:
            # The APN of the attach lives in the modem and survives the profile: left as it was, it looks like no radio.
            await self.station.modem.define_pdp(phase.apn)
            registration = await self.station.wait_registered(
                plmn=phase.plmn or None, rat=phase.rat or None, timeout=phase.register_within
            )
            step.measure("time_to_register", registration.elapsed, unit="s", upper=phase.register_within)
            step.note(f"{registration.rat} {registration.plmn}, stat {registration.status} ({registration.source})")
            for name, value in (await self.station.modem.signal()).items():
                if value is not None:
                    step.measure(name, value, unit="dBm" if name == "rsrp" else "dB")
        return registration

    async def open_data(self, phase: Phase, *, step_name: str = "") -> None:
        """Activate the PDP context of the phase."""
        async with self.station.step(step_name or f"data-{phase.name}") as step:
            context = await self.station.modem.activate_pdp(phase.apn)
            if not context.address:
                raise DeviceFailure(f"the PDP context on APN {phase.apn} has no address", where="+CGPADDR")
            self.dns = context.dns
            step.note(f"APN {phase.apn}: address {context.address}, DNS {', '.join(context.dns) or 'none'}")

    async def download(self, order: EimOrder, iccid: str) -> None:
        """Indirect download through the eIM: one poll loop, then the order's result and the card's own list."""
        async with self.station.step("download", timeout=self.download_within) as step:
            poll = await self._poll("poll", measured=True)
            shown = await self.station.eim.show(order.order_id)
            if shown.state != "done":
                raise self._order_failed(shown, poll, "the download")
            profiles = await self.station.ipa.profiles()
            if not any(profile.iccid == iccid and not profile.enabled for profile in profiles):
                raise DeviceFailure(
                    f"the eIM has an installation result, but the card does not list {iccid} as disabled",
                    where=_listing(profiles),
                )
            step.note(f"{iccid} is installed: {_listing(profiles)}")

    async def switch(self, iccid: str) -> EimOrder:
        """Signed enable with rollback armed, then REFRESH seen or the card reset."""
        async with self.station.step("switch", timeout=self.switch_within):
            order = await self.station.eim.order_enable(self.eid, iccid, rollback=True)
            poll = await self._poll("poll", measured=True)
            if not poll.profile_changed:
                raise self._order_failed(await self.station.eim.show(order.order_id), poll, "the switch")
            await self.station.modem.define_pdp(self.operational.apn)  # before the attach that follows the REFRESH
            async with self.station.step("refresh") as refresh:
                seen = await self.station.modem.refresh_card(timeout=self.switch_within)
                refresh.note("REFRESH seen" if seen == "refresh" else "the card was reset by the modem")
        return order

    async def roll_back(self, back: str) -> None:
        """Return to the profile left, so that the device can be reached again; the first failure stays the verdict."""
        async with self.station.step("rollback") as step:
            if not await self.station.ipa.rollback():
                step.note("the card refused to roll back")
                return
            await self.station.modem.define_pdp(self.bootstrap.apn)
            await self.station.modem.refresh_card(timeout=self.switch_within)
            await self.register(self.bootstrap, step_name="register-rollback")
            await self.open_data(self.bootstrap, step_name="data-rollback")
            await self._poll("deliver-rollback")
            step.note(f"back on {back}")

    async def verify_identity(self, iccid: str) -> None:
        """Read ICCID and IMSI back from the card through the modem's +CRSM, never from an answer of the job."""
        async with self.station.step("identity") as step:
            found = await self.station.modem.iccid()
            if found != iccid:
                raise DeviceFailure(f"EF.ICCID holds {found}, expected {iccid}", where="+CRSM 2FE2")
            card_imsi = await self.station.modem.card_imsi()
            used = await self.station.modem.imsi()
            if card_imsi != used:
                raise DeviceFailure(
                    f"the modem uses IMSI {used}, the card holds {card_imsi}",
                    where="+CIMI and +CRSM 6F07",
                    hint="the modem ignored the REFRESH: reset it (AT+CFUN=1,1)",
                )
            step.note(f"ICCID {found}, IMSI {card_imsi}")

    async def exchange_data(self) -> None:
        """Resolve a name at the DNS server of the PDP context and make one HTTPS exchange over the device's path."""
        async with self.station.step("https") as step:
            url = f"https://{self.station.eim.fqdn}/"
            if self.dns:
                addresses = await self.station.data.resolve(self.station.eim.fqdn, server=self.dns[0], timeout=60.0)
                step.note(f"{self.station.eim.fqdn} is {', '.join(addresses)} at {self.dns[0]}")
            answer = await self.station.https_get(url, timeout=60.0, dns=self.dns)
            step.measure("bytes", answer.bytes_sent + answer.bytes_received, unit="B")
            if not 200 <= answer.status < 300:
                raise DeviceFailure(f"{url} answered HTTP {answer.status}", where=self.station.data.bearer)

    async def deliver_result(self) -> PollResult:
        """Poll on the new profile: the card's signed result and its notifications go to the eIM."""
        return await self._poll("deliver-result", measured=True)

    async def known_everywhere(self, download: EimOrder, enable: EimOrder, matching_id: str, poll: PollResult) -> None:
        """Require that eIM and SM-DP+ know what happened, from what the card signed."""
        async with self.station.step("known-everywhere") as step:
            shown = await self.station.eim.show(enable.order_id)
            if shown.state != "done" or not shown.verified:
                raise self._order_failed(shown, poll, "the switch")
            if not (await self.station.eim.show(download.order_id)).verified:
                raise DeviceFailure("the eIM could not verify the installation result", where=download.order_id)
            state = await self.station.smdpp.state(matching_id)
            events = [str(notification.get("event")) for notification in state.notifications]
            missing = [event for event in ("install", "enable") if event not in events]
            if state.state != "installed" or missing:
                raise DeviceFailure(
                    f"the SM-DP+ has the profile as {state.state} with notifications {events or 'none'}",
                    where=f"matching id {matching_id}",
                    hint=f"missing: {', '.join(missing)}" if missing else "",
                )
            step.note(f"SM-DP+: {state.state}, {', '.join(events)}; eIM: signed result verified")
            step.measure("provisioning_apdus", sum(poll.apdus for poll in self.polls))
            step.measure("esipa_bytes", sum(poll.bytes_sent + poll.bytes_received for poll in self.polls), unit="B")

    # --- polls ----------------------------------------------------------------------------------------------------

    async def _poll(self, name: str, *, measured: bool = False) -> PollResult:
        async with self.station.step(name) as step:
            before = self.station.clock.now()
            poll = await self.station.ipa.poll(timeout=self.download_within)
            if measured:
                step.measure("duration", self.station.clock.now() - before, unit="s")
                step.measure("apdus", poll.apdus)
                step.measure("esipa_bytes", poll.bytes_sent + poll.bytes_received, unit="B")
            step.note(f"{poll.packages} packages, {len(poll.downloads)} downloads, {poll.notifications} notifications")
        self.polls.append(poll)
        return poll

    async def _require_done(self, order: EimOrder, what: str, poll: PollResult | None = None) -> None:
        shown = await self.station.eim.show(order.order_id)
        if shown.state != "done":
            raise self._order_failed(shown, poll, what)

    def _order_failed(self, order: EimOrder, poll: PollResult | None, what: str) -> DeviceFailure:
        """Return the failure with everything the eIM, the SM-DP+ and the card said about it."""
        reasons = [_reason(order.error), _reason(order.result)]
        if poll is not None:
            reasons += [_reason(download) for download in poll.downloads if not download.get("installed")]
            reasons += [_reason(result) for result in poll.results]
        text = "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or "no reason was given"
        return DeviceFailure(f"{what} failed: order {order.state}: {text}", where=f"eIM order {order.order_id}")


def _reason(data: Mapping[str, Any]) -> str:
    """Return the parts of an error mapping that tell a person why, subject and reason code first."""
    parts = []
    if data.get("subject_code"):
        parts.append(f"SM-DP+ subject {data['subject_code']} reason {data.get('reason_code', '?')}")
    if data.get("form") and str(data["form"]) != "signed":
        parts.append(f"eUICC package result {data['form']}")
    parts += [str(data[key]) for key in ("what", "error", "name", "message") if data.get(key)]
    return ", ".join(dict.fromkeys(parts))


def _bootstrap_of(profiles: Any, target: str, wanted: str) -> CardProfile:
    """Return the bootstrap profile: the one named, else the only one that is not the target."""
    others = [profile for profile in profiles if profile.iccid != target]
    if wanted:
        others = [profile for profile in others if profile.iccid == wanted]
    if len(others) == 1:
        found: CardProfile = others[0]
        return found
    raise DeviceFailure(
        f"the card holds {len(others)} profiles that could be the bootstrap",
        where=_listing(profiles),
        hint="name it: --set bootstrap_iccid=...",
    )


def _listing(profiles: Any) -> str:
    """Return the profiles of the card in one line."""
    return ", ".join(f"{p.iccid} {p.name} ({'enabled' if p.enabled else 'disabled'})" for p in profiles) or "none"
