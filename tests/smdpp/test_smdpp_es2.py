"""ES2+ of the SM-DP+ (SGP.22 section 5.3): every function, every status, the life cycle that they move."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from conftest import World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smdpp_device import ADDRESS, EID, Device, Refused
from smdpp_parts import fleet

from fixtures.pki import valid_eid
from fixtures.smdpp import http_es2, lifecycle
from fixtures.smdpp.status import REFUSALS, Code

OPERATIONAL, BOOTSTRAP = "8900101000000000027", "8900101000000000019"
PADDED = OPERATIONAL + "F"
OTHER = valid_eid(5)
FUNCTIONS = ("downloadOrder", "confirmOrder", "releaseProfile", "cancelOrder")


def refused(code: Code, action: Callable[[], object]) -> None:
    with pytest.raises(Refused) as caught:
        action()
    assert caught.value.code == (code.subject, code.reason), str(caught.value)


def ready(world: World, **confirm: Any) -> dict[str, Any]:
    """Order and confirm the operational profile; it is released unless said otherwise."""
    world.order_by("downloadOrder", iccid=OPERATIONAL, **({"eid": confirm["eid"]} if "eid" in confirm else {}))
    return world.order_by("confirmOrder", iccid=OPERATIONAL, **{"releaseFlag": True, **confirm})


# --- the way of an order --------------------------------------------------------------------------------------------


def test_from_download_order_to_installation(world: World, device: Device) -> None:
    assert world.order_by("downloadOrder", profileType="operational") == {"iccid": PADDED}
    assert world.of(OPERATIONAL).state == "allocated"
    confirmed = world.order_by(
        "confirmOrder", iccid=PADDED, matchingId="ACME-1", confirmationCode="4711", releaseFlag=False
    )
    assert confirmed == {"matchingId": "ACME-1", "smdpAddress": ADDRESS}
    order = world.of(OPERATIONAL)
    assert order.state == "confirmed"
    device.initiate()
    refused(Code.NOT_RELEASED, lambda: device.authenticate("ACME-1"))
    assert world.order_by("releaseProfile", iccid=OPERATIONAL) == {}
    profile = device.download("ACME-1", "4711")[2]
    assert profile == (world.home / "profiles" / "operational.der").read_bytes()
    device.notify(device.pir(OPERATIONAL))
    assert [state for _, state, _ in world.store.history(order.id)] == [
        "allocated",
        "confirmed",
        "released",
        "downloaded",
        "installed",
    ]
    assert world.orders.describe(world.order(order))["operator"] == "operator"


def test_an_order_for_an_eid_is_linked_and_found_without_matching_id(world: World, device: Device) -> None:
    """The default SM-DP+ case: a zero-length matchingId, and the device sends none."""
    world.order_by("downloadOrder", iccid=OPERATIONAL, eid=EID)
    assert world.of(OPERATIONAL).state == "linked"
    answer = world.order_by("confirmOrder", iccid=OPERATIONAL, matchingId="", releaseFlag=False)
    assert answer == {"eid": EID, "matchingId": "", "smdpAddress": ADDRESS}
    device.initiate()
    refused(Code.NOT_RELEASED, lambda: device.authenticate(None))
    world.order_by("releaseProfile", iccid=OPERATIONAL)
    stranger = world.device(eid=OTHER)
    stranger.initiate()
    refused(Code.EID_MISMATCH, lambda: stranger.authenticate(None))
    device.download(None)
    device.notify(device.pir(OPERATIONAL, error=(5, 11)))  # interrupted: the order stays, and is found again
    device.download(None)
    device.notify(device.pir(OPERATIONAL))
    assert world.of(OPERATIONAL).state == "installed"


def test_confirm_order_may_bring_the_eid(world: World, device: Device) -> None:
    assert ready(world, eid=EID, matchingId="ACME-1")["eid"] == EID
    stranger = world.device(eid=OTHER)
    stranger.initiate()
    refused(Code.EID_MISMATCH, lambda: stranger.authenticate("ACME-1"))
    device.download("ACME-1")


def test_without_matching_id_one_is_made(world: World) -> None:
    made = ready(world)["matchingId"]
    assert world.store.newest("matching_id", made) == world.of(OPERATIONAL)
    assert len(made) == 23


def test_a_type_is_taken_profile_by_profile(world: World) -> None:
    paths = fleet(world.home, 2)
    taken = {world.order_by("downloadOrder", profileType="fleet")["iccid"].rstrip("F") for _ in range(2)}
    assert taken == {world.orders.catalogue.load(path).iccid for path in paths}
    refused(Code.TYPE_EXHAUSTED, lambda: world.order_by("downloadOrder", profileType="fleet"))
    given_back = min(taken)
    world.order_by("cancelOrder", iccid=given_back, finalProfileStatusIndicator="Available")
    assert world.order_by("downloadOrder", profileType="fleet")["iccid"].rstrip("F") == given_back
    world.order_by("cancelOrder", iccid=given_back, finalProfileStatusIndicator="Unavailable")
    refused(Code.TYPE_EXHAUSTED, lambda: world.order_by("downloadOrder", profileType="fleet"))


@pytest.mark.parametrize("final", ["Available", "Unavailable"])
@pytest.mark.parametrize("state", ["allocated", "linked", "confirmed", "released", "error"])
def test_cancelling_from_every_state_before_the_download(world: World, device: Device, state: str, final: str) -> None:
    world.order_by("downloadOrder", iccid=OPERATIONAL, **({"eid": EID} if state == "linked" else {}))
    if state not in ("allocated", "linked"):
        world.order_by("confirmOrder", iccid=OPERATIONAL, matchingId="A", releaseFlag=state != "confirmed")
    if state == "error":
        device.initiate()
        device.authenticate("A")
        device.cancel(0)
    assert world.of(OPERATIONAL).state == state
    world.order_by("cancelOrder", iccid=OPERATIONAL, finalProfileStatusIndicator=final)
    assert world.of(OPERATIONAL).state == final.lower()
    device.initiate()
    refused(Code.MATCHING_ID, lambda: device.authenticate("A"))
    if final == "Available":
        world.order_by("downloadOrder", iccid=OPERATIONAL)
        return
    refused(Code.PROFILE_IN_USE, lambda: world.order_by("downloadOrder", iccid=OPERATIONAL))
    back = {"iccid": OPERATIONAL, "finalProfileStatusIndicator": "Available"}
    refused(Code.PROFILE_IN_USE, lambda: world.order_by("cancelOrder", **back))


def test_a_deleted_profile_by_either_reading(reads: Callable[..., World]) -> None:
    for reading, code in (("available", None), ("unavailable", Code.PROFILE_IN_USE)):
        world = reads(deleted_profile=reading)
        device = world.device()
        device.download(ready(world)["matchingId"])
        device.notify(device.pir(OPERATIONAL))
        refused(Code.PROFILE_IN_USE, lambda world=world: world.order_by("downloadOrder", iccid=OPERATIONAL))  # type: ignore[misc]
        device.notify(device.event(3, OPERATIONAL))
        if code is None:
            world.order_by("downloadOrder", iccid=OPERATIONAL)
        else:
            refused(code, lambda world=world: world.order_by("downloadOrder", iccid=OPERATIONAL))  # type: ignore[misc]


# --- refusals -------------------------------------------------------------------------------------------------------


def test_who_calls(world: World) -> None:
    header = {"functionRequesterIdentifier": "2.999.30", "functionCallIdentifier": "1"}
    members = {"iccid": OPERATIONAL, "releaseFlag": True, "finalProfileStatusIndicator": "Available"}
    for function in FUNCTIONS:
        for operator in ("", "other"):  # no operator's certificate; one that must name itself 2.999.31
            answer = world.es2_raw(function, {"header": header, **members}, operator)
            data = answer["header"]["functionExecutionStatus"]["statusCodeData"]
            assert (data["subjectCode"], data["reasonCode"]) == ("1.1", "1.1")
    assert world.store.orders() == []


def test_another_operators_profile(world: World) -> None:
    ready(world, matchingId="A")
    for function, members in (
        ("confirmOrder", {"releaseFlag": True}),
        ("releaseProfile", {}),
        ("cancelOrder", {"finalProfileStatusIndicator": "Available"}),
    ):
        refused(
            Code.PROFILE_FORBIDDEN, lambda f=function, m=members: world.order_by(f, "other", iccid=OPERATIONAL, **m)
        )  # type: ignore[misc]
        # One that nobody has ordered is nobody's, and the bench's own orders are not an operator's.
        refused(Code.PROFILE_FORBIDDEN, lambda f=function, m=members: world.order_by(f, iccid=BOOTSTRAP, **m))  # type: ignore[misc]
    world.place("bootstrap")
    refused(Code.PROFILE_FORBIDDEN, lambda: world.order_by("releaseProfile", iccid=BOOTSTRAP))
    assert world.of(OPERATIONAL).state == "released"


def test_what_an_operator_may_not_order(world: World) -> None:
    refused(Code.PROFILE_FORBIDDEN, lambda: world.order_by("downloadOrder", "other", iccid=BOOTSTRAP))
    refused(Code.TYPE_FORBIDDEN, lambda: world.order_by("downloadOrder", "other", profileType="bootstrap"))
    assert world.order_by("downloadOrder", "other", profileType="operational") == {"iccid": PADDED}


def test_profiles_that_there_are_not(world: World) -> None:
    unknown = "8900101000000000993"
    for function, members in (
        ("downloadOrder", {}),
        ("confirmOrder", {"releaseFlag": True}),
        ("releaseProfile", {}),
        ("cancelOrder", {"finalProfileStatusIndicator": "Available"}),
    ):
        refused(Code.PROFILE_UNKNOWN, lambda f=function, m=members: world.order_by(f, iccid=unknown, **m))  # type: ignore[misc]
    refused(Code.TYPE_UNKNOWN, lambda: world.order_by("downloadOrder", profileType="gold"))
    mismatch = {"iccid": OPERATIONAL, "profileType": "bootstrap"}
    refused(Code.TYPE_MISMATCH, lambda: world.order_by("downloadOrder", **mismatch))
    world.order_by("downloadOrder", iccid=OPERATIONAL, profileType="operational")
    refused(Code.PROFILE_IN_USE, lambda: world.order_by("downloadOrder", iccid=OPERATIONAL))


def test_confirm_order_with_an_eid(world: World) -> None:
    world.order_by("downloadOrder", iccid=OPERATIONAL, eid=EID)
    confirm = {"iccid": OPERATIONAL, "releaseFlag": True}
    refused(Code.EID_OTHER, lambda: world.order_by("confirmOrder", **confirm, eid=OTHER))
    refused(Code.SMDS_UNREACHABLE, lambda: world.order_by("confirmOrder", **confirm, smdsAddress="lpa.ds.gsma.com"))
    world.order_by("downloadOrder", iccid=BOOTSTRAP)
    confirm["iccid"] = BOOTSTRAP
    refused(Code.EID_MISSING, lambda: world.order_by("confirmOrder", **confirm, smdsAddress="lpa.ds.gsma.com"))
    refused(Code.EID_MISSING, lambda: world.order_by("confirmOrder", **confirm, matchingId=""))
    assert [order.state for order in world.store.orders()] == ["allocated", "linked"]


def test_matching_ids(world: World) -> None:
    ready(world, matchingId="ACME-1")
    world.order_by("downloadOrder", iccid=BOOTSTRAP)
    confirm = {"iccid": BOOTSTRAP, "releaseFlag": True}
    refused(Code.MATCHING_ID_IN_USE, lambda: world.order_by("confirmOrder", **confirm, matchingId="ACME-1"))
    for wrong in ("acme", "A B", "A" * 256, "Ä"):
        refused(
            Code.MATCHING_ID_INVALID, lambda wrong=wrong: world.order_by("confirmOrder", **confirm, matchingId=wrong)
        )  # type: ignore[misc]
    for code in ("", "1" * 256):
        refused(
            Code.PROTOCOL_FORMAT, lambda code=code: world.order_by("confirmOrder", **confirm, confirmationCode=code)
        )  # type: ignore[misc]
    cancel = {"iccid": OPERATIONAL, "finalProfileStatusIndicator": "Available"}
    refused(Code.MATCHING_ID_OTHER, lambda: world.order_by("cancelOrder", **cancel, matchingId="ACME-2"))
    refused(Code.PROFILE_OTHER_EID, lambda: world.order_by("cancelOrder", **cancel, eid=EID))
    world.order_by("cancelOrder", **cancel, matchingId="ACME-1")
    world.order_by("confirmOrder", **confirm, matchingId="ACME-1")  # an ended order keeps nothing from others


def test_states_that_a_function_needs(world: World, device: Device) -> None:
    confirm = {"iccid": OPERATIONAL, "releaseFlag": True}
    world.order_by("downloadOrder", iccid=OPERATIONAL)
    refused(Code.PROFILE_STATE, lambda: world.order_by("releaseProfile", iccid=OPERATIONAL))
    matching_id = world.order_by("confirmOrder", **confirm)["matchingId"]
    refused(Code.PROFILE_STATE, lambda: world.order_by("confirmOrder", **confirm))
    refused(Code.PROFILE_STATE, lambda: world.order_by("releaseProfile", iccid=OPERATIONAL))
    device.download(matching_id)
    cancel = {"iccid": OPERATIONAL, "finalProfileStatusIndicator": "Available"}
    refused(Code.PROFILE_IN_USE, lambda: world.order_by("cancelOrder", **cancel))
    device.notify(device.pir(OPERATIONAL))
    refused(Code.PROFILE_IN_USE, lambda: world.order_by("cancelOrder", **cancel))
    assert world.of(OPERATIONAL).state == "installed"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_members_that_are_missing_or_wrong(world: World, function: str) -> None:
    header = {"functionRequesterIdentifier": "x", "functionCallIdentifier": "y"}

    def code(body: dict[str, Any]) -> tuple[str, str]:
        data = world.es2_raw(function, body)["header"]["functionExecutionStatus"]["statusCodeData"]
        return data["subjectCode"], data["reasonCode"]

    missing, wrong = (Code.MISSING_ELEMENT.subject, Code.MISSING_ELEMENT.reason), ("1.3.1", "2.1")
    assert code({"iccid": OPERATIONAL}) == missing
    assert code({"iccid": OPERATIONAL, "header": "x"}) == wrong
    assert code({"iccid": OPERATIONAL, "header": {"functionRequesterIdentifier": "x"}}) == missing
    assert code({"iccid": OPERATIONAL, "header": {**header, "functionCallIdentifier": 1}}) == wrong
    more = {"releaseFlag": True, "finalProfileStatusIndicator": "Available"}
    assert code({"header": header, **more}) == (("8.2.1", "2.2") if function == "cancelOrder" else missing)
    for iccid in ("1" * 17, "1" * 21, "12345678901234567x", 1, "\ud800"):
        assert code({"header": header, **more, "iccid": iccid}) == wrong
    if function in ("downloadOrder", "cancelOrder"):
        assert code({"header": header, **more, "iccid": OPERATIONAL, "eid": EID[:-1] + "6"}) == wrong
    if function == "cancelOrder":
        assert code({"header": header, "iccid": OPERATIONAL}) == ("8.2.1", "2.2")
        assert code({"header": header, "iccid": OPERATIONAL, "finalProfileStatusIndicator": "available"}) == wrong
    if function == "confirmOrder":
        world.order_by("downloadOrder", iccid=OPERATIONAL)
        assert code({"header": header, "iccid": OPERATIONAL}) == missing
        assert code({"header": header, "iccid": OPERATIONAL, "releaseFlag": "true"}) == wrong


def test_iccids_as_operators_write_them(world: World) -> None:
    world.order_by("downloadOrder", iccid=PADDED)
    world.order_by("confirmOrder", iccid=OPERATIONAL, releaseFlag=False)
    world.order_by("releaseProfile", iccid=OPERATIONAL + "f")
    assert world.of(OPERATIONAL).state == "released"


def test_an_iccid_of_19_digits_by_either_reading(reads: Callable[..., World]) -> None:
    assert reads(es2_iccid="digits").order_by("downloadOrder", iccid=PADDED) == {"iccid": OPERATIONAL}


# --- calls that are repeated ----------------------------------------------------------------------------------------


def test_a_repeated_call_gets_the_first_answer_and_does_nothing_twice(world: World) -> None:
    header = {"functionRequesterIdentifier": "x", "functionCallIdentifier": "CALL-1"}
    order = {"header": header, "profileType": "operational"}
    first = world.es2_raw("downloadOrder", order)
    world.restart()
    assert world.es2_raw("downloadOrder", order) == first
    assert len(world.store.orders()) == 1
    confirm = {"header": header, "iccid": OPERATIONAL, "releaseFlag": True}  # the identifier is one of a function
    answer = world.es2_raw("confirmOrder", confirm)
    assert answer["matchingId"]
    assert world.es2_raw("confirmOrder", confirm) == answer
    other = world.es2_raw("confirmOrder", {**confirm, "matchingId": "OTHER"})
    assert other["header"]["functionExecutionStatus"]["status"] == "Failed"  # other content: another call
    stranger = {**order, "header": {**header, "functionRequesterIdentifier": "2.999.31"}}
    data = world.es2_raw("downloadOrder", stranger, "other")["header"]["functionExecutionStatus"]["statusCodeData"]
    assert (data["subjectCode"], data["reasonCode"]) == ("8.2.5", "3.7")


def test_a_repeated_call_is_forgotten_and_a_refusal_is_tried_again(world: World) -> None:
    now = [5000.0]
    world.es2._clock = lambda: now[0]
    header = {"functionRequesterIdentifier": "x", "functionCallIdentifier": "CALL-1"}
    order = {"header": header, "iccid": OPERATIONAL}
    placed = world.place()
    refusal = world.es2_raw("downloadOrder", order)
    assert refusal["header"]["functionExecutionStatus"]["status"] == "Failed"
    world.orders.cancel(placed.id, state="available")
    assert "iccid" in world.es2_raw("downloadOrder", order)
    now[0] += 601
    assert "iccid" not in world.es2_raw("downloadOrder", order)
    assert world.store.db.execute("SELECT count(*) FROM calls").fetchone() == (1,)


def test_a_repeated_call_by_the_other_reading(reads: Callable[..., World]) -> None:
    world = reads(repeated_call="new-call")
    order = {"header": {"functionRequesterIdentifier": "x", "functionCallIdentifier": "downloadOrder"}}
    for iccid in (OPERATIONAL, BOOTSTRAP):
        assert "iccid" in world.es2_raw("downloadOrder", {**order, "iccid": iccid})
    again = world.es2_raw("downloadOrder", {**order, "iccid": BOOTSTRAP})
    assert again["header"]["functionExecutionStatus"]["statusCodeData"]["reasonCode"] == "3.3"


def test_a_call_is_all_or_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.order_by("downloadOrder", iccid=OPERATIONAL)

    def fail(*_arguments: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(world.es2, "_remember", fail)
    with pytest.raises(RuntimeError):
        world.order_by("confirmOrder", iccid=OPERATIONAL, releaseFlag=True)
    assert world.of(OPERATIONAL).state == "allocated"


# --- anything that may come -----------------------------------------------------------------------------------------

_MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "iccid": st.sampled_from([OPERATIONAL, PADDED, BOOTSTRAP, "x", 5, None]),
        "eid": st.sampled_from([EID, OTHER, "1", "", None, []]),
        "profileType": st.sampled_from(["operational", "bootstrap", "gold", "", 7]),
        "matchingId": st.one_of(st.sampled_from(["A", "", "a"]), st.text(max_size=5)),
        "confirmationCode": st.one_of(st.text(max_size=5), st.integers()),
        "smdsAddress": st.sampled_from(["", "lpa.ds.gsma.com"]),
        "releaseFlag": st.sampled_from([True, False, "true", 1]),
        "finalProfileStatusIndicator": st.sampled_from(["Available", "Unavailable", "x"]),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(
        st.tuples(st.sampled_from(FUNCTIONS), st.sampled_from(["operator", "other", ""]), _MEMBERS), max_size=12
    )
)
def test_no_sequence_of_calls_leaves_the_life_cycle(world: World, calls: list[tuple[str, str, dict[str, Any]]]) -> None:
    for function, operator, members in calls:
        world.calls += 1
        header = {"functionRequesterIdentifier": "2.999.31", "functionCallIdentifier": str(world.calls)}
        answer = world.es2_raw(function, {"header": header, **members}, operator)
        json.dumps(answer)
        status = answer["header"]["functionExecutionStatus"]
        if status["status"] == "Failed":
            data = status["statusCodeData"]
            assert (data["subjectCode"], data["reasonCode"]) in {(c.subject, c.reason) for c in REFUSALS[function]}
    for order in world.store.orders():
        states = ["", *(state for _, state, _ in world.store.history(order.id))]
        for before, after in itertools.pairwise(states):
            lifecycle.check(before, after)
        assert order.state == states[-1]
    for iccid in (OPERATIONAL, BOOTSTRAP):
        assert len(world.store.open_orders(iccid)) <= 1


def test_the_life_cycle_knows_its_states() -> None:
    assert set(lifecycle.MOVES) == {"", *lifecycle.STATES}
    assert all(set(targets) <= set(lifecycle.STATES) for targets in lifecycle.MOVES.values())
    for before, after in (("released", "allocated"), ("installed", "released"), ("unavailable", "released")):
        with pytest.raises(ValueError, match="cannot go"):
            lifecycle.check(before, after)


def test_the_record_of_a_call_has_no_confirmation_code(world: World) -> None:
    """The HTTP binding without TLS: nobody's certificate, and what the observer is told."""
    recorded: list[tuple[str, bytes, str]] = []

    class Observer:
        active = True

        def record(self, lane: str, direction: int, body: bytes, **more: Any) -> None:
            recorded.append((lane, body, more["comment"]))

    async def run() -> None:
        application = http_es2.application(world.es2, world.operators, Observer())  # type: ignore[arg-type]
        async with TestClient(TestServer(application)) as client:
            for body in (
                b'{"iccid": "1", "confirmationCode": "hidden-code"}',
                b'{"confirmation\\u0043ode": "hidden-code"}',
                b'{"x": {"confirmationCode": "hidden-code"}}',
                b'{"confirmationCode": "hidden-code"',
            ):
                headers = {"X-Admin-Protocol": "gsma/rsp/v2.5.0", "Content-Type": "application/json"}
                answer = await client.post("/gsma/rsp2/es2plus/confirmOrder", data=body, headers=headers)
                assert answer.status in (200, 400)
                await answer.read()

    asyncio.run(run())
    assert len(recorded) == 8
    assert {lane for lane, _, _ in recorded} == {"es2plus"}
    assert recorded[1][2] == "confirmOrder response: Failed 1.3.1/2.2"
    assert b"hidden-code" not in b"".join(body for _, body, _ in recorded)


def test_confirmation_codes_are_not_kept_in_clear(world: World) -> None:
    ready(world, confirmationCode="hidden-code")
    dump = "\n".join(world.store.db.iterdump())
    assert "hidden-code" not in dump
    assert base64.b64encode(b"hidden-code").decode() not in dump
