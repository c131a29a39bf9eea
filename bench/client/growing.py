"""Numbers that only ever become more, kept in pieces."""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import Final, Literal, TypeVar, overload

PIECE: Final = 4096
"""Numbers of a piece."""
N = TypeVar("N", int, float)


class Growing(Sequence[N]):
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

    @overload
    def __getitem__(self, at: int) -> N: ...
    @overload
    def __getitem__(self, at: slice) -> list[N]: ...
    def __getitem__(self, at: int | slice) -> N | list[N]:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        if at < 0:
            at += len(self)
            if at < 0:
                raise IndexError(at)
        return self._pieces[at // PIECE][at % PIECE]
