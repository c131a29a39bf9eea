from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import InstrumentError
from fixtures.ipa.memory import DirectDownload, Memory

from .fakes import EID


def test_what_is_kept_is_there_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path, EID)
    memory.acknowledge(4, 9)
    memory.post("eim.test", b"\x01")
    memory.post("eim.test", b"\x01")
    memory.change_state(5)
    again = Memory(tmp_path, EID)
    assert again.acknowledged == [4, 9]
    assert again.outbox == [("eim.test", b"\x01")]
    assert again.state_change == 5
    again.removed(4)
    again.sent("eim.test", b"\x01")
    again.change_state(None)
    last = Memory(tmp_path, EID)
    assert (last.acknowledged, last.outbox, last.state_change) == ([9], [], None)
    assert [path.name for path in tmp_path.iterdir()] == [f"{EID}.json"]


def test_cards_do_not_share_a_memory(tmp_path: Path) -> None:
    Memory(tmp_path, EID).acknowledge(4)
    assert Memory(tmp_path, "0" * 32).acknowledged == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 2}', '{"schema": 1}'])
def test_a_damaged_memory_is_named_and_not_overwritten(content: str, tmp_path: Path) -> None:
    path = tmp_path / f"{EID}.json"
    path.write_text(content)
    with pytest.raises(InstrumentError, match=str(path)):
        Memory(tmp_path, EID)
    assert path.read_text() == content


def test_a_torn_last_line_leaves_what_was_kept_before(tmp_path: Path) -> None:
    memory = Memory(tmp_path, EID)
    memory.acknowledge(4)
    memory.acknowledge(9)
    path = tmp_path / f"{EID}.json"
    whole = path.read_bytes()
    before = whole.index(b"\n") + 1
    for cut in range(before + 1, len(whole)):
        path.write_bytes(whole[:cut])
        again = Memory(tmp_path, EID)
        assert again.acknowledged == [4], "the torn line does not count, not even when it happens to parse"
        again.acknowledge(5)
        assert Memory(tmp_path, EID).acknowledged == [4, 5]
    path.write_bytes(whole)
    assert Memory(tmp_path, EID).acknowledged == [4, 9]


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    memory = Memory(tmp_path, EID)
    for number in range(1000):
        memory.acknowledge(number)
        memory.removed(number)
    assert (tmp_path / f"{EID}.json").stat().st_size <= 1 << 16
    assert Memory(tmp_path, EID).acknowledged == []


def test_a_memory_of_the_first_version_is_read(tmp_path: Path) -> None:
    content = '{"schema": 1, "acknowledged": [7], "outbox": [["eim.test", "bf50"]], "state_change": 5}'
    (tmp_path / f"{EID}.json").write_text(content)
    memory = Memory(tmp_path, EID)
    assert (memory.acknowledged, memory.outbox, memory.state_change) == ([7], [("eim.test", b"\xbf\x50")], 5)
    assert (memory.attempt, memory.told_plmn, memory.ecall, memory.fallback) == (None, "", False, False)
    memory.removed(7)
    assert Memory(tmp_path, EID).acknowledged == []


def test_a_change_is_told_only_when_it_was_done(tmp_path: Path) -> None:
    memory = Memory(tmp_path, EID)
    memory.begin_change(1, "a+,b-")
    assert Memory(tmp_path, EID).attempt == (1, "a+,b-")
    memory.end_change(done=False)
    assert Memory(tmp_path, EID).state_change is None
    memory.begin_change(2, "a+,b-")
    memory.end_change(done=True)
    again = Memory(tmp_path, EID)
    assert (again.attempt, again.state_change) == (None, 2)


def test_direct_downloads_are_kept(tmp_path: Path) -> None:
    memory = Memory(tmp_path, EID)
    note = DirectDownload("0a", "eim.test", "0b", "dp.test")
    memory.begin_direct(note)
    note = memory.change_direct(note, seq=7, told_eim=True)
    again = Memory(tmp_path, EID)
    assert again.direct == [note] == [DirectDownload("0a", "eim.test", "0b", "dp.test", 7, told_eim=True)]
    assert again.direct_of("0a") == note and again.direct_of("0c") is None
    for number in range(40):  # downloads that power was cut in leave notes, and no results
        again.begin_direct(DirectDownload(f"{number:04x}", "eim.test", "", "dp.test"))
    assert len(Memory(tmp_path, EID).direct) == 16
    again.end_direct(again.direct[-1])
    assert len(Memory(tmp_path, EID).direct) == 15


@pytest.mark.parametrize("direct", ["[1]", '[{"session": "0a"}]', '[{"unknown": 1}]', "7"])
def test_a_damaged_note_of_a_direct_download_is_named(direct: str, tmp_path: Path) -> None:
    content = f'{{"schema": 1, "acknowledged": [], "outbox": [], "state_change": null, "direct": {direct}}}'
    (tmp_path / f"{EID}.json").write_text(content)
    with pytest.raises(InstrumentError, match="memory cannot be read"):
        Memory(tmp_path, EID)
