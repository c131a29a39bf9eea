from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import InstrumentError
from fixtures.ipa.memory import Memory

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
