"""Downloads and packages joined over card, ESipa and ES9+, recorded from real parties."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import BEGIN, Base, provisioning

from bench.trace.calls import exchanges
from bench.trace.join import Transaction, transactions
from bench.trace.lane import Direction
from bench.trace.reader import Packet


@pytest.fixture(scope="module")
def found() -> Iterator[list[Transaction]]:
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="esim-bench-", dir=shared if shared.is_dir() else None) as made:
        yield transactions(exchanges(provisioning(Base.make(Path(made)), Path(made) / "home")))


def functions(transaction: Transaction) -> list[str]:
    return [f"{row.lane.partition(':')[0]} {row.function}" for row in transaction.rows]


def test_a_download_is_one_transaction_from_the_challenge_to_the_removal(found: list[Transaction]) -> None:
    (download,) = [item for item in found if item.kind == "download"]
    assert functions(download) == [
        "apdu GetEuiccChallenge",
        "esipa InitiateAuthentication",
        "es9plus InitiateAuthentication",
        "apdu AuthenticateServer",
        "esipa AuthenticateClient",
        "es9plus AuthenticateClient",
        "apdu PrepareDownload",
        "esipa GetBoundProfilePackage",
        "es9plus GetBoundProfilePackage",
        "apdu LoadBoundProfilePackage",
        "esipa HandleNotification",
        "apdu RemoveNotificationFromList",
    ]
    assert download.lanes == ["apdu:card", "esipa", "es9plus"]
    assert {kind for kind, _ in download.keys} == {"challenge", "transaction", "sequence"}


def test_a_package_is_one_transaction_from_the_order_to_the_removal(found: list[Transaction]) -> None:
    packages = [item for item in found if item.kind == "package"]
    assert [item.title() for item in packages] == ["package eim.test #1", "package eim.test #2"]
    assert functions(packages[0]) == [
        "esipa GetEimPackage",
        "apdu LoadEuiccPackage",
        "apdu RetrieveNotificationsList",
        "esipa ProvideEimPackageResult",
        "apdu RemoveNotificationFromList",
    ]


def test_notifications_that_travel_together_stay_apart(found: list[Transaction]) -> None:
    notifications = [item for item in found if item.kind == "notification"]
    assert [item.title() for item in notifications] == ["notification 3", "notification 4"]
    for item in notifications:
        assert functions(item) == [
            "apdu RetrieveNotificationsList",
            "esipa ProvideEimPackageResult",
            "apdu RemoveNotificationFromList",
        ]


def test_both_bindings_join() -> None:
    """The eIM's order in JSON, the card's command in ASN.1."""
    import base64
    import json

    request = bytes.fromhex(
        "bf517c3037800465696d315a10" + "89044045930000000000002153893210" + "8101018208" + "0102030405060708"
        "a010a30e5a0a891010123456789012f105005f3740" + "11" * 64
    )
    body = json.dumps({"euiccPackageRequest": base64.b64encode(request).decode()}).encode()
    command = b"\x80\xe2\x91\x00" + bytes((len(request),)) + request
    told = [
        ("esipa", 0, json.dumps({"eidValue": "89044045930000000000002153893210"}).encode()),
        ("esipa", 1, body),
        ("apdu:card", 0, command),
        ("apdu:card", 1, bytes.fromhex("9000")),
    ]
    made = [Packet(lane, BEGIN + at, Direction(way), data, "", "", at + 1) for at, (lane, way, data) in enumerate(told)]
    (package,) = transactions(exchanges(made))
    assert package.title() == "package eim1 #1"
    assert functions(package) == ["esipa GetEimPackage", "apdu LoadEuiccPackage"]


@given(
    st.lists(st.tuples(st.sampled_from(("apdu:card", "esipa", "es9plus")), st.integers(0, 1), st.binary(max_size=60)))
)
def test_any_bytes_can_be_joined(told: list[tuple[str, int, bytes]]) -> None:
    made = [Packet(lane, BEGIN + at, Direction(way), data, "", "", at + 1) for at, (lane, way, data) in enumerate(told)]
    for item in transactions(exchanges(made)):
        assert item.rows
        assert item.title()
