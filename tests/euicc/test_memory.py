"""Memory: what a reset deletes, option by option, and what happens when there is no room."""

from __future__ import annotations

import pytest

from bench.rsp import codec, packages, tlv
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.profiles import ProfileClass, metadata

from . import parties
from .parties import BOOT_ICCID, EIM_ID, OPER_ICCID, Bench, Eim, Terminal, install, pir, results
from .test_es10c import POLL

OPERATIONAL, FIELD_TEST, ADDRESS, PRELOADED_TEST, PROVISIONING, EIM, IMMEDIATE = (0x80 >> bit for bit in range(7))


def reset(options: int) -> bytes:
    unused = (options & -options).bit_length() - 1 if options else 0
    return build(0xBF64, build(0x82, bytes((unused, options)) if options else b"\x00"))


def present(terminal: Terminal) -> set[str]:
    return {profile.iccid for profile in terminal.card.state().profiles}


@pytest.fixture
def full(bench: Bench, pki: Pki) -> tuple[Terminal, dict[str, str]]:
    """A card with a profile of each kind, an eIM, an address, and immediate enabling configured."""
    field = parties.numbered(1)
    names = {"boot": BOOT_ICCID, "oper": OPER_ICCID, "field": parties.iccid_of(field)}
    names["preloaded"] = bench.preload("test", parties.numbered(2))
    terminal = bench.terminal()
    assert pir(install(terminal, pki))[0] == "ok"
    assert pir(install(terminal, pki, field, about=metadata(field, profile_class=ProfileClass.TEST)))[0] == "ok"
    assert terminal.es10(bytes.fromhex("bf59028000")).hex() == "bf5903800100"
    Eim(pki.eim).associate(terminal)
    terminal.es10(bytes.fromhex("bf650480026162"))
    assert present(terminal) == set(names.values())
    return terminal, names


@pytest.mark.parametrize(
    ("options", "answer", "gone"),
    [
        (OPERATIONAL, "bf6403800100", {"oper"}),
        (FIELD_TEST, "bf6403800100", {"field"}),
        (PRELOADED_TEST, "bf6403800100", {"preloaded"}),
        (OPERATIONAL | FIELD_TEST | PRELOADED_TEST, "bf6403800100", {"oper", "field", "preloaded"}),
        (ADDRESS, "bf6403800100", set()),
        (EIM, "bf6406800101810100", set()),
        (IMMEDIATE, "bf6406800101820100", set()),
        (OPERATIONAL | EIM | IMMEDIATE, "bf6409800100810100820100", {"oper"}),
        (0, "bf6403800101", set()),
    ],
)
def test_each_option(full: tuple[Terminal, dict[str, str]], options: int, answer: str, gone: set[str]) -> None:
    terminal, names = full
    before = terminal.card.state()
    assert terminal.es10(reset(options)).hex() == answer
    view = terminal.card.state()
    assert not view.switch_pending
    assert present(terminal) == {iccid for name, iccid in names.items() if name not in gone}
    assert len(view.eims) == (0 if options & EIM else 1)
    assert (b"\x80\x02ab" in terminal.es10(bytes.fromhex("bf3c00"))) == (not options & ADDRESS)
    assert ('"immediate":null' in terminal.dump()) == bool(options & IMMEDIATE)
    assert view.free_memory > before.free_memory or not options or options == IMMEDIATE
    assert [n.event for n in view.notifications[len(before.notifications) :]] == ["delete"] * len(gone)
    # and once more there is nothing
    again = {OPERATIONAL: "bf6403800101", EIM: "bf6406800101810101", IMMEDIATE: "bf6406800101820100"}
    if options in again:
        terminal.unchanged(reset(options), again[options])


