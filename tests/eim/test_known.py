"""What a store keeps in memory is what its file holds, whoever wrote it (hypothesis drives two processes' stores)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fixtures.eim.store import Store
from fixtures.eim.tables import FINAL_STATES, Order

from .parties import EID, OTHER_EID

EIDS = st.sampled_from([EID, OTHER_EID])
TRANSACTIONS = [bytes([number]) * 8 for number in range(1, 3)]
STATES = st.sampled_from(["pending", "sent", "running", *FINAL_STATES])
JSON = st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.booleans(), st.integers(), st.lists(st.text())))
EUICC_CHANGES: list[Callable[[Store, str], Any]] = [
    lambda store, eid: store.update_euicc(eid, token=3),
    lambda store, eid: store.update_euicc(eid, last_seq=9, confirmed=5),
    lambda store, eid: store.update_euicc(eid, counter=70, features=None, signing_key="k"),
    lambda store, eid: store.add_certificates(eid, b"1", b"eum", b"ci", "test"),
    lambda store, eid: store.add_certificates(eid, b"2", b"eum", b"ci", "test"),
    lambda store, eid: store.forget_certificates(eid),
]


class Undone(Exception):
    """Raised by a write that is not to happen."""


class TwoStores(RuleBasedStateMachine):
    """Two stores on one file write by turns, in pieces that may be undone; a third one reads only the file."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "eim.sqlite"
        self.stores = [Store.open(path), Store.open(path)]
        self.file = Store.open(path)
        for store in (*self.stores, self.file):
            store.db.execute("PRAGMA synchronous = OFF")
        self.orders: list[int] = []

    def teardown(self) -> None:
        """Close all."""
        for store in (*self.stores, self.file):
            store.close()
        self._folder.cleanup()

    def _write(self, which: int, undone: bool, change: Callable[[Store], Any]) -> None:
        store = self.stores[which]
        try:
            with store.write():
                change(store)
                self._agree(store, store)  # what is written is seen at once, by those who write
                if undone:
                    raise Undone
        except Undone:
            pass

    @initialize()
    def begin(self) -> None:
        """Serve both eUICCs."""
        self.stores[0].add_euicc(EID)
        self.stores[1].add_euicc(OTHER_EID)
        self.orders = [self.stores[0].add_order(EID, "enable", {"iccid": "89"}).id for _ in range(2)]

    @rule(which=st.integers(0, 1), eid=EIDS, held=st.booleans())
    def order(self, which: int, eid: str, held: bool) -> None:
        """Accept an order."""
        self.orders.append(self.stores[which].add_order(eid, "enable", {"iccid": "89"}, held=held).id)

    @precondition(lambda self: self.orders)
    @rule(
        which=st.integers(0, 1),
        undone=st.booleans(),
        state=STATES,
        result=JSON,
        data=st.data(),
    )
    def update(self, which: int, undone: bool, state: str, result: dict[str, Any], data: Any) -> None:
        """Change an order."""
        number = data.draw(st.sampled_from(self.orders))
        changes = {"state": state, "transaction_id": None, "result": result, "hand_outs": 1, "verified": 1}
        chosen = {name: changes[name] for name in data.draw(st.sets(st.sampled_from(sorted(changes)), min_size=1))}
        self._write(which, undone, lambda store: store.update_order(number, **chosen))

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 1), given=st.lists(st.sampled_from(TRANSACTIONS), min_size=2), data=st.data())
    def hand_out(self, which: int, given: list[bytes], data: Any) -> None:
        """Give packages out, some again in a newer order, some made anew."""
        for transaction in given:
            had = [row.id for row in self.file.orders() if row.transaction_id == transaction]
            number = data.draw(st.sampled_from([item for item in self.orders if item >= max(had, default=0)]))
            self.stores[which].update_order(number, transaction_id=transaction)

    @rule(which=st.integers(0, 1), eid=EIDS, undone=st.booleans(), what=st.sampled_from(EUICC_CHANGES))
    def euicc(self, which: int, eid: str, undone: bool, what: Callable[[Store, str], Any]) -> None:
        """Change an eUICC, or what is known of it."""
        self._write(which, undone, lambda store: what(store, eid))

    @rule(which=st.integers(0, 1), eid=EIDS, undone=st.booleans())
    def counter(self, which: int, eid: str, undone: bool) -> None:
        """Take a counterValue: never one that was taken."""
        before = self.file.euicc(eid)
        assert before is not None

        def take(store: Store) -> None:
            assert store.next_counter(eid) == before.counter + 1

        self._write(which, undone, take)

    @rule(which=st.integers(0, 1), eid=EIDS, keep=st.integers(0, 2))
    def prune(self, which: int, eid: str, keep: int) -> None:
        """Forget old orders."""
        self.stores[which].prune(eid, keep)
        self.orders = [row.id for row in self.file.orders()]

    @invariant()
    def agree(self) -> None:
        """Both stores say what the file does."""
        self.file.forget()
        for store in self.stores:
            self._agree(store, self.file)

    def _agree(self, store: Store, file: Store) -> None:
        for eid in (EID, OTHER_EID):
            told = (store.euicc(eid), store.certificates(eid), store.head(eid), store.polled(eid))
            orders = {number: _order(store, number) for number in self.orders}
            found = [store.find("transaction_id", transaction) for transaction in TRANSACTIONS]
            file.forget()
            assert told == (file.euicc(eid), file.certificates(eid), file.head(eid), file.polled(eid))
            file.forget()
            assert orders == {number: _order(file, number) for number in self.orders}
            file.forget()
            again = [file.find("transaction_id", transaction) for transaction in TRANSACTIONS]
            assert [_number(row) for row in found] == [_number(row) for row in again]


