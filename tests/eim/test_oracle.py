"""What the eIM emits, read and written again by a second ASN.1 implementation (pycrate)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rsp import oracle

pytest.importorskip("pycrate_asn1c", reason="pycrate is needed as independent decoder")

from fixtures.eim import configuration, messages
from fixtures.pki import Pki

from .parties import EIM_ID, ICCID, Lab, down, lab, provide, tlv
from .test_download import METADATA, SIGNED2, TXID

MODULE = "SGP32Definitions"


@pytest.fixture(scope="module")
def pycrate() -> ModuleType:
    return oracle.compiled_by_pycrate()


def same_again(pycrate: ModuleType, name: str, data: bytes) -> Any:
    found = getattr(getattr(pycrate, MODULE), name)
    found.from_der(data)
    assert found.to_der() == data, name
    return found.get_val()


def test_answers(pycrate: ModuleType, pki: Pki, tmp_path: Path) -> None:
    async def run() -> list[bytes]:
        async with lab(pki, tmp_path) as made:
            return await collect(made)

    async def collect(lab: Lab) -> list[bytes]:
        answers = [await lab.poll()]
        lab.order("enable", iccid=ICCID, rollback=True)
        answers.append(await lab.poll())
        answers.append(await lab.send(provide(lab.card.data(down(answers[-1], "BF4F")))))
        for kind in ("enable", "disable", "delete", "list"):
            answers.append(await lab.poll())
            lab.esipa.orders.cancel(lab.context.store.orders()[-1].id)
            lab.order(kind, **({} if kind == "list" else {"iccid": ICCID}))
        answers.append(await lab.poll())
        lab.esipa.orders.cancel(lab.context.store.orders()[-1].id)
        lab.order("download", activation_code="1$smdpp.test$M")
        answers.append(await lab.poll())
        return answers

    signature = tlv("5F37", b"\x77" * 64)
    signed1 = tlv("30", tlv("80", TXID), tlv("81", bytes(16)), tlv("83", b"smdpp.test"), tlv("84", bytes(16)))
    certificate = pki.dp_auth.certificate
    key_id = tlv("04", bytes(20))
    by_hand = [
        messages.authentication(TXID, signed1, signature, key_id, certificate, matching)
        for matching in (None, "", "M-1")
    ]
    by_hand += [
        messages.client_authentication(TXID, metadata, SIGNED2, signature, certificate, code)
        for metadata in (b"", METADATA)
        for code in (None, bytes(32))
    ]
    by_hand += [messages.error(function, 127) for function in messages._ERROR_TAG]
    by_hand += [messages.cancelled(), messages.acknowledgements([]), messages.acknowledgements([1, 200, 40000])]
    answers = asyncio.run(run()) + by_hand
    kinds = {same_again(pycrate, "EsipaMessageFromEimToIpa", answer)[0] for answer in answers}
    assert len(kinds) == 6


def test_initial_configuration(pycrate: ModuleType, pki: Pki) -> None:
    for token in (None, -1, 300):
        der = configuration.build(
            eim_id=EIM_ID,
            fqdn=EIM_ID,
            signing_key=pki.eim.spki,
            tls_key=pki.eim_tls.spki,
            association_token=token,
        )
        value = same_again(pycrate, "EimConfigurationData", der)
        assert value["eimPublicKeyData"][0] == "eimPublicKey"
        assert value.get("associationToken") == token
