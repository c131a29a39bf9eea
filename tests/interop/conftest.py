from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
from rsp import oracle

from .foreign import Bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A simulated bench in real time, its device switched on and perhaps still booting."""
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        running.switch_on()
        yield running


@pytest.fixture
def registered(bench: Bench) -> Bench:
    """The same, registered on its bootstrap network."""
    bench.wait_registered()
    return bench


@pytest.fixture(scope="session")
def pycrate() -> ModuleType:
    """The ASN.1 modules as compiled by pycrate."""
    pytest.importorskip("pycrate_asn1c", reason="pycrate is needed as independent decoder")
    return oracle.compiled_by_pycrate()
