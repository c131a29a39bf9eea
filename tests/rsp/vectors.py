"""Literal messages: type, value and bytes, worked out by hand from the tag tables of SGP.32 v1.2 and SGP.22 v2.5.

These bytes were also made by two other programs; they are the ground that codec and pycrate are measured against.
"""

from __future__ import annotations

from typing import Any

EID = bytes.fromhex("89044045930000000000002153893210")
ICCID = bytes.fromhex("891010123456789012f1")
TRANSACTION = bytes.fromhex("0102030405060708")
SIGNATURE = b"\x11" * 64

_VECTORS: list[tuple[str, Any, str]] = [
    ("EsipaMessageFromIpaToEim", ("getEimPackageRequest", {"eidValue": EID}), "bf4f125a10{E}"),
    (
        "EsipaMessageFromIpaToEim",
        (
            "getEimPackageRequest",
            {"eidValue": EID, "notifyStateChange": None, "stateChangeCause": 5, "rPLMN": bytes.fromhex("62f210")},
        ),
        "bf4f1c5a10{E}8000810105820362f210",
    ),
    ("EsipaMessageFromEimToIpa", ("getEimPackageResponse", ("eimPackageError", 1)), "bf4f03020101"),
    (
        "EuiccPackageSigned",
        {
            "eimId": "eim1",
            "eidValue": EID,
            "counterValue": 1,
            "eimTransactionId": TRANSACTION,
            "euiccPackage": ("psmoList", [("enable", {"iccid": ICCID, "rollbackFlag": None})]),
        },
        "3037800465696d315a10{E}8101018208{T}a010a30e5a0a{I}0500",
    ),
    (
        "EuiccPackageRequest",
        {
            "euiccPackageSigned": {
                "eimId": "eim1",
                "eidValue": EID,
                "counterValue": 1,
                "eimTransactionId": TRANSACTION,
                "euiccPackage": ("psmoList", [("enable", {"iccid": ICCID, "rollbackFlag": None})]),
            },
            "eimSignature": SIGNATURE,
        },
        "bf517c3037800465696d315a10{E}8101018208{T}a010a30e5a0a{I}05005f3740{S}",
    ),
    ("Psmo", ("disable", {"iccid": ICCID}), "a40c5a0a{I}"),
    ("Psmo", ("delete", {"iccid": ICCID}), "a50c5a0a{I}"),
    ("Psmo", ("getRAT", {}), "a600"),
    ("Psmo", ("listProfileInfo", {}), "bf2d00"),
    ("Psmo", ("listProfileInfo", {"tagList": bytes.fromhex("5a9f70")}), "bf2d055c035a9f70"),
    ("Psmo", ("configureImmediateEnable", {"immediateEnableFlag": None}), "a7028000"),
    ("Psmo", ("setFallbackAttribute", {"iccid": ICCID}), "a80c5a0a{I}"),
    ("Psmo", ("unsetFallbackAttribute", {}), "a900"),
    ("Psmo", ("setDefaultDpAddress", {"defaultDpAddress": "dp.test"}), "bf6509800764702e74657374"),
    (
        "Eco",
        (
            "addEim",
            {
                "eimId": "e2",
                "eimFqdn": "e2.test",
                "eimIdType": 2,
                "counterValue": 0,
                "associationToken": -1,
                "eimSupportedProtocol": (bytes.fromhex("80"), 1),
            },
        ),
        "a81a80026532810765322e746573748201028301008401ff87020780",
    ),
    ("Eco", ("deleteEim", {"eimId": "e2"}), "a90480026532"),
    ("Eco", ("listEim", {}), "ab00"),
    (
        "EuiccPackageResultDataSigned",
        {
            "eimId": "eim1",
            "counterValue": 1,
            "eimTransactionId": TRANSACTION,
            "seqNumber": 7,
            "euiccResult": [("enableResult", 0)],
        },
        "301b800465696d318101018208{T}8301073003830100",
    ),
    (
        "EuiccPackageResult",
        (
            "euiccPackageResultSigned",
            {
                "euiccPackageResultDataSigned": {
                    "eimId": "eim1",
                    "counterValue": 1,
                    "eimTransactionId": TRANSACTION,
                    "seqNumber": 7,
                    "euiccResult": [("enableResult", 0)],
                },
                "euiccSignEPR": SIGNATURE,
            },
        ),
        "bf5162a060301b800465696d318101018208{T}83010730038301005f3740{S}",
    ),
    (
        "EuiccPackageResult",
        (
            "euiccPackageErrorSigned",
            {
                "euiccPackageErrorDataSigned": {"eimId": "eim1", "counterValue": 1, "euiccPackageErrorCode": 4},
                "euiccSignEPE": SIGNATURE,
            },
        ),
        "bf5153a151300c800465696d318101010201045f3740{S}",
    ),
    (
        "EuiccPackageResult",
        ("euiccPackageErrorUnsigned", {"eimId": "eim1", "associationToken": 1, "euiccPackageUnsignedErrorCode": 127}),
        "bf510ea20c800465696d318401018f017f",
    ),
    (
        "EuiccResultData",
        (
            "listProfileInfoResult",
            ("profileInfoListOk", [{"iccid": ICCID, "profileState": 1, "fallbackAttribute": False}]),
        ),
        "bf2d14a012e3105a0a{I}9f700101",
    ),
    ("EuiccResultData", ("listProfileInfoResult", ("profileInfoListError", 11)), "bf2d0381010b"),
    ("EuiccResultData", ("addEimResult", ("associationToken", 3)), "a803840103"),
    ("EuiccResultData", ("addEimResult", ("addEimResultCode", 0)), "a803020100"),
    ("EuiccResultData", ("deleteEimResult", 2), "890102"),
    (
        "EuiccResultData",
        ("listEimResult", ("eimIdList", [{"eimId": "eim1", "eimIdType": 2}])),
        "ab0da00b3009800465696d31820102",
    ),
    ("EuiccResultData", ("rollbackResult", 0), "8c0100"),
    ("EuiccResultData", ("setDefaultDpAddressResult", {"setDefaultDpAddressResult": 0}), "bf6503800100"),
    ("EuiccResultData", ("processingTerminated", 2), "020102"),
    (
        "EsipaMessageFromIpaToEim",
        (
            "provideEimPackageResult",
            {
                "eidValue": EID,
                "eimPackageResult": ("euiccPackageResult", ("euiccPackageErrorUnsigned", {"eimId": "e"})),
            },
        ),
        "bf501a5a10{E}bf5105a203800165",
    ),
    (
        "EsipaMessageFromIpaToEim",
        (
            "handleNotificationEsipa",
            (
                "provideEimPackageResult",
                {
                    "eidValue": EID,
                    "eimPackageResult": (
                        "profileDownloadTriggerResult",
                        {
                            "eimTransactionId": TRANSACTION,
                            "profileDownloadTriggerResultData": (
                                "profileDownloadError",
                                {"profileDownloadErrorReason": 127},
                            ),
                        },
                    ),
                },
            ),
        ),
        "bf3d27bf50245a10{E}bf540f8208{T}300380017f",
    ),
    (
        "EsipaMessageFromIpaToEim",
        (
            "provideEimPackageResult",
            {
                "eidValue": EID,
                "eimPackageResult": (
                    "ipaEuiccDataResponse",
                    ("ipaEuiccDataResponseError", {"eimTransactionId": TRANSACTION, "ipaEuiccDataErrorCode": 1}),
                ),
            },
        ),
        "bf50245a10{E}bf520fa10d8008{T}020101",
    ),
    (
        "EsipaMessageFromIpaToEim",
        (
            "provideEimPackageResult",
            {"eidValue": EID, "eimPackageResult": ("eimPackageResultResponseError", {"eimPackageResultErrorCode": 2})},
        ),
        "bf50175a10{E}a003020102",
    ),
    (
        "EsipaMessageFromEimToIpa",
        ("provideEimPackageResultResponse", ("eimAcknowledgements", [7])),
        "bf5006bf5303800107",
    ),
    ("EsipaMessageFromEimToIpa", ("provideEimPackageResultResponse", ("emptyResponse", {})), "bf50023000"),
    (
        "EsipaMessageFromEimToIpa",
        ("provideEimPackageResultResponse", ("provideEimPackageResultError", 2)),
        "bf5003020102",
    ),
    (
        "ProfileDownloadTriggerRequest",
        {"profileDownloadData": ("activationCode", "1$dp.test$AB"), "eimTransactionId": TRANSACTION},
        "bf541aa00e800c312464702e746573742441428208{T}",
    ),
    ("ProfileDownloadTriggerRequest", {"profileDownloadData": ("contactDefaultSmdp", None)}, "bf5404a0028100"),
    (
        "IpaEuiccDataRequest",
        {"tagList": bytes.fromhex("bf20bf22a5a6a8"), "eimTransactionId": TRANSACTION},
        "bf52135c07bf20bf22a5a6a88308{T}",
    ),
    (
        "AddInitialEimRequest",
        {
            "eimConfigurationDataList": [
                {"eimId": "eim1", "eimFqdn": "eim.test", "eimIdType": 2, "counterValue": 0, "associationToken": -1}
            ]
        },
        "bf571da01b3019800465696d31810865696d2e746573748201028301008401ff",
    ),
    ("AddInitialEimResponse", ("addInitialEimOk", [("associationToken", 1), ("addOk", None)]), "bf5707a0058401010500"),
    ("AddInitialEimResponse", ("addInitialEimError", 2), "bf5703810102"),
    ("GetEimConfigurationDataRequest", {}, "bf5500"),
    ("GetEimConfigurationDataRequest", {"searchCriteria": ("eimId", "eim1")}, "bf5508a006800465696d31"),
    ("ProfileRollbackRequest", {"refreshFlag": True}, "bf58038001ff"),
    ("ProfileRollbackResponse", {"cmdResult": 1}, "bf5803020101"),
    (
        "ProfileRollbackResponse",
        {"cmdResult": 0, "eUICCPackageResult": ("euiccPackageErrorUnsigned", {"eimId": "e"})},
        "bf580b020100bf5105a203800165",
    ),
    ("ImmediateEnableRequest", {"refreshFlag": True}, "bf5a038001ff"),
    ("ImmediateEnableResponse", {"immediateEnableResult": 0}, "bf5a03800100"),
    ("ExecuteFallbackMechanismRequest", {"refreshFlag": False}, "bf5d03800100"),
    ("EuiccMemoryResetRequest", {"resetOptions": (bytes.fromhex("04"), 6)}, "bf640482020204"),
    ("RetrieveNotificationsListRequest", {}, "bf2b00"),
    ("RetrieveNotificationsListRequest", {"searchCriteria": ("euiccPackageResults", None)}, "bf2b04a0028200"),
    ("RetrieveNotificationsListRequest", {"searchCriteria": ("seqNumber", 7)}, "bf2b05a003800107"),
    ("RetrieveNotificationsListResponse", ("notificationList", []), "bf2b02a000"),
    (
        "RetrieveNotificationsListResponse",
        (
            "euiccPackageResultList",
            [
                (
                    "euiccPackageResultSigned",
                    {
                        "euiccPackageResultDataSigned": {
                            "eimId": "eim1",
                            "counterValue": 1,
                            "eimTransactionId": TRANSACTION,
                            "seqNumber": 7,
                            "euiccResult": [("enableResult", 0)],
                        },
                        "euiccSignEPR": SIGNATURE,
                    },
                )
            ],
        ),
        "bf2b67a265bf5162a060301b800465696d318101018208{T}83010730038301005f3740{S}",
    ),
    ("GetCertsRequest", {}, "bf5600"),
    ("GetConnectivityParametersResponse", ("connectivityParametersError", 1), "bf5f03810101"),
    (
        "GetConnectivityParametersResponse",
        ("connectivityParameters", {"httpParams": bytes.fromhex("470100")}),
        "bf5f07a0058103470100",
    ),
    (
        "IpaCapabilities",
        {"ipaFeatures": (bytes.fromhex("e0"), 3), "ipaSupportedProtocols": (bytes.fromhex("80"), 1)},
        "3008800205e081020780",
    ),
    ("EsipaMessageFromEimToIpa", ("cancelSessionResponseEsipa", ("cancelSessionOk", {})), "bf4102a000"),
    (
        "CancelSessionRequestEsipa",
        {"transactionId": TRANSACTION, "cancelSessionResponse": ("cancelSessionResponseError", 5)},
        "bf410f8008{T}a103810105",
    ),
    (
        "AuthenticateClientRequestEsipa",
        {
            "transactionId": TRANSACTION,
            "authenticateServerResponse": (
                "authenticateResponseError",
                {"transactionId": TRANSACTION, "authenticateErrorCode": 127},
            ),
        },
        "bf3b1c8008{T}bf380fa10d8008{T}02017f",
    ),
]


def vectors() -> list[tuple[str, Any, bytes]]:
    """Return type name, value and bytes of every literal message."""
    parts = {"{E}": EID, "{I}": ICCID, "{T}": TRANSACTION, "{S}": SIGNATURE}
    found = []
    for name, value, text in _VECTORS:
        for mark, data in parts.items():
            text = text.replace(mark, data.hex())  # noqa: PLW2901
        found.append((name, value, bytes.fromhex(text)))
    return found
