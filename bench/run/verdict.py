"""The two verdicts of a run: the device's and the bench's, in one order, and the exit code they come to."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """How something ended; a verdict further down is worse."""

    PASS = "pass"
    INCONCLUSIVE = "inconclusive"
    """Nothing wrong was seen, but what had to be seen was not."""
    FAIL = "fail"
    """The device did what it must not, or did not do what it must."""
    ABORTED = "aborted"
    """A person or a signal ended it."""
    ERROR = "error"
    """The recipe is wrong."""
    BENCH_ERROR = "bench-error"
    """An instrument, a service or the bench itself failed."""

    @property
    def rank(self) -> int:
        """0 for pass, rising with severity."""
        return _RANK[self]

    @property
    def exit_code(self) -> int:
        """Exit code of the command line (DESIGN.md section 4)."""
        return EXIT_CODES[self]

    def __str__(self) -> str:
        return self.value


_RANK = {verdict: rank for rank, verdict in enumerate(Verdict)}
EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.FAIL: 1,
    Verdict.BENCH_ERROR: 3,
    Verdict.ERROR: 4,
    Verdict.INCONCLUSIVE: 5,
    Verdict.ABORTED: 130,
}
CONFIGURATION = 2
"""Exit code of a run that was refused for its configuration or command line; its bench verdict is bench-error."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of some verdicts, pass of none."""
    return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.PASS)


def parse(text: object, default: Verdict | None = None) -> Verdict | None:
    """Return the verdict of this name, ``default`` for anything else (a reader meets what later versions write)."""
    try:
        return Verdict(str(text))
    except ValueError:
        return default
