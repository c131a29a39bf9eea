"""How exceptions and measurements become the two verdicts, and what a person is told about them."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass

from bench.errors import BenchError, ConfigurationError, DeviceFailure
from bench.run.verdict import CONFIGURATION, Verdict, worst


class StepTimeout(DeviceFailure, TimeoutError):
    """A step did not end within its timeout."""


class Aborted(BenchError):
    """A person, a signal or the end of the supervisor ended the run."""

    exit_code = 130


class RecipeError(BenchError):
    """The recipe is wrong: it used what it must not."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something ended, and whose fault it was."""

    verdict: Verdict
    what: str
    where: str = ""
    hint: str = ""
    exit_code: int | None = None
    """Another exit code than the verdict's: 2 for a wrong configuration."""
    stack: str = ""

    @property
    def message(self) -> str:
        """What and where in one line."""
        return f"{self.where}: {self.what}" if self.where else self.what


def classify(error: BaseException, recipe_files: Collection[str] = ()) -> Cause:
    """Return the cause of an exception that left a step or the recipe.

    A device failure, a timeout of what waited for the device and a failed assertion of the recipe itself are the
    device's; other errors of the bench are the bench's; everything else is an error in the recipe. Of a group, the
    first member that is not a cancellation counts.
    """
    while isinstance(error, BaseExceptionGroup):
        members = [item for item in error.exceptions if not isinstance(item, asyncio.CancelledError)]
        error = members[0] if members else error.exceptions[0]
    if isinstance(error, Aborted):
        return Cause(Verdict.ABORTED, error.what, error.where, error.hint)
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        return Cause(Verdict.ABORTED, "aborted")
    if isinstance(error, DeviceFailure):
        return Cause(Verdict.FAIL, error.what, error.where or _place(error, recipe_files), error.hint)
    if isinstance(error, RecipeError):
        return Cause(Verdict.ERROR, error.what, error.where or _place(error, recipe_files), error.hint)
    if isinstance(error, BenchError):
        code = CONFIGURATION if isinstance(error, ConfigurationError) else None
        notes = [str(note) for note in getattr(error, "__notes__", ())]
        return Cause(Verdict.BENCH_ERROR, "\n".join([error.what, *notes]), error.where, error.hint, code)
    if isinstance(error, TimeoutError) and error.errno is None:
        what = str(error) or "the device did not answer in time"
        return Cause(Verdict.FAIL, what, _place(error, recipe_files))
    if isinstance(error, AssertionError) and _raised_in(error, recipe_files):
        return Cause(Verdict.FAIL, f"assertion failed: {_assertion(error)}", _place(error, recipe_files))
    stack = "".join(traceback.format_exception(error)[-12:])
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Cause(
        Verdict.ERROR, what, _place(error, recipe_files), "an error in the recipe, not of the device", None, stack
    )


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(error.__traceback__))


def _place(error: BaseException, recipe_files: Collection[str]) -> str:
    """Return file and line in the recipe nearest to the error, else where it was raised."""
    frames = _frames(error)
    for frame in reversed(frames):
        if frame.filename in recipe_files:
            return f"{frame.filename}:{frame.lineno}"
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _raised_in(error: BaseException, recipe_files: Collection[str]) -> bool:
    frames = _frames(error)
    return bool(frames) and frames[-1].filename in recipe_files


def _assertion(error: BaseException) -> str:
    if str(error):
        return str(error)
    frames = _frames(error)
    return (frames[-1].line or "").strip() if frames else ""


class Verdicts:
    """The two verdicts of a run while it goes on.

    The device's is the first decisive result and never overwritten; once the bench has failed or the run was aborted
    nothing is held against the device any more. The bench's is the worst of what happened to it.
    """

    def __init__(self, decided: Callable[[str, Verdict, str], None] | None = None) -> None:
        self.device: Verdict | None = None
        self.bench = Verdict.PASS
        self.reason = ""
        """Why, in one line: of the device's fail, else of the bench's verdict."""
        self.exit_code: int | None = None
        self._decided = decided or (lambda _who, _verdict, _reason: None)
        self._open_questions: list[str] = []

    @property
    def running(self) -> bool:
        """Whether the bench is well and nobody aborted: what is seen of the device counts."""
        return self.bench is Verdict.PASS

    def device_failed(self, reason: str) -> None:
        """Note the device's first failure."""
        if self.device is None and self.running:
            self.device = Verdict.FAIL
            self.reason = reason
            self._decided("device", Verdict.FAIL, reason)

    def not_seen(self, reason: str) -> None:
        """Note something that had to be measured and could not be: the device cannot pass any more."""
        if self.running:
            self._open_questions.append(reason)

    def bench_failed(self, verdict: Verdict, reason: str, *, exit_code: int | None = None) -> None:
        """Note an abort, an error of the recipe or of the bench; the worst stays."""
        if verdict.rank <= self.bench.rank:
            return
        self.bench = verdict
        self.exit_code = exit_code
        if self.device is None:
            self.reason = reason
        self._decided("bench", verdict, reason)

    def recipe_ended(self, *, observed: bool) -> None:
        """The recipe came to its end: the device passed, unless something decided otherwise or nothing was seen."""
        if self.device is not None or not self.running:
            return
        if self._open_questions or not observed:
            self.device = Verdict.INCONCLUSIVE
            self.reason = (
                "; ".join(self._open_questions) or "the recipe ended without a finished step: nothing was seen"
            )
        else:
            self.device = Verdict.PASS
        self._decided("device", self.device, self.reason)

    @property
    def final_device(self) -> Verdict:
        """The device's verdict; inconclusive when nothing was decided."""
        return self.device or Verdict.INCONCLUSIVE

    @property
    def code(self) -> int:
        """Exit code of the run."""
        both = worst([self.final_device, self.bench])
        if both is self.bench and self.exit_code is not None:
            return self.exit_code
        return both.exit_code
