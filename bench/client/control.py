"""Speaking to supervisors: stop, safe, answer, status. A run is named by its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What the supervisor of a live run says."""

    run_id: str
    pid: int
    """Of the supervisor."""
    runner: int
    """Process id of the runner, 0 when there is none (any more)."""
    phase: str
    """``starting``, ``running``, ``teardown``, ``safe`` or ``ending``."""
    heartbeat_age: float
    """Seconds since the runner's last heartbeat."""
    question: Mapping[str, Any] = field(default_factory=dict)
    """The open question (``id``, ``text``, ``choices``), empty when there is none."""


@dataclass(frozen=True, slots=True)
class SafeReport:
    """What became of one station."""

    station: str
    safe: bool
    """Everything verified by reading back."""
    by: str
    """``supervisor`` or ``client``: who switched."""
    results: Sequence[Mapping[str, Any]] = ()
    """One mapping an action: ``name``, ``verified``, ``reading``, ``message``."""
    message: str = ""
    """What else there is to say: who was interrupted, why it is NOT DEAD."""


def status(folder: Path) -> RunStatus | None:
    """Return the state of a live run, None when its supervisor is gone."""
    raise NotImplementedError


def stop(folder: Path, *, reason: str = "", at_once: bool = False) -> bool:
    """Ask for teardown and safe (``at_once``: safe without teardown). Returns False when the run has ended already.

    Returns when the supervisor has taken it; follow the run to see its end. Raises BenchError when it does not answer.
    """
    raise NotImplementedError


def answer(folder: Path, question: int, choice: str) -> bool:
    """Answer a question of ``station.ask``. Returns False when it is no longer open."""
    raise NotImplementedError


def safe(
    stations: Sequence[str] | None = None, *, config: Path | None = None, home: Path | None = None
) -> list[SafeReport]:
    """Make stations safe now; None: every station that is held, or marked unsafe by a crash.

    A held station: its supervisor is asked; after 0.5 s without an answer supervisor and runner are killed and the
    plan in the run folder is carried out from here, recorded there with who did it. A free real station: the plan of
    its configuration is carried out. Never raises for what an instrument does: the report says it.
    """
    raise NotImplementedError


def stale(runs: Path) -> list[Path]:
    """Return run folders whose supervisor died before the station was safe: those stations count as unsafe."""
    raise NotImplementedError
