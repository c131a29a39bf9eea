from __future__ import annotations

from pathlib import Path

import pytest

from .fakes import Tls, make_tls


@pytest.fixture(scope="session")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def other_tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("other"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
