"""vpcd's protocol from the card's side: framing, power, presence; the repaired library; reader.conf."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pcsc_bench import ATR, ScriptedCard
from pcsc_installed import need_pcsc

from bench.errors import ConfigurationError, InstrumentError
from fixtures.sim import pcsc, pcsc_daemon
from fixtures.sim.pcsc_daemon import configuration, reconnecting
from fixtures.sim.pcsc_vpcd import Frames, VirtualSlot, frame


@given(st.lists(st.binary(max_size=300), max_size=8), st.data())
def test_messages_survive_however_the_stream_is_cut(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frame(message) for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    frames, got = Frames(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += frames.feed(stream[start:end])
    assert got == messages


def test_a_message_has_its_length_in_front() -> None:
    assert frame(b"\x04") == bytes.fromhex("000104")
    assert frame(b"") == b"\x00\x00"
    assert frame(bytes(0xFFFF))[:2] == b"\xff\xff"
    with pytest.raises(ValueError, match="65536 bytes"):
        frame(bytes(0x10000))


def on_a_slot(test: Callable[[VirtualSlot, ScriptedCard, socket.socket], Any]) -> None:
    """Run a test in a thread that plays vpcd, against a slot with a card."""

    async def body() -> None:
        made, _ = pcsc._take(1, lambda what, **fields: None)
        slot, card = made[0], ScriptedCard()
        slot.insert(card)

        def as_vpcd() -> None:
            with socket.create_connection((slot.address, slot.port), 5.0) as line:
                test(slot, card, line)

        try:
            async with asyncio.timeout(10.0):
                await asyncio.to_thread(as_vpcd)
        finally:
            slot.close()

    asyncio.run(body())


def exchange(line: socket.socket, payload: bytes) -> bytes:
    line.sendall(frame(payload))
    return answer(line)


def answer(line: socket.socket) -> bytes:
    data = b""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
        chunk = line.recv(65536)
        if not chunk:
            raise EOFError
        data += chunk
    return data[2:]


def test_power_controls_reach_the_card_and_have_no_answer() -> None:
    def test(slot: VirtualSlot, card: ScriptedCard, line: socket.socket) -> None:
        assert card.powers == ["on", "off"]  # activated once for its ATR
        assert exchange(line, b"\x04") == ATR
        line.sendall(frame(b"\x01"))
        assert exchange(line, b"\x04") == ATR
        assert card.powers == ["on", "off", "on"]
        assert exchange(line, bytes.fromhex("80CA000000")) == b"\x90\x00"
        line.sendall(frame(b"\x02"))
        assert exchange(line, b"\x04") == ATR
        assert card.powers[3:] == ["on"]
        line.sendall(frame(b"\x00"))
        assert exchange(line, b"\x04") == ATR
        assert card.powers[4:] == ["off"]

    on_a_slot(test)


def test_messages_that_are_no_apdus_are_answered_and_the_line_lives() -> None:
    def test(slot: VirtualSlot, card: ScriptedCard, line: socket.socket) -> None:
        line.sendall(frame(b"\x01"))
        for bad in (b"", b"\x00\xa4", b"\x00\xa4\x04", b"\x07", b"\xff"):
            assert exchange(line, bad) == b"\x67\x00"
        assert card.commands == []
        assert exchange(line, bytes.fromhex("80CA000000")) == b"\x90\x00"

    on_a_slot(test)


def test_length_and_bytes_apart_and_several_at_once() -> None:
    def test(slot: VirtualSlot, card: ScriptedCard, line: socket.socket) -> None:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(b"\x01") + frame(bytes.fromhex("80CA000000")):
            line.sendall(bytes((byte,)))
        assert answer(line) == b"\x90\x00"
        line.sendall(frame(b"\x04") + frame(bytes.fromhex("80CA000000")))
        data = b""
        while len(data) < 2 + len(ATR) + 4:
            data += line.recv(65536)
        assert data == frame(ATR) + frame(b"\x90\x00")

    on_a_slot(test)


def test_an_unpowered_card_and_an_empty_slot_end_the_line() -> None:
    def unpowered(slot: VirtualSlot, card: ScriptedCard, line: socket.socket) -> None:
        with pytest.raises(EOFError):
            exchange(line, bytes.fromhex("80CA000000"))
        assert card.commands == []

    def empty(slot: VirtualSlot, card: ScriptedCard, line: socket.socket) -> None:
        line.sendall(frame(b"\x01"))
        assert exchange(line, b"\x04") == ATR
        loop_said = slot.card
        assert loop_said is card
        card.on_command = lambda command: slot.remove()
        with pytest.raises(EOFError):
            exchange(line, bytes.fromhex("80CA000000"))
        with socket.create_connection((slot.address, slot.port), 5.0) as again, pytest.raises(EOFError):
            exchange(again, b"\x04")  # accepted, never refused; no ATR means no card
        assert card.powers[-1] == "off"

    on_a_slot(unpowered)
    on_a_slot(empty)


@given(st.binary(max_size=40))
def test_no_message_can_upset_a_slot(payload: bytes) -> None:
    async def answered() -> bytes | None:
        made, _ = pcsc._take(1, lambda what, **fields: None)
        try:
            made[0].insert(ScriptedCard())
            made[0].message(b"\x01")
            return made[0].message(payload)
        finally:
            made[0].close()

    said = asyncio.run(answered())
    if len(payload) == 1 and payload in b"\x00\x01\x02":
        assert said is None
    else:
        assert said is not None and len(said) >= 2


def test_the_jump_that_is_repaired_and_nothing_else() -> None:
    faulty = bytes.fromhex("8b3f85ff741ae8b5ecffff")
    library = b"\x7fELF" + bytes(64) + faulty + bytes(32)
    repaired = reconnecting(library)
    assert [(a, b) for a, b in zip(library, repaired, strict=True) if a != b] == [(0x74, 0x78)]
    assert reconnecting(repaired) == repaired
    twice = library + library  # not what is known: left alone
    assert reconnecting(twice) == twice


def test_reader_conf_has_one_entry_and_one_library_for_two_slots() -> None:
    text, names = configuration("esim-bench lab", "127.1.2.3", [10240, 10242], [Path("/a/0.so"), Path("/a/1.so")])
    assert text == (
        'FRIENDLYNAME "esim-bench lab A"\nDEVICENAME 127.1.2.3:0x2800\nLIBPATH /a/0.so\nCHANNELID 0x2800\n\n'
        'FRIENDLYNAME "esim-bench lab B"\nDEVICENAME 127.1.2.3:0x2802\nLIBPATH /a/1.so\nCHANNELID 0x2802\n'
    )
    assert names == [f"esim-bench lab {entry} 00 {slot}" for entry in "AB" for slot in ("00", "01")]


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcsc_daemon, "_LIBRARY_FOLDERS", ())
    monkeypatch.setattr(pcsc_daemon.shutil, "which", lambda *args, **more: None)
    with pytest.raises(ConfigurationError, match=r"needs pcscd and vsmartcard-vpcd.*apt-get install pcscd vsmartcard"):
        pcsc_daemon.programs()


@pytest.mark.parametrize("count", [0, 17])
def test_pcscd_has_sixteen_readers(count: int) -> None:
    with pytest.raises(ConfigurationError, match="1 to 16"):
        pcsc.Readers(count, Path("/nowhere"), "x", lambda what, **fields: None)


SERVES = """
import asyncio, sys
from pathlib import Path
from fixtures.sim.pcsc_daemon import Daemon

