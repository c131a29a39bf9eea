"""What a card says of itself, with names: EUICCInfo1 and 2, memory, rules, connectivity parameters, ISD-R's FCI.

Bits and numbers have the names of the ASN.1 text; versions are dotted (``2.5.0``). What the card left out is empty,
None or an empty set. Functions raise CardAnswerError for bytes that fit no form seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.apdu.errors import CardAnswerError
from bench.apdu.es10_codec import Generation
from bench.apdu.es10_views import answer, signed, text
from bench.rsp import names, tlv
from bench.rsp.errors import DecodeError

_CATEGORIES = {0: "other", 1: "basicEuicc", 2: "mediumEuicc", 3: "contactlessEuicc"}
_MODES: dict[int, Literal["ipad", "ipae"]] = {0: "ipad", 1: "ipae"}


@dataclass(frozen=True, slots=True)
class CardResource:
    """Extended card resource (ETSI TS 102 226 section 8.2.1.7.2), sizes in bytes; None where the card says nothing."""

    applications: int | None = None
    free_non_volatile: int | None = None
    free_volatile: int | None = None


@dataclass(frozen=True, slots=True)
class EuiccInfo1:
    """EUICCInfo1 (SGP.22 section 5.7.8). Key ids are subject key identifiers, the card's first choice first."""

    raw: bytes
    svn: str
    verification_key_ids: tuple[bytes, ...]
    signing_key_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class EuiccInfo2:
    """EUICCInfo2 (SGP.22 section 5.7.8, SGP.32 section 5.9.2)."""

    raw: bytes
    profile_version: str = ""
    """Of the TCA profile package specification."""
    svn: str = ""
    """SGP.22 version."""
    firmware: str = ""
    resource: CardResource = CardResource()
    uicc_capabilities: frozenset[str] = frozenset()
    ts102241_version: str = ""
    globalplatform_version: str = ""
    rsp_capabilities: frozenset[str] = frozenset()
    verification_key_ids: tuple[bytes, ...] = ()
    signing_key_ids: tuple[bytes, ...] = ()
    category: str = ""
    forbidden_ppr: frozenset[str] = frozenset()
    pp_version: str = ""
    sas_number: str = ""
    platform_label: str = ""
    discovery_url: str = ""
    package_versions: tuple[str, ...] = ()
    """additionalEuiccProfilePackageVersions."""
    ipa_mode: Literal["ipad", "ipae", ""] = ""
    """Empty on a card that is no IoT eUICC."""
    iot_versions: tuple[str, ...] = ()
    """SGP.32 versions, empty on a consumer eUICC."""
    ecall: bool = False
    fallback: bool = False
    fallback_allowed_update: bool = False

    @property
    def iot(self) -> bool:
        """Whether the card is an IoT eUICC: SGP.32 makes iotSpecificInfo and ipaMode mandatory."""
        return bool(self.iot_versions or self.ipa_mode)

    @property
    def generation(self) -> Generation:
        """Which functions and forms the card has: ``consumer``, ``1.0`` (SGP.32 v1.0) or ``1.2``."""
        if not self.iot:
            return "consumer"
        if self.iot_versions and all(entry.startswith("1.0.") for entry in self.iot_versions):
            return "1.0"
        return "1.2"


@dataclass(frozen=True, slots=True)
class Operator:
    """OperatorId of a rule: ``plmn`` digits with E for "any digit" (``EEEEEE`` is every operator), GIDs in hex."""

    plmn: str
    gid1: bytes | None = None
    gid2: bytes | None = None


@dataclass(frozen=True, slots=True)
class AuthorisationRule:
    """One rule of the Rules Authorisation Table (SGP.22 section 2.4.12)."""

    pprs: frozenset[str]
    operators: tuple[Operator, ...]
    consent_required: bool


@dataclass(frozen=True, slots=True)
class ConnectivityParameters:
    """GetConnectivityParameters (SGP.32 section 5.9.24): ``http`` as stored in the profile, and what it says.

    ``bearer`` is the content of the Bearer description TLV (ETSI TS 102 223 section 8.52).
    """

    http: bytes
    bearer: bytes = b""
    apn: str = ""
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class IsdRSelection:
    """The FCI that SELECT of ISD-R returns (SGP.22 section 5.7.1, SGP.32 section 5.9): both templates."""

    svn: str = ""
    """SGP.22 version in E0, empty without that template."""
    lpae: frozenset[str] = frozenset()
    iot: bool = False
    """Template E1 is there: an IoT eUICC."""
    ipae_supported: bool = False
    enabled_profile: bool = False


@dataclass(frozen=True, slots=True)
class MemoryReset:
    """Answer to eUICCMemoryReset: codes of the three results, None for a result the card did not give."""

    raw: bytes
    profiles: int
    eims: int | None = None
    immediate_enable: int | None = None

    @property
    def results(self) -> dict[str, str]:
        """Names of the results by their fields (``resetResult``, ``resetEimResult`` ...)."""
        codes = {
            "resetResult": self.profiles,
            "resetEimResult": self.eims,
            "resetImmediateEnableConfigResult": self.immediate_enable,
        }
        return {
            field: names.result(f"EuiccMemoryResetResponse.{field}", code)
            for field, code in codes.items()
            if code is not None
        }


