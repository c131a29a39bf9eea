"""Recipes on a device that polls by itself: what each of them does there, by ``recipes.device_profiles``.

Each is the part of a recipe of another file, which calls it on such a station and documents what is decisive. Success
is the eUICC's signed result at the eIM, its notifications at the SM-DP+, and who the network sees.
"""

from __future__ import annotations

from bench.engine.recipe import Station
from bench.errors import DeviceFailure, Refused
from bench.station.interfaces import EimOrder
from recipes.agreement import LAST_EIM_DELETED, eim_agrees, require_refused
from recipes.device_profiles import DeviceProfiles
from recipes.parameters import DeviceDeadlines, Profiles
from recipes.words import not_verified, order_failed, reason, results_of


async def power_cycle_and_register(station: Station, hold: float, register_within: float, kind: str) -> None:
    """Power-cycle, boot and registration as console and emulator tell them."""
    if kind == "graceful":
        raise Refused(
            "nobody can tell the modem of this device to switch itself off",
            where=f"station {station.name}",
            hint="kind=hard, or a station with the modem's AT port",
        )
    deadlines = DeviceDeadlines(register_within=register_within)
    job = DeviceProfiles(station, deadlines=deadlines)
    await job.power_cycle(hold)
    await job.boot()
    await job.registered("register", "")


async def profile_switch(station: Station, repetitions: int, profiles: Profiles, deadlines: DeviceDeadlines) -> None:
    """There and back, ``repetitions`` times."""
    job = DeviceProfiles(station, profiles, deadlines)
    begin = await job.reach(installed=True)
    home, away = begin.bootstrap.iccid, begin.target.iccid
    turns = (
        ("there", away, home, profiles.operational_plmn),
        ("back", home, away, profiles.bootstrap_plmn),
    )
    for repetition in range(1, repetitions + 1):
        async with station.step(f"round-{repetition}" if repetitions > 1 else "round"):
            for name, iccid, other, plmn in turns:
                async with station.step(name):
                    began = station.clock.now()
                    await job.switch(iccid, plmn)
                    await job.identity("identity", iccid, plmn, since=began)
                    await job.listed("signed-list", enabled=iccid, installed=other)


async def rollback_without_network(
    station: Station, cell: int, patience: float, profiles: Profiles, deadlines: DeviceDeadlines
) -> None:
    """The device itself must roll back: nobody tells it to."""
    job = DeviceProfiles(station, profiles, deadlines)
    begin = await job.reach(installed=True)
    home, away = begin.bootstrap.iccid, begin.target.iccid
    try:
        async with station.step("network-off") as step:
            await station.network.set_cell(False, cell=cell)
            step.note(f"cell {cell} is off")
        order = await station.eim.order_enable(job.eid, away, rollback=True)
        async with station.step("rollback") as step:
            began = station.clock.now()
            await job.trigger()
            within = job.poll_within + job.switch_within + patience + job.register_within
            shown = await job.final(order, "the rollback", within=within)
            step.measure("duration", station.clock.now() - began, unit="s", source="eim")
            _require_rolled_back(shown)
            step.note(reason(shown.error))
        await job.identity("identity-back", home, profiles.bootstrap_plmn, since=began)
        await job.listed("signed-list", enabled=home, installed=away)
    finally:
        await station.network.set_cell(True, cell=cell)


def _require_rolled_back(shown: EimOrder) -> None:
    names = [str(result.get("name")) for result in results_of(shown)] or [str(shown.result.get("command", ""))]
    if shown.state == "done":
        raise DeviceFailure(
            "the device switched to the new profile, and its result came: no rollback was needed",
            where=f"eIM order {shown.order_id}",
            hint="operational_cell must be the cell that serves this profile, and no other network may take it",
        )
    if names != ["rollback"] or not shown.error.get("rolled_back"):
        raise order_failed(shown, None, "the rollback")
    if not shown.verified:
        raise not_verified(shown, "the rollback's result")


