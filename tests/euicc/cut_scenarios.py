"""Every function that changes the card, as scenarios for power cuts."""

from __future__ import annotations

from functools import cache

from bench.rsp import ids, packages
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.profiles import metadata

from . import parties
from .cuts import Parties, Scenario, Step
from .parties import BOOT_ICCID, EIM_ID, OPER_ICCID, Terminal, install, pir, results
from .test_crl import request, revocation_list

FALLBACK, EMERGENCY, TEST = (parties.iccid_of(parties.numbered(number)) for number in (1, 2, 3))


# --- steps -----------------------------------------------------------------------------------------------------------


def refreshed(terminal: Terminal) -> None:
    """What the device does after a switch: REFRESH if there is one to fetch, then a reset of the card."""
    if terminal.card.state().proactive:
        terminal.ok("801200000b")
        terminal.ok("801400000c810301010402028281830100")
    if terminal.cut_after is not None and len(terminal.log) >= terminal.cut_after:
        terminal.raw(b"\x00\xa4\x00\x04\x02\x3f\x00")  # the cut comes before the reset
    terminal.card.reset()


def function(data: bytes | str, answer: str, *, refresh: bool = False) -> Step:
    """An ES10 function that must answer so."""
    wire = bytes.fromhex(data) if isinstance(data, str) else data

    def step(terminal: Terminal, _: Parties) -> None:
        terminal.open_isd_r()
        found = terminal.es10(wire).hex()
        assert found.startswith(answer), found
        if refresh:
            refreshed(terminal)

    return step


def package(*psmos: bytes, ecos: list[bytes] | None = None, answer: list[str], refresh: bool = False) -> Step:
    """An eUICC Package with these results, with the counter after the card's."""

    def step(terminal: Terminal, present: Parties) -> None:
        terminal.open_isd_r()
        eim = present.eim
        eim.counter = next(view.counter for view in terminal.card.state().eims if view.eim_id == eim.eim_id)
        raw = terminal.es10(eim.package(*psmos, ecos=ecos))
        assert results(raw) == answer, raw.hex()
        if refresh:
            refreshed(terminal)

    return step


def download(terminal: Terminal, present: Parties) -> None:
    terminal.open_isd_r()
    about = metadata(parties.operational(), fallback_allowed=True)
    assert pir(install(terminal, present.pki, about=about))[0] == "ok"


def associate(terminal: Terminal, present: Parties) -> None:
    terminal.open_isd_r()
    assert present.eim.associate(terminal).hex() == "bf5704a0020500"


