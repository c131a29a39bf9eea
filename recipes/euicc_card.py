"""What the recipes behind ``bench euicc`` share: the card powered and within reach, and what it says as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bench.apdu import es10_info, es10_views
from bench.apdu.errors import CardAnswerError, Es10Error, StatusWordError
from bench.apdu.es10 import Es10
from bench.engine.recipe import Station
from bench.engine.trust import home_roots
from bench.errors import BenchError
from bench.rsp.roots import root_name
from bench.station.drivers import WrongInstrument

_REFUSALS = (CardAnswerError, Es10Error, StatusWordError)
"""A function that this card does not have: a consumer eUICC has no eIMs."""
SIM_READY_WITHIN = 20.0
"""Seconds of station time: a card without an enabled profile never becomes ready, and can be asked all the same."""


async def card_ready(station: Station, boot_within: float) -> None:
    """Have the device powered where the card needs it, and the card where the bench reaches it."""
    at = station.config.card.at if station.config.card is not None else "reader"
    if at != "reader" and station.has("power") and not await station.power.output():
        await station.power.set_output(True)
    if at != "reader" and station.has("modem"):
        await station.modem.wait_ready(timeout=boot_within)
        if at == "modem":
            try:
                await station.modem.wait_sim_ready(timeout=SIM_READY_WITHIN)
            except BenchError as error:
                station.note(f"the modem does not say that the card is ready: {error.what}")
    await station.card_to("reader")


@asynccontextmanager
async def isd_r(station: Station) -> AsyncIterator[Es10]:
    """Open a channel to ISD-R; it is closed whatever happens."""
    es10 = await Es10.open(station.card, clock=station.clock)
    try:
        yield es10
    finally:
        await es10.close()


async def identify(station: Station, es10: Es10) -> str:
    """Read the EID, compare it with the pinned one, record it."""
    eid = await es10.eid()
    pinned = station.config.eid
    if pinned and pinned != eid:
        raise WrongInstrument(
            f"the card's EID is {eid}, not {pinned}", where=f"station {station.name}", hint="is the right card in?"
        )
    station.identify("eid", eid, source="card")
    return eid


async def description(station: Station, es10: Es10, eid: str) -> dict[str, Any]:
    """Ask for everything that ``bench euicc info`` shows. What this card does not have is named, never guessed."""
    info1 = es10_info.euicc_info1(await es10.euicc_info1())
    info2 = await es10.information()
    names = home_roots(station.home)
    result: dict[str, Any] = {
        "eid": eid,
        "kind": "IoT eUICC (SGP.32)" if info2.iot_versions else "consumer eUICC (SGP.22)",
        "info1": {
            "svn": info1.svn,
            "verification": [_ci(key, names) for key in info1.verification_key_ids],
            "signing": [_ci(key, names) for key in info1.signing_key_ids],
        },
        "info2": _info2(info2),
        "memory": {
            "free_non_volatile": info2.resource.free_non_volatile,
            "free_volatile": info2.resource.free_volatile,
            "applications": info2.resource.applications,
        },
        "refused": {},
    }
    refused: dict[str, str] = result["refused"]
    try:
        result["default_smdp"], result["root_smds"] = await es10.configured_addresses()
    except _REFUSALS as error:
        refused["addresses"] = error.what
    try:
        result["eims"] = [eim(item) for item in await es10.eim_configurations()]
    except _REFUSALS as error:
        refused["eims"] = error.what
    try:
        result["rules"] = [_rule(rule) for rule in await es10.rules()]
    except _REFUSALS as error:
        refused["rules"] = error.what
    result["profiles"] = [profile(item) for item in await es10.profiles()]
    try:
        result["notifications"] = [
            {"seq": item.seq, "event": item.event, "iccid": item.iccid, "address": item.address}
            for item in await es10.list_notifications()
        ]
    except _REFUSALS as error:
        refused["notifications"] = error.what
    try:
        result["package_results"] = [
            {"seq": es10_views.package_result_seq(raw), "eim_id": es10_views.package_result_eim(raw)}
            for raw in await es10.package_results()
        ]
    except _REFUSALS as error:
        refused["package_results"] = error.what
    return result


def _ci(key: bytes, names: Mapping[str, str]) -> dict[str, str]:
    return {"key_id": key.hex(), "name": names.get(key.hex(), "") or root_name(key)}


def _info2(info2: es10_info.EuiccInfo2) -> dict[str, Any]:
    return {
        "profile_version": info2.profile_version,
        "svn": info2.svn,
        "firmware": info2.firmware,
        "globalplatform_version": info2.globalplatform_version,
        "ts102241_version": info2.ts102241_version,
        "pp_version": info2.pp_version,
        "sas_number": info2.sas_number,
        "category": info2.category,
        "ipa_mode": info2.ipa_mode,
        "iot_versions": list(info2.iot_versions),
        "ecall": info2.ecall,
        "fallback": info2.fallback,
        "rsp_capabilities": sorted(info2.rsp_capabilities),
        "uicc_capabilities": sorted(info2.uicc_capabilities),
        "forbidden_ppr": sorted(info2.forbidden_ppr),
    }


def eim(item: es10_views.EimConfiguration) -> dict[str, Any]:
    """Return an eIM configuration as JSON; keys by their fingerprint, the whole TLV as ``raw``."""
    return {
        "eim_id": item.eim_id,
        "fqdn": item.fqdn,
        "id_type": item.id_type_name,
        "association_token": item.association_token,
        "signing_key": item.public_key.fingerprint if item.public_key else "",
        "tls_key": item.tls.fingerprint if item.tls else "",
        "tls_kind": item.tls.kind if item.tls else "",
        "protocols": list(item.protocol_names),
        "ci_key_id": item.ci_key_id.hex(),
        "indirect_download": item.indirect_download,
        "raw": item.raw.hex(),
    }


def profile(item: es10_views.Profile) -> dict[str, Any]:
    """Return a profile as JSON."""
    return {
        "iccid": item.iccid,
        "aid": item.aid.hex(),
        "enabled": bool(item.enabled),
        "class": item.profile_class,
        "name": item.name,
        "nickname": item.nickname,
        "provider": item.provider,
        "fallback": item.fallback,
        "ecall": item.ecall,
    }


def _rule(rule: es10_info.AuthorisationRule) -> dict[str, Any]:
    return {
        "rules": sorted(rule.pprs),
        "operators": [
            {
                "plmn": operator.plmn,
                "gid1": operator.gid1.hex() if operator.gid1 is not None else None,
                "gid2": operator.gid2.hex() if operator.gid2 is not None else None,
            }
            for operator in rule.operators
        ],
        "consent_required": rule.consent_required,
    }


def same_eims(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return how two lists of eIM configurations differ, in words; [] when they do not.

    Compared is what says who may sign and where the IPA goes; tokens and counters move on by themselves.
    """
    fields = ("fqdn", "signing_key", "tls_key", "protocols", "ci_key_id", "indirect_download")
    first = {str(item["eim_id"]): item for item in one}
    second = {str(item["eim_id"]): item for item in other}
    said = [f"eIM {name} is gone" for name in first if name not in second]
    said += [f"eIM {name} is new" for name in second if name not in first]
    for name in first.keys() & second.keys():
        said += [f"{field} of eIM {name} differs" for field in fields if first[name][field] != second[name][field]]
    return said
