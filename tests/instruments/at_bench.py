"""A modem driver opened on a modem double, for the tests of both."""

from __future__ import annotations

import asyncio
import contextlib

from instrument_doubles import MemoryLane

from bench.station.drivers import DriverOptions
from instruments.modem.modem import AtModem


@contextlib.asynccontextmanager
async def opened(double, *, lane=None, driver=AtModem, **options):
    modem = await driver.open(
        DriverOptions(
            name="modem", port=str(double.link), lane=lane or MemoryLane("at:modem"), apdu_lane=MemoryLane(), **options
        )
    )
    try:
        yield modem
    finally:
        await modem.close()


def with_modem(double, body, **options):
    async def run():
        async with opened(double, **options) as modem:
            return await body(modem)

    return asyncio.run(run())
