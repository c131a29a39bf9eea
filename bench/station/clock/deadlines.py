"""Deadlines in station time, of the run and beside it: which is the earliest, and which have come."""

from __future__ import annotations

import heapq
from typing import Final, Protocol

_FEW: Final = 64
"""Entries below which ended ones may stay in the heap."""


class Entry(Protocol):
    """Something that is in force until its deadline, or until it ends by itself."""

    deadline: int | None
    """In ns of station time; None: it has none."""
    aside: bool
    """It goes on beside the run: time does not stop for it."""

    def expire(self) -> None:
        """The deadline has come."""


class Deadlines:
    """What is in force."""

    def __init__(self) -> None:
        self.live: set[Entry] = set()
        self._sequence = 0
        self._heap: list[tuple[int, int, Entry]] = []
        self._asides: list[tuple[int, int, Entry]] = []

    def enter(self, entry: Entry, deadline: int | None) -> None:
        """Have an entry in force from now on."""
        self.live.add(entry)
        if deadline is not None:
            self._push(entry, deadline)

    def put_off(self, entry: Entry, by: int) -> None:
        """End an entry ``by`` ns later; one that is over, or has no deadline, stays so."""
        if entry.deadline is not None and entry in self.live:
            self._push(entry, entry.deadline + by)  # what the heap has of it is passed over

    def _push(self, entry: Entry, deadline: int) -> None:
        entry.deadline = deadline
        self._sequence += 1
        heapq.heappush(self._asides if entry.aside else self._heap, (deadline, self._sequence, entry))

    def leave(self, entry: Entry) -> None:
        """Have an entry no longer in force."""
        self.live.discard(entry)
        if len(self._heap) > _FEW and len(self._heap) > 4 * len(self.live):
            self._heap = [item for item in self._heap if item[2] in self.live]
            heapq.heapify(self._heap)

    def earliest(self) -> int | None:
        """Return the earliest deadline of the run."""
        return self._first(self._heap)

    def earliest_aside(self) -> int | None:
        """Return the earliest deadline of what goes on beside the run."""
        return self._first(self._asides)

    def _first(self, heap: list[tuple[int, int, Entry]]) -> int | None:
        while heap and (heap[0][2] not in self.live or heap[0][0] != heap[0][2].deadline):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def fire(self, now: int) -> None:
        """End everything whose deadline has come, in the order of deadlines and then of entry."""
        for heap in (self._heap, self._asides):
            while (deadline := self._first(heap)) is not None and deadline <= now:
                heapq.heappop(heap)[2].expire()
