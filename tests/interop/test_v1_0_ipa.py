"""An IPA of SGP.32 v1.0 and our eIM: the messages as an open C implementation of v1.0 makes them.

It never names the EID beside a result, wraps the stored results of the card in BF2B, tells an empty DeviceInfo, and
asks for the next package until there is none (v1.0 sections 5.14.5 to 5.14.7; fact sheet G rows 1 to 7).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.pki import Pki
from fixtures.profiles import Parameters, build
from fixtures.sim.euicc import VirtualEuicc

from .foreign import Bench
from .http import esipa, operator
from .test_card_clients import ISD_R
from .wire import inside, make, split

EID = "89049032123451234512345678901429"
ICCID = "8900101000000000019"
POLL = make("bf4f", make("5a", bytes.fromhex(EID)))
NOTHING = bytes.fromhex("bf4f03020101")


class Reader:
    """A T=0 reader with ISD-R selected on channel 1."""

    def __init__(self, card: VirtualEuicc) -> None:
        self._card = card
        card.power_on()
        for command in ("80aa000005a903830107", "0070000100", f"01a4040410{ISD_R}"):
            assert card.transmit(bytes.fromhex(command))[-2] in (0x90, 0x61)

    def store(self, data: bytes) -> bytes:
        """Send one ES10 command in blocks of 255 bytes and return the answer."""
        pieces = [data[at : at + 255] for at in range(0, len(data), 255)]
        answer = b""
        for number, piece in enumerate(pieces):
            p1 = 0x91 if number == len(pieces) - 1 else 0x11
            answer = self._card.transmit(bytes((0x81, 0xE2, p1, number, len(piece))) + piece)
        response = b""
        while answer[-2] == 0x61:
            answer = self._card.transmit(bytes((0x01, 0xC0, 0, 0, answer[-1])))
            response += answer[:-2]
        assert answer[-2:] == b"\x90\x00", answer.hex()
        return response


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="module")
def reader(lab: Bench) -> Reader:
    """A card of the lab's own CI, associated with its eIM."""
    profile = lab.folder / "bootstrap.der"
    keys = bytes(range(16)), bytes(range(16, 32))
    profile.write_bytes(build(Parameters(ICCID, "001010000000001", *keys, "BOOT", "apn", profile_type="boot")))
    reader = Reader(VirtualEuicc.open(lab.folder / "card", pki=Pki.open(lab.home), eid=EID, bootstrap=profile))
    operator(lab, "eim", "PUT", f"/euiccs/{EID}")
    told = bytes.fromhex(operator(lab, "eim", "GET", "/initial-configuration")["eim_configuration_data"])
    assert reader.store(make("bf57", make("a0", told))) == bytes.fromhex("bf5704a0020500")
    return reader


def order(lab: Bench, kind: str, **parameters: object) -> str:
    made = operator(lab, "eim", "POST", "/orders", {"eid": EID, "kind": kind, **parameters})
    return str(made["order_id"])


def outcome(lab: Bench, number: str) -> tuple[str, bool]:
    ended = operator(lab, "eim", "GET", f"/orders/{number}?wait=5")
    return ended["state"], ended["verified"]


def euicc_data(reader: Reader, tags: bytes) -> bytes:
    """BF52 of v1.0: no eimTransactionId, the notifications last (BF2B), DeviceInfo with the TAC alone."""
    certificates = {tag: raw for tag, _, raw in split(inside(reader.store(bytes.fromhex("bf5600")), "bf56", "a0"))}
    known = {
        "bf20": reader.store(bytes.fromhex("bf2000")),
        "bf22": reader.store(bytes.fromhex("bf2200")),
        "a5": certificates["a5"],
        "a6": certificates["a6"],
        "a8": make("a8", bytes.fromhex("80020560")),
        "a9": make("a9", make("80", bytes.fromhex("49015420")), make("a1")),
        "bf2b": bytes.fromhex("bf2b02a000"),
    }
    asked = tags.hex()
    return make("bf52", make("a0", *(raw for tag, raw in known.items() if tag in asked)))


def execute(lab: Bench, reader: Reader, package: bytes) -> bytes:
    """LoadEuiccPackage; the result with what BF2B lists, without an EID; return what the eIM acknowledges."""
    result = reader.store(package)
    assert split(result)[0][0] == "bf51"
    number = inside(result, "bf51", "a0", "30", "83")
    stored = reader.store(make("bf2b", make("a0", make("80", number))))
    assert stored == make("bf2b", make("a2", result))
    answer = esipa(lab, make("bf50", make("30", result, stored)))
    assert answer.status == 200
    assert reader.store(make("bf30", make("80", number))) == bytes.fromhex("bf3003800100")
    # v1.0 removes what it has delivered a second time: nothingToDelete, and no error of the card.
    assert reader.store(make("bf30", make("80", number))) == bytes.fromhex("bf3003800101")
    assert answer.body == make("bf50", make("bf53", make("80", number)))
    return number


def poll(lab: Bench, reader: Reader) -> list[str]:
    """Poll until there is nothing; return the tags of what was handed out."""
    seen: list[str] = []
    while (handed := esipa(lab, POLL).body) != NOTHING:
        tag, _, package = split(inside(handed, "bf4f"))[0]
        seen.append(tag)
        assert len(seen) < 5, seen
        if tag == "bf51":
            execute(lab, reader, package)
        else:
            assert tag == "bf52"
            body = make("bf50", euicc_data(reader, inside(package, "bf52", "5c")))
            assert esipa(lab, body).body == bytes.fromhex("bf50023000")
    return seen


def test_a_list_for_an_ipa_that_never_names_its_eid(lab: Bench, reader: Reader) -> None:
    number = order(lab, "list")
    assert poll(lab, reader) == ["bf52", "bf51"]
    assert outcome(lab, number) == ("done", True)


def test_disable_and_its_notification_in_a0(lab: Bench, reader: Reader) -> None:
    number = order(lab, "disable", iccid=ICCID)
    assert poll(lab, reader) == ["bf51"]
    assert outcome(lab, number) == ("done", True)


def test_a_result_of_a1_in_handle_notification(lab: Bench, reader: Reader) -> None:
    """In v1.0 the second alternative of HandleNotification is A1; an empty body and 204 answer it."""
    answer = esipa(lab, make("bf3d", make("a1", make("bf54", make("30")))))
    assert answer.status in (200, 204)


def test_no_accept_header(lab: Bench, reader: Reader) -> None:
    answer = esipa(lab, POLL, "-H", "Accept:", "-A", "gsma-rsp-lpad")
    assert (answer.status, answer.body) == (200, NOTHING)
    assert answer.headers["x-admin-protocol"] == "gsma/rsp/v2.1.0"


def test_unsigned_errors_end_the_order_in_the_end(lab: Bench, reader: Reader) -> None:
    """In v1.0 they name neither card nor order, so the eIM counts how often it has handed out the package."""
    number = order(lab, "list")
    error = make("bf51", make("a2", make("80", b"eim.bench.example")))
    handed_out = 0
    while (handed := esipa(lab, POLL).body) != NOTHING:
        assert inside(handed, "bf4f", "bf51", "5f37")
        assert esipa(lab, make("bf50", error)).status == 200
        handed_out += 1
        assert handed_out <= 10
    assert outcome(lab, number) == ("failed", False)
