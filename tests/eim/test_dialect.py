"""The eIM towards IPAs of SGP.32 v1.0, and in other readings of the standard (bench.rsp.interpretation)."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.rsp.interpretation import Interpretation
from fixtures.eim import service
from fixtures.pki import Pki

from .parties import EID, Lab, Package, down, get_package, lab, parts, provide, tlv, verify
from .test_rules import run

OLD = {"*": "1.0"}


async def known_to_an_old_one(made: Lab) -> None:
    """Let the eIM ask for the certificates, and answer as an IPA of v1.0."""
    order = made.order("list")
    asked = down(await made.poll(), "BF4F", "BF52")
    assert list(parts(asked)) == ["5C"]  # no eimTransactionId
    data = tlv("BF52", tlv("A0", made.card.certificates(), tlv("A8", tlv("80", bytes.fromhex("0560")))))
    assert (await made.send(tlv("BF50", data))).hex() == "bf5000"
    made.esipa.orders.cancel(int(order))


def test_a_package_of_an_old_ipa(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        await known_to_an_old_one(made)
        order, package = await made.package()
        result = made.card.result(package, "830100")
        assert (await made.send(tlv("BF50", result))).hex() == "bf5006bf53038001" + f"{made.card.seq:02x}"
        assert made.show(order)["state"] == "done"
        assert (await made.poll()).hex() == "bf4f03020101"
        assert (await made.poll("89044045930000000000002153893210")).hex() == "bf4f0302017f"

    run(pki, tmp_path, use, known="", dialect=OLD)


def test_rplmn_and_results_with_notifications_of_an_old_ipa(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        await known_to_an_old_one(made)
        query = tlv("BF4F", tlv("5A", bytes.fromhex(EID)), tlv("80", b""), tlv("81", bytes.fromhex("62f210")))
        await made.send(query)
        assert '"rplmn": "26201"' in str(made.context.store.euicc(EID).state_change)  # type: ignore[union-attr]
        order, package = await made.package()
        result, notification = made.card.result(package, "830100"), made.card.notification("0640")
        both = tlv("30", result, tlv("BF2B", tlv("A0", notification)))
        acknowledged = down(await made.send(tlv("BF50", both)), "BF50", "BF53")
        assert len(parts(acknowledged)) == 2
        assert made.show(order)["state"] == "done"
        handled = await made.answer(tlv("BF3D", tlv("A1", result)))
        assert (handled.status, handled.body) == (204, b"")

    run(pki, tmp_path, use, known="", dialect=OLD)


def test_what_an_old_ipa_cannot_be_ordered(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        await known_to_an_old_one(made)
        order = made.order("package", psmos=[{"unsetFallbackAttribute": {}}])
        assert (await made.poll()).hex() == "bf4f03020101"
        shown = made.show(order)
        assert shown["state"] == "failed"
        assert "v1.0 has no PSMO unsetFallbackAttribute" in shown["error"]["what"]

    run(pki, tmp_path, use, known="", dialect=OLD)


def test_a_dialect_is_of_one_euicc(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        made.order("list")
        assert "83" in parts(down(await made.poll(), "BF4F", "BF52"))

    run(pki, tmp_path, use, known="", dialect={"89044045930000000000002153893210": "1.0"})


def test_auto_goes_by_what_is_said(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        made.order("list")
        assert "83" in parts(down(await made.poll(), "BF4F", "BF52"))
        old = tlv("BF4F", tlv("5A", bytes.fromhex(EID)), tlv("80", b""), tlv("81", bytes.fromhex("62f210")))
        assert "83" not in parts(down(await made.send(old), "BF4F", "BF52"))
        assert "83" not in parts(down(await made.poll(), "BF4F", "BF52"))  # it is remembered
        new = tlv("BF4F", tlv("5A", bytes.fromhex(EID)), tlv("80", b""), tlv("81", b"\x05"))
        assert "83" in parts(down(await made.send(new), "BF4F", "BF52"))

    run(pki, tmp_path, use, known="", dialect={"*": "auto"})


def test_any_bytes_of_an_old_ipa_are_answered(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        for text in ("", "bf", "bf4f", "bf5000", "bf500102", "bf50020202", "bf3d00", "bf3d02a100", "bf4f02a000"):
            answer = await made.answer(bytes.fromhex(text))
            assert answer.status in (200, 204, 400, 404), text

    run(pki, tmp_path, use, dialect={"*": "1.0"}, known="")


def reading(pki: Pki, folder: Path, use: Any, *, known: str = "0560", **options: object) -> None:
    async def inside() -> None:
        async with lab(pki, folder, known=known, reading=Interpretation.read(options)) as made:
            await use(made)

    asyncio.run(inside())


def test_signature_format(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        _, package = await made.package()
        data, signature = tlv("30", down(package.raw, "BF51", "30")), down(package.raw, "BF51", "5F37")
        assert signature[0] == 0x30
        pki.eim.key.public_key().verify(signature, data + bytes.fromhex("840100"), ec.ECDSA(hashes.SHA256()))

    reading(pki, tmp_path, use, signature_format="der")


def test_token_when_none(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        _, package = await made.package()
        data, signature = tlv("30", down(package.raw, "BF51", "30")), down(package.raw, "BF51", "5F37")
        verify(pki.eim.key.public_key(), signature, data)
        with pytest.raises(InvalidSignature):
            verify(pki.eim.key.public_key(), signature, data + bytes.fromhex("840100"))

    reading(pki, tmp_path, use, token_when_none="nothing")


def test_emitted_forms_are_signed(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        _, package = await made.package("enable", rollback=True)
        assert down(package.raw, "BF51", "30", "A0", "A3")[-2:] == b"\x81\x00"
        data, signature = tlv("30", down(package.raw, "BF51", "30")), down(package.raw, "BF51", "5F37")
        verify(pki.eim.key.public_key(), signature, data + bytes.fromhex("840100"))

    reading(pki, tmp_path, use, emit=["CONTEXT_ROLLBACK_FLAG"])


def test_prefix_of_activation_codes(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        made.order("download", activation_code="1$smdpp.test$M-1")
        trigger = down(await made.poll(), "BF4F", "BF54")
        assert parts(trigger)["A0"] == tlv("80", b"LPA:1$smdpp.test$M-1")

    reading(pki, tmp_path, use, known="0780", activation_code_prefix=True)


def test_nothing_to_acknowledge(pki: Pki, tmp_path: Path) -> None:
    async def inside() -> None:
        read = Interpretation(nothing_to_acknowledge="empty-list")
        async with lab(pki, tmp_path, known="", reading=read) as made:
            made.order("list")
            data = made.card.data(down(await made.poll(), "BF4F"))
            assert (await made.send(provide(data))).hex() == "bf5003bf5300"
            package = Package.of(await made.send(get_package()))
            assert (await made.send(provide(made.card.error(package, 127)))).hex() == "bf5003bf5300"

    asyncio.run(inside())


def test_notification_answer(pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        answer = await made.answer(tlv("BF3D", tlv("A0", made.card.notification("0640"))))
        assert (answer.status, answer.body) == (200, b"")

    reading(pki, tmp_path, use, notification_answer=200)


@pytest.mark.parametrize(("option", "state"), [("discarded", "failed"), ("taken", "done")])
def test_old_sequence(option: str, state: str, pki: Pki, tmp_path: Path) -> None:
    async def use(made: Lab) -> None:
        _, package = await made.package()
        await made.send(provide(made.card.result(package, "830100", seq=9)))
        order, package = await made.package()
        await made.send(provide(made.card.result(package, "830100", seq=9)))
        assert made.show(order)["state"] == state

    reading(pki, tmp_path, use, old_sequence=option)


def test_options_of_the_service() -> None:
    made = service.SERVICE.argv(
        Path("home"), {"dialect": "1.0", "interpretation": {"signature_format": "der", "emit": ["BARE_PUBLIC_KEY"]}}
    )
    given = service.arguments(made[3:])
    assert given.dialect == {"*": "1.0"}
    assert given.interpretation.changed.keys() == {"emit", "signature_format"}
    table = service.arguments(service.SERVICE.argv(Path("home"), {"dialect": {EID: "1.0", "*": "auto"}})[3:])
    assert table.dialect == {EID: "1.0", "*": "auto"}
    for text in ('{"signature_fromat": "der"}', "{", "[]", '{"emit": ["X"]}'):
        with pytest.raises(argparse.ArgumentTypeError):
            service.interpretation(text)
    for text in ("1.3", '{"*": "2"}', "{"):
        with pytest.raises(argparse.ArgumentTypeError):
            service.dialects(text)
