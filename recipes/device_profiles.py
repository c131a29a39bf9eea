"""What recipes have in common on a device that polls by itself: where they begin, downloads, switches, who it is then.

``by_device`` says whether a station is such a one; a recipe that declares ``by_device=BY_DEVICE`` runs there by these
steps instead of by those of ``recipes.job`` and ``recipes.start``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.engine.recipe import Station
from bench.errors import DeviceFailure
from bench.station.interfaces import EimOrder, ProfileOrder
from recipes.device_job import DeviceJob, Listed
from recipes.parameters import DeviceDeadlines, Profiles
from recipes.servers import cancel_open_orders, latest_orders, missing_events
from recipes.start import bootstrap_of, downloaded_by
from recipes.words import listing, results_of

BY_DEVICE: Final = ("power", "eim", "eim:listProfileInfo", "smdpp", "device-ipa")
"""What such a recipe needs where the device polls."""


def by_device(station: Station) -> bool:
    """Whether the station's device polls by itself, so that nothing is asked of its modem or its card."""
    return station.config.ipa == "device"


@dataclass(frozen=True, slots=True)
class Begin:
    """Where a recipe begins: ``bootstrap`` is enabled; ``target`` is the profile that the SM-DP+ has ready."""

    bootstrap: Listed
    target: ProfileOrder
    matching_id: str = ""
    """Of the download by which ``target`` came on the card, empty when it is not there or came another way."""


def imsi(plmn: str, known: str = "") -> dict[str, str]:
    """Return which IMSI is wanted: the one known, else any of the profile's PLMN, else any."""
    return {"imsi": known or f"{plmn}*"} if known or plmn else {}


