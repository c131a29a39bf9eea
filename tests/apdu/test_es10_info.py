"""What cards say of themselves: literal bytes of the standard's forms, odd ones, and anything at all."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.apdu import es10_codec as codec
from bench.apdu import es10_info as info
from bench.apdu import es10_views as views
from bench.apdu.errors import CardAnswerError
from bench.errors import ConfigurationError
from bench.rsp import tlv
from bench.rsp.errors import DecodeError

KEY1, KEY2 = "f54172bdf98a95d65cbeb88a38a1c11d800a85c3", "c0bc70ba36929d43b467ff57570530e57ab8fcd8"
CONSUMER2 = (
    "8103020301"  # profileVersion 2.3.1
    "8203020500"  # svn 2.5.0
    "8303040102"  # firmware
    "840f81010582040003a98083040000184e"  # extCardResource: 5 applications, 240000 and 6222 bytes
    "8506017f36fbb0c0"  # UICCCapability
    "8603090200"
    "8703020300"
    "88020490"  # additionalProfile, testProfileSupport
    f"a92c0414{KEY1}0414{KEY2}"
    f"aa160414{KEY1}"
    "8b0101"
    "990206c0"  # pprUpdateControl, ppr1
    "0403010000"
    "0c0d41432d58582d303030302d3031"
    "ac148005504c412d31810b6c616265702e746573742f"
)
IOT = "900100b40da0050403010200810082008300"


def bf22(content: str) -> bytes:
    return tlv.build(0xBF22, bytes.fromhex(content))


def test_euicc_info1() -> None:
    content = bytes.fromhex(f"8203020500a92c0414{KEY1}0414{KEY2}aa160414{KEY1}")
    found = info.euicc_info1(tlv.build(0xBF20, content))
    assert found.svn == "2.5.0"
    assert [key.hex() for key in found.verification_key_ids] == [KEY1, KEY2]
    assert [key.hex() for key in found.signing_key_ids] == [KEY1]


def test_euicc_info2_of_a_consumer_card() -> None:
    found = info.euicc_info2(bf22(CONSUMER2))
    assert (found.profile_version, found.svn, found.firmware) == ("2.3.1", "2.5.0", "4.1.2")
    assert found.resource == info.CardResource(5, 240000, 6222)
    assert {"usim", "isim", "akaMilenage", "javacard"} <= found.uicc_capabilities
    assert "contactless" not in found.uicc_capabilities
    assert found.rsp_capabilities == {"additionalProfile", "testProfileSupport"}
    assert [key.hex() for key in found.verification_key_ids] == [KEY1, KEY2]
    assert [key.hex() for key in found.signing_key_ids] == [KEY1]
    assert (found.category, found.pp_version, found.sas_number) == ("basicEuicc", "1.0.0", "AC-XX-0000-01")
    assert found.forbidden_ppr == {"pprUpdateControl", "ppr1"}
    assert (found.platform_label, found.discovery_url) == ("PLA-1", "labep.test/")
    assert not found.iot
    assert found.generation == "consumer"


def test_euicc_info2_of_iot_cards() -> None:
    found = info.euicc_info2(bf22(CONSUMER2 + IOT))
    assert found.iot
    assert (found.ipa_mode, found.iot_versions) == ("ipad", ("1.2.0",))
    assert (found.ecall, found.fallback, found.fallback_allowed_update) == (True, True, True)
    assert found.generation == "1.2"
    old = info.euicc_info2(bf22("8203020301900101b407a0050403010000"))
    assert (old.ipa_mode, old.generation, old.ecall) == ("ipae", "1.0", False)


@pytest.mark.parametrize("value", ["", "ff", "8201", "8204000f4240"])
def test_odd_card_resources(value: str) -> None:
    found = info.card_resource(bytes.fromhex(value))
    assert found.free_non_volatile in (None, 1_000_000)


def test_rules() -> None:
    table = tlv.build(
        0xA0,
        tlv.build(0x30, bytes.fromhex("80020560a10730058003eeeeee82020780")),
        tlv.build(0x30, bytes.fromhex("80020640a10c300a800362f2108101018200820100")),
    )
    first, second = info.rules(tlv.build(0xBF43, table))
    assert first == info.AuthorisationRule(frozenset({"ppr1", "ppr2"}), (info.Operator("EEEEEE"),), True)
    assert second.pprs == {"ppr1"}
    assert second.operators == (info.Operator("26201", b"\x01", b""),)
    assert not second.consent_required
    bare = info.rules(tlv.build(0xBF43, tlv.first(table).value))
    assert bare == (first, second)
    assert info.rules(bytes.fromhex("bf4302a000")) == ()


def test_connectivity_parameters() -> None:
    # TS 102 223 sections 8.52, 8.70, 8.15: bearer 03 (GPRS/UTRAN/E-UTRAN default), APN of labels, login, password
    http = bytes.fromhex("350103470d08696e7465726e657403696f740d0504757365720d050470617373")
    found = info.connectivity_parameters(http)
    assert found == info.ConnectivityParameters(http, b"\x03", "internet.iot", "user", "pass")
    comprehension = bytes.fromhex("b50103c70403696f74")
    assert info.connectivity_parameters(comprehension).apn == "iot"
    assert info.connectivity_parameters(b"").apn == ""


def test_isd_r_selection() -> None:
    fci = bytes.fromhex("6f258410a0000005591010ffffffff8900000100a5049f6501ffe0058203020500e10480020640")
    found = info.isd_r_selection(fci)
    assert found == info.IsdRSelection(svn="2.5.0", iot=True, enabled_profile=True)
    lpae = bytes.fromhex("6f0be009820302050003020640")
    assert info.isd_r_selection(lpae).lpae == {"lpaeUsingScws"}
    assert info.isd_r_selection(b"") == info.IsdRSelection()
    assert info.isd_r_selection(b"\x6f\x05\x01") == info.IsdRSelection()


@pytest.mark.parametrize(
    ("raw", "tag", "expected"),
    [
        ("bf6403800100", 0xBF64, {"resetResult": "ok"}),
        (
            "bf6409800101810100820101",
            0xBF64,
            {
                "resetResult": "nothingToDelete",
                "resetEimResult": "ok",
                "resetImmediateEnableConfigResult": "resetIECNotSupported",
            },
        ),
        ("bf6403800168", 0xBF64, {"resetResult": "ecallActive"}),
        ("bf3403800105", 0xBF34, {"resetResult": "catBusy"}),
        ("bf3403020100", 0xBF34, {"resetResult": "ok"}),
    ],
)
def test_memory_reset(raw: str, tag: int, expected: dict[str, str]) -> None:
    assert info.memory_reset(bytes.fromhex(raw), tag).results == expected


def test_memory_reset_options_by_generation() -> None:
    assert codec.reset_options(["resetEimConfigData"]) == (0x04, False)
    assert codec.memory_reset(*codec.reset_options(["resetEimConfigData"])[:1]).hex() == "bf640482020204"
    assert codec.reset_options(["resetEimConfigData"], generation="1.0") == (0x10, True)
    assert codec.reset_options(["deleteOperationalProfiles"], generation="consumer") == (0x80, True)
    with pytest.raises(ConfigurationError, match="of this card"):
        codec.reset_options(["resetEimConfigData"], generation="consumer")
    with pytest.raises(ConfigurationError, match="no option"):
        codec.reset_options([])
    with pytest.raises(ConfigurationError, match="'deleteAll'"):
        codec.reset_options(["deleteAll"])


@pytest.mark.parametrize(
    ("dotted", "content"), [("2.999.10", "88370a"), ("1.2.840.10045", "2a8648ce3d"), ("0.39", "27")]
)
def test_object_identifiers(dotted: str, content: str) -> None:
    assert codec.oid(dotted).hex() == content


@pytest.mark.parametrize("text", ["", "2", "3.1", "1.40", "2.999.", "2..1", "2.x", "2.-1", "2.٣"])
def test_what_is_no_object_identifier(text: str) -> None:
    with pytest.raises(ValueError, match="no object identifier"):
        codec.oid(text)


def test_fingerprint_of_a_key_and_of_its_certificate() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "eim.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(spki)
    expected = digest.finalize().hex()
    assert views.KeyData("spki", spki).fingerprint == expected
    assert views.KeyData("certificate", certificate).fingerprint == expected
    with pytest.raises(CardAnswerError):
        _ = views.KeyData("certificate", bytes.fromhex("3002 3000")).fingerprint


def test_names_of_an_eim_configuration() -> None:
    raw = bytes.fromhex("bf5512a010300e8002653282010284010387020640")
    (eim,) = views.eim_configurations(views.answer(raw, 0xBF55))
    assert eim.eim_id == "e2"
    assert eim.id_type_name == "fqdn"
    assert eim.association_token == 3
    assert eim.protocol_names == ("eimRetrieveCoaps",)


READERS: list[Callable[[bytes], object]] = [
    info.euicc_info1,
    info.euicc_info2,
    info.rules,
    lambda raw: info.memory_reset(raw, 0xBF64),
    lambda raw: info.crl_loading(views.answer(raw, 0xBF35)),
]


@given(st.sampled_from(READERS), st.binary(max_size=80))
def test_readers_take_any_bytes(read: Callable[[bytes], object], data: bytes) -> None:
    for tag in (0xBF20, 0xBF22, 0xBF43, 0xBF64, 0xBF35):
        try:
            read(tlv.build(tag, data))
        except (CardAnswerError, DecodeError):
            pass


@given(st.binary(max_size=80))
def test_readers_of_free_bytes_never_raise(data: bytes) -> None:
    info.card_resource(data)
    info.connectivity_parameters(data)
    info.isd_r_selection(data)
    info.isd_r_selection(tlv.build(0x6F, data))
    info.bit_names("UICCCapability", data)
