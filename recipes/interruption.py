"""A poll that is followed by its APDUs, and the power that is taken away in the middle of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from bench.errors import BenchError
from bench.station.interfaces import IpaService, PollResult
from recipes.job import Job

_LOOK_AGAIN = 0.005
"""Seconds between two looks at how far the poll is, in station time; a fifth of it in real time."""


@contextlib.asynccontextmanager
async def polled(job: Job, ipa: IpaService, apdus: int) -> AsyncIterator[asyncio.Future[PollResult | BenchError]]:
    """Poll, and go on when ``apdus`` APDUs have gone to the card or the poll has ended before.

    Gives the poll: what it gave, or its error (being interrupted is no failure of it). At the end it is cancelled and
    over: it still has the card's channel to close.
    """
    begun = ipa.apdus
    polling = asyncio.ensure_future(_outcome(ipa.poll(timeout=job.download_within)))
    try:
        while not polling.done() and ipa.apdus - begun < apdus:
            await _soon(job, polling)
        yield polling
    finally:
        polling.cancel()
        await asyncio.wait([polling])


async def cut_power(job: Job) -> None:
    """Take the card's power away: the device's, or the card's alone where a SIM switch holds it in a reader."""
    if job.moves:
        await job.station.switch.select("modem")  # a reader has no supply of its own; the contacts open at once
        return
    await job.station.power.set_output(False)
    await job.station.power.wait_dead(timeout=30.0)


async def _outcome(poll: Awaitable[PollResult]) -> PollResult | BenchError:
    try:
        return await poll
    except BenchError as error:
        return error


async def _soon(job: Job, polling: asyncio.Future[PollResult | BenchError]) -> None:
    """Wait a moment of station time or of real time: simulated time stands still while a reader of the host works."""
    moment = asyncio.ensure_future(job.station.clock.sleep(_LOOK_AGAIN))
    both: set[asyncio.Future[Any]] = {moment, polling}
    try:
        await asyncio.wait(both, timeout=_LOOK_AGAIN / 5, return_when=asyncio.FIRST_COMPLETED)
    finally:
        moment.cancel()
