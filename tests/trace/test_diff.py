"""Faults planted between real parties, and what the comparison with a good run says first; AT and SCPI by lines."""

from __future__ import annotations

import base64
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from recorded import BEGIN, TICK, Base, Fault, provisioning

from bench.rsp import packages
from bench.trace.diff import GRAVE, LEVELS, compare
from bench.trace.diff_align import Call, align
from bench.trace.lane import Direction
from bench.trace.reader import Packet


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="esim-bench-", dir=shared if shared.is_dir() else None) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def base(folder: Path) -> Base:
    return Base.make(folder)


@pytest.fixture(scope="module")
def good(base: Base, folder: Path) -> list[Packet]:
    return provisioning(base, folder / "good")


# --- twenty faults ----------------------------------------------------------------------------------------------------


def status(word: str) -> Callable[[bytes], bytes]:
    return lambda _data: bytes.fromhex(word)


def swap(old: str | bytes, new: str | bytes) -> Callable[[bytes], bytes]:
    before, after = (bytes.fromhex(part) if isinstance(part, str) else part for part in (old, new))

    def change(data: bytes) -> bytes:
        assert before in data
        return data.replace(before, after)

    return change


def in_json(key: str, change: Callable[[bytes], bytes] | None) -> Callable[[bytes], bytes]:
    """Change the TLV behind base64 under a key of a JSON body, or leave the key out."""

    def made(data: bytes) -> bytes:
        body: dict[str, Any] = json.loads(data)
        value = body.pop(key)
        if change is not None:
            body[key] = base64.b64encode(change(base64.b64decode(value))).decode()
        return json.dumps(body).encode()

    return made


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def after(marker: str, offset: int = 0) -> Callable[[bytes], bytes]:
    """Change the byte ``offset`` behind a marker."""
    return lambda data: flip(data.index(bytes.fromhex(marker)) + len(marker) // 2 + offset)(data)


def other_eid(lab: Any) -> None:
    """The eIM forgets for whom it makes packages."""
    lab.relay.eid = "89049032123451234512345678901299"


def wrong_key(lab: Any) -> None:
    """The eIM signs with a key that the card does not know."""
    lab.relay.key = ec.generate_private_key(ec.SECP256R1())


def bootstrap_again(lab: Any) -> None:
    """The eIM orders the profile enabled that is enabled already."""
    lab.relay.orders[-1] = ("psmo", packages.enable("8900101000000000019", True))


def no_order(lab: Any) -> None:
    """The matchingId that the eIM has is none of the SM-DP+."""
    kind, _ = lab.relay.orders[0]
    lab.relay.orders[0] = (kind, "AAAAA-BBBBB-CCCCC-DDDDD")


def slow_eim(lab: Any) -> None:
    """The SM-DP+ behind the eIM takes five seconds for a package."""
    record, relay = lab.notes["record"], lab.relay
    function = relay.smdpp.functions["getBoundProfilePackage"]

    def late(body: dict[str, Any]) -> Any:
        told = function(body)
        record.now += 5_000_000_000
        return told

    relay.smdpp.functions["getBoundProfilePackage"] = late


@dataclass
class Planted:
    """A fault and what must be said of it first."""

    lane: str
    function: str
    level: str
    says: str
    fault: Callable[[], Fault] | None = None
    prepare: Callable[[Any], None] | None = None
    card: dict[str, Any] = field(default_factory=dict)


FAULTS: dict[str, Planted] = {
    "the card refuses PrepareDownload": Planted(
        "apdu:card",
        "PrepareDownload",
        "result",
        "6985 conditions of use not satisfied",
        lambda: Fault("command", 1, bytes.fromhex("BF21"), status("6985")),
    ),
    "the card fails at the challenge": Planted(
        "apdu:card",
        "GetEuiccChallenge",
        "result",
        "6F00 technical problem",
        lambda: Fault("command", 1, bytes.fromhex("BF2E00"), status("6F00")),
    ),
    "the card has no ISD-R": Planted(
        "apdu:card",
        "SELECT ISD-R",
        "result",
        "6A82 file or application not found",
        lambda: Fault("command", 1, bytes.fromhex("A0000005591010FFFFFFFF8900000100"), status("6A82"), skip=1),
    ),
    "the card is mute at the package": Planted(
        "apdu:card",
        "LoadEuiccPackage",
        "result",
        "no answer in B",
        prepare=lambda lab: mute(lab, b"\xbf\x51"),
    ),
    "the card answers a damaged challenge": Planted(
        "apdu:card",
        "GetEuiccChallenge",
        "structure",
        "euiccChallenge: 16 bytes in A, 15 in B",
        lambda: Fault(
            "apdu:card",
            1,
            bytes.fromhex("BF2E128010"),
            lambda data: data[:1] + b"\x2e\x11\x80\x0f" + data[5:-3] + data[-2:],
        ),
    ),
    "the card is of another version": Planted(
        "apdu:card",
        "GetEuiccInfo1",
        "value",
        "svn is 2.5.0 in A and 2.6.0 in B",
        lambda: Fault("apdu:card", 1, bytes.fromhex("BF20"), swap("8203020500", "8203020600")),
    ),
    "the card has lost its notifications": Planted(
        "apdu:card",
        "RetrieveNotificationsList",
        "structure",
        "only in A",
        lambda: Fault("command", 1, bytes.fromhex("BF2B00"), status("BF2B02A0009000")),
    ),
    "the card has forgotten what is to be removed": Planted(
        "apdu:card",
        "RemoveNotificationFromList",
        "result",
        "nothingToDelete(1)",
        lambda: Fault("apdu:card", 1, bytes.fromhex("BF3003800100"), swap("BF3003800100", "BF3003800101")),
    ),
    "the package of the SM-DP+ is damaged": Planted(
        "apdu:card",
        "LoadBoundProfilePackage",
        "result",
        "PIR failed",
        lambda: Fault("es9plus", 1, b"boundProfilePackage", in_json("boundProfilePackage", flip(-20))),
    ),
    "the SM-DP+ answers another challenge": Planted(
        "es9plus",
        "InitiateAuthentication",
        "binding",
        "euiccChallenge: A repeats the value of",
        lambda: Fault("es9plus", 1, b"serverSigned1", in_json("serverSigned1", after("8110"))),
    ),
    "the SM-DP+ mixes up sessions": Planted(
        "es9plus",
        "AuthenticateClient",
        "binding",
        "transactionId: A repeats the value of",
        lambda: Fault("es9plus", 1, b"smdpSigned2", in_json("smdpSigned2", after("8010"))),
    ),
    "the SM-DP+ leaves its certificate out": Planted(
        "es9plus",
        "AuthenticateClient",
        "structure",
        "smdpCertificate",
        lambda: Fault("es9plus", 1, b"smdpCertificate", in_json("smdpCertificate", None)),
    ),
    "the SM-DP+ has another operator's metadata": Planted(
        "es9plus",
        "AuthenticateClient",
        "value",
        "serviceProviderName is",
        lambda: Fault("es9plus", 1, b"profileMetadata", in_json("profileMetadata", after("91", 2))),
    ),
    "the SM-DP+ is another": Planted(
        "es9plus",
        "InitiateAuthentication",
        "value",
        "subject is O=ACME, CN=TEST SM-DP+ in A",
        lambda: Fault(
            "es9plus", 1, b"serverCertificate", in_json("serverCertificate", swap(b"TEST SM-DP+", b"TEST SM-DP-"))
        ),
    ),
    "the order is unknown to the SM-DP+": Planted(
        "es9plus", "AuthenticateClient", "result", "8.2.6/3.8", prepare=no_order
    ),
    "the eIM has nothing": Planted(
        "esipa",
        "GetEimPackage",
        "structure",
        "only in A",
        lambda: Fault("esipa", 1, bytes.fromhex("BF4F03BF5400"), status("BF4F03020101")),
    ),
    "the eIM signs with another key": Planted(
        "apdu:card", "LoadEuiccPackage", "result", "unsigned error", prepare=wrong_key
    ),
    "the eIM means another card": Planted("esipa", "GetEimPackage", "binding", "eidValue: ", prepare=other_eid),
    "the eIM enables what is enabled": Planted("esipa", "GetEimPackage", "binding", "iccid: ", prepare=bootstrap_again),
    "the eIM repeats a counter": Planted(
        "esipa",
        "GetEimPackage",
        "binding",
        "counterValue: ",
        lambda: Fault("esipa", 1, bytes.fromhex("810102"), swap("810102", "810101")),
    ),
    "the eIM acknowledges nothing": Planted(
        "esipa",
        "ProvideEimPackageResult",
        "structure",
        "eimAcknowledgements",
        lambda: Fault("esipa", 1, bytes.fromhex("BF53"), status("BF50023000")),
    ),
    "the eIM acknowledges another result": Planted(
        "esipa",
        "ProvideEimPackageResult",
        "binding",
        "SequenceNumber",
        lambda: Fault("esipa", 1, bytes.fromhex("BF53"), lambda data: data[:-1] + b"\x63"),
    ),
    "the eIM is slow": Planted("esipa", "GetBoundProfilePackage", "timing", "s in A, 5.", prepare=slow_eim),
}


def mute(lab: Any, marker: bytes) -> None:
    transmit = lab.card.euicc.transmit
    record = lab.notes["record"]

    def card(command: bytes) -> bytes:
        if marker in command[5:9]:
            record("apdu:card", 0, command)
            lab.card.euicc.power_off()
            return b""
        return bytes(transmit(command))

    lab.card.euicc.transmit = card


@pytest.mark.parametrize("name", FAULTS)
def test_the_planted_fault_comes_first(name: str, base: Base, folder: Path, good: list[Packet]) -> None:
    planted = FAULTS[name]
    fault = planted.fault() if planted.fault is not None else None
    bad = provisioning(base, folder / f"bad-{random.getrandbits(48):x}", fault, prepare=planted.prepare, **planted.card)
    found = compare(good, bad)
    assert found.first is not None
    told = f"{found.first.level} {found.first.lane} {found.first.function}: {found.first.text}"
    assert (found.first.lane, found.first.function) == (planted.lane, planted.function), told
    assert found.first.level == planted.level, told
    assert planted.says in " ".join(detail.text for detail in found.first.details), told
    assert found.same is (planted.level not in GRAVE)


def test_two_good_runs_differ_in_nothing_that_means_something(base: Base, folder: Path, good: list[Packet]) -> None:
    again = provisioning(base, folder / "again")
    found = compare(good, again)
    assert found.same
    assert [item.level for item in found.divergences] == ["identity"], "the order's matchingId"
    assert found.compared > 40
    assert found.volatile["signature"] > 10
    assert found.volatile["session id"] > 10
    assert {"random", "ephemeral key"} <= set(found.volatile)


def test_blocks_and_transport_are_no_difference(base: Base, folder: Path, good: list[Packet]) -> None:
    """A card of T=1 answers without GET RESPONSE, and one of other resources only differs in its state."""
    found = compare(good, provisioning(base, folder / "t1", protocol="T=1"))
    assert found.same, [item.text for item in found.divergences]


def test_a_trace_is_itself(good: list[Packet]) -> None:
    found = compare(good, good)
    assert (found.divergences, found.volatile) == ([], {"polling": found.volatile["polling"]})


# --- AT and SCPI ------------------------------------------------------------------------------------------------------


def lines(lane: str, *told: tuple[str, str]) -> list[Packet]:
    """Packets of a port: ``(">", line)`` is sent, ``("<", line)`` received."""
    return [
        Packet(lane, BEGIN + at * TICK, Direction(way == "<"), f"{text}\r\n".encode(), "", "", at + 1)
        for at, (way, text) in enumerate(told)
    ]


def test_a_refused_registration_is_told_by_its_cause() -> None:
    start = ((">", "AT+CFUN=1"), ("<", "OK"), ("<", "+CEREG: 2"))
    good = lines("at:modem", *start, ("<", '+CEREG: 1,"1A2D","01A2D001",7'))
    bad = lines("at:modem", *start, ("<", "+CEREG: 3,,,,0,11"))
    first = compare(good, bad).first
    assert first is not None
    assert (first.function, first.level) == ("+CEREG", "result")
    assert "registered, home(1)" in first.text
    assert "denied(3)" in first.text
    assert "EMM 11 PLMN not allowed" in first.text


def test_a_refused_command_is_told_by_its_error() -> None:
    good = lines("at:modem", (">", 'AT+CCHO="A000"'), ("<", "+CCHO: 1"), ("<", "OK"))
    bad = lines("at:modem", (">", 'AT+CCHO="A000"'), ("<", "+CME ERROR: 3"))
    first = compare(good, bad).first
    assert first is not None
    assert (first.level, first.function) == ("result", "AT+CCHO=")
    assert "operation not allowed" in first.text


def test_polling_is_left_out() -> None:
    poll = (
        (">", "AT+CEREG?"),
        ("<", "+CEREG: 5,2"),
        ("<", "OK"),
        (">", "AT+CESQ"),
        ("<", "+CESQ: 99,99,255,255,20,50"),
        ("<", "OK"),
    )
    work = ((">", 'AT+CGDCONT=1,"IP","iot"'), ("<", "OK"))
    found = compare(lines("at:modem", *poll, *work), lines("at:modem", *poll, *poll, *poll, *work))
    assert found.divergences == []
    assert found.volatile["polling"] == 8


def test_an_instrument_that_was_set_otherwise() -> None:
    good = lines("scpi:power", (">", "VOLT 3.8,(@1)"), (">", "MEAS:VOLT? (@1)"), ("<", "+3.79E+00"))
    bad = lines("scpi:power", (">", "VOLT 3.3,(@1)"), (">", "MEAS:VOLT? (@1)"), ("<", "+3.30E+00"))
    first = compare(good, bad).first
    assert first is not None
    assert (first.level, first.function) == ("value", "VOLT")
    assert "3.8" in first.text
    assert "3.3" in first.text


# --- the parts --------------------------------------------------------------------------------------------------------


def keyed(text: str) -> list[Call]:
    from bench.trace.calls import Exchange

    return [Call(letter, Exchange("l", "card", letter, at, at, at, at)) for at, letter in enumerate(text)]


def told(a: str, b: str) -> str:
    return " ".join(
        f"{pair.a.function if pair.a else '-'}{pair.b.function if pair.b else '-'}"
        for pair in align(keyed(a), keyed(b))
    )


@pytest.mark.parametrize(
    ("a", "b", "pairs"),
    [
        ("abc", "abc", "aa bb cc"),
        ("abcd", "acd", "aa b- cc dd"),
        ("acd", "axcd", "aa -x cc dd"),
        ("abcd", "axcd", "aa b- -x cc dd"),
        ("abc", "", "a- b- c-"),
        ("", "ab", "-a -b"),
        ("ab", "xy", "a- b- -x -y"),
    ],
)
def test_calls_find_their_counterparts(a: str, b: str, pairs: str) -> None:
    assert told(a, b) == pairs


@given(st.text("abcd", max_size=40), st.text("abcd", max_size=40))
def test_every_call_is_paired_once_and_in_order(a: str, b: str) -> None:
    pairs = align(keyed(a), keyed(b))
    assert "".join(pair.a.function for pair in pairs if pair.a) == a
    assert "".join(pair.b.function for pair in pairs if pair.b) == b
    assert all(pair.a.function == pair.b.function for pair in pairs if pair.a and pair.b)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("apdu:card", "at:modem", "esipa", "es9plus", "scpi:p", "steps")),
            st.binary(max_size=60),
            st.integers(0, 1),
        ),
        max_size=20,
    ),
    st.integers(0, 20),
)
def test_any_bytes_can_be_compared(told: list[tuple[str, bytes, int]], cut: int) -> None:
    made = [Packet(lane, BEGIN + at, Direction(way), data, "", "", at + 1) for at, (lane, data, way) in enumerate(told)]
    found = compare(made, made[:cut])
    assert all(item.level in LEVELS for item in found.divergences)
    assert compare(made, made).divergences == []
