"""The main job in the JSON binding and with compact forms: options of the IPA in bench.toml, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench_cli import Cli

from bench.trace import reader

pytestmark = pytest.mark.timeout(180)


def esipa(summary: dict[str, Any]) -> list[tuple[int, bytes, str]]:
    """Return direction, body and comment of each ESipa message in the trace of a run."""
    trace = Path(summary["folder"]) / "trace.pcapng"
    return [
        (int(packet.direction or 0), packet.data, packet.comment)
        for packet in reader.read(trace)
        if packet.lane.partition(":")[0] == "esipa"
    ]


def measured(summary: dict[str, Any], name: str) -> float:
    lines = (Path(summary["folder"]) / "journal.jsonl").read_text().splitlines()
    found = [line["data"]["value"] for line in map(json.loads, lines) if line["type"] == "measurement"]
    named = [line["data"]["name"] for line in map(json.loads, lines) if line["type"] == "measurement"]
    return float(found[named.index(name)])


@pytest.mark.parametrize("options", ['binding = "json"', "compact = true", 'binding = "json", compact = true'])
def test_the_main_job(options: str, cli: Cli) -> None:
    (cli.folder / "bench.toml").write_text(f"[ipa]\noptions = {{ {options} }}\n")
    first, second = cli.job(), cli.job()
    for summary in (first, second):
        assert (summary["exit_code"], summary["verdict"]) == (0, "pass"), summary["errors"]
    told = esipa(second)
    assert all((body[:1] == b"{") == ("json" in options) for _, body, _ in told if body)
    comments = [comment for direction, _, comment in told if not direction]
    assert any(comment.startswith("AuthenticateClient request") for comment in comments)
    assert any("PIR installed" in comment for comment in comments)
    if "compact" in options:
        assert any("AuthenticateClient request: ok, compact" in comment for comment in comments)
        assert any("PIR installed, compact" in comment for comment in comments)
        assert measured(second, "esipa_bytes") < measured(first, "esipa_bytes") - 1000
