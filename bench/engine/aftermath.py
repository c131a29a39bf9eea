"""Finishing the record of a run in the runner's place: by the supervisor, or by a client when both are gone."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.engine import derived
from bench.errors import BenchError
from bench.run import events as kinds
from bench.run import folder as places
from bench.run.journal import Journal
from bench.run.reader import only
from bench.run.verdict import Verdict, parse, worst

_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)', re.MULTILINE)


class Aftermath:
    """The only writer left. Never raises: making safe comes first, and a full disk must not keep it from that.

    Nor must a long record: what it says is read when everything is safe.
    """

    def __init__(self, folder: Path, order: Mapping[str, Any], *, by: str = "supervisor") -> None:
        self.folder = folder
        self.by = by
        self._order = order
        self._journal: Journal | None = None
        self._device: Verdict | None = None
        self._bench = Verdict.PASS
        self._code: int | None = None
        self.ended = False
        """The record has its end already: the runner died between writing it and saying so."""
        self._ending: Mapping[str, Any] = {}
        with contextlib.suppress(BenchError, OSError):
            self._journal = Journal.open(folder / places.JOURNAL, background=False)

    def _read(self, path: Path) -> None:
        for event in only(path, kinds.VERDICT, kinds.RUN_END):
            data = event["data"]
            if event["type"] == kinds.VERDICT:
                self._device = self._device or parse(data.get("device"))
                self._bench = worst([self._bench, parse(data.get("bench")) or Verdict.PASS])
                code = data.get("exit_code")
                self._code = code if isinstance(code, int) else self._code
            else:
                self.ended = True
                self._ending = data

    def event(self, kind: str, data: Mapping[str, Any], *, sync: bool = False) -> None:
        """Append one event, if the journal can be written."""
        if self._journal is not None:
            self._journal.write(kind, data, sync=sync)

    def safe(self, result: Mapping[str, Any]) -> None:
        """Record what a safe action came to."""
        self.event(kinds.SAFE, {**result, "by": self.by}, sync=True)

    def finish(
        self,
        *,
        what: str,
        hint: str,
        stack: str,
        controls: Sequence[Mapping[str, Any]],
        stopped: bool,
        everything_safe: bool,
        killed: Sequence[str] = (),
        crashed: bool = True,
    ) -> int:
        """Write control events, error, verdict and run-end, then what is derived; return the exit code."""
        with contextlib.suppress(BenchError, OSError):
            self._read(self.folder / places.JOURNAL)
        code = self._ending.get("exit_code")
        if self.ended and everything_safe and isinstance(code, int):
            return code
        for control in controls:
            self.event(kinds.CONTROL, control)
        if self._journal is not None and self._journal.cut:
            self.event(
                kinds.LOG, {"text": f"a torn last line was cut off ({self._journal.cut} bytes)", "source": self.by}
            )
        where = self._where(stack)
        if what:
            stack = stack or self._last_words()
            data = {"what": what, "where": where, "hint": hint}
            self.event(kinds.ERROR, {**data, "stack": stack} if stack else data)
        for name in killed:
            self.event(kinds.ERROR, {"what": f"service {name} did not end and was killed", "where": "", "hint": ""})
        verdict, reason = Verdict.PASS, ""
        if stopped:
            verdict, reason = Verdict.ABORTED, "stopped"
        elif crashed:
            verdict, reason = Verdict.BENCH_ERROR, what
        if not everything_safe:
            verdict, reason = Verdict.BENCH_ERROR, "the station is NOT DEAD: not every safe action could be verified"
            self._code = None
        if verdict.rank > self._bench.rank:
            self._bench = verdict
            self.event(kinds.VERDICT, {"bench": verdict.value, "reason": reason}, sync=True)
        device = self._device or Verdict.INCONCLUSIVE
        both = worst([device, self._bench])
        code = self._code if self._code is not None and both is self._bench else both.exit_code
        end = {
            "device": device.value,
            "bench": self._bench.value,
            "exit_code": code,
            "summary": reason or what,
            "by": self.by,
        }
        self._end(end)
        return code

    def _end(self, end: Mapping[str, Any]) -> None:
        manifest = places.read_json(self.folder / places.MANIFEST)
        with contextlib.suppress(OSError):
            places.write_manifest(self.folder, {**manifest, "end": {**end, "wall": _now()}})
        self.event(kinds.RUN_END, end, sync=True)
        if self._journal is not None:
            self._journal.close()
        derived.result(self.folder)
        derived.report(self.folder, apart=True)

    def _last_words(self) -> str:
        """Return the end of what the runner wrote to its log: a traceback, a message of the C library."""
        with contextlib.suppress(OSError):
            return (self.folder / places.RUNNER_LOG).read_text(encoding="utf-8", errors="replace")[-4000:].strip()
        return ""

    def _where(self, stack: str) -> str:
        """Return file and line of the recipe in a stack, else the innermost of the main thread."""
        frames = [(found["file"], found["line"]) for found in _FRAME.finditer(stack.rpartition("Current thread")[2])]
        source = self._order.get("source_file", "")
        for file, line in frames:
            if file == source:
                return f"{file}:{line}"
        return f"{frames[0][0]}:{frames[0][1]}" if frames else ""


def _now() -> str:
    import time

    return kinds.wall_text(time.time_ns())
