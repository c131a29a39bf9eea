"""Pools of activation codes, and series of profiles for them."""

from __future__ import annotations

import pytest
from conftest import World
from smdpp_device import Device
from smdpp_parts import FLEET, fleet

from bench.errors import ConfigurationError, Refused
from bench.rsp import ids
from bench.rsp.download import ActivationCode
from fixtures.smdpp.pool import Pool, series


@pytest.fixture
def pool(world: World) -> Pool:
    return Pool(world.orders)


def test_codes_are_handed_out_once_and_in_order(world: World, pool: Pool) -> None:
    fleet(world.home, 3)
    made = pool.fill(["fleet"], pool="line-1", max_attempts=2)
    assert [order.state for order in made] == ["released"] * 3
    assert len({order.iccid for order in made}) == len({order.matching_id for order in made}) == 3
    taken = [pool.take("line-1", by=f"board {number}") for number in range(3)]
    assert [order.id for order in taken] == [order.id for order in made]
    with pytest.raises(Refused, match="no free code"):
        pool.take("line-1")
    back = pool.give_back(taken[1])
    assert pool.status(back) == "free"
    with pytest.raises(Refused, match="no code that was taken"):
        pool.give_back(back)
    assert pool.take("line-1").id == taken[1].id


def test_a_code_is_a_download(world: World, pool: Pool, device: Device) -> None:
    (made,) = pool.fill(["operational"], confirmation_code="12")
    code = ActivationCode.parse(world.orders.activation_code(pool.take(by="board")))
    assert code.confirmation_code_required
    device.download(code.matching_id, "12")
    assert pool.status(world.order(made)) == "downloaded"
    with pytest.raises(Refused, match="was used"):
        pool.give_back(world.order(made))


def test_a_restart_keeps_what_was_taken(world: World, pool: Pool) -> None:
    fleet(world.home, 2)
    pool.fill(["fleet"])
    first = pool.take(by="before the kill")
    world.restart()
    again = Pool(world.orders)
    assert [(order.id, again.status(order)) for order in again.codes()] == [
        (first.id, "taken"),
        (first.id + 1, "free"),
    ]
    assert again.take().id == first.id + 1


def test_a_profile_is_in_a_pool_once(world: World, pool: Pool) -> None:
    fleet(world.home, 2)
    pool.fill(["fleet"])
    with pytest.raises(ConfigurationError, match="fleet"):  # none of the type is left, and no package has this name
        pool.fill(["fleet"], pool="second")
    world.place("operational")
    with pytest.raises(Refused, match="not available"):
        pool.fill(["bootstrap", "operational"])
    assert [order.package for order in pool.codes("default")] == sorted(order.package for order in pool.codes())
    assert world.store.newest("iccid", "8900101000000000019") is None  # all or nothing
    for wrong in ("", "a b", "../x"):
        with pytest.raises(ConfigurationError):
            pool.fill(["bootstrap"], pool=wrong)
    assert pool.codes("second") == []


def test_es2_takes_no_profile_of_a_pool(world: World, pool: Pool) -> None:
    fleet(world.home, 2)
    pool.fill([world.orders.catalogue.of_type("fleet")[0].name])
    first = world.order_by("downloadOrder", profileType="fleet")["iccid"].rstrip("F")
    assert first == world.orders.catalogue.of_type("fleet")[1].iccid


def test_a_series_counts_iccid_and_imsi(world: World) -> None:
    paths = fleet(world.home, 12)
    entries = [world.orders.catalogue.load(path) for path in paths]
    assert all(ids.check_iccid(entry.iccid) for entry in entries)
    assert [int(entry.iccid[:-1]) - int(entries[0].iccid[:-1]) for entry in entries] == list(range(12))
    assert all(path.stat().st_mode & 0o077 == 0 for path in paths)
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in fleet(world.home, 12)] == before
    last = world.home / "last.toml"
    last.write_text(FLEET.replace("001010000000500", "999999999999999"))
    with pytest.raises(ConfigurationError, match="range"):
        series(last, 2, world.home / "more")
    with pytest.raises(ConfigurationError, match="1 to"):
        series(world.home / "fleet.toml", 0, world.home)
