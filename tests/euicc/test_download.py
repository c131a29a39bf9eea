"""Loading of a bound profile package: every flipped byte is noticed, and names the command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.rsp import bsp, codec, download, ids, packages, tlv
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.profiles import Event, Package, Parameters, ProfileClass, metadata
from fixtures.profiles import build as build_package
from fixtures.sim.euicc import EuiccOptions

from . import parties
from .parties import BOOT_ICCID, OPER_ICCID, Bench, Refused, Smdpp, Terminal, install, load, load_units, pir, prepared

KEYS = bsp.SessionKeys(bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48)))
INSTALLED = ("ok", bytes.fromhex("3007a0053003800100"))


def large() -> bytes:
    """The operational package with an element of 1 500 bytes before its end: three 86 segments."""
    package = parties.operational()
    extra = build(
        0xA9,
        build(0xA0, build(0x80), build(0x81, b"\x0a")),
        build(0x06, bytes.fromhex("883701")),
        build(0x04, bytes(1500)),
    )
    return package[:-9] + extra + package[-9:]


def units_of(terminal: Terminal, pki: Pki, package: bytes, *, keys: bsp.SessionKeys | None = None) -> list[bytes]:
    smdpp = Smdpp(pki)
    return download.segment_bpp(smdpp.bind(prepared(terminal, smdpp), package, keys=keys))


def only_bootstrap(terminal: Terminal) -> None:
    view = terminal.card.state()
    assert [profile.iccid for profile in view.profiles] == [BOOT_ICCID]
    assert not view.loading
    assert terminal.card.faults == 0
    raw = terminal.es10(bytes.fromhex("bf2d035c015a"))
    assert len(tlv.first(raw).children()[0].children()) == 1


@pytest.mark.parametrize("keys", [None, KEYS], ids=["session keys", "profile keys"])
@pytest.mark.parametrize("package", [parties.operational, large], ids=["one segment", "three segments"])
def test_package_installs(terminal: Terminal, pki: Pki, package: object, keys: bsp.SessionKeys | None) -> None:
    data = package()  # type: ignore[operator]
    assert pir(install(terminal, pki, data, keys=keys)) == INSTALLED
    view = terminal.card.state()
    assert [(profile.iccid, profile.enabled) for profile in view.profiles] == [
        (BOOT_ICCID, True),
        (OPER_ICCID, False),
    ]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Terminal:
    """One card for all flipped bytes: none of them may leave anything on it."""
    bench = Bench(tmp_path_factory.mktemp("flips"), pki, EuiccOptions(results=8))
    return bench.terminal()


def flipped(unit: bytes, position: int) -> bytes:
    return unit[:position] + bytes((unit[position] ^ 0x01,)) + unit[position + 1 :]


def value_positions(unit: bytes, step: int) -> Iterator[int]:
    """Bytes of the value of BF23 (after the header of BF36), of the 87 segments inside A0 and A2, of 88 and 86."""
    start = 0
    if unit[:2] == b"\xbf\x36":
        start = len(unit) - len(tlv.parse(unit[_header(unit) :])[0].value)
    elif unit[:1] in (b"\xa0", b"\xa2"):
        start = len(unit) - len(tlv.first(unit).children()[0].value)
    else:
        start = len(unit) - len(tlv.first(unit).value)
    return iter(range(start, len(unit), step))


def _header(unit: bytes) -> int:
    return 3 + (unit[2] & 0x7F if unit[2] & 0x80 else 0)


def command_of(units: list[bytes], index: int) -> int:
    unit = units[index]
    return {0xBF: 0, 0xA0: 1, 0x88: 2, 0xA2: 4, 0x86: 5}[unit[0]]


STEPS = {0xBF: 1, 0xA0: 1, 0x88: 3, 0xA2: 1, 0x86: 17}
"""Every byte of BF23 and of ConfigureISDP; samples of the longer ones, several in each segment."""


@pytest.mark.parametrize("first_byte", STEPS, ids=["BF23", "87 ConfigureISDP", "88", "87 ReplaceSessionKeys", "86"])
def test_a_flipped_byte_of_a_value_is_noticed(shared: Terminal, pki: Pki, first_byte: int) -> None:
    package = large()
    probe = units_of(shared, pki, package, keys=KEYS)
    targets = [
        (index, position)
        for index, unit in enumerate(probe)
        if unit[0] == first_byte and len(unit) > 10
        for position in value_positions(unit, STEPS[first_byte])
    ]
    assert len({index for index, _ in targets}) == (3 if first_byte == 0x86 else 1)
    for index, position in targets:
        units = units_of(shared, pki, package, keys=KEYS)
        units[index] = flipped(units[index], position)
        sent = len(shared.log)
        result = pir(load_units(shared, units))
        assert result[0] == "error", (index, position)
        command, reason = result[1]
        assert command == command_of(probe, index)
        if first_byte == 0xBF:
            assert reason in (1, 2, 3, 4, 5), position
        else:
            assert reason == 8, position
        # the answer came with the very unit that was flipped
        assert sum(apdu[1] == 0xE2 and apdu[2] == 0x91 for apdu, _ in shared.log[sent:]) == index + 1
        shared.log.clear()
        only_bootstrap(shared)
    assert pir(load_units(shared, units_of(shared, pki, parties.operational()))) == INSTALLED
    # leave the card as it was for the next case
    shared.es10(bytes.fromhex("bf640482020780"))
    only_bootstrap(shared)


def structure_positions(units: list[bytes]) -> Iterator[tuple[int, int]]:
    """Tags and lengths: of BF36, BF23, A0, 87, A1, 88, A2, A3, 86."""
    for index, unit in enumerate(units):
        header = len(unit) if len(unit) <= 5 else min(len(unit), 4)
        if unit[0] in (0xA0, 0xA2):
            header = len(unit) - len(tlv.first(unit).children()[0].value)
        if unit[0] == 0xBF:
            header = len(unit) - len(tlv.parse(unit[_header(unit) :])[0].value)
        elif unit[0] in (0x86, 0x88):
            header = len(unit) - len(tlv.first(unit).value)
        yield from ((index, position) for position in range(header))


def test_a_flipped_tag_or_length_is_refused_and_can_be_cancelled(shared: Terminal, pki: Pki) -> None:
    package = large()
    probe = units_of(shared, pki, package, keys=KEYS)
    outcomes = set()
    for index, position in structure_positions(probe):
        for mask in (0x01, 0x80):
            smdpp = Smdpp(pki)
            units = download.segment_bpp(smdpp.bind(prepared(shared, smdpp), package, keys=KEYS))
            unit = units[index]
            units[index] = unit[:position] + bytes((unit[position] ^ mask,)) + unit[position + 1 :]
            try:
                answer = load_units(shared, units)
                assert answer, (index, position, mask)
                assert pir(answer)[0] == "error"
                outcomes.add("pir")
            except Refused:
                outcomes.add("refused")
                cancel = build(0xBF41, build(0x80, smdpp.transaction_id), build(0x81, b"\x05"))
                assert codec.decode("CancelSessionResponse", shared.es10(cancel))[0] == "cancelSessionResponseOk"
            shared.log.clear()
            only_bootstrap(shared)
    assert outcomes == {"pir", "refused"}


def test_units_that_are_lost_doubled_or_swapped(shared: Terminal, pki: Pki) -> None:
    count = len(units_of(shared, pki, large(), keys=KEYS))
    for index in range(count):
        for change in ("lost", "doubled", "swapped"):
            units = units_of(shared, pki, large(), keys=KEYS)
            if change == "lost":
                del units[index]
            elif change == "doubled":
                units.insert(index, units[index])
            elif index + 1 < count:
                units[index], units[index + 1] = units[index + 1], units[index]
            else:
                continue
            if change == "doubled" and index == count - 1:
                continue  # the package is complete before the second copy
            try:
                answer = load_units(shared, units)
            except Refused:
                answer = b""
            if answer:
                # a second BF36 begins the same download anew, which is no error
                good = change == "doubled" and index == 0
                assert pir(answer)[0] == ("ok" if good else "error"), (change, index)
                if good:
                    shared.es10(bytes.fromhex("bf640482020780"))
            shared.log.clear()
            shared.es10(bytes.fromhex("bf2e00"))
            only_bootstrap(shared)


def test_units_that_are_put_together_are_refused_at_once(shared: Terminal, pki: Pki) -> None:
    for first, command in ((2, 2), (5, 5)):
        units = units_of(shared, pki, large(), keys=KEYS)
        joined = [*units[:first], units[first] + units[first + 1]]
        assert load_units(shared, joined[:-1]) == b""
        assert pir(shared.es10(joined[-1])) == ("error", (command, 7))
        shared.log.clear()
        only_bootstrap(shared)


def test_package_for_another_card(terminal: Terminal, pki: Pki) -> None:
    smdpp = Smdpp(pki)
    answer = prepared(terminal, smdpp)
    other = ids.eid_with_check_digits("8904903212345123451234512345" + "01")
    assert pir(load(terminal, smdpp.bind(answer, parties.operational(), eid=other))) == ("error", (1, 8))
    only_bootstrap(terminal)


def test_package_of_another_session(terminal: Terminal, pki: Pki) -> None:
    old = units_of(terminal, pki, parties.operational())
    units_of(terminal, pki, parties.operational())
    assert pir(load_units(terminal, old)) == ("error", (0, 3))
    with pytest.raises(Refused, match="6985"):
        load_units(terminal, old)  # the session is over


def refused_for(terminal: Terminal, pki: Pki, package: bytes, about: bytes) -> object:
    result = pir(install(terminal, pki, package, about=about))
    only_bootstrap(terminal)
    return result


def test_metadata_reasons(terminal: Terminal, pki: Pki) -> None:
    oper = parties.operational()
    good = metadata(oper)
    fields = {part.tag: part.raw for part in tlv.first(good).children()}

    def without(tag: int) -> bytes:
        return build(0xBF25, *(raw for key, raw in fields.items() if key != tag))

    def with_member(tag: int, value: bytes) -> bytes:
        changed = {**fields, tag: build(tag, value)}
        order = [0x5A, 0x91, 0x92, 0x95, 0xB6, 0xB7, 0x99]
        return build(0xBF25, *(changed[key] for key in order if key in changed))

    for tag in (0x5A, 0x91, 0x92):
        assert refused_for(terminal, pki, oper, without(tag)) == ("error", (2, 1))
    assert refused_for(terminal, pki, oper, with_member(0x95, b"\x07")) == ("error", (2, 6))
    assert refused_for(terminal, pki, oper, metadata(parties.bootstrap())) == ("error", (2, 9))
    assert refused_for(terminal, pki, oper, b"\xbf\x24\x00") == ("error", (2, 1))
    other = with_member(0x5A, ids.iccid_bytes("8900101000000000035"))
    assert refused_for(terminal, pki, oper, other) == ("error", (5, 13))
    test_with_rule = metadata(oper, profile_class=ProfileClass.TEST, policy_rules=0x40)
    assert refused_for(terminal, pki, oper, test_with_rule) == ("error", (2, 15))


def test_profile_element_errors_carry_the_sima_response(terminal: Terminal, pki: Pki) -> None:
    # the IMSI file of element 4 becomes one byte too long
    bad = parties.operational().replace(bytes.fromhex("a30b8309"), bytes.fromhex("a30b8309"))
    position = bad.index(bytes.fromhex("a30b830908"))
    usim_start = bad.index(bytes.fromhex("b381f4"))
    bad = (
        bad[:usim_start]
        + bytes.fromhex("b381f5")
        + bad[usim_start + 3 : position]
        + bytes.fromhex("a30c830a0809")
        + bad[position + 5 :]
    )
    result = install(terminal, pki, bad, about=metadata(parties.operational()))
    assert pir(result) == ("error", (5, 12))
    final = tlv.first(result).find(0xBF27, 0xA2, 0xA1, 0x82)
    assert final is not None
    assert final.value.hex().startswith("30")
    assert bytes.fromhex("a00830068001038101" + "04") in final.value
    only_bootstrap(terminal)


def test_memory_is_limited(bench: Bench, pki: Pki) -> None:
    bench.options = EuiccOptions(memory=12_000)
    terminal = bench.terminal()
    free = codec.decode("EUICCInfo2", terminal.es10(bytes.fromhex("bf2200")))["extCardResource"]
    assert b"\x82\x04" in free
    installed = 0
    outcome: tuple[str, object] = ("", 0)
    for number in range(8):
        digits = f"890010100000000{100 + number}"
        iccid = digits + ids.luhn_digit(digits)
        package = build_package(
            Parameters(iccid, f"00101000000{1000 + number}", parties.K, parties.OPC, "X", "internet")
        )
        outcome = pir(install(terminal, pki, package))
        if outcome[0] == "error":
            break
        installed += 1
    assert installed >= 1
    assert outcome[1] in ((5, 10), (2, 10))
    assert len(terminal.card.state().profiles) == 1 + installed


def test_installation_notifications_go_where_the_metadata_says(terminal: Terminal, pki: Pki) -> None:
    about = metadata(
        parties.operational(), notifications={Event.INSTALL: ["a.example", "b.example"], Event.DELETE: ["c.example"]}
    )
    assert pir(install(terminal, pki, about=about)) == INSTALLED
    view = terminal.card.state()
    assert [(n.kind, n.address) for n in view.notifications] == [
        ("pir", parties.ADDRESS),
        ("event", "a.example"),
        ("event", "b.example"),
    ]
    terminal.es10(bytes.fromhex("bf640482020780"))
    assert terminal.card.state().notifications[-1].address == "c.example"


def test_other_functions_do_not_disturb_a_download(terminal: Terminal, pki: Pki) -> None:
    units = units_of(terminal, pki, large())
    answer = b""
    for unit in units:
        answer = terminal.es10(unit)
        if not answer:
            assert terminal.es10(bytes.fromhex("bf2d035c015a"))
    assert pir(answer) == INSTALLED


def test_reset_in_a_download_leaves_a_result_that_says_so(terminal: Terminal, pki: Pki) -> None:
    units = units_of(terminal, pki, large())
    commands = [5] * len(units)
    commands[0:3] = [1, 1, 1]
    for stop in range(1, len(units)):
        fresh = units_of(terminal, pki, large())
        assert load_units(terminal, fresh[:stop]) == b""
        terminal.card.reset()
        only = terminal.card.state()
        assert not only.loading
        terminal.open_isd_r()
        last = only.notifications[-1]
        assert (last.kind, last.event) == ("pir", "install")
        raw = terminal.es10(build(0xBF2B, build(0xA0, build(0x80, _integer(last.seq)))))
        result = tlv.first(raw).find(0xA0, 0xBF37)
        assert result is not None
        kind, (command, reason) = pir(result.raw)  # type: ignore[misc]
        assert (kind, reason) == ("error", 11)
        assert command in (1, 2, 5)
        terminal.es10(build(0xBF30, build(0x80, _integer(last.seq))))
        only_bootstrap(terminal)


def _integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


@pytest.mark.parametrize("name", ["TS48V1-A-UNIQUE.der", "TS48V2-SAIP2-1-BERTLV-UNIQUE.der"])
def test_ts48_packages_download(terminal: Terminal, pki: Pki, name: str) -> None:
    """12 kB in a dozen segments; the profile then is in force."""
    root = Path(os.environ.get("BENCH_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    path = root / "ts48" / name
    if not path.exists():
        pytest.skip(f"TS.48 samples are not there: set BENCH_SHARED_DATA to the folder that holds ts48/{name}")
    package = path.read_bytes()
    units = units_of(terminal, pki, package)
    assert sum(unit[0] == 0x86 for unit in units) == -(-len(package) // 1007)
    assert pir(load_units(terminal, units)) == INSTALLED
    eim = parties.Eim(pki.eim)
    eim.associate(terminal)
    terminal.es10(eim.package(packages.enable(Package.parse(package).iccid)))
    terminal.card.reset()
    assert terminal.iccid() == Package.parse(package).iccid
    assert terminal.imsi() == "001010123456063"
