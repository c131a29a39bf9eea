"""Names of functions, results and errors, for people: from tags and numbers as they stand on the wire.

The names are those in the ASN.1 text (bench/rsp/asn1). Integers stay integers in every message; what is shown and
recorded takes its names here.
"""

from __future__ import annotations

import functools
from enum import IntEnum
from typing import Any

# Outer tag -> function. Request and response of a function have the same tag.
_FUNCTIONS = {
    0xBF20: "GetEuiccInfo1",
    0xBF21: "PrepareDownload",
    0xBF22: "GetEuiccInfo2",
    0xBF23: "InitialiseSecureChannel",
    0xBF24: "ConfigureISDP",
    0xBF25: "StoreMetadata",
    0xBF26: "ReplaceSessionKeys",
    0xBF27: "ProfileInstallationResultData",
    0xBF28: "ListNotification",
    0xBF29: "SetNickname",
    0xBF2A: "UpdateMetadata",
    0xBF2B: "RetrieveNotificationsList",
    0xBF2D: "GetProfilesInfo",
    0xBF2E: "GetEuiccChallenge",
    0xBF2F: "NotificationMetadata",
    0xBF30: "RemoveNotificationFromList",
    0xBF31: "EnableProfile",
    0xBF32: "DisableProfile",
    0xBF33: "DeleteProfile",
    0xBF34: "eUICCMemoryReset",
    0xBF35: "LoadCRL",
    0xBF36: "BoundProfilePackage",
    0xBF37: "ProfileInstallationResult",
    0xBF38: "AuthenticateServer",
    0xBF39: "InitiateAuthentication",
    0xBF3A: "GetBoundProfilePackage",
    0xBF3B: "AuthenticateClient",
    0xBF3C: "GetEuiccConfiguredAddresses",
    0xBF3D: "HandleNotification",
    0xBF3E: "GetEID",
    0xBF3F: "SetDefaultDpAddress",
    0xBF40: "AuthenticateClientEs11",
    0xBF41: "CancelSession",
    0xBF42: "IpaeActivation",
    0xBF43: "GetRAT",
    0xBF4E: "TransferEimPackage",
    0xBF4F: "GetEimPackage",
    0xBF50: "ProvideEimPackageResult",
    0xBF51: "LoadEuiccPackage",
    0xBF52: "IpaEuiccData",
    0xBF53: "EimAcknowledgements",
    0xBF54: "ProfileDownloadTrigger",
    0xBF55: "GetEimConfigurationData",
    0xBF56: "GetCerts",
    0xBF57: "AddInitialEim",
    0xBF58: "ProfileRollback",
    0xBF59: "ConfigureImmediateProfileEnabling",
    0xBF5A: "ImmediateEnable",
    0xBF5B: "EnableEmergencyProfile",
    0xBF5C: "DisableEmergencyProfile",
    0xBF5D: "ExecuteFallbackMechanism",
    0xBF5E: "ReturnFromFallback",
    0xBF5F: "GetConnectivityParameters",
    0xBF64: "eUICCMemoryReset",
    0xBF65: "SetDefaultDpAddress",
}

# Result of a PSMO or eCO (tag in EuiccResultData) -> name of the command, and of its result type.
RESULTS = {
    0x83: ("enable", "EnableProfileResult"),
    0x84: ("disable", "DisableProfileResult"),
    0x85: ("delete", "DeleteProfileResult"),
    0xBF2D: ("listProfileInfo", "ProfileInfoListError"),
    0xA6: ("getRAT", ""),
    0x87: ("configureImmediateEnable", "ConfigureImmediateEnableResult"),
    0xA8: ("addEim", "AddEimResult.addEimResultCode"),
    0x89: ("deleteEim", "DeleteEimResult"),
    0x8A: ("updateEim", "UpdateEimResult"),
    0xAB: ("listEim", "ListEimResult.listEimError"),
    0x8C: ("rollback", "RollbackProfileResult"),
    0x8D: ("setFallbackAttribute", "SetFallbackAttributeResult"),
    0x8E: ("unsetFallbackAttribute", "UnsetFallbackAttributeResult"),
    0x02: ("processingTerminated", "EuiccResultData.processingTerminated"),
    0xBF65: ("setDefaultDpAddress", "SetDefaultDpAddressResponse.setDefaultDpAddressResult"),
}

