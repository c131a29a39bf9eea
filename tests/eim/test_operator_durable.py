"""What was answered is on the disk: seen from outside, by the system calls of the process (strace)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures.pki import Pki

from .parties import EID, ICCID, Card, Package, down, get_package, provide
from .test_process import Running

SMALLEST = 100
"""Bytes of an answer at least: a close_notify or an acknowledgement is shorter."""


@contextmanager
def traced(running: Running, log: Path) -> Iterator[None]:
    """Write the process's syncs and what it sends to ``log``."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    calls = "trace=fdatasync,fsync,sendto,write,sendmsg"
    command = ["strace", "-f", "-y", "-e", calls, "-s", "24", "-o", str(log), "-p", str(running.process.pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    told = tracer.stderr.readline()
    if b"attached" not in told:
        tracer.communicate(timeout=10)
        pytest.skip(f"strace may not look at a process here: {told.decode().strip()}")
    try:
        yield
        # The process does nothing more before strace has written what it did: after this answer all of it is there.
        running.operator("GET", "/status")
    finally:
        tracer.terminate()
        tracer.communicate(timeout=10)


def order_of_calls(log: Path) -> list[str]:
    """Return ``sync`` of the store's log and ``answer``, what was sent on a socket, in the order they ended."""
    found = []
    for line in log.read_text().splitlines():
        if re.search(r"f(data)?sync\(\d+<[^>]*eim\.sqlite-wal>\)\s+= 0", line):
            found.append("sync")
            continue
        sent = re.search(r"(?:sendto|write|sendmsg)\(\d+<(?:socket|TCP).* = (\d+)$", line)
        if sent and int(sent.group(1)) >= SMALLEST and '"HTTP/1.1 200' not in line:  # that of /status
            found.append("answer")
    return found


def test_orders_packages_and_results_are_synced_before_the_answer(tmp_path: Path) -> None:
    running = Running(tmp_path / "home")
    pki = Pki.open(tmp_path / "home")
    card = Card(pki.euicc(EID), pki.eum)
    try:
        running.operator("PUT", f"/euiccs/{EID}")
        running.operator("POST", "/orders", {"eid": EID, "kind": "list"})
        running.esipa(provide(card.data(down(running.esipa(get_package()), "BF4F"))))  # the certificates are known now
        running.esipa(provide(card.result(Package.of(running.esipa(get_package())), "bf2d02a000")))

        def calls_of(name: str) -> list[str]:
            return order_of_calls(tmp_path / name)

        with traced(running, tmp_path / "order"):
            running.operator("POST", "/orders", {"eid": EID, "kind": "enable", "iccid": ICCID})
        assert calls_of("order")[-2:] == ["sync", "answer"], calls_of("order")
        # Over TLS the handshake was sent before; the package is the last that is.
        with traced(running, tmp_path / "poll"):
            answer = running.esipa(get_package())
        assert calls_of("poll")[-2:] == ["sync", "answer"], calls_of("poll")
        with traced(running, tmp_path / "result"):
            running.esipa(provide(card.result(Package.of(answer), "830100")))
        assert calls_of("result")[-2:] == ["sync", "answer"], calls_of("result")
    finally:
        running.stop()
