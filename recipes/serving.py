"""An emulator with one cell or one subscriber serves one profile: it is re-programmed when the profile changes."""

from __future__ import annotations

from bench.engine.recipe import Station
from bench.station.network import PdnSettings


async def serve(station: Station, package: str, plmn: str) -> bool:
    """Give the emulator the subscriber of ``package`` (and its PLMN); returns whether that was needed.

    Nothing is done where every profile has a cell and an HSS entry of its own. The time is the bench's: it is recorded
    as an event ``reprogramming`` and charged to no step. ``plmn``: 5 or 6 digits, empty for the package's own.
    """
    if not station.has("network") or not station.network.abilities.one_profile:
        return False
    network = station.network
    subscriber = station.subscriber(package)
    cell = (await network.cells())[0]
    async with station.reprogramming(f"cell {cell} for the {package} profile, IMSI {subscriber.imsi}"):
        await network.set_cell(False, cell=cell)
        if "plmn" in network.abilities and (plmn or subscriber.plmn):
            await network.set_plmn(plmn or subscriber.plmn, cell=cell)
        if "subscriber" in network.abilities:
            await network.set_subscriber(subscriber, cell=cell)
        if "apn" in network.abilities and subscriber.apn:
            await network.set_pdn(PdnSettings(apn=subscriber.apn), cell=cell)
        await network.set_cell(True, cell=cell)
    return True
