"""What applications notice of a switch, and what a job costs: on the simulated radio, and when it misbehaves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recipe_bench import Bench, Summary

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield Bench(tmp_path_factory.mktemp("world"))


def measured(run: Any, step: str) -> dict[str, float]:
    return dict(run.steps[step]["measurements"])


def test_switch_during_data(bench: Bench) -> None:
    run = bench.run("switch-during-data", "sim", sets=("before=10", "after=10"))
    assert run.verdict == "pass", run.errors
    noticed = measured(run, "noticed")
    assert noticed["address_changed"] is True
    for name in ("udp", "tcp", "tunnel"):
        # away from the REFRESH to the new data connection, and not longer than the whole run waited
        assert 0.5 < noticed[f"{name}_outage"] < 60
        assert noticed[f"{name}_first_after"] - noticed[f"{name}_last_before"] == pytest.approx(
            noticed[f"{name}_outage"]
        )
        assert noticed[f"{name}_reopened"] >= 1  # the sockets went with the old network's bearer
        assert 1 <= noticed[f"{name}_lost"] < noticed[f"{name}_sent"]
    assert noticed["tunnel_handshakes"] == 0  # a new address alone needs none
    assert "the same keys after the switch" in run.journal
    assert measured(run, "name-server")["dns"] > 0
    assert set(measured(run, "recover")) == {"udp_recovery", "tcp_recovery", "tunnel_recovery"}


def after_switch(**what: object) -> tuple[str]:
    """A fault at the first ATTACH ACCEPT on the operational network: on a new card, the one after the switch."""
    entry = {"at": "log", "what": "nas", "match": {"message": "attach_accept", "apn": "internet"}, **what}
    return (f"faults={json.dumps([entry])}",)


def test_data_that_do_not_flow_after_the_switch_are_told(tmp_path: Path) -> None:
    run = Bench(tmp_path).run(
        "switch-during-data", "sim", sets=("before=5", "recover_within=30"),
        world=after_switch(do="datagram-lose", count=100000),
    )  # fmt: skip
    assert (run.verdict, run.found["device"]) == ("fail", "fail"), run.errors
    assert "no answer over udp, tunnel within 30 s of the new data connection" in run.errors
    assert any(step.startswith("rollback") for step in run.steps)


def test_without_an_echo_server_nothing_is_measured(bench: Bench) -> None:
    run = bench.run("switch-during-data", "sim", sets=("before=5", "echo=nowhere.example:7"))
    assert (run.verdict, run.found["device"]) == ("bench-error", "inconclusive"), run.errors
    assert "no udp answer before the switch" in run.errors
    assert "no route to nowhere.example:7" in run.errors
    assert "switch" not in run.steps


def test_an_outage_beyond_the_limit_fails(tmp_path: Path) -> None:
    run = Bench(tmp_path).run(
        "switch-during-data", "sim", sets=("before=5", "outage_limit=20", "after=90"),
        world=after_switch(do="cell-off", cell=2, seconds=40.0, delay=20.0),
    )  # fmt: skip
    assert (run.verdict, run.found["device"]) == ("fail", "fail"), run.errors
    assert "udp_outage is " in run.errors and "above 20 s" in run.errors


CHARGE_LIMIT = "charge_limit=4"


@pytest.fixture(scope="module")
def budget(bench: Bench) -> Summary:
    """A run within its budget."""
    run = bench.run("data-and-energy-budget", "sim", sets=("idle=120", CHARGE_LIMIT))
    assert run.verdict == "pass", run.errors
    return run


def test_data_and_energy_budget(budget: Summary) -> None:
    run = budget
    idle = measured(run, "idle")
    assert idle["mean_current"] == pytest.approx(3e-3, rel=0.05)  # i_drx of the modem
    assert idle["charge"] == pytest.approx(3e-3 * 120 / 3.6, rel=0.05)
    assert idle["sent"] == idle["received"] == 0
    download, empty = measured(run, "download"), measured(run, "empty-poll")
    polled = measured(run, "download/download/poll")
    assert download["sent"] + download["received"] > polled["esipa_bytes"]  # headers and TLS come on top
    assert download["sent"] + download["received"] < 2.5 * polled["esipa_bytes"] + 4000
    assert 0 < empty["sent"] + empty["received"] < download["sent"] + download["received"]
    total = measured(run, "total")
    phases = ["boot-and-register", "empty-poll", "download", "switch", "deliver-result"]
    assert total["charge"] == pytest.approx(sum(measured(run, phase)["charge"] for phase in phases), rel=1e-4)
    assert total["energy"] == pytest.approx(total["charge"] * 3.8, rel=0.05)
    boot = measured(run, "boot-and-register")
    assert 0.12 < boot["mean_current"] < 0.65
    rows = next(json.loads(line) for line in run.journal.splitlines() if '"budget"' in line)["data"]["value"]
    assert [row["phase"] for row in rows] == [*phases, "idle"]


def test_an_eim_that_answers_late_costs_the_budget(bench: Bench, budget: Summary) -> None:
    """The radio stays connected while the device waits: the same job, no more bytes, several times the charge."""
    late = json.dumps([{"at": 0, "do": "server-slow", "name": "eim.bench.example", "delay": 10.0}])
    sets = ("idle=1", "rest=0", CHARGE_LIMIT)
    run = bench.run("data-and-energy-budget", "sim", sets=sets, world=(f"faults={late}",))
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("fail", "fail", "pass"), run.errors
    assert re.search(r"total: charge is 1[0-9]\.[0-9]+ mAh, above 4 mAh", run.errors), run.errors
    assert measured(run, "total")["bytes"] < 1.05 * measured(budget, "total")["bytes"]
    assert measured(run, "empty-poll")["charge"] > 10 * measured(budget, "empty-poll")["charge"]
