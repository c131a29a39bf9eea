"""When the supervisor must lose patience with its runner: pure rules over what the runner told and when.

Times are monotonic seconds given by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bench.engine import link

BLOCKS: Final = "a recipe must not block its event loop: await station.clock.sleep() instead of time.sleep()"
SAFE_WITHIN: Final = 10.0
"""Seconds the runner's own safe sequence may take while it gets on."""
ENDING_WITHIN: Final = 15.0
"""Seconds the runner may take to end services and the record once the station is safe."""
_MARGIN: Final = 0.5
"""Seconds beyond the teardown's deadline: the runner ends it by itself first."""


class Overdue(NamedTuple):
    """What becomes overdue next, and when."""

    due: float
    what: str
    hint: str


class Watch:
    """The runner as seen from outside."""

    def __init__(self, now: float) -> None:
        self.phase = link.STARTING
        self.beat = now
        """When the event loop was last known to turn."""
        self.stopped_at: float | None = None
        self.acknowledged = False
        self._phase_since = now
        self._activity = -1
        self._active = now
        """When the runner's count of activity last grew."""
        self._teardown_within = 10.0

    def take_beat(self, message: Mapping[str, Any], now: float) -> None:
        """Take a heartbeat: ``phase``, ``activity``, ``teardown_within``."""
        self.beat = now
        if message.get("phase") != self.phase:
            self.phase, self._phase_since = str(message.get("phase")), now
        if message.get("activity") != self._activity:
            self._activity, self._active = int(message.get("activity", 0)), now
        self._teardown_within = float(message.get("teardown_within", self._teardown_within))

    def take_ack(self, now: float) -> None:
        """The runner has taken the stop."""
        self.acknowledged = True
        self.beat = self._phase_since = now

    def stop(self, now: float) -> bool:
        """Note that a stop is sent; returns whether it is the first."""
        first = self.stopped_at is None
        if first:
            self.stopped_at = now
        return first

    def next_overdue(self) -> Overdue:
        """Return what becomes overdue next if nothing more is heard."""
        limits = [Overdue(self.beat + link.LOST, f"its event loop did not turn for {link.LOST:g} s", BLOCKS)]
        stopped = self.stopped_at
        if stopped is not None and not self.acknowledged:
            limits.append(Overdue(stopped + link.ACK, f"it did not answer the stop within {link.ACK:g} s", BLOCKS))
        within = {link.TEARDOWN: self._teardown_within + _MARGIN, link.SAFE: SAFE_WITHIN, link.ENDING: ENDING_WITHIN}
        if self.phase in within:
            seconds = within[self.phase]
            limits.append(Overdue(self._phase_since + seconds, f"{self.phase} did not end within {seconds:g} s", ""))
        if stopped is not None and self.acknowledged and self.phase not in (link.STARTING, link.ENDING):
            since = max(self._active, stopped, self._phase_since)
            what = f"nothing happened in its {self.phase} for {link.IDLE:g} s"
            limits.append(Overdue(since + link.IDLE, what, "an instrument or the card does not answer"))
        return min(limits)
