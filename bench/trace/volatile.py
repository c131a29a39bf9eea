"""Fields that differ from one exchange to the next with nothing being wrong (reference 6.3 of the trace): one table.

``bench.trace.diff`` reads it by the names of the ASN.1 text, since it compares decoded functions of all lanes; replay
reads it by outer tag and path of tags below it, since it compares a card's bytes and must not depend on a decoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

Path = tuple[int, ...]


class FieldClass(Enum):
    """How a field is compared."""

    STABLE = "stable"
    """Literally."""
    RANDOM = "random"
    """Bound: the same value must come again wherever the other run's comes again; both of one length."""
    SESSION = "session id"
    """Bound likewise."""
    EPHEMERAL = "ephemeral key"
    """Bound, and both of one length and beginning with 04."""
    COUNTER = "counter"
    """Bound, and rising where the other run's rises."""
    IDENTITY = "identity"
    """Bound; a difference at first sight is told once, below everything else."""
    SIGNATURE = "signature"
    """Length only."""
    HASH = "hash"
    """Length only."""
    ENCRYPTED = "encrypted"
    """Length only."""
    STATE = "state"
    """A difference is a change of state, not a failure."""
    TIME = "time"
    """Not at all."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One kind of field, or a whole structure."""

    kind: FieldClass
    names: tuple[str, ...] = ()
    """As in the ASN.1 text of SGP.22 and SGP.32."""
    paths: tuple[Path, ...] = ()
    """Outer tag and tags below, in answers of a card; one tag alone that is no outer one stands for any place."""
    length: int = 0
    """Bytes that the standard asks for; 0 where it leaves that open."""


FACTS: Final = (
    Fact(FieldClass.RANDOM, ("euiccChallenge",), ((0xBF2E, 0x80),), 16),
    Fact(FieldClass.RANDOM, ("serverChallenge",), ((0xBF38, 0xA0, 0x30, 0x84),)),
    Fact(FieldClass.SESSION, ("transactionId",), ((0xBF38, 0xA0, 0x30, 0x80), (0xBF21, 0xA0, 0x30, 0x80))),
    Fact(FieldClass.SESSION, ("eimTransactionId",)),
    Fact(FieldClass.EPHEMERAL, ("euiccOtpk", "smdpOtpk", "bppEuiccOtpk"), ((0x5F49,),)),
    Fact(FieldClass.SIGNATURE, (), ((0x5F37,),)),
    Fact(FieldClass.HASH, ("hashCc",)),
    Fact(FieldClass.COUNTER, ("seqNumber", "SequenceNumber"), ((0xBF28, 0xA0, 0xBF2F, 0x80),)),
    Fact(FieldClass.COUNTER, ("counterValue",), ((0xBF55, 0xA0, 0x30, 0x83),)),
    Fact(FieldClass.COUNTER, ("associationToken",), ((0xBF55, 0xA0, 0x30, 0x84),)),
    Fact(FieldClass.STATE, ("profileState",), ((0xBF2D, 0xA0, 0xE3, 0x9F70),)),
    Fact(FieldClass.STATE, ("isdpAid",), ((0xBF2D, 0xA0, 0xE3, 0x4F),)),
    Fact(FieldClass.STATE, ("defaultDpAddress",), ((0xBF3C, 0x80),)),
    Fact(FieldClass.STATE, ("extCardResource",), ((0xBF22, 0x84), (0xBF38, 0xA0, 0x30, 0xBF22, 0x84))),
    # Rules authorisation table; notifications; results that wait for delivery: as wholes, which have no field's name.
    Fact(FieldClass.STATE, (), ((0xBF43,), (0xBF28, 0xA0), (0xBF2B,))),
    Fact(FieldClass.IDENTITY, ("eidValue", "eid", "iccid", "imei", "matchingId", "activationCode")),
)

BY_NAME: Final = {name: fact.kind for fact in FACTS for name in fact.names}
_BY_PATH: Final = {path: fact.kind for fact in FACTS for path in fact.paths}
_LENGTHS: Final = {path: fact.length for fact in FACTS if fact.length for path in fact.paths}

_LISTS: Final = ((0xBF2D, 0xA0), (0xBF28, 0xA0), (0xBF2B, 0xA0), (0xBF2B, 0xA2), (0xBF55, 0xA0))
"""Profiles, notifications, package results and eIMs: how many there are is the card's state."""


def volatile(path: Path) -> FieldClass | None:
    """Return why the value at a path of tags may differ, None when it may not."""
    found = _BY_PATH.get(path[-1:])
    for length in range(len(path), 0, -1):
        found = found or _BY_PATH.get(path[:length])
    return found


def in_list(path: Path) -> bool:
    """Whether a path leads to or into a list whose entries are the card's state."""
    return path[:2] in _LISTS


def right_length(path: Path, value: bytes) -> bool:
    """Whether a random value has the length that the standard asks for."""
    return len(value) == _LENGTHS.get(path, len(value))
