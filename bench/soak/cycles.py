"""Cycles inside a runner: one segment of a soak is one run, whose recipe works through a part of the schedule.

Every cycle begins with a ``cycle-start`` and ends with a ``cycle-end`` in the run's journal, both on the disk before
anything goes on: what has its end is finished, what has only its beginning was in progress. Verdicts are kept apart by
cycle; the run's own is the worst of them.

An error of the bench (an instrument, pcscd, a server is gone) leaves a cycle that got on without an end, as a kill
does: the next run leads it back to the step in progress. What breaks a second time without a further step has its end.

A cycle that was led back and fails before its second live step may fail for what the interruption did to the device.
It is begun again from the baseline, and that attempt alone is a trial: interruptions strike independently of what the
device would have done, so that leaving the disturbed attempt out biases no rate, whereas its failure would count the
bench's trouble against the device, and its pass is left out likewise (``baseline`` false). It is not hidden: the cycle
carries it as ``set_aside`` (verdict, reason, step, signature), which book and morning report count and show apart.
"""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.engine.recipe import Recipe, Station, load
from bench.engine.retrace import Diverged, Past, Retrace
from bench.engine.verdicts import Cause, Verdicts
from bench.errors import BenchError, DeviceFailure
from bench.run import events as kinds
from bench.run.verdict import Verdict, worst
from bench.soak import plan as plans
from bench.soak.account import Account, CountedIpa, CountedModem, CountedSupply, Uses
from bench.soak.leading import CYCLE_END, CYCLE_START, Led, lead
from bench.soak.schedule import Item, Schedule
from bench.soak.signature import context_of, signature

__all__ = ["CYCLE_END", "CYCLE_START", "PLAN_FILE", "STOP_FILE", "Segment", "recipes_of", "segment_recipe"]

PLAN_FILE: Final = "plan.toml"
STOP_FILE: Final = "stop"
"""In the soak's folder while no further cycle is to begin; with ``-STATION`` behind it for one station."""
_TEARDOWN: Final = 30.0


def segment_recipe(file: str) -> Recipe[...]:
    """Return the recipe that works through a segment of the plan ``file``, with all that its recipes need.

    The small file beside the plan calls it. Raises ConfigurationError for a recipe that is not there.
    """
    plan = plans.load(Path(file))
    found = [load(name) for name in recipes_of(plan)]

    async def cycles(station: Station, segment: str) -> None:
        """Work through one segment of a soak: ``segment`` is its JSON, as the soak's journal has it."""
        await Segment(station, plan, Path(file).parent, json.loads(segment)).run()

    def needs(config: Any) -> tuple[str, ...]:
        return tuple(dict.fromkeys(need for item in found for need in item.needs_on(config)))

    effects = tuple(dict.fromkeys(effect for item in found for effect in item.effects))
    return Recipe(
        cycles,
        title=f"Soak {plan.name}",
        needs=needs,
        effects=effects,
        teardown_within=max([10.0, *(item.teardown_within for item in found)]),
    )


def recipes_of(plan: plans.Plan) -> list[str]:
    """Return the names of all recipes that a plan uses, each once."""
    names = [part.recipe for part in plan.recipes]
    if plan.baseline is not None and any(part.baseline for part in plan.recipes):
        names += [plan.baseline.check, plan.baseline.restore]
    return list(dict.fromkeys(names))


@functools.cache
def _loaded(name: str) -> Recipe[...]:
    """Return a recipe, read once a run: a file would be executed anew for every cycle."""
    return load(name)


