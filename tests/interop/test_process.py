"""``bench sim up`` as the process that other programs start: how it ends, and what it leaves."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from .foreign import PROGRAM, Bench, run


def gone(bench: Bench, deadline: float) -> bool:
    """Whether no process of the bench is left within ``deadline`` seconds."""
    limit = time.monotonic() + deadline
    while bench.processes():
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    bench = Bench(tmp_path / "bench")
    try:
        assert len(bench.processes()) == 3, "world, eIM, SM-DP+"
        bench.process.send_signal(number)
        assert bench.process.wait(15.0) == 0
        assert gone(bench, 5.0)
        assert not Path(bench.modem).exists(), "a port that nobody serves"
        assert not Path(bench.announcement["control"]).exists()
    finally:
        bench.kill()


def test_it_ends_without_a_word(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    assert bench.stop() == 0
    assert (bench.folder / "bench.log").read_text() == ""


def test_killed_it_leaves_nothing_running(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    try:
        bench.process.kill()
        bench.process.wait(5.0)
        assert gone(bench, 5.0), "the servers outlive the bench that started them"
    finally:
        bench.kill()


def test_two_benches_do_not_disturb_each_other(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other")
    try:
        assert other.power != bench.power and other.modem != bench.modem
        before = bench.state()["power"]
        host, port = other.power
        run("lxi", "scpi", "--raw", "-a", host, "-p", str(port), "OUTP ON,(@1);*OPC?")
        assert other.state()["power"]["on"] is True
        assert bench.state()["power"]["set_volts"] == before["set_volts"]
    finally:
        assert other.stop() == 0
    assert bench.state()["ok"]


def test_a_second_bench_on_the_same_home_is_refused(bench: Bench) -> None:
    done = run(
        *(PROGRAM, "sim", "up", "--json"),
        variables={"BENCH_HOME": str(bench.home)},
        ok=(2, 3),
        deadline=30.0,
    )
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr
    assert b"another simulated world runs on this station" in done.stderr
    assert bench.state()["ok"]
