"""What is written in two turns of the event loop becomes durable together; each write is all or nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from fixtures.eim.audit import Audit
from fixtures.eim.store import Store

from .parties import EID, OTHER_EID


def opened(folder: Path) -> Store:
    store = Store.open(folder / "eim.sqlite")
    store.grouping = True
    return store


def others_see(folder: Path) -> int:
    """Return how many eUICCs another connection finds: what was committed."""
    with sqlite3.connect(folder / "eim.sqlite") as other:
        (count,) = other.execute("SELECT count(*) FROM euiccs").fetchone()
    other.close()
    return int(count)


def test_writes_of_one_turn_share_one_commit(tmp_path: Path) -> None:
    async def use() -> None:
        store = opened(tmp_path)
        store.add_euicc(OTHER_EID)
        await store.durable()
        statements: list[str] = []
        store.db.set_trace_callback(statements.append)

        async def request(number: int) -> None:
            store.add_order(OTHER_EID, "list", {"number": number})
            await store.durable()

        await asyncio.gather(*(request(number) for number in range(50)))
        assert statements.count("COMMIT") == 1 and statements.count("BEGIN IMMEDIATE") == 1
        assert store.count("orders") == 50
        store.close()

    asyncio.run(use())


def test_what_comes_in_the_next_turn_shares_the_commit_and_one_alone_waits_two_turns(tmp_path: Path) -> None:
    async def use() -> None:
        store = opened(tmp_path)
        store.add_euicc(OTHER_EID)
        await store.durable()
        statements: list[str] = []
        store.db.set_trace_callback(statements.append)

        async def request(number: int, turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            store.add_order(OTHER_EID, "list", {"number": number})
            await store.durable()

        await asyncio.gather(*(request(number, number % 2) for number in range(10)))
        assert statements.count("COMMIT") == 1
        alone = asyncio.ensure_future(request(11, 0))
        for _ in range(4):
            assert not alone.done()
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert alone.done() and statements.count("COMMIT") == 2
        store.close()

    asyncio.run(use())


def test_the_chain_of_the_audit_log_goes_on_behind_an_entry_that_was_undone(tmp_path: Path) -> None:
    async def use() -> None:
        store = opened(tmp_path)
        audit, other = Audit(store), Audit(store)

        def undone() -> None:
            with store.write():
                audit.note("alice", "order")
                raise KeyError("after all")

        audit.note("alice", "order")
        other.note("bob", "order")
        with pytest.raises(KeyError):
            undone()
        audit.note("alice", "cancel")
        await store.durable()
        elsewhere = Store.open(tmp_path / "eim.sqlite")  # another process
        Audit(elsewhere).note("carol", "order")
        elsewhere.close()
        other.note("bob", "cancel")
        await store.durable()
        assert [entry.who for entry in audit.entries()] == ["alice", "bob", "alice", "carol", "bob"]
        assert audit.verify() | {"head": ""} == {"entries": 5, "first": 1, "head": "", "problem": ""}
        store.close()

    asyncio.run(use())


async def serve(store: Store, eid: str = EID, *, turns: int = 0) -> None:
    """Have an eUICC served, durably, ``turns`` of the event loop later."""
    store.add_euicc(eid)
    for _ in range(turns):
        await asyncio.sleep(0)
    await store.durable()


def test_nobody_is_answered_before_the_commit(tmp_path: Path) -> None:
    """Neither who wrote nor who only read what another wrote."""

    async def use() -> None:
        store = opened(tmp_path)
        seen: list[int] = []

        async def writer() -> None:
            store.add_euicc(EID)
            await store.durable()
            seen.append(others_see(tmp_path))

        async def reader() -> None:
            assert store.euicc(EID) is not None
            assert others_see(tmp_path) == 0
            await store.durable()
            seen.append(others_see(tmp_path))

        await asyncio.gather(writer(), reader())
        assert seen == [1, 1]
        await store.durable()  # nothing is under way: at once
        store.close()

    asyncio.run(use())


def test_one_that_fails_takes_nobody_with_it(tmp_path: Path) -> None:
    async def use() -> None:
        store = opened(tmp_path)

        async def bad() -> None:
            with store.write():
                store.add_euicc(OTHER_EID)
                with store.write():
                    store.add_order(OTHER_EID, "list", {})
                raise KeyError("after all")

        found = await asyncio.gather(serve(store), bad(), return_exceptions=True)
        assert found[0] is None and isinstance(found[1], KeyError)
        assert (store.count("euiccs"), store.count("orders"), others_see(tmp_path)) == (1, 0, 1)
        store.close()

    asyncio.run(use())


@pytest.mark.parametrize("grouping", [False, True])
def test_what_an_attempt_has_undone_is_not_known_any_more(grouping: bool, tmp_path: Path) -> None:
    """Rows that were read or changed in it, and the head of the audit log."""

    async def use() -> None:
        store = opened(tmp_path)
        store.grouping = grouping
        audit = Audit(store)
        with store.write():
            store.add_euicc(EID)
            order = store.add_order(EID, "list", {})
            with pytest.raises(KeyError), store.attempt():
                store.update_euicc(EID, counter=7)
                store.update_order(order.id, state="sent")
                found = store.euicc(EID)
                assert found is not None and (found.counter, store.order(order.id).state) == (7, "sent")
                audit.note("alice", "undone")
                raise KeyError
            found = store.euicc(EID)
            assert found is not None and (found.counter, store.order(order.id).state) == (0, "pending")
            audit.note("bob", "kept")
        await store.durable()
        other = Store.open(tmp_path / "eim.sqlite")
        other.update_order(order.id, state="cancelled")
        other.close()
        assert store.order(order.id).state == "cancelled", "outside of a transaction another process may have written"
        assert [entry.who for entry in audit.entries()] == ["bob"] and audit.verify()["problem"] == ""
        store.close()

    asyncio.run(use())


@pytest.mark.parametrize("awaits", [False, True])
def test_a_commit_that_fails_is_told_to_everybody(awaits: bool, tmp_path: Path) -> None:
    """A broken foreign key is found at the commit; also who waited for something else in between hears of it."""

    async def use() -> None:
        store = opened(tmp_path)

        turns = 5 if awaits else 0

        async def breaks() -> None:
            with store.write():
                store.db.execute("PRAGMA defer_foreign_keys = ON")
                store.db.execute("INSERT INTO sessions VALUES (x'00', 77, '', '', 0)")
            await store.durable()

        found = await asyncio.gather(
            serve(store, turns=turns), breaks(), serve(store, OTHER_EID, turns=turns), return_exceptions=True
        )
        assert [type(item) for item in found] == [sqlite3.IntegrityError] * 3
        assert others_see(tmp_path) == 0
        await asyncio.gather(serve(store, turns=turns))  # and it goes on
        assert others_see(tmp_path) == 1
        store.close()

    asyncio.run(use())


def test_a_transaction_that_the_store_undid_is_told(tmp_path: Path) -> None:
    """As a full disk does: the whole transaction is gone in the middle of it."""

    async def use() -> None:
        store = opened(tmp_path)

        async def full() -> None:
            with store.write():
                store.db.execute("ROLLBACK")
                raise sqlite3.OperationalError("database or disk is full")

        found = await asyncio.gather(serve(store), full(), return_exceptions=True)
        assert [type(item) for item in found] == [sqlite3.OperationalError] * 2
        assert others_see(tmp_path) == 0
        await asyncio.gather(serve(store))
        assert others_see(tmp_path) == 1
        store.close()

    asyncio.run(use())


def test_who_is_cancelled_takes_nobody_with_it(tmp_path: Path) -> None:
    async def use() -> None:
        store = opened(tmp_path)
        store.add_euicc(EID)
        waiting = [asyncio.create_task(store.durable()) for _ in range(2)]
        first = waiting[0]
        asyncio.get_running_loop().call_soon(first.cancel)
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert found[1] is None
        assert others_see(tmp_path) == 1
        store.close()

    asyncio.run(use())


def test_what_was_written_last_is_there_after_closing(tmp_path: Path) -> None:
    async def use() -> None:
        store = opened(tmp_path)
        store.add_euicc(EID)
        store.close()

    asyncio.run(use())
    assert others_see(tmp_path) == 1


def test_without_grouping_a_write_is_durable_when_it_ends(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "eim.sqlite")
    store.add_euicc(EID)
    assert others_see(tmp_path) == 1
    assert store.db.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()