@dataclass(frozen=True, slots=True)
class CrlLoading:
    """Answer to LoadCRL: numbers of the parts of a segmented CRL that are still missing (SGP.22 section 5.7.12)."""

    missing_parts: tuple[int, ...] = ()


# --- EUICCInfo ------------------------------------------------------------------------------------------------------


def version(value: bytes) -> str:
    """Return a VersionType as ``2.5.0``."""
    return ".".join(str(part) for part in value)


def bit_names(kind: str, value: bytes) -> frozenset[str]:
    """Return the names of the bits set in the content of a BIT STRING; bits without a name are their numbers.

    One octet, as some cards send it, has no unused-bits octet: its bits count from the lowest (field findings).
    """
    if len(value) == 1 and value != b"\x00":
        numbers = [position for position in range(8) if value[0] >> position & 1]
    else:
        numbers = [
            position for position in range(len(value[1:]) * 8) if value[1 + position // 8] & 0x80 >> position % 8
        ]
    return frozenset(names.bit(kind, number) for number in numbers)


def card_resource(value: bytes) -> CardResource:
    """Read the content of extCardResource (84). What cannot be read is None: cards put odd things there."""
    try:
        fields = {item.tag: int.from_bytes(item.value, "big") for item in tlv.parse(value)}
    except DecodeError:
        return CardResource()
    return CardResource(fields.get(0x81), fields.get(0x82), fields.get(0x83))


def _fields(found: tlv.Tlv) -> dict[int, tlv.Tlv]:
    fields: dict[int, tlv.Tlv] = {}
    for child in found.children():
        fields.setdefault(child.tag, child)
    return fields


def _key_ids(item: tlv.Tlv | None) -> tuple[bytes, ...]:
    return tuple(child.value for child in item.children()) if item is not None else ()


def _versions(item: tlv.Tlv | None) -> tuple[str, ...]:
    return tuple(version(child.value) for child in item.children()) if item is not None else ()


def euicc_info1(raw: bytes) -> EuiccInfo1:
    """Read a BF20."""
    fields = _fields(answer(raw, 0xBF20))
    svn = fields.get(0x82)
    return EuiccInfo1(
        raw, version(svn.value) if svn is not None else "", _key_ids(fields.get(0xA9)), _key_ids(fields.get(0xAA))
    )


def euicc_info2(raw: bytes) -> EuiccInfo2:
    """Read a BF22, of a consumer or an IoT eUICC."""
    fields = _fields(answer(raw, 0xBF22))

    def value(tag: int) -> bytes:
        return fields[tag].value if tag in fields else b""

    iot = fields.get(0xB4)
    certification = fields.get(0xAC)
    label = certification.find(0x80) if certification is not None else None
    url = certification.find(0x81) if certification is not None else None
    return EuiccInfo2(
        raw=raw,
        profile_version=version(value(0x81)),
        svn=version(value(0x82)),
        firmware=version(value(0x83)),
        resource=card_resource(value(0x84)),
        uicc_capabilities=bit_names("UICCCapability", value(0x85)),
        ts102241_version=version(value(0x86)),
        globalplatform_version=version(value(0x87)),
        rsp_capabilities=bit_names("RspCapability", value(0x88)),
        verification_key_ids=_key_ids(fields.get(0xA9)),
        signing_key_ids=_key_ids(fields.get(0xAA)),
        category=_CATEGORIES.get(signed(value(0x8B)), str(signed(value(0x8B)))) if 0x8B in fields else "",
        forbidden_ppr=bit_names("PprIds", value(0x99)),
        pp_version=version(value(0x04)),
        sas_number=text(value(0x0C)),
        platform_label=text(label.value) if label is not None else "",
        discovery_url=text(url.value) if url is not None else "",
        package_versions=_versions(fields.get(0xAF)),
        ipa_mode=_MODES.get(signed(value(0x90)), "") if 0x90 in fields else "",
        iot_versions=_versions(iot.find(0xA0)) if iot is not None else (),
        ecall=iot is not None and iot.find(0x81) is not None,
        fallback=iot is not None and iot.find(0x82) is not None,
        fallback_allowed_update=iot is not None and iot.find(0x83) is not None,
    )


# --- rules, connectivity, selection ---------------------------------------------------------------------------------


def rules(raw: bytes) -> tuple[AuthorisationRule, ...]:
    """Read the answer of GetRAT (BF43), also without A0 around the table."""
    level = answer(raw, 0xBF43).children()
    while len(level) == 1 and level[0].tag in (0xA0, 0x30) and not level[0].find_all(0x80):
        level = level[0].children()
    return tuple(authorisation_rule(item) for item in level if item.tag == 0x30)


def authorisation_rule(item: tlv.Tlv) -> AuthorisationRule:
    """Read one ProfilePolicyAuthorisationRule (30)."""
    pprs, operators, flags = item.find(0x80), item.find(0xA1), item.find(0x82)
    if pprs is None:
        raise CardAnswerError(f"a rule without pprIds: {item.raw.hex()}", where="GetRAT")
    return AuthorisationRule(
        bit_names("PprIds", pprs.value),
        tuple(_operator(entry) for entry in operators.children()) if operators is not None else (),
        flags is not None and "consentRequired" in bit_names("ProfilePolicyAuthorisationRule.pprFlags", flags.value),
    )


def _operator(item: tlv.Tlv) -> Operator:
    plmn, gid1, gid2 = item.find(0x80), item.find(0x81), item.find(0x82)
    digits = plmn.value.hex().upper() if plmn is not None else ""
    if len(digits) == 6:  # coded as in TS 24.008 10.5.1.3, where E stands for any digit here
        digits = (digits[1] + digits[0] + digits[3] + digits[5] + digits[4] + digits[2]).rstrip("F")
    return Operator(digits, gid1.value if gid1 is not None else None, gid2.value if gid2 is not None else None)


def connectivity_parameters(http: bytes) -> ConnectivityParameters:
    """Read httpParams: COMPREHENSION-TLVs 35 bearer, 47 access name, 0D login, 0D password (SGP.32 section 2.4.4).

    The comprehension bit may be set. Values that cannot be read stay empty; ``http`` has the bytes.
    """
    bearer, apn, texts, at = b"", "", list[str](), 0
    while at + 1 < len(http):
        tag, at = http[at] & 0x7F, at + 1
        length, at = http[at], at + 1
        if length == 0x81 and at < len(http):
            length, at = http[at], at + 1
        value = http[at : at + length]
        at += length
        if len(value) != length:
            break
        if tag == 0x35:
            bearer = value
        elif tag == 0x47:
            apn = _access_name(value)
        elif tag == 0x0D:
            texts.append(_text_string(value))
    user, password = (*texts, "", "")[:2]
    return ConnectivityParameters(http, bearer, apn, user, password)


def _access_name(value: bytes) -> str:
    """Return an APN of labels with a length octet each (TS 23.003 section 9.1)."""
    labels, at = [], 0
    while at < len(value):
        length, at = value[at], at + 1
        labels.append(value[at : at + length].decode("ascii", "backslashreplace"))
        at += length
    return ".".join(labels)


def _text_string(value: bytes) -> str:
    """Return a text string (TS 102 223 section 8.15): its first octet is the data coding scheme, 04 or 08."""
    if not value:
        return ""
    return value[1:].decode("utf-16-be" if value[0] == 0x08 else "latin-1", "backslashreplace")


def isd_r_selection(response: bytes) -> IsdRSelection:
    """Read the FCI of ISD-R; an empty one (a carrier that hides it) or one that cannot be read says nothing."""
    try:
        fci = tlv.first(response)
        consumer, iot = fci.find(0xE0), fci.find(0xE1)
        svn = consumer.find(0x82) if consumer is not None else None
        lpae = consumer.find(0x03) if consumer is not None else None
        configuration = iot.find(0x80) if iot is not None else None
    except DecodeError:
        return IsdRSelection()
    kind = "ISDRProprietaryApplicationTemplateIoT.euiccConfiguration"
    bits = bit_names(kind, configuration.value) if configuration is not None else frozenset[str]()
    return IsdRSelection(
        svn=version(svn.value) if svn is not None else "",
        lpae=bit_names("ISDRProprietaryApplicationTemplate.lpaeSupport", lpae.value)
        if lpae is not None
        else frozenset(),
        iot=iot is not None,
        ipae_supported="ipaeSupported" in bits,
        enabled_profile="enabledProfile" in bits,
    )


# --- results of functions -------------------------------------------------------------------------------------------


def memory_reset(raw: bytes, tag: int) -> MemoryReset:
    """Read the answer of eUICCMemoryReset: BF64, or BF34 of a consumer eUICC or a v1.0 IoT eUICC (result in 02)."""
    fields = _fields(answer(raw, tag))
    first = fields.get(0x80) or fields.get(0x02)
    if first is None:
        raise CardAnswerError(f"no resetResult in {raw.hex()}", where="eUICCMemoryReset")
    eims, immediate = fields.get(0x81), fields.get(0x82)
    return MemoryReset(
        raw,
        signed(first.value),
        signed(eims.value) if eims is not None else None,
        signed(immediate.value) if immediate is not None else None,
    )


def crl_loading(found: tlv.Tlv) -> CrlLoading:
    """Read the answer of LoadCRL when it is no error."""
    parts = found.find(0xA0, 0xA0)
    return CrlLoading(tuple(signed(item.value) for item in parts.children()) if parts is not None else ())