class DeviceProfiles(DeviceJob):
    """One run, by the parameters of its recipe."""

    def __init__(
        self, station: Station, profiles: Profiles = Profiles(), deadlines: DeviceDeadlines = DeviceDeadlines()
    ) -> None:
        super().__init__(
            station,
            boot_within=deadlines.boot_within,
            register_within=deadlines.register_within,
            poll_within=deadlines.poll_within,
        )
        self.given = profiles
        self.download_within = deadlines.download_within
        self.switch_within = deadlines.switch_within

    # --- where it begins ------------------------------------------------------------------------------------------

    async def reach(self, *, hold: float = 2.0, installed: bool = False) -> Begin:
        """Bring device and eIM to the bootstrap profile, the package removed from the card or ``installed``.

        By power, by what the device polls for, and by nothing else; an earlier run may have left anything.
        """
        station = self.station
        matching_id = ""
        async with station.step("start-state"):
            await self.power_cycle(hold)
            await self.boot()
            await self.identify()
            target = await station.smdpp.order(self.given.profile, eid=self.eid)
            station.note(f"SM-DP+ {target.smdp_address} has {target.iccid} ready as {target.matching_id}")
            await self.associate()
            await cancel_open_orders(station, self.eid)
            orders = await latest_orders(station, self.eid)
            await self.registered("register-left-over", "")
            await self.poll("first-poll")
            profiles = await self.profiles("profiles")
            bootstrap = bootstrap_of(profiles, target.iccid, self.given.bootstrap_iccid, orders)
            await self._immediate_enabling_off(orders)
            await self._to_bootstrap(bootstrap)
            others = downloaded_by(orders) - {bootstrap.iccid, target.iccid}
            doomed = [item.iccid for item in profiles if item.iccid in others]
            if any(item.iccid == target.iccid for item in profiles):
                if installed:
                    matching_id = _came_by(orders, target.iccid)
                else:
                    doomed.append(target.iccid)
            for iccid in doomed:
                await self.delete(iccid)
            if installed and not any(item.iccid == target.iccid for item in profiles):
                await self.download(await station.eim.order_download(self.eid, target.activation_code))
                matching_id = target.matching_id
        return Begin(bootstrap, target, matching_id)

    async def _immediate_enabling_off(self, orders: Sequence[EimOrder]) -> None:
        results = [result for order in orders for result in results_of(order)]
        told = [item for item in results if item.get("name") == "configureImmediateEnable" and item.get("code") == 0]
        if told and told[-1].get("flag"):
            await self.package("immediate-enable-off", {"configureImmediateEnable": {"flag": False}})

    async def _to_bootstrap(self, bootstrap: Listed) -> None:
        if not bootstrap.enabled:
            back = await self.station.eim.order_enable(self.eid, bootstrap.iccid, rollback=False)
            await self.carry_out("switch-back", back, "the switch back", within=self.switch_within)

    # --- orders ---------------------------------------------------------------------------------------------------

    async def package(self, name: str, psmo: Mapping[str, Mapping[str, object]]) -> EimOrder:
        """Have one signed PSMO carried out that switches nothing."""
        order = await self.station.eim.order_package(self.eid, psmos=[{key: dict(psmo[key]) for key in psmo}])
        return await self.carry_out(name, order, next(iter(psmo)))

    async def download(self, order: EimOrder, *, name: str = "download") -> EimOrder:
        """Have an ordered download done, and require the eUICC's signed result."""
        return await self.carry_out(name, order, "the download", within=self.download_within)

    async def delete(self, iccid: str, *, name: str = "delete") -> None:
        """Have a disabled profile deleted."""
        await self.carry_out(name, await self.station.eim.order_delete(self.eid, iccid), "the delete")

    async def switch(
        self, iccid: str, plmn: str, *, rollback: bool = True, name: str = "switch", known: str = ""
    ) -> EimOrder:
        """Have a profile enabled, with the result delivered on it, and the device seen to have switched.

        ``plmn``: of the profile's IMSI; ``known``: the IMSI itself.
        """
        enable = await self.station.eim.order_enable(self.eid, iccid, rollback=rollback)
        async with self.station.step(name) as step:
            began = self.station.clock.now()
            await self.trigger()
            # The result comes on the new profile only: with it the device has registered there and reached its eIM.
            shown = await self.ended(enable, "the switch", within=self.poll_within + self.switch_within)
            step.measure("duration", self.station.clock.now() - began, unit="s", source="eim")
            await self.observe(
                "switched",
                timeout=self.switch_within,
                since=began,
                values=imsi(plmn, known),
                order=enable.order_id,
            )
        return shown

    # --- what is required -----------------------------------------------------------------------------------------

    async def identity(self, name: str, iccid: str, plmn: str, *, since: float | None = None, known: str = "") -> str:
        """Have the device seen with the identity of a profile; return the IMSI where the source tells it."""
        async with self.station.step(name):
            values = {"iccid": iccid, **imsi(plmn, known)}
            begin = self.booted if since is None else since
            seen = await self.observe("identity", timeout=self.register_within, since=begin, values=values)
            return "" if seen is None else seen.values.get("imsi", "")

    async def listed(self, name: str, *, enabled: str, installed: str = "") -> list[Listed]:
        """Require of the eUICC's signed list that one profile is enabled, and another there and disabled."""
        found = await self.profiles(name)
        if [item.iccid for item in found if item.enabled] != [enabled]:
            raise DeviceFailure(
                f"the eUICC's signed list does not have {enabled} as the one that is enabled",
                where=listing(found),
                hint="the result of the order said so: compare both in lane esipa",
            )
        if installed and not any(item.iccid == installed and not item.enabled for item in found):
            raise DeviceFailure(
                f"the eUICC's signed list does not have {installed} as disabled",
                where=listing(found),
                hint="the installation result said that it is there: compare both in lane esipa",
            )
        return found

    async def known_everywhere(self, matching_id: str, *events: str) -> None:
        """Require the SM-DP+ to have the eUICC's signed notifications; the device delivers them with its polls."""
        async with self.station.step("known-everywhere") as step:
            clock = self.station.clock
            until = clock.now() + self.poll_within
            while (failure := await missing_events(self.station, self.eid, matching_id, *events)) is not None:
                if clock.now() >= until:
                    raise failure
                await clock.sleep(2.0)
            step.note(f"SM-DP+: installed, with {' and '.join(events)}; eIM: signed results verified")

    async def state_changes(self) -> float:
        """Return a mark behind the changes of state that the eIM was told of so far, for ``told``."""
        found = await self.station.eim.state_changes(self.eid)
        return float(str(found[-1].get("at", 0.0))) if found else 0.0

    async def told(self, mark: float, cause: str, *, within: float) -> None:
        """Wait until the device has told the eIM of a change since ``mark`` (stateChangeCause of GetEimPackage)."""
        clock = self.station.clock
        until = clock.now() + within
        while True:
            changes = await self.station.eim.state_changes(self.eid)
            causes = [str(item.get("cause")) for item in changes if float(str(item.get("at", 0.0))) > mark]
            if cause in causes:
                return
            if clock.now() >= until:
                raise DeviceFailure(
                    f"the eIM was told of {', '.join(causes) or 'no state change'} within {within:g} s, not of {cause}",
                    where="stateChangeCause in ESipa.GetEimPackage",
                    hint="the IPA tells it once, with its first poll after the change: look at lane esipa",
                )
            await clock.sleep(2.0)


def _came_by(orders: Sequence[EimOrder], iccid: str) -> str:
    """Return the matching id of the last download of a profile, as far as the eIM tells it."""
    found = [order.result for order in orders if order.kind == "download" and order.state == "done"]
    return next((str(item.get("matching_id", "")) for item in reversed(found) if item.get("iccid") == iccid), "")
