"""Every named number of ESipa, ES9+ and ES11 as a literal message: the message once, the numbers as the standards list
them (fact sheet C.1 and Appendix 1; SGP.22 section 5.7 and Annex H), in hex.
"""

from __future__ import annotations

from bench.rsp.codec import SGP22, SGP32

from .notation import octets

E = "5A:89044045930000000000002153893210"
T = "0102030405060708"
CERTIFICATE = "30{30{} 30{} 03:00AA}"

_NUMBERS: list[tuple[str, str, str, str]] = [
    # answers of the eIM
    (SGP32, "InitiateAuthenticationResponseEsipa", "BF39{81:#}", "01 02 03 32 33 34 7F"),
    (
        SGP32,
        "AuthenticateClientResponseEsipa",
        "BF3B{82:#}",
        "01 02 03 04 05 06 07 08 09 0A 0B 12 32 38 7F",
    ),
    (SGP32, "GetBoundProfilePackageResponseEsipa", "BF3A{81:#}", "01 02 03 04 05 06 32 5F 7F"),
    (SGP32, "CancelSessionResponseEsipa", "BF41{81:#}", "01 02 7F"),
    (SGP32, "GetEimPackageResponse", "BF4F{02:#}", "01 02 03 04 7F"),
    (SGP32, "ProvideEimPackageResultResponse", "BF50{02:#}", "02 03 04 7F"),
    # messages of the IPA
    (SGP32, "GetEimPackageRequest", f"BF4F{{{E} 80: 81:#}}", "00 01 02 03 04 05 06 7F"),
    (SGP32, "ProvideEimPackageResult", f"BF50{{{E} A0{{80:{T} 02:#}}}}", "01 02 7F"),
    (SGP32, "IpaEuiccDataResponse", f"BF52{{A1{{80:{T} 02:#}}}}", "01 05 68 7F"),
    (SGP32, "ProfileDownloadTriggerResult", f"BF54{{82:{T} 30{{80:#}}}}", "68 7F"),
    (SGP32, "TransferEimPackageResponse", "BF4E{02:#}", "01 02 7F"),
    # what the SM-DP+ and the SM-DS answer in ASN.1
    (SGP22, "InitiateAuthenticationResponse", "BF39{81:#}", "01 02 03"),
    (SGP22, "AuthenticateClientResponseEs9", "BF3B{81:#}", "01 02 03 04 05 06 07 08 09 0A 0B 7F"),
    (SGP22, "AuthenticateClientResponseEs11", "BF40{81:#}", "01 02 03 04 05 06 07 7F"),
    (SGP22, "GetBoundProfilePackageResponse", "BF3A{81:#}", "01 02 03 04 05 06 5F 7F"),
    (SGP22, "CancelSessionResponseEs9", "BF41{81:#}", "01 02 7F"),
    # what the SM-DP+ is told
    (SGP22, "CancelSessionRequest", f"BF41{{80:{T} 81:#}}", "00 01 02 03 04 05 7F"),
    (
        SGP22,
        "ProfileInstallationResult",
        f"BF37{{BF27{{80:{T} BF2F{{80:01 81:0780 0C:61}} 06:88370A A2{{A1{{80:05 81:#}}}}}} 5F37:1122}}",
        "01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 7F",
    ),
    (
        SGP22,
        "ProfileInstallationResult",
        f"BF37{{BF27{{80:{T} BF2F{{80:01 81:0780 0C:61}} 06:88370A A2{{A1{{80:# 81:0C}}}}}} 5F37:1122}}",
        "00 01 02 03 04 05",
    ),
    # events of notifications: install, enable, disable, delete
    (
        SGP22,
        "HandleNotification",
        f"BF3D{{A0{{30{{BF2F{{80:01 81:# 0C:61}} 5F37:1122 {CERTIFICATE} {CERTIFICATE}}}}}}}",
        "0780 0640 0520 0410",
    ),
]


def numbers() -> list[tuple[str, str, bytes]]:
    """Return module, type and bytes of every message."""
    return [
        (module, name, octets(text.replace("#", code)))
        for module, name, text, codes in _NUMBERS
        for code in codes.split()
    ]
