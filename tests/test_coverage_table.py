"""The coverage table of SGP.32 sees what a card does, over blocks, GET RESPONSE and processes, and misses nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import coverage_coap
import coverage_esipa
import coverage_items
import coverage_messages
import coverage_table
import pytest
from coverage_table import Observer, Table

from bench.rsp.asn1.schema import SCHEMA

ROOT = Path(__file__).parent.parent


def items(*exchanges: tuple[str, str]) -> list[str]:
    seen: list[str] = []
    observer = Observer(seen.append)
    for command, answer in exchanges:
        observer.exchange(bytes.fromhex(command), bytes.fromhex(answer))
    return seen


def test_one_block() -> None:
    assert items(("81e2910006bf3003800107", "bf30038001019000")) == [
        "BF30 NotificationSent",
        "NotificationSentResponse.deleteNotificationStatus=1 nothingToDelete",
    ]


def test_blocks_and_get_response() -> None:
    assert items(
        ("81e2110003bf3003", "9000"),
        ("82e2910003bf2e00", "6115"),  # another channel in between
        ("81e2910103800107", "6106"),
        ("01c0000006", "bf3003800100" + "9000"),
        ("02c0000015", "bf2e128010" + "00" * 16 + "910b"),
    ) == [
        "BF30 NotificationSent",
        "NotificationSentResponse.deleteNotificationStatus=0 ok",
        "BF2E GetEuiccChallenge",
    ]


@pytest.mark.parametrize(
    "exchanges",
    [
        [("81e2910006bf3003800107", "6a80")],
        [("81e2110006bf3003800107", "9000")],
        [("81e2910006bf3003800107", "6106"), ("01a40004023f00", "9000"), ("01c0000006", "bf30038001009000")],
        [("", ""), ("81e2", "9000"), ("81e29100", "9000")],
    ],
)
def test_what_is_no_answer(exchanges: list[tuple[str, str]]) -> None:
    assert items(*exchanges) == []


def test_results_of_psmos_are_told_from_functions() -> None:
    assert "EuiccPackageUnsignedErrorCode=127 undefinedError" in items(
        ("81e2910003bf5100", "bf510ba209800465696d318f017f" + "9000")
    )
    assert "ProfileInfoListError=11 profileChangeOngoing" in coverage_items.required()
    assert "ProfileInfoListError=11 profileChangeOngoing [PSMO]" in coverage_items.required()


def test_an_answer_without_a_name_is_told() -> None:
    table = Table()
    for item in items(("81e2910006bf3003800107", "bf30038001559000"), ("81e2910003bf2e00", "bf2e009000")):
        table.note(item, "test")
    assert coverage_table.wrong(table) == [
        "NotificationSentResponse.deleteNotificationStatus=85 (no name): test",
        "undecodable GetEuiccChallengeResponse: test",
    ]


def test_every_request_is_a_function_or_of_another_interface() -> None:
    """A function that the standards have and the table does not would be seen here."""
    known = {function.request for function in coverage_items.functions().values()}
    shadowed = {name for module, name in known if module == coverage_items.SGP32}
    for module in (coverage_items.SGP32, coverage_items.SGP22):
        for name, descriptor in SCHEMA[module]["types"].items():
            if name.endswith("Request") and "tag" in descriptor:
                counted = (module, name) in known or name in shadowed
                assert counted or name in coverage_items.OTHER_INTERFACES[module], f"{module} {name}"
    for tables in coverage_items.OTHER_INTERFACES.values():
        assert all(tables.values())


def test_what_is_left_out_exists_and_has_a_reason() -> None:
    text = "\n".join(coverage_items.required())
    for item, reason in coverage_items.LEFT_OUT.items():
        assert reason
        assert item.rpartition(".")[0].rpartition(":")[0] or item
        assert item not in text
    assert len(coverage_items.required()) > 350


def test_what_is_left_out_of_esipa_exists_and_has_a_reason() -> None:
    assert coverage_esipa.unknown() == []
    items = coverage_esipa.required()
    for name, reason in (*coverage_esipa.LEFT_OUT.items(), *coverage_esipa.NOT_LOOKED_INTO.items()):
        assert reason
        assert not any(f": {name}." in item for item in items)
    assert len(items) > 200


def test_an_exchange_of_esipa() -> None:
    poll, nothing = bytes.fromhex("bf4f125a1089044045930000000000002153893210"), bytes.fromhex("bf4f03020101")
    assert list(coverage_esipa.exchange("IPA", poll, nothing)) == [
        "ESipa, IPA: EsipaMessageFromIpaToEim.getEimPackageRequest",
        "ESipa, IPA: GetEimPackageRequest.notifyStateChange left out",
        "ESipa, IPA: GetEimPackageRequest.stateChangeCause left out",
        "ESipa, IPA: GetEimPackageRequest.rPLMN left out",
        "ESipa, IPA: EsipaMessageFromEimToIpa.getEimPackageResponse",
        "ESipa, IPA: GetEimPackageResponse.eimPackageError",
        "ESipa, IPA: GetEimPackageResponse.eimPackageError=1 noEimPackageAvailable",
    ]
    assert set(coverage_esipa.exchange("IPA", poll, nothing)) <= set(coverage_esipa.required())
    assert list(coverage_esipa.exchange("eIM", b"\xbf\x3d\x00", b"")) == [
        "ESipa, eIM: EsipaMessageFromIpaToEim.handleNotificationEsipa",
        "ESipa, eIM: HandleNotification answered without a body",
    ]


def test_every_item_of_esipa_and_es9_is_held_or_has_no_message() -> None:
    """By literal bytes and by pycrate; what is left is no message in ASN.1, or the operator's."""
    without = {item for item in coverage_table.needed() if not coverage_messages.messages_of(item)}
    rest = {item for item in without if item.startswith(("ESipa,", "ES9+", "ES2+", "CoAP, eIM"))}
    assert {item.partition(": ")[2] or item for item in rest} == {
        "HandleNotification answered without a body",
        "ES9+ handleNotification that is not believed",
    }
    for item in coverage_table.needed():
        held = coverage_messages.messages_of(item)
        if item.startswith("ESipa,") and held:
            assert held.keys() == {"literal", "pycrate"}, item
    assert len(coverage_table.holding()) > 600


