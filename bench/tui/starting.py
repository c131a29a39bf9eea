"""What this screen is starting, from the key until there is a run that can be made safe."""

from __future__ import annotations

import threading
from typing import Final

SETTLES_WITHIN: Final = 35.0
"""Seconds after which a start has either failed or made its run folder (``bench.client.start`` gives it 30)."""


class Starting:
    """One start. It can be withdrawn by F12 at any time: what it began by then is to be made safe."""

    def __init__(self, station: str) -> None:
        self.station = station
        self._withdrawn = threading.Event()
        self._settled = threading.Event()
        self._began = False

    def withdraw(self) -> None:
        """Have it end before it touches the station, if it has not yet."""
        self._withdrawn.set()

    def withdrawn(self) -> bool:
        """Whether F12 was pressed."""
        return self._withdrawn.is_set()

    def settle(self, began: bool) -> None:
        """Tell what became of it: something holds the station now, or nothing was begun."""
        if not self._settled.is_set():
            self._began = began
            self._settled.set()

    def began(self) -> bool | None:
        """Wait until that is known; None when it is not within ``SETTLES_WITHIN`` seconds."""
        return self._began if self._settled.wait(SETTLES_WITHIN) else None
