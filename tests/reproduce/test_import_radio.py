"""What QCSuper writes (DLF, JSON) and NAS inside RRC: whole, cut off, mixed with anything else."""

from __future__ import annotations

import base64
import json
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.reproduce import formats_diag
from bench.reproduce.deriving import derive
from bench.reproduce.formats_capture import read_capture
from bench.reproduce.imported import Imported, Source
from bench.reproduce.importing import read_bytes
from bench.reproduce.rrc_nas import carried
from bench.trace import diag
from bench.trace.export import gsmtap
from fixtures.sim import diag_rrc
from tests.reproduce.test_import import ATTACH_REJECT, pcap

STAMP = (1_770_091_507 - 315_964_800) * 800 << 16
"""2026-02-03 04:05:07, in units of 1.25 ms since 1980 (DIAG)."""


def packet(code: int, body: bytes, seconds: int = 0) -> bytes:
    return struct.pack("<HHQ", 12 + len(body), code, STAMP + (seconds * 800 << 16)) + body


def plain(message: bytes) -> bytes:
    return b"\x01\x09\x05\x00" + message


REJECT = packet(diag.EMM_IN, plain(ATTACH_REJECT))
PACKETS = (
    packet(diag.RRC_OTA, b"\x13\x0d" + bytes(20)),
    REJECT,
    packet(0xB17F, bytes(16), 2),
    packet(diag.EMM_OUT, plain(bytes.fromhex("074303000008")), 3),
)


def line(data: bytes, at: float = 1_770_091_507.5) -> str:
    """Return a log packet as --json-geo-dump writes it."""
    return json.dumps({"log_frame": base64.b64encode(data).decode(), "log_type": 0, "timestamp": at}, sort_keys=True)


def source_of(data: bytes) -> Source:
    source = Source("x")
    read_bytes(source, data)
    return source


def test_a_dlf_file_is_known_by_its_packets_and_has_the_modems_time() -> None:
    source = source_of(b"".join(PACKETS))
    assert source.kind == "QCSuper, DLF"
    assert source.recognised == {"RRC messages": 1, "NAS messages": 2}
    assert source.ignored == [(3, "log packet 0xB17F of 16 bytes")]
    assert [(item.text, item.line, item.time) for item in source.happenings] == [
        ("cause 11", 2, 1_770_091_507.0),
        ("ATTACH COMPLETE", 4, 1_770_091_510.0),
    ]
    (condition,) = derive(Imported([source])).conditions
    assert (condition.do, condition.figures, condition.source) == ("reject", {"cause": 11}, "x:2")


def test_lines_of_json_have_the_hosts_time() -> None:
    position = '{"lat": 49.5, "lng": 2.1, "timestamp": 1770091500.0}'
    source = source_of("\n".join((position, *map(line, PACKETS), "{broken", "[]", line(b"short"))).encode())
    assert source.kind == "QCSuper, JSON"
    assert source.recognised == {"positions": 1, "RRC messages": 1, "NAS messages": 2}
    assert [number for number, _ in source.ignored] == [4, 6, 7, 8]
    assert [(item.text, item.time) for item in source.happenings] == [
        ("cause 11", 1_770_091_507.5),
        ("ATTACH COMPLETE", 1_770_091_507.5),
    ]


@given(st.integers(0, sum(map(len, PACKETS))), st.binary(max_size=60))
def test_what_is_whole_of_a_dlf_file_is_kept_whatever_follows(cut: int, rubbish: bytes) -> None:
    data = b"".join(PACKETS)
    source = Source("x")
    formats_diag.read_dlf(source, data[:cut] + rubbish)
    ends = [sum(map(len, PACKETS[: number + 1])) for number in range(len(PACKETS))]
    whole = sum(end <= cut for end in ends)
    understood = sum(source.recognised.values()) + len(source.ignored)
    assert understood >= whole
    if not rubbish:
        assert understood == whole
        assert bool(source.notes) == (cut not in (0, *ends))


@given(st.lists(st.one_of(st.sampled_from([line(item) for item in PACKETS]), st.text(max_size=30)), max_size=12))
@example(
    [
        '{"log_frame": 5}',
        '{"log_frame": "AAAA", "timestamp": 1e999}',
        "[" * 5000,
        line(REJECT, float("inf")),
        line(REJECT, float("nan")),
    ]
)
def test_mixed_lines_of_json_are_understood_or_listed(lines: list[str]) -> None:
    text = "\n".join((line(REJECT), *lines))
    source = Source("x")
    formats_diag.read_json(source, text)
    assert sum(source.recognised.values()) + len(source.ignored) == sum(
        bool(item.strip()) for item in text.splitlines()
    )
    derive(Imported([source])).text()


