"""Soaks as jobs of Slurm, where a lab has it: one job a station, which starts its soak or goes on with it.

A station is a generic resource (GRES ``station:NAME``), an emulator that several stations share is a licence; whatever
Slurm believes, the lock on the instrument stays the truth. A job that is requeued, by a person or because its node went
down, resumes its soak. Slurm's SIGTERM (scancel, end of time) tears down and makes safe, SIGUSR1 before it finishes the
cycle. The owner of a soak has a session of its own, and where systemd runs a scope of its own: what makes safe is not
in the job's cgroup, so that it is not killed with it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.errors import BenchError, ConfigurationError

if TYPE_CHECKING:
    from bench.station.config import BenchConfig

GRES: Final = "station"
_GRACE: Final = 120
"""Seconds before the end of its time in which a job is told to finish its cycle."""
_SUBMIT_WITHIN: Final = 60.0
_SCRIPT: Final = """#!/bin/sh
# {title} on station {station}: starts this soak, or goes on with it after a requeue.
exec {command}
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was submitted."""

    job: str
    station: str
    soak: str
    folder: Path


def submit(
    text: str,
    *,
    config: Path | None = None,
    stations: tuple[str, ...] = (),
    seed: int | None = None,
    options: Sequence[str] = (),
) -> list[Job]:
    """Make a soak of each station of a plan and submit a job for it. ``options``: more for sbatch.

    Raises ConfigurationError for what the plan would be refused for, BenchError when Slurm takes no job.
    """
    from bench.client import soak
    from bench.station import config as configuration

    sbatch = shutil.which("sbatch")
    if sbatch is None:
        raise BenchError("there is no Slurm here", where="sbatch", hint="without --slurm the soak runs on this host")
    plan, file, _, used_seed = soak.prepare(text, config=config, stations=stations, seed=seed)
    found = configuration.load(config)
    jobs = []
    for station in plan.stations:
        folder = soak.create(plan, file, used_seed, found, (station,))
        command = [sys.executable, "-P", "-m", "bench.cli.main"]
        if found.source is not None:
            command += ["--config", str(found.source.absolute())]
        command += ["soak", "--resume", str(folder), "--slurm-job"]
        script = folder / "job.sh"
        script.write_text(
            _SCRIPT.format(title=plan.name, station=station, command=shlex.join(command)), encoding="utf-8"
        )
        given = arguments(plan.name, station, licences(found, station), folder)
        jobs.append(Job(_submitted([sbatch, *given, *options, str(script)]), station, folder.name, folder))
    return jobs


def arguments(title: str, station: str, shared: Sequence[str], folder: Path) -> list[str]:
    """Return the arguments of sbatch for the soak of one station."""
    more = [f"--licenses={','.join(f'{name}:1' for name in shared)}"] if shared else []
    return [
        "--parsable",
        "--requeue",
        "--open-mode=append",
        f"--job-name=soak-{station}",
        f"--comment={title}",
        f"--output={folder / 'job.log'}",
        f"--gres={GRES}:{station}:1",
        f"--signal=B:USR1@{_GRACE}",
        *more,
    ]


def licences(found: BenchConfig, station: str) -> list[str]:
    """Return the emulators and attenuators that this station shares with another one: each is one licence.

    The channels of a supply are owned one by one, and need none.
    """

    def used(name: str) -> set[str]:
        table = found.stations[name]
        return {part.instrument for part in (table.network, table.attenuator) if part is not None and part.instrument}

    others = set[str]().union(*(used(name) for name in found.stations if name != station))
    return sorted(used(station) & others)


def _submitted(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SUBMIT_WITHIN, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"the job cannot be submitted: {error}", where=command[0], hint="sinfo tells more") from error
    if done.returncode:
        hint = f"slurm.conf needs GresTypes={GRES} and the station in Gres= of its node; shared emulators in Licenses="
        raise ConfigurationError(done.stderr.strip().replace("\n", "; "), where="sbatch", hint=hint)
    return done.stdout.strip().partition(";")[0]


def escape() -> list[str]:
    """Return what to put before the command of a soak's owner so that it is in no job's cgroup; nothing elsewhere."""
    run = shutil.which("systemd-run")
    if "SLURM_JOB_ID" not in os.environ or run is None or not Path("/run/systemd/system").is_dir():
        return []
    command = [run, *([] if os.getuid() == 0 else ["--user"]), "--scope", "--quiet", "--collect", "--"]
    try:
        done = subprocess.run([*command, "true"], capture_output=True, timeout=10.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return command if done.returncode == 0 else []
