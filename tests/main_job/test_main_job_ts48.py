"""The main job with GSMA's test profiles (TS.48), which a lab gives to the bundled SM-DP+ as files of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bench_cli import Cli

pytestmark = pytest.mark.timeout(180)

PACKAGES = (
    "TS48V1-A-UNIQUE.der",
    "TS48V2-SAIP2-1-BERTLV-UNIQUE.der",
    "TS48V5-SAIP2-3-NOBERTLV-UNIQUE.der",
)


def ts48(name: str) -> Path:
    """A package by file name; the test is skipped where the folder is missing."""
    root = Path(os.environ.get("BENCH_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    path = root / "ts48" / name
    if not path.exists():
        pytest.skip(f"TS.48 samples are not there: set BENCH_SHARED_DATA to the folder that holds ts48/{name}")
    return path


@pytest.mark.parametrize("name", PACKAGES)
def test_download_through_the_eim_enable_and_register(shared: Cli, name: str) -> None:
    source = ts48(name)
    folder = shared.home / "smdpp" / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    stem = source.stem.lower()
    package = folder / f"{stem}.der"
    package.write_bytes(source.read_bytes())
    (folder / f"{stem}.toml").write_text('[profile]\nprovider = "GSMA"\nname = "TS.48"\n')
    summary = shared.job(
        "--world", f"subscriber={package}", "-s", f"profile={stem}", "-s", "operational_plmn=00101"
    )  # fmt: skip
    assert (summary["exit_code"], summary["verdict"]) == (0, "pass"), summary["errors"]
    record = Path(summary["folder"])
    journal = [json.loads(line) for line in (record / "journal.jsonl").read_text().splitlines()]
    text = json.dumps(journal)
    assert "IMSI 001010123456063" in text
    assert "TS.48 (disabled)" in text  # the metadata of the order
    # The key of the package (00 01 ... 0F) is in no record.
    for path in record.iterdir():
        content = path.read_bytes()
        assert bytes(range(16)) not in content, path
        assert bytes(range(16)).hex().encode() not in content.lower(), path
