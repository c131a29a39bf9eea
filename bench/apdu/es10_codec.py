"""ES10 requests as bytes (SGP.22 section 5.7, SGP.32 section 5.9; tags in the standards' ASN.1).

Pure functions: what they return goes into ``store_data.chain`` as it is. Where standards and field disagree, the form
that automatic tagging gives is written (``80 01 FF`` for refreshFlag, ``A0 {80 seq}`` for a search).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum, IntFlag
from typing import Literal

from bench.errors import ConfigurationError
from bench.rsp import ids, tlv

GET_EID = bytes.fromhex("BF3E035C015A")
GET_EUICC_INFO1 = bytes.fromhex("BF2000")
GET_EUICC_INFO2 = bytes.fromhex("BF2200")
GET_EUICC_CHALLENGE = bytes.fromhex("BF2E00")
GET_CONFIGURED_ADDRESSES = bytes.fromhex("BF3C00")
GET_RAT = bytes.fromhex("BF4300")
GET_CONNECTIVITY_PARAMETERS = bytes.fromhex("BF5F00")
PROFILE_TAGS = bytes.fromhex("5A4F9F7090919295999F7B9F269F67")
"""Tags of ProfileInfo for a whole look at a profile: also policy rules, and those that SGP.32 adds."""
RETRIEVE_PACKAGE_RESULTS = bytes.fromhex("BF2B04A0028200")


class CancelReason(IntEnum):
    """Why a download session is cancelled (SGP.22 section 5.7.14)."""

    END_USER_REJECTION = 0
    POSTPONED = 1
    TIMEOUT = 2
    PPR_NOT_ALLOWED = 3
    METADATA_MISMATCH = 4
    LOAD_BPP_EXECUTION_ERROR = 5
    UNDEFINED = 127


class Event(IntFlag):
    """NotificationEvent as the first byte of its BIT STRING."""

    INSTALL = 0x80
    ENABLE = 0x40
    DISABLE = 0x20
    DELETE = 0x10


EVENT_NAMES = {Event.INSTALL: "install", Event.ENABLE: "enable", Event.DISABLE: "disable", Event.DELETE: "delete"}


class MemoryReset(IntFlag):
    """Options of the IoT eUICC memory reset as the first byte of the BIT STRING (SGP.32 section 5.9.5)."""

    OPERATIONAL_PROFILES = 0x80
    FIELD_LOADED_TEST_PROFILES = 0x40
    DEFAULT_SMDP_ADDRESS = 0x20
    PRELOADED_TEST_PROFILES = 0x10
    PROVISIONING_PROFILES = 0x08
    EIM_CONFIGURATION = 0x04
    IMMEDIATE_ENABLE_CONFIGURATION = 0x02


class MemoryResetV10(IntFlag):
    """Options of the v1.0 IoT eUICC memory reset (BF34): bits 3 and 4 mean other things than in ``MemoryReset``."""

    OPERATIONAL_PROFILES = 0x80
    FIELD_LOADED_TEST_PROFILES = 0x40
    DEFAULT_SMDP_ADDRESS = 0x20
    EIM_CONFIGURATION = 0x10
    AUTO_ENABLE_CONFIGURATION = 0x08


RESET_OPTIONS = {
    "deleteOperationalProfiles": MemoryReset.OPERATIONAL_PROFILES,
    "deleteFieldLoadedTestProfiles": MemoryReset.FIELD_LOADED_TEST_PROFILES,
    "resetDefaultSmdpAddress": MemoryReset.DEFAULT_SMDP_ADDRESS,
    "deletePreLoadedTestProfiles": MemoryReset.PRELOADED_TEST_PROFILES,
    "deleteProvisioningProfiles": MemoryReset.PROVISIONING_PROFILES,
    "resetEimConfigData": MemoryReset.EIM_CONFIGURATION,
    "resetImmediateEnableConfig": MemoryReset.IMMEDIATE_ENABLE_CONFIGURATION,
}
"""The options by their names in the ASN.1 text."""


_RESET_OPTIONS_V10 = {
    "deleteOperationalProfiles": MemoryResetV10.OPERATIONAL_PROFILES,
    "deleteFieldLoadedTestProfiles": MemoryResetV10.FIELD_LOADED_TEST_PROFILES,
    "resetDefaultSmdpAddress": MemoryResetV10.DEFAULT_SMDP_ADDRESS,
    "resetEimConfigData": MemoryResetV10.EIM_CONFIGURATION,
    "resetImmediateEnableConfig": MemoryResetV10.AUTO_ENABLE_CONFIGURATION,
}
Generation = Literal["consumer", "1.0", "1.2"]
"""What a card is by EUICCInfo2: a consumer eUICC, an IoT eUICC of SGP.32 v1.0, or of v1.1 and later."""


def reset_options(options: Iterable[str], *, generation: Generation = "1.2") -> tuple[int, bool]:
    """Return the flags for ``memory_reset``, and whether they are those of BF34 (``consumer``).

    Raises ConfigurationError for an option that a card of this generation has not, and for none at all.
    """
    known: Mapping[str, int] = RESET_OPTIONS
    if generation != "1.2":
        known = {name: flag for name, flag in _RESET_OPTIONS_V10.items() if generation == "1.0" or flag >= 0x20}
    flags = 0
    for option in options:
        if option not in known:
            raise ConfigurationError(
                f"{option!r} is no option of the memory reset of this card",
                where="eUICCMemoryReset",
                hint="known: " + ", ".join(known),
            )
        flags |= known[option]
    if not flags:
        raise ConfigurationError(
            "no option of the memory reset", where="eUICCMemoryReset", hint="known: " + ", ".join(known)
        )
    return flags, generation != "1.2"


def integer(value: int) -> bytes:
    """Return the content of a DER INTEGER."""
    return value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True)


def bits(flags: int) -> bytes:
    """Return the content of a named BIT STRING of up to 8 bits: unused-bits octet, no trailing zeros (X.690 11.2).

    ``flags``: bit 0 of the standard is 0x80.
    """
    if not 0 <= flags <= 0xFF:
        raise ValueError(f"{flags:#x} is not one byte of flags")
    if not flags:
        return b"\x00"
    unused = (flags & -flags).bit_length() - 1
    return bytes((unused, flags))


def oid(dotted: str) -> bytes:
    """Return the content of an OBJECT IDENTIFIER. Raises ValueError for what is none."""
    try:
        arcs = [int(part) for part in dotted.split(".") if part.isascii() and part.isdecimal()]
    except ValueError:  # more digits than Python converts
        arcs = []
    if len(arcs) < 2 or len(arcs) != dotted.count(".") + 1 or arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39):
        raise ValueError(f"{dotted!r} is no object identifier")
    content = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        octets = [arc & 0x7F]
        while arc := arc >> 7:
            octets.append(0x80 | arc & 0x7F)
        content += bytes(reversed(octets))
    return bytes(content)


def boolean(value: bool) -> bytes:
    """Return the content of a DER BOOLEAN."""
    return b"\xff" if value else b"\x00"


def get_profiles_info(
    *,
    iccid: str | None = None,
    aid: bytes | None = None,
    profile_class: int | None = None,
    tags: bytes | None = None,
) -> bytes:
    """BF2D GetProfilesInfo. ``tags``: the tags wanted, concatenated (``5A9F70``), None for the card's default."""
    criteria = b""
    if iccid is not None:
        criteria = tlv.build(0x5A, ids.iccid_bytes(iccid))
    elif aid is not None:
        criteria = tlv.build(0x4F, aid)
    elif profile_class is not None:
        criteria = tlv.build(0x95, integer(profile_class))
    return tlv.build(
        0xBF2D,
        tlv.build(0xA0, criteria) if criteria else b"",
        tlv.build(0x5C, tags) if tags is not None else b"",
    )


