"""Orders, their life cycle, and bodies that are nothing of the kind."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from conftest import World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smdpp_device import EID, Device, t

from bench.errors import BenchError, ConfigurationError, Refused
from bench.rsp import ids
from bench.rsp.download import ActivationCode
from fixtures.pki import valid_eid
from fixtures.smdpp.status import Code

ICCID = "8900101000000000027"
OTHER_EID = ids.eid_with_check_digits("890490321234512345123456789019")


def test_an_activation_code_leads_back_to_the_order(world: World) -> None:
    order = world.place(confirmation_code="1")
    told = world.orders.describe(order)
    parsed = ActivationCode.parse(told["activation_code"])
    assert (parsed.address, parsed.matching_id) == ("smdpp.bench.example", order.matching_id)
    assert parsed.confirmation_code_required
    assert world.orders.find(order.matching_id) == order


def test_a_new_order_supersedes_the_open_ones(world: World) -> None:
    first, second = world.place(), world.place()
    assert (world.order(first).state, world.order(first).superseded_by) == ("unavailable", second.id)
    other = world.place("bootstrap")
    assert world.order(second).state == other.state == "released"


def test_an_order_for_an_euicc_leaves_those_for_others(world: World) -> None:
    """Stations that run the main job at once order the same package, each for its own card."""
    mine, anybody = world.place(eid=EID), world.place("bootstrap")
    theirs = world.place(eid=OTHER_EID)
    assert world.order(mine).state == theirs.state == "released"
    again = world.place(eid=EID)
    assert (world.order(mine).superseded_by, world.order(theirs).state) == (again.id, "released")
    assert world.order(anybody).state == "released"
    last = world.place()  # for anybody: nobody else may have it any more
    assert {world.order(order).superseded_by for order in (again, theirs)} == {last.id}


def test_wrong_orders_are_refused_with_a_hint(world: World) -> None:
    for wrong in (
        {"profile": "operationl"},
        {"eid": "123"},
        {"eid": EID[:-1] + "6"},
        {"matching_id": "lower case"},
        {"rebinding": "sometimes"},
        {"max_attempts": 0},
    ):
        with pytest.raises(ConfigurationError):
            world.place(**wrong)
    assert world.store.orders() == []


def test_a_matching_id_can_be_given_and_used_again_for_the_same_profile(world: World) -> None:
    first = world.place(matching_id="RUN-1")
    second = world.place(matching_id="RUN-1")
    assert world.orders.find("RUN-1").id == second.id != first.id
    with pytest.raises(Refused, match="RUN-1"):
        world.place("bootstrap", matching_id="RUN-1")


def test_cancelling(world: World, device: Device) -> None:
    order = world.place()
    assert world.orders.cancel(order.id).state == "unavailable"
    assert world.orders.cancel(order.id).state == "unavailable"
    order = world.place()
    device.download(order.matching_id)
    device.notify(device.pir(ICCID))
    with pytest.raises(Refused, match="installed"):
        world.orders.cancel(order.id)
    with pytest.raises(Refused, match="cannot be released"):
        world.orders.release(order.id)


def test_a_broken_package_is_named_and_does_not_hide_the_others(world: World) -> None:
    folder = world.home / "smdpp" / "profiles"
    folder.mkdir(parents=True)
    (folder / "broken.der").write_bytes(b"\x30\x05abc")
    with pytest.raises(BenchError, match=r"broken\.der"):
        world.place("broken")
    assert world.place("8900101000000000027").package == "operational"


def test_secrets_do_not_show(world: World, device: Device) -> None:
    order = world.place(confirmation_code="hidden-code")
    device.download(order.matching_id, "hidden-code")
    shown = repr(world.order(order)) + json.dumps(world.orders.describe_fully(world.order(order)))
    assert "hidden-code" not in shown
    assert (world.home / "smdpp" / "smdpp.sqlite").stat().st_mode & 0o077 == 0


def test_an_order_is_all_or_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = world.place()

    def fail(*_arguments: Any, **_more: Any) -> Any:
        raise RuntimeError("power cut")

    monkeypatch.setattr(world.store, "update", fail)
    with pytest.raises(RuntimeError):
        world.place()
    monkeypatch.undo()
    assert [order.id for order in world.store.orders()] == [first.id]
    assert world.order(first).state == "released"


def test_every_refusal_has_its_own_pair() -> None:
    pairs = [(code.subject, code.reason) for code in Code]
    assert len(set(pairs)) == len(pairs)


# --- anything that may come -----------------------------------------------------------------------------------------

FUNCTIONS = [
    "initiateAuthentication",
    "authenticateClient",
    "getBoundProfilePackage",
    "handleNotification",
    "cancelSession",
]
KEYS = [
    "euiccChallenge",
    "euiccInfo1",
    "smdpAddress",
    "transactionId",
    "authenticateServerResponse",
    "prepareDownloadResponse",
    "pendingNotification",
    "cancelSessionResponse",
]


def _tlvs() -> st.SearchStrategy[bytes]:
    tags = st.sampled_from(
        [
            48,
            128,
            129,
            130,
            131,
            132,
            160,
            161,
            4,
            2,
            6,
            90,
            12,
            24375,
            24393,
            48928,
            48929,
            48930,
            48935,
            48943,
            48951,
            48952,
            48961,
        ]
    )
    return st.recursive(
        st.builds(t, tags, st.binary(max_size=20)),
        lambda inner: st.builds(lambda tag, content: t(tag, *content), tags, st.lists(inner, max_size=4)),
        max_leaves=12,
    )


def _values() -> st.SearchStrategy[Any]:
    encoded = st.one_of(st.binary(max_size=80), _tlvs()).map(lambda data: base64.b64encode(data).decode())
    scalar = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
    special = st.sampled_from(["smdpp.bench.example", "00" * 16, "\ud800", "=", "AAAA=AAA"])
    return st.one_of(encoded, encoded, scalar, special, st.lists(scalar, max_size=2))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(function=st.sampled_from(FUNCTIONS), body=st.dictionaries(st.sampled_from(KEYS), _values(), max_size=5))
def test_no_body_breaks_a_function(world: World, function: str, body: dict[str, Any]) -> None:
    answer = world.call(function, body)
    assert answer is None or "functionExecutionStatus" in answer["header"]
    json.dumps(answer)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), step=st.sampled_from(["authenticate", "prepare", "notify", "event", "cancel"]))
def test_no_mutation_of_a_real_message_breaks_or_passes(world: World, data: st.DataObject, step: str) -> None:
    """One byte of a real message changed, cut or added: the answer is a status, and nothing is installed."""
    device = world.device()
    order = world.place(rebinding="allow", max_attempts=10_000)
    device.initiate()
    if step == "authenticate":
        function, member = "authenticateClient", "authenticateServerResponse"
        body = device.authenticate_body(order.matching_id)
    else:
        device.authenticate(order.matching_id)
        function, member = "getBoundProfilePackage", "prepareDownloadResponse"
        body = device.prepare_body()
    if step in ("notify", "event"):
        world.call(function, body)
        function, member = "handleNotification", "pendingNotification"
        raw = device.pir(ICCID) if step == "notify" else device.event(3, ICCID)
        body = {member: base64.b64encode(raw).decode()}
    if step == "cancel":
        sent: list[dict[str, Any]] = []
        device.call_raw = lambda _function, taken: (sent.append(taken), None)[1]
        device.cancel(0)
        function, member, body = "cancelSession", "cancelSessionResponse", sent[0]
    raw = bytearray(base64.b64decode(body[member]))
    before = world.order(order)
    kind = data.draw(st.sampled_from(["change", "cut", "add"]))
    at = data.draw(st.integers(0, len(raw) - 1))
    if kind == "change":
        raw[at] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del raw[at:]
    else:
        raw.insert(at, data.draw(st.integers(0, 255)))
    answer = world.call(function, body | {member: base64.b64encode(bytes(raw)).decode()})
    after = world.order(order)
    if function == "handleNotification":
        assert (after.state, after.profile_state) == (before.state, before.profile_state)
        return
    status = answer["header"]["functionExecutionStatus"]["status"]
    if status != "Failed":
        # Bytes that no signature covers may differ, such as a longer form of an outer length.
        assert kind != "cut"
        return
    assert after.state == before.state


def test_bodies_that_are_odd_json(world: World) -> None:
    for function in FUNCTIONS:
        for body in ({}, {"transactionId": "0" * 33}, {"transactionId": "é" * 4}, {"transactionId": ["00"]}):
            answer = world.call(function, body)
            assert answer["header"]["functionExecutionStatus"]["status"] == "Failed"


def test_ids_of_orders_do_not_collide(world: World) -> None:
    seen = {world.place(eid=valid_eid(number)).matching_id for number in range(30)}
    assert len(seen) == 30
