"""Which waits may let station time jump: those on the device's link, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from bench.station.clock import RealClock
from fixtures.ipa.errors import EimSilent
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import create

from .fakes import FQDN, FakeCard, FakeEim, FakeLink, Tls, eim_configuration, pin, script
from .test_transport import LinkPath


class Watched(RealClock):
    """Notes what is in force while the eIM is asked; sleeps are only noted."""

    def __init__(self) -> None:
        self.active = 0
        self.held = 0
        self.seen: list[tuple[bool, bool]] = []
        self.slept: list[float] = []
        self.deadlines: list[float | None] = []

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        self.active += 1
        self.deadlines.append(seconds)
        try:
            async with asyncio.timeout(seconds):
                yield
        finally:
            self.active -= 1

    @contextmanager
    def busy(self) -> Iterator[None]:
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def watched_eim(clock: Watched) -> FakeEim:
    usual = script([])

    def answer(message: bytes, index: int) -> object:
        clock.seen.append((clock.active > 0, clock.held > 0))
        return usual(message, index)

    return FakeEim(answer)  # type: ignore[arg-type]


def test_time_may_run_while_the_device_s_link_is_waited_for(home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        clock = Watched()
        eim, link = watched_eim(clock), FakeLink({})
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        async with eim.serve(server_tls.context), link.serve() as url:
            link.routes = {f"{FQDN}:443": eim.port}
            await create(card, LinkPath(url), clock, options={"request_timeout": 7.0}, home=home).poll()
        assert clock.seen == [(True, False)]
        assert clock.deadlines == [7.0]
        assert (clock.active, clock.held) == (0, 0)

    asyncio.run(run())


def test_time_does_not_jump_while_a_direct_socket_is_waited_for(home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        clock = Watched()
        eim = watched_eim(clock)
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        async with eim.serve(server_tls.context):
            options = {"route": f"127.0.0.1:{eim.port}"}
            await create(card, HostDataPath(), clock, options=options, home=home).poll()
        assert clock.seen == [(False, True)]
        assert (clock.active, clock.held) == (0, 0)

    asyncio.run(run())


def test_pauses_between_attempts_double_and_are_the_station_s(home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        clock = Watched()
        card = FakeCard(eims=[eim_configuration(pin=pin("A1", server_tls.ca))])
        ipa = create(card, HostDataPath(), clock, options={"route": "127.0.0.1:1"}, home=home)
        with pytest.raises(EimSilent):
            await ipa.poll()
        assert clock.slept == [0.5, 1.0, 2.0]

    asyncio.run(run())
