"""One run in the runner: set up, recipe, teardown, safe, record. The only writer of the run folder while it lives."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import logging
import os
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.engine import ending, link
from bench.engine.equipment import Equipment
from bench.engine.leash import Leash
from bench.engine.observations import ObservationServer
from bench.engine.order import Order
from bench.engine.record import Record
from bench.engine.station import Station
from bench.engine.steps import current
from bench.engine.verdicts import Cause
from bench.errors import BenchError
from bench.run import events as kinds
from bench.run import folder as places
from bench.run.events import SCHEMA
from bench.run.journal import Journal
from bench.run.verdict import Verdict
from bench.station.interfaces import Identity
from bench.station.locks import Lock, send_locks
from bench.trace import keylog
from bench.trace.writer import PART_SIZE, TraceWriter

if TYPE_CHECKING:
    from bench.engine.radio import Radio
    from bench.engine.recipe import Recipe
    from bench.engine.sampler import Sampler
    from bench.engine.watchdog import SupplyWatchdog

_ALWAYS: Final = ("steps", "power", "radio")
"""Lanes that every trace has, also one with nothing on them."""
_ANSWER_LONGEST: Final = 86_400.0
_PLACES: Final = ("resource", "port", "reader")
"""What bench.toml calls where an instrument is."""


class Session:
    """The run of one order."""

    def __init__(
        self, folder: Path, connection: socket.socket, locks: socket.socket, *, lifeline: int, supervisor: int
    ) -> None:
        self.folder = folder
        self.manifest = places.read_json(folder / places.MANIFEST)
        self.order = Order.read(self.manifest["order"])
        self.journal = Journal.open(folder / places.JOURNAL)
        kind = "SIMULATED" if self.order.simulated else "real"
        told = f"recipe {self.order.title!r} on station {self.order.station} ({kind})"
        self.trace = TraceWriter.open(
            folder / places.TRACE,
            run_id=folder.name,
            comment=told,
            session_keys=self.order.with_secrets,
            part_size=self.order.trace_part or PART_SIZE,
        )
        if self.order.with_secrets:
            keylog.start(self.trace.session_secret)
        for name in _ALWAYS:
            self.trace.lane(name).declare()
        self.record = Record(self.journal, steps_lane=self.trace.lane("steps"))
        self.equipment: Equipment | None = None
        self.recipe: Recipe[...] | None = None
        self.station: Station | None = None
        self.sampler: Sampler | None = None
        self.watchdog: SupplyWatchdog | None = None
        self.radio: Radio | None = None
        self._modem_was = Identity()
        self.planned = False
        """The supervisor has the safe sequence: something may have been switched."""
        self._connection = connection
        self._locks = locks
        self._lifeline = lifeline
        self._supervisor = supervisor
        self._observations = ObservationServer(self.trace.lane, self._lost, self.trace.session_secret)
        self._job: asyncio.Task[None] | None = None
        self._questions = itertools.count(1)
        self._open_question: tuple[int, asyncio.Future[Mapping[str, Any]]] | None = None

    async def run(self) -> int:
        """Run everything and return the exit code; what cannot be verified safe is left to the supervisor."""
        loop = asyncio.get_running_loop()
        self.leash = Leash(
            self._connection,
            activity=lambda: self.record.touched + self.trace.packets,
            stopped=self._stopped,
            answered=self._answered,
            gone=self._supervisor_gone,
            teardown_within=10.0,
        )

        def disk_failed(error: OSError) -> None:
            loop.call_soon_threadsafe(self._disk_failed, error)

        self.journal.on_failure = disk_failed
        loop.add_signal_handler(signal.SIGTERM, self._stopped, {"op": "SIGTERM to the runner", "by": "signal"})
        loop.set_exception_handler(self._loop_failed)
        _redirect_output(self.record)
        self._write_start()
        self._job = asyncio.create_task(self._work(), name="recipe")
        await asyncio.wait({self._job})
        self._conclude(self._job)
        await ending.teardown(self)
        safe = await ending.make_safe(self)
        return await ending.finish(self, safe=safe, observations=self._observations)

    def _write_start(self) -> None:
        order = self.order
        self.record.event(
            kinds.RUN_START,
            {
                "schema": SCHEMA,
                "run": self.folder.name,
                "recipe": order.recipe,
                "title": order.title,
                "station": order.station,
                "simulated": order.simulated,
                "parameters": order.parameters,
                "seed": order.seed,
                "by": order.by,
            },
            sync=True,
        )

    # --- the job: set up and recipe -------------------------------------------------------------------------------

    async def _work(self) -> None:
        station = await self._set_up()
        assert self.recipe is not None
        values = self.recipe.bind({name: _given(value) for name, value in self.order.parameters.items()}).values
        self.leash.enter(link.RUNNING)
        async with contextlib.AsyncExitStack() as beside:
            if self.sampler is not None:
                await beside.enter_async_context(self.sampler.running())
            if self.radio is not None:
                await beside.enter_async_context(self.radio.running())
            try:
                await self.recipe(station, **values)
            finally:
                self._modem_told()
        self.record.verdicts.recipe_ended(observed=self.record.steps_passed > 0)

    async def _set_up(self) -> Station:
        from bench.engine.recipe import load
        from bench.station.config import load as load_config

        order = self.order
        config = load_config(Path(order.config) if order.config else None)
        equipment = self.equipment = Equipment(
            order,
            config,
            self.manifest["order"].get("needs", ()),
            self.folder,
            self.record,
            lifeline=self._lifeline,
            told=self.leash.tell,
            broken=self._service_broken,
        )
        observe = places.socket_path(self.folder, "observe")
        await self._observations.open(observe)
        equipment.start_services(observe)
        await asyncio.sleep(0)  # the processes are started in the first turn of their tasks: before our own imports
        self.recipe = await asyncio.to_thread(load, order.recipe)
        self.leash.teardown_within = self.recipe.teardown_within
        self.record.recipe_files = {str(self.recipe.source_file)}
        station = self.station = Station(
            equipment.station,
            self.record,
            home=Path(order.home),
            seed=order.seed,
            asker=self._ask if order.attended else None,
        )
        self._copy_source()
        await asyncio.to_thread(equipment.import_ahead)
        await equipment.resolve()
        station.config = equipment.station
        await equipment.open_station(self.trace.lane, self._pass_lock, self._supervisor, self._happened)
        self._write_station()
        self.record.step_ends = self._modem_told
        await equipment.provide(station)
        self._sample_power(station)
        self._watch_radio(station)
        assert equipment.open is not None
        if order.passive:
            return station  # nothing is switched, neither by the recipe nor at the end
        # Every instrument is the one it should be: only now may the safe sequence switch it, and only now the recipe.
        await self.leash.plan(equipment.open.safe_plan, equipment.world_process())
        self.planned = True
        await self._arm_watchdog()
        return station

    async def _arm_watchdog(self) -> None:
        """Have the supply switch off by itself should this process and the supervisor die together."""
        assert self.equipment is not None
        config, opened = self.equipment.station.power, self.equipment.open
        if config is None or opened is None or opened.power is None:
            return
        from bench.engine import watchdog

        self.watchdog, told = await watchdog.prepare(
            opened.power,
            self.record.clock,
            config.watchdog,
            alive=lambda: not self.leash.alone,
            warn=lambda text: self.record.event(kinds.LOG, {"text": text, "level": "warning", "source": "bench"}),
        )
        self.manifest["host_death"] = told
        places.write_manifest(self.folder, self.manifest)

    def _sample_power(self, station: Station) -> None:
        """Have the supply sampled while the recipe runs, and give the recipe the supply that is being sampled.

        With ``sample = 0`` it is still looked for what somebody else changes, where its driver can tell.
        """
        assert self.equipment is not None
        config, opened = self.equipment.station.power, self.equipment.open
        if config is None or opened is None or opened.power is None:
            return
        sampled = config.sample > 0
        if not sampled and not hasattr(opened.power, "foreign_change"):
            return
        from bench.engine.power_lane import PowerLane
        from bench.engine.sampler import WATCHED, Sampler, writer_for

        writer = writer_for(self.folder, config, opened.power.identity, simulated=self.equipment.station.simulated)
        self.sampler = Sampler(
            opened.power,
            self.record.clock,
            interval=config.sample if sampled else WATCHED,
            writer=writer if sampled else None,
            warn=lambda text: self.record.event(kinds.LOG, {"text": text, "level": "warning", "source": "bench"}),
            foreign=self._foreign_change,
            lane=PowerLane(self.trace.lane("power"), config.instrument or "supply"),
        )
        station.provide("power", self.sampler.supply)

    def _watch_radio(self, station: Station) -> None:
        """Have the modem's radio measured while the recipe runs, and give the recipe what is known of it."""
        assert self.equipment is not None
        config, opened = self.equipment.station.modem, self.equipment.open
        assert opened is not None
        if opened.modem is None and not opened.recorders:
            return
        from bench.engine.radio import Radio, WatchedModem
        from bench.station.interfaces import RadioProbe, RadioRecorder

        probe = opened.modem if isinstance(opened.modem, RadioProbe) else None
        radio = self.radio = Radio(
            self.record.clock,
            self.trace.lane("radio"),
            probe,
            interval=config.poll if config is not None else 0.0,
            warn=lambda text: self.record.event(kinds.LOG, {"text": text, "level": "warning", "source": "bench"}),
        )
        if probe is not None:
            station.provide("modem", WatchedModem(opened.modem, radio))
            if self.sampler is not None:
                self.sampler.switched_off = probe.lost_power
        for name, recorder in opened.recorders.items():
            if isinstance(recorder, RadioRecorder):
                radio.provide(name, recorder)
        station.provide("radio", radio)

    def _happened(self, kind: str, data: Mapping[str, object]) -> None:
        """Record what a driver tells, in whichever part of the run it happens: set-up, recipe or teardown."""
        step = current()
        path = step.path if step else ""
        self.record.event(kind, data, step=path, sync=True)
        if kind == kinds.TRIP_CLEARED:
            text = (
                f"the {data['cause']} protection of {data['instrument']} had tripped and was cleared, the output is off"
            )
            self.record.event(kinds.LOG, {"text": text, "level": "warning", "source": "bench"}, step=path)

    def _foreign_change(self, what: str) -> None:
        """Somebody else works on this station's channel: nothing that is measured from now on says anything."""
        self.record.event(kinds.FOREIGN_CHANGE, {"instrument": "power", "what": what}, sync=True)
        hint = "a hand at the front panel, or a program beside the bench? bench stations reserve tells the others"
        self.interrupt(Cause(Verdict.BENCH_ERROR, f"somebody else changed it: {what}", "power", hint))

    def _pass_lock(self, lock: Lock) -> None:
        with contextlib.suppress(OSError):  # the supervisor is gone: the run ends anyway
            send_locks(self._locks, [lock])

    def _copy_source(self) -> None:
        import hashlib

        assert self.recipe is not None
        source = self.recipe.source_file
        with contextlib.suppress(OSError):
            shutil.copyfile(source, self.folder / places.SOURCE)
            self.manifest["source"] = {
                "file": str(source),
                "copy": places.SOURCE,
                "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            }

    def _write_station(self) -> None:
        """Record what was opened: journal and run.json."""
        from bench.engine.manifest import environment
        from bench.station.parts import parts

        assert self.equipment is not None
        assert self.equipment.open is not None
        opened, config = self.equipment.open, self.equipment.station
        instruments = {}
        for part in parts(config):
            identity = opened.identities.get(part.name)
            instruments[part.name] = {
                "driver": part.config.driver,
                "at": next((found for key in _PLACES if (found := getattr(part.config, key, ""))), ""),
                "simulated": config.simulated,
                "identity": identity.key() if identity is not None else "",
                "firmware": identity.firmware if identity is not None else "",
            }
            if identity is not None:
                self.record.identify(part.name, identity.key(), part.config.driver)
                if identity.firmware:
                    self.record.identify(f"{part.name} firmware", identity.firmware, part.config.driver)
        bearer = opened.data.bearer if opened.data is not None else "device" if config.ipa == "device" else ""
        if config.dut is not None and config.dut.sample:
            self.record.identify("sample", config.dut.sample, "bench.toml")
        found = {"instruments": instruments, "bearer": bearer, "clock": self.record.clock.mode}
        self.record.event(kinds.STATION, {"name": config.name, **found})
        self.manifest.update(found, **environment())
        places.write_manifest(self.folder, self.manifest)

    def _modem_told(self) -> None:
        """Record who the modem is, once it has told: it has no power when the station is opened."""
        opened = self.equipment.open if self.equipment is not None else None
        modem = opened.modem if opened is not None else None
        if modem is None or modem.identity == self._modem_was:
            return
        identity = self._modem_was = modem.identity
        known = self.manifest.get("instruments", {}).get("modem")
        if known is None:
            return
        known.update(identity=identity.key(), firmware=identity.firmware)
        self.record.identify("modem", identity.key(), known["driver"])
        if identity.firmware:
            self.record.identify("modem firmware", identity.firmware, known["driver"])

    def _conclude(self, job: asyncio.Task[None]) -> None:
        """Turn what ended the job into the verdicts."""
        error: BaseException | None = asyncio.CancelledError() if job.cancelled() else job.exception()
        if error is None:
            return
        cause = self.record.cause_of(error)
        interruption = self.record.interruption
        if interruption is not None and cause is not interruption:
            # The device cannot be blamed for what happens while the recipe is being cancelled.
            self.record.error(cause)
            cause = interruption
        if cause.verdict is not Verdict.ABORTED:
            self.record.error(cause)
        self.record.take(cause)

    # --- interruptions --------------------------------------------------------------------------------------------

    def interrupt(self, cause: Cause) -> None:
        """Cancel set-up or recipe for a cause; later causes change nothing. Teardown and safe are never cancelled."""
        if self.record.interruption is None and self._job is not None and not self._job.done():
            self.record.interruption = cause
            self.leash.enter(link.TEARDOWN)
            if self.sampler is not None:
                self.sampler.stop()  # at once: samples must not pass for a recipe that gets on with its end
            if self.radio is not None:
                self.radio.stop()
            self._job.cancel()

    def _stopped(self, message: Mapping[str, Any]) -> None:
        op, by, reason = (str(message.get(key, "")) for key in ("op", "by", "reason"))
        self.record.event(kinds.CONTROL, {"op": op, "by": by, "reason": reason}, sync=True)
        told = (
            f"stopped by {op}" + (f" of {by}" if by not in ("", "signal") else "") + (f": {reason}" if reason else "")
        )
        if self.recipe is not None and self.recipe.until_stopped and self.station is not None:
            self.station.stopping.set()
            return
        self.interrupt(Cause(Verdict.ABORTED, told))

    def _supervisor_gone(self) -> None:
        self.interrupt(
            Cause(
                Verdict.BENCH_ERROR, "the supervisor is gone", hint="the runner made safe and ended the run by itself"
            )
        )

    def _service_broken(self, what: str) -> None:
        hint = "its log is in the run folder"
        self.interrupt(Cause(Verdict.BENCH_ERROR, what, str(self.folder), hint))

    def _disk_failed(self, error: OSError) -> None:
        what = f"the journal cannot be written: {error.strerror or error}"
        self.interrupt(Cause(Verdict.BENCH_ERROR, what, str(self.folder), "free space, then run again"))

    def _loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Record what asyncio would only print: an exception in a task of the recipe that nobody awaited."""
        error = context.get("exception")
        text = str(context.get("message", ""))
        if isinstance(error, BaseException):
            text += ": " + "".join(traceback.format_exception(error)).strip()
        self.record.event(kinds.LOG, {"text": text, "level": "error", "source": "asyncio"})

    def _lost(self, lane: str, count: int) -> None:
        self.record.event(kinds.OBSERVATION_LOSS, {"lane": lane, "count": count})

    # --- questions ------------------------------------------------------------------------------------------------

    async def _ask(self, text: str, choices: Sequence[str], timeout: float | None) -> str:
        number = next(self._questions)
        future: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        if self._open_question is not None:
            raise BenchError("two questions at a time", where=text, hint="await one before the next")
        self._open_question = (number, future)
        question = {"id": number, "text": str(text), "choices": [str(choice) for choice in choices]}
        # The supervisor first: who reads it in the journal may answer at once.
        self.leash.tell("ask", **question)
        self.record.event(kinds.ASK, {**question, "timeout": timeout}, sync=True)
        try:
            async with asyncio.timeout(_ANSWER_LONGEST if timeout is None else timeout):
                answer = await future
        except TimeoutError:
            raise TimeoutError(f"nobody answered '{text}'") from None
        finally:
            self._open_question = None
            self.leash.tell("ask")
        self.record.event(kinds.ANSWER, {key: answer.get(key) for key in ("id", "choice", "by")}, sync=True)
        return str(answer["choice"])

    def _answered(self, message: Mapping[str, Any]) -> None:
        if self._open_question is not None and self._open_question[0] == message.get("id"):
            future = self._open_question[1]
            if not future.done():
                future.set_result(message)


def _given(value: Any) -> Any:
    """Return a value of run.json as a recipe takes it."""
    return tuple(value) if isinstance(value, list) else value


# --- what a recipe prints -------------------------------------------------------------------------------------------


class _Printed(io.TextIOBase):
    """Standard output of the recipe: every line a ``log`` event."""

    def __init__(self, record: Record, source: str) -> None:
        self._record = record
        self._source = source
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._record.event(kinds.LOG, {"text": line, "source": self._source})
        if len(self._rest) > 65536:
            self._record.event(kinds.LOG, {"text": self._rest, "source": self._source})
            self._rest = ""
        return len(text)


class _Logged(logging.Handler):
    """Python's logging from warnings on: ``log`` events."""

    def __init__(self, record: Record) -> None:
        super().__init__(logging.WARNING)
        self._record = record

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        self._record.event(kinds.LOG, {"text": text, "level": record.levelname.lower(), "source": record.name})


def _redirect_output(record: Record) -> None:
    sys.stdout = _Printed(record, "print")
    logging.getLogger().addHandler(_Logged(record))
    os.environ["PYTHONUNBUFFERED"] = "1"
