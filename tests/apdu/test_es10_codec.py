"""ES10 requests against literal hex of the standards' ASN.1 (reference vectors, not our own encoder)."""

from __future__ import annotations

import pytest

from bench.apdu import es10_codec as codec
from bench.apdu.es10_codec import Event, MemoryReset
from bench.apdu.es10_results import function_name, result_name

EIM = "3019800465696d31810865696d2e746573748201028301008401ff"


@pytest.mark.parametrize(
    ("request_bytes", "wire"),
    [
        (codec.GET_EID, "bf3e035c015a"),
        (codec.GET_EUICC_INFO1, "bf2000"),
        (codec.GET_EUICC_INFO2, "bf2200"),
        (codec.GET_EUICC_CHALLENGE, "bf2e00"),
        (codec.GET_CONFIGURED_ADDRESSES, "bf3c00"),
        (codec.RETRIEVE_PACKAGE_RESULTS, "bf2b04a0028200"),
        (codec.retrieve_notifications(), "bf2b00"),
        (codec.retrieve_notifications(seq=7), "bf2b05a003800107"),
        (codec.retrieve_notifications(seq=300), "bf2b06a0048002012c"),
        (codec.retrieve_notifications(events=Event.INSTALL), "bf2b06a00481020780"),
        (codec.list_notification(), "bf2800"),
        (codec.list_notification(Event.ENABLE | Event.DISABLE), "bf280481020560"),
        (codec.remove_notification(128), "bf300480020080"),
        (codec.get_profiles_info(), "bf2d00"),
        (codec.get_profiles_info(tags=bytes.fromhex("5a9f70")), "bf2d055c035a9f70"),
        (codec.get_profiles_info(iccid="8901000000000000001"), "bf2d0ea00c5a0a981000000000000000f1"),
        (codec.get_profiles_info(profile_class=2), "bf2d05a003950102"),
        (codec.get_eim_configuration_data(), "bf5500"),
        (codec.get_eim_configuration_data("eim1"), "bf5508a006800465696d31"),
        (codec.add_initial_eim([bytes.fromhex(EIM)]), "bf571da01b" + EIM),
        (codec.get_certs(), "bf5600"),
        (codec.get_certs(b"\x01\x02"), "bf560480020102"),
        (codec.with_refresh_flag(0xBF58, True), "bf58038001ff"),
        (codec.with_refresh_flag(0xBF5D, False), "bf5d03800100"),
        (codec.with_refresh_flag(0xBF5A, True), "bf5a038001ff"),
        (
            codec.memory_reset(MemoryReset.OPERATIONAL_PROFILES | MemoryReset.EIM_CONFIGURATION),
            "bf640482020284",
        ),
        (codec.memory_reset(MemoryReset.EIM_CONFIGURATION), "bf640482020204"),
        (codec.cancel_session(bytes.fromhex("0102030405060708"), 5), "bf410d80080102030405060708810105"),
        (codec.cancel_session(b"\x01", 127), "bf410680010181017f"),
        (codec.set_default_dp_address("dp.test"), "bf6509800764702e74657374"),
        (codec.configure_immediate_enable(flag=True), "bf59028000"),
        (codec.profile_command(0xBF31, "8901000000000000001", True), "bf3111a00c5a0a981000000000000000f18101ff"),
        (codec.delete_profile("8901000000000000001"), "bf330c5a0a981000000000000000f1"),
        (codec.set_nickname("8901000000000000001", "a"), "bf290f5a0a981000000000000000f1900161"),
    ],
)
def test_requests(request_bytes: bytes, wire: str) -> None:
    assert request_bytes.hex() == wire


@pytest.mark.parametrize(
    ("flags", "content"), [(0, "00"), (0x80, "0780"), (0x40, "0640"), (0x04, "0204"), (0x01, "0001"), (0xE0, "05e0")]
)
def test_named_bits_lose_their_trailing_zeros(flags: int, content: str) -> None:
    assert codec.bits(flags).hex() == content


@pytest.mark.parametrize(
    ("value", "content"),
    [(0, "00"), (127, "7f"), (128, "0080"), (-1, "ff"), (-128, "80"), (-129, "ff7f"), (256, "0100")],
)
def test_integers(value: int, content: str) -> None:
    assert codec.integer(value).hex() == content


def test_device_info_has_swapped_digits_and_filler() -> None:
    content = codec.device_info("490154203237518", [(0x88, b"\x0f\x00\x00"), (0x85, b"\x0d\x00\x00")])
    assert content.hex() == "800494104502" + "a10a" + "85030d0000" + "88030f0000" + "82089410450223" + "7315f8"


def test_authenticate_server_keeps_the_bytes_of_the_server() -> None:
    signed1 = bytes.fromhex("3081028001")  # a length longer than needed stays as it is
    request = codec.authenticate_server(
        server_signed1=signed1,
        server_signature1=bytes.fromhex("5f370111"),
        ci_key_id=bytes.fromhex("04020a0b"),
        certificate=bytes.fromhex("3000"),
        ctx_params1=codec.ctx_params1(matching_id="M", device_info=b"\x80\x04abcd"),
    )
    assert request.hex() == "bf381c" + "3081028001" + "5f370111" + "04020a0b" + "3000" + "a00b" + "80014d" + "a106" + (
        "800461626364"
    )


def test_prepare_download_puts_hash_cc_before_the_certificate() -> None:
    request = codec.prepare_download(
        smdp_signed2=bytes.fromhex("3000"),
        smdp_signature2=bytes.fromhex("5f370111"),
        certificate=bytes.fromhex("30020500"),
        hash_cc=bytes(32),
    )
    assert request.hex() == "bf212c" + "3000" + "5f370111" + "0420" + bytes(32).hex() + "30020500"


@pytest.mark.parametrize(
    ("tag", "code", "name"),
    [
        (0xBF57, 2, "associatedEimAlreadyExists"),
        (0xBF58, 1, "rollbackNotAllowed"),
        (0xBF38, 6, "euiccChallengeMismatch"),
        (0xBF21, 2, "invalidSignature"),
        (0xBF41, 5, "invalidTransactionId"),
        (0xBF2D, 11, "profileChangeOngoing"),
        (0xBF30, 1, "nothingToDelete"),
        (0xBF31, 5, "catBusy"),
        (0xBF32, 2, "profileNotInEnabledState"),
        (0xBF33, 3, "disallowedByPolicy"),
        (0xBF56, 1, "invalidCiPKId"),
        (0xBF59, 2, "associatedEimAlreadyExists"),
        (0xBF5A, 1, "immediateEnableNotAvailable"),
        (0xBF5D, 104, "ecallActive"),
        (0xBF5E, 6, "fallbackNotAvailable"),
        (0xBF5F, 1, "parametersNotAvailable"),
        (0xBF64, 1, "nothingToDelete"),
        (0xBF65, 127, "undefinedError"),
        (0xBF57, 99, "99"),
    ],
)
def test_result_names(tag: int, code: int, name: str) -> None:
    assert result_name(tag, code) == name


def test_function_names() -> None:
    assert function_name(0xBF36) == "LoadBoundProfilePackage"
    assert function_name(0xBF51) == "LoadEuiccPackage"
    assert function_name(0xBF2B) == "RetrieveNotificationsList"
    assert function_name(0xBF7E) == "function BF7E"
