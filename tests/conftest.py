"""What all tests share: property tests draw the same examples every time, untimed; signals act as at a shell."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from sweeps import Sweep, sweep

pytest_plugins = ["coverage_table"]

settings.register_profile("bench", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bench")

# Under nohup, or in the background of a shell script, a test run inherits ignored signals and would hand them on to the
# programs whose answer to Ctrl-C and to a lost terminal it asks about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--whole",
        action="store_true",
        help="sweeps over every place (a power cut at each APDU of a flow) go to all of them, not to each fourth",
    )


@pytest.fixture(scope="session", autouse=True)
def _locks() -> Iterator[None]:
    """Lock files are never removed (two would hold one lock); those of the tests' many benches are not the host's."""
    if "BENCH_LOCKS" in os.environ:
        yield
        return
    folder = tempfile.mkdtemp(prefix="bench-locks-")
    os.environ["BENCH_LOCKS"] = folder
    yield
    os.environ.pop("BENCH_LOCKS", None)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(name="sweep")
def _sweep(request: pytest.FixtureRequest) -> Sweep:
    return sweep(bool(request.config.getoption("--whole")))
