"""Power cuts of the card: every function that changes it, cut between any two APDUs and inside every commit.

A scenario starts from a kept state, runs functions one after the other, and is cut somewhere. The card is then opened
anew from what was kept: it must be in one of the whole states that the same run has without a cut, and go on from
there to the end. The pytest beside this file runs it in short, tests/campaigns/card_power_cuts.py as a whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from fixtures.pki import Pki
from fixtures.sim.euicc import EuiccOptions, VirtualEuicc
from fixtures.sim.euicc import state as state_module

from . import parties
from .parties import Bench, Eim, PowerCut, Terminal

Step = Callable[[Terminal, "Parties"], None]


@dataclass
class Parties:
    """Who is beside the card in a run, as of its start."""

    pki: Pki
    eim: Eim
    other: Eim

    def copy(self) -> Parties:
        """For one run: the eIMs count on from where the start has left them."""
        return Parties(self.pki, *(_copy(eim) for eim in (self.eim, self.other)))


def _copy(eim: Eim) -> Eim:
    made = Eim(eim.credential, eim.eim_id, eim.token)
    made.counter = eim.counter
    return made


@dataclass(frozen=True)
class Scenario:
    """``prepare`` makes the state at the start; each of ``steps`` changes the card by one function.

    ``resumable``: a step can be taken also when the card was reset after the one before it.
    """

    name: str
    prepare: Step
    steps: tuple[Step, ...]
    options: dict[str, Any] = field(default_factory=dict)
    resumable: bool = True


class PowerLoss(BaseException):
    """The power goes while the card writes."""


@dataclass
class Writes:
    """Where a commit can be cut: each operation on the file is one point, half a write another."""

    at: int | None = None
    count: int = 0
    dead: bool = False

    def point(self) -> None:
        """Cut here if it is this point."""
        if self.at is not None and self.count == self.at:
            self.dead = True
            raise PowerLoss
        self.count += 1

    def write(self, descriptor: int, data: Any) -> int:
        """Write half, cut, write the rest."""
        half = os.write(descriptor, bytes(data)[: len(data) // 2])
        self.point()
        return half + os.write(descriptor, bytes(data)[len(data) // 2 :])


@contextmanager
def watched(writes: Writes) -> Iterator[None]:
    """Have the commits of cards pass through ``writes``."""

    def opened(*arguments: Any) -> int:
        descriptor = os.open(*arguments)
        try:
            writes.point()
        except PowerLoss:
            os.close(descriptor)
            raise
        return descriptor

    def cut_to_length(descriptor: int, length: int) -> None:
        os.ftruncate(descriptor, length)
        writes.point()

    original = state_module.replace

    def replaced(new: Path, place: Path) -> None:
        writes.point()
        original(new, place)
        writes.point()

    flags = {name: getattr(os, name) for name in dir(os) if name.startswith("O_")}
    stand_in = SimpleNamespace(
        open=opened, write=writes.write, ftruncate=cut_to_length, close=os.close, fsync=os.fsync, **flags
    )
    with mock.patch.object(state_module, "os", stand_in), mock.patch.object(state_module, "replace", replaced):
        yield


@dataclass(frozen=True)
class Whole:
    """A state of the card without what differs from run to run (signatures, one-time values)."""

    content: str
    pending: tuple[tuple[Any, ...], ...]
    sequence: int


def whole(card: VirtualEuicc) -> Whole:
    """The whole state of a card that has power."""
    kept = json.loads(card._core.state.dump())
    pending = tuple(
        tuple(entry[name] for name in ("seq", "kind", "event", "address", "iccid", "eim_id"))
        for entry in kept.pop("pending")
    )
    sequence = kept.pop("sequence")
    return Whole(json.dumps(kept, sort_keys=True), pending, sequence)


class Broken(AssertionError):
    """A cut has left the card in a state that it must not be in."""


class Harness:
    """One scenario in one refresh mode, on cards in a folder of its own."""

    def __init__(self, home: Path, pki: Pki, scenario: Scenario, refresh: str) -> None:
        self.scenario = scenario
        self.bench = Bench(home, pki, EuiccOptions(refresh=refresh, **scenario.options))  # type: ignore[arg-type]
        self.bench.preload("fallback", _extra(1))
        self.bench.preload("emergency", _extra(2))
        self.bench.preload("test", _extra(3))
        self.path = home / "card" / "card.json"
        self.parties = Parties(pki, Eim(pki.eim), Eim(_other(pki), "other.example"))
        terminal = self.bench.terminal()
        scenario.prepare(terminal, self.parties)
        terminal.card.power_off()
        terminal.card.power_on()
        self.start = self.path.read_text()
        self.stages = self._stages()
        self.apdus, self.points = self._size()

    def _card(self) -> VirtualEuicc:
        return self.bench.card()

    def _fresh(self) -> Terminal:
        """A powered card at the start."""
        self.path.with_name(".card.json.new").unlink(missing_ok=True)
        self.path.write_text(self.start)
        card = self._card()
        card.power_on()
        return Terminal(card)

    def _reopened(self) -> VirtualEuicc:
        """The card as the next process finds it, with power."""
        card = self._card()
        card.power_on()
        return card

    def _stages(self) -> list[Whole]:
        """The states that a run goes through, each as it is after a power cycle."""
        found = []
        for count in range(len(self.scenario.steps) + 1):
            terminal = self._fresh()
            self._run(terminal, self.scenario.steps[:count])
            terminal.card.power_off()
            found.append(whole(self._reopened()))
        return found

    def _run(self, terminal: Terminal, steps: tuple[Step, ...] | None = None) -> None:
        parties = self.parties.copy()
        for step in self.scenario.steps if steps is None else steps:
            step(terminal, parties)

    def _size(self) -> tuple[int, int]:
        """(APDUs of a run, points in its commits)."""
        terminal, writes = self._fresh(), Writes()
        with watched(writes):
            self._run(terminal)
        return len(terminal.log), writes.count

    # --- cuts -------------------------------------------------------------------------------------

    def cut_at_apdu(self, number: int) -> str:
        """Take the power away before APDU ``number`` of the run (0: the first); returns what state that has left."""
        terminal = self._fresh()
        terminal.cut_after = number
        try:
            self._run(terminal)
        except PowerCut:
            pass
        else:
            raise Broken(f"the run has no APDU {number}")
        return self._check(terminal.card)

    def cut_in_commit(self, number: int) -> str:
        """Take the power away at a point of a commit; returns what state that has left."""
        terminal, writes = self._fresh(), Writes(number)
        try:
            with watched(writes):
                self._run(terminal)
        except PowerLoss:
            pass
        else:
            raise Broken(f"the run has no point {number}")
        return self._check(terminal.card)

    def _check(self, before: VirtualEuicc) -> str:
        if before.faults:
            raise Broken("the card had an internal error")
        seen = {entry.seq: entry.raw for entry in before._core.state.pending} if self._kept(before) else {}
        card = self._reopened()
        found = whole(card)
        stage, interrupted = self._stage(found)
        self._sound(card, seen)
        # It goes on from there to the end.
        self._go_on(stage, 1 if interrupted else 0)
        return f"stage {stage}" + (" interrupted" if interrupted else "")

    def _kept(self, card: VirtualEuicc) -> bool:
        """Whether what is in the card's memory is what it has kept (not so after a cut inside a commit)."""
        return card._core.state.dump() == self.path.read_text()

    def _stage(self, found: Whole) -> tuple[int, bool]:
        """Which whole state it is, and whether a result of an interrupted download came on top."""
        for number, stage in enumerate(self.stages):
            if found == stage:
                return number, False
            *rest, last = found.pending or ((),)
            interrupted = (stage.sequence + 1, "pir", 0x80)
            if tuple(rest) == stage.pending and last[:3] == interrupted and found.content == stage.content:
                return number, True
        raise Broken(f"no whole state: {found} is none of {self.stages}")

    def _sound(self, card: VirtualEuicc, seen: dict[int, str]) -> None:
        view = card.state()
        start = json.loads(self.start)
        terminal = Terminal(card)
        if view.loading or view.switch_pending or view.locked or view.proactive:
            raise Broken("something is still under way after power-on")
        if sum(profile.enabled for profile in view.profiles) > 1:
            raise Broken("two profiles are enabled")
        if view.enabled is not None and terminal.iccid() != view.enabled.iccid:
            raise Broken("the file system is not that of the enabled profile")
        numbers = [entry.seq for entry in view.notifications]
        if numbers != sorted(set(numbers)) or (numbers and numbers[-1] > view.sequence):
            raise Broken(f"sequence numbers {numbers}, counter {view.sequence}")
        if view.sequence < start["sequence"]:
            raise Broken("the sequence counter went back")
        if any(seen.get(entry.seq, entry.raw) != entry.raw for entry in card._core.state.pending):
            raise Broken("a sequence number was used twice")
        counters = {eim["eim_id"]: eim["counter"] for eim in start["eims"]}
        if any(eim.counter < counters.get(eim.eim_id, 0) for eim in view.eims):
            raise Broken("a counterValue went back")
        if card._core.state.tokens < start["tokens"]:
            raise Broken("the counter of association tokens went back")

    def _go_on(self, stage: int, extra: int) -> None:
        """Take the steps that are left, without a cut: it ends where the run without a cut ends."""
        left = self.scenario.steps[stage:] if self.scenario.resumable or not stage else ()
        last = self.stages[-1 if left or self.scenario.resumable else stage]
        terminal = Terminal(self._reopened())
        self._run(terminal, left)
        if terminal.card.faults:
            raise Broken("the card had an internal error after the cut")
        terminal.card.power_off()
        end = whole(self._reopened())
        # After an interrupted download there is one result, and one number, more.
        same = end == last if not extra else end.sequence == last.sequence + extra
        if not same or len(end.pending) != len(last.pending) + extra or _profiles(end) != _profiles(last):
            raise Broken(f"after the cut it ends at {end}, not at {last}")


def _profiles(state: Whole) -> list[tuple[str, bool]]:
    return [(profile["iccid"], profile["enabled"]) for profile in json.loads(state.content)["profiles"]]


def _extra(number: int) -> bytes:
    return parties.numbered(number)


_OTHERS: dict[Path, Any] = {}


def _other(pki: Pki) -> Any:
    return _OTHERS.setdefault(pki.folder, pki.issue("eim"))
