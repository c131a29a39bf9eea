"""Profile Policy Rules: who may have them, by the Rules Authorisation Table, and what they forbid."""

from __future__ import annotations

import pytest

from bench.rsp import codec, packages, tlv
from bench.rsp.interpretation import Interpretation
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.profiles import ProfileClass, metadata
from fixtures.profiles.aka import Algorithm
from fixtures.sim.euicc import rules

from . import parties
from .parties import BOOT_ICCID, OPER_ICCID, Bench, Eim, Terminal, install, pir, results

ANY = "30148002" + "0560" + "a10b30098003eeeeee81008200" + "820100"


def about(package: bytes, rule: int, *, owner: bytes | bool | None = True, kind: ProfileClass | None = None) -> bytes:
    """Metadata with policy rules; ``owner``: True that of the package, None none, or an OperatorId's content."""
    made = tlv.first(metadata(package, policy_rules=rule, profile_class=kind))
    parts = [part.raw for part in made.children() if part.tag != 0xB7 or owner is True]
    if isinstance(owner, bytes):
        parts.insert(-1, build(0xB7, owner))
    return build(0xBF25, *parts)


def download(bench: Bench, pki: Pki, name: str, rule: int, **options: object) -> object:
    owner = options.pop("owner", True)
    terminal = bench.with_options(name, **options)
    package = parties.operational()
    return pir(install(terminal, pki, package, about=about(package, rule, owner=owner)))[1]  # type: ignore[arg-type]


OK = bytes.fromhex("3007a0053003800100")
REFUSED = (2, 15)


def test_table_as_the_card_tells_it(bench: Bench, pki: Pki) -> None:
    assert bench.terminal().es10(bytes.fromhex("bf4300")).hex() == "bf4318a016" + ANY
    terminal = bench.with_options("none", rat=())
    assert terminal.es10(bytes.fromhex("bf4300")).hex() == "bf4302a000"
    table = rules.table("ppr1:00101+99970:consent,ppr2:999E70,any")
    terminal = bench.with_options("three", rat=table)
    raw = terminal.es10(bytes.fromhex("bf4300"))
    first = "8002" + "0640" + "a1163009800300f1108100820030098003" + "99f907" + "81008200" + "82020780"
    assert first in raw.hex()
    value = codec.decode("GetRatResponse", raw, module="RSPDefinitions", accept=())["rat"]
    assert [entry["pprIds"] for entry in value] == [(b"\x40", 2), (b"\x20", 3), (b"\x60", 3)]
    assert [len(entry["allowedOperators"]) for entry in value] == [2, 1, 1]
    assert value[0]["allowedOperators"][0] == {"mccMnc": bytes.fromhex("00f110"), "gid1": b"", "gid2": b""}
    assert value[1]["allowedOperators"][0]["mccMnc"] == bytes.fromhex("99097e")
    assert [entry["pprFlags"] for entry in value] == [(b"\x80", 1), (b"", 0), (b"", 0)]
    eim = Eim(pki.eim)
    eim.associate(terminal)
    (listed,) = results(terminal.es10(eim.package(packages.get_rat())))
    assert bytes.fromhex(listed)[2:] == tlv.first(raw).children()[0].value


@pytest.mark.parametrize(
    ("table", "rule", "expected"),
    [
        ("any", 0x60, OK),
        ("none", 0x40, REFUSED),
        ("none", 0x20, REFUSED),
        ("none", 0, OK),
        ("ppr1:99970", 0x40, OK),
        ("ppr1:99970", 0x20, REFUSED),
        ("ppr1:99970", 0x60, REFUSED),
        ("ppr1:99970,ppr2:*", 0x60, OK),
        ("ppr1+ppr2:00101", 0x40, REFUSED),
        ("ppr2:00101+99970", 0x20, OK),
        ("ppr2:999EE", 0x20, OK),
        ("ppr2:998EE", 0x20, REFUSED),
        ("ppr1:99970:consent", 0x40, OK),
    ],
)
def test_download_against_the_table(bench: Bench, pki: Pki, table: str, rule: int, expected: object) -> None:
    """The package's owner is 999 70."""
    assert download(bench, pki, "card", rule, rat=rules.table(table)) == expected


