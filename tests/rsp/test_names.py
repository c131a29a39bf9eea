from __future__ import annotations

from enum import IntEnum

import pytest

from bench.rsp import names
from bench.rsp.asn1.schema import NUMBERS, SCHEMA


def test_functions() -> None:
    assert names.function(0xBF20) == "GetEuiccInfo1"
    assert names.function(0xBF51) == "LoadEuiccPackage"
    assert names.function(0xBF4F) == "GetEimPackage"
    assert names.function(0x30) is None


def test_every_message_with_a_tag_of_its_own_has_a_function() -> None:
    for module in SCHEMA.values():
        for type_name, descriptor in module["types"].items():
            tag = descriptor.get("tag", {})
            if tag.get("number", 0) > 31 and "class" not in tag and descriptor["type"] in ("SEQUENCE", "CHOICE"):
                assert names.function(0xBF00 | tag["number"]) is not None, type_name


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("enable", 2, "profileNotInDisabledState"),
        ("enable", 20, "rollbackNotAvailable"),
        ("EnableProfileResult", 0, "ok"),
        ("disable", 2, "profileNotInEnabledState"),
        ("listProfileInfo", 11, "profileChangeOngoing"),
        ("addEim", 2, "associatedEimAlreadyExists"),
        ("deleteEim", 2, "lastEimDeleted"),
        ("processingTerminated", 3, "interruption"),
        ("setDefaultDpAddress", 127, "undefinedError"),
        ("GetEimPackageResponse.eimPackageError", 1, "noEimPackageAvailable"),
        ("GetEimPackage", 1, "noEimPackageAvailable"),
        ("AddInitialEim", 2, "associatedEimAlreadyExists"),
        ("AuthenticateServer", 6, "euiccChallengeMismatch"),
        ("PrepareDownload", 5, "invalidTransactionId"),
        ("InitiateAuthentication", 50, "smdpAddressMismatch"),
        ("InitiateAuthentication", 1, "invalidDpAddress"),
        ("AuthenticateClient", 6, "matchingIdRefused"),
        ("AuthenticateClient", 18, "downloadOrderExpired"),
        ("GetBoundProfilePackage", 95, "invalidTransactionId"),
        ("CancelSession", 1, "invalidTransactionId"),
        ("CancelSession", 5, "invalidTransactionId"),
        ("ProvideEimPackageResult", 2, "eidNotFound"),
        ("TransferEimPackage", 2, "unknownPackage"),
        ("LoadEuiccPackage", 4, "replayError"),
        ("IpaEuiccData", 5, "euiccCiPKIdNotFound"),
        ("ProfileRollback", 1, "rollbackNotAllowed"),
        ("ImmediateEnable", 4, "noSessionContext"),
        ("RemoveNotificationFromList", 1, "nothingToDelete"),
        ("eUICCMemoryReset", 104, "ecallActive"),
        ("ProfileDownloadTrigger", 104, "ecallActive"),
        ("GetProfilesInfo", 11, "profileChangeOngoing"),
        ("EnableProfile", 4, "wrongProfileReenabling"),
        ("ErrorReason", 9, "installFailedDueToIccidAlreadyExistsOnEuicc"),
        ("BppCommandId", 5, "loadProfileElements"),
        ("CancelSessionReason", 5, "loadBppExecutionError"),
        ("StateChangeCause", 5, "immediateEnableProfile"),
        ("enable", 99, "99"),
        ("nothing", 1, "1"),
    ],
)
def test_results(kind: str, code: int, expected: str) -> None:
    assert names.result(kind, code) == expected


def test_bits() -> None:
    assert names.bit("NotificationEvent", 1) == "notificationEnable"
    assert names.bit("NotificationEvent", 7) == "7"
    assert names.bit("UICCCapability", 31) == "iotminimal"


def enumerations() -> list[tuple[str, type[IntEnum]]]:
    return [
        ("EuiccPackageErrorCode", names.EuiccPackageErrorCode),
        ("GetEimPackageResponse.eimPackageError", names.EimPackageError),
        ("StateChangeCause", names.StateChangeCause),
        ("CancelSessionReason", names.CancelSessionReason),
        ("BppCommandId", names.BppCommandId),
        ("ErrorReason", names.ErrorReason),
    ]


@pytest.mark.parametrize(("path", "enumeration"), enumerations(), ids=str)
def test_enumerations_are_those_of_the_text(path: str, enumeration: type[IntEnum]) -> None:
    table = next(module[path] for module in NUMBERS.values() if path in module)
    assert {item.value for item in enumeration} == set(table)
    for item in enumeration:
        assert item.name.replace("_", "").lower() == table[item.value].lower()
