"""Starting a run: check everything that can be checked, start the supervisor, wait until the run folder exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How a run is started; parameters of the recipe are not among these."""

    config: Path | None = None
    """bench.toml; None: found as DESIGN.md section 6 says."""
    home: Path | None = None
    """Bench home; None: $BENCH_HOME or what bench.toml says."""
    runs: Path | None = None
    """Folder of the run folders; None: what bench.toml says, else ``<home>/runs``."""
    seed: int | None = None
    """Seed of everything random in recipe and simulated world; None: drawn and recorded."""
    clock: str | None = None
    """``real``, ``instant`` or ``scaled:<factor>`` for a simulated station; None: what its world table says."""
    eid: str = ""
    """EID given by the person: allows what cannot be undone on this card, and is pinned for the run."""
    attended: bool = False
    """Somebody is there to answer ``station.ask``."""
    on_hangup: Literal["detach", "stop"] = "detach"
    """What becomes of the run when the starting process dies without ``RunHandle.detach``."""
    label: str = ""
    """Free text kept in run.json."""
    world: Mapping[str, object] = field(default_factory=dict)
    """Further options of the simulated world, such as a fault time line."""


class RunHandle:
    """A run that this process started."""

    folder: Path
    run_id: str
    pid: int
    """Of the supervisor."""

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the run's exit code when the supervisor has ended, None after ``timeout`` seconds.

        0 pass, 1 fail, 2 configuration, 3 bench-error, 4 error in the recipe, 5 inconclusive, 130 aborted; 3 also
        when the supervisor died without a result.
        """
        raise NotImplementedError

    def interrupt(self) -> None:
        """Relay Ctrl-C: the first asks for teardown and safe, a second for safe at once."""
        raise NotImplementedError

    def detach(self) -> None:
        """Let the run go on without this process, whatever ``on_hangup`` says."""
        raise NotImplementedError


def start(
    recipe: str,
    station: str,
    parameters: Mapping[str, object] | Sequence[str] = (),
    options: StartOptions | None = None,
) -> RunHandle:
    """Start ``recipe`` (name, ``file.py`` or ``file.py:function``) on a station of bench.toml.

    ``parameters``: ``["hold=2s", ...]`` or a mapping of names to values or texts. Returns when the run folder exists
    and the supervisor holds the station. Before that nothing is touched, and these are raised:

    - ConfigurationError (exit code 2): recipe, parameter, station or bench.toml is wrong; the station lacks what the
      recipe needs; the recipe has effects that cannot be undone and neither is the station expendable nor was the EID
      given; it asks questions and nobody is there;
    - StationHeld (exit code 3) with the owner's name;
    - BenchError: the supervisor could not be started.
    """
    raise NotImplementedError