def both(terminal: Terminal, present: Parties) -> None:
    """The operational profile, an eIM, and everything delivered."""
    download(terminal, present)
    associate(terminal, present)
    for view in terminal.card.state().notifications:
        terminal.es10(build(0xBF30, build(0x80, view.seq.to_bytes(view.seq.bit_length() // 8 + 1, "big"))))


def loaded(terminal: Terminal, present: Parties) -> None:
    """The operational profile."""
    download(terminal, present)


def then(*steps: Step) -> Step:
    """``both``, and these steps."""

    def prepare(terminal: Terminal, present: Parties) -> None:
        both(terminal, present)
        for step in steps:
            step(terminal, present)

    return prepare


def empty(terminal: Terminal, present: Parties) -> None:
    """As delivered."""


def add_other(terminal: Terminal, present: Parties) -> None:
    """The eCO addEim of the other eIM, with a token."""
    package(ecos=[packages.add_eim(present.other.configuration(token=True))], answer=["a803840101"])(terminal, present)


def remove(kind: str) -> Step:
    """The oldest entry of a kind is removed."""

    def step(terminal: Terminal, _: Parties) -> None:
        terminal.open_isd_r()
        view = next(view for view in terminal.card.state().notifications if view.kind == kind)
        number = view.seq.to_bytes(view.seq.bit_length() // 8 + 1, "big")
        assert terminal.es10(build(0xBF30, build(0x80, number))).hex() == "bf3003800100"

    return step


@cache
def _crl(pki: Pki) -> bytes:
    """One list for all runs: the length of its signature is not always the same."""
    return revocation_list(pki.ci)


def load_crl(terminal: Terminal, present: Parties) -> None:
    terminal.open_isd_r()
    assert terminal.es10(request(_crl(present.pki))).hex() == "bf3502a000"


def immediate(terminal: Terminal, _: Parties) -> None:
    """ImmediateEnable in the session of the download before it."""
    assert terminal.es10(bytes.fromhex("bf5a038001ff")).hex() == "bf5a03800100"
    refreshed(terminal)


def es10c(tag: int, iccid: str, refresh: bool) -> Step:
    """EnableProfile, DisableProfile."""
    choice = build(0xA0, build(0x5A, ids.iccid_bytes(iccid)))
    wire = build(tag, choice, build(0x81, b"\xff" if refresh else b"\x00"))
    return function(wire, f"{tag:04x}03800100", refresh=refresh)


def nickname(name: bytes) -> Step:
    return function(build(0xBF29, build(0x5A, ids.iccid_bytes(BOOT_ICCID)), build(0x90, name)), "bf2903800100")


ENABLE = package(packages.enable(OPER_ICCID), answer=["830100"], refresh=True)
ENABLE_BACK = package(packages.enable(OPER_ICCID, True), answer=["830100"], refresh=True)
FALLBACK_SET = package(packages.set_fallback_attribute(FALLBACK), answer=["8d0100"])
TO_FALLBACK = function("bf5d038001ff", "bf5d03800100", refresh=True)
UPDATE = build(0x30, build(0x80, EIM_ID.encode()), build(0x81, b"new.example"), build(0x83, b"\x32"))
DELETE = function(build(0xBF33, build(0x5A, ids.iccid_bytes(OPER_ICCID))), "bf3303800100")
CONSUMER = {"mode": "consumer"}

SWITCHING = (
    Scenario("psmo.enable", both, (ENABLE,)),
    Scenario("psmo.enable with rollback", both, (ENABLE_BACK,)),
    Scenario("psmo.disable", both, (package(packages.disable(BOOT_ICCID), answer=["840100"], refresh=True),)),
    Scenario(
        "psmo.enable and delete",
        both,
        (package(packages.enable(OPER_ICCID), packages.delete(BOOT_ICCID), answer=["830100", "850100"], refresh=True),),
    ),
    Scenario("rollback", then(ENABLE_BACK), (function("bf58038001ff", "bf58", refresh=True),)),
    Scenario("rollback at once", then(ENABLE_BACK), (function("bf5803800100", "bf58"),)),
    Scenario("fallback", then(FALLBACK_SET), (TO_FALLBACK,)),
    Scenario("fallback at once", then(FALLBACK_SET), (function("bf5d03800100", "bf5d03800100"),)),
    Scenario(
        "return from fallback",
        then(FALLBACK_SET, TO_FALLBACK),
        (function("bf5e038001ff", "bf5e03800100", refresh=True),),
    ),
    Scenario(
        "immediate enable",
        function("bf59028000", "bf5903800100"),
        (download, immediate),
        resumable=False,
    ),
    Scenario(
        "emergency profile",
        both,
        (
            function("bf5b038001ff", "bf5b03800100", refresh=True),
            function("bf5c038001ff", "bf5c03800100", refresh=True),
        ),
    ),
    Scenario("memory reset of everything", both, (function("bf6404820201fe", "bf64098001008101008201", refresh=True),)),
    Scenario("EnableProfile", loaded, (es10c(0xBF31, OPER_ICCID, True),), CONSUMER),
    Scenario("DisableProfile", loaded, (es10c(0xBF32, BOOT_ICCID, True),), CONSUMER),
)
"""Functions with a change of the enabled profile: they differ with the way the card refreshes."""

PLAIN = (
    Scenario("LoadBoundProfilePackage", empty, (download,)),
    Scenario("psmo.delete", both, (package(packages.delete(OPER_ICCID), answer=["850100"]),)),
    Scenario("AddInitialEim", empty, (associate,)),
    Scenario("eco.addEim", both, (add_other,)),
    Scenario("eco.updateEim", both, (package(ecos=[packages.update_eim(UPDATE)], answer=["8a0100"]),)),
    Scenario(
        "eco.deleteEim", then(add_other), (package(ecos=[packages.delete_eim("other.example")], answer=["890100"]),)
    ),
    Scenario("eco.deleteEim of the last", both, (package(ecos=[packages.delete_eim(EIM_ID)], answer=["890102"]),)),
    Scenario("psmo.setFallbackAttribute", both, (FALLBACK_SET,)),
    Scenario(
        "psmo.unsetFallbackAttribute",
        then(FALLBACK_SET),
        (package(packages.unset_fallback_attribute(), answer=["8e0100"]),),
    ),
    Scenario(
        "psmo.configureImmediateEnable",
        both,
        (package(packages.configure_immediate_enable(flag=True), answer=["870100"]),),
    ),
    Scenario(
        "psmo.setDefaultDpAddress",
        both,
        (package(packages.set_default_dp_address("dp.example"), answer=["bf6503800100"]),),
    ),
    Scenario(
        "ConfigureImmediateProfileEnabling",
        empty,
        (function("bf59028000", "bf5903800100"), function("bf5900", "bf5903800100")),
    ),
    Scenario(
        "SetDefaultDpAddress",
        empty,
        (function("bf650480026162", "bf6503800100"), function("bf3f028000", "bf3f03800100")),
    ),
    Scenario("SetNickname", both, (nickname(b"lab"), nickname(b""))),
    Scenario("LoadCRL", empty, (load_crl,)),
    Scenario(
        "emergency profile at once",
        both,
        (function("bf5b03800100", "bf5b03800100"), function("bf5c03800100", "bf5c03800100")),
    ),
    Scenario("memory reset of operational", both, (function("bf640482020780", "bf6403800100"),)),
    Scenario("memory reset of test profiles", both, (function("bf640482020410", "bf6403800100"),)),
    Scenario("memory reset of eIM data", both, (function("bf640482020204", "bf6406800101810100"),)),
    Scenario("memory reset of SGP.22", both, (function("bf340482020780", "bf3403800100"),)),
    Scenario("RemoveNotificationFromList", then(ENABLE), (remove("epr"), remove("event"), remove("event"))),
    Scenario("DeleteProfile", loaded, (DELETE,), CONSUMER),
    Scenario("EnableProfile at once", loaded, (es10c(0xBF31, OPER_ICCID, False),), CONSUMER),
)
"""Functions that no refresh goes with."""
