"""The main job from the command line on the simulated bench, with real processes and real protocol bytes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bench_cli import BENCH, JOB, Cli

from tests.sim.kernel_queues import needs_tcp_diag

pytestmark = pytest.mark.timeout(180)

RUN_FILES = {"run.json", "journal.jsonl", "trace.pcapng", "result.json", "junit.xml", "recipe.py"}
STEPS = [
    "start-state", "power-cycle", "modem-ready", "register-bootstrap", "data-bootstrap", "order", "download", "switch",
    "register-operational", "identity", "data-operational", "https", "deliver-result", "known-everywhere",
]  # fmt: skip


def top_steps(summary: dict[str, Any]) -> list[str]:
    return [step["step"] for step in summary["steps"] if "/" not in step["step"]]


def test_it_passes_again_and_again_on_the_same_stores_and_keeps_the_record(shared: Cli) -> None:
    first = shared.job()
    assert (first["exit_code"], first["verdict"], first["simulated"]) == (0, "pass", True), first["errors"]
    assert top_steps(first) == STEPS
    second = shared.job()
    assert (second["exit_code"], second["verdict"]) == (0, "pass"), second["errors"]
    # The second run found the operational profile enabled and went back by the protocol.
    assert "start-state/switch-back" in [step["step"] for step in second["steps"]]
    assert "start-state/delete" in [step["step"] for step in second["steps"]]
    folder = Path(second["folder"])
    assert {path.name for path in folder.iterdir()} >= RUN_FILES
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["seed"] == 7
    assert manifest["station"]["name"] == "sim" if isinstance(manifest["station"], dict) else True
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(lines[0]["seq"], lines[0]["seq"] + len(lines)))
    assert lines[-1]["type"] == "run-end"
    names = {line["data"]["name"] for line in lines if line["type"] == "measurement"}
    assert names >= {"time_to_dead", "boot_time", "time_to_register", "provisioning_apdus", "esipa_bytes", "rsrp"}
    shown = shared("show", "last")
    assert shown.code == 0
    for step in STEPS:
        assert re.search(rf"{step}\s+[\d.]+ (ms|s|min)", shown.out), step


def test_no_key_of_a_profile_is_in_any_record(shared: Cli) -> None:
    from fixtures.profiles import find

    summary = shared.job()
    keys = []
    for package in (shared.home / "profiles").glob("*.der"):
        subscription = find(package.read_bytes())
        keys += [key for key in (subscription.k, subscription.opc) if key]
    assert len(keys) == 4
    for path in [*Path(summary["folder"]).iterdir(), *(shared.home / "sim" / "sim").glob("*.jsonl")]:
        content = path.read_bytes()
        for key in keys:
            assert key not in content, path
            assert key.hex().encode() not in content.lower(), path


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed: .ci/setup test")
def test_wireshark_reads_the_trace(shared: Cli) -> None:
    summary = shared.job()
    trace = Path(summary["folder"]) / "trace.pcapng"
    fields = ["-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment", "-e", "_ws.malformed"]
    done = subprocess.run(["tshark", "-r", str(trace), *fields], capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) > 500
    assert {row[0].partition(":")[0] for row in rows} >= {"apdu", "at", "scpi", "esipa", "es9plus", "steps"}
    assert [row for row in rows if not row[1]] == []
    assert [row for row in rows if len(row) > 2 and row[2]] == []
    text = subprocess.run(["tshark", "-r", str(trace)], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "Malformed" not in text
    comments = {row[1] for row in rows}
    for function in ("GetEimPackage", "InitiateAuthentication", "LoadEuiccPackage", "AuthenticateServer"):
        assert any(function.lower() in comment.lower() for comment in comments), function


def test_an_eim_with_another_key_is_refused_by_the_card_and_the_run_says_so(cli: Cli) -> None:
    from fixtures.pki import Pki

    assert cli.job()["exit_code"] == 0
    Pki.open(cli.home).renew("eim")
    failed = cli.job()
    assert (failed["exit_code"], failed["device"], failed["bench"]) == (1, "fail", "pass")
    assert "unsigned error" in " ".join(failed["errors"])


REFUSED = '''
from dataclasses import replace
from bench.engine.recipe import Station, recipe
from recipes.bootstrap_to_operational import bootstrap_to_operational


class WrongId:
    """The SM-DP+, but its orders get a matching id that it does not know."""

    def __init__(self, real):
        self.real = real

    async def order(self, profile, *, eid=""):
        order = await self.real.order(profile, eid=eid)
        wrong = "NOT-KNOWN-HERE"
        code = order.activation_code.replace(order.matching_id, wrong)
        return replace(order, matching_id=wrong, activation_code=code)

    async def state(self, matching_id):
        return await self.real.state(matching_id)


@recipe(title="Refused", needs=bootstrap_to_operational.needs, effects=bootstrap_to_operational.effects)
async def refused(station: Station) -> None:
    """The main job with a matching id that the SM-DP+ refuses."""
    station.provide("smdpp", WrongId(station.smdpp))
    await bootstrap_to_operational(station, register_within=300.0)
'''


def test_a_refused_matching_id_is_shown_with_subject_and_reason(cli: Cli) -> None:
    (cli.folder / "refused.py").write_text(REFUSED)
    answer = cli("run", "refused.py", "--json", "--seed", "7")
    summary = answer.json
    assert (answer.code, summary["device"], summary["bench"]) == (1, "fail", "pass"), summary["errors"]
    text = " ".join(summary["errors"])
    assert "8.2.6" in text and "3.8" in text, text


@pytest.mark.parametrize("n", [3, 150, 190])
def test_after_a_power_cut_the_same_recipe_passes_on_the_same_stores(shared: Cli, n: int) -> None:
    fault = {"at": "apdu", "n": n, "do": "power-cut", "seconds": 2.0}
    shared.job("--world", f"faults={json.dumps([fault])}")
    after = shared.job()
    assert (after["exit_code"], after["verdict"]) == (0, "pass"), (n, after["errors"])


@needs_tcp_diag
def test_the_same_seed_takes_the_same_station_time_however_busy_the_host(tmp_path: Path) -> None:
    """All processes of a run on one processor, and another that never lets go of it."""
    taken = []
    all_of_them = os.sched_getaffinity(0)
    for name in ("quiet", "busy"):
        neighbours = []
        try:
            if name != "quiet":
                os.sched_setaffinity(0, {min(all_of_them)})
                neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"])]
            found = Cli(tmp_path / name, tmp_path).job()
        finally:
            os.sched_setaffinity(0, all_of_them)
            for neighbour in neighbours:
                neighbour.kill()
                neighbour.wait()
        assert found["verdict"] == "pass", found["errors"]
        taken.append(json.loads((Path(found["folder"]) / "result.json").read_text())["duration"])
    # Signatures are some bytes shorter or longer, by their leading zeros: a millisecond of air.
    assert max(taken) - min(taken) < 0.05, taken


def test_a_held_station_is_refused_with_the_owners_name(cli: Cli) -> None:
    started = cli("run", JOB, "--detach", "--clock", "real")
    assert started.code == 0, started.err
    try:
        refused = cli("run", JOB)
        assert refused.code == 3
        assert "held by" in refused.err and Path(started.out.strip()).name in refused.err
    finally:
        assert cli("stop", "last").code == 0
    ended = cli("show", "last", "--json").json
    assert ended["exit_code"] == 130 and ended["verdict"] == "aborted"


def test_a_killed_front_leaves_the_run_going_and_show_follows_it(cli: Cli) -> None:
    front = subprocess.Popen(
        [*BENCH, "run", JOB, "--clock", "scaled:20", "--seed", "7"],
        cwd=cli.folder,
        env=cli.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert front.stdout is not None
    assert front.stdout.readline().startswith("run ")
    front.send_signal(signal.SIGHUP)
    assert front.wait(timeout=20) != 0
    front.stdout.close()
    shown = cli("show", "last", "--json").json
    assert (shown["exit_code"], shown["verdict"]) == (0, "pass"), shown["errors"]


def test_ctrl_c_ends_in_teardown_and_safe(cli: Cli) -> None:
    front = subprocess.Popen(
        [*BENCH, "run", JOB, "--clock", "real"],
        cwd=cli.folder,
        env=cli.environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert front.stdout is not None
    front.stdout.readline()
    deadline = time.monotonic() + 30
    world = cli.home / "sim" / "sim" / "world.jsonl"
    while not any(entry["on"] for entry in _switched(world)):
        assert time.monotonic() < deadline, "the output never came on"
        time.sleep(0.02)
    os.killpg(front.pid, signal.SIGINT)
    out, _ = front.communicate(timeout=30)
    assert front.returncode == 130
    assert "power.off verified" in out
    assert not _switched(world)[-1]["on"]


def _switched(world: Path) -> list[dict[str, Any]]:
    """Return what was switched at the supply so far, by the world's own log."""
    lines = world.read_text().splitlines() if world.exists() else []
    entries = [json.loads(line) for line in lines if line.endswith("}")]
    return [entry for entry in entries if entry["what"] == "output"]
