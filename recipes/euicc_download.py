"""The bench as LPA and as IPA, without a job around it: ``bench euicc download`` and ``bench ipa poll``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, cast

from bench.engine.recipe import FROM_RAT, Range, Station, recipe
from bench.errors import ConfigurationError, DeviceFailure, InstrumentError
from bench.station.interfaces import LocalDownload, PollResult, ProfileAssistant
from recipes.euicc_card import card_ready, identify, isd_r, profile
from recipes.job import Job, Phase
from recipes.parameters import Boot, Deadlines, Download, Rat, Register

_STEPS = 4
"""Words about the loading of a profile: at each quarter."""
_STAGES = {"authenticate": "the SM-DP+ and the card authenticate each other", "prepare": "the profile is being bound"}


@recipe(title="Download by activation code", needs=("card", "data", "ipa"), effects=("consumes-profile",))
async def euicc_download(
    station: Station,
    activation_code: str = "",
    confirmation_code: str = "",
    deliver: bool = True,
    ipa_options: tuple[str, ...] = (),
    plmn: str = "",
    rat: Rat = "",
    apn: str = "bootstrap.iot",
    boot_within: Boot = 60.0,
    register_within: Register = FROM_RAT,
    download_within: Download = 900.0,
) -> None:
    """Download a profile by activation code, as an LPA does, onto a consumer or an IoT card; it stays disabled.

    ``activation_code``: ``LPA:1$address$matchingId``; empty: the card's default SM-DP+ is asked. ``deliver``: give the
    pending notifications to their SM-DP+ servers, else they stay on the card. ``plmn``, ``rat`` and ``apn`` are of the
    enabled profile, where the way is the device's radio; ``ipa_options``: NAME=VALUE, such as ``ci=["gsma.pem"]``.
    SGP.22 sections 3.1.3 and 3.5.
    """
    phase = Phase("enabled", plmn, rat, apn, register_within)
    await _download(
        station, activation_code, confirmation_code, deliver, ipa_options, phase, boot_within, download_within
    )


@recipe(title="Download from the bundled SM-DP+", needs=("card", "data", "ipa", "smdpp"), effects=("consumes-profile",))
async def euicc_download_bundled(
    station: Station,
    profile: str = "",
    activation_code: str = "",
    confirmation_code: str = "",
    deliver: bool = True,
    ipa_options: tuple[str, ...] = (),
    plmn: str = "",
    rat: Rat = "",
    apn: str = "bootstrap.iot",
    boot_within: Boot = 60.0,
    register_within: Register = FROM_RAT,
    download_within: Download = 900.0,
) -> None:
    """As ``euicc-download``, with the bundled SM-DP+ running: ``profile`` is made ready there, or there is a code."""
    code = activation_code
    if profile:
        if activation_code:
            raise ConfigurationError(
                "either a profile of the bundled SM-DP+ or an activation code",
                where="profile",
                hint="with a profile the code is made here",
            )
        ordered = await station.smdpp.order(profile)
        station.note(f"SM-DP+ {ordered.smdp_address} has {ordered.iccid} ready as {ordered.matching_id}")
        code = ordered.activation_code
    phase = Phase("enabled", plmn, rat, apn, register_within)
    await _download(station, code, confirmation_code, deliver, ipa_options, phase, boot_within, download_within)


async def _download(
    station: Station,
    activation_code: str,
    confirmation_code: str,
    deliver: bool,
    ipa_options: tuple[str, ...],
    phase: Phase,
    boot_within: float,
    download_within: float,
) -> None:
    job = await _connected(station, ipa_options, phase, boot_within, download_within)
    async with station.step("download", timeout=download_within) as step:
        assistant = cast("ProfileAssistant", await job.ipa())
        before = station.clock.now()
        found = await assistant.download(
            activation_code,
            confirmation_code=confirmation_code,
            deliver=deliver,
            timeout=download_within,
            progress=_Told(station),
        )
        step.measure("duration", station.clock.now() - before, unit="s")
        step.measure("apdus", found.apdus)
        step.measure("es9plus_bytes", found.bytes_sent + found.bytes_received, unit="B")
        result: dict[str, Any] = {"eid": job.eid, **asdict(found)}
        async with isd_r(station) as es10:
            result["profiles"] = [profile(item) for item in await es10.profiles()]
        station.result("download", result)
        if not found.installed:
            raise _failure(found)
        if not any(item["iccid"] == found.iccid and not item["enabled"] for item in result["profiles"]):
            raise DeviceFailure(
                f"the card reports {found.iccid} as installed and does not list it as disabled",
                where="GetProfilesInfo",
                hint="the eUICC reported success, and its own list differs: 'bench euicc profiles' shows it",
            )
        kept = ", ".join(f"{item.seq} {item.event}" for item in found.kept) or "none"
        step.note(f"{found.iccid} {found.name} is installed; notifications delivered: {found.delivered}, kept: {kept}")
        if found.undelivered:
            step.note(f"not delivered: {found.undelivered}")


def _failure(found: LocalDownload) -> DeviceFailure | InstrumentError:
    """Return the failure: a server's where it was the SM-DP+ that refused or failed, else the device's."""
    what = f"the download failed: {found.error}"
    if found.cancel_reason:
        what += f"; the session was cancelled ({found.cancel_reason})"
    if found.error.startswith("ES9+."):
        return InstrumentError(what, where="SM-DP+", hint="lane es9plus and the server's own log say more")
    return DeviceFailure(what, where="card", hint="the card's codes are those of SGP.22 section 2.5.6")


class _Told:
    """Notes the progress of a download."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._last = ""

    def __call__(self, stage: str, done: int, of: int) -> None:
        quarter = _STEPS * done // of if of else 0
        text = _STAGES.get(stage, f"loading: {100 * quarter // _STEPS} % of {of} bytes")
        if text != self._last:
            self._last = text
            self._station.note(text)


