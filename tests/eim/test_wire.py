"""ESipa on the wire: literal messages of the reference's Appendix 2 and forms seen in the field."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from fixtures.eim import configuration, messages
from fixtures.pki import Pki

from .parties import EID, EIM_ID, ICCID, OTHER_EID, Lab, Package, down, get_package, lab, parts, provide, tlv, verify

POLL = bytes.fromhex("bf4f125a1089044045930000000000002153893210")
NO_PACKAGE = bytes.fromhex("bf4f03020101")


def run(pki: Pki, folder: Path, use: Any, **options: Any) -> None:
    async def inside() -> None:
        async with lab(pki, folder, **options) as made:
            await use(made)

    asyncio.run(inside())


def test_literal_polls(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        assert await lab.send(POLL) == bytes.fromhex("bf4f03020102"), "eidNotFound"
        lab.context.store.add_euicc(OTHER_EID)
        assert await lab.send(POLL) == NO_PACKAGE
        with_change = "bf4f1c5a10890440459300000000000021538932108000810105820362f210"
        assert await lab.send(bytes.fromhex(with_change)) == NO_PACKAGE
        euicc = lab.context.store.euicc(OTHER_EID)
        assert euicc is not None and "immediateEnableProfile" in euicc.state_change and "26201" in euicc.state_change
        assert await lab.send(bytes.fromhex("bf4f00")) == bytes.fromhex("bf4f03020104"), "missingEid"
        assert await lab.send(bytes.fromhex("bf4f035a0189")) == bytes.fromhex("bf4f03020103"), "invalidEid"
        letters = "bf4f125a10" + "ab" * 16
        assert await lab.send(bytes.fromhex(letters)) == bytes.fromhex("bf4f03020103")
        # v1.0: 81 is the rPLMN.
        assert await lab.send(bytes.fromhex("bf4f175a1089044045930000000000002153893210810362f210")) == NO_PACKAGE

    run(pki, tmp_path, use)


def test_literal_results_without_an_order(pki: Pki, tmp_path: Path) -> None:
    eid = "5a1089044045930000000000002153893210"

    async def use(lab: Lab) -> None:
        lab.context.store.add_euicc(OTHER_EID)
        empty = bytes.fromhex("bf50023000")
        # undefinedError of a profile list, a result to a trigger, an IPA's error: nothing to acknowledge.
        assert await lab.send(bytes.fromhex(f"bf5017{eid}a003020102")) == empty
        assert await lab.send(bytes.fromhex(f"bf5024{eid}bf520fa10d80080102030405060708020101")) == empty
        body = bytes.fromhex(f"bf3d27bf5024{eid}bf540f82080102030405060708300380017f")
        assert (await lab.answer(body)).status == 204
        # Vector: EuiccPackageResult for eIM "eim1", which this one is not: it stays on the card.
        epr = bytes.fromhex("bf5162a060301b800465696d318101018208010203040506070883010730038301005f3740" + "11" * 64)
        assert await lab.send(tlv("BF50", bytes.fromhex(eid), epr)) == empty
        assert await lab.send(bytes.fromhex("bf5006bf5103a20100")[:2] + b"\x00") == bytes.fromhex("bf500302017f")

    run(pki, tmp_path, use)


def test_package_is_as_the_standard_says(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        _, package = await lab.package("enable", rollback=True)
        signed = down(package.raw, "BF51", "30")
        assert list(parts(signed)) == ["80", "5A", "81", "82", "A0"]
        assert package.eim_id == EIM_ID
        assert parts(signed)["5A"].hex() == EID
        assert package.psmo.hex() == "a30e5a0a980001010000000020f70500"
        whole = tlv("30", signed)
        signature = down(package.raw, "BF51", "5F37")
        assert len(signature) == 64
        verify(pki.eim.key.public_key(), signature, whole + bytes.fromhex("840100"))
        with pytest.raises(InvalidSignature):
            verify(pki.eim.key.public_key(), signature, whole)

    run(pki, tmp_path, use, known="0560")


@pytest.mark.parametrize(
    ("kind", "parameters", "psmo"),
    [
        ("enable", {"rollback": False}, "a30c5a0a980001010000000020f7"),
        ("disable", {}, "a40c5a0a980001010000000020f7"),
        ("delete", {}, "a50c5a0a980001010000000020f7"),
        ("list", {}, "bf2d00"),
    ],
)
def test_psmos(kind: str, parameters: dict[str, Any], psmo: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        _, package = await lab.package(kind, **parameters)
        assert package.psmo.hex() == psmo

    run(pki, tmp_path, use, known="0560")


def test_association_token_is_signed(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        lab.context.store.update_euicc(EID, token=5)
        order, package = await lab.package("list")
        data, signature = tlv("30", down(package.raw, "BF51", "30")), down(package.raw, "BF51", "5F37")
        verify(pki.eim.key.public_key(), signature, data + bytes.fromhex("840105"))
        await lab.send(provide(lab.card.result(package, "bf2d02a000", token="840105")))
        assert lab.show(order)["state"] == "done"

    run(pki, tmp_path, use, known="0560")


def test_trigger_by_capabilities(pki: Pki, tmp_path: Path) -> None:
    code = "LPA:1$smdpp.test$M-1"

    async def handled(lab: Lab) -> None:
        lab.order("download", activation_code=code)
        trigger = down(await lab.poll(), "BF4F", "BF54")
        assert list(parts(trigger)) == ["82"]

    async def by_the_ipa(lab: Lab) -> None:
        lab.order("download", activation_code=code)
        trigger = down(await lab.poll(), "BF4F", "BF54")
        assert parts(trigger)["A0"] == tlv("80", b"1$smdpp.test$M-1")
        assert list(parts(trigger)) == ["A0", "82"]

    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    run(pki, tmp_path / "1", handled, known="0560")  # indirect and eimDownloadDataHandling
    run(pki, tmp_path / "2", by_the_ipa, known="0640")  # indirect alone


def test_question_before_the_first_package(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order = lab.order("enable", iccid=ICCID)
        request = down(await lab.poll(), "BF4F")
        assert down(request, "BF52", "5C").hex() == "84a5a6a8"
        assert request == down(await lab.poll(), "BF4F"), "the same request until it is answered"
        await lab.send(provide(lab.card.data(request, nested=True)))
        package = Package.of(await lab.poll())
        await lab.send(provide(lab.card.result(package, "830100")))
        assert lab.show(order)["state"] == "done"

    run(pki, tmp_path, use)


@pytest.mark.parametrize("form", ["bare", "der", "no token DO"])
def test_other_forms_of_results(form: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        options: dict[str, dict[str, Any]] = {
            "bare": {"bare": True},
            "der": {"der": True},
            "no token DO": {"token": ""},
        }
        answer = await lab.send(provide(lab.card.result(package, "830100", **options[form])))
        assert answer == bytes.fromhex("bf5006bf5303800101")
        shown = lab.show(order)
        assert (shown["state"], shown["verified"]) == ("done", True)
        assert bool(shown["result"].get("deviation")) == (form != "bare")

    run(pki, tmp_path, use, known="0560")


def test_result_without_an_eid(pki: Pki, tmp_path: Path) -> None:
    """v1.0 sends none: the eimTransactionId tells."""

    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        lab.peer.eid = None
        await lab.send(provide(lab.card.result(package, "830100"), eid=None))
        assert lab.show(order)["state"] == "done"
        lab.peer.eid = None
        assert await lab.send(provide(tlv("A0", tlv("02", b"\x02")), eid=None)) == bytes.fromhex("bf5003020104")

    run(pki, tmp_path, use, known="0560")


def test_result_with_notifications(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        result = lab.card.result(package, "830100")
        first, second = lab.card.notification("0520"), lab.card.notification("0640")
        both = tlv("30", result, tlv("A0", first, second))
        assert await lab.send(provide(both)) == bytes.fromhex("bf500cbf5309800101800102800103")
        assert lab.show(order)["state"] == "done"
        notes = lab.context.store.notifications(EID)
        assert [(note.event, note.seq, note.raw) for note in notes] == [("disable", 2, first), ("enable", 3, second)]
        # A notification that cannot be read stays on the card and spoils nothing.
        order, package = await lab.package("disable")
        both = tlv("30", lab.card.result(package, "840100"), tlv("A0", tlv("30", b"\x05\x00")))
        assert await lab.send(provide(both)) == bytes.fromhex("bf5006bf5303800104")
        assert lab.show(order)["state"] == "done"

    run(pki, tmp_path, use, known="0560")


def test_initial_configuration(pki: Pki) -> None:
    der = configuration.build(eim_id=EIM_ID, fqdn=EIM_ID, signing_key=pki.eim.spki, tls_key=pki.eim_tls.spki)
    fields = parts(down(der, "30"))
    assert list(fields) == ["80", "81", "82", "83", "A5", "A6", "87", "89"]
    assert fields["80"] == fields["81"] == EIM_ID.encode()
    assert (fields["82"], fields["83"], fields["87"], fields["89"]) == (b"\x02", b"\x00", b"\x07\x80", b"")
    # Implicit: A0 stands in place of the SEQUENCE's tag.
    assert down(fields["A5"], "A0") == down(pki.eim.spki, "30")
    assert down(fields["A6"], "A0") == down(pki.eim_tls.spki, "30")


def test_writers_against_literals() -> None:
    assert messages.error(messages.AUTHENTICATE_CLIENT, 6).hex() == "bf3b03820106"
    assert messages.error(messages.INITIATE_AUTHENTICATION, 52).hex() == "bf3903810134"
    assert messages.error(messages.GET_BOUND_PROFILE_PACKAGE, 95).hex() == "bf3a0381015f"
    assert messages.error(messages.CANCEL_SESSION, 127).hex() == "bf410381017f"
    assert messages.cancelled().hex() == "bf4102a000"
    assert messages.acknowledgements([7]).hex() == "bf5006bf5303800107"
    assert messages.acknowledgements([300, 7, 7]).hex() == "bf500abf53078001078002012c"
    assert messages.acknowledgements([]).hex() == "bf50023000"
    txid = bytes.fromhex("0102030405060708")
    assert messages.trigger(txid, "1$dp.test$AB").hex() == "bf541aa00e800c312464702e7465737424414282080102030405060708"
    tags = (0xBF20, 0xBF22, 0xA5, 0xA6, 0xA8)
    assert messages.data_request(tags, txid).hex() == "bf52135c07bf20bf22a5a6a883080102030405060708"


def test_poll_for_another_eid_gets_nothing(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        lab.order("list")
        lab.context.store.add_euicc(OTHER_EID)
        assert await lab.send(get_package(OTHER_EID)) == NO_PACKAGE

    run(pki, tmp_path, use)
