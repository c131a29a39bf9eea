"""Every wire form of a command that the field sends is taken, and refused by a card of a stricter reading."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.rsp import codec, forms, packages, tlv
from bench.rsp.forms import Form
from bench.rsp.interpretation import DEFAULT, Interpretation
from fixtures.sim.euicc import EuiccOptions

from . import parties

COMMANDS = {
    Form.FILTER_WITHOUT_A0: ("bf2b05a003800107", "bf2b03800107", "bf2b02a000"),
    Form.UNIVERSAL_REFRESH_FLAG: ("bf58038001ff", "bf58030101ff", "bf5803020101"),
    Form.UNIVERSAL_CI_KEY_ID: ("bf56048002aabb", "bf56040402aabb", "bf5603810101"),
    Form.BITS_WITHOUT_COUNT: ("bf280481020410", "bf2803810108", "bf2802a000"),
}


@pytest.mark.parametrize("form", COMMANDS, ids=lambda form: form.name)
def test_a_form_of_a_command(form: Form, bench: parties.Bench) -> None:
    standard, other, answer = COMMANDS[form]
    assert forms.deviate(bytes.fromhex(standard), form).hex() == other
    terminal = bench.terminal()
    assert terminal.es10(bytes.fromhex(standard)).hex() == answer
    assert terminal.es10(bytes.fromhex(other)).hex() == answer


def strict(bench: parties.Bench) -> parties.Terminal:
    bench.options = EuiccOptions(interpretation=replace(DEFAULT, accept=frozenset()))
    return bench.terminal("strict")


@pytest.mark.parametrize("form", [Form.UNIVERSAL_REFRESH_FLAG, Form.BITS_WITHOUT_COUNT], ids=lambda form: form.name)
def test_a_strict_card_refuses(form: Form, bench: parties.Bench) -> None:
    with pytest.raises(parties.Refused, match="6A80"):
        strict(bench).es10(bytes.fromhex(COMMANDS[form][1]))


def test_a_strict_card_does_not_see_what_has_another_tag(bench: parties.Bench) -> None:
    """As silicon does: the field is unknown and skipped, so that all is answered instead of what was asked for."""
    terminal = strict(bench)
    assert terminal.es10(bytes.fromhex(COMMANDS[Form.UNIVERSAL_CI_KEY_ID][1])) == terminal.es10(b"\xbf\x56\x00")
    parties.install(terminal, bench.pki)
    all_of_them = terminal.es10(b"\xbf\x2b\x00")
    assert len(all_of_them) > 100
    assert terminal.es10(bytes.fromhex(COMMANDS[Form.FILTER_WITHOUT_A0][1])) == all_of_them
    assert terminal.es10(bytes.fromhex(COMMANDS[Form.FILTER_WITHOUT_A0][0])).hex() == "bf2b02a000"


@pytest.mark.parametrize("form", [Form.NESTED_PUBLIC_KEY, Form.BARE_PUBLIC_KEY], ids=lambda form: form.name)
@pytest.mark.parametrize("certificate", [False, True])
def test_a_public_key_in_another_form(form: Form, certificate: bool, bench: parties.Bench) -> None:
    eim = parties.Eim(bench.pki.eim)
    command = parties.build(0xBF57, parties.build(0xA0, eim.configuration(certificate=certificate)))
    assert strict(bench).es10(forms.deviate(command, form)).hex() == "bf5703810107"
    bench.options = EuiccOptions()
    terminal = bench.terminal()
    assert terminal.es10(forms.deviate(command, form)).hex() == "bf5704a0020500"
    # What it was told in the other form it tells in the standard's, and packages under that key are believed.
    told = terminal.es10(bytes.fromhex("bf5500"))
    assert forms.deviate(told, form) != told
    results = parties.results(terminal.es10(eim.package(packages.get_rat())))
    assert results[0].startswith("a6")


def test_a_rollback_flag_in_another_form(bench: parties.Bench) -> None:
    eim = parties.Eim(bench.pki.eim)
    terminal = bench.terminal()
    eim.associate(terminal)
    parties.install(terminal, bench.pki)
    enable = packages.enable(parties.OPER_ICCID, rollback=True)
    other = forms.deviate(enable, Form.CONTEXT_ROLLBACK_FLAG)
    assert other[-2:] == b"\x81\x00"
    assert parties.results(terminal.es10(eim.package(other))) == ["830100"]
    terminal.card.reset()
    terminal.open_isd_r()
    assert terminal.es10(bytes.fromhex("bf58038001ff")).hex().startswith("bf58")


EMITTED = {
    Form.NESTED_PROFILE_LIST: ("bf2d00", "bf2d"),
    Form.PROFILE_LIST_ERROR_INTEGER: ("bf2d05a003950109", "bf2d"),
    Form.NESTED_CERTIFICATE: ("bf5600", "bf56"),
    Form.CONTEXT_ROLLBACK_RESULT: ("bf58038001ff", "bf5803800101"),
    Form.BITS_WITHOUT_COUNT: ("bf2800", "bf28"),
}


@pytest.mark.parametrize("form", EMITTED, ids=lambda form: form.name)
def test_an_answer_in_another_form(form: Form, bench: parties.Bench) -> None:
    command, start = EMITTED[form]
    plain = bench.terminal().es10(bytes.fromhex(command))
    bench.options = EuiccOptions(interpretation=replace(DEFAULT, emit=frozenset({form})))
    other = bench.terminal().es10(bytes.fromhex(command))
    assert other == forms.deviate(plain, form)
    assert other.hex().startswith(start)


@pytest.mark.parametrize("reading", ["sgp32", "sgp22"])
def test_info_in_signed_data(reading: str, bench: parties.Bench) -> None:
    """signed_info2: relays of v1.0 that encode again lose what SGP.22 does not have, and the signature with it."""
    bench.options = EuiccOptions(interpretation=Interpretation.read({"signed_info2": reading}))
    terminal = bench.terminal()
    info = tlv.first(parties.authenticate(terminal, parties.Smdpp(bench.pki))).find(0xA0, 0x30, 0xBF22)
    assert info is not None
    assert {0x90, 0xB4} <= {part.tag for part in info.children()} or reading == "sgp22"
    assert not {0x90, 0xB4} & {part.tag for part in info.children()} or reading == "sgp32"
    codec.decode("EUICCInfo2", info.raw, module=codec.SGP32 if reading == "sgp32" else codec.SGP22, accept=())


def test_longest_segment(bench: parties.Bench) -> None:
    bench.options = EuiccOptions(interpretation=Interpretation.read({"longest_segment": 200}))
    assert parties.pir(parties.install(bench.terminal("short"), bench.pki)) == ("error", (5, 7))  # scp03tStructureError
    bench.options = EuiccOptions(interpretation=Interpretation.read({"longest_segment": 1020}))
    assert parties.pir(parties.install(bench.terminal(), bench.pki))[0] == "ok"