@pytest.mark.parametrize("mode", ["fetch", "locked"])
def test_the_enabled_profile_goes_with_the_reset_of_the_card(bench: Bench, pki: Pki, mode: str) -> None:
    terminal = bench.with_options(refresh=mode)
    install(terminal, pki)
    Eim(pki.eim).associate(terminal)
    assert terminal.es10(reset(OPERATIONAL | PROVISIONING | EIM)).hex() == "bf6406800100810100"
    assert present(terminal) == {BOOT_ICCID, OPER_ICCID}
    assert terminal.iccid() == BOOT_ICCID
    if mode == "fetch":
        terminal.unchanged(reset(OPERATIONAL), "bf6403800105")  # the first one is not over
    terminal.reset()
    assert present(terminal) == set()
    assert terminal.card.state().eims == ()
    assert [n.event for n in terminal.card.state().notifications][-3:] == ["disable", "delete", "delete"]


def test_busy_only_where_a_refresh_is_needed(full: tuple[Terminal, dict[str, str]]) -> None:
    terminal, names = full
    terminal.card.request(POLL)
    terminal.unchanged(reset(PROVISIONING | EIM), "bf6403800105")
    assert terminal.es10(reset(OPERATIONAL)).hex() == "bf6403800100"
    assert names["oper"] not in present(terminal)


def test_policy_rules_do_not_protect_from_it(bench: Bench, pki: Pki) -> None:
    terminal = bench.terminal()
    install(terminal, pki, about=metadata(parties.operational(), policy_rules=0x60))
    assert terminal.es10(reset(OPERATIONAL)).hex() == "bf6403800100"


def test_a_card_that_does_not_know_the_options(bench: Bench, pki: Pki) -> None:
    terminal = bench.with_options(eim_reset=False, immediate_reset=False)
    terminal.es10(bytes.fromhex("bf59028000"))
    Eim(pki.eim).associate(terminal)
    terminal.unchanged(reset(EIM | IMMEDIATE), "bf6409800101810102820101")


def test_rollback_goes_with_its_profile_or_its_eim(bench: Bench, pki: Pki) -> None:
    for name, options in (("profile", PROVISIONING), ("eim", EIM)):
        terminal = bench.terminal(name)
        install(terminal, pki)
        eim = Eim(pki.eim)
        eim.associate(terminal)
        terminal.es10(eim.package(packages.enable(OPER_ICCID, True)))
        terminal.reset()
        assert terminal.card.state().rollback_armed
        terminal.es10(reset(options))
        terminal.unchanged("bf5803800100", "bf5803020101")
        assert not terminal.card.state().rollback_armed


# --- no room ---------------------------------------------------------------------------------------------------------


def free(terminal: Terminal) -> int:
    """What EUICCInfo2 says."""
    resource = codec.decode("EUICCInfo2", terminal.es10(bytes.fromhex("bf2200")))["extCardResource"]
    return next(int.from_bytes(part.value, "big") for part in tlv.parse(resource) if part.tag == 0x82)


def leaving(bench: Bench, pki: Pki, left: int, *, eim: bool = True) -> tuple[Terminal, Eim]:
    """A card with an eIM on which so many bytes are free."""
    party = Eim(pki.eim)
    terminal = bench.terminal("plenty")
    if eim:
        party.associate(terminal)
    taken = bench.options.memory - free(terminal)
    terminal = bench.with_options(f"card{left}", memory=taken + left)
    if eim:
        # while there is room: an association needs some more than what is kept of it
        party.associate(bench.with_options(f"card{left}"))
        terminal = bench.with_options(f"card{left}", memory=taken + left)
    assert free(terminal) == left
    return terminal, party


def test_add_initial_eim(bench: Bench, pki: Pki) -> None:
    terminal, _ = leaving(bench, pki, 100, eim=False)
    terminal.unchanged(build(0xBF57, build(0xA0, Eim(pki.eim).configuration())), "bf5703810101")
    terminal = bench.with_options("few", eims=2)
    three = [Eim(pki.eim, f"eim{number}").configuration(token=True) for number in range(3)]
    terminal.unchanged(build(0xBF57, build(0xA0, *three)), "bf5703810101")
    assert terminal.es10(build(0xBF57, build(0xA0, *three[:2]))).hex() == "bf5708a006840101840102"


