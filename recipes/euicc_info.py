"""What a card says of itself: the recipes behind ``bench euicc info``, ``profiles`` and ``apdu``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bench.apdu.es10 import ISD_R_AID
from bench.engine.recipe import Station, recipe
from bench.engine.trust import NoTrust, card_findings
from bench.errors import ConfigurationError
from recipes.euicc_card import card_ready, description, identify, isd_r, profile
from recipes.parameters import Boot

LONGEST_CHAIN = 256
"""GET RESPONSE commands after one command: 64 kB, more than any card answers."""


@recipe(title="eUICC information", needs=("card",))
async def euicc_info(station: Station, boot_within: Boot = 60.0) -> None:
    """Read EID, EUICCInfo1 and 2, CI key identifiers, memory, eIMs, profiles, rules and addresses of the card.

    Changes nothing on it. SGP.22 sections 5.7.8 to 5.7.22, SGP.32 section 5.9.
    """
    async with station.step("card"):
        await card_ready(station, boot_within)
    async with station.step("read"), isd_r(station) as es10:
        eid = await identify(station, es10)
        station.result("euicc", await description(station, es10, eid))


@recipe(title="eUICC profiles", needs=("card",))
async def euicc_profiles(station: Station, boot_within: Boot = 60.0) -> None:
    """List the profiles on the card (ES10c.GetProfilesInfo). Changes nothing on it."""
    async with station.step("card"):
        await card_ready(station, boot_within)
    async with station.step("read"), isd_r(station) as es10:
        eid = await identify(station, es10)
        station.result("profiles", {"eid": eid, "profiles": [profile(item) for item in await es10.profiles()]})


@recipe(title="Trust of card and servers", needs=("card", "eim", "smdpp"))
async def euicc_trust(station: Station, boot_within: Boot = 60.0) -> None:
    """Compare the card's CIs and eIMs with those of SM-DP+ and eIM, before any order: ``bench doctor --card``."""
    async with station.step("card"):
        await card_ready(station, boot_within)
    async with station.step("trust") as step:
        async with isd_r(station) as es10:
            eid = await identify(station, es10)
        found = await card_findings(station)
        station.result("trust", {"eid": eid, "findings": [asdict(item) for item in found]})
        for item in found:
            step.note(f"{item.name}: {item.state}: {item.text}")
        bad = next((item for item in found if item.state == "fail"), None)
        if bad is not None:
            raise NoTrust(bad.text, where=bad.name, hint=bad.hint)


@recipe(
    title="APDUs as given",
    needs=("card",),
    effects=("switches-profile", "deletes-profile", "removes-eim", "resets-memory"),
)
async def euicc_apdu(
    station: Station, apdus: tuple[str, ...], aid: str = "", follow: bool = True, boot_within: Boot = 60.0
) -> None:
    """Send command APDUs as they are on a logical channel with ``aid`` selected (ISD-R when empty).

    ``apdus``: hexadecimal, with the class byte of the basic channel. ``follow``: fetch what 61xx announces and repeat
    with the length that 6Cxx names. Declared as able to do all that an APDU can do.
    """
    commands = [_bytes(text) for text in apdus]
    selected = _bytes(aid) if aid else ISD_R_AID
    async with station.step("card"):
        await card_ready(station, boot_within)
    answers: list[dict[str, Any]] = []
    async with station.step("apdus") as step:
        channel = await station.card.open_channel(selected)
        try:
            for command in commands:
                answer = await channel.transmit(command)
                if follow and len(answer) == 2 and answer[0] == 0x6C:
                    answer = await channel.transmit(command[:4] + answer[1:])
                data = answer[:-2]
                for _ in range(LONGEST_CHAIN):
                    if not (follow and answer[-2] == 0x61):
                        break
                    answer = await channel.transmit(bytes((0, 0xC0, 0, 0, answer[-1])))
                    data += answer[:-2]
                answers.append({"apdu": command.hex(), "data": data.hex(), "sw": answer[-2:].hex()})
        finally:
            await channel.close()
        step.measure("apdus", len(commands))
        station.result("apdus", {"aid": selected.hex(), "answers": answers})


def _bytes(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is not hexadecimal", hint="such as 80E2910006BF3E035C015A") from None
    if len(found) < 4:
        raise ConfigurationError(f"{text!r} is no APDU: it has {len(found)} bytes", hint="CLA INS P1 P2 at least")
    return found