def test_group_identifiers(bench: Bench, pki: Pki) -> None:
    plmn = bytes.fromhex("99f907")
    owner = {
        "none": build(0x80, plmn),
        "one": build(0x80, plmn) + build(0x81, b"\x01"),
        "two": build(0x80, plmn) + build(0x81, b"\x02"),
    }
    cases: list[tuple[rules.Operator, dict[str, object]]] = [
        (rules.Operator(plmn, b"\x01", b""), {"none": REFUSED, "one": OK, "two": REFUSED}),
        (rules.Operator(plmn, None, None), {"none": OK, "one": REFUSED, "two": REFUSED}),
        (rules.Operator(plmn), {"none": OK, "one": OK, "two": OK}),
    ]
    for number, (operator, expected) in enumerate(cases):
        table = (rules.Rule(rules.PPR2, (operator,)),)
        for name, outcome in expected.items():
            assert download(bench, pki, f"{number}{name}", 0x20, rat=table, owner=owner[name]) == outcome


def test_what_may_have_no_rule(bench: Bench, pki: Pki) -> None:
    assert download(bench, pki, "no owner", 0x40, owner=None) == REFUSED
    assert download(bench, pki, "forbidden", 0x40, forbidden_rules=0x40) == REFUSED
    assert download(bench, pki, "other", 0x20, forbidden_rules=0x40) == OK
    info2 = codec.decode("EUICCInfo2", bench.terminal("other").es10(bytes.fromhex("bf2200")))
    assert info2["forbiddenProfilePolicyRules"] == (b"\x40", 2)
    terminal = bench.with_options("test")
    package = parties.operational()
    refused = install(terminal, pki, package, about=about(package, 0x20, kind=ProfileClass.TEST))
    assert pir(refused) == ("error", REFUSED)
    # PPR1 is for the only operational profile
    assert pir(install(terminal, pki))[0] == "ok"
    second = parties.numbered(1)
    assert pir(install(terminal, pki, second, about=about(second, 0x40))) == ("error", REFUSED)
    assert pir(install(terminal, pki, second, about=about(second, 0x20)))[0] == "ok"


def test_update_control_alone_is_no_rule(bench: Bench, pki: Pki) -> None:
    assert download(bench, pki, "card", 0x80, rat=()) == OK


@pytest.fixture
def bound(bench: Bench, pki: Pki) -> tuple[Terminal, Eim]:
    """The operational profile, with both rules, is enabled."""
    terminal = bench.terminal()
    package = parties.operational()
    assert pir(install(terminal, pki, package, about=about(package, 0x60)))[0] == "ok"
    eim = Eim(pki.eim)
    eim.associate(terminal)
    assert results(terminal.es10(eim.package(packages.delete(OPER_ICCID)))) == ["850103"]
    assert results(terminal.es10(eim.package(packages.enable(OPER_ICCID)))) == ["830100"]
    terminal.reset()
    return terminal, eim


def test_what_the_rules_forbid(bound: tuple[Terminal, Eim]) -> None:
    terminal, eim = bound
    assert results(terminal.es10(eim.package(packages.disable(OPER_ICCID)))) == ["840103"]
    assert results(terminal.es10(eim.package(packages.enable(BOOT_ICCID)))) == ["830103"]
    assert terminal.iccid() == OPER_ICCID


def test_order_of_the_checks(bound: tuple[Terminal, Eim]) -> None:
    """Found (1), state (2), policy (3), busy (5)."""
    from .test_es10c import POLL

    terminal, eim = bound
    terminal.card.request(POLL)
    assert results(terminal.es10(eim.package(packages.enable("8900101000000000035")))) == ["830101"]
    assert results(terminal.es10(eim.package(packages.enable(OPER_ICCID)))) == ["830102"]
    assert results(terminal.es10(eim.package(packages.enable(BOOT_ICCID)))) == ["830103"]
    assert results(terminal.es10(eim.package(packages.disable(BOOT_ICCID)))) == ["840102"]
    assert results(terminal.es10(eim.package(packages.disable(OPER_ICCID)))) == ["840103"]
    assert results(terminal.es10(eim.package(packages.delete(OPER_ICCID)))) == ["850102"]


