"""Names of ES10 functions and of the result codes they end with (SGP.22 section 5.7, SGP.32 section 5.9)."""

from __future__ import annotations

from bench.rsp import names

_FUNCTIONS = {0xBF36: "LoadBoundProfilePackage", 0xBF51: "LoadEuiccPackage"}
"""Functions whose request has the name of what it carries."""

_RESULTS = {
    0xBF21: "DownloadErrorCode",
    0xBF28: "ListNotificationResponse.listNotificationsResultError",
    0xBF29: "SetNicknameResponse.setNicknameResult",
    0xBF2B: "RetrieveNotificationsListResponse.notificationsListResultError",
    0xBF2D: "ProfileInfoListError",
    0xBF30: "NotificationSentResponse.deleteNotificationStatus",
    0xBF31: "EnableProfileResponse.enableResult",
    0xBF32: "DisableProfileResponse.disableResult",
    0xBF33: "DeleteProfileResponse.deleteResult",
    0xBF34: "EuiccMemoryResetResponse.resetResult",
    0xBF35: "LoadCRLResponseError",
    0xBF38: "AuthenticateErrorCode",
    0xBF3F: "SetDefaultDpAddressResponse.setDefaultDpAddressResult",
    0xBF41: "CancelSessionResponseChoice.cancelSessionResponseError",
    0xBF42: "IpaeActivationResponse.ipaeActivationResult",
    0xBF56: "GetCertsResponse.getCertsError",
    0xBF57: "AddInitialEimResponse.addInitialEimError",
    0xBF58: "ProfileRollbackResponse.cmdResult",
    0xBF59: "ConfigureImmediateProfileEnablingResponse.configImmediateEnableResult",
    0xBF5A: "ImmediateEnableResponse.immediateEnableResult",
    0xBF5B: "EnableEmergencyProfileResponse.enableEmergencyProfileResult",
    0xBF5C: "DisableEmergencyProfileResponse.disableEmergencyProfileResult",
    0xBF5D: "ExecuteFallbackMechanismResponse.executeFallbackMechanismResult",
    0xBF5E: "ReturnFromFallbackResponse.returnFromFallbackResult",
    0xBF5F: "ConnectivityParametersError",
    0xBF64: "EuiccMemoryResetResponse.resetResult",
    0xBF65: "SetDefaultDpAddressResponse.setDefaultDpAddressResult",
}


def function_name(tag: int) -> str:
    """Return the name of the ES10 function with this outer tag, the tag in hex when it is unknown."""
    return _FUNCTIONS.get(tag) or names.function(tag) or f"function {tag:04X}"


def result_name(tag: int, code: int) -> str:
    """Return the name of a result code of the function with this tag; its digits when no standard names it."""
    return names.result(_RESULTS.get(tag, ""), code)
