"""The owner of a soak: nothing finished is lost or done twice, whatever record it died behind; stop rules; budgets."""

from __future__ import annotations

import datetime
import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.client import soak as soaks
from bench.errors import BenchError
from bench.run.reader import read
from bench.soak import book as books
from bench.soak import samples
from bench.soak.index import Index
from bench.soak.owner import Owner
from bench.soak.plan import loads
from bench.soak.schedule import Item, Schedule
from tests.soak.fake_runs import FakeRuns, Verdict

PLAN = """
title = "test"
stations = ["a"]
cycles = 12
segment = 4
seed = 3
order = "shuffled"
[[recipes]]
recipe = "euicc-info"
sweep = { x = [1, 2, 3] }
"""


def made(tmp_path: Path, text: str = PLAN, verdict: Verdict | None = None, **more: Any) -> tuple[Path, FakeRuns]:
    runs = tmp_path / "home" / "runs"
    file = tmp_path / "plan.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    plan = loads(text)
    folder = books.create(runs, file, plan, 3)
    fake = FakeRuns(plan, folder, runs, **({"verdict": verdict} if verdict else {}), **more)
    return folder, fake


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have no station left alone in real time; return for how long it would have been."""
    asked: list[float] = []
    monkeypatch.setattr(Owner, "pause", lambda _self, seconds: asked.append(seconds))
    return asked


def test_a_plan_is_worked_off_and_passes(tmp_path: Path) -> None:
    folder, fake = made(tmp_path)
    assert Owner(folder, fake).run() == "pass"
    seeds = [item.seed for item in Schedule(fake.plan, 3, "a")]
    assert [(index, attempt, seed) for _, index, attempt, seed in fake.done] == [
        (index, 1, seed) for index, seed in enumerate(seeds)
    ]
    with Index(fake.runs) as index:
        assert index.update() == 3
        assert index.count() == {"pass": 12}
        assert [cycle.cycle for cycle in index.cycles("x=2")] == [
            item.index for item in Schedule(fake.plan, 3, "a") if item.parameters["x"] == 2
        ]
        assert index.update() == 0


def test_killed_behind_any_record_nothing_is_lost_or_repeated(tmp_path: Path) -> None:
    whole, fake = made(tmp_path / "whole")
    Owner(whole, fake).run()
    lines = (whole / books.BOOK).read_bytes().splitlines(keepends=True)
    expected = [(index, seed) for _, index, _, seed in fake.done]
    assert len(lines) > 20
    for cut in range(len(lines)):
        home = tmp_path / f"cut{cut}"
        shutil.copytree(tmp_path / "whole" / "home", home / "home")
        folder = home / "home" / "soaks" / whole.name
        known = b"".join(lines[:cut]) + lines[cut][: len(lines[cut]) // 2]  # and a torn one
        (folder / books.BOOK).write_bytes(known)
        about = {**books.places.read_json(folder / books.SOAK), "runs": str(home / "home" / "runs")}
        books.places.write_json(folder / books.SOAK, about)
        _forget_later_runs(folder, home / "home" / "runs", lines[: cut + 1])
        again = FakeRuns(fake.plan, folder, home / "home" / "runs")
        assert Owner(folder, again).run() == "pass", cut
        with Index(again.runs) as index:
            index.rebuild()
            found = [(cycle.cycle, cycle.data["seed"]) for cycle in index.cycles()]
        assert found == expected, cut


def _forget_later_runs(folder: Path, runs: Path, lines: list[bytes]) -> None:
    """Remove the runs that had not begun when the owner died: one more may have begun than the book knows."""
    text = b"".join(lines).decode()
    for run in runs.iterdir():
        if run.name not in text:
            shutil.rmtree(run)


def test_a_cycle_in_progress_is_repeated_with_its_own_seed(tmp_path: Path) -> None:
    folder, fake = made(
        tmp_path, verdict=lambda _s, item, attempt: "die" if (item.index, attempt) == (5, 1) else "pass"
    )
    assert Owner(folder, fake).run() == "pass"
    fifth = [(attempt, seed) for _, index, attempt, seed in fake.done if index == 5]
    assert [attempt for attempt, _ in fifth] == [1, 2]
    assert len({seed for _, seed in fifth}) == 1
    assert sorted(index for _, index, _, _ in fake.done) == sorted([*range(12), 5])
    assert books.state_of(folder).stations["a"].interrupted == 1


def test_a_cycle_that_never_ends_does_not_stop_the_night(tmp_path: Path, pauses: list[float]) -> None:
    text = PLAN + "[stop]\nbench_errors = 1000\n"
    folder, fake = made(tmp_path, text, lambda _s, item, _a: "die" if item.index == 5 else "pass")
    Owner(folder, fake).run()
    state = books.state_of(folder)
    assert [attempt for _, index, attempt, _ in fake.done if index == 5] == [1, 2, 3]
    assert state.stations["a"].finished == 11
    assert pauses[:2] == [2.0, 4.0]


def test_a_run_killed_before_its_first_event_is_a_bench_error_and_begun_again(
    tmp_path: Path, pauses: list[float]
) -> None:
    killed = [4]

    def verdict(station: str, item: Item, attempt: int) -> str:
        return "unborn" if item.index in killed and not killed.clear() else "pass"

    folder, fake = made(tmp_path, verdict=verdict)
    assert Owner(folder, fake).run() == "pass"
    state = books.state_of(folder).stations["a"]
    assert (state.finished, state.quarantined, state.bench_errors_total) == (12, "", 1)
    assert pauses == [2.0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the owner's log has it too
def test_a_record_that_cannot_be_followed_quarantines_its_station(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, fake = made(tmp_path)

    def refused(run: Path) -> Iterator[Mapping[str, Any]]:
        raise BenchError("the journal cannot be read: Input/output error", where=str(run))

    monkeypatch.setattr(fake, "follow", refused)
    Owner(folder, fake).run()
    assert "Input/output error" in books.state_of(folder).stations["a"].quarantined


def test_a_pause_is_over_when_the_soak_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    owner = Owner(*made(tmp_path))
    begun = time.monotonic()
    owner.pause(0.2)
    assert time.monotonic() - begun >= 0.2
    owner.finish("asked for")
    owner.pause(600.0)


def test_bench_errors_quarantine_a_station_and_hide_no_failure(tmp_path: Path) -> None:
    def verdict(station: str, item: Item, attempt: int) -> str:
        if station == "b" and item.index >= 2:
            return "bench-error"
        return "fail SW 6F00 from the card" if item.index == 1 else "pass"

    text = PLAN.replace('["a"]', '["a", "b"]') + "[stop]\nbench_errors = 2\n"
    folder, fake = made(tmp_path, text, verdict)
    assert Owner(folder, fake).run() == "fail"
    state = books.state_of(folder)
    assert state.stations["b"].quarantined
    assert state.stations["b"].next == 4
    assert state.stations["a"].next == 12
    assert (state.occurrences.cycles, state.occurrences.failures) == (14, 2)


def test_a_sticky_fault_stops_the_soak_as_one_event(tmp_path: Path) -> None:
    text = PLAN.replace("cycles = 12", "cycles = 4000") + "[stop]\nconsecutive_failures = 5\n"
    folder, fake = made(tmp_path, text, lambda _s, item, _a: "fail the card is mute" if item.index >= 10 else "pass")
    assert Owner(folder, fake).run() == "fail"
    seen = books.state_of(folder).occurrences
    assert seen.events == 1
    assert seen.failures <= 8  # those of the run that went on are counted too
    assert "5 failures in a row" in books.state_of(folder).stopped


def test_the_sequential_test_stops_early(tmp_path: Path) -> None:
    rule = "[stop]\ntarget_failure_rate = 0.01\nlimit_failure_rate = 0.1\n"
    folder, fake = made(tmp_path, PLAN.replace("cycles = 12", "cycles = 4000") + rule)
    assert Owner(folder, fake).run() == "pass"
    assert 32 <= len(fake.done) <= 36
    assert "proven" in books.state_of(folder).stopped


def test_cycles_not_from_the_baseline_are_left_out(tmp_path: Path) -> None:
    text = PLAN + "[stop]\nobservations = 12\n"
    folder, fake = made(tmp_path, text, lambda _s, item, _a: "off" if item.index == 0 else "pass")
    assert Owner(folder, fake).run() == "inconclusive"
    state = books.state_of(folder)
    assert (state.occurrences.cycles, state.stations["a"].off_baseline) == (11, 1)


def test_a_budget_ends_the_station_not_the_soak_and_life_goes_over_soaks(tmp_path: Path) -> None:
    text = PLAN.replace('["a"]', '["a", "b"]').replace("segment = 4", "segment = 1")
    folder, fake = made(tmp_path, text + "[budgets]\nlife = { downloads = 15 }\n")
    assert Owner(folder, fake).run() == "pass"
    assert samples.life(folder, "89a") == {"downloads": 12}
    plan, runs = fake.plan, fake.runs
    second = books.create(runs, tmp_path / "plan.toml", plan, 4)
    again = FakeRuns(plan, second, runs)
    Owner(second, again).run()
    state = books.state_of(second)
    assert state.stations["a"].finished == 3
    assert "life-time budget" in state.stations["a"].ended
    assert samples.life(folder, "89a") == {"downloads": 15}


def test_activation_codes_are_used_once_over_crash_and_resume(tmp_path: Path) -> None:
    text = PLAN.replace("euicc-info", "euicc-download").replace(
        "[[recipes]]", '[codes]\nfile = "codes.txt"\n[[recipes]]'
    )
    (tmp_path / "codes.txt").write_text("".join(f"LPA:1$smdp.example$CODE{n}\n" for n in range(20)))
    folder, fake = made(tmp_path, text, lambda _s, item, attempt: "die" if (item.index, attempt) == (5, 1) else "pass")
    assert Owner(folder, fake).run() == "pass"
    assert len(fake.codes) == len(set(fake.codes)) == 13
    assert books.state_of(folder).codes == set(fake.codes)


def test_asked_to_finish_the_cycle_in_progress_is_the_last(tmp_path: Path) -> None:
    folder, fake = made(tmp_path)
    owner = Owner(folder, fake)
    fake.on_cycle = lambda index: owner.stop(1, "SIGINT") if index == 5 else None
    owner.run()
    assert [index for _, index, _, _ in fake.done] == list(range(6))
    assert not fake.stops
    again = FakeRuns(fake.plan, folder, fake.runs)
    assert Owner(folder, again).run() == "pass"
    assert [index for _, index, _, _ in again.done] == list(range(6, 12))


@pytest.mark.parametrize(("op", "level"), [("safe", 3), ("stop", 2)])
def test_a_run_that_somebody_else_ends_ends_the_soak(tmp_path: Path, op: str, level: int) -> None:
    """Its next cycle would switch on what a person has just made safe."""
    folder, fake = made(tmp_path, verdict=lambda _s, item, _a: f"{op} anna@lab" if item.index == 5 else "pass")
    assert Owner(folder, fake).run() == "aborted"
    assert [index for _, index, _, _ in fake.done] == list(range(6))
    assert not fake.stops, "a second request would take the teardown from the run that ends"
    state = books.state_of(folder)
    run = max(path.name for path in fake.runs.glob("2*"))
    assert state.stopped == f"stopped by anna@lab: {op} of run {run}"
    (control,) = (event["data"] for event in read(folder / books.BOOK) if event["type"] == "control")
    assert control["level"] == level
    again = FakeRuns(fake.plan, folder, fake.runs)
    assert Owner(folder, again).run() == "pass"
    assert [(index, attempt) for _, index, attempt, _ in again.done] == [
        (5, 2),
        *((index, 1) for index in range(6, 12)),
    ]


def test_what_ended_a_run_before_the_soak_was_resumed_does_not_end_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, fake = made(tmp_path, verdict=lambda _s, item, _a: "safe anna@lab" if item.index == 5 else "pass")
    Owner(folder, fake).run()
    lines = (folder / books.BOOK).read_bytes().splitlines(keepends=True)
    begun = max(index for index, line in enumerate(lines) if b'"segment-run"' in line)
    (folder / books.BOOK).write_bytes(b"".join(lines[: begun + 1]))  # its owner was killed, the run still ends
    monkeypatch.setattr("bench.soak.worker.liveness.alive", lambda _folder: True)
    again = FakeRuns(fake.plan, folder, fake.runs)
    assert Owner(folder, again).run() == "pass"
    assert [index for _, index, _, _ in again.done] == list(range(5, 12))


def test_asked_to_stop_before_it_has_begun_it_does_not_begin(tmp_path: Path) -> None:
    folder, fake = made(tmp_path)
    owner = Owner(folder, fake)
    asking = threading.Thread(target=owner.stop, args=(1, "SIGINT"))
    fake.on_cycle = lambda _index: asking.join(timeout=30)
    asking.start()
    owner.run()
    assert len(fake.done) <= 1
    assert books.state_of(folder).stopped
    assert len({books.places.read_json(run / "run.json")["label"] for run in fake.runs.glob("2*")}) == len(
        list(fake.runs.glob("2*"))
    )


def test_a_book_that_cannot_be_written_ends_the_soak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, fake = made(tmp_path)
    owner = Owner(folder, fake)
    full: list[bool] = []
    real = owner.book.journal.write

    def write(kind: str, data: Any, **more: Any) -> bool:
        return not full and real(kind, data, **more)

    monkeypatch.setattr(owner.book.journal, "write", write)
    fake.on_cycle = lambda index: full.append(True) if index == 4 else None
    owner.run()
    assert len(fake.done) <= 8
    # What the runs found is in their own journals: the next owner has it all, and does nothing twice.
    again = FakeRuns(fake.plan, folder, fake.runs)
    assert Owner(folder, again).run() == "pass"
    assert sorted(index for _, index, _, _ in (*fake.done, *again.done)) == list(range(12))


def test_a_folder_that_takes_no_word_of_a_stop_has_the_runs_torn_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that became read-only the run would not see that no further cycle may begin."""
    text = PLAN + "[stop]\nconsecutive_failures = 2\n"
    folder, fake = made(tmp_path, text, lambda _s, item, _a: "fail the card is mute" if item.index >= 1 else "pass")

    def refused(*_arguments: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(books, "request_stop", refused)
    assert Owner(folder, fake).run() == "fail"
    (run,) = fake.runs.glob("2*")
    assert fake.stops == [(run.name, False)]


def test_a_book_made_read_only_is_refused_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, fake = made(tmp_path, verdict=lambda _s, item, _a: "die" if item.index == 5 else "pass")
    Owner(folder, fake).run()
    known, real = (folder / books.BOOK).read_bytes(), os.open

    def read_only(path: Any, flags: int, *more: Any, **named: Any) -> int:  # root may write whatever its mode says
        if str(path) == str(folder / books.BOOK) and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(BenchError, match="cannot be written: Read-only file system") as told:
        soaks.resume(folder)
    assert told.value.where == str(folder / books.BOOK) and "writable" in told.value.hint
    assert (folder / books.BOOK).read_bytes() == known


@pytest.mark.parametrize("step", [3600, -3600])
def test_a_clock_stepped_by_an_hour_moves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Run folders sort by wall time; the deadline, the order of cycles and what is finished do not depend on it."""
    offset = 0
    real = time.time_ns

    class Stepped(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz) + datetime.timedelta(seconds=offset)

    stepped_module = SimpleNamespace(datetime=Stepped, UTC=datetime.UTC)
    monkeypatch.setattr(time, "time_ns", lambda: real() + offset * 1_000_000_000)
    monkeypatch.setattr("bench.soak.owner.datetime", stepped_module)
    monkeypatch.setattr("bench.soak.book.datetime", stepped_module)
    text = PLAN.replace("seed = 3", 'seed = 3\nduration = "30min"')
    folder, fake = made(tmp_path, text, lambda _s, item, attempt: "die" if (item.index, attempt) == (6, 1) else "pass")
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=30)
    about = {**books.places.read_json(folder / books.SOAK), "until": until.isoformat()}
    books.places.write_json(folder / books.SOAK, about)

    def stepped(index: int) -> None:
        nonlocal offset
        offset = step if index >= 5 else 0

    fake.on_cycle = stepped
    assert Owner(folder, fake).run() == "pass"
    assert not books.state_of(folder).stopped
    with Index(fake.runs) as index:
        index.update()
        assert [cycle.cycle for cycle in index.cycles()] == list(range(12))
    assert [index for _, index, _, _ in fake.done] == [*range(7), *range(6, 12)]
