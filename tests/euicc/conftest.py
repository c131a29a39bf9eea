from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.pki import Pki

from .parties import Bench, Terminal


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.open(tmp_path_factory.mktemp("home"))


@pytest.fixture
def bench(tmp_path: Path, pki: Pki) -> Bench:
    return Bench(tmp_path, pki)


@pytest.fixture
def terminal(bench: Bench) -> Terminal:
    return bench.terminal()
