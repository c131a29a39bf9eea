"""Compact forms of ESipa at the eIM (minimizeEsipaBytes): put back together, the SM-DP+ sees the eUICC's originals."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from by_hand import number

from fixtures.eim.bindings import Bindings
from fixtures.pki import Pki

from .parties import EID, ICCID, SMDPP, FakeSmdpp, Lab, down, get_package, metadata, parts, provide, sign, tlv
from .test_bindings import POINT, asn1, b64, begin, run
from .test_download import INFO1, METADATA, PACKAGE, SIGNATURE, TXID, smdpp, success

MINIMIZE = "0264"
"""ipaFeatures: indirect, eimDownloadDataHandling, minimizeEsipaBytes."""
INFO2 = tlv("BF22", tlv("81", b"\x02\x03\x01"), tlv("84", b"\x81\x01\x00"), tlv("90", b"\x00"))
RESOURCE = tlv("84", b"\x82\x02\x01\xff")
CONTEXT = tlv("A0", tlv("80", b"M-1"))


def euicc_signed1(info2: bytes = INFO2) -> bytes:
    return tlv("30", tlv("80", TXID), tlv("83", SMDPP.encode()), tlv("84", b"\xdd" * 16), info2, CONTEXT)


def signature(lab: Lab, data: bytes) -> bytes:
    return tlv("5F37", sign(lab.card.credential.key, data))


async def first_session(lab: Lab, bindings: Bindings) -> None:
    """A session in which the eIM learns euiccInfo1, euiccInfo2 and certificates."""
    order, answer = await begin(lab, bindings)
    assert "80" not in parts(down(answer, "BF39", "A0")), "the eIM says that it takes compact forms"
    signed = euicc_signed1()
    chain = lab.card.credential.certificate + lab.card.eum.certificate
    full = tlv("BF38", tlv("A0", signed, signature(lab, signed), chain))
    answer = (await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), full))).body
    assert "80" not in parts(down(answer, "BF3B", "A0"))
    lab.esipa.orders.cancel(int(order))


def with_key(pki: Pki) -> FakeSmdpp:
    """The SM-DP+ has the eUICC's one-time key of an earlier binding."""
    signed2 = tlv("30", tlv("80", TXID), b"\x01\x01\x00", POINT)
    return smdpp(
        pki,
        authenticateClient=lambda _: success(
            transactionId=TXID.hex().upper(),
            profileMetadata=METADATA,
            smdpSigned2=signed2,
            smdpSignature2=SIGNATURE,
            smdpCertificate=pki.dp_pb.certificate,
        ),
    )


