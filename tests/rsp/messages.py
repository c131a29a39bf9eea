"""Every message and every alternative as literal TLVs, worked out by hand from the tag tables of the two standards.

Two implementations must agree on what these bytes mean and must make exactly these bytes of it
(test_messages.py); a test names each type, alternative and field that none of them has.
"""

from __future__ import annotations

from bench.rsp.codec import SGP22, SGP32

from .messages_numbers import numbers
from .notation import octets

E = "5A:89044045930000000000002153893210"
I = "5A:891010123456789012F1"  # noqa: E741
T = "0102030405060708"
C16 = "000102030405060708090A0B0C0D0E0F"
C32 = C16 + C16
AID = "4F:A0000005591010FFFFFFFF8900001000"
S = "5F37:1122"
POINT = "5F49:0405"
OID = "88370A"  # 2.999.10
INNER = "30{02:01} 30{06:2A864886F70D010101} 03:00AA"  # content of a certificate or CRL
KEY = "30{06:2A8648CE3D0201} 03:000405"  # content of a SubjectPublicKeyInfo
CERTIFICATE = f"30{{{INNER}}}"
EXTENSION = f"30{{80:{OID} A1{{04:AA}}}}"
OPERATOR = "80:62F210 81:01 82:02"
CAPABILITIES = (
    "80:0D0000 81:0D0000 82:0D0000 83:0D0000 84:0D0000 85:0D0000 86:0D0000 87:0D0000 88:0D0000 89:0D0000 8A:0D0000"
    " 8B:020203 8C:0440 8D:01 AE{80:010000}"
)
DEVICE = f"80:35290611 A1{{{CAPABILITIES}}} 82:5329061111111118"
CONTEXT = f"A0{{80:4D A1{{{DEVICE}}}}}"
INFO1 = "BF20{82:020203 A9{04:A1A2 04:A3A4} AA{04:A1A2}}"
INFO2_FIELDS = (
    "81:020301 82:020203 83:010203 84:810100 85:067F36C0 86:0F0200 87:020301 88:0490 A9{04:A1A2} AA{04:A1A2} 8B:01"
    " 99:0640 04:000001 0C:4142 AC{80:41 81:42} 8D:0780 8E:43 AF{04:020101}"
)
INFO2_SGP22 = f"BF22{{{INFO2_FIELDS}}}"
INFO2 = f"BF22{{{INFO2_FIELDS} 90:00 B1{{04:A1}} 92:AA 93:030000 B4{{A0{{04:010200}} 81: 82: 83:}} 95:01}}"
METADATA_FIELDS = f"B6{{30{{80:0780 81:61}} 30{{80:0410 81:62}}}} B7{{{OPERATOR}}}"
PROFILE_SGP22 = (
    f"E3{{{I} {AID} 9F70:01 90:41 91:42 92:43 93:01 94:AA 95:02 {METADATA_FIELDS} B8{{80:{OID}}} 99:0640"
    f" BF22{{{EXTENSION}}}"
)
PROFILE = f"{PROFILE_SGP22} 9F7B:FF 9F26:FF 9F67:00 BF64{{}}}}"
STORE_SGP22 = (
    f"BF25{{{I} 91:42 92:43 93:00 94:AA 95:01 {METADATA_FIELDS} 99:0520 BF22{{{EXTENSION}}} BF23{{{EXTENSION}}}"
)
STORE = f"{STORE_SGP22} 9F7B:FF 9F67:FF BF64{{}}}}"
STORE_SMALL = f"BF25{{{I} 91: 92:}}"
ABOUT = f"BF2F{{80:01 81:0780 0C:61 {I}}}"
RESULT_DATA = f"BF27{{80:{T} {ABOUT} 06:{OID}"
SIMA = "04:3007A005300380010 0".replace(" ", "")
PIR = f"BF37{{{RESULT_DATA} A2{{A0{{{AID} {SIMA}}}}}}} {S}}}"
PIR_FAILED = f"BF37{{{RESULT_DATA} A2{{A1{{80:05 81:0C 82:AA}}}}}} {S}}}"
NOTIFICATION = f"30{{{ABOUT} {S} {CERTIFICATE} {CERTIFICATE}}}"
COMPACT_PIR = f"A0{{A0{{80:{T} 02:01 01:00 A2{{A0{{4F:0010 {SIMA}}}}}}} {S}}}"
COMPACT_PIR_SMALL = f"A0{{A0{{80:{T} 02:01 A2{{A0{{4F:0010}}}}}} {S}}}"
COMPACT_PIR_FAILED = f"A0{{A0{{80:{T} 02:01 A2{{A1{{80:05 81:0C}}}}}} {S}}}"
COMPACT_NOTIFICATION = f"A1{{{E} {ABOUT} {S} 04:A1A2}}"
COMPACT_NOTIFICATION_SMALL = f"A1{{{ABOUT} {S}}}"
PENDING = f"{PIR} {PIR_FAILED} {NOTIFICATION}"
SIGNED1 = f"30{{80:{T} 83:61 84:{C16} {INFO2} {CONTEXT}}}"
SIGNED1_SGP22 = f"30{{80:{T} 83:61 84:{C16} {INFO2_SGP22} {CONTEXT}}}"
SERVER_SIGNED1 = f"30{{80:{T} 81:{C16} 83:61 84:{C16}}}"
AUTHENTICATED = f"A0{{{SIGNED1} {S} {CERTIFICATE} {CERTIFICATE}}}"
AUTHENTICATED_SGP22 = f"A0{{{SIGNED1_SGP22} {S} {CERTIFICATE} {CERTIFICATE}}}"
NOT_AUTHENTICATED = f"A1{{80:{T} 02:06}}"
PREPARED = f"A0{{30{{80:{T} {POINT} 04:{C32}}} {S}}}"
SMDP_SIGNED2 = f"30{{80:{T} 01:FF {POINT}}}"
CANCELLED = f"A0{{30{{80:{T} 81:{OID} 82:05}} {S}}}"
PACKAGE = (
    f"BF36{{BF23{{82:01 80:{T} A6{{80:88 81:10 84:{C16}}} {POINT} {S}}} A0{{87:AA}} A1{{88:BB 88:BC}} A2{{87:CC}}"
    " A3{86:DD 86:EE}}"
)
EIM = f"80:65 81:66 82:02 83:00 84:FF A5{{A0{{{KEY}}}}} A6{{A1{{{INNER}}}}} 87:03F8 88:A1A2 89: AA{{{EXTENSION}}}"
EIM_CERTIFICATE = f"80:65 A5{{A1{{{INNER}}}}} A6{{A0{{{KEY}}}}}"
SIGNED_HEAD = f"80:65 81:01 82:{T}"
RESULTS = (
    f"83:00 84:01 85:15 BF2D{{A0{{{PROFILE}}}}} BF2D{{81:0B}} A6{{30{{80:0640 A1{{30{{{OPERATOR}}}}} 82:0780}}}} 87:07"
    " A8{84:05} A8{02:02} 89:02 8A:01 AB{A0{30{80:65 82:02}}} AB{81:7F} 8C:00 8D:02 8E:03 02:02 BF65{80:00}"
)
EPR = f"BF51{{A0{{30{{{SIGNED_HEAD} 83:07 30{{{RESULTS}}}}} {S}}}}}"
EPE = f"BF51{{A1{{30{{{SIGNED_HEAD} 02:04}} {S}}}}}"
UNSIGNED = f"BF51{{A2{{80:65 82:{T} 84:05 8F:0F}}}}"
PSMOS = (
    f"A3{{{I} 05:}} A4{{{I}}} A5{{{I}}} BF2D{{A0{{{I}}} 5C:5A}} A6{{}} A7{{80: 81:{OID} 82:61}} A8{{{I}}} A9{{}}"
    " BF65{80:61}"
)
ECOS = f"A8{{{EIM}}} A9{{80:65}} AA{{{EIM_CERTIFICATE}}} AB{{}}"
REQUEST = f"BF51{{30{{80:65 {E} 81:01 82:{T} A0{{{PSMOS}}}}} {S}}}"
REQUEST_ECOS = f"BF51{{30{{80:65 {E} 81:01 A1{{{ECOS}}}}} {S}}}"
DATA_REQUEST = f"BF52{{5C:A081BF20 04:A1A2 A1{{80:07}} A2{{80:08}} 83:{T}}}"
DATA_REQUEST_EVENTS = "BF52{5C:A0 A1{81:0780}}"
TRIGGER = f"BF54{{A0{{80:31}} 82:{T}}}"
DATA = (
    f"BF52{{A0{{A0{{{PENDING}}} 81:61 A2{{{EPR}}} {INFO1} {INFO2} 83:62 84:05 A5{{{INNER}}} A6{{{INNER}}} 87:{T}"
    f" A8{{80:02FC 81:03F8 A2{{{EXTENSION}}}}} A9{{{DEVICE}}}}}}}"
)
DATA_ERROR = f"BF52{{A1{{80:{T} 02:05}}}}"
TRIGGERED = f"BF54{{82:{T} {PIR}}}"
NOT_TRIGGERED = f"BF54{{82:{T} 30{{80:68 04:AA}}}}"
WITH_NOTIFICATIONS = f"30{{{EPR} A0{{{PENDING}}}}}"
ACKNOWLEDGED = "BF53{80:07 80:08}"

