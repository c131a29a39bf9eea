"""Recipes that live on the network emulator: attach-reject-sweep and poor-signal-download, each with what fails it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recipe_bench import Bench, Summary

from bench.errors import ConfigurationError
from fixtures.sim.emulator_subscribers import read
from recipes.attach_reject_sweep import chosen
from recipes.poor_signal_download import levels_of

pytestmark = pytest.mark.timeout(120)

STATIONS = """
[stations.callbox]
world = { service = "sim", network = "amarisoft" }
clock = "unix:$world.clock"
power = { driver = "keysight-e36300", resource = "$world.power.resource", voltage = 3.8, current_limit = 2.0, voltage_max = 4.3 }
modem = { driver = "at-modem", port = "$world.modem.port" }
network = { driver = "amarisoft", resource = "$world.network.resource", cells = [1, 2], options = { mme = "$world.network.mme" } }
card = { at = "modem" }
data = { path = "proxy:$world.data.proxy" }
expendable = true
"""  # noqa: E501


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield Bench(tmp_path_factory.mktemp("network"), STATIONS)


def result(run: Summary, name: str) -> Any:
    """The last value that a run recorded under a name."""
    lines = (Path(run.found["folder"]) / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return [e["data"]["value"] for e in events if e["type"] == "result" and e["data"]["name"] == name][-1]


def test_attach_rejects_as_a_table(bench: Bench) -> None:
    """Unprotected rejects on the home PLMN with a device of release 13 or later: cellular_model 2.1 to 2.5."""
    run = bench.run("attach-reject-sweep", "sim", sets=("causes=3,8,11,12,15,17,22,25,42,96",))
    assert run.verdict == "pass", run.errors
    rows = {row["cause"]: row for row in result(run, "causes")}
    assert list(rows) == [3, 8, 11, 12, 15, 17, 22, 25, 42, 96]
    for cause, row in rows.items():
        assert row["seen"] == ("searching" if cause == 25 else "rejected"), row
        assert row["reported"] == (None if cause == 25 else cause), row
        assert row["recovered_by"] and row["time_to_recover"] is not None
        assert row["forbidden"] == []  # the home PLMN is never written to EF_FPLMN
    # 22 without T3346 is as any other cause: T3411, five attempts, then T3402.
    for cause in (17, 22):
        assert rows[cause]["recovered_by"] in ("itself", "CFUN=4"), rows[cause]
    # Without integrity protection the USIM stays valid: forbidden tracking area until T3247 or switch-off (CFUN=0).
    for cause in (3, 8, 11, 12, 15):
        assert rows[cause]["recovered_by"] == "CFUN=0", rows[cause]
        assert rows[cause]["stat"] == 3
    assert rows[25]["recovered_by"] == "itself"


def test_every_cause_of_the_emulator_is_swept(bench: Bench) -> None:
    run = bench.run("attach-reject-sweep", "sim", sets=("watch=20", "recover_within=30"))
    assert run.verdict == "pass", run.errors
    rows = result(run, "causes")
    assert [row["cause"] for row in rows] == [2, 3, *range(5, 27), 35, 39, 40, 42, *range(95, 102), 111]
    assert all(row["recovered_by"] for row in rows)


def test_a_device_that_is_let_in_all_the_same_is_a_failure(bench: Bench) -> None:
    """The network forgets its reject after the first one, and accepts the next attempt (T3411, 10 s later)."""
    first_reject = {"at": "log", "what": "nas", "match": {"message": "attach_reject"}}
    world = (f"faults={json.dumps([{**first_reject, 'do': 'reject', 'cell': 1, 'cause': None}])}",)
    run = bench.run("attach-reject-sweep", "sim", sets=("causes=17", "watch=120"), world=world)
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("fail", "fail", "pass"), run.errors
    assert "cell 1: the device registered in spite of EMM cause 17" in run.errors
    (row,) = result(run, "causes")
    assert (row["seen"], row["recovered_by"], row["reported"]) == ("registered", "itself", 17)
    assert row["time_to_reject"] < 10


def test_a_device_that_never_comes_back_is_a_failure(bench: Bench) -> None:
    """The cell goes silent under the first cause and stays so."""
    world = (f"faults={json.dumps([{'at': 30, 'do': 'cell-off', 'cell': 1}])}",)
    run = bench.run("attach-reject-sweep", "sim", sets=("causes=17", "recover_within=20"), world=world)
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("fail", "fail", "pass"), run.errors
    assert "did not come back from EMM cause 17, not even after a power cycle" in run.errors


def test_an_emulator_that_cannot_reject_refuses_before_anything_is_switched(bench: Bench) -> None:
    run = bench.run("attach-reject-sweep", "callbox")
    assert run.verdict == "bench-error"
    assert "cannot reject an attach with a chosen cause" in run.errors
    assert list(run.steps) == ["prepare"]


def test_downloads_at_falling_rsrp(bench: Bench) -> None:
    run = bench.run("poor-signal-download", "sim", sets=("steps=-85,-105,-125", "attempts=2", "register_within=60"))
    assert run.verdict == "pass", run.errors
    rows = result(run, "steps")
    assert [(row["rsrp"], row["success_rate"]) for row in rows] == [(-85.0, 1.0), (-105.0, 1.0), (-125.0, 0.0)]
    for row in rows:
        assert row["measured"] == pytest.approx(row["rsrp"], abs=1.0)
        assert len(row["bytes"]) == 2 and len(row["times"]) == row["succeeded"]
    assert rows[0]["bytes"][0] > 5000
    assert len(rows[2]["reasons"]) == 2


def test_a_signal_that_must_do_and_does_not_is_a_failure(bench: Bench) -> None:
    run = bench.run(
        "poor-signal-download",
        "sim",
        sets=("steps=-125", "attempts=1", "must_work_to=-130", "register_within=60"),
    )
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("fail", "fail", "pass"), run.errors
    assert "success_rate is 0, below 1" in run.errors


@pytest.mark.parametrize("text", ["x", "3;8", "3,,8", "-3", "3.5"])
def test_lists_of_causes_that_are_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no list of EMM causes"):
        chosen(text, frozenset({3}))


def test_lists_of_causes_and_levels() -> None:
    assert chosen(" 8, 3,8 ", frozenset()) == [8, 3]
    assert chosen("", frozenset({11, 3})) == [3, 11]
    assert levels_of("-85, -95.5") == [-85.0, -95.5]
    with pytest.raises(ConfigurationError, match="no list of RSRP steps"):
        levels_of("85")


ONE = """
[stations.{name}]
world = {{ service = "sim", {world} }}
clock = "unix:$world.clock"
power = {{ driver = "keysight-e36300", resource = "$world.power.resource", voltage = 3.8, current_limit = 2.0, voltage_max = 4.3 }}
modem = {{ driver = "at-modem", port = "$world.modem.port" }}
network = {{ driver = "{driver}", resource = "$world.network.resource", cells = [1] }}
card = {{ at = "modem" }}
data = {{ path = "proxy:$world.data.proxy" }}
expendable = true
"""  # noqa: E501


@pytest.mark.parametrize(
    ("driver", "world"), [("rs-cmw500", "network_cells = 1"), ("anritsu-mt8821c", 'network = "mt8821c"')]
)
def test_an_emulator_of_one_cell_is_programmed_for_the_profile(driver: str, world: str, tmp_path: Path) -> None:
    """The main job: one key set at a time, re-programmed at the switch; nobody's keys are in the run folder."""
    one = Bench(tmp_path / "one", ONE.format(name="one", driver=driver, world=world))
    run = one.run("bootstrap-to-operational", "one")
    assert run.verdict == "pass", run.errors
    events = [json.loads(line) for line in run.journal.splitlines()]
    done = [event["data"] for event in events if event["type"] == "reprogramming"]
    assert [item["complete"] for item in done] == [True, True]
    assert "operational profile, IMSI 99970" in done[1]["what"]
    ends = {event["step"]: event["data"] for event in events if event["type"] == "step-end"}
    assert ends["switch"].get("uncharged", 0.0) == done[1]["elapsed"]
    keys = [read(name, home=one.home) for name in ("bootstrap", "operational")]
    for file in Path(run.found["folder"]).iterdir():
        held = file.read_bytes().lower() if file.is_file() else b""
        for subscriber in keys:
            for secret in (subscriber.key, subscriber.opc):
                assert secret not in held and secret.hex().encode() not in held.replace(b",", b""), file.name
