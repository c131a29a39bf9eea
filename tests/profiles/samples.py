"""Packages that several tests use. TS.48 samples come from outside the repository and may be absent."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from fixtures.profiles import Parameters, build

K = bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc")
OPC = bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf")

BOOTSTRAP = Parameters(
    "8900101000000000019", "001010000000001", K, OPC, "BOOT", "bootstrap.iot", profile_type="bootstrap"
)
OPERATIONAL = Parameters("8900101000000000027", "001010000000002", K, OPC, "OPER", "internet")


@cache
def bootstrap() -> bytes:
    return build(BOOTSTRAP)


@cache
def operational() -> bytes:
    return build(OPERATIONAL)


def ts48(name: str) -> bytes:
    """A TS.48 package by file name; the test is skipped where the folder is missing."""
    root = Path(os.environ.get("BENCH_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    path = root / "ts48" / name
    if not path.exists():
        pytest.skip(f"TS.48 samples are not there: set BENCH_SHARED_DATA to the folder that holds ts48/{name}")
    return path.read_bytes()


TS48 = (
    "TS48V1-A-UNIQUE.der",
    "TS48V2-SAIP2-1-BERTLV-UNIQUE.der",
    "TS48V5-SAIP2-3-NOBERTLV-UNIQUE.der",
)
