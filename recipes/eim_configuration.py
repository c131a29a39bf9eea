"""The life of an eIM's association with a card: add, list, a new key, delete, the last one gone, and begin again."""

from __future__ import annotations

from bench.engine.recipe import Station, recipe
from bench.errors import DeviceFailure
from bench.station.interfaces import EimOrder
from recipes import device_turns, start
from recipes.agreement import LAST_EIM_DELETED, require_refused
from recipes.device_profiles import BY_DEVICE, by_device
from recipes.job import Job
from recipes.parameters import DeviceDeadlines, Profiles
from recipes.words import reason, results_of


@recipe(
    title="eIM configuration",
    needs=(
        "power",
        "modem",
        "card",
        "data",
        "eim",
        "smdpp",
        "ipa",
        "eim:replay",
        "eim:results",
        "eim:updateEim",
        "eim:addEim",
        "eim:deleteEim",
        "eim:configuration",
    ),
    effects=("removes-eim", "switches-profile", "deletes-profile"),
    by_device=BY_DEVICE,
)
async def eim_configuration(
    station: Station,
    second_eim: str = "second-eim.bench.example",
    profiles: Profiles = Profiles(),
    deadlines: DeviceDeadlines = DeviceDeadlines(),
) -> None:
    """Run every eIM configuration operation by signed packages, each read back from the card itself.

    ``second_eim`` is added with an association token and listed; this eIM gives the card another key for itself and
    signs with it; a package that was executed is refused when it comes again, by its counter and, signed with the
    former key, by its signature; the second eIM is deleted, then this one (lastEimDeleted), and AddInitialEim begins
    anew, after which an old package is refused still. SGP.32 sections 2.11.1.1.3, 3.5 and 5.9.4.
    """
    if by_device(station):
        await device_turns.eim_configuration(station, second_eim, profiles, deadlines)
        return
    job = Job(station, profiles, deadlines)
    own = station.eim.eim_id
    await start.reach(job)
    if second_eim in await (await job.ipa()).eims():
        await _delete(job, "delete-left-over", second_eim)
    await _require_eims(job, own)

    added = await _eco(job, "add", {"addEim": {"eimId": second_eim, "associationToken": True}})
    if "associationToken" not in results_of(added)[-1]:
        raise DeviceFailure(
            "the card gave no associationToken for the eIM added",
            where=f"eIM order {added.order_id}",
            hint="the addEim asked for one: does this card support association tokens?",
        )
    await _list(job, "list-two", own, second_eim)
    await _eco(job, "update-key", {"updateEim": {"newKey": True}})
    signed = await job.carry_out(
        "signed-with-new-key", await station.eim.order_list(job.eid), "a package signed with the new key"
    )
    await _refused(job, "replay", signed, "replayError")
    await _refused(job, "replay-with-former-key", added, "unsigned")
    await _delete(job, "delete-second", second_eim)
    await _list(job, "list-one", own)
    last = await _delete(job, "delete-last", own)
    if results_of(last)[-1].get("code") != LAST_EIM_DELETED:
        raise DeviceFailure(
            f"the card answered {results_of(last)[-1].get('text')} to the deletion of its last eIM, not lastEimDeleted",
            where=f"eIM order {last.order_id}",
            hint="are there other eIMs on the card? 'bench euicc info' lists them",
        )
    await _require_eims(job)
    async with station.step("add-initial"):
        await start.associate(job)
        await _require_eims(job, own)
    await _refused(job, "replay-after-new-association", added, "replayError")
    await job.carry_out("signed-again", await station.eim.order_list(job.eid), "a package of the new association")


async def _eco(job: Job, name: str, eco: dict[str, dict[str, object]]) -> EimOrder:
    order = await job.station.eim.order_package(job.eid, ecos=[eco])
    return await job.carry_out(name, order, next(iter(eco)))


async def _delete(job: Job, name: str, eim_id: str) -> EimOrder:
    """Delete an eIM and require that the card no longer has it."""
    done = await _eco(job, name, {"deleteEim": {"eimId": eim_id}})
    if eim_id in await (await job.ipa()).eims():
        raise DeviceFailure(
            f"the card still has the eIM {eim_id} after deleteEim",
            where="GetEimConfigurationData",
            hint="the eUICC answered ok and kept it: 'bench euicc info' shows its list now",
        )
    return done


async def _list(job: Job, name: str, *expected: str) -> None:
    """Require that the signed list of eIMs and the card's own are what is expected."""
    done = await _eco(job, name, {"listEim": {}})
    listed = [str(eim.get("eimId")) for eim in results_of(done)[-1].get("eims", ())]
    if sorted(listed) != sorted(expected):
        raise DeviceFailure(
            f"the signed list of eIMs holds {', '.join(listed) or 'none'}, not {', '.join(expected)}",
            where=f"eIM order {done.order_id}",
            hint="is there an eIM of somebody else on the card? 'bench euicc info' lists them",
        )
    await _require_eims(job, *expected)


async def _require_eims(job: Job, *expected: str) -> None:
    found = await (await job.ipa()).eims()
    if sorted(found) != sorted(expected):
        raise DeviceFailure(
            f"the card is associated with {', '.join(found) or 'no eIM'}, expected {', '.join(expected) or 'none'}",
            where="ES10b.GetEimConfigurationData",
            hint="is there an eIM of somebody else on the card? 'bench euicc info' lists them",
        )


async def _refused(job: Job, name: str, executed: EimOrder, error: str) -> None:
    """Hand a package out again that was executed: the card must refuse it, ``unsigned`` or with this signed error."""
    order = await job.station.eim.order_replay(executed.order_id)
    poll = await job.poll(name)
    shown = await job.station.eim.show(order.order_id)
    require_refused(executed, shown, error, poll)
    job.station.note(f"refused: {reason(shown.error)}")
