"""What the operator's side keeps: the audit log, stores of earlier versions, export and import, what waits its turn."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fixtures.eim.audit import Audit
from fixtures.eim.store import Store
from fixtures.pki import Pki

from .operator_side import Side, side
from .parties import EID, ICCID, OTHER_EID, Package, down, provide
from .test_operator import run
from .test_packages import taken

# --- audit log ------------------------------------------------------------------------------------------------------


def test_every_use_of_a_key_is_in_the_audit_log(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        order = await made.order("updateEim", EID, newKey=True)
        package = down(await made.lab.poll(), "BF4F")
        entries = (await made.call("GET", f"/audit?order={order['order_id']}"))[1]
        key_made, used = entries[1], entries[2]
        assert [item["what"] for item in entries] == ["order", "key made", "key used"]
        assert used["details"]["package"] == hashlib.sha256(package).hexdigest()
        assert used["details"]["key"] == "first" and used["details"]["counter"] == 1
        first = hashlib.sha256(made.lab.context.key.public_key().public_bytes(*_spki())).hexdigest()
        assert used["details"]["public_key"] == first
        assert key_made["details"]["for"] == made.lab.context.eim_id

    run(pki, tmp_path, use, known="0560")


def _spki() -> tuple[Any, Any]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Encoding.DER, PublicFormat.SubjectPublicKeyInfo


def test_confirmation_codes_are_in_no_answer_and_no_audit_log(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        order = await made.order("download", EID, activation_code="LPA:1$dp.x$M$$1", confirmation_code="secret-8317")
        for path in (f"/orders/{order['order_id']}", "/orders", "/audit", "/export"):
            status, answer = await made.call("GET", path)
            assert status == 200 and "secret-8317" not in str(answer)
        _, answer = await made.call("GET", "/export?secrets=1")
        assert b"secret-8317" in answer

    run(pki, tmp_path, use)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE audit SET who = 'somebody' WHERE id = 3", "entry 3 was changed"),
        ("UPDATE audit SET details = '{}' WHERE id = 2", "entry 2 was changed"),
        ("DELETE FROM audit WHERE id = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE id = 1; UPDATE audit SET id = id - 1", "entry 1 does not follow"),
        ("SELECT 1", ""),
    ],
)
def test_the_chain_shows_what_was_changed(change: str, problem: str, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "eim.sqlite")
    audit = Audit(store)
    for number in range(5):
        audit.note("alice", "order", eid=EID, order_id=number, details={"kind": "list"})
    store.db.executescript(change)
    found = audit.verify()
    assert found["problem"].startswith(problem) and bool(found["problem"]) is bool(problem), found
    store.close()


def test_the_audit_log_forgets_its_oldest_and_still_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixtures.eim.audit._PRUNE_EVERY", 8)
    store = Store.open(tmp_path / "eim.sqlite")
    audit = Audit(store, keep=10)
    for number in range(30):
        audit.note("", "order ended", order_id=number)
    found = audit.verify()
    assert (found["first"], found["problem"]) == (15, "")
    assert [entry.who for entry in audit.entries(newest=2)] == ["eim", "eim"]
    store.close()


def test_an_order_and_its_entry_are_there_together_or_not_at_all(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        store = made.lab.context.store
        store.db.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
        status, answer = await made.call("POST", "/orders", {"eid": EID, "kind": "list"})
        assert status == 503 and "disk is full" in answer["error"]["what"]
        assert store.count("orders") == 0
        store.db.execute("DROP TRIGGER full")
        await made.order("list", EID)
        assert (store.count("orders"), store.count("audit")) == (1, 1)

    run(pki, tmp_path, use)


# --- the store ------------------------------------------------------------------------------------------------------


def old_store(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(Path(__file__).with_name("store_of_the_first_version.sql").read_text())
    connection.close()


def test_a_store_of_the_first_version_opens_and_goes_on(pki: Pki, tmp_path: Path) -> None:
    old_store(tmp_path / "eim.sqlite")

    async def use(made: Side) -> None:
        euicc = (await made.call("GET", f"/euiccs/{EID}"))[1]
        assert (euicc["counter"], euicc["association_token"], euicc["signing_key"]) == (12, 3, "first")
        waiting, done = (await made.call("GET", "/orders"))[1]
        assert (waiting["state"], waiting["attempts"], waiting["ordered_by"]) == ("pending", 1, "")
        assert (done["state"], done["counter"]) == ("done", 11)
        asked = down(await made.lab.poll(), "BF4F")
        await made.lab.send(provide(made.lab.card.data(asked)))
        assert Package.of(await made.lab.poll()).counter == 13
        assert (await made.call("GET", "/audit/verify"))[1]["problem"] == ""
        assert len((await made.call("GET", "/notifications"))[1]) == 1

    run(pki, tmp_path, use)


def test_processes_bring_a_store_up_to_date_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "eim.sqlite"
    old_store(path)
    program = (
        "import sys; from pathlib import Path; from fixtures.eim.store import Store; sys.stdin.read(1)\n"
        "store = Store.open(Path(sys.argv[1])); print(store.count('orders')); store.close()"
    )
    command = [sys.executable, "-c", program, str(path)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
    for process in running:
        out, errors = process.communicate(timeout=30)
        assert (out.strip(), errors) == (b"2", b"")


# --- export and import ----------------------------------------------------------------------------------------------


async def exported(made: Side, query: str = "") -> list[dict[str, Any]]:
    status, answer = await made.call("GET", f"/export{query}")
    assert status == 200
    return [json.loads(line) for line in answer.splitlines()]


async def imported(made: Side, lines: list[Any]) -> dict[str, Any]:
    body = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    headers = {"Authorization": "Bearer home-token-of-the-tests-0123456789"}
    async with made.client.post("/import", data=body, headers=headers) as answer:
        assert answer.status == 200
        return dict(await answer.json())


def test_an_eim_goes_on_with_what_another_store_had(pki: Pki, tmp_path: Path) -> None:
    """The package that is out is matched there, its counter is not used again, and importing twice does nothing."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    async def use() -> None:
        async with side(pki, tmp_path / "a", known="0560") as old:
            out = await old.order("enable", EID, iccid=ICCID)
            package = Package.of(await old.lab.poll())
            await old.order("download", EID, activation_code="LPA:1$dp.x$M", attempts=4)
            await old.order("updateEim", EID, newKey=True)
            await old.call("PUT", f"/euiccs/{OTHER_EID}")
            await old.order("list", OTHER_EID, expires_in=1000)
            lines = await exported(old)
            card = old.lab.card
        async with side(pki, tmp_path / "b") as new:
            new.lab.context.store.db.execute("DELETE FROM euiccs")
            found = await imported(new, lines)
            assert found == {
                "euiccs_new": 2, "euiccs_known": 0, "orders_new": 4, "orders_known": 0, "left_out": 0, "failed": 0,
                "problems": [],
            }  # fmt: skip
            before = [{**order, "changed": 0} for order in (await new.call("GET", "/orders"))[1]]
            again = await imported(new, lines)
            assert (again["euiccs_known"], again["orders_known"], again["orders_new"]) == (2, 4, 0)
            assert [{**order, "changed": 0} for order in (await new.call("GET", "/orders"))[1]] == before
            assert [order["state"] for order in before] == ["sent", "pending", "pending", "pending"]
            assert down(await new.lab.poll(), "BF4F") == package.raw, "to the byte"
            await new.lab.send(provide(card.result(package, "830100")))
            shown = (await new.call("GET", f"/orders/{before[0]['order_id']}"))[1]
            assert (shown["state"], shown["verified"], out["kind"]) == ("done", True, "enable")
            assert (await new.call("GET", f"/euiccs/{EID}"))[1]["counter"] == 1
            await new.call("POST", f"/orders/{before[1]['order_id']}/cancel")
            assert taken(await new.lab.poll()).counter == 2

    asyncio.run(use())