# Type -> messages. SGP.32's where both standards have the type.
_SGP32: dict[str, list[str]] = {
    "EuiccPackageRequest": [REQUEST, REQUEST_ECOS],
    "EimConfigurationData": [f"30{{{EIM}}}", f"30{{{EIM_CERTIFICATE}}}"],
    "IpaEuiccDataRequest": [DATA_REQUEST, DATA_REQUEST_EVENTS, "BF52{5C:A0}"],
    "ProfileDownloadTriggerRequest": [TRIGGER, "BF54{A0{81:}}", "BF54{A0{A2{80:61}}}", "BF54{A0{A2{}}}", "BF54{}"],
    "EimAcknowledgements": [ACKNOWLEDGED, "BF53{}"],
    "EuiccPackageResult": [EPR, EPE, UNSIGNED, "BF51{A2{80:65}}"],
    "ProfileInfoListResponse": [f"BF2D{{A0{{{PROFILE}}}}}", "BF2D{A0{}}", "BF2D{81:01}"],
    "IpaEuiccDataResponse": [DATA, DATA_ERROR, "BF52{A1{02:01}}", "BF52{A0{}}"],
    "ProfileDownloadTriggerResult": [TRIGGERED, NOT_TRIGGERED, f"BF54{{{PIR}}}", "BF54{30{80:7F}}"],
    "IpaCapabilities": [f"30{{80:02FC 81:03F8 A2{{{EXTENSION}}}}}"],
    "EUICCInfo2": [INFO2],
    "AddInitialEimRequest": [f"BF57{{A0{{30{{{EIM}}} 30{{{EIM_CERTIFICATE}}}}}}}"],
    "AddInitialEimResponse": ["BF57{A0{84:05 05:}}", "BF57{81:02}"],
    "EuiccMemoryResetRequest": ["BF64{82:01FE}", "BF64{82:00}"],
    "EuiccMemoryResetResponse": ["BF64{80:00 81:02 82:01}", "BF64{80:68}"],
    "GetCertsRequest": ["BF56{80:A1A2}", "BF56{}"],
    "GetCertsResponse": [f"BF56{{A0{{A5{{{INNER}}} A6{{{INNER}}}}}}}", "BF56{81:01}"],
    "RetrieveNotificationsListRequest": ["BF2B{A0{80:07}}", "BF2B{A0{81:0640}}", "BF2B{A0{82:}}", "BF2B{}"],
    "RetrieveNotificationsListResponse": [
        f"BF2B{{A0{{{PENDING} {COMPACT_PIR} {COMPACT_PIR_FAILED} {COMPACT_NOTIFICATION}}}}}",
        "BF2B{81:7F}",
        f"BF2B{{A2{{{EPR} {EPE}}}}}",
    ],
    "ProfileRollbackRequest": ["BF58{80:FF}", "BF58{80:00}"],
    "ProfileRollbackResponse": [f"BF58{{02:00 {EPR}}}", "BF58{02:01}"],
    "GetEimConfigurationDataRequest": ["BF55{A0{80:65}}", "BF55{}"],
    "GetEimConfigurationDataResponse": [f"BF55{{A0{{30{{{EIM_CERTIFICATE}}}}}}}"],
    "PrepareDownloadResponse": [
        f"BF21{{{PREPARED}}}",
        f"BF21{{A1{{80:{T} 02:05}}}}",
        f"BF21{{A2{{30{{{POINT} 04:{C32}}} {S}}}}}",
        f"BF21{{A2{{30{{}} {S}}}}}",
    ],
    "AuthenticateServerResponse": [
        f"BF38{{{AUTHENTICATED}}}",
        f"BF38{{{NOT_AUTHENTICATED}}}",
        f"BF38{{A2{{{SIGNED1} {S}}}}}",
        f"BF38{{A2{{A0{{84:AA A2{{{CONTEXT}}}}} {S} A1{{{INNER}}} A2{{{INNER}}}}}}}",
        f"BF38{{A2{{A0{{84:AA}} {S}}}}}",
    ],
    "PendingNotification": [
        PIR,
        NOTIFICATION,
        COMPACT_PIR,
        COMPACT_NOTIFICATION,
        COMPACT_PIR_SMALL,
        COMPACT_NOTIFICATION_SMALL,
    ],
    "ProfileInstallationResult": [PIR, PIR_FAILED],
    "CancelSessionResponse": [
        f"BF41{{{CANCELLED}}}",
        "BF41{81:05}",
        f"BF41{{A2{{30{{80:05}} {S}}}}}",
        f"BF41{{A2{{30{{}} {S}}}}}",
        "BF41{81:7F}",
    ],
    "InitiateAuthenticationRequestEsipa": [f"BF39{{81:{C16} 83:61 {INFO1} 82:{T}}}", f"BF39{{81:{C16}}}"],
    "InitiateAuthenticationResponseEsipa": [
        f"BF39{{A0{{80:{T} {SERVER_SIGNED1} {S} 04:A1A2 {CERTIFICATE} 0C:4D A2{{{CONTEXT}}}}}}}",
        f"BF39{{A0{{{SERVER_SIGNED1} {S} 04:A1A2 {CERTIFICATE}}}}}",
        "BF39{81:34}",
    ],
    "AuthenticateClientRequestEsipa": [f"BF3B{{80:{T} BF38{{{AUTHENTICATED}}}}}"],
    "AuthenticateClientResponseEsipa": [
        f"BF3B{{A0{{80:{T} {STORE} {SMDP_SIGNED2} {S} {CERTIFICATE} 04:{C32}}}}}",
        f"BF3B{{A0{{{SMDP_SIGNED2} {S} {CERTIFICATE}}}}}",
        f"BF3B{{A1{{80:{T} {TRIGGER}}}}}",
        "BF3B{82:0A}",
    ],
    "GetBoundProfilePackageRequestEsipa": [f"BF3A{{80:{T} BF21{{{PREPARED}}}}}"],
    "GetBoundProfilePackageResponseEsipa": [
        f"BF3A{{A0{{80:{T} {PACKAGE}}}}}",
        f"BF3A{{A0{{{PACKAGE}}}}}",
        "BF3A{81:5F}",
    ],
    "HandleNotificationEsipa": [f"BF3D{{A0{{{PIR}}}}}", f"BF3D{{BF50{{{E} {TRIGGERED}}}}}"],
    "CancelSessionRequestEsipa": [f"BF41{{80:{T} A1{{{CANCELLED}}}}}", f"BF41{{80:{T} A1{{81:05}}}}"],
    "CancelSessionResponseEsipa": ["BF41{A0{}}", "BF41{81:02}"],
    "GetEimPackageRequest": [f"BF4F{{{E} 80: 81:05 82:62F210}}", f"BF4F{{{E}}}"],
    "GetEimPackageResponse": [
        f"BF4F{{{REQUEST}}}",
        f"BF4F{{{DATA_REQUEST}}}",
        f"BF4F{{{TRIGGER}}}",
        "BF4F{02:01}",
    ],
    "ProvideEimPackageResult": [
        f"BF50{{{E} {EPR}}}",
        f"BF50{{{E} {WITH_NOTIFICATIONS}}}",
        f"BF50{{{DATA_ERROR}}}",
        f"BF50{{{TRIGGERED}}}",
        f"BF50{{{E} A0{{80:{T} 02:02}}}}",
    ],
    "ProvideEimPackageResultResponse": [f"BF50{{{ACKNOWLEDGED}}}", "BF50{30{}}", "BF50{02:03}"],
    "TransferEimPackageRequest": [
        f"BF4E{{{REQUEST}}}",
        f"BF4E{{{DATA_REQUEST}}}",
        f"BF4E{{{ACKNOWLEDGED}}}",
        f"BF4E{{{TRIGGER}}}",
    ],
    "TransferEimPackageResponse": [
        f"BF4E{{{EPE}}}",
        f"BF4E{{{WITH_NOTIFICATIONS}}}",
        f"BF4E{{{DATA_ERROR}}}",
        "BF4E{05:}",
        f"BF4E{{BF60{{A0{{80:{T}}}}}}}",
        f"BF4E{{BF60{{A0{{{E}}}}}}}",
        "BF4E{02:02}",
        f"BF4E{{BF61{{A0{{80:{T}}} 81:01}}}}",
        f"BF4E{{BF61{{A0{{{E}}} 81:01}}}}",
    ],
    "EsipaMessageFromIpaToEim": [
        f"BF39{{81:{C16}}}",
        f"BF3B{{80:{T} BF38{{{NOT_AUTHENTICATED}}}}}",
        f"BF3A{{80:{T} BF21{{A1{{80:{T} 02:04}}}}}}",
        f"BF41{{80:{T} A1{{81:05}}}}",
        f"BF3D{{A0{{{NOTIFICATION}}}}}",
        "BF4E{05:}",
        f"BF4F{{{E}}}",
        f"BF50{{{E} A0{{02:01}}}}",
    ],
    "EsipaMessageFromEimToIpa": [
        "BF39{81:01}",
        "BF3B{82:0A}",
        "BF3A{81:02}",
        "BF41{A0{}}",
        f"BF4E{{{TRIGGER}}}",
        "BF4F{02:01}",
        "BF50{30{}}",
    ],
    "ISDRProprietaryApplicationTemplateIoT": ["E1{80:0640}", "E1{80:06C0}"],
    "IpaeActivationRequest": ["BF42{80:0780}"],
    "IpaeActivationResponse": ["BF42{80:01}"],
    "ProfileInfo": [PROFILE, "E3{}"],
    "UpdateMetadataRequest": [f"BF2A{{91:42 92:43 93:01 94:AA 99:0780 BF22{{{EXTENSION}}} 9F67:FF}}"],
    "StoreMetadataRequest": [STORE, STORE_SMALL],
    "AuthenticateClientRequest": [f"BF3B{{80:{T} BF38{{{NOT_AUTHENTICATED}}}}}"],
    "ImmediateEnableRequest": ["BF5A{80:FF}"],
    "ImmediateEnableResponse": ["BF5A{80:04}"],
    "ConfigureImmediateProfileEnablingRequest": [f"BF59{{80: 81:{OID} 82:61}}", "BF59{}"],
    "ConfigureImmediateProfileEnablingResponse": ["BF59{80:02}"],
    "ExecuteFallbackMechanismRequest": ["BF5D{80:00}"],
    "ExecuteFallbackMechanismResponse": ["BF5D{80:68}"],
    "ReturnFromFallbackRequest": ["BF5E{80:FF}"],
    "ReturnFromFallbackResponse": ["BF5E{80:06}"],
    "EnableEmergencyProfileRequest": ["BF5B{80:FF}"],
    "EnableEmergencyProfileResponse": ["BF5B{80:08}"],
    "DisableEmergencyProfileRequest": ["BF5C{80:FF}"],
    "DisableEmergencyProfileResponse": ["BF5C{80:02}"],
    "GetConnectivityParametersRequest": ["BF5F{}"],
    "GetConnectivityParametersResponse": ["BF5F{A0{81:470100}}", "BF5F{A0{}}", "BF5F{81:01}"],
    "SetDefaultDpAddressRequest": ["BF65{80:61}", "BF65{80:}"],
    "SetDefaultDpAddressResponse": ["BF65{80:7F}"],
}

