"""What the page Soak needs of soaks: the same seam as ``bench.tui.control``, so that tests can stand in for it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.client.soak import SoakHandle
    from bench.client.soak_watch import SoakInfo, SoakWatch


class Soaks(Protocol):
    """Everything may block: the screen calls it in threads."""

    def read(self, runs: Path) -> Sequence[SoakInfo]:
        """Return the soaks beside a runs folder, newest first."""

    def findings(self, folder: Path) -> Mapping[str, Any]:
        """Return what a soak has found so far (``bench.soak.findings``). Raises BenchError."""

    def plans(self) -> Mapping[str, str]:
        """Return the installed plans, each with what it is for."""

    def dry_run(self, plan: str, station: str) -> list[str]:
        """Return what a plan will use on a station, after every check. Raises BenchError for what is refused."""

    def start(self, plan: str, station: str) -> Path:
        """Start a plan on a station; it goes on whatever becomes of the screen. Raises BenchError."""

    def resume(self, folder: Path) -> Path:
        """Go on with a soak; return its folder. Raises BenchError."""

    def end(self, folder: Path, level: str) -> bool:
        """Ask a soak to end (``bench.client.soak.LEVELS``); False when it has ended already. Raises BenchError."""


class ClientSoaks:
    """The real one."""

    def __init__(self, config: Path | None = None) -> None:
        self.config = config
        self._watch: SoakWatch | None = None

    def read(self, runs: Path) -> Sequence[SoakInfo]:
        """Read what came since; one thread at a time."""
        from bench.client.soak_watch import SoakWatch

        self._watch = self._watch or SoakWatch()
        return self._watch.read(runs)

    def findings(self, folder: Path) -> Mapping[str, Any]:
        """Read book and index."""
        from bench.client import soak_watch

        return soak_watch.findings(folder)

    def plans(self) -> Mapping[str, str]:
        """Look at every installed plan."""
        from bench.client import soak

        return soak.headlines()

    def dry_run(self, plan: str, station: str) -> list[str]:
        """Do what ``bench soak PLAN --station S --dry-run`` does."""
        from bench.client import soak
        from bench.soak.estimate import summary

        return summary(soak.prepare(plan, config=self.config, stations=(station,))[2])

    def start(self, plan: str, station: str) -> Path:
        """Do what ``bench soak PLAN --station S --detach`` does."""
        from bench.client import soak

        return self._leave(soak.start(plan, config=self.config, stations=(station,)))

    def resume(self, folder: Path) -> Path:
        """Do what ``bench soak --resume SOAK --detach`` does."""
        from bench.client import soak

        return self._leave(soak.resume(folder))

    @staticmethod
    def _leave(handle: SoakHandle) -> Path:
        handle.detach()
        threading.Thread(target=handle.wait, name=f"reap {handle.folder.name}", daemon=True).start()
        return handle.folder

    def end(self, folder: Path, level: str) -> bool:
        """Do what Ctrl-C does at ``bench soak``: once, twice or three times."""
        from bench.client import soak

        try:
            return soak.stop(folder, level)
        except OSError as error:
            raise BenchError(f"it cannot be told: {error.strerror}", where=str(folder), hint="ask its owner") from error
