"""Locks between processes: who holds, how it is freed, and how it is passed on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import StationHeld
from bench.station import locks
from bench.station.locks import Owner, acquire, holder

HOLD = """
import sys
from bench.station.locks import Owner, acquire
lock = acquire(sys.argv[1], Owner("ann", "host", 4711, "run-7", "2026-01-01T00:00:00Z"))
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def another_process(what):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_held_station_is_refused_with_the_owners_name():
    with another_process("station a") as other:
        with pytest.raises(StationHeld, match="ann@host, process 4711, run run-7, since 2026-01-01"):
            acquire("station a", Owner.me())
        assert holder("station a").user == "ann"
        with acquire("station b", Owner.me()):
            pass
        other.kill()
        other.wait()
    with acquire("station a", Owner.me(run="mine")):
        assert holder("station a").run == "mine"
    assert holder("station a") is None


def test_a_lock_frozen_with_its_owner_stays_held():
    with another_process("station a") as other:
        os.kill(other.pid, signal.SIGSTOP)
        with pytest.raises(StationHeld):
            acquire("station a", Owner.me())
        os.kill(other.pid, signal.SIGCONT)


def test_looking_who_holds_never_gets_in_the_way_of_taking():
    looker = subprocess.Popen(
        [sys.executable, "-c", "import bench.station.locks as l\nprint('go', flush=True)\nwhile True: l.holder('x')"],
        stdout=subprocess.PIPE,
    )
    try:
        assert looker.stdout.readline()
        for _ in range(300):
            acquire("x", Owner.me()).release()
    finally:
        looker.kill()
        looker.wait()
        looker.stdout.close()


def test_the_folder_and_the_files_are_for_all_users(lock_folder):
    with acquire("instrument Keysight/E36312A/MY 1 channel 2", Owner.me()) as lock:
        assert stat.S_IMODE(lock_folder.stat().st_mode) == 0o1777
        assert stat.S_IMODE(lock.path.stat().st_mode) == 0o666
        assert lock.path.name.startswith("instrument_Keysight_E36312A_MY_1_channel_2-")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_can_take_what_the_first_left(lock_folder, tmp_path):
    acquire("shared", Owner.me()).release()
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o755)
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            with acquire("shared", Owner.me()):
                os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with acquire("shared", Owner.me()):
        pass


def test_a_link_in_the_lock_folder_is_not_followed(lock_folder, tmp_path):
    from bench.errors import BenchError

    with acquire("target", Owner.me()) as lock:
        path = lock.path
    path.unlink()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    with pytest.raises(BenchError, match="cannot be used"):
        acquire("target", Owner.me())
    assert victim.read_text() == "precious"


def test_a_folder_that_cannot_be_used_is_said(monkeypatch, tmp_path):
    from bench.errors import BenchError

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "file"))
    with pytest.raises(BenchError, match="no folder for locks"):
        acquire("x", Owner.me())


def test_a_passed_lock_is_free_only_when_both_have_let_go():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        first = [acquire("station a", Owner.me(run="r")), acquire("psu", Owner.me())]
        locks.send_locks(ours, first)
        second = locks.receive_locks(theirs)
        assert [lock.what for lock in second] == ["station a", "psu"]
        assert all(not os.get_inheritable(lock.fd) for lock in second)
        for lock in first:
            lock.release()
        assert holder("station a").run == "r"
        second[0].write_owner(Owner.me(run="s"))
        assert holder("station a").run == "s"
        with pytest.raises(StationHeld):
            acquire("station a", Owner.me())
        for lock in second:
            lock.release()
        acquire("station a", Owner.me()).release()
        ours.close()
        assert locks.receive_locks(theirs) == []


def test_a_lock_survives_the_process_that_took_it():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    code = """
import os, socket, sys
from bench.station import locks
connection = socket.socket(fileno=int(sys.argv[1]))
lock = locks.acquire("station a", locks.Owner("ann", "host", os.getpid(), "run-7", "now"))
locks.send_locks(connection, [lock])
os.kill(os.getpid(), 9)
"""
    with ours, theirs:
        done = subprocess.run(
            [sys.executable, "-c", code, str(theirs.fileno())], pass_fds=[theirs.fileno()], check=False
        )
        assert done.returncode == -signal.SIGKILL
        (lock,) = locks.receive_locks(ours)
        with pytest.raises(StationHeld, match="run-7"):
            acquire("station a", Owner.me())
        lock.release()
        acquire("station a", Owner.me()).release()


def test_messages_that_are_none_leave_nothing_open():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for data in (b"nonsense", b"[]", b'[{"what": 1}]', b"[1]"):
            socket.send_fds(ours, [data], [0])
            with pytest.raises(ValueError, match="no message with locks"):
                locks.receive_locks(theirs)
        assert len(list(Path("/proc/self/fd").iterdir())) == before
