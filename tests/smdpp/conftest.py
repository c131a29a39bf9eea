from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from smdpp_device import ADDRESS, Device, Refused

from bench.rsp.interpretation import DEFAULT, Interpretation
from fixtures.pki import Pki
from fixtures.smdpp.catalogue import Catalogue
from fixtures.smdpp.es2 import Es2
from fixtures.smdpp.es9 import Es9
from fixtures.smdpp.notifications import Received
from fixtures.smdpp.operators import Operator, Operators
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

    def __init__(self, home: Path, pki: Pki, reading: Interpretation = DEFAULT) -> None:
        self.home = home
        self.pki = pki
        self.clock = Clock()
        self.reading = reading
        self.operators = Operators(
            {
                "operator": Operator("operator", "2.999.30", progress="https://127.0.0.1:1"),
                "other": Operator("other", "2.999.31", "2.999.31", ("operational", "filler")),
            }
        )
        self.calls = 0
        self.open()

    def open(self) -> None:
        self.store = Store.open(self.home / "smdpp" / "smdpp.sqlite")
        self.orders = Orders(self.store, Catalogue(self.home), ADDRESS, reading=self.reading)
        self.es2 = Es2(self.orders, reading=self.reading)
        self.es9 = Es9(
            pki=self.pki,
            store=self.store,
            orders=self.orders,
            address=ADDRESS,
            session_timeout=600.0,
            operators=self.operators,
            reading=self.reading,
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

    def es2_raw(self, function: str, body: dict[str, Any], operator: str = "operator") -> dict[str, Any]:
        """Call an ES2+ function as its binding does."""
        try:
            result = self.es2.call(function, self.operators.get(operator) if operator else None, body)
        except Refusal as refusal:
            return {"header": failure(refusal)}
        return {"header": success(), **result}

    def order_by(self, function: str, operator: str = "operator", **members: Any) -> dict[str, Any]:
        """Call an ES2+ function with a header of its own. Raises Refused."""
        self.calls += 1
        header = {"functionRequesterIdentifier": "2.999.31", "functionCallIdentifier": f"TEST-{self.calls}"}
        answer = self.es2_raw(function, {"header": header, **members}, operator)
        status = answer.pop("header")["functionExecutionStatus"]
        if status["status"] != "Executed-Success":
            raise Refused(status["statusCodeData"])
        return answer

    def told(self, order: Order | None = None) -> list[tuple[int, str, str]]:
        """Return point, status and codes of what the operator is to be told."""
        found = []
        for message in self.es9.progress.of(None if order is None else order.id):
            status = message.members()["notificationPointStatus"]
            data = status.get("statusCodeData", {})
            codes = f"{data['subjectCode']}/{data['reasonCode']}" if data else ""
            found.append((message.members()["notificationPointId"], status["status"], codes))
        return found

    def of(self, iccid: str) -> Order:
        """Return the newest order for an ICCID."""
        found = self.store.newest("iccid", iccid.rstrip("F"))
        assert found is not None
        return found

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
def reads(tmp_path: Path, smdpp_pki: Pki) -> Iterator[Callable[..., World]]:
    """Make a world that reads the standard otherwise: options of the interpretation log."""
    made: list[World] = []

    def make(**options: Any) -> World:
        made.append(World(tmp_path / f"reading{len(made)}", smdpp_pki, Interpretation.read(options)))
        return made[-1]

    yield make
    for world in made:
        world.store.close()


@pytest.fixture
def device(world: World) -> Device:
    return world.device()


@pytest.fixture
def flip() -> Callable[[bytes], bytes]:
    """Change the last byte."""
    return lambda data: data[:-1] + bytes((data[-1] ^ 1,))