def cancel_session(transaction_id: bytes, reason: int) -> bytes:
    """BF41 CancelSession."""
    return tlv.build(0xBF41, tlv.build(0x80, transaction_id), tlv.build(0x81, integer(reason)))


def list_notification(events: int | None = None) -> bytes:
    """BF28 ListNotification, of all or of some events (``Event``)."""
    return tlv.build(0xBF28, tlv.build(0x81, bits(events)) if events is not None else b"")


def retrieve_notifications(*, seq: int | None = None, events: int | None = None) -> bytes:
    """BF2B RetrieveNotificationsList: all, the one with ``seq``, or those of some events.

    The search stands inside A0: cards ignore or refuse it without.
    """
    if seq is not None:
        return tlv.build(0xBF2B, tlv.build(0xA0, tlv.build(0x80, integer(seq))))
    if events is not None:
        return tlv.build(0xBF2B, tlv.build(0xA0, tlv.build(0x81, bits(events))))
    return tlv.build(0xBF2B)


def remove_notification(seq: int) -> bytes:
    """BF30 RemoveNotificationFromList: a notification or an eUICC package result, they share their numbers."""
    return tlv.build(0xBF30, tlv.build(0x80, integer(seq)))


def get_eim_configuration_data(eim_id: str | None = None) -> bytes:
    """BF55 GetEimConfigurationData, of all associated eIMs or of one."""
    if eim_id is None:
        return tlv.build(0xBF55)
    return tlv.build(0xBF55, tlv.build(0xA0, tlv.build(0x80, eim_id.encode())))


def add_initial_eim(configurations: Sequence[bytes]) -> bytes:
    """BF57 AddInitialEim with EimConfigurationData TLVs (30) as they are."""
    return tlv.build(0xBF57, tlv.build(0xA0, *configurations))


def load_crl(crl: bytes) -> bytes:
    """BF35 LoadCRL; ``crl``: CertificateList as DER, whose tag A0 replaces."""
    return tlv.build(0xBF35, tlv.build(0xA0, tlv.first(crl).value))


def ipae_activation(*, activate: bool = True) -> bytes:
    """BF42 IpaeActivation with bit activateIpae (0)."""
    return tlv.build(0xBF42, tlv.build(0x80, bits(0x80 if activate else 0)))


