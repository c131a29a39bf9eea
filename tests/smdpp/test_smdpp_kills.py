"""kill -9 of the SM-DP+ while an operator orders over ES2+: no order is lost, none is doubled."""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

from smdpp_parts import fleet
from test_smdpp_process import Running

from fixtures.smdpp.store import Store

PROFILES = 12
KILLS = 3


class Operator:
    """An operator's backend that repeats each call, with its identifier, until it is answered."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.running = Running(home)
        self.alive = threading.Lock()
        self.context = ssl.create_default_context(cafile=self.running.announcement["ca"])
        self.context.load_cert_chain(*self.running.pki.operator().tls_files())
        self.connection: http.client.HTTPSConnection | None = None
        self.repeats = 0

    def call(self, function: str, identifier: str, **members: Any) -> dict[str, Any]:
        header = {"functionRequesterIdentifier": "2.999.30", "functionCallIdentifier": identifier}
        body = json.dumps({"header": header, **members})
        headers = {"X-Admin-Protocol": "gsma/rsp/v2.5.0", "Content-Type": "application/json"}
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.connection is None:
                    self.connection = self.connect()
                self.connection.request("POST", f"/gsma/rsp2/es2plus/{function}", body, headers)
                answer = self.connection.getresponse()
                told: dict[str, Any] = json.loads(answer.read())
                return told
            except (OSError, http.client.HTTPException):
                assert time.monotonic() < deadline
                self.repeats += 1
                self.connection = None

    def connect(self) -> http.client.HTTPSConnection:
        with self.alive:  # not while it is started again
            port = int(self.running.announcement["es2plus"].rpartition(":")[2])
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # http.client sends head and body apart
        made = http.client.HTTPSConnection("localhost", timeout=10)
        made.sock = self.context.wrap_socket(raw, server_hostname="localhost")
        return made

    def kill(self) -> None:
        with self.alive:
            self.running.kill()
            self.running = Running(self.home)


def test_no_order_is_lost_or_doubled(tmp_path: Path) -> None:
    fleet(tmp_path, PROFILES)
    operator = Operator(tmp_path)
    chance = random.Random(5)
    confirmed: list[tuple[str, str]] = []
    failures: list[BaseException] = []

    def order() -> None:
        try:
            for number in range(PROFILES):
                iccid = operator.call("downloadOrder", f"D-{number}", profileType="fleet")["iccid"]
                answer = operator.call("confirmOrder", f"C-{number}", iccid=iccid, releaseFlag=False)
                assert operator.call("releaseProfile", f"R-{number}", iccid=iccid)["header"]
                confirmed.append((iccid.rstrip("F"), answer["matchingId"]))
                step.release()
        except BaseException as error:
            failures.append(error)
            step.release()

    step = threading.Semaphore(0)
    thread = threading.Thread(target=order)
    thread.start()
    for _ in range(KILLS):
        for _ in range(PROFILES // KILLS - 1):
            step.acquire()
        time.sleep(chance.uniform(0.0, 0.02))  # somewhere in the calls that follow
        operator.kill()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert failures == []
    operator.running.kill()
    store = Store.open(tmp_path / "smdpp" / "smdpp.sqlite")
    orders = store.orders()
    assert len(orders) == PROFILES
    assert {(order.iccid, order.matching_id) for order in orders} == set(confirmed)
    assert len({order.iccid for order in orders}) == PROFILES
    assert {order.state for order in orders} == {"released"}
    for made in orders:
        assert [state for _, state, _ in store.history(made.id)] == ["allocated", "confirmed", "released"]
    store.close()
    assert operator.repeats >= 1
