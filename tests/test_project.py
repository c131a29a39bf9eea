"""The rules of the house that no single room can test: types, style, import contracts, what is imported when."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [["mypy"], ["ruff", "check", "."], ["ruff", "format", "--check", "."], ["lint-imports"]],
    ids=["mypy --strict", "ruff check", "ruff format", "import contracts"],
)
@pytest.mark.timeout(600)
def test_rules(command: list[str]) -> None:
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=590, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def test_the_command_line_imports_nothing_heavy() -> None:
    loaded = modules_after("from bench.cli.main import bench; bench.main(['--help'], standalone_mode=False)")
    heavy = {"textual", "asyncio", "aiohttp", "cryptography", "asn1tools", "pyvisa", "pydantic", "serial"}
    assert not heavy & loaded


def test_the_fixture_and_recipe_packages_are_ours() -> None:
    import fixtures
    import recipes

    assert Path(fixtures.__path__[0]).parent == Path(recipes.__path__[0]).parent == ROOT


def test_every_room_says_what_belongs_there() -> None:
    rooms = [p for name in ("bench", "instruments", "fixtures", "recipes") for p in (ROOT / name).rglob("__init__.py")]
    assert rooms
    assert [str(p) for p in rooms if not p.read_text().startswith('"""')] == []


def test_every_recipe_and_driver_entry_point_loads() -> None:
    from importlib.metadata import entry_points

    names = set()
    for group in ("bench.recipes", "bench.drivers", "bench.services"):
        for entry in entry_points(group=group):
            assert entry.load() is not None
            names.add(entry.name)
    assert {"bootstrap-to-operational", "sim", "eim", "smdpp", "ipa"} <= names
