"""What a screen or a terminal shows of a run, built from its journal events."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MARKS = {
    "pass": "✔",
    "inconclusive": "?",
    "fail": "✖",
    "aborted": "■",
    "error": "!",
    "bench-error": "!",
    "running": "▶",
    "pending": "○",
}
"""One glyph a state; the word always stands beside it."""

ASCII_MARKS = {
    "pass": "+",
    "inconclusive": "?",
    "fail": "x",
    "aborted": "#",
    "error": "!",
    "bench-error": "!",
    "running": ">",
    "pending": "o",
}


@dataclass(slots=True)
class StepView:
    """One step of the run."""

    path: str
    """Names from the outermost step, joined with '/'."""
    state: str = "running"
    started: float = 0.0
    """Station time in seconds."""
    elapsed: float | None = None
    message: str = ""
    measurements: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The step's own name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def depth(self) -> int:
        """0 for a step of the recipe itself."""
        return self.path.count("/")


@dataclass(slots=True)
class RunView:
    """One run as its journal tells it, so far."""

    run_id: str = ""
    recipe: str = ""
    station: str = ""
    steps: list[StepView] = field(default_factory=list)
    device: str = ""
    bench: str = ""
    exit_code: int | None = None
    ended: bool = False
    simulated: bool | None = None
    now: float = 0.0
    """Station time of the last event in seconds."""
    started: float | None = None
    lines: list[str] = field(default_factory=list)
    """Notes, errors and what was made safe, oldest first."""
    errors: list[str] = field(default_factory=list)
    """Errors and failures in one line each."""
    identities: dict[str, str] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    """What the run was asked to find out, so far, by its name."""
    _open: dict[str, StepView] = field(default_factory=dict)

    @property
    def elapsed(self) -> float:
        """Seconds of station time since the run began."""
        return 0.0 if self.started is None else self.now - self.started

    @property
    def state(self) -> str:
        """One word for the whole run: the worse of the two verdicts, or running."""
        if not self.ended:
            return "running"
        order = ("pass", "inconclusive", "fail", "aborted", "error", "bench-error")
        known = [verdict for verdict in (self.device, self.bench) if verdict in order]
        return max(known, key=order.index) if known else "inconclusive"

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take one journal event; an unknown type only moves the time."""
        data = event.get("data") or {}
        time = event.get("t")
        if isinstance(time, int | float):
            self.now = float(time)
            if self.started is None:
                self.started = self.now
        handler = getattr(self, "_on_" + str(event.get("type", "")).replace("-", "_"), None)
        if handler is not None:
            handler(str(event.get("step") or ""), data)

    def _on_run_start(self, step: str, data: Mapping[str, Any]) -> None:
        self.run_id = str(data.get("run", data.get("run_id", self.run_id)))
        self.recipe = str(data.get("recipe", self.recipe))
        self.station = str(data.get("station", self.station))
        if "simulated" in data:
            self.simulated = bool(data["simulated"])

    def _on_identity(self, step: str, data: Mapping[str, Any]) -> None:
        name = str(data.get("name", data.get("instrument", "")))
        if name:
            self.identities[name] = str(data.get("value", data.get("identity", "")))

    def _on_result(self, step: str, data: Mapping[str, Any]) -> None:
        self.results[str(data.get("name", ""))] = data.get("value")

    def _on_step_start(self, step: str, data: Mapping[str, Any]) -> None:
        view = StepView(step, started=self.now)
        self.steps.append(view)
        self._open[step] = view

    def _on_step_end(self, step: str, data: Mapping[str, Any]) -> None:
        view = self._open.pop(step, None)
        if view is None:
            return
        view.state = sys.intern(str(data.get("verdict", "pass")))
        elapsed = data.get("elapsed")
        view.elapsed = float(elapsed) if isinstance(elapsed, int | float) else self.now - view.started
        view.message = str(data.get("message") or "")
        if view.message and view.state != "pass":
            self.lines.append(f"{MARKS.get(view.state, '!')} {view.path}: {view.message}")
            self.errors.append(f"{view.path}: {view.message}")

    def _on_measurement(self, step: str, data: Mapping[str, Any]) -> None:
        if step in self._open:
            self._open[step].measurements.append(data)

    def _on_verdict(self, step: str, data: Mapping[str, Any]) -> None:
        if data.get("device"):
            self.device = str(data["device"])
        if data.get("bench"):
            self.bench = str(data["bench"])

    def _on_note(self, step: str, data: Mapping[str, Any]) -> None:
        self.lines.append(f"  {step + ': ' if step else ''}{data.get('text', data.get('message', ''))}")

    def _on_trip_cleared(self, step: str, data: Mapping[str, Any]) -> None:
        cause, instrument = data.get("cause", ""), data.get("instrument", "")
        self.lines.append(f"! {instrument}: its {cause} protection had tripped and was cleared, the output is off")

    def _on_error(self, step: str, data: Mapping[str, Any]) -> None:
        where = f"{data['where']}: " if data.get("where") else ""
        hint = f" ({data['hint']})" if data.get("hint") else ""
        self.lines.append(f"! {where}{data.get('what', '')}{hint}")
        self.errors.append(f"{where}{data.get('what', '')}{hint}")

    def _on_safe(self, step: str, data: Mapping[str, Any]) -> None:
        verified = "verified" if data.get("verified") else "NOT VERIFIED"
        self.lines.append(f"  safe: {data.get('name', '')} {verified} {data.get('reading', '') or ''}".rstrip())

    def _on_run_end(self, step: str, data: Mapping[str, Any]) -> None:
        self.device = str(data.get("device", self.device) or self.device)
        self.bench = str(data.get("bench", self.bench) or self.bench)
        code = data.get("exit_code")
        self.exit_code = code if isinstance(code, int) else self.exit_code
        self.ended = True
        for view in self._open.values():
            view.state = "aborted"
        self._open.clear()