# --- the poll -------------------------------------------------------------------------------------------------------

_POLL_EFFECTS = ("switches-profile", "deletes-profile", "consumes-profile", "removes-eim", "resets-memory")
Polls = Annotated[int, Range(1, 100)]


@recipe(title="Poll the eIM", needs=("card", "data", "ipa"), effects=_POLL_EFFECTS)
async def ipa_poll(
    station: Station,
    ipa_options: tuple[str, ...] = (),
    polls: Polls = 5,
    plmn: str = "",
    rat: Rat = "",
    apn: str = "bootstrap.iot",
    switched_apn: str = "internet",
    boot_within: Boot = 60.0,
    register_within: Register = FROM_RAT,
    poll_within: Download = 900.0,
) -> None:
    """Let the IPA of the bench poll the eIM of the card, whatever it orders, until it has nothing more.

    After a switch of the profile the device registers again and the IPA polls once more, ``polls`` times at most.
    ``plmn``, ``rat`` and ``apn`` are of the enabled profile, ``switched_apn`` of one that the poll enables, where the
    way is the device's radio. ``ipa_options``: NAME=VALUE, such as ``trigger_with_data=indirect``.
    SGP.32 section 3.1.1.1.
    """
    phases = _phases(plmn, rat, apn, switched_apn, register_within)
    await _poll(station, ipa_options, polls, phases, boot_within, poll_within)


@recipe(title="Poll the bundled eIM", needs=("card", "data", "ipa", "eim", "smdpp"), effects=_POLL_EFFECTS)
async def ipa_poll_bundled(
    station: Station,
    ipa_options: tuple[str, ...] = (),
    polls: Polls = 5,
    plmn: str = "",
    rat: Rat = "",
    apn: str = "bootstrap.iot",
    switched_apn: str = "internet",
    boot_within: Boot = 60.0,
    register_within: Register = FROM_RAT,
    poll_within: Download = 900.0,
) -> None:
    """As ``ipa-poll``, with the bundled eIM and SM-DP+ running; a card without an eIM is associated with it."""
    phases = _phases(plmn, rat, apn, switched_apn, register_within)
    await _poll(station, ipa_options, polls, phases, boot_within, poll_within, bundled=True)


def _phases(plmn: str, rat: str, apn: str, switched_apn: str, within: float) -> tuple[Phase, Phase]:
    """Return what the device must show with the profile that is enabled, and with one that a poll enables."""
    return Phase("enabled", plmn, rat, apn, within), Phase("switched", "", rat, switched_apn, within)


async def _poll(
    station: Station,
    ipa_options: tuple[str, ...],
    polls: int,
    phases: tuple[Phase, Phase],
    boot_within: float,
    poll_within: float,
    *,
    bundled: bool = False,
) -> None:
    at_first, switched = phases
    job = await _connected(station, ipa_options, at_first, boot_within, poll_within, bundled=bundled)
    done: list[PollResult] = []
    while not done or (done[-1].profile_changed and len(done) < polls):
        if done:
            phase = switched if len(done) % 2 else at_first
            await job.refresh(phase)
            await job.connect(phase, suffix=f"{phase.name}-{len(done) + 1}")
        done.append(await job.poll(f"poll-{len(done) + 1}", measured=True))
        station.result("poll", {"eid": job.eid, "polls": [plain(asdict(item)) for item in done]})
    if done[-1].profile_changed:
        station.note(f"the profile changed in each of {polls} polls: the result of the last waits for the next one")


async def _connected(
    station: Station,
    ipa_options: tuple[str, ...],
    phase: Phase,
    boot_within: float,
    within: float,
    *,
    bundled: bool = False,
) -> Job:
    """Have the card ready and the IPA's way to its servers open."""
    station.configure_ipa(**options(ipa_options))
    async with station.step("card"):
        await card_ready(station, boot_within)
        async with isd_r(station) as es10:
            eid = await identify(station, es10)
    job = Job(station, deadlines=Deadlines(boot_within, phase.register_within, within))
    job.eid = eid
    if bundled:
        async with station.step("eim") as step:
            await station.eim.register(eid)
            ipa = await job.ipa()
            if not await ipa.eims():
                await ipa.add_initial_eim(await station.eim.initial_configuration(eid))
                step.note(f"associated eIM {station.eim.eim_id} (AddInitialEim)")
    await job.connect(phase, suffix="enabled")
    return job


def options(given: tuple[str, ...]) -> dict[str, object]:
    """Return NAME=VALUE as a mapping: a value is JSON, or text where it is none. Raises ConfigurationError."""
    found: dict[str, object] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise ConfigurationError(
                f"{item!r} is not NAME=VALUE", where="ipa_options", hint="trigger_with_data=indirect"
            )
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value
    return found


def plain(value: object) -> Any:
    """Return a value as JSON has it; bytes in hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
