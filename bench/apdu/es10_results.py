"""Names of ES10 functions and of the result codes they end with (SGP.22 section 5.7, SGP.32 section 5.9)."""

from __future__ import annotations

from collections.abc import Mapping

_OK = {0: "ok", 127: "undefinedError"}
_SWITCH = {5: "catBusy", **_OK}
_ENABLE = {1: "iccidOrAidNotFound", 3: "disallowedByPolicy", **_SWITCH}

FUNCTIONS: Mapping[int, str] = {
    0xBF20: "GetEuiccInfo1",
    0xBF21: "PrepareDownload",
    0xBF22: "GetEuiccInfo2",
    0xBF28: "ListNotification",
    0xBF29: "SetNickname",
    0xBF2B: "RetrieveNotificationsList",
    0xBF2D: "GetProfilesInfo",
    0xBF2E: "GetEuiccChallenge",
    0xBF30: "RemoveNotificationFromList",
    0xBF31: "EnableProfile",
    0xBF32: "DisableProfile",
    0xBF33: "DeleteProfile",
    0xBF34: "eUICCMemoryReset (SGP.22)",
    0xBF36: "LoadBoundProfilePackage",
    0xBF38: "AuthenticateServer",
    0xBF3C: "GetEuiccConfiguredAddresses",
    0xBF3E: "GetEID",
    0xBF3F: "SetDefaultDpAddress (SGP.22)",
    0xBF41: "CancelSession",
    0xBF43: "GetRAT",
    0xBF51: "LoadEuiccPackage",
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

_DOWNLOAD = {
    1: "invalidCertificate",
    2: "invalidSignature",
    3: "unsupportedCurve",
    4: "noSessionContext",
    127: "undefinedError",
}

RESULTS: Mapping[int, Mapping[int, str]] = {
    0xBF21: {**_DOWNLOAD, 5: "invalidTransactionId"},
    0xBF28: _OK,
    0xBF29: {1: "iccidNotFound", **_OK},
    0xBF2B: _OK,
    0xBF2D: {1: "incorrectInputValues", 11: "profileChangeOngoing", **_OK},
    0xBF30: {1: "nothingToDelete", **_OK},
    0xBF31: {2: "profileNotInDisabledState", 4: "wrongProfileReenabling", **_ENABLE},
    0xBF32: {2: "profileNotInEnabledState", **_ENABLE},
    0xBF33: {1: "iccidOrAidNotFound", 2: "profileNotInDisabledState", 3: "disallowedByPolicy", **_OK},
    0xBF34: {1: "nothingToDelete", **_SWITCH},
    0xBF38: {**_DOWNLOAD, 5: "invalidOid", 6: "euiccChallengeMismatch", 7: "ciPKUnknown"},
    0xBF3F: _OK,
    0xBF41: {5: "invalidTransactionId", 127: "undefinedError"},
    0xBF56: {1: "invalidCiPKId", 127: "undefinedError"},
    0xBF57: {
        1: "insufficientMemory",
        2: "associatedEimAlreadyExists",
        3: "ciPKUnknown",
        5: "invalidAssociationToken",
        6: "counterValueOutOfRange",
        7: "commandError",
        127: "undefinedError",
    },
    0xBF58: {1: "rollbackNotAllowed", 7: "commandError", **_SWITCH},
    0xBF59: {1: "insufficientMemory", 2: "associatedEimAlreadyExists", **_OK},
    0xBF5A: {1: "immediateEnableNotAvailable", 4: "noSessionContext", **_SWITCH},
    0xBF5B: {2: "profileNotInDisabledState", 8: "ecallNotAvailable", **_SWITCH},
    0xBF5C: {2: "profileNotInEnabledState", 8: "ecallNotAvailable", **_SWITCH},
    0xBF5D: {
        2: "profileNotInDisabledState",
        6: "fallbackNotAvailable",
        7: "commandError",
        104: "ecallActive",
        **_SWITCH,
    },
    0xBF5E: {6: "fallbackNotAvailable", 7: "commandError", **_SWITCH},
    0xBF5F: {1: "parametersNotAvailable", 127: "undefinedError"},
    0xBF64: {1: "nothingToDelete", 104: "ecallActive", **_SWITCH},
    0xBF65: _OK,
}


def function_name(tag: int) -> str:
    """Return the name of the ES10 function with this outer tag, the tag in hex when it is unknown."""
    return FUNCTIONS.get(tag, f"function {tag:04X}")


def result_name(tag: int, code: int) -> str:
    """Return the name of a result code of the function with this tag; ``code N`` when no standard names it."""
    return RESULTS.get(tag, {}).get(code, f"code {code}")