# Command names of PSMOs and eCOs by tag; A8 and A9 mean different things in the two lists (SGP.32 section 2.11.1.1).
PSMOS = {
    0xA3: "enable",
    0xA4: "disable",
    0xA5: "delete",
    0xBF2D: "listProfileInfo",
    0xA6: "getRAT",
    0xA7: "configureImmediateEnable",
    0xA8: "setFallbackAttribute",
    0xA9: "unsetFallbackAttribute",
    0xBF65: "setDefaultDpAddress",
}
ECOS = {0xA8: "addEim", 0xA9: "deleteEim", 0xAA: "updateEim", 0xAB: "listEim"}


class EuiccPackageErrorCode(IntEnum):
    """Why an eUICC refused a package whose signature was right (SGP.32 section 2.11.2.1)."""

    INVALID_EID = 3
    REPLAY_ERROR = 4
    COUNTER_VALUE_OUT_OF_RANGE = 6
    SIZE_OVERFLOW = 15
    ECALL_ACTIVE = 104
    UNDEFINED_ERROR = 127


class EimPackageError(IntEnum):
    """Error of GetEimPackage (SGP.32 section 5.14.5)."""

    NO_EIM_PACKAGE_AVAILABLE = 1
    EID_NOT_FOUND = 2
    INVALID_EID = 3
    MISSING_EID = 4
    UNDEFINED_ERROR = 127


class StateChangeCause(IntEnum):
    """Why the state of the eUICC changed other than by this eIM (SGP.32 section 5.14.5)."""

    OTHER_EIM = 0
    FALLBACK = 1
    EMERGENCY_PROFILE = 2
    LOCAL = 3
    RESET = 4
    IMMEDIATE_ENABLE_PROFILE = 5
    DEVICE_CHANGE = 6
    UNDEFINED = 127


class CancelSessionReason(IntEnum):
    """Reason of ES10b.CancelSession (SGP.22 section 5.7.14)."""

    END_USER_REJECTION = 0
    POSTPONED = 1
    TIMEOUT = 2
    PPR_NOT_ALLOWED = 3
    METADATA_MISMATCH = 4
    LOAD_BPP_EXECUTION_ERROR = 5
    UNDEFINED_REASON = 127


class BppCommandId(IntEnum):
    """Part of a Bound Profile Package that failed (SGP.22 section 2.5.6)."""

    INITIALISE_SECURE_CHANNEL = 0
    CONFIGURE_ISDP = 1
    STORE_METADATA = 2
    STORE_METADATA2 = 3
    REPLACE_SESSION_KEYS = 4
    LOAD_PROFILE_ELEMENTS = 5


class ErrorReason(IntEnum):
    """Why the installation of a profile failed (SGP.22 section 2.5.6)."""

    INCORRECT_INPUT_VALUES = 1
    INVALID_SIGNATURE = 2
    INVALID_TRANSACTION_ID = 3
    UNSUPPORTED_CRT_VALUES = 4
    UNSUPPORTED_REMOTE_OPERATION_TYPE = 5
    UNSUPPORTED_PROFILE_CLASS = 6
    SCP03T_STRUCTURE_ERROR = 7
    SCP03T_SECURITY_ERROR = 8
    INSTALL_FAILED_DUE_TO_ICCID_ALREADY_EXISTS_ON_EUICC = 9
    INSTALL_FAILED_DUE_TO_INSUFFICIENT_MEMORY_FOR_PROFILE = 10
    INSTALL_FAILED_DUE_TO_INTERRUPTION = 11
    INSTALL_FAILED_DUE_TO_PE_PROCESSING_ERROR = 12
    INSTALL_FAILED_DUE_TO_DATA_MISMATCH = 13
    TEST_PROFILE_INSTALL_FAILED_DUE_TO_INVALID_NAA_KEY = 14
    PPR_NOT_ALLOWED = 15
    INSTALL_FAILED_DUE_TO_UNKNOWN_ERROR = 127


class NotificationEvent(IntEnum):
    """Bit of NotificationEvent (SGP.22 section 4.4.1)."""

    INSTALL = 0
    ENABLE = 1
    DISABLE = 2
    DELETE = 3


