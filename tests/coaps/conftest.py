from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.pki import Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.open(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def other_pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Another CI."""
    return Pki.open(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="session")
def body() -> bytes:
    """60 kB of which no two blocks are the same."""
    return b"".join(number.to_bytes(4, "big") for number in range(15000))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
