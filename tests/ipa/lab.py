"""One bench for a test: the real virtual eUICC and SM-DP+, a relaying eIM and the IPA, with stores in a folder."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from virtual_card import VirtualCard

from bench.apdu.errors import CardGone, CardNeedsReset
from bench.rsp import packages
from bench.station.clock import RealClock
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import Ipa, create
from fixtures.pki import Pki
from fixtures.profiles import ensure_default_packages
from fixtures.sim.euicc import EuiccOptions, VirtualEuicc
from fixtures.sim.euicc.preloaded import Preloaded

from .fakes import EID, FQDN, FakeEim, Tls
from .relay import RelayEim, make_smdpp

BOOTSTRAP, OPERATIONAL = "8900101000000000019", "8900101000000000027"


@dataclass
class Lab:
    """One bench: its stores live in ``home``."""

    home: Path
    tls: Tls
    card: VirtualCard
    relay: RelayEim
    eim: FakeEim
    ipa: Ipa
    notes: dict[str, Any] = field(default_factory=dict)
    """What a test keeps for its end."""

    @classmethod
    def make(cls, base: Path, home: Path, tls: Tls, *, emergency: bool = False, **options: object) -> Lab:
        """A copy of the home ``base``, or (the same folder twice) a home as it is; what its eIM knew is not there."""
        if base != home:
            shutil.copytree(base, home)
        pki = Pki.open(home)
        kept = ensure_default_packages(home)
        euicc = VirtualEuicc.open(
            home / "card",
            pki=pki,
            eid=EID,
            bootstrap=Preloaded(kept.bootstrap, "bootstrap"),
            preloaded=[Preloaded(kept.operational, "emergency")] if emergency else (),
            options=EuiccOptions(**options),  # type: ignore[arg-type]
        )
        euicc.power_on()
        card = VirtualCard(euicc)
        relay = RelayEim(pki, make_smdpp(home, pki), EID)
        eim = FakeEim(relay)
        return cls(home, tls, card, relay, eim, None)  # type: ignore[arg-type]

    async def start_eim(self) -> None:
        """Serve the eIM; again on the port it had."""
        self._serving = self.eim.serve(self.tls.context)
        await self._serving.__aenter__()

    async def stop_eim(self) -> None:
        """Put the eIM out of reach."""
        await self._serving.__aexit__(None, None, None)

    def use(self, **options: object) -> None:
        """Go on with an IPA of these options; it has the memory of the one before."""
        settings = {"route": {FQDN: f"127.0.0.1:{self.eim.port}"}, "retry_delay": 0.001, "retries": 0, **options}
        self.ipa = create(self.card, HostDataPath(), RealClock(), options=settings, home=self.home)

    async def __aenter__(self) -> Lab:
        await self.start_eim()
        self.use()
        await self.associate()
        return self

    async def associate(self) -> None:
        """Have the eIM associated with the card."""
        if not await self.ipa.eims():
            await self.ipa.add_initial_eim(self.relay.configuration(self.tls.ca))
            self.relay.token = self.card.euicc.state().eims[0].token

    async def __aexit__(self, *details: object) -> None:
        await self.ipa.close()
        await self.stop_eim()
        self.relay.smdpp.store.close()

    def order_download(self, **more: Any) -> str:
        # The card's one-time key dies with its power: a cut between PrepareDownload and the first segment makes the
        # SM-DP+ bind the package anew.
        order = self.relay.smdpp.orders.place("operational", rebinding="allow", **more)
        self.relay.orders.append(("download", order.matching_id))
        return order.matching_id

    def order_enable(self, iccid: str = OPERATIONAL, *, rollback: bool = True) -> None:
        self.relay.orders.append(("psmo", packages.enable(iccid, rollback)))

    @property
    def enabled(self) -> str:
        view = self.card.euicc.state().enabled
        return view.iccid if view else ""

    def order(self, *psmos: bytes) -> None:
        """One package with these PSMOs."""
        self.relay.orders.append(("psmo", b"".join(psmos)))

    async def installed(self) -> None:
        """Bring the operational profile onto the card, disabled."""
        self.order_download()
        assert (await self.ipa.poll()).downloads[0]["installed"]

    async def on_operational(self, *, rollback: bool) -> None:
        """Install and enable the operational profile; the eIM has not heard of the enable yet."""
        await self.installed()
        self.order_enable(rollback=rollback)
        assert (await self.ipa.poll()).profile_changed
        await self.card.reset()
        assert self.enabled == OPERATIONAL

    def causes(self) -> list[int]:
        """StateChangeCauses that the eIM was told, in order."""
        asked = self.eim.of("BF4F")  # BF4F LL 5A 10 eidValue, then 80 00 81 01 cause
        return [message[25] for message in asked if message[21:25] == bytes.fromhex("80008101")]

    def check_provisioned(self, matching_id: str) -> None:
        view = self.card.euicc.state()
        assert self.enabled == OPERATIONAL
        assert [profile.iccid for profile in view.profiles] == [BOOTSTRAP, OPERATIONAL]
        assert view.notifications == ()
        order = self.relay.smdpp.store.newest("matching_id", matching_id)
        assert order is not None
        assert order.state == "installed"
        assert self.relay.orders == []
        assert [result.results for result in self.relay.done] == [[("enable", 0)]]


async def finish(lab: Lab) -> int:
    """Poll and reset like a recipe until there is nothing more to do, through the cut; return the polls it took."""
    polls = 0
    while True:
        polls += 1
        assert polls < 12
        try:
            result = await lab.ipa.poll()
        except (CardGone, CardNeedsReset):
            await lab.card.reset()
            continue
        if result.profile_changed:
            await lab.card.reset()
            continue
        if not lab.relay.orders and not lab.card.euicc.state().notifications:
            return polls


def scene(
    base: Path, home: Path, tls: Tls, play: Callable[[Lab], Awaitable[None]], *, emergency: bool = False, **card: object
) -> None:
    """Play on a bench whose card has the options ``card``."""

    async def run() -> None:
        async with Lab.make(base, home, tls, emergency=emergency, **card) as lab:
            try:
                await play(lab)
            finally:
                await lab.ipa.close()  # a connection is kept after a switch
            assert lab.card.euicc.faults == 0

    asyncio.run(run())
