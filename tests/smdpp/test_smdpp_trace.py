"""A download as the trace shows it: one-liners of real bodies, read clean by a foreign program."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import World
from smdpp_device import Device, Refused

from bench.trace import Direction, TraceWriter, read

ICCID = "8900101000000000027"


def test_the_trace_of_a_download(world: World, tmp_path: Path) -> None:
    path = tmp_path / "trace.pcapng"
    with TraceWriter.open(path, run_id="test") as writer:
        lane = writer.lane("es9plus")

        def call(function: str, body: dict[str, Any]) -> Any:
            lane.record(Direction.SENT, json.dumps(body).encode())
            answer = world.call(function, body)
            lane.record(Direction.RECEIVED, b"" if answer is None else json.dumps(answer).encode())
            return answer

        device = Device(world.pki, call)
        order = world.place()
        device.download(order.matching_id)
        device.notify(device.pir(ICCID, error=(5, 11)))
        device.download(order.matching_id)
        device.notify(device.pir(ICCID))
        device.notify(device.event(1, ICCID))
        device.initiate()
        with pytest.raises(Refused):
            device.authenticate("NO-SUCH-ID")
        device.cancel(127)
    told = [packet.comment for packet in read(path)]
    size = len(device.bpp)
    download = [
        "InitiateAuthentication request smdpp.bench.example",
        "InitiateAuthentication answer ok",
        "AuthenticateClient request ok",
        "AuthenticateClient answer ok",
        "GetBoundProfilePackage request ok",
        f"GetBoundProfilePackage answer ok, {size} bytes",
        None,
        "204 no content",
    ]
    failed = (
        f"HandleNotification request PIR failed {ICCID}: installFailedDueToInterruption(11) at loadProfileElements(5)"
    )
    assert told == [
        *(failed if line is None else line for line in download),
        *(f"HandleNotification request PIR installed {ICCID}" if line is None else line for line in download),
        f"HandleNotification request notification enable {ICCID} #3",
        "204 no content",
        *download[:3],
        "answer Failed 8.2.6/3.8 the matchingId is refused: no such order",
        "CancelSession request undefinedReason(127)",
        "answer ok",
    ]
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed (apt-get install tshark): one-liners checked, the file is not")
    done = subprocess.run(
        [program, "-r", str(path), "-T", "fields", "-e", "frame.comment", "-e", "_ws.malformed", "-e", "_ws.expert"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "alformed" not in done.stdout
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == told
