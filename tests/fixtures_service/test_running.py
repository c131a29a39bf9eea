"""Which services run on a home: announcements of the living are found, those of the dead go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.run.liveness import start_time
from fixtures.service import running


def test_an_announcement_lives_as_long_as_its_block(tmp_path: Path) -> None:
    folder = tmp_path / "running"
    assert running.found(folder) == []
    with running.announced(folder, {"https": "https://127.0.0.1:1"}):
        (found,) = running.found(folder)
        assert (found["https"], found["pid"]) == ("https://127.0.0.1:1", os.getpid())
    assert running.found(folder) == []
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b'{"pid": "x", "started": 1}', b'{"started": 1}'])
def test_what_is_no_announcement_goes(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "7.json").write_bytes(left)
    assert running.found(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_has_ended_or_another_with_its_number_is_not_found(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = start_time(process.pid)
        path = tmp_path / f"{process.pid}.json"
        path.write_text(json.dumps({"pid": process.pid, "started": started}))
        assert len(running.found(tmp_path)) == 1
        path.write_text(json.dumps({"pid": process.pid, "started": started - 1}))
        assert running.found(tmp_path) == []
        path.write_text(json.dumps({"pid": process.pid, "started": started}))
        process.communicate(b"\n", timeout=20)
    assert running.found(tmp_path) == []
    assert not path.exists()