class Segment:
    """A run of some cycles on one station."""

    def __init__(self, station: Station, plan: plans.Plan, folder: Path, order: Mapping[str, Any]) -> None:
        self.station = station
        self.record = station.record
        self.plan = plan
        self.folder = folder
        self.first = int(order["first"])
        self.count = int(order["count"])
        self.attempt = int(order.get("attempt", 1))
        """Of the first cycle: it was interrupted so often less one."""
        self.left = str(order.get("left", ""))
        """The run in which the first cycle was interrupted, '' when it begins here."""
        self.codes = list(order.get("codes", ()))
        self.soak = str(order["soak"])
        self.schedule = Schedule(plan, int(order["seed"]), station.name)
        self.uses = Uses()
        self._at_baseline = False
        self._own = self.record.verdicts

    async def run(self) -> None:
        """Work through the cycles until the last, or until the soak's folder says stop."""
        self._count_uses()
        pause = plans.seconds(self.plan.pause)
        stops = [self.folder / name for name in (STOP_FILE, f"{STOP_FILE}-{self.station.name}")]
        for index in range(self.first, self.first + self.count):
            if any(stop.exists() for stop in stops):
                self.station.note(f"stopped before cycle {index}: the soak was told to")
                break
            if pause and index > self.first:
                await self.station.clock.sleep(pause)
            if index == self.first:
                await self._cycle(self.schedule.item(index), self.attempt, self.left)
            else:
                await self._cycle(self.schedule.item(index), 1)

    def _count_uses(self) -> None:
        """Have what a cycle uses counted where it happens."""
        station = self.station
        if station.has("power"):
            station.provide("power", CountedSupply(station.power, self.uses))
        if station.has("modem"):
            station.provide("modem", CountedModem(station.modem, self.uses))
        station.wrap_ipa(lambda ipa: CountedIpa(ipa, self.uses))

    async def _cycle(self, item: Item, attempt: int, left: str = "") -> None:
        """Carry out one cycle. ``left``: the run in which it was interrupted; its finished steps are not repeated.

        Where it cannot be led back, or the interruption may be to blame for a failure, it begins once more.
        """
        led = None
        if left:
            with self.station.clock.busy():
                led = await asyncio.to_thread(lead, self.station, left, item.index)
        aside: list[Mapping[str, Any]] = []
        if led is not None:
            aside += led.start.get("set_aside", ())
            try:
                disturbed = await self._once(item, attempt, led, aside)
                if disturbed is None:
                    return
                aside.append(disturbed)
                why = "after the interruption it did not get on"
            except Diverged as error:
                why = str(error)
            self.station.note(f"cycle {item.index} is begun again: {why}")
            attempt += 1
            self._at_baseline = False  # that was before the interruption
        await self._once(item, attempt, None, aside)

    def _parameters(self, item: Item, led: Led | None) -> dict[str, Any]:
        """Return the parameters of a cycle; one that was interrupted keeps the activation code that it was given."""
        if led is not None:
            return dict(led.start["parameters"])
        parameters = dict(item.parameters)
        if self.plan.codes is not None and self._takes(item.recipe, self.plan.codes.parameter):
            if not self.codes:
                raise BenchError(
                    "there is no activation code left",
                    where=self.plan.codes.origin,
                    hint=f"add codes to {self.plan.codes.file}; the soak goes on with bench soak --resume",
                )
            parameters[self.plan.codes.parameter] = self.codes.pop(0)
        return parameters

    async def _once(
        self, item: Item, attempt: int, led: Led | None, aside: Sequence[Mapping[str, Any]] = ()
    ) -> Mapping[str, Any] | None:
        """Carry out one cycle, or the rest of one; return the failure after which it is to begin once more, if any.

        ``aside``: such failures of its attempts before.
        """
        part = self.plan.recipes[item.part]
        parameters = self._parameters(item, led)
        if led is not None:
            self._at_baseline = bool(led.start.get("at_baseline"))
        cells = await self._cells() if led is None else [int(cell) for cell in led.start.get("cells", ())]
        start = {
            "soak": self.soak,
            "cycle": item.index,
            "attempt": attempt,
            "station": self.station.name,
            "part": item.part,
            "recipe": item.recipe,
            "label": item.label,
            "parameters": parameters,
            "seed": item.seed,
            "at_baseline": self._at_baseline,
            "cells": cells,
            "led": list(led.runs) if led is not None else [],
            "set_aside": list(aside),
        }
        self.record.event(CYCLE_START, start, sync=True)
        self.station.begin_cycle(item.seed)
        self.uses.counts.clear()
        name = f"cycle-{item.index}"
        account, verdicts = Account(name), Verdicts(self.record.decided)
        past = led.past if led is not None else Past()
        self.uses.counts.update(past.used)
        for event in past.kept:
            account.heard(event["type"], event["data"], str(event.get("step", "")))
            if event["type"] == kinds.VERDICT and event["data"].get("device") == Verdict.FAIL:
                verdicts.device_failed(str(event["data"].get("reason", "")))
        begun_in = led.runs[0] if led is not None else self.record.journal.path.parent.name
        retrace = Retrace(self.station, past, used=lambda: self.uses.counts, name=f"{begun_in} {item.index}")
        for cell in cells:  # the safe sequence has switched them off since
            retrace.restoring.took("network", "set_cell", ((True,), {"cell": cell}), None)
        self.record.heard, self.record.verdicts = account.heard, verdicts
        before = self.record.steps_passed
        began, real = self.station.clock.now(), time.monotonic()
        before_it = past.elapsed.get(name, 0.0)
        finished = retrace.finished(name)
        broken: BaseException | None = None
        baseline, told = True, ""
        elapsed = before_recipe = 0.0
        passed = 0
        try:
            self.record.retrace = retrace
            if part.baseline and self.plan.baseline is not None and not self._at_baseline:
                baseline, told = await self._to_baseline(f"baseline-before-{item.index}")
            before_recipe = self.record.clock.now() - began
            passed = retrace.passed_since
            broken = await self._recipe(item, parameters, name)
            elapsed = self.record.clock.now() - began - before_recipe + before_it
            if finished is not None:
                elapsed = float(finished.get("elapsed", elapsed))
            if broken is None:
                verdicts.recipe_ended(observed=self.record.steps_passed > before)
        finally:
            self.record.retrace = None
            self.record.heard, self.record.verdicts = None, self._own
        if isinstance(broken, asyncio.CancelledError):
            raise broken  # it was in progress: it has no end, and is repeated
        verdict = worst([verdicts.final_device, verdicts.bench])
        failed = verdict is not Verdict.PASS
        got_on = retrace.passed_since > passed and not aside
        if broken is not None and got_on and verdict is Verdict.BENCH_ERROR and verdicts.device is not Verdict.FAIL:
            raise broken  # in progress, as if killed
        step, message = account.failure if account.failure[1] else ("", verdicts.reason)
        if failed and retrace.disturbed and finished is None:
            self.record.error(Cause(verdict, verdicts.reason, f"cycle {item.index}, led back", "it is begun again"))
            return {
                "verdict": verdict.value,
                "reason": verdicts.reason,
                "step": step,
                "signature": signature(step, message),
                "run": self.record.journal.path.parent.name,
            }
        restore, restored = 0.0, True
        if broken is None and part.baseline and self.plan.baseline is not None:
            begin = self.record.clock.now()
            self.record.retrace = retrace
            try:
                restored, after = await self._to_baseline(f"baseline-after-{item.index}")
            finally:
                self.record.retrace = None
            restore = self.record.clock.now() - begin
            self._at_baseline = restored
            account.notes["baseline:after"] = after
        else:
            self._at_baseline = False
        end = {
            **start,
            "verdict": verdict.value,
            "device": verdicts.final_device.value,
            "bench": verdicts.bench.value,
            "reason": verdicts.reason,
            "baseline": baseline and led is None,
            "baseline_told": told if led is None else "the power was away in it: it was interrupted and led back",
            "restored": restored,
            "elapsed": round(elapsed, 6),
            "real": round(time.monotonic() - real, 6),
            "baseline_elapsed": round(before_recipe + restore, 6),
            "phases": {path: round(value, 6) for path, value in account.phases.items()},
            "figures": account.figures,
            "notes": {key: text for key, text in account.notes.items() if text},
            "signature": signature(step, message) if failed else "",
            "context": context_of(message) if failed else "",
            "used": dict(self.uses.counts),
            "rollbacks": account.rollbacks,
            "fallbacks": account.fallbacks,
            "identities": dict(self.record.identities),
        }
        self.record.event(CYCLE_END, end, sync=True)
        if verdicts.device is Verdict.FAIL:
            self._own.device_failed(f"cycle {item.index}: {verdicts.reason}")
        elif verdict is Verdict.INCONCLUSIVE:
            self._own.not_seen(f"cycle {item.index}: {verdicts.reason}")
        if broken is not None:
            raise broken
        return None

    async def _cells(self) -> list[int]:
        """Return the cells that are on as the cycle begins."""
        if not self.station.has("network"):
            return []
        network = self.station.network
        return [cell for cell in await network.cells() if await network.cell_on(cell=cell)]

    async def _recipe(self, item: Item, parameters: Mapping[str, Any], name: str) -> BaseException | None:
        """Run the cycle's recipe in a step of its own; return what broke the bench, or the cancellation."""
        recipe = _loaded(item.recipe)
        values = recipe.bind(parameters).values
        self.record.recipe_files = {str(recipe.source_file)}
        within = plans.seconds(self.plan.cycle_within)
        try:
            async with self.station.step(name, timeout=within):
                await recipe(self.station, **values)
        except asyncio.CancelledError as error:
            return error
        except Diverged:
            raise  # nothing was switched: the cycle begins once more
        except Exception as error:
            cause = self.record.cause_of(error)
            if cause.verdict is not Verdict.ABORTED:
                self.record.error(cause)
            self.record.take(cause)
            if cause.verdict is not Verdict.FAIL:
                return error
        finally:
            if recipe.teardown_function is not None and (self.record.retrace is None or not self.record.retrace.muted):
                async with asyncio.timeout(_TEARDOWN):
                    await recipe.teardown_function(self.station)
        return None

    async def _to_baseline(self, name: str) -> tuple[bool, str]:
        """Check the baseline and restore it where it is not there; return whether it is, and what was not."""
        assert self.plan.baseline is not None
        told = await self._base(name, self.plan.baseline.check)
        if not told:
            return True, ""
        failed = await self._base(f"{name}-restore", self.plan.baseline.restore)
        if not failed:
            failed = await self._base(f"{name}-again", self.plan.baseline.check)
        return not failed, told if not failed else f"{told}; restoring: {failed}"

    async def _base(self, name: str, recipe_name: str) -> str:
        """Run one of the baseline's recipes apart from the cycle's verdicts; return why it failed, '' when not."""
        assert self.plan.baseline is not None
        recipe = _loaded(recipe_name)
        known = {parameter.name for parameter in recipe.parameters}
        given = {key: value for key, value in self.plan.baseline.parameters.items() if key in known}
        values = recipe.bind(given).values
        kept, heard = self.record.verdicts, self.record.heard
        self.record.verdicts, self.record.heard = Verdicts(), None
        try:
            async with self.station.step(name, decisive=False, timeout=plans.seconds(self.plan.baseline.within)):
                await recipe(self.station, **values)
        except (DeviceFailure, TimeoutError) as error:
            return str(error)
        finally:
            self.record.verdicts, self.record.heard = kept, heard
        return ""

    @staticmethod
    def _takes(recipe: str, parameter: str) -> bool:
        return any(item.name == parameter for item in _loaded(recipe).parameters)