def function(tag: int) -> str | None:
    """Return the name of the function (ES10, ES9+, ESipa) whose messages have this outer tag, None when unknown."""
    return _FUNCTIONS.get(tag)


# Functions whose results are a type of their own, rather than a field of their response.
_RESULT_TYPES = {
    "AuthenticateServer": "AuthenticateErrorCode",
    "PrepareDownload": "DownloadErrorCode",
    "CancelSession": "CancelSessionResponseChoice",
    "GetProfilesInfo": "ProfileInfoListError",
    "RetrieveNotificationsList": "RetrieveNotificationsListResponse",
    "RemoveNotificationFromList": "NotificationSentResponse",
    "LoadCRL": "LoadCRLResponseError",
    "LoadEuiccPackage": "EuiccPackageErrorCode",
    "IpaEuiccData": "IpaEuiccDataErrorCode",
    "GetConnectivityParameters": "ConnectivityParametersError",
    "eUICCMemoryReset": "EuiccMemoryResetResponse",
    "ProfileDownloadTrigger": "ProfileDownloadTriggerResult",
}


def result(kind: str, code: int) -> str:
    """Return the name of ``code``: ``result("enable", 2)`` is ``profileNotInDisabledState``.

    ``kind``: a PSMO or eCO (``enable``), a function (``GetEimPackage``), a type of the standards
    (``EnableProfileResult``, ``ErrorReason``) or the path of a field (``GetEimPackageResponse.eimPackageError``).
    A code without a name is returned as its digits.
    """
    return next((table[code] for table in _tables(kind) if code in table), str(code))


@functools.lru_cache(maxsize=512)
def _tables(kind: str) -> tuple[dict[int, str], ...]:
    """Return the enumerations that ``kind`` may mean: its own, then those in its response, ESipa's first."""
    from bench.rsp.asn1.schema import NUMBERS

    path = next((path for name, path in RESULTS.values() if name == kind), kind)
    starts = [path, f"{path}ResponseEsipa", f"{path}Response", f"{path}ResponseEs9"]
    if kind in _RESULT_TYPES:
        starts.append(_RESULT_TYPES[kind])
    return tuple(
        table
        for start in starts
        for module in ("SGP32Definitions", "RSPDefinitions")
        for key, table in NUMBERS[module].items()
        if key == start or key.startswith(f"{start}.")
    )


def bit(kind: str, position: int) -> str:
    """Return the name of a bit: ``bit("NotificationEvent", 1)`` is ``notificationEnable``; its number when unknown."""
    from bench.rsp.asn1.schema import BITS

    for module in ("SGP32Definitions", "RSPDefinitions"):
        if kind in BITS[module]:
            return BITS[module][kind].get(position, str(position))
    return str(position)


_CANCEL_SESSION = 0xBF41


@functools.cache
def codes(tag: int, *, esipa: bool = False) -> dict[int, str]:
    """Return, for the answers with this outer tag, the tags of the fields that are named codes and their paths.

    ``codes(0xBF31)`` is ``{0x80: "EnableProfileResponse.enableResult"}``: give the path to ``result``. ``esipa``: the
    answer of an eIM or SM-DP+ to CancelSession, which has the tag of the card's.
    """
    from bench.rsp.asn1.schema import NUMBERS, SCHEMA

    found: dict[int, str] = {}
    for module in ("SGP32Definitions", "RSPDefinitions"):
        for name, descriptor in SCHEMA[module]["types"].items():
            if "Response" not in name or _outer(descriptor) != tag:
                continue
            if tag == _CANCEL_SESSION and esipa is not name.endswith(("Esipa", "Es9")):
                continue
            if descriptor["type"] in SCHEMA[module]["types"]:  # a tagged CHOICE that we had to split
                name, descriptor = descriptor["type"], SCHEMA[module]["types"][descriptor["type"]]  # noqa: PLW2901
            for member in descriptor.get("members", ()):
                for path in (f"{name}.{member['name']}", member["type"]):
                    if path in NUMBERS[module]:
                        found.setdefault(member["tag"]["number"] | 0x80 if "tag" in member else 0x02, path)
    return found


def _outer(descriptor: dict[str, Any]) -> int:
    number: int = descriptor.get("tag", {"number": 0})["number"]
    return 0xBF00 | number if number >= 31 else 0
