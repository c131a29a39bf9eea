"""``bench smdpp``: orders, activation codes and operators, with and without an SM-DP+ that runs already."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Bench

EID = "89049032123451234512345678901235"
FLEET = """
[profile]
iccid = "8900101000000500009"
imsi = "001010000000500"
type = "fleet"
k = "00112233445566778899aabbccddeeff"
opc = "ffeeddccbbaa99887766554433221100"
"""


@pytest.fixture
def running(bench: Bench) -> Iterator[Bench]:
    """The command line beside a ``bench smdpp serve`` on its home."""
    program = Path(sys.executable).with_name("bench")
    process = subprocess.Popen(
        [program, "smdpp", "serve", "--json"],
        env={**os.environ, "BENCH_HOME": str(bench.home), "BENCH_CONFIG": ""},
        cwd=bench.home.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        announced = json.loads(process.stdout.readline() or "{}")
        assert announced["es2plus"].startswith("https://127.0.0.1:")
        yield bench
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == 0
        assert list((bench.home / "smdpp" / "running").iterdir()) == []
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_life_of_an_order(running: Bench) -> None:
    code = running.home.parent / "code.txt"
    code.write_text("4711\n")
    options = ("--eid", EID, "--no-release", "--confirmation-code-file", str(code))
    placed = running.json("smdpp", "order", "operational", *options)
    assert placed["activation_code"] == f"LPA:1$smdpp.bench.example${placed['matching_id']}$$1"
    (listed,) = running.json("smdpp", "list", "--eid", EID)["orders"]
    assert (listed["state"], listed["matching_id"]) == ("confirmed", placed["matching_id"])
    assert running.json("smdpp", "list", "--state", "released")["orders"] == []
    assert running.call("smdpp", "release", placed["matching_id"]).output.strip() == placed["activation_code"]
    shown = running.json("smdpp", "show", str(placed["id"]))
    assert [item["state"] for item in shown["history"]] == ["confirmed", "released"]
    assert "4711" not in json.dumps(shown)
    text = running.call("smdpp", "show", placed["matching_id"]).output
    assert placed["activation_code"] in text
    assert "0 of 5" in text
    assert running.json("smdpp", "cancel", placed["matching_id"], "--available")["state"] == "available"
    assert running.call("smdpp", "release", placed["matching_id"]).exit_code != 0


def test_a_pool_of_codes(running: Bench) -> None:
    made = running.json("smdpp", "codes", "fill", "operational", "bootstrap", "--pool", "line")["codes"]
    first = running.json("smdpp", "codes", "take", "--pool", "line", "--by", "board 7")
    assert first["activation_code"] == made[0]["activation_code"]
    second = running.call("smdpp", "codes", "take", "--pool", "line")
    assert second.output.strip() == made[1]["activation_code"]
    assert running.call("smdpp", "codes", "take", "--pool", "line").exit_code != 0
    listed = running.json("smdpp", "codes", "--pool", "line")["codes"]
    assert [(code["status"], code["taken_by"]) for code in listed] == [("taken", "board 7"), ("taken", "")]
    assert "is free again" in running.call("smdpp", "codes", "return", second.output.strip()).output
    assert "board 7" in running.call("smdpp", "codes").output


def test_a_series_of_packages(running: Bench) -> None:
    description = running.home.parent / "fleet.toml"
    description.write_text(FLEET)
    assert len(running.json("smdpp", "codes", "series", str(description), "--count", "3")["files"]) == 3
    assert len(running.json("smdpp", "codes", "fill", "fleet")["codes"]) == 3
    assert "fleet-8900101000000500" in running.call("smdpp", "packages").output


def test_without_a_server_one_is_started_for_the_command(bench: Bench) -> None:
    placed = bench.json("smdpp", "order", "operational")
    assert placed["code"] == 0
    (listed,) = bench.json("smdpp", "list")["orders"]
    assert listed["id"] == placed["id"]
    assert list((bench.home / "smdpp" / "running").iterdir()) == []


def test_the_certificate_of_an_operator(bench: Bench) -> None:
    told = bench.json("smdpp", "operator")
    assert (told["name"], told["oid"]) == ("operator", "2.999.30")
    assert Path(told["key"]).stat().st_mode & 0o077 == 0
    again = bench.json("smdpp", "operator")
    assert Path(again["certificate"]).read_bytes() == Path(told["certificate"]).read_bytes()
    text = bench.call("smdpp", "operator", "acme", "--oid", "2.999.31").output
    assert '[operators.acme]\ncertificate = "2.999.31"' in text
    assert bench.call("smdpp", "operator", "../x").exit_code != 0


def test_an_sm_dp_elsewhere(running: Bench) -> None:
    announced = json.loads(next((running.home / "smdpp" / "running").iterdir()).read_text())
    elsewhere = ("smdpp", "--url", announced["admin"], "--token-file", announced["token_file"])
    assert running.call(*elsewhere, "progress").output.split() == ["at", "operator", "order", "point", "delivery"]
    assert running.call("smdpp", "--url", announced["admin"], "list").exit_code != 0
    wrong = running.home.parent / "wrong"
    wrong.write_text("x" * 32)
    assert running.call("smdpp", "--url", announced["admin"], "--token-file", str(wrong), "list").exit_code != 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("order", "operationl"), "no profile package"),
        (("order", "operational", "--eid", "1"), "is no EID"),
        (("show", "9"), "no order"),
    ],
)
def test_what_is_wrong_is_told(bench: Bench, arguments: tuple[str, ...], told: str) -> None:
    result = bench.call("smdpp", *arguments)
    assert result.exit_code != 0
    assert told in str(result.exception)
