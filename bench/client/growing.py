"""Sequences that only ever become more, and numbers of them kept in pieces."""

from __future__ import annotations

import array
from abc import abstractmethod
from collections.abc import Sequence
from typing import Final, Literal, TypeVar, overload

PIECE: Final = 4096
"""Numbers of a piece."""
N = TypeVar("N", int, float)
T_co = TypeVar("T_co", covariant=True)


class Rows(Sequence[T_co]):
    """A sequence by its length and ``row`` alone: indices below 0, out of range and slices are the same for all."""

    @abstractmethod
    def row(self, at: int) -> T_co:
        """Return the one at ``at``, which is 0 or more and below the length."""

    @overload
    def __getitem__(self, at: int) -> T_co: ...
    @overload
    def __getitem__(self, at: slice) -> list[T_co]: ...
    def __getitem__(self, at: int | slice) -> T_co | list[T_co]:
        length = len(self)
        if isinstance(at, slice):
            return [self.row(each) for each in range(*at.indices(length))]
        inside = at + length if at < 0 else at
        if not 0 <= inside < length:
            raise IndexError(at)
        return self.row(inside)


class Growing(Rows[N]):
    """A sequence of numbers of one type of ``array``; one thread appends, any reads.

    One long array is moved each time it outgrows its place: over a night the places that it leaves are holes of
    megabytes that nothing else fits. Pieces stay where they are.
    """

    def __init__(self, code: Literal["d", "q", "H"]) -> None:
        self._code = code
        self._last: array.array[N] = array.array(code)
        self._pieces: list[array.array[N]] = [self._last]

    def append(self, number: N) -> None:
        """Add one. Raises OverflowError for one that the type does not hold."""
        if len(self._last) == PIECE:
            self._last = array.array(self._code)
            self._last.append(number)
            self._pieces.append(self._last)  # whole: a reader never finds an empty piece behind others
        else:
            self._last.append(number)

    def __len__(self) -> int:
        pieces = len(self._pieces)
        return (pieces - 1) * PIECE + len(self._pieces[pieces - 1])

    def row(self, at: int) -> N:
        """Return one number."""
        return self._pieces[at // PIECE][at % PIECE]
