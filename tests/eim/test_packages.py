"""Orders of whole eUICC Packages: their bytes, their results by name, and what they change of the association."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fixtures.eim.association import Associations
from fixtures.eim.context import Context
from fixtures.eim.store import Store
from fixtures.pki import Pki
from fixtures.service import HttpRefusal

from .parties import EID, EIM_ID, ICCID, Lab, Package, down, get_package, parts, provide, tlv, verify
from .test_rules import run
from .test_wire import NO_PACKAGE

RAW_ICCID = "5a0a980001010000000020f7"
SECOND = "eim.two"


def command_list(package: bytes) -> tuple[str, bytes]:
    """Return the tag of the list (A0 PSMOs, A1 eCOs) in a BF4F with BF51, and the bytes of its commands."""
    fields = parts(down(package, "BF4F", "BF51", "30"))
    (kind,) = {"A0", "A1"} & set(fields)
    return kind, fields[kind]


def taken(answer: bytes) -> Package:
    """A package of PSMOs or eCOs, taken apart."""
    raw = down(answer, "BF4F")
    fields = parts(down(raw, "BF51", "30"))
    return Package(raw, fields["80"].decode(), int.from_bytes(fields["81"], "big"), fields["82"], b"")


def signature_is_by(answer: bytes, key: ec.EllipticCurvePublicKey, token: str = "840100") -> None:
    inside = down(answer, "BF4F", "BF51")
    signed = tlv("30", parts(inside)["30"])
    verify(key, parts(inside)["5F37"], signed + bytes.fromhex(token))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ({"enable": {"iccid": ICCID}}, f"a30c{RAW_ICCID}"),
        ({"enable": {"iccid": ICCID, "rollback": True}}, f"a30e{RAW_ICCID}0500"),
        ({"disable": {"iccid": ICCID}}, f"a40c{RAW_ICCID}"),
        ({"delete": {"iccid": ICCID}}, f"a50c{RAW_ICCID}"),
        ({"listProfileInfo": {}}, "bf2d00"),
        ({"listProfileInfo": {"tags": ["5A", "9F70"]}}, "bf2d055c035a9f70"),
        ({"listProfileInfo": {"iccid": ICCID}}, f"bf2d0ea00c{RAW_ICCID}"),
        ({"getRAT": {}}, "a600"),
        ({"configureImmediateEnable": {"flag": True}}, "a7028000"),
        ({"configureImmediateEnable": {"flag": False}}, "a700"),
        (
            {"configureImmediateEnable": {"flag": True, "smdpOid": "2.999.10", "smdpAddress": "a.b"}},
            "a70c80008103" + "88370a" + "8203612e62",
        ),
        ({"setFallbackAttribute": {"iccid": ICCID}}, f"a80c{RAW_ICCID}"),
        ({"unsetFallbackAttribute": {}}, "a900"),
        ({"setDefaultDpAddress": {"address": "dp.x"}}, "bf6506800464702e78"),
        ({"setDefaultDpAddress": {"address": ""}}, "bf65028000"),
        ({"raw": {"data": "DF0100"}}, "df0100"),
    ],
)
def test_psmos_on_the_wire(command: dict[str, Any], expected: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        lab.order("package", psmos=[command])
        assert command_list(await lab.poll()) == ("A0", bytes.fromhex(expected))

    run(pki, tmp_path, use)


CONFIGURATION = "300a800765696d2e74776f"  # broken on purpose: one byte short of what 30 says
WHOLE = "3009800765696d2e74776f"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ({"addEim": {"configuration": WHOLE}}, "a809800765696d2e74776f"),
        ({"updateEim": {"configuration": WHOLE}}, "aa09800765696d2e74776f"),
        ({"updateEim": {"eimId": SECOND, "fqdn": "f.x"}}, "aa0e800765696d2e74776f8103662e78"),
        ({"deleteEim": {"eimId": SECOND}}, "a909800765696d2e74776f"),
        ({"listEim": {}}, "ab00"),
    ],
)
def test_ecos_on_the_wire(command: dict[str, Any], expected: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        lab.order("package", ecos=[command])
        assert command_list(await lab.poll()) == ("A1", bytes.fromhex(expected))

    run(pki, tmp_path, use)


PROFILE = f"e30f{RAW_ICCID}9f7001" + "01"
OK: dict[str, Any] = {"code": 0, "text": "ok"}


@pytest.mark.parametrize(
    ("command", "result", "state", "expected"),
    [
        ({"getRAT": {}}, "a600", "done", {"name": "getRAT", "rat": [], **OK}),
        (
            {"getRAT": {}},
            "a617301580020640a10b3009800300f1108100820082020780",
            "done",
            {
                "rat": [
                    {
                        "ppr": ["ppr1"],
                        "operators": [{"mccMnc": "00f110", "gid1": "", "gid2": ""}],
                        "consent_required": True,
                    }
                ]
            },
        ),
        ({"configureImmediateEnable": {"flag": True}}, "870100", "done", {"flag": True, **OK}),
        ({"configureImmediateEnable": {"flag": True}}, "870101", "failed", {"text": "insufficientMemory"}),
        ({"setFallbackAttribute": {"iccid": ICCID}}, "8d0100", "done", OK),
        ({"setFallbackAttribute": {"iccid": ICCID}}, "8d0102", "failed", {"text": "fallbackNotAllowed"}),
        ({"unsetFallbackAttribute": {}}, "8e0102", "failed", {"text": "noFallbackAttribute"}),
        ({"setDefaultDpAddress": {"address": "x"}}, "bf6503800100", "done", OK),
        ({"setDefaultDpAddress": {"address": "x"}}, "bf650380017f", "failed", {"code": 127}),
        ({"raw": {"data": "DF0100"}}, "020102", "failed", {"text": "unknownOrDamagedCommand"}),
        ({"enable": {"iccid": ICCID}}, "df010100", "failed", {"name": "DF01", "raw": "df010100"}),
    ],
)
def test_results_of_psmos(
    command: dict[str, Any], result: str, state: str, expected: dict[str, Any], pki: Pki, tmp_path: Path
) -> None:
    async def use(lab: Lab) -> None:
        order = lab.order("package", psmos=[command])
        await lab.send(provide(lab.card.result(taken(await lab.poll()), result)))
        shown = lab.show(order)
        (found,) = shown["result"]["results"]
        assert (shown["state"], shown["verified"]) == (state, True), shown
        assert {name: found[name] for name in expected} == expected
        if state == "failed":
            assert found["text"] in shown["error"]["what"]

    run(pki, tmp_path, use)


@pytest.mark.parametrize(
    ("command", "result", "state", "expected"),
    [
        ({"addEim": {"eimId": SECOND}}, "a803840105", "done", {"name": "addEim", "associationToken": 5, **OK}),
        ({"addEim": {"eimId": SECOND}}, "a803020100", "done", OK),
        ({"addEim": {"eimId": SECOND}}, "a803020102", "failed", {"text": "associatedEimAlreadyExists"}),
        ({"updateEim": {"newKey": True, "eimId": SECOND}}, "8a0101", "failed", {"text": "eimNotFound"}),
        ({"deleteEim": {"eimId": SECOND}}, "890101", "failed", {"text": "eimNotFound"}),
        ({"deleteEim": {"eimId": SECOND}}, "890102", "done", {"code": 2, "text": "lastEimDeleted"}),
        (
            {"listEim": {}},
            "ab1ca01a300a8005656d2e6d79820102300c800765696d2e74776f820103",
            "done",
            {"eims": [{"eimId": "em.my", "eimIdType": 2}, {"eimId": SECOND, "eimIdType": 3}]},
        ),
        ({"listEim": {}}, "ab0381017f", "failed", {"code": 127, "text": "undefinedError"}),
    ],
)
def test_results_of_ecos(
    command: dict[str, Any], result: str, state: str, expected: dict[str, Any], pki: Pki, tmp_path: Path
) -> None:
    async def use(lab: Lab) -> None:
        order = lab.order("package", ecos=[command])
        await lab.send(provide(lab.card.result(taken(await lab.poll()), result)))
        shown = lab.show(order)
        (found,) = shown["result"]["results"]
        assert (shown["state"], shown["verified"]) == (state, True), shown
        assert {name: found[name] for name in expected} == expected

    run(pki, tmp_path, use)


THREE = [{"disable": {"iccid": ICCID}}, {"delete": {"iccid": ICCID}}, {"listProfileInfo": {}}]


@pytest.mark.parametrize(
    ("result", "state", "what"),
    [
        ("840100850100bf2d02a000", "done", ""),
        ("840103", "failed", "disable: disallowedByPolicy (command 1 of 3)"),
        ("840100850102", "failed", "delete: profileNotInDisabledState (command 2 of 3)"),
        ("840100850102020102", "failed", "delete: profileNotInDisabledState (command 2 of 3)"),
        ("840100850100", "failed", "2 of 3 commands; listProfileInfo is the first without"),
        ("850100840100bf2d02a000", "failed", "answered delete ok to disable (command 1 of 3)"),
        ("840100850100bf2d02a000840100", "failed", "beyond the 3 commands"),
    ],
)
def test_several_commands(result: str, state: str, what: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order = lab.order("package", psmos=THREE)
        await lab.send(provide(lab.card.result(taken(await lab.poll()), result)))
        shown = lab.show(order)
        assert shown["state"] == state
        assert what in shown["error"].get("what", "")
        assert await lab.poll() == NO_PACKAGE

    run(pki, tmp_path, use)


def test_rollback_of_a_package(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order = lab.order("package", psmos=[{"disable": {"iccid": ICCID}}, {"enable": {"iccid": ICCID}}])
        await lab.send(provide(lab.card.result(taken(await lab.poll()), "8c0100")))
        shown = lab.show(order)
        assert (shown["state"], shown["error"]["rolled_back"]) == ("failed", True)
        assert [item["name"] for item in shown["result"]["results"]] == ["rollback"]

    run(pki, tmp_path, use)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"psmos": [], "ecos": []},
        {"psmos": [{"getRAT": {}}], "ecos": [{"listEim": {}}]},
        {"psmos": {"getRAT": {}}},
        {"psmos": "getRAT"},
        {"psmos": ["getRAT"]},
        {"psmos": [{"getRAT": {}, "enable": {}}]},
        {"psmos": [{"getRAT": []}]},
        {"psmos": [{"addEim": {"eimId": "x"}}]},
        {"psmos": [{"enable": {}}]},
        {"psmos": [{"enable": {"iccid": "12x"}}]},
        {"psmos": [{"enable": {"iccid": ICCID, "rollback": "yes"}}]},
        {"psmos": [{"enable": {"iccid": ICCID, "force": True}}]},
        {"psmos": [{"listProfileInfo": {"tags": "5A"}}]},
        {"psmos": [{"setDefaultDpAddress": {"address": 7}}]},
        {"psmos": [{"raw": {"data": "xyz"}}]},
        {"psmos": [{"getRAT": {}}] * 65},
        {"ecos": [{"deleteEim": {"eimId": ""}}]},
        {"ecos": [{"addEim": {}}]},
        {"ecos": [{"addEim": {"configuration": WHOLE, "eimId": "x"}}]},
        {"ecos": [{"addEim": {"configuration": CONFIGURATION}}]},
        {"ecos": [{"addEim": {"configuration": "0403800161"}}]},
        {"ecos": [{"addEim": {"eimId": "x", "counter": -1}}]},
        {"ecos": [{"updateEim": {"eimId": "x"}}]},
    ],
)
def test_packages_that_make_no_sense(parameters: dict[str, Any], pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        with pytest.raises(HttpRefusal) as refused:
            lab.order("package", **parameters)
        assert refused.value.status == 400
        assert lab.context.store.orders(EID) == []

    run(pki, tmp_path, use, known="")


# --- association ----------------------------------------------------------------------------------------------------


def own_key(answer: bytes) -> ec.EllipticCurvePublicKey:
    """The eimPublicKey in an addEim or updateEim: A5{A0 content of SubjectPublicKeyInfo}."""
    _, commands = command_list(answer)
    (body,) = parts(commands).values()
    key = load_der_public_key(tlv("30", down(body, "A5", "A0")))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def test_another_key_signs_once_the_euicc_has_it(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        first = lab.context.key.public_key()
        lab.order("package", ecos=[{"updateEim": {"newKey": True}}])
        update = await lab.poll()
        key = own_key(update)
        assert "83" not in parts(next(iter(parts(command_list(update)[1]).values())))  # the counter stays
        signature_is_by(update, first)
        await lab.send(provide(lab.card.result(taken(update), "8a0100")))
        lab.order("list")
        answer = await lab.poll()
        signature_is_by(answer, key)
        await lab.send(provide(lab.card.result(taken(answer), "bf2d02a000")))
        # The last eIM deleted: a new association begins with the first key.
        order = lab.order("package", ecos=[{"deleteEim": {"eimId": EIM_ID}}])
        answer = await lab.poll()
        signature_is_by(answer, key)
        await lab.send(provide(lab.card.result(taken(answer), "890102")))
        assert lab.show(order)["state"] == "done"
        lab.order("list")
        signature_is_by(await lab.poll(), first)

    run(pki, tmp_path, use)


def test_a_key_that_was_refused_does_not_sign(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        lab.order("package", ecos=[{"updateEim": {"newKey": True}}])
        await lab.send(provide(lab.card.result(taken(await lab.poll()), "8a017f")))
        lab.order("list")
        signature_is_by(await lab.poll(), lab.context.key.public_key())

    run(pki, tmp_path, use)


def test_a_key_whose_result_was_lost_is_tried(pki: Pki, tmp_path: Path) -> None:
    """The operator gave up on the order, but the eUICC has executed it."""

    async def use(lab: Lab) -> None:
        lost = lab.order("package", ecos=[{"updateEim": {"newKey": True}}])
        key = own_key(await lab.poll())
        lab.esipa.orders.cancel(int(lost))
        order = lab.order("list")
        await lab.send(provide(lab.card.unsigned(taken(await lab.poll()))))
        answer = await lab.poll()
        signature_is_by(answer, key)
        await lab.send(provide(lab.card.result(taken(answer), "bf2d02a000")))
        assert lab.show(order)["state"] == "done"

    run(pki, tmp_path, use)


def test_the_token_that_an_unsigned_error_names_is_used_once(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order = lab.order("list")
        package = taken(await lab.poll())
        named = tlv("A2", tlv("80", EIM_ID.encode()), tlv("82", package.transaction_id), bytes.fromhex("840109"))
        await lab.send(provide(tlv("BF51", named)))
        assert lab.show(order)["state"] == "pending"
        answer = await lab.poll()
        again = taken(answer)
        signature_is_by(answer, lab.context.key.public_key(), "840109")
        assert again.counter == package.counter + 1
        await lab.send(provide(lab.card.result(again, "bf2d02a000", token="840109")))
        assert lab.show(order)["state"] == "done"
        # A second refusal of the same order ends it, whatever it names.
        order = lab.order("list")
        for token in ("840107", "840106"):
            package = taken(await lab.poll())
            body = tlv("A2", tlv("80", EIM_ID.encode()), tlv("82", package.transaction_id), bytes.fromhex(token))
            await lab.send(provide(tlv("BF51", body)))
        assert (lab.show(order)["state"], lab.show(order)["error"]["unsigned"]) == ("failed", True)
        assert await lab.poll() == NO_PACKAGE

    run(pki, tmp_path, use)


def test_this_eim_deleted_and_added_again_in_one_package(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        again = {"addEim": {"eimId": EIM_ID, "associationToken": True, "counter": 500}}
        order = lab.order("package", ecos=[{"deleteEim": {"eimId": EIM_ID}}, again])
        answer = await lab.poll()
        added = parts(command_list(answer)[1])["A8"]
        key = load_der_public_key(tlv("30", down(added, "A5", "A0")))
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert (parts(added)["83"].hex(), parts(added)["84"].hex()) == ("01f4", "ff")
        await lab.send(provide(lab.card.result(taken(answer), "890102a803840102")))
        assert lab.show(order)["state"] == "done", lab.show(order)
        lab.order("list")
        answer = await lab.poll()
        assert taken(answer).counter == 501
        signature_is_by(answer, key, "840102")

    run(pki, tmp_path, use)


def test_a_new_association_begins_behind_the_last_counter(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        _, package = await lab.package("list")
        await lab.send(provide(lab.card.result(package, "bf2d02a000")))
        lab.context.store.update_euicc(EID, token=4)
        fields = parts(down(Associations(lab.context).begin(EID, token=True), "30"))
        assert (int.from_bytes(fields["83"], "big"), fields["84"].hex()) == (package.counter, "ff")
        assert fields["80"].decode() == EIM_ID
        owner = lab.context.store.euicc(EID)
        assert owner is not None and owner.token is None and owner.counter == package.counter
        assert "84" not in parts(down(Associations(lab.context).begin(EID, token=False), "30"))

    run(pki, tmp_path, use)


def test_the_package_of_an_earlier_order_again(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        before, package = await lab.package("list")
        await lab.send(provide(lab.card.result(package, "bf2d02a000")))
        order = lab.order("replay", order_id=before)
        answer = await lab.poll()
        assert down(answer, "BF4F") == package.raw
        await lab.send(provide(lab.card.error(package, 4)))
        shown = lab.show(order)
        # It is refused and stays refused: no counter is repaired, nothing is made again.
        assert (shown["state"], shown["verified"], shown["error"]["name"]) == ("failed", True, "replayError")
        assert await lab.poll() == NO_PACKAGE
        assert lab.show(before)["state"] == "done" and "late" not in lab.show(before)["result"]
        for wrong in ("999", "x", ""):
            with pytest.raises(HttpRefusal):
                lab.order("replay", order_id=wrong)

    run(pki, tmp_path, use)


def test_a_key_that_is_gone_ends_the_order_in_words(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        lab.context.store.update_euicc(EID, signing_key="0011223344556677")
        order = lab.order("list")
        assert await lab.poll() == NO_PACKAGE
        assert "no key 0011223344556677" in lab.show(order)["error"]["what"]

    run(pki, tmp_path, use)


# --- the rest -------------------------------------------------------------------------------------------------------


def test_changes_of_state_are_kept(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        told = [
            "80008101018203" + "00f110",  # fallback, registered on 001-01
            "80008101058203" + "99f907",
            "8000",  # of an unknown cause
        ]
        for item in told:
            await lab.send(tlv("BF4F", tlv("5A", bytes.fromhex(EID)), bytes.fromhex(item)))
        await lab.send(get_package())
        changes = [(cause, plmn) for _, cause, plmn in lab.context.store.state_changes(EID)]
        assert changes == [("fallback", "00101"), ("immediateEnableProfile", "99970"), ("", "")]
        for _ in range(110):
            lab.context.store.add_state_change(EID, "reset", "")
        assert len(lab.context.store.state_changes(EID)) == 100

    run(pki, tmp_path, use)


def test_signing_key_and_euicc_on_the_second_curve(pki: Pki, tmp_path: Path) -> None:
    other = pki.on("brainpoolP256r1")

    async def use(lab: Lab) -> None:
        assert lab.context.key.curve.name == "brainpoolP256r1"
        order = lab.order("package", ecos=[{"updateEim": {"newKey": True}}])
        answer = await lab.poll()
        assert own_key(answer).curve.name == "brainpoolP256r1"
        signature_is_by(answer, lab.context.key.public_key())
        await lab.send(provide(lab.card.result(taken(answer), "8a0100")))
        assert lab.show(order)["state"] == "done"

    run(other, tmp_path, use)


def test_an_euicc_may_sign_under_any_of_its_cis(pki: Pki, tmp_path: Path) -> None:
    """The certificate shown first was of the other curve; both are known, and either signs."""
    other = pki.on("brainpoolP256r1")

    async def use(lab: Lab) -> None:
        from fixtures.eim import euicc
        from fixtures.eim.notifications import Notifications

        context = Context(
            store=lab.context.store,
            eim_id=EIM_ID,
            fqdn=EIM_ID,
            key=lab.context.key,
            trusted=lab.context.trusted,
            trusted_later=lambda: [other.ci.certificate],
        )
        assert Notifications is not None
        assert not euicc.learn(context, EID, other.euicc(EID).certificate, other.eum.certificate, "test")
        lab.card.credential, lab.card.eum = other.euicc(EID), other.eum
        order, package = await lab.package("list")
        await lab.send(provide(lab.card.result(package, "bf2d02a000")))
        assert lab.show(order)["state"] == "done"
        owner = lab.context.store.euicc(EID)
        assert owner is not None and owner.euicc_certificate == pki.euicc(EID).certificate

    run(pki, tmp_path, use)


def test_the_ci_of_the_second_curve_is_asked_for(pki: Pki, tmp_path: Path) -> None:
    other = pki.on("brainpoolP256r1")

    async def use() -> None:
        store = Store.open(tmp_path / "eim.sqlite")
        store.add_euicc(EID)
        context = Context(
            store=store,
            eim_id=EIM_ID,
            fqdn=EIM_ID,
            key=other.eim.key,
            trusted=[other.ci.certificate],
            tls_key=pki.eim_tls.spki,
            ci_key_id=other.ci.key_id,
        )
        from fixtures.eim.orders import Orders

        orders = Orders(context)
        orders.create(EID, "list", {})
        asked = orders.poll(EID)
        assert asked is not None and parts(down(asked, "BF52"))["04"] == other.ci.key_id
        fields = parts(down(Associations(context).configuration(), "30"))
        assert fields["88"] == other.ci.key_id
        store.close()

    asyncio.run(use())


def test_a_store_of_an_earlier_version_opens(tmp_path: Path) -> None:
    path = tmp_path / "eim.sqlite"
    store = Store.open(path)
    store.add_euicc(EID)
    store.close()
    old = sqlite3.connect(path)
    for column in ("signing_key", "candidate_key"):
        old.execute(f"ALTER TABLE euiccs DROP COLUMN {column}")
    old.execute("DROP TABLE certificates")
    old.execute("DROP TABLE state_changes")
    old.commit()
    old.close()
    store = Store.open(path)
    owner = store.euicc(EID)
    assert owner is not None and (owner.signing_key, owner.candidate_key) == ("", None)
    assert store.state_changes(EID) == [] and store.certificates(EID) == []
    store.close()