def test_immediate_enable_does_not_go_round_the_rule(bound: tuple[Terminal, Eim], pki: Pki) -> None:
    terminal, eim = bound
    terminal.es10(eim.package(packages.configure_immediate_enable(flag=True)))
    assert pir(install(terminal, pki, parties.numbered(1)))[0] == "ok"
    terminal.unchanged("bf5a038001ff", "bf5a03800101")


@pytest.mark.parametrize("exempt", [True, False])
def test_test_profiles(bench: Bench, pki: Pki, exempt: bool) -> None:
    """The class of a profile with rules is changed on the card: no download makes a test profile with rules."""
    terminal = bench.with_options(interpretation=Interpretation(test_profiles_exempt=exempt))
    package = parties.operational()
    install(terminal, pki, package, about=about(package, 0x20))
    profile = terminal.card._core.state.profiles[1]
    profile.metadata = about(package, 0x20, kind=ProfileClass.TEST).hex()
    eim = Eim(pki.eim)
    eim.associate(terminal)
    assert results(terminal.es10(eim.package(packages.delete(OPER_ICCID)))) == ["850100" if exempt else "850103"]


def test_keys_of_test_profiles(bench: Bench, pki: Pki) -> None:
    """TS 35.207's, TS 34.108's, the test algorithm, or 120 zero bits; any other key is refused (14)."""
    outcomes = {}
    keys: dict[str, dict[str, object]] = {
        "ts35207": {},
        "ts34108": {"k": bytes(range(16))},
        "zeros": {"k": bytes(15) + b"\x5a"},
        "xor": {"k": bytes(range(1, 17)), "algorithm": Algorithm.XOR},
        "secret": {"k": bytes(range(1, 17))},
    }
    for number, (name, changes) in enumerate(keys.items()):
        package = parties.numbered(number, **changes)
        terminal = bench.terminal()
        outcomes[name] = pir(
            install(terminal, pki, package, about=metadata(package, profile_class=ProfileClass.TEST, notifications={}))
        )
    assert outcomes.pop("secret") == ("error", (5, 14))
    assert {kind for kind, _ in outcomes.values()} == {"ok"}


def test_icon_and_notification_limits(bench: Bench, pki: Pki) -> None:
    package = parties.operational()
    fields = {part.tag: part.raw for part in tlv.first(metadata(package)).children()}
    for icon_type in (0, 1):
        icon = build(0x93, bytes((icon_type,))) + build(0x94, bytes(1024))
        made = build(0xBF25, fields[0x5A], fields[0x91], fields[0x92], icon, fields[0xB6], fields[0xB7])
        terminal = bench.terminal(f"icon{icon_type}")
        assert pir(install(terminal, pki, package, about=made))[0] == "ok"
        listed = codec.decode("ProfileInfoListResponse", terminal.es10(bytes.fromhex("bf2d00")), accept=())[1]
        assert (listed[1]["iconType"], len(listed[1]["icon"])) == (icon_type, 1024)
        eim = Eim(pki.eim)
        eim.associate(terminal)
        assert "93010" in results(terminal.es10(eim.package(packages.list_profile_info([0x93, 0x9F70]))))[0]
    icon = build(0x94, bytes(1025))
    made = build(0xBF25, fields[0x5A], fields[0x91], fields[0x92], icon)
    assert pir(install(bench.terminal("long"), pki, package, about=made)) == ("error", (2, 1))


@pytest.mark.parametrize("text", ["ppr3:00101", "ppr1", "ppr1:0010", "ppr1:00101:maybe", "ppr1:xx", "anything"])
def test_wrong_tables_are_named(text: str) -> None:
    with pytest.raises(Exception, match="is no rule"):
        rules.table(text)