def get_certs(ci_key_id: bytes | None = None) -> bytes:
    """BF56 GetCerts, of the chain below one CI key or of the card's first."""
    return tlv.build(0xBF56, tlv.build(0x80, ci_key_id) if ci_key_id is not None else b"")


def with_refresh_flag(tag: int, refresh: bool) -> bytes:
    """ProfileRollback, ImmediateEnable, fallback and emergency functions: ``tag`` with 80 refreshFlag."""
    return tlv.build(tag, tlv.build(0x80, boolean(refresh)))


def profile_command(tag: int, profile: str | bytes, refresh: bool) -> bytes:
    """BF31 EnableProfile and BF32 DisableProfile of ES10c, for consumer eUICCs; ``profile``: ICCID digits or AID."""
    return tlv.build(tag, tlv.build(0xA0, _identifier(profile)), tlv.build(0x81, boolean(refresh)))


def delete_profile(profile: str | bytes) -> bytes:
    """BF33 DeleteProfile of ES10c, for consumer eUICCs; ``profile``: ICCID digits or AID."""
    return tlv.build(0xBF33, _identifier(profile))


def _identifier(profile: str | bytes) -> bytes:
    return tlv.build(0x4F, profile) if isinstance(profile, bytes) else tlv.build(0x5A, ids.iccid_bytes(profile))


def set_nickname(iccid: str, nickname: str) -> bytes:
    """BF29 SetNickname; raises ValueError for a name of more than 64 bytes of UTF-8."""
    coded = nickname.encode()
    if len(coded) > 64:
        raise ValueError(f"a nickname has at most 64 bytes, this one has {len(coded)}")
    return tlv.build(0xBF29, tlv.build(0x5A, ids.iccid_bytes(iccid)), tlv.build(0x90, coded))


def set_default_dp_address(address: str, *, consumer: bool = False) -> bytes:
    """BF65 SetDefaultDpAddress (IoT), BF3F for a consumer eUICC; empty removes it."""
    return tlv.build(0xBF3F if consumer else 0xBF65, tlv.build(0x80, address.encode()))


def configure_immediate_enable(*, flag: bool, smdp_oid: bytes | None = None, smdp_address: str | None = None) -> bytes:
    """BF59 ConfigureImmediateProfileEnabling. ``smdp_oid``: content bytes of the OBJECT IDENTIFIER."""
    return tlv.build(
        0xBF59,
        tlv.build(0x80) if flag else b"",
        tlv.build(0x81, smdp_oid) if smdp_oid is not None else b"",
        tlv.build(0x82, smdp_address.encode()) if smdp_address is not None else b"",
    )


def memory_reset(options: int, *, consumer: bool = False) -> bytes:
    """BF64 eUICCMemoryReset (IoT options of ``MemoryReset``), BF34 for a consumer eUICC."""
    return tlv.build(0xBF34 if consumer else 0xBF64, tlv.build(0x82, bits(options)))


def authenticate_server(
    *, server_signed1: bytes, server_signature1: bytes, ci_key_id: bytes, certificate: bytes, ctx_params1: bytes
) -> bytes:
    """BF38 AuthenticateServer from TLVs as the server sent them (30, 5F37, 04, 30) and A0 ctxParams1."""
    return tlv.build(0xBF38, server_signed1, server_signature1, ci_key_id, certificate, ctx_params1)


def prepare_download(
    *, smdp_signed2: bytes, smdp_signature2: bytes, certificate: bytes, hash_cc: bytes | None = None
) -> bytes:
    """BF21 PrepareDownload from TLVs as the server sent them (30, 5F37, 30); ``hash_cc``: 32 bytes or None."""
    return tlv.build(
        0xBF21,
        smdp_signed2,
        smdp_signature2,
        tlv.build(0x04, hash_cc) if hash_cc is not None else b"",
        certificate,
    )


def ctx_params1(*, matching_id: str | None, device_info: bytes) -> bytes:
    """Return A0 ctxParamsForCommonAuthentication; ``device_info``: content of DeviceInfo (``device_info``)."""
    matching = tlv.build(0x80, matching_id.encode()) if matching_id is not None else b""
    return tlv.build(0xA0, matching, tlv.build(0xA1, device_info))


def device_info(imei: str, capabilities: Iterable[tuple[int, bytes]] = ()) -> bytes:
    """Return the content of DeviceInfo: 80 tac, A1 deviceCapabilities, 82 imei (SGP.22 section 4.2).

    ``imei``: 15 digits. ``capabilities``: tag and the three bytes of a release, such as
    ``(0x85, b"\\x0d\\x00\\x00")`` for E-UTRAN release 13.
    """
    coded = ids.imei_bytes(imei)
    listed = b"".join(tlv.build(tag, release) for tag, release in sorted(capabilities))
    return tlv.build(0x80, coded[:4]) + tlv.build(0xA1, listed) + tlv.build(0x82, coded)
