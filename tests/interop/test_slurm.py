"""Soaks as jobs of Debian's Slurm on loopback: daemons killed, a job requeued, one cancelled; a shared emulator."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from engine.double import SupplyServer, supply  # type: ignore[import-not-found]

from bench.client import slurm
from bench.client import soak as soaks
from bench.errors import ConfigurationError
from bench.run import liveness
from bench.run.reader import read
from bench.soak import book
from bench.station import config as configuration

from .foreign import need

TESTS = Path(__file__).parents[1]
PLAN = """
title = "{title}"
stations = ["a", "b"]
cycles = {cycles}
segment = 5
seed = 5
[baseline]
check = ""
[[recipes]]
recipe = "{recipe}:stepwise"
parameters = {{ hold = 0.05, gate = "{gate}" }}
"""
STATION = """
[instruments.psu{name}]
driver = "engine.double:Supply"
resource = "127.0.0.1:{port}"
[stations.{name}]
safe = ["power.off"]
power = {{ instrument = "psu{name}", channel = 1, voltage = 3.8, voltage_max = 4.3, current_limit = 1.0 }}
network = {{ instrument = "cmw" }}
"""
SLURM = """
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=100000,bf_interval=1
KillWait=20
ReturnToService=2
GresTypes=station
Licenses=cmw:1
NodeName=bench NodeHostname={host} NodeAddr=127.0.0.1 CPUs=8 Gres=station:a:1,station:b:1 State=UNKNOWN
PartitionName=bench Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
WITHIN = 30.0


def until(what: str, fits: Callable[[], bool], within: float = WITHIN) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + within
    while not fits():
        assert time.monotonic() < end, f"{what} has not come within {within:g} s"
        time.sleep(0.05)


def free_ports() -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


