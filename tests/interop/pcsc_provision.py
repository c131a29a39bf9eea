"""A program of its own: provisions the card in every announced reader at once, through the driver, the IPA and TLS.

``python pcsc_provision.py ANNOUNCEMENT.json HOME``: orders a download and a switch for each card at the eIM, polls for
all together, resets the cards, polls again, and prints what cards, eIM and SM-DP+ say.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bench.station import routes
from bench.station.clock import RealClock
from bench.station.drivers import DriverOptions, load_driver, load_service
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import create


async def provision(
    place: dict[str, Any], package: str, told: dict[str, Any], eim: Any, smdpp: Any, home: Path
) -> dict[str, Any]:
    """Take one card from the bootstrap profile to the operational one."""
    options = DriverOptions(
        name="reader", resource=place["name"], extra={"pcsclite_csock": place["pcsclite_csock"]}, origin="test"
    )
    reader: Any = await load_driver("pcsc").open(options)
    try:
        card = reader.card()
        target = {"route": routes.names(told["eim"], None)}
        ipa = create(card, HostDataPath(), RealClock(), options=target, home=home)
        eid = await ipa.eid()
        await eim.register(eid)
        await ipa.add_initial_eim(await eim.initial_configuration())
        order = await smdpp.order(package, eid=eid)
        download = await eim.order_download(eid, order.activation_code)
        enable = await eim.order_enable(eid, order.iccid, rollback=False)
        first = await ipa.poll()
        await card.reset()
        second = await ipa.poll()
        await eim.notifications(eid, wait=10.0)
        profiles = {profile.iccid: profile.enabled for profile in await ipa.profiles()}
        return {
            "eid": eid,
            "first": repr(first),
            "changed": first.profile_changed,
            "delivered": second.notifications,
            "enabled": [iccid for iccid, enabled in profiles.items() if enabled],
            "wanted": order.iccid,
            "orders": [(await eim.show(item.order_id)).state for item in (download, enable)],
            "smdpp": (await smdpp.state(order.matching_id)).state,
        }
    finally:
        await reader.close()


async def main(announced: dict[str, Any], home: Path) -> None:
    eim = load_service("eim").client(announced["eim"], home)
    smdpp = load_service("smdpp").client(announced["smdpp"], home)
    (station,) = announced["stations"].values()
    try:
        async with asyncio.timeout(60.0):
            # A profile of its own for each: an ICCID exists once, and a new order for it withdraws the earlier one.
            jobs = [
                provision(place, f"filler-{number}", announced, eim, smdpp, home)
                for number, place in enumerate(station["readers"], 1)
            ]
            print(json.dumps(await asyncio.gather(*jobs)))
    finally:
        await eim.close()
        await smdpp.close()


asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])))
