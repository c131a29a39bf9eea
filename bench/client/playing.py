"""Playing scenarios as runs: each on a simulated station with a bench home of its own, so that no run meets the last.

Card, eIM and SM-DP+ of a simulated station remember; a failure that leaves something behind would otherwise decide the
next run. What is dear to make (the PKI, the profile packages) is made once and copied.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.client.launch import StartOptions, check_world, start
from bench.errors import BenchError, ConfigurationError
from bench.reproduce import happened
from bench.reproduce.course import Course, course_of
from bench.reproduce.errors import ScenarioError
from bench.reproduce.scenario import Scenario
from bench.run import liveness

if TYPE_CHECKING:
    from bench.station.config import StationConfig

_KEPT: Final = ("pki", "profiles")
_LONGEST_REST: Final = 30.0
_LONGEST: Final = 900.0
"""Real seconds that one run may take before it is stopped."""


class RunPlayer:
    """Plays scenarios through ``start``. ``keep``: run folders stay; ``longest``: real seconds of one run."""

    def __init__(
        self,
        config: Path | None = None,
        *,
        station: str = "",
        keep: bool = True,
        longest: float = _LONGEST,
    ) -> None:
        from bench.station import config as configuration

        self._file = config
        self._config = configuration.load(config)
        self._station = station
        self._keep = keep
        self._longest = longest
        self._template = self._config.home / "reproduce" / "home"
        self.runs = 0
        self._spoiled = 0

    def station_of(self, scenario: Scenario) -> str:
        """Return the station that a scenario is played on."""
        return self._station or scenario.station

    def play(self, scenario: Scenario, seed: int) -> Course:
        """Run it. Raises ScenarioError for a condition that the simulated world does not take.

        BenchError: it could not be started, or did not end in time.
        """
        name = self.station_of(scenario)
        table = self._config.station(name)
        events = [item.name for item in scenario.conditions if item.do != "parameter"]
        if not table.simulated and (events or scenario.world):
            raise ConfigurationError(
                f"station {name} has real instruments: {', '.join(events) or 'the world'} cannot be created there",
                where="bench reproduce",
                hint="--without NAME leaves conditions out; parameters and the recipe are played as they are",
            )
        if table.simulated:
            _check(scenario, table)
        with contextlib.ExitStack() as stack:
            home = self._home(stack) if table.simulated else self._config.home
            options = StartOptions(
                config=self._file,
                home=home,
                runs=self._config.runs,
                seed=seed,
                label=f"reproduce {scenario.title}"[:120],
                world=scenario.world_options() if table.simulated else {},
            )
            handle = start(scenario.recipe, name, scenario.run_parameters(), options)
            try:
                code = handle.wait(self._longest)
                if code is None:
                    raise BenchError(
                        f"the run did not end within {self._longest:g} s", where=str(handle.folder), hint="bench stop"
                    )
            except BaseException:
                handle.interrupt()
                if handle.wait(15.0) is None:
                    handle.interrupt()
                    handle.wait(15.0)
                raise
            self.runs += 1
            course = course_of(handle.folder)
            if table.simulated:
                log = home / "sim" / name / "world.jsonl"
                course = _happened(course, scenario, log) if log.exists() else course
            self._rest(course)
            if table.simulated:
                self._save(home)
            if not self._keep:
                shutil.rmtree(handle.folder, ignore_errors=True)
            return course

    def _rest(self, course: Course) -> None:
        """Wait after a run that the host spoiled, longer each time: most often it is overloaded for a while."""
        self._spoiled = 0 if course.usable else self._spoiled + 1
        if self._spoiled:
            time.sleep(min(2.0**self._spoiled, _LONGEST_REST))

    def _home(self, stack: contextlib.ExitStack) -> Path:
        """Return a new bench home for one run."""
        places = self._config.home / "reproduce"
        places.mkdir(parents=True, exist_ok=True)
        self._sweep(places)
        home = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=places, ignore_cleanup_errors=True))
        )
        stack.callback(os.close, liveness.hold(home))
        for name in _KEPT:
            if (self._template / name).is_dir():
                shutil.copytree(self._template / name, home / name, symlinks=True)
        return home

    def _sweep(self, places: Path) -> None:
        """Remove homes that killed players have left. One in which a run goes on without its player stays."""
        from bench.station.locks import holder
        from bench.station.opened import station_key

        for home in places.glob("run-*"):
            if not liveness.owner(home) or liveness.alive(home):  # nobody's yet, or somebody's
                continue
            if not any(holder(station_key(table, home)) for table in self._config.stations.values()):
                shutil.rmtree(home, ignore_errors=True)

    def _save(self, home: Path) -> None:
        """Keep what was dear to make for the next run. A recipe without servers makes no PKI: a later one may."""
        for name in _KEPT:
            if (self._template / name).is_dir() or not (home / name).is_dir():
                continue
            self._template.mkdir(exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._template.parent))
            shutil.copytree(home / name, made, symlinks=True, dirs_exist_ok=True)
            try:
                made.rename(self._template / name)
            except OSError:  # somebody else was first
                shutil.rmtree(made, ignore_errors=True)


def _happened(course: Course, scenario: Scenario, log: Path) -> Course:
    """Return a course with the conditions that did not come about. Raises ScenarioError for one that was refused."""
    lines = happened.log_lines(log)
    refused = happened.refused(lines)
    if refused is not None:
        server, why, hint = refused
        asked = ", ".join(item.name for item in scenario.conditions if item.do == f"{server}-misbehave")
        raise ScenarioError(
            f"the {server} does not take the misbehaviour: {why}",
            where=f"{scenario.source or scenario.title}, condition {asked or '?'}",
            hint=hint or f"bench {server} misbehave --list tells what it takes",
        )
    return dataclasses.replace(course, absent=happened.absent(scenario.conditions, lines))


def _check(scenario: Scenario, table: StationConfig) -> None:
    """Raise ConfigurationError for what the station's simulated world does not take; of a condition with its name."""
    options = scenario.world_options()
    if not options:
        return
    try:
        check_world(table, options)
    except ConfigurationError:
        for item in scenario.conditions:
            try:
                check_world(table, scenario.only((item.name,)).world_options())
            except ConfigurationError as error:
                where = f"{scenario.source or scenario.title}, condition {item.name}"
                raise ScenarioError(error.what, where=where, hint=error.hint) from error
        raise