def test_a_literal_is_known_by_its_tags_and_by_what_pycrate_reads() -> None:
    """BF4F 03 020101 is noEimPackageAvailable; a field that a message has not is one that it leaves out."""
    message = bytes.fromhex("bf4f03020101")
    item = "SGP.32 GetEimPackageResponse.eimPackageError=1 noEimPackageAvailable"
    assert item in coverage_messages.of_bytes("SGP32Definitions", "GetEimPackageResponse", message)
    value = ("eimPackageError", 1)
    assert item in coverage_messages.of_value("SGP32Definitions", "GetEimPackageResponse", value)
    seen: list[str] = []
    kept = list(coverage_messages.NOTE)
    coverage_messages.NOTE[:] = [seen.append]
    try:
        coverage_messages.held("literal", "SGP32Definitions", "GetEimPackageResponse", message)
    finally:
        coverage_messages.NOTE[:] = kept
    assert f"literal: {item}" in seen
    assert coverage_messages.literals()[item] == "bf4f03020101"


def test_an_exchange_of_coap() -> None:
    items = coverage_coap.of_request("POST", "gsma/rsp2/asn1", None, blocks=True, tagged=True)
    assert set(items) < {item.removeprefix("CoAP, eIM: ") for item in coverage_coap.required()}
    assert list(coverage_coap.of_answer("POST", "gsma/rsp2/asn1", "2.04 Changed", b"x", None)) == [
        "2.04 with a message",
        "answer without Content-Format",
    ]
    assert list(coverage_coap.of_answer("POST", "x", "4.04 Not Found", b"", None)) == ["4.04 Not Found"]


def test_workers_of_xdist_are_merged(tmp_path: Path) -> None:
    """What a worker sees is reported by the controller; a part of the tests may miss items."""
    target = tmp_path / "table.txt"
    command = [sys.executable, "-m", "pytest", "tests/euicc/test_forms_taken.py", "-n", "1", "-q"]
    done = subprocess.run(
        [*command, f"--sgp32-coverage={target}"], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = target.read_text().splitlines()
    assert any("BF28 ListNotification" in line and "test_forms_taken" in line for line in lines)
    assert any("MISSING" in line for line in lines)


def test_a_full_run_that_misses_an_item_fails(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    class Session:
        exitstatus: int = pytest.ExitCode.OK

    class Config:
        option = request.config.option

    for full, expected in ((False, pytest.ExitCode.OK), (True, pytest.ExitCode.TESTS_FAILED)):
        plugin = coverage_table.Plugin(Config())  # type: ignore[arg-type]
        monkeypatch.setattr(coverage_table.Plugin, "full", full)
        session = Session()
        plugin.pytest_sessionfinish(session)  # type: ignore[arg-type]
        assert session.exitstatus == expected
        assert plugin.missing() == [*coverage_table.needed(), *coverage_table.holding()]
    assert len(coverage_table.needed()) > len(coverage_items.required()) + 150
