"""What a run starts and opens: services in parallel, the world's announcement, the station's instruments."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.engine.order import Order
from bench.engine.pinned import PinnedCard
from bench.errors import BenchError
from bench.run import events as kinds
from bench.station import routes, services
from bench.station.config import BenchConfig, StationConfig
from bench.station.drivers import Tell, load_service, warm_driver
from bench.station.dut_parts import AsksPerson
from bench.station.interfaces import TappedPath
from bench.trace.lane import NullLane

if TYPE_CHECKING:
    from bench.engine.record import Record
    from bench.engine.station import Station
    from bench.station.external import ExternalService
    from bench.station.model import ServerConfig
    from bench.station.opened import OpenStation

_STOP_WITHIN: Final = 2.0
"""Real seconds a service is given to end."""
_WORLD: Final = "world"


class Equipment:
    """Services and instruments of one run; closes what it opened, whatever was reached."""

    def __init__(
        self,
        order: Order,
        config: BenchConfig,
        needs: Iterable[str],
        folder: Path,
        record: Record,
        *,
        lifeline: int,
        told: Callable[..., None],
        broken: Callable[[str], None],
    ) -> None:
        self._needs = set(needs)
        self.station: StationConfig = self._configured(order, config)
        self.services: dict[str, services.Service] = {}
        self.open: OpenStation | None = None
        self._order = order
        self._config = config
        self._folder = folder
        self._home = Path(order.home)
        self._record = record
        self._lifeline = lifeline
        self._told = told
        self._broken = broken
        self._starting: dict[str, asyncio.Task[services.Service]] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._closing = False
        self._external: dict[str, ExternalService] = {}
        """The lab's own servers."""
        self._lanes: Callable[[str], Any] = NullLane
        self._observe: Path | None = None
        """Where services and world tell what they see."""
        self._made_ipa: Any = None
        """The IPA in the bench, when the recipe has used it."""

    def _configured(self, order: Order, config: BenchConfig) -> StationConfig:
        """Return the station as this run uses it: without a modem that the recipe does not need, the EID pinned."""
        station = config.station(order.station)
        if not self._needs & {"modem", "card", "ipa", "radio", "reader", "switch"}:
            station = replace(station, modem=None, card=None, switch=None)
        if "network" not in self._needs:
            station = replace(station, attenuator=None)  # the radio is left as it is
        if order.passive:
            station = replace(station, modem=None, card=None, switch=None, network=None)
        if station.world is not None:
            options = dict(order.world)
            if order.clock is not None:
                options["clock"] = order.clock
            station = station.with_world(
                **{"station": station.name, "seed": order.seed, **station.world.options, **options}
            )
        if order.eid and station.card is not None:
            station = replace(station, card=replace(station.card, eid=order.eid))
        elif order.eid and station.dut is not None:
            station = replace(station, dut=replace(station.dut, eid=order.eid))
        return station

    # --- services -------------------------------------------------------------------------------------------------

    def start_services(self, observe: Path) -> None:
        """Start the processes that recipe and station need, all at once; their announcements are awaited later."""
        self._observe = observe
        world = self.station.world
        if world is not None:
            self._start(_WORLD, world.service, {**world.options, "observe": observe}, world.origin)
        told = {"observe": observe, **({"secrets": True} if self._order.with_secrets else {})}
        eim, smdpp = self._config.eim, self._config.smdpp
        if "eim" in self._needs and not eim.external:
            options = {**told, "host": eim.listen, "port": eim.port, "fqdn": eim.advertise}
            self._start("eim", "eim", {**options, **eim.options}, eim.origin)
        if "smdpp" in self._needs and not smdpp.external:
            options = {**told, "host": smdpp.listen, "port": smdpp.port, "address": smdpp.advertise}
            self._start("smdpp", "smdpp", {**options, **smdpp.options}, smdpp.origin)

    def _start(self, role: str, name: str, options: Mapping[str, object], where: str) -> None:
        log = self._folder / f"{role}.log"
        starting = services.start(name, home=self._home, options=options, log=log, lifeline=self._lifeline, where=where)
        self._starting[role] = asyncio.create_task(self._started(role, starting), name=f"start {role}")

    async def _started(self, role: str, starting: Awaitable[services.Service]) -> services.Service:
        service = await starting
        self.services[role] = service
        self._told("service", name=role, pid=service.pid)
        data = {"name": role, "pid": service.pid, "announcement": service.announcement}
        self._record.event("service-start", data)
        watch = asyncio.create_task(self._watch(role, service), name=f"watch {role}")
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return service

    async def _watch(self, role: str, service: services.Service) -> None:
        code = await asyncio.shield(service.exited)
        if not self._closing:
            tail = services.tail_of(service.log)
            self._broken(f"service {role} ended with exit code {code}" + (f":\n{tail}" if tail else ""))

    async def service(self, role: str) -> services.Service:
        """Return a service when it has announced itself. Raises InstrumentError, ConfigurationError."""
        return await asyncio.shield(self._starting[role])

    # --- imports, while the services start ------------------------------------------------------------------------

    def import_ahead(self) -> None:
        """Import what opening will need. Errors wait for the opening, which names them."""
        with contextlib.suppress(BenchError):
            from bench.station import opening, parts  # noqa: F401 - the first is only imported

            for part in parts.parts(self.station):
                if not part.config.driver.startswith("$"):
                    warm_driver(part.config.driver)
            if "ipa" in self._needs:
                from bench.apdu import es10  # noqa: F401

                load_service("ipa")
            if self._needs & {"eim", "smdpp"}:
                import aiohttp  # noqa: F401 - what their clients speak with, at their first request otherwise

    # --- the station ----------------------------------------------------------------------------------------------

    async def resolve(self) -> None:
        """Fill in what the simulated world announced, and connect to the station's clock."""
        from bench.station.opening import connect_clock

        if self.station.world is not None:
            self.station = self.station.resolve((await self.service(_WORLD)).announcement)
        self._record.set_clock(await connect_clock(self.station))

    async def open_station(
        self, lanes: Callable[[str], Any], on_lock: Callable[[Any], None], supervisor: int, tell: Tell
    ) -> None:
        """Open every instrument; nothing is switched. Raises what ``bench.station.opening.open_station`` raises."""
        from bench.station.locks import Owner
        from bench.station.opening import open_station

        self._lanes = lanes
        self.open = await open_station(
            self.station,
            lanes=lanes,
            clock=self._record.clock,
            home=self._home,
            on_lock=on_lock,
            owner=Owner.me(run=self._order.run, pid=supervisor),
            tell=tell,
            folder=self._folder,
        )

    async def provide(self, station: Station) -> None:
        """Give the recipe's station its parts, and connect the services with each other."""
        from bench.station.data import HostPath

        assert self.open is not None
        for part in ("power", "modem", "network", "attenuator", "reader", "switch", "card", "data"):
            station.provide(part, getattr(self.open, part))
        if self.open.card is not None and self.station.eid:
            self.open.card = PinnedCard(self.open.card, self.station)
            station.provide("card", self.open.card)
        station.provide_dut(self.open.consoles, self.open.lines)
        if isinstance(self.open.switch, AsksPerson):
            self.open.switch.asker = station.ask
        for role in ("eim", "smdpp"):
            if role in self._starting:
                service = await self.service(role)
                station.provide(role, service.client)
                if "ca" in service.announcement:
                    station.trust(str(service.announcement["ca"]))
        self._connect_external(station)
        world = self.services.get(_WORLD)
        announced = world.announcement if world is not None else _by_itself(self.station)
        await routes.connect_routes(announced, self._server("eim"), self._server("smdpp"))
        if announced is not None and announced.get("control") and _by_steps(self.station):
            self._record.step_begins = functools.partial(_tell_step, str(announced["control"]))
        if world is None and announced is not None and self._observe is not None:  # its link's packets come here now
            await routes.ask_world(announced["control"], [{"op": "observe", "path": str(self._observe)}])
        if isinstance(self.open.data, TappedPath) and self.open.data.proxy is None:
            name = "host" if isinstance(self.open.data, HostPath) else self.open.data.bearer.rpartition(":")[2]
            self.open.data.lane = self._lanes(f"ip:{name}")
        if isinstance(self.open.data, HostPath):
            self.open.data.routes = routes.names(*(self._announced(role) for role in ("eim", "smdpp")))
        if "ipa" in self._needs:
            station.provide_ipa(lambda: self._ipa(station.ipa_options))

    def _connect_external(self, station: Station) -> None:
        """Give the recipe the servers of the lab, and write down which lanes are missing with them."""
        if not any(getattr(self._config, role).external for role in ("eim", "smdpp")):
            return
        from bench.station import external

        def warn(text: str) -> None:
            self._record.event(kinds.LOG, {"text": text, "level": "warning", "source": "bench"})

        context = external.AdapterContext(self._home, self._lanes, warn)
        servers: tuple[tuple[external.Role, ServerConfig], ...] = (
            ("eim", self._config.eim),
            ("smdpp", self._config.smdpp),
        )
        for role, config in servers:
            if role not in self._needs or not config.external:
                continue
            service = self._external[role] = external.connect(role, config, context)
            if isinstance(service.client, AsksPerson):
                service.client.asker = station.ask
            station.provide(role, service.client)
            told = {"name": role, "adapter": config.adapter, "announcement": service.announcement}
            self._record.event(kinds.SERVICE_EXTERNAL, told)
            ca = service.announcement.get("ca") or ssl.get_default_verify_paths().cafile
            if ca:  # in place of the system's: with a bundled server beside it both are believed
                station.trust(str(ca))
        for lane, why in external.lanes_missing(self._needs, self._config.eim, self._config.smdpp).items():
            self._record.event(kinds.LANE_MISSING, {"lane": lane, "why": why})

    def _server(self, role: str) -> services.Service | ExternalService | None:
        return self.services.get(role) or self._external.get(role)

    def _announced(self, role: str) -> Mapping[str, Any] | None:
        service = self._server(role)
        return None if service is None else service.announcement

    def _ipa(self, given: Mapping[str, object]) -> Any:
        """Make the IPA: called at its first use, when the modem has told its IMEI. ``given``: options of the recipe."""
        assert self.open is not None
        opened = self.open
        assert opened.card is not None
        assert opened.data is not None
        options: dict[str, object] = dict(self._config.ipa.options)
        if opened.modem is not None and opened.modem.imei:
            options["imei"] = opened.modem.imei
        eim = self._server("eim")
        if eim is not None and "eim_id" in eim.announcement:
            options["eim"] = eim.announcement["eim_id"]  # a card may be associated with others beside it
        local = [role for role in ("eim", "smdpp") if getattr(self._config, role).listen in ("127.0.0.1", "::1")]
        if opened.data.proxy is None:
            found = {role: self._announced(role) for role in local}
            own = {**routes.names(found.get("eim"), found.get("smdpp")), **routes.coaps(found.get("eim"))}
            wanted = options.get("route")
            options["route"] = {**own, **wanted} if isinstance(wanted, Mapping) else wanted or own
        options |= given
        self._made_ipa = load_service("ipa")(
            opened.card, opened.data, self._record.clock, options=options, home=self._home
        )
        return self._made_ipa

    def world_process(self) -> Mapping[str, object] | None:
        """Return who the simulated world is, for the safe plan: with it everything it simulates is gone."""
        from bench.run.liveness import start_time

        world = self.services.get(_WORLD)
        return None if world is None else {"pid": world.pid, "start": start_time(world.pid)}

    @property
    def world_is_gone(self) -> bool:
        """The simulated world of this run has ended, and nothing it simulated can be on any more."""
        world = self.services.get(_WORLD)
        return world is not None and not world.running

    # --- end ------------------------------------------------------------------------------------------------------

    def begin_stop(self) -> None:
        """Begin to end the services that the safe sequence does not need, while it runs."""
        self._closing = True
        for role, service in self.services.items():
            if role != _WORLD:
                self._stopping[role] = asyncio.create_task(self._stop(role, service), name=f"stop {role}")

    async def close_station(self) -> None:
        """Close every connection; complaints go into the journal."""
        await self._close_client(self._made_ipa)
        for external in self._external.values():
            await self._close_client(external.client)
        if self.open is not None:
            for complaint in await self.open.close():
                self._record.event("log", {"text": f"closing: {complaint}", "level": "warning", "source": "bench"})

    async def stop_services(self) -> None:
        """End every service, those that have not announced themselves yet too."""
        self._closing = True
        for task in self._starting.values():
            if not task.done():
                task.cancel()
        if self._starting:
            await asyncio.wait(self._starting.values(), timeout=_STOP_WITHIN)
        for role, service in self.services.items():
            if role not in self._stopping:
                self._stopping[role] = asyncio.create_task(self._stop(role, service), name=f"stop {role}")
        await asyncio.gather(*self._stopping.values())

    @staticmethod
    async def _close_client(client: Any) -> None:
        """Close a connection to what ends anyway: that it broke first is no news."""
        if hasattr(client, "close"):
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_STOP_WITHIN):
                    await client.close()

    async def _stop(self, role: str, service: services.Service) -> None:
        await self._close_client(service.client)
        code = await service.stop(deadline=_STOP_WITHIN)
        self._told("service-gone", pid=service.pid)
        self._record.event("service-stop", {"name": role, "exit_code": code})


def _by_steps(station: StationConfig) -> bool:
    """Whether the world's fault time line has entries that wait for a step."""
    faults = station.world.options.get("faults") if station.world is not None else None
    if isinstance(faults, str):  # JSON, or @FILE: it may
        return "step" in faults or faults.startswith("@")
    return isinstance(faults, list) and any(isinstance(item, Mapping) and "step" in item for item in faults)


async def _tell_step(control: str, path: str) -> None:
    await routes.ask_world(control, [{"op": "step", "path": path}])


def _by_itself(station: StationConfig) -> Mapping[str, str] | None:
    """Return where a simulated world that runs by itself (``bench sim up``) is told things."""
    return {"control": station.world_control.removeprefix("unix:")} if station.world_control else None
