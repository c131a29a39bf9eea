"""Clocks of several sources put on one: offset and drift from happenings that more than one source tells."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from bench.reproduce.imported import Source

_SPREAD: Final = 2.0
"""Seconds by which pairs may differ from the line through them."""
_FEW: Final = 3
"""Pairs from which on a drift is estimated."""
_MOST_DRIFT: Final = 1_000.0
"""ppm; a crystal of a device has tens."""


def align(sources: Sequence[Source]) -> None:
    """Estimate offset and drift of each source against the first that has times; say how it is known."""
    timed = [source for source in sources if _times(source)]
    for source in sources:
        source.aligned = "its own" if source in timed else "no times"
    if not timed:
        return
    reference = max(timed, key=lambda source: len(_moments(source)))
    reference.aligned = "the reference"
    reference.begin = min(_times(reference))
    for source in timed:
        if source is not reference:
            _align(source, reference)


def _times(source: Source) -> list[float]:
    found = [item.time for item in source.happenings if item.time is not None]
    return found + [packet.time_ns / 1e9 for packet in source.packets if packet.time_ns > 10**9]


def _moments(source: Source) -> list[tuple[str, float]]:
    return [(item.key, item.time) for item in source.happenings if item.key and item.time is not None]


def _align(source: Source, reference: Source) -> None:
    pairs = matched(_moments(source), _moments(reference))
    source.begin = min(_times(source))
    if not pairs:
        source.aligned = "its own, not aligned: nothing that both it and the reference tell"
        return
    offsets = [theirs - ours for ours, theirs in pairs]
    offset, drift = statistics.median(offsets), 0.0
    span = max(ours for ours, _ in pairs) - min(ours for ours, _ in pairs)
    if len(pairs) >= _FEW and span > 0:
        slopes = [
            (b[1] - b[0] - (a[1] - a[0])) / (b[0] - a[0])
            for index, a in enumerate(pairs)
            for b in pairs[index + 1 :]
            if b[0] > a[0]
        ]
        slope = statistics.median(slopes) if slopes else 0.0
        if abs(slope) * 1e6 <= _MOST_DRIFT:
            drift = slope * 1e6
            offset = statistics.median(theirs - ours - (ours - source.begin) * slope for ours, theirs in pairs)
    rest = [abs(theirs - ours - offset - (ours - source.begin) * drift / 1e6) for ours, theirs in pairs]
    spread = statistics.median(rest)
    if spread > _SPREAD:
        source.aligned = f"its own, not aligned: {len(pairs)} common happenings disagree by {spread:.1f} s"
        return
    source.offset, source.drift = offset, drift
    source.aligned = (
        f"offset {offset:+.3f} s, drift {drift:+.1f} ppm, from {len(pairs)} common happenings, within {max(rest):.3f} s"
    )


def matched(ours: Sequence[tuple[str, float]], theirs: Sequence[tuple[str, float]]) -> list[tuple[float, float]]:
    """Return times of the same happening in both: those told as often in one as in the other, in their order."""
    sides: list[dict[str, list[float]]] = []
    for side in (ours, theirs):
        by_key: dict[str, list[float]] = defaultdict(list)
        for key, time in side:
            by_key[key].append(time)
        sides.append(by_key)
    found: list[tuple[float, float]] = []
    for key, times in sides[0].items():
        others = sides[1].get(key, [])
        if len(times) == len(others):
            found += list(zip(times, others, strict=True))
    return sorted(found)
