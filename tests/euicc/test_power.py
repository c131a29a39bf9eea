"""Power cuts between any two APDUs, damaged and foreign state, and a full disk."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.rsp import packages, tlv
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.profiles import metadata
from fixtures.sim.euicc import CardStateError, EuiccOptions
from fixtures.sim.euicc.state import Store

from . import parties
from .parties import BOOT_ICCID, OPER_ICCID, Bench, Eim, PowerCut, Refused, Smdpp, Terminal, install, pir, results

Step = Callable[[Terminal, Eim, Pki], None]


def download(terminal: Terminal, _: Eim, pki: Pki) -> None:
    terminal.open_isd_r()
    listed = tlv.first(terminal.es10(bytes.fromhex("bf2d035c015a"))).children()[0]
    if len(listed.children()) == 1:
        assert pir(install(terminal, pki))[0] == "ok"


def switch(terminal: Terminal, eim: Eim, _: Pki) -> None:
    terminal.open_isd_r()
    code = results(terminal.es10(eim.package(packages.enable(OPER_ICCID, True))))
    assert code in (["830100"], ["830102"]), code
    if code == ["830100"]:
        refresh(terminal)
    assert terminal.iccid() == OPER_ICCID


def refresh(terminal: Terminal) -> None:
    if terminal.card.state().proactive:
        terminal.ok("801200000b")
        terminal.ok("801400000c810301010402028281830100")
    terminal.card.reset()
    terminal.ok("00a40004023f00")


def back(terminal: Terminal, eim: Eim, _: Pki) -> None:
    terminal.open_isd_r()
    answer = tlv.first(terminal.es10(bytes.fromhex("bf58038001ff")))
    code = answer.children()[0].value[0]
    if code == 0:
        refresh(terminal)
        terminal.open_isd_r()
    elif terminal.iccid() != BOOT_ICCID:
        assert results(terminal.es10(eim.package(packages.enable(BOOT_ICCID)))) == ["830100"]
        refresh(terminal)
    assert terminal.iccid() == BOOT_ICCID


def clean(terminal: Terminal, eim: Eim, _: Pki) -> None:
    """Deliver everything and delete the operational profile: the state at the start."""
    terminal.open_isd_r()
    code = results(terminal.es10(eim.package(packages.delete(OPER_ICCID))))
    assert code in (["850100"], ["850101"])
    for view in terminal.card.state().notifications:
        terminal.es10(build(0xBF30, build(0x80, view.seq.to_bytes(view.seq.bit_length() // 8 + 1, "big"))))


STEPS: dict[str, Step] = {"download": download, "switch": switch, "back": back, "clean": clean}


def consistent(terminal: Terminal, seen: set[int]) -> None:
    """What holds at every moment: one profile at most is enabled, its files are in force, results tell the story."""
    view = terminal.card.state()
    assert not view.loading
    assert not view.switch_pending
    assert terminal.card.faults == 0
    iccids = [profile.iccid for profile in view.profiles]
    assert iccids in ([BOOT_ICCID], [BOOT_ICCID, OPER_ICCID])
    assert sum(profile.enabled for profile in view.profiles) == 1
    assert view.enabled is not None
    assert terminal.iccid() == view.enabled.iccid
    assert terminal.imsi() == view.enabled.imsi
    sequence = [n.seq for n in view.notifications]
    assert sequence == sorted(set(sequence))
    assert not sequence or sequence[-1] <= view.sequence
    seen.update(sequence)


@pytest.mark.parametrize("refresh_option", ["fetch", "locked"])
@pytest.mark.parametrize("name", ["download", "switch", "back", "clean"])
def test_a_cut_between_any_two_apdus(bench: Bench, pki: Pki, name: str, refresh_option: str) -> None:
    """Cut after APDU 0, 1, 2, ... of each phase; the same phases then pass on the same card."""
    bench.options = EuiccOptions(refresh=refresh_option)  # type: ignore[arg-type]
    eim = Eim(pki.eim)
    card = bench.card()
    card.power_on()
    terminal = Terminal(card)
    terminal.open_isd_r()
    eim.associate(terminal)
    cuts = 0
    interrupted = 0
    seen: set[int] = set()
    while True:
        for phase, step in STEPS.items():
            card.power_off()
            card.power_on()
            terminal = Terminal(card)
            if phase == name:
                terminal.cut_after = cuts
                break
            step(terminal, eim, pki)
        try:
            STEPS[name](terminal, eim, pki)
        except PowerCut:
            pass
        else:
            break
        # another process opens what was kept
        card = bench.card()
        card.power_on()
        terminal = Terminal(card)
        consistent(terminal, seen)
        interrupted += sum(
            pir(bytes.fromhex(entry.raw)) == ("error", (command, 11))
            for entry in card._core.state.pending
            if entry.kind == "pir"
            for command in (1, 2, 5)
        )
        for step in STEPS.values():
            card.power_off()
            card.power_on()
            step(Terminal(card), eim, pki)
        consistent(Terminal(card), seen)
        assert card.state().notifications == ()
        cuts += 1
    assert cuts > {"download": 25, "switch": 5, "back": 5, "clean": 5}[name]
    if name == "download":
        assert interrupted >= 5  # the cuts within the bound profile package


def test_a_switch_that_nobody_is_notified_of_is_kept_as_well(bench: Bench, pki: Pki) -> None:
    terminal = bench.terminal()
    install(terminal, pki, about=metadata(parties.operational(), notifications={}))
    eim = Eim(pki.eim)
    eim.associate(terminal)
    path = bench.home / "card" / "card.json"
    kept = json.loads(path.read_text())
    kept["profiles"][0]["metadata"] = metadata(parties.bootstrap(), notifications={}).hex()
    terminal.card.power_off()
    path.write_text(json.dumps(kept))
    terminal = bench.terminal()
    terminal.es10(eim.package(packages.enable(OPER_ICCID)))
    terminal.card.reset()
    assert terminal.iccid() == OPER_ICCID
    assert json.loads(path.read_text())["switch"] is None
    assert [profile["enabled"] for profile in json.loads(path.read_text())["profiles"]] == [False, True]


def test_a_cut_before_the_response_is_read_loses_only_the_response(bench: Bench, pki: Pki) -> None:
    terminal = bench.terminal()
    install(terminal, pki)
    eim = Eim(pki.eim)
    eim.associate(terminal)
    request = eim.package(packages.enable(OPER_ICCID))
    blocks = [request[i : i + 255] for i in range(0, len(request), 255)]
    assert len(blocks) == 1
    answer = terminal.raw(bytes((0x81, 0xE2, 0x91, 0, len(request))) + request)
    assert answer[0] == 0x61
    terminal.card.power_off()
    again = bench.terminal()
    assert again.iccid() == OPER_ICCID
    assert again.es10(bytes.fromhex("bf2b04a0028200")) != bytes.fromhex("bf2b02a200")


def test_state_is_private_small_and_written_only_when_changed(bench: Bench, pki: Pki) -> None:
    terminal = bench.terminal()
    path = bench.home / "card" / "card.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat().st_mtime_ns, path.stat().st_ino
    terminal.es10(bytes.fromhex("bf2200"))
    terminal.es10(bytes.fromhex("bf2e00"))
    assert terminal.imsi()
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    install(terminal, pki)
    assert path.stat().st_ino != before[1] or path.stat().st_mtime_ns != before[0]
    assert path.stat().st_size < 12_000
    names = sorted(entry.name for entry in path.parent.iterdir())
    assert names == [".card.json.new", "card.json"]
    assert all(stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600 for name in names)


def test_state_that_cannot_be_kept_is_answered_and_nothing_changes(
    bench: Bench, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = bench.terminal()
    eim = Eim(pki.eim)

    def full(self: Store, state: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(Store, "write", full)
        with pytest.raises(Refused, match="6581"):
            eim.associate(terminal)
        assert terminal.card.state().eims == ()
    assert eim.associate(terminal)
    assert len(terminal.card.state().eims) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema": 99}', '{"schema": 1}', "\xff"])
def test_damaged_state_is_named(bench: Bench, damage: str) -> None:
    bench.card()
    path = bench.home / "card" / "card.json"
    path.write_bytes(damage.encode("latin-1"))
    with pytest.raises(CardStateError, match=r"card\.json"):
        bench.card()


def test_state_kept_before_there_were_crls_and_emergency_profiles_is_read(bench: Bench, pki: Pki) -> None:
    terminal = bench.terminal()
    install(terminal, pki)
    path = bench.home / "card" / "card.json"
    kept = json.loads(path.read_text())
    for name in ("crls", "emergency_left", "before_test"):
        del kept[name]
    for profile in kept["profiles"]:
        del profile["preloaded"], profile["ci"]
    for entry in kept["pending"]:
        del entry["ci"]
    path.write_text(json.dumps(kept))
    again = bench.terminal()
    assert [profile.iccid for profile in again.card.state().profiles] == [BOOT_ICCID, OPER_ICCID]
    assert len(tlv.first(again.es10(bytes.fromhex("bf2b00"))).children()[0].children()) == 2


def test_card_of_another_eid_is_refused(bench: Bench) -> None:
    bench.card()
    bench.eid = "89049032123451234512345678901236"
    with pytest.raises(CardStateError, match="has EID 89049032123451234512345678901235"):
        bench.card()


def test_a_temporary_file_left_by_a_kill_does_no_harm(bench: Bench, pki: Pki) -> None:
    terminal = bench.terminal()
    left = bench.home / "card" / ".card.json.new"
    left.write_text('{"schema": 1, "half')
    Eim(pki.eim).associate(terminal)
    json.loads((bench.home / "card" / "card.json").read_text())
    assert len(bench.terminal().card.state().eims) == 1


def test_kept_state_has_no_private_key_of_the_card(bench: Bench) -> None:
    bench.card()
    values = json.loads((bench.home / "card" / "card.json").read_text())
    assert "key" not in json.dumps([name for name in values if name not in ("eims",)])


def test_fsync_option_commits_as_well(bench: Bench, pki: Pki) -> None:
    bench.options = EuiccOptions(fsync=True)
    terminal = bench.terminal()
    Eim(pki.eim).associate(terminal)
    assert len(bench.terminal().card.state().eims) == 1


def test_whole_provisioning_is_cheap(bench: Bench, pki: Pki) -> None:
    """Card side of authenticate, download and enable: far below 30 ms of CPU (median of five)."""
    import time

    spent = []
    for number in range(5):
        card = bench.card(f"card{number}")
        card.power_on()
        terminal = Terminal(card)
        terminal.open_isd_r()
        eim = Eim(pki.eim)
        eim.associate(terminal)
        transmit = card.transmit
        total = 0.0

        def timed(command: bytes, transmit: Callable[[bytes], bytes] = transmit) -> bytes:
            nonlocal total
            begin = time.thread_time()
            answer = transmit(command)
            total += time.thread_time() - begin
            return answer

        card.transmit = timed  # type: ignore[method-assign]
        smdpp = Smdpp(pki)
        answer = parties.prepared(terminal, smdpp)
        assert pir(parties.load(terminal, smdpp.bind(answer, parties.operational())))[0] == "ok"
        terminal.es10(eim.package(packages.enable(OPER_ICCID)))
        spent.append(total)
    assert sorted(spent)[2] < 0.030


def test_hot_card_answers_quickly(bench: Bench) -> None:
    import time

    terminal = bench.terminal()
    terminal.select_usim()
    begin = time.thread_time()
    for _ in range(1000):
        terminal.card.transmit(b"\x00\xb0\x87\x00\x09")
    assert time.thread_time() - begin < 0.5


def test_two_cards_in_one_home_are_apart(bench: Bench, pki: Pki) -> None:
    one, two = bench.terminal("one"), bench.terminal("two")
    install(one, pki)
    assert len(two.card.state().profiles) == 1
    assert os.path.commonpath([bench.home / "one", bench.home / "two"]) == str(Path(bench.home))
