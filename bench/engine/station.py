"""The station as a recipe sees it: its instruments and services, steps, measurements, notes and questions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.engine.parameters import RAT_SECONDS
from bench.engine.steps import QuietRadio, Step, Value, current
from bench.engine.verdicts import RecipeError
from bench.errors import DeviceFailure, Refused
from bench.run import events as kinds
from bench.run.verdict import Verdict
from bench.station.interfaces import (
    Attenuator,
    CardPlace,
    DataPath,
    EimService,
    HttpAnswer,
    IpaService,
    Modem,
    Network,
    PowerSupply,
    Reader,
    Registration,
    SimSwitch,
    SmdppService,
)

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from bench.apdu.channel import CardAccess
    from bench.engine.dut import Dut
    from bench.engine.observe import Observation
    from bench.engine.radio import Radio
    from bench.engine.record import Record
    from bench.station.clock import Clock
    from bench.station.config import StationConfig
    from bench.station.dut_parts import Console, OutputLines
    from bench.station.network import NetworkSubscriber

T = TypeVar("T")
_POLL = 0.5
"""Seconds of station time between two questions to an emulator that tells nothing by itself."""

Asker = Callable[[str, Sequence[str], float | None], Awaitable[str]]


class Station:
    """What a recipe is given. A part the station does not have, or that was not opened, raises Refused when used."""

    def __init__(self, config: StationConfig, record: Record, *, home: Path, seed: int, asker: Asker | None) -> None:
        self.config = config
        """The station's table of bench.toml; ``config.eid`` is the pinned EID."""
        self.home = home
        """The bench's home."""
        self.seed = seed
        self.random = random.Random(seed)
        """What a recipe draws from, so that a run can be repeated."""
        self.stopping = asyncio.Event()
        """Set when a recipe that runs until it is stopped has been stopped."""
        self._record = record
        self._asker = asker
        self._parts: dict[str, object] = {}
        self._ipa: Callable[[], IpaService] | None = None
        self._ipa_options: dict[str, object] = {}
        self._trust: tuple[str, ...] = ()
        self._consoles: Mapping[str, Console] = {}

    # --- parts ----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The station's name in bench.toml."""
        return self.config.name

    @property
    def clock(self) -> Clock:
        """Station time: what waits for the device waits with it."""
        retrace = self._record.retrace
        return self._record.clock if retrace is None else retrace.clock

    @property
    def power(self) -> PowerSupply:
        """The supply channel of the device."""
        return self._part("power", PowerSupply)

    @property
    def modem(self) -> Modem:
        """The device's modem."""
        return self._part("modem", Modem)

    @property
    def network(self) -> Network:
        """The network emulator."""
        return self._part("network", Network)

    @property
    def attenuator(self) -> Attenuator:
        """The step attenuator between emulator and device; opened for recipes that need ``network``."""
        return self._part("attenuator", Attenuator)

    @property
    def radio(self) -> Radio:
        """What is known of the radio: the latest measurement, and whether the modem is asked for more."""
        if "radio" not in self._parts:
            raise Refused(
                f"station {self.name} has nothing that measures the radio",
                where=self.config.origin,
                hint="a modem with an AT port does, where the recipe needs it: @recipe(needs=('modem', ...))",
            )
        return self._part("radio", None)

    @property
    def card(self) -> CardAccess:
        """The way to the card."""
        return self._part("card", None)

    @property
    def reader(self) -> Reader:
        """The eUICC reader."""
        return self._part("reader", Reader)

    @property
    def switch(self) -> SimSwitch:
        """The SIM switch between reader and modem; ``card_to`` is what a recipe usually wants."""
        return self._part("switch", SimSwitch)

    @property
    def consoles(self) -> Mapping[str, Console]:
        """The device's consoles by their names in bench.toml; empty where it has none."""
        return self._consoles

    @property
    def console(self) -> Console:
        """The device's first console."""
        return self._part("console", None)

    @property
    def dut(self) -> Dut:
        """The device under test: its lines, its firmware, its power."""
        return self._part("dut", None)

    @property
    def data(self) -> DataPath:
        """The device's data path; ``data.bearer`` says whether it is the radio."""
        return self._part("data", DataPath)

    @property
    def eim(self) -> EimService:
        """The eIM, seen by its operator."""
        return self._part("eim", EimService)

    @property
    def smdpp(self) -> SmdppService:
        """The SM-DP+, seen by its operator."""
        return self._part("smdpp", SmdppService)

    @property
    def ipa(self) -> IpaService:
        """The IPA in the bench; made at first use, when the modem has told its IMEI."""
        if self._ipa is not None:
            if self._record.retrace is not None:  # made at its first call: the modem may have no power yet
                told: IpaService = self._record.retrace.told("ipa", self._made_ipa, IpaService)
                return told
            return self._made_ipa()
        return self._part("ipa", IpaService)

    def _made_ipa(self) -> IpaService:
        assert self._ipa is not None
        if "ipa" not in self._parts:
            self._parts["ipa"] = self._ipa()
        made: IpaService = self._parts["ipa"]  # type: ignore[assignment]
        return made

    @property
    def ipa_options(self) -> Mapping[str, object]:
        """What the recipe wants of the IPA, beside what the bench gives it."""
        return dict(self._ipa_options)

    def configure_ipa(self, **options: object) -> None:
        """Set options of the IPA in the bench, before its first use. Raises RecipeError when it is in use.

        Which there are is the IPA's affair: it raises ConfigurationError for others.
        """
        if "ipa" in self._parts:
            raise RecipeError("the IPA is in use already", hint="call configure_ipa before station.ipa")
        self._ipa_options.update(options)

    def has(self, part: str) -> bool:
        """Return whether the station has a part: ``power``, ``modem``, ``network``, ``card``, ``data``, ``eim`` ..."""
        return self._parts.get(part) is not None or (part == "ipa" and self._ipa is not None)

    def _part(self, name: str, kind: type[T] | None) -> T:
        found = self._parts.get(name)
        if found is None:
            raise Refused(
                f"station {self.name} has no {name}",
                where=self.config.origin,
                hint=f"declare it: @recipe(needs=({name!r}, ...)), so that it is known before anything is touched",
            )
        if self._record.retrace is not None:
            found = self._record.retrace.told(name, lambda: self._parts[name], kind)
        return found  # type: ignore[return-value]

    # --- filling, by the runner -----------------------------------------------------------------------------------

    def provide(self, name: str, part: object) -> None:
        """Give a part that is ready (called by the runner)."""
        self._parts[name] = part

    @property
    def record(self) -> Record:
        """What the run writes (for the engine's own parts and a soak's cycles; recipes use steps and measurements)."""
        return self._record

    def begin_cycle(self, seed: int) -> None:
        """Begin another cycle of a soak: its own seed, and an IPA with nothing configured."""
        self.seed = seed
        self.random = random.Random(seed)
        if self._ipa_options:
            self._parts.pop("ipa", None)
            self._ipa_options.clear()

    def provide_dut(self, consoles: Mapping[str, Console], lines: Mapping[str, OutputLines]) -> None:
        """Give the device's consoles and lines (called by the runner)."""
        from bench.engine.dut import Dut
        from bench.station.dut import DutConfig

        self._consoles = dict(consoles)
        if consoles:
            self._parts["console"] = next(iter(consoles.values()))
        self._parts["dut"] = Dut(self, self.config.dut or DutConfig(origin=self.config.origin), dict(lines))

    def wrap_ipa(self, wrapping: Callable[[IpaService], Any]) -> None:
        """Have the IPA, whenever it is made, given in a wrapping (a soak counts what a cycle uses)."""
        maker = self._ipa
        if maker is not None:
            self._ipa = lambda: wrapping(maker())

    def provide_ipa(self, maker: Callable[[], IpaService]) -> None:
        """Give what makes the IPA at first use (called by the runner)."""
        self._ipa = maker

    def record_event(self, kind: str, data: Mapping[str, object], *, step: str = "") -> None:
        """Append an event to the journal (for the engine's own parts; recipes write notes and measurements)."""
        self._record.event(kind, data, step=step)

    def trust(self, *files: str) -> None:
        """Trust the certificates of these PEM files in ``https_get`` (called by the runner)."""
        self._trust = (*self._trust, *files)

    # --- steps and what they record -------------------------------------------------------------------------------

    def step(self, name: str, *, timeout: float | None = None, decisive: bool = True, polling: bool = True) -> Step:
        """Return a step to be used with ``async with``; steps nest.

        ``timeout`` in seconds of station time: then StepTimeout is raised and the device has failed.
        ``decisive=False``: a failure within it is recorded but decides nothing (an attempt that may fail).
        ``polling=False``: meanwhile the modem is not asked for radio measurements, which would wake it.
        """
        radio = self._parts.get("radio")
        quiet = radio.polling_off(f"step {name}") if isinstance(radio, QuietRadio) and not polling else None
        return Step(self._record, name, timeout=timeout, decisive=decisive, quiet=quiet)

    def measure(
        self,
        name: str,
        value: Value,
        *,
        unit: str = "",
        lower: float | None = None,
        upper: float | None = None,
        source: str = "",
    ) -> Verdict:
        """Record a measurement in the innermost open step (``Step.measure``). Raises RecipeError outside of steps."""
        step = current()
        if step is None:
            raise RecipeError(f"measurement '{name}' outside of every step", hint="async with station.step(...)")
        return step.measure(name, value, unit=unit, lower=lower, upper=upper, source=source)

    def note(self, text: str) -> None:
        """Write a line for people into the journal."""
        step = current()
        self._record.event(kinds.NOTE, {"text": str(text)}, step=step.path if step else "")

    def result(self, name: str, value: object) -> None:
        """Record what the run was asked to find out, as JSON: ``bench euicc info`` prints what it reads here."""
        step = current()
        self._record.event(kinds.RESULT, {"name": name, "value": value}, step=step.path if step else "", sync=True)

    def identify(self, name: str, value: str, *, source: str = "") -> None:
        """Record who something turned out to be: ``eid``, ``imei``, ``firmware`` ... and where that was read."""
        step = current()
        self._record.identify(name, str(value), source, step=step.path if step else "")

    async def ask(self, text: str, choices: Sequence[str], *, timeout: float | None = None) -> str:
        """Ask the person and return the choice. ``timeout`` in real seconds, then TimeoutError; None: a day.

        The recipe declares ``needs=("person", ...)``: an unattended run is refused before anything is touched. Raises
        RecipeError without a person or without choices.
        """
        if self._asker is None:
            raise RecipeError("station.ask without a person", hint="declare needs=('person', ...) and run it attended")
        if not choices:
            raise RecipeError("station.ask without choices", hint="give what can be answered, such as ('done', 'skip')")
        asker, retrace = self._asker, self._record.retrace
        if retrace is None:
            return await asker(text, choices, timeout)
        return str(await retrace.call("station.ask", lambda: asker(text, choices, timeout)))

    # --- where the card is ----------------------------------------------------------------------------------------

    async def card_to(self, place: CardPlace, *, timeout: float = 60.0) -> None:
        """Wire the card to ``reader`` or ``modem`` and wait until that side sees it; see ``bench.engine.card``.

        Does nothing on a station whose card stays where it is, so that one recipe serves all. ``timeout`` in seconds
        of station time. Raises CardGone, DeviceFailure, InstrumentError.
        """
        from bench.engine.card import move, moves

        if not moves(self):
            return
        retrace = self._record.retrace
        if retrace is None:
            await move(self, place, timeout=timeout)
        else:  # one call: led back, the card is where it was last, however often it went to and fro
            await retrace.call("station.card_to", lambda: move(self, place, timeout=timeout), ((place,), {}))

    # --- what several instruments can tell ------------------------------------------------------------------------

    async def wait_registered(
        self, *, plmn: str | None = None, rat: str | None = None, timeout: float | None = None
    ) -> Registration:
        """Wait until the device is registered; ``Registration.source`` says who saw it.

        From the modem (``at``) where there is one, else from the network emulator (``emulator``), which knows neither
        RAT nor status. ``timeout`` in seconds of station time; None: what is left of the step, else by RAT. Raises
        DeviceFailure, InstrumentError, and Refused on a station that has neither of them.
        """
        if timeout is None:
            step = current()
            left = step.remaining() if step is not None else None
            timeout = max(left, 0.001) if left is not None else RAT_SECONDS.get(rat or "", max(RAT_SECONDS.values()))
        if self.has("modem"):
            return await self.modem.wait_registered(plmn=plmn, rat=rat, timeout=timeout)
        if not self.has("network"):
            raise Refused(
                f"station {self.name} cannot see a registration",
                where=self.config.origin,
                hint="it has neither a modem nor a network emulator",
            )
        return await self._seen_by_network(plmn, timeout)

    async def _seen_by_network(self, plmn: str | None, timeout: float) -> Registration:
        started = self.clock.now()
        try:
            async with self.clock.timeout(timeout):
                while True:
                    for cell in await self.network.cells():
                        if await self.network.attached_imsi(cell=cell):
                            elapsed = self.clock.now() - started
                            return Registration(True, plmn=plmn or "", source="emulator", elapsed=elapsed)
                    await self.clock.sleep(_POLL)
        except TimeoutError:
            raise DeviceFailure(
                f"the device did not attach within {timeout:g} s", where="network emulator", hint="is its cell on?"
            ) from None

    async def observe(
        self,
        name: str,
        *,
        timeout: float,
        since: float | None = None,
        values: Mapping[str, str] | None = None,
        eid: str = "",
        polls: int | None = None,
        order: str = "",
    ) -> Observation | None:
        """Wait until the device is seen to have ``booted``, ``registered``, ``polled``, ``switched`` ...

        The observation names its source; None, and an inconclusive step, where the station has none. See
        ``bench.engine.observe``. ``timeout`` in seconds of station time.
        """
        from bench.engine.observe import observe

        return await observe(self, name, timeout=timeout, since=since, values=values, eid=eid, polls=polls, order=order)

    async def https_get(self, url: str, *, timeout: float, dns: Sequence[str] = ()) -> HttpAnswer:
        """Fetch ``url`` over the device's data path with TLS; bytes are counted on the TCP connection.

        ``timeout`` in seconds of station time. ``dns``: servers of the PDP context, needed where the path takes
        addresses only (``interface:``). Raises InstrumentError, InstrumentTimeout, DeviceFailure for a certificate
        that does not fit.
        """
        from bench.engine.https import get

        async def live() -> HttpAnswer:
            return await get(self.data, self._record.clock, url, timeout=timeout, dns=dns, trust=self._trust)

        retrace = self._record.retrace
        return await live() if retrace is None else await retrace.call("station.https_get", live)

    def reprogramming(self, what: str) -> AbstractAsyncContextManager[None]:
        """``async with station.reprogramming("cell 1 for operational"):`` the time inside is not the device's.

        Recorded as an event; timeouts of the open steps end later by as much, and their elapsed time is without it.
        """
        from bench.engine.reprogram import reprogramming

        return reprogramming(self, what)

    def subscriber(self, package: str) -> NetworkSubscriber:
        """Return the subscriber of a profile package: ``bootstrap``, ``operational`` or a file's path.

        Its keys are in no lane, no event and no message. Raises ConfigurationError.
        """
        from bench.station.drivers import load_service

        found: NetworkSubscriber = load_service("subscribers", where=self.config.origin)(package, home=self.home)
        return found

    async def gather(self, *awaitables: Awaitable[T]) -> list[T]:
        """Await several things together; the first failure cancels the others and is raised."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_awaited(item)) for item in awaitables]
        return [task.result() for task in tasks]


async def _awaited(item: Awaitable[T]) -> T:
    return await item


def parts_known(config: StationConfig) -> Mapping[str, bool]:
    """Return which needs of recipes a station's table can meet."""
    return {
        "power": config.power is not None,
        "modem": config.modem is not None,
        "network": config.network is not None,
        "attenuator": config.attenuator is not None,
        "card": config.card is not None,
        "reader": config.card is not None and config.card.at != "modem",
        "switch": config.switch is not None and config.card is not None and config.card.at == "switch",
        "data": config.data is not None,
        "eim": True,
        "smdpp": True,
        "ipa": config.ipa == "bench" and config.card is not None and config.data is not None,
        "console": config.dut is not None and bool(config.dut.console),
        "reset": config.dut is not None and config.dut.line("reset") is not None,
        "flash": config.dut is not None and config.dut.flash is not None,
        "device-ipa": config.ipa == "device",
        # A device's own IPA has no other way out than the device's own radio.
        "radio": config.ipa == "device" or (config.data is not None and config.data.path != "host"),
    }
