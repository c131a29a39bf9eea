"""Card, eIM and IPA put together for one test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from bench.station.clock import RealClock
from bench.station.interfaces import PollResult
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import Ipa, create

from .fakes import FQDN, FakeCard, FakeEim, Tls, eim_configuration, pin

T = TypeVar("T")


@asynccontextmanager
async def set_up(
    card: FakeCard, eim: FakeEim, tls: Tls, home: Path, /, *, pinned: bool = True, **options: object
) -> AsyncIterator[Ipa]:
    """Serve the eIM and yield an IPA that is routed to it; retries without delay to speak of."""
    if pinned:
        card.eims = [eim_configuration(pin=pin("A1", tls.ca))]
    async with eim.serve(tls.context):
        settings = {"route": {FQDN: f"127.0.0.1:{eim.port}"}, "retry_delay": 0.001, **options}
        yield create(card, HostDataPath(), RealClock(), options=settings, home=home)


def with_ipa(
    card: FakeCard, eim: FakeEim, tls: Tls, home: Path, use: Callable[[Ipa], Awaitable[T]], /, **options: object
) -> T:
    async def run() -> T:
        async with set_up(card, eim, tls, home, **options) as ipa:  # type: ignore[arg-type]
            return await use(ipa)

    return asyncio.run(run())


def poll(card: FakeCard, eim: FakeEim, tls: Tls, home: Path, /, **options: object) -> PollResult:
    result = with_ipa(card, eim, tls, home, lambda ipa: ipa.poll(timeout=30.0), **options)
    assert card.opened == card.closed
    return result