def test_importing_never_sets_back(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        await made.call("PUT", f"/euiccs/{EID}", {"counter": 50, "last_seq": 60})
        head = {"type": "eim", "format": 1, "eim_id": made.lab.context.eim_id}
        line = {"type": "euicc", "eid": EID, "counter": 7, "confirmed_counter": 7, "last_seq": 70}
        assert (await imported(made, [head, line]))["failed"] == 0
        euicc = (await made.call("GET", f"/euiccs/{EID}"))[1]
        assert (euicc["counter"], euicc["confirmed_counter"], euicc["last_seq"]) == (50, 7, 70)

    run(pki, tmp_path, use)


def test_another_eims_counters_and_packages_are_its_own(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        head = {"type": "eim", "format": 1, "eim_id": "eim.other"}
        order = {"type": "order", "order_id": "3", "eid": OTHER_EID, "kind": "list", "parameters": {}, "final": False}
        out = {**order, "order_id": "4", "package": "bf5100", "transaction_id": "01"}
        found = await imported(
            made, [head, {"type": "euicc", "eid": OTHER_EID, "counter": 9, "association_token": 4}, order, out]
        )
        assert (found["orders_new"], found["failed"]) == (1, 1)
        assert "another eIM" in found["problems"][0]["what"]
        euicc = (await made.call("GET", f"/euiccs/{OTHER_EID}"))[1]
        assert (euicc["counter"], euicc["association_token"]) == (0, None)

    run(pki, tmp_path, use)


def test_broken_lines_are_told_and_change_nothing(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Side) -> None:
        lines: list[Any] = [
            b"{", b"[]", b"null", b'"x"', b"[" * 2000, {"type": "dance"}, {"type": "eim", "format": 9},
            {"type": "euicc"}, {"type": "euicc", "eid": "1"},
            {"type": "euicc", "eid": OTHER_EID, "certificates": [{"euicc": "00", "eum": "00"}]},
            {"type": "euicc", "eid": OTHER_EID, "certificates": [1]},
            {"type": "euicc", "eid": OTHER_EID, "features": "x"},
            {"eid": OTHER_EID, "kind": "list"}, {"eid": EID}, {"eid": EID, "kind": "list", "attempts": "x"},
            {"type": "order", "order_id": "1", "eid": EID, "kind": "package", "parameters": {"commands": 3}},
            {"type": "order", "order_id": "1", "eid": EID, "kind": "package", "parameters": None},
            {"type": "order", "order_id": "1", "eid": EID, "kind": "list", "parameters": {}, "expires": "soon"},
            {"type": "order", "order_id": "1", "eid": EID, "kind": "download",
             "parameters": {"activation_code": "LPA:1$dp.x$M$$1", "confirmation_code": "***"}},
        ]  # fmt: skip
        found = await imported(made, [*lines, {"eid": EID, "kind": "list", "idempotency_key": "good"}])
        assert (found["failed"], found["orders_new"]) == (len(lines), 1), found
        assert [item["line"] for item in found["problems"]] == list(range(1, len(lines) + 1))
        assert made.lab.context.store.count("euiccs") == 1
        assert made.lab.context.store.count("orders") == 1

    run(pki, tmp_path, use)


def test_an_enable_waits_for_the_installation_result_before_it(tmp_path: Path) -> None:
    """Of one eUICC and SM-DP+ only the oldest notification is due, also while it waits for its next attempt."""
    store = Store.open(tmp_path / "eim.sqlite")
    rows = [("install", EID, "a"), ("enable", EID, "a"), ("install", EID, "b"), ("enable", OTHER_EID, "a")]
    numbers = []
    for at, (event, eid, address) in enumerate(rows):
        values = {"seq": at, "iccid": ICCID, "raw": b"", "verified": 1, "problem": "", "state": "queued"}
        numbers.append(store.add_notification(bytes([at]), eid=eid, address=address, event=event, **values))
    first, second, third, fourth = numbers
    assert [row.id for row in store.queued()] == [first, third, fourth]
    assert first is not None and fourth is not None
    store.update_notification(first, attempts=1, next_attempt=time.time() + 60)
    assert [row.id for row in store.queued()] == [third, fourth, first], "the second does not overtake it"
    store.update_notification(first, state="forwarded")
    assert [row.id for row in store.queued()] == [second, third, fourth]
    plan = store.db.execute(
        "EXPLAIN QUERY PLAN SELECT 1 FROM notifications"
        " WHERE eid = 'a' AND address = 'b' AND id < 3 AND state = 'queued'"
    ).fetchall()
    assert "notifications_waiting" in str(plan)
    store.close()


def test_what_a_dead_process_had_taken_is_forwarded_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "eim.sqlite"
    store = Store.open(path)
    values = {"seq": 1, "iccid": ICCID, "raw": b"", "verified": 1, "problem": "", "state": "queued"}
    number = store.add_notification(b"1", eid=EID, address="a", event="install", **values)
    assert number is not None
    program = (
        "import os, sys, time; from pathlib import Path; from fixtures.eim.store import Store\n"
        "store = Store.open(Path(sys.argv[1])); print(store.claim(int(sys.argv[2]), time.time() + 60), flush=True)\n"
        "sys.stdin.read(1); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", program, str(path), str(number)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"True\n"
    Store.open(path).close()
    assert not store.claim(number, time.time() + 60), "a living process has it"
    process.communicate(b"x", timeout=20)
    Store.open(path).close()
    assert store.claim(number, time.time() + 60)
    store.close()
