"""pytest on a station of the bench: ``pytest --bench-station NAME``. Inert until that option is given.

Fixtures, all prefixed so that labgrid, pytest-embedded and a project's own fixtures stay as they are:

``bench_run``      the run that the session records to: ``folder``, ``measure``
``bench_station``  the station, blocking: ``power``, ``modem``, ``card``, ``eim`` ... with their methods, ``measure``
``bench_power``, ``bench_modem``, ``bench_network``, ``bench_eim``, ``bench_smdpp``, ``bench_ipa``, ``bench_console``
                   one part of it; the test is skipped, with the reason, where the station has none

One run holds the station for the whole session, so that its supervisor makes it safe when pytest is killed; each test
is a step of that run. Nothing of the bench is imported before the option is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench.client.lent_station import StationSession

_KEY: pytest.StashKey[Any] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the bench, all with its name before them."""
    group = parser.getgroup("bench", "lab bench controller for eSIM IoT devices")
    group.addoption("--bench-station", metavar="NAME", default=None, help="station of bench.toml to run the tests on")
    group.addoption("--bench-config", metavar="FILE", default=None, help="bench.toml to use")
    group.addoption("--bench-no-servers", action="store_true", help="open instruments only: no eIM, SM-DP+ and IPA")
    group.addoption("--bench-eid", metavar="EID", default="", help="allows on this card what cannot be undone")
    group.addoption("--bench-seed", metavar="N", type=int, default=None, help="seed of everything random")


def pytest_configure(config: pytest.Config) -> None:
    """Register what listens to tests, only with a station."""
    if config.getoption("bench_station"):
        config.pluginmanager.register(_Recorder(config), "bench-recorder")


class _Recorder:
    """Tells the run of each test: a step with its outcome."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Pass the outcome of a test's call on to the run."""
        outcome: Any = yield
        report = outcome.get_result()
        session = self._config.stash.get(_KEY, None)
        if session is not None and (report.when == "call" or report.failed):
            session.end_step(report.outcome, str(report.longrepr or "")[:2000])


@pytest.fixture(scope="session")
def bench_run(pytestconfig: pytest.Config) -> Iterator[StationSession]:
    """Hold the station for the session; skipped without ``--bench-station``."""
    name = pytestconfig.getoption("bench_station")
    if not name:
        pytest.skip("no station: pytest --bench-station NAME")
    from bench.client.lent_station import StationSession

    session = StationSession.open(
        name,
        config=pytestconfig.getoption("bench_config"),
        servers=not pytestconfig.getoption("bench_no_servers"),
        eid=pytestconfig.getoption("bench_eid"),
        seed=pytestconfig.getoption("bench_seed"),
    )
    pytestconfig.stash[_KEY] = session
    try:
        yield session
    finally:
        session.close()


@pytest.fixture
def bench_station(bench_run: StationSession, request: pytest.FixtureRequest) -> Any:
    """Give the station, its calls blocking; the test is a step of the run."""
    bench_run.begin_step(request.node.name)
    return bench_run.station


def _part(name: str) -> Any:
    def part(bench_station: Any) -> Any:
        if not bench_station.has(name):
            pytest.skip(f"station {bench_station.name} has no {name}")
        return getattr(bench_station, name)

    part.__doc__ = f"Give the station's {name}; skipped where it has none."
    return pytest.fixture(name=f"bench_{name}")(part)


bench_power = _part("power")
bench_modem = _part("modem")
bench_network = _part("network")
bench_eim = _part("eim")
bench_smdpp = _part("smdpp")
bench_ipa = _part("ipa")
bench_console = _part("console")
