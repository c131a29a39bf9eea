"""Notifications: what is believed, what is not, and what they do to orders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import World
from smdpp_device import Device, Refused, b64, t

from fixtures.pki import Pki, valid_eid
from fixtures.smdpp.store import Order

ICCID = "8900101000000000027"
ENABLE, DISABLE, DELETE = 1, 2, 3


@pytest.fixture
def installed(world: World, device: Device) -> Order:
    order = world.place()
    device.download(order.matching_id)
    device.notify(device.pir(ICCID))
    return world.order(order)


def test_events_follow_the_sequence_number_not_the_arrival(world: World, device: Device, installed: Order) -> None:
    enable, disable, delete = (device.event(event, ICCID) for event in (ENABLE, DISABLE, DELETE))
    device.notify(disable)
    assert world.order(installed).profile_state == "disabled"
    device.notify(enable)  # older
    assert world.order(installed).profile_state == "disabled"
    device.notify(delete)
    after = world.order(installed)
    assert (after.state, after.profile_state) == ("installed", "deleted")
    assert [n.event for n in world.store.notifications(installed.id)] == ["install", "disable", "enable", "delete"]


def test_the_same_notification_twice_counts_once(world: World, device: Device, installed: Order) -> None:
    enable = device.event(ENABLE, ICCID)
    for _ in range(3):
        device.notify(enable)
    assert len(world.store.notifications(installed.id)) == 2
    assert len(world.store.history(installed.id)) == 4


def forged(device: Device, name: str, flip: Callable[[bytes], bytes], event: Callable[[], bytes]) -> bytes:
    device.change = lambda changed, data: flip(data) if changed == name else data
    made = event()
    device.change = lambda _name, data: data
    return made


def test_forged_notifications_are_acknowledged_but_change_nothing(
    world: World,
    device: Device,
    installed: Order,
    flip: Callable[[bytes], bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    stranger = Device(Pki.open(tmp_path_factory.mktemp("stranger")), device.call_raw)
    unlike_eum = world.device()
    unlike_eum.eum = world.pki.dp_auth.certificate
    edited = device.event(DISABLE, ICCID).replace(bytes.fromhex("81020520"), bytes.fromhex("81020410"))
    forgeries = {
        "euiccNotificationSignature": [
            forged(device, "notificationSignature", flip, lambda: device.event(DELETE, ICCID)),
            edited,
        ],
        "unknown CI": [stranger.event(DELETE, ICCID)],
        "EUM certificate is invalid": [unlike_eum.event(DELETE, ICCID)],
    }
    for sent in [forgery for group in forgeries.values() for forgery in group]:
        device.notify(sent)
    assert world.order(installed) == installed
    rejected = [n.rejected for n in world.store.notifications(rejected=True)]
    assert len(rejected) == 4
    for reason, group in forgeries.items():
        assert sum(reason in text for text in rejected) == len(group)
    assert [n.event for n in world.store.notifications(installed.id)] == ["install"]


def test_forged_installation_results_change_nothing(
    world: World, device: Device, flip: Callable[[bytes], bytes]
) -> None:
    order = world.place()
    device.download(order.matching_id)
    other = world.device(eid=valid_eid(4))
    other.transaction = device.transaction
    device.notify(forged(device, "euiccSignPIR", flip, lambda: device.pir(ICCID)))
    device.notify(other.pir(ICCID))
    device.notify(device.pir(ICCID, oid=bytes.fromhex("88370b")))
    device.notify(device.pir("8900101000000000019"))
    real = device.pir(ICCID)
    device.notify(real.replace(bytes.fromhex("3007a0053003800100"), bytes.fromhex("3007a0053003800101")))
    device.transaction = bytes(16)
    device.notify(device.pir(ICCID))
    assert world.order(order).state == "downloaded"
    reasons = [n.rejected for n in world.store.notifications(rejected=True)]
    assert reasons == [
        "euiccSignPIR is wrong",
        "euiccSignPIR is wrong",
        "smdpOid 2.999.11 is not 2.999.10",
        f"ICCID 8900101000000000019 is not the order's {ICCID}",
        "euiccSignPIR is wrong",
        "its transactionId is unknown here",
    ]
    device.notify(real)
    assert world.order(order).state == "installed"


def test_an_installation_result_ends_the_session(world: World, device: Device) -> None:
    device.download(world.place().matching_id)
    device.notify(device.pir(ICCID))
    with pytest.raises(Refused) as caught:
        device.cancel(0)
    assert caught.value.code == ("8.10.1", "3.9")


def test_an_event_of_an_unknown_profile_is_kept_without_an_order(world: World, device: Device) -> None:
    device.notify(device.event(ENABLE, "8988303000000000000"))
    (kept,) = world.store.notifications()
    assert (kept.order_id, kept.event, kept.eid) == (None, "enable", device.eid)


def test_the_events_of_twenty_runs_go_to_their_own_orders(world: World, device: Device) -> None:
    """The same ICCID again and again on one card; the delete of a run arrives after the next installation."""
    late: list[bytes] = []
    orders: list[Order] = []
    for run in range(20):
        order = world.place()
        assert not order.reissued or run == 0 or world.order(orders[-1]).profile_state != "deleted"
        orders.append(order)
        device.download(order.matching_id)
        device.notify(device.pir(ICCID))
        for waiting in late:
            device.notify(waiting)
        device.notify(device.event(ENABLE, ICCID))
        late = [device.event(DISABLE, ICCID), device.event(DELETE, ICCID)]
    for waiting in late:
        device.notify(waiting)
    for order in orders:
        after = world.order(order)
        assert (after.state, after.profile_state) == ("installed", "deleted")
        assert [n.event for n in world.store.notifications(order.id)] == ["install", "enable", "disable", "delete"]
    assert sum(world.order(order).reissued for order in orders) == 19  # nothing was reported deleted in time


def test_a_deleted_profile_is_not_reissued(world: World, device: Device, installed: Order) -> None:
    assert world.place().reissued == 1
    device.notify(device.event(DELETE, ICCID))
    again = world.place()
    assert world.order(installed).profile_state == "deleted"
    assert (again.state, again.reissued) == ("released", 0)


def test_an_event_that_overtakes_the_installation_result(world: World, device: Device) -> None:
    order = world.place()
    device.download(order.matching_id)
    result = device.pir(ICCID)
    device.notify(device.event(ENABLE, ICCID))
    assert world.order(order).profile_state == "enabled"
    device.notify(result)
    after = world.order(order)
    assert (after.state, after.profile_state) == ("installed", "enabled")


def test_a_result_for_a_superseded_order_is_told_there(world: World, device: Device) -> None:
    order = world.place()
    device.download(order.matching_id)
    newer = world.place()
    assert world.order(order).state == "unavailable"
    device.notify(device.pir(ICCID))
    assert world.order(order).state == "installed"
    assert world.order(newer).state == "released"


@pytest.mark.parametrize(
    "junk",
    [b"", b"\x30", b"\x30\x00", b"\x05\x00", t(0xBF37), t(0xBF37, t(0xBF27), t(0x5F37, bytes(64))), t(0x30, t(0xBF2F))],
)
def test_what_is_no_notification_is_refused(world: World, device: Device, junk: bytes) -> None:
    with pytest.raises(Refused) as caught:
        device.call("handleNotification", {"pendingNotification": b64(junk)})
    assert caught.value.code[0] == "1.3.1"
    assert world.store.notifications(rejected=True) == []


def test_notifications_survive_a_restart(world: World, device: Device, installed: Order, tmp_path: Path) -> None:
    device.notify(device.event(ENABLE, ICCID))
    world.restart()
    assert world.order(installed).profile_state == "enabled"
    assert [n.seq for n in world.store.notifications(installed.id)] == [1, 2]


def test_an_install_event_says_the_same_as_the_result(world: World, device: Device) -> None:
    order = world.place()
    device.download(order.matching_id)
    result, event = device.pir(ICCID), device.event(0, ICCID)
    device.notify(event)
    assert world.order(order).state == "installed"
    device.notify(result)
    after = world.order(order)
    assert (after.state, after.profile_state, after.install_seq) == ("installed", "installed", 1)