async def fallback_to_bootstrap(
    station: Station, cell: int, lost_within: float, profiles: Profiles, deadlines: DeviceDeadlines
) -> None:
    """The device itself must fall back when its network is gone; when it returns is its own policy."""
    job = DeviceProfiles(station, profiles, deadlines)
    begin = await job.reach(installed=True)
    home, away = begin.bootstrap.iccid, begin.target.iccid
    await job.package("set-fallback", {"setFallbackAttribute": {"iccid": home}})
    try:
        began = station.clock.now()
        await job.switch(away, profiles.operational_plmn)
        await job.identity("identity-operational", away, profiles.operational_plmn, since=began)
        async with station.step("fallback") as step:
            mark = await job.state_changes()
            began = station.clock.now()
            await station.network.set_cell(False, cell=cell)
            await job.told(mark, "fallback", within=lost_within + job.switch_within + job.poll_within)
            step.measure("time_to_service", station.clock.now() - began, unit="s", source="eim")
        await job.identity("identity-fallback", home, profiles.bootstrap_plmn, since=began)
        async with station.step("return") as step:
            mark = await job.state_changes()
            began = station.clock.now()
            await station.network.set_cell(True, cell=cell)
            await job.told(mark, "fallback", within=job.switch_within + 2 * job.poll_within)
            step.measure("time_to_return", station.clock.now() - began, unit="s", source="eim")
        await job.identity("identity-back", away, profiles.operational_plmn, since=began)
    finally:
        await station.network.set_cell(True, cell=cell)
    await job.package("unset-fallback", {"unsetFallbackAttribute": {}})
    await job.listed("signed-list", enabled=away, installed=home)


async def direct_download(
    station: Station, source: str, enable: bool, profiles: Profiles, deadlines: DeviceDeadlines
) -> None:
    """The device downloads from the SM-DP+ itself; the result came from it, not from the eIM."""
    job = DeviceProfiles(station, profiles, deadlines)
    begin = await job.reach()
    target = begin.target
    code = target.activation_code
    if source == "default-smdp":
        code = ""
        await job.package("default-smdp", {"setDefaultDpAddress": {"address": target.smdp_address}})
    order = await station.eim.order_download(job.eid, code, direct=True)
    shown = await job.download(order, name="direct-download")
    if shown.result.get("iccid") not in (None, target.iccid):
        raise DeviceFailure(
            f"the eIM was told of {shown.result['iccid']}, ordered was {target.iccid}",
            where=f"eIM order {order.order_id}",
            hint="does another order of the SM-DP+ wait for this EID?",
        )
    await job.listed("signed-list", enabled=begin.bootstrap.iccid, installed=target.iccid)
    async with station.step("result-at-the-server") as step:
        state = await station.smdpp.state(target.matching_id)
        if state.state != "installed":
            raise DeviceFailure(
                f"the SM-DP+ has the profile as {state.state}: it was not told of the installation",
                where=f"matching id {target.matching_id}",
                hint="ES9+.handleNotification is the IPA's own in a direct download",
            )
        passed = await station.eim.notifications(job.eid)
        installs = [item for item in passed if item.get("event") == "install" and item.get("iccid") == state.iccid]
        if installs and installs[-1].get("forwarded"):
            raise DeviceFailure(
                "the installation result came to the SM-DP+ from the eIM, not from the IPA",
                where=f"matching id {target.matching_id}",
                hint="did the device download through the eIM although the trigger names the SM-DP+?",
            )
        step.note("SM-DP+ and eIM have the result, the SM-DP+ from the device itself")
    if enable:
        began = station.clock.now()
        await job.switch(target.iccid, profiles.operational_plmn)
        await job.identity("identity-operational", target.iccid, profiles.operational_plmn, since=began)
        await job.known_everywhere(target.matching_id, "install", "enable")


async def immediate_enable(station: Station, profiles: Profiles, deadlines: DeviceDeadlines) -> None:
    """No enable is ordered, and the network sees the new profile."""
    job = DeviceProfiles(station, profiles, deadlines)
    begin = await job.reach()
    target = begin.target
    on: dict[str, object] = {"flag": True, "smdpAddress": target.smdp_address}
    await job.package("configure-on", {"configureImmediateEnable": on})
    mark = await job.state_changes()
    began = station.clock.now()
    await job.download(await station.eim.order_download(job.eid, target.activation_code))
    await job.identity("identity-operational", target.iccid, profiles.operational_plmn, since=began)
    await job.told(mark, "immediateEnableProfile", within=job.poll_within)
    await job.known_everywhere(target.matching_id, "install", "enable")
    await job.listed("signed-list", enabled=target.iccid, installed=begin.bootstrap.iccid)
    await job.package("configure-off", {"configureImmediateEnable": {"flag": False}})