class Cluster:
    """munged, slurmctld and slurmd of this test alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("state", "spool"):
            (folder / name).mkdir()
        host = socket.gethostname().partition(".")[0]
        text = SLURM.format(host=host, user=getpass.getuser(), ports=free_ports(), folder=folder)
        (folder / "slurm.conf").write_text(text)
        (folder / "gres.conf").write_text("Name=station Type=a Count=1\nName=station Type=b Count=1\n")
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self.started: list[Path] = []

    def munge(self) -> None:
        f = self.folder
        options = [f"--key-file={f}/munge.key", f"--socket={f}/munge.socket", f"--pid-file={f}/munged.pid"]
        options += [f"--log-file={f}/munged.log", f"--seed-file={f}/munge.seed", "--force"]
        self.started.append(f / "munged.pid")
        subprocess.run(["munged", *options], check=True, timeout=30, stderr=subprocess.DEVNULL)

    def start(self, daemon: str) -> None:
        """Start slurmctld or slurmd, which goes on with what its state says."""
        self.started.append(self.folder / f"{daemon}.pid")
        more = ["-N", "bench"] if daemon == "slurmd" else []
        subprocess.run([daemon, "-f", str(self.folder / "slurm.conf"), *more], check=True, timeout=30)
        until(f"{daemon}.pid", (self.folder / f"{daemon}.pid").exists)

    def ready(self) -> bool:
        """Whether controller and node answer each other."""
        with contextlib.suppress(subprocess.CalledProcessError):
            return self.ask("sinfo", "-h", "-o", "%T") in ("idle", "mixed", "allocated")
        return False

    def registered(self) -> str:
        """Since when the controller knows the slurmd that is there, to a second; before, the state file speaks."""
        with contextlib.suppress(subprocess.CalledProcessError):
            for line in self.ask("scontrol", "show", "node", "bench").split():
                if line.startswith("SlurmdStartTime="):
                    return line
        return ""

    def written(self, job: str) -> None:
        """Wait until the controller has written its state, seconds after a change: kill -9 takes what it has not."""
        changed = time.time()
        self.ask("scontrol", "update", f"JobId={job}", "Comment=written")
        kept = self.folder / "state" / "job_state"
        until("the controller's state", lambda: kept.exists() and kept.stat().st_mtime > changed)

    def done(self, *command: str) -> bool:
        """Whether a command is carried out now."""
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0

    def kill(self, daemon: str) -> None:
        pid = self.folder / f"{daemon}.pid"
        os.kill(int(pid.read_text()), signal.SIGKILL)
        pid.unlink()

    def ask(self, *command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()

    def state(self, job: str) -> str:
        """The state of a job; '' when it is known no more."""
        with contextlib.suppress(subprocess.CalledProcessError):
            return self.ask("squeue", "-h", "-t", "all", "-j", job, "-o", "%T")
        return ""

    def end(self) -> None:
        for pid in dict.fromkeys(reversed(self.started)):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(pid.read_text()), signal.SIGKILL)


class Lab:
    """Two stations with a supply each, and one emulator for both."""

    def __init__(self, folder: Path, cluster: Cluster, supplies: Mapping[str, SupplyServer]) -> None:
        self.folder, self.cluster, self.supplies = folder, cluster, supplies
        self.config = folder / "bench.toml"
        shared = '[instruments.cmw]\ndriver = "soak.emulator_double:Emulator"\nresource = "127.0.0.1:9"\n'
        stations = (STATION.format(name=name, port=server.port) for name, server in supplies.items())
        self.config.write_text(shared + "".join(stations))

    def submit(self, title: str, cycles: int) -> tuple[Path, dict[str, slurm.Job]]:
        gate = self.folder / f"gate-{title}"
        gate.mkdir()
        plan = self.folder / f"{title}.toml"
        recipe = TESTS / "soak" / "power_recipes.py"
        plan.write_text(PLAN.format(title=title, cycles=cycles, recipe=recipe, gate=gate))
        return gate, {job.station: job for job in slurm.submit(str(plan), config=self.config)}

    def on(self) -> set[str]:
        return {name for name, server in self.supplies.items() if server.on}


def end_all(home: Path, cluster: Cluster) -> None:
    """End what the jobs do, then the jobs: what keeps a job outlives the daemons."""
    cluster.done("scancel", "-u", getpass.getuser())
    for folder in (home / "soaks").glob("2*"):
        soaks.stop(folder, "at-once")
        until(f"the end of {folder.name}", lambda folder=folder: not liveness.alive(folder))  # type: ignore[misc]
    until("the end of the jobs", lambda: not cluster.ask("squeue", "-h"))  # else their keepers are left behind


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    for program in ("slurmctld", "slurmd", "sbatch", "munged"):
        need(program)
    folder = tmp_path / "slurm"
    folder.mkdir()
    cluster = Cluster(folder)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    try:
        cluster.munge()
        cluster.start("slurmctld")
        cluster.start("slurmd")
        until("the node", cluster.ready)
        with supply() as first, supply() as second:
            try:
                yield Lab(tmp_path, cluster, {"a": first, "b": second})
            finally:
                end_all(tmp_path, cluster)
    finally:
        cluster.end()


def finished(job: slurm.Job) -> int:
    return sum(state.finished for state in book.state_of(job.folder).stations.values())


def test_four_jobs_on_two_stations_with_one_emulator(lab: Lab) -> None:
    cluster = lab.cluster
    gate, first = lab.submit("first", 2)
    other_gate, second = lab.submit("second", 1)
    a, b = first["a"], first["b"]
    until("the first station", lambda: bool(lab.on()))
    assert lab.on() == {"a"}
    # The emulator is with the other station: one job is told to wait for it, who is behind that one for its turn.
    until("who waits for the emulator", lambda: "Licenses" in cluster.ask("squeue", "-h", "-t", "PENDING", "-o", "%r"))
    assert cluster.state(b.job) == "PENDING"
    # Both daemons killed: the soak goes on, and they find it again.
    cluster.written(b.job)
    before = cluster.registered()
    cluster.kill("slurmctld")
    cluster.kill("slurmd")
    (gate / "token").touch()
    until("a cycle without Slurm", lambda: finished(a) == 1)
    cluster.start("slurmctld")
    cluster.start("slurmd")
    until("slurmd to be known again", lambda: cluster.registered() not in ("", before))
    until("the job to be found", lambda: cluster.ready() and cluster.state(a.job) == "RUNNING")
    # Requeued in the middle of its second cycle: made safe, then gone on with at the step in progress. The turn of one
    # that is requeued is not the next: the second plan is held, or its job would wait for its token before that.
    cluster.ask("scontrol", "hold", *(job.job for job in second.values()))
    until("the second cycle", lambda: in_progress(a, "cycle-1/around/wait") and lab.on() == {"a"})
    until("the requeue", lambda: cluster.done("scontrol", "requeue", a.job))
    until("the output to go off", lambda: not lab.on())
    (gate / "open").touch()
    until("its end", lambda: finished(a) == 2 and not liveness.alive(a.folder))
    steps = [event["step"] for event in ends(a) if event["step"].startswith("cycle-1/")]
    assert steps == [
        f"cycle-1/{name}" for name in ("draw", "on", "attempt", "around/wait", "around/read", "around", "off")
    ]
    # The others, one at a time; the last is cancelled in its cycle.
    cluster.ask("scontrol", "release", *(job.job for job in second.values()))
    until("the other station's", lambda: finished(b) == 2)
    until("the second plan", lambda: bool(lab.on()))
    (done,) = (second[name] for name in lab.on())
    (cancelled,) = (job for job in second.values() if job is not done)
    (other_gate / "token").touch()
    until("its cycle", lambda: finished(done) == 1)
    until("the last job", lambda: lab.on() == {cancelled.station})
    cluster.ask("scancel", cancelled.job)
    until("the output to go off", lambda: not lab.on())
    until("its end", lambda: not liveness.alive(cancelled.folder))
    assert "SIGTERM" in book.state_of(cancelled.folder).stopped


def in_progress(job: slurm.Job, step: str) -> bool:
    """Whether a step has told that it works."""
    found = [event for run in runs_of(job) for event in read(run / "journal.jsonl")]
    return any(event["type"] == "note" and event["step"] == step for event in found)


def runs_of(job: slurm.Job) -> list[Path]:
    events = read(job.folder / book.BOOK)
    names = [str(event["data"]["run"]) for event in events if event["type"] == "segment-run"]
    return [job.folder.parent.parent / "runs" / name for name in names]


def ends(job: slurm.Job) -> list[Mapping[str, object]]:
    """The ends of all steps that ended by themselves."""
    found = [event for run in runs_of(job) for event in read(run / "journal.jsonl")]
    return [e for e in found if e["type"] == "step-end" and e["data"]["verdict"] != "aborted"]


def test_a_station_that_slurm_does_not_know_is_refused(lab: Lab) -> None:
    text = lab.config.read_text().replace("stations.b", "stations.c")
    lab.config.write_text(text)
    plan = lab.folder / "c.toml"
    gate = lab.folder
    plan.write_text(
        PLAN.format(title="c", cycles=1, recipe=TESTS / "soak" / "power_recipes.py", gate=gate).replace('"b"', '"c"')
    )
    with pytest.raises(ConfigurationError, match="GresTypes=station"):
        slurm.submit(str(plan), config=lab.config, stations=("c",))


def test_only_what_stations_share_is_a_licence(tmp_path: Path) -> None:
    text = "".join(STATION.format(name=name, port=9) for name in "ab")
    text += '[instruments.cmw]\ndriver = "soak.emulator_double:Emulator"\nresource = "127.0.0.1:9"\n'
    path = tmp_path / "bench.toml"
    path.write_text(text)
    assert slurm.licences(configuration.load(path), "a") == ["cmw"]
    path.write_text(
        text.replace("[stations.b]\n", "[stations.b]\n#").replace('network = { instrument = "cmw" }', "", 1)
    )
    assert slurm.licences(configuration.load(path), "a") == []
    told = slurm.arguments("title", "a", ["cmw"], tmp_path)
    assert {"--gres=station:a:1", "--licenses=cmw:1", "--requeue", "--signal=B:USR1@120"} <= set(told)


def test_the_owner_leaves_the_jobs_cgroup_where_systemd_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert slurm.escape() == []  # not in a job
    program = tmp_path / "systemd-run"
    program.write_text('#!/bin/sh\nexit "$FAKE_EXIT"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(Path, "is_dir", lambda _self: True)
    monkeypatch.setenv("FAKE_EXIT", "1")
    assert slurm.escape() == []
    monkeypatch.setenv("FAKE_EXIT", "0")
    assert slurm.escape()[0] == str(program) and "--scope" in slurm.escape()
