"""direct-download and hybrid-consumer-euicc pass on the simulated stations, and fail with words where they must."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_bench import Bench

pytestmark = pytest.mark.timeout(120)
pcscd = pytest.mark.skipif(shutil.which("pcscd") is None, reason="pcscd is not installed: .ci/setup test")
CONSUMER = ("card_mode=consumer",)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield Bench(tmp_path_factory.mktemp("direct"))


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield Bench(tmp_path_factory.mktemp("consumer"), world=CONSUMER)


def fault(**what: object) -> tuple[str]:
    return (f"faults={json.dumps([what])}",)


@pytest.mark.parametrize("source", ["activation-code", "default-smdp"])
def test_direct_download(source: str, bench: Bench) -> None:
    run = bench.run("direct-download", "sim", sets=(f"source={source}",))
    assert run.verdict == "pass", run.errors
    assert set(run.steps) >= {"direct-download", "result-at-the-server", "switch", "known-everywhere"}
    measured = run.steps["direct-download"]["measurements"]
    polled = run.steps["direct-download/poll"]["measurements"]
    # The session went past the eIM: the package alone is longer than everything that it carried.
    assert measured["es9plus_bytes"] > 5000 > polled["esipa_bytes"]


@pcscd
def test_direct_download_with_the_card_at_a_switch(tmp_path: Path) -> None:
    run = Bench(tmp_path).run("direct-download", "sim-pcsc", sets=("enable=false",))
    assert run.verdict == "pass", run.errors
    assert "switch" not in run.steps


@pytest.mark.parametrize(
    ("world", "words"),
    [
        (
            fault(at=0, do="server-slow", name="smdpp.bench.example", delay=200.0),
            "ES9+.initiateAuthentication to smdpp.bench.example: no answer within 60 s",
        ),
        (("card_force=PrepareDownload=2",), "PrepareDownload: invalidSignature 2"),
        (("card_force=LoadBoundProfilePackage.loadProfileElements=12",), "loadProfileElements: installFailedDueToPE"),
    ],
    ids=["server-silent", "card-refuses", "installation-fails"],
)
def test_a_direct_download_that_fails_is_told(world: tuple[str, ...], words: str, bench: Bench) -> None:
    run = bench.run("direct-download", "sim", world=world)
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("fail", "fail", "pass"), run.errors
    assert words in run.errors, run.errors
    assert "order" in run.steps and "result-at-the-server" not in run.steps


HYBRID = {"replay", "switch", "identity", "signed-by-the-eUICC", "delete", "card-agrees", "forget"}


def test_a_consumer_card_under_the_eim(consumer: Bench) -> None:
    """Twice: the second run finds the association forgotten and the eIM's counter where it was."""
    for _ in range(2):
        run = consumer.run("hybrid-consumer-euicc", "sim")
        assert run.verdict == "pass", run.errors
        assert set(run.steps) >= HYBRID, list(run.steps)
        assert "refused: replayError" in run.journal


@pcscd
def test_a_consumer_card_at_a_switch(tmp_path: Path) -> None:
    run = Bench(tmp_path, world=CONSUMER).run("hybrid-consumer-euicc", "sim-pcsc")
    assert run.verdict == "pass", run.errors


def test_a_consumer_card_that_does_not_switch(consumer: Bench) -> None:
    run = consumer.run("hybrid-consumer-euicc", "sim", world=("card_force=EnableProfile=5",))
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("fail", "fail", "pass"), run.errors
    assert "the switch failed" in run.errors and "catBusy" in run.errors, run.errors


def test_an_iot_card_needs_no_emulation(bench: Bench) -> None:
    run = bench.run("hybrid-consumer-euicc", "sim")
    assert (run.verdict, run.found["device"]) == ("bench-error", "inconclusive"), run.errors
    assert "it needs no emulation" in run.errors
    assert not list((bench.home / "ipa").glob("*.emulated.json"))  # and none was begun
