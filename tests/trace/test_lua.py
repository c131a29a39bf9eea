"""The generated Lua dissector, by its effect in tshark: names, results and identifiers as the bench decodes them."""

from __future__ import annotations

import importlib.util
import random
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from bench.cli.main import bench
from bench.rsp import names
from bench.trace import Direction, TraceWriter, read
from bench.trace.export import export
from bench.trace.lua import dissector, functions, results

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
FIELDS = (
    "frame.number",
    "esim_es10.function",
    "esim_es10.kind",
    "esim_es10.result",
    "esim_es10.iccid",
    "esim_es10.eid",
)


def _recorded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recorded_for_lua", Path(__file__).with_name("card_recorded.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


recorded = _recorded()


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed (apt-get install tshark): the dissector is not run")
    path = tmp_path_factory.mktemp("lua") / "esim_es10.lua"
    done = CliRunner().invoke(bench, ["trace", "lua", "-o", str(path)], catch_exceptions=False)
    assert done.exit_code == 0 and path.read_text() == dissector()
    return path


def dissect(script: Path, trace: Path, *options: str, fields: tuple[str, ...] = FIELDS) -> list[list[str]]:
    command = ["tshark", "-X", f"lua_script:{script}", "-r", str(trace), *options, "-T", "fields", "-E", "separator=|"]
    done = subprocess.run(
        [*command, "-E", "aggregator=;", *(word for field in fields for word in ("-e", field))],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "lua" not in done.stderr.lower(), done.stderr  # what Lua refuses is no return code
    return [line.split("|") for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trace")
    changing = ["bf3111a00c5a0a980001010000000010f98101ff", "bf3003800163", "bf5a03800100"]
    path: Path = recorded.record(folder / "t.pcapng", recorded.card(folder), [*recorded.READING, *changing], segment=9)
    with TraceWriter.open(path, run_id="r") as writer:
        esipa = writer.lane("esipa")
        esipa.record(SENT, bytes.fromhex("bf4f125a10" + recorded.EID))
        esipa.record(RECEIVED, bytes.fromhex("bf4f03020101"))
        esipa.record(RECEIVED, b'{"eidValue": "x"}')
        card = writer.lane("apdu:card")  # an eUICC package result in two parts
        whole = bytes.fromhex("bf510fa00d300b8101018301303003830100")
        card.record(SENT, bytes.fromhex("81e2910004bf510100"))
        card.record(RECEIVED, bytes.fromhex("610a"))
        card.record(SENT, bytes.fromhex("01c000000a"))
        card.record(RECEIVED, whole[:10] + b"\x61\x08")
        card.record(SENT, bytes.fromhex("01c0000008"))
        card.record(RECEIVED, whole[10:] + b"\x90\x00")
    return path


def test_functions_and_results_of_a_session(script: Path, trace: Path) -> None:
    found = dissect(script, trace, "-Y", "esim_es10")
    told = [(row[1], row[2]) for row in found]
    for tag in (int(request[:4], 16) for request in recorded.READING):
        assert (names.function(tag), "request") in told and (names.function(tag), "response") in told
    enable = next(row for row in found if row[1:3] == ["ImmediateEnable", "response"])
    assert enable[3] == "immediateEnableNotAvailable(1)"
    removed = next(row for row in found if row[1:3] == ["RemoveNotificationFromList", "response"])
    assert removed[3] == f"{names.result('RemoveNotificationFromList', 1)}(1)"
    assert [row[5] for row in found if row[1:3] == ["GetEID", "response"]] == [recorded.EID]
    assert next(row for row in found if row[1:3] == ["EnableProfile", "request"])[4] == "8900101000000000019"
    assert [row[1:4] for row in found if row[1] == "GetEimPackage"] == [
        ["GetEimPackage", "request", ""],
        ["GetEimPackage", "response", "noEimPackageAvailable(1)"],
    ]
    package = [row for row in found if row[1] == "LoadEuiccPackage"]
    assert package[-1][2] == "response" and package[-1][3].startswith("enable ok"), package


def test_it_can_be_filtered_and_breaks_nothing(script: Path, trace: Path) -> None:
    found = dissect(script, trace, "-Y", 'esim_es10.function == "GetEID" && esim_es10.kind == "response"')
    assert len(found) == 1
    rows = dissect(script, trace, fields=("_ws.malformed", "_ws.lua.error", "_ws.expert.message"))
    assert all(row[:2] == ["", ""] for row in rows)
    once, twice = dissect(script, trace), dissect(script, trace, "-2")
    assert once == twice  # frames are dissected more than once in Wireshark


def test_the_same_on_gsmtap(script: Path, trace: Path, tmp_path: Path) -> None:
    export(read(trace), tmp_path / "o.pcap")
    lanes = [row[1:] for row in dissect(script, trace, "-Y", 'esim_es10 && frame.interface_name == "apdu:card"')]
    old = [row[1:] for row in dissect(script, tmp_path / "o.pcap", "-Y", "esim_es10")]
    answers = [row for row in lanes if row[1] == "response"]
    assert [row for row in old if row[1] == "response"] == answers


def test_any_bytes_do_no_harm(script: Path, tmp_path: Path) -> None:
    source = random.Random(1)
    path = tmp_path / "any.pcapng"
    with TraceWriter.open(path, run_id="r") as writer:
        card, esipa = writer.lane("apdu:c"), writer.lane("esipa")
        for _ in range(400):
            head = bytes(
                (source.choice([0x80, 0x81, 0xC1]), source.choice([0xE2, 0xC0, 0xA4]), 0x91, source.choice([0, 1]))
            )
            body = source.choice([b"\xbf\x2d", b"\xbf\x51", b"\xbf"]) + source.randbytes(source.randrange(30))
            card.record(SENT, (head + bytes((len(body),)) + body)[: source.choice([99, 99, 6, 4, 1])])
            card.record(RECEIVED, body + source.choice([b"\x90\x00", b"\x61\x10", b""]))
            esipa.record(source.choice([SENT, RECEIVED]), body)
    rows = dissect(script, path, fields=("frame.number", "_ws.malformed", "_ws.lua.error"))
    assert len(rows) == 1200
    assert all(row[1:] == ["", ""] for row in rows)


def test_the_tables_are_the_benchs_own() -> None:
    assert functions()[0xBF3E] == "GetEID" and len(functions()) > 40
    assert results(0xBF31)[0x80][0] == "ok"
    text = dissector()
    for tag, name in functions().items():
        assert f'[0x{tag:X}] = "{name}"' in text
    assert "@" not in text.replace("@", "", 0).partition("local es10")[0]
