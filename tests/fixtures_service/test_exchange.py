"""A file is exchanged whole, with and without the kernel's help."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from fixtures import exchange as module
from fixtures.exchange import exchanged, replace


def test_the_former_version_is_left_at_the_other_name(tmp_path: Path) -> None:
    new, place = tmp_path / "new", tmp_path / "place"
    new.write_text("1")
    replace(new, place)  # nothing to exchange with
    assert place.read_text() == "1"
    assert not new.exists()
    new.write_text("2")
    replace(new, place)
    assert (place.read_text(), new.read_text()) == ("2", "1")


def test_a_file_system_that_cannot_gets_a_plain_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, place = tmp_path / "new", tmp_path / "place"
    new.write_text("2")
    place.write_text("1")
    monkeypatch.setattr(module, "_renameat2", lambda: None)
    assert not exchanged(new, place)
    replace(new, place)
    assert place.read_text() == "2"
    assert not new.exists()


def test_other_errors_are_told_and_change_nothing(tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.write_text("2")
    with pytest.raises(OSError, match="Not a directory") as caught:
        replace(new, new / "place")
    assert caught.value.errno == errno.ENOTDIR
    assert new.read_text() == "2"
