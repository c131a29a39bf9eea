from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.pki import Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.open(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bench home with PKI, the card's credential and profile packages; tests copy it."""
    from .system import prepare

    home = tmp_path_factory.mktemp("base")
    prepare(home)
    return home
