"""ES9+ in ASN.1 (SGP.22 section 6.6): whole downloads, every error number, literal bytes, and pycrate's opinion."""

from __future__ import annotations

import base64
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from conftest import World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rsp import oracle
from smdpp_device import ADDRESS, Device, b64, parts, t, unb64, value_of

from bench.rsp.asn1.schema import NUMBERS
from fixtures.smdpp import es9_asn1
from fixtures.smdpp.notifications import Received

ICCID = "8900101000000000027"
TAGS = {
    "initiateAuthentication": 0xBF39,
    "authenticateClient": 0xBF3B,
    "getBoundProfilePackage": 0xBF3A,
    "cancelSession": 0xBF41,
    "handleNotification": 0xBF3D,
}
ERRORS = {
    "initiateAuthentication": "InitiateAuthenticationResponse.initiateAuthenticationError",
    "authenticateClient": "AuthenticateClientResponseEs9.authenticateClientError",
    "getBoundProfilePackage": "GetBoundProfilePackageResponse.getBoundProfilePackageError",
    "cancelSession": "CancelSessionResponseEs9.cancelSessionError",
}


class Number(Exception):
    """The SM-DP+ answered with an error number."""


class Binding:
    """Turns what the device sends in JSON into ASN.1 by hand, and the answers back; keeps both."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent: list[bytes] = []
        self.received: list[bytes] = []

    def request(self, function: str, body: dict[str, Any]) -> bytes:
        tag = TAGS[function]
        if function == "initiateAuthentication":
            challenge, info1 = unb64(body["euiccChallenge"]), unb64(body["euiccInfo1"])
            return t(0xA2, t(tag, t(0x81, challenge), t(0x83, body["smdpAddress"].encode()), info1))
        if function == "handleNotification":
            return t(0xA2, t(tag, t(0xA0, unb64(body["pendingNotification"]))))
        transaction = t(0x80, bytes.fromhex(body["transactionId"]))
        if function == "cancelSession":
            return t(0xA2, t(tag, transaction, t(0xA1, value_of(unb64(body["cancelSessionResponse"]), 0xBF41))))
        member = {"authenticateClient": "authenticateServerResponse"}.get(function, "prepareDownloadResponse")
        return t(0xA2, t(tag, transaction, unb64(body[member])))

    def call(self, function: str, body: dict[str, Any]) -> Any:
        self.sent.append(self.request(function, body))
        answer = es9_asn1.call(self.world.es9, self.sent[-1])
        if isinstance(answer, Received):
            return None
        self.received.append(answer)
        ((tag, inner, _),) = parts(value_of(answer, 0xA2))
        assert tag == TAGS[function]
        ((choice, content, _),) = parts(inner)
        if choice == 0x81:
            raise Number(int.from_bytes(content, "big"))
        assert choice == 0xA0
        members = {
            "initiateAuthentication": (
                (0x30, "serverSigned1"),
                (0x5F37, "serverSignature1"),
                (0x04, "euiccCiPKIdToBeUsed"),
                (0x30, "serverCertificate"),
            ),
            "authenticateClient": (
                (0xBF25, "profileMetadata"),
                (0x30, "smdpSigned2"),
                (0x5F37, "smdpSignature2"),
                (0x30, "smdpCertificate"),
            ),
            "getBoundProfilePackage": ((0xBF36, "boundProfilePackage"),),
            "cancelSession": (),
        }[function]
        told: dict[str, Any] = {"header": {"functionExecutionStatus": {"status": "Executed-Success"}}}
        pieces = parts(content)
        if function != "cancelSession":
            (first, transaction, _), *pieces = pieces
            assert first == 0x80
            told["transactionId"] = transaction.hex().upper()
        assert [tag for tag, _, _ in pieces] == [tag for tag, _ in members]
        return told | {name: b64(raw) for (_, name), (_, _, raw) in zip(members, pieces, strict=True)}


@pytest.fixture
def binding(world: World) -> Binding:
    return Binding(world)


@pytest.fixture
def device(world: World, binding: Binding) -> Device:
    return Device(world.pki, binding.call)


def number(action: Callable[[], object]) -> int:
    with pytest.raises(Number) as caught:
        action()
    return int(caught.value.args[0])


def test_a_download_and_its_notifications(world: World, device: Device) -> None:
    order = world.place(confirmation_code="12")
    profile = device.download(order.matching_id, "12")[2]
    assert profile == (world.home / "profiles" / "operational.der").read_bytes()
    device.notify(device.pir(ICCID))
    device.notify(device.event(1, ICCID))
    after = world.order(order)
    assert (after.state, after.profile_state) == ("installed", "enabled")


def test_a_session_that_is_cancelled(world: World, device: Device, binding: Binding) -> None:
    order = world.place()
    device.initiate()
    device.authenticate(order.matching_id)
    device.cancel(0)
    assert binding.received[-1] == bytes.fromhex("A205BF4102A000")
    assert world.order(order).state == "error"
    assert number(lambda: device.cancel(0)) == 1


def test_literal_bytes(world: World, binding: Binding) -> None:
    """Requests as they stand on the wire, and the errors that answer them."""
    challenge, info1 = (
        "00112233445566778899AABBCCDDEEFF",
        "BF20358203020500A9160414" + "11" * 20 + "AA160414" + "11" * 20,
    )
    address = "8313" + ADDRESS.encode().hex()
    for name, told in ((address, "A206BF3903810103"), ("8301" + b"x".hex(), "A206BF3903810101")):
        inner = "8110" + challenge + name + info1
        request = bytes.fromhex(f"A2{len(inner) // 2 + 3:02X}BF39{len(inner) // 2:02X}" + inner)
        assert es9_asn1.call(world.es9, request) == bytes.fromhex(told)
    body = {
        "euiccChallenge": b64(bytes.fromhex(challenge)),
        "euiccInfo1": b64(bytes.fromhex(info1)),
        "smdpAddress": ADDRESS,
    }
    inner = "8110" + challenge + address + info1
    assert binding.request("initiateAuthentication", body).hex().upper() == f"A262BF395F{inner}".upper()
    old = inner.replace("8203020500", "8203010900")
    assert es9_asn1.call(world.es9, bytes.fromhex(f"A262BF395F{old}")) == bytes.fromhex("A206BF3903810102")
    session = "8010" + "00" * 16
    for request, told in (
        (f"A219BF3B16{session}BF380100", None),
        (f"A21ABF3B17{session}BF3802A100", "A206BF3B0381010A"),
        (f"A21ABF3A17{session}BF2102A100", "A206BF3A0381015F"),
        (f"A21ABF4117{session}A10381017F", "A206BF4103810101"),
    ):
        if told is not None:
            assert es9_asn1.call(world.es9, bytes.fromhex(request)) == bytes.fromhex(told)


def test_every_error_of_authenticate_client(
    world: World, device: Device, flip: Callable[[bytes], bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import datetime

    from fixtures.pki import Pki, valid_eid

    order = world.place()
    past = {
        "not_before": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        "not_after": datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC),
    }

    def tried(what: Device, matching_id: str | None = order.matching_id) -> int:
        what.initiate()
        return number(lambda: what.authenticate(matching_id))

    def other(**more: Any) -> Device:
        return Device(world.pki, device.call_raw, **more)

    def changed(name: str) -> Device:
        made = other()
        made.change = lambda which, data: flip(data) if which == name else data
        return made

    expired = other()
    expired.eum = world.pki.issue("eum", **past).certificate
    poor = other()
    poor.free = 10
    unfit = other()
    unfit.profile_version = b"\x01\x00\x00"
    foreign = Pki.open(tmp_path_factory.mktemp("foreign")).euicc(device.eid)
    seen = {
        tried(changed("eumCertificate")): 1,
        tried(expired): 2,
        tried(changed("euiccCertificate")): 3,
        tried(other(credential=world.pki.issue("euicc", eid=device.eid, **past))): 4,
        tried(changed("euiccSignature1")): 5,
        tried(device, "NO-SUCH"): 6,
        tried(other(eid=valid_eid(4)), world.place("bootstrap", eid=device.eid).matching_id): 7,
        tried(unfit): 8,
        tried(other(credential=foreign)): 9,
        tried(poor): 11,
        tried(device, world.place(release=False).matching_id): 127,
    }
    device.transaction = bytes(16)
    device.initiate()
    device.transaction = bytes(16)
    seen[number(lambda: device.authenticate("X"))] = 10
    assert all(found == expected for found, expected in seen.items())
    assert set(seen) == set(NUMBERS["RSPDefinitions"][ERRORS["authenticateClient"]])


def test_every_error_of_get_bound_profile_package(
    world: World, device: Device, flip: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    seen = set()

    def tried(code: str | None = None, *, expected: int, **order: Any) -> None:
        placed = world.place(**order)
        device.initiate()
        device.authenticate(placed.matching_id)
        found = number(lambda: device.get_bpp(code))
        assert found == expected
        seen.add(found)

    tried(confirmation_code="1", expected=2)
    tried("2", confirmation_code="1", expected=3)
    device.change = lambda name, data: flip(data) if name == "euiccSignature2" else data
    tried(expected=1)
    device.change = lambda name, data: (
        t(0xBF21, t(0xA1, t(0x80, device.transaction), t(0x02, b"\x7f"))) if name == "prepareDownloadResponse" else data
    )
    tried(expected=127)
    device.change = lambda _name, data: data
    order = world.place(confirmation_code="1")
    for expected in (3, 3, 4):
        device.initiate()
        device.authenticate(order.matching_id)
        assert number(lambda: device.get_bpp("2")) == expected
    seen.add(4)
    order = world.place(rebinding="refuse")
    device.download(order.matching_id)
    device.initiate()
    device.authenticate(order.matching_id)
    seen.add(number(device.get_bpp))  # another one-time key: 5
    order = world.place(expires_in=60)
    device.initiate()
    device.authenticate(order.matching_id)
    later = time.time() + 61
    monkeypatch.setattr("fixtures.smdpp.es9.time.time", lambda: later)
    seen.add(number(device.get_bpp))  # 6
    monkeypatch.undo()
    device.transaction = bytes(16)
    seen.add(number(device.get_bpp))  # 95
    assert seen == set(NUMBERS["RSPDefinitions"][ERRORS["getBoundProfilePackage"]])


def test_every_error_of_cancel_session(world: World, device: Device, flip: Callable[[bytes], bytes]) -> None:
    device.initiate()
    device.authenticate(world.place().matching_id)
    assert number(lambda: device.cancel(0, oid=bytes.fromhex("883701"))) == 127
    device.change = lambda name, data: flip(data) if name == "cancelSignature" else data
    assert number(lambda: device.cancel(0)) == 2
    device.transaction = bytes(16)
    assert number(lambda: device.cancel(0)) == 1


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "30",
        "A2",
        "A200",
        "3000",
        "A203BF3900",
        "A203BF3B00",
        "A2031F8100",
        "A206BF3900BF3900",
        "A203BF3D00",
        "BF3900",
    ],
)
def test_what_is_no_request(world: World, junk: str) -> None:
    with pytest.raises(es9_asn1.NotUnderstood):
        es9_asn1.call(world.es9, bytes.fromhex(junk))


def test_what_has_no_number_is_not_understood(world: World, device: Device) -> None:
    body = {"euiccChallenge": b64(bytes(15)), "euiccInfo1": b64(device.info1()), "smdpAddress": ADDRESS}
    with pytest.raises(es9_asn1.NotUnderstood, match="15 bytes"):
        es9_asn1.call(world.es9, Binding(world).request("initiateAuthentication", body))
    with pytest.raises(es9_asn1.NotUnderstood):
        es9_asn1.call(world.es9, Binding(world).request("handleNotification", {"pendingNotification": "MAA="}))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutation_breaks_it(world: World, data: st.DataObject) -> None:
    binding = Binding(world)
    device = Device(world.pki, binding.call)
    order = world.place(max_attempts=10_000)
    device.initiate()
    if data.draw(st.booleans()):
        device.authenticate(order.matching_id)
    raw = bytearray(data.draw(st.sampled_from(binding.sent)))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        answer = es9_asn1.call(world.es9, bytes(raw))
    except es9_asn1.NotUnderstood:
        return
    assert isinstance(answer, bytes)
    assert answer[0] == 0xA2


# --- pycrate --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pycrate() -> ModuleType:
    pytest.importorskip("pycrate_asn1c", reason="pycrate is needed as independent decoder")
    return oracle.compiled_by_pycrate()


def same(pycrate: ModuleType, name: str, raw: bytes) -> Any:
    found = getattr(pycrate.RSPDefinitions, name)
    found.from_der(raw)
    assert found.to_der() == raw, name
    return found.get_val()


def test_pycrate_reads_every_message_and_writes_it_again(
    world: World, device: Device, binding: Binding, pycrate: ModuleType
) -> None:
    device.iot = False  # pycrate stumbles over extensions that the module of SGP.22 does not have
    order = world.place(policy_rules=0x40)
    device.download(order.matching_id)
    device.notify(device.pir(ICCID))
    device.notify(device.event(1, ICCID))
    device.initiate()
    device.authenticate(world.place().matching_id)
    device.cancel(3)
    number(lambda: device.cancel(3))
    functions = {same(pycrate, "RemoteProfileProvisioningRequest", raw)[0] for raw in binding.sent}
    assert functions == {
        "initiateAuthenticationRequest",
        "authenticateClientRequest",
        "getBoundProfilePackageRequest",
        "cancelSessionRequestEs9",
        "handleNotification",
    }
    answers = [same(pycrate, "RemoteProfileProvisioningResponse", raw) for raw in binding.received]
    assert {name for name, _ in answers} == {
        "initiateAuthenticationResponse",
        "authenticateClientResponseEs9",
        "getBoundProfilePackageResponse",
        "cancelSessionResponseEs9",
    }
    assert answers[-1] == ("cancelSessionResponseEs9", ("cancelSessionError", 1))


def test_pycrate_reads_every_data_object_of_the_json_binding(world: World, pycrate: ModuleType) -> None:
    """What is in base64 in the JSON members, in both directions (sections 6.5.2.6 to 6.5.2.10)."""
    seen: dict[str, bytes] = {}

    def call(function: str, body: dict[str, Any]) -> Any:
        answer = world.call(function, body)
        for members in (body, answer or {}):
            for name, value in members.items():
                if isinstance(value, str) and name not in ("transactionId", "smdpAddress"):
                    seen[name] = base64.b64decode(value, validate=True)
        return answer

    device = Device(world.pki, call)
    device.iot = False
    device.download(world.place(confirmation_code="1").matching_id, "1")
    device.notify(device.pir(ICCID))
    device.initiate()
    device.authenticate(world.place().matching_id)
    device.cancel(127)
    types = {
        "euiccInfo1": "EUICCInfo1",
        "serverSigned1": "ServerSigned1",
        "authenticateServerResponse": "AuthenticateServerResponse",
        "profileMetadata": "StoreMetadataRequest",
        "smdpSigned2": "SmdpSigned2",
        "prepareDownloadResponse": "PrepareDownloadResponse",
        "boundProfilePackage": "BoundProfilePackage",
        "pendingNotification": "PendingNotification",
        "cancelSessionResponse": "CancelSessionResponse",
    }
    for member, name in types.items():
        same(pycrate, name, seen.pop(member))
    assert seen.pop("euiccChallenge") == device.challenge
    assert seen.pop("euiccCiPKIdToBeUsed")[:2] == b"\x04\x14"
    for member in ("serverSignature1", "smdpSignature2"):
        assert seen.pop(member)[:3] == b"\x5f\x37\x40"
    assert {name: raw[:2] for name, raw in seen.items()} == {
        "serverCertificate": b"\x30\x82",
        "smdpCertificate": b"\x30\x82",
    }
