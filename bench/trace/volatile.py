"""Fields that differ from one exchange to the next with nothing being wrong (reference 6.3 of the trace).

By outer tag and path of tags below it; ``*`` stands for any tag. Used when a recording is replayed to a card.
"""

from __future__ import annotations

from typing import Final

RANDOM: Final = "random"
STATE: Final = "state"
COUNTER: Final = "counter"
SIGNATURE: Final = "signature"
EPHEMERAL: Final = "ephemeral key"
SESSION: Final = "session"
TIME: Final = "time"

_ANYWHERE: Final = {0x5F37: SIGNATURE, 0x5F49: EPHEMERAL}

_BY_PATH: Final[dict[tuple[int, ...], str]] = {
    (0xBF2E, 0x80): RANDOM,  # euiccChallenge
    (0xBF22, 0x84): STATE,  # ExtCardResource: free memory
    (0xBF2D, 0xA0, 0xE3, 0x9F70): STATE,  # profileState
    (0xBF2D, 0xA0, 0xE3, 0x4F): STATE,  # AID of the ISD-P
    (0xBF3C, 0x80): STATE,  # default SM-DP+ address
    (0xBF43,): STATE,  # rules authorisation table
    (0xBF28, 0xA0, 0xBF2F, 0x80): COUNTER,  # seqNumber
    (0xBF28, 0xA0): STATE,
    (0xBF2B,): STATE,  # what waits for delivery
    (0xBF55, 0xA0, 0x30, 0x83): COUNTER,  # counterValue
    (0xBF55, 0xA0, 0x30, 0x84): COUNTER,  # associationToken
    (0xBF38, 0xA0, 0x30, 0x80): SESSION,
    (0xBF38, 0xA0, 0x30, 0x84): RANDOM,  # serverChallenge, echoed
    (0xBF38, 0xA0, 0x30, 0xBF22, 0x84): STATE,
    (0xBF21, 0xA0, 0x30, 0x80): SESSION,
}

_LISTS: Final = ((0xBF2D, 0xA0), (0xBF28, 0xA0), (0xBF2B, 0xA0), (0xBF2B, 0xA2), (0xBF55, 0xA0))
"""Profiles, notifications, package results and eIMs: how many there are is the card's state."""

_LENGTHS: Final[dict[tuple[int, ...], int]] = {(0xBF2E, 0x80): 16}


def volatile(path: tuple[int, ...]) -> str:
    """Return why the value at a path of tags may differ, empty when it may not."""
    if path and path[-1] in _ANYWHERE:
        return _ANYWHERE[path[-1]]
    for length in range(len(path), 0, -1):
        part: tuple[int, ...] = path[:length]
        found = _BY_PATH.get(part)
        if found is not None:
            return found
    return ""


def in_list(path: tuple[int, ...]) -> bool:
    """Whether a path leads to or into a list whose entries are the card's state."""
    return path[:2] in _LISTS


def right_length(path: tuple[int, ...], value: bytes) -> bool:
    """Whether a random value has the length that the standard asks for."""
    return len(value) == _LENGTHS.get(path, len(value))