@given(st.binary(max_size=200))
@example(bytes(12))
def test_other_bytes_are_no_dlf_file_by_chance(data: bytes) -> None:
    """Two packets that follow each other, each with a known equipment and a time of this century, or one alone."""
    assert formats_diag.is_dlf(REJECT + REJECT)
    assert formats_diag.is_dlf(REJECT)
    assert formats_diag.is_dlf((REJECT + REJECT)[:-3])
    assert not formats_diag.is_dlf(b"AT+CGMM\r\nOK\r\n" * 20)
    formats_diag.is_dlf(data)
    source_of(data)


@given(st.binary(min_size=1, max_size=300), st.integers(0, 3))
def test_nas_is_taken_out_of_the_rrc_that_carries_it(message: bytes, transaction: int) -> None:
    assert carried("dl", diag_rrc.downlink_information(message, transaction)) == message
    assert carried("ul", diag_rrc.uplink_information(message)) == message
    assert carried("ul", diag_rrc.connection_setup_complete(message, transaction)) == message


@given(st.binary(max_size=40))
def test_any_rrc_is_read(data: bytes) -> None:
    for channel in ("dl", "ul"):
        assert len(carried(channel, data)) <= len(data)


def test_the_mme_that_a_device_was_registered_with_stands_before_its_nas() -> None:
    for plmn, mnc in ((None, 0), ("001", 2), ("001", 3)):
        bits = diag_rrc.Bits().add(0, 1).add(4, 4).add(1, 2).add(0, 3).add(0b10, 2).add(0, 3)
        bits.add(0 if plmn is None else 1, 1)
        if plmn is not None:
            bits.add(1, 1).add(0x001, 12).add(mnc - 2, 1).add(1, 4 * mnc)
        assert carried("ul", bits.add(0x1234, 16).add(7, 8).octets(ATTACH_REJECT).pack()) == ATTACH_REJECT


@pytest.mark.parametrize("both", [False, True])
def test_a_capture_without_nas_of_its_own_has_that_of_its_rrc(tmp_path: Path, both: bool) -> None:
    """As QCSuper writes it without --decrypt-nas; one with both (scat) does not tell everything twice."""
    rrc = gsmtap(13, 1, diag_rrc.downlink_information(ATTACH_REJECT))
    file = tmp_path / "x.pcap"
    file.write_bytes(pcap(rrc, *([gsmtap(18, 0, ATTACH_REJECT)] if both else [])))
    source = Source("x")
    read_capture(source, file)
    assert source.recognised == {"RRC messages": 1, "NAS messages": 1}
    assert [(item.text, item.line) for item in source.happenings] == [("cause 11", 2 if both else 1)]


def block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


def pcapng(*payloads: bytes) -> list[bytes]:
    """Return the blocks of a capture of raw IP, as a program other than the bench writes it."""
    blocks = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), block(1, struct.pack("<HHI", 101, 0, 0))]
    for number, item in enumerate(payloads):
        high, low = divmod(1_770_091_507_000_000 + number, 1 << 32)
        head = struct.pack("<IIIII", 0, high, low, len(item), len(item))
        blocks.append(block(6, head + item + bytes(-len(item) % 4)))
    return blocks


@given(st.integers(4, 400), st.binary(max_size=40))
def test_what_is_whole_of_a_pcapng_is_kept_whatever_follows(cut: int, rubbish: bytes) -> None:
    blocks = pcapng(gsmtap(18, 0, ATTACH_REJECT), gsmtap(13, 3, b"\x00"), gsmtap(18, 0, bytes.fromhex("074303000008")))
    ends = [sum(map(len, blocks[: number + 1])) for number in range(len(blocks))]
    source = Source("x")
    with tempfile.NamedTemporaryFile(suffix=".pcapng") as file:
        file.write(b"".join(blocks)[:cut] + rubbish)
        file.flush()
        read_capture(source, Path(file.name))
    whole = sum(end <= cut for end in ends[2:])
    assert sum(source.recognised.values()) >= whole
    if not rubbish:
        assert sum(source.recognised.values()) == whole
        assert bool(source.notes) == (cut < ends[-1] and cut not in ends)
