"""Whether a peer answers so fast that looking for its answer at once beats going round the event loop.

A simulated instrument, or one on the same host, answers within some ten microseconds: two thread switches, or a turn
of the loop, then cost more than the exchange. A real one takes milliseconds, in which the loop has other things to do.
"""

from __future__ import annotations

LOOK_MS = 1
"""Milliseconds that such a look may hold up the event loop."""
_PROMPT = 0.0005
_WORTH = 4
_MOST = 64
_IN_VAIN = 32
_IN_VAIN_MOST = 4096
_IN_A_ROW = 8


class Promptness:
    """The answers of one peer. ``worth_a_look`` after some prompt ones in a row.

    A look in vain costs that many prompt answers that it is paid for; one after the other, twice as many each time:
    then the peer cannot answer while it is looked for, since it lives in the same thread.
    """

    def __init__(self) -> None:
        self._credit = 0
        self._price = _IN_VAIN
        self._found = 0

    @property
    def worth_a_look(self) -> bool:
        """Whether the next answer will probably be there within ``LOOK_MS``."""
        return self._credit >= _WORTH

    def answered(self, seconds: float) -> None:
        """Note the time that an answer took, in real seconds."""
        if seconds < _PROMPT:
            self._credit = min(_MOST, self._credit + 1)
        elif self._credit > 0:
            self._credit //= 2

    def found(self) -> bool:
        """Note that a look found the answer; return whether the event loop is due a turn, since it had none."""
        self._price = _IN_VAIN
        self._found = (self._found + 1) % _IN_A_ROW
        return self._found == 0

    def in_vain(self) -> None:
        """Note a look that found no answer."""
        self._credit = -self._price
        self._price = min(_IN_VAIN_MOST, 2 * self._price)