def _order(store: Store, number: int) -> Order | None:
    try:
        return store.order(number)
    except KeyError:
        return None


def _number(row: Order | None) -> int | None:
    return row.id if row is not None else None


TestTwoStores = TwoStores.TestCase
TestTwoStores.settings = settings(max_examples=40, stateful_step_count=14, deadline=None, phases=[Phase.generate])


def test_rows_of_a_busy_eim_do_not_fill_the_memory(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "eim.sqlite")
    with store.write():
        for number in range(3000):
            store.add_euicc(f"{number:032}")
    for number in range(3000):
        assert store.euicc(f"{number:032}") is not None
    assert len(store.known) < 1100
    store.close()


def test_an_open_order_is_found_without_reading_those_that_have_ended(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "eim.sqlite")
    store.add_euicc(EID)
    number = store.add_order(EID, "list", {}).id
    statements: list[str] = []
    store.db.set_trace_callback(statements.append)
    assert store.polled(EID) == (True, True)
    head = store.head(EID)
    assert head is not None and head.id == number
    store.db.set_trace_callback(None)
    plans = [str(store.db.execute(f"EXPLAIN QUERY PLAN {item}").fetchall()) for item in statements if "orders" in item]
    assert len(plans) == 2 and all("orders_open" in plan for plan in plans)
    store.close()


def test_counters_of_a_store_from_before_they_stood_apart(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "eim.sqlite")
    store.add_euicc(EID)
    store.db.execute("UPDATE euiccs SET counter = 41, confirmed = 40, last_seq = 7")
    store.forget()
    found = store.euicc(EID)
    assert found is not None and (found.counter, found.confirmed, found.last_seq) == (41, 40, 7)
    assert store.next_counter(EID) == 42
    store.forget()
    found = store.euicc(EID)
    assert found is not None and (found.counter, found.confirmed, found.last_seq) == (42, 40, 7)
    assert [row.counter for row in store.euiccs()] == [42]
    store.close()


def test_a_change_names_only_the_columns_that_change(tmp_path: Path) -> None:
    """Naming one of an index, or of its condition, writes that index: a third of a package's cost."""
    store = Store.open(tmp_path / "eim.sqlite")
    store.add_euicc(EID)
    number = store.add_order(EID, "list", {}).id
    statements: list[str] = []
    store.db.set_trace_callback(statements.append)
    store.update_order(number, state="sent", inquiry=None, error={}, hand_outs=1)
    (update,) = [item for item in statements if item.startswith("UPDATE")]
    assert "state" in update and "hand_outs" in update
    assert not any(name in update for name in ("final", "inquiry", "error", "result"))
    assert store.update_order(number, result={"flag": 1}).result["flag"] is not True
    assert store.update_order(number, result={"flag": True}).result["flag"] is True
    store.forget()
    assert store.order(number).result["flag"] is True
    store.close()
