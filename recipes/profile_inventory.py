"""Four parties say which profiles are on the card: they must say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.engine.recipe import Station, recipe
from bench.errors import DeviceFailure
from bench.station.interfaces import CardProfile
from recipes import device_turns, start
from recipes.agreement import eim_agrees
from recipes.device_profiles import BY_DEVICE, by_device
from recipes.job import Job
from recipes.parameters import DeviceDeadlines, Profiles
from recipes.words import listing, results_of

_FIELDS = ("enabled", "name", "provider", "profile_class", "aid", "fallback")


@recipe(
    title="Profile inventory",
    needs=(
        "power",
        "modem",
        "card",
        "data",
        "eim",
        "smdpp",
        "ipa",
        "eim:results",
        "eim:notifications",
        "smdpp:notifications",
    ),
    effects=("switches-profile", "consumes-profile"),
    by_device=BY_DEVICE,
)
async def profile_inventory(
    station: Station,
    profiles: Profiles = Profiles(),
    deadlines: DeviceDeadlines = DeviceDeadlines(),
) -> None:
    """Compare the signed listProfileInfo with GetProfilesInfo, with what eIM and SM-DP+ know, and with the modem.

    With the bootstrap profile enabled and ``profile`` installed (downloaded when it is not there): the list that the
    eUICC signs for the eIM must equal, profile by profile, the one it gives the IPA; what its notifications told the
    eIM must lead to the same state; the SM-DP+ must have the profile as installed; and EF.ICCID, read by the modem,
    must be of the one profile that is enabled. SGP.32 section 2.11.1.1.2, SGP.22 section 5.7.15.
    """
    if by_device(station):
        await device_turns.profile_inventory(station, profiles, deadlines)
        return
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job, installed=True)
    order = await station.eim.order_package(job.eid, psmos=[{"listProfileInfo": {"tags": _TAGS}}])
    done = await job.carry_out("signed-list", order, "listProfileInfo")
    signed = results_of(done)[-1].get("profiles", ())
    on_card = await job.profiles()
    async with station.step("card-agrees") as step:
        _compare(signed, on_card)
        step.note(listing(on_card))
        step.measure("profiles", len(on_card))
    async with station.step("eim-agrees"):
        await eim_agrees(station, job.eid, on_card)
    async with station.step("server-agrees") as step:
        if not begin.matching_id:
            step.inconclusive(f"no download of {begin.target.iccid} is known: the SM-DP+ cannot be asked about it")
        else:
            await job.require_events(begin.matching_id, "install")
    enabled = [item.iccid for item in on_card if item.enabled]
    if len(enabled) != 1:
        raise DeviceFailure(
            f"{len(enabled)} profiles are enabled",
            where=listing(on_card),
            hint="one must be: 'bench euicc profiles' shows the card's own list",
        )
    await job.verify_identity(enabled[0])


_TAGS = ["5A", "4F", "9F70", "91", "92", "95", "9F26"]
"""ICCID, AID, state, provider, name, class, Fallback Attribute."""


def _compare(signed: Sequence[Mapping[str, Any]], on_card: Sequence[CardProfile]) -> None:
    """Require that both lists hold the same profiles with the same properties."""
    listed = {str(item.get("iccid")): item for item in signed}
    card = {item.iccid: item for item in on_card}
    if len(listed) != len(signed) or set(listed) != set(card):
        raise DeviceFailure(
            f"the signed list holds {_names(listed)}, the other {_names(card)}",
            where="listProfileInfo and GetProfilesInfo",
            hint="both are of one eUICC and of one moment: compare lanes apdu and esipa",
        )
    for iccid, profile in card.items():
        for field in _FIELDS:
            own: Any = getattr(profile, field)
            own = own.hex() if isinstance(own, bytes) else own
            theirs = listed[iccid].get(field, False if field == "fallback" else "")
            if own != theirs:
                raise DeviceFailure(
                    f"{field} of {iccid} is {theirs!r} in the signed list, {own!r} in the card's own",
                    where="listProfileInfo and GetProfilesInfo",
                    hint="both are of one eUICC and of one moment: compare lanes apdu and esipa",
                )


def _names(profiles: Mapping[str, object]) -> str:
    return ", ".join(sorted(profiles)) or "none"
