"""Random ES10 functions, valid and broken, in any order: a rejected command changes nothing, and invariants hold."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bench.rsp import download, ids, packages, tlv
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.profiles import metadata
from fixtures.sim.euicc.core import Core
from fixtures.sim.euicc.state import State

from . import parties
from .parties import BOOT_ICCID, Bench, Eim, Refused, Smdpp, Terminal
from .test_es10c import POLL

PACKAGES = [parties.operational(), *(parties.numbered(number) for number in range(1, 5))]
ICCIDS = [BOOT_ICCID, *map(parties.iccid_of, PACKAGES), "8900101000000000035"]
READING = {
    *(0xBF20, 0xBF22, 0xBF28, 0xBF2B, 0xBF2D, 0xBF3C, 0xBF3E, 0xBF43, 0xBF55, 0xBF56, 0xBF5F, 0xBF38, 0xBF21, 0xBF42)
}
"""Functions that keep nothing, whatever they answer."""
RESULT = {
    *(0xBF29, 0xBF30, 0xBF31, 0xBF32, 0xBF33, 0xBF34, 0xBF3F, 0xBF59, 0xBF5A, 0xBF5B, 0xBF5C, 0xBF5D, 0xBF5E),
    *(0xBF64, 0xBF65),
}
"""Functions that say with 80 whether they have done something."""

REFRESHING = (*range(0xBF5A, 0xBF5F), 0xBF58)
iccids = st.sampled_from(ICCIDS)
flags = st.sampled_from((b"\x00", b"\xff"))


def _psmos() -> st.SearchStrategy[list[bytes]]:
    one = st.one_of(
        st.builds(packages.enable, iccids, st.booleans()),
        st.builds(packages.disable, iccids),
        st.builds(packages.delete, iccids),
        st.builds(packages.set_fallback_attribute, iccids),
        st.sampled_from(
            (
                packages.unset_fallback_attribute(),
                packages.list_profile_info(),
                packages.get_rat(),
                packages.configure_immediate_enable(flag=True),
                packages.configure_immediate_enable(flag=False),
                packages.set_default_dp_address("dp.example"),
                b"\xa3\x00",
                b"\xbf\x66\x00",
            )
        ),
    )
    return st.lists(one, min_size=1, max_size=3)


SIMPLE = st.one_of(
    st.sampled_from([bytes.fromhex(text) for text in ("bf2000", "bf2200", "bf2800", "bf2b00", "bf2d00", "bf4300")]),
    st.sampled_from([bytes.fromhex(text) for text in ("bf5500", "bf5600", "bf5f00", "bf3c00", "bf2b04a0028200")]),
    st.sampled_from([bytes.fromhex(text) for text in ("bf59028000", "bf5900", "bf2e00", "bf3500", "bf5702a000")]),
    st.builds(
        lambda tag, flag: build(tag, build(0x80, flag)), st.sampled_from((*range(0xBF5A, 0xBF5F), 0xBF58)), flags
    ),
    st.builds(
        lambda tag, iccid, flag: build(tag, build(0xA0, build(0x5A, ids.iccid_bytes(iccid))), build(0x81, flag)),
        st.sampled_from((0xBF31, 0xBF32)),
        iccids,
        flags,
    ),
    st.builds(lambda iccid: build(0xBF33, build(0x5A, ids.iccid_bytes(iccid))), iccids),
    st.builds(
        lambda iccid, name: build(0xBF29, build(0x5A, ids.iccid_bytes(iccid)), build(0x90, name)),
        iccids,
        st.sampled_from((b"", b"lab", b"x" * 64, b"x" * 65, b"\xff")),
    ),
    st.builds(lambda seq: build(0xBF30, build(0x80, bytes((seq,)))), st.integers(0, 40)),
    st.builds(
        lambda tag, name: build(tag, build(0x80, name)),
        st.sampled_from((0xBF3F, 0xBF65)),
        st.sampled_from((b"", b"dp.example", b"\xff")),
    ),
    st.builds(
        lambda tag, bits: build(tag, build(0x82, bytes((1, bits & 0xFE)))),
        st.sampled_from((0xBF34, 0xBF64)),
        st.sampled_from((0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0xA0, 0xFE)),
    ),
    st.builds(lambda reason: build(0xBF41, build(0x80, b"\x01"), build(0x81, bytes((reason,)))), st.integers(0, 5)),
)


class Card(RuleBasedStateMachine):
    """One card, in the mode of the subclass."""

    mode = "iot"
    home: Path
    pki: Pki

    @initialize(
        refresh=st.sampled_from(("fetch", "locked")),
        memory=st.sampled_from((512 * 1024, 20_000)),
        start=st.sampled_from(("in use", "associated", "new")),
    )
    def deliver(self, refresh: str, memory: int, start: str) -> None:
        self.bench = Bench(Path(tempfile.mkdtemp(dir=self.home)), self.pki)
        self.bench.preload("emergency", PACKAGES[4])
        self.bench.preload("fallback", PACKAGES[3])
        self.terminal = self.bench.with_options(mode=self.mode, refresh=refresh, memory=memory)
        self.eims = [Eim(self.pki.eim), Eim(self.other, "other.example")]
        self.sequence = 0
        self.tokens = 0
        self.seen: dict[int, str] = {}
        self.kept = ""
        if start != "new" and self.mode == "iot":
            self.associate(0, start == "in use")
        if start == "in use":
            parties.install(self.terminal, self.pki, PACKAGES[0])

    other: Any

    @property
    def core(self) -> Core:
        return self.terminal.card._core

    # --- commands ---------------------------------------------------------------------------------

    def send(self, data: bytes) -> bytes | None:
        """The answer of the function, None for an error status; whatever is refused has changed nothing."""
        before = self.terminal.dump()
        if not self.terminal.channel:
            self.terminal.open_isd_r()
        try:
            answer = self.terminal.es10(data)
        except Refused:
            assert self.terminal.dump() == before
            return None
        if self._rejected(data, answer):
            assert self.terminal.dump() == before, (data.hex(), answer.hex())
        return answer

    @staticmethod
    def _rejected(data: bytes, answer: bytes) -> bool:
        tag = int.from_bytes(data[:2], "big")
        if tag in READING:
            return True
        if not answer or answer[:2] != data[:2]:
            return False
        members = tlv.first(answer).children()
        if tag in RESULT:
            return any(part.tag == 0x80 and part.value != b"\x00" for part in members) and len(members) == 1
        if tag == 0xBF51:
            return members[0].tag != 0xA0
        if tag == 0xBF58:
            return members[0].value != b"\x00"
        return bool(members) and members[0].tag == 0x81

    @rule(data=SIMPLE)
    def function(self, data: bytes) -> None:
        if data[:2] == b"\xbf\x2e" and self.core.state.loading is not None:
            return  # ends a download, which leaves a result
        self.send(data)

    @rule(data=SIMPLE, place=st.integers(0, 999), mask=st.integers(1, 255))
    def broken_function(self, data: bytes, place: int, mask: int) -> None:
        changed = bytearray(data)
        changed[place * len(changed) // 1000] ^= mask
        if changed[:2] != b"\xbf\x2e":
            self.send(bytes(changed))

    @rule(data=st.one_of(st.binary(min_size=1, max_size=30), SIMPLE.map(lambda data: data + b"\x00")))
    def junk(self, data: bytes) -> None:
        self.send(data)

    @precondition(lambda self: self.mode == "iot")
    @rule(which=st.integers(0, 1), token=st.booleans())
    def associate(self, which: int, token: bool) -> None:
        eim = self.eims[which]
        answer = self.send(build(0xBF57, build(0xA0, eim.configuration(token=token))))
        if answer is not None and answer[3:4] == b"\xa0":
            eim.token = self.core.state.eims[0].token
            eim.counter = 0

    @precondition(lambda self: self.mode == "iot")
    @rule(
        commands=_psmos(), which=st.integers(0, 1), wrong=st.sampled_from(("", "", "", "key", "eid", "replay", "high"))
    )
    def package(self, commands: list[bytes], which: int, wrong: str) -> None:
        eim = self.eims[which]
        kept = next((each for each in self.core.state.eims if each.eim_id == eim.eim_id), None)
        counter = kept.counter if kept else 5
        before = json.loads(self.terminal.dump())
        signer = Eim(self.pki.dp_pb, eim.eim_id, eim.token) if wrong == "key" else eim
        raw = signer.package(
            *commands,
            counter={"replay": counter, "high": 0x800000}.get(wrong, counter + 1),
            eid="89049032000000000000000000000000" if wrong == "eid" else parties.EID,
        )
        answer = self.send(raw)
        if answer is None:
            return
        form = tlv.first(answer).children()[0].tag
        if kept is None or wrong in ("key", "eid", "replay", "high"):
            assert form in (0xA1, 0xA2)
        elif form == 0xA0:
            after = json.loads(self.terminal.dump())
            assert after["sequence"] > before["sequence"]
            assert next(each.counter for each in self.core.state.eims if each.eim_id == eim.eim_id) == counter + 1
            codes = parties.results(answer)
            if all(code[:2] != "bf" and code[-2:] != "00" for code in codes):
                for name in ("profiles", "switch", "immediate", "default_dp_address", "left_profile"):
                    assert after[name] == before[name], (codes, name)

    @precondition(lambda self: self.mode == "iot" and self.core.state.eims)
    @rule(kind=st.sampled_from(("add", "update", "lower", "delete", "list", "self")))
    def configuration(self, kind: str) -> None:
        kept = self.core.state.eims[0]
        eim = next(eim for eim in self.eims if eim.eim_id == kept.eim_id)
        other = next(each for each in self.eims if each is not eim)
        name = build(0x80, other.eim_id.encode())
        ecos: dict[str, Callable[[], bytes]] = {
            "add": lambda: packages.add_eim(other.configuration(token=True)),
            "update": lambda: packages.update_eim(build(0x30, name, build(0x81, b"n.example"))),
            "lower": lambda: packages.update_eim(build(0x30, name, build(0x83, b"\x00"))),
            "delete": lambda: packages.delete_eim(other.eim_id),
            "list": packages.list_eim,
            "self": lambda: packages.delete_eim(eim.eim_id),
        }
        answer = self.send(eim.package(ecos=[ecos[kind]()], counter=kept.counter + 1))
        added = next((each for each in self.core.state.eims if each.eim_id == other.eim_id), None)
        if answer is not None and kind == "add" and added is not None:
            other.token = added.token

    @rule(number=st.integers(0, 3), damage=st.sampled_from((None, None, 0, 1, 2, 4)), immediate=st.booleans())
    def load(self, number: int, damage: int | None, immediate: bool) -> None:
        smdpp = Smdpp(self.pki)
        challenge = self.send(bytes.fromhex("bf2e00"))
        if challenge is None:
            return  # locked
        answer = self.send(smdpp.initiate(challenge[5:]))
        assert answer is not None
        answer = self.send(smdpp.authenticated(answer))
        assert answer is not None
        package = PACKAGES[number]
        units = download.segment_bpp(smdpp.bind(answer, package, about=metadata(package, fallback_allowed=True)))
        if damage is not None:
            units[damage] = units[damage][:-1] + bytes((units[damage][-1] ^ 1,))
        before = self.terminal.card.state()
        result = parties.load_units(self.terminal, units)
        after = self.terminal.card.state()
        if damage is not None or parties.pir(result)[0] == "error":
            assert parties.pir(result)[0] == "error"
            assert after.profiles == before.profiles
            assert after.free_memory == before.free_memory
            assert after.sequence == before.sequence + 1
        else:
            assert len(after.profiles) == len(before.profiles) + 1
            assert after.free_memory < before.free_memory
        if immediate:
            self.send(bytes.fromhex("bf5a038001ff"))

    @rule(stop=st.integers(1, 4))
    def half_a_download(self, stop: int) -> None:
        smdpp = Smdpp(self.pki)
        try:
            answer = parties.prepared(self.terminal, smdpp)
            parties.load_units(self.terminal, download.segment_bpp(smdpp.bind(answer, PACKAGES[0]))[:stop])
        except Refused:
            return
        self.terminal.card.reset()
        self.terminal.channel = 0

    # --- device -----------------------------------------------------------------------------------

    @rule()
    def refresh(self) -> None:
        if self.terminal.card.state().proactive:
            command = self.core.proactive
            assert command is not None
            self.terminal.ok(bytes((0x80, 0x12, 0, 0, len(command))))
            self.terminal.ok("801400000c810301010402028281830100")

    @rule()
    def session(self) -> None:
        self.terminal.card.request(POLL)

    @rule(how=st.sampled_from(("reset", "power", "reopen")))
    def restart(self, how: str) -> None:
        card = self.terminal.card
        if how == "reset":
            card.reset()
        else:
            card.power_off()
            if how == "reopen":
                assert card.faults == 0
                self.terminal = Terminal(self.bench.card())
            self.terminal.card.power_on()
        self.terminal.channel = 0
        view = self.terminal.card.state()
        assert not view.switch_pending
        assert not view.loading

    # --- what always holds ------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        state = self.core.state
        assert self.terminal.card.faults == 0
        kept = (self.bench.home / "card" / "card.json").read_text()
        if kept != self.kept:
            assert kept == state.dump()
            assert State.load(kept).dump() == kept
        self.kept = kept
        profiles = state.profiles
        assert sum(profile.enabled for profile in profiles) <= 1
        assert sum(profile.fallback for profile in profiles) <= 1
        assert (
            len({profile.iccid for profile in profiles}) == len({profile.aid for profile in profiles}) == len(profiles)
        )
        aids = {None, *(profile.aid for profile in profiles)}
        assert {state.left_profile, state.emergency_left, state.before_test} <= aids
        assert state.rollback is None or (state.rollback.profile in aids and state.eim(state.rollback.eim_id))
        assert state.switch is None or state.switch.enable in aids
        numbers = [entry.seq for entry in state.pending]
        assert numbers == sorted(set(numbers))
        assert all(number <= state.sequence for number in numbers)
        assert state.sequence >= self.sequence
        assert all(self.seen.setdefault(entry.seq, entry.raw) == entry.raw for entry in state.pending)
        assert len({eim.eim_id for eim in state.eims}) == len(state.eims)
        assert self.tokens <= state.tokens
        assert all(eim.token is None or 1 <= eim.token <= state.tokens for eim in state.eims)
        assert all(0 <= eim.counter <= 0x7FFFFF for eim in state.eims)
        assert self.core.free_memory >= 0
        self.sequence, self.tokens = state.sequence, state.tokens
        if self.mode == "consumer":
            assert not state.eims
            assert not any(entry.kind == "epr" for entry in state.pending)


@pytest.mark.parametrize("mode", ["iot", "consumer"])
def test_machine(tmp_path: Path, pki: Pki, mode: str) -> None:
    machine = type("Machine", (Card,), {"mode": mode, "home": tmp_path, "pki": pki, "other": pki.issue("eim")})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40 if mode == "iot" else 15,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_what_counts_as_rejected() -> None:
    rejected = Card._rejected
    assert rejected(bytes.fromhex("bf2900"), bytes.fromhex("bf2903800101"))
    assert not rejected(bytes.fromhex("bf2900"), bytes.fromhex("bf2903800100"))
    assert rejected(bytes.fromhex("bf5700"), bytes.fromhex("bf5703810102"))
    assert not rejected(bytes.fromhex("bf5700"), bytes.fromhex("bf5704a0020500"))
    assert not rejected(bytes.fromhex("bf6400"), bytes.fromhex("bf6406800101810100"))  # something was reset
    assert rejected(bytes.fromhex("bf5100"), bytes.fromhex("bf5104a2028000"))