def test_add_eim_update_eim_and_configurations(bench: Bench, pki: Pki) -> None:
    terminal, eim = leaving(bench, pki, 40)
    other = Eim(pki.eim, "other").configuration()
    assert results(terminal.es10(eim.package(ecos=[packages.add_eim(other)]))) == ["a803020101"]
    longer = build(0x30, build(0x80, EIM_ID.encode()), build(0x81, b"x" * 80))
    assert results(terminal.es10(eim.package(ecos=[packages.update_eim(longer)]))) == ["8a0107"]
    immediate = packages.configure_immediate_enable(flag=True, smdp_address="x" * 50)
    assert results(terminal.es10(eim.package(immediate))) == ["870101"]
    assert results(terminal.es10(eim.package(packages.set_default_dp_address("x" * 41)))) == ["bf650380017f"]
    terminal.unchanged(build(0xBF65, build(0x80, b"x" * 41)), "bf650380017f")
    iccid = bytes.fromhex("5a0a980001010000000010f9")
    terminal.unchanged(build(0xBF29, iccid, build(0x90, b"n" * 41)), "bf290380017f")
    assert terminal.es10(build(0xBF29, iccid, build(0x90, b"n" * 40))).hex() == "bf2903800100"
    assert free(terminal) == 0
    assert terminal.es10(build(0xBF29, iccid, build(0x90))).hex() == "bf2903800100"
    assert free(terminal) == 40


def test_configure_immediate_enabling_by_the_ipa(bench: Bench, pki: Pki) -> None:
    terminal, _ = leaving(bench, pki, 10, eim=False)
    terminal.unchanged(build(0xBF59, build(0x80), build(0x82, b"x" * 20)), "bf5903800101")
    terminal.unchanged("bf59058000810180", "bf590380017f")  # no OID
    assert terminal.es10(bytes.fromhex("bf59028000")).hex() == "bf5903800100"


@pytest.mark.parametrize(("left", "where"), [(20, 2), (400, 5), (1000, 5)])
def test_download(bench: Bench, pki: Pki, left: int, where: int) -> None:
    terminal, _ = leaving(bench, pki, left)
    assert pir(install(terminal, pki)) == ("error", (where, 10))
    assert present(terminal) == {BOOT_ICCID}
    assert free(terminal) == left


def test_a_download_that_just_fits_takes_what_it_says(bench: Bench, pki: Pki) -> None:
    terminal, _ = leaving(bench, pki, 5000)
    assert pir(install(terminal, pki))[0] == "ok"
    needed = 5000 - free(terminal)
    terminal, _ = leaving(bench, pki, needed)
    assert pir(install(terminal, pki))[0] == "ok"
    assert free(terminal) == 0
    terminal, _ = leaving(bench, pki, needed - 1)
    assert pir(install(terminal, pki)) == ("error", (5, 10))


def test_a_result_that_is_too_long_ends_the_package(bench: Bench, pki: Pki) -> None:
    terminal = bench.with_options(result_limit=38)
    eim = Eim(pki.eim)
    eim.associate(terminal)
    commands = [packages.list_profile_info([0x5A]), packages.list_profile_info([0x5A]), packages.delete(OPER_ICCID)]
    raw = terminal.es10(eim.package(*commands))
    assert results(raw) == [
        "bf2d10a00ee30c5a0a980001010000000010f9",
        "bf2d10a00ee30c5a0a980001010000000010f9",
        "020101",
    ]
    raw = terminal.es10(eim.package(packages.list_profile_info(), packages.get_rat()))
    assert results(raw) == ["020101"]


def test_a_package_that_is_too_long(bench: Bench, pki: Pki) -> None:
    terminal = bench.with_options(package_limit=200)
    eim = Eim(pki.eim)
    eim.associate(terminal)
    package = eim.package(*[packages.get_rat()] * 60)
    name = "8011" + EIM_ID.encode().hex()
    terminal.unchanged(package, "bf511ca21a" + name + "82020102" + "8f010f")
    eim.counter = 0
    assert results(terminal.es10(eim.package(packages.get_rat())))
