"""Stores of earlier versions: they open, keep what is in them, and end up as a new one."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from bench.errors import BenchError
from fixtures.smdpp import schema
from fixtures.smdpp.store import Store

VERSION_1 = (Path(__file__).parent / "store_1.sql").read_text()


def shape(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return tables with their columns, and indexes."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master ORDER BY name")]
        return {name: database.execute(f"PRAGMA table_xinfo('{name}')").fetchall() for name in names}


def make(path: Path) -> None:
    """Make a store as the first version left it: its own dump, with an order in every state."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(VERSION_1)


def test_the_first_version(tmp_path: Path) -> None:
    make(tmp_path / "old.sqlite")
    store = Store.open(tmp_path / "old.sqlite")
    orders = {order.matching_id: order for order in store.orders()}
    assert {order.state for order in orders.values()} == {"released", "installed", "unavailable", "error"}
    assert {order.operator for order in orders.values()} == {""}
    assert store.newest("matching_id", "RELEASED") is not None
    released = orders["RELEASED"]
    assert store.update(released.id, "bound", state="downloaded").state == "downloaded"
    assert [state for _, state, _ in store.history(released.id)] == ["released", "downloaded"]
    assert [n.event for n in store.notifications(orders["INSTALLED"].id)] == ["install"]
    store.close()
    Store.open(tmp_path / "new.sqlite").close()
    assert shape(tmp_path / "old.sqlite") == shape(tmp_path / "new.sqlite")


def test_twice_is_once(tmp_path: Path) -> None:
    make(tmp_path / "old.sqlite")
    for _ in range(2):
        store = Store.open(tmp_path / "old.sqlite")
        assert len(store.orders()) == 4
        store.close()


def test_one_that_cannot_be_upgraded_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.sqlite"
    make(path)
    before = shape(path)
    monkeypatch.setitem(schema._STEPS, 2, schema._STEPS[2] + "CREATE TABLE orders (id);")
    with pytest.raises(BenchError, match="cannot be brought to schema"):
        Store.open(path)
    assert shape(path) == before
    monkeypatch.undo()
    Store.open(path).close()


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "later.sqlite"
    Store.open(path).close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(BenchError, match="99"):
        Store.open(path)
