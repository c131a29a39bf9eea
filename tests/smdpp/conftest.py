from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from smdpp_device import ADDRESS, Device

from fixtures.pki import Pki
from fixtures.smdpp.catalogue import Catalogue
from fixtures.smdpp.es9 import Es9
from fixtures.smdpp.notifications import Received
from fixtures.smdpp.orders import Orders
from fixtures.smdpp.status import Refusal, failure, success
from fixtures.smdpp.store import Order, Store


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """An SM-DP+ in this process, and devices that talk to it without HTTP."""

    def __init__(self, home: Path, pki: Pki) -> None:
        self.home = home
        self.pki = pki
        self.clock = Clock()
        self.open()

    def open(self) -> None:
        self.store = Store.open(self.home / "smdpp" / "smdpp.sqlite")
        self.orders = Orders(self.store, Catalogue(self.home), ADDRESS)
        self.es9 = Es9(
            pki=self.pki,
            store=self.store,
            orders=self.orders,
            address=ADDRESS,
            session_timeout=600.0,
            clock=self.clock,
        )

    def restart(self) -> None:
        """As after a kill: the memory is gone, the database is there."""
        self.store.close()
        self.open()

    def call(self, function: str, body: dict[str, Any]) -> Any:
        try:
            result = self.es9.functions[function](body)
        except Refusal as refusal:
            return {"header": failure(refusal)}
        return None if isinstance(result, Received) else {"header": success(), **result}

    def device(self, **more: Any) -> Device:
        return Device(self.pki, self.call, **more)

    def place(self, profile: str = "operational", **more: Any) -> Order:
        return self.orders.place(profile, **more)

    def order(self, order: Order) -> Order:
        return self.store.order(order.id)


@pytest.fixture(scope="session")
def smdpp_pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.open(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def world(tmp_path: Path, smdpp_pki: Pki) -> Iterator[World]:
    made = World(tmp_path, smdpp_pki)
    yield made
    made.store.close()


@pytest.fixture
def device(world: World) -> Device:
    return world.device()


@pytest.fixture
def flip() -> Callable[[bytes], bytes]:
    """Change the last byte."""
    return lambda data: data[:-1] + bytes((data[-1] ^ 1,))
