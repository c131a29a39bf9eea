"""The account of one cycle: its phases, figures, first failure and what it used, from what the run records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from bench.run import events as kinds

_DEEPEST: Final = 2
_MOST: Final = 200


class Account:
    """Listens to a run's record while one cycle goes on. Bounded, whatever a recipe writes."""

    def __init__(self, step: str) -> None:
        self.phases: dict[str, float] = {}
        """Seconds of station time by step, the cycle's own step left out; repeated steps are added up."""
        self.figures: dict[str, float] = {}
        """Numbers measured, ``step:name``; the last of each."""
        self.notes: dict[str, str] = {}
        """Texts measured."""
        self.failure: tuple[str, str] = ("", "")
        """Step and message of the first failure that decided."""
        self.rollbacks = 0
        self.fallbacks = 0
        self._step = step
        self._failed_step = ""

    def heard(self, kind: str, data: Mapping[str, Any], step: str) -> None:
        """Take one event of the record."""
        path = step[len(self._step) + 1 :] if step.startswith(self._step + "/") else ""
        if kind == kinds.STEP_END:
            self._step_ended(path, data)
        elif kind == kinds.MEASUREMENT:
            self._measured(path, data)
        elif kind == kinds.VERDICT and not self.failure[1] and data.get("device") == "fail":
            # The verdict falls with the end of the innermost step, just before that step-end is written.
            self.failure = (path, str(data.get("reason", "")))

    def _step_ended(self, path: str, data: Mapping[str, Any]) -> None:
        elapsed = data.get("elapsed")
        if path and path.count("/") < _DEEPEST and isinstance(elapsed, int | float) and len(self.phases) < _MOST:
            self.phases[path] = self.phases.get(path, 0.0) + float(elapsed)
        name = path.rpartition("/")[2]
        self.rollbacks += name.startswith("rollback")
        self.fallbacks += name.startswith("fallback")

    def _measured(self, path: str, data: Mapping[str, Any]) -> None:
        value, name = data.get("value"), f"{path}:{data.get('name')}"
        if len(self.figures) + len(self.notes) >= _MOST:
            return
        if isinstance(value, str):
            self.notes[name] = value[:200]
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            self.figures[name] = float(value)


class Uses:
    """What a cycle uses of its sample, counted where it happens."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        """Count ``count`` more."""
        if count:
            self.counts[name] = self.counts.get(name, 0) + count


class CountedSupply:
    """The supply of a station: counts how often it takes the power away."""

    def __init__(self, supply: Any, uses: Uses) -> None:
        self._supply = supply
        self._uses = uses

    async def set_output(self, on: bool) -> None:
        """As the supply's own."""
        if not on and await self._supply.output():
            self._uses.add("power_cuts")
        await self._supply.set_output(on)

    async def cycle(self, *arguments: Any, **options: Any) -> Any:
        """As the supply's own."""
        self._uses.add("power_cuts")
        return await self._supply.cycle(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._supply, name)


class CountedModem:
    """The modem of a station: counts registrations and short messages."""

    def __init__(self, modem: Any, uses: Uses) -> None:
        self._modem = modem
        self._uses = uses

    async def wait_registered(self, *arguments: Any, **options: Any) -> Any:
        """As the modem's own."""
        self._uses.add("attaches")
        return await self._modem.wait_registered(*arguments, **options)

    async def command(self, line: str, *arguments: Any, **options: Any) -> Any:
        """As the modem's own."""
        if line.upper().startswith(("AT+CMGS", "AT+CMSS")):
            self._uses.add("sms")
        return await self._modem.command(line, *arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._modem, name)


class CountedIpa:
    """The IPA of a station: counts downloads, enables and bytes."""

    def __init__(self, ipa: Any, uses: Uses) -> None:
        self._ipa = ipa
        self._uses = uses

    async def poll(self, *arguments: Any, **options: Any) -> Any:
        """As the IPA's own."""
        done = await self._ipa.poll(*arguments, **options)
        self._uses.add("downloads", len(done.downloads))
        self._uses.add("enables", int(done.profile_changed))
        self._uses.add("bytes", done.bytes_sent + done.bytes_received + done.smdpp_sent + done.smdpp_received)
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ipa, name)