def test_compact_forms_become_the_originals_again(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        await first_session(lab, bindings)
        order, answer = await begin(lab, bindings, info1=b"")
        assert "80" not in parts(down(answer, "BF39", "A0"))
        assert server.requests[-1][1]["euiccInfo1"] == b64(INFO1)

        signed = euicc_signed1(tlv("BF22", tlv("81", b"\x02\x03\x01"), RESOURCE, tlv("90", b"\x00")))
        sign1 = signature(lab, signed)
        compact = tlv("BF38", tlv("A2", tlv("A0", RESOURCE, tlv("A2", CONTEXT)), sign1))
        await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), compact))
        chain = lab.card.credential.certificate + lab.card.eum.certificate
        assert server.requests[-1] == (
            "authenticateClient",
            {
                "transactionId": TXID.hex().upper(),
                "authenticateServerResponse": b64(tlv("BF38", tlv("A0", signed, sign1, chain))),
            },
        )

        signed2 = tlv("30", tlv("80", TXID), POINT)
        sign2 = signature(lab, signed2 + SIGNATURE)
        compact = tlv("BF21", tlv("A2", tlv("30"), sign2))
        answer = (await asn1(lab, bindings, tlv("BF3A", tlv("80", TXID), compact))).body
        assert server.requests[-1][1]["prepareDownloadResponse"] == b64(tlv("BF21", tlv("A0", signed2, sign2)))
        assert answer == tlv("BF3A", tlv("A0", PACKAGE)), "no transactionId"

        original = lab.card.installation(TXID)
        data = down(original, "BF37")
        about = down(data, "BF27", "BF2F")
        # The SM-DP+'s OID comes from its certificate.
        oid = bytes.fromhex(OID_OF_DP)
        content = tlv("80", TXID) + tlv("BF2F", about) + tlv("06", oid) + tlv("A2", down(data, "BF27", "A2"))
        signed_data = tlv("BF27", content)
        made = tlv("BF37", signed_data, signature(lab, signed_data))
        small = tlv("80", TXID) + tlv("02", number(lab.card.seq)) + tlv("A2", tlv("A0", tlv("4F", b"\x00\x11")))
        await asn1(lab, bindings, tlv("BF3D", tlv("A0", tlv("A0", tlv("A0", small), signature(lab, signed_data)))))
        (kept,) = lab.context.store.notifications(EID)
        assert down(kept.raw, "BF37", "BF27") == content
        assert down(kept.raw, "BF37", "5F37") != b""
        assert kept.raw[: len(made) - 64] == made[:-64], "but for the signature, which is another each time"
        assert kept.verified
        assert lab.show(order)["state"] == "done"

    run(pki, tmp_path, use, known=MINIMIZE, server=with_key(pki))


OID_OF_DP = "88370a"


@pytest.fixture(scope="module", autouse=True)
def _the_oid_of_the_dp(pki: Pki) -> None:
    """The literal above is what the certificate says."""
    from cryptography import x509

    names = x509.load_der_x509_certificate(pki.dp_auth.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.RegisteredID)[0].dotted_string == "2.999.10"


def test_a_failed_installation_in_its_compact_form(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _server: FakeSmdpp) -> None:
        await first_session(lab, bindings)
        order, _ = await begin(lab, bindings)
        chain = lab.card.credential.certificate + lab.card.eum.certificate
        signed = euicc_signed1()
        # euiccSigned1 and the certificates whole, in the compact form
        whole = (
            tlv("A1", parts(lab.card.credential.certificate)["30"]),
            tlv("A2", parts(lab.card.eum.certificate)["30"]),
        )
        compact = tlv("BF38", tlv("A2", signed, signature(lab, signed), *whole))
        answer = await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), compact))
        assert "A0" in parts(down(answer.body, "BF3B"))
        assert chain in base64.b64decode(_server.requests[-1][1]["authenticateServerResponse"])
        final = tlv("A1", tlv("80", b"\x05"), tlv("81", b"\x0c"))
        about = metadata(9, "0780")
        data = tlv("BF27", tlv("80", TXID), about, tlv("06", bytes.fromhex(OID_OF_DP)), tlv("A2", final))
        small = tlv("A0", tlv("80", TXID), tlv("02", b"\x09"), tlv("A2", final))
        await asn1(lab, bindings, tlv("BF3D", tlv("A0", tlv("A0", small, signature(lab, data)))))
        assert lab.show(order)["error"]["error_reason"] == "installFailedDueToPEProcessingError"
        (kept,) = lab.context.store.notifications(EID)
        assert (kept.verified, kept.seq) == (1, 9)
        assert lab.show(order)["state"] == "failed"

    run(pki, tmp_path, use, known=MINIMIZE)