_SGP22: dict[str, list[str]] = {
    "GetEuiccInfo1Request": ["BF20{}"],
    "EUICCInfo1": [INFO1],
    "GetEuiccInfo2Request": ["BF22{}"],
    "EUICCInfo2": [INFO2_SGP22],
    "ProfileInfoListRequest": [f"BF2D{{A0{{{AID}}} 5C:5A4F9F70}}", f"BF2D{{A0{{{I}}}}}", "BF2D{A0{95:02}}", "BF2D{}"],
    "ProfileInfoListResponse": [f"BF2D{{A0{{{PROFILE_SGP22}}}}}}}", "BF2D{81:7F}"],
    "ProfileInfo": [f"{PROFILE_SGP22}}}"],
    "StoreMetadataRequest": [f"{STORE_SGP22}}}", STORE_SMALL],
    "UpdateMetadataRequest": [f"BF2A{{91:42 92:43 93:00 94:AA 99:0640 BF22{{{EXTENSION}}}}}"],
    "PrepareDownloadRequest": [f"BF21{{{SMDP_SIGNED2} {S} 04:{C32} {CERTIFICATE}}}"],
    "PrepareDownloadResponse": [f"BF21{{{PREPARED}}}", f"BF21{{A1{{80:{T} 02:7F}}}}"],
    "AuthenticateServerRequest": [f"BF38{{{SERVER_SIGNED1} {S} 04:A1A2 {CERTIFICATE} {CONTEXT}}}"],
    "AuthenticateServerResponse": [f"BF38{{{AUTHENTICATED_SGP22}}}", f"BF38{{{NOT_AUTHENTICATED}}}"],
    "CancelSessionRequest": [f"BF41{{80:{T} 81:05}}"],
    "CancelSessionResponse": [f"BF41{{{CANCELLED}}}", "BF41{81:7F}"],
    "BoundProfilePackage": [PACKAGE],
    "GetEuiccChallengeRequest": ["BF2E{}"],
    "GetEuiccChallengeResponse": [f"BF2E{{80:{C16}}}"],
    "ProfileInstallationResult": [PIR, PIR_FAILED],
    "ListNotificationRequest": ["BF28{81:04F0}", "BF28{}"],
    "ListNotificationResponse": [f"BF28{{A0{{{ABOUT} BF2F{{80:02 81:0410 0C:62}}}}}}", "BF28{81:7F}"],
    "SetNicknameRequest": [f"BF29{{{I} 90:41}}"],
    "SetNicknameResponse": ["BF29{80:01}"],
    "ConfigureISDPRequest": [f"BF24{{B8{{80:{OID}}}}}", "BF24{}"],
    "ReplaceSessionKeysRequest": [f"BF26{{80:{C16} 81:{C16} 82:{C16}}}"],
    "RetrieveNotificationsListRequest": ["BF2B{A0{80:07}}", "BF2B{A0{81:0520}}", "BF2B{}"],
    "RetrieveNotificationsListResponse": [f"BF2B{{A0{{{PENDING}}}}}", "BF2B{81:7F}"],
    "NotificationSentRequest": ["BF30{80:07}", "BF30{80:0080}"],
    "NotificationSentResponse": ["BF30{80:01}"],
    "EnableProfileRequest": [f"BF31{{A0{{{AID}}} 81:FF}}", f"BF31{{A0{{{I}}} 81:00}}"],
    "EnableProfileResponse": ["BF31{80:04}"],
    "DisableProfileRequest": [f"BF32{{A0{{{AID}}} 81:FF}}", f"BF32{{A0{{{I}}} 81:00}}"],
    "DisableProfileResponse": ["BF32{80:02}"],
    "DeleteProfileRequest": [f"BF33{{{AID}}}", f"BF33{{{I}}}"],
    "DeleteProfileResponse": ["BF33{80:03}"],
    "EuiccMemoryResetRequest": ["BF34{82:05E0}"],
    "EuiccMemoryResetResponse": ["BF34{80:05}"],
    "GetEuiccDataRequest": ["BF3E{5C:5A}"],
    "GetEuiccDataResponse": [f"BF3E{{{E}}}"],
    "GetRatRequest": ["BF43{}"],
    "GetRatResponse": [f"BF43{{A0{{30{{80:0560 A1{{30{{{OPERATOR}}} 30{{80:FFFFFF}}}} 82:0780}}}}}}", "BF43{A0{}}"],
    "SegmentedCrlList": [f"30{{{CERTIFICATE} {CERTIFICATE}}}"],
    "LoadCRLRequest": [f"BF35{{A0{{{INNER}}}}}"],
    "LoadCRLResponse": ["BF35{A0{A0{02:01 02:02}}}", "BF35{A0{}}", "BF35{81:05}"],
    "TotalPartialCrlNumber": ["02:02"],
    "PartialCrlNumber": ["02:01"],
    "CertificateInfo": ["03:0244"],
    "RemoteProfileProvisioningRequest": [
        f"A2{{BF39{{81:{C16} 83:61 {INFO1}}}}}",
        f"A2{{BF3B{{80:{T} BF38{{{AUTHENTICATED_SGP22}}}}}}}",
        f"A2{{BF3A{{80:{T} BF21{{{PREPARED}}}}}}}",
        f"A2{{BF41{{80:{T} A1{{{CANCELLED}}}}}}}",
        f"A2{{BF3D{{A0{{{PIR}}}}}}}",
    ],
    "RemoteProfileProvisioningResponse": [
        f"A2{{BF39{{A0{{80:{T} {SERVER_SIGNED1} {S} 04:A1A2 {CERTIFICATE}}}}}}}",
        f"A2{{BF3B{{A0{{80:{T} {STORE_SMALL} {SMDP_SIGNED2} {S} {CERTIFICATE}}}}}}}",
        f"A2{{BF3A{{A0{{80:{T} {PACKAGE}}}}}}}",
        "A2{BF41{A0{}}}",
        f"A2{{BF40{{A0{{80:{T} A1{{30{{80:61 81:62}}}}}}}}}}",
    ],
    "InitiateAuthenticationRequest": [f"BF39{{81:{C16} 83:61 {INFO1}}}"],
    "InitiateAuthenticationResponse": ["BF39{81:03}"],
    "AuthenticateClientRequest": [f"BF3B{{80:{T} BF38{{{NOT_AUTHENTICATED}}}}}"],
    "AuthenticateClientResponseEs9": ["BF3B{81:0B}"],
    "GetBoundProfilePackageRequest": [f"BF3A{{80:{T} BF21{{A1{{80:{T} 02:01}}}}}}"],
    "GetBoundProfilePackageResponse": ["BF3A{81:5F}"],
    "HandleNotification": [f"BF3D{{A0{{{NOTIFICATION}}}}}"],
    "CancelSessionRequestEs9": [f"BF41{{80:{T} A1{{81:05}}}}"],
    "CancelSessionResponseEs9": ["BF41{A0{}}", "BF41{81:01}"],
    "EuiccConfiguredAddressesRequest": ["BF3C{}"],
    "EuiccConfiguredAddressesResponse": ["BF3C{80:61 81:62}", "BF3C{81:62}"],
    "ISDRProprietaryApplicationTemplate": ["E0{82:020203 03:0640}", "E0{82:020203}"],
    "LpaeActivationRequest": ["BF42{80:06C0}"],
    "LpaeActivationResponse": ["BF42{80:00}"],
    "SetDefaultDpAddressRequest": ["BF3F{80:61}"],
    "SetDefaultDpAddressResponse": ["BF3F{80:00}"],
    "AuthenticateClientResponseEs11": [f"BF40{{A0{{80:{T} A1{{30{{80:61 81:62}}}}}}}}", "BF40{81:06}"],
}


def messages() -> list[tuple[str, str, bytes]]:
    """Return module, type and bytes of every message."""
    return [
        (module, name, octets(text))
        for module, table in ((SGP32, _SGP32), (SGP22, _SGP22))
        for name, texts in table.items()
        for text in texts
    ] + numbers()