async def profile_inventory(station: Station, profiles: Profiles, deadlines: DeviceDeadlines) -> None:
    """The eUICC's signed list against what eIM, SM-DP+ and the network know; nobody can ask the card itself."""
    job = DeviceProfiles(station, profiles, deadlines)
    begin = await job.reach(installed=True)
    found = await job.listed("signed-list", enabled=begin.bootstrap.iccid, installed=begin.target.iccid)
    async with station.step("eim-agrees"):
        await eim_agrees(station, job.eid, found)
    async with station.step("server-agrees") as step:
        if not begin.matching_id:
            step.inconclusive(f"no download of {begin.target.iccid} is known: the SM-DP+ cannot be asked about it")
    if begin.matching_id:
        await job.known_everywhere(begin.matching_id, "install")
    await job.identity("identity", begin.bootstrap.iccid, profiles.bootstrap_plmn)


async def eim_configuration(station: Station, second: str, profiles: Profiles, deadlines: DeviceDeadlines) -> None:
    """The same operations; what the card has is read from its signed listEim, and AddInitialEim is the factory's."""
    job = DeviceProfiles(station, profiles, deadlines)
    own = station.eim.eim_id
    if station.dut.console_for("add_eim") is None:
        raise Refused(
            "the device has no factory command that associates an eIM: with its last eIM deleted it would be lost",
            where=f"station {station.name}",
            hint="dut.console commands.add_eim in bench.toml",
        )
    await job.reach()
    if second in await _eims(job, "list-left-over"):
        await _eco(job, "delete-left-over", {"deleteEim": {"eimId": second}})
    added = await _eco(job, "add", {"addEim": {"eimId": second, "associationToken": True}})
    if "associationToken" not in results_of(added)[-1]:
        raise DeviceFailure(
            "the card gave no associationToken for the eIM added",
            where=f"eIM order {added.order_id}",
            hint="the addEim asked for one: does this card support association tokens?",
        )
    await _require_eims(job, "list-two", own, second)
    await _eco(job, "update-key", {"updateEim": {"newKey": True}})
    signed = await job.carry_out("signed-with-new-key", await station.eim.order_list(job.eid), "a package")
    await _refused(job, "replay", signed, "replayError")
    await _refused(job, "replay-with-former-key", added, "unsigned")
    await _eco(job, "delete-second", {"deleteEim": {"eimId": second}})
    await _require_eims(job, "list-one", own)
    last = await _eco(job, "delete-last", {"deleteEim": {"eimId": own}})
    if results_of(last)[-1].get("code") != LAST_EIM_DELETED:
        raise DeviceFailure(
            f"the card answered {results_of(last)[-1].get('text')} to the deletion of its last eIM, not lastEimDeleted",
            where=f"eIM order {last.order_id}",
            hint="are there other eIMs on the card?",
        )
    async with station.step("add-initial"):
        await job.associate()
    await _refused(job, "replay-after-new-association", added, "replayError")
    await _require_eims(job, "list-again", own)


async def _eco(job: DeviceProfiles, name: str, eco: dict[str, dict[str, object]]) -> EimOrder:
    order = await job.station.eim.order_package(job.eid, ecos=[eco])
    return await job.carry_out(name, order, next(iter(eco)))


async def _eims(job: DeviceProfiles, name: str) -> list[str]:
    done = await _eco(job, name, {"listEim": {}})
    return [str(item.get("eimId")) for item in results_of(done)[-1].get("eims", ())]


async def _require_eims(job: DeviceProfiles, name: str, *expected: str) -> None:
    found = await _eims(job, name)
    if sorted(found) != sorted(expected):
        raise DeviceFailure(
            f"the signed list of eIMs holds {', '.join(found) or 'none'}, not {', '.join(expected)}",
            where="listEim",
            hint="is there an eIM of somebody else on the card?",
        )


async def _refused(job: DeviceProfiles, name: str, executed: EimOrder, error: str) -> None:
    """Hand a package out again that was executed: the card must refuse it, ``unsigned`` or with this signed error."""
    order = await job.station.eim.order_replay(executed.order_id)
    async with job.station.step(name) as step:
        await job.trigger()
        shown = await job.final(order, "the refusal", within=job.poll_within)
        require_refused(executed, shown, error)
        step.note(f"refused: {reason(shown.error)}")
