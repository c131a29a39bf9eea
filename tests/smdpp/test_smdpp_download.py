"""The download against a device that shares no code with the SM-DP+: what is right works, what is wrong is refused."""

from __future__ import annotations

import base64
import datetime
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import World
from cryptography.hazmat.primitives.asymmetric import ec
from smdpp_device import Device, Refused, parts, t, value_of

from bench.rsp import ids
from fixtures.pki import Pki, valid_eid
from fixtures.smdpp.orders import DEFAULT_ATTEMPTS
from fixtures.smdpp.status import Code

ICCID = "8900101000000000027"


def refused(code: Code, action: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        action()
    assert caught.value.code == (code.subject, code.reason), str(caught.value)
    return caught.value


def test_a_download_from_order_to_notifications(world: World, device: Device) -> None:
    order = world.place()
    assert order.state == "released"
    configure, metadata, profile = device.download(order.matching_id)
    assert profile == (world.home / "profiles" / "operational.der").read_bytes()
    assert metadata == device.metadata == order.metadata
    assert configure == bytes.fromhex("bf2400")
    assert value_of(metadata, 0xBF25, 0x5A).hex() == "980001010000000020f7"
    assert [value_of(entry, 0x81).decode() for _, entry, _ in parts(value_of(metadata, 0xBF25, 0xB6))] == [
        "smdpp.bench.example"
    ] * 3
    assert world.order(order).state == "downloaded"
    device.notify(device.pir(ICCID))
    device.notify(device.event(1, ICCID))
    after = world.order(order)
    assert (after.state, after.profile_state, after.bound_eid) == ("installed", "enabled", device.eid)
    assert [(n.event, n.seq, n.iccid, n.result) for n in world.store.notifications(order.id)] == [
        ("install", 1, ICCID, "installed"),
        ("enable", 2, ICCID, ""),
    ]
    assert [state for _, state, _ in world.store.history(order.id)] == [
        "released",
        "downloaded",
        "installed",
        "enabled",
    ]


def test_a_consumer_euicc_of_sgp_22(world: World, device: Device) -> None:
    device.iot = False
    device.download(world.place().matching_id)


def test_a_real_profile_in_many_segments(world: World, device: Device) -> None:
    root = Path(os.environ.get("BENCH_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "ts48"
    files = sorted(root.glob("*.der"))
    if not files:
        pytest.skip(f"no profile packages in {root} (set BENCH_SHARED_DATA)")
    folder = world.home / "smdpp" / "profiles"
    folder.mkdir(parents=True)
    for file in files:
        (folder / file.name).write_bytes(file.read_bytes())
        order = world.place(file.stem)
        assert device.download(order.matching_id)[2] == file.read_bytes()  # `load` checks the limit of every segment
        groups = parts(value_of(device.bpp, 0xBF36))
        assert len(parts(groups[3][1])) == -(-file.stat().st_size // 1007)


def test_a_package_that_is_a_file_of_the_user(world: World, device: Device) -> None:
    bootstrap = (world.home / "profiles").parent
    world.orders.catalogue.names()
    data = (world.home / "profiles" / "bootstrap.der").read_bytes()
    (bootstrap / "smdpp" / "profiles").mkdir(parents=True)
    (bootstrap / "smdpp" / "profiles" / "mine.der").write_bytes(data)
    order = world.place("mine")
    assert device.download(order.matching_id)[2] == data
    assert world.place("8900101000000000019").iccid == order.iccid  # by ICCID as well


def test_the_order_keeps_its_package_when_the_file_changes(world: World, device: Device) -> None:
    order = world.place()
    path = world.home / "profiles" / "operational.der"
    data = path.read_bytes()
    path.write_bytes((world.home / "profiles" / "bootstrap.der").read_bytes())
    assert device.download(order.matching_id)[2] == data


# --- InitiateAuthentication -----------------------------------------------------------------------------------------


def test_another_address_is_refused(device: Device) -> None:
    refused(Code.ADDRESS, lambda: device.initiate(address="other.example"))
    device.initiate(address="SMDPP.bench.example.")  # names are compared as DNS does


def test_an_unknown_ci_is_refused(device: Device) -> None:
    refused(Code.CI_UNSUPPORTED, lambda: device.initiate(info1=device.info1(signing=bytes(20))))
    refused(Code.NO_CERTIFICATE, lambda: device.initiate(info1=device.info1(verification=bytes(20))))


def test_an_old_specification_version_is_refused(device: Device) -> None:
    refused(Code.SVN_UNSUPPORTED, lambda: device.initiate(info1=device.info1(svn=b"\x01\x09\x00")))


def test_no_two_sessions_are_alike(device: Device) -> None:
    seen = set()
    for _ in range(20):
        device.initiate()
        seen |= {device.transaction, device.server_challenge}
    assert len(seen) == 40


# --- AuthenticateClient ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("euiccSignature1", Code.EUICC_SIGNATURE),
        ("euiccSigned1 after signing", Code.EUICC_SIGNATURE),
        ("serverChallenge", Code.EUICC_SIGNATURE),
        ("transactionId1", Code.UNKNOWN_TRANSACTION),
        ("serverAddress", Code.ADDRESS),
        ("euiccCertificate", Code.EUICC_INVALID),
        ("eumCertificate", Code.EUM_INVALID),
    ],
)
def test_what_the_euicc_signed_wrong_is_refused(
    world: World, device: Device, flip: Callable[[bytes], bytes], name: str, code: Code
) -> None:
    order = world.place()
    device.initiate()
    device.change = lambda changed, data: flip(data) if changed == name else data
    refused(code, lambda: device.authenticate(order.matching_id))
    assert world.order(order).state == "released"
    device.change = lambda _name, data: data
    device.download(order.matching_id)  # nothing is spoilt for the next session


def test_every_byte_that_is_signed_counts(world: World, device: Device) -> None:
    """A flip anywhere in euiccSigned1 after signing is noticed: verification is over the bytes as received."""
    order = world.place()
    device.initiate()
    body = device.authenticate_body(order.matching_id)
    signed = next(
        raw for tag, _, raw in parts(value_of(base64.b64decode(body["authenticateServerResponse"]), 0xBF38, 0xA0))
    )
    for at in range(4, len(signed), 7):
        device.initiate()
        device.change = (
            lambda name, data, at=at: (  # type: ignore[misc]
                data[:at] + bytes((data[at] ^ 0x40,)) + data[at + 1 :] if name == "euiccSigned1 after signing" else data
            )
        )
        with pytest.raises(Refused) as caught:
            device.authenticate(order.matching_id)
        assert caught.value.code in ((Code.EUICC_SIGNATURE.subject, "6.1"), ("1.3.1", "2.1"))


def test_certificates_are_checked_to_the_ci(world: World, device: Device) -> None:
    order = world.place()
    pki = world.pki
    past = {
        "not_before": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        "not_after": datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC),
    }

    def attempt(code: Code, changed: Device) -> None:
        changed.initiate()
        refused(code, lambda: changed.authenticate(order.matching_id))

    attempt(Code.EUICC_EXPIRED, world.device(credential=pki.issue("euicc", eid=device.eid, **past)))
    expired_eum = world.device()
    expired_eum.eum = pki.issue("eum", **past).certificate
    attempt(Code.EUM_EXPIRED, expired_eum)
    not_an_eum = world.device()
    not_an_eum.eum = pki.dp_auth.certificate
    attempt(Code.EUM_INVALID, not_an_eum)
    not_a_euicc = world.device()
    not_a_euicc.own, not_a_euicc.eum = pki.dp_auth, pki.eum.certificate
    attempt(Code.EUICC_INVALID, not_a_euicc)
    # An EID that the EUM may not certify: the critical name constraint of its certificate.
    foreign = ids.eid_with_check_digits("8904909912345123451234512345" + "67")
    attempt(Code.EUICC_INVALID, world.device(credential=pki.issue("euicc", eid=foreign)))
    assert world.order(order).state == "released"


def test_a_foreign_ci_is_refused(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    order = world.place()
    stranger = world.device(
        credential=Pki.open(tmp_path_factory.mktemp("other")).euicc("89049032123451234512345678901235")
    )
    stranger.initiate()
    refused(Code.UNKNOWN_CI, lambda: stranger.authenticate(order.matching_id))


def test_an_error_of_the_euicc_is_told_by_name(world: World, device: Device) -> None:
    device.initiate()
    device.change = lambda name, data: (
        t(0xBF38, t(0xA1, t(0x80, device.transaction), t(0x02, b"\x07")))
        if name == "authenticateServerResponse"
        else data
    )
    error = refused(Code.EUICC_ERROR, lambda: device.authenticate("X"))
    assert "ciPKUnknown(7)" in error.message


def test_matching_ids(world: World, device: Device) -> None:
    device.initiate()
    refused(Code.MATCHING_ID, lambda: device.authenticate("NO-SUCH"))
    cancelled = world.place()
    world.orders.cancel(cancelled.id)
    device.initiate()
    refused(Code.MATCHING_ID, lambda: device.authenticate(cancelled.matching_id))
    confirmed = world.place(release=False)
    device.initiate()
    refused(Code.NOT_RELEASED, lambda: device.authenticate(confirmed.matching_id))
    world.orders.release(confirmed.id)
    device.download(confirmed.matching_id)
    device.notify(device.pir(ICCID))
    device.initiate()
    refused(Code.MATCHING_ID, lambda: device.authenticate(confirmed.matching_id))  # used


def test_an_order_for_another_eid_is_refused(world: World, device: Device) -> None:
    other = valid_eid(4)
    order = world.place(eid=other)
    device.initiate()
    refused(Code.EID_MISMATCH, lambda: device.authenticate(order.matching_id))
    world.device(eid=other).download(order.matching_id)


def test_an_order_is_bound_to_the_first_euicc(world: World, device: Device) -> None:
    order = world.place()
    device.download(order.matching_id)
    other = world.device(eid=valid_eid(4))
    other.initiate()
    refused(Code.EID_MISMATCH, lambda: other.authenticate(order.matching_id))


def test_two_euiccs_in_one_race_for_an_order(world: World, device: Device) -> None:
    order = world.place()
    other = world.device(eid=valid_eid(4))
    for racer in (device, other):
        racer.initiate()
        racer.authenticate(order.matching_id)
    device.get_bpp()
    refused(Code.EID_MISMATCH, other.get_bpp)


def test_an_order_that_ends_between_authentication_and_package(world: World, device: Device) -> None:
    order = world.place()
    device.initiate()
    device.authenticate(order.matching_id)
    world.orders.cancel(order.id)
    refused(Code.MATCHING_ID, device.get_bpp)


def test_the_last_download_goes_to_the_first_of_two_sessions(world: World, device: Device) -> None:
    order = world.place(max_attempts=1)
    other = world.device()
    for session in (device, other):
        session.initiate()
        session.authenticate(order.matching_id)
    device.get_bpp()
    refused(Code.RETRIES, other.get_bpp)
    assert (world.order(order).state, world.order(order).error) == ("error", "download retries")


def test_an_expired_order_is_refused(world: World, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    order = world.place(expires_in=60)
    device.initiate()
    later = time.time() + 61
    monkeypatch.setattr("fixtures.smdpp.es9.time.time", lambda: later)
    refused(Code.EXPIRED, lambda: device.authenticate(order.matching_id))


@pytest.mark.parametrize("matching_id", [None, ""])
def test_without_matching_id_the_order_of_the_eid_is_meant(
    world: World, device: Device, matching_id: str | None
) -> None:
    world.place()  # for anybody: not meant
    device.initiate()
    refused(Code.EID_MISMATCH, lambda: device.authenticate(matching_id))
    order = world.place(eid=device.eid)
    device.download(matching_id)
    assert world.order(order).state == "downloaded"


def test_a_card_without_memory_is_refused(world: World, device: Device) -> None:
    order = world.place()
    device.free = 100
    device.initiate()
    refused(Code.NO_MEMORY, lambda: device.authenticate(order.matching_id))


def test_a_card_that_cannot_take_the_profile_is_refused(world: World, device: Device) -> None:
    order = world.place(policy_rules=0x40)
    device.profile_version = b"\x01\x00\x00"
    device.initiate()
    refused(Code.NOT_ELIGIBLE, lambda: device.authenticate(order.matching_id))
    device.profile_version = b"\x03\x00\x00"
    device.forbidden = b"\x06\x40"
    device.initiate()
    refused(Code.NOT_ELIGIBLE, lambda: device.authenticate(order.matching_id))
    device.forbidden = b"\x05\x20"
    device.download(order.matching_id)
    assert value_of(device.metadata, 0xBF25, 0x99) == b"\x06\x40"


# --- sessions -------------------------------------------------------------------------------------------------------


def test_a_repeated_step_has_the_same_answer_until_the_session_goes_on(world: World, device: Device) -> None:
    """A client that lost the answer asks again; nothing is signed, counted or written for it."""
    order = world.place()
    device.initiate()
    body = device.authenticate_body(order.matching_id)
    answer = device.call("authenticateClient", body)
    history = world.store.history(order.id)
    assert device.call("authenticateClient", body) == answer
    assert world.store.history(order.id) == history
    device.take_offer(answer)
    other = world.device()
    other.transaction, other.server_challenge = device.transaction, device.server_challenge
    changed = other.authenticate_body(order.matching_id)  # the same eUICC signs once more: other bytes
    refused(Code.UNKNOWN_TRANSACTION, lambda: device.call("authenticateClient", changed))
    request = device.prepare_body()
    package = device.call("getBoundProfilePackage", request)
    assert device.call("getBoundProfilePackage", request) == package
    refused(Code.UNKNOWN_TRANSACTION, lambda: device.call("authenticateClient", body))
    assert world.order(order).attempts == 1


def test_a_repeated_step_by_the_other_reading(reads: Callable[..., World]) -> None:
    world = reads(repeated_step="refused")
    device, order = world.device(), world.place()
    device.initiate()
    body = device.authenticate_body(order.matching_id)
    answer = device.call("authenticateClient", body)
    refused(Code.UNKNOWN_TRANSACTION, lambda: device.call("authenticateClient", body))
    device.take_offer(answer)
    request = device.prepare_body()
    device.call("getBoundProfilePackage", request)
    refused(Code.UNKNOWN_TRANSACTION, lambda: device.call("getBoundProfilePackage", request))


def test_a_replayed_step_is_refused(world: World, device: Device) -> None:
    order = world.place()
    device.initiate()
    body = device.authenticate_body(order.matching_id)
    device.call("authenticateClient", body)
    device.initiate()  # the recorded answer in a new session
    body["transactionId"] = device.transaction.hex()
    refused(Code.UNKNOWN_TRANSACTION, lambda: device.call("authenticateClient", body))


def test_steps_out_of_order_are_refused(world: World, device: Device) -> None:
    order = world.place()
    device.initiate()
    device.signature2 = b""
    refused(Code.UNKNOWN_TRANSACTION, device.get_bpp)
    device.initiate()
    device.authenticate(order.matching_id)
    device.transaction = bytes(16)
    refused(Code.UNKNOWN_TRANSACTION, device.get_bpp)


def test_a_session_ends_with_its_time(world: World, device: Device) -> None:
    order = world.place()
    device.initiate()
    world.clock.now += 601
    refused(Code.UNKNOWN_TRANSACTION, lambda: device.authenticate(order.matching_id))
    device.initiate()
    device.initiate()
    world.clock.now += 601
    device.initiate()
    assert len(world.es9.sessions) == 1


def test_a_session_does_not_survive_a_restart_but_the_order_does(world: World, device: Device) -> None:
    order = world.place()
    device.initiate()
    device.authenticate(order.matching_id)
    world.restart()
    refused(Code.UNKNOWN_TRANSACTION, device.get_bpp)
    device.download(order.matching_id)
    world.restart()
    device.notify(device.pir(ICCID))
    assert world.order(order).state == "installed"


# --- GetBoundProfilePackage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("euiccSignature2", Code.EUICC_SIGNATURE),
        ("transactionId2", Code.UNKNOWN_TRANSACTION),
        ("euiccOtpk", Code.EUICC_SIGNATURE),
    ],
)
def test_what_is_wrong_in_prepare_download_is_refused(
    world: World, device: Device, flip: Callable[[bytes], bytes], name: str, code: Code
) -> None:
    order = world.place()
    device.initiate()
    device.authenticate(order.matching_id)
    device.change = lambda changed, data: flip(data) if changed == name else data
    refused(code, device.get_bpp)
    assert world.order(order).state == "released"
    assert world.order(order).attempts == 0


def test_a_signature_over_another_smdp_signature_is_refused(world: World, device: Device) -> None:
    order = world.place()
    device.initiate()
    device.authenticate(order.matching_id)
    device.signature2 = t(0x5F37, bytes(64))
    refused(Code.EUICC_SIGNATURE, device.get_bpp)


def test_another_euicc_cannot_take_over_the_session(world: World, device: Device) -> None:
    order = world.place()
    device.initiate()
    device.authenticate(order.matching_id)
    device.own = world.pki.euicc(valid_eid(4))
    refused(Code.EUICC_SIGNATURE, device.get_bpp)


def test_a_download_error_of_the_euicc_is_told_by_name(world: World, device: Device) -> None:
    order = world.place()
    device.initiate()
    device.authenticate(order.matching_id)
    device.change = lambda name, data: (
        t(0xBF21, t(0xA1, t(0x80, device.transaction), t(0x02, b"\x02"))) if name == "prepareDownloadResponse" else data
    )
    assert "invalidSignature(2)" in refused(Code.EUICC_ERROR, device.get_bpp).message


def test_confirmation_codes(world: World, device: Device) -> None:
    order = world.place(confirmation_code="1234")
    for code, expected in ((None, Code.CODE_MISSING), ("4321", Code.CODE_REFUSED)):
        device.initiate()
        device.authenticate(order.matching_id)
        assert device.code_required
        refused(expected, lambda code=code: device.get_bpp(code))  # type: ignore[misc]
    assert device.download(order.matching_id, "1234")[2]


def test_too_many_wrong_confirmation_codes_end_the_order(world: World, device: Device) -> None:
    order = world.place(confirmation_code="1234")
    for expected in (Code.CODE_REFUSED, Code.CODE_REFUSED, Code.CODE_RETRIES):
        device.initiate()
        device.authenticate(order.matching_id)
        refused(expected, lambda: device.get_bpp("0"))
    assert world.order(order).state == "error"
    device.initiate()
    refused(Code.CODE_RETRIES, lambda: device.authenticate(order.matching_id))


def test_a_lost_answer_is_sent_again(world: World, device: Device) -> None:
    order = world.place()
    device.initiate()
    device.authenticate(order.matching_id)
    body = device.prepare_body()
    first = device.call("getBoundProfilePackage", body)
    assert device.call("getBoundProfilePackage", body) == first
    assert world.order(order).attempts == 1
    refused(Code.UNKNOWN_TRANSACTION, device.get_bpp)  # another request in the same session


def test_the_same_key_gets_the_same_binding_in_a_new_session(world: World, device: Device) -> None:
    order = world.place()
    first = device.download(order.matching_id)
    groups = parts(value_of(device.bpp, 0xBF36))
    device.initiate()
    device.authenticate(order.matching_id)
    assert device.offered_otpk == device.otpk
    again = device.get_bpp(keep_key=True)
    assert device.load(again) == first
    assert parts(value_of(again, 0xBF36))[1:] == groups[1:]
    assert parts(value_of(again, 0xBF36))[0] != groups[0]


def test_another_key_is_refused_until_the_card_reports_a_failure(world: World, device: Device) -> None:
    order = world.place(rebinding="after-error")
    device.download(order.matching_id)
    device.initiate()
    device.authenticate(order.matching_id)
    refused(Code.NO_NEW_BINDING, device.get_bpp)
    # The device cancels after the refusal; that must not end the order.
    device.cancel(127)
    assert world.order(order).state == "downloaded"


def test_a_device_that_lost_power_before_loading_gets_a_new_binding(world: World, device: Device) -> None:
    order = world.place()
    device.download(order.matching_id)
    assert device.download(order.matching_id)
    device.notify(device.pir(ICCID))
    assert world.order(order).state == "installed"


def test_after_a_failed_installation_there_is_a_new_binding(world: World, device: Device) -> None:
    order = world.place(rebinding="after-error")
    first = device.download(order.matching_id)
    device.notify(device.pir(ICCID, error=(5, 11)))
    failed = world.order(order)
    assert (failed.state, failed.error) == (
        "error",
        "installFailedDueToInterruption at loadProfileElements",
    )
    assert device.download(order.matching_id) == first
    device.notify(device.pir(ICCID))
    assert world.order(order).state == "installed"


def test_attempts_are_counted(world: World, device: Device) -> None:
    order = world.place()
    for _ in range(DEFAULT_ATTEMPTS):
        device.download(order.matching_id)
        device.notify(device.pir(ICCID, error=(5, 11)))
    device.initiate()
    refused(Code.RETRIES, lambda: device.authenticate(order.matching_id))


@pytest.mark.parametrize(("rebinding", "allowed"), [("allow", True), ("refuse", False)])
def test_rebinding_by_option(world: World, device: Device, rebinding: str, allowed: bool) -> None:
    order = world.place(rebinding=rebinding)
    device.download(order.matching_id)
    device.initiate()
    device.authenticate(order.matching_id)
    if allowed:
        device.load(device.get_bpp())
    else:
        refused(Code.NO_NEW_BINDING, device.get_bpp)
        device.notify(device.pir(ICCID, error=(5, 11)))


def test_every_binding_has_its_own_key(world: World, device: Device) -> None:
    points = set()
    for _ in range(3):
        device.download(world.place().matching_id)
        points.add(value_of(device.bpp, 0xBF36, 0xBF23, 0x5F49))
    assert len(points) == 3
    for point in points:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


# --- CancelSession --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "state"),
    [(0, "error"), (1, "released"), (2, "released"), (3, "error"), (4, "error"), (5, "error"), (127, "error")],
)
def test_what_a_cancelled_session_does_to_the_order(world: World, device: Device, reason: int, state: str) -> None:
    order = world.place()
    device.initiate()
    device.authenticate(order.matching_id)
    device.cancel(reason)
    assert world.order(order).state == state
    refused(Code.UNKNOWN_TRANSACTION, device.get_bpp)
    device.initiate()
    if state == "released":
        device.authenticate(order.matching_id)
    else:
        refused(Code.MATCHING_ID, lambda: device.authenticate(order.matching_id))


