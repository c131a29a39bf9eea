"""Error numbers of ESipa as the header of the JSON binding carries them: status, subject and reason code.

SGP.32 section 5.14 has a number for each error of a function, section 6.4 the header of SGP.22 section 5.2.6. Which
pair of codes stands for which number is SGP.22's where the error is an SM-DP+'s; the rest is our reading (``message``
has the number's name, so that nothing is lost between two parties that write it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from bench.rsp import names

INITIATE_AUTHENTICATION, GET_BOUND_PROFILE_PACKAGE, AUTHENTICATE_CLIENT = 0xBF39, 0xBF3A, 0xBF3B
CANCEL_SESSION, GET_EIM_PACKAGE, PROVIDE_EIM_PACKAGE_RESULT = 0xBF41, 0xBF4F, 0xBF50

ERRORS: Final[dict[int, tuple[int, str]]] = {
    INITIATE_AUTHENTICATION: (0x81, "InitiateAuthenticationResponseEsipa.initiateAuthenticationErrorEsipa"),
    GET_BOUND_PROFILE_PACKAGE: (0x81, "GetBoundProfilePackageResponseEsipa.getBoundProfilePackageErrorEsipa"),
    AUTHENTICATE_CLIENT: (0x82, "AuthenticateClientResponseEsipa.authenticateClientErrorEsipa"),
    CANCEL_SESSION: (0x81, "CancelSessionResponseEsipa.cancelSessionError"),
    GET_EIM_PACKAGE: (0x02, "GetEimPackageResponse.eimPackageError"),
    PROVIDE_EIM_PACKAGE_RESULT: (0x02, "ProvideEimPackageResultResponse.provideEimPackageResultError"),
}
"""Tag and type of a function's error number in the ASN.1 binding."""
_RESULTERRORS: Final = ("provideEimPackageResultError", "eimPackageError")
NO_EIM_PACKAGE: Final = 1
UNDEFINED_ERROR: Final = 127
_UNDEFINED: Final = ("1.6", "4.2")
"""Function, execution error (SGP.22 section 5.2.6)."""

STATUS_CODES: Final[Mapping[int, Mapping[int, tuple[str, str]]]] = {
    INITIATE_AUTHENTICATION: {
        1: ("8.8.1", "3.8"),
        2: ("8.8.3", "3.1"),
        3: ("8.8.2", "3.1"),
        50: ("8.8.1", "3.11"),
        51: ("8.8", "3.10"),
        52: ("8.10.1", "3.9"),
    },
    AUTHENTICATE_CLIENT: {
        1: ("8.1.2", "6.1"),
        2: ("8.1.2", "6.3"),
        3: ("8.1.3", "6.1"),
        4: ("8.1.3", "6.3"),
        5: ("8.1", "6.1"),
        6: ("8.2.6", "3.8"),
        7: ("8.1.1", "3.8"),
        8: ("8.2.5", "4.3"),
        9: ("8.11.1", "3.9"),
        10: ("8.10.1", "3.9"),
        11: ("8.1", "4.8"),
        18: ("8.8.5", "4.10"),
        50: ("8.2.8", "1.2"),
        56: ("8.9.5", "3.9"),
    },
    GET_BOUND_PROFILE_PACKAGE: {
        1: ("8.1", "6.1"),
        2: ("8.2.7", "2.2"),
        3: ("8.2.7", "3.8"),
        4: ("8.2.7", "6.4"),
        5: ("8.2", "3.7"),
        50: ("8.2.9", "3.11"),
        95: ("8.10.1", "3.9"),
    },
    CANCEL_SESSION: {1: ("8.10.1", "3.9"), 2: ("8.1", "6.1")},
    GET_EIM_PACKAGE: {1: ("8.8.5", "3.9"), 2: ("8.1.1", "3.9"), 3: ("8.1.1", "2.1"), 4: ("8.1.1", "2.2")},
    PROVIDE_EIM_PACKAGE_RESULT: {2: ("8.1.1", "3.9"), 3: ("8.1.1", "2.1"), 4: ("8.1.1", "2.2")},
}
"""Subject and reason code (SGP.22 section 5.2.6) of each error number of ESipa; what is not here is 1.6/4.2."""
_ALSO: Final[dict[int, dict[tuple[str, str], int]]] = {
    INITIATE_AUTHENTICATION: {("8.8.4", "3.7"): 3},
    AUTHENTICATE_CLIENT: {("8.8.5", "4.1"): 18},
}
"""Further pairs that SM-DP+ servers use."""


def header(tag: int = 0, code: int | None = None) -> dict[str, Any]:
    """Return the header of an answer: done, or failed with the codes of an error number."""
    if code is None:
        return {"header": {"functionExecutionStatus": {"status": "Executed-Success"}}}
    subject, reason = STATUS_CODES[tag].get(code, _UNDEFINED)
    data = {"subjectCode": subject, "reasonCode": reason, "message": names.result(ERRORS[tag][1], code)}
    return {"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": data}}}


def refusal(tag: int, given: Mapping[str, Any]) -> int | None:
    """Return the error number that the header of an answer stands for, None when it says that all went well."""
    execution = _inner(_inner(given, "header"), "functionExecutionStatus")
    if execution.get("status") not in ("Failed", "Expired"):
        return None
    if tag not in ERRORS:
        return UNDEFINED_ERROR
    data = _inner(execution, "statusCodeData")
    pair = (str(data.get("subjectCode", "")), str(data.get("reasonCode", "")))
    named = str(data.get("message", ""))
    fitting = [code for code, codes in STATUS_CODES[tag].items() if codes == pair]
    for code in (*fitting, *STATUS_CODES[tag], UNDEFINED_ERROR):
        if named == names.result(ERRORS[tag][1], code):
            return code
    return fitting[0] if fitting else _ALSO.get(tag, {}).get(pair, UNDEFINED_ERROR)


def status_data(body: bytes) -> Mapping[str, Any]:
    """Return statusCodeData of an answer, empty when it has none or is no JSON."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return _inner(_inner(_inner(given, "header"), "functionExecutionStatus"), "statusCodeData")


def _inner(given: Any, key: str) -> Mapping[str, Any]:
    found = given.get(key) if isinstance(given, Mapping) else None
    return found if isinstance(found, Mapping) else {}