@pytest.mark.parametrize("reason", [b"\x05", b""])
def test_a_cancellation_in_its_compact_form(reason: bytes, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        await first_session(lab, bindings)
        await begin(lab, bindings)
        signed = tlv("30", tlv("80", TXID), tlv("81", bytes.fromhex(OID_OF_DP)), tlv("82", reason or b"\x7f"))
        made = signature(lab, signed)
        inside = tlv("A2", tlv("30", tlv("80", reason) if reason else b""), made)
        answer = await asn1(lab, bindings, tlv("BF41", tlv("80", TXID), tlv("A1", inside)))
        assert answer.body.hex() == "bf4102a000"
        assert server.requests[-1][1]["cancelSessionResponse"] == b64(tlv("BF41", tlv("A0", signed, made)))

    run(pki, tmp_path, use, known=MINIMIZE)


@pytest.mark.parametrize("way", ["BF3D", "BF3D without EID", "BF50"])
def test_other_notifications_in_their_compact_form(way: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, _server: FakeSmdpp) -> None:
        from .parties import Package

        about = metadata(7, "0640")
        made = signature(lab, about)
        owner = tlv("5A", bytes.fromhex(EID)) if way == "BF3D" else b""
        compact = tlv("A1", owner, about, made)
        if way == "BF50":
            order = lab.order("enable", iccid=ICCID)
            package = Package.of((await asn1(lab, bindings, get_package())).body)
            both = tlv("30", lab.card.result(package, "830100", seq=8), tlv("A0", compact))
            answer = await asn1(lab, bindings, provide(both))
            assert answer.body == tlv("BF50", tlv("BF53", tlv("80", b"\x07"), tlv("80", b"\x08")))
            assert lab.show(order)["state"] == "done"
        else:
            assert (await asn1(lab, bindings, tlv("BF3D", tlv("A0", compact)))).status == 204
        (kept,) = lab.context.store.notifications(EID)
        chain = lab.card.credential.certificate + lab.card.eum.certificate
        assert kept.raw == tlv("30", about, made, chain)
        assert kept.verified

    run(pki, tmp_path, use)


def test_a_compact_form_that_cannot_be_rebuilt_goes_nowhere(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        order, _ = await begin(lab, bindings)
        compact = tlv("BF38", tlv("A2", tlv("A0", RESOURCE, tlv("A2", CONTEXT)), SIGNATURE))
        assert (await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), compact))).body.hex() == "bf3b03820105"
        preparation = tlv("BF21", tlv("A2", tlv("30"), SIGNATURE))
        assert (await asn1(lab, bindings, tlv("BF3A", tlv("80", TXID), preparation))).body.hex() == "bf3a03810101"
        assert [name for name, _ in server.requests] == ["initiateAuthentication"]
        assert not lab.show(order)["final"], "the IPA sends it in full now"
        signed = euicc_signed1()
        chain = lab.card.credential.certificate + lab.card.eum.certificate
        full = tlv("BF38", tlv("A0", signed, signature(lab, signed), chain))
        assert "A0" in parts(down((await asn1(lab, bindings, tlv("BF3B", tlv("80", TXID), full))).body, "BF3B"))
        cancellation = tlv("BF41", tlv("80", TXID), tlv("A1", tlv("A2", tlv("30", tlv("80", b"\x00")), SIGNATURE)))
        assert (await asn1(lab, bindings, cancellation)).body.hex() == "bf4103810102"
        note = tlv("BF3D", tlv("A0", tlv("A1", metadata(3, "0640"), SIGNATURE)))
        assert (await asn1(lab, bindings, note)).status == 400
        result = tlv("A0", tlv("A0", tlv("80", b"\x99"), tlv("02", b"\x01"), tlv("A2", tlv("A1"))), SIGNATURE)
        assert (await asn1(lab, bindings, tlv("BF3D", tlv("A0", result)))).status == 400
        assert lab.context.store.notifications(EID) == []

    run(pki, tmp_path, use, known=MINIMIZE)


def test_an_ipa_that_leaves_out_what_it_never_told(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab, bindings: Bindings, server: FakeSmdpp) -> None:
        order, answer = await begin(lab, bindings, info1=b"")
        assert answer.hex() == "bf390381017f"
        assert server.requests == []
        assert not lab.show(order)["final"], "the IPA tells it when it tries again"

    run(pki, tmp_path, use, known=MINIMIZE)