def test_forged_cancellations_change_nothing(world: World, device: Device, flip: Callable[[bytes], bytes]) -> None:
    order = world.place()
    device.initiate()
    refused(Code.EUICC_SIGNATURE, lambda: device.cancel(0))  # nobody is authenticated yet
    device.authenticate(order.matching_id)
    device.change = lambda name, data: flip(data) if name == "cancelSignature" else data
    refused(Code.EUICC_SIGNATURE, lambda: device.cancel(0))
    device.change = lambda name, data: flip(data) if name == "transactionId3" else data
    refused(Code.UNKNOWN_TRANSACTION, lambda: device.cancel(0))
    device.change = lambda _name, data: data
    refused(Code.OID_INVALID, lambda: device.cancel(0, oid=bytes.fromhex("88370b")))
    assert world.order(order).state == "released"
    device.load(device.get_bpp())  # the session still stands


def test_a_refused_session_can_be_cancelled(world: World, device: Device) -> None:
    device.initiate()
    refused(Code.MATCHING_ID, lambda: device.authenticate("NO-SUCH"))
    device.cancel(127)
    refused(Code.UNKNOWN_TRANSACTION, lambda: device.cancel(127))


def test_a_cancel_error_of_the_euicc_ends_the_session(world: World, device: Device) -> None:
    device.initiate()
    body = {
        "transactionId": device.transaction.hex(),
        "cancelSessionResponse": base64.b64encode(t(0xBF41, t(0x81, b"\x05"))).decode(),
    }
    device.call("cancelSession", body)
    refused(Code.UNKNOWN_TRANSACTION, lambda: device.call("cancelSession", body))