async def main():
    daemon = Daemon(Path(sys.argv[1]), "killed", "127.0.0.1", [9], lambda what, **fields: None)
    daemon.start()
    print(daemon.pid, daemon.output.parent, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_world_that_is_killed_takes_its_daemon_with_it_and_the_next_one_tidies_up(tmp_path: Path) -> None:
    need_pcsc()
    world = subprocess.Popen(
        [sys.executable, "-c", SERVES, str(tmp_path / "pcscd")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert world.stdout is not None
    pid, folder = world.stdout.readline().decode().split()
    with os.fdopen(os.pidfd_open(int(pid))) as daemon:
        world.kill()
        world.wait(5.0)
        world.stdout.close()
        assert select.select([daemon], [], [], 5.0)[0]
    assert Path(folder).exists()
    made = pcsc_daemon._make_folder()
    made.rmdir()
    assert not Path(folder).exists()


def test_further_eids_are_valid_and_different() -> None:
    from bench.rsp.ids import check_eid

    eids = pcsc.further_eids("89049032123451234512345678901235", 16)
    assert len(set(eids)) == 16
    assert eids[0] == "89049032123451234512345678901235"
    assert all(check_eid(eid) for eid in eids)


@pytest.mark.parametrize(
    ("uid", "folder", "unshare", "remedy"),
    [
        (1000, False, "exit 1", "sudo mkdir /run/pcscd"),
        (1000, False, "exit 0", "--foreground --debug"),
        (1000, True, "exit 1", "--foreground --debug"),
        (0, False, "exit 1", "--foreground --debug"),
    ],
)
def test_a_daemon_that_ends_at_once_is_told_with_the_remedy_for_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, folder: bool, unshare: str, remedy: str
) -> None:
    """Whatever it wrote: an 'unshare' in its last words is no cause."""
    need_pcsc()
    (tmp_path / "unshare").write_text(f"#!/bin/sh\n{unshare}\n")
    (tmp_path / "unshare").chmod(0o700)

    async def test() -> None:
        daemon = pcsc_daemon.Daemon(tmp_path / "pcscd", "ends", "127.0.0.1", [9], lambda what, **fields: None)
        try:
            monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
            monkeypatch.setattr(pcsc_daemon, "IPC_FOLDER", tmp_path if folder else tmp_path / "nowhere")
            monkeypatch.setattr(os, "getuid", lambda: uid)
            waiting = asyncio.create_task(daemon.ready([asyncio.Event()]))
            await asyncio.sleep(0)
            daemon.failed("pcscd ends with code 1 as soon as it is started:\nunshare of libraries: LIBPATH is missing")
            with pytest.raises(InstrumentError, match="LIBPATH") as told:
                await waiting
            assert remedy in told.value.hint
        finally:
            daemon.close()

    asyncio.run(test())
