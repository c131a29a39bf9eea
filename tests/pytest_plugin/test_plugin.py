"""The pytest plugin in a pytest of its own: inert without its option, a station with it, safe when it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from engine.double import SupplyServer, supply, write_bench  # type: ignore[import-not-found]

TESTS = """
import pytest
from bench.errors import BenchError

def test_power(bench_power, bench_station):
    bench_power.set_output(True)
    assert bench_power.output() is True
    reading = bench_power.measure()
    assert reading.voltage > 3
    assert bench_station.measure("volts", reading.voltage, unit="V", lower=3.0) == "pass"
    assert bench_station.name == "lab"

def test_fails(bench_power):
    assert not bench_power.output()

def test_no_modem(bench_modem):
    raise AssertionError("there is none")

def test_errors_come_by_their_kind(bench_station):
    with pytest.raises(BenchError, match="not lent"):
        bench_station.power.get("_connection")
    with pytest.raises(BenchError, match="not lent"):
        bench_station.record.event("x", {})
    with pytest.raises(TypeError):
        bench_station.power.set_output()
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[tuple[Path, SupplyServer, dict[str, str]]]:
    """A project with a package ``fixtures`` of its own."""
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures" / "__init__.py").write_text("OWN = 1\n")
    (tmp_path / "test_own.py").write_text("import fixtures\n\ndef test_own():\n    assert fixtures.OWN == 1\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    tests = Path(__file__).parents[1]
    with supply() as server:
        write_bench(tmp_path, server.port)
        environment = {
            **os.environ,
            "BENCH_LOCKS": str(tmp_path / "locks"),
            "BENCH_HOME": str(tmp_path / "home"),
            "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}",
        }
        yield tmp_path, server, environment


INSTALLED = [entry.value for entry in entry_points(group="pytest11", name="esim-bench")]


def command(*arguments: str) -> list[str]:
    """Return pytest as a person calls it: the plugin comes by its entry point, by name only where it is not installed.

    Both at once would be one plugin under two names, which pytest refuses.
    """
    named = () if INSTALLED or "bench.pytest_plugin" in arguments else ("-p", "bench.pytest_plugin")
    return [sys.executable, "-m", "pytest", *named, "-p", "no:cacheprovider", *arguments]


def pytest_of(project: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=project, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def test_it_is_inert_until_asked_for(project: tuple[Path, SupplyServer, dict[str, str]]) -> None:
    folder, server, environment = project
    (folder / "test_bench.py").write_text(TESTS)
    done = pytest_of(folder, environment, "-rs", "test_own.py", "test_bench.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 4 skipped" in done.stdout
    assert "pytest --bench-station NAME" in done.stdout
    assert server.connections == 0
    assert not (folder / "home").exists()


def test_the_entry_point_is_the_plugin() -> None:
    if not INSTALLED:
        pytest.skip("the distribution esim-bench is not installed: its entry points are not there")
    assert INSTALLED == ["bench.pytest_plugin"]


def test_by_its_name_where_plugins_are_not_loaded_by_themselves(
    project: tuple[Path, SupplyServer, dict[str, str]],
) -> None:
    folder, _, environment = project
    (folder / "test_bench.py").write_text(TESTS)
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = pytest_of(folder, environment, "-p", "bench.pytest_plugin", "test_own.py", "test_bench.py")
    assert "1 passed, 4 skipped" in done.stdout, done.stdout + done.stderr


def test_it_imports_nothing_heavy() -> None:
    code = "import sys, pytest; old = set(sys.modules); import bench.pytest_plugin; print(*(set(sys.modules) - old))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    assert set(found) <= {"bench", "bench.pytest_plugin"}


def options(folder: Path) -> tuple[str, ...]:
    return ("-rs", "--bench-station", "lab", "--bench-no-servers", "--bench-config", str(folder / "bench.toml"))


def test_a_session_on_a_station(project: tuple[Path, SupplyServer, dict[str, str]]) -> None:
    folder, server, environment = project
    (folder / "test_bench.py").write_text(TESTS)
    done = pytest_of(folder, environment, *options(folder))
    assert "1 failed, 3 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "station lab has no modem" in done.stdout
    assert not server.on
    (run,) = (folder / "home" / "runs").glob("2*")
    result = json.loads((run / "result.json").read_text())
    steps = {step["path"]: step for step in result["steps"]}
    assert {name: step["verdict"] for name, step in steps.items() if name != "test_no_modem"} == {
        "test_power": "pass", "test_fails": "fail", "test_errors_come_by_their_kind": "pass",
    }  # fmt: skip
    assert steps["test_power"]["measurements"][0]["name"] == "volts"
    assert result["device"] == "fail"


def test_pytest_killed_the_station_is_made_safe(project: tuple[Path, SupplyServer, dict[str, str]]) -> None:
    folder, server, environment = project
    (folder / "test_bench.py").write_text(
        "import time\n\ndef test_long(bench_power):\n    bench_power.set_output(True)\n    time.sleep(100)\n"
    )
    with subprocess.Popen(command(*options(folder)), cwd=folder, env=environment, stdout=subprocess.DEVNULL) as pytest_:
        until = time.monotonic() + 60
        while not server.on and time.monotonic() < until:
            time.sleep(0.01)
        assert server.on
        pytest_.send_signal(signal.SIGKILL)
        until = time.monotonic() + 30
        while server.on and time.monotonic() < until:
            time.sleep(0.01)
        assert not server.on
