"""``bench trace show``, ``decode`` and ``diff`` as a person calls them; live traces; a million packets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench.cli.main import bench
from bench.cli.trace_options import Selection, moment
from bench.trace import TraceWriter, blocks
from bench.trace.lane import Direction

BEGIN = 1_790_000_000_000_000_000
ISD_R = "A0000005591010FFFFFFFF8900000100"
EID = "89049032123451234512345678901235"
ROOT = Path(__file__).parents[2]


def step(path: str, **more: object) -> bytes:
    return json.dumps({"step": path, **more}).encode()


TOLD: list[tuple[str, str, bytes]] = [
    ("steps", ">", step("look", title="look")),
    ("at:modem", ">", b"AT+CEREG?\r"),
    ("at:modem", "<", b"\r\n+CEREG: 5,3,,,,0,15\r\n\r\nOK\r\n"),
    ("apdu:card", ">", bytes.fromhex("01A4040010" + ISD_R)),
    ("apdu:card", "<", bytes.fromhex("9000")),
    ("apdu:card", ">", bytes.fromhex("81E2910006BF3E035C015A")),
    ("apdu:card", "<", bytes.fromhex("6115")),
    ("apdu:card", ">", bytes.fromhex("01C0000015")),
    ("apdu:card", "<", bytes.fromhex(f"BF3E125A10{EID}9000")),
    ("steps", "<", step("look", verdict="pass", elapsed=1.0)),
    ("steps", ">", step("order/poll", title="poll")),
    ("esipa", ">", bytes.fromhex(f"BF4F125A10{EID}")),
    ("esipa", "<", bytes.fromhex("BF4F03020101")),
    ("steps", "<", step("order/poll", verdict="fail", elapsed=1.0)),
]


def record(path: Path, told: Sequence[tuple[str, str, bytes]] = TOLD) -> Path:
    with TraceWriter.open(path, run_id="test") as writer:
        for at, (lane, way, data) in enumerate(told):
            writer.lane(lane).record(Direction(way == "<"), data, time_ns=BEGIN + at * 500_000_000)
    return path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return record(tmp_path / "trace.pcapng")


def run(*arguments: object, code: int = 0) -> list[str]:
    result: Result = CliRunner().invoke(bench, ["trace", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output.splitlines()


def objects(*arguments: object, code: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(*arguments, "--json", code=code)]


def test_every_packet_has_a_line(trace: Path) -> None:
    lines = run("show", trace)
    assert len(lines) == len(TOLD)
    assert "+CEREG: 5,3,,,,0,15 | OK (denied, EMM 15 no suitable cells in tracking area)" in lines[2]
    assert lines[8].endswith(f"GetEID: {EID} - 9000 ok")
    assert lines[0].split()[:1] == ["1"]
    assert lines[13].split()[2] == "6.500000"


def test_filters_combine(trace: Path) -> None:
    assert len(run("show", trace, "--lane", "apdu")) == 6
    assert len(run("show", trace, "--lane", "at:modem", "--lane", "esipa")) == 4
    assert len(run("show", trace, "--step", "look")) == 10
    assert len(run("show", trace, "--step", "order")) == 4
    assert len(run("show", trace, "--step", "poll", "--lane", "esipa")) == 2
    assert len(run("show", trace, "--from", "1", "--to", "2.1")) == 3
    assert len(run("show", trace, "-n", "3")) == 3


def test_a_function_is_followed_over_all_its_packets(trace: Path) -> None:
    lines = run("show", trace, "--function", "geteid")
    assert [line.split()[0] for line in lines] == ["6", "7", "8", "9"]
    assert [line.split()[0] for line in run("show", trace, "-F", "GetEimP*")] == ["12", "13"]
    assert run("show", trace, "-F", "AT+CEREG?")[0].split()[0] == "2"


def test_exchanges_have_a_line_each(trace: Path) -> None:
    told = objects("show", trace, "-x")
    assert [(item["function"], item["result"], item["step"], item["packets"]) for item in told] == [
        ("AT+CEREG?", "OK", "look", 3),
        ("SELECT ISD-R", "9000 ok", "look", 2),
        ("GetEID", f"{EID} - 9000 ok", "look", 4),
        ("look", "pass", "look", 2),
        ("GetEimPackage", "noEimPackageAvailable(1)", "order/poll", 2),
        ("order/poll", "fail", "order/poll", 2),
    ]
    assert told[2]["duration"] == 1.5


def test_packets_as_json_say_function_step_and_bytes(trace: Path) -> None:
    told = objects("show", trace, "--lane", "apdu")
    assert told[2]["function"] == "GetEID"
    assert told[2]["step"] == "look"
    assert told[2]["data"] == "81e2910006bf3e035c015a"
    assert [item["direction"] for item in told[:2]] == ["sent", "received"]


def test_hex_shows_the_bytes(trace: Path) -> None:
    assert "bf4f 0302 0101" in run("show", trace, "--lane", "esipa", "--hex")[-1]


def test_text_of_a_device_cannot_move_the_cursor(tmp_path: Path) -> None:
    path = record(tmp_path / "t.pcapng", [("console:app", "<", b"boot\x1b[2Jgone\r\n")])
    assert "\x1b" not in "".join(run("show", path) + run("decode", path))


def test_a_moment_is_seconds_a_time_of_day_or_iso() -> None:
    import datetime

    assert moment("2.5", BEGIN) == BEGIN + 2_500_000_000
    local = datetime.datetime.fromtimestamp(BEGIN / 1e9)
    later = local + datetime.timedelta(seconds=61)
    assert abs(moment(f"{later:%H:%M:%S}", BEGIN) - BEGIN - 61_000_000_000) <= 1_000_000_000
    assert abs(moment(later.isoformat(), BEGIN) - BEGIN - 61_000_000_000) < 1_000_000
    result = CliRunner().invoke(bench, ["trace", "show", __file__, "--from", "soon"])
    assert result.exit_code != 0


def test_what_is_no_moment_is_said(trace: Path) -> None:
    assert any("is no moment" in line for line in run("show", trace, "--from", "soon", code=2))


def test_a_step_is_named_by_the_end_of_its_path() -> None:
    chosen = Selection(steps=("poll",))
    assert chosen.step("download/poll")
    assert chosen.step("other,download/poll/deep")
    assert not chosen.step("download")
    assert not chosen.step("")


# --- decode -----------------------------------------------------------------------------------------------------------


def test_decode_names_the_fields(trace: Path) -> None:
    text = "\n".join(run("decode", trace))
    assert "stateChangeCause" not in text
    assert f"eidValue: {EID}" in text
    assert "eimPackageError: noEimPackageAvailable(1)" in text
    assert "reject_cause: EMM 15 no suitable cells in tracking area" in text
    (made,) = objects("decode", trace, "--packet", "8")
    assert made["function"] == "GetEID"
    assert made["request"] == {"GetEID": {"tagList": "5A"}}
    assert made["answer"] == {"GetEID": {"eidValue": EID, "status": "9000 ok"}}


def test_decode_takes_a_message_in_hexadecimal() -> None:
    (made,) = objects("decode", "BF3103800102")
    assert made == {
        "reading": "ES10 answer",
        "fields": {"EnableProfile": {"enableResult": "profileNotInDisabledState(2)"}},
    }
    assert "REFRESH UICC reset" in "\n".join(run("decode", "D009810301010482028182"))


def test_decode_joins(trace: Path, tmp_path: Path) -> None:
    assert run("decode", trace, "--joined") == []
    package = (
        "bf517c3037800465696d315a10" + EID + "8101018208" + "0102030405060708"
        "a010a30e5a0a891010123456789012f105005f3740" + "11" * 64
    )
    size = f"{len(package) // 2:02x}"
    path = record(
        tmp_path / "p.pcapng",
        [
            ("esipa", ">", bytes.fromhex(f"BF4F125A10{EID}")),
            ("esipa", "<", bytes.fromhex("bf4f" + size + package)),
            ("apdu:card", ">", bytes.fromhex("80e29100" + size + package)),
            ("apdu:card", "<", bytes.fromhex("6985")),
        ],
    )
    (made,) = objects("decode", path, "--joined")
    assert made["title"] == "package eim1 #1"
    assert [row["function"] for row in made["exchanges"]] == ["GetEimPackage", "LoadEuiccPackage"]
    assert any("! LoadEuiccPackage: 6985" in line for line in run("decode", path, "-j"))


# --- diff -------------------------------------------------------------------------------------------------------------


def test_diff_says_the_first_divergence_first(trace: Path, tmp_path: Path) -> None:
    assert any("no divergence" in line for line in run("diff", trace, trace))
    other = [
        *TOLD[:8],
        ("apdu:card", "<", bytes.fromhex("6F00")),
        *TOLD[9:12],
        ("esipa", "<", bytes.fromhex("BF4F03020102")),
        TOLD[13],
    ]
    bad = record(tmp_path / "bad.pcapng", other)
    lines = run("diff", trace, bad, code=1)
    assert lines[2].startswith("FIRST DIVERGENCE: result, apdu:card GetEID: ends with")
    assert "6F00 technical problem in B" in lines[2]
    assert "packets 6 to 9" in lines[4]
    (made,) = objects("diff", trace, bad, code=1)
    assert [item["function"] for item in made["divergences"]] == ["GetEID", "GetEimPackage"]
    assert made["same"] is False


def test_a_trace_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(bench, ["trace", "diff", str(tmp_path / "no.pcapng"), str(tmp_path / "no.pcapng")])
    assert result.exit_code != 0


def test_help_has_an_example_and_imports_nothing() -> None:
    for name in ("show", "decode", "diff"):
        assert any("Example: bench trace" in line for line in run(name, "--help"))
    code = (
        "import sys; from bench.cli.main import main\n"
        "try: main(['trace', '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in sys.modules if m.startswith('bench.trace')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.rstrip().endswith("[]")


# --- live and large ---------------------------------------------------------------------------------------------------


def test_follow_shows_what_comes_and_ends_with_the_run(tmp_path: Path) -> None:
    """A run that lives is a lock that is held: the command ends when it is let go."""
    import fcntl

    from bench.run.liveness import alive

    lock = tmp_path / "run.lock"
    lock.touch()
    held = os.open(lock, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    path = record(tmp_path / "trace.pcapng", TOLD[:3])
    if not alive(tmp_path):
        os.close(held)
        pytest.fail("the lock does not tell a live run")
    command = [sys.executable, "-m", "bench.cli.main", "trace", "show", str(path), "-f"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    guard = threading.Timer(60, process.kill)
    guard.start()
    try:
        assert process.stdout is not None
        assert [process.stdout.readline().split()[0] for _ in range(3)] == ["1", "2", "3"]
        record(path, TOLD[3:5])
        assert process.stdout.readline().split()[0] == "4"
        assert process.stdout.readline().split()[0] == "5"
        os.close(held)
        assert process.stdout.read() == ""
        assert process.wait(30) == 0
    finally:
        guard.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("options", [(), ("-x",)])
def test_many_packets_take_little_memory(tmp_path: Path, options: tuple[str, ...]) -> None:
    """20 000 packets here; memory must not grow with the trace (a million take 28 MB)."""
    path = tmp_path / "long.pcapng"
    big_trace(path, 20_000)
    code = (
        "import re, sys\nfrom bench.cli.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "trace", "show", str(path), *options],
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    assert done.stdout.count("\n") == (20_000 if not options else 10_000)
    assert int(done.stderr.split()[-1]) < 60_000, "kB"


def big_trace(path: Path, packets: int) -> None:
    """Write a trace of APDUs and AT lines without going through the writer: a million take two seconds."""
    head = (
        blocks.section_header()
        + blocks.interface("apdu:card", link_type=252)
        + blocks.interface("at:modem", link_type=252)
    )
    told = (
        (0, 0, bytes.fromhex("80E2910003BF2E00")),
        (0, 1, bytes.fromhex("BF2E128010" + "11" * 16 + "9000")),
        (1, 0, b"AT+CEREG?\r"),
        (1, 1, b"\r\n+CEREG: 5,1\r\n\r\nOK\r\n"),
    )
    bodies = [(lane, blocks.exported_pdu_header("data", direction=way) + data) for lane, way, data in told]
    with path.open("wb") as stream:
        stream.write(head)
        for at in range(packets):
            lane, data = bodies[at & 3]
            moment = BEGIN + at * 1_000_000
            fixed = b"".join(
                number.to_bytes(4, "little")
                for number in (lane, moment >> 32, moment & 0xFFFFFFFF, len(data), len(data))
            )
            stream.write(blocks.block(blocks.ENHANCED_PACKET, fixed + data + blocks.PADDING[-len(data) & 3]))
