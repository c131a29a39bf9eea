"""Four parties say which profiles are on the card: they must say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.engine.recipe import Station, recipe
from bench.errors import DeviceFailure
from bench.station.interfaces import CardProfile
from recipes import start
from recipes.job import Job
from recipes.parameters import Deadlines, Profiles
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
)
async def profile_inventory(
    station: Station,
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Compare the signed listProfileInfo with GetProfilesInfo, with what eIM and SM-DP+ know, and with the modem.

    With the bootstrap profile enabled and ``profile`` installed (downloaded when it is not there): the list that the
    eUICC signs for the eIM must equal, profile by profile, the one it gives the IPA; what its notifications told the
    eIM must lead to the same state; the SM-DP+ must have the profile as installed; and EF.ICCID, read by the modem,
    must be of the one profile that is enabled. SGP.32 section 2.11.1.1.2, SGP.22 section 5.7.15.
    """
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
        await _eim_agrees(job, on_card)
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


async def _eim_agrees(job: Job, on_card: Sequence[CardProfile]) -> None:
    """Require that the notifications the eIM received lead to the state that the card has."""
    there: dict[str, bool] = {}
    enabled: dict[str, bool] = {}
    found = await job.station.eim.notifications(job.eid)
    for item in sorted(found, key=lambda item: int(str(item.get("seq")))):
        iccid, event = str(item.get("iccid")), str(item.get("event"))
        if event == "install" and item.get("installed") is False:
            continue
        there[iccid] = event != "delete"
        enabled[iccid] = event == "enable"
    card = {item.iccid: item for item in on_card}
    for iccid, expected in there.items():
        if expected != (iccid in card):
            what = "is not on it" if expected else "is on it"
            raise DeviceFailure(
                f"by its notifications to the eIM the card differs: {iccid} {what}",
                where="eIM",
                hint="was the card used with another eIM or LPA since? 'bench euicc profiles' shows it",
            )
        if expected and enabled[iccid] != card[iccid].enabled:
            state = "enabled" if card[iccid].enabled else "disabled"
            raise DeviceFailure(
                f"by its notifications to the eIM the card differs: {iccid} is {state}",
                where="eIM",
                hint="was the card used with another eIM or LPA since? 'bench euicc profiles' shows it",
            )
