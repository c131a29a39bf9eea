"""Fields that an IPA may send or leave out, one by one: what the eIM makes of them is the same or more, never less."""

from __future__ import annotations

from pathlib import Path

import pytest
from rsp.messages import DEVICE, INFO1, INFO2
from rsp.notation import octets

from fixtures.eim.bindings import Bindings
from fixtures.pki import Pki

from .parties import EID, FakeSmdpp, Lab, down, get_package, metadata, parts, provide, tlv
from .test_bindings import POINT, asn1, b64, begin, run
from .test_compact import MINIMIZE, OID_OF_DP, RESOURCE, euicc_signed1, first_session, signature, with_key
from .test_download import SIGNATURE, TXID

HASH_CC = tlv("04", b"\x77" * 32)
SIMA_WITH_WARNING = "3007a00530038001" + "01"


async def downloading(lab: Lab, bindings: Bindings) -> str:
    """A second session, authenticated in full: the eIM knows all that compact forms leave out."""
    await first_session(lab, bindings)
    order, _ = await begin(lab, bindings)
    signed = euicc_signed1()
    chain = lab.card.credential.certificate + lab.card.eum.certificate
    full = tlv("BF38", tlv("A0", signed, signature(lab, signed), chain))
    await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), full))
    return order


def test_ctx_params1_that_the_eim_did_not_make_cannot_be_left_out(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _: FakeSmdpp) -> None:
        await first_session(lab, bindings)
        await begin(lab, bindings)
        compact = tlv("BF38", tlv("A2", tlv("A0", RESOURCE), SIGNATURE))
        answer = await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), compact))
        assert answer.body.hex() == "bf3b03820105", "euiccSignatureInvalid: the IPA sends it in full"

    run(pki, tmp_path, use, known=MINIMIZE)


def test_the_hash_of_a_confirmation_code_in_compact_euicc_signed2(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        await downloading(lab, bindings)
        signed2 = tlv("30", tlv("80", TXID), POINT, HASH_CC)
        sign2 = signature(lab, signed2 + SIGNATURE)
        compact = tlv("BF21", tlv("A2", tlv("30", HASH_CC), sign2))
        await asn1(lab, bindings, tlv("BF3A", tlv("80", TXID), compact))
        assert server.requests[-1][1]["prepareDownloadResponse"] == b64(tlv("BF21", tlv("A0", signed2, sign2)))

    run(pki, tmp_path, use, known=MINIMIZE, server=with_key(pki))


def test_another_sima_response_in_a_compact_result(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _: FakeSmdpp) -> None:
        await downloading(lab, bindings)
        original = down(lab.card.installation(TXID), "BF37", "BF27")
        success = parts(down(original, "A2", "A0"))
        sima = tlv("04", bytes.fromhex(SIMA_WITH_WARNING))
        final = tlv("A2", tlv("A0", tlv("4F", success["4F"]), sima))
        about = tlv("BF2F", parts(original)["BF2F"])
        data = tlv("BF27", tlv("80", TXID), about, tlv("06", bytes.fromhex(OID_OF_DP)), final)
        seq = tlv("02", down(about, "BF2F", "80"))
        small = tlv("A0", tlv("80", TXID), seq, tlv("A2", tlv("A0", tlv("4F", success["4F"][13:15]), sima)))
        assert (await asn1(lab, bindings, tlv("BF3D", tlv("A0", tlv("A0", small, signature(lab, data)))))).status == 204
        (kept,) = lab.context.store.notifications(EID)
        assert down(kept.raw, "BF37", "BF27", "A2") == down(data, "BF27", "A2")
        assert kept.verified

    run(pki, tmp_path, use, known=MINIMIZE)


def test_a_compact_notification_that_names_its_ci(pki: Pki, tmp_path: Path) -> None:
    """euiccCiPKIdentifierToBeUsed says which of the card's certificates were left out."""

    async def use(lab: Lab, bindings: Bindings, _: FakeSmdpp) -> None:
        about, owner = metadata(7, "0640"), tlv("5A", bytes.fromhex(EID))
        named = tlv("04", pki.ci.key_id)
        compact = tlv("A1", owner, about, signature(lab, about), named)
        assert (await asn1(lab, bindings, tlv("BF3D", tlv("A0", compact)))).status == 204
        (kept,) = lab.context.store.notifications(EID)
        assert kept.raw.endswith(lab.card.credential.certificate + lab.card.eum.certificate)
        assert kept.verified

    run(pki, tmp_path, use)


def test_everything_that_ipa_euicc_data_may_say(pki: Pki, tmp_path: Path) -> None:
    fields = [tlv("81", b"dp.x"), octets(INFO1), octets(INFO2), tlv("83", b"ds.x"), tlv("84", b"\x05")]

    async def use(lab: Lab, bindings: Bindings, _: FakeSmdpp) -> None:
        names = ["defaultSmdpAddress", "euiccInfo1", "euiccInfo2", "rootSmdsAddress", "associationToken", "deviceInfo"]
        order = lab.order("data", tags=names)
        asked = (await asn1(lab, bindings, get_package())).body
        assert down(asked, "BF4F", "BF52", "5C").hex() == "81bf20bf228384a9"
        transaction = tlv("87", down(asked, "BF4F", "BF52", "83"))
        device = octets(f"A9{{{DEVICE}}}")
        answer = tlv("BF52", tlv("A0", *fields, transaction, device))
        assert (await asn1(lab, bindings, provide(answer))).body.hex() == "bf50023000"
        shown = lab.show(order)
        assert shown["state"] == "done"
        data = shown["result"]["data"]
        assert (data["rootSmdsAddress"], data["associationToken"]) == ("ds.x", 5)
        assert shown["result"]["raw"] == answer.hex()
        assert set(data) >= set(names)

    run(pki, tmp_path, use)


@pytest.mark.parametrize("form", ["error of data", "trigger result"])
def test_a_result_without_eim_transaction_id_is_of_the_order_that_was_handed_out(
    form: str, pki: Pki, tmp_path: Path
) -> None:
    async def use(lab: Lab, bindings: Bindings, _: FakeSmdpp) -> None:
        if form == "error of data":
            order = lab.order("data", tags=["euiccInfo1"])
            result = tlv("BF52", tlv("A1", tlv("02", b"\x01")))
        else:
            order = lab.order("download", activation_code="1$smdpp.test$M-1")
            result = tlv("BF54", tlv("30", tlv("80", b"\x7f")))
        await asn1(lab, bindings, get_package())
        assert (await asn1(lab, bindings, provide(result))).body.hex() == "bf50023000"
        assert lab.show(order)["state"] == "failed"

    run(pki, tmp_path, use, known="0560")


def test_the_ci_that_the_eim_wants_a_signature_under(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _: FakeSmdpp) -> None:
        object.__setattr__(lab.context, "ci_key_id", pki.ci.key_id)
        lab.order("list")
        asked = (await asn1(lab, bindings, get_package())).body
        assert parts(down(asked, "BF4F", "BF52"))["04"] == pki.ci.key_id

    run(pki, tmp_path, use, known="")
