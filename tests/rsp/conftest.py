from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from fixtures.pki import Pki

from . import oracle


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.open(tmp_path_factory.mktemp("home"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(scope="session")
def compiled() -> ModuleType:
    """Our ASN.1 text as pycrate compiles it."""
    pytest.importorskip("pycrate_asn1c", reason="pycrate is needed as second ASN.1 implementation")
    return oracle.compiled_by_pycrate()
